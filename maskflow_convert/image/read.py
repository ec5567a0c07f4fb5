"""A file, or its bytes, to the pixels that a record holds, and what was found on the way.

Nothing is cut in silence. What makes an image unusable is an `ImageError`; what the user may decide about
(an orientation that cannot be told, samples of 16 bits, transparency, further frames) is an issue beside a
usable image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from maskflow_convert.errors import ImageError
from maskflow_convert.image.decode import FIRST_ON_ITS_SIDE, Limit, Size, Source, decode, pillow, size_text, wide_colour
from maskflow_convert.image.encode import png_pieces
from maskflow_convert.image.orientation import Exif, Frame, choose_frame, turned
from maskflow_convert.image.png import COLOUR, GREY, MAX_PIXELS, check_png
from maskflow_convert.issues import Issue
from maskflow_convert.shape import Model

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_STRIP_BYTES = 1 << 22


class ImageSettings(Model):
    """How images are stored: the section `image` of the YAML.

    `channels` is what each image is brought to; `source` keeps grey ones at 1 and gives all others 3.
    `depth` is in bits a sample. `max_pixels` bounds what an image of a stranger may cost.
    """

    exif: Exif = Field(Exif.AUTO, description="what is done about an EXIF orientation; auto: as the annotation fits")
    channels: Literal[1, 3, "source"] = Field(3, description="1 is grey, 3 is RGB; source: whichever the image is")
    depth: Literal[8, 16] = Field(8, description="bits a sample; nothing is cut from 16 to 8 without an error")
    max_pixels: Annotated[int, Field(gt=0, le=MAX_PIXELS)] = Field(
        MAX_PIXELS,
        description="width times height of the largest image; one of more is `image-too-large`, and not decoded",
    )

    @property
    def limit(self) -> Limit:
        """How many pixels an image may have."""
        return Limit(self.max_pixels, " (`image.max_pixels`)" if self.max_pixels < MAX_PIXELS else "")


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
    source = decode(origin, settings.limit)
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
    return _load(decode(origin, settings.limit), settings, expected, annotated)


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
    source = decode(origin, settings.limit)
    pixels, issues = _load(source, settings, expected, annotated)
    if _is_uniform(pixels):
        issues.append(Issue("image-uniform", f"all pixels are {tuple(pixels[0, 0].tolist())}"))
    digest = blake2b(source.data, digest_size=16).digest()
    return Survey(pixels.shape[1], pixels.shape[0], digest), issues


def _is_uniform(pixels: Pixels) -> bool:
    """Whether all pixels are the same; most images show in their first rows that they are not."""
    rows = _rows_of_strip(pixels[0].nbytes)
    return all(bool((pixels[top : top + rows] == pixels[0, 0]).all()) for top in range(0, len(pixels), rows))


def _is_wanted_png(source: Source, settings: ImageSettings) -> bool:
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
    source: Source, settings: ImageSettings, expected: Size | None, annotated: Frame | None
) -> tuple[Pixels, list[Issue]]:
    frame, issues = choose_frame(source, settings.exif, expected, annotated)
    _hold_against(
        expected,
        source.size[::-1] if frame is Frame.SHOWN and source.orientation >= FIRST_ON_ITS_SIDE else source.size,
    )
    with pillow():
        pixels, loss = _samples(source, settings)
    pixels = turned(pixels, source, frame)
    return pixels, [*issues, *loss, *_findings(source)]


def _hold_against(expected: Size | None, size: Size) -> None:
    if expected is None or expected == size:
        return
    swapped = ", which is the same lying on its side" if expected == size[::-1] else ""
    raise ImageError(
        "image-size-differs",
        f"the image has {size_text(size)} pixels, the annotation says {size_text(expected)}{swapped}",
    )


def _findings(source: Source) -> Iterator[Issue]:
    if source.transparent:
        yield Issue("image-alpha-dropped", "some pixels are transparent; their colours are kept, their alpha is not")
    if source.frames:
        yield Issue("image-multiple-frames", "the file holds several frames or pages; the first was taken")


def _samples(source: Source, settings: ImageSettings) -> tuple[Pixels, list[Issue]]:
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


def _from_wide_colour(source: Source, settings: ImageSettings) -> NDArray[np.uint16]:
    if source.header is None or source.header.colour != COLOUR or settings.channels == 1:
        raise ImageError(
            "image-mode-unsupported",
            f"{source.bits}-bit samples are kept of grey images and of RGB PNGs that stay RGB, not of others",
        )
    return wide_colour(source.data)


def _from_bytes(source: Source, settings: ImageSettings) -> Pixels:
    """Pixels that Pillow holds in 8 bits, whatever their mode."""
    image = source.image
    grey = image.mode in ("1", "L", "LA") or (source.header is not None and source.header.colour in (0, 4))
    mode = "L" if settings.channels == 1 or (settings.channels == "source" and grey) else "RGB"
    values = np.atleast_3d(_decoded(source, mode))
    return values if settings.depth == 8 else values * np.uint16(257)


def _decoded(source: Source, mode: str) -> NDArray[np.uint8]:
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
