"""One image and its objects, whatever format they came from: what every adapter yields and everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import Field, JsonValue, PositiveInt, model_validator

from maskflow_convert.errors import ImageError
from maskflow_convert.issues import Issue
from maskflow_convert.shape import Model, Shape


class Image(Model):
    """An image: a file, or its encoded bytes; and its size, if the annotation states it.

    `root` is the folder that the file must lie in: what names the file is data, and may come from a stranger. `width`
    and `height` are those of the frame that the annotations were made in, in pixels. They are held against the image,
    and say which way round an image with an EXIF orientation was annotated.
    """

    path: Path | None = None
    data: bytes | None = None
    root: Path | None = None
    width: PositiveInt | None = None
    height: PositiveInt | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Image:
        if (self.path is None) == (self.data is None):
            raise ValueError("an image has either a path or data")
        return self

    @property
    def size(self) -> tuple[int, int] | None:
        """`(width, height)` as annotated, if both are known."""
        return None if self.width is None or self.height is None else (self.width, self.height)

    def origin(self) -> Path | bytes:
        """Where the pixels come from: the file's path, or the encoded bytes.

        Raises:
            ImageError: `image-outside-folder`, when the path leaves `root`, links followed.
        """
        if self.path is None:
            return self.data or b""
        if self.root is not None and not self.path.resolve().is_relative_to(_resolved(self.root)):
            raise ImageError("image-outside-folder", f"the path leads out of {self.root}", self.path)
        return self.path


@lru_cache(maxsize=64)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


class Instance(Model):
    """One object: what it is, where it is.

    `crowd` marks a region of many objects that were not told apart. `id` is how the source refers to the object, for
    messages; `attributes` is what else the source says of it.
    """

    label: str
    shape: Shape
    crowd: bool = False
    id: str | None = None
    attributes: Mapping[str, JsonValue] = Field(default_factory=dict)


class Sample(Model):
    """One annotated image.

    `key` is that of the index entry. `issues` are objects that the adapter found but cannot express as an instance, one
    issue with `loss="object"` each; they are counted as found and dropped.
    """

    key: str
    image: Image
    instances: tuple[Instance, ...] = ()
    issues: tuple[Issue, ...] = ()
