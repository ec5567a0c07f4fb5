"""What is shipped: configurations that run, one version, entry points that lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest

import maskflow_convert
from maskflow_convert import Adapter, load_config
from maskflow_convert.cli import main
from maskflow_convert.registry import GROUP, installed

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


class TestConfigs:
    def test_there_are_some(self):
        assert {"coco.yaml", "shapes.yaml"} <= {path.name for path in CONFIGS}

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_runs_as_it_stands(self, path, tmp_path, capsys):
        assert main(["convert", str(path), "--output", str(tmp_path / "out")]) == 0
        splits = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))["splits"]
        assert splits.keys() == {"train", "val"}
        for counts in splits.values():
            assert counts["images_written"] == counts["images_found"] > 0
            assert counts["objects_written"] > 0
        assert not any(issue["severity"] == "error" for issue in self.issues(tmp_path))

    def issues(self, folder: Path) -> list[dict[str, object]]:
        return [json.loads(line) for line in (folder / "out/issues.jsonl").read_text(encoding="utf-8").splitlines()]

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_what_is_often_wanted_too(self, path, tmp_path, capsys):
        """Settings that a comment proposes are settings, and none of them stops the conversion."""
        text = path.read_text(encoding="utf-8")
        proposed = re.findall(r"^#   (\w+): (.*)$", text, flags=re.MULTILINE)
        for key, value in proposed:
            arguments = ["--output", str(tmp_path / "out"), "--set", f"{key}={value}"]
            assert main(["convert", str(path), "--dry-run", *arguments]) == 0
        assert proposed or "Often wanted" not in text

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_says_how_it_is_run(self, path):
        assert f"maskflow-convert convert configs/{path.name}" in path.read_text(encoding="utf-8")

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_writes_to_build(self, path):
        assert load_config(path).output.directory == ROOT / "build" / path.stem


class TestVersion:
    def test_is_one_place(self):
        place = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
        assert f'__version__ = "{maskflow_convert.__version__}"' in place.read_text(encoding="utf-8").splitlines()
        assert "version" in PROJECT["project"]["dynamic"]
        assert "version" not in PROJECT["project"]
        written = [
            path
            for package in PACKAGES
            for path in (ROOT / package).rglob("*.py")
            if re.search(r"^\s*_*version_*\s*=\s*['\"]\d", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        ]
        assert written == [place]

    def test_is_a_version(self):
        assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", maskflow_convert.__version__)


class TestProject:
    def test_packages_are_there(self):
        assert [Path(package).name for package in PACKAGES] == ["maskflow_convert", "maskflow_adapters"]
        assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)

    def test_adapters_is_no_package(self):
        """The import name `adapters` belongs to another distribution."""
        assert not (ROOT / "adapters/__init__.py").exists()

    def test_typed(self):
        """Type checkers believe a package with a marker only."""
        assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
        assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)

    def test_entry_points(self):
        declared = PROJECT["project"]["entry-points"][GROUP]
        own = {
            name: offer.value
            for name, offers in installed().items()
            for offer in offers
            if offer.dist is not None and offer.dist.name == "maskflow-convert"
        }
        assert own == declared
        for value in declared.values():
            module, _, name = value.partition(":")
            assert issubclass(getattr(importlib.import_module(module), name), Adapter)

    def test_script(self):
        module, _, name = PROJECT["project"]["scripts"]["maskflow-convert"].partition(":")
        assert getattr(importlib.import_module(module), name) is main

    @pytest.mark.parametrize("file", ["readme", "license-files"])
    def test_files_that_it_names(self, file):
        names = PROJECT["project"][file]
        assert all((ROOT / name).is_file() for name in ([names] if isinstance(names, str) else names))
