"""Run a command as a process of its own and measure it from outside."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Self

from memory import MemoryWatch

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Run:
    """One finished process.

    Attributes:
        seconds: from start to exit, by the clock.
        cpu_seconds: of all its threads, user and system together.
        resident_mb: the most memory it held at once, pages of mapped files included. The kernel counts
            from the size of the parent upwards, so a benchmark that reports this must stay small itself.
        anonymous_mb: the most of that without the pages of files, sampled every 10 ms.
        total_mb: the most that it and its descendants held at once, a page that n of them share counted as the n-th
            part for each ("proportional set size"), sampled every 200 ms.
        total_resident_mb: the same with shared pages counted for each, sampled every 10 ms.
        total_anonymous_mb: the same without the pages of files, sampled every 10 ms.
        stdout: what it printed.
    """

    seconds: float
    cpu_seconds: float
    resident_mb: float
    anonymous_mb: float
    total_mb: float
    total_resident_mb: float
    total_anonymous_mb: float
    stdout: str

    @classmethod
    def median(cls, runs: Sequence[Self]) -> Self:
        """Take the median of each figure; what was printed is that of the last run."""
        figures = [each.name for each in fields(cls) if each.name != "stdout"]
        medians = {name: statistics.median(getattr(run, name) for run in runs) for name in figures}
        return cls(**medians, stdout=runs[-1].stdout)


def run(command: Command) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; the message is what it wrote to stderr.
    """
    with tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            memory = MemoryWatch(process.pid)
            memory.start()
            assert process.stdout is not None  # noqa: S101
            stdout = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        memory.join()
        if process.returncode:
            stderr.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{stderr.read()}{stdout}")
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        resident_mb=usage.ru_maxrss / 1000,
        anonymous_mb=memory.own_anonymous / 1000,
        total_mb=memory.proportional / 1000,
        total_resident_mb=memory.resident / 1000,
        total_anonymous_mb=memory.anonymous / 1000,
        stdout=stdout,
    )


def machine(*libraries: str) -> str:
    """Name what the figures depend on, in one line."""
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return f"{os.cpu_count()} cores, Python {python_version()}, {versions}"
