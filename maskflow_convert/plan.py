"""Which image goes into which split and shard, and under which id: decided before anything is read.

The plan depends on the index and the configuration alone, so every process and every machine makes the same one. It
goes through the index once, and keeps one number of each image.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.adapter import Entry, Index
from maskflow_convert.config import Config, ShardSize, Splits, is_split_name
from maskflow_convert.errors import ConfigError, PluginError
from maskflow_convert.nodes import Node
from maskflow_convert.repeats import Repeats

DEFAULT_SPLIT = "train"

_BYTES_PER_PIXEL = 1.7  # of an RGB photograph as PNG: the median of 100 COCO photographs
_BYTES_PER_POSITIVE = 5  # of a mask pixel: one for the object, two each for x and y
_BYTES_UNKNOWN = 1 << 20  # of an image whose size the index does not know
_BYTES_LIMIT = 1 << 31  # no record is larger


@dataclass(frozen=True, slots=True)
class Item:
    """One image in the plan: the number of its source, its index entry, its id and its split in the data set."""

    source: int
    entry: Entry[Any]
    image_id: int
    split: str

    @property
    def basename(self) -> str:
        """The name of its file, as far as the index knows it."""
        return (self.entry.file_name or self.entry.key).rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to write: `name` has no suffix, `items` are in the order of the records."""

    name: str
    split: str
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class Images:
    """All images of a data set, numbered from 0: source after source, each in the order of its index.

    An item is made whenever it is asked for, from the entry that the index makes; none is kept.

    Raises:
        PluginError: an adapter lists something else than proper entries.
    """

    config: Config
    indexes: Sequence[Index[Any]]

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, number: int) -> Item:
        source = bisect_right(self._begins, number) - 1
        return self._item(number, source, self.indexes[source].entries[number - self._begins[source]])

    def __iter__(self) -> Iterator[Item]:
        for source, index in enumerate(self.indexes):
            begin, end = self._begins[source : source + 2]
            number = begin
            for entry in index.entries:
                yield self._item(number, source, entry)
                number += 1
            if number != end:
                raise self._error(source, f"lists {number - begin} entries and says that there are {end - begin}")

    def of_source(self, source: int) -> slice:
        """The numbers of the images of one source."""
        return slice(*self._begins[source : source + 2])

    def numbered(self) -> Iterator[Item]:
        """The images whose id is their number, in the order of the ids."""
        all_are = self.config.image.ids == "sequential"
        return (item for item in self if all_are or item.entry.id is None)

    @cached_property
    def _begins(self) -> Sequence[int]:
        return [0, *accumulate(len(index.entries) for index in self.indexes)]

    def _item(self, number: int, source: int, entry: Entry[Any]) -> Item:
        if fault := _fault(entry):
            raise self._error(source, fault)
        image_id = number if entry.id is None or self.config.image.ids == "sequential" else entry.id
        return Item(source, entry, image_id, _split_of(self.config, source, entry))

    def _error(self, source: int, told: str) -> PluginError:
        return PluginError(f"{self.config.adapter_name(source)}: its index() {told}")


@dataclass(frozen=True, slots=True)
class Piece:
    """One shard of a plan: its name, its split, and where in the order of the plan its images begin and end."""

    name: str
    split: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class PlannedSplit:
    """What is planned of a split: the numbers of its shards and of its images."""

    split: str
    shards: int
    images: int

    def names(self) -> Iterator[str]:
        """The names of its shards, if these are all that there are."""
        return _names(self.split, self.shards)


