"""Found is written and dropped, in every split and every shard; what is dropped and not told of is a fault of ours."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core.plugins.scripted import png, records
from maskflow_convert import convert, load_config, rehearse
from maskflow_convert.cli import main
from maskflow_convert.errors import MaskflowError
from maskflow_convert.examine import Examiner
from maskflow_convert.output import Existing
from maskflow_convert.shard import convert_shard

GOOD = {"category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]}
DROPPED = {
    "object-crowd": {**GOOD, "iscrowd": 1},
    "polygon-too-few-points": {**GOOD, "segmentation": [[1, 1, 5, 1]]},
    "mask-empty": {**GOOD, "segmentation": [[20, 20, 25, 20, 25, 25]]},
    "annotation-broken": {**GOOD, "segmentation": 7},
    "category-unknown": {**GOOD, "category_id": 2},
    "object-lost-with-image": {**GOOD, "image_id": 99},
    "annotation-orphaned": {**GOOD, "image_id": 1000},
}
"""An annotation that is dropped for each of these; image 99 is listed twice, and its second entry is dropped."""


def write_source(folder: Path, images: int, *, missing: int) -> None:
    """Images of one good object, one of each fault that an object can have, and one good one more in every second.

    The files of the first `missing` images are missing.
    """
    (folder / "images").mkdir(parents=True)
    entries = [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 6} for n in range(images)]
    annotations = []
    for number in range(images):
        faults = [{"image_id": number, **fault} for fault in DROPPED.values()]
        good = [{"image_id": number, **GOOD}] * (1 + number % 2)
        annotations += [{"id": 100 * number + i, **each} for i, each in enumerate([*faults, *good])]
        if number >= missing:
            (folder / f"images/{number}.png").write_bytes(png())
    entries.append({"id": 99, "file_name": "0.png"})
    lists = {"images": entries, "annotations": annotations, "categories": [{"id": 1, "name": "disc"}]}
    (folder / "instances.json").write_text(json.dumps(lists))


@pytest.fixture
def config(tmp_path) -> Path:
    """Nine images in train, of which two are missing, and five in val, of which one is; shards of two images."""
    for split, images, missing in (("train", 9, 2), ("val", 5, 1)):
        write_source(tmp_path / split, images, missing=missing)
    tree = {
        "sources": [
            {"adapter": "coco", "annotations": f"{split}/instances.json", "images": f"{split}/images", "split": split}
            for split in ("train", "val")
        ],
        "image": {"ids": "sequential"},
        "on_error": "skip-object",
        "output": {"directory": "out", "shard_size": "2 images"},
        "run": {"executor": "serial"},
    }
    (tmp_path / "c.yaml").write_text(json.dumps(tree))
    return tmp_path / "c.yaml"


IN_THEIR_IMAGE = len(DROPPED) - 2  # the others belong to no image that is there


class TestFigures:
    @pytest.mark.parametrize(
        ("split", "images", "missing", "written"),
        [("train", 9, 2, 7 + 3), ("val", 5, 1, 4 + 2)],  # images 2 to 8, of which 3, 5, 7 have two; 1 to 4, 1 and 3
    )
    def test_of_each_split(self, config, tmp_path, split, images, missing, written):
        convert(config)
        counts = json.loads((tmp_path / "out/dataset.json").read_text())["splits"][split]
        good = images + images // 2
        whole = images - missing
        assert (counts["images_found"], counts["images_written"]) == (images, whole)
        assert counts["images_dropped"] == {"image-missing": missing}
        assert (counts["objects_found"], counts["objects_written"]) == (images * IN_THEIR_IMAGE + good, written)
        lost = good - written + missing * IN_THEIR_IMAGE
        own = {code: whole for code in DROPPED if code not in ("object-lost-with-image", "annotation-orphaned")}
        assert counts["objects_dropped"] == {**own, "object-lost-with-image": lost}
        shards = [records(path) for path in (tmp_path / "out").glob(f"{split}-*.tfrecord")]
        assert sum(map(len, shards)) == whole
        assert sum(record["image/n_objects"][0] for shard in shards for record in shard) == written

    def test_of_what_has_no_split(self, config, tmp_path):
        convert(config)
        counts = json.loads((tmp_path / "out/dataset.json").read_text())["unplaced"]
        assert counts["images_dropped"] == {"image-key-duplicate": 2}
        assert counts["objects_dropped"] == {"object-lost-with-image": 14, "annotation-orphaned": 14}

    def test_every_object_that_was_dropped_is_named_once(self, config, tmp_path):
        convert(config)
        lines = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text().splitlines()]
        named = [(line["source"], line["object"]) for line in lines if line["loss"] == "object"]
        expected = []
        for source, split, missing in (("sources[0] (coco)", "train", 2), ("sources[1] (coco)", "val", 1)):
            annotations = json.loads((tmp_path / split / "instances.json").read_text())["annotations"]
            for each in annotations:
                image, position = divmod(each["id"], 100)
                if image < missing or position < len(DROPPED):
                    expected.append((source, str(each["id"])))
        assert sorted(named) == sorted(expected)
        images = Counter((line["source"], line["record"]) for line in lines if line["loss"] == "image")
        assert images == Counter(
            [("sources[0] (coco)", "0.png")] * 2  # the file is missing, and listed twice
            + [("sources[0] (coco)", "1.png")]
            + [("sources[1] (coco)", "0.png")] * 2
        )

    def test_of_each_shard(self, config, tmp_path):
        convert(config)
        reports = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*-of-*.json")]
        assert len(reports) == 5 + 3
        for report in reports:
            counts = report["counts"]
            for kind in ("image", "object"):
                losses = Counter(issue["code"] for issue in report["issues"] if issue["loss"] == kind)
                assert counts[f"{kind}s_dropped"] == losses
                assert counts[f"{kind}s_found"] == counts[f"{kind}s_written"] + losses.total()
            assert counts["images_written"] == len(report["records"])
            assert counts["objects_written"] == sum(record["objects"] for record in report["records"])


def forgets_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is written is not counted."""
    written = Examiner.written

    def count(examiner, examined, *rest):
        written(examiner, examined, *rest)
        examiner.tally.objects_written -= examined.item.entry.key == "3.png"

    monkeypatch.setattr(Examiner, "written", count)


