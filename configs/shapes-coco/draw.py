"""Draws this folder's COCO data set: `python configs/shapes-coco/draw.py [FOLDER]`.

The pictures are those of the Shapes data set. How they are annotated shows what COCO files may hold:

- a figure in full view is a polygon, and one that a bar lies across is a polygon of several parts;
- what can be seen of a figure behind another is run lengths: compressed for circles, else uncompressed;
- a heap of small figures is one crowd region;
- category ids have gaps, file names hold folders, one image is grey, and one has no annotation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_adapters.shapes import INKS, Colour, Figure, Mask, compose, paint, topmost
from maskflow_convert import runs

Outline = NDArray[np.float64]
Segmentation = list[list[float]] | dict[str, Any]

CATEGORY_IDS: Mapping[str, int] = {"circle": 1, "square": 3, "triangle": 90}

ANGLES = np.arange(32) * (2 * np.pi / 32)
CORNERS: Mapping[str, Outline] = {
    "circle": np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1),
    "square": np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
    "triangle": np.array([(0.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
}
"""`[P, 2]` corners of each figure in its own frame, from -1 to 1. All are convex."""

WOOD: Colour = (166, 146, 122)
RED, ORANGE, GREEN, BLUE, VIOLET, SLATE = INKS


@dataclass(frozen=True)
class Bar:
    """A bar right across the picture, on top of all figures, from pixel `start` to `stop` along its axis."""

    axis: Literal["x", "y"]
    start: int
    stop: int

    def mask(self, width: int, height: int) -> Mask:
        """`[height, width]`: the pixels under the bar."""
        along = np.arange(width)[np.newaxis, :] if self.axis == "x" else np.arange(height)[:, np.newaxis]
        return np.broadcast_to((along >= self.start) & (along < self.stop), (height, width))

    def uncovered(self, outline: Outline) -> list[Outline]:
        """The parts of a convex outline on either side of the bar."""
        column = "xy".index(self.axis)
        before = _cut(outline, outline[:, column] - self.start)
        after = _cut(outline, self.stop - outline[:, column])
        return [part for part in (before, after) if len(part)]


def _cut(outline: Outline, beyond: NDArray[np.float64]) -> Outline:
    """The part of a convex outline on one side of a line, given each corner's distance `beyond` the line."""
    corners = []
    neighbours = zip(outline, np.roll(outline, -1, axis=0), beyond, np.roll(beyond, -1), strict=True)
    for here, there, d, e in neighbours:
        if d <= 0:
            corners.append(here)
        if d * e < 0:
            corners.append(here + (there - here) * (d / (d - e)))
    return np.array(corners)


@dataclass(frozen=True)
class Picture:
    """A picture to draw: a crowd of figures at the back, figures in front of it, a bar on top."""

    file_name: str
    figures: Sequence[Figure] = ()
    crowd: Sequence[Figure] = ()
    bar: Bar | None = None
    width: int = 160
    height: int = 120
    mode: Literal["RGB", "L"] = "RGB"

    def layers(self) -> list[Mask]:
        """The masks of all that is drawn, from back to front: crowd, figures, bar."""
        things: list[Figure | Bar] = [*self.crowd, *self.figures, *([self.bar] if self.bar else [])]
        return [thing.mask(self.width, self.height) for thing in things]

    def pixels(self, rng: np.random.Generator) -> Image.Image:
        """The picture itself."""
        colours = [figure.colour for figure in (*self.crowd, *self.figures)] + [WOOD]
        painted = paint(topmost(self.layers(), self.width, self.height), colours, rng)
        return Image.fromarray(painted).convert(self.mode)


def scattered(
    file_name: str, seed: int, width: int = 160, height: int = 120, mode: Literal["RGB", "L"] = "RGB"
) -> Picture:
    """A picture of figures where chance puts them."""
    figures = compose(np.random.default_rng(seed), width, height)
    return Picture(file_name, figures, width=width, height=height, mode=mode)


def heap(seed: int) -> list[Figure]:
    """Small circles in a heap."""
    rng = np.random.default_rng(seed)
    places = rng.normal((60, 70), (16, 12), size=(24, 2))
    return [Figure("circle", x, y, 6, INKS[i % len(INKS)]) for i, (x, y) in enumerate(places)]


