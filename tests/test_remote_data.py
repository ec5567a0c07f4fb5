"""Whole data sets in an object store: read, converted, written, gone on with, read back, and a store that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from maskflow_adapters.voc_folders import list_files
from maskflow_convert import build_dataset, convert, copies, dataset_from_config, load_config, validate
from maskflow_convert.cli import main
from maskflow_convert.config import Config
from maskflow_convert.errors import IssueError, OutputError, SourceError
from maskflow_convert.inspection import inspect
from maskflow_convert.output import Existing
from maskflow_convert.records import Records
from maskflow_convert.remote import path_of
from stores import Store, a_store

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
PLUGIN = ROOT / "examples/custom_adapter"


@pytest.fixture(autouse=True)
def _own_copies(tmp_path, monkeypatch):
    """A folder for temporary files of each test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("MASKFLOW_CONVERT_COPIES", str(tmp_path / "temporary"))
    monkeypatch.setattr(copies, "_MADE", {str(tmp_path / "temporary")})


@pytest.fixture
def store() -> Iterator[type[Store]]:
    with a_store() as made:
        for path in sorted(CONFIGS.rglob("*")):
            if path.is_file() and path.suffix != ".py":
                made.put(f"data/{path.relative_to(CONFIGS).as_posix()}", path.read_bytes())
        yield made


@pytest.fixture
def shards(tmp_path) -> Callable[..., dict[str, bytes]]:
    """The shards that a run on this machine writes."""

    def write(name: str, *overrides: str) -> dict[str, bytes]:
        folder = tmp_path / "local"
        config = load_config(CONFIGS / f"{name}.yaml", [f"output.directory={folder}", *overrides])
        convert(config, existing=Existing.OVERWRITE)
        return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord")}

    return write


def remote(name: str, *overrides: str) -> Config:
    """A configuration all of whose paths are in the store."""
    fixed = ["output.directory=s3://out/records", "run.executor=serial"]
    return load_config(f"s3://data/{name}.yaml", [*fixed, *overrides])


def written(store: type[Store], suffix: str = ".tfrecord") -> dict[str, bytes]:
    return {name: content for name, content in store.contents("out/records").items() if name.endswith(suffix)}


def failing(store: type[Store], verb: str, part: str, error: Exception) -> None:
    """Let all requests of one kind fail that are for a certain key."""

    def fail(asked: str, key: str) -> None:
        if asked == verb and part in key:
            raise error

    store.event = staticmethod(fail)


def temporary() -> list[Path]:
    return list(Path(os.environ["MASKFLOW_CONVERT_COPIES"]).iterdir())


