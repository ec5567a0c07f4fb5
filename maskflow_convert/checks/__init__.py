"""What is doubtful about objects though they can be written: one generator a check, and the table of them.

What is impossible is refused where it is turned into pixels (`maskflow_convert.geometry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maskflow_convert.catalogue import Severity
from maskflow_convert.checks import masks, polygons, run_lengths
from maskflow_convert.checks.objects import Finding, Objects

__all__ = ["CHECKS", "Check", "Depth", "Finding", "Objects", "chosen", "find"]


class Depth(StrEnum):
    """How closely objects are looked at: as far as a conversion depends on it, or at all that may be wrong."""

    CONVERT = "convert"
    VALIDATE = "validate"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what finds its issues in the objects of an image, and the codes that these can have.

    `depth` is the least at which it is made though none of them is an error.
    """

    issues: Callable[[Objects], Iterator[Finding]]
    codes: tuple[str, ...]
    depth: Depth = Depth.VALIDATE


CHECKS: tuple[Check, ...] = (
    Check(polygons.outside_image, ("polygon-outside-image",), Depth.CONVERT),
    Check(polygons.small_parts, ("polygon-part-dropped",), Depth.CONVERT),
    Check(polygons.normalised, ("polygon-normalised",)),
    Check(polygons.repeated_points, ("polygon-points-repeated",)),
    Check(polygons.enclosed, ("polygon-self-intersecting", "polygon-zero-area")),
    Check(polygons.pixels_of_parts, ("polygon-part-without-pixels", "mask-hole-lost")),
    Check(run_lengths.zero_runs, ("rle-zero-run",)),
    Check(masks.outside_image, ("mask-outside-image",), Depth.CONVERT),
    Check(masks.stated_patch, ("mask-patch-differs",), Depth.CONVERT),
    Check(masks.stated_box, ("mask-outside-box", "mask-box-differs")),
    Check(masks.stated_area, ("mask-area-differs",)),
    Check(masks.whole_image, ("mask-covers-image",)),
    Check(masks.specks, ("mask-specks",)),
    Check(masks.duplicates, ("mask-duplicate",)),
)


def chosen(depth: Depth, severity_of: Callable[[str], Severity], repaired: frozenset[str]) -> tuple[Check, ...]:
    """The checks that a run needs.

    Args:
        depth: CONVERT leaves out what is neither quick nor changes what is written.
        severity_of: the severity of each code.
        repaired: codes whose issues are to be repaired.
    """

    def matters(code: str, check: Check) -> bool:
        if depth is Depth.CONVERT and check.depth is Depth.VALIDATE:
            return code in repaired or severity_of(code) is Severity.ERROR
        return severity_of(code) is not Severity.IGNORE

    return tuple(check for check in CHECKS if any(matters(code, check) for code in check.codes))


def find(objects: Objects, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """All that the checks find, check by check: the number of the object, and the issue."""
    for check in checks:
        yield from check.issues(objects)
