"""`init` writes a YAML that converts with no edit: for the scenes of the repository, and for real data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maskflow_convert.cli import main
from shared_data import REPOSITORY, SHARED


def converted(folder: Path, *flags: str) -> tuple[int, int]:
    """The images and the objects that are written by the YAML that `init` writes here."""
    assert main(["init", str(folder), "--output", "c.yaml", *flags]) == 0
    assert main(["convert", "c.yaml"]) == 0
    splits = json.loads(Path("c-records/dataset.json").read_text(encoding="utf-8"))["splits"].values()
    return sum(split["images_written"] for split in splits), sum(split["objects_written"] for split in splits)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working directory, which nothing is in."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("folder", "flags", "written"),
    [
        ("configs/shapes-coco", [], (12, 40)),  # without its crowd region
        ("configs/shapes-labelme", [], (4, 18)),
        ("configs/shapes-voc", [], (4, 14)),  # the four with masks
        ("configs", ["--all"], (20, 72)),
        ("tests/scene", ["--format", "coco"], (7, 21)),
        ("tests/scene", ["--format", "labelme"], (7, 21)),
        ("tests/scene", ["--format", "voc"], (7, 21)),
    ],
)
def test_scenes_of_the_repository(folder, flags, written):
    assert converted(REPOSITORY / folder, *flags) == written


@pytest.mark.parametrize("folder", ["configs", "tests/scene"])
def test_several_formats_are_not_chosen_from(folder, capsys):
    assert main(["init", str(REPOSITORY / folder)]) == 2
    assert "data sets in" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["polygons.json", "duplicates.json", "orphans.json", "images.json", "labelme", "voc"])
def test_bad_data_still_converts(part):
    """Faulty files of every kind, from which what is good is taken."""
    images, objects = converted(REPOSITORY / "tests/bad", "--only", part)
    assert images
    assert objects


REAL: list[tuple[str, list[str], tuple[int, int]]] = [
    ("coco-tiny", [], (100, 842)),  # 852 objects, of which 10 are crowd regions
    ("coco-panoptic", [], (2, 47)),  # 50, of which 3
    ("dsb2018", [], (19, 1104)),
    ("voc-segmentation", [], (24, 215)),
    ("voc-bccd", [], (42, 810)),  # as many as there are lines with <object>
    ("voc-fizyr", [], (2, 4)),  # one image, in both lists
    ("labelme/examples/instance_segmentation", ["--format", "labelme"], (3, 12)),
    ("labelme/examples/instance_segmentation", ["--format", "voc"], (3, 12)),
    ("labelme/examples/instance_segmentation", ["--only", "data_dataset_coco"], (3, 12)),
    ("labelme/examples/semantic_segmentation", [], (3, 16)),
    ("labelme/examples/bbox_detection", [], (3, 9)),
    ("labelme/examples/video_annotation", [], (5, 15)),
    ("labelme/examples/tutorial", [], (1, 4)),
    ("labelme/examples/primitives", [], (1, 5)),  # 8 shapes, of which 3 have no area
    ("labelme", ["--format", "labelme"], (16, 61)),
    ("datumaro-assets/coco_dataset/coco", [], (2, 1)),
    ("datumaro-assets/coco_dataset/coco_instances", [], (2, 1)),  # a mask, a crowd, and a box without a mask
    ("datumaro-assets/coco_dataset/coco_roboflow", [], (2, 1)),
    ("datumaro-assets/coco_dataset/coco_stuff", [], (2, 0)),  # two crowds
    ("datumaro-assets/coco_dataset/mmdet_coco", [], (2, 1)),
    ("datumaro-assets/voc_dataset/voc_dataset1", [], (1, 0)),  # two boxes, and a mask whose class nothing tells
    ("datumaro-assets/voc_dataset/voc_dataset3", [], (1, 1)),
    ("labelformat-fixtures/object_detection/COCO", [], (2, 16)),
]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "flags", "written"), REAL, ids=[" ".join((name, *flags)) for name, flags, _ in REAL]
)
def test_real_data(folder, flags, written):
    assert converted(SHARED / folder, *flags) == written


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "flags", "objects"),
    [
        ("taco-annotations", [], 4784),
        ("labelformat-fixtures/object_detection/PascalVOC", [], 16),
        ("labelformat-fixtures/instance_segmentation/COCO", ["--only", "instances.json"], 3),
    ],
)
def test_real_annotations_without_images(folder, flags, objects, capsys):
    assert main(["init", str(SHARED / folder), "--output", "c.yaml", *flags]) == 0
    assert "Not one image was found" in capsys.readouterr().out
    assert main(["convert", "c.yaml", "--dry-run"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()[:4]]
    assert sum(count(row[3]) for row in table if row and row[0] in ("train", "val")) == objects


def count(text: Any) -> int:
    return int(text.replace(",", ""))


NONE = [
    "edge",  # single images and XML files
    "exif",  # photographs
    "microscopy",  # a label image, for the example of an adapter
    "datumaro-assets/coco_dataset/coco_captions",
    "datumaro-assets/coco_dataset/coco_image_info",
    "datumaro-assets/coco_dataset/coco_labels",
    "datumaro-assets/coco_dataset/coco_panoptic",
    "datumaro-assets/coco_dataset/coco_person_keypoints",  # without masks
    "datumaro-assets/labelme_dataset",  # XML of the older LabelMe
    "labelformat-fixtures/image_file_loading",
    "labelformat-fixtures/instance_segmentation/YOLOv8",
    "labelformat-fixtures/object_detection/KITTI",
    "labelformat-fixtures/object_detection/Labelbox",
    "labelformat-fixtures/object_detection/YOLOv8",
    "labelformat-fixtures/object_detection/lightly",
    "labelformat-fixtures/semantic_segmentation",
]
"""What no installed adapter reads; with the lists above, all that there is."""


@pytest.mark.real_data
@pytest.mark.parametrize("folder", NONE)
def test_what_is_no_data_set_of_ours(folder, capsys):
    assert main(["init", str(SHARED / folder)]) == 4
    assert "holds no data set that an installed adapter recognises" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
