"""Every code of annotations and images, each planted once in the sound set: what is changed, and where it is found.

Objects 1 to 21 of an image are a large cell, 14 small cells, 3 nuclei and 3 mitoses; the annotations of COCO are
numbered on from image to image, so that 1 to 21 are in `c1.png`. In LabelMe the large cell has two shapes, 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpus.changes import (
    FRAME,
    GONE,
    MARK,
    Change,
    annotation,
    bomb,
    category,
    coco,
    copied,
    covered,
    enlarged,
    file,
    half_transparent,
    image,
    image_entry,
    moved,
    numbers,
    of_16_bits,
    of_floats,
    painted,
    removed,
    run_lengths,
    saved,
    several,
    shape,
    turned,
    two_pages,
    without_annotations,
    without_object,
    without_shapes,
    xml,
)
from corpus.scene import COCO, LABELS, OBJECTS


@dataclass(frozen=True)
class Place:
    """Where an issue is found: everything that a report says of it.

    `path` is below the folder of the set; `line` a number, or a text that a single line of the file has. `says` is a
    part of the message, for what has no place but in there.
    """

    source: str | None = None
    record: str | None = None
    object: str | None = None
    path: str | None = None
    line: int | str | None = None
    says: str = ""


@dataclass(frozen=True)
class Case:
    """One code, planted once.

    `consequences` are the codes that cannot but be found with it, and how often; `settings` are added to those of the
    sound set, section by section; `scale` makes all lengths larger.
    """

    code: str
    change: Change
    place: Place
    consequences: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scale: int = 1


def unchanged(folder: object) -> None:
    """Only the settings are other ones."""


INSTANCES = "coco/instances.json"
SQUARE = [20, 20, 30, 20, 30, 30, 20, 30]
C2 = "coco/images/c2.png"
IN_C2 = Place("coco", "c2.png", None, C2)
WITH_ITS_OBJECTS = {"object-lost-with-image": OBJECTS}


def in_annotation(number: int) -> Place:
    name = [*COCO.values()][(number - 1) // OBJECTS]
    return Place("coco", name, str(number), INSTANCES, MARK)


def in_entry(record: str | None = None, name: str | None = None) -> Place:
    """An element of the COCO file that is no annotation of an image."""
    return Place("coco", record, name, INSTANCES, MARK)


def in_xml(name: str, number: int | None = None) -> Place:
    """An annotation file of Pascal VOC, or an object in it."""
    return Place("voc", name, None if number is None else str(number), f"voc/Annotations/{name}.xml", MARK)


def in_shape(name: str, number: int) -> Place:
    return Place("labelme", f"{name}.json", str(number), f"labelme/{name}.json", MARK)


def labelled(*names: str) -> dict[str, dict[str, Any]]:
    return {"classes": {"names": [*LABELS, *names]}}


THE_SOURCE = (
    Case(
        "image-id-duplicate", image_entry(3, id=102), in_entry("c3.png"),
        consequences={"annotation-orphaned": OBJECTS},
    ),
    Case("image-key-duplicate", image_entry(3, file_name="c2.png"), in_entry("c2.png"), WITH_ITS_OBJECTS),
    Case(
        "image-name-ambiguous", copied("voc/JPEGImages/v1.jpg", "voc/JPEGImages/v1.png"),
        Place("voc", "v1", path="voc/JPEGImages/v1.png"),
    ),
    Case(
        "split-ambiguous", file("voc/ImageSets/Segmentation/val.txt", lambda text: text + b"v1\n"),
        Place("voc", "v1", path="voc/ImageSets/Segmentation/val.txt", line=2),
    ),
    Case(
        "category-id-duplicate",
        coco(lambda document: document["categories"].append({"id": 3, "name": "cell", "description": MARK})),
        in_entry(),
        consequences={"category-unknown": 9},
    ),
    Case("annotation-id-duplicate", annotation(7, id=6), in_entry(name="6")),
    Case("annotation-orphaned", annotation(7, image_id=99), in_entry(name="7")),
    Case("annotation-broken", annotation(7, segmentation="a text"), in_annotation(7)),
    Case("image-entry-broken", image_entry(3, width=0), in_entry("c3.png"), WITH_ITS_OBJECTS),
    Case("category-broken", category(3, name=GONE), in_entry(), consequences={"category-unknown": 9}),
    Case("category-unknown", annotation(7, category_id=4), in_annotation(7)),
    Case("class-unknown", shape("l1", 7, label="debris"), in_shape("l1", 7)),
    Case(
        "file-foreign", file("labelme/settings.json", lambda _: b'{"zoom": 2}'),
        Place("labelme", "settings.json", path="labelme/settings.json", line=1),
    ),
)  # fmt: skip

THE_DATA_SET = (
    Case("class-unused", unchanged, Place(says="debris"), settings=labelled("debris")),
    Case(
        "class-few-objects",
        several(without_annotations(lambda each: each["category_id"] == 2), without_shapes("nucleus"),
                file("plugin/p1.txt", lambda text: text.replace(b"nucleus", b"cell"))),
        Place(says="nucleus 9"),
    ),
    Case(
        "class-imbalance",
        several(without_annotations(lambda each: each["category_id"] == 3 and each["id"] != 19),
                without_shapes("mitosis"),
                *(xml(name, number, "mitosis", "cell") for name in ("v1", "v2", "v3") for number in (19, 20, 21)),
                *(numbers(f"voc/SegmentationClass/{name}.png", lambda found: np.where(found == 3, 1, found))
                  for name in ("v1", "v2", "v3")),
                file("plugin/p1.txt", lambda text: text.replace(b"mitosis", b"cell"))),
        Place(says="mitosis"),
        consequences={"class-few-objects": 1, "class-not-in-split": 1},
    ),
    Case(
        "class-not-in-split",
        several(*(xml("v3", number, "nucleus", "cell") for number in (16, 17, 18)),
                numbers("voc/SegmentationClass/v3.png", lambda found: np.where(found == 2, 1, found))),
        Place(says="nucleus"),
    ),
    Case(
        "class-names-similar", unchanged, Place(says="'mitosis' and 'Mi tosis' are two classes"),
        consequences={"class-unused": 1}, settings=labelled("Mi tosis"),
    ),
    Case(
        "basename-duplicate",
        several(moved(C2, "coco/images/more/c1.png"), image_entry(2, file_name="more/c1.png")),
        Place("coco", "more/c1.png", says="c1.png of sources[0] (coco)"),
    ),
    Case(
        "image-content-duplicate", copied("coco/images/c1.png", C2),
        Place("coco", "c2.png", None, C2, says="c1.png of sources[0] (coco)"),
    ),
    Case(
        "image-in-two-splits", copied("voc/JPEGImages/v1.jpg", "voc/JPEGImages/v3.jpg"),
        Place("voc", "v3", None, "voc/JPEGImages/v3.jpg", says="v1 of sources[1] (voc), split train"),
    ),
    Case(
        "mask-small-for-class", annotation(7, segmentation=[[80, 80, 81, 80, 81, 81, 80, 81]]),
        in_annotation(7), scale=6,
    ),
)  # fmt: skip

THE_ANNOTATION = (
    Case("record-broken", xml("v1", 7, "</name>", "</label>"), in_xml("v1")),
    Case(
        "adapter-failed", file("plugin/p1.txt", lambda text: text.replace(b" 13", b"", 1)),
        Place("plugin", "p1.png", says="raised ValueError"),
    ),
    Case(
        "record-too-large",
        several(image("coco/images/c3.png", enlarged(1500)), covered(3, side=1500, times=190)),
        Place("coco", "c3.png", says="190 objects"),
        consequences={"object-lost-with-image": 190},
        settings={"issues": {"mask-covers-image": "ignore", "mask-duplicate": "ignore"}},
    ),
    Case(
        "annotation-missing",
        removed("voc/Annotations/v1.xml", "voc/SegmentationObject/v1.png", "voc/SegmentationClass/v1.png"),
        Place("voc", "v1", None, "voc/JPEGImages/v1.jpg"),
        consequences={"image-without-objects": 1},
    ),
    Case("objects-masks-disagree", without_object("v1", 21), in_xml("v1")),
    Case(
        "void-inside-object", numbers("voc/SegmentationObject/v1.png", painted(10, 10, 12, 12, 255)),
        Place("voc", "v1", "1", "voc/SegmentationObject/v1.png", says="144 pixels"),
    ),
    Case("group-labels-differ", shape("l1", 7, group_id=1, label="mitosis"), in_shape("l1", 7)),
    Case("origin-suspect", xml("v1", 4, "<ymin>4</ymin>", "<ymin>0</ymin>"), in_xml("v1")),
)  # fmt: skip

THE_IMAGE = (
    Case("image-missing", removed(C2), IN_C2, WITH_ITS_OBJECTS),
    Case(
        "image-outside-folder", several(moved(C2, "coco/c2.png"), image_entry(2, file_name="../c2.png")),
        Place("coco", "../c2.png", None, "coco/images/../c2.png"), WITH_ITS_OBJECTS,
    ),
    Case("image-unreadable", file(C2, lambda data: data[:-3000]), IN_C2, WITH_ITS_OBJECTS),
    Case("image-size-differs", image(C2, saved(np.rot90)), IN_C2, WITH_ITS_OBJECTS),
    Case("image-orientation", image(C2, turned(6)), IN_C2),
    Case("image-orientation-ambiguous", image(C2, turned(3)), IN_C2, WITH_ITS_OBJECTS),
    Case(
        "image-orientation-present", image(C2, turned(6)), IN_C2, WITH_ITS_OBJECTS,
        settings={"image": {"exif": "error"}},
    ),
    Case("image-depth-loss", image(C2, saved(of_16_bits)), IN_C2, WITH_ITS_OBJECTS),
    Case("image-mode-unsupported", image(C2, saved(of_floats, "TIFF")), IN_C2, WITH_ITS_OBJECTS),
    Case("image-alpha-dropped", image(C2, saved(half_transparent)), IN_C2),
    Case("image-multiple-frames", image(C2, two_pages), IN_C2),
    Case("image-too-large", image(C2, bomb), IN_C2, WITH_ITS_OBJECTS),
    Case("image-uniform", image(C2, saved(np.zeros_like)), IN_C2),
    Case("image-without-objects", without_annotations(lambda each: each["image_id"] == 102), IN_C2),
)  # fmt: skip

THE_OBJECT = (
    Case(
        "object-lost-with-image",
        several(removed(C2), without_annotations(lambda each: 23 <= each["id"] <= 42)),
        Place("coco", "c2.png", "22"), consequences={"image-missing": 1},
    ),
    Case("object-crowd", annotation(7, iscrowd=1), in_annotation(7)),
    Case("object-difficult", xml("v1", 7, "<difficult>0", "<difficult>1"), in_xml("v1", 7)),
    Case(
        "object-class-missing",
        several(removed("voc/Annotations/v1.xml"),
                numbers("voc/SegmentationClass/v1.png", painted(3, 3, 26, 26, 9))),
        Place("voc", "v1", "1", "voc/SegmentationObject/v1.png"),
    ),
    Case("object-box-only", annotation(7, segmentation=GONE, bbox=[20, 20, 10, 10]), in_annotation(7)),
    Case("object-ignored", shape("l1", 7, label="__ignore__"), in_shape("l1", 7)),
    Case("object-without-area", shape("l1", 7, shape_type="point", points=[[5, 5]]), in_shape("l1", 7)),
    Case("object-shape-missing", annotation(7, segmentation=[]), in_annotation(7)),
    Case("mask-empty", annotation(7, segmentation=[[5.1, 5.1, 5.4, 5.1, 5.4, 5.4]]), in_annotation(7)),
    Case("mask-unreadable", shape("l1", 17, mask="iVBORw0KGgo="), in_shape("l1", 17)),
    Case("mask-size-differs", annotation(7, segmentation={"size": [96, 64], "counts": [96 * 64]}), in_annotation(7)),
    Case("mask-patch-differs", shape("l1", 17, points=[[40, 40], [47, 49]]), in_shape("l1", 17)),
    Case("mask-outside-image", shape("l1", 17, points=[[90, 40], [99, 49]]), in_shape("l1", 17)),
    Case(
        "box-invalid", annotation(7, segmentation=GONE, bbox=[20, 20, -3, 10]), in_annotation(7),
        settings={"objects": {"boxes": "rectangle"}},
    ),
    Case("polygon-too-few-points", annotation(7, segmentation=[[10, 10, 20, 20]]), in_annotation(7)),
    Case("polygon-part-dropped", annotation(7, segmentation=[SQUARE, [3, 3]]), in_annotation(7)),
    Case("polygon-odd-length", annotation(7, segmentation=[[*SQUARE, 20]]), in_annotation(7)),
    Case("polygon-not-finite", annotation(7, segmentation=[[*SQUARE, float("nan"), 20]]), in_annotation(7)),
    Case("polygon-too-far", annotation(7, segmentation=[[*SQUARE, 1e9, 20]]), in_annotation(7)),
    Case("mask-too-laborious", annotation(7, segmentation=[[20, 20, 30, 6e5, 40, 20]] * 60), in_annotation(7)),
    Case("polygon-outside-image", annotation(7, segmentation=[[*SQUARE, -3, 25]]), in_annotation(7)),
    Case("polygon-normalised", annotation(7, segmentation=[[0, 0, 1, 0, 1, 1, 0, 1]]), in_annotation(7)),
    Case("polygon-self-intersecting", annotation(7, segmentation=[[20, 20, 30, 30, 30, 20, 20, 30]]), in_annotation(7)),
    Case("polygon-zero-area", shape("l1", 7, points=[[20, 20], [25, 25], [30, 30]]), in_shape("l1", 7)),
    Case("polygon-points-repeated", annotation(7, segmentation=[[20, 20, *SQUARE]]), in_annotation(7)),
    Case(
        "polygon-part-without-pixels", annotation(7, segmentation=[SQUARE, [50, 50, 55, 50.1, 50, 50.2]]),
        in_annotation(7),
    ),
    Case("rle-zero-run", annotation(7, segmentation={**FRAME, "counts": [100, 5, 0, 5, 6034]}), in_annotation(7)),
    Case("mask-hole-lost", annotation(7, segmentation=[SQUARE, [23, 23, 27, 23, 27, 27, 23, 27]]), in_annotation(7)),
    Case("mask-outside-box", annotation(7, bbox=[80, 50, 10, 10]), in_annotation(7)),
    Case("mask-box-differs", annotation(7, segmentation=[SQUARE], bbox=[20, 20, 20, 10]), in_annotation(7)),
    Case("mask-area-differs", annotation(7, segmentation=[SQUARE], area=900), in_annotation(7)),
    Case("mask-covers-image", annotation(7, segmentation=run_lengths((0, 0, 96, 64))), in_annotation(7)),
    Case(
        "mask-specks", annotation(7, segmentation=run_lengths(*((x, 2, 2, 2) for x in range(0, 48, 4)))),
        in_annotation(7),
    ),
    Case(
        "mask-duplicate", coco(lambda document: document["annotations"][6].update(
            segmentation=document["annotations"][5]["segmentation"], bbox=document["annotations"][5]["bbox"],
            description=MARK)),
        in_annotation(7),
    ),
    Case("rle-sum-differs", annotation(7, segmentation={**FRAME, "counts": [100, 10]}), in_annotation(7)),
    Case("rle-negative-run", annotation(7, segmentation={**FRAME, "counts": [100, -10, 6054]}), in_annotation(7)),
    Case("rle-undecodable", annotation(7, segmentation={**FRAME, "counts": "04z"}), in_annotation(7)),
)  # fmt: skip

SKIPPED = Case(
    "image-skipped",
    annotation(7, segmentation=[[1, 1, 2, 2]]),
    Place("coco", "c1.png", says="object 7"),
    consequences={"polygon-too-few-points": 1, "object-lost-with-image": OBJECTS - 1},
)
"""Of a conversion with `on_error: skip-image`, and of nothing else."""

ANNOTATION_CASES = (*THE_SOURCE, *THE_DATA_SET, *THE_ANNOTATION, *THE_IMAGE, *THE_OBJECT)
