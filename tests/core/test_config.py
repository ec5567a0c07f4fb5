"""Configurations: what a YAML may say, what is said back when it may not, and `--set`."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.plugins.scripted import SCRIPTED, script
from maskflow_convert import convert, load_config
from maskflow_convert.config import Config
from maskflow_convert.errors import ConfigError, PluginError
from maskflow_convert.repairs import REPAIRABLE

SHAPES = "sources:\n  - adapter: shapes\n"

DEFAULTS = {
    "classes": {"names": None, "first_id": 1, "rename": {}, "unknown": "error"},
    "splits": None,
    "image": {"exif": "auto", "channels": 3, "depth": 8, "max_pixels": 536_870_912, "ids": "source"},
    "objects": {"crowd": "skip", "difficult": "keep", "empty": "skip", "boxes": "error"},
    "issues": {},
    "on_error": "stop",
    "output": {
        "directory": None,
        "layout": "documented",
        "shard_size": f"{64 * 1024**2} B",
        "compression": "none",
        "shuffle": 7,
        "card": True,
    },
    "run": {
        "executor": "processes",
        "workers": "auto",
        "retries": 1,
        "address": None,
        "resources": {"cpus": 1.0, "memory": None, "custom": {}},
    },
}

WHOLE = """\
sources:
  - adapter: coco
    annotations: train/instances.json     # this adapter's options; paths are relative to this file
    images: train/images
classes:
  names: [person, bicycle]                # omitted: all labels of the sources, in their order
  first_id: 1                             # 0 is background
  rename: {bike: bicycle}
  unknown: error                          # error | skip
