"""The work of a worker: one shard, from its list of images to its file and the report of what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from maskflow_convert.catalogue import Severity
from maskflow_convert.census import Census
from maskflow_convert.classes import ClassMap
from maskflow_convert.config import Config
from maskflow_convert.errors import DataError, MaskflowError
from maskflow_convert.examine import Examined, Examiner, OpenImage, PictureT, Size, memory_for
from maskflow_convert.executors import Tick
from maskflow_convert.image import ImageSettings, StoredImage, load_png, survey
from maskflow_convert.issues import Issue
from maskflow_convert.manifest import ShardFile
from maskflow_convert.output import replace_text
from maskflow_convert.plan import Shard, estimated_png_bytes
from maskflow_convert.policy import Policy
from maskflow_convert.prepare import make_adapters
from maskflow_convert.read_ahead import reading_ahead
from maskflow_convert.record import check_size, encode, estimate_size
from maskflow_convert.report import Tally
from maskflow_convert.sample import Image
from maskflow_convert.shape import Model
from maskflow_convert.tfrecord import ShardWriter


@dataclass(frozen=True)
class ShardResult:
    """What came of one shard; a rehearsal writes no file."""

    split: str
    tally: Tally
    issues: list[Issue]
    census: Census
    file: ShardFile | None


class WrittenImage(Model):
    """One record of a shard: `image/id`, the key of the image in its source, the number of objects."""

    id: int
    key: str
    objects: int


class ShardReport(ShardFile):
    """`train-00000-of-00004.json`: all that came of a shard. It is written last, as the mark that the shard is done."""

    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")

    counts: Tally
    records: list[WrittenImage]
    issues: list[Issue]
    census: Census

    @property
    def result(self) -> ShardResult:
        """What a worker has told of the shard, or would tell."""
        file = ShardFile(**{name: getattr(self, name) for name in ShardFile.model_fields})
        return ShardResult(self.split, self.counts, self.issues, self.census, file)

    def write(self, folder: Path) -> None:
        """Write it beside the shard.

        Raises:
            OutputError: it cannot be written.
        """
        path = (folder / self.name).with_suffix(".json")
        replace_text(path, json.dumps(self.model_dump(mode="json"), ensure_ascii=False) + "\n")


def find_report(folder: Path, name: str, sizes: Mapping[str, int] | None = None) -> ShardReport | None:
    """The report of the shard of that name (without suffix), if the shard is done: both files are whole.

    `sizes` are those of the files there, if they are known.
    """
    path = folder / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        report = ShardReport.model_validate(json.loads(text))
        size = (folder / report.name).stat().st_size if sizes is None else sizes.get(report.name)
    except (OSError, ValueError, RecursionError, ValidationError):
        return None
    return report if size == report.bytes and report.name == f"{name}.tfrecord" else None


def convert_shard(config: Config, classes: ClassMap, folder: Path, shard: Shard, tick: Tick) -> ShardResult:
    """Write one shard and, last, the report that marks it as done."""
    listed: list[WrittenImage] = []
    with (
        reading_ahead(make_adapters(config), shard.items) as adapters,
        ShardWriter(folder / f"{shard.name}.tfrecord", config.output.compression) as writer,
    ):
        examiner = Examiner(config, classes, adapters)
        open_image = _opener(examiner)
        for item in shard.items:
            examined = examiner.examine(item, open_image)
            if examined is not None and _write(examiner, examined, writer):
                listed.append(WrittenImage(id=item.image_id, key=item.entry.key, objects=len(examined.masks)))
            tick()
        _check_books(shard, examiner)
    report = ShardReport(
        name=writer.path.name,
        split=shard.split,
        images=examiner.tally.images_written,
        objects=examiner.tally.objects_written,
        bytes=writer.size,
        sha256=writer.sha256,
        counts=examiner.tally,
        records=listed,
        issues=examiner.issues,
        census=examiner.census,
    )
    report.write(folder)
    return report.result


def _write(examiner: Examiner, examined: Examined[_Opened], writer: ShardWriter) -> bool:
    """Whether the record of an image could be made, and so was written."""
    try:
        with memory_for(examined.item):
            record = encode(
                image=examined.picture.image,
                image_id=examined.item.image_id,
                basename=examined.basename,
                masks=examined.masks,
                class_ids=examined.class_ids,
                layout=examiner.config.output.layout,
            )
    except DataError as error:
        examiner.lost(examined, Issue(error.code, error.message))
        return False
    writer.write(*record)
    examiner.written(examined, sum(map(len, record)), examined.picture.digest)
    return True


def _check_books(shard: Shard, examiner: Examiner) -> None:
    """Make sure that each image of a shard, and each object of these, is written or named by an issue.

    Raises:
        MaskflowError: it is not, which no input may bring about.
    """
    tally = examiner.tally
    found = (tally.images_found, tally.objects_found) == (len(shard.items), examiner.objects_read)
    if not (found and tally.adds_up and tally.lists_all(examiner.issues)):
        raise MaskflowError(f"{shard.name}: the counts do not add up, which is a fault of this program: {tally}")


def rehearse_shard(config: Config, classes: ClassMap, shard: Shard, tick: Tick) -> ShardResult:
    """Examine the images of one shard without opening them; the bytes are an estimate."""
    examiner = Examiner(config, classes, make_adapters(config))
    measure = partial(_measure, config.image)
    for item in shard.items:
        examined = examiner.examine(item, measure)
        if examined is not None and has_room(examiner, examined):
            examiner.written(examined, estimate_size(examined.picture, examined.masks))
        tick()
    _check_books(shard, examiner)
    return ShardResult(shard.split, examiner.tally, examiner.issues, examiner.census, None)


def has_room(examiner: Examiner, examined: Examined[PictureT]) -> bool:
    """Whether a record has room for the masks of an image, whatever its PNG takes; if not, the image is lost."""
    try:
        check_size(examined.basename, 0, examined.masks)
    except DataError as error:
        examiner.lost(examined, Issue(error.code, error.message))
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image as it is stored, and the digest of its file if that is asked for."""

    image: StoredImage
    digest: bytes | None = None


def _opener(examiner: Examiner) -> OpenImage[_Opened]:
    """What opens images; more closely, if an error hangs on what else a validation finds of them."""
    closely = Policy.of(examiner.config).severity_of("image-uniform") is Severity.ERROR or examiner.counts_contents
    return partial(_open_closely if closely else _open, examiner.config.image)


def _open(settings: ImageSettings, image: Image) -> tuple[_Opened, Size, Sequence[Issue]]:
    stored, issues = load_png(image.origin(), settings, image.size, image.frame)
    return _Opened(stored), (stored.width, stored.height), issues


def _open_closely(settings: ImageSettings, image: Image) -> tuple[_Opened, Size, Sequence[Issue]]:
    """As `_open`, and as a validation opens images: they are decoded twice."""
    opened, size, _ = _open(settings, image)
    seen, issues = survey(image.origin(), settings, image.size, image.frame)
    return _Opened(opened.image, seen.digest), size, issues


def _measure(settings: ImageSettings, image: Image) -> tuple[int, Size, Sequence[Issue]]:
    """The size of an image's PNG by estimate, and of its frame by annotation."""
    width, height = image.measure(settings)
    return estimated_png_bytes(width * height), (width, height), ()
