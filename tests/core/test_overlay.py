"""Pictures are held against pixels that a person can work out: flat images, squares, colours by name."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from maskflow_convert.image.overlay import (
    LARGEST_ZOOM,
    PALETTE,
    TINY,
    Figure,
    Stress,
    View,
    close_up,
    distinct_colours,
    draw,
    encode_jpeg,
    whole,
)
from maskflow_convert.image.sheet import CELL, side_by_side
from maskflow_convert.runs import from_dense, nothing

GREY = 100
YELLOW = (255, 221, 0)


def flat(width: int, height: int, channels: int = 3) -> np.ndarray:
    return np.full((height, width, channels), GREY, np.uint8)


def square(left: int, top: int, right: int, bottom: int, *, width: int, height: int):
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return from_dense(mask)


def is_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def box_of(seen: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class TestView:
    @pytest.mark.parametrize(
        ("size", "expected", "scale"),
        [
            ((800, 400), (400, 200), 0.5),
            ((300, 200), (300, 200), 1),
            ((150, 100), (300, 200), 2),
            ((3, 2), (3 * LARGEST_ZOOM, 2 * LARGEST_ZOOM), LARGEST_ZOOM),
            ((100_000, 1), (400, 1), 0.004),
        ],
    )
    def test_whole(self, size, expected, scale):
        view = whole(*size, side=400)
        assert (view.size, view.scale) == (expected, scale)

    def test_close_up_of_a_small_object(self):
        view = close_up([Figure("", YELLOW, square(100, 200, 110, 210, width=1000, height=800))], 1000, 800, 400)
        assert (view.left, view.top, view.right, view.bottom) == (84, 184, 126, 226)
        assert view.scale == 9

    def test_close_up_stays_within_the_image(self):
        view = close_up([Figure("", YELLOW, square(0, 0, 10, 10, width=1000, height=800))], 1000, 800, 400)
        assert (view.left, view.top, view.right, view.bottom) == (0, 0, 26, 26)

    def test_close_up_of_most_of_the_image_is_all_of_it(self):
        view = close_up([Figure("", YELLOW, square(100, 100, 900, 700, width=1000, height=800))], 1000, 800, 400)
        assert view == whole(1000, 800, 400)

    def test_close_up_of_nothing(self):
        assert close_up([Figure("", YELLOW, nothing(10, 10))], 10, 10, 40) == whole(10, 10, 40)

    def test_what_leaves_the_image_is_followed(self):
        view = close_up([Figure("", YELLOW, outlines=[(90, 40, 130, 40, 130, 60)])], 100, 100, 400)
        assert view.left > 0
        assert view.right == 134

    def test_but_not_too_far(self):
        view = close_up([Figure("", YELLOW, outlines=[(5, 5, 1e12, 5, 1e12, 9)])], 100, 100, 400)
        assert (view.left, view.right) == (0, 150)

    def test_far_away_altogether(self):
        view = close_up([Figure("", YELLOW, outlines=[(1e6, 1e6, 1e6 + 9, 1e6, 1e6, 1e6 + 9)])], 100, 100, 400)
        assert (view.left, view.top, view.right, view.bottom) == (0, 0, 150, 150)


class TestImage:
    def test_nothing_on_it(self):
        pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        assert (draw(pixels, [], whole(4, 2, 4)) == pixels).all()

    def test_enlarged_pixels_are_squares(self):
        pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        assert (draw(pixels, [], whole(4, 2, 8)) == pixels.repeat(2, axis=0).repeat(2, axis=1)).all()

    def test_grey_is_grey(self):
        picture = draw(flat(4, 2, channels=1), [], whole(4, 2, 4))
        assert picture.shape == (2, 4, 3)
        assert (picture == GREY).all()

    def test_sixteen_bits_are_stretched(self):
        pixels = np.linspace(300, 500, 200).astype(np.uint16).reshape(10, 20, 1)
        picture = draw(pixels, [], whole(20, 10, 20))
        assert (picture.min(), picture.max()) == (0, 255)

    def test_sixteen_bits_without_contrast(self):
        assert draw(np.full((3, 3, 1), 7, np.uint16), [], whole(3, 3, 3)).max() == 0

    def test_beside_the_image_are_stripes(self):
        picture = draw(flat(10, 10), [], View(-10, 0, 10, 10, 4))
        assert (picture[:, 40:] == GREY).all()
        assert not (picture[:, :40] == GREY).any()

    def test_only_stripes(self):
        assert not (draw(flat(10, 10), [], View(20, 20, 30, 30, 1)) == GREY).any()

    def test_large_images_are_scaled_down(self):
        picture = draw(flat(3000, 2000), [], whole(3000, 2000, 300))
        assert picture.shape == (200, 300, 3)


class TestMasks:
    def test_outline_is_where_the_mask_is(self):
        mask = square(30, 10, 60, 40, width=100, height=50)
        picture = draw(flat(100, 50), [Figure("", YELLOW, mask)], whole(100, 50, 100))
        assert box_of(is_colour(picture, YELLOW)) == (30, 10, 60, 40)
        assert picture[25, 45] == pytest.approx([GREY * 0.66 + 0.34 * part for part in YELLOW], abs=1)
        assert picture[0, 0].tolist() == [GREY] * 3

    def test_axes_are_not_exchanged(self):
        mask = square(50, 2, 98, 20, width=100, height=30)
        picture = draw(flat(100, 30), [Figure("", YELLOW, mask)], View(40, 0, 100, 30, 3))
        assert box_of(is_colour(picture, YELLOW)) == (30, 6, 174, 60)

    def test_scaled_down(self):
        mask = square(300, 100, 600, 400, width=1000, height=500)
        picture = draw(flat(1000, 500), [Figure("", YELLOW, mask)], whole(1000, 500, 100))
        assert box_of(is_colour(picture, YELLOW)) == (30, 10, 60, 40)

    @pytest.mark.parametrize("at", [0, 1, 499, 998, 999])
    def test_one_pixel_of_many_is_still_seen(self, at):
        mask = square(at, at, at + 1, at + 1, width=1000, height=1000)
        picture = draw(flat(1000, 1000), [Figure("", YELLOW, mask)], whole(1000, 1000, 100))
        assert is_colour(picture, YELLOW)[min(at // 10, 99), min(at // 10, 99)]

    def test_what_is_tiny_has_a_ring(self):
        large = square(20, 20, 40, 40, width=100, height=100)
        tiny = square(70, 70, 73, 73, width=100, height=100)
        picture = draw(flat(100, 100), [Figure("", YELLOW, tiny), Figure("", PALETTE[1], large)], whole(100, 100, 100))
        left, top, right, bottom = box_of(is_colour(picture, YELLOW))
        assert min(right - left, bottom - top) >= 2 * TINY
        assert box_of(is_colour(picture, PALETTE[1])) == (20, 20, 40, 40)

    def test_what_stands_out_lies_above(self):
        mask = square(10, 10, 40, 40, width=50, height=50)
        strong = Figure("", YELLOW, mask, stress=Stress.STRONG)
        picture = draw(flat(50, 50), [strong, Figure("", PALETTE[1], mask)], whole(50, 50, 50))
        assert box_of(is_colour(picture, YELLOW)) == (10, 10, 40, 40)
        assert not is_colour(picture, PALETTE[1]).any()

    def test_touching_neighbours_have_a_line_between(self):
        left, right = (square(x, 10, x + 20, 40, width=60, height=50) for x in (10, 30))
        figures = [Figure("", YELLOW, left), Figure("", PALETTE[1], right)]
        picture = draw(flat(60, 50), figures, whole(60, 50, 60))
        assert is_colour(picture, YELLOW)[25, 10]
        assert is_colour(picture, PALETTE[1])[25, 30]


class TestOutlines:
    def test_outside_the_image(self):
        figure = Figure("", YELLOW, outlines=[(-20, 20, 30, 20, 30, 30, -20, 30)])
        picture = draw(flat(50, 50), [figure], View(-25, 0, 50, 50, 4))
        assert is_colour(picture, YELLOW)[:, :100].any()

    @pytest.mark.parametrize("far", [1e9, 1e300, -1e300])
    def test_far_away(self, far):
        figure = Figure("a", YELLOW, outlines=[(5, 5, far, 5, far, far)], stress=Stress.STRONG)
        picture = draw(flat(50, 50), [figure], close_up([figure], 50, 50, 100))
        assert is_colour(picture, YELLOW).any()

    @pytest.mark.parametrize("outline", [(5, 5), (5, 5, 20, 20), (5, 5, 5, 5, 5, 5), ()])
    def test_that_are_none(self, outline):
        figure = Figure("a", YELLOW, outlines=[outline], stress=Stress.STRONG)
        draw(flat(50, 50), [figure], close_up([figure], 50, 50, 100))


class TestLabels:
    @pytest.mark.parametrize("box", [(0, 0, 10, 10), (90, 0, 100, 10), (0, 90, 10, 100), (90, 90, 100, 100)])
    @pytest.mark.parametrize("label", ["cell", "x" * 500, "細胞 ä"])
    def test_are_never_cut_off(self, box, label):
        figure = Figure(label, YELLOW, square(*box, width=100, height=100))
        bare = Figure("", YELLOW, figure.mask)
        view = whole(100, 100, 300)
        added = (draw(flat(100, 100), [figure], view) != draw(flat(100, 100), [bare], view)).any(axis=-1)
        left, top, right, bottom = box_of(added)
        ground = draw(flat(100, 100), [figure], view)
        assert is_colour(ground, YELLOW)[top, left:right].all()
        assert is_colour(ground, YELLOW)[bottom - 1, left:right].all()
        assert is_colour(ground, YELLOW)[top:bottom, left].all()
        assert is_colour(ground, YELLOW)[top:bottom, right - 1].all()

    def test_do_not_cover_each_other(self):
        masks = [square(40, 40, 60, 60, width=100, height=100)] * 2
        figures = [Figure("first", PALETTE[0], masks[0]), Figure("second", PALETTE[1], masks[1])]
        view = whole(100, 100, 300)
        alone = [draw(flat(100, 100), [figure], view) for figure in figures]
        bare = [draw(flat(100, 100), [Figure("", each.colour, each.mask)], view) for each in figures]
        assert (alone[0] != bare[0]).any()
        both = draw(flat(100, 100), figures, view)
        assert is_colour(both, PALETTE[0]).sum() > 200
        assert is_colour(both, PALETTE[1]).sum() > is_colour(bare[1], PALETTE[1]).sum() + 200

    def test_do_not_hide_objects(self):
        """Cells that touch, as in a micrograph, and one by itself."""
        corners = [(x, y) for x in range(20, 200, 40) for y in range(20, 200, 40)] + [(320, 100)]
        masks = [square(x, y, x + 38, y + 38, width=400, height=220) for x, y in corners]
        named, bare = (
            draw(flat(400, 220), [Figure(name, YELLOW, mask) for mask in masks], whole(400, 220, 400))
            for name in ("cell", "")
        )
        written = (named != bare).any(axis=-1)
        assert written[:, 260:].any()
        assert max(written[y : y + 38, x : x + 38].mean() for x, y in corners) <= 0.2

    def test_no_room(self):
        mask = square(0, 0, 3, 3, width=3, height=3)
        assert draw(flat(3, 3), [Figure("cell", YELLOW, mask)], whole(3, 3, 3)).shape == (3, 3, 3)


class TestColours:
    def test_neighbours_differ(self):
        boxes = [(x * 10.0, y * 10.0, x * 10.0 + 10, y * 10.0 + 10) for y in range(6) for x in range(6)]
        colours = distinct_colours(boxes)
        for number, colour in enumerate(colours):
            x, y = number % 6, number // 6
            assert x == 5 or colours[number + 1] != colour
            assert y == 5 or colours[number + 6] != colour

    def test_more_than_there_are(self):
        colours = distinct_colours([(0, 0, 1, 1)] * 20)
        assert len(set(colours)) == len(PALETTE)

    def test_without_a_place(self):
        assert len(distinct_colours([None, (0, 0, 1, 1), None])) == 3
        assert distinct_colours([]) == []


def test_jpeg():
    picture = draw(flat(30, 20), [], whole(30, 20, 30))
    with Image.open(BytesIO(encode_jpeg(picture))) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (30, 20), "RGB")


class TestSheet:
    """Cells of 240 pixels with 8 between them and around."""

    def test_rows_of_four(self):
        colours = [(0, 0, 40 * number) for number in range(6)]
        sheet = side_by_side([np.full((CELL, CELL, 3), colour, np.uint8) for colour in colours])
        assert sheet.shape == (2 * 248 + 8, 4 * 248 + 8, 3)
        places = [(8 + 248 * row, 8 + 248 * column) for row in range(2) for column in range(4)]
        assert [tuple(sheet[place].tolist()) for place in places[:6]] == colours
        assert not any((sheet[places[6]] == colour).all() for colour in colours)

    @pytest.mark.parametrize("size", [(480, 160), (160, 480), (48, 16)])
    def test_the_shape_is_kept(self, size):
        rows, columns = size
        sheet = side_by_side([np.full((rows, columns, 3), 255, np.uint8)])
        scale = min(1, 240 / max(size))
        left, top, right, bottom = box_of(is_colour(sheet, (255, 255, 255)))
        assert (bottom - top, right - left) == (rows * scale, columns * scale)
        assert (left + right, top + bottom) == (sheet.shape[1], sheet.shape[0])
