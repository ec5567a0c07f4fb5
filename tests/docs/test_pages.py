"""What the pages say is what happens: every block of the README, the tutorial and the guides is run, in order."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from docs.walk import Walk, blocks, in_this_process
from maskflow_convert import build_dataset, convert, load_config
from maskflow_convert.record import Layout
from shared_data import REPOSITORY

WITH_SERVERS = [REPOSITORY / "docs/how-to" / name for name in ("remote.md", "cluster.md")]
"""`tests/s3` runs the one, where there is an S3 server, and `tests/cluster` the other."""

PROMISED = [
    REPOSITORY / "README.md",
    REPOSITORY / "docs/tutorial.md",
    *sorted(page for page in (REPOSITORY / "docs/how-to").glob("*.md") if page not in WITH_SERVERS),
]
"""Every block of these is run here."""

MEASURING = REPOSITORY / "docs/performance.md"
"""Its commands take hours."""

OTHERS = [
    page
    for page in sorted((REPOSITORY / "docs").rglob("*.md"))
    if page not in (*PROMISED, *WITH_SERVERS, MEASURING) and any(block.language != "not run" for block in blocks(page))
]


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pages use of the repository, in a folder of their own, which is the working directory."""
    for folder in ("configs", "examples", "tests/bad"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [*PROMISED, *OTHERS], ids=name_of)
def test_what_the_page_says_is_what_happens(page: Path, clone: Path):
    walk = Walk(page, in_this_process)
    walk.go()
    assert walk.run


@pytest.mark.parametrize("page", [*PROMISED, *WITH_SERVERS], ids=name_of)
def test_nothing_of_it_is_left_out(page: Path):
    assert not [block.line for block in blocks(page) if block.language == "not run"]


@pytest.mark.parametrize("layout", list(Layout))
def test_the_decoder_of_the_guide_reads_what_ours_reads(layout: Layout, tmp_path: Path):
    [code] = [block.body for block in blocks(REPOSITORY / "docs/how-to/train.md") if block.title == "decoding.py"]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page's own lines
    convert(load_config(REPOSITORY / "configs/coco.yaml", [f"output.directory={tmp_path}", f"output.layout={layout}"]))
    [file] = tmp_path.glob("train-*.tfrecord")
    decode = partial(names["decode"], rows_first=layout is Layout.ROWS_FIRST)
    theirs, ours = tf.data.TFRecordDataset(str(file)).map(decode), build_dataset(tmp_path, split="train")
    for (image, target), (same_image, same_target) in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(image, same_image)
        assert target.keys() == same_target.keys()
        for key in target:
            np.testing.assert_array_equal(target[key], same_target[key])


def test_an_adapter_takes_25_lines():
    [code] = [block.body for block in blocks(REPOSITORY / "docs/how-to/adapter.md") if block.title == "label_images.py"]
    assert len(list(filter(str.strip, code.splitlines()))) <= 25
