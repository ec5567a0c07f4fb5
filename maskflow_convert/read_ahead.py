"""Images read before their turn, where they, their masks or their annotations are remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from maskflow_convert.adapter import Adapter, Index
from maskflow_convert.errors import ImageError
from maskflow_convert.fetching import Fetched, fetch_files, in_order
from maskflow_convert.plan import Item
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.remote import AT_HAND, RemotePath
from maskflow_convert.sample import Image, Instance, Sample
from maskflow_convert.shape import Bitmap, Region, Shape, Union


@contextmanager
def reading_ahead(adapters: Sequence[AnyAdapter], items: Iterable[Item]) -> Iterator[Sequence[AnyAdapter]]:
    """Adapters to read the records of the items with, each once and in this order, while threads read the next few.

    When a record has been read, the files of its sample are at hand in this thread, until the next one is. Where
    nothing is remote, the adapters are those given.
    """
    if not any(map(_reads_remotely, adapters)):
        yield adapters
        return
    with closing(in_order(partial(_read, adapters), items)) as samples:
        try:
            yield [_InTurn(adapter, samples) for adapter in adapters]
        finally:
            AT_HAND.files = {}


def _reads_remotely(adapter: AnyAdapter) -> bool:
    options = getattr(adapter, "options", ())  # somebody else's `__init__` may keep none
    return any(isinstance(value, RemotePath) for _, value in options)


class _InTurn(Adapter[Any, Any]):
    """An adapter whose records have been read already when their turn comes."""

    def __init__(self, adapter: AnyAdapter, samples: Iterator[Future[Fetched[Sample]]]) -> None:
        super().__init__(adapter.options)
        self._adapter = adapter
        self._samples = samples

    def index(self) -> Index[Any]:
        return self._adapter.index()

    def read(self, record: object) -> Sample:
        fetched = next(self._samples).result()
        AT_HAND.files = fetched.files
        return fetched.subject

    def where(self, record: Any, instance: Instance) -> tuple[Path, int] | None:
        return self._adapter.where(record, instance)


def _read(adapters: Sequence[AnyAdapter], item: Item) -> Fetched[Sample]:
    sample = adapters[item.source].read(item.entry.record)
    return Fetched(sample, fetch_files(_files_of(sample)))


def _files_of(sample: Sample) -> Iterator[RemotePath]:
    """The remote files that a sample is made from, but for an image that lies where it may not."""
    if not isinstance(sample, Sample):
        return  # which is told when its turn comes
    sources: list[object] = [_origin(sample.image)]
    for instance in sample.instances:
        sources += _masks(instance.shape)
    for source in sources:
        if isinstance(source, RemotePath):
            yield source


def _origin(image: Image) -> Path | bytes | None:
    try:
        return image.origin()
    except ImageError:  # raised again when its turn comes
        return None


def _masks(shape: Shape) -> Iterator[Path | bytes]:
    match shape:
        case Bitmap() | Region():
            yield shape.source
        case Union():
            for member in shape.members:
                yield from _masks(member)
