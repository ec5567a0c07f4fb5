"""Run lengths are judged by pycocotools, which defines them, and by NumPy on the dense mask."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from maskflow_convert import runs
from maskflow_convert.errors import ShapeError
from maskflow_convert.runs import Runs

# pycocotools' decode, not ours, does so under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Mask = NDArray[np.bool_]

masks = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


def compressed(mask: Mask) -> str:
    """COCO's string, made by pycocotools."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return encoded["counts"].decode("ascii")


def decoded(counts: Sequence[int], height: int, width: int) -> Mask:
    """The mask that pycocotools makes of uncompressed run lengths."""
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)
    return coco_mask.decode(encoded).astype(bool)


def counted(mask: Mask) -> list[int]:
    """Uncompressed run lengths, counted one pixel at a time down the columns."""
    lengths = [(value, len(list(group))) for value, group in groupby(mask.T.ravel().tolist())]
    return [0] * lengths[0][0] + [length for _, length in lengths]


def one_pixel(height: int, width: int, row: int, column: int) -> Mask:
    mask = np.zeros((height, width), dtype=bool)
    mask[row, column] = True
    return mask


CORNER_CASES = {
    "one pixel, set": np.ones((1, 1), bool),
    "one pixel, not set": np.zeros((1, 1), bool),
    "full": np.ones((4, 3), bool),
    "empty": np.zeros((4, 3), bool),
    "a single row": np.array([[1, 0, 1, 1, 0]], bool),
    "a single column": np.array([[0], [1], [1], [0], [1]], bool),
    "first pixel": one_pixel(4, 3, 0, 0),
    "last pixel": one_pixel(4, 3, 3, 2),
    "a whole column": np.array([[0, 1, 0]] * 4, bool),
    "from the foot of a column to the head of the next": np.array([[0, 1], [0, 0], [1, 0]], bool),
    "checkered": np.indices((5, 6)).sum(axis=0) % 2 == 1,
}
corner_cases = pytest.mark.parametrize("mask", CORNER_CASES.values(), ids=CORNER_CASES)


def check_against_pycocotools(mask: Mask) -> None:
    height, width = mask.shape
    from_string = runs.from_counts(runs.parse_counts(compressed(mask)), width=width, height=height)
    from_numbers = runs.from_counts(counted(mask), width=width, height=height)
    from_array = runs.from_dense(mask)
    for found in (from_string, from_numbers, from_array):
        assert (found.width, found.height, found.area) == (width, height, mask.sum())
        assert np.array_equal(found.to_dense(), mask)
        assert np.array_equal(decoded(found.to_counts(), height, width), mask)
        assert sum(found.to_counts()) == height * width
        assert (found.lengths > 0).all()
    assert list(from_array.to_counts()) == counted(mask)


@corner_cases
def test_corner_cases_agree_with_pycocotools(mask: Mask) -> None:
    check_against_pycocotools(mask)


@given(masks)
def test_any_mask_agrees_with_pycocotools(mask: Mask) -> None:
    check_against_pycocotools(mask)


@given(masks, st.lists(st.integers(0, 100), max_size=5))
def test_masks_that_are_decoded_together_are_those_that_pycocotools_encoded(mask: Mask, turns: list[int]) -> None:
    height, width = mask.shape
    different = [mask, *(np.roll(mask, turn) for turn in turns), np.zeros_like(mask), ~mask]
    found = runs.from_texts([compressed(each).encode() for each in different], width=width, height=height)
    assert [each.to_dense().tolist() for each in found] == [each.tolist() for each in different]
    assert all((each.lengths > 0).all() for each in found)
    assert {(each.width, each.height) for each in found} == {(width, height)}


def test_the_first_count_is_of_zeros_and_counts_run_down_the_columns() -> None:
    mask = one_pixel(3, 4, row=0, column=1)
    assert runs.from_dense(mask).to_counts() == (3, 1, 8)
    assert runs.from_counts((3, 1, 8), width=4, height=3).positions().tolist() == [3]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20).filter(any), st.sampled_from([1, 2, 3]))
