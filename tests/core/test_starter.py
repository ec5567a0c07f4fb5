"""`init`: what it finds, asks, writes and says; and that nothing it meets can keep it from an end."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from core.plugins import installing
from maskflow_convert import Found, Tree, load_config, registry
from maskflow_convert.cli import main
from maskflow_convert.config import Source
from maskflow_convert.schema import config_schema
from maskflow_convert.starter import look
from maskflow_convert.starter.draft import Draft, new_file, scalar
from maskflow_convert.starter.look import look_through
from maskflow_convert.starter.search import Candidate, Search, search

SQUARE = [[1, 1, 4, 1, 4, 4, 1, 4]]


def picture(path: Path, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(48, dtype=np.uint16 if mode == "I;16" else np.uint8).reshape(6, 8)
    (Image.fromarray(values * 1000) if mode == "I;16" else Image.fromarray(values).convert(mode)).save(path)


def coco(
    folder: Path,
    count: int = 2,
    *,
    name: str = "coco.json",
    images: str = "images",
    label: str = "cat",
    first_id: int = 1,
    mode: str | None = "RGB",
    **annotation: Any,
) -> Path:
    """A data set of images with an object each; `annotation` is what differs in the first of them."""
    ids = range(first_id, first_id + count)
    listed: list[dict[str, Any]] = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": SQUARE, "bbox": [1, 1, 3, 3]} for n in ids
    ]
    listed[0] |= annotation
    for n in ids:
        if mode:
            picture(folder / images / f"{n}.png", mode)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 6} for n in ids],
        "annotations": listed,
        "categories": [{"id": 1, "name": label}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def labelme(folder: Path, name: str = "a", label: str = "dog") -> Path:
    picture(folder / f"{name}.png")
    shapes = [{"label": label, "points": [[1, 1], [4, 1], [4, 4]], "shape_type": "polygon"}]
    (folder / f"{name}.json").write_text(json.dumps({"shapes": shapes, "imagePath": f"{name}.png", "imageData": None}))
    return folder


def yaml_of(path: Path | str) -> Any:
    return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, which nothing is in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(capsys, here):
    """Run a command: its exit code, standard output and standard error."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def install(monkeypatch, tmp_path):
    yield partial(installing.install, tmp_path, monkeypatch)
    registry.load.cache_clear()
    registry.describe.cache_clear()


PLUGIN = """
import os, sys, time
from maskflow_convert import *

class MineOptions(AdapterOptions):
    folder: InputPath

class Mine(Adapter[MineOptions, str]):
    Options = MineOptions

    @classmethod
    def discover(cls, tree):
        {discover}

    def index(self):
        {index}
        return Index([Entry(p.name, p) for p in sorted(self.options.folder.glob("*.png"))], ["thing"])

    def read(self, record):
        return Sample(key=record.name, image=Image(path=record), instances=[
            Instance(label="thing", shape=Polygons(parts=((1, 1, 5, 1, 5, 4, 1, 4),)))
        ])
"""


def plugin(discover: str = "yield Found(tree.root, 'it has my face', [{'folder': tree.root}])", index: str = "") -> str:
    return PLUGIN.format(discover=discover, index=index or "pass")


