"""From `s3://` to `s3://` against an S3 server over HTTP; `.ci/s3` runs this file, in an environment with the extra."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maskflow_convert import convert, load_config
from maskflow_convert.remote import path_of

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "configs/shapes-coco"

CONFIG = """\
sources: [{adapter: coco, annotations: HOME/instances.json, images: HOME/images}]
splits: {train: 0.7, val: 0.3, seed: 3}
output: {directory: OUT, shard_size: 1 images}
run: {executor: processes, workers: 2}
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on this machine writes."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "c.yaml").write_text(CONFIG.replace("HOME", str(SHAPES)).replace("OUT", "out"))
    convert(load_config(folder / "c.yaml", ["run.executor=serial"]))
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.fixture
def config(client: Any, tmp_path: Path) -> Path:
    for file in (SHAPES / "instances.json", *filter(Path.is_file, (SHAPES / "images").rglob("*"))):
        client.upload_file(str(file), "data", f"coco/{file.relative_to(SHAPES).as_posix()}")
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.replace("HOME", "s3://data/coco").replace("OUT", "s3://records/coco"))
    return path


@pytest.fixture
def written(client: Any, expected: dict[str, bytes]) -> str:
    """A data set that somebody has put into the store."""
    for name, content in expected.items():
        client.put_object(Bucket="records", Key=f"coco/{name}", Body=content)
    return "s3://records/coco"


def command(config: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "maskflow_convert", "convert", str(config), *options]


def records(client: Any) -> dict[str, bytes]:
    listed = client.list_objects_v2(Bucket="records", Prefix="coco/").get("Contents", [])
    keys = [each["Key"] for each in listed]
    return {key.partition("/")[2]: client.get_object(Bucket="records", Key=key)["Body"].read() for key in keys}


def listing(client: Any) -> dict[str, str]:
    """The names of all files, and the MD5 of their content, which is what S3 says of an object put in one piece."""
    listed = client.list_objects_v2(Bucket="records", Prefix="coco/").get("Contents", [])
    return {each["Key"].partition("/")[2]: each["ETag"].strip('"') for each in listed}


def assert_whole(found: dict[str, str], expected: dict[str, bytes]) -> None:
    """Each shard is that of the local run; a report comes after its shard, and the manifest after all."""
    shards = {name for name in found if name.endswith(".tfrecord")}
    assert {name: found[name] for name in shards} == {name: md5(expected[name]) for name in shards}
    reports = {name for name in found if "-of-" in name} - shards
    assert {name.replace(".json", ".tfrecord") for name in reports} <= shards
    assert found.keys() <= expected.keys() | {"unfinished.json"}
    if "dataset.json" in found:
        assert found.keys() >= {name for name in expected if name.endswith((".tfrecord", ".json", ".jsonl", ".yaml"))}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324


@contextmanager
def watched(client: Any, expected: dict[str, bytes]) -> Iterator[list[int]]:
    """Look at what is there again and again; gives how much there was each time."""
    seen: list[int] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                found = listing(client)
                assert_whole(found, expected)
                seen.append(len(found))
                time.sleep(0.01)
            except BaseException as error:
                faults.append(error)
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
    assert not faults, faults


