"""The index of a COCO file: which annotations belong to which image, and what is wrong with the file as a whole."""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_adapters.coco_file import CocoFile, Id, ImageEntry, Spans, read_file
from maskflow_convert import Entry, Index, Issue, Loss


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
    file = read_file(path)
    indexing = _Indexing(path, file)
    categories, labels = indexing.categories()
    images, numbers = indexing.images()
    annotations = indexing.annotations(numbers, len(images))
    return Index(_Entries(images, annotations, categories), labels, indexing.issues())


def annotation_name(text: bytes) -> str | None:
    """The id of an annotation, as messages say it; None if it has none that can be read."""
    try:
        name = json_text.decode(text, _NAMED).id
    except json_text.UNPARSABLE:
        return None
    return None if name is None else str(name)


def stated_area(text: bytes) -> float | None:
    """The area in pixels that an annotation states; None if it is none, since nothing depends on it."""
    try:
        return _AREA.decode(text).area
    except json_text.UNPARSABLE:
        return None


class _Area(msgspec.Struct):
    area: float


class _Named(msgspec.Struct):
    id: Id | None = None


_AREA = msgspec.json.Decoder(_Area)
_NAMED = msgspec.json.Decoder(_Named)

_REDUNDANT = re.compile(r"\\|(^|/)\.?(/|$)", re.MULTILINE)

# What stands for the number of an image where an annotation has none.
_ORPHANED, _IMAGE_DROPPED, _BROKEN = -1, -2, -3

_SAMPLED_AREAS = 1000


class _Indexing:
    """Goes through the lists of one file, and gathers what is wrong with them."""

    def __init__(self, path: Path, file: CocoFile) -> None:
        self._path = path
        self._file = file
        self._found: list[tuple[int, Issue]] = []
        self._lost = np.empty(0, dtype=np.int64)
        self._reasons = np.empty(0, dtype=np.int8)

    def issues(self) -> _Issues:
        """What was found."""
        spans, broken = self._file.annotations.spans, self._file.annotations.broken
        return _Issues(
            self._path,
            others=sorted(self._found, key=itemgetter(0)),
            spans=Spans(spans.offsets[self._lost], spans.lengths[self._lost]),
            reasons=self._reasons,
            broken={int(spans.offsets[position]): told for position, told in broken.items()},
        )

    def categories(self) -> tuple[dict[Id, str], Sequence[str]]:
        """The names of the ids that have a single one, and the first names of all."""
        names: dict[Id, str] = {}
        ambiguous: set[Id] = set()
        categories = self._file.categories
        for position, category in enumerate(categories.values):
            if position in categories.broken:
                self._list("category-broken", categories.spans.offsets[position], categories.broken[position])
            elif names.setdefault(category.id, category.name) != category.name:
                told = f"category {category.id} is {names[category.id]!r} and {category.name!r}"
                self._list("category-id-duplicate", categories.spans.offsets[position], told)
                ambiguous.add(category.id)
        return {name: names[name] for name in names if name not in ambiguous}, tuple(dict.fromkeys(names.values()))

    def images(self) -> tuple[Sequence[ImageEntry], dict[Id, int]]:
        """The images that can be used, and the number of each by its id."""
        images = self._file.images
        if not images.broken and _all_usable(images.values):
            return images.values, {image.id: number for number, image in enumerate(images.values)}
        usable: list[ImageEntry] = []
        numbers: dict[Id, int] = {}
        names: set[str] = set()
        offsets = images.spans.offsets
        for position, told in images.broken.items():
            self._list("image-entry-broken", offsets[position], told, loss=Loss.IMAGE)
        for position, image in enumerate(images.values):
            if position in images.broken:
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

    def annotations(self, numbers: Mapping[Id, int], n_images: int) -> _Annotations:
        """Where the annotations of each image stand."""
        annotations = self._file.annotations
        owners = _owners([head.image_id for head in annotations.values], numbers)
        owners[list(annotations.broken)] = _BROKEN
        self._lost = np.flatnonzero(owners < 0)
        self._reasons = owners[self._lost].astype(np.int8)
        ids = [head.id for head in annotations.values]
        for position in _repeated(ids):
            told = f"id {ids[position]} is taken by another annotation"
            self._list("annotation-id-duplicate", annotations.spans.offsets[position], told, name=str(ids[position]))
        return _Annotations(n_images, owners, annotations.spans, _typical_area(self._file))

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


@dataclass(frozen=True, eq=False)
class _Issues(Collection[Issue]):
    """What is wrong with a file, in its order.

    A million annotations may be lost, so that their issues are made when they are asked for: from where the annotations
    stand and why they are lost (`reasons`, and what is wrong with the `broken` ones by offset).
    """

    path: Path
    others: Sequence[tuple[int, Issue]]
    spans: Spans
    reasons: NDArray[np.int8]
    broken: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.others) + len(self.reasons)

    def __contains__(self, issue: object) -> bool:
        return any(issue == each for each in self)

    def __iter__(self) -> Iterator[Issue]:
        return map(itemgetter(1), heapq.merge(self.others, self._of_lost(), key=itemgetter(0)))

    def _of_lost(self) -> Iterator[tuple[int, Issue]]:
        """`(offset, issue)` of each annotation that is lost."""
        with self.path.open("rb", buffering=0) as file:
            for offset, length, reason in zip(
                map(int, self.spans.offsets), map(int, self.spans.lengths), map(int, self.reasons), strict=True
            ):
                file.seek(offset)
                name = annotation_name(file.read(length))
                code, told = {
                    _BROKEN: ("annotation-broken", self.broken.get(offset, "")),
                    _ORPHANED: ("annotation-orphaned", "its image is not listed"),
                    _IMAGE_DROPPED: ("object-lost-with-image", "its image was dropped"),
                }[reason]
                line = json_text.line_of(self.path, offset)
                yield offset, Issue(code, told, object=name, path=str(self.path), line=line, loss=Loss.OBJECT)


def _key(file_name: str) -> str:
    """One spelling for each file: backslashes, `./` and `//` are other ways to write the same."""
    return str(PurePosixPath(file_name.replace("\\", "/"))) if _REDUNDANT.search(file_name) else file_name


def _all_usable(images: Sequence[ImageEntry]) -> bool:
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


def _fault(image: ImageEntry) -> str | None:
    """Why an image cannot be used, if its id or its size is beyond reason."""
    if isinstance(image.id, int) and not -(2**63) <= image.id < 2**63:
        return f"id {image.id} does not fit into the 64 bits that a record has for it"
    for name, length in (("width", image.width), ("height", image.height)):
        if length is not None and not 1 <= length < 2**31:
            return f"image {image.id} has the {name} {length}"
    return None


def _typical_area(file: CocoFile) -> float:
    """The mean area, in pixels, that a sample of the annotations states: sizes are estimated by it."""
    areas = []
    count = len(file.annotations.values)
    for position in range(0, count, max(1, count // _SAMPLED_AREAS)):
        area = stated_area(file.annotation(position))
        areas += [] if area is None else [area]
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

    def __init__(self, n_images: int, owners: NDArray[np.int64], spans: Spans, typical_area: float) -> None:
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

    def __init__(self, images: Sequence[ImageEntry], annotations: _Annotations, categories: Mapping[Id, str]) -> None:
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
