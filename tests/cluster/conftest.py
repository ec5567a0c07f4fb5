"""A Ray cluster of two nodes on this machine, and a data set that takes it a while."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.running import CONFIG, Machines, run, written

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # nothing listens but to this machine
os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture(scope="session", autouse=True)
def _folder_of_ray() -> Iterator[None]:
    """A folder for Ray whose name is short, as sockets lie in it."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    Path(folder, "ray").mkdir()
    yield
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def machines(_folder_of_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A head, another node, and what a test adds to them; they have another folder for temporary files than we do."""
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("nodes"))}
    command, pipe = [sys.executable, str(Path(__file__).with_name("machines.py"))], subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as it:
        made = Machines(it)
        made.add()
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A data set of 100 images in 50 shards."""
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a serial run writes of it."""
    folder = tmp_path_factory.mktemp("serial")
    (folder / "c.yaml").write_text(CONFIG)
    done = run(folder / "c.yaml", "--executor", "serial")
    assert done.returncode == 0, done.stderr
    return written(folder / "out")
