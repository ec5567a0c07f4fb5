"""The result of a run: exact counts, and of the issues a few examples of each code.

A million issues need no more memory than ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from maskflow_convert.amounts import count_text, size_text
from maskflow_convert.catalogue import CATALOGUE, Rule, Severity
from maskflow_convert.distribution import ImageStatistics
from maskflow_convert.issues import Issue, Loss

OnIssue = Callable[[Issue], None]
"""Takes one issue after the other."""


@dataclass
class Tally:
    """Exact counts of one split; found = written + dropped, of images and of objects.

    `images_dropped` and `objects_dropped` count by code, `objects_by_class` counts the written ones by class name.
    """

    images_found: int = 0
    images_written: int = 0
    objects_found: int = 0
    objects_written: int = 0
    images_dropped: Counter[str] = field(default_factory=Counter)
    objects_dropped: Counter[str] = field(default_factory=Counter)
    objects_by_class: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another tally of the same split; the work is that of the other's classes, not of all."""
        for each in fields(self):
            own, more = getattr(self, each.name), getattr(other, each.name)
            if isinstance(own, Counter):
                own.update({name: count for name, count in more.items() if count})
            else:
                setattr(self, each.name, own + more)

    def lose(self, issue: Issue) -> None:
        """Count what an issue cost as found and dropped."""
        if issue.loss is Loss.OBJECT:
            self.objects_found += 1
            self.objects_dropped[issue.code] += 1
        elif issue.loss is Loss.IMAGE:
            self.images_found += 1
            self.images_dropped[issue.code] += 1

    def lists_all(self, issues: Iterable[Issue]) -> bool:
        """Whether the issues name each image and each object that was dropped, once."""
        listed = Tally()
        for issue in issues:
            listed.lose(issue)
        return (listed.images_dropped, listed.objects_dropped) == (self.images_dropped, self.objects_dropped)

    @property
    def adds_up(self) -> bool:
        """Whether everything found was either written or dropped."""
        return (
            self.images_found == self.images_written + self.images_dropped.total()
            and self.objects_found == self.objects_written + self.objects_dropped.total()
        )

    def to_dict(self) -> dict[str, Any]:
        """The counts as a manifest holds them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def tallies_html(tallies: Mapping[str, Tally]) -> str:
    """A table of what was written and dropped, as a notebook shows it; sizes only of what was written."""
    from maskflow_convert.markup import table

    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    rows = [
        (
            name,
            tally.images_written,
            tally.images_dropped.total(),
            tally.objects_written,
            tally.objects_dropped.total(),
            *((size_text(tally.bytes),) if total.bytes else ()),
        )
        for name, tally in {**tallies, "all": total}.items()
    ]
    sizes = ("size",) if total.bytes else ()
    return table(("split", "images", "dropped", "objects", "dropped", *sizes), rows)


@dataclass
class Report:
    """The result of a run: counts by split, issues by code and severity, and the first few issues of each code.

    `classes` maps the names of the classes to their ids, in the order of these. `unplaced` counts what was lost before
    it had a split: an orphaned annotation, a broken entry of an image. `areas` counts objects by class and by octave of
    their area, where it was measured: octave k is from `2**k` to `2**(k + 1) - 1` pixels; `images` tells of the
    images of which that was measured. `fixed` counts, by code, the issues that were fixed; they are warnings.
    `shards` names the shards that a conversion wrote, or a rehearsal would write.
    `on_issue` is given every issue that is listed, whether kept or not.
    """

    EXAMPLES: ClassVar[int] = 5

    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, Tally] = field(default_factory=dict)
    unplaced: Tally = field(default_factory=Tally)
    counts: Counter[tuple[str, Severity]] = field(default_factory=Counter)
    examples: dict[str, list[Issue]] = field(default_factory=dict)
    areas: dict[str, Counter[int]] = field(default_factory=dict)
    images: ImageStatistics = field(default_factory=ImageStatistics)
    fixed: Counter[str] = field(default_factory=Counter)
    shards: list[str] = field(default_factory=list)
    on_issue: OnIssue | None = field(default=None, compare=False, repr=False)

    def add(self, split: str, tally: Tally, issues: Iterable[Issue]) -> None:
        """Add what came of some images of a split."""
        self.splits.setdefault(split, Tally()).add(tally)
        self.list_issues(issues)

    def add_unplaced(self, issue: Issue) -> None:
        """Add an issue of no split, and what it cost."""
        self.list_issues([issue])
        self.unplaced.lose(issue)

    def list_issues(self, issues: Iterable[Issue]) -> None:
        """Count issues, and keep the first of each code."""
        for issue in issues:
            if self.on_issue is not None:
                self.on_issue(issue)
            self.counts[issue.code, issue.severity or issue.rule.severity] += 1
            self.fixed[issue.code] += issue.fixed
            kept = self.examples.setdefault(issue.code, [])
            if len(kept) < self.EXAMPLES:
                kept.append(issue)

    def merge(self, other: Report) -> None:
        """Add the issues that another report counts and keeps, and its areas."""
        self.counts.update(other.counts)
        self.fixed.update(other.fixed)
        for code, issues in other.examples.items():
            kept = self.examples.setdefault(code, [])
            kept += issues[: self.EXAMPLES - len(kept)]
        for name, octaves in other.areas.items():
            self.areas.setdefault(name, Counter()).update(octaves)

    def count_unlisted(self, like: Issue, number: int) -> None:
        """Count more issues of a code and a severity, of which there are examples enough."""
        self.counts[like.code, like.severity or like.rule.severity] += number

    def found(self, severity: Severity) -> int:
        """How many issues are of a severity, those left out that were fixed."""
        fixed = self.fixed.total() if severity is Severity.WARNING else 0
        return sum(count for (_, each), count in self.counts.items() if each is severity) - fixed

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        total = self.total
        among = f"in {count_text(total.objects_found, 'object')} of {count_text(total.images_found, 'image')}"
        found = [
            count_text(number, severity.value)
            for severity in (Severity.ERROR, Severity.WARNING)
            if (number := self.found(severity))
        ]
        return f"{' and '.join(found)} {among}" if found else f"Nothing was found to be wrong {among}"

    @property
    def worst_first(self) -> list[tuple[Rule, Severity, int]]:
        """The kinds of issues found: errors before warnings, frequent before rare."""
        ranks = list(Severity)
        order = sorted(self.counts.items(), key=lambda each: (ranks.index(each[0][1]), -each[1], each[0][0]))
        return [(CATALOGUE[code], severity, count) for (code, severity), count in order]

    def to_dict(self) -> dict[str, Any]:
        """The report as `validate --format json` prints it, which is stable: keys may be added, none changes.

        `errors` and `warnings` count issues, without those that were fixed; `splits` and `unplaced` are tallies, as in
        the manifest; `issues` has one entry a code, worst first, with its exact count, how many were fixed, and
        a few examples, which have the keys of `issues.jsonl`; `areas` counts objects by class and by octave of their
        area, keyed by its smallest number of pixels.
        """
        return {
            "errors": self.found(Severity.ERROR),
            "warnings": self.found(Severity.WARNING),
            "classes": self.classes,
            "splits": {name: tally.to_dict() for name, tally in self.splits.items()},
            "unplaced": self.unplaced.to_dict(),
            "areas": {
                name: {str(2**octave): octaves[octave] for octave in sorted(octaves)}
                for name, octaves in self.areas.items()
            },
            "issues": [
                {
                    "code": rule.code,
                    "severity": severity,
                    "count": count,
                    "fixed": self.fixed[rule.code],
                    "meaning": rule.meaning,
                    "remedy": rule.remedy,
                    "examples": [issue.to_dict() for issue in self.examples[rule.code]],
                }
                for rule, severity, count in self.worst_first
            ],
        }

    @property
    def total(self) -> Tally:
        """The counts of all splits together."""
        total = Tally()
        for tally in (*self.splits.values(), self.unplaced):
            total.add(tally)
        return total

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the counts, the issues, and the objects of each class."""
        from maskflow_convert.markup import table, text

        by_class = self.total.objects_by_class
        classes = [(name, number, by_class[name]) for name, number in self.classes.items() if by_class[name]]
        issues = [
            (rule.code, severity, count, self.examples[rule.code][0].told) for rule, severity, count in self.worst_first
        ]
        tables = (
            tallies_html({**self.splits, **({"(none)": self.unplaced} if self.unplaced != Tally() else {})}),
            table(("issue", "severity", "times", "for example"), issues) if issues else "",
            table(("class", "id", "objects"), classes) if classes else "",
        )
        return f"<p>{text(self.verdict)}</p>{''.join(tables)}"

    def flatten(self, names: Sequence[str]) -> list[list[object]]:
        """The kept issues as rows of the named attributes."""
        return [[getattr(issue, name) for name in names] for kept in self.examples.values() for issue in kept]
