"""A LabelMe file: what it says of its image, and where its shapes stand in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from maskflow_adapters import json_text
from maskflow_convert.errors import RecordError

_Length = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]

MAX_BYTES = 2**28
"""Longest file that is read; nearly all of a long one is an image."""

MAX_SHAPE_BYTES = 2**24
"""Longest text of one shape that is read: some million points."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Head(msgspec.Struct, rename="camel"):
    """The fields of the file. `image_data` is text in base64, or null, and parsed where it is needed."""

    shapes: list[msgspec.Raw]
    image_path: str | None = None
    image_data: msgspec.Raw = msgspec.Raw(b"null")
    image_height: _Length | None = None
    image_width: _Length | None = None


_HEAD = msgspec.json.Decoder(Head)


@dataclass(frozen=True)
class LabelmeFile:
    """The whole text of a file, its head, and `(offset, length)` in bytes of each of its shapes."""

    path: Path
    text: bytes
    head: Head
    spans: tuple[tuple[int, int], ...]

    def shapes(self) -> Iterator[tuple[int, bytes]]:
        """`(offset, text)` of each shape."""
        for offset, length in self.spans:
            yield offset, self.text[offset : offset + length]

    def line(self, offset: int) -> int:
        """The line, counted from 1, that the byte at `offset` stands in."""
        return _line(self.text, offset)

    def line_of(self, field: str) -> int:
        """The line that a field of the head stands in; the first, if there is no such field."""
        return _line_of(self.text, field)

    def embedded(self) -> bytes | None:
        """The image, encoded, if the file holds it.

        Raises:
            RecordError: `record-broken`, `imageData` is no text; `image-unreadable`, it is not base64.
        """
        line = self.line_of("imageData")
        try:
            encoded = msgspec.json.decode(self.head.image_data, type=str | None)
        except json_text.UNPARSABLE as error:
            raise RecordError(f"imageData cannot be used: {error}", self.path, line) from error
        try:
            return base64.b64decode(encoded) if encoded else None
        except ValueError as error:
            raise RecordError(f"imageData is not base64: {error}", self.path, line, "image-unreadable") from error


def read_file(path: Path) -> LabelmeFile:
    """Read a file.

    Raises:
        RecordError: it cannot be read or is broken; `file-foreign`: it is JSON, and not LabelMe's.
    """
    text = _read(path)
    begin = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
    try:
        parsed, head = _parse(text, begin)
    except msgspec.ValidationError as error:
        raise _misfit(error, path, text) from error
    except json_text.UNPARSABLE as error:
        at = json_text.fault_offset(error, len(text) - begin)
        line = None if at is None else _line(text, begin + at)
        raise RecordError(f"is not JSON: {error}", path, line) from error
    first = _address(parsed)
    spans = tuple((_address(shape) - first, len(memoryview(shape))) for shape in head.shapes)
    return LabelmeFile(path, text, head, spans)


def _read(path: Path) -> bytes:
    if path.is_fifo():
        raise RecordError("is a pipe, which would be waited for", path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", path) from error
    if len(text) > MAX_BYTES:
        raise RecordError(f"is longer than {MAX_BYTES:,} bytes, the most that is read of a LabelMe file", path, 1)
    return text


def _parse(text: bytes, begin: int) -> tuple[bytes, Head]:
    """The head, and the text that it is made of: the same, or with zeros for NaN and Infinity, byte for byte."""
    try:
        return text, _HEAD.decode(memoryview(text)[begin:])
    except msgspec.ValidationError:
        raise
    except json_text.UNPARSABLE:
        zeroed = json_text.zero_non_finite(text)
        return zeroed, _HEAD.decode(memoryview(zeroed)[begin:])


def _misfit(error: msgspec.ValidationError, path: Path, text: bytes) -> RecordError:
    """What is wrong with JSON of another structure: a field, which msgspec then names, or all of it."""
    field = re.search(r"`\$\.(\w+)", str(error))
    if field is None:
        return RecordError(f"is not a LabelMe file: {error}", path, 1, code="file-foreign")
    return RecordError(str(error), path, _line_of(text, field[1]))


def _line(text: bytes, offset: int) -> int:
    return text.count(b"\n", 0, offset) + 1


def _line_of(text: bytes, field: str) -> int:
    return _line(text, max(text.find(f'"{field}"'.encode()), 0))


def _address(buffer: bytes | msgspec.Raw) -> int:
    return np.frombuffer(buffer, dtype=np.uint8).ctypes.data
