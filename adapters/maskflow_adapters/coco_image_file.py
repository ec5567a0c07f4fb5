"""A COCO file of one image: as SA-1B has them, with `image` and without categories, or with `images`, a list of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from maskflow_adapters import json_text
from maskflow_adapters.coco_elements import Category, FileName, Id, ImageEntry
from maskflow_adapters.json_file import JsonFile
from maskflow_convert import Issue, Loss
from maskflow_convert.errors import RecordError


class _Head(msgspec.Struct):
    image: msgspec.Raw = msgspec.Raw(b"")
    images: list[msgspec.Raw] = []
    annotations: list[msgspec.Raw] = []
    categories: msgspec.Raw = msgspec.Raw(b"[]")


class OneImage(msgspec.Struct):
    """What a file says of its image."""

    file_name: FileName
    image_id: Id | None = None
    id: Id | None = None
    width: int | None = None
    height: int | None = None

    @property
    def own_id(self) -> Id | None:
        """The id of the image: SA-1B calls it `image_id`, COCO `id`."""
        return self.id if self.image_id is None else self.image_id

    @property
    def pixels(self) -> int:
        """Width times height; 0 if they are not stated."""
        return (self.width or 0) * (self.height or 0)

    def fault(self) -> str | None:
        """Why the image cannot be used, as in `ImageEntry`."""
        name = self.file_name if self.own_id is None else self.own_id
        return ImageEntry(name, self.file_name, self.width, self.height).fault()


class _Reference(msgspec.Struct):
    image_id: Id | None = None
    id: Id | None = None


_IMAGE = msgspec.json.Decoder(OneImage)
_CATEGORIES = msgspec.json.Decoder(list[Category])
_REFERENCE = msgspec.json.Decoder(_Reference)


@dataclass(frozen=True)
class CocoImageFile(JsonFile[_Head]):
    """One file."""

    decoder = msgspec.json.Decoder(_Head)
    kind = "COCO"

    def image(self) -> OneImage:
        """What it says of its image.

        Raises:
            RecordError: `image-entry-broken`; `file-foreign`, the file is about no image; it lists several, or too
                much of its one.
        """
        listed = [self.head.image] if bytes(self.head.image) else self.head.images
        if len(listed) != 1:
            raise self._not_one(len(listed))
        self.check_amount(self.head.annotations, "annotations")
        [(offset, text)] = self.texts(listed)
        try:
            image = json_text.decode_zeroed(text, _IMAGE)
        except json_text.UNPARSABLE as error:
            raise RecordError(str(error), self.path, self.line(offset), "image-entry-broken") from error
        if fault := image.fault():
            raise RecordError(fault, self.path, self.line(offset), "image-entry-broken")
        return image

    def _not_one(self, count: int) -> RecordError:
        if count:
            told = f"lists {count:,} images; a file in a folder has one: name the file itself as `annotations`"
            return RecordError(told, self.path, self.line_of("images"))
        code = "record-broken" if self.head.annotations else "file-foreign"
        return RecordError("is not a COCO file of an image: it has neither `image` nor `images`", self.path, 1, code)

    def categories(self) -> Mapping[Id, str]:
        """The names of its categories; those of ids with several names are left out.

        Raises:
            RecordError: `category-broken`.
        """
        try:
            listed = json_text.decode_zeroed(bytes(self.head.categories), _CATEGORIES)
        except json_text.UNPARSABLE as error:
            raise RecordError(str(error), self.path, self.line_of("categories"), "category-broken") from error
        names: dict[Id, set[str]] = {}
        for category in listed:
            names.setdefault(category.id, set()).add(category.name)
        return {each: name for each, (name, *others) in names.items() if not others}

    def annotations(self) -> Iterator[tuple[int, bytes]]:
        """`(offset, text)` of each annotation."""
        return self.texts(self.head.annotations)

    def orphans(self, image: OneImage) -> Mapping[int, Issue]:
        """Annotations that say they are of another image than that of the file, by their offsets."""
        if image.own_id is None:
            return {}
        return {
            offset: self._issue("annotation-orphaned", "its image is another", offset, reference, Loss.OBJECT)
            for offset, reference in self._references()
            if reference.image_id not in (None, image.own_id)
        }

    def namesakes(self) -> Iterator[Issue]:
        """Annotations whose id is that of an earlier one."""
        seen: set[Id] = set()
        for offset, reference in self._references():
            if reference.id in seen:
                told = f"id {reference.id} is taken by another annotation"
                yield self._issue("annotation-id-duplicate", told, offset, reference)
            if reference.id is not None:
                seen.add(reference.id)

    def _references(self) -> Iterator[tuple[int, _Reference]]:
        """What annotations say of themselves and their image; what is broken is told where it is read."""
        for offset, text in self.annotations():
            try:
                yield offset, json_text.decode_zeroed(text, _REFERENCE)
            except json_text.UNPARSABLE:
                continue

    def _issue(self, code: str, told: str, offset: int, of: _Reference, loss: Loss | None = None) -> Issue:
        name = None if of.id is None else str(of.id)
        return Issue(code, told, object=name, path=str(self.path), line=self.line(offset), loss=loss)
