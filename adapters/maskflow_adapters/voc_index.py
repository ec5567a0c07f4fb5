"""The index of a Pascal VOC data set: which images it lists, which files each has, and which split each is in."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maskflow_adapters.voc_folders import IMAGE_SUFFIXES, Files, Folders, list_files, split_suffix
from maskflow_adapters.voc_xml import VocObject, read_annotation
from maskflow_convert import Entry, Index, Issue, Loss, Severity
from maskflow_convert.errors import RecordError, SourceError
from maskflow_convert.fetching import fetched_ahead

SPLITS = ("train", "val", "test")
"""Lists that are splits; others, as `trainval`, are not."""

_USUAL_LISTS = ("Segmentation", "Main", ".")
"""Where the splits are looked for if no list is named: in the first of these that has one of them."""

_SHOWN = 255  # characters of a name that an issue quotes
_MEMBERSHIP = re.compile(r"(?P<name>.*\S)\s+(?:-1|0|1)")


@dataclass(frozen=True, slots=True)
class VocRecord:
    """One image: its files, each below its folder and None where there is none.

    An image that is not there is named as it should be. `folders` is the same object in all records of a data set.
    """

    name: str
    image: str
    annotation: str | None
    object_mask: str | None
    class_mask: str | None
    folders: Folders


def index_folders(folders: Folders, image_set: Path | str | None) -> Index[VocRecord]:
    """List the images of a set in its order, or all in the order of their names.

    Args:
        folders: where the files are.
        image_set: a list file, the name of one in `ImageSets` (`Segmentation/trainval`), or None.

    Raises:
        SourceError: a folder or a list cannot be read, or there is nothing to be read.
    """
    files = _Files(folders)
    path = _list_named(folders, image_set) if isinstance(image_set, str) else image_set
    if path is None:
        names, issues = files.all_names(), list(files.unused_images())
    else:
        names, issues = _listed(path, files)
    splits, overlaps = _splits_of(names, _split_lists(folders, path), files)
    entries: list[Entry[VocRecord]] = []
    owners: dict[str, str] = {}
    files.read_heads(names)
    for name in names:
        entry = files.entry(name, splits.get(name))
        owner = owners.setdefault(entry.record.image, name)
        if owner == name:
            entries.append(entry)
        else:
            told = f"{entry.record.image} is the image of {owner}, too"
            place = files.place(name)
            where = None if place is None else str(place)
            issues.append(Issue("image-key-duplicate", told, record=name, path=where, loss=Loss.IMAGE))
    stated = folders.names.labels if folders.names else ()
    labels = tuple(dict.fromkeys((*stated, *sorted(files.labels))))
    return Index(entries, labels, [*issues, *overlaps])


@dataclass(frozen=True, slots=True)
class _Head:
    """What the index needs of an annotation file; lengths and areas in pixels."""

    filename: str | None = None
    pixels: int = 0
    area: int = 0


class _Files:
    """The files of a data set by the names of images.

    `labels` are those in the annotation files that were asked for.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._heads: dict[str, _Head] = {}
        self.labels: set[str] = set()
        kinds = (folders.images, folders.annotations, folders.object_masks, folders.class_masks)
        self._annotations = list_files(folders.annotations, (".xml",), kinds)
        self._object_masks = list_files(folders.object_masks, (".png",), kinds)
        self._class_masks = list_files(folders.class_masks, (".png",), kinds)
        self._images = dict(self._without_masks(list_files(folders.images, IMAGE_SUFFIXES, kinds)))
        if not self._annotations and not self._object_masks:
            told = "there is no annotation file and no instance mask: name `annotations` or `object_masks`"
            if self._class_masks:
                told += "; class masks alone do not tell objects apart"
            raise SourceError(told, folders.annotations or folders.object_masks or folders.images)

    def _without_masks(self, images: Files) -> Iterator[tuple[str, list[str]]]:
        """The images of a folder that holds masks, too."""
        masks: set[str] = set()
        for folder, files in (
            (self._folders.object_masks, self._object_masks),
            (self._folders.class_masks, self._class_masks),
        ):
            if folder == self._folders.images:
                masks.update(path for paths in files.values() for path in paths)
        for name, paths in images.items():
            if left := [path for path in paths if path not in masks]:
                yield name, left

    def all_names(self) -> list[str]:
        """Those of annotation files, instance masks, and images that are nobody's yet."""
        owned = {split_suffix(self._image_of(name))[0] for name in self._annotations}
        return sorted({*self._annotations, *self._object_masks, *(self._images.keys() - owned)})

    def unused_images(self) -> Iterator[Issue]:
        """Images that share their name with one that is preferred."""
        for name, (taken, *others) in self._images.items():
            for path in others:
                told, full = f"{path} is not read, for {taken} has its name", str(self._folders.images / path)
                yield Issue("image-name-ambiguous", told, record=name, path=full, loss=Loss.IMAGE)

    def find(self, written: str) -> str | None:
        """The name that a list means: what is written, or that without the suffix of an image."""
        stem, suffix = split_suffix(written)
        for name in (written, stem) if suffix in IMAGE_SUFFIXES else (written,):
            if name in self._images or name in self._annotations or name in self._object_masks:
                return name
        return None

    def entry(self, name: str, split: str | None) -> Entry[VocRecord]:
        """The entry of an image. Masks are taken to fill half of their boxes."""
        head = self._head(name)
        record = VocRecord(
            name=name,
            image=self._image_of(name),
            annotation=_first(self._annotations, name),
            object_mask=_first(self._object_masks, name),
            class_mask=_first(self._class_masks, name),
            folders=self._folders,
        )
        return Entry(name, record, split=split, pixels=head.pixels, positives=head.area // 2, file_name=record.image)

    def place(self, name: str) -> Path | None:
        """The annotation file of an image, in full."""
        annotation, folder = _first(self._annotations, name), self._folders.annotations
        return None if annotation is None or folder is None else folder / annotation

    def _image_of(self, name: str) -> str:
        """The image of that name; else one that the annotation names, if it is there and no other's; else a guess."""
        if image := _first(self._images, name):
            return image
        written = (self._head(name).filename or "").replace("\\", "/")
        stem, suffix = split_suffix(PurePosixPath(written).name)
        if suffix not in IMAGE_SUFFIXES:
            return f"{name}.jpg"
        named = str(PurePosixPath(name).with_name(stem))
        is_anothers = named in self._annotations or named in self._object_masks
        return f"{name}{suffix}" if is_anothers else f"{named}{suffix}"

    def read_heads(self, names: Iterable[str]) -> None:
        """Read the annotation files of images, which otherwise are read one by one as they are asked for."""
        places = {name: path for name in names if name not in self._heads and (path := self.place(name)) is not None}
        for name, path in zip(places, fetched_ahead(places.values()), strict=True):
            self._heads[name] = self._read_head(path)

    def _head(self, name: str) -> _Head:
        """What the annotation file says; nothing if it cannot be read, which is told when it is to be."""
        if name not in self._heads:
            path = self.place(name)
            self._heads[name] = _Head() if path is None else self._read_head(path)
        return self._heads[name]

    def _read_head(self, path: Path) -> _Head:
        try:
            annotation = read_annotation(path)
        except RecordError:
            return _Head()
        self.labels.update(each.name for each in annotation.objects if each.name is not None)
        pixels = (annotation.width or 0) * (annotation.height or 0)
        area = sum(min(_area(each), pixels) for each in annotation.objects)
        return _Head(annotation.filename, pixels, int(area))


def _area(listed: VocObject) -> float:
    """Of the box, in pixels; 0 if it has none, or one that is endless."""
    if listed.corners is None or not all(map(math.isfinite, listed.corners)):
        return 0
    xmin, ymin, xmax, ymax = listed.corners
    return max(0, xmax - xmin) * max(0, ymax - ymin)


def _first(files: Files, name: str) -> str | None:
    return files[name][0] if name in files else None


# lists of images


def _list_named(folders: Folders, name: str) -> Path:
    """The list of that name in `ImageSets`."""
    if folders.lists is None:
        raise SourceError(
            f"has no `ImageSets` to look for {name!r} in; name a list file instead", folders.images.parent
        )
    path = folders.lists / f"{name}.txt"
    if path.is_file():
        return path
    there = [found.removesuffix(".txt") for [found] in list_files(folders.lists, (".txt",)).values()]
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.5) or there[:1]
    raise SourceError(f"has no list {name!r}" + "".join(f"; did you mean {each!r}?" for each in near), folders.lists)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error


