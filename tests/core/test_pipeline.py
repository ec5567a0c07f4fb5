"""From configuration to files: the same bytes however the work was done, and a manifest that tells the truth."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import maskflow_convert
from core.plugins.scripted import HEIGHT, WIDTH, png, records, script
from maskflow_convert import convert, load_config, rehearse
from maskflow_convert.errors import ConfigError, IssueError, OutputError, PluginError
from maskflow_convert.output import Existing
from maskflow_convert.prepare import prepare

PICTURES = [
    {"key": f"folder/{n:02}.png", "id": 100 + n, "things": ["good", "stranger", "crowd", "outside"][: n % 5]}
    for n in range(12)
]
MANY = {
    "splits": {"train": 0.7, "val": 0.3},
    "classes": {"names": ["disc", "stranger", "nothing"]},
    "output": {"shard_size": "3 images", "shuffle": 7},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A data set of several shards and splits, with its report."""
    folder = tmp_path_factory.mktemp("written")
    path = script(folder, PICTURES, **MANY)
    return path, convert(path), folder / "out"


class TestSameBytes:
    @pytest.mark.parametrize(
        ("executor", "workers"), [("serial", 1), ("processes", 1), ("processes", 2), ("processes", 3)]
    )
    def test_however_many_workers(self, written, tmp_path, executor, workers):
        config = load_config(
            written[0], [f"run={{executor: {executor}, workers: {workers}}}", f"output.directory={tmp_path}/o"]
        )
        report = convert(config)
        expected, found = contents(written[2]), contents(tmp_path / "o")
        for files in (expected, found):
            del files["config.yaml"]  # it names the directory
        assert found == expected
        assert report == written[1]

    def test_again(self, written, tmp_path):
        convert(load_config(written[0], [f"output.directory={tmp_path}/o"]))
        assert contents(tmp_path / "o")["dataset.json"] == contents(written[2])["dataset.json"]

    def test_progress(self, written, tmp_path):
        seen: list[tuple[int, int]] = []
        config = load_config(written[0], [f"output.directory={tmp_path}/o"])
        convert(config, on_progress=lambda done, total: seen.append((done, total)))
        assert seen == [(n + 1, 12) for n in range(12)]

    def test_progress_of_processes(self, written, tmp_path):
        seen: list[tuple[int, int]] = []
        overrides = [f"output.directory={tmp_path}/o", "run={executor: processes, workers: 2}"]
        convert(load_config(written[0], overrides), on_progress=lambda done, total: seen.append((done, total)))
        assert seen == sorted(seen)
        assert seen[-1] == (12, 12)


