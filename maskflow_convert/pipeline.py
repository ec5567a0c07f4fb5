"""Conversion from end to end, or of one node's share, and its rehearsal: what the command line and Python call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from maskflow_convert import copies, registry
from maskflow_convert.cluster.connection import require
from maskflow_convert.cluster.needs import Needs
from maskflow_convert.completion import check_balance, complete, describe, told
from maskflow_convert.config import Answer, Config, load_config
from maskflow_convert.errors import ConfigError, IssueError, OutputError
from maskflow_convert.executors import Tick, run_serially, worker_count
from maskflow_convert.nodes import Node
from maskflow_convert.origin import FILE_NAME, Origin, check_copies, check_unchanged, finish, source_paths
from maskflow_convert.output import Existing, clear, failures_told_of, names_in, reserved, sweep
from maskflow_convert.outset import Outset, numbered_images
from maskflow_convert.parts import Part, make_room
from maskflow_convert.plan import Shard
from maskflow_convert.prepare import DataSet, prepare
from maskflow_convert.provenance import SourceFacts, sources_of
from maskflow_convert.report import OnIssue, Report
from maskflow_convert.shard import ShardResult, convert_shard, find_report, rehearse_shard

_LOG = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

OnProgress = Callable[[int, int], None]
"""Gets the number of images done, and of all images."""


def convert(
    config: Config | Path | str,
    *,
    existing: Existing = Existing.REFUSE,
    node: Node | str | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Convert the data set that a configuration describes to maskflow TFRecords.

    Args:
        config: a configuration, or the path of its YAML file.
        existing: what to do with a data set that is already in the output directory; with `node`, with its share.
        node: one of several that share the work, as in `2/8`: only its shards are written, and only they are in the
            report. `merge` makes a data set of all shares, and tells what is wrong with it as a whole.
        on_progress: called now and then.

    Raises:
        IssueError: an issue of severity error, and `on_error` is `stop`; or one of the data set as a whole.
        ConfigError, PluginError, SourceError, OutputError: see `maskflow_convert.errors`.
    """
    config = config if isinstance(config, Config) else load_config(config)
    sharer = None if node is None else Node.of(node)
    folder = config.output.directory
    if folder is None:
        raise ConfigError("there is no output directory: set `output.directory`, or give --output")
    require(config.run)
    data_set = prepare(config)
    _refuse(data_set)
    with reserved(folder, sharer), failures_told_of(folder):
        if sharer is not None:
            return _convert_share(data_set, sharer, folder, existing, on_progress)
        origin = Origin.of(data_set)
        if Existing(existing) is Existing.RESUME:
            check_unchanged(folder, data_set.fingerprint, origin)
        clear(folder, existing)
        origin.write(folder)
        with _going_on_told_of():
            report = _convert(data_set, folder, on_progress)
        finish(folder)
    return report


@contextmanager
def _going_on_told_of() -> Iterator[None]:
    """Tell whom the output fails that nothing is lost."""
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{error}; what is done is kept, and --resume goes on from there") from error


def _convert(data_set: DataSet, folder: Path, on_progress: OnProgress | None) -> Report:
    """Write all of a data set of which there is no shard yet in the output directory, and the rest of its files."""
    manifest, report = complete(
        folder,
        Outset.of(data_set),
        issues=data_set.issues(),
        results=_shards(data_set, folder, FILE_NAME, on_progress),
        numbered=numbered_images(data_set),
    )
    if data_set.config.output.card:
        describe(folder, manifest, report, lambda: list(sources_of(data_set)))
    return report


def _convert_share(
    data_set: DataSet, node: Node, folder: Path, existing: Existing, on_progress: OnProgress | None
) -> Report:
    """Write the shards of a node of which there is none yet, and what is needed to put all shares together."""
    part, share = Part.of(data_set, node), data_set.share(node)
    make_room(folder, part, existing)
    part.begin(folder)
    with _going_on_told_of():
        report = _report_of_share(share, _shards(share, folder, part.note, on_progress))
        if node.number == 1:
            outset = Outset.of(data_set).model_copy(update={"sources": _sources(data_set)})
            outset.write(folder / part.outset, data_set.issues(), numbered_images(data_set))
        part.finish(folder, report)
    return report


def _sources(data_set: DataSet) -> list[SourceFacts] | None:
    """What a card tells of the sources; None if there is to be no card, or it cannot be told."""
    try:
        return list(sources_of(data_set)) if data_set.config.output.card else None
    except Exception as error:  # as in `describe`
        _LOG.warning("the data set will have no card, as its sources cannot be told of: %s", told(error))
        return None


