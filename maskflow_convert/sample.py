"""One image and its objects, whatever format they came from: what every adapter yields and everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, model_validator

from maskflow_convert.catalogue import Severity
from maskflow_convert.errors import ImageError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import Frame, ImageSettings, check_pixels, load_pixels, read_shown_size, read_size
from maskflow_convert.issues import Issue
from maskflow_convert.runs import to_masks
from maskflow_convert.shape import Box, Model, Shape


class Image(Model):
    """An image: a file, or its encoded bytes; and its size, if the annotation states it.

    `root` is the folder that the file must lie in: what names the file is data, and may come from a stranger. Bytes
    have a `name` in its place, which the record keeps, and the file that they were taken from as their `source`, which
    messages name. `width` and `height` are those of the frame that the annotations
    were made in, in pixels. They are held against the image, and say which way round an image with an EXIF orientation
    was annotated, unless the format leaves no doubt of it: then `frame` says so.
    """

    path: Path | None = None
    data: bytes | None = None
    root: Path | None = None
    name: str | None = None
    source: Path | None = None
    frame: Frame | None = None
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

    def turned(self) -> Image:
        """The same image, annotated with width and height exchanged."""
        return self.model_copy(update={"width": self.height, "height": self.width})

    def measure(self, settings: ImageSettings | None = None) -> tuple[int, int]:
        """`(width, height)` in pixels: as annotated, or else as the header of the file says for its frame.

        `settings` are how the image is read, None for the defaults; they say how large it may be.

        Raises:
            ImageError: it has more pixels than are read, or the file cannot be opened, or is not where it may be.
        """
        limit = (settings or ImageSettings()).limit
        if self.size is not None:
            return check_pixels(*self.size, limit)
        read = read_shown_size if self.frame is Frame.SHOWN else read_size
        return read(self.origin(), limit)

    def origin(self) -> Path | bytes:
        """Where the pixels come from: the file's path, or the encoded bytes.

        Raises:
            ImageError: `image-outside-folder`, when the path leaves `root`, links followed.
        """
        if self.path is None:
            return self.data or b""
        if self.root is None:
            return self.path
        try:
            target = self.path.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a NUL in the name
            raise ImageError("image-unreadable", f"the path leads nowhere: {error}", self.path) from error
        if not target.is_relative_to(_resolved(self.root)):
            raise ImageError("image-outside-folder", f"the path leads out of {self.root}", self.path)
        return self.path


@lru_cache(maxsize=64)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


class Instance(Model):
    """One object: what it is, where it is.

    `crowd` marks a region of many objects that were not told apart. For messages, `id` is how the source refers to the
    object, and `offset` where in its file it stands, in bytes or lines or as its adapter counts, for `Adapter.where`;
    `attributes` is what else the source says of it. `stated_box` and `stated_area` (in pixels) are what the source says
    of the mask beside the mask itself, if it does; they are held against it.
    """

    label: str
    shape: Shape
    crowd: bool = False
    id: str | None = None
    offset: NonNegativeInt | None = None
    stated_box: Box | None = None
    stated_area: float | None = None
    attributes: Mapping[str, JsonValue] = Field(default_factory=dict)


class Sample(Model):
    """One annotated image.

    `key` is that of the index entry. `issues` are objects that the adapter found but cannot express as an instance, one
    issue with `loss="object"` each; they are counted as found and dropped. `doubts` are about the annotation of the
    image as a whole, without a loss; one of severity error costs the image.
    """

    key: str
    image: Image
    instances: tuple[Instance, ...] = ()
    issues: tuple[Issue, ...] = ()
    doubts: tuple[Issue, ...] = ()

    def label_numbers(self) -> dict[str, int]:
        """The labels of the instances, numbered from 1 in the order of their first instance."""
        labels = dict.fromkeys(instance.label for instance in self.instances)
        return {label: number for number, label in enumerate(labels, start=1)}

    def _repr_html_(self) -> str:
        """What a notebook shows: the image with its objects, if it can be had, and a table of them."""
        from maskflow_convert.markup import isolated, table
        from maskflow_convert.scene import sample_html

        numbers = self.label_numbers()
        objects = [
            (each.id or "", each.label, numbers[each.label], f"{each.shape.kind}{' of a crowd' if each.crowd else ''}")
            for each in self.instances
        ]
        doubts = [(issue.code, issue.told) for issue in (*self.issues, *self.doubts)]
        tables = (
            table(("object", "label", "class", "shape"), objects) if objects else "<p>No object.</p>",
            table(("issue", "which is"), doubts) if doubts else "",
        )
        return f"<p>{isolated(self.key)}</p>{sample_html(self)}{''.join(tables)}"

    def to_numpy(
        self,
        classes: Mapping[str, int] | None = None,
        *,
        image_id: int = 0,
        settings: ImageSettings | None = None,
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """The sample as plain arrays, in the shapes and axes that training sees: for inference, and to look at.

        Args:
            classes: the id of each label; None numbers the labels from 1 in the order of their first instance.
            image_id: what to put into `image_id`.
            settings: how the image is read; None for the defaults.

        Returns:
            `(image, {"masks", "class_ids", "image_id"})`: `[W, H, C]` uint8 or uint16, `[N, W, H]` uint8 of 0 and 1,
            `[N]` int64, `[]` int64. W counts columns.

        Raises:
            ImageError: the image cannot be used, or not without a loss that the settings do not allow.
            ShapeError: an instance has no meaning in this image.
            KeyError: a label is not in `classes`.
        """
        pixels, issues = load_pixels(
            self.image.origin(), settings or ImageSettings(), self.image.size, self.image.frame
        )
        for issue in issues:
            if issue.rule.severity is Severity.ERROR:
                raise ImageError(issue.code, issue.message, self.image.path)
        height, width = pixels.shape[:2]
        if classes is None:
            classes = self.label_numbers()
        rasteriser = Rasteriser(width, height)
        masks = [rasteriser.runs(instance.shape) for instance in self.instances]
        return pixels.transpose(1, 0, 2), {
            "masks": to_masks(masks, width=width, height=height),
            "class_ids": np.array([classes[instance.label] for instance in self.instances], dtype=np.int64),
            "image_id": np.array(image_id, dtype=np.int64),
        }
