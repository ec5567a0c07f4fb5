"""File to pixels to PNG; EXIF, modes, depth, bombs. Beside `geometry` the one user of Pillow.

`decode` opens what others wrote, and `orientation` turns it. `read` makes of it what a record holds, `labels` the
numbers of a label image. `encode` makes PNGs, `png` knows their chunks. `overlay` draws for people.
"""

from maskflow_convert.image.decode import check_pixels, read_shown_size, read_size
from maskflow_convert.image.encode import encode_png
from maskflow_convert.image.labels import LabelImage, read_label_image, read_labels
from maskflow_convert.image.orientation import Exif, Frame
from maskflow_convert.image.png import MAX_PIXELS, check_png, is_signed_png, read_header, signed_png
from maskflow_convert.image.read import ImageSettings, StoredImage, Survey, load_pixels, load_png, survey

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
    "is_signed_png",
    "load_pixels",
    "load_png",
    "read_header",
    "read_label_image",
    "read_labels",
    "read_shown_size",
    "read_size",
    "signed_png",
    "survey",
]
