"""An image and its objects as they can be shown, however faulty: from annotations, or from a written record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.config import Config
from maskflow_convert.errors import DataError, ImageError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import Exif, ImageSettings, load_pixels
from maskflow_convert.plan import Item
from maskflow_convert.record import Layout, Record
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.runs import Runs, from_positions
from maskflow_convert.sample import Image, Instance, Sample
from maskflow_convert.shape import Box, Drawing, Polygons, Shape, Union

Outline = tuple[float, ...]
"""A closed line, flat `(x0, y0, x1, y1, ...)`, all finite."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object.

    Attributes:
        name: its id in its source, or its number in its record.
        label: its class.
        mask: its pixels; None where the shape has no meaning in this image.
        outlines: what its annotation has of lines and boxes, inside the image or not.
    """

    name: str | None
    label: str
    mask: Runs | None
    outlines: tuple[Outline, ...] = ()


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


def annotated(config: Config, adapters: Sequence[AnyAdapter], item: Item) -> Scene:
    """An image of a plan with its annotations.

    Raises:
        DataError: the record or the image cannot be read at all.
        Exception: whatever the adapter raises, which is somebody else's code.
    """
    sample = adapters[item.source].read(item.entry.record)
    return of_sample(sample, config.image.exif)


def of_sample(sample: Sample, exif: Exif) -> Scene:
    """An image as an adapter describes it, with its objects.

    Raises:
        ImageError: the image cannot be read at all; that it has another size than annotated is no reason.
    """
    pixels = _pixels(sample.image, exif)
    rasteriser = Rasteriser(pixels.shape[1], pixels.shape[0])
    return Scene(pixels, tuple(_thing(instance, rasteriser) for instance in sample.instances))


def stored(record: Record, layout: Layout, classes: Mapping[int, str]) -> Scene:
    """What a record holds, read as its layout says; of indices that lie outside the image nothing is seen.

    Raises:
        ImageError: its PNG cannot be read.
    """
    pixels = _pixels(Image(data=record.png), Exif.IGNORE)
    height, width = pixels.shape[:2]
    n, first, second = record.indices.T
    x, y = (first, second) if layout is Layout.DOCUMENTED else (second, first)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    order = np.argsort(n[inside], kind="stable")
    n, positions = n[inside][order], (x * height + y)[inside][order]
    ends = np.searchsorted(n, np.arange(len(record.class_ids) + 1))
    return Scene(
        pixels,
        tuple(
            Thing(
                name=str(number),
                label=label_of(classes, class_id),
                mask=from_positions(np.unique(positions[begin:end]), width=width, height=height),
            )
            for number, (class_id, begin, end) in enumerate(
                zip(record.class_ids.tolist(), ends[:-1], ends[1:], strict=True)
            )
        ),
    )


def label_of(classes: Mapping[int, str], class_id: int) -> str:
    """The name of a class, or what it is called where nothing tells its name."""
    return classes.get(class_id, f"id {class_id}")


def _pixels(image: Image, exif: Exif) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The image with as many bits as it has, and of the size that it has.

    Raises:
        ImageError: it cannot be read.
    """
    settings = ImageSettings(exif=Exif.AUTO if exif is Exif.ERROR else exif, channels="source")
    try:
        pixels, issues = load_pixels(image.origin(), settings, image.size, image.frame)
    except ImageError as error:
        if error.code != "image-size-differs":
            raise
        pixels, issues = load_pixels(image.origin(), settings, None, image.frame)
    if not any(issue.code == "image-depth-loss" for issue in issues):
        return pixels
    try:
        return load_pixels(image.origin(), settings.model_copy(update={"depth": 16}), None, image.frame)[0]
    except ImageError:  # colours of 16 bits that only their upper ones can be had of
        return pixels


def _thing(instance: Instance, rasteriser: Rasteriser) -> Thing:
    outlines = tuple(outline for shape in _members(instance.shape) for outline in _outlines(shape))
    return Thing(instance.id, instance.label, _mask(instance.shape, rasteriser), outlines)


def _mask(shape: Shape, rasteriser: Rasteriser) -> Runs | None:
    if isinstance(shape, Box):
        return None
    try:
        return rasteriser.runs(shape)
    except DataError:
        return None


def _members(shape: Shape) -> Sequence[Shape]:
    return shape.members if isinstance(shape, Union) else (shape,)


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
