"""A run that was stopped goes on where it was, and only if what it reads is what it was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.plugins.scripted import script
from maskflow_convert import convert, load_config
from maskflow_convert.errors import IssueError, OutputError
from maskflow_convert.origin import FILE_NAME
from maskflow_convert.output import Existing, reserved

PICTURES = [{"key": f"{n}.png", "things": ["good", "far"][: 1 + n % 2]} for n in range(8)]
SKIP = {"on_error": "skip-object"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stopped_after(path: Path, images: int) -> None:
    """Stop a run as soon as so many images are done."""

    def stop(done: int, total: int) -> None:
        if done >= images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(path, on_progress=stop)


@pytest.fixture
def undisturbed(tmp_path):
    """A configuration of eight shards, and what a run makes of it."""
    path = script(tmp_path, PICTURES, output={"shard_size": "1 images"}, run={"executor": "serial"}, **SKIP)
    convert(path)
    expected = contents(tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        file.unlink()
    return path, expected


class TestResume:
    @pytest.mark.parametrize("images", [1, 2, 5, 8])
    def test_makes_what_an_undisturbed_run_makes(self, undisturbed, tmp_path, images):
        path, expected = undisturbed
        stopped_after(path, images)
        left = contents(tmp_path / "out")
        assert "dataset.json" not in left
        whole = {name for name in left if name.endswith((".tfrecord", "-of-00008.json"))}
        assert {name: left[name] for name in whole} == {name: expected[name] for name in whole}
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected

    def test_does_nothing_twice(self, undisturbed, tmp_path):
        path, _ = undisturbed
        stopped_after(path, 5)
        done = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.tfrecord")}
        assert len(done) == 4
        seen = []
        convert(path, existing=Existing.RESUME, on_progress=lambda done, total: seen.append((done, total)))
        assert {file: file.stat().st_mtime_ns for file in done} == done
        assert seen[-1] == (4, 4)

    def test_counts_what_was_done_before(self, undisturbed):
        path, _ = undisturbed
        stopped_after(path, 5)
        total = convert(path, existing=Existing.RESUME).total
        assert (total.images_written, total.objects_written, total.objects_dropped) == (8, 8, {"polygon-too-far": 4})

    def test_begins_where_there_is_nothing(self, undisturbed, tmp_path):
        path, expected = undisturbed
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected

    def test_of_a_finished_data_set(self, undisturbed, tmp_path):
        path, expected = undisturbed
        convert(path)
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected

    @pytest.mark.parametrize(
        "damage",
        [
            lambda file: file.unlink(),
            lambda file: file.write_bytes(file.read_bytes()[:-1]),
            lambda file: file.with_suffix(".json").unlink(),
            lambda file: file.with_suffix(".json").write_text("{"),
            lambda file: file.with_suffix(".json").write_bytes(b"\xff\x00"),
            lambda file: file.with_name(file.name + ".partial").write_bytes(b"half"),
        ],
        ids=["no shard", "a shorter shard", "no report", "half a report", "no text", "a partial file"],
    )
    def test_a_shard_that_is_not_whole_is_made_anew(self, undisturbed, tmp_path, damage):
        path, expected = undisturbed
        stopped_after(path, 5)
        damage(tmp_path / "out/train-00002-of-00008.tfrecord")
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected

    def test_a_card_more_or_less_is_no_reason_to_refuse(self, undisturbed, tmp_path):
        path, expected = undisturbed
        without = script(
            tmp_path, PICTURES, output={"shard_size": "1 images", "card": False}, run={"executor": "serial"}, **SKIP
        )
        stopped_after(without, 5)
        script(tmp_path, PICTURES, output={"shard_size": "1 images"}, run={"executor": "serial"}, **SKIP)
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected
        convert(load_config(path, ["output.card=false"]), existing=Existing.RESUME)
        assert contents(tmp_path / "out").keys() == expected.keys()

    def test_stopped_while_the_card_is_made(self, undisturbed, tmp_path, monkeypatch):
        """The data set can be read then, and its card be had by going on."""
        path, expected = undisturbed

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("maskflow_convert.card.write_card", stop)
            with pytest.raises(KeyboardInterrupt):
                convert(path)
        assert contents(tmp_path / "out")["dataset.json"] == expected["dataset.json"]
        convert(path, existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected

    def test_remembers_the_contents_of_images(self, tmp_path):
        """The last one has the content of the first, which was done before."""
        pictures = [{"key": "0.png"}, {"key": "1.png", "fault": "deep"}, {"key": "2.png"}]
        issues = {"image-content-duplicate": "error", "image-depth-loss": "ignore"}
        path = script(tmp_path, pictures, issues=issues, output={"shard_size": "1 images"})
        stopped_after(path, 2)
        with pytest.raises(IssueError, match=r"has the content of 0\.png"):
            convert(path, existing=Existing.RESUME)


class TestRefusal:
    def test_an_unfinished_data_set_is_not_written_over(self, undisturbed):
        path, _ = undisturbed
        stopped_after(path, 5)
        with pytest.raises(OutputError, match=r"unfinished data set already.*--resume"):
            convert(path)

    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("objects.empty=keep", 'objects.empty was "skip" and is "keep"'),
            ("classes.names=[disc]", r'classes.names was null and is \["disc"\]'),
            ("sources[0].labels=[disc, line]", "sources.0..labels was"),
            ("output.compression=gzip", 'output.compression was "none" and is "gzip"'),
        ],
    )
    def test_of_another_configuration(self, undisturbed, override, told):
        path, _ = undisturbed
        stopped_after(path, 5)
        with pytest.raises(OutputError, match=f"cannot be gone on with: .*{told}.*--overwrite"):
            convert(load_config(path, [override]), existing=Existing.RESUME)

    def test_how_the_work_is_done_does_not_matter(self, undisturbed, tmp_path):
        path, expected = undisturbed
        stopped_after(path, 5)
        convert(load_config(path, ["run.executor=processes", "run.workers=2"]), existing=Existing.RESUME)
        found = contents(tmp_path / "out")
        assert found.pop("config.yaml") != expected.pop("config.yaml")
        assert found == expected

    def test_of_another_version(self, undisturbed, monkeypatch):
        path, _ = undisturbed
        stopped_after(path, 5)
        monkeypatch.setattr("maskflow_convert.__version__", "99")
        with pytest.raises(OutputError, match=r"maskflow-convert was .* and is 99"):
            convert(path, existing=Existing.RESUME)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda folder: (folder / "new.txt").write_text("new"), "had 1 files and has 2"),
            (lambda folder: (folder / "sub/a.txt").write_text("longer"), "had 1 bytes and has 6"),
            (lambda folder: os.utime(folder / "sub/a.txt", ns=(1, 1)), "written anew or renamed"),
            (lambda folder: (folder / "sub/a.txt").rename(folder / "sub/b.txt"), "written anew or renamed"),
        ],
    )
    def test_of_other_sources(self, tmp_path, change, told):
        folder = tmp_path / "images"
        (folder / "sub").mkdir(parents=True)
        (folder / "sub/a.txt").write_text("a")
        pictures = [{"key": "0.png"}, {"key": "1.png"}]
        source, output = {"folder": str(folder)}, {"shard_size": "1 images"}
        path = script(tmp_path, pictures, source=source, output=output, on_error="skip-image")
        stopped_after(path, 1)
        change(folder)
        with pytest.raises(OutputError, match=told):
            convert(path, existing=Existing.RESUME)

    @pytest.mark.parametrize("note", [None, "", "{}", "[" * 100_000])
    def test_of_what_does_not_say_where_it_is_from(self, undisturbed, tmp_path, note):
        path, _ = undisturbed
        stopped_after(path, 5)
        file = tmp_path / "out" / FILE_NAME
        file.unlink() if note is None else file.write_text(note)
        with pytest.raises(OutputError, match=r"cannot be .*--overwrite"):
            convert(path, existing=Existing.RESUME)

    def test_of_a_finished_data_set_of_another_configuration(self, undisturbed, tmp_path):
        path, _ = undisturbed
        convert(path)
        before = contents(tmp_path / "out")
        with pytest.raises(OutputError, match="finished, and of another configuration"):
            convert(load_config(path, ["objects.empty=keep"]), existing=Existing.RESUME)
        assert contents(tmp_path / "out") == before


class TestLock:
    def test_two_runs_at_once(self, undisturbed, tmp_path):
        path, _ = undisturbed
        with reserved(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing there"):
            convert(path)

    def test_a_crash_does_not_leave_it_behind(self, tmp_path):
        code = (
            "import os, pathlib\n"
            "from maskflow_convert.output import reserved\n"
            f"with reserved(pathlib.Path({str(tmp_path)!r})):\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        with reserved(tmp_path):
            pass

    def test_what_is_written_there_afterwards_is_not_kept_out(self, tmp_path):
        for _ in range(2):
            with reserved(tmp_path / "new"):
                pass
        assert list((tmp_path / "new").iterdir()) == []


SHAPES = """\
sources: [{adapter: shapes, count: 240, seed: 5, size: [96, 64]}]
splits: {train: 0.8, val: 0.2, seed: 3}
output: {directory: out, shard_size: 8 images}
run: {executor: processes, workers: 2}
"""


def killed_at(seconds: float, folder: Path, *options: str) -> None:
    """Run a conversion and kill it with all of its workers, unless it is done before."""
    command = [sys.executable, "-m", "maskflow_convert", "convert", "shapes.yaml", *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)


def test_killed_at_any_moment_and_again_it_makes_what_an_undisturbed_run_makes(tmp_path):
    (tmp_path / "shapes.yaml").write_text(SHAPES)
    begun = time.monotonic()
    convert(tmp_path / "shapes.yaml")
    killed_at(600, tmp_path, "--overwrite")
    whole_run = time.monotonic() - begun
    expected = contents(tmp_path / "out")
    moments = random.Random(8)  # noqa: S311
    for _ in range(20):
        for file in (tmp_path / "out").iterdir():
            file.unlink()
        killed_at(moments.uniform(0, 0.6 * whole_run), tmp_path)
        for name, content in contents(tmp_path / "out").items():
            assert name.endswith(".partial") or name == FILE_NAME or content == expected[name]
        killed_at(moments.uniform(0, 0.6 * whole_run), tmp_path, "--resume")
        convert(tmp_path / "shapes.yaml", existing=Existing.RESUME)
        assert contents(tmp_path / "out") == expected


def test_the_note_is_plain(undisturbed, tmp_path):
    path, _ = undisturbed
    stopped_after(path, 1)
    note = json.loads((tmp_path / "out" / FILE_NAME).read_text())
    assert set(note) == {"version", "configuration", "adapters", "images", "sources"}
