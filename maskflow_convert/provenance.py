"""What a data set was made from, as its card tells it: adapters, options, files; not where on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from maskflow_convert import registry
from maskflow_convert.amounts import size_text
from maskflow_convert.config import Config, Source
from maskflow_convert.copies import copy_of
from maskflow_convert.errors import SourceError
from maskflow_convert.prepare import DataSet
from maskflow_convert.remote import RemotePath

_LONGEST_VALUE = 120  # characters of an option that are shown
_LARGEST_HASHED = 2**30  # bytes of a file


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source.

    Attributes:
        adapter: its reference, without the folder of a file.
        version: the package and version of that, or the beginning of the SHA-256 of a file.
        options: as in the YAML; paths without the folder that all of them lie in.
        images: that it listed.
    """

    adapter: str
    version: str
    options: Sequence[tuple[str, str]]
    images: int


def sources_of(data_set: DataSet) -> Iterator[SourceFacts]:
    """The sources of a data set, in their order."""
    base = _common_folder(data_set.config)
    versions = {reference: _version(reference) for reference in {source.adapter for source in data_set.config.sources}}
    for source, index in zip(data_set.config.sources, data_set.indexes, strict=True):
        yield SourceFacts(
            adapter=Path(source.adapter).name,
            version=versions[source.adapter],
            options=list(_options(source, base)),
            images=len(index.entries),
        )


def _version(reference: str) -> str:
    version = registry.version_of(reference)
    return f"SHA-256 {version[:12]}" if re.fullmatch("[0-9a-f]{64}", version) else version


def _options(source: Source, base: Path | None) -> Iterator[tuple[str, str]]:
    """The split of a source, and those of its options that are not what they are by default."""
    if source.split is not None:
        yield "split", source.split
    dumped = source.options.model_dump(mode="json")
    for name, field in type(source.options).model_fields.items():
        value = getattr(source.options, name)
        if isinstance(value, Path):
            yield name, _place(value, base) + _content(value)
        elif field.default_factory is not None or value != field.default:
            yield name, _shown(dumped.get(name), base)


def _shown(value: JsonValue, base: Path | None) -> str:
    """A value as in a YAML, if it is not too long for that."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = shown if base is None else shown.replace(f"{base.as_posix()}/", "")
    return shown if len(shown) <= _LONGEST_VALUE else shown[:_LONGEST_VALUE] + " ..."


def _place(path: Path, base: Path | None) -> str:
    """Where something lies below the folder that holds all files of this machine; or its URL."""
    if isinstance(path, RemotePath):
        return str(path)
    return path.name if base is None else path.relative_to(base).as_posix()


def _content(path: Path) -> str:
    """The size of a file, and a digest that tells one state of it from another."""
    try:
        if not path.is_file():
            return ""
        size = path.stat().st_size
        if size > _LARGEST_HASHED:
            return f" ({size_text(size)})"
        with copy_of(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f" ({size_text(size)}, SHA-256 {digest})"
    except (OSError, SourceError):
        return ""


def _common_folder(config: Config) -> Path | None:
    """The folder that holds all files that the options name; None if there is none, as on several drives."""
    named = {value for source in config.sources for _, value in source.options if isinstance(value, Path)}
    paths = {path for path in named if not isinstance(path, RemotePath)}
    try:
        common = Path(os.path.commonpath(paths))
    except ValueError:
        return None
    return common.parent if common in paths else common
