"""Broken COCO files through the command line: what is written, what is listed, what is said.

The files are in `tests/bad`; what is wrong with each is in the README there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.cli import main

BAD = Path(__file__).parent / "bad"

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
"""pycocotools' `decode` under NumPy 2."""

# [code, record, object, line] of each issue when faulty objects are skipped; the line is that of the JSON file.
ISSUES = {
    "polygons.json": [
        ["object-shape-missing", "other.png", "9", 16],
        ["annotation-broken", "other.png", "10", 17],
        ["polygon-not-finite", "other.png", "3", 10],
        ["polygon-not-finite", "other.png", "4", 11],
        ["polygon-too-far", "other.png", "5", 12],
        ["polygon-odd-length", "other.png", "6", 13],
        ["polygon-too-few-points", "other.png", "7", 14],
        ["polygon-too-few-points", "other.png", "8", 15],
        ["polygon-part-dropped", "third.png", "11", 18],
        ["polygon-outside-image", "third.png", "12", 19],
        ["polygon-part-dropped", "third.png", "12", 19],
        ["mask-empty", "third.png", "13", 20],
    ],
    "run-lengths.json": [
        ["annotation-broken", "other.png", "15", 21],
        ["rle-sum-differs", "other.png", "3", 9],
        ["rle-sum-differs", "other.png", "4", 10],
        ["rle-negative-run", "other.png", "5", 11],
        ["mask-size-differs", "other.png", "6", 12],
        ["mask-size-differs", "other.png", "7", 13],
        ["rle-undecodable", "other.png", "8", 14],
        ["rle-undecodable", "other.png", "9", 15],
        ["rle-undecodable", "other.png", "10", 16],
        ["rle-sum-differs", "other.png", "11", 17],
        ["rle-sum-differs", "other.png", "12", 18],
        ["rle-sum-differs", "other.png", "13", 19],
        ["mask-empty", "other.png", "14", 20],
    ],
    "boxes.json": [
        ["object-shape-missing", "other.png", "4", 10],
        ["object-shape-missing", "other.png", "5", 11],
        ["object-box-only", "other.png", "2", 8],
        ["object-box-only", "other.png", "3", 9],
    ],
    "categories.json": [
        ["category-id-duplicate", None, None, 14],
        ["category-broken", None, None, 15],
        ["category-unknown", "other.png", "2", 8],
        ["category-unknown", "other.png", "3", 9],
    ],
    "orphans.json": [
        ["annotation-orphaned", None, "2", 7],
        ["annotation-orphaned", None, "3", 8],
        ["annotation-broken", None, "4", 9],
        ["annotation-broken", None, None, 13],
        ["annotation-broken", "good.png", "5", 10],
        ["annotation-broken", "good.png", "6", 11],
        ["annotation-broken", "good.png", "7", 12],
    ],
    "images.json": [
        ["image-missing", "missing.png", None, None],
        ["object-lost-with-image", "missing.png", "2", None],
        ["image-unreadable", "truncated.png", None, None],
        ["object-lost-with-image", "truncated.png", "3", None],
        ["image-unreadable", "truncated.jpg", None, None],
        ["image-unreadable", "text.jpg", None, None],
        ["image-unreadable", "empty.png", None, None],
        ["image-size-differs", "narrow.png", None, None],
        ["object-lost-with-image", "narrow.png", "7", None],
        ["image-size-differs", "lying.png", None, None],
        ["image-too-large", "bomb.png", None, None],
        ["object-lost-with-image", "bomb.png", "9", None],
        ["image-depth-loss", "sixteen-bits.png", None, None],
        ["object-lost-with-image", "sixteen-bits.png", "10", None],
        ["image-outside-folder", "../images.json", None, None],
        ["object-lost-with-image", "../images.json", "11", None],
        ["object-lost-with-image", "../images.json", "12", None],
        ["image-outside-folder", "/etc/hostname", None, None],
    ],
    "duplicates.json": [
        ["image-id-duplicate", "third.png", None, 5],
        ["image-key-duplicate", "good.png", None, 6],
        ["annotation-id-duplicate", None, "2", 11],
        ["object-lost-with-image", None, "3", 12],
    ],
    "entries.json": [
        ["image-entry-broken", "other.png", None, 4],
        ["image-entry-broken", None, None, 5],
        ["image-entry-broken", None, None, 6],
        ["image-entry-broken", None, None, 7],
        ["image-entry-broken", None, None, 8],
        ["object-lost-with-image", None, "2", 12],
        ["annotation-orphaned", None, "3", 13],
    ],
}

