"""What the measurements have in common: the product as a command, and a data set for it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from processes import run

HERE = Path(__file__).resolve().parent
CONFIG = """\
sources:
  - adapter: coco
    annotations: annotations.json
    images: images
output: {directory: converted}
"""

ALL_WORKERS = max(2, os.cpu_count() or 1)


def product_command(folder: Path, *options: str) -> list[str]:
    """The command that converts the data set of a folder."""
    return [*console_script(), "convert", str(folder / "convert.yaml"), *options]


def console_script() -> list[str]:
    """Find the console script of this environment, or else the package."""
    script = shutil.which("maskflow-convert", path=Path(sys.executable).parent)
    return [script] if script else [sys.executable, "-m", "maskflow_convert"]


def prepare(folder: Path, count: int) -> str:
    """Fill the folder with images, their annotations, and the product's configuration; tell how many there are.

    The images are made by another process, so that this one stays small: see `Run.resident_mb`.
    """
    made = run([sys.executable, HERE / "photographs.py", folder, "--images", str(count)])
    (folder / "convert.yaml").write_text(CONFIG)
    return made.stdout.strip()


def records_mb(output: Path) -> float:
    """Measure the records in a folder, or in one file."""
    files = output.rglob("*.tfrecord") if output.is_dir() else [output]
    return sum(file.stat().st_size for file in files) / 1e6
