"""An image with more annotations than are read is refused, and named; all others are converted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from maskflow_adapters import bounds, coco_index
from maskflow_convert import convert
from maskflow_convert.config import load_config
from maskflow_convert.errors import RecordError
from maskflow_convert.prepare import prepare

PLACE = (Path("a.json"), 7)
POLYGON = [[1, 1, 7, 1, 7, 5]]
REMEDY = "the most that is read of one; cut it into tiles"


def told_of(lengths) -> str:
    """The message about an image with texts of these lengths, which is refused."""
    with pytest.raises(RecordError) as caught:
        bounds.check_amount(lengths, lambda: PLACE)
    error = caught.value
    assert (error.code, error.path, error.line) == ("record-broken", *PLACE)
    return error.message


@pytest.mark.parametrize(
    "lengths", [[], [1] * 200_000, [16_777_216] * 8, [10**9]], ids=["none", "objects", "bytes", "one too long"]
)
def test_the_most_is_read(lengths):
    bounds.check_amount(lengths, lambda: PLACE)


def test_more_is_not():
    assert told_of([1] * 200_001) == f"the image has more than 200,000 objects, {REMEDY}"
    assert told_of([16_777_216] * 8 + [1]) == f"the objects of the image take more than 134,217,728 bytes, {REMEDY}"


def test_no_more_is_looked_at_than_tells():
    taken = 0

    def without_end() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 0

    assert told_of(without_end())
    assert taken == 200_001


# through each adapter: image b of three has four objects, of which each other has one


def coco_file(folder: Path) -> dict[str, object]:
    """The first annotation of image b stands in line 3."""
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("abc")]
    annotations = [{"id": n, "image_id": image, "category_id": 1} for n, image in enumerate([0, 1, 1, 2, 1, 1])]
    listed = ",\n".join(json.dumps({**each, "segmentation": POLYGON}) for each in annotations)
    categories = [{"id": 1, "name": "cell"}]
    (folder / "all.json").write_text(
        f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [\n{listed}]}}'
    )
    return {"adapter": "coco", "annotations": "all.json", "images": "."}


def coco_files(folder: Path) -> dict[str, object]:
    """The annotations begin in line 2."""
    (folder / "set").mkdir()
    for number, (name, objects) in enumerate(zip("abc", (1, 4, 1), strict=True)):
        image = {"image_id": number, "file_name": f"{name}.png"}
        annotations = json.dumps([{"id": n, "segmentation": POLYGON} for n in range(objects)])
        (folder / f"set/{name}.json").write_text(f'{{"image": {json.dumps(image)},\n"annotations": {annotations}}}')
    return {"adapter": "coco", "annotations": "set", "images": ".", "label": "cell"}


def coco_files_with_categories(folder: Path) -> dict[str, object]:
    source = coco_files(folder)
    for path in (folder / "set").iterdir():
        tree = json.loads(path.read_text())
        annotations = json.dumps([{**each, "category_id": 1} for each in tree["annotations"]])
        rest = json.dumps({"image": tree["image"], "categories": [{"id": 1, "name": "cell"}]})
        path.write_text(f'{rest[:-1]},\n"annotations": {annotations}}}')
    del source["label"]
    return source


def labelme(folder: Path) -> dict[str, object]:
    """The shapes begin in line 2."""
    (folder / "set").mkdir()
    shape = {"label": "cell", "points": [[1, 1], [7, 1], [7, 5]], "shape_type": "polygon"}
    for name, objects in zip("abc", (1, 4, 1), strict=True):
        (folder / f"set/{name}.json").write_text(
            f'{{"imagePath": "{name}.png",\n"shapes": {json.dumps([shape] * objects)}}}'
        )
    return {"adapter": "labelme", "annotations": "set", "images": "."}


@pytest.fixture(params=["objects", "bytes"])
def few(request, monkeypatch) -> str:
    """Three objects at most, or 150 bytes, of which one takes 47 to 90; and what is said of four."""
    if request.param == "objects":
        monkeypatch.setattr(bounds, "MAX_OBJECTS", 3)
        monkeypatch.setattr(coco_index, "MAX_OBJECTS", 3)
        return f"the image has more than 3 objects, {REMEDY}"
    monkeypatch.setattr(bounds, "MAX_BYTES", 150)
    return f"the objects of the image take more than 150 bytes, {REMEDY}"


@pytest.mark.parametrize(
    ("write", "file", "line"),
    [
        (coco_file, "all.json", 3),
        (coco_files, "set/b.json", 2),
        (coco_files_with_categories, "set/b.json", 2),
        (labelme, "set/b.json", 2),
    ],
)
def test_one_image_is_refused_and_the_others_are_converted(tmp_path, few, write, file, line):
    """Its objects are not counted, as those of a file that cannot be read."""
    for name in "abc":
        Image.new("L", (8, 6)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.yaml").write_text(
        json.dumps({
            "sources": [write(tmp_path)],
            "on_error": "skip-object",
            "output": {"directory": "out"},
            "run": {"executor": "serial"},
        })
    )  # fmt: skip
    convert(tmp_path / "c.yaml")
    manifest = json.loads((tmp_path / "out/dataset.json").read_text())
    parts = [manifest["unplaced"], *manifest["splits"].values()]
    images, written = (sum(part[f"images_{key}"] for part in parts) for key in ("found", "written"))
    objects = [sum(part[f"objects_{key}"] for part in parts) for key in ("found", "written")]
    assert (images, written, objects) == (3, 2, [2, 2])
    [issue] = map(json.loads, (tmp_path / "out/issues.jsonl").read_text().splitlines())
    assert (issue["code"], issue["loss"], issue["message"]) == ("record-broken", "image", few)
    assert (issue["path"], issue["line"]) == (str(tmp_path / file), line)


def test_the_index_collects_no_more_than_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_index, "MAX_OBJECTS", 2)
    (tmp_path / "c.yaml").write_text(json.dumps({"sources": [coco_file(tmp_path)]}))
    [index] = prepare(load_config(tmp_path / "c.yaml")).indexes
    assert [len(entry.record.spans) for entry in index.entries] == [1, 3, 1]
