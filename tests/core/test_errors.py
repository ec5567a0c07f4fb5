"""The tree of errors is the one that is drawn, and all of it crosses a process boundary."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

from maskflow_convert import errors
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.errors import (
    ConfigError,
    DataError,
    ImageError,
    IssueError,
    MaskflowError,
    OutputError,
    PluginError,
    RecordError,
    ShapeError,
    SourceError,
)
from maskflow_convert.issues import Issue

TEXTS = {
    "base": (MaskflowError("a"), "a"),
    "issue": (
        IssueError(Issue("mask-empty", "no pixel", Severity.ERROR, record="a.png", object="3", path="x.json", line=7)),
        "error: x.json:7: image a.png, object 3: no pixel [mask-empty]\n  " + CATALOGUE["mask-empty"].remedy,
    ),
    "config": (ConfigError("a", "b"), "a\nb"),
    "plugin": (PluginError("a"), "a"),
    "source": (SourceError("gone", Path("a/b.json"), 3), "a/b.json:3: gone"),
    "source without line": (SourceError("gone", "a.json"), "a.json: gone"),
    "source without path": (SourceError("gone"), "gone"),
    "output": (OutputError("full"), "full"),
    "data": (DataError("mask-empty", "no pixel", "a.json", 3), "a.json:3: no pixel [mask-empty]"),
    "record": (RecordError("no frame", "a.xml"), "a.xml: no frame [record-broken]"),
    "record of a code": (RecordError("broke", "a", 2, "adapter-failed"), "a:2: broke [adapter-failed]"),
    "record by name": (RecordError("broke", code="adapter-failed"), "broke [adapter-failed]"),
    "image": (ImageError("image-missing", "gone", Path("a.png")), "a.png: gone [image-missing]"),
    "shape": (ShapeError("box-invalid", "nan"), "nan [box-invalid]"),
}


def classes() -> dict[str, type[MaskflowError]]:
    found = inspect.getmembers(errors, lambda each: inspect.isclass(each) and issubclass(each, MaskflowError))
    return dict(found)


@pytest.mark.parametrize(("error", "text"), TEXTS.values(), ids=TEXTS)
class TestEach:
    def test_text(self, error, text):
        assert str(error) == text

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles(self, error, text, protocol):
        again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (text, error.args, vars(error))

    def test_copies(self, error, text):
        assert str(copy.copy(error)) == text


def test_every_class_is_in_the_table():
    assert {type(error) for error, _ in TEXTS.values()} == set(classes().values())


def test_the_drawn_tree():
    drawn: dict[str, tuple[str | None, int | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*)([├└]── )?(\w+Error)(?: +exit (\d))?", line):
            depth = len(match[1]) // 4 + bool(match[2])
            above[depth:] = [match[3]]
            drawn[match[3]] = (above[depth - 1] if depth else None, int(match[4]) if match[4] else None)
    found = {
        name: (
            None if each is MaskflowError else each.__base__.__name__,
            each.exit_code if "exit_code" in vars(each) and each is not MaskflowError else None,
        )
        for name, each in classes().items()
    }
    assert len(drawn) > 8
    assert drawn == found


@pytest.mark.parametrize(
    ("error", "code"), [(IssueError, 1), (ConfigError, 2), (PluginError, 3), (SourceError, 4), (OutputError, 5)]
)
def test_exit_codes(error, code):
    assert error.exit_code == code


def test_record_error_needs_a_message_only():
    assert RecordError("x").code in CATALOGUE
