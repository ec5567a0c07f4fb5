"""What the built-in adapters recognise in the layouts that people have, and what they leave out."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maskflow_adapters import coco_discovery
from maskflow_adapters.coco import CocoAdapter
from maskflow_adapters.labelme import LabelmeAdapter
from maskflow_adapters.shapes import ShapesAdapter
from maskflow_adapters.voc import VocAdapter
from maskflow_convert import Found, LeftOut, Tree
from maskflow_convert.discovery import Files as FilesOfFolder

Files = Mapping[str, Any]


def make(root: Path, files: Files) -> Tree:
    """Files of this content: text, bytes, or JSON; None is a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case None:
                path.mkdir(exist_ok=True)
            case bytes():
                path.write_bytes(content)
            case str():
                path.write_text(content)
            case _:
                path.write_text(json.dumps(content))
    return Tree.of(root)


def discovered(adapter: Any, tree: Tree) -> tuple[list[tuple[str, str, list[dict[str, Any]]]], dict[str, str]]:
    """`(path, confidence, sources)` of what was found, paths from the root on; and why other files were left out."""
    everything = list(adapter.discover(tree))
    found = [
        (tree.told(each.path), each.confidence.name.lower(), [plain(tree, source) for source in each.sources])
        for each in everything
        if isinstance(each, Found)
    ]
    return found, {tree.told(each.path): each.reason for each in everything if isinstance(each, LeftOut)}


def plain(tree: Tree, source: Mapping[str, object]) -> dict[str, Any]:
    return {key: tree.told(value) if isinstance(value, Path) else value for key, value in source.items()}


def notes(adapter: Any, tree: Tree) -> list[str]:
    return [note for each in adapter.discover(tree) if isinstance(each, Found) for note in each.notes]


# COCO

KINDS = ("json", "jpg")
MASK = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]], "bbox": [0, 0, 4, 4]}


