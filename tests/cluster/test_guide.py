"""What the guide to clusters says is what happens; `.ci/ray` runs this file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from docs.walk import Walk, bash
from shared_data import REPOSITORY

SHAPES = REPOSITORY / "configs/shapes-coco"


def shell(command: str) -> tuple[int, str]:
    """What is to be installed is installed."""
    return (0, "") if command.startswith("pip ") else bash(command)


def test_the_guide(machines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cluster that `auto` finds."""
    shutil.copytree(SHAPES / "images", tmp_path / "images")
    (tmp_path / "annotations").mkdir()
    shutil.copy(SHAPES / "instances.json", tmp_path / "annotations")
    monkeypatch.chdir(tmp_path)
    walk = Walk(REPOSITORY / "docs/how-to/cluster.md", shell)
    walk.go()
    assert walk.run
    assert (tmp_path / "records/dataset.json").exists()
