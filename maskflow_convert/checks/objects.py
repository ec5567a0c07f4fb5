"""The objects of one image, as checks see them; what several checks want to know is worked out once for all objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from maskflow_convert import runs
from maskflow_convert.issues import Issue
from maskflow_convert.outlines import Outlines
from maskflow_convert.runs import Runs
from maskflow_convert.sample import Instance
from maskflow_convert.shape import Bitmap, Polygons, members

_RUNS_AT_ONCE = 2**20  # what is worked out of so many takes some tens of megabytes

Finding = tuple[int, Issue]
"""The number of an object, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outline stands: the number of its object, its own number among the parts of that, and theirs."""

    number: int
    part: int
    parts: int

    def __str__(self) -> str:
        return f"part {self.part} of {self.parts}"


@dataclass(frozen=True)
class Objects:
    """The objects of one image whose shapes were turned into pixels without fault.

    Attributes:
        instances: `[N]`
        masks: `[N]` their pixels, which may be none.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """

    instances: Sequence[Instance]
    masks: Sequence[Runs]
    width: int
    height: int

    @cached_property
    def polygons(self) -> Sequence[tuple[int, Polygons]]:
        """All polygons, each with the number of its object."""
        return [
            (number, shape)
            for number, instance in enumerate(self.instances)
            for shape in members(instance.shape)
            if isinstance(shape, Polygons)
        ]

    @cached_property
    def bitmaps(self) -> Sequence[tuple[int, Bitmap]]:
        """All masks in files of their own, each with the number of its object."""
        return [
            (number, shape)
            for number, instance in enumerate(self.instances)
            for shape in members(instance.shape)
            if isinstance(shape, Bitmap)
        ]

    @cached_property
    def outlines(self) -> Outlines:
        """The parts of all polygons that have three points or more."""
        return Outlines.of([part for _, shape in self.polygons for part in shape.parts if len(part) >= 6])

    @cached_property
    def places(self) -> Sequence[Place]:
        """Where each of `outlines` stands."""
        return [
            Place(number, at, len(shape.parts))
            for number, shape in self.polygons
            for at, part in enumerate(shape.parts)
            if len(part) >= 6
        ]

    @cached_property
    def drawn(self) -> Sequence[int]:
        """The numbers of the objects that have a pixel."""
        return [number for number, mask in enumerate(self.masks) if mask.area]

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """`[4, D]` x0, y0, x1, y1 of the box around each of `drawn`; half-open."""
        if not self.drawn:
            return np.empty((4, 0), dtype=np.int64)
        return np.concatenate([runs.boxes(masks) for masks in self.drawn_masks()], axis=1)

    def drawn_masks(self) -> Iterator[Sequence[Runs]]:
        """The masks of `drawn`, so many at once that they can be put end to end: one, or some that have few runs."""
        masks = [self.masks[number] for number in self.drawn]
        return runs.batches(masks, [len(mask.starts) for mask in masks], _RUNS_AT_ONCE)


def furthest(left: float, top: float, right: float, bottom: float) -> tuple[float, str]:
    """How far something lies beyond which edge, from where it begins and how far it ends beyond the other edges."""
    return max((-left, "left"), (right, "right"), (-top, "top"), (bottom, "bottom"), key=itemgetter(0))
