"""The mask of one object as run lengths down the columns, and COCO's two spellings of them.

A pixel's position is `p = x * height + y`. Runs are what COCO's RLE holds, and what a record's indices are made of, so
that a mask goes from the one to the other without ever being dense.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import ShapeError

T = TypeVar("T")

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


def batches(items: Sequence[T], sizes: Sequence[int], most: int) -> Iterator[Sequence[T]]:
    """The items in their order, so many at once that their sizes add up to no more than `most`, or that it is one."""
    begin = total = 0
    for end, size in enumerate(sizes):
        if total + size > most and end > begin:
            yield items[begin:end]
            begin, total = end, 0
        total += size
    if begin < len(items):
        yield items[begin:]


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


def union(masks: Sequence[Runs], *, width: int, height: int) -> Runs:
    """Every pixel of any of the masks, which are all of one image."""
    starts = np.concatenate([nothing(width, height).starts, *(mask.starts for mask in masks)])
    if not len(starts):
        return nothing(width, height)
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    ends = np.concatenate([mask.starts + mask.lengths for mask in masks])[order]
    reached = np.maximum.accumulate(ends)
    firsts = np.flatnonzero(np.concatenate([[True], starts[1:] > reached[:-1]]))
    lasts = np.append(firsts[1:], len(starts)) - 1
    return Runs(starts[firsts], reached[lasts] - starts[firsts], width, height)


def boxes(masks: Sequence[Runs]) -> NDArray[np.int64]:
    """`[4, N]` the smallest box around each of the masks of one image, none of which is empty.

    The rows are x0, y0, x1, y1 in pixels, half-open.
    """
    starts, lengths, firsts = _end_to_end(masks)
    height = masks[0].height
    top = starts % height
    bottom = top + lengths
    goes_on = bottom > height
    top[goes_on], bottom[goes_on] = 0, height
    last = np.append(firsts[1:], len(starts)) - 1
    left, right = starts[firsts] // height, (starts[last] + lengths[last] - 1) // height + 1
    return np.stack([left, np.minimum.reduceat(top, firsts), right, np.maximum.reduceat(bottom, firsts)])


def most_components(masks: Sequence[Runs]) -> Positions:
    """`[N]` a number that the `components` of each mask do not exceed, for a small part of the work of finding them.

    It is how many runs lie beside none of the few runs before them, and how many go on from one column into the next,
    where their two ends may lie apart. No mask may be empty.
    """
    starts, lengths, firsts = _end_to_end(masks)
    height, width = masks[0].height, masks[0].width
    numbers = np.arange(len(masks))
    starts = starts + np.repeat(numbers * (width + 1) * height, np.diff(firsts, append=len(starts)))
    ends = starts + lengths
    beside, beside_ends = starts - height, ends - height
    alone = np.ones(len(starts), dtype=np.bool_)
    for lag in range(1, min(_LOOK_BACK, len(starts) - 1) + 1):
        alone[lag:] &= (beside[lag:] >= ends[:-lag]) | (beside_ends[lag:] <= starts[:-lag])
    goes_on = starts % height + lengths > height
    return np.add.reduceat(alone.astype(np.int64) + goes_on, firsts)


_LOOK_BACK = 3  # runs before: enough for an outline that passes through a column three times


def _end_to_end(masks: Sequence[Runs]) -> tuple[Positions, Positions, Positions]:
    """Starts and lengths of the runs of all masks, and the index of the first run of each mask."""
    starts = np.concatenate([mask.starts for mask in masks])
    lengths = np.concatenate([mask.lengths for mask in masks])
    counts = [len(mask.starts) for mask in masks]
    return starts, lengths, np.cumsum([0, *counts[:-1]])


def components(mask: Runs) -> Positions:
    """`[C]` number of pixels of each connected piece; pixels connect across their sides and their corners."""
    _, _, length = mask.columns()
    sizes = np.zeros(len(length), dtype=np.int64)
    np.add.at(sizes, pieces(mask), length)
    return sizes[sizes > 0]


def pieces(mask: Runs) -> Positions:
    """`[S]` which connected piece each of `mask.columns()` is part of: the number of the first that is."""
    x, y, length = mask.columns()
    column = mask.height + 1  # a row between the foot of a column and the head of the next: nothing reaches over
    begins = x * column + y
    ends = begins + length
    first = np.searchsorted(ends, begins - column - 1, side="right")
    number = np.searchsorted(begins, ends - column + 1, side="left") - first
    run = np.repeat(np.arange(len(x)), number)
    neighbour = np.arange(len(run)) - np.repeat(np.cumsum(number) - number - first, number)
    touching = np.flatnonzero(ends[:-1] == begins[1:])
    return _joined(np.append(run, touching + 1), np.append(neighbour, touching), len(x))


def _joined(a: Positions, b: Positions, count: int) -> Positions:
    """`[count]` the least number that each number is connected with, where `a` and `b` pair those that are neighbours.

    Each round takes the root of every tree to the least root that it has for a neighbour, and then all to their roots.
    """
    root = np.arange(count)
    while (apart := root[a] != root[b]).any():
        a, b = a[apart], b[apart]
        np.minimum.at(root, np.maximum(root[a], root[b]), np.minimum(root[a], root[b]))
        while ((above := root[root]) != root).any():
            root = above
    return root


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
    starts, ones = (lengths.cumsum() - lengths)[1::2], lengths[1::2]
    filled = ones > 0
    return Runs(starts[filled], ones[filled], width, height)


_LONGEST = 7  # groups of five bits in one number: 2**34 pixels, more than any image that is read
_MORE = 48 + 32  # the first character that is not the last of its number
_NO_GROUP = 99
_GROUPS = np.full(256, _NO_GROUP, dtype=np.int64)
_GROUPS[48:_MORE] = (np.arange(32) + 16) % 32 - 16  # the last group of a number, with its sign
_GROUPS[_MORE : _MORE + 32] = np.arange(32)


def parse_counts(text: str) -> NDArray[np.int64]:
    """COCO's compressed run lengths as numbers.

    Each number is written in groups of five bits, lowest first, one character a group: 48 + bits + 32 if more follow.
    The highest bit of the last group is the sign. From the fourth number on, what is written is the difference to the
    number two before (maskApi.c, rleToString and rleFrString).

    Raises:
        ShapeError: `rle-undecodable`.
    """
    try:
        characters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    except UnicodeEncodeError:
        raise ShapeError("rle-undecodable", "the string of run lengths holds characters outside ASCII") from None
    if not len(characters):
        raise ShapeError("rle-undecodable", "the string of run lengths is empty")
    outside = _GROUPS[characters] == _NO_GROUP
    if outside.any():
        at = int(outside.argmax())
        raise ShapeError("rle-undecodable", f"character {at} of the run lengths, {text[at]!r}, is outside '0' to 'o'")
    if characters[-1] >= _MORE:
        raise ShapeError("rle-undecodable", "the string of run lengths ends within a number")
    written, ends = _as_written(characters)
    if int(np.diff(ends, prepend=-1).max()) > _LONGEST:
        raise ShapeError("rle-undecodable", "the string of run lengths holds a number of more than 34 bits")
    written[1::2].cumsum(out=written[1::2])
    written[2::2].cumsum(out=written[2::2])
    return written


def from_texts(texts: Sequence[bytes], *, width: int, height: int) -> list[Runs]:
    """Runs from COCO's compressed run lengths, of several masks of one image at once, which is quicker.

    They must be what pycocotools has made of masks of that size: nothing is checked.
    """
    numbers, ends = _as_written(np.frombuffer(b"".join(texts), dtype=np.uint8))
    counts = np.diff(np.searchsorted(ends, np.cumsum([0, *map(len, texts)])))
    place = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    odd = place % 2 == 1
    for chain in (odd.nonzero()[0], (~odd & (place > 0)).nonzero()[0]):
        numbers[chain] = _summed_anew(numbers[chain], place[chain] <= 2)
    pixels_before = np.repeat(np.arange(len(texts)) * (width * height), counts)
    ones = odd & (numbers > 0)
    starts, lengths = (np.cumsum(numbers) - numbers - pixels_before)[ones], numbers[ones]
    mask = np.repeat(np.arange(len(texts)), counts)[ones]
    bounds = np.searchsorted(mask, np.arange(len(texts) + 1)).tolist()
    return [Runs(starts[begin:end], lengths[begin:end], width, height) for begin, end in pairwise(bounds)]


def _as_written(characters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Positions]:
    """The numbers that groups of five bits spell, and the index of the last character of each."""
    last = (characters < _MORE).nonzero()[0]
    first = np.zeros_like(last)
    first[1:] = last[:-1] + 1
    shift = 5 * (np.arange(len(characters)) - first.repeat(last - first + 1))
    return np.add.reduceat(_GROUPS[characters] << shift, first), last


def _summed_anew(numbers: NDArray[np.int64], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Running sums that begin anew wherever `begins` says so."""
    sums = np.cumsum(numbers)
    firsts = begins.nonzero()[0]
    return sums - np.repeat((sums - numbers)[firsts], np.diff(firsts, append=len(numbers)))


def to_masks(masks: Sequence[Runs], *, width: int, height: int) -> NDArray[np.uint8]:
    """Masks as a dense array `[N, width, height]` of 0 and 1: the order of positions, seen as an array."""
    dense = np.zeros((len(masks), width * height), dtype=np.uint8)
    for row, mask in zip(dense, masks, strict=True):
        row[mask.positions()] = 1
    return dense.reshape(len(masks), width, height)
