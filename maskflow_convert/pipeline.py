"""Conversion from end to end, and its rehearsal: what the command line and the Python API call."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TypeVar

from ruamel.yaml import YAML

from maskflow_convert import registry
from maskflow_convert.census import CODES, WholeDataSet
from maskflow_convert.config import Answer, Config, OnError, load_config
from maskflow_convert.errors import ConfigError, IssueError, MaskflowError, OutputError, SourceError
from maskflow_convert.executors import Tick, run_serially, worker_count
from maskflow_convert.manifest import Manifest, NamedClass, NumberedImage, ShardFile, SplitCounts
from maskflow_convert.origin import Origin, check_copies, check_unchanged, finish
from maskflow_convert.output import Existing, IssueList, clear, names_in, replace_text, reserved
from maskflow_convert.plan import Shard
from maskflow_convert.policy import Policy
from maskflow_convert.prepare import DataSet, prepare
from maskflow_convert.provenance import sources_of
from maskflow_convert.remote import path_of
from maskflow_convert.report import OnIssue, Report, Tally
from maskflow_convert.shard import ShardResult, convert_shard, find_report, rehearse_shard

_LOG = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

OnProgress = Callable[[int, int], None]
"""Gets the number of images done, and of all images."""


_NEVER_FOLDED = 2**31  # characters of a line: of several spaces in a path, a fold would leave one


def convert(
    config: Config | Path | str, *, existing: Existing = Existing.REFUSE, on_progress: OnProgress | None = None
) -> Report:
    """Convert the data set that a configuration describes to maskflow TFRecords.

    Args:
        config: a configuration, or the path of its YAML file.
        existing: what to do with a data set that is already in the output directory.
        on_progress: called now and then.

    Raises:
        IssueError: an issue of severity error, and `on_error` is `stop`; or one of the data set as a whole.
        ConfigError, PluginError, SourceError, OutputError: see `maskflow_convert.errors`.
    """
    config = config if isinstance(config, Config) else load_config(config)
    folder = config.output.directory
    if folder is None:
        raise ConfigError("there is no output directory: set `output.directory`, or give --output")
    data_set = prepare(config)
    _refuse(data_set)
    with reserved(folder), _failures_told_of(folder):
        origin = Origin.of(data_set)
        if Existing(existing) is Existing.RESUME:
            check_unchanged(folder, data_set, origin)
        clear(folder, existing)
        origin.write(folder)
        try:
            report = _convert(data_set, folder, on_progress)
        except OutputError as error:
            raise OutputError(f"{error}; what is done is kept, and --resume goes on from there") from error
        finish(folder)
    return report


@contextmanager
def _failures_told_of(folder: Path) -> Iterator[None]:
    """Have what cannot be read of the output directory, while it is written to, be a fault of that and of no source.

    Raises:
        OutputError: it is so.
    """
    try:
        yield
    except SourceError as error:
        if error.path is None or not path_of(error.path).is_relative_to(folder):
            raise
        raise OutputError(str(error)) from error


def _convert(data_set: DataSet, folder: Path, on_progress: OnProgress | None) -> Report:
    """Write all of a data set of which there is no shard yet in the output directory, and the rest of its files."""
    report = new_report(data_set)
    whole = _errors_of_the_whole(data_set.config)
    files = []
    with IssueList(folder / "issues.jsonl") as issues:
        issues.write(data_set.issues())
        for result in _shards(data_set, folder, on_progress):
            issues.write(result.issues)
            report.add(result.split, result.tally, result.issues)
            whole.add(report, result.split, result.census)
            files += [result.file] if result.file else []
        whole.conclude(report)
    check_copies(data_set)
    _balance(report, data_set)
    replace_text(folder / "config.yaml", _resolved(data_set.config))
    numbered = (NumberedImage(item.image_id, item.source, item.entry.key) for item in data_set.shards.images.numbered())
    manifest = _manifest(data_set, report, files)
    manifest.write(folder, numbered)
    if data_set.config.output.card:
        _describe(folder, data_set, manifest, report)
    return report


def _describe(folder: Path, data_set: DataSet, manifest: Manifest, report: Report) -> None:
    """Write the card of a data set that is whole without it; whatever goes wrong is told, and no more."""
    try:
        from maskflow_convert.card import write_card

        kept = write_card(folder, list(sources_of(data_set)), manifest, report)
    except Exception as error:  # pictures of data of any kind, and by libraries of others
        _LOG.warning("%s: the data set is whole, but its card could not be made: %s", folder, _told(error))
    else:
        for name in kept:
            _LOG.warning(
                "%s: is somebody else's, or was changed: it is kept, and not replaced by a card", folder / name
            )


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, MaskflowError) else f"{type(error).__name__}: {error}"


def _shards(data_set: DataSet, folder: Path, on_progress: OnProgress | None) -> Iterator[ShardResult]:
    """What came of each shard, in the order of the plan; those that are done already are not done again."""
    there = set(names_in(folder))
    pieces = (piece for piece in data_set.shards.pieces if f"{piece.name}.json" in there)
    done = {piece.name for piece in pieces if find_report(folder, piece.name)}
    rest = replace(data_set, shards=data_set.shards.without(done))
    work = partial(convert_shard, data_set.config, data_set.classes, folder)
    fresh = iter(run_over_shards(work, rest, on_progress))
    for piece in data_set.shards.pieces:
        report = find_report(folder, piece.name) if piece.name in done else None
        yield report.result if report else next(fresh)


def rehearse(config: Config | Path | str, *, on_progress: OnProgress | None = None) -> Report:
    """Do everything that a conversion does but open the images and write: exact counts, sizes estimated.

    Only an image whose size its annotation does not state is looked into, for that.

    Raises:
        IssueError, ConfigError, PluginError, SourceError: as in `convert`.
    """
    config = config if isinstance(config, Config) else load_config(config)
    data_set = prepare(config)
    _refuse(data_set)
    report = new_report(data_set)
    whole = _errors_of_the_whole(config)
    for result in run_over_shards(partial(rehearse_shard, config, data_set.classes), data_set, on_progress):
        report.add(result.split, result.tally, result.issues)
        whole.add(report, result.split, result.census)
    whole.conclude(report)
    _balance(report, data_set)
    return report


def run_over_shards(
    work: Callable[[Shard, Tick], ResultT], data_set: DataSet, on_progress: OnProgress | None
) -> Iterator[ResultT]:
    """What `work` makes of all shards in the order of the plan, done by the executor of the configuration."""

    def progress(done: int) -> None:
        if on_progress is not None:
            on_progress(done, data_set.n_images)

    run = data_set.config.run
    workers = (
        1
        if run.executor == "serial"
        else worker_count(run.workers, tasks=len(data_set.shards), images=data_set.n_images)
    )
    if workers == 1:
        return run_serially(work, data_set.shards, progress)
    from maskflow_convert.processes import run_in_processes

    adapters = [source.adapter for source in data_set.config.sources]
    return run_in_processes(
        work, data_set.shards, progress, workers=workers, prepare=partial(registry.load_all, adapters)
    )


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


def _errors_of_the_whole(config: Config) -> WholeDataSet:
    """Judges the data set as a whole by what the configuration makes an error, and stops at the first one.

    On an error of the whole there is nothing to skip, whatever `on_error` says.
    """
    policy = replace(Policy.of(config), on_error=OnError.STOP)
    return WholeDataSet(policy, policy.errors_among(CODES))


def new_report(data_set: DataSet, on_issue: OnIssue | None = None) -> Report:
    """A report with what is known before the first shard."""
    names, first_id = data_set.classes.names, data_set.classes.first_id
    report = Report({name: number for number, name in enumerate(names, start=first_id)}, on_issue=on_issue)
    for issue in data_set.issues():
        report.list_issues([issue])
        report.unplaced.lose(issue)
    return report


def _balance(report: Report, data_set: DataSet) -> None:
    """Check the books of each split.

    Raises:
        MaskflowError: the counts do not add up, which no input may bring about.
    """
    planned: Counter[str] = Counter()
    for piece in data_set.shards.pieces:
        planned[piece.split] += piece.end - piece.begin
    for split in planned.keys() | report.splits.keys():
        tally = report.splits.get(split, Tally())
        if not tally.adds_up or tally.images_found != planned[split]:
            raise MaskflowError(f"{split}: the counts do not add up, which is a fault of this program: {tally}")


def _resolved(config: Config) -> str:
    """The configuration as YAML, every default in place and every path absolute."""
    text = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.width = _NEVER_FOLDED
    yaml.dump(config.model_dump(mode="json"), text)
    return text.getvalue()


def _manifest(data_set: DataSet, report: Report, files: list[ShardFile]) -> Manifest:
    """What was written, for whoever reads it, but for the images that were numbered."""
    config = data_set.config
    return Manifest(
        layout=config.output.layout,
        compression=config.output.compression,
        channels=config.image.channels,
        depth=config.image.depth,
        classes=[NamedClass(id=data_set.classes.first_id + i, name=n) for i, n in enumerate(data_set.classes.names)],
        splits={name: SplitCounts(**tally.to_dict()) for name, tally in report.splits.items()},
        unplaced=SplitCounts(**report.unplaced.to_dict()),
        shards=files,
        fingerprint=data_set.fingerprint,
    )
