"""Checks of masks: against what the annotation says of them, against the image, against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maskflow_convert import runs
from maskflow_convert.checks.objects import Finding, Objects, furthest
from maskflow_convert.image import read_size
from maskflow_convert.issues import Issue
from maskflow_convert.overlaps import overlapping
from maskflow_convert.runs import Runs
from maskflow_convert.shape import Box

BOX_PIXELS, BOX_SHARE = 2, 0.05
"""How far an edge of a stated box may be off: pixels, and shares of the box's size along that axis.

Half of COCO's boxes are off by less than half a pixel, one in a hundred by 2 to 3, and the furthest of 852 by 6.7, on
large objects: polygons were drawn at another scale. One of the 852 is off by more than this, and none of TACO's 4,784.
"""

AREA_SHARE, AREA_BORDER = 0.1, 0.5
"""How much a stated area may be off: shares of it, and pixels for each pixel of the box's width and height.

Outlines enclose up to half a pixel more or less than they fill, all along. Beyond this are two crowd regions of COCO's
852 objects, and of TACO's 4,784 two whose area is plainly wrong.
"""

WHOLE_IMAGE = 0.99
"""Share of the pixels from which a mask covers the image: an outline along its edges may leave a row and a column."""

SPECK, MANY_SPECKS = 10, 10
"""A speck has fewer pixels than this, and a mask of more specks than this has many.