class TestWrites:
    def test_a_yaml_that_converts(self, run, tmp_path):
        data = coco(tmp_path / "data/cats", 12)
        code, out, err = run("init", data)
        assert (code, err) == (0, "")
        lines = Path("cats.yaml").read_text().splitlines()
        assert lines[0] == "# yaml-language-server: $schema=maskflow.schema.json"
        assert yaml_of("cats.yaml") == {
            "sources": [{"adapter": "coco", "annotations": "../data/cats/coco.json", "images": "../data/cats/images"}],
            "splits": {"train": 0.8, "val": 0.2, "seed": 7},
            "output": {"directory": "cats-records"},
        }
        schema = json.loads(Path("maskflow.schema.json").read_text())
        assert schema == config_schema()[0]
        jsonschema.Draft202012Validator(schema).validate(yaml_of("cats.yaml"))
        assert run("convert", "cats.yaml")[0] == 0
        assert Path("cats-records/dataset.json").is_file()
        assert "Found coco in coco.json, sure: COCO instances; images in images." in out
        assert "In all 12 images: 12 objects of 1 class." in out
        assert "Wrote cats.yaml, and maskflow.schema.json beside it" in out
        assert [line.split()[:3] for line in out.splitlines()[-3:]] == [
            ["maskflow-convert", command, "cats.yaml"] for command in ("preview", "validate", "convert")
        ]
        assert [path for path in data.rglob("*") if path.suffix == ".yaml"] == []

    def test_beside_the_data_where_one_is_there(self, run, here):
        coco(here)
        assert run("init", ".")[0] == 0
        assert yaml_of("here.yaml")["sources"] == [{"adapter": "coco", "annotations": "coco.json", "images": "images"}]
        assert run("convert", "here.yaml")[0] == 0
        assert run("init", ".", "--output", "again.yaml")[0] == 0
        assert yaml_of("again.yaml")["sources"] == yaml_of("here.yaml")["sources"]

    def test_where_it_is_told(self, run, tmp_path):
        coco(tmp_path / "data")
        (tmp_path / "x").mkdir()
        code, out, _ = run("init", "../data", "--output", "../x/my.yml", "--no-schema")
        assert code == 0
        assert yaml_of("../x/my.yml")["output"] == {"directory": "my-records"}
        assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["my.yml"]
        assert "yaml-language-server" not in Path("../x/my.yml").read_text()
        assert "schema" not in out
        assert run("convert", "../x/my.yml")[0] == 0

    def test_nothing_over_what_is_there(self, run, tmp_path):
        data = coco(tmp_path / "data")
        Path("data.yaml").write_text("mine")
        Path("maskflow.schema.json").write_text("mine, too")
        code, out, err = run("init", data)
        assert (code, out) == (5, "")
        assert "data.yaml is there already; choose another --output, or give --overwrite" in err
        assert Path("data.yaml").read_text() == "mine"
        assert run("init", data, "--overwrite")[0] == 0
        assert load_config("data.yaml").sources[0].adapter == "coco"
        assert Path("maskflow.schema.json").read_text() == "mine, too"

    @pytest.mark.parametrize(("output", "code"), [("my.txt", 2), ("my", 2), ("nowhere/my.yaml", 5)])
    def test_not_everywhere(self, run, tmp_path, output, code):
        assert run("init", coco(tmp_path / "data"), "--output", output)[0] == code
        assert list(Path().iterdir()) == []

    def test_names_that_yaml_has_another_meaning_for(self, run, tmp_path):
        odd = tmp_path / "2017/no/#é ü/~x/a: [b]/- 'q'\"\\/new\nline"
        coco(odd, label="yes: #1")
        (odd / "images").rename(odd / "null")
        code, _, err = run("init", tmp_path / "2017", "--output", "c.yaml")
        assert (code, err) == (0, "")
        assert run("convert", "c.yaml")[0] == 0
        manifest = json.loads(Path("c-records/dataset.json").read_text())
        assert manifest["classes"] == [{"id": 1, "name": "yes: #1"}]
        assert manifest["splits"]["train"]["images_written"] == 2

    def test_a_folder_whose_name_is_none_for_a_file(self, run, tmp_path):
        coco(tmp_path / "my cats: \n all")
        assert run("init", tmp_path / "my cats: \n all")[0] == 0
        assert Path("my-cats-all.yaml").is_file()
        assert run("convert", "my-cats-all.yaml")[0] == 0

    @pytest.mark.parametrize(
        ("folder", "name"), [("/", "maskflow.yaml"), ("...", "maskflow.yaml"), ("é.v2", "é.v2.yaml")]
    )
    def test_name(self, here, folder, name):
        assert new_file(Path(folder), None, overwrite=False) == here / name

    def test_names_that_are_no_text(self, run, tmp_path):
        """Bytes of another encoding, which Python keeps as lone surrogates."""
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
        coco(folder)
        assert run("init", folder, "--output", "c.yaml")[0] == 0
        assert run("convert", "c.yaml")[0] == 0


