"""What one would write by hand: COCO annotations to maskflow TFRecords with pycocotools and TensorFlow.

    python benchmarks/by_hand.py instances.json images/ records.tfrecord

This is what `maskflow-convert` is measured against, so it is the plain script, neither tuned nor slowed down.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image
from pycocotools.coco import COCO


def main() -> None:
    """Write one record for each image, in the order of the annotation file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()

    coco = COCO(arguments.annotations)
    class_ids = {category["id"]: n for n, category in enumerate(coco.dataset["categories"], start=1)}
    with tf.io.TFRecordWriter(str(arguments.output)) as writer:
        for image in coco.dataset["images"]:
            writer.write(make_example(coco, image, class_ids, arguments.images).SerializeToString())


def make_example(coco: COCO, image: dict[str, Any], class_ids: dict[int, int], folder: Path) -> tf.train.Example:
    """Make the record of one image."""
    path = folder / image["file_name"]
    png, width, height = encode_png(path)

    masks = []
    classes = []
    for annotation in coco.imgToAnns[image["id"]]:
        if annotation["iscrowd"]:
            continue
        mask = coco.annToMask(annotation)
        if mask.any():
            masks.append(mask.T)
            classes.append(class_ids[annotation["category_id"]])

    feature = {
        "image/id": int64_feature([image["id"]]),
        "image/basename": bytes_feature(path.name.encode()),
        "image/width": int64_feature([width]),
        "image/height": int64_feature([height]),
        "image/channel": int64_feature([3]),
        "image/n_objects": int64_feature([len(masks)]),
        "image/image_bytes": bytes_feature(png),
        "image/masks_indices": int64_feature(positive_indices(masks)),
        "image/class_ids": int64_feature(classes),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def encode_png(path: Path) -> tuple[bytes, int, int]:
    """Read an image; return it as PNG, with its width and height."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, format="PNG")
        return buffer.getvalue(), image.width, image.height


def positive_indices(masks: list[npt.NDArray[np.uint8]]) -> list[int]:
    """List the positive pixels of masks `[W, H]` as flat triples (n, x, y)."""
    indices: list[int] = np.argwhere(np.stack(masks)).ravel().tolist() if masks else []
    return indices


def int64_feature(values: list[int]) -> tf.train.Feature:
    """Wrap integers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def bytes_feature(value: bytes) -> tf.train.Feature:
    """Wrap a byte string."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


if __name__ == "__main__":
    main()
