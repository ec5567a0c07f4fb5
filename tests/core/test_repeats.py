"""Repeated values, against a dictionary of them."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskflow_convert.repeats import FirstOfEach, Repeats

LOWEST, HIGHEST = -(2**63), 2**63 - 1


def repeats(*values: int) -> list[tuple[int, list[int]]]:
    return [(at, earlier.tolist()) for at, earlier in Repeats.among(np.array(values, dtype=np.int64))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), []),
        ((5,), []),
        ((5, 4, 6), []),
        ((5, 5), [(1, [0])]),
        ((9, 5, 9, 7, 5, 9), [(2, [0]), (4, [1]), (5, [0, 2])]),
        ((LOWEST, HIGHEST, LOWEST, HIGHEST), [(2, [0]), (3, [1])]),
    ],
)
def test_by_hand(values, expected):
    assert repeats(*values) == expected


@given(st.lists(st.integers(0, 9) | st.sampled_from([LOWEST, HIGHEST]), max_size=40))
def test_any(values):
    seen: dict[int, list[int]] = {}
    expected = []
    for at, value in enumerate(values):
        if value in seen:
            expected.append((at, [*seen[value]]))
        seen.setdefault(value, []).append(at)
    assert repeats(*values) == expected


def test_nothing_is_kept_where_nothing_repeats():
    found = Repeats.among(np.arange(100_000))
    assert found.positions.nbytes + found.begins.nbytes == 0


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=40))
def test_the_first_of_each(batches):
    def digest(value: int) -> bytes:
        return b"\0" * (value % 3) + bytes([value]) * (13 + value % 3)

    seen: dict[bytes, int] = {}
    first_of_each = FirstOfEach()
    number = 0
    for batch in batches:
        expected = []
        for value in batch:
            expected.append(seen.setdefault(digest(value).ljust(16, b"\0"), number))
            number += 1
        assert first_of_each.add([digest(value) for value in batch]) == expected


def test_memory_of_the_first_of_each():
    """24 bytes for each digest, and a few times as much while they are sorted anew."""
    tracemalloc.start()
    first_of_each = FirstOfEach()
    for begin in range(0, 100_000, 100):
        batch = [hashlib.blake2b(str(n).encode(), digest_size=16).digest() for n in range(begin, begin + 100)]
        assert first_of_each.add(batch) == list(range(begin, begin + 100))
    assert first_of_each.add(batch[:3]) == list(range(begin, begin + 3))
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 30 * 100_000
    assert most < 120 * 100_000
