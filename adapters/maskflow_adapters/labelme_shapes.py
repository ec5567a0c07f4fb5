"""LabelMe's shapes as instances: one for each label and group, and for each shape without a group.

The pixels are those of `shape_to_mask` and `shapes_to_label` in LabelMe 6.3 (labelme/utils/shape.py). X-AnyLabeling
gives a rectangle four corners and has shapes that turn.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import msgspec
from pydantic import JsonValue, ValidationError

from maskflow_adapters import json_text
from maskflow_adapters.bounds import MAX_OBJECT_BYTES
from maskflow_adapters.labelme_file import LabelmeFile
from maskflow_convert import Bitmap, Drawing, Instance, Issue, Polygons, Union
from maskflow_convert.errors import ShapeError
from maskflow_convert.shape import Mask

NO_CLASSES = ("__ignore__", "_background_")
"""Labels that LabelMe's converters reserve."""

MAX_LABEL = 1000
"""Most characters of a label: every message about the object repeats it."""

_WITHOUT_AREA = ("line", "linestrip", "point", "points")

Point = tuple[float, float]
Width = TypeVar("Width", int, float)


@dataclass(frozen=True)
class Strokes:
    """How what has no area is drawn, in pixels: the width of lines, the radius of points. None: not at all."""

    line_width: int | None = None
    point_radius: float | None = None


@dataclass(frozen=True)
class Piece:
    """A shape: its text, its number in the file, counted from 1, where it stands there, in bytes, and its group."""

    number: int
    offset: int
    text: bytes
    group: Group | None = None


class Group(msgspec.Struct):
    """What tells which shapes belong together."""

    label: str
    group_id: int | str | None = None
    shape_type: Any = None


class _Label(msgspec.Struct):
    label: str


class _Shape(Group, kw_only=True):
    points: list[Point]
    shape_type: str | None = None
    mask: str | None = None
    flags: dict[str, bool] | None = None
    description: str | None = None
    difficult: bool | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None


_GROUP = msgspec.json.Decoder(Group)
_LABEL = msgspec.json.Decoder(_Label)
_SHAPE = msgspec.json.Decoder(_Shape)


def labels_of(file: LabelmeFile) -> Iterator[str]:
    """The labels of the shapes that have one."""
    for _, text in file.shapes():
        try:
            label = json_text.decode(text, _LABEL).label
        except json_text.UNPARSABLE:
            continue
        if label not in NO_CLASSES and len(label) <= MAX_LABEL:
            yield label


def groups_of(file: LabelmeFile) -> list[list[Piece]]:
    """The shapes that make up each instance, in the order in which the instances begin."""
    groups: dict[object, list[Piece]] = {}
    for number, (offset, text) in enumerate(file.shapes(), start=1):
        group = _group(text)
        name = number if group is None else (group.label, group.group_id)
        groups.setdefault(name, []).append(Piece(number, offset, text, group))
    return list(groups.values())


def _group(text: bytes) -> Group | None:
    """The label and the group of a shape, if it has both."""
    try:
        shape = json_text.decode(text, _GROUP)
    except json_text.UNPARSABLE:
        return None
    return None if shape.group_id is None else shape


def labels_differ(file: LabelmeFile, instances: Iterable[Sequence[Piece]]) -> Iterator[Issue]:
    """Instances that share their group with one before, which has another label: with the first of these.

    Shapes without an area do not count: key points and skeletons have labels of their own in the group of their body.
    """
    owners: dict[object, tuple[str, int]] = {}
    for pieces in instances:
        piece = next(filter(_is_grouped, pieces), None)
        if piece is not None and piece.group is not None:
            name, label, number = piece.group.group_id, piece.group.label, pieces[0].number
            other_label, other = owners.setdefault(name, (label, number))
            if other != number:
                told = f"group {name} is {label!r} here, and {other_label!r} in object {other}"
                line = file.line(piece.offset)
                yield Issue("group-labels-differ", told, object=str(number), path=str(file.path), line=line)


def _is_grouped(piece: Piece) -> bool:
    """Whether a shape covers an area of a class, and is in a group."""
    group = piece.group
    return group is not None and group.label not in NO_CLASSES and group.shape_type not in _WITHOUT_AREA


