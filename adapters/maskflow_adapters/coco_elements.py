"""What the images, annotations and categories of a COCO file say of themselves; geometry is passed over."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, TypeVar

import msgspec

from maskflow_adapters import json_text

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(max_length=1000)]
"""What every message about an object or an image may repeat."""

FileName = Annotated[str, msgspec.Meta(max_length=4096)]

Id = int | Name


class ImageEntry(msgspec.Struct, gc=False):
    """What the entry of an image says."""

    id: Id
    file_name: FileName
    width: int | None = None
    height: int | None = None

    def fault(self) -> str | None:
        """Why the image cannot be used, if its id or its size is beyond reason."""
        if isinstance(self.id, int) and not -(2**63) <= self.id < 2**63:
            return f"id {self.id} does not fit into the 64 bits that a record has for it"
        for name, length in (("width", self.width), ("height", self.height)):
            if length is not None and not 1 <= length < 2**31:
                return f"image {self.id} has the {name} {length}"
        return None


class Category(msgspec.Struct, gc=False):
    """What a category says."""

    id: Id
    name: Name


class Head(msgspec.Struct, gc=False):
    """What an annotation says of itself and its image."""

    image_id: Id
    id: Id | None = None


IMAGE = msgspec.json.Decoder(ImageEntry)
CATEGORY = msgspec.json.Decoder(Category)
HEAD = msgspec.json.Decoder(Head)
ANYTHING = msgspec.json.Decoder(msgspec.Raw)

_REDUNDANT = re.compile(r"\\|(^|/)\.?(/|$)", re.MULTILINE)


def key_of(file_name: str) -> str:
    """One spelling for each file: backslashes, `./` and `//` are other ways to write the same."""
    return str(PurePosixPath(file_name.replace("\\", "/"))) if _REDUNDANT.search(file_name) else file_name


def keys_of(file_names: list[str]) -> list[str]:
    """As `key_of`; that nothing need be changed is found out of all together, which is quicker than one by one."""
    return list(map(key_of, file_names)) if _REDUNDANT.search("\n".join(file_names)) else file_names


def fault_of(text: bytes, decoder: msgspec.json.Decoder[T]) -> str:
    """What is wrong with a broken element."""
    try:
        json_text.decode_zeroed(text, decoder)
    except json_text.UNPARSABLE as error:
        return str(error)
    return ""


def annotation_id(text: bytes) -> Id | None:
    """The id of an annotation, None if that has none or is broken."""
    try:
        return json_text.decode_zeroed(text, HEAD).id
    except json_text.UNPARSABLE:
        return None


def annotation_name(text: bytes) -> str | None:
    """The id of an annotation, as messages say it; None if it has none that can be read."""
    try:
        name = json_text.decode(text, _NAMED).id
    except json_text.UNPARSABLE:
        return None
    return None if name is None else str(name)


class _Named(msgspec.Struct):
    id: Id | None = None


_NAMED = msgspec.json.Decoder(_Named)


def stated_area(text: bytes) -> float | None:
    """The area in pixels that an annotation states; None if it states none, or is broken."""
    try:
        return json_text.decode_zeroed(text, _AREA).area
    except json_text.UNPARSABLE:
        return None


class _Area(msgspec.Struct):
    area: float


_AREA = msgspec.json.Decoder(_Area)
