"""Copies on this machine of remote files, for what is read in many places or more than once: a large annotation file.

They lie in a folder for temporary files, which the process that made it takes away when it ends, and which is that of
its worker processes, too. So a file is fetched once, and what was fetched is what all of them read. Workers on another
machine `share` a folder there, and take no other version of a file than the process has that they work for.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from maskflow_convert.errors import SourceError
from maskflow_convert.remote import Facts, RemotePath

_FOLDER = "MASKFLOW_CONVERT_COPIES"
"""The variable of the environment that tells workers of the folder."""

_MADE: set[str] = set()
"""The folders that this process has made, or was told to share."""

_OF_WORKERS = "-workers"
"""What the name of a folder ends in that workers on another machine have made."""

Version = tuple[int, float]
"""The size of a copy, and the time that stands for the version of its file."""

_VERSIONS: dict[str, Version] = {}
"""The only versions of files that this process takes, by the names of their copies."""


def fetch(path: Path) -> Path:
    """The file on this machine; a remote one is fetched, unless there is a copy of it as it is now.

    A copy has the size of its file, and a time that stands for its version.

    Raises:
        OSError: there is no such file, or no room for the copy.
        SourceError: the service fails, or the file changes while it is fetched, or is another one than it has to be.
    """
    if not isinstance(path, RemotePath):
        return path
    copy = _place_of(path)
    with _alone():
        facts = path.facts()
        if _is_copy(copy, facts):
            return copy
        if (version := _version_of(facts)) != _VERSIONS.get(copy.name, version):
            raise SourceError("has changed while it was read; begin anew", str(path))
        with temporary_file(path.name) as partial:
            path.download(partial)
            os.utime(partial, (_time_of(facts), _time_of(facts)))
            if not _is_copy(partial, path.facts()):
                raise SourceError("has changed while it was fetched; begin anew", str(path))
            partial.replace(copy)
    return copy


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes that have the folder from fetching the same, where the system has locks of that kind."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(temporary_folder(), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def copy_of(path: Path) -> Path:
    """The file on this machine; of a remote one the copy that was fetched last, by this process or by its parent.

    Raises:
        OSError, SourceError: as in `fetch`, if there is none.
    """
    if not isinstance(path, RemotePath):
        return path
    copy = _place_of(path)
    return copy if copy.exists() else fetch(path)


def check_unchanged(paths: Iterable[Path]) -> None:
    """Make sure that the remote files among these of which there are copies still are what was fetched.

    Raises:
        SourceError: one has changed, or is gone.
    """
    for path in paths:
        if isinstance(path, RemotePath) and (copy := _place_of(path)).exists() and not _is_current(path, copy):
            raise SourceError("has changed while it was read; begin anew", str(path))


def versions() -> Mapping[str, Version]:
    """What workers on other machines are to `share`: the versions of the copies, by their names."""
    status = {copy.name: copy.stat() for copy in temporary_folder().iterdir()}
    return {name: (each.st_size, each.st_mtime) for name, each in status.items()}


def share(name: str, versions: Mapping[str, Version]) -> None:
    """Use the temporary folder of that name, or a folder of its own that all workers on this machine have.

    Args:
        name: that of the temporary folder of the process that this one works for.
        versions: what that process has; no other versions are taken.

    Raises:
        OSError: there is no folder, and none can be made.
    """
    folder = Path(tempfile.gettempdir()) / name
    if not folder.is_dir():
        folder = _of_workers(name)
        folder.mkdir(mode=0o700, exist_ok=True)
    os.environ[_FOLDER] = str(folder)
    _MADE.add(str(folder))
    _VERSIONS.update(versions)


def leave(name: str) -> None:
    """Remove the folder that workers on this machine have shared, if they had one of their own."""
    shutil.rmtree(_of_workers(name), ignore_errors=True)


def _of_workers(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"{name}{_OF_WORKERS}"


@contextmanager
def on_this_machine(path: Path) -> Iterator[Path]:
    """The file, to be read from end to end more than once; of a remote one a copy, for the length of the block.

    Raises:
        OSError, SourceError: as in `fetch`.
    """
    if not isinstance(path, RemotePath):
        yield path
        return
    with temporary_file(path.name) as copy:
        path.download(copy)
        yield copy


@contextmanager
def temporary_file(name: str) -> Iterator[Path]:
    """A file for the length of the block, if it is not moved elsewhere in it."""
    handle, made = tempfile.mkstemp(suffix=f"-{name}", dir=temporary_folder())
    os.close(handle)
    try:
        yield Path(made)
    finally:
        with suppress(OSError):
            Path(made).unlink()


def _place_of(path: RemotePath) -> Path:
    """Where the copy of a file is, or would be."""
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()
    return temporary_folder() / f"{digest[:16]}-{path.name}"


def temporary_folder() -> Path:
    """The folder for temporary files of this process, or of the one whose worker it is."""
    known = os.environ.get(_FOLDER)
    if not known or not Path(known).is_dir() or not (known in _MADE or _is_worker()):
        known = tempfile.mkdtemp(prefix="maskflow-convert-")
        os.environ[_FOLDER] = known
        _MADE.add(known)
        atexit.register(shutil.rmtree, known, ignore_errors=True)
    return Path(known)


def _is_worker() -> bool:
    """Whether this is no process that a user started, and so ends before the one that it works for."""
    from multiprocessing import parent_process

    return parent_process() is not None


def _is_current(path: RemotePath, copy: Path) -> bool:
    try:
        return _is_copy(copy, path.facts())
    except OSError:
        return False


def _is_copy(copy: Path, facts: Facts) -> bool:
    try:
        status = copy.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime) == _version_of(facts)


def _version_of(facts: Facts) -> Version:
    return facts.size, _time_of(facts)


def _time_of(facts: Facts) -> int:
    """The version of a file as a time, in whole seconds, as any file system has them."""
    return int.from_bytes(hashlib.sha256(facts.version.encode()).digest()[:4], "big") >> 1
