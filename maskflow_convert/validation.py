"""Validation from end to end: of annotations, as a configuration names them, and of written records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from os import PathLike
from pathlib import Path

from maskflow_convert.census import Census, WholeDataSet
from maskflow_convert.checks import Depth
from maskflow_convert.classes import ClassMap
from maskflow_convert.cluster.connection import require
from maskflow_convert.config import Config, OnError, load_config
from maskflow_convert.examine import Examiner, Size, measured
from maskflow_convert.executors import Tick
from maskflow_convert.image import ImageSettings, survey
from maskflow_convert.issues import Issue
from maskflow_convert.pipeline import OnProgress, new_report, run_over_shards
from maskflow_convert.plan import Shard
from maskflow_convert.policy import Policy
from maskflow_convert.prepare import DataSet, make_adapters, prepare
from maskflow_convert.read_ahead import reading_ahead
from maskflow_convert.records import PathOrName, Records
from maskflow_convert.remote import path_of
from maskflow_convert.report import OnIssue, Report, Tally
from maskflow_convert.sample import Image
from maskflow_convert.shard import has_room
from maskflow_convert.verify import verify


class Images(StrEnum):
    """What is done with the images of a data set that is validated."""

    DECODE = "decode"
    SKIP = "skip"


@dataclass(frozen=True)
class ShardFindings:
    """What was found in the images of one shard."""

    split: str
    tally: Tally
    issues: list[Issue]
    census: Census


def validate(subject: Config | PathOrName | Sequence[PathOrName], *, on_progress: OnProgress | None = None) -> Report:
    """Find all that is wrong with annotations or with written records.

    Args:
        subject: a configuration, the path of its YAML file, an output directory, or one or several TFRecord files.
        on_progress: called now and then.

    Raises:
        ConfigError, PluginError, SourceError: see `maskflow_convert.errors`.
    """
    if isinstance(subject, Config):
        return validate_annotations(subject, on_progress=on_progress)
    if isinstance(subject, str | PathLike) and is_config(path := path_of(subject)):
        return validate_annotations(path, on_progress=on_progress)
    return verify(Records.find(subject), on_progress=on_progress)


def is_config(path: Path) -> bool:
    """Whether a path is that of a YAML file."""
    return path.suffix in (".yaml", ".yml")


def validate_annotations(
    config: Config | Path | str,
    *,
    images: Images = Images.DECODE,
    sample: int | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Find all that is wrong with the annotations and images that a configuration names; write nothing.

    Every check is made that the configuration does not set to `ignore`, and `on_error` does not stop it.

    Args:
        config: a configuration, or the path of its YAML file.
        images: SKIP opens no image whose size its annotation states, and checks geometry and masks only.
        sample: look at so many images only, and leave out what can be said of the whole data set only.
        on_progress: called now and then.

    Raises:
        ConfigError, PluginError, SourceError: see `maskflow_convert.errors`.
    """
    data_set = prepare_validation(config)
    return validate_data_set(data_set, images=images, sample=sample, on_progress=on_progress)


def prepare_validation(config: Config | Path | str) -> DataSet:
    """The data set of a configuration, to be looked at from end to end: no error stops that.

    Raises:
        ConfigError, PluginError, SourceError: see `maskflow_convert.errors`.
    """
    config = config if isinstance(config, Config) else load_config(config)
    require(config.run)
    return prepare(config.model_copy(update={"on_error": OnError.SKIP_OBJECT}))


def validate_data_set(
    data_set: DataSet,
    *,
    images: Images = Images.DECODE,
    sample: int | None = None,
    on_progress: OnProgress | None = None,
    on_issue: OnIssue | None = None,
) -> Report:
    """Find all that is wrong with a data set of `prepare_validation`; arguments as in `validate_annotations`.

    `on_issue` is given every issue, of which the report keeps a few of each code; of objects that are small for their
    class it is given the smallest.

    Raises:
        PluginError: see `maskflow_convert.errors`.
    """
    config = data_set.config
    if sample is not None:
        data_set = data_set.sampled(sample)
    report = new_report(data_set, on_issue)
    whole = WholeDataSet(Policy.of(config))
    for findings in run_over_shards(partial(_validate_shard, config, data_set.classes, images), data_set, on_progress):
        report.add(findings.split, findings.tally, findings.issues)
        whole.add(report, findings.split, findings.census)
    if sample is None:
        whole.conclude(report)
    return report


def _validate_shard(config: Config, classes: ClassMap, images: Images, shard: Shard, tick: Tick) -> ShardFindings:
    """Examine the images of one shard with every check there is."""
    decodes, plain = images is Images.DECODE, make_adapters(config)
    look = partial(_decode if decodes else measured, config.image)
    with reading_ahead(plain, shard.items) if decodes else nullcontext(plain) as adapters:
        examiner = Examiner(config, classes, adapters, depth=Depth.VALIDATE)
        for item in shard.items:
            examined = examiner.examine(item, look)
            if examined is not None and has_room(examiner, examined):
                examiner.written(examined, 0, digest=examined.picture)
            tick()
    return ShardFindings(shard.split, examiner.tally, examiner.issues, examiner.census)


def _decode(settings: ImageSettings, image: Image) -> tuple[bytes, Size, Sequence[Issue]]:
    """The digest of an image, which is decoded as in a conversion."""
    seen, issues = survey(image.origin(), settings, image.size, image.frame)
    return seen.digest, (seen.width, seen.height), issues
