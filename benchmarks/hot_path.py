"""Where the time of a conversion goes: the functions that take most of it themselves, as a table.

    python benchmarks/hot_path.py FOLDER

converts the data set of a folder in this process, under Python's profiler. That makes small Python functions look
slower than they are: the shares are a guide, and no figure of the conversion as a whole.
"""

from __future__ import annotations

import cProfile
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tables import print_table

ROWS = 20
PRODUCT = ("maskflow_convert", "maskflow_adapters")


def main() -> None:
    """Profile; print the table."""
    times = own_times(Path(sys.argv[1]))
    total = times.total()
    shares = {name: seconds / total for name, seconds in times.most_common(ROWS)}
    rows = [*shares.items(), ("all else", 1 - sum(shares.values()))]
    print_table(("own time of", "share"), [(name, f"{share:.1%}") for name, share in rows])


def own_times(folder: Path) -> Counter[str]:
    """Convert, start-up and imports included; tell how long each function took without those that it called."""
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(dir=folder) as output, redirect_stdout(StringIO()):
        profile.runcall(convert, [str(folder / "convert.yaml"), "--executor", "serial", "--output", output])
    profile.create_stats()
    times: Counter[str] = Counter()
    for (file, _, name), (_, _, seconds, _, _) in profile.stats.items():
        times[named(file, name)] += seconds
    return times


def convert(arguments: list[str]) -> None:
    """Do what the command does; its imports are part of it.

    Raises:
        SystemExit: it failed.
    """
    from maskflow_convert.cli import main

    if exit_code := main(["convert", *arguments]):
        raise SystemExit(exit_code)


def named(file: str, name: str) -> str:
    """Name a function of the product with its module, one of a library by the library."""
    if file == "~":  # not Python
        return name.strip("<>")
    parts = Path(file).parts
    if ours := [package for package in PRODUCT if package in parts]:
        return f"{'.'.join(Path(file).with_suffix('').parts[parts.index(ours[0]) + 1 :])}.{name}"
    if "site-packages" in parts:
        return f"{parts[parts.index('site-packages') + 1]}, in Python"
    return "Python's standard library, in Python"


if __name__ == "__main__":
    main()
