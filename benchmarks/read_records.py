"""Read the records of a folder in one of several ways, and print how long that took.

    python benchmarks/read_records.py WAY RECORDS [BATCH]
    python benchmarks/read_records.py compare RECORDS [BATCH]

BATCH is the number of records in a batch; without it they come one by one. The time is that of a pass over all of
them, the second one, so that memory and the page cache are warm. `compare` reads in two ways at once, and prints the
number of records and the number of elements, or batches, in which the two differ. `WAYS` lists the ways.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from maskflow_convert import build_dataset
from maskflow_convert.dataset import decode_example

NUMBERS = ("id", "width", "height", "channel", "n_objects")
STRINGS = ("basename", "image_bytes")
LISTS = ("masks_indices", "class_ids")
FEATURES = {
    **{f"image/{name}": tf.io.FixedLenFeature([], tf.int64) for name in NUMBERS},
    **{f"image/{name}": tf.io.FixedLenFeature([], tf.string) for name in STRINGS},
    **{f"image/{name}": tf.io.VarLenFeature(tf.int64) for name in LISTS},
}
"""As maskflow's documentation lists them."""


def main() -> None:
    """Read, or compare; print the outcome."""
    way, folder, *batch = sys.argv[1:]
    batch_size = int(batch[0]) if batch else None
    print(json.dumps(compare(folder, batch_size) if way == "compare" else measure(WAYS[way](folder, batch_size))))


def measure(dataset: tf.data.Dataset) -> dict[str, float]:
    """Iterate over a data set; tell the seconds until its last element, until its end, and of the processor."""
    for _ in dataset:
        pass
    start, cpu_start = time.perf_counter(), time.process_time()
    last = start
    for _ in dataset:
        last = time.perf_counter()
    end, cpu_end = time.perf_counter(), time.process_time()
    return {"last": last - start, "end": end - start, "cpu": cpu_end - cpu_start}


def compare(folder: str, batch_size: int | None) -> dict[str, int]:
    """Hold what the product yields against what the documented decoder yields."""
    records = unequal = 0
    both = zip(read_in_parallel(folder, batch_size), read_with_product(folder, batch_size), strict=True)
    for (image, target), (own_image, own_target) in both:
        records += int(tf.size(target["image_id"]))
        same = [np.array_equal(image, own_image), target.keys() == own_target.keys()]
        same += [np.array_equal(target[key], own_target[key]) for key in target]
        unequal += not all(same)
    return {"records": records, "unequal": unequal}


# The ways


def read_serially(folder: str, batch_size: int | None) -> tf.data.Dataset:
    """As the documentation says, one record after the other, as maskflow's own first code did."""
    return batched(stored(folder).map(decode), batch_size)


def read_in_parallel(folder: str, batch_size: int | None, mask_type: tf.DType = tf.int32) -> tf.data.Dataset:
    """As the documentation says, as many records at once as TensorFlow finds best."""
    decode_masks_as = partial(decode, mask_type=mask_type)
    dataset = stored(folder).map(decode_masks_as, num_parallel_calls=tf.data.AUTOTUNE)
    return batched(dataset, batch_size).prefetch(tf.data.AUTOTUNE)


def read_with_product(folder: str, batch_size: int | None) -> tf.data.Dataset:
    """The product."""
    return build_dataset(folder, batch_size=batch_size)


def read_images(folder: str, batch_size: int | None) -> tf.data.Dataset:
    """The PNGs alone: the floor under every decoder that is made of TensorFlow's operations."""
    dataset = stored(folder).map(decode_image, num_parallel_calls=tf.data.AUTOTUNE)
    return batched(dataset, batch_size).prefetch(tf.data.AUTOTUNE)


def read_masks(
    folder: str, batch_size: int | None, decode_record: Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, Any]]]
) -> tf.data.Dataset:
    """All but the image, whose decoding TensorFlow leaves out, since nobody asks for it."""
    return batched(stored(folder).map(lambda record: decode_record(record)[1]), batch_size)


WAYS: dict[str, Callable[[str, int | None], tf.data.Dataset]] = {
    "serial": read_serially,
    "parallel": read_in_parallel,
    "bytes": partial(read_in_parallel, mask_type=tf.uint8),
    "product": read_with_product,
    "images": read_images,
    "masks": lambda folder, batch_size: read_masks(folder, batch_size, decode),
    "product-masks": lambda folder, batch_size: read_masks(folder, batch_size, decode_example),
}


def stored(folder: str) -> tf.data.Dataset:
    """The records as they are stored, in the order of the files."""
    return tf.data.TFRecordDataset(sorted(str(path) for path in Path(folder).glob("*.tfrecord")))


def batched(dataset: tf.data.Dataset, batch_size: int | None) -> tf.data.Dataset:
    """Padded with 0, if in batches at all."""
    return dataset if batch_size is None else dataset.padded_batch(batch_size)


# The decoder as maskflow's documentation implies it, neither tuned nor slowed down


def decode(serialized: tf.Tensor, mask_type: tf.DType = tf.int32) -> tuple[tf.Tensor, dict[str, Any]]:
    """Parse a record of the layout `documented` to `(image, {"masks", "class_ids", "image_id"})`."""
    features = tf.io.parse_single_example(serialized, FEATURES)
    image = tf.transpose(tf.io.decode_png(features["image/image_bytes"], channels=3), [1, 0, 2])
    indices = tf.reshape(tf.sparse.to_dense(features["image/masks_indices"]), [-1, 3])
    shape = tf.stack([features["image/n_objects"], features["image/width"], features["image/height"]])
    masks = tf.sparse.to_dense(tf.SparseTensor(indices, tf.ones(tf.shape(indices)[:1], mask_type), shape))
    class_ids = tf.sparse.to_dense(features["image/class_ids"])
    return image, {"masks": masks, "class_ids": class_ids, "image_id": features["image/id"]}


def decode_image(serialized: tf.Tensor) -> tf.Tensor:
    """Parse a record to its image, upright."""
    name = "image/image_bytes"
    return tf.io.decode_png(tf.io.parse_single_example(serialized, {name: FEATURES[name]})[name], channels=3)


if __name__ == "__main__":
    main()