def coco(*names: str, annotations: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    images = [{"id": n, "file_name": name, "width": 8, "height": 6} for n, name in enumerate(names, start=1)]
    listed = [MASK] if annotations is None else annotations
    return {"images": images, "annotations": listed, "categories": [{"id": 1, "name": "cat"}], **more}


def annotated(**fields: Any) -> dict[str, Any]:
    return coco("a.jpg", annotations=[{"id": 1, "image_id": 1, **fields}])


COCO_LAYOUTS: dict[str, tuple[Files, list[tuple[str, str, list[dict[str, str]]]]]] = {
    "COCO 2017": (
        {
            "annotations/instances_train2017.json": coco("1.jpg"),
            "annotations/instances_val2017.json": coco("2.jpg"),
            "train2017/1.jpg": "",
            "val2017/2.jpg": "",
        },
        [
            (
                "annotations/instances_train2017.json",
                "sure",
                [
                    {"annotations": "annotations/instances_train2017.json", "images": "train2017", "split": "train"},
                    {"annotations": "annotations/instances_val2017.json", "images": "val2017", "split": "val"},
                ],
            )
        ],
    ),
    "Roboflow": (
        {
            f"{split}/{name}": content
            for split in ("train", "valid", "test")
            for name, content in {"_annotations.coco.json": coco("a.jpg"), "a.jpg": ""}.items()
        },
        [
            (
                "test/_annotations.coco.json",
                "sure",
                [
                    {"annotations": f"{folder}/_annotations.coco.json", "images": folder, "split": split}
                    for folder, split in (("test", "test"), ("train", "train"), ("valid", "val"))
                ],
            )
        ],
    ),
    "CVAT": (
        {"annotations/instances_default.json": coco("a.png"), "images/default/a.png": ""},
        [
            (
                "annotations/instances_default.json",
                "sure",
                [{"annotations": "annotations/instances_default.json", "images": "images/default"}],
            )
        ],
    ),
    "Label Studio": (
        {"result.json": coco("images\\3f-a.png"), "images/3f-a.png": ""},
        [("result.json", "sure", [{"annotations": "result.json", "images": "."}])],
    ),
    "TACO": (
        {"data/annotations.json": coco("batch_1/a.JPG", "batch_2/b.JPG"), "data/batch_2/b.JPG": ""},
        [("data/annotations.json", "sure", [{"annotations": "data/annotations.json", "images": "data"}])],
    ),
    "no images": (
        {"annotations.json": coco("a.jpg")},
        [("annotations.json", "likely", [{"annotations": "annotations.json"}])],
    ),
    "two years": (
        {
            "annotations/instances_train2014.json": coco("1.jpg"),
            "annotations/instances_train2017.json": coco("2.jpg"),
            "train2014/1.jpg": "",
            "train2017/2.jpg": "",
        },
        [
            (
                f"annotations/instances_train{year}.json",
                "sure",
                [
                    {
                        "annotations": f"annotations/instances_train{year}.json",
                        "images": f"train{year}",
                        "split": "train",
                    }
                ],
            )
            for year in (2014, 2017)
        ],
    ),
    "masks beside images": (
        {"coco.json": coco("a.png"), "masks/a.png": "", "images/a.png": ""},
        [("coco.json", "sure", [{"annotations": "coco.json", "images": "images"}])],
    ),
    "boxes only": (
        {"a.json": annotated(category_id=1, bbox=[0, 0, 2, 2]), "a.jpg": ""},
        [("a.json", "likely", [{"annotations": "a.json", "images": "."}])],
    ),
    "stuff": (
        {"annotations/stuff_val.json": coco("a.jpg"), "val/a.jpg": ""},
        [
            (
                "annotations/stuff_val.json",
                "guess",
                [{"annotations": "annotations/stuff_val.json", "images": "val", "split": "val"}],
            )
        ],
    ),
    "annotations first": (
        {"c.json": {"annotations": [MASK] * 3, "categories": [], "images": coco("a.jpg")["images"]}, "a.jpg": ""},
        [("c.json", "sure", [{"annotations": "c.json", "images": "."}])],
    ),
    "a byte order mark, NaN": (
        {"c.json": b"\xef\xbb\xbf" + json.dumps(coco("a.jpg", info={"version": float("nan")})).encode(), "a.jpg": ""},
        [("c.json", "sure", [{"annotations": "c.json", "images": "."}])],
    ),
    "made up out of the ordinary": (
        {"c.json": {"info": {"a": {"b": {}}, "c": [{}, {}], "d": {}, "e": {}}, **coco("a.jpg")}, "a.jpg": ""},
        [("c.json", "sure", [{"annotations": "c.json", "images": "."}])],
    ),
    "cut off": (
        {"c.json": json.dumps(coco("a.jpg"))[:-40], "a.jpg": ""},
        [("c.json", "sure", [{"annotations": "c.json", "images": "."}])],
    ),
}


def sa1b(name: str, **more: Any) -> dict[str, Any]:
    masks = [{"id": 1, "segmentation": {"size": [6, 8], "counts": "o0"}, "bbox": [0.0, 0.0, 1.0, 1.0]}]
    return {"image": {"image_id": 1, "width": 8, "height": 6, "file_name": name}, "annotations": masks, **more}


def of_one(name: str, **more: Any) -> dict[str, Any]:
    return {**coco(name), **more}


COCO_FOLDERS: dict[str, tuple[Files, list[tuple[str, str, list[dict[str, str]]]]]] = {
    "SA-1B, an archive": (
        {f"sa_{n}.{kind}": sa1b(f"sa_{n}.jpg") if kind == "json" else "" for n in range(3) for kind in KINDS},
        [(".", "sure", [{"annotations": ".", "label": "object"}])],
    ),
    "SA-1B, several": (
        {
            f"data/sa_00000{n}/sa_{n}.{kind}": sa1b(f"sa_{n}.jpg") if kind == "json" else ""
            for n in range(3)
            for kind in KINDS
        },
        [("data", "sure", [{"annotations": "data", "label": "object"}])],
    ),
    "one file": ({"a.json": sa1b("a.jpg"), "a.jpg": ""}, [(".", "sure", [{"annotations": ".", "label": "object"}])]),
    "with categories": (
        {"a.json": of_one("a.jpg"), "a.jpg": "", "b.json": of_one("b.jpg"), "b.jpg": ""},
        [(".", "sure", [{"annotations": "."}])],
    ),
    "images of their own": (
        {"annotations/a.json": sa1b("a.jpg"), "images/a.jpg": ""},
        [("annotations", "sure", [{"annotations": "annotations", "label": "object", "images": "images"}])],
    ),
    "images of their own, in folders": (
        {
            **{f"annotations/{n}/a.json": sa1b("a.jpg") for n in range(2)},
            **{f"images/{n}/a.jpg": "" for n in range(2)},
        },
        [("annotations", "sure", [{"annotations": "annotations", "label": "object", "images": "images"}])],
    ),
    "images outside by their names": (
        {"annotations/a.json": sa1b("../images/a.jpg"), "images/a.jpg": ""},
        [("annotations", "likely", [{"annotations": "annotations", "label": "object"}])],
    ),
    "folders for splits": (
        {f"{split}/a.{kind}": sa1b("a.jpg") if kind == "json" else "" for split in ("train", "val") for kind in KINDS},
        [
            (
                ".",
                "sure",
                [
                    {"annotations": "train", "label": "object", "split": "train"},
                    {"annotations": "val", "label": "object", "split": "val"},
                ],
            )
        ],
    ),
    "no images": ({"a.json": sa1b("a.jpg")}, [(".", "likely", [{"annotations": ".", "label": "object"}])]),
    "beside a file of many": (
        {
            **{f"{n}.{kind}": of_one(f"{n}.jpg") if kind == "json" else "" for n in range(2) for kind in KINDS},
            "instances.json": coco("0.jpg", "1.jpg"),
        },
        [
            (".", "sure", [{"annotations": "."}]),
            ("instances.json", "sure", [{"annotations": "instances.json", "images": "."}]),
        ],
    ),
    "among SA-1B's a file of many": (
        {"a.json": sa1b("a.jpg"), "a.jpg": "", "instances.json": coco("a.jpg", "b.jpg")},
        [
            (".", "sure", [{"annotations": ".", "label": "object"}]),
            ("instances.json", "sure", [{"annotations": "instances.json", "images": "."}]),
        ],
    ),
    "captions": ({"a.json": sa1b("a.jpg", annotations=[{"caption": "a cat"}]), "a.jpg": ""}, []),
    "Darwin's": ({"a.json": {"image": {"filename": "a.jpg", "width": 8}, "annotations": []}, "a.jpg": ""}, []),
}


@pytest.mark.parametrize(("files", "expected"), COCO_FOLDERS.values(), ids=list(COCO_FOLDERS))
def test_coco_one_an_image(tmp_path, files, expected):
    assert discovered(CocoAdapter, make(tmp_path, files)) == (expected, {})


def test_coco_counts_the_files_of_images(tmp_path):
    files = {f"sa_{n % 2}/{n}.json": sa1b(f"{n}.jpg") for n in range(50)}
    [found] = CocoAdapter.discover(make(tmp_path, files))
    assert found.reason == "50 JSON files, COCO's, one per image, by those looked at"


@pytest.mark.parametrize(("files", "expected"), COCO_LAYOUTS.values(), ids=list(COCO_LAYOUTS))
def test_coco(tmp_path, files, expected):
    found, _ = discovered(CocoAdapter, make(tmp_path, files))
    assert found == expected


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("captions_train.json", annotated(caption="a cat"), "COCO captions"),
        ("panoptic.json", annotated(segments_info=[{"id": 1}]), "COCO panoptic"),
        ("person_keypoints_val.json", coco("a.jpg", annotations=[{**MASK, "keypoints": [1, 2, 2]}]), "COCO keypoints"),
        ("poses.json", annotated(category_id=1, keypoints=[1, 2, 2], bbox=[0, 0, 1, 1]), "COCO keypoints"),
        ("image_info_test.json", coco("a.jpg", annotations=[]), "COCO image information"),
        ("labels.json", annotated(category_id=1), "COCO labels"),
        ("results.json", [{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 0.9}], "COCO results"),
        ("project.json", [{"id": 1, "annotations": [], "data": {"image": "a.jpg"}}], "Label Studio's own JSON"),
    ],
)
def test_what_coco_leaves_out(tmp_path, name, content, told):
    found, left_out = discovered(CocoAdapter, make(tmp_path, {name: content, "a.jpg": ""}))
    assert found == []
    [(path, reason)] = left_out.items()
    assert path == name
    assert reason.startswith(told)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"images": []}',
        '{"images": [1, 2], "annotations": [3]}',
        '{"images": "none", "annotations": {}}',
        '{"images": [{"file_name": 3}], "annotations": [{}]}',
        '{"images": [' + "[" * 100_000,
        '{"images": [{"file_name": "\\ud800"',
        "\x00" * 100,
        '{"model": {"images": 3}}',
        {"dataset": {"images": [{"file_name": "a.jpg"}], "annotations": []}},
    ],
)
def test_what_is_none_of_cocos(tmp_path, content):
    assert discovered(CocoAdapter, make(tmp_path, {"a.json": content, "a.jpg": ""})) == ([], {})


