"""A sound COCO data set, and the faults to plant in it one by one.

    python benchmarks/planted.py FOLDER

fills FOLDER with a folder for the sound set and one for each fault.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco_mask

WIDTH, HEIGHT = 480, 360
IMAGES = 12
CLASSES = ("disc", "leaf", "stone")
CONFIG = """\
sources:
  - adapter: coco
    annotations: annotations/instances_train.json
    images: images
run: {executor: serial, workers: 1}
"""

Tree = dict[str, Any]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DataSet:
    """A COCO file and its folder of images, which exists."""

    tree: Tree
    images: Path

    @property
    def annotations(self) -> list[Tree]:
        """The annotations: nine of each image, one after the other, the first three of a class each."""
        annotations: list[Tree] = self.tree["annotations"]
        return annotations

    def file(self, number: int) -> Path:
        """The file of an image."""
        return self.images / str(self.tree["images"][number]["file_name"])


@dataclass(frozen=True)
class Fault:
    """Something wrong with a data set, and what makes it so."""

    name: str
    plant: Callable[[DataSet], object]


def main() -> None:
    """Fill a folder from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    sound = draw(folder / "sound")
    for fault in FAULTS:
        plant(fault, sound, folder / fault.name.replace(" ", "-"))


def plant(fault: Fault, sound: DataSet, folder: Path) -> None:
    """Write a data set that has one fault."""
    images = folder / "images"
    shutil.copytree(sound.images, images)
    faulty = DataSet(copy.deepcopy(sound.tree), images)
    fault.plant(faulty)
    write(faulty.tree, folder)


