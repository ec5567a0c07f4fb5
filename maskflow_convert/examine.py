"""One image through the front half of the pipe: read, judge, rasterise. Everything that reads annotations shares it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.census import CODES, CODES_OF_IMAGES, Census, Seen, Sized
from maskflow_convert.checks import Depth, Objects, chosen, find
from maskflow_convert.classes import ClassMap
from maskflow_convert.config import Config, OnError
from maskflow_convert.errors import DataError, ImageError, IssueError, OutputError, RecordError, ShapeError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import ImageSettings
from maskflow_convert.issues import Issue, Loss
from maskflow_convert.plan import Item
from maskflow_convert.policy import Policy
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.repairs import REPAIRS
from maskflow_convert.report import Tally
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
    """An image to be written, and those of its objects that are: the three lists are of one length and order, N.

    `path` is the file of the image, if it has one; `size` is that of the image.
    """

    item: Item
    basename: str
    path: str | None
    size: Size
    picture: PictureT
    instances: list[Instance] = field(default_factory=list)
    masks: list[Runs] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)


@dataclass
class Examiner:
    """Examines images one by one and keeps the books: `tally` and `issues` cover all that it was given.

    `objects_read` counts the objects of all samples as they are read, to hold the books against.
    `adapters` are in the order of the configuration's sources. `depth` is how closely objects are looked at.
    """

    config: Config
    classes: ClassMap
    adapters: Sequence[AnyAdapter]
    tally: Tally = field(default_factory=Tally)
    issues: list[Issue] = field(default_factory=list)
    objects_read: int = 0
    census: Census = field(default_factory=Census)
    depth: Depth = Depth.CONVERT

    def __post_init__(self) -> None:
        self._policy = Policy.of(self.config)
        self._checks = chosen(self.depth, self._policy.severity_of, self._policy.repaired)
        self._whole = CODES if self.depth is Depth.VALIDATE else self._policy.errors_among(CODES)
        self._class_ids = self.classes.ids

    def examine(self, item: Item, open_image: OpenImage[PictureT]) -> Examined[PictureT] | None:
        """Read and judge one image; None if it is dropped. Report one that is not by `written` or `lost`.

        Raises:
            IssueError: an issue of severity error, and the run stops on errors.
            SourceError: the source of the image cannot be read any more.
            OutputError: there is not enough memory for it.
        """
        try:
            with memory_for(item):
                return self._examine(item, open_image)
        except IssueError as error:
            raise IssueError(self._placed(item, error.issue)) from error

    def _examine(self, item: Item, open_image: OpenImage[PictureT]) -> Examined[PictureT] | None:
        try:
            sample = self._read(item)
        except DataError as error:
            self._note(item, self._policy.fault(_issue(error), Loss.IMAGE))
            return None
        self.objects_read += len(sample.instances) + len(sample.issues)
        objects = [
            *(instance.id for instance in sample.instances),
            *(issue.object for issue in sample.issues),
        ]
        try:
            picture, size, doubts = self._open(item, sample, open_image)
        except DataError as error:
            self._lose_image(item, objects, self._policy.fault(_in_image(sample, _issue(error)), Loss.IMAGE))
            return None
        for doubt in (*doubts, *sample.doubts, *self._nothing_annotated(sample)):
            judged = self._policy.doubt(_in_image(sample, doubt), Loss.IMAGE)
            if judged.loss:
                self._lose_image(item, objects, judged)
                return None
            self._note(item, judged)
        path = str(sample.image.path) if sample.image.path else None
        examined = Examined(item, _basename(sample), path, size, picture)
        faults = [*self._unexpressed(sample), *self._rasterise(sample, size, examined)]
        for fault in faults:
            self._note(item, fault)
        if self._policy.on_error is OnError.SKIP_IMAGE and (reason := _first_error(faults)):
            self.lost(examined, reason)
            return None
        return examined

    @property
    def counts_contents(self) -> bool:
        """Whether the digests of images are asked for."""
        return not CODES_OF_IMAGES.isdisjoint(self._whole)

    def written(self, examined: Examined[PictureT], size: int, digest: bytes | None = None) -> None:
        """Count an image as written, in a record of `size` bytes; `digest` is that of its content."""
        count = len(examined.instances)
        self.tally.images_found += 1
        self.tally.images_written += 1
        self.tally.objects_found += count
        self.tally.objects_written += count
        self.tally.objects_by_class.update(map(self.classes.name_of, examined.class_ids))
        self.tally.bytes += size
        self._take_census(examined, digest)

    def _take_census(self, examined: Examined[PictureT], digest: bytes | None) -> None:
        self.census.images.count(*examined.size, len(examined.instances))
        if digest is not None:
            source, key = self.config.source_name(examined.item.source), examined.item.entry.key
            self.census.contents.append(Seen(source, key, digest, examined.path))
        small_ones_matter = "mask-small-for-class" in self._whole
        for instance, mask, class_id in zip(examined.instances, examined.masks, examined.class_ids, strict=True):
            describe = partial(self._sized, examined.item, instance, mask.area) if small_ones_matter else None
            self.census.see(self.classes.name_of(class_id), mask.area, describe)

    def _sized(self, item: Item, instance: Instance, area: int) -> Sized:
        return Sized(
            area, self.config.source_name(item.source), item.entry.key, instance.id, *self._where(item, instance)
        )

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
            SourceError: the adapter cannot read its source any more.
        """
        try:
            sample = self.adapters[item.source].read(item.entry.record)
        except DataError as error:
            if error.code not in CATALOGUE:
                told = f"raised {_told(error)}, which is not a code of the catalogue"
                raise self._adapter_failed(item, told, error) from error
            raise
        except (SourceError, MemoryError):  # no fault of this image
            raise
        except (Exception, SystemExit) as error:  # an adapter is somebody else's code, and may raise anything
            raise self._adapter_failed(item, f"raised {_told(error)}") from error
        if not isinstance(sample, Sample):
            raise self._adapter_failed(item, f"returned {type(sample).__name__} instead of a Sample")
        if unknown := sorted({issue.code for issue in (*sample.issues, *sample.doubts)} - CATALOGUE.keys()):
            raise self._adapter_failed(item, f"listed issues that are not in the catalogue: {', '.join(unknown)}")
        return sample

    def _adapter_failed(self, item: Item, told: str, at: DataError | None = None) -> RecordError:
        path, line = (at.path, at.line) if at else (None, None)
        return RecordError(f"{self.config.adapter_name(item.source)} {told}", path, line, code="adapter-failed")

    def _open(
        self, item: Item, sample: Sample, open_image: OpenImage[PictureT]
    ) -> tuple[PictureT, Size, Sequence[Issue]]:
        """The image; one whose annotated width and height are exchanged, too, if that is to be fixed.

        Raises:
            ImageError: it cannot be used.
        """
        try:
            return open_image(sample.image)
        except ImageError as error:
            if error.code != "image-size-differs" or error.code not in self._policy.repaired:
                raise
            try:
                opened = open_image(sample.image.turned())
            except ImageError:
                raise error from None
            self._note(item, self._policy.repair(_in_image(sample, _issue(error))))
            return opened

    def _nothing_annotated(self, sample: Sample) -> Iterator[Issue]:
        """Told by a validation, or where it is an error."""
        code = "image-without-objects"
        matters = self.depth is Depth.VALIDATE or self._policy.severity_of(code) is Severity.ERROR
        if matters and not sample.instances and not sample.issues:
            yield Issue(code, "nothing is annotated")

    def _unexpressed(self, sample: Sample) -> Iterator[Issue]:
        """Objects that the adapter found and cannot express."""
        for issue in sample.issues:
            yield self._policy.fault(issue, Loss.OBJECT)

    def _rasterise(self, sample: Sample, size: Size, examined: Examined[PictureT]) -> Iterator[Issue]:
        """Fill `examined` with the objects that can be written; yield what is wrong with each, and its loss."""
        width, height = size
        pixels = self._pixels(sample.instances, Rasteriser(width, height))
        doubts = self._doubts(sample.instances, pixels, size)
        for number, (instance, mask) in enumerate(zip(sample.instances, pixels, strict=True)):
            told = [self._of_object(examined.item, instance, doubt) for doubt in doubts[number]]
            judged = [self._judge(doubt) for doubt in told]
            if fault := self._fault(instance, mask, size):
                judged.append(self._policy.fault(self._of_object(examined.item, instance, fault), Loss.OBJECT))
            yield from _one_loss(judged)
            if isinstance(mask, Runs) and not any(issue.loss for issue in judged):
                examined.instances.append(_repaired(instance, judged, size))
                examined.masks.append(mask)
                examined.class_ids.append(self._class_ids[instance.label])

    def _pixels(self, instances: Sequence[Instance], rasteriser: Rasteriser) -> list[Runs | DataError]:
        """The pixels of each object, or why it has none."""
        shapes = [self._shape_of(instance) for instance in instances]
        found = iter(rasteriser.runs_of(shape for shape in shapes if not isinstance(shape, DataError)))
        return [shape if isinstance(shape, DataError) else next(found) for shape in shapes]

    def _doubts(
        self, instances: Sequence[Instance], pixels: Sequence[Runs | DataError], size: Size
    ) -> Mapping[int, list[Issue]]:
        """What the checks say of the objects that have pixels, or could have them, by number."""
        sound = [(number, mask) for number, mask in enumerate(pixels) if isinstance(mask, Runs)]
        objects = Objects([instances[number] for number, _ in sound], [mask for _, mask in sound], *size)
        doubts: dict[int, list[Issue]] = defaultdict(list)
        for at, doubt in find(objects, self._checks):
            doubts[sound[at][0]].append(doubt)
        return doubts

    def _judge(self, doubt: Issue) -> Issue:
        if doubt.code in self._policy.repaired:
            return self._policy.repair(doubt)
        return self._policy.doubt(doubt, Loss.OBJECT)

    def _fault(self, instance: Instance, mask: Runs | DataError, size: Size) -> Issue | None:
        """What leaves nothing to write of an object."""
        if isinstance(mask, DataError):
            return _issue(mask)
        if not mask.area and self.config.objects.empty != "keep":
            return Issue("mask-empty", f"{instance.label} has no pixel in {size[0]} x {size[1]}")
        return None

    def _shape_of(self, instance: Instance) -> Shape | DataError:
        """The shape of an object, or why it is not wanted."""
        if instance.label not in self._class_ids:
            return ShapeError("class-unknown", f"label {instance.label!r} is not among the classes")
        if instance.crowd and self.config.objects.crowd == "skip":
            return ShapeError("object-crowd", f"{instance.label} is a crowd region")
        if instance.attributes.get("difficult") is True and self.config.objects.difficult == "skip":
            return ShapeError("object-difficult", f"{instance.label} is marked as difficult")
        if isinstance(instance.shape, Box) and self.config.objects.boxes != "rectangle":
            return ShapeError("object-box-only", f"{instance.label} has a box and no mask")
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
        path, line = self._where(item, instance)
        issue = issue.within(name=instance.id)
        return issue if path is None else replace(issue, path=path, line=line)

    def _where(self, item: Item, instance: Instance) -> tuple[str | None, int | None]:
        try:
            where = self.adapters[item.source].where(item.entry.record, instance)
            return (None, None) if where is None else (str(where[0]), int(where[1]))
        except (Exception, SystemExit):  # somebody else's code; an issue without a line is better than none
            return None, None


