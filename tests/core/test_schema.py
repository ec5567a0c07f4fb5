"""The JSON Schemas of what is written and read, held against what the loader and TensorFlow make of the same."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from core.plugins import installing
from maskflow_convert import Sample, load_config, registry
from maskflow_convert.cli import main
from maskflow_convert.errors import ConfigError
from maskflow_convert.schema import config_schema, record_schema, sample_schema

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "configs/maskflow.schema.json"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


@pytest.fixture
def built_in_only(monkeypatch):
    """Whatever else is installed here, only our own adapters are offered."""
    own = {
        name: ours
        for name, offers in registry.installed().items()
        if (ours := [offer for offer in offers if registry.offered_by(offer).startswith("maskflow-convert ")])
    }
    monkeypatch.setattr(registry, "installed", lambda: own)


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Install a distribution that offers an adapter: `install(name, code)`."""
    yield partial(installing.install, tmp_path, monkeypatch)
    registry.load.cache_clear()
    registry.describe.cache_clear()


def mine(options: str = "pass", before: str = "") -> str:
    return f"""
from maskflow_convert import *
from pydantic import BaseModel, Field
{before}

class MineOptions(AdapterOptions):
    {options}

class Mine(Adapter[MineOptions, str]):
    '''Reads what I write.'''
    Options = MineOptions
    def index(self): ...
    def read(self, record): ...
"""


