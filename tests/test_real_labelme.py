"""LabelMe's own examples, against its drawing done by hand with Pillow, and against its own conversions of them.

They lie beside the repository and not with everybody (see `shared_data`); nothing is tested where they are missing.
"""

from __future__ import annotations

import base64
import io
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from maskflow_adapters.labelme import LabelmeAdapter, LabelmeOptions
from maskflow_convert import convert
from maskflow_convert.config import Config
from maskflow_convert.geometry import Rasteriser
from shared_data import SHARED

EXAMPLES = SHARED / "labelme/examples"
PORTRAITS = SHARED / "exif"

pytestmark = pytest.mark.real_data

IGNORED = "__ignore__"
STROKES = {"line_width": 10, "point_radius": 5}
"""What LabelMe draws when nothing else is said."""

# images, objects found, issues by code, of each folder on its own
FOLDERS: dict[str, tuple[int, int, dict[str, int]]] = {
    "bbox_detection/data_annotated": (3, 9, {}),
    "instance_segmentation/data_annotated": (3, 14, {"object-ignored": 2}),
    "primitives": (1, 8, {"object-without-area": 3}),
    "semantic_segmentation/data_annotated": (3, 18, {"object-ignored": 2}),
    "tutorial": (1, 4, {}),
    "video_annotation/data_annotated": (5, 15, {}),
}


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    found = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.json"))}
    return {path.relative_to(folder).as_posix(): each for path, each in found.items() if "shapes" in each}


def groups_by_hand(shapes: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for number, shape in enumerate(shapes):
        group = shape.get("group_id")
        groups.setdefault((shape["label"], group) if group is not None else number, []).append(shape)
    return [(members[0]["label"], members) for members in groups.values()]


def drawn_by_hand(shape: dict[str, Any], width: int, height: int) -> np.ndarray:
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    points = list(map(tuple, shape["points"]))
    kind = shape.get("shape_type")
    if kind == "mask":
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as patch:
            canvas.paste(patch.point(bool), tuple(map(int, points[0])))
    elif kind == "rectangle":
        draw.rectangle([tuple(map(min, *points)), tuple(map(max, *points))], outline=1, fill=1)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=1, width=10)
    elif kind in ("circle", "point"):
        radius = math.dist(*points) if kind == "circle" else 5
        x, y = points[0]
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
    else:
        draw.polygon(points, outline=1, fill=1)
    return np.asarray(canvas) != 0


def union_by_hand(shapes: list[dict[str, Any]], width: int, height: int) -> np.ndarray:
    return np.any([drawn_by_hand(shape, width, height) for shape in shapes], axis=0)


def config_of(output: Path, **options: Any) -> Config:
    return Config.model_validate(
        {
            "sources": [{"adapter": "labelme", "options": LabelmeOptions(**options)}],
            "on_error": "skip-object",
            "output": {"directory": output, "shuffle": None},
            "run": {"executor": "serial"},
        }
    )


def test_no_folder_is_left_out():
    assert {Path(key).parent.as_posix() for key in contents(EXAMPLES)} == set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_instance_has_the_pixels_of_labelme(name):
    folder = EXAMPLES / name
    adapter = LabelmeAdapter(LabelmeOptions(annotations=folder, **STROKES))
    entries = adapter.index().entries
    files = contents(folder)
    assert [entry.key for entry in entries] == list(files)
    for entry in entries:
        content = files[entry.key]
        width, height = content["imageWidth"], content["imageHeight"]
        expected = [group for group in groups_by_hand(content["shapes"]) if group[0] != IGNORED]
        instances = adapter.read(entry.record).instances
        assert [instance.label for instance in instances] == [label for label, _ in expected]
        for instance, (_, members) in zip(instances, expected, strict=True):
            found = Rasteriser(width, height).runs(instance.shape).to_dense()
            np.testing.assert_array_equal(found, union_by_hand(members, width, height))


