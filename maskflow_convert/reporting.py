"""What a person reads on a terminal: the summary of a run, of records, of adapters; and progress while it goes."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from maskflow_convert import registry
from maskflow_convert.amounts import count_text, size_text
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.characters import visible
from maskflow_convert.errors import PluginError
from maskflow_convert.pipeline import OnProgress
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.report import Report, Tally

if TYPE_CHECKING:
    from maskflow_convert.inspection import Inspection, SizeRange

_SECONDS_BETWEEN_REFRESHES = 0.1
_CLASSES_SHOWN = 100
_PLAIN_WIDTH = 10_000  # no line is broken where a program may read it
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.IGNORE: "dim"}


def print_result(*parts: RenderableType) -> None:
    """Print to the standard output, at full width where that is no terminal."""
    whole = Group(*(Text(each) if isinstance(each, str) else each for each in parts))
    if sys.stdout and sys.stdout.isatty():
        Console().print(whole)
    elif sys.stdout:
        sys.stdout.write(render(whole))  # and not by rich, which ends the process where nobody reads


@contextmanager
def progress_bar() -> Iterator[OnProgress | None]:
    """A bar with rate and time left on the standard error, if that is a terminal; otherwise nothing.

    It has no thread that refreshes it, so that processes can be forked beside it.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield None
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("indexing", total=None, rate="")
        progress.refresh()
        shown = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal shown
            if (now := time.monotonic()) - shown > _SECONDS_BETWEEN_REFRESHES or done == total:
                speed = progress.tasks[0].speed
                rate = f"{speed:,.0f} images/s" if speed else ""
                progress.update(task, completed=done, total=total, rate=rate, description="images")
                progress.refresh()
                shown = now

        yield show


def render(part: RenderableType) -> str:
    """As `print_result` prints where there is no terminal."""
    text = StringIO()
    Console(width=_PLAIN_WIDTH, file=text).print(part)
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class Indented:
    """A text at some columns from the left; also what of a line has to go below it."""

    text: Text
    columns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.text.wrap(console, max(options.max_width - self.columns, 1)):
            line.rstrip()
            yield Text(" " * self.columns).append_text(line)


def summary(report: Report) -> RenderableType:
    """The counts of a run by split, then its issues by code."""
    return Group(split_table(report), *_issues(report))


def split_table(report: Report) -> RenderableType:
    """The counts of a run by split; sizes only of what was written."""
    sizes = ("size",) if report.total.bytes else ()
    table = _table("split", "images", "dropped", "objects", "dropped", *sizes)
    rows = dict(report.splits)
    if report.unplaced != Tally():
        rows["(none)"] = report.unplaced
    for name, tally in rows.items():
        table.add_row(_plain(name), *_counts(tally)[: len(table.columns) - 1])
    if len(rows) != 1:
        table.add_section()
        table.add_row("all", *_counts(report.total)[: len(table.columns) - 1])
    return table


def _plain(text: str, style: str = "") -> Text:
    """Text from a file as it stands there: neither markup of ours nor a command to a terminal."""
    return Text(visible(text), style)


def class_table(report: Report) -> RenderableType:
    """Objects by class and split, of the classes that have any; of many, of those that have most."""
    table = _table("class", "id", *report.splits)
    total = report.total.objects_by_class
    shown = {name for name, _ in total.most_common(_CLASSES_SHOWN)}
    for name, class_id in report.classes.items():
        if total[name] and name in shown:
            counts = (f"{tally.objects_by_class[name]:,}" for tally in report.splits.values())
            table.add_row(_plain(name), str(class_id), *counts)
    return Group(table, *_left_out(report.classes, total, shown))


def _left_out(classes: Iterable[str], total: Counter[str], shown: Set[str]) -> Iterator[Text]:
    """How many classes there are besides those that a table shows, and which of them have no object."""
    smaller = sum(1 for name, count in total.items() if count and name not in shown)
    if smaller:
        yield Text(f"and {smaller:,} more, with fewer objects", "dim")
    unused = [name for name in classes if not total[name]]
    if unused:
        more = f" and {len(unused) - _CLASSES_SHOWN:,} more" if len(unused) > _CLASSES_SHOWN else ""
        yield _plain(f"no object: {', '.join(unused[:_CLASSES_SHOWN])}{more}", "dim")


def _counts(tally: Tally) -> Sequence[str]:
    return (
        f"{tally.images_written:,}",
        f"{tally.images_dropped.total():,}",
        f"{tally.objects_written:,}",
        f"{tally.objects_dropped.total():,}",
        size_text(tally.bytes),
    )


