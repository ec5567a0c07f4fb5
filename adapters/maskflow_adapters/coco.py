"""COCO: one JSON file of images, annotations and categories, beside a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from pydantic import Field

from maskflow_adapters import coco_discovery, json_text
from maskflow_adapters.coco_elements import Id, annotation_name
from maskflow_adapters.coco_index import CocoRecord, index_file
from maskflow_convert import (
    Adapter,
    AdapterOptions,
    Found,
    Index,
    InputPath,
    Instance,
    Issue,
    LeftOut,
    Loss,
    Sample,
    Tree,
)
from maskflow_convert.errors import ShapeError, SourceError
from maskflow_convert.remote import RemotePath


class CocoOptions(AdapterOptions):
    """Options of the `coco` adapter."""

    annotations: InputPath = Field(description="the JSON file")
    images: InputPath | None = Field(
        None, description="the folder that `file_name` is taken from; omitted: the folder of the JSON file"
    )


class CocoAdapter(Adapter[CocoOptions, CocoRecord]):
    """Common Objects in Context, instances: polygons, compressed and uncompressed run lengths, told apart by type."""

    Options = CocoOptions

    @classmethod
    def discover(cls, tree: Tree) -> Iterator[Found | LeftOut]:
        """Files of instances; those of captions, key points and the like are told apart."""
        return coco_discovery.discover(tree)

    def index(self) -> Index[CocoRecord]:
        """List the images in the order of the file, each with its annotations in theirs."""
        return index_file(self.options.annotations)

    def read(self, record: CocoRecord) -> Sample:
        """The image and its annotations; an annotation without a meaning becomes an issue of the sample."""
        instances: list[Plain] = []
        issues: list[Issue] = []
        for (offset, _), text in zip(record.spans, self._texts(record), strict=True):
            try:
                instances.append(_instance(text, record.categories, offset))
            except ShapeError as error:
                path, line = self._line(offset)
                name = annotation_name(text)
                issues.append(
                    Issue(error.code, error.message, object=name, path=str(path), line=line, loss=Loss.OBJECT)
                )
        folder = self._folder
        image = {"path": folder / record.file_name, "root": folder, "width": record.width, "height": record.height}
        return Sample.model_validate(
            {"key": record.file_name, "image": image, "instances": instances, "issues": issues}
        )

    def sources(self) -> list[Path]:
        """The file, and the folder of the images; a remote one is not gone through, as it may hold millions."""
        folders = [] if isinstance(self._folder, RemotePath) else [self._folder]
        return [self.options.annotations, *folders]

    @property
    def _folder(self) -> Path:
        return self.options.annotations.parent if self.options.images is None else self.options.images

    def where(self, record: CocoRecord, instance: Instance) -> tuple[Path, int] | None:
        """The line of the annotation."""
        return self._line(instance.offset or 0)

    def _line(self, offset: int) -> tuple[Path, int]:
        return self.options.annotations, json_text.line_of(self.options.annotations, offset)

    def _texts(self, record: CocoRecord) -> list[bytes]:
        """The text of each annotation.

        Raises:
            SourceError: the file is gone, or is not what was indexed: other annotations may stand there now.
        """
        path = self.options.annotations
        try:
            texts = list(json_text.read_spans(path, record.spans))
            state = json_text.state_of(path)
        except OSError as error:
            raise SourceError(f"cannot be read any more: {error.strerror}", path) from error
        if state != record.state:
            raise SourceError("has changed while it was read; begin anew", path)
        return texts


MAX_BYTES = 2**24
"""Longest text of one annotation that is read: some million points."""

Plain = dict[str, object]
"""What a model is made from: nested, so that a sample is validated in one go, which is quicker than part by part."""


class _RunLengths(msgspec.Struct):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct):
    category_id: Id
    id: Id | None = None
    segmentation: list[list[float]] | _RunLengths | None = None
    bbox: list[float] | None = None
    iscrowd: bool | int | None = None


class _WithArea(_Annotation):
    area: float | None = None


_ANNOTATION = msgspec.json.Decoder(_Annotation)
_WITH_AREA = msgspec.json.Decoder(_WithArea)


def _instance(text: bytes, categories: Mapping[Id, str], offset: int) -> Plain:
    """The instance that an annotation describes, which stands at that offset of the file.

    Raises:
        ShapeError: `annotation-broken`, `category-unknown`, `object-shape-missing`.
    """
    annotation, area = _parse(text)
    if annotation.category_id not in categories:
        raise ShapeError("category-unknown", f"category {annotation.category_id} is not listed with one name")
    return {
        "label": categories[annotation.category_id],
        "shape": _shape(annotation),
        "crowd": bool(annotation.iscrowd),
        "id": None if annotation.id is None else str(annotation.id),
        "offset": offset,
        "stated_box": _box(annotation) if annotation.segmentation else None,
        "stated_area": area,
    }


def _parse(text: bytes) -> tuple[_Annotation, float | None]:
    """The annotation and the area in pixels that it states; None if that is none, since nothing depends on it."""
    if len(text) > MAX_BYTES:
        told = f"it is {len(text):,} bytes long; the most that is read of an annotation is {MAX_BYTES:,}"
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
