"""The COCO adapter against `json`, pycocotools and files written out by hand."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_adapters.coco import CocoAdapter, CocoOptions
from maskflow_convert import Box, Polygons, Rle, convert
from maskflow_convert.errors import SourceError
from maskflow_convert.geometry import Rasteriser

WIDTH, HEIGHT = 8, 6
TRIANGLE = [[1, 1, 7, 1, 7, 5]]
RUNS = [10, 4, 20, 3, 11]
"""Uncompressed run lengths of an 8 x 6 mask with seven pixels."""
STRING = coco_mask.frPyObjects({"size": [HEIGHT, WIDTH], "counts": RUNS}, HEIGHT, WIDTH)["counts"].decode()
"""The same mask as pycocotools compresses it."""


def adapter_of(folder: Path, coco: object, name: str = "instances.json", **options: Path) -> CocoAdapter:
    """The adapter on a file with that content: bytes as they are, all else as JSON."""
    path = folder / name
    path.write_bytes(coco if isinstance(coco, bytes) else json.dumps(coco).encode())
    return CocoAdapter(CocoOptions(annotations=path, **options))


def an_image(number: int = 1, **fields: object) -> dict[str, object]:
    return {"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT, **fields}


def an_annotation(number: int = 1, image: object = 1, **fields: object) -> dict[str, object]:
    return {"id": number, "image_id": image, "category_id": 1, "segmentation": TRIANGLE, **fields}


def a_file(annotations=(), images=None, categories=None) -> dict[str, object]:
    return {
        "images": [an_image()] if images is None else images,
        "categories": [{"id": 1, "name": "cell"}] if categories is None else categories,
        "annotations": list(annotations),
    }


def read_all(adapter):
    return [adapter.read(entry.record) for entry in adapter.index().entries]


def read_one(folder, annotation, **parts):
    """The sample of the one image of a file with one annotation."""
    [sample] = read_all(adapter_of(folder, a_file([annotation], **parts)))
    return sample


def rows(issues):
    return [[issue.code, issue.object, issue.line] for issue in issues]


def placeless(sample):
    """The sample without where its instances stand in the file, all that the writing of the file changes."""
    instances = tuple(instance.model_copy(update={"offset": None}) for instance in sample.instances)
    return sample.model_copy(update={"instances": instances})


# what an annotation is


@pytest.mark.parametrize("iscrowd", [0, 1, False, True, None, "absent"])
@pytest.mark.parametrize(
    ("segmentation", "shape"),
    [
        (TRIANGLE, Polygons(parts=((1, 1, 7, 1, 7, 5),))),
        ([[0, 0, 2, 0, 2, 2], [4, 4, 6, 4, 6, 6]], Polygons(parts=((0, 0, 2, 0, 2, 2), (4, 4, 6, 4, 6, 6)))),
        ({"size": [HEIGHT, WIDTH], "counts": RUNS}, Rle(width=WIDTH, height=HEIGHT, counts=tuple(RUNS))),
        ({"size": [HEIGHT, WIDTH], "counts": STRING}, Rle(width=WIDTH, height=HEIGHT, counts=STRING)),
    ],
    ids=["polygon", "two parts", "run lengths", "compressed"],
)
def test_the_type_tells_the_encoding_and_iscrowd_only_the_crowd(tmp_path, segmentation, shape, iscrowd):
    annotation = an_annotation(segmentation=segmentation, iscrowd=iscrowd)
    if iscrowd == "absent":
        del annotation["iscrowd"]
    sample = read_one(tmp_path, annotation)
    [instance] = sample.instances
    assert instance.shape == shape
    assert instance.crowd is (iscrowd in (1, True))
    assert (instance.label, instance.id, sample.issues) == ("cell", "1", ())


@pytest.mark.parametrize("iscrowd", [0, 1])
@pytest.mark.parametrize(
    "segmentation",
    [
        TRIANGLE,
        [[1.5, 0.25, 7.5, 0.25, 7.5, 5.5], [0, 3, 3, 3, 3, 6]],
        {"size": [HEIGHT, WIDTH], "counts": RUNS},
        {"size": [HEIGHT, WIDTH], "counts": [0, 48]},
        {"size": [HEIGHT, WIDTH], "counts": STRING},
    ],
)
def test_the_pixels_are_those_of_pycocotools(tmp_path, segmentation, iscrowd):
    [instance] = read_one(tmp_path, an_annotation(segmentation=segmentation, iscrowd=iscrowd)).instances
    found = Rasteriser(WIDTH, HEIGHT).runs(instance.shape)
    counts = {"size": [HEIGHT, WIDTH], "counts": list(found.to_counts())}
    assert coco_mask.frPyObjects(counts, HEIGHT, WIDTH) == by_pycocotools(segmentation)


def by_pycocotools(segmentation):
    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return {**segmentation, "counts": segmentation["counts"].encode()}
    encoded = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    return coco_mask.merge(encoded) if isinstance(encoded, list) else encoded


@pytest.mark.parametrize("nothing", [{"segmentation": []}, {"segmentation": None}, {}])
def test_a_box_stands_in_where_there_is_no_mask(tmp_path, nothing):
    annotation = {"id": 3, "image_id": 1, "category_id": 1, "bbox": [2, 1.5, 3, 4], **nothing}
    assert read_one(tmp_path, annotation).instances[0].shape == Box(x0=2, y0=1.5, x1=5, y1=5.5)


def test_a_box_beside_a_mask_is_not_read(tmp_path):
    [instance] = read_one(tmp_path, an_annotation(bbox=[0, 0, 1, 1])).instances
    assert isinstance(instance.shape, Polygons)


@pytest.mark.parametrize(
    "fields",
    [{}, {"bbox": None}, {"bbox": []}, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, 3, 4, 5]}],
)
@pytest.mark.parametrize("nothing", [{"segmentation": []}, {"segmentation": None}, {}])
def test_neither_mask_nor_box(tmp_path, nothing, fields):
    sample = read_one(tmp_path, {"id": 3, "image_id": 1, "category_id": 1, **nothing, **fields})
    assert (sample.instances, rows(sample.issues)) == ((), [["object-shape-missing", "3", 1]])


@pytest.mark.parametrize(
    "fields",
    [
        {"segmentation": "polygon"},
        {"segmentation": 5},
        {"segmentation": [1, 1, 7, 1, 7, 5]},
        {"segmentation": [["1", "1", "7", "1", "7", "5"]]},
        {"segmentation": [[1, 1, 7, 1, 7, None]]},
        {"segmentation": [None]},
        {"segmentation": {}},
        {"segmentation": {"counts": RUNS}},
        {"segmentation": {"size": [HEIGHT, WIDTH]}},
        {"segmentation": {"size": [HEIGHT], "counts": RUNS}},
        {"segmentation": {"size": [HEIGHT, WIDTH, 1], "counts": RUNS}},
        {"segmentation": {"size": [0, WIDTH], "counts": RUNS}},
        {"segmentation": {"size": [HEIGHT, -WIDTH], "counts": RUNS}},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": None}},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1.5, 46.5]}},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [["48"]]}},
        {"bbox": ["1", 2, 3, 4]},
        {"bbox": {"x": 1}},
        {"iscrowd": "yes"},
        {"iscrowd": 0.5},
        {"category_id": None},
        {"category_id": 1.5},
        {"category_id": [1]},
    ],
    ids=str,
)
def test_wrong_types_cost_the_annotation_alone(tmp_path, fields):
    content = a_file([an_annotation(5), an_annotation(6, **fields), an_annotation(7)])
    [sample] = read_all(adapter_of(tmp_path, content))
    assert rows(sample.issues) == [["annotation-broken", "6", 1]]
    assert [instance.id for instance in sample.instances] == ["5", "7"]


def test_a_category_is_needed(tmp_path):
    annotation = an_annotation(6)
    del annotation["category_id"]
    assert rows(read_one(tmp_path, annotation).issues) == [["annotation-broken", "6", 1]]


def test_further_fields_are_none_of_our_business(tmp_path):
    annotation = an_annotation(keypoints=[1, 2, 0], num_keypoints=0, attributes={"a": [None]}, score="high")
    assert len(read_one(tmp_path, annotation).instances) == 1


def test_an_annotation_may_have_no_id(tmp_path):
    annotation = an_annotation()
    del annotation["id"]
    adapter = adapter_of(tmp_path, one_each_line(a_file([an_annotation(), annotation])).encode())
    [entry] = adapter.index().entries
    sample = adapter.read(entry.record)
    assert [(i.id, adapter.where(entry.record, i)) for i in sample.instances] == [
        ("1", (tmp_path / "instances.json", 8)),
        (None, (tmp_path / "instances.json", 9)),
    ]


def test_a_fault_of_an_annotation_without_an_id_stands_at_its_line(tmp_path):
    annotation = an_annotation(category_id=9)
    del annotation["id"]
    [sample] = read_all(adapter_of(tmp_path, one_each_line(a_file([an_annotation(), annotation])).encode()))
    assert rows(sample.issues) == [["category-unknown", None, 9]]
    assert sample.issues[0].path == str(tmp_path / "instances.json")


# categories


@pytest.mark.parametrize("ids", [[1, 2, 3], [0, 1, 2], [90, 3, 17], ["a", "b", "c"], [0, "0", -4], [2**70, 1, 2]])
def test_category_ids_of_any_kind(tmp_path, ids):
    names = ["cat", "dog", "naïve 細胞"]
    categories = [{"id": i, "name": name, "supercategory": "x"} for i, name in zip(ids, names, strict=True)]
    annotations = [an_annotation(n, category_id=i) for n, i in enumerate(reversed(ids))]
    adapter = adapter_of(tmp_path, a_file(annotations, categories=categories))
    index = adapter.index()
    assert (list(index.labels), list(index.issues)) == (names, [])
    [sample] = read_all(adapter)
    assert [instance.label for instance in sample.instances] == names[::-1]


@pytest.mark.parametrize(("listed", "named"), [(1, 2), (1, "1"), ("1", 1), (1, 0)])
def test_an_id_that_is_no_category(tmp_path, listed, named):
    sample = read_one(tmp_path, an_annotation(4, category_id=named), categories=[{"id": listed, "name": "cell"}])
    assert (sample.instances, rows(sample.issues)) == ((), [["category-unknown", "4", 1]])


def test_without_categories_no_annotation_has_one(tmp_path):
    content = {"images": [an_image()], "annotations": [an_annotation(4)]}
    [sample] = read_all(adapter_of(tmp_path, content))
    assert rows(sample.issues) == [["category-unknown", "4", 1]]


def test_one_category_twice_is_one(tmp_path):
    index = adapter_of(tmp_path, a_file(categories=[{"id": 1, "name": "cell"}] * 2)).index()
    assert (list(index.labels), list(index.issues)) == (["cell"], [])


def test_one_category_id_for_two_names_means_neither(tmp_path):
    categories = [{"id": 1, "name": "cell"}, {"id": 1, "name": "debris"}, {"id": 2, "name": "nucleus"}]
    adapter = adapter_of(tmp_path, a_file([an_annotation(), an_annotation(2, category_id=2)], categories=categories))
    index = adapter.index()
    assert list(index.labels) == ["cell", "nucleus"]
    assert rows(index.issues) == [["category-id-duplicate", None, 1]]
    assert "cell" in next(iter(index.issues)).message
    assert "debris" in next(iter(index.issues)).message
    [sample] = read_all(adapter)
    assert [instance.label for instance in sample.instances] == ["nucleus"]
    assert [issue.code for issue in sample.issues] == ["category-unknown"]


def test_one_name_for_two_category_ids_is_one_class(tmp_path):
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}, {"id": 7, "name": "cell"}]
    annotations = [an_annotation(n, category_id=n) for n in (7, 1, 2)]
    adapter = adapter_of(tmp_path, a_file(annotations, categories=categories))
    assert list(adapter.index().labels) == ["cell", "debris"]
    assert [instance.label for instance in read_all(adapter)[0].instances] == ["cell", "cell", "debris"]


def test_broken_categories(tmp_path):
    categories = [{"id": 1, "name": "cell"}, {"id": 2}, {"name": "debris"}, {"id": 3, "name": None}, 4]
    index = adapter_of(tmp_path, a_file(categories=categories)).index()
    assert list(index.labels) == ["cell"]
    assert [issue.code for issue in index.issues] == ["category-broken"] * 4
    assert all((issue.record, issue.object, issue.loss) == (None, None, None) for issue in index.issues)


# images, and to whom annotations belong


def test_images_without_annotations(tmp_path):
    adapter = adapter_of(tmp_path, a_file([an_annotation(image=2)], images=[an_image(n) for n in (1, 2, 3)]))
    assert [len(sample.instances) for sample in read_all(adapter)] == [0, 1, 0]
    assert list(adapter.index().issues) == []


def test_the_list_of_annotations_may_be_missing(tmp_path):
    samples = read_all(adapter_of(tmp_path, {"images": [an_image()]}))
    assert [(sample.key, sample.instances) for sample in samples] == [("1.png", ())]


def test_no_image_at_all(tmp_path):
    index = adapter_of(tmp_path, a_file(images=[])).index()
    assert (list(index.entries), list(index.labels), list(index.issues)) == ([], ["cell"], [])


def test_entries_state_what_the_file_says(tmp_path):
    """Each object is taken to have the mean of the areas 10.5, 4, 99 and 2.5, which is 29, or all of its image."""
    images = [
        an_image(7),
        an_image("x"),
        {"id": 9, "file_name": "sub/9.png"},
        an_image(10, width=None),
        an_image(11, width=5, height=4),
    ]
    annotations = [
        an_annotation(1, 7, area=10.5),
        an_annotation(2, 7, area=4),
        an_annotation(3, 9, area=99),
        an_annotation(4, 11, area=2.5),
        an_annotation(5, 7),
    ]
    entries = adapter_of(tmp_path, a_file(annotations, images)).index().entries
    assert [(e.key, e.id, e.pixels, e.positives) for e in entries] == [
        ("7.png", 7, 48, 3 * 29),
        ("x.png", None, 48, 0),
        ("sub/9.png", 9, 0, 0),
        ("10.png", 10, 0, 0),
        ("11.png", 11, 20, 20),
    ]
    assert [e.split for e in entries] == [None] * 5


def test_the_areas_of_a_large_file_are_estimated_too(tmp_path):
    annotations = [an_annotation(n, 1 + (n % 5 == 0), area=7.5) for n in range(5000)]
    entries = adapter_of(tmp_path, a_file(annotations, [an_image(1), an_image(2)])).index().entries
    assert [entry.positives for entry in entries] == [4000 * 7, 1000 * 7]


@pytest.mark.parametrize(
    ("area", "pixels"),
    [(-5, 0), (-1e308, 0), (0, 0), (1e9, WIDTH * HEIGHT), (1e300, WIDTH * HEIGHT), (1e308, WIDTH * HEIGHT), (None, 0)],
)
def test_an_absurd_area_is_no_estimate(tmp_path, area, pixels):
    [entry] = adapter_of(tmp_path, a_file([an_annotation(n, area=area) for n in range(3)])).index().entries
    assert entry.positives == 3 * pixels


def test_no_area_at_all_is_no_estimate(tmp_path):
    [entry] = adapter_of(tmp_path, a_file([an_annotation(1), an_annotation(2)])).index().entries
    assert entry.positives == 0


@pytest.mark.parametrize(
    ("area", "mean"),
    [
        ('"12"', [5]),
        ("NaN", [2, 5]),
        ("Infinity", [2, 5, WIDTH * HEIGHT]),
        ("-Infinity", [0, 2, 5]),
        ("null", [5]),
        ("[12]", [5]),
        ('{"pixels": 12}', [5]),
        ("[NaN]", [5]),
        ("-12", [0]),
        ("12", [8]),
        ("1e999", [5, WIDTH * HEIGHT]),
        pytest.param("1" + "0" * 400, [5, WIDTH * HEIGHT], id="400 digits"),
        pytest.param("1" * 1_000_000, [5, WIDTH * HEIGHT], id="a million digits"),
    ],
)
def test_an_area_of_any_kind_costs_nothing(tmp_path, area, mean):
    """Only an estimate hangs on it: the mean of that area and 5, or 5 alone where that area is none.

    What is not finite may count as 0, and what is too large as all that the image has.
    """
    text = json.dumps(a_file([an_annotation(1, area="@"), an_annotation(2, area=5)])).replace('"@"', area)
    adapter = adapter_of(tmp_path, text.encode())
    index = adapter.index()
    assert list(index.issues) == []
    assert index.entries[0].positives in [2 * pixels for pixels in mean]
    [sample] = read_all(adapter)
    assert ([instance.id for instance in sample.instances], sample.issues) == (["1", "2"], ())


@pytest.mark.parametrize(
    ("fields", "box", "area"),
    [
        ({}, None, None),
        ({"bbox": [1, 2, 3.5, 4]}, (1, 2, 4.5, 6), None),
        ({"bbox": [1, 2, 3], "area": None}, None, None),
        ({"bbox": [], "area": "12"}, None, None),
        ({"bbox": [1, 2, -3, 4], "area": -1}, (1, 2, -2, 6), -1),
        ({"bbox": [1, 2, 3, 4], "area": 6.25}, (1, 2, 4, 6), 6.25),
        ({"bbox": None, "area": [6]}, None, None),
        ({"bbox": [1, 2, 3, 4], "segmentation": {"size": [6, 8], "counts": [40, 8]}, "area": 8}, (1, 2, 4, 6), 8),
        ({"bbox": [1, 2, 3, 4], "segmentation": [], "area": 12}, None, 12),
    ],
)
def test_what_is_stated_of_a_mask(tmp_path, fields, box, area):
    """A box that takes the place of the mask is not held against itself."""
    [sample] = read_all(adapter_of(tmp_path, a_file([an_annotation(1, **fields)])))
    [instance] = sample.instances
    stated = instance.stated_box
    assert stated is None if box is None else (stated.x0, stated.y0, stated.x1, stated.y1) == box
    assert instance.stated_area == area


def test_order_is_that_of_the_file(tmp_path):
    images = [an_image(n) for n in (30, 4, 17, 2)]
    owners = [2, 30, 17, 2, 30, 30, 4, 2, 17]
    annotations = [an_annotation(number, owner) for number, owner in zip(range(900, 0, -100), owners, strict=True)]
    samples = read_all(adapter_of(tmp_path, a_file(annotations, images)))
    assert [sample.key for sample in samples] == ["30.png", "4.png", "17.png", "2.png"]
    assert [[i.id for i in sample.instances] for sample in samples] == [
        ["800", "500", "400"],
        ["300"],
        ["700", "100"],
        ["900", "600", "200"],
    ]


def test_entries_are_a_sequence(tmp_path):
    entries = adapter_of(tmp_path, a_file([], [an_image(n) for n in range(5)])).index().entries
    assert len(entries) == 5
    assert entries[-1] == entries[4]
    assert [entry.key for entry in entries[1:4:2]] == ["1.png", "3.png"]
    assert [entry.key for entry in entries] == [f"{n}.png" for n in range(5)]
    with pytest.raises(IndexError):
        entries[5]


def index_rows(index):
    return [[issue.code, issue.record, issue.object, issue.loss] for issue in index.issues]


def test_a_second_image_with_the_same_id_is_dropped(tmp_path):
    images = [an_image(1), an_image(1, file_name="copy.png")]
    adapter = adapter_of(tmp_path, a_file([an_annotation(8), an_annotation(9)], images))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["1.png"]
    assert index_rows(index) == [["image-id-duplicate", "copy.png", None, "image"]]
    assert next(iter(index.issues)).message == "id 1 is taken by another image"
    assert [i.id for i in read_all(adapter)[0].instances] == ["8", "9"]


def test_a_second_image_with_the_same_file_takes_its_annotations_with_it(tmp_path):
    images = [an_image(1), an_image(2, file_name="1.png"), an_image(3)]
    adapter = adapter_of(tmp_path, a_file([an_annotation(7, 2), an_annotation(8, 1), an_annotation(9, 3)], images))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["1.png", "3.png"]
    assert index_rows(index) == [
        ["image-key-duplicate", "1.png", None, "image"],
        ["object-lost-with-image", None, "7", "object"],
    ]
    assert [[i.id for i in sample.instances] for sample in read_all(adapter)] == [["8"], ["9"]]


@pytest.mark.parametrize(
    "second",
    [
        "s/a.png",
        "./s/a.png",
        ".//s/a.png",
        "s\\a.png",
        ".\\s\\a.png",
        "s//a.png",
        "s/./a.png",
        "s/a.png/",
        "s/a.png//",
        "s/a.png/.",
        "s/a.png/./",
        "s\\a.png\\",
        "s\\a.png\\.",
    ],
)
@pytest.mark.parametrize("first", ["s/a.png", "./s/a.png", "s\\a.png", "s/a.png/."])
def test_one_file_is_one_file_however_it_is_spelt(tmp_path, first, second):
    images = [an_image(1, file_name=first), an_image(2, file_name=second)]
    adapter = adapter_of(tmp_path, a_file([an_annotation(7, 2), an_annotation(8, 1)], images))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["s/a.png"]
    assert index_rows(index) == [
        ["image-key-duplicate", "s/a.png", None, "image"],
        ["object-lost-with-image", None, "7", "object"],
    ]
    assert [[i.id for i in sample.instances] for sample in read_all(adapter)] == [["8"]]


@pytest.mark.parametrize("second", ["t/a.png", "a.png", "s/A.png", "s/../s/a.png", "s/ a.png", "/s/a.png"])
def test_other_names_are_other_files(tmp_path, second):
    adapter = adapter_of(tmp_path, a_file(images=[an_image(1, file_name="s/a.png"), an_image(2, file_name=second)]))
    index = adapter.index()
    assert ([entry.key for entry in index.entries], list(index.issues)) == (["s/a.png", second], [])


def test_a_second_annotation_with_the_same_id_is_kept(tmp_path):
    annotations = [an_annotation(5), an_annotation(6), an_annotation(5), an_annotation(None), an_annotation(None)]
    adapter = adapter_of(tmp_path, a_file(annotations))
    assert index_rows(adapter.index()) == [["annotation-id-duplicate", None, "5", None]]
    assert [i.id for i in read_all(adapter)[0].instances] == ["5", "6", "5", None, None]


@pytest.mark.parametrize("owner", [2, 0, -1, "1", "", "1.png", 2**70])
def test_an_orphan_is_named(tmp_path, owner):
    adapter = adapter_of(tmp_path, a_file([an_annotation(5, owner), an_annotation(6)]))
    assert index_rows(adapter.index()) == [["annotation-orphaned", None, "5", "object"]]
    assert [i.id for i in read_all(adapter)[0].instances] == ["6"]


def test_an_orphan_may_have_a_taken_id_as_well(tmp_path):
    adapter = adapter_of(tmp_path, a_file([an_annotation(5), an_annotation(5, 9), an_annotation(5, None)]))
    assert index_rows(adapter.index()) == [
        ["annotation-id-duplicate", None, "5", None],
        ["annotation-orphaned", None, "5", "object"],
        ["annotation-broken", None, "5", "object"],
    ]


@pytest.mark.parametrize("owner", [None, 1.5, [1], {"id": 1}, True])
def test_an_annotation_with_a_broken_owner_is_named(tmp_path, owner):
    adapter = adapter_of(tmp_path, a_file([an_annotation(5, owner), an_annotation(6)]))
    assert index_rows(adapter.index()) == [["annotation-broken", None, "5", "object"]]
    assert [i.id for i in read_all(adapter)[0].instances] == ["6"]


def test_annotations_that_are_no_objects(tmp_path):
    adapter = adapter_of(tmp_path, a_file([None, an_annotation(6), 5, "text", [], {}]))
    assert index_rows(adapter.index()) == [["annotation-broken", None, None, "object"]] * 5
    assert [i.id for i in read_all(adapter)[0].instances] == ["6"]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"id": 2}, None),
        ({"file_name": "2.png"}, None),
        ({"id": 2, "file_name": None}, None),
        ({"id": 2, "file_name": 5}, None),
        ({"id": None, "file_name": "2.png"}, None),
        ({"id": [2], "file_name": "2.png"}, None),
        ({"id": True, "file_name": "2.png"}, None),
        (an_image(2, width="8"), None),
        (an_image(2, width=0), "2.png"),
        (an_image(2, height=-6), "2.png"),
        (an_image(2, width=2**31), "2.png"),
        (an_image(2, height=0, file_name=".\\s\\2.png"), "s/2.png"),
        (an_image(2, height=[6]), None),
        (5, None),
        (None, None),
    ],
    ids=str,
)
def test_a_broken_image_entry_costs_itself(tmp_path, entry, named):
    """It is named where it can be read, though not used."""
    adapter = adapter_of(tmp_path, a_file([an_annotation(5, 1)], [an_image(1), entry, an_image(3)]))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["1.png", "3.png"]
    assert index_rows(index) == [["image-entry-broken", named, None, "image"]]
    assert len(read_all(adapter)[0].instances) == 1


@pytest.mark.parametrize(
    ("entry", "code"),
    [({"id": 2, "file_name": 5}, "annotation-orphaned"), (an_image(2, width=0), "object-lost-with-image")],
)
def test_annotations_of_a_broken_image_entry_are_listed(tmp_path, entry, code):
    index = adapter_of(tmp_path, a_file([an_annotation(5, 2), an_annotation(6, 2)], [an_image(1), entry])).index()
    assert [issue.code for issue in index.issues] == ["image-entry-broken", code, code]
    assert [issue.object for issue in index.issues][1:] == ["5", "6"]


@pytest.mark.parametrize("fields", [{"width": 0}, {"file_name": "1.png"}, {"height": 2**70, "file_name": "1.png"}])
def test_an_image_whose_id_is_taken_is_told_that_alone(tmp_path, fields):
    index = adapter_of(tmp_path, a_file(images=[an_image(1), an_image(2), an_image(2, **fields)])).index()
    assert [(issue.code, issue.line) for issue in index.issues] == [("image-id-duplicate", 1)]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64 + 1, 2**70])
def test_an_image_id_that_no_record_can_hold(tmp_path, number):
    """A record holds 64 bits; of a larger number it would hold another, 1 for 2**64 + 1."""
    index = adapter_of(tmp_path, a_file(images=[an_image(1), an_image(number, file_name="2.png")])).index()
    assert [entry.key for entry in index.entries] == ["1.png"]
    assert index_rows(index) == [["image-entry-broken", "2.png", None, "image"]]


@pytest.mark.parametrize("number", [0, -5, 2**63 - 1, -(2**63)])
def test_the_extreme_image_ids_that_a_record_can_hold(tmp_path, number):
    index = adapter_of(tmp_path, a_file(images=[an_image(number)])).index()
    assert ([entry.id for entry in index.entries], list(index.issues)) == ([number], [])


# the image file


@pytest.mark.parametrize(
    ("file_name", "below"),
    [
        ("a.png", "a.png"),
        ("s/t/a.png", "s/t/a.png"),
        ("s\\t\\a.png", "s/t/a.png"),
        ("s\\t/a.png", "s/t/a.png"),
        ("./a.png", "a.png"),
        (".\\a.png", "a.png"),
        ("s//t/./a.png", "s/t/a.png"),
        ("s/../a.png", "s/../a.png"),
        (" s/é a.png ", " s/é a.png "),
    ],
)
def test_file_names_with_folders(tmp_path, file_name, below):
    """Backslashes are read as slashes, and whatever the spelling, image and record have one name."""
    adapter = adapter_of(tmp_path, a_file(images=[an_image(file_name=file_name)]), images=tmp_path / "pictures")
    [entry] = adapter.index().entries
    sample = adapter.read(entry.record)
    assert sample.image.path == tmp_path / "pictures" / below
    assert sample.image.origin() == tmp_path / "pictures" / below
    assert (entry.key, entry.record.file_name, sample.key) == (below, below, below)


def test_the_folder_of_images_is_that_of_the_file_unless_named(tmp_path):
    adapter = adapter_of(tmp_path, a_file())
    assert read_all(adapter)[0].image.path == tmp_path / "1.png"


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"width": 8, "height": 6}, (8, 6)),
        ({"width": None, "height": 6}, None),
        ({"width": 8}, None),
        ({}, None),
    ],
)
def test_the_size_may_be_unknown(tmp_path, fields, size):
    [sample] = read_all(adapter_of(tmp_path, a_file(images=[{"id": 1, "file_name": "1.png", **fields}])))
    assert sample.image.size == size


def converted(folder, content, **settings):
    """Convert a file beside its pictures, going on at errors; the issues and the names of the records."""
    adapter_of(folder, content)
    source = {"adapter": "coco", "annotations": "instances.json", "images": "pictures"}
    config = {
        "sources": [source],
        "on_error": "skip-object",
        "output": {"directory": "out", "shuffle": None},
        "run": {"executor": "serial"},
        **settings,
    }
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    convert(folder / "config.yaml")
    lines = (folder / "out" / "issues.jsonl").read_text(encoding="utf-8").splitlines()
    [shard] = (folder / "out").glob("*-of-*.json")
    records = json.loads(shard.read_text(encoding="utf-8"))["records"]
    return [json.loads(line) for line in lines], [record["key"] for record in records]


def paint(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)).save(path, format="PNG")


@pytest.fixture
def pictures(tmp_path):
    """A folder with a picture in it, and one outside it."""
    paint(tmp_path / "pictures" / "1.png")
    paint(tmp_path / "secret.png")
    paint(tmp_path / "pictures-too" / "a.png")
    (tmp_path / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "pictures" / "folder").symlink_to(tmp_path)
    (tmp_path / "pictures" / "inner.png").symlink_to("1.png")
    (tmp_path / "pictures" / "loop.png").symlink_to("loop.png")
    (tmp_path / "pictures" / "is-a-folder.png").mkdir()
    return tmp_path


SPELT_OTHERWISE = {
    "..\\secret.png": "../secret.png",
    "C:\\pictures\\3.png": "C:/pictures/3.png",
    "./1.png": "1.png",
    ".\\folder\\pictures\\1.png": "folder/pictures/1.png",
}
"""The key of an image whose `file_name` is not yet what it comes to."""


@pytest.mark.parametrize(
    ("file_name", "code"),
    [
        ("../secret.png", "image-outside-folder"),
        ("..\\secret.png", "image-outside-folder"),
        ("sub/../../secret.png", "image-outside-folder"),
        ("../pictures-too/a.png", "image-outside-folder"),
        ("ABSOLUTE/secret.png", "image-outside-folder"),
        ("ABSOLUTE/pictures-too/a.png", "image-outside-folder"),
        ("link.png", "image-outside-folder"),
        ("folder/secret.png", "image-outside-folder"),
        ("../no-such.png", "image-outside-folder"),
        ("C:\\pictures\\3.png", "image-missing"),
        ("2.png", "image-missing"),
        ("1.png/2.png", "image-missing"),
        ("is-a-folder.png", "image-unreadable"),
        ("x" * 4000, "image-unreadable"),
        ("loop.png", "image-unreadable"),
        ("nul\0.png", "image-unreadable"),
    ],
    ids=lambda text: text[:24].replace("\0", "0"),
)
def test_a_name_that_is_no_image_in_the_folder(pictures, file_name, code):
    file_name = file_name.replace("ABSOLUTE", str(pictures))
    content = a_file([an_annotation(5, 1), an_annotation(6, 2)], [an_image(1), an_image(2, file_name=file_name)])
    issues, written = converted(pictures, content)
    key = SPELT_OTHERWISE.get(file_name, file_name)
    assert [[issue["code"], issue["record"], issue["object"]] for issue in issues] == [
        [code, key, None],
        ["object-lost-with-image", key, "6"],
    ]
    assert written == ["1.png"]


@pytest.mark.parametrize("file_name", ["", ".", "./", ".\\", "./."])
def test_a_name_that_is_empty(pictures, file_name):
    """It comes to the folder of images itself."""
    content = a_file([an_annotation(5, 1), an_annotation(6, 2)], [an_image(1), an_image(2, file_name=file_name)])
    issues, written = converted(pictures, content)
    assert [[issue["code"], issue["record"], issue["object"]] for issue in issues] == [
        ["image-unreadable", ".", None],
        ["object-lost-with-image", ".", "6"],
    ]
    assert written == ["1.png"]


@pytest.mark.parametrize(
    "file_name",
    ["inner.png", "folder/pictures/1.png", "../pictures/1.png", "./1.png", ".\\folder\\pictures\\1.png"],
)
def test_a_name_that_comes_back_into_the_folder(pictures, file_name):
    issues, written = converted(pictures, a_file([an_annotation(5, 2)], [an_image(2, file_name=file_name)]))
    assert (issues, written) == ([], [SPELT_OTHERWISE.get(file_name, file_name)])


@pytest.mark.parametrize("exponent", [10, 19, 200, 400])
def test_a_size_beyond_measure_is_a_size_that_differs(pictures, exponent):
    content = a_file([an_annotation(5, 2)], [an_image(1), an_image(2, width=10**exponent, height=10**exponent)])
    paint(pictures / "pictures" / "2.png")
    issues, written = converted(pictures, content)
    assert [issue["code"] for issue in issues] in (
        ["image-size-differs", "object-lost-with-image"],
        ["image-entry-broken", "object-lost-with-image"],
        ["image-entry-broken", "annotation-orphaned"],
    )
    assert written == ["1.png"]


# the text of the file


LIST = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 10**6), "image_id": st.integers(0, 3), "category_id": st.just(1)},
        optional={
            "segmentation": st.lists(st.lists(st.integers(-9, 99), max_size=8), max_size=3),
            "note": st.text(alphabet=' ,{}[]":\\\n\té細x', max_size=8),
        },
    ),
    max_size=8,
    unique_by=lambda annotation: annotation["id"],
)
SPACE = st.text(alphabet=" \t\r\n", max_size=4)


def pieces_of(content: bytes, index):
    """What stands at the spans of each entry."""
    return [[content[at : at + length] for at, length in entry.record.spans] for entry in index.entries]


@given(annotations=LIST, data=st.data(), byte_order_mark=st.booleans(), ascii_only=st.booleans())
def test_spans_are_exact_whatever_the_white_space(tmp_path_factory, annotations, data, byte_order_mark, ascii_only):
    texts = [json.dumps(annotation, ensure_ascii=ascii_only) for annotation in annotations]
    spaced = ",".join(data.draw(SPACE) + text + data.draw(SPACE) for text in texts)
    images = [an_image(n) for n in range(4)]
    text = f'{{"images": {json.dumps(images)},\n "annotations":{data.draw(SPACE)}[{spaced}], "categories": []}}'
    content = text.encode("utf-8-sig" if byte_order_mark else "utf-8")
    index = adapter_of(tmp_path_factory.mktemp("coco"), content).index()
    expected = [[t.encode() for t, a in zip(texts, annotations, strict=True) if a["image_id"] == n] for n in range(4)]
    assert pieces_of(content, index) == expected
    assert list(index.issues) == []


def one_each_line(content):
    lists = [f'"{name}": [\n' + ",\n".join(map(json.dumps, items)) + "\n]" for name, items in content.items()]
    return "{" + ",\n".join(lists) + "}\n"


WRITTEN_AS = {
    "compact": lambda content: json.dumps(content, separators=(",", ":")),
    "plain": json.dumps,
    "pretty": lambda content: json.dumps(content, indent=2),
    "tabs": lambda content: json.dumps(content, indent="\t"),
    "one each line": one_each_line,
    "annotations first": lambda content: json.dumps(dict(reversed(content.items()))),
    "windows": lambda content: json.dumps(content, indent=2).replace("\n", "\r\n"),
    "byte order mark": lambda content: "\ufeff" + json.dumps(content, indent=1),
    "white space around": lambda content: "\n\n  " + json.dumps(content) + "\r\n\t ",
    "irregular": lambda content: json.dumps(content).replace('}, {"id": 7', '} ,\n\n   {"id": 7'),
    "not finite": lambda content: json.dumps({"info": [math.nan, math.inf, -math.inf], **content}),
}


@pytest.mark.parametrize("way", WRITTEN_AS)
def test_one_index_however_the_file_is_written(tmp_path, way):
    images = [an_image(n, file_name=f"é{n}.png") for n in range(3)]
    annotations = [an_annotation(n, n % 3, area=n, note="細胞, {") for n in range(12)]
    content = a_file(annotations, images)
    expected = adapter_of(tmp_path, content, "expected.json")
    text = WRITTEN_AS[way](content)
    adapter = adapter_of(tmp_path, text.encode(), "written.json")
    index, right = adapter.index(), expected.index()
    assert [(e.key, e.id, e.pixels, e.positives) for e in index.entries] == [
        (e.key, e.id, e.pixels, e.positives) for e in right.entries
    ]
    assert (list(index.labels), list(index.issues)) == (list(right.labels), [])
    of_each = [[a for a in annotations if a["image_id"] == n] for n in range(3)]
    assert [[json.loads(piece) for piece in pieces] for pieces in pieces_of(text.encode(), index)] == of_each
    samples = read_all(adapter)
    assert list(map(placeless, samples)) == list(map(placeless, read_all(expected)))
    behind = [[text.encode()[i.offset :].decode() for i in sample.instances] for sample in samples]
    assert [[json.JSONDecoder().raw_decode(rest)[0] for rest in texts] for texts in behind] == of_each
    records = [entry.record for entry in index.entries]
    places = [
        adapter.where(record, instance)
        for record, sample in zip(records, samples, strict=True)
        for instance in sample.instances
    ]
    assert places == [
        (tmp_path / "written.json", text.count("\n") - rest.count("\n") + 1) for texts in behind for rest in texts
    ]


LINES = """\
{
  "images": [
    {"id": 1, "file_name": "1.png", "width": 8, "height": 6},
    {
      "id": 2,
      "file_name": "2.png",
      "width": -8, "height": 6
    },
    {"id": 1, "file_name": "again.png"}
  ],
  "annotations": [
    {"id": 11, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 7, 1, 7, 5]]}, {"id": 12, "image_id": 9},

    {
      "id": 13, "image_id": 1,
      "category_id": 5
    },
    {"id": 14, "image_id": 1, "category_id": 1, "segmentation":
      "none"}, {"id": 15, "image_id": 1, "category_id": 1},
    {"id": 16,
     "image_id": 2},
    {"id": 11, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 7, 1, 7, 5]]},
    {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 7, 1, 7, 5]]}
  ],
  "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"},
    {"id": 2, "name": "debris"}]
}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("before", [0, 1, (1 << 14) - 1, 1 << 14, 40_000])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_issues_stand_at_their_line(tmp_path, newline, before, mark):
    text = newline * before + LINES.replace("\n", newline)
    adapter = adapter_of(tmp_path, mark + text.encode())
    index = adapter.index()
    assert [[issue.code, issue.record, issue.object, issue.line - before] for issue in index.issues] == [
        ["image-entry-broken", "2.png", None, 4],
        ["image-id-duplicate", "again.png", None, 9],
        ["annotation-orphaned", None, "12", 12],
        ["object-lost-with-image", None, "16", 20],
        ["annotation-id-duplicate", None, "11", 22],
        ["category-id-duplicate", None, None, 26],
    ]
    [entry] = index.entries
    path = tmp_path / "instances.json"
    sample = adapter.read(entry.record)
    assert [(i.id, adapter.where(entry.record, i)) for i in sample.instances] == [
        ("11", (path, 12 + before)),
        ("11", (path, 22 + before)),
        (None, (path, 23 + before)),
    ]
    assert [[issue.code, issue.object, issue.line - before] for issue in sample.issues] == [
        ["category-unknown", "13", 14],
        ["annotation-broken", "14", 18],
        ["object-shape-missing", "15", 19],
    ]
    assert {issue.path for issue in (*index.issues, *sample.issues)} == {str(path)}


