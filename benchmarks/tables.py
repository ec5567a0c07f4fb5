"""Tables in Markdown, whose columns line up in a terminal as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table and an empty line; the first column is text, the others are figures."""
    lines = [columns, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    print_line(columns, widths)
    print(f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:]))
    for row in lines[1:]:
        print_line(row, widths)
    print(flush=True)


def print_line(cells: Sequence[str], widths: Sequence[int]) -> None:
    """Print one line of a table."""
    figures = [f" {cell:>{width}} |" for cell, width in zip(cells[1:], widths[1:], strict=True)]
    print(f"| {cells[0]:{widths[0]}} |" + "".join(figures))
