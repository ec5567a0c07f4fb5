"""Decoding: a file, or its bytes, to the pixels that a record holds, and what was found on the way.

Nothing is cut in silence. What makes an image unusable is an `ImageError`; what the user may decide about
(an orientation that cannot be told, samples of 16 bits, transparency, further frames) is an issue beside a
usable image.
"""

from __future__ import annotations

import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from maskflow_convert.errors import ImageError
from maskflow_convert.image.png import (
    COLOUR,
    GREY,
    MAX_PIXELS,
    MAX_SIDE,
    Chunk,
    Header,
    check_length,
    check_png,
    png_pieces,
    read_chunks,
    read_header,
)
from maskflow_convert.issues import Issue
from maskflow_convert.shape import Model

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Size = tuple[int, int]
T = TypeVar("T")

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Formats whose samples Pillow is known to hand over whole, or whose header says when it does not.

Pillow's others include ones that scale samples unasked (PPM), cut them (JPEG 2000, AVIF) or run a program
(EPS).
"""

_STRIP_BYTES = 1 << 22

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


class Exif(StrEnum):
    """What is done about an EXIF orientation.

    It is applied, ignored, taken for an error, or (auto) what the format of the annotation says; where that says
    nothing, applied if the image then has the size that the annotation states, and ignored if it has that size as it
    is stored.
    """

    AUTO = "auto"
    APPLY = "apply"
    IGNORE = "ignore"
    ERROR = "error"


class Frame(StrEnum):
    """The two ways round that an image with an EXIF orientation has: as it is stored, and as viewers show it."""

    STORED = "stored"
    SHOWN = "shown"


class ImageSettings(Model):
    """How images are stored: the section `image` of the YAML.

    `channels` is what each image is brought to; `source` keeps grey ones at 1 and gives all others 3.
    `depth` is in bits a sample.
    """

    exif: Exif = Exif.AUTO
    channels: Literal[1, 3, "source"] = 3
    depth: Literal[8, 16] = 8


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as a record holds it: a PNG in pieces, its size in pixels, its channels (1 or 3), bits a sample."""

    pieces: tuple[bytes, ...]
    width: int
    height: int
    channels: int
    depth: int

    @property
    def png(self) -> bytes:
        """The PNG in one piece."""
        return b"".join(self.pieces)


def load_png(
    origin: Path | bytes, settings: ImageSettings, expected: Size | None, annotated: Frame | None = None
) -> tuple[StoredImage, list[Issue]]:
    """An image as a record holds it. A PNG that already is what is wanted is passed on byte for byte.

    Args:
        origin: the file, or its content.
        settings: what is wanted.
        expected: `(width, height)` that the annotation states, if it does; that of the frame it was made in.
        annotated: which way round the image was when it was annotated, if that is known.

    Returns:
        The image, and what was found that the user may want to decide about.

    Raises:
        ImageError: the image cannot be used: `image-missing`, `image-unreadable`, `image-too-large`,
            `image-mode-unsupported`, `image-orientation-present`, `image-size-differs`.
    """
    source = _decode(origin)
    if source.header and _is_wanted_png(source, settings):
        _hold_against(expected, source.size)
        channels = 1 if source.header.colour == GREY else 3
        return StoredImage((source.data,), *source.size, channels, settings.depth), []
    pixels, issues = _load(source, settings, expected, annotated)
    height, width, channels = pixels.shape
    del source  # its decoded image is as large again
    return StoredImage(tuple(png_pieces(pixels)), width, height, channels, settings.depth), issues


def load_pixels(
    origin: Path | bytes, settings: ImageSettings, expected: Size | None, annotated: Frame | None = None
) -> tuple[Pixels, list[Issue]]:
    """The pixels of what `load_png` makes: `[H, W, C]`, 8 or 16 bits as in `settings`. They may be read-only.

    Args:
        origin: the file, or its content.
        settings: what is wanted.
        expected: `(width, height)` that the annotation states, if it does.
        annotated: which way round the image was when it was annotated, if that is known.

    Raises:
        ImageError: as `load_png`.
    """
    return _load(_decode(origin), settings, expected, annotated)


