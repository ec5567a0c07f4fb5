"""Previews as files: a PNG of each image, and a page that shows them all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath

from maskflow_convert.amounts import count_text
from maskflow_convert.characters import visible
from maskflow_convert.errors import OutputError
from maskflow_convert.image import is_signed_png, signed_png
from maskflow_convert.issues import Issue
from maskflow_convert.markup import jpeg_source, text
from maskflow_convert.output import PREVIEW, is_ours, replace_text, signed
from maskflow_convert.page import page
from maskflow_convert.preview import Preview

PAGE = "index.html"

ISSUES = 20
"""Issues of one image that are listed beneath it."""


def write_gallery(previews: Iterable[Preview], folder: Path, subject: str) -> int:
    """Write a PNG of each preview, and the page; return the number of images.

    What an earlier gallery left in the folder is replaced: a picture of it would be taken for one of these.

    Args:
        previews: each is drawn when its turn comes, so that one image at a time is held.
        folder: is made where it is missing.
        subject: what is shown, for the title.

    Raises:
        OutputError: a file cannot be written, or would replace one of somebody else.
    """
    tiles = []
    labels: Counter[str] = Counter()
    splits: dict[str, None] = {}
    drawn: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder / PAGE, partial(is_ours, kind=PREVIEW))
        for number, preview in enumerate(previews, start=1):
            name = _file_name(number, preview)
            _refuse_foreign(folder / name, _is_our_picture)
            (folder / name).write_bytes(signed_png(preview.png(), _PROGRAM))
            drawn.add(name)
            tiles.append(_tile(preview))
            labels.update(preview.labels)
            splits[preview.split] = None
        replace_text(folder / PAGE, signed(_page(subject, tiles, labels, splits), PREVIEW))
        for path in folder.glob("*.png"):
            if path.name not in drawn and _NAME.fullmatch(path.name) and _is_our_picture(path):
                path.unlink()
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error
    return len(tiles)


def _refuse_foreign(path: Path, is_mine: Callable[[Path], bool]) -> None:
    """Keep a file of somebody else from being replaced.

    Raises:
        OutputError: there is one.
    """
    if (path.exists() or path.is_symlink()) and not is_mine(path):
        raise OutputError(f"{path}: was not drawn by a preview, or was changed since; choose another --output")


def _is_our_picture(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return is_signed_png(file.read(1024), _PROGRAM)


def _page(subject: str, tiles: Sequence[str], labels: Counter[str], splits: Iterable[str]) -> str:
    named = {name: name or "(none)" for name in splits}
    return page(
        "gallery",
        subject=text(subject),
        number=count_text(len(tiles), "image"),
        objects=count_text(labels.total(), "object"),
        classes=_options({name: f"{name} ({count:,})" for name, count in labels.most_common()}),
        splits=_options(named),
        unless_split=" hidden" if len(named) < 2 else "",
        tiles="".join(tiles),
    )


_PROGRAM = "maskflow-convert preview"
_NAME = re.compile(r"\d{4,}-[A-Za-z0-9_-]{1,80}\.png")


def _listed(issue: Issue) -> str:
    """An issue beneath its image: what, and in which file; its whole path is told where the mouse rests on that."""
    what = issue.message if issue.object is None else f"object {issue.object}: {issue.message}"
    listed = f"<code>{issue.code}</code> <bdi>{text(what)}</bdi>"
    if issue.path is not None:
        place = PurePath(issue.path).name + ("" if issue.line is None else f":{issue.line}")
        listed += f'<br><bdi title="{text(issue.path)}">{text(place)}</bdi>'
    return f"<li>{listed}</li>"


def _file_name(number: int, preview: Preview) -> str:
    """A name that is one on every system, whatever the image is called."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", preview.name.rpartition("/")[2].rpartition(".")[0])[:80]
    return f"{number:04}-{stem or 'image'}.png"


def _options(choices: dict[str, str]) -> str:
    return "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in choices.items())


def _tile(preview: Preview) -> str:
    bare, drawn = map(jpeg_source, preview.jpegs())
    total = preview.labels.total()
    listed = preview.legend
    issues = "".join(map(_listed, preview.issues[:ISSUES]))
    if len(preview.issues) > ISSUES:
        issues += f"<li>and {len(preview.issues) - ISSUES:,} more</li>"
    names = text(json.dumps([visible(name) for name in preview.labels]))
    alternative = text(f"{preview.name}: {listed or 'no object'}")
    facts = ", ".join(each for each in (preview.split, count_text(total, "object")) if each)
    return (
        f'<li class="tile" data-classes="{names}" data-split="{text(preview.split)}" data-objects="{total}">'
        f'<button type="button"><img src="{bare}" alt=""><img class="drawn" src="{drawn}" alt="{alternative}"></button>'
        f'<p class="names"><bdi>{text(preview.name)}</bdi></p><p class="quiet"><bdi>{text(facts)}</bdi></p>'
        + (f'<p class="quiet"><bdi>{text(listed)}</bdi></p>' if listed else "")
        + (f'<ul class="quiet">{issues}</ul>' if issues else "")
        + "</li>"
    )
