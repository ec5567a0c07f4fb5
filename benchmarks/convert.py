"""Measure `maskflow-convert` against the script one would write by hand, on the same images, in one run.

    python benchmarks/convert.py [--images N] [--repeat N]

Both run as whole processes, start-up included, by turns; the product converts in one process, as the script
does. Then TensorFlow judges whether their records are equal: exit code 1 if they are not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import Command, Run, machine, run

HERE = Path(__file__).resolve().parent
LIBRARIES = ("tensorflow", "numpy", "pillow", "pycocotools")
CONFIG = """\
sources:
  - adapter: coco
    annotations: annotations.json
    images: images
output: {directory: converted}
run: {executor: serial, workers: 1}
"""


@dataclass(frozen=True)
class Contender:
    """A command to measure, and the file or folder that it writes, if it writes."""

    name: str
    command: Command
    output: Path | None = None

    def run_anew(self) -> Run:
        """Run it without what an earlier run has written."""
        if self.output and self.output.is_dir():
            shutil.rmtree(self.output)
        elif self.output:
            self.output.unlink(missing_ok=True)
        return run(self.command)

    def output_mb(self) -> float:
        """Measure the records written."""
        if self.output is None:
            return 0.0
        files = self.output.rglob("*.tfrecord") if self.output.is_dir() else [self.output]
        return sum(file.stat().st_size for file in files) / 1e6


def main() -> int:
    """Prepare the images, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, metavar="N", help="repeat or cut the set to this many images")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        folder = Path(name)
        prepare(folder, arguments.images)
        print(f"{describe(folder)}; median of {arguments.repeat} runs; {machine(*LIBRARIES)}")
        return measure(folder, arguments.repeat)


def prepare(folder: Path, count: int | None) -> None:
    """Fill the folder with images, their annotations, and the product's configuration.

    The images are made by another process, so that this one stays small: see `Run.resident_mb`.
    """
    cut = [] if count is None else ["--images", str(count)]
    run([sys.executable, HERE / "photographs.py", folder, *cut])
    (folder / "convert.yaml").write_text(CONFIG)


def describe(folder: Path) -> str:
    """Count what is converted."""
    dataset = json.loads((folder / "annotations.json").read_text())
    return f"{len(dataset['images'])} images, {len(dataset['annotations'])} annotations"


def measure(folder: Path, repeat: int) -> int:
    """Run all by turns, print the figures, and have TensorFlow compare the records."""
    images, by_hand, converted = folder / "images", folder / "by_hand.tfrecord", folder / "converted"
    script: Command = [sys.executable, HERE / "by_hand.py", folder / "annotations.json", images, by_hand]
    product: Command = [*product_command(), "convert", folder / "convert.yaml"]
    contenders = (
        Contender("written by hand", script, by_hand),
        Contender("maskflow-convert", product, converted),
        Contender("only decoding the images", [sys.executable, HERE / "decode_only.py", images]),
    )
    rounds = [[contender.run_anew() for contender in contenders] for _ in range(repeat)]
    print_table(contenders, [Run.median(runs) for runs in zip(*rounds, strict=True)])
    judge: Command = [sys.executable, HERE / "same_records.py", by_hand, converted]
    return subprocess.run(judge, stderr=subprocess.DEVNULL, check=False).returncode


def product_command() -> list[str]:
    """Find the console script of this environment, or else the package."""
    script = shutil.which("maskflow-convert", path=Path(sys.executable).parent)
    return [script] if script else [sys.executable, "-m", "maskflow_convert"]


def print_table(contenders: Sequence[Contender], medians: Sequence[Run]) -> None:
    """Print the figures, and how many times the product's those of the script are."""
    print(f"{'':26}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}{'output MB':>11}")
    rows = [
        (median.seconds, median.cpu_seconds, median.resident_mb, contender.output_mb())
        for contender, median in zip(contenders, medians, strict=True)
    ]
    for contender, (wall, cpu, peak, output) in zip(contenders, rows, strict=True):
        print(f"{contender.name:26}{wall:10.2f}{cpu:10.2f}{peak:10.0f}{output:11.1f}")
    by_hand, product, _ = rows
    wall, cpu, peak, output = (theirs / ours for theirs, ours in zip(by_hand, product, strict=True))
    print(f"{'by hand : maskflow-convert':26}{wall:10.2f}{cpu:10.2f}{peak:10.2f}{output:11.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
