"""Whole data sets converted by nodes: processes that run at once and are killed, real data, and an object store."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.shares import contents, run_apart, run_nodes, single_run
from maskflow_convert import convert, copies, load_config, merge, validate
from maskflow_convert.errors import OutputError
from shared_data import REPOSITORY, SHARED
from stores import Store, a_store

CONFIGS = REPOSITORY / "configs"
SMALL = ("output.shard_size=3 images", "run.executor=serial")

SHAPES = """\
sources: [{adapter: shapes, count: 240, seed: 5, size: [96, 64]}]
splits: {train: 0.8, val: 0.2, seed: 3}
output: {directory: out, shard_size: 8 images}
run: {executor: processes, workers: 2}
"""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "maskflow_convert", *map(str, arguments)]


def start(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*arguments), cwd=folder, text=True, start_new_session=True, **pipes)


def adds_up(manifest: dict[str, Any]) -> bool:
    """Whether in each split, what was found is what was written and what was dropped."""
    return all(
        split[f"{what}_found"] == split[f"{what}_written"] + sum(split[f"{what}_dropped"].values())
        for split in manifest["splits"].values()
        for what in ("images", "objects")
    )


def names_of_shards(written: dict[str, bytes]) -> list[str]:
    """In the order of the manifest."""
    return [Path(shard["name"]).stem for shard in json.loads(written["dataset.json"])["shards"]]


@pytest.mark.parametrize("nodes", [1, 2, 5])
@pytest.mark.parametrize("name", ["coco", "voc", "labelme", "mixed"])
def test_every_format(tmp_path, name, nodes):
    """All files of the output directory, after one run and after several nodes."""
    out = tmp_path / "out"
    expected, report = single_run(CONFIGS / f"{name}.yaml", out, *SMALL)
    run_nodes(CONFIGS / f"{name}.yaml", out, nodes, *SMALL)
    assert merge(out) == report
    assert contents(out) == expected
    assert adds_up(json.loads(expected["dataset.json"]))
    shutil.rmtree(out)
    merge(run_apart(CONFIGS / f"{name}.yaml", tmp_path, nodes, *SMALL), output=out)
    assert contents(out) == expected


REAL: dict[str, tuple[list[dict[str, Any]], tuple[int, int]]] = {
    "coco": (
        [
            {
                "adapter": "coco",
                "annotations": f"{SHARED}/coco-tiny/annotations/instances_{split}2017.json",
                "images": f"{SHARED}/coco-tiny/{split}2017",
                "split": split,
            }
            for split in ("train", "val")
        ],
        (100, 852),
    ),
    "voc": ([{"adapter": "voc", "root": f"{SHARED}/voc-segmentation/VOC2012"}], (24, 215)),
    "labelme": (
        [
            {
                "adapter": "labelme",
                "annotations": f"{SHARED}/labelme/examples/instance_segmentation/data_annotated",
            }
        ],
        (3, 14),
    ),
}
"""Sources, and the images and objects that are in them, as the tests of each format count them by other tools."""


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_data(tmp_path, name):
    sources, counts = REAL[name]
    path, out = tmp_path / "c.yaml", tmp_path / "out"
    path.write_text(json.dumps({"sources": sources, "on_error": "skip-object", "image": {"ids": "sequential"}}))
    expected, report = single_run(path, out, *SMALL)
    run_nodes(path, out, 3, *SMALL)
    assert merge(out) == report
    assert contents(out) == expected
    assert (report.total.images_found, report.total.objects_found) == counts
    assert adds_up(json.loads(expected["dataset.json"]))


class TestProcesses:
    """The real command, in processes of their own."""

    @pytest.fixture
    def expected(self, tmp_path) -> dict[str, bytes]:
        (tmp_path / "shapes.yaml").write_text(SHAPES)
        return single_run(tmp_path / "shapes.yaml", tmp_path / "out")[0]

    def finish(self, nodes: Sequence[subprocess.Popen[str]]) -> None:
        for node in nodes:
            _, err = node.communicate(timeout=120)
            assert (node.returncode, err) == (0, "")

    def test_at_once_in_one_directory(self, tmp_path, expected):
        self.finish([start(tmp_path, "convert", "shapes.yaml", "--node", f"{number}/4") for number in range(1, 5)])
        assert subprocess.run(command("merge", tmp_path / "out"), capture_output=True).returncode == 0
        assert contents(tmp_path / "out") == expected

    def test_at_once_each_in_its_own(self, tmp_path, expected):
        parts = [f"part-{number}" for number in range(1, 4)]
        runs = [("--node", f"{number}/3", "--output", part) for number, part in enumerate(parts, start=1)]
        self.finish([start(tmp_path, "convert", "shapes.yaml", *run) for run in runs])
        merged = subprocess.run(command("merge", *parts, "--output", "out"), cwd=tmp_path, capture_output=True)
        assert merged.returncode == 0
        assert contents(tmp_path / "out") == expected

    def test_killed_at_any_moment_and_gone_on_with(self, tmp_path, expected):
        """One of three nodes, again and again; meanwhile it is an error that names what is missing."""
        out = tmp_path / "out"
        begun = time.monotonic()
        self.finish([start(tmp_path, "convert", "shapes.yaml", "--node", f"{number}/3") for number in (1, 3)])
        others, whole_run = contents(out), time.monotonic() - begun
        names = names_of_shards(expected)
        moments, told = random.Random(8), set()  # noqa: S311
        for _ in range(8):
            with start(tmp_path, "convert", "shapes.yaml", "--node", "2/3", "--resume") as node:
                try:
                    node.wait(moments.uniform(0.2, 0.9) * whole_run)
                except subprocess.TimeoutExpired:
                    os.killpg(node.pid, signal.SIGKILL)
            assert others.items() <= contents(out).items()
            if "node-2-of-3.json" in contents(out):
                break
            with pytest.raises(OutputError, match=r"node 2/3 was (stopped|not run)") as caught:
                merge(out)
            missing = [name for name in names[1::3] if not (out / f"{name}.json").exists()]
            assert all(name in str(caught.value) for name in missing)
            told.add(len(missing))
        assert told
        self.finish([start(tmp_path, "convert", "shapes.yaml", "--node", "2/3", "--resume")])
        merge(out)
        assert contents(out) == expected


class TestStore:
    @pytest.fixture
    def store(self, tmp_path, monkeypatch) -> Iterator[type[Store]]:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setenv("MASKFLOW_CONVERT_COPIES", str(tmp_path / "temporary"))
        monkeypatch.setattr(copies, "_MADE", {str(tmp_path / "temporary")})
        with a_store() as made:
            for path in sorted(CONFIGS.rglob("*")):
                if path.is_file() and path.suffix != ".py":
                    made.put(f"data/{path.relative_to(CONFIGS).as_posix()}", path.read_bytes())
            yield made

    def single(self, store: type[Store]) -> dict[str, bytes]:
        """All that a single run writes to the store, where nothing is left."""
        convert(load_config("s3://data/mixed.yaml", ["output.directory=s3://out/records", *SMALL]))
        written = store.contents("out/records")
        self.clear(store, "/out/records/")
        return written

    def clear(self, store: type[Store], prefix: str) -> None:
        for key in [key for key in store.store if key.startswith(prefix)]:
            del store.store[key]

    def run(self, nodes: int, *outs: str) -> None:
        """Let nodes write to one place, or each to its own."""
        for number in range(1, nodes + 1):
            out = outs[(number - 1) % len(outs)]
            config = load_config("s3://data/mixed.yaml", [f"output.directory={out}", *SMALL])
            convert(config, node=f"{number}/{nodes}")

    def test_in_one_place(self, store):
        expected = self.single(store)
        self.run(3, "s3://out/records")
        merge("s3://out/records")
        assert store.contents("out/records") == expected
        assert not [issue for issue in validate("s3://out/records").counts if "shard" in issue[0]]

    def test_few_requests(self, store):
        """Of each shard its report alone is fetched; but for the few that the card shows."""
        expected = self.single(store)
        self.run(3, "s3://out/records")
        self.clear(store, "/data/")
        store.requests.clear()
        merge("s3://out/records")
        reports = [key for key in store.asked("GET") if "-of-" in key and key.endswith(".json")]
        assert (
            len([key for key in reports if "node-" not in key]) == len(expected["dataset.json"].split(b'"sha256"')) - 1
        )
        assert not [key for key in store.asked("HEAD") if key.endswith(".json") and "-of-" in key]
        written = [key.removeprefix("out/records/") for key in store.asked("PUT")]
        assert written[:3] == ["issues.jsonl", "config.yaml", "dataset.json"]

    def test_from_several_places_the_store_copies(self, store):
        expected = self.single(store)
        self.run(3, "s3://parts/1", "s3://parts/2", "s3://parts/3")
        store.requests.clear()
        merge([f"s3://parts/{number}" for number in (1, 2, 3)], output="s3://out/records")
        assert store.contents("out/records") == expected
        assert not [key for key in store.asked("PUT") if key.endswith(".tfrecord")]
        copied = [key.rpartition("/")[2] for key in store.asked("COPY")]
        assert copied == [f"{name}.{end}" for name in names_of_shards(expected) for end in ("tfrecord", "json")]

    def test_from_the_store_to_this_machine_and_back(self, store, tmp_path):
        expected = self.single(store)
        self.run(2, "s3://parts/1", str(tmp_path / "2"))
        merge(["s3://parts/1", tmp_path / "2"], output="s3://out/records")
        assert store.contents("out/records") == expected
        merge(["s3://parts/1", tmp_path / "2"], output=tmp_path / "out")
        del expected["config.yaml"]
        assert contents(tmp_path / "out").items() >= expected.items()

    def test_a_store_that_fails(self, store):
        self.single(store)
        self.run(2, "s3://parts/1", "s3://parts/2")

        def fail(verb: str, key: str) -> None:
            if (verb, key.endswith(".tfrecord")) == ("COPY", True):
                raise PermissionError("no")

        store.event = staticmethod(fail)
        with pytest.raises(OutputError, match=r"s3://out/records/train-.*\.tfrecord: cannot be written"):
            merge(["s3://parts/1", "s3://parts/2"], output="s3://out/records")
        assert store.contents("out/records").keys() == {"unfinished.json"}

    def test_nothing_is_there(self, store):
        with pytest.raises(OutputError, match="s3://nowhere/records: there is no such directory"):
            merge("s3://nowhere/records")
