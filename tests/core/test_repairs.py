"""Repairs: the same pixels, nothing left to be said, and what a run makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugins import scripted
from core.plugins.scripted import records, script
from maskflow_convert import convert, registry
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.checks import Objects, find
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.repairs import REPAIRS
from maskflow_convert.sample import Instance
from maskflow_convert.shape import Polygons, Rle, Shape, Union

WIDTH, HEIGHT = 12, 9

SQUARE = (2, 2, 6, 2, 6, 6, 2, 6)
RASTERISERS = ("coco", "labelme")


def polygons(*parts, rasteriser="coco"):
    return Polygons(parts=parts, rasteriser=rasteriser)


CASES = {
    "polygon-outside-image": (
        polygons((-3.3, 1.2, 8.5, -2.7, 15.1, 7.9, 4, 11)),
        polygons((-30, 4, 50, 4.2, 50, 5)),
        Union(members=(polygons(SQUARE), polygons((5, 5, 20, 5, 20, 7)))),
    ),
    "polygon-self-intersecting": (
        polygons((1, 1, 8, 8, 8, 1, 1, 8)),
        polygons((1, 4, 10, 4, 3, 8, 5, 0, 8, 8)),
        polygons((0.5, 4.1, 10.3, 4.2, 3.7, 8.8, 5.1, 0.3, 8.9, 8.1), SQUARE),
    ),
    "polygon-points-repeated": (
        polygons((2, 2, 2, 2, 6, 2, 6, 2, 6, 2, 6, 6, 2, 6, 2, 6)),
        polygons((2, 2, 6, 2, 6, 6, 6, 6), (8, 1, 8, 1, 10, 1, 10, 5)),
        Union(members=(Rle(width=WIDTH, height=HEIGHT, counts=(100, 8)), polygons((2, 2, 6, 2, 6, 2, 6, 6)))),
    ),
    "polygon-part-dropped": (polygons(SQUARE, (8, 8, 10, 8)), polygons((), SQUARE, (1, 1), (8, 1, 10, 1, 10, 5))),
    "polygon-part-without-pixels": (
        polygons(SQUARE, (8, 1, 10, 1.1, 8, 1.2)),
        polygons((8, 1, 10, 1.1, 8, 1.2), SQUARE),
    ),
    "rle-zero-run": (
        Rle(width=WIDTH, height=HEIGHT, counts=(10, 3, 0, 4, 5, 0, 86)),
        Rle(width=WIDTH, height=HEIGHT, counts=(100, 8, 0)),
        Rle(width=WIDTH, height=HEIGHT, counts=(0, 0, 100, 8)),
    ),
}


def pixels(shape: Shape) -> list[list[bool]]:
    return Rasteriser(WIDTH, HEIGHT).runs(shape).to_dense().tolist()


def found(shape: Shape) -> set[str]:
    mask = Rasteriser(WIDTH, HEIGHT).runs(shape)
    objects = Objects([Instance(label="cell", shape=shape)], [mask], WIDTH, HEIGHT)
    return {issue.code for _, issue in find(objects)}


def drawn_by(rasteriser: str, shape: Shape) -> Shape:
    match shape:
        case Polygons():
            return Polygons(parts=shape.parts, rasteriser=rasteriser)
        case Union():
            return Union(members=tuple(drawn_by(rasteriser, member) for member in shape.members))
        case _:
            return shape


@pytest.mark.parametrize("rasteriser", RASTERISERS)
@pytest.mark.parametrize("code", REPAIRS)
def test_repair(code, rasteriser):
    for shape in (drawn_by(rasteriser, each) for each in CASES[code]):
        if code == "polygon-part-without-pixels" and rasteriser == "labelme":
            shape = Polygons(parts=(SQUARE, (20, 1, 25, 1, 25, 5)), rasteriser=rasteriser)
        assert code in found(shape)
        repaired = REPAIRS[code](shape, WIDTH, HEIGHT)
        assert pixels(repaired) == pixels(shape)
        assert code not in found(repaired)


def test_what_is_repairable_is_a_warning_and_said_so():
    for code in REPAIRS:
        assert CATALOGUE[code].severity is Severity.WARNING
        assert code in CASES
    for code in ("polygon-self-intersecting", "polygon-points-repeated", "polygon-part-without-pixels", "rle-zero-run"):
        assert "`fix`" in CATALOGUE[code].remedy


@pytest.mark.parametrize("code", REPAIRS)
def test_a_clean_shape_stays_as_it_is(code):
    for shape in (polygons(SQUARE), Union(members=(polygons(SQUARE), Rle(width=12, height=9, counts=(100, 8))))):
        repaired = REPAIRS[code](shape, WIDTH, HEIGHT)
        assert pixels(repaired) == pixels(shape)
        if REPAIRS[code].__name__ != "as_filled":
            assert repaired == shape


def test_a_part_keeps_three_points():
    """LabelMe draws the line that they are."""
    line = polygons((1, 1, 1, 1, 5, 5), rasteriser="labelme")
    assert REPAIRS["polygon-points-repeated"](line, WIDTH, HEIGHT) == line


def test_parts_stay_where_none_has_a_pixel():
    slivers = polygons((8, 1, 10, 1.1, 8, 1.2), (8, 3, 10, 3.1, 8, 3.2))
    assert REPAIRS["polygon-part-without-pixels"](slivers, WIDTH, HEIGHT) == slivers


COORDINATES = st.integers(-4, 14) | st.floats(-4, 14, width=16)
POINTS = st.tuples(COORDINATES, COORDINATES, st.integers(1, 3))
PARTS = st.lists(
    st.lists(POINTS, max_size=6).map(lambda points: tuple(v for x, y, times in points for v in (x, y) * times)),
    min_size=1,
    max_size=3,
).filter(lambda parts: any(len(part) >= 6 for part in parts))


@given(PARTS, st.sampled_from(RASTERISERS), st.permutations(sorted(REPAIRS)))
def test_any_repair_of_any_polygon_keeps_its_pixels(parts, rasteriser, codes):
    """One after another, in any order, as an object with several issues has them."""
    shape = repaired = Polygons(parts=tuple(parts), rasteriser=rasteriser)
    for code in codes:
        repaired = REPAIRS[code](repaired, WIDTH, HEIGHT)
        assert pixels(repaired) == pixels(shape)


@given(st.lists(st.integers(0, 6), max_size=30))
def test_any_run_lengths_keep_their_pixels(counts):
    counts = [count for at, count in enumerate(counts) if sum(counts[: at + 1]) <= WIDTH * HEIGHT]
    shape = Rle(width=WIDTH, height=HEIGHT, counts=(*counts, WIDTH * HEIGHT - sum(counts)))
    repaired = REPAIRS["rle-zero-run"](shape, WIDTH, HEIGHT)
    assert pixels(repaired) == pixels(shape)
    assert "rle-zero-run" not in found(repaired)


class TestInARun:
    def run(self, folder, monkeypatch, shape, **sections):
        """Convert an image with a good object and one of that shape: what is listed, and the written masks."""
        folder.mkdir(exist_ok=True)
        module = registry.load(f"{folder}/{scripted.beside(folder)}").__module__
        monkeypatch.setitem(__import__(module).SHAPES, "outside", shape)
        pictures = [{"key": "a.png", "things": ["good", "outside"]}]
        report = convert(script(folder, pictures, on_error="skip-object", **sections))
        assert report.total.adds_up
        issues = [json.loads(line) for line in (folder / "out/issues.jsonl").read_text().splitlines()]
        [record] = records(folder / "out/train-00000-of-00001.tfrecord")
        listed = [[issue[key] for key in ("code", "severity", "loss", "fixed", "object")] for issue in issues]
        return listed, np.array(record["image/masks_indices"]).reshape(-1, 3).tolist()

    OUTSIDE = polygons((-3, 1, 5, 1, 5, 4))

    def test_a_repaired_object_is_kept_and_listed(self, tmp_path, monkeypatch):
        listed, masks = self.run(tmp_path, monkeypatch, self.OUTSIDE, issues={"polygon-outside-image": "fix"})
        assert listed == [["polygon-outside-image", "warning", None, True, "a.png/1"]]
        assert [pixel[1:] for pixel in masks if pixel[0] == 1] == [
            [x, y] for x, y in np.argwhere(Rasteriser(8, 6).runs(self.OUTSIDE).to_dense().T).tolist()
        ]

    def test_nothing_is_repaired_unasked(self, tmp_path, monkeypatch):
        listed, _ = self.run(tmp_path, monkeypatch, self.OUTSIDE)
        assert listed == [["polygon-outside-image", "warning", None, False, "a.png/1"]]

    def test_a_conversion_repairs_what_it_does_not_look_for_otherwise(self, tmp_path, monkeypatch):
        shape = polygons((1, 1, 1, 1, 5, 1, 5, 4))
        assert self.run(tmp_path / "a", monkeypatch, shape)[0] == []
        listed, _ = self.run(tmp_path / "b", monkeypatch, shape, issues={"polygon-points-repeated": "fix"})
        assert listed == [["polygon-points-repeated", "warning", None, True, "a.png/1"]]

    def test_a_repair_saves_no_object_from_another_error(self, tmp_path, monkeypatch):
        shape = polygons((-3, 1, 5, 1, 5, 4), (1, 1))
        severities = {"polygon-outside-image": "fix", "polygon-part-dropped": "error"}
        listed, masks = self.run(tmp_path, monkeypatch, shape, issues=severities)
        assert [row[:4] for row in listed] == [
            ["polygon-outside-image", "warning", None, True],
            ["polygon-part-dropped", "error", "object", False],
        ]
        assert {pixel[0] for pixel in masks} == {0}
