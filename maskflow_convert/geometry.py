"""Shapes to runs of pixels, each by the rasteriser that its format means. The one user of pycocotools.

pycocotools trusts its input: NaN or a coordinate of 1e8 ends the process, four numbers are taken for a box, and run
lengths that fall short leave uninitialised memory in the mask. So nothing reaches it that was not checked here, and run
lengths do not reach it at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from maskflow_convert import runs
from maskflow_convert.amounts import count_text
from maskflow_convert.errors import ImageError, ShapeError
from maskflow_convert.image import read_labels
from maskflow_convert.runs import Runs
from maskflow_convert.shape import Bitmap, Box, Drawing, Polygons, Region, Rle, Shape, Union

MAX_COORDINATE = 1e6
"""Furthest coordinate of a polygon or figure in pixels; pycocotools was seen to end the process at 1e8."""

MAX_OUTLINE = 2e6
"""Longest outline of a polygon part in pixels: rleFrPoly keeps five points of about 20 bytes for each."""

MAX_ELLIPSE = 3e9
"""Largest width times height of an ellipse in pixels: Pillow computes with their square, in 64 bits."""

MAX_EFFORT = 2**33
"""What the shapes of one image may take to draw, in pixels of a canvas: some 20 seconds, and 512 MiB for their runs.

It lets 10,000 objects be drawn in 20,000 x 20,000 pixels, but not 10,000 lines from one corner of these to the other,
nor a file of a kilobyte take a minute by points that lie far outside.
"""

SURELY_LITTLE = 2**24
"""Pixels of outlines that COCO's polygons may have by a quick estimate, which is never too low, until they are added up
one by one: half a second."""

_OUTLINE, _RUN, _MASK, _CLEARED = 128, 256, 4, 1 / 16
"""Pixels of a canvas that take as much: as a pixel of an outline, a run, a pixel of a mask's file, a pixel aside."""

_TIMES_THE_IMAGE, _SMALL_MASK = 4, 2**22
"""How many times the pixels of its image a mask in a file of its own may have, and how many it always may."""

_CHARACTERS_AT_ONCE = 1 << 20  # of compressed run lengths; what is made of them takes some tens of megabytes
_STRIP = 1 << 22  # pixels of a canvas that are looked at together

Part = Sequence[float]
Pen = Callable[[ImageDraw.ImageDraw, Part], None]
"""Draws one part, in the coordinates of a canvas."""


