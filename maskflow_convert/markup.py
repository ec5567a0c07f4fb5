"""Pieces of HTML whose texts come from somebody's data: they are escaped, and what cannot be seen is spelt out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from maskflow_convert.characters import visible


def text(content: str) -> str:
    """A text of unknown origin, for the content of an element or the value of an attribute in quotes."""
    return escape(visible(content))


def code(lines: str) -> str:
    """Code of ours, of several lines, for the content of an element."""
    return escape(lines)


def isolated(content: str) -> str:
    """A text of unknown origin in an element of its own, so that it turns no other text around."""
    return f"<bdi>{text(content)}</bdi>"


def prose(words: str) -> str:
    """A text of the catalogue, with what it has in back quotes as code."""
    pieces = (f"<code>{text(piece)}</code>" if i % 2 else text(piece) for i, piece in enumerate(words.split("`")))
    return "".join(pieces)


def jpeg_source(jpeg: bytes) -> str:
    """A picture as the value of an `src`."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"


MOST_ROWS = 50
"""Rows of a table in a notebook."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> str:
    """A table for a notebook, which brings its own style; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{_cell(name)}</th>{"".join(f"<td>{_cell(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows[:MOST_ROWS]
    )
    more = f"<p>and {len(rows) - MOST_ROWS:,} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(content: str | int) -> str:
    return f"{content:,}" if isinstance(content, int) else isolated(content)
