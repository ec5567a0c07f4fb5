"""What becomes of images and objects: each drop has its issue, and the books always balance."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.plugins.scripted import SHAPES, png, records, script
from maskflow_convert import convert, rehearse
from maskflow_convert.errors import IssueError

SKIP = {"on_error": "skip-object"}


def issues(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out/issues.jsonl").read_text(encoding="utf-8").splitlines()]


def run(folder: Path, *things: str, fault: str | None = None, **sections: Any) -> tuple[list[list[Any]], list[int]]:
    """Convert one image with those objects: its issues, and the class ids of what was written of it."""
    report = convert(script(folder, [{"key": "a.png", "fault": fault, "things": things}], **sections))
    assert report.total.adds_up
    written = records(folder / "out/train-00000-of-00001.tfrecord")
    assert len(written) == report.total.images_written
    listed = [[issue["code"], issue["severity"], issue["loss"]] for issue in issues(folder)]
    return listed, [number for record in written for number in record["image/class_ids"]]


WARNED = "warning"

OBJECTS = {
    "good": ("good", {}, [], [1]),
    "crowd": ("crowd", {}, [["object-crowd", WARNED, "object"]], []),
    "crowd kept": ("crowd", {"objects": {"crowd": "keep"}}, [], [1]),
    "crowd ignored": ("crowd", {"issues": {"object-crowd": "ignore"}}, [["object-crowd", "ignore", "object"]], []),
    "difficult": ("difficult", {}, [], [1]),
    "difficult skipped": (
        "difficult",
        {"objects": {"difficult": "skip"}},
        [["object-difficult", WARNED, "object"]],
        [],
    ),
    "not difficult": ("good", {"objects": {"difficult": "skip"}}, [], [1]),
    "empty": ("empty", {}, [["mask-empty", WARNED, "object"]], []),
    "empty kept": ("empty", {"objects": {"empty": "keep"}}, [], [1]),
    "empty an error": ("empty", {"objects": {"empty": "error"}, **SKIP}, [["mask-empty", "error", "object"]], []),
    "box": ("box", SKIP, [["object-box-only", "error", "object"]], []),
    "box skipped": ("box", {"objects": {"boxes": "skip"}}, [["object-box-only", WARNED, "object"]], []),
    "box as rectangle": ("box", {"objects": {"boxes": "rectangle"}}, [], [1]),
    "unknown class": ("stranger", SKIP, [["class-unknown", "error", "object"]], []),
    "unknown class skipped": ("stranger", {"classes": {"unknown": "skip"}}, [["class-unknown", WARNED, "object"]], []),
    "class by renaming": ("stranger", {"classes": {"rename": {"stranger": "disc"}}}, [], [1]),
    "class not named": ("good", {"classes": {"names": ["x"]}, **SKIP}, [["class-unknown", "error", "object"]], []),
    "class named third": ("good", {"classes": {"names": ["x", "y", "disc"], "first_id": 10}}, [], [12]),
    "outside": ("outside", {}, [["polygon-outside-image", WARNED, None]], [1]),
    "outside an error": (
        "outside",
        {"issues": {"polygon-outside-image": "error"}, **SKIP},
        [["polygon-outside-image", "error", "object"]],
        [],
    ),
    "outside ignored": ("outside", {"issues": {"polygon-outside-image": "ignore"}}, [], [1]),
    "impossible": ("line", SKIP, [["polygon-too-few-points", "error", "object"]], []),
    "impossible, a warning": (
        "line",
        {"issues": {"polygon-too-few-points": "warning"}},
        [["polygon-too-few-points", WARNED, "object"]],
        [],
    ),
    "impossible, ignored": (
        "far",
        {"issues": {"polygon-too-far": "ignore"}},
        [["polygon-too-far", "ignore", "object"]],
        [],
    ),
    "unexpressed": ("unexpressed", SKIP, [["annotation-broken", "error", "object"]], []),
    "unexpressed, a warning": (
        "unexpressed",
        {"issues": {"annotation-broken": "warning"}},
        [["annotation-broken", WARNED, "object"]],
        [],
    ),
}

IMAGES = {
    "raises": ("raises", SKIP, ["adapter-failed", "error"], False),
    "wrong type": ("wrong-type", SKIP, ["adapter-failed", "error"], False),
    "broken record": ("broken", SKIP, ["record-broken", "error"], False),
    "missing": ("missing", SKIP, ["image-missing", "error"], False),
    "missing, a warning": ("missing", {"issues": {"image-missing": "warning"}}, ["image-missing", WARNED], False),
    "missing, ignored": ("missing", {"issues": {"image-missing": "ignore"}}, ["image-missing", "ignore"], False),
    "unreadable": ("unreadable", SKIP, ["image-unreadable", "error"], False),
    "another size": ("size", SKIP, ["image-size-differs", "error"], False),
    "deep": ("deep", SKIP, ["image-depth-loss", "error"], False),
    "doubtful": ("doubtful", SKIP, ["annotation-missing", WARNED], True),
    "doubtful, an error": (
        "doubtful",
        {"issues": {"annotation-missing": "error"}, **SKIP},
        ["annotation-missing", "error"],
        False,
    ),
    "deep, a warning": ("deep", {"issues": {"image-depth-loss": "warning"}}, ["image-depth-loss", WARNED], True),
}


class TestObjects:
    @pytest.mark.parametrize(("thing", "sections", "listed", "written"), OBJECTS.values(), ids=OBJECTS)
    def test_alone(self, tmp_path, thing, sections, listed, written):
        assert run(tmp_path, thing, **sections) == (listed, written)

    @pytest.mark.parametrize(("thing", "sections", "listed", "written"), OBJECTS.values(), ids=OBJECTS)
    def test_between_others(self, tmp_path, thing, sections, listed, written):
        """One bad object costs no other."""
        if sections.get("classes", {}).get("names"):
            sections = {**sections, "classes": {"names": ["disc"]}}
            listed, written = [], [1]
        assert run(tmp_path, "good", thing, "good", **sections) == (listed, [1, *written, 1])

    def test_class_number_0(self, tmp_path):
        assert run(tmp_path, "good", classes={"first_id": 0}) == ([], [0])

    def test_doubted_twice_is_lost_once(self, tmp_path, monkeypatch):
        """Its second issue is listed without a loss."""
        from core.plugins import scripted
        from maskflow_convert import Polygons, registry

        shape = Polygons(parts=((-3, 1, 5, 1, 5, 4), (1, 1)))
        module = registry.load(f"{tmp_path}/{scripted.beside(tmp_path)}").__module__
        monkeypatch.setitem(__import__(module).SHAPES, "outside", shape)
        severities = {"polygon-outside-image": "error", "polygon-part-dropped": "error"}
        listed, written = run(tmp_path, "outside", issues=severities, **SKIP)
        assert listed == [["polygon-outside-image", "error", "object"], ["polygon-part-dropped", "error", None]]
        assert written == []

    def test_says_which(self, tmp_path):
        run(tmp_path, "good", "crowd")
        (issue,) = issues(tmp_path)
        assert (issue["record"], issue["object"]) == ("a.png", "a.png/1")
        assert issue["source"].startswith("sources[0] (")

    def test_the_shapes_are_what_they_are_called(self):
        assert {"good", "outside", "far", "line", "empty", "box"} == SHAPES.keys()


class TestImages:
    @pytest.mark.parametrize(("fault", "sections", "listed", "written"), IMAGES.values(), ids=IMAGES)
    def test_without_objects(self, tmp_path, fault, sections, listed, written):
        found, _ = run(tmp_path, fault=fault, **sections)
        assert found == [[*listed, None if written else "image"]]

    @pytest.mark.parametrize("fault", ["missing", "unreadable", "size", "deep"])
    def test_objects_are_lost_with_it(self, tmp_path, fault):
        listed, written = run(tmp_path, "good", "crowd", "unexpressed", fault=fault, **SKIP)
        assert [row[0] for row in listed[1:]] == ["object-lost-with-image"] * 3
        assert [row[1:] for row in listed[1:]] == [["ignore", "object"]] * 3
        assert written == []
        names = [issue["object"] for issue in issues(tmp_path)]
        assert sorted(names[1:]) == ["a.png/0", "a.png/1", "a.png/2"]

    @pytest.mark.parametrize("fault", ["raises", "wrong-type", "broken", "missing", "unreadable", "size", "deep"])
    def test_others_are_written(self, tmp_path, fault):
        pictures = [{"key": f"{n}.png", "fault": fault if n == 1 else None, "things": ["good"]} for n in range(3)]
        report = convert(script(tmp_path, pictures, **SKIP))
        names = [r["image/basename"] for r in records(tmp_path / "out/train-00000-of-00001.tfrecord")]
        assert names == [[b"0.png"], [b"2.png"]]
        assert report.total.images_dropped.total() == 1

    def test_the_adapter_is_named(self, tmp_path):
        run(tmp_path, fault="raises", **SKIP)
        (issue,) = issues(tmp_path)
        assert issue["message"].endswith("ScriptedAdapter raised ZeroDivisionError: as told")

    def test_the_type_is_named(self, tmp_path):
        run(tmp_path, fault="wrong-type", **SKIP)
        (issue,) = issues(tmp_path)
        assert issue["message"].endswith("ScriptedAdapter returned dict instead of a Sample")

    def test_the_place_is_named(self, tmp_path):
        run(tmp_path, fault="broken", **SKIP)
        (issue,) = issues(tmp_path)
        assert (issue["path"], issue["line"], issue["record"]) == ("notes.txt", 3, "a.png")

    def test_the_image_file_is_named(self, tmp_path):
        path = script(tmp_path, [{"key": "a.png"}], source={"folder": "images"}, **SKIP)
        convert(path)
        assert [issue["path"] for issue in issues(tmp_path)] == [str(tmp_path / "images/a.png")]


class TestOnError:
    def test_stop(self, tmp_path):
        with pytest.raises(IssueError) as caught:
            run(tmp_path, "good", "line", fault=None)
        assert caught.value.issue.code == "polygon-too-few-points"
        assert (caught.value.issue.record, caught.value.issue.object) == ("a.png", "a.png/1")

    @pytest.mark.parametrize("fault", ["raises", "wrong-type", "broken", "missing", "unreadable", "size", "deep"])
    def test_stop_says_which_image(self, tmp_path, fault):
        with pytest.raises(IssueError) as caught:
            run(tmp_path, fault=fault)
        assert caught.value.issue.record == "a.png"

    def test_skip_image(self, tmp_path):
        listed, written = run(tmp_path, "good", "line", "crowd", on_error="skip-image")
        assert sorted(row for row in listed) == [
            ["image-skipped", "warning", "image"],
            ["object-crowd", "warning", "object"],
            ["object-lost-with-image", "ignore", "object"],
            ["polygon-too-few-points", "error", "object"],
        ]
        assert written == []

    def test_skip_image_does_not_mind_warnings(self, tmp_path):
        listed, written = run(tmp_path, "good", "crowd", "empty", on_error="skip-image")
        assert [row[0] for row in listed] == ["object-crowd", "mask-empty"]
        assert written == [1]


class TestIndexIssues:
    def test_are_listed_and_counted(self, tmp_path):
        path = script(tmp_path, [{"key": "a.png"}], source={"issues": ["annotation-orphaned"]}, **SKIP)
        report = convert(path)
        assert [(i["code"], i["record"], i["loss"]) for i in issues(tmp_path)] == [
            ("annotation-orphaned", None, "object")
        ]
        assert report.unplaced.objects_dropped == {"annotation-orphaned": 1}
        assert json.loads((tmp_path / "out/dataset.json").read_text())["unplaced"]["objects_found"] == 1

    def test_stop(self, tmp_path):
        path = script(tmp_path, [{"key": "a.png"}], source={"issues": ["annotation-orphaned"]})
        with pytest.raises(IssueError, match="annotation-orphaned"):
            convert(path)
        assert not (tmp_path / "out").exists()


FAULTS = st.sampled_from([None, None, None, "raises", "wrong-type", "broken", "missing", "unreadable", "size", "deep"])
THINGS = st.sampled_from(
    ["good", "crowd", "difficult", "empty", "box", "stranger", "outside", "far", "line", "unexpressed"]
)
LEVELS = st.sampled_from(["error", "warning", "ignore"])
CODES = ("image-missing", "image-depth-loss", "polygon-outside-image", "mask-empty", "object-crowd", "class-unknown")


class TestBooks:
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        pictures=st.lists(
            st.tuples(FAULTS, st.lists(THINGS, max_size=4), st.sampled_from(["train", "val"])), max_size=5
        ),
        severities=st.dictionaries(st.sampled_from([*CODES, "object-lost-with-image", "image-skipped"]), LEVELS),
        on_error=st.sampled_from(["skip-object", "skip-image"]),
        objects=st.fixed_dictionaries(
            {
                "crowd": st.sampled_from(["skip", "keep"]),
                "difficult": st.sampled_from(["keep", "skip"]),
                "empty": st.sampled_from(["skip", "keep", "error"]),
                "boxes": st.sampled_from(["skip", "rectangle", "error"]),
            }
        ),
    )
    def test_balance(self, tmp_path_factory, pictures, severities, on_error, objects):
        folder = tmp_path_factory.mktemp("books")
        scripted = [
            {"key": f"{n}.png", "fault": fault, "things": things, "split": split}
            for n, (fault, things, split) in enumerate(pictures)
        ]
        path = script(folder, scripted, issues=severities, on_error=on_error, objects=objects)
        report = convert(path)
        listed = issues(folder)
        read = [p for p in pictures if p[0] not in ("raises", "wrong-type", "broken")]
        assert report.total.images_found == len(pictures)
        assert report.total.objects_found == sum(len(things) for _, things, _ in read)
        for kind, dropped in (("image", report.total.images_dropped), ("object", report.total.objects_dropped)):
            assert dropped == Counter(issue["code"] for issue in listed if issue["loss"] == kind)
        assert report.counts == Counter((issue["code"], issue["severity"]) for issue in listed)
        assert all(issue["severity"] != "ignore" or issue["loss"] for issue in listed)
        manifest = json.loads((folder / "out/dataset.json").read_text())
        for split, counts in manifest["splits"].items():
            own = [record for path in folder.glob(f"out/{split}-*.tfrecord") for record in records(path)]
            assert counts["images_found"] == sum(p[2] == split for p in pictures)
            assert counts["images_written"] == len(own)
            assert counts["images_found"] == len(own) + sum(counts["images_dropped"].values())
            assert counts["objects_written"] == sum(len(record["image/class_ids"]) for record in own)
            assert counts["objects_found"] == counts["objects_written"] + sum(counts["objects_dropped"].values())
            assert sum(counts["objects_by_class"].values()) == counts["objects_written"]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        things=st.lists(st.lists(THINGS, max_size=4), max_size=4),
        on_error=st.sampled_from(["skip-object", "skip-image"]),
    )
    def test_rehearsal_keeps_the_same(self, tmp_path_factory, things, on_error):
        folder = tmp_path_factory.mktemp("books")
        path = script(folder, [{"key": f"{n}.png", "things": t} for n, t in enumerate(things)], on_error=on_error)
        rehearsed, converted = rehearse(path), convert(path)
        assert rehearsed.counts == converted.counts
        for report in (rehearsed, converted):
            for tally in report.splits.values():
                tally.bytes = 0
        assert rehearsed.splits == converted.splits


def test_the_drawn_image_is_what_it_should_be():
    assert png()[:8] == b"\x89PNG\r\n\x1a\n"
    assert png("deep")[24] == 16
