"""Work for executors; it lies here and not in a test so that a fresh process can import it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from maskflow_convert.catalogue import Severity
from maskflow_convert.errors import IssueError
from maskflow_convert.issues import Issue

prepared: list[int] = []


def prepare() -> None:
    prepared.append(os.getpid())


def double(task: int, tick: Callable[[], None]) -> tuple[int, int, list[int]]:
    """Twice the task, the process that did it, and the processes that were prepared; the first tasks take longest."""
    time.sleep(max(0.0, 0.3 - task * 0.1))
    for _ in range(task):
        tick()
    return 2 * task, os.getpid(), list(prepared)


def stumble(task: int, tick: Callable[[], None]) -> int:
    if task == 1:
        raise IssueError(Issue("image-missing", "gone", Severity.ERROR, record="a.png", path="x/a.png"))
    return task


def perish(task: int, tick: Callable[[], None]) -> int:
    os._exit(7)
