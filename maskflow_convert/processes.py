"""One `map` over shards in several processes of this machine.

The parent deals the tasks out one at a time, over a pipe to each worker, so that it knows what a worker had that dies.
"""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from maskflow_convert.backlog import Backlog, Job, given_up
from maskflow_convert.executors import ResultT, TaskT, Tick
from maskflow_convert.interrupts import deferred
from maskflow_convert.spawn import Worker, end_of, start, stop
from maskflow_convert.worker import Failed, Finished, Message, Progress, Ready, pack

_LOG = logging.getLogger(__name__)

_SECONDS_TO_WAIT = 0.1
_REMEDY = "if memory is short, take fewer workers (`run.workers`)"


def run_in_processes(
    work: Callable[[TaskT, Tick], ResultT],
    tasks: Sequence[TaskT],
    on_progress: Callable[[int], None],
    *,
    workers: int,
    prepare: Callable[[], None],
    retries: int = 1,
) -> Iterator[ResultT]:
    """As `run_serially`, the results in the order of the tasks; `prepare` runs first in every worker.

    A task is made when its turn comes, at most one a worker ahead. When a worker dies, a warning is logged and the task
    that it had is tried once more by a new one, up to `retries` times; a task is called by its `name` if it has one.

    Raises:
        OutputError: a worker died of a task, and so did all others; or there cannot be so many processes.
        PluginError: a task, or what came of it, cannot be sent from one process to another.
    """
    start_worker = partial(start, pack(prepare, "what a worker needs"), pack(work, "an option of an adapter"))
    pool = _Pool(Backlog(tasks, workers=workers), start_worker, on_progress, retries)
    try:
        pool.start(workers)
        for number in range(len(tasks)):
            yield pool.answer_to(number).result()
    finally:
        stop(pool.workers)


class _Pool:
    """The workers, and what they answered."""

    def __init__(
        self,
        backlog: Backlog[Any],
        start_worker: Callable[[Sequence[Worker]], Worker],
        on_progress: Callable[[int], None],
        retries: int,
    ) -> None:
        self.workers: list[Worker] = []
        self._backlog = backlog
        self._start_worker = start_worker
        self._on_progress = on_progress
        self._retries = retries
        self._answers: dict[int, Finished | Failed] = {}
        self._deaths: Counter[int | None] = Counter()
        self._images = 0
        self._images_told = 0

    def start(self, workers: int) -> None:
        """Start so many more workers."""
        for _ in range(workers):
            with deferred():
                self.workers.append(self._start_worker(self.workers))

    def answer_to(self, number: int) -> Finished | Failed:
        """What came of a task, once it is there; each is asked for once, in their order."""
        while number not in self._answers:
            self._deal_out(number)
            self._listen()
            self._tell_progress()
        return self._answers.pop(number)

    def _deal_out(self, wanted: int) -> None:
        for worker in self.workers:
            if worker.waits and (job := self._backlog.take(wanted)):
                worker.job = job
                _send(worker, job)
        self._backlog.refill(wanted)

    def _listen(self) -> None:
        """Wait for a moment until a worker says something, or dies."""
        speaking = wait([worker.pipe for worker in self.workers if not worker.waits], _SECONDS_TO_WAIT)
        for worker in [each for each in self.workers if each.pipe in speaking]:
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                self._replace(worker)
            else:
                self._heed(worker, message)

    def _heed(self, worker: Worker, message: Message) -> None:
        match message:
            case Ready():
                worker.ready = True
                if worker.job is not None:
                    _send(worker, worker.job)
            case Progress():
                worker.images = message.images
            case Finished() | Failed() if worker.job is not None:
                self._answer(worker.job, message)
                self._images += worker.images
                worker.job, worker.images = None, 0
            case Failed():
                message.result()

    def _answer(self, job: Job, answer: Finished | Failed) -> None:
        self._answers[job.number] = answer
        if isinstance(answer, Failed):
            self._backlog.end_at(job.number)

    def _replace(self, dead: Worker) -> None:
        """Start another worker, and give it what the dead one had, unless that was tried often enough."""
        self.workers.remove(dead)
        number = dead.job.number if dead.job else None
        self._deaths[number] += 1
        what = "the start of a worker" if number is None else self._backlog.name(number)
        told = f"{what}: its worker process {end_of(dead)}"
        self.start(1)
        if self._deaths[number] <= self._retries:
            _LOG.warning("%s; it is tried once more", told)
            self.workers[-1].job = dead.job
            return
        error = given_up(told, self._retries, _REMEDY)
        if dead.job is None:
            raise error
        self._answer(dead.job, Failed(pickle.dumps(error), str(error)))

    def _tell_progress(self) -> None:
        """The images done, and never fewer than before, although those of a worker that died are done again."""
        self._images_told = max(self._images_told, self._images + sum(worker.images for worker in self.workers))
        self._on_progress(self._images_told)


def _send(worker: Worker, job: Job) -> None:
    with suppress(OSError):  # it died while it waited, which is found when it is listened to
        worker.pipe.send_bytes(job.packed)
