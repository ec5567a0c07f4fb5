"""Judge with TensorFlow whether two sets of maskflow records say the same, whatever their order.

    python benchmarks/same_records.py LEFT RIGHT

Each is a `.tfrecord` file or a folder of them, all in GZIP or none. Records are matched by `image/id` and compared
feature by feature: the images as decoded pixels, all else as stored. Exit code 1 if anything differs.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import tensorflow as tf

GZIP_MAGIC = b"\x1f\x8b"

Fingerprints = dict[str, bytes]
"""A digest of each feature of a record: sets of records larger than the memory can be compared."""


def main() -> int:
    """Compare, and print the differences."""
    left, right = (fingerprint_all(Path(argument)) for argument in sys.argv[1:3])
    ids = sorted(left.keys() | right.keys())
    equal = 0
    for image_id in ids:
        if differing := differences(left.get(image_id, {}), right.get(image_id, {})):
            print(f"image {image_id}: {', '.join(differing)}")
        else:
            equal += 1
    print(f"records equal: {equal} of {len(ids)}")
    return 0 if equal == len(ids) else 1


def fingerprint_all(path: Path) -> dict[int, Fingerprints]:
    """Take the fingerprints of all records, by image id."""
    files = sorted(path.rglob("*.tfrecord")) if path.is_dir() else [path]
    compression = "GZIP" if files[0].read_bytes()[:2] == GZIP_MAGIC else ""
    records: dict[int, Fingerprints] = {}
    for serialised in tf.data.TFRecordDataset([str(file) for file in files], compression).as_numpy_iterator():
        features = tf.train.Example.FromString(serialised).features.feature
        image_id = features["image/id"].int64_list.value[0]
        if image_id in records:
            raise SystemExit(f"{path}: two records have image/id {image_id}")
        records[image_id] = {name: fingerprint(name, feature) for name, feature in features.items()}
    return records


def fingerprint(name: str, feature: tf.train.Feature) -> bytes:
    """Digest the values of one feature; of an image, its shape and pixels."""
    if name == "image/image_bytes":
        pixels = tf.io.decode_png(feature.bytes_list.value[0]).numpy()
        content = f"{pixels.shape}".encode() + pixels.tobytes()
    else:
        content = feature.SerializeToString(deterministic=True)
    return hashlib.sha256(content).digest()


def differences(left: Fingerprints, right: Fingerprints) -> list[str]:
    """Name the features that differ, or that only one side has."""
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


if __name__ == "__main__":
    sys.exit(main())
