"""Every code of the catalogue planted in a sound data set: reported where it was planted, with that code, and no other.

What is planted is in `tests/corpus`: the sound set in `scene`, the cases in `cases` and `written`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from PIL import Image

from corpus.cases import ANNOTATION_CASES, SKIPPED, Case, Place
from corpus.scene import CONFIG, OBJECTS, PLUGIN, write_config, write_scene
from corpus.written import DATASET_CASES, WRITTEN_CASES, DataSetCase
from maskflow_convert import Issue, Report, build_dataset, check_dataset, convert
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.cli import main
from maskflow_convert.errors import IssueError

SOURCES = {
    "coco": "sources[0] (coco)",
    "voc": "sources[1] (voc)",
    "labelme": "sources[2] (labelme)",
    "plugin": f"sources[3] (FOLDER/{PLUGIN.name}:Boxes)",
}

CHOSEN = {
    "mask-empty": "objects.empty: skip",
    "object-crowd": "objects.crowd: skip",
    "object-difficult": "objects.difficult: skip",
    "object-ignored": "the label `__ignore__`",
}
"""What the user chose to lose: validation warns of it, and conversion goes on without it."""

every_annotation_case = pytest.mark.parametrize("case", ANNOTATION_CASES, ids=lambda case: case.code)


@dataclass(frozen=True)
class Validated:
    """A case, where it is written out, and what `validate` made of it."""

    case: Case
    folder: Path
    exit_code: int
    report: dict[str, Any]


def config_of(case: Case, **more: Any) -> dict[str, Any]:
    added = {name: {**CONFIG.get(name, {}), **section} for name, section in case.settings.items()}
    return {**CONFIG, **added, **more}


def run(folder: Path, *arguments: Path | str) -> tuple[int, dict[str, Any]]:
    """The exit code of `validate`, and its report as JSON."""
    output = folder / "report.json"
    exit_code = main(["validate", *map(str, arguments), "--format", "json", "--output", str(output)])
    return exit_code, json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", name="validated")
def validated_fixture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Validated]:
    """The outcome of a case of annotations, which is written out and validated once."""
    done: dict[str, Validated] = {}

    def validate(case: Case) -> Validated:
        if case.code not in done:
            folder = tmp_path_factory.mktemp(case.code)
            write_scene(folder, scale=case.scale)
            case.change(folder)
            done[case.code] = Validated(case, folder, *run(folder, write_config(folder, config_of(case))))
        return done[case.code]

    return validate


def counts_of(report: dict[str, Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for kind in report["issues"]:
        counts[kind["code"]] += kind["count"]
    return counts


def the_issue(report: dict[str, Any], code: str) -> dict[str, Any]:
    """The only issue of a code."""
    [issue] = [issue for kind in report["issues"] if kind["code"] == code for issue in kind["examples"]]
    return issue


def line_of(folder: Path, place: Place) -> int | None:
    """The line of a place; one that is told by its text is looked for."""
    if not isinstance(place.line, str):
        return place.line
    lines = (folder / str(place.path)).read_text(encoding="utf-8").splitlines()
    [number] = [number for number, line in enumerate(lines, start=1) if place.line in line]
    return number


def assert_found(case: Case, folder: Path, report: dict[str, Any]) -> None:
    """The code is found once, where it was planted, and beside it nothing but its consequences."""
    assert counts_of(report) == {case.code: 1, **case.consequences}
    issue, place = the_issue(report, case.code), case.place
    assert {key: issue[key] for key in ("source", "record", "object", "path", "line")} == {
        "source": place.source and SOURCES[place.source].replace("FOLDER", str(folder)),
        "record": place.record,
        "object": place.object,
        "path": place.path and str(folder / place.path),
        "line": line_of(folder, place),
    }
    assert place.says in issue["message"]


def test_every_code_of_the_catalogue_is_planted_once():
    planted = [case.code for case in (*ANNOTATION_CASES, SKIPPED, *WRITTEN_CASES, *DATASET_CASES)]
    assert Counter(planted) == Counter(CATALOGUE.keys())


# Annotations and images


@every_annotation_case
def test_annotations(case: Case, validated: Callable[[Case], Validated]) -> None:
    found = validated(case)
    assert_found(case, found.folder, found.report)
    assert found.exit_code == (1 if found.report["errors"] else 0)


def test_an_image_that_is_skipped_for_an_object(tmp_path: Path) -> None:
    """The one code that a validation cannot find: it goes on."""
    write_scene(tmp_path)
    SKIPPED.change(tmp_path)
    report = convert(write_config(tmp_path, config_of(SKIPPED, on_error="skip-image")))
    assert_found(SKIPPED, tmp_path, json.loads(json.dumps(report.to_dict())))


def outcome(found: Validated, name: str, **settings: Any) -> Report | IssueError:
    """What a conversion makes of a case: the report, or the issue that stopped it."""
    output = {**CONFIG["output"], "directory": name}
    try:
        return convert(write_config(found.folder, config_of(found.case, output=output, **settings)))
    except IssueError as error:
        return error


def lost_in(tallies: list[dict[str, Any]]) -> Counter[str]:
    """What was dropped, by code."""
    dropped = [tally[f"{kind}_dropped"] for tally in tallies for kind in ("images", "objects")]
    return sum(map(Counter, dropped), Counter())


@every_annotation_case
def test_both_ways(case: Case, validated: Callable[[Case], Validated]) -> None:
    """What passes is converted without a loss; what fails is stopped, or loses what a validation says."""
    found = validated(case)
    lost = lost_in([found.report["unplaced"], *found.report["splits"].values()])
    assert (lost.keys() <= CHOSEN.keys()) == (found.report["errors"] == 0)
    assert isinstance(outcome(found, "stopping", on_error="stop"), IssueError) == (found.report["errors"] > 0)
    skipping = outcome(found, "skipping", on_error="skip-object")
    assert isinstance(skipping, Report)
    assert lost_in([skipping.total.to_dict()]) == lost


WARNINGS = [case for case in ANNOTATION_CASES if CATALOGUE[case.code].severity is Severity.WARNING]


@pytest.mark.parametrize("case", WARNINGS, ids=lambda case: case.code)
def test_both_ways_where_the_warning_is_made_an_error(case: Case, validated: Callable[[Case], Validated]) -> None:
    """Of the data set or a source as a whole nothing can be dropped, and so an error always stops."""
    found = validated(case)
    issues = {**config_of(case).get("issues", {}), case.code: "error"}
    exit_code, report = run(found.folder, write_config(found.folder, config_of(case, issues=issues)))
    assert exit_code == 1
    assert the_issue(report, case.code)["severity"] == "error"
    stopping = outcome(found, "error-stopping", on_error="stop", issues=issues)
    assert isinstance(stopping, IssueError)
    assert stopping.issue.code == case.code
    skipping = outcome(found, "error-skipping", on_error="skip-object", issues=issues)
    if the_issue(report, case.code)["loss"] is None:
        assert isinstance(skipping, IssueError)
        assert skipping.issue.code == case.code
    else:
        assert isinstance(skipping, Report)
        assert lost_in([skipping.total.to_dict()]) == lost_in([report["unplaced"], *report["splits"].values()])


def test_both_ways_where_files_differ_and_their_pixels_do_not(tmp_path: Path) -> None:
    """Copies are those of files, also to a conversion, which stores the same PNG of both."""
    write_scene(tmp_path)
    pixels = Image.open(tmp_path / "coco/images/c1.png").copy()
    for name, kind in (("c1.png", "BMP"), ("c2.png", "TIFF")):
        pixels.save(tmp_path / "coco/images" / name, kind)
    config = write_config(tmp_path, {**CONFIG, "issues": {"image-content-duplicate": "error"}})
    assert run(tmp_path, config, "--fail-on", "warning")[0] == 0
    assert convert(config).counts == {}


# Written records


@pytest.mark.parametrize("case", WRITTEN_CASES, ids=lambda case: case.code)
def test_written_records(case: Case, tmp_path: Path) -> None:
    write_scene(tmp_path)
    convert(write_config(tmp_path, config_of(case)))
    case.change(tmp_path)
    is_whole = (tmp_path / "out/dataset.json").exists()
    subjects = [tmp_path / "out"] if is_whole else sorted((tmp_path / "out").glob("*.tfrecord"))
    exit_code, report = run(tmp_path, *subjects)
    assert_found(case, tmp_path, report)
    assert exit_code == (1 if report["errors"] else 0)


# A data set of your own


@pytest.fixture(scope="module", name="dataset")
def dataset_fixture(tmp_path_factory: pytest.TempPathFactory) -> tf.data.Dataset:
    """That of the sound set."""
    folder = tmp_path_factory.mktemp("sound")
    convert(write_scene(folder))
    return build_dataset(folder / "out")


@pytest.mark.parametrize("case", DATASET_CASES, ids=lambda case: case.code)
def test_data_sets(case: DataSetCase, dataset: tf.data.Dataset) -> None:
    report = json.loads(json.dumps(check_dataset(case.change(dataset)).to_dict()))
    assert counts_of(report) == {case.code: 1, **case.consequences}
    assert case.says in the_issue(report, case.code)["message"]


# The sound set, and what the command line says


@pytest.mark.parametrize("scale", [1, 6])
def test_a_sound_set_says_nothing(scale: int, tmp_path: Path) -> None:
    config = write_scene(tmp_path, scale=scale)
    convert(config)
    for subject in (config, tmp_path / "out"):
        exit_code, report = run(tmp_path, subject, "--fail-on", "warning")
        assert (exit_code, report["issues"]) == (0, [])
        total = [report["splits"][name]["objects_written"] for name in ("train", "val")]
        assert total == [9 * OBJECTS, OBJECTS]
    assert check_dataset(build_dataset(tmp_path / "out")).counts == {}


SOUND = Case("sound", lambda folder: None, Place())
BY_SEVERITY = {
    "nothing": (SOUND, {"error": 0, "warning": 0, "never": 0}),
    "a warning": (WARNINGS[0], {"error": 0, "warning": 1, "never": 0}),
    "an error": (ANNOTATION_CASES[0], {"error": 1, "warning": 1, "never": 0}),
}


@pytest.mark.parametrize(("case", "codes"), BY_SEVERITY.values(), ids=BY_SEVERITY)
def test_exit_codes(case: Case, codes: dict[str, int], validated: Callable[[Case], Validated]) -> None:
    found = validated(case)
    config = write_config(found.folder, config_of(case))
    assert {name: run(found.folder, config, "--fail-on", name)[0] for name in codes} == codes


@every_annotation_case
def test_json(case: Case, validated: Callable[[Case], Validated]) -> None:
    """The keys that are documented at `Report.to_dict`."""
    report = validated(case).report
    assert {"errors", "warnings", "classes", "splits", "unplaced", "areas", "issues"} <= report.keys()
    for kind in report["issues"]:
        rule = CATALOGUE[kind["code"]]
        assert (kind["meaning"], kind["remedy"]) == (rule.meaning, rule.remedy)
        assert len(kind["examples"]) == min(kind["count"], Report.EXAMPLES)
        for issue in kind["examples"]:
            assert issue.keys() == {each.name for each in fields(Issue)}
            assert issue["code"] == kind["code"]
            assert issue["severity"] == kind["severity"]
    for severity in ("error", "warning"):
        assert report[f"{severity}s"] == sum(k["count"] for k in report["issues"] if k["severity"] == severity)
