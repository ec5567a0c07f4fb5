"""LabelMe: a JSON file for each image, beside the image or with it inside; X-AnyLabeling writes the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import Field, PositiveInt

from maskflow_adapters import labelme_discovery
from maskflow_adapters.labelme_file import LabelmeFile
from maskflow_adapters.labelme_shapes import NO_CLASSES, Strokes, groups_of, instance_of, labels_differ, labels_of
from maskflow_adapters.listing import files_below, is_file
from maskflow_convert import (
    Adapter,
    AdapterOptions,
    Entry,
    Found,
    Frame,
    Image,
    Index,
    InputPath,
    Instance,
    Issue,
    Loss,
    RecordError,
    Sample,
    SourceError,
    Tree,
)
from maskflow_convert.errors import ShapeError
from maskflow_convert.fetching import fetched_ahead
from maskflow_convert.remote import RemotePath


class LabelmeOptions(AdapterOptions):
    """Options of the `labelme` adapter."""

    annotations: InputPath = Field(
        description="a JSON file, or a folder: all JSON files in it and in its sub-folders, links not followed"
    )
    images: InputPath | None = Field(
        None,
        description="the folder of the images; omitted: each lies where its `imagePath` says, seen from the JSON file",
    )
    labels: InputPath | None = Field(
        None, description="LabelMe's labels.txt, a label a line, in their order; omitted: those of the files, sorted"
    )
    line_width: PositiveInt | None = Field(
        None, description="draws `line` and `linestrip` so many pixels wide, LabelMe 10; omitted: they are an issue"
    )
    point_radius: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="draws `point` and `points` as discs of that radius, LabelMe 5; omitted: they are an issue"
    )


class LabelmeAdapter(Adapter[LabelmeOptions, str]):
    """LabelMe's JSON of versions 3 to 6, and X-AnyLabeling's.

    A record is the path of a JSON file within the folder of annotations, with `/` between its parts.
    """

    Options = LabelmeOptions

    @classmethod
    def discover(cls, tree: Tree) -> Iterator[Found]:
        """Folders of LabelMe files."""
        return labelme_discovery.discover(tree)

    def index(self) -> Index[str]:
        """List the JSON files in the order of their paths."""
        entries: list[Entry[str]] = []
        issues: list[Issue] = []
        labels: set[str] = set()
        keys = self._keys()
        for key, path in zip(keys, fetched_ahead(self._folder / key for key in keys), strict=True):
            try:
                file = LabelmeFile.read(path)
            except RecordError as error:
                issues.append(self._unlisted(key, error))
                continue
            head = file.head
            pixels = (head.image_width or 0) * (head.image_height or 0)
            file_name = PureWindowsPath(head.image_path or "").name or None
            entries.append(Entry(key, key, pixels=pixels, file_name=file_name))
            if self.options.labels is None:
                labels.update(labels_of(file))
        if not entries and not any(issue.loss for issue in issues):
            raise SourceError("holds no LabelMe file", self.options.annotations)
        listed = sorted(labels) if self.options.labels is None else _read_labels(self.options.labels)
        return Index(entries, listed, issues)

    def read(self, record: str) -> Sample:
        """The image and its shapes; an instance with a shape that cannot be used becomes an issue of the sample."""
        file = LabelmeFile.read(self._folder / record)
        strokes = Strokes(self.options.line_width, self.options.point_radius)
        instances: list[Instance] = []
        issues: list[Issue] = []
        groups = groups_of(file)
        for pieces in groups:
            try:
                instances.append(instance_of(file, pieces, strokes))
            except ShapeError as error:
                name = str(pieces[0].number)
                line = error.line or file.line(pieces[0].offset)
                issues.append(
                    Issue(error.code, error.message, object=name, path=str(file.path), line=line, loss=Loss.OBJECT)
                )
        return Sample(
            key=record,
            image=self._image(record, file),
            instances=tuple(instances),
            issues=tuple(issues),
            doubts=tuple(labels_differ(file, groups)),
        )

    def where(self, record: str, instance: Instance) -> tuple[Path, int]:
        """The line of the instance's first shape."""
        return self._folder / record, instance.offset or 1

    @property
    def _folder(self) -> Path:
        path = self.options.annotations
        return path.parent if self._is_single else path

    @property
    def _is_single(self) -> bool:
        """Whether there is but one JSON file; of a remote path its name tells, so that it need not be asked for."""
        path = self.options.annotations
        return path.suffix.lower() == ".json" if isinstance(path, RemotePath) else path.is_file()

    def _keys(self) -> list[str]:
        """The paths of the JSON files within the folder."""
        annotations = self.options.annotations
        if self._is_single:
            return [annotations.name]
        return list(files_below(annotations, ".json"))

    def _unlisted(self, key: str, error: RecordError) -> Issue:
        """What is said of a file that is left out of the index; it is all there is to a source of one file."""
        if self._is_single:
            raise SourceError(error.message, error.path, error.line) from error
        loss = None if error.code == "file-foreign" else Loss.IMAGE
        return Issue(error.code, error.message, record=key, path=str(error.path), line=error.line, loss=loss)

    def _image(self, key: str, file: LabelmeFile) -> Image:
        """The file that `imagePath` names, or else what is embedded.

        What is embedded may be another encoding of the file, of lower quality, and so the file goes first. LabelMe
        shows a file as its EXIF orientation says, and what is embedded as it is. Some files name themselves.

        Raises:
            RecordError: there is neither, or what is embedded is not base64.
        """
        head = file.head
        name = PureWindowsPath(head.image_path or "").as_posix()
        root = self.options.images or self._folder
        folders = [root / PurePosixPath(key).parent]
        if self.options.images:
            folders.append(root)  # images may lie in the same sub-folders as the JSON files, or all in one
        path = next((path for path in _candidates(name, folders, root) if path != file.path and is_file(path)), None)
        size = {"width": head.image_width, "height": head.image_height}
        if path is None and (data := file.embedded()):
            named = PurePosixPath(name).name or None
            return Image(data=data, name=named, source=file.path, frame=Frame.STORED, **size)
        if not head.image_path:
            raise RecordError("the file names no image and holds none", file.path, file.line_of("imagePath"))
        return Image(path=path or folders[-1] / _relative(name), root=root, frame=Frame.SHOWN, **size)


def _candidates(name: str, folders: Sequence[Path], root: Path) -> Iterator[Path]:
    """Where an image may be: by all of its name, or by the last part of it, as folders are moved."""
    for each in (name, PurePosixPath(name).name):
        for folder in folders:
            path = _normal(folder / each)
            if path.is_relative_to(root):
                yield path


def _normal(path: Path) -> Path:
    """The path without `..`, as written."""
    return path.resolve() if isinstance(path, RemotePath) else Path(os.path.normpath(path))


def _relative(name: str) -> str:
    """The name, or the last part of it if it is absolute, on Windows or elsewhere."""
    return PurePosixPath(name).name if PureWindowsPath(name).anchor else name


def _read_labels(path: Path) -> list[str]:
    """The labels of a labels.txt that are classes."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error
    labels = dict.fromkeys(line.strip() for line in lines)
    return [label for label in labels if label and label not in NO_CLASSES]
