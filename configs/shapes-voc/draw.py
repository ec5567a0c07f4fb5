"""Draws this folder's Pascal VOC data set: `python configs/shapes-voc/draw.py [FOLDER]`.

The pictures are those of the Shapes data set; a circle is called `disc` here. Four of them have masks, with the white
border that VOC puts around objects (255, which is no object). One has boxes only, and is in no list of `Segmentation`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskflow_adapters.shapes import Figure, Mask, compose, paint, topmost

LABELS = {"circle": "disc", "square": "square", "triangle": "triangle"}
SIZES = {"voc_201": (160, 120), "voc_202": (120, 160), "voc_203": (160, 120), "voc_204": (200, 80)}
WITHOUT_MASKS = {"voc_205": (160, 120)}
LISTS = {
    "Segmentation/train": ["voc_201", "voc_202", "voc_203"],
    "Segmentation/val": ["voc_204"],
    "Segmentation/trainval": [*SIZES],
    "Main/trainval": [*SIZES, *WITHOUT_MASKS],
}
VOID = 255


def main() -> None:
    """Write the data set to the folder of this file, or to the one named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name in ("Annotations", "JPEGImages", "SegmentationClass", "SegmentationObject"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, (width, height) in {**SIZES, **WITHOUT_MASKS}.items():
        draw(folder, name, width, height)
    for name, stems in LISTS.items():
        path = folder / f"ImageSets/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(stems) + "\n")


def draw(folder: Path, name: str, width: int, height: int) -> None:
    """Write one picture and its annotation."""
    rng = np.random.default_rng(int(name.removeprefix("voc_")))
    figures = compose(rng, width, height)
    top = topmost([figure.mask(width, height) for figure in figures], width, height)
    seen = [(figure, top == number) for number, figure in enumerate(figures) if (top == number).any()]
    picture = Image.fromarray(paint(top, [figure.colour for figure in figures], rng))
    picture.save(folder / f"JPEGImages/{name}.jpg", quality=85)
    (folder / f"Annotations/{name}.xml").write_text(annotation(name, width, height, seen))
    if name in SIZES:
        border = edges(top)
        numbers = {"SegmentationObject": range(1, len(seen) + 1), "SegmentationClass": map(class_number, seen)}
        for kind, values in numbers.items():
            image = np.zeros((height, width), np.uint8)
            for value, (_, mask) in zip(values, seen, strict=True):
                image[mask] = value
            image[border] = VOID
            palette_image(image).save(folder / f"{kind}/{name}.png")


def edges(top: NDArray[np.intp]) -> Mask:
    """`[height, width]`: the pixels whose neighbour to the left or above is of something else."""
    border = np.zeros(top.shape, dtype=np.bool_)
    border[:, 1:] |= top[:, 1:] != top[:, :-1]
    border[1:, :] |= top[1:, :] != top[:-1, :]
    return border


def class_number(seen: tuple[Figure, Mask]) -> int:
    """The number of an object's class in the class image."""
    return list(LABELS).index(seen[0].label) + 1


def annotation(name: str, width: int, height: int, seen: Sequence[tuple[Figure, Mask]]) -> str:
    """The XML: boxes count pixels from 1, the last one included."""
    lines = [
        "<annotation>",
        f"  <filename>{name}.jpg</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        f"  <segmented>{int(name in SIZES)}</segmented>",
    ]
    for figure, mask in seen:
        rows, columns = np.flatnonzero(mask.any(axis=1)) + 1, np.flatnonzero(mask.any(axis=0)) + 1
        corners = {"xmin": columns[0], "ymin": rows[0], "xmax": columns[-1], "ymax": rows[-1]}
        lines += [
            "  <object>",
            f"    <name>{LABELS[figure.label]}</name>",
            "    <difficult>0</difficult>",
            f"    <bndbox>{''.join(f'<{tag}>{value}</{tag}>' for tag, value in corners.items())}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def palette_image(numbers: NDArray[np.uint8]) -> Image.Image:
    """An image of VOC's palette: the bits of a number, dealt out to red, green and blue from the top."""
    image = Image.fromarray(numbers, "L")
    image.putpalette(
        [
            sum(((number >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3))
            for number in range(256)
            for channel in range(3)
        ]
    )
    return image


if __name__ == "__main__":
    main()
