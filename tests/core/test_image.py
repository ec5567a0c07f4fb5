"""Files of every kind, held against what Pillow, NumPy and TensorFlow make of them, and against tiny arrays by hand."""

from __future__ import annotations

import errno
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.errors import ImageError
from maskflow_convert.image import (
    MAX_PIXELS,
    Exif,
    Frame,
    ImageSettings,
    encode_png,
    load_pixels,
    load_png,
    read_label_image,
    read_labels,
    read_size,
    survey,
)
from shared_data import SHARED as DATA

RANDOM = np.random.default_rng(4)
COLOURS = RANDOM.integers(0, 256, (3, 5, 3), dtype=np.uint8)
GREYS = RANDOM.integers(0, 256, (3, 5), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (3, 5), dtype=np.uint16)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG put together by hand: `rows` are unfiltered and each behind its zero; `extra` chunks precede them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def pixels_of(data: bytes, settings: ImageSettings | None = None) -> NDArray[Any]:
    return load_pixels(data, settings or ImageSettings(), None)[0]


def codes(data: bytes | Path, expected: tuple[int, int] | None = None, **settings: Any) -> list[str]:
    return [issue.code for issue in load_png(data, ImageSettings(**settings), expected)[1]]


def decoded(png: bytes, depth: int) -> NDArray[Any]:
    import tensorflow as tf

    return tf.io.decode_png(png, dtype=tf.uint16 if depth == 16 else tf.uint8).numpy()


def error_code(data: bytes | Path, expected: tuple[int, int] | None = None, **settings: Any) -> str:
    with pytest.raises(ImageError) as caught:
        load_png(data, ImageSettings(**settings), expected)
    assert caught.value.code in CATALOGUE
    assert caught.value.message
    return caught.value.code


# modes


def images_of_every_mode() -> Iterator[tuple[str, bytes]]:
    colour, grey = Image.fromarray(COLOURS), Image.fromarray(GREYS)
    opaque = colour.convert("RGBA")
    palette = colour.quantize(8)
    yield "L", encoded(grey)
    yield "LA", encoded(grey.convert("LA"))
    yield "1", encoded(grey.convert("1"))
    yield "RGB", encoded(colour)
    yield "RGBA", encoded(opaque)
    yield "P", encoded(palette)
    yield "P with transparency", encoded(palette, transparency=3)
    yield "P with opacities", encoded(palette, transparency=bytes([9, 255, 128]))
    yield "P from GIF", encoded(palette, "GIF")
    yield "CMYK", encoded(colour.convert("CMYK"), "JPEG")
    yield "YCbCr", encoded(colour, "JPEG", quality=90)
    yield "grey JPEG", encoded(grey, "JPEG")
    yield "BMP", encoded(colour, "BMP")
    yield "WebP", encoded(colour, "WEBP", lossless=True)
    yield "TIFF", encoded(colour, "TIFF")
    yield "TIFF LZW", encoded(colour, "TIFF", compression="tiff_lzw")
    yield "TIFF CMYK", encoded(colour.convert("CMYK"), "TIFF")


GREY_KINDS = {"L", "LA", "1", "grey JPEG"}


