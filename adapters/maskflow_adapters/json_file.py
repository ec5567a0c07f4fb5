"""A JSON file about one image: read whole, its head parsed, and its objects left as text, each with its place."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
import numpy as np

from maskflow_adapters import json_text
from maskflow_adapters.bounds import check_amount
from maskflow_convert.errors import RecordError

HeadT = TypeVar("HeadT", bound=msgspec.Struct)

MAX_BYTES = 2**28
"""Longest file that is read; nearly all of a long one is an image."""

_BLOCK = 1 << 14
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class JsonFile(Generic[HeadT]):
    """The whole text of a file, and its head. What the head has as `msgspec.Raw` was passed over.

    A subclass says what its head is, and what its files are called. `begins_at` is the address of the text that the
    head was made of.
    """

    decoder: ClassVar[msgspec.json.Decoder[Any]]
    kind: ClassVar[str]

    path: Path
    text: bytes
    head: HeadT
    begins_at: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            RecordError: it cannot be read or is broken; `file-foreign`: it is JSON, and none of these files.
        """
        text = _read(path, cls.kind)
        begin = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
        try:
            parsed, head = cls._parse(text, begin)
        except msgspec.ValidationError as error:
            raise _misfit(error, path, text, cls.kind) from error
        except json_text.UNPARSABLE as error:
            at = json_text.fault_offset(error, len(text) - begin)
            line = None if at is None else _line(text, begin + at)
            raise RecordError(f"is not JSON: {error}", path, line) from error
        return cls(path, text, head, _address(parsed))

    @classmethod
    def _parse(cls, text: bytes, begin: int) -> tuple[bytes, HeadT]:
        """The head, and the text that it is made of: the same, or with zeros for NaN and Infinity, byte for byte."""
        try:
            return text, cls.decoder.decode(memoryview(text)[begin:])
        except msgspec.ValidationError:
            raise
        except json_text.UNPARSABLE:
            zeroed = json_text.zero_non_finite(text)
            return zeroed, cls.decoder.decode(memoryview(zeroed)[begin:])

    def texts(self, parts: Sequence[msgspec.Raw]) -> Iterator[tuple[int, bytes]]:
        """`(offset, text)` in the file of each of these parts of the head, as they are written."""
        for part in parts:
            offset = _address(part) - self.begins_at
            yield offset, self.text[offset : offset + len(memoryview(part))]

    def check_amount(self, objects: Sequence[msgspec.Raw], field: str) -> None:
        """Refuse a file with more objects than are read, which are these parts of the head, in that field.

        Raises:
            RecordError: as `bounds.check_amount`.
        """
        check_amount((len(memoryview(each)) for each in objects), lambda: (self.path, self.line_of(field)))

    def line(self, offset: int) -> int:
        """The line, counted from 1, that the byte at `offset` stands in; quick, however often it is asked for."""
        block = offset // _BLOCK
        return self._newlines_before[block] + _line(self.text, offset, block * _BLOCK)

    @cached_property
    def _newlines_before(self) -> Sequence[int]:
        """The number of newlines before each block of the text."""
        counts = (self.text.count(b"\n", begin, begin + _BLOCK) for begin in range(0, len(self.text), _BLOCK))
        return array("q", accumulate(counts, initial=0))

    def line_of(self, field: str) -> int:
        """The line that a field of the head stands in; the first, if there is no such field."""
        return _line_of(self.text, field)


def _read(path: Path, kind: str) -> bytes:
    if path.is_fifo():
        raise RecordError("is a pipe, which would be waited for", path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", path) from error
    if len(text) > MAX_BYTES:
        raise RecordError(f"is longer than {MAX_BYTES:,} bytes, the most that is read of a {kind} file", path, 1)
    return text


def _misfit(error: msgspec.ValidationError, path: Path, text: bytes, kind: str) -> RecordError:
    """What is wrong with JSON of another structure: a field, which msgspec then names, or all of it."""
    field = re.search(r"`\$\.(\w+)", str(error))
    if field is None:
        return RecordError(f"is not a {kind} file: {error}", path, 1, code="file-foreign")
    return RecordError(str(error), path, _line_of(text, field[1]))


def _line(text: bytes, offset: int, begin: int = 0) -> int:
    """The line, counted from 1 for the one that `begin` stands in."""
    return text.count(b"\n", begin, offset) + 1


def _line_of(text: bytes, field: str) -> int:
    return _line(text, max(text.find(f'"{field}"'.encode()), 0))


def _address(buffer: bytes | msgspec.Raw) -> int:
    return np.frombuffer(buffer, dtype=np.uint8).ctypes.data
