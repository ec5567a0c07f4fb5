"""The site of the documentation, opened from a disk: it fetches nothing, fits a telephone, and can be searched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from shared_data import REPOSITORY

PAGES = ("index.html", "tutorial.html", "record.html", "reference/api.html", "checks/index.html", "how-to/convert.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may ask for files alone, and says nothing in its console."""
    faults: list[str] = []
    context = browser.new_context(viewport={"width": 390, "height": 900}, offline=True)
    page = context.new_page()
    page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else faults.append(request.url)
    )
    yield page
    context.close()
    assert not faults


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_without_a_network_and_fits_a_telephone(site: Path, page: Page, name: str):
    page.goto((site / name).as_uri())
    broken = page.evaluate("[...document.images].filter(each => !each.naturalWidth).map(each => each.src)")
    assert broken == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_search(site: Path, page: Page):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto((site / "index.html").as_uri())
    page.get_by_role("textbox", name="Search").press_sequentially("hourglass")  # the theme listens to keys
    page.locator(".md-search-result__item a").first.click()
    page.wait_for_url("**/checks/polygon-self-intersecting.html*")
    assert page.locator("h1").inner_text().startswith("polygon-self-intersecting")


def test_files_of_the_repository_come_along(site: Path, page: Page):
    page.goto((site / "performance.html").as_uri())
    page.get_by_role("link", name="by_hand.py").first.click()
    page.wait_for_url("**/repository/benchmarks/by_hand.py")
    assert "positive_indices" in page.locator("body").inner_text()