def test_coco_tells_what_images_it_missed(tmp_path):
    tree = make(tmp_path, {"a.json": coco("x/a.jpg", "x/b.jpg"), "y/a.jpg": ""})
    [note] = notes(CocoAdapter, tree)
    assert note == (
        "The images of a.json were not found: no folder has 'x/a.jpg'; y has 'a.jpg', and the file names should say no "
        "other folder."
    )
    tree = make(tmp_path / "part", {"a.json": coco("a.jpg", "b.jpg"), "y/a.jpg": ""})
    assert notes(CocoAdapter, tree) == ["1 of 2 images tried of a.json are there, from y on."]


def test_of_a_large_coco_file_the_beginning_is_read(tmp_path, monkeypatch):
    """Images and annotations that stand late are not waited for."""
    padding = [{"id": n, "note": "x" * 1000} for n in range(3000)]
    tree = make(tmp_path, {"a.json": {"licenses": padding, **coco("a.jpg")}, "a.jpg": ""})
    assert len(discovered(CocoAdapter, tree)[0]) == 1
    monkeypatch.setattr(coco_discovery, "_MOST_BYTES", 1 << 20)
    assert discovered(CocoAdapter, tree) == ([], {})


def test_among_many_files_those_called_after_coco_are_looked_at(tmp_path):
    files = {f"{n:03}.json": {"shapes": []} for n in range(200)} | {"zz_instances.json": coco("a.jpg"), "a.jpg": ""}
    assert [path for path, *_ in discovered(CocoAdapter, make(tmp_path, files))[0]] == ["zz_instances.json"]


