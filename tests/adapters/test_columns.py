"""Numbers and texts in columns against lists of them."""

from __future__ import annotations

import numpy as np
import pytest

from maskflow_adapters.columns import Column, TextColumn, as_integers, narrowed

LOW, HIGH = -(2**31), 2**31 - 1


@pytest.mark.parametrize(
    ("pieces", "bits"),
    [
        ([], 32),
        ([[]], 32),
        ([[1, 2], [3]], 32),
        ([[LOW], [HIGH]], 32),
        ([[1], [HIGH + 1], [3]], 64),
        ([[1], [LOW - 1], [], [3]], 64),
        ([[2**63 - 1, -(2**63)]], 64),
        ([[HIGH + 1], [HIGH + 2]], 64),
    ],
)
def test_a_column_takes_32_bits_where_it_can(pieces, bits):
    column = Column()
    for piece in pieces:
        column.add(np.array(piece, dtype=np.int64))
    taken = column.take()
    assert taken.dtype == np.dtype(f"int{bits}")
    assert taken.tolist() == [number for piece in pieces for number in piece]
    assert column.take().tolist() == []


@pytest.mark.parametrize(
    ("numbers", "bits"), [([], 32), ([LOW, HIGH], 32), ([LOW - 1], 64), ([0, HIGH + 1], 64), ([LOW, 0], 32)]
)
def test_numbers_are_narrowed_if_they_fit(numbers, bits):
    found = narrowed(np.array(numbers, dtype=np.int64))
    assert found.dtype == np.dtype(f"int{bits}")
    assert found.tolist() == numbers


@pytest.mark.parametrize("values", [[], [1, -5], [2**63 - 1, -(2**63)]])
def test_integers_are_integers(values):
    found = as_integers(values)
    assert found is not None
    assert found.tolist() == values


@pytest.mark.parametrize("values", [["5"], [1, "5"], [None], [1.5], [2**63], [-(2**63) - 1], [[1]]])
def test_nothing_else_is_taken_for_integers(values):
    """NumPy would make 5 of the text."""
    assert as_integers(values) is None


@pytest.mark.parametrize("pieces", [[], [[]], [["a", "", "bc"], ["é細", "\n"]], [[""], [""]], [["x" * 1000], ["y"]]])
def test_texts(pieces):
    column = TextColumn()
    for piece in pieces:
        column.add(piece)
    texts = column.take()
    expected = [text for piece in pieces for text in piece]
    assert (len(texts), list(texts)) == (len(expected), expected)
    backwards = np.arange(len(expected))[::-1]
    assert list(texts.at(backwards)) == expected[::-1]
    assert list(column.take()) == []
