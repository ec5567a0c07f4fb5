"""Writes the scene in every format: `python tests/scene/draw.py`, after `scene.txt` was changed.

`scene.txt` is the scene itself, for eyes: a picture a block, a character a pixel, a digit the number of an object. It
was written down from the Shapes data set (seed 3, 44 x 32). From it the other formats are written with their own tools:
pycocotools for COCO's run lengths, Pillow for VOC's palette images and for LabelMe's patches.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

HERE = Path(__file__).parent
LABELS = ("circle", "square", "triangle")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Thing:
    """One object: `mask` is `[height, width]`."""

    label: str
    occluded: bool
    mask: Mask

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First and last column and row: `(x0, y0, x1, y1)`, the last ones included."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])

    @property
    def fills_its_box(self) -> bool:
        """Whether the object is a rectangle."""
        x0, y0, x1, y1 = self.box
        return int(self.mask.sum()) == (x1 - x0 + 1) * (y1 - y0 + 1)


@dataclass(frozen=True)
class Picture:
    """One picture of the scene."""

    name: str
    width: int
    height: int
    things: tuple[Thing, ...]


def read_scene() -> list[Picture]:
    """The pictures of `scene.txt`."""
    return [_picture(block.splitlines()) for block in (HERE / "scene.txt").read_text().strip().split("\n\n")]


def _picture(lines: list[str]) -> Picture:
    name, size = lines[0].split(maxsplit=1)
    width, height = map(int, size.split(" x "))
    pixels = np.array([list(line) for line in lines[-height:]])
    things = [line.split() for line in lines[1:-height]]
    return Picture(
        name,
        width,
        height,
        tuple(Thing(label, "occluded" in rest, pixels == number) for number, label, *rest in things),
    )


def write_coco(folder: Path, pictures: list[Picture]) -> None:
    """Whole rectangles as polygons, what is occluded as uncompressed run lengths, the rest as compressed ones."""
    annotations = [(number, thing) for number, picture in enumerate(pictures) for thing in picture.things]
    content = {
        "images": [
            {"id": number, "file_name": picture.name, "width": picture.width, "height": picture.height}
            for number, picture in enumerate(pictures)
        ],
        "annotations": [
            {"id": id_, "image_id": image, "category_id": 10 * LABELS.index(thing.label), "iscrowd": 0, **_coco(thing)}
            for id_, (image, thing) in enumerate(annotations)
        ],
        "categories": [{"id": 10 * number, "name": label} for number, label in enumerate(LABELS)],
    }
    (folder / "instances.json").write_text(json.dumps(content, indent=1) + "\n")


def _coco(thing: Thing) -> dict[str, Any]:
    x0, y0, x1, y1 = thing.box
    encoded = coco_mask.encode(np.asfortranarray(thing.mask, dtype=np.uint8))
    segmentation: Any = {"size": list(thing.mask.shape), "counts": encoded["counts"].decode("ascii")}
    if thing.fills_its_box:
        segmentation = [[x0, y0, x1 + 1, y0, x1 + 1, y1 + 1, x0, y1 + 1]]
    elif thing.occluded:
        flat = thing.mask.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
        segmentation["counts"] = np.diff([0, *edges, flat.size]).tolist()
    return {
        "segmentation": segmentation,
        "bbox": [x0, y0, x1 - x0 + 1, y1 - y0 + 1],
        "area": int(thing.mask.sum()),
    }


def write_voc(folder: Path, pictures: list[Picture]) -> None:
    """Palette images of objects and of classes, and boxes that begin at 1."""
    for name in ("Annotations", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stems = [Path(picture.name).stem for picture in pictures]
    (folder / "ImageSets/Segmentation/scene.txt").write_text("\n".join(stems) + "\n")
    labels = "".join(f"{label}:{','.join(map(str, _voc_colour(n)))}::\n" for n, label in enumerate(LABELS, start=1))
    (folder / "labelmap.txt").write_text(f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{labels}")
    for stem, picture in zip(stems, pictures, strict=True):
        objects = np.zeros((picture.height, picture.width), np.uint8)
        classes = objects.copy()
        for number, thing in enumerate(picture.things, start=1):
            objects[thing.mask] = number
            classes[thing.mask] = LABELS.index(thing.label) + 1
        _palette_image(objects).save(folder / f"SegmentationObject/{stem}.png")
        _palette_image(classes).save(folder / f"SegmentationClass/{stem}.png")
        (folder / f"Annotations/{stem}.xml").write_text(_voc_xml(picture))


def _voc_xml(picture: Picture) -> str:
    lines = [
        "<annotation>",
        f"  <filename>{escape(picture.name)}</filename>",
        f"  <size><width>{picture.width}</width><height>{picture.height}</height><depth>3</depth></size>",
        "  <segmented>1</segmented>",
    ]
    for thing in picture.things:
        x0, y0, x1, y1 = (side + 1 for side in thing.box)
        lines += [
            "  <object>",
            f"    <name>{thing.label}</name>",
            f"    <occluded>{int(thing.occluded)}</occluded>",
            f"    <bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _voc_colour(number: int) -> tuple[int, int, int]:
    """The colour that the VOC palette has for a number: its bits, dealt out to red, green and blue from the top."""
    return tuple(sum(((number >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for channel in range(3))


def _palette_image(numbers: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(numbers).convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette([value for number in range(256) for value in _voc_colour(number)])
    return image


def write_labelme(folder: Path, pictures: list[Picture]) -> None:
    """Whole rectangles as such, what is occluded as two patches of one group, the rest as one patch."""
    for picture in pictures:
        content = {
            "version": "5.7.0",
            "flags": {},
            "shapes": [
                shape for group, thing in enumerate(picture.things, start=1) for shape in _labelme(thing, group)
            ],
            "imagePath": f"..\\images\\{picture.name}",
            "imageData": None,
            "imageHeight": picture.height,
            "imageWidth": picture.width,
        }
        (folder / f"{Path(picture.name).stem}.json").write_text(json.dumps(content, indent=1) + "\n")


def _labelme(thing: Thing, group: int) -> Iterator[dict[str, Any]]:
    common = {"label": thing.label, "description": "", "flags": {"occluded": thing.occluded}}
    x0, y0, x1, y1 = thing.box
    if thing.fills_its_box:
        yield {**common, "points": [[x1, y0], [x0, y1]], "group_id": None, "shape_type": "rectangle", "mask": None}
        return
    middle = (x0 + x1) // 2
    for left, right in [(x0, middle), (middle + 1, x1)] if thing.occluded else [(x0, x1)]:
        stream = io.BytesIO()
        Image.fromarray(thing.mask[y0 : y1 + 1, left : right + 1]).save(stream, "PNG")
        yield {
            **common,
            "points": [[left, y0], [right, y1]],
            "group_id": group if thing.occluded else None,
            "shape_type": "mask",
            "mask": base64.b64encode(stream.getvalue()).decode("ascii"),
        }


if __name__ == "__main__":
    scene = read_scene()
    for name, write in {"coco": write_coco, "voc": write_voc, "labelme": write_labelme}.items():
        (HERE / name).mkdir(exist_ok=True)
        write(HERE / name, scene)
