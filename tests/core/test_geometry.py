"""Shapes to pixels, judged by the tools that define them: pycocotools, Pillow, and pixel centres counted one by one."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from maskflow_convert import geometry
from maskflow_convert.errors import ShapeError
from maskflow_convert.geometry import MAX_EFFORT, SURELY_LITTLE, Rasteriser
from maskflow_convert.runs import Runs
from maskflow_convert.shape import Bitmap, Box, Drawing, Polygons, Region, Rle, Shape, Union

# pycocotools' decode, not ours, does so under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Mask = NDArray[np.bool_]
Part = Sequence[float]

SQUARE = (0, 0, 9, 0, 9, 9, 0, 9)


def pixels(shape: Shape, width: int, height: int) -> Mask:
    runs = Rasteriser(width, height).runs(shape)
    assert (runs.width, runs.height) == (width, height)
    assert (np.diff(runs.positions()) > 0).all()
    return runs.to_dense()


def refusal(shape: Shape, width: int = 20, height: int = 15) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        Rasteriser(width, height).runs(shape)
    return caught.value


def polygons(*parts: Part, rasteriser: str = "coco") -> Polygons:
    return Polygons(parts=tuple(map(tuple, parts)), rasteriser=rasteriser)


def by_pycocotools(parts: Sequence[Part], width: int, height: int) -> Mask:
    encoded = coco_mask.frPyObjects([list(part) for part in parts], height, width)
    return coco_mask.decode(encoded).any(axis=2)


def by_pillow(parts: Sequence[Part], width: int, height: int) -> Mask:
    """As LabelMe's `shape_to_mask` draws, each part on a canvas of its own."""
    union = np.zeros((height, width), dtype=bool)
    for part in parts:
        canvas = Image.fromarray(np.zeros((height, width), dtype=np.uint8))
        points = list(zip(part[::2], part[1::2], strict=True))
        ImageDraw.Draw(canvas).polygon(xy=points, outline=1, fill=1)
        union |= np.array(canvas, dtype=bool)
    return union


JUDGES = {"coco": by_pycocotools, "labelme": by_pillow}
both_rasterisers = pytest.mark.parametrize("rasteriser", JUDGES)

coordinates = st.floats(-30, 60, width=32) | st.integers(-5, 45).map(float) | st.integers(-10, 90).map(lambda n: n / 2)
outlines = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9).map(
    lambda points: tuple(number for point in points for number in point)
)
sizes = st.integers(1, 40)


@both_rasterisers
@given(parts=st.lists(outlines, min_size=1, max_size=4), width=sizes, height=sizes)
def test_polygons_have_the_pixels_of_the_tool_they_come_from(
    rasteriser: str, parts: list[Part], width: int, height: int
) -> None:
    found = pixels(polygons(*parts, rasteriser=rasteriser), width, height)
    assert np.array_equal(found, JUDGES[rasteriser](parts, width, height))


@pytest.mark.parametrize(
    ("rasteriser", "corners", "rows_and_columns"),
    [
        ("coco", (0, 9), range(9)),
        ("labelme", (0, 9), range(10)),
        ("coco", (2.6, 7.6), range(3, 8)),
        ("labelme", (2.6, 7.6), range(2, 8)),
    ],
)
def test_the_same_square_in_both_tools(rasteriser: str, corners: tuple[float, float], rows_and_columns: range) -> None:
    low, high = corners
    square = polygons((low, low, high, low, high, high, low, high), rasteriser=rasteriser)
    expected = [[y, x] for y in rows_and_columns for x in rows_and_columns]
    assert np.argwhere(pixels(square, 20, 15)).tolist() == expected


@both_rasterisers
def test_an_inner_ring_makes_no_hole(rasteriser: str) -> None:
    inner = (3, 3, 3, 6, 6, 6, 6, 3)
    with_ring = pixels(polygons(SQUARE, inner, rasteriser=rasteriser), 20, 15)
    assert np.array_equal(with_ring, pixels(polygons(SQUARE, rasteriser=rasteriser), 20, 15))