class TestReading:
    @pytest.mark.parametrize("name", ["coco", "voc", "labelme", "mixed"])
    def test_same_bytes_as_from_this_machine(self, store, shards, name):
        convert(remote(name))
        assert written(store) == shards(name)

    def test_a_broken_record_is_one_image(self, store, tmp_path):
        """What an adapter raises for one image, as here for its mask, leaves the next one as it is."""
        shutil.copytree(CONFIGS / "shapes-voc", tmp_path / "voc")
        masks = sorted((tmp_path / "voc/SegmentationObject").iterdir())
        for mask in masks[:2]:
            mask.write_bytes(b"no mask")
        store.put_folder("data/voc", tmp_path / "voc")
        totals = []
        for root, out in ((tmp_path / "voc", tmp_path / "out"), ("s3://data/voc", "s3://out/records")):
            text = f"sources: [{{adapter: voc, root: '{root}'}}]\noutput: {{directory: '{out}'}}\non_error: skip-image"
            (tmp_path / "c.yaml").write_text(text)
            totals.append(convert(load_config(tmp_path / "c.yaml", ["run.executor=serial"])).total)
        assert totals[0] == totals[1]
        assert totals[1].images_dropped == {"mask-unreadable": 2, "image-skipped": 1}  # voc_205 has a box alone
        assert written(store) == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tfrecord")}

    def test_a_plugin_that_knows_of_no_store(self, store, tmp_path):
        """`glob`, `/`, `is_file`, `with_suffix` and `read_labels`, as its README has it."""
        (tmp_path / "images").mkdir()
        shutil.copy(PLUGIN / "maskflow_label_images.py", tmp_path)
        for number in range(3):
            labels = np.zeros((6, 8), np.uint8)
            labels[1:4, 2 : 4 + number] = number + 1
            write_png(tmp_path / f"images/{number}.png", np.full((6, 8), 40 * number, np.uint8))
            write_png(tmp_path / f"images/{number}_cp_masks.png", labels)
        text = """
sources: [{adapter: './maskflow_label_images.py:LabelImageAdapter', images: HOME, masks: HOME, suffix: _cp_masks}]
output: {directory: OUT}
run: {executor: serial}
"""
        (tmp_path / "c.yaml").write_text(text.replace("HOME", "images").replace("OUT", "here"))
        convert(tmp_path / "c.yaml")
        store.put_folder("data/cells", tmp_path / "images")
        (tmp_path / "c.yaml").write_text(text.replace("HOME", "s3://data/cells").replace("OUT", "s3://out/records"))
        convert(tmp_path / "c.yaml")
        assert written(store) == {path.name: path.read_bytes() for path in (tmp_path / "here").glob("*.tfrecord")}

    def test_folders_of_others_are_passed_over(self, store, tmp_path):
        names = ["a.xml", "b.XML", "c.txt", "images/d.xml", "images/deep/e.xml", "more/f.xml", "more/images/g.xml"]
        for name in names:
            (tmp_path / "voc" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "voc" / name).touch()
            store.put(f"data/voc/{name}", b"")
        found = []
        for root in (tmp_path / "voc", path_of("s3://data/voc")):
            assert list(list_files(root / "more/images", (".xml",), [root])) == ["g"]
            found.append(list_files(root, (".xml",), [root.parent, root, root / "images", None]))
        assert list(found[1].items()) == list(found[0].items())
        assert list(found[1]) == ["a", "b", "more/f", "more/images/g"]

    def test_requests(self, store):
        """The annotation file is fetched once, and each image."""
        convert(remote("coco", "output.directory=s3://out/records"))
        fetched = [key for key in store.asked("GET") if key.startswith("data/shapes-coco")]
        assert len(fetched) == len(set(fetched)) == 13
        assert fetched[0] == "data/shapes-coco/instances.json"
        heads = [key for key in store.asked("HEAD") if key.startswith("data/")]
        assert len(heads) < 12
        assert not any("/images/" in key for key in heads)

    def test_the_copy_is_taken_anew_when_there_is_another_file(self, store):
        convert(remote("coco"))
        assert [path.name.partition("-")[2] for path in temporary()] == ["instances.json"]
        tree = json.loads(store.contents("data")["shapes-coco/instances.json"])
        tree["annotations"] = tree["annotations"][:3]
        store.put("data/shapes-coco/instances.json", json.dumps(tree).encode())
        assert convert(remote("coco"), existing=Existing.OVERWRITE).total.objects_found == 3

    def test_it_changes_while_it_is_read(self, store):
        def change(verb: str, key: str) -> None:
            if "/images/" in key:
                store.event = staticmethod(lambda verb, key: None)
                store.put("data/shapes-coco/instances.json", b"{}")

        store.event = staticmethod(change)
        with pytest.raises(SourceError, match=r"instances.json: has changed while it was read; begin anew") as caught:
            convert(remote("coco"))
        assert caught.value.exit_code == 4
        assert "dataset.json" not in store.contents("out/records")

    def test_whoever_wants_it_at_the_same_time_waits_for_one_to_fetch_it(self, store):
        """Threads stand for processes here; a lock keeps both apart."""
        store.event = staticmethod(lambda verb, key: time.sleep(0.2 if verb == "GET" else 0.0))
        file = path_of("s3://data/shapes-coco/instances.json")
        with ThreadPoolExecutor(3) as threads:
            copied = {copy.read_bytes() for copy in threads.map(copies.fetch, [file] * 3)}
        assert copied == {store.contents("data")["shapes-coco/instances.json"]}
        assert [verb for verb, _ in store.requests].count("GET") == 1

    def test_on_another_machine_it_is_the_same_version_or_none(self, store, tmp_path, monkeypatch):
        """Which has a folder of its own, and fetches there what the one has that it works for."""
        file = path_of("s3://data/shapes-coco/instances.json")
        copies.fetch(file)
        versions = copies.versions()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(copies, "_VERSIONS", {})
        copies.share("elsewhere", versions)
        store.requests.clear()
        copy = copies.copy_of(file)
        assert copy.parent == tmp_path / "elsewhere-workers"
        assert copies.copy_of(file).read_bytes() == store.contents("data")["shapes-coco/instances.json"]
        assert [verb for verb, _ in store.requests].count("GET") == 1
        copy.unlink()
        store.put("data/shapes-coco/instances.json", b"{}")
        with pytest.raises(SourceError, match=r"instances.json: has changed while it was read; begin anew"):
            copies.copy_of(file)

    @pytest.mark.parametrize("name", ["coco", "voc", "labelme"])
    def test_straight_from_the_annotations(self, store, name):
        local = list(dataset_from_config(CONFIGS / f"{name}.yaml"))
        assert same(list(dataset_from_config(f"s3://data/{name}.yaml")), local)

    @pytest.mark.parametrize("name", ["coco", "voc", "labelme"])
    def test_validated(self, store, name):
        found, expected = validate(remote(name)).to_dict(), validate(CONFIGS / f"{name}.yaml").to_dict()
        assert json.dumps(found).replace("s3://data", str(CONFIGS)) == json.dumps(expected)

    def test_previewed(self, store, tmp_path, monkeypatch, capsys):
        (tmp_path / "c.yaml").write_text("sources: [{adapter: voc, root: s3://data/shapes-voc}]")
        assert main(["preview", str(tmp_path / "c.yaml"), "--output", str(tmp_path / "p"), "--limit", "3"]) == 0
        assert len(list((tmp_path / "p").glob("*.png"))) == 3