@dataclass(frozen=True, eq=False)
class Plan(Sequence[Shard]):
    """The shards of a data set, each made when it is asked for.

    Attributes:
        images: all images of the data set.
        order: the numbers of the planned ones, in the order of the records.
        pieces: the shards.
        namesakes: the numbers of images whose files have the same name, or at least the same hash of it.
        digest: SHA-256 of what the plan was made from, beside the configuration.
    """

    images: Images
    order: NDArray[np.int64]
    pieces: Sequence[Piece]
    namesakes: Repeats
    digest: str

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, at: int) -> Shard: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Shard]: ...
    def __getitem__(self, at: int | slice) -> Shard | Sequence[Shard]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        piece = self.pieces[at]
        numbers = self.order[piece.begin : piece.end].tolist()
        return Shard(piece.name, piece.split, tuple(self.images[number] for number in numbers))

    @cached_property
    def n_images(self) -> int:
        """Number of images in all shards."""
        return sum(piece.end - piece.begin for piece in self.pieces)

    @property
    def names(self) -> list[str]:
        """The names of the shards."""
        return [piece.name for piece in self.pieces]

    @property
    def splits(self) -> list[PlannedSplit]:
        """What is planned of each split, in the order of the shards."""
        shards, images = Counter[str](), Counter[str]()
        for piece in self.pieces:
            shards[piece.split] += 1
            images[piece.split] += piece.end - piece.begin
        return [PlannedSplit(split, number, images[split]) for split, number in shards.items()]

    def without(self, names: Container[str]) -> Plan:
        """The shards that have none of these names."""
        return replace(self, pieces=[piece for piece in self.pieces if piece.name not in names])

    def share(self, node: Node) -> Plan:
        """The shards that a node makes."""
        return replace(self, pieces=node.share(self.pieces))

    def sampled(self, count: int) -> Plan:
        """The same shards with `count` of their images only, or with all if there are not as many.

        They are drawn by a hash of their keys: the same ones every time.
        """
        keys = (self.images[number].entry.key for number in self.order.data)
        hashes = np.fromiter((_hash("sample", 0, key) for key in keys), np.uint64, len(self.order))
        kept = np.sort(np.lexsort((self.order, hashes))[:count])
        cuts = np.searchsorted(kept, [0, *(piece.end for piece in self.pieces)]).tolist()
        pieces = [
            replace(piece, begin=begin, end=end)
            for piece, (begin, end) in zip(self.pieces, pairwise(cuts), strict=True)
        ]
        return replace(self, order=self.order[kept], pieces=pieces)


def make_plan(config: Config, indexes: Sequence[Index[Any]]) -> Plan:
    """Draw the splits, order the images, cut the shards.

    Raises:
        ConfigError: two images would have the same id.
        PluginError: an adapter gives two images the same key, or lists something else than proper entries.
    """
    images = Images(config, indexes)
    survey = _Survey(images)
    facts = survey.facts
    _check_keys(images, facts["key"])
    _check_ids(images, facts["id"])
    parts = [np.empty(0, dtype=np.int64)]
    pieces: list[Piece] = []
    for split, number in survey.splits.items():
        part = np.flatnonzero(facts["split"] == number)
        if config.output.shuffle is not None:
            part = part[np.argsort(facts["place"][part], kind="stable")]
        pieces += _pieces(split, sum(map(len, parts)), _cuts(facts["weight"][part], config.output.shard_size))
        parts.append(part)
    return Plan(images, np.concatenate(parts), pieces, Repeats.among(facts["name"]), survey.digest)


def estimated_bytes(entry: Entry[Any]) -> int:
    """Size of a record, from what the index knows of the image."""
    if not entry.pixels:
        return _BYTES_UNKNOWN
    return estimated_png_bytes(entry.pixels) + entry.positives * _BYTES_PER_POSITIVE


def estimated_png_bytes(pixels: int) -> int:
    """Size of the PNG of a photograph of so many pixels."""
    return int(pixels * _BYTES_PER_PIXEL)


_FACTS = np.dtype(
    [
        ("key", np.int64),
        ("name", np.int64),
        ("id", np.int64),
        ("split", np.int32),
        ("place", np.uint64),
        ("weight", np.int64),
    ]
)


class _Survey:
    """What is to be known of all images, gathered in one pass.

    Attributes:
        facts: `[I]`, by number: hashes of the key and of the file's name, which hold in this process only; the id;
            the number of the split; what the order of the records is drawn by; the share in the size of a shard.
        splits: the numbers of the splits.
        digest: SHA-256 of what decides the plan.
    """

    def __init__(self, images: Images) -> None:
        config = images.config
        self.splits = {name: number for number, name in enumerate(config.splits.shares if config.splits else ())}
        self._sha256 = hashlib.sha256()
        self.facts = np.fromiter(self._rows(images, config.output.shuffle, config.output.shard_size), _FACTS)
        self.digest = self._sha256.hexdigest()

    def _rows(
        self, images: Images, shuffle: int | None, size: ShardSize
    ) -> Iterator[tuple[int, int, int, int, int, int]]:
        for item in images:
            key = item.entry.key
            weight = _weight(item.entry, size)
            told = f"{item.source},{item.image_id},{item.split},{weight},{len(key)},{key}"
            self._sha256.update(told.encode("utf-8", "surrogatepass"))
            split = self.splits.setdefault(item.split, len(self.splits))
            place = 0 if shuffle is None else _hash("order", shuffle, key)
            yield hash(key), hash(item.basename), item.image_id, split, place, weight