def test_runs_of_length_zero_mean_what_they_mean_to_pycocotools(counts: list[int], height: int) -> None:
    counts.append(-sum(counts) % height)
    width = sum(counts) // height
    found = runs.from_counts(counts, width=width, height=height)
    assert np.array_equal(found.to_dense(), decoded(counts, height, width))
    assert (found.lengths > 0).all()
    assert np.array_equal(decoded(found.to_counts(), height, width), found.to_dense())


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=40).filter(any))
def test_compressed_numbers_are_read_as_pycocotools_wrote_them(counts: list[int]) -> None:
    """Up to five groups a number: at six, rleToString writes its last byte behind the memory that it took."""
    size = [sum(counts), 1]
    text = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)["counts"].decode("ascii")
    assert runs.parse_counts(text).tolist() == counts


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", [0]),
        ("?", [15]),  # 48 + 0b01111
        ("@", [-16]),  # 48 + 0b10000: the highest bit of the last group is the sign
        ("O", [-1]),
        ("P1", [32]),  # 48 + 0b100000: nothing, and more follows; 1 << 5
        ("123", [1, 2, 3]),
        ("1231", [1, 2, 3, 3]),  # the fourth number is a difference to the second
        ("12311", [1, 2, 3, 3, 4]),
        ("P" * 6 + "1", [2**30]),
    ],
)
def test_compressed_strings_worked_out_by_hand(text: str, numbers: list[int]) -> None:
    assert runs.parse_counts(text).tolist() == numbers


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("61X13mN000`0é", id="not ASCII"),
        pytest.param("61X\ud800", id="a lone surrogate"),
        pytest.param("/", id="before the alphabet"),
        pytest.param("1p2", id="after the alphabet"),
        pytest.param("1 2", id="a space"),
        pytest.param("12\n", id="a newline"),
        pytest.param("1\x002", id="NUL"),
        pytest.param("12P", id="ends within a number"),
        pytest.param("o", id="never ends a number"),
        pytest.param("P" * 7 + "1", id="eight groups"),
        pytest.param("1" + "o" * 40 + "1", id="forty groups"),
    ],
)
def test_undecodable_strings_are_refused(text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        runs.parse_counts(text)
    assert caught.value.code == "rle-undecodable"


@given(st.text(max_size=30) | st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=30))
def test_a_string_gives_run_lengths_or_a_shape_error(text: str) -> None:
    code = None
    try:
        assert runs.from_counts(runs.parse_counts(text), width=5, height=3).area <= 15
    except ShapeError as error:
        code = error.code
    assert code in (None, "rle-undecodable", "rle-sum-differs", "rle-negative-run")


@pytest.mark.parametrize(
    ("counts", "code", "told"),
    [
        pytest.param((), "rle-sum-differs", "add up to 0", id="none"),
        pytest.param((0,), "rle-sum-differs", "add up to 0", id="only zero"),
        pytest.param((7, 7), "rle-sum-differs", "add up to 14, not to 5 x 3 = 15", id="one too few"),
        pytest.param((7, 9), "rle-sum-differs", "add up to 16, not to 5 x 3 = 15", id="one too many"),
        pytest.param((-1, 16), "rle-negative-run", "run 0 has length -1", id="negative, right sum"),
        pytest.param((10, 10, -5), "rle-negative-run", "run 2 has length -5", id="negative at the end"),
        pytest.param((2**63 - 1, 1), "rle-sum-differs", str(2**63), id="sum passes 64 bits"),
        pytest.param((2**62,) * 4 + (15,), "rle-sum-differs", str(2**64 + 15), id="sum that wraps round to 15"),
        pytest.param((10**30,), "rle-sum-differs", "64 bits", id="number passes 64 bits"),
    ],
)
def test_run_lengths_that_cannot_be_are_refused(counts: tuple[int, ...], code: str, told: str) -> None:
    with pytest.raises(ShapeError) as caught:
        runs.from_counts(counts, width=5, height=3)
    assert caught.value.code == code
    assert told in caught.value.message


