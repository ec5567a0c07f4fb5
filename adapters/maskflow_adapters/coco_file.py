"""A COCO file as its three lists: what the elements say, which of them are broken, and where each stands.

Of an annotation the head is parsed, and its geometry passed over; its place tells where to read it when it is needed.
A file without a fault is parsed in one go, and its braces tell the places. Any other is taken apart into pieces first,
which takes twice as long and tells of each element what is wrong with it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_convert.errors import SourceError

T = TypeVar("T")
Id = int | str


class ImageEntry(msgspec.Struct, gc=False):
    """What the entry of an image says."""

    id: Id
    file_name: str
    width: int | None = None
    height: int | None = None


class Category(msgspec.Struct, gc=False):
    """What a category says."""

    id: Id
    name: str


class Head(msgspec.Struct, gc=False):
    """What an annotation says of itself and its image."""

    image_id: Id
    id: Id | None = None


@dataclass(frozen=True)
class Spans:
    """Where the elements of a list stand in the file: `[A]` offsets and lengths in bytes."""

    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Elements(Generic[T]):
    """One list of the file.

    Attributes:
        values: of all elements in their order; in the place of a broken one, a value without a meaning.
        spans: where they stand.
        broken: what is wrong, by position.
    """

    values: Sequence[T]
    spans: Spans
    broken: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CocoFile:
    """The whole text of a file, and its lists."""

    text: memoryview
    images: Elements[ImageEntry]
    annotations: Elements[Head]
    categories: Elements[Category]

    def annotation(self, position: int) -> bytes:
        """The text of one annotation."""
        spans = self.annotations.spans
        begin = int(spans.offsets[position])
        return bytes(self.text[begin : begin + int(spans.lengths[position])])


def read_file(path: Path) -> CocoFile:
    """Map a file into memory, and find its lists.

    Raises:
        SourceError: the file cannot be read, or is no COCO annotation file.
    """
    try:
        with path.open("rb") as file:
            text = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error
    return _parse(text) or _take_apart(path, text)


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _begin(text: memoryview) -> int:
    return len(_BYTE_ORDER_MARK) if text[:3] == _BYTE_ORDER_MARK else 0


# A file without a fault


class _Lists(msgspec.Struct):
    images: list[ImageEntry]
    annotations: list[Head] = []
    categories: list[Category] = []


_LISTS = msgspec.json.Decoder(_Lists)
_NO_SPANS = Spans(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
_OPENING = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[\s*\Z')

_QUOTE = ord('"')
_SEARCHED_AT_ONCE = 1 << 18  # bytes; what is made of them stays in the processor's cache
_LONGEST_OPENING = 100  # bytes: the name of a list, white space, the bracket
_MOST_BREAKS = 1000  # lists of objects, anywhere in the outermost one


def _parse(text: memoryview) -> CocoFile | None:
    """The lists of a file that is in order, parsed in one go; None if it is out of the ordinary in any way."""
    try:
        lists = _LISTS.decode(text[_begin(text) :])
    except json_text.UNPARSABLE:
        return None
    spans = dict.fromkeys(_Lists.__struct_fields__, _NO_SPANS) | _spans_by_name(text)
    if any(len(spans[name].offsets) != len(getattr(lists, name)) for name in spans):
        return None
    return CocoFile(
        text,
        Elements(lists.images, spans["images"]),
        Elements(lists.annotations, spans["annotations"]),
        Elements(lists.categories, spans["categories"]),
    )


def _spans_by_name(text: memoryview) -> dict[str, Spans]:
    """Where the elements of the lists in the outermost object stand, if all are objects; the text is JSON."""
    content = np.frombuffer(text, dtype=np.uint8)
    braces = _braces(content)
    opens = content[braces] == ord("{")
    depth = np.cumsum(np.where(opens, 1, -1).astype(np.int8), dtype=np.int32)
    begins = braces[opens & (depth == 2)]
    ends = braces[~opens & (depth == 1)] + 1
    breaks = _breaks(begins, ends)
    if len(breaks) > _MOST_BREAKS:
        return {}
    spans: dict[str, Spans] = {}
    for first, stop in pairwise([0, *breaks, len(begins)]):
        at = int(begins[first]) if first < stop else 0
        opening = _OPENING.search(bytes(text[max(0, at - _LONGEST_OPENING) : at]))
        if opening:
            spans[opening[1].decode()] = Spans(begins[first:stop], ends[first:stop] - begins[first:stop])
    return spans


def _braces(content: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions of the braces that stand outside strings: those with an even number of quotes before them.

    Of other signs, only letters outside ASCII and three rare ones have codes above that of the first brace.
    """
    found = []
    quotes = 0
    for begin in range(0, len(content), _SEARCHED_AT_ONCE):
        piece = content[begin : begin + _SEARCHED_AT_ONCE]
        within = np.flatnonzero((piece == _QUOTE) | (piece >= ord("{")))
        characters = piece[within]
        is_quote = characters == _QUOTE
        before = content[within + (begin - 1)]
        for number in np.flatnonzero(is_quote & (before == ord("\\"))).tolist():
            is_quote[number] = not _is_escaped(content, begin + int(within[number]))
        parity = np.logical_xor.accumulate(is_quote) ^ (quotes % 2 == 1)
        is_brace = (characters == ord("{")) | (characters == ord("}"))
        found.append(within[is_brace & ~parity] + begin)
        quotes += int(np.count_nonzero(is_quote))
    return np.concatenate(found)


