"""What cases do to the sound data set: each function returns a change, which takes the folder that the set is in.

An element of a file that is changed says so: in its line stands the word of `MARK`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from corpus.scene import HEIGHT, WIDTH, noise, save_coco, save_labelme, save_numbers

Change = Callable[[Path], object]

MARK = "planted"
GONE: Any = object()
"""In the place of a value: the key is taken away."""

FRAME = {"size": [HEIGHT, WIDTH]}
"""Of run lengths."""


def several(*changes: Change) -> Change:
    """One after the other."""
    return lambda folder: [change(folder) for change in changes]


# COCO


def coco(edit: Callable[[dict[str, Any]], object]) -> Change:
    """Change the document."""

    def change(folder: Path) -> None:
        document = json.loads((folder / "coco/instances.json").read_text(encoding="utf-8"))
        edit(document)
        save_coco(folder, document)

    return change


def annotation(number: int, **fields: Any) -> Change:
    """Give an annotation other fields. One with another mask has no `bbox` and `area`, unless they are given."""
    alone = {"bbox": GONE, "area": GONE} if "segmentation" in fields else {}
    return coco(lambda document: update(document["annotations"][number - 1], {**alone, **fields}))


def image_entry(number: int, **fields: Any) -> Change:
    """Give the entry of an image other fields."""
    return coco(lambda document: update(document["images"][number - 1], fields))


def category(number: int, **fields: Any) -> Change:
    """Give a category other fields."""
    return coco(lambda document: update(document["categories"][number - 1], fields))


def without_annotations(unwanted: Callable[[dict[str, Any]], bool]) -> Change:
    """Remove annotations."""
    return coco(
        lambda document: document.update(annotations=[each for each in document["annotations"] if not unwanted(each)])
    )


def update(element: dict[str, Any], fields: dict[str, Any]) -> None:
    for key, value in {**fields, "description": MARK}.items():
        if value is GONE:
            del element[key]
        else:
            element[key] = value


def covered(number: int, *, side: int, times: int) -> Change:
    """Make an image square, with so many objects that cover it."""

    def edit(document: dict[str, Any]) -> None:
        entry = document["images"][number - 1]
        entry.update(width=side, height=side)
        mask = {"size": [side, side], "counts": [0, side**2]}
        kept = [each for each in document["annotations"] if each["image_id"] != entry["id"]]
        document["annotations"] = kept + [
            {"id": 1000 + each, "image_id": entry["id"], "category_id": 1, "segmentation": mask}
            for each in range(times)
        ]

    return coco(edit)


def run_lengths(*rectangles: tuple[int, int, int, int]) -> dict[str, Any]:
    """The run lengths of some rectangles: left, top, width, height."""
    dense = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for x, y, width, height in rectangles:
        dense[y : y + height, x : x + width] = True
    edges = np.flatnonzero(np.diff(dense.ravel(order="F"), prepend=False)).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, dense.size]).tolist()}


# Pascal VOC


def xml(name: str, number: int, old: str, new: str) -> Change:
    """Put a text in the place of another in the line of an object."""

    def change(folder: Path) -> None:
        path = folder / f"voc/Annotations/{name}.xml"
        lines = path.read_text(encoding="utf-8").splitlines()
        assert old in lines[number], "there is nothing to change"
        lines[number] = lines[number].replace(old, new) + f"<!-- {MARK} -->"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return change


def without_object(name: str, number: int) -> Change:
    """Remove an object from an annotation file; its root is marked."""

    def change(folder: Path) -> None:
        path = folder / f"voc/Annotations/{name}.xml"
        root, *lines = path.read_text(encoding="utf-8").splitlines()
        del lines[number - 1]
        path.write_text("\n".join([f"{root}<!-- {MARK} -->", *lines]) + "\n", encoding="utf-8")

    return change


def numbers(path: str, edit: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Change:
    """Change the numbers of a label image, `[H, W]`."""

    def change(folder: Path) -> None:
        with Image.open(folder / path) as image:
            found = np.array(image)
        save_numbers(folder / path, edit(found))

    return change


def painted(x: int, y: int, width: int, height: int, number: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Paint a rectangle."""

    def edit(found: NDArray[np.uint8]) -> NDArray[np.uint8]:
        found[y : y + height, x : x + width] = number
        return found

    return edit


# LabelMe


def labelme(name: str, edit: Callable[[dict[str, Any]], object]) -> Change:
    """Change the document."""

    def change(folder: Path) -> None:
        document = json.loads((folder / f"labelme/{name}.json").read_text(encoding="utf-8"))
        edit(document)
        save_labelme(folder, name, document)

    return change


def shape(name: str, number: int, **fields: Any) -> Change:
    """Give a shape other fields."""
    return labelme(name, lambda document: update(document["shapes"][number - 1], fields))


def without_shapes(label: str) -> Change:
    """Remove the shapes of a label from all files."""

    def edit(document: dict[str, Any]) -> None:
        document["shapes"] = [each for each in document["shapes"] if each["label"] != label]

    return several(*(labelme(name, edit) for name in ("l1", "l2", "l3")))


# Files


def image(path: str, save: Callable[[Path, NDArray[np.uint8]], object]) -> Change:
    """Save the pixels of an image anew; `save` gets them as `[H, W, 3]`."""
    return lambda folder: save(folder / path, noise(Path(path).stem))


def saved(
    change: Callable[[NDArray[np.uint8]], NDArray[Any]], kind: str = "PNG"
) -> Callable[[Path, NDArray[np.uint8]], None]:
    """Save other pixels, which may be of another type."""
    return lambda path, pixels: Image.fromarray(change(pixels)).save(path, kind)


def turned(orientation: int) -> Callable[[Path, NDArray[np.uint8]], None]:
    """Save an image lying on its side where that EXIF orientation stands it up, and as it is where that does not."""

    def save(path: Path, pixels: NDArray[np.uint8]) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.rot90(pixels) if orientation > 4 else pixels).save(path, exif=exif)

    return save


def of_16_bits(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return pixels[..., 0] * np.uint16(200)


def of_floats(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels[..., 0] / np.float32(7)


def half_transparent(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([pixels, pixels[..., :1]], axis=2)


def two_pages(path: Path, pixels: NDArray[np.uint8]) -> None:
    first, second = map(Image.fromarray, (pixels, pixels[::-1]))
    first.save(path, "TIFF", save_all=True, append_images=[second])


def enlarged(side: int) -> Callable[[Path, NDArray[np.uint8]], None]:
    return lambda path, pixels: Image.fromarray(pixels).resize((side, side)).save(path)


def bomb(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A PNG that claims to have 50,000 x 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def file(path: str, edit: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of a file; one that is not there has none."""

    def change(folder: Path) -> None:
        place = folder / path
        place.write_bytes(edit(place.read_bytes() if place.exists() else b""))

    return change


def removed(*paths: str) -> Change:
    return lambda folder: [(folder / path).unlink() for path in paths]


def moved(path: str, to: str) -> Change:
    def change(folder: Path) -> None:
        (folder / to).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).rename(folder / to)

    return change


def copied(path: str, to: str) -> Change:
    return lambda folder: (folder / to).write_bytes((folder / path).read_bytes())
