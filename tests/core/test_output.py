"""The output directory: never anybody else's files, never half a file."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from core.plugins.scripted import script
from maskflow_convert import Issue, Severity, convert
from maskflow_convert.errors import OutputError
from maskflow_convert.output import (
    CARD,
    PREVIEW,
    Existing,
    IssueList,
    clear,
    is_ours,
    name_of_picture,
    replace_text,
    signed,
    sweep,
)

BESIDE = ["issues.jsonl", "config.yaml"]

OURS = [
    "dataset.json",
    "train-00000-of-00004.tfrecord",
    "train-00000-of-00004.json",
    "train-00000-of-00004.tfrecord.partial",
    "train-00000-of-00004.tfrecord.0123abcd.partial",
    "train-00000-of-00004.json.0123abcd.partial",
    "dataset.json.partial",
    "issues.jsonl.partial",
    "index.html.partial",
    "unfinished.json",
]

FOREIGN = [
    "notes.txt",
    "train.tfrecord",
    "instances.json",
    "my-dataset.json",
    "dataset.json.bak",
    "train-0-of-4.tfrecord",
    "train-00000-of-00004.tfrecord.gz",
    "train-00000-of-00004.tfrecord.mine.partial",
    "train-00000-of-00004.txt",
    ".hidden",
]


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("x")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestClear:
    @pytest.mark.parametrize("existing", list(Existing))
    def test_foreign_files_stay(self, tmp_path, existing):
        fill(tmp_path, *FOREIGN)
        (tmp_path / "folder").mkdir()
        clear(tmp_path, existing)
        assert names(tmp_path) == sorted([*FOREIGN, "folder"])

    @pytest.mark.parametrize("name", OURS)
    def test_refuses(self, tmp_path, name):
        fill(tmp_path, name)
        what = "holds a data set already" if name == "dataset.json" else "holds an unfinished data set already"
        with pytest.raises(OutputError, match=what) as caught:
            clear(tmp_path, Existing.REFUSE)
        assert "--overwrite" in str(caught.value)
        assert names(tmp_path) == [name]

    @pytest.mark.parametrize("existing", list(Existing))
    @pytest.mark.parametrize("name", BESIDE)
    def test_a_name_that_others_use_too_is_theirs_without_a_data_set(self, tmp_path, name, existing):
        fill(tmp_path, name)
        with pytest.raises(OutputError, match=f"holds {name}, and no data set that it belongs to"):
            clear(tmp_path, existing)
        assert names(tmp_path) == [name]

    def test_what_is_done_is_kept_to_go_on_with(self, tmp_path):
        fill(tmp_path, *OURS, *BESIDE, *FOREIGN)
        clear(tmp_path, Existing.RESUME)
        begun = {name for name in OURS if name.startswith("train") and name.endswith(".partial")}
        assert len(begun) == 3
        assert names(tmp_path) == sorted({*OURS, *BESIDE, *FOREIGN} - begun)

    def test_what_the_dead_have_left_of_some_shards(self, tmp_path):
        fill(tmp_path, *OURS, *BESIDE, *FOREIGN, "val-00000-of-00001.tfrecord.0123abcd.partial")
        sweep(tmp_path, {"train-00000-of-00004"})
        begun = {name for name in OURS if name.startswith("train") and name.endswith(".partial")}
        left = {*OURS, *BESIDE, *FOREIGN, "val-00000-of-00001.tfrecord.0123abcd.partial"} - begun
        assert names(tmp_path) == sorted(left)

    def test_what_makes_it_whole_goes_first(self, tmp_path, monkeypatch):
        """Killed while it clears, a run leaves no manifest of shards that are gone."""
        fill(tmp_path, *OURS)
        gone = []
        monkeypatch.setattr(Path, "unlink", lambda path: gone.append(path.name))
        clear(tmp_path, Existing.OVERWRITE)
        assert gone[0] == "dataset.json"

    def test_removes_ours_only(self, tmp_path):
        fill(tmp_path, *OURS, *BESIDE, *FOREIGN)
        clear(tmp_path, Existing.OVERWRITE)
        assert names(tmp_path) == sorted(FOREIGN)

    def test_links_are_not_followed(self, tmp_path):
        fill(tmp_path, "precious")
        (tmp_path / "out").mkdir()
        (tmp_path / "out/dataset.json").symlink_to(tmp_path / "precious")
        clear(tmp_path / "out", Existing.OVERWRITE)
        assert (tmp_path / "precious").read_text() == "x"
        assert names(tmp_path / "out") == []

    @pytest.mark.parametrize("existing", list(Existing))
    def test_a_file_in_its_place(self, tmp_path, existing):
        fill(tmp_path, "out")
        with pytest.raises(OutputError, match="cannot be used as output directory"):
            clear(tmp_path / "out", existing)
        assert (tmp_path / "out").read_text() == "x"

    def test_a_folder_of_our_name(self, tmp_path):
        (tmp_path / "dataset.json").mkdir()
        with pytest.raises(OutputError, match="cannot be used as output directory"):
            clear(tmp_path, Existing.OVERWRITE)

    def test_a_word_for_refuse(self, tmp_path):
        """From Python one writes `existing="refuse"`; nothing may be lost by that."""
        fill(tmp_path, "dataset.json")
        with pytest.raises(OutputError):
            clear(tmp_path, "refuse")
        assert names(tmp_path) == ["dataset.json"]


class TestCard:
    """A card is ours as long as nobody has changed it; there is no other way to tell by names that all use."""

    def card(self, folder: Path) -> list[str]:
        picture = name_of_picture(b"picture")
        (folder / picture).write_bytes(b"picture")
        for name in ("README.md", "index.html"):
            (folder / name).write_text(signed("text\n", CARD))
        return ["README.md", "index.html", picture]

    def test_goes_with_the_data_set(self, tmp_path):
        self.card(tmp_path)
        fill(tmp_path, *OURS, *FOREIGN)
        clear(tmp_path, Existing.OVERWRITE)
        assert names(tmp_path) == sorted(FOREIGN)

    def test_is_kept_to_go_on_with(self, tmp_path):
        card = self.card(tmp_path)
        clear(tmp_path, Existing.RESUME)
        assert names(tmp_path) == sorted(card)

    @pytest.mark.parametrize("existing", list(Existing))
    def test_of_others_stays(self, tmp_path, existing):
        others = ["README.md", "index.html", "samples-0123456789ab.jpg"]
        fill(tmp_path, *others)
        clear(tmp_path, existing)
        assert names(tmp_path) == sorted(others)

    def test_no_data_set_is_in_the_way(self, tmp_path):
        self.card(tmp_path)
        clear(tmp_path, Existing.REFUSE)
        assert names(tmp_path) == []

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "text\n",
            signed("text\n", PREVIEW),
            signed("text\n", CARD) + "more\n",
            signed("text\n", CARD).replace("text", "test"),
            "more\n" + signed("text\n", CARD),
            signed("text\n", CARD).rstrip(),
            signed("text\n", CARD).replace("\n", "\r\n"),
        ],
    )
    def test_what_is_not_ours(self, tmp_path, content):
        (tmp_path / "README.md").write_bytes(content.encode())
        assert not is_ours(tmp_path / "README.md", CARD)

    @pytest.mark.parametrize("text", ["", "text\n", "<!-- a -->\n", "né\udcff\n"])
    def test_what_is_ours(self, tmp_path, text):
        replace_text(tmp_path / "index.html", signed(text, PREVIEW))
        assert is_ours(tmp_path / "index.html", PREVIEW)
        assert not is_ours(tmp_path / "index.html", CARD)

    def test_by_name(self, tmp_path):
        (tmp_path / "notes.md").write_text(signed("text\n", CARD))
        assert not is_ours(tmp_path / "notes.md", CARD)
        assert not is_ours(tmp_path / "README.md", CARD)

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "README.md")
        assert not is_ours(tmp_path / "README.md", CARD)


class TestConvert:
    def test_refuses_and_overwrites(self, tmp_path):
        path = script(tmp_path, [{"key": f"{n}.png"} for n in range(4)], output={"shard_size": "1 images"})
        convert(path)
        fill(tmp_path / "out", *FOREIGN)
        before = names(tmp_path / "out")
        with pytest.raises(OutputError):
            convert(path)
        assert names(tmp_path / "out") == before
        convert(script(tmp_path, [{"key": "0.png"}]), existing=Existing.OVERWRITE)
        left = [
            "README.md",
            "config.yaml",
            "dataset.json",
            "index.html",
            "issues.jsonl",
            "train-00000-of-00001.json",
            "train-00000-of-00001.tfrecord",
        ]
        assert names(tmp_path / "out") == sorted([*left, *FOREIGN])

    def test_beside_foreign_files(self, tmp_path):
        (tmp_path / "out").mkdir()
        fill(tmp_path / "out", *FOREIGN)
        convert(script(tmp_path, [{"key": "0.png"}]))
        assert set(FOREIGN) < set(names(tmp_path / "out"))

    def test_no_partial_file_is_left(self, tmp_path):
        convert(script(tmp_path, [{"key": "0.png"}]))
        assert not list((tmp_path / "out").glob("*.partial"))

    @pytest.mark.parametrize(
        "name",
        ["train-00000-of-00001.tfrecord", "train-00000-of-00001.json", "issues.jsonl", "config.yaml", "dataset.json"],
    )
    def test_a_file_that_cannot_be_written(self, tmp_path, monkeypatch, name):
        """A folder stands where its partial file would be."""
        path = script(tmp_path, [{"key": "0.png"}])

        def clear_and_block(folder: Path, existing: Existing) -> None:
            clear(folder, existing)
            (folder / f"{name}.partial/in the way").mkdir(parents=True)

        monkeypatch.setattr("maskflow_convert.pipeline.clear", clear_and_block)
        with pytest.raises(OutputError, match=name):
            convert(path)
        assert not (tmp_path / "out" / name).exists()
        assert not (tmp_path / "out/dataset.json").exists()


class TestReplaceText:
    def test_replaces(self, tmp_path):
        (tmp_path / "a.json").write_text("old")
        replace_text(tmp_path / "a.json", "né")
        assert (tmp_path / "a.json").read_bytes() == "né".encode()
        assert names(tmp_path) == ["a.json"]

    def test_keeps_the_old_one_on_failure(self, tmp_path):
        (tmp_path / "a.json").write_text("old")
        (tmp_path / "a.json.partial").mkdir()
        with pytest.raises(OutputError, match=r"a\.json: cannot be written"):
            replace_text(tmp_path / "a.json", "new")
        assert (tmp_path / "a.json").read_text() == "old"

    def test_no_folder(self, tmp_path):
        with pytest.raises(OutputError):
            replace_text(tmp_path / "gone/a.json", "new")

    def test_a_name_that_is_not_utf8(self, tmp_path):
        """File names come as surrogates, and go back to the bytes that they were."""
        replace_text(tmp_path / "a.json", os.fsdecode(b"\xff.png"))
        assert (tmp_path / "a.json").read_bytes() == b"\xff.png"


class TestIssueList:
    def test_lines(self, tmp_path):
        listed = [Issue("mask-empty", "é\n", Severity.ERROR), Issue("mask-empty", "b", Severity.WARNING, line=3)]
        with IssueList(tmp_path / "issues.jsonl") as issues:
            issues.write(listed[:1])
            assert names(tmp_path) == ["issues.jsonl.partial"]
            issues.write(listed[1:])
        assert names(tmp_path) == ["issues.jsonl"]
        lines = (tmp_path / "issues.jsonl").read_text(encoding="utf-8").split("\n")
        assert [json.loads(line)["message"] for line in lines[:-1]] == ["é\n", "b"]
        assert lines[-1] == ""

    def test_nothing_is_left_of_a_failure(self, tmp_path):
        with contextlib.suppress(ZeroDivisionError), IssueList(tmp_path / "issues.jsonl") as issues:
            issues.write([Issue("mask-empty", "a")])
            raise ZeroDivisionError
        assert names(tmp_path) == []

    def test_no_folder(self, tmp_path):
        with pytest.raises(OutputError, match="cannot be written"), IssueList(tmp_path / "gone/issues.jsonl"):
            pass
