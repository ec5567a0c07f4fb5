"""Checks of run lengths as they are written, before they are pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maskflow_convert.checks.objects import Finding, Objects
from maskflow_convert.issues import Issue
from maskflow_convert.runs import parse_counts
from maskflow_convert.shape import Rle, members


def zero_runs(objects: Objects) -> Iterator[Finding]:
    """Runs of length 0, but for the first: it must be one of zeros, and there may be none."""
    for number, instance in enumerate(objects.instances):
        for shape in members(instance.shape):
            if isinstance(shape, Rle):
                counts = parse_counts(shape.counts) if isinstance(shape.counts, str) else np.array(shape.counts)
                empty = np.flatnonzero(counts[1:] == 0) + 1
                if len(empty):
                    message = f"{len(empty)} of {len(counts)} runs have length 0, run {empty[0]} first"
                    yield number, Issue("rle-zero-run", message)