class TestFiles:
    def test_names(self, written):
        names = sorted(contents(written[2]))
        shards = [name for name in names if name.endswith(".tfrecord")]
        counts = Counter(name.partition("-")[0] for name in shards)
        assert set(counts) == {"train", "val"}
        assert shards == [f"{s}-{n:05}-of-{counts[s]:05}.tfrecord" for s in counts for n in range(counts[s])]
        reports = [name.replace(".tfrecord", ".json") for name in shards]
        [picture] = (name for name in names if name.startswith("samples-"))
        about = ["README.md", "config.yaml", "dataset.json", "index.html", "issues.jsonl", picture]
        assert names == sorted([*about, *shards, *reports])

    def test_every_image_once(self, written):
        found = [r["image/id"][0] for path in written[2].glob("*.tfrecord") for r in records(path)]
        assert sorted(found) == [picture["id"] for picture in PICTURES]

    def test_a_record(self, tmp_path):
        path = script(
            tmp_path,
            [{"key": "sub/a.png", "id": 41, "things": ["good", "crowd", "stranger"]}],
            classes={"names": ["stranger", "disc"]},
        )
        convert(path)
        ((record),) = records(tmp_path / "out/train-00000-of-00001.tfrecord")
        image = record.pop("image/image_bytes")[0]
        indices = record.pop("image/masks_indices")
        assert record == {
            "image/id": [41],
            "image/basename": [b"a.png"],
            "image/width": [WIDTH],
            "image/height": [HEIGHT],
            "image/channel": [3],
            "image/n_objects": [2],
            "image/class_ids": [2, 1],
        }
        assert image[1:4] == b"PNG"
        triples = [tuple(indices[i : i + 3]) for i in range(0, len(indices), 3)]
        assert triples == [(n, x, y) for n in (0, 1) for x in range(1, 5) for y in range(1, 4)]

    def test_one_source_after_another(self, tmp_path):
        """Two sources, one class map, one numbering."""
        path = script(tmp_path, [{"key": "b.png", "things": ["good"]}])
        tree = json.loads(path.read_text())
        other = {**tree["sources"][0], "pictures": [{"key": "a.png", "things": ["good"]}], "labels": ["bar", "disc"]}
        path.write_text(json.dumps({**tree, "sources": [tree["sources"][0], other]}))
        convert(path)
        found = records(tmp_path / "out/train-00000-of-00001.tfrecord")
        assert [(r["image/basename"], r["image/id"], r["image/class_ids"]) for r in found] == [
            ([b"b.png"], [0], [1]),
            ([b"a.png"], [1], [2]),
        ]
        assert manifest(tmp_path / "out")["classes"] == [{"id": 1, "name": "disc"}, {"id": 2, "name": "bar"}]

    @pytest.mark.parametrize("compression", ["none", "gzip"])
    def test_compression(self, tmp_path, compression):
        convert(script(tmp_path, [{"key": "a.png"}], output={"compression": compression}))
        start = (tmp_path / "out/train-00000-of-00001.tfrecord").read_bytes()[:2]
        assert (start == b"\x1f\x8b") == (compression == "gzip")
        assert manifest(tmp_path / "out")["compression"] == compression

    def test_no_image(self, tmp_path):
        report = convert(script(tmp_path, []))
        assert report.total.images_found == 0
        names = ["README.md", "config.yaml", "dataset.json", "index.html", "issues.jsonl"]
        assert sorted(contents(tmp_path / "out")) == names


