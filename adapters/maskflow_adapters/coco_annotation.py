"""An annotation of COCO as an instance: its mask in one of three encodings, told apart by type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from maskflow_adapters import json_text
from maskflow_adapters.bounds import MAX_OBJECT_BYTES
from maskflow_adapters.coco_elements import Id, annotation_name
from maskflow_convert import Issue, Loss
from maskflow_convert.errors import ShapeError

Plain = dict[str, object]
"""What a model is made from: nested, so that a sample is validated in one go, which is quicker than part by part."""

Classes = Mapping[Id, str] | str
"""The name of each category; or the one that all objects have, whatever their category."""


def objects_of(
    annotations: Iterable[tuple[int, bytes]], classes: Classes, place: Callable[[int], tuple[Path, int]]
) -> tuple[list[Plain], list[Issue]]:
    """The instances that annotations describe, and an issue for each that has no meaning.

    Args:
        annotations: `(offset, text)` of each, the offset as `Instance` has it.
        classes: what gives an object its label.
        place: the file and the line of an offset.
    """
    instances: list[Plain] = []
    issues: list[Issue] = []
    for offset, text in annotations:
        try:
            instances.append(_instance(text, classes, offset))
        except ShapeError as error:
            path, line = place(offset)
            name = annotation_name(text)
            issues.append(Issue(error.code, error.message, object=name, path=str(path), line=line, loss=Loss.OBJECT))
    return instances, issues


class _RunLengths(msgspec.Struct):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct):
    category_id: Id | None = None
    id: Id | None = None
    segmentation: list[list[float]] | _RunLengths | None = None
    bbox: list[float] | None = None
    iscrowd: bool | int | None = None


class _WithArea(_Annotation):
    area: float | None = None


_ANNOTATION = msgspec.json.Decoder(_Annotation)
_WITH_AREA = msgspec.json.Decoder(_WithArea)


def _instance(text: bytes, classes: Classes, offset: int) -> Plain:
    """The instance that an annotation describes, which stands at that offset of the file.

    Raises:
        ShapeError: `annotation-broken`, `category-unknown`, `object-shape-missing`.
    """
    annotation, area = _parse(text)
    return {
        "label": _label(annotation, classes),
        "shape": _shape(annotation),
        "crowd": bool(annotation.iscrowd),
        "id": None if annotation.id is None else str(annotation.id),
        "offset": offset,
        "stated_box": _box(annotation) if annotation.segmentation else None,
        "stated_area": area,
    }


def _parse(text: bytes) -> tuple[_Annotation, float | None]:
    """The annotation and the area in pixels that it states; None if that is none, since nothing depends on it."""
    if len(text) > MAX_OBJECT_BYTES:
        told = f"it is {len(text):,} bytes long; the most that is read of an annotation is {MAX_OBJECT_BYTES:,}"
        raise ShapeError("annotation-broken", told)
    try:
        found = _WITH_AREA.decode(text)
    except json_text.UNPARSABLE:
        pass
    else:
        return found, found.area
    try:
        annotation = json_text.decode(text, _ANNOTATION)
    except json_text.UNPARSABLE as error:
        raise ShapeError("annotation-broken", str(error)) from error
    return annotation, None


def _label(annotation: _Annotation, classes: Classes) -> str:
    if isinstance(classes, str):
        return classes
    if annotation.category_id is None:
        told = "it has no `category_id`; the adapter's option `label` makes all objects one class"
        raise ShapeError("annotation-broken", told)
    if annotation.category_id not in classes:
        raise ShapeError("category-unknown", f"category {annotation.category_id} is not listed with one name")
    return classes[annotation.category_id]


def _shape(annotation: _Annotation) -> Plain:
    """The mask, in the encoding that the type of `segmentation` tells; the box only where there is no mask."""
    match annotation.segmentation:
        case _RunLengths(size=(rows, columns), counts=counts):
            if rows < 1 or columns < 1:
                raise ShapeError("annotation-broken", f"the run lengths have the size {rows} x {columns}")
            return {"kind": "rle", "height": rows, "width": columns, "counts": counts}
        case [_, *_] as parts:
            return {"kind": "polygons", "parts": parts}
    if box := _box(annotation):
        return box
    raise ShapeError("object-shape-missing", "the annotation has neither a segmentation nor a box of four numbers")


def _box(annotation: _Annotation) -> Plain | None:
    match annotation.bbox:
        case [x, y, width, height]:
            return {"kind": "box", "x0": x, "y0": y, "x1": x + width, "y1": y + height}
    return None