splits: {train: 0.9, val: 0.1, seed: 7}   # by hash of the key: adding images moves no other image
image: {exif: auto, channels: 3, depth: 8, ids: source}
objects: {crowd: skip, empty: skip, boxes: error}
issues: {polygon-outside-image: ignore}   # severity by code: error | warning | ignore
on_error: stop                            # stop | skip-object | skip-image
output: {directory: build/coco, layout: documented, shard_size: 256 MiB, compression: none, shuffle: 7}
run: {executor: processes, workers: auto}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a text as `c.yaml` of the working directory."""
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes, *overrides: str) -> Config:
        Path("c.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        return load_config("c.yaml", overrides)

    return load


@pytest.fixture
def problems(load):
    """What is wrong with a text, a line each."""

    def problems(text: str | bytes, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        assert str(caught.value) == "\n".join(caught.value.problems)
        return list(caught.value.problems)

    return problems


def dumped(config: Config, section: str) -> Any:
    return config.model_dump(mode="json")[section]


class TestWhatAYamlSays:
    def test_the_whole_example(self, load, tmp_path):
        config = load(WHOLE)
        assert config.model_dump(mode="json") == {
            **DEFAULTS,
            "sources": [
                {
                    "adapter": "coco",
                    "split": None,
                    "annotations": str(tmp_path / "train/instances.json"),
                    "images": str(tmp_path / "train/images"),
                    "label": None,
                }
            ],
            "classes": {**DEFAULTS["classes"], "names": ["person", "bicycle"], "rename": {"bike": "bicycle"}},
            "splits": {"train": 0.9, "val": 0.1, "seed": 7},
            "issues": {"polygon-outside-image": "ignore"},
            "output": {
                **DEFAULTS["output"],
                "directory": str(tmp_path / "build/coco"),
                "shard_size": f"{256 * 1024**2} B",
            },
        }

    def test_a_source_may_name_its_split_instead(self, load):
        text = WHOLE.replace("images: train/images", "images: train/images\n    split: train")
        config = load(re.sub(r"^splits:.*\n", "", text, flags=re.MULTILINE))
        assert (config.sources[0].split, config.splits) == ("train", None)

    @pytest.mark.parametrize("section", DEFAULTS)
    def test_default(self, load, section):
        assert dumped(load(SHAPES), section) == DEFAULTS[section]

    def test_splits_have_a_default_seed(self, load):
        assert dumped(load(SHAPES + "splits: {train: 1}\n"), "splits") == {"train": 1.0, "seed": 0}

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("classes.first_id", 0),
            ("classes.unknown", "skip"),
            ("image.exif", "apply"),
            ("image.exif", "ignore"),
            ("image.exif", "error"),
            ("image.channels", 1),
            ("image.channels", "source"),
            ("image.depth", 16),
            ("image.max_pixels", 1),
            ("image.max_pixels", 2**29),
            ("image.ids", "sequential"),
            ("objects.crowd", "keep"),
            ("objects.empty", "keep"),
            ("objects.empty", "error"),
            ("objects.boxes", "skip"),
            ("objects.boxes", "rectangle"),
            ("on_error", "skip-object"),
            ("on_error", "skip-image"),
            ("output.layout", "rows_first"),
            ("output.compression", "gzip"),
            ("output.shuffle", None),
            ("output.shuffle", 0),
            ("output.card", False),
            ("run.executor", "serial"),
            ("run.executor", "ray"),
            ("run.workers", 3),
            ("run.retries", 0),
            ("run.address", "ray://head:10001"),
        ],
    )
    def test_other_than_default(self, load, key, value):
        section, _, name = key.partition(".")
        text = json.dumps({section: {name: value} if name else value})[1:-1]
        found = dumped(load(SHAPES + text), section)
        assert (found[name] if name else found) == value

    @pytest.mark.parametrize(
        ("text", "amount", "unit"),
        [
            ("256 MiB", 268_435_456, "bytes"),
            ("256MiB", 268_435_456, "bytes"),
            ("1 KiB", 1024, "bytes"),
            ("1 KB", 1000, "bytes"),
            ("3 MB", 3_000_000, "bytes"),
            ("2 GB", 2_000_000_000, "bytes"),
            ("1 GiB", 1_073_741_824, "bytes"),
            ("7 B", 7, "bytes"),
            ("500 images", 500, "images"),
            ("1 image", 1, "images"),
        ],
    )
    def test_shard_size(self, load, text, amount, unit):
        size = load(SHAPES + f"output: {{shard_size: {text}}}\n").output.shard_size
        assert (size.amount, size.unit) == (amount, unit)

    @pytest.mark.parametrize("text", ["0", "-1", "536870913", "1.5", "many", "null"])
    def test_no_number_of_pixels(self, problems, text):
        (problem,) = problems(SHAPES + f"image: {{max_pixels: {text}}}\n")
        assert problem.startswith("c.yaml:3: image.max_pixels: ")

    @pytest.mark.parametrize("text", ["12", "12 XB", "1.5 MiB", "-1 B", "0 images", "images", "12 mib", "1 TiB", "''"])
    def test_no_shard_size(self, problems, text):
        (problem,) = problems(SHAPES + f"output: {{shard_size: {text}}}\n")
        assert problem.startswith("c.yaml:3: output.shard_size")

    def test_resources(self, load):
        text = "run: {resources: {cpus: 0.5, memory: 2 GiB, custom: {spot: 0.001}}}\n"
        resources = load(SHAPES + text).run.resources
        assert (resources.cpus, resources.memory, resources.custom) == (0.5, 2_147_483_648, {"spot": 0.001})
        again = json.dumps(dumped(load(SHAPES + text), "run"))
        assert load(SHAPES + f"run: {again}\n").run.resources == resources

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("resources: {memory: 2}", "run.resources.memory"),
            (
                "resources: {memory: 1.5 GiB}",
                "run.resources.memory: '1.5 GiB' is not an amount of memory: write '2 GiB'",
            ),
            ("resources: {memory: 0 B}", "run.resources.memory"),
            ("resources: {cpus: 0}", "run.resources.cpus"),
            ("resources: {cpus: .inf}", "run.resources.cpus"),
            ("resources: {cpus: .nan}", "run.resources.cpus"),
            ("resources: {cpus: 0.00001}", "run.resources.cpus: 1e-05 is too fine: Ray counts in steps of 0.0001"),
            ("resources: {custom: {spot: 0.00015}}", "run.resources.custom.spot: 0.00015 is too fine"),
            ("resources: {custom: {spot: -1}}", "run.resources.custom.spot"),
            ("resources: {gpus: 1}", "run.resources: unknown key 'gpus'"),
            ("retries: -1", "run.retries"),
            ("address: ''", "run.address"),
        ],
    )
    def test_what_ray_is_not_asked_for(self, problems, text, told):
        (problem,) = problems(SHAPES + f"run: {{{text}}}\n")
        assert problem.startswith(f"c.yaml:3: {told}")

    def test_is_yaml_1_2(self, load):
        """In YAML 1.1 these words are booleans, and 0o17 a string."""
        config = load(SHAPES + "classes: {names: [no, on, yes, off, y], first_id: 0o17, rename: {no: on}}\n")
        assert config.classes.names == ("no", "on", "yes", "off", "y")
        assert (config.classes.first_id, config.classes.rename) == (15, {"no": "on"})

    def test_classes_are_words(self, problems):
        told = problems(SHAPES + "classes:\n  names: [true, 1,\n    null]\n")
        assert [line.partition(": ")[0] for line in told] == ["c.yaml:4", "c.yaml:4", "c.yaml:5"]
        assert all("input should be a valid string" in line for line in told)

    def test_byte_order_mark(self, load):
        assert load(b"\xef\xbb\xbf" + SHAPES.encode()).sources[0].adapter == "shapes"

    def test_anchors(self, load):
        config = load("sources:\n  - &a {adapter: shapes, count: 3}\n  - *a\nimage: {ids: sequential}\n")
        assert [source.options.count for source in config.sources] == [3, 3]

    @pytest.mark.parametrize("written", ["sub/x.json", "./sub/x.json", "sub/../sub/x.json"])
    def test_paths_start_at_the_yaml(self, tmp_path, monkeypatch, written):
        folder = tmp_path / "configs"
        folder.mkdir()
        source = f"{{adapter: coco, annotations: {written}, images: {tmp_path}/abs}}"
        (folder / "c.yaml").write_text(f"sources: [{source}]\noutput: {{directory: ../out}}\n")
        monkeypatch.chdir(tmp_path)
        config = load_config("configs/c.yaml")
        (options,) = (source.options for source in config.sources)
        assert options.annotations == folder / "sub/x.json"
        assert options.images == tmp_path / "abs"
        assert config.output.directory == tmp_path / "out"
        assert load_config(folder / "c.yaml") == config

    def test_home(self, load, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        directory = load(SHAPES + "output: {directory: ~/records}\n").output.directory
        assert directory == tmp_path / "home/records"

    def test_cannot_be_changed(self, load):
        config = load(SHAPES)
        with pytest.raises(ValueError, match="frozen"):
            config.on_error = "skip-object"


ONE_PROBLEM = {
    "root": ("on_eror: stop", "c.yaml:3: unknown key 'on_eror'; did you mean 'on_error'?"),
    "classes": ("classes: {nmes: []}", "c.yaml:3: classes: unknown key 'nmes'; did you mean 'names'?"),
    "image": ("image:\n  dept: 8", "c.yaml:4: image: unknown key 'dept'; did you mean 'depth'?"),
    "objects": ("objects: {crod: keep}", "c.yaml:3: objects: unknown key 'crod'; did you mean 'crowd'?"),
    "output": ("output:\n\n  layot: x", "c.yaml:5: output: unknown key 'layot'; did you mean 'layout'?"),
    "run": ("run: {worker: 2}", "c.yaml:3: run: unknown key 'worker'; did you mean 'workers'?"),
    "nothing near": (
        "run: {zzz: 2}",
        "c.yaml:3: run: unknown key 'zzz'; known are executor, workers, retries, address, resources",
    ),
    "issue code": (
        "issues: {polygon-outside-imag: ignore}",
        "c.yaml:3: issues.polygon-outside-imag: there is no issue 'polygon-outside-imag'; "
        "did you mean 'polygon-outside-image'?",
    ),
    "far issue code": ("issues: {zzz: ignore}", "c.yaml:3: issues.zzz: there is no issue 'zzz'"),
    "severity": (
        "issues: {mask-empty: bad}",
        "c.yaml:3: issues.mask-empty: 'bad': input should be 'error', 'warning', 'ignore' or 'fix'",
    ),
    "no fix": (
        "issues:\n  polygon-outside-image: fix\n  mask-empty: fix",
        "c.yaml:5: issues.mask-empty: there is no fix for it, but for " + ", ".join(REPAIRABLE),
    ),
    "choice": ("objects: {crowd: drop}", "c.yaml:3: objects.crowd: 'drop': input should be 'skip' or 'keep'"),
    "number": ("image: {depth: 9}", "c.yaml:3: image.depth: 9: input should be 8 or 16"),
    "classes twice": ("classes: {names: [a, b, a]}", "c.yaml:3: classes: classes named twice: a"),
    "first id": (
        "classes: {first_id: -1}",
        "c.yaml:3: classes.first_id: -1: input should be greater than or equal to 0",
    ),
    "shares": (
        "splits: {train: 0.5, val: 0.4}",
        "c.yaml:3: splits: the shares must lie in 0..1 and add up to 1, not to 0.9",
    ),
    "negative share": (
        "splits: {train: 2, val: -1}",
        "c.yaml:3: splits: the shares must lie in 0..1 and add up to 1, not to 1",
    ),
    "no share": ("splits: {seed: 3}", "c.yaml:3: splits: the shares must lie in 0..1 and add up to 1, not to 0"),
    "share": (
        "splits: {train: all}",
        "c.yaml:3: splits.train: 'all': input should be a valid number, unable to parse string as a number",
    ),
    "seed": (
        "splits: {train: 1,\n  seed: x}",
        "c.yaml:4: splits.seed: 'x': input should be a valid integer, unable to parse string as an integer",
    ),
    "split name": (
        "splits: {../x: 1}",
        "c.yaml:3: splits.../x: '../x' is not a name for a split: use letters, digits, '_' and '.'",
    ),
    "duplicate": ("on_error: stop\non_error: stop", "c.yaml:4: key 'on_error' stands here and at c.yaml:3"),
    "duplicate within": ("run: {workers: 1, workers: 2}", "c.yaml:3: key 'workers' stands here and at c.yaml:3"),
    "number as key": ("1: x", "c.yaml:3: a key must be a word; put it in quotes if it is meant as one"),
    "list as key": ("? [a]\n: x", "c.yaml:3: a key must be a word; put it in quotes if it is meant as one"),
}

ONE_PROBLEM_OF_SOURCES = {
    "unknown key": (
        "sources:\n  - adapter: shapes\n    cuont: 3\n",
        "c.yaml:3: sources[0]: unknown key 'cuont'; did you mean 'count'?",
    ),
    "key of every source": (
        "sources:\n  - {adapter: shapes}\n  - adapter: shapes\n    splt: val\n",
        "c.yaml:4: sources[1]: unknown key 'splt'; did you mean 'split'?",
    ),
    "missing option": ("sources:\n  - adapter: coco\n", "c.yaml:2: sources[0]: key 'annotations' is missing"),
    "value of an option": (
        "sources:\n  - adapter: shapes\n    size: [160,\n     31]\n",
        "c.yaml:4: sources[0].size[1]: 31: input should be greater than or equal to 32",
    ),
    "no adapter": ("sources:\n  - count: 3\n", "c.yaml:2: sources[0]: name the format, as in 'adapter: coco'"),
    "word": ("sources: [shapes]\n", "c.yaml:1: sources[0]: name the format, as in 'adapter: coco'"),
    "no sources": ("on_error: stop\n", "c.yaml: key 'sources' is missing"),
    "split's name": (
        "sources:\n  - adapter: shapes\n    split: a/b\n",
        "c.yaml:3: sources[0].split: 'a/b' is not a name for a split: use letters, digits, '_' and '.'",
    ),
}


class TestWhatItMayNotSay:
    @pytest.mark.parametrize(("text", "told"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
    def test_one_problem(self, problems, text, told):
        assert problems(f"{SHAPES}{text}\n") == [told]

    @pytest.mark.parametrize(("text", "told"), ONE_PROBLEM_OF_SOURCES.values(), ids=ONE_PROBLEM_OF_SOURCES)
    def test_one_problem_of_the_sources(self, problems, text, told):
        assert problems(text) == [told]

    def test_the_message_of_the_documentation(self, tmp_path, monkeypatch):
        (tmp_path / "configs").mkdir()
        text = "# one\n# two\n\nsources:\n  - adapter: coco\n    images: x\n    annotatons: x\n"
        (tmp_path / "configs/coco.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError) as caught:
            load_config("configs/coco.yaml")
        told = "configs/coco.yaml:7: sources[0]: unknown key 'annotatons'; did you mean 'annotations'?"
        assert told in caught.value.problems

    def test_all_problems_at_once(self, problems):
        text = SHAPES + "    cuont: 3\nobjects: {crod: keep}\nimage:\n  depth: 9\n  chanels: 3\nissues: {x-y: ignore}\n"
        assert sorted(problems(text)) == [
            "c.yaml:3: sources[0]: unknown key 'cuont'; did you mean 'count'?",
            "c.yaml:4: objects: unknown key 'crod'; did you mean 'crowd'?",
            "c.yaml:6: image.depth: 9: input should be 8 or 16",
            "c.yaml:7: image: unknown key 'chanels'; did you mean 'channels'?",
            "c.yaml:8: issues.x-y: there is no issue 'x-y'",
        ]

    def test_splits_said_twice(self, problems):
        (told,) = problems("sources:\n  - {adapter: shapes, split: val}\nsplits: {train: 1}\n")
        assert told.endswith("a source has `split:` and the data set has `splits:`; keep one of them")

    @pytest.mark.parametrize("workers", ["0", "-1", "many", "1.5", "null"])
    def test_workers(self, problems, workers):
        told = problems(f"{SHAPES}run: {{workers: {workers}}}\n")
        assert all(line.startswith("c.yaml:3: run.workers") for line in told)

    def test_missing_adapter(self, load):
        with pytest.raises(PluginError, match="there is no adapter 'shaps'; did you mean 'shapes'"):
            load("sources: [{adapter: shaps}]\n")

    def test_a_home_that_nobody_has(self, problems):
        (told,) = problems(SHAPES + "output:\n  directory: ~nobody-of-this-name/x\n")
        assert told.startswith("c.yaml:4: output.directory: ")


NO_YAML = {
    "tab": (b"sources:\n\t- adapter: shapes\n", "c.yaml:2: is not YAML: "),
    "unclosed": (b"sources: [\n", "c.yaml:2: is not YAML: "),
    "two documents": (b"a: 1\n---\nb: 2\n", "c.yaml:2: is not YAML: "),
    "tag": (b"on_error: !!python/name:os.getcwd ''\n", "c.yaml:1: is not YAML: could not determine"),
    "tag of one's own": (b"on_error: !mine x\n", "c.yaml:1: is not YAML: could not determine"),
    "merge": (b"a: {b: 1}\nc:\n  <<: {d: 1}\n", "c.yaml:3: is not YAML: "),
    "undefined alias": (b"a: *b\n", "c.yaml:1: is not YAML: "),
    "itself": (b"sources: &a [*a]\n", "c.yaml:1: is not YAML: it is nested more than 50 deep"),
    "itself, a mapping": (b"sources: &a {x: *a}\n", "c.yaml:1: is not YAML: it is nested more than 50 deep"),
    "deep": (b"a: " + b"[" * 5000, "c.yaml:1: is not YAML: it is nested more than 50 deep"),
    "date": (b"on_error: 2001-13-45\n", "c.yaml:1: is not YAML: '2001-13-45': month must be in 1..12"),
    "control character": (b"a:\n \x00\n", "c.yaml:2: is not YAML: #x0000: special characters are not allowed"),
    "long number": (b"a: " + b"9" * 5000, f"c.yaml:1: is not YAML: '{'9' * 60}...': "),
    "number of 65 bits": (b"a:\n  b: -18446744073709551617\n", "c.yaml:2: is not YAML: '-18446744073709551617': "),
    "long number in hexadecimal": (b"a: 0x" + b"f" * 5000, f"c.yaml:1: is not YAML: '0x{'f' * 58}...': "),
    "half a character": (b'sources:\na: "\\ud83d"\n', "c.yaml:2: is not YAML: '\\ud83d': it holds half a character"),
    "half a character in a key": (b'"\\udbff": 1\n', "c.yaml:1: is not YAML: '\\udbff': it holds half a character"),
    "too many": (b"a: [" + b"1," * 60_000, "c.yaml:1: is not YAML: it has more than 100,000 words and signs"),
    "too long": (b"a: " + b"b" * 2**20, "c.yaml: is longer than 1,048,576 bytes"),
    "tag that does not fit": (b"on_error: !!bool perhaps\n", "c.yaml"),
    "number without digits": (b"on_error: !!int ''\n", "c.yaml"),
    "key that does not fit its tag": (b"? !!bool perhaps\n: 1\n", "c.yaml"),
    "latin-1": (b"a: \xe9\n", "c.yaml: is not UTF-8 text: "),
    "utf-16": ("sources: []".encode("utf-16"), "c.yaml: is not UTF-8 text: "),
    "empty": (b"", "c.yaml: holds no settings; it should begin with 'sources:'"),
    "comment": (b"# later\n", "c.yaml: holds no settings; it should begin with 'sources:'"),
    "list": (b"- adapter: shapes\n", "c.yaml: holds no settings; it should begin with 'sources:'"),
    "word": (b"sources\n", "c.yaml: holds no settings; it should begin with 'sources:'"),
}


def test_10_000_classes_of_long_names(load):
    """As `init` writes them, where sources list different ones."""
    names = [f"{n:04} {'x' * 90}" for n in range(10_000)]
    assert load(f"{SHAPES}classes: {{names: [{', '.join(names)}]}}\n").classes.names == tuple(names)


class TestWhatIsNoYaml:
    @pytest.mark.parametrize("value", ["!!python/object/apply:os.getcwd []", "!!python/object:os.x {crowd: keep}"])
    def test_tag_of_a_list_or_mapping(self, problems, value):
        assert "tag" in problems(f"{SHAPES}objects: {value}\n")[0]

    @pytest.mark.parametrize(("text", "told"), NO_YAML.values(), ids=NO_YAML)
    def test_is_refused(self, problems, text, told):
        (problem,) = problems(text)
        assert problem.startswith(told)

    def test_annotations(self, tmp_path):
        """What somebody gives who has no configuration yet."""
        path = tmp_path / "instances.json"
        path.write_text('{"images": [], "annotations": []}')
        with pytest.raises(ConfigError, match=r"instances\.json: holds no settings; .* `maskflow-convert init FOLDER`"):
            load_config(path)

    def test_aliases_that_multiply(self, problems):
        lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        (problem,) = problems("\n".join(lines))
        assert "aliases that multiply" in problem

    @pytest.mark.parametrize(
        ("name", "told"),
        [("gone.yaml", "cannot be read: No such file"), (".", "is a folder, not a YAML file. `maskflow-convert init")],
    )
    def test_no_file(self, tmp_path, name, told):
        with pytest.raises(ConfigError, match=told) as caught:
            load_config(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


SET = {
    "top": ("on_error=skip-image", "on_error", "skip-image"),
    "nested": ("objects.crowd=keep", "objects.crowd", "keep"),
    "index": ("sources[0].count=3", "sources.0.count", 3),
    "index with a dot": ("sources.0.count=3", "sources.0.count", 3),
    "new mapping": ("classes.rename.bike=bicycle", "classes.rename.bike", "bicycle"),
    "new section": ("splits.val=1", "splits.val", 1.0),
    "list": ("classes.names=[a, no]", "classes.names", ["a", "no"]),
    "mapping": ("classes={names: [a], first_id: 0}", "classes.first_id", 0),
    "null": ("output.shuffle=null", "output.shuffle", None),
    "code": ("issues.mask-empty=ignore", "issues.mask-empty", "ignore"),
    "equals sign": ("classes.rename.a=b=c", "classes.rename.a", "b=c"),
    "space": ("output.shard_size=5 images", "output.shard_size", "5 images"),
}

SET_WRONG = {
    "no equals sign": ("objects.crowd", "--set objects.crowd: write KEY=VALUE, as in objects.crowd=keep"),
    "no key": ("=keep", "--set =keep: write KEY=VALUE, as in objects.crowd=keep"),
    "wrong key": (
        "objects.crod=keep",
        "--set objects.crod=keep: objects: unknown key 'crod'; did you mean 'crowd'?",
    ),
    "wrong key of a source": (
        "sources[0].cuont=3",
        "--set sources[0].cuont=3: sources[0]: unknown key 'cuont'; did you mean 'count'?",
    ),
    "wrong value": (
        "objects.crowd=drop",
        "--set objects.crowd=drop: objects.crowd: 'drop': input should be 'skip' or 'keep'",
    ),
    "wrong YAML": ("on_error=[", "--set on_error=[: the value is not YAML"),
    "tag": ("on_error=!mine x", "--set on_error=!mine x: the value is not YAML"),
    "date": ("on_error=2001-13-45", "--set on_error=2001-13-45: the value is not YAML"),
    "tag that does not fit": ("on_error=!!bool x", "--set on_error=!!bool x: the value is not YAML"),
    "beyond the list": ("sources[1].count=3", "--set sources[1].count=3: there is no sources[1]"),
    "word as index": ("sources[x].count=3", "--set sources[x].count=3: there is no sources.x"),
    "half a character": (r'on_error="\ud83d"', r'--set on_error="\ud83d": the value is not YAML'),
    "odd digit": ("sources[²].count=3", "--set sources[²].count=3: there is no sources.²"),
    "below a word": ("on_error.x=3", "--set on_error.x=3: there is no on_error.x"),
}


class TestSet:
    @pytest.mark.parametrize(("override", "key", "value"), SET.values(), ids=SET)
    def test_sets(self, load, override, key, value):
        found: Any = load(SHAPES, override).model_dump(mode="json")
        for step in key.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        assert found == value

    def test_replaces_what_the_yaml_says(self, load):
        config = load(SHAPES + "objects: {crowd: skip, boxes: skip}\n", "objects.crowd=keep")
        assert (config.objects.crowd, config.objects.boxes) == ("keep", "skip")

    def test_the_last_one_counts(self, load):
        assert load(SHAPES, "on_error=skip-image", "on_error=skip-object").on_error == "skip-object"

    def test_relative_path(self, tmp_path, monkeypatch):
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs/c.yaml").write_text(SHAPES)
        monkeypatch.chdir(tmp_path)
        config = load_config("configs/c.yaml", ["output.directory=records"])
        assert config.output.directory == tmp_path / "configs/records"

    @pytest.mark.parametrize(("override", "told"), SET_WRONG.values(), ids=SET_WRONG)
    def test_refuses(self, problems, override, told):
        assert problems(SHAPES + "on_error: stop\n", override) == [told]

    def test_blames_itself_for_what_it_replaced(self, problems):
        told = problems(SHAPES + "objects: {crowd: skip}\n", "objects={crowd: drop}")
        assert told == ["--set objects={crowd: drop}: objects.crowd: 'drop': input should be 'skip' or 'keep'"]


RESOLVED = {
    "defaults": {},
    "no shuffling": {"output": {"shuffle": None}},
    "shuffling": {"output": {"shuffle": 3}},
    "splits": {"splits": {"train": 0.5, "val": 0.5, "seed": 3}},
    "classes": {"classes": {"names": ["no", "0o17", "1e3", "a: b", " é ", "~"], "rename": {"disc": "no", "null": "~"}}},
    "no class": {"classes": {"names": [], "unknown": "skip"}},
    "choices": {
        "image": {"exif": "ignore", "channels": "source", "depth": 16, "max_pixels": 48, "ids": "sequential"},
        "objects": {"crowd": "keep", "difficult": "skip", "empty": "error", "boxes": "rectangle"},
        "issues": {"polygon-outside-image": "ignore", "mask-empty": "error", "rle-zero-run": "fix"},
        "on_error": "skip-image",
        "run": {"workers": 3},
    },
    "output": {"output": {"layout": "rows_first", "shard_size": "1 KiB", "compression": "gzip"}},
    "shards of images": {"output": {"shard_size": "2 images"}},
}


class TestResolved:
    @pytest.mark.parametrize("sections", RESOLVED.values(), ids=RESOLVED)
    def test_loads_again_as_the_same(self, tmp_path, sections):
        sections = {**sections, "output": {"shuffle": 7, **sections.get("output", {})}}
        path = script(tmp_path, [{"key": "a.png"}], **sections)
        convert(path)
        moved = (tmp_path / "out/config.yaml").rename(tmp_path / "config.yaml")
        assert load_config(moved) == load_config(path)

    def test_loads_where_it_lies(self, tmp_path):
        """Unless it names a file with code, which is loaded from the folder of the YAML only."""
        path = tmp_path / "c.yaml"
        path.write_text("sources: [{adapter: shapes, count: 2}]\noutput: {directory: out}\n")
        convert(path)
        assert load_config(tmp_path / "out/config.yaml") == load_config(path)

    def test_loads_from_anywhere(self, tmp_path, monkeypatch):
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path)
        path = script(
            Path("sub"), [{"key": "a.png"}], source={"folder": "images"}, on_error="skip-image", output={"shuffle": 7}
        )
        convert(path)
        moved = (tmp_path / "sub/out/config.yaml").rename(tmp_path / "config.yaml")
        assert load_config(moved) == load_config(path)

    def test_holds_every_default(self, tmp_path):
        path = tmp_path / "c.yaml"
        path.write_text("sources: [{adapter: shapes, count: 2}]\noutput: {directory: out}\n")
        convert(path)
        config = load_config(tmp_path / "out/config.yaml")
        text = (tmp_path / "out/config.yaml").read_text()
        for section, values in config.model_dump(mode="json", exclude_none=True).items():
            assert f"{section}:" in text
            for key in values if isinstance(values, dict) else ():
                assert f"{key}:" in text


WORDS = st.sampled_from(
    [
        *("adapter", "shapes", "coco", "count", "annotations", "split", "names", "train", "seed", "keep", "shares"),
        *("mask-empty", "5 images", "on", "..", "~", "", "a\0b", "é", "./x.py:A", ":", "\0.py:A", SCRIPTED),
    ]
)
SCALARS = st.one_of(WORDS, st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=5))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(list(DEFAULTS)), inner),
    max_leaves=8,
)
SOURCES = st.lists(st.fixed_dictionaries({"adapter": st.sampled_from(["shapes", "coco"]) | WORDS}) | TREES, max_size=2)
CONFIGS = st.fixed_dictionaries({"sources": SOURCES | TREES}, optional=dict.fromkeys(DEFAULTS, TREES))


class TestAnythingElse:
    @given(CONFIGS | TREES)
    @example({"sources": [{"adapter": "\0.py:A"}]})
    @settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_trees(self, tmp_path, tree):
        """JSON is YAML; nan, which JSON has not, is written as a word."""
        path = tmp_path / "c.yaml"
        path.write_text(json.dumps(tree), encoding="utf-8")
        with contextlib.suppress(ConfigError, PluginError):
            load_config(path)

    @given(st.text(alphabet="aé019-:?,[]{}&*!|>'\"%@`#~\n\t .", max_size=30))
    @settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_texts(self, tmp_path, text):
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        with contextlib.suppress(ConfigError):
            load_config(path)

    @given(st.text(alphabet="sources[]0.=ab!*&{}: '\"²", max_size=20))
    @settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_overrides(self, tmp_path, override):
        path = tmp_path / "c.yaml"
        path.write_text(SHAPES, encoding="utf-8")
        with contextlib.suppress(ConfigError, PluginError):
            load_config(path, [override])
