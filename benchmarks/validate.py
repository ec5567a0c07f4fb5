"""Measure `maskflow-convert validate` and datumaro's validator on the same COCO annotations, and what each finds.

    python benchmarks/validate.py [--copies N] [--repeat N] [--datumaro PYTHON]

Each validation is a process of its own, with one worker; no image is opened. Then faults are planted in a small data
set, one by one, and both are asked what they find, images included. datumaro is no dependency of the product: without
one, the product's half alone is measured.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap

from photographs import prepare, resize
from planted import FAULTS, draw, plant, write
from processes import WatchedRun, machine, watch
from tables import print_table
from validate_coco import Validation

HERE = Path(__file__).resolve().parent
LIBRARIES = ("numpy", "pycocotools", "msgspec")
COPIES = 25
"""Of the annotations of 100 photographs."""

INSTALL = """\
datumaro is not here. To measure it too, in an environment of its own:
    python -m venv datumaro && datumaro/bin/pip install datumaro
    python benchmarks/validate.py --datumaro datumaro/bin/python"""


@dataclass(frozen=True)
class Validator:
    """A name, the Python that has it, and its two ways in `validate_coco.py`: images left alone, and looked at."""

    name: str
    python: str
    geometry: str
    everything: str

    def command(self, way: str, folder: Path) -> list[str]:
        """The command that validates a folder."""
        return [self.python, str(HERE / "validate_coco.py"), way, str(folder)]


@dataclass(frozen=True)
class Figures:
    """The medians of one validator: of its processes, and of the validations within them."""

    process: WatchedRun
    cpu_seconds: float
    findings: int
    version: str


def main() -> None:
    """Measure both validators, then show them the planted faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--copies", type=int, default=COPIES, metavar="N", help=f"of the photographs (default: {COPIES})"
    )
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    parser.add_argument("--datumaro", metavar="PYTHON", default=own_datumaro(), help="a Python that has datumaro")
    arguments = parser.parse_args()
    validators = validators_with(arguments.datumaro)
    with tempfile.TemporaryDirectory(prefix="maskflow-benchmark-") as name:
        print(f"medians of {arguments.repeat} runs; {machine(*LIBRARIES)}\n")
        measure(validators, Path(name) / "large", arguments.copies, arguments.repeat)
        print_findings(validators, Path(name) / "planted")
    if not arguments.datumaro:
        print(f"\n{INSTALL}")


def validators_with(datumaro: str | None) -> list[Validator]:
    """The product, and datumaro if there is a Python that has it."""
    product = Validator("maskflow-convert", sys.executable, "geometry", "all")
    return [product, Validator("datumaro", datumaro, "datumaro", "datumaro")] if datumaro else [product]


def own_datumaro() -> str | None:
    """This Python, if it has datumaro."""
    return sys.executable if find_spec("datumaro") else None


# The rate


def measure(validators: Sequence[Validator], folder: Path, copies: int, repeat: int) -> None:
    """Have so many copies of the photographs' annotations validated by turns, and print what that took."""
    count = repeat_annotations(folder, copies)
    rounds = [[validate(each, folder) for each in validators] for _ in range(repeat)]
    print_figures([summarise(runs) for runs in zip(*rounds, strict=True)], count)


def repeat_annotations(folder: Path, copies: int) -> int:
    """Write the annotations of the photographs so many times, out of order, as COCO's own files have them."""
    dataset = prepare(folder / "photographs")
    dataset = resize(dataset, copies * len(dataset["images"]))
    random.Random(7).shuffle(dataset["annotations"])  # noqa: S311
    write(dataset, folder)
    return len(dataset["annotations"])


def validate(validator: Validator, folder: Path) -> tuple[WatchedRun, Validation]:
    """Validate a folder in a new process; return that and what it says of itself.

    Raises:
        SystemExit: it could not.
    """
    process = watch(validator.command(validator.geometry, folder))
    validation = Validation(**json.loads(process.stdout))
    if validation.failure:
        raise SystemExit(f"{validator.name} {validation.failure}")
    return process, validation


def summarise(runs: Iterable[tuple[WatchedRun, Validation]]) -> Figures:
    """Take the medians."""
    processes, validations = zip(*runs, strict=True)
    cpu_seconds = statistics.median(validation.cpu_seconds for validation in validations)
    findings = sum(validations[0].found.values())
    return Figures(WatchedRun.median(processes), cpu_seconds, findings, validations[0].version)


def print_figures(table: Iterable[Figures], count: int) -> None:
    """Print what the processes took, and the rate of the validations within them."""
    columns = (
        f"validating {count:,} annotations",
        "wall s",
        "CPU s",
        "anonymous MB",
        "validating, CPU s",
        "annotations/s",
        "findings",
    )
    rows = [
        (
            row.version,
            f"{row.process.seconds:.2f}",
            f"{row.process.cpu_seconds:.2f}",
            f"{row.process.anonymous_mb:.0f}",
            f"{row.cpu_seconds:.2f}",
            f"{count / row.cpu_seconds:,.0f}",
            f"{row.findings:,}",
        )
        for row in table
    ]
    print_table(columns, rows)


# The planted faults


def print_findings(validators: Iterable[Validator], folder: Path) -> None:
    """Plant the faults one by one, and print what each validator finds that it does not find in the sound set."""
    sound = draw(folder / "sound")
    before = {validator: ask(validator, folder / "sound") for validator in validators}
    print_row("planted", {validator.name: [validator.name] for validator in before})
    print_row("(nothing: what is held against the sound set)", {v.name: told(o, {}) for v, o in before.items()})
    for number, fault in enumerate(FAULTS):
        faulty = folder / str(number)
        plant(fault, sound, faulty)
        found = {validator.name: told(ask(validator, faulty), before[validator].found) for validator in before}
        print_row(fault.name, found)


def ask(validator: Validator, folder: Path) -> Validation:
    """Have a small data set validated; a process that dies has failed."""
    process = subprocess.run(
        validator.command(validator.everything, folder), capture_output=True, text=True, check=False
    )
    if process.returncode < 0:
        return Validation(validator.name, 0, 0, {}, f"dies: {signal.Signals(-process.returncode).name}")
    if process.returncode:
        raise SystemExit(process.stderr)
    return Validation(**json.loads(process.stdout))


def told(validation: Validation, before: Mapping[str, int]) -> list[str]:
    """What a validation says that was not said before."""
    more = sorted(Counter(validation.found) - Counter(before))
    return [*more, validation.failure] if validation.failure else more or ["nothing"]


def print_row(name: str, columns: Mapping[str, list[str]]) -> None:
    """Print what was planted, and what was found, in columns of several lines."""
    cells = [wrap(name, 34), *(wrap(", ".join(found), 48) for found in columns.values())]
    for line in range(max(map(len, cells))):
        texts = [cell[line] if line < len(cell) else "" for cell in cells]
        print(f"{texts[0]:36}" + "".join(f"{text:50}" for text in texts[1:]).rstrip(), flush=True)


if __name__ == "__main__":
    main()
