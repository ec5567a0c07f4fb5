"""JSON files as bytes: where a line is, what cannot be parsed, and the NaN that Python writes though JSON has none."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import msgspec

from maskflow_convert.copies import copy_of
from maskflow_convert.errors import SourceError

T = TypeVar("T")

_BLOCK = 1 << 14
_NEAR = 1 << 12  # bytes between two spans that are read with them
_READ_AT_ONCE = 1 << 14  # bytes
_MOST_FILES = 1000  # whose lines are known at a time: some 16 KiB each, and 0.5 KiB a megabyte of the file
_UP_TO_NON_FINITE = re.compile(
    rb"""(?: [^"NI-]++ | "(?:[^"\\]++|\\.)*+"? | (?!{literal})[NI-] )*+ ({literal})""".replace(
        b"{literal}", rb"(?<![\w.+-])(?:NaN|-?Infinity)(?![\w.+-])"
    ),
    re.DOTALL | re.VERBOSE,
)  # strings are passed over whole

UNPARSABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for text that is not JSON, of another structure than wanted, or nested too deep."""


class Lines:
    """Line numbers of a file, from the count of newlines in each of its blocks; of the text, one block is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with copy_of(path).open("rb") as file:
            blocks = iter(lambda: file.read(_BLOCK), b"")
            self._before = array("q", accumulate((block.count(b"\n") for block in blocks), initial=0))
        self._kept = (-1, b"")

    def line(self, offset: int) -> int:
        """The line, counted from 1, that the byte at `offset` stands in; the last, if the file has become shorter."""
        number, within = divmod(min(offset, (len(self._before) - 1) * _BLOCK), _BLOCK)
        return self._before[number] + self._block(number).count(b"\n", 0, within) + 1

    def _block(self, number: int) -> bytes:
        kept, block = self._kept
        if kept != number:
            with copy_of(self._path).open("rb") as file:
                file.seek(number * _BLOCK)
                block = file.read(_BLOCK)
            self._kept = (number, block)
        return block


def state_of(path: Path) -> tuple[int, int]:
    """Size in bytes, and time of the last change in nanoseconds: while these stay, a file is taken for what it was."""
    status = copy_of(path).stat()
    return status.st_size, status.st_mtime_ns


def require_state(path: Path, state: tuple[int, int]) -> None:
    """Make sure that a file is what it was.

    Raises:
        OSError: it is gone.
        SourceError: it has changed.
    """
    if state_of(path) != state:
        raise SourceError("has changed while it was read; begin anew", path)


def line_of(path: Path, offset: int) -> int:
    """The line of a byte; a file is read through once, however often this is asked, and of however many in turn."""
    return _lines(path, *state_of(path)).line(offset)


@lru_cache(maxsize=_MOST_FILES)
def _lines(path: Path, size: int, modified: int) -> Lines:
    return Lines(path)


def read_spans(path: Path, spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes at each `(offset, length)`; what follows closely is read in one go."""
    with copy_of(path).open("rb", buffering=0) as file:
        for neighbours in _neighbours(spans):
            begin = neighbours[0][0]
            file.seek(begin)
            text = file.read(sum(neighbours[-1]) - begin)
            for offset, length in neighbours:
                yield text[offset - begin : offset - begin + length]


def _neighbours(spans: Iterable[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    together: list[tuple[int, int]] = []
    begin = end = 0
    for offset, length in spans:
        if together and not (0 <= offset - end <= _NEAR and offset + length - begin <= _READ_AT_ONCE):
            yield together
            together = []
        if not together:
            begin = offset
        together.append((offset, length))
        end = offset + length
    if together:
        yield together


def zero_non_finite(text: bytes) -> bytes:
    """Put zeros in the place of NaN and Infinity, as long as these, so that every other byte stays where it was."""
    zeroed = bytearray(text)
    zero_in_place(zeroed)
    return bytes(zeroed)


def zero_in_place(text: bytearray) -> None:
    """Do so in the text itself."""
    if text.find(b"NaN") < 0 and text.find(b"Infinity") < 0:
        return
    at = 0
    while match := _UP_TO_NON_FINITE.match(text, at):
        begin, at = match.span(1)
        text[begin:at] = b"0." + b"0" * (at - begin - 2)


def decode_zeroed(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Parse a piece of JSON, zeros in the place of NaN and Infinity.

    Raises:
        UNPARSABLE: it is none, or of another structure.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except UNPARSABLE:
        zeroed = zero_non_finite(text)
        if zeroed == text:
            raise
        return decoder.decode(zeroed)


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
            found: T = msgspec.convert(json.loads(text), decoder.type)
        except ValueError:
            raise error from None
        return found


def fault_offset(error: Exception, length: int) -> int | None:
    """The byte at which msgspec could not go on with a text of that length, if it says so."""
    if "truncated" in str(error):
        return length
    found = re.search(r"\(byte (\d+)\)", str(error))
    return int(found[1]) if found else None