@both_rasterisers
def test_parts_merge_by_union(rasteriser: str) -> None:
    apart = (11, 1, 14, 1, 14, 4, 11, 4)
    together = pixels(polygons(SQUARE, apart, rasteriser=rasteriser), 20, 15)
    alone = [pixels(polygons(part, rasteriser=rasteriser), 20, 15) for part in (SQUARE, apart)]
    assert alone[0].any()
    assert alone[1].any()
    assert np.array_equal(together, alone[0] | alone[1])


@both_rasterisers
def test_what_leaves_the_image_is_cut(rasteriser: str) -> None:
    assert pixels(polygons((-50, -50, 70, -50, 70, 65, -50, 65), rasteriser=rasteriser), 20, 15).all()
    assert not pixels(polygons((-50, -50, -10, -50, -10, -5), rasteriser=rasteriser), 20, 15).any()


@both_rasterisers
@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([(0, 0, math.nan, 0, 9, 9)], "polygon-not-finite", id="NaN"),
        pytest.param([(0, 0, math.inf, 0, 9, 9)], "polygon-not-finite", id="infinity"),
        pytest.param([(0, 0, 9, -math.inf, 9, 9)], "polygon-not-finite", id="minus infinity"),
        pytest.param([SQUARE, (0, 0, 9, 0, 9, math.nan)], "polygon-not-finite", id="NaN in a later part"),
        pytest.param([SQUARE, (math.nan, 0)], "polygon-not-finite", id="NaN in a part that is too short"),
        pytest.param([(0, 0, 1e8, 0, 9, 9)], "polygon-too-far", id="1e8"),
        pytest.param([(0, 0, 9, -1e8, 9, 9)], "polygon-too-far", id="-1e8"),
        pytest.param([(0, 0, 9, 0, 9, 1e300)], "polygon-too-far", id="1e300"),
        pytest.param([(1e6 + 1, 0, 1e6 - 9, 0, 1e6, 9)], "polygon-too-far", id="just beyond 1e6"),
        pytest.param([(0, -1e6 - 1, 9, -1e6 + 9, 0, -1e6)], "polygon-too-far", id="just beyond -1e6"),
        pytest.param([SQUARE, (0, 0, 9, 0, 9, 1e8)], "polygon-too-far", id="1e8 in a later part"),
        pytest.param([(-1e6, 0, 1e6, 1) * 1000], "polygon-too-far", id="zig-zag in x"),
        pytest.param([(0, 1e6, 1, -1e6) * 1000], "polygon-too-far", id="zig-zag in y"),
        pytest.param([(0, 0, 100, 9) * 20_001], "polygon-too-far", id="zig-zag of many points"),
        pytest.param([SQUARE, (-1e6, 0, 1e6, 1) * 1000], "polygon-too-far", id="zig-zag in a later part"),
        pytest.param([(0, 0, 1e6, 0, 0, 1e6)], "polygon-too-far", id="three points far apart"),
        pytest.param([(0, 0, 9, 0, 9, 9, 0)], "polygon-odd-length", id="odd length"),
        pytest.param([(0,)], "polygon-odd-length", id="one number"),
        pytest.param([SQUARE, (0, 0, 9)], "polygon-odd-length", id="odd length of a later part"),
        pytest.param([], "polygon-too-few-points", id="no part"),
        pytest.param([()], "polygon-too-few-points", id="an empty part"),
        pytest.param([(), ()], "polygon-too-few-points", id="empty parts"),
        pytest.param([(4, 4)], "polygon-too-few-points", id="one point"),
        pytest.param([(0, 0, 9, 9)], "polygon-too-few-points", id="two points, which pycocotools takes for a box"),
        pytest.param([(0, 0, 9, 9), (1, 1, 5, 5)], "polygon-too-few-points", id="two parts of two points"),
    ],
)
def test_no_polygon_reaches_native_code_that_it_cannot_bear(rasteriser: str, parts: list[Part], code: str) -> None:
    assert refusal(polygons(*parts, rasteriser=rasteriser)).code == code


