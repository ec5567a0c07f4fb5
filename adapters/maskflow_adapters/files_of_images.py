"""Recognises folders of annotation files that are one per image, and tells what data set they make, by some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from re import Pattern
from typing import Protocol, TypeVar

from maskflow_convert import Confidence, Found, Tree
from maskflow_convert.discovery import by_split

_MOST_FOLDERS = 200
_MOST_FILES = 20  # of a folder, whose first bytes are looked at, or whose images are looked for
_MOST_READ = 100  # files that are read
_MOST_BYTES = 2**25  # of a file that is read


class OfOneImage(Protocol):
    """What was seen of a file."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def image_name(self) -> str:
        """The name of the image, perhaps with folders before it."""


FileT = TypeVar("FileT", bound=OfOneImage)


def looked_into(
    tree: Tree, head: Pattern[bytes], look: Callable[[Path], FileT | None]
) -> Iterator[tuple[Path, list[FileT]]]:
    """Folders with JSON files that begin as they should, and what some of these say; `look` reads a file."""
    folders = list(islice(_alike(tree, head), _MOST_FOLDERS))
    each = max(1, _MOST_READ // max(1, len(folders)))
    for folder, paths in folders:
        if seen := list(filter(None, map(look, paths[:each]))):
            yield folder, seen


def _alike(tree: Tree, head: Pattern[bytes]) -> Iterator[tuple[Path, list[Path]]]:
    for folder in tree.folders_with(".json"):
        names = tree.folders[folder].names[".json"]
        paths = [folder / name for name in names[:: -(-len(names) // _MOST_FILES)]]
        if alike := [path for path in paths if head.search(tree.head(path)) and path.stat().st_size <= _MOST_BYTES]:
            yield folder, alike


def data_set(
    tree: Tree,
    samples: Mapping[Path, Sequence[FileT]],
    kind: str,
    *,
    options: Callable[[Path, Sequence[FileT]], Mapping[str, object]],
    has_image: Callable[[Path, FileT], bool],
) -> Found:
    """The data set of some folders; it is one, as an adapter reads all that is below a folder.

    Args:
        tree: what was looked into.
        samples: the folders, and some of the files in each.
        kind: whose files they are, as in `LabelMe's`.
        options: what a source has beside its folder of annotations, and that of its images, by that and its files.
        has_image: whether an adapter that is given a folder of annotations finds the image of a file by itself.
    """
    parts = by_split(tree, list(samples))
    sources: list[dict[str, object]] = []
    notes: list[str] = []
    for split, folder in parts.items():
        files = [file for home, some in samples.items() if home.is_relative_to(folder) for file in some]
        sources.append({"annotations": folder, **options(folder, files), **({"split": split} if split else {})})
        if lost := [file for file in files if not has_image(folder, file)]:
            images = _home_of_images(tree, folder, lost[:_MOST_FILES], split)
            sources[-1] |= {"images": images} if images else {}
            notes += (
                [] if images else [f"The image of {tree.told(lost[0].path)} was not found: {lost[0].image_name!r}."]
            )
    count = sum(tree.count(folder, ".json") for folder in samples)
    reason = f"{count:,} JSON file{'s' if count > 1 else ''}, {kind} by those looked at"
    home = parts.get(None, tree.root)
    return Found(home, reason, sources, Confidence.LIKELY if notes else Confidence.SURE, notes)


def _home_of_images(tree: Tree, folder: Path, files: Sequence[FileT], split: str | None) -> Path | None:
    """The folder that has the images in the same sub-folders as the files, or all in one."""
    names = [file.image_name for file in files]
    nested = [(file.path.parent.relative_to(folder) / file.image_name).as_posix() for file in files]
    for some in (nested, names):
        home, _ = tree.home_of(some, near=folder, split=split) or (None, 0)
        if home and all((home / name).resolve().is_relative_to(home) for name in some):
            return home
    return None
