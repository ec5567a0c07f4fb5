"""How cost and memory grow with the number of images, and what that comes to for many more."""

from __future__ import annotations

import itertools
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from processes import WatchedRun, run, watch
from product import ALL_WORKERS, CONFIG, HERE, product_command
from tables import print_table

IMAGES = 100
"""Of one copy of the photographs."""

MANY = 10_000_000
SHARD_SIZE = 64 * 2**20  # bytes, if the configuration does not say
INTERVAL = 0.2  # seconds


@dataclass(frozen=True)
class Measured:
    """A number of images, and what it took to rehearse and to convert them; sizes are in bytes."""

    images: int
    annotations_size: int
    rehearsal: WatchedRun
    conversion: WatchedRun
    shards: int
    records_size: int


def measure_growth(folder: Path, most: int) -> None:
    """Rehearse and convert 100 photographs, ten times as many, and so on up to `most`, once each."""
    measured = [measure_count(folder / str(count), count) for count in powers_of_ten(most)]
    print_growth(measured)
    if len(measured) > 1:
        print_many(*measured[-2:])


def powers_of_ten(most: int) -> Iterator[int]:
    """Count from the images of one copy up."""
    return itertools.takewhile(lambda count: count <= most, (IMAGES * 10**n for n in itertools.count()))


def measure_count(folder: Path, count: int) -> Measured:
    """Measure so many images, and leave nothing behind."""
    run([sys.executable, HERE / "many_photographs.py", folder, str(count // IMAGES)])
    (folder / "convert.yaml").write_text(CONFIG)
    command = product_command(folder, "--workers", str(ALL_WORKERS), "--set", "output.card=false")  # its shards go
    rehearsal = watch([*command, "--dry-run"])
    with Discarded(folder / "converted") as discarded:
        conversion = watch(command)
    annotations_size = (folder / "annotations.json").stat().st_size
    shutil.rmtree(folder)
    return Measured(count, annotations_size, rehearsal, conversion, discarded.shards, discarded.size)


class Discarded(threading.Thread):
    """Removes the shards of an output directory as they are finished, while the `with` block lasts.

    Attributes:
        shards: how many it has removed.
        size: their bytes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.shards = 0
        self.size = 0
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look for finished shards now and then, and once more at the end."""
        while not self._over.wait(INTERVAL):
            self.discard()
        self.discard()

    def discard(self) -> None:
        """Remove the shards whose report, which is written last, is there."""
        for shard in self.folder.glob("*.tfrecord"):
            if shard.with_suffix(".json").exists():
                self.shards += 1
                self.size += shard.stat().st_size
                shard.unlink()


def print_growth(measured: list[Measured]) -> None:
    """Print a line for each number of images."""
    columns = (
        f"images, {ALL_WORKERS} workers",
        "annotations MB",
        "dry run s",
        "shards",
        "records GB",
        "convert s",
        "CPU s",
        "ms an image",
        "peak MB",
        "anonymous MB",
        "largest process MB",
    )
    rows = [
        (
            f"{each.images:,}",
            f"{each.annotations_size / 1e6:.1f}",
            f"{each.rehearsal.seconds:.2f}",
            f"{each.shards:,}",
            f"{each.records_size / 1e9:.2f}",
            f"{each.conversion.seconds:.1f}",
            f"{each.conversion.cpu_seconds:.1f}",
            f"{1000 * each.conversion.seconds / each.images:.2f}",
            f"{each.conversion.total_mb:.0f}",
            f"{each.conversion.total_anonymous_mb:.0f}",
            f"{each.conversion.resident_mb:.0f}",
        )
        for each in measured
    ]
    print_table(columns, rows)


def print_many(less: Measured, more: Measured) -> None:
    """Print what ten million images come to, on paper: by what the images that `more` has beyond `less` took."""
    added = more.images - less.images
    annotations = (more.annotations_size - less.annotations_size) / added
    records = (more.records_size - less.records_size) / added
    seconds = (more.conversion.seconds - less.conversion.seconds) / added
    cpu_seconds = (more.conversion.cpu_seconds - less.conversion.cpu_seconds) / added
    memory = 1e6 * (more.conversion.total_anonymous_mb - less.conversion.total_anonymous_mb) / added
    rows = [
        ("annotations", f"{annotations / 1e3:.1f} KB", f"{MANY * annotations / 1e9:.1f} GB"),
        ("records", f"{records / 1e3:.0f} KB", f"{MANY * records / 1e12:.1f} TB"),
        ("shards of 64 MiB", "", f"{MANY * records / SHARD_SIZE:,.0f}"),
        (f"time, {ALL_WORKERS} workers", f"{1000 * seconds:.2f} ms", f"{MANY * seconds / 3600:.1f} hours"),
        ("CPU", f"{1000 * cpu_seconds:.2f} ms", f"{MANY * cpu_seconds / 3600:.1f} hours"),
        ("anonymous memory that grows", f"{memory:.0f} bytes", f"{MANY * memory / 1e9:.1f} GB"),
    ]
    print_table((f"{more.images:,} less {less.images:,} images", "an image", f"{MANY:,} images"), rows)