def measured(settings: ImageSettings, image: Image) -> tuple[None, Size, Sequence[Issue]]:
    """Find the size of an image and nothing else; as an `OpenImage`, with its settings given.

    Raises:
        ImageError: as `Image.measure`.
    """
    return None, image.measure(settings), ()


@contextmanager
def memory_for(item: Item) -> Iterator[None]:
    """Name the image for which there is not enough memory: a fault of the machine, so that nothing is dropped for it.

    Raises:
        OutputError: it is so.
    """
    try:
        yield
    except MemoryError as error:
        told = "there is not enough memory for it; take fewer workers (`run.workers`), or a machine with more"
        raise OutputError(f"image {item.entry.key}: {told}") from error


def _issue(error: DataError) -> Issue:
    path = None if error.path is None else str(error.path)
    return Issue(error.code, error.message, path=path, line=error.line)


def _in_image(sample: Sample, issue: Issue) -> Issue:
    """An issue about the image itself: the file to correct is the image, or the one that holds it."""
    file = sample.image.path or sample.image.source
    return replace(issue, path=issue.path or (str(file) if file else None))


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


def _repaired(instance: Instance, issues: Sequence[Issue], size: Size) -> Instance:
    """The instance with its shape repaired, as its issues say; it has the same pixels."""
    shape = instance.shape
    for issue in issues:
        if issue.fixed:
            shape = REPAIRS[issue.code](shape, *size)
    return instance if shape is instance.shape else instance.model_copy(update={"shape": shape})


def _basename(sample: Sample) -> str:
    image = sample.image
    return image.path.name if image.path else image.name or sample.key.rpartition("/")[2]


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
