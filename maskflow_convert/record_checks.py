"""What can be wrong with one written record whose features can be read: a generator a check, and the table of them.

What is wrong with the features themselves is told by `maskflow_convert.record.parse`, what is wrong with whole files by
`maskflow_convert.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import ImageError
from maskflow_convert.image import check_png
from maskflow_convert.issues import Issue
from maskflow_convert.record import Layout, Record

_SHOWN = 5  # numbers of a kind that a message lists


@dataclass(frozen=True, slots=True)
class Contract:
    """What a manifest says of every record of its data set; None is what nobody said, and is not judged.

    Attributes:
        layout: the reading of the axes.
        channels: of the images.
        depth: bits of a sample of the decoded images, 8 or 16.
        classes: id: name.
    """

    layout: Layout | None = None
    channels: int | None = None
    depth: int | None = None
    classes: Mapping[int, str] | None = None


RecordCheck = Callable[[Record, Contract], Iterator[Issue]]


def check_record(record: Record, contract: Contract) -> Iterator[Issue]:
    """All that is wrong with one record. Where its numbers say no shape, nothing is held against that."""
    shapeless = [*shape_invalid(record)]
    yield from shapeless
    if not shapeless:
        for check in RECORD_CHECKS:
            yield from check(record, contract)


def shape_invalid(record: Record) -> Iterator[Issue]:
    """A width, height, number of channels or of objects that no array has."""
    lengths = {"width": record.width, "height": record.height, "channel": record.channels}
    for key, length in lengths.items():
        if length < 1:
            yield Issue("record-shape-invalid", f"image/{key} is {length}")
    if record.n_objects < 0:
        yield Issue("record-shape-invalid", f"image/n_objects is {record.n_objects}")


def basename_invalid(record: Record, contract: Contract) -> Iterator[Issue]:
    """A name that is none, or has a folder before it."""
    if not record.basename:
        yield Issue("record-basename-invalid", "image/basename is empty")
    if "/" in record.basename:
        yield Issue("record-basename-invalid", "image/basename has a folder in it")


def image_differs(record: Record, contract: Contract) -> Iterator[Issue]:
    """A PNG that does not decode, or not to the size, channels and depth that are said elsewhere."""
    try:
        header, channels = check_png(record.png)
    except ImageError as error:
        yield Issue("record-image-unreadable", error.message)
        return
    size, stated = (header.width, header.height), (record.width, record.height)
    fitting = [layout for layout, wanted in _upright(stated).items() if wanted == size]
    if not fitting or contract.layout not in (None, *fitting):
        yield Issue("record-image-differs", f"{_sizes(size, stated, contract.layout)}{_swapped(fitting)}")
    if channels != record.channels:
        yield Issue("record-image-differs", f"the PNG has {channels} channels, image/channel is {record.channels}")
    if contract.channels not in (None, channels):
        yield Issue("record-image-differs", f"the PNG has {channels} channels, the manifest says {contract.channels}")
    depth = max(header.depth, 8)
    if contract.depth not in (None, depth):
        yield Issue("record-image-differs", f"the PNG has {depth} bits a sample, the manifest says {contract.depth}")


def _upright(stated: tuple[int, int]) -> dict[Layout, tuple[int, int]]:
    """`(columns, rows)` that `(image/width, image/height)` mean in each layout."""
    return {Layout.DOCUMENTED: stated, Layout.ROWS_FIRST: stated[::-1]}


def _sizes(size: tuple[int, int], stated: tuple[int, int], layout: Layout | None) -> str:
    found = f"the PNG has {size[0]} columns and {size[1]} rows, image/width is {stated[0]} and image/height {stated[1]}"
    return found if layout is None else f"{found} in the layout {layout}"


def _swapped(fitting: Sequence[Layout]) -> str:
    return f"; it would fit the layout {fitting[0]}" if fitting else ""


def indices_outside(record: Record, contract: Contract) -> Iterator[Issue]:
    """Indices that leave `[N, W, H]`: pixels beside the image, objects beyond their number."""
    if not len(record.indices):
        return
    objects, *axes = record.indices.T
    beside = np.zeros(len(objects), dtype=bool)
    for axis, length in zip(axes, (record.width, record.height), strict=True):
        if axis.min() < 0 or axis.max() >= length:
            beside |= (axis < 0) | (axis >= length)
    if beside.any():
        first = record.indices[beside.argmax()].tolist()
        yield Issue(
            "record-index-outside",
            f"{beside.sum():,} of {len(beside):,} indices lie outside the masks of {record.width} x {record.height}, "
            f"first {_triple(first)}",
        )
    if objects.min() < 0 or objects.max() >= record.n_objects:
        yield Issue(
            "record-objects-differ",
            f"image/n_objects is {record.n_objects}, and the indices name the objects "
            f"{objects.min()} to {objects.max()}, counted from 0",
        )


def indices_disordered(record: Record, contract: Contract) -> Iterator[Issue]:
    """Indices that are out of order, or there twice."""
    columns = np.ascontiguousarray(record.indices.T)
    ascending, equal = _compared(columns)
    falls = np.flatnonzero(~ascending & ~equal)
    if len(falls):
        earlier, later = record.indices[falls[0] : falls[0] + 2].tolist()
        yield Issue(
            "record-indices-unordered",
            f"the indices go backwards {len(falls):,} times, first from {_triple(earlier)} to {_triple(later)}",
        )
        columns = columns[:, np.lexsort(columns[::-1])]
        equal = _compared(columns)[1]
    if equal.any():
        first = columns[:, equal.argmax()].tolist()
        yield Issue("record-index-repeated", f"{equal.sum():,} indices are repeated, first {_triple(first)}")


def _compared(columns: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """`[P - 1]` each: whether a triple of `[3, P]` precedes the next in lexicographic order; whether it equals it."""
    ascending = np.zeros(max(columns.shape[1] - 1, 0), dtype=bool)
    equal = ~ascending
    for column in columns[::-1]:
        same = column[1:] == column[:-1]
        ascending &= same
        ascending |= column[1:] > column[:-1]
        equal &= same
    return ascending, equal


def _triple(triple: Sequence[int]) -> str:
    return f"({', '.join(map(str, triple))})"


def mask_empty(record: Record, contract: Contract) -> Iterator[Issue]:
    """Objects that no index names."""
    objects = record.indices[:, 0]
    changes = np.flatnonzero(objects[1:] != objects[:-1]) + 1
    named = np.unique(objects[np.concatenate([np.zeros(min(len(objects), 1), dtype=np.int64), changes])])
    named = named[(named >= 0) & (named < record.n_objects)]
    empty = record.n_objects - len(named)
    if empty:
        first = np.append(named != np.arange(len(named)), True).argmax()
        yield Issue(
            "record-mask-empty",
            f"{empty:,} of {record.n_objects:,} objects have no index, the first of them object {first}",
        )


def classes_differ(record: Record, contract: Contract) -> Iterator[Issue]:
    """Class ids that are not one an object, or that mean nothing."""
    count = len(record.class_ids)
    if count != record.n_objects:
        yield Issue(
            "record-classes-differ", f"image/class_ids holds {count:,} numbers, image/n_objects is {record.n_objects:,}"
        )
    ids = np.unique(record.class_ids).tolist()
    if contract.classes is None:
        suspect = [each for each in ids if each < 1]
        if suspect:
            yield Issue("record-class-suspect", f"image/class_ids holds {_listed(suspect)}")
    else:
        unknown = [each for each in ids if each not in contract.classes]
        if unknown:
            yield Issue("record-class-unknown", f"the manifest has no class of the id {_listed(unknown)}")


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _SHOWN:,} more" if len(numbers) > _SHOWN else ""
    return ", ".join(map(str, numbers[:_SHOWN])) + more


RECORD_CHECKS: tuple[RecordCheck, ...] = (
    basename_invalid,
    image_differs,
    indices_outside,
    indices_disordered,
    mask_empty,
    classes_differ,
)
