"""Pascal VOC: folders of images, XML annotations and instance masks, as `VOCdevkit` has them or loose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from maskflow_adapters import voc_discovery
from maskflow_adapters.voc_folders import Folders, find_folders
from maskflow_adapters.voc_index import VocRecord, index_folders
from maskflow_adapters.voc_labels import ClassNames, number_names, read_names, told
from maskflow_adapters.voc_masks import Masks, read_masks
from maskflow_adapters.voc_match import Listed, Matching, match
from maskflow_adapters.voc_xml import Annotation, Corners, VocObject, read_annotation
from maskflow_convert import (
    Adapter,
    AdapterOptions,
    Box,
    Found,
    Image,
    Index,
    InputPath,
    Instance,
    Issue,
    LeftOut,
    Loss,
    Rle,
    Sample,
    Tree,
)


def _is_text_file(value: object) -> object:
    if not str(value).endswith(".txt"):
        raise ValueError("a list file ends in .txt")
    return value


Origin = Literal[1, 0, "edges"]
ListFile = Annotated[InputPath, BeforeValidator(_is_text_file)]


class VocOptions(AdapterOptions):
    """Options of the `voc` adapter."""

    root: InputPath | None = Field(
        None,
        description="the folder that holds `Annotations`, `JPEGImages`, `SegmentationObject`, ..., or one `VOC20xx` "
        "that does; without any of these, images and XML files are taken from the folder itself",
    )
    annotations: InputPath | None = Field(None, description="the folder of the XML files, if not `Annotations`")
    images: InputPath | None = Field(
        None, description="the folder of the images, if not `JPEGImages`; without a root, omitted: beside the XML files"
    )
    object_masks: InputPath | None = Field(
        None, description="the folder of the instance masks, if not `SegmentationObject`"
    )
    class_masks: InputPath | None = Field(None, description="the folder of the class masks, if not `SegmentationClass`")
    image_set: Annotated[ListFile | str | None, Field(union_mode="left_to_right")] = Field(
        None,
        description="which images: a list in `ImageSets` (`Segmentation/trainval`), or a list file (`mine.txt`); "
        "omitted: every image",
    )
    labels: Annotated[tuple[str, ...], Field(min_length=1)] | InputPath | None = Field(
        None,
        description="names of the class mask's numbers from 1 on (from 0 if the first is `background`), or a file that "
        "lists them; omitted: `labelmap.txt` or `class_names.txt` in the root, else those in the XML files",
    )
    origin: Origin = Field(
        1,
        description="what a box counts: pixels from 1 or from 0, the last included, or edges of pixels from 0",
    )


class VocAdapter(Adapter[VocOptions, VocRecord]):
    """Pascal Visual Object Classes: instance masks with their classes, boxes, and CVAT's and LabelMe's variants."""

    Options = VocOptions

    @classmethod
    def discover(cls, tree: Tree) -> Iterator[Found | LeftOut]:
        """The folders of the challenges, by year; or XML files, beside their images or apart from them."""
        return voc_discovery.discover(tree)

    def index(self) -> Index[VocRecord]:
        """List the images of the set in its order, or all in the order of their names."""
        return index_folders(self._folders(), self.options.image_set)

    def _folders(self) -> Folders:
        options = self.options
        named = {
            "annotations": options.annotations,
            "images": options.images,
            "object_masks": options.object_masks,
            "class_masks": options.class_masks,
        }
        return find_folders(options.root, named, _names(options.labels))

    def read(self, record: VocRecord) -> Sample:
        """The image, the objects of its instance mask, and those of its annotation that have no mask, as boxes."""
        folders = record.folders
        path = _below(folders.annotations, record.annotation)
        annotation = None if path is None else read_annotation(path)
        object_mask = _below(folders.object_masks, record.object_mask)
        masks = None
        if object_mask is not None:
            masks = read_masks(object_mask, _below(folders.class_masks, record.class_mask), folders.names)
        found = _Finder(path, object_mask, self.options.origin)
        found.find(annotation, masks, folders.names)
        return Sample(
            key=record.name,
            image=Image(
                path=folders.images / record.image,
                root=folders.images,
                width=annotation.width if annotation else None,
                height=annotation.height if annotation else None,
            ),
            instances=tuple(found.instances),
            issues=tuple(found.issues),
            doubts=tuple(found.doubts),
        )

    def where(self, record: VocRecord, instance: Instance) -> tuple[Path, int] | None:
        """The line of the `<object>`; None for an object that is in a mask alone."""
        path = _below(record.folders.annotations, record.annotation)
        return None if path is None or instance.offset is None else (path, instance.offset)


def _names(labels: tuple[str, ...] | Path | None) -> ClassNames | None:
    return read_names(labels) if isinstance(labels, Path) else number_names(labels) if labels else None


def _below(folder: Path | None, path: str | None) -> Path | None:
    return None if folder is None or path is None else folder / path


class _Finder:
    """Finds the objects of one image in what its annotation file and its masks say, and what is wrong with them."""

    def __init__(self, path: Path | None, object_mask: Path | None, origin: Origin) -> None:
        self._path = None if path is None else str(path)
        self._object_mask = None if object_mask is None else str(object_mask)
        self._origin = origin
        self.instances: list[Instance] = []
        self.issues: list[Issue] = []
        self.doubts: list[Issue] = []

    def find(self, annotation: Annotation | None, masks: Masks | None, names: ClassNames | None) -> None:
        """Those of the mask in the order of their numbers, then those of the file that have none."""
        if annotation is None and masks is None:
            self._doubt("annotation-missing", "there is no annotation file and no instance mask")
        objects = annotation.objects if annotation else ()
        listed = [Listed(each, _box(each.corners, self._origin)) for each in objects]
        masked: Collection[int] = ()
        if masks is not None:
            matching = match(masks, listed if annotation else None, names)
            masked = matching.listed.values()
            self._masked(masks, matching, objects)
            self._judge_holes(masks)
            if matching.disagreement:
                message, line = matching.disagreement
                self._doubt("objects-masks-disagree", message, line or (annotation.line if annotation else None))
        for position, each in enumerate(listed):
            if position not in masked:
                self._boxed(each, f"xml-{position + 1}" if masks else str(position + 1))
        self._judge_origin(objects)

    def _masked(self, masks: Masks, matching: Matching, objects: Sequence[VocObject]) -> None:
        for number, runs in masks.runs.items():
            label, position = matching.labels[number], matching.listed.get(number)
            each = None if position is None else objects[position]
            if label is None:
                line = each.line if each else None
                self._lose("object-class-missing", _why_no_class(masks, number), told(number), line)
                continue
            self.instances.append(
                Instance(
                    label=label,
                    shape=Rle(height=runs.height, width=runs.width, counts=runs.to_counts()),
                    id=told(number),
                    offset=each.line if each else None,
                    attributes=each.attributes if each else {},
                )
            )

    def _boxed(self, listed: Listed, name: str) -> None:
        each = listed.object
        if each.fault is not None:
            self._lose("annotation-broken", each.fault, name, each.line)
        elif each.name is None:
            self._lose("annotation-broken", "the object has no <name>", name, each.line)
        elif listed.box is None:
            self._lose("object-shape-missing", f"{each.name} has no mask and no <bndbox>", name, each.line)
        else:
            self.instances.append(
                Instance(label=each.name, shape=listed.box, id=name, offset=each.line, attributes=each.attributes)
            )

    def _judge_holes(self, masks: Masks) -> None:
        for number, pixels in masks.holes.items():
            message = f"{pixels} pixels of void lie within the object and touch nothing else"
            self.doubts.append(Issue("void-inside-object", message, object=told(number), path=self._object_mask))

    def _judge_origin(self, objects: Sequence[VocObject]) -> None:
        suspects = [each.line for each in objects if each.corners and any(0 <= edge < 1 for edge in each.corners[:2])]
        if suspects and self._origin == 1:
            message = f"{len(suspects)} of {len(objects)} boxes begin at 0, where the first pixel is said to be 1"
            self._doubt("origin-suspect", message, suspects[0])

    def _lose(self, code: str, message: str, name: str, line: int | None) -> None:
        path = self._object_mask if line is None else self._path
        self.issues.append(Issue(code, message, object=name, path=path, line=line, loss=Loss.OBJECT))

    def _doubt(self, code: str, message: str, line: int | None = None) -> None:
        self.doubts.append(Issue(code, message, path=self._path, line=line))


def _why_no_class(masks: Masks, number: int) -> str:
    if masks.majority is None:
        return "there is no class mask, and several classes are possible, or none is known"
    value = masks.majority[number]
    if value is None:
        return "most of it is background or void in the class mask"
    return f"the class mask has {told(value)} there, and no name is known for that"


def _box(corners: Corners | None, origin: Origin) -> Box | None:
    """In continuous pixels: the first pixel begins at 0, and the last ends behind itself."""
    if corners is None:
        return None
    xmin, ymin, xmax, ymax = corners
    first, last = {1: (1, 0), 0: (0, -1), "edges": (0, 0)}[origin]
    return Box(x0=xmin - first, y0=ymin - first, x1=xmax - last, y1=ymax - last)
