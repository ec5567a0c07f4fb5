"""Plugins that break: each gives one clear error or issue that names it, and all other adapters go on working."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maskflow_convert import registry
from maskflow_convert.cli import main

PLUGIN = """
import sys
from pathlib import Path
from maskflow_convert import *
from core.plugins.scripted import png

class Bad(Adapter):
    def __init__(self, options):
        {init}
    def index(self):
        {index}
        return Index([Entry("a.png", "a.png"), Entry("b.png", "b.png")], ["thing"])
    def read(self, record):
        if record == "b.png":
            {read}
        box = Box(x0=0, y0=0, x1=2, y1=2)
        return Sample(key=record, image=Image(data=png()), instances=(Instance(label="thing", shape=box),))
    def where(self, record, instance):
        {where}
"""

NAMED = "adapter 'bad' of broken-plugin 1.5"


def plugin(**parts: str) -> str:
    return PLUGIN.format(**{"init": "pass", "index": "pass", "read": "pass", "where": "return None", **parts})


IMPORTS = {
    "a module is missing": ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named"),
    "is no Python": ("class Bad(:", "cannot be imported: SyntaxError: "),
    "raises": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    "ends the program": ("import sys; sys.exit('no licence')", "cannot be imported: SystemExit: no licence"),
    "the class is missing": ("", "cannot be imported: AttributeError: "),
    "another class": ("class Bad: ...", "is not a subclass of maskflow_convert.Adapter"),
}
INDEXES = {
    "cannot be made": ({"init": "raise ValueError('no')"}, "cannot be made: ValueError: no"),
    "ends the program when made": ({"init": "sys.exit(7)"}, "cannot be made: SystemExit: 7"),
    "raises": ({"index": "1 / 0"}, "failed to list its images: ZeroDivisionError: division by zero"),
    "ends the program": ({"index": "sys.exit()"}, "failed to list its images: SystemExit: "),
    "returns nothing": ({"index": "return None"}, "index() returned NoneType instead of an Index"),
    "returns a list": ({"index": "return ['a.png']"}, "index() returned list instead of an Index"),
    "entries are none": ({"index": "return Index(['a.png'], ['x'])"}, "index() lists 'a.png' instead of an Entry"),
    "no entries": ({"index": "return Index(None, ['x'])"}, "index() has entries that are not a list: None"),
    "entries once": ({"index": "return Index((e for e in ()), ['x'])"}, "index() has entries that are not a list: "),
    "one label": ({"index": "return Index([], 'cell')"}, "index() has labels that are not a list: 'cell'"),
    "labels without order": ({"index": "return Index([], {'a'})"}, "index() has labels that are not a list: {'a'}"),
    "issues are none": ({"index": "return Index([], [], ['bad'])"}, "index() lists 'bad' instead of an Issue"),
    "same keys": ({"index": "return Index([Entry('a', 1)] * 2, [])"}, "index() lists 'a' twice"),
}
READS = {
    "raises": ("1 / 0", "raised ZeroDivisionError: division by zero"),
    "ends the program": ("sys.exit('enough')", "raised SystemExit: enough"),
    "returns nothing": ("return None", "returned NoneType instead of a Sample"),
    "returns a dict": ("return {'key': record}", "returned dict instead of a Sample"),
    "makes no sample": ("return Sample(key=record)", "raised ValidationError: "),
    "an issue of no catalogue": (
        "return Sample(key=record, image=Image(data=png()), issues=(Issue('oops', 'x'),))",
        "listed issues that are not in the catalogue: oops",
    ),
    "a doubt of no catalogue": (
        "return Sample(key=record, image=Image(data=png()), doubts=(Issue('oops', 'x'),))",
        "listed issues that are not in the catalogue: oops",
    ),
}
WHERES = ["1 / 0", "sys.exit()", "return 3", "return Path('x'), 'first'"]


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Install a distribution with one module, as pip leaves it: `offer(distribution, {name: value}, code)`."""
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(distribution: str, points: dict[str, str], code: str) -> Path:
        module = f"{distribution.replace('-', '_')}_module"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (site / f"{module}.py").write_text(code)
        info = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        lines = [f"{name} = {module}:{value}\n" for name, value in points.items()]
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{''.join(lines)}")
        return info

    forget()
    yield install
    forget()
    sys.modules.pop("broken_plugin_module", None)


def forget() -> None:
    registry.load.cache_clear()
    registry.describe.cache_clear()


@pytest.fixture
def run(tmp_path, capsys) -> Callable[..., tuple[int, str, list[str]]]:
    """Convert some sources: the exit code, what was printed, and the lines on the standard error."""

    def run(*sources: str, on_error: str = "stop", more: str = "") -> tuple[int, str, list[str]]:
        listed = "".join(f"  - {source}\n" for source in sources)
        settings = f"sources:\n{listed}on_error: {on_error}\nobjects: {{boxes: rectangle}}\n{more}"
        (tmp_path / "c.yaml").write_text(settings)
        code = main(["convert", str(tmp_path / "c.yaml"), "--output", str(tmp_path / "out"), "--overwrite"])
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run


SHAPES = "{adapter: shapes, count: 2}"
BAD = "{adapter: bad}"