FAULTY = [
    ("polygon-too-far", {"segmentation": [[1, 1, 1e8, 1, 7, 5]]}),
    ("polygon-not-finite", {"segmentation": [[1, 1, 7, 1, 7, math.nan]]}),
    ("polygon-outside-image", {"segmentation": [[-2, 1, 7, 1, 7, 5]]}),
    ("rle-sum-differs", {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1, 2]}}),
    ("rle-undecodable", {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "no run length"}}),
    ("mask-size-differs", {"segmentation": {"size": [WIDTH, HEIGHT], "counts": [0, 48]}}),
    ("mask-empty", {"segmentation": [[2, 2, 2, 2, 2, 2]]}),
    ("object-crowd", {"iscrowd": 1}),
    ("object-box-only", {"segmentation": None, "bbox": [1, 1, 3, 3]}),
    ("class-unknown", {"category_id": 2}),
    ("category-unknown", {"category_id": 3}),
    ("annotation-broken", {"segmentation": "none"}),
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("code", "fields"), FAULTY, ids=[code for code, _ in FAULTY])
def test_a_fault_that_only_pixels_show_stands_at_its_line_too(pictures, code, fields, indent):
    """Among good ones, of its image and of another, and beside one that has no id."""
    annotations = [an_annotation(4), an_annotation(None), an_annotation("x y"), an_annotation(6, **fields)]
    content = a_file(annotations, categories=[{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}])
    text = json.dumps(content, indent=indent)
    issues, _ = converted(pictures, text.encode(), classes={"names": ["cell"]})
    line = text.count("\n", 0, text.index('"id": 6')) + (0 if indent else 1)
    path = str(pictures / "instances.json")
    assert [[issue[name] for name in ("code", "record", "object", "path", "line")] for issue in issues] == [
        [code, "1.png", "6", path, line]
    ]


