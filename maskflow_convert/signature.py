"""The signature of training, and a user's own `tf.data.Dataset` held against it.

An element is `(image, {"masks", "class_ids", "image_id"})`: `image` `[W, H, C]`, `masks` `[N, W, H]`, `class_ids`
`[N]`, `image_id` `[]`. TensorFlow is not imported here: whoever has a data set has that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.catalogue import Severity
from maskflow_convert.errors import ConfigError
from maskflow_convert.issues import Issue
from maskflow_convert.report import Report, Tally

SPLIT = "dataset"
"""What the split of the report is called."""

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATING = ("float16", "bfloat16", "float32", "float64")
_SHOWN = 5  # numbers that a message lists
_LONGEST_REASON = 300  # characters of what TensorFlow says


@dataclass(frozen=True, slots=True)
class _Part:
    """What one tensor of an element should be."""

    axes: str
    types: Sequence[str]

    @property
    def rank(self) -> int:
        return len(self.axes.split()) if self.axes else 0


_PARTS: Mapping[str, _Part] = {
    "image": _Part("W H C", ("uint8", "uint16", *_FLOATING)),
    "masks": _Part("N W H", (*_INTEGERS, *_FLOATING, "bool")),
    "class_ids": _Part("N", _INTEGERS),
    "image_id": _Part("", _INTEGERS),
}
_TARGET = tuple(name for name in _PARTS if name != "image")

Arrays = Mapping[str, NDArray[Any]]


def check_dataset(dataset: Any, *, elements: int = 10) -> Report:
    """Hold a `tf.data.Dataset` of your own against what training takes.

    First its `element_spec` is looked at: structure, keys, data types, numbers of axes. If training could take that,
    its first elements are: sizes, numbers of objects, values.

    Args:
        dataset: the data set, not batched; it may be endless.
        elements: how many to look at.

    Returns:
        The issues, and counts of the elements looked at. See `dataset-` in the catalogue of issues.

    Raises:
        ConfigError: it is no `tf.data.Dataset`.
    """
    if not hasattr(dataset, "element_spec"):
        raise ConfigError(f"a tf.data.Dataset is wanted, and this is of the type {type(dataset).__name__}")
    report = Report(splits={SPLIT: Tally()})
    report.list_issues(_check_spec(dataset.element_spec))
    if report.counts.keys() <= {("dataset-key-unknown", Severity.WARNING)}:
        report.list_issues(_check_elements(dataset, elements, report))
    return report


def _check_spec(spec: Any) -> Iterator[Issue]:
    if not (isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], Mapping)):
        yield Issue("dataset-structure", f"an element is {_outline(spec)}")
        return
    specs = {"image": spec[0], **{name: spec[1][name] for name in _TARGET if name in spec[1]}}
    missing, unknown = [name for name in _TARGET if name not in specs], sorted(map(repr, spec[1].keys() - set(_TARGET)))
    if missing:
        yield Issue("dataset-key-missing", f"there is no {', '.join(missing)} among {_outline(spec[1])}")
    if unknown:
        yield Issue("dataset-key-unknown", f"there is {', '.join(unknown)}")
    dense = {name: each for name, each in specs.items() if _is_dense(each)}
    for name, each in specs.items():
        if name not in dense:
            yield Issue("dataset-not-dense", f"{name} is {_outline(each)}")
    for name, each in dense.items():
        if each.dtype.name not in _PARTS[name].types:
            yield Issue("dataset-type", f"{name} is of {each.dtype.name}; it may be of {', '.join(_PARTS[name].types)}")
    yield from _check_ranks({name: each.shape.rank for name, each in dense.items()})


def _check_ranks(ranks: Mapping[str, int | None]) -> Iterator[Issue]:
    """Issues of the numbers of axes, as far as they are known."""
    extra = {name: rank - _PARTS[name].rank for name, rank in ranks.items() if rank is not None}
    if len(extra) == len(_PARTS) and set(extra.values()) == {1}:
        yield Issue("dataset-batched", f"image has {ranks['image']} axes, not 3, and so all of its parts one too many")
        return
    for name, by in extra.items():
        if by:
            wanted = f"{_PARTS[name].rank}: [{', '.join(_PARTS[name].axes.split())}]"
            yield Issue("dataset-rank", f"{name} has {ranks[name]} axes, not {wanted}")


def _is_dense(spec: Any) -> bool:
    """Whether it is a `tf.TensorSpec`, by its name, or of a class derived from that."""
    return any(each.__name__ == "TensorSpec" for each in type(spec).__mro__)


def _outline(spec: Any) -> str:
    """The structure of an element in a few words."""
    if isinstance(spec, Mapping):
        return f"{{{', '.join(map(repr, spec))}}}"
    if isinstance(spec, tuple):
        return f"({', '.join(map(_outline, spec))})"
    return f"a {type(spec).__name__.removesuffix('Spec')}"


def _check_elements(dataset: Any, elements: int, report: Report) -> Iterator[Issue]:
    """Issues of the first elements, which are counted in the report."""
    number = -1
    for number, element in enumerate(islice(_made(dataset), elements)):
        if isinstance(element, Issue):
            issues = iter([element])
        else:
            _count(element["class_ids"], report)
            issues = _check_element(element)
        yield from (replace(issue, message=f"element {number}: {issue.message}") for issue in issues)
    if elements and number < 0:
        yield Issue("dataset-empty", "there is no element")


def _made(dataset: Any) -> Iterator[Arrays | Issue]:
    """The elements as arrays by name, and in the place of one that cannot be made, why not."""
    iterator = iter(dataset)
    while True:
        try:
            image, target = next(iterator)
        except StopIteration:
            return
        except Exception as error:  # whatever the user's functions raise, which TensorFlow wraps
            yield Issue("dataset-element-failed", _reason(error))
        else:
            yield {"image": image.numpy(), **{name: target[name].numpy() for name in _TARGET}}


def _reason(error: Exception) -> str:
    """The first line of what an exception says, without the name of a node that TensorFlow puts before it."""
    said = str(error)
    lines = (said.partition("}} ")[2] if said.startswith("{{") else said).strip().splitlines()
    return f"{type(error).__name__}: {''.join(lines[:1])[:_LONGEST_REASON]}"


def _count(class_ids: NDArray[Any], report: Report) -> None:
    by_id = Counter(class_ids.ravel().tolist())
    names = {class_id: f"id {class_id}" for class_id in sorted(by_id)}
    report.classes |= {name: class_id for class_id, name in names.items()}
    tally = report.splits[SPLIT]
    tally.images_found += 1
    tally.images_written += 1
    tally.objects_found += by_id.total()
    tally.objects_written += by_id.total()
    tally.objects_by_class.update({name: by_id[class_id] for class_id, name in names.items()})


def _check_element(element: Arrays) -> Iterator[Issue]:
    wrong = [*_check_ranks({name: part.ndim for name, part in element.items()})]
    yield from wrong
    if not wrong:
        yield from _check_shapes([*element["image"].shape], [*element["masks"].shape], len(element["class_ids"]))
        yield from _check_image(element["image"])
        yield from _check_masks(element["masks"])
        suspect = np.unique(element["class_ids"][element["class_ids"] < 1])
        if len(suspect):
            yield Issue("dataset-class-suspect", f"class_ids hold {_listed(suspect)}")


def _check_shapes(image: list[int], masks: list[int], n_class_ids: int) -> Iterator[Issue]:
    size = image[:2]
    found = f"image is {image}, masks are {masks}"
    if masks[1:] not in (size, size[::-1]) and masks[:2] in (size, size[::-1]):
        yield Issue("dataset-axes-exchanged", f"{found}: their first axis should count the objects, not the last")
        return
    if masks[1:] != size:
        if masks[1:] == size[::-1]:
            yield Issue("dataset-axes-exchanged", f"{found}: W and H are exchanged in one of the two")
        else:
            yield Issue("dataset-sizes-differ", found)
    if masks[0] != n_class_ids:
        yield Issue("dataset-objects-differ", f"there are {masks[0]} masks and {n_class_ids} class_ids")


def _check_image(image: NDArray[Any]) -> Iterator[Issue]:
    if not image.size:
        yield Issue("dataset-image-empty", f"image is {[*image.shape]}")
    infinite = image.size - np.count_nonzero(np.isfinite(image))
    if infinite:
        yield Issue("dataset-image-not-finite", f"{infinite:,} of {image.size:,} values are NaN or infinite")


def _check_masks(masks: NDArray[Any]) -> Iterator[Issue]:
    strange = masks[(masks != 0) & (masks != 1)]
    if len(strange):
        values = np.unique(strange.astype(np.float64))
        yield Issue(
            "dataset-mask-values", f"{len(strange):,} pixels of masks are neither 0 nor 1 but {_listed(values)}"
        )
    empty = np.flatnonzero(~(masks != 0).any(axis=(1, 2)))
    if len(empty):
        yield Issue("dataset-mask-empty", f"{len(empty)} of {len(masks)} masks have no pixel: {_listed(empty)}")


def _listed(numbers: NDArray[Any]) -> str:
    more = f" and {len(numbers) - _SHOWN:,} more" if len(numbers) > _SHOWN else ""
    return ", ".join(f"{number:g}" for number in numbers[:_SHOWN].tolist()) + more
