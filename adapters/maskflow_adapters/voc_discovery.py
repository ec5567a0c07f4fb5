"""Recognises Pascal VOC in a folder: as the challenges laid it out, or XML files beside their images or elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PureWindowsPath

from maskflow_adapters.voc_folders import IMAGE_SUFFIXES, USUAL_FOLDERS
from maskflow_adapters.voc_index import SPLITS
from maskflow_convert import Confidence, Found, LeftOut, Tree
from maskflow_convert.discovery import by_split

_MOST_HOMES = 100
_MOST_FOLDERS = 200
_LOOKED_AT = 10  # files of a folder, names of a list
_USUAL_NAMES = frozenset(chain.from_iterable(USUAL_FOLDERS.values()))

_VOC = re.compile(rb"<annotation[\s>]")
_BOX = re.compile(rb"<bndbox[\s>]")
_OBJECT = re.compile(rb"<object[\s>]")
_CVAT = re.compile(rb"<annotations[\s>]")
_OF_CVAT = re.compile(rb"<(meta|image|track)[\s>]")
_OLD_LABELME = re.compile(rb"<(polygon|segm)[\s>]")
_FILE_NAME = re.compile(rb"<filename>([^<]+)</filename>")


@dataclass(frozen=True)
class _Home:
    """A folder with the folders of the challenges in it, as far as there is something in them."""

    path: Path
    annotations: Path | None
    object_masks: Path | None
    class_masks: Path | None
    lists: Path | None


def discover(tree: Tree) -> Iterator[Found | LeftOut]:
    """Find data sets as the challenges laid them out; then other folders with XML files, which are one data set."""
    foreign: set[str] = set()
    homes = list(islice(_homes(tree), _MOST_HOMES))
    for home in homes:
        yield from _of_home(tree, home)
    loose: list[Path] = []
    for folder in islice(tree.folders_with(".xml"), _MOST_FOLDERS):
        if any(home.annotations and folder.is_relative_to(home.annotations) for home in homes):
            continue
        kinds = [_kind(tree.head(path)) for path in _some(tree, folder, ".xml")]
        if "voc" in kinds:
            loose.append(folder)
        for kind in _FOREIGN.keys() & set(kinds) - foreign:
            foreign.add(kind)
            yield LeftOut(folder, _FOREIGN[kind])
    if loose:
        yield _of_loose(tree, loose)


def _some(tree: Tree, folder: Path, suffix: str) -> list[Path]:
    """Some files of a folder, from all over it."""
    names = tree.folders[folder].names.get(suffix, ())
    return [folder / name for name in names[:: max(1, -(-len(names) // _LOOKED_AT))]]


def _kind(head: bytes) -> str | None:
    """Whose an XML file is, by its beginning."""
    if _CVAT.search(head) and _OF_CVAT.search(head):
        return "cvat"
    if not _VOC.search(head):
        return None
    if _BOX.search(head) or not _OBJECT.search(head):
        return "voc"
    return "labelme" if _OLD_LABELME.search(head) else None


_FOREIGN = {
    "cvat": "CVAT's own XML: export the task as COCO",
    "labelme": "XML of the old, online LabelMe, which is another format than LabelMe's JSON",
}


# As the challenges laid it out


def _homes(tree: Tree) -> Iterator[_Home]:
    with_xml, with_png = _by_usual_folder(tree, ".xml"), _by_usual_folder(tree, ".png")
    inner: dict[Path, dict[str, Path]] = {}
    for folder in tree.folders:
        inner.setdefault(folder.parent, {})[folder.name] = folder
    for path, folders in inner.items():
        found = {
            kind: next((folders[name] for name in names if name in folders), None)
            for kind, names in USUAL_FOLDERS.items()
        }
        annotations, masks = found["annotations"], found["object_masks"]
        home = _Home(
            path,
            annotations if annotations and _has_voc(tree, with_xml.get(annotations, ())) else None,
            masks if masks in with_png else None,
            found["class_masks"],
            found["lists"],
        )
        if path in tree.folders and (home.annotations or home.object_masks or home.class_masks):
            yield home


def _by_usual_folder(tree: Tree, suffix: str) -> Mapping[Path, Sequence[Path]]:
    """The folders with such files, by each of the folders of the challenges that they lie in, or are."""
    found: dict[Path, list[Path]] = {}
    for folder in tree.folders_with(suffix):
        for each in (folder, *folder.parents):
            if each.name in _USUAL_NAMES:
                found.setdefault(each, []).append(folder)
    return found


def _has_voc(tree: Tree, folders: Sequence[Path]) -> bool:
    return any(_kind(tree.head(path)) == "voc" for each in folders[:3] for path in _some(tree, each, ".xml"))


def _of_home(tree: Tree, home: _Home) -> Iterator[Found | LeftOut]:
    if home.object_masks is None and home.annotations is None:
        if home.class_masks is not None:
            told = "class masks of Pascal VOC without instance masks: they do not tell objects apart"
            yield LeftOut(home.class_masks, told)
        return
    notes = [] if home.object_masks else ["It has boxes and no instance masks."]
    names = _names(tree, home.object_masks or home.annotations)
    images = _images(tree, home, names)
    if images is None:
        notes.append(f"The images were not found: no folder has one that is called {names[0]!r}.")
    folders = [folder.name for folder in (home.annotations, home.object_masks, home.class_masks) if folder]
    reason = f"Pascal VOC, by its folder{'s' if len(folders) > 1 else ''} {', '.join(folders)}"
    confidence = Confidence.LIKELY if images is None or home.object_masks is None else Confidence.SURE
    places = {"root": home.path, **({"images": images} if images not in (None, home.path / "JPEGImages") else {})}
    sources = [{**places, **which} for which in _lists(tree, home)]
    yield Found(home.path, reason, sources, confidence, notes)


def _names(tree: Tree, folder: Path | None) -> list[str]:
    """The names, below a folder and without suffix, of some files."""
    within = (each for each in tree.folders if folder is not None and each.is_relative_to(folder))
    paths = (path for each in within for suffix in (".xml", ".png") for path in _some(tree, each, suffix))
    return [path.relative_to(folder or path).with_suffix("").as_posix() for path in islice(paths, _LOOKED_AT)]


def _images(tree: Tree, home: _Home, names: Sequence[str]) -> Path | None:
    """The folder of the images: the usual one, or one elsewhere that is none of masks."""
    files = [f"{name}{suffix}" for name in names for suffix in IMAGE_SUFFIXES]
    usual = home.path / "JPEGImages"
    if any(tree.has_file(usual / file) for file in files):
        return usual
    found = tree.home_of(files, near=home.path, other_than=(home.object_masks, home.class_masks))
    return found[0] if found else None


def _lists(tree: Tree, home: _Home) -> list[dict[str, object]]:
    """What to say of each split that is listed; else of the whole, which may be listed, too."""
    order = ("Segmentation", "Main") if home.object_masks else ("Main", "Segmentation")
    for folder in (*order, "."):
        lists = {
            name: _list_name(folder, name) for name in (*SPLITS, "trainval") if _is_listed(tree, home, folder, name)
        }
        if splits := [split for split in SPLITS if split in lists]:
            return [{"image_set": lists[split], "split": split} for split in splits]
        if "trainval" in lists:
            return [{"image_set": lists["trainval"]}]
    return [{}]


def _list_name(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _is_listed(tree: Tree, home: _Home, folder: str, name: str) -> bool:
    """Whether a list has images that something is known of; the tests of the challenges are without."""
    if home.lists is None:
        return False
    head = tree.head(home.lists / folder / f"{name}.txt").decode("utf-8-sig", "replace")
    names = [line.strip().strip('"') for line in head.splitlines()[:_LOOKED_AT]]
    stems = {stem for line in names for stem in (line, line.split(" ")[0], line.rpartition(".")[0]) if stem}
    places = ((home.annotations, ".xml"), (home.object_masks, ".png"))
    return any(tree.has_file(place / f"{stem}{end}") for place, end in places if place for stem in stems)


# XML files elsewhere


def _of_loose(tree: Tree, folders: Sequence[Path]) -> Found:
    parts = by_split(tree, folders)
    sources, notes = [], []
    for split, folder in parts.items():
        files = [path for each in folders if each.is_relative_to(folder) for path in _some(tree, each, ".xml")]
        names = [_image_name(tree, folder, path) for path in files[:_LOOKED_AT]]
        home = tree.home_of(names, near=folder, split=split)
        sources.append({**_places(folder, home[0] if home else None), **({"split": split} if split else {})})
        if home is None:
            notes.append(f"The images were not found: no folder has {names[0]!r}.")
    count = sum(tree.count(folder, ".xml") for folder in folders)
    reason = f"{count:,} XML file{'s' if count > 1 else ''}, Pascal VOC's by those looked at"
    path = parts.get(None, tree.root)
    return Found(path, reason, sources, Confidence.LIKELY, [*notes, "It has boxes and no instance masks."])


def _places(annotations: Path, images: Path | None) -> Mapping[str, object]:
    """The options for files and images in one folder, or in two."""
    if images in (None, annotations):
        return {"root": annotations}
    return {"annotations": annotations, "images": images}


def _image_name(tree: Tree, folder: Path, path: Path) -> str:
    """The image of a file below a folder, by what it is called or else says."""
    name = path.relative_to(folder).with_suffix("")
    for suffix in IMAGE_SUFFIXES:
        if tree.has_file(path.with_suffix(suffix)):
            return name.with_suffix(suffix).as_posix()
    found = _FILE_NAME.search(tree.head(path))
    written = found[1].decode("utf-8", "replace") if found else f"{name.name}.jpg"
    return (name.parent / PureWindowsPath(written.strip()).name).as_posix()
