"""A look at a data set that was found, with an end to it: its classes, its objects, and the settings that it needs.

It is taken by a process of its own, which is ended if it takes too long: what is looked at may be huge, or hostile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import chain, islice
from typing import Literal

from maskflow_convert import registry
from maskflow_convert.catalogue import Severity
from maskflow_convert.config import Config, Images, Objects, OnError, Source
from maskflow_convert.errors import ConfigError
from maskflow_convert.examine import Examiner, OpenImage, Size, measured
from maskflow_convert.executors import Tick
from maskflow_convert.image import survey
from maskflow_convert.issues import Issue
from maskflow_convert.plan import Item
from maskflow_convert.prepare import DataSet, prepare
from maskflow_convert.sample import Image
from maskflow_convert.spawn import start, stop
from maskflow_convert.worker import Failed, Finished, pack

SECONDS = 10.0  # for images
SECONDS_TO_INDEX = 60.0

_FIRST = 64  # images that the settings are found by
_MOST = 4096


@dataclass(frozen=True)
class Needs:
    """Settings without which the data set would not convert, or lose what it need not.

    `opens_images` is False where not one image was found.
    """

    boxes: Literal["error", "skip", "rectangle"] = "error"
    depth: Literal[8, 16] = 8
    ids: Literal["source", "sequential"] = "source"
    opens_images: bool = True


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        needs: the settings that it needs.
        labels: those of each source, in its order.
        classes: all of them.
        images: how many there are of each split.
        examined: how many images were looked at.
        missing: how many of them have no file.
        written: how many of them would be written.
        objects: those in them.
        boxes: those of them that have a box and no mask.
        errors: how many there are of each code that would stop a conversion, and what each cost.
        examples: the first error of each code.
    """

    needs: Needs
    labels: Sequence[Sequence[str]]
    classes: Sequence[str]
    images: dict[str, int]
    examined: int = 0
    missing: int = 0
    written: int = 0
    objects: int = 0
    boxes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Issue] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many images there are."""
        return sum(self.images.values())


def look_at(sources: Sequence[Source]) -> Look | None:
    """Look at some images in another process; None if that took too long, or it crashed.

    Raises:
        SourceError, PluginError: a source cannot be read, or its adapter fails.
    """
    prepare = partial(registry.load_all, [source.adapter for source in sources])
    limit = time.monotonic() + SECONDS_TO_INDEX + SECONDS
    worker = start(pack(prepare, "what a worker needs"), pack(_work, "the work"))
    try:
        worker.pipe.send_bytes(pack(tuple(sources), "an option of an adapter"))
        while worker.pipe.poll(max(0.0, limit - time.monotonic())):
            answer = worker.pipe.recv()
            if isinstance(answer, Finished | Failed):
                worker.ready = True
                seen: Look = answer.result()
                return seen
    except (EOFError, ConnectionError):  # it crashed, or was killed
        return None
    finally:
        stop([worker])
    return None


def _work(sources: Sequence[Source], tick: Tick) -> Look:
    return look_through(sources, seconds=SECONDS)


def look_through(sources: Sequence[Source], *, seconds: float) -> Look:
    """Look at as many images as there is time for; a few to find the settings, then all with these.

    Raises:
        SourceError, PluginError: as in `look_at`.
    """
    config, needs = Config(sources=tuple(sources), on_error=OnError.SKIP_OBJECT), Needs()
    try:
        data_set = prepare(config)
    except ConfigError:  # ids of the sources occur twice
        needs = Needs(ids="sequential")
        data_set = prepare(config.model_copy(update={"image": Images(ids=needs.ids)}))
    return _look(data_set, needs, time.monotonic() + seconds)


def _improved(seen: Look) -> Needs:
    """The settings that do away with the errors that were seen, as far as settings can."""
    needs = seen.needs
    if needs.boxes == "error" and seen.boxes:
        return replace(needs, boxes="rectangle" if seen.boxes == seen.objects else "skip")
    if needs.depth == 8 and seen.errors["image-depth-loss"]:
        return replace(needs, depth=16)
    return needs


def _look(data_set: DataSet, needs: Needs, limit: float) -> Look:
    """Examine images, drawn by a hash of their keys, until the time is up or there are no more.

    If they need other settings, all is begun anew with these; as a rule the first few of them tell.
    """
    image, objects = Images(ids=needs.ids, depth=needs.depth), Objects(boxes=needs.boxes)
    config = data_set.config.model_copy(update={"image": image, "objects": objects})
    examiner = Examiner(config, data_set.classes, data_set.adapters)
    open_image = _decode(config) if needs.opens_images else partial(measured, config.image)
    images = iter(_drawn(data_set))

    def examine(some: Iterable[Item]) -> Look:
        for item in some:
            if (examined := examiner.examine(item, open_image)) is not None:
                examiner.written(examined, 0)
            if time.monotonic() > limit:
                break
        return _seen(data_set, needs, examiner)

    seen = examine(islice(images, _FIRST))
    if _improved(seen) == needs and time.monotonic() < limit:
        seen = examine(images)
        if needs.opens_images and seen.missing == seen.examined > 0:
            return _look(data_set, replace(needs, opens_images=False), limit)
    if (better := _improved(seen)) != needs:
        return _look(data_set, better, limit) if time.monotonic() < limit else replace(seen, needs=better)
    return seen


def _seen(data_set: DataSet, needs: Needs, examiner: Examiner) -> Look:
    """What an examiner found in the images that it was given, and what is known of the data set.

    Where no image was found that is said as such, and is no error of each image.
    """
    tally, errors, examples = examiner.tally, Counter[str](), dict[str, Issue]()
    for issue in chain(data_set.issues(), examiner.issues):
        is_told = issue.code == "image-missing" and not needs.opens_images
        if (issue.severity or issue.rule.severity) is Severity.ERROR and not is_told:
            errors[issue.code] += 1
            examples.setdefault(issue.code, issue)
    images: Counter[str] = Counter()
    for piece in data_set.shards.pieces:
        images[piece.split] += piece.end - piece.begin
    return Look(
        needs,
        [list(index.labels) for index in data_set.indexes],
        data_set.classes.names,
        dict(images),
        examined=tally.images_found,
        missing=tally.images_dropped["image-missing"],
        written=tally.images_written,
        objects=tally.objects_found,
        boxes=sum(issue.code == "object-box-only" for issue in examiner.issues),
        errors=errors,
        examples=examples,
    )


def _drawn(data_set: DataSet) -> Sequence[Item]:
    """Images, many at the most, such that those before any end are drawn from all."""
    items = [item for shard in data_set.sampled(_MOST).shards for item in shard.items]
    return sorted(items, key=lambda item: blake2b(item.entry.key.encode("utf-8", "surrogatepass")).digest())


def _decode(config: Config) -> OpenImage[None]:
    def look(image: Image) -> tuple[None, Size, Sequence[Issue]]:
        found, issues = survey(image.origin(), config.image, image.size, image.frame)
        return None, (found.width, found.height), issues

    return look