def test_a_fault_never_stands_at_the_line_of_another_annotation(pictures):
    """Good and faulty ones of one image that share an id, or have none; the first stands in line 8."""
    empty = [[2, 2, 2, 2, 2, 2]]
    annotations = [
        an_annotation(5),
        an_annotation(5, segmentation=empty),
        an_annotation(None),
        an_annotation(None, segmentation=empty),
        an_annotation(5),
        an_annotation(5, segmentation=empty),
    ]
    issues, _ = converted(pictures, one_each_line(a_file(annotations)).encode())
    assert [[issue["code"], issue["object"], issue["line"]] for issue in issues] == [
        *(["annotation-id-duplicate", "5", line] for line in (9, 12, 13)),
        ["mask-empty", "5", 9],
        ["mask-empty", None, 11],
        ["mask-empty", "5", 13],
    ]
    assert {issue["path"] for issue in issues} == {str(pictures / "instances.json")}


def test_issues_of_one_file_stand_in_its_order_whatever_they_are_about(tmp_path):
    """Lists in the other order; among the annotations, what is found of one alone and what of two."""
    content = {
        "annotations": [
            an_annotation(1),
            an_annotation(2, 9),
            an_annotation(1),
            an_annotation(3, None),
            an_annotation(4, 2),
        ],
        "categories": [{"id": 1, "name": "cell"}, {"id": 1, "name": "debris"}, {"id": 2}],
        "images": [an_image(1), an_image(2, width=0), 5, an_image(1)],
    }
    index = adapter_of(tmp_path, one_each_line(content).encode()).index()
    assert rows(index.issues) == [
        ["annotation-orphaned", "2", 3],
        ["annotation-id-duplicate", "1", 4],
        ["annotation-broken", "3", 5],
        ["object-lost-with-image", "4", 6],
        ["category-id-duplicate", None, 10],
        ["category-broken", None, 11],
        ["image-entry-broken", None, 15],
        ["image-entry-broken", None, 16],
        ["image-id-duplicate", None, 17],
    ]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("place", "code"),
    [
        ('"segmentation": [[1, 1, 7, 1, 7, @]]', None),
        ('"segmentation": [[@,1,7,1,7,5]]', None),
        ('"segmentation": [], "bbox": [@, 1, 2, 2]', None),
        ('"segmentation": [[1, 1, 7, 1, 7, 5]], "area": @', None),
        ('"segmentation": [[1, 1, 7, 1, 7, 5]], "note": @', None),
        ('"segmentation": [[1, 1, 7, 1, 7, 5]], "iscrowd": @', "annotation-broken"),
        ('"segmentation": {"size": [6, 8], "counts": [@, 48]}', "annotation-broken"),
        ('"segmentation": @', "annotation-broken"),
    ],
)
def test_a_literal_that_is_no_json_costs_its_object_at_most(tmp_path, literal, place, code):
    annotation = '{"id": 6, "image_id": 1, "category_id": 1, ' + place.replace("@", literal) + "}"
    text = json.dumps(a_file(["ANNOTATION", an_annotation(7)])).replace('"ANNOTATION"', annotation)
    adapter = adapter_of(tmp_path, text.encode())
    assert list(adapter.index().issues) == []
    [sample] = read_all(adapter)
    assert rows(sample.issues) == ([] if code is None else [[code, "6", 1]])
    assert [i.id for i in sample.instances] == (["6", "7"] if code is None else ["7"])
    numbers = [*getattr(sample.instances[0].shape, "parts", ())]
    if place.startswith('"segmentation": [[') and "@]]" in place:
        assert repr(numbers[0][-1]) == repr(float(literal))


