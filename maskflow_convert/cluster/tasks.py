"""One `map` over shards on Ray, whose tasks they are: it says where each runs, and whether its worker lives.

Imported only when it is asked for, and then by workers on other machines, too.
"""

from __future__ import annotations

import logging
import pickle
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from maskflow_convert import worker
from maskflow_convert.backlog import Backlog, Job, given_up
from maskflow_convert.cluster.connection import address_of, connected
from maskflow_convert.config import Resources, Run
from maskflow_convert.errors import ConfigError, OutputError
from maskflow_convert.executors import ResultT, TaskT, Tick
from maskflow_convert.worker import Failed, Finished, pack

_LOG = logging.getLogger(__name__)

_SECONDS_TO_WAIT = 0.2
_SECONDS_BETWEEN_PROGRESS = 0.5
_SECONDS_BETWEEN_LOOKS = 5.0  # at which nodes there are
_SECONDS_FOR_A_NODE = 600.0  # that an autoscaler may take
_SECONDS_TO_END = 3.0
_SECONDS_TO_START = 5.0
_QUEUED = 2  # tasks for each that can run, so that none waits for us, and an autoscaler sees what is wanted
_FINEST = 10_000  # Ray counts its resources in parts of so many
_REMEDY = "if memory is short, have Ray set some aside for each shard (`run.resources.memory`)"


def run_on_ray(
    work: Callable[[TaskT, Tick], ResultT],
    tasks: Sequence[TaskT],
    on_progress: Callable[[int], None],
    *,
    run: Run,
    prepare: Callable[[], None],
    tidy: Callable[[], None],
) -> Iterator[ResultT]:
    """As `run_in_processes`, on a cluster; `prepare` runs first in every worker, `tidy` at the end on every node.

    Raises:
        ConfigError: Ray cannot be used; or no node has room for a task, or what is needed to do one.
        OutputError: the workers of a task died, each time that it was tried.
        PluginError: a task, or what came of it, cannot be sent from one process to another.
    """
    kit = pack((pack(prepare, "what a worker needs"), pack(work, "an option of an adapter")), "what a worker needs")
    with connected(run):
        running = _Running(Backlog(tasks, workers=1), _Room(run), kit, on_progress, run)
        try:
            for number in range(len(tasks)):
                yield running.answer_to(number).result()
        finally:
            running.stop()
            if address_of(run) is not None:
                _on_every_node(tidy)


class _Room:
    """How many tasks can run at the same time, as nodes come and go."""

    def __init__(self, run: Run) -> None:
        needs = {"CPU": run.resources.cpus, "memory": run.resources.memory, **run.resources.custom}
        self._needs = {name: amount for name, amount in needs.items() if amount is not None}
        self._patience = 0.0 if address_of(run) is None else _SECONDS_FOR_A_NODE
        self._count = 0
        self._due = 0.0
        self._since: float | None = None

    def count(self) -> int:
        """So many; 0 for as long as an autoscaler may need to start a node that has room for one.

        Raises:
            ConfigError: there is none after that.
        """
        if time.monotonic() >= self._due:
            self._count = sum(_fitting(node["Resources"], self._needs) for node in ray.nodes() if node["Alive"])
            self._due = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            self._watch()
        return self._count

    def _watch(self) -> None:
        now = time.monotonic()
        if self._count:
            self._since = None
            return
        wanted = ", ".join(f"{name}: {amount:,.15g}" for name, amount in self._needs.items())
        told = f"no node of the Ray cluster has what each shard is to have, {wanted} (see `run.resources`)"
        if now - (self._since or now) >= self._patience:
            raise ConfigError(told)
        if self._since is None:
            _LOG.warning("%s; waiting for one", told)
            self._since = now


