"""Several pictures as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from maskflow_convert.image.overlay import Rgb

COLUMNS = 4
CELL = 240
"""Side of the square that each picture is fitted into, in screen pixels."""

_GAP = 8
_GROUND = (43, 43, 49)


def side_by_side(pictures: Sequence[Rgb]) -> Rgb:
    """Pictures `[rows, columns, 3]` in rows of four, each scaled to its square; at least one."""
    columns = min(len(pictures), COLUMNS)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (CELL + _GAP) + _GAP, rows * (CELL + _GAP) + _GAP), _GROUND)
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        image.thumbnail((CELL, CELL), Image.Resampling.BOX)
        row, column = divmod(number, columns)
        left, top = _GAP + column * (CELL + _GAP), _GAP + row * (CELL + _GAP)
        sheet.paste(image, (left + (CELL - image.width) // 2, top + (CELL - image.height) // 2))
    return np.asarray(sheet)
