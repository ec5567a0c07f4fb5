"""What the installed adapters find in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from maskflow_convert import registry
from maskflow_convert.config import Source, is_split_name
from maskflow_convert.discovery import Confidence, Found, LeftOut, Tree
from maskflow_convert.errors import MaskflowError, SourceError
from maskflow_convert.registry import AnyAdapter

_SOURCE_KEYS = ("adapter", "split")


@dataclass(frozen=True)
class Candidate:
    """A data set that was found, the adapter that found it, and its sources as a configuration has them.

    `name` is its path, from the folder that was searched on.
    """

    adapter: str
    name: str
    found: Found
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Search:
    """What came of the search: data sets, the surest first; what was left out; and what is wrong with adapters."""

    tree: Tree
    candidates: Sequence[Candidate]
    left_out: Sequence[LeftOut]
    faults: Sequence[str]


def search(folder: Path) -> Search:
    """Have every installed adapter look into a folder.

    Raises:
        SourceError: the folder cannot be listed.
    """
    try:
        tree = Tree.of(folder, pass_over=_are_records)
    except (OSError, RuntimeError) as error:  # a circle of links is now the one, now the other
        raise SourceError(f"cannot be looked into: {getattr(error, 'strerror', error)}", folder) from error
    adapters, broken = registry.load_installed()
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    faults = [str(error) for error in broken]
    for name, adapter in adapters.items():
        try:
            for found in _discoveries(name, adapter, tree):
                if isinstance(found, LeftOut):
                    left_out.append(found)
                else:
                    candidates.append(found)
        except _FaultError as fault:
            faults.append(str(fault))
    candidates.sort(key=lambda each: -each.found.confidence)
    return Search(tree, candidates, left_out, faults)


def _are_records(names: Iterable[str]) -> bool:
    """Whether the files of a folder are what `convert` writes."""
    names = set(names)
    return "dataset.json" in names and any(name.endswith(".tfrecord") for name in names)


class _FaultError(Exception):
    """An adapter does not look into folders as it should."""


def _discoveries(name: str, adapter: type[AnyAdapter], tree: Tree) -> Iterator[Candidate | LeftOut]:
    """What an adapter finds.

    Raises:
        _FaultError: it fails, or finds what it cannot read itself.
    """
    try:
        found = list(adapter.discover(tree))
    except (Exception, SystemExit) as error:  # an adapter is somebody else's code, and may raise anything
        told = str(error) if isinstance(error, MaskflowError) else f"{type(error).__name__}: {error}"
        raise _FaultError(f"{registry.describe(name)} failed to look into the folder: {told}") from error
    for each in found:
        match each:
            case LeftOut(path=Path(), reason=str()):
                yield each
            case Found(path=Path(), reason=str(), sources=[_, *_], confidence=Confidence(), notes=[*_]):
                sources = tuple(_source(name, adapter, options) for options in each.sources)
                yield Candidate(name, tree.told(each.path), each, sources)
            case _:
                raise _FaultError(f"{registry.describe(name)} found {each!r}, which is not a Found with sources")


def _source(name: str, adapter: type[AnyAdapter], given: object) -> Source:
    if not isinstance(given, Mapping):
        raise _FaultError(f"{registry.describe(name)} found the source {given!r}, which is not a mapping")
    split = given.get("split")
    options = {key: value for key, value in given.items() if key not in _SOURCE_KEYS}
    try:
        if split is not None and not is_split_name(split):
            raise ValueError(f"{split!r} is not a name for a split")
        return Source(adapter=name, split=split, options=adapter.Options.model_validate(options))
    except (ValidationError, ValueError) as error:
        raise _FaultError(f"{registry.describe(name)} found what its own options refuse: {error}") from error


def left_out_lines(found: Search) -> Iterator[str]:
    """What was left out and why, files of one kind together."""
    by_reason: dict[str, list[str]] = {}
    for each in found.left_out:
        by_reason.setdefault(each.reason, []).append(found.tree.told(each.path))
    for reason, paths in by_reason.items():
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: {reason}"
