"""Files that get their name when they are whole: on this machine by renaming, elsewhere by one upload."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from maskflow_convert.copies import temporary_folder
from maskflow_convert.remote import RemotePath


def partial_of(path: Path) -> Path:
    """Where to write what will be `path`: beside it, or on this machine if that is remote."""
    if isinstance(path, RemotePath):
        return temporary_folder() / f"{os.getpid()}-{secrets.token_hex(4)}-{path.name}.partial"
    return path.with_name(path.name + ".partial")


def publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, in place of what had it. An uploaded one is left behind, for the caller to remove.

    Raises:
        OSError: the system or the service refuses.
    """
    if isinstance(path, RemotePath):
        path.upload(partial)
    else:
        partial.replace(path)