# What else is listed when an image is skipped for the sake of one object.
MORE_ISSUES = {
    "polygons.json": [
        ["image-skipped", "other.png", None, None],
        ["object-lost-with-image", "other.png", "2", None],
    ],
    "run-lengths.json": [
        ["image-skipped", "other.png", None, None],
        ["object-lost-with-image", "other.png", "2", None],
    ],
    "boxes.json": [["image-skipped", "other.png", None, None]],
    "categories.json": [["image-skipped", "other.png", None, None]],
    "orphans.json": [
        ["image-skipped", "good.png", None, None],
        ["object-lost-with-image", "good.png", "1", None],
    ],
}

# The ids of the annotations in each record, in their order.
WRITTEN = {
    "polygons.json": {"good.png": [1], "other.png": [2], "third.png": [11, 12]},
    "run-lengths.json": {"good.png": [1], "other.png": [2]},
    "boxes.json": {"good.png": [1], "other.png": []},
    "categories.json": {"good.png": [1], "other.png": []},
    "orphans.json": {"good.png": [1]},
    "images.json": {"good.png": [1], "third.png": [13]},
    "duplicates.json": {"good.png": [1, 2], "other.png": [2]},
    "entries.json": {"good.png": [1]},
}

# The line at which reading stops, where there is one, and what is said.
UNREADABLE = {
    "cut.json": (8, "not JSON"),
    "text.json": (1, "not JSON"),
    "comma.json": (4, "not JSON"),
    "utf-16.json": (1, "not JSON"),
    "empty.json": (1, "is not JSON"),
    "list.json": (None, "not a COCO annotation file"),
    "no-images.json": (None, "`images`"),
    "no-such-file.json": (None, "cannot be read"),
    "images": (None, "holds no JSON file"),
}


def arguments(name: str, output: Path, on_error: str, *more: str) -> list[str]:
    settings = (f"sources[0].annotations={name}", f"on_error={on_error}", *more)
    return [
        "convert",
        str(BAD / "bad.yaml"),
        "--output",
        str(output),
        *(word for setting in settings for word in ("--set", setting)),
    ]


def issues_of(output):
    return [json.loads(line) for line in (output / "issues.jsonl").read_text(encoding="utf-8").splitlines()]


def rows(issues):
    return [[issue["code"], issue["record"], issue["object"], issue["line"]] for issue in issues]


