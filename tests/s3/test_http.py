"""Reading over HTTP from a server that counts its requests, by real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from maskflow_convert import convert, load_config
from maskflow_convert.errors import OutputError

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "configs/shapes-coco"

CONFIG = """\
sources: [{adapter: coco, annotations: HOME/instances.json, images: HOME/images}]
output: {directory: out, shard_size: 2 images}
run: {executor: processes, workers: 2}
on_error: skip-image
"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; `failing` says with which status instead, by a part of the path."""

    requests: ClassVar[Counter[tuple[str, str]]] = Counter()
    failing: ClassVar[dict[str, int]] = {}
    hanging: ClassVar[threading.Event] = threading.Event()
    released: ClassVar[threading.Event] = threading.Event()

    def answered(self) -> bool:
        self.requests[self.command, self.path] += 1
        if self.hanging.is_set() and self.path.startswith("/images/"):
            self.released.wait(30)
            return True
        for part, status in self.failing.items():
            if part in self.path:
                self.send_error(status)
                return True
        return False

    def do_GET(self) -> None:
        if not self.answered():
            super().do_GET()

    def do_HEAD(self) -> None:
        if not self.answered():
            super().do_HEAD()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.requests.clear()
    Handler.failing.clear()
    Handler.hanging.clear()
    Handler.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(SHAPES))) as serving:
        threading.Thread(target=serving.serve_forever).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        Handler.released.set()
        serving.shutdown()


@pytest.fixture
def config(server: str, tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(CONFIG.replace("HOME", server))
    return tmp_path / "c.yaml"


def run(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "maskflow_convert", "convert", str(config), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord")}


def test_everything_is_fetched_once_also_by_several_workers(config, tmp_path):
    done = run(config)
    assert done.returncode == 0, done.stderr
    fetched = {path: count for (verb, path), count in Handler.requests.items() if verb == "GET"}
    assert len(fetched) == 13
    assert set(fetched.values()) == {1}
    (tmp_path / "local.yaml").write_text(
        CONFIG.replace("HOME", str(SHAPES)).replace("directory: out", "directory: local")
    )
    convert(load_config(tmp_path / "local.yaml", ["run.executor=serial"]))
    assert shards(tmp_path / "out") == shards(tmp_path / "local")


def test_what_is_not_there_is_missing(config, tmp_path):
    Handler.failing["bars/"] = 404
    missing = sum(path.is_file() for path in (SHAPES / "images/bars").iterdir())
    done = run(config, "--executor", "serial")
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / "out/dataset.json").read_text())["splits"]["train"]
    assert counts["images_dropped"] == {"image-missing": missing}


def test_a_web_server_takes_no_whole_files(config, server):
    with pytest.raises(OutputError, match="http:// does not take whole files at once"):
        convert(load_config(config, [f"output.directory={server}/records"]))
    assert not any(verb in ("PUT", "POST", "DELETE") for verb, _ in Handler.requests)


@pytest.mark.parametrize("part", ["bars/", "instances.json"])
@pytest.mark.parametrize("status", [500, 403])
def test_a_server_that_fails_is_no_fault_of_the_data(config, tmp_path, part, status):
    Handler.failing[part] = status
    done = run(config, "--executor", "serial")
    assert done.returncode == 4
    assert f"{part}" in done.stderr
    assert "the service fails, or does not let us in" in done.stderr
    assert str(status) in done.stderr
    assert not (tmp_path / "out/dataset.json").exists()


def test_interrupted_while_a_server_does_not_answer(config, tmp_path):
    Handler.hanging.set()
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "maskflow_convert", "convert", str(config)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, before)
    with process:
        limit = time.monotonic() + 60
        while not any(path.startswith("/images/") for _, path in list(Handler.requests)) and time.monotonic() < limit:
            time.sleep(0.05)
        copies = list((tmp_path / "temporary").glob("maskflow-convert-*/*instances.json"))
        time.sleep(1)  # in which all threads of both workers ask
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
    assert copies
    assert time.monotonic() - begun < 10  # what was asked for is answered in 30 seconds
    assert process.returncode == 130
    assert not list((tmp_path / "temporary").iterdir())
    assert not (tmp_path / "out/dataset.json").exists()
