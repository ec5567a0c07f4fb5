"""Pieces of HTML whose texts come from somebody's data: they are escaped, and what cannot be seen is spelt out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from maskflow_convert.characters import visible


def text(content: str) -> str:
    """A text of unknown origin, for the content of an element or the value of an attribute in quotes."""
    return escape(visible(content))


def isolated(content: str) -> str:
    """A text of unknown origin in an element of its own, so that it turns no other text around."""
    return f"<bdi>{text(content)}</bdi>"


def jpeg_source(jpeg: bytes) -> str:
    """A picture as the value of an `src`."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """A table: the first cell of a row is its heading, and numbers stand to the right."""
    head = "".join(f'<th scope="col">{isolated(column)}</th>' for column in columns)
    body = "".join(f"<tr>{_heading(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _heading(content: str | int) -> str:
    return f'<th scope="row">{isolated(str(content))}</th>'


def _cell(content: str | int) -> str:
    if isinstance(content, int):
        return f'<td class="number">{content:,}</td>'
    return f"<td>{isolated(content)}</td>"
