"""`maskflow-convert convert` on a machine that fails it: full disks, files that go, limits, streams that are closed.

Each time the real command runs and something real is in its way; when that is gone, `--resume` makes what an
undisturbed run makes. Signals and the death of workers are in `core/test_processes_cli.py`, kills of everything in
`core/test_resume.py`.
"""

from __future__ import annotations

import json
import os
import re
import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

import maskflow_convert
from core.plugins.scripted import records
from hardship import (
    IMAGES,
    DataSet,
    annotation,
    contents,
    convert,
    converted,
    held_to_permissions,
    instances,
    nothing_is_half,
    write_data_set,
    write_sources,
)

EXECUTORS = ["serial", "processes"]
GOES_ON = "what is done is kept, and --resume goes on from there"


BROKEN = 16
MARKS = 1600


@pytest.fixture(params=EXECUTORS, scope="module")
def written(request, tmp_path_factory) -> DataSet:
    return write_data_set(tmp_path_factory.mktemp("data"), request.param)


@pytest.fixture
def data_set(written) -> Iterator[DataSet]:
    yield written
    written.clear()


@pytest.fixture(scope="module")
def written_serially(tmp_path_factory) -> DataSet:
    return write_data_set(tmp_path_factory.mktemp("data"), "serial")


@pytest.fixture
def serial(written_serially) -> Iterator[DataSet]:
    yield written_serially
    written_serially.clear()


@pytest.fixture(params=EXECUTORS, scope="module")
def written_leniently(request, tmp_path_factory) -> DataSet:
    return write_data_set(tmp_path_factory.mktemp("data"), request.param, on_error="skip-image")


@pytest.fixture
def lenient(written_leniently) -> Iterator[DataSet]:
    """One of which faulty images are dropped, and the run goes on."""
    yield written_leniently
    written_leniently.clear()


