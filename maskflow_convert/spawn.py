"""Starting and ending worker processes, from the side of the parent."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

from maskflow_convert.backlog import Job
from maskflow_convert.errors import OutputError
from maskflow_convert.interrupts import STOPPING
from maskflow_convert.output import leave_locks
from maskflow_convert.worker import serve

_SECONDS_TO_END = 2.0


@dataclass(eq=False, slots=True)
class Worker:
    """A process, our end of its pipe, its job, and how many images of that are done."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    job: Job | None = None
    images: int = 0

    @property
    def waits(self) -> bool:
        """Whether it has started, and has nothing to do."""
        return self.ready and self.job is None


def start(packed_prepare: bytes, packed_work: bytes, others: Sequence[Worker] = ()) -> Worker:
    """A new worker beside those that there are.

    Raises:
        OutputError: there cannot be another process.
    """
    try:
        ours, theirs = multiprocessing.Pipe()
        process = _process(theirs, [ours, *(other.pipe for other in others)], packed_prepare, packed_work)
        with theirs, _signals_blocked(), _without_main():
            process.start()
    except OSError as error:
        told = f"a worker process cannot be started: {error.strerror or error}"
        raise OutputError(f"{told}; take fewer workers (`run.workers`)") from error
    return Worker(process, ours)


def _process(theirs: Connection, ours: Sequence[Connection], packed_prepare: bytes, packed_work: bytes) -> BaseProcess:
    """A process to be: a copy of this one if that is safe, which has all its imports already, else one afresh."""
    if can_fork():
        return multiprocessing.get_context("fork").Process(
            target=_serve_forked, args=(theirs, ours, packed_prepare, packed_work), daemon=True
        )
    resource_tracker.ensure_running()  # or the start would see to that, and unblock the signals
    return multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, packed_prepare, packed_work), daemon=True
    )


def can_fork() -> bool:
    """Whether this process has a single thread, so that no other one can hold a lock that a copy would wait for.

    NumPy's algebra and TensorFlow have threads that Python knows nothing of; Linux counts them all.
    """
    try:
        return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:  # there is no telling
        return False


def _serve_forked(theirs: Connection, ours: Sequence[Connection], packed_prepare: bytes, packed_work: bytes) -> None:
    """As `serve`, in a copy of the parent, which leaves it what is not for a worker: its ends of pipes, its locks."""
    for pipe in ours:
        pipe.close()
    leave_locks()
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    serve(theirs, packed_prepare, packed_work)


def stop(workers: Sequence[Worker]) -> None:
    """End workers: by the end of the pipe where they wait, else by SIGTERM, at last by SIGKILL.

    At the first SIGTERM a worker ends between two images, at the second one at once.
    """
    busy = [worker for worker in workers if not worker.waits]
    try:
        for worker in workers:
            worker.pipe.close()
        for _ in range(2):
            for worker in busy:
                worker.process.terminate()
            _join(workers, _SECONDS_TO_END / 2)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _join(workers: Sequence[Worker], seconds: float) -> None:
    limit = time.monotonic() + seconds
    for worker in workers:
        worker.process.join(max(0.0, limit - time.monotonic()))


def end_of(worker: Worker) -> str:
    """How a worker ended whose pipe has ended."""
    worker.pipe.close()
    worker.process.join(_SECONDS_TO_END)
    worker.process.kill()
    worker.process.join()
    code = worker.process.exitcode or 0
    if -code not in list(signal.Signals):
        return f"ended with exit code {code}"
    match signal.Signals(-code).name:
        case "SIGKILL":
            return "was killed (SIGKILL), as happens when memory runs out"
        case "SIGSEGV" | "SIGBUS" | "SIGABRT" | "SIGILL" | "SIGFPE" as name:
            return f"crashed ({name})"
        case name:
            return f"was killed ({name})"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM blocked in what is started, until it is ready for them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep the caller's script from being imported by what is started: it may be slow, or begin all over again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
