"""The files below a folder, of this machine or of an object store, in the order of their paths.

Folders are listed one after the other, each once, so that memory is needed for the largest, and not for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from maskflow_convert.errors import SourceError
from maskflow_convert.remote import RemotePath


def files_below(folder: Path, suffix: str) -> Iterator[str]:
    """The paths of the files whose names end in the suffix, in capitals or not; links to folders are not followed.

    They are those from the folder on, with `/` between their parts.

    Raises:
        SourceError: a folder cannot be listed.
    """
    waiting = [iter(_paths(folder, "", suffix))]
    while waiting:
        for path in waiting[-1]:
            if path.endswith("/"):
                waiting.append(iter(_paths(folder, path, suffix)))
                break
            yield path
        else:
            waiting.pop()


def _paths(folder: Path, within: str, suffix: str) -> list[str]:
    """The files right in an inner folder, and the folders in it, which end in `/` and so stand where their files do."""
    home = folder / within
    try:
        names = _remote_names(home) if isinstance(home, RemotePath) else _local_names(home)
        return sorted(within + name for name in names if name.lower().endswith((suffix, "/")))
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}", home) from error


def _remote_names(folder: RemotePath) -> Iterator[str]:
    folders, files = folder.names()
    yield from files
    yield from (f"{name}/" for name in folders)


def _local_names(folder: Path) -> Iterator[str]:
    """What kind an entry is of is told with its name; it need not be looked at, unless it is a link."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield entry.name
            elif not entry.is_symlink():
                yield f"{entry.name}/"
