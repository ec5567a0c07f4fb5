"""One `map` over shards in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from maskflow_convert.errors import OutputError, PluginError
from maskflow_convert.executors import ResultT, TaskT, Tick

_POLL_SECONDS = 0.1


def run_in_processes(
    work: Callable[[TaskT, Tick], ResultT],
    tasks: Sequence[TaskT],
    on_progress: Callable[[int], None],
    *,
    workers: int,
    prepare: Callable[[], None],
) -> Iterator[ResultT]:
    """As `run_serially`, the results in the order of the tasks; `prepare` runs first in every worker.

    The workers are started afresh rather than forked, since a fork of a process that runs TensorFlow hangs.

    Raises:
        OutputError: a worker died.
        PluginError: a task does not pickle.
    """
    packed = [_packed(work, task) for task in tasks]
    context = multiprocessing.get_context("spawn")
    done: Synchronized[int] = context.Value("Q", 0)
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(done, prepare)) as pool:
        try:
            with _interrupts_held():
                futures = [pool.submit(_call, each) for each in packed]
            for future in futures:
                while wait([future], timeout=_POLL_SECONDS).not_done:
                    on_progress(done.value)
                yield future.result()
                on_progress(done.value)
        except BrokenProcessPool as error:
            raise OutputError(
                "a worker process ended unexpectedly: it was killed, or ran out of memory; try fewer workers, and in a "
                'script call this below `if __name__ == "__main__":`'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back; processes that are started meanwhile inherit that, so that none dies of it while it starts."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupts_let_in() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


_done: Synchronized[int] | None = None


def _start(done: Synchronized[int], prepare: Callable[[], None]) -> None:
    global _done
    _done = done
    prepare()


def _packed(work: Callable[[TaskT, Tick], ResultT], task: TaskT) -> bytes:
    """Pickled here: a pool that fails to do it, in a thread of its own, may wait for ever."""
    try:
        return pickle.dumps((work, task))
    except Exception as error:  # a record is of somebody else's class, and may raise anything
        raise PluginError(
            f"a record of an adapter does not pickle, so it cannot be sent to another process: {error}; set "
            "`run.executor: serial`, or tell the adapter's author"
        ) from error


def _call(packed: bytes) -> Any:
    """A worker can be interrupted at work, and its exception says so; while it starts or waits, the parent ends it."""
    with _interrupts_let_in():
        work, task = pickle.loads(packed)  # noqa: S301
        return work(task, _tick)


def _tick() -> None:
    if _done is not None:
        with _done.get_lock():
            _done.value += 1
