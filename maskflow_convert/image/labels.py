"""Label images: one whole number, or one colour, a pixel, each of which is a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import ImageError
from maskflow_convert.image.decode import UNSET, Limit, Source, decode, pillow, scale
from maskflow_convert.image.orientation import Frame, turned

T = TypeVar("T")


def read_labels(origin: Path | bytes, most: int | None = None) -> NDArray[np.integer[Any]]:
    """The numbers of a label image, `[H, W]`: the indices of a palette image, the values of a grey one.

    Grey values keep the range of their file: 0 and 1 for 1 bit, 0 to 15 for 4 bits, signed 32-bit integers
    for TIFF's. `most` is how many pixels it may have, if that is fewer than an image may.

    Raises:
        ImageError: `mask-unreadable` if it cannot be read, or its pixels are not one whole number each.
    """
    return _read_mask(origin, _labels, UNSET if most is None else Limit(most))


@dataclass(frozen=True, slots=True)
class LabelImage:
    """A label image, whether it tells its regions apart by numbers or by colours.

    Attributes:
        pixels: `[H, W]` palette indices or grey values; `[H, W, 3]` 8-bit colours where there is no palette.
        palette: `[N, 3]` 8-bit colours of the indices from 0 on; None where there is no palette.
    """

    pixels: NDArray[np.integer[Any]]
    palette: NDArray[np.uint8] | None = None


def read_label_image(origin: Path | bytes) -> LabelImage:
    """A label image with its colours, if it has any. Numbers are those of `read_labels`.

    Raises:
        ImageError: `mask-unreadable` if it cannot be read, or its pixels are neither one whole number each nor an
            opaque 8-bit colour.
    """
    return _read_mask(origin, _label_image)


def _read_mask(origin: Path | bytes, read: Callable[[Source], T], limit: Limit = UNSET) -> T:
    """What `read` makes of a decoded mask."""
    try:
        source = decode(origin, limit)
        with pillow():
            return read(source)
    except ImageError as error:
        path = origin if isinstance(origin, Path) else None
        raise ImageError("mask-unreadable", error.message, path) from error


def _label_image(source: Source) -> LabelImage:
    image = source.image
    if image.mode in ("RGB", "RGBA") and source.bits == 8 and not source.transparent:
        return LabelImage(turned(np.asarray(image)[..., :3], source, Frame.STORED))
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3) if image.mode == "P" else None
    return LabelImage(_labels(source), palette)


def _labels(source: Source) -> NDArray[np.integer[Any]]:
    """`[H, W]` whole numbers, the way round that they are stored."""
    return turned(_whole_numbers(source), source, Frame.STORED)


def _whole_numbers(source: Source) -> NDArray[np.integer[Any]]:
    """`[H, W]`, as decoded."""
    image = source.image
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "L":
        return np.asarray(image) // np.uint8(scale(image, source.bits))
    if image.mode == "P" or image.mode.startswith("I"):
        return np.asarray(image)
    raise ImageError(
        "mask-unreadable", f"its pixels are not one whole number each: it is of Pillow's mode {image.mode}"
    )