def _written_names(path: Path) -> Iterator[tuple[int, str]]:
    """`(line, name)`: the first column of lists that say whether a class is in the image, and without quotes."""
    for line, text in enumerate(_lines(path), start=1):
        found = _MEMBERSHIP.fullmatch(text.strip())
        name = (found["name"] if found else text).strip().strip('"').replace("\\", "/")
        if name:
            yield line, name


def _listed(path: Path, files: _Files) -> tuple[list[str], list[Issue]]:
    """The names in a list, each once, and what is wrong with the others."""
    names: dict[str, int] = {}
    issues: list[Issue] = []
    for line, written in _written_names(path):
        pure = PurePosixPath(written)
        name = files.find(str(pure))
        if name is not None and names.setdefault(name, line) == line:
            continue
        shown = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
        if name is not None:
            told = f"{shown} is in line {names[name]}, too"
            issues.append(Issue("image-key-duplicate", told, Severity.WARNING, record=shown, path=str(path), line=line))
            continue
        code, told = "image-missing", f"{shown} has no image, no annotation file and no instance mask"
        if pure.is_absolute() or ".." in pure.parts:
            code, told = "image-outside-folder", f"{shown} leads out of the folders of the data set"
        issues.append(Issue(code, told, record=shown, path=str(path), line=line, loss=Loss.IMAGE))
    if not names and not issues:
        raise SourceError("lists no image", path)
    return list(names), issues


def _split_lists(folders: Folders, chosen: Path | None) -> dict[str, Path]:
    """The lists that are splits: the one chosen, those beside it, or the usual ones if none is chosen."""
    if chosen is not None:
        return {chosen.stem: chosen} if chosen.stem in SPLITS else _splits_in(chosen.parent)
    homes = () if folders.lists is None else tuple(folders.lists / name for name in _USUAL_LISTS)
    return next((found for home in homes if (found := _splits_in(home))), {})


def _splits_in(home: Path) -> dict[str, Path]:
    return {split: home / f"{split}.txt" for split in SPLITS if (home / f"{split}.txt").is_file()}


def _splits_of(names: Iterable[str], lists: Mapping[str, Path], files: _Files) -> tuple[dict[str, str], list[Issue]]:
    """The split of each image that a list has, and an issue where several have it; then it is in the first."""
    wanted = set(names)
    found: dict[str, str] = {}
    issues: list[Issue] = []
    for split, path in lists.items():
        for line, written in _written_names(path):
            name = files.find(str(PurePosixPath(written)))
            if name in wanted and found.setdefault(name, split) != split:
                told = f"{written} is listed in {found[name]}, and in {split}; it went to {found[name]}"
                issues.append(Issue("split-ambiguous", told, record=name, path=str(path), line=line))
    return found, issues
