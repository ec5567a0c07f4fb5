"""Draws the inputs of the corpus that once were findings, by what was found: `python tests/fuzz/draw.py`.

The others, named by their digests, are what a run found that began with the files of the tests, less what reaches
nothing new.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz import bundles

CORPUS = Path(__file__).with_name("corpus")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 2**29


def main() -> None:
    """Write the inputs."""
    for target, inputs in {"coco": coco(), "config": config(), "image": image(), "voc": voc()}.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (CORPUS / target / name).write_bytes(data)


def coco() -> dict[str, bytes]:
    pair = [[1, 1, 7, 1, 7, 5, 1, 5], [2, 2, 5, 2, 5, 4]]
    return {
        # pycocotools counts pixels with 32 bits, and ended the process
        "image-of-more-pixels-than-32-bits-count.json": _coco(pair, width=2**31 - 1, height=120),
        # pycocotools counts masks with 8 bits: OverflowError
        "object-of-256-parts.json": _coco([[1, 1, 7, 1, 7, 5]] * 256),
        "run-lengths-of-more-pixels-than-64-bits-count.json": _coco(
            {"size": [2**31 - 1, 2**31 - 1], "counts": [2**62] * 5}, width=2**31 - 1, height=2**31 - 1
        ),
    }


def _coco(segmentation: Any, width: int = 8, height: int = 6) -> bytes:
    tree = {
        "images": [{"id": 1, "file_name": "good.png", "width": width, "height": height}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    return json.dumps(tree).encode()


def config() -> dict[str, bytes]:
    shapes = b"sources: [{adapter: shapes}]\n"
    return {
        "old-version.yaml": b"%YAML 1.0\n---\n" + shapes,  # AssertionError of ruamel.yaml
        "half-a-character.yaml": shapes + b'classes: {names: ["\\ud83d"]}\n',  # could not be written again
        "spaces-in-a-path.yaml": b'sources: [{adapter: coco, annotations: "' + b"a   b" * 40 + b'"}]\n',  # were folded
        "number-of-5000-digits.yaml": shapes + b"image: {depth: 0x" + b"f" * 5000 + b"}\n",  # could not be told
        "nested.yaml": b"sources:\n  " + b"[" * 2000,  # took the cube of its depth
    }


def image() -> dict[str, bytes]:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 0, 0, 0, 0))
    large = _chunk(b"IHDR", struct.pack(">IIBBBBB", 2000, 60_000, 8, 0, 0, 0, 0))
    rows, end = _chunk(b"IDAT", zlib.compress(bytes(6 * 9))), _chunk(b"IEND", b"")
    column = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, MAX_PIXELS, 8, 0, 0, 0, 0))
    return {
        # Pillow took the last header, we the first: what is missing came out black
        "header-after-another-chunk.png": SIGNATURE + _chunk(b"eXIf", b"") + large + rows + end,
        "two-headers.png": SIGNATURE + header + large + rows + end,
        # 4 GiB for the addresses of the rows
        "one-column.png": SIGNATURE + column + rows + end,
        # what is missing came out grey
        "cut-and-closed.jpg": _jpeg((64, 48))[:-120] + b"\xff\xd9",
        "claims-more-than-it-holds.jpg": _claiming(_jpeg((8, 8)), 60_000, 8_000),
    }


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _jpeg(size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 50).save(file, "JPEG")
    return file.getvalue()


def _claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """The same JPEG, of another size by its header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def voc() -> dict[str, bytes]:
    xml = b"<annotation><filename>good.png</filename><object><name>cat</name></object></annotation>"
    names = bundles.join({"Annotations/good.xml": xml, "labelmap.txt": b"a" + b" " * 6000 + b"b\n"})
    mask = bundles.join({"Annotations/good.xml": xml, "SegmentationObject/good.png": image()["two-headers.png"]})
    long = b"<annotation><object><name>" + b"x" * 2000 + b"</name></object></annotation>"
    small, rows = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 0, 0, 0, 0)), zlib.compress(b"\0\1\1" + bytes(51))
    one = SIGNATURE + small + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    unlisted = bundles.join({"Annotations/good.xml": b"<annotation/>", "SegmentationObject/good.png": one})
    return {
        "mask-of-an-object-and-none-listed": unlisted,  # KeyError
        "mask-with-two-headers": mask,
        "spaces-in-a-labelmap": names,  # took the square of their number
        "long-name.xml": long,
        "digits-for-a-width.xml": b"<annotation><size><width>" + b"9" * 5000 + b"</width></size></annotation>",
    }


if __name__ == "__main__":
    main()
