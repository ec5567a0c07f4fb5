"""Written records, found again: the files of an output directory, and what their manifest says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path

from maskflow_convert.errors import ConfigError, DataError, SourceError
from maskflow_convert.manifest import FILE_NAME, Manifest
from maskflow_convert.record import Layout, Record, decode
from maskflow_convert.remote import RemotePath, path_of
from maskflow_convert.tfrecord import read_records

PathOrName = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Records:
    """TFRecord files of one data set; `manifest` is None where no `dataset.json` lies beside them."""

    paths: tuple[Path, ...]
    manifest: Manifest | None

    @classmethod
    def find(cls, where: PathOrName | Sequence[PathOrName], *, split: str | None = None) -> Records:
        """The files of an output directory, or one file, or several.

        Args:
            where: what to look at.
            split: of an output directory, only this split.

        Raises:
            SourceError: there is no such file, or no data set in the directory.
            ConfigError: there is no such split, or files of different data sets were named together.
        """
        listed = [path_of(where)] if isinstance(where, str | PathLike) else [path_of(each) for each in where]
        beside = cache(_beside)
        found = [_in_folder(path, split) if _is_folder(path) else _single(path, split, beside) for path in listed]
        if not found:
            raise ConfigError("no records were named: give an output directory, or .tfrecord files")
        manifests = {each.manifest.fingerprint if each.manifest else None for each in found}
        if len(manifests) > 1:
            raise ConfigError("the records named are of different data sets; read them one by one")
        return cls(tuple(path for each in found for path in each.paths), found[0].manifest)

    def layout(self, stated: Layout | str | None) -> Layout | None:
        """The layout that the manifest names, or else the one that the caller states; it is never guessed.

        Raises:
            ConfigError: there is no layout of that name, or the manifest names another.
        """
        if stated is not None and stated not in list(Layout):
            raise ConfigError(f"there is no layout {stated!r}; there are {' and '.join(Layout)}")
        if self.manifest is None:
            return None if stated is None else Layout(stated)
        if stated not in (None, self.manifest.layout):
            raise ConfigError(f"{self.paths[0]}: was written in the layout {self.manifest.layout}, not {stated}")
        return self.manifest.layout

    def known_layout(self, stated: Layout | str | None) -> Layout:
        """As `layout`.

        Raises:
            ConfigError: neither tells the layout, or as in `layout`.
        """
        layout = self.layout(stated)
        if layout is None:
            choice = " or ".join(f"layout {name}" for name in Layout)
            raise ConfigError(f"{self.paths[0]}: no {FILE_NAME} lies beside it that names its layout; say {choice}")
        return layout


def read_file(path: Path) -> Iterator[Record]:
    """The records of one file.

    Raises:
        SourceError: the file or a record of it is damaged.
    """
    for number, data in enumerate(read_records(path)):
        try:
            yield decode(data)
        except DataError as error:
            raise SourceError(f"record {number}: {error.message}", path) from error


def _is_folder(path: Path) -> bool:
    """Whether a path is that of a folder; of a remote one its name tells, as stores have no folders."""
    return path.suffix != ".tfrecord" if isinstance(path, RemotePath) else path.is_dir()


def _in_folder(folder: Path, split: str | None) -> Records:
    manifest = Manifest.read(folder)
    if split is not None and split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise ConfigError(f"{folder}: there is no split '{split}'; there are {known}")
    shards = [shard for shard in manifest.shards if split in (None, shard.split)]
    return Records(tuple(folder / shard.name for shard in shards), manifest)


_Beside = tuple[Manifest | None, Set[str]]
"""The manifest in a folder, if there is one, and the names of its shards."""


def _single(path: Path, split: str | None, beside: Callable[[Path], _Beside]) -> Records:
    """One file; a manifest is read once, however many of its files are named."""
    if not path.is_file():
        raise SourceError("there is no such file", path)
    if split is not None:
        raise ConfigError(f"{path}: a split can be chosen of an output directory, not of a file")
    manifest, names = beside(path.parent)
    return Records((path,), manifest if path.name in names else None)


def _beside(folder: Path) -> _Beside:
    if not (folder / FILE_NAME).is_file():
        return None, frozenset()
    manifest = Manifest.read(folder)
    return manifest, frozenset(shard.name for shard in manifest.shards)