@pytest.mark.parametrize(("kind", "data"), [pytest.param(*case, id=case[0]) for case in images_of_every_mode()])
def test_eight_bit_images_become_what_pillow_converts_them_to(kind: str, data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        image.info.pop("transparency", None)
        colour, grey = np.asarray(image.convert("RGB")), np.asarray(image.convert("L"))[..., None]
    wanted = {3: colour, 1: grey, "source": grey if kind in GREY_KINDS else colour}
    for channels, pixels in wanted.items():
        for depth, factor in ((8, 1), (16, 257)):
            settings = ImageSettings(channels=channels, depth=depth)
            stored, _ = load_png(data, settings, (5, 3))
            assert (stored.width, stored.height, stored.channels, stored.depth) == (5, 3, pixels.shape[2], depth)
            np.testing.assert_array_equal(decoded(stored.png, depth), pixels.astype(np.uint16) * factor)
            np.testing.assert_array_equal(pixels_of(data, settings), pixels.astype(np.uint16) * factor)


def test_eight_bits_widen_as_libpng_widens_them() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    stored, _ = load_png(encode_png(ramp), ImageSettings(channels=1, depth=16), None)
    np.testing.assert_array_equal(decoded(stored.png, 16), decoded(encode_png(ramp), 16))


def test_transparency_is_reported_only_where_a_pixel_is_not_opaque() -> None:
    for mode in ("LA", "RGBA"):
        image = Image.fromarray(COLOURS).convert(mode)
        assert codes(encoded(image)) == []
        image.putalpha(Image.fromarray(np.where(GREYS[1, 1] == GREYS, 254, 255).astype(np.uint8)))
        assert codes(encoded(image)) == ["image-alpha-dropped"]
    indices = Image.fromarray(np.array([[0, 1, 1]], np.uint8), "L").convert("P")
    for transparency, expected in ((1, True), (2, False), (b"\xff\x00", True), (b"\xff\xff\x00", False)):
        assert codes(encoded(indices, transparency=transparency)) == ["image-alpha-dropped"] * expected


def test_a_transparent_colour_counts_if_it_occurs() -> None:
    def with_key(colour: int, depth: int, rows: bytes, *key: int) -> bytes:
        return raw_png(2, 1, depth, colour, rows, chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))

    occurs, does_not = ["image-alpha-dropped"], []
    assert codes(with_key(0, 8, b"\0\x05\x07", 7)) == occurs
    assert codes(with_key(0, 8, b"\0\x05\x07", 6)) == does_not
    assert codes(with_key(0, 4, b"\0\x57", 7)) == occurs  # 4 bits: Pillow stretches 7 to 119
    assert codes(with_key(0, 4, b"\0\x57", 6)) == does_not
    assert codes(with_key(0, 1, b"\0\x40", 1)) == occurs
    assert codes(with_key(2, 8, b"\0\x01\x02\x03\x04\x05\x06", 4, 5, 6)) == occurs
    assert codes(with_key(2, 8, b"\0\x01\x02\x03\x04\x05\x06", 4, 5, 3)) == does_not
    deep = b"\0" + struct.pack(">6H", 1, 2, 3, 400, 500, 600)
    assert codes(with_key(2, 16, deep, 400, 500, 600), depth=16) == occurs
    assert codes(with_key(2, 16, deep, 400, 500, 601), depth=16) == does_not


# depth


def sixteen_bit_greys() -> Iterator[tuple[str, bytes]]:
    yield "PNG", encoded(Image.fromarray(DEEP))
    yield "TIFF little-endian", encoded(Image.fromarray(DEEP), "TIFF")
    yield "TIFF big-endian", encoded(Image.frombytes("I;16B", (5, 3), DEEP.astype(">u2").tobytes()), "TIFF")
    yield "32-bit TIFF", encoded(Image.fromarray(DEEP.astype(np.int32)), "TIFF")


