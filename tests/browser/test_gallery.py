"""The gallery of previews in a browser: whole without a network, silent, its filter and its keys at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from maskflow_convert.cli import main
from nasty import SCRIPT, write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


@pytest.fixture(scope="session", name="galleries")
def galleries_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("galleries")
    (folder / "set").mkdir()
    for name, subject in {"coco": CONFIG, "nasty": write_nasty_set(folder / "set")}.items():
        assert main(["preview", str(subject), "--output", str(folder / name)]) == 0
    return folder


@pytest.fixture
def coco(galleries, opened):
    return opened(galleries / "coco" / "index.html")


def shown(page: Page) -> list[str]:
    return page.locator(".tiles .tile:visible .names").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["coco", "nasty"])
def test_opens_without_a_fault(galleries, opened, name, width, scheme):
    page = opened(galleries / name / "index.html", width=width, scheme=scheme)
    assert page.evaluate("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


class TestFilter:
    def test_by_class(self, galleries, opened):
        page = opened(galleries / "nasty" / "index.html")
        page.get_by_label("class").select_option(SCRIPT)
        assert shown(page) == ["wide.png"]

    def test_by_split(self, coco):
        everything = shown(coco)
        coco.get_by_label("split").select_option("val")
        assert 0 < len(shown(coco)) < len(everything) == 12
        assert coco.get_by_role("status").inner_text() == f"{len(shown(coco))} of 12 images"

    def test_by_number_of_objects(self, coco):
        coco.get_by_label("to", exact=True).fill("0")
        assert shown(coco) == ["empty-108.png"]
        coco.get_by_label("to", exact=True).fill("")
        coco.get_by_label("objects from").fill("1000")
        assert shown(coco) == []
        assert coco.get_by_text("Nothing matches.").is_visible()

    @pytest.mark.parametrize("fragment", ["#class=circle&from=4", "#class=nonsense&split=x&to=y"])
    def test_address(self, galleries, opened, fragment):
        page = opened(galleries / "coco" / "index.html", fragment=fragment)
        assert len(shown(page)) < 12


class TestButtons:
    def test_go_through_the_images(self, coco):
        names = shown(coco)
        large = coco.locator("dialog .names")
        coco.locator(".tiles button").first.click()
        expect(coco.get_by_role("button", name="Close")).to_be_focused()
        coco.get_by_role("button", name="Next").click()
        expect(large).to_have_text(names[1])
        coco.get_by_role("button", name="Previous").click()
        expect(large).to_have_text(names[0])
        coco.get_by_role("button", name="Close").click()
        expect(large).not_to_be_visible()


class TestKeys:
    def test_go_through_the_images(self, coco):
        names = shown(coco)
        large = coco.locator("dialog .names")
        coco.keyboard.press("ArrowRight")
        coco.keyboard.press("Enter")
        expect(large).to_have_text(names[0])
        coco.keyboard.press("ArrowRight")
        expect(large).to_have_text(names[1])
        coco.keyboard.press("ArrowLeft")
        coco.keyboard.press("ArrowLeft")
        expect(large).to_have_text(names[0])
        coco.keyboard.press("Escape")
        expect(large).not_to_be_visible()
        assert coco.evaluate("document.activeElement.closest('.tile') === document.querySelector('.tile')")

    def test_masks(self, coco):
        masks = coco.locator(".tiles .drawn").first
        expect(masks).to_be_visible()
        coco.keyboard.press("m")
        expect(masks).not_to_be_visible()
        coco.get_by_label("masks").check()
        expect(masks).to_be_visible()
