"""A broken data set of Pascal VOC through the command line: what is written, what is listed, what is said.

The files are in `tests/bad/voc`; what is wrong with each is in the README of `tests/bad`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.cli import main

BAD = Path(__file__).parent / "bad"
VOC = BAD / "voc"

# [code, record, object, file, line] of each issue when faulty objects are skipped.
LIST = "ImageSets/Main/all.txt"
ISSUES = [
    ["image-missing", "nowhere", None, LIST, 14],
    ["image-outside-folder", "../../images/narrow", None, LIST, 15],
    ["image-outside-folder", "/etc/hostname", None, LIST, 16],
    ["image-key-duplicate", "good", None, LIST, 17],
    ["origin-suspect", "other", None, "Annotations/other.xml", 12],
    ["annotation-broken", "other", "2", "Annotations/other.xml", 3],
    ["object-shape-missing", "other", "3", "Annotations/other.xml", 4],
    ["annotation-broken", "other", "4", "Annotations/other.xml", 5],
    ["annotation-broken", "other", "5", "Annotations/other.xml", 6],
    ["annotation-broken", "other", "12", "Annotations/other.xml", 13],
    ["box-invalid", "other", "6", "Annotations/other.xml", 7],
    ["box-invalid", "other", "7", "Annotations/other.xml", 8],
    ["box-invalid", "other", "8", "Annotations/other.xml", 9],
    ["mask-empty", "other", "9", "Annotations/other.xml", 10],
    ["mask-empty", "other", "10", "Annotations/other.xml", 11],
    ["objects-masks-disagree", "third", None, "Annotations/third.xml", 1],
    ["object-class-missing", "third", "4", "SegmentationObject/third.png", None],
    ["record-broken", "truncated", None, "Annotations/truncated.xml", 4],
    ["record-broken", "other-root", None, "Annotations/other-root.xml", 2],
    ["record-broken", "bomb", None, "Annotations/bomb.xml", 1],
    ["record-broken", "external", None, "Annotations/external.xml", 1],
    ["record-broken", "dtd", None, "Annotations/dtd.xml", 2],
    ["record-broken", "deep", None, "Annotations/deep.xml", 2],
    ["record-broken", "empty", None, "Annotations/empty.xml", 1],
    ["record-broken", "size", None, "Annotations/size.xml", 2],
    ["mask-unreadable", "cut", None, "SegmentationObject/cut.png", None],
    ["mask-size-differs", "small", None, "SegmentationClass/small.png", None],
]

CAT, DOG = 1, 2
FEATURES = {
    **{f"image/{name}": tf.io.FixedLenFeature([], tf.int64) for name in ("width", "height", "n_objects")},
    "image/basename": tf.io.FixedLenFeature([], tf.string),
    **{f"image/{name}": tf.io.VarLenFeature(tf.int64) for name in ("masks_indices", "class_ids")},
}


def arguments(output: Path, on_error: str, *more: str) -> list[str]:
    settings = (f"on_error={on_error}", *more)
    words = [word for setting in settings for word in ("--set", setting)]
    return ["convert", str(VOC / "voc.yaml"), "--output", str(output), *words]


def issues_of(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / "issues.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", name="converted")
def converted_fixture(tmp_path_factory):
    output = tmp_path_factory.mktemp("bad-voc") / "out"
    assert main(arguments(output, "skip-object")) == 0
    return output


def test_every_file_has_its_place():
    listed = (VOC / LIST).read_text(encoding="utf-8").splitlines()
    assert {path.stem for path in (VOC / "Annotations").glob("*.xml")} <= set(listed)
    told = (BAD / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in VOC.rglob("*.*") if f"`{path.name}`" not in told] == []


def test_each_fault_is_listed_where_it_is(converted):
    issues = issues_of(converted)
    rows = [
        [issue["code"], issue["record"], issue["object"], str(Path(issue["path"]).relative_to(VOC)), issue["line"]]
        for issue in issues
    ]
    assert rows == ISSUES
    assert {issue["source"] for issue in issues} == {"sources[0] (voc)"}


def test_found_is_written_and_dropped(converted):
    manifest = json.loads((converted / "dataset.json").read_text(encoding="utf-8"))
    losses = Counter(issue["loss"] for issue in issues_of(converted))
    counts = [manifest["unplaced"], *manifest["splits"].values()]
    for kind, found in (("image", 16), ("object", 20)):
        assert sum(count[f"{kind}s_found"] for count in counts) == found
        assert sum(count[f"{kind}s_written"] for count in counts) == found - losses[kind]


def test_what_is_good_is_written(converted):
    records = {}
    for raw in tf.data.TFRecordDataset(sorted(map(str, converted.glob("*.tfrecord")))):
        parsed = tf.io.parse_single_example(raw, FEATURES)
        shape = [parsed[f"image/{name}"] for name in ("n_objects", "width", "height")]
        triples = tf.reshape(parsed["image/masks_indices"].values, [-1, 3])
        masks = tf.sparse.to_dense(tf.sparse.SparseTensor(triples, tf.ones(len(triples), tf.uint8), shape))
        found = (parsed["image/class_ids"].values.numpy().tolist(), masks.numpy().transpose(0, 2, 1))
        records[parsed["image/basename"].numpy().decode()] = found
    assert records.keys() == {"good.png", "other.png", "third.png"}

    def numbers(home: str, name: str) -> np.ndarray:
        return np.asarray(Image.open(VOC / home / name))

    def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        mask = np.zeros((6, 8), np.uint8)
        mask[y0:y1, x0:x1] = 1
        return mask

    expected = {
        "good.png": ([CAT], [numbers("SegmentationObject", "good.png") == 1]),
        "other.png": ([CAT, DOG], [box(1, 1, 4, 5), box(0, 0, 8, 6)]),
        "third.png": (
            [CAT, DOG, DOG, DOG, CAT, CAT],
            [
                *(numbers("SegmentationObject", "third.png") == number for number in (1, 2, 3)),
                *(box(0, 0, 2, 2), box(4, 0, 6, 2), box(0, 5, 8, 6)),
            ],
        ),
    }
    for name, (class_ids, masks) in expected.items():
        assert records[name][0] == class_ids, name
        np.testing.assert_array_equal(records[name][1], masks, name)


def test_nothing_of_the_secret_gets_out(converted):
    secret = (VOC / "Annotations/secret.txt").read_bytes().strip()
    assert [path for path in converted.iterdir() if secret in path.read_bytes()] == []


STOPPING = [
    code
    for code in dict.fromkeys(row[0] for row in ISSUES)
    if CATALOGUE[code].severity is Severity.ERROR and code != "image-key-duplicate"  # of a list, it is a warning
]


@pytest.mark.parametrize("code", STOPPING)
def test_stopping_says_where(tmp_path, monkeypatch, capsys, code):
    """With all other faults taken for warnings, so that each of them is once the one that stops."""
    settings = f"issues={{{', '.join(f'{other}: warning' for other in STOPPING if other != code)}}}"
    monkeypatch.chdir(BAD)
    assert main(arguments(tmp_path / "out", "stop", settings)) == 1
    message, remedy = capsys.readouterr().err.strip().splitlines()
    _, record, number, file, line = next(row for row in ISSUES if row[0] == code)
    place = f"voc/{file}:{line}" if line else f"voc/{file}"
    named = "" if number is None else f", object {number}"
    assert message.startswith(f"maskflow-convert: error: {place}: image {record}{named}: ")
    assert (message.endswith(f" [{code}]"), remedy.strip()) == (True, CATALOGUE[code].remedy)


@pytest.mark.parametrize("on_error", ["stop", "skip-object", "skip-image"])
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("root=nowhere", "voc/nowhere: there is no such folder"),
        ("image_set=Main/al", "voc/ImageSets: has no list 'Main/al'; did you mean 'Main/all'?"),
        ("image_set=gone.txt", "voc/gone.txt: cannot be read: No such file or directory"),
        ("labels=ImageSets", "voc/ImageSets: cannot be read: Is a directory"),
        ("root=ImageSets", "voc/ImageSets: there is no annotation file and no instance mask"),
    ],
)
def test_a_source_that_cannot_be_read_stops_whatever_the_policy(tmp_path, monkeypatch, capsys, on_error, setting, told):
    monkeypatch.chdir(BAD)
    assert main(arguments(tmp_path / "out", on_error, f"sources[0].{setting}")) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith(f"maskflow-convert: {told}")
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not (tmp_path / "out").exists()


def test_the_faults_are_the_same_from_several_processes(tmp_path, converted):
    more = ("run.executor=processes", "run.workers=2", "output.shard_size=4 images")
    assert main(arguments(tmp_path / "out", "skip-object", *more)) == 0
    assert issues_of(tmp_path / "out") == issues_of(converted)
