"""What is known of a data set before its first shard: with the reports of the shards, all that its other files hold.

The first of several nodes leaves it in a file of JSON lines: this, then the issues of the sources and the images that
were numbered, one a line, as there may be a million. So whoever puts the shares together needs no source, no adapter
and no index of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter

from maskflow_convert.census import CODES, WholeDataSet
from maskflow_convert.config import OnError
from maskflow_convert.copies import fetch
from maskflow_convert.errors import OutputError
from maskflow_convert.issues import Issue
from maskflow_convert.manifest import Manifest, NamedClass, NumberedImage, SplitCounts
from maskflow_convert.output import replace_text
from maskflow_convert.plan import PlannedSplit
from maskflow_convert.policy import Policy
from maskflow_convert.prepare import DataSet
from maskflow_convert.provenance import SourceFacts
from maskflow_convert.report import Report, Tally
from maskflow_convert.shape import Model

T = TypeVar("T")


class Outset(Model):
    """What a data set will be, whatever comes of its images.

    Attributes:
        configuration: all of it, as JSON has it.
        policy: what the configuration says of issues.
        plan: the shards.
        manifest: without counts, shards and numbered images.
        sources: what a card tells of them, if one is wanted and somebody else than the one who indexed them writes it.
    """

    configuration: Mapping[str, JsonValue]
    policy: Policy
    plan: Sequence[PlannedSplit]
    manifest: Manifest
    sources: Sequence[SourceFacts] | None = None

    @classmethod
    def of(cls, data_set: DataSet) -> Outset:
        """Of a data set that is indexed."""
        config = data_set.config
        manifest = Manifest(
            layout=config.output.layout,
            compression=config.output.compression,
            channels=config.image.channels,
            depth=config.image.depth,
            classes=[NamedClass(id=number, name=name) for name, number in data_set.classes.numbered().items()],
            splits={},
            unplaced=SplitCounts(**Tally().to_dict()),
            shards=[],
            fingerprint=data_set.fingerprint,
        )
        return cls(
            configuration=config.model_dump(mode="json"),
            policy=Policy.of(config),
            plan=data_set.shards.splits,
            manifest=manifest,
        )

    def moved_to(self, folder: Path) -> Outset:
        """Of the same data set in another output directory."""
        output = self.configuration["output"]
        moved = {**(output if isinstance(output, dict) else {}), "directory": str(folder)}
        return self.model_copy(update={"configuration": {**self.configuration, "output": moved}})

    def report(self) -> Report:
        """A report of nothing yet."""
        return Report({each.name: each.id for each in self.manifest.classes})

    def judge(self) -> WholeDataSet:
        """Judges the data set as a whole by what the configuration makes an error, and stops at the first one.

        On an error of the whole there is nothing to skip, whatever `on_error` says.
        """
        policy = replace(self.policy, on_error=OnError.STOP)
        return WholeDataSet(policy, policy.errors_among(CODES))

    def write(self, path: Path, issues: Iterable[Issue], numbered: Iterable[NumberedImage]) -> None:
        """Write it to a file, with what is wrong with the sources as a whole, and the images that were numbered.

        Raises:
            OutputError: it cannot be written.
        """
        lines: Iterable[dict[str, Any]] = chain(
            [self.model_dump(mode="json")],
            ({"issue": issue.to_dict()} for issue in issues),
            ({"image": asdict(image)} for image in numbered),
        )
        replace_text(path, (json.dumps(line) + "\n" for line in lines))


class StoredOutset:
    """What `Outset.write` has written; the lists are read anew each time that they are asked for.

    Raises:
        OutputError: the file cannot be read, or is not of this version; also while the lists are gone through.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._failures_told():
            self._copy = fetch(path)
            with self._copy.open("rb") as file:
                self.outset = Outset.model_validate(json.loads(file.readline()))

    def issues(self) -> Iterator[Issue]:
        """What is wrong with the sources as a whole."""
        return self._listed("issue", TypeAdapter(Issue))

    def numbered(self) -> Iterator[NumberedImage]:
        """The images that were numbered, in the order of their ids."""
        return self._listed("image", TypeAdapter(NumberedImage))

    def _listed(self, kind: str, adapter: TypeAdapter[T]) -> Iterator[T]:
        with self._failures_told(), self._copy.open("rb") as file:
            for line in islice(file, 1, None):
                if (value := json.loads(line).get(kind)) is not None:
                    yield adapter.validate_python(value)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            told = f"{self._path}: cannot be read; have its node make it anew, by `--node` and `--resume`"
            raise OutputError(told) from error


def numbered_images(data_set: DataSet) -> Iterator[NumberedImage]:
    """The images whose id is their number, as a manifest lists them."""
    images = data_set.shards.images
    return (NumberedImage(item.image_id, item.source, item.entry.key) for item in images.numbered())