def faults(schema: dict[str, Any], document: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


class TestShipped:
    def test_is_what_the_command_prints(self, built_in_only, capsys):
        """If this fails: `maskflow-convert schema config > configs/maskflow.schema.json`."""
        assert main(["schema", "config"]) == 0
        out, err = capsys.readouterr()
        assert out == SHIPPED.read_text(encoding="utf-8")
        assert err == ""

    def test_is_a_schema(self):
        schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        jsonschema.Draft202012Validator.check_schema(schema)

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_is_named_by_the_configurations_and_accepts_them(self, path):
        text = path.read_text(encoding="utf-8")
        named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", text.splitlines()[0])
        assert named
        assert path.parent / named[1] == SHIPPED
        assert faults(json.loads(SHIPPED.read_text(encoding="utf-8")), parsed(text)) == []

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_refuses_any_key_misspelt(self, path):
        schema, document = json.loads(SHIPPED.read_text(encoding="utf-8")), parsed(path.read_text(encoding="utf-8"))
        sections = [
            document,
            *document["sources"],
            *(document[key] for key in ("classes", "output") if key in document),
        ]
        for section in sections:
            for key in list(section):
                section[f"{key}s"] = section.pop(key)
                assert faults(schema, document), f"{key}s"
                section[key] = section.pop(f"{key}s")
        assert faults(schema, document) == []


def blocks(path: Path) -> list[str]:
    """Configurations in the text of a page, whole ones and parts."""
    fenced = re.findall(r"^ *```ya?ml[^\n]*\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [
        block for block in fenced if re.match(r"\s*(#.*\n\s*)*(sources|classes|splits|objects|image|output):", block)
    ]


def test_pages_show_what_the_schema_accepts(install):
    code = (ROOT / "examples/custom_adapter/maskflow_label_images.py").read_text(encoding="utf-8")
    install("label-images", f"{code}\nMine = LabelImageAdapter\n")
    schema, left_out = config_schema()
    assert left_out == []
    seen = 0
    for path in PAGES:
        for block in blocks(path):
            document = parsed(block)
            needed = schema if "sources" in document else {**schema, "required": []}
            assert faults(needed, document) == [], f"{path.name}:\n{block}"
            seen += 1
    assert seen >= 3


SOURCE = "sources: [{adapter: shapes}]\n"
ACCEPTED = [
    "splits: {train: 0.9, val: 0.1, seed: 7}",
    "splits: {train: 1}",
    "splits: null",
    "output: {shard_size: 64 MiB}",
    "output: {shard_size: 1GB, shuffle: null, directory: null}",
    "output: {shard_size: 500 images, directory: ../x}",
    "output: {layout: rows_first, compression: gzip}",
    "classes: {names: [disc], first_id: 0, rename: {Disc: disc}, unknown: skip}",
    "classes: {names: null}",
    "issues: {polygon-outside-image: fix, mask-empty: error, class-unused: ignore}",
    "on_error: skip-image",
    "image: {exif: apply, channels: source, depth: 16, ids: sequential}",
    "objects: {crowd: keep, difficult: skip, empty: error, boxes: rectangle}",
    "run: {executor: serial, workers: 3}",
    "run: {workers: auto}",
]
REFUSED = [
    "spltis: {train: 1}",
    "splits: {train: 1.5}",
    "splits: {'a b': 1}",
    "splits: {train: many}",
    "splits: {}",
    "output: {shard_size: 64}",
    "output: {shard_size: 64 miles}",
    "output: {dir: x}",
    "output: {layout: columns_first}",
    "classes: {name: [disc]}",
    "classes: {names: disc}",
    "issues: {polygon-outside-imag: fix}",
    "issues: {mask-empty: fix}",
    "issues: {mask-empty: fatal}",
    "on_error: go-on",
    "image: {depth: 12}",
    "objects: {boxes: keep}",
    "run: {workers: 0}",
]


class TestConfigSchema:
    @pytest.mark.parametrize("text", ACCEPTED)
    def test_accepts_what_the_loader_accepts(self, text, tmp_path):
        (tmp_path / "c.yaml").write_text(SOURCE + text)
        load_config(tmp_path / "c.yaml")
        assert faults(config_schema()[0], parsed(SOURCE + text)) == []

    @pytest.mark.parametrize("text", REFUSED)
    def test_refuses_what_the_loader_refuses(self, text, tmp_path):
        (tmp_path / "c.yaml").write_text(SOURCE + text)
        with pytest.raises(ConfigError):
            load_config(tmp_path / "c.yaml")
        assert faults(config_schema()[0], parsed(SOURCE + text))

    @pytest.mark.parametrize(
        "source",
        [
            "{adapter: coco, annotations: a.json}",
            "{adapter: coco, annotations: a.json, images: null, split: val}",
            "{adapter: voc, root: x, image_set: Main/train, origin: edges, labels: [a, b]}",
            "{adapter: voc, annotations: x, origin: 0, labels: names.txt}",
            "{adapter: labelme, annotations: x, line_width: 3, point_radius: 2.5}",
            "{adapter: shapes, size: [64, 48]}",
            "{adapter: ./mine.py:Mine, whatever: [1, {a: b}]}",
            "{adapter: 'package.module:Class', split: test}",
        ],
    )
    def test_sources(self, source):
        assert faults(config_schema()[0], parsed(f"sources: [{source}]")) == []

    @pytest.mark.parametrize(
        "source",
        [
            "{}",
            "{adapter: coco}",
            "{adapter: cocoa, annotations: a.json}",
            "{adapter: coco, annotatons: a.json}",
            "{adapter: coco, annotations: a.json, root: x}",
            "{adapter: coco, annotations: a.json, split: a b}",
            "{adapter: voc, origin: 2}",
            "{adapter: labelme, annotations: x, line_width: 0}",
            "{adapter: shapes, size: [64]}",
            "coco",
        ],
    )
    def test_sources_that_are_none(self, source):
        assert faults(config_schema()[0], parsed(f"sources: [{source}]"))

    def test_there_is_a_source(self):
        assert faults(config_schema()[0], {})
        assert faults(config_schema()[0], {"sources": []})

    def test_every_key_is_explained(self):
        schema, _ = config_schema()
        unexplained = []

        def look(at: str, part: Any) -> None:
            for name, key in part.get("properties", {}).items() if isinstance(part, dict) else ():
                if not key.get("description"):
                    unexplained.append(f"{at}.{name}")
                look(f"{at}.{name}", key)

        look("", schema)
        for name, part in schema["$defs"].items():
            look(name, part)
        assert unexplained == []

    def test_defaults_are_told(self):
        """As DESIGN.md and the README state them."""
        sections = config_schema()[0]["$defs"]
        defaults = {
            f"{section}.{key}": schema["default"]
            for section in ("Classes", "Images", "Objects", "Output", "Run", "Splits")
            for key, schema in sections[section]["properties"].items()
            if "default" in schema
        }
        assert defaults == {
            "Classes.first_id": 1,
            "Classes.unknown": "error",
            "Images.exif": "auto",
            "Images.channels": 3,
            "Images.depth": 8,
            "Images.max_pixels": 536_870_912,
            "Images.ids": "source",
            "Objects.crowd": "skip",
            "Objects.difficult": "keep",
            "Objects.empty": "skip",
            "Objects.boxes": "error",
            "Output.layout": "documented",
            "Output.shard_size": "64 MiB",
            "Output.compression": "none",
            "Output.shuffle": 7,
            "Output.card": True,
            "Run.executor": "processes",
            "Run.workers": "auto",
            "Run.retries": 1,
            "Splits.seed": 0,
        }

    def test_an_installed_plugin_is_in_it(self, install):
        before = "class Grid(BaseModel):\n    cells: int = 3\n"
        install("my-format", mine("grid: Grid = Field(Grid(), description='how it is cut')", before))
        schema, left_out = config_schema()
        assert left_out == []
        jsonschema.Draft202012Validator.check_schema(schema)
        assert faults(schema, parsed("sources: [{adapter: my-format, grid: {cells: 4}}]")) == []
        assert faults(schema, parsed("sources: [{adapter: my-format, grid: {cells: many}}]"))
        assert faults(schema, parsed("sources: [{adapter: my-format, gird: {cells: 4}}]"))
        assert schema["$defs"]["source-my-format"]["description"] == "Reads what I write."

    @pytest.mark.parametrize("name", ["a/b", "a~b", "a b", "ä%20", "{0}"])
    def test_odd_names_of_plugins(self, install, name):
        install(name, mine("grid: Grid", "class Grid(BaseModel):\n    cells: int = 3\n"))
        schema, left_out = config_schema()
        assert left_out == []
        assert faults(schema, {"sources": [{"adapter": name, "grid": {"cells": 4}}]}) == []
        assert faults(schema, {"sources": [{"adapter": name, "grid": {"cells": "x"}}]})

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("1 / 0", "cannot be imported: ZeroDivisionError"),
            (mine("hook: Callable[[], int] = int", "from typing import Callable"), "its options have no JSON Schema"),
        ],
        ids=["broken", "no schema"],
    )
    def test_a_plugin_without_one_is_left_out_with_a_note(self, install, capsys, code, told):
        install("odd", code)
        assert main(["schema", "config"]) == 0
        out, err = capsys.readouterr()
        assert err.startswith("maskflow-convert: left out: ")
        assert told in err
        schema = json.loads(out)
        assert faults(schema, parsed("sources: [{adapter: odd}]"))
        assert faults(schema, parsed(SOURCE)) == []


