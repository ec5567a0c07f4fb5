"""The shares of nodes, put together, are what a single run writes, in every file of the output directory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.plugins.scripted import script
from core.shares import contents, run_apart, run_nodes, single_run
from maskflow_convert import Report, convert, load_config, merge
from maskflow_convert.errors import ConfigError, IssueError, OutputError
from maskflow_convert.nodes import Node
from maskflow_convert.output import Existing, reserved
from maskflow_convert.parts import Part
from maskflow_convert.plan import PlannedSplit
from maskflow_convert.shares import Shares

PICTURES = [{"key": f"{n}.png", "things": ["good", "far"][: 1 + n % 2]} for n in range(7)]
SKIP = {"on_error": "skip-object"}
ONE_EACH = {"shard_size": "1 images"}

MANY = [
    {"key": f"{place}/{n}.png", "things": things, "split": split, **more}
    for place in "ab"
    for n, (things, split, more) in enumerate(
        [
            (["good", "good"], "train", {}),
            (["far", "good", "crowd"], "train", {}),
            (["good"], "val", {"fault": "unreadable"}),
            (["box", "line", "good"], "val", {}),
            ([], "test", {"fault": "broken"}),
            (["outside", "empty", "stranger"], "train", {}),
        ]
    )
]
"""Twelve images of three splits, of which there is every kind of fault; six have the name of another."""

LOST = {"source": {"issues": ["annotation-orphaned", "annotation-orphaned"]}, "on_error": "skip-image"}
"""Two objects are lost before they have a split."""


@pytest.fixture
def path(tmp_path) -> Path:
    """A configuration of seven shards of an image each; every second one loses an object."""
    return script(tmp_path, PICTURES, output=ONE_EACH, **SKIP)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def without_extent(report: Report) -> Report:
    """A report without what is not kept beside a data set: how large objects and images are."""
    report.areas.clear()
    report.images = Report().images
    return report


class TestSameAsOneRun:
    @pytest.mark.parametrize("nodes", [1, 2, 5, 20])
    @pytest.mark.parametrize(
        "sections", [{}, LOST, {**LOST, "on_error": "skip-object"}], ids=["few", "images", "objects"]
    )
    def test_in_one_directory(self, tmp_path, out, nodes, sections):
        path = script(tmp_path, MANY if sections else PICTURES[::2], output=ONE_EACH, **sections)
        expected, report = single_run(path, out)
        run_nodes(path, out, nodes)
        assert merge(out) == report
        assert contents(out) == expected

    @pytest.mark.parametrize("nodes", [2, 5])
    def test_in_several(self, tmp_path, out, nodes):
        path = script(tmp_path, MANY, output=ONE_EACH, **LOST)
        expected, report = single_run(path, out)
        parts = run_apart(path, tmp_path, nodes)
        before = [contents(part) for part in parts]
        assert merge(list(reversed(parts)), output=out) == report
        assert contents(out) == expected
        assert [contents(part) for part in parts] == before

    def test_what_is_found_is_written_or_dropped(self, tmp_path, out):
        """By hand: of each place, images 2 and 4 are lost, and objects as below; two objects have no split."""
        path = script(tmp_path, MANY, output=ONE_EACH, **{**LOST, "on_error": "skip-object"})
        run_nodes(path, out, 3)
        total = merge(out).total
        assert (total.images_found, total.images_written) == (12, 8)
        assert total.images_dropped == {"image-unreadable": 2, "record-broken": 2}
        lost = {"polygon-too-far": 2, "object-crowd": 2, "object-lost-with-image": 2, "object-box-only": 2}
        lost |= {"polygon-too-few-points": 2, "mask-empty": 2, "class-unknown": 2, "annotation-orphaned": 2}
        assert total.objects_dropped == lost
        assert (total.objects_found, total.objects_written) == (26, 10)
        assert sum(lost.values()) == 26 - 10

    def test_the_images_of_no_number(self, tmp_path, out):
        """Of two sources, one of which has ids of its own: the manifest lists those of the other."""
        named = [{"key": f"{n}.png", "id": 100 + n} for n in range(3)]
        path = script(tmp_path, named, output=ONE_EACH)
        tree = json.loads(path.read_text())
        tree["sources"].append({**tree["sources"][0], "pictures": [{"key": f"other/{n}.png"} for n in range(3)]})
        path.write_text(json.dumps(tree))
        expected, _ = single_run(path, out)
        run_nodes(path, out, 2)
        merge(out)
        assert contents(out) == expected
        assert [each["source"] for each in json.loads(expected["dataset.json"])["numbered_images"]] == [1, 1, 1]

    def test_names_that_are_no_text(self, tmp_path, out):
        """Names of files are bytes; they come as surrogates, in the list of images as in messages."""
        keys = [os.fsdecode(b"\xff.png"), os.fsdecode(b"a/\xff.png"), "é.png"]
        pictures = [{"key": key, "things": ["good", "far"]} for key in keys]
        path = script(tmp_path, pictures, output=ONE_EACH, **SKIP)
        expected, _ = single_run(path, out)
        assert b"\xff" in expected["dataset.json"]
        run_nodes(path, out, 2)
        merge(out)
        assert contents(out) == expected

    def test_no_image_at_all(self, tmp_path, out):
        path = script(tmp_path, [])
        expected, report = single_run(path, out)
        run_nodes(path, out, 2)
        assert merge(out) == report
        assert contents(out) == expected

    def test_no_card(self, tmp_path, out):
        path = script(tmp_path, PICTURES, output={**ONE_EACH, "card": False}, **SKIP)
        expected, _ = single_run(path, out)
        run_nodes(path, out, 2)
        merge(out)
        assert contents(out) == expected
        assert "README.md" not in expected

    def test_sources_of_which_a_card_cannot_tell(self, path, out, monkeypatch, caplog):
        """The data set is whole without a card, as after a single run."""

        def fail(_: object) -> None:
            raise ZeroDivisionError("oops")

        expected, _ = single_run(path, out)
        monkeypatch.setattr("maskflow_convert.pipeline.sources_of", fail)
        run_nodes(path, out, 2)
        merge(out)
        assert "will have no card, as its sources cannot be told of: ZeroDivisionError: oops" in caplog.text
        card = {name for name in expected if name.endswith((".md", ".html", ".jpg"))}
        assert contents(out) == {name: content for name, content in expected.items() if name not in card}

    def test_somebody_elses_readme_is_kept(self, path, out, caplog):
        out.mkdir()
        (out / "README.md").write_text("mine")
        run_nodes(path, out, 2)
        merge(out)
        assert (out / "README.md").read_text() == "mine"
        assert "is somebody else's" in caplog.text

    def test_nothing_of_the_sources_is_needed(self, tmp_path, out):
        """Neither they, nor the code of the adapter."""
        folder = tmp_path / "data"
        folder.mkdir()
        path = script(folder, MANY, output=ONE_EACH, **LOST)
        expected, _ = single_run(path, out)
        parts = run_apart(path, tmp_path, 3)
        shutil.rmtree(folder)
        merge(parts, output=out)
        assert contents(out) == expected

    def test_the_parts_lie_where_the_annotations_are(self, tmp_path, out):
        """What nodes write is no change of what they read."""
        path = script(tmp_path, PICTURES[::2], source={"folder": str(tmp_path)}, output=ONE_EACH, on_error="skip-image")
        expected, _ = single_run(path, out)
        merge(run_apart(path, tmp_path, 3), output=out)
        assert contents(out) == expected

    def test_a_run_goes_on_with_it(self, path, out):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 2)
        merge(out)
        (out / "train-00003-of-00007.tfrecord").unlink()
        convert(load_config(path), existing=Existing.RESUME)
        assert contents(out) == expected

    def test_progress(self, path, out):
        run_nodes(path, out, 2)
        seen = []
        merge(out, on_progress=lambda done, total: seen.append((done, total)))
        assert seen == [(done, 7) for done in range(1, 8)]


class TestTheWhole:
    """What is seen only over all images is found now, and as by a single run."""

    @pytest.mark.parametrize(
        ("code", "pictures"),
        [
            ("image-content-duplicate", [{"key": "0.png"}, {"key": "1.png"}]),
            ("class-few-objects", PICTURES[::2]),
            ("image-in-two-splits", [{"key": "0.png", "split": "train"}, {"key": "1.png", "split": "val"}]),
        ],
    )
    def test_is_an_error(self, tmp_path, out, code, pictures):
        path = script(tmp_path, pictures, output=ONE_EACH, issues={code: "error"})
        with pytest.raises(IssueError) as single:
            single_run(path, out)
        shutil.rmtree(out)
        run_nodes(path, out, 2)
        before = contents(out)
        with pytest.raises(IssueError) as merged:
            merge(out)
        assert str(merged.value) == str(single.value)
        assert merged.value.issue.code == code
        assert contents(out) == before

    def test_is_none_when_it_is_right(self, tmp_path, out):
        """Twelve objects are enough, of which no node has more than four."""
        pictures = [{"key": f"{n}.png", "things": ["good"]} for n in range(12)]
        path = script(tmp_path, pictures, output=ONE_EACH, issues={"class-few-objects": "error"})
        run_nodes(path, out, 3)
        assert merge(out).total.objects_written == 12


class TestMissing:
    def test_a_node_that_was_not_run(self, path, out):
        run_nodes(path, out, 3, only=[1, 3])
        before = contents(out)
        with pytest.raises(OutputError) as caught:
            merge(out)
        assert str(caught.value) == (
            f"{out}: the shares of 1 of 3 nodes are not done\n"
            "  node 2/3 was not run; missing: train-00001-of-00007, train-00004-of-00007\n"
            "run these nodes with --resume, then merge again"
        )
        assert contents(out) == before

    def test_the_first_node_too(self, path, out):
        run_nodes(path, out, 3, only=[2])
        with pytest.raises(OutputError) as caught:
            merge(out)
        assert str(caught.value).splitlines()[1:-1] == [
            "  node 1/3 was not run; missing: train-00000-of-00007, train-00003-of-00007, train-00006-of-00007",
            "  node 3/3 was not run; missing: train-00002-of-00007, train-00005-of-00007",
        ]

    def test_one_that_was_stopped(self, path, out):
        def stop(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        run_nodes(path, out, 3, only=[1, 3])
        with pytest.raises(KeyboardInterrupt):
            convert(path, node="2/3", on_progress=stop)
        with pytest.raises(OutputError, match="\n  node 2/3 was stopped; missing: train-00004-of-00007\n"):
            merge(out)
        expected, _ = single_run(path, out.with_name("other"))
        convert(path, node="2/3", existing=Existing.RESUME)
        merge(out)
        del expected["config.yaml"]
        assert contents(out).items() >= expected.items()

    def test_one_that_was_stopped_at_the_end(self, path, out):
        run_nodes(path, out, 3)
        (out / "node-2-of-3.json").rename(out / "unfinished-2-of-3.json")
        with pytest.raises(OutputError, match="\n  node 2/3 was stopped; no shard of it is missing\n"):
            merge(out)

    def test_one_whose_share_is_empty(self, tmp_path, out):
        path = script(tmp_path, PICTURES[:2], output=ONE_EACH, **SKIP)
        run_nodes(path, out, 3, only=[1, 2])
        with pytest.raises(OutputError, match="\n  node 3/3 was not run; no shard of it is missing\n"):
            merge(out)

    @pytest.mark.parametrize("end", ["tfrecord", "json"])
    def test_a_shard_that_somebody_has_removed(self, path, out, end):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 3)
        (out / f"train-00004-of-00007.{end}").unlink()
        with pytest.raises(OutputError, match="\n  node 2/3 is done; missing: train-00004-of-00007\n"):
            merge(out)
        convert(path, node="2/3", existing=Existing.RESUME)
        merge(out)
        assert contents(out) == expected

    def test_of_several_directories_one_is_not_named(self, path, tmp_path, out):
        parts = run_apart(path, tmp_path, 3)
        with pytest.raises(OutputError, match="\n  node 3/3 was not run; missing: train-00002-of-00007, train-00005"):
            merge(parts[:2], output=out)
        assert list(out.iterdir()) == []

    def test_many_names_are_not_all_told(self, tmp_path, out):
        path = script(tmp_path, [{"key": f"{n}.png"} for n in range(50)], output=ONE_EACH)
        run_nodes(path, out, 2, only=[2])
        with pytest.raises(OutputError, match=r"train-00036-of-00050, train-00038-of-00050 and 5 more\n"):
            merge(out)

    def test_what_the_first_node_has_left(self, path, out):
        run_nodes(path, out, 3)
        (out / "node-1-of-3.jsonl").unlink()
        with pytest.raises(OutputError, match=r"node-1-of-3\.jsonl: cannot be read; have its node make it anew"):
            merge(out)
        expected, _ = single_run(path, out.with_name("other"))
        convert(path, node="1/3", existing=Existing.RESUME)
        merge(out)
        assert contents(out)["dataset.json"] == expected["dataset.json"]

    @pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\n", b"[" * 100_000, b"[]\n"])
    def test_or_what_is_none(self, path, out, content):
        run_nodes(path, out, 3)
        (out / "node-1-of-3.jsonl").write_bytes(content)
        with pytest.raises(OutputError, match=r"node-1-of-3\.jsonl: cannot be read"):
            merge(out)

    @pytest.mark.parametrize("line", [b"{\n", b"[]\n", b'{"issue": {}}\n', b'{"image": {"id": "a"}}\n'])
    def test_or_whose_lists_are_none(self, path, out, line):
        run_nodes(path, out, 3)
        with (out / "node-1-of-3.jsonl").open("ab") as file:
            file.write(line)
        with pytest.raises(OutputError, match=r"node-1-of-3\.jsonl: cannot be read"):
            merge(out)
        assert not {"dataset.json", "dataset.json.partial", "issues.jsonl.partial"} & contents(out).keys()

    def test_a_directory_that_no_node_has_written_to(self, path, tmp_path, out):
        with pytest.raises(OutputError, match="out: there is no such directory"):
            merge(out)
        assert not out.exists()
        out.mkdir()
        with pytest.raises(
            OutputError, match="out: nodes have written nothing there; a node is run by `convert CONFIG --nod"
        ):
            merge(out)


class TestDamaged:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda file: file.write_bytes(file.read_bytes()[:-1]),
            lambda file: file.with_suffix(".json").write_text("{"),
            lambda file: shutil.copy(file.with_name("train-00002-of-00007.json"), file.with_suffix(".json")),
        ],
        ids=["a shorter shard", "half a report", "another report"],
    )
    def test_is_named_and_made_anew(self, path, out, damage):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 3)
        before = contents(out)
        damage(out / "train-00004-of-00007.tfrecord")
        damage(out / "train-00006-of-00007.tfrecord")
        with pytest.raises(OutputError) as caught:
            merge(out)
        assert str(caught.value).splitlines()[:-1] == [
            f"{out}: 2 of 7 shards cannot be taken",
            "  train-00004-of-00007 of node 2/3: its records or its report are damaged",
            "  train-00006-of-00007 of node 1/3: its records or its report are damaged",
        ]
        assert contents(out).keys() == before.keys()
        run_nodes(path, out, 3, existing=Existing.RESUME)
        merge(out)
        assert contents(out) == expected


class TestTwice:
    def test_the_same_bytes_are_no_matter(self, path, tmp_path, out):
        expected, _ = single_run(path, out)
        parts = [*run_apart(path, tmp_path, 2), *run_apart(path, tmp_path / "again", 2)]
        merge(parts, output=out)
        assert contents(out) == expected

    def test_of_two_the_whole_one_is_taken(self, path, tmp_path, out):
        expected, _ = single_run(path, out)
        parts = [*run_apart(path, tmp_path, 2), *run_apart(path, tmp_path / "again", 2)]
        (parts[0] / "train-00002-of-00007.tfrecord").write_bytes(b"half")
        merge(parts, output=out)
        assert contents(out) == expected

    def test_others_are(self, path, tmp_path, out):
        parts = [*run_apart(path, tmp_path, 2), *run_apart(path, tmp_path / "again", 2)]
        report = parts[2] / "train-00002-of-00007.json"
        report.write_text(report.read_text().replace('"sha256": "', '"sha256": "0'))
        with pytest.raises(OutputError) as caught:
            merge(parts, output=out)
        assert str(caught.value).splitlines()[:-1] == [
            f"{', '.join(map(str, parts))}: 1 of 7 shards cannot be taken",
            f"  train-00002-of-00007 of node 1/2: differs between {parts[0]} and {parts[2]}",
        ]

    def test_a_shard_of_something_else(self, path, out):
        run_nodes(path, out, 2)
        shutil.copy(out / "train-00000-of-00007.tfrecord", out / "train-00000-of-00008.tfrecord")
        with pytest.raises(OutputError, match=r"train-00000-of-00008\.tfrecord: does not belong to this data set"):
            merge(out)


class TestOfDifferentRuns:
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("objects.empty=keep", 'objects.empty was "skip" and is "keep"'),
            ("classes.names=[disc]", r'classes.names was null and is \["disc"\]'),
            ("output.compression=gzip", 'output.compression was "none" and is "gzip"'),
        ],
    )
    def test_is_told(self, path, tmp_path, out, override, told):
        parts = run_apart(path, tmp_path, 2)
        run_nodes(path, parts[1], 2, override, only=[2], existing=Existing.OVERWRITE)
        with pytest.raises(OutputError, match=rf"1-of-2\.json and .*2-of-2\.json are of different runs: {told}"):
            merge(parts, output=out)
        assert list(out.iterdir()) == []

    def test_of_another_number_of_nodes(self, path, tmp_path, out):
        parts = [run_apart(path, tmp_path, 2)[0], run_apart(path, tmp_path / "more", 3)[1]]
        with pytest.raises(OutputError, match="are of different runs: of 2 nodes, and not of 3"):
            merge(parts, output=out)

    def test_of_other_files(self, tmp_path, out):
        folder = tmp_path / "images"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        path = script(tmp_path, PICTURES, source={"folder": str(folder)}, output=ONE_EACH, on_error="skip-image")
        parts = [tmp_path / "1", tmp_path / "2"]
        run_nodes(path, parts[0], 2, only=[1])
        (folder / "a.txt").write_text("longer")
        run_nodes(path, parts[1], 2, only=[2])
        with pytest.raises(OutputError, match=r"are of different runs: .*images had 1 bytes and has 6"):
            merge(parts, output=out)

    def test_how_the_work_was_done_does_not_matter(self, path, tmp_path, out):
        expected, _ = single_run(path, out)
        parts = run_apart(path, tmp_path, 2)
        run_nodes(path, parts[1], 2, "run.executor=processes", only=[2], existing=Existing.OVERWRITE)
        merge(parts, output=out)
        assert contents(out) == expected


class TestWhereTo:
    def test_several_directories_need_another(self, path, tmp_path):
        parts = run_apart(path, tmp_path, 2)
        with pytest.raises(ConfigError, match="in several directories; name another one to write to, by --output"):
            merge(parts)
        with pytest.raises(ConfigError, match="part-2: holds one of several shares; choose another --output"):
            merge(parts, output=tmp_path / "x/../part-2")

    def test_none_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match="there is nothing to merge"):
            merge([], output=tmp_path)

    def test_the_directory_itself(self, path, out):
        expected, _ = single_run(path, out)
        run_nodes(path, out, 2)
        merge([out, str(out), out / "../out"], output=out)
        assert contents(out) == expected

    def test_one_directory_to_another(self, path, tmp_path, out):
        expected, _ = single_run(path, out)
        run_nodes(path, tmp_path / "shared", 2)
        merge(tmp_path / "shared", output=out)
        assert contents(out) == expected

    def test_shards_are_links(self, path, tmp_path, out):
        """They take no room twice."""
        parts = run_apart(path, tmp_path, 2)
        merge(parts, output=out)
        assert (out / "train-00001-of-00007.tfrecord").samefile(parts[1] / "train-00001-of-00007.tfrecord")

    def test_or_copies_where_there_are_no_links(self, path, tmp_path, out, monkeypatch):
        def refuse(*_: object, **__: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        expected, _ = single_run(path, out)
        parts = run_apart(path, tmp_path, 2)
        monkeypatch.setattr(os, "link", refuse)
        merge(parts, output=out)
        assert contents(out) == expected
        assert (out / "train-00001-of-00007.tfrecord").stat().st_nlink == 1

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            (["dataset.json"], "is not a manifest of this version"),
            (["train-00000-of-00007.tfrecord"], "nothing there says what it was made from; choose another --output"),
            (["node-1-of-2.json"], "nodes have written there"),
            (["issues.jsonl"], "holds issues.jsonl, and no data set that it belongs to"),
        ],
    )
    def test_what_is_there_stays(self, path, tmp_path, out, files, told):
        parts = run_apart(path, tmp_path, 2)
        out.mkdir()
        for name in files:
            (out / name).write_text("{}")
        with pytest.raises(OutputError, match=told):
            merge(parts, output=out)
        assert contents(out) == dict.fromkeys(files, b"{}")

    def test_a_data_set_of_another_configuration_stays(self, path, tmp_path, out):
        convert(load_config(path, ["objects.empty=keep"]))
        before = contents(out)
        with pytest.raises(OutputError, match=r"finished, and of another configuration.*; choose another --output"):
            merge(run_apart(path, tmp_path, 2), output=out)
        assert contents(out) == before

    def test_a_file_that_cannot_be_written(self, path, tmp_path, out):
        """A folder stands where its partial file would be."""
        parts = run_apart(path, tmp_path, 2)
        (out / "train-00001-of-00007.tfrecord.partial").mkdir(parents=True)
        with pytest.raises(OutputError, match="cannot be used as output directory: Is a directory"):
            merge(parts, output=out)

    def test_not_while_a_node_runs(self, path, out):
        run_nodes(path, out, 2)
        with reserved(out, Node(1, 2)), pytest.raises(OutputError, match="another run is writing there"):
            merge(out)


class Stopped(BaseException):
    """Raised where a process could be killed."""


@contextmanager
def stopped_before(change: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stop before one of the changes of the file system: a file that is renamed, linked or removed."""
    made: list[str] = []

    def watched(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            if len(made) == change:
                raise Stopped
            made.append(name)
            return original(*arguments, **options)

        patch.setattr(owner, name, step)

    with monkeypatch.context() as patch:
        watched(Path, "replace")
        watched(os, "link")
        watched(Path, "unlink")
        yield made


class TestAgain:
    @pytest.mark.parametrize("apart", [False, True], ids=["one directory", "several"])
    def test_stopped_at_any_moment_it_goes_on(self, tmp_path, out, monkeypatch, apart):
        """At every change of the file system in turn; what a killed process does not do, it does not do here either."""
        path = script(tmp_path, MANY[:4], output=ONE_EACH, **LOST)
        expected, report = single_run(path, out)
        parts = run_apart(path, tmp_path, 2) if apart else [tmp_path / "shared"]
        if not apart:
            run_nodes(path, out, 2)
            out.rename(parts[0])
        for change in range(1000):
            shutil.rmtree(out, ignore_errors=True)
            if not apart:
                shutil.copytree(parts[0], out)
            where = parts if apart else [out]
            stopped = False
            with stopped_before(change, monkeypatch) as made:
                try:
                    merge(where, output=out)
                except Stopped:
                    stopped = True
            assert without_extent(merge(where, output=out)) == without_extent(report), made
            assert contents(out) == expected, made
            if not stopped:
                break
        assert change > 10

    def test_it_is_done_already(self, tmp_path, out):
        path = script(tmp_path, MANY, output=ONE_EACH, **LOST)
        expected, report = single_run(path, out)
        run_nodes(path, out, 3)
        merge(out)
        times = {file: file.stat().st_mtime_ns for file in out.iterdir()}
        assert merge(out) == without_extent(report)
        assert contents(out) == expected
        assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == times

    def test_from_several_it_is_done_again(self, path, tmp_path, out):
        expected, report = single_run(path, out)
        parts = run_apart(path, tmp_path, 3)
        for _ in range(2):
            assert merge(parts, output=out) == report
            assert contents(out) == expected

    def test_what_is_done_is_no_longer_whole(self, path, out):
        run_nodes(path, out, 3)
        merge(out)
        (out / "train-00003-of-00007.tfrecord").write_bytes(b"half")
        with pytest.raises(OutputError, match=r"finished data set, of which train-00003-of-00007\.tfrecord is missing"):
            merge(out)

    def test_a_share_of_another_run_beside_it(self, path, tmp_path, out):
        run_nodes(path, out, 3)
        merge(out)
        run_nodes(path, tmp_path / "more", 3, "objects.empty=keep", only=[1])
        shutil.copy(tmp_path / "more/node-1-of-3.json", out)
        with pytest.raises(OutputError, match="holds a finished data set, and shares of another"):
            merge(out)

    def test_nothing_of_a_stopped_node_is_left(self, path, out):
        """It was killed, and begun again."""
        expected, _ = single_run(path, out)
        run_nodes(path, out, 3)
        for name in ("node-2-of-3.lock", "unfinished-2-of-3.json.partial", "train-00001-of-00007.tfrecord.partial"):
            (out / name).write_text("x")
        merge(out)
        assert contents(out) == expected


class Watched(dict[str, int]):
    """The files of a folder, which count how often one looks at them: each that is gone through is a look."""

    looks = 0

    def _look(self, count: int) -> None:
        Watched.looks += count

    def __iter__(self) -> Iterator[str]:
        self._look(len(self))
        return super().__iter__()

    def keys(self) -> Any:
        self._look(1)
        return super().keys()

    def __contains__(self, name: object) -> bool:
        self._look(1)
        return super().__contains__(name)


def test_a_shard_is_not_looked_for_in_the_folder_of_every_node() -> None:
    """A thousand nodes, each with a folder of its own, would make 100 million looks of 100,000 shards."""
    count = 40
    plan = [PlannedSplit("train", 2 * count, 2 * count)]
    part = Part.model_construct(node=Node(1, count), plan=plan)
    names = part.shards
    folders = {
        Path(str(node.number)): Watched(
            {f"{name}.{end}": 1 for name in node.share(names) for end in ("json", "tfrecord")}
        )
        for node in (Node(number, count) for number in range(1, count + 1))
    }
    folders[Path("1")] |= {f"{names[1]}.json": 1, f"{names[1]}.tfrecord": 1, f"{names[2]}.tfrecord": 1}
    homes = Shares(folders, [(Path("note"), part)])._homes
    assert homes == {
        name: [Path("1"), Path("2")] if number == 1 else [Path(str(number % count + 1))]
        for number, name in enumerate(names)
    }
    assert list(homes) == names
    assert Watched.looks <= 2 * sum(map(len, folders.values()))