@both_rasterisers
@pytest.mark.parametrize("short", [(), (4, 4), (0, 0, 14, 14)], ids=["no point", "one point", "two points"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_part_of_too_few_points_adds_nothing(rasteriser: str, short: Part, place: int) -> None:
    parts: list[Part] = [SQUARE]
    parts.insert(place, short)
    found = pixels(polygons(*parts, rasteriser=rasteriser), 20, 15)
    assert np.array_equal(found, JUDGES[rasteriser]([SQUARE], 20, 15))


@both_rasterisers
@pytest.mark.parametrize(
    "part",
    [
        pytest.param((0, 0, 6e5, 0, 0, 6e5), id="a long outline"),
        pytest.param((1e6, 1e6, 1e6, 1e6 - 9, 1e6 - 9, 1e6), id="the furthest corner"),
        pytest.param((-1e6, 3, -1e6, 9, -1e6 + 9, 3), id="the furthest to the left"),
        pytest.param((0, 0, 12, 0) * 20_000, id="80,000 points"),
    ],
)
def test_polygons_at_the_limit_are_drawn(rasteriser: str, part: Part) -> None:
    found = pixels(polygons(part, rasteriser=rasteriser), 20, 15)
    assert np.array_equal(found, JUDGES[rasteriser]([part], 20, 15))


far = st.integers(0, 19_000)


@given(part=outlines, x=far, y=far)
def test_a_polygon_far_out_has_the_pixels_of_pillow_too(part: Part, x: int, y: int) -> None:
    """Rows that it cannot reach are left out. Columns are not, since Pillow rounds otherwise where they are few."""
    for width, height, dx, dy in ((x + 40, 40, x, 0), (40, y + 40, 0, y)):
        moved = [value + (dx, dy)[at % 2] for at, value in enumerate(part)]
        found = Rasteriser(width, height).runs(polygons(moved, rasteriser="labelme"))
        assert np.array_equal(found.positions(), np.flatnonzero(by_pillow([moved], width, height).T))


def test_many_polygons_on_a_slide_scan() -> None:
    """10,000 canvases of 20,000 x 20,000 pixels would take hours."""
    rasteriser = Rasteriser(20_000, 20_000)
    for number in range(10_000):
        x, y = (number % 100) * 200, (number // 100) * 200
        runs = rasteriser.runs(polygons((x, y, x + 9, y, x + 9, y + 4, x, y + 4), rasteriser="labelme"))
        assert runs.starts.tolist() == [column * 20_000 + y for column in range(x, x + 10)]
        assert set(runs.lengths.tolist()) == {5}


def drawing(figure: str, *points: float, thickness: int = 1) -> Drawing:
    return Drawing(figure=figure, points=points, thickness=thickness)


def drawn_by_pillow(shape: Drawing, width: int, height: int) -> Mask:
    """As LabelMe's `shape_to_mask` draws, on a canvas of the whole image."""
    canvas = Image.fromarray(np.zeros((height, width), dtype=np.uint8))
    draw = ImageDraw.Draw(canvas)
    points = list(zip(shape.points[::2], shape.points[1::2], strict=True))
    if shape.figure == "line":
        draw.line(xy=points, fill=1, width=shape.thickness)
    else:
        corners = [tuple(map(end, zip(*points, strict=True))) for end in (min, max)]
        {"rectangle": draw.rectangle, "ellipse": draw.ellipse}[shape.figure](corners, outline=1, fill=1)
    return np.array(canvas, dtype=bool)


@pytest.mark.parametrize("figure", ["rectangle", "ellipse"])
@given(corners=st.tuples(*[coordinates] * 4), x=far, y=far)
def test_figures_have_the_pixels_of_pillow(figure: str, corners: tuple[float, ...], x: int, y: int) -> None:
    for width, height, dx, dy in ((33, 21, 0, 0), (x + 33, 21, x, 0), (33, y + 21, 0, y)):
        shape = drawing(figure, *(value + (dx, dy)[at % 2] for at, value in enumerate(corners)))
        found = Rasteriser(width, height).runs(shape)
        assert np.array_equal(found.positions(), np.flatnonzero(drawn_by_pillow(shape, width, height).T))


@given(points=outlines, thickness=st.integers(1, 30), x=far, y=far)
def test_lines_have_the_pixels_of_pillow(points: Part, thickness: int, x: int, y: int) -> None:
    for width, height, dx, dy in ((33, 21, 0, 0), (x + 33, 21, x, 0), (33, y + 21, 0, y)):
        moved = [value + (dx, dy)[at % 2] for at, value in enumerate(points)]
        shape = drawing("line", *moved, thickness=thickness)
        found = Rasteriser(width, height).runs(shape)
        assert np.array_equal(found.positions(), np.flatnonzero(drawn_by_pillow(shape, width, height).T))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (drawing("rectangle", 4, 3, 1, 1), "...... .####. .####. .####."),
        (drawing("rectangle", 1.9, 1.9, 4.2, 2.9), "...... .####. .####. ......"),
        (drawing("rectangle", -0.9, -9, 0.9, 9), "#..... #..... #..... #....."),
        (drawing("rectangle", -0.9, -0.9, -0.2, -0.2), "#..... ...... ...... ......"),
        (drawing("ellipse", 1, 0, 4, 3), "..##.. .####. .####. ..##.."),
        (drawing("ellipse", 4, 3, 1, 0), "..##.. .####. .####. ..##.."),
        (drawing("ellipse", 2, 2, 2, 2), "...... ...... ...... ......"),
        (drawing("line", 0, 0, 3, 3), "#..... .#.... ..#... ...#.."),
        (drawing("line", 0, 1, 5, 1, thickness=2), "...... ###### ###### ......"),
        (drawing("line", 1, 1, 1, 1), "...... .#.... ...... ......"),
        (drawing("line", 9, 9, 20, 9, thickness=3), "...... ...... ...... ......"),
    ],
)
def test_figures_by_hand(shape: Drawing, expected: str) -> None:
    assert ["".join(".#"[int(pixel)] for pixel in row) for row in pixels(shape, 6, 4)] == expected.split()


@pytest.mark.parametrize("figure", ["rectangle", "ellipse", "line"])
@pytest.mark.parametrize(
    ("points", "code"),
    [
        pytest.param((0, 0, math.nan, 9), "polygon-not-finite", id="NaN"),
        pytest.param((0, -math.inf, 9, 9), "polygon-not-finite", id="infinity"),
        pytest.param((0, 0, 1e9, 9), "polygon-too-far", id="1e9"),
        pytest.param((-1e6 - 1, 0, 9, 9), "polygon-too-far", id="just beyond -1e6"),
        pytest.param((-1e6, 0, 1e6, 9), "polygon-too-far", id="too long"),
        pytest.param((0, 0, 9), "polygon-odd-length", id="odd length"),
        pytest.param((0, 0), "polygon-too-few-points", id="one point"),
        pytest.param((), "polygon-too-few-points", id="no point"),
    ],
)
def test_no_figure_reaches_native_code_that_it_cannot_bear(figure: str, points: Part, code: str) -> None:
    assert refusal(drawing(figure, *points)).code == code


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(drawing("ellipse", -50_000, -50_000, 50_000, 50_000), id="a huge circle"),
        pytest.param(drawing("ellipse", 0, 0, 4e5, 7501), id="a huge ellipse"),
        pytest.param(drawing("line", 0, 0, 9, 9, thickness=10**6 + 1), id="a thick line"),
        pytest.param(drawing("line", 0, 0, 9, 9, thickness=10**30), id="a line thicker than integers are"),
    ],
)
def test_figures_beyond_all_measure_are_refused(shape: Drawing) -> None:
    assert refusal(shape).code == "polygon-too-far"


