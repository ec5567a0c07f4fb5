"""The pages that are made from the code are those that the code makes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import maskflow_convert
from maskflow_convert.catalogue import CATALOGUE
from shared_data import REPOSITORY

CHECKS = REPOSITORY / "docs/checks"
QUOTING = {
    "annotation-broken": "msgspec",
    "category-broken": "msgspec",
    "dataset-element-failed": "TensorFlow",
    "file-foreign": "msgspec",
    "record-broken": "libxml2",
    "record-truncated": "how far zlib gets with an image",
    "shard-changed": "a checksum",
    "shard-unreadable": "Python",
}
"""Codes whose messages have words in them that another version of a library may say otherwise."""


def in_folder(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}


def without_quotes(pages: Mapping[str, str]) -> dict[str, str]:
    quoting = {f"{code}.md" for code in QUOTING}
    fence = re.compile(r"^```text\n.*?^```$", re.MULTILINE | re.DOTALL)
    return {name: fence.sub("", text) if name in quoting else text for name, text in pages.items()}


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that make pages can be imported."""
    monkeypatch.syspath_prepend(REPOSITORY / "docs")


def test_the_pages_of_checks_are_those_of_the_catalogue_and_the_corpus():
    """`python docs/make_checks.py` makes them anew."""
    make_checks = importlib.import_module("make_checks")
    assert without_quotes(make_checks.pages(make_checks.plant())) == without_quotes(in_folder(CHECKS))


def test_the_reference_is_that_of_the_settings_the_adapters_and_the_command_line():
    """`python docs/make_reference.py` makes it anew."""
    pages = importlib.import_module("make_reference").pages()
    assert pages == {path: (REPOSITORY / "docs" / path).read_text(encoding="utf-8") for path in pages}


def test_there_is_a_page_for_each_code_and_each_picture_that_one_shows():
    assert {path.stem for path in CHECKS.glob("*.md")} == {"index", *CATALOGUE}
    shown = [name for text in in_folder(CHECKS).values() for name in re.findall(r"\(pictures/(.+\.jpg)\)", text)]
    assert len(shown) > 20
    assert sorted(shown) == sorted(path.name for path in (CHECKS / "pictures").iterdir())


def test_the_reference_has_a_meaning_for_every_key():
    """In the tables; the fourth column."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", reference("configuration"), re.MULTILINE)
    assert len(rows) > 20
    assert [key for key, meaning in rows if not meaning.strip()] == []


def test_the_reference_has_every_section_and_command():
    assert {f"## {name}" for name in ("sources", "classes", "image", "objects", "output", "run")} <= {
        *reference("configuration").splitlines()
    }
    commands = ("init", "convert", "validate", "preview", "inspect", "adapters new", "schema config")
    assert {f"## {name}" for name in commands} <= {*reference("command-line").splitlines()}


def test_the_reference_has_every_public_name():
    """The errors by their module."""
    named = set(re.findall(r"^::: maskflow_convert\.(\w+)$", reference("api"), re.MULTILINE))
    assert {name for name in maskflow_convert.__all__ if not name.endswith("Error")} <= named


def reference(name: str) -> str:
    return (REPOSITORY / f"docs/reference/{name}.md").read_text(encoding="utf-8")
