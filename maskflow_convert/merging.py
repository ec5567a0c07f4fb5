"""The shares of all nodes, put together: one data set, byte for byte what a single run would have written.

Nothing is indexed and no adapter is asked: what a run knows beside its shards, the first node has left in a file. So it
can be done where the sources are not, in the time that it takes to read the reports of the shards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path

from pydantic import TypeAdapter

from maskflow_convert import manifest
from maskflow_convert.completion import complete, describe
from maskflow_convert.copies import fetch
from maskflow_convert.errors import ConfigError, OutputError
from maskflow_convert.issues import Issue
from maskflow_convert.manifest import Manifest
from maskflow_convert.origin import check_unchanged, finish
from maskflow_convert.output import Existing, clear, failures_told_of, is_of_nodes, names_in, remove, reserved, sizes_in
from maskflow_convert.outset import Outset
from maskflow_convert.pipeline import OnProgress
from maskflow_convert.remote import path_of
from maskflow_convert.report import Report
from maskflow_convert.shard import ShardReport, ShardResult, find_report
from maskflow_convert.shares import Shares
from maskflow_convert.whole_files import duplicate

PathOrName = str | PathLike[str]


def merge(
    directories: PathOrName | Sequence[PathOrName],
    *,
    output: PathOrName | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Make one data set of the shares that nodes have written, each by `convert(config, node="2/8")`.

    It is what a single run would have written, byte for byte. What is wrong with the data set as a whole is found now,
    as a single run finds it at its end. What is put together already stays as it is.

    Args:
        directories: the directory that all nodes have written to, or those that each has written to.
        output: where to write; omitted: the one directory, where the shares become the data set. Elsewhere the shards
            are linked or copied to, and the shares stay what they are.
        on_progress: called now and then.

    Returns:
        What a single run returns; of what is put together already, without areas and sizes of images.

    Raises:
        OutputError: shards are missing or damaged, or are there twice and differ; the shares are of different runs; or
            something cannot be read or written.
        IssueError: something is wrong with the data set as a whole, and the configuration makes it an error.
        ConfigError: of several directories, none is named to write to.
    """
    named = [directories] if isinstance(directories, str | PathLike) else directories
    folders = list({(path := path_of(each).absolute()).resolve(): path for each in named}.values())
    target = _target(folders, output)
    with failures_told_of(target, *folders), ExitStack() as stack:
        for folder in folders:
            if not folder.is_dir():
                raise OutputError(f"{folder}: there is no such directory")
        for folder in dict.fromkeys([*folders, target]):
            stack.enter_context(reserved(folder))
        shares = Shares.in_folders(folders)
        if target not in folders:
            return _merged_elsewhere(target, shares, on_progress)
        return _merged_before(target, shares) or _merged_in_place(target, shares, on_progress)


def _target(folders: Sequence[Path], output: PathOrName | None) -> Path:
    """Where to write: to one of the folders only if there is no other."""
    if not folders:
        raise ConfigError("there is nothing to merge: name what the nodes have written to, a directory or several")
    if output is None and len(folders) > 1:
        raise ConfigError("the shares are in several directories; name another one to write to, by --output")
    target = folders[0] if output is None else path_of(output).absolute()
    for folder in folders:
        if folder.resolve() == target.resolve():
            if len(folders) > 1:
                raise ConfigError(f"{target}: holds one of several shares; choose another --output")
            return folder
    return target


def _merged_in_place(folder: Path, shares: Shares, on_progress: OnProgress | None) -> Report:
    """Have the one folder hold all that a data set has, and what nodes have left for this no longer."""
    shares.check()
    clear(folder, Existing.RESUME)
    report = _completed(folder, shares, shares.stored.outset, _results(shares, on_progress))
    _remove_notes(folder)
    return report


def _merged_elsewhere(target: Path, shares: Shares, on_progress: OnProgress | None) -> Report:
    """Have another folder hold it; until then that is marked as unfinished."""
    shares.check()
    check_unchanged(target, shares.run.fingerprint, shares.run.origin, remedy="choose another --output")
    clear(target, Existing.RESUME)
    shares.run.origin.write(target)
    results = _results(shares, on_progress, target)
    report = _completed(target, shares, shares.stored.outset.moved_to(target), results)
    finish(target)
    return report


def _completed(folder: Path, shares: Shares, outset: Outset, results: Iterator[ShardResult]) -> Report:
    """Write what belongs to the shards."""
    stored = shares.stored
    written, report = complete(folder, outset, issues=stored.issues(), results=results, numbered=stored.numbered())
    if (sources := outset.sources) is not None:
        describe(folder, written, report, lambda: sources)
    return report


def _results(shares: Shares, on_progress: OnProgress | None, target: Path | None = None) -> Iterator[ShardResult]:
    """What came of each shard in the order of the plan; each is in the target by then, if there is one."""
    there = _sizes_in(target) if target else {}
    images, total = 0, sum(split.images for split in shares.run.plan)
    for folder, report in shares.reports():
        if target is not None:
            _bring(report, folder, target, there)
        images += report.counts.images_found
        if on_progress is not None:
            on_progress(images, total)
        yield report.result


def _sizes_in(target: Path) -> Mapping[str, int]:
    """As `sizes_in`; a remote folder that nothing is in is none."""
    try:
        return sizes_in(target)
    except FileNotFoundError:
        return {}


def _bring(report: ShardReport, folder: Path, target: Path, there: Mapping[str, int]) -> None:
    """Have a shard in the target, its report last, unless it is there.

    Raises:
        OutputError: it cannot be.
    """
    name = Path(report.name).stem
    if f"{name}.json" in there and find_report(target, name, there) == report:
        return
    for file in (report.name, f"{name}.json"):
        try:
            duplicate(folder / file, target / file)
        except OSError as error:
            raise OutputError(f"{target / file}: cannot be written: {error.strerror or error}") from error


def _merged_before(folder: Path, shares: Shares) -> Report | None:
    """What was put together in a folder before, if it was: it has a manifest, and the notes are going or gone.

    Raises:
        OutputError: what is there is not whole, or a note that is left is of another run.
    """
    sizes = shares.files[folder]
    if manifest.FILE_NAME not in sizes or shares.are_complete:
        return None
    written = Manifest.read(folder)
    if any(part.fingerprint != written.fingerprint for _, part in shares.notes):
        raise OutputError(f"{folder}: holds a finished data set, and shares of another; remove what is not needed")
    if lacking := [shard.name for shard in written.shards if sizes.get(shard.name) != shard.bytes]:
        raise OutputError(f"{folder}: holds a finished data set, of which {lacking[0]} is missing or damaged")
    _remove_notes(folder)
    report = Report(
        {each.name: each.id for each in written.classes},
        splits={name: counts.tally for name, counts in written.splits.items()},
        unplaced=written.unplaced.tally,
        shards=[Path(shard.name).stem for shard in written.shards],
    )
    report.list_issues(_issues_in(folder))
    return report


def _issues_in(folder: Path) -> Iterator[Issue]:
    path, issue = folder / "issues.jsonl", TypeAdapter(Issue)
    try:
        with fetch(path).open(encoding="utf-8", errors="surrogateescape") as file:
            yield from (issue.validate_python(json.loads(line)) for line in file)
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error


def _remove_notes(folder: Path) -> None:
    """Remove what nodes have left beside their shards.

    Raises:
        OutputError: it cannot be removed.
    """
    for name in sorted(filter(is_of_nodes, names_in(folder))):
        remove(folder / name)
