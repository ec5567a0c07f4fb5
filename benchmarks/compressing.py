"""Write the same records in GZIP with the product's writer and with TensorFlow's; read them back with TensorFlow."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path

from converting import judged
from processes import Command, run
from product import HERE, records_mb
from tables import print_table

WRITERS = {
    "maskflow-convert": "maskflow",
    "`tf.io.TFRecordWriter`": "tensorflow",
    "`tf.io.TFRecordWriter`, level 1": "tensorflow-1",
}


def measure_gzip(records: Path, folder: Path, repeat: int) -> list[str]:
    """Write the records of a folder anew; return what is wrong with those of the product."""
    outputs = {name: folder / writer for name, writer in WRITERS.items()}
    rounds = [[write_anew(WRITERS[name], records, output) for name, output in outputs.items()] for _ in range(repeat)]
    medians = dict(zip(outputs, map(statistics.median, zip(*rounds, strict=True)), strict=True))
    plain_mb = records_mb(records)
    rows = [
        (
            name,
            f"{seconds:.2f}",
            f"{plain_mb / seconds:,.0f}",
            f"{records_mb(outputs[name]):.1f}",
            f"{seconds / medians['maskflow-convert']:.2f}",
        )
        for name, seconds in medians.items()
    ]
    print_table(
        (f"writing {plain_mb:.1f} MB of records in GZIP", "seconds", "MB/s", "output MB", "times as long"), rows
    )
    judge: Command = [sys.executable, HERE / "same_records.py", records, outputs["maskflow-convert"]]
    return judged(judge, "without GZIP and with it, by TensorFlow's reader")


def write_anew(writer: str, records: Path, output: Path) -> float:
    """Write them in a new process, without what an earlier one has written; return the seconds."""
    if output.is_dir():
        shutil.rmtree(output)
    seconds: float = json.loads(run([sys.executable, HERE / "write_gzip.py", writer, records, output]).stdout)[
        "seconds"
    ]
    return seconds