SEVERAL = """\
  1  coco     c/coco.json  sure: COCO instances; images in c/images
  2  labelme  l            sure: 1 JSON file, LabelMe's by those looked at
"""


class TestChoice:
    @pytest.fixture
    def both(self, tmp_path):
        coco(tmp_path / "data/c")
        labelme(tmp_path / "data/l")
        return tmp_path / "data"

    def test_is_refused_without_a_terminal(self, run, both):
        code, out, err = run("init", both)
        assert (code, out) == (2, "")
        assert err == (
            f"maskflow-convert: there are 2 data sets in {both}:\n{SEVERAL}"
            "Choose by --format NAME, or by --only PATH as in --only c/coco.json; --all makes one data set of all.\n"
        )
        assert list(Path().iterdir()) == []

    @pytest.mark.parametrize(
        ("flags", "adapters"),
        [
            (["--format", "labelme"], ["labelme"]),
            (["--format", "coco"], ["coco"]),
            (["--only", "l"], ["labelme"]),
            (["--only", "../data/c"], ["coco"]),
            (["--only", "c/coco.json"], ["coco"]),
            (["--only", "c", "--only", "l", "--all"], ["coco", "labelme"]),
            (["--all"], ["coco", "labelme"]),
        ],
    )
    def test_by_flags(self, run, both, flags, adapters):
        assert run("init", both, *flags)[0] == 0
        assert [source["adapter"] for source in yaml_of("data.yaml")["sources"]] == adapters
        assert run("convert", "data.yaml")[0] == 0

    @pytest.mark.parametrize(
        ("flags", "code", "told"),
        [
            (
                ["--format", "coca"],
                2,
                "--format coca: there is no such adapter; installed are coco, labelme, shapes, voc",
            ),
            (["--only", "x"], 2, "--only x: there is nothing of that name in "),
            (["--only", "/"], 2, "--only /: there is nothing of that name in "),
            (["--format", "voc"], 4, f"nothing of that kind is among what was found:\n{SEVERAL}"),
            (["--format", "coco", "--only", "l"], 4, f"nothing of that kind is among what was found:\n{SEVERAL}"),
        ],
    )
    def test_of_what_is_not_there(self, run, both, flags, code, told):
        found, out, err = run("init", both, *flags)
        assert (found, out) == (code, "")
        assert told in err

    @pytest.mark.parametrize(
        ("answer", "adapters"),
        [
            ("2\n", ["labelme"]),
            ("all\n", ["coco", "labelme"]),
            (" 2, 1,\n", ["coco", "labelme"]),
            ("0\n3\ncoco\n1-2\n1\n", ["coco"]),
        ],
    )
    def test_is_asked_on_a_terminal(self, run, both, answer, adapters, terminal):
        terminal(answer)
        assert run("init", both)[0] == 0
        assert [source["adapter"] for source in yaml_of("data.yaml")["sources"]] == adapters

    @pytest.mark.parametrize("answer", ["\n", ""])
    def test_nothing_is_answered(self, run, both, answer, terminal):
        screen = terminal(answer)
        assert run("init", both)[0] == 2
        assert screen.getvalue().endswith("maskflow-convert: nothing was chosen, and nothing written\n")
        assert list(Path().iterdir()) == []

    @pytest.fixture
    def terminal(self, monkeypatch):
        """Have the standard streams be a terminal, on which this is typed; what is shown on it."""

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        def terminal(typed: str) -> Terminal:
            screen = Terminal()
            monkeypatch.setattr(sys, "stdin", Terminal(typed))
            monkeypatch.setattr(sys, "stderr", screen)
            return screen

        return terminal

    def test_a_real_terminal(self, both, here):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "maskflow_convert", "init", str(both)]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            os.write(ours, b"1\n")
            shown = b""
            try:
                while piece := os.read(ours, 1 << 16):
                    shown += piece
            except OSError:  # Linux's way to say that the other end is closed
                pass
            assert process.wait(60) == 0
        os.close(ours)
        assert b"Which one? 1 to 2" in shown
        assert b"Wrote data.yaml" in shown.replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")
        assert yaml_of("data.yaml")["sources"][0]["adapter"] == "coco"

    def test_there_are_very_many(self, run, tmp_path):
        for n in range(23):
            coco(tmp_path / f"data/{n:02}", 1, mode=None)
        code, _, err = run("init", tmp_path / "data")
        assert code == 2
        lines = err.splitlines()
        assert [line.split()[2] for line in lines[1:21]] == [f"{n:02}/coco.json" for n in range(20)]
        assert lines[21] == "     and 3 more"
        _, out, _ = run("init", tmp_path / "data", "--only", "22")
        assert out.count("Not taken") == 21
        assert "Not taken: 2 more." in out

    def test_the_surest_is_taken_and_the_others_are_told(self, run, tmp_path):
        coco(tmp_path / "data/sure")
        coco(tmp_path / "data/boxes", images="pictures", segmentation=[], name="boxes.json", count=1)
        code, out, _ = run("init", tmp_path / "data")
        assert code == 0
        assert "Found coco in sure/coco.json, sure" in out
        assert "Not taken: coco in boxes/boxes.json, likely: COCO boxes; images in boxes/pictures." in out
        assert len(yaml_of("data.yaml")["sources"]) == 1


