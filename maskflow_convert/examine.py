"""One image through the front half of the pipe: read, judge, rasterise. Everything that reads annotations shares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from maskflow_convert.checks import check_instance
from maskflow_convert.classes import ClassMap
from maskflow_convert.config import Config, OnError
from maskflow_convert.errors import DataError, IssueError, RecordError, ShapeError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.issues import CATALOGUE, Issue, Loss, Severity, Tally
from maskflow_convert.plan import Item
from maskflow_convert.policy import Policy
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.runs import Runs
from maskflow_convert.sample import Image, Instance, Sample
from maskflow_convert.shape import Box, Shape

PictureT = TypeVar("PictureT")

Size = tuple[int, int]
"""(width, height) in pixels."""

OpenImage = Callable[[Image], tuple[PictureT, Size, Sequence[Issue]]]
"""What a run does with an image: decode and encode it, or only find its size. Raises ImageError."""


@dataclass(frozen=True, slots=True)
class Examined(Generic[PictureT]):
    """An image to be written, and those of its objects that are: the three lists are of one length and order, N."""

    item: Item
    basename: str
    picture: PictureT
    instances: list[Instance] = field(default_factory=list)
    masks: list[Runs] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)


@dataclass
class Examiner:
    """Examines images one by one and keeps the books: `tally` and `issues` cover all that it was given.

    `adapters` are in the order of the configuration's sources.
    """

    config: Config
    classes: ClassMap
    adapters: Sequence[AnyAdapter]
    tally: Tally = field(default_factory=Tally)
    issues: list[Issue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._policy = Policy.of(self.config)
        self._class_ids = self.classes.ids()

    def examine(self, item: Item, open_image: OpenImage[PictureT]) -> Examined[PictureT] | None:
        """Read and judge one image; None if it is dropped. Report one that is not by `written` or `lost`.

        Raises:
            IssueError: an issue of severity error, and the run stops on errors.
        """
        try:
            return self._examine(item, open_image)
        except IssueError as error:
            raise IssueError(self._placed(item, error.issue)) from error

    def _examine(self, item: Item, open_image: OpenImage[PictureT]) -> Examined[PictureT] | None:
        try:
            sample = self._read(item)
        except DataError as error:
            self._note(item, self._policy.fault(_issue(error), Loss.IMAGE))
            return None
        objects = [
            *(instance.id for instance in sample.instances),
            *(issue.object for issue in sample.issues),
        ]
        try:
            picture, size, doubts = open_image(sample.image)
        except DataError as error:
            self._lose_image(item, objects, self._policy.fault(_in_image(sample, _issue(error)), Loss.IMAGE))
            return None
        for doubt in doubts:
            judged = self._policy.doubt(_in_image(sample, doubt), Loss.IMAGE)
            if judged.loss:
                self._lose_image(item, objects, judged)
                return None
            self._note(item, judged)
        examined = Examined(item, _basename(sample), picture)
        faults = [*self._unexpressed(sample), *self._rasterise(sample, size, examined)]
        for fault in faults:
            self._note(item, fault)
        if self._policy.on_error is OnError.SKIP_IMAGE and (reason := _first_error(faults)):
            self.lost(examined, reason)
            return None
        return examined

    def written(self, examined: Examined[PictureT], size: int) -> None:
        """Count an image as written, in a record of `size` bytes."""
        count = len(examined.instances)
        self.tally.images_found += 1
        self.tally.images_written += 1
        self.tally.objects_found += count
        self.tally.objects_written += count
        self.tally.objects_by_class.update(map(self.classes.name_of, examined.class_ids))
        self.tally.bytes += size

    def lost(self, examined: Examined[PictureT], reason: Issue) -> None:
        """Count an image that passed as dropped after all.

        Raises:
            IssueError: as in `examine`.
        """
        objects = [instance.id for instance in examined.instances]
        reason = self._placed(examined.item, reason)
        self._lose_image(examined.item, objects, self._policy.fault(reason, Loss.IMAGE))

    def _read(self, item: Item) -> Sample:
        """The sample of one image.

        Raises:
            DataError: the record is broken, or the adapter is.
        """
        adapter = self.adapters[item.source]
        try:
            sample = adapter.read(item.entry.record)
        except DataError as error:
            if error.code not in CATALOGUE:
                told = f"{_name(adapter)} raised {_told(error)}, which is no code of the catalogue"
                raise RecordError(told, error.path, error.line, code="adapter-failed") from error
            raise
        except Exception as error:  # an adapter is somebody else's code, and may raise anything
            raise RecordError(f"{_name(adapter)} raised {_told(error)}", code="adapter-failed") from error
        if not isinstance(sample, Sample):
            told = f"{_name(adapter)} returned {type(sample).__name__} instead of a Sample"
            raise RecordError(told, code="adapter-failed")
        if unknown := sorted({issue.code for issue in sample.issues} - CATALOGUE.keys()):
            told = f"{_name(adapter)} listed issues that are not in the catalogue: {', '.join(unknown)}"
            raise RecordError(told, code="adapter-failed")
        return sample

    def _unexpressed(self, sample: Sample) -> Iterator[Issue]:
        """Objects that the adapter found and cannot express."""
        for issue in sample.issues:
            yield self._policy.fault(issue, Loss.OBJECT)

    def _rasterise(self, sample: Sample, size: Size, examined: Examined[PictureT]) -> Iterator[Issue]:
        """Fill `examined` with the objects that can be written; yield what is wrong with each, and its loss."""
        width, height = size
        rasteriser = Rasteriser(width, height)
        for instance in sample.instances:
            try:
                class_id = self._class_of(instance)
                mask = rasteriser.runs(self._shape_of(instance))
                if not mask.area and self.config.objects.empty != "keep":
                    raise ShapeError("mask-empty", f"{instance.label} has no pixel in {width} x {height}")
            except DataError as error:
                yield self._policy.fault(self._of_object(examined.item, instance, _issue(error)), Loss.OBJECT)
                continue
            doubts = check_instance(instance, width, height)
            judged = [
                self._policy.doubt(self._of_object(examined.item, instance, doubt), Loss.OBJECT) for doubt in doubts
            ]
            yield from _one_loss(judged)
            if not any(issue.loss for issue in judged):
                examined.instances.append(instance)
                examined.masks.append(mask)
                examined.class_ids.append(class_id)

    def _class_of(self, instance: Instance) -> int:
        class_id = self._class_ids.get(instance.label)
        if class_id is None:
            raise ShapeError("class-unknown", f"label {instance.label!r} is not among the classes")
        return class_id

    def _shape_of(self, instance: Instance) -> Shape:
        if instance.crowd and self.config.objects.crowd == "skip":
            raise ShapeError("object-crowd", f"{instance.label} is a crowd region")
        if isinstance(instance.shape, Box) and self.config.objects.boxes != "rectangle":
            raise ShapeError("object-box-only", f"{instance.label} has a box and no mask")
        return instance.shape

    def _lose_image(self, item: Item, objects: Sequence[str | None], reason: Issue) -> None:
        self._note(item, reason)
        for name in objects:
            lost = Issue("object-lost-with-image", f"its image was dropped: {reason.code}", object=name)
            self._note(item, self._policy.fault(lost, Loss.OBJECT))

    def _note(self, item: Item, issue: Issue) -> None:
        """Enter an issue in the books; one to be ignored only if something was lost by it."""
        self.tally.lose(issue)
        if issue.loss or issue.severity is not Severity.IGNORE:
            self.issues.append(self._placed(item, issue))

    def _placed(self, item: Item, issue: Issue) -> Issue:
        return issue.within(source=self.config.source_name(item.source), record=item.entry.key)

    def _of_object(self, item: Item, instance: Instance, issue: Issue) -> Issue:
        """An issue with one object, and the line that describes the object."""
        issue = issue.within(name=instance.id)
        try:
            where = self.adapters[item.source].where(item.entry.record, instance)
        except Exception:  # an adapter is somebody else's code; an issue without a line is better than none
            return issue
        return issue if where is None else replace(issue, path=str(where[0]), line=where[1])


def _issue(error: DataError) -> Issue:
    path = None if error.path is None else str(error.path)
    return Issue(error.code, error.message, path=path, line=error.line)


def _in_image(sample: Sample, issue: Issue) -> Issue:
    """An issue about the image itself: the file to correct is the image."""
    return replace(issue, path=issue.path or (str(sample.image.path) if sample.image.path else None))


def _first_error(issues: Sequence[Issue]) -> Issue | None:
    for issue in issues:
        if issue.loss and issue.severity is Severity.ERROR:
            return Issue("image-skipped", f"object {issue.object} has an error: {issue.code}")
    return None


def _one_loss(issues: Sequence[Issue]) -> Iterator[Issue]:
    """The issues of one object, which can be lost only once."""
    lost = False
    for issue in issues:
        yield replace(issue, loss=None) if lost else issue
        lost = lost or issue.loss is not None


def _basename(sample: Sample) -> str:
    return sample.image.path.name if sample.image.path else sample.key.rpartition("/")[2]


def _name(adapter: AnyAdapter) -> str:
    return f"{type(adapter).__module__}.{type(adapter).__qualname__}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
