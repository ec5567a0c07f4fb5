"""The outline of one object, in the terms of the format it came from: nothing decoded, nothing dense.

Coordinates are continuous pixels: x to the right, y down, the origin at the top-left corner of the top-left pixel, so
that pixel (0, 0) covers `[0, 1) x [0, 1)` and its centre is (0.5, 0.5). Boxes are half-open. The frame is that of the
image as it is stored in the record, after an EXIF orientation was applied.

The classes hold what a format can say. Whether it makes sense (an odd number of coordinates, run lengths that do not
fill the image) is judged in `maskflow_convert.geometry`, so that one bad object does not cost its image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class Model(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(Model):
    """An axis-parallel box, `[x0, x1) x [y0, y1)` in continuous pixels. It is no mask unless the user says so."""

    kind: Literal["box"] = "box"
    x0: float
    y0: float
    x1: float
    y1: float


class Polygons(Model):
    """One or more closed outlines whose union is the object; an inner ring makes no hole.

    `parts` holds a flat `(x0, y0, x1, y1, ...)` for each outline. `rasteriser` names whose pixels the format means:
    `coco` (pycocotools) or `labelme` (Pillow's `ImageDraw.polygon` with its outline). They differ: the square
    (0, 0)-(9, 9) has 81 pixels in the one and 100 in the other.
    """

    kind: Literal["polygons"] = "polygons"
    parts: tuple[tuple[float, ...], ...]
    rasteriser: Literal["coco", "labelme"] = "coco"


class Drawing(Model):
    """A figure with the pixels that Pillow's `ImageDraw` gives it, as LabelMe uses it. Its borders belong to it.

    `points` is a flat `(x0, y0, x1, y1, ...)`: two opposite corners of a `rectangle`; two of the box that an `ellipse`
    fills; the points of a `line` from one to the next, which is `thickness` pixels wide.
    """

    kind: Literal["drawing"] = "drawing"
    figure: Literal["rectangle", "ellipse", "line"]
    points: tuple[float, ...]
    thickness: PositiveInt = 1


class Rle(Model):
    """Run lengths of the whole image, down the columns, the first run being zeros (COCO's RLE).

    `counts` is a tuple of run lengths, or COCO's compressed string of them.
    """

    kind: Literal["rle"] = "rle"
    height: PositiveInt
    width: PositiveInt
    counts: str | tuple[int, ...]


class Bitmap(Model):
    """A mask in an image file of its own (or its bytes): every pixel that is not 0 belongs to the object.

    Its top-left pixel lies on pixel (`x`, `y`) of the image; what hangs over the edge is cut. `width` and `height` are
    what the annotation says of its size, in pixels, if it does; they are held against it.
    """

    kind: Literal["bitmap"] = "bitmap"
    source: Path | bytes
    x: int = 0
    y: int = 0
    width: int | None = None
    height: int | None = None


class Region(Model):
    """The pixels of a label image that hold `value`, a palette index or a number; 0 is background."""

    kind: Literal["region"] = "region"
    source: Path | bytes
    value: PositiveInt


Mask = Annotated[Polygons | Drawing | Rle | Bitmap | Region, Field(discriminator="kind")]


class Union(Model):
    """Several masks that make up one object: every pixel of any of them belongs to it."""

    kind: Literal["union"] = "union"
    members: tuple[Mask, ...]


Shape = Annotated[Box | Polygons | Drawing | Rle | Bitmap | Region | Union, Field(discriminator="kind")]


def members(shape: Shape) -> Sequence[Shape]:
    """The shape, or the shapes that it consists of."""
    return shape.members if isinstance(shape, Union) else (shape,)