def _issues(report: Report) -> Iterator[RenderableType]:
    """One line a code: how often, what was lost by it, what it means; then the first of them."""
    total = report.total
    by_code: Counter[str] = Counter()
    for (code, _), count in report.counts.items():
        by_code[code] += count
    for code, count in by_code.most_common():
        severity = report.examples[code][0].severity or CATALOGUE[code].severity
        lost = [
            f"{count_text(number, noun)} dropped"
            for number, noun in ((total.images_dropped[code], "image"), (total.objects_dropped[code], "object"))
            if number
        ]
        facts = [severity.value] if severity is not Severity.IGNORE else []
        facts += [count_text(count, "time"), *lost]
        yield Text.assemble("\n", (code, f"bold {COLOURS[severity]}"), f"  {', '.join(facts)}")
        yield Indented(Text(f"{CATALOGUE[code].meaning}\nFirst: {report.examples[code][0].told}", "dim"), 2)


def inspection_tables(inspection: Inspection) -> RenderableType:
    """The files of a data set, and its classes."""
    files = _table("file", "records", "objects", "mask pixels", "size")
    for each in inspection.files:
        numbers = (each.records, each.objects, each.positive_pixels)
        files.add_row(_plain(each.path.name), *(f"{number:,}" for number in numbers), size_text(each.bytes))
    classes = _table("class", "id", "objects")
    for class_id, count in inspection.objects_by_class.items():
        classes.add_row(_plain(inspection.class_names.get(class_id, "")), str(class_id), f"{count:,}")
    facts = Text.assemble(
        f"\nlayout {inspection.layout or 'unknown: no dataset.json lies beside the file'}; ",
        f"width {_range_text(inspection.image_width)}, height {_range_text(inspection.image_height)}, ",
        f"channels {', '.join(map(str, inspection.channels)) or '-'}; ",
        f"{count_text(inspection.records_without_objects, 'record')} without objects\n",
    )
    return Group(files, facts, classes)


def adapter_list() -> RenderableType:
    """The installed adapters and who offers them; below, why some cannot be used."""
    table = _table("adapter", "from", "class")
    table.columns[1].justify = table.columns[2].justify = "left"
    faults: list[str] = []
    for name, offers in registry.installed().items():
        for offer in offers:
            note = "" if len(offers) == 1 else "  (offered twice: name the class instead)"
            try:
                registry.load_offer(offer)
            except PluginError as error:
                note += "  (broken)"
                faults.append(str(error))
            table.add_row(Text(name), Text(registry.offered_by(offer)), Text(offer.value + note))
    return Group(table, *(Text(f"\n{fault}", "red") for fault in faults))


def adapter_page(name: str, adapter: type[AnyAdapter]) -> RenderableType:
    """What an adapter reads, its options with their types, defaults and meaning, and a source to copy."""
    try:
        schema = adapter.Options.model_json_schema()
    except PydanticUserError as error:
        raise PluginError(f"{registry.describe(name)}: its options have no JSON Schema: {error}") from error
    table = _table("option", "type", "default", "meaning")
    for column in table.columns:
        column.justify = "left"
    source = ["sources:", f"  - adapter: {name}"]
    for option, field in schema["properties"].items():
        kind, required = _type_text(field, schema.get("$defs", {})), option in schema.get("required", ())
        default = field.get("default")
        shown = f"<{kind}>" if default is None else json.dumps(default, ensure_ascii=False)
        table.add_row(
            Text(option),
            Text(kind),
            Text("required" if required else "optional" if default is None else shown),
            Text(field.get("description", "")),
        )
        source.append(f"    {option}: {shown}" if required else f"    # {option}: {shown}")
    return Group(Text.assemble((name, "bold"), f": {registry.about(adapter)}\n"), table, Text("\n" + "\n".join(source)))


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for name in others:
        table.add_column(_plain(name), justify="right")
    return table


def _range_text(lengths: SizeRange | None) -> str:
    if lengths is None:
        return "-"
    return str(lengths.smallest) if lengths.smallest == lengths.largest else f"{lengths.smallest}-{lengths.largest}"


def _type_text(schema: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """The type of an option as somebody who writes YAML would say it, from its JSON Schema."""
    match schema:
        case {"$ref": str(reference)}:
            return _type_text(models[reference.rpartition("/")[2]], models)
        case {"anyOf": list(choices)}:
            return " or ".join(_type_text(choice, models) for choice in choices if choice != {"type": "null"})
        case {"enum": list(values)}:
            return " | ".join(str(value) for value in values)
        case {"const": value}:
            return str(value)
        case {"type": "array", "prefixItems": list(items)}:
            return f"[{', '.join(_type_text(item, models) for item in items)}]"
        case {"type": "array", "items": item}:
            return f"list of {_type_text(item, models)}"
        case {"type": "object", "additionalProperties": Mapping() as values}:
            return f"mapping to {_type_text(values, models)}"
        case {"type": "string", "format": str(form)}:
            return form
        case {"type": str(kind)}:
            bounds = [f" {sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema]
            return _TYPES.get(kind, kind) + "".join(bounds)
    return "anything"


_TYPES = {"string": "text", "boolean": "true | false", "object": "mapping", "array": "list"}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
