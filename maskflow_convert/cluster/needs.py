"""What a process on another machine needs, to make of a shard what this one would make of it."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import maskflow_convert
from maskflow_convert import copies, registry, whole_files
from maskflow_convert.errors import OutputError, PluginError, SourceError
from maskflow_convert.remote import RemotePath

_SHARED = "on a cluster it has to be in a folder that all nodes share, or in an object store"


@dataclass(frozen=True)
class Needs:
    """Gathered in one process, sent to others, and met there.

    Attributes:
        program: the version of this program.
        adapters: the version of each adapter that is installed, by its reference.
        files: what adapters hold that are files, by their paths.
        folder: the name of the folder for temporary files.
        versions: those of the remote files that are here, by the names of their copies.
        sources: the size of each file of this machine that sources name; None for a folder.
        note: a file of the output directory, and what it holds; None where there is none, or in an object store.
    """

    program: str
    adapters: Mapping[str, str]
    files: Mapping[str, bytes]
    folder: str
    versions: Mapping[str, copies.Version]
    sources: Mapping[Path, int | None]
    note: tuple[Path, bytes] | None

    @classmethod
    def of(cls, adapters: Collection[str], sources: Collection[Path], note: Path | None) -> Needs:
        """What is needed for the adapters of these references.

        Raises:
            OSError: the note, or a file that holds an adapter, cannot be read.
        """
        files = registry.sources_of(adapters)
        ours = [path for path in sources if not isinstance(path, RemotePath) and path.exists()]
        return cls(
            program=maskflow_convert.__version__,
            adapters={each: registry.version_of(each) for each in adapters if each.rpartition(":")[0] not in files},
            files=files,
            folder=copies.temporary_folder().name,
            versions=copies.versions(),
            sources={path: _size_of(path) for path in ours},
            note=None if note is None or isinstance(note, RemotePath) else (note, note.read_bytes()),
        )

    def meet(self) -> None:
        """Have it all in this process, which is of another machine, or might be.

        Raises:
            PluginError: this program, or an adapter, is missing here or of another version.
            SourceError: a source is not here, or is another one.
            OutputError: the output directory is another one here.
        """
        node = f"on the node {socket.gethostname()}"
        whole_files.mark_partial_files()
        copies.share(self.folder, self.versions)
        self._check_folders(node)
        registry.take(self.files)
        _check_version("maskflow-convert", self.program, maskflow_convert.__version__, node)
        for reference, version in self.adapters.items():
            try:
                here = registry.version_of(reference)
                registry.load(reference)
            except PluginError as error:
                raise PluginError(
                    f"{node}, which needs what is installed where the run was started: {error}"
                ) from error
            _check_version(f"adapter {reference}", version, here, node)

    def _check_folders(self, node: str) -> None:
        for path, size in self.sources.items():
            if not path.exists() or _size_of(path) != size:
                what = "is another one" if path.exists() else "does not exist"
                raise SourceError(f"{what} {node}; {_SHARED}", path)
        if self.note is not None and not _holds(*self.note):
            raise OutputError(f"{self.note[0].parent}: is another folder {node}; {_SHARED}")


def _size_of(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _check_version(what: str, there: str, here: str, node: str) -> None:
    if here != there:
        raise PluginError(f"{what} is {here} {node}, and {there} where the run was started; install the same on all")
