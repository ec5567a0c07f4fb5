"""`image.max_pixels`: an image of more pixels is refused wherever images are opened or their size is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import maskflow_convert
from maskflow_convert import Frame, convert, illustrate, load_config
from maskflow_convert.config import Config
from maskflow_convert.errors import ImageError
from maskflow_convert.image import ImageSettings
from maskflow_convert.pipeline import rehearse
from maskflow_convert.prepare import prepare
from maskflow_convert.preview import Choice, preview_annotations
from maskflow_convert.report import Report
from maskflow_convert.validation import Images, prepare_validation, validate_data_set

TOLD = "the image has 7 x 7 pixels; the most that is read is 48 (`image.max_pixels`), 1,048,576 a side"
REFUSED = {"image-too-large": TOLD, "object-lost-with-image": "its image was dropped: image-too-large"}


def config_of(folder: Path, *overrides: str, sizes: bool) -> Config:
    """Two images with an object each, of 8 x 6 and of 7 x 7 pixels; the annotation says so, or does not."""
    tree = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cell"}]}
    for number, (width, height) in enumerate([(8, 6), (7, 7)]):
        Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 20).save(folder / f"{number}.png")
        size = {"width": width, "height": height} if sizes else {}
        tree["images"].append({"id": number, "file_name": f"{number}.png", **size})
        polygon = {"category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}
        tree["annotations"].append({"id": number, "image_id": number, **polygon})
    (folder / "a.json").write_text(json.dumps(tree))
    content = {
        "sources": [{"adapter": "coco", "annotations": "a.json"}],
        "image": {"max_pixels": 48},
        "on_error": "skip-object",
        "output": {"directory": "out"},
        "run": {"executor": "serial"},
    }
    (folder / "c.yaml").write_text(json.dumps(content))
    return load_config(folder / "c.yaml", overrides)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def about_the_second(report: Report) -> dict[str, str]:
    return {
        code: issue.message for code, issues in report.examples.items() for issue in issues if issue.record == "1.png"
    }


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("overrides", [(), ("issues.image-uniform=error",)], ids=["as a rule", "closely"])
def test_of_a_conversion(tmp_path, sizes, overrides):
    convert(config_of(tmp_path, *overrides, sizes=sizes))
    [split] = json.loads((tmp_path / "out/dataset.json").read_text())["splits"].values()
    assert (split["images_written"], split["images_dropped"]) == (1, {"image-too-large": 1})
    assert (split["objects_written"], split["objects_dropped"]) == (1, {"object-lost-with-image": 1})
    issues = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text().splitlines()]
    assert {issue["code"]: issue["message"] for issue in issues} == REFUSED


@pytest.mark.parametrize("sizes", [True, False])
def test_of_a_rehearsal(tmp_path, sizes):
    assert about_the_second(rehearse(config_of(tmp_path, sizes=sizes))) == REFUSED


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("images", Images)
def test_of_a_validation_and_its_pictures(tmp_path, sizes, images):
    data_set = prepare_validation(config_of(tmp_path, sizes=sizes))
    report = validate_data_set(data_set, images=images)
    assert about_the_second(report) == REFUSED
    pictures = illustrate.illustrate(data_set, report)
    assert {issue.record for issue, picture in pictures.items() if picture.jpeg} <= {"0.png"}


def test_of_a_preview(tmp_path):
    config = config_of(tmp_path, sizes=True)
    assert [preview.name for preview in preview_annotations(config, Choice())] == ["0.png"]


@pytest.mark.parametrize("frame", [None, *Frame])
@pytest.mark.parametrize("origin", ["path", "data"])
def test_of_a_size_in_either_frame(tmp_path, frame, origin):
    path = tmp_path / "lying.png"
    Image.new("L", (8, 6)).save(path, exif=exif_of(6))
    image = maskflow_convert.Image(frame=frame, **{origin: path if origin == "path" else path.read_bytes()})
    assert image.measure(ImageSettings(max_pixels=48)) == ((6, 8) if frame is Frame.SHOWN else (8, 6))
    with pytest.raises(ImageError, match=r"8 x 6 pixels; the most that is read is 47 \(`image.max_pixels`\)"):
        image.measure(ImageSettings(max_pixels=47))


def test_a_message_names_no_setting_that_was_not_set(tmp_path):
    config = config_of(tmp_path, "image.max_pixels=536870912", sizes=True)
    assert config.image.limit.set_by == ""
    assert [len(entries.entries) for entries in prepare(config).indexes] == [2]
    assert about_the_second(rehearse(config)) == {}
