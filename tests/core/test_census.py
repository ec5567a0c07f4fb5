"""What is judged over a whole data set, in cases small enough to count."""

import random
import tracemalloc
from functools import partial

import pytest

from maskflow_convert.catalogue import Severity
from maskflow_convert.census import Areas, Census, Contents, Seen, Sized, WholeDataSet, judge_areas, judge_classes
from maskflow_convert.config import OnError
from maskflow_convert.policy import Policy
from maskflow_convert.report import Report, Tally

LENIENT = Policy({}, OnError.SKIP_OBJECT)


def seen(key: str, content: str) -> Seen:
    return Seen("sources[0]", key, content.encode())


def census_of(areas: dict[str, list[int]]) -> Census:
    census = Census()
    for label, each in areas.items():
        for number, area in enumerate(each):
            describe = partial(Sized, area, "sources[0]", f"{label}.png", str(number), "a.json", number)
            census.see(label, area, describe)
    return census


class TestContents:
    def test_the_first_of_each_content_is_told_of_all_others(self):
        contents = Contents()
        assert list(contents.judge("train", [seen("a", "1"), seen("b", "2")])) == []
        issues = [*contents.judge("train", [seen("c", "1")]), *contents.judge("val", [seen("d", "2"), seen("e", "3")])]
        assert [(issue.code, issue.record, issue.message) for issue in issues] == [
            ("image-content-duplicate", "c", "has the content of a of sources[0]"),
            ("image-in-two-splits", "d", "has the content of b of sources[0], split train"),
        ]

    def test_two_images_of_one_shard(self):
        [issue] = Contents().judge("train", [seen("a", "1"), seen("b", "1")])
        assert (issue.code, issue.record, issue.source) == ("image-content-duplicate", "b", "sources[0]")

    def test_any_key_is_told_as_it_is(self):
        keys = ["", " ", "a b", "train x of y", "ä\udc80", "line\nbreak\0"]
        contents = Contents()
        assert list(contents.judge("train", [seen(key, str(n)) for n, key in enumerate(keys)])) == []
        issues = list(contents.judge("train", [seen("again", str(n)) for n in range(len(keys))]))
        assert [issue.message for issue in issues] == [f"has the content of {key} of sources[0]" for key in keys]

    def test_memory(self):
        """A digest, a name, and little else an image."""
        tracemalloc.start()
        contents = Contents()
        for begin in range(0, 20_000, 100):
            images = [seen(f"{n:012d}.jpg", f"{n:016d}") for n in range(begin, begin + 100)]
            assert list(contents.judge("train", images)) == []
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 100 * 20_000


class TestAreas:
    def test_the_octave_of_the_median(self):
        areas = Areas()
        areas.add({0: 3, 5: 1, 9: 3}, [])
        assert areas.middle() == 5  # the fourth of seven
        areas.add({0: 1}, [])
        assert areas.middle() == 0  # the lower one of the two in the middle

    def test_an_object_1024_times_smaller_is_told(self):
        [(count, issues)] = judge_areas(census_of({"cell": [4096] * 20 + [3], "disc": [4096] * 20 + [4]}))
        assert count == 1
        [issue] = issues
        assert (issue.code, issue.record, issue.object) == ("mask-small-for-class", "cell.png", "20")
        assert (issue.path, issue.line) == ("a.json", 20)
        assert issues[0].message == "has 3 pixels; half of the objects of the class 'cell' have 4096 or more"

    def test_a_class_of_few_objects_has_no_median_to_speak_of(self):
        assert list(judge_areas(census_of({"cell": [4096] * 18 + [1]}))) == []

    def test_all_are_counted_though_few_are_named(self):
        [(count, issues)] = judge_areas(census_of({"cell": [4096] * 30 + [1, 2] * 6}))
        assert (count, [issue.message.split()[1] for issue in issues]) == (12, ["1"] * 5)

    def test_shards_add_up_to_the_same_as_one(self):
        values = random.Random(3).choices(range(1, 9999), k=200)  # noqa: S311
        parts = [values[:7], values[7:90], values[90:]]
        together = Census()
        for part in parts:
            together.add(census_of({"cell": part}))
        whole = census_of({"cell": values})
        assert together.areas["cell"].octaves == whole.areas["cell"].octaves
        assert [each.area for each in together.areas["cell"].smallest] == sorted(values)[:5]

    def test_an_object_without_a_pixel_is_not_counted(self):
        assert census_of({"cell": [0]}).areas == {}


def tallies(**splits: dict[str, int]) -> dict[str, Tally]:
    found = {}
    for split, by_class in splits.items():
        found[split] = Tally()
        found[split].objects_by_class.update(by_class)
    return found


@pytest.mark.parametrize(
    ("classes", "splits", "expected"),
    [
        (["a"], tallies(train={"a": 10}), []),
        (["a"], tallies(train={"a": 9}), [("class-few-objects", "1 of 1 classes has fewer than 10 objects: a 9")]),
        (["a", "b"], tallies(train={"a": 10}), [("class-unused", "1 of 2 classes has no object: b")]),
        (["a", "b"], tallies(train={"a": 1000, "b": 10}), []),
        (
            ["b", "a"],
            tallies(train={"a": 1001, "b": 10}),
            [("class-imbalance", "objects of the class a: 1001, of the class b: 10")],
        ),
        (["a", "b"], tallies(train={"a": 9, "b": 20}, val={"a": 9, "b": 1}), []),
        (
            ["a", "b"],
            tallies(train={"a": 20, "b": 20}, val={"b": 1}),
            [("class-not-in-split", "in val 1 of 2 classes has no object: a")],
        ),
        (
            ["Red  cell", "redcell", "red cells"],
            tallies(train={"Red  cell": 10, "redcell": 10, "red cells": 10}),
            [("class-names-similar", "'Red  cell' and 'redcell' are two classes")],
        ),
        (
            [f"c{n}" for n in range(14)],
            tallies(train={"c0": 10}),
            [("class-unused", "13 of 14 classes have no object: c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 and 3 more")],
        ),
        (["a", "b"], tallies(train={}), []),
        ([], {}, []),
    ],
)
def test_classes(classes, splits, expected):
    assert [(issue.code, issue.message) for issue in judge_classes(classes, splits)] == expected


def test_a_whole_data_set_counts_exactly_and_keeps_few():
    report = Report(classes={"cell": 1}, splits=tallies(train={"cell": 50}))
    whole = WholeDataSet(LENIENT)
    for n in range(10):
        shard = census_of({"cell": [4096] * 4 + [1]})
        shard.contents = [seen(f"{n}.png", "same")]
        whole.add(report, "train", shard)
    whole.conclude(report)
    assert report.counts == {
        ("image-content-duplicate", Severity.WARNING): 9,
        ("mask-small-for-class", Severity.WARNING): 10,
    }
    assert [len(each) for each in report.examples.values()] == [5, 5]


def test_what_is_to_be_ignored_is_not_listed():
    report = Report(classes={"cell": 1}, splits=tallies(train={}))
    codes = ("class-unused", "mask-small-for-class", "image-content-duplicate")
    whole = WholeDataSet(Policy(dict.fromkeys(codes, Severity.IGNORE), OnError.STOP))
    shard = census_of({"cell": [4096] * 30 + [1]})
    shard.contents = [seen("a", "1"), seen("b", "1")]
    whole.add(report, "train", shard)
    whole.conclude(report)
    assert report.counts == {}
