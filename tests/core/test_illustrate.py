"""Pictures are looked at where the object is: its yellow is told from everything else in these images."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.plugins.scripted import script
from maskflow_convert import convert, illustrate, load_config
from maskflow_convert.catalogue import Severity
from maskflow_convert.illustrate import BUDGET, PICTURES_OF_A_CODE, SIDE, Illustration, illustrate_records
from maskflow_convert.issues import Issue
from maskflow_convert.records import Records
from maskflow_convert.report import Report
from maskflow_convert.validation import prepare_validation, validate_data_set
from maskflow_convert.verify import verify
from nasty import write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


def pixels(illustration: Illustration) -> np.ndarray:
    assert illustration.jpeg is not None
    with Image.open(BytesIO(illustration.jpeg)) as image:
        assert image.size == (illustration.width, illustration.height)
        return np.asarray(image).astype(int)


def yellow(illustration: Illustration) -> np.ndarray:
    red, green, blue = np.moveaxis(pixels(illustration), -1, 0)
    return (red > 200) & (green > 170) & (blue < 90)


def illustrations_of(path: Path) -> tuple[Report, dict[Issue, Illustration]]:
    data_set = prepare_validation(path)
    report = validate_data_set(data_set)
    return report, dict(illustrate.illustrate(data_set, report))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    return illustrations_of(write_nasty_set(tmp_path_factory.mktemp("nasty")))


def first(found: tuple[Report, dict[Issue, Illustration]], code: str) -> Illustration | None:
    report, illustrations = found
    return illustrations.get(report.examples[code][0])


class TestAnnotations:
    @pytest.mark.parametrize("code", ["polygon-outside-image", "polygon-too-far", "polygon-too-few-points"])
    def test_object_is_drawn(self, nasty, code):
        assert yellow(first(nasty, code)).sum() > 50

    def test_box_is_drawn(self, nasty):
        assert yellow(first(nasty, "object-box-only")).any()

    def test_outside_is_shown(self, nasty):
        report, illustrations = nasty
        [issue] = [each for each in report.examples["mask-empty"] if each.object == "16"]
        assert "of 300 x 120 pixels" in illustrations[issue].caption

    @pytest.mark.parametrize("code", ["object-shape-missing", "mask-size-differs"])
    def test_object_that_cannot_be_drawn(self, nasty, code):
        illustration = first(nasty, code)
        assert illustration.caption.endswith("; the object itself cannot be drawn")
        assert not yellow(illustration).any()

    def test_image_of_another_size(self, nasty):
        assert first(nasty, "image-size-differs").caption == "80 x 200 pixels, enlarged 2 times"

    def test_image_of_sixteen_bits(self, nasty):
        picture = pixels(first(nasty, "image-depth-loss"))
        assert picture[:20, :20].mean() < 60
        assert picture[-20:, -20:].mean() > 200

    def test_missing_image_has_no_picture(self, nasty):
        assert first(nasty, "image-missing") is None

    def test_issue_without_an_image_has_none(self, nasty):
        assert first(nasty, "class-unused") is None

    def test_bounds(self, nasty):
        report, illustrations = nasty
        assert max(max(each.width, each.height) for each in illustrations.values()) <= SIDE
        for examples in report.examples.values():
            assert sum(issue in illustrations for issue in examples) <= PICTURES_OF_A_CODE

    def test_all_pictures_together(self, nasty, tmp_path, monkeypatch):
        monkeypatch.setattr(illustrate, "BUDGET", 1)
        _, illustrations = illustrations_of(write_nasty_set(tmp_path))
        assert len(illustrations) == 1
        assert sum(len(each.jpeg or b"") for each in nasty[1].values()) < BUDGET

    @pytest.mark.parametrize(
        ("picture", "caption"),
        [
            ({"fault": "raises"}, "no picture: ZeroDivisionError: as told"),
            ({"fault": "wrong-type"}, "no picture: AttributeError: 'dict' object has no attribute 'image'"),
        ],
    )
    def test_adapter_that_fails(self, tmp_path, picture, caption):
        found = illustrations_of(script(tmp_path, [{"key": "a.png", **picture}]))
        assert first(found, "adapter-failed") == Illustration(None, 0, 0, caption)

    @pytest.mark.parametrize("fault", ["broken", "unreadable", "missing"])
    def test_what_the_issue_says_already(self, tmp_path, fault):
        report, illustrations = illustrations_of(script(tmp_path, [{"key": "a.png", "fault": fault}]))
        assert report.found(Severity.ERROR)
        assert illustrations == {}

    def test_another_reason(self, tmp_path):
        data_set = prepare_validation(script(tmp_path, [{"key": "a.png", "fault": "unreadable"}]))
        report = Report()
        source = data_set.config.source_name(0)
        report.list_issues([Issue("image-alpha-dropped", "told so", source=source, record="a.png")])
        [illustration] = illustrate.illustrate(data_set, report).values()
        assert illustration.jpeg is None
        assert illustration.caption.startswith("no picture: the file is neither ")


class TestRecords:
    @pytest.fixture
    def written(self, tmp_path):
        convert(load_config(CONFIG, [f"output.directory={tmp_path}/out", "run.executor=serial"]))
        return tmp_path / "out"

    def pictures(self, folder: Path) -> tuple[Report, dict[Issue, Illustration]]:
        records = Records.find(folder)
        report = verify(records, workers=1)
        return report, dict(illustrate_records(records, report))

    def test_wrong_layout_is_seen(self, written):
        manifest = json.loads((written / "dataset.json").read_text())
        (written / "dataset.json").write_text(json.dumps({**manifest, "layout": "rows_first"}))
        report, wrong = self.pictures(written)
        (written / "dataset.json").write_text(json.dumps(manifest))
        records = Records.find(written)
        right = illustrate_records(records, report)
        assert len(right) == len(wrong) == PICTURES_OF_A_CODE
        assert any((pixels(right[issue]) != pixels(wrong[issue])).any() for issue in right)

    def test_record_behind_a_damaged_one(self, written):
        path = next(written.glob("train-*.tfrecord"))
        content = bytearray(path.read_bytes())
        content[200] ^= 255
        path.write_bytes(content)
        records = Records.find(written)
        report = Report()
        report.list_issues([Issue("record-image-differs", "told so", path=str(path), record="scene-101.png")])
        assert len(illustrate_records(records, report)) == 1

    def test_file_that_is_gone(self, written):
        path = next(written.glob("train-*.tfrecord"))
        path.unlink()
        report, illustrations = self.pictures(written)
        assert report.found(Severity.ERROR)
        assert illustrations == {}

    def test_record_that_is_not_there(self, written):
        path = next(written.glob("train-*.tfrecord"))
        report = Report()
        report.list_issues([Issue("record-image-differs", "told so", path=str(path), record="stranger.png")])
        assert illustrate_records(Records.find(written), report) == {}
