"""The command line as a user meets it: what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import maskflow_convert
from core.plugins.scripted import SCRIPTED, beside, script
from maskflow_convert import convert, load_config, registry
from maskflow_convert.cli import main

SHAPES = "sources: [{adapter: shapes, count: 6}]\n"


@pytest.fixture
def run(capsys):
    """Run a command in this process: its exit code, standard output and standard error."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "maskflow_convert", *map(str, arguments)], text=True, **streams)


@pytest.fixture
def yaml(tmp_path, monkeypatch):
    """A data set of six images in the working directory, which nothing else is in."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(SHAPES)
    return "c.yaml"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pictures = [{"key": f"{n}.png", "id": n, "things": ["good", "stranger"][:n]} for n in range(3)]
    convert(script(folder, pictures, classes={"names": ["disc", "stranger"], "first_id": 4}))
    return folder / "out"


class TestConvert:
    def test_writes_and_tells(self, run, yaml):
        code, out, err = run("convert", yaml, "--output", "o")
        assert (code, err) == (0, "")
        rows = [line.split() for line in out.splitlines()]
        objects = sum(t["objects_written"] for t in json.loads(Path("o/dataset.json").read_text())["splits"].values())
        assert rows[0] == ["split", "images", "dropped", "objects", "dropped", "size"]
        assert rows[1][:5] == ["train", "6", "0", str(objects), "0"]
        assert re.search(rf"^Wrote {re.escape(str(Path('o').absolute()))} in \d", out, flags=re.MULTILINE)

    def test_output_is_relative_to_where_one_is(self, run, yaml, tmp_path, monkeypatch):
        """Unlike `output.directory`, which is relative to the YAML."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert run("convert", "../c.yaml", "--output", "o")[0] == 0
        assert (tmp_path / "here/o/dataset.json").is_file()
        assert run("convert", "../c.yaml", "--set", "output.directory=p")[0] == 0
        assert (tmp_path / "p/dataset.json").is_file()

    def test_output_counts_more_than_the_yaml(self, run, yaml, tmp_path):
        Path("c.yaml").write_text(SHAPES + "output: {directory: other, shuffle: null}\n")
        assert run("convert", yaml, "--output", "o")[0] == 0
        assert not Path("other").exists()
        assert Path("o/dataset.json").is_file()

    @pytest.mark.parametrize(
        "name", ["with space", "é", "a: b", "#x", "'\"", "[b]", "[/b]", ":smile:", "~", "100%", "{x}"]
    )
    def test_odd_directory(self, run, yaml, name):
        code, out, err = run("convert", yaml, "--output", name)
        assert (code, err) == (0, "")
        assert Path(name, "dataset.json").is_file()
        assert f"{Path.cwd()}/{name}" in "".join(out.splitlines())

    def test_dry_run(self, run, yaml):
        code, out, err = run("convert", yaml, "--dry-run", "--output", "o")
        assert (code, err) == (0, "")
        assert "Nothing was written; sizes are estimates." in out
        assert [path.name for path in Path().iterdir()] == ["c.yaml"]

    def test_dry_run_tells_the_same(self, run, yaml):
        tables = [run("convert", yaml, "--output", "o", *more)[1] for more in (["--dry-run"], [])]
        rows = [[line.split()[:5] for line in table.splitlines()[:4]] for table in tables]
        assert rows[0] == rows[1]

    def test_overwrite(self, run, yaml):
        assert run("convert", yaml, "--output", "o")[0] == 0
        Path("o/foreign.txt").write_text("x")
        code, out, err = run("convert", yaml, "--output", "o")
        assert (code, out) == (5, "")
        assert "holds a data set already; choose another --output, or give --overwrite" in err
        assert run("convert", yaml, "--output", "o", "--overwrite", "--set", "sources[0].count=2")[0] == 0
        assert Path("o/foreign.txt").read_text() == "x"
        assert json.loads(Path("o/dataset.json").read_text())["splits"]["train"]["images_written"] == 2

    @pytest.mark.parametrize(
        "options", [["--executor", "serial"], ["--workers", "1"], ["--workers", "auto"], ["--executor", "processes"]]
    )
    def test_executor_and_workers(self, run, yaml, options):
        assert run("convert", yaml, "--output", "o", *options)[0] == 0

    def test_set_repeatedly(self, run, yaml):
        sets = ["sources[0].count=2", "classes.names=[circle]", "classes.unknown=skip"]
        code, out, _ = run("convert", yaml, "--output", "o", *(word for each in sets for word in ("--set", each)))
        assert code == 0
        assert json.loads(Path("o/dataset.json").read_text())["classes"] == [{"id": 1, "name": "circle"}]
        assert "class-unknown" in out

    def test_issues_are_told(self, run, tmp_path):
        code, out, _ = run("convert", script(tmp_path, [{"key": "a.png", "things": ["crowd", "crowd", "good"]}]))
        assert code == 0
        assert "object-crowd  warning, 2 times, 2 objects dropped" in out
        assert "image a.png, object a.png/0: disc is a crowd region" in out

    def test_text_of_the_data_is_not_taken_for_markup(self, run, tmp_path):
        pictures = [{"key": "[/b][red]:smile:.png", "things": ["crowd", "good"]}]
        source = {"labels": ["[/i]"]}
        code, out, _ = run("convert", script(tmp_path, pictures, source=source))
        assert code == 0
        assert "[/b][red]:smile:.png" in out
        assert "[/i]" in out


