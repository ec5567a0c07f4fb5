"""Measure the product against what one would use instead, on the same images, and print tables in Markdown.

    python benchmarks/run.py [--images N] [--repeat N] [--datumaro PYTHON] [--long N] [--growth N]

Everything that is measured is a process of its own, start-up included unless the table says otherwise; those that are
compared run by turns, and the figures are medians. Exit code 1 if records differ that should be equal.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import index
import validate
from compressing import measure_gzip
from converting import converted, measure_conversions, measure_long
from growing import measure_growth
from processes import machine, run
from product import HERE, prepare
from read import measure_reading
from starting import measure_start
from tables import print_table

LIBRARIES = ("tensorflow", "numpy", "pillow", "simplejpeg", "isal", "deflate", "pycocotools", "msgspec")
NO_DATUMARO = """\
datumaro is not measured. It takes an environment of its own:
    python -m venv datumaro && datumaro/bin/pip install 'datumaro[tf]'
    python benchmarks/run.py --datumaro datumaro/bin/python"""


def main() -> int:
    """Measure all in turn, and say at the end what was not as it should be."""
    arguments = parse()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        faults = measure(Path(name), arguments)
    print(f"All of this took {(time.perf_counter() - start) / 60:.0f} minutes.")
    if not arguments.datumaro:
        print(f"\n{NO_DATUMARO}", file=sys.stderr)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="photographs (default: 1000)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    parser.add_argument(
        "--datumaro", metavar="PYTHON", default=validate.own_datumaro(), help="a Python with datumaro and TensorFlow"
    )
    parser.add_argument("--megabytes", type=int, default=443, metavar="N", help="annotations to index (default: 443)")
    parser.add_argument("--long", type=int, metavar="N", help="one worker against all on so many photographs, too")
    parser.add_argument(
        "--growth", type=int, metavar="N", help="also 100 photographs, 1,000 and so on up to so many, once each"
    )
    return parser.parse_args()


def measure(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Print all tables; return what is wrong with the records."""
    repeat, datumaro, photographs = arguments.repeat, arguments.datumaro, folder / "photographs"
    data_set = prepare(photographs, arguments.images)
    print(f"{data_set}; medians of {repeat} runs; {processor()}, {machine(*LIBRARIES)}\n", flush=True)
    faults = measure_conversions(photographs, arguments.images, repeat, datumaro)
    faults += measure_gzip(converted(photographs, workers=1), folder / "gzip", repeat)
    shutil.rmtree(folder / "gzip")
    print(run([sys.executable, HERE / "hot_path.py", photographs]).stdout, end="", flush=True)
    measure_start(folder / "one", repeat)
    measure_index(folder / "index", arguments.megabytes * 1_000_000, repeat)
    validate.measure(validate.validators_with(datumaro), folder / "validate", validate.COPIES, repeat)
    faults += measure_reading(converted(photographs, workers=1), arguments.images, repeat)
    shutil.rmtree(photographs)
    if arguments.long:
        faults += measure_long(folder / "long", arguments.long, repeat)
        shutil.rmtree(folder / "long")
    if arguments.growth:
        measure_growth(folder / "growth", arguments.growth)
    return faults


def processor() -> str:
    """Name the processor, where Linux tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")


def measure_index(folder: Path, size: int, repeat: int) -> None:
    """Open a large COCO file in every way that `index.py` knows."""
    folder.mkdir(parents=True)
    file = index.make_file(folder, size)
    print()
    rounds = [[index.open_file(file, reader) for reader in index.READERS.values()] for _ in range(repeat)]
    columns = (f"opening {file.stat().st_size / 1e6:.0f} MB of annotations", "seconds", "anonymous MB", "all MB")
    rows = [
        (name, f"{row.seconds:.2f}", f"{row.anonymous_mb:.0f}", f"{row.resident_mb:.0f}")
        for name, row in zip(index.READERS, map(index.summarise, zip(*rounds, strict=True)), strict=True)
    ]
    print_table(columns, rows)


if __name__ == "__main__":
    sys.exit(main())
