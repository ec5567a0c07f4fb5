"""Every data set of Pascal VOC at hand, against one read by hand with Pillow, NumPy and Python's own XML parser.

They lie beside the repository, where they are (see `shared_data`).
"""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from maskflow_adapters.voc import VocAdapter, VocOptions
from maskflow_adapters.voc_xml import read_annotation
from maskflow_convert import convert, rehearse
from maskflow_convert.config import Config, load_config
from maskflow_convert.errors import RecordError, SourceError
from shared_data import SHARED


@dataclass(frozen=True)
class DataSet:
    """A root below `SHARED`, and what is known to be in it: images, objects, and issues by code with boxes filled."""

    root: str
    counts: tuple[int, int]
    issues: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


VOC2012, BCCD, FIZYR = "voc-segmentation/VOC2012", "voc-bccd", "voc-fizyr"
LABELME = "labelme/examples/{}/data_dataset_voc"
LABELFORMAT = "labelformat-fixtures/object_detection"
DATUMARO = "datumaro-assets/voc_dataset/voc_dataset{}"

SETS = [
    DataSet(VOC2012, (24, 215)),
    DataSet(BCCD, (42, 810)),
    DataSet(FIZYR, (1, 2), {"split-ambiguous": 1}),
    DataSet(LABELME.format("bbox_detection"), (3, 9)),
    DataSet(LABELME.format("instance_segmentation"), (3, 12)),
    DataSet(f"{LABELFORMAT}/PascalVOC", (2, 16), options={"images": f"{LABELFORMAT}/COCO/data"}),
    DataSet(
        DATUMARO.format(1),
        (2, 3),
        {"annotation-missing": 1, "object-class-missing": 1, "objects-masks-disagree": 1},
    ),
    DataSet(DATUMARO.format(2), (5, 4), {"image-missing": 5, "object-lost-with-image": 4}),
    DataSet(DATUMARO.format(3), (1, 1)),
]
SEMANTIC = [
    LABELME.format("semantic_segmentation"),
    LABELME.format("video_annotation"),
    "labelformat-fixtures/semantic_segmentation/pascalvoc",
]
"""Class masks without instance masks or XML."""

pytestmark = pytest.mark.real_data


def root_of(data_set: DataSet) -> str:
    return data_set.root


def options_of(data_set: DataSet) -> dict[str, str]:
    named = {"root": data_set.root, **data_set.options}
    return {name: str(SHARED / path) for name, path in named.items()}


def config_of(folder: Path, data_set: DataSet, **settings: Any) -> Config:
    content = {
        "sources": [{"adapter": "voc", **options_of(data_set), **settings.pop("options", {})}],
        "objects": {"boxes": "rectangle"},
        "on_error": "skip-object",
        "output": {"directory": "out"},
        "run": {"executor": "serial"},
        **settings,
    }
    (folder / "config.yaml").write_text(json.dumps(content), encoding="utf-8")
    return load_config(folder / "config.yaml")


def test_no_set_is_left_out():
    """A folder with annotation files of Pascal VOC, or with its masks, is one of those above."""
    found = set()
    for path in SHARED.rglob("*.xml"):
        if path.parts[-3] != "xml" and b"<bndbox>" in path.read_bytes():
            found.add(path.parent.parent if path.parent.name == "Annotations" else path.parent)
    found |= {
        path.parent for path in SHARED.rglob("Segmentation*") if path.is_dir() and path.parent.name != "ImageSets"
    }
    assert {str(path.relative_to(SHARED)) for path in found} == {*map(root_of, SETS), *SEMANTIC}


@pytest.mark.parametrize("data_set", SETS, ids=root_of)
def test_all_is_written_or_accounted_for(tmp_path, data_set):
    report = convert(config_of(tmp_path, data_set))
    total = report.total
    assert (total.images_found, total.objects_found) == data_set.counts
    assert total.adds_up
    assert {code: count for (code, _), count in report.counts.items()} == data_set.issues