def _fitting(resources: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """How many times what is needed is there."""
    return min(int(resources.get(name, 0) * _FINEST) // round(amount * _FINEST) for name, amount in needs.items())


class _Running:
    """The tasks that Ray has, and what came of those that it had."""

    def __init__(
        self, backlog: Backlog[Any], room: _Room, kit: bytes, on_progress: Callable[[int], None], run: Run
    ) -> None:
        self._do = _with_resources(run.resources)
        self._kit = kit
        self._backlog = backlog
        self._room = room
        self._workers = None if run.workers == "auto" else run.workers
        self._retries = run.retries
        self._jobs: dict[Any, Job] = {}
        self._answers: dict[int, Finished | Failed] = {}
        self._deaths: Counter[int] = Counter()
        self._progress = _Progress(on_progress)

    def answer_to(self, number: int) -> Finished | Failed:
        """What came of a task, once it is there; each is asked for once, in their order."""
        while number not in self._answers:
            self._deal_out(number)
            self._listen()
            self._progress.tell({job.number for job in self._jobs.values()})
        return self._answers.pop(number)

    def stop(self) -> None:
        """Have what is being done end between two images; what takes longer ends with the connection."""
        refs = list(self._jobs)
        with suppress(RayError):  # it is lost, and with it all that it did
            self._progress.end()
            if refs:
                ray.wait(refs, num_returns=len(refs), timeout=_SECONDS_TO_END)

    def _deal_out(self, wanted: int) -> None:
        room = self._room.count()
        self._backlog.workers = self._workers or max(1, room)
        most = self._workers or max(1, _QUEUED * room)
        while len(self._jobs) < most and (job := self._backlog.take(wanted)):
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._jobs[self._do.remote(self._kit, job.packed, job.number, self._progress.actor)] = job

    def _listen(self) -> None:
        """Wait for a moment until a task has ended."""
        refs = list(self._jobs)
        ready, _ = ray.wait(refs, timeout=_SECONDS_TO_WAIT)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            self._heed(self._jobs.pop(ref), ref)

    def _heed(self, job: Job, ref: Any) -> None:
        try:
            answer, images = ray.get(ref)
        except RayTaskError as error:
            if not isinstance(error.cause, RayError):  # what happens in a task is an answer, so it was none
                raise _unable(str(error)) from error
            self._try_again(job, error.cause)
        except LocalRayletDiedError as error:
            raise OutputError(f"the connection to Ray is lost: {error}") from error
        except RayError as error:
            self._try_again(job, error)
        else:
            self._progress.done(images)
            self._answer(job, answer)

    def _answer(self, job: Job, answer: Finished | Failed) -> None:
        self._answers[job.number] = answer
        if isinstance(answer, Failed):
            self._backlog.end_at(job.number)

    def _try_again(self, job: Job, error: RayError) -> None:
        """Have a task done once more whose worker has died, unless that was tried often enough."""
        told = f"{self._backlog.name(job.number)}: {_end_of(error)}"
        self._deaths[job.number] += 1
        if self._deaths[job.number] <= self._retries:
            _LOG.warning("%s; it is tried once more", told)
            self._begin(job)
        else:
            failure = given_up(told, self._retries, _REMEDY)
            self._answer(job, Failed(pickle.dumps(failure), str(failure)))


def _with_resources(needs: Resources) -> Any:
    """`_do`, as Ray is to do it.

    Raises:
        ConfigError: Ray does not take what is asked for.
    """
    wanted = {"num_cpus": needs.cpus, "memory": needs.memory, "resources": dict(needs.custom)}
    try:
        return ray.remote(_do).options(**wanted, max_retries=0)
    except ValueError as error:
        raise ConfigError(f"run.resources: {error}") from error


def _unable(told: str) -> ConfigError:
    """What to say of a node that could not even begin; Ray tells where it is, and at last the reason."""
    place = re.search(r"\bip=([\w.:]+)", told)
    node = f"the node {place[1]}" if place else "a node"
    reason = told.rstrip().rpartition("\n")[2]
    return ConfigError(
        f"{node} of the Ray cluster cannot do any work: {reason}; on every node there has to be the maskflow-convert "
        "that the run was started with"
    )


def _end_of(error: RayError) -> str:
    """What has happened to a worker, or to what came from it."""
    match error:
        case OutOfMemoryError():
            return "its worker was ended by Ray, as the memory of the node ran out"
        case NodeDiedError():
            return "the node of its worker has died"
        case WorkerCrashedError():
            return "its worker process has died"
        case _:
            return f"what came of it is lost ({type(error).__name__})"


def _on_every_node(call: Callable[[], None]) -> None:
    """Call something on each node that is there, and wait for a moment until that is done."""
    with suppress(RayError):  # there is nothing to be done on a node that dies
        calls = [
            ray.remote(_call)
            .options(num_cpus=0, max_retries=0, scheduling_strategy=_on(node["NodeID"]))
            .remote(pickle.dumps(call))
            for node in ray.nodes()
            if node["Alive"]
        ]
        ray.wait(calls, num_returns=len(calls), timeout=_SECONDS_TO_END)


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


class _Progress:
    """How many images are done, in tasks that have ended and in those that run."""

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        here = ray.get_runtime_context().get_node_id()
        self.actor = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=_on(here)).remote()
        self._on_progress = on_progress
        self._asked = self.actor.take.remote()
        self._under_way: dict[int, int] = {}
        self._done = 0
        self._told = 0

    def done(self, images: int) -> None:
        """A task with so many images has ended."""
        self._done += images

    def end(self) -> None:
        """Tell the workers to stop. The actor has to be there for that; Ray is loud about one that never was."""
        ray.wait([self.actor.stop.remote()], timeout=_SECONDS_TO_START)

    def tell(self, running: set[int]) -> None:
        """Tell it, and never less than before, although the images of a worker that died are done again."""
        with suppress(RayError):  # without the actor there are the tasks that have ended
            if ray.wait([self._asked], timeout=0)[0]:
                self._under_way |= ray.get(self._asked)
                self._asked = self.actor.take.remote()
        self._under_way = {number: images for number, images in self._under_way.items() if number in running}
        self._told = max(self._told, self._done + sum(self._under_way.values()))
        self._on_progress(self._told)


class _Board:
    """Where workers write how many images of their task are done, and read whether they are to go on.

    It is an actor of Ray, which all of them reach. Ray can cancel tasks, too, but may bring down the one who asks.
    """

    def __init__(self) -> None:
        self._images: dict[int, int] = {}
        self._goes_on = True

    def write(self, number: int, images: int) -> bool:
        """Whether to go on."""
        self._images[number] = images
        return self._goes_on

    def take(self) -> dict[int, int]:
        """What was written since this was asked last."""
        taken, self._images = self._images, {}
        return taken

    def stop(self) -> None:
        """Nobody is to go on."""
        self._goes_on = False


class _Stopped(BaseException):
    """A task is not to go on."""


class _Line:
    """From a worker to the board. The work goes on without it when there is no board any more."""

    def __init__(self, board: Any, number: int) -> None:
        self._board = board
        self._number = number
        self._answer: Any = None

    def begin(self) -> None:
        """Ask whether the task is still wanted.

        Raises:
            _Stopped: it is not.
        """
        self._write(0)
        with suppress(RayError):
            ray.wait([self._answer], timeout=_SECONDS_TO_START)
            self._heed()

    def __call__(self, images: int) -> None:
        """Write how many images are done, and heed what was answered the last time, without waiting for anything.

        Raises:
            _Stopped: the task is not to go on.
        """
        with suppress(RayError):
            self._heed()
            self._write(images)

    def _write(self, images: int) -> None:
        self._answer = self._board.write.remote(self._number, images)

    def _heed(self) -> None:
        if ray.wait([self._answer], timeout=0)[0] and not ray.get(self._answer):
            raise _Stopped


def _do(kit: bytes, packed_task: bytes, number: int, board: Any) -> tuple[Finished | Failed, int]:
    """Runs in a worker of Ray: one task, and what came of it; and of how many images that was."""
    line = _Line(board, number)
    counter = worker.Counter(line, _SECONDS_BETWEEN_PROGRESS)
    with _ends_tidily():
        try:
            line.begin()
            work = _prepared(kit)
        except (Exception, _Stopped) as error:
            return Failed.by(error), 0
        return worker.answer_to(work, packed_task, counter), counter.images


@lru_cache(maxsize=1)
def _prepared(kit: bytes) -> Callable[..., object]:
    return worker.prepared(*pickle.loads(kit))  # noqa: S301


@contextmanager
def _ends_tidily() -> Iterator[None]:
    """At SIGTERM unwind as at Ctrl-C, so that no partial file is left, and then end as Ray would have at once."""
    terminated = False

    def unwind(*_: object) -> None:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if terminated:
            signal.raise_signal(signal.SIGTERM)


def _call(packed: bytes) -> None:
    pickle.loads(packed)()  # noqa: S301
