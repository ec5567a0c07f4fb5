"""`convert --node` and `merge` as a user meets them: what is printed where, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.shares import contents
from maskflow_convert.cli import main

Run = Callable[..., tuple[int, str, str]]

SHAPES = "sources: [{adapter: shapes, count: 6}]\noutput: {directory: out, shard_size: 1 images}\n"
MANY = SHAPES.replace("6", "30")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch) -> Run:
    """Run a command in this process, beside a data set of six images: its exit code, output and messages."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(SHAPES)

    def run(*arguments: Any) -> tuple[int, str, str]:
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def test_a_node_tells_its_share(run):
    code, out, err = run("convert", "c.yaml", "--node", "2/4")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:2] == ["train", "2"]
    assert "\nNode 2/4 has 2 shards: train-00001-of-00006, train-00005-of-00006.\nWrote " in out
    assert out.endswith("When all nodes are done, `maskflow-convert merge` makes a data set of their shares.\n")


def test_a_rehearsal_tells_it_too(run):
    code, out, err = run("convert", "c.yaml", "--node", "2/4", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:2] == ["train", "2"]
    assert out.endswith(
        "\nNode 2/4 has 2 shards: train-00001-of-00006, train-00005-of-00006.\n"
        "Nothing was written; sizes are estimates.\n"
    )
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("node", "told"), [("7/8", "Node 7/8 has 0 shards."), ("1/6", "has 1 shard: train-00000-of-00006.")]
)
def test_few_or_none(run, node, told):
    code, out, err = run("convert", "c.yaml", "--node", node, "--dry-run")
    assert (code, err) == (0, "")
    assert told in out


def test_many_shards_are_not_all_told(run):
    Path("c.yaml").write_text(MANY)
    _, out, _ = run("convert", "c.yaml", "--node", "1/2", "--dry-run")
    assert "Node 1/2 has 15 shards: train-00000-of-00030, train-00002-of-00030," in out
    assert ", train-00018-of-00030 and so on.\n" in out


@pytest.mark.parametrize("node", ["0/8", "9/8", "2", "two of eight"])
def test_no_node(run, node):
    code, out, err = run("convert", "c.yaml", "--node", node)
    assert (code, out) == (2, "")
    assert "argument --node: " in err
    assert "write I/N, as in 2/8 for the second of eight" in err


def test_merged(run):
    assert run("convert", "c.yaml")[0] == 0
    expected = contents(Path("out"))
    for number in (1, 2):
        assert run("convert", "c.yaml", "--node", f"{number}/2", "--output", "shared")[0] == 0
    code, out, err = run("merge", "shared", "--output", "merged")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    written = json.loads(expected["dataset.json"])["splits"]["train"]
    assert rows[1][:5] == ["train", "6", "0", str(written["objects_written"]), "0"]
    assert f"Wrote {Path('merged').absolute()} in " in out
    assert f"Open {Path('merged').absolute()}/index.html in a browser" in out
    merged = contents(Path("merged"))
    assert merged.pop("config.yaml") != expected.pop("config.yaml")
    assert merged == expected
    again = [run("merge", "shared")[1] for _ in range(2)]
    assert [table.partition("\nWrote")[0] for table in again] == [out.partition("\nWrote")[0]] * 2


def test_missing(run):
    assert run("convert", "c.yaml", "--node", "1/2")[0] == 0
    code, out, err = run("merge", "out")
    assert (code, out) == (5, "")
    assert err == (
        f"maskflow-convert: {Path('out').absolute()}: the shares of 1 of 2 nodes are not done\n"
        "  node 2/2 was not run; missing: train-00001-of-00006, train-00003-of-00006, train-00005-of-00006\n"
        "run these nodes with --resume, then merge again\n"
    )


def test_several_and_nowhere_to_write(run):
    for number in (1, 2):
        assert run("convert", "c.yaml", "--node", f"{number}/2", "--output", f"part-{number}")[0] == 0
    code, out, err = run("merge", "part-1", "part-2")
    assert (code, out) == (2, "")
    assert "name another one to write to, by --output" in err


def test_nothing_is_there(run):
    code, out, err = run("merge", "out")
    assert (code, out) == (5, "")
    assert "out: there is no such directory" in err
    assert run("merge")[0] == 2


def test_an_error_of_the_whole(run):
    """Six images have far fewer than ten objects of some class."""
    few = ("--set", "issues.class-few-objects=error", "--set", "sources[0].count=1")
    assert run("convert", "c.yaml", "--node", "1/1", *few)[0] == 0
    code, out, err = run("merge", "out")
    assert (code, out) == (1, "")
    assert "[class-few-objects]" in err
    assert not Path("out/dataset.json").exists()


def test_the_whole_of_what_a_node_has_written_is_no_data_set(run):
    assert run("convert", "c.yaml", "--node", "1/2")[0] == 0
    code, _, err = run("inspect", "out")
    assert code == 4
    assert "the folder holds no finished data set" in err
