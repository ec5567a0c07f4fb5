"""Previews as files: a PNG of each image, and a page that shows them all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from maskflow_convert.amounts import count_text
from maskflow_convert.characters import visible
from maskflow_convert.errors import OutputError
from maskflow_convert.markup import jpeg_source, text
from maskflow_convert.output import replace_text
from maskflow_convert.page import page
from maskflow_convert.preview import Preview

PAGE = "index.html"

ISSUES = 20
"""Issues of one image that are listed beneath it."""


def write_gallery(previews: Iterable[Preview], folder: Path, subject: str) -> int:
    """Write a PNG of each preview, and the page; return the number of images.

    Args:
        previews: each is drawn when its turn comes, so that one image at a time is held.
        folder: is made where it is missing.
        subject: what is shown, for the title.

    Raises:
        OutputError: a file cannot be written.
    """
    tiles = []
    labels: Counter[str] = Counter()
    splits: dict[str, None] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, preview in enumerate(previews, start=1):
            (folder / _file_name(number, preview)).write_bytes(preview.png())
            tiles.append(_tile(preview))
            labels.update(preview.labels)
            splits[preview.split] = None
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error
    replace_text(
        folder / PAGE,
        page(
            "gallery",
            subject=text(subject),
            number=count_text(len(tiles), "image"),
            objects=count_text(labels.total(), "object"),
            classes=_options({name: f"{name} ({count:,})" for name, count in labels.most_common()}),
            splits=_options({name: name or "(none)" for name in splits}),
            unless_split=" hidden" if len(splits) < 2 else "",
            tiles="".join(tiles),
        ),
    )
    return len(tiles)


def _file_name(number: int, preview: Preview) -> str:
    """A name that is one on every system, whatever the image is called."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", preview.name.rpartition("/")[2].rpartition(".")[0])[:80]
    return f"{number:04}-{stem or 'image'}.png"


def _options(choices: dict[str, str]) -> str:
    return "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in choices.items())


def _tile(preview: Preview) -> str:
    bare, drawn = map(jpeg_source, preview.jpegs())
    total = preview.labels.total()
    listed = ", ".join(f"{name} {count:,}" for name, count in preview.labels.most_common())
    told = [f"{issue.told} [{issue.code}]" for issue in preview.issues[:ISSUES]]
    if len(preview.issues) > ISSUES:
        told.append(f"and {len(preview.issues) - ISSUES:,} more")
    issues = "".join(f"<li><bdi>{text(each)}</bdi></li>" for each in told)
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
