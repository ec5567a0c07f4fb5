"""The lists of a COCO file in columns: what their elements say, which of them are broken, and where each stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_adapters.coco_elements import (
    ANYTHING,
    CATEGORY,
    HEAD,
    IMAGE,
    Category,
    Head,
    Id,
    ImageEntry,
    keys_of,
)
from maskflow_adapters.columns import Column, Integers, TextColumn, as_integers
from maskflow_adapters.json_objects import Portion

T = TypeVar("T")

LOWEST_OWN = -(2**62)


class ImageIds:
    """A number for every id of an image.

    An integer from `LOWEST_OWN` on is its own. A text, a lower integer, and one that has no room in 64 bits, are given
    the lowest numbers there are, one after the other.
    """

    def __init__(self) -> None:
        self._given: dict[Id, int] = {}

    def numbers(self, ids: Sequence[Id]) -> NDArray[np.int64]:
        """The number of each of these ids."""
        numbers = as_integers(ids)
        if numbers is None or (len(numbers) and numbers.min() < LOWEST_OWN):
            return np.array([self._number(each) for each in ids], dtype=np.int64)
        return numbers

    def _number(self, image_id: Id) -> int:
        if isinstance(image_id, int) and LOWEST_OWN <= image_id < 2**63:
            return image_id
        return self._given.setdefault(image_id, len(self._given) - 2**63)

    def integers(self) -> dict[int, int]:
        """The integers that are not their own numbers, by these."""
        return {number: each for each, number in self._given.items() if isinstance(each, int)}


@dataclass(frozen=True)
class Spans:
    """Where elements stand in the file: `[A]` offsets and lengths in bytes."""

    offsets: Integers
    lengths: Integers

    def at(self, positions: Integers) -> Spans:
        """Those of the elements at these positions."""
        return Spans(self.offsets[positions], self.lengths[positions])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.offsets.data, self.lengths.data, strict=True)


class Elements(ABC, Generic[T]):
    """One list of the file: where its elements stand, and which are broken; what they say is up to the subclass."""

    decoder: ClassVar[msgspec.json.Decoder[Any]]
    list_decoder: ClassVar[msgspec.json.Decoder[Any]]
    instead: ClassVar[Any]
    """What is kept in the place of a broken element."""

    def __init__(self) -> None:
        self.count = 0
        self._offsets = Column()
        self._lengths = Column()
        self._broken = array("q")

    def add(self, portion: Portion) -> None:
        """Append elements.

        Raises:
            UNPARSABLE, IrregularError: they are no JSON, NaN aside.
        """
        try:
            values = self.list_decoder.decode(portion.as_list())
        except json_text.UNPARSABLE:
            values = self._decode_each(portion.texts())
        self._append(values, portion.begins + portion.offset, portion.ends - portion.begins)

    def add_each(self, texts: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Append elements that are JSON, whatever they are."""
        lengths = [len(text) for text in texts]
        self._append(self._decode_each(texts), np.array(offsets, dtype=np.int64), np.array(lengths, dtype=np.int64))

    def take_spans(self) -> Spans:
        """Where the elements stand; they are forgotten here."""
        return Spans(self._offsets.take(), self._lengths.take())

    def broken(self) -> NDArray[np.int64]:
        """Positions of the broken elements."""
        return np.array(self._broken, dtype=np.int64)

    def _decode_each(self, texts: Iterable[bytes]) -> list[T]:
        values: list[T] = []
        for position, text in enumerate(texts, start=self.count):
            try:
                values.append(json_text.decode_zeroed(text, self.decoder))
            except json_text.UNPARSABLE:
                json_text.decode_zeroed(text, ANYTHING)
                values.append(self.instead)
                self._broken.append(position)
        return values

    def _append(self, values: Sequence[T], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        self._keep(values)
        self._offsets.add(offsets)
        self._lengths.add(lengths)
        self.count += len(values)

    @abstractmethod
    def _keep(self, values: Sequence[T]) -> None:
        """Keep what the elements say, broken ones included."""


class Images(Elements[ImageEntry]):
    """The images: the numbers of their ids, their keys with a hash of each, their sizes; a size that is no size is 0.

    `faulty` are the positions of those that are not broken, but cannot be used.
    """

    decoder = IMAGE
    list_decoder = msgspec.json.Decoder(list[ImageEntry])
    instead = ImageEntry(id=0, file_name="")

    def __init__(self, image_ids: ImageIds) -> None:
        super().__init__()
        self._image_ids = image_ids
        self.ids, self.hashes, self.widths, self.heights = Column(), Column(), Column(), Column()
        self.keys = TextColumn()
        self.faulty = array("q")

    def _keep(self, values: Sequence[ImageEntry]) -> None:
        if not _all_usable(values):
            self.faulty.extend(n for n, image in enumerate(values, start=self.count) if image.fault())
        keys = keys_of([image.file_name for image in values])
        self.ids.add(self._image_ids.numbers([image.id for image in values]))
        self.keys.add(keys)
        self.hashes.add(np.array([hash(key) for key in keys], dtype=np.int64))
        self.widths.add(_sizes([image.width for image in values]))
        self.heights.add(_sizes([image.height for image in values]))


def _sizes(sizes: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([size if size and 1 <= size < 2**31 else 0 for size in sizes], dtype=np.int64)


def _all_usable(images: Sequence[ImageEntry]) -> bool:
    """Whether no image has a fault, found out together, which is quicker than one by one."""
    sizes = {image.width for image in images} | {image.height for image in images}
    return all(size is None or 1 <= size < 2**31 for size in sizes) and all(
        isinstance(image.id, str) or -(2**63) <= image.id < 2**63 for image in images
    )


class Annotations(Elements[Head]):
    """The annotations: the numbers of their images' ids, and a key of their own ids.

    Ids that are equal have equal keys; others seldom do.
    """

    decoder = HEAD
    list_decoder = msgspec.json.Decoder(list[Head])
    instead = Head(image_id=0)

    def __init__(self, image_ids: ImageIds) -> None:
        super().__init__()
        self._image_ids = image_ids
        self.image_ids, self.id_keys = Column(), Column()

    def _keep(self, values: Sequence[Head]) -> None:
        self.image_ids.add(self._image_ids.numbers([head.image_id for head in values]))
        self.id_keys.add(_id_keys([head.id for head in values], self.count))


def _id_keys(ids: Sequence[Id | None], first: int) -> NDArray[np.int64]:
    """A usual integer is its own key, texts and large integers are hashed; what has no id has a key of its own."""
    keys = as_integers(ids)
    if keys is not None:
        return keys
    hashed = [first + n - 2**63 if each is None else _hash_of(each) for n, each in enumerate(ids)]
    return np.array(hashed, dtype=np.int64)


def _hash_of(each: Id) -> int:
    return each if isinstance(each, int) and -(2**63) <= each < 2**63 else hash(each)


class Categories(Elements[Category]):
    """The categories, of which there are few."""

    decoder = CATEGORY
    list_decoder = msgspec.json.Decoder(list[Category])
    instead = Category(id=0, name="")

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Category] = []

    def _keep(self, values: Sequence[Category]) -> None:
        self.values += values
