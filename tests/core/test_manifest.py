"""`dataset.json` as it is written and read: the text that one call of `json.dumps` would give, made in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from maskflow_convert.errors import SourceError
from maskflow_convert.manifest import FILE_NAME, Manifest, NamedClass, NumberedImage, SplitCounts

COUNTS = {f"{what}_{done}": 0 for what in ("images", "objects") for done in ("found", "written")} | {
    "images_dropped": {},
    "objects_dropped": {},
    "objects_by_class": {},
    "bytes": 0,
}
NAMES = ["disc", '"numbered_images": []', "line\nbreak\u2028\x85", "äß😀"]
KEYS = ["a.png", 'x/"numbered_images": [].png', "line\nbreak\u2028.png", "äß😀.png"]


def manifest(**fields: Any) -> Manifest:
    return Manifest(
        layout="documented",
        compression="none",
        channels=3,
        depth=8,
        classes=[NamedClass(id=number, name=name) for number, name in enumerate(NAMES)],
        splits={},
        unplaced=SplitCounts(**COUNTS),
        shards=[],
        fingerprint="f" * 64,
        **fields,
    )


@pytest.mark.parametrize("count", range(5))
def test_the_text_is_that_of_one_piece(tmp_path, count):
    images = [{"id": number, "source": 7, "key": key} for number, key in enumerate(KEYS[:count])]
    manifest().write(tmp_path, iter([NumberedImage(**image) for image in images]))
    text = (tmp_path / FILE_NAME).read_bytes().decode()
    tree = json.loads(text)
    assert tree["numbered_images"] == images
    assert [each["name"] for each in tree["classes"]] == NAMES
    assert text == json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    assert list(tree) == list(Manifest.model_fields)


def test_read_again_it_is_the_same(tmp_path):
    images = [NumberedImage(number, 0, key) for number, key in enumerate(KEYS)]
    manifest().write(tmp_path, images)
    assert Manifest.read(tmp_path) == manifest(numbered_images=images)


@pytest.mark.parametrize(
    "image",
    [{"id": 1, "source": 0}, {"id": 1, "source": 0, "key": 5}, {"id": 1, "source": 0, "key": "a", "more": 1}],
)
def test_a_numbered_image_that_is_none(tmp_path, image):
    manifest().write(tmp_path)
    tree = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    (tmp_path / FILE_NAME).write_text(json.dumps({**tree, "numbered_images": [image]}))
    with pytest.raises(SourceError, match=r"not a manifest of this version: numbered_images\.0"):
        Manifest.read(tmp_path)
