"""Conversion on Ray: whole, while nodes and workers die, of tasks that fail, and stopped; `.ci/ray` runs this file."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cluster.running import run, said, script, start, written
from core.running import running, session
from shared_data import REPOSITORY

PLUGIN = """\
import os, signal, time
from pathlib import Path
from maskflow_adapters.shapes import ShapesAdapter
from maskflow_convert.errors import RecordError, SourceError

class Unlucky(SourceError):
    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")

class Mine(ShapesAdapter):
    def read(self, record):
        BODY
        return super().read(record)
"""

SLOW = """\
import time
from pathlib import Path
from maskflow_adapters.NAME import CLASS

class Slow(CLASS):
    def read(self, record):
        if Path(__file__).with_name("slow").exists():
            time.sleep(0.1)
        return super().read(record)
"""

REMOTE = """\
sources: [{adapter: coco, annotations: ADDRESS/instances.json, images: ADDRESS/images}]
output: {directory: out, shard_size: 1 images}
"""

SHAPES = """\
sources: [{adapter: './mine.py:Mine', count: 24, size: [64, 48]}]
output: {directory: out, shard_size: 2 images, shuffle: null}
"""


class Counting(SimpleHTTPRequestHandler):
    """Serves a folder."""

    requests: ClassVar[Counter[tuple[str, str]]] = Counter()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        self.requests[self.command, self.path] += 1
        return parsed

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, Counter[tuple[str, str]]]]:
    handler = partial(Counting, directory=str(REPOSITORY / "configs/shapes-coco"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever).start()
        yield f"http://127.0.0.1:{serving.server_port}", Counting.requests
        serving.shutdown()


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition() and time.monotonic() < limit:
        time.sleep(0.01)
    assert condition()


@pytest.fixture
def plugin(tmp_path) -> Callable[[str], Path]:
    """A data set of 24 images in 12 shards, of an adapter that lies beside the YAML and does this before it reads."""

    def write(body: str) -> Path:
        (tmp_path / "mine.py").write_text(PLUGIN.replace("BODY", body))
        (tmp_path / "c.yaml").write_text(SHAPES)
        return tmp_path / "c.yaml"

    return write


def serially(config: Path) -> dict[str, bytes]:
    """What a serial run writes, in place of what was written."""
    assert run(config, "--executor", "serial", "--overwrite").returncode == 0
    return written(config.parent / "out")


class TestWhole:
    def test_on_a_cluster(self, machines, config, expected):
        done = run(config, "--set", f"run.address={machines.address}")
        assert (done.returncode, said(done.stderr)) == (0, [])
        assert written(config.parent / "out") == expected

    def test_on_this_machine(self, plugin):
        """With a Ray of its own, of which nothing is left."""
        config = plugin("pass")
        process = start(config, "--workers", "2")
        assert (*process.communicate(timeout=60)[1:], process.returncode) == ("", 0)
        assert not session(process.pid)
        assert written(config.parent / "out") == serially(config)

    def test_progress(self, machines, plugin):
        """Of images, in the middle of shards, too."""
        config = plugin("time.sleep(0.2)")
        done = script(
            f"""
            from maskflow_convert import load_config, validate
            settings = ["run.executor=ray", "run.address='{machines.address}'", "output.shard_size=12 images"]
            validate(load_config("c.yaml", settings), on_progress=print)
            """,
            config.parent,
        )
        assert done.returncode == 0
        seen = [int(line.split()[0]) for line in done.stdout.splitlines() if line.endswith(" 24")]
        assert seen == sorted(seen)
        assert seen[-1] == 24
        assert set(seen) - {0, 12, 24}


def test_tasks_are_made_when_their_turn_comes(machines, tmp_path):
    """A result that nobody takes yet begins no others."""
    done = script(
        f"""
        import operator
        from collections.abc import Sequence
        from maskflow_convert.cluster.tasks import run_on_ray
        from maskflow_convert.config import Run

        class Lazy(Sequence):
            made = 0
            def __len__(self):
                return 1000
            def __getitem__(self, number):
                self.made = number + 1
                return number

        lazy, run = Lazy(), Run(executor="ray", address="{machines.address}", workers=2)
        results = run_on_ray(operator.is_, lazy, lambda done: None, run=run, prepare=dict, tidy=dict)
        for _ in range(50):
            next(results)
        print("made", lazy.made)
        results.close()
        """,
        tmp_path,
    )
    assert done.returncode == 0
    [made] = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("made")]
    assert 50 <= made <= 50 + 8 * 2


def slowed_down(config: Path) -> Path:
    """Have each image of a configuration take a while, as long as the file is there that this returns."""
    text = config.read_text()
    name = "coco" if "adapter: coco" in text else "shapes"
    config.write_text(text.replace(f"adapter: {name}", "adapter: './slow.py:Slow'"))
    config.with_name("slow.py").write_text(SLOW.replace("NAME", name).replace("CLASS", f"{name.title()}Adapter"))
    slow = config.with_name("slow")
    slow.touch()
    return slow


class TestDeath:
    def test_of_a_node(self, machines, config):
        """In the middle of a shard, while the other node is in the middle of another one."""
        slow, out = slowed_down(config), config.parent / "out"
        process = start(config, "--set", f"run.address={machines.address}")
        wait_for(lambda: len(list(out.glob("train-*.json"))) >= 10 and len(list(out.glob("train-*.partial"))) >= 2)
        machines.kill()
        begun = len(list(out.glob("train-*.json")))
        _, err = process.communicate(timeout=60)
        machines.add()
        assert process.returncode == 0
        assert begun < 50
        assert said(err)
        for line in said(err):
            assert line.startswith("train-000")
            assert line.endswith("-of-00050: the node of its worker has died; it is tried once more")
        slow.unlink()
        assert written(out) == serially(config)

    def test_of_a_worker(self, machines, plugin):
        """Once, and all is as if nothing had happened."""
        config = plugin(
            "once = Path(__file__).with_name('died')\n        if record == 13 and not once.exists():\n"
            "            once.touch()\n            os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = run(config, "--set", f"run.address={machines.address}")
        assert (done.returncode, said(done.stderr)) == (
            0,
            ["train-00006-of-00012: its worker process has died; it is tried once more"],
        )
        assert written(config.parent / "out") == serially(config)

    def test_always(self, machines, plugin):
        """When what kills it is out of the way, the run goes on."""
        config = plugin(
            "record == 13 and Path(__file__).with_name('deadly').exists() and os.kill(os.getpid(), signal.SIGKILL)"
        )
        deadly, out = config.with_name("deadly"), config.with_name("out")
        deadly.touch()
        done = run(config, "--set", f"run.address={machines.address}", "--set", "run.retries=2")
        told = "train-00006-of-00012: its worker process has died"
        assert done.returncode == 5
        assert said(done.stderr) == [
            f"{told}; it is tried once more",
            f"{told}; it is tried once more",
            f"{told}, also when it was tried 2 times more; if memory is short, have Ray set some aside for each shard "
            "(`run.resources.memory`); what is done is kept, and --resume goes on from there",
        ]
        assert not (out / "dataset.json").exists()
        deadly.unlink()
        done = run(config, "--set", f"run.address={machines.address}", "--resume")
        assert done.returncode == 0
        assert written(out) == serially(config)


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("if record == 13: raise RecordError('out of luck')", 1, "out of luck"),
        ("if record == 13: raise SourceError('gone', 'a/file')", 4, "a/file: gone"),
        ("if record == 13: raise Unlucky(1, 2)", 3, "1 and 2 (in a worker process, which cannot hand on"),
    ],
)
def test_tasks_that_fail(machines, plugin, body, code, told):
    """What is said, and the exit code, are those of processes."""
    config = plugin(body)
    done = run(config, "--set", f"run.address={machines.address}")
    assert done.returncode == code
    assert told in done.stderr
    same = run(config, "--executor", "processes", "--workers", "2", "--overwrite")
    assert (done.returncode, said(done.stderr)) == (same.returncode, said(same.stderr))


class TestStop:
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_on_a_cluster(self, machines, config, how):
        """What is being done is put away, and the cluster is there for the next."""
        process = start(config, "--set", f"run.address={machines.address}")
        out = config.parent / "out"
        wait_for(lambda: len(list(out.glob("train-*.json"))) >= 4)
        begun = time.monotonic()
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        told = "interrupted" if how == signal.SIGINT else "terminated"
        assert (process.returncode, said(err)) == (130, [told])
        assert time.monotonic() - begun < 10
        names = {path.name for path in out.iterdir()}
        assert not [name for name in names if name.endswith(".partial")]
        assert "dataset.json" not in names
        time.sleep(1)
        assert {path.name for path in out.iterdir()} == names

    def test_on_this_machine(self, config):
        process = start(config, "--workers", "2")
        out = config.parent / "out"
        wait_for(lambda: len(list(out.glob("train-*.json"))) >= 4)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "maskflow-convert: interrupted\n")
        assert not session(process.pid)
        assert not list(out.glob("*.partial"))

    def test_killed(self, machines, config):
        """Nobody goes on for a run that is dead."""
        wait_for(lambda: not at_work())  # for the run before this one either
        process = start(config, "--set", f"run.address={machines.address}")
        out = config.parent / "out"
        wait_for(lambda: len(list(out.glob("train-*.json"))) >= 4 and at_work())
        process.kill()
        process.communicate(timeout=60)
        wait_for(lambda: not at_work())
        assert not (out / "dataset.json").exists()


def at_work() -> set[int]:
    """The processes that work on a shard."""
    return {each.pid for each in running() if each.command.startswith("ray::_do")}


class TestMachines:
    """Nodes that have other folders, or other programs, than the machine where the run is started."""

    def test_a_file_travels(self, machines, plugin):
        """The adapter is gone from where it was when the nodes begin to work."""
        config = plugin("pass")
        done = script(
            f"""
            from pathlib import Path
            from maskflow_convert import convert, load_config
            config = load_config("c.yaml", ["run.executor=ray", "run.address='{machines.address}'"])
            convert(config, on_progress=lambda *_: Path("mine.py").unlink(missing_ok=True))
            """,
            config.parent,
        )
        assert "card could not be made" in done.stderr  # it tells what the adapter was
        assert done.returncode == 0
        found = written(config.parent / "out")
        plugin("pass")
        expected = serially(config)
        assert {name: expected[name] for name in found} == found
        assert {Path(name).suffix for name in expected.keys() - found.keys()} == {".md", ".html", ".jpg"}

    def test_another_output_directory(self, machines, config):
        """Each process has a folder of its own below /proc/self/cwd."""
        done = script(
            f"""
            from pathlib import Path
            from maskflow_convert import convert, load_config
            from maskflow_convert.errors import OutputError
            config = load_config("c.yaml", ["run.executor=ray", "run.address='{machines.address}'"])
            output = config.output.model_copy(update={{"directory": Path("/proc/self/cwd/out")}})
            try:
                convert(config.model_copy(update={{"output": output}}))
            except OutputError as error:
                print(error)
            """,
            config.parent,
        )
        assert (
            f"/proc/self/cwd/out: is another folder on the node {socket.gethostname()}; on a cluster it has to be in a "
            "folder that all nodes share, or in an object store; what is done is kept, and --resume goes on from there"
        ) in done.stdout.splitlines()
        assert not list((config.parent / "out").glob("*.tfrecord"))

    def test_without_the_program(self, machines, config, tmp_path):
        """One of the nodes has it not."""
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['maskflow_convert'] = None")
        machines.add(PYTHONPATH=str(tmp_path))
        done = run(config, "--set", f"run.address={machines.address}")
        machines.kill()
        assert done.returncode == 2
        assert said(done.stderr) == [
            "the node 127.0.0.1 of the Ray cluster cannot do any work: ModuleNotFoundError: No module named "
            "'maskflow_convert.cluster'; 'maskflow_convert' is not a package; on every node there has to be the "
            "maskflow-convert that the run was started with"
        ]

    def test_remote_files_are_fetched_once_a_machine(self, machines, server, tmp_path):
        """By that where the run is started, by two nodes that share a folder, and by a third, which has two workers."""
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        address, requests = server
        machines.add(cpus=2, TMPDIR=str(tmp_path / "b"))
        config = tmp_path / "c.yaml"
        config.write_text(REMOTE.replace("ADDRESS", address))
        done = run(config, "--set", f"run.address={machines.address}", TMPDIR=str(tmp_path / "a"))
        assert (done.returncode, said(done.stderr)) == (0, [])
        assert requests["GET", "/instances.json"] == 3
        assert {count for (verb, path), count in requests.items() if verb == "GET" and "images" in path} == {1}
        assert not [*(tmp_path / "a").iterdir(), *(tmp_path / "b").iterdir()]
        machines.kill()


class TestNothingToWorkOn:
    def test_no_cluster(self, config):
        done = run(config, "--set", "run.address=127.0.0.1:9")
        assert done.returncode == 2
        assert (
            done.stderr == "maskflow-convert: run.address: 127.0.0.1:9 cannot be used: [Errno 111] Connection refused\n"
        )

    def test_no_such_resource(self, machines, config):
        """Processors have a key of their own."""
        done = run(config, "--set", f"run.address={machines.address}", "--set", "run.resources.custom.CPU=1")
        assert done.returncode == 2
        assert said(done.stderr)[0].startswith("run.resources: ")

    def test_no_room(self, config):
        done = run(config, "--set", "run.resources={cpus: 1, memory: 900000 GiB}")
        assert done.returncode == 2
        assert done.stderr == (
            "maskflow-convert: no node of the Ray cluster has what each shard is to have, CPU: 1, memory: "
            "966,367,641,600,000 (see `run.resources`)\n"
        )
