"""What is doubtful about a sample though it can be written: one generator a check, and the table of them.

What is impossible is refused where it is turned into pixels (`maskflow_convert.geometry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from maskflow_convert.issues import Issue
from maskflow_convert.sample import Instance
from maskflow_convert.shape import Polygons

InstanceCheck = Callable[[Instance, int, int], Iterator[Issue]]


def polygon_outside_image(instance: Instance, width: int, height: int) -> Iterator[Issue]:
    """A point outside the image by any amount, said with the largest."""
    if not isinstance(instance.shape, Polygons):
        return
    xs = [x for part in instance.shape.parts for x in part[0::2]]
    ys = [y for part in instance.shape.parts for y in part[1::2]]
    if not xs or not ys:
        return
    by = {"left": -min(xs), "right": max(xs) - width, "top": -min(ys), "bottom": max(ys) - height}
    side = max(by, key=by.__getitem__)
    if by[side] > 0:
        yield Issue(
            "polygon-outside-image",
            f"a point lies {by[side]:g} pixels beyond the {side} edge of {width} x {height}",
        )


def polygon_part_dropped(instance: Instance, width: int, height: int) -> Iterator[Issue]:
    """A part with one or two points beside parts that have more."""
    if not isinstance(instance.shape, Polygons):
        return
    points = [len(part) // 2 for part in instance.shape.parts]
    if any(number >= 3 for number in points):
        for part, number in enumerate(points):
            if number < 3:
                yield Issue("polygon-part-dropped", f"part {part} of {len(points)} has {number} points")


INSTANCE_CHECKS: tuple[InstanceCheck, ...] = (polygon_outside_image, polygon_part_dropped)


def check_instance(instance: Instance, width: int, height: int) -> Iterator[Issue]:
    """All doubts about one object in an image of that size, in pixels."""
    for check in INSTANCE_CHECKS:
        yield from check(instance, width, height)
