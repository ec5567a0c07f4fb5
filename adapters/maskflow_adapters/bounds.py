"""How much is read of the annotations of one image, so that no file of a stranger costs more time and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from maskflow_convert.errors import RecordError

MAX_OBJECTS = 200_000
"""Most objects of one image."""

MAX_BYTES = 2**27
"""Longest text of all objects of one image together: some ten million points."""

MAX_OBJECT_BYTES = 2**24
"""Longest text of one object: some million points. A longer one is refused by itself, and its text is not parsed."""


def check_amount(lengths: Iterable[int], place: Callable[[], tuple[Path, int]]) -> None:
    """Refuse an image with more annotations than are read; no more of the lengths are taken than tell.

    An object that is too long by itself counts as the longest that is not: it costs its image nothing else.

    Args:
        lengths: that of the text of each object, in bytes.
        place: the file and the line where the objects begin; asked for only if they are refused.

    Raises:
        RecordError: there are more than `MAX_OBJECTS`, or they are longer than `MAX_BYTES` together.
    """
    total = 0
    for number, length in enumerate(lengths, start=1):
        total += min(length, MAX_OBJECT_BYTES)
        if number > MAX_OBJECTS:
            raise RecordError(f"the image has more than {MAX_OBJECTS:,} objects, {_REMEDY}", *place())
        if total > MAX_BYTES:
            raise RecordError(f"the objects of the image take more than {MAX_BYTES:,} bytes, {_REMEDY}", *place())


_REMEDY = "the most that is read of one; cut it into tiles"
