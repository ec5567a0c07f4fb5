"""The executor of processes, whose workers are real and die for real."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from core.plugins import tasks
from core.plugins.tasks import Named, prepare
from core.running import running, session
from maskflow_convert.errors import IssueError, OutputError, PluginError
from maskflow_convert.processes import run_in_processes

TESTS = Path(__file__).parent.parent


def run(
    work: Callable[..., Any],
    todo: Sequence[Any],
    *,
    workers: int = 2,
    prepare: Callable[[], None] = prepare,
    on_progress: Callable[[int], None] = lambda done: None,
    retries: int = 1,
) -> Iterator[Any]:
    return run_in_processes(work, todo, on_progress, workers=workers, prepare=prepare, retries=retries)


def children() -> set[int]:
    """The processes that this one has started and that have not ended, but for multiprocessing's own."""
    return {each.pid for each in running() if each.parent == os.getpid() and "resource_tracker" not in each.command}


@pytest.fixture(autouse=True)
def _no_worker_outlives_its_run():
    before = children()
    yield
    assert children() <= before


def named(count: int) -> list[Named]:
    return [Named(f"train-{number}", number) for number in range(count)]


class TestResults:
    def test_results_and_progress(self):
        """Later tasks are quicker, and still come later."""
        seen: list[int] = []
        results = list(run(tasks.double, [1, 4, 2, 6], on_progress=seen.append))
        assert [result for result, *_ in results] == [2, 8, 4, 12]
        assert os.getpid() not in {pid for _, pid, _ in results}
        assert len({pid for _, pid, _ in results}) == 2
        assert all(processes == [pid] for _, pid, processes in results)
        assert tasks.prepared == []
        assert seen == sorted(seen)
        assert seen[-1] == 1 + 4 + 2 + 6

    def test_progress_comes_in_the_middle_of_a_task(self):
        seen: list[int] = []
        list(run(tasks.tick_slowly, [5], on_progress=seen.append, workers=1))
        assert {1, 2, 3, 4, 5} - set(seen) <= {1}

    def test_no_task(self):
        assert list(run(tasks.echo, [])) == []

    def test_tasks_larger_than_a_pipe_holds(self):
        """A pipe holds 64 KiB; both ends write more than that, and neither waits for the other."""
        big = [bytes([number]) * 3_000_000 for number in range(6)]
        assert list(run(tasks.echo, big)) == big

    def test_a_worker_needs_little(self):
        [modules] = run(tasks.modules, [0], workers=1)
        assert {"tensorflow", "rich", "lxml"} & set(modules) == set()