def counts_and_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an object that is dropped, nothing is listed."""
    note = Examiner._note

    def keep_quiet(examiner, item, issue):
        note(examiner, item, issue)
        if issue.object == "301":
            examiner.issues.pop()

    monkeypatch.setattr(Examiner, "_note", keep_quiet)


def tells_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an object that is dropped, nothing is counted, neither as found nor as dropped."""
    note = Examiner._note

    def miscount(examiner, item, issue):
        before = replace(examiner.tally, objects_dropped=examiner.tally.objects_dropped.copy())
        note(examiner, item, issue)
        if issue.object == "301":
            examiner.tally = before

    monkeypatch.setattr(Examiner, "_note", miscount)


def loses_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all is said of one."""
    examine = Examiner.examine
    monkeypatch.setattr(
        Examiner,
        "examine",
        lambda examiner, item, look: None if item.entry.key == "3.png" else examine(examiner, item, look),
    )


def forgets_what_an_adapter_cannot_express(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such objects are neither counted nor listed."""
    monkeypatch.setattr(Examiner, "_unexpressed", lambda examiner, sample: iter(()))


def forgets_an_object_of_an_image_that_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    lose = Examiner._lose_image
    monkeypatch.setattr(
        Examiner, "_lose_image", lambda examiner, item, objects, reason: lose(examiner, item, objects[1:], reason)
    )


BROKEN = [
    forgets_an_object,
    counts_and_does_not_tell,
    tells_and_does_not_count,
    loses_an_image,
    forgets_what_an_adapter_cannot_express,
    forgets_an_object_of_an_image_that_is_dropped,
]


class TestFaultOfTheProgram:
    @pytest.mark.parametrize("break_it", BROKEN)
    def test_stops_the_run(self, config, tmp_path, monkeypatch, capsys, break_it):
        """Before the shard is done; so that nothing of it is left, and the run can go on when the fault is mended."""
        with monkeypatch.context() as broken:
            break_it(broken)
            assert main(["convert", str(config)]) == 1
            told = capsys.readouterr().err
            assert told.count("\n") == 1
            assert "the counts do not add up, which is a fault of this program" in told
            if break_it is not forgets_an_object_of_an_image_that_is_dropped:  # a rehearsal opens none, and drops none
                with pytest.raises(MaskflowError, match="do not add up"):
                    rehearse(config)
        shard = told.split(": ")[1]
        left = {path.name for path in (tmp_path / "out").iterdir()}
        assert not left & {"dataset.json", f"{shard}.tfrecord", f"{shard}.json", f"{shard}.tfrecord.partial"}
        convert(config, existing=Existing.RESUME)
        found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name != "config.yaml"}
        convert(load_config(config, [f"output.directory={tmp_path}/undisturbed"]))
        assert found == {
            path.name: path.read_bytes() for path in (tmp_path / "undisturbed").iterdir() if path.name != "config.yaml"
        }

    def test_one_split_too_many_and_another_too_few(self, config, tmp_path, monkeypatch):
        """The sum of all is right."""

        def mistake(*arguments):
            result = convert_shard(*arguments)
            return replace(result, split="val") if result.file.name.startswith("train-00001") else result

        monkeypatch.setattr("maskflow_convert.pipeline.convert_shard", mistake)
        with pytest.raises(MaskflowError, match=r"(train|val): the counts do not add up"):
            convert(config)
        assert not (tmp_path / "out/dataset.json").exists()
