"""The pictures show what the product makes today."""

from __future__ import annotations

import importlib
import re
from html import unescape
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from shared_data import REPOSITORY

DOCS = REPOSITORY / "docs"


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that draws a picture."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module(request.param)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", [f"make_{name}"], indirect=True, ids=[name])


@of("overlay")
def test_the_overlay(script: ModuleType):
    """Another version of Pillow may draw letters a little otherwise."""
    shown = np.asarray(Image.open(script.PICTURE).convert("RGB"), dtype=int)
    drawn = script.picture().astype(int)
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 1


@of("terminal")
def test_the_terminal(script: ModuleType):
    """What is printed; how a terminal is drawn is for rich to say."""
    text = script.PICTURE.read_text(encoding="utf-8")
    [told] = re.findall(r"<desc>(.*?)</desc>", text, re.DOTALL)
    assert unescape(told) == script.shown(script.printed()).plain
    seen = unescape("".join(re.findall(r"<text [^>]*>([^<]*)</text>", text))).replace("\N{NO-BREAK SPACE}", "")
    assert "".join(unescape(told).split()) in "".join(seen.split())
    assert "http" not in re.sub(r'xmlns="[^"]+"|<!--.*?-->', "", text)


@of("axes")
def test_the_axes(script: ModuleType):
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture()


def test_the_numbers_in_the_picture_of_the_axes():
    """By hand: pixels (x, y) = (1, 0), (1, 1), (2, 1), (3, 1) of 5 x 3, sorted by x then y, and by row then column."""
    text = (DOCS / "axes.svg").read_text(encoding="utf-8")
    assert re.findall(r">masks_indices ([^<]+)<", text) == ["0 1 0  0 1 1  0 2 1  0 3 1", "0 0 1  0 1 1  0 1 2  0 1 3"]
    assert re.findall(r">width (\d) +height (\d)<", text) == [("5", "3"), ("3", "5")]


def test_pages_show_pictures_that_are_there():
    for page in [REPOSITORY / "README.md", *DOCS.rglob("*.md")]:
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert Path(page.parent, picture).is_file(), f"{page}: {picture}"