class Rasteriser:
    """Turns the shapes of one image into runs, for as long as all of them take no more than `MAX_EFFORT`.

    Label images are decoded once and kept for as long as the rasteriser is, because an image of 300 nuclei names the
    same label image 300 times.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._regions: dict[Path | bytes, Mapping[int, Runs]] = {}
        self._effort = 0.0
        self._outlines = 0.0

    def runs(self, shape: Shape) -> Runs:
        """The pixels of the image that the shape covers; none is a valid answer.

        Raises:
            ShapeError: the shape has no meaning in this image; the code says why.
        """
        if isinstance(shape, Polygons) and shape.rasteriser == "coco":
            return runs.from_texts([self._coco_text(shape)], width=self.width, height=self.height)[0]
        found = self._runs(shape)
        self._spend(_RUN * len(found.starts))
        return found

    def _runs(self, shape: Shape) -> Runs:
        match shape:
            case Polygons():
                parts, _ = usable_parts(shape)
                return self._drawn(parts, _fill_polygon)
            case Drawing():
                return self._drawing(shape)
            case Rle():
                return self._rle(shape)
            case Box():
                return self._box(shape)
            case Bitmap():
                return self._bitmap(shape)
            case Region():
                return self._region(shape)
            case Union():
                return self._union(shape)

    def runs_of(self, shapes: Iterable[Shape]) -> list[Runs | ShapeError]:
        """What `runs` returns of each shape, or raises."""
        found = [self._begun(shape) for shape in shapes]
        texts = [each for each in found if isinstance(each, bytes)]
        together = runs.batches(texts, list(map(len, texts)), _CHARACTERS_AT_ONCE)
        decoded = chain.from_iterable(runs.from_texts(each, width=self.width, height=self.height) for each in together)
        return [next(decoded) if isinstance(each, bytes) else each for each in found]

    def _begun(self, shape: Shape) -> bytes | Runs | ShapeError:
        """The runs of a shape; of COCO's polygons the compressed run lengths, which are decoded together."""
        try:
            if isinstance(shape, Polygons) and shape.rasteriser == "coco":
                return self._coco_text(shape)
            return self.runs(shape)
        except ShapeError as error:
            return error

    def areas_of_parts(self, polygons: Polygons) -> list[int]:
        """Number of pixels that each of the parts covers by itself; those of fewer than three points have none.

        Raises:
            ShapeError: as `runs`.
        """
        parts, _ = usable_parts(polygons)
        if polygons.rasteriser == "coco":
            encoded = coco_mask.frPyObjects([list(part) for part in parts], self.height, self.width)
            areas = iter([int(coco_mask.area(each)) for each in encoded])  # it fails for more than 255 at once
        else:
            areas = iter([self._drawn([part], _fill_polygon).area for part in parts])
        return [next(areas) if len(part) >= 6 else 0 for part in polygons.parts]

    def _coco_text(self, polygons: Polygons) -> bytes:
        """COCO's compressed run lengths of what any of the parts covers."""
        parts, longest = usable_parts(polygons)
        self._outlines += longest
        if self._outlines > SURELY_LITTLE:
            self._spend(_OUTLINE * sum(map(_outline, parts)))
        encoded = coco_mask.frPyObjects([list(part) for part in parts], self.height, self.width)
        merged = encoded[0] if len(encoded) == 1 else coco_mask.merge(encoded)
        text: bytes = merged["counts"]
        return text

    def _spend(self, effort: float) -> None:
        """Take note of what a shape takes to draw.

        Raises:
            ShapeError: together with what was drawn before, it is too much.
        """
        if self._effort + effort > MAX_EFFORT:
            share, before = effort / MAX_EFFORT, self._effort / MAX_EFFORT
            told = f"it takes {share:.2g} of the time that the masks of an image may take, those before it {before:.2g}"
            raise ShapeError("mask-too-laborious", told)
        self._effort += effort

    def _drawing(self, drawing: Drawing) -> Runs:
        points = usable_points(drawing)
        match drawing.figure:
            case "rectangle":
                return self._drawn([_box_around(points)], _fill_rectangle)
            case "ellipse":
                return self._drawn([_box_around(points)], _fill_ellipse)
            case "line":
                return self._drawn([points], partial(_draw_line, thickness=drawing.thickness), drawing.thickness)

    def _drawn(self, parts: Sequence[Part], pen: Pen, margin: int = 0) -> Runs:
        """What a pen draws that goes no further than `margin` pixels beyond the points.

        The canvas has no more rows than the parts can reach, and they are raised to its top. To Pillow that is the
        same, since it cuts coordinates to whole numbers and goes from row to row. In a row it computes with floats of
        32 bits, and so the columns stay where they are: moved to the left, some outlines lose or gain a pixel.
        """
        left, right = _reach([x for part in parts for x in part[0::2]], margin, self.width)
        top, bottom = _reach([y for part in parts for y in part[1::2]], margin, self.height)
        if right <= left or bottom <= top:
            return runs.nothing(self.width, self.height)
        rows, points = bottom - top, sum(map(len, parts)) / 2
        self._spend(rows * (right - left + right * _CLEARED + points))  # Pillow holds each row against each edge
        canvas = Image.new("1", (right, rows))
        draw = ImageDraw.Draw(canvas)
        for part in parts:
            pen(draw, _raised(part, top))
        return self._placed(_strips(canvas, left), left, top)

    def _placed(self, strips: Iterable[NDArray[np.bool_]], left: int, top: int) -> Runs:
        """A mask in strips `[rows, columns]` from left to right, its top-left pixel at (`left`, `top`) of the image.

        An edge is where a column goes from outside to inside, or back: a run begins at every other of them.
        """
        edges = [np.empty(0, dtype=np.int64)]
        for strip in strips:
            rows, columns = strip.shape
            framed = np.zeros((columns, rows + 2), dtype=np.bool_)
            framed[:, 1:-1] = strip.T
            x, y = np.divmod(np.flatnonzero(framed[:, 1:] != framed[:, :-1]), rows + 1)
            edges.append((x + left) * self.height + (y + top))
            left += columns
        joined = np.concatenate(edges)
        starts, ends = joined[0::2], joined[1::2]
        apart = starts[1:] != ends[:-1]  # a run may go on into the next column
        starts, ends = starts[np.append(True, apart)[: len(starts)]], ends[np.append(apart, True)[: len(ends)]]
        return Runs(starts, ends - starts, self.width, self.height)

    def _union(self, union: Union) -> Runs:
        masks = []
        for number, member in enumerate(union.members):
            try:
                masks.append(self.runs(member))
            except ShapeError as error:
                message = f"member {number} of {len(union.members)}: {error.message}"
                raise ShapeError(error.code, message, error.path, error.line) from error
        return runs.union(masks, width=self.width, height=self.height)

    def _rle(self, rle: Rle) -> Runs:
        if (rle.width, rle.height) != (self.width, self.height):
            raise self._differs("the run lengths are", rle.width, rle.height)
        counts = runs.parse_counts(rle.counts) if isinstance(rle.counts, str) else rle.counts
        return runs.from_counts(counts, width=self.width, height=self.height)

    def _box(self, box: Box) -> Runs:
        """The pixels whose centre lies in the box."""
        check_box(box)
        left, right = (_first_centre(x, self.width) for x in (box.x0, box.x1))
        top, bottom = (_first_centre(y, self.height) for y in (box.y0, box.y1))
        if bottom == top:
            return runs.nothing(self.width, self.height)
        starts = np.arange(left, right, dtype=np.int64) * self.height + top
        return Runs(starts, np.full(len(starts), bottom - top, dtype=np.int64), self.width, self.height)

    def _bitmap(self, bitmap: Bitmap) -> Runs:
        patch = self._mask_image(bitmap.source) != 0
        height, width = patch.shape
        left, top = max(bitmap.x, 0), max(bitmap.y, 0)
        right, bottom = min(bitmap.x + width, self.width), min(bitmap.y + height, self.height)
        if right <= left or bottom <= top:
            return runs.nothing(self.width, self.height)
        inside = patch[top - bitmap.y : bottom - bitmap.y, left - bitmap.x : right - bitmap.x]
        return self._placed([inside], left, top)

    def _region(self, region: Region) -> Runs:
        if region.source not in self._regions:
            labels = self._mask_image(region.source)
            if labels.shape != (self.height, self.width):
                raise self._differs("the label image is", labels.shape[1], labels.shape[0])
            self._regions[region.source] = label_runs(labels)
        return self._regions[region.source].get(region.value) or runs.nothing(self.width, self.height)

    def _mask_image(self, source: Path | bytes) -> NDArray[np.integer]:
        """The pixels of a mask `[height, width]`, which may leave the image, but not be a multiple of it."""
        try:
            labels = read_labels(source, max(_TIMES_THE_IMAGE * self.width * self.height, _SMALL_MASK))
        except ImageError as error:
            where = f"{source}: " if isinstance(source, Path) else ""
            raise ShapeError("mask-unreadable", where + error.message) from error
        self._spend(_MASK * labels.size)
        return labels

    def _differs(self, what: str, width: int, height: int) -> ShapeError:
        turned = ", as if width and height were exchanged" if (height, width) == (self.width, self.height) else ""
        return ShapeError(
            "mask-size-differs", f"{what} {width} x {height}, the image {self.width} x {self.height}{turned}"
        )


