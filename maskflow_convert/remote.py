"""Paths in object stores and on web servers, as `s3://bucket/key`. The one user of fsspec, imported for such a path.

A `RemotePath` is a `pathlib.Path`, so that what takes a path takes one of these, an adapter of somebody else's
included. What it cannot do as a file of this machine can, it refuses. A file that is not there raises what a local one
raises; a service that fails, for whatever reason, raises a `SourceError`, since that is no fault of the data.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import re
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple, NoReturn, cast
from urllib.parse import unquote

from maskflow_convert.errors import ConfigError, SourceError, without_secrets

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_COLLAPSED = re.compile(r"([a-z][a-z0-9+.-]+:)/(?!/)")  # what pathlib makes of the beginning of a URL
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
_WEB = ("http", "https")
_USER_IN = re.compile(r"[^/]*@|[^/]*:(?!\d+(/|$))")  # a secret key may hold '/', and the name of a bucket no ':'
_WHOLE_OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")
"""Stores in which an object is there when all of it has arrived, and not before."""

_HAVE_BUCKETS = ("s3", "s3a", "gs", "gcs")
_LONGEST = 1024  # bytes of a key, as S3 and Google have it

_OPTIONS: Mapping[str, Mapping[str, Any]] = {name: {"max_concurrency": 1} for name in ("s3", "s3a")}
"""s3fs asks for the size of an object before it fetches it, unless it is to fetch it in one piece."""

_BLOCK = 1 << 23  # bytes of a request when a long file is gone through
_GONE = (404, 410)


def path_of(written: str | os.PathLike[str]) -> Path:
    """The path that somebody wrote: one of this machine, or a remote one if it begins as a URL.

    Raises:
        ConfigError: it is remote, and holds what may be a secret, or what is needed for it is not installed.
    """
    if isinstance(written, Path):
        return written
    text = os.fspath(written)
    found = _SCHEME.match(text)
    if found is None:
        return Path(text)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme == "file":
        return Path(rest)
    _refuse_secrets(scheme, rest)
    _require(scheme, text)
    path = RemotePath(f"{scheme}://{rest}").resolve()
    if not path.is_absolute():
        raise ConfigError(f"{text}: names nothing; write more of it, as in {scheme}://bucket/folder")
    return path


def _refuse_secrets(scheme: str, rest: str) -> None:
    shown = without_secrets(f"{scheme}://{rest}")
    if _USER_IN.match(rest):
        raise ConfigError(
            f"{shown}: a user name or a password in a URL gets into logs; keep credentials where the service's own "
            "tools look for them, such as the environment"
        )
    if scheme in _WEB and "?" in rest:
        raise ConfigError(f"{shown}: what follows the '?' may be a secret, and is not taken; give the URL without it")


def _require(scheme: str, text: str) -> None:
    """Make sure that what is needed for a URL is installed.

    Raises:
        ConfigError: it is not, and what to install; or nobody knows such URLs.
    """
    try:
        _file_system(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        package = f"'maskflow-convert[{extra}]'" if extra else "fsspec"
        needed = f"pip install {package}" if extra or error.name == "fsspec" else str(error)
        raise ConfigError(f"{text} needs: {needed}") from error
    except (ValueError, TypeError) as error:  # fsspec knows none of that name, or one that needs more than a URL
        raise ConfigError(f"{text}: storage of the kind {scheme}:// cannot be used") from error


@lru_cache(maxsize=16)
def _file_system(scheme: str) -> Any:
    """The file system of fsspec; listings are not kept, as files may come and go."""
    import fsspec

    options = {"use_listings_cache": False, **_OPTIONS.get(scheme, {})}
    signature(fsspec.get_filesystem_class(scheme).__init__).bind(None, **options)  # or half an object would be left
    return fsspec.filesystem(scheme, **options)


class Facts(NamedTuple):
    """What a service says of a file.

    Attributes:
        size: in bytes.
        modified: when it was changed, in nanoseconds; 0 if the service does not say so.
        version: what changes with the content: its entity tag, or else the time.
    """

    size: int
    modified: int
    version: str


class AtHand(threading.local):
    """Files that were fetched ahead for what this thread is about to do, or why they could not be."""

    files: Mapping[RemotePath, bytes | Exception] = {}


AT_HAND = AtHand()


class RemotePath(Path, PurePosixPath):
    """A file or folder by its URL. `..` is taken as written, as there are no links."""

    __slots__ = ()

    def __str__(self) -> str:
        return _COLLAPSED.sub(r"\1//", super().__str__(), count=1)

    def __fspath__(self) -> NoReturn:
        raise self._unsupported("is not a file on this machine; open it by its own methods, or fetch() it")

    def __reduce__(self) -> tuple[Any, ...]:
        if self.scheme == "memory":
            raise TypeError(f"{self} is in the memory of this process")
        return type(self), (str(self),)

    def as_uri(self) -> str:
        """The URL."""
        return str(self)

    @property
    def scheme(self) -> str:
        """As `s3`."""
        return str(self).partition("://")[0]

    # As pathlib has it, of a file system without links and working directory

    def is_absolute(self) -> bool:
        """Whether it begins as a URL."""
        return _SCHEME.match(str(self)) is not None

    def absolute(self) -> RemotePath:
        """The path itself."""
        return self

    def expanduser(self) -> RemotePath:
        """The path itself."""
        return self

    def resolve(self, strict: bool = False) -> RemotePath:  # noqa: FBT001, FBT002
        """The path without `.` and `..`; without a scheme, when these lead out of it.

        A web server takes `%2e` for a point, so there that is one.
        """
        text = super().__str__()
        if text.startswith(("http:/", "https:/")):
            text = "/".join(_plain(part) for part in text.split("/"))
        return type(self)(posixpath.normpath(text))

    def is_fifo(self) -> bool:
        """There are none."""
        return False

    def is_symlink(self) -> bool:
        """There are none."""
        return False

    # What is there

    def facts(self) -> Facts:
        """What the service says of the file.

        Raises:
            FileNotFoundError: there is none.
            SourceError: the service fails.
        """
        info = self._info()
        if info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self))
        return _facts(info)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Type, size and time of the last change; all else is 0."""
        info = self._info()
        mode = stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG
        facts = _facts(info)
        seconds = facts.modified // 10**9
        fields = (mode, 0, 0, 1, 0, 0, facts.size, seconds, seconds, seconds)
        return os.stat_result(fields, {"st_mtime_ns": facts.modified})

    def exists(self, **_: object) -> bool:
        """Whether there is a file, or a folder with one in it."""
        return self._type() is not None

    def is_file(self, **_: object) -> bool:
        """Whether there is a file."""
        return self._type() == "file"

    def is_dir(self, **_: object) -> bool:
        """Whether there is a file in such a folder, or a mark in place of it."""
        return self._type() == "directory"

    def iterdir(self) -> Iterator[RemotePath]:  # type: ignore[override]
        """The files and folders in this one.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        return iter([self / name for name in self._entries()])

    def glob(self, pattern: str, **_: object) -> Iterator[RemotePath]:  # type: ignore[override]
        """The files and folders below this one that match; `**` stands for any number of folders."""
        from fsspec.utils import glob_translate

        matches = re.compile(glob_translate(pattern)).match
        try:
            names = self._entries_below() if "/" in pattern or "**" in pattern else self._entries()
        except FileNotFoundError:
            return iter([])
        return iter([self / name for name in names if matches(name)])

    def rglob(self, pattern: str, **_: object) -> Iterator[RemotePath]:  # type: ignore[override]
        """As `glob`, in this folder and all below it."""
        return self.glob(f"**/{pattern}")

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """The names of the folders in this one, and of the files.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        found = self._entries().items()
        folders = [name for name, info in found if info["type"] == "directory"]
        return folders, [name for name, info in found if info["type"] != "directory"]

    def files_below(self) -> Mapping[str, Facts]:
        """The files in this folder and those below it, by their paths from here, in the order of these.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        found = sorted(self._entries_below().items())
        return {name: _facts(info) for name, info in found if info["type"] == "file"}

    # Content

    def read_bytes(self) -> bytes:
        """All of a file, by one request, unless it was fetched ahead."""
        found = AT_HAND.files.get(self)
        if isinstance(found, Exception):
            raise found
        return self.fetched() if found is None else found

    def fetched(self) -> bytes:
        """All of a file, by one request."""
        key = self._key_of_file()
        with self._service():
            return cast(bytes, self._files().cat_file(key))

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """All of a file, fetched and held in memory; it cannot be written so."""
        if set(mode) - set("rbt"):
            raise self._unsupported("cannot be opened for writing")
        content = io.BytesIO(self.read_bytes())
        return content if "b" in mode else io.TextIOWrapper(content, encoding, errors, newline)

    def stream(self) -> BinaryIO:
        """A long file, block by block; the next one is fetched while one is read."""
        key = self._key_of_file()
        with self._service():
            file = self._files().open(key, "rb", block_size=_BLOCK, cache_type="background")
        return cast(BinaryIO, io.BufferedReader(_Stream(self, file), 1 << 16))

    def download(self, target: Path) -> None:
        """Copy the file to this machine."""
        key = self._key_of_file()
        with self._service():
            self._files().get_file(key, str(target))

    # Changes; all of them raise OSError when the service fails, as a disk would

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """There is nothing to make, if files can be put whole into such a folder."""
        if self.scheme not in _WHOLE_OBJECTS:
            told = f"{self.scheme}:// does not take whole files at once, as s3://, gs:// and abfs:// do"
            raise OSError(errno.EROFS, told)

    def upload(self, file: Path) -> None:
        """Put a whole file of this machine here; until all of it has arrived, what was here before stays."""
        with self._changing():
            self._files().put_file(str(file), self._key())

    def copy_from(self, source: RemotePath) -> None:
        """Have the store copy a whole file that it has; until all of it is here, what was here before stays."""
        with self._changing():
            self._files().cp_file(source._key(), self._key())

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Remove the file."""
        with self._changing():
            try:
                self._files().rm_file(self._key())
            except FileNotFoundError:
                if not missing_ok:
                    raise

    # fsspec

    def _files(self) -> Any:
        return _file_system(self.scheme)

    def _key(self) -> str:
        """How fsspec names the file.

        Raises:
            OSError, ValueError: no file can have such a name, which may come from data: no fault of the service.
        """
        text = str(self.resolve())
        if _SCHEME.match(text) is None:  # it has led out of its bucket
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        if len(text.encode()) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(self))
        if any(character < " " for character in text):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(self))
        return str(self._files()._strip_protocol(text))

    def _key_of_file(self) -> str:
        """As `_key`, of what may be a file, which a bucket may not."""
        key = self._key()
        if self.scheme in _HAVE_BUCKETS and "/" not in key.strip("/"):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self))
        return key

    def _info(self) -> Mapping[str, Any]:
        key = self._key()
        with self._service():
            info: Mapping[str, Any] = self._files().info(key)
        return {**info, "type": "directory"} if info.get("mimetype") == "text/html" else info

    def _type(self) -> str | None:
        try:
            return str(self._info()["type"])
        except (OSError, ValueError):  # nothing can have such a name
            return None

    def _entries(self) -> Mapping[str, Mapping[str, Any]]:
        """What the service says of each file and folder in this one, by its name."""
        key = self._key_of_folder()
        with self._service():
            return _by_name(key, self._files().ls(key, detail=True))

    def _entries_below(self) -> Mapping[str, Mapping[str, Any]]:
        """What the service says of each file and folder below this one, by its path from here."""
        key = self._key_of_folder()
        with self._service():
            found = _by_name(key, self._files().find(key, withdirs=True, detail=True).values())
        if not found and not self.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return found

    def _key_of_folder(self) -> str:
        if self.scheme in _WEB:
            raise self._unsupported("is on a web server, and these do not list what they have")
        return self._key()

    @contextmanager
    def _service(self) -> Iterator[None]:
        """Have all that can go wrong be said as of a file, or as a failure of the service."""
        try:
            yield
        except FileNotFoundError as error:
            if (cause := _failure_behind(error)) is not None:
                raise self._failed(cause) from error
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from error
        except (IsADirectoryError, NotADirectoryError) as error:
            number = errno.EISDIR if isinstance(error, IsADirectoryError) else errno.ENOTDIR
            raise type(error)(number, os.strerror(number), str(self)) from error
        except (SourceError, MemoryError, io.UnsupportedOperation):
            raise
        except Exception as error:  # those of botocore, aiohttp and Google have nothing in common
            raise self._failed(error) from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # as in `_service`
            raise OSError(errno.EIO, _told(error), str(self)) from error

    def _failed(self, error: BaseException) -> SourceError:
        return SourceError(f"the service fails, or does not let us in: {_told(error)}", str(self))

    def _unsupported(self, told: str) -> io.UnsupportedOperation:
        return io.UnsupportedOperation(errno.ENOTSUP, told, str(self))


