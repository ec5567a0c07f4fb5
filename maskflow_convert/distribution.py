"""How numbers are spread over a data set, in as little memory for a million images as for ten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

_EXACT = 8  # numbers below are a bin each
_DIGITS = 3  # leading binary digits that tell the bins of the others apart: four bins to each power of two


@dataclass
class Distribution:
    """Numbers from 0 on: the smallest, the largest, and how many are in each bin.

    Bins are 0, 1, ... 7, 8-9, 10-11, ... 14-15, 16-19, ... 28-31, 32-39, ...; `counts` has the first number of each.
    """

    counts: Counter[int] = field(default_factory=Counter)
    smallest: int | None = None
    largest: int | None = None

    def count(self, number: int) -> None:
        """Count one number."""
        self.counts[_begin(number)] += 1
        self._stretch(number, number)

    def add(self, other: Distribution) -> None:
        """Count all numbers of another distribution."""
        self.counts.update(other.counts)
        if other.smallest is not None and other.largest is not None:
            self._stretch(other.smallest, other.largest)

    def bins(self) -> Iterator[tuple[int, int, int]]:
        """First number, last number and count of each bin from the first that has any to the last, empty ones too."""
        begin = min(self.counts, default=0)
        while begin <= max(self.counts, default=-1):
            following = begin + _width(begin)
            yield begin, following - 1, self.counts[begin]
            begin = following

    def middle(self) -> int:
        """The first number of the bin that the median is in: half of the numbers are not below it."""
        half = (self.counts.total() + 1) // 2
        begins = sorted(self.counts)
        upto = accumulate(self.counts[begin] for begin in begins)
        return next(begin for begin, count in zip(begins, upto, strict=True) if count >= half)

    def _stretch(self, smallest: int, largest: int) -> None:
        self.smallest = smallest if self.smallest is None else min(self.smallest, smallest)
        self.largest = largest if self.largest is None else max(self.largest, largest)


def _width(number: int) -> int:
    """How many numbers are in the bin of a number."""
    return 1 if number < _EXACT else 1 << (number.bit_length() - _DIGITS)


def _begin(number: int) -> int:
    """The first number of the bin of a number."""
    return number - number % _width(number)


@dataclass
class ImageStatistics:
    """How large images are, in pixels, and how many objects each has."""

    widths: Distribution = field(default_factory=Distribution)
    heights: Distribution = field(default_factory=Distribution)
    objects: Distribution = field(default_factory=Distribution)

    def count(self, width: int, height: int, objects: int) -> None:
        """Count one image."""
        self.widths.count(width)
        self.heights.count(height)
        self.objects.count(objects)

    def add(self, other: ImageStatistics) -> None:
        """Count all images of other statistics."""
        self.widths.add(other.widths)
        self.heights.add(other.heights)
        self.objects.add(other.objects)
