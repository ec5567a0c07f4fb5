"""Which of many boxes overlap, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

MOST_AT_ONCE = 2**19
"""Pairs that are looked at together: some tens of megabytes."""

MOST_PAIRS = 2**23
"""Candidates that are looked at altogether: a second or two."""

_MANY = 32  # candidates for each box, from which it is worth trying the other axis


def overlapping(boxes: NDArray[np.float64], groups: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of boxes of one group that overlap or touch, each pair once, in arrays of a bounded length.

    Where that would be more than `MOST_PAIRS` candidates, each box is held against so many of the next ones along the
    axis that it is not, and pairs further apart go unseen. It takes some 4,000 boxes that all lie beside each other.

    Args:
        boxes: `[4, N]` x0, y0, x1, y1, all finite.
        groups: `[N]` the number of the group that each box belongs to.
    """
    if len(groups) < 2:
        return
    swept, across = boxes[0::2], boxes[1::2]
    order, followers = _candidates(swept, groups)
    if int(followers.sum()) > _MANY * len(groups):
        other = _candidates(across, groups)
        if int(other[1].sum()) < int(followers.sum()):
            (order, followers), across = other, swept
    if int(followers.sum()) > MOST_PAIRS:
        followers = np.minimum(followers, max(MOST_PAIRS // len(followers), 1))
    low, high = across[:, order]
    for first, last in _batches(followers):
        number = followers[first:last]
        i = np.repeat(np.arange(first, last), number)
        j = np.arange(len(i)) - np.repeat(np.cumsum(number) - number, number) + i + 1
        meet = np.flatnonzero((low[i] <= high[j]) & (low[j] <= high[i]))
        yield order[i[meet]], order[j[meet]]


def _candidates(spans: NDArray[np.float64], groups: Numbers) -> tuple[Numbers, Numbers]:
    """The boxes in order along one axis, group by group, and how many of the next ones begin before each of them ends.

    Groups are set beside each other with a gap between them. `spans` is `[2, N]`, where each box begins and ends.
    """
    low, high = spans
    beside = groups * (high.max() - low.min() + 1.0)
    begins = low + beside
    order = np.argsort(begins, kind="stable")
    reached = np.searchsorted(begins[order], (high + beside)[order], side="right")
    return order, reached - np.arange(1, len(order) + 1)


def _batches(followers: Numbers) -> Iterator[tuple[int, int]]:
    """Ranges of boxes that together have `MOST_AT_ONCE` followers, or are one box."""
    total = np.cumsum(followers)
    first = 0
    while first < len(followers):
        done = int(total[first - 1]) if first else 0
        last = max(int(np.searchsorted(total, done + MOST_AT_ONCE, side="right")), first + 1)
        yield first, last
        first = last
