"""What pip leaves of a distribution that offers an adapter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maskflow_convert import registry


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Install a module that defines the adapter `Mine`, which is offered under that name."""
    module = re.sub(r"\W", "_", f"plugin_{folder.name}_{len(list(folder.glob('plugin_*.py')))}")
    monkeypatch.syspath_prepend(str(folder))
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module}:Mine\n")
    registry.load.cache_clear()
    registry.describe.cache_clear()
