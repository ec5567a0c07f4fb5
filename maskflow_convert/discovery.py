"""A bounded look into a folder, for adapters to recognise their format by; and what they then say that they found.

    class Blobs(Adapter[BlobOptions, Path]):
        ...

        @classmethod
        def discover(cls, tree: Tree) -> Iterator[Found]:
            for folder in tree.folders_with(".blobs"):
                reason = f"{tree.count(folder, '.blobs')} files of blobs"
                yield Found(folder, reason, sources=[{"folder": folder}])

A folder may hold millions of files, go down for ever, or have been made by a stranger. So adapters do not list it
themselves: a `Tree` has been listed once, with limits, and no link was followed out of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from heapq import nsmallest
from itertools import chain, takewhile
from pathlib import Path, PurePosixPath

_MOST_FILES = 1_000_000
_MOST_FOLDERS = 50_000
_DEEPEST = 16  # levels of folders
_MOST_NAMES = 1_000  # of one suffix in one folder, that are kept
_MOST_TRIED = 1_000  # folders, for images
_NOT_LOOKED_INTO = ("__MACOSX", "__pycache__", "node_modules")


class Confidence(IntEnum):
    """How sure an adapter is that a data set is one of its format, and laid out as it says."""

    GUESS = 1
    LIKELY = 2
    SURE = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that an adapter recognises.

    Attributes:
        path: the file or folder that it is recognised by; it names the data set where there are several.
        reason: what it is recognised by, in words that follow its path.
        sources: what the YAML would say of it: the adapter's options by their keys, and `split` where there is one.
            Paths are absolute. Sources of one data set are converted together.
        confidence: how sure that is.
        notes: what the user had better know, one sentence each.
    """

    path: Path
    reason: str
    sources: Sequence[Mapping[str, object]]
    confidence: Confidence = Confidence.SURE
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What an adapter recognises and cannot use, or had better not: captions, key points.

    Attributes:
        path: the file or folder.
        reason: what it is, and what could be done.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files right in one folder: how many there are of each suffix in small letters, and the first by name."""

    counts: Mapping[str, int]
    names: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Tree:
    """The folders below one, the files in each, and what was not looked into.

    Hidden files and folders are left out. Links to files count as files if they stay within, links to folders are not
    followed.

    Attributes:
        root: the folder, absolute, no link.
        folders: the files of every folder, by its path; outer folders before inner ones.
        unseen: what was not looked into and why, one sentence each.
    """

    root: Path
    folders: Mapping[Path, Files]
    unseen: Sequence[str] = ()

    @classmethod
    def of(cls, folder: Path, *, pass_over: Callable[[Iterable[str]], bool] = lambda names: False) -> Tree:
        """List a folder and those below it, but for folders that are to be passed over, by the names of their files.

        Raises:
            OSError: the folder itself cannot be listed.
        """
        walk = _Walk(folder.resolve(strict=True), pass_over)
        folders = dict(walk)
        return cls(walk.root, folders, list(walk.unseen()))

    @property
    def n_files(self) -> int:
        """How many files there are."""
        return sum(sum(files.counts.values()) for files in self.folders.values())

    def files(self, *suffixes: str) -> Iterator[Path]:
        """Files that end in one of the suffixes, as in `.json`, in capitals or not: of each folder the first 1,000."""
        for folder, files in self.folders.items():
            yield from sorted(folder / name for suffix in suffixes for name in files.names.get(suffix, ()))

    def folders_with(self, *suffixes: str) -> Iterator[Path]:
        """Folders that such files are right in."""
        return (folder for folder in self.folders if self.count(folder, *suffixes))

    def count(self, folder: Path, *suffixes: str) -> int:
        """How many such files are right in a folder."""
        files = self.folders.get(folder)
        return sum(files.counts.get(suffix, 0) for suffix in suffixes) if files else 0

    def has_file(self, path: Path) -> bool:
        """Whether a file is there and within, links followed."""
        with suppress(OSError, RuntimeError, ValueError):  # a circle of links, a NUL in the name
            if path.parent not in self.folders or path.is_symlink():
                path = path.resolve(strict=True)
            return path.is_relative_to(self.root) and stat.S_ISREG(path.lstat().st_mode)
        return False

    def head(self, path: Path, length: int = 1 << 16) -> bytes:
        """The first bytes of a file; none of what cannot be read or is no file within."""
        if self.has_file(path):
            with suppress(OSError), path.open("rb") as file:
                return file.read(length)
        return b""

    def told(self, path: Path) -> str:
        """A path as messages name it, from the root on; the root is `.`."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def home_of(
        self,
        names: Sequence[str],
        *,
        near: Path,
        split: str | None = None,
        other_than: Collection[Path | None] = (),
    ) -> tuple[Path, int] | None:
        """The folder from which most of these file names lead to files, and how many; None if none does.

        Of several, it is rather none of masks, and rather one close by, called after the split, or as folders of images
        are. Only the nearest 1,000 are tried.

        Args:
            names: some names of files, perhaps with folders before them.
            near: the folder that the search begins at.
            split: the split that the files belong to.
            other_than: folders that it is not.
        """
        homes: dict[str, list[str]] = {}
        for name in names:
            homes.setdefault(name.rpartition("/")[0], []).append(name)
        best: tuple[_Rank, Path] | None = None
        folders = (folder for folder in self.folders if folder not in other_than)
        for folder in nsmallest(_MOST_TRIED, folders, key=lambda folder: sum(_steps(near, folder))):
            if count := self._count_there(folder, homes):
                rank = _rank(near, (folder / names[0]).parent, split)
                best = min(filter(None, (best, ((-count, *rank), folder))))
        return None if best is None else (best[1], -best[0][0])

    def _count_there(self, folder: Path, homes: Mapping[str, Iterable[str]]) -> int:
        """How many names lead to files from a folder; `homes` has them by the folders that they begin with.

        Where there is no such folder the names are not tried, which would take a look at all that each leads by.
        """
        return sum(
            self.has_file(folder / name)
            for home, names in homes.items()
            if (inner := folder / home) in self.folders or os.path.isdir(inner)  # noqa: PTH112  # the other raises
            for name in names
        )