@corner_cases
def test_corner_cases_as_columns(mask: Mask) -> None:
    check_columns(mask)


@given(masks)
def test_columns_list_the_pixels_in_order_and_never_leave_their_column(mask: Mask) -> None:
    check_columns(mask)


def check_columns(mask: Mask) -> None:
    x, y, length = runs.from_dense(mask).columns()
    pixels = [
        (column, row + step) for column, row, count in zip(x, y, length, strict=True) for step in range(count.item())
    ]
    assert pixels == [(column, row) for column, row in np.argwhere(mask.T).tolist()]
    assert (length > 0).all()
    assert (y + length <= mask.shape[0]).all()


def test_a_run_over_three_columns_is_cut_at_each_edge() -> None:
    run = Runs(np.array([2]), np.array([6]), width=4, height=3)
    assert [part.tolist() for part in run.columns()] == [[0, 1, 2], [2, 0, 0], [1, 3, 2]]


@given(masks)
def test_positions_count_down_the_columns(mask: Mask) -> None:
    height, width = mask.shape
    expected = [x * height + y for x in range(width) for y in range(height) if mask[y, x]]
    assert runs.from_dense(mask).positions().tolist() == expected
    again = runs.from_positions(np.array(expected, dtype=np.int64), width=width, height=height)
    assert np.array_equal(again.to_dense(), mask)


@given(masks)
def test_transposed_is_the_mask_with_its_axes_exchanged(mask: Mask) -> None:
    turned = runs.from_dense(mask).transposed()
    assert (turned.width, turned.height) == mask.shape
    assert np.array_equal(turned.to_dense(), mask.T)
    assert (np.diff(turned.positions()) > 0).all()


def test_nothing_has_no_pixel() -> None:
    none = runs.nothing(5, 3)
    assert (none.area, none.width, none.height) == (0, 5, 3)
    assert none.to_counts() == (15,)
    assert not none.to_dense().any()
    assert none.transposed().area == 0
    assert [len(part) for part in none.columns()] == [0, 0, 0]


def test_dense_masks_are_object_by_x_by_y() -> None:
    first, second = one_pixel(3, 5, row=2, column=4), one_pixel(3, 5, row=0, column=1)
    dense = runs.to_masks([runs.from_dense(first), runs.from_dense(second)], width=5, height=3)
    assert (dense.shape, dense.dtype) == ((2, 5, 3), np.uint8)
    assert np.argwhere(dense).tolist() == [[0, 4, 2], [1, 1, 0]]
    assert dense.max() == 1


def test_dense_masks_of_no_object_keep_the_size_of_the_image() -> None:
    assert runs.to_masks([], width=5, height=3).shape == (0, 5, 3)


@given(st.lists(arrays.arrays(np.bool_, (3, 5)), max_size=4))
def test_dense_masks_are_the_masks_transposed(each: list[Mask]) -> None:
    dense = runs.to_masks([runs.from_dense(mask) for mask in each], width=5, height=3)
    assert [mask.T.tolist() for mask in dense] == [mask.astype(int).tolist() for mask in each]


