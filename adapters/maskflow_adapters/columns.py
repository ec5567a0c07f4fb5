"""Numbers and texts by the million, without an object of Python for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.signedinteger[Any]]
"""Of 32 or 64 bits."""


class Column:
    """Integers that come in pieces, side by side in memory; in 32 bits each, unless one has no room there."""

    def __init__(self) -> None:
        self._dtype: type[np.int32 | np.int64] = np.int32
        self._bytes = bytearray()

    def add(self, numbers: Integers) -> None:
        """Append a piece."""
        if self._dtype is np.int32 and not _fit(numbers):
            self._bytes = bytearray(self.take().astype(np.int64))
            self._dtype = np.int64
        self._bytes += numbers.astype(self._dtype).tobytes()

    def take(self) -> Integers:
        """All of them; the column is empty afterwards."""
        taken, self._bytes = self._bytes, bytearray()
        return np.frombuffer(taken, dtype=self._dtype)


def narrowed(numbers: Integers) -> Integers:
    """The same numbers, in 32 bits each if all have room there."""
    return numbers.astype(np.int32) if _fit(numbers) else numbers


def _fit(numbers: Integers) -> bool:
    return not len(numbers) or bool(numbers.min() >= -(2**31) and numbers.max() < 2**31)


def as_integers(values: Sequence[object]) -> NDArray[np.int64] | None:
    """The values in 64 bits each, if they are integers that have room there. NumPy alone would parse texts, too."""
    try:
        return np.asarray(array("q", cast("Sequence[int]", values)))
    except (TypeError, OverflowError):
        return None


_UNPAIRED = "surrogatepass"
"""Of the names of files, Python makes such characters where they are no UTF-8."""


class Texts:
    """Texts in one buffer, each with the places where it begins and ends."""

    def __init__(self, encoded: bytearray, begins: Integers, ends: Integers) -> None:
        self._encoded = encoded
        self._begins = begins
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, at: int) -> str:
        return self._encoded[self._begins.item(at) : self._ends.item(at)].decode(errors=_UNPAIRED)

    def at(self, positions: Integers) -> Texts:
        """The texts at these positions."""
        return Texts(self._encoded, self._begins[positions], self._ends[positions])

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


class TextColumn:
    """Texts that come in pieces."""

    def __init__(self) -> None:
        self._encoded = bytearray()
        self._lengths = Column()

    def add(self, texts: Sequence[str]) -> None:
        """Append a piece."""
        encoded = [text.encode(errors=_UNPAIRED) for text in texts]
        self._encoded += b"".join(encoded)
        self._lengths.add(np.array([len(text) for text in encoded], dtype=np.int64))

    def take(self) -> Texts:
        """All of them; the column is empty afterwards."""
        encoded, self._encoded = self._encoded, bytearray()
        lengths = self._lengths.take()
        ends = narrowed(np.cumsum(lengths, dtype=np.int64))
        return Texts(encoded, ends - lengths, ends)
