"""What the guide to object stores says is what happens; `.ci/s3` runs this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from docs.walk import Walk, in_this_process
from shared_data import REPOSITORY

SHAPES = REPOSITORY / "configs/shapes-coco"


def test_the_guide(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bucket in ("my-data", "my-records"):
        client.create_bucket(Bucket=bucket)
    for file in (SHAPES / "instances.json", *filter(Path.is_file, (SHAPES / "images").rglob("*"))):
        client.upload_file(str(file), "my-data", f"coco/{file.relative_to(SHAPES).as_posix()}")
    monkeypatch.chdir(tmp_path)
    walk = Walk(REPOSITORY / "docs/how-to/remote.md", in_this_process)
    walk.go()
    assert len(list(walk.names["train"].take(1))) == 1
    listed = client.list_objects_v2(Bucket="my-records")["Contents"]
    assert {"coco/dataset.json", "second/dataset.json"} <= {each["Key"] for each in listed}