@pytest.mark.parametrize(
    "shape",
    [
        drawing("ellipse", -27_000, -27_000, 27_000, 27_000),
        drawing("ellipse", -4e5, 3, 4e5, 3700),
        drawing("rectangle", -4e5, -4e5, 4e5, 4e5),
        drawing("line", -4e5, -4e5, 4e5, 4e5, thickness=10**6),
    ],
)
def test_figures_at_the_limit_are_drawn(shape: Drawing) -> None:
    assert np.array_equal(pixels(shape, 20, 15), drawn_by_pillow(shape, 20, 15))


@given(parts=st.lists(outlines, max_size=4), width=sizes, height=sizes)
def test_a_union_has_every_pixel_of_its_members(parts: list[Part], width: int, height: int) -> None:
    members = [polygons(part, rasteriser="labelme") for part in parts]
    found = Rasteriser(width, height).runs(Union(members=tuple(members)))
    assert np.array_equal(found.to_dense(), by_pillow(parts, width, height))
    assert (found.starts[1:] > (found.starts + found.lengths)[:-1]).all()


def test_a_union_of_every_kind() -> None:
    members = (
        drawing("line", 5, 0, 5, 3),
        polygons((0, 0, 1, 0, 1, 1, 0, 1), rasteriser="labelme"),
        Rle(height=4, width=6, counts=(22, 1, 1)),
        Bitmap(source=png(PATCH), x=2, y=2),
        Region(source=png(np.eye(4, 6, dtype=np.uint8)), value=1),
        Bitmap(source=png(PATCH), x=-9),
    )
    found = ["".join(".#"[int(pixel)] for pixel in row) for row in pixels(Union(members=members), 6, 4)]
    assert found == ["##...#", "##...#", "..####", "..##.#"]


