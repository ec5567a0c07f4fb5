"""Run a command as a process of its own and measure it from outside."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Self

SAMPLING_INTERVAL = 0.01  # seconds

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
        stdout: what it printed.
    """

    seconds: float
    cpu_seconds: float
    resident_mb: float
    anonymous_mb: float
    stdout: str

    @classmethod
    def median(cls, runs: Sequence[Self]) -> Self:
        """Take the median of each figure; what was printed is that of the last run."""
        return cls(
            seconds=statistics.median(run.seconds for run in runs),
            cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
            resident_mb=statistics.median(run.resident_mb for run in runs),
            anonymous_mb=statistics.median(run.anonymous_mb for run in runs),
            stdout=runs[-1].stdout,
        )


def run(command: Command) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; the message is what it wrote to stderr.
    """
    with tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            sampler = AnonymousMemory(process.pid)
            sampler.start()
            assert process.stdout is not None  # noqa: S101
            stdout = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        sampler.join()
        if process.returncode:
            stderr.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{stderr.read()}{stdout}")
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        resident_mb=usage.ru_maxrss / 1000,
        anonymous_mb=sampler.peak_kb / 1000,
        stdout=stdout,
    )


class AnonymousMemory(threading.Thread):
    """Watches the `RssAnon` of a process until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.peak_kb = 0

    def run(self) -> None:
        """Sample; a process that has ended has no such line."""
        while (kilobytes := self.sample()) is not None:
            self.peak_kb = max(self.peak_kb, kilobytes)
            time.sleep(SAMPLING_INTERVAL)

    def sample(self) -> int | None:
        """Read the kilobytes held now."""
        try:
            lines = self.status.read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), None)


def machine(*libraries: str) -> str:
    """Name what the figures depend on, in one line."""
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return f"{os.cpu_count()} cores, Python {python_version()}, {versions}"
