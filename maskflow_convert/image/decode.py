"""A file, or its bytes, decoded once: its pixels as they are stored, and what its header says of them.

Pillow decodes, and simplejpeg the common JPEGs; both are kept from their leniency. What makes an image unusable is an
`ImageError`.
"""

from __future__ import annotations

import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from maskflow_convert.errors import ImageError
from maskflow_convert.image.png import MAX_PIXELS, MAX_SIDE, Chunk, Header, check_length, read_chunks, read_header
from maskflow_convert.remote import RemotePath

Size = tuple[int, int]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Formats whose samples Pillow is known to hand over whole, or whose header says when it does not.

Pillow's others include ones that scale samples unasked (PPM), cut them (JPEG 2000, AVIF) or run a program
(EPS).
"""

_PIXELS_A_BYTE = 8 * 64
"""A JPEG has at least one bit for each 8 x 8 pixels: the shortest code of one coefficient."""

_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow's plugins raise on damaged files, on purpose or by stumbling over them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many pixels an image may have, and what messages add of where that is set."""

    pixels: int = MAX_PIXELS
    set_by: str = ""


UNSET = Limit()
"""The most that is read of any image."""

FIRST_ON_ITS_SIDE = 5
"""Orientations from here to 8 exchange width and height."""


@dataclass(frozen=True)
class Source:
    """A decoded file.

    Attributes:
        data: the file's content.
        image: the decoded image, or the first of its frames; what a JPEG's pixels are decoded from if they are not.
        header: IHDR, of a PNG.
        chunks: of a PNG.
        bits: bits of a sample in the file.
        size: `(width, height)` as stored.
        orientation: EXIF's orientation, 1 to 8; 1 if there is none.
        upright: whether Pillow has applied the orientation already, as it does for TIFF.
        frames: whether there are more frames than the first.
        transparent: whether a pixel is not opaque.
        pixels: of a JPEG, `[H, W, C]` as the image would be decoded; the image is not, then.
    """

    data: bytes
    image: Image.Image
    header: Header | None
    chunks: tuple[Chunk, ...]
    bits: int
    size: Size
    orientation: int
    upright: bool
    frames: bool
    transparent: bool
    pixels: NDArray[np.uint8] | None


def decode(origin: Path | bytes, limit: Limit = UNSET) -> Source:
    """Decode a file, or its content.

    Raises:
        ImageError: `image-missing`, `image-unreadable`, `image-too-large`.
    """
    data = _read(origin)
    with pillow():
        image = _open(BytesIO(data))
        size = _stored_size(image, limit)
        if image.format in ("JPEG", "MPO") and size[0] * size[1] > _PIXELS_A_BYTE * len(data):
            told = f"{len(data):,} bytes of JPEG cannot hold {size_text(size)} pixels"  # Pillow would make them grey
            raise ImageError("image-unreadable", told)
        header = read_header(data)
        chunks = read_chunks(data) if header else ()
        if image.format == "PNG" and [chunk.kind for chunk in chunks].count(b"IHDR") != 1:
            raise ImageError("image-unreadable", "the PNG does not begin with its only header")  # Pillow takes the last
        frames = bool(getattr(image, "is_animated", False))
        before = _orientation(image) if image.format == "TIFF" else 1
        pixels = _jpeg_pixels(image, data)
        if pixels is None:
            image.load()
        if header:
            check_length(data, header, chunks)
        after = _orientation(image)
        bits = _bits(image, header)
        return Source(
            data=data,
            image=image,
            header=header,
            chunks=chunks,
            bits=bits,
            size=size,
            orientation=max(before, after),
            upright=before > after,
            frames=frames,
            transparent=_is_transparent(image, bits, data),
            pixels=pixels,
        )