def test_nan_and_another_fault_in_one_annotation_name_it_all_the_same(tmp_path):
    sample = read_one(tmp_path, an_annotation(6, category_id=9, segmentation=[[1, 1, 7, 1, 7, math.nan]]))
    assert rows(sample.issues) == [["category-unknown", "6", 1]]


@pytest.mark.parametrize("field", ["id", "file_name", "width"])
def test_nan_in_an_image_entry_costs_that_entry(tmp_path, field):
    adapter = adapter_of(tmp_path, a_file([an_annotation()], [an_image(1), an_image(2, **{field: math.nan})]))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["1.png"]
    assert index_rows(index) == [["image-entry-broken", None, None, "image"]]
    assert len(read_all(adapter)[0].instances) == 1


@pytest.mark.parametrize("field", ["id", "name"])
def test_nan_in_a_category_costs_that_category(tmp_path, field):
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris", field: math.nan}]
    index = adapter_of(tmp_path, a_file(categories=categories)).index()
    assert (list(index.labels), [issue.code for issue in index.issues]) == (["cell"], ["category-broken"])


def test_nan_in_the_id_of_the_image_costs_the_annotation(tmp_path):
    adapter = adapter_of(tmp_path, a_file([an_annotation(5, math.nan), an_annotation(6)]))
    assert index_rows(adapter.index()) == [["annotation-broken", None, "5", "object"]]
    assert [i.id for i in read_all(adapter)[0].instances] == ["6"]