# LabelMe


def labelme(image: str = "a.jpg", *labels: str, data: str | None = None) -> dict[str, Any]:
    shapes = [{"label": label, "points": [[0, 0], [4, 0], [4, 4]], "shape_type": "polygon"} for label in labels]
    return {
        "version": "5.0",
        "shapes": shapes,
        "imagePath": image,
        "imageData": data,
        "imageHeight": 6,
        "imageWidth": 8,
    }


LABELME_LAYOUTS: dict[str, tuple[Files, list[tuple[str, str, list[dict[str, str]]]]]] = {
    "beside the images": (
        {"a.json": labelme(), "a.jpg": "", "b.json": labelme("b.jpg"), "b.jpg": ""},
        [(".", "sure", [{"annotations": "."}])],
    ),
    "the images within": (
        {"x/a.json": labelme("gone.jpg", data=base64.b64encode(b"image").decode())},
        [("x", "sure", [{"annotations": "x"}])],
    ),
    "folders for splits": (
        {"train/a.json": labelme(), "train/a.jpg": "", "val/a.json": labelme(), "val/a.jpg": ""},
        [(".", "sure", [{"annotations": "train", "split": "train"}, {"annotations": "val", "split": "val"}])],
    ),
    "other folders": (
        {"monday/a.json": labelme(), "monday/a.jpg": "", "tuesday/b.json": labelme("b.jpg"), "tuesday/b.jpg": ""},
        [(".", "sure", [{"annotations": "."}])],
    ),
    "files apart": (
        {"labels/a.json": labelme("..\\pictures\\a.jpg"), "pictures/a.jpg": ""},
        [("labels", "sure", [{"annotations": "labels", "images": "pictures"}])],
    ),
    "files apart, in folders": (
        {
            **{f"json/{name}/a.json": labelme("C:\\Users\\me\\a.jpg") for name in ("x", "y")},
            **{f"jpg/{name}/a.jpg": "" for name in ("x", "y")},
        },
        [("json", "sure", [{"annotations": "json", "images": "jpg"}])],
    ),
    "labels.txt": (
        {"data/a.json": labelme("a.jpg", "cat"), "data/a.jpg": "", "labels.txt": "__ignore__\ndog\ncat\n"},
        [("data", "sure", [{"annotations": "data", "labels": "labels.txt"}])],
    ),
    "labels.txt of something else": (
        {"data/a.json": labelme("a.jpg", "cat"), "data/a.jpg": "", "labels.txt": "dog\n"},
        [("data", "sure", [{"annotations": "data"}])],
    ),
    "no images": ({"a.json": labelme()}, [(".", "likely", [{"annotations": "."}])]),
    "among others": (
        {"a.json": labelme(), "a.jpg": "", "coco.json": coco("a.jpg"), "broken.json": '{"shapes": [', "c.json": "[]"},
        [(".", "sure", [{"annotations": "."}])],
    ),
    "none": ({"coco.json": coco("a.jpg"), "x.json": '{"shapes": 3}', "y.json": '{"imagePath": "a.jpg"}'}, []),
}


