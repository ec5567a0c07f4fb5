"""Convert photographs of the size and with the number of masks that SA-1B has, a JSON file beside each image.

    python benchmarks/enlarged.py [--images N]

The images are those of the other benchmarks, enlarged to 2,250 x 1,500 pixels. Each has a hundred ellipses, drawn by
chance, that together cover as many pixels as the image has. One run with one worker, start-up included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from processes import machine, run
from product import console_script, prepare, records_mb
from pycocotools import mask as coco_mask
from tables import print_table

WIDTH, HEIGHT = 2250, 1500
MASKS = 100
CORNERS = 60
CONFIG = """\
sources: [{adapter: coco, annotations: images, label: object}]
output: {directory: records, card: false}
run: {executor: serial}
"""


def main() -> None:
    """Make the data set, convert it, and print what an image took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50, metavar="N", help="photographs (default: 50)")
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        folder = Path(name)
        prepare(folder / "photographs", count)
        make(folder / "images", sorted((folder / "photographs" / "images").iterdir()))
        (folder / "convert.yaml").write_text(CONFIG)
        done = run([*console_script(), "convert", str(folder / "convert.yaml")])
        sizes = {suffix: size_of(folder / "images", suffix) / count for suffix in (".jpg", ".json")}
        written = records_mb(folder / "records") / count
    print(f"{count} photographs of {WIDTH} x {HEIGHT}, {MASKS} masks each; {machine('numpy', 'pillow', 'isal')}\n")
    print_table(
        ("an image", "CPU ms", "JPEG MB", "JSON KB", "record MB"),
        [
            (
                "one worker",
                f"{1000 * done.cpu_seconds / count:.0f}",
                f"{sizes['.jpg'] / 1e6:.2f}",
                f"{sizes['.json'] / 1e3:.0f}",
                f"{written:.1f}",
            )
        ],
    )


def make(folder: Path, photographs: list[Path]) -> None:
    """Enlarge the photographs, and write the masks of each beside it."""
    folder.mkdir()
    random = np.random.default_rng(7)
    for number, path in enumerate(photographs):
        with Image.open(path) as image:
            enlarged = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        enlarged.save(folder / f"sa_{number}.jpg", quality=90)
        about = {"image_id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"sa_{number}.jpg"}
        text = json.dumps({"image": about, "annotations": masks(random)})
        (folder / f"sa_{number}.json").write_text(text)


def masks(random: np.random.Generator) -> list[dict[str, object]]:
    """Ellipses as compressed run lengths; their areas spread over a hundredfold, and add up to the image's."""
    shares = 10 ** random.uniform(-2, 0, MASKS)
    areas = shares / shares.sum() * WIDTH * HEIGHT
    return [annotation(number, area, random) for number, area in enumerate(areas)]


def annotation(number: int, area: float, random: np.random.Generator) -> dict[str, object]:
    """One of them, somewhere in the image."""
    a = np.sqrt(area / np.pi * random.uniform(0.5, 2))
    b = area / np.pi / a
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    x = random.uniform(a, WIDTH - a) + a * np.cos(turn)
    y = random.uniform(b, HEIGHT - b) + b * np.sin(turn)
    [encoded] = coco_mask.frPyObjects([np.stack([x, y], axis=1).ravel().tolist()], HEIGHT, WIDTH)
    counts = encoded["counts"].decode()
    box = coco_mask.toBbox(encoded).tolist()
    return {"id": number, "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}, "bbox": box, "area": area}


def size_of(folder: Path, suffix: str) -> int:
    """Bytes of the files of a kind."""
    return sum(path.stat().st_size for path in folder.glob(f"*{suffix}"))


if __name__ == "__main__":
    main()
