"""Every COCO data set at hand, against a converter written by hand with pycocotools, NumPy and Pillow.

The set of the repository is always among them; those beside the repository, where they are (see `shared_data`).
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_adapters.coco import CocoAdapter, CocoOptions
from maskflow_convert import convert, rehearse
from maskflow_convert.config import Config, load_config
from maskflow_convert.geometry import Rasteriser
from shared_data import REPOSITORY, SHARED

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
"""pycocotools' `decode` under NumPy 2."""


@dataclass(frozen=True)
class DataSet:
    """An annotation file, its folder of images (if there is one), and what is known to be in it.

    `counts` are images and annotations; `issues` are by code, crowds skipped and boxes an error, as is the default.
    """

    annotations: str
    images: str | None
    counts: tuple[int, int]
    issues: dict[str, int] = field(default_factory=dict)
    root: Path = SHARED

    @property
    def path(self) -> Path:
        return self.root / self.annotations

    @property
    def folder(self) -> Path | None:
        return None if self.images is None else self.root / self.images


def of_datumaro() -> list[DataSet]:
    """One image of 10 x 5 and one of 5 x 10, in every kind of annotation that COCO has."""
    box, crowd = {"object-box-only": 1}, {"object-crowd": 1}
    unlabelled, unexpressed = {"category-unknown": 1}, {"object-shape-missing": 1}
    kinds = {
        "captions": ((1, 1, unlabelled), (1, 2, {"category-unknown": 2})),
        "image_info": ((1, 0, {}), (1, 0, {})),
        "instances": ((1, 1, box), (1, 2, crowd)),
        "labels": ((1, 1, unexpressed), (1, 2, {"object-shape-missing": 2})),
        "panoptic": ((1, 1, {"annotation-broken": 1}), (1, 1, {"annotation-broken": 1})),
        "person_keypoints": ((1, 1, box), (1, 2, crowd)),
        "stuff": ((1, 1, crowd), (1, 1, crowd)),
    }
    sets = [
        DataSet(f"{home}/annotations/{kind}_{split}.json", f"{home}/images/{split}", (images, objects), issues)
        for kind, halves in kinds.items()
        for home in ("coco", f"coco_{kind}")
        for split, (images, objects, issues) in zip(("train", "val"), halves, strict=True)
    ]
    for split, (images, objects, issues) in zip(("train", "val"), kinds["instances"], strict=True):
        sets.append(
            DataSet(f"mmdet_coco/annotations/instances_{split}.json", f"mmdet_coco/{split}", (images, objects), issues)
        )
        roboflow = f"coco_roboflow/{split}"
        sets.append(DataSet(f"{roboflow}/_annotations.coco.json", roboflow, (images, objects), issues))
    home = "datumaro-assets/coco_dataset"
    return [DataSet(f"{home}/{s.annotations}", f"{home}/{s.images}", s.counts, s.issues) for s in sets]


PANOPTIC, TINY, LABELFORMAT = "coco-panoptic", "coco-tiny", "labelformat-fixtures"
LABELME = "labelme/examples/instance_segmentation/data_dataset_coco"

