"""What is seen only over a whole data set: classes too few or too uneven, objects too small, contents that come twice.

A census is taken shard by shard and judged in the order of the plan, so that its findings do not depend on who did the
work. Its memory grows with the classes and, by a digest and a name each, with the images; not with the objects.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from maskflow_convert.catalogue import Severity
from maskflow_convert.distribution import ImageStatistics
from maskflow_convert.issues import Issue
from maskflow_convert.policy import Policy
from maskflow_convert.repeats import FirstOfEach
from maskflow_convert.report import Report, Tally

FEW_OBJECTS = 10
"""A class with fewer objects is remarked upon: hardly enough to train on and to test."""

IMBALANCE = 100
"""How many times as many objects as the rarest class the most frequent one may have."""

SMALL = 1024
"""How many times smaller than the median of its class an object may be, in pixels: 32 times in length."""

ENOUGH_FOR_MEDIAN = 20
"""Objects that a class needs for its median to mean something."""

_SMALLEST_KEPT = 5
_NAMES_TOLD = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """An image, the digest of its content, and its file."""

    source: str
    key: str
    digest: bytes
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """An object, its area in pixels, and where it is described."""

    area: int
    source: str
    key: str
    name: str | None
    path: str | None = None
    line: int | None = None


@dataclass
class Areas:
    """The areas of the objects of one class: counted by octave, and the smallest by name."""

    octaves: Counter[int] = field(default_factory=Counter)
    smallest: list[Sized] = field(default_factory=list)

    def middle(self) -> int:
        """The octave of the median."""
        half = (self.octaves.total() + 1) // 2
        octaves = sorted(self.octaves)
        upto = list(accumulate(self.octaves[octave] for octave in octaves))
        return octaves[bisect_left(upto, half)]

    def would_keep(self, area: int) -> bool:
        """Whether an object of that area is among the smallest so far."""
        return len(self.smallest) < _SMALLEST_KEPT or area < self.smallest[-1].area

    def add(self, octaves: Mapping[int, int], objects: Iterable[Sized]) -> None:
        """Add objects, of which only the smallest need be given by name."""
        self.octaves.update(octaves)
        self.smallest = heapq.nsmallest(_SMALLEST_KEPT, [*self.smallest, *objects], key=lambda each: each.area)


@dataclass
class Census:
    """What was seen of some images of one split: their sizes and contents, and the areas of their objects by class."""

    images: ImageStatistics = field(default_factory=ImageStatistics)
    contents: list[Seen] = field(default_factory=list)
    areas: dict[str, Areas] = field(default_factory=dict)

    def see(self, label: str, area: int, describe: Callable[[], Sized] | None) -> None:
        """Count an object of a class; without a pixel it has no area.

        `describe` is called if it is among the smallest; None where these need no description.
        """
        if area:
            areas = self.areas.setdefault(label, Areas())
            areas.octaves[area.bit_length() - 1] += 1
            if describe and areas.would_keep(area):
                areas.add({}, [describe()])

    def add(self, other: Census) -> None:
        """Add the objects of another census; contents are judged by `Contents` and not kept."""
        for label, areas in other.areas.items():
            self.areas.setdefault(label, Areas()).add(areas.octaves, areas.smallest)


class Texts:
    """Many short texts in one piece of memory, numbered from 0."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def add(self, text: str) -> int:
        """Append a text; its number."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))
        return len(self._ends) - 2

    def __getitem__(self, number: int) -> str:
        begin, end = self._ends[number : number + 2]
        return self._bytes[begin:end].decode("utf-8", "surrogatepass")


@dataclass
class Contents:
    """The contents of the images seen so far, and which image had each first."""

    digests: FirstOfEach = field(default_factory=FirstOfEach)
    names: Texts = field(default_factory=Texts)

    def judge(self, split: str, images: Sequence[Seen]) -> Iterator[Issue]:
        """Tell the images whose content came before."""
        firsts = self.digests.add([image.digest for image in images])
        for image, first in zip(images, firsts, strict=True):
            if self.names.add(f"{split} {image.key} of {image.source}") == first:
                continue
            other_split, _, where = self.names[first].partition(" ")
            code = "image-content-duplicate" if split == other_split else "image-in-two-splits"
            where += f", split {other_split}" if split != other_split else ""
            yield Issue(code, f"has the content of {where}", source=image.source, record=image.key, path=image.path)


def judge_areas(census: Census) -> Iterator[tuple[int, list[Issue]]]:
    """By class, the number of objects far smaller than the others, and an issue of each of the smallest of them."""
    for label, areas in census.areas.items():
        if areas.octaves.total() < ENOUGH_FOR_MEDIAN:
            continue
        median = 2 ** areas.middle()
        limit = median // SMALL
        small = sum(count for octave, count in areas.octaves.items() if 2 ** (octave + 1) <= limit)
        if small:
            yield small, [_too_small(label, each, median) for each in areas.smallest if each.area < limit]


def judge_classes(classes: Iterable[str], splits: Mapping[str, Tally]) -> Iterator[Issue]:
    """What is wrong with the classes of a data set: their names, and how the objects are spread, if there are any."""
    names = list(classes)
    yield from _similar(names)
    total: Counter[str] = Counter()
    for tally in splits.values():
        total.update(tally.objects_by_class)
    used = [name for name in names if total[name]]
    if not used:
        return
    if unused := [name for name in names if not total[name]]:
        yield Issue("class-unused", f"{_share(unused, names)} no object: {_some(unused)}")
    if few := [name for name in used if total[name] < FEW_OBJECTS]:
        counted = [f"{name} {total[name]}" for name in few]
        yield Issue("class-few-objects", f"{_share(few, names)} fewer than {FEW_OBJECTS} objects: {_some(counted)}")
    for split, tally in splits.items():
        if absent := [name for name in used if not tally.objects_by_class[name]]:
            yield Issue("class-not-in-split", f"in {split} {_share(absent, names)} no object: {_some(absent)}")
    most, least = max(used, key=total.__getitem__), min(used, key=total.__getitem__)
    if total[most] > IMBALANCE * total[least]:
        told = f"objects of the class {most}: {total[most]}, of the class {least}: {total[least]}"
        yield Issue("class-imbalance", told)


def _share(some: Sequence[str], names: Sequence[str]) -> str:
    return f"{len(some)} of {len(names)} classes {'has' if len(some) == 1 else 'have'}"


def _some(names: Sequence[str]) -> str:
    """The names, or the first of them."""
    rest = len(names) - _NAMES_TOLD
    return ", ".join(names[:_NAMES_TOLD]) + (f" and {rest} more" if rest > 0 else "")


def _similar(names: Iterable[str]) -> Iterator[Issue]:
    """Names that differ in case or white space only."""
    spelt: dict[str, str] = {}
    for name in names:
        other = spelt.setdefault("".join(name.split()).casefold(), name)
        if other != name:
            yield Issue("class-names-similar", f"{other!r} and {name!r} are two classes")


def _too_small(label: str, seen: Sized, median: int) -> Issue:
    told = f"has {seen.area} pixels; half of the objects of the class {label!r} have {median} or more"
    return Issue(
        "mask-small-for-class",
        told,
        source=seen.source,
        record=seen.key,
        object=seen.name,
        path=seen.path,
        line=seen.line,
    )


CODES_OF_IMAGES = frozenset({"image-content-duplicate", "image-in-two-splits"})
"""Codes that need the digests of images."""

CODES = CODES_OF_IMAGES | {
    "class-few-objects",
    "class-imbalance",
    "class-names-similar",
    "class-not-in-split",
    "class-unused",
    "mask-small-for-class",
}
"""All that a data set is judged by as a whole."""


@dataclass
class WholeDataSet:
    """Judges a data set as a whole, from what comes of its shards in the order of the plan.

    `matters` are the codes to look for.
    """

    policy: Policy
    matters: frozenset[str] = CODES
    contents: Contents = field(default_factory=Contents)
    census: Census = field(default_factory=Census)

    def add(self, report: Report, split: str, census: Census) -> None:
        """Enter what one shard adds.

        Raises:
            IssueError: as `Policy.judge`.
        """
        report.list_issues(self._judged(self.contents.judge(split, census.contents)))
        for label, areas in census.areas.items():
            report.areas.setdefault(label, Counter()).update(areas.octaves)
        report.images.add(census.images)
        self.census.add(census)

    def conclude(self, report: Report) -> None:
        """Enter what all shards together tell.

        Raises:
            IssueError: as `Policy.judge`.
        """
        report.list_issues(self._judged(judge_classes(report.classes, report.splits)))
        for count, examples in judge_areas(self.census):
            listed = list(self._judged(examples))
            report.list_issues(listed)
            if listed:
                report.count_unlisted(listed[0], count - len(listed))

    def _judged(self, issues: Iterable[Issue]) -> Iterator[Issue]:
        for issue in issues:
            if issue.code in self.matters:
                judged = self.policy.judge(issue)
                if judged.severity is not Severity.IGNORE:
                    yield judged