def split_named(name: str) -> str | None:
    """The split that a file or folder is called after, `train`, `val` or `test`; the last word of a path counts."""
    found = _SPLIT.findall(name.lower())
    return _SPLITS[found[-1]] if found else None


def family_of(path: PurePosixPath) -> str:
    """A path without the words that name splits: the files of one data set have the same, `instances_*2017.json`."""
    return _SPLIT.sub("*", path.as_posix().lower())


_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SPLIT = re.compile(rf"(?<![a-z])(?:{'|'.join(_SPLITS)})(?![a-z])")

_OF_IMAGES = re.compile(r"image|img|jpe?g|photo|picture|data")
_OF_OTHERS = re.compile(r"mask|label|annot|seg|instance|vis|preview|thumb|depth|panoptic|stuff")


_Rank = tuple[int, bool, int, bool, bool, int]


def _rank(near: Path, folder: Path, split: str | None) -> tuple[bool, int, bool, bool, int]:
    """How far a folder is from being the one that somebody looks for who begins at another; smaller is better."""
    up, down = _steps(near, folder)
    way = "/".join(folder.parts[-down:] if down else ()).lower()
    is_other_split = split is not None and split_named(way) not in (None, split)
    return bool(_OF_OTHERS.search(way)), up, is_other_split, down > 0 and not _OF_IMAGES.search(way), down


def _steps(one: Path, other: Path) -> tuple[int, int]:
    """How many steps up and how many down lead from one folder to another."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one.parts, other.parts, strict=False)))
    return len(one.parts) - shared, len(other.parts) - shared


def by_split(tree: Tree, folders: Sequence[Path]) -> Mapping[str | None, Path]:
    """The folder of each split, if all folders are called after splits; else the one that they are all in, under None.

    A split of several folders is in the one that these are all in.
    """
    splits = {folder: split_named(tree.told(folder)) for folder in folders}
    if None in splits.values():
        return {None: _common(folders)}
    return {
        split: _common([folder for folder in folders if splits[folder] == split])
        for split in dict.fromkeys(splits.values())
    }


def _common(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(folders))


class _Walk:
    """Goes through folders, outer ones first, and notes what it passes over."""

    def __init__(self, root: Path, pass_over: Callable[[Iterable[str]], bool]) -> None:
        self.root = root
        self._pass_over = pass_over
        self._files = 0
        self._too_many = False
        self._too_deep: list[Path] = []
        self._links: list[Path] = []
        self._closed: list[tuple[Path, OSError]] = []

    def __iter__(self) -> Iterator[tuple[Path, Files]]:
        waiting = deque([self.root])
        n_folders = 0
        while waiting and not self._too_many:
            folder = waiting.popleft()
            try:
                files, inner = self._list(folder)
            except OSError as error:
                if folder == self.root:
                    raise
                self._closed.append((folder, error))
                continue
            n_folders += 1
            self._too_many = self._files >= _MOST_FILES or n_folders >= _MOST_FOLDERS
            if len(folder.parts) - len(self.root.parts) >= _DEEPEST:
                self._too_deep += inner
            else:
                waiting += inner
            yield folder, files

    def unseen(self) -> Iterator[str]:
        """What was passed over, in a sentence each."""
        if self._too_many:
            yield f"There are more than the {self._files:,} files that were listed; name an inner folder to see others."
        if self._too_deep:
            yield f"Folders more than {_DEEPEST} levels down were not looked into{self._such_as(self._too_deep)}."
        if self._links:
            yield f"Links that lead elsewhere were not followed{self._such_as(self._links)}."
        for folder, error in self._closed[:1]:
            others = f", and {len(self._closed) - 1:,} more" if len(self._closed) > 1 else ""
            yield f"{folder.relative_to(self.root)} cannot be listed: {error.strerror}{others}."

    def _such_as(self, paths: Sequence[Path]) -> str:
        return f": {paths[0].relative_to(self.root)}" + (f", and {len(paths) - 1:,} more" if len(paths) > 1 else "")

    def _list(self, folder: Path) -> tuple[Files, list[Path]]:
        """The files of a folder, and the folders in it that are to be looked into."""
        by_suffix: dict[str, list[str]] = {}
        inner: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._files >= _MOST_FILES:
                    break
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inner.append(name)
                elif entry.is_file(follow_symlinks=False) or self._is_link_within(entry):
                    by_suffix.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
                    self._files += 1
        if self._pass_over(chain.from_iterable(by_suffix.values())):
            return Files({}, {}), []
        counts = Counter({suffix: len(names) for suffix, names in by_suffix.items()})
        first = {suffix: sorted(names)[:_MOST_NAMES] for suffix, names in by_suffix.items()}
        return Files(counts, first), [folder / name for name in sorted(inner) if name not in _NOT_LOOKED_INTO]

    def _is_link_within(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry is a link that leads to a file below the root; one that leads elsewhere is noted."""
        if not entry.is_symlink():
            return False
        with suppress(OSError, RuntimeError, ValueError):  # a circle of links
            target = Path(entry.path).resolve(strict=True)
            if target.is_relative_to(self.root):
                return target.is_file()
        self._links.append(Path(entry.path))
        return False