def assert_finished(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys()
    assert_whole({name: md5(content) for name, content in found.items()}, expected)
    told, wanted = (json.loads(files["dataset.json"]) for files in (found, expected))
    assert told.pop("fingerprint") != wanted.pop("fingerprint")  # they are from other paths
    assert told == wanted


def test_from_s3_to_s3(client, config, expected):
    with watched(client, expected) as seen:
        done = subprocess.run(command(config), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert max(seen) > min(seen)
    assert_finished(records(client), expected)
    assert "sEcReT" not in done.stdout + done.stderr + b"".join(records(client).values()).decode("latin-1")


def test_one_file_per_image(client, tmp_path):
    """Also where folders are marked by objects of their own, as the console of S3 does it."""
    content = json.loads((SHAPES / "instances.json").read_bytes())
    for image in content["images"]:
        own = [each for each in content["annotations"] if each["image_id"] == image["id"]]
        file = tmp_path / "files" / f"{image['id'] % 2}/{image['id']}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**content, "images": [image], "annotations": own}))
        client.upload_file(str(file), "data", f"files/{file.parent.name}/{file.name}")
    for folder in ("files/", "files/0/", "files/empty/"):
        client.put_object(Bucket="data", Key=folder, Body=b"")
    for file in filter(Path.is_file, (SHAPES / "images").rglob("*")):
        client.upload_file(str(file), "data", f"coco/images/{file.relative_to(SHAPES / 'images').as_posix()}")
    for name, files, home, out in (
        ("here", tmp_path / "files", SHAPES, "out"),
        ("there", "s3://data/files", "s3://data/coco", "s3://records/coco"),
    ):
        text = CONFIG.replace("HOME/instances.json", str(files)).replace("HOME", str(home)).replace("OUT", out)
        (tmp_path / f"{name}.yaml").write_text(text)
    done = subprocess.run(command(tmp_path / "there.yaml"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    convert(load_config(tmp_path / "here.yaml", ["run.executor=serial"]))
    assert_finished(records(client), {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})


def test_killed_and_resumed(client, config, expected, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with watched(client, expected):
        for options in ((), ("--resume", "--executor", "serial")):
            with subprocess.Popen(command(config, *options), start_new_session=True, stderr=subprocess.DEVNULL) as run:
                before, limit = len(listing(client)), time.monotonic() + 60
                while len(listing(client)) < before + 4 and time.monotonic() < limit and run.poll() is None:
                    time.sleep(0.01)
                os.killpg(run.pid, signal.SIGKILL)
        left = listing(client)
        assert "unfinished.json" in left
        assert "dataset.json" not in left
        done = [name for name in left if name.endswith(".tfrecord") and name.replace(".tfrecord", ".json") in left]
        assert 0 < len(done) < sum(name.endswith(".tfrecord") for name in expected)
        kept = {each["Key"]: each["LastModified"] for each in client.list_objects_v2(Bucket="records")["Contents"]}
        refused = subprocess.run(command(config), capture_output=True, text=True, check=False)
        assert refused.returncode == 5
        assert "s3://records/coco: holds an unfinished data set already" in refused.stderr
        again = subprocess.run(
            command(config, "--resume", "--executor", "serial"), capture_output=True, text=True, check=False
        )
    assert again.returncode == 0, again.stderr
    assert_finished(records(client), expected)
    now = {each["Key"]: each["LastModified"] for each in client.list_objects_v2(Bucket="records")["Contents"]}
    assert all(now[f"coco/{name}"] == kept[f"coco/{name}"] for name in done)
    assert len(list((tmp_path / "temporary").iterdir())) == 2  # what was killed could not clear up


def test_nodes(client, config, expected):
    """Three at once in one place, merged there; three in places of their own, of which the store makes copies."""
    program = [sys.executable, "-m", "maskflow_convert"]
    for outs in (["coco"] * 3, ["parts/1", "parts/2", "parts/3"]):
        where = [f"s3://records/{out}" for out in outs]
        each = [("--node", f"{number}/3", "--output", out) for number, out in enumerate(where, start=1)]
        nodes = [subprocess.Popen(command(config, *options), stdout=subprocess.DEVNULL) for options in each]
        assert [node.wait(timeout=120) for node in nodes] == [0, 0, 0]
        merge = [*program, "merge", *dict.fromkeys(where), "--output", "s3://records/coco"]
        merged = subprocess.run(merge, capture_output=True, text=True, check=False)
        assert merged.returncode == 0, merged.stderr
        assert_finished(records(client), expected)
        for key in records(client):
            client.delete_object(Bucket="records", Key=f"coco/{key}")


def test_read_back(written, expected, tmp_path):
    for name, content in expected.items():
        (tmp_path / name).write_bytes(content)
    code = """
import sys
import numpy as np
from maskflow_convert import build_dataset
options = [{}, {"shuffle": 5, "seed": 3, "repeat": 2}, {"split": "train", "batch_size": 2}]
for how in options:
    remote, local = (list(build_dataset(where, **how)) for where in sys.argv[1:])
    assert len(remote) == len(local) > 0
    for (image, target), (wanted, wanted_target) in zip(remote, local):
        assert np.array_equal(image, wanted)
        assert all(np.array_equal(target[name], wanted_target[name]) for name in ("masks", "class_ids", "image_id"))
"""
    read = subprocess.run(
        [sys.executable, "-c", code, written, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("arguments", [["validate"], ["inspect", "--format", "json"]])
def test_looked_at(client, written, expected, arguments):
    subject = [sys.executable, "-m", "maskflow_convert", *arguments, written]
    found = subprocess.run(subject, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    shard = next(name for name in expected if name.startswith("val-") and name.endswith(".tfrecord"))
    client.put_object(Bucket="records", Key=f"coco/{shard}", Body=b"damaged")
    found = subprocess.run(subject, capture_output=True, text=True, check=False)
    assert found.returncode == (1 if arguments == ["validate"] else 4)
    assert shard in found.stdout + found.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_ENDPOINT_URL", "http://no-such-host.invalid")],
)
def test_a_service_that_is_not_there(client, config, variable, value):
    environment = {**os.environ, variable: value, "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(command(config), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4
    assert "s3://data/coco/instances.json: the service fails, or does not let us in" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_that_is_not_there(client, config):
    for where, code in (("sources[0].images=s3://nowhere/images", 1), ("output.directory=s3://nowhere/out", 5)):
        told = command(config, "--set", where, "--executor", "serial")
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_an_upload_in_parts_is_seen_when_it_is_whole(client, tmp_path):
    """s3fs sends files of 100 MB and more in parts."""
    file = tmp_path / "large"
    file.write_bytes(bytes(101 * 2**20))
    code = (
        f"from pathlib import Path; from maskflow_convert.remote import path_of\n"
        f"path_of('s3://records/coco/large').upload(Path({str(file)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as upload:
        while upload.poll() is None and not client.list_multipart_uploads(Bucket="records").get("Uploads"):
            assert not listing(client)
            time.sleep(0.01)
        assert upload.poll() is None
        upload.kill()
    assert not records(client)
    path_of("s3://records/coco/large").upload(file)
    assert records(client).keys() == {"large"}
