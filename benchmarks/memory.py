"""Watch the memory of a process and of all processes that descend from it. Linux only."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
FIGURES = re.compile(rb"^(VmRSS|RssAnon|Pss):\s+(\d+) kB$", re.MULTILINE)
INTERVAL = 0.01  # seconds
INTERVAL_OF_PSS = 0.2  # seconds: the kernel walks through all pages for it, which slows down what is measured
INTERVAL_OF_KIN = 0.5  # seconds: all processes of the machine are looked at


class MemoryWatch(threading.Thread):
    """Watches until the process ends.

    Attributes, all of them peaks in kilobytes:
        own_anonymous: of the process alone, without the pages of files.
        anonymous: of all processes together, without the pages of files, every 10 ms.
        proportional: of all processes together, every 200 ms; a page that two of them share counts half for each.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.own_anonymous = self.anonymous = self.proportional = 0
        self._pid = pid

    def run(self) -> None:
        """Sample; a process that has ended holds nothing."""
        kin: list[int] = []
        kin_due = pss_due = 0.0
        while own := kilobytes(self._pid, "status"):
            now = time.monotonic()
            if now >= kin_due:
                kin, kin_due = list(descendants(self._pid)), now + INTERVAL_OF_KIN
            if now >= pss_due:
                everyone = [kilobytes(pid, "smaps_rollup") for pid in (self._pid, *kin)]
                self.proportional = max(self.proportional, total(everyone, "Pss"))
                pss_due = now + INTERVAL_OF_PSS
            everyone = [own, *(kilobytes(pid, "status") for pid in kin)]
            self.own_anonymous = max(self.own_anonymous, total([own], "RssAnon"))
            self.anonymous = max(self.anonymous, total(everyone, "RssAnon"))
            time.sleep(INTERVAL)


def total(processes: list[dict[str, int]], name: str) -> int:
    """Add up one figure of several processes."""
    return sum(process.get(name, 0) for process in processes)


def kilobytes(pid: int, file: str) -> dict[str, int]:
    """Read what a process holds, by name; nothing if it has ended."""
    try:
        text = (PROC / str(pid) / file).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name.decode(): int(number) for name, number in FIGURES.findall(text)}


def descendants(pid: int) -> Iterator[int]:
    """Find the children of a process, and theirs."""
    parents = {int(path.name): parent(path) for path in PROC.glob("[0-9]*")}
    found = {pid}
    while children := {child for child, its_parent in parents.items() if its_parent in found} - found:
        found |= children
        yield from children


def parent(process: Path) -> int | None:
    """Read which process started another; None if that has ended."""
    try:
        _, _, numbers = (process / "stat").read_text().rpartition(")")  # the name before may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(numbers.split()[1])
