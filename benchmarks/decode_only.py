"""The floor under every conversion: what it takes to decode the images alone.

    python benchmarks/decode_only.py images/

decodes the images of a folder into arrays with Pillow, one after the other, and does nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

for path in sorted(Path(sys.argv[1]).iterdir()):
    with Image.open(path) as image:
        np.asarray(image.convert("RGB"))