class TestSampleSchema:
    def test_accepts_a_sample(self):
        sample = {
            "key": "a.png",
            "image": {"path": "a.png", "width": 4, "height": 3},
            "instances": [
                {"label": "cat", "shape": {"kind": "rle", "width": 4, "height": 3, "counts": [0, 12]}},
                {"label": "dog", "shape": {"kind": "polygons", "parts": [[0, 0, 2, 0, 2, 2]]}, "crowd": True},
            ],
        }
        Sample.model_validate_json(json.dumps(sample))
        assert faults(sample_schema(), sample) == []
        sample["instances"][0]["shape"]["kind"] = "circle"
        assert faults(sample_schema(), sample)

    def test_is_what_the_command_prints(self, capsys):
        assert main(["schema", "sample"]) == 0
        schema = json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema == sample_schema()


class TestRecordSchema:
    def test_lists_the_features_of_the_page(self):
        """Their names, in order, and their kinds."""
        page = (ROOT / "docs/record.md").read_text(encoding="utf-8")
        table = re.findall(r"^\| `(image/\w+)` \| (list of )?(int64|bytes) \|", page, re.MULTILINE)
        features = record_schema()["features"]
        assert [(f["name"], f["dtype"], f["kind"]) for f in features] == [
            (name, dtype, "VarLen" if many else "FixedLen") for name, many, dtype in table
        ]
        assert len(features) == 9

    def test_is_what_the_command_prints(self, capsys):
        assert main(["schema", "record"]) == 0
        assert json.loads(capsys.readouterr().out) == record_schema()

    @pytest.mark.parametrize("layout", ["documented", "rows_first"])
    def test_tensorflow_parses_a_record_by_it(self, layout, tmp_path):
        """Dtypes and shapes, once the names in them stand for values."""
        import tensorflow as tf

        (tmp_path / "c.yaml").write_text(
            f"sources: [{{adapter: shapes, count: 1, size: [48, 32]}}]\noutput: {{directory: o, layout: {layout}}}\n"
        )
        assert main(["convert", str(tmp_path / "c.yaml")]) == 0
        features = json.loads(json.dumps(record_schema()))["features"]
        dtypes = {"int64": tf.int64, "bytes": tf.string}
        parsers = {
            f["name"]: tf.io.VarLenFeature(dtypes[f["dtype"]])
            if f["kind"] == "VarLen"
            else tf.io.FixedLenFeature(f["shape"], dtypes[f["dtype"]])
            for f in features
        }
        [serialized] = tf.data.TFRecordDataset([str(path) for path in (tmp_path / "o").glob("*.tfrecord")])
        values = tf.io.parse_single_example(serialized, parsers)
        n = int(values["image/n_objects"])
        for feature in features:
            if feature["kind"] == "VarLen":
                shape = [n if length == "N" else length for length in feature["shape"]]
                tf.reshape(values[feature["name"]].values, shape)
        told = {f["name"]: f["by_layout"][layout] for f in features if "by_layout" in f}
        lengths = {told["image/width"]: int(values["image/width"]), told["image/height"]: int(values["image/height"])}
        assert lengths == {"columns": 48, "rows": 32}
