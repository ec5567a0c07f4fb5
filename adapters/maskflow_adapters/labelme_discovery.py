"""Recognises LabelMe's files in a folder, by looking at a few of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from maskflow_adapters import files_of_images
from maskflow_adapters.labelme_file import LabelmeFile
from maskflow_adapters.labelme_shapes import labels_of
from maskflow_convert import Found, RecordError, Tree

_HEAD = re.compile(rb'"(shapes|imageData|imagePath)"\s*:')


@dataclass(frozen=True)
class _Seen:
    """What a file says: the name of its image as it is written, whether it holds it, and its labels."""

    path: Path
    image_path: str
    holds_image: bool
    labels: frozenset[str]

    @property
    def image_name(self) -> str:
        """The last part of its image's path, on Windows or elsewhere."""
        return PureWindowsPath(self.image_path).name or self.path.with_suffix(".jpg").name


def discover(tree: Tree) -> Iterator[Found]:
    """Find folders of LabelMe files; all are one data set."""

    def labels(folder: Path, files: Sequence[_Seen]) -> dict[str, object]:
        return _labels(tree, folder, files)

    def has_image(folder: Path, file: _Seen) -> bool:
        return _has_image(tree, folder, file)

    if samples := dict(files_of_images.looked_into(tree, _HEAD, _look)):
        yield files_of_images.data_set(tree, samples, "LabelMe's", options=labels, has_image=has_image)


def _look(path: Path) -> _Seen | None:
    try:
        file = LabelmeFile.read(path)
    except RecordError:
        return None
    holds_image = bytes(file.head.image_data) not in (b"null", b'""')
    return _Seen(path, file.head.image_path or "", holds_image, frozenset(labels_of(file)))


def _has_image(tree: Tree, folder: Path, file: _Seen) -> bool:
    """Whether the adapter finds the image without being told where: in the file, where that says, or beside it."""
    names = (PureWindowsPath(file.image_path).as_posix(), file.image_name)
    paths = (file.path.parent / name for name in names)
    return file.holds_image or any(tree.has_file(path) and path.resolve().is_relative_to(folder) for path in paths)


def _labels(tree: Tree, folder: Path, files: Sequence[_Seen]) -> dict[str, object]:
    """LabelMe's `labels.txt`, in the folder or beside it, if it has all the labels of the files."""
    wanted = frozenset[str]().union(*(file.labels for file in files))
    for path in (folder / "labels.txt", folder.parent / "labels.txt"):
        lines = tree.head(path).decode("utf-8-sig", "replace").splitlines()
        if wanted and wanted <= {line.strip() for line in lines}:
            return {"labels": path}
    return {}
