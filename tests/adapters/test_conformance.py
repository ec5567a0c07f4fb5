"""The built-in adapters keep the contract that every adapter is held to."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskflow_adapters.coco import CocoAdapter, CocoOptions
from maskflow_adapters.labelme import LabelmeAdapter, LabelmeOptions
from maskflow_adapters.shapes import EMPTY_EVERY, ShapesAdapter, ShapesOptions, compose
from maskflow_adapters.voc import VocAdapter, VocOptions
from maskflow_convert.testing import AdapterConformance


class TestShapes(AdapterConformance):
    test_a_fault_is_told_with_its_place = None  # it reads nothing that could have a fault

    @pytest.fixture
    def adapter(self):
        return ShapesAdapter(ShapesOptions(count=EMPTY_EVERY, seed=3, size=(40, 32)))

    @pytest.fixture
    def expected(self):
        """Of each figure, what the later ones leave to be seen."""
        images: dict[str, list[tuple[str, np.ndarray]]] = {}
        for number in range(EMPTY_EVERY - 1):
            figures = compose(np.random.default_rng((3, number)), 40, 32)
            masks = [figure.mask(40, 32) for figure in figures]
            seen = [mask & ~np.any([False & mask, *masks[n + 1 :]], axis=0) for n, mask in enumerate(masks)]
            images[f"shapes-{number:06}.png"] = [(f.label, m) for f, m in zip(figures, seen, strict=True) if m.any()]
        return {**images, f"shapes-{EMPTY_EVERY - 1:06}.png": []}


COCO = {
    "images": [{"id": 7, "file_name": "b.png"}, {"id": 3, "file_name": "folder/a.png", "width": 5, "height": 4}],
    "categories": [{"id": 0, "name": "cell"}, {"id": 90, "name": "nucleus"}],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 0, "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]], "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 90, "segmentation": {"size": [4, 5], "counts": [0, 2, 13, 5]}},
        {"id": 3, "image_id": 3, "category_id": 90, "segmentation": {"size": [4, 5], "counts": [20]}, "iscrowd": 1},
        {"id": 4, "image_id": 3, "category_id": 0, "bbox": [0, 2, 2, 1]},
    ],
}
COCO_FAULTS = {
    "no JSON": "{",
    "a broken annotation": {**COCO, "annotations": [{"id": 1, "image_id": 3, "category_id": 0}]},
    "an orphaned annotation": {**COCO, "annotations": [{"id": 1, "image_id": 99, "category_id": 0}]},
}


class TestCoco(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path):
        (tmp_path / "folder").mkdir()
        for name in ("b.png", "folder/a.png"):
            Image.new("RGB", (5, 4)).save(tmp_path / name)
        return coco(tmp_path, COCO)

    @pytest.fixture
    def expected(self):
        instances = [
            ("cell", "..... .###. .###. ....."),
            ("nucleus", "#...# #...# ....# ...##"),
            ("nucleus", "..... ..... ..... ....."),
            ("cell", "..... ..... ##... ....."),
        ]
        return {"b.png": [], "folder/a.png": instances}

    @pytest.fixture(params=COCO_FAULTS.values(), ids=list(COCO_FAULTS))
    def broken(self, tmp_path, request):
        return coco(tmp_path, request.param)


def coco(folder: Path, content: Any) -> CocoAdapter:
    path = folder / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return CocoAdapter(CocoOptions(annotations=path))


SA1B = {
    "sa_0/a.json": {
        "image": {"image_id": 7, "width": 5, "height": 4, "file_name": "a.png"},
        "annotations": [
            {"id": 1, "segmentation": {"size": [4, 5], "counts": "02=3"}, "predicted_iou": 0.9},
            {"id": 2, "segmentation": {"size": [4, 5], "counts": "d0"}, "predicted_iou": 0.9},
        ],
    },
    "sa_1/b.json": {"image": {"image_id": 8, "width": 5, "height": 4, "file_name": "b.png"}, "annotations": []},
}
PLAIN = {
    f"{name}.json": {**COCO, "images": [{"id": 3, "file_name": f"{name}.png", "width": 5, "height": 4}]}
    for name in "ab"
}
FOLDERS = {
    "of SA-1B": (
        SA1B,
        {"label": "object"},
        {
            "sa_0/a.json": [("object", "#...# #...# ....# ...##"), ("object", "..... ..... ..... .....")],
            "sa_1/b.json": [],
        },
    ),
    "with categories": (
        PLAIN,
        {},
        {
            f"{name}.json": [
                ("cell", "..... .###. .###. ....."),
                ("nucleus", "#...# #...# ....# ...##"),
                ("nucleus", "..... ..... ..... ....."),
                ("cell", "..... ..... ##... ....."),
            ]
            for name in "ab"
        },
    ),
}
FOLDER_FAULTS = {
    "no JSON": "{",
    "a broken annotation": {**PLAIN["a.json"], "annotations": [{"id": 1, "category_id": 0}]},
    "an annotation of another image": {**PLAIN["a.json"], "annotations": [{"id": 1, "image_id": 99, "category_id": 0}]},
    "several images": COCO,
    "no image": {"annotations": []},
}


class TestCocoFolder(AdapterConformance):
    @pytest.fixture(params=FOLDERS.values(), ids=list(FOLDERS))
    def data(self, request):
        return request.param

    @pytest.fixture
    def adapter(self, tmp_path, data):
        files, options, _ = data
        return coco_folder(tmp_path, files, **options)

    @pytest.fixture
    def expected(self, data):
        return data[2]

    @pytest.fixture(params=FOLDER_FAULTS.values(), ids=list(FOLDER_FAULTS))
    def broken(self, tmp_path, request, data):
        return coco_folder(tmp_path, {"a.json": request.param}, **data[1])


def coco_folder(folder: Path, files: dict[str, Any], **options: str) -> CocoAdapter:
    """Files, and beside each an image of its name."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        Image.new("RGB", (5, 4)).save(path.with_suffix(".png"))
    return CocoAdapter(CocoOptions(annotations=folder, **options))


