"""Where a Pascal VOC data set is: its folders and the files in them, by the name that those of one image share."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maskflow_adapters.voc_labels import ClassNames, read_names
from maskflow_convert.errors import SourceError
from maskflow_convert.remote import RemotePath

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""Of images, in the order in which they are preferred."""

USUAL_FOLDERS = {
    "images": ("JPEGImages",),
    "annotations": ("Annotations",),
    "object_masks": ("SegmentationObject", "SegmentationObjectPNG"),
    "class_masks": ("SegmentationClass", "SegmentationClassPNG"),
    "lists": ("ImageSets",),
}
"""What folders are called; some versions of LabelMe's converter add `PNG`."""

_NAMES_FILES = ("labelmap.txt", "class_names.txt")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of a data set, None for those that it has not, and the names of its classes, if they are stated."""

    images: Path
    annotations: Path | None
    object_masks: Path | None
    class_masks: Path | None
    lists: Path | None
    names: ClassNames | None


def find_folders(root: Path | None, named: Mapping[str, Path | None], names: ClassNames | None) -> Folders:
    """The folders named, and the others below the root: the usual ones, or the root itself if it has none of these.

    Args:
        root: the folder of one year, or one that holds a single year; None if all folders are named.
        named: `images`, `annotations`, `object_masks` and `class_masks`.
        names: the names of classes; if None, those in `labelmap.txt` or `class_names.txt` of the root.

    Raises:
        SourceError: a folder is not there, there are several years, or a file of names cannot be read.
    """
    base = None if root is None else _year(root)
    found = {} if base is None else _below(base)
    for kind, path in named.items():
        if path is not None:
            _require(path)
            found[kind] = path
    if names is None and base is not None:
        listed = next((base / name for name in _NAMES_FILES if (base / name).is_file()), None)
        names = None if listed is None else read_names(listed)
    annotations = found.get("annotations")
    images = found.get("images") or annotations or found.get("object_masks")
    if images is None:
        raise SourceError("no folder is named: give `root`, or `images` and `annotations` or `object_masks`")
    return Folders(images, annotations, found.get("object_masks"), found.get("class_masks"), found.get("lists"), names)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise SourceError("there is no such folder", folder)


def _has_usual_folders(folder: Path) -> bool:
    return any((folder / name).is_dir() for usual in USUAL_FOLDERS.values() for name in usual)


def _year(root: Path) -> Path:
    """The folder of one year: the root, or the only one below it or its `VOCdevkit`."""
    _require(root)
    if _has_usual_folders(root):
        return root
    years = sorted(year for home in (root, root / "VOCdevkit") for year in home.glob("VOC20[0-9][0-9]"))
    if len(years) > 1:
        several = ", ".join(year.name for year in years)
        raise SourceError(f"holds {several}: name one of them as `root`, or make each a source of its own", root)
    return years[0] if years else root


def _below(base: Path) -> dict[str, Path]:
    """The usual folders by their kind; where there is none, images and annotations lie in the base itself."""
    if not _has_usual_folders(base):
        return {"images": base, "annotations": base}
    found = {}
    for kind, usual in USUAL_FOLDERS.items():
        for name in usual[::-1]:
            if (base / name).is_dir():
                found[kind] = base / name
    return {"images": base / "JPEGImages", **found}


Files = Mapping[str, Sequence[str]]
"""By their paths without suffix, parted by `/`: the paths with suffix, below their folder, in order of preference."""


def list_files(folder: Path | None, suffixes: Sequence[str], others: Collection[Path | None] = ()) -> Files:
    """The files of a folder and of those below it that end in one of the suffixes, in capitals or not.

    Args:
        folder: where to look; what is not there holds nothing. Links to folders are not followed.
        suffixes: the most preferred first.
        others: folders of other files, which are passed over.

    Raises:
        SourceError: a folder cannot be listed.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for path in () if folder is None else _walk(folder, {*others} - {folder}):
        name, suffix = split_suffix(path)
        if suffix in suffixes:
            found.setdefault(name, []).append((suffixes.index(suffix), path))
    return {name: [path for _, path in sorted(paths)] for name, paths in sorted(found.items())}


def split_suffix(path: str) -> tuple[str, str]:
    """A path without its suffix, and the suffix in small letters."""
    suffix = PurePosixPath(path).suffix
    return path.removesuffix(suffix), suffix.lower()


def _walk(folder: Path, others: Set[Path | None]) -> list[str]:
    if not folder.exists():
        return []
    if isinstance(folder, RemotePath):
        passed = {other for other in others if other is not None and other.is_relative_to(folder)}
        return [path for path in folder.files_below() if passed.isdisjoint((folder / path).parents)]
    paths = []
    for home, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if Path(home, name) not in others]
        below = Path(home).relative_to(folder)
        paths += [(below / name).as_posix() for name in files]
    return paths


def _refuse(error: OSError) -> None:
    raise SourceError(f"cannot be listed: {error.strerror}", error.filename) from error
