"""File to pixels to PNG; EXIF, modes, depth, bombs. The one user of Pillow and isal.

`read` decodes what others wrote, `png` encodes what a record holds.
"""

from maskflow_convert.image.png import encode_png, read_header
from maskflow_convert.image.read import (
    MAX_PIXELS,
    Exif,
    ImageSettings,
    StoredImage,
    load_pixels,
    load_png,
    read_labels,
    read_size,
)

__all__ = [
    "MAX_PIXELS",
    "Exif",
    "ImageSettings",
    "StoredImage",
    "encode_png",
    "load_pixels",
    "load_png",
    "read_header",
    "read_labels",
    "read_size",
]