@pytest.mark.parametrize(("files", "expected"), LABELME_LAYOUTS.values(), ids=list(LABELME_LAYOUTS))
def test_labelme(tmp_path, files, expected):
    found, left_out = discovered(LabelmeAdapter, make(tmp_path, files))
    assert found == expected
    assert left_out == {}


def test_labelme_tells_which_image_it_missed(tmp_path):
    assert notes(LabelmeAdapter, make(tmp_path, {"x/a.json": labelme()})) == [
        "The image of x/a.json was not found: 'a.jpg'."
    ]


# Pascal VOC

BOX = "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>"


def voc(image: str = "a.jpg", objects: str = BOX) -> str:
    return f"<annotation><filename>{image}</filename>{objects}</annotation>"


def year(root: str = "", *names: str, masks: bool = True, **lists: str) -> dict[str, str]:
    """The folders of a challenge; a list is called as in `Segmentation_train`."""
    files = {}
    for name in names:
        files |= {f"{root}Annotations/{name}.xml": voc(f"{name}.jpg"), f"{root}JPEGImages/{name}.jpg": ""}
        if masks:
            files |= {f"{root}Segmentation{kind}/{name}.png": "" for kind in ("Object", "Class")}
    return files | {f"{root}ImageSets/{name.replace('_', '/')}.txt": text for name, text in lists.items()}


