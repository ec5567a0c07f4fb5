"""The masks of one image: the pixels of each object in `SegmentationObject`, its class in `SegmentationClass`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_adapters.voc_labels import BACKGROUND, VOID, ClassNames, number_of
from maskflow_convert.errors import ImageError, RecordError
from maskflow_convert.geometry import label_runs
from maskflow_convert.image import LabelImage, read_label_image
from maskflow_convert.runs import Runs

Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Masks:
    """The objects of an instance mask, background and void left out.

    Attributes:
        runs: the pixels of each object, by its number, ascending.
        majority: the class that most pixels of each object have in the class mask, by the object's number; None for an
            object that is mostly background or void there. None where there is no class mask.
        names: of the classes in the class mask; None where there is no class mask, or nobody named them.
    """

    runs: Mapping[int, Runs]
    majority: Mapping[int, int | None] | None = None
    names: Mapping[int, str] | None = None


def read_masks(objects: Path, classes: Path | None, names: ClassNames | None) -> Masks:
    """Decode the masks of one image, each once.

    255 is void where an object has 8 bits or a colour. A mask of 16 bits has room for more objects than that.

    Raises:
        RecordError: one of them cannot be read, or they are of two sizes.
    """
    image = _read(objects)
    numbers = _numbers(image)
    wide = image.pixels.ndim == 2 and image.pixels.dtype.itemsize > 1
    runs = {number: some for number, some in label_runs(numbers).items() if number != VOID or wide}
    if classes is None:
        return Masks(runs)
    found, named = _classes(_read(classes), names)
    if found.shape != numbers.shape:
        (height, width), (rows, columns) = found.shape, numbers.shape
        told = f"the class mask has {width} x {height} pixels, the instance mask {columns} x {rows}"
        raise RecordError(told, classes, code="mask-size-differs")
    most = _majority(numbers, found)
    return Masks(runs, {number: most[number] for number in runs}, named)


def _read(path: Path) -> LabelImage:
    try:
        return read_label_image(path)
    except ImageError as error:
        raise RecordError(error.message, path, code=error.code) from error


def _numbers(image: LabelImage) -> Numbers:
    """`[H, W]`: colours as the numbers that have them in Pascal VOC's palette."""
    return number_of(image.pixels.astype(np.uint8)) if image.pixels.ndim == 3 else image.pixels


def _classes(image: LabelImage, names: ClassNames | None) -> tuple[Numbers, Mapping[int, str] | None]:
    """`[H, W]` numbers of classes, and their names: by colour where the names have colours and the image has."""
    if names is None:
        return _numbers(image), None
    if names.by_colour is None or (image.palette is None and image.pixels.ndim == 2):
        return _numbers(image), names.by_number
    if image.palette is None:
        return _numbers(image), names.by_colour
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(image.palette)] = image.palette
    return number_of(colours)[image.pixels], names.by_colour


def _majority(objects: Numbers, classes: Numbers) -> dict[int, int | None]:
    """The most frequent class of each object's pixels, the lower of two that are as frequent."""
    best: dict[int, tuple[int, int]] = {}
    for pair, runs in label_runs(objects.astype(np.int64) << 32 | classes).items():
        number, value = divmod(pair, 1 << 32)
        best[number] = max(best.get(number, (0, 0)), (runs.area, -value))
    return {number: None if -minus in (BACKGROUND, VOID) else -minus for number, (_, minus) in best.items()}
