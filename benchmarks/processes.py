"""Run a command as a process of its own and measure it from outside."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
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
        stdout: what it printed.
        seconds: from start to exit, by the clock.
        cpu_seconds: of all its threads and of its children, user and system together.
        resident_mb: the most memory it held at once, pages of mapped files included. The kernel counts
            from the size of the parent upwards, so a benchmark that reports this must stay small itself.
    """

    stdout: str
    seconds: float
    cpu_seconds: float
    resident_mb: float

    @classmethod
    def median(cls, runs: Sequence[Self]) -> Self:
        """Take the median of each figure; what was printed is that of the last run."""
        figures = [each.name for each in fields(cls) if each.name != "stdout"]
        medians = {name: statistics.median(getattr(run, name) for run in runs) for name in figures}
        return cls(stdout=runs[-1].stdout, **medians)


@dataclass(frozen=True)
class WatchedRun(Run):
    """One finished process whose memory was watched, which slows it down, by a tenth or so.

    Attributes:
        anonymous_mb: the most that it held at once without the pages of files, sampled every 10 ms.
        total_mb: the most that it and its descendants held at once, a page that n of them share counted as the n-th
            part for each ("proportional set size"), sampled every 200 ms.
        total_anonymous_mb: the same without the pages of files, a shared page counted for each, sampled every 10 ms.
    """

    anonymous_mb: float
    total_mb: float
    total_anonymous_mb: float


def run(command: Command) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; the message is what it wrote to stderr.
    """
    return _run(command, lambda pid: None)


def watch(command: Command) -> WatchedRun:
    """Run a command to its end, and watch its memory.

    Raises:
        SystemExit: as `run`.
    """
    watches: list[MemoryWatch] = []

    def begin(pid: int) -> None:
        watches.append(MemoryWatch(pid))
        watches[0].start()

    finished = _run(command, begin)
    memory = watches[0]
    memory.join()
    return WatchedRun(
        **vars(finished),
        anonymous_mb=memory.own_anonymous / 1000,
        total_mb=memory.proportional / 1000,
        total_anonymous_mb=memory.anonymous / 1000,
    )


def _run(command: Command, started: Callable[[int], None]) -> Run:
    with tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            started(process.pid)
            assert process.stdout is not None  # noqa: S101
            stdout = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stderr.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{stderr.read()}{stdout}")
    return Run(stdout, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def machine(*libraries: str) -> str:
    """Name what the figures depend on, in one line."""
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return f"{os.cpu_count()} cores, Python {python_version()}, {versions}"