def _shards(data_set: DataSet, folder: Path, note: str, on_progress: OnProgress | None) -> Iterator[ShardResult]:
    """What came of each shard, in the order of the plan; those that are done already are not done again.

    `note` is the name of the file that says what is being written to the folder.

    Raises:
        SourceError: at the end, a remote file that all of them were made from has changed meanwhile.
    """
    there = set(names_in(folder))
    pieces = (piece for piece in data_set.shards.pieces if f"{piece.name}.json" in there)
    done = {piece.name for piece in pieces if find_report(folder, piece.name)}
    rest = replace(data_set, shards=data_set.shards.without(done))
    work = partial(convert_shard, data_set.config, data_set.classes, folder)
    fresh = iter(run_over_shards(work, rest, on_progress, folder / note))
    for piece in data_set.shards.pieces:
        report = find_report(folder, piece.name) if piece.name in done else None
        yield report.result if report else next(fresh)
    sweep(folder, {piece.name for piece in data_set.shards.pieces})
    check_copies(data_set)


def rehearse(
    config: Config | Path | str, *, node: Node | str | None = None, on_progress: OnProgress | None = None
) -> Report:
    """Do everything that a conversion does but open the images and write: exact counts, sizes estimated.

    Only an image whose size its annotation does not state is looked into, for that.

    Args:
        config: a configuration, or the path of its YAML file.
        node: one of several that share the work, as in `convert`.
        on_progress: called now and then.

    Raises:
        IssueError, ConfigError, PluginError, SourceError: as in `convert`.
    """
    config = config if isinstance(config, Config) else load_config(config)
    require(config.run)
    data_set = prepare(config)
    _refuse(data_set)
    work = partial(rehearse_shard, data_set.config, data_set.classes)
    if node is not None:
        share = data_set.share(Node.of(node))
        return _report_of_share(share, run_over_shards(work, share, on_progress))
    report, whole = new_report(data_set), Outset.of(data_set).judge()
    for result in run_over_shards(work, data_set, on_progress):
        report.add(result.split, result.tally, result.issues)
        whole.add(report, result.split, result.census)
    whole.conclude(report)
    check_balance(report, data_set.shards.splits)
    report.shards = data_set.shards.names
    return report


def run_over_shards(
    work: Callable[[Shard, Tick], ResultT],
    data_set: DataSet,
    on_progress: OnProgress | None,
    note: Path | None = None,
) -> Iterator[ResultT]:
    """What `work` makes of all shards in the order of the plan, done by the executor of the configuration.

    `note` is a file by which another machine can tell the output directory, if there is one.
    """

    def progress(done: int) -> None:
        if on_progress is not None:
            on_progress(done, data_set.n_images)

    run = data_set.config.run
    adapters = [source.adapter for source in data_set.config.sources]
    if run.executor == "ray":
        from maskflow_convert.cluster.tasks import run_on_ray

        needs = Needs.of(adapters, source_paths(data_set), note)
        tidy = partial(copies.leave, needs.folder)
        return run_on_ray(work, data_set.shards, progress, run=run, prepare=needs.meet, tidy=tidy)
    workers = (
        1
        if run.executor == "serial"
        else worker_count(run.workers, tasks=len(data_set.shards), images=data_set.n_images)
    )
    if workers == 1:
        return run_serially(work, data_set.shards, progress)
    from maskflow_convert.processes import run_in_processes

    load = partial(registry.load_all, adapters)
    return run_in_processes(work, data_set.shards, progress, workers=workers, prepare=load, retries=run.retries)


def _refuse(data_set: DataSet) -> None:
    """Stop at what is wrong with a source if the configuration makes it an error and it costs nothing.

    There is nothing to skip then, whatever `on_error` says.

    Raises:
        IssueError: there is such an issue.
    """
    errors = {code for code, answer in data_set.config.issues.items() if answer is Answer.ERROR}
    for issue in data_set.issues() if errors else ():
        if issue.code in errors and issue.loss is None:
            raise IssueError(issue)


def new_report(data_set: DataSet, on_issue: OnIssue | None = None) -> Report:
    """A report with what is known before the first shard."""
    report = Report(data_set.classes.numbered(), on_issue=on_issue)
    for issue in data_set.issues():
        report.add_unplaced(issue)
    return report


def _report_of_share(share: DataSet, results: Iterable[ShardResult]) -> Report:
    """What came of a share, and nothing else: what is wrong with the sources is not of one node more than of another.

    Raises:
        MaskflowError: the books do not add up.
    """
    report = Report(share.classes.numbered(), shards=share.shards.names)
    for result in results:
        report.add(result.split, result.tally, result.issues)
    check_balance(report, share.shards.splits)
    return report
