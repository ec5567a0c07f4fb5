"""What can be wrong with data, as values: the catalogue of rules, one `Issue` a finding, the `Report` that counts them.

A rule's code is stable: a YAML may set its severity, scripts may match on it. Counts in a report are exact; of the
issues themselves it keeps a few of each code, so that a million issues need no more memory than ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar

from maskflow_convert.errors import place


class Severity(StrEnum):
    """How bad an issue is.

    An `error` stops the run, or drops the object or image, as `on_error` says. A `warning` is listed. What is to be
    ignored is not listed, unless an object or image is lost by it: a loss is always listed.
    """

    ERROR = "error"
    WARNING = "warning"
    IGNORE = "ignore"


class Loss(StrEnum):
    """What an issue cost: nothing (None, in an issue), one object, or an image with all its objects."""

    OBJECT = "object"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of issue: its code, its severity unless the YAML says otherwise, what it means and what to do."""

    code: str
    severity: Severity
    meaning: str
    remedy: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.IGNORE

CATALOGUE: Mapping[str, Rule] = {
    rule.code: rule
    for rule in (
        # the source as a whole
        Rule(
            "image-id-duplicate", _E, "Two images of one source have the same id.",
            "Give each image an id of its own: annotations of the second cannot be told from those of the first.",
        ),
        Rule(
            "image-key-duplicate", _E, "Two entries of one source name the same image file.",
            "Remove one of the entries, or merge their annotations.",
        ),
        Rule(
            "category-id-duplicate", _E, "Two categories have the same id and different names.",
            "Give each category an id of its own: the objects of the second get the name of the first.",
        ),
        Rule(
            "annotation-id-duplicate", _W, "Two annotations have the same id; both are kept.",
            "Number the annotations anew, or remove the copy.",
        ),
        Rule(
            "annotation-orphaned", _E, "An annotation belongs to an image that is not listed.",
            "List the image, or remove the annotation.",
        ),
        Rule(
            "annotation-broken", _E, "An annotation lacks a field, or a field is of the wrong type.",
            "Correct the annotation at the place named.",
        ),
        Rule(
            "image-entry-broken", _E, "The entry of an image lacks a field, or a field is of the wrong type.",
            "Correct the entry at the place named; annotations that name this image are orphaned.",
        ),
        Rule(
            "category-broken", _E, "A category lacks a field, or a field is of the wrong type.",
            "Correct the category at the place named.",
        ),
        Rule(
            "category-unknown", _E, "An annotation has a category id that is not listed.",
            "Add the category, or correct the annotation.",
        ),
        Rule(
            "class-unknown", _E, "A label is not among `classes.names`.",
            "Add the class, rename the label with `classes.rename`, or set `classes.unknown: skip`.",
        ),
        # one record
        Rule(
            "record-broken", _E, "The annotation record of an image cannot be read.",
            "Correct the record at the place named.",
        ),
        Rule(
            "adapter-failed", _E, "The adapter raised an unexpected exception on a record.",
            "Report it to the adapter's author with the message; the other images are not affected.",
        ),
        Rule(
            "record-too-large", _E, "The record would pass 2 GB, which protobuf cannot hold.",
            "Tile the image, or split its objects over several records.",
        ),
        Rule(
            "record-malformed", _E, "A written record does not have the features of the format.",
            "Convert the data set again; if the file comes from another tool, mend that.",
        ),
        # image
        Rule(
            "image-missing", _E, "The image file does not exist.",
            "Copy the file to the place named, or correct `images` in the YAML.",
        ),
        Rule(
            "image-outside-folder", _E, "The image's name leads out of the image folder.",
            "Correct the name; absolute names and `..` are refused.",
        ),
        Rule(
            "image-unreadable", _E, "The image file is damaged, truncated, or no image.",
            "Replace the file.",
        ),
        Rule(
            "image-size-differs", _E, "The image has another size than its annotation says.",
            "Annotate the image that is there, or restore the one that was annotated.",
        ),
        Rule(
            "image-orientation", _W, "An EXIF orientation was found, and the size told whether to apply it.",
            "Nothing, if the decision is right; else set `image.exif: apply` or `ignore`.",
        ),
        Rule(
            "image-orientation-ambiguous", _E, "An EXIF orientation was found, and the size does not tell if it holds.",
            "Set `image.exif: apply` if the image was annotated as viewers show it, else `ignore`.",
        ),
        Rule(
            "image-orientation-present", _E, "An EXIF orientation was found, and `image.exif` is `error`.",
            "Rotate the pixels and remove the tag, or choose another policy.",
        ),
        Rule(
            "image-depth-loss", _E, "The image has more than 8 bits a sample and `image.depth` is 8.",
            "Set `image.depth: 16` to keep them (grey images, RGB PNGs), or this code to `warning` to scale them.",
        ),
        Rule(
            "image-mode-unsupported", _E, "The image's samples have no faithful form in a PNG of the wanted kind.",
            "Convert the image to 8-bit or 16-bit samples yourself, choosing the range.",
        ),
        Rule(
            "image-alpha-dropped", _W, "The image is partly transparent, and its alpha channel was dropped.",
            "Flatten the image onto a background if the hidden colours are not what should be seen.",
        ),
        Rule(
            "image-multiple-frames", _W, "The file holds several frames or pages, and the first was taken.",
            "Export the frame that was annotated to a file of its own.",
        ),
        Rule(
            "image-too-large", _E, "The image has more pixels than are read, for fear of a decompression bomb.",
            "Tile the image.",
        ),
        Rule(
            "image-skipped", _W, "One of the objects has an error, and `on_error` is `skip-image`.",
            "Mend the object; another issue names it.",
        ),
        # object
        Rule(
            "object-lost-with-image", _I, "The object was dropped because its image was.",
            "Mend what is wrong with the image; another issue names it.",
        ),
        Rule(
            "object-crowd", _W, "The object is a crowd region, and `objects.crowd` is `skip`.",
            "Nothing; or set `objects.crowd: keep` to write crowds as objects.",
        ),
        Rule(
            "object-box-only", _E, "The object has a box and no mask.",
            "Set `objects.boxes` to `rectangle` to fill the box, or to `skip`.",
        ),
        Rule(
            "object-shape-missing", _E, "The object has neither a mask nor a box.",
            "Annotate it, or remove it.",
        ),
        Rule(
            "mask-empty", _W, "The object has no pixel.",
            "Remove it or enlarge it; it would train on nothing.",
        ),
        Rule(
            "mask-unreadable", _E, "The file or the bytes that hold a mask cannot be read.",
            "Replace it.",
        ),
        Rule(
            "mask-size-differs", _E, "The run lengths, or the label image, are of another size than the image.",
            "Export the mask at the size of the image.",
        ),
        Rule(
            "box-invalid", _E, "A box has a coordinate that is not finite, or a negative size.",
            "Correct the box.",
        ),
        Rule(
            "polygon-too-few-points", _E, "A polygon has no part with three points or more.",
            "Draw it again, or remove it.",
        ),
        Rule(
            "polygon-part-dropped", _W, "A part of a polygon has fewer than three points; the other parts are kept.",
            "Remove the part.",
        ),
        Rule(
            "polygon-odd-length", _E, "A polygon's list of coordinates has an odd length.",
            "Correct the list: it alternates x and y.",
        ),
        Rule(
            "polygon-not-finite", _E, "A polygon has a coordinate that is NaN or infinite.",
            "Correct the coordinate.",
        ),
        Rule(
            "polygon-too-far", _E, "A polygon has a coordinate further out than the rasteriser can bear.",
            "Correct the coordinate.",
        ),
        Rule(
            "polygon-outside-image", _W, "A polygon leaves the image; what is outside is cut.",
            "Check that the annotation belongs to this image, at this size.",
        ),
        Rule(
            "rle-sum-differs", _E, "The run lengths do not add up to the number of pixels.",
            "Export the mask again.",
        ),
        Rule(
            "rle-negative-run", _E, "A run length is negative.",
            "Export the mask again.",
        ),
        Rule(
            "rle-undecodable", _E, "The string of run lengths is not in COCO's compressed form.",
            "Export the mask again.",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    Attributes:
        code: the rule's code.
        message: what was found, with its figures.
        severity: how bad it is; None until the configuration has spoken, and then as the rule says.
        source: the source's name in the data set.
        record: the key of the image.
        object: the object within it, as its source numbers or counts it.
        path: the file to correct.
        line: the line in it, 1-based.
        loss: what was dropped for it.
    """

    code: str
    message: str
    severity: Severity | None = None
    source: str | None = None
    record: str | None = None
    object: str | None = None
    path: str | None = None
    line: int | None = None
    loss: Loss | None = None

    @property
    def rule(self) -> Rule:
        """The rule that the issue breaks."""
        return CATALOGUE[self.code]

    def within(self, *, source: str | None = None, record: str | None = None, name: str | None = None) -> Issue:
        """The same issue with its place filled in where it had none; `name` is that of the object."""
        return replace(
            self,
            source=self.source or source,
            record=self.record or record,
            object=self.object or name,
        )

    def to_dict(self) -> dict[str, Any]:
        """The issue as `issues.jsonl` holds it: all fields, null where nothing is known."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def told(self) -> str:
        """Where and what, for people: `file:line: image, object: message`, as much of it as is known."""
        names = (("image", self.record), ("object", self.object))
        what = ", ".join(f"{kind} {name}" for kind, name in names if name is not None)
        return place(self.path, self.line) + (f"{what}: " if what else "") + self.message

    def __str__(self) -> str:
        return f"{self.severity or self.rule.severity}: {self.told} [{self.code}]"


@dataclass
class Tally:
    """Exact counts of one split; found = written + dropped, of images and of objects.

    `images_dropped` and `objects_dropped` count by code, `objects_by_class` counts the written ones by class name.
    """

    images_found: int = 0
    images_written: int = 0
    objects_found: int = 0
    objects_written: int = 0
    images_dropped: Counter[str] = field(default_factory=Counter)
    objects_dropped: Counter[str] = field(default_factory=Counter)
    objects_by_class: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another tally of the same split."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def lose(self, issue: Issue) -> None:
        """Count what an issue cost as found and dropped."""
        if issue.loss is Loss.OBJECT:
            self.objects_found += 1
            self.objects_dropped[issue.code] += 1
        elif issue.loss is Loss.IMAGE:
            self.images_found += 1
            self.images_dropped[issue.code] += 1

    @property
    def adds_up(self) -> bool:
        """Whether everything found was either written or dropped."""
        return (
            self.images_found == self.images_written + self.images_dropped.total()
            and self.objects_found == self.objects_written + self.objects_dropped.total()
        )

    def to_dict(self) -> dict[str, Any]:
        """The counts as a manifest holds them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass
class Report:
    """The result of a run: counts by split, issues by code and severity, and the first few issues of each code.

    `classes` maps the names of the classes to their ids, in the order of these. `unplaced` counts what was lost before
    it had a split: an orphaned annotation, a broken entry of an image.
    """

    EXAMPLES: ClassVar[int] = 5

    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, Tally] = field(default_factory=dict)
    unplaced: Tally = field(default_factory=Tally)
    counts: Counter[tuple[str, Severity]] = field(default_factory=Counter)
    examples: dict[str, list[Issue]] = field(default_factory=dict)

    def add(self, split: str, tally: Tally, issues: Iterable[Issue]) -> None:
        """Add what came of some images of a split."""
        self.splits.setdefault(split, Tally()).add(tally)
        self.list_issues(issues)

    def list_issues(self, issues: Iterable[Issue]) -> None:
        """Count issues, and keep the first of each code."""
        for issue in issues:
            self.counts[issue.code, issue.severity or issue.rule.severity] += 1
            kept = self.examples.setdefault(issue.code, [])
            if len(kept) < self.EXAMPLES:
                kept.append(issue)

    @property
    def total(self) -> Tally:
        """The counts of all splits together."""
        total = Tally()
        for tally in (*self.splits.values(), self.unplaced):
            total.add(tally)
        return total

    def flatten(self, names: Sequence[str]) -> list[list[object]]:
        """The kept issues as rows of the named attributes."""
        return [[getattr(issue, name) for name in names] for kept in self.examples.values() for issue in kept]
