"""What can be said of closed outlines before they are turned into pixels: of all those of an image at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.overlaps import Numbers, overlapping

Points = NDArray[np.complex128]
"""Points or steps in the plane, x + iy, in pixels."""

CLOSE = 1e-6
"""Pixels that a point may be off a line and still lie on it: above what rounding does, below what anybody draws."""

NO_AREA = 1e-6
"""Largest area that is none, in square pixels; with two decimals the smallest triangle has 5e-5."""


@dataclass(frozen=True)
class Outlines:
    """Closed outlines, their corners end to end.

    Attributes:
        corners: `[P]` finite.
        counts: `[K]` corners of each outline, at least 1.
    """

    corners: Points
    counts: Numbers

    @classmethod
    def of(cls, parts: Sequence[Sequence[float]]) -> Outlines:
        """Outlines from a flat `(x0, y0, x1, y1, ...)` each, of an even length."""
        counts = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)) // 2
        numbers = np.fromiter(chain.from_iterable(parts), dtype=np.float64, count=2 * int(counts.sum()))
        return cls(numbers.view(np.complex128), counts)

    @cached_property
    def firsts(self) -> Numbers:
        """`[K]` index of the first corner of each."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def numbers(self) -> Numbers:
        """`[P]` number of the outline that each corner belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def following(self) -> Numbers:
        """`[P]` index of the next corner around the outline."""
        following = np.arange(1, len(self.corners) + 1)
        following[self.firsts + self.counts - 1] = self.firsts
        return following

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """`[K]` square pixels within each; what is walked around the other way counts as negative."""
        spokes = self.corners - self.corners[self.firsts][self.numbers]  # short ones lose fewer digits
        sums: NDArray[np.float64] = np.add.reduceat(_cross(spokes, spokes[self.following]), self.firsts)
        return sums / 2

    @cached_property
    def repeats(self) -> Numbers:
        """Indices of the corners that are the same as the one before. A closing point, equal to the first, is none."""
        same = np.flatnonzero(self.corners[1:] == self.corners[:-1]) + 1
        within: Numbers = same[self.numbers[same] == self.numbers[same - 1]]
        return within

    def crossings(self) -> Mapping[int, complex]:
        """The outlines that cross themselves, and where each does first on the way around it.

        The outline must go from one side to the other. A corner that touches, and a stretch that is walked twice, are
        no crossing; nor is a change of sides along such a stretch.

        Where more than `overlaps.MOST_PAIRS` pairs of edges lie beside each other, as in a scribble of some 4,000
        points, only edges that are near are compared: a crossing may go unseen, or one further on is told.
        """
        outlines = self._distinct()
        found: dict[int, tuple[int, float, complex]] = {}
        for edges, points in outlines._crossing_edges():
            walked = np.abs(points - outlines.corners[edges])
            order = np.lexsort((walked, edges))
            numbers, firsts = np.unique(outlines.numbers[edges[order]], return_index=True)
            for number, at in zip(numbers.tolist(), order[firsts].tolist(), strict=True):
                crossing = int(edges[at]), float(walked[at]), complex(points[at])
                found[number] = min(found.get(number, crossing), crossing, key=itemgetter(0, 1))
        return {number: point for number, (_, _, point) in sorted(found.items())}

    def _distinct(self) -> Outlines:
        """The outlines without the corners that equal the next, all the way round; each keeps one at least."""
        kept = self.corners != self.corners[self.following]
        if kept.all():
            return self
        kept[self.firsts] |= ~np.logical_or.reduceat(kept, self.firsts)
        return Outlines(self.corners[kept], np.add.reduceat(kept, self.firsts, dtype=np.int64))

    def _crossing_edges(self) -> Iterator[tuple[Numbers, Points]]:
        """The first edges, by their first corners, of pairs that cross, and the points where they do."""
        begins = self.corners.view(np.float64).reshape(-1, 2).T
        ends = begins[:, self.following]
        boxes = np.concatenate([np.minimum(begins, ends), np.maximum(begins, ends)])
        for i, j in overlapping(boxes, self.numbers):
            apart = (self.following[i] != j) & (self.following[j] != i)
            i, j = np.minimum(i, j)[apart], np.maximum(i, j)[apart]
            if len(i):
                yield from self._crossing_pairs(i, j)

    def _crossing_pairs(self, i: Numbers, j: Numbers) -> Iterator[tuple[Numbers, Points]]:
        a, b, c, d = self.corners[i], self.corners[self.following[i]], self.corners[j], self.corners[self.following[j]]
        sides_of_j, sides_of_i = _side(a, b, c) * _side(a, b, d), _side(c, d, a) * _side(c, d, b)
        inside = np.flatnonzero((sides_of_j < 0) & (sides_of_i < 0))
        if len(inside):
            a, b, c, d = a[inside], b[inside], c[inside], d[inside]
            share = _cross(d - c, a - c) / (_cross(d - c, a - c) - _cross(d - c, b - c))
            yield i[inside], a + share * (b - a)
        at_corner = np.flatnonzero((sides_of_j == 0) | (sides_of_i == 0))
        if len(at_corner):
            yield from self._crossing_at_corners(i[at_corner], j[at_corner])

    def _crossing_at_corners(self, i: Numbers, j: Numbers) -> Iterator[tuple[Numbers, Points]]:
        """Of pairs of edges, those where the first corner of one lies on the other and the outline changes sides."""
        before = np.empty_like(self.following)
        before[self.following] = np.arange(len(before))
        a, c = self.corners[i], self.corners[j]
        same = np.abs(a - c) <= CLOSE
        for corner, edge in ((i, j), (j, i)):
            at, start, end = self.corners[corner], self.corners[edge], self.corners[self.following[edge]]
            on = (_side(start, end, at) == 0) & ~same & (np.abs(at - end) > CLOSE)
            on &= ((at - start) * (at - end).conjugate()).real < 0
            there, back = self.corners[self.following[corner]], self.corners[before[corner]]
            crosses = on & (_side(start, end, there) * _side(start, end, back) < 0)
            yield i[crosses], at[crosses]
        arms = [self.corners[index] - a for index in (self.following[i], before[i], self.following[j], before[j])]
        crosses = same & _interleaved(*arms)
        yield i[crosses], a[crosses]


def _cross(a: Points, b: Points) -> NDArray[np.float64]:
    """Twice the area of the triangle between two steps from one point, positive if `b` is clockwise on the screen."""
    return (a.conjugate() * b).imag


def _side(start: Points, end: Points, point: Points) -> NDArray[np.float64]:
    """On which side of a line the point lies: 1, -1, or 0 on it."""
    step = end - start
    area = _cross(step, point - start)
    return np.where(np.abs(area) > CLOSE * np.abs(step), np.sign(area), 0.0)


def _interleaved(on: Points, back: Points, other_on: Points, other_back: Points) -> NDArray[np.bool_]:
    """Whether of four steps from one point the first two part the others, none of which goes the way of another."""
    turns = [np.angle(step * on.conjugate()) % (2 * np.pi) for step in (back, other_on, other_back)]
    distinct = [np.minimum(turn, 2 * np.pi - turn) > CLOSE for turn in turns]
    distinct += [np.abs(turns[0] - turn) > CLOSE for turn in turns[1:]]
    distinct.append((turns[1] < turns[0]) != (turns[2] < turns[0]))
    parted: NDArray[np.bool_] = np.logical_and.reduce(distinct)
    return parted
