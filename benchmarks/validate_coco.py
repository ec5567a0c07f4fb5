"""Validate a COCO data set in one of several ways, and print what was found and how long it took.

    python benchmarks/validate_coco.py geometry|all|datumaro FOLDER

FOLDER is as `planted.write` leaves it. The time is that of reading the annotations and validating them; imports come
before it. datumaro is no dependency of the product, and its Python need not have the product, so each is imported
only when it is asked for.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

Validate = Callable[[Path], Counter[str]]
"""Validates a folder; returns the number of findings of each kind."""


@dataclass(frozen=True)
class Validation:
    """What one way of validating says of a data set.

    Attributes:
        version: what validated.
        seconds: by the clock.
        cpu_seconds: of all threads.
        found: the number of findings of each kind: the product's codes, datumaro's anomalies, and what was logged.
        failure: what ended it before its end, if anything did.
    """

    version: str
    seconds: float
    cpu_seconds: float
    found: dict[str, int]
    failure: str | None


def main() -> None:
    """Validate; print the outcome."""
    library, load = WAYS[sys.argv[1]]
    print(json.dumps(asdict(measure(library, load(), Path(sys.argv[2])))))


def measure(library: str, validate: Validate, folder: Path) -> Validation:
    """Validate a folder, and note what came of it."""
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    found: Counter[str] = Counter()
    failure = None
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        found += validate(folder)
    except Exception as error:
        failure = f"stops: {first_cause(error)}"
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Validation(f"{library} {version(library)}", seconds, cpu_seconds, dict(found + warnings.seen), failure)


def first_cause(error: BaseException) -> str:
    """The class of the error that began it: datumaro's own wrap one another."""
    while error.__cause__:
        error = error.__cause__
    return type(error).__name__


class Warnings(logging.Handler):
    """Counts what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count it."""
        self.seen[f'logs "{record.getMessage()}"'] += 1


def load_product(images: str) -> Validate:
    """The product in this process; `images` is "decode" for every check there is, "skip" for those that open none."""
    from maskflow_convert.validation import Images, validate_annotations

    def validate(folder: Path) -> Counter[str]:
        report = validate_annotations(folder / "validate.yaml", images=Images(images))
        return Counter({code: count for (code, _), count in report.counts.items()})

    return validate


def load_datumaro() -> Validate:
    """What `datum validate -t segmentation FOLDER:coco_instances` does before it writes its report."""
    from datumaro.components.dataset import Dataset
    from datumaro.plugins.validators import SegmentationValidator

    def validate(folder: Path) -> Counter[str]:
        dataset = Dataset.import_from(str(folder), "coco_instances")
        reports = SegmentationValidator().validate(dataset)["validation_reports"]
        return Counter(report["anomaly_type"] for report in reports)

    return validate


WAYS: dict[str, tuple[str, Callable[[], Validate]]] = {
    "geometry": ("maskflow-convert", lambda: load_product("skip")),
    "all": ("maskflow-convert", lambda: load_product("decode")),
    "datumaro": ("datumaro", load_datumaro),
}


if __name__ == "__main__":
    main()
