"""A small COCO data set, and the real command that converts it on a machine that fails it somehow."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from core.running import session

WIDTH, HEIGHT = 12, 8
IMAGES = 6

ADAPTER = '''\
"""Lets something happen when 3.png, the fourth of six images, is about to be read: what event.py says."""

from pathlib import Path

from maskflow_adapters.coco import CocoAdapter

EVENT = Path(__file__).with_name("event.py")


class Eventful(CocoAdapter):
    def read(self, record):
        if record.file_name == "3.png" and EVENT.exists():
            exec(EVENT.read_text(), {"folder": EVENT.parent})
        return super().read(record)
'''

CONFIG = """\
sources: [{adapter: './eventful.py:Eventful', annotations: instances.json, images: images}]
output: {directory: out, shard_size: 2 images, shuffle: null}
run: {executor: EXECUTOR, workers: 2}
"""


@dataclass(frozen=True)
class DataSet:
    """A folder with a configuration, what it names, and the files that an undisturbed run makes of it."""

    folder: Path
    expected: dict[str, bytes]

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def is_converted(self) -> bool:
        return contents(self.out) == self.expected

    def restore(self) -> None:
        """Let no event happen, and put back what one has put away."""
        (self.folder / "event.py").unlink(missing_ok=True)
        if self.out.is_file():
            self.out.unlink()
        for kept, name in (("kept.png", "images/3.png"), ("kept.json", "instances.json"), ("kept", "out")):
            if (self.folder / kept).exists():
                (self.folder / kept).rename(self.folder / name)

    def clear(self) -> None:
        """Be as before the first run."""
        self.restore()
        shutil.rmtree(self.out, ignore_errors=True)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def annotation(number: int, image: int, **fields: Any) -> dict[str, Any]:
    """A rectangle that is one column wider in every image, so that all masks differ."""
    x1 = 2 + image
    polygon = [1, 1, x1, 1, x1, 5, 1, 5]
    return {"id": number, "image_id": image, "category_id": 1, "segmentation": [polygon], **fields}


def instances(annotations: list[dict[str, Any]]) -> str:
    """A COCO file of six images; every annotation has a line of its own."""
    images = [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(IMAGES)]
    lists = {"images": images, "categories": [{"id": 1, "name": "disc"}], "annotations": annotations}
    return "{" + ",\n".join(f'"{name}": [\n{_lines(items)}\n]' for name, items in lists.items()) + "}\n"


def _lines(items: Sequence[object]) -> str:
    return ",\n".join(map(json.dumps, items))


def write_data_set(folder: Path, executor: str, **sections: Any) -> DataSet:
    """Six images of one object each, three shards to be, and what comes of them."""
    write_sources(folder, executor, **sections)
    return converted(folder)


def write_sources(folder: Path, executor: str, **sections: Any) -> None:
    """All but the output."""
    (folder / "images").mkdir()
    for number in range(IMAGES):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(folder / f"images/{number}.png")
    (folder / "instances.json").write_text(instances([annotation(10 + n, n) for n in range(IMAGES)]))
    (folder / "eventful.py").write_text(ADAPTER)
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in sections.items()]
    (folder / "c.yaml").write_text(CONFIG.replace("EXECUTOR", executor) + "".join(lines))


def converted(folder: Path) -> DataSet:
    """Convert what `c.yaml` says, and take the result away again."""
    ended = convert(folder)
    assert (ended.code, ended.err) == (0, "")
    data_set = DataSet(folder, contents(folder / "out"))
    data_set.clear()
    return data_set


def convert(folder: Path, *options: str, prepare: Callable[[], None] = lambda: None, **streams: Any) -> Ended:
    """Run `maskflow-convert convert c.yaml` in a process that `prepare` has prepared; it leaves no process behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maskflow_convert", "convert", "c.yaml", *options],
        cwd=folder,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )
    out, err = process.communicate(timeout=120)
    limit = time.monotonic() + 3
    while session(process.pid) and time.monotonic() < limit:
        time.sleep(0.01)
    assert session(process.pid) == set()
    return Ended(process.returncode, out or "", err or "")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def nothing_is_half(data_set: DataSet, *, besides: Sequence[str] = ("unfinished.json",)) -> bool:
    """Whether every file in the output directory is one of an undisturbed run, and whole, and some are missing."""
    found = contents(data_set.out)
    left = {name: content for name, content in found.items() if name not in besides}
    return "dataset.json" not in left and left.items() <= data_set.expected.items()


def held_to_permissions() -> None:
    """Have permission bits count for root, too: take CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from what is run next."""
    if os.geteuid() == 0:
        drop_from_bounding_set = 24
        for capability in (1, 2):
            assert ctypes.CDLL(None).prctl(drop_from_bounding_set, capability) == 0
