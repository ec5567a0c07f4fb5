"""What the README shows is what happens."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskflow_convert import build_dataset, dataset_from_config
from maskflow_convert.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [body for named, body in fenced if named == language]


def without_sizes(text: str) -> list[str]:
    """The lines of a table; how far a PNG shrinks depends on the version of zlib."""
    return [re.sub(r" +[\d.]+ KB$", "", line).rstrip() for line in text.splitlines()]


def test_the_first_command_prints_the_table_that_the_readme_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    command = blocks("sh")[0].strip().rpartition("&& ")[2]
    assert command == "maskflow-convert convert configs/coco.yaml"
    assert main(["convert", "configs/coco.yaml", "--output", str(tmp_path)]) == 0
    shown = without_sizes(blocks("")[0])
    assert len(shown) == 8
    assert without_sizes(capsys.readouterr().out)[:8] == shown


def test_the_yaml_for_ones_own_data_runs_with_the_commands_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    yaml = blocks("yaml")[0]
    (tmp_path / "my.yaml").write_text(yaml)
    (tmp_path / "annotations").mkdir()
    scene = ROOT / "configs/shapes-coco"
    (tmp_path / "annotations/instances.json").write_bytes((scene / "instances.json").read_bytes())
    (tmp_path / "images").symlink_to(scene / "images")
    monkeypatch.chdir(tmp_path)
    commands = [line.split() for line in blocks("sh")[1].splitlines()]
    assert [command[0] for command in commands] == ["maskflow-convert"] * 3
    assert [main(command[1:]) for command in commands] == [0, 0, 0]
    reading = blocks("python")[0].splitlines()
    assert reading[0] == "from maskflow_convert import build_dataset, dataset_from_config"
    names = {"build_dataset": build_dataset, "dataset_from_config": dataset_from_config}
    for line in reading[2:]:
        exec(line.partition("=")[2].strip(), names)  # noqa: S102 - the README's own lines


def test_the_adapter_for_a_format_of_ones_own_works_as_printed(tmp_path: Path):
    code, yaml = blocks("python")[1], blocks("yaml")[1]
    assert len(code.splitlines()) <= 25
    (tmp_path / "cells.py").write_text(code)
    (tmp_path / "my.yaml").write_text(yaml)
    (tmp_path / "cells").mkdir()
    mask = np.zeros((3, 5), np.uint8)
    mask[1, 2:5] = 255
    Image.new("RGB", (5, 3)).save(tmp_path / "cells/cell_1.png")
    Image.fromarray(mask).save(tmp_path / "cells/cell_1.mask.png")
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    [(image, labels)] = build_dataset(tmp_path / "records")
    assert image.shape == (5, 3, 3)
    np.testing.assert_array_equal(labels["masks"][0], mask.T == 255)
