"""What `init` says on a terminal: what it found and why, what it saw of it, what it wrote, and what to do next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from maskflow_convert.amounts import count_text
from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.characters import visible
from maskflow_convert.config import Source
from maskflow_convert.discovery import Confidence
from maskflow_convert.starter.draft import Draft, seen, without_images
from maskflow_convert.starter.look import Look
from maskflow_convert.starter.search import Candidate, Search, left_out_lines

_MOST_SHOWN = 20  # data sets
_CONFIDENCES = {Confidence.SURE: "sure", Confidence.LIKELY: "likely", Confidence.GUESS: "a guess"}


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on the standard error what is being done, as long as it is, if that is a terminal."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield
        return
    with Console(stderr=True).status(Text(visible(what))):
        yield


def story(draft: Draft, *, writes_schema: bool) -> RenderableType:
    """All of it."""
    return Group(*_found(draft), *_passed_over(draft), *_seen(draft.look), *_next(draft, writes_schema=writes_schema))


def choices(candidates: Sequence[Candidate]) -> Iterator[str]:
    """The data sets to choose from, a line each, numbered from 1."""
    rows = [(each.adapter, visible(each.name), _why(each)) for each in candidates]
    adapter, name = (max(len(row[column]) for row in rows) for column in (0, 1))
    for number, row in enumerate(rows[:_MOST_SHOWN], start=1):
        yield f"{number:>3}  {row[0]:<{adapter}}  {row[1]:<{name}}  {row[2]}"
    if len(rows) > _MOST_SHOWN:
        yield f"     and {len(rows) - _MOST_SHOWN:,} more"


def _why(candidate: Candidate) -> str:
    return visible(f"{_CONFIDENCES[candidate.found.confidence]}: {candidate.found.reason}")


def _found(draft: Draft) -> Iterator[Text]:
    for candidate in draft.chosen:
        what = "this folder" if candidate.name == "." else candidate.name
        yield Text.assemble("Found ", (candidate.adapter, "bold green"), f" in {visible(what)}, {_why(candidate)}.")
        for source in candidate.sources:
            yield Text(f"  {visible(_source_line(draft.found, source))}")
        for note in candidate.found.notes:
            yield Text(f"  {visible(note)}", "yellow")


def _source_line(found: Search, source: Source) -> str:
    told = found.tree.told
    options = source.options.model_dump(exclude_unset=True).items()
    parts = [f"{key}: {told(value) if isinstance(value, Path) else value}" for key, value in options]
    return "  ".join([*([source.split] if source.split else []), ", ".join(parts)])


def _passed_over(draft: Draft) -> Iterator[Text]:
    found = draft.found
    others = [each for each in found.candidates if each not in draft.chosen]
    for other in others[:_MOST_SHOWN]:
        yield Text(f"Not taken: {other.adapter} in {visible(other.name)}, {_why(other)}.", "dim")
    if len(others) > _MOST_SHOWN:
        yield Text(f"Not taken: {len(others) - _MOST_SHOWN:,} more.", "dim")
    for line in left_out_lines(found):
        yield Text(f"Left out: {visible(line)}.", "dim")
    for sentence in found.tree.unseen:
        yield Text(visible(sentence), "yellow")


def _seen(look: Look | None) -> Iterator[Text]:
    if look is None:
        yield Text("It was not looked through, as that takes long.", "yellow")
        return
    splits = ", ".join(f"{name} {count:,}" for name, count in look.images.items())
    by_split = f" ({splits})" if len(look.images) > 1 else ""
    classes = f"{len(look.classes):,} class{'' if len(look.classes) == 1 else 'es'}"
    yield Text(f"\nIn {seen(look)}{by_split}: {count_text(look.objects, 'object')} of {classes}.")
    if not look.needs.opens_images:
        yield Text(without_images(look), "yellow")
    if look.needs.boxes == "rectangle":
        yield Text("They have boxes and no masks; `objects.boxes: rectangle` fills each box to make one.", "yellow")
    elif look.needs.boxes == "skip":
        boxes = count_text(look.boxes, "object")
        yield Text(f"With a box and no mask: {boxes}, left out by `objects.boxes: skip`.", "yellow")
    if look.errors:
        yield Text("There are errors; with `on_error: skip-object` what is faulty is left out and listed:", "yellow")
        for code, count in look.errors.most_common():
            yield Text.assemble(f"  {count:>6,}  ", (code, "bold"), f"  {CATALOGUE[code].meaning}")
            yield Text(f"          First: {visible(look.examples[code].told)}", "dim")
    if not look.written and look.needs.opens_images:
        yield Text("Nothing is left of these images: correct them before you convert.", "bold red")


def _next(draft: Draft, *, writes_schema: bool) -> Iterator[Text]:
    folder = _from_here(draft.path.parent)
    name = shlex.quote(str(folder / draft.path.name))
    schema = f", and {draft.schema} beside it, by which editors complete and explain it" if writes_schema else ""
    yield Text.assemble("\nWrote ", (visible(name), "bold"), f"{schema}.\n\nNext:")
    look = draft.look
    convert = {f"convert {name}": f"write the records to {folder / draft.records}"}
    if look is None or look.needs.opens_images:
        steps = {
            f"preview {name}": "look at the masks on their images",
            f"validate {name}": "find all that is wrong",
            **convert,
        }
    else:
        steps = {f"convert {name} --dry-run": "show what would be written"} if look.written else convert
    width = max(map(len, steps))
    for step, purpose in steps.items():
        yield Text.assemble("  maskflow-convert ", (f"{visible(step):<{width}}", "bold"), f"   {visible(purpose)}")


def _from_here(path: Path) -> Path:
    """A path as it is seen from the working directory, if it lies below that."""
    with suppress(OSError, ValueError):  # the working directory is gone, or the path lies elsewhere
        return path.relative_to(Path.cwd().resolve())
    return path
