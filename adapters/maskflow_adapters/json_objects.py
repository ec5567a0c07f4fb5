"""The objects in the lists of a JSON file, a portion of the file at a time, in memory that does not grow with it.

A file of annotations is one object with a few lists of many objects. The braces outside strings tell where each of
those stands. Objects with nothing but a comma between them form a *run*; runs are handed out in portions, for others
to parse. What is left of the file is its *outline*, in which `{"run": 0}` stands for the first run, and so on.

If every portion is JSON when it is put between brackets, and the outline is JSON, then so is the file. No other object
is left at the second level of the outline, so that it also tells which list is made up of which run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 19  # bytes; what is made of them stays in the processor's cache
_LONGEST = 1 << 26  # bytes of the outline, and of a single object

_QUOTE, _BACKSLASH, _OPENING = ord('"'), ord("\\"), ord("{")
_LIST_NAME = re.compile(rb'"([^"\\]*)"\s*:\s*\[\s*\Z')
_SEPARATOR = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")


class IrregularError(Exception):
    """The file is not made up as this module expects."""


@dataclass(frozen=True)
class Portion:
    """Neighbouring objects of one run.

    Attributes:
        run: the number of the run, counted from 0.
        name: that of the list, as the text before the run has it; None if there is none.
        text: the objects, and what separates them; it holds until the next portion is taken.
        offset: where the text stands in the file.
        begins, ends: where each object stands in the text, `[n]`.
    """

    run: int
    name: str | None
    text: memoryview
    offset: int
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    def as_list(self) -> bytes:
        """The objects between brackets."""
        return b"".join((b"[", self.text, b"]"))

    def texts(self) -> list[bytes]:
        """Each object.

        Raises:
            IrregularError: what stands between two of them is no comma.
        """
        begins, ends = self.begins.tolist(), self.ends.tolist()
        for end, begin in zip(ends, begins[1:], strict=False):
            _require_separator(self.text[end:begin])
        return [bytes(self.text[begin:end]) for begin, end in zip(begins, ends, strict=True)]


class Objects:
    """Goes through a file once. The outline is whole when all portions have been taken."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._run = -1
        self._name: str | None = None
        self._in_list = False
        self.outline = bytearray()

    def __iter__(self) -> Iterator[Portion]:
        """The portions in the order of the file.

        Raises:
            IrregularError: objects follow each other elsewhere than at the beginning of a list; or the outline or an
                object is too long to be held in memory.
        """
        braces = _Braces()
        text = memoryview(bytearray(_AT_ONCE))
        offset = held = 0
        while read := self._file.readinto(text[held:]):
            begins, ends, follows = braces.pairs(np.frombuffer(text, np.uint8, read, held))
            held += read
            done = 0
            for first, stop in _runs(follows):
                places = begins[first:stop] - offset, ends[first:stop] - offset
                self._pass_over(bytes(text[done : places[0][0]]), continues=bool(follows[first]), count=stop - first)
                yield self._portion(text, offset, *places)
                done = int(places[1][-1])
            rest = bytes(text[done:held])
            if max(len(rest), len(self.outline)) > _LONGEST:
                raise IrregularError
            if len(rest) > len(text) // 2:
                text = memoryview(bytearray(2 * len(text)))
            text[: len(rest)] = rest
            offset, held = offset + done, len(rest)
        self.outline += text[:held]

    def _pass_over(self, before: bytes, *, continues: bool, count: int) -> None:
        """Take the text before the next objects to the outline, unless that continues the run."""
        if continues:
            _require_separator(before)
        else:
            self._run += 1
            self._name = _list_name(before)
            self._in_list = before.rstrip().endswith(b"[")
            self.outline += before + b'{"run":%d}' % self._run
        if not self._in_list and (continues or count > 1):
            raise IrregularError

    def _portion(self, text: memoryview, offset: int, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Portion:
        """The objects at these places of a text that stands at that offset of the file."""
        begin = int(begins[0])
        return Portion(self._run, self._name, text[begin : ends[-1]], offset + begin, begins - begin, ends - begin)


def _runs(follows: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where objects begin to follow each other, and where they end to."""
    starts = np.flatnonzero(~follows[1:]) + 1
    return pairwise([0, *starts.tolist(), len(follows)] if len(follows) else [])


def _list_name(before: bytes) -> str | None:
    found = _LIST_NAME.search(before)
    return found[1].decode(errors="replace") if found else None


def _require_separator(text: bytes | memoryview) -> None:
    if not _SEPARATOR.fullmatch(text):
        raise IrregularError


class _Braces:
    """Finds the braces of the second level, in a text that comes piece by piece."""

    def __init__(self) -> None:
        self._offset = 0
        self._escaping = False  # whether a backslash was last that takes its meaning from the next character
        self._in_string = False
        self._after_brace = False  # whether the last of all braces and quotes is a brace
        self._depth = 0
        self._masks = np.empty((2, 0), dtype=np.bool_)  # the same memory for every piece
        self._begins = np.empty(0, dtype=np.int64)
        self._follows = np.empty(0, dtype=np.bool_)

    def pairs(self, content: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Where the objects begin and end that are whole now, and which of them follow the one before directly.

        A brace belongs to a string if an odd number of quotes stand before it. Of other signs, only letters outside
        ASCII and three rare ones have codes above that of the first brace.
        """
        marks = self._marks(content)
        characters = content[marks]
        quotes = characters == _QUOTE
        self._drop_escaped(quotes, marks, content)
        in_string = np.logical_xor.accumulate(quotes) ^ self._in_string
        numbers = np.flatnonzero(((characters == _OPENING) | (characters == ord("}"))) & ~in_string)
        opens = characters[numbers] == _OPENING
        depth = np.cumsum(np.where(opens, 1, -1).astype(np.int8), dtype=np.int64) + self._depth
        begins, ends = opens & (depth == 2), ~opens & (depth == 1)
        after_brace = self._follow_brace(numbers)

        places = marks[numbers] + self._offset
        all_begins = np.concatenate([self._begins, places[begins]])
        all_follows = np.concatenate([self._follows, after_brace[begins]])
        all_ends = places[ends] + 1
        whole = len(all_ends)

        self._begins, self._follows = all_begins[whole:], all_follows[whole:]
        self._offset += len(content)
        self._escaping = self._is_escaped(content, len(content))
        if len(marks):
            self._in_string = bool(in_string[-1])
            self._after_brace = bool(len(numbers) and numbers[-1] == len(marks) - 1)
        if len(numbers):
            self._depth = int(depth[-1])
        return all_begins[:whole], all_ends, all_follows[:whole]

    def _marks(self, content: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where there is a quote, a brace or a rare sign."""
        if len(content) > self._masks.shape[1]:
            self._masks = np.empty((2, len(content)), dtype=np.bool_)
        quotes, others = self._masks[:, : len(content)]
        np.equal(content, _QUOTE, out=quotes)
        np.greater_equal(content, _OPENING, out=others)
        return np.flatnonzero(np.logical_or(quotes, others, out=quotes))

    def _follow_brace(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which braces have another one directly before them among all braces and quotes."""
        return np.concatenate([(numbers[:1] == 0) & self._after_brace, np.diff(numbers) == 1])

    def _drop_escaped(self, quotes: NDArray[np.bool_], marks: NDArray[np.int64], content: NDArray[np.uint8]) -> None:
        """Take back the quotes that a backslash makes part of their string."""
        suspicious = quotes & ((content[marks - 1] == _BACKSLASH) | (marks == 0))
        for number in np.flatnonzero(suspicious).tolist():
            quotes[number] = not self._is_escaped(content, int(marks[number]))

    def _is_escaped(self, content: NDArray[np.uint8], at: int) -> bool:
        """Whether an odd number of backslashes stand before a place."""
        begin = at
        while begin and content[begin - 1] == _BACKSLASH:
            begin -= 1
        return ((at - begin) % 2 == 1) ^ (begin == 0 and self._escaping)
