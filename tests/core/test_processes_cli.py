"""`convert` in several processes, of which some are interrupted, terminated or killed; all by real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.running import running, session
from maskflow_convert.tfrecord import read_records

LONG = """\
sources: [{adapter: shapes, count: 20000, size: [320, 240]}]
output: {directory: out, shard_size: 40 images, shuffle: null}
run: {executor: processes, workers: WORKERS}
"""

DEADLY = """\
sources: [{adapter: './deadly.py:Deadly', count: 60}]
output: {directory: OUT, shard_size: 10 images, shuffle: null}
run: {executor: processes, workers: 2}
"""

ADAPTER = """\
import os, signal
from pathlib import Path
from maskflow_adapters.shapes import ShapesAdapter

DEATHS, TIMES = (Path(__file__).with_name(name) for name in ("deaths", "times"))

class Deadly(ShapesAdapter):
    def read(self, record):
        if record == 33 and len(DEATHS.read_text()) < int(TIMES.read_text()):
            DEATHS.write_text(DEATHS.read_text() + "+")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(record)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """`maskflow-convert convert` in a session of its own, as a terminal's foreground job: Ctrl-C is not ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "maskflow_convert", "convert", "c.yaml"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def long_run(tmp_path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a run of many seconds, and returns when the first shard is done and more are begun."""
    started: list[subprocess.Popen[str]] = []

    def run(workers: int) -> subprocess.Popen[str]:
        (tmp_path / "c.yaml").write_text(LONG.replace("WORKERS", str(workers)))
        process = start(tmp_path)
        started.append(process)
        out, limit = tmp_path / "out", time.monotonic() + 30
        while not (list(out.glob("train-*.json")) and list(out.glob("train-*.partial"))) and time.monotonic() < limit:
            time.sleep(0.01)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def gone(pid: int, seconds: float) -> bool:
    """Whether of a session nothing is left, after a while at most."""
    limit = time.monotonic() + seconds
    while session(pid) and time.monotonic() < limit:
        time.sleep(0.01)
    return not session(pid)


def is_whole(shard: Path) -> bool:
    return len(list(read_records(shard))) == 40


@pytest.mark.parametrize(
    ("how", "told", "to", "workers"),
    [
        (signal.SIGINT, "interrupted", os.kill, 1),
        (signal.SIGINT, "interrupted", os.kill, 2),
        (signal.SIGINT, "interrupted", os.killpg, 2),
        (signal.SIGTERM, "terminated", os.kill, 1),
        (signal.SIGTERM, "terminated", os.kill, 2),
        (signal.SIGTERM, "terminated", os.killpg, 2),
    ],
)
def test_stopped(long_run, tmp_path, how, told, to, workers):
    """Of one process, or of the whole group as a terminal does it."""
    process = long_run(workers)
    assert len(session(process.pid)) >= workers
    begun = time.monotonic()
    to(process.pid, how)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 3
    assert (process.returncode, out, err) == (130, "", f"maskflow-convert: {told}\n")
    assert gone(process.pid, 1)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not [name for name in names if name.endswith(".partial")]
    assert not names & {"dataset.json", "issues.jsonl", "config.yaml"}
    shards = list((tmp_path / "out").glob("*.tfrecord"))
    assert shards
    assert all(map(is_whole, shards))


def test_the_parent_is_killed(long_run, tmp_path):
    """The workers end in the middle of their shards, and what they leave is called partial."""
    process = long_run(2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert gone(process.pid, 3)
    assert process.communicate() == ("", "")
    assert not (tmp_path / "out/dataset.json").exists()
    assert all(map(is_whole, (tmp_path / "out").glob("*.tfrecord")))


def test_a_worker_is_killed_from_outside(long_run, tmp_path):
    """As the kernel does when memory runs out: the run goes on with another worker."""
    process = long_run(2)
    workers = [each for each in running() if each.parent == process.pid]
    assert len(workers) == 2
    os.kill(workers[0].pid, signal.SIGKILL)
    done = {path.name for path in (tmp_path / "out").glob("train-*.json")}
    limit = time.monotonic() + 20
    while len(list((tmp_path / "out").glob("train-*.json"))) < len(done) + 5 and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    [death, end] = err.splitlines()
    assert death.startswith("maskflow-convert: train-")
    assert death.endswith(
        ": its worker process was killed (SIGKILL), as happens when memory runs out; it is tried once more"
    )
    assert end == "maskflow-convert: interrupted"
    assert gone(process.pid, 1)
    shards = sorted(path.name for path in (tmp_path / "out").glob("*.tfrecord"))
    assert len(shards) >= len(done) + 5
    assert death.split(": ")[1] + ".tfrecord" in shards


class TestDeadlyImage:
    """Image 33 of 60 is in shard 3 of 0 to 5."""

    def convert(self, folder: Path, out: str, times: int) -> subprocess.CompletedProcess[str]:
        (folder / "deadly.py").write_text(ADAPTER)
        (folder / "times").write_text(str(times))
        (folder / "deaths").write_text("")
        (folder / "c.yaml").write_text(DEADLY.replace("OUT", out))
        process = start(folder)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert gone(process.pid, 1)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def contents(self, folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "config.yaml"}

    def test_once(self, tmp_path):
        """Everything is as if nothing had happened."""
        assert self.convert(tmp_path, "undisturbed", 0).returncode == 0
        done = self.convert(tmp_path, "disturbed", 1)
        assert (done.returncode, (tmp_path / "deaths").read_text()) == (0, "+")
        assert done.stderr == (
            "maskflow-convert: train-00003-of-00006: its worker process was killed (SIGKILL), as happens when memory "
            "runs out; it is tried once more\n"
        )
        assert self.contents(tmp_path / "disturbed") == self.contents(tmp_path / "undisturbed")
        splits = json.loads((tmp_path / "disturbed/dataset.json").read_text())["splits"]
        assert splits["train"]["images_written"] == 60

    def test_twice(self, tmp_path):
        done = self.convert(tmp_path, "out", 2)
        assert (done.returncode, (tmp_path / "deaths").read_text()) == (5, "++")
        warning, error = done.stderr.splitlines()
        assert warning.endswith("it is tried once more")
        assert error == (
            "maskflow-convert: train-00003-of-00006: its worker process was killed (SIGKILL), as happens when memory "
            "runs out, also when it was tried once more; if memory is short, take fewer workers (`run.workers`); what "
            "is done is kept, and --resume goes on from there"
        )
        names = set(self.contents(tmp_path / "out"))
        assert {f"train-{number:05d}-of-00006.tfrecord" for number in (0, 1, 2)} <= names
        assert not names & {"train-00003-of-00006.tfrecord", "train-00003-of-00006.json", "dataset.json"}
