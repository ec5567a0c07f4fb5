"""What a validation calls an error is what a conversion loses, whatever the configuration calls one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.plugins import scripted
from core.plugins.scripted import HEIGHT, WIDTH, script
from maskflow_convert import Issue, load_config, registry
from maskflow_convert.checks import CHECKS, Depth
from maskflow_convert.examine import Examined, Examiner
from maskflow_convert.prepare import make_adapters, prepare
from maskflow_convert.shape import Box, Polygons, Rle, Shape, Union

SHAPES = {
    "clean": Polygons(parts=((1, 1, 5, 1, 5, 4, 1, 4),)),
    "clean, and not there": Polygons(parts=((20, 1, 25, 1, 25, 4, 20, 4),)),
    "outside": Polygons(parts=((-3, 1, 5, 1, 5, 4),)),
    "crossing, repeated": Polygons(parts=((1, 1, 5, 4, 5, 4, 5, 1, 1, 4),)),
    "a hole, a sliver, two points": Polygons(
        parts=((0, 0, 8, 0, 8, 6, 0, 6), (2, 2, 4, 2, 4, 4, 2, 4), (0, 0, 8, 0.1, 0, 0.2), (1, 1, 2, 2))
    ),
    "zero run": Union(members=(Rle(width=8, height=6, counts=(10, 2, 0, 3, 33)),)),
    "impossible": Polygons(parts=((1, 1, 1e9, 1, 5, 4),)),
    "box": Box(x0=1, y0=1, x1=5, y1=4),
}
CODES = sorted(code for check in CHECKS for code in check.codes)


@dataclass(frozen=True)
class Outcome:
    written: list[str | None]
    shapes: list[Shape]
    lost: dict[str | None, str]
    errors: set[str | None]
    issues: list[Issue]


def examine(folder: Any, names: list[str], depth: Depth, **sections: Any) -> Outcome:
    """What becomes of an image with those objects."""
    module = registry.load(f"{folder}/{scripted.beside(folder)}").__module__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(__import__(module), "SHAPES", {**scripted.SHAPES, **SHAPES})
        config = load_config(script(folder, [{"key": "a.png", "things": names}], on_error="skip-object", **sections))
        data_set = prepare(config)
        examiner = Examiner(config, data_set.classes, make_adapters(config), depth=depth)
        [item] = data_set.shards[0].items
        examined = examiner.examine(item, lambda image: (None, (WIDTH, HEIGHT), ()))
    assert isinstance(examined, Examined)
    examiner.written(examined, 0)
    assert examiner.tally.adds_up
    return Outcome(
        [instance.id for instance in examined.instances],
        [instance.shape for instance in examined.instances],
        {issue.object: issue.code for issue in examiner.issues if issue.loss},
        {issue.object for issue in examiner.issues if issue.severity == "error"},
        examiner.issues,
    )


ANSWERS = st.dictionaries(st.sampled_from(CODES), st.sampled_from(["error", "warning", "ignore"]))
NAMES = st.lists(st.sampled_from([*SHAPES, "crowd", "stranger", "empty", "unexpressed"]), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES, answers=ANSWERS)
def test_both_ways(tmp_path, names, answers):
    converted, validated = (examine(tmp_path, names, depth, issues=answers) for depth in Depth)
    assert converted.written == validated.written
    assert converted.lost == validated.lost
    assert converted.errors == validated.errors <= converted.lost.keys()
    only_seen_closely = {issue.code for issue in set(validated.issues) - set(converted.issues)}
    stated = {code for code, answer in answers.items() if answer != "warning"}
    assert only_seen_closely <= {*CODES, "image-without-objects"} - stated


def test_the_order_of_issues_is_that_of_the_objects(tmp_path):
    names = ["impossible", "outside", "clean", "crowd", "crossing, repeated", "clean", "a hole, a sliver, two points"]
    found = examine(tmp_path, names, Depth.VALIDATE)
    assert [(issue.object, issue.code, issue.loss) for issue in found.issues] == [
        ("a.png/0", "polygon-too-far", "object"),
        ("a.png/1", "polygon-outside-image", None),
        ("a.png/3", "object-crowd", "object"),
        ("a.png/4", "polygon-points-repeated", None),
        ("a.png/4", "polygon-self-intersecting", None),
        ("a.png/5", "mask-duplicate", None),
        ("a.png/6", "polygon-part-dropped", None),
        ("a.png/6", "polygon-part-without-pixels", None),
        ("a.png/6", "mask-hole-lost", None),
        ("a.png/6", "mask-covers-image", None),
    ]
    [duplicate] = [issue for issue in found.issues if issue.code == "mask-duplicate"]
    assert duplicate.message == "the mask is that of object a.png/2, of the same class disc, IoU 1.00"


def test_an_object_with_two_errors_is_lost_once(tmp_path):
    answers = {"polygon-points-repeated": "error", "polygon-self-intersecting": "error"}
    for depth in Depth:
        found = examine(tmp_path, ["crossing, repeated"], depth, issues=answers)
        assert [(issue.code, issue.severity, issue.loss) for issue in found.issues] == [
            ("polygon-points-repeated", "error", "object"),
            ("polygon-self-intersecting", "error", None),
        ]


def test_what_lies_outside_altogether_is_said_and_empty(tmp_path):
    found = examine(tmp_path, ["clean, and not there"], Depth.CONVERT)
    assert [(issue.code, issue.loss) for issue in found.issues] == [
        ("polygon-outside-image", None),
        ("mask-empty", "object"),
    ]


def test_an_error_at_a_glance_stops_a_conversion(tmp_path):
    """A duplicate is found when the whole image is known, and is an error only because the configuration says so."""
    found = examine(tmp_path, ["clean", "clean"], Depth.CONVERT, issues={"mask-duplicate": "error"})
    assert (found.written, found.lost) == (["a.png/0"], {"a.png/1": "mask-duplicate"})


@pytest.mark.parametrize("depth", Depth)
def test_a_repaired_object_has_the_repaired_shape(tmp_path, depth):
    answers = {"polygon-points-repeated": "fix", "polygon-part-dropped": "fix", "polygon-part-without-pixels": "fix"}
    names = ["clean", "crossing, repeated", "a hole, a sliver, two points"]
    found = examine(tmp_path, names, depth, issues=answers)
    assert found.shapes == [
        SHAPES["clean"],
        Polygons(parts=((1, 1, 5, 4, 5, 1, 1, 4),)),
        Polygons(parts=((0, 0, 8, 0, 8, 6, 0, 6), (2, 2, 4, 2, 4, 4, 2, 4))),
    ]
    fixed = [(issue.object, issue.code, issue.severity, issue.loss) for issue in found.issues if issue.fixed]
    assert fixed == [
        ("a.png/1", "polygon-points-repeated", "warning", None),
        ("a.png/2", "polygon-part-dropped", "warning", None),
        ("a.png/2", "polygon-part-without-pixels", "warning", None),
    ]
