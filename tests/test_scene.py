"""One scene in every format: all readers agree with what eyes see in `scene.txt`, and so do their records.

What a format cannot say is stated here: COCO has no `occluded`; only COCO numbers its images.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from maskflow_convert import Sample, convert, load_config
from maskflow_convert.errors import ConfigError
from maskflow_convert.prepare import prepare
from maskflow_convert.tfrecord import read_records

SCENE = Path(__file__).parent / "scene"


def _drawing() -> Any:
    spec = importlib.util.spec_from_file_location("draw_scene", SCENE / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


draw = _drawing()
PICTURES = draw.read_scene()

SOURCES = {
    "coco": {"annotations": "scene/coco/instances.json", "images": "scene/images"},
    "voc": {"root": "scene/voc", "images": "scene/images", "image_set": "Segmentation/scene"},
    "labelme": {"annotations": "scene/labelme", "images": "scene/images"},
    "shapes": {"count": 7, "seed": 3, "size": [44, 32]},
}
KEYS = {
    "coco": "shapes-{:06}.png",
    "voc": "shapes-{:06}",
    "labelme": "shapes-{:06}.json",
    "shapes": "shapes-{:06}.png",
}
SAYS_WHAT_IS_OCCLUDED = {"voc", "labelme", "shapes"}


def config_of(folder: Path, *formats: str, **changes: Any) -> Path:
    sources = [{"adapter": name, **SOURCES[name]} for name in formats]
    for source in sources:
        for key in ("annotations", "images", "root"):
            if key in source:
                source[key] = str(SCENE.parent / source[key])
    content = {"sources": sources, "classes": {"names": list(draw.LABELS)}, "output": {"directory": "out"}, **changes}
    path = folder / "scene.yaml"
    YAML().dump(content, path)
    return path


def samples_of(format_: str, folder: Path) -> list[Sample]:
    data_set = prepare(load_config(config_of(folder, format_)))
    assert list(data_set.issues()) == []
    [adapter] = data_set.adapters
    return [adapter.read(entry.record) for entry in adapter.index().entries]


@pytest.mark.parametrize("format_", SOURCES)
def test_every_reader_sees_the_scene(format_, tmp_path):
    samples = samples_of(format_, tmp_path)
    assert [sample.key for sample in samples] == [KEYS[format_].format(number) for number in range(7)]
    for sample, picture in zip(samples, PICTURES, strict=True):
        assert sample.issues == ()
        image, labels = sample.to_numpy(dict(zip(draw.LABELS, (1, 2, 3), strict=True)))
        np.testing.assert_array_equal(image, np.asarray(Image.open(SCENE / "images" / picture.name)).swapaxes(0, 1))
        assert [instance.label for instance in sample.instances] == [thing.label for thing in picture.things]
        assert labels["masks"].shape == (len(picture.things), 44, 32)
        for mask, thing in zip(labels["masks"], picture.things, strict=True):
            np.testing.assert_array_equal(mask, thing.mask.T)
        occluded = [instance.attributes.get("occluded") for instance in sample.instances]
        if format_ in SAYS_WHAT_IS_OCCLUDED:
            assert occluded == [thing.occluded for thing in picture.things]
        else:
            assert occluded == [None] * len(picture.things)
        assert not any(instance.crowd for instance in sample.instances)


@pytest.mark.parametrize("layout", ["documented", "rows_first"])
@pytest.mark.parametrize("format_", SOURCES)
def test_every_format_gives_the_same_records(format_, layout, tmp_path, judge):
    report = convert(config_of(tmp_path, format_, output={"directory": "out", "layout": layout, "shuffle": None}))
    assert report.counts == {}
    assert report.total.objects_written == sum(len(picture.things) for picture in PICTURES)
    records = list(read_records(tmp_path / "out/train-00000-of-00001.tfrecord"))
    assert len(records) == len(PICTURES)
    for number, (record, picture) in enumerate(zip(records, PICTURES, strict=True)):
        found = judge(record, layout)
        turned = layout == "documented"
        assert found.image_id == number
        assert found.basename == picture.name
        assert found.class_ids.tolist() == [draw.LABELS.index(thing.label) + 1 for thing in picture.things]
        masks = [thing.mask.T if turned else thing.mask for thing in picture.things]
        shape = (44, 32) if turned else (32, 44)
        np.testing.assert_array_equal(found.masks, np.reshape(masks, (len(masks), *shape)))
        pixels = np.asarray(Image.open(SCENE / "images" / picture.name))
        np.testing.assert_array_equal(found.image, pixels.swapaxes(0, 1) if turned else pixels)


def test_the_files_are_those_that_the_scene_makes(tmp_path):
    for name, write in {"coco": draw.write_coco, "voc": draw.write_voc, "labelme": draw.write_labelme}.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name, PICTURES)
        written = {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*") if path.is_file()}
        assert written == {path.relative_to(SCENE / name) for path in (SCENE / name).rglob("*") if path.is_file()}
        for path in written:
            ours, theirs = tmp_path / name / path, SCENE / name / path
            if path.suffix == ".png":
                np.testing.assert_array_equal(np.asarray(Image.open(ours)), np.asarray(Image.open(theirs)))
            elif name != "labelme":  # whose patches are PNGs, which another zlib writes otherwise
                assert ours.read_text() == theirs.read_text()


def test_the_same_images_from_several_sources_are_told_by_name(tmp_path):
    path = config_of(tmp_path, "coco", "voc", "labelme", image={"ids": "sequential"})
    issues = list(prepare(load_config(path)).issues())
    assert [(issue.code, issue.source, issue.record) for issue in issues] == [
        ("basename-duplicate", f"sources[{n}] ({format_})", KEYS[format_].format(number))
        for n, format_ in enumerate(["voc", "labelme"], start=1)
        for number in range(7)
    ]
    assert issues[0].message == "shapes-000000.png of sources[0] (coco) is called shapes-000000.png, too"
    report = convert(path)
    assert report.total.objects_written == 3 * sum(len(picture.things) for picture in PICTURES)


def test_two_sources_may_not_give_one_id_to_two_images(tmp_path):
    with pytest.raises(ConfigError) as caught:
        prepare(load_config(config_of(tmp_path, "coco", "coco")))
    told = str(caught.value)
    assert "shapes-000000.png of sources[0]" in told
    assert "shapes-000000.png of sources[1]" in told
    assert "`image.ids: sequential`" in told
