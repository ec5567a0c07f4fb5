"""The share of a node in an output directory, which may be that of all nodes.

Beside its shards and their reports, a node writes

    unfinished-2-of-8.json   a note of what it makes, from before its first shard until the mark is there
    node-2-of-8.json         the mark that its share is done
    node-1-of-8.jsonl        the first node only: what it takes to put the shares together, see `outset`
    node-2-of-8.lock         on this machine, and only while it writes: see `output`

and nobody else writes these, so that all nodes may write at once, also where there are no locks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from maskflow_convert import manifest, origin
from maskflow_convert.errors import ConfigError, OutputError
from maskflow_convert.manifest import SplitCounts
from maskflow_convert.nodes import Node
from maskflow_convert.origin import Origin
from maskflow_convert.output import BESIDE, Existing, is_of_nodes, names_in, remove, replace_text, shard_of, unusable
from maskflow_convert.plan import PlannedSplit
from maskflow_convert.prepare import DataSet
from maskflow_convert.report import Report
from maskflow_convert.shape import Model


class Part(Model):
    """What a node notes of its share.

    Attributes:
        node: whose it is.
        fingerprint: that of the data set, as the manifest will have it.
        origin: what the data set is made from.
        plan: all shards of the data set.
        counts: what came of the share, by split; in the mark only.
    """

    node: Node
    fingerprint: str
    origin: Origin
    plan: Sequence[PlannedSplit]
    counts: Mapping[str, SplitCounts] | None = None

    @classmethod
    def of(cls, data_set: DataSet, node: Node) -> Part:
        """What a node that makes its share of a data set notes."""
        return cls(
            node=node,
            fingerprint=data_set.fingerprint,
            origin=Origin.of(data_set),
            plan=data_set.shards.splits,
        )

    @property
    def note(self) -> str:
        """The name of its file while the share is not done."""
        return f"unfinished-{self.node.name}.json"

    @property
    def mark(self) -> str:
        """The name of its file when the share is done."""
        return f"node-{self.node.name}.json"

    @property
    def outset(self) -> str:
        """The name of the file that the first node leaves for who puts the shares together."""
        return f"node-{Node(1, self.node.count).name}.jsonl"

    @property
    def shards(self) -> list[str]:
        """The names of all shards of the data set, in the order of the plan."""
        return [name for split in self.plan for name in split.names()]

    def differences(self, other: Part) -> list[str]:
        """Why another share is none of the same run, if it is none."""
        if self.node.count != other.node.count:
            return [f"of {self.node.count} nodes, and not of {other.node.count}"]
        changes = list(self.origin.changes(other.origin))
        same = changes or (self.fingerprint, self.plan) == (other.fingerprint, other.plan)
        return changes if same else ["its classes or its shards are others"]

    def begin(self, folder: Path) -> None:
        """Note that the share is not done, or no longer.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(folder / self.note)
        remove(folder / self.mark)

    def finish(self, folder: Path, report: Report) -> None:
        """Mark the share as done.

        Raises:
            OutputError: it cannot be written.
        """
        counts = {name: SplitCounts(**tally.to_dict()) for name, tally in report.splits.items()}
        self.model_copy(update={"counts": counts})._write(folder / self.mark)
        remove(folder / self.note)

    def _write(self, path: Path) -> None:
        replace_text(path, json.dumps(self.model_dump(mode="json")) + "\n")


def parts_in(folder: Path, names: Collection[str]) -> Iterator[tuple[str, Part]]:
    """The notes and marks of nodes among the files of a folder, by name.

    Raises:
        OutputError: one cannot be read, or is not of this version.
    """
    for name in sorted(name for name in names if is_of_nodes(name) and name.endswith(".json")):
        try:
            part = Part.model_validate(json.loads((folder / name).read_text(encoding="utf-8")))
            if name not in (part.note, part.mark):
                raise ValueError(f"it is the note of node {part.node}")
        except FileNotFoundError:  # a mark has taken its place meanwhile
            continue
        except (OSError, ValueError, RecursionError, ConfigError) as error:
            told = f"{folder / name}: cannot be read; remove it, and begin anew with that node"
            raise OutputError(told) from error
        yield name, part


def make_room(folder: Path, part: Part, existing: Existing) -> None:
    """Make an output directory ready for a share. Nothing of another node or another run is ever removed.

    Nodes begin at any time, so that what lies there may be what another one has just written. Therefore to overwrite is
    to overwrite the own share.

    Raises:
        OutputError: there is the share of this node, and it is to be kept, or was made from something else; there is
            something of another run; or the folder cannot be used.
    """
    existing = Existing(existing)
    try:
        names = set(names_in(folder))
        parts = dict(parts_in(folder, names))
        for obstacle in _obstacles(part, parts, names):
            raise OutputError(f"{folder}: holds {obstacle}; choose another --output, or remove it first")
        own = names & _files_of(part)
        if own and existing is Existing.REFUSE:
            told = f"holds a share of node {part.node} already; give --resume to go on with it, or --overwrite"
            raise OutputError(f"{folder}: {told}")
        whole = [name for name in own if not name.endswith(".partial")]
        if whole and existing is Existing.RESUME and (changes := _changes(part, parts)):
            told = f"the share of node {part.node} cannot be gone on with: {'; '.join(changes)}"
            raise OutputError(f"{folder}: {told}; give --overwrite to begin anew")
        for name in sorted(own, key=lambda name: name != part.mark):  # what makes it done first
            if existing is Existing.OVERWRITE or name.endswith(".tfrecord.partial"):
                (folder / name).unlink()
    except OSError as error:
        raise unusable(folder, error) from error


def _obstacles(part: Part, parts: Mapping[str, Part], names: Collection[str]) -> Iterator[str]:
    """What there is that is not of this run."""
    if manifest.FILE_NAME in names:
        yield "a finished data set, no part of which a node replaces"
    if origin.FILE_NAME in names:
        yield "an unfinished data set of a run without --node"
    for name, other in parts.items():
        if other.node != part.node and (changes := other.differences(part)):
            yield f"{name}, which is of another run: {'; '.join(changes)}"
    shards = set(part.shards)
    for name in sorted(names):
        if (shard := shard_of(name)) is not None and shard not in shards:
            yield f"{name}, which does not belong to this data set"
    if not parts and (strange := sorted(BESIDE & set(names))):
        yield f"{' and '.join(strange)}, and no data set that it belongs to"


def _files_of(part: Part) -> set[str]:
    """What the files of a share are called, whole or partial."""
    names = [f"{shard}.{suffix}" for shard in part.node.share(part.shards) for suffix in ("tfrecord", "json")]
    names += [part.note, part.mark, *([part.outset] if part.node.number == 1 else [])]
    return {each for name in names for each in (name, f"{name}.partial")}


def _changes(part: Part, parts: Mapping[str, Part]) -> list[str]:
    """Why what a node has written is of no use to it."""
    before = parts.get(part.note) or parts.get(part.mark)
    return before.differences(part) if before else ["nothing there says what it was made from"]
