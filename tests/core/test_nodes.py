"""Nodes that share a conversion: each writes its shards, and nothing of another is touched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.plugins.scripted import script
from core.shares import contents, run_nodes, single_run
from maskflow_convert import convert, load_config, rehearse
from maskflow_convert.errors import ConfigError, IssueError, OutputError
from maskflow_convert.nodes import MOST_NODES, Node
from maskflow_convert.output import Existing, reserved

PICTURES = [{"key": f"{n}.png", "things": ["good", "far"][: 1 + n % 2]} for n in range(7)]
SKIP = {"on_error": "skip-object"}
ONE_EACH = {"shard_size": "1 images"}


@pytest.fixture
def path(tmp_path) -> Path:
    """A configuration of seven shards of an image each; every second one loses an object."""
    return script(tmp_path, PICTURES, output=ONE_EACH, **SKIP)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def shards_in(folder: Path) -> list[int]:
    """The numbers of the shards that are there, each with its report."""
    names = sorted(path.name for path in folder.glob("train-*"))
    assert names == sorted(f"{name.partition('.')[0]}.{end}" for name in names[::2] for end in ("json", "tfrecord"))
    return [int(name.split("-")[1]) for name in names[::2]]


class TestNode:
    def test_as_people_write_it(self):
        assert Node.of("2/8") == Node(2, 8)
        assert Node.of(Node(2, 8)) == Node(2, 8)
        assert str(Node(2, 8)) == "2/8"

    @pytest.mark.parametrize("said", ["", "2", "a/b", "2/", "/8", "2/8/9", "-1/8", "2 of 8", " 2/8", "2/8\n", "²/8"])
    def test_what_is_none(self, said):
        with pytest.raises(ConfigError, match="is not a node: write I/N, as in 2/8"):
            Node.of(said)

    @pytest.mark.parametrize("said", ["0/8", "9/8", "0/0", f"1/{MOST_NODES + 1}", "1/999999999"])
    def test_what_there_cannot_be(self, said):
        with pytest.raises(ConfigError, match=f"there is no node {said}: .* I is from 1 to N, and N is 9,999 at most"):
            Node.of(said)

    @pytest.mark.parametrize(
        ("nodes", "shares"),
        [
            (1, [[0, 1, 2, 3, 4, 5, 6]]),
            (2, [[0, 2, 4, 6], [1, 3, 5]]),
            (3, [[0, 3, 6], [1, 4], [2, 5]]),
            (9, [[0], [1], [2], [3], [4], [5], [6], [], []]),
        ],
    )
    def test_shares(self, nodes, shares):
        assert [Node(number, nodes).share(range(7)) for number in range(1, nodes + 1)] == shares


class TestShare:
    def test_its_shards_and_nothing_of_the_whole(self, path, out):
        convert(path, node="2/3")
        assert sorted(contents(out)) == [
            "node-2-of-3.json",
            "train-00001-of-00007.json",
            "train-00001-of-00007.tfrecord",
            "train-00004-of-00007.json",
            "train-00004-of-00007.tfrecord",
        ]

    def test_they_are_those_of_a_single_run(self, path, out):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 3)
        found = {name: content for name, content in contents(out).items() if name.startswith("train-")}
        assert found == {name: content for name, content in expected.items() if name.startswith("train-")}
        assert len(found) == 14

    def test_the_report_is_of_its_shards(self, path):
        """Images 1, 4: one object each, and one more in the odd one, which is dropped."""
        report = convert(path, node="2/3")
        assert report.shards == ["train-00001-of-00007", "train-00004-of-00007"]
        total = report.total
        assert (total.images_found, total.images_written) == (2, 2)
        assert (total.objects_found, total.objects_written, total.objects_dropped) == (3, 2, {"polygon-too-far": 1})

    def test_so_is_that_of_a_rehearsal(self, path, out):
        report = rehearse(path, node="2/3")
        assert report.shards == ["train-00001-of-00007", "train-00004-of-00007"]
        assert report.total.objects_found == 3
        assert not out.exists()

    def test_the_mark(self, path, out):
        convert(path, node="2/3")
        mark = json.loads((out / "node-2-of-3.json").read_text())
        assert mark["node"] == {"number": 2, "count": 3}
        assert mark["plan"] == [{"split": "train", "shards": 7, "images": 7}]
        assert mark["counts"]["train"]["images_written"] == 2
        convert(path, existing=Existing.OVERWRITE)
        assert mark["fingerprint"] == json.loads((out / "dataset.json").read_text())["fingerprint"]

    def test_more_nodes_than_shards(self, path, out):
        report = convert(path, node="9/9")
        assert (report.shards, report.total.images_found) == ([], 0)
        assert sorted(contents(out)) == ["node-9-of-9.json"]

    def test_an_error_stops_the_node_that_has_it(self, tmp_path, out):
        """The third of four images; there are two nodes, which take the odd and the even ones."""
        pictures = [{"key": f"{n}.png", "things": ["far" if n == 2 else "good"]} for n in range(4)]
        path = script(tmp_path, pictures, output=ONE_EACH)
        with pytest.raises(IssueError, match=r"2\.png"):
            convert(path, node="1/2")
        assert shards_in(out) == [0]
        assert "unfinished-1-of-2.json" in contents(out)
        convert(path, node="2/2")
        assert shards_in(out) == [0, 1, 3]

    def test_an_error_of_the_sources_stops_all(self, tmp_path, out):
        answers = {"annotation-orphaned": "error"}
        path = script(tmp_path, PICTURES, source={"issues": list(answers)}, issues=answers)
        for node in ("1/2", "2/2"):
            with pytest.raises(IssueError, match="told so"):
                convert(path, node=node)
        assert not out.exists()

    def test_the_data_set_as_a_whole_is_not_judged(self, tmp_path):
        """A share with few objects says nothing of the whole."""
        pictures = [{"key": f"{n}.png", "things": ["good"]} for n in range(12)]
        path = script(tmp_path, pictures, output=ONE_EACH, issues={"class-few-objects": "error"})
        for node in ("1/2", "2/2"):
            rehearse(path, node=node)
            convert(path, node=node)


class TestExisting:
    def test_its_own_share_is_not_replaced_unasked(self, path, out):
        run_nodes(path, out, 3)
        before = contents(out)
        with pytest.raises(OutputError, match="holds a share of node 2/3 already; give --resume to go on"):
            convert(path, node="2/3")
        assert contents(out) == before

    def test_others_may_be_there(self, path, out):
        convert(path, node="3/3")
        convert(path, node="1/3")
        convert(path, node="2/3")
        assert shards_in(out) == [0, 1, 2, 3, 4, 5, 6]

    def test_to_overwrite_is_to_overwrite_its_own(self, path, out):
        run_nodes(path, out, 3)
        before = contents(out)
        for name in ("train-00001-of-00007.tfrecord", "train-00002-of-00007.tfrecord"):
            (out / name).write_bytes(b"changed")
        convert(path, node="2/3", existing=Existing.OVERWRITE)
        after = contents(out)
        assert after.pop("train-00002-of-00007.tfrecord") == b"changed"
        assert after.items() <= before.items()

    @pytest.mark.parametrize("existing", list(Existing))
    def test_a_finished_data_set_is_left_alone(self, path, out, existing):
        convert(path)
        before = contents(out)
        with pytest.raises(OutputError, match="holds a finished data set, no part of which a node replaces"):
            convert(path, node="2/3", existing=existing)
        assert contents(out) == before

    @pytest.mark.parametrize("existing", list(Existing))
    @pytest.mark.parametrize(
        ("file", "told"),
        [
            ("unfinished.json", "an unfinished data set of a run without --node"),
            ("train-00000-of-00009.tfrecord", "train-00000-of-00009.tfrecord, which does not belong to this data set"),
            ("val-00000-of-00007.json", "val-00000-of-00007.json, which does not belong to this data set"),
            ("issues.jsonl", "issues.jsonl, and no data set that it belongs to"),
        ],
    )
    def test_so_is_what_is_of_something_else(self, path, out, existing, file, told):
        out.mkdir()
        (out / file).write_text("x")
        with pytest.raises(OutputError, match=f"holds {told}; choose another --output, or remove it first"):
            convert(path, node="2/3", existing=existing)
        assert contents(out) == {file: b"x"}

    def test_files_of_others_are_no_obstacle(self, path, out):
        out.mkdir()
        others = ["notes.txt", "README.md", "instances.json", "node.json", "node-2-of-8.txt", "node-02-of-08.json"]
        for name in others:
            (out / name).write_text("x")
        convert(path, node="2/3", existing=Existing.OVERWRITE)
        assert set(others) < contents(out).keys()

    @pytest.mark.parametrize("existing", list(Existing))
    @pytest.mark.parametrize(
        ("override", "nodes", "told"),
        [
            ("objects.empty=keep", 3, 'objects.empty was "skip" and is "keep"'),
            ("output.shard_size=2 images", 3, 'output.shard_size was "1 images" and is "2 images"'),
            ("run.workers=1", 4, "of 3 nodes, and not of 4"),
        ],
    )
    def test_a_share_of_another_run(self, path, out, existing, override, nodes, told):
        convert(path, node="1/3")
        before = contents(out)
        with pytest.raises(OutputError, match=f"node-1-of-3.json, which is of another run: {told}"):
            convert(load_config(path, [override]), node=f"2/{nodes}", existing=existing)
        assert contents(out) == before

    def test_a_run_without_nodes_goes_on_with_no_share(self, path, out):
        convert(path, node="1/3")
        with pytest.raises(OutputError, match="holds shares of nodes already; choose another --output, or give"):
            convert(path)
        with pytest.raises(OutputError, match="nodes have written there, whose shares are put together by"):
            convert(path, existing=Existing.RESUME)

    def test_a_run_without_nodes_replaces_all_if_it_is_to(self, path, out):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 3)
        convert(path, existing=Existing.OVERWRITE)
        assert contents(out) == expected


class TestResume:
    def test_goes_on(self, path, out):
        run_nodes(path, out, 2)
        expected = contents(out)
        for name in ("node-1-of-2.json", "train-00002-of-00007.json", "train-00003-of-00007.json"):
            (out / name).unlink()
        (out / "unfinished-1-of-2.json").write_bytes(expected["node-1-of-2.json"])
        (out / "train-00004-of-00007.tfrecord.partial").write_bytes(b"half")
        kept = (out / "train-00000-of-00007.tfrecord").stat().st_mtime_ns
        convert(path, node="1/2", existing=Existing.RESUME)
        del expected["train-00003-of-00007.json"]
        assert contents(out) == expected
        assert (out / "train-00000-of-00007.tfrecord").stat().st_mtime_ns == kept

    def test_begins_where_there_is_nothing(self, path, out):
        convert(path, node="2/3", existing=Existing.RESUME)
        assert shards_in(out) == [1, 4]

    def test_of_a_share_that_is_done(self, path, out):
        run_nodes(path, out, 3)
        before = contents(out)
        run_nodes(path, out, 3, existing=Existing.RESUME)
        assert contents(out) == before

    def test_not_with_another_configuration(self, path, out):
        convert(path, node="2/3")
        before = contents(out)
        with pytest.raises(OutputError, match=r'share of node 2/3 cannot be .* objects.empty was "skip" and is "keep"'):
            convert(load_config(path, ["objects.empty=keep"]), node="2/3", existing=Existing.RESUME)
        assert contents(out) == before

    def test_not_without_its_note(self, path, out):
        convert(path, node="2/3")
        (out / "node-2-of-3.json").unlink()
        with pytest.raises(OutputError, match="nothing there says what it was made from; give --overwrite"):
            convert(path, node="2/3", existing=Existing.RESUME)
        convert(path, node="2/3", existing=Existing.OVERWRITE)
        assert shards_in(out) == [1, 4]

    @pytest.mark.parametrize("note", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"node": {"number": 4, "count": 3}}'])
    def test_nor_beside_one_that_cannot_be_read(self, path, out, note):
        convert(path, node="2/3")
        (out / "node-2-of-3.json").write_bytes(note)
        with pytest.raises(OutputError, match=r"node-2-of-3\.json: cannot be read; remove it"):
            convert(path, node="2/3", existing=Existing.RESUME)

    def test_what_has_begun_again_is_not_done(self, tmp_path, out):
        """A share that was done and lacks a shard since is not marked as done while that is made."""
        path = script(tmp_path, PICTURES, output=ONE_EACH, **SKIP)
        run_nodes(path, out, 3)
        (out / "train-00004-of-00007.json").unlink()

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(path, node="2/3", existing=Existing.RESUME, on_progress=stop)
        assert "node-2-of-3.json" not in contents(out)


class TestLock:
    def test_the_same_node_twice(self, path, out):
        with reserved(out, Node(2, 3)), pytest.raises(OutputError, match="node 2/3 is writing there; wait for it"):
            convert(path, node="2/3")

    def test_another_node(self, path, out):
        with reserved(out, Node(1, 3)):
            convert(path, node="2/3")
        assert shards_in(out) == [1, 4]

    def test_a_run_without_nodes(self, path, out):
        with reserved(out, Node(1, 3)), pytest.raises(OutputError, match="another run is writing there"):
            convert(path)
        with reserved(out), pytest.raises(OutputError, match="another run is writing there"):
            convert(path, node="2/3")

    def test_a_crash_does_not_leave_it_behind(self, tmp_path):
        code = (
            "import os, pathlib\n"
            "from maskflow_convert.nodes import Node\n"
            "from maskflow_convert.output import reserved\n"
            f"with reserved(pathlib.Path({str(tmp_path)!r}), Node(2, 3)):\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        assert [each.name for each in tmp_path.iterdir()] == ["node-2-of-3.lock"]
        with reserved(tmp_path, Node(2, 3)):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_of_two_that_wait_for_it_one_gets_it(self, tmp_path):
        """Each takes the file away when it is done, and makes it anew when it begins: only one may be in at a time."""
        code = (
            "import pathlib, sys\n"
            "from maskflow_convert.errors import OutputError\n"
            "from maskflow_convert.nodes import Node\n"
            "from maskflow_convert.output import reserved\n"
            f"out, inside = pathlib.Path({str(tmp_path / 'out')!r}), pathlib.Path({str(tmp_path / 'inside')!r})\n"
            "entered = 0\n"
            "while entered < 200:\n"
            "    try:\n"
            "        with reserved(out, Node(2, 3)):\n"
            "            inside.open('x').close()\n"
            "            entered += 1\n"
            "            inside.unlink()\n"
            "    except OutputError:\n"
            "        pass\n"
        )
        both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
        assert [(each.communicate(timeout=120)[1], each.returncode) for each in both] == [("", 0), ("", 0)]