BESIDE = [
    DataSet(f"{TINY}/annotations/instances_train2017.json", f"{TINY}/train2017", (50, 470), {"object-crowd": 5}),
    DataSet(f"{TINY}/annotations/instances_val2017.json", f"{TINY}/val2017", (50, 382), {"object-crowd": 5}),
    DataSet(f"{TINY}/annotations/person_keypoints_train2017.json", f"{TINY}/train2017", (50, 99), {"object-crowd": 3}),
    DataSet(f"{TINY}/annotations/person_keypoints_val2017.json", f"{TINY}/val2017", (50, 127), {"object-crowd": 4}),
    DataSet(
        f"{PANOPTIC}/panoptic_coco_detection_format.json", f"{PANOPTIC}/input_images", (2, 50), {"object-crowd": 3}
    ),
    DataSet(f"{PANOPTIC}/panoptic_examples.json", f"{PANOPTIC}/input_images", (2, 2), {"annotation-broken": 2}),
    DataSet(f"{PANOPTIC}/images_info_examples.json", f"{PANOPTIC}/input_images", (2, 0)),
    DataSet(
        f"{LABELFORMAT}/instance_segmentation/COCO/instances.json",
        f"{LABELFORMAT}/instance_segmentation/YOLOv8/images",
        (2, 3),
    ),
    DataSet(
        f"{LABELFORMAT}/instance_segmentation/COCO/instances_with_binary_mask.json",
        f"{LABELFORMAT}/instance_segmentation/YOLOv8/images",
        (3, 4),
        {"image-missing": 1, "object-lost-with-image": 1},
    ),
    DataSet(
        f"{LABELFORMAT}/object_detection/COCO/train.json",
        f"{LABELFORMAT}/object_detection/COCO/data",
        (2, 16),
        {"object-box-only": 16},
    ),
    DataSet(f"{LABELME}/annotations.json", LABELME, (3, 12), {"polygon-outside-image": 1}),
    DataSet("dsb2018/instances_compressed_rle.json", "dsb2018/images", (19, 1104)),
    DataSet(
        "taco-annotations/annotations.json",
        None,
        (1500, 4784),
        {"annotation-id-duplicate": 2, "polygon-outside-image": 6},
    ),
    *of_datumaro(),
]
OURS = DataSet(
    "configs/shapes-coco/instances.json", "configs/shapes-coco/images", (12, 41), {"object-crowd": 1}, REPOSITORY
)
SETS = [OURS, *(each for each in BESIDE if SHARED.is_dir())]
WITH_IMAGES = [each for each in SETS if each.images]


def name_of(data_set: DataSet) -> str:
    return data_set.annotations


def test_no_set_is_left_out():
    """Whatever has a list of images with files of their own is COCO."""
    found = {str(path.relative_to(SHARED)) for path in SHARED.rglob("*.json") if is_coco(path)}
    assert found == {each.annotations for each in SETS if each is not OURS}