@pytest.mark.parametrize(("kind", "data"), [pytest.param(*case, id=case[0]) for case in sixteen_bit_greys()])
def test_sixteen_bit_grey_is_kept_or_its_loss_reported(kind: str, data: bytes) -> None:
    for channels in (1, 3, "source"):
        copies = 3 if channels == 3 else 1
        stored, issues = load_png(data, ImageSettings(channels=channels, depth=16), None)
        np.testing.assert_array_equal(decoded(stored.png, 16), np.repeat(DEEP[..., None], copies, axis=2))
        assert (stored.depth, issues) == (16, [])
        stored, issues = load_png(data, ImageSettings(channels=channels), None)
        np.testing.assert_array_equal(decoded(stored.png, 8), np.repeat(DEEP[..., None] // 256, copies, axis=2))
        assert [issue.code for issue in issues] == ["image-depth-loss"]
        assert f"{DEEP.min()} to {DEEP.max()}" in issues[0].message


def test_sixteen_bit_colour_is_kept_or_its_loss_reported() -> None:
    deep = RANDOM.integers(0, 65536, (3, 5, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    data = raw_png(5, 3, 16, 2, rows)
    np.testing.assert_array_equal(decoded(data, 16), deep)
    np.testing.assert_array_equal(pixels_of(data, ImageSettings(depth=16)), deep)
    np.testing.assert_array_equal(pixels_of(data), deep >> 8)
    assert codes(data) == ["image-depth-loss"]
    assert codes(data, depth=16) == []
    assert error_code(data, depth=16, channels=1) == "image-mode-unsupported"


def sixteen_bit_tiff(samples: int, extra: int) -> bytes:
    """One pixel of an uncompressed little-endian TIFF with 16-bit samples."""
    entries = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, samples, 200), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 300), (277, 3, 1, samples), (278, 3, 1, 1), (279, 4, 1, 2 * samples)]
    entries += [(338, 3, 1, extra)] if samples == 4 else []
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0\x08\0\0\0" + directory + bytes(4)
    return (head.ljust(200, b"\0") + struct.pack("<4H", *[16] * 4)).ljust(300, b"\0") + bytes(range(1, 9))


@pytest.mark.parametrize(("samples", "extra"), [(3, 0), (4, 2)])
def test_tiff_of_sixteen_bit_colours_is_not_cut_in_silence(samples: int, extra: int) -> None:
    data = sixteen_bit_tiff(samples, extra)
    assert "image-depth-loss" in codes(data)
    assert pixels_of(data).tolist() == [[[2, 4, 6]]]
    assert error_code(data, depth=16) == "image-mode-unsupported"


@pytest.mark.parametrize("values", [[[-1, 5]], [[0, 65536]], [[2**31 - 1, 0]]])
def test_what_sixteen_bits_cannot_hold_is_refused(values: list[list[int]]) -> None:
    data = encoded(Image.fromarray(np.array(values, np.int32)), "TIFF")
    for depth in (8, 16):
        assert error_code(data, depth=depth) == "image-mode-unsupported"
    np.testing.assert_array_equal(read_labels(data), values)


def test_fractions_are_refused() -> None:
    assert error_code(encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF")) == "image-mode-unsupported"


def test_what_pillow_cannot_convert_is_refused() -> None:
    assert error_code(encoded(Image.new("LAB", (2, 2)), "TIFF"), channels=1) == "image-mode-unsupported"


# orientation

ARROW = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
"""Three wide and two high, no two pixels alike."""


def oriented(tag: int, kind: str = "PNG", pixels: NDArray[np.uint8] = ARROW) -> bytes:
    return encoded(Image.fromarray(pixels), kind, exif=exif(tag))


SHOWN = {
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[40, 10], [50, 20], [60, 30]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[30, 60], [20, 50], [10, 40]],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", SHOWN)
def test_every_orientation_is_applied_and_ignored(tag: int, kind: str) -> None:
    data = (
        oriented(tag)
        if kind == "PNG"
        else encoded(Image.fromarray(ARROW), kind, exif=exif(tag), **({"lossless": True} if kind == "WEBP" else {}))
    )
    for policy, pixels in ((Exif.APPLY, np.array(SHOWN[tag])), (Exif.IGNORE, ARROW)):
        stored, issues = load_png(data, ImageSettings(exif=policy, channels=1), pixels.shape[::-1])
        np.testing.assert_array_equal(decoded(stored.png, 8)[..., 0], pixels)
        assert issues == []
        with Image.open(io.BytesIO(stored.png)) as image:
            assert 0x0112 not in image.getexif()
    assert error_code(data, exif="error") == "image-orientation-present"
    assert read_size(data) == (3, 2)
    np.testing.assert_array_equal(read_labels(data) if kind != "WEBP" else ARROW, ARROW)


@pytest.mark.parametrize("tag", [5, 6, 7, 8])
def test_auto_goes_by_the_annotated_size(tag: int) -> None:
    for expected, pixels, word in (((2, 3), SHOWN[tag], "applied"), ((3, 2), ARROW, "ignored")):
        for kind in ("PNG", "TIFF"):
            found, issues = load_pixels(oriented(tag, kind), ImageSettings(channels=1), expected)
            np.testing.assert_array_equal(found[..., 0], pixels)
            assert [issue.code for issue in issues] == ["image-orientation"]
            assert word in issues[0].message
    assert error_code(oriented(tag), (4, 4)) == "image-size-differs"


@pytest.mark.parametrize(
    ("tag", "expected", "pixels"),
    [(2, (3, 2), ARROW), (3, (3, 2), ARROW), (4, None, ARROW), (6, None, ARROW), (6, (2, 2), ARROW[:, :2])],
)
def test_auto_leaves_what_the_size_cannot_tell(
    tag: int, expected: tuple[int, int] | None, pixels: NDArray[np.uint8]
) -> None:
    found, issues = load_pixels(oriented(tag, pixels=pixels), ImageSettings(channels=1), expected)
    np.testing.assert_array_equal(found[..., 0], pixels)
    assert [issue.code for issue in issues] == ["image-orientation-ambiguous"]


@pytest.mark.parametrize("tag", SHOWN)
@pytest.mark.parametrize("frame", Frame)
def test_auto_obeys_a_format_that_says_which_way_round_it_is(tag: int, frame: Frame) -> None:
    pixels = np.array(SHOWN[tag]) if frame is Frame.SHOWN else ARROW
    size = pixels.shape[::-1]
    for expected in (size, None):
        found, issues = load_pixels(oriented(tag), ImageSettings(channels=1), expected, frame)
        np.testing.assert_array_equal(found[..., 0], pixels)
        stored, more = load_png(oriented(tag), ImageSettings(channels=1), expected, frame)
        np.testing.assert_array_equal(decoded(stored.png, 8)[..., 0], pixels)
        assert (issues, more) == ([], [])
    if tag >= 5:
        with pytest.raises(ImageError) as caught:
            load_pixels(oriented(tag), ImageSettings(), size[::-1], frame)
        assert caught.value.code == "image-size-differs"


@pytest.mark.parametrize("tag", SHOWN)
@pytest.mark.parametrize("frame", Frame)
def test_a_policy_that_is_chosen_goes_before_what_the_format_says(tag: int, frame: Frame) -> None:
    for policy, pixels in ((Exif.APPLY, np.array(SHOWN[tag])), (Exif.IGNORE, ARROW)):
        found, _ = load_pixels(oriented(tag), ImageSettings(exif=policy, channels=1), None, frame)
        np.testing.assert_array_equal(found[..., 0], pixels)
    with pytest.raises(ImageError) as caught:
        load_pixels(oriented(tag), ImageSettings(exif=Exif.ERROR), None, frame)
    assert caught.value.code == "image-orientation-present"


@pytest.mark.parametrize("tag", [0, 1, 9, 65535])
def test_other_orientations_are_none(tag: int) -> None:
    for policy in Exif:
        assert codes(oriented(tag, "JPEG"), exif=policy) == []


def test_exif_that_cannot_be_decoded_is_none() -> None:
    for garbage in (b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", bytes(range(40))):
        data = encoded(Image.fromarray(ARROW), "JPEG", exif=garbage)
        for policy in Exif:
            assert codes(data, exif=policy) == []


def test_sizes_that_differ_are_both_named() -> None:
    with pytest.raises(ImageError, match=r"3 x 2 .* 7 x 2") as caught:
        load_png(encode_png(ARROW), ImageSettings(), (7, 2))
    assert caught.value.code == "image-size-differs"
    assert "side" not in caught.value.message
    with pytest.raises(ImageError, match=r"3 x 2 .* 2 x 3, .* on its side"):
        load_pixels(encode_png(ARROW), ImageSettings(), (2, 3))


# what is passed on


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (encoded(Image.fromarray(COLOURS)), {"channels": 3}),
        (encoded(Image.fromarray(COLOURS)), {"channels": "source"}),
        (encoded(Image.fromarray(GREYS)), {"channels": 1}),
        (encoded(Image.fromarray(GREYS)), {"channels": "source"}),
        (encoded(Image.fromarray(DEEP)), {"channels": 1, "depth": 16}),
        (raw_png(1, 1, 16, 2, b"\0abcdef"), {"depth": 16}),
        (raw_png(1, 1, 8, 2, b"\0abc", chunk(b"tEXt", b"Comment\0hello")), {}),
    ],
)
def test_a_png_that_is_what_is_wanted_is_passed_on(data: bytes, settings: dict[str, Any]) -> None:
    stored, issues = load_png(data, ImageSettings(**settings), None)
    assert stored.png == data
    assert issues == []
    with Image.open(io.BytesIO(data)) as image:
        assert (stored.width, stored.height) == image.size
    assert decoded(data, stored.depth).shape == (stored.height, stored.width, stored.channels)
    assert error_code(data, (99, 1), **settings) == "image-size-differs"


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (encoded(Image.fromarray(GREYS)), {"channels": 3}),
        (encoded(Image.fromarray(COLOURS)), {"channels": 1}),
        (encoded(Image.fromarray(GREYS)), {"channels": 1, "depth": 16}),
        (encoded(Image.fromarray(DEEP)), {"channels": 1, "depth": 8}),
        (raw_png(4, 1, 2, 0, b"\0\x1b"), {"channels": 1}),
        (raw_png(1, 1, 8, 2, b"\0abc", chunk(b"tRNS", b"\0\1\0\1\0\1")), {}),
        (raw_png(1, 1, 8, 2, b"\0abc", chunk(b"eXIf", exif(1)[6:])), {}),
        (encoded(Image.fromarray(COLOURS)) + b"rest", {}),
        (encoded(Image.fromarray(COLOURS), exif=exif(3)), {"exif": "ignore"}),
        (encoded(Image.fromarray(COLOURS).convert("RGBA")), {}),
        (encoded(Image.fromarray(COLOURS), save_all=True, append_images=[Image.fromarray(COLOURS[::-1])]), {}),
    ],
)
def test_any_other_png_is_written_anew(data: bytes, settings: dict[str, Any]) -> None:
    stored, _ = load_png(data, ImageSettings(**settings), None)
    assert stored.png != data
    wanted = pixels_of(data, ImageSettings(**settings))
    np.testing.assert_array_equal(decoded(stored.png, stored.depth), wanted)


