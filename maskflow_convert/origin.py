"""What a data set is made from, noted while it is made, so that a resumed run can tell whether that is still so."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

import maskflow_convert
from maskflow_convert import copies, manifest, registry
from maskflow_convert.errors import OutputError
from maskflow_convert.manifest import Manifest
from maskflow_convert.output import holds_data_set, is_of_nodes, names_in, remove, replace_text, unusable
from maskflow_convert.prepare import DataSet
from maskflow_convert.remote import Facts, RemotePath, path_of
from maskflow_convert.shape import Model

FILE_NAME = "unfinished.json"


class FileState(Model):
    """The state of a file, or of all files in a folder and its sub-folders.

    `bytes` is the size, `modified` the time of the last change in nanoseconds; of a folder, the sum and the latest.
    `digest` is a SHA-256 of the names, sizes and times of a folder's files.
    """

    files: int
    bytes: int
    modified: int
    digest: str


class Origin(Model):
    """All that the bytes of a data set follow from."""

    version: str
    configuration: Mapping[str, JsonValue]
    adapters: Mapping[str, str]
    images: str
    sources: Mapping[str, FileState]

    @classmethod
    def of(cls, data_set: DataSet) -> Origin:
        """What a data set would be made from now. Files are looked at, and not read."""
        config = data_set.config
        references = sorted({source.adapter for source in config.sources})
        return cls(
            version=maskflow_convert.__version__,
            configuration=config.of_the_records,
            adapters={reference: registry.version_of(reference) for reference in references},
            images=data_set.shards.digest,
            sources={str(path): _state_of(path, config.output.directory) for path in source_paths(data_set)},
        )

    def write(self, folder: Path) -> None:
        """Note it in the output directory, for as long as that holds no finished data set.

        Raises:
            OutputError: it cannot be written.
        """
        replace_text(folder / FILE_NAME, json.dumps(self.model_dump(mode="json"), ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Origin:
        """What the unfinished data set in a folder is made from.

        Raises:
            OutputError: it does not say so.
        """
        path = folder / FILE_NAME
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8", errors="surrogateescape")))
        except (OSError, ValueError, RecursionError, ValidationError) as error:
            raise OutputError(
                f"{path}: cannot be read, so the data set cannot be gone on with; give --overwrite to begin anew"
            ) from error

    def changes(self, now: Origin) -> Iterator[str]:
        """What has changed since this was noted, a sentence each."""
        if self.version != now.version:
            yield f"maskflow-convert was {self.version} and is {now.version}"
        yield from _differences("", self.configuration, now.configuration)
        for reference, version in now.adapters.items():
            before = self.adapters.get(reference, version)
            if before != version:
                yield f"adapter {reference} was {before} and is {version}"
        for path, state in now.sources.items():
            yield from _changes_of(path, self.sources.get(path, state), state)
        if self.images != now.images and self.configuration == now.configuration:
            yield "the list of images is another"


def check_unchanged(
    folder: Path, fingerprint: str, origin: Origin, remedy: str = "give --overwrite to begin anew"
) -> None:
    """Make sure that what an output directory holds, if it holds anything, was made from the same as it would be now.

    Raises:
        OutputError: it was not, and what has changed; or there is no telling.
    """
    try:
        changes = _changes(folder, fingerprint, origin)
    except OSError as error:
        raise unusable(folder, error) from error
    if changes:
        raise OutputError(f"{folder}: cannot be gone on with: {'; '.join(changes)}; {remedy}")


def check_copies(data_set: DataSet) -> None:
    """Make sure that the remote files that the sources were read from as a whole are still what was read.

    Raises:
        SourceError: one is not.
    """
    copies.check_unchanged(source_paths(data_set))


def _changes(folder: Path, fingerprint: str, origin: Origin) -> list[str]:
    """Why what is in an output directory is of no use."""
    if (folder / FILE_NAME).exists():
        return list(Origin.read(folder).changes(origin))
    if (folder / manifest.FILE_NAME).exists():
        same = Manifest.read(folder).fingerprint == fingerprint
        return [] if same else ["the data set there is finished, and of another configuration or other images"]
    if any(map(is_of_nodes, names_in(folder))):
        return ["nodes have written there, whose shares are put together by `maskflow-convert merge`"]
    return ["nothing there says what it was made from"] if holds_data_set(folder) else []


def finish(folder: Path) -> None:
    """Take the note away, once the manifest is in its place.

    Raises:
        OutputError: it cannot be removed.
    """
    remove(folder / FILE_NAME)


def source_paths(data_set: DataSet) -> list[Path]:
    """The files and folders that the sources are read from, as far as their adapters can tell."""
    paths: set[Path] = set()
    for adapter in data_set.adapters:
        with suppress(Exception, SystemExit):  # somebody else's code, and not worth failing for
            paths.update(map(path_of, adapter.sources()))
    return sorted(paths)


def _state_of(path: Path, besides: Path | None) -> FileState:
    """The state of a file or a folder, without what lies in the folder `besides`, or in one that nodes write to."""
    sha256, files, size, modified = hashlib.sha256(), 0, 0, 0
    for name, facts in _files(path, besides):
        sha256.update(f"{name}\0{facts.size}\0{facts.version}\0".encode(errors="surrogateescape"))
        files, size, modified = files + 1, size + facts.size, max(modified, facts.modified)
    return FileState(files=files, bytes=size, modified=modified, digest=sha256.hexdigest())


def _files(path: Path, besides: Path | None) -> Iterator[tuple[str, Facts]]:
    """A file, or all files below a folder, with what is known of them; what cannot be looked at is left out."""
    if path == besides:
        return
    try:
        if isinstance(path, RemotePath):
            yield from _remote_files(path, besides)
        elif path.is_dir():
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in [] if any(is_of_nodes(entry.name) for entry in entries) else entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(path / entry.name, besides)
                else:
                    yield entry.path, _facts(entry.stat())
        else:
            yield str(path), _facts(path.stat())
    except OSError:
        return


def _facts(status: os.stat_result) -> Facts:
    return Facts(status.st_size, status.st_mtime_ns, str(status.st_mtime_ns))


def _remote_files(path: RemotePath, besides: Path | None) -> Iterator[tuple[str, Facts]]:
    if path.is_file():
        yield str(path), path.facts()
        return
    found = path.files_below()
    of_nodes = {name.rpartition("/")[0] for name in found if is_of_nodes(name.rpartition("/")[2])}
    for name, facts in found.items():
        in_output = besides is not None and (path / name).is_relative_to(besides)
        if not in_output and name.rpartition("/")[0] not in of_nodes:
            yield str(path / name), facts


def _differences(key: str, before: Any, now: Any) -> Iterator[str]:
    """Each key of the configuration whose value is another."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(f"{key}.{name}" if key else name, before.get(name), now.get(name))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(f"{key}[{number}]", *pair)
    elif before != now:
        yield f"{key} was {json.dumps(before)} and is {json.dumps(now)}"


def _changes_of(path: str, before: FileState, now: FileState) -> Iterator[str]:
    if before.files != now.files:
        yield f"{path} had {before.files:,} files and has {now.files:,}"
    elif before.bytes != now.bytes:
        yield f"{path} had {before.bytes:,} bytes and has {now.bytes:,}"
    elif before != now:
        yield f"{path}, or a file in it, was written anew or renamed"
