"""What a card tells, put together once for both of its forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskflow_convert.amounts import count_text, size_text
from maskflow_convert.catalogue import CATALOGUE, Rule, Severity
from maskflow_convert.image.overlay import Rgb
from maskflow_convert.manifest import Manifest
from maskflow_convert.preview import Preview, preview_some
from maskflow_convert.provenance import SourceFacts
from maskflow_convert.record import Layout
from maskflow_convert.records import Records
from maskflow_convert.report import Report

PICTURES = 12
"""Images that a card shows."""

SIDE = 480
"""Longest side of a picture, in screen pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A record of the data set, drawn; `pixels` is `[rows, columns, 3]`, `legend` tells its classes."""

    name: str
    split: str
    objects: int
    legend: str
    pixels: Rgb


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of issue: how often it was found and fixed, and what was dropped for it."""

    rule: Rule
    times: int
    fixed: int
    images: int
    objects: int


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What was written of one split, and what was dropped."""

    name: str
    images: int
    objects: int
    files: int
    bytes: int
    images_dropped: int
    objects_dropped: int


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card tells."""

    manifest: Manifest
    report: Report
    sources: Sequence[SourceFacts]
    pictures: Sequence[Picture]

    @classmethod
    def of(cls, folder: Path, sources: Sequence[SourceFacts], manifest: Manifest, report: Report) -> Card:
        """The facts of the data set that was written to a folder; some of its records are read for it."""
        records = Records(tuple(folder / shard.name for shard in manifest.shards), manifest)
        pictures = [_picture(preview) for preview in preview_some(records, PICTURES)]
        return cls(manifest, report, sources, pictures)

    @property
    def title(self) -> str:
        """What there is, in numbers."""
        total = self.report.total
        used = sum(1 for count in total.objects_by_class.values() if count)
        classes = f"{used:,} {'class' if used == 1 else 'classes'}"
        return f"{count_text(total.images_written, 'image')}, {count_text(total.objects_written, 'object')}, {classes}"

    @property
    def storage(self) -> str:
        """How images and files are stored."""
        manifest = self.manifest
        channels = "1 or 3 channels" if manifest.channels == "source" else count_text(manifest.channels, "channel")
        size = sum(shard.bytes for shard in manifest.shards)
        compressed = ", compressed with GZIP" if manifest.compression == "gzip" else ""
        files = f"{count_text(len(manifest.shards), 'TFRecord file')}, {size_text(size)} in all{compressed}"
        return f"{files}; images as PNG, {channels} of {manifest.depth} bits"

    @property
    def axes(self) -> str:
        """What the layout says of width and height."""
        if self.manifest.layout is Layout.DOCUMENTED:
            return "`image/width` counts columns, and an index of `image/masks_indices` is `(n, x, y)`"
        return "`image/width` counts rows, and an index of `image/masks_indices` is `(n, row, column)`"

    @property
    def unused(self) -> str:
        """How many classes have no object, in a sentence; nothing if each has one, or if none has."""
        names = [each.name for each in self.manifest.classes]
        total = self.report.total.objects_by_class
        unused = sum(1 for name in names if not total[name])
        if unused in (0, len(names)):
            return ""
        return f"{unused:,} of the {len(names):,} classes {'has' if unused == 1 else 'have'} no object."

    @property
    def splits(self) -> list[SplitFacts]:
        """The splits in the order of the manifest."""
        files, sizes = Counter[str](), Counter[str]()
        for shard in self.manifest.shards:
            files[shard.split] += 1
            sizes[shard.split] += shard.bytes
        return [
            SplitFacts(
                name,
                counts.images_written,
                counts.objects_written,
                files[name],
                sizes[name],
                sum(counts.images_dropped.values()),
                sum(counts.objects_dropped.values()),
            )
            for name, counts in self.manifest.splits.items()
        ]

    @property
    def verdict(self) -> str:
        """How much was dropped, in a sentence."""
        total = self.report.total
        lost = (total.images_dropped.total(), "image"), (total.objects_dropped.total(), "object")
        dropped = [count_text(number, noun) for number, noun in lost if number]
        found = f"{count_text(total.images_found, 'image')} and {count_text(total.objects_found, 'object')} were found"
        return f"{found}; dropped: {', '.join(dropped)}." if dropped else f"{found}, and all of them are here."

    @property
    def dropped(self) -> list[Kind]:
        """The kinds of issues that something was dropped for, most objects first."""
        kinds = [kind for kind in self._kinds() if kind.images or kind.objects]
        return sorted(kinds, key=lambda kind: (-kind.objects, -kind.images, kind.rule.code))

    @property
    def remarks(self) -> list[Kind]:
        """The other kinds of issues that were listed, most of them first."""
        kinds = [kind for kind in self._kinds() if not kind.images and not kind.objects]
        return sorted(kinds, key=lambda kind: (-kind.times, kind.rule.code))

    def _kinds(self) -> Iterator[Kind]:
        report, total = self.report, self.report.total
        told = {code for (code, severity), count in report.counts.items() if count and severity is not Severity.IGNORE}
        for code in told | total.images_dropped.keys() | total.objects_dropped.keys():
            times = sum(count for (each, _), count in report.counts.items() if each == code)
            lost = total.images_dropped[code], total.objects_dropped[code]
            yield Kind(CATALOGUE[code], times, report.fixed[code], *lost)


def _picture(preview: Preview) -> Picture:
    objects = preview.labels.total()
    return Picture(preview.name, preview.split, objects, preview.legend, preview.drawn(SIDE))
