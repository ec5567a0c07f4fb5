"""A headless Chromium: the one that `MASKFLOW_CHROMIUM` names, or Debian's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("MASKFLOW_CHROMIUM", "/usr/bin/chromium")


@dataclass
class Opened:
    """A page, and what it did that it may not: messages in the console, exceptions, requests."""

    page: Page
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """Opens a file; at the end of the test nothing may be held against any page."""
    opened: list[Opened] = []

    def open_file(path: Path, *, width: int = 1280, scheme: str = "light", fragment: str = "") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        each = Opened(context.new_page())
        each.page.on("console", lambda message: each.faults.append(f"{message.type}: {message.text}"))
        each.page.on("pageerror", lambda error: each.faults.append(f"exception: {error}"))
        each.page.on("dialog", lambda dialog: each.faults.append(f"dialog: {dialog.message}"))
        each.page.on("request", lambda request: each.faults.append(f"request: {request.url[:200]}"))
        each.page.goto(path.as_uri() + fragment, wait_until="load")
        opened.append(each)
        return each.page

    yield open_file
    for each in opened:
        requests = [fault for fault in each.faults if fault.startswith("request: ")]
        assert requests[0].startswith("request: file://")
        others = [fault for fault in each.faults if not fault.startswith(("request: data:", requests[0]))]
        each.page.context.close()
        assert not others


@pytest.fixture(scope="session")
def unreadable() -> Callable[[Page], list[Any]]:
    """The texts of a page whose contrast with what is behind them is less than that of WCAG 2.2, level AA."""
    return lambda page: page.evaluate(CONTRASTS)


CONTRASTS = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(colour).map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !each.checkVisibility() || each.closest("script, title")) continue;
    const style = getComputedStyle(each);
    const ink = each.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(ink), light(ground(each))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push([each.textContent, ink, ground(each)]);
  }
  return bad;
}"""
