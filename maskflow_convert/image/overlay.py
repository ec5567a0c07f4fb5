"""Pictures for people: an image with its objects drawn on it, as a whole or around one of them.

Objects are drawn from the runs of their masks, or from outlines where there is no mask to be had, which may leave the
image. Coordinates are continuous pixels as in `maskflow_convert.shape`.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maskflow_convert.runs import Runs

Colour = tuple[int, int, int]
Rgb = NDArray[np.uint8]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom; half-open."""
Point = tuple[float, float]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
    (255, 255, 255),
)
"""Colours that people with any kind of colour blindness tell apart (Okabe and Ito, 2008), and white for their black."""

LARGEST_ZOOM = 24
"""Screen pixels that a pixel of the image is drawn with, in length, at the most."""

TINY = 10
"""Screen pixels in length below which an object gets a ring around it."""

_RING = 14  # screen pixels from the middle of an object to its ring

_LABEL_SIZE = 15
_LABEL_WIDTH = 240  # that no name hides what it is about
_MOST_HIDDEN = 0.2  # of an object, by a label
_NO_CHARACTER = "\uffff"
_BEYOND: Colour = (58, 58, 66)  # where the picture shows more than the image
_BEYOND_STRIPES: Colour = (72, 72, 82)
_HALO: Colour = (20, 20, 24)


class Stress(Enum):
    """How much an object is made to stand out."""

    FAINT = "faint"
    PLAIN = "plain"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Figure:
    """One object to draw.

    Attributes:
        label: what is written beside it; nothing if it is empty.
        colour: of its area, outline and label.
        mask: its pixels, if they are known.
        outlines: flat `(x0, y0, x1, y1, ...)` of finite numbers each, drawn as closed lines.
        stress: how much it stands out.
    """

    label: str
    colour: Colour
    mask: Runs | None = None
    outlines: Sequence[Sequence[float]] = ()
    stress: Stress = Stress.PLAIN

    @property
    def bounds(self) -> Rectangle | None:
        """The rectangle around it, None where there is nothing of it to see."""
        boxes = [_around(part) for part in self.outlines if len(part) >= 2]
        if self.mask is not None and self.mask.area:
            x, y, length = self.mask.columns()
            boxes.append((float(x.min()), float(y.min()), float(x.max() + 1), float((y + length).max())))
        return _united(boxes) if boxes else None


@dataclass(frozen=True, slots=True)
class View:
    """The part of the plane that a picture shows, `(left, top)` to `(right, bottom)` in whole pixels of the image.

    `scale` is screen pixels per pixel: a whole number where it enlarges.
    """

    left: int
    top: int
    right: int
    bottom: int
    scale: float

    @classmethod
    def of(cls, rectangle: Rectangle, side: int) -> View:
        """A rectangle, at the largest scale that makes neither axis longer than `side` screen pixels."""
        left, top = math.floor(rectangle[0]), math.floor(rectangle[1])
        right, bottom = max(math.ceil(rectangle[2]), left + 1), max(math.ceil(rectangle[3]), top + 1)
        scale = side / max(right - left, bottom - top)
        return cls(left, top, right, bottom, scale if scale < 1 else min(math.floor(scale), LARGEST_ZOOM))

    @property
    def size(self) -> tuple[int, int]:
        """`(columns, rows)` of the picture in screen pixels."""
        columns, rows = (self.right - self.left) * self.scale, (self.bottom - self.top) * self.scale
        return max(round(columns), 1), max(round(rows), 1)

    def place(self, x: float, y: float) -> Point:
        """Where on the screen a point of the image is."""
        return (x - self.left) * self.scale, (y - self.top) * self.scale


def whole(width: int, height: int, side: int) -> View:
    """All of an image."""
    return View.of((0, 0, width, height), side)


def close_up(figures: Sequence[Figure], width: int, height: int, side: int) -> View:
    """The figures with room around them; or all of the image, if they have no place or fill most of it.

    Where they leave the image the picture shows more than it, by no more than half of the image on each side.
    """
    boxes = [box for figure in figures if (box := figure.bounds) is not None]
    if not boxes:
        return whole(width, height, side)
    left, top, right, bottom = _united(boxes)
    room = max(16.0, 0.6 * min(max(right - left, bottom - top), max(width, height)))
    most = (
        max(left - 4, -width / 2) if left < 0 else 0,
        max(top - 4, -height / 2) if top < 0 else 0,
        min(right + 4, width * 1.5) if right > width else width,
        min(bottom + 4, height * 1.5) if bottom > height else height,
    )
    near = _common((left - room, top - room, right + room, bottom + room), most)
    if near is None:  # all of it is far away from the image
        return View.of(most, side)
    if (near[2] - near[0]) * (near[3] - near[1]) > 0.6 * width * height:
        near = _united([near, (0, 0, width, height)])
    return View.of(near, side)


