"""Recognises COCO files in a folder: what their annotations are, which belong together, and where their images lie.

Of a file, the first images and annotations are looked at, wherever in it they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from maskflow_adapters import coco_folder_discovery, json_text
from maskflow_adapters.coco_elements import key_of
from maskflow_adapters.json_objects import IrregularError, Objects
from maskflow_convert import Confidence, Found, LeftOut, Tree
from maskflow_convert.discovery import family_of, split_named

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MOST_FILES = 300
_MOST_OF_A_FOLDER = 50
_HEAD = 1 << 14  # bytes
_SAMPLED_IMAGES = 20
_SAMPLED_ANNOTATIONS = 200
_MOST_BYTES = 2**30  # that are gone through for the first images and annotations of a file
_MOST_BETWEEN = 2**24  # bytes between two objects
_MOST_BYTES_AT_ONCE = 2**24  # of a file that is made up out of the ordinary

_LISTS = re.compile(rb'"(images|annotations|categories|licenses|info)"\s*:\s*[\[{]')
_RESULTS = re.compile(rb'\A\s*\[\s*\{\s*"(image_id|category_id|bbox|score|segmentation)"\s*:')
_LABEL_STUDIO = re.compile(rb'\A\s*\[\s*\{\s*"id"\s*:\s*\d+\s*,\s*"(annotations|completions|data)"\s*:')
_NAMED = re.compile(r"coco|instance|annot|train|val|test")


@dataclass(frozen=True)
class _Glance:
    """Some elements of a file's lists of images and annotations."""

    images: Sequence[dict[str, Any]]
    annotations: Sequence[dict[str, Any]]

    @property
    def file_names(self) -> list[str]:
        """The paths of the images, as they are read."""
        return [key_of(name) for image in self.images if isinstance(name := image.get("file_name"), str)]

    def has(self, field: str) -> bool:
        """Whether a field says something in any of the annotations."""
        return any(annotation.get(field) for annotation in self.annotations)


@dataclass(frozen=True)
class _File:
    """A file that can be converted: its split by its name, and where its images are."""

    path: Path
    split: str | None
    has_masks: bool
    named_stuff: bool
    file_names: Sequence[str]
    images: Path | None
    images_found: int


def discover(tree: Tree) -> Iterator[Found | LeftOut]:
    """Find COCO data sets: files whose paths differ in the name of a split only are of one; and files of an image."""
    of_images = coco_folder_discovery.folders_of_files(tree)
    yield from coco_folder_discovery.discover(tree, of_images)
    families: dict[str, list[_File]] = {}
    for path in islice(_alike(tree, of_images), _MOST_FILES):
        match _judge(tree, path):
            case _File() as file:
                families.setdefault(family_of(PurePosixPath(tree.told(path))), []).append(file)
            case LeftOut() as left_out:
                yield left_out
    for files in families.values():
        yield _found(tree, files)


def _alike(tree: Tree, of_images: Container[Path]) -> Iterator[Path]:
    """JSON files that begin as COCO's do, or as what may be taken for it; of a folder of many, a few by their names.

    Where there is a file for each image, only a name tells a file of many.
    """
    for folder in tree.folders_with(".json"):
        names = tree.folders[folder].names[".json"]
        if folder in of_images:
            names = [name for name in names if _NAMED.search(name.lower())]
        for name in sorted(names, key=lambda name: not _NAMED.search(name.lower()))[:_MOST_OF_A_FOLDER]:
            head = tree.head(folder / name, _HEAD)
            if any(pattern.search(head) for pattern in (_LISTS, _RESULTS, _LABEL_STUDIO)):
                yield folder / name


def _judge(tree: Tree, path: Path) -> _File | LeftOut | None:
    """What a file is; None if it is none of COCO's."""
    head = tree.head(path, _HEAD)
    if _RESULTS.match(head):
        return LeftOut(path, "COCO results, what a model found: it lists no images")
    if _LABEL_STUDIO.match(head):
        return LeftOut(path, "Label Studio's own JSON: export the project as COCO")
    glance = _glance(path)
    if glance is None or not glance.file_names:
        return None
    if unfit := _unfit(path, glance):
        return LeftOut(path, unfit)
    split = split_named(tree.told(path))
    names = glance.file_names
    images, found = tree.home_of(names, near=path.parent, split=split) or (None, 0)
    return _File(path, split, glance.has("segmentation"), "stuff" in path.stem.lower(), names, images, found)


def _unfit(path: Path, glance: _Glance) -> str | None:
    """Why a file is left out, if it is."""
    if glance.has("segments_info"):
        return "COCO panoptic: panopticapi's converter makes detection files of it, which can be read"
    if glance.has("caption"):
        return "COCO captions, which name no objects"
    if "keypoints" in path.stem.lower() or (glance.has("keypoints") and not glance.has("segmentation")):
        return "COCO keypoints; to convert the masks in it, name it as `annotations` yourself"
    if not glance.annotations:
        return "COCO image information, without annotations"
    if not (glance.has("segmentation") or glance.has("bbox")):
        return "COCO labels of images, without masks and boxes"
    return None


