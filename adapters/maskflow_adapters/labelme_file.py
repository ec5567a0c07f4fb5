"""A LabelMe file: what it says of its image, and where its shapes stand in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import msgspec

from maskflow_adapters import json_text
from maskflow_adapters.json_file import JsonFile
from maskflow_convert.errors import RecordError

_Length = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Head(msgspec.Struct, rename="camel"):
    """The fields of the file. `image_data` is text in base64, or null, and parsed where it is needed."""

    shapes: list[msgspec.Raw]
    image_path: str | None = None
    image_data: msgspec.Raw = msgspec.Raw(b"null")
    image_height: _Length | None = None
    image_width: _Length | None = None


@dataclass(frozen=True)
class LabelmeFile(JsonFile[Head]):
    """One file."""

    decoder = msgspec.json.Decoder(Head)
    kind = "LabelMe"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            RecordError: as for any JSON file; or it has more shapes than are read.
        """
        file = super().read(path)
        file.check_amount(file.head.shapes, "shapes")
        return file

    def shapes(self) -> Iterator[tuple[int, bytes]]:
        """`(offset, text)` of each shape."""
        return self.texts(self.head.shapes)

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