def test_a_union_says_which_member_is_refused() -> None:
    members = (drawing("line", 5, 0, 5, 3), drawing("line", 5, 0), drawing("line", 5))
    error = refusal(Union(members=members))
    assert (error.code, error.message) == ("polygon-too-few-points", "member 1 of 3: the line has 1 of two points")


BARS = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], dtype=bool)
BARS_COUNTS = (2, 2, 2, 2, 2, 1, 1)  # by hand: columns 001 100 110 010
BARS_STRING = coco_mask.encode(np.asfortranarray(BARS, dtype=np.uint8))["counts"].decode("ascii")


@pytest.mark.parametrize("counts", [BARS_COUNTS, BARS_STRING], ids=["numbers", "string"])
def test_run_lengths_in_both_spellings(counts: tuple[int, ...] | str) -> None:
    assert np.array_equal(pixels(Rle(height=3, width=4, counts=counts), 4, 3), BARS)


@pytest.mark.parametrize("counts", [BARS_COUNTS, BARS_STRING], ids=["numbers", "string"])
@pytest.mark.parametrize(
    ("width", "height", "told"),
    [(4, 4, ""), (5, 3, ""), (2, 6, ""), (3, 4, "width and height were exchanged")],
)
def test_run_lengths_of_another_size_are_refused(
    counts: tuple[int, ...] | str, width: int, height: int, told: str
) -> None:
    error = refusal(Rle(height=3, width=4, counts=counts), width, height)
    assert error.code == "mask-size-differs"
    assert f"4 x 3, the image {width} x {height}" in error.message
    assert told in error.message
    assert bool(told) == ("exchanged" in error.message)


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        pytest.param((2, 2, 2, 2), "rle-sum-differs", id="too short, which pycocotools leaves uninitialised"),
        pytest.param((12, 1), "rle-sum-differs", id="too long"),
        pytest.param((10**30,), "rle-sum-differs", id="huge"),
        pytest.param((), "rle-sum-differs", id="none"),
        pytest.param((14, -2), "rle-negative-run", id="negative"),
        pytest.param(BARS_STRING[:-1], "rle-sum-differs", id="a string too short"),
        pytest.param(BARS_STRING + "1", "rle-sum-differs", id="a string too long"),
        pytest.param(BARS_STRING + "P", "rle-undecodable", id="a string cut off"),
        pytest.param("", "rle-undecodable", id="an empty string"),
        pytest.param("ü", "rle-undecodable", id="a string not ASCII"),
        pytest.param("O=", "rle-negative-run", id="a string with a negative run"),
    ],
)
def test_run_lengths_that_make_no_mask_are_refused(counts: tuple[int, ...] | str, code: str) -> None:
    assert refusal(Rle(height=3, width=4, counts=counts), 4, 3).code == code


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


