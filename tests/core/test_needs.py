"""What a process on another machine needs, met by a process of its own; and Ray, where it is not installed."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import maskflow_convert
from maskflow_convert import load_config
from maskflow_convert.cluster.needs import Needs
from maskflow_convert.copies import temporary_folder
from maskflow_convert.origin import FILE_NAME, source_paths
from maskflow_convert.prepare import prepare

ADAPTER = """\
from maskflow_adapters.shapes import ShapesAdapter

VALUE = "as it was sent"

class Mine(ShapesAdapter):
    "An adapter in a file."
"""

MEET = """\
import pickle, sys
from maskflow_convert.errors import MaskflowError
needs, then = pickle.loads(bytes.fromhex(sys.argv[1]))
try:
    needs.meet()
except MaskflowError as error:
    sys.exit(f"{type(error).__name__}: {error}")
exec(then)
"""

NODE = r" on the node \S+"
SHARED = "; on a cluster it has to be in a folder that all nodes share, or in an object store"


@pytest.fixture
def needs(tmp_path) -> Needs:
    """The needs of a run on a COCO file, and with an adapter that is a file."""
    (tmp_path / "mine.py").write_text(ADAPTER)
    (tmp_path / "images").mkdir()
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).write_text("{}\n")
    (tmp_path / "c.yaml").write_text(
        "sources: [{adapter: coco, annotations: a.json, images: images}, {adapter: './mine.py:Mine', count: 3}]\n"
    )
    data_set = prepare(load_config(tmp_path / "c.yaml"))
    adapters = [source.adapter for source in data_set.config.sources]
    return Needs.of(adapters, source_paths(data_set), tmp_path / "out" / FILE_NAME)


def meet(needs: Needs, then: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Meet them in a fresh process, and do something there."""
    return subprocess.run(
        [sys.executable, "-c", MEET, pickle.dumps((needs, then)).hex()],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class TestMet:
    def test_nothing_is_said(self, needs):
        done = meet(needs)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize("here", [None, ADAPTER.replace("sent", "found here")])
    def test_an_adapter_is_as_it_was_where_it_came_from(self, needs, tmp_path, here):
        """Whether there is no such file, or another one; and no compiled file is left that would be taken for it."""
        file = tmp_path / "mine.py"
        file.unlink()
        if here is not None:
            file.write_text(here)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        then = """
import sys
from maskflow_convert import registry
[reference] = [f"{path}:Mine" for path in needs.files]
adapter = registry.load(reference)
module = sys.modules[adapter.__module__]
print(module.VALUE, module.__file__, registry.reference_to(adapter) == reference)
"""
        done = meet(needs, then)
        assert (done.stdout, done.stderr) == (f"as it was sent {file} True\n", "")
        assert not (tmp_path / "__pycache__").exists()

    def test_partial_files_have_names_of_their_own(self, needs, tmp_path):
        then = "from maskflow_convert.whole_files import Path, partial_of; print(partial_of(Path('a')))"
        names = {meet(needs, then).stdout for _ in range(2)}
        assert len(names) == 2
        assert all(re.fullmatch(r"a\.[0-9a-f]{8}\.partial\n", name) for name in names)

    def test_the_folder_for_temporary_files(self, needs, tmp_path):
        """On this machine there is one already; on another one its workers have one, until that is left."""
        then = "from maskflow_convert.copies import temporary_folder; print(temporary_folder())"
        assert meet(needs, then).stdout == f"{temporary_folder()}\n"
        (tmp_path / "elsewhere").mkdir()
        folders = {meet(needs, then, TMPDIR=str(tmp_path / "elsewhere")).stdout for _ in range(2)}
        folder = tmp_path / "elsewhere" / f"{temporary_folder().name}-workers"
        assert folders == {f"{folder}\n"}
        assert folder.stat().st_mode & 0o777 == 0o700
        leave = "from maskflow_convert.copies import leave; leave(needs.folder)"
        assert meet(needs, leave).stderr == ""
        assert temporary_folder().is_dir()
        assert meet(needs, leave, TMPDIR=str(tmp_path / "elsewhere")).stderr == ""
        assert not folder.exists()


class TestNotMet:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (
                {"program": "0.0.1"},
                rf"PluginError: maskflow-convert is {maskflow_convert.__version__}{NODE}, and 0\.0\.1 ",
            ),
            (
                {"adapters": {"coco": "another 3"}},
                rf"PluginError: adapter coco is maskflow-convert \S+{NODE}, and another 3 ",
            ),
            (
                {"adapters": {"nowhere": "some 1"}},
                f"PluginError:{NODE}, which needs what is installed where the run was started: there is no ",
            ),
            ({"files": {"/no/such.py": b"1 / 0"}}, "PluginError: adapter /no/such.py cannot be imported: ZeroDivision"),
        ],
    )
    def test_what_is_installed(self, needs, change, expected):
        done = meet(replace(needs, **change))
        assert done.returncode == 1
        assert re.match(expected, done.stderr)
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda folder: (folder / "a.json").unlink(), f"SourceError: FOLDER/a.json: does not exist{NODE}{SHARED}"),
            (lambda folder: (folder / "images").rmdir(), f"SourceError: FOLDER/images: does not exist{NODE}{SHARED}"),
            (lambda folder: (folder / "a.json").write_text("{}"), f"SourceError: FOLDER/a.json: is another one{NODE}"),
            (lambda folder: shutil.rmtree(folder / "out"), f"OutputError: FOLDER/out: is another folder{NODE}{SHARED}"),
            (
                lambda folder: (folder / "out" / FILE_NAME).write_text("another"),
                f"OutputError: FOLDER/out: is another folder{NODE}{SHARED}",
            ),
        ],
    )
    def test_what_lies_elsewhere(self, needs, tmp_path, change, expected):
        change(tmp_path)
        done = meet(needs)
        assert done.returncode == 1
        assert re.match(expected.replace("FOLDER", re.escape(str(tmp_path))), done.stderr)
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["convert"], ["convert", "--dry-run"], ["validate"]])
def test_without_ray(tmp_path, command):
    """It is said before anything is looked at: there are no such annotations."""
    (tmp_path / "c.yaml").write_text(
        "sources: [{adapter: coco, annotations: none.json}]\noutput: {directory: out}\nrun: {executor: ray}\n"
    )
    code = "import sys; sys.modules['ray'] = None; from maskflow_convert.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = [*command, str(tmp_path / "c.yaml")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("maskflow-convert: run.executor: ray needs: pip install 'maskflow-convert[ray]' (")
    assert done.stderr.count("\n") == 1


def test_ray_is_not_imported_unasked():
    code = "import sys, maskflow_convert.pipeline, maskflow_convert.cli; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
