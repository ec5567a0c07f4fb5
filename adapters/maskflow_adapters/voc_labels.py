"""The names of the classes in a class mask: lists of them, `labelmap.txt`, and the colours of Pascal VOC's palette."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import SourceError

BACKGROUND, VOID = 0, 255

MAX_NAME = 1000
"""Most characters of a name: every message about an object repeats it."""

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The classes of the Pascal VOC challenges; their numbers are 1 to 20."""

_BACKGROUND_NAMES = ("background", "_background_", "__background__")
_IGNORED = "__ignore__"
_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of the numbers that a class mask holds.

    Attributes:
        by_number: of palette indices and grey values.
        by_colour: of colours, each as the number whose colour it is in Pascal VOC's palette; None where the numbers
            have Pascal VOC's colours.
    """

    by_number: Mapping[int, str]
    by_colour: Mapping[int, str] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """All names but those of background and void, in their order."""
        names = self.by_number if self.by_colour is None else self.by_colour
        return tuple(dict.fromkeys(name for number, name in names.items() if number not in (BACKGROUND, VOID)))


VOC_NAMES = ClassNames(dict(enumerate(VOC_CLASSES, start=1)))


def number_names(names: Sequence[str]) -> ClassNames:
    """Names in the order of their numbers: from 0 if the first is that of the background, else from 1."""
    first = 0 if names[0] in _BACKGROUND_NAMES else 1
    return ClassNames(dict(enumerate(names, start=first)))


def read_names(path: Path) -> ClassNames:
    """The names that a file lists, one a line, with their colours if it is a `labelmap.txt`.

    A line of `labelmap.txt` is `name:r,g,b:parts:actions`; one without a colour has that of its number. Comments begin
    with `#`; `__ignore__`, which LabelMe numbers -1, is passed over.

    Raises:
        SourceError: the file cannot be read, lists no name, or a colour that is none or that another name has.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error
    written: list[tuple[int, str, int | None]] = []
    for number, line in enumerate(lines, start=1):
        text = _COMMENT.sub("", line).strip()
        if len(text) > MAX_NAME:
            raise SourceError(
                f"has a line of {len(text):,} characters; a name has {MAX_NAME:,} at the most", path, number
            )
        if text and text != _IGNORED:
            written.append((number, *_entry(path, number, text)))
    if not written:
        raise SourceError("lists no class; it should hold one name a line", path)
    numbered = number_names([name for _, name, _ in written])
    if all(":" not in lines[number - 1] for number, _, _ in written):
        return numbered
    by_colour: dict[int, str] = {}
    for (at, name, colour), number in zip(written, numbered.by_number, strict=True):
        if by_colour.setdefault(number if colour is None else colour, name) != name:
            raise SourceError(f"gives {name!r} the colour of another class", path, at)
    return ClassNames(numbered.by_number, by_colour)


def _entry(path: Path, line: int, text: str) -> tuple[str, int | None]:
    """The name in a line, and the number of its colour if it has one."""
    if text.count(":") < 3:
        return text, None
    name, colour, _, _ = text.rsplit(":", 3)
    if not colour.strip():
        return name.strip(), None
    try:
        red, green, blue = map(int, colour.split(","))
        rgb = np.array([red, green, blue], dtype=np.uint8)
    except (ValueError, OverflowError) as error:
        raise SourceError(f"has {colour!r} where the colour `r,g,b` of {name!r} should be", path, line) from error
    return name.strip(), int(number_of(rgb))


_SPREAD = np.array([sum((byte >> (7 - bit) & 1) << 3 * bit for bit in range(8)) for byte in range(256)], np.int32)
"""The bits of a byte, highest first, each third place from the lowest on."""


def number_of(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """`[..., 3]` colours to the numbers `[...]` that Pascal VOC's palette gives them to.

    The palette takes the lowest bit of a number for the highest of red, the next for that of green, then blue, and so
    on (VOCcolormap.m); so each of the 2**24 colours belongs to one number.
    """
    spread: NDArray[Any] = _SPREAD[colours]
    numbers: NDArray[np.int32] = spread[..., 0] | spread[..., 1] << 1 | spread[..., 2] << 2
    return numbers


def told(number: int) -> str:
    """A number as messages say it: as the colour that it has, if it is too high for an index."""
    if number < 1 << 16:
        return str(number)
    return ",".join(str(sum((number >> 3 * bit + band & 1) << (7 - bit) for bit in range(8))) for band in range(3))
