"""The output directory: whose it is, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from maskflow_convert.errors import OutputError, SourceError
from maskflow_convert.issues import Issue
from maskflow_convert.nodes import Node
from maskflow_convert.remote import RemotePath, path_of
from maskflow_convert.whole_files import keep_names, partial_of, publish

_LOCKED: set[int] = set()
"""Descriptors of the folders and files that this process has locked."""


class Existing(StrEnum):
    """What to do with a data set that is already in the output directory."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@contextmanager
def reserved(folder: Path, node: Node | None = None) -> Iterator[None]:
    """Make the output directory, if need be, and keep other runs out of it for as long as the block lasts.

    The lock is of the directory itself and held by the process, so that a crash does not leave it behind. Nodes share
    it, and each has a file of its own to lock. Windows and object stores have no locks of that kind, and nothing is
    locked there.

    Raises:
        OutputError: another run writes there, or the folder cannot be used.
    """
    with ExitStack() as stack:
        try:
            if isinstance(folder, RemotePath):
                folder.mkdir(parents=True, exist_ok=True)
            else:
                _make(folder)
                _lock(folder, node, stack)
        except BlockingIOError as error:
            which = "another run" if error.filename is None else f"node {node}"
            raise OutputError(f"{folder}: {which} is writing there; wait for it, or choose another --output") from error
        except OSError as error:
            raise unusable(folder, error) from error
        yield


