"""The names that users import: a change here is a change of the interface."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import maskflow_convert

NAMES = [
    "Adapter",
    "AdapterOptions",
    "Bitmap",
    "Box",
    "Confidence",
    "Config",
    "Drawing",
    "Entry",
    "Found",
    "Frame",
    "Image",
    "Index",
    "InputPath",
    "Instance",
    "Issue",
    "LeftOut",
    "Loss",
    "MaskflowError",
    "Polygons",
    "RecordError",
    "Region",
    "Report",
    "Rle",
    "Sample",
    "Severity",
    "SourceError",
    "Tree",
    "Union",
    "build_dataset",
    "check_dataset",
    "convert",
    "dataset_from_config",
    "decode_example",
    "load_config",
    "merge",
    "read_labels",
    "rehearse",
    "show",
    "validate",
]

HEAVY = ("tensorflow", "pycocotools", "numpy", "pydantic", "PIL", "ray", "rich", "ruamel", "fsspec", "s3fs")


def imported(statement: str) -> list[str]:
    """Which heavy packages a fresh process has imported after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_names():
    assert sorted(maskflow_convert.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_resolves(name):
    value = getattr(maskflow_convert, name)
    assert value.__name__ == name or name == "InputPath"
    assert getattr(importlib.import_module(maskflow_convert._HOME[name]), name) is value


def test_homes_are_those_of_all():
    assert sorted(maskflow_convert._HOME) == NAMES


def test_star():
    scope: dict[str, object] = {}
    exec("from maskflow_convert import *", scope)  # noqa: S102
    assert set(NAMES) <= scope.keys()


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'maskflow_convert' has no attribute 'convrt'"):
        _ = maskflow_convert.convrt


def test_import_is_light():
    assert imported("import maskflow_convert") == []
    assert imported("import maskflow_convert.cli") == []


def test_errors_are_light():
    assert imported("from maskflow_convert import MaskflowError, RecordError, SourceError") == []


def test_a_name_brings_what_it_needs():
    """So that the lists above are empty for a reason."""
    assert "pydantic" in imported("from maskflow_convert import Sample")


@pytest.mark.parametrize("name", ["convert", "load_config", "Adapter", "Sample"])
def test_conversion_needs_no_tensorflow(name):
    assert "tensorflow" not in imported(f"from maskflow_convert import {name}")
