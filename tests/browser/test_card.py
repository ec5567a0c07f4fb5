"""The card of a data set in a browser: whole without a network, silent, on a phone, in the dark, and by keyboard."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from maskflow_convert.cli import main
from nasty import write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


@pytest.fixture(scope="session", name="cards")
def cards_fixture(tmp_path_factory):
    """The cards of the repository's own data set, of a nasty one, and of one without a single image."""
    folder = tmp_path_factory.mktemp("cards")
    (folder / "set").mkdir()
    empty = folder / "empty.yaml"
    empty.write_text("sources: [{adapter: shapes, count: 1}]\nobjects: {crowd: skip}\n")
    subjects = {"coco": CONFIG, "nasty": write_nasty_set(folder / "set"), "empty": empty}
    for name, subject in subjects.items():
        overrides = ["--set", "on_error=skip-object"]
        if name == "empty":
            overrides += ["--set", "classes.names=[nothing]", "--set", "classes.unknown=skip"]
        assert main(["convert", str(subject), "--output", str(folder / name), *overrides]) == 0
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["coco", "nasty", "empty"])
class TestEveryCard:
    def test_opens_without_a_fault(self, cards, opened, name, width, scheme):
        page = opened(cards / name / "index.html", width=width, scheme=scheme)
        assert page.evaluate("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_text_can_be_read(self, cards, opened, unreadable, name, width, scheme):
        page = opened(cards / name / "index.html", width=width, scheme=scheme)
        page.get_by_text("With TensorFlow alone").click()
        assert unreadable(page) == []


class TestCode:
    def test_can_be_copied_as_it_stands(self, cards, opened):
        page = opened(cards / "coco" / "index.html")
        readme = (cards / "coco" / "README.md").read_text(encoding="utf-8")
        codes = page.locator("pre code").all_text_contents()
        assert len(codes) == readme.count("```python") == 2
        for code in codes:
            assert f"```python\n{code}```" in readme

    def test_is_unfolded_and_scrolled_by_keyboard(self, cards, opened):
        page = opened(cards / "coco" / "index.html", width=390)
        plain = page.get_by_label("With TensorFlow alone", exact=True)
        expect(plain).not_to_be_visible()
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        expect(plain).to_be_visible()
        page.keyboard.press("Tab")
        expect(plain).to_be_focused()
        page.keyboard.press("ArrowRight")
        limit = time.monotonic() + 5
        while not page.evaluate("document.activeElement.scrollLeft") and time.monotonic() < limit:
            page.wait_for_timeout(20)
        assert page.evaluate("document.activeElement.scrollLeft") > 0


def test_script_of_a_stranger_does_not_run(browser, cards, tmp_path):
    """Were something not escaped, the policy would still stop it."""
    text = (cards / "nasty" / "index.html").read_text(encoding="ascii")
    (tmp_path / "tampered.html").write_text(
        text.replace("</h1>", "</h1><script>document.title = 'taken'</script>"), encoding="ascii"
    )
    page = browser.new_page()
    page.goto((tmp_path / "tampered.html").as_uri())
    assert page.title() != "taken"
    page.close()
