"""What is wrong with a COCO file as a whole, told when it is asked for: there may be a million of it."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskflow_adapters import json_text
from maskflow_adapters.coco_elements import HEAD, IMAGE, annotation_id, annotation_name, fault_of, key_of
from maskflow_adapters.coco_lists import Spans
from maskflow_convert import Issue, Loss


class Reason(IntEnum):
    """What is wrong with an element of a list."""

    IMAGE_BROKEN = 1
    IMAGE_ID_REPEATED = 2
    IMAGE_FAULTY = 3
    KEY_REPEATED = 4
    ANNOTATION_ID_REPEATED = 5
    ANNOTATION_BROKEN = 6
    ORPHANED = 7
    IMAGE_DROPPED = 8


@dataclass(frozen=True, eq=False)
class Findings(Collection[Issue]):
    """The issues of a file, in its order; made anew from its text whenever they are gone through.

    Attributes:
        path: the file.
        of_categories: `(offset, issue)` of what is wrong with categories, in the order of the file.
        spans: where the other elements stand of which something is wrong, in the order of the file.
        reasons: what is wrong with each.
    """

    path: Path
    of_categories: Sequence[tuple[int, Issue]]
    spans: Spans
    reasons: NDArray[np.int8]

    @classmethod
    def of(
        cls,
        path: Path,
        of_categories: Sequence[tuple[int, Issue]],
        of_others: Sequence[tuple[Spans, NDArray[np.int8]]],
    ) -> Findings:
        """Put in the order of the file what is wrong, and why; where two things are, in the order given."""
        offsets = np.concatenate([spans.offsets for spans, _ in of_others])
        lengths = np.concatenate([spans.lengths for spans, _ in of_others])
        reasons = np.concatenate([reasons for _, reasons in of_others])
        order = np.argsort(offsets, kind="stable")
        return cls(path, of_categories, Spans(offsets[order], lengths[order]), reasons[order])

    def __len__(self) -> int:
        return len(self.of_categories) + len(self.reasons)

    def __contains__(self, issue: object) -> bool:
        return any(issue == each for each in self)

    def __iter__(self) -> Iterator[Issue]:
        return map(itemgetter(1), heapq.merge(self.of_categories, self._of_others(), key=itemgetter(0)))

    def _of_others(self) -> Iterator[tuple[int, Issue]]:
        """`(offset, issue)` of each."""
        texts = json_text.read_spans(self.path, self.spans)
        for offset, reason, text in zip(self.spans.offsets.data, self.reasons.data, texts, strict=True):
            tell = _of_annotation if reason >= Reason.ANNOTATION_ID_REPEATED else _of_image
            line = json_text.line_of(self.path, offset)
            yield offset, replace(tell(Reason(reason), text), path=str(self.path), line=line)


def _of_image(reason: Reason, text: bytes) -> Issue:
    try:
        image = json_text.decode_zeroed(text, IMAGE)
    except json_text.UNPARSABLE as error:
        return Issue("image-entry-broken", str(error), loss=Loss.IMAGE)
    key = key_of(image.file_name)
    match reason:
        case Reason.IMAGE_ID_REPEATED:
            code, told = "image-id-duplicate", f"id {image.id} is taken by another image"
        case Reason.KEY_REPEATED:
            code, told = "image-key-duplicate", f"{key} is listed before, under another id"
        case _:
            code, told = "image-entry-broken", image.fault() or ""
    return Issue(code, told, record=key, loss=Loss.IMAGE)


def _of_annotation(reason: Reason, text: bytes) -> Issue:
    if reason == Reason.ANNOTATION_ID_REPEATED:
        shared = str(annotation_id(text))
        return Issue("annotation-id-duplicate", f"id {shared} is taken by another annotation", object=shared)
    match reason:
        case Reason.ORPHANED:
            code, told = "annotation-orphaned", "its image is not listed"
        case Reason.IMAGE_DROPPED:
            code, told = "object-lost-with-image", "its image was dropped"
        case _:
            code, told = "annotation-broken", fault_of(text, HEAD)
    return Issue(code, told, object=annotation_name(text), loss=Loss.OBJECT)