@pytest.mark.parametrize(
    "word", ["NaN", "a NaN b", "a, NaN, b", "[Infinity]", ': -Infinity "NaN" ', 'a" NaN', "é\tNaN,"]
)
def test_the_word_in_a_name_is_a_name_also_beside_the_literal(tmp_path, word):
    content = a_file(
        [an_annotation(segmentation=[[1, 1, 7, 1, 7, math.nan]])],
        [an_image(file_name=word)],
        [{"id": 1, "name": word}],
    )
    adapter = adapter_of(tmp_path, content)
    index = adapter.index()
    assert ([e.key for e in index.entries], list(index.labels), list(index.issues)) == ([word], [word], [])
    assert read_all(adapter)[0].instances[0].label == word


def test_text_that_is_no_utf_8_costs_its_object(tmp_path):
    content = a_file(
        [an_annotation(5, note="LATIN"), an_annotation(6, 2)],
        [an_image(1), an_image(2, file_name="LATIN.png")],
        [{"id": 1, "name": "cell"}, {"id": 2, "name": "LATIN"}],
    )
    adapter = adapter_of(tmp_path, json.dumps(content).encode().replace(b"LATIN", b"\xe9"))
    assert [issue.code for issue in adapter.index().issues] == [
        "image-entry-broken",
        "category-broken",
        "annotation-orphaned",
    ]
    assert [i.id for i in read_all(adapter)[0].instances] == ["5"]


