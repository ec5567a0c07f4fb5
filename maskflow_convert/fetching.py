"""Remote files fetched before their turn: while one is worked on, threads fetch the next few.

What comes out is in the order of what was asked for, whatever arrives first, and so are the errors.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from maskflow_convert.remote import AT_HAND, RemotePath

THREADS = 8

AHEAD = 16
"""So many are begun before their turn."""

MOST_BYTES = 64 * 2**20
"""Nothing more is begun while what waits for its turn takes as much."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """Something, and the content of the files that are needed for it, or why one could not be had."""

    subject: T
    files: Mapping[RemotePath, bytes | Exception]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(content) for content in self.files.values() if isinstance(content, bytes))


def fetch_files(paths: Iterable[RemotePath]) -> Mapping[RemotePath, bytes | Exception]:
    """The content of each file, by one request, or what a reader of it shall be told."""
    return {path: _content_or_error(path) for path in dict.fromkeys(paths)}


def _content_or_error(path: RemotePath) -> bytes | Exception:
    try:
        return path.fetched()
    except Exception as error:
        return error


def fetched_ahead(paths: Iterable[Path]) -> Iterator[Path]:
    """The same paths, in their order; what they hold is at hand for whoever reads it before taking the next."""
    rest = iter(paths)
    for path in rest:
        if isinstance(path, RemotePath):
            try:
                for future in in_order(_fetch, chain([path], rest)):
                    fetched = future.result()
                    AT_HAND.files = fetched.files
                    yield fetched.subject
            finally:
                AT_HAND.files = {}
        else:
            yield path


def _fetch(path: Path) -> Fetched[Path]:
    return Fetched(path, fetch_files([path] if isinstance(path, RemotePath) else ()))


def in_order(work: Callable[[T], Fetched[Any]], tasks: Iterable[T]) -> Generator[Future[Fetched[Any]], None, None]:
    """What `work` makes of each task in turn, or raises, done by threads ahead of that."""
    rest = iter(tasks)
    waiting: deque[Future[Fetched[Any]]] = deque()
    threads = _Threads(THREADS)
    try:
        while True:
            room = AHEAD - len(waiting) if _size(waiting) < MOST_BYTES else not waiting
            waiting.extend(threads.begin(work, task) for task in islice(rest, room))
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        for future in waiting:
            future.cancel()
        threads.end()


def _size(waiting: Iterable[Future[Fetched[Any]]]) -> int:
    """Bytes of all that has arrived."""
    return sum(each.result().size for each in waiting if each.done() and each.exception() is None)


class _Threads:
    """A few threads that do not keep the process from ending, as a request may take a minute."""

    def __init__(self, count: int) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._count = count
        for _ in range(count):
            threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, work: Callable[[T], Fetched[Any]], task: T) -> Future[Fetched[Any]]:
        future: Future[Fetched[Any]] = Future()
        self._work.put(lambda: _do(future, work, task))
        return future

    def end(self) -> None:
        for _ in range(self._count):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _do(future: Future[Fetched[Any]], work: Callable[[T], Fetched[Any]], task: T) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work(task))
        except BaseException as error:  # an adapter is somebody else's code, and may even end the program
            future.set_exception(error)
