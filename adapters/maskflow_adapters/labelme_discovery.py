"""Recognises LabelMe's files in a folder, and finds where their images lie, by looking at a few of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PureWindowsPath

from maskflow_adapters.labelme_file import read_file
from maskflow_adapters.labelme_shapes import labels_of
from maskflow_convert import Confidence, Found, RecordError, Tree
from maskflow_convert.discovery import by_split

_HEAD = re.compile(rb'"(shapes|imageData|imagePath)"\s*:')
_MOST_FOLDERS = 200
_MOST_HEADS = 20  # files of a folder whose first bytes are looked at
_MOST_READ = 100  # files that are read
_MOST_BYTES = 2**25  # of a file that is read


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
    """Find folders of LabelMe files; all are one data set, as an adapter reads all that is below a folder."""
    folders = list(islice(_folders(tree), _MOST_FOLDERS))
    each = max(1, _MOST_READ // max(1, len(folders)))
    samples = {folder: seen for folder, paths in folders if (seen := list(filter(None, map(_look, paths[:each]))))}
    if not samples:
        return
    parts = by_split(tree, list(samples))
    sources: list[dict[str, object]] = []
    notes: list[str] = []
    for split, folder in parts.items():
        files = [file for home, some in samples.items() if home.is_relative_to(folder) for file in some]
        sources.append({"annotations": folder, **_labels(tree, folder, files), **({"split": split} if split else {})})
        if lost := [file for file in files if not _has_image(tree, folder, file)]:
            images = _images(tree, folder, lost[:_MOST_HEADS], split)
            sources[-1] |= {"images": images} if images else {}
            notes += (
                [] if images else [f"The image of {tree.told(lost[0].path)} was not found: {lost[0].image_name!r}."]
            )
    count = sum(tree.count(folder, ".json") for folder in samples)
    reason = f"{count:,} JSON file{'s' if count > 1 else ''}, LabelMe's by those looked at"
    home = parts.get(None, tree.root)
    yield Found(home, reason, sources, Confidence.LIKELY if notes else Confidence.SURE, notes)


def _folders(tree: Tree) -> Iterator[tuple[Path, list[Path]]]:
    """Folders in which some JSON begins as LabelMe's does, and those files."""
    for folder in tree.folders_with(".json"):
        names = tree.folders[folder].names[".json"]
        paths = [folder / name for name in names[:: -(-len(names) // _MOST_HEADS)]]
        if alike := [path for path in paths if _HEAD.search(tree.head(path)) and path.stat().st_size <= _MOST_BYTES]:
            yield folder, alike


def _look(path: Path) -> _Seen | None:
    try:
        file = read_file(path)
    except RecordError:
        return None
    holds_image = bytes(file.head.image_data) not in (b"null", b'""')
    return _Seen(path, file.head.image_path or "", holds_image, frozenset(labels_of(file)))


def _has_image(tree: Tree, folder: Path, file: _Seen) -> bool:
    """Whether the adapter finds the image without being told where: in the file, where that says, or beside it."""
    names = (PureWindowsPath(file.image_path).as_posix(), file.image_name)
    paths = (file.path.parent / name for name in names)
    return file.holds_image or any(tree.has_file(path) and path.resolve().is_relative_to(folder) for path in paths)


def _images(tree: Tree, folder: Path, files: Sequence[_Seen], split: str | None) -> Path | None:
    """The folder that has the images in the same sub-folders as the files, or all in one."""
    names = [file.image_name for file in files]
    nested = [(file.path.parent.relative_to(folder) / file.image_name).as_posix() for file in files]
    homes = (tree.home_of(some, near=folder, split=split) for some in (nested, names))
    return next((home for home, _ in filter(None, homes)), None)


def _labels(tree: Tree, folder: Path, files: Sequence[_Seen]) -> dict[str, object]:
    """LabelMe's `labels.txt`, in the folder or beside it, if it has all the labels of the files."""
    wanted = frozenset[str]().union(*(file.labels for file in files))
    for path in (folder / "labels.txt", folder.parent / "labels.txt"):
        lines = tree.head(path).decode("utf-8-sig", "replace").splitlines()
        if wanted and wanted <= {line.strip() for line in lines}:
            return {"labels": path}
    return {}