@dataclass(frozen=True, slots=True)
class Survey:
    """An image that was looked at and not kept: its size in pixels, and a digest of its file's content."""

    width: int
    height: int
    digest: bytes


def survey(
    origin: Path | bytes, settings: ImageSettings, expected: Size | None, annotated: Frame | None = None
) -> tuple[Survey, list[Issue]]:
    """What `load_png` would find of an image, and more, without making a PNG of it. Arguments as there.

    Raises:
        ImageError: as `load_png`.
    """
    source = _decode(origin)
    pixels, issues = _load(source, settings, expected, annotated)
    if _is_uniform(pixels):
        issues.append(Issue("image-uniform", f"all pixels are {tuple(pixels[0, 0].tolist())}"))
    digest = blake2b(source.data, digest_size=16).digest()
    return Survey(pixels.shape[1], pixels.shape[0], digest), issues


def _is_uniform(pixels: Pixels) -> bool:
    """Whether all pixels are the same; most images show in their first rows that they are not."""
    rows = _rows_of_strip(pixels[0].nbytes)
    return all(bool((pixels[top : top + rows] == pixels[0, 0]).all()) for top in range(0, len(pixels), rows))


def read_size(origin: Path | bytes) -> Size:
    """`(width, height)` in pixels as stored, before any EXIF orientation. Only the header is decoded.

    Raises:
        ImageError: `image-missing`, `image-unreadable`, `image-too-large`.
    """
    with _stream(origin) as file, _pillow():
        return _stored_size(_open(file))


def read_shown_size(origin: Path | bytes) -> Size:
    """`(width, height)` in pixels as viewers show it, an EXIF orientation applied. Only the header is decoded.

    Raises:
        ImageError: as `read_size`.
    """
    with _stream(origin) as file, _pillow():
        image = _open(file)
        size = _stored_size(image)
        return size[::-1] if _orientation(image) >= _FIRST_ON_ITS_SIDE else size


def read_labels(origin: Path | bytes) -> NDArray[np.integer[Any]]:
    """The numbers of a label image, `[H, W]`: the indices of a palette image, the values of a grey one.

    Grey values keep the range of their file: 0 and 1 for 1 bit, 0 to 15 for 4 bits, signed 32-bit integers
    for TIFF's.

    Raises:
        ImageError: `mask-unreadable` if it cannot be read, or its pixels are not one whole number each.
    """
    return _read_mask(origin, _labels)


@dataclass(frozen=True, slots=True)
class LabelImage:
    """A label image, whether it tells its regions apart by numbers or by colours.

    Attributes:
        pixels: `[H, W]` palette indices or grey values; `[H, W, 3]` 8-bit colours where there is no palette.
        palette: `[N, 3]` 8-bit colours of the indices from 0 on; None where there is no palette.
    """

    pixels: NDArray[np.integer[Any]]
    palette: NDArray[np.uint8] | None = None


def read_label_image(origin: Path | bytes) -> LabelImage:
    """A label image with its colours, if it has any. Numbers are those of `read_labels`.

    Raises:
        ImageError: `mask-unreadable` if it cannot be read, or its pixels are neither one whole number each nor an
            opaque 8-bit colour.
    """
    return _read_mask(origin, _label_image)


def _read_mask(origin: Path | bytes, read: Callable[[_Source], T]) -> T:
    """What `read` makes of a decoded mask."""
    try:
        source = _decode(origin)
        with _pillow():
            return read(source)
    except ImageError as error:
        path = origin if isinstance(origin, Path) else None
        raise ImageError("mask-unreadable", error.message, path) from error


@dataclass(frozen=True)
class _Source:
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


