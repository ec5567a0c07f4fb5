"""`adapters new`: what it writes works as it is, and it takes no name and no folder that is in use."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from maskflow_convert import build_dataset, convert, registry
from maskflow_convert.cli import main
from maskflow_convert.errors import ConfigError, OutputError
from maskflow_convert.scaffold import write_plugin

NAMES = {
    "demo": ("maskflow_demo", "DemoAdapter"),
    "my-Lab_format2": ("maskflow_my_lab_format2", "MyLabFormat2Adapter"),
    "a" * 24: (f"maskflow_{'a' * 24}", f"A{'a' * 23}Adapter"),
}


def install(plugin: Path, folder: Path) -> None:
    """What pip leaves of an editable installation: the metadata of the distribution, to be put on the path."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"][registry.GROUP].items()
    text = "".join(f"{name} = {value}\n" for name, value in points)
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{text}")


@pytest.fixture(autouse=True)
def nothing_loaded():
    """Other tests take other plugins for those of this name."""
    yield
    for module, _ in NAMES.values():
        sys.modules.pop(module, None)
    registry.load.cache_clear()
    registry.describe.cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_passes_its_own_tests(tmp_path, name):
    plugin = write_plugin(name, tmp_path / "plugin")
    install(plugin, tmp_path / "site")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    path = f"{plugin}:{tmp_path / 'site'}"
    done = subprocess.run(command, cwd=plugin, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 passed" in done.stdout


@pytest.mark.parametrize(("name", "made"), NAMES.items())
def test_converts_as_its_readme_says(tmp_path, monkeypatch, name, made):
    module, adapter = made
    plugin = write_plugin(name, tmp_path / "plugin")
    install(plugin, tmp_path / "site")
    monkeypatch.syspath_prepend(str(plugin))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    readme = (plugin / "README.md").read_text()
    yaml = readme.partition("```yaml\n")[2].partition("```")[0]
    by_file = f"./{module}.py:{adapter}"
    assert f"`adapter: {by_file}`" in readme
    (plugin / "images").mkdir()
    Image.new("RGB", (6, 4)).save(plugin / "images/a.png")
    (plugin / "images/a.txt").write_text("nucleus 0 0 2 0 2 1 0 1\n")
    for reference in (name, by_file):
        (plugin / "my.yaml").write_text(yaml.replace(f"adapter: {name}", f"adapter: {reference}"))
        assert main(["convert", str(plugin / "my.yaml"), "--output", str(tmp_path / adapter), "--overwrite"]) == 0
        [(_, objects)] = build_dataset(tmp_path / adapter)
        assert objects["class_ids"].numpy().tolist() == [2]
        assert objects["masks"].numpy()[0].T.tolist() == [[1, 1, 0, 0, 0, 0]] + 3 * [6 * [0]]


def test_a_fault_in_an_object_is_told_with_its_line(tmp_path):
    write_plugin("demo", tmp_path)
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("\ncell 0 0 2 0\n")
    reference = "./maskflow_demo.py:DemoAdapter"
    source = f"sources: [{{adapter: '{reference}', folder: ., labels: [cell]}}]\n"
    (tmp_path / "c.yaml").write_text(source + "on_error: skip-object\noutput: {directory: out}\n")
    [row] = convert(tmp_path / "c.yaml").flatten(["code", "path", "line", "object"])
    assert row == ["polygon-too-few-points", str(tmp_path / "a.txt"), 2, "2"]


@pytest.mark.parametrize("name", ["", "-x", "x-", "a--b", "a b", "1a", "é", "a.b", "../a", "a/b", "a\n", "a" * 25])
def test_no_name(tmp_path, name):
    with pytest.raises(ConfigError, match="is not a name for an adapter: use letters and digits"):
        write_plugin(name, tmp_path / "plugin")
    assert not (tmp_path / "plugin").exists()


def test_a_name_that_is_taken(tmp_path):
    with pytest.raises(ConfigError, match=r"the name 'coco' is taken by maskflow-convert \d"):
        write_plugin("coco", tmp_path / "plugin")


@pytest.mark.parametrize("name", ["convert", "adapters", "Convert"])
def test_a_name_whose_module_is_taken(tmp_path, name):
    with pytest.raises(ConfigError, match=f"would make a module maskflow_{name.lower()}, which is installed already"):
        write_plugin(name, tmp_path / "plugin")


def test_a_folder_that_is_in_use(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(OutputError, match="is there already; choose another --output, or remove it"):
            write_plugin("demo", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        write_plugin("demo", tmp_path / "file/plugin")


def test_an_empty_folder(tmp_path):
    assert sorted(path.name for path in write_plugin("demo", tmp_path).iterdir()) == [
        "README.md",
        "maskflow_demo.py",
        "pyproject.toml",
        "tests",
    ]


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["adapters", "new", "demo"]) == 0
    assert "cd maskflow-demo && pip install '.[test]' && pytest" in capsys.readouterr().out
    assert (tmp_path / "maskflow-demo/maskflow_demo.py").is_file()
    assert main(["adapters", "new", "demo"]) == 5
    assert main(["adapters", "new", "demo", "--output", "with space"]) == 0
    assert "cd 'with space' && " in capsys.readouterr().out
    assert main(["adapters", "new", "coco"]) == 2
