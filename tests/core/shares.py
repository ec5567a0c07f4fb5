"""Shares of a small data set, written by nodes, and what a single run writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from maskflow_convert import Report, convert, load_config
from maskflow_convert.output import Existing


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def single_run(config: Path, out: Path, *overrides: str) -> tuple[dict[str, bytes], Report]:
    """All files that a single run writes to a folder, in which nothing is left, and its report."""
    report = convert(load_config(config, [f"output.directory={out}", *overrides]))
    written = contents(out)
    shutil.rmtree(out)
    return written, report


def run_nodes(
    config: Path,
    out: Path,
    nodes: int,
    *overrides: str,
    only: Iterable[int] | None = None,
    existing: Existing = Existing.REFUSE,
) -> list[Report]:
    """Let nodes write to one folder, the last one first, as they may come in any order."""
    loaded = load_config(config, [f"output.directory={out}", *overrides])
    numbers = range(1, nodes + 1) if only is None else only
    return [convert(loaded, node=f"{number}/{nodes}", existing=existing) for number in sorted(numbers, reverse=True)]


def run_apart(config: Path, folder: Path, nodes: int, *overrides: str) -> list[Path]:
    """Let each node write to a folder of its own; these, in the order of the nodes."""
    parts = [folder / f"part-{number}" for number in range(1, nodes + 1)]
    for number, part in enumerate(parts, start=1):
        run_nodes(config, part, nodes, *overrides, only=[number])
    return parts
