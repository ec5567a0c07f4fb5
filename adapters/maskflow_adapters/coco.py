"""COCO: one JSON file of images, annotations and categories, beside a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from pydantic import Field

from maskflow_adapters import json_text
from maskflow_adapters.coco_file import Id
from maskflow_adapters.coco_index import CocoRecord, annotation_name, index_file, stated_area
from maskflow_convert import Adapter, AdapterOptions, Image, Index, InputPath, Instance, Issue, Loss, Sample
from maskflow_convert.errors import RecordError, ShapeError
from maskflow_convert.shape import Box, Polygons, Rle, Shape


class CocoOptions(AdapterOptions):
    """Options of the `coco` adapter."""

    annotations: InputPath = Field(description="the JSON file")
    images: InputPath | None = Field(
        None, description="the folder that `file_name` is taken from; omitted: the folder of the JSON file"
    )


class CocoAdapter(Adapter[CocoOptions, CocoRecord]):
    """Common Objects in Context, instances: polygons, compressed and uncompressed run lengths, told apart by type."""

    Options = CocoOptions

    def index(self) -> Index[CocoRecord]:
        """List the images in the order of the file, each with its annotations in theirs."""
        return index_file(self.options.annotations)

    def read(self, record: CocoRecord) -> Sample:
        """The image and its annotations; an annotation without a meaning becomes an issue of the sample."""
        instances: list[Instance] = []
        issues: list[Issue] = []
        for offset, text in self._annotations(record):
            try:
                instances.append(_instance(text, record.categories, offset))
            except ShapeError as error:
                path, line = self._line(offset)
                name = annotation_name(text)
                issues.append(
                    Issue(error.code, error.message, object=name, path=str(path), line=line, loss=Loss.OBJECT)
                )
        folder = self.options.annotations.parent if self.options.images is None else self.options.images
        return Sample(
            key=record.file_name,
            image=Image(path=folder / record.file_name, root=folder, width=record.width, height=record.height),
            instances=tuple(instances),
            issues=tuple(issues),
        )

    def where(self, record: CocoRecord, instance: Instance) -> tuple[Path, int] | None:
        """The line of the annotation."""
        return self._line(instance.offset or 0)

    def _line(self, offset: int) -> tuple[Path, int]:
        return self.options.annotations, json_text.line_of(self.options.annotations, offset)

    def _annotations(self, record: CocoRecord) -> Iterator[tuple[int, bytes]]:
        """`(offset, text)` of each annotation."""
        path = self.options.annotations
        try:
            with path.open("rb", buffering=0) as file:
                for offset, length in record.spans:
                    file.seek(offset)
                    yield offset, file.read(length)
        except OSError as error:
            raise RecordError(f"cannot be read: {error.strerror}", path) from error


class _RunLengths(msgspec.Struct):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct):
    category_id: Id
    id: Id | None = None
    segmentation: list[list[float]] | _RunLengths | None = None
    bbox: list[float] | None = None
    iscrowd: bool | int | None = None


_ANNOTATION = msgspec.json.Decoder(_Annotation)


def _instance(text: bytes, categories: Mapping[Id, str], offset: int) -> Instance:
    """The instance that an annotation describes, which stands at that offset of the file.

    Raises:
        ShapeError: `annotation-broken`, `category-unknown`, `object-shape-missing`.
    """
    try:
        annotation = json_text.decode(text, _ANNOTATION)
    except json_text.UNPARSABLE as error:
        raise ShapeError("annotation-broken", str(error)) from error
    if annotation.category_id not in categories:
        raise ShapeError("category-unknown", f"category {annotation.category_id} is not listed with one name")
    return Instance(
        label=categories[annotation.category_id],
        shape=_shape(annotation),
        crowd=bool(annotation.iscrowd),
        id=None if annotation.id is None else str(annotation.id),
        offset=offset,
        stated_box=_box(annotation) if annotation.segmentation else None,
        stated_area=stated_area(text),
    )


def _shape(annotation: _Annotation) -> Shape:
    """The mask, in the encoding that the type of `segmentation` tells; the box only where there is no mask."""
    match annotation.segmentation:
        case _RunLengths(size=(rows, columns), counts=counts):
            if rows < 1 or columns < 1:
                raise ShapeError("annotation-broken", f"the run lengths have the size {rows} x {columns}")
            return Rle(height=rows, width=columns, counts=counts if isinstance(counts, str) else tuple(counts))
        case [_, *_] as parts:
            return Polygons(parts=tuple(map(tuple, parts)))
    if box := _box(annotation):
        return box
    raise ShapeError("object-shape-missing", "the annotation has neither a segmentation nor a box of four numbers")


def _box(annotation: _Annotation) -> Box | None:
    match annotation.bbox:
        case [x, y, width, height]:
            return Box(x0=x, y0=y, x1=x + width, y1=y + height)
    return None
