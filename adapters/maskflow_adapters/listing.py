"""The files below a folder, of this machine or of an object store, in the order of their paths.

Folders are listed one after the other, each once, so that memory is needed for the largest, and not for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from maskflow_convert.errors import SourceError
from maskflow_convert.output import is_mark_of_records, is_of_records
from maskflow_convert.remote import RemotePath


def files_below(folder: Path, suffix: str) -> Iterator[str]:
    """The paths of the files whose names end in the suffix, in capitals or not; links to folders are not followed.

    They are those from the folder on, with `/` between their parts. What a conversion has written there is passed over.

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
    found: list[str] = []
    has_records = False
    try:
        for name in _remote_names(home) if isinstance(home, RemotePath) else _local_names(home):
            has_records = has_records or is_mark_of_records(name)
            if name.lower().endswith((suffix, "/")):
                found.append(name)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}", home) from error
    return sorted(within + name for name in found if not (has_records and is_of_records(name)))


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


def is_file(path: Path) -> bool:
    """Whether there is a file, whatever its name may be."""
    try:
        return path.is_file()
    except OSError:  # the name is too long, or a folder is closed
        return False