@pytest.mark.parametrize("root", SEMANTIC)
def test_class_masks_alone_are_refused(root):
    with pytest.raises(SourceError, match="class masks alone do not tell objects apart"):
        VocAdapter(VocOptions(root=SHARED / root)).index()


# masks


def numbers(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def masks_by_hand(root: Path, stem: str) -> list[tuple[np.ndarray, int]]:
    """`(mask, class)` of each object: the pixels that have its number, and the most frequent class in these."""
    objects = numbers(root / "SegmentationObject" / f"{stem}.png")
    classes = numbers(root / "SegmentationClass" / f"{stem}.png")
    found = []
    for number in np.unique(objects):
        if number not in (0, 255):
            mask = objects == number
            found.append((mask, int(np.bincount(classes[mask]).argmax())))
    return found


def names_of_coco() -> dict[int, str]:
    """COCO's categories, numbered from 1 in the order of their ids, which have gaps."""
    path = SHARED / "coco-tiny/annotations/instances_val2017.json"
    categories = sorted(json.loads(path.read_text(encoding="utf-8"))["categories"], key=lambda each: each["id"])
    return {number: category["name"] for number, category in enumerate(categories, start=1)}


def names_of_labelme() -> dict[int, str]:
    path = SHARED / LABELME.format("instance_segmentation") / "class_names.txt"
    return dict(enumerate(path.read_text(encoding="utf-8").split("\n")))


@pytest.mark.parametrize(
    ("root", "names_of"),
    [(VOC2012, names_of_coco), (LABELME.format("instance_segmentation"), names_of_labelme)],
)
def test_objects_are_the_pixels_of_their_number_and_of_the_class_most_of_these_have(tmp_path, root, names_of):
    """Read back by TensorFlow, feature by feature."""
    [data_set] = [each for each in SETS if each.root == root]
    report = convert(config_of(tmp_path, data_set, image={"channels": "source"}))
    assert report.counts == {}
    names = names_of()
    count = Counter()
    records = read_records(tmp_path / "out")
    stems = {path.stem for path in (SHARED / root / "SegmentationObject").iterdir()}
    assert {Path(name).stem for name in records} == stems
    for name, record in records.items():
        expected = masks_by_hand(SHARED / root, Path(name).stem)
        masks = np.array([mask for mask, _ in expected], bool).reshape(len(expected), record["height"], record["width"])
        np.testing.assert_array_equal(record["masks_indices"], np.argwhere(masks.transpose(0, 2, 1)).ravel(), name)
        assert record["class_ids"].tolist() == [report.classes[names[number]] for _, number in expected], name
        count.update(names[number] for _, number in expected)
        with Image.open(SHARED / root / "JPEGImages" / name) as image:
            np.testing.assert_array_equal(tf.io.decode_png(record["image_bytes"]).numpy(), np.asarray(image), name)
    assert report.total.objects_by_class == count


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """The features of each record by its basename, as TensorFlow parses them."""
    features = {
        **{f"image/{name}": tf.io.FixedLenFeature([], tf.int64) for name in ("width", "height", "n_objects")},
        **{f"image/{name}": tf.io.FixedLenFeature([], tf.string) for name in ("basename", "image_bytes")},
        **{f"image/{name}": tf.io.VarLenFeature(tf.int64) for name in ("masks_indices", "class_ids")},
    }
    records = {}
    for raw in tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord")))):
        record = {
            name.removeprefix("image/"): (value.values if isinstance(value, tf.SparseTensor) else value).numpy()
            for name, value in tf.io.parse_single_example(raw, features).items()
        }
        records[record["basename"].decode()] = record
    return records


def test_without_class_masks_the_order_says_the_same(tmp_path):
    """The classes of the 215 objects do not change when only the XML is there to tell them."""
    root = SHARED / VOC2012
    apart = {name: root / folder for name, folder in (("annotations", "Annotations"), ("images", "JPEGImages"))}
    by_order = VocAdapter(VocOptions(**apart, object_masks=root / "SegmentationObject"))
    by_both = VocAdapter(VocOptions(root=root))
    for one, other in zip(by_order.index().entries, by_both.index().entries, strict=True):
        assert by_order.read(one.record) == by_both.read(other.record)


def test_with_stated_names_the_class_masks_say_the_same_without_any_xml():
    root, names = SHARED / VOC2012, names_of_coco()
    masks = {"object_masks": root / "SegmentationObject", "class_masks": root / "SegmentationClass"}
    alone = VocAdapter(VocOptions(**masks, images=root / "JPEGImages", labels=tuple(names.values())))
    whole = VocAdapter(VocOptions(root=root))
    for one, other in zip(alone.index().entries, whole.index().entries, strict=True):
        found, expected = alone.read(one.record), whole.read(other.record)
        assert [(i.id, i.label, i.shape) for i in found.instances] == [
            (i.id, i.label, i.shape) for i in expected.instances
        ]
        assert found.issues == found.doubts == ()


def test_with_one_object_less_in_the_xml_the_masks_keep_their_classes(tmp_path):
    """Taking the first object of each file away leaves co-occurrence, and the others find their own lines by place."""
    root = SHARED / VOC2012
    for path in (root / "Annotations").iterdir():
        lines = path.read_text(encoding="utf-8").split("\n")
        (tmp_path / path.name).write_text("\n".join([lines[0], *lines[2:]] if len(lines) > 3 else lines), "utf-8")
    labels = tuple(names_of_coco().values())
    whole = VocAdapter(VocOptions(root=root, labels=labels))
    less = VocAdapter(VocOptions(root=root, annotations=tmp_path, labels=labels))
    placed = 0
    for one, other in zip(less.index().entries, whole.index().entries, strict=True):
        found, expected = less.read(one.record), whole.read(other.record)
        assert [(i.id, i.label, i.shape) for i in found.instances] == [
            (i.id, i.label, i.shape) for i in expected.instances
        ]
        assert [doubt.code for doubt in found.doubts] == ["objects-masks-disagree"] * bool(expected.instances)
        lines = [(i.offset, each.offset - 1) for i, each in zip(found.instances, expected.instances, strict=True)]
        placed += sum(line == right for line, right in lines)
    assert placed == 215 - sum(bool(whole.read(e.record).instances) for e in whole.index().entries)


# boxes


@pytest.mark.parametrize("root", [BCCD, FIZYR])
def test_boxes_are_those_of_the_xml(tmp_path, root):
    [data_set] = [each for each in SETS if each.root == root]
    report = convert(config_of(tmp_path, data_set))
    for name, record in read_records(tmp_path / "out").items():
        tree = ElementTree.parse(SHARED / root / "Annotations" / f"{Path(name).stem}.xml")  # noqa: S314 - ours
        height, width = (int(tree.findtext(f"size/{side}")) for side in ("height", "width"))
        labels, masks = [], []
        for each in tree.iter("object"):
            xmin, ymin, xmax, ymax = (int(each.findtext(f"bndbox/{s}")) for s in ("xmin", "ymin", "xmax", "ymax"))
            mask = np.zeros((height, width), bool)
            mask[ymin - 1 : ymax, xmin - 1 : xmax] = True
            masks.append(mask)
            labels.append(report.classes[each.findtext("name")])
        np.testing.assert_array_equal(record["masks_indices"], np.argwhere(np.transpose(masks, (0, 2, 1))).ravel())
        assert record["class_ids"].tolist() == labels


@pytest.mark.parametrize("data_set", SETS, ids=root_of)
def test_attributes_and_lines_are_those_of_the_xml(data_set):
    adapter = VocAdapter(VocOptions(**options_of(data_set)))
    compared = 0
    for entry in adapter.index().entries:
        for instance in adapter.read(entry.record).instances:
            where = adapter.where(entry.record, instance)
            if where is None:
                continue
            path, line = where
            assert "<object>" in path.read_text(encoding="utf-8").split("\n")[line - 1]
            listed = ElementTree.parse(path).findall("object")  # noqa: S314 - ours
            each = listed[int(instance.id.removeprefix("xml-")) - 1]
            assert each.findtext("name") == instance.label
            for name in ("difficult", "truncated", "occluded"):
                text = each.findtext(name)
                assert instance.attributes.get(name) == ({"0": False, "1": True}[text] if text else None)
            assert instance.attributes.get("pose") == (each.findtext("pose") or None)
            compared += 1
    files = (SHARED / data_set.root).rglob("*.xml")
    assert compared == sum(len(ElementTree.parse(path).findall("object")) for path in files)  # noqa: S314 - ours


def test_boxes_without_masks_stop_by_default(tmp_path):
    [data_set] = [each for each in SETS if each.root == BCCD]
    report = rehearse(config_of(tmp_path, data_set, objects={}))
    assert report.total.objects_dropped == {"object-box-only": 810}
    [first, *_] = report.examples["object-box-only"]
    assert (Path(first.path).suffix, first.line) == (".xml", 14)


def test_labelmes_boxes_are_edges_and_need_the_option(tmp_path):
    """Its converter writes `500.0` for the right edge of an image 500 wide."""
    root = SHARED / LABELME.format("bbox_detection")
    rights = []
    for origin in (1, "edges"):
        adapter = VocAdapter(VocOptions(root=root, origin=origin))
        samples = [adapter.read(entry.record) for entry in adapter.index().entries]
        rights.append([instance.shape.x0 for sample in samples for instance in sample.instances])
    written = [
        float(each.findtext("bndbox/xmin"))
        for path in sorted((root / "Annotations").iterdir())
        for each in ElementTree.parse(path).findall("object")  # noqa: S314 - ours
    ]
    assert rights == [[x - 1 for x in written], written]


# lists


def test_lists_of_pascal_voc():
    root = SHARED / "voc-segmentation"
    lists = root / "VOC2012/ImageSets/Segmentation"
    named = {name: (lists / f"{name}.txt").read_text(encoding="utf-8").split() for name in ("train", "val", "trainval")}
    for name, expected in named.items():
        entries = VocAdapter(VocOptions(root=root, image_set=f"Segmentation/{name}")).index().entries
        assert [entry.key for entry in entries] == expected
        splits = {key: split for split in ("train", "val") for key in named[split]}
        assert [entry.split for entry in entries] == [splits[key] for key in expected]
    listed = VocAdapter(VocOptions(root=root)).index().entries
    assert [entry.key for entry in listed] == sorted(named["trainval"])


def test_lists_of_datumaro_have_columns():
    root = SHARED / DATUMARO.format(1)
    entries = VocAdapter(VocOptions(root=root, image_set="Main/bus_train")).index().entries
    assert [(entry.key, entry.split) for entry in entries] == [("2007_000001", "train")]


# attacks


def test_xml_attacks_are_refused_at_once():
    """Each in the files of defusedxml; two are harmless, and no annotations."""
    refused = {}
    begun = time.process_time()
    for path in sorted((SHARED / "edge/xml").glob("*.xml")):
        with pytest.raises(RecordError) as caught:
            read_annotation(path)
        assert (caught.value.path, caught.value.code) == (path, "record-broken")
        refused[path.stem] = caught.value.line
    assert refused == {
        "cyclic": 1,
        "dtd": 2,
        "external": 1,
        "external_file": 1,
        "quadratic": 4,
        "simple": 2,
        "simple-ns": 3,
        "xmlbomb": 1,
        "xmlbomb2": 1,
    }
    assert time.process_time() - begun < 2