def usable_parts(polygons: Polygons) -> tuple[list[Part], float]:
    """The parts of three points or more, every one of them fit for native code, and what their outlines do not exceed.

    Raises:
        ShapeError: `polygon-odd-length`, `polygon-not-finite`, `polygon-too-far`, `polygon-too-few-points`.
    """
    longest = sum([_check_part(part, f"part {number}") for number, part in enumerate(polygons.parts)])
    parts: list[Part] = [part for part in polygons.parts if len(part) >= 6]
    if not parts:
        points = max((len(part) // 2 for part in polygons.parts), default=0)
        raise ShapeError("polygon-too-few-points", f"its largest part has {count_text(points, 'point')}")
    return parts, longest


def usable_points(drawing: Drawing) -> Part:
    """The points of a figure, every one of them fit for native code.

    Raises:
        ShapeError: `polygon-odd-length`, `polygon-not-finite`, `polygon-too-far`, `polygon-too-few-points`.
    """
    points = drawing.points
    _check_part(points, f"the {drawing.figure}")
    if len(points) < 4:
        raise ShapeError("polygon-too-few-points", f"the {drawing.figure} has {len(points) // 2} of two points")
    if drawing.thickness > MAX_COORDINATE:
        raise ShapeError("polygon-too-far", f"the {drawing.figure} is {drawing.thickness:g} pixels thick")
    left, top, right, bottom = _box_around(points)
    if drawing.figure == "ellipse" and (right - left) * (bottom - top) > MAX_ELLIPSE:
        raise ShapeError("polygon-too-far", f"the ellipse has {right - left:g} x {bottom - top:g} pixels")
    return points


def check_box(box: Box) -> None:
    """Refuse a box that is none.

    Raises:
        ShapeError: `box-invalid`.
    """
    if not all(map(math.isfinite, (box.x0, box.y0, box.x1, box.y1))):
        raise ShapeError("box-invalid", f"the box has a coordinate that is not finite: {_corners(box)}")
    if box.x1 < box.x0 or box.y1 < box.y0:
        raise ShapeError("box-invalid", f"the box ends before it begins: {_corners(box)}")


def label_runs(labels: NDArray[np.integer]) -> Mapping[int, Runs]:
    """The runs of every value but 0 in a `[height, width]` label image, in one pass over its pixels.

    Raises:
        ShapeError: `mask-too-laborious`, as there are too many.
    """
    height, width = labels.shape
    flat = labels.T.ravel()
    changes = flat[1:] != flat[:-1]
    if (count := np.count_nonzero(changes) + 1) > MAX_EFFORT / _RUN:
        told = f"the label image has {count:,} runs of one value; the most that are read are {MAX_EFFORT // _RUN:,}"
        raise ShapeError("mask-too-laborious", told)
    begins = np.flatnonzero(np.append(True, changes))
    lengths = np.diff(begins, append=len(flat))
    values = flat[begins]
    order = np.argsort(values, kind="stable")
    distinct, firsts = np.unique(values[order], return_index=True)
    return {
        int(value): Runs(begins[members], lengths[members], width, height)
        for value, members in zip(distinct, np.split(order, firsts[1:]), strict=True)
        if value != 0
    }


def _check_part(part: Part, name: str) -> float:
    """Refuse coordinates that native code cannot bear; what the part's outline does not exceed, in pixels."""
    if len(part) % 2:
        raise ShapeError("polygon-odd-length", f"{name} has {len(part)} numbers")
    if not all(map(math.isfinite, part)):
        at = next(i for i, value in enumerate(part) if not math.isfinite(value))
        raise ShapeError("polygon-not-finite", f"{name} has {part[at]} as its point {at // 2}'s {'xy'[at % 2]}")
    if not part:
        return 0
    lowest, highest = min(part), max(part)
    if max(highest, -lowest) > MAX_COORDINATE:
        furthest = max(part, key=abs)
        raise ShapeError("polygon-too-far", f"{name} has the coordinate {furthest:g}")
    longest = (highest - lowest) * len(part) / 2
    if longest > MAX_OUTLINE < (length := _outline(part)):
        raise ShapeError("polygon-too-far", f"{name} has an outline of {length:.0f} pixels")
    return longest


def _fill_polygon(draw: ImageDraw.ImageDraw, part: Part) -> None:
    draw.polygon(part, fill=1, outline=1)


def _fill_rectangle(draw: ImageDraw.ImageDraw, corners: Part) -> None:
    draw.rectangle(corners, fill=1, outline=1)


def _fill_ellipse(draw: ImageDraw.ImageDraw, corners: Part) -> None:
    draw.ellipse(corners, fill=1, outline=1)


def _draw_line(draw: ImageDraw.ImageDraw, points: Part, *, thickness: int) -> None:
    draw.line(points, fill=1, width=thickness)


def _box_around(points: Part) -> Part:
    """The top-left and the bottom-right corner."""
    return min(points[0::2]), min(points[1::2]), max(points[0::2]), max(points[1::2])


def _reach(values: Sequence[float], margin: int, size: int) -> tuple[int, int]:
    """The first of `size` pixels that can be drawn on, and the one after the last."""
    return max(math.floor(min(values)) - margin, 0), min(math.floor(max(values)) + margin + 2, size)


def _strips(canvas: Image.Image, left: int) -> Iterator[NDArray[np.bool_]]:
    """The columns of a canvas from `left` on, so many at once that it takes little memory beside the canvas."""
    columns = max(_STRIP // canvas.height, 1)
    for begin in range(left, canvas.width, columns):
        yield np.asarray(canvas.crop((begin, 0, min(begin + columns, canvas.width), canvas.height)))


def _raised(part: Part, rows: int) -> Part:
    raised = list(part)
    raised[1::2] = [y - rows for y in part[1::2]]
    return raised


def _outline(part: Part) -> float:
    """Length of a closed outline as rleFrPoly steps along it: the longer of the two axes, edge by edge."""
    points = np.asarray(part).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, -1, axis=0)).max(axis=1).sum())


def _first_centre(edge: float, size: int) -> int:
    """The first of `size` pixels whose centre is not before `edge`."""
    return min(max(math.ceil(edge - 0.5), 0), size)


def _corners(box: Box) -> str:
    return f"({box.x0:g}, {box.y0:g}) to ({box.x1:g}, {box.y1:g})"
