"""Draws docs/records.png, the picture in the README: the images of written records above, their masks below.

Call it with the output of `maskflow-convert convert configs/coco.yaml`: `python docs/make_picture.py build/coco`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from maskflow_convert.image import encode_png
from maskflow_convert.image.overlay import Rgb
from maskflow_convert.preview import Choice, Preview, preview_records
from maskflow_convert.records import Records

WANTED = ("scene-102.jpg", "scene-101.png", "scene-112.jpg", "scene-105.jpg")
SCALE, GAP = 2, 12


def picture(preview: Preview) -> Rgb:
    """The stored image above the same with its masks."""
    side = SCALE * max(preview.scene.width, preview.scene.height)
    above, below = preview.bare(side), preview.drawn(side)
    return np.concatenate([above, np.full((GAP, *above.shape[1:]), 255, np.uint8), below])


def main(records: str) -> None:
    """Draw the pictures side by side."""
    found = {preview.name: preview for preview in preview_records(Records.find(records), Choice(limit=1000))}
    pictures = [picture(found[name]) for name in WANTED]
    height = max(len(each) for each in pictures)
    columns = [np.pad(each, ((0, height - len(each)), (0, GAP), (0, 0)), constant_values=255) for each in pictures]
    Path(__file__).with_name("records.png").write_bytes(encode_png(np.concatenate(columns, axis=1)[:, :-GAP]))


if __name__ == "__main__":
    main(sys.argv[1])