VOC_LAYOUTS: dict[str, tuple[Files, list[tuple[str, str, list[dict[str, str]]]]]] = {
    "VOC 2012": (
        year(
            "VOCdevkit/VOC2012/",
            "a",
            "b",
            Segmentation_train="a\n",
            Segmentation_val="b\n",
            Segmentation_trainval="a\nb\n",
            Segmentation_test="c\n",
            Main_train="a\nb\n",
        ),
        [
            (
                "VOCdevkit/VOC2012",
                "sure",
                [
                    {"root": "VOCdevkit/VOC2012", "image_set": "Segmentation/train", "split": "train"},
                    {"root": "VOCdevkit/VOC2012", "image_set": "Segmentation/val", "split": "val"},
                ],
            )
        ],
    ),
    "two years": (
        {**year("VOC2007/", "a"), **year("VOC2012/", "b")},
        [("VOC2007", "sure", [{"root": "VOC2007"}]), ("VOC2012", "sure", [{"root": "VOC2012"}])],
    ),
    "boxes": (
        year("", "a", masks=False, Main_trainval="a\n", Segmentation_trainval="a\n"),
        [(".", "likely", [{"root": ".", "image_set": "Main/trainval"}])],
    ),
    "lists of a class, lists without folder": (
        year("", "a b", masks=False, Main_cat_train="a b  1\n", train='"a b"\n', Main_val=""),
        [(".", "likely", [{"root": ".", "image_set": "train", "split": "train"}])],
    ),
    "masks and no XML": (
        {"SegmentationObjectPNG/a.png": "", "SegmentationClassPNG/a.png": "", "JPEGImages/a.jpg": ""},
        [(".", "sure", [{"root": "."}])],
    ),
    "images elsewhere": (
        {
            **{f"voc/Annotations/{name}.xml": voc() for name in "ab"},
            **{f"voc/SegmentationObject/{name}.png": "" for name in "ab"},
            "pictures/a.png": "",
        },
        [("voc", "sure", [{"root": "voc", "images": "pictures"}])],
    ),
    "no images": (
        {"Annotations/a.xml": voc(), "SegmentationObject/a.png": ""},
        [(".", "likely", [{"root": "."}])],
    ),
    "XML beside images": ({"a.xml": voc(), "a.jpg": ""}, [(".", "likely", [{"root": "."}])]),
    "XML apart": (
        {"annotations/a.xml": voc("a.png"), "images/a.png": ""},
        [("annotations", "likely", [{"annotations": "annotations", "images": "images"}])],
    ),
    "Roboflow": (
        {f"{split}/a.{end}": text for split in ("train", "valid") for end, text in (("xml", voc()), ("jpg", ""))},
        [(".", "likely", [{"root": "train", "split": "train"}, {"root": "valid", "split": "val"}])],
    ),
    "XML alone": ({"x/a.xml": voc("C:\\a.jpg")}, [("x", "likely", [{"root": "x"}])]),
    "none": ({"a.xml": "<svg><bndbox/></svg>", "Annotations/b.xml": "<html/>", "ImageSets/Main/train.txt": "a"}, []),
}


@pytest.mark.parametrize(("files", "expected"), VOC_LAYOUTS.values(), ids=list(VOC_LAYOUTS))
def test_voc(tmp_path, files, expected):
    found, left_out = discovered(VocAdapter, make(tmp_path, files))
    assert found == expected
    assert left_out == {}


@pytest.mark.parametrize(
    ("files", "path", "told"),
    [
        ({"SegmentationClass/a.png": "", "JPEGImages/a.jpg": ""}, "SegmentationClass", "class masks of Pascal VOC"),
        (
            {"x/task.xml": "<?xml version='1.0'?><annotations><meta></meta><image/></annotations>"},
            "x",
            "CVAT's own XML",
        ),
        (
            {"Annotations/s/a.xml": voc(objects="<object><polygon><pt/></polygon></object>")},
            "Annotations/s",
            "XML of the old, online LabelMe",
        ),
    ],
)
def test_what_voc_leaves_out(tmp_path, files, path, told):
    found, left_out = discovered(VocAdapter, make(tmp_path, files))
    assert found == []
    assert [*left_out] == [path]
    assert left_out[path].startswith(told)


