"""LabelMe's own rasteriser against ours, pixel by pixel: `python tests/judges/labelme_masks.py [FOLDER...]`.

In an environment of its own, `pip install . && pip install --no-deps labelme`: its windows are not needed, and what it
imports for them is not there. Each instance of each LabelMe file of the folders is drawn by both, and then those of
files made at random, with all types of shapes that LabelMe can draw.
"""

from __future__ import annotations

import base64
import io
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskflow_adapters.labelme import LabelmeAdapter, LabelmeOptions
from maskflow_convert.geometry import Rasteriser

for _name in ("onnxruntime", "imgviz", "imgviz.io", "loguru", "PyQt5", "tifffile"):
    sys.modules[_name] = MagicMock()

from labelme._label_file import _load_shape_json_obj  # noqa: E402
from labelme.utils.shape import shapes_to_label  # noqa: E402

Mask = NDArray[np.bool_]

LINE_WIDTH, POINT_RADIUS = 10, 5  # what `shape_to_mask` draws when nothing else is said
FILES = 1000


def main(folders: list[Path]) -> None:
    real = sum(compare(folder) for folder in folders)
    with tempfile.TemporaryDirectory() as folder:
        draw_files(Path(folder), random.Random(7))  # noqa: S311
        made = compare(Path(folder))
    print(f"LabelMe {version('labelme')}: {real} real instances and {made} random ones are the same")  # noqa: T201


def compare(folder: Path) -> int:
    """Hold all instances of a folder against LabelMe's, and return how many there are."""
    options = LabelmeOptions(annotations=folder, line_width=LINE_WIDTH, point_radius=POINT_RADIUS)
    adapter = LabelmeAdapter(options)
    count = 0
    for entry in adapter.index().entries:
        content = json.loads((folder / entry.key).read_text(encoding="utf-8"))
        width, height = content["imageWidth"], content["imageHeight"]
        rasteriser = Rasteriser(width, height)
        sample = adapter.read(entry.record)
        shapes = [shape for shape in content["shapes"] if shape["label"] != "__ignore__"]
        assert {issue.code for issue in sample.issues} <= {"object-ignored"}, sample.issues
        masks = list(by_labelme(shapes, width, height))
        assert len(masks) == len(sample.instances), entry.key
        for (label, mask), instance in zip(masks, sample.instances, strict=True):
            assert instance.label == label
            found = rasteriser.runs(instance.shape).to_dense()
            assert np.array_equal(found, mask), f"{entry.key}, shape {instance.id}: {instance.shape}"
            count += 1
    assert count, f"{folder} has no instance"
    return count


def by_labelme(shapes: list[dict[str, Any]], width: int, height: int) -> Iterator[tuple[str, Mask]]:
    """Label and mask of each instance, each drawn alone, since a label image has one instance a pixel."""
    groups: dict[Any, list[Any]] = {}
    for number, shape in enumerate(shapes):
        group = shape.get("group_id")
        key = ("alone", number) if group is None else (shape["label"], group)
        groups.setdefault(key, []).append(_load_shape_json_obj(shape))
    for members in groups.values():
        label = members[0]["label"]
        _, instances = shapes_to_label((height, width), members, {label: 1})
        yield label, instances > 0


def draw_files(folder: Path, rng: random.Random) -> None:
    for number in range(FILES):
        width, height = rng.randint(1, 80), rng.randint(1, 60)
        shapes = [any_shape(rng, width, height) for _ in range(rng.randint(1, 6))]
        content = {"shapes": shapes, "imagePath": "no.png", "imageWidth": width, "imageHeight": height}
        (folder / f"{number:04}.json").write_text(json.dumps(content), encoding="utf-8")


def any_shape(rng: random.Random, width: int, height: int) -> dict[str, Any]:
    kinds = ("polygon", "rectangle", "oriented_rectangle", "circle", "line", "linestrip", "point", "mask")
    kind = rng.choice(kinds)
    shape = {"label": rng.choice("ab"), "group_id": rng.choice([None, 0, 1]), "shape_type": kind}
    if kind == "mask":
        return {**shape, **patch(rng, width, height)}
    several = rng.randint(3, 8)
    count = {"rectangle": 2, "oriented_rectangle": 4, "circle": 2, "line": 2, "point": 1}.get(kind, several)
    return {**shape, "points": [[coordinate(rng, width), coordinate(rng, height)] for _ in range(count)]}


def coordinate(rng: random.Random, size: int) -> float:
    """Whole, half or any; sometimes outside the image."""
    value = rng.uniform(-0.3 * size, 1.3 * size)
    return rng.choice([float(round(value)), round(2 * value) / 2, value])


def patch(rng: random.Random, width: int, height: int) -> dict[str, Any]:
    """A mask that lies within the image, with whole corners: LabelMe 6.3 refuses some others and cuts off halves."""
    (left, right), (top, bottom) = (sorted(rng.randrange(size) for _ in range(2)) for size in (width, height))
    pixels = np.random.default_rng(rng.randrange(2**32)).random((bottom - top + 1, right - left + 1)) < 0.5
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    mask = base64.b64encode(file.getvalue()).decode()
    return {"points": [[left, top], [right, bottom]], "mask": mask}


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]])
