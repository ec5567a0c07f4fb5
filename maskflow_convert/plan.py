"""Which image goes into which split and shard, and under which id: decided before anything is read.

The plan depends on the index and the configuration alone, so every process and every machine makes the same one.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from maskflow_convert.adapter import Entry, Index
from maskflow_convert.config import Config, ShardSize, Splits, is_split_name
from maskflow_convert.errors import ConfigError, PluginError

DEFAULT_SPLIT = "train"

_BYTES_PER_PIXEL = 1.7  # of an RGB photograph as PNG: the median of 100 COCO photographs
_BYTES_PER_POSITIVE = 5  # of a mask pixel: one for the object, two each for x and y
_BYTES_UNKNOWN = 1 << 20  # of an image whose size the index does not know


@dataclass(frozen=True, slots=True)
class Item:
    """One image in the plan: the number of its source, its index entry, its id and its split in the data set."""

    source: int
    entry: Entry[Any]
    image_id: int
    split: str


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to write: `name` has no suffix, `items` are in the order of the records."""

    name: str
    split: str
    items: tuple[Item, ...]

    def restricted(self, image_ids: Container[int]) -> Shard:
        """The same shard with the images of these ids only."""
        return replace(self, items=tuple(item for item in self.items if item.image_id in image_ids))


def make_plan(config: Config, indexes: Sequence[Index[Any]]) -> list[Shard]:
    """Draw the splits, order the images, cut the shards.

    Raises:
        ConfigError: two images would have the same id.
        PluginError: an adapter gives two images the same key, or lists something else than proper entries.
    """
    by_split: dict[str, list[Item]] = {name: [] for name in (config.splits.shares if config.splits else ())}
    for item in _items(config, indexes):
        by_split.setdefault(item.split, []).append(item)
    shards = []
    for split, items in by_split.items():
        ordered = items if config.output.shuffle is None else _shuffled(items, config.output.shuffle)
        pieces = list(_cut(ordered, config.output.shard_size))
        shards += [
            Shard(f"{split}-{number:05d}-of-{len(pieces):05d}", split, tuple(piece))
            for number, piece in enumerate(pieces)
        ]
    return shards


def estimated_bytes(entry: Entry[Any]) -> int:
    """Size of a record, from what the index knows of the image."""
    if not entry.pixels:
        return _BYTES_UNKNOWN
    return estimated_png_bytes(entry.pixels) + entry.positives * _BYTES_PER_POSITIVE


def estimated_png_bytes(pixels: int) -> int:
    """Size of the PNG of a photograph of so many pixels."""
    return int(pixels * _BYTES_PER_PIXEL)


def _items(config: Config, indexes: Sequence[Index[Any]]) -> Iterator[Item]:
    taken: dict[int, tuple[int, str]] = {}
    number = 0
    for source, index in enumerate(indexes):
        keys: set[str] = set()
        for entry in index.entries:
            if fault := _fault(entry):
                raise PluginError(f"{config.adapter_name(source)}: its index() {fault}")
            if entry.key in keys:
                raise PluginError(f"{config.adapter_name(source)}: its index() lists {entry.key!r} twice")
            keys.add(entry.key)
            from_source = config.image.ids == "source" and entry.id is not None
            image_id = entry.id if from_source and entry.id is not None else number
            if image_id in taken:
                other, other_key = taken[image_id]
                raise ConfigError(
                    f"{other_key} of sources[{other}] and {entry.key} of sources[{source}] would both have the image "
                    f"id {image_id}; set `image.ids: sequential`"
                )
            taken[image_id] = source, entry.key
            yield Item(source, entry, image_id, _split_of(config, source, entry))
            number += 1


def _fault(entry: object) -> str | None:
    """What an entry says that it may not; its types are those of somebody else's code."""
    if not isinstance(entry, Entry):
        return f"lists {entry!r} instead of an Entry"
    key: object = entry.key
    image_id: object = entry.id
    if not isinstance(key, str):
        return f"has a key that is no text: {key!r}"
    if image_id is not None and not (isinstance(image_id, int) and -(2**63) <= image_id < 2**63):
        return f"has an id that is no 64-bit integer: {image_id!r}"
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


def draw(items: Iterable[Item], count: int) -> list[Item]:
    """So many of the images, or all if there are not as many, by a hash of the keys: the same ones every time."""
    return heapq.nsmallest(count, items, key=lambda item: (_hash("sample", 0, item.entry.key), item.source))


def _shuffled(items: Iterable[Item], seed: int) -> list[Item]:
    return sorted(items, key=lambda item: (_hash("order", seed, item.entry.key), item.source))


def _hash(purpose: str, seed: int, key: str) -> int:
    """64 bits that are the same on every machine, as Python's own hash is not."""
    text = f"{purpose}\0{seed}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _cut(items: Sequence[Item], size: ShardSize) -> Iterator[Sequence[Item]]:
    """Pieces that are as even as can be, as many as it takes for none to be larger than `size` if cut evenly."""
    weights = [1 if size.unit == "images" else estimated_bytes(item.entry) for item in items]
    total = sum(weights)
    pieces = max(1, -(-total // size.amount))
    begin = before = 0
    for position, upto in enumerate(accumulate(weights), start=1):
        full = upto * pieces >= (before + 1) * total
        if full and position > begin:
            yield items[begin:position]
            begin, before = position, upto * pieces // total
