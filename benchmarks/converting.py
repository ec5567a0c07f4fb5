"""Convert the same images by hand, with `maskflow-convert` and with datumaro, by turns; compare the records."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from processes import Command, Run, run, watch
from product import ALL_WORKERS, HERE, prepare, product_command, records_mb
from tables import print_table

BY_HAND = "written by hand"
ONE = "maskflow-convert, 1 worker"
ALL = f"maskflow-convert, {ALL_WORKERS} workers"
DATUMARO = "datumaro, polygons to masks to TFRecord"
DECODING = "only decoding the images"


@dataclass(frozen=True)
class Contender:
    """A command to measure, and the file or folder that it writes, if it writes."""

    name: str
    command: Command
    output: Path | None = None

    def run_anew(self) -> Run:
        """Run it on a clean slate."""
        self._clear()
        return run(self.command)

    def measure_memory(self) -> float:
        """Run it on a clean slate; tell its peak, and that of its workers, in MB."""
        self._clear()
        return watch(self.command).total_mb

    def _clear(self) -> None:
        """Remove what an earlier run has written, and wait until all that was written is on the disk."""
        if self.output and self.output.is_dir():
            shutil.rmtree(self.output)
        elif self.output:
            self.output.unlink(missing_ok=True)
        os.sync()


def measure_conversions(folder: Path, images: int, repeat: int, datumaro: str | None) -> list[str]:
    """Measure all on the images of a folder; return what is wrong with their records."""
    contenders = [by_hand(folder), by_product(folder, 1), by_product(folder, ALL_WORKERS), decoding(folder)]
    if datumaro:
        contenders.append(by_datumaro(folder, datumaro))
    medians = measure_by_turns(contenders, repeat)
    print_conversions(contenders, medians, images)
    print_ratios(medians)
    return [*unequal_records(folder), *unequal_bytes(folder)]


def measure_long(folder: Path, count: int, repeat: int) -> list[str]:
    """Measure one worker against all on a set of its own; return what is wrong with their records."""
    data_set = prepare(folder, count)
    contenders = [by_product(folder, 1), by_product(folder, ALL_WORKERS)]
    medians = measure_by_turns(contenders, repeat)
    columns = (data_set, "wall s", "CPU s", "images/s", "peak MB")
    print_table(columns, [(each.name, *process_figures(each, medians, count)) for each in contenders])
    print(f"{medians[ONE].seconds / medians[ALL].seconds:.2f} times as fast with {ALL_WORKERS} workers.\n", flush=True)
    return unequal_bytes(folder)


# The contenders


def by_hand(folder: Path) -> Contender:
    """The script."""
    output = folder / "by_hand.tfrecord"
    return Contender(
        BY_HAND,
        [sys.executable, HERE / "by_hand.py", folder / "annotations.json", folder / "images", output],
        output,
    )


def by_product(folder: Path, workers: int) -> Contender:
    """The product."""
    output = converted(folder, workers)
    command = product_command(folder, "--workers", str(workers), "--output", str(output))
    return Contender(ONE if workers == 1 else ALL, command, output)


def converted(folder: Path, workers: int) -> Path:
    """Where so many workers write."""
    return folder / f"converted-{workers}"


def by_datumaro(folder: Path, python: str) -> Contender:
    """The export of datumaro, which knows COCO's annotations by the names of their folders and file."""
    source, output = folder / "datumaro", folder / "exported"
    (source / "annotations").mkdir(parents=True)
    (source / "annotations" / "instances_train.json").symlink_to(folder / "annotations.json")
    (source / "images").symlink_to(folder / "images")
    return Contender(DATUMARO, [python, HERE / "export_with_datumaro.py", source, output], output)


def decoding(folder: Path) -> Contender:
    """The floor."""
    return Contender(DECODING, [sys.executable, HERE / "decode_only.py", folder / "images"])


# The figures


def measure_by_turns(contenders: Iterable[Contender], repeat: int) -> dict[str, Run]:
    """Run all of them, then all of them again; return the medians by name."""
    rounds = [[contender.run_anew() for contender in contenders] for _ in range(repeat)]
    medians = map(Run.median, zip(*rounds, strict=True))
    return {contender.name: median for contender, median in zip(contenders, medians, strict=True)}


def print_conversions(contenders: Iterable[Contender], medians: dict[str, Run], images: int) -> None:
    """Print what each took, and wrote."""
    script = medians[BY_HAND].seconds
    columns = ("converting", "wall s", "CPU s", "images/s", "peak MB", "output MB", "times as fast as by hand")
    rows = [
        (
            contender.name,
            *process_figures(contender, medians, images),
            f"{records_mb(contender.output):.1f}" if contender.output else "none",
            f"{script / medians[contender.name].seconds:.1f}",
        )
        for contender in contenders
    ]
    print_table(columns, rows)


def process_figures(contender: Contender, medians: dict[str, Run], images: int) -> tuple[str, ...]:
    """Write what the processes of a conversion took; the memory is that of one more run."""
    median = medians[contender.name]
    return (
        f"{median.seconds:.2f}",
        f"{median.cpu_seconds:.2f}",
        f"{images / median.seconds:,.0f}",
        f"{contender.measure_memory():.0f}",
    )


def print_ratios(medians: dict[str, Run]) -> None:
    """Print what the figures come to."""
    clock = {name: median.seconds for name, median in medians.items()}
    cpu = {name: median.cpu_seconds for name, median in medians.items()}
    ratios = {
        f"by hand : {ONE}, by the clock": clock[BY_HAND] / clock[ONE],
        f"by hand : {ALL}, by the clock": clock[BY_HAND] / clock[ALL],
        f"{ONE} : {ALL}, by the clock": clock[ONE] / clock[ALL],
        f"{ONE} : {DECODING}, CPU": cpu[ONE] / cpu[DECODING],
        f"{ALL} : {DECODING}, CPU": cpu[ALL] / cpu[DECODING],
    }
    if DATUMARO in clock:
        ratios[f"datumaro : {ALL}, by the clock"] = clock[DATUMARO] / clock[ALL]
    print_table(("ratio", "times"), [(name, f"{ratio:.2f}") for name, ratio in ratios.items()])


# The records


def unequal_records(folder: Path) -> list[str]:
    """Have TensorFlow compare the records of the script and of the product."""
    judge: Command = [sys.executable, HERE / "same_records.py", folder / "by_hand.tfrecord", converted(folder, 1)]
    return judged(judge, "by hand and by 1 worker")


def judged(judge: Command, what: str) -> list[str]:
    """Print what `same_records.py` says; return that there is a difference, if there is one."""
    verdict = subprocess.run(judge, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    print(f"{what}: {verdict.stdout}", flush=True)
    return [f"{what}: records differ"] if verdict.returncode else []


def unequal_bytes(folder: Path) -> list[str]:
    """Compare the files of one worker and of all, byte by byte."""
    left, right = converted(folder, 1), converted(folder, ALL_WORKERS)
    names = sorted({file.name for output in (left, right) for file in output.glob("*.tfrecord")})
    _, unequal, missing = filecmp.cmpfiles(left, right, names, shallow=False)
    equal = len(names) - len(unequal + missing)
    print(f"by 1 worker and by {ALL_WORKERS}: files equal: {equal} of {len(names)}\n", flush=True)
    return [f"{name}: depends on the number of workers" for name in unequal + missing]
