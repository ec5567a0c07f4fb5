"""Everything that is decided before an image is opened: adapters, classes, the plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import maskflow_convert
from maskflow_convert import registry
from maskflow_convert.adapter import Index
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.classes import ClassMap
from maskflow_convert.config import Config, OnError, Source
from maskflow_convert.errors import MaskflowError, PluginError, SourceError
from maskflow_convert.issues import Issue
from maskflow_convert.nodes import Node
from maskflow_convert.plan import Item, Plan, make_plan
from maskflow_convert.policy import Policy
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.sample import Sample


@dataclass(frozen=True)
class DataSet:
    """A configuration, and what follows from it and the indexes of its sources."""

    config: Config
    classes: ClassMap
    adapters: Sequence[AnyAdapter]
    indexes: Sequence[Index[Any]]
    shards: Plan

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides what is written: the version, the configuration, the list of images."""
        images = [self.classes.names, self.shards.digest]
        text = json.dumps([maskflow_convert.__version__, self.config.of_the_records, *images])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def n_images(self) -> int:
        """Number of images in all shards."""
        return self.shards.n_images

    def issues(self) -> Iterator[Issue]:
        """What is wrong with the sources as a whole; made anew each time, as there may be a million.

        Raises:
            IssueError: one is of severity error, and the run stops on errors.
        """
        policy = Policy.of(self.config)
        for issue in chain(_listed(self.config, self.indexes), _same_basenames(self.config, self.shards)):
            judged = policy.judge(issue)
            if judged.loss or judged.severity is not Severity.IGNORE:
                yield judged

    def read(self, item: Item) -> Sample:
        """An image of the plan as its adapter describes it.

        Raises:
            RecordError: it is broken.
            Exception: whatever else the adapter raises, which is somebody else's code.
        """
        return self.adapters[item.source].read(item.entry.record)

    def share(self, node: Node) -> DataSet:
        """The same data set with the shards that a node makes only."""
        return replace(self, shards=self.shards.share(node))

    def sampled(self, count: int) -> DataSet:
        """The same data set with `count` of its images only, drawn by a hash of their keys."""
        return replace(self, shards=self.shards.sampled(count))


def prepare(config: Config) -> DataSet:
    """Index the sources and make the plan.

    Raises:
        IssueError, ConfigError, PluginError, SourceError: as in `convert`.
    """
    adapters = make_adapters(config)
    indexes = [_index(adapter, config.adapter_name(number)) for number, adapter in enumerate(adapters)]
    data_set = DataSet(
        config=config,
        classes=ClassMap.of(config.classes, [index.labels for index in indexes]),
        adapters=adapters,
        indexes=indexes,
        shards=make_plan(config, indexes),
    )
    if config.on_error is OnError.STOP:
        for _ in data_set.issues():
            pass  # an error is raised before anything is touched
    return data_set


def _listed(config: Config, indexes: Sequence[Index[Any]]) -> Iterator[Issue]:
    """What the indexes say is wrong with their sources."""
    for number, index in enumerate(indexes):
        for issue in index.issues:
            if not isinstance(issue, Issue):
                told = f"lists {issue!r} instead of an Issue"
                raise PluginError(f"{config.adapter_name(number)}: its index() {told}")
            if issue.code not in CATALOGUE:
                told = f"lists an issue that is not in the catalogue: {issue.code}"
                raise PluginError(f"{config.adapter_name(number)}: its index() {told}")
            yield issue.within(source=config.source_name(number))


def _same_basenames(config: Config, plan: Plan) -> Iterator[Issue]:
    """Images whose file is called as another's."""
    for number, earlier in plan.namesakes:
        item = plan.images[number]
        before = (plan.images[int(other)] for other in earlier)
        if first := next((other for other in before if other.basename == item.basename), None):
            told = f"{first.entry.key} of {config.source_name(first.source)} is called {item.basename}, too"
            yield Issue("basename-duplicate", told, source=config.source_name(item.source), record=item.entry.key)


def make_adapters(config: Config) -> list[AnyAdapter]:
    """The adapters of the sources, in their order.

    Raises:
        PluginError: one cannot be had.
    """
    return [_adapter(source, config.adapter_name(number)) for number, source in enumerate(config.sources)]


def _adapter(source: Source, name: str) -> AnyAdapter:
    adapter = registry.load(source.adapter)
    try:
        return adapter(source.options)
    except (Exception, SystemExit) as error:  # as in `_index`
        raise PluginError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def _index(adapter: AnyAdapter, name: str) -> Index[Any]:
    try:
        index = adapter.index()
    except MaskflowError:
        raise
    except OSError as error:
        raise SourceError(f"{name} cannot read it: {error.strerror or error}", error.filename) from error
    except (Exception, SystemExit) as error:  # an adapter is somebody else's code, and may raise anything
        raise PluginError(f"{name} failed to list its images: {type(error).__name__}: {error}") from error
    if not isinstance(index, Index):
        raise PluginError(f"{name}: its index() returned {type(index).__name__} instead of an Index")
    for fault in _faults(index):
        raise PluginError(f"{name}: its index() {fault}")
    return index


def _faults(index: Index[Any]) -> Iterator[str]:
    """What an index says that it may not; its entries are judged when the plan goes through them."""
    fields: dict[str, tuple[object, type]] = {
        "entries": (index.entries, Sequence),
        "labels": (index.labels, Sequence),
        "issues": (index.issues, Collection),
    }
    for name, (value, kind) in fields.items():
        if isinstance(value, str) or not isinstance(value, kind):
            yield f"has {name} that are not a list: {value!r}"
    for label in index.labels:
        if not isinstance(label, str):
            yield f"has a label that is not text: {label!r}"
