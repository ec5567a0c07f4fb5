"""The output directory: whose it is, and files that are written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from maskflow_convert.errors import OutputError
from maskflow_convert.issues import Issue


class Existing(StrEnum):
    """What to do with a data set that is already in the output directory."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"


def clear(folder: Path, existing: Existing) -> None:
    """Make the output directory ready: of what is in it, only a data set of ours is ever removed.

    Raises:
        OutputError: there is a data set and it is to be kept; there is a file of somebody else that ours would replace;
            or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
        ours = {name for name in names if _OURS.fullmatch(name)}
        beside = names & _BESIDE
        if ours and Existing(existing) is Existing.REFUSE:
            what = "a data set" if "dataset.json" in ours else "an unfinished data set"
            raise OutputError(f"{folder}: holds {what} already; choose another --output, or give --overwrite")
        if beside and not ours:
            strange = " and ".join(sorted(beside))
            raise OutputError(f"{folder}: holds {strange}, and no data set that it belongs to; choose another --output")
        for name in ours | beside:
            (folder / name).unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used as output directory: {error.strerror or error}") from error


_OURS = re.compile(
    r"(dataset\.json|.+-\d{5}-of-\d{5}\.(tfrecord|json))(\.partial)?|(issues\.jsonl|config\.yaml)\.partial"
)
_BESIDE = {"issues.jsonl", "config.yaml"}  # names that others use too


def replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


class IssueList:
    """`issues.jsonl`, written line by line as the issues come.

    It has a partial name until the `with` block ends well, and is removed when that raises.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")

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
            self._file.close()
            if kind is None:
                self._partial.replace(self._path)
            else:
                self._partial.unlink(missing_ok=True)
        except OSError as failure:
            raise self._failed(failure) from failure

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{self._partial}: cannot be written: {error.strerror or error}")
