"""Write records anew in GZIP with one of several writers, and print how long that took.

    python benchmarks/write_gzip.py maskflow|tensorflow|tensorflow-1 RECORDS OUTPUT

RECORDS is a folder of `.tfrecord` files; OUTPUT gets files of the same names. The time is that of opening, writing and
closing each file; its records are read before the clock starts. `tensorflow-1` sets the level of compression to 1,
where TensorFlow's own is 6.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from maskflow_convert.tfrecord import Compression, ShardWriter, read_records


class Writer(Protocol):
    """Appends records to a file."""

    def write(self, record: bytes) -> None:
        """Append one."""


OpenWriter = Callable[[Path], AbstractContextManager[Writer]]


def main() -> None:
    """Write all files; print the seconds and the number of records."""
    open_writer = OPENERS[sys.argv[1]]()
    source, output = map(Path, sys.argv[2:4])
    output.mkdir(parents=True)
    seconds, count = 0.0, 0
    for file in sorted(source.glob("*.tfrecord")):
        records = list(read_records(file))
        seconds += timed(open_writer, output / file.name, records)
        count += len(records)
    print(json.dumps({"seconds": seconds, "records": count}))


def timed(open_writer: OpenWriter, path: Path, records: Iterable[bytes]) -> float:
    """Write one file, and tell how long it took."""
    start = time.perf_counter()
    with open_writer(path) as writer:
        for record in records:
            writer.write(record)
    return time.perf_counter() - start


def maskflow() -> OpenWriter:
    """The product's writer, which also takes the SHA-256 of the file and waits until it is on the disk."""
    return lambda path: ShardWriter(path, Compression.GZIP)


def tensorflow() -> OpenWriter:
    """TensorFlow's writer as it comes."""
    import tensorflow as tf

    return lambda path: tf.io.TFRecordWriter(str(path), "GZIP")


def tensorflow_level_1() -> OpenWriter:
    """TensorFlow's writer when it is told to hurry."""
    import tensorflow as tf

    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
    return lambda path: tf.io.TFRecordWriter(str(path), options)


OPENERS: dict[str, Callable[[], OpenWriter]] = {
    "maskflow": maskflow,
    "tensorflow": tensorflow,
    "tensorflow-1": tensorflow_level_1,
}


if __name__ == "__main__":
    main()
