"""Outlines and overlapping boxes: hand-drawn cases, and whole numbers against exact arithmetic."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskflow_convert import overlaps
from maskflow_convert.outlines import Outlines
from maskflow_convert.overlaps import overlapping

SQUARE = (0, 0, 4, 0, 4, 4, 0, 4)
NO_CROSSING = {
    "square": SQUARE,
    "closed square": (*SQUARE, 0, 0),
    "each corner twice": (0, 0, 0, 0, 4, 0, 4, 0, 4, 4, 4, 4, 0, 4, 0, 4),
    "concave": (0, 0, 4, 0, 4, 4, 2, 1, 0, 4),
    "one point": (1, 1, 1, 1, 1, 1),
    "two points": (1, 1, 5, 5, 1, 1, 5, 5),
    "a line": (0, 0, 2, 2, 4, 4),
    "a line to and fro": (0, 0, 4, 4, 1, 1, 3, 3),
    "a spike outwards": (0, 0, 4, 0, 4, 2, 7, 2, 4, 2, 4, 4, 0, 4),
    "a spike along its edge": (0, 0, 4, 0, 2, 0, 4, 0, 4, 4, 0, 4),
    "a corner that touches an edge": (0, 0, 4, 0, 4, 4, 2, 0, 0, 4),
    "a corner that touches an edge in thirds": (0, 0, 3, 0.1, 3, 4, 1, 0.1 / 3, 0, 4),
    "a corner that touches a corner": (0, 0, 2, 1, 4, 0, 4, 4, 2, 1, 0, 4),
    "a corner that touches a corner, but for rounding": (0, 0, 2, 1, 4, 0, 4, 4, 2 + 2e-7, 1 - 1e-7, -4, 3),
    "a corner that touches the end of an edge, but for rounding": (0, 0, 2, 1, 4, 0, 4, 4, 2 - 2e-7, 1 - 1e-7, -4, 3),
    "two squares joined by a bridge": (0, 0, 2, 0, 2, 2, 5, 2, 5, 0, 7, 0, 7, 4, 5, 4, 5, 2, 2, 2, 2, 4, 0, 4),
    "beside its own start by a hundredth": (0, 0, 4, 0, 4, 4, 0.01, 0.01, 0.01, 4, 0, 4),
}
CROSSINGS = {
    "bow tie": ((0, 0, 4, 4, 4, 0, 0, 4), 2 + 2j),
    "closed bow tie": ((0, 0, 4, 4, 4, 0, 0, 4, 0, 0), 2 + 2j),
    "through a corner of its own": ((0, 0, 2, 2, 4, 4, 4, 0, 0, 4), 2 + 2j),
    "through two corners": ((0, 0, 2, 2, 4, 4, 4, 0, 2, 2, 0, 4), 2 + 2j),
    "through a corner said twice": ((0, 0, 2, 2, 2, 2, 4, 4, 4, 0, 0, 4), 2 + 2j),
    "at the first corner": ((2, 2, 4, 4, 4, 0, 2, 2, 0, 4, 0, 0), 2 + 2j),
    "a five-pointed star": ((0, 3, 10, 3, 2, 9, 5, 0, 8, 9), 4 + 3j),
    "by a hundredth": ((0, 0, 4, 0, 4, 4, 2, -0.01, 0, 4), 800 / 401 + 0j),
    "by a hundredth, the other way round": ((0, 4, 2, -0.01, 4, 4, 4, 0, 0, 0), 800 / 401 + 0j),
    "one edge by three others": ((0, 0, 9, 0, 9, 2, 6, -2, 3, 2, 3, -2, 0, 2), 1.5 + 0j),
    "one edge by two others, the nearer one first": ((0, 0, 9, 0, 9, 2, 4, 2, 4, -2, 7, -2, 7, 1, 0, 1), 4 + 0j),
    "a million pixels out": ((999_996, 0, 10**6, 4, 10**6, 0, 999_996, 4), 999_998 + 2j),
}


@pytest.mark.parametrize("part", NO_CROSSING.values(), ids=NO_CROSSING)
def test_no_crossing(part):
    assert Outlines.of([part]).crossings() == {}


def turns(part):
    """The outline from each of its corners, both ways round."""
    corners = list(zip(part[0::2], part[1::2], strict=True))
    for start in range(len(corners)):
        turned = corners[start:] + corners[:start]
        for order in (turned, turned[::-1]):
            yield [value for corner in order for value in corner]


@pytest.mark.parametrize("part", NO_CROSSING.values(), ids=NO_CROSSING)
def test_no_crossing_from_any_corner(part):
    for turned in turns(part):
        assert Outlines.of([turned]).crossings() == {}


@pytest.mark.parametrize(("part", "point"), CROSSINGS.values(), ids=CROSSINGS)
def test_crossing(part, point):
    assert Outlines.of([part]).crossings() == {0: pytest.approx(point, abs=1e-9)}


@pytest.mark.parametrize("part", [part for part, _ in CROSSINGS.values()], ids=CROSSINGS)
def test_crossing_from_any_corner(part):
    for turned in turns(part):
        assert Outlines.of([turned]).crossings().keys() == {0}


def test_a_touch_before_it_hides_no_crossing():
    part = (0, 0, 2, 1, 4, 0, 4, 4, 2, 1, 0, 4, -4, 0, -4, 4)
    assert Outlines.of([part]).crossings()[0] == pytest.approx(-2 + 2j)


def test_outlines_do_not_cross_each_other():
    tie = CROSSINGS["bow tie"][0]
    moved = [value + 1 for value in tie]
    found = Outlines.of([SQUARE, tie, SQUARE, moved, (1, 1, 3, 1, 3, 9)]).crossings()
    assert found == {1: 2 + 2j, 3: 3 + 3j}


@given(st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=3, max_size=9, unique=True))
def test_crossings_in_general_position(corners):
    """Where no three corners lie on a line, a crossing is a point within two edges; by exact arithmetic."""
    for a, b, c in combinations(corners, 3):
        if cross(a, b, c) == 0:
            return
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    expected = {crossing for one, other in combinations(edges, 2) if (crossing := meeting(*one, *other)) is not None}
    found = Outlines.of([[value for corner in corners for value in corner]]).crossings()
    assert bool(found) == bool(expected)
    if found:
        assert any(found[0] == pytest.approx(complex(float(x), float(y))) for x, y in expected)


def cross(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def meeting(a, b, c, d):
    if cross(a, b, c) * cross(a, b, d) >= 0 or cross(c, d, a) * cross(c, d, b) >= 0:
        return None
    share = Fraction(cross(c, d, a), cross(c, d, a) - cross(c, d, b))
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


AREAS = {
    "clockwise on the screen": (SQUARE, 16),
    "the other way": ((0, 0, 0, 4, 4, 4, 4, 0), -16),
    "closed": ((*SQUARE, 0, 0), 16),
    "a line": ((0, 0, 2, 2, 4, 4), 0),
    "to and fro": ((0, 0, 4, 0, 4, 3, 4, 0), 0),
    "a bow tie": ((0, 0, 4, 4, 4, 0, 0, 4), 0),
    "the smallest with two decimals": ((999_999.99, 999_990, 10**6, 999_990, 10**6, 999_990.01), 5e-5),
}


def test_areas():
    found = Outlines.of([part for part, _ in AREAS.values()]).areas
    assert found == pytest.approx([area for _, area in AREAS.values()], abs=1e-8)


def test_repeats():
    parts = [(1, 1, 1, 1, 5, 1, 5, 5), SQUARE, (*SQUARE, 0, 0), (0, 0, 2, 2, 2, 2, 2, 2, 5, 0, 2, 2)]
    outlines = Outlines.of(parts)
    assert [(outlines.numbers[i], i - outlines.firsts[outlines.numbers[i]]) for i in outlines.repeats] == [
        (0, 1),
        (3, 2),
        (3, 3),
    ]


def test_the_last_point_of_one_outline_may_be_the_first_of_the_next():
    assert len(Outlines.of([(0, 0, 4, 0, 4, 4), (4, 4, 8, 4, 8, 8)]).repeats) == 0


BOXES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)),
    max_size=25,
)


@given(BOXES, st.sampled_from([1, 7, 2**19]))
def test_overlapping_boxes(boxes, at_once):
    """Each pair once, in batches of any size, whichever axis is swept."""
    low = np.array([(x, y) for x, y, *_ in boxes], dtype=float).reshape(-1, 2)
    high = low + np.array([(w, h) for _, _, w, h, _ in boxes], dtype=float).reshape(-1, 2)
    groups = np.array([group for *_, group in boxes], dtype=np.int64)
    expected = sorted(
        (i, j)
        for i, j in combinations(range(len(boxes)), 2)
        if groups[i] == groups[j] and (low[i] <= high[j]).all() and (low[j] <= high[i]).all()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "MOST_AT_ONCE", at_once)
        patch.setattr(overlaps, "_MANY", at_once % 3)
        batches = list(overlapping(np.concatenate([low.T, high.T]), groups))
    assert (
        sorted((min(i, j), max(i, j)) for a, b in batches for i, j in zip(a.tolist(), b.tolist(), strict=True))
        == expected
    )


def test_many_boxes_on_one_column_are_swept_down():
    y = np.arange(20_000.0)
    boxes = np.stack([np.zeros_like(y), y, np.ones_like(y), y + 0.5])
    assert sum(len(i) for i, _ in overlapping(boxes, np.zeros(len(y), dtype=np.int64))) == 0


def pairs_of(boxes):
    batches = overlapping(np.array(boxes, dtype=float).T, np.zeros(len(boxes), dtype=np.int64))
    return [tuple(sorted(pair)) for i, j in batches for pair in zip(i.tolist(), j.tolist(), strict=True)]


def test_of_too_many_pairs_the_near_ones_are_looked_at(monkeypatch):
    """A hundred boxes that all overlap make 4,950 pairs; of 400, four go to each box, as far as so many follow it."""
    boxes = [(number, 0, number + 200, 1) for number in range(100)]
    monkeypatch.setattr(overlaps, "MOST_PAIRS", 4950)
    assert len(pairs_of(boxes)) == 4950
    monkeypatch.setattr(overlaps, "MOST_PAIRS", 400)
    assert sorted(pairs_of(boxes)) == [(i, j) for i in range(100) for j in range(i + 1, min(i + 5, 100))]


def test_of_too_many_pairs_each_box_has_one(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST_PAIRS", 1)
    assert pairs_of([(number, 0, number + 9, 1) for number in range(4)]) == [(0, 1), (1, 2), (2, 3)]


def test_a_scribble_hides_no_crossing_of_its_neighbours(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST_PAIRS", 1000)
    scribble = np.random.default_rng(1).uniform(0, 60, 2 * 300).tolist()
    tie, _ = CROSSINGS["bow tie"]
    assert Outlines.of([SQUARE, scribble, tie]).crossings().keys() == {1, 2}


@pytest.mark.parametrize("points", [10_000, 300_000])
def test_a_scribble_is_judged_in_seconds(points):
    scribble = np.random.default_rng(2).uniform(0, 60, 2 * points).tolist()
    begin = time.process_time()
    assert Outlines.of([scribble]).crossings().keys() == {0}
    assert time.process_time() - begin < 5