def _is_escaped(content: NDArray[np.uint8], at: int) -> bool:
    """Whether an odd number of backslashes stand before a quote."""
    begin = at
    while content[begin - 1] == ord("\\"):
        begin -= 1
    return (at - begin) % 2 == 1


def _breaks(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> list[int]:
    """The objects that do not follow the one before as closely as most do: others begin a list."""
    gaps = begins[1:] - ends[:-1]
    breaks: list[int] = (np.flatnonzero(gaps != np.median(gaps)) + 1).tolist() if len(gaps) else []
    return breaks


# A file with a fault


class _Pieces(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


_PIECES = msgspec.json.Decoder(_Pieces)
_NO_IMAGE = ImageEntry(id="", file_name="")
_NO_HEAD = Head(image_id="")
_NO_CATEGORY = Category(id="", name="")
_SEPARATORS = re.compile(rb"[ \t\r\n,]*")


def _take_apart(path: Path, text: memoryview) -> CocoFile:
    """The lists, element by element.

    Raises:
        SourceError: as in `read_file`.
    """
    text, pieces = _split(path, text)
    return CocoFile(
        text,
        _decode_each(text, pieces.images, instead=_NO_IMAGE),
        _decode_each(text, pieces.annotations, instead=_NO_HEAD),
        _decode_each(text, pieces.categories, instead=_NO_CATEGORY),
    )


def _split(path: Path, text: memoryview) -> tuple[memoryview, _Pieces]:
    """The text, zeros in the place of NaN if need be, and its lists as pieces of it."""
    begin = _begin(text)
    try:
        return text, _PIECES.decode(text[begin:])
    except msgspec.ValidationError as error:
        raise SourceError(f"is no COCO annotation file: {error}", path) from error
    except json_text.UNPARSABLE:
        pass
    zeroed = memoryview(json_text.zero_non_finite(bytes(text)))
    try:
        return zeroed, _PIECES.decode(zeroed[begin:])
    except msgspec.ValidationError as error:
        raise SourceError(f"is no COCO annotation file: {error}", path) from error
    except json_text.UNPARSABLE as error:
        at = json_text.fault_offset(error, len(text) - begin)
        line = None if at is None else json_text.line_of(path, begin + at)
        raise SourceError(f"is no JSON: {error}", path, line) from error


def _decode_each(text: memoryview, pieces: Sequence[msgspec.Raw], *, instead: T) -> Elements[T]:
    """Every piece decoded to the type of `instead`, which stands where one cannot be."""
    decode = msgspec.json.Decoder(type(instead)).decode
    values: list[T] = []
    broken: dict[int, str] = {}
    for position, piece in enumerate(pieces):
        try:
            values.append(decode(piece))
        except json_text.UNPARSABLE as error:
            values.append(instead)
            broken[position] = str(error)
    return Elements(values, _spans_of(text, pieces), broken)


def _spans_of(text: memoryview, pieces: Sequence[msgspec.Raw]) -> Spans:
    """Find pieces that follow each other with separators between."""
    lengths = [len(memoryview(piece)) for piece in pieces]
    offsets = list(_walk(text, lengths, _address(pieces[0]) - _address(text))) if pieces else []
    return Spans(np.array(offsets, dtype=np.int64), np.array(lengths, dtype=np.int64))


def _walk(text: memoryview, lengths: Iterable[int], first: int) -> Iterator[int]:
    """Offsets of the pieces, gap by gap."""
    at = first
    for length in lengths:
        yield at
        match = _SEPARATORS.match(text, at + length)
        at = match.end() if match else at + length


def _address(buffer: memoryview | msgspec.Raw) -> int:
    return np.frombuffer(buffer, dtype=np.uint8).ctypes.data
