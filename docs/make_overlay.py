"""Draws docs/records.png: the images of written records above, the same with their masks below.

    python docs/make_overlay.py

The records are those of `maskflow-convert convert configs/coco.yaml`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from maskflow_convert import convert, load_config
from maskflow_convert.image import encode_png
from maskflow_convert.image.overlay import Rgb
from maskflow_convert.preview import Choice, Preview, preview_records
from maskflow_convert.records import Records

DOCS = Path(__file__).parent
PICTURE = DOCS / "records.png"

WANTED = ("scene-102.jpg", "scene-101.png", "scene-112.jpg", "level-110.jpg")
SCALE, GAP = 2, 12


def picture() -> Rgb:
    """The pictures side by side."""
    with TemporaryDirectory() as folder:
        convert(load_config(DOCS.parent / "configs/coco.yaml", [f"output.directory={folder}"]))
        found = {preview.name: preview for preview in preview_records(Records.find(folder), Choice(limit=1000))}
        pictures = [above_and_below(found[name]) for name in WANTED]
    gap = np.full((len(pictures[0]), GAP, 3), 255, np.uint8)
    return np.concatenate([part for each in pictures for part in (gap, each)][1:], axis=1)


def above_and_below(preview: Preview) -> Rgb:
    """The stored image, and below it the same with its masks."""
    side = SCALE * max(preview.scene.width, preview.scene.height)
    above, below = preview.bare(side), preview.drawn(side)
    return np.concatenate([above, np.full((GAP, *above.shape[1:]), 255, np.uint8), below])


if __name__ == "__main__":
    PICTURE.write_bytes(encode_png(picture()))
