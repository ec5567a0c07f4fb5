"""Recognises folders of COCO files, one per image, by looking at a few of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maskflow_adapters import files_of_images
from maskflow_adapters.coco_elements import key_of
from maskflow_adapters.coco_image_file import CocoImageFile
from maskflow_convert import Found, RecordError, Tree

LABEL = "object"
"""What objects are called that have no category."""

_HEAD = re.compile(rb'"(image|images|annotations)"\s*:')
_SHAPE = re.compile(rb'"(segmentation|bbox)"\s*:\s*[\[{]')


@dataclass(frozen=True)
class Seen:
    """What a file says: the path of its image, and whether it has categories.

    `is_for_one` tells a file that has room for one image only from one with a list of images.
    """

    path: Path
    image_name: str
    has_categories: bool
    is_for_one: bool

    @property
    def is_called_as_its_image(self) -> bool:
        """Whether the names of file and image differ in their suffixes only."""
        return PurePosixPath(self.image_name).stem == self.path.stem


Samples = Mapping[Path, Sequence[Seen]]


def folders_of_files(tree: Tree) -> Samples:
    """The folders in which there is a file for each image, and some of these files."""
    return {
        folder: files
        for folder, seen in files_of_images.looked_into(tree, _HEAD, _look)
        if (files := [file for file in seen if file.is_for_one] or _with_lists(seen))
    }


def _with_lists(files: Sequence[Seen]) -> Sequence[Seen]:
    """The files, if they are one per image although they list images: several, each called as its image."""
    return files if len(files) > 1 and all(file.is_called_as_its_image for file in files) else ()


def discover(tree: Tree, samples: Samples) -> Iterator[Found]:
    """Find the data set of these folders."""

    def label(folder: Path, files: Sequence[Seen]) -> dict[str, object]:
        return {} if any(file.has_categories for file in files) else {"label": LABEL}

    def has_image(folder: Path, file: Seen) -> bool:
        path = file.path.parent / file.image_name
        return tree.has_file(path) and path.resolve().is_relative_to(folder)

    if samples:
        yield files_of_images.data_set(tree, samples, "COCO's, one per image,", options=label, has_image=has_image)


def _look(path: Path) -> Seen | None:
    """What a file says; None if it cannot be read, or is about something else than objects."""
    try:
        file = CocoImageFile.read(path)
        image, categories = file.image(), file.categories()
    except RecordError:
        return None
    if file.head.annotations and not any(_SHAPE.search(text) for _, text in file.annotations()):
        return None
    return Seen(path, key_of(image.file_name), bool(categories), bool(bytes(file.head.image)))
