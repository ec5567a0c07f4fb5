"""Which object of an annotation file is which object of an instance mask, and of what class it is.

Object number k of the mask is the k-th of the file where there are as many and the class mask does not contradict.
Where it does, an object is of the class that most of its pixels have in the class mask. It then is that object of the
file whose box fits, so that the attributes are its own, and objects of the file that are left over have no mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskflow_adapters.voc_labels import VOC_NAMES, ClassNames, told
from maskflow_adapters.voc_masks import Masks
from maskflow_adapters.voc_xml import VocObject
from maskflow_convert.overlaps import overlapping
from maskflow_convert.runs import Runs
from maskflow_convert.runs import boxes as boxes_around
from maskflow_convert.shape import Box

FITS = 0.5
"""From which overlap on (intersection over union) a mask and a box are one object, though their classes differ."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of the annotation file, and its box in continuous pixels, if it has one."""

    object: VocObject
    box: Box | None


@dataclass(frozen=True)
class Matching:
    """What is known of the objects of one image.

    Attributes:
        labels: of each object of the mask, by its number; None for one that nothing tells the class of.
        listed: the position in the file of each object of the mask that is listed there, by its number.
        disagreement: how the file and the masks differ, and the line of the file to look at; None if they do not.
    """

    labels: Mapping[int, str | None]
    listed: Mapping[int, int]
    disagreement: tuple[str, int | None] | None = None


def match(masks: Masks, objects: Sequence[Listed] | None, names: ClassNames | None) -> Matching:
    """Find the class of each object of a mask, and which object of the file it is.

    Args:
        masks: the objects of the masks.
        objects: those of the annotation file, in its order; None if there is no file.
        names: the names of all classes, if somebody stated them.
    """
    stated = names.labels if names else ()
    if objects is None:
        return Matching(_labels(masks, masks.names, stated), {})
    listed = [each.object.name for each in objects]
    labels = _labels(masks, _known_names(masks, listed), listed or stated)
    as_many = _are_as_many(masks, len(objects))
    in_order = {number: number - 1 for number in masks.runs} if as_many else {}
    by_order = {number: listed[position] for number, position in in_order.items()}
    if as_many and (masks.majority is None or labels == by_order):
        return Matching(by_order, in_order)
    pairs = dict(_by_place(masks.runs, labels, objects))
    left = set(range(len(objects))).difference(pairs.values())
    pairs |= {number: position for number, position in in_order.items() if number not in pairs and position in left}
    return Matching(labels, pairs, _disagreement(masks, labels, objects))


def _are_as_many(masks: Masks, listed: int) -> bool:
    """Whether the mask numbers as many objects as the file lists, from 1 on."""
    return list(masks.runs) == list(range(1, listed + 1))


def _labels(masks: Masks, known: Mapping[int, str] | None, possible: Sequence[str | None]) -> dict[int, str | None]:
    """The class of each object by the class mask; where there is none, the only one possible, if it is."""
    if masks.majority is None:
        sole = possible[0] if len(set(possible)) == 1 else None
        return dict.fromkeys(masks.runs, sole)
    return {number: None if value is None else (known or {}).get(value) for number, value in masks.majority.items()}


def _known_names(masks: Masks, listed: Sequence[str | None]) -> Mapping[int, str]:
    """The names of the classes in this image's class mask, if they are stated, or can be concluded.

    They are those of Pascal VOC if every object is then of a class that the file lists. Else they are learnt from the
    objects in their order, or from there being but one class, as long as each has one name and each name one class.
    """
    if masks.names is not None or masks.majority is None:
        return masks.names or {}
    values = [value for value in masks.majority.values() if value is not None]
    if {VOC_NAMES.by_number.get(value) for value in values} <= {name for name in listed if name is not None}:
        return VOC_NAMES.by_number
    as_many = _are_as_many(masks, len(listed))
    paired = zip(masks.majority.values(), listed, strict=True) if as_many else _sole(values, listed)
    pairs = {(value, name) for value, name in paired if value is not None and name is not None}
    names = dict(pairs)
    return names if len(pairs) == len(names) == len(set(names.values())) else {}


