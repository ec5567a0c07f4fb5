"""Images with their masks, to be looked at: from a configuration before anything is written, or from written records.

Records are read as their layout says, so that a mask that lies in the wrong place is seen there.
"""

from __future__ import annotations

import difflib
import hashlib
import heapq
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskflow_convert.characters import visible
from maskflow_convert.checks import Depth
from maskflow_convert.config import Config, OnError
from maskflow_convert.errors import ConfigError, DataError
from maskflow_convert.examine import Examiner, measured
from maskflow_convert.image import encode_png, read_header
from maskflow_convert.image.overlay import Rgb, encode_jpeg
from maskflow_convert.issues import Issue
from maskflow_convert.plan import Item
from maskflow_convert.prepare import DataSet, prepare
from maskflow_convert.record import Glance, Layout, glance, parse
from maskflow_convert.record_checks import Contract, check_record
from maskflow_convert.records import Records
from maskflow_convert.scene import Scene, label_of, of_sample
from maskflow_convert.scene import stored as of_record
from maskflow_convert.tfrecord import first_records, scan_records

T = TypeVar("T")

SIDE = 1024
"""Longest side of a picture that is a file, in screen pixels."""

GALLERY_SIDE = 800
"""Longest side of a picture in the gallery."""

_CLASSES_TOLD = 20  # where one is asked for that is none

_LOOKED_AT = 24  # records of a file, where a few of any are to be shown
_LONGEST = 64 * 2**20  # bytes of such a record
_MOST_PIXELS = 40_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """What to show.

    Attributes:
        limit: at most so many images.
        seed: another one, other images.
        only: objects of these classes, and images that have any; None for all.
        issues: objects with issues, and images that have any.
    """

    limit: int = 24
    seed: int = 0
    only: frozenset[str] | None = None
    issues: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """An image with its objects.

    Attributes:
        name: of the image.
        split: it belongs to; empty where nothing tells it.
        labels: the number of objects of each class.
        issues: what is to be said against the image or its objects.
        scene: what there is to be drawn.
    """

    name: str
    split: str
    labels: Counter[str]
    issues: tuple[Issue, ...]
    scene: Scene

    @property
    def legend(self) -> str:
        """The number of objects of each class, and what a picture says in the place of its name where it has to."""
        signs = {thing.label: thing.sign for thing in self.scene.things}
        told = {name: f" ({sign})" if sign != visible(name) else "" for name, sign in signs.items()}
        return ", ".join(f"{name}{told[name]} {count:,}" for name, count in self.labels.most_common())

    def drawn(self, side: int) -> Rgb:
        """The image with its objects."""
        return self.scene.drawn(side)

    def bare(self, side: int) -> Rgb:
        """The image alone."""
        return self.scene.bare(side)

    def png(self) -> bytes:
        """The picture as a file."""
        return encode_png(self.drawn(SIDE))

    def jpegs(self) -> tuple[bytes, bytes]:
        """The image alone and with its objects, for the gallery."""
        return encode_jpeg(self.bare(GALLERY_SIDE)), encode_jpeg(self.drawn(GALLERY_SIDE))


