"""Broken LabelMe files through the command line: what is written, what is listed, what is said.

The files are in `tests/bad/labelme`; what is wrong with each is in the README of `tests/bad`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.cli import main

BAD = Path(__file__).parent / "bad"
FOLDER = BAD / "labelme"

# [code, record, object, line] of each issue when faulty objects are skipped; the line is that of the JSON file.
ISSUES = [
    ["record-broken", "deep.json", None, None],
    ["record-broken", "negative.json", None, 8],
    ["record-broken", "no-list.json", None, 2],
    ["file-foreign", "root.json", None, 1],
    ["file-foreign", "settings.json", None, 1],
    ["record-broken", "truncated.json", None, 4],
    ["annotation-broken", "figures.json", "3", 6],
    ["polygon-too-far", "figures.json", "5", 8],
    ["annotation-broken", "figures.json", "6", 9],
    ["annotation-broken", "figures.json", "7", 10],
    ["object-without-area", "figures.json", "8", 11],
    ["object-without-area", "figures.json", "9", 12],
    ["polygon-not-finite", "figures.json", "2", 5],
    ["polygon-too-far", "figures.json", "4", 7],
    ["polygon-outside-image", "figures.json", "10", 13],
    ["object-without-area", "groups.json", "3", 7],
    ["polygon-too-few-points", "groups.json", "1", 4],
    ["image-size-differs", "lying.json", None, None],
    ["object-lost-with-image", "lying.json", "1", None],
    ["object-shape-missing", "masks.json", "2", 5],
    ["mask-unreadable", "masks.json", "3", 6],
    ["polygon-not-finite", "masks.json", "9", 12],
    ["annotation-broken", "masks.json", "10", 13],
    ["mask-unreadable", "masks.json", "4", 7],
    ["mask-unreadable", "masks.json", "5", 8],
    ["mask-patch-differs", "masks.json", "6", 9],
    ["mask-outside-image", "masks.json", "7", 10],
    ["mask-outside-image", "masks.json", "8", 11],
    ["mask-empty", "masks.json", "8", 11],
    ["image-missing", "missing.json", None, None],
    ["object-lost-with-image", "missing.json", "1", None],
    ["record-broken", "nameless.json", None, 6],
    ["image-unreadable", "no-picture.json", None, None],
    ["object-lost-with-image", "no-picture.json", "1", None],
    ["record-broken", "numbers.json", None, 7],
    ["image-outside-folder", "outside.json", None, None],
    ["object-lost-with-image", "outside.json", "1", None],
    ["polygon-not-finite", "polygons.json", "2", 5],
    ["polygon-not-finite", "polygons.json", "3", 6],
    ["polygon-too-far", "polygons.json", "4", 7],
    ["polygon-too-few-points", "polygons.json", "5", 8],
    ["polygon-too-few-points", "polygons.json", "6", 9],
    ["polygon-outside-image", "polygons.json", "7", 10],
    ["mask-empty", "polygons.json", "7", 10],
    ["polygon-outside-image", "polygons.json", "8", 11],
    *(["annotation-broken", "types.json", str(number), number + 3] for number in range(2, 14)),
    ["object-ignored", "types.json", "14", 17],
    ["image-unreadable", "undecodable.json", None, 7],
    ["image-size-differs", "wide.json", None, None],
    ["object-lost-with-image", "wide.json", "1", None],
]

# Files whose issue is about the image, which is then the file to correct.
IMAGES = {
    "lying.json": "images/good.png",
    "missing.json": "images/missing.png",
    "no-picture.json": "labelme/no-picture.json",
    "outside.json": "images/../polygons.json",
    "undecodable.json": "labelme/undecodable.json",
    "wide.json": "images/good.png",
}

# Objects in each record.
WRITTEN = {"figures.json": 2, "good.json": 1, "groups.json": 1, "masks.json": 2, "polygons.json": 2, "types.json": 1}


def arguments(output, on_error, *more):
    settings = (f"on_error={on_error}", *more)
    return ["convert", str(FOLDER / "labelme.yaml"), "--output", str(output)] + [
        word for setting in settings for word in ("--set", setting)
    ]


def issues_of(output):
    return [json.loads(line) for line in (output / "issues.jsonl").read_text(encoding="utf-8").splitlines()]


def rows(issues):
    return [[issue["code"], issue["record"], issue["object"], issue["line"]] for issue in issues]


def records_of(output):
    shards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(output.glob("train-*.json"))]
    return {record["key"]: record["objects"] for shard in shards for record in shard["records"]}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    output = tmp_path_factory.mktemp("bad") / "out"
    assert main(arguments(output, "skip-object")) == 0
    return output


def test_every_file_of_the_folder_is_spoken_of():
    names = {path.name for path in FOLDER.glob("*.json")}
    assert names == {record for _, record, *_ in ISSUES} | {"good.json"}
    told = (BAD / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in told] == []


def test_each_fault_is_listed_where_it_is(converted):
    issues = issues_of(converted)
    assert rows(issues) == ISSUES
    for issue in issues:
        place = f"labelme/{issue['record']}"
        if issue["code"].startswith("image-"):
            place = IMAGES[issue["record"]]
        expected = None if issue["code"] == "object-lost-with-image" else str(BAD / place)
        assert issue["path"] == expected


def test_what_is_good_is_written(converted):
    assert records_of(converted) == WRITTEN


def test_found_is_written_and_dropped(converted):
    manifest = json.loads((converted / "dataset.json").read_text(encoding="utf-8"))
    losses = Counter((issue["loss"], issue["code"]) for issue in issues_of(converted) if issue["loss"])
    dropped = Counter()
    for counts in (manifest["unplaced"], *manifest["splits"].values()):
        for kind in ("image", "object"):
            lost = counts[f"{kind}s_dropped"]
            assert counts[f"{kind}s_found"] == counts[f"{kind}s_written"] + sum(lost.values())
            dropped += Counter({(kind, code): number for code, number in lost.items()})
    assert dropped == losses
    written = [counts["objects_written"] for counts in manifest["splits"].values()]
    assert sum(written) == sum(WRITTEN.values())


def test_skipping_images_leaves_those_without_a_fault(tmp_path):
    assert main(arguments(tmp_path / "out", "skip-image")) == 0
    assert records_of(tmp_path / "out") == {"good.json": 1}


def test_a_mask_of_another_size_can_be_kept(tmp_path):
    assert main(arguments(tmp_path / "out", "skip-object", "issues={mask-patch-differs: warning}")) == 0
    assert records_of(tmp_path / "out") == {**WRITTEN, "masks.json": 3}


CODES = [code for code in dict.fromkeys(row[0] for row in ISSUES) if CATALOGUE[code].severity is Severity.ERROR]


@pytest.mark.parametrize("code", CODES)
def test_stopping_says_where(tmp_path, monkeypatch, capsys, code):
    """With all other faults taken for warnings, so that each of them is once the one that stops."""
    others = ", ".join(f"{other}: warning" for other in CODES if other != code)
    monkeypatch.chdir(BAD)
    assert main(arguments(tmp_path / "out", "stop", f"issues={{{others}}}")) == 1
    message, remedy = capsys.readouterr().err.strip().splitlines()
    assert remedy.strip() == CATALOGUE[code].remedy
    _, record, number, line = next(row for row in ISSUES if row[0] == code)
    place = (IMAGES[record] if code.startswith("image-") else f"labelme/{record}") + (f":{line}" if line else "")
    what = ", ".join(f"{kind} {of}" for kind, of in (("image", record), ("object", number)) if of is not None)
    assert message.startswith(f"maskflow-convert: error: {place}: {what}: ")
    assert message.endswith(f" [{code}]")


def test_in_a_process_of_its_own_there_is_no_traceback(tmp_path):
    command = [sys.executable, "-m", "maskflow_convert", *arguments(tmp_path / "out", "skip-object")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert issues_of(tmp_path / "out")


def test_the_faults_are_the_same_from_several_processes(tmp_path, converted):
    more = ("run.executor=processes", "run.workers=2", "output.shard_size=2 images")
    assert main(arguments(tmp_path / "out", "skip-object", *more)) == 0
    assert issues_of(tmp_path / "out") == issues_of(converted)
    assert records_of(tmp_path / "out") == WRITTEN
