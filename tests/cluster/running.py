"""`maskflow-convert` on Ray, run as a user does, and the machines of a cluster that are none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from shared_data import SHARED

REAL = f"""\
sources:
  - adapter: coco
    annotations: {SHARED}/coco-tiny/annotations/instances_val2017.json
    images: {SHARED}/coco-tiny/val2017
  - adapter: coco
    annotations: {SHARED}/coco-tiny/annotations/instances_train2017.json
    images: {SHARED}/coco-tiny/train2017
"""
DRAWN = "sources: [{adapter: shapes, count: 100, size: [640, 480]}]\n"

CONFIG = f"""\
{REAL if (SHARED / "coco-tiny").is_dir() else DRAWN}\
output: {{directory: out, shard_size: 2 images}}
"""


class Machines:
    """A cluster of `machines.py`, which is a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def add(self, cpus: int = 1, **environment: str) -> None:
        """Start another node, with these variables in its environment."""
        self._order(cpus=cpus, environment=environment)

    def kill(self) -> None:
        """Kill the node that was added last, hard, with all of its workers."""
        self._order()

    def _order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def written(folder: Path) -> dict[str, bytes]:
    """The files of a data set, without the configuration, which says how it was made, and where."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "config.yaml"}


def start(config: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """`maskflow-convert convert --executor ray` in a session of its own, which heeds Ctrl-C as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "maskflow_convert", "convert", str(config), "--executor", "ray", *options],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def run(config: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same from beginning to end; it is to hang nowhere."""
    with start(config, *options, **environment) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def script(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program that uses the Python interface."""
    return subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def said(printed: str) -> list[str]:
    """What `maskflow-convert` has said, without what Ray says of nodes and workers that die, maybe of earlier ones."""
    begin = "maskflow-convert: "
    return [line.removeprefix(begin) for line in printed.splitlines() if line.startswith(begin)]
