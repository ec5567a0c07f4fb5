from __future__ import annotations

from collections import Counter

import pytest
from lxml import html

from maskflow_convert.charts import area_charts, class_bars, middle_octave, spread_chart
from maskflow_convert.distribution import Distribution


def bars(chart: str) -> list[list[tuple[str, float, float]]]:
    """`(series, begin, width)` of the pieces of each bar."""
    rows = html.fragment_fromstring(chart, create_parent=True).xpath("//td[@class='bar']/svg")
    return [[(p.get("class"), float(p.get("x")), float(p.get("width"))) for p in row.xpath("./rect")] for row in rows]


def words(chart: str) -> str:
    return html.fragment_fromstring(chart, create_parent=True).text_content()


class TestClassBars:
    def test_most_objects_first(self):
        chart = class_bars(["few", "none", "many"], {"train": Counter(many=40, few=10)})
        assert bars(chart) == [[("s0", 0, 40)], [("s0", 0, 10)]]
        assert words(chart).index("many") < words(chart).index("few")
        assert "none" not in words(chart)

    def test_stacked_by_split(self):
        chart = class_bars(["a", "b"], {"train": Counter(a=30, b=5), "val": Counter(a=10)})
        assert bars(chart) == [[("s0", 0, 30), ("s1", 30, 10)], [("s0", 0, 5)]]

    def test_many_splits_are_one(self):
        chart = class_bars(["a"], {f"part {number}": Counter(a=2) for number in range(5)})
        assert bars(chart) == [[("s0", 0, 10)]]

    def test_the_others_can_be_unfolded(self):
        chart = class_bars([], {"train": Counter({f"class {number}": 1 for number in range(20)})})
        assert "8 more classes" in words(chart)
        assert len(bars(chart)) == 20

    def test_no_object(self):
        assert words(class_bars(["a"], {"train": Counter()})) == "There is no object of any class."
        assert words(class_bars([], {})) == "There is no object of any class."


class TestAreas:
    def test_share_of_small_ones(self):
        chart = area_charts({"a": Counter({9: 3, 10: 1})})
        assert "3 of 4 objects (75 %) have fewer than 32 x 32 pixels." in words(chart)
        assert "3 objects of 512 to 1,023 pixels" in words(chart)

    def test_by_class(self):
        chart = words(area_charts({"a": Counter({0: 1}), "b": Counter({4: 5, 12: 4})}))
        assert "half have 1 pixel or more" in chart
        assert "half have 16 pixels or more" in chart

    @pytest.mark.parametrize("octave", [0, 9, 10, 27, 62])
    def test_one_octave(self, octave):
        assert f"{2**octave:,} to {2 ** (octave + 1) - 1:,}" in words(area_charts({"a": Counter({octave: 1})}))

    def test_none(self):
        assert words(area_charts({})) == "There is no mask whose area was measured."


@pytest.mark.parametrize(
    ("octaves", "middle"), [({3: 1}, 3), ({3: 1, 5: 1}, 3), ({3: 1, 5: 2}, 5), ({0: 5, 9: 4}, 0), ({0: 4, 9: 5}, 9)]
)
def test_middle(octaves, middle):
    assert middle_octave(Counter(octaves)) == middle


class TestSpread:
    def chart(self, *numbers: int) -> str:
        distribution = Distribution()
        for number in numbers:
            distribution.count(number)
        return spread_chart(distribution, "pixels", "width in pixels")

    def test_summary(self):
        told = "From 301 to 1,640 pixels; half of the images have 640 or more."
        assert told in words(self.chart(301, 640, 700, 640, 1640))

    def test_all_the_same(self):
        """No chart: it would be one large block."""
        assert words(self.chart(640, 640)) == "Width in pixels: 640 in every image."

    def test_bars_without_a_gap(self):
        """448 to 511, 512 to 639, and 640 to 767."""
        root = html.fragment_fromstring(self.chart(500, 640, 700), create_parent=True)
        heights = [float(bar.get("height")) for bar in root.xpath("//rect")]
        assert [bar.findtext("title") for bar in root.xpath("//rect")] == [
            "1 image of 448 to 511 pixels",
            "0 images of 512 to 639 pixels",
            "2 images of 640 to 767 pixels",
        ]
        assert heights[1] == 0 < heights[0] == heights[2] / 2

    def test_ticks(self):
        """Below the middle of a bar of one number, at the beginning of one of several."""
        root = html.fragment_fromstring(self.chart(6, 8), create_parent=True)
        bars = [(float(bar.get("x")) - 1, float(bar.get("width")) + 2) for bar in root.xpath("//rect")]
        ticks = {each.text: float(each.get("x")) for each in root.xpath("//text[not(@class)]") if each.text in "678"}
        assert ticks["6"] == pytest.approx(bars[0][0] + bars[0][1] / 2, abs=0.1)
        assert ticks["8"] == pytest.approx(bars[2][0], abs=0.1)

    def test_as_many_ticks_as_there_is_room_for(self):
        root = html.fragment_fromstring(self.chart(1, 60_000), create_parent=True)
        assert 5 <= len(root.xpath("//text[not(@class)]")) <= 11

    def test_nothing(self):
        assert words(self.chart()) == "There is no image."
