"""Pictures of what a report is about: the image of an issue, with the object it names drawn on it.

Data of whatever kind raises nothing: what cannot be drawn has no picture, and says why. The number and the size of
pictures are bounded, whatever the data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from maskflow_convert.errors import DataError
from maskflow_convert.image.overlay import PALETTE, Figure, Stress, close_up, draw, encode_jpeg, whole
from maskflow_convert.issues import Issue
from maskflow_convert.plan import Item
from maskflow_convert.prepare import DataSet
from maskflow_convert.record import Glance, Layout, glance
from maskflow_convert.records import Records
from maskflow_convert.remote import path_of
from maskflow_convert.report import Report
from maskflow_convert.scene import Scene, Thing, of_sample, stored
from maskflow_convert.tfrecord import scan_records

PICTURES_OF_A_CODE = 3
"""Of the examples of a code, so many are shown."""

SIDE = 480
"""Longest side of a picture, in screen pixels."""

BUDGET = 6_000_000
"""Bytes of all pictures together; in the text of a page they take a third more."""

MOST_OTHERS = 300
"""Objects that are drawn beside the one that an issue names."""

_OFFENDER = (255, 221, 0)
_OTHER = PALETTE[1]


@dataclass(frozen=True, slots=True)
class Illustration:
    """A picture for an issue, or none.

    Attributes:
        jpeg: the picture; None if there is none.
        width: of the picture, in screen pixels; 0 if there is none.
        height: likewise.
        caption: what the picture shows, or why there is none.
    """

    jpeg: bytes | None
    width: int
    height: int
    caption: str


Illustrations = Mapping[Issue, Illustration]
"""Of some of a report's examples."""


def illustrate(data_set: DataSet, report: Report) -> Illustrations:
    """Pictures for the report on a data set that was read from its annotations."""
    wanted = {(issue.source, issue.record) for issue in _chosen(report)}
    items = {
        place: item
        for shard in data_set.shards
        for item in shard.items
        if (place := (data_set.config.source_name(item.source), item.entry.key)) in wanted
    }

    settings, ids = data_set.config.image, data_set.classes.ids

    def scene_of(issue: Issue) -> Scene | None:
        item: Item | None = items.get((issue.source or "", issue.record or ""))
        return None if item is None else of_sample(data_set.read(item), settings, ids)

    return _illustrations(report, scene_of)


def illustrate_records(records: Records, report: Report, layout: Layout | str | None = None) -> Illustrations:
    """Pictures for the report on written records, drawn from the records; none where the layout is not known.

    Args:
        records: what was verified.
        report: what was found.
        layout: of files that no manifest lies beside.
    """
    manifest, known = records.manifest, records.layout(layout)
    if known is None:
        return {}
    classes = {each.id: each.name for each in manifest.classes} if manifest else {}

    def scene_of(issue: Issue) -> Scene | None:
        if issue.path is None or issue.record is None:
            return None
        record = _find(path_of(issue.path), issue.record)
        return None if record is None else stored(record, known, classes)

    return _illustrations(report, scene_of)


def _find(path: Path, basename: str) -> Glance | None:
    """The first record of an image in a file, past those that are damaged."""
    for content in scan_records(path):
        record = None if isinstance(content, Issue) else glance(content)
        if record is not None and record.basename == basename:
            return record
    return None


def _chosen(report: Report) -> Iterator[Issue]:
    """The issues to illustrate: the first of every code, then the second, the worst codes first."""
    codes = dict.fromkeys(rule.code for rule, _, _ in report.worst_first)
    for rank in range(PICTURES_OF_A_CODE):
        for code in codes:
            yield from (issue for issue in report.examples[code][rank : rank + 1] if issue.record is not None)


def _illustrations(report: Report, scene_of: Callable[[Issue], Scene | None]) -> Illustrations:
    made: dict[Issue, Illustration] = {}
    left = BUDGET
    for issue in _chosen(report):
        if left > 0 and issue not in made and (illustration := _illustration(issue, scene_of)) is not None:
            made[issue] = illustration
            left -= len(illustration.jpeg or b"")
    return made


def _illustration(issue: Issue, scene_of: Callable[[Issue], Scene | None]) -> Illustration | None:
    """The picture of one issue; None if it names no image of the data set, or one that it says cannot be shown."""
    try:
        scene = scene_of(issue)
    except DataError as error:
        return None if error.message == issue.message else _without(error.message)
    except (Exception, SystemExit) as error:  # an adapter is somebody else's code, and may raise anything
        return _without(f"{type(error).__name__}: {error}")
    return None if scene is None else picture_of(scene, issue.object)


def _without(reason: str) -> Illustration:
    return Illustration(None, 0, 0, f"no picture: {reason}")


def picture_of(scene: Scene, name: str | None) -> Illustration:
    """A close-up of the object of that name among the others, or the whole image if it names none that can be drawn."""
    named = [name is not None and thing.name == name for thing in scene.things]
    offenders = [_figure(thing, Stress.STRONG) for thing in compress(scene.things, named)]
    seen = [figure for figure in offenders if figure.bounds is not None]
    others = [thing for thing, is_named in zip(scene.things, named, strict=True) if not is_named][:MOST_OTHERS]
    view = close_up(seen, scene.width, scene.height, SIDE) if seen else whole(scene.width, scene.height, SIDE)
    picture = draw(scene.pixels, [*(_figure(thing, Stress.FAINT) for thing in others), *seen], view)
    rows, columns = picture.shape[:2]
    shown = f"{scene.width} x {scene.height} pixels"
    if (view.left, view.top, view.right, view.bottom) != (0, 0, scene.width, scene.height):
        shown = f"x {view.left} to {view.right}, y {view.top} to {view.bottom} of {shown}"
    if view.scale > 1:
        shown += f", enlarged {view.scale:g} times"
    if name is not None and not seen:
        shown += "; the object itself cannot be drawn"
    return Illustration(encode_jpeg(picture), columns, rows, shown)


def _figure(thing: Thing, stress: Stress) -> Figure:
    strong = stress is Stress.STRONG
    return Figure(
        label=thing.sign if strong else "",
        colour=_OFFENDER if strong else _OTHER,
        mask=thing.mask,
        outlines=thing.outlines if strong or thing.mask is None else (),
        stress=stress,
    )
