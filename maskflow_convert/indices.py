"""The positive pixels of masks as a record lists them: triples of protobuf's varints, from runs and no dense mask.

A varint has seven bits of a number in each byte, lowest first, and the highest bit set in all bytes but the last. So
the triples `(n, x, y)` of a stretch of rows that lie in one column and one block of 128 differ in a single byte, which
counts up. Seen as a little-endian number, each is the one before it plus a constant, and a running sum makes them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.runs import Positions, Runs, batches

_ROWS = 128  # of a block: those whose varints have all but the first byte in common
_WORD = 8  # bytes of the numbers that triples are computed in
_TRIPLES = 1 << 17  # that are computed at a time, in a few megabytes
_RUNS = 1 << 20  # that are cut at a time, in some hundred megabytes

Words = NDArray[np.uint64]


def varint(value: int) -> bytes:
    """Protobuf's variable-length form of an int64: seven bits a byte, lowest first; a negative one takes ten bytes."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_indices(masks: Sequence[Runs]) -> Iterator[bytes]:
    """Varints of all triples `(n, p div height, p mod height)`, in order and in pieces; the masks are of one image."""
    if not any(len(mask.starts) for mask in masks):
        return iter(())
    return _triple_by_triple(masks) if _longest(masks) > _WORD else _by_running_sums(masks)


def _longest(masks: Sequence[Runs]) -> int:
    """Bytes of the longest triple that there may be."""
    return sum(len(varint(count - 1)) for count in (len(masks), masks[0].width, masks[0].height))


def _triple_by_triple(masks: Sequence[Runs]) -> Iterator[bytes]:
    """The plain way, for images of more than 16,384 objects, columns and rows each."""
    for n, mask in enumerate(masks):
        for x, y, length in zip(*(numbers.tolist() for numbers in mask.columns()), strict=True):
            column = varint(n) + varint(x)
            yield b"".join(column + varint(row) for row in range(y, y + length))


def _by_running_sums(masks: Sequence[Runs]) -> Iterator[bytes]:
    numbered = [(n, piece) for n, mask in enumerate(masks) for piece in _pieces(mask)]
    for together in batches(numbered, [len(piece.starts) for _, piece in numbered], _RUNS):
        numbers, pieces = zip(*together, strict=True)
        yield from _written(_stretches(numbers, pieces, len(masks)))


def _pieces(mask: Runs) -> Iterator[Runs]:
    """The mask in parts of a bounded number of runs; nothing, if it has no pixel."""
    for begin in range(0, len(mask.starts), _RUNS):
        part = slice(begin, begin + _RUNS)
        yield Runs(mask.starts[part], mask.lengths[part], mask.width, mask.height)


@dataclass(frozen=True, slots=True)
class _Stretches:
    """Rows in succession, each stretch within one mask, one column, and one block of rows.

    Attributes:
        first: `[S]` the bytes of a stretch's first triple.
        step: `[S]` what there is between a triple and the next.
        width: `[S]` bytes of a triple.
        length: `[S]` number of triples.
    """

    first: Words
    step: Words
    width: Positions
    length: Positions


def _stretches(numbers: Sequence[int], masks: Sequence[Runs], count: int) -> _Stretches:
    """Those of masks, or parts of them, which have these numbers among `count`; none is without a pixel."""
    n, x, y, length = _cut(numbers, masks)
    (n_bytes, n_width), (x_bytes, x_width), (y_bytes, y_width) = (
        (varints[those], widths[those])
        for those, (varints, widths) in (
            (n, _table(count)),
            (x, _table(masks[0].width)),
            (y, _table(masks[0].height)),
        )
    )
    before_x = _bits(n_width)
    before_y = _bits(n_width + x_width)
    return _Stretches(
        first=n_bytes | x_bytes << before_x | y_bytes << before_y,
        step=np.uint64(1) << before_y,
        width=n_width + x_width + y_width,
        length=length,
    )