def _jpeg_pixels(image: Image.Image, data: bytes) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG `[H, W, C]`, by the library that Pillow has and without its detour over four bytes a pixel.

    None for other formats, and where anything is odd: Pillow decides about that.
    """
    colours = {"RGB": "RGB", "L": "GRAY"}
    if image.format != "JPEG" or image.mode not in colours:
        return None
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours[image.mode])
    except ValueError as error:
        if "premature end of data segment" in str(error):  # Pillow makes the rest grey, and says nothing
            raise ImageError("image-unreadable", "the JPEG's pixel data ends before its last row") from error
        return None
    return pixels if pixels.shape[1::-1] == image.size else None


def _read(origin: Path | bytes) -> bytes:
    if isinstance(origin, bytes):
        return origin
    with _stream(origin) as file:
        return file.read()


@contextmanager
def _stream(origin: Path | bytes) -> Iterator[BinaryIO]:
    """The content of `origin`; what the operating system says against it becomes an `ImageError`."""
    try:
        if isinstance(origin, Path) and _is_special(origin):
            raise ImageError("image-unreadable", "the image file is a pipe or a device")
        with BytesIO(origin) if isinstance(origin, bytes) else origin.open("rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("image-missing", "the image file does not exist") from error
    except (OSError, ValueError) as error:
        raise ImageError("image-unreadable", f"the image file cannot be read: {_reason(error)}") from error


def _is_special(path: Path) -> bool:
    """Whether a path of this machine is neither a file nor a folder; others are never, and are not asked."""
    if isinstance(path, RemotePath):
        return False
    mode = path.stat().st_mode
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


_PILLOW = threading.RLock()


@contextmanager
def pillow() -> Iterator[None]:
    """Pillow without its warnings, its size limit and its leniency; its failures become `image-unreadable`.

    All of these are global to the process, so that threads take turns, and find them afterwards as they were.
    """
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, lenient = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        except _FAILURES as error:
            raise ImageError("image-unreadable", f"the image cannot be decoded: {_reason(error)}") from error
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, lenient


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def _open(file: BinaryIO) -> Image.Image:
    """The image with its header decoded, and no pixel yet."""
    try:
        return Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        known = f"neither {', '.join(_FORMATS[:-1])} nor {_FORMATS[-1]}, or its header is damaged"
        raise ImageError("image-unreadable", f"the file is {known if file.read(1) else 'empty'}") from error


def read_size(origin: Path | bytes, limit: Limit = UNSET) -> Size:
    """`(width, height)` in pixels as stored, before any EXIF orientation. Only the header is decoded.

    Raises:
        ImageError: `image-missing`, `image-unreadable`, `image-too-large`.
    """
    with _stream(origin) as file, pillow():
        return _stored_size(_open(file), limit)


def read_shown_size(origin: Path | bytes, limit: Limit = UNSET) -> Size:
    """`(width, height)` in pixels as viewers show it, an EXIF orientation applied. Only the header is decoded.

    Raises:
        ImageError: as `read_size`.
    """
    with _stream(origin) as file, pillow():
        image = _open(file)
        size = _stored_size(image, limit)
        return size[::-1] if _orientation(image) >= FIRST_ON_ITS_SIDE else size


def _stored_size(image: Image.Image, limit: Limit) -> Size:
    """`(width, height)` as stored, which Pillow exchanges in the case of a TIFF that lies on its side."""
    tags = _tiff_tags(image)
    width, height = (tags[256], tags[257]) if tags else image.size
    return check_pixels(width, height, limit)


def check_pixels(width: int, height: int, limit: Limit = UNSET) -> Size:
    """The size, in pixels, of an image that is not too large: of no more than the limit, and than `MAX_PIXELS`.

    Raises:
        ImageError: `image-too-large`.
    """
    most = min(limit.pixels, MAX_PIXELS)
    if width * height > most or max(width, height) > MAX_SIDE:
        told = f"the most that is read is {most:,}{limit.set_by}, {MAX_SIDE:,} a side"
        raise ImageError("image-too-large", f"the image has {width} x {height} pixels; {told}")
    return width, height


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF by their numbers; nothing for other formats."""
    return image.tag_v2 if isinstance(image, TiffImageFile) else {}


def _bits(image: Image.Image, header: Header | None) -> int:
    """Bits of a sample, of which Pillow keeps but eight where a pixel has several."""
    return header.depth if header else max(_tiff_tags(image).get(258, (8,)))


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 (upright) where it is missing, invalid or cannot be decoded."""
    try:
        tag = image.getexif().get(ExifTags.Base.Orientation)
    except _FAILURES:
        return 1
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _is_transparent(image: Image.Image, bits: int, data: bytes) -> bool:
    """Whether a pixel is not opaque: by its alpha, its palette entry, or being of the transparent colour."""
    last = image.getbands()[-1]
    if last in ("A", "a"):
        return bool(np.asarray(image.getchannel(last)).min() < 255)
    key = image.info.get("transparency")
    if key is None:
        return False
    if image.mode == "P":
        used = np.bincount(np.asarray(image).ravel(), minlength=256) > 0
        clear = np.frombuffer(key, np.uint8) < 255 if isinstance(key, bytes) else np.arange(256) == key
        return bool(used[: len(clear)][clear].any())
    if image.mode == "RGB" and bits == 16:
        return bool((wide_colour(data) == key).all(axis=-1).any())
    colour = bool(key) if image.mode == "1" else np.multiply(key, scale(image, bits))
    return bool((np.atleast_3d(np.asarray(image)) == colour).all(axis=-1).any())


def scale(image: Image.Image, bits: int) -> int:
    """What Pillow multiplies grey samples of 2 and 4 bits with, to fill the range of 8."""
    return 255 // (2**bits - 1) if image.mode == "L" and bits < 8 else 1


def wide_colour(data: bytes) -> NDArray[np.uint16]:
    """`[H, W, 3]` samples of a 16-bit RGB PNG, decoded twice, for Pillow unpacks but one byte of each."""
    high, low = (_unpacked(data, rawmode) for rawmode in ("RGB;16B", "RGB;16L"))
    return np.stack((low, high), axis=-1).view("<u2").astype(np.uint16, copy=False)[..., 0]


def _unpacked(data: bytes, rawmode: str) -> NDArray[np.uint8]:
    """`[H, W, 3]` as Pillow unpacks the pixels when told that they are stored so."""
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        tiles: list[Any] = [(*tile[:3], rawmode) for tile in image.tile]
        image.tile = tiles
        return np.asarray(image)


def size_text(size: Size) -> str:
    """A size as messages have it: `640 x 480`."""
    return f"{size[0]} x {size[1]}"
