"""The example of an adapter works by its file and by its name, on label images of 16 bits."""

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskflow_convert import build_dataset
from maskflow_convert.cli import main
from shared_data import REPOSITORY, SHARED

PLUGIN = REPOSITORY / "examples/custom_adapter"
FILE = PLUGIN / "maskflow_label_images.py"

BY_FILE = """\
sources:
  - adapter: ./maskflow_label_images.py:LabelImageAdapter
    images: plates
    masks: plates
    suffix: _cp_masks
image: {depth: 16}
output: {directory: records}
"""

BY_NAME = """\
sources:
  - adapter: label-images
    images: images
    masks: masks
    label: nucleus
image: {depth: 16}
output: {directory: records}
"""


def test_it_is_short():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) < 60


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


def test_it_works_by_its_file(tmp_path: Path):
    shutil.copy(FILE, tmp_path)
    (tmp_path / "my.yaml").write_text(BY_FILE)
    labels = draw_plates(tmp_path, "plates/a_cp_masks.png")
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    check_records(tmp_path / "records", labels)


def test_it_works_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As pip would have installed it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, value)] = project["entry-points"]["maskflow_convert.adapters"].items()
    info = tmp_path / "site/maskflow_label_images-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[maskflow_convert.adapters]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.syspath_prepend(str(info.parent))
    (tmp_path / "my.yaml").write_text(BY_NAME)
    labels = draw_plates(tmp_path, "masks/a.tif")
    (tmp_path / "plates").rename(tmp_path / "images")
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    check_records(tmp_path / "records", labels)
    assert json.loads((tmp_path / "records/dataset.json").read_text())["classes"] == [{"id": 1, "name": "nucleus"}]


@pytest.mark.real_data
def test_real_label_images(tmp_path: Path):
    """Every instance of a 16-bit pair is where its value is."""
    pair = SHARED / "microscopy"
    shutil.copy(FILE, tmp_path)
    (tmp_path / "plates").mkdir()
    for name, file in (("a.tif", "img2d.tif"), ("a_cp_masks.tif", "mask2d.tif")):
        (tmp_path / "plates" / name).symlink_to(pair / file)
    (tmp_path / "my.yaml").write_text(BY_FILE)
    assert main(["convert", str(tmp_path / "my.yaml")]) == 0
    values, mask = (np.asarray(Image.open(pair / name)) for name in ("img2d.tif", "mask2d.tif"))
    numbers = np.unique(mask)[1:]
    [(image, objects)] = build_dataset(tmp_path / "records")
    np.testing.assert_array_equal(image.numpy(), np.repeat(values.T[..., np.newaxis], 3, axis=2))
    assert len(numbers) == len(objects["masks"]) == 125
    for k, found in zip(numbers, objects["masks"].numpy(), strict=True):
        np.testing.assert_array_equal(found.T, mask == k)
