"""What `encode_png` writes is judged by two decoders of other people: Pillow's, and libpng in TensorFlow."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskflow_convert.errors import ImageError
from maskflow_convert.image import encode, encode_png, png
from shared_data import SHARED as DATA


def decode_with_pillow(data: bytes) -> NDArray[np.generic]:
    with Image.open(io.BytesIO(data)) as image:
        return np.atleast_3d(np.asarray(image))


def decode_with_tensorflow(data: bytes, dtype: np.dtype) -> NDArray[np.generic]:
    import tensorflow as tf

    return tf.io.decode_png(data, dtype=tf.as_dtype(dtype)).numpy()


def pillow_size(pixels: NDArray[np.uint8]) -> int:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return len(file.getvalue())


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


SHAPES = [(1, 1), (1, 2), (2, 1), (1, 257), (257, 1), (2, 2), (3, 5), (17, 16), (33, 31), (64, 7), (131, 200)]
RANDOM = np.random.default_rng(20)

CONTENTS: dict[str, Callable[[int, int, int, int], NDArray[np.int64]]] = {
    "noise": lambda h, w, c, top: RANDOM.integers(0, top + 1, (h, w, c)),
    "one value": lambda h, w, c, top: np.full((h, w, c), top),
    "slope": lambda h, w, c, top: (
        (np.arange(h)[:, None, None] * 3 + np.arange(w)[None, :, None] * 5 + np.arange(c)) % (top + 1)
    ),
    "steps": lambda h, w, c, top: (np.arange(h)[:, None, None] // 7 + np.zeros((1, w, c), int)) * 40 % (top + 1),
    "grey": lambda h, w, c, top: np.repeat(RANDOM.integers(0, top + 1, (h, w, 1)), c, axis=2),
    "nearly flat": lambda h, w, c, top: 90 + (RANDOM.random((h, w, c)) > 0.8),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_survive_in_both_decoders(dtype: type, channels: int, content: str) -> None:
    for height, width in SHAPES:
        pixels = CONTENTS[content](height, width, channels, np.iinfo(dtype).max).astype(dtype)
        data = encode_png(pixels)
        np.testing.assert_array_equal(decode_with_tensorflow(data, pixels.dtype), pixels)
        if dtype is np.uint8 or channels == 1:  # Pillow cuts 16-bit RGB
            np.testing.assert_array_equal(decode_with_pillow(data), pixels)


@pytest.mark.parametrize("name", ["_sub", "_up", "_average", "_paeth"])
def test_every_filter_is_the_standards(name: str) -> None:
    """The predictors as section 9 of the PNG standard gives them, on every pair of neighbours and some corners."""
    left, up = np.meshgrid(np.arange(256), np.arange(256))
    for corner in (0, 1, 2, 100, 127, 128, 129, 200, 254, 255):
        estimate = left + up - corner
        distances = np.abs(np.stack([estimate - left, estimate - up, estimate - corner]))
        predictions = {
            "_sub": left,
            "_up": up,
            "_average": (left + up) // 2,
            "_paeth": np.choose(distances.argmin(axis=0), [left, up, np.full_like(up, corner)]),
        }
        neighbours = (left, up, np.full_like(left, corner))
        residual = getattr(encode, name)(np.zeros((256, 256), np.uint8), *(n.astype(np.uint8) for n in neighbours))
        np.testing.assert_array_equal(residual, -predictions[name] % 256)


def littered(random: Random, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray(random.randbytes(math.prod(shape))), np.uint8).reshape(shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_was_in_memory_before_decides_nothing(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [RANDOM.integers(0, 9, (90, width, 3)).astype(dtype) for width in (1, 2, 5)]
    written = []
    for seed in (1, 2, 3):
        garbage = Random(seed)  # noqa: S311
        monkeypatch.setattr(np, "empty", lambda shape, dtype, g=garbage: littered(g, shape))
        monkeypatch.setattr(np, "empty_like", lambda array, g=garbage: littered(g, array.shape))
        written.append([encode_png(pixels) for pixels in images])
        monkeypatch.undo()
    assert written[0] == written[1] == written[2]


def test_a_huge_image_is_sampled_sparsely_and_written_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("_SAMPLED_BYTES", 2000), ("_BLOCK_BYTES", 1000), ("_IDAT_BYTES", 5000), ("_SMALL_BYTES", 0)):
        monkeypatch.setattr(encode, name, value)
    for dtype in (np.uint8, np.uint16):
        pixels = RANDOM.integers(0, np.iinfo(dtype).max, (401, 131, 3)).astype(dtype)
        data = encode_png(pixels)
        np.testing.assert_array_equal(decode_with_tensorflow(data, pixels.dtype), pixels)
        assert [kind for kind, _ in chunks_of(data)].count(b"IDAT") > 1


@pytest.mark.parametrize("content", ["flat", "grey", "photograph"])
@pytest.mark.parametrize("limits", [(0, 0), (0, 1 << 26), (1 << 26, 1 << 26)], ids=["large", "medium", "small"])
def test_pixels_survive_every_compressor(
    content: str, limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_SMALL_BYTES", limits[0])
    monkeypatch.setattr(encode, "_LARGE_BYTES", limits[1])
    noise = RANDOM.integers(0, 40, (90, 70, 3), dtype=np.uint8)
    pixels = {"flat": noise // 39, "grey": noise[..., :1].repeat(3, axis=2), "photograph": noise}[content]
    np.testing.assert_array_equal(decode_with_tensorflow(encode_png(pixels), pixels.dtype), pixels)


def test_there_is_nothing_in_it_but_the_pixels() -> None:
    (ihdr, header), (idat, stream), (iend, nothing) = chunks_of(encode_png(np.full((4, 5, 3), 9, np.uint16)))
    assert (ihdr, idat, iend, nothing) == (b"IHDR", b"IDAT", b"IEND", b"")
    assert header == struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)  # RGB, deflate, filters, not interlaced
    assert len(zlib.decompress(stream)) == 4 * (1 + 5 * 3 * 2)


def test_the_order_of_the_pixels_in_memory_does_not_matter() -> None:
    pixels = RANDOM.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    turned = np.asfortranarray(pixels)
    assert encode_png(pixels) == encode_png(turned)
    wide = pixels.astype(np.uint16) * 257
    assert encode_png(wide) == encode_png(wide.astype(">u2"))
    assert encode_png(pixels[..., 0]) == encode_png(pixels[..., :1])


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4), bool), "bool"),
    ],
)
def test_what_is_no_image_is_refused(pixels: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_png(pixels)


def drawings() -> Iterator[NDArray[np.uint8]]:
    """Circles, squares and triangles on one colour; with none, light and strong noise; grey and RGB."""
    random = np.random.default_rng(3)
    for noise in (0, 1, 3):
        for mode, size in (("RGB", (128, 128)), ("L", (300, 200)), ("RGB", (640, 480))):
            channels = len(mode) if mode == "RGB" else 1
            colour = lambda count=channels: tuple(random.integers(0, 256, count).tolist())  # noqa: E731
            image = Image.new(mode, size, colour())
            draw = ImageDraw.Draw(image)
            for _ in range(4):
                x, y, r = (int(v) for v in random.integers(10, min(size) // 2, 3))
                draw.ellipse((x, y, x + r, y + r), fill=colour())
                draw.rectangle((y, x, y + r, x + r), fill=colour())
                draw.polygon((x + r, y, x, y + r, x + 2 * r, y + r), fill=colour())
            pixels = np.asarray(image).astype(float)
            yield np.clip(pixels + random.normal(0, noise, pixels.shape).round(), 0, 255).astype(np.uint8)


def photographs() -> Iterator[NDArray[np.uint8]]:
    for folder in ("train2017", "val2017"):
        for path in sorted((DATA / "coco-tiny" / folder).glob("*.jpg")):
            with Image.open(path) as image:
                yield np.asarray(image.convert("RGB"))


def micrographs() -> Iterator[NDArray[np.uint8]]:
    for path in sorted((DATA / "dsb2018" / "images").glob("*.png")):
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))
            yield np.asarray(image.convert("L"))


@pytest.mark.parametrize("images", [drawings, photographs, micrographs])
def test_it_is_about_as_small_as_pillow_makes_it(
    images: Callable[[], Iterator[NDArray[np.uint8]]],
) -> None:
    sizes = np.array([(len(encode_png(pixels)), pillow_size(pixels)) for pixels in images()] or [(1, 1)])
    ours, theirs = sizes.sum(axis=0)
    assert ours <= 1.03 * theirs
    assert np.median(sizes[:, 0] / sizes[:, 1]) <= 1.04


def test_chunks_are_listed_with_their_place() -> None:
    data = encode_png(np.zeros((3, 3), np.uint8))
    listed = [(chunk.kind, data[chunk.start : chunk.end]) for chunk in png.read_chunks(data + b"rest")]
    assert listed == chunks_of(data)


def test_damage_is_found_wherever_it_is() -> None:
    data = encode_png(RANDOM.integers(0, 255, (5, 5), dtype=np.uint8))
    for at in range(16, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises(ImageError, match="image-unreadable"):
            png.read_chunks(bytes(damaged))
        with pytest.raises(ImageError, match="image-unreadable"):
            png.read_chunks(data[:at])


def test_only_a_png_has_a_png_header() -> None:
    assert png.read_header(encode_png(np.zeros((3, 2), np.uint16))) == png.Header(2, 3, 16, 0, 0)
    assert png.read_header(b"\xff\xd8\xff\xe0" + bytes(60)) is None
    assert png.read_header(png.SIGNATURE) is None


def test_the_length_of_the_pixel_data_follows_from_the_header() -> None:
    assert png.Header(width=5, height=3, depth=8, colour=2, interlace=0).stream_bytes == 3 * (1 + 15)
    assert png.Header(width=5, height=3, depth=2, colour=3, interlace=0).stream_bytes == 3 * (1 + 2)
    # Adam7 makes of 8 x 8 pixels: 1 x 1 twice, 2 x 1, 2 x 2, 4 x 2, 4 x 4, 8 x 4
    interlaced = png.Header(width=8, height=8, depth=8, colour=0, interlace=1)
    assert interlaced.stream_bytes == 2 + 2 + 3 + 2 * 3 + 2 * 5 + 4 * 5 + 4 * 9
    assert png.Header(width=1, height=1, depth=8, colour=0, interlace=1).stream_bytes == 2
    assert png.Header(width=1, height=3, depth=8, colour=0, interlace=1).stream_bytes == 2 + 2 + 2
