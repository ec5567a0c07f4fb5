"""Values that come more than once, found in arrays rather than in a set of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Repeats:
    """Where the values stand that an array has more than once.

    Iterating tells each position whose value stands earlier too, in order, with the positions before it that have the
    same value, in theirs. Where the values are hashes, it is for the caller to see whether what was hashed is the same.

    Attributes:
        positions: of all values that occur more than once, ordered by value and then by position.
        begins: of each of these, where in `positions` its value begins.
    """

    positions: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def among(cls, values: NDArray[Any]) -> Repeats:
        """Find them in an array of one axis."""
        in_order = np.sort(values)
        repeated = in_order[1:][in_order[1:] == in_order[:-1]]
        positions = np.flatnonzero(np.isin(values, repeated))
        found = values[positions]
        order = np.argsort(found, kind="stable")
        return cls(positions[order], np.searchsorted(found[order], found[order]))

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        for place in np.argsort(self.positions).data:
            begin = self.begins[place]
            if begin < place:
                yield int(self.positions[place]), self.positions[begin:place]


class FirstOfEach:
    """The first of each of many digests of 16 bytes, which come in batches; 24 bytes for each that is new.

    Digests are numbered from 0 as they come. They are held in runs, each sorted and at least twice as long as the next,
    so that there are few to look into, and a digest is seldom moved.
    """

    def __init__(self) -> None:
        self._count = 0
        self._runs: list[tuple[NDArray[np.bytes_], NDArray[np.int64]]] = []

    def add(self, batch: Sequence[bytes]) -> list[int]:
        """The number of the first digest equal to each of the batch: its own, if it is new."""
        digests, places, inverse = np.unique(np.array(batch, dtype="S16"), return_index=True, return_inverse=True)
        numbers = self._known(digests)
        is_new = numbers < 0
        numbers[is_new] = self._count + places[is_new]
        self._count += len(batch)
        self._keep(digests[is_new], numbers[is_new])
        firsts: list[int] = numbers[inverse].tolist()
        return firsts

    def _known(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The numbers of digests that came before; -1 for those that did not."""
        found = np.full(len(digests), -1, dtype=np.int64)
        for run, numbers in self._runs:
            places = np.searchsorted(run, digests).clip(max=len(run) - 1)
            is_here = run[places] == digests
            found[is_here] = numbers[places[is_here]]
        return found

    def _keep(self, run: NDArray[np.bytes_], numbers: NDArray[np.int64]) -> None:
        """Add a run, merged with those before it that are not twice as long."""
        while self._runs and len(self._runs[-1][0]) < 2 * len(run):
            shorter, their_numbers = self._runs.pop()
            run, numbers = np.concatenate([shorter, run]), np.concatenate([their_numbers, numbers])
            order = np.argsort(run, kind="stable")
            run, numbers = run[order], numbers[order]
        if len(run):
            self._runs.append((run, numbers))
