"""The adapter does what every adapter must, on label images of every kind that microscopists' tools write."""

from pathlib import Path

import numpy as np
import pytest
from maskflow_label_images import LabelImageAdapter, LabelImageOptions
from PIL import Image

from maskflow_convert.errors import SourceError
from maskflow_convert.registry import load
from maskflow_convert.testing import AdapterConformance

LABELS = np.array(
    [
        [7, 7, 0, 0, 0],
        [7, 7, 0, 300, 0],
        [0, 0, 0, 300, 0],
        [7, 0, 65535, 0, 0],
    ],
    np.uint16,
)
DRAWN = {
    "7": ("cell", "##... ##... ..... #...."),
    "300": ("cell", "..... ...#. ...#. ....."),
    "65535": ("cell", "..... ..... ..... ..#.."),
}


def adapter_of(folder: Path, **options: str) -> LabelImageAdapter:
    return LabelImageAdapter(LabelImageOptions(images=folder, masks=folder, **{"suffix": "_masks", **options}))


def draw(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("image", [".png", ".tif"])
@pytest.mark.parametrize("mask", [".png", ".tif"])
class TestBesideTheImages(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path, image, mask):
        draw(tmp_path / f"b{image}", np.full((4, 5), 40_000, np.uint16))
        draw(tmp_path / f"b_masks{mask}", LABELS)
        draw(tmp_path / f"a{image}", np.zeros((4, 5, 3), np.uint8))
        draw(tmp_path / f"a_masks{mask}", np.zeros((4, 5), np.uint8))
        (tmp_path / "notes.txt").touch()
        return adapter_of(tmp_path)

    @pytest.fixture
    def expected(self, image):
        return {f"a{image}": [], f"b{image}": list(DRAWN.values())}

    @pytest.fixture(params=["missing", "damaged", "in colour", "negative", "no folder"])
    def broken(self, tmp_path, request, image, mask):
        draw(tmp_path / f"a{image}", np.zeros((4, 5), np.uint8))
        match request.param:
            case "damaged":
                (tmp_path / f"a_masks{mask}").write_bytes(b"II*")
            case "in colour":
                draw(tmp_path / f"a_masks{mask}", np.zeros((4, 5, 3), np.uint8))
            case "negative":
                draw(tmp_path / "a_masks.tif", np.full((4, 5), -1, np.int32))
            case "no folder":
                return adapter_of(tmp_path / "gone")
        return adapter_of(tmp_path)


class TestInAFolderOfTheirOwn(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path):
        draw(tmp_path / "images/a.tif", np.zeros((4, 5), np.uint8))
        draw(tmp_path / "masks/a.png", (LABELS == 7).astype(np.uint8) * 2)
        options = {"images": tmp_path / "images", "masks": tmp_path / "masks", "label": "nucleus"}
        return LabelImageAdapter(LabelImageOptions(**options))

    @pytest.fixture
    def expected(self):
        return {"a.tif": [("nucleus", DRAWN["7"][1])]}

    @pytest.fixture
    def broken(self, adapter):
        (adapter.options.masks / "a.png").unlink()
        return adapter


def test_instances_are_named_by_their_values(tmp_path):
    draw(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    draw(tmp_path / "a_masks.png", LABELS)
    assert [instance.id for instance in adapter_of(tmp_path).read(tmp_path / "a.png").instances] == list(DRAWN)


def test_one_folder_and_no_suffix(tmp_path):
    draw(tmp_path / "a.png", LABELS)
    with pytest.raises(SourceError, match="there is no image"):
        adapter_of(tmp_path, suffix="").index()


def test_the_package_offers_it():
    assert load("label-images") is LabelImageAdapter