def _cut(numbers: Sequence[int], masks: Sequence[Runs]) -> tuple[Positions, Positions, Positions, Positions]:
    """Mask, column, first row and number of rows of each stretch, `[S]` each, in the order of the triples."""
    height = masks[0].height
    blocks = -(-height // _ROWS)
    starts = np.concatenate([mask.starts for mask in masks])
    lasts = np.concatenate([mask.starts + mask.lengths for mask in masks]) - 1
    of_runs = np.repeat(numbers, [len(mask.starts) for mask in masks])
    left, top = np.divmod(starts, height)
    right, bottom = np.divmod(lasts, height)
    begin = left * blocks + top // _ROWS
    pieces = right * blocks + bottom // _ROWS - begin + 1
    ends = np.cumsum(pieces)
    x, block = np.divmod(np.arange(ends[-1]) + np.repeat(begin - ends + pieces, pieces), blocks)
    y = block * _ROWS
    end = np.minimum(y + _ROWS, height)
    y[ends - pieces] = top
    end[ends - 1] = bottom + 1
    return np.repeat(of_runs, pieces), x, y, end - y


@lru_cache(maxsize=64)
def _table(count: int) -> tuple[Words, Positions]:
    """The varints of 0 to count - 1 as numbers, lowest byte first, and how many bytes each takes."""
    numbers = np.arange(count, dtype=np.uint64)
    varints, widths, more = numbers & np.uint64(127), np.ones(count, dtype=np.int64), numbers >> np.uint64(7)
    while more.any():
        varints |= np.where(more > 0, np.uint64(128), np.uint64(0)) << _bits(widths - 1)
        widths += more > 0
        varints |= (more & np.uint64(127)) << _bits(widths - 1)
        more >>= np.uint64(7)
    return varints, widths


def _bits(count: Positions) -> Words:
    return (8 * count).astype(np.uint64)


def _written(stretches: _Stretches) -> Iterator[bytes]:
    """The bytes of all triples, in pieces."""
    ends = np.cumsum(stretches.length)
    edges = [0, *(np.flatnonzero(np.diff(ends // _TRIPLES)) + 1).tolist(), len(ends)]
    for a, z in pairwise(edges):
        block = slice(a, z)
        yield _block(stretches.first[block], stretches.step[block], stretches.width[block], stretches.length[block])


def _block(first: Words, step: Words, width: Positions, length: Positions) -> bytes:
    """The bytes of the triples of some stretches: computed width by width, and then put into their order."""
    order = np.argsort(width, kind="stable")
    triples = _count_up(first[order], step[order], length[order])
    sizes = np.bincount(width, length, _WORD + 1).astype(np.int64).tolist()
    narrow = [memoryview(_narrowed(piece, size)) for size, piece in enumerate(np.split(triples, np.cumsum(sizes[:-1])))]
    used = [0] * len(narrow)
    pieces = []
    changes = np.flatnonzero(np.diff(width)) + 1
    for size, count in zip(width[[0, *changes]].tolist(), np.add.reduceat(length, [0, *changes]).tolist(), strict=True):
        begin, used[size] = used[size], used[size] + size * count
        pieces.append(narrow[size][begin : used[size]])
    return b"".join(pieces)


def _count_up(first: Words, step: Words, length: Positions) -> Words:
    """All triples of the stretches: from the first of each on by its step."""
    begins = np.cumsum(length) - length
    last = first + step * (length - 1).astype(np.uint64)
    triples = np.repeat(step, length)
    triples[begins[0]] = first[0]
    triples[begins[1:]] = first[1:] - last[:-1]
    return np.cumsum(triples, out=triples)


def _narrowed(triples: Words, width: int) -> bytes:
    """The lowest `width` bytes of each triple."""
    narrow: NDArray[Any] = np.ndarray(len(triples), f"V{width}", triples, strides=(_WORD,))
    return narrow.tobytes()