def test_voc_tells_what_it_missed(tmp_path):
    assert notes(VocAdapter, make(tmp_path / "a", {"x.xml": voc()})) == [
        "The images were not found: no folder has 'a.jpg'.",
        "It has boxes and no instance masks.",
    ]
    tree = make(tmp_path / "b", {"SegmentationObject/a.png": "", "Annotations/a.xml": voc()})
    assert notes(VocAdapter, tree) == ["The images were not found: no folder has one that is called 'a'."]


def test_shapes_need_no_folder(tmp_path):
    assert discovered(ShapesAdapter, make(tmp_path, {"a.png": ""})) == ([], {})


# What a stranger made to do harm


HOSTILE: dict[str, tuple[str, bytes, int]] = {
    "a list that never comes": ("a.json", b'{"images": [', 1 << 32),
    "annotations that never come": (
        "a.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [',
        1 << 32,
    ),
    "shapes that never come": ("a.json", b'{"shapes": [', 1 << 32),
    "a string of quotes": ("a.json", b'{"images": ["' + b'\\"' * (1 << 24), 0),
    "nothing but brackets": ("a.json", b'{"images": [' + b"[" * (1 << 24), 0),
    "nothing but objects": ("a.json", b'{"images": [' + b"{}," * (1 << 22), 0),
    "results that are none": ("a.json", b"[{" + b'"image_id" ' * 6000, 0),
    "a name of spaces": ("a.xml", b"<annotation><object><bndbox><filename>" + b" " * 60_000, 0),
    "roots without end": ("a.xml", b"<annotations>" * 5000, 0),
}


@pytest.mark.parametrize(("name", "head", "size"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_files_take_little_time(tmp_path, name, head, size):
    """`size` is that of a file whose rest is a hole."""
    with (tmp_path / name).open("wb") as file:
        file.write(head)
        file.truncate(max(size, len(head)))
    tree = Tree.of(tmp_path)
    begin = time.process_time()
    for adapter in (CocoAdapter, LabelmeAdapter, VocAdapter):
        list(adapter.discover(tree))
    assert time.process_time() - begin < 10


def test_pipes_are_not_waited_for(tmp_path):
    for name in (
        "instances.json",
        "Annotations/a.xml",
        "b.json",
        "ImageSets/Main/train.txt",
        "SegmentationObject/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / name)
    tree = Tree.of(tmp_path)
    for adapter in (CocoAdapter, LabelmeAdapter, VocAdapter):
        assert discovered(adapter, tree) == ([], {})


def test_folders_are_gone_through_as_often_however_many_are_called_annotations(monkeypatch):
    """As of a thousand scenes with `Annotations` of another format in each."""
    seen = []
    folders_with = Tree.folders_with

    def counted(tree: Tree, *suffixes: str) -> Any:
        for folder in folders_with(tree, *suffixes):
            seen.append(folder)
            yield folder

    monkeypatch.setattr(Tree, "folders_with", counted)

    def looked_at(scenes: int) -> int:
        root = Path("/nowhere")
        folders = {root: FilesOfFolder({}, {})}
        for number in range(scenes):
            home = root / f"scene-{number}"
            folders[home] = FilesOfFolder({}, {})
            folders[home / "Annotations"] = FilesOfFolder({".json": 1}, {".json": ["a.json"]})
            folders[home / "poses"] = FilesOfFolder({".xml": 1}, {".xml": ["a.xml"]})
        seen.clear()
        assert list(VocAdapter.discover(Tree(root, folders))) == []
        return len(seen)

    assert looked_at(40) <= 2 * looked_at(20)