PICTURES: Mapping[int, Picture] = {
    101: scattered("scene-101.png", 101),
    102: scattered("scene-102.jpg", 102),
    103: scattered("scene-103.png", 103),
    104: scattered("portrait/scene-104.png", 104, width=120, height=160),
    105: scattered("portrait/scene-105.jpg", 105, width=96, height=144),
    106: scattered("wide/scene-106.jpg", 106, width=200, height=80),
    107: scattered("grey-107.png", 107, mode="L"),
    108: Picture("empty-108.png"),
    109: Picture(
        "bars/upright-109.png",
        [
            Figure("circle", 74, 34, 26, BLUE),
            Figure("square", 82.5, 88.5, 22, ORANGE),
            Figure("triangle", 130, 60, 18, GREEN),
        ],
        bar=Bar("x", 70, 84),
    ),
    110: Picture(
        "bars/level-110.jpg",
        [
            Figure("triangle", 40, 58, 32, RED),
            Figure("circle", 112, 64, 28, VIOLET),
            Figure("square", 132, 22, 14, SLATE),
        ],
        bar=Bar("y", 62, 72),
    ),
    111: Picture(
        "crowd-111.png",
        [Figure("square", 92, 78, 12, SLATE), Figure("triangle", 130, 34, 20, VIOLET)],
        crowd=heap(111),
    ),
    112: scattered("scene-112.jpg", 112),
}


def segmentations(picture: Picture) -> Iterator[tuple[str, int, Segmentation]]:
    """Label, `iscrowd` and segmentation of all that can be seen, from back to front."""
    layers = picture.layers()
    top = topmost(layers, picture.width, picture.height)
    first = len(picture.crowd)
    if picture.crowd:
        yield picture.crowd[0].label, 1, uncompressed((top >= 0) & (top < first))
    for number, figure in enumerate(picture.figures, start=first):
        visible = top == number
        if visible.any():
            yield figure.label, 0, describe(figure, layers[number], visible, picture.bar)


def describe(figure: Figure, whole: Mask, visible: Mask, bar: Bar | None) -> Segmentation:
    """Polygons if nothing or only the bar hides the figure, else run lengths of what is visible."""
    height, width = whole.shape
    outline = CORNERS[figure.label] * figure.radius + (figure.x, figure.y)
    if np.array_equal(visible, whole):
        return polygons([outline])
    if bar and np.array_equal(visible, whole & ~bar.mask(width, height)):
        return polygons(bar.uncovered(outline))
    return compressed(visible) if figure.label == "circle" else uncompressed(visible)


def polygons(parts: Sequence[Outline]) -> list[list[float]]:
    """COCO's `[[x0, y0, x1, y1, ...], ...]`, to a hundredth of a pixel."""
    return [part.ravel().round(2).tolist() for part in parts]


def uncompressed(mask: Mask) -> dict[str, Any]:
    """COCO's run lengths as a list of numbers."""
    return {"size": list(mask.shape), "counts": list(runs.from_dense(mask).to_counts())}


def compressed(mask: Mask) -> dict[str, Any]:
    """COCO's run lengths as a string."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def measures(segmentation: Segmentation, width: int, height: int) -> dict[str, Any]:
    """Area and box of the pixels that pycocotools makes of a segmentation."""
    if isinstance(segmentation, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        encoded = coco_mask.frPyObjects(segmentation, height, width)
    else:
        encoded = segmentation
    return {"area": int(coco_mask.area(encoded)), "bbox": coco_mask.toBbox(encoded).tolist()}


def image_entries() -> Iterator[dict[str, Any]]:
    """The entries of `images`."""
    for image_id, picture in PICTURES.items():
        yield {
            "id": image_id,
            "file_name": picture.file_name,
            "width": picture.width,
            "height": picture.height,
            "license": 1,
        }


def annotation_entries() -> Iterator[dict[str, Any]]:
    """The entries of `annotations`."""
    found = ((image_id, *each) for image_id, picture in PICTURES.items() for each in segmentations(picture))
    for number, (image_id, label, iscrowd, segmentation) in enumerate(found, start=1):
        picture = PICTURES[image_id]
        yield {
            "id": number,
            "image_id": image_id,
            "category_id": CATEGORY_IDS[label],
            "iscrowd": iscrowd,
            **measures(segmentation, picture.width, picture.height),
            "segmentation": segmentation,
        }


def document() -> dict[str, Any]:
    """All of `instances.json`."""
    return {
        "info": {
            "description": "Circles, squares and triangles: a COCO data set in small",
            "version": "1.0",
            "year": 2026,
            "contributor": "maskflow-convert",
        },
        "licenses": [{"id": 1, "name": "BSD-3-Clause", "url": "https://opensource.org/license/bsd-3-clause"}],
        "images": list(image_entries()),
        "annotations": list(annotation_entries()),
        "categories": [
            {"id": category_id, "name": name, "supercategory": "shape"} for name, category_id in CATEGORY_IDS.items()
        ],
    }


def one_a_line(value: Any) -> str:
    """JSON with each member of a list on its own line: files compare, and messages can name a line."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
    return json.dumps(value)


def draw(folder: Path) -> None:
    """Write `instances.json` and `images/` into a folder."""
    for image_id, picture in PICTURES.items():
        path = folder / "images" / picture.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.pixels(np.random.default_rng(image_id)).save(path, quality=90)
    members = [f'"{name}": {one_a_line(value)}' for name, value in document().items()]
    (folder / "instances.json").write_text("{\n" + ",\n".join(members) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
