"""The page on object stores, every block of it, with the server of this machine in place of a service's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from docs.walk import Walk, blocks, in_this_process

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/remote.md"
SHAPES = ROOT / "configs/shapes-coco"


def test_what_the_page_says_is_what_happens(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for bucket in ("my-data", "my-records"):
        client.create_bucket(Bucket=bucket)
    for file in (SHAPES / "instances.json", *filter(Path.is_file, (SHAPES / "images").rglob("*"))):
        client.upload_file(str(file), "my-data", f"coco/{file.relative_to(SHAPES).as_posix()}")
    monkeypatch.chdir(tmp_path)
    walk = Walk(PAGE, in_this_process)
    walk.go()
    assert len(walk.run) == 4
    assert not [block.line for block in blocks(PAGE) if block.language == "not run"]
