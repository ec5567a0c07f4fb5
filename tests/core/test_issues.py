"""The catalogue against the sources that use it; issues, tallies, reports as values."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskflow_adapters
import maskflow_convert
from maskflow_convert import Issue, Loss, Report, Severity
from maskflow_convert import catalogue as catalogue_module
from maskflow_convert.catalogue import CATALOGUE, Rule
from maskflow_convert.errors import RecordError
from maskflow_convert.report import Tally

KEBAB = re.compile(r"[a-z]+(-[a-z]+)+")
SOURCES = [
    path
    for package in (maskflow_convert, maskflow_adapters)
    for path in sorted(Path(package.__file__).parent.rglob("*.py"))
]
TAKES_A_CODE = {"Issue", "DataError", "ImageError", "ShapeError", "issue_at", "_list"}


def codes_said(tree: ast.AST) -> set[str]:
    """Codes that stand where a code must: the first argument of what takes one, or `code=`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = [*node.args[:1]] if name in TAKES_A_CODE else []
            at += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            found |= {each.value for each in at if isinstance(each, ast.Constant)}
    return found


class TestCatalogue:
    @pytest.mark.parametrize("code", CATALOGUE)
    def test_rule(self, code):
        rule = CATALOGUE[code]
        assert KEBAB.fullmatch(code)
        assert rule.code == code
        assert rule.meaning.endswith(".")
        assert rule.remedy.endswith(".")
        assert isinstance(rule.severity, Severity)

    def test_codes_are_unique(self):
        """A mapping hides a code that is there twice; the source does not."""
        tree = ast.parse(Path(catalogue_module.__file__).read_text(encoding="utf-8"))
        codes = [
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == Rule.__name__
        ]
        assert codes == list(CATALOGUE)

    @pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
    def test_every_code_used_is_known(self, path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert codes_said(tree) <= CATALOGUE.keys()

    def test_codes_are_found_at_all(self):
        said = set().union(*(codes_said(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES))
        assert len(said) > 30

    def test_the_code_of_a_broken_record(self):
        assert RecordError("x").code == "record-broken"


ISSUES = st.builds(
    Issue,
    code=st.sampled_from(sorted(CATALOGUE)),
    message=st.text(),
    severity=st.none() | st.sampled_from(Severity),
    source=st.none() | st.text(),
    record=st.none() | st.text(),
    object=st.none() | st.text(),
    path=st.none() | st.text(),
    line=st.none() | st.integers(1, 10**9),
    loss=st.none() | st.sampled_from(Loss),
)


class TestIssue:
    @pytest.mark.parametrize(
        ("issue", "text"),
        [
            (Issue("mask-empty", "no pixel"), "warning: no pixel [mask-empty]"),
            (Issue("mask-empty", "no pixel", Severity.ERROR), "error: no pixel [mask-empty]"),
            (Issue("mask-empty", "m", record="a.png"), "warning: image a.png: m [mask-empty]"),
            (Issue("mask-empty", "m", object="3"), "warning: object 3: m [mask-empty]"),
            (
                Issue("mask-empty", "m", record="a.png", object="3", path="x.json", line=7, source="s"),
                "warning: x.json:7: image a.png, object 3: m [mask-empty]",
            ),
            (Issue("mask-empty", "m", path="x.json"), "warning: x.json: m [mask-empty]"),
            (Issue("rle-zero-run", "m", fixed=True), "warning: m [rle-zero-run, fixed]"),
        ],
    )
    def test_text(self, issue, text):
        assert str(issue) == text

    @given(ISSUES)
    def test_fields(self, issue):
        names = ["code", "message", "severity", "source", "record", "object", "path", "line", "loss", "fixed"]
        assert issue.to_dict() == {name: getattr(issue, name) for name in names}
        assert Issue(**issue.to_dict()) == issue

    def test_within_fills_gaps_only(self):
        bare, full = Issue("mask-empty", "m"), Issue("mask-empty", "m", source="a", record="b", object="c")
        assert bare.within(source="a", record="b", name="c") == full
        assert full.within(source="x", record="y", name="z") == full
        assert full.within() == full

    def test_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            Issue("mask-empty", "m").code = "x"


class TestTally:
    @pytest.mark.parametrize(
        ("loss", "found", "images", "objects"),
        [
            (None, (0, 0), {}, {}),
            (Loss.IMAGE, (1, 0), {"mask-empty": 1}, {}),
            (Loss.OBJECT, (0, 1), {}, {"mask-empty": 1}),
        ],
    )
    def test_lose(self, loss, found, images, objects):
        tally = Tally()
        tally.lose(Issue("mask-empty", "m", loss=loss))
        assert (tally.images_found, tally.objects_found) == found
        assert (tally.images_dropped, tally.objects_dropped) == (images, objects)
        assert tally.adds_up

    @pytest.mark.parametrize(
        ("fields", "adds_up"),
        [
            ({"images_found": 2, "images_written": 2}, True),
            ({"images_found": 2, "images_written": 1, "images_dropped": Counter(a=1)}, True),
            ({"images_found": 2, "images_written": 1}, False),
            ({"images_written": 1}, False),
            ({"objects_found": 3, "objects_written": 1, "objects_dropped": Counter(a=1, b=1)}, True),
            ({"objects_found": 3, "objects_written": 1, "objects_dropped": Counter(a=1)}, False),
        ],
    )
    def test_adds_up(self, fields, adds_up):
        assert Tally(**fields).adds_up is adds_up

    def test_add(self):
        one = Tally(1, 2, 3, 4, Counter(a=1), Counter(b=2), Counter(c=3), 5)
        other = Tally(10, 20, 30, 40, Counter(a=10, x=1), Counter(b=20), Counter(c=30), 50)
        before = other.to_dict()
        one.add(other)
        assert one == Tally(11, 22, 33, 44, Counter(a=11, x=1), Counter(b=22), Counter(c=33), 55)
        assert other.to_dict() == before

    def test_add_costs_what_is_added(self):
        """Of 10,000 classes a shard has a few, and there may be 100,000 shards: what all have is not gone through."""
        found = Tally(objects_by_class=Untouched({f"class {n}": 1 for n in range(10_000)}))
        for _ in range(3):
            found.add(Tally(objects_by_class=Counter({"class 7": 2, "new": 1})))
        assert found.objects_by_class["class 7"] == 7
        assert found.objects_by_class["new"] == 3

    def test_add_enters_nothing_that_there_is_none_of(self):
        found = Tally()
        found.add(Tally(images_dropped=Counter({"shard-truncated": 0, "shard-missing": 1})))
        assert found.to_dict()["images_dropped"] == {"shard-missing": 1}


class Untouched(Counter[str]):
    """Counts that nobody goes through."""

    def __iter__(self):
        raise AssertionError

    items = keys = values = __iter__


class TestReport:
    @given(st.lists(ISSUES))
    def test_counts_are_exact_and_examples_few(self, listed):
        report = Report()
        report.list_issues(listed[::2])
        report.list_issues(listed[1::2])
        severities = [(issue.code, issue.severity or CATALOGUE[issue.code].severity) for issue in listed]
        assert report.counts == Counter(severities)
        for code, kept in report.examples.items():
            own = [issue for issue in [*listed[::2], *listed[1::2]] if issue.code == code]
            assert kept == own[: Report.EXAMPLES]

    def test_keeps_the_first_five(self):
        report = Report()
        report.list_issues(Issue("mask-empty", str(n)) for n in range(7))
        assert report.flatten(["message"]) == [["0"], ["1"], ["2"], ["3"], ["4"]]
        assert report.counts.total() == 7

    def test_splits_and_total(self):
        report = Report()
        report.add("train", Tally(images_found=2, images_written=2), [])
        report.add("val", Tally(images_found=5, images_written=5), [])
        report.add("train", Tally(images_found=1, images_written=1), [Issue("mask-empty", "m")])
        report.unplaced.lose(Issue("annotation-orphaned", "m", loss=Loss.OBJECT))
        assert {name: tally.images_written for name, tally in report.splits.items()} == {"train": 3, "val": 5}
        assert (report.total.images_written, report.total.objects_found) == (8, 1)
        assert report.total.adds_up

    def test_flatten(self):
        report = Report()
        report.list_issues([Issue("mask-empty", "m", record="a"), Issue("object-crowd", "n", record="b")])
        assert report.flatten(["record", "code"]) == [["a", "mask-empty"], ["b", "object-crowd"]]

    def test_areas(self):
        report, other = (Report(areas={"cell": Counter({octave: 2, 10: 1})}) for octave in (3, 0))
        report.merge(other)
        report.merge(Report(areas={"nucleus": Counter({5: 1})}))
        areas = report.to_dict()["areas"]
        assert areas == {"cell": {"1": 2, "8": 2, "1024": 2}, "nucleus": {"32": 1}}
        assert [*areas["cell"]] == ["1", "8", "1024"]