@pytest.mark.parametrize(("name", "differ"), [("2011_000003", 0), ("2011_000006", 1), ("2011_000025", 0)])
def test_painted_one_over_the_other_they_are_labelmes_own_conversion(name, differ):
    """It numbers the instances as they begin, lets later shapes hide earlier ones, and leaves out what is ignored.

    In one pixel at the edge of a polygon, Pillow has changed its mind since.
    """
    home = EXAMPLES / "instance_segmentation"
    content = contents(home)[f"data_annotated/{name}.json"]
    width, height = content["imageWidth"], content["imageHeight"]
    groups = groups_by_hand(content["shapes"])
    painted = np.zeros((height, width), np.uint8)
    for shape in content["shapes"]:
        [number] = [at for at, (_, members) in enumerate(groups, start=1) if any(each is shape for each in members)]
        painted[drawn_by_hand(shape, width, height)] = 0 if shape["label"] == IGNORED else number
    with Image.open(home / f"data_dataset_voc/SegmentationObject/{name}.png") as image:
        assert (painted != np.asarray(image)).sum() == differ


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_converted(tmp_path, name):
    """Found is written and dropped, and each issue names the line of its shape."""
    report = convert(config_of(tmp_path / "out", annotations=EXAMPLES / name))
    images, objects, issues = FOLDERS[name]
    assert (report.total.images_found, report.total.images_written) == (images, images)
    assert (report.total.objects_found, report.total.objects_written) == (objects, objects - sum(issues.values()))
    assert report.total.adds_up
    expected = Counter(issues)
    listed = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text(encoding="utf-8").splitlines()]
    found = Counter(issue["code"] for issue in listed)
    assert found - Counter({"polygon-outside-image": found["polygon-outside-image"]}) == expected
    for issue in listed:
        content = json.loads(Path(issue["path"]).read_text(encoding="utf-8"))
        assert content["shapes"][int(issue["object"]) - 1]
        assert "{" in Path(issue["path"]).read_text(encoding="utf-8").split("\n")[issue["line"] - 1]


def test_all_examples_at_once_with_labels(tmp_path):
    """Labels that are not in the file are no class; COCO's file in a sub-folder is passed over."""
    path = EXAMPLES / "instance_segmentation/labels.txt"
    listed = path.read_text(encoding="utf-8").split("\n")
    report = convert(config_of(tmp_path / "out", annotations=EXAMPLES, labels=path))
    assert list(report.classes) == listed[2:]
    assert listed[:2] == [IGNORED, "_background_"]
    shapes = [shape for content in contents(EXAMPLES).values() for shape in content["shapes"]]
    unknown = [shape for shape in shapes if shape["label"] not in listed]
    undrawn = [shape for shape in unknown if shape["shape_type"] in ("line", "linestrip", "point")]
    expected = {
        "file-foreign": 1,
        "object-ignored": 4,
        "object-without-area": len(undrawn),
        "class-unknown": len(unknown) - len(undrawn),
    }
    counts = {code: number for (code, _), number in report.counts.items()}
    assert {code: counts[code] for code in expected} == expected
    assert report.total.images_written == sum(images for images, *_ in FOLDERS.values())


def test_an_embedded_image_is_read():
    """Its file names itself as the image."""
    sample = LabelmeAdapter(LabelmeOptions(annotations=EXAMPLES / "tutorial")).read("apc2016_obj3.json")
    assert sample.image.data is not None
    image, target = sample.to_numpy()
    with Image.open(EXAMPLES / "tutorial/apc2016_obj3/img.png") as expected:
        np.testing.assert_array_equal(image, np.asarray(expected.convert("RGB")).swapaxes(0, 1))
    with Image.open(EXAMPLES / "tutorial/apc2016_obj3/label.png") as label:
        numbers = np.asarray(label)
    np.testing.assert_array_equal(target["masks"].any(axis=0).T, numbers != 0)


@pytest.mark.parametrize("tag", range(9))
def test_points_are_those_of_the_picture_as_it_is_shown(tmp_path, tag):
    """Also where the size cannot tell, with orientations 2, 3 and 4."""
    name = f"Portrait_{tag}.jpg"
    shutil.copy(PORTRAITS / name, tmp_path / name)
    shape = {"label": "head", "points": [[500, 300], [700, 600]], "shape_type": "rectangle"}
    content = {"shapes": [shape], "imagePath": name, "imageData": None, "imageWidth": 1200, "imageHeight": 1800}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    sample = LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).read("a.json")
    image, target = sample.to_numpy()
    with Image.open(tmp_path / name) as stored:
        shown = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(image, shown.swapaxes(0, 1))
    assert np.argwhere(target["masks"][0]).min(axis=0).tolist() == [500, 300]
