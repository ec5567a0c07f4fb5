"""What several nodes have written, seen together: whether it is of one run, and every shard is there, whole and once.

A shard that is there twice counts as once if both copies have the same SHA-256: then a node did its share again
elsewhere, and it does not matter which copy is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path

from maskflow_convert.errors import OutputError
from maskflow_convert.fetching import fetched_ahead
from maskflow_convert.nodes import Node
from maskflow_convert.output import shard_of, sizes_in, unusable
from maskflow_convert.outset import StoredOutset
from maskflow_convert.parts import Part, parts_in
from maskflow_convert.shard import ShardReport, find_report

_MOST_TOLD = 20
"""Shards that a message names, of one node."""


@dataclass(frozen=True)
class Shares:
    """The files of some folders, by name with their sizes, and the notes and marks of nodes among them."""

    files: Mapping[Path, Mapping[str, int]]
    notes: Sequence[tuple[Path, Part]]

    @classmethod
    def in_folders(cls, folders: Iterable[Path]) -> Shares:
        """What is in some folders.

        Raises:
            OutputError: a folder or a note cannot be read.
        """
        files = {folder: _listed(folder) for folder in folders}
        notes = [(folder / name, part) for folder, names in files.items() for name, part in parts_in(folder, names)]
        return cls(files, notes)

    @property
    def run(self) -> Part:
        """Any of the notes: what all shares have in common."""
        return self.notes[0][1]

    @cached_property
    def done(self) -> Mapping[int, Path]:
        """The folders of the shares that are marked as done, by the number of the node."""
        return {part.node.number: path.parent for path, part in self.notes if path.name == part.mark}

    @property
    def are_complete(self) -> bool:
        """Whether all nodes have marked their shares as done, and the first one's file for `merge` is there."""
        if not self.notes or len(self.done) < self.run.node.count:
            return False
        return self.run.outset in self.files[self.done[1]]

    @cached_property
    def stored(self) -> StoredOutset:
        """What the first node has left.

        Raises:
            OutputError: it cannot be read.
        """
        return StoredOutset(self.done[1] / self.run.outset)

    def check(self) -> None:
        """Make sure that the shares are of one run, and that nothing is missing.

        Raises:
            OutputError: they are not; or something is, and what, and whose it was.
        """
        if not self.notes:
            raise OutputError(
                f"{self._where}: nodes have written nothing there; a node is run by `convert CONFIG --node I/N`"
            )
        (first, run), *others = self.notes
        for path, part in others:
            if changes := run.differences(part):
                raise OutputError(f"{first} and {path} are of different runs: {'; '.join(changes)}")
        if strange := sorted(self._strange()):
            raise OutputError(f"{strange[0]}: does not belong to this data set; remove it if it is not needed")
        if lacking := list(self._lacking()):
            told = f"{self._where}: the shares of {len(lacking)} of {run.node.count} nodes are not done"
            raise OutputError("\n  ".join([told, *lacking]) + "\nrun these nodes with --resume, then merge again")

    def reports(self) -> Iterator[tuple[Path, ShardReport]]:
        """The report of each shard in the order of the plan, and the folder that it is in.

        Raises:
            OutputError: at the end, some shards are not whole, or there twice and not the same; and whose they were.
        """
        faults = []
        for (name, node), copies in zip(self._owners.items(), self._copies(), strict=True):
            if not copies:
                faults.append(f"{name} of node {node}: its records or its report are damaged")
            elif len({report.sha256 for report in copies.values()}) > 1:
                faults.append(f"{name} of node {node}: differs between {' and '.join(map(str, copies))}")
            else:
                yield next(iter(copies.items()))
        if faults:
            told = f"{self._where}: {len(faults)} of {len(self._owners)} shards cannot be taken"
            remedy = "remove what is not needed, run the nodes of the rest with --resume, then merge again"
            raise OutputError("\n  ".join([told, *faults[:_MOST_TOLD]]) + f"\n{remedy}")

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self.files))

    @cached_property
    def _nodes(self) -> Sequence[Node]:
        return [Node(number, self.run.node.count) for number in range(1, self.run.node.count + 1)]

    @cached_property
    def _owners(self) -> Mapping[str, Node]:
        """All shards in the order of the plan, and the nodes that make them."""
        return dict(zip(self.run.shards, cycle(self._nodes), strict=False))

    @cached_property
    def _homes(self) -> Mapping[str, Sequence[Path]]:
        """The folders that have both files of a shard, by its name."""
        homes: dict[str, list[Path]] = {name: [] for name in self._owners}
        for folder, names in self.files.items():
            for file in names:
                name = file.removesuffix(".tfrecord")
                if file != name and name in homes and f"{name}.json" in names:
                    homes[name].append(folder)
        return homes

    def _copies(self) -> Iterator[Mapping[Path, ShardReport]]:
        """The copies of each shard in the order of the plan, as far as they are whole: their reports by folder."""
        ahead = fetched_ahead(folder / f"{name}.json" for name, homes in self._homes.items() for folder in homes)
        for name, homes in self._homes.items():
            found = {
                folder: find_report(folder, name, self.files[folder]) for folder, _ in zip(homes, ahead, strict=False)
            }
            yield {folder: report for folder, report in found.items() if report is not None}

    def _lacking(self) -> Iterator[str]:
        """The nodes whose shares are not done, and what is missing of them."""
        begun = {part.node for _, part in self.notes}
        missing: dict[Node, list[str]] = defaultdict(list)
        for name, node in self._owners.items():
            if not self._homes[name]:
                missing[node].append(name)
        for node in self._nodes:
            state = "is done" if node.number in self.done else "was stopped" if node in begun else "was not run"
            if names := missing[node]:
                yield f"node {node} {state}; missing: {_some(names)}"
            elif node.number not in self.done:
                yield f"node {node} {state}; no shard of it is missing"

    def _strange(self) -> Iterator[Path]:
        """Files of shards that are not of this data set."""
        for folder, names in self.files.items():
            yield from (folder / each for each in names if (name := shard_of(each)) and name not in self._owners)


def _listed(folder: Path) -> Mapping[str, int]:
    try:
        return sizes_in(folder)
    except OSError as error:
        raise unusable(folder, error) from error


def _some(names: Sequence[str]) -> str:
    """The names, or the first of them."""
    more = f" and {len(names) - _MOST_TOLD:,} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more
