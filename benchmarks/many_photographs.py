"""Many photographs at the price of few: the images are hard links to the same 100 files.

    python benchmarks/many_photographs.py FOLDER COPIES

fills FOLDER as `photographs.py` does, with so many copies of the set under new names, and annotations in random order.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from index import large_annotations, large_images, write_section
from photographs import Dataset, compact_json, prepare


def main() -> None:
    """Make the set; say how many there are."""
    folder, copies = Path(sys.argv[1]), int(sys.argv[2])
    (folder / "images").mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        originals = Path(scratch) / "photographs"
        dataset = prepare(originals)
        link_images(dataset, copies, originals / "images", folder / "images")
    write_annotations(dataset, copies, folder / "annotations.json")
    print(f"{copies * len(dataset['images']):,} images, {copies * len(dataset['annotations']):,} annotations")


def link_images(dataset: Dataset, copies: int, originals: Path, images: Path) -> None:
    """Give each copy of an image a name."""
    names = [image["file_name"] for image in dataset["images"]]
    for number, image in enumerate(large_images(dataset, copies)):
        os.link(originals / names[number % len(names)], images / image["file_name"])


def write_annotations(dataset: Dataset, copies: int, path: Path) -> None:
    """Write the annotation file piece by piece: the whole is large."""
    with path.open("w") as file:
        write_section(file, '{"images":[', large_images(dataset, copies))
        write_section(file, '],"annotations":[', large_annotations(dataset, copies))
        file.write(f'],"categories":{compact_json(dataset["categories"])}}}')


if __name__ == "__main__":
    main()
