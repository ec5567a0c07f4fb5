"""What is in written records: counts, sizes and classes, file by file. No TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskflow_convert.record import Layout
from maskflow_convert.records import Records, read_file
from maskflow_convert.shape import Model


class SizeRange(Model):
    """Smallest and largest value seen of a length in pixels, in the terms of the layout."""

    smallest: int
    largest: int


class FileSummary(Model):
    """What one TFRecord file holds."""

    path: Path
    bytes: int
    records: int
    objects: int
    positive_pixels: int


class Inspection(Model):
    """What a set of records holds. Counts by class are by id: names are known only where a manifest lies beside."""

    layout: Layout | None
    files: Sequence[FileSummary]
    image_width: SizeRange | None
    image_height: SizeRange | None
    channels: Sequence[int]
    records_without_objects: int
    objects_by_class: Mapping[int, int]
    class_names: Mapping[int, str]


def inspect(records: Records) -> Inspection:
    """Read all records and add them up.

    Raises:
        SourceError: a file or a record is damaged.
    """
    widths, heights, channels = set[int](), set[int](), set[int]()
    by_class: Counter[int] = Counter()
    without = 0
    files = []
    for path in records.paths:
        n_records = n_objects = n_pixels = 0
        for record in read_file(path):
            n_records += 1
            n_objects += record.n_objects
            n_pixels += len(record.indices)
            without += not record.n_objects
            widths.add(record.width)
            heights.add(record.height)
            channels.add(record.channels)
            by_class.update(record.class_ids.tolist())
        files.append(
            FileSummary(
                path=path,
                bytes=path.stat().st_size,
                records=n_records,
                objects=n_objects,
                positive_pixels=n_pixels,
            )
        )
    manifest = records.manifest
    return Inspection(
        layout=manifest.layout if manifest else None,
        files=files,
        image_width=_range(widths),
        image_height=_range(heights),
        channels=sorted(channels),
        records_without_objects=without,
        objects_by_class=dict(sorted(by_class.items())),
        class_names={each.id: each.name for each in manifest.classes} if manifest else {},
    )


def _range(lengths: set[int]) -> SizeRange | None:
    return SizeRange(smallest=min(lengths), largest=max(lengths)) if lengths else None