class TestNothing:
    @pytest.mark.parametrize("name", ["none", "file.txt", "circle"])
    def test_no_folder(self, run, tmp_path, name):
        (tmp_path / "file.txt").write_text("x")
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        code, out, err = run("init", tmp_path / name)
        assert (code, out) == (4, "")
        assert f"{name}: cannot be looked into: " in err

    def test_a_folder_elsewhere(self, here, capsys):
        with pytest.raises(SystemExit) as end:
            main(["init", "memory://bucket/folder"])
        assert end.value.code == 2
        assert "memory://bucket/folder is not on this machine, and this has to be" in capsys.readouterr().err

    def test_no_data_set(self, run, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data/captions.json").write_text(
            json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"id": 1, "caption": "a cat"}]})
        )
        (tmp_path / "data/link").symlink_to("/")
        code, out, err = run("init", tmp_path / "data")
        assert (code, out) == (4, "")
        assert err == (
            f"maskflow-convert: {tmp_path}/data: holds no data set that an installed adapter recognises, among 1 file\n"
            "  captions.json: COCO captions, which name no objects\n"
            "  Links that lead elsewhere were not followed: link.\n"
            "`maskflow-convert adapters list` shows what can be read; `adapters new` begins an adapter of your own\n"
        )

    def test_empty_folder(self, run, tmp_path):
        (tmp_path / "data").mkdir()
        assert run("init", tmp_path / "data")[2].startswith(f"maskflow-convert: {tmp_path}/data: holds no files\n")

    def test_what_convert_wrote_is_no_data_set(self, run, here):
        coco(here / "data")
        assert run("init", "data")[0] == 0
        assert run("convert", "data.yaml", "--output", "data/records")[0] == 0
        assert "data/records" not in [path.as_posix() for path in search(here).tree.folders]

    def test_a_source_that_cannot_be_read(self, run, tmp_path):
        data = coco(tmp_path / "data")
        (data / "coco.json").write_text((data / "coco.json").read_text()[:-30])
        code, out, err = run("init", data)
        assert (code, out) == (4, "")
        assert "coco.json:1: " in err
        assert list(Path().iterdir()) == []


