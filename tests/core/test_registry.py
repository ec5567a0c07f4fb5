"""Adapters by name, by class and by file; and what is said of those that cannot be had."""

from __future__ import annotations

import pickle
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from core.plugins.scripted import SCRIPTED, script
from maskflow_adapters.coco import CocoAdapter
from maskflow_adapters.shapes import ShapesAdapter
from maskflow_convert import Adapter, convert, load_config, registry
from maskflow_convert.errors import ConfigError, PluginError

HEAD = "from maskflow_convert import Adapter, AdapterOptions, Entry, Index\n"
WHOLE = HEAD + "class Mine(Adapter):\n    def index(self): return Index([], ['x'])\n    def read(self, record): ...\n"

BROKEN = {
    "no such class": ("x = 1\n", "has no (class Mine|attribute 'Mine')"),
    "import fails": (
        "import no_such_module_anywhere\n",
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    "syntax": ("class Mine(:\n", "SyntaxError: "),
    "raises": ("1 / 0\n", "ZeroDivisionError: division by zero"),
    "raises AttributeError": (
        "import os\nos.no_such_thing\n",
        "AttributeError: module 'os' has no attribute 'no_such_thing'",
    ),
    "ends the program": ("raise SystemExit(0)\n", "SystemExit"),
    "no class": ("Mine = 3\n", "is not a subclass of maskflow_convert.Adapter"),
    "another class": ("class Mine: ...\n", "is not a subclass of maskflow_convert.Adapter"),
    "no methods": (HEAD + "class Mine(Adapter): ...\n", "does not define index and read"),
    "no read": (HEAD + "class Mine(Adapter):\n    def index(self): ...\n", "does not define read"),
    "options": (
        WHOLE + "    class Options: ...\n",
        "its Options are not a subclass of maskflow_convert.AdapterOptions",
    ),
    "options that are no class": (WHOLE + "    Options = None\n", "its Options are not a subclass"),
}


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """Install distributions that offer adapters: `offered({distribution: {name: module:Class}})`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.load.cache_clear()

    def install(offers: dict[str, dict[str, str]]) -> None:
        for distribution, points in offers.items():
            folder = tmp_path / f"{distribution}-1.5.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
            lines = [f"{name} = {value}\n" for name, value in points.items()]
            (folder / "entry_points.txt").write_text("[maskflow_convert.adapters]\n" + "".join(lines))

    yield install
    registry.load.cache_clear()
    registry.describe.cache_clear()


class TestInstalled:
    def test_the_built_in_ones(self):
        offers = registry.installed()
        assert {"coco", "shapes"} <= offers.keys()
        assert [point.value for point in offers["coco"]] == ["maskflow_adapters.coco:CocoAdapter"]
        assert re.fullmatch(r"maskflow-convert \d+\.\d+\.\d+\S*", registry.offered_by(offers["coco"][0]))

    @pytest.mark.parametrize(
        ("reference", "adapter"),
        [
            ("coco", CocoAdapter),
            ("shapes", ShapesAdapter),
            ("maskflow_adapters.coco:CocoAdapter", CocoAdapter),
        ],
    )
    def test_load(self, reference, adapter):
        assert registry.load(reference) is adapter

    def test_of_another_distribution(self, offered, tmp_path):
        (tmp_path / "thirdparty_adapters.py").write_text(WHOLE)
        offered({"thirdparty": {"mine": "thirdparty_adapters:Mine"}})
        assert issubclass(registry.load("mine"), Adapter)
        assert registry.offered_by(registry.installed()["mine"][0]) == "thirdparty 1.5"

    def test_two_of_one_name(self, offered):
        offered({"aaa": {"twin": "aaa_m:Twin"}, "bbb": {"twin": "bbb_m:Twin"}})
        with pytest.raises(PluginError, match=r"adapter 'twin' is offered by aaa 1\.5 and bbb 1\.5") as caught:
            registry.load("twin")
        assert "aaa_m:Twin" in str(caught.value)
        assert registry.load("coco") is CocoAdapter

    def test_a_name_of_ours_is_not_replaced_in_silence(self, offered):
        offered({"zzz": {"coco": "zzz_m:Coco"}})
        with pytest.raises(PluginError, match=r"maskflow-convert \S+ and zzz 1\.5"):
            registry.load("coco")
        assert registry.load("shapes") is ShapesAdapter

    @pytest.mark.parametrize(("text", "told"), BROKEN.values(), ids=BROKEN)
    def test_broken(self, offered, tmp_path, monkeypatch, text, told):
        monkeypatch.delitem(sys.modules, "broken_adapters", raising=False)
        (tmp_path / "broken_adapters.py").write_text(text)
        offered({"broken": {"bad": "broken_adapters:Mine"}})
        for reference, named in (("bad", "adapter 'bad' of broken 1.5"), ("broken_adapters:Mine", "broken_adapters")):
            with pytest.raises(PluginError) as caught:
                registry.load(reference)
            assert named in str(caught.value)
            assert re.search(told, str(caught.value))
        assert registry.load("coco") is CocoAdapter

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("coc", "there is no adapter 'coc'; did you mean 'coco'?"),
            ("Shapes", "there is no adapter 'Shapes'; did you mean 'shapes'?"),
            ("zzzz", "there is no adapter 'zzzz'. Installed: coco, "),
            ("", "there is no adapter ''"),
        ],
    )
    def test_missing(self, name, told):
        with pytest.raises(PluginError) as caught:
            registry.load(name)
        assert str(caught.value).startswith(told)
        assert "Installed: coco" in str(caught.value)

    def test_unknown_distribution(self):
        point = EntryPoint("x", "m:C", registry.GROUP)
        assert registry.offered_by(point) == "an unknown distribution"

    @pytest.mark.parametrize(
        "reference", [":", "a:", ":A", "..a:b", "no_such_module_anywhere:A", "os:path", "os:path.x", "os:", "a b:c"]
    )
    def test_no_reference(self, reference):
        with pytest.raises(PluginError, match=f"adapter {re.escape(reference)}"):
            registry.load(reference)


class TestReferenceTo:
    @pytest.mark.parametrize("reference", ["maskflow_adapters.coco:CocoAdapter", SCRIPTED])
    def test_is_what_loads_it(self, reference):
        assert registry.reference_to(registry.load(reference)) == reference

    def test_from_a_name(self):
        assert registry.reference_to(registry.load("shapes")) == "maskflow_adapters.shapes:ShapesAdapter"

    def test_from_a_file_named_otherwise(self, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(WHOLE)
        monkeypatch.chdir(tmp_path)
        adapters = {registry.load(path) for path in ("mine.py:Mine", "./mine.py:Mine", f"{tmp_path}/mine.py:Mine")}
        assert [registry.reference_to(adapter) for adapter in adapters] == [f"{tmp_path}/mine.py:Mine"]

    def test_none(self):
        class Inner(ShapesAdapter):
            """Of a function."""

        with pytest.raises(PluginError, match="Inner"):
            registry.reference_to(Inner)

    def test_hidden_by_another(self, monkeypatch):
        hidden = type("CocoAdapter", (CocoAdapter,), {"__module__": CocoAdapter.__module__})
        with pytest.raises(PluginError, match="is another class than the one that is asked for"):
            registry.reference_to(hidden)


class TestDescribe:
    def test_names_the_package(self, offered):
        offered({"thirdparty": {"mine": "m:Mine"}})
        registry.describe.cache_clear()
        assert registry.describe("mine") == "adapter 'mine' of thirdparty 1.5"
        assert registry.describe("/x/mine.py:Mine") == "adapter /x/mine.py:Mine"


class TestFile:
    @pytest.fixture
    def write(self, tmp_path):
        (tmp_path / "configs").mkdir()

        def write(text: str, reference: str = "./mine.py:Mine") -> Path:
            (tmp_path / "configs/mine.py").write_text(text)
            path = tmp_path / "configs/c.yaml"
            path.write_text(f"sources: [{{adapter: '{reference}'}}]\noutput: {{directory: out}}\n")
            return path

        return write

    @pytest.mark.parametrize("reference", ["./mine.py:Mine", "mine.py:Mine", "../configs/mine.py:Mine"])
    def test_beside_the_yaml(self, write, tmp_path, monkeypatch, reference):
        path = write(WHOLE, reference)
        monkeypatch.chdir(tmp_path)
        assert load_config(path).sources[0].adapter == f"{tmp_path}/configs/mine.py:Mine"
        assert load_config("configs/c.yaml") == load_config(path)

    @pytest.mark.parametrize(("text", "told"), BROKEN.values(), ids=BROKEN)
    def test_broken(self, write, text, told):
        with pytest.raises(PluginError) as caught:
            load_config(write(text))
        assert re.search(told, str(caught.value))
        assert "mine.py" in str(caught.value)

    def test_mended(self, write):
        """A file that failed is read again."""
        with pytest.raises(PluginError):
            load_config(write("1 / 0\n"))
        assert load_config(write(WHOLE)).sources[0].adapter.endswith("mine.py:Mine")

    def test_missing(self, tmp_path):
        path = tmp_path / "c.yaml"
        path.write_text("sources: [{adapter: './gone.py:Mine'}]\n")
        with pytest.raises(PluginError, match=r"gone\.py: there is no such file"):
            load_config(path)

    def test_two_files_of_one_name(self, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "mine.py").write_text(WHOLE + f"    PLACE = {folder!r}\n")
        adapters = [registry.load(f"{tmp_path}/{folder}/mine.py:Mine") for folder in ("a", "b")]
        assert [adapter.PLACE for adapter in adapters] == ["a", "b"]

    def test_what_it_defines_pickles(self):
        adapter = registry.load(SCRIPTED)
        options = adapter.Options(pictures=({"key": "a.png"},))
        (entry,) = adapter(options).index().entries
        assert pickle.loads(pickle.dumps((adapter, options, entry))) == (adapter, options, entry)  # noqa: S301

    def test_works_in_processes(self, tmp_path):
        """Options and records are of classes that the file defines, and the workers start without it."""
        pictures = [{"key": f"{n}.png", "things": ["good"]} for n in range(4)]
        run = {"executor": "processes", "workers": 2}
        path = script(tmp_path, pictures, output={"shard_size": "1 images"}, run=run)
        assert convert(path).total.objects_written == 4

    def test_options_are_checked(self, write):
        option = (
            WHOLE.replace("class Mine", "class O(AdapterOptions):\n    size: int\nclass Mine") + "    Options = O\n"
        )
        with pytest.raises(ConfigError, match=r"c\.yaml:1: sources\[0\]: key 'size' is missing"):
            load_config(write(option))

    def test_options_of_the_class_are_all_there_is(self, write):
        path = write(WHOLE)
        path.write_text("sources:\n  - adapter: ./mine.py:Mine\n    folder: x\n")
        with pytest.raises(ConfigError, match=r"c\.yaml:3: sources\[0\]: unknown key 'folder'"):
            load_config(path)
