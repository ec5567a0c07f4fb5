"""Which way round an image is: as it is stored, or as viewers show it by its EXIF orientation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import ImageError
from maskflow_convert.image.decode import FIRST_ON_ITS_SIDE, Size, Source, size_text
from maskflow_convert.issues import Issue


class Exif(StrEnum):
    """What is done about an EXIF orientation.

    It is applied, ignored, taken for an error, or (auto) what the format of the annotation says; where that says
    nothing, applied if the image then has the size that the annotation states, and ignored if it has that size as it
    is stored.
    """

    AUTO = "auto"
    APPLY = "apply"
    IGNORE = "ignore"
    ERROR = "error"


class Frame(StrEnum):
    """The two ways round that an image with an EXIF orientation has: as it is stored, and as viewers show it."""

    STORED = "stored"
    SHOWN = "shown"


def choose_frame(
    source: Source, policy: Exif, expected: Size | None, annotated: Frame | None
) -> tuple[Frame, list[Issue]]:
    """Which way round the image is taken, and the issue if that had to be decided."""
    tag, size, shown = source.orientation, source.size, source.size[::-1]
    if tag == 1 or policy is Exif.IGNORE:
        return Frame.STORED, []
    if policy is Exif.APPLY:
        return Frame.SHOWN, []
    if policy is Exif.ERROR:
        raise ImageError("image-orientation-present", f"the image has EXIF orientation {tag}")
    if annotated is not None:
        return annotated, []
    if tag < FIRST_ON_ITS_SIDE or expected is None or size == shown:
        why = "no size is annotated" if expected is None else "the size is the same either way"
        message = f"EXIF orientation {tag} was not applied: {why}"
        return Frame.STORED, [Issue("image-orientation-ambiguous", message)]
    decision = "applied" if expected == shown else "ignored"
    message = (
        f"EXIF orientation {tag} was {decision}: stored are {size_text(size)}, annotated {size_text(expected)} pixels"
    )
    frame = Frame.SHOWN if expected == shown else Frame.STORED
    return frame, [Issue("image-orientation", message)]


_TURNS: Mapping[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""What brings pixels `[H, W, ...]` stored with each orientation upright (EXIF 2.32, tag 0x0112)."""
_BACK = {6: 8, 8: 6}
"""The orientation whose turn undoes that of another; the rest undo themselves."""


def turned(pixels: NDArray[Any], source: Source, frame: Frame) -> NDArray[Any]:
    """Decoded pixels the way round that is wanted."""
    tag = source.orientation
    if frame is Frame.SHOWN and not source.upright:
        return np.ascontiguousarray(_TURNS[tag](pixels))
    if frame is Frame.STORED and source.upright:
        return np.ascontiguousarray(_TURNS[_BACK.get(tag, tag)](pixels))
    return pixels
