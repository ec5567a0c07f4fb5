"""File to pixels to PNG; EXIF, modes, depth, bombs. The one user of Pillow, simplejpeg and libdeflate.

`read` decodes what others wrote, `png` encodes what a record holds.
"""

from maskflow_convert.image.png import MAX_PIXELS, check_png, encode_png, read_header
from maskflow_convert.image.read import (
    Exif,
    Frame,
    ImageSettings,
    LabelImage,
    StoredImage,
    Survey,
    check_pixels,
    load_pixels,
    load_png,
    read_label_image,
    read_labels,
    read_shown_size,
    read_size,
    survey,
)

__all__ = [
    "MAX_PIXELS",
    "Exif",
    "Frame",
    "ImageSettings",
    "LabelImage",
    "StoredImage",
    "Survey",
    "check_pixels",
    "check_png",
    "encode_png",
    "load_pixels",
    "load_png",
    "read_header",
    "read_label_image",
    "read_labels",
    "read_shown_size",
    "read_size",
    "survey",
]
