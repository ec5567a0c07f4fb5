from __future__ import annotations

from collections import Counter

import pytest
from lxml import html

from maskflow_convert.charts import area_charts, class_bars, middle_octave


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
        assert "half have 1 pixels or more" in chart
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
