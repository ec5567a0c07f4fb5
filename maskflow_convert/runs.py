"""The mask of one object as run lengths down the columns, and COCO's two spellings of them.

A pixel's position is `p = x * height + y`. Runs are what COCO's RLE holds, and what a record's indices are made of, so
that a mask goes from the one to the other without ever being dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import ShapeError

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """The pixels of one mask.

    Attributes:
        starts: `[R]` position of each run's first pixel, ascending; runs may touch and do not overlap.
        lengths: `[R]` pixels in each run, at least 1. A run may go on from one column into the next.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """

    starts: Positions
    lengths: Positions
    width: int
    height: int

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.lengths.sum())

    def columns(self) -> tuple[Positions, Positions, Positions]:
        """The runs cut where a column ends: `(x, y of the first pixel, number of pixels)`, each `[S]`."""
        first = self.starts // self.height
        last = (self.starts + self.lengths - 1) // self.height
        pieces = last - first + 1
        run = np.repeat(np.arange(len(pieces)), pieces)
        x = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces - first, pieces)
        top = x * self.height
        begin = np.maximum(self.starts[run], top)
        end = np.minimum((self.starts + self.lengths)[run], top + self.height)
        return x, begin - top, end - begin

    def transposed(self) -> Runs:
        """The same pixels with the axes exchanged: runs along the rows."""
        x, y = np.divmod(self.positions(), self.height)
        return from_positions(np.sort(y * self.width + x), width=self.height, height=self.width)

    def positions(self) -> Positions:
        """`[area]` position of each pixel, ascending."""
        offsets = np.cumsum(self.lengths) - self.lengths
        positions: Positions = np.arange(self.area) + np.repeat(self.starts - offsets, self.lengths)
        return positions

    def to_dense(self) -> NDArray[np.bool_]:
        """The mask as a `[height, width]` array."""
        flat = np.zeros(self.width * self.height, dtype=np.bool_)
        flat[self.positions()] = True
        return flat.reshape(self.width, self.height).T

    def to_counts(self) -> tuple[int, ...]:
        """COCO's uncompressed run lengths: zeros and ones in turn, beginning with zeros, adding up to all pixels."""
        ends = self.starts + self.lengths
        zeros = np.diff(self.starts, prepend=0)
        zeros[1:] -= self.lengths[:-1]
        counts = np.stack([zeros, self.lengths], axis=1).ravel().tolist()
        rest = self.width * self.height - (int(ends[-1]) if len(ends) else 0)
        return (*counts, rest) if rest else tuple(counts)


def nothing(width: int, height: int) -> Runs:
    """The mask without a pixel."""
    empty = np.empty(0, dtype=np.int64)
    return Runs(empty, empty, width, height)


def from_positions(positions: Positions, *, width: int, height: int) -> Runs:
    """Join ascending positions, each at most once, into runs."""
    if not len(positions):
        return nothing(width, height)
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    firsts = np.concatenate([[0], breaks])
    lengths = np.diff(firsts, append=len(positions))
    return Runs(positions[firsts], lengths, width, height)


def from_dense(mask: NDArray[np.bool_]) -> Runs:
    """Runs of a `[height, width]` mask."""
    height, width = mask.shape
    return from_positions(np.flatnonzero(mask.T), width=width, height=height)


def from_counts(counts: Sequence[int] | NDArray[np.int64], *, width: int, height: int) -> Runs:
    """Runs from COCO's uncompressed run lengths. Runs of length 0 are allowed.

    Raises:
        ShapeError: `rle-negative-run`, `rle-sum-differs`.
    """
    try:
        lengths = np.asarray(counts, dtype=np.int64)
    except OverflowError:
        raise ShapeError("rle-sum-differs", f"a run length passes 64 bits in a {width} x {height} image") from None
    if len(lengths) and int(lengths.min()) < 0:
        at = int(np.argmin(lengths))
        raise ShapeError("rle-negative-run", f"run {at} has length {int(lengths[at])}")
    total = sum(counts) if len(lengths) and int(lengths.max()) > width * height else int(lengths.sum())
    if total != width * height:
        raise ShapeError(
            "rle-sum-differs",
            f"the run lengths add up to {total}, not to {width} x {height} = {width * height}",
        )
    ends = np.cumsum(lengths)
    starts, stops = (ends - lengths)[1::2], ends[1::2]
    filled = stops > starts
    return Runs(starts[filled], (stops - starts)[filled], width, height)


_LONGEST = 7  # groups of five bits in one number: 2**34 pixels, more than any image that is read


def parse_counts(text: str) -> NDArray[np.int64]:
    """COCO's compressed run lengths as numbers.

    Each number is written in groups of five bits, lowest first, one character a group: 48 + bits + 32 if more follow.
    The highest bit of the last group is the sign. From the fourth number on, what is written is the difference to the
    number two before (maskApi.c, rleToString and rleFrString).

    Raises:
        ShapeError: `rle-undecodable`.
    """
    try:
        groups = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise ShapeError("rle-undecodable", "the string of run lengths holds characters outside ASCII") from None
    if not len(groups):
        raise ShapeError("rle-undecodable", "the string of run lengths is empty")
    if int(groups.min()) < 0 or int(groups.max()) > 63:
        at = int(np.flatnonzero((groups < 0) | (groups > 63))[0])
        raise ShapeError("rle-undecodable", f"character {at} of the run lengths, {text[at]!r}, is outside '0' to 'o'")
    last = np.flatnonzero(groups < 32)
    if not len(last) or last[-1] != len(groups) - 1:
        raise ShapeError("rle-undecodable", "the string of run lengths ends within a number")
    first = np.concatenate([[0], last[:-1] + 1])
    if int((last - first).max()) >= _LONGEST:
        raise ShapeError("rle-undecodable", "the string of run lengths holds a number of more than 34 bits")
    shift = 5 * (np.arange(len(groups)) - np.repeat(first, last - first + 1))
    written = np.add.reduceat((groups & 31) << shift, first)
    negative = (groups[last] & 16) != 0
    written -= np.where(negative, 1 << (shift[last] + 5), 0)
    written[1::2] = np.cumsum(written[1::2])
    written[2::2] = np.cumsum(written[2::2])
    return written


def to_masks(masks: Sequence[Runs], *, width: int, height: int) -> NDArray[np.uint8]:
    """Masks as a dense array `[N, width, height]` of 0 and 1: the order of positions, seen as an array."""
    dense = np.zeros((len(masks), width * height), dtype=np.uint8)
    for row, mask in zip(dense, masks, strict=True):
        row[mask.positions()] = 1
    return dense.reshape(len(masks), width, height)
