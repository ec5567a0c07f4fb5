"""Measure how long, and how much memory, it takes to open a large COCO annotation file.

    python benchmarks/index.py [--megabytes N | --annotations FILE] [--order random|images] [--repeat N]

Each way in a process of its own: the `json` module, `pycocotools.COCO`, and the index of this product's COCO
adapter. The file is made by repeating a small one under new ids, unless one is given; its annotations come in random
order, as in COCO's own files, or in that of their images.

Time is measured inside the process, without its start and its imports. Memory is the peak of the process's
anonymous memory (`RssAnon` of Linux, sampled every 10 ms), the interpreter and its libraries included. Pages of
files do not count there, for the system can drop them at any time; the peak with them is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from photographs import Dataset, compact_json, copy_annotation, copy_image, prepare
from processes import WatchedRun, machine, watch

HERE = Path(__file__).resolve().parent
READERS = {
    "json.load": "json",
    "pycocotools.COCO": "pycocotools",
    "CocoAdapter.index": "adapter",
    "and all its entries": "entries",
}
LIBRARIES = ("numpy", "pycocotools", "msgspec")


@dataclass(frozen=True)
class Figures:
    """The medians of one reader."""

    seconds: float
    anonymous_mb: float
    resident_mb: float
    images: int


def main() -> None:
    """Make the file, measure every reader, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    file = parser.add_mutually_exclusive_group()
    file.add_argument("--annotations", type=Path, metavar="FILE", help="open this COCO file")
    file.add_argument("--megabytes", type=int, default=443, metavar="N", help="size to make (default: 443)")
    parser.add_argument("--order", choices=("random", "images"), default="random", help="of annotations made")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        path = arguments.annotations or make_file(Path(name), arguments.megabytes * 1_000_000, arguments.order)
        rounds = [[open_file(path, reader) for reader in READERS.values()] for _ in range(arguments.repeat)]
        figures = dict(zip(READERS, map(summarise, zip(*rounds, strict=True)), strict=True))
        print(f"{path.stat().st_size / 1e6:.0f} MB; median of {arguments.repeat} runs; {machine(*LIBRARIES)}")
        print_table(figures)


# The file


def make_file(folder: Path, size: int, order: str = "random") -> Path:
    """Repeat the annotations of the photographs to a file of about `size` bytes."""
    dataset = prepare(folder / "photographs")
    copies = max(1, size // sum(len(compact_json(copy)) + 1 for copy in one_copy(dataset)))
    path = folder / "instances.json"
    with path.open("w") as file:
        write_section(file, '{"images":[', large_images(dataset, copies))
        write_section(file, '],"annotations":[', ANNOTATIONS[order](dataset, copies))
        file.write(f'],"categories":{compact_json(dataset["categories"])}}}')
    print(" and ".join(f"{copies * len(dataset[what])} {what}" for what in ("images", "annotations")))
    return path


def write_section(file: TextIO, opening: str, values: Iterable[Dataset]) -> None:
    """Write one list of the file, value by value: the whole need not fit in memory."""
    file.write(opening)
    separator = ""
    for value in values:
        file.write(separator + compact_json(value))
        separator = ","


def one_copy(dataset: Dataset) -> Iterator[Dataset]:
    """Yield what each copy adds to the file, with ids of the usual length."""
    yield from (copy_image(image, 500) for image in dataset["images"])
    yield from (copy_annotation(annotation, 500) for annotation in dataset["annotations"])


def large_images(dataset: Dataset, copies: int) -> Iterator[Dataset]:
    """Yield the images of all copies."""
    return (copy_image(image, n) for n in range(copies) for image in dataset["images"])


def large_annotations(dataset: Dataset, copies: int) -> Iterator[Dataset]:
    """Yield the annotations of all copies, out of order, as COCO's own files have them."""
    annotations = dataset["annotations"]
    order = list(range(copies * len(annotations)))
    random.Random(7).shuffle(order)  # noqa: S311
    return (copy_annotation(annotations[i % len(annotations)], i // len(annotations)) for i in order)


def ordered_annotations(dataset: Dataset, copies: int) -> Iterator[Dataset]:
    """Yield the annotations of all copies, image after image, as most tools write them."""
    positions = {image["id"]: n for n, image in enumerate(dataset["images"])}
    annotations = sorted(dataset["annotations"], key=lambda annotation: positions[annotation["image_id"]])
    return (copy_annotation(annotation, n) for n in range(copies) for annotation in annotations)


ANNOTATIONS = {"random": large_annotations, "images": ordered_annotations}


# The measurement


def open_file(path: Path, reader: str) -> tuple[WatchedRun, dict[str, float]]:
    """Open the file in a new process; return that and what it says of itself."""
    finished = watch([sys.executable, HERE / "open_coco.py", reader, path])
    return finished, json.loads(finished.stdout)


def summarise(runs: Iterable[tuple[WatchedRun, dict[str, float]]]) -> Figures:
    """Take the medians."""
    finished, said = zip(*runs, strict=True)
    median = WatchedRun.median(finished)
    return Figures(
        seconds=statistics.median(one["seconds"] for one in said),
        anonymous_mb=median.anonymous_mb,
        resident_mb=median.resident_mb,
        images=int(said[0]["images"]),
    )


def print_table(table: dict[str, Figures]) -> None:
    """Print the figures, and how many times the adapter's they are."""
    ours = table["CocoAdapter.index"]
    print(f"{'':20}{'images':>9}{'seconds':>10}{'times':>7}{'anonymous MB':>14}{'times':>7}{'all MB':>9}")
    for name, row in table.items():
        slower, larger = row.seconds / ours.seconds, row.anonymous_mb / ours.anonymous_mb
        print(
            f"{name:20}{row.images:9}{row.seconds:10.2f}{slower:7.1f}"
            f"{row.anonymous_mb:14.0f}{larger:7.1f}{row.resident_mb:9.0f}"
        )


if __name__ == "__main__":
    main()
