"""The index of a COCO file: which annotations belong to which image, and what is wrong with the file as a whole.

Its memory does not depend on the size of the geometry. In a file below 2 GiB whose ids are below 2**31, an image takes
24 bytes and its name, and an annotation 8; while the file is indexed, it is some 60 bytes and the name, and 24. Larger
numbers take twice as much, ids that are texts more. Measured on a file of 443 MB with 102,100 images and 869,892
annotations, above what the process had before: 19 MB when it was done, 34 MB at most, the pages of the file included.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_adapters.bounds import MAX_OBJECTS
from maskflow_adapters.coco_elements import CATEGORY, Id, annotation_id, fault_of, stated_area
from maskflow_adapters.coco_file import read_file
from maskflow_adapters.coco_issues import Findings, Reason
from maskflow_adapters.coco_lists import LOWEST_OWN, Annotations, Categories, ImageIds, Images, Spans
from maskflow_adapters.columns import Integers, Texts, narrowed
from maskflow_convert import Entry, Index, Issue
from maskflow_convert.copies import fetch
from maskflow_convert.errors import SourceError
from maskflow_convert.repeats import Repeats

Lost = tuple[Spans, NDArray[np.int8]]
"""Where elements stand of which something is wrong, and what that is."""


@dataclass(frozen=True, slots=True)
class CocoRecord:
    """One image of the file, and where its annotations stand.

    `spans` holds `(offset, length)` in bytes for each annotation, in the order of the file, which was in that `state`
    then; `categories` and `state` are the same objects in all records of a file.
    """

    file_name: str
    width: int | None
    height: int | None
    spans: tuple[tuple[int, int], ...]
    categories: Mapping[Id, str]
    state: tuple[int, int]


def index_file(path: Path, label: str | None = None) -> Index[CocoRecord]:
    """List the images of a file in their order, each with its annotations in theirs.

    Args:
        path: the file.
        label: what all objects are; if None, their categories tell.

    Raises:
        SourceError: the file cannot be read, is not a COCO annotation file, or changes meanwhile.
    """
    try:
        fetch(path)
        state = json_text.state_of(path)
        file = read_file(path)
        categories = _index_categories(path, file.categories)
        images, owners, lost_images = _index_images(file.images, file.image_ids)
        annotations, lost_annotations = _index_annotations(path, file.annotations, owners, len(images.keys))
        json_text.require_state(path, state)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", path) from error
    return Index(
        _Entries(images, annotations, categories.names, state),
        categories.labels if label is None else [label],
        Findings.of(path, categories.issues, [lost_images, lost_annotations]),
    )


# Categories


@dataclass(frozen=True)
class _Categories:
    """The names of the ids that have a single one, the first names of all, and `(offset, issue)` of what is wrong."""

    names: Mapping[Id, str]
    labels: Sequence[str]
    issues: Sequence[tuple[int, Issue]]


def _index_categories(path: Path, categories: Categories) -> _Categories:
    names: dict[Id, str] = {}
    ambiguous: set[Id] = set()
    issues: list[tuple[int, Issue]] = []
    broken = set(categories.broken().tolist())
    for position, (span, category) in enumerate(zip(categories.take_spans(), categories.values, strict=True)):
        if position in broken:
            [text] = json_text.read_spans(path, [span])
            code, told = "category-broken", fault_of(text, CATEGORY)
        elif names.setdefault(category.id, category.name) != category.name:
            code = "category-id-duplicate"
            told = f"category {category.id} is {names[category.id]!r} and {category.name!r}"
            ambiguous.add(category.id)
        else:
            continue
        issues.append((span[0], Issue(code, told, path=str(path), line=json_text.line_of(path, span[0]))))
    clear = {each: name for each, name in names.items() if each not in ambiguous}
    return _Categories(clear, tuple(dict.fromkeys(names.values())), issues)


# Images


@dataclass(frozen=True)
class _Images:
    """The images that can be used: their keys, the numbers of their ids, their sizes; all `[n]`."""

    keys: Texts
    ids: Integers
    other_ids: Mapping[int, int]
    widths: Integers
    heights: Integers

    def id_of(self, number: int) -> int | None:
        """The id of an image, if it is an integer."""
        own: int = self.ids.item(number)
        return own if own >= LOWEST_OWN else self.other_ids.get(own)

    def size_of(self, number: int) -> tuple[int | None, int | None]:
        """The width and the height of an image, as far as they are known."""
        return self.widths.item(number) or None, self.heights.item(number) or None


@dataclass(frozen=True)
class _Owners:
    """The images that annotations can name, by the numbers of their ids in rising order.

    `images` are positions among those that can be used; below 0 stands why another was dropped.
    """

    ids: Integers
    images: Integers

    def find(self, image_ids: Integers) -> Integers:
        """The image of each of the ids, as in `images`, or that there is none."""
        found = np.full(len(image_ids), -Reason.ORPHANED, dtype=np.int32)
        for begin in range(0, len(image_ids) if len(self.ids) else 0, _LOOKED_UP_AT_ONCE):
            wanted = image_ids[begin : begin + _LOOKED_UP_AT_ONCE]
            places = np.searchsorted(self.ids, wanted)
            places[places == len(self.ids)] = 0
            np.copyto(found[begin : begin + len(wanted)], self.images[places], where=self.ids[places] == wanted)
        return found


_LOOKED_UP_AT_ONCE = 1 << 16


def _index_images(images: Images, image_ids: ImageIds) -> tuple[_Images, _Owners, Lost]:
    """The images that can be used, where annotations find them, and those that cannot be used."""
    ids, keys, spans = images.ids.take(), images.keys.take(), images.take_spans()
    reasons = _reasons_against(images, ids, keys)
    usable = np.flatnonzero(reasons == 0)
    listed = _Images(
        keys.at(usable), ids[usable], image_ids.integers(), images.widths.take()[usable], images.heights.take()[usable]
    )
    named = np.flatnonzero((reasons != Reason.IMAGE_BROKEN) & (reasons != Reason.IMAGE_ID_REPEATED))
    named = named[np.argsort(ids[named])]
    positions = np.where(reasons == 0, np.cumsum(reasons == 0) - 1, -Reason.IMAGE_DROPPED)
    lost = np.flatnonzero(reasons)
    return listed, _Owners(ids[named], narrowed(positions[named])), (spans.at(lost), reasons[lost])


def _reasons_against(images: Images, ids: Integers, keys: Texts) -> NDArray[np.int8]:
    """Why each image cannot be used, or 0; of images with the same id or key, the first can."""
    reasons = np.zeros(images.count, dtype=np.int8)
    reasons[images.broken()] = Reason.IMAGE_BROKEN

    readable = np.flatnonzero(reasons == 0)
    repeated = _repeated(ids[readable], lambda at: ids[readable[at]].tolist())
    reasons[readable[repeated]] = Reason.IMAGE_ID_REPEATED

    faulty = np.array(images.faulty, dtype=np.int64)
    reasons[faulty[reasons[faulty] == 0]] = Reason.IMAGE_FAULTY

    sound = np.flatnonzero(reasons == 0)
    repeated = _repeated(images.hashes.take()[sound], lambda at: keys.at(sound[at]))
    reasons[sound[repeated]] = Reason.KEY_REPEATED
    return reasons


def _repeated(keys: Integers, values: Callable[[NDArray[np.int64]], Iterable[Hashable]]) -> NDArray[np.int64]:
    """Positions of values that stand earlier too, None aside; equal values have equal keys."""
    positions = np.sort(Repeats.among(keys).positions)
    seen: set[Hashable] = set()
    repeated = []
    for position, value in zip(positions.tolist(), values(positions), strict=True):
        if value is not None and value in seen:
            repeated.append(position)
        seen.add(value)
    return np.array(repeated, dtype=np.int64)


# Annotations


@dataclass(frozen=True)
class _Annotations:
    """Where the annotations that have an image stand, ordered by image; those of image n from `bounds[n]` on.

    `typical_area` is what their masks are taken to have, in pixels.
    """

    bounds: Integers
    spans: Spans
    typical_area: float

    def of_image(self, number: int) -> tuple[tuple[int, int], ...]:
        """`(offset, length)` in bytes of each annotation of an image; of too many, as many as tell that they are."""
        begin, end = self.bounds.item(number), self.bounds.item(number + 1)
        end = min(end, begin + MAX_OBJECTS + 1)
        return tuple(zip(self.spans.offsets[begin:end].tolist(), self.spans.lengths[begin:end].tolist(), strict=True))


def _index_annotations(
    path: Path, annotations: Annotations, owners: _Owners, n_images: int
) -> tuple[_Annotations, Lost]:
    """The annotations by image, and those that are lost or share an id."""
    spans = annotations.take_spans()
    repeated = _repeated(
        annotations.id_keys.take(),
        lambda at: map(annotation_id, json_text.read_spans(path, spans.at(at))),
    )
    of_images = owners.find(annotations.image_ids.take())
    of_images[annotations.broken()] = -Reason.ANNOTATION_BROKEN
    lost = np.flatnonzero(of_images < 0)
    reasons = np.concatenate([np.full(len(repeated), Reason.ANNOTATION_ID_REPEATED), -of_images[lost]]).astype(np.int8)
    typical_area = _typical_area(path, spans)
    order, bounds = _grouped(of_images, n_images)
    del of_images
    return _Annotations(bounds, spans.at(order), typical_area), (spans.at(np.concatenate([repeated, lost])), reasons)


def _grouped(of_images: Integers, n_images: int) -> tuple[NDArray[np.int64], Integers]:
    """The positions of what belongs to an image, ordered by image and then as they are; and where each image begins.

    Image and position are sorted as the halves of one number: as stable as any order, and several times as fast.
    """
    pairs = of_images.astype(np.int64)
    pairs <<= 32
    pairs |= np.arange(len(pairs), dtype=np.uint32)
    pairs.sort()
    bounds = np.searchsorted(pairs, np.arange(n_images + 1) << 32)
    pairs &= 0xFFFFFFFF
    return pairs[bounds[0] :], narrowed(bounds - bounds[0])


_SAMPLED_AREAS = 1000


def _typical_area(path: Path, spans: Spans) -> float:
    """The mean area, in pixels, that a sample of the annotations states: sizes are estimated by it."""
    count = len(spans.offsets)
    sample = spans.at(np.arange(0, count, max(1, count // _SAMPLED_AREAS)))
    areas = [area for text in json_text.read_spans(path, sample) if (area := stated_area(text)) is not None]
    return max(0.0, sum(areas) / len(areas)) if areas else 0.0


# Entries


class _Entries(Sequence[Entry[CocoRecord]]):
    """The entries of an index, each made when it is asked for."""

    def __init__(
        self, images: _Images, annotations: _Annotations, categories: Mapping[Id, str], state: tuple[int, int]
    ) -> None:
        self._images = images
        self._annotations = annotations
        self._categories = categories
        self._state = state

    def __len__(self) -> int:
        return len(self._images.keys)

    @overload
    def __getitem__(self, at: int) -> Entry[CocoRecord]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry[CocoRecord]]: ...
    def __getitem__(self, at: int | slice) -> Entry[CocoRecord] | Sequence[Entry[CocoRecord]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        key = self._images.keys[number]
        width, height = self._images.size_of(number)
        spans = self._annotations.of_image(number)
        pixels = (width or 0) * (height or 0)
        return Entry(
            key=key,
            record=CocoRecord(key, width, height, spans, self._categories, self._state),
            id=self._images.id_of(number),
            pixels=pixels,
            positives=int(min(self._annotations.typical_area, pixels)) * len(spans),
        )
