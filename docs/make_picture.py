"""Draws docs/records.png, the picture in the README: the images of written records above, their masks below.

Call it with the output of `maskflow-convert convert configs/coco.yaml`: `python docs/make_picture.py build/coco`.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from maskflow_convert.record import Record
from maskflow_convert.records import Records, read_file

COLOURS = np.array([(230, 60, 60), (60, 140, 230), (60, 180, 90), (240, 180, 40), (170, 90, 210)])
WANTED = ("scene-102.jpg", "scene-101.png", "scene-112.jpg", "scene-105.jpg")
SCALE, GAP = 2, 12


def picture(record: Record) -> Image.Image:
    """The stored image above its masks on a dark ground, read as the layout `documented` says."""
    upright = np.asarray(Image.open(BytesIO(record.png)).convert("RGB"))
    tinted = upright // 5
    n, x, y = record.indices.T
    tinted[y, x] = COLOURS[n % len(COLOURS)]
    stacked = np.concatenate([upright, np.full((GAP // SCALE, record.width, 3), 255, np.uint8), tinted])
    return Image.fromarray(stacked).resize((record.width * SCALE, len(stacked) * SCALE), Image.Resampling.NEAREST)


def main(records: str) -> None:
    """Draw the pictures side by side."""
    found = {record.basename: record for path in Records.find(records).paths for record in read_file(path)}
    pictures = [picture(found[name]) for name in WANTED]
    width = sum(each.width + GAP for each in pictures) - GAP
    sheet = Image.new("RGB", (width, max(each.height for each in pictures)), "white")
    left = 0
    for each in pictures:
        sheet.paste(each, (left, 0))
        left += each.width + GAP
    sheet.save(Path(__file__).with_name("records.png"), optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