def preview_annotations(
    config: Config, choice: Choice, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[Preview]:
    """Images of a configuration, drawn by a hash of their keys; those that cannot be shown are left out.

    Args:
        config: of the data set.
        choice: what to show of it.
        on_progress: gets the number of images looked at, and of all.

    Raises:
        ConfigError: as `maskflow_convert.errors` says, or there is no class of a name that was chosen.
        PluginError, SourceError: see `maskflow_convert.errors`.
    """
    data_set = prepare(config.model_copy(update={"on_error": OnError.SKIP_OBJECT}))
    _refuse_unknown(choice, data_set.classes.names)
    images = data_set.shards.images
    hashes = np.array([_hash(choice.seed, item.entry.key) for item in images], dtype="S8")
    order = _counted(np.argsort(hashes, kind="stable").tolist(), len(hashes), on_progress)
    look = _Look(data_set, choice)
    found = (look.at(images[number]) for number in order)
    return islice((preview for preview in found if preview is not None), choice.limit)


def preview_records(
    records: Records,
    choice: Choice,
    layout: Layout | str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Preview]:
    """Written records, drawn by a hash of their places; those that cannot be shown are left out.

    Args:
        records: the files.
        choice: what to show of them.
        layout: of files that no manifest lies beside.
        on_progress: gets the number of records looked at, and of all, if a manifest tells that.

    Raises:
        ConfigError: the layout is not known, or there is no class of a name that was chosen.
    """
    stored = _Stored.of(records, layout)
    if records.manifest:
        _refuse_unknown(choice, stored.classes.values())
    count = sum(shard.images for shard in records.manifest.shards) if records.manifest else 0
    scanned = ((path, *numbered) for path in records.paths for numbered in enumerate(scan_records(path)))
    candidates = (
        (_hash(choice.seed, f"{path.name} {number}"), path, data)
        for path, number, data in _counted(scanned, count, on_progress if count else None)
        if isinstance(data, bytes) and _judged(stored, data, choice) is not None
    )
    for _, path, data in heapq.nsmallest(choice.limit, candidates, key=lambda each: each[0]):
        if (preview := _of_record(stored, path, data, choice)) is not None:
            yield preview


def _refuse_unknown(choice: Choice, classes: Collection[str]) -> None:
    """Refuse to look for a class that the data set does not have: nothing would be found, for a slip of the pen.

    Raises:
        ConfigError: one was chosen.
    """
    for name in sorted((choice.only or frozenset()).difference(classes)):
        near = difflib.get_close_matches(name, classes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(list(classes)[:_CLASSES_TOLD])}"
        raise ConfigError(f"--only {name}: there is no such class; {hint}")


def _counted(things: Iterable[T], count: int, on_progress: Callable[[int, int], None] | None) -> Iterator[T]:
    for done, thing in enumerate(things, start=1):
        yield thing
        if on_progress is not None:
            on_progress(done, count)


def preview_some(records: Records, limit: int) -> Iterator[Preview]:
    """Records with objects from the beginnings of the files, all splits in turn: at once, however much there is.

    The files must have a manifest, and so a layout. Very large records and images are passed over. Of all that is read
    no more than one record is held at a time.
    """
    stored = _Stored.of(records, None)
    paths = _dealt(records.paths, stored.splits, most=4 * limit)
    streams = deque((path, first_records(path, _LOOKED_AT, _LONGEST)) for path in paths)
    left = limit
    while streams and left:
        path, stream = streams.popleft()
        preview = _next_with_objects(stored, path, stream)
        if preview is not None:
            yield preview
            del preview
            left -= 1
            streams.append((path, stream))


def _dealt(paths: Iterable[Path], splits: Mapping[str, str], most: int) -> list[Path]:
    """At most so many of the files: of each split one by a hash, then another one of each, and so on."""
    by_split: dict[str, list[Path]] = {}
    for path in sorted(paths, key=lambda path: _hash(0, path.name)):
        by_split.setdefault(splits[path.name], []).append(path)
    turns = zip_longest(*(by_split[split] for split in sorted(by_split)))
    return [path for turn in turns for path in turn if path is not None][:most]


def _next_with_objects(stored: _Stored, path: Path, stream: Iterator[bytes]) -> Preview | None:
    """The next record of a file that has objects and an image that is not too large."""
    for data in stream:
        record = glance(data)
        header = read_header(record.png) if record else None
        if record and header and header.width * header.height <= _MOST_PIXELS:
            preview = _shown(stored, path, record, (), Choice())
            if preview is not None and preview.labels:
                return preview
    return None


def _hash(seed: int, key: str) -> bytes:
    return hashlib.blake2b(f"preview\0{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


class _Look:
    """Looks at the images of a data set for what was chosen."""

    def __init__(self, data_set: DataSet, choice: Choice) -> None:
        self._data_set = data_set
        self._choice = choice
        self._examiner = Examiner(data_set.config, data_set.classes, data_set.adapters, depth=Depth.VALIDATE)

    def at(self, item: Item) -> Preview | None:
        """What an image has of what was chosen; None if it has nothing, or cannot be shown."""
        issues = self._examined(item) if self._choice.issues else ()
        if self._choice.issues and not issues:
            return None
        try:
            scene = of_sample(self._data_set.read(item), self._data_set.config.image, self._data_set.classes.ids)
        except (Exception, SystemExit):  # an adapter is somebody else's code; `validate` tells what is wrong with it
            return None
        name_of = self._data_set.classes.name_of
        things = [
            thing if thing.class_id is None else replace(thing, label=name_of(thing.class_id)) for thing in scene.things
        ]
        return _chosen(item.entry.key, item.split, replace(scene, things=tuple(things)), issues, self._choice)

    def _examined(self, item: Item) -> tuple[Issue, ...]:
        self._examiner.issues.clear()
        self._examiner.examine(item, partial(measured, self._data_set.config.image))
        return tuple(self._examiner.issues)


@dataclass(frozen=True)
class _Stored:
    """What is known of the records beforehand: their layout, their classes by id, and the splits of the files by name.

    It is put together once, as there may be 10,000 classes and 100,000 files.
    """

    layout: Layout
    classes: Mapping[int, str]
    splits: Mapping[str, str]

    @classmethod
    def of(cls, records: Records, layout: Layout | str | None) -> _Stored:
        known, manifest = records.known_layout(layout), records.manifest
        if manifest is None:
            return cls(known, {}, {})
        classes = {each.id: each.name for each in manifest.classes}
        return cls(known, classes, {shard.name: shard.split for shard in manifest.shards})


def _judged(stored: _Stored, data: bytes, choice: Choice) -> tuple[Glance, tuple[Issue, ...]] | None:
    """A record and, if they were chosen, its issues; None if it cannot be read or has nothing of what was chosen."""
    record = glance(data)
    if record is None:
        return None
    issues = _faults(data, Contract(stored.layout, classes=stored.classes or None)) if choice.issues else ()
    labels = {label_of(stored.classes, class_id) for class_id in record.class_ids.tolist()}
    unwanted = choice.only is not None and choice.only.isdisjoint(labels)
    return None if unwanted or (choice.issues and not issues) else (record, issues)


def _faults(data: bytes, contract: Contract) -> tuple[Issue, ...]:
    record, faults = parse(data)
    return (*faults, *(check_record(record, contract) if record else ()))


def _of_record(stored: _Stored, path: Path, data: bytes, choice: Choice) -> Preview | None:
    """What a record has of what was chosen; None if it has nothing, or cannot be shown."""
    judged = _judged(stored, data, choice)
    return None if judged is None else _shown(stored, path, *judged, choice)


def _shown(stored: _Stored, path: Path, record: Glance, issues: tuple[Issue, ...], choice: Choice) -> Preview | None:
    try:
        scene = of_record(record, stored.layout, stored.classes)
    except DataError:
        return None
    return _chosen(record.basename, stored.splits.get(path.name, ""), scene, issues, choice)


def _chosen(name: str, split: str, scene: Scene, issues: tuple[Issue, ...], choice: Choice) -> Preview | None:
    things = [thing for thing in scene.things if choice.only is None or thing.label in choice.only]
    faulty = {issue.object for issue in issues if issue.object is not None}
    if faulty:
        things = [thing for thing in things if thing.name in faulty]
    if choice.only is not None and not things:
        return None
    labels = Counter(thing.label for thing in things)
    return Preview(name, split, labels, issues, replace(scene, things=tuple(things)))