def write(tree: Tree, folder: Path) -> None:
    """Write the annotations where datumaro looks for them, and the configuration of the product."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir(exist_ok=True)
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(tree, separators=(",", ":")))
    (folder / "validate.yaml").write_text(CONFIG)


# The sound set


def draw(folder: Path) -> DataSet:
    """Write the sound set: every image has nine separate discs, the last of them as run lengths."""
    images = folder / "images"
    images.mkdir(parents=True)
    random = np.random.default_rng(7)
    tree: Tree = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
    }
    for number in range(1, IMAGES + 1):
        name = f"{number:04d}.png"
        blocks = Image.fromarray(random.integers(0, 256, (36, 48, 3), dtype=np.uint8))
        blocks.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST).save(images / name)
        tree["images"].append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        tree["annotations"] += [
            {"id": 9 * number + place, "image_id": number, "category_id": place % 3 + 1, "iscrowd": 0}
            | outlined(disc(80 + 160 * (place % 3), 60 + 120 * (place // 3), random.uniform(30, 50)))
            for place in range(9)
        ]
        tree["annotations"][-1] |= run_lengths(mask_of(tree["annotations"][-1]))
    write(tree, folder)
    return DataSet(tree, images)


def disc(x: float, y: float, radius: float) -> list[float]:
    """The outline of a disc as COCO lists it."""
    angles = [2 * math.pi * k / 24 for k in range(24)]
    return [round(z, 2) for angle in angles for z in (x + radius * math.cos(angle), y + radius * math.sin(angle))]


def outlined(outline: list[float]) -> Tree:
    """The segmentation, box and area of an outline, which agree where it lies inside the image."""
    x, y = outline[::2], outline[1::2]
    annotation = {
        "segmentation": [outline],
        "bbox": [min(x), min(y), round(max(x) - min(x), 2), round(max(y) - min(y), 2)],
    }
    return annotation | {"area": int(mask_of(annotation).sum())}


def mask_of(annotation: Tree) -> Mask:
    """The pixels of an outline, as COCO counts them."""
    parts = coco_mask.frPyObjects(annotation["segmentation"], HEIGHT, WIDTH)
    mask: Mask = coco_mask.decode(coco_mask.merge(parts))
    return mask


def run_lengths(mask: Mask) -> Tree:
    """A segmentation of uncompressed run lengths."""
    pixels = mask.ravel(order="F")
    ends = np.append(np.flatnonzero(np.diff(pixels)) + 1, pixels.size)
    counts = [0] * int(pixels[0]) + np.diff(ends, prepend=0).tolist()
    return {"segmentation": {"size": list(mask.shape), "counts": counts}}


# The faults: in each function, annotation 0 is an outline and annotation 8 has run lengths


def missing_image(data: DataSet) -> None:
    """Delete a file."""
    data.file(0).unlink()


def truncated_image(data: DataSet) -> None:
    """Cut a file in its middle."""
    whole = data.file(0).read_bytes()
    data.file(0).write_bytes(whole[: len(whole) // 2])


def other_size(data: DataSet) -> None:
    """State another size than the file has."""
    data.tree["images"][1].update(width=WIDTH + 10, height=HEIGHT + 10)
    data.annotations[17].update(outlined(disc(400, 300, 40)))


def same_content(data: DataSet) -> None:
    """Give two images one content."""
    shutil.copyfile(data.file(0), data.file(1))


def no_objects(data: DataSet) -> None:
    """Leave an image without annotations."""
    del data.annotations[:9]


def duplicate_id(data: DataSet) -> None:
    """Give two annotations one id."""
    data.annotations[0]["id"] = data.annotations[1]["id"]


def orphaned(data: DataSet) -> None:
    """Name an image that is not listed."""
    data.annotations[0]["image_id"] = 999


def unknown_category(data: DataSet) -> None:
    """Name a category that is not listed."""
    data.annotations[0]["category_id"] = 99


def two_points(data: DataSet) -> None:
    """Leave two points of an outline."""
    outline_of(data)[4:] = []


def odd_length(data: DataSet) -> None:
    """Lose the last y of an outline."""
    outline_of(data).pop()


def not_a_number(data: DataSet) -> None:
    """Spoil one coordinate; `json` writes it as NaN, as many a script has."""
    outline_of(data)[4] = math.nan


def crossing(data: DataSet) -> None:
    """Make a bow tie, whose box and area are its own."""
    data.annotations[0].update(outlined([40, 20, 120, 100, 120, 20, 40, 100]))


def outside(data: DataSet) -> None:
    """Push an object half over the edge."""
    data.annotations[0].update(outlined(disc(0, 60, 40)))


def normalised(data: DataSet) -> None:
    """Divide by the size of the image, as YOLO does."""
    annotation, sizes = data.annotations[0], (WIDTH, HEIGHT)
    for numbers in (annotation["segmentation"][0], annotation["bbox"]):
        numbers[:] = [number / sizes[k % 2] for k, number in enumerate(numbers)]


def zero_area(data: DataSet) -> None:
    """Put all points on a line."""
    data.annotations[0].update(outlined([40, 60, 80, 60, 120, 60]))


def wrong_sum(data: DataSet) -> None:
    """Lose the last run."""
    data.annotations[8]["segmentation"]["counts"].pop()


def other_mask_size(data: DataSet) -> None:
    """Exchange height and width, as a list of run lengths."""
    data.annotations[8]["segmentation"]["size"].reverse()


def other_mask_size_compressed(data: DataSet) -> None:
    """The same, as a string."""
    compressed = coco_mask.frPyObjects(data.annotations[8]["segmentation"], HEIGHT, WIDTH)
    data.annotations[8]["segmentation"] = {"size": [WIDTH, HEIGHT], "counts": compressed["counts"].decode()}


def box_elsewhere(data: DataSet) -> None:
    """Move the box off its mask."""
    data.annotations[0]["bbox"][0] += 200


def same_mask(data: DataSet) -> None:
    """Annotate one object twice."""
    data.annotations[3] |= {key: data.annotations[0][key] for key in ("segmentation", "bbox", "area")}


def unused_class(data: DataSet) -> None:
    """List a category that nothing belongs to."""
    data.tree["categories"].append({"id": 4, "name": "cloud"})


def rare_class(data: DataSet) -> None:
    """List a category that one object belongs to."""
    unused_class(data)
    data.annotations[0]["category_id"] = 4


def case_of_names(data: DataSet) -> None:
    """Name two categories alike."""
    data.tree["categories"][1]["name"] = CLASSES[0].upper()


def far_smaller(data: DataSet) -> None:
    """Make an object of one pixel."""
    data.annotations[0].update(outlined([80, 60, 81, 60, 81, 61, 80, 61]))


def far_larger(data: DataSet) -> None:
    """Make an object as large as a quarter of the image, and alone in it."""
    data.annotations[0].update(outlined(disc(240, 180, 120)))
    del data.annotations[1:9]


def undeclared_attribute(data: DataSet) -> None:
    """Give one object an attribute that no other has."""
    data.annotations[0]["attributes"] = {"occluded": True}


def outline_of(data: DataSet) -> list[float]:
    """The outline to spoil."""
    outline: list[float] = data.annotations[0]["segmentation"][0]
    return outline


FAULTS = (
    Fault("image file missing", missing_image),
    Fault("image file truncated", truncated_image),
    Fault("image of another size than stated", other_size),
    Fault("same content in two image files", same_content),
    Fault("image without objects", no_objects),
    Fault("annotation id twice", duplicate_id),
    Fault("annotation of no listed image", orphaned),
    Fault("annotation of no listed category", unknown_category),
    Fault("polygon of two points", two_points),
    Fault("polygon of odd length", odd_length),
    Fault("polygon with NaN", not_a_number),
    Fault("polygon that crosses itself", crossing),
    Fault("polygon half outside the image", outside),
    Fault("polygon in 0..1", normalised),
    Fault("polygon of no area", zero_area),
    Fault("run lengths that end too early", wrong_sum),
    Fault("run lengths of another size", other_mask_size),
    Fault("compressed ones of another size", other_mask_size_compressed),
    Fault("box beside its mask", box_elsewhere),
    Fault("same mask twice", same_mask),
    Fault("class without objects", unused_class),
    Fault("class of one object", rare_class),
    Fault("class names differing in case", case_of_names),
    Fault("object far smaller than its class", far_smaller),
    Fault("object far larger than its class", far_larger),
    Fault("attribute that one object has", undeclared_attribute),
)


if __name__ == "__main__":
    main()
