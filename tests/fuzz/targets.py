"""What the fuzzer calls, one target a reader: it gives the reader any bytes for a file.

A target returns, whatever the bytes are, or raises what is a finding: an exception that is none of
`maskflow_convert.errors`, also one that an adapter let out, books that do not add up, text that cannot be written.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fuzz import bundles
from maskflow_convert.completion import yaml_of
from maskflow_convert.config import Config, load_config
from maskflow_convert.errors import ConfigError, DataError, ImageError, MaskflowError, PluginError
from maskflow_convert.image import (
    Exif,
    ImageSettings,
    check_png,
    load_pixels,
    load_png,
    read_label_image,
    read_labels,
    read_shown_size,
    read_size,
    survey,
)
from maskflow_convert.inspection import inspect
from maskflow_convert.issues import Issue
from maskflow_convert.manifest import FILE_NAME
from maskflow_convert.record import Layout, decode, parse
from maskflow_convert.record_checks import Contract, check_record
from maskflow_convert.records import Records
from maskflow_convert.report import Report
from maskflow_convert.reporting import render, summary
from maskflow_convert.validation import Images, prepare_validation, validate_data_set
from maskflow_convert.verify import verify

TESTS = Path(__file__).resolve().parents[1]
PICTURES = TESTS / "bad/images"
"""8 x 6 pixels most of them; what is named in an input is looked for here."""


class Finding(AssertionError):  # noqa: N818  # it is no error of the program that raises it
    """What no input may bring about."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        run: gives the reader the bytes; the folder is for its files, and nobody else's.
        prepare: puts into that folder what lies beside the input, once.
    """

    run: Callable[[bytes, Path], None]
    prepare: Callable[[Path], object] = lambda folder: None


# annotations


def _coco(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    _validate(_config(folder, adapter="coco", annotations="a.json", images="images"))


def _coco_folder(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    _validate(
        _config(folder, adapter="coco", annotations=".", images="images"),
        _config(folder, adapter="coco", annotations=".", images="images", label="thing"),
    )


def _labelme(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    _validate(
        _config(folder, adapter="labelme", annotations=".", images="images", line_width=2, point_radius=1.5),
        _config(folder, adapter="labelme", annotations="a.json", images="images"),
    )


_VOC_FILES = (
    "Annotations/good.xml",
    "SegmentationObject/good.png",
    "SegmentationClass/good.png",
    "ImageSets/Main/train.txt",
    "labelmap.txt",
)


def _voc(data: bytes, folder: Path) -> None:
    """The files of one image, of a list and of the names of classes, as a bundle; bytes that are none are the XML."""
    files = bundles.split(data) or {_VOC_FILES[0]: data}
    for name in _VOC_FILES:
        if name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(files[name])
        else:
            (folder / name).unlink(missing_ok=True)
    by_list = {"image_set": "Main/train"} if "ImageSets/Main/train.txt" in files else {}
    _validate(_config(folder, adapter="voc", root=".", **by_list))


def _copy_pictures(folder: Path) -> None:
    shutil.copytree(PICTURES, folder / "images")


def _copy_good_picture(folder: Path) -> None:
    (folder / "JPEGImages").mkdir()
    shutil.copy(PICTURES / "good.png", folder / "JPEGImages/good.png")


@lru_cache
def _config(folder: Path, **source: Any) -> Config:
    """A configuration with one source, paths in it taken from the folder, in which all that can be written is."""
    path = folder / "config.yaml"
    objects = {"boxes": "rectangle", "crowd": "keep"}
    path.write_text(json.dumps({"sources": [source], "objects": objects, "run": {"executor": "serial"}}))
    return load_config(path)


def _validate(*configs: Config) -> None:
    for config in configs:
        try:
            data_set = prepare_validation(config)
            for images in Images:
                issues: list[Issue] = []
                _judge(validate_data_set(data_set, images=images, on_issue=issues.append), issues)
        except PluginError as error:
            raise Finding("an adapter failed") from error
        except MaskflowError as error:
            _write(str(error))


def _judge(report: Report, issues: Sequence[Issue]) -> None:
    for issue in issues:
        if issue.code == "adapter-failed":
            raise Finding(str(issue))
        _write(json.dumps(issue.to_dict(), ensure_ascii=False))
        _write(str(issue))
    _write(json.dumps(report.to_dict(), ensure_ascii=False))
    shown = render(summary(report))
    if unseen := {each for each in shown if unicodedata.category(each) in ("Cc", "Cf")} - {"\n"}:
        raise Finding(f"a terminal would get {unseen}")
    if not report.total.adds_up:
        raise Finding(f"the counts do not add up: {report.total}")


def _write(text: str) -> None:
    """As files are written; names of files may hold bytes that are no text."""
    text.encode("utf-8", "surrogateescape")


# images

_SETTINGS = (
    ImageSettings(),
    ImageSettings(exif=Exif.APPLY, channels="source", depth=16),
    ImageSettings(exif=Exif.IGNORE, channels=1),
)


def _image(data: bytes, folder: Path) -> None:
    for settings in _SETTINGS:
        try:
            stored, _ = load_png(data, settings, None)
            pixels, _ = load_pixels(data, settings, None)
            survey(data, settings, (8, 6))
        except ImageError as error:
            _write(str(error))
        else:
            header, channels = check_png(stored.png)
            stated = (stored.height, stored.width, stored.channels)
            if not stated == pixels.shape == (header.height, header.width, channels):
                raise Finding(f"{stated} is stated, {pixels.shape} decoded, {header} written")
    readers: tuple[Callable[[bytes], object], ...] = (read_size, read_shown_size, read_labels, read_label_image)
    for read in readers:
        try:
            read(data)
        except ImageError as error:
            _write(str(error))


# records

_CONTRACTS = (
    Contract(),
    Contract(Layout.DOCUMENTED, 3, 8, {1: "a", 2: "b"}),
    Contract(Layout.ROWS_FIRST, 1, 16, {}),
)


def _record(data: bytes, folder: Path) -> None:
    record, faults = parse(data)
    for contract in _CONTRACTS if record else ():
        faults += check_record(record, contract)
    for fault in faults:
        _write(str(fault))
    try:
        decode(data)
    except DataError as error:
        _write(str(error))


def _tfrecord(data: bytes, folder: Path) -> None:
    """A file of records, alone."""
    path = folder / "a.tfrecord"
    path.write_bytes(data)
    _verify(path)


def _manifest(data: bytes, folder: Path) -> None:
    """A `dataset.json`, or as a bundle that and the file of records beside it."""
    files = bundles.split(data) or {FILE_NAME: data}
    for name in (FILE_NAME, "a.tfrecord"):
        (folder / name).write_bytes(files.get(name, b""))
    _verify(folder)


def _verify(path: Path) -> None:
    try:
        records = Records.find(path)
    except MaskflowError as error:
        _write(str(error))
        return
    report = verify(records, workers=1)
    _judge(report, [issue for kept in report.examples.values() for issue in kept])
    try:
        inspect(records)
    except MaskflowError as error:
        _write(str(error))


# configuration


def _yaml(data: bytes, folder: Path) -> None:
    """A configuration; one that can be loaded is loaded again from what a run would write of it."""
    path = folder / "a.yaml"
    path.write_bytes(data)
    try:
        config = load_config(path)
    except ConfigError as error:
        for problem in error.problems:
            _write(problem)
            if not problem.startswith(f"{path}:"):
                raise Finding(f"no place: {problem}") from error
        return
    except MaskflowError as error:
        _write(str(error))
        return
    text = yaml_of(config.model_dump(mode="json"))
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    if load_config(path) != config:
        raise Finding(f"another configuration was loaded from:\n{text}")


TARGETS = {
    "coco": Target(_coco, _copy_pictures),
    "coco_folder": Target(_coco_folder, _copy_pictures),
    "labelme": Target(_labelme, _copy_pictures),
    "voc": Target(_voc, _copy_good_picture),
    "image": Target(_image),
    "record": Target(_record),
    "tfrecord": Target(_tfrecord),
    "manifest": Target(_manifest),
    "config": Target(_yaml),
}