@pytest.mark.parametrize(
    ("shape", "columns", "rows"),
    [
        pytest.param(box(0, 0, 6, 4), range(6), range(4), id="the whole image"),
        pytest.param(box(1, 2, 3, 3), range(1, 3), range(2, 3), id="whole pixels, half-open"),
        pytest.param(box(0.5, 1.5, 2.5, 3.5), range(2), range(1, 3), id="a centre on the near edge is in"),
        pytest.param(box(0.6, 1.6, 2.6, 3.6), range(1, 3), range(2, 4), id="a centre before the near edge is out"),
        pytest.param(box(0.6, 0, 1.4, 4), [], [], id="between two centres"),
        pytest.param(box(2, 1, 2, 3), [], [], id="no width"),
        pytest.param(box(2, 1, 5, 1), [], [], id="no height"),
        pytest.param(box(-7, -8, 2, 1), range(2), range(1), id="over the top-left corner"),
        pytest.param(box(4, 3, 99, 99), range(4, 6), range(3, 4), id="over the bottom-right corner"),
        pytest.param(box(6, 0, 9, 4), [], [], id="right of the image"),
        pytest.param(box(-9, 0, 0, 4), [], [], id="left of the image"),
        pytest.param(box(0, -9, 6, 0), [], [], id="above the image"),
        pytest.param(box(0, 4, 6, 9), [], [], id="below the image"),
        pytest.param(box(-1e300, -1e300, 1e300, 1e300), range(6), range(4), id="huge"),
    ],
)
def test_a_box_has_the_pixels_whose_centre_lies_in_it(shape: Box, columns: Sequence[int], rows: Sequence[int]) -> None:
    expected = [[y, x] for y in rows for x in columns]
    assert np.argwhere(pixels(shape, 6, 4)).tolist() == expected


@given(st.tuples(*[st.integers(-8, 24).map(lambda n: n / 4) | st.floats(-2, 8)] * 4))
def test_any_box_has_the_pixels_whose_centre_lies_in_it(corners: tuple[float, float, float, float]) -> None:
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    expected = [[x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1 for x in range(5)] for y in range(3)]
    assert pixels(box(x0, y0, x1, y1), 5, 3).tolist() == expected


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(box(3, 0, 2, 4), id="inverted in x"),
        pytest.param(box(0, 3, 6, 2), id="inverted in y"),
        *(
            pytest.param(box(*(bad if i == at else i for i in range(4))), id=f"{bad} at {at}")
            for bad in (math.nan, math.inf, -math.inf)
            for at in range(4)
        ),
    ],
)
def test_what_is_no_box_is_refused(shape: Box) -> None:
    assert refusal(shape).code == "box-invalid"