def draw(pixels: NDArray[np.uint8] | NDArray[np.uint16], figures: Sequence[Figure], view: View) -> Rgb:
    """An image with figures on it, as far as the view shows them.

    Args:
        pixels: `[H, W, 1]` or `[H, W, 3]`. Samples of 16 bits are stretched to what the image has of them.
        figures: drawn in this order, those that stand out last.
        view: what to show, and how large.

    Returns:
        `[rows, columns, 3]`, of the size of the view.
    """
    canvas = _background(pixels, view)
    ordered = sorted(figures, key=lambda figure: list(Stress).index(figure.stress))
    for figure in ordered:
        _paint(canvas, figure, view)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    for figure in ordered:
        for part in figure.outlines:
            _trace(pen, part, figure, view)
    for figure in ordered:
        if figure.stress is not Stress.FAINT:
            _ring(pen, figure, view)
    _write_labels(pen, [figure for figure in ordered[::-1] if figure.label], view)
    return np.asarray(picture)


def to_pillow(picture: Rgb) -> Image.Image:
    """A picture as Pillow has it."""
    return Image.fromarray(picture)


def encode_jpeg(picture: Rgb, quality: int = 82) -> bytes:
    """A JPEG of `[H, W, 3]`: several times smaller than a PNG where the image is a photograph."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0, optimize=True)
    return file.getvalue()


def writable(text: str) -> str | None:
    """A text as the font can write it: as it stands, or without accents; None if it lacks letters for it.

    It is Pillow's own, which is the same on every machine and has no letters but A to Z.
    """
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return next((each for each in (text, plain) if all(map(_has_letter, each))), None)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_LABEL_SIZE)


@lru_cache(maxsize=4096)
def _has_letter(character: str) -> bool:
    """Whether the font draws a character otherwise than one that no font has."""
    mask, none = (_font().getmask(each) for each in (character, _NO_CHARACTER))
    return (mask.size, bytes(mask)) != (none.size, bytes(none))


def distinct_colours(boxes: Sequence[Rectangle | None]) -> list[Colour]:
    """A colour for each box, another one than those of the boxes near it as far as there are enough.

    None stands for what has no place.
    """
    chosen = np.zeros(len(boxes), dtype=np.int64)
    placed = np.array([box or (np.inf, np.inf, -np.inf, -np.inf) for box in boxes], dtype=np.float64).reshape(-1, 4)
    margin = 8.0
    for number, (left, top, right, bottom) in enumerate(placed):
        before = placed[:number]
        near = (before[:, 0] < right + margin) & (before[:, 2] > left - margin)
        near &= (before[:, 1] < bottom + margin) & (before[:, 3] > top - margin)
        taken = np.bincount(chosen[:number][near], minlength=len(PALETTE))
        turn = (np.arange(len(PALETTE)) - number) % len(PALETTE)
        chosen[number] = min(range(len(PALETTE)), key=lambda colour: (taken[colour], turn[colour]))
    return [PALETTE[number] for number in chosen]


def _background(pixels: NDArray[np.uint8] | NDArray[np.uint16], view: View) -> Rgb:
    """`[rows, columns, 3]`: the image where there is one, stripes where there is none."""
    height, width = pixels.shape[:2]
    columns, rows = view.size
    left, top, right, bottom = (
        max(view.left, 0),
        max(view.top, 0),
        min(view.right, width),
        min(view.bottom, height),
    )
    if right <= left or bottom <= top:
        return _stripes(columns, rows)
    inside = Image.fromarray(_for_eyes(pixels, (left, top, right, bottom)))
    x0, y0 = map(round, view.place(left, top))
    x1, y1 = (max(round(end), start + 1) for end, start in zip(view.place(right, bottom), (x0, y0), strict=True))
    sampling = Image.Resampling.NEAREST if view.scale >= 1 else Image.Resampling.BOX
    patch: Rgb = np.array(inside.resize((x1 - x0, y1 - y0), sampling))[: rows - y0, : columns - x0]
    if patch.shape[:2] == (rows, columns):
        return patch
    canvas = _stripes(columns, rows)
    canvas[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch
    return canvas


def _stripes(columns: int, rows: int) -> Rgb:
    """`[rows, columns, 3]`: what the picture shows where there is no image."""
    stripes = np.add.outer(np.arange(rows), np.arange(columns)) // 8 % 2
    canvas: Rgb = np.array([_BEYOND, _BEYOND_STRIPES], dtype=np.uint8)[stripes]
    return canvas


def _for_eyes(pixels: NDArray[np.uint8] | NDArray[np.uint16], window: tuple[int, int, int, int]) -> Rgb:
    """A window of an image as 8-bit RGB."""
    left, top, right, bottom = window
    part = pixels[top:bottom, left:right]
    if part.dtype != np.uint8:
        step = max(1, max(pixels.shape[:2]) // 512)
        low, high = np.percentile(pixels[::step, ::step], (0.5, 99.8))
        part = (np.clip((part - low) / max(high - low, 1.0), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(part, (*part.shape[:2], 3)), dtype=np.uint8)


def _seen(mask: Runs, view: View) -> tuple[int, int, NDArray[np.bool_]]:
    """Where on the screen a mask is: left, top, and `[rows, columns]` from there; nothing if it is not in the view.

    However much smaller it is drawn, something of it is left.
    """
    columns, rows = view.size
    x, y, length = mask.columns()
    near = (x >= view.left) & (x < view.right) & (y < view.bottom) & (y + length > view.top)
    if not near.any():
        return 0, 0, np.zeros((0, 0), dtype=np.bool_)
    x, y, length = x[near] - view.left, y[near] - view.top, length[near]
    fine = min(view.scale, 1.0)
    wide, high = (columns, rows) if fine < 1 else (view.right - view.left, view.bottom - view.top)
    column = np.minimum((x * fine).astype(np.int64), wide - 1)
    first = np.clip((y * fine).astype(np.int64), 0, high - 1)
    last = np.clip(np.ceil((y + length) * fine).astype(np.int64), first + 1, high)
    left, top = int(column.min()), int(first.min())
    steps = np.zeros((last.max() - top + 1, column.max() - left + 1), dtype=np.int32)
    np.add.at(steps, (first - top, column - left), 1)
    np.add.at(steps, (last - top, column - left), -1)
    covered = np.cumsum(steps, axis=0)[:-1] > 0
    zoom = int(view.scale) if view.scale >= 1 else 1
    return left * zoom, top * zoom, covered.repeat(zoom, axis=0).repeat(zoom, axis=1)


_FILL = {Stress.FAINT: 0.12, Stress.PLAIN: 0.34, Stress.STRONG: 0.28}
_EDGE = {Stress.FAINT: 1, Stress.PLAIN: 2, Stress.STRONG: 3}


def _paint(canvas: Rgb, figure: Figure, view: View) -> None:
    """Tint the pixels of a mask and draw its outline, with a dark line around that keeps it visible on any ground."""
    if figure.mask is None:
        return
    left, top, seen = _seen(figure.mask, view)
    if not seen.size:
        return
    margin = 4
    x, y = max(left - margin, 0), max(top - margin, 0)
    ground = canvas[y : top + seen.shape[0] + margin, x : left + seen.shape[1] + margin]
    inner = np.zeros(ground.shape[:2], dtype=np.bool_)
    inner[top - y : top - y + seen.shape[0], left - x : left - x + seen.shape[1]] = seen
    share = _FILL[figure.stress]
    ground[inner] = (ground[inner] * (1 - share) + np.array(figure.colour) * share).astype(np.uint8)
    core = inner
    for _ in range(_EDGE[figure.stress]):
        core = ~_grown(~core)
    edge = inner & ~core
    if figure.stress is Stress.FAINT:
        ground[edge] = (ground[edge] * 0.4 + np.array(figure.colour) * 0.6).astype(np.uint8)
        return
    ground[_grown(inner) & ~inner] = _HALO
    ground[edge] = figure.colour


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask and its neighbours above, below, to the left and to the right."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _trace(pen: ImageDraw.ImageDraw, part: Sequence[float], figure: Figure, view: View) -> None:
    """Draw a closed line, and its corners if it has few."""
    points = [view.place(x, y) for x, y in zip(part[0::2], part[1::2], strict=True)]
    columns, rows = view.size
    screen = (-16.0, -16.0, columns + 16.0, rows + 16.0)
    edges = [
        edge
        for start, end in zip(points, [*points[1:], *points[:1]], strict=True)
        if (edge := _clipped(start, end, screen)) is not None
    ]
    strong = figure.stress is Stress.STRONG
    if figure.stress is not Stress.FAINT:
        for edge in edges:
            pen.line(edge, fill=_HALO, width=5 if strong else 3)
    for edge in edges:
        pen.line(edge, fill=figure.colour, width=3 if strong else 1)
    if strong and len(points) <= 40:
        for x, y in points:
            if screen[0] < x < screen[2] and screen[1] < y < screen[3]:
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=figure.colour, outline=_HALO)


def _clipped(start: Point, end: Point, screen: Rectangle) -> tuple[Point, Point] | None:
    """The piece of a line that lies on the screen (Liang and Barsky, 1984)."""
    enter, leave = 0.0, 1.0
    step = end[0] - start[0], end[1] - start[1]
    for axis in (0, 1):
        for way, room in ((-step[axis], start[axis] - screen[axis]), (step[axis], screen[axis + 2] - start[axis])):
            if way == 0 and room < 0:
                return None
            if way < 0:
                enter = max(enter, room / way)
            elif way > 0:
                leave = min(leave, room / way)
    if enter > leave:
        return None
    return (
        (start[0] + enter * step[0], start[1] + enter * step[1]),
        (start[0] + leave * step[0], start[1] + leave * step[1]),
    )


def _ring(pen: ImageDraw.ImageDraw, figure: Figure, view: View) -> None:
    """Mark what is too small to be found."""
    if (bounds := _on_screen(figure, view)) is not None and _is_tiny(bounds):
        pen.ellipse(_around_centre(bounds, _RING + 1), outline=_HALO, width=4)
        pen.ellipse(_around_centre(bounds, _RING), outline=figure.colour, width=2)


def _is_tiny(bounds: Rectangle) -> bool:
    left, top, right, bottom = bounds
    return max(right - left, bottom - top) < TINY


def _around_centre(bounds: Rectangle, radius: float) -> Rectangle:
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    return x - radius, y - radius, x + radius, y + radius


def _on_screen(figure: Figure, view: View) -> Rectangle | None:
    """The rectangle around what is seen of a figure, in screen pixels."""
    if (bounds := figure.bounds) is None:
        return None
    columns, rows = view.size
    return _common((*view.place(*bounds[:2]), *view.place(*bounds[2:])), (0, 0, columns, rows))


def _write_labels(pen: ImageDraw.ImageDraw, figures: Sequence[Figure], view: View) -> None:
    """Write the names beside their objects, none over another name or much of an object.

    Where there is no room left, none is written: masks are what a picture is for.
    """
    font = _font()
    columns, rows = view.size
    marked = [(figure, bounds) for figure in figures if (bounds := _marked(figure, view)) is not None]
    objects = np.array([bounds for _, bounds in marked]).reshape(-1, 4)
    taken: list[Rectangle] = []
    for figure, bounds in marked:
        text = _fitting(figure.label, font, min(columns - 10, _LABEL_WIDTH))
        width, height = math.ceil(font.getlength(text)) + 8, _LABEL_SIZE + 6
        for x, y in _beside(bounds, width, height):
            box = (x, y, x + width, y + height)
            fits = x >= 0 and y >= 0 and box[2] <= columns and box[3] <= rows and not _hides_one_of(objects, box)
            if fits and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                pen.rectangle((x, y, box[2] - 1, box[3] - 1), fill=figure.colour)
                pen.text((x + 4, y + 2), text, fill=_ink(figure.colour), font=font)
                break


def _marked(figure: Figure, view: View) -> Rectangle | None:
    """The rectangle around what is seen of a figure, or of its ring if it has one."""
    bounds = _on_screen(figure, view)
    if bounds is None or not _is_tiny(bounds):
        return bounds
    return _common(_around_centre(bounds, _RING + 1), (0, 0, *view.size))


def _hides_one_of(objects: NDArray[np.float64], label: Rectangle) -> bool:
    """Whether a label would lie over more than a small part of any of `[N, 4]` rectangles."""
    left, top, right, bottom = objects.T
    width = np.minimum(right, label[2]) - np.maximum(left, label[0])
    height = np.minimum(bottom, label[3]) - np.maximum(top, label[1])
    hidden = width.clip(0) * height.clip(0)
    return bool((hidden > _MOST_HIDDEN * (right - left) * (bottom - top)).any())


def _beside(bounds: Rectangle, width: int, height: int) -> Iterator[Point]:
    """Places for a label: above an object, below, to its right, to its left, and in its corner; whole numbers."""
    left, top, right, bottom = bounds
    left, right = math.floor(left), math.ceil(right)
    above, below = math.floor(top) - height - 3, math.ceil(bottom) + 3
    for y in (above, below):
        yield from ((left, y), (right - width, y))
    for x in (right + 3, left - width - 3):
        yield from ((x, math.floor(top)), (x, math.ceil(bottom) - height))
    yield left + 3, math.floor(top) + 3
    yield max(right - width - 3, 0), max(math.ceil(bottom) - height - 3, 0)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a text as is no wider."""
    if font.getlength(text) <= width:
        return text
    shown = next((end for end in range(min(len(text), 80), 0, -1) if font.getlength(text[:end] + "...") <= width), 0)
    return text[:shown] + "..." if shown else ""


def _ink(ground: Colour) -> Colour:
    """Black or white, whichever is told from a ground more easily."""
    red, green, blue = ground
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else (255, 255, 255)


def _around(part: Sequence[float]) -> Rectangle:
    return min(part[0::2]), min(part[1::2]), max(part[0::2]), max(part[1::2])


def _united(boxes: Sequence[Rectangle]) -> Rectangle:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _common(one: Rectangle, other: Rectangle) -> Rectangle | None:
    """What two rectangles have in common, be it a line or a point."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return None if right < left or bottom < top else (left, top, right, bottom)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles have an area in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