class TestPlugins:
    def test_one_that_looks(self, run, tmp_path, install):
        install("mine", plugin())
        for name in "ab":
            picture(tmp_path / f"data/{name}.png")
        code, out, err = run("init", tmp_path / "data")
        assert (code, err) == (0, "")
        assert "Found mine in this folder, sure: it has my face." in out
        assert yaml_of("data.yaml")["sources"] == [{"adapter": "mine", "folder": "../data"}]
        schema = json.loads(Path("maskflow.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(yaml_of("data.yaml"))
        assert run("convert", "data.yaml")[0] == 0

    @pytest.mark.parametrize(
        ("discover", "told"),
        [
            ("1 / 0", "failed to look into the folder: ZeroDivisionError: division by zero"),
            ("sys.exit(3)", "failed to look into the folder: SystemExit: 3"),
            ("raise SourceError('no', 'x')", "failed to look into the folder: x: no"),
            ("return 3", "failed to look into the folder: TypeError: "),
            ("return ['x']", "found 'x', which is not a Found with sources"),
            ("yield Found(tree.root, 'x', [])", "which is not a Found with sources"),
            ("yield Found(tree.root, 'x', [3])", "found the source 3, which is not a mapping"),
            ("yield Found(tree.root, 3, [{'folder': 'x'}])", "which is not a Found with sources"),
            ("yield LeftOut('x', 'y')", "which is not a Found with sources"),
            ("yield Found('x', 'x', [{'folder': 'x'}])", "which is not a Found with sources"),
            ("yield Found(tree.root, 'x', [{'fodler': 'x'}])", "found what its own options refuse: "),
            ("yield Found(tree.root, 'x', [{'folder': 'x', 'split': 'a b'}])", "'a b' is not a name for a split"),
        ],
    )
    def test_one_that_fails_is_left_out(self, tmp_path, install, discover, told):
        install("mine", plugin(discover))
        found = search(coco(tmp_path / "data"))
        [fault] = found.faults
        assert told in fault
        assert fault.startswith("adapter 'mine' of plugin_")
        assert [each.adapter for each in found.candidates] == ["coco"]

    def test_the_fault_is_told(self, run, tmp_path, install):
        install("mine", plugin("1 / 0"))
        code, out, err = run("init", coco(tmp_path / "data"))
        assert code == 0
        assert err.startswith("maskflow-convert: left out: adapter 'mine' of plugin_")
        assert "Found coco" in out

    def test_what_it_says_cannot_break_out_of_a_comment(self, run, tmp_path, install):
        told = "'nice\\nsources: []\\u202e\\x1b[2J'"
        install("mine", plugin(f"yield Found(tree.root, {told}, [{{'folder': tree.root}}], notes=[{told}])"))
        picture(tmp_path / "data/a.png")
        code, out, _ = run("init", tmp_path / "data")
        assert code == 0
        assert "\x1b" not in out
        assert "\\nsources: []" in Path("data.yaml").read_text()
        assert yaml_of("data.yaml")["sources"] == [{"adapter": "mine", "folder": "../data"}]

    @pytest.mark.parametrize("index", ["time.sleep(600)", "os._exit(1)", "os.kill(os.getpid(), 9)"])
    def test_one_that_takes_for_ever_or_dies(self, run, tmp_path, install, index, monkeypatch):
        monkeypatch.setattr(look, "SECONDS_TO_INDEX", 3)
        monkeypatch.setattr(look, "SECONDS", 0)
        install("mine", plugin(index=index))
        picture(tmp_path / "data/a.png")
        begin = time.monotonic()
        code, out, _ = run("init", tmp_path / "data")
        assert code == 0
        assert time.monotonic() - begin < 30
        assert "It was not looked through, as that takes long." in out
        assert "It was not looked through" in Path("data.yaml").read_text()
        assert load_config("data.yaml").splits is not None

    def test_one_that_breaks(self, run, tmp_path, install):
        install("mine", plugin(index="1 / 0"))
        picture(tmp_path / "data/a.png")
        code, _, err = run("init", tmp_path / "data")
        assert code == 3
        assert "failed to list its images: ZeroDivisionError: division by zero" in err


# What the data needs


Drafted = Callable[..., tuple[look.Look, Any, str]]


@pytest.fixture
def drafted(tmp_path, here) -> Drafted:
    """What is seen of a folder, the YAML, and its text, without a process; the YAML is seen to load."""

    def drafted(folder: Path, *, seconds: float = 60) -> tuple[look.Look, Any, str]:
        found = search(folder)
        seen = look_through([s for each in found.candidates for s in each.sources], seconds=seconds)
        path = here / "c.yaml"
        path.write_text(Draft(path, found, found.candidates, seen, None).text(), encoding="utf-8")
        load_config(path)
        assert max(map(len, path.read_text().splitlines())) <= 120
        return seen, yaml_of(path), path.read_text()

    return drafted


def test_boxes_alone_are_taken_for_objects(drafted, tmp_path):
    seen, yaml, _ = drafted(coco(tmp_path / "d", 1, segmentation=[]))
    assert yaml["objects"] == {"boxes": "rectangle"}
    assert (seen.objects, seen.boxes, seen.errors) == (1, 0, {})
    assert main(["convert", "c.yaml"]) == 0


def test_some_boxes_are_left_out(drafted, tmp_path):
    seen, yaml, text = drafted(coco(tmp_path / "d", 3, segmentation=[]))
    assert yaml["objects"] == {"boxes": "skip"}
    assert "# 1 of 3 objects have no mask; `rectangle` takes the box for it" in text
    assert seen.errors == {}
    assert main(["convert", "c.yaml"]) == 0


def test_images_of_16_bits_stay_so(drafted, tmp_path):
    seen, yaml, _ = drafted(coco(tmp_path / "d", 2, mode="I;16"))
    assert yaml["image"] == {"depth": 16}
    assert seen.errors == {}
    assert main(["convert", "c.yaml"]) == 0


def test_ids_that_occur_twice_are_given_anew(drafted, tmp_path):
    for split in ("train", "valid"):
        coco(tmp_path / "d" / split, 2, name="_annotations.coco.json", images=".")
    _, yaml, _ = drafted(tmp_path / "d")
    assert yaml["image"] == {"ids": "sequential"}
    assert "splits" not in yaml
    assert [source["split"] for source in yaml["sources"]] == ["train", "val"]
    assert main(["convert", "c.yaml"]) == 0


def test_faulty_objects_are_left_out_and_counted(drafted, tmp_path):
    seen, yaml, text = drafted(coco(tmp_path / "d", 3, segmentation=[[1, 1, 2]]))
    assert yaml["on_error"] == "skip-object"
    assert seen.errors == {"polygon-odd-length": 1}
    assert "#   polygon-odd-length, 1: A polygon's or figure's list of coordinates has an odd length." in text
    assert "in all 3 images:" in text
    assert main(["convert", "c.yaml"]) == 0


def test_faults_of_the_file_are_counted(drafted, tmp_path):
    seen, yaml, _ = drafted(coco(tmp_path / "d", 2, image_id=99))
    assert seen.errors == {"annotation-orphaned": 1}
    assert yaml["on_error"] == "skip-object"
    assert main(["convert", "c.yaml"]) == 0


def test_without_images_it_is_rehearsed(drafted, tmp_path, capsys):
    seen, yaml, text = drafted(coco(tmp_path / "d", 2, mode=None))
    assert not seen.needs.opens_images
    assert (seen.objects, seen.errors) == (2, {})
    assert "on_error" not in yaml
    assert "# Not one image was found: until they are there, only `convert --dry-run` goes through." in text
    assert main(["convert", "c.yaml", "--dry-run"]) == 0
    assert main(["convert", "c.yaml"]) == 1


def test_without_images_and_their_sizes_nothing_can_be_done(drafted, tmp_path):
    folder = coco(tmp_path / "d", 2, mode=None)
    content = json.loads((folder / "coco.json").read_text())
    for image in content["images"]:
        del image["width"], image["height"]
    (folder / "coco.json").write_text(json.dumps(content))
    seen, yaml, text = drafted(folder)
    assert (seen.objects, seen.written, seen.errors) == (2, 0, {})
    assert "on_error" not in yaml
    assert "# Not one image was found: until they are there, nothing can be converted." in text
    assert main(["convert", "c.yaml", "--dry-run"]) == 1


def test_a_few_images_are_enough_to_open_them(drafted, tmp_path):
    """Though the first that are tried be missing."""
    folder = coco(tmp_path / "d", 300, mode=None)
    data_set = look.prepare(look.Config(sources=search(folder).candidates[0].sources))
    for item in look._drawn(data_set)[look._FIRST :]:
        picture(folder / "images" / f"{item.image_id}.png")
    seen, yaml, _ = drafted(folder)
    assert seen.needs.opens_images
    assert seen.errors == {"image-missing": 64}
    assert yaml["on_error"] == "skip-object"


def test_a_few_boxes_are_found_late(drafted, tmp_path):
    folder = coco(tmp_path / "d", 300)
    data_set = look.prepare(look.Config(sources=search(folder).candidates[0].sources))
    last = look._drawn(data_set)[-1].image_id
    content = json.loads((folder / "coco.json").read_text())
    content["annotations"][last - 1]["segmentation"] = []
    (folder / "coco.json").write_text(json.dumps(content))
    seen, yaml, _ = drafted(folder)
    assert yaml["objects"] == {"boxes": "skip"}
    assert seen.errors == {}


def test_without_some_images_these_are_left_out(drafted, tmp_path):
    folder = coco(tmp_path / "d", 3)
    (folder / "images/2.png").unlink()
    seen, yaml, text = drafted(folder)
    assert seen.errors == {"image-missing": 1}
    assert yaml["on_error"] == "skip-object"
    assert "# 2 of 3 images tried of coco.json are there, from images on." in text
    assert main(["convert", "c.yaml"]) == 0


def test_a_good_data_set_stops_at_errors(drafted, tmp_path):
    _, yaml, text = drafted(coco(tmp_path / "d", 1))
    assert yaml.keys() == {"sources", "output"}
    assert "# The one class is number 1: cat." in text
    assert "# All images go to `train`, as they are few." in text


def test_a_single_split_is_kept(drafted, tmp_path):
    _, yaml, text = drafted(coco(tmp_path / "d", 1, name="instances_val.json"))
    assert yaml["sources"][0]["split"] == "val"
    assert "splits" not in yaml
    assert "# All is in the split `val`, as it is called so." in text


def test_classes_that_differ_between_sources_are_named(drafted, tmp_path):
    coco(tmp_path / "d/one", 1, name="one.json", label="Cat")
    coco(tmp_path / "d/two", 1, name="two.json", label="cat", first_id=2)
    _, yaml, text = drafted(tmp_path / "d")
    assert yaml["classes"] == {"names": ["Cat", "cat"]}
    assert "# Some differ in case or spaces only. To make one of them: `classes: {rename: {cat: Cat}}`." in text


def test_many_classes_are_wrapped(drafted, tmp_path):
    folder = tmp_path / "d"
    for n in range(2):
        coco(folder / str(n), 1, name=f"{n}.json", first_id=n + 1)
        content = json.loads((folder / f"{n}/{n}.json").read_text())
        content["categories"] += [{"id": 2 + i, "name": f'{"yes " * (i % 9)}{n}{i}, \\"x'} for i in range(300)]
        (folder / f"{n}/{n}.json").write_text(json.dumps(content))
    seen, yaml, _ = drafted(folder)
    assert yaml["classes"]["names"] == list(seen.classes)
    assert len(seen.classes) == 601


def test_splits_of_the_source_are_told(drafted, tmp_path):
    """Of Pascal VOC, whose lists say which image of `trainval` is where."""
    root = Path(__file__).parents[2] / "configs/shapes-voc"
    source = Source(adapter="voc", options=registry.load("voc").Options(root=root, image_set="Segmentation/trainval"))
    seen = look_through([source], seconds=60)
    found = Found(root, "x", [{"root": root}])
    tree = Tree.of(root)
    candidate = Candidate("voc", ".", found, (source,))
    text = Draft(tmp_path / "c.yaml", Search(tree, [candidate], [], []), [candidate], seen, None).text()
    assert "# The source itself says which image is in which split: train, val." in text
    assert "\nsplits:" not in text


def test_what_is_often_wanted_too_are_settings(drafted, tmp_path):
    _, _, text = drafted(coco(tmp_path / "d"))
    proposed = [line[4:] for line in text.splitlines() if line.startswith("#   ") and ": " in line]
    assert len(proposed) == 3
    Path("more.yaml").write_text(text + "\n".join(proposed))
    load_config("more.yaml")


def test_nothing_is_left(run, tmp_path):
    folder = coco(tmp_path / "data", 2)
    for path in (folder / "images").iterdir():
        path.write_text("no image")
    code, out, _ = run("init", folder)
    assert code == 0
    assert "Nothing is left of these images: correct them before you convert." in out
    assert run("convert", "data.yaml")[0] == 0


class TestLook:
    def test_each_image_once(self, tmp_path):
        seen = look_through(search(coco(tmp_path / "d", 100, mode=None)).candidates[0].sources, seconds=60)
        assert (seen.examined, seen.total, seen.objects) == (100, 100, 100)

    def test_time_is_up(self, drafted, tmp_path):
        seen, _, text = drafted(coco(tmp_path / "d", 3, image_id=99), seconds=0)
        assert seen.examined == 1
        assert "in 1 of 3 images, drawn from all:" in text

    def test_images_are_drawn_from_all(self, tmp_path):
        folder = tmp_path / "d"
        coco(folder, 200, name="instances_train.json", mode=None)
        coco(folder, 200, name="instances_val.json", mode=None, first_id=201)
        data_set = look.prepare(look.Config(sources=search(folder).candidates[0].sources))
        drawn = [item.image_id for item in look._drawn(data_set)]
        assert sorted(drawn) == list(range(1, 401))
        assert 4 < sum(number > 200 for number in drawn[:32]) < 28

    def test_there_are_more_than_are_looked_at(self, drafted, tmp_path, monkeypatch):
        monkeypatch.setattr(look, "_MOST", 7)
        seen, _, text = drafted(coco(tmp_path / "d", 20, image_id=99))
        assert (seen.examined, seen.total) == (7, 20)
        assert "in 7 of 20 images, drawn from all:" in text


def test_a_path_in_a_store_stays_one(tmp_path, install):
    install("mine", plugin("yield Found(tree.root, 'a list', [{'folder': 'memory://bucket/images'}])"))
    (tmp_path / "data").mkdir()
    found = search(tmp_path / "data")
    (tmp_path / "c.yaml").write_text(Draft(tmp_path / "c.yaml", found, found.candidates, None, None).text())
    assert yaml_of(tmp_path / "c.yaml")["sources"] == [{"adapter": "mine", "folder": "memory://bucket/images"}]


def as_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(f"[{text}, {{key: {text}}}]\n")


@pytest.mark.parametrize(
    "text", ["", " ", "a ", "1", "1.5", "0x1f", "2017", "true", "Null", "~", "no", "a: b", "a #b", "-"]
)
def test_scalars_that_mean_something_else_are_quoted(text):
    assert scalar(text).startswith('"')
    assert as_yaml(scalar(text)) == [text, {"key": text}]


@pytest.mark.parametrize("text", ["a", "a b", "../x/y_z.json", "train2017", "C-3+4=x@y"])
def test_scalars_that_are_plain(text):
    assert scalar(text) == text


@given(st.text())
def test_any_text_is_a_scalar(text):
    assert as_yaml(scalar(text)) == [text, {"key": text}]