class Lazy(Sequence[int]):
    """Tasks that are made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: Any) -> Any:
        self.made.append(number)
        return number


class TestBackPressure:
    def test_tasks_are_made_when_their_turn_comes(self):
        """Two workers have one each, and one each is at hand; a result that nobody takes yet begins no other."""
        lazy = Lazy(100)
        results = run(tasks.echo, lazy)
        taken = [next(results) for _ in range(50)]
        time.sleep(0.3)
        assert taken == list(range(50))
        assert lazy.made == list(range(len(lazy.made)))
        assert 50 < len(lazy.made) <= 50 + 8 * 2 + 2
        results.close()

    def test_results_that_wait_for_a_slow_one(self):
        """While task 0 sleeps, the other worker does what comes next, but not all of it."""
        lazy = Lazy(100)
        results = run(tasks.first_is_slow, lazy)
        assert next(results) == 0
        assert len(lazy.made) == 8 * 2
        results.close()


class TestFailures:
    def test_failure(self):
        results = run(tasks.stumble, [0, 1, 2])
        assert next(results) == 0
        with pytest.raises(IssueError) as caught:
            next(results)
        assert str(caught.value).startswith("error: x/a.png: image a.png: gone [image-missing]")
        [note] = caught.value.__notes__
        assert "in stumble" in note

    def test_the_first_in_order_is_told(self):
        """Whichever failed first by the clock; and what comes after it is not begun."""
        lazy = Lazy(100)
        with pytest.raises(ValueError, match="task 0"):
            list(run(tasks.fail, lazy))
        assert len(lazy.made) < 10

    def test_preparation_fails(self):
        with pytest.raises(IssueError, match="gone"):
            list(run(tasks.echo, [1], prepare=tasks.prepare_in_vain))

    def test_a_task_may_leave(self):
        with pytest.raises(SystemExit, match="that was it"):
            list(run(tasks.leave, [1]))

    def test_progress_may_interrupt(self):
        def interrupt(done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(run(tasks.double, [1, 2], on_progress=interrupt))

    @pytest.mark.parametrize(
        ("work", "task", "told"),
        [
            (tasks.echo, tasks.SecretTask(), "a record of an adapter does not pickle, .* a secret; set `run.executor"),
            (tasks.echo, lambda: 1, "a record of an adapter does not pickle"),
            (tasks.echo, tasks.ForeignTask(), "does not unpickle in another process: no class ForeignTask here; put"),
            (lambda task, tick: 1, 1, "an option of an adapter does not pickle"),
            (tasks.return_function, 1, "what came of a task does not pickle"),
            (tasks.raise_unpicklable, 1, r"^Unpicklable: unlucky \(in a worker"),
            (tasks.raise_never_unpickled, 1, r"^NeverUnpickled: 3 and 4 \(in a worker"),
        ],
    )
    def test_what_does_not_pickle(self, work, task, told):
        with pytest.raises(PluginError, match=told):
            list(run(work, [task, task]))

    def test_no_process_can_be_had(self):
        """As when a user has as many files open as may be."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 3, hard))
        try:
            with pytest.raises(OutputError, match=r"a worker process cannot be started: .*; take fewer workers"):
                list(run(tasks.echo, [1, 2]))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestDeath:
    def test_once(self, tmp_path, caplog):
        """Task 2 is tried again from its beginning, and no other task is lost."""
        seen: list[int] = []
        work = partial(tasks.die, signal.SIGKILL, 2, 1, tmp_path)
        results = list(run(work, named(6), on_progress=seen.append))
        assert results == [(f"train-{number}", 2 * number) for number in range(6)]
        assert [record.getMessage() for record in caplog.records] == [
            "train-2: its worker process was killed (SIGKILL), as happens when memory runs out; it is tried once more"
        ]
        assert caplog.records[0].levelno == logging.WARNING
        assert seen == sorted(seen)
        assert seen[-1] == 6 * 3

    def test_progress_never_goes_back(self, tmp_path):
        """Two images of task 1 were told when its worker died, and are done again."""
        seen: list[int] = []
        work = partial(tasks.die_slowly_once, tmp_path)
        assert list(run(work, [0, 1], on_progress=seen.append, workers=1)) == [0, 1]
        assert seen == sorted(seen)
        assert seen[-1] == 6
        assert 5 in seen

    def test_of_every_task_once(self, tmp_path, caplog):
        """Each is tried again by a worker that has done nothing before."""
        results, survivors = zip(*run(partial(tasks.die_of_each_once, tmp_path), [3, 1, 2]), strict=True)
        assert results == (3, 1, 2)
        assert len(set(survivors)) == 3
        assert sorted(record.getMessage()[:3] for record in caplog.records) == ["1: ", "2: ", "3: "]

    @pytest.mark.parametrize(
        ("how", "told"),
        [
            (signal.SIGKILL, r"was killed (SIGKILL), as happens when memory runs out"),
            (signal.SIGSEGV, "crashed (SIGSEGV)"),
            (signal.SIGTERM, "was killed (SIGTERM)"),
        ],
    )
    def test_always(self, tmp_path, how, told):
        """What comes before is handed out all the same."""
        results = run(partial(tasks.die, how, 2, 100, tmp_path), named(6))
        assert [next(results), next(results)] == [("train-0", 0), ("train-1", 2)]
        with pytest.raises(OutputError) as caught:
            next(results)
        assert str(caught.value) == (
            f"train-2: its worker process {told}, also when it was tried once more; if memory is short, take fewer "
            "workers (`run.workers`)"
        )
        assert len(list(tmp_path.glob("death*"))) == 2

    @pytest.mark.parametrize(("retries", "told"), [(0, ""), (2, ", also when it was tried 2 times more")])
    def test_as_often_as_is_wanted(self, tmp_path, caplog, retries, told):
        work = partial(tasks.die, signal.SIGKILL, 2, 100, tmp_path)
        with pytest.raises(OutputError) as caught:
            list(run(work, named(6), retries=retries))
        assert str(caught.value).startswith(
            f"train-2: its worker process was killed (SIGKILL), as happens when memory runs out{told}; if memory"
        )
        assert len(list(tmp_path.glob("death*"))) == retries + 1
        assert len(caplog.records) == retries

    def test_by_an_exit(self):
        with pytest.raises(OutputError, match=r"^5: its worker process ended with exit code 7, also when"):
            list(run(partial(tasks.end, 7), [5]))

    def test_in_the_middle_of_an_answer(self, tmp_path):
        """Half of a result is in the pipe when the worker is killed."""
        seen: list[int] = []

        def dawdle(done: int) -> None:
            time.sleep(0.0 if seen else 0.5)
            seen.append(done)

        results = list(run(partial(tasks.die_answering, tmp_path), [1], on_progress=dawdle, workers=1))
        assert [len(result) for result in results] == [10_000_000]
        assert [path.name for path in tmp_path.iterdir()] == ["1"]

    def test_while_it_waits(self, tmp_path):
        """Nobody may notice; certainly nothing is lost."""
        results = run(tasks.echo, list(range(40)), workers=1)
        first = next(results)
        time.sleep(0.2)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        assert [first, *results] == list(range(40))

    def test_at_the_start(self):
        with pytest.raises(OutputError, match=r"^the start of a worker: its worker process was killed \(SIGKILL\)"):
            list(run(tasks.echo, [1, 2], prepare=tasks.die_at_the_start))


