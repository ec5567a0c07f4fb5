"""Read the same records with `build_dataset` and with the decoder that maskflow's documentation implies, by turns.

    python benchmarks/read.py [--images N] [--repeat N]

Exit code 1 if the two do not yield the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from processes import Command, machine, run
from product import HERE, prepare, product_command
from tables import print_table

LIBRARIES = ("tensorflow", "numpy")
BATCH = 8

PRODUCT = "build_dataset"
WAYS = {
    "as documented, plain `map`": "serial",
    "as documented, parallel `map`": "parallel",
    "the same, masks of uint8": "bytes",
    PRODUCT: "product",
    "only decoding the PNGs": "images",
}
PRODUCT_MASKS = "decode_example"
MASKS = {"as documented": "masks", PRODUCT_MASKS: "product-masks"}
"""Without the image: what is left of either decoder when TensorFlow's PNG decoder is taken out of both."""

SIZES = {"one by one": (), f"batches of {BATCH}": (str(BATCH),)}


@dataclass(frozen=True)
class Reading:
    """One pass over all records, in the steady state.

    Attributes:
        last: seconds until the last element was there.
        end: seconds until the iteration had ended, which may wait for threads of TensorFlow.
        cpu: seconds of all threads.
    """

    last: float
    end: float
    cpu: float

    @classmethod
    def median(cls, readings: Sequence[Self]) -> Self:
        """Take the median of each figure."""
        return cls(
            last=statistics.median(reading.last for reading in readings),
            end=statistics.median(reading.end for reading in readings),
            cpu=statistics.median(reading.cpu for reading in readings),
        )


def main() -> int:
    """Prepare the records and measure; say at the end what was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=500, metavar="N", help="photographs (default: 500)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        folder = Path(name) / "photographs"
        data_set = prepare(folder, arguments.images)
        print(f"{data_set}; medians of {arguments.repeat} runs; {machine(*LIBRARIES)}\n", flush=True)
        run(product_command(folder))
        faults = measure_reading(folder / "converted", arguments.images, arguments.repeat)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def measure_reading(records: Path, count: int, repeat: int) -> list[str]:
    """Read a folder of `count` records in every way and print the figures; return what is wrong with the elements."""
    for size, batch in SIZES.items():
        print_readings(f"reading {size}", PRODUCT, measure_by_turns(WAYS, records, batch, repeat), count)
    print_readings("masks and classes alone", PRODUCT_MASKS, measure_by_turns(MASKS, records, (), repeat), count)
    return [fault for size, batch in SIZES.items() for fault in differences(records, count, size, batch)]


def measure_by_turns(ways: Mapping[str, str], records: Path, batch: Sequence[str], repeat: int) -> dict[str, Reading]:
    """Read in every way, each time in a new process."""
    rounds = [[read(way, records, batch) for way in ways.values()] for _ in range(repeat)]
    return dict(zip(ways, map(Reading.median, zip(*rounds, strict=True)), strict=True))


def print_readings(title: str, product: str, medians: Mapping[str, Reading], count: int) -> None:
    """Print a table: how fast each way is, and how many times as fast the product's."""
    columns = (title, "records/s", "to the end", "CPU ms a record", product)
    print_table(columns, [(name, *figures(each, medians[product], count)) for name, each in medians.items()])


def read(way: str, records: Path, batch: Sequence[str]) -> Reading:
    """Read all records once."""
    return Reading(**json.loads(run(command(way, records, batch)).stdout))


def command(way: str, records: Path, batch: Sequence[str]) -> Command:
    """The command that reads records in one way."""
    return [sys.executable, HERE / "read_records.py", way, records, *batch]


def figures(reading: Reading, product: Reading, count: int) -> tuple[str, ...]:
    """Word the rates, and how many times as fast the product is."""
    rates = (f"{count / reading.last:,.0f}", f"{count / reading.end:,.0f}", f"{1000 * reading.cpu / count:.2f}")
    return (*rates, f"{reading.last / product.last:.2f} times as fast")


def differences(records: Path, count: int, size: str, batch: Sequence[str]) -> list[str]:
    """Hold the elements of the product against those of the documented decoder."""
    found = json.loads(run(command("compare", records, batch)).stdout)
    if found == {"records": count, "unequal": 0}:
        return []
    return [f"reading {size}: {found['unequal']} elements of {found['records']} records differ, of {count} written"]


if __name__ == "__main__":
    sys.exit(main())
