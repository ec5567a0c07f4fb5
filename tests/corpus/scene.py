"""A sound data set in four formats, which says nothing to `validate`: ten images of 96 x 64 pixels, 21 objects each.

Every image shows a field of view: a large cell, 14 small ones, 3 nuclei and 3 mitoses, in rows. Each format says so in
ways of its own, with the marks of real files: polygons and run lengths in COCO, void around the objects in Pascal VOC,
figures, patches and groups in LabelMe. The fourth is a plugin's.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from pycocotools import mask as coco_mask

LABELS = ("cell", "nucleus", "mitosis")
WIDTH, HEIGHT, PITCH = 96, 64, 16
OBJECTS = 21
VOID = 255
PLUGIN = Path(__file__).with_name("plugin.py")

COCO = {101: "c1.png", 102: "c2.png", 103: "c3.png"}
VOC = {"train": ("v1", "v2"), "val": ("v3",)}
LABELME = ("l1", "l2", "l3")

CONFIG: dict[str, Any] = {
    "sources": [
        {"adapter": "coco", "annotations": "coco/instances.json", "images": "coco/images", "split": "train"},
        {"adapter": "voc", "root": "voc"},
        {"adapter": "labelme", "annotations": "labelme", "split": "train"},
        {"adapter": f"./{PLUGIN.name}:Boxes", "folder": "plugin"},
    ],
    "classes": {"names": list(LABELS)},
    "objects": {"difficult": "skip"},
    "output": {"directory": "out", "shuffle": None, "shard_size": "4 images"},
    "run": {"executor": "serial"},
}


@dataclass(frozen=True)
class Thing:
    """One object: its outline, `(x, y)` each, in whole pixels."""

    label: str
    points: tuple[tuple[int, int], ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """`(x0, y0, x1, y1)`, half-open."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def flat(self) -> list[int]:
        return [value for point in self.points for value in point]


def things(scale: int = 1) -> list[Thing]:
    """The objects of every image, the large one first."""
    places = [(x, y) for y in range(0, HEIGHT, PITCH) for x in range(0, WIDTH, PITCH) if x > PITCH or y > PITCH]
    labels = ["cell"] * 14 + ["nucleus"] * 3 + ["mitosis"] * 3
    small = [_thing(label, x + 3, y + 3, 10) for label, (x, y) in zip(labels, places, strict=True)]
    return [
        Thing(thing.label, tuple((x * scale, y * scale) for x, y in thing.points))
        for thing in (_thing("cell", 3, 3, 26), *small)
    ]


def _thing(label: str, x: int, y: int, side: int) -> Thing:
    end, cut = side, side // 4
    outlines = {
        "cell": ((cut, 0), (end - cut, 0), (end, cut), (end, end - cut), (end - cut, end), (cut, end), (0, end - cut),
                 (0, cut)),
        "nucleus": ((0, 0), (end, 0), (end, end), (0, end)),
        "mitosis": ((0, 0), (end, 0), (end, end)),
    }  # fmt: skip
    return Thing(label, tuple((x + dx, y + dy) for dx, dy in outlines[label]))


def write_scene(folder: Path, *, scale: int = 1) -> Path:
    """Write the data set, every length `scale` times as long; return the path of its YAML."""
    for write in (write_coco, write_voc, write_labelme, write_plugin):
        write(folder, scale)
    return write_config(folder, CONFIG)


