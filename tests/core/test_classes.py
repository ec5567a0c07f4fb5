"""Labels to classes and their ids."""

from __future__ import annotations

import pytest

from maskflow_convert.classes import ClassMap
from maskflow_convert.config import Classes

LABELS = [["cat", "dog"], ["bird", "cat"]]

MAPS = {
    "omitted": ({}, ["cat", "dog", "bird"], {"cat": 1, "dog": 2, "bird": 3}),
    "given": ({"names": ["dog", "cat"]}, ["dog", "cat"], {"dog": 1, "cat": 2}),
    "given and in no source": ({"names": ["dog", "cow"]}, ["dog", "cow"], {"dog": 1, "cow": 2}),
    "none": ({"names": []}, [], {}),
    "first id": ({"first_id": 0}, ["cat", "dog", "bird"], {"cat": 0, "dog": 1, "bird": 2}),
    "renamed": ({"rename": {"dog": "hound"}}, ["cat", "hound", "bird"], {"cat": 1, "hound": 2, "dog": 2, "bird": 3}),
    "merged": (
        {"rename": {"dog": "pet", "cat": "pet"}},
        ["pet", "bird"],
        {"pet": 1, "cat": 1, "dog": 1, "bird": 2},
    ),
    "merged into another": ({"rename": {"dog": "cat"}}, ["cat", "bird"], {"cat": 1, "dog": 1, "bird": 2}),
    "exchanged": (
        {"rename": {"dog": "cat", "cat": "dog"}},
        ["dog", "cat", "bird"],
        {"cat": 1, "dog": 2, "bird": 3},
    ),
    "renamed to a name given": (
        {"names": ["bird", "hound"], "rename": {"dog": "hound"}},
        ["bird", "hound"],
        {"bird": 1, "hound": 2, "dog": 2},
    ),
    "renamed to no class": ({"names": ["bird"], "rename": {"dog": "hound"}}, ["bird"], {"bird": 1}),
}


@pytest.mark.parametrize(("settings", "names", "ids"), MAPS.values(), ids=MAPS)
def test_map(settings, names, ids):
    classes = ClassMap.of(Classes(**settings), LABELS)
    assert list(classes.names) == names
    assert classes.ids == ids
    assert [classes.name_of(classes.first_id + n) for n in range(len(names))] == names


def test_sources_count_in_their_order():
    assert ClassMap.of(Classes(), LABELS[::-1]).names == ("bird", "cat", "dog")


def test_the_ids_are_put_together_once():
    """For all shards that a process works on: of 10,000 classes that takes as long as an image."""
    classes = ClassMap(("cell", "disc"), 1, {"Cell": "cell"})
    assert classes.ids == {"cell": 1, "disc": 2, "Cell": 1}
    assert classes.ids is classes.ids