@pytest.mark.parametrize(
    ("starts_and_lengths", "expected"),
    [
        ([], []),
        ([[]], []),
        ([[(3, 2)]], [(3, 2)]),
        ([[(3, 2), (9, 1)], []], [(3, 2), (9, 1)]),
        ([[(3, 2)], [(5, 2)]], [(3, 4)]),
        ([[(3, 2)], [(6, 2)]], [(3, 2), (6, 2)]),
        ([[(6, 2)], [(3, 2)]], [(3, 2), (6, 2)]),
        ([[(0, 9)], [(2, 1), (5, 3)]], [(0, 9)]),
        ([[(2, 1), (5, 3)], [(0, 3)], [(4, 5)]], [(0, 3), (4, 5)]),
        ([[(0, 12)], [(0, 12)]], [(0, 12)]),
    ],
)
def test_union(starts_and_lengths: list[list[tuple[int, int]]], expected: list[tuple[int, int]]) -> None:
    masks = [
        Runs(*(np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1)), width=4, height=3)
        for pairs in starts_and_lengths
    ]
    found = runs.union(masks, width=4, height=3)
    assert list(zip(found.starts.tolist(), found.lengths.tolist(), strict=True)) == expected
    assert (found.starts.dtype, found.lengths.dtype, found.width, found.height) == (np.int64, np.int64, 4, 3)


def flood(mask: Mask) -> list[int]:
    """Pixels of each connected piece, by filling from each pixel that is not filled yet."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    sizes = []
    while left:
        piece = [left.pop()]
        for y, x in piece:
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            piece += around
        sizes.append(len(piece))
    return sizes


def check_components(mask: Runs, expected: list[int]) -> None:
    assert sorted(runs.components(mask).tolist()) == sorted(expected)


@corner_cases
def test_components_of_corner_cases(mask: Mask) -> None:
    check_components(runs.from_dense(mask), flood(mask))


@given(masks)
def test_components_are_those_that_a_flood_finds(mask: Mask) -> None:
    check_components(runs.from_dense(mask), flood(mask))


@given(st.integers(2, 30), st.integers(2, 30), st.floats(0.1, 0.7), st.integers(0, 2**32))
def test_components_of_large_masks(width: int, height: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    check_components(runs.from_dense(mask), flood(mask))


@given(masks)
def test_runs_that_touch_make_one_component(mask: Mask) -> None:
    """As run lengths with a zero among them give."""
    positions = runs.from_dense(mask).positions()
    singly = Runs(positions, np.ones_like(positions), mask.shape[1], mask.shape[0])
    check_components(singly, flood(mask))


def test_a_spiral_is_one_component() -> None:
    """Its arms are found one by one, from the left, and joined at the end."""
    spiral = np.zeros((41, 41), dtype=bool)
    y, x, dy, dx = 0, 0, 0, 1
    for length in [40, *(n for n in range(40, 0, -2) for _ in (0, 1))]:
        for _ in range(length):
            spiral[y, x] = True
            y, x = y + dy, x + dx
        dy, dx = dx, -dy
    spiral[y, x] = True
    check_components(runs.from_dense(spiral), flood(spiral))
    assert len(flood(spiral)) == 1


SAME_SIZE = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.lists(arrays.arrays(np.bool_, shape).filter(np.any), min_size=1, max_size=5)
)


@given(SAME_SIZE)
def test_boxes_are_the_smallest(each: list[Mask]) -> None:
    expected = []
    for mask in each:
        y, x = np.nonzero(mask)
        expected.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    assert runs.boxes([runs.from_dense(mask) for mask in each]).T.tolist() == expected


@given(SAME_SIZE)
def test_no_mask_has_more_components_than_said(each: list[Mask]) -> None:
    bounds = runs.most_components([runs.from_dense(mask) for mask in each]).tolist()
    assert [bound >= len(flood(mask)) for bound, mask in zip(bounds, each, strict=True)] == [True] * len(each)
    alone = [runs.most_components([runs.from_dense(mask)]).tolist() for mask in each]
    assert [[bound] for bound in bounds] == alone


def test_the_bound_is_close_for_an_outline_that_passes_a_column_three_times() -> None:
    letter = np.zeros((11, 40), dtype=bool)
    letter[1] = letter[5] = letter[9] = letter[1:10, 0] = True
    assert runs.most_components([runs.from_dense(letter)] * 2).tolist() == [1, 1]
    letter[7] = True
    assert runs.most_components([runs.from_dense(letter)]).tolist() == [2 + 38 * 4]