def write_config(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "corpus.yaml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return path


def noise(name: str, scale: int = 1) -> NDArray[np.uint8]:
    """The pixels of the image of that name, `[H, W, 3]`: none is as another."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(40, 220, (HEIGHT * scale, WIDTH * scale, 3), dtype=np.uint8)


def save_image(path: Path, scale: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(path.stem, scale)).save(path)


# COCO


def write_coco(folder: Path, scale: int) -> None:
    """Cells are polygons, nuclei uncompressed run lengths, mitoses compressed ones."""
    size = {"width": WIDTH * scale, "height": HEIGHT * scale}
    objects = [(image_id, thing) for image_id in COCO for thing in things(scale)]
    for name in COCO.values():
        save_image(folder / "coco/images" / name, scale)
    save_coco(
        folder,
        {
            "images": [{"id": image_id, "file_name": name, **size} for image_id, name in COCO.items()],
            "annotations": [
                {"id": number, "image_id": image_id, **_annotation(thing, size)}
                for number, (image_id, thing) in enumerate(objects, start=1)
            ],
            "categories": [{"id": number, "name": label} for number, label in enumerate(LABELS, start=1)],
        },
    )


def _annotation(thing: Thing, size: dict[str, int]) -> dict[str, Any]:
    [encoded] = coco_mask.frPyObjects([thing.flat], size["height"], size["width"])
    x0, y0, x1, y1 = thing.box
    segmentation: Any = [thing.flat]
    if thing.label == "mitosis":
        segmentation = {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}
    elif thing.label == "nucleus":
        ends = [x * size["height"] + y for x in range(x0, x1) for y in (y0, y1)]
        counts = np.diff([0, *ends, size["width"] * size["height"]]).tolist()
        segmentation = {"size": encoded["size"], "counts": counts}
    return {
        "category_id": LABELS.index(thing.label) + 1,
        "segmentation": segmentation,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(coco_mask.area(encoded)),
        "iscrowd": 0,
    }


def save_coco(folder: Path, document: dict[str, Any]) -> None:
    """A line for each image, annotation and category."""
    lists = (f'"{name}": [\n' + ",\n".join(map(json.dumps, items)) + "\n]" for name, items in document.items())
    (folder / "coco/instances.json").write_text("{" + ",\n".join(lists) + "}\n", encoding="utf-8")


# Pascal VOC


def write_voc(folder: Path, scale: int) -> None:
    """Two pixels of void around each object; the numbers of classes are those of `labelmap.txt`."""
    root = folder / "voc"
    for name in ("Annotations", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, names in VOC.items():
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names) + "\n")
    lines = [f"{label}:{','.join(map(str, colour(n)))}::" for n, label in enumerate(("background", *LABELS))]
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")
    objects = voc_objects(scale)
    classes = np.array([0, *(LABELS.index(thing.label) + 1 for thing in things())])
    for name in (name for names in VOC.values() for name in names):
        save_image(root / f"JPEGImages/{name}.jpg", scale)
        save_numbers(root / f"SegmentationObject/{name}.png", objects)
        save_numbers(root / f"SegmentationClass/{name}.png", np.where(objects == VOID, VOID, classes[objects % VOID]))
        (root / f"Annotations/{name}.xml").write_text(_xml(name, scale), encoding="utf-8")


def voc_objects(scale: int = 1) -> NDArray[np.uint8]:
    """`[H, W]` the number of the object of each pixel, void around them."""
    canvas = Image.new("L", (WIDTH * scale, HEIGHT * scale))
    for number, thing in enumerate(things(scale), start=1):
        ImageDraw.Draw(canvas).polygon(
            [(x - (x == thing.box[2]), y - (y == thing.box[3])) for x, y in thing.points], number
        )
    near = np.asarray(canvas.filter(ImageFilter.MaxFilter(5)))
    numbers = np.asarray(canvas)
    return np.where((numbers == 0) & (near > 0), VOID, numbers).astype(np.uint8)


def save_numbers(path: Path, numbers: NDArray[Any]) -> None:
    """As a palette image with the colours of Pascal VOC."""
    image = Image.fromarray(numbers.astype(np.uint8)).convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette([band for number in range(256) for band in colour(number)])
    image.save(path)


def colour(number: int) -> tuple[int, ...]:
    """The bits of a number, dealt out to red, green and blue from the top."""
    return tuple(sum((number >> 3 * bit + band & 1) << 7 - bit for bit in range(3)) for band in range(3))


def _xml(name: str, scale: int) -> str:
    """An annotation file with a line for each object."""
    size = f"<size><width>{WIDTH * scale}</width><height>{HEIGHT * scale}</height><depth>3</depth></size>"
    return "\n".join(
        [f"<annotation><filename>{name}.jpg</filename>{size}", *map(_object, things(scale)), "</annotation>", ""]
    )


def _object(thing: Thing) -> str:
    x0, y0, x1, y1 = thing.box
    corners = {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1}
    box = "".join(f"<{side}>{value}</{side}>" for side, value in corners.items())
    return f"<object><name>{thing.label}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"


# LabelMe


def write_labelme(folder: Path, scale: int) -> None:
    """Cells are polygons, the large one in two parts; nuclei are patches, mitoses rectangles."""
    (folder / "labelme").mkdir()
    for name in LABELME:
        save_image(folder / f"labelme/{name}.png", scale)
        large, *small = things(scale)
        document = {
            "version": "5.7.0",
            "flags": {},
            "shapes": [*_halves(large), *map(_shape, small)],
            "imagePath": f"{name}.png",
            "imageData": None,
            "imageHeight": HEIGHT * scale,
            "imageWidth": WIDTH * scale,
        }
        save_labelme(folder, name, document)


def _halves(thing: Thing) -> Iterator[dict[str, Any]]:
    x0, y0, x1, y1 = thing.box
    middle = (x0 + x1) // 2
    for left, right in ((x0, middle), (middle, x1 - 1)):
        yield _described(thing, "polygon", [(left, y0), (right, y0), (right, y1 - 1), (left, y1 - 1)], group_id=1)


def _shape(thing: Thing) -> dict[str, Any]:
    x0, y0, x1, y1 = thing.box
    corners = [(x0, y0), (x1 - 1, y1 - 1)]
    match thing.label:
        case "cell":
            return _described(thing, "polygon", thing.points)
        case "nucleus":
            return _described(thing, "mask", corners, mask=patch(x1 - x0, y1 - y0))
        case _:
            return _described(thing, "rectangle", corners)


def _described(thing: Thing, kind: str, points: Sequence[tuple[int, int]], **more: Any) -> dict[str, Any]:
    return {"label": thing.label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def patch(columns: int, rows: int) -> str:
    """A PNG in base64 all of which belongs to the object."""
    file = io.BytesIO()
    Image.new("1", (columns, rows), 1).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def save_labelme(folder: Path, name: str, document: dict[str, Any]) -> None:
    """A line for each shape, the first in the second line."""
    rest = json.dumps({key: value for key, value in document.items() if key != "shapes"})
    shapes = ",\n".join(map(json.dumps, document["shapes"]))
    (folder / f"labelme/{name}.json").write_text(f'{{"shapes": [\n{shapes}\n],\n{rest[1:]}\n', encoding="utf-8")


# The plugin


def write_plugin(folder: Path, scale: int) -> None:
    """A line of text for each object: label and box. The code goes along: it is loaded from beside the YAML only."""
    shutil.copy(PLUGIN, folder)
    save_image(folder / "plugin/p1.png", scale)
    lines = [" ".join(map(str, (thing.label, *thing.box))) for thing in things(scale)]
    (folder / "plugin/p1.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