Of the 4,784 outlines of TACO, seven break into so many, of COCO's 852 one crowd region.
"""

SAME_MASK = 0.95
"""Intersection over union above which two masks are the same."""

MOST_LAID_OVER = 2**24
"""Runs of masks of one image, alike by their boxes and areas, that are laid over each other: a second or two."""

_A_PAIR = 1000  # what it takes, in runs, whatever it has

EDGES = ("left", "top", "right", "bottom")


def outside_image(objects: Objects) -> Iterator[Finding]:
    """A mask of its own size that hangs over an edge of the image, said with the one it is furthest beyond."""
    width, height = objects.width, objects.height
    for number, bitmap in objects.bitmaps:
        columns, rows = read_size(bitmap.source)
        by, side = furthest(bitmap.x, bitmap.y, bitmap.x + columns - width, bitmap.y + rows - height)
        if by > 0:
            message = f"the mask of {columns} x {rows} pixels goes {by} beyond the {side} edge of {width} x {height}"
            yield number, Issue("mask-outside-image", message)


def stated_patch(objects: Objects) -> Iterator[Finding]:
    """A mask that has not the size that its annotation says."""
    for number, bitmap in objects.bitmaps:
        columns, rows = read_size(bitmap.source)
        stated = columns if bitmap.width is None else bitmap.width, rows if bitmap.height is None else bitmap.height
        if stated != (columns, rows):
            message = f"the mask has {columns} x {rows} pixels, its place in the image {stated[0]} x {stated[1]}"
            yield number, Issue("mask-patch-differs", message)


def stated_box(objects: Objects) -> Iterator[Finding]:
    """A mask that has no pixel in its stated box, or another extent; what of the box is outside the image is cut."""
    for number, around in zip(objects.drawn, objects.boxes.T.tolist(), strict=True):
        box = objects.instances[number].stated_box
        if box is not None:
            stated = _cut(box, objects.width, objects.height)
            off, edge = _furthest_off(around, stated)
            if off > 0 or _apart(around, stated):
                told = f"the mask lies in {_extent(around)}, its box in {_extent(stated)}"
                if _touches(objects.masks[number], stated):
                    yield number, Issue("mask-box-differs", f"{told}: {off:g} pixels off at the {edge} edge")
                else:
                    yield number, Issue("mask-outside-box", f"{told}: no pixel of the one in the other")


def stated_area(objects: Objects) -> Iterator[Finding]:
    """A mask of another area than the annotation says."""
    for number, (x0, y0, x1, y1) in zip(objects.drawn, objects.boxes.T.tolist(), strict=True):
        stated = objects.instances[number].stated_area
        if stated is not None:
            area = objects.masks[number].area
            if abs(area - stated) > AREA_SHARE * stated + AREA_BORDER * (x1 - x0 + y1 - y0):
                message = f"the mask has {area} pixels, and {stated:g} by its annotation"
                yield number, Issue("mask-area-differs", message)


def whole_image(objects: Objects) -> Iterator[Finding]:
    """A mask that leaves hardly a pixel of the image."""
    pixels = objects.width * objects.height
    for number, mask in enumerate(objects.masks):
        if mask.area >= WHOLE_IMAGE * pixels:
            yield number, Issue("mask-covers-image", f"the mask has {mask.area} of the image's {pixels} pixels")


def specks(objects: Objects) -> Iterator[Finding]:
    """A mask of many tiny pieces."""
    if not objects.drawn:
        return
    bounds = np.concatenate([runs.most_components(masks) for masks in objects.drawn_masks()]).tolist()
    for number, bound in zip(objects.drawn, bounds, strict=True):
        if bound > MANY_SPECKS:
            pieces = runs.components(objects.masks[number])
            tiny = int((pieces < SPECK).sum())
            if tiny > MANY_SPECKS:
                message = f"{tiny} of the mask's {len(pieces)} pieces have fewer than {SPECK} pixels"
                yield number, Issue("mask-specks", message)


def duplicates(objects: Objects) -> Iterator[Finding]:
    """A mask that an object before has as well; said with the first that has it.

    Masks that are quite the same are all found; others where no more than `MOST_LAID_OVER` runs have to be looked at.
    """
    copied = _copied(objects)
    nearly = _nearly_same(objects, np.flatnonzero(copied == np.arange(len(copied))))
    for at, first in enumerate(copied.tolist()):
        other, shared = nearly.get(first, (first, 1.0))
        if other != at:
            number, before = objects.drawn[at], objects.drawn[other]
            message = f"the mask is that of {_other(objects, before, number)}, IoU {shared:.2f}"
            yield number, Issue("mask-duplicate", message)


def _copied(objects: Objects) -> NDArray[np.int64]:
    """`[D]` the first of `objects.drawn`, by its position there, that has the very pixels of each."""
    firsts: dict[tuple[int, int], int] = {}
    copied = []
    for at, number in enumerate(objects.drawn):
        mask = objects.masks[number]
        first = firsts.setdefault((hash(mask.starts.tobytes()), hash(mask.lengths.tobytes())), at)
        copied.append(first if first == at or _same(mask, objects.masks[objects.drawn[first]]) else at)
    return np.array(copied, dtype=np.int64)


def _same(a: Runs, b: Runs) -> bool:
    return np.array_equal(a.starts, b.starts) and np.array_equal(a.lengths, b.lengths)


def _nearly_same(objects: Objects, distinct: NDArray[np.int64]) -> Mapping[int, tuple[int, float]]:
    """For each that has the mask of one before, the first such one, and their IoU.

    All are told by their positions in `objects.drawn`; `distinct` are those to look at.
    """
    found: dict[int, tuple[int, float]] = {}
    laid_over = 0
    for second, firsts in _alike(objects, distinct):
        for first in firsts:
            one, other = (objects.masks[objects.drawn[at]] for at in (first, second))
            laid_over += _A_PAIR + len(one.starts) + len(other.starts)
            if laid_over > MOST_LAID_OVER:
                return found
            shared = _shared(one, other)
            if shared > SAME_MASK:
                found[second] = first, shared
                break
    return found


def _alike(objects: Objects, distinct: NDArray[np.int64]) -> Iterator[tuple[int, Sequence[int]]]:
    """Each that may have the mask of some before by its box and area, and these; in order, and told likewise."""
    count = len(distinct)
    boxes = objects.boxes[:, distinct].astype(np.float64)
    areas = np.array([objects.masks[objects.drawn[at]].area for at in distinct.tolist()])
    found = [np.empty(0, dtype=np.int64)]
    for i, j in overlapping(boxes, np.zeros(count, dtype=np.int64)):
        sides = np.minimum(boxes[2:, i], boxes[2:, j]) - np.maximum(boxes[:2, i], boxes[:2, j])
        most_shared = np.minimum(sides[0] * sides[1], np.minimum(areas[i], areas[j]))
        alike = most_shared > SAME_MASK * np.maximum(areas[i], areas[j])
        found.append((np.maximum(i, j) * count + np.minimum(i, j))[alike])
    pairs = np.sort(np.concatenate(found))
    seconds, begins = np.unique(pairs // max(count, 1), return_index=True)
    for second, begin, end in zip(seconds.tolist(), begins, np.append(begins[1:], len(pairs)), strict=False):
        yield int(distinct[second]), distinct[pairs[begin:end] % count].tolist()


def _shared(a: Runs, b: Runs) -> float:
    """Intersection over union."""
    together = runs.union([a, b], width=a.width, height=a.height).area
    return (a.area + b.area - together) / together


def _other(objects: Objects, first: int, second: int) -> str:
    """The first object, and whether its class is that of the second."""
    one, other = objects.instances[first], objects.instances[second]
    named = f"object {first if one.id is None else one.id}"
    same = one.label == other.label
    return f"{named}, of the same class {one.label}" if same else f"{named}, which is {one.label} and not {other.label}"


def _cut(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    x0, x1 = (min(max(x, 0), width) for x in (box.x0, box.x1))
    y0, y1 = (min(max(y, 0), height) for y in (box.y0, box.y1))
    return x0, y0, x1, y1


def _furthest_off(around: Sequence[int], stated: Sequence[float]) -> tuple[float, str]:
    """By how much the edge of a mask that is furthest out of place is so, and which; 0 if all are where they may be."""
    x0, y0, x1, y1 = stated
    borne = (BOX_PIXELS + BOX_SHARE * abs(x1 - x0), BOX_PIXELS + BOX_SHARE * abs(y1 - y0)) * 2
    off = [abs(edge - said) for edge, said in zip(around, stated, strict=True)]
    beyond = [(by, edge) for by, most, edge in zip(off, borne, EDGES, strict=True) if by > most]
    return max(beyond, default=(0, ""))


def _apart(around: Sequence[int], stated: Sequence[float]) -> bool:
    return not (around[0] < stated[2] and stated[0] < around[2] and around[1] < stated[3] and stated[1] < around[3])


def _touches(mask: Runs, box: Sequence[float]) -> bool:
    """Whether a pixel of the mask overlaps the box."""
    x0, y0, x1, y1 = box
    x, y, length = mask.columns()
    return bool(((x + 1 > x0) & (x < x1) & (y + length > y0) & (y < y1)).any())


def _extent(edges: Sequence[float]) -> str:
    x0, y0, x1, y1 = edges
    return f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
