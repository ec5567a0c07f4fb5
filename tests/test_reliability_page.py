"""Every promise of `docs/reliability.md` names its tests, and they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES, NO_PROMISES = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").split("\n## What is not promised\n")
TESTS = re.compile(r"`(tests/[^`:]+)::([^`]+)`")
NAMED = sorted(set(TESTS.findall(PROMISES)))


def defined(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    """The names of the classes and functions, those within classes as `Class::name`."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from defined(node, f"{prefix}{node.name}::")


def test_every_promise_names_its_tests_and_nothing_else_after_them():
    promises = re.split(r"^- ", PROMISES, flags=re.MULTILINE)[1:]
    assert len(promises) > 20
    for promise in promises:
        _, _, tests = promise.partition("\n  Tests: ")
        assert TESTS.search(tests), promise
        assert TESTS.sub("", tests).partition("\n\n")[0].strip(", .\n") == "", promise


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_exists(path, name):
    names = set(defined(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
    assert name in names
    assert name.rpartition("::")[2].startswith(("test_", "Test"))


def test_what_is_not_promised_is_said():
    assert NO_PROMISES.count("\n- ") > 3
