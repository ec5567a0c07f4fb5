"""JSON files as bytes: where a line is, what cannot be parsed, and the NaN that Python writes though JSON has none."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

_BLOCK = 1 << 14
_NON_FINITE = re.compile(
    rb'"(?:[^"\\]|\\.)*+"?|(?<![\w.+-])(NaN|-?Infinity)(?![\w.+-])', re.DOTALL
)  # a string is passed over whole

UNPARSABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for text that is no JSON, of another structure than wanted, or nested too deep."""


class Lines:
    """Line numbers of a file, from the count of newlines in each of its blocks; of the text, one block is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            blocks = iter(lambda: file.read(_BLOCK), b"")
            self._before = list(accumulate((block.count(b"\n") for block in blocks), initial=0))
        self._kept = (-1, b"")

    def line(self, offset: int) -> int:
        """The line, counted from 1, that the byte at `offset` stands in."""
        number, within = divmod(offset, _BLOCK)
        return self._before[number] + self._block(number).count(b"\n", 0, within) + 1

    def _block(self, number: int) -> bytes:
        kept, block = self._kept
        if kept != number:
            with self._path.open("rb") as file:
                file.seek(number * _BLOCK)
                block = file.read(_BLOCK)
            self._kept = (number, block)
        return block


def line_of(path: Path, offset: int) -> int:
    """The line of a byte; a file is read through once, however often this is asked."""
    stat = path.stat()
    return _lines(path, stat.st_size, stat.st_mtime_ns).line(offset)


@lru_cache(maxsize=4)
def _lines(path: Path, size: int, modified: int) -> Lines:
    return Lines(path)


def zero_non_finite(text: bytes) -> bytes:
    """Put zeros in the place of NaN and Infinity, as long as these, so that every other byte stays where it was."""
    return _NON_FINITE.sub(lambda match: match[0] if match[1] is None else b"0." + b"0" * (len(match[0]) - 2), text)


def decode(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Parse a piece of JSON, NaN and Infinity included.

    Raises:
        msgspec.DecodeError: as msgspec does, or its subclass ValidationError.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        if b"NaN" not in text and b"Infinity" not in text:
            raise
        try:
            return msgspec.convert(json.loads(text), decoder.type)
        except ValueError:
            raise error from None


def fault_offset(error: Exception, length: int) -> int | None:
    """The byte at which msgspec could not go on with a text of that length, if it says so."""
    if "truncated" in str(error):
        return length
    found = re.search(r"\(byte (\d+)\)", str(error))
    return int(found[1]) if found else None
