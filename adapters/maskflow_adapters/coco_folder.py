"""The index of a folder of COCO files, one per image, as in SA-1B: which there are, and how large records will be.

With one label for all objects, the index needs nothing of what is in the files: the folder is listed, a few files are
opened to estimate the size of records by, and every other is opened once, when it is converted. Without, all are read
before that, too, for their categories.

An image takes its path and 8 bytes; where all files are read, its path, the name of the image file and 28 bytes, if
numbers are below 2**31. Measured on a million files, 11,000 a folder, with paths of 24 bytes, above what the process
had before: 33 MB when they were listed, 38 MB at most.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import overload

import numpy as np

from maskflow_adapters.coco_elements import key_of, stated_area
from maskflow_adapters.coco_image_file import CocoImageFile, OneImage
from maskflow_adapters.columns import Integers, TextColumn, Texts, narrowed
from maskflow_adapters.listing import files_below
from maskflow_convert import Entry, Index, Issue, Loss
from maskflow_convert.errors import RecordError, SourceError
from maskflow_convert.fetching import fetched_ahead

_SAMPLED = 64  # files
_AT_ONCE = 1000  # paths
_MOST_POSITIVES = 2**40


def index_folder(folder: Path, label: str | None) -> Index[str]:
    """List the images in the order of the paths of their files; a record is such a path, from the folder on.

    Args:
        folder: where the files are, and in the folders below it.
        label: what all objects are; if None, their categories tell.

    Raises:
        SourceError: the folder cannot be listed or holds no such file, or nothing tells what objects are.
    """
    keys = _listed(folder)
    if not len(keys):
        raise SourceError("holds no JSON file", folder)
    return _read_all(folder, keys) if label is None else _read_few(folder, keys, label)


def _listed(folder: Path) -> Texts:
    """The paths of the files from the folder on."""
    keys = TextColumn()
    paths = files_below(folder, ".json")
    while some := list(islice(paths, _AT_ONCE)):
        keys.add(some)
    return keys.take()


# By a few of the files


def _read_few(folder: Path, keys: Texts, label: str) -> Index[str]:
    """Take all images for as large as a few are in the mean, drawn evenly from all."""
    n_read = pixels = positives = 0
    faults: list[RecordError] = []
    numbers = np.unique(np.linspace(0, len(keys) - 1, _SAMPLED).astype(np.int64))
    for path in fetched_ahead(folder / key for key in keys.at(numbers)):
        try:
            file = CocoImageFile.read(path)
            image = file.image()
        except RecordError as error:
            faults.append(error)
            continue
        n_read += 1
        pixels += image.pixels
        positives += _positives(file, image)
    if not n_read and all(fault.code == "file-foreign" for fault in faults):
        raise _none_there(folder, faults[0])
    mean, mean_of_masks = (
        np.broadcast_to(np.int64(total // max(1, n_read)), len(keys)) for total in (pixels, positives)
    )
    return Index(_Entries(keys, mean, mean_of_masks), [label])


def _positives(file: CocoImageFile, image: OneImage) -> int:
    """How many pixels its masks have together, as its annotations state."""
    areas = (stated_area(text) or 0 for _, text in file.annotations())
    return min(int(sum(min(max(0, area), image.pixels) for area in areas)), _MOST_POSITIVES)


def _none_there(folder: Path, example: RecordError) -> SourceError:
    return SourceError(f"holds no COCO file of an image; {example.path}, for one, {example.message}", folder)


# By all of the files


def _read_all(folder: Path, keys: Texts) -> Index[str]:
    """Take from the files what they say of their images, and the names of the categories in the order of the files."""
    told = _Told()
    issues: list[Issue] = []
    for number, path in enumerate(fetched_ahead(folder / key for key in keys)):
        try:
            told.add(number, CocoImageFile.read(path))
        except RecordError as error:
            issues.append(_left_out(keys[number], error))
        if len(told.numbers) == _SAMPLED:
            told.require_labels(folder)  # rather than after millions of files
    if not told.numbers and not any(issue.loss for issue in issues):
        raise SourceError("holds no COCO file of an image", folder)
    told.require_labels(folder)
    return Index(told.entries(keys), list(told.labels), issues)


class _Told:
    """What files say of their images, in columns; `numbers` are those of the files."""

    def __init__(self) -> None:
        self.numbers, self._ids, self._pixels, self._positives = (array("q") for _ in range(4))
        self._names = TextColumn()
        self._objects = 0
        self.labels: dict[str, None] = {}

    def add(self, number: int, file: CocoImageFile) -> None:
        """Append what a file says.

        Raises:
            RecordError: the file is broken; then nothing is appended.
        """
        image, categories = file.image(), file.categories()
        self.numbers.append(number)
        if isinstance(image.own_id, int):
            self._ids.append(image.own_id)
        self._pixels.append(image.pixels)
        self._positives.append(_positives(file, image))
        self._names.add([PurePosixPath(key_of(image.file_name)).name])
        self._objects += len(file.head.annotations)
        self.labels.update(dict.fromkeys(categories.values()))

    def require_labels(self, folder: Path) -> None:
        """Make sure that there is a label for the objects, if there are any.

        Raises:
            SourceError: there is none.
        """
        if self._objects and not self.labels:
            told = "its files name no categories; the option `label` makes all objects one class, as in `label: object`"
            raise SourceError(told, folder)

    def entries(self, keys: Texts) -> _Entries:
        """The entries of the images. Their ids are used if all have integers for them."""
        ids = narrowed(np.asarray(self._ids)) if len(self._ids) == len(self.numbers) else None
        pixels, positives = (narrowed(np.asarray(column)) for column in (self._pixels, self._positives))
        return _Entries(keys.at(np.asarray(self.numbers)), pixels, positives, ids, self._names.take())


def _left_out(key: str, error: RecordError) -> Issue:
    loss = None if error.code == "file-foreign" else Loss.IMAGE
    return Issue(error.code, error.message, record=key, path=str(error.path), line=error.line, loss=loss)


# Entries


@dataclass(frozen=True)
class _Entries(Sequence[Entry[str]]):
    """The entries of an index, each made when it is asked for.

    `pixels` and `positives` are of every image, `[n]`; so are the ids and the names of image files, if they are known.
    """

    keys: Texts
    pixels: Integers
    positives: Integers
    ids: Integers | None = None
    names: Texts | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, at: int) -> Entry[str]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry[str]]: ...
    def __getitem__(self, at: int | slice) -> Entry[str] | Sequence[Entry[str]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        key = self.keys[number]
        return Entry(
            key=key,
            record=key,
            id=None if self.ids is None else self.ids.item(number),
            pixels=self.pixels.item(number),
            positives=self.positives.item(number),
            file_name=None if self.names is None else self.names[number],
        )