class TestFilesOfImages:
    """COCO's files, one beside each image."""

    TEXT = """
sources: [{adapter: coco, annotations: HOME, label: object}]
output: {directory: OUT, shard_size: 20 images}
run: {executor: serial}
on_error: skip-image
"""

    @pytest.fixture
    def folder(self, store, tmp_path) -> Path:
        """Eighty images in two folders."""
        for number in range(80):
            home = tmp_path / f"data/sa_{number % 2}"
            home.mkdir(parents=True, exist_ok=True)
            write_png(home / f"{number}.png", np.full((6, 8), number, np.uint8))
            masks = [{"id": number, "segmentation": {"size": [6, 8], "counts": [3 + number % 5, 4, 41 - number % 5]}}]
            image = {"image_id": number, "width": 8, "height": 6, "file_name": f"{number}.png"}
            (home / f"{number}.json").write_text(json.dumps({"image": image, "annotations": masks}))
        store.put_folder("data/sa1b", tmp_path / "data")
        return tmp_path

    def converted(self, folder: Path, home: str, out: str, **how: Existing):
        (folder / "c.yaml").write_text(self.TEXT.replace("HOME", home).replace("OUT", out))
        return convert(folder / "c.yaml", **how)

    def test_same_bytes_and_few_requests(self, store, folder):
        """A listing of each folder; one request a file, and one more for each that the sizes are estimated by."""
        self.converted(folder, "data", "here")
        store.requests.clear()
        self.converted(folder, "s3://data/sa1b", "s3://out/records")
        assert written(store) == {path.name: path.read_bytes() for path in (folder / "here").glob("*.tfrecord")}
        assert len(written(store)) == 4
        listed = [key for key in store.asked("LIST") if key.startswith("data/")]
        assert sorted(listed) == ["data/sa1b", "data/sa1b/sa_0", "data/sa1b/sa_1"]
        fetched = Counter(key for key in store.asked("GET") if key.startswith("data/"))
        assert len(fetched) == 160
        assert fetched.total() == 160 + 64
        assert {count for key, count in fetched.items() if key.endswith(".png")} == {1}
        asked = [key for key in store.asked("HEAD") if key.startswith("data/")]
        assert set(asked) == {"data/sa1b"}
        assert len(asked) < 5  # however many images there are
        assert not temporary()

    def test_faults_are_those_of_this_machine(self, store, folder):
        """Told with their lines, for which no file is fetched again."""
        broken = {"image": {"file_name": "0.png"}, "annotations": [{"id": 1, "segmentation": {"size": [6, 8]}}]}
        empty = {"image": {"file_name": "2.png"}, "annotations": [{"id": 2, "segmentation": [[1, 1, 1, 1, 1, 1]]}]}
        for name, text in (
            ("sa_0/0.json", json.dumps(broken, indent=1)),
            ("sa_0/2.json", json.dumps(empty, indent=1)),
            ("sa_1/1.json", '{\n"image":'),
            ("sa_1/3.json", "{}"),
        ):
            (folder / "data" / name).write_text(text)
        (folder / "data/sa_0/4.png").unlink()
        store.put_folder("data/sa1b", folder / "data")
        del store.store["/data/sa1b/sa_0/4.png"]
        store.requests.clear()
        found = [
            self.converted(folder, *places) for places in (("data", "here"), ("s3://data/sa1b", "s3://out/records"))
        ]
        here = (folder / "here/issues.jsonl").read_text()
        there = store.contents("out/records")["issues.jsonl"].decode()
        assert there.replace("s3://data/sa1b", str(folder / "data")) == here
        assert found[0].total == found[1].total
        dropped = {"image-missing": 1, "record-broken": 1, "file-foreign": 1, "image-skipped": 1}
        assert found[0].total.images_dropped == dropped
        assert not temporary()
        assert max(Counter(store.asked("GET")).values()) <= 2

    def test_images_of_their_own(self, store, folder):
        """In the same sub-folders, or all in one; which, is asked of the store."""
        for number in range(80):
            del store.store[f"/data/sa1b/sa_{number % 2}/{number}.png"]
            content = (folder / f"data/sa_{number % 2}/{number}.png").read_bytes()
            store.put(f"data/images/{f'sa_{number % 2}/' if number < 40 else ''}{number}.png", content)
        self.TEXT = self.TEXT.replace("label: object", "label: object, images: s3://data/images")
        assert self.converted(folder, "s3://data/sa1b", "s3://out/records").total.images_written == 80

    def test_goes_on(self, store, folder):
        def stop(verb: str, key: str) -> None:
            if verb == "PUT" and "00002-of" in key:
                raise OSError(5, "SlowDown")

        store.event = staticmethod(stop)
        with pytest.raises(OutputError, match="SlowDown"):
            self.converted(folder, "s3://data/sa1b", "s3://out/records")
        store.event = staticmethod(lambda verb, key: None)
        report = self.converted(folder, "s3://data/sa1b", "s3://out/records", existing=Existing.RESUME)
        assert report.total.images_written == 80

    def test_not_after_one_more_image(self, store, folder):
        failing(store, "PUT", "00002-of", OSError(5, "SlowDown"))
        with pytest.raises(OutputError, match="SlowDown"):
            self.converted(folder, "s3://data/sa1b", "s3://out/records")
        store.event = staticmethod(lambda verb, key: None)
        store.put("data/sa1b/sa_0/more.json", b"{}")
        with pytest.raises(OutputError, match="cannot be gone on with: the list of images is another"):
            self.converted(folder, "s3://data/sa1b", "s3://out/records", existing=Existing.RESUME)

    def test_no_such_folder(self, store, folder):
        for home in ("s3://data/none", "s3://nowhere/none"):
            with pytest.raises(SourceError, match=f"{home}: .*No such file"):
                self.converted(folder, home, "s3://out/records")

    def test_a_store_that_fails(self, store, folder):
        for verb in ("LIST", "GET"):
            failing(store, verb, "sa_1", PermissionError("Forbidden"))
            with pytest.raises(SourceError, match="the service fails"):
                self.converted(folder, "s3://data/sa1b", "s3://out/records", existing=Existing.OVERWRITE)


