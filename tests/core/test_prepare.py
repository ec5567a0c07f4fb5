"""What is seen in the indexes of all sources together: files of one name."""

from __future__ import annotations

from typing import Any

import pytest

from core.test_plan import configured, index
from maskflow_convert import Entry, Index
from maskflow_convert.classes import ClassMap
from maskflow_convert.plan import make_plan
from maskflow_convert.prepare import DataSet


def data_set(*indexes: Index[Any]) -> DataSet:
    config = configured(len(indexes))
    return DataSet(config, ClassMap.of(config.classes, [["x"]]), [], indexes, make_plan(config, indexes))


def called(key: str, file_name: str) -> Entry[Any]:
    return Entry(key, None, file_name=file_name)


NAMESAKES = {
    "none": ([index("a.png", "b.png", "x/c.png"), index("y/d.png")], []),
    "in two folders": ([index("x/a.png", "b.png", "y/a.png")], [(0, "y/a.png", (0, "x/a.png"), "a.png")]),
    "in two sources": ([index("b.png", "a.png"), index("a.png")], [(1, "a.png", (0, "a.png"), "a.png")]),
    "all told of the first": (
        [index("1/a", "1/b", "2/b", "2/a"), index("3/a", "c", "3/b")],
        [
            (0, "2/b", (0, "1/b"), "b"),
            (0, "2/a", (0, "1/a"), "a"),
            (1, "3/a", (0, "1/a"), "a"),
            (1, "3/b", (0, "1/b"), "b"),
        ],
    ),
    "called otherwise than their keys": (
        [index(called("1", "x/a.png"), called("2", "a.jpg"), called("3", "a.png"), "x/a.jpg")],
        [(0, "3", (0, "1"), "a.png"), (0, "x/a.jpg", (0, "2"), "a.jpg")],
    ),
}


@pytest.mark.parametrize("hashes", ["of their own", "all alike"])
@pytest.mark.parametrize(("indexes", "expected"), NAMESAKES.values(), ids=NAMESAKES)
def test_files_of_one_name(monkeypatch, indexes, expected, hashes):
    if hashes == "all alike":
        monkeypatch.setattr("maskflow_convert.plan.hash", lambda text: 7, raising=False)
    assert [(issue.code, issue.source, issue.record, issue.message) for issue in data_set(*indexes).issues()] == [
        ("basename-duplicate", f"sources[{n}] (a{n})", key, f"{first} of sources[{m}] (a{m}) is called {name}, too")
        for n, key, (m, first), name in expected
    ]
