"""An image and its objects as they can be shown, however faulty: from annotations, or from a written record.

It lies below `sample`, so that a sample can show itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.characters import visible
from maskflow_convert.errors import DataError, ImageError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import Exif, Frame, ImageSettings, load_pixels
from maskflow_convert.image.overlay import (
    Colour,
    Figure,
    Rgb,
    distinct_colours,
    draw,
    encode_jpeg,
    to_pillow,
    whole,
    writable,
)
from maskflow_convert.record import Glance, Layout
from maskflow_convert.runs import Runs, from_positions, union
from maskflow_convert.shape import Box, Drawing, Polygons, Shape, members

if TYPE_CHECKING:
    from PIL import Image

    from maskflow_convert.sample import Instance, Sample

Outline = tuple[float, ...]
"""A closed line, flat `(x0, y0, x1, y1, ...)`, all finite."""

_NOTEBOOK_SIDE = 640


@dataclass(frozen=True, slots=True)
class Thing:
    """One object.

    Attributes:
        name: its id in its source, or its number in its record.
        label: its class.
        class_id: the id of that; None if it is no class of the data set.
        mask: its pixels; None where the shape has no meaning in this image.
        outlines: what its annotation has of lines and boxes, inside the image or not.
    """

    name: str | None
    label: str
    class_id: int | None
    mask: Runs | None
    outlines: tuple[Outline, ...] = ()

    @property
    def sign(self) -> str:
        """What is written beside it in a picture: its class, or the id of that where the font lacks letters."""
        return writable(visible(self.label)) or ("?" if self.class_id is None else nameless(self.class_id))

    def figure(self, colour: Colour) -> Figure:
        """What is drawn of it: its mask with the sign, or its outlines if it has no mask."""
        return Figure(self.sign, colour, self.mask, self.outlines if self.mask is None else ())


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and its objects. `pixels` is `[H, W, 1]` or `[H, W, 3]`, upright, of 8 or 16 bits."""

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    things: tuple[Thing, ...]

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    def drawn(self, side: int) -> Rgb:
        """The image with its objects, in colours that differ between neighbours, no side longer than `side`."""
        boxes = [thing.figure((0, 0, 0)).bounds for thing in self.things]
        figures = [thing.figure(colour) for thing, colour in zip(self.things, distinct_colours(boxes), strict=True)]
        return draw(self.pixels, figures, whole(self.width, self.height, side))

    def bare(self, side: int) -> Rgb:
        """The image alone."""
        return replace(self, things=()).drawn(side)


def of_sample(sample: Sample, settings: ImageSettings, ids: Mapping[str, int]) -> Scene:
    """An image as an adapter describes it, with its objects; `ids` are those of the labels.

    Of the settings count the policy for EXIF orientations and the largest image that is read.

    Raises:
        ImageError: the image cannot be read at all; that it has another size than annotated is no reason.
    """
    image = sample.image
    pixels = _pixels(image.origin(), settings, image.size, image.frame)
    rasteriser = Rasteriser(pixels.shape[1], pixels.shape[0])
    return Scene(pixels, tuple(_thing(each, rasteriser, ids.get(each.label)) for each in sample.instances))


def show(sample: Sample, side: int = 1024) -> Image.Image:
    """A sample as a picture: the image with the masks, outlines and labels of its objects.

    Args:
        sample: as an adapter gives it, or made by hand.
        side: the longest side of the picture, in screen pixels; a small image is enlarged by a whole number.

    Raises:
        ImageError: the image cannot be read.
    """
    return to_pillow(of_sample(sample, ImageSettings(), sample.label_numbers()).drawn(side))


def sample_html(sample: Sample) -> str:
    """The picture of a sample for a notebook, or why there is none."""
    from maskflow_convert.markup import isolated, jpeg_source

    try:
        scene = of_sample(sample, ImageSettings(), sample.label_numbers())
    except ImageError as error:
        return f"<p>No picture: {isolated(error.message)}</p>"
    return f'<img src="{jpeg_source(encode_jpeg(scene.drawn(_NOTEBOOK_SIDE)))}" alt="">'