def _weight(entry: Entry[Any], size: ShardSize) -> int:
    """What an image counts for in the size of a shard."""
    return 1 if size.unit == "images" else min(max(1, int(estimated_bytes(entry))), _BYTES_LIMIT)


def _check_keys(images: Images, hashes: NDArray[np.int64]) -> None:
    """Refuse a key that an adapter gives twice."""
    for source in range(len(images.indexes)):
        numbers = images.of_source(source)
        for place, earlier in Repeats.among(hashes[numbers]):
            key = images[numbers.start + place].entry.key
            if any(images[numbers.start + int(other)].entry.key == key for other in earlier):
                name = images.config.adapter_name(source)
                raise PluginError(f"{name}: its index() lists {key!r} twice")


def _check_ids(images: Images, ids: NDArray[np.int64]) -> None:
    """Refuse an id that two images would have."""
    for number, earlier in Repeats.among(ids):
        one, other = images[number], images[int(earlier[0])]
        raise ConfigError(
            f"{other.entry.key} of sources[{other.source}] and {one.entry.key} of sources[{one.source}] would both "
            f"have the image id {one.image_id}; set `image.ids: sequential`"
        )


def _fault(entry: object) -> str | None:
    """What an entry says that it may not; its types are those of somebody else's code."""
    if not isinstance(entry, Entry):
        return f"lists {entry!r} instead of an Entry"
    key: object = entry.key
    image_id: object = entry.id
    if not isinstance(key, str):
        return f"has a key that is not text: {key!r}"
    if image_id is not None and not (isinstance(image_id, int) and -(2**63) <= image_id < 2**63):
        return f"has an id that is not a 64-bit integer: {image_id!r}"
    if entry.split is not None and not is_split_name(entry.split):
        return f"has a split that cannot be part of a file name: {entry.split!r}"
    return None


def _split_of(config: Config, source: int, entry: Entry[Any]) -> str:
    if config.splits is not None:
        return draw_split(config.splits, entry.key)
    return config.sources[source].split or entry.split or DEFAULT_SPLIT


def draw_split(splits: Splits, key: str) -> str:
    """The split of an image, by the place of its key's hash among the shares."""
    place = _hash("split", splits.seed, key) / 2**64
    names = [name for name, share in splits.shares.items() if share]
    limits = accumulate(splits.shares[name] for name in names)
    return next((name for name, limit in zip(names, limits, strict=True) if place < limit), names[-1])


def _hash(purpose: str, seed: int, key: str) -> int:
    """64 bits that are the same on every machine, as Python's own hash is not."""
    text = f"{purpose}\0{seed}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _cuts(weights: NDArray[np.int64], size: ShardSize) -> list[int]:
    """Where pieces end that are as even as can be, none larger than `size` if they could be cut evenly."""
    total = int(weights.sum())
    pieces = -(-total // size.amount)
    if size.unit == "bytes":
        pieces = _even(pieces)
    cuts = []
    before = 0
    for end, upto in enumerate(accumulate(weights.data), start=1):
        if upto * pieces >= (before + 1) * total:
            cuts.append(end)
            before = upto * pieces // total
    return cuts


def _pieces(split: str, begin: int, cuts: Sequence[int]) -> Iterator[Piece]:
    """The shards of a split whose images begin there in the order of the plan."""
    for name, (start, end) in zip(_names(split, len(cuts)), pairwise([0, *cuts]), strict=True):
        yield Piece(name, split, begin + start, begin + end)


def _names(split: str, shards: int) -> Iterator[str]:
    """What the shards of a split are called."""
    return (f"{split}-{number:05d}-of-{shards:05d}" for number in range(shards))


def _even(pieces: int) -> int:
    """A little more than so many if need be, so that they divide well among workers and readers.

    Above 2 it is a multiple of 2, from 16 on of 4, from 32 on of 8, and so on.
    """
    if pieces <= 2:
        return pieces
    step = max(2, 1 << pieces.bit_length() >> 3)
    return -(-pieces // step) * step
