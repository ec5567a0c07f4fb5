"""The processes of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A process that has not ended."""

    pid: int
    parent: int
    session: int
    command: str


def running() -> list[Running]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            command = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if state != "Z":
            found.append(Running(int(folder.name), int(parent), int(session), command))
    return found


def session(pid: int) -> set[int]:
    """The processes of the session that a process began."""
    return {each.pid for each in running() if each.session == pid}
