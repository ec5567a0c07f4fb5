"""Repairs of doubtful shapes: each gives a shape with the same pixels, of which there is nothing to be said any more.

They run where the configuration says `fix` of a code. What a shape should have been is nobody's guess here: an outline
that crosses itself becomes what its format fills of it, not what its author may have meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from maskflow_convert import runs
from maskflow_convert.checks.polygons import empty_parts
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.shape import Polygons, Rle, Shape, Union

Repair = Callable[[Shape, int, int], Shape]
"""Takes a shape that was turned into pixels without fault, and the width and height of its image in pixels."""


def as_filled(shape: Shape, width: int, height: int) -> Shape:
    """The pixels that the shape fills within the image, in as few runs as they have."""
    mask = Rasteriser(width, height).runs(shape)
    joined = runs.union([mask], width=width, height=height)
    return Rle(width=width, height=height, counts=joined.to_counts())


def without_repeated_points(shape: Shape, width: int, height: int) -> Shape:
    """Without the points that equal the one before; a part that would have fewer than three points keeps them all."""
    return _of_polygons(shape, lambda polygons: [_distinct(part) for part in polygons.parts])


def without_small_parts(shape: Shape, width: int, height: int) -> Shape:
    """Without the parts of fewer than three points."""
    return _of_polygons(shape, lambda polygons: [part for part in polygons.parts if len(part) >= 6])


def without_empty_parts(shape: Shape, width: int, height: int) -> Shape:
    """Without the parts that give no pixel, where others do."""
    rasteriser = Rasteriser(width, height)

    def drawn(polygons: Polygons) -> Sequence[Sequence[float]]:
        empty = set(empty_parts(polygons, rasteriser.areas_of_parts(polygons)))
        return [part for number, part in enumerate(polygons.parts) if number not in empty]

    return _of_polygons(shape, drawn)


REPAIRS: Mapping[str, Repair] = {
    "polygon-outside-image": as_filled,
    "polygon-self-intersecting": as_filled,
    "polygon-points-repeated": without_repeated_points,
    "polygon-part-dropped": without_small_parts,
    "polygon-part-without-pixels": without_empty_parts,
    "rle-zero-run": as_filled,
}
"""By the code of the issue that each repairs."""

REPAIRABLE = (*REPAIRS, "image-size-differs")
"""All that can be repaired: an image is no shape, and its annotated size is repaired where it is opened."""


def _of_polygons(shape: Shape, parts_of: Callable[[Polygons], Sequence[Sequence[float]]]) -> Shape:
    """The shape with other parts in each of its polygons."""
    match shape:
        case Polygons():
            return Polygons(parts=tuple(map(tuple, parts_of(shape))), rasteriser=shape.rasteriser)
        case Union():
            return Union(members=tuple(_of_polygons(member, parts_of) for member in shape.members))
        case _:
            return shape


def _distinct(part: Sequence[float]) -> Sequence[float]:
    points = list(zip(part[0::2], part[1::2], strict=True))
    kept = points[:1] + [point for before, point in pairwise(points) if point != before]
    return [value for point in kept for value in point] if len(kept) >= 3 else part