def instance_of(file: LabelmeFile, pieces: Sequence[Piece], strokes: Strokes) -> Instance:
    """The instance that some shapes make up together.

    Raises:
        ShapeError: one of them is broken, and with it the instance: `annotation-broken`, `mask-unreadable`,
            `object-ignored`, `object-shape-missing`, `object-without-area`, `polygon-not-finite`, `polygon-too-far`.
    """
    masks: list[Mask] = []
    attributes: dict[str, JsonValue] = {}
    for piece in pieces:
        try:
            shape = _decode(piece.text)
            masks += _masks(shape, strokes)
        except ShapeError as error:
            raise ShapeError(error.code, error.message, file.path, file.line(piece.offset)) from error
        for name, value in _attributes(shape).items():
            attributes.setdefault(name, value)
    try:
        return Instance(
            label=shape.label,
            shape=masks[0] if len(masks) == 1 else Union(members=tuple(masks)),
            id=str(pieces[0].number),
            offset=file.line(pieces[0].offset),
            attributes=attributes,
        )
    except ValidationError as error:
        raise ShapeError("annotation-broken", f"the attributes cannot be kept: {error.errors()[0]['msg']}") from error


def _decode(text: bytes) -> _Shape:
    if len(text) > MAX_OBJECT_BYTES:
        told = f"it is {len(text):,} bytes long; the most that is read of a shape is {MAX_OBJECT_BYTES:,}"
        raise ShapeError("annotation-broken", told)
    try:
        shape = json_text.decode(text, _SHAPE)
    except json_text.UNPARSABLE as error:
        raise ShapeError("annotation-broken", str(error)) from error
    if len(shape.label) > MAX_LABEL:
        told = f"its label has {len(shape.label):,} characters; the most that a label may have is {MAX_LABEL:,}"
        raise ShapeError("annotation-broken", told)
    if shape.label in NO_CLASSES:
        raise ShapeError("object-ignored", f"its label is {shape.label}")
    return shape


def _attributes(shape: _Shape) -> dict[str, JsonValue]:
    """The flags, each by its name, and what else the shape says of itself."""
    said: dict[str, JsonValue] = {
        "description": shape.description or None,
        "difficult": shape.difficult,
        "score": shape.score,
        "attributes": shape.attributes or None,
    }
    return {**(shape.flags or {}), **{name: value for name, value in said.items() if value is not None}}


def _masks(shape: _Shape, strokes: Strokes) -> list[Mask]:
    """What the shape covers: one mask, or one for each of several points."""
    points = shape.points
    match shape.shape_type or "polygon", len(points):
        case ("polygon", _) | ("rectangle" | "oriented_rectangle" | "rotation" | "quadrilateral", 4):
            return [Polygons(parts=(_flat(points),), rasteriser="labelme")]
        case "rectangle", 2:
            return [Drawing(figure="rectangle", points=_flat(points))]
        case "circle", 2:
            return [_disc(points[0], _distance(*points))]
        case ("line", 2) | ("linestrip", _):
            width = _stroke(strokes.line_width, "line_width")
            return [Drawing(figure="line", points=_flat(points), thickness=width)]
        case ("point", 1) | ("points", _) if points:
            radius = _stroke(strokes.point_radius, "point_radius")
            return [_disc(point, radius) for point in points]
        case "mask", 2:
            return [_patch(shape)]
    raise ShapeError("annotation-broken", f"there is no shape of type {shape.shape_type!r} with {len(points)} points")


def _stroke(width: Width | None, option: str) -> Width:
    if width is None:
        raise ShapeError("object-without-area", f"points and lines have no area, and `{option}` is not set")
    return width


def _distance(centre: Point, edge: Point) -> float:
    try:
        return math.sqrt((centre[0] - edge[0]) ** 2 + (centre[1] - edge[1]) ** 2)
    except OverflowError:
        raise ShapeError("polygon-too-far", f"the circle goes through ({edge[0]:g}, {edge[1]:g})") from None


def _disc(centre: Point, radius: float) -> Drawing:
    x, y = centre
    return Drawing(figure="ellipse", points=(x - radius, y - radius, x + radius, y + radius))


def _patch(shape: _Shape) -> Bitmap:
    """The mask at its top-left corner, rounded to even; its size is held against the corners if they are whole."""
    if not shape.mask:
        raise ShapeError("object-shape-missing", "a shape of type 'mask' holds none")
    try:
        source = base64.b64decode(shape.mask)
    except ValueError as error:
        raise ShapeError("mask-unreadable", f"the mask is not base64: {error}") from error
    corners = _flat(shape.points)
    if not all(map(math.isfinite, corners)):
        raise ShapeError("polygon-not-finite", f"the corners of the mask are {', '.join(map(str, corners))}")
    left, top, right, bottom = map(round, corners)
    if (left, top, right, bottom) != corners:
        return Bitmap(source=source, x=left, y=top)
    return Bitmap(source=source, x=left, y=top, width=right - left + 1, height=bottom - top + 1)


def _flat(points: Sequence[Point]) -> tuple[float, ...]:
    return tuple(chain.from_iterable(points))