def _sole(values: Sequence[int], listed: Sequence[str | None]) -> Iterable[tuple[int, str]]:
    """The class and the name, if there is but one of each."""
    classes, names = set(values), {name for name in listed if name is not None}
    return zip(classes, names, strict=True) if len(classes) == len(names) == 1 else ()


def _by_place(
    runs: Mapping[int, Runs], labels: Mapping[int, str | None], objects: Sequence[Listed]
) -> Iterator[tuple[int, int]]:
    """`(number, position)` of masks and listed objects that are in one place, best first, those of one class before."""
    numbers, positions = set(runs), set(range(len(objects)))
    for number, position in _in_one_place(runs, labels, objects):
        if number in numbers and position in positions:
            numbers.remove(number)
            positions.remove(position)
            yield number, position


def _in_one_place(
    runs: Mapping[int, Runs], labels: Mapping[int, str | None], objects: Sequence[Listed]
) -> Iterator[tuple[int, int]]:
    """`(number, position)` of what may be one object, best first: those of one class, then by their overlap."""
    listed = {position: each.box for position, each in enumerate(objects) if each.box and _is_sound(each.box)}
    if not (runs and listed):
        return
    numbers, positions = np.array(list(runs)), np.array(list(listed))
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in listed.values()]).T
    boxes = np.concatenate([boxes_around(list(runs.values())), corners], axis=1)
    names: dict[str | None, int] = {name: code for code, name in enumerate(labels.values()) if name is not None}
    classes = np.array(
        [names.get(labels[number], -1) for number in runs]
        + [names.get(objects[position].object.name, -2) for position in listed]
    )
    found = [np.empty((4, 0))]
    for i, j in overlapping(boxes, np.zeros(len(classes), dtype=np.int64)):
        pairs = np.sort([i, j], axis=0)
        mask, box = pairs[:, (pairs[0] < len(numbers)) & (pairs[1] >= len(numbers))]
        same, overlap = classes[mask] == classes[box], _overlap(boxes[:, mask], boxes[:, box])
        candidates = np.stack([same, overlap, numbers[mask], positions[box - len(numbers)]])
        found.append(candidates[:, overlap > np.where(same, 0, FITS)])
    joined = np.concatenate(found, axis=1)
    best = joined[2:, np.lexsort(joined[::-1])[::-1]].astype(np.int64)
    yield from zip(*best.tolist(), strict=True)


def _is_sound(box: Box) -> bool:
    return all(map(math.isfinite, (box.x0, box.y0, box.x1, box.y1))) and box.x0 <= box.x1 and box.y0 <= box.y1


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[P]` intersection over union of boxes `[4, P]`, none of the first without area."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.maximum(sides, 0).prod(axis=0)
    overlap: NDArray[np.float64] = shared / (_area(one) + _area(other) - shared)
    return overlap


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[2:] - boxes[:2]).prod(axis=0)
    return area


def _disagreement(masks: Masks, labels: Mapping[int, str | None], objects: Sequence[Listed]) -> tuple[str, int | None]:
    if len(masks.runs) != len(objects):
        return f"{len(objects)} objects are listed, the instance mask has {len(masks.runs)}", None
    if not _are_as_many(masks, len(objects)):
        return f"{len(objects)} objects are listed, the instance mask numbers as many, up to {max(masks.runs)}", None
    listed = {number: each.object for number, each in enumerate(objects, start=1)}
    first, *others = (number for number in labels if labels[number] != listed[number].name)
    value = (masks.majority or {}).get(first)
    there = "no class" if value is None else f"{told(value)} ({labels[first] or 'without a name'})"
    more = f", and {len(others)} more differ" if others else ""
    message = f"object {first} is listed as {listed[first].name}; the class mask has {there} there{more}"
    return message, listed[first].line
