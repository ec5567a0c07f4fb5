"""Draw the images of this folder, good and bad: `python tests/bad/draw.py`."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parent / "images"
VOC = Path(__file__).parent / "voc"
WIDTH, HEIGHT = 8, 6


def main() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for name in ("good.png", "other.png", "third.png"):
        Image.fromarray(colour).save(FOLDER / name)
        colour = colour[::-1, ::-1]
    Image.fromarray(colour[:, :5]).save(FOLDER / "narrow.png")
    Image.fromarray(colour.transpose(1, 0, 2)).save(FOLDER / "lying.png")
    Image.fromarray((colour[:, :, 0] * np.uint16(250)).astype(np.uint16)).save(FOLDER / "sixteen-bits.png")
    whole = (FOLDER / "good.png").read_bytes()
    (FOLDER / "truncated.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.kron(colour, np.ones((8, 8, 1), np.uint8))).save(FOLDER / "truncated.jpg")
    whole = (FOLDER / "truncated.jpg").read_bytes()
    (FOLDER / "truncated.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (FOLDER / "text.jpg").write_text("This was renamed to .jpg.\n", encoding="utf-8")
    (FOLDER / "empty.png").write_bytes(b"")
    (FOLDER / "bomb.png").write_bytes(bomb())
    draw_masks()


def draw_masks() -> None:
    """Instance and class masks: one object; four, of which the last is of no class; two that are unusable."""
    objects, classes = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    objects[:3, :3] = classes[:3, :3] = 1
    save_mask("SegmentationObject/good.png", objects)
    save_mask("SegmentationClass/good.png", classes)
    save_mask("SegmentationObject/small.png", objects)
    save_mask("SegmentationClass/small.png", classes[:4, :5])
    save_mask("SegmentationObject/cut.png", objects)
    whole = (VOC / "SegmentationObject/cut.png").read_bytes()
    (VOC / "SegmentationObject/cut.png").write_bytes(whole[:-30])
    objects[...] = classes[...] = 0
    for number, (column, value) in enumerate([(0, 1), (4, 2), (6, 2), (7, 7)], start=1):
        objects[:2, column] = number
        classes[:2, column] = value
    objects[3] = classes[3] = 255
    save_mask("SegmentationObject/third.png", objects)
    save_mask("SegmentationClass/third.png", classes)


def save_mask(name: str, numbers: NDArray[np.uint8]) -> None:
    image = Image.fromarray(numbers).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [224, 224, 192] * 253)
    image.save(VOC / name)


def bomb() -> bytes:
    """A PNG of a few bytes whose header claims 50,000 x 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
