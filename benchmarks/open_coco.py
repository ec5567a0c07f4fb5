"""Open a COCO annotation file in one of several ways, and print how long it took.

    python benchmarks/open_coco.py json|pycocotools|adapter|entries instances.json

The time is that of opening alone: imports come before it. What was read stays in memory
until the clock has stopped.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Open the file; print the seconds, and the number of images found."""
    seconds, images = READERS[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"seconds": seconds, "images": images}))


def open_with_json(path: Path) -> tuple[float, int]:
    """Parse the whole file into dictionaries and lists."""
    start = time.perf_counter()
    with path.open() as file:
        dataset = json.load(file)
    return time.perf_counter() - start, len(dataset["images"])


def open_with_pycocotools(path: Path) -> tuple[float, int]:
    """Parse it and index it, as most scripts do."""
    from pycocotools.coco import COCO

    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
    return time.perf_counter() - start, len(coco.imgs)


def open_with_adapter(path: Path) -> tuple[float, int]:
    """Index it with this product's adapter; no image is opened, so the folder of images can be any."""
    from maskflow_adapters.coco import CocoAdapter, CocoOptions

    start = time.perf_counter()
    entries = CocoAdapter(CocoOptions(annotations=path, images=path.parent)).index().entries
    images, *_ = len(entries), entries[0], entries[-1]
    return time.perf_counter() - start, images


def list_with_adapter(path: Path) -> tuple[float, int]:
    """Index it likewise, and go through all entries: an adapter may make them as they are asked for."""
    from maskflow_adapters.coco import CocoAdapter, CocoOptions

    start = time.perf_counter()
    entries = CocoAdapter(CocoOptions(annotations=path, images=path.parent)).index().entries
    images = sum(1 for _ in entries)
    return time.perf_counter() - start, images


READERS = {
    "json": open_with_json,
    "pycocotools": open_with_pycocotools,
    "adapter": open_with_adapter,
    "entries": list_with_adapter,
}


if __name__ == "__main__":
    main()
