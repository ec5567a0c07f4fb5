"""Writes the reference of the configuration and of the command line, and the options on the pages of the formats.

Call it as `python docs/make_reference.py`.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.table import Table

from maskflow_convert.adapter import Adapter
from maskflow_convert.cli import main as run
from maskflow_convert.config import Config
from maskflow_convert.config.settings import Source
from maskflow_convert.registry import load
from maskflow_convert.reporting import adapter_page

DOCS = Path(__file__).parent
WIDTH = 80
"""Of the terminal that help is printed on: as wide as a page of the site shows."""

FORMATS = ("coco", "voc", "labelme", "shapes")

CONFIGURATION = """\
# Configuration

A configuration is a YAML file (YAML 1.2, so a class called `no` is a text). Paths in it start from the folder that it
is in. Unknown keys are refused, with their line and what was probably meant. `--set KEY=VALUE` on the command line
changes a key, as in `--set objects.crowd=keep` or `--set sources[0].split=val`.

```yaml title="everything.yaml"
sources:
  - adapter: shapes
    count: 20
classes:
  names: [circle, square, triangle]
splits: {train: 0.8, val: 0.2, seed: 7}
image: {channels: 3, depth: 8}
objects: {crowd: skip, boxes: error}
issues: {image-without-objects: ignore}
on_error: skip-object
output: {directory: records, layout: documented, shard_size: 64 MiB}
run: {workers: auto}
```

```sh
maskflow-convert convert everything.yaml
```

Only `sources` is required, and `output.directory` unless `--output` is given. What a run made of it, with every default
in place, is in `config.yaml` beside the records.
"""

SOURCES = """\
A list, of one source or several. A source has these keys, and the options of its adapter. Those of the built-in
adapters are on the pages of the [formats](../formats/index.md); `maskflow-convert adapters show NAME` prints any.
"""

_UNBROKEN = 10_000
_MADE = "<!-- not run: made from what `--help` prints -->"

COMMANDS = """\
# Command line

Results go to the standard output, progress and messages to the error one. `RECORDS` is an output directory, a
`.tfrecord` file, or several of either. `python -m maskflow_convert` does the same.

## Exit codes

| code | meaning |
|---|---|
| 0 | done, also where objects were dropped by policy |
| 1 | issues: `validate` found some at or above `--fail-on`, or one stopped `convert` |
| 2 | the YAML or the command line is wrong |
| 3 | an adapter is missing or broken |
| 4 | a source cannot be read at all |
| 5 | the output cannot be written, or is in the way |
| 130 | interrupted |
"""


def pages() -> dict[str, str]:
    """The pages by their paths below this folder."""
    formats = {f"formats/{name}.md": with_options(name) for name in FORMATS}
    return {"reference/configuration.md": configuration(), "reference/command-line.md": command_line(), **formats}


def configuration() -> str:
    """The page of all keys."""
    return "\n".join([CONFIGURATION, *sections()])


def sections() -> Iterator[str]:
    """The keys at the top, then those of each section."""
    models = {name: _model(field.annotation) for name, field in Config.model_fields.items()}
    within = {name: model for name, model in models.items() if model is not None}
    yield f"## Top level\n\n{table(row for row in rows(Config) if row[0] not in {'sources', *within})}"
    yield f"## sources\n\n{SOURCES}\n{table(row for row in rows(Source) if row[0] != 'options')}"
    for name, model in within.items():
        yield f"## {name}\n\n{about(model)}\n\n{table(rows(model))}"


def _model(annotation: object) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def about(model: type[BaseModel]) -> str:
    """The first paragraph of a model's docstring."""
    return " ".join((model.__doc__ or "").strip().partition("\n\n")[0].split())


def rows(model: type[BaseModel]) -> list[list[str]]:
    """Key, type, default and meaning, in the words of `adapters show`: a section is options, as a source is."""
    section = type("Section", (Adapter,), {"Options": model})
    return _cells(adapter_page("section", section))


def with_options(name: str) -> str:
    """The page of a format with the options of its adapter."""
    text = (DOCS / f"formats/{name}.md").read_text(encoding="utf-8")
    begin, end = f"<!-- options: {name} -->\n", "<!-- end of options -->\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n{table(_cells(adapter_page(name, load(name))))}\n{end}{after}"


def _cells(page: RenderableType) -> list[list[str]]:
    """The table on a page for the terminal, row by row."""
    parts = page.renderables if isinstance(page, Group) else []
    [columns] = [part.columns for part in parts if isinstance(part, Table)]
    return [[str(cell) for cell in row] for row in zip(*(column.cells for column in columns), strict=True)]


def table(rows: Iterator[list[str]] | Sequence[list[str]]) -> str:
    """The rows in Markdown."""
    lines = [
        f"| `{key}` | {_cell(kind)} | {_code(default)} | {_cell(meaning)} |" for key, kind, default, meaning in rows
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(default: str) -> str:
    return default if default in ("required", "optional") else f"`{default}`"


def command_line() -> str:
    """The page of all commands, as they tell of themselves."""
    return "\n".join([COMMANDS, *(help_of(command) for command in commands())])


def commands(*above: str) -> Iterator[tuple[str, ...]]:
    """Each command and those below it."""
    for name in re.findall(r"^ {4}([a-z][a-z-]*)(?: +\S.*)?$", told(*above), re.MULTILINE):
        yield (*above, name)
        yield from commands(*above, name)


def help_of(command: Sequence[str]) -> str:
    """A section on one command."""
    usage = told(*command, width=_UNBROKEN).partition("\n\n")[0].removeprefix("usage: ")
    rest = told(*command, width=WIDTH).partition("\n\n")[2].partition("\nexit codes:")[0].rstrip()
    return f"## {' '.join(command)}\n\n{_MADE}\n```text\n{folded(usage)}\n\n{rest}\n```\n"


def folded(usage: str) -> str:
    """The usage in lines, broken between its parts; where argparse breaks it depends on the version of Python."""
    whole = re.sub(r"\[.*?\]", lambda part: part[0].replace(" ", "\0"), usage)
    lines = textwrap.wrap(whole, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def told(*command: str, width: int = WIDTH) -> str:
    """What a command tells of itself on a terminal of a width."""
    with patch.dict(os.environ, COLUMNS=str(width)), redirect_stdout(io.StringIO()) as text, suppress(SystemExit):
        run([*command, "--help"])
    return text.getvalue()


def main() -> None:
    """Write the pages anew."""
    for path, text in pages().items():
        (DOCS / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
