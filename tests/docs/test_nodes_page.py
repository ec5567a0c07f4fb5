"""The scripts for schedulers on the page about nodes do what it says, by schedulers that run all on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from core.shares import contents
from docs.walk import blocks
from maskflow_convert import convert, load_config
from shared_data import REPOSITORY

FILES = {block.title: block.body for block in blocks(REPOSITORY / "docs/how-to/nodes.md") if block.title}

SBATCH = """\
#!/usr/bin/env python
'''As far as the page goes: runs an array, job by job, and what depends on it if none has failed; prints its number.'''
import os, re, subprocess, sys

options = dict(option.partition("=")[::2] for option in sys.argv[1:] if option.startswith("--"))
if "--wrap" in options:
    assert options["--dependency"] == "afterok:" + open("done").read()
    sys.exit(subprocess.run(["bash", "-c", sys.argv[-1]]).returncode)
script = open(sys.argv[-1]).read()
listed = options.get("--array") or re.search("^#SBATCH --array=(.*)$", script, re.MULTILINE)[1]
first, _, last = listed.partition("-")
numbers = [int(each) for each in listed.split(",")] if not last else range(int(first), int(last) + 1)
for number in numbers:
    counted = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": str(len(numbers))}
    subprocess.run(["bash", sys.argv[-1]], env=os.environ | counted, stdout=subprocess.DEVNULL, check=True)
open("done", "w").write("4711")
if "--parsable" in options:
    print(4711)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page is about, in the working directory, and `sbatch`."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "coco/annotations").mkdir(parents=True)
    shutil.copy(REPOSITORY / "configs/shapes-coco/instances.json", tmp_path / "coco/annotations")
    shutil.copytree(REPOSITORY / "configs/shapes-coco/images", tmp_path / "coco/images")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sbatch").write_text(SBATCH)
    (tmp_path / "bin/sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> dict[str, bytes]:
    """What a single run writes."""
    convert(load_config("my.yaml"))
    written = contents(folder / "records")
    shutil.rmtree(folder / "records")
    return written


def run(*command: str, **variables: str) -> None:
    subprocess.run(command, check=True, env=os.environ | variables, stdout=subprocess.DEVNULL)


def test_slurm(folder, expected):
    run("bash", "submit.sh")
    assert contents(folder / "records") == expected


def test_slurm_again_after_two_have_failed(folder, expected):
    run("sbatch", "--array=1,3,4,6,7,8", "convert.sbatch")
    run("sbatch", "--array=2,5", "convert.sbatch")
    run("maskflow-convert", "merge", "records")
    assert contents(folder / "records") == expected


def pod(job: dict[str, Any], index: int) -> list[str]:
    """What a pod of a job runs: Kubernetes puts the values of variables that it knows in place of `$(NAME)`."""
    [container] = job["spec"]["template"]["spec"]["containers"]
    known = {"JOB_COMPLETION_INDEX": str(index)}
    return [
        re.sub(r"\$\(([^)]*)\)", lambda name: known.get(name[1], name[0]), word).replace("$$", "$")
        for word in (*container["command"], *container["args"])
    ]


def test_kubernetes(folder, expected):
    job = YAML(typ="safe", pure=True).load(FILES["job.yaml"])
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # as backoffLimitPerIndex demands
    for index in range(spec["completions"]):
        command = [word.replace("s3://my-data/my.yaml", "my.yaml") for word in pod(job, index)]
        run(*command, JOB_COMPLETION_INDEX=str(index))
    run("maskflow-convert", "merge", "records")
    assert contents(folder / "records") == expected
