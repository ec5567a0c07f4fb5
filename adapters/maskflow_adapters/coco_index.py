"""The index of a COCO file, made without building its geometry.

The file is mapped into memory. msgspec splits its lists into pieces; of each annotation only the head is parsed, and
the index keeps where it stands. The worker that needs an annotation reads it from there.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from pathlib import Path, PurePosixPath
from typing import TypeVar, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_convert import Entry, Index, Issue, Loss
from maskflow_convert.errors import SourceError

T = TypeVar("T")
D = TypeVar("D")
Id = int | str
Piece = bytes | memoryview | msgspec.Raw


@dataclass(frozen=True, slots=True)
class CocoRecord:
    """One image of the file, and where its annotations stand.

    `spans` holds `(offset, length)` in bytes for each annotation, in the order of the file; `categories` is the same
    object in all records of a file.
    """

    file_name: str
    width: int | None
    height: int | None
    spans: tuple[tuple[int, int], ...]
    categories: Mapping[Id, str]


def index_file(path: Path) -> Index[CocoRecord]:
    """List the images of a file in their order, each with its annotations in theirs.

    Raises:
        SourceError: the file cannot be read, or is no COCO annotation file.
    """
    text, lists = _split(path)
    indexing = _Indexing(path, text)
    categories = indexing.categories(lists.categories)
    images, numbers = indexing.images(lists.images)
    annotations = indexing.annotations(lists.annotations, numbers, len(images))
    labels = tuple(dict.fromkeys(categories.values()))
    return Index(_Entries(images, annotations, categories), labels, indexing.issues())


def annotation_name(text: Piece) -> str | None:
    """The id of an annotation, as messages say it; None if it has none that can be read."""
    try:
        name = json_text.decode(bytes(text), _NAMED).id
    except json_text.UNPARSABLE:
        return None
    return None if name is None else str(name)


class _Lists(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(msgspec.Struct, gc=False):
    id: Id
    name: str


class _Head(msgspec.Struct, gc=False):
    image_id: Id
    id: Id | None = None


class _Area(msgspec.Struct):
    area: float


class _Named(msgspec.Struct):
    id: Id | None = None


_LISTS = msgspec.json.Decoder(_Lists)
_IMAGE = msgspec.json.Decoder(_Image)
_CATEGORY = msgspec.json.Decoder(_Category)
_HEAD = msgspec.json.Decoder(_Head)
_AREA = msgspec.json.Decoder(_Area)
_NAMED = msgspec.json.Decoder(_Named)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_IMAGE = _Image(id="", file_name="")
_REDUNDANT = re.compile(r"\\|(^|/)\.?(/|$)", re.MULTILINE)
_SEPARATORS = re.compile(rb"[ \t\r\n,]*")
_IS_SEPARATOR = np.isin(np.arange(256), list(b" \t\r\n,"))

# What stands for the number of an image where an annotation has none.
_ORPHANED, _IMAGE_DROPPED, _BROKEN = -1, -2, -3

_DECODED_AT_ONCE = 4096  # few enough for the heads to stay in the processor's cache
_SAMPLED_AREAS = 1000


def _split(path: Path) -> tuple[memoryview, _Lists]:
    """The text of the file, and its three lists as pieces of it."""
    try:
        with path.open("rb") as file:
            text = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error
    begin = len(_BYTE_ORDER_MARK) if text[:3] == _BYTE_ORDER_MARK else 0
    try:
        return text, _LISTS.decode(text[begin:])
    except msgspec.ValidationError as error:
        raise SourceError(f"is no COCO annotation file: {error}", path) from error
    except json_text.UNPARSABLE:
        pass
    zeroed = memoryview(json_text.zero_non_finite(bytes(text)))
    try:
        return zeroed, _LISTS.decode(zeroed[begin:])
    except msgspec.ValidationError as error:
        raise SourceError(f"is no COCO annotation file: {error}", path) from error
    except json_text.UNPARSABLE as error:
        at = json_text.fault_offset(error, len(text) - begin)
        line = None if at is None else json_text.line_of(path, begin + at)
        raise SourceError(f"is no JSON: {error}", path, line) from error


class _Indexing:
    """Goes through the lists of one file, and gathers what is wrong with them."""

    def __init__(self, path: Path, text: memoryview) -> None:
        self._path = path
        self._text = text
        self._found: list[tuple[int, Issue]] = []

    def issues(self) -> list[Issue]:
        """What was found, in the order of the file."""
        return [issue for _, issue in sorted(self._found, key=itemgetter(0))]

    def categories(self, pieces: Sequence[msgspec.Raw]) -> dict[Id, str]:
        """Names by id; of two with one id, the first."""
        names: dict[Id, str] = {}
        offsets = _Spans.of(self._text, pieces).offsets
        categories, broken = _decode_each(_CATEGORY.decode, pieces, instead=None)
        for position, told in broken.items():
            self._list("category-broken", offsets[position], told)
        for position, category in enumerate(categories):
            if category is not None and names.setdefault(category.id, category.name) != category.name:
                told = f"category {category.id} is {names[category.id]!r} and {category.name!r}"
                self._list("category-id-duplicate", offsets[position], told)
        return names

    def images(self, pieces: Sequence[msgspec.Raw]) -> tuple[list[_Image], dict[Id, int]]:
        """The images that can be used, and the number of each by its id."""
        images, broken = _decode_each(_IMAGE.decode, pieces, instead=_NO_IMAGE)
        if not broken and _all_usable(images):
            return images, {image.id: number for number, image in enumerate(images)}
        usable: list[_Image] = []
        numbers: dict[Id, int] = {}
        names: set[str] = set()
        offsets = _Spans.of(self._text, pieces).offsets
        for position, told in broken.items():
            self._list("image-entry-broken", offsets[position], told, loss=Loss.IMAGE)
        for position, image in enumerate(images):
            if position in broken:
                continue
            image.file_name = name = _key(image.file_name)
            if image.id in numbers:
                code, told = "image-id-duplicate", f"id {image.id} is taken by another image"
            elif fault := _fault(image):
                numbers[image.id] = _IMAGE_DROPPED
                code, told = "image-entry-broken", fault
            elif name in names:
                numbers[image.id] = _IMAGE_DROPPED
                code, told = "image-key-duplicate", f"{name} is listed before, under another id"
            else:
                names.add(name)
                numbers[image.id] = len(usable)
                usable.append(image)
                continue
            self._list(code, offsets[position], told, record=name, loss=Loss.IMAGE)
        return usable, numbers

    def annotations(self, pieces: Sequence[msgspec.Raw], numbers: Mapping[Id, int], n_images: int) -> _Annotations:
        """Where the annotations of each image stand."""
        spans = _Spans.of(self._text, pieces)
        image_ids: list[Id] = []
        ids: list[Id | None] = []
        broken: dict[int, str] = {}
        for begin in range(0, len(pieces), _DECODED_AT_ONCE):
            some = pieces[begin : begin + _DECODED_AT_ONCE]
            heads, faults = _decode_each(_HEAD.decode, some, instead=_Head(image_id=""))
            image_ids += map(attrgetter("image_id"), heads)
            ids += map(attrgetter("id"), heads)
            broken |= {begin + position: told for position, told in faults.items()}
        owners = _owners(image_ids, numbers)
        owners[list(broken)] = _BROKEN
        for position in np.flatnonzero(owners < 0).tolist():
            code, told = {
                _BROKEN: ("annotation-broken", broken.get(position, "")),
                _ORPHANED: ("annotation-orphaned", "its image is not listed"),
                _IMAGE_DROPPED: ("object-lost-with-image", "its image was dropped"),
            }[int(owners[position])]
            name = annotation_name(pieces[position])
            self._list(code, spans.offsets[position], told, name=name, loss=Loss.OBJECT)
        for position in _repeated(ids):
            told = f"id {ids[position]} is taken by another annotation"
            self._list("annotation-id-duplicate", spans.offsets[position], told, name=str(ids[position]))
        return _Annotations(n_images, owners, spans, _typical_area(pieces))

    def _list(
        self,
        code: str,
        offset: np.int64,
        message: str,
        *,
        record: str | None = None,
        name: str | None = None,
        loss: Loss | None = None,
    ) -> None:
        line = json_text.line_of(self._path, int(offset))
        issue = Issue(code, message, record=record, object=name, path=str(self._path), line=line, loss=loss)
        self._found.append((int(offset), issue))


def _key(file_name: str) -> str:
    """One spelling for each file: backslashes, `./` and `//` are other ways to write the same."""
    return str(PurePosixPath(file_name.replace("\\", "/"))) if _REDUNDANT.search(file_name) else file_name


def _all_usable(images: Sequence[_Image]) -> bool:
    """Whether there is nothing to say of any image, found out together, which is quicker than one by one."""
    ids = {image.id for image in images}
    names = {image.file_name for image in images}
    return (
        len(ids) == len(names) == len(images)
        and all(isinstance(name, str) or -(2**63) <= name < 2**63 for name in ids)
        and not _REDUNDANT.search("\n".join(names))
        and all(
            length is None or 1 <= length < 2**31 for length in {i.width for i in images} | {i.height for i in images}
        )
    )


def _fault(image: _Image) -> str | None:
    """Why an image cannot be used, if its id or its size is beyond reason."""
    if isinstance(image.id, int) and not -(2**63) <= image.id < 2**63:
        return f"id {image.id} does not fit into the 64 bits that a record has for it"
    for name, length in (("width", image.width), ("height", image.height)):
        if length is not None and not 1 <= length < 2**31:
            return f"image {image.id} has the {name} {length}"
    return None


def _decode_each(
    decode: Callable[[msgspec.Raw], T], pieces: Sequence[msgspec.Raw], *, instead: D
) -> tuple[list[T | D], dict[int, str]]:
    """Every piece decoded, or `instead` where one cannot be; and why not, by position."""
    try:
        return list(map(decode, pieces)), {}
    except json_text.UNPARSABLE:
        pass  # at least one of them; now one by one
    values: list[T | D] = []
    broken: dict[int, str] = {}
    for position, piece in enumerate(pieces):
        try:
            values.append(decode(piece))
        except json_text.UNPARSABLE as error:
            values.append(instead)
            broken[position] = str(error)
    return values, broken


def _typical_area(pieces: Sequence[msgspec.Raw]) -> float:
    """The mean area, in pixels, that a sample of the annotations states: sizes are estimated by it."""
    areas = []
    for piece in pieces[:: max(1, len(pieces) // _SAMPLED_AREAS)]:
        with suppress(*json_text.UNPARSABLE):
            areas.append(_AREA.decode(piece).area)
    return max(0.0, sum(areas) / len(areas)) if areas else 0.0


def _owners(image_ids: Sequence[Id], numbers: Mapping[Id, int]) -> NDArray[np.int64]:
    """The number of the image of each annotation, looked up once an image where all ids are integers."""
    ids = np.array(image_ids)
    if ids.dtype != np.int64:
        return np.array([numbers.get(name, _ORPHANED) for name in image_ids], dtype=np.int64)
    order = _stable_order(ids)
    begins = np.flatnonzero(np.concatenate([[True], ids[order[1:]] != ids[order[:-1]]]))
    found = [numbers.get(name, _ORPHANED) for name in ids[order[begins]].tolist()]
    owners = np.empty(len(ids), dtype=np.int64)
    owners[order] = np.repeat(np.array(found, dtype=np.int64), np.diff(begins, append=len(ids)))
    return owners


def _repeated(ids: Sequence[Id | None]) -> Iterator[int]:
    """Positions of ids that stand earlier too; None is no id."""
    numbers = np.array(ids)
    if numbers.dtype == np.int64:
        numbers.sort()
        if (numbers[1:] != numbers[:-1]).all():
            return
    seen: set[Id] = set()
    for position, name in enumerate(ids):
        if name is None:
            continue
        if name in seen:
            yield position
        seen.add(name)


class _Annotations:
    """Where the annotations of each image stand: arrays over the annotations that have one, ordered by image."""

    def __init__(self, n_images: int, owners: NDArray[np.int64], spans: _Spans, typical_area: float) -> None:
        order = _stable_order(owners)[np.count_nonzero(owners < 0) :]
        self._bounds = np.searchsorted(owners[order], np.arange(n_images + 1))
        self._spans = np.stack([spans.offsets[order], spans.lengths[order]], axis=1)
        self.typical_area = typical_area

    def spans(self, image: int) -> tuple[tuple[int, int], ...]:
        """`(offset, length)` in bytes of each annotation of an image."""
        begin, end = self._bounds[image : image + 2]
        return tuple((offset, length) for offset, length in self._spans[begin:end].tolist())


def _stable_order(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """As `np.argsort(numbers, kind="stable")`, several times as fast where 32 of 64 bits are free for the position."""
    if len(numbers) and (numbers.min() < -(2**31) or numbers.max() >= 2**31):
        return np.argsort(numbers, kind="stable")
    order: NDArray[np.int64] = np.sort(numbers << 32 | np.arange(len(numbers))) & 0xFFFFFFFF
    return order


class _Entries(Sequence[Entry[CocoRecord]]):
    """The entries of an index, each made when it is asked for."""

    def __init__(self, images: Sequence[_Image], annotations: _Annotations, categories: Mapping[Id, str]) -> None:
        self._images = images
        self._annotations = annotations
        self._categories = categories

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, at: int) -> Entry[CocoRecord]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry[CocoRecord]]: ...
    def __getitem__(self, at: int | slice) -> Entry[CocoRecord] | Sequence[Entry[CocoRecord]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        image = self._images[number]
        spans = self._annotations.spans(number)
        key = _key(image.file_name)
        pixels = (image.width or 0) * (image.height or 0)
        return Entry(
            key=key,
            record=CocoRecord(key, image.width, image.height, spans, self._categories),
            id=image.id if isinstance(image.id, int) else None,
            pixels=pixels,
            positives=int(min(self._annotations.typical_area, pixels)) * len(spans),
        )


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where the pieces of a JSON list stand in the text of the file: `[A]` offsets and lengths in bytes."""

    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, text: memoryview, pieces: Sequence[msgspec.Raw]) -> _Spans:
        """Find pieces that follow each other with separators between.

        Nearly always the separators are equally long, and the offsets are known from the lengths of the pieces. That
        guess holds exactly if every gap it makes holds separators only, and no piece begins with one.
        """
        views: Iterable[memoryview] = map(memoryview, pieces)
        lengths = np.fromiter(map(len, views), dtype=np.int64, count=len(pieces))
        if not pieces:
            return cls(lengths, lengths)
        first = _address(pieces[0]) - _address(text)
        gap = _gap(text, first + int(lengths[0])) if len(pieces) > 1 else 0
        offsets = first + np.cumsum(lengths + gap) - (lengths + gap)
        if not _separated(np.frombuffer(text, dtype=np.uint8), offsets, gap):
            offsets = np.fromiter(_walk(text, first, lengths.tolist()), dtype=np.int64, count=len(pieces))
        return cls(offsets, lengths)


def _separated(text: NDArray[np.uint8], offsets: NDArray[np.int64], gap: int) -> bool:
    """Whether `gap` separators stand before every piece but the first, and none where a piece begins."""
    if offsets[-1] >= len(text) or _IS_SEPARATOR[text[offsets]].any():
        return False
    return all(_IS_SEPARATOR[text[offsets[1:] - before]].all() for before in range(1, gap + 1))


def _walk(text: memoryview, first: int, lengths: Sequence[int]) -> Iterator[int]:
    """Offsets of the pieces, gap by gap."""
    at = first
    for length in lengths:
        yield at
        at += length
        at += _gap(text, at)


def _gap(text: memoryview, at: int) -> int:
    """Number of separators at an offset."""
    match = _SEPARATORS.match(text, at)
    return match.end() - at if match else 0


def _address(buffer: Piece) -> int:
    return np.frombuffer(buffer, dtype=np.uint8).ctypes.data