VOC_OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
VOC_FILE = "<annotation><size><width>6</width><height>4</height></size>{}</annotation>"
VOC_FAULTS = {
    "no XML": "<annotation>",
    "no name": "<annotation><object><bndbox/></object></annotation>",
    "no box": "<annotation><object><name>cat</name></object></annotation>",
    "a box of words": VOC_FILE.format(VOC_OBJECT.format("cat", "a", "b", "c", "d")),
}


class TestVoc(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path):
        """Two objects with masks and a void pixel between them; one with a box; an image with nothing."""
        numbers = [[0, 0, 0, 0, 0, 2], [0, 1, 1, 1, 255, 2], [0, 1, 1, 1, 0, 0], [0] * 6]
        classes = [[{1: 15, 2: 8}.get(number, number) for number in row] for row in numbers]
        masked = VOC_OBJECT.format("person", 2, 2, 4, 3) + VOC_OBJECT.format("cat", 6, 1, 6, 2)
        texts = {"a": masked, "b": VOC_OBJECT.format("cat", 1, 1, 2, 3), "c": ""}
        draw_voc(tmp_path, {name: VOC_FILE.format(text) for name, text in texts.items()})
        for folder, values in (("SegmentationObject", numbers), ("SegmentationClass", classes)):
            mask = Image.fromarray(np.array(values, np.uint8), "L")
            mask.putpalette([value // 2 for value in range(256) for _ in range(3)])
            (tmp_path / folder).mkdir()
            mask.save(tmp_path / folder / "a.png")
        return VocAdapter(VocOptions(root=tmp_path))

    @pytest.fixture
    def expected(self):
        return {
            "a": [("person", "...... .###.. .###.. ......"), ("cat", ".....# .....# ...... ......")],
            "b": [("cat", "##.... ##.... ##.... ......")],
            "c": [],
        }

    @pytest.fixture(params=VOC_FAULTS.values(), ids=list(VOC_FAULTS))
    def broken(self, tmp_path, request):
        draw_voc(tmp_path, {"a": request.param})
        return VocAdapter(VocOptions(root=tmp_path))


def draw_voc(root: Path, annotations: dict[str, str]) -> None:
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).mkdir()
    for name, text in annotations.items():
        Image.new("RGB", (6, 4)).save(root / f"JPEGImages/{name}.jpg")
        (root / f"Annotations/{name}.xml").write_text(text)


LABELME_FAULTS = {
    "no JSON": "{",
    "a list": "[]",
    "no image": {"shapes": [], "imagePath": None, "imageData": None},
    "no points": {"shapes": [{"label": "cat", "shape_type": "polygon"}]},
}


class TestLabelme(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path):
        """Every corner of a polygon and a rectangle belongs to it; a group of two is one object."""
        patch = io.BytesIO()
        Image.fromarray(np.array([[True, False, True]])).save(patch, "PNG")
        (tmp_path / "sub").mkdir()
        shapes = [
            shape("cat", "polygon", [[1, 1], [3, 1], [3, 2], [1, 2]]),
            shape("dog", "rectangle", [[5, 3], [4, 2]], group_id=1),
            shape("dog", "polygon", [[0, 3], [1, 3], [1, 3]], group_id=1),
            shape("cat", "mask", [[2, 0], [4, 0]], mask=base64.b64encode(patch.getvalue()).decode()),
        ]
        draw_labelme(tmp_path / "b.json", {"shapes": shapes})
        draw_labelme(tmp_path / "sub/a.json", {"shapes": []})
        return LabelmeAdapter(LabelmeOptions(annotations=tmp_path))

    @pytest.fixture
    def expected(self):
        instances = [
            ("cat", "...... .###.. .###.. ......"),
            ("dog", "...... ...... ....## ##..##"),
            ("cat", "..#.#. ...... ...... ......"),
        ]
        return {"b.json": instances, "sub/a.json": []}

    @pytest.fixture(params=LABELME_FAULTS.values(), ids=list(LABELME_FAULTS))
    def broken(self, tmp_path, request):
        draw_labelme(tmp_path / "a.json", request.param)
        return LabelmeAdapter(LabelmeOptions(annotations=tmp_path))


def shape(label: str, kind: str, points: list[list[int]], **fields: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **fields}


def draw_labelme(path: Path, content: Any) -> None:
    """A file, and its image of 6 x 4 pixels beside it."""
    image = path.with_suffix(".png")
    Image.new("RGB", (6, 4)).save(image)
    head = {"version": "5.7.0", "flags": {}, "imagePath": image.name, "imageData": None}
    head |= {"imageHeight": 4, "imageWidth": 6}
    path.write_text(content if isinstance(content, str) else json.dumps({**head, **content}))
