"""The checks of objects: tiny ones drawn by hand, and what is found of each, word for word."""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from maskflow_convert import geometry, runs
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.checks import CHECKS, Depth, Objects, chosen, find
from maskflow_convert.checks import masks as mask_checks
from maskflow_convert.checks import polygons as polygon_checks
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.sample import Instance
from maskflow_convert.shape import Bitmap, Box, Drawing, Polygons, Rle, Shape, Union

WIDTH, HEIGHT = 30, 20

BLOCK = (5, 5, 15, 5, 15, 15, 5, 15)
INNER = (8, 8, 12, 8, 12, 12, 8, 12)
ASIDE = (20, 2, 25, 2, 25, 8, 20, 8)
SLIVER = (20, 2, 25, 2.1, 20, 2.2)
TIE = (5, 5, 15, 15, 15, 5, 5, 15)


def polygon(*parts: tuple[float, ...], rasteriser: str = "coco") -> Polygons:
    return Polygons(parts=parts, rasteriser=rasteriser)


def rle(*counts: int) -> Rle:
    return Rle(width=WIDTH, height=HEIGHT, counts=(*counts, WIDTH * HEIGHT - sum(counts)))


def painted(*pixels: tuple[int, int]) -> Rle:
    """A mask of those pixels, (x, y) each."""
    dense = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for x, y in pixels:
        dense[y, x] = True
    return Rle(width=WIDTH, height=HEIGHT, counts=runs.from_dense(dense).to_counts())