def stored(record: Glance, layout: Layout, classes: Mapping[int, str]) -> Scene:
    """What a record holds, read as its layout says; of indices that lie outside the image nothing is seen.

    Raises:
        DataError: its PNG or its indices cannot be read.
    """
    pixels = _pixels(record.png, ImageSettings(exif=Exif.IGNORE))
    masks = _masks(record, layout, width=pixels.shape[1], height=pixels.shape[0])
    things = (
        Thing(str(number), label_of(classes, class_id), class_id, mask)
        for number, (class_id, mask) in enumerate(zip(record.class_ids.tolist(), masks, strict=True))
    )
    return Scene(pixels, tuple(things))


def _masks(record: Glance, layout: Layout, *, width: int, height: int) -> list[Runs]:
    """The masks of a record, whatever the order of its indices, as far as they lie inside the image.

    They are put side by side on one long image, with an empty column after each that keeps their runs apart.
    """
    count = len(record.class_ids)
    columns, rows = (width, height) if layout is Layout.DOCUMENTED else (height, width)
    room = (columns + 1) * rows
    pieces = []
    for block in record.index_blocks():
        inside = ((block >= 0) & (block < (count, columns, rows))).all(axis=1)
        positions = block[inside] @ (room, rows, 1)
        if not (np.diff(positions) > 0).all():
            positions = np.unique(positions)
        pieces.append(from_positions(positions, width=count * (columns + 1), height=rows))
    together = union(pieces, width=count * (columns + 1), height=rows)
    cuts = pairwise(np.searchsorted(together.starts, room * np.arange(count + 1)).tolist())
    masks = [
        Runs(together.starts[begin:end] - room * number, together.lengths[begin:end], columns, rows)
        for number, (begin, end) in enumerate(cuts)
    ]
    return masks if layout is Layout.DOCUMENTED else [mask.transposed() for mask in masks]


def label_of(classes: Mapping[int, str], class_id: int) -> str:
    """The name of a class, or what it is called where nothing tells its name."""
    return classes.get(class_id, nameless(class_id))


def nameless(class_id: int) -> str:
    """What a class is called by its id alone."""
    return f"id {class_id}"


def _pixels(
    origin: Path | bytes, settings: ImageSettings, size: tuple[int, int] | None = None, frame: Frame | None = None
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The image with as many bits as it has, and of the size that it has.

    Raises:
        ImageError: it cannot be read.
    """
    exif = Exif.AUTO if settings.exif is Exif.ERROR else settings.exif
    settings = ImageSettings(exif=exif, channels="source", max_pixels=settings.max_pixels)
    try:
        pixels, issues = load_pixels(origin, settings, size, frame)
    except ImageError as error:
        if error.code != "image-size-differs":
            raise
        pixels, issues = load_pixels(origin, settings, None, frame)
    if not any(issue.code == "image-depth-loss" for issue in issues):
        return pixels
    try:
        return load_pixels(origin, settings.model_copy(update={"depth": 16}), None, frame)[0]
    except ImageError:  # colours of 16 bits that only their upper ones can be had of
        return pixels


def _thing(instance: Instance, rasteriser: Rasteriser, class_id: int | None) -> Thing:
    outlines = tuple(outline for shape in members(instance.shape) for outline in _outlines(shape))
    return Thing(instance.id, instance.label, class_id, _mask(instance.shape, rasteriser), outlines)


def _mask(shape: Shape, rasteriser: Rasteriser) -> Runs | None:
    if isinstance(shape, Box):
        return None
    try:
        return rasteriser.runs(shape)
    except DataError:
        return None


def _outlines(shape: Shape) -> Iterator[Outline]:
    match shape:
        case Polygons():
            parts: Sequence[Outline] = shape.parts
        case Drawing(points=(x0, y0, x1, y1), figure="rectangle" | "ellipse") | Box(x0=x0, y0=y0, x1=x1, y1=y1):
            parts = [(x0, y0, x1, y0, x1, y1, x0, y1)]
        case Drawing():
            parts = [shape.points]
        case _:
            parts = []
    for part in parts:
        points = zip(part[0::2], part[1::2], strict=False)
        if finite := tuple(value for point in points if all(map(math.isfinite, point)) for value in point):
            yield finite