# Looking into a file


def _glance(path: Path) -> _Glance | None:
    """The first elements of the lists; None if the file cannot be read as far as that, or has none."""
    try:
        return _look(path) or _look_at_all(path)
    except (OSError, *json_text.UNPARSABLE):
        return None


def _look(path: Path) -> _Glance | None:
    """Go through a file until there are some of both; None if it is made up out of the ordinary."""
    texts: dict[str, list[bytes]] = {}
    try:
        with _Impatient(path) as file:
            for portion in Objects(file):
                file.patience = _MOST_BETWEEN
                if portion.name in ("images", "annotations") and portion.name not in texts:
                    texts[portion.name] = portion.texts()
                if len(texts) == 2 or portion.offset > _MOST_BYTES:
                    break
    except IrregularError:
        return None
    return _Glance(_parsed(texts.get("images", ()), _SAMPLED_IMAGES), _annotations(texts.get("annotations", ())))


class _Impatient(FileIO):
    """A file that ends where too many bytes were read without an object among them."""

    patience = _MOST_BETWEEN

    def readinto(self, buffer: Buffer, /) -> int:
        count = super().readinto(memoryview(buffer)[: max(0, self.patience)]) or 0
        self.patience -= count
        return count


class _Lists(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []


_LISTS_OF_A_FILE = msgspec.json.Decoder(_Lists)


def _look_at_all(path: Path) -> _Glance | None:
    """Parse a file as a whole, unless it is large."""
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES_AT_ONCE + 1)
    if len(text) > _MOST_BYTES_AT_ONCE:
        return None
    lists = json_text.decode_zeroed(text.removeprefix(b"\xef\xbb\xbf"), _LISTS_OF_A_FILE)
    images, annotations = ([bytes(raw) for raw in raws] for raws in (lists.images, lists.annotations))
    return _Glance(_parsed(images, _SAMPLED_IMAGES), _annotations(annotations))


def _annotations(texts: Sequence[bytes]) -> Sequence[dict[str, Any]]:
    return _parsed(texts, _SAMPLED_ANNOTATIONS)


def _parsed(texts: Sequence[bytes], count: int) -> Sequence[dict[str, Any]]:
    """Some of the elements, from all over the list."""
    step = max(1, len(texts) // count)
    return [element for text in islice(texts, 0, None, step) if isinstance(element := _decoded(text), dict)]


def _decoded(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# Telling what was found


def _found(tree: Tree, files: Sequence[_File]) -> Found:
    """The data set of a family."""
    notes = [note for file in files for note in _notes(tree, file)]
    has_masks = any(file.has_masks for file in files)
    confidence = Confidence.SURE if has_masks and all(file.images for file in files) else Confidence.LIKELY
    if not has_masks:
        notes.append("It has boxes and no masks.")
    if any(file.named_stuff for file in files):
        confidence = Confidence.GUESS
        notes.append("It is called stuff, as annotations of sky and grass are: a region is one object.")
    return Found(files[0].path, _reason(tree, files), [_source(file) for file in files], confidence, notes)


def _reason(tree: Tree, files: Sequence[_File]) -> str:
    what = "COCO instances" if any(file.has_masks for file in files) else "COCO boxes"
    homes = dict.fromkeys(tree.told(file.images) for file in files if file.images)
    where = f"images in {_listed(homes)}" if homes else "no image was found"
    return f"{what}; {where}"


def _listed(names: Iterable[str]) -> str:
    shown = ["the folder itself" if name == "." else name for name in names]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def _source(file: _File) -> dict[str, object]:
    images = {} if file.images is None else {"images": file.images}
    split = {} if file.split is None else {"split": file.split}
    return {"annotations": file.path, **images, **split}


def _notes(tree: Tree, file: _File) -> Iterator[str]:
    name, tried = tree.told(file.path), len(file.file_names)
    if file.images is not None and file.images_found < tried:
        yield f"{file.images_found} of {tried} images tried of {name} are there, from {tree.told(file.images)} on."
    elif file.images is None:
        found = _elsewhere(tree, file) or "when they are there, name their folder as `images`"
        yield f"The images of {name} were not found: no folder has {file.file_names[0]!r}; {found}."


def _elsewhere(tree: Tree, file: _File) -> str | None:
    """Where files are that are called as the images, but for the folders before the name."""
    names = [PurePosixPath(name).name for name in file.file_names]
    home = tree.home_of(names, near=file.path.parent, split=file.split)
    return f"{tree.told(home[0])} has {names[0]!r}, and the file names should say no other folder" if home else None