def found(*shapes: Shape | Instance, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[tuple[int, str, str]]:
    """What all checks find of objects in one image: the number of the object, the code, the message."""
    instances = [
        shape if isinstance(shape, Instance) else Instance(label="cell", shape=shape, id=f"#{number}")
        for number, shape in enumerate(shapes)
    ]
    rasteriser = Rasteriser(*size)
    masks = [rasteriser.runs(instance.shape) for instance in instances]
    return [(number, issue.code, issue.message) for number, issue in find(Objects(instances, masks, *size))]


def said(shape: Shape, **fields: Any) -> list[tuple[str, str]]:
    """What is found of a single object."""
    return [(code, message) for _, code, message in found(Instance(label="cell", shape=shape, **fields))]


CLEAN = {
    "square": polygon(BLOCK),
    "closed square": polygon((*BLOCK, 5, 5)),
    "the other way round": polygon((5, 15, 15, 15, 15, 5, 5, 5)),
    "two parts": polygon(BLOCK, ASIDE),
    "two parts that overlap": polygon(BLOCK, (12, 12, 18, 12, 18, 18, 12, 18)),
    "a pixel": polygon((3, 3, 4, 3, 4, 4, 3, 4)),
    "to the very edges": polygon((0, 0, 30, 0, 30, 10, 0, 10)),
    "run lengths": rle(100, 10, 10, 10),
    "run lengths from the first pixel": rle(0, 10),
    "a compressed string": Rle(width=30, height=20, counts="T35_?"),
    "ten specks": painted(*((x, y) for x in range(0, 10, 2) for y in (0, 2))),
    "a checkered mask, which hangs together by its corners": painted(
        *((x, y) for x in range(8) for y in range(8) if (x + y) % 2)
    ),
    "a figure": Drawing(figure="ellipse", points=(5, 5, 15, 12)),
    "a line": Drawing(figure="line", points=(5, 5, 15, 15, 15, 5, 5, 15), thickness=3),
    "a union": Union(members=(polygon(BLOCK), rle(400, 10))),
    "a union of two that lie within each other": Union(members=(polygon(BLOCK), polygon(INNER))),
    "the smallest that LabelMe draws": polygon((5, 5, 5.01, 5, 5.01, 5.01), rasteriser="labelme"),
    "outlined by LabelMe": polygon(BLOCK, ASIDE, rasteriser="labelme"),
}

FOUND = {
    "outside on the right": (
        polygon((5, 5, 33.5, 5, 15, 15)),
        [("polygon-outside-image", "a point lies 3.5 pixels beyond the right edge of 30 x 20")],
    ),
    "outside at the top": (
        polygon(BLOCK, (20, -4, 25, 2, 20, 2)),
        [("polygon-outside-image", "a point lies 4 pixels beyond the top edge of 30 x 20")],
    ),
    "a figure outside": (
        Drawing(figure="rectangle", points=(5, 5, 15, 21)),
        [("polygon-outside-image", "a point lies 1 pixels beyond the bottom edge of 30 x 20")],
    ),
    "a member outside": (
        Union(members=(rle(100, 5), polygon((-2, 5, 9, 5, 9, 9)))),
        [("polygon-outside-image", "a point lies 2 pixels beyond the left edge of 30 x 20")],
    ),
    "a part of two points": (
        polygon((1, 1, 2, 2), BLOCK, ()),
        [
            ("polygon-part-dropped", "part 0 of 3 has 2 points"),
            ("polygon-part-dropped", "part 2 of 3 has 0 points"),
        ],
    ),
    "shares of the image": (
        polygon((0.1, 0.2, 0.9, 0.2, 0.9, 1), (0, 0, 0.1, 0, 0.1, 0.1)),
        [("polygon-normalised", "all coordinates lie in 0..1, in an image of 30 x 20 pixels")],
    ),
    "a figure in shares of the image": (
        Drawing(figure="rectangle", points=(0.1, 0.2, 0.9, 1)),
        [("polygon-normalised", "all coordinates lie in 0..1, in an image of 30 x 20 pixels")],
    ),
    "a little beside shares of the image": (
        polygon((-0.1, 0, 0.9, 0, 0.9, 1, 0, 1)),
        [("polygon-outside-image", "a point lies 0.1 pixels beyond the left edge of 30 x 20")],
    ),
    "one part in the first pixel": (
        polygon(BLOCK, (0, 0, 1, 0, 1, 1, 0, 1)),
        [],
    ),
    "repeated points": (
        polygon((5, 5, 15, 5, 15, 5, 15, 15, 5, 15, 5, 15, 5, 15), BLOCK),
        [("polygon-points-repeated", "part 0 of 2 repeats 3 of its points, point 2 first")],
    ),
    "self-intersection": (
        polygon(ASIDE, TIE),
        [("polygon-self-intersecting", "part 1 of 2 crosses itself at (10, 10)")],
    ),
    "self-intersection after a part of two points": (
        polygon((1, 1, 2, 2), TIE),
        [
            ("polygon-part-dropped", "part 0 of 2 has 2 points"),
            ("polygon-self-intersecting", "part 1 of 2 crosses itself at (10, 10)"),
        ],
    ),
    "two that cross themselves": (
        Union(members=(polygon(TIE), polygon((20, 2, 25, 8, 25, 2, 20, 8), rasteriser="labelme"))),
        [
            ("polygon-self-intersecting", "part 0 of 1 crosses itself at (10, 10)"),
            ("polygon-self-intersecting", "part 0 of 1 crosses itself at (22.5, 5)"),
        ],
    ),
    "zero area, drawn by LabelMe": (
        polygon((5, 5, 15, 15, 10, 10), rasteriser="labelme"),
        [("polygon-zero-area", "part 0 of 1 encloses nothing with its 3 points")],
    ),
    "zero area beside a part that has some": (
        polygon(BLOCK, (20, 5, 25, 5, 25, 9, 25, 5)),
        [
            ("polygon-zero-area", "part 1 of 2 encloses nothing with its 4 points"),
            ("polygon-part-without-pixels", "part 1 of 2 gives no pixel"),
        ],
    ),
    "a part without a pixel": (
        polygon(BLOCK, SLIVER),
        [("polygon-part-without-pixels", "part 1 of 2 gives no pixel")],
    ),
    "two parts without a pixel, and one with two points": (
        polygon(SLIVER, (1, 1, 2, 2), BLOCK, SLIVER),
        [
            ("polygon-part-dropped", "part 1 of 4 has 2 points"),
            ("polygon-part-without-pixels", "part 0 of 4 gives no pixel"),
            ("polygon-part-without-pixels", "part 3 of 4 gives no pixel"),
        ],
    ),
    "no part with a pixel": (polygon(SLIVER, SLIVER), []),
    "a hole": (
        polygon(BLOCK, INNER),
        [("mask-hole-lost", "part 1 of 2 lies within part 0, and its 16 pixels belong to the object")],
    ),
    "a hole that is said first": (
        polygon(INNER, ASIDE, BLOCK),
        [("mask-hole-lost", "part 0 of 3 lies within part 2, and its 16 pixels belong to the object")],
    ),
    "a hole from an edge to the other": (
        polygon(BLOCK, (5, 8, 15, 8, 15, 12, 5, 12)),
        [("mask-hole-lost", "part 1 of 2 lies within part 0, and its 40 pixels belong to the object")],
    ),
    "a part in the box of another": (polygon((5, 5, 15, 5, 5, 15), (14, 14, 15, 14, 15, 15, 14, 15)), []),
    "the same part twice": (polygon(BLOCK, BLOCK), []),
    "a zero run": (
        rle(100, 5, 0, 5, 10, 0, 10, 5),
        [("rle-zero-run", "2 of 9 runs have length 0, run 2 first")],
    ),
    "a zero run at the end": (
        Rle(width=30, height=20, counts=(590, 10, 0)),
        [("rle-zero-run", "1 of 3 runs have length 0, run 2 first")],
    ),
    "a zero run in a string": (
        Rle(width=30, height=20, counts="T3505U?"),
        [("rle-zero-run", "1 of 5 runs have length 0, run 2 first")],
    ),
    "the whole image": (rle(0), [("mask-covers-image", "the mask has 600 of the image's 600 pixels")]),
    "all but six pixels": (rle(6), [("mask-covers-image", "the mask has 594 of the image's 600 pixels")]),
    "all but seven pixels": (rle(7), []),
    "eleven specks": (
        painted(*((x, y) for x in range(0, 20, 2) for y in (0,)), (0, 5), *((x, 10) for x in range(10))),
        [("mask-specks", "11 of the mask's 12 pieces have fewer than 10 pixels")],
    ),
    "eleven specks and no more": (
        painted(*((x, 0) for x in range(0, 22, 2))),
        [("mask-specks", "11 of the mask's 11 pieces have fewer than 10 pixels")],
    ),
    "ten specks and larger pieces": (
        painted(*((x, 0) for x in range(0, 20, 2)), *((x, y) for x in range(10) for y in (3, 6, 9))),
        [],
    ),
}


class TestOneObject:
    @pytest.mark.parametrize("shape", CLEAN.values(), ids=CLEAN)
    def test_nothing_is_found_of_a_clean_one(self, shape):
        assert said(shape) == []

    @pytest.mark.parametrize(("shape", "expected"), FOUND.values(), ids=FOUND)
    def test_exactly_this_is_found(self, shape, expected):
        assert said(shape) == expected

    @pytest.mark.parametrize(("shape", "expected"), FOUND.values(), ids=FOUND)
    def test_among_others_the_one_is_blamed(self, shape, expected):
        others = [painted((2, 2), (2, 3)), polygon(SLIVER), painted((28, 18))]
        expected = [(2, *issue) for issue in expected]
        assert found(*others[:2], shape, others[2]) == expected

    def test_nothing_is_found_of_none(self):
        assert found() == []

    def test_nothing_is_found_of_one_without_a_pixel(self):
        assert (
            said(Rle(width=30, height=20, counts=(600,)), stated_box=Box(x0=1, y0=1, x1=9, y1=9), stated_area=50) == []
        )

    @pytest.mark.parametrize(("size", "codes"), [((16, 16), []), ((17, 5), ["polygon-normalised"])])
    def test_shares_of_a_tiny_image(self, size, codes):
        shape = polygon((0, 0, 1, 0, 1, 1, 0, 1))
        assert [code for _, code, _ in found(shape, size=size)] == codes

    def test_masks_of_their_own_size(self, tmp_path):
        path = tmp_path / "mask.png"
        Pillow.new("1", (4, 3), 1).save(path)
        assert said(Bitmap(source=path, x=5, y=5)) == []
        assert said(Bitmap(source=path, x=28, y=-1, height=4)) == [
            ("mask-outside-image", "the mask of 4 x 3 pixels goes 2 beyond the right edge of 30 x 20"),
            ("mask-patch-differs", "the mask has 4 x 3 pixels, its place in the image 4 x 4"),
        ]


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


LIES = "the mask lies in (5, 5) to (15, 15), its box in "
STATED = {
    "the box": (box(5, 5, 15, 15), []),
    "off by what is borne: 2 pixels and a twentieth of 12.5": (box(5, 5, 17.5, 15), []),
    "off by a little more": (
        box(5, 5, 17.7, 15),
        [("mask-box-differs", LIES + "(5, 5) to (17.7, 15): 2.7 pixels off at the right edge")],
    ),
    "too high": (box(5, 1, 15, 15), [("mask-box-differs", LIES + "(5, 1) to (15, 15): 4 pixels off at the top edge")]),
    "too low and too wide": (
        box(1, 5, 15, 22),
        [("mask-box-differs", LIES + "(1, 5) to (15, 20): 5 pixels off at the bottom edge")],
    ),
    "within it": (
        box(8, 8, 12, 12),
        [("mask-box-differs", LIES + "(8, 8) to (12, 12): 3 pixels off at the top edge")],
    ),
    "above it": (
        box(5, 0, 15, 4),
        [("mask-outside-box", LIES + "(5, 0) to (15, 4): no pixel of the one in the other")],
    ),
    "exchanged corners": (
        box(15, 15, 5, 5),
        [("mask-outside-box", LIES + "(15, 15) to (5, 5): no pixel of the one in the other")],
    ),
    "of no size": (
        box(5, 5, 5, 5),
        [("mask-outside-box", LIES + "(5, 5) to (5, 5): no pixel of the one in the other")],
    ),
    "beside it": (
        box(16, 5, 26, 15),
        [("mask-outside-box", LIES + "(16, 5) to (26, 15): no pixel of the one in the other")],
    ),
    "outside the image": (
        box(35, 5, 45, 15),
        [("mask-outside-box", LIES + "(30, 5) to (30, 15): no pixel of the one in the other")],
    ),
    "endless": (
        box(5, 5, float("inf"), 15),
        [("mask-box-differs", LIES + "(5, 5) to (30, 15): 15 pixels off at the right edge")],
    ),
    "no number": (
        box(float("nan"), 5, 15, 15),
        [("mask-outside-box", LIES + "(nan, 5) to (15, 15): no pixel of the one in the other")],
    ),
}

AREAS = {
    "the area": (100, []),
    "less by what is borne: a tenth of 82, and half of 20": (82, []),
    "much less": (81, [("mask-area-differs", "the mask has 100 pixels, and 81 by its annotation")]),
    "more by what is borne": (122, []),
    "much more": (122.5, [("mask-area-differs", "the mask has 100 pixels, and 122.5 by its annotation")]),
    "none": (0, [("mask-area-differs", "the mask has 100 pixels, and 0 by its annotation")]),
    "negative": (-100, [("mask-area-differs", "the mask has 100 pixels, and -100 by its annotation")]),
    "no number": (float("nan"), []),
}


class TestParts:
    """Of several objects, whose parts are all held against each other together."""

    def test_each_object_has_its_own(self):
        """A part of one object within a part of another is no hole."""
        shapes = [polygon(BLOCK, ASIDE), polygon(INNER, ASIDE), polygon(ASIDE, INNER, BLOCK), polygon(BLOCK, SLIVER)]
        told = "lies within part 2, and its 16 pixels belong to the object"
        assert [each for each in found(*shapes) if "part" in each[2]] == [
            (2, "mask-hole-lost", f"part 1 of 3 {told}"),
            (3, "polygon-part-without-pixels", "part 1 of 2 gives no pixel"),
        ]

    def test_no_more_are_tried_than_may_be_drawn(self, monkeypatch):
        monkeypatch.setattr(geometry, "SURELY_LITTLE", 0)
        shapes = [polygon(BLOCK, INNER), polygon(INNER, BLOCK)]  # 40 and 16 pixels around
        for factor, expected in ((2, [0, 1]), (1, [0]), (0.9, [])):
            monkeypatch.setattr(geometry, "MAX_EFFORT", 1e9)
            instances = [Instance(label="cell", shape=shape) for shape in shapes]
            masks = [Rasteriser(WIDTH, HEIGHT).runs(shape) for shape in shapes]
            monkeypatch.setattr(geometry, "MAX_EFFORT", 128 * 56 * factor)
            findings = polygon_checks.pixels_of_parts(Objects(instances, masks, WIDTH, HEIGHT))
            assert [number for number, _ in findings] == expected


class TestWhatTheAnnotationSays:
    @pytest.mark.parametrize(("stated", "expected"), STATED.values(), ids=STATED)
    def test_box(self, stated, expected):
        assert said(polygon(BLOCK), stated_box=stated) == expected

    @pytest.mark.parametrize(("stated", "expected"), AREAS.values(), ids=AREAS)
    def test_area(self, stated, expected):
        assert said(polygon(BLOCK), stated_area=stated) == expected

    def test_a_box_over_the_edge_is_cut_as_the_mask_is(self):
        shape = Rle(width=30, height=20, counts=(500, 100))  # x 25 to 30
        assert said(shape, stated_box=box(25, 0, 60, 20)) == []

    def test_a_box_of_a_mask_that_leaves_it_empty(self):
        """The mask has a pixel in two corners of its box, and none in the stated one between them."""
        assert said(painted((2, 2), (20, 15)), stated_box=box(8, 6, 14, 10)) == [
            (
                "mask-outside-box",
                "the mask lies in (2, 2) to (21, 16), its box in (8, 6) to (14, 10): no pixel of the one in the other",
            )
        ]

    def test_a_small_mask_beside_its_box(self):
        """An edge is off by no more than may be, and yet they have nothing in common."""
        [(code, _)] = said(painted((5, 5)), stated_box=box(6, 5, 7, 6))
        assert code == "mask-outside-box"


def cell(shape: Shape, name: str | None = None, label: str = "cell") -> Instance:
    return Instance(label=label, shape=shape, id=name)


def rows(count: int, first: int = 0) -> Rle:
    """The first pixels of the image, `count` of them, but for the `first`."""
    return rle(first, count - first)


class TestDuplicates:
    def test_the_second_is_blamed(self):
        assert found(cell(rows(100), "a"), cell(ASIDE_MASK, "b"), cell(rows(100), "c")) == [
            (2, "mask-duplicate", "the mask is that of object a, of the same class cell, IoU 1.00")
        ]

    def test_of_another_class(self):
        assert found(cell(rows(100)), cell(rows(98), label="debris")) == [
            (1, "mask-duplicate", "the mask is that of object 0, which is cell and not debris, IoU 0.98")
        ]

    def test_each_once(self):
        assert [(number, message) for number, _, message in found(*(cell(rows(100), name) for name in "abcd"))] == [
            (number, "the mask is that of object a, of the same class cell, IoU 1.00") for number in (1, 2, 3)
        ]

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            (rows(100), rows(95), False),
            (rows(100), rows(96), True),
            (rows(96), rows(100), True),
            (rows(100), rows(100, 4), True),
            (rows(100), rows(100, 5), False),
            (rows(98), rows(100, 2), True),
            (rows(98), rows(101, 3), False),
            (painted((5, 5)), painted((5, 5)), True),
            (painted((5, 5)), painted((6, 5)), False),
            (painted((0, 0), (9, 9)), painted((0, 9), (9, 0)), False),
        ],
    )
    def test_by_intersection_over_union(self, one, other, same):
        assert [code for _, code, _ in found(one, other)] == ["mask-duplicate"] * same

    def test_in_whatever_way_it_is_said(self):
        shapes = [polygon(BLOCK), polygon(BLOCK[::-1], BLOCK), Rle(width=30, height=20, counts=BLOCK_COUNTS)]
        assert [(number, code) for number, code, _ in found(*shapes)] == [(1, "mask-duplicate"), (2, "mask-duplicate")]

    @given(st.lists(st.tuples(st.integers(0, 8), st.integers(90, 99)), min_size=2, max_size=12))
    def test_said_with_the_first_that_has_it(self, ends):
        """Of rows of pixels it is plain which have how many in common."""
        blamed = {}
        for second, (begin, end) in enumerate(ends):
            for first, (other_begin, other_end) in enumerate(ends[:second]):
                shared = min(end, other_end) - max(begin, other_begin)
                if shared > 0.95 * (max(end, other_end) - min(begin, other_begin)):
                    blamed.setdefault(second, f"the mask is that of object #{first}, of the same class cell")
        shapes = [rle(begin, end - begin) for begin, end in ends]
        assert {number: message[: message.rindex(",")] for number, _, message in found(*shapes)} == blamed

    def test_all_copies_are_told_where_few_masks_are_laid_over_each_other(self, monkeypatch):
        monkeypatch.setattr(mask_checks, "MOST_LAID_OVER", 1500)
        shapes = [rows(100), rows(98), rows(100), rows(97), rows(97)]
        assert [number for number, _, _ in found(*shapes)] == [1, 2, 4]

    def test_many_alike_do_not_take_long(self):
        """Each pair of 3,000 has the same box and the same area, and half of its pixels."""
        chance = np.random.default_rng(1)
        masks = []
        for _ in range(3000):
            dense = chance.permuted(np.arange(WIDTH * HEIGHT) < 300).reshape(HEIGHT, WIDTH)
            dense[[0, -1]] = True
            masks.append(runs.from_dense(dense))
        instances = [Instance(label="cell", shape=rows(1)) for _ in masks]
        begin = time.process_time()
        assert list(mask_checks.duplicates(Objects(instances, masks, WIDTH, HEIGHT))) == []
        assert time.process_time() - begin < 10

    def test_many_nuclei_side_by_side(self):
        assert found(*(painted((x, y)) for x in range(30) for y in range(20))) == []


