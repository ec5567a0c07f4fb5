"""Work for executors; it lies here and not in a test so that a fresh process can import it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from maskflow_convert.catalogue import Severity
from maskflow_convert.errors import IssueError
from maskflow_convert.issues import Issue

Tick = Callable[[], None]

prepared: list[int] = []


def prepare() -> None:
    prepared.append(os.getpid())


def prepare_in_vain() -> None:
    raise IssueError(Issue("image-missing", "gone", Severity.ERROR))


def die_at_the_start() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(task: int, tick: Tick) -> tuple[int, int, list[int]]:
    """Twice the task, the process that did it, and the processes that were prepared; the first tasks take longest."""
    time.sleep(max(0.0, 0.3 - task * 0.1))
    for _ in range(task):
        tick()
    return 2 * task, os.getpid(), list(prepared)


def stumble(task: int, tick: Tick) -> int:
    """Fails at task 1, and late."""
    if task == 1:
        time.sleep(0.2)
        raise IssueError(Issue("image-missing", "gone", Severity.ERROR, record="a.png", path="x/a.png"))
    return task


changed_by_parent = False


def is_copy(task: int, tick: Tick) -> bool:
    return changed_by_parent


def echo(task: object, tick: Tick) -> object:
    return task


def modules(task: int, tick: Tick) -> list[str]:
    return sorted(sys.modules)


@dataclass(frozen=True)
class Named:
    """A task with a name; its turn is `number`."""

    name: str
    number: int


def die(how: signal.Signals, doomed: int, times: int, folder: Path, task: Named, tick: Tick) -> tuple[str, int]:
    """Twice the number; at the doomed task the process is killed after two images, so many times."""
    for image in range(3):
        if image == 2 and task.number == doomed and len(list(folder.glob("death*"))) < times:
            (folder / f"death{os.getpid()}").touch()
            os.kill(os.getpid(), how)
        tick()
    return task.name, 2 * task.number


def end(code: int, task: int, tick: Tick) -> None:
    os._exit(code)


class Unpicklable(Exception):  # noqa: N818
    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("not me")


class NeverUnpickled(Exception):  # noqa: N818
    """As many exceptions of other people: it pickles, and then lacks an argument."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class ForeignTask:
    def __reduce__(self) -> tuple[object, ...]:
        return _only_in, (os.getpid(),)


def _only_in(process: int) -> ForeignTask:
    if os.getpid() != process:
        raise AttributeError("no class ForeignTask here")
    return ForeignTask()


class SecretTask:
    def __reduce__(self) -> tuple[object, ...]:
        raise ValueError("a secret")


def return_function(task: int, tick: Tick) -> Callable[[], int]:
    return lambda: task


def raise_unpicklable(task: int, tick: Tick) -> None:
    raise Unpicklable("unlucky")


def raise_never_unpickled(task: int, tick: Tick) -> None:
    raise NeverUnpickled(3, 4)


def leave(task: int, tick: Tick) -> None:
    sys.exit("that was it")


def sleep_tidily(folder: Path, task: int, tick: Tick) -> None:
    """Sleeps for a minute, and puts its file away when it is woken."""
    file = folder / f"{os.getpid()}.partial"
    file.touch()
    try:
        time.sleep(60)
    finally:
        file.unlink()


def sleep_deaf(folder: Path, task: int, tick: Tick) -> None:
    """Sleeps for a minute, whatever wakes it."""
    (folder / f"{os.getpid()}.partial").touch()
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            time.sleep(1)
        except BaseException:  # noqa: S112
            continue


def tick_slowly(task: int, tick: Tick) -> None:
    for _ in range(task):
        tick()
        time.sleep(0.15)


def first_is_slow(task: int, tick: Tick) -> int:
    if task == 0:
        time.sleep(0.5)
    return task


def fail(task: int, tick: Tick) -> None:
    """The first task takes longest."""
    time.sleep(0.3 if task == 0 else 0.0)
    raise ValueError(f"task {task}")


def _first_time(folder: Path, task: int) -> bool:
    mark = folder / str(task)
    seen = mark.exists()
    mark.touch()
    return not seen


def die_of_each_once(folder: Path, task: int, tick: Tick) -> tuple[int, int]:
    """The task, and the process that survived it."""
    if _first_time(folder, task):
        os.kill(os.getpid(), signal.SIGKILL)
    return task, os.getpid()


def die_answering(folder: Path, task: int, tick: Tick) -> bytes:
    """More than a pipe holds; the first time, the process is killed while the parent has not read it all."""
    if _first_time(folder, task):
        Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(10_000_000)


def die_slowly_once(folder: Path, task: int, tick: Tick) -> int:
    """Three images a task; the first time, task 1 is killed when two of them are done and told."""
    for image in range(3):
        if image == 2 and task == 1 and _first_time(folder, task):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.15)
        tick()
    return task


def interrupt_itself(task: int, tick: Tick) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    tick()
    return task
