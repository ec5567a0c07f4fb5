"""`dataset.json`: what a written data set is, for whoever reads it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError

from maskflow_convert.amounts import size_text
from maskflow_convert.errors import SourceError
from maskflow_convert.output import replace_text
from maskflow_convert.record import Layout
from maskflow_convert.report import Tally, tallies_html
from maskflow_convert.shape import Model
from maskflow_convert.tfrecord import Compression

FILE_NAME = "dataset.json"


class NamedClass(Model):
    """One class: the number that stands in `image/class_ids`, and what it is called."""

    id: int
    name: str


class SplitCounts(Model):
    """What is in a split, and what was dropped on the way, by issue code."""

    images_found: int
    images_written: int
    images_dropped: Mapping[str, int]
    objects_found: int
    objects_written: int
    objects_dropped: Mapping[str, int]
    objects_by_class: Mapping[str, int]
    bytes: int = Field(description="of all records, before framing and compression")

    @property
    def tally(self) -> Tally:
        """The counts as they were counted."""
        counters = {name: Counter(value) for name, value in self if isinstance(value, Mapping)}
        return Tally(**{**dict(self), **counters})


class ShardFile(Model):
    """One TFRecord file; `name` is relative to the manifest."""

    name: str
    split: str
    images: int
    objects: int
    bytes: int = Field(description="of the file")
    sha256: str


@dataclass(frozen=True, slots=True)
class NumberedImage:
    """An image whose source has no integer id, and the number it was given; small, as there may be a million."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: int
    source: Annotated[int, Field(description="position in the configuration's sources, from 0")]
    key: str


class Manifest(Model):
    """The whole of `dataset.json`."""

    format: Literal["maskflow"] = "maskflow"
    version: Literal[1] = 1
    layout: Layout
    compression: Compression
    channels: Literal[1, 3, "source"] = Field(description="channels of the PNG; source: 1 or 3, image by image")
    depth: Literal[8, 16] = Field(description="bits of a sample")
    classes: Sequence[NamedClass]
    splits: Mapping[str, SplitCounts]
    unplaced: SplitCounts = Field(description="dropped before it belonged to a split")
    shards: Sequence[ShardFile]
    numbered_images: Sequence[NumberedImage] = ()
    fingerprint: str = Field(description="SHA-256 of the configuration and the list of images")

    def _repr_html_(self) -> str:
        """What a notebook shows: how records are stored, the counts, and the objects of each class."""
        from maskflow_convert.markup import table, text

        tallies = {name: counts.tally for name, counts in self.splits.items()}
        total: Counter[str] = Counter()
        for tally in tallies.values():
            total.update(tally.objects_by_class)
        stored = (
            ("layout", self.layout),
            ("images", f"PNG of {self.depth} bits, channels: {self.channels}"),
            ("files", f"{len(self.shards):,} of {size_text(sum(shard.bytes for shard in self.shards))}"),
            ("compression", self.compression),
        )
        told = text("; ".join(f"{name} {value}" for name, value in stored))
        classes = table(("class", "id", "objects"), [(each.name, each.id, total[each.name]) for each in self.classes])
        return f"<p>A maskflow data set: {told}</p>{tallies_html(tallies)}{classes}"

    def write(self, folder: Path, numbered: Iterable[NumberedImage] = ()) -> None:
        """Write the manifest of the data set in `folder`.

        Args:
            folder: where to.
            numbered: what to list as `numbered_images`, so that the manifest need not hold them.

        Raises:
            OutputError: it cannot be written.
        """
        replace_text(folder / FILE_NAME, self._pieces(numbered))

    def _pieces(self, numbered: Iterable[NumberedImage]) -> Iterator[str]:
        """The JSON text, in which the numbered images are put one by one."""
        before, empty, after = _json(self.model_dump(mode="json")).partition(_NONE_NUMBERED)
        yield before
        opening, closing = empty.removesuffix("]"), empty
        for image in numbered:
            yield f"{opening}\n{_json(asdict(image))}".replace("\n", "\n    ")
            opening, closing = ",", "\n  ]"
        yield f"{closing}{after}\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of the data set in `folder`.

        Raises:
            SourceError: there is none, or it is not of this version.
        """
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise SourceError(
                f"cannot be read: {error.strerror}; the folder holds no finished data set", path
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SourceError(f"is not a manifest of this version: {where}: {first['msg']}", path) from error


_NONE_NUMBERED = '"numbered_images": []'  # not found within a string: there, quotes are escaped


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