ASIDE_MASK = polygon(ASIDE)
BLOCK_COUNTS = Rasteriser(WIDTH, HEIGHT).runs(polygon(BLOCK)).to_counts()

QUICK = ["polygon-outside-image", "polygon-part-dropped", "mask-outside-image", "mask-patch-differs"]


def codes(depth: Depth, severities: dict[str, str] | None = None, repaired: frozenset[str] = frozenset()) -> list[str]:
    chosen_severities = {code: Severity(each) for code, each in (severities or {}).items()}

    def severity_of(code: str) -> Severity:
        return chosen_severities.get(code, CATALOGUE[code].severity)

    return [code for check in chosen(depth, severity_of, repaired) for code in check.codes]


class TestTable:
    def test_a_code_is_declared_where_it_is_said(self):
        for check in CHECKS:
            source = inspect.getsource(check.issues)
            assert [code for code in CATALOGUE if f'"{code}"' in source] == sorted(
                check.codes, key=list(CATALOGUE).index
            )

    def test_every_check_is_in_it(self):
        written = {
            function
            for module in (mask_checks, polygon_checks)
            for name, function in inspect.getmembers(module, inspect.isgeneratorfunction)
            if not name.startswith("_") and function.__module__ == module.__name__
        }
        assert written < {check.issues for check in CHECKS}

    def test_a_conversion_makes_the_quick_ones_and_those_that_are_errors(self):
        assert codes(Depth.CONVERT) == [*QUICK[:2], "polygon-normalised", *QUICK[2:]]

    def test_a_conversion_makes_what_the_configuration_calls_an_error(self):
        chosen_codes = codes(Depth.CONVERT, {"mask-specks": "error", "polygon-normalised": "warning"})
        assert chosen_codes == [*QUICK, "mask-specks"]

    def test_a_conversion_makes_what_is_to_be_repaired(self):
        chosen_codes = codes(Depth.CONVERT, {"polygon-normalised": "ignore"}, frozenset({"rle-zero-run"}))
        assert chosen_codes == [*QUICK[:2], "rle-zero-run", *QUICK[2:]]

    def test_a_validation_makes_all(self):
        assert codes(Depth.VALIDATE) == [code for check in CHECKS for code in check.codes]

    @pytest.mark.parametrize("depth", Depth)
    def test_none_makes_what_is_ignored(self, depth):
        ignored = {code: "ignore" for check in CHECKS for code in check.codes}
        assert codes(depth, ignored) == []
        assert codes(depth, {**ignored, "mask-hole-lost": "warning"}) == (
            [] if depth is Depth.CONVERT else ["polygon-part-without-pixels", "mask-hole-lost"]
        )
