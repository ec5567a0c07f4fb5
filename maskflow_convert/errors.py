"""Exceptions, each with its message and the exit code of the command line.

What stops the work is an error; what is wrong with one image or object is an issue (see `maskflow_convert.issues`).
`DataError` is the bridge: code that meets a fault in the data raises it, and the pipeline turns it into an issue.

    MaskflowError
    ├── IssueError      exit 1   an issue stopped the conversion
    ├── ConfigError     exit 2   the YAML or the command line is wrong
    ├── PluginError     exit 3   an adapter is missing, broken, or offered twice
    ├── SourceError     exit 4   a source cannot be read at all
    ├── OutputError     exit 5   the output cannot be written, or is in the way
    └── DataError                a fault in the data, to be listed as an issue
        ├── RecordError          the annotation record of one image is broken
        ├── ImageError           one image cannot be used
        └── ShapeError           the shape of one object cannot be turned into pixels

Every constructor argument is kept in `args` and the text is made in `__str__`, so that all of them pickle.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from maskflow_convert.issues import Issue


class MaskflowError(Exception):
    """Base of all errors of this package."""

    exit_code: ClassVar[int] = 1


class IssueError(MaskflowError):
    """An issue of severity error met `on_error: stop`."""

    exit_code = 1

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue)
        self.issue = issue

    def __str__(self) -> str:
        return f"{self.issue}\n  {self.issue.rule.remedy}"


class ConfigError(MaskflowError):
    """The configuration, or an argument, is not what it should be. One line a problem, each with its place.

    A problem may quote what was written, and that may hold a password: it is left out.
    """

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(map(without_secrets, problems))
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class PluginError(MaskflowError):
    """An adapter cannot be had, or breaks its contract."""

    exit_code = 3


class SourceError(MaskflowError):
    """A source cannot be read at all: no such file, no permission, not the format it is said to be.

    `path` is the file, `line` is 1-based and None where the file has no lines.
    """

    exit_code = 4

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        super().__init__(message, path, line)
        self.message = message
        self.path = path
        self.line = line

    def __str__(self) -> str:
        return place(self.path, self.line) + self.message


class OutputError(MaskflowError):
    """The output cannot be written, or something is in its way."""

    exit_code = 5


class DataError(MaskflowError):
    """A fault in the data: `code` names a rule of the issue catalogue, `message` says what was found.

    `path` and `line` (1-based) say where, if the one who raises knows better than the one who catches.
    """

    def __init__(self, code: str, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        super().__init__(code, message, path, line)
        self.code = code
        self.message = message
        self.path = path
        self.line = line

    def __str__(self) -> str:
        return f"{place(self.path, self.line)}{self.message} [{self.code}]"


class RecordError(DataError):
    """The annotation record of one image is broken, and with it the image; the other images are not.

    Adapters raise it from `read` with just a message; the code is then `record-broken`.
    """

    def __init__(
        self,
        message: str,
        path: Path | str | None = None,
        line: int | None = None,
        code: str = "record-broken",
    ) -> None:
        super().__init__(code, message, path, line)
        self.args = (message, path, line, code)


class ImageError(DataError):
    """One image cannot be used: missing, unreadable, too large, of another size than annotated."""


class ShapeError(DataError):
    """The shape of one object cannot be turned into pixels."""


_USER = re.compile(r"://(?:[^\s'\"/@]*:[^\s'\"@]*|[^\s'\"/]*)@")
_QUERY = re.compile(r"(://[^\s'\"?]*\?)[^\s'\"]*[^\s'\":;,.]")


def without_secrets(text: str) -> str:
    """A text without what URLs in it may say of a user, a password or a signature."""
    return _QUERY.sub(r"\1***", _USER.sub("://***@", text))


def place(path: Path | str | None, line: int | None) -> str:
    """`file:line: ` as compilers print it, as much as is known; from the working directory if it lies below that."""
    if path is None:
        return ""
    with suppress(OSError, ValueError):  # the working directory is gone, or the path does not lie below it
        path = Path(path).relative_to(Path.cwd())
    return f"{path}: " if line is None else f"{path}:{line}: "