class TestImages:
    def test_missing(self, store):
        key = next(key for key in store.store if "/images/" in key)
        del store.store[key]
        with pytest.raises(IssueError, match=f"s3:/{key}.*does not exist"):
            convert(remote("coco"))
        report = convert(remote("coco", "on_error=skip-image"), existing=Existing.OVERWRITE)
        assert report.total.images_dropped == {"image-missing": 1}

    def test_broken(self, store):
        key = next(key for key in store.store if "/images/" in key)
        store.put(key[1:], b"no image")
        report = convert(remote("coco", "on_error=skip-image"))
        assert report.total.images_dropped == {"image-unreadable": 1}

    @pytest.mark.parametrize("name", ["a\0b.png", "a::b://c.png", "long" * 300 + ".png", "new\nline.png", "[a]*.png"])
    def test_names_that_no_file_can_have(self, store, name):
        """They are a fault of the data, and not one that the service is asked about."""
        tree = {"images": [{"id": 1, "file_name": name}], "annotations": [], "categories": [{"id": 1, "name": "disc"}]}
        store.put("data/shapes-coco/instances.json", json.dumps(tree).encode())
        report = convert(remote("coco", "on_error=skip-image", "classes.names=[disc]"))
        assert report.total.images_dropped.keys() < {"image-missing", "image-unreadable"}

    @pytest.mark.parametrize("error", [PermissionError("Forbidden"), OSError(5, "SlowDown"), RuntimeError("no name")])
    def test_a_service_that_fails_costs_no_image(self, store, error):
        failing(store, "GET", "/images/", error)
        with pytest.raises(SourceError, match="the service fails"):
            convert(remote("coco", "on_error=skip-image"))

    @pytest.mark.parametrize("name", ["../secret.png", "../../other/secret.png", "a/../../secret.png", "/secret.png"])
    def test_no_file_outside_the_folder(self, store, name):
        image = next(content for key, content in store.contents("data").items() if "/images/" in key)
        for key in ("data/secret.png", "other/secret.png", "secret.png"):
            store.put(key, image)
        tree = {
            "images": [{"id": 1, "file_name": name, "width": 1, "height": 1}, {"id": 2, "file_name": "s3://other/x"}],
            "annotations": [],
            "categories": [{"id": 1, "name": "disc"}],
        }
        store.put("data/shapes-coco/instances.json", json.dumps(tree).encode())
        report = convert(
            remote("coco", "on_error=skip-image", "classes.names=[disc]", "sources[0].images=s3://data/images")
        )
        assert report.total.images_dropped == {"image-outside-folder": 1, "image-missing": 1}
        assert not any("secret" in key or key.startswith("other") for _, key in store.requests)