class _Stream(io.RawIOBase):
    """A file of fsspec, of which a failure is told as of any other file."""

    def __init__(self, path: RemotePath, file: Any) -> None:
        self._path = path
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._path._service():
            return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        with self._path._service():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _by_name(folder: str, found: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """What is below a folder by its path from there, without the mark that some stores have of the folder itself."""
    names = {info["name"].rstrip("/")[len(folder) + 1 :]: info for info in found}
    names.pop("", None)
    return names


def _plain(part: str) -> str:
    """A part of a URL as a server may take it, if that is more than a name."""
    plain = unquote(part)
    return plain if plain in (".", "..") or "/" in plain or "\\" in plain else part


def _facts(info: Mapping[str, Any]) -> Facts:
    times = ("LastModified", "last_modified", "mtime", "updated", "modified", "created", "Last-Modified")
    modified = next((_nanoseconds(info[key]) for key in times if info.get(key)), 0)
    tag = next((str(info[key]) for key in ("ETag", "etag", "md5Hash", "content_md5") if info.get(key)), "")
    return Facts(int(info.get("size") or 0), modified, tag or str(modified))


def _nanoseconds(time: object) -> int:
    """A time, in the forms that services have for it, since 1970; 0 if it is none of these."""
    if isinstance(time, str):
        from email.utils import parsedate_to_datetime

        try:
            time = datetime.fromisoformat(time) if time[:1].isdecimal() else parsedate_to_datetime(time)
        except ValueError:
            return 0
    seconds = time.timestamp() if isinstance(time, datetime) else time
    return round(seconds * 1e6) * 1000 if isinstance(seconds, int | float) else 0


def _failure_behind(error: BaseException) -> BaseException | None:
    """What made a file seem to be missing, if that is another thing: fsspec says so of web servers that fail."""
    cause = error.__cause__
    if not type(cause).__module__.startswith("aiohttp") or getattr(cause, "status", None) in _GONE:
        return None
    return cause


def _told(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return without_secrets(f"{type(error).__name__}: {text}" if text else type(error).__name__)
