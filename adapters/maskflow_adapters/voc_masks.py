"""The masks of one image: the pixels of each object in `SegmentationObject`, its class in `SegmentationClass`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_adapters.voc_labels import BACKGROUND, VOID, ClassNames, number_of
from maskflow_convert.errors import ImageError, RecordError, ShapeError
from maskflow_convert.geometry import label_runs
from maskflow_convert.image import LabelImage, read_label_image
from maskflow_convert.runs import Positions, Runs, pieces

Numbers = NDArray[np.integer[Any]]

BORDER = 5
"""Width in pixels of the void that Pascal VOC has along the edges of objects.

Two borders fill a narrow gap, as that between an arm and a body. So void is taken for a hole by mistake only where it
holds a square that is wider. Of VOC2012's own masks at hand (two class masks), the borders are 4 to 5 pixels wide, and
void that one object encloses has 1 to 3 pixels; no instance mask of the 27 at hand encloses any.
"""


_MOST_TRIED = 10_000
"""Pieces of void that are looked at closely for holes: a few seconds; an image has hardly more than a hundred."""


@dataclass(frozen=True)
class Masks:
    """The objects of an instance mask, background and void left out.

    Attributes:
        runs: the pixels of each object, by its number, ascending.
        majority: the class that most pixels of each object have in the class mask, by the object's number; None for an
            object that is mostly background or void there. None where there is no class mask.
        names: of the classes in the class mask; None where there is no class mask, or nobody named them.
        holes: pixels of void in the midst of an object, by its number, of objects that have such.
    """

    runs: Mapping[int, Runs]
    majority: Mapping[int, int | None] | None = None
    names: Mapping[int, str] | None = None
    holes: Mapping[int, int] = field(default_factory=dict)


def read_masks(objects: Path, classes: Path | None, names: ClassNames | None) -> Masks:
    """Decode the masks of one image, each once.

    255 is void where an object has 8 bits or a colour. A mask of 16 bits has room for more objects than that.

    Raises:
        RecordError: one of them cannot be read, or they are of two sizes.
    """
    image = _read(objects)
    numbers = _numbers(image)
    wide = image.pixels.ndim == 2 and image.pixels.dtype.itemsize > 1
    runs = dict(_runs(numbers, objects))
    void = None if wide else runs.pop(VOID, None)
    holes = {} if void is None else _holes(numbers, void)
    if classes is None:
        return Masks(runs, holes=holes)
    found, named = _classes(_read(classes), names)
    if found.shape != numbers.shape:
        (height, width), (rows, columns) = found.shape, numbers.shape
        told = f"the class mask has {width} x {height} pixels, the instance mask {columns} x {rows}"
        raise RecordError(told, classes, code="mask-size-differs")
    most = _majority(numbers, found, classes)
    return Masks(runs, {number: most[number] for number in runs}, named, holes)


def _read(path: Path) -> LabelImage:
    try:
        return read_label_image(path)
    except ImageError as error:
        raise RecordError(error.message, path, code=error.code) from error


def _runs(labels: Numbers, path: Path) -> Mapping[int, Runs]:
    try:
        return label_runs(labels)
    except ShapeError as error:
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


def _majority(objects: Numbers, classes: Numbers, path: Path) -> dict[int, int | None]:
    """The most frequent class of each object's pixels, the lower of two that are as frequent."""
    best: dict[int, tuple[int, int]] = {}
    for pair, runs in _runs(objects.astype(np.int64) << 32 | classes, path).items():
        number, value = divmod(pair, 1 << 32)
        best[number] = max(best.get(number, (0, 0)), (runs.area, -value))
    return {number: None if -minus in (BACKGROUND, VOID) else -minus for number, (_, minus) in best.items()}


def _holes(numbers: Numbers, void: Runs) -> dict[int, int]:
    """Pixels of void in the midst of objects, by their numbers: of pieces that touch one object and nothing else.

    What lies above and below the columns of a piece rules out almost all of them.
    """
    x, y, length = void.columns()
    piece = pieces(void)
    framed = np.pad(numbers, 1)
    beyond = np.stack([framed[y, x + 1], framed[y + length + 1, x + 1]]).astype(np.int64)
    least, most, longest = beyond.min(axis=0), beyond.max(axis=0), length.copy()
    np.minimum.at(least, piece, beyond.min(axis=0))
    np.maximum.at(most, piece, beyond.max(axis=0))
    np.maximum.at(longest, piece, length)
    is_first = piece == np.arange(len(piece))
    holes: Counter[int] = Counter()
    enclosed = is_first & (least == most) & (least != BACKGROUND) & (longest > 2 * BORDER)
    candidates = np.flatnonzero(enclosed)[:_MOST_TRIED]
    order = np.argsort(piece, kind="stable")
    begins, ends = (np.searchsorted(piece[order], candidates, side).tolist() for side in ("left", "right"))
    for each, begin, end in zip(candidates.tolist(), begins, ends, strict=True):
        own = order[begin:end]
        number, columns = int(least[each]), (x[own], y[own], length[own])
        if _lies_within(framed, number, *columns):
            holes[number] += int(length[own].sum())
    return dict(holes)


def _lies_within(framed: Numbers, number: int, x: Positions, y: Positions, length: Positions) -> bool:
    """Whether a piece has nothing but the number around it, and a square wider than two borders in it.

    Args:
        framed: `[H + 2, W + 2]` all numbers, with background around the image.
        number: of the object.
        x: of the piece's columns.
        y: of their first pixels.
        length: their pixels.
    """
    left, top = int(x.min()), int(y.min())
    columns, rows = int(x.max()) - left + 1, int((y + length).max()) - top
    inside = Runs((x - left) * rows + y - top, length, columns, rows).to_dense()
    outside = framed[top : top + rows + 2, left : left + columns + 2][_grown(inside) & ~np.pad(inside, 1)]
    return bool((outside == number).all()) and _holds_square(inside, 2 * BORDER + 1)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`[H + 2, W + 2]` for `[H, W]`: the mask, framed, and its neighbours across sides and corners."""
    framed = np.pad(mask, 2)
    tall = framed[:-2] | framed[1:-1] | framed[2:]
    return tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]


def _holds_square(mask: NDArray[np.bool_], side: int) -> bool:
    sums = np.pad(mask.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool((squares == side**2).any())