class TestSignals:
    def test_ctrl_c_is_left_to_the_parent(self, caplog):
        assert list(run(tasks.interrupt_itself, [1, 2])) == [1, 2]
        assert caplog.records == []

    def test_ctrl_c_while_a_worker_starts(self, tmp_path):
        """It goes to the whole group; here the parent does not mind."""
        done = script(
            tmp_path,
            """
            import os, signal
            signal.signal(signal.SIGINT, lambda *_: None)
            from core.plugins.tasks import echo, prepare
            from maskflow_convert import spawn
            from maskflow_convert.worker import pack
            worker = spawn.start(pack(prepare, ""), pack(echo, ""))
            os.killpg(0, signal.SIGINT)
            print(worker.pipe.recv())
            spawn.stop([worker])
            """,
            start_new_session=True,
        )
        assert done.communicate(timeout=30) == ("Ready()\n", "")


class TestStop:
    def wait_for(self, folder: Path, count: int) -> None:
        limit = time.monotonic() + 20
        while len(list(folder.glob("*.partial"))) < count and time.monotonic() < limit:
            time.sleep(0.01)
        assert len(list(folder.glob("*.partial"))) == count

    def test_workers_put_away_what_they_have(self, tmp_path):
        """The one who takes results stops in the middle, while two workers sleep."""

        def stop(done: int) -> None:
            if len(list(tmp_path.glob("*.partial"))) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(run(partial(tasks.sleep_tidily, tmp_path), [0, 1, 2, 3], on_progress=stop))
        assert list(tmp_path.iterdir()) == []

    def test_who_does_not_listen_is_killed(self, tmp_path):
        def stop(done: int) -> None:
            if len(list(tmp_path.glob("*.partial"))) == 2:
                raise KeyboardInterrupt

        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            list(run(partial(tasks.sleep_deaf, tmp_path), [0, 1], on_progress=stop))
        assert time.monotonic() - begun < 8

    def test_workers_do_not_outlive_a_parent_that_is_killed(self, tmp_path):
        """In the middle of a task that neither ticks nor returns."""
        code = f"""
            from functools import partial
            from pathlib import Path
            from core.plugins.tasks import prepare, sleep_tidily
            from maskflow_convert.processes import run_in_processes
            work = partial(sleep_tidily, Path({str(tmp_path)!r}))
            list(run_in_processes(work, [0, 1], print, workers=2, prepare=prepare))
        """
        parent = script(tmp_path, code, start_new_session=True)
        self.wait_for(tmp_path, 2)
        assert session(parent.pid) > {parent.pid}
        parent.kill()
        parent.wait()
        limit = time.monotonic() + 3
        while session(parent.pid) and time.monotonic() < limit:
            time.sleep(0.01)
        assert session(parent.pid) == set()
        assert parent.communicate()[1] == ""


class TestScript:
    def test_is_not_run_by_workers(self, tmp_path):
        """A script needs no `if __name__ == "__main__"`, and what it imports costs the workers nothing."""
        done = script(
            tmp_path,
            """
            print("begun")
            from core.plugins.tasks import echo, prepare
            from maskflow_convert.processes import run_in_processes
            print(list(run_in_processes(echo, [1, 2, 3], id, workers=2, prepare=prepare)))
        """,
        )
        assert done.communicate(timeout=30) == ("begun\n[1, 2, 3]\n", "")

    @pytest.mark.parametrize(("threads", "copied"), [(0, True), (1, False)])
    def test_workers_are_copies_where_that_is_safe(self, tmp_path, threads, copied):
        """A thread could hold a lock that its copy would wait for; workers begin afresh then."""
        done = script(
            tmp_path,
            f"""
            import time
            from threading import Thread
            from core.plugins import tasks
            from maskflow_convert.processes import run_in_processes
            for _ in range({threads}):
                Thread(target=time.sleep, args=(60,), daemon=True).start()
            tasks.changed_by_parent = True
            print(list(run_in_processes(tasks.is_copy, [1, 2], id, workers=2, prepare=tasks.prepare)))
        """,
        )
        assert done.communicate(timeout=30) == (f"{[copied, copied]}\n", "")

    def test_in_a_thread(self, tmp_path):
        """Where nobody may handle signals."""
        done = script(
            tmp_path,
            """
            from threading import Thread
            from core.plugins.tasks import echo, prepare
            from maskflow_convert.processes import run_in_processes
            work = lambda: print(list(run_in_processes(echo, [1, 2, 3], id, workers=2, prepare=prepare)))
            thread = Thread(target=work)
            thread.start()
            thread.join()
        """,
        )
        assert done.communicate(timeout=30) == ("[1, 2, 3]\n", "")


def script(folder: Path, code: str, **options: Any) -> subprocess.Popen[str]:
    """A fresh Python that runs a script from a file."""
    (folder / "script.py").write_text(dedent(code))
    return subprocess.Popen(
        [sys.executable, str(folder / "script.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        **options,
    )