def _make(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, for good."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        keep_names(each.parent)


def _lock(folder: Path, node: Node | None, stack: ExitStack) -> None:
    """Lock a folder for one run, or for one of several nodes, until the stack is unwound."""
    if sys.platform != "win32":
        import fcntl

        _hold(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX if node is None else fcntl.LOCK_SH, stack)
        if node is not None:
            _lock_file(folder / f"node-{node.name}.lock", stack)


def _lock_file(path: Path, stack: ExitStack) -> None:
    """Make a file and lock it; it goes when the stack is unwound, or lies there unlocked after a crash."""
    if sys.platform != "win32":
        import fcntl

        is_there = False
        while not is_there:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _hold(handle, fcntl.LOCK_EX, stack)
            except BlockingIOError as error:
                error.filename = path
                raise
            with suppress(FileNotFoundError):  # who had it has taken it away meanwhile
                is_there = os.path.samestat(os.fstat(handle), path.stat())
        stack.callback(path.unlink, missing_ok=True)


def _hold(handle: int, kind: int, stack: ExitStack) -> None:
    """Lock what is open until the stack is unwound."""
    if sys.platform != "win32":
        import fcntl

        _LOCKED.add(handle)
        stack.callback(_unlock, handle)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks
                raise


def _unlock(handle: int) -> None:
    _LOCKED.discard(handle)
    os.close(handle)


def leave_locks() -> None:
    """In a copy of the process: leave the locks to the one that took them, so that they end with it."""
    for handle in tuple(_LOCKED):
        _unlock(handle)


def clear(folder: Path, existing: Existing) -> None:
    """Make the output directory ready: of what is in it, only a data set of ours is ever removed.

    To go on with a data set, what is done of it is kept, and what was begun is removed.

    Raises:
        OutputError: there is a data set and it is to be kept; there is a file of somebody else that ours would replace;
            or the folder cannot be written.
    """
    try:
        names = set(names_in(folder))
        ours = {name for name in names if _OURS.fullmatch(name)}
        beside = names & BESIDE
        if ours and Existing(existing) is Existing.REFUSE:
            raise OutputError(f"{folder}: holds {_already(ours)}")
        if beside and not ours:
            strange = " and ".join(sorted(beside))
            raise OutputError(f"{folder}: holds {strange}, and no data set that it belongs to; choose another --output")
        card = {name for name in names if is_ours(folder / name, CARD)}
        for name in sorted(ours | beside | card, key=lambda name: name != "dataset.json"):  # what makes it whole first
            stale = name in card and Existing(existing) is not Existing.RESUME
            if stale or Existing(existing) is Existing.OVERWRITE or _is_unfinished_shard(name):
                (folder / name).unlink()
    except OSError as error:
        raise unusable(folder, error) from error


def _already(ours: Collection[str]) -> str:
    """What files of ours are, and what to do about them."""
    if "dataset.json" in ours:
        return "a data set already; choose another --output, or give --overwrite"
    if any(map(is_of_nodes, ours)):
        return "shares of nodes already; choose another --output, or give --overwrite, or --node to add one"
    return "an unfinished data set already; choose another --output, or give --resume to go on with it, or --overwrite"


def sweep(folder: Path, shards: Container[str]) -> None:
    """Remove what workers that died have left of these shards, once others have written them.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        for name in list(names_in(folder)):
            if _is_unfinished_shard(name) and shard_of(name) in shards:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise unusable(folder, error) from error


def _is_unfinished_shard(name: str) -> bool:
    return name.endswith(".partial") and shard_of(name) is not None


def holds_data_set(folder: Path) -> bool:
    """Whether there is anything whole of a data set of ours, finished or not."""
    return any(_OURS.fullmatch(name) and not name.endswith(".partial") for name in names_in(folder))


def shard_of(name: str) -> str | None:
    """The name of the shard whose records or report a file has, by the name of the file."""
    found = re.fullmatch(_OF_SHARDS, name)
    return found[1] if found else None


def is_of_nodes(name: str) -> bool:
    """Whether a file is one that nodes leave until their shares are put together, beside the shards."""
    return re.fullmatch(_OF_NODES, name) is not None


def is_of_records(name: str) -> bool:
    """Whether a file is called as one that a conversion writes, and nobody else but by chance."""
    return _OURS.fullmatch(name) is not None


def is_mark_of_records(name: str) -> bool:
    """Whether a file tells that a conversion has written to its folder."""
    return name.endswith(".tfrecord") or name == "unfinished.json"


def names_in(folder: Path) -> Iterator[str]:
    """The names of what is in an output directory; a remote one is there when something is in it."""
    with suppress(FileNotFoundError) if isinstance(folder, RemotePath) else nullcontext():
        yield from (path.name for path in folder.iterdir())


def sizes_in(folder: Path) -> Mapping[str, int]:
    """The files in a folder with their sizes, by few requests if it is remote.

    Raises:
        OSError: there is no such folder, or it cannot be read.
    """
    if isinstance(folder, RemotePath):
        return {name: facts.size for name, facts in folder.files_below().items()}
    with os.scandir(folder) as found:
        return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}


@contextmanager
def failures_told_of(*folders: Path) -> Iterator[None]:
    """Have what cannot be read of an output directory, while it is written to, be a fault of that and of no source.

    Raises:
        OutputError: it is so.
    """
    try:
        yield
    except SourceError as error:
        if error.path is None or not any(path_of(error.path).is_relative_to(folder) for folder in folders):
            raise
        raise OutputError(str(error)) from error


def unusable(folder: Path, error: OSError) -> OutputError:
    """What to say of an output directory that the system refuses."""
    why = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror or error
    return OutputError(f"{folder}: cannot be used as output directory: {why}; choose another --output")


_OF_SHARDS = r"(.+-\d{5,}-of-\d{5,})\.(tfrecord|json)((\.[0-9a-f]{8})?\.partial)?"
_OF_NODES = r"(node|unfinished)-[1-9]\d{0,3}-of-[1-9]\d{0,3}\.(jsonl?|lock)(\.partial)?"
_OURS = re.compile(
    rf"(dataset|unfinished)\.json(\.partial)?|{_OF_SHARDS}|{_OF_NODES}"
    r"|(issues\.jsonl|config\.yaml|README\.md|index\.html|samples-[0-9a-f]{12}\.jpg)\.partial"
)
BESIDE = {"issues.jsonl", "config.yaml"}  # names that others use too

CARD = "card"
PREVIEW = "preview"


def signed(text: str, kind: str) -> str:
    """A text in Markdown or HTML with a last line that tells it from anybody else's, and from itself once changed.

    Args:
        text: ends with a line break.
        kind: what it is, a word.
    """
    digest = hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogateescape")).hexdigest()
    return f"{text}<!-- maskflow-convert {kind} {digest}: to keep this file from being replaced, change it -->\n"


def name_of_picture(content: bytes) -> str:
    """The name of the picture of a card: by its content, so that nothing else is called so."""
    return f"samples-{hashlib.sha256(content).hexdigest()[:12]}.jpg"


def is_ours(path: Path, kind: str) -> bool:
    """Whether a file is a page or a picture that this program wrote, and nobody has changed it since."""
    if not _MAY_BE_OURS.fullmatch(path.name) or not path.is_file():
        return False
    try:
        content = path.read_bytes()
    except OSError:
        return False
    if path.suffix == ".jpg":
        return kind == CARD and path.name == name_of_picture(content)
    text = content.decode("utf-8", "surrogateescape")
    return text == signed(text[: text.rfind("<!--")], kind)


_MAY_BE_OURS = re.compile(r"README\.md|index\.html|samples-[0-9a-f]{12}\.jpg")


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror or error}") from error


def keep(file: IO[Any]) -> None:
    """See to it that what was written so far outlasts a crash of the machine."""
    file.flush()
    os.fsync(file.fileno())


def replace_text(path: Path, text: str | Iterable[str]) -> None:
    """Write a text file, which may come in pieces, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    pieces = [text] if isinstance(text, str) else text
    replace_file(path, (piece.encode("utf-8", "surrogateescape") for piece in pieces))


def replace_file(path: Path, content: Iterable[bytes]) -> None:
    """Write a file, which comes in pieces, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    partial = partial_of(path)
    try:
        with partial.open("wb") as file:
            file.writelines(content)
            keep(file)
        publish(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has its final name now, or is of no use
            partial.unlink()


class IssueList:
    """`issues.jsonl`, written line by line as the issues come.

    It has a partial name until the `with` block ends well, and is removed when that raises.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = partial_of(path)

    def __enter__(self) -> IssueList:
        try:
            self._file = self._partial.open("w", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise self._failed(error) from error
        return self

    def write(self, issues: Iterable[Issue]) -> None:
        """Append issues, one a line."""
        try:
            self._file.writelines(json.dumps(issue.to_dict(), ensure_ascii=False) + "\n" for issue in issues)
        except OSError as error:
            raise self._failed(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                keep(self._file)
                self._file.close()
                publish(self._partial, self._path)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            with suppress(OSError):  # what a full disk refused is refused again when the file is closed
                self._file.close()
            with suppress(OSError):
                self._partial.unlink()

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{error.filename or self._partial}: cannot be written: {error.strerror or error}")
