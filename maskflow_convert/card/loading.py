"""Code that loads a data set, to be pasted as it stands by who works in the folder of the data set."""

from __future__ import annotations

from maskflow_convert.manifest import Manifest
from maskflow_convert.record import Layout
from maskflow_convert.tfrecord import Compression

_OURS = """\
from maskflow_convert import build_dataset  # pip install 'maskflow-convert[tensorflow]'

dataset = build_dataset(".", split="{split}", shuffle=1000)  # "." is the folder of this card
for image, target in dataset.take(3):
    print(image.shape, target["masks"].shape, target["class_ids"].numpy())
"""

_PLAIN = """\
import tensorflow as tf

FEATURES = {{
    "image/id": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/n_objects": tf.io.FixedLenFeature([], tf.int64),
    "image/image_bytes": tf.io.FixedLenFeature([], tf.string),
    "image/masks_indices": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    "image/class_ids": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}}


def decode(record):
    features = tf.io.parse_single_example(record, FEATURES)
    image = tf.io.decode_png(features["image/image_bytes"], channels={channels}, dtype=tf.uint{depth})
{axes}
    shape = [features["image/n_objects"], features["image/width"], features["image/height"]]
    indices = tf.reshape(features["image/masks_indices"], [-1, 3])
    masks = tf.scatter_nd(indices, tf.ones(tf.shape(indices)[:1], tf.uint8), shape)
    return image, {{"masks": masks, "class_ids": features["image/class_ids"], "image_id": features["image/id"]}}


files = sorted(tf.io.gfile.glob("{split}-*.tfrecord"))
dataset = tf.data.TFRecordDataset(files, compression_type="{compression}").map(decode)
"""

_AXES = {
    Layout.DOCUMENTED: "    image = tf.transpose(image, [1, 0, 2])  # [W, H, C], and W counts columns",
    Layout.ROWS_FIRST: "    # [W, H, C] as it is, for W counts rows",
}


def with_this_package(manifest: Manifest) -> str:
    """By `build_dataset`, which the manifest tells the rest."""
    return _OURS.format(split=_first_split(manifest))


def with_tensorflow_alone(manifest: Manifest) -> str:
    """By the operations of TensorFlow, as the layout wants it."""
    return _PLAIN.format(
        split=_first_split(manifest),
        channels=0 if manifest.channels == "source" else manifest.channels,
        depth=manifest.depth,
        axes=_AXES[manifest.layout],
        compression="GZIP" if manifest.compression is Compression.GZIP else "",
    )


def _first_split(manifest: Manifest) -> str:
    """The first split with a record."""
    written = (name for name, counts in manifest.splits.items() if counts.images_written)
    return next(written, next(iter(manifest.splits), "train"))
