"""The HTML report in a browser: whole without a network, silent, its filter at work, on a phone and in the dark.

`.ci/browser` runs this; it is not among the default tests, so that these need no browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from maskflow_convert.cli import main
from nasty import write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


def shown(page: Page, count: int | None = None) -> list[str]:
    """The kinds of issues that are shown, as soon as there are so many."""
    articles = page.locator("article:visible")
    if count is not None:
        expect(articles).to_have_count(count)
    return articles.evaluate_all("(articles) => articles.map((each) => each.id)")


def address(page: Page) -> str:
    """What the page has written behind its address; playwright's own `url` lags behind."""
    return str(page.evaluate("location.hash"))


def kind(page: Page, code: str) -> Locator:
    return page.get_by_role("navigation").get_by_role("link", name=code)


@pytest.fixture(scope="session", name="reports")
def reports_fixture(tmp_path_factory):
    """The reports on the repository's own data set, on a nasty one, and on written records."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "nasty").mkdir()
    assert main(["convert", str(CONFIG), "--output", str(folder / "records")]) == 0
    subjects = {"coco": CONFIG, "nasty": write_nasty_set(folder / "nasty"), "records": folder / "records"}
    for name, subject in subjects.items():
        command = ["validate", str(subject), "--format", "html", "--output", str(folder / f"{name}.html")]
        assert main([*command, "--fail-on", "never"]) == 0
    return folder


@pytest.fixture
def nasty(reports, opened):
    return opened(reports / "nasty.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["coco", "nasty", "records"])
class TestEveryReport:
    def test_opens_without_a_fault(self, reports, opened, name, width, scheme):
        page = opened(reports / f"{name}.html", width=width, scheme=scheme)
        assert page.evaluate("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_text_can_be_read(self, reports, opened, unreadable, name, width, scheme):
        assert unreadable(opened(reports / f"{name}.html", width=width, scheme=scheme)) == []


class TestFilter:
    def test_by_kind(self, nasty):
        everything = shown(nasty)
        assert len(everything) > 10
        kind(nasty, "image-missing").click()
        assert shown(nasty, 1) == ["image-missing.error"]
        assert nasty.get_by_role("status").inner_text() == f"1 of {len(everything)} kinds shown"
        assert address(nasty) == "#image-missing.error"
        nasty.get_by_role("link", name="all kinds").click()
        assert shown(nasty, len(everything)) == everything

    def test_back(self, nasty):
        everything = shown(nasty)
        kind(nasty, "image-missing").click()
        kind(nasty, "mask-empty").click()
        expect(nasty.locator("article:visible code").first).to_have_text("mask-empty")
        nasty.go_back()
        expect(nasty.locator("article:visible code").first).to_have_text("image-missing")
        nasty.go_back()
        assert shown(nasty, len(everything)) == everything

    def test_from_what_to_fix_first(self, nasty):
        link = nasty.locator("header li a").first
        code = link.inner_text()
        link.click()
        assert shown(nasty, 1) == [f"{code}.error"]

    def test_by_severity(self, nasty):
        nasty.get_by_label("warnings").check()
        assert {each.rpartition(".")[2] for each in shown(nasty)} == {"warning"}
        assert address(nasty) == "#severity=warning"
        assert not kind(nasty, "image-missing").is_visible()

    def test_by_words(self, nasty):
        nasty.get_by_role("searchbox").fill("COPY image not exist")
        assert shown(nasty) == ["image-missing.error"]
        nasty.get_by_role("searchbox").fill("nothing has this in it")
        assert shown(nasty) == []
        assert nasty.get_by_text("Nothing matches.").is_visible()

    def test_is_kept_in_the_address(self, nasty, opened, reports):
        nasty.get_by_label("errors").check()
        nasty.get_by_role("searchbox").fill("image")
        fragment = address(nasty)
        again = opened(reports / "nasty.html", fragment=fragment)
        assert shown(again) == shown(nasty) != []
        assert again.get_by_role("searchbox").input_value() == "image"
        assert again.get_by_label("errors").is_checked()

    @pytest.mark.parametrize("fragment", ["#nonsense", "#severity=x&find=%", "#findings", "#find=%E7%B4"])
    def test_any_address(self, opened, reports, fragment):
        opened(reports / "nasty.html", fragment=fragment)

    def test_by_keyboard(self, nasty):
        everything = shown(nasty)
        nasty.keyboard.press("/")
        nasty.keyboard.type("copy the file")
        assert shown(nasty) == ["image-missing.error"]
        nasty.keyboard.press("Escape")
        assert shown(nasty) == everything
        nasty.keyboard.press("Tab")
        nasty.keyboard.press("ArrowRight")
        assert {each.rpartition(".")[2] for each in shown(nasty)} == {"error"}
        nasty.keyboard.press("Tab")
        nasty.keyboard.press("Tab")
        nasty.keyboard.press("Enter")
        shown(nasty, 1)


class TestWithoutScript:
    def test_everything_is_shown(self, browser, reports):
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto((reports / "nasty.html").as_uri())
        assert page.locator("article").count() == page.locator("article:visible").count() > 10
        assert not page.get_by_role("searchbox").is_visible()
        context.close()

    def test_script_of_a_stranger_does_not_run(self, browser, reports, tmp_path):
        """Were something not escaped, the policy would still stop it."""
        page_text = (reports / "nasty.html").read_text(encoding="ascii")
        path = tmp_path / "tampered.html"
        path.write_text(page_text.replace("</h1>", "</h1><script>document.title = 'taken'</script>"), encoding="ascii")
        page = browser.new_page()
        page.goto(path.as_uri())
        assert page.title() != "taken"
        page.close()
