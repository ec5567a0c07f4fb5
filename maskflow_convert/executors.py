"""How a run is divided: serially, or over processes (`maskflow_convert.processes`, imported when it is asked for).

The caller cannot tell from the results which it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Literal, TypeVar

from maskflow_convert.interrupts import deferred

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

Tick = Callable[[], None]
"""Called by the work whenever an image is done."""

_IMAGES_WORTH_A_START = 64  # a process starts in the time that these take


def worker_count(workers: int | Literal["auto"], *, tasks: int, images: int) -> int:
    """How many processes a run takes: never more than there are tasks, nor than pay for their own start."""
    wanted = min(processors(), images // _IMAGES_WORTH_A_START) if workers == "auto" else workers
    return max(1, min(wanted, tasks))


def processors() -> int:
    """How many this process may run on: in a batch job or a container often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_serially(
    work: Callable[[TaskT, Tick], ResultT], tasks: Sequence[TaskT], on_progress: Callable[[int], None]
) -> Iterator[ResultT]:
    """`work` on each task in turn; `on_progress` gets the number of images done."""
    done = count(1)
    for task in tasks:
        yield do(work, task, lambda: on_progress(next(done)))


def do(work: Callable[[TaskT, Tick], ResultT], task: TaskT, tick: Tick) -> ResultT:
    """`work` on one task; Ctrl-C and SIGTERM are heeded between images, where nothing swallows them."""
    with deferred() as let_through:

        def tick_and_heed() -> None:
            tick()
            let_through()

        return work(task, tick_and_heed)
