"""How long it takes to start: the help, and the conversion of one image."""

from __future__ import annotations

import sys
from pathlib import Path

from converting import Contender, by_hand, by_product, measure_by_turns
from product import console_script, prepare
from tables import print_table


def measure_start(folder: Path, repeat: int) -> None:
    """Measure whole processes that have next to nothing to do."""
    prepare(folder, 1)
    script, product = by_hand(folder), by_product(folder, 1)
    contenders = (
        Contender("Python alone", [sys.executable, "-c", "pass"]),
        Contender("`maskflow-convert --help`", [*console_script(), "--help"]),
        Contender("`maskflow-convert convert`, one image", product.command, product.output),
        Contender("written by hand, one image", script.command, script.output),
    )
    rows = [
        (name, f"{median.seconds:.2f}", f"{median.cpu_seconds:.2f}")
        for name, median in measure_by_turns(contenders, repeat).items()
    ]
    print_table(("starting", "wall s", "CPU s"), rows)