@pytest.fixture(params=EXECUTORS, scope="module")
def written_large(request, tmp_path_factory) -> DataSet:
    """Two shards of a data set whose every file is larger than all that are written before it.

    The report of a shard is larger than the shard by its broken annotations and long keys, the list of issues has
    those of both, YAML writes a byte order mark in twice as many bytes as JSON, the manifest lists all keys.
    """
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(1)
    names = [f"{'long' * 60}/{number}.png" if number % 11 else f"{number}.png" for number in range(22)]
    images = [{"id": n, "file_name": name, "width": 12, "height": 10} for n, name in enumerate(names)]
    broken = [annotation(n, n % 2 * 11, segmentation=["broken"]) for n in range(2 * BROKEN)]
    (folder / "images" / names[1]).parent.mkdir(parents=True)
    for name in names:
        noise = rng.integers(256, size=(10, 12, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "images" / name)
    (folder / "instances.json").write_text(
        json.dumps({"images": images, "annotations": broken, "categories": [{"id": 1, "name": "disc"}]})
    )
    tree = {
        "sources": [{"adapter": "coco", "annotations": "instances.json", "images": "images"}],
        "classes": {"names": ["disc", "\ufeff" * MARKS]},
        "image": {"ids": "sequential"},
        "output": {"directory": "out", "shard_size": "11 images", "shuffle": None},
        "run": {"executor": request.param, "workers": 2},
        "on_error": "skip-object",
    }
    (folder / "c.yaml").write_text(json.dumps(tree))
    return converted(folder)


@pytest.fixture
def large(written_large) -> Iterator[DataSet]:
    yield written_large
    written_large.clear()


def limited(kind: int, amount: int) -> Callable[[], None]:
    return partial(resource.setrlimit, kind, (amount, amount))


def told(message: str) -> str:
    return f"maskflow-convert: {message}\n"


class TestFullDisk:
    """No file may grow beyond a limit, which is one byte less than the file takes that is to fail."""

    @pytest.mark.parametrize(
        "name",
        ["train-00000-of-00002.tfrecord", "train-00000-of-00002.json", "issues.jsonl", "config.yaml", "dataset.json"],
    )
    def test_of_each_file(self, large, name):
        ended = convert(large.folder, prepare=limited(resource.RLIMIT_FSIZE, len(large.expected[name]) - 1))
        partial = ".partial" if name.endswith((".tfrecord", ".jsonl")) else ""
        message = f"{large.out / name}{partial}: cannot be written: File too large; {GOES_ON}"
        assert (ended.code, ended.out, ended.err) == (5, "", told(message))
        assert nothing_is_half(large)
        assert name not in contents(large.out)
        assert convert(large.folder, "--resume").code == 0
        assert large.is_converted()

    def test_of_the_card(self, data_set):
        """Its page is larger than all other files; the data set is whole without it."""
        page = data_set.out / "index.html"
        limit = len(data_set.expected["index.html"]) - 1
        ended = convert(data_set.folder, prepare=limited(resource.RLIMIT_FSIZE, limit))
        why = f"{page}: cannot be written: File too large"
        message = f"{data_set.out}: the data set is whole, but its card could not be made: {why}"
        assert (ended.code, ended.err) == (0, told(message))
        card = {name for name in data_set.expected if name.startswith(("README", "index", "samples"))}
        assert len(card) == 3
        assert contents(data_set.out) == {name: data_set.expected[name] for name in data_set.expected.keys() - card}
        assert convert(data_set.folder, "--resume").code == 0
        assert data_set.is_converted()

    @pytest.mark.parametrize("size", [0, 500])
    def test_of_the_very_first(self, large, size):
        ended = convert(large.folder, prepare=limited(resource.RLIMIT_FSIZE, size))
        message = f"{large.out / 'unfinished.json'}: cannot be written: File too large"
        assert (ended.code, ended.out, ended.err) == (5, "", told(message))
        assert contents(large.out) == {}

    def test_in_the_middle(self, data_set):
        """Shards are done before, and are not done again."""
        (data_set.folder / "event.py").write_text("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))")
        ended = convert(data_set.folder)
        name = data_set.out / "train-00001-of-00003.tfrecord.partial"
        assert (ended.code, ended.err) == (5, told(f"{name}: cannot be written: File too large; {GOES_ON}"))
        assert nothing_is_half(data_set)
        done = {path: path.stat().st_mtime_ns for path in data_set.out.glob("*.tfrecord")}
        assert data_set.out / "train-00000-of-00003.tfrecord" in done
        data_set.restore()
        assert convert(data_set.folder, "--resume").code == 0
        assert data_set.is_converted()
        assert {path: path.stat().st_mtime_ns for path in done} == done

    def test_killed_before_anything_was_noted(self, serial):
        """What is left of that is no reason to refuse."""
        serial.out.mkdir(exist_ok=True)
        (serial.out / "unfinished.json.partial").touch()
        ended = convert(serial.folder)
        assert (ended.code, ended.err.count("--resume")) == (5, 1)
        assert convert(serial.folder, "--resume").code == 0
        assert serial.is_converted()


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Should the machine lose its power. Known are the files by their inodes, which they keep when they are renamed."""
    synced: dict[int, int] = {}
    sync, rename = os.fsync, Path.replace

    def note_size(file: int) -> None:
        sync(file)
        synced[os.fstat(file).st_ino] = os.fstat(file).st_size

    def check_size(partial: Path, path: Path) -> Path:
        assert synced[partial.stat().st_ino] == partial.stat().st_size
        return rename(partial, path)

    write_sources(tmp_path, "serial")
    monkeypatch.setattr(os, "fsync", note_size)
    monkeypatch.setattr(Path, "replace", check_size)
    maskflow_convert.convert(tmp_path / "c.yaml")
    assert {path.stat().st_ino for path in (tmp_path / "out").iterdir()} <= synced.keys()


def test_a_name_is_on_the_disk_before_anything_else_is_done(tmp_path, monkeypatch):
    """That of each file, when it has got it, and those of the output directory and the one above."""
    events: list[str] = []
    sync, rename = os.fsync, Path.replace

    def note_sync(file: int) -> None:
        sync(file)
        path = Path(f"/proc/self/fd/{file}").readlink()
        events.append("sync" if path.is_file() else f"sync {path.relative_to(tmp_path)}")

    def note_name(partial: Path, path: Path) -> Path:
        events.append(f"name {path.parent.relative_to(tmp_path)}")
        return rename(partial, path)

    write_sources(tmp_path, "serial")
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_name)
    maskflow_convert.convert(maskflow_convert.load_config(tmp_path / "c.yaml", overrides=["output.directory=new/out"]))
    assert events[:2] == ["sync new", "sync ."]
    named = events[2:]
    assert named == ["sync", "name new/out", "sync new/out"] * (len(named) // 3)
    assert len(named) // 3 == len([*contents(tmp_path / "new/out"), "unfinished.json"])


class TestOutputDirectory:
    def refused(self, serial: DataSet, why: str, *options: str, out: Path | None = None) -> None:
        ended = convert(serial.folder, *options, prepare=held_to_permissions)
        message = f"{out or serial.out}: cannot be used as output directory: {why}; choose another --output"
        assert (ended.code, ended.out, ended.err) == (5, "", told(message))

    def test_is_a_file(self, serial):
        file = serial.folder / "file"
        file.write_text("mine")
        self.refused(serial, "there is a file of that name", "--output", "file", out=file)
        self.refused(serial, "Not a directory", "--output", "file/out", out=file / "out")
        assert file.read_text() == "mine"

    def test_cannot_be_made(self, serial):
        folder = serial.folder / "readonly"
        folder.mkdir(mode=0o555)
        self.refused(serial, "Permission denied", "--output", "readonly/out", out=folder / "out")
        assert list(folder.iterdir()) == []

    def test_cannot_be_written(self, serial):
        serial.out.mkdir(exist_ok=True)
        serial.out.chmod(0o555)
        ended = convert(serial.folder, prepare=held_to_permissions)
        message = f"{serial.out / 'unfinished.json'}: cannot be written: Permission denied"
        assert (ended.code, ended.out, ended.err) == (5, "", told(message))
        assert contents(serial.out) == {}
        serial.out.chmod(0o755)
        assert convert(serial.folder, "--resume").code == 0
        assert serial.is_converted()

    def test_of_a_finished_data_set_cannot_be_written(self, serial):
        assert convert(serial.folder).code == 0
        serial.out.chmod(0o555)
        self.refused(serial, "Permission denied", "--overwrite")
        serial.out.chmod(0o755)
        assert serial.is_converted()

    @pytest.mark.parametrize("mode", [0o000, 0o333, 0o444])
    @pytest.mark.parametrize("option", ["--resume", "--overwrite"])
    def test_cannot_be_looked_into(self, serial, mode, option):
        """Not read, or listed and nothing in it looked at."""
        serial.out.mkdir(exist_ok=True)
        (serial.out / "unfinished.json").write_text("{}")
        serial.out.chmod(mode)
        self.refused(serial, "Permission denied", option)
        serial.out.chmod(0o755)
        assert contents(serial.out) == {"unfinished.json": b"{}"}

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            ("(folder / 'out').rename(folder / 'kept')", "No such file or directory"),
            ("(folder / 'out').rename(folder / 'kept'); (folder / 'out').write_text('mine')", "Not a directory"),
        ],
        ids=["gone", "a file instead"],
    )
    def test_goes_in_the_middle(self, request, data_set, event, why):
        if request.node.callspec.params["written"] == "processes":  # another may look between the two steps of an event
            why = f"({why}|No such file or directory)"
        (data_set.folder / "event.py").write_text(event)
        ended = convert(data_set.folder)
        assert (ended.code, ended.out) == (5, "")
        shard = re.escape(f"{data_set.out}/train-0000") + r"[01]-of-00003\.(tfrecord\.partial|json)"
        assert re.fullmatch(told(f"{shard}: cannot be written: {why}; {GOES_ON}"), ended.err)
        assert not data_set.out.exists() or data_set.out.read_text() == "mine"
        data_set.restore()
        assert all(
            name.endswith(".partial") or name == "unfinished.json" or content == data_set.expected[name]
            for name, content in contents(data_set.out).items()
        )
        assert convert(data_set.folder, "--resume").code == 0
        assert data_set.is_converted()


class TestImage:
    """3.png goes, or ends in the middle, when it is about to be read."""

    EVENTS: ClassVar = {
        "image-missing": "(folder / 'images/3.png').rename(folder / 'kept.png')",
        "image-unreadable": (
            "import os\n"
            "file = folder / 'images/3.png'\n"
            "(folder / 'kept.png').write_bytes(file.read_bytes())\n"
            "os.utime(folder / 'kept.png', ns=(1, file.stat().st_mtime_ns))\n"
            "os.truncate(file, 50)\n"
        ),
    }

    @pytest.mark.parametrize("code", EVENTS)
    def test_stops_the_run(self, data_set, code):
        (data_set.folder / "event.py").write_text(self.EVENTS[code])
        ended = convert(data_set.folder)
        assert (ended.code, ended.out) == (1, "")
        told, remedy = ended.err.splitlines()
        assert told.startswith("maskflow-convert: error: images/3.png: image 3.png: ")
        assert told.endswith(f" [{code}]")
        assert remedy.startswith("  ")
        assert nothing_is_half(data_set)
        data_set.restore()
        assert convert(data_set.folder, "--resume").code == 0
        assert data_set.is_converted()

    @pytest.mark.parametrize("code", EVENTS)
    def test_is_named_where_it_is_skipped(self, lenient, code):
        (lenient.folder / "event.py").write_text(self.EVENTS[code])
        ended = convert(lenient.folder)
        lenient.restore()
        assert (ended.code, ended.err) == (0, "")
        lines = [json.loads(line) for line in (lenient.out / "issues.jsonl").read_text().splitlines()]
        assert [(line["code"], line["record"], line["object"], line["loss"]) for line in lines] == [
            (code, "3.png", None, "image"),
            ("object-lost-with-image", "3.png", "13", "object"),
        ]
        train = json.loads((lenient.out / "dataset.json").read_text())["splits"]["train"]
        assert (train["images_written"], train["images_dropped"]) == (5, {code: 1})
        assert (train["objects_written"], train["objects_dropped"]) == (5, {"object-lost-with-image": 1})


class TestAnnotationFile:
    """Annotations are read from where they stood when the file was indexed."""

    GOES = "(folder / 'instances.json').rename(folder / 'kept.json')"
    CHANGES = GOES + "\n(folder / 'changed.json').rename(folder / 'instances.json')"

    def test_goes(self, lenient):
        """Not one image is dropped for it."""
        (lenient.folder / "event.py").write_text(self.GOES)
        ended = convert(lenient.folder)
        lenient.restore()
        message = "instances.json: cannot be read any more: No such file or directory"
        assert (ended.code, ended.out, ended.err) == (4, "", told(message))
        assert nothing_is_half(lenient)
        assert convert(lenient.folder, "--resume").code == 0
        assert lenient.is_converted()

    @pytest.mark.parametrize("images", [range(IMAGES)[::-1], [0, 1, 2, 4, 3, 5, 5, 5, 5]], ids=["as long", "longer"])
    def test_changes(self, lenient, images):
        """All annotations are of one length, so that in the place of each there is one, of another image."""
        changed = lenient.folder / "changed.json"
        changed.write_text(instances([annotation(10 + n, image) for n, image in enumerate(images)]))
        original = (lenient.folder / "instances.json").read_text().splitlines()
        assert {len(line.rstrip(",")) for line in original if '"image_id"' in line} == {
            len(line.rstrip(",")) for line in changed.read_text().splitlines() if '"image_id"' in line
        }
        (lenient.folder / "event.py").write_text(self.CHANGES)
        ended = convert(lenient.folder)
        assert (ended.code, ended.out) == (4, "")
        assert ended.err == told("instances.json: has changed while it was read; begin anew")
        assert nothing_is_half(lenient)

        resumed = convert(lenient.folder, "--resume")
        assert (resumed.code, resumed.err.count("\n")) == (5, 1)
        assert f"cannot be gone on with: {lenient.folder}/instances.json" in resumed.err
        (lenient.folder / "event.py").unlink()
        assert convert(lenient.folder, "--overwrite").code == 0
        widths = {
            record["image/id"][0]: len(record["image/masks_indices"]) // 12
            for shard in lenient.out.glob("*.tfrecord")
            for record in records(shard)
            if record["image/n_objects"][0] == 1
        }
        assert widths == {image: 1 + image for image in images if list(images).count(image) == 1}


class TestLimits:
    @pytest.mark.parametrize("files", [12, 24])
    def test_open_files(self, data_set, files):
        """It works, or the reason why it does not is told in one line."""
        ended = convert(data_set.folder, prepare=limited(resource.RLIMIT_NOFILE, files))
        if ended.code == 0:
            assert ended.err == ""
        else:
            assert (ended.code, ended.out, ended.err.count("\n")) == (5, "", 1)
            assert "Too many open files" in ended.err
            assert nothing_is_half(data_set)
            assert convert(data_set.folder, "--resume").code == 0
        assert data_set.is_converted()

    @pytest.mark.parametrize(("policy", "form"), [("stop", "BMP"), ("skip-image", "PNG")])
    def test_memory(self, tmp_path, policy, form):
        """There is none for one image, before or while it is decoded. It is not at fault, and not dropped."""
        write_sources(tmp_path, "processes", on_error=policy)
        size = {"width": 3000, "height": 2000}
        Image.new("RGB", tuple(size.values())).save(tmp_path / "images/3.png", form)
        annotations = json.loads((tmp_path / "instances.json").read_text())
        annotations["images"][3] |= size
        (tmp_path / "instances.json").write_text(json.dumps(annotations))
        data_set = converted(tmp_path)
        (tmp_path / "event.py").write_text(
            "import resource\n"
            "pages = int(open('/proc/self/statm').read().split()[0])\n"
            "limit = pages * resource.getpagesize() + (8 << 20)\n"
            "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        )
        ended = convert(tmp_path)
        message = (
            "image 3.png: there is not enough memory for it; take fewer workers (`run.workers`), or a machine with more"
        )
        assert (ended.code, ended.out, ended.err) == (5, "", told(f"{message}; {GOES_ON}"))
        assert nothing_is_half(data_set)
        data_set.restore()
        assert convert(tmp_path, "--resume").code == 0
        assert data_set.is_converted()


def without(*streams: int) -> Callable[[], None]:
    def close() -> None:
        for stream in streams:
            os.close(stream)

    return close


class TestStreams:
    def test_nobody_reads_what_is_printed(self, data_set):
        """As with `| head -1`."""
        reading, writing = os.pipe()
        os.close(reading)
        ended = convert(data_set.folder, stdout=writing)
        os.close(writing)
        assert (ended.code, ended.err) == (0, "")
        assert data_set.is_converted()

    def test_what_is_printed_has_no_room(self, serial):
        with Path("/dev/full").open("w") as full:
            ended = convert(serial.folder, stdout=full)
        assert (ended.code, ended.err) == (5, told("the standard output cannot be written: No space left on device"))
        assert serial.is_converted()

    @pytest.mark.parametrize("streams", [(1,), (0, 2), (0, 1, 2)])
    def test_are_closed(self, data_set, streams):
        """Libraries go on to write to the standard error, and that may not be one of our files meanwhile."""
        (data_set.folder / "event.py").write_text("import os\nos.write(2, b'warning!')\n")
        ended = convert(data_set.folder, prepare=without(*streams))
        assert (ended.code, ended.err) == (0, "" if 2 in streams else "warning!")
        assert data_set.is_converted()

    def test_the_exit_code_does_not_depend_on_them(self, serial):
        serial.out.mkdir(exist_ok=True)
        (serial.out / "dataset.json").touch()
        assert convert(serial.folder).code == 5
        assert convert(serial.folder, prepare=without(2)).code == 5
        with Path("/dev/full").open("w") as full:
            assert convert(serial.folder, stderr=full).code == 5
