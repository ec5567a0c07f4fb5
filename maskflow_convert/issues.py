"""One finding in the data, as a value: which rule, where, what was found and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from maskflow_convert.catalogue import CATALOGUE, Rule, Severity
from maskflow_convert.characters import visible
from maskflow_convert.errors import place


class Loss(StrEnum):
    """What an issue cost: nothing (None, in an issue), one object, or an image with all its objects."""

    OBJECT = "object"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    Attributes:
        code: the rule's code.
        message: what was found, with its figures.
        severity: how bad it is; None until the configuration has spoken, and then as the rule says.
        source: the source's name in the data set.
        record: the key of the image.
        object: the object within it, as its source numbers or counts it.
        path: the file to correct.
        line: the line in it, 1-based.
        loss: what was dropped for it.
        fixed: whether the shape was repaired, as the configuration wants it.
    """

    code: str
    message: str
    severity: Severity | None = None
    source: str | None = None
    record: str | None = None
    object: str | None = None
    path: str | None = None
    line: int | None = None
    loss: Loss | None = None
    fixed: bool = False

    @property
    def rule(self) -> Rule:
        """The rule that the issue breaks."""
        return CATALOGUE[self.code]

    def within(self, *, source: str | None = None, record: str | None = None, name: str | None = None) -> Issue:
        """The same issue with its place filled in where it had none; `name` is that of the object."""
        return replace(
            self,
            source=self.source or source,
            record=self.record or record,
            object=self.object or name,
        )

    def to_dict(self) -> dict[str, Any]:
        """The issue as `issues.jsonl` holds it: all fields, null where nothing is known."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def told(self) -> str:
        """Where and what, for people: `file:line: image, object: message`, as much of it as is known."""
        names = (("image", self.record), ("object", self.object))
        what = ", ".join(f"{kind} {name}" for kind, name in names if name is not None)
        return visible(place(self.path, self.line) + (f"{what}: " if what else "") + self.message)

    def __str__(self) -> str:
        return f"{self.severity or self.rule.severity}: {self.told} [{self.code}{', fixed' if self.fixed else ''}]"
