"""Files that get their name when they are whole: on this machine by renaming, elsewhere by one upload."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from maskflow_convert.copies import on_this_machine, temporary_folder
from maskflow_convert.remote import RemotePath

_MARKS: list[str] = []
"""What tells partial files of this process from those of others that may write the same file at the same time."""


def mark_partial_files() -> None:
    """Give partial files names that no other process has: one on a machine that was given up may not have ended yet."""
    _MARKS[:] = [secrets.token_hex(4)]


def partial_of(path: Path) -> Path:
    """Where to write what will be `path`: beside it, or on this machine if that is remote."""
    if isinstance(path, RemotePath):
        return temporary_folder() / f"{os.getpid()}-{secrets.token_hex(4)}-{path.name}.partial"
    return path.with_name(".".join([path.name, *_MARKS, "partial"]))


def publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, in place of what had it, for good: also if the machine loses its power afterwards.

    An uploaded one is left behind, for the caller to remove.

    Raises:
        OSError: the system or the service refuses.
    """
    if isinstance(path, RemotePath):
        path.upload(partial)
    else:
        partial.replace(path)
        keep_names(path.parent)


def keep_names(folder: Path) -> None:
    """Have the disk take which files there are in a folder; the file system does that on its own only after a while.

    Raises:
        OSError: the system refuses, though it can do so.
    """
    if sys.platform == "win32" or not os.access(folder, os.R_OK):  # it cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


def duplicate(source: Path, path: Path) -> None:
    """Have a whole file a second time, in place of what has that name: by a link if the file system can, or by a copy.

    What is in a store is copied by the store. A link is as good as a copy, as no file is ever changed in place.

    Raises:
        OSError: the system or the service refuses.
        SourceError: a service that the file is fetched from fails.
    """
    if isinstance(source, RemotePath) and isinstance(path, RemotePath) and source.scheme == path.scheme:
        path.copy_from(source)
        return
    with on_this_machine(source) as file:
        if isinstance(path, RemotePath):
            path.upload(file)
        else:
            _link_or_copy(file, path)


def _link_or_copy(source: Path, path: Path) -> None:
    partial = partial_of(path)
    partial.unlink(missing_ok=True)
    try:
        try:
            os.link(source, partial)
        except OSError:  # another file system, or one that has no links
            with source.open("rb") as old, partial.open("wb") as new:
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
        publish(partial, path)
    finally:
        with suppress(OSError):  # it has its name now, or is of no use
            partial.unlink()