def test_further_frames_are_reported() -> None:
    frames = [Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1])]
    for kind in ("PNG", "TIFF", "GIF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert codes(data) == ["image-multiple-frames"]
        if kind != "GIF":
            np.testing.assert_array_equal(pixels_of(data), COLOURS)
        assert codes(encoded(frames[0], kind, **options)) == []


# what cannot be used


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not an image")
    assert error_code(tmp_path / "missing.jpg") == "image-missing"
    assert error_code(tmp_path / "text.jpg" / "inside.jpg") == "image-missing"
    for name in ("empty.png", "text.jpg", "."):
        assert error_code(tmp_path / name) == "image-unreadable"
        with pytest.raises(ImageError, match="image-unreadable"):
            read_size(tmp_path / name)
    with pytest.raises(ImageError, match="empty"):
        load_png(b"", ImageSettings(), None)
    with pytest.raises(ImageError, match="image-missing"):
        read_size(tmp_path / "missing.jpg")


def test_a_file_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded(Image.fromarray(COLOURS), "JPEG"))
    assert load_png(path, ImageSettings(), None) == load_png(path.read_bytes(), ImageSettings(), None)
    assert read_size(path) == read_size(path.read_bytes()) == (5, 3)
    path.unlink()  # nothing holds it open


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "secret.png").touch()
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(ImageError, match="permission denied") as caught:
        load_png(tmp_path / "secret.png", ImageSettings(), None)
    assert caught.value.code == "image-unreadable"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_a_truncated_image_is_never_taken_for_a_whole_one(kind: str) -> None:
    data = encoded(Image.fromarray(RANDOM.integers(0, 256, (60, 50, 3), dtype=np.uint8)), kind)
    for length in range(1, len(data) - 16, max(1, len(data) // 60)):
        assert error_code(data[:length]) == "image-unreadable"


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (1023, 2048), (1500, 1500), (4096, 4096)])
def test_megabytes_that_deflate_to_next_to_nothing_are_all_there(width: int, height: int) -> None:
    """Of label images, for instance: the inflater then has taken all input before it has given all output."""
    numbers = np.zeros((height, width), np.uint8)
    numbers[: height // 8, : width // 8] = 7
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)
    np.testing.assert_array_equal(read_labels(raw_png(width, height, 8, 0, rows)), numbers)
    with pytest.raises(ImageError, match=r"truncated|ends before its last row"):
        read_labels(raw_png(width, height, 8, 0, rows[: -width - 1]))


