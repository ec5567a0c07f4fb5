"""Where real data is: in the repository, and in a folder beside it that not everybody has."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = (REPOSITORY.parent / "shared" / "data").resolve()
"""Data sets that are not ours to distribute; tests take what is there, and do without where nothing is."""
