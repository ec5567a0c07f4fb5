"""An annotation file of Pascal VOC: what its XML says of an image, read as the hostile input that XML may be.

Entities are not expanded, nothing is fetched, and a file with a document type is refused; libxml2 bounds the depth and
the length of texts, we the length of the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from maskflow_adapters.voc_labels import MAX_NAME
from maskflow_convert.errors import RecordError

MAX_BYTES = 16 * 2**20
"""Longest file that is read: some 50,000 objects."""

MAX_OBJECTS = 50_000

Corners = tuple[float, float, float, float]

_SHOWN = 60  # characters of a text that a message quotes
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TRUTH = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True, slots=True)
class VocObject:
    """One `<object>`.

    Attributes:
        name: its class; None if it has none.
        line: where it begins, 1-based.
        corners: `(xmin, ymin, xmax, ymax)` as written; None if it has no box of four numbers.
        fault: what is wrong with its name or its box, if they are there.
        attributes: `difficult`, `truncated` and `occluded` as truth values, `pose` as text; what is not said is not in.
    """

    name: str | None
    line: int
    corners: Corners | None
    fault: str | None
    attributes: Mapping[str, bool | str]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a file says; `line` is that of its root; `width` and `height` are in pixels, None where it has no size."""

    line: int
    filename: str | None
    width: int | None
    height: int | None
    objects: tuple[VocObject, ...]


def read_annotation(path: Path) -> Annotation:
    """Read an annotation file.

    Raises:
        RecordError: it cannot be read, is no XML, has a document type, or is no annotation.
    """
    root = _parse(path)
    if len(root.findall("object", None)) > MAX_OBJECTS:
        raise RecordError(f"lists more than {MAX_OBJECTS:,} objects, the most that is read", path, _line(root))
    return Annotation(
        line=_line(root),
        filename=_text(root, "filename"),
        width=_length(path, root.find("size/width")),
        height=_length(path, root.find("size/height")),
        objects=tuple(map(_object, root.iterfind("object"))),
    )


def _parse(path: Path) -> etree._Element:
    data = _read(path)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        told = re.sub(r"\s*, line \d+, column \d+$", "", error.msg or "it is empty")
        raise RecordError(f"is not readable XML: {told}", path, error.lineno or 1) from error
    if root.getroottree().docinfo.doctype:
        line = data.count(b"\n", 0, max(0, data.find(b"<!DOCTYPE"))) + 1
        raise RecordError("has a document type, which annotation files have not, and which is not read", path, line)
    if root.tag != "annotation":
        raise RecordError(f"is not a Pascal VOC annotation: its root is <{root.tag!s}>", path, _line(root))
    return root


def _read(path: Path) -> bytes:
    if path.is_fifo():
        raise RecordError("is a pipe, which would be waited for", path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", path) from error
    if len(data) > MAX_BYTES:
        raise RecordError(f"is longer than {MAX_BYTES:,} bytes, the most that is read of an annotation file", path, 1)
    return data


def _object(element: etree._Element) -> VocObject:
    corners, fault = _box(element.find("bndbox"))
    name = _text(element, "name")
    letters = len(name or "")
    if letters > MAX_NAME:
        name, fault = None, f"its <name> has {letters:,} characters; the most that it may have is {MAX_NAME:,}"
    return VocObject(
        name=name,
        line=_line(element),
        corners=corners,
        fault=fault,
        attributes=dict(_attributes(element)),
    )


def _box(element: etree._Element | None) -> tuple[Corners | None, str | None]:
    """The corners, or what is wrong with them; neither where there is no box."""
    if element is None:
        return None, None
    numbers = []
    for side in _SIDES:
        text = _text(element, side)
        if text is None:
            return None, f"the box has no <{side}>"
        try:
            numbers.append(float(text))
        except ValueError:
            return None, f"<{side}> is not a number: {_cut(text)!r}"
    xmin, ymin, xmax, ymax = numbers
    return (xmin, ymin, xmax, ymax), None


def _attributes(element: etree._Element) -> Iterator[tuple[str, bool | str]]:
    for name in ("difficult", "truncated", "occluded"):
        value = _TRUTH.get((_text(element, name) or "").lower())
        if value is not None:
            yield name, value
    if pose := _text(element, "pose"):
        yield "pose", pose


def _length(path: Path, element: etree._Element | None) -> int | None:
    """A width or height; 0 is what some tools write for one that they do not know."""
    text = "" if element is None or element.text is None else element.text.strip()
    if element is None or not text:
        return None
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not (length.is_integer() and 0 <= length < 2**31):
        raise RecordError(f"the {element.tag!s} of the image is {_cut(text)!r}", path, _line(element))
    return int(length) or None


def _text(element: etree._Element, tag: str) -> str | None:
    """The text of the first child of that tag; None if there is none, or nothing in it."""
    return (element.findtext(tag) or "").strip() or None


def _cut(text: str) -> str:
    """The text as messages quote it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _line(element: etree._Element) -> int:
    return element.sourceline or 1
