"""What a reader of an annotation format is: the `Adapter` base class, its options, and the `Index` it returns.

A whole adapter:

    class BlobOptions(AdapterOptions):
        folder: InputPath

    class Blobs(Adapter[BlobOptions, Path]):
        Options = BlobOptions

        def index(self) -> Index[Path]:
            images = sorted(self.options.folder.glob("*.png"))
            return Index([Entry(key=p.name, record=p) for p in images], labels=["blob"])

        def read(self, record: Path) -> Sample:
            mask = Bitmap(source=record.with_suffix(".mask"))
            return Sample(key=record.name, image=Image(path=record), instances=[Instance(label="blob", shape=mask)])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from maskflow_convert.errors import ConfigError
from maskflow_convert.issues import Issue
from maskflow_convert.remote import RemotePath, path_of
from maskflow_convert.sample import Instance, Sample
from maskflow_convert.shape import Model

if TYPE_CHECKING:
    from maskflow_convert.discovery import Found, LeftOut, Tree


def _of_this_machine_or_not(written: object) -> object:
    try:
        return path_of(written) if isinstance(written, str) else written
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _beside_the_config(path: Path, info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("base", Path())
    if path.is_absolute() and isinstance(path, RemotePath):
        return path
    try:
        path = path.expanduser()
        return path.resolve() if path.is_absolute() else (base / path).resolve()
    except (OSError, RuntimeError) as error:  # nobody has that home, or links lead round in a circle
        raise ValueError(str(error)) from error


InputPath = Annotated[Path, BeforeValidator(_of_this_machine_or_not), AfterValidator(_beside_the_config)]
"""A path in the options of an adapter; a relative one is taken from the folder of the YAML file.

A URL, as `s3://bucket/folder`, becomes a `pathlib.Path`, too, whose files are read by its own methods: `open`,
`read_bytes`, `iterdir`, `glob`, `is_file`.
"""


class AdapterOptions(Model):
    """Base of an adapter's options: the keys that its source may have in the YAML. Unknown keys are refused."""


OptionsT = TypeVar("OptionsT", bound=AdapterOptions)
RecordT = TypeVar("RecordT")
ListedT = TypeVar("ListedT", covariant=True)
"""As `RecordT`, of what is only read: an index of one kind of records is one of that kind or another."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[ListedT]):
    """One image in an index.

    Attributes:
        key: names the image in its source, uniquely and for ever: splits are drawn by it.
        record: what `Adapter.read` needs to find the image again. Small, and it pickles.
        id: the source's own integer id, if it has one.
        split: the source's own split, if it has one.
        pixels: width * height, 0 if not known without opening the image; only used to cut shards of even size.
        positives: mask pixels of all objects together, likewise.
        file_name: that of the image, if it is not the last part of the key; to find images of one name by.
    """

    key: str
    record: ListedT
    id: int | None = None
    split: str | None = None
    pixels: int = 0
    positives: int = 0
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class Index(Generic[ListedT]):
    """All images of a source in a stable order, its labels in theirs, and what is wrong with the source as a whole.

    Entries and issues are gone through more than once, and may be made anew each time.
    """

    entries: Sequence[Entry[ListedT]]
    labels: Sequence[str]
    issues: Collection[Issue] = ()


class Adapter(ABC, Generic[OptionsT, RecordT]):
    """Reads one annotation format. Holds nothing but its options, so it pickles and travels to workers."""

    Options: ClassVar[type[AdapterOptions]] = AdapterOptions
    options: OptionsT

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abstractmethod
    def index(self) -> Index[RecordT]:
        """List the images. Called once, in the parent process.

        Raises:
            SourceError: the source cannot be read at all.
        """

    @abstractmethod
    def read(self, record: RecordT) -> Sample:
        """Turn one record of the index into a sample. Called in a worker; the same record gives the same sample.

        Raises:
            RecordError: the record is broken; the message says how, `path` and `line` where.
            SourceError: the source as a whole cannot be read any more, or has changed since `index`; the run stops.
        """

    @classmethod
    def discover(cls, tree: Tree) -> Iterable[Found | LeftOut]:
        """Find data sets of this format in a folder, for `maskflow-convert init`; none, if an adapter does not look.

        Look at names, at the first bytes of a few files, and ask `tree` where images are: see
        `maskflow_convert.discovery`. Whoever asks for a folder is not to wait for what is not in it.
        """
        return ()

    def sources(self) -> Iterable[Path]:
        """The files and folders that everything is read from: those that the options name, if an adapter says no more.

        A conversion that was interrupted goes on only if nothing in them has changed.
        """
        return [value for _, value in self.options if isinstance(value, Path)]

    def where(self, record: RecordT, instance: Instance) -> tuple[Path, int] | None:
        """The file and the line, counted from 1, that describe an instance of a record; None where there is none.

        Called for an object with an issue only, so it may take its time.
        """
        return None
