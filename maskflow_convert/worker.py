"""What runs in a worker process: one task after another, as `maskflow_convert.processes` deals them out.

A worker sends `Ready` once, then for each task some `Progress` and one `Finished` or `Failed`. It ends with its pipe
while it waits, by SIGTERM while it works, and with its parent at any time.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from maskflow_convert.errors import PluginError
from maskflow_convert.executors import do
from maskflow_convert.interrupts import STOPPING, deferred

_SECONDS_BETWEEN_PROGRESS = 0.1
_ORPHANED = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has started, and waits for a task."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So many images of the task are done."""

    images: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is done."""

    packed: bytes

    def result(self) -> Any:
        """What the work returned."""
        return pickle.loads(self.packed)  # noqa: S301


@dataclass(frozen=True, slots=True)
class Failed:
    """There is an exception instead of a result; of one that cannot be unpickled, there is what it says."""

    packed: bytes
    told: str

    @classmethod
    def by(cls, error: BaseException) -> Failed:
        """An exception, with a note of where it was raised."""
        told = f"{type(error).__name__}: {error}"
        error.add_note(f"In a worker process:\n{''.join(traceback.format_exception(error))}")
        try:
            return cls(pickle.dumps(error), told)
        except Exception:  # its class may be somebody else's, and raise anything
            return cls(b"", told)

    def result(self) -> NoReturn:
        """Raise the exception, or a PluginError that says the same."""
        try:
            error = pickle.loads(self.packed)  # noqa: S301
        except Exception:  # as in `by`
            error = PluginError(f"{self.told} (in a worker process, which cannot hand on the exception itself)")
        raise error


Message = Ready | Progress | Finished | Failed


def pack(value: object, what: str) -> bytes:
    """Pickle a value.

    Raises:
        PluginError: it does not pickle.
    """
    try:
        return pickle.dumps(value)
    except Exception as error:  # a record is of somebody else's class, and may raise anything
        raise PluginError(
            f"{what} does not pickle, so it cannot be sent to another process: {error}; set `run.executor: serial`, or "
            "tell the adapter's author"
        ) from error


def serve(pipe: Connection, packed_prepare: bytes, packed_work: bytes) -> None:
    """Do tasks as they come through the pipe, until it ends. Signals are blocked when this begins."""
    _end_with_parent()
    try:
        _take_signals()
        with suppress(EOFError, ConnectionError):  # the parent wants no more
            _serve(pipe, packed_prepare, packed_work)
        signal.signal(signal.SIGTERM, lambda *_: None)  # it ends anyway, and that is no time to be interrupted
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)


def _end_with_parent() -> None:
    """Watch the parent in a thread, and end at once when it is gone, also in the middle of a task."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(_ORPHANED)

    threading.Thread(target=watch, daemon=True).start()


def _take_signals() -> None:
    """Leave Ctrl-C to the parent; at SIGTERM unwind as at Ctrl-C, once, so that no partial file is left."""

    def unwind(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, unwind)
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def _serve(pipe: Connection, packed_prepare: bytes, packed_work: bytes) -> None:
    try:
        with deferred():
            work = prepared(packed_prepare, packed_work)
    except Exception as error:
        pipe.send(Failed.by(error))
        return
    pipe.send(Ready())
    while True:
        packed_task = pipe.recv_bytes()
        counter = Counter(lambda images: pipe.send(Progress(images)), _SECONDS_BETWEEN_PROGRESS)
        answer = answer_to(work, packed_task, counter)
        counter.send()
        pipe.send(answer)


def prepared(packed_prepare: bytes, packed_work: bytes) -> Callable[..., object]:
    """Prepare, then import the work; all of that is here to stay, and not for the garbage collector to go through."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads for algebra that nothing here does
    gc.disable()
    _unpacked(packed_prepare)()
    work: Callable[..., object] = _unpacked(packed_work)
    gc.freeze()
    gc.enable()
    return work


def answer_to(work: Callable[..., object], packed_task: bytes, tick: Callable[[], None]) -> Finished | Failed:
    """What came of one task; KeyboardInterrupt is no answer."""
    try:
        return Finished(pack(do(work, _unpacked(packed_task), tick), "what came of a task"))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failed.by(error)


def _unpacked(packed: bytes) -> Any:
    try:
        return pickle.loads(packed)  # noqa: S301
    except Exception as error:  # as in `pack`
        raise PluginError(
            f"a record or an option of an adapter does not unpickle in another process: {error}; put its class into a "
            "module that can be imported there, or set `run.executor: serial`"
        ) from error


class Counter:
    """Counts the images of one task, and tells how many there are now and then.

    Attributes:
        images: so many are done.
    """

    def __init__(self, tell: Callable[[int], None], seconds: float) -> None:
        self.images = 0
        self._tell = tell
        self._seconds = seconds
        self._due = time.monotonic() + seconds

    def __call__(self) -> None:
        """An image is done."""
        self.images += 1
        if time.monotonic() >= self._due:
            self.send()

    def send(self) -> None:
        """Tell it now."""
        self._tell(self.images)
        self._due = time.monotonic() + self._seconds
