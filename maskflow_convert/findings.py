"""What a validation found, as a person reads it on a terminal; and the list of all that is looked for."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from maskflow_convert.amounts import count_text
from maskflow_convert.catalogue import SUBJECTS, Rule, Severity
from maskflow_convert.issues import Issue
from maskflow_convert.report import Report
from maskflow_convert.reporting import COLOURS, Indented, split_table

_EXAMPLES = 3


def findings(report: Report) -> RenderableType:
    """The counts by split; then what was found, worst first, with examples and what to do; and the verdict."""
    kinds = (_kind(report, *kind) for kind in report.worst_first if kind[1] is not Severity.IGNORE)
    return Group(split_table(report), *kinds, _verdict(report))


def checks_page() -> RenderableType:
    """All that is looked for: code, severity, what it means and what to do."""
    return Group(*(part for subject, rules in SUBJECTS.items() for part in (_heading(subject), *map(_rule, rules))))


def _kind(report: Report, rule: Rule, severity: Severity, count: int) -> RenderableType:
    fixed = report.fixed[rule.code]
    facts = f"  {severity}, {count_text(count, 'time')}" + (f", {fixed:,} fixed" if fixed else "")
    words = [rule.meaning, *([rule.remedy] if fixed < count else [])]
    return Group(
        Text.assemble("\n", (rule.code, f"bold {COLOURS[severity]}"), facts),
        Indented(Text("\n".join(words), "dim"), 2),
        Indented(Text("\n".join(_told(report.examples[rule.code][:_EXAMPLES], count))), 4),
    )


def _told(examples: list[Issue], count: int) -> Iterator[str]:
    for issue in examples:
        yield issue.told
    if count > len(examples):
        yield f"and {count - len(examples):,} more"


def _verdict(report: Report) -> Text:
    errors, warnings = (report.found(severity) for severity in (Severity.ERROR, Severity.WARNING))
    if errors or warnings:
        return Text(f"\n{count_text(errors, 'error')}, {count_text(warnings, 'warning')}")
    return Text("\nNothing was found to be wrong.", "green")


def _heading(subject: str) -> Text:
    return Text(f"{subject}\n", "bold underline")


def _rule(rule: Rule) -> RenderableType:
    return Group(
        Text.assemble((rule.code, f"bold {COLOURS[rule.severity]}"), f"  {rule.severity}"),
        Indented(Text(f"{rule.meaning}\nFor example: {rule.example}\n{rule.remedy}"), 2),
        "",
    )
