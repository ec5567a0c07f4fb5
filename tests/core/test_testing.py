"""The conformance kit passes an adapter that keeps the contract, and catches each way of breaking it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from core.plugins.careless import Careless, CarelessOptions, Lax, LaxOptions, draw
from maskflow_convert import Found, registry
from maskflow_convert.errors import PluginError
from maskflow_convert.record import Layout
from maskflow_convert.testing import AdapterConformance

RECTANGLE = "...... .###.. .###.. ......"
DRAWN = {"a.png": [("cell", RECTANGLE)], "b.png": [], "c.png": [("nucleus", RECTANGLE)]}
KIT = AdapterConformance()


def careless(folder: Path, fault: str = "") -> Careless:
    return Careless(CarelessOptions(folder=draw(folder, a="cell", b="", c="nucleus"), fault=fault))


class TestCareful(AdapterConformance):
    @pytest.fixture
    def adapter(self, tmp_path):
        return careless(tmp_path)

    @pytest.fixture(params=["drawings", "arrays"])
    def expected(self, request):
        if request.param == "drawings":
            return DRAWN
        mask = np.zeros((4, 6), np.uint8)
        mask[1:3, 1:4] = 255
        return {key: [(label, mask) for label, _ in instances] for key, instances in DRAWN.items()}

    @pytest.fixture
    def broken(self, tmp_path):
        return Careless(CarelessOptions(folder=draw(tmp_path, a="?")))


class TestOfAFile(TestCareful):
    """Without a package, from a file that other processes find by its path."""

    @pytest.fixture
    def adapter(self, tmp_path):
        adapter_class = registry.load(f"{Path(__file__).parent}/plugins/careless.py:Careless")
        assert adapter_class is not Careless
        return adapter_class(adapter_class.Options(folder=careless(tmp_path).options.folder))


def finding(sources: list[dict[str, str]]) -> type[Careless]:
    """An adapter that discovers these, by paths from the folder on."""

    class Keen(Careless):
        """Says that it has found something."""

        @classmethod
        def discover(cls, tree):
            for source in sources:
                for key in source.keys() - {"split"}:
                    source[key] = tree.root / source[key]
            yield from [Found(tree.root, "by its face", sources)] if sources else []

    return Keen


LISTINGS = ["os.listdir", "os.scandir", "os.walk", "Path.glob", "Path.rglob", "Path.iterdir"]


class TestCatches:
    @pytest.mark.parametrize("fault", LISTINGS)
    def test_files_that_are_not_sorted(self, tmp_path, fault):
        with pytest.raises(AssertionError, match="sort the files"):
            KIT.test_the_order_is_stable(careless(tmp_path, fault))

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            ("same key", r"lists keys more than once: a\.png"),
            ("empty key", "a key is empty"),
            ("no image", "`adapter` has no image"),
        ],
    )
    def test_keys(self, tmp_path, fault, told):
        with pytest.raises(AssertionError, match=told):
            KIT.test_keys_are_unique(careless(tmp_path, fault))

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (
                "shifted",
                "a.png: instance 0, cell: 4 pixels differ, the first in row 1, column 1\nfound:\n......\n..###.",
            ),
            ("other rasteriser", "a.png: instance 0, cell: "),
            ("label", "c.png: the labels are ['cell']"),
            ("twice", "a.png: the labels are ['cell', 'cell']"),
            ("image left out", "the keys are ['b.png', 'c.png'], and not ['a.png', 'b.png', 'c.png'] as expected"),
        ],
    )
    def test_another_sample(self, tmp_path, fault, told):
        failed = (AssertionError, pytest.fail.Exception)
        with pytest.raises(failed, match=re.escape(told)):
            KIT.test_samples_are_those_expected(careless(tmp_path, fault), DRAWN)
        with pytest.raises(failed, match=re.escape(told)):
            KIT.test_records_hold_the_same(careless(tmp_path, fault), DRAWN, Layout.DOCUMENTED, tmp_path)

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            ("unlisted label", r"does not list the labels \['nucleus'\], only \['cell'\]"),
            ("key of the sample", r"the sample of 'a\.png' has the key 'x'"),
            ("sample of another type", r"read\(\) returned dict instead of a Sample"),
        ],
    )
    def test_a_sample_against_the_contract(self, tmp_path, fault, told):
        with pytest.raises(AssertionError, match=told):
            KIT.test_samples_are_those_expected(careless(tmp_path, fault), DRAWN)

    def test_options_that_take_anything(self, tmp_path):
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            KIT.test_an_unknown_option_is_refused(Lax(LaxOptions(folder=tmp_path)))

    def test_records_that_do_not_pickle(self, tmp_path):
        with pytest.raises(Exception, match=r"pickle|local object"):
            KIT.test_it_pickles(careless(tmp_path, "record that does not pickle"))

    @pytest.mark.parametrize(
        ("fault", "error", "told"),
        [
            ("state", AttributeError, "labels"),
            ("what was read before", AssertionError, "is another sample in another process"),
            ("keys in the order of a set", AssertionError, "lists other keys, or in another order"),
        ],
    )
    def test_what_differs_in_another_process(self, tmp_path, fault, error, told):
        with pytest.raises(error, match=told):
            KIT.test_a_spawned_process_reads_the_same(careless(tmp_path, fault))

    @pytest.mark.parametrize(
        ("fault", "told"), [("silent", "was read without an error"), ("no place", "does not say in which file it is")]
    )
    def test_a_fault_that_is_not_told(self, tmp_path, fault, told):
        with pytest.raises(AssertionError, match=told):
            KIT.test_a_fault_is_told_with_its_place(
                Careless(CarelessOptions(folder=draw(tmp_path, a="?"), fault=fault))
            )

    @pytest.mark.parametrize("drawing", ["", "## #", "#x ..", "0 0"])
    def test_a_drawing_that_is_none(self, tmp_path, drawing):
        with pytest.raises(pytest.fail.Exception, match="a mask is drawn in rows of one length"):
            KIT.test_samples_are_those_expected(careless(tmp_path), {**DRAWN, "a.png": [("cell", drawing)]})

    def test_a_drawing_of_another_size(self, tmp_path):
        with pytest.raises(AssertionError, match=r"the image is 6 x 4, the mask expected 4 x 6|\(4, 6\)"):
            KIT.test_samples_are_those_expected(careless(tmp_path), {**DRAWN, "a.png": [("cell", "#... " * 6)]})

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            ([], r"discover\(\) finds no data set in "),
            ([{"folder": "elsewhere"}], r"what discover\(\) finds has the images \[\['d\.png'\]\]"),
            ([{"folder": "."}, {"folder": "elsewhere"}], r"\['a\.png', 'b\.png', 'c\.png', 'd\.png'\]"),
            ([{"fodler": "."}], "fodler\n  Extra inputs are not permitted"),
        ],
    )
    def test_a_discovery_of_something_else(self, tmp_path, found, told):
        (tmp_path / "elsewhere").mkdir()
        draw(tmp_path / "elsewhere", d="cell")
        with pytest.raises((AssertionError, ValidationError), match=told):
            KIT.test_it_discovers_its_own(finding(found)(careless(tmp_path).options))

    def test_a_discovery_of_its_own(self, tmp_path):
        KIT.test_it_discovers_its_own(finding([{"folder": ".", "split": "train"}])(careless(tmp_path).options))

    def test_an_adapter_that_no_other_process_finds(self, tmp_path):
        class Hidden(Careless):
            """Of a function."""

        with pytest.raises(PluginError, match="Hidden"):
            KIT.test_a_spawned_process_reads_the_same(Hidden(careless(tmp_path).options))


def test_fixtures_that_are_not_defined(tmp_path):
    """Each is named, and nothing passes."""
    lines = ["from maskflow_convert.testing import AdapterConformance", "class TestMine(AdapterConformance): ..."]
    (tmp_path / "test_mine.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for name in ("adapter", "broken"):
        assert f"NotImplementedError: TestMine must define a fixture `{name}` that returns " in done.stdout
    assert "10 errors" in done.stdout
    assert "passed" not in done.stdout
