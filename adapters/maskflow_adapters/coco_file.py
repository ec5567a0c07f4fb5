"""Reads a COCO file portion by portion, and finds its three lists.

A file that is made up in another way than such files are, or is not JSON, is read into memory as a whole, and its
lists are taken apart with a small object for each element. It is not mapped into memory: were it cut short meanwhile,
the system would end the process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from maskflow_adapters import json_text
from maskflow_adapters.coco_elements import ANYTHING
from maskflow_adapters.coco_lists import Annotations, Categories, Elements, ImageIds, Images
from maskflow_adapters.json_objects import IrregularError, Objects
from maskflow_convert.copies import copy_of
from maskflow_convert.errors import SourceError

ListT = TypeVar("ListT", Images, Annotations, Categories)


@dataclass(frozen=True)
class CocoFile:
    """The lists of a file, and the numbers that stand for the ids of its images."""

    image_ids: ImageIds
    images: Images
    annotations: Annotations
    categories: Categories


def read_file(path: Path) -> CocoFile:
    """Find the lists of a file.

    Raises:
        SourceError: the file cannot be read, is not a COCO annotation file, or is out of the ordinary and has no room
            in memory.
    """
    try:
        with copy_of(path).open("rb", buffering=0) as file:
            found = _parse(file)
            if found is not None:
                return found
            return _take_whole(path, file)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}", path) from error


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


# A file that is made up as usual, portion by portion


class _Run(msgspec.Struct):
    run: int


class _Outline(msgspec.Struct):
    images: list[_Run]
    annotations: list[_Run] = []
    categories: list[_Run] = []


_OUTLINE = msgspec.json.Decoder(_Outline)


def _parse(file: FileIO) -> CocoFile | None:
    """The lists of a file; None if it is out of the ordinary."""
    image_ids = ImageIds()
    lists: dict[int, Images | Annotations | Categories] = {}
    objects = Objects(file)
    try:
        for portion in objects:
            if portion.run not in lists and (elements := _list_called(portion.name, image_ids)):
                lists[portion.run] = elements
            if portion.run in lists:
                lists[portion.run].add(portion)
            else:
                json_text.decode_zeroed(portion.as_list(), ANYTHING)
        outline = json_text.decode_zeroed(bytes(objects.outline).removeprefix(_BYTE_ORDER_MARK), _OUTLINE)
        return CocoFile(
            image_ids,
            _list_of(lists, outline.images, Images(image_ids)),
            _list_of(lists, outline.annotations, Annotations(image_ids)),
            _list_of(lists, outline.categories, Categories()),
        )
    except (IrregularError, *json_text.UNPARSABLE):
        return None


def _list_called(name: str | None, image_ids: ImageIds) -> Images | Annotations | Categories | None:
    match name:
        case "images":
            return Images(image_ids)
        case "annotations":
            return Annotations(image_ids)
        case "categories":
            return Categories()
    return None


def _list_of(lists: Mapping[int, Elements[Any]], runs: Sequence[_Run], empty: ListT) -> ListT:
    """The list that is made up of these runs: of one, or of none if it is empty.

    Raises:
        IrregularError: it has other elements, too, or a name that only JSON can tell.
    """
    match [lists.get(each.run) for each in runs]:
        case []:
            return empty
        case [found] if isinstance(found, type(empty)):
            return found
    raise IrregularError


# A file that is not, all in one


class _Pieces(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


_PIECES = msgspec.json.Decoder(_Pieces)
_NO_ROOM = (
    "is not made up as COCO files are, so that it has to be read as a whole, and there is not enough memory for that; "
    "have a JSON library write it anew, or take a machine with more memory"
)
_PIECES_AT_ONCE = 1000
_SEPARATORS = re.compile(rb"[ \t\r\n,]*")


def _take_whole(path: Path, file: FileIO) -> CocoFile:
    """The lists of a file, out of a copy in memory.

    Raises:
        OSError: it cannot be read.
        SourceError: as in `read_file`.
    """
    try:
        return _take_apart(path, _whole(file))
    except MemoryError as error:
        raise SourceError(_NO_ROOM, path) from error


def _whole(file: FileIO) -> bytearray:
    """The text of a file; what is added to it meanwhile is left out."""
    text = bytearray(os.fstat(file.fileno()).st_size)
    held = file.seek(0)
    with memoryview(text) as room:
        while read := file.readinto(room[held:]):
            held += read
    del text[held:]
    return text


def _take_apart(path: Path, file: bytearray) -> CocoFile:
    """The lists, element by element; what is not finite in the file becomes zeros.

    Raises:
        SourceError: as in `read_file`.
    """
    pieces = _split(path, file)
    image_ids = ImageIds()
    found = CocoFile(image_ids, Images(image_ids), Annotations(image_ids), Categories())
    lists: list[tuple[Elements[Any], list[msgspec.Raw]]] = [
        (found.images, pieces.images),
        (found.annotations, pieces.annotations),
        (found.categories, pieces.categories),
    ]
    for elements, raws in lists:
        offsets = _offsets(memoryview(file), raws)
        for first in range(0, len(raws), _PIECES_AT_ONCE):
            texts = [bytes(memoryview(raw)) for raw in raws[first : first + _PIECES_AT_ONCE]]
            elements.add_each(texts, list(islice(offsets, len(texts))))
    return found


def _split(path: Path, file: bytearray) -> _Pieces:
    text = memoryview(file)
    begin = len(_BYTE_ORDER_MARK) if text[:3] == _BYTE_ORDER_MARK else 0
    try:
        return _decode_pieces(path, text[begin:])
    except json_text.UNPARSABLE:
        json_text.zero_in_place(file)
    try:
        return _decode_pieces(path, text[begin:])
    except json_text.UNPARSABLE as error:
        at = json_text.fault_offset(error, len(text) - begin)
        line = None if at is None else file.count(b"\n", 0, begin + at) + 1
        raise SourceError(f"is not JSON: {error}", path, line) from error


def _decode_pieces(path: Path, text: memoryview) -> _Pieces:
    try:
        return _PIECES.decode(text)
    except msgspec.ValidationError as error:
        raise SourceError(f"is not a COCO annotation file: {error}", path) from error


def _offsets(text: memoryview, pieces: Sequence[msgspec.Raw]) -> Iterator[int]:
    """Where pieces stand that follow each other with separators between, gap by gap."""
    at = _address(pieces[0]) - _address(text) if pieces else 0
    for piece in pieces:
        yield at
        at += len(memoryview(piece))
        match = _SEPARATORS.match(text, at)
        at = match.end() if match else at


def _address(buffer: memoryview | msgspec.Raw) -> int:
    return np.frombuffer(buffer, dtype=np.uint8).ctypes.data
