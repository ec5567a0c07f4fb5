"""COCO: one JSON file of images, annotations and categories, beside a folder of images; or one JSON file per image.

`coco_index` indexes the one, `coco_folder` the other; an annotation is the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field

from maskflow_adapters import coco_discovery, json_text
from maskflow_adapters.bounds import check_amount
from maskflow_adapters.coco_annotation import Classes, objects_of
from maskflow_adapters.coco_elements import key_of
from maskflow_adapters.coco_folder import index_folder
from maskflow_adapters.coco_image_file import CocoImageFile
from maskflow_adapters.coco_index import CocoRecord, index_file
from maskflow_adapters.listing import is_file
from maskflow_convert import Adapter, AdapterOptions, Found, Index, InputPath, Instance, LeftOut, Sample, Tree
from maskflow_convert.errors import SourceError
from maskflow_convert.remote import RemotePath


class CocoOptions(AdapterOptions):
    """Options of the `coco` adapter."""

    annotations: InputPath = Field(
        description="the JSON file; or a folder of JSON files, one per image, those in sub-folders included"
    )
    images: InputPath | None = Field(
        None, description="the folder that `file_name` starts from; omitted: the folder of the JSON file"
    )
    label: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="the class of all objects, whatever their category; omitted: that of their category"
    )


class CocoAdapter(Adapter[CocoOptions, CocoRecord | str]):
    """Common Objects in Context, instances: polygons, compressed and uncompressed run lengths, told apart by type.

    The record of a file of its own is its path from the folder of annotations on, with `/` between its parts.
    """

    Options = CocoOptions

    @classmethod
    def discover(cls, tree: Tree) -> Iterator[Found | LeftOut]:
        """Files of instances, and folders of such files; those of captions, key points and the like are told apart."""
        return coco_discovery.discover(tree)

    def index(self) -> Index[CocoRecord | str]:
        """List the images in the order of the file, or of the paths of files; annotations follow that of their file."""
        annotations, label = self.options.annotations, self.options.label
        return index_folder(annotations, label) if self._is_folder else index_file(annotations, label)

    def read(self, record: CocoRecord | str) -> Sample:
        """The image and its annotations; an annotation without a meaning becomes an issue of the sample."""
        return self._read_own_file(record) if isinstance(record, str) else self._read_shared_file(record)

    def _read_shared_file(self, record: CocoRecord) -> Sample:
        """An image of a file of many."""
        offsets = (offset for offset, _ in record.spans)
        texts = zip(offsets, self._texts(record), strict=True)
        instances, issues = objects_of(texts, self.options.label or record.categories, self._place)
        folder = self.options.images or self.options.annotations.parent
        image = {"path": folder / record.file_name, "root": folder, "width": record.width, "height": record.height}
        return Sample.model_validate(
            {"key": record.file_name, "image": image, "instances": instances, "issues": issues}
        )

    def _read_own_file(self, record: str) -> Sample:
        """The image of a file of one."""
        file = CocoImageFile.read(self.options.annotations / record)
        image = file.image()
        orphans = file.orphans(image)
        own = ((file.line(offset), text) for offset, text in file.annotations() if offset not in orphans)
        classes: Classes = self.options.label or file.categories()
        instances, issues = objects_of(own, classes, lambda line: (file.path, line))
        path, root = self._own_image(record, key_of(image.file_name))
        return Sample.model_validate(
            {
                "key": record,
                "image": {"path": path, "root": root, "width": image.width, "height": image.height},
                "instances": instances,
                "issues": [*issues, *orphans.values()],
                "doubts": list(file.namesakes()),
            }
        )

    def _own_image(self, record: str, file_name: str) -> tuple[Path, Path]:
        """The image of a file of one, and the folder that it must lie in.

        It lies beside the file. Where images have a folder of their own, this may have the same sub-folders.
        """
        root, within = self.options.images or self.options.annotations, PurePosixPath(record).parent
        nested = root / within / file_name
        if self.options.images is None:
            return nested, root
        leads_out = ".." in PurePosixPath(file_name).parts or file_name.startswith("/")
        is_nested = within.parts and not leads_out and is_file(nested)
        return nested if is_nested else root / file_name, root

    def sources(self) -> list[Path]:
        """The annotations and the images; a remote folder is not gone through, as it may hold millions."""
        annotations, images = self.options.annotations, self.options.images
        if self._is_folder:
            files, folders = [], [annotations, images or annotations]
        else:
            files, folders = [annotations], [images or annotations.parent]
        return [*files, *(each for each in dict.fromkeys(folders) if not isinstance(each, RemotePath))]

    @property
    def _is_folder(self) -> bool:
        """Whether there is one file per image; of a remote file its name tells, so that it need not be asked for."""
        path = self.options.annotations
        return not (isinstance(path, RemotePath) and path.suffix.lower() == ".json") and path.is_dir()

    def where(self, record: CocoRecord | str, instance: Instance) -> tuple[Path, int]:
        """The line of the annotation; of a file of its own that is noted, so that none is read again."""
        if isinstance(record, str):
            return self.options.annotations / record, instance.offset or 1
        return self._place(instance.offset or 0)

    def _place(self, offset: int) -> tuple[Path, int]:
        return self.options.annotations, json_text.line_of(self.options.annotations, offset)

    def _texts(self, record: CocoRecord) -> list[bytes]:
        """The text of each annotation.

        Raises:
            RecordError: there is more than is read of one image.
            SourceError: the file is gone, or is not what was indexed: other annotations may stand there now.
        """
        path = self.options.annotations
        try:
            check_amount((length for _, length in record.spans), lambda: self._begin(record))
            texts = list(json_text.read_spans(path, record.spans))
            json_text.require_state(path, record.state)
        except OSError as error:
            raise SourceError(f"cannot be read any more: {error.strerror}", path) from error
        return texts

    def _begin(self, record: CocoRecord) -> tuple[Path, int]:
        """The file and the line of the first annotation of an image; in another file there may be no such line."""
        json_text.require_state(self.options.annotations, record.state)
        return self._place(record.spans[0][0])
