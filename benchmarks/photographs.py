"""Annotated photographs to measure on: 100 of COCO's where they are at hand, else drawn ones much like them.

    python benchmarks/photographs.py FOLDER [--images N]

fills FOLDER with `annotations.json` and `images/`, and says how many there are. The photographs of COCO 2017 are
looked for in `shared/data/coco-tiny` beside the repository.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

COCO_TINY = Path(__file__).resolve().parents[2] / "shared" / "data" / "coco-tiny"
COCO_SPLITS = ("train2017", "val2017")
ID_STEP = 1_000_000
"""From one copy of an image or annotation to the next; COCO's image ids are smaller."""

DRAWN = 100
WIDTH, HEIGHT = 640, 480
LABELS = ("disc", "leaf", "stone")

Dataset = dict[str, Any]
Pixels = npt.NDArray[np.float64]


def main() -> None:
    """Fill a folder from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, metavar="N", help="repeat or cut the set to this many images")
    arguments = parser.parse_args()
    dataset = prepare(arguments.folder, arguments.images)
    print(f"{len(dataset['images']):,} images, {len(dataset['annotations']):,} annotations")


def prepare(folder: Path, count: int | None = None) -> Dataset:
    """Fill `folder` with `annotations.json` and `images/`, and return what the annotation file holds.

    Images are copied, not linked: a converter may refuse a link that leads out of the folder of images.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        dataset, files = coco_tiny() if COCO_TINY.is_dir() else draw(Path(scratch))
        if count is not None:
            dataset = resize(dataset, count)
        for file, image in zip(itertools.cycle(files), dataset["images"], strict=False):
            shutil.copyfile(file, images / image["file_name"])
    (folder / "annotations.json").write_text(compact_json(dataset))
    return dataset


def compact_json(value: object) -> str:
    """Write without spaces, as COCO's own files are."""
    return json.dumps(value, separators=(",", ":"))


# Many from few


def resize(dataset: Dataset, count: int) -> Dataset:
    """Repeat the images in their order, or cut them, to `count`; their annotations come along."""
    copies = range(math.ceil(count / len(dataset["images"])))
    images = [copy_image(image, n) for n in copies for image in dataset["images"]][:count]
    kept = {image["id"] for image in images}
    annotations = [copy_annotation(annotation, n) for n in copies for annotation in dataset["annotations"]]
    return {
        **dataset,
        "images": images,
        "annotations": [annotation for annotation in annotations if annotation["image_id"] in kept],
    }


def copy_image(image: Dataset, n: int) -> Dataset:
    """Make the n-th copy of an image, with an id and a file name of its own."""
    return {**image, "id": image["id"] + n * ID_STEP, "file_name": f"{n:04d}-{image['file_name']}"}


def copy_annotation(annotation: Dataset, n: int) -> Dataset:
    """Make the n-th copy of an annotation, on the n-th copy of its image."""
    return {
        **annotation,
        "id": annotation["id"] + n * ID_STEP,
        "image_id": annotation["image_id"] + n * ID_STEP,
    }


# COCO's


def coco_tiny() -> tuple[Dataset, list[Path]]:
    """Merge both splits of the real photographs; the files are in the order of the images."""
    sources = [COCO_TINY / "annotations" / f"instances_{name}.json" for name in COCO_SPLITS]
    splits = [json.loads(source.read_text()) for source in sources]
    annotations = itertools.chain.from_iterable(split["annotations"] for split in splits)
    dataset = {
        "images": [image for split in splits for image in split["images"]],
        "annotations": [{**annotation, "id": n} for n, annotation in enumerate(annotations, start=1)],
        "categories": splits[0]["categories"],
    }
    files = [
        COCO_TINY / name / image["file_name"]
        for name, split in zip(COCO_SPLITS, splits, strict=True)
        for image in split["images"]
    ]
    return dataset, files


# Drawn


def draw(folder: Path) -> tuple[Dataset, list[Path]]:
    """Draw scenes into JPEG files, the same ones every time; the files are in the order of the images."""
    random = np.random.default_rng(7)
    images, annotations, files = [], [], []
    for number in range(1, DRAWN + 1):
        outlines = [draw_outline(random) for _ in range(random.integers(1, 14))]
        file = folder / f"{number:012d}.jpg"
        draw_scene(outlines, random).save(file, quality=92)
        files.append(file)
        images.append({"id": number, "file_name": file.name, "width": WIDTH, "height": HEIGHT})
        annotations += [annotate(outline, number, random) for outline in outlines]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    categories = [{"id": number, "name": label} for number, label in enumerate(LABELS, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}, files


def draw_outline(random: np.random.Generator) -> Pixels:
    """Draw a wobbly closed line inside the image, as points `[n, (x, y)]`."""
    angles = np.linspace(0, 2 * np.pi, int(random.integers(12, 60)), endpoint=False)
    radius = np.ones_like(angles)
    for k in range(2, 6):
        radius += random.uniform(0, 0.3 / k) * np.sin(k * angles + random.uniform(0, 2 * np.pi))
    radius *= random.uniform(12, 100)
    centre = random.uniform((0, 0), (WIDTH, HEIGHT))
    points = centre + radius[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inside: Pixels = np.clip(points, 0, (WIDTH, HEIGHT)).round(2)
    return inside


def draw_scene(outlines: list[Pixels], random: np.random.Generator) -> Image.Image:
    """Draw soft light, the objects with their edges, and the noise of a sensor."""
    scene = draw_light(random)
    for outline in outlines:
        stencil = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(stencil).polygon([(x, y) for x, y in outline], fill=255)
        scene.paste(draw_light(random), mask=stencil.filter(ImageFilter.GaussianBlur(1)))
    noisy = np.asarray(scene) + random.normal(0, 6, (HEIGHT, WIDTH, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def draw_light(random: np.random.Generator) -> Image.Image:
    """Draw smooth random fields, coarse ones strong and fine ones weak, about a random colour."""
    field = np.zeros((HEIGHT, WIDTH, 3)) + random.uniform(40, 215, 3)
    for cells, strength in ((3, 40), (12, 20), (60, 10)):
        grid = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        field += strength * (np.asarray(grid.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 127.5 - 1)
    return Image.fromarray(field.clip(0, 255).astype(np.uint8))


def annotate(outline: Pixels, image_id: int, random: np.random.Generator) -> Dataset:
    """Write an outline as COCO does."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    x, y = outline.T
    return {
        "image_id": image_id,
        "category_id": int(random.integers(1, len(LABELS) + 1)),
        "segmentation": [outline.ravel().tolist()],
        "area": round(abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2, 2),
        "bbox": [float(left), float(top), round(float(right - left), 2), round(float(bottom - top), 2)],
        "iscrowd": 0,
    }


if __name__ == "__main__":
    main()
