"""The page is parsed by lxml as a browser would, and held against the report that it was made of.

That a browser shows it, and filters, is tested in `tests/browser`.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from PIL import Image

from maskflow_convert import illustrate
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.cli import main
from maskflow_convert.illustrate import Illustration
from maskflow_convert.issues import Issue, Loss
from maskflow_convert.report import Report, Tally
from maskflow_convert.report_html import html_report
from maskflow_convert.validation import prepare_validation, validate_data_set
from nasty import QUOTED, SCRIPT, write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


@pytest.fixture(scope="module", name="nasty")
def nasty_fixture(tmp_path_factory):
    """The report on a nasty data set, its page and its illustrations."""
    data_set = prepare_validation(write_nasty_set(tmp_path_factory.mktemp("nasty")))
    report = validate_data_set(data_set)
    illustrations = illustrate.illustrate(data_set, report)
    return report, html_report(report, illustrations, "nasty <set>\u202e"), illustrations


def parsed(page: str) -> Any:
    return html.document_fromstring(page)


def texts(page: str, xpath: str) -> list[str]:
    return [" ".join(each.text_content().split()) for each in parsed(page).xpath(xpath)]


def rows(page: str, xpath: str) -> list[list[str]]:
    return [[cell.text_content() for cell in row.xpath("./th|./td")] for row in parsed(page).xpath(xpath)]


def report_of(*issues: Issue, **tally: Any) -> Report:
    report = Report(classes={"cell": 1})
    report.add("train", Tally(**tally), issues)
    return report


class TestContent:
    def test_every_kind_with_its_count(self, nasty):
        report, page, _ = nasty
        found = {
            article.get("id"): int(re.sub(r"\D", "", article.xpath(".//h3/*[@class='count']")[0].text_content()))
            for article in parsed(page).xpath("//article")
        }
        assert list(found.items()) == [(f"{rule.code}.{severity}", n) for rule, severity, n in report.worst_first]

    def test_every_kind_can_be_chosen(self, nasty):
        report, page, _ = nasty
        root = parsed(page)
        targets = [link.get("href").removeprefix("#") for link in root.xpath("//ul[@class='codes']//a")]
        assert targets == ["findings", *(article.get("id") for article in root.xpath("//article"))]
        assert [int(text) for text in texts(page, "//ul[@class='codes']//b")] == [n for *_, n in report.worst_first]

    def test_meaning_and_remedy(self, nasty):
        report, page, _ = nasty
        shown = texts(page, "//article")
        for (rule, _, _), text in zip(report.worst_first, shown, strict=True):
            assert rule.meaning.replace("`", "") in text
            assert rule.remedy.replace("`", "") in text

    def test_severities(self, nasty):
        report, page, _ = nasty
        errors, warnings, ignored = map(report.found, Severity)
        expected = ["all", f"errors {errors}", f"warnings {warnings}", f"ignored {ignored}"]
        assert texts(page, "//fieldset/label") == expected

    def test_summary(self, nasty):
        report, page, _ = nasty
        head, *body, foot = rows(page, "//table[@class='counts']//tr")
        assert head == ["split", "images", "dropped", "objects", "dropped"]
        total = report.total
        counts = total.images_written, total.images_dropped.total(), total.objects_written
        assert foot == ["all", *map(str, (*counts, total.objects_dropped.total()))]
        assert [row[0] for row in body] == list(report.splits)

    def test_classes(self, nasty):
        report, page, _ = nasty
        total = report.total.objects_by_class
        shown = [int(row[-1]) for row in rows(page, "//table[@class='bars']/tbody/tr")]
        assert shown == sorted((number for number in total.values() if number), reverse=True)
        assert texts(page, "//p[starts-with(., 'No object:')]") == ["No object: without an object"]

    def test_areas(self, nasty):
        report, page, _ = nasty
        titles = texts(page, "//svg[@class='histogram']//title")
        shown = {int(title.split()[3].replace(",", "")): int(title.split()[0]) for title in titles}
        counted: Counter[int] = Counter()
        for octaves in report.areas.values():
            counted.update({2**octave: number for octave, number in octaves.items()})
        assert {area: number for area, number in shown.items() if number} == counted
        assert counted.total() == report.total.objects_written

    def test_pictures(self, nasty):
        _, page, illustrations = nasty
        pictures = parsed(page).xpath("//img")
        assert len(pictures) == len([each for each in illustrations.values() if each.jpeg])
        for picture in pictures:
            kind, _, data = picture.get("src").partition(",")
            assert kind == "data:image/jpeg;base64"
            with Image.open(BytesIO(b64decode(data, validate=True))) as image:
                assert image.size == (int(picture.get("width")), int(picture.get("height")))
            assert picture.get("alt")

    def test_a_million_issues(self):
        issue = Issue("mask-empty", "has no pixel", record="a.png", object="7", loss=Loss.OBJECT)
        report = report_of(issue)
        report.count_unlisted(issue, 999_999)
        page = html_report(report, {}, "much")
        assert texts(page, "//article/p[starts-with(., 'and ')]") == ["and 999,999 more"]
        assert texts(page, "//article//*[@class='count']") == ["1,000,000 times"]
        assert len(page) < 30_000

    def test_many_classes(self):
        counts = Counter({f"class {number}": number + 1 for number in range(5000)})
        report = Report(classes=dict.fromkeys(counts, 1), splits={"train": Tally(objects_by_class=counts)})
        page = html_report(report, {}, "many")
        assert len(parsed(page).xpath("//table[@class='bars']/tbody/tr")) == 1000
        assert texts(page, "//details/p") == ["and 4,000 more"]

    def test_one_code_of_two_severities(self):
        severities = Severity.ERROR, Severity.WARNING
        issues = [Issue("mask-empty", f"as {severity}", severity) for severity in severities]
        page = html_report(report_of(*issues), {}, "")
        assert texts(page, "//article/ul/li") == ["as error", "as warning"]
        assert [each.get("id") for each in parsed(page).xpath("//article")] == [
            "mask-empty.error",
            "mask-empty.warning",
        ]

    def test_nothing_at_all(self):
        page = html_report(Report(), {}, "")
        assert texts(page, "//h1") == ["Nothing was found to be wrong in 0 objects of 0 images"]
        assert parsed(page).get_element_by_id("findings").get("hidden") is not None

    def test_every_rule_of_the_catalogue(self):
        page = html_report(report_of(*(Issue(code, "found") for code in CATALOGUE)), {}, "")
        assert len(parsed(page).xpath("//article")) == len(CATALOGUE)


class TestVerdict:
    @pytest.mark.parametrize(
        ("severities", "told"),
        [
            ("EEEWW", "3 errors and 2 warnings in 852 objects of 100 images"),
            ("E", "1 error in 852 objects of 100 images"),
            ("W", "1 warning in 852 objects of 100 images"),
            ("", "Nothing was found to be wrong in 852 objects of 100 images"),
        ],
    )
    def test_in_a_sentence(self, severities, told):
        kinds = {"E": Severity.ERROR, "W": Severity.WARNING}
        issues = [Issue("mask-empty", "found", kinds[each]) for each in severities]
        assert report_of(*issues, images_found=100, objects_found=852).verdict == told

    @pytest.mark.parametrize(("severity", "state"), [("error", "error"), ("warning", "warning"), (None, "fine")])
    def test_as_a_colour(self, severity, state):
        issues = [Issue("mask-empty", "found", Severity(severity))] if severity else []
        assert parsed(html_report(report_of(*issues), {}, "")).xpath("//header/@class") == [state]

    def test_what_to_fix_first(self):
        issues = [Issue(code, "found") for code in ("mask-empty", "image-missing", "rle-negative-run", "box-invalid")]
        page = html_report(report_of(*issues, Issue("rle-negative-run", "found")), {}, "")
        assert texts(page, "//header//li//a") == ["rle-negative-run", "box-invalid", "image-missing"]


class TestAnyText:
    def test_is_no_markup(self, nasty):
        _, page, _ = nasty
        root = parsed(page)
        assert len(root.xpath("//script")) == len(root.xpath("//style")) == 1
        assert not root.xpath("//b[text()='.png']|//set|//i")
        assert SCRIPT in texts(page, "//table[@class='bars']//bdi")
        assert any(QUOTED in text for text in texts(page, "//article"))

    def test_has_no_character_that_cannot_be_seen(self, nasty):
        _, page, _ = nasty
        assert page.isascii()
        whole = parsed(page).text_content()
        assert "\u202e" not in whole
        assert r"person\u202egpj.exe" in whole
        assert r"two\nlines" in whole
        assert "細胞" in whole

    @pytest.mark.parametrize(
        "text", ["<img src=x onerror=alert(1)>", "\"' onload='x", "caf\udce9", "$style ${policy}", "&lt;"]
    )
    def test_everywhere(self, text):
        issue = Issue("mask-empty", text, source=text, record=text, object=text, path=text, line=3)
        report = report_of(issue)
        report.classes[text] = 2
        report.splits[text] = Tally(objects_by_class=Counter({text: 1}))
        report.areas[text] = Counter({3: 1})
        report.areas["other"] = Counter({3: 1})
        illustration = Illustration(b"jpeg", 1, 1, text)
        root = parsed(html_report(report, {issue: illustration}, text))
        shown = text.encode("unicode_escape").decode("ascii") if "\udce9" in text else text
        assert [each.get("src")[:5] for each in root.xpath("//img")] == ["data:"]
        assert root.xpath("//img/@alt") == [f"Picture of {shown}: {shown}"]
        assert shown in root.xpath("//title")[0].text_content()
        assert all(not name.startswith("on") for each in root.iter() for name in each.attrib)
        labels = root.xpath("//ul[@class='multiples']//svg/@aria-label")
        assert any(label.startswith(f"{shown}: areas of 1 object") for label in labels)


class TestSelfContained:
    def test_loads_nothing(self, nasty):
        _, page, _ = nasty
        root = parsed(page)
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert all(value.startswith(("#", "data:")) for value in root.xpath(f"//@{name}"))
        outside = re.sub(r'src="data:[^"]*"', "", page)
        assert not re.search(r"https?:|url\(|@import|//[a-z]", outside.replace("// The filter", ""))

    def test_policy_names_the_script_and_the_style_that_are_there(self, nasty):
        _, page, _ = nasty
        root = parsed(page)
        [policy] = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert directives["img-src"] == "data:"
        for tag in ("script", "style"):
            [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
            digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
        assert not root.xpath("//@style")


class TestCommand:
    def test_to_a_file(self, tmp_path, capsys):
        path = tmp_path / "report.html"
        assert main(["validate", str(CONFIG), "--format", "html", "--output", str(path)]) == 0
        assert capsys.readouterr().out == ""
        page = path.read_text(encoding="ascii")
        assert texts(page, "//h1") == ["3 warnings in 41 objects of 12 images"]
        assert len(parsed(page).xpath("//img")) == 2

    def test_to_the_standard_output(self, capsys):
        assert main(["validate", str(CONFIG), "--format", "html", "--no-images", "--fail-on", "warning"]) == 1
        page = capsys.readouterr().out
        assert page.startswith("<!DOCTYPE html>")
        assert not parsed(page).xpath("//img")

    def test_of_records(self, tmp_path, capsys):
        assert main(["convert", str(CONFIG), "--output", str(tmp_path / "out")]) == 0
        capsys.readouterr()
        assert main(["validate", str(tmp_path / "out"), "--format", "html"]) == 0
        page = capsys.readouterr().out
        assert texts(page, "//h1") == ["Nothing was found to be wrong in 40 objects of 12 images"]
        titles = texts(page, "//svg[@class='histogram']//title")
        assert sum(int(title.split()[0]) for title in titles) == 40

    def test_the_same_every_time(self, tmp_path):
        pages = []
        for name in ("one.html", "two.html"):
            main(["validate", str(CONFIG), "--format", "html", "--output", str(tmp_path / name)])
            pages.append((tmp_path / name).read_bytes())
        assert pages[0] == pages[1]


def test_the_splits_are_added_up_as_often_however_many_kinds_there_are(monkeypatch):
    times = []
    total = Report.total.fget
    monkeypatch.setattr(Report, "total", property(lambda report: (times.append(1), total(report))[1]))

    def added_up(*codes: str) -> int:
        times.clear()
        html_report(report_of(*(Issue(code, "m") for code in codes)), {}, "many")
        return len(times)

    assert added_up(*CATALOGUE) == added_up("mask-empty") > 0
