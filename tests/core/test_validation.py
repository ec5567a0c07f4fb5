"""`validate` from the command line and from Python, over the scripted adapter: what it looks at, and what it lists."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path

import pytest

from core.plugins.scripted import script
from maskflow_convert import convert, load_config, validate
from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.cli import main
from maskflow_convert.validation import Images, prepare_validation, validate_annotations, validate_data_set

THINGS = ["good", "outside", "crowd", "stranger"]
PICTURES = [{"key": f"{n:02}.png", "id": n, "things": THINGS[: n % 5]} for n in range(20)]
CLASSES = {"names": ["disc"]}
ALIKE = {"image-uniform": "ignore", "image-content-duplicate": "ignore"}
FOUND = {"class-unknown": 4, "image-without-objects": 4, "object-crowd": 8, "polygon-outside-image": 12}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return script(tmp_path, PICTURES, classes=CLASSES, issues=ALIKE, output={"shard_size": "7 images"})


def counts(report) -> dict[str, int]:
    return {code: count for (code, _), count in report.counts.items()}


def test_all_is_found_though_the_configuration_stops_at_errors(config):
    report = validate_annotations(config)
    assert counts(report) == FOUND
    assert {code: len(issues) for code, issues in report.examples.items()} == {c: min(n, 5) for c, n in FOUND.items()}
    total = report.total
    assert (total.images_found, total.objects_found, total.objects_written) == (20, 40, 28)


def test_the_images_are_opened_unless_they_are_not_to_be(tmp_path):
    path = script(tmp_path, [{"key": "a.png", "fault": "unreadable", "things": ["good"]}])
    assert counts(validate_annotations(path)) == {"image-unreadable": 1, "object-lost-with-image": 1}
    assert counts(validate_annotations(path, images=Images.SKIP)) == {"class-few-objects": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_report_is_the_same_whoever_did_the_work(config, workers):
    several = load_config(config, ["run.executor=processes", f"run.workers={workers}"])
    assert validate_annotations(several) == validate_annotations(config)


def test_a_sample_is_the_same_every_time_and_says_nothing_of_the_whole(tmp_path):
    pictures = [{"key": f"{n}.png", "things": ["good"]} for n in range(9)]
    path = script(tmp_path, pictures, classes={"names": ["disc", "nothing"]})
    assert counts(validate_annotations(path)) == {"class-unused": 1, "class-few-objects": 1, "image-uniform": 9} | {
        "image-content-duplicate": 8
    }
    drawn = []
    for _ in range(2):
        seen: list[str] = []
        report = validate_data_set(
            prepare_validation(path),
            sample=4,
            on_issue=lambda issue, seen=seen: seen.append(issue.record),
        )
        assert report.total.images_found == 4
        assert counts(report) == {"image-uniform": 4, "image-content-duplicate": 3}
        drawn.append(seen)
    assert drawn[0] == drawn[1]
    assert (len(drawn[0]), len(set(drawn[0]))) == (7, 4)
    assert validate_data_set(prepare_validation(path), sample=99).total.images_found == 9


def test_all_issues_are_listed_on_demand(config, tmp_path, capsys):
    path = tmp_path / "all.jsonl"
    assert main(["validate", str(config), "--issues", str(path)]) == 1
    listed = [json.loads(line)["code"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert {code: listed.count(code) for code in listed} == FOUND
    told = capsys.readouterr().out
    assert "and 9 more" in told
    assert told.endswith("4 errors, 24 warnings\n")


@pytest.mark.parametrize(
    ("fail_on", "settings", "code"),
    [
        ("error", {}, 1),
        ("never", {}, 0),
        ("error", {"class-unknown": "ignore"}, 0),
        ("warning", {"class-unknown": "ignore"}, 1),
        ("warning", dict.fromkeys(FOUND, "ignore"), 0),
        ("warning", {**dict.fromkeys(FOUND, "ignore"), "polygon-outside-image": "fix"}, 0),
    ],
)
def test_the_exit_code(tmp_path, capsys, fail_on, settings, code):
    path = script(tmp_path, PICTURES, classes=CLASSES, issues={**ALIKE, **settings})
    assert main(["validate", str(path), "--fail-on", fail_on]) == code
    told = capsys.readouterr().out
    assert ("12 times, 12 fixed" in told) == ("fix" in settings.values())
    assert ("object-crowd" in told) == (settings.get("object-crowd") != "ignore")


def test_records_are_told_from_a_configuration(config, tmp_path, capsys):
    folder = tmp_path / "out"
    convert(load_config(config, ["on_error=skip-object"]))
    assert main(["validate", str(folder)]) == 0
    assert "Nothing was found to be wrong." in capsys.readouterr().out
    loose = shutil.copy(folder / "train-00000-of-00003.tfrecord", tmp_path / "loose.tfrecord")
    assert main(["validate", str(loose)]) == 0
    assert main(["validate", str(loose), "--layout", "documented"]) == 0
    capsys.readouterr()
    assert main(["validate", str(loose), "--layout", "rows_first", "--format", "json"]) == 1
    [issue] = json.loads(capsys.readouterr().out)["issues"]
    assert (issue["code"], issue["count"]) == ("record-image-differs", 7)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["CONFIG", "OUT"],
        ["OUT", "--sample", "3"],
        ["OUT", "--no-images"],
        ["OUT", "--set", "run.workers=1"],
        ["OUT", "--issues", "all.jsonl"],
    ],
)
def test_what_cannot_be_meant_is_refused(config, tmp_path, capsys, arguments):
    convert(load_config(config, ["on_error=skip-object"]))
    named = {"CONFIG": str(config), "OUT": str(tmp_path / "out")}
    assert main(["validate", *(named.get(each, each) for each in arguments)]) == 2
    assert capsys.readouterr().err.startswith("maskflow-convert: ")


def test_every_check_is_listed(capsys):
    assert main(["validate", "--list-checks"]) == 0
    told = capsys.readouterr().out
    assert [
        line.split()[0] for line in told.splitlines() if line.endswith(("  error", "  warning", "  ignore"))
    ] == list(CATALOGUE)
    assert all(rule.example in told for rule in CATALOGUE.values())


def test_memory_does_not_grow_with_the_issues(tmp_path):
    """A COCO file of few images, and many annotations of none of them."""

    def peak(orphans: int) -> int:
        path = tmp_path / f"{orphans}.json"
        annotations = [{"id": n, "image_id": 7, "category_id": 1} for n in range(orphans)]
        path.write_text(json.dumps({"images": [], "annotations": annotations, "categories": []}))
        yaml = tmp_path / "c.yaml"
        yaml.write_text(json.dumps({"sources": [{"adapter": "coco", "annotations": str(path)}]}))
        data_set = prepare_validation(yaml)
        tracemalloc.start()
        report = validate_data_set(data_set)
        assert counts(report) == {"annotation-orphaned": orphans}
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is kept from the first time on
    few, many = peak(200), peak(20_000)
    assert many < few + 200_000


def test_from_python(config, tmp_path):
    assert counts(validate(config)) == counts(validate(str(config))) == counts(validate(load_config(config))) == FOUND
    convert(load_config(config, ["on_error=skip-object"]))
    folder = tmp_path / "out"
    assert counts(validate(folder)) == counts(validate(sorted(folder.glob("*.tfrecord")))) == {}
    assert validate(folder).total.objects_found == 28