def png(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def palette_png(labels: NDArray[np.uint8]) -> bytes:
    """A palette image whose colours are no help: the indices are what counts."""
    image = Image.fromarray(labels)
    image.putpalette([(37 * i) % 256 for i in range(768)])
    assert image.mode == "P"
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


PATCH = np.array([[0, 1, 255], [7, 0, 0]], dtype=np.uint8)


@pytest.mark.parametrize("x", range(-4, 8))
@pytest.mark.parametrize("y", range(-3, 6))
def test_a_bitmap_lies_where_its_offset_says_and_is_cut_at_the_edges(x: int, y: int) -> None:
    placed = {(y + row, x + column) for row, column in [(0, 1), (0, 2), (1, 0)]}
    expected = [[(row, column) in placed for column in range(6)] for row in range(4)]
    assert pixels(Bitmap(source=png(PATCH), x=x, y=y), 6, 4).tolist() == expected


@pytest.mark.parametrize(
    "source",
    [png(PATCH), png(PATCH != 0), palette_png(PATCH), png(PATCH.astype(np.uint16) * 257)],
    ids=["grey", "1 bit", "palette", "16 bits"],
)
def test_every_pixel_of_a_bitmap_that_is_not_0_belongs_to_the_object(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(source)
    for shape in (Bitmap(source=source), Bitmap(source=tmp_path / "mask.png")):
        assert np.array_equal(pixels(shape, 3, 2), PATCH != 0)


LABELS = np.array([[0, 1, 1, 2, 0], [255, 1, 0, 2, 2], [255, 0, 1, 0, 255]], dtype=np.uint8)
MANY_LABELS = np.array([[0, 300, 300, 1], [65535, 0, 1, 300], [65535, 2, 2, 256]], dtype=np.uint16)


@pytest.mark.parametrize(
    ("source", "labels"),
    [(palette_png(LABELS), LABELS), (png(LABELS), LABELS), (png(MANY_LABELS), MANY_LABELS)],
    ids=["palette", "grey", "16 bits"],
)
def test_a_region_is_the_pixels_of_one_value(source: bytes, labels: NDArray[np.integer], tmp_path: Path) -> None:
    height, width = labels.shape
    path = tmp_path / "labels.png"
    path.write_bytes(source)
    rasteriser = Rasteriser(width, height)
    for value in set(labels.ravel().tolist()) - {0}:
        for shape in (Region(source=path, value=value), Region(source=source, value=value)):
            assert np.array_equal(rasteriser.runs(shape).to_dense(), labels == value)
    for value in (3, 38, 254, 65534, 10**12):
        assert rasteriser.runs(Region(source=path, value=value)).area == 0


def test_a_label_image_of_many_regions_is_decoded_once(tmp_path: Path) -> None:
    labels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    path = tmp_path / "labels.png"
    path.write_bytes(png(labels))
    rasteriser = Rasteriser(30, 20)
    assert rasteriser.runs(Region(source=path, value=1)).positions().tolist() == [20]
    path.unlink()
    for value in range(2, 600):
        assert np.argwhere(rasteriser.runs(Region(source=path, value=value)).to_dense()).tolist() == [
            [value // 30, value % 30]
        ]


def test_label_images_are_told_apart() -> None:
    rasteriser = Rasteriser(5, 3)
    first, second = png(LABELS), png(np.full((3, 5), 1, dtype=np.uint8))
    assert [rasteriser.runs(Region(source=source, value=1)).area for source in (first, second, first)] == [4, 15, 4]


@pytest.mark.parametrize(("width", "height", "exchanged"), [(3, 5, True), (5, 4, False), (15, 1, False)])
def test_a_label_image_of_another_size_is_refused(width: int, height: int, exchanged: bool) -> None:
    error = refusal(Region(source=png(LABELS), value=1), width, height)
    assert error.code == "mask-size-differs"
    assert f"5 x 3, the image {width} x {height}" in error.message
    assert ("exchanged" in error.message) == exchanged


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"a mask, they said", id="text"),
        pytest.param(png(MANY_LABELS)[:-20], id="cut off"),
        pytest.param(png(np.zeros((3, 5, 3), np.uint8)), id="RGB"),
    ],
)
@pytest.mark.parametrize("kind", ["bitmap", "region"])
def test_a_mask_that_cannot_be_read_is_refused_by_name(kind: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "object-7.png"
    if content is not None:
        path.write_bytes(content)
    shape = Bitmap(source=path) if kind == "bitmap" else Region(source=path, value=1)
    error = refusal(shape, 5, 3)
    assert error.code == "mask-unreadable"
    assert re.search(r"object-7\.png: \w", error.message)


# what takes too long

FAR = (0, 0, 300_000, 5, 10, 600_000)
"""Its outline is walked in 299,995 + 599,995 + 600,000 steps at the least, and is seen at a glance to have no more than
600,000 * 3."""


def drawn(rasteriser: Rasteriser, *shapes: Shape) -> list[int | str]:
    """The area of each shape, or why it has none."""
    return [found.area if isinstance(found, Runs) else found.code for found in rasteriser.runs_of(shapes)]


def test_outlines_far_outside_are_drawn_as_long_as_it_does_not_take_too_long() -> None:
    quick = SURELY_LITTLE // 1_800_000
    more = MAX_EFFORT // (128 * 1_499_995)
    found = drawn(Rasteriser(8, 6), *[polygons(FAR)] * 60, polygons((1, 1, 3, 1, 3, 3, 1, 3)))
    assert (quick, more) == (9, 44)
    assert found[53:] == ["mask-too-laborious"] * 7 + [4]
    assert not set(found[:53]) & {"mask-too-laborious"}


def test_parts_are_added_up() -> None:
    assert drawn(Rasteriser(8, 6), polygons(*[FAR] * 60), polygons(*[FAR] * 40)) == ["mask-too-laborious", 48]


def test_an_object_that_is_too_much_says_so() -> None:
    error = refusal(polygons(*[FAR] * 90))
    told = "it takes 2 of the time that the masks of an image may take, those before it 0"
    assert (error.code, error.message) == ("mask-too-laborious", told)


@pytest.mark.parametrize(
    ("shape", "effort"),
    [
        # rows * (columns + 1/16 of the columns up to the last + points), and a run of 256 for each column
        pytest.param(drawing("line", 0, 0, 80, 80), 80 * (80 + 80 / 16 + 2) + 80 * 256, id="a line"),
        pytest.param(drawing("rectangle", 0, 0, 80, 80), 80 * (80 + 80 / 16 + 2) + 256, id="a rectangle"),
        pytest.param(drawing("line", 79, 0, 79, 80), 80 * (1 + 80 / 16 + 2) + 256, id="a line at the right"),
        pytest.param(
            polygons((0, 0, 80, 0, 80, 80, 0, 80), rasteriser="labelme"), 80 * (80 + 80 / 16 + 4) + 256, id="a polygon"
        ),
        pytest.param(Box(x0=0, y0=10, x1=80, y1=20), 80 * 256, id="a box"),
        pytest.param(Rle(width=80, height=80, counts=(10, 10) * 320), 320 * 256, id="run lengths"),
        pytest.param(Bitmap(source=png(np.ones((40, 30), np.uint8))), 40 * 30 * 4 + 30 * 256, id="a mask"),
        pytest.param(Bitmap(source=png(np.ones((2048, 2048), np.uint8))), 2048 * 2048 * 4 + 256, id="a larger mask"),
    ],
)
def test_what_each_takes(shape: Shape, effort: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "MAX_EFFORT", 3.5 * effort)
    found = drawn(Rasteriser(80, 80), *[shape] * 5)
    assert found[3:] == ["mask-too-laborious"] * 2
    assert found[0] == found[1] == found[2] != "mask-too-laborious"


def test_ten_thousand_nuclei_of_a_slide_do_not_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 pixels each, spread over 20,000 x 20,000; a hundredth of them, and of what is allowed."""
    monkeypatch.setattr(geometry, "MAX_EFFORT", MAX_EFFORT / 100)
    monkeypatch.setattr(geometry, "SURELY_LITTLE", 0)
    turns = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    for rasteriser in JUDGES:
        nuclei = [
            polygons(np.stack([x + 20 * np.cos(turns), y + 20 * np.sin(turns)], axis=1).ravel(), rasteriser=rasteriser)
            for x in range(1000, 20_000, 1900)
            for y in range(1000, 20_000, 1900)
        ]
        assert len(nuclei) == 100
        assert all(1150 < area < 1400 for area in drawn(Rasteriser(20_000, 20_000), *nuclei))


def test_a_label_image_of_too_many_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = np.arange(60, dtype=np.uint8).reshape(6, 10) % 2 + 1
    assert drawn(Rasteriser(10, 6), Region(source=png(stripes), value=1)) == [30]
    monkeypatch.setattr(geometry, "MAX_EFFORT", 256 * 9)
    assert drawn(Rasteriser(10, 6), Region(source=png(stripes), value=1)) == ["mask-too-laborious"]


@pytest.mark.parametrize("kind", ["bitmap", "region"])
def test_a_mask_many_times_as_large_as_its_image_is_refused_by_its_header(kind: str) -> None:
    source = png(np.zeros((2049, 2048), np.uint8))[:60]
    error = refusal(Bitmap(source=source) if kind == "bitmap" else Region(source=source, value=1), 8, 6)
    assert error.code == "mask-unreadable"
    assert "2048 x 2049 pixels; the most that is read is 4,194,304" in error.message