def is_coco(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "file_name" in content["images"][0]


# by hand


@dataclass(frozen=True)
class Expected:
    """What a conversion should give: records by image id, and issues as `(code, record, object, line)`."""

    records: dict[int, dict[str, Any]]
    issues: Counter[tuple[str, str | None, str | None, int | None]]


def convert_by_hand(data_set: DataSet, *, keep_crowds: bool, rows_first: bool, open_images: bool = True) -> Expected:
    text = data_set.path.read_text(encoding="utf-8")
    content = json.loads(text)
    annotated = list(zip(content.get("annotations", []), lines_by_hand(text), strict=True))
    names = {category["id"]: category["name"] for category in content.get("categories", [])}
    class_ids = {name: number for number, name in enumerate(dict.fromkeys(names.values()), start=1)}
    records: dict[int, dict[str, Any]] = {}
    issues: Counter[tuple[str, str | None, str | None, int | None]] = Counter()
    ids: set[int] = set()
    for annotation, line in annotated:
        if "id" in annotation:
            if annotation["id"] in ids:
                issues["annotation-id-duplicate", None, str(annotation["id"]), line] += 1
            ids.add(annotation["id"])
    for image in content["images"]:
        key, size = image["file_name"], (image["height"], image["width"])
        annotations = [(a, line) for a, line in annotated if a["image_id"] == image["id"]]
        path = data_set.folder / key if open_images else None
        if path is not None and not path.exists():
            issues["image-missing", key, None, None] += 1
            issues.update(("object-lost-with-image", key, str(a["id"]), None) for a, _ in annotations)
            continue
        masks, classes = [], []
        for annotation, line in annotations:
            name = str(annotation["id"]) if "id" in annotation else None
            if fault := fault_by_hand(annotation, names, keep_crowds):
                issues[fault, key, name, line] += 1
                continue
            mask = mask_by_hand(annotation["segmentation"], size)
            if not coco_mask.area(mask):
                issues["mask-empty", key, name, line] += 1
                continue
            if leaves(annotation["segmentation"], size):
                issues["polygon-outside-image", key, name, line] += 1
            masks.append(mask)
            classes.append(class_ids[names[annotation["category_id"]]])
        records[image["id"]] = {"class_ids": classes, "rle": masks, "size": size}
        if path is not None:
            records[image["id"]] |= record_by_hand(image["id"], path, masks, rows_first)
    return Expected(records, issues)


def lines_by_hand(text: str) -> list[int]:
    """The line in which each annotation begins, from Python's own parser going from one to the next."""
    lines: list[int] = []
    decoder, separators = json.JSONDecoder(), re.compile(r"[\s,]*")
    found = re.search(r'"annotations"\s*:\s*\[\s*', text)
    if found is None:
        return lines
    begin, line = found.end(), text.count("\n", 0, found.end()) + 1
    while text[begin] != "]":
        lines.append(line)
        _, end = decoder.raw_decode(text, begin)
        following = separators.match(text, end).end()
        line += text.count("\n", begin, following)
        begin = following
    return lines


def fault_by_hand(annotation: dict[str, Any], names: dict[int, str], keep_crowds: bool) -> str | None:
    segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
    if "category_id" not in annotation and "caption" not in annotation:
        return "annotation-broken"
    if annotation.get("category_id") not in names:
        return "category-unknown"
    if not segmentation and not box:
        return "object-shape-missing"
    if annotation.get("iscrowd") and not keep_crowds:
        return "object-crowd"
    return None if segmentation else "object-box-only"


def mask_by_hand(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """pycocotools' run lengths, as its `COCO.annToRLE` makes them."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, *size)
    return {"size": segmentation["size"], "counts": segmentation["counts"].encode()}


def leaves(segmentation: Any, size: tuple[int, int]) -> bool:
    if not isinstance(segmentation, list):
        return False
    points = np.concatenate([np.reshape(part, (-1, 2)) for part in segmentation])
    return bool((points < 0).any() or (points > size[::-1]).any())


def record_by_hand(number: int, path: Path, masks: list[dict[str, Any]], rows_first: bool) -> dict[str, Any]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    dense = np.zeros((len(masks), height, width), np.uint8)
    for row, mask in zip(dense, masks, strict=True):
        row[:] = coco_mask.decode(mask)
    array = dense if rows_first else dense.transpose(0, 2, 1)
    return {
        "id": number,
        "basename": path.name.encode(),
        "width": array.shape[1],
        "height": array.shape[2],
        "channel": 3,
        "n_objects": len(masks),
        "image": pixels,
        "masks_indices": np.argwhere(array).ravel(),
    }


# as converted


FEATURES = {
    **{
        f"image/{name}": tf.io.FixedLenFeature([], tf.int64)
        for name in ("id", "width", "height", "channel", "n_objects")
    },
    **{f"image/{name}": tf.io.FixedLenFeature([], tf.string) for name in ("basename", "image_bytes")},
    **{f"image/{name}": tf.io.VarLenFeature(tf.int64) for name in ("masks_indices", "class_ids")},
}


def read_records(folder: Path) -> dict[int, dict[str, Any]]:
    """Records by image id, their features as TensorFlow parses them."""
    records = {}
    for serialised in tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord")))):
        assert set(tf.train.Example.FromString(serialised.numpy()).features.feature) == set(FEATURES)
        parsed = tf.io.parse_single_example(serialised, FEATURES)
        record = {
            name.removeprefix("image/"): (value.values if isinstance(value, tf.SparseTensor) else value).numpy()
            for name, value in parsed.items()
        }
        assert record["id"] not in records
        records[int(record["id"])] = record
    return records


def config_of(folder: Path, data_set: DataSet, **settings: Any) -> Config:
    source: dict[str, Any] = {"adapter": "coco", "annotations": str(data_set.path)}
    if data_set.folder is not None:
        source["images"] = str(data_set.folder)
    content = {
        "sources": [source],
        "on_error": "skip-object",
        "output": {"directory": "out", "layout": settings.pop("layout", "documented")},
        "run": {"executor": "serial"},
        **settings,
    }
    (folder / "config.yaml").write_text(json.dumps(content), encoding="utf-8")
    return load_config(folder / "config.yaml")


@pytest.mark.parametrize("crowd", ["skip", "keep"])
@pytest.mark.parametrize("data_set", WITH_IMAGES, ids=name_of)
def test_records_equal_those_made_by_hand(tmp_path, data_set, crowd):
    """Feature by feature, the PNG by its pixels; crowds kept are read in the other layout, to see both."""
    layout = {"skip": "documented", "keep": "rows_first"}[crowd]
    report = convert(config_of(tmp_path, data_set, objects={"crowd": crowd}, layout=layout))
    expected = convert_by_hand(data_set, keep_crowds=crowd == "keep", rows_first=layout == "rows_first")
    records = read_records(tmp_path / "out")
    assert records.keys() == expected.records.keys()
    for number, record in records.items():
        right = expected.records[number]
        for name in ("id", "basename", "width", "height", "channel", "n_objects"):
            assert record[name] == right[name], name
        for name in ("masks_indices", "class_ids"):
            np.testing.assert_array_equal(record[name], np.asarray(right[name], np.int64), name)
        np.testing.assert_array_equal(tf.io.decode_png(record["image_bytes"]).numpy(), right["image"])
    issues = [json.loads(line) for line in (tmp_path / "out" / "issues.jsonl").read_text(encoding="utf-8").splitlines()]
    listed = Counter((issue["code"], issue["record"], issue["object"], issue["line"]) for issue in issues)
    assert listed == expected.issues
    assert {issue["path"] for issue in issues if issue["line"]} <= {str(data_set.path)}
    total = report.total
    assert (total.images_found, total.objects_found) == data_set.counts
    assert total.images_found == total.images_written + sum(issue["loss"] == "image" for issue in issues)
    assert total.objects_found == total.objects_written + sum(issue["loss"] == "object" for issue in issues)
    assert total.objects_written == sum(record["n_objects"] for record in records.values())
    if crowd == "skip":
        assert Counter(issue["code"] for issue in issues) == data_set.issues


@pytest.mark.parametrize("data_set", SETS, ids=name_of)
def test_a_rehearsal_counts_what_pycocotools_counts(tmp_path, data_set):
    """Images are not opened, so that a missing one is not missed."""
    report = rehearse(config_of(tmp_path, data_set, objects={"crowd": "keep"}))
    expected = convert_by_hand(data_set, keep_crowds=True, rows_first=False, open_images=False)
    total = report.total
    assert (total.images_found, total.objects_found) == data_set.counts
    assert total.images_written == len(expected.records)
    assert total.objects_written == sum(len(record["class_ids"]) for record in expected.records.values())
    by_class = Counter(number for record in expected.records.values() for number in record["class_ids"])
    assert {report.classes[name]: count for name, count in total.objects_by_class.items()} == by_class
    basenames = [PurePosixPath(image["file_name"]).name for image in json.loads(data_set.path.read_text())["images"]]
    called_as_another = Counter({"basename-duplicate": len(basenames) - len(set(basenames))})
    assert {code: count for (code, _), count in report.counts.items()} == +called_as_another + Counter(
        code for code, *_ in expected.issues.elements()
    )


@pytest.mark.parametrize("data_set", SETS, ids=name_of)
def test_masks_equal_those_of_pycocotools_without_any_image(data_set):
    """Also of images that are not there, and as run lengths, since a photograph of TACO has 20 million pixels."""
    adapter = CocoAdapter(CocoOptions(annotations=data_set.path))
    expected = convert_by_hand(data_set, keep_crowds=True, rows_first=False, open_images=False)
    for entry in adapter.index().entries:
        right = expected.records[entry.id]
        height, width = right["size"]
        rasteriser = Rasteriser(width, height)
        instances = adapter.read(entry.record).instances
        found = [rasteriser.runs(instance.shape) for instance in instances if instance.shape.kind != "box"]
        counts = [{"size": [height, width], "counts": list(runs.to_counts())} for runs in found]
        assert [coco_mask.frPyObjects(each, height, width) for each in counts] == right["rle"]


# one file per image


def files_of_images(data_set: DataSet, folder: Path) -> dict[str, str]:
    """A file with a list of one image for each image, and what says where they are."""
    content = json.loads(data_set.path.read_text(encoding="utf-8"))
    for image in content["images"]:
        own = [each for each in content.get("annotations", []) if each["image_id"] == image["id"]]
        file = {**content, "images": [image], "annotations": own}
        (folder / f"{image['id']}.json").write_text(json.dumps(file, indent=1), encoding="utf-8")
    return {"images": str(data_set.folder)}


def files_as_sa1b_has_them(data_set: DataSet, folder: Path) -> dict[str, str]:
    """A file beside each image, with masks as run lengths that pycocotools makes, and without categories."""
    content = json.loads(data_set.path.read_text(encoding="utf-8"))
    for number, image in enumerate(content["images"]):
        size = image["height"], image["width"]
        name = f"{number:04}-{PurePosixPath(image['file_name']).name}"
        shutil.copy(data_set.folder / image["file_name"], folder / name)
        annotations = []
        for each in content.get("annotations", []):
            if each["image_id"] == image["id"] and each.get("segmentation") and not each.get("iscrowd"):
                mask = mask_by_hand(each["segmentation"], size)
                runs = {"size": list(size), "counts": mask["counts"].decode()}
                annotations.append({"id": each["id"], "segmentation": runs, "area": int(coco_mask.area(mask))})
        head = {"image_id": number, "width": size[1], "height": size[0], "file_name": name}
        path = (folder / name).with_suffix(".json")
        path.write_text(json.dumps({"image": head, "annotations": annotations}), encoding="utf-8")
    return {"label": "thing"}


@pytest.mark.parametrize("data_set", [each for each in WITH_IMAGES if "captions" not in each.annotations], ids=name_of)
def test_one_file_per_image_makes_the_same_records(tmp_path, data_set):
    (tmp_path / "files").mkdir()
    options = files_of_images(data_set, tmp_path / "files")
    source = {"adapter": "coco", "annotations": "files", **options}
    reports = [convert(config_of(tmp_path, data_set)), convert(config_of(tmp_path, data_set, **of_files(source)))]
    one, many = (read_records(tmp_path / name) for name in ("out", "out-of-files"))
    assert one.keys() == many.keys()
    for number, record in one.items():
        assert all(np.array_equal(record[name], many[number][name]) for name in record), number
    totals = [(each.images_found, each.objects_found, each.objects_dropped) for each in (r.total for r in reports)]
    assert totals[0] == totals[1] == (*data_set.counts, reports[0].total.objects_dropped)


RUN_LENGTHS = [each for each in WITH_IMAGES if not each.issues.keys() - {"object-crowd", "polygon-outside-image"}]


@pytest.mark.parametrize("data_set", RUN_LENGTHS, ids=name_of)
def test_as_sa1b_has_it_the_masks_are_the_same(tmp_path, data_set):
    (tmp_path / "files").mkdir()
    source = {"adapter": "coco", "annotations": "files", **files_as_sa1b_has_them(data_set, tmp_path / "files")}
    report = convert(config_of(tmp_path, data_set, **of_files(source)))
    expected = convert_by_hand(data_set, keep_crowds=False, rows_first=False)
    many = read_records(tmp_path / "out-of-files")
    assert report.classes == {"thing": 1}
    assert len(many) == data_set.counts[0]
    for number, right in enumerate(expected.records.values()):
        for name in ("width", "height", "n_objects", "masks_indices"):
            np.testing.assert_array_equal(many[number][name], right[name], name)
        assert many[number]["basename"].endswith(right["basename"])
        assert set(many[number]["class_ids"]) <= {1}


def of_files(source: dict[str, str]) -> dict[str, Any]:
    return {"sources": [source], "output": {"directory": "out-of-files"}}


FAULTS = [
    (f"{LABELFORMAT}/instance_segmentation/COCO/instances_with_binary_mask.json", "image-missing", None, None, ""),
    (
        f"{LABELME}/annotations.json",
        "polygon-outside-image",
        "9",
        1,
        "0.384615 pixels beyond the bottom edge of 500 x 375",
    ),
    ("datumaro-assets/coco_dataset/coco/annotations/labels_train.json", "object-shape-missing", "1", 42, ""),
    ("datumaro-assets/coco_dataset/coco/annotations/panoptic_val.json", "annotation-broken", None, 44, "`category_id`"),
    ("datumaro-assets/coco_dataset/coco/annotations/captions_val.json", "category-unknown", "1", 33, "category 0"),
]


def test_real_faults_are_told_as_they_are(tmp_path):
    """One image missing; half a pixel too low; labels, segments and captions taken for objects."""
    known = {each.annotations: each for each in SETS}
    for name, code, number, line, told in (fault for fault in FAULTS if fault[0] in known):
        target = tmp_path / name.replace("/", "-")
        target.mkdir()
        issue = convert(config_of(target, known[name])).examples[code][0]
        assert (issue.code, issue.object, issue.line) == (code, number, line)
        assert told in issue.message
