"""Inputs to begin with, from the files of the tests and of real data: `python tests/fuzz/seeds.py FOLDER [DATA]`.

`FOLDER` gets a folder for each target. Of a file that is too long, images are taken one by one, and what is embedded is
left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz import bundles
from fuzz.targets import TESTS
from maskflow_convert import convert
from maskflow_convert.manifest import FILE_NAME
from maskflow_convert.tfrecord import read_records

LONGEST = 1 << 14
CONFIGS = TESTS.parent / "configs"


def main(folder: Path, data: Path | None) -> None:
    homes = [TESTS / "bad", TESTS / "scene", CONFIGS, *([data] if data else [])]
    seeds = {
        "coco": coco(homes),
        "coco_folder": coco_folder(homes),
        "labelme": labelme(homes),
        "voc": voc(homes),
        "image": (path.read_bytes() for path in _files(homes, "png", "jpg", "tif", "tiff", "webp")),
        "config": (path.read_bytes() for path in _files(homes, "yaml")),
        **records(),
    }
    for target, inputs in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(dict.fromkeys(each for each in inputs if len(each) <= LONGEST)):
            (folder / target / f"{number:04}").write_bytes(content)


def _files(homes: Iterable[Path], *suffixes: str) -> Iterator[Path]:
    for home in homes:
        yield from sorted(path for suffix in suffixes for path in home.rglob(f"*.{suffix}"))


def _json(homes: Iterable[Path]) -> Iterator[tuple[bytes, Any]]:
    """The text, and what it holds, of which nothing may be wrong; None if there is."""
    for path in _files(homes, "json"):
        text = path.read_bytes()
        tree = None
        with suppress(ValueError, RecursionError):
            tree = json.loads(text)
        yield text, tree


def coco(homes: Iterable[Path]) -> Iterator[bytes]:
    for text, tree in _json(homes):
        if isinstance(tree, dict) and isinstance(tree.get("annotations"), list) and len(text) > 2000:
            for image in tree.get("images", [])[:12]:
                of_image = [each for each in tree["annotations"] if each.get("image_id") == image["id"]]
                used = {each.get("category_id") for each in of_image}
                categories = [each for each in tree.get("categories", []) if each["id"] in used]
                part = {"images": [image], "annotations": of_image[:12], "categories": categories}
                yield json.dumps(part).encode()
        elif not (isinstance(tree, dict) and "shapes" in tree):
            yield text


def coco_folder(homes: Iterable[Path]) -> Iterator[bytes]:
    """Files of an image, and the same as SA-1B has them; what is no such file stays as it is."""
    for text in coco(homes):
        yield text
        with suppress(ValueError, RecursionError, KeyError, TypeError):
            tree = json.loads(text)
            [image] = tree["images"]
            yield json.dumps({"image": {**image, "image_id": image["id"]}, "annotations": tree["annotations"]}).encode()


def labelme(homes: Iterable[Path]) -> Iterator[bytes]:
    for text, tree in _json(homes):
        if isinstance(tree, dict) and "shapes" in tree:
            if len(text) > LONGEST:
                tree = {**tree, "imageData": None}
                text = json.dumps(tree).encode()
            yield text


def voc(homes: Iterable[Path]) -> Iterator[bytes]:
    for path in _files(homes, "xml"):
        files = {"Annotations/good.xml": path.read_bytes()}
        for kind in ("SegmentationObject", "SegmentationClass"):
            mask = path.parents[1] / kind / f"{path.stem}.png"
            if mask.is_file():
                files[f"{kind}/good.png"] = mask.read_bytes()
        names = path.parents[1] / "labelmap.txt"
        if names.is_file():
            files["labelmap.txt"] = names.read_bytes()
        yield bundles.join(files)
        yield bundles.join({**files, "ImageSets/Main/train.txt": b"good\ngood 1\nbad  -1\n"})


def records() -> dict[str, list[bytes]]:
    """Of the scene, in both layouts, two images a file."""
    found: dict[str, list[bytes]] = {"record": [], "tfrecord": [], "manifest": []}
    source = {"adapter": "coco", "annotations": str(TESTS / "scene/coco/instances.json")}
    with tempfile.TemporaryDirectory() as scratch:
        for layout in ("documented", "rows_first"):
            folder = Path(scratch, layout)
            path = Path(scratch, "config.yaml")
            config = {
                "sources": [{**source, "images": str(TESTS / "scene/images")}],
                "on_error": "skip-object",
                "image": {"channels": "source"},
                "output": {"directory": str(folder), "layout": layout, "shard_size": "2 images"},
                "run": {"executor": "serial"},
            }
            path.write_text(json.dumps(config))
            convert(path)
            shards = sorted(folder.glob("*.tfrecord"))
            found["tfrecord"] += [shard.read_bytes() for shard in shards]
            found["record"] += [record for shard in shards for record in read_records(shard)]
            manifest = (folder / FILE_NAME).read_bytes()
            found["manifest"] += [manifest, bundles.join({FILE_NAME: manifest, "a.tfrecord": shards[0].read_bytes()})]
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
