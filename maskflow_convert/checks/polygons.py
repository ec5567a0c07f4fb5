"""Checks of polygons: of their points, and of what the rasteriser makes of their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from maskflow_convert.amounts import count_text
from maskflow_convert.checks.objects import Finding, Objects, furthest
from maskflow_convert.errors import ShapeError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.issues import Issue
from maskflow_convert.outlines import NO_AREA
from maskflow_convert.overlaps import overlapping
from maskflow_convert.shape import Drawing, Polygons, Shape, members

MOST_TRIED = 10_000
"""Pairs of parts, in an image, that are drawn to find out whether one lies within the other: about a second."""

NORMALISED_ABOVE = 16
"""Width or height in pixels above which a polygon within the first pixel is taken for one in shares of the image."""


def outside_image(objects: Objects) -> Iterator[Finding]:
    """A point outside the image by any amount, said with the largest."""
    width, height = objects.width, objects.height
    for number, instance in enumerate(objects.instances):
        parts = _parts(instance.shape)
        xs = [x for part in parts for x in part[0::2]]
        ys = [y for part in parts for y in part[1::2]]
        if xs:
            by, side = furthest(min(xs), min(ys), max(xs) - width, max(ys) - height)
            if by > 0:
                message = f"a point lies {by:g} pixels beyond the {side} edge of {width} x {height}"
                yield number, Issue("polygon-outside-image", message)


def small_parts(objects: Objects) -> Iterator[Finding]:
    """A part with one or two points, or none, beside parts that have more."""
    for number, shape in objects.polygons:
        points = [len(part) // 2 for part in shape.parts]
        for part, count in enumerate(points):
            if count < 3:
                yield (
                    number,
                    Issue("polygon-part-dropped", f"part {part} of {len(points)} has {count_text(count, 'point')}"),
                )


def normalised(objects: Objects) -> Iterator[Finding]:
    """All points within the first pixel of an image that is not tiny."""
    if max(objects.width, objects.height) <= NORMALISED_ABOVE:
        return
    for number, instance in enumerate(objects.instances):
        parts = _parts(instance.shape)
        if parts and all(0 <= value <= 1 for part in parts for value in part):
            message = f"all coordinates lie in 0..1, in an image of {objects.width} x {objects.height} pixels"
            yield number, Issue("polygon-normalised", message)


def repeated_points(objects: Objects) -> Iterator[Finding]:
    """Points that equal the one before. That the last equals the first is how many tools close an outline."""
    if not objects.places:
        return
    outlines = objects.outlines
    found, firsts, numbers = np.unique(outlines.numbers[outlines.repeats], return_index=True, return_counts=True)
    for outline, first, number in zip(found.tolist(), firsts.tolist(), numbers.tolist(), strict=True):
        place = objects.places[outline]
        point = int(outlines.repeats[first] - outlines.firsts[outline])
        message = f"{place} repeats {number} of its points, point {point} first"
        yield place.number, Issue("polygon-points-repeated", message)


def enclosed(objects: Objects) -> Iterator[Finding]:
    """An outline that crosses itself; or encloses nothing though it does not, since it is walked to and fro."""
    if not objects.places:
        return
    crossings = objects.outlines.crossings()
    for outline, point in crossings.items():
        place = objects.places[outline]
        message = f"{place} crosses itself at ({point.real:g}, {point.imag:g})"
        yield place.number, Issue("polygon-self-intersecting", message)
    for outline in np.flatnonzero(np.abs(objects.outlines.areas) <= NO_AREA).tolist():
        if outline not in crossings:
            place, points = objects.places[outline], int(objects.outlines.counts[outline])
            yield place.number, Issue("polygon-zero-area", f"{place} encloses nothing with its {points} points")


def pixels_of_parts(objects: Objects) -> Iterator[Finding]:
    """A part without a pixel beside parts that have some; and one that lies within another, which makes no hole."""
    rasteriser = Rasteriser(objects.width, objects.height)
    several = [(number, shape) for number, shape in objects.polygons if len(shape.parts) > 1]
    shapes = [shape for _, shape in several]
    areas = [rasteriser.areas_of_parts(shape) for shape in shapes]
    nested = _nested(shapes, areas, rasteriser)
    for at, (number, shape) in enumerate(several):
        of = f"of {len(shape.parts)}"
        for part in empty_parts(shape, areas[at]):
            yield number, Issue("polygon-part-without-pixels", f"part {part} {of} gives no pixel")
        for inner, outer in nested[at].items():
            told = f"lies within part {outer}, and its {areas[at][inner]} pixels belong to the object"
            yield number, Issue("mask-hole-lost", f"part {inner} {of} {told}")


def empty_parts(shape: Polygons, areas: Sequence[int]) -> list[int]:
    """The numbers of the parts of three points or more that have no pixel, if others have some."""
    if not any(areas):
        return []
    return [number for number, part in enumerate(shape.parts) if len(part) >= 6 and not areas[number]]


def _nested(
    shapes: Sequence[Polygons], areas: Sequence[Sequence[int]], rasteriser: Rasteriser
) -> Sequence[Mapping[int, int]]:
    """Of each shape the parts that lie within a larger one, each with the first of these.

    No more than `MOST_TRIED` are tried, nor more than may be drawn in an image.
    """
    found: list[dict[int, int]] = [{} for _ in shapes]
    for at, inner, outer in _within(shapes, areas):
        if inner not in found[at]:
            shape = shapes[at]
            both = Polygons(parts=(shape.parts[inner], shape.parts[outer]), rasteriser=shape.rasteriser)
            try:
                drawn = rasteriser.runs(both)
            except ShapeError:  # each was drawn before
                break
            if drawn.area == areas[at][outer]:
                found[at][inner] = outer
    return found


def _within(shapes: Sequence[Polygons], areas: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, int]]:
    """`(shape, inner, outer)` of parts whose box lies within that of a larger part, in the order of all three."""
    of_parts = [(at, part) for at, each in enumerate(areas) for part, area in enumerate(each) if area]
    if not of_parts:
        return
    groups, parts = np.array(of_parts).T
    area = np.array([areas[at][part] for at, part in of_parts])
    boxes = np.array([_box_around(shapes[at].parts[part]) for at, part in of_parts]).T
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for i, j in overlapping(boxes, groups):
        for inner, outer in ((i, j), (j, i)):
            begins_later, ends_earlier = boxes[:2, inner] >= boxes[:2, outer], boxes[2:, inner] <= boxes[2:, outer]
            lies = (begins_later & ends_earlier).all(axis=0) & (area[inner] < area[outer])
            pairs.append(np.stack([inner, outer])[:, lies])
    inner, outer = np.concatenate(pairs, axis=1)
    order = np.lexsort((outer, inner))[:MOST_TRIED]
    inner, outer = inner[order], outer[order]
    yield from zip(groups[inner].tolist(), parts[inner].tolist(), parts[outer].tolist(), strict=True)


def _box_around(part: Sequence[float]) -> tuple[float, float, float, float]:
    return min(part[0::2]), min(part[1::2]), max(part[0::2]), max(part[1::2])


def _parts(shape: Shape) -> Sequence[Sequence[float]]:
    """The points of the shape's polygons and figures."""
    parts: list[Sequence[float]] = []
    for member in members(shape):
        if isinstance(member, Polygons):
            parts += member.parts
        elif isinstance(member, Drawing):
            parts.append(member.points)
    return parts
