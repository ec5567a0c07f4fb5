"""Bins are worked out by hand: exact up to 7, then four to each power of two."""

from __future__ import annotations

import pytest

from maskflow_convert.distribution import Distribution, ImageStatistics


def of(*numbers: int) -> Distribution:
    distribution = Distribution()
    for number in numbers:
        distribution.count(number)
    return distribution


class TestBins:
    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (0, (0, 0)),
            (7, (7, 7)),
            (8, (8, 9)),
            (9, (8, 9)),
            (15, (14, 15)),
            (16, (16, 19)),
            (31, (28, 31)),
            (640, (640, 767)),
            (1000, (896, 1023)),
            (1024, (1024, 1279)),
            (2**31 - 1, (7 * 2**28, 2**31 - 1)),
        ],
    )
    def test_of_a_number(self, number, expected):
        assert list(of(number).bins()) == [(*expected, 1)]

    def test_without_a_gap(self):
        assert list(of(6, 11, 6).bins()) == [(6, 6, 2), (7, 7, 0), (8, 9, 0), (10, 11, 1)]

    def test_of_nothing(self):
        assert list(Distribution().bins()) == []

    def test_few_however_many_numbers(self):
        assert len(of(*range(100_000)).counts) == 8 + 4 * 14 - 1  # 98,304 to 114,687 is the last one


class TestWhole:
    def test_extremes(self):
        assert (of(5, 640, 17).smallest, of(5, 640, 17).largest) == (5, 640)
        assert (Distribution().smallest, Distribution().largest) == (None, None)

    @pytest.mark.parametrize(
        ("numbers", "middle"), [((3,), 3), ((1, 2), 1), ((1, 2, 3), 2), ((0, 9, 700), 8), ((640, 641, 1), 640)]
    )
    def test_middle(self, numbers, middle):
        assert of(*numbers).middle() == middle

    def test_added_in_parts(self):
        """As the shards of a data set are; one of them may be empty."""
        whole = Distribution()
        for part in ((5, 640), (), (17, 3, 3)):
            whole.add(of(*part))
        assert whole == of(5, 640, 17, 3, 3)

    def test_images(self):
        one, other = ImageStatistics(), ImageStatistics()
        one.count(640, 480, 3)
        other.count(320, 240, 0)
        one.add(other)
        assert (one.widths, one.heights, one.objects) == (of(640, 320), of(480, 240), of(3, 0))
