"""What the README shows is what happens."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskflow_convert import build_dataset, dataset_from_config
from maskflow_convert.cli import main
from shared_data import SHARED

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
    named = ("validate", "convert", "preview")
    assert [command[:2] for command in commands] == [["maskflow-convert", name] for name in named]
    assert [main(command[1:]) for command in commands] == [0, 0, 0]
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "preview/index.html").is_file()
    reading = blocks("python")[0].splitlines()
    assert reading[0] == "from maskflow_convert import build_dataset, dataset_from_config"
    names = {"build_dataset": build_dataset, "dataset_from_config": dataset_from_config}
    for line in reading[2:]:
        exec(line.partition("=")[2].strip(), names)  # noqa: S102 - the README's own lines


PLUGIN = ROOT / "examples/custom_adapter"


def draw_plates(folder: Path, mask: str) -> np.ndarray:
    """An image and its label image, both of 16 bits, with an object of three pixels and one of one; the labels."""
    labels = np.zeros((3, 5), np.uint16)
    labels[1, 2:5] = 400
    labels[2, 0] = 65535
    for path, values in ((folder / "plates/a.tif", labels // 2), (folder / mask, labels)):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values).save(path)
    return labels


def check_records(folder: Path, labels: np.ndarray):
    [(image, objects)] = build_dataset(folder)
    np.testing.assert_array_equal(image.numpy()[..., 0].T, labels // 2)
    np.testing.assert_array_equal(objects["masks"], [labels.T == 400, labels.T == 65535])


def test_the_adapter_that_is_printed_is_the_example():
    code = blocks("python")[1]
    assert code == (PLUGIN / "maskflow_label_images.py").read_text(encoding="utf-8")
    assert len(code.splitlines()) < 60


def test_the_adapter_works_as_printed_by_its_file(tmp_path: Path):
    (tmp_path / "maskflow_label_images.py").write_text(blocks("python")[1])
    (tmp_path / "my.yaml").write_text(blocks("yaml")[1])
    labels = draw_plates(tmp_path, "plates/a_cp_masks.png")
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    check_records(tmp_path / "records", labels)


def test_the_adapter_works_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As pip would have installed it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, value)] = project["entry-points"]["maskflow_convert.adapters"].items()
    info = tmp_path / "site/maskflow_label_images-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[maskflow_convert.adapters]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.syspath_prepend(str(info.parent))
    (tmp_path / "my.yaml").write_text(blocks("yaml")[2])
    labels = draw_plates(tmp_path, "masks/a.tif")
    (tmp_path / "plates").rename(tmp_path / "images")
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    check_records(tmp_path / "records", labels)
    assert json.loads((tmp_path / "records/dataset.json").read_text())["classes"] == [{"id": 1, "name": "nucleus"}]


def test_the_commands_for_an_adapter_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """.ci/plugins installs what is written, and runs its tests."""
    monkeypatch.chdir(tmp_path)
    [command, installation] = next(block for block in blocks("sh") if "adapters new" in block).splitlines()
    assert main(command.split()[1:]) == 0
    assert (tmp_path / "maskflow-my-format/pyproject.toml").is_file()
    assert "./maskflow-my-format[test]" in installation


@pytest.mark.real_data
def test_real_label_images(tmp_path: Path):
    """Every instance of a 16-bit pair is where its value is."""
    pair = SHARED / "microscopy"
    shutil.copy(PLUGIN / "maskflow_label_images.py", tmp_path)
    (tmp_path / "plates").mkdir()
    for name, file in (("a.tif", "img2d.tif"), ("a_cp_masks.tif", "mask2d.tif")):
        (tmp_path / "plates" / name).symlink_to(pair / file)
    (tmp_path / "my.yaml").write_text(blocks("yaml")[1])
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    values, mask = (np.asarray(Image.open(pair / name)) for name in ("img2d.tif", "mask2d.tif"))
    numbers = np.unique(mask)[1:]
    [(image, objects)] = build_dataset(tmp_path / "records")
    np.testing.assert_array_equal(image.numpy(), np.repeat(values.T[..., np.newaxis], 3, axis=2))
    assert len(numbers) == len(objects["masks"]) == 125
    for k, found in zip(numbers, objects["masks"].numpy(), strict=True):
        np.testing.assert_array_equal(found.T, mask == k)