class TestWriting:
    OUT = ("output.shard_size=2 images",)

    def test_whole_files_by_one_request_each_and_the_manifest_last(self, store):
        convert(remote("coco", *self.OUT))
        puts = store.asked("PUT")
        assert len(puts) == len(set(puts))
        assert puts[0] == "out/records/unfinished.json"
        after = puts[puts.index("out/records/dataset.json") + 1 :]
        assert [Path(key).suffix for key in after] == [".html", ".jpg", ".md"]  # the card, which it is whole without
        for number, key in enumerate(puts):
            if "-of-" in key and key.endswith(".json"):
                assert key.replace(".json", ".tfrecord") in puts[:number]
        assert store.asked("DELETE") == ["out/records/unfinished.json"]
        assert not any(key.endswith(".partial") for _, key in store.requests)
        assert [path.name.partition("-")[2] for path in temporary()] == ["instances.json"]

    def test_records_are_those_of_a_local_run(self, store, shards):
        assert (
            main(["convert", str(CONFIGS / "coco.yaml"), "--output", "s3://out/records", "--executor", "serial"]) == 0
        )
        assert written(store) == shards("coco")

    def test_to_this_machine(self, store, shards, tmp_path):
        """As by `--output`: an absolute path is none in the store that the YAML is in."""
        convert(remote("coco", f"output.directory={tmp_path}/out"))
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tfrecord")} == shards("coco")

    def test_the_card_is_that_of_a_local_run(self, store, tmp_path):
        """But for the places of its sources, which are URLs; of the shards it asks for their beginnings, once each."""
        convert(remote("coco", *self.OUT))
        shards = written(store).keys()
        read = [key for key in store.asked("GET") if key.endswith(".tfrecord")]
        assert sorted(read) == sorted(f"out/records/{name}" for name in shards)
        card = store.contents("out/records")
        convert(load_config(CONFIGS / "coco.yaml", [f"output.directory={tmp_path}/local", *self.OUT]))
        local = (tmp_path / "local/README.md").read_text(encoding="utf-8")
        text = card["README.md"].decode()
        assert "\n  - images: `s3://data/shapes-coco/images`\n" in text
        annotations = f"`s3://data/shapes-coco/{local.partition('annotations: `')[2].partition('`')[0]}`"
        assert f"\n  - annotations: {annotations}\n" in text
        assert text.partition("## What it was made from")[0] == local.partition("## What it was made from")[0]
        assert {name for name in card if name.startswith("samples-")} == {
            path.name for path in (tmp_path / "local").glob("samples-*")
        }

    def test_a_card_that_cannot_be_written(self, store, caplog):
        failing(store, "PUT", "index.html", OSError(5, "SlowDown"))
        convert(remote("coco", *self.OUT))
        assert {"dataset.json", "config.yaml"} <= store.contents("out/records").keys()
        [message] = caplog.messages
        assert message.startswith("s3://out/records: the data set is whole, but its card could not be made: ")

    @pytest.mark.parametrize("done", [0, 1, 3, 5, 8])
    def test_goes_on(self, store, shards, done):
        def stop(verb: str, key: str) -> None:
            if verb == "PUT" and len(store.asked("PUT")) > done:
                raise OSError(5, "SlowDown")

        store.event = staticmethod(stop)
        with pytest.raises(OutputError, match=r"s3://out/records/.*: cannot be written: .*SlowDown"):
            convert(remote("coco", *self.OUT))
        store.event = staticmethod(lambda verb, key: None)
        before = written(store)
        store.requests.clear()
        convert(remote("coco", *self.OUT), existing=Existing.RESUME)
        assert written(store) == shards("coco", *self.OUT)
        whole = [name for name in before if f"out/records/{name}" not in store.asked("PUT")]
        assert len(whole) == max(0, done - 1) // 2
        assert {"dataset.json", "config.yaml", "issues.jsonl"} <= store.contents("out/records").keys()
        assert "unfinished.json" not in store.contents("out/records")

    def test_what_is_there_is_not_replaced_unasked(self, store):
        convert(remote("coco"))
        before = store.contents("out/records")
        with pytest.raises(OutputError, match="s3://out/records: holds a data set already"):
            convert(remote("coco"))
        convert(remote("coco"), existing=Existing.RESUME)
        assert store.contents("out/records") == before
        convert(remote("coco", "output.compression=gzip"), existing=Existing.OVERWRITE)
        assert store.contents("out/records").keys() == before.keys()
        assert written(store) != before

    def test_a_second_run_beside_the_first_is_refused(self, store):
        def begin_another(verb: str, key: str) -> None:
            if verb == "PUT" and key.endswith(".tfrecord"):
                store.event = staticmethod(lambda verb, key: None)
                with pytest.raises(OutputError, match="holds an unfinished data set already"):
                    convert(remote("coco"))

        store.event = staticmethod(begin_another)
        convert(remote("coco"))
        assert written(store)

    @pytest.mark.parametrize("verb", ["LIST", "PUT", "DELETE"])
    def test_a_store_that_fails(self, store, verb):
        failing(store, verb, "out/", PermissionError("Forbidden"))
        with pytest.raises(OutputError, match=r"s3://out/records.*Forbidden"):
            convert(remote("coco"))

    def test_no_room_for_what_is_to_be_sent(self, store, monkeypatch, tmp_path):
        monkeypatch.setenv("MASKFLOW_CONVERT_COPIES", "/dev/null/none")
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        with pytest.raises(OSError, match="gone"):
            convert(load_config(CONFIGS / "coco.yaml", ["output.directory=s3://out/records"]))

    def test_no_secret_is_written(self, store, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sEcReT")
        convert(remote("coco"))
        assert not any(b"sEcReT" in content for content in store.contents("out/records").values())


class TestRecords:
    @pytest.fixture(params=["none", "gzip"])
    def both(self, request, store, shards, tmp_path) -> tuple[str, str]:
        """The same records, on this machine and in the store."""
        shards("coco", "output.shard_size=3 images", f"output.compression={request.param}")
        store.put_folder("out/records", tmp_path / "local")
        return str(tmp_path / "local"), "s3://out/records"

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"split": "val"},
            {"shuffle": 4, "seed": 5, "repeat": 2},
            {"batch_size": 2},
        ],
    )
    def test_built(self, both, options):
        local, there = (list(build_dataset(where, **options)) for where in both)
        assert same(there, local)

    def test_in_any_order(self, both):
        local, there = (build_dataset(where, deterministic=False) for where in both)
        assert sorted(ids(there)) == sorted(ids(local))

    def test_one_file(self, both, store):
        name = next(iter(written(store)))
        local, there = (list(build_dataset(f"{where}/{name}", layout="documented")) for where in both)
        assert same(there, local)

    def test_damage_is_told(self, both, store):
        name = next(iter(written(store)))
        content = bytearray(store.contents("out/records")[name])
        content[len(content) // 2] ^= 1
        store.put(f"out/records/{name}", bytes(content))
        with pytest.raises(Exception, match=f"s3://out/records/{name}|{name}"):
            list(build_dataset(both[1]))

    def test_inspected_and_validated(self, both):
        local, there = (Records.find(where) for where in both)
        found, expected = inspect(there).model_dump(mode="json"), inspect(local).model_dump(mode="json")
        assert json.dumps(found).replace(both[1], both[0]) == json.dumps(expected)
        assert validate(both[1]).to_dict() == validate(both[0]).to_dict()
        assert not list(validate(both[1]).examples)

    def test_each_shard_is_fetched_once_to_be_validated(self, both, store):
        validate(both[1])
        fetched = [key for key in store.asked("GET") if key.endswith(".tfrecord")]
        assert len(fetched) == len(set(fetched)) == len(written(store))
        assert not temporary()

    def test_damage_is_found(self, both, store, capsys):
        name = next(iter(written(store)))
        store.put(f"out/records/{name}", b"damaged")
        store.put("out/records/train-00099-of-00100.tfrecord", b"strange")
        assert main(["validate", both[1]]) == 1
        told = capsys.readouterr().out
        assert f"s3://out/records/{name}" in told
        assert "shard-unlisted" in told

    def test_previewed(self, both, tmp_path, capsys):
        assert main(["preview", both[1], "--output", str(tmp_path / "p"), "--limit", "2"]) == 0
        assert len(list((tmp_path / "p").glob("*.png"))) == 2

    def test_nothing_there(self, store):
        for use in (build_dataset, validate):
            with pytest.raises(SourceError, match=r"s3://out/nothing/dataset.json: cannot be read: No such file"):
                use("s3://out/nothing")
            with pytest.raises(SourceError, match=r"s3://out/x.tfrecord: there is no such file"):
                use("s3://out/x.tfrecord")


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise KeyboardInterrupt", "1 / 0"])
def test_copies_go_with_the_process(tmp_path, end):
    """Also when it ends by an error, or is told to end."""
    code = (
        "from maskflow_convert.copies import temporary_folder\n"
        "(temporary_folder() / 'copy').touch()\n"
        f"print(temporary_folder(), *temporary_folder().iterdir(), flush=True)\n{end}"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # which names a folder of this process, and no parent's
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    folder, copy = map(Path, ended.stdout.split())
    assert (folder.parent, copy) == (tmp_path, folder / "copy")
    assert not folder.exists()


def write_png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def ids(dataset) -> list[int]:
    return [int(target["image_id"]) for _, target in dataset]


def same(found: list, expected: list) -> bool:
    assert len(found) == len(expected) > 0
    return all(
        np.array_equal(image, wanted) and all(np.array_equal(target[key], wanted_target[key]) for key in wanted_target)
        for (image, target), (wanted, wanted_target) in zip(found, expected, strict=True)
    )