WRONG = {
    "no command": ([], 2, "usage: "),
    "unknown command": (["frobnicate"], 2, "invalid choice: 'frobnicate'"),
    "unknown option": (["convert", "c.yaml", "--frob"], 2, "unrecognized arguments: --frob"),
    "no configuration": (["convert"], 2, "CONFIG"),
    "no such file": (["convert", "gone.yaml"], 2, "maskflow-convert: gone.yaml: cannot be read: No such file"),
    "a folder": (["convert", "."], 2, "is a folder, not a YAML file. `maskflow-convert init FOLDER` writes one"),
    "no directory": (["convert", "c.yaml"], 2, "set `output.directory`, or give --output"),
    "workers": (["convert", "c.yaml", "--output", "o", "--workers", "many"], 2, "'many'"),
    "no workers": (["convert", "c.yaml", "--output", "o", "--workers", "0"], 2, "workers"),
    "executor": (["convert", "c.yaml", "--output", "o", "--executor", "clusters"], 2, "'clusters'"),
    "wrong key": (["convert", "c.yaml", "--set", "objects.crod=keep"], 2, "did you mean 'crowd'?"),
    "set nothing": (["convert", "c.yaml", "--set", "x"], 2, "write KEY=VALUE"),
    "no such adapter": (["convert", "c.yaml", "--set", "sources[0].adapter=shaps"], 3, "did you mean 'shapes'?"),
    "no such file of an adapter": (["adapters", "show", "./gone.py:Mine"], 3, "there is no such file"),
    "show what is not there": (["adapters", "show", "coc"], 3, "did you mean 'coco'?"),
    "no source": (
        ["convert", "c.yaml", "--output", "o", "--set", "sources=[{adapter: coco, annotations: gone.json}]"],
        4,
        "gone.json: cannot be read",
    ),
    "no records": (["inspect", "gone.tfrecord"], 4, "maskflow-convert: gone.tfrecord: there is no such file"),
    "a folder without records": (["inspect", "."], 4, "holds no finished data set"),
    "records that are none": (["inspect", "c.yaml"], 4, "c.yaml: record 0 "),
    "output is a file": (["convert", "c.yaml", "--output", "c.yaml"], 5, "cannot be used as output directory"),
    "adapters": (["adapters"], 2, "list|show|new"),
    "format": (["inspect", "x", "--format", "html"], 2, "invalid choice: 'html'"),
}