def skipped_images(name):
    return {record for code, record, *_ in MORE_ISSUES.get(name, []) if code == "image-skipped"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The output folder of each file, converted once for each way to go on at errors."""
    done = {}

    def convert(name, on_error):
        if (name, on_error) not in done:
            output = tmp_path_factory.mktemp("bad") / "out"
            assert main(arguments(name, output, on_error)) == 0
            done[name, on_error] = output
        return done[name, on_error]

    return convert


def test_every_file_of_the_folder_has_its_row():
    assert {path.name for path in BAD.glob("*.json")} | {"no-such-file.json", "images"} == {*ISSUES, *UNREADABLE}
    assert ISSUES.keys() == WRITTEN.keys() >= MORE_ISSUES.keys()
    told = (BAD / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in BAD.rglob("*.*") if f"`{path.name}`" not in told and path.name != "README.md"] == []


@pytest.mark.parametrize("name", ISSUES)
def test_each_fault_is_listed_where_it_is(converted, name):
    issues = issues_of(converted(name, "skip-object"))
    assert rows(issues) == ISSUES[name]
    for issue in issues:
        assert issue["source"] == "sources[0] (coco)"
        if issue["line"] is not None:
            assert issue["path"] == str(BAD / name)
        elif issue["code"].startswith("image-"):
            assert issue["path"] == str(BAD / "images" / issue["record"])
        else:
            assert (issue["code"], issue["path"]) == ("object-lost-with-image", None)


@pytest.mark.parametrize("name", ISSUES)
def test_skipping_images_lists_the_image_and_its_other_objects_too(converted, name):
    found = Counter(map(tuple, rows(issues_of(converted(name, "skip-image")))))
    assert found == Counter(map(tuple, ISSUES[name] + MORE_ISSUES.get(name, [])))


@pytest.mark.parametrize("on_error", ["skip-object", "skip-image"])
@pytest.mark.parametrize("name", ISSUES)
def test_found_is_written_and_dropped(converted, name, on_error):
    output = converted(name, on_error)
    content = json.loads((BAD / name).read_text(encoding="utf-8"))
    manifest = json.loads((output / "dataset.json").read_text(encoding="utf-8"))
    counts = [manifest["unplaced"], *manifest["splits"].values()]
    losses = Counter((issue["code"], issue["loss"]) for issue in issues_of(output) if issue["loss"])
    dropped = Counter()
    for kind in ("image", "object"):
        for count in counts:
            dropped += Counter({(code, kind): n for code, n in count[f"{kind}s_dropped"].items()})
        found, written = (sum(count[f"{kind}s_{what}"] for count in counts) for what in ("found", "written"))
        assert found == len(content[{"image": "images", "object": "annotations"}[kind]])
        assert found == written + sum(n for (_, of), n in dropped.items() if of == kind)
    assert dropped == losses
    kept = {image: ids for image, ids in WRITTEN[name].items() if image not in skipped_images(name)}
    if on_error == "skip-image":
        assert sum(count["images_written"] for count in counts) == len(kept)
        assert sum(count["objects_written"] for count in counts) == sum(map(len, kept.values()))


FEATURES = {
    **{
        f"image/{name}": tf.io.FixedLenFeature([], tf.int64)
        for name in ("id", "width", "height", "channel", "n_objects")
    },
    **{f"image/{name}": tf.io.FixedLenFeature([], tf.string) for name in ("basename", "image_bytes")},
    **{f"image/{name}": tf.io.VarLenFeature(tf.int64) for name in ("masks_indices", "class_ids")},
}


def read_back(output):
    """Basename: (image [H, W, C], masks [N, H, W], class ids), as TensorFlow reads them."""
    records = {}
    for serialised in tf.data.TFRecordDataset(sorted(map(str, output.glob("*.tfrecord")))):
        record = {
            key.removeprefix("image/"): value for key, value in tf.io.parse_single_example(serialised, FEATURES).items()
        }
        shape = [record[key] for key in ("n_objects", "width", "height")]
        triples = tf.reshape(record["masks_indices"].values, [-1, 3])
        masks = tf.sparse.SparseTensor(triples, tf.ones(len(triples), tf.uint8), shape)
        records[record["basename"].numpy().decode()] = (
            tf.io.decode_png(record["image_bytes"]).numpy(),
            tf.sparse.to_dense(masks).numpy().transpose(0, 2, 1),
            record["class_ids"].values.numpy().tolist(),
        )
    return records


def mask_by_pycocotools(segmentation):
    if isinstance(segmentation, list):
        segmentation = [part for part in segmentation if len(part) > 4]
    encoded = coco_mask.frPyObjects(segmentation, 6, 8)
    return coco_mask.decode(coco_mask.merge(encoded) if isinstance(encoded, list) else encoded)


@pytest.mark.parametrize("on_error", ["skip-object", "skip-image"])
@pytest.mark.parametrize("name", ISSUES)
def test_what_is_good_is_written(converted, name, on_error):
    records = read_back(converted(name, on_error))
    skipped = skipped_images(name) if on_error == "skip-image" else set()
    assert records.keys() == WRITTEN[name].keys() - skipped
    content = json.loads((BAD / name).read_text(encoding="utf-8"))
    image_ids = {
        image["file_name"]: image["id"] for image in content["images"][::-1] if len(image) >= 2 and "id" in image
    }
    annotations = {(a["image_id"], a["id"]): a for a in content["annotations"] if "image_id" in a}
    for basename, (image, masks, class_ids) in records.items():
        with Image.open(BAD / "images" / basename) as source:
            np.testing.assert_array_equal(image, np.asarray(source))
        ids = WRITTEN[name][basename]
        expected = [mask_by_pycocotools(annotations[image_ids[basename], i]["segmentation"]) for i in ids]
        np.testing.assert_array_equal(masks, np.reshape(expected, (-1, 6, 8)))
        assert class_ids == [1] * len(ids)


def errors_of(name):
    return dict.fromkeys(row[0] for row in ISSUES[name] if CATALOGUE[row[0]].severity is Severity.ERROR)


@pytest.mark.parametrize(("name", "code"), [(name, code) for name in ISSUES for code in errors_of(name)])
def test_stopping_says_where(tmp_path, monkeypatch, capsys, name, code):
    """With all other faults taken for warnings, so that each of them is once the one that stops.

    The place is told as seen from the working directory.
    """
    others = ", ".join(f"{other}: warning" for other in errors_of(name) if other != code)
    output = tmp_path / "out"
    monkeypatch.chdir(BAD.parent)
    assert main(arguments(name, output, "stop", f"issues={{{others}}}")) == 1
    captured = capsys.readouterr()
    message, remedy = captured.err.strip().splitlines()
    assert remedy.strip() == CATALOGUE[code].remedy
    _, record, number, line = next(row for row in ISSUES[name] if row[0] == code)
    place = str(BAD / "images" / record if line is None else BAD / f"{name}:{line}").removeprefix(f"{BAD.parent}/")
    what = ", ".join(f"{kind} {of}" for kind, of in (("image", record), ("object", number)) if of is not None)
    assert message.startswith(f"maskflow-convert: error: {place}: " + (f"{what}: " if what else ""))
    assert message.endswith(f" [{code}]")
    assert captured.out == ""
    left = {path.name for path in output.glob("*")}
    assert left.isdisjoint(("dataset.json", "issues.jsonl"))
    assert not {name for name in left if name.endswith(".partial")}


def test_the_first_fault_stops_by_default(tmp_path, monkeypatch, capsys):
    settings = [word for word in arguments("polygons.json", tmp_path / "out", "stop") if word != "on_error=stop"]
    del settings[-1]
    text = (BAD / "bad.yaml").read_text(encoding="utf-8").replace("on_error", "# on_error")
    (tmp_path / "bad.yaml").write_text(text.replace("images: images", f"images: {BAD / 'images'}"), encoding="utf-8")
    settings[1] = str(tmp_path / "bad.yaml")
    settings[settings.index("sources[0].annotations=polygons.json")] = f"sources[0].annotations={BAD / 'polygons.json'}"
    monkeypatch.chdir(tmp_path)
    assert main(settings) == 1
    assert f" {BAD / 'polygons.json'}:16: " in capsys.readouterr().err


@pytest.mark.parametrize("on_error", ["stop", "skip-object", "skip-image"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_stops_whatever_the_policy(tmp_path, monkeypatch, capsys, name, on_error):
    monkeypatch.chdir(BAD.parent)
    assert main(arguments(name, tmp_path / "out", on_error)) == 4
    line, told = UNREADABLE[name]
    captured = capsys.readouterr()
    assert captured.err.startswith(f"maskflow-convert: bad/{name}:" + ("" if line is None else f"{line}: "))
    assert told in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "code"), [("polygons.json", 1), ("cut.json", 4)])
def test_the_place_is_told_in_full_where_there_is_no_working_directory(tmp_path, monkeypatch, capsys, name, code):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(arguments(name, tmp_path / "out", "stop")) == code
    assert f": {BAD / name}:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ISSUES)
def test_a_rehearsal_goes_through_and_writes_nothing(tmp_path, capsys, name):
    assert main([*arguments(name, tmp_path / "out", "skip-object"), "--dry-run"]) == 0
    assert not (tmp_path / "out").exists()
    told = capsys.readouterr().out
    codes = {row[0] for row in ISSUES[name]}
    of_pixels = {code for code, *_, line in ISSUES[name] if line is None}
    if "image-too-large" in codes:  # which the annotated size tells
        of_pixels -= {"image-too-large", "object-lost-with-image"}
    assert {code for code in codes if code in told} == codes - of_pixels


@pytest.mark.parametrize(
    ("name", "on_error", "code"),
    [
        ("polygons.json", "skip-object", 0),
        ("images.json", "skip-image", 0),
        ("polygons.json", "stop", 1),
        ("images.json", "stop", 1),
        ("cut.json", "skip-object", 4),
    ],
)
def test_in_a_process_of_its_own_there_is_an_exit_code_and_no_traceback(tmp_path, name, on_error, code):
    command = [sys.executable, "-m", "maskflow_convert", *arguments(name, tmp_path / "out", on_error)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) is (code != 0)
    assert bool(done.stdout) is (code == 0)


def test_the_faults_are_the_same_from_several_processes(tmp_path, converted):
    more = ("run.executor=processes", "run.workers=2", "output.shard_size=2 images")
    assert main(arguments("images.json", tmp_path / "out", "skip-object", *more)) == 0
    alone = converted("images.json", "skip-object")
    assert issues_of(tmp_path / "out") == issues_of(alone)
    assert read_back(tmp_path / "out").keys() == read_back(alone).keys()


def test_a_warning_can_be_made_an_error_and_then_costs_the_object_once(tmp_path):
    made = "issues={polygon-outside-image: error, polygon-part-dropped: error}"
    assert main(arguments("polygons.json", tmp_path / "out", "skip-object", made)) == 0
    assert len(read_back(tmp_path / "out")["third.png"][1]) == 0
    polygon_issues = [issue for issue in issues_of(tmp_path / "out") if issue["record"] == "third.png"]
    assert [[issue["code"], issue["object"], issue["severity"], issue["loss"]] for issue in polygon_issues] == [
        ["polygon-part-dropped", "11", "error", "object"],
        ["polygon-outside-image", "12", "error", "object"],
        ["polygon-part-dropped", "12", "error", None],
        ["mask-empty", "13", "warning", "object"],
    ]
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))
    assert manifest["splits"]["train"]["objects_found"] == 13
