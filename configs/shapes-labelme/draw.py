"""Draws this folder's LabelMe data set: `python configs/shapes-labelme/draw.py [FOLDER]`.

The pictures are those of the Shapes data set, annotated as a person would: a circle by its centre and a point on its
edge, a square by two corners, a triangle by three points. What is partly hidden is a `mask`, its label with a capital.
"""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskflow_adapters.shapes import Figure, Mask, compose, paint, topmost

SIZES = {"labelme_301": (160, 120), "labelme_302": (120, 160), "labelme_303": (160, 120), "labelme_304": (200, 80)}


def main() -> None:
    """Write the data set to the folder of this file, or to the one named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, height) in SIZES.items():
        draw(folder, name, width, height)


def draw(folder: Path, name: str, width: int, height: int) -> None:
    """Write one picture and its annotation."""
    rng = np.random.default_rng(int(name.removeprefix("labelme_")))
    figures = compose(rng, width, height)
    masks = [figure.mask(width, height) for figure in figures]
    top = topmost(masks, width, height)
    picture = Image.fromarray(paint(top, [figure.colour for figure in figures], rng))
    picture.save(folder / f"{name}.jpg", quality=85)
    shapes = [
        outline(figure) if np.array_equal(mask, top == number) else patch(figure, top == number)
        for number, (figure, mask) in enumerate(zip(figures, masks, strict=True))
        if (top == number).any()
    ]
    content = {
        "version": "5.7.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def outline(figure: Figure) -> dict[str, Any]:
    """A figure in full view, by a few points."""
    x, y, r = figure.x, figure.y, figure.radius
    points = {
        "circle": [(x, y), (x + r, y)],
        "square": [(x - r, y - r), (x + r - 1, y + r - 1)],
        "triangle": [(x, y - r), (x + r, y + r - 1), (x - r, y + r - 1)],
    }[figure.label]
    shape_type = {"circle": "circle", "square": "rectangle", "triangle": "polygon"}[figure.label]
    rounded = [[round(float(x), 2), round(float(y), 2)] for x, y in points]
    return {"label": figure.label, "points": rounded, "group_id": None, "shape_type": shape_type, "flags": {}}


def patch(figure: Figure, visible: Mask) -> dict[str, Any]:
    """What can be seen of a figure, as a mask of its own size and the two corners of its place, both included."""
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    top, bottom, left, right = (int(edge) for edge in (rows[0], rows[-1], columns[0], columns[-1]))
    stream = BytesIO()
    Image.fromarray(visible[top : bottom + 1, left : right + 1]).save(stream, "PNG")
    return {
        "label": figure.label.capitalize(),
        "points": [[left, top], [right, bottom]],
        "group_id": None,
        "shape_type": "mask",
        "flags": {"hidden": True},
        "mask": base64.b64encode(stream.getvalue()).decode("ascii"),
    }


if __name__ == "__main__":
    main()