DIGITS = b"1" * 1_000_000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (a_file([an_annotation(5), an_annotation(6, segmentation=[[1, 1, 7, 1, 7, "@"]])]), "annotation-broken"),
        (a_file([an_annotation(5), an_annotation(6, category_id="@")]), "annotation-broken"),
        (a_file([an_annotation(5), an_annotation(6, "@")]), "annotation-broken"),
        (a_file([an_annotation(5)], [an_image(1), an_image(2, width="@")]), "image-entry-broken"),
        (a_file([an_annotation(5)], [an_image(1), an_image("@")]), "image-entry-broken"),
        (a_file([an_annotation(5)], categories=[{"id": 1, "name": "x"}, {"id": "@", "name": "y"}]), "category-broken"),
        (a_file([an_annotation(5, note="@")]), None),
    ],
    ids=["coordinate", "category of annotation", "image of annotation", "width", "image", "category", "unread"],
)
@pytest.mark.parametrize("number", [DIGITS, b"1e999"], ids=["a million digits", "a large exponent"])
def test_numbers_out_of_all_range(tmp_path, content, code, number):
    adapter = adapter_of(tmp_path, json.dumps(content).encode().replace(b'"@"', number).replace(b'"@.png"', b'"2.png"'))
    index = adapter.index()
    sample = read_all(adapter)[0]
    assert [issue.code for issue in (*index.issues, *sample.issues)] == ([] if code is None else [code])
    assert [i.id for i in sample.instances] == ["5"]


