"""The tasks that are still to be dealt out, made and pickled when their turn comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from maskflow_convert.errors import OutputError
from maskflow_convert.executors import TaskT
from maskflow_convert.worker import pack

_AHEAD = 8  # tasks a worker that may be done before an earlier one is


@dataclass(frozen=True, slots=True)
class Job:
    """A task by its number, and as it is sent."""

    number: int
    packed: bytes


class Backlog(Generic[TaskT]):
    """The tasks that no worker has yet.

    Attributes:
        workers: how many there are to do them.
    """

    def __init__(self, tasks: Sequence[TaskT], *, workers: int) -> None:
        self.workers = workers
        self._tasks = tasks
        self._at_hand: deque[Job] = deque()
        self._next = 0
        self._end = len(tasks)

    def take(self, wanted: int) -> Job | None:
        """The next task; None if that would be too far ahead of the task whose result is wanted."""
        self._pack(1, wanted)
        return self._at_hand.popleft() if self._at_hand else None

    def refill(self, wanted: int) -> None:
        """Have tasks at hand before they are taken, one for each worker."""
        self._pack(self.workers, wanted)

    def end_at(self, number: int) -> None:
        """Begin nothing after a task that failed, as its exception comes before their results."""
        self._end = min(self._end, number)

    def name(self, number: int) -> str:
        """What a task is called."""
        task = self._tasks[number]
        return str(getattr(task, "name", task))

    def _pack(self, count: int, wanted: int) -> None:
        limit = min(self._end, wanted + _AHEAD * self.workers)
        while len(self._at_hand) < count and self._next < limit:
            self._at_hand.append(Job(self._next, pack(self._tasks[self._next], "a record of an adapter")))
            self._next += 1


def given_up(told: str, retries: int, remedy: str) -> OutputError:
    """What to say of a task whose worker died each time; `told` is how it did so the last time."""
    match retries:
        case 0:
            again = ""
        case 1:
            again = ", also when it was tried once more"
        case _:
            again = f", also when it was tried {retries} times more"
    return OutputError(f"{told}{again}; {remedy}")