class TestManifest:
    def test_fields(self, written):
        found = manifest(written[2])
        assert " ".join(found) == (
            "format version layout compression channels depth classes splits unplaced shards "
            "numbered_images fingerprint"
        )
        assert {key: found[key] for key in ("format", "version", "layout", "compression", "channels", "depth")} == {
            "format": "maskflow",
            "version": 1,
            "layout": "documented",
            "compression": "none",
            "channels": 3,
            "depth": 8,
        }
        names = ["disc", "stranger", "nothing"]
        assert found["classes"] == [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
        assert found["numbered_images"] == []

    def test_shards(self, written):
        for shard in manifest(written[2])["shards"]:
            path = written[2] / shard["name"]
            own = records(path)
            assert shard == {
                "name": path.name,
                "split": path.name.partition("-")[0],
                "images": len(own),
                "objects": sum(record["image/n_objects"][0] for record in own),
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }

    def test_counts(self, written):
        found = manifest(written[2])
        for split in ("train", "val"):
            own = [r for path in sorted(written[2].glob(f"{split}-*.tfrecord")) for r in records(path)]
            keys = {picture["id"]: picture for picture in PICTURES}
            things = Counter(thing for r in own for thing in keys[r["image/id"][0]]["things"])
            strangers, crowds = things["stranger"], things["crowd"]
            assert found["splits"][split] == {
                "images_found": len(own),
                "images_written": len(own),
                "images_dropped": {},
                "objects_found": things.total(),
                "objects_written": things.total() - crowds,
                "objects_dropped": {"object-crowd": crowds},
                "objects_by_class": {"disc": things.total() - crowds - strangers, "stranger": strangers},
                "bytes": found["splits"][split]["bytes"],
            }
        files = sum(path.stat().st_size for path in written[2].glob("*.tfrecord"))
        assert sum(split["bytes"] for split in found["splits"].values()) == files - 16 * len(PICTURES)

    def test_shard_reports(self, written):
        """The same facts, shard by shard."""
        listed = []
        for shard in manifest(written[2])["shards"]:
            report = json.loads((written[2] / shard["name"]).with_suffix(".json").read_text())
            assert {key: report[key] for key in shard} == shard
            assert report["counts"]["images_written"] == shard["images"] == len(report["records"])
            own = records(written[2] / shard["name"])
            assert [(r["id"], r["objects"]) for r in report["records"]] == [
                (r["image/id"][0], r["image/n_objects"][0]) for r in own
            ]
            assert {(r["id"], r["key"]) for r in report["records"]} <= {(p["id"], p["key"]) for p in PICTURES}
            listed += report["issues"]
        assert listed == [json.loads(line) for line in (written[2] / "issues.jsonl").read_text().splitlines()]

    @pytest.mark.parametrize(
        ("ids", "given_ids", "numbered"),
        [
            ("source", [5, 9], []),
            ("source", [None, 9], [{"id": 0, "source": 0, "key": "0.png"}]),
            ("sequential", [5, 9], [{"id": 0, "source": 0, "key": "0.png"}, {"id": 1, "source": 0, "key": "1.png"}]),
        ],
    )
    def test_numbered_images(self, tmp_path, ids, given_ids, numbered):
        pictures = [{"key": f"{n}.png", "id": given} for n, given in enumerate(given_ids)]
        convert(script(tmp_path, pictures, image={"ids": ids}))
        assert manifest(tmp_path / "out")["numbered_images"] == numbered


SAME_FINGERPRINT = ["run.workers=2", "run.executor=processes", "output.directory=elsewhere", "objects.crowd=skip"]
OTHER_FINGERPRINT = [
    "objects.crowd=keep",
    "objects.empty=keep",
    "classes.first_id=0",
    "classes.names=[disc]",
    "image.depth=16",
    "image.channels=1",
    "image.max_pixels=48",
    "image.exif=ignore",
    "image.ids=sequential",
    "issues.mask-empty=error",
    "on_error=skip-image",
    "output.layout=rows_first",
    "output.shard_size=1 images",
    "output.compression=gzip",
    "output.shuffle=8",
    "splits={train: 0.5, val: 0.5}",
    "sources[0].labels=[disc, bar]",
    "sources[0].pictures=[{key: a.png}]",
    "sources[0].split=val",
]


class TestFingerprint:
    @pytest.mark.parametrize("override", SAME_FINGERPRINT + OTHER_FINGERPRINT)
    def test_follows_what_is_written(self, tmp_path, override):
        path = script(tmp_path, [{"key": "a.png", "id": 3}, {"key": "b.png", "id": 4}])
        before = prepare(load_config(path)).fingerprint
        after = prepare(load_config(path, [override])).fingerprint
        assert len(before) == 64
        assert (after == before) == (override in SAME_FINGERPRINT)

    def test_is_that_of_the_manifest(self, written):
        assert manifest(written[2])["fingerprint"] == prepare(load_config(written[0])).fingerprint

    @pytest.mark.parametrize(
        ("images", "same"),
        [
            ([{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], True),
            ([{"id": 1, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}], False),
            ([{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "c.png"}], False),
            ([{"id": 1, "file_name": "a.png"}], False),
            ([{"id": 2, "file_name": "b.png"}, {"id": 1, "file_name": "a.png"}], False),
            ([{"id": 1, "file_name": "a.png", "width": 900, "height": 900}, {"id": 2, "file_name": "b.png"}], False),
        ],
    )
    def test_follows_the_list_of_images(self, tmp_path, images, same):
        """The configuration stays as it is; the file that it names does not."""
        (tmp_path / "c.yaml").write_text("sources: [{adapter: coco, annotations: x.json}]\n")
        prints = []
        for listed in ([{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], images):
            (tmp_path / "x.json").write_text(json.dumps({"images": listed, "annotations": [], "categories": []}))
            prints.append(prepare(load_config(tmp_path / "c.yaml")).fingerprint)
        assert (prints[0] == prints[1]) is same

    def test_follows_the_version(self, written, monkeypatch):
        monkeypatch.setattr(maskflow_convert, "__version__", "99")
        assert manifest(written[2])["fingerprint"] != prepare(load_config(written[0])).fingerprint


class TestRehearse:
    @pytest.fixture
    def on_disk(self, tmp_path):
        """A source of image files."""
        (tmp_path / "images").mkdir()
        pictures = [{"key": f"{n}.png", "things": ["good", "crowd", "line", "outside"][: n % 5]} for n in range(9)]
        for picture in pictures:
            (tmp_path / "images" / picture["key"]).write_bytes(png())
        sections = {"splits": {"train": 0.5, "val": 0.5}, "on_error": "skip-object"}
        return script(tmp_path, pictures, source={"folder": "images"}, **sections)

    @pytest.mark.parametrize("executor", ["serial", "processes"])
    def test_opens_no_image(self, on_disk, tmp_path, executor):
        config = load_config(on_disk, [f"run={{executor: {executor}, workers: 2}}"])
        converted = convert(config)
        for path in (tmp_path / "images").iterdir():
            path.unlink()
        before = contents(tmp_path / "out")
        rehearsed = rehearse(config)
        assert contents(tmp_path / "out") == before
        assert rehearsed.counts == converted.counts
        assert rehearsed.examples == converted.examples
        for name, tally in rehearsed.splits.items():
            assert {**tally.to_dict(), "bytes": 0} == {**converted.splits[name].to_dict(), "bytes": 0}
            assert tally.bytes > 0

    def test_writes_nothing(self, on_disk, tmp_path):
        rehearse(on_disk)
        assert not (tmp_path / "out").exists()

    def test_needs_no_directory(self, tmp_path):
        path = script(tmp_path, [{"key": "a.png"}], output={"directory": None})
        assert rehearse(path).total.images_written == 1
        with pytest.raises(ConfigError, match="there is no output directory"):
            convert(path)

    def test_stops_as_well(self, tmp_path):
        with pytest.raises(IssueError):
            rehearse(script(tmp_path, [{"key": "a.png", "things": ["line"]}]))


class TestFailure:
    @pytest.mark.parametrize("executor", ["serial", "processes"])
    def test_no_half_shard(self, tmp_path, executor):
        """The third of four images fails: two are a shard and done, the others are nowhere."""
        pictures = [{"key": f"{n}.png", "things": ["line" if n == 2 else "good"]} for n in range(4)]
        run = {"executor": executor, "workers": 2}
        path = script(tmp_path, pictures, output={"shard_size": "2 images"}, run=run)
        with pytest.raises(IssueError, match="polygon-too-few-points"):
            convert(path)
        left = set(contents(tmp_path / "out"))
        assert left <= {"train-00000-of-00002.tfrecord", "train-00000-of-00002.json", "unfinished.json"}
        with pytest.raises(OutputError, match="unfinished"):
            convert(path)

    def test_interrupted(self, tmp_path):
        def interrupt(done: int, total: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

        pictures = [{"key": f"{n}.png", "things": ["good"]} for n in range(4)]
        path = script(tmp_path, pictures, output={"shard_size": "2 images"})
        with pytest.raises(KeyboardInterrupt):
            convert(path, on_progress=interrupt)
        left = {"train-00000-of-00002.tfrecord", "train-00000-of-00002.json", "unfinished.json"}
        assert set(contents(tmp_path / "out")) == left
        report = convert(path, existing=Existing.OVERWRITE)
        assert report.total.images_written == 4


PLUGIN = """
from maskflow_convert import Adapter, Entry, Image, Index, Issue, RecordError, Sample

class Mine(Adapter):
    def __init__(self, options):
        super().__init__(options)
        {init}
    def index(self):
        {index}
    def read(self, record):
        {read}
"""
INDEX = "return Index([Entry('a.png', 1)], ['x'])"

BAD_PLUGINS = {
    "constructor": {"init": "1 / 0"},
    "index raises": {"index": "1 / 0"},
    "index returns nothing": {"index": "return None"},
    "index returns a list": {"index": "return [Entry('a.png', 1)]"},
    "entries are none": {"index": "return Index([1], ['x'])"},
    "key is no text": {"index": "return Index([Entry(1, 1)], ['x'])"},
    "id is no integer": {"index": "return Index([Entry('a.png', 1, id='x')], ['x'])"},
    "label is no text": {"index": "return Index([Entry('a.png', 1)], [1])"},
    "split leads elsewhere": {"index": "return Index([Entry('a.png', 1, split='../x')], ['x'])"},
    "split is a folder": {"index": "return Index([Entry('a.png', 1, split='x/y')], ['x'])"},
    "split is nothing": {"index": "return Index([Entry('a.png', 1, split='')], ['x'])"},
    "issue of its own": {"index": "return Index([Entry('a.png', 1)], ['x'], [Issue('my-own', 'm')])"},
}

BAD_READS = {
    "raises": "raise KeyError('x')",
    "returns nothing": "return None",
    "error of its own code": "raise RecordError('m', code='my-own')",
    "issue of its own code": "return Sample(key='a', image=Image(data=b'x'), issues=[Issue('my-own', 'm')])",
}


class TestPluginAtFault:
    @pytest.fixture
    def plugin(self, tmp_path):
        def write(**parts: str) -> Path:
            (tmp_path / "mine.py").write_text(
                PLUGIN.format(**{"init": "pass", "index": INDEX, "read": "pass", **parts})
            )
            path = tmp_path / "c.yaml"
            path.write_text("sources: [{adapter: './mine.py:Mine'}]\noutput: {directory: out}\non_error: skip-object\n")
            return path

        return write

    @pytest.mark.parametrize("parts", BAD_PLUGINS.values(), ids=BAD_PLUGINS)
    def test_is_a_plugin_error(self, plugin, parts):
        with pytest.raises(PluginError) as caught:
            convert(plugin(**parts))
        assert "mine.py:Mine" in str(caught.value)
        assert "imported" not in str(caught.value)

    @pytest.mark.parametrize("read", BAD_READS.values(), ids=BAD_READS)
    def test_is_an_issue_of_the_record(self, plugin, read):
        report = convert(plugin(read=read))
        assert report.total.images_dropped == {"adapter-failed": 1}

    def test_record_that_does_not_pickle(self, plugin):
        """In a process of its own, since a pool that cannot pickle a task may wait for ever."""
        path = plugin(index="return Index([Entry(str(n), lambda: 1) for n in range(2)], ['x'])")
        words = ["--executor", "processes", "--workers", "2", "--set", "output.shard_size=1 images"]
        process = subprocess.Popen(
            [sys.executable, "-m", "maskflow_convert", "convert", path, *words],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, told = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        assert "Traceback" not in told
        assert "pickle" in told
        assert process.returncode == PluginError.exit_code


class TestDataSetAsAWhole:
    """What can be judged only when all is known stops a conversion where the configuration makes it an error."""

    PICTURES = (
        {"key": "a.png", "things": ["good"]},
        {"key": "b.png", "things": ["good", "good"]},
    )

    @pytest.mark.parametrize("on_error", ["stop", "skip-object", "skip-image"])
    @pytest.mark.parametrize("run", [convert, rehearse])
    def test_a_class_without_objects(self, tmp_path, run, on_error):
        names = {"classes": {"names": ["disc", "nothing"]}, "on_error": on_error}
        with pytest.raises(IssueError) as caught:
            run(script(tmp_path, self.PICTURES, issues={"class-unused": "error"}, **names))
        assert caught.value.issue.message == "1 of 2 classes has no object: nothing"
        assert not (tmp_path / "out/dataset.json").exists()
        config = load_config(script(tmp_path, self.PICTURES, **names), [f"output.directory={tmp_path}/again"])
        assert run(config).counts == {}

    def test_an_image_that_is_there_twice(self, tmp_path):
        with pytest.raises(IssueError) as caught:
            convert(script(tmp_path, self.PICTURES, issues={"image-content-duplicate": "error"}))
        issue = caught.value.issue
        assert (issue.code, {issue.record, issue.message.split()[4]}) == ("image-content-duplicate", {"a.png", "b.png"})
