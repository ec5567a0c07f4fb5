"""A COCO data set with all that could break a page: names that are markup, masks that leave the image, and no image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SCRIPT = "<script>alert(1)</script>"
CLASSES = (
    "cell",
    SCRIPT,
    "person\u202egpj.exe",
    "two\nlines",
    "quo\"te's & <b>",
    "a very long name that goes on and on, which nobody reads to its end, and yet it goes on and on and on",
    "細胞",
    "without an object",
)
QUOTED = "quo\"te's & <b>.png"
IMAGES = {"wide.png": (300, 120), "tall.png": (80, 200), QUOTED: (64, 48), "deep.png": (90, 70), "gone.png": (50, 50)}


def write_nasty_set(folder: Path) -> Path:
    """Write images, annotations and the YAML, whose path is returned."""
    for name, (width, height) in IMAGES.items():
        if name != "gone.png":
            _picture(name, width, height).save(folder / name)
    names = list(IMAGES)
    tree = {
        "images": [
            {"id": number, "file_name": name, "width": IMAGES[name][0], "height": IMAGES[name][1]}
            for number, name in enumerate(names)
        ],
        "annotations": [
            {"id": number, "image_id": names.index(name), "category_id": CLASSES.index(label), "iscrowd": 0, **what}
            for number, (name, label, what) in enumerate(_objects())
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
    }
    tree["images"][1]["width"] += 1
    (folder / "nasty.json").write_text(json.dumps(tree), encoding="utf-8")
    config = {
        "sources": [{"adapter": "coco", "annotations": "nasty.json"}],
        "splits": {"train": 0.5, "val": 0.5, "seed": 5},
        "run": {"executor": "serial"},
    }
    path = folder / "nasty.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _picture(name: str, width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    if name == "deep.png":
        return Image.fromarray((1000 + 3 * x + 2 * y).astype(np.uint16))
    return Image.fromarray(np.stack([x * 150 // width, y * 255 // height, 0 * x + 90], axis=-1).astype(np.uint8))


def _objects() -> list[tuple[str, str, dict[str, Any]]]:
    """Image, class, and what the annotation has of a mask."""
    return [
        *(("wide.png", label, _disc(20 + 40 * number, 60, 15)) for number, label in enumerate(CLASSES[:-1])),
        *((QUOTED, "cell", _disc(8 + 6 * number, 20, 2)) for number in range(8)),
        ("wide.png", SCRIPT, _disc(300, 60, 40)),
        ("wide.png", "cell", _disc(900, 60, 10)),
        ("wide.png", "cell", _polygon(10, 10, 1e12, 20, 30, 30)),
        ("wide.png", "cell", _polygon(10, 10, 20, 20)),
        ("wide.png", "cell", {"segmentation": {"size": [5, 5], "counts": "zzz"}}),
        (QUOTED, "cell", {"segmentation": [], "bbox": [10, 10, 20, 15]}),
        (QUOTED, SCRIPT, {"segmentation": []}),
        ("tall.png", "cell", _disc(40, 100, 20)),
        ("deep.png", "cell", _disc(40, 40, 20)),
        ("gone.png", "cell", _disc(20, 20, 9)),
    ]


def _disc(x: float, y: float, radius: float) -> dict[str, Any]:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], axis=1)
    return _polygon(*points.ravel().round(2).tolist())


def _polygon(*points: float) -> dict[str, Any]:
    return {"segmentation": [list(points)]}