def test_a_damaged_png_is_never_passed_on() -> None:
    rows = b"".join(b"\0" + bytes(range(row, row + 12)) for row in range(3))
    whole = raw_png(4, 3, 8, 2, rows)
    assert load_png(whole, ImageSettings(), None)[0].png == whole
    for length in (0, 1, 13, 26, 38):
        assert error_code(raw_png(4, 3, 8, 2, rows[:length])) == "image-unreadable"
    assert error_code(raw_png(4, 3, 8, 2, rows[:-13] + b"\x09" + rows[-12:])) == "image-unreadable"
    for at in range(8, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x04
        assert error_code(bytes(damaged)) in ("image-unreadable", "image-too-large")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_random_damage_ends_in_an_image_or_an_image_error(kind: str) -> None:
    """Mutations in a fixed order; whatever exception is none of ours fails the test, and so does a warning."""
    random = np.random.default_rng(11)
    whole = encoded(Image.fromarray(COLOURS.repeat(4, axis=0)), kind)
    for _ in range(120):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), random.integers(1, 6)):
            damaged[at] = random.integers(0, 256)
        for use in (lambda d: load_png(d, ImageSettings(), None), read_labels, read_size):
            with suppress(ImageError):
                use(bytes(damaged))


def jpegs() -> Iterator[bytes]:
    """Every subsampling, baseline and progressive, coarse and fine, with restart markers, in colour and grey."""
    photograph = Image.fromarray(RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8)).resize((530, 370))
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            for quality in (20, 95):
                yield encoded(photograph, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    yield encoded(photograph, "JPEG", restart_marker_rows=1)
    yield encoded(photograph, "JPEG", keep_rgb=True)
    yield encoded(photograph.convert("L"), "JPEG")
    yield encoded(photograph.convert("CMYK"), "JPEG")


def as_pillow_decodes(data: bytes) -> NDArray[np.uint8] | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def decoded_or_told(data: bytes) -> tuple[NDArray[np.uint8] | None, str]:
    """The pixels, or what is said against the image."""
    try:
        return pixels_of(data), ""
    except ImageError as error:
        return None, str(error)


def test_jpegs_are_what_pillow_decodes() -> None:
    for data in jpegs():
        expected = as_pillow_decodes(data)
        assert expected is not None
        np.testing.assert_array_equal(pixels_of(data), expected)


def test_damaged_jpegs_are_what_pillow_decodes_or_refused_with_it() -> None:
    random = np.random.default_rng(5)
    for whole in jpegs():
        for _ in range(40):
            damaged = bytearray(whole)
            for at in random.integers(len(whole) // 8, len(whole), 3):
                damaged[at] = random.integers(0, 256)
            if random.random() < 0.3:
                del damaged[int(random.integers(len(whole) // 2, len(whole))) :]
            expected = as_pillow_decodes(bytes(damaged))
            pixels, told = decoded_or_told(bytes(damaged))
            if pixels is not None:
                np.testing.assert_array_equal(pixels, expected)
            else:
                assert expected is None or "ends before its last row" in told  # Pillow makes the rest grey


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "I;16", "RGBA", "LA"])
def test_a_large_image_comes_strip_by_strip(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = Image.fromarray(RANDOM.integers(0, 256, (37, 11), dtype=np.uint8))
    wide = Image.fromarray(RANDOM.integers(0, 2**16, (37, 11), dtype=np.uint16))
    data = encoded(wide if mode == "I;16" else grey.convert(mode))
    settings = ImageSettings(depth=16 if mode == "I;16" else 8)
    whole, _ = load_pixels(data, settings, None)
    monkeypatch.setattr("maskflow_convert.image.read._STRIP_BYTES", 4 * 11 * 5)  # five rows
    np.testing.assert_array_equal(load_pixels(data, settings, None)[0], whole)


@pytest.mark.parametrize(("at", "uniform"), [(None, True), ((0, 1), False), ((36, 10), False), ((20, 0), False)])
def test_an_image_is_uniform_if_every_pixel_is_the_first(
    at: tuple[int, int] | None, uniform: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskflow_convert.image.read._STRIP_BYTES", 3 * 11 * 5)
    pixels = np.full((37, 11, 3), 7, np.uint8)
    if at is not None:
        pixels[at][2] = 8
    _, issues = survey(encoded(Image.fromarray(pixels)), ImageSettings(), None)
    assert [issue.code for issue in issues] == (["image-uniform"] if uniform else [])


def test_bombs_are_refused_by_their_header() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    assert error_code(bomb) == "image-too-large"
    with pytest.raises(ImageError, match="50000 x 50000"):
        read_size(bomb)
    assert 20_000 * 20_000 < MAX_PIXELS < 50_000 * 50_000


def test_an_image_beyond_pillows_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    for kind in ("PNG", "TIFF", "JPEG"):
        data = encoded(Image.fromarray(COLOURS), kind)
        assert pixels_of(data).shape == (3, 5, 3)
        assert read_size(data) == (5, 3)


def test_pillows_settings_are_found_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    truncated = encoded(Image.fromarray(COLOURS.repeat(30, axis=0)), "JPEG")[:-200]
    assert error_code(truncated) == "image-unreadable"
    pixels_of(encoded(Image.fromarray(COLOURS)))
    assert Image.MAX_IMAGE_PIXELS == 1234
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_threads_do_not_disturb_each_other() -> None:
    data, limit = encoded(Image.fromarray(COLOURS), "JPEG"), Image.MAX_IMAGE_PIXELS
    wrong: list[bool] = []
    threads = [threading.Thread(target=lambda: wrong.extend(codes(data) != [] for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 200
    assert limit == Image.MAX_IMAGE_PIXELS


# label images


def test_labels_are_indices_and_values_never_colours() -> None:
    indices = np.array([[0, 1, 2], [255, 3, 254]], np.uint8)
    image = Image.fromarray(indices, "L").convert("P")
    image.putpalette(bytes(RANDOM.integers(0, 256, 768, dtype=np.uint8)))
    np.testing.assert_array_equal(read_labels(encoded(image)), indices)
    np.testing.assert_array_equal(read_labels(encode_png(indices)), indices)
    np.testing.assert_array_equal(read_labels(encode_png(DEEP)), DEEP)
    for _, data in sixteen_bit_greys():
        np.testing.assert_array_equal(read_labels(data), DEEP)


@pytest.mark.parametrize(
    ("depth", "row", "values"),
    [(1, b"\xb0", [1, 0, 1, 1]), (2, b"\x1b", [0, 1, 2, 3]), (4, b"\x0f\x37", [0, 15, 3, 7])],
)
@pytest.mark.parametrize("colour", [0, 3])
def test_labels_of_few_bits_are_not_stretched(colour: int, depth: int, row: bytes, values: list[int]) -> None:
    palette = chunk(b"PLTE", bytes(range(48))) if depth == 4 else chunk(b"PLTE", bytes(3 * 2**depth))
    data = raw_png(4, 1, depth, colour, b"\0" + row, *([palette] if colour == 3 else []))
    np.testing.assert_array_equal(read_labels(data), [values])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "F"])
def test_other_pixels_are_no_labels(mode: str) -> None:
    data = encoded(Image.new(mode, (2, 2)), "TIFF" if mode == "F" else "PNG")
    for unusable in (data, b"", b"text", encode_png(GREYS)[:-20]):
        with pytest.raises(ImageError) as caught:
            read_labels(unusable)
        assert caught.value.code == "mask-unreadable"


def test_label_images_with_a_palette_with_colours_and_without_either() -> None:
    palette = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREYS).convert("P")
    image.putpalette(palette.tobytes())
    found = read_label_image(encoded(image))
    np.testing.assert_array_equal(found.pixels, GREYS)
    np.testing.assert_array_equal(found.palette[found.pixels], palette[GREYS])
    for values in (GREYS, DEEP, COLOURS):
        found = read_label_image(encode_png(values))
        np.testing.assert_array_equal(found.pixels, values)
        assert found.palette is None
    opaque = np.dstack([COLOURS, np.full(GREYS.shape, 255, np.uint8)])
    np.testing.assert_array_equal(read_label_image(encoded(Image.fromarray(opaque))).pixels, COLOURS)


def test_colours_that_cannot_tell_regions_apart_are_refused() -> None:
    clear = np.dstack([COLOURS, np.full(GREYS.shape, 254, np.uint8)])
    deep = encode_png(RANDOM.integers(0, 65536, (3, 5, 3), dtype=np.uint16))
    for unusable in (encoded(Image.fromarray(clear)), deep, encoded(Image.new("LA", (2, 2))), b"text"):
        with pytest.raises(ImageError) as caught:
            read_label_image(unusable)
        assert caught.value.code == "mask-unreadable"


# files of other people


def files(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(DATA.glob(pattern)) if path.is_file()]


UNUSABLE = {
    "10ct_32bit_128.tiff",
    "LICENCE",
    "LICENSE",
    "broken.png",
    "broken_data_stream.png",
    "png_decompression_dos.png",
    "truncated_image.png",
    "truncated_jpeg.jpg",
}


def test_edge_images_are_what_pillow_decodes_or_an_error() -> None:
    for path in files("edge/png/*", "edge/pillow/*"):
        for policy in (Exif.APPLY, Exif.IGNORE):
            settings = ImageSettings(exif=policy)
            stored = None
            with suppress(ImageError):
                stored, issues = load_png(path, settings, None)
            if stored is None:
                assert path.name in UNUSABLE
                continue
            pixels = decoded(stored.png, 8)
            np.testing.assert_array_equal(load_pixels(path, settings, None)[0], pixels)
            assert {issue.code for issue in issues} <= CATALOGUE.keys()
            if not path.name.endswith(("tif", "tiff")) or "orientation" not in path.name:
                np.testing.assert_array_equal(pixels, pillow_pixels(path, policy), err_msg=path.name)


def pillow_pixels(path: Path, policy: Exif) -> NDArray[Any]:
    with Image.open(path) as image:
        image.load()
        image.info.pop("transparency", None)
        shown = ImageOps.exif_transpose(image) if policy is Exif.APPLY else image
        if shown.mode.startswith("I"):
            return np.repeat((np.asarray(shown) // 256)[..., None], 3, axis=2)
        return np.asarray(shown.convert("RGB"))


def test_damaged_edge_images_are_unreadable() -> None:
    for name in ("broken.png", "broken_data_stream.png", "truncated_image.png", "truncated_jpeg.jpg"):
        for path in files(f"edge/pillow/{name}"):
            assert error_code(path) == "image-unreadable"


def test_sixteen_bit_edge_pngs_are_what_tensorflow_decodes() -> None:
    for path in files("edge/png/basn0g16.png", "edge/png/basi0g16.png", "edge/png/*2c16.png"):
        settings = ImageSettings(depth=16, channels="source")
        pixels, issues = load_pixels(path, settings, None)
        np.testing.assert_array_equal(pixels, decoded(path.read_bytes(), 16))
        assert issues == []
        assert codes(path, channels="source") == ["image-depth-loss"]


def test_portraits_of_every_orientation_are_one_picture() -> None:
    for path in files("exif/Portrait_*.jpg"):
        with Image.open(path) as image:
            stored_size, shown = image.size, np.asarray(ImageOps.exif_transpose(image))
        pixels, _ = load_pixels(path, ImageSettings(exif=Exif.APPLY), (1200, 1800))
        np.testing.assert_array_equal(pixels, shown)
        tag = int(path.stem[-1])
        expected = ["image-orientation"] if tag > 4 else ["image-orientation-ambiguous"] if tag > 1 else []
        assert codes(path, (1200, 1800)) == expected
        assert codes(path, stored_size) == expected
        assert read_size(path) == stored_size


def test_micrographs_keep_their_counts() -> None:
    for path in files("microscopy/*.tif"):
        with Image.open(path) as image:
            counts = np.asarray(image)
        stored, issues = load_png(path, ImageSettings(channels="source", depth=16), (512, 512))
        np.testing.assert_array_equal(decoded(stored.png, 16)[..., 0], counts)
        assert issues == []
        np.testing.assert_array_equal(read_labels(path), counts)


def test_voc_masks_are_read_as_indices() -> None:
    for path in files("voc-segmentation/**/SegmentationObject/*.png")[:5]:
        with Image.open(path) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(read_labels(path), np.asarray(image))


def test_photographs_are_what_pillow_decodes() -> None:
    for path in files("coco-tiny/val2017/*.jpg", "dsb2018/images/*.png")[::5]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        stored, issues = load_png(path, ImageSettings(), pixels.shape[1::-1])
        np.testing.assert_array_equal(decoded(stored.png, 8), pixels)
        assert issues == []