class TestImport:
    @pytest.mark.parametrize(("code", "told"), IMPORTS.values(), ids=IMPORTS)
    def test_one_error_and_no_other_adapter_is_hurt(self, offer, run, code, told):
        offer("broken-plugin", {"bad": "Bad"}, code)
        found, out, [line] = run(SHAPES, BAD)
        assert (found, out) == (3, "")
        assert line.startswith(f"maskflow-convert: {NAMED} {told}")
        assert run(SHAPES)[0] == 0

    @pytest.mark.parametrize(("code", "told"), IMPORTS.values(), ids=IMPORTS)
    def test_lists_go_on(self, offer, capsys, code, told):
        offer("broken-plugin", {"bad": "Bad"}, code)
        assert main(["adapters", "list"]) == 0
        out, err = capsys.readouterr()
        rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
        assert rows["bad"].split() == ["bad", "broken-plugin", "1.5", "broken_plugin_module:Bad", "(broken)"]
        assert f"{NAMED} {told}" in " ".join(out.split())
        assert rows["coco"].split()[-1] == "maskflow_adapters.coco:CocoAdapter"
        assert err == ""
        assert main(["adapters", "show", "bad"]) == 3
        assert capsys.readouterr().err.startswith(f"maskflow-convert: {NAMED} {told}")
        assert main(["adapters", "show", "coco"]) == 0


class TestName:
    def test_one_that_is_taken(self, offer, run, capsys):
        offer("broken-plugin", {"shapes": "Bad", "bad": "Bad"}, plugin())
        found, out, [line] = run(SHAPES)
        assert (found, out) == (3, "")
        assert "adapter 'shapes' is offered by broken-plugin 1.5 and maskflow-convert " in line
        assert "uninstall one, or name the class: " in line
        assert run("{adapter: 'maskflow_adapters.shapes:ShapesAdapter', count: 2}")[0] == 0
        assert run(BAD)[0] == 0
        assert main(["adapters", "list"]) == 0
        rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if "offered twice" in line]
        assert rows == [["shapes", "broken-plugin"], ["shapes", "maskflow-convert"]]

    def test_metadata_that_an_uninstallation_left_behind(self, offer, run, capsys):
        info = offer("broken-plugin", {"bad": "Bad", "shapes2": "Bad"}, plugin())
        (info / "METADATA").unlink()
        assert run(SHAPES)[0] == 0
        assert run(BAD)[0] == 0
        assert main(["adapters", "list"]) == 0
        [row] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bad ")]
        assert "an unknown distribution" in row


class TestIndex:
    @pytest.mark.parametrize(("parts", "told"), INDEXES.values(), ids=INDEXES)
    def test_one_error(self, offer, run, parts, told):
        offer("broken-plugin", {"bad": "Bad"}, plugin(**parts))
        found, out, [line] = run(SHAPES, BAD)
        assert (found, out) == (3, "")
        assert line.startswith(f"maskflow-convert: sources[1]: {NAMED}")
        assert told in line

    def test_what_the_system_says_of_a_source_is_no_fault_of_the_adapter(self, offer, run):
        offer("broken-plugin", {"bad": "Bad"}, plugin(index="open('/no/such/file')"))
        assert run(BAD) == (
            4,
            "",
            [f"maskflow-convert: /no/such/file: sources[0]: {NAMED} cannot read it: No such file or directory"],
        )

    def test_of_a_file(self, run, tmp_path):
        (tmp_path / "mine.py").write_text(plugin(index="sys.exit()"))
        found, _, [line] = run("{adapter: './mine.py:Bad'}")
        assert found == 3
        assert line.startswith(
            f"maskflow-convert: sources[0]: adapter {tmp_path}/mine.py:Bad failed to list its images"
        )


class TestRead:
    def issues(self, tmp_path: Path) -> list[list[str]]:
        rows = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text().splitlines()]
        return [[row["code"], row["source"], row["record"], row["message"]] for row in rows]

    @pytest.mark.parametrize(
        ("read", "told", "executor"),
        [*((*row, "serial") for row in READS.values()), (*READS["ends the program"], "processes")],
    )
    def test_one_issue(self, offer, run, tmp_path, read, told, executor):
        offer("broken-plugin", {"bad": "Bad"}, plugin(read=read))
        more = f"run: {{executor: {executor}, workers: 2}}\noutput: {{shard_size: 1 images}}\n"
        found, _, err = run(SHAPES, BAD, on_error="skip-object", more=more)
        assert (found, err) == (0, [])
        [[*named, message]] = self.issues(tmp_path)
        assert named == ["adapter-failed", "sources[1] (bad)", "b.png"]
        assert message.startswith(f"sources[1]: {NAMED} {told}")
        counts = json.loads((tmp_path / "out/dataset.json").read_text())["splits"]["train"]
        assert (counts["images_written"], counts["images_dropped"]) == (3, {"adapter-failed": 1})

    @pytest.mark.parametrize(("read", "told"), READS.values(), ids=READS)
    def test_stops_if_the_run_is_to_stop(self, offer, run, read, told):
        offer("broken-plugin", {"bad": "Bad"}, plugin(read=read))
        found, _, err = run(SHAPES, BAD)
        assert found == 1
        assert err[0].startswith(f"maskflow-convert: error: image b.png: sources[1]: {NAMED} {told}")
        assert err[-1].startswith("  Report it to the adapter's author")

    @pytest.mark.parametrize("where", WHERES)
    def test_an_issue_without_its_line_is_better_than_none(self, offer, run, tmp_path, where):
        offer("broken-plugin", {"bad": "Bad"}, plugin(where=where))
        found, _, err = run(BAD, more="issues: {object-box-only: warning}\nclasses: {names: [x], unknown: skip}\n")
        assert (found, err) == (0, [])
        rows = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text().splitlines()]
        assert [[row["code"], row["path"], row["line"]] for row in rows] == 2 * [["class-unknown", None, None]]