class TestFailure:
    @pytest.mark.parametrize(("arguments", "code", "told"), WRONG.values(), ids=WRONG)
    def test_is_told(self, run, yaml, arguments, code, told):
        found, out, err = run(*arguments)
        assert (found, out) == (code, "")
        assert told in err

    def test_an_issue(self, run, tmp_path):
        code, out, err = run("convert", script(tmp_path, [{"key": "a.png", "things": ["line"]}]))
        assert (code, out) == (1, "")
        first, remedy = err.splitlines()
        assert first.startswith("maskflow-convert: error: image a.png, object a.png/0: ")
        assert first.endswith("[polygon-too-few-points]")
        assert remedy == "  Draw it again, or remove it."

    def test_several_problems(self, run, yaml):
        Path("c.yaml").write_text("sources:\n  - adapter: shapes\n    cuont: 3\non_eror: stop\n")
        code, _, err = run("convert", yaml)
        assert code == 2
        assert err.splitlines() == [
            "maskflow-convert: c.yaml:3: sources[0]: unknown key 'cuont'; did you mean 'count'?",
            "c.yaml:4: unknown key 'on_eror'; did you mean 'on_error'?",
        ]

    def test_interrupted(self, run, yaml, monkeypatch):
        def interrupt(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("maskflow_convert.pipeline.prepare", interrupt)
        assert run("convert", yaml, "--output", "o") == (130, "", "maskflow-convert: interrupted\n")

    @pytest.mark.parametrize("workers", [1, 2])
    def test_interrupted_from_outside(self, yaml, workers):
        """As Ctrl-C does, to the whole group of processes, once the first shard is done."""
        sets = [
            "--set",
            "sources[0].count=50000",
            "--set",
            "output.shard_size=20 images",
            "--set",
            "output.shuffle=null",
        ]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        process = start("convert", yaml, "--output", "o", "--workers", workers, *sets, start_new_session=True)
        signal.signal(signal.SIGINT, before)
        limit = time.monotonic() + 30
        while not list(Path("o").glob("*.tfrecord")) and time.monotonic() < limit:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (130, "", "maskflow-convert: interrupted\n")
        assert not Path("o/dataset.json").exists()
        for path in Path("o").glob("*.tfrecord"):
            assert main(["inspect", str(path), "--format", "json"]) == 0

    @pytest.mark.parametrize("command", [["adapters", "list"], ["--help"]])
    def test_nobody_reads(self, command):
        """The other end of the pipe is closed before anything is written."""
        reader, writer = os.pipe()
        os.close(reader)
        process = start(*command, stdout=writer)
        os.close(writer)
        assert process.communicate(timeout=30)[1] == ""

    def test_a_full_disk_behind_the_output(self):
        """A pipe cannot be full; this device always is."""
        with Path("/dev/full").open("w") as full:
            process = start("adapters", "list", stdout=full)
            err = process.communicate(timeout=30)[1]
        assert "Traceback" not in err
        assert "No space left on device" in err
        assert process.returncode == 5

    def test_closed_output(self):
        command = [sys.executable, "-m", "maskflow_convert", "adapters", "list"]
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


class TestInspect:
    def test_text(self, run, data_set):
        code, out, err = run("inspect", data_set)
        assert (code, err) == (0, "")
        rows = [line.split() for line in out.splitlines()]
        assert rows[1][:4] == ["train-00000-of-00001.tfrecord", "3", "3", "36"]
        assert "layout documented; width 8, height 6, channels 3; 1 record without objects" in out
        assert ["disc", "4", "2"] in rows
        assert ["stranger", "5", "1"] in rows

    def test_json(self, run, data_set):
        code, out, err = run("inspect", data_set, "--format", "json")
        assert (code, err) == (0, "")
        path = data_set / "train-00000-of-00001.tfrecord"
        assert json.loads(out) == {
            "layout": "documented",
            "files": [
                {"path": str(path), "bytes": path.stat().st_size, "records": 3, "objects": 3, "positive_pixels": 36}
            ],
            "image_width": {"smallest": 8, "largest": 8},
            "image_height": {"smallest": 6, "largest": 6},
            "channels": [3],
            "records_without_objects": 1,
            "objects_by_class": {"4": 2, "5": 1},
            "class_names": {"4": "disc", "5": "stranger"},
        }

    def test_file_of_a_data_set(self, run, data_set):
        whole = json.loads(run("inspect", data_set, "--format", "json")[1])
        assert json.loads(run("inspect", data_set / "train-00000-of-00001.tfrecord", "--format", "json")[1]) == whole

    def test_files_alone(self, run, data_set, tmp_path):
        for name in ("a.tfrecord", "b.tfrecord"):
            (tmp_path / name).write_bytes((data_set / "train-00000-of-00001.tfrecord").read_bytes())
        code, out, _ = run("inspect", tmp_path / "a.tfrecord", tmp_path / "b.tfrecord", "--format", "json")
        found = json.loads(out)
        assert code == 0
        assert (found["layout"], found["class_names"], found["objects_by_class"]) == (None, {}, {"4": 4, "5": 2})
        assert [each["records"] for each in found["files"]] == [3, 3]
        assert "layout unknown" in run("inspect", tmp_path / "a.tfrecord")[1]

    def test_two_data_sets(self, run, data_set, tmp_path):
        (tmp_path / "a.tfrecord").write_bytes((data_set / "train-00000-of-00001.tfrecord").read_bytes())
        code, out, err = run("inspect", data_set, tmp_path / "a.tfrecord")
        assert (code, out) == (2, "")
        assert "different data sets" in err

    def test_damaged(self, run, data_set, tmp_path):
        data = bytearray((data_set / "train-00000-of-00001.tfrecord").read_bytes())
        data[-20] ^= 1
        (tmp_path / "a.tfrecord").write_bytes(data)
        code, out, err = run("inspect", tmp_path / "a.tfrecord")
        assert (code, out) == (4, "")
        assert "a.tfrecord: record 2 does not match its checksum" in err

    @pytest.mark.parametrize("text", ["", "{}", "[1]", "{", '{"version": 2}'])
    def test_damaged_manifest(self, run, tmp_path, text):
        (tmp_path / "dataset.json").write_text(text)
        code, out, err = run("inspect", tmp_path)
        assert (code, out) == (4, "")
        assert "dataset.json: is not a manifest of this version" in err


class TestAdapters:
    def test_list(self, run):
        code, out, err = run("adapters", "list")
        assert (code, err) == (0, "")
        rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
        ours = ["maskflow-convert", maskflow_convert.__version__]
        assert rows["coco"] == [*ours, "maskflow_adapters.coco:CocoAdapter"]
        assert rows["shapes"] == [*ours, "maskflow_adapters.shapes:ShapesAdapter"]

    @pytest.mark.parametrize(
        ("name", "about", "rows"),
        [
            (
                "shapes",
                "Draws the Shapes data set.",
                {
                    "count": ["integer", ">", "0", "20"],
                    "size": ["[integer", ">=", "32,", "integer", ">=", "32]", "[160,"],
                },
            ),
            (
                "coco",
                "Common Objects in Context",
                {"annotations": ["path", "required"], "images": ["path", "optional", "the", "folder"]},
            ),
            (SCRIPTED, "Does as it is told.", {"folder": ["path", "optional", "Where"]}),
        ],
    )
    def test_show(self, run, name, about, rows):
        code, out, err = run("adapters", "show", name)
        assert (code, err) == (0, "")
        assert about in out
        assert "second paragraph" not in out
        found = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
        for option, words in rows.items():
            assert found[option][: len(words)] == words

    def test_show_a_file_from_here(self, run, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(Path(SCRIPTED.rpartition(":")[0]).read_text())
        monkeypatch.chdir(tmp_path)
        assert run("adapters", "show", "./mine.py:ScriptedAdapter")[0] == 0
        registry.load.cache_clear()

    @pytest.mark.parametrize("name", ["shapes", "coco", "./scripted.py:ScriptedAdapter"])
    def test_show_a_source_to_copy(self, run, tmp_path, monkeypatch, name):
        """Every key of it is one of the adapter, and nothing is to be added."""
        beside(tmp_path)
        monkeypatch.chdir(tmp_path)
        out = run("adapters", "show", name)[1]
        text = out[out.index("sources:") :].replace("# ", "")
        values = {"pictures": "[]", "folder": ".", "images": ".", "annotations": "a.json", "label": "cell"}
        text = re.sub(r"(\w+): <[a-z ]+>", lambda found: f"{found[1]}: {values[found[1]]}", text)
        (tmp_path / "c.yaml").write_text(text)
        options = load_config(tmp_path / "c.yaml").sources[0].options
        assert options.model_fields_set == type(options).model_fields.keys()

    def test_show_types_and_defaults(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("kinds.py").write_text(KINDS)
        code, out, err = run("adapters", "show", "./kinds.py:Kinds")
        registry.load.cache_clear()
        assert (code, err) == (0, "")
        table = out[out.index("option") : out.index("sources:")].splitlines()[1:-1]
        assert [re.split(" {2,}", line.strip()) for line in table] == [
            ["text", "text", "required", "It says so."],
            ["name", "text", '"a: b"'],
            ["flag", "true | false", "true"],
            ["share", "number >= 0 <= 1", "0.5"],
            ["mode", "fast | slow", '"fast"'],
            ["level", "high | low", '"low"'],
            ["one", "always", '"always"'],
            ["either", "integer or text", "optional"],
            ["many", "list of path", "[]"],
            ["names", "mapping to integer", "optional"],
            ["inner", "mapping", "required"],
            ["any", "anything", "optional"],
        ]

    def test_show_options_without_a_schema(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("odd.py").write_text(KINDS.replace("any: Any = None", "any: Callable[[], int] | None = None"))
        code, out, err = run("adapters", "show", "./odd.py:Kinds")
        registry.load.cache_clear()
        assert (code, out) == (3, "")
        assert "odd.py:Kinds: its options have no JSON Schema" in err


KINDS = """
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal
from pydantic import Field
from maskflow_convert import Adapter, AdapterOptions, Index, InputPath

class Level(StrEnum):
    HIGH = "high"
    LOW = "low"

class Inner(AdapterOptions):
    x: int

class Options(AdapterOptions):
    text: str = Field(description="It says so.")
    name: str = "a: b"
    flag: bool = True
    share: float = Field(0.5, ge=0, le=1)
    mode: Literal["fast", "slow"] = "fast"
    level: Level = Level.LOW
    one: Literal["always"] = "always"
    either: int | str | None = None
    many: tuple[InputPath, ...] = ()
    names: Mapping[str, int] = Field(default_factory=dict)
    inner: Inner
    any: Any = None

class Kinds(Adapter):
    Options = Options
    def index(self): return Index([], [])
    def read(self, record): ...
"""

HELP = [[], ["convert"], ["inspect"], ["adapters"], ["adapters", "list"], ["adapters", "show"], ["adapters", "new"]]
OPTIONS = ["--output", "--workers", "--executor", "--overwrite", "--dry-run", "--set"]


class TestHelp:
    @pytest.mark.parametrize("command", HELP, ids=" ".join)
    def test_help(self, run, command):
        code, out, err = run(*command, "--help")
        assert (code, err) == (0, "")
        assert out.startswith("usage: maskflow-convert")

    def test_names_the_commands(self, run):
        out = run("--help")[1]
        assert all(re.search(rf"^    {name} ", out, flags=re.MULTILINE) for name in ("convert", "inspect", "adapters"))
        assert all(f" {code} " in out.replace("\n", " ") for code in (0, 1, 2, 3, 4, 5, 130))

    @pytest.mark.parametrize("option", OPTIONS)
    def test_names_the_options(self, run, option):
        assert f"  {option}" in run("convert", "--help")[1]

    def test_version(self, run):
        assert run("--version") == (0, f"maskflow-convert {maskflow_convert.__version__}\n", "")

    def test_as_a_module_and_as_a_script(self):
        script_path = Path(sys.executable).with_name("maskflow-convert")
        for command in ([sys.executable, "-m", "maskflow_convert"], [str(script_path)]):
            done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
            assert done.stdout == f"maskflow-convert {maskflow_convert.__version__}\n"

    @pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["--version"]])
    def test_is_light(self, arguments):
        """The time of an import is that of its packages: a bound on time is a bound on these."""
        command = [sys.executable, "-X", "importtime", "-m", "maskflow_convert", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "argparse" in imported
        assert not imported & {
            "tensorflow",
            "pycocotools",
            "numpy",
            "pydantic",
            "PIL",
            "ray",
            "rich",
            "ruamel",
            "msgspec",
        }


class TestProgress:
    def test_none_in_a_pipe(self, yaml):
        out, err = start("convert", yaml, "--output", "o").communicate(timeout=60)
        assert err == ""
        assert "\x1b" not in out

    def test_none_in_a_pipe_even_of_a_colourful_program(self, yaml):
        """Some services that run tests ask for colours everywhere; a bar is no colour."""
        environment = {**os.environ, "FORCE_COLOR": "1"}
        err = start("convert", yaml, "--output", "o", env=environment).communicate(timeout=60)[1]
        assert "images" not in err
        assert "indexing" not in err

    def test_on_a_terminal(self, yaml):
        import pty

        reader, terminal = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        process = start("convert", yaml, "--output", "o", stderr=terminal, env=environment)
        os.close(terminal)
        shown = b""
        try:
            while block := os.read(reader, 65536):
                shown += block
        except OSError:  # the terminal was closed, which is how Linux says that there is no more
            pass
        finally:
            os.close(reader)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert b"images" in shown
        assert b"6/6" in shown
        assert "Wrote" in out
        assert "6/6" not in out