# files that are none


GOOD = json.dumps(a_file([an_annotation()]), indent=1).encode()


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"", 1, "not JSON"),
        (b"  ", 1, "not JSON"),
        (b"\xef\xbb\xbf", 1, "not JSON"),
        (b"hello", 1, "not JSON"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", 1, "not JSON"),
        (GOOD.decode().encode("utf-16"), 1, "not JSON"),
        (GOOD[:-40], GOOD[:-40].count(b"\n") + 1, "not JSON"),
        (b"\xef\xbb\xbf\r\n" + GOOD[:-40], GOOD[:-40].count(b"\n") + 2, "not JSON"),
        (GOOD.replace(b'"categories":', b'"categories"'), 10, "not JSON"),
        (GOOD.replace(b"\n", b"\r\n").replace(b'"categories":', b'"categories"'), 10, "not JSON"),
        (b"\xef\xbb\xbf" + GOOD.replace(b'"categories":', b'"categories"'), 10, "not JSON"),
        (GOOD + b"\n}", GOOD.count(b"\n") + 2, "not JSON"),
        (b"[]", None, "not a COCO"),
        (b"null", None, "not a COCO"),
        (b'"text"', None, "not a COCO"),
        (b"{}", None, "images"),
        (b'{"annotations": []}', None, "images"),
        (b'{"images": null}', None, "images"),
        (b'{"images": {}}', None, "images"),
        (b'{"images": [], "annotations": {}}', None, "annotations"),
        (b'{"images": [], "categories": 5}', None, "categories"),
        (b'{"annotations": [NaN]}', None, "images"),
        (b'{"images": [], "annotations": NaN}', None, "annotations"),
        (GOOD.replace(b'"categories":', b'"categories"').replace(b'"id": 1', b'"id": NaN', 1), 10, "not JSON"),
        (GOOD.replace(b'"id": 1', b'"id": 1NaN', 1), 4, "not JSON"),
        (GOOD.replace(b'"id": 1', b'"id": -NaN', 1), 4, "not JSON"),
        (GOOD.replace(b'"id": 1', b'"id": 1-Infinity', 1), 4, "not JSON"),
        (b"[" * 100_000, None, ""),
        (b'{"a":' * 100_000, None, "not JSON"),
        (b'{"images": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "not JSON"),
        (b'{"images": [], "info": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "not JSON"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
def test_a_file_that_is_no_annotation_file(tmp_path, content, line, told):
    adapter = adapter_of(tmp_path, content)
    with pytest.raises(SourceError) as caught:
        adapter.index()
    assert caught.value.exit_code == 4
    assert caught.value.path == tmp_path / "instances.json"
    if line is not None:
        assert caught.value.line == line
    assert str(caught.value).startswith(f"{tmp_path / 'instances.json'}:")
    assert told in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args  # noqa: S301


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError) as caught:
        CocoAdapter(CocoOptions(annotations=tmp_path / "none.json")).index()
    assert str(tmp_path / "none.json") in str(caught.value)


def test_a_file_that_is_a_folder(tmp_path):
    with pytest.raises(SourceError) as caught:
        CocoAdapter(CocoOptions(annotations=tmp_path)).index()
    assert caught.value.path == tmp_path


def test_a_file_that_goes_while_it_is_read(tmp_path):
    adapter = adapter_of(tmp_path, a_file([an_annotation()]))
    [entry] = adapter.index().entries
    adapter.options.annotations.unlink()
    with pytest.raises(SourceError) as caught:
        adapter.read(entry.record)
    assert caught.value.path == tmp_path / "instances.json"


def test_a_file_that_changes_while_it_is_read(tmp_path):
    """Something else may stand where an annotation was."""
    adapter = adapter_of(tmp_path, a_file([an_annotation()]))
    [entry] = adapter.index().entries
    os.utime(adapter.options.annotations, ns=(1, 1))
    with pytest.raises(SourceError, match="has changed while it was read"):
        adapter.read(entry.record)


# travel


def many(folder):
    categories = [{"id": n, "name": f"category number {n}"} for n in range(80)]
    images = [an_image(n) for n in range(200)]
    annotations = [
        an_annotation(n, n % 200, category_id=n % 80, segmentation=[[1, 1, 7, 1, 7, 5] * 50], area=12)
        for n in range(600)
    ]
    return adapter_of(folder, a_file(annotations, images, categories))


def test_records_pickle_small_and_their_categories_once(tmp_path):
    records = [entry.record for entry in many(tmp_path).index().entries]
    pickled = pickle.dumps(records)
    assert pickled.count(b"category number 17") == 1
    assert len(pickled) < 200 * 200
    assert pickle.loads(pickled) == records  # noqa: S301


def test_the_adapter_and_its_index_pickle(tmp_path):
    adapter = many(tmp_path)
    again = pickle.loads(pickle.dumps(adapter))  # noqa: S301
    index, index_again = adapter.index(), pickle.loads(pickle.dumps(adapter.index()))  # noqa: S301
    assert list(index_again.entries) == list(index.entries)
    assert (index_again.labels, list(index_again.issues)) == (index.labels, list(index.issues))
    assert again.read(index_again.entries[7].record) == adapter.read(index.entries[7].record)


def test_another_process_reads_the_same(tmp_path):
    faults = [
        an_annotation(5, category_id=9),
        an_annotation(6, segmentation="x"),
        an_annotation(7),
        an_annotation(8, 2),
    ]
    adapter = adapter_of(tmp_path, json.dumps(a_file(faults, [an_image(1), an_image(2)]), indent=1).encode())
    records = [entry.record for entry in adapter.index().entries]
    here = [adapter.read(record) for record in records]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = list(pool.map(adapter.read, records))
    assert there == here
    assert rows(there[0].issues) == rows(here[0].issues) != []


def test_reading_twice_gives_the_same(tmp_path):
    adapter = adapter_of(tmp_path, a_file([an_annotation(5), an_annotation(6, category_id=9)]))
    [entry] = adapter.index().entries
    assert adapter.read(entry.record) == adapter.read(entry.record)


@pytest.mark.parametrize(
    ("size", "answer", "rows"),
    [
        ((3, 5), "fix", [["image-size-differs", "warning", True, None]]),
        ((3, 5), "error", [["image-size-differs", "error", False, "image"]]),
        ((4, 5), "fix", [["image-size-differs", "error", False, "image"]]),
    ],
)
def test_a_size_that_is_exchanged_can_be_fixed(tmp_path, size, answer, rows):
    """A picture of 5 x 3 pixels; its upper left quarter is annotated in its own frame."""
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (5, 3)).save(tmp_path / "pictures/1.png")
    image = an_image(1, width=size[0], height=size[1])
    annotation = an_annotation(segmentation=[[0, 0, 2, 0, 2, 1, 0, 1]])
    issues, written = converted(tmp_path, a_file([annotation], [image]), issues={"image-size-differs": answer})
    of_images = [issue for issue in issues if issue["code"] != "object-lost-with-image"]
    assert [[i["code"], i["severity"], i["fixed"], i["loss"]] for i in of_images] == rows
    assert written == (["1.png"] if rows[0][3] is None else [])
