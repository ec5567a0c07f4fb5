"""A validation report as a page: verdict, charts, and each kind of issue with pictures of what it is about."""

from __future__ import annotations

from maskflow_convert.amounts import count_text
from maskflow_convert.catalogue import Rule, Severity
from maskflow_convert.charts import area_charts, class_bars
from maskflow_convert.errors import place
from maskflow_convert.illustrate import Illustration, Illustrations
from maskflow_convert.issues import Issue
from maskflow_convert.markup import jpeg_source, prose, text
from maskflow_convert.page import page
from maskflow_convert.report import Report, Tally

_TO_FIX_FIRST = 3
_UNUSED_NAMED = 50


def html_report(report: Report, illustrations: Illustrations, subject: str) -> str:
    """The page.

    Args:
        report: what was found.
        illustrations: pictures of some of its examples, which may be none.
        subject: what was validated, for the title.

    Returns:
        HTML in ASCII, whatever the data holds.
    """
    total = report.total
    return page(
        "report",
        subject=text(subject),
        state=_state(report),
        verdict=text(report.verdict),
        first=_to_fix_first(report),
        summary=_summary(report),
        classes=_classes(report),
        areas=area_charts(report.areas),
        severities="".join(_severity(report, severity) for severity in Severity if report.found(severity)),
        codes="".join(_code_link(*kind) for kind in report.worst_first),
        unless_fine="" if report.counts else " hidden",
        number=count_text(len(report.worst_first), "kind"),
        findings="".join(_finding(report, total, *kind, illustrations) for kind in report.worst_first),
    )


def _state(report: Report) -> str:
    for severity in (Severity.ERROR, Severity.WARNING):
        if report.found(severity):
            return severity.value
    return "fine"


def _name(rule: Rule, severity: Severity) -> str:
    """What the section of a kind of issue is called in addresses."""
    return f"{rule.code}.{severity}"


def _to_fix_first(report: Report) -> str:
    kinds = report.worst_first[:_TO_FIX_FIRST]
    if not kinds:
        return ""
    items = "".join(
        f'<li><a href="#{_name(rule, severity)}"><code>{rule.code}</code></a> ({count:,}) {prose(rule.remedy)}</li>'
        for rule, severity, count in kinds
    )
    return f"<h2>To fix first</h2><ol>{items}</ol>"


def _summary(report: Report) -> str:
    total = report.total
    rows = dict(report.splits)
    if report.unplaced != Tally():
        rows["(none)"] = report.unplaced
    body = "".join(_row(name, tally) for name, tally in rows.items())
    foot = f"<tfoot>{_row('all', total)}</tfoot>" if len(rows) > 1 else ""
    columns = ("images", "dropped", "objects", "dropped")
    head = "".join(f'<th scope="col" class="number">{column}</th>' for column in columns)
    return (
        f'<table class="counts"><thead><tr><th scope="col">split</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody>{foot}</table>"
    )


def _row(name: str, tally: Tally) -> str:
    numbers = (
        tally.images_written,
        tally.images_dropped.total(),
        tally.objects_written,
        tally.objects_dropped.total(),
    )
    cells = "".join(f'<td class="number">{number:,}</td>' for number in numbers)
    return f'<tr><th scope="row"><bdi>{text(name)}</bdi></th>{cells}</tr>'


def _classes(report: Report) -> str:
    total = report.total.objects_by_class
    unused = [name for name in report.classes if not total[name]]
    named = ", ".join(f"<bdi>{text(name)}</bdi>" for name in unused[:_UNUSED_NAMED])
    more = f" and {len(unused) - _UNUSED_NAMED:,} more" if len(unused) > _UNUSED_NAMED else ""
    chart = class_bars(list(report.classes), {name: tally.objects_by_class for name, tally in report.splits.items()})
    return chart + (f'<p class="quiet">No object: {named}{more}</p>' if unused else "")


def _severity(report: Report, severity: Severity) -> str:
    """A choice of the filter."""
    label = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.IGNORE: "ignored"}[severity]
    return (
        f'<label><input type="radio" name="severity" value="{severity}">'
        f"<span>{label} <b>{report.found(severity):,}</b></span></label>"
    )


def _code_link(rule: Rule, severity: Severity, count: int) -> str:
    return (
        f'<li><a class="{severity}" href="#{_name(rule, severity)}"><span>{rule.code}</span> <b>{count:,}</b></a></li>'
    )


def _finding(
    report: Report, total: Tally, rule: Rule, severity: Severity, count: int, illustrations: Illustrations
) -> str:
    examples = [each for each in report.examples[rule.code] if (each.severity or rule.severity) is severity]
    items = "".join(_example(issue, illustrations.get(issue)) for issue in examples)
    rest = count - len(examples)
    more = f'<p class="quiet">and {rest:,} more</p>' if rest else ""
    return (
        f'<article class="finding" id="{_name(rule, severity)}" data-severity="{severity}">'
        f'<h3><span class="badge {severity}">{severity}</span> <code>{rule.code}</code> '
        f'<span class="count">{count_text(count, "time")}</span></h3>'
        f'<p>{prose(rule.meaning)}</p><p class="remedy">{prose(rule.remedy)}</p>{_cost(total, rule.code)}'
        f'<ul class="examples">{items}</ul>{more}</article>'
    )


def _cost(total: Tally, code: str) -> str:
    lost = [
        count_text(number, noun)
        for number, noun in ((total.images_dropped[code], "image"), (total.objects_dropped[code], "object"))
        if number
    ]
    return f'<p class="quiet">Dropped for it: {" and ".join(lost)}.</p>' if lost else ""


def _example(issue: Issue, illustration: Illustration | None) -> str:
    where = place(issue.path, issue.line).removesuffix(": ")
    names = [f"{kind} {name}" for kind, name in (("object", issue.object), ("image", issue.record)) if name is not None]
    parts = [
        f'<p class="names"><bdi>{text(", ".join(names))}</bdi></p>' if names else "",
        f"<p><bdi>{text(issue.message)}</bdi></p>",
        f'<p class="place"><bdi>{text(where)}</bdi></p>' if where else "",
    ]
    if illustration is None:
        return f"<li>{''.join(parts)}</li>"
    parts.append(f'<p class="quiet"><bdi>{text(illustration.caption)}</bdi></p>')
    if illustration.jpeg is None:
        return f"<li>{''.join(parts)}</li>"
    source = jpeg_source(illustration.jpeg)
    size = f'width="{illustration.width}" height="{illustration.height}"'
    alternative = text(f"Picture of {issue.record}: {issue.message}")
    picture = f'<img src="{source}" {size} decoding="async" alt="{alternative}">'
    return f'<li class="pictured"><figure>{picture}<figcaption>{"".join(parts)}</figcaption></figure></li>'