def _decode(origin: Path | bytes) -> _Source:
    data = _read(origin)
    with _pillow():
        image = _open(BytesIO(data))
        size = _stored_size(image)
        if image.format in ("JPEG", "MPO") and size[0] * size[1] > _PIXELS_A_BYTE * len(data):
            told = f"{len(data):,} bytes of JPEG cannot hold {_by(size)} pixels"  # Pillow would make them grey
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
        return _Source(
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
        if isinstance(origin, Path) and not stat.S_ISREG(mode := origin.stat().st_mode) and not stat.S_ISDIR(mode):
            raise ImageError("image-unreadable", "the image file is a pipe or a device")
        with BytesIO(origin) if isinstance(origin, bytes) else origin.open("rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("image-missing", "the image file does not exist") from error
    except (OSError, ValueError) as error:
        raise ImageError("image-unreadable", f"the image file cannot be read: {_reason(error)}") from error


_PILLOW = threading.RLock()


@contextmanager
def _pillow() -> Iterator[None]:
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


def _stored_size(image: Image.Image) -> Size:
    """`(width, height)` as stored, which Pillow exchanges in the case of a TIFF that lies on its side."""
    tags = _tiff_tags(image)
    width, height = (tags[256], tags[257]) if tags else image.size
    return check_pixels(width, height)


def check_pixels(width: int, height: int) -> Size:
    """The size, in pixels, of an image that is not too large.

    Raises:
        ImageError: `image-too-large`.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(
            "image-too-large",
            f"the image has {width} x {height} pixels; the most that is read is {MAX_PIXELS:,}, {MAX_SIDE:,} a side",
        )
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
        return bool((_wide_colour(data) == key).all(axis=-1).any())
    colour = bool(key) if image.mode == "1" else np.multiply(key, _scale(image, bits))
    return bool((np.atleast_3d(np.asarray(image)) == colour).all(axis=-1).any())


def _scale(image: Image.Image, bits: int) -> int:
    """What Pillow multiplies grey samples of 2 and 4 bits with, to fill the range of 8."""
    return 255 // (2**bits - 1) if image.mode == "L" and bits < 8 else 1


def _is_wanted_png(source: _Source, settings: ImageSettings) -> bool:
    """Whether the file already is the PNG that `encode_png` would make, but for its compression, and is sound."""
    if source.header is None or source.header.depth != settings.depth or source.orientation != 1:
        return False
    wanted = {1: (GREY,), 3: (COLOUR,), "source": (GREY, COLOUR)}[settings.channels]
    kinds = {chunk.kind for chunk in source.chunks}
    return (
        source.header.colour in wanted
        and kinds.isdisjoint((b"tRNS", b"eXIf", b"acTL"))
        and source.chunks[-1].end + 4 == len(source.data)
        and _is_sound_png(source.data)
    )


def _is_sound_png(data: bytes) -> bool:
    """Whether a decoder that is stricter than Pillow takes a PNG, too: TensorFlow's is."""
    try:
        check_png(data)
    except ImageError:
        return False
    return True


def _load(
    source: _Source, settings: ImageSettings, expected: Size | None, annotated: Frame | None
) -> tuple[Pixels, list[Issue]]:
    frame, issues = _frame(source, settings.exif, expected, annotated)
    _hold_against(
        expected,
        source.size[::-1] if frame is Frame.SHOWN and source.orientation >= _FIRST_ON_ITS_SIDE else source.size,
    )
    with _pillow():
        pixels, loss = _samples(source, settings)
    pixels = _turned(pixels, source, frame)
    return pixels, [*issues, *loss, *_findings(source)]


def _frame(source: _Source, policy: Exif, expected: Size | None, annotated: Frame | None) -> tuple[Frame, list[Issue]]:
    """Which way round the image is taken, and the issue if that had to be decided."""
    tag, size, shown = source.orientation, source.size, source.size[::-1]
    if tag == 1 or policy is Exif.IGNORE:
        return Frame.STORED, []
    if policy is Exif.APPLY:
        return Frame.SHOWN, []
    if policy is Exif.ERROR:
        raise ImageError("image-orientation-present", f"the image has EXIF orientation {tag}")
    if annotated is not None:
        return annotated, []
    if tag < _FIRST_ON_ITS_SIDE or expected is None or size == shown:
        why = "no size is annotated" if expected is None else "the size is the same either way"
        message = f"EXIF orientation {tag} was not applied: {why}"
        return Frame.STORED, [Issue("image-orientation-ambiguous", message)]
    decision = "applied" if expected == shown else "ignored"
    message = f"EXIF orientation {tag} was {decision}: stored are {_by(size)}, annotated {_by(expected)} pixels"
    frame = Frame.SHOWN if expected == shown else Frame.STORED
    return frame, [Issue("image-orientation", message)]


_FIRST_ON_ITS_SIDE = 5
"""Orientations from here to 8 exchange width and height."""

_TURNS: Mapping[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""What brings pixels `[H, W, ...]` stored with each orientation upright (EXIF 2.32, tag 0x0112)."""
_BACK = {6: 8, 8: 6}
"""The orientation whose turn undoes that of another; the rest undo themselves."""


def _turned(pixels: NDArray[Any], source: _Source, frame: Frame) -> NDArray[Any]:
    """Decoded pixels the way round that is wanted."""
    tag = source.orientation
    if frame is Frame.SHOWN and not source.upright:
        return np.ascontiguousarray(_TURNS[tag](pixels))
    if frame is Frame.STORED and source.upright:
        return np.ascontiguousarray(_TURNS[_BACK.get(tag, tag)](pixels))
    return pixels


def _hold_against(expected: Size | None, size: Size) -> None:
    if expected is None or expected == size:
        return
    swapped = ", which is the same lying on its side" if expected == size[::-1] else ""
    raise ImageError(
        "image-size-differs",
        f"the image has {_by(size)} pixels, the annotation says {_by(expected)}{swapped}",
    )


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _findings(source: _Source) -> Iterator[Issue]:
    if source.transparent:
        yield Issue("image-alpha-dropped", "some pixels are transparent; their colours are kept, their alpha is not")
    if source.frames:
        yield Issue("image-multiple-frames", "the file holds several frames or pages; the first was taken")


def _samples(source: _Source, settings: ImageSettings) -> tuple[Pixels, list[Issue]]:
    """The decoded pixels, `[H, W, C]`, with the channels and the depth that are wanted."""
    image = source.image
    if image.mode == "F":
        raise ImageError("image-mode-unsupported", "the samples are floating-point numbers")
    if image.mode.startswith("I"):
        return _from_wide_grey(_wide_grey(image), source.bits, settings)
    if source.bits <= 8:
        return _from_bytes(source, settings), []
    if settings.depth == 16:
        return _from_wide_colour(source, settings), []
    loss = Issue("image-depth-loss", f"{source.bits} bits a sample; 8 bits hold the upper ones")
    return _from_bytes(source, settings), [loss]


def _wide_grey(image: Image.Image) -> NDArray[np.uint16]:
    """`[H, W]` 16-bit samples; Pillow holds some of them in 32 bits, signed."""
    values = np.asarray(image)
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 0xFFFF):
        found = f"{values.min()} to {values.max()}"
        raise ImageError("image-mode-unsupported", f"the samples run from {found}, 16 bits hold 0 to 65535")
    return values.astype(np.uint16, copy=False)


def _from_wide_grey(values: NDArray[np.uint16], bits: int, settings: ImageSettings) -> tuple[Pixels, list[Issue]]:
    channels = 3 if settings.channels == 3 else 1
    if settings.depth == 16:
        return _repeated(values, channels), []
    found = f"{values.min()} to {values.max()}"
    message = f"{bits} bits a sample, which run from {found}; 8 bits hold the upper half of 16"
    return _repeated((values >> 8).astype(np.uint8), channels), [Issue("image-depth-loss", message)]


def _repeated(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """`[H, W]` to `[H, W, channels]`."""
    return np.repeat(values[..., np.newaxis], channels, axis=2)


def _from_wide_colour(source: _Source, settings: ImageSettings) -> NDArray[np.uint16]:
    if source.header is None or source.header.colour != COLOUR or settings.channels == 1:
        raise ImageError(
            "image-mode-unsupported",
            f"{source.bits}-bit samples are kept of grey images and of RGB PNGs that stay RGB, not of others",
        )
    return _wide_colour(source.data)


def _wide_colour(data: bytes) -> NDArray[np.uint16]:
    """`[H, W, 3]` samples of a 16-bit RGB PNG, decoded twice, for Pillow unpacks but one byte of each."""
    high, low = (_unpacked(data, rawmode) for rawmode in ("RGB;16B", "RGB;16L"))
    return np.stack((low, high), axis=-1).view("<u2").astype(np.uint16, copy=False)[..., 0]


def _unpacked(data: bytes, rawmode: str) -> NDArray[np.uint8]:
    """`[H, W, 3]` as Pillow unpacks the pixels when told that they are stored so."""
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        tiles: list[Any] = [(*tile[:3], rawmode) for tile in image.tile]
        image.tile = tiles
        return np.asarray(image)


def _from_bytes(source: _Source, settings: ImageSettings) -> Pixels:
    """Pixels that Pillow holds in 8 bits, whatever their mode."""
    image = source.image
    grey = image.mode in ("1", "L", "LA") or (source.header is not None and source.header.colour in (0, 4))
    mode = "L" if settings.channels == 1 or (settings.channels == "source" and grey) else "RGB"
    values = np.atleast_3d(_decoded(source, mode))
    return values if settings.depth == 8 else values * np.uint16(257)


def _decoded(source: _Source, mode: str) -> NDArray[np.uint8]:
    """Pixels of Pillow's mode L or RGB."""
    image = source.image
    if source.pixels is not None and mode == image.mode:
        return source.pixels
    if source.pixels is not None and mode == "RGB":
        return _repeated(source.pixels[..., 0], 3)
    return _array(image if image.mode == mode else _converted(image, mode))


def _array(image: Image.Image) -> NDArray[Any]:
    """The pixels of an image. Pillow copies them twice on the way, so a large one goes strip by strip."""
    width, height = image.size
    rows = _rows_of_strip(4 * width)
    if rows >= height:
        return np.asarray(image)
    row = np.asarray(image.crop((0, 0, width, 1)))
    array: NDArray[Any] = np.empty((height, *row.shape[1:]), row.dtype)
    for top in range(0, height, rows):
        array[top : top + rows] = np.asarray(image.crop((0, top, width, min(top + rows, height))))
    return array


def _rows_of_strip(row_bytes: int) -> int:
    """How many rows of an image to take at a time, that it is but a few megabytes."""
    return max(1, _STRIP_BYTES // row_bytes)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode != "P":
        image.info.pop("transparency", None)
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ImageError("image-mode-unsupported", f"Pillow cannot convert {image.mode} to {mode}") from error


def _label_image(source: _Source) -> LabelImage:
    image = source.image
    if image.mode in ("RGB", "RGBA") and source.bits == 8 and not source.transparent:
        return LabelImage(_turned(np.asarray(image)[..., :3], source, Frame.STORED))
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3) if image.mode == "P" else None
    return LabelImage(_labels(source), palette)


def _labels(source: _Source) -> NDArray[np.integer[Any]]:
    """`[H, W]` whole numbers, the way round that they are stored."""
    return _turned(_whole_numbers(source), source, Frame.STORED)


def _whole_numbers(source: _Source) -> NDArray[np.integer[Any]]:
    """`[H, W]`, as decoded."""
    image = source.image
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "L":
        return np.asarray(image) // np.uint8(_scale(image, source.bits))
    if image.mode == "P" or image.mode.startswith("I"):
        return np.asarray(image)
    raise ImageError(
        "mask-unreadable", f"its pixels are not one whole number each: it is of Pillow's mode {image.mode}"
    )
