"""The card of a data set: `README.md` and `index.html` beside its records, for people.

It says what the data set is, from what it was made, what is in it and what was dropped, shows a few images, and has the
code that loads it. Its bytes follow from the data set: there is no date, no machine and no place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskflow_convert.card.facts import Card
from maskflow_convert.card.readme import readme
from maskflow_convert.card.webpage import webpage
from maskflow_convert.image.overlay import encode_jpeg
from maskflow_convert.image.sheet import side_by_side
from maskflow_convert.manifest import Manifest
from maskflow_convert.output import CARD, is_ours, name_of_picture, replace_file, replace_text, signed
from maskflow_convert.provenance import SourceFacts
from maskflow_convert.report import Report

README, PAGE = "README.md", "index.html"


def write_card(folder: Path, sources: Sequence[SourceFacts], manifest: Manifest, report: Report) -> list[str]:
    """Write the card of the data set in a folder, whose manifest is written.

    Args:
        folder: where the data set is.
        sources: what it was made from.
        manifest: what was written.
        report: what came of the run.

    Returns:
        The names of files that were left as they are, because they are somebody else's.

    Raises:
        OutputError: a file cannot be written.
    """
    kept = [name for name in (README, PAGE) if _is_taken(folder / name)]
    card = Card.of(folder, sources, manifest, report)
    if PAGE not in kept:
        replace_text(folder / PAGE, signed(webpage(card), CARD))
    if README not in kept:
        replace_text(folder / README, signed(readme(card, _picture(folder, card)), CARD))
    return kept


def _is_taken(path: Path) -> bool:
    """Whether there is something else than a page of ours, also a link that leads nowhere."""
    return (path.exists() or path.is_symlink()) and not is_ours(path, CARD)


def _picture(folder: Path, card: Card) -> str | None:
    """Write all pictures of a card as one; its name, or None if there are none."""
    if not card.pictures:
        return None
    content = encode_jpeg(side_by_side([picture.pixels for picture in card.pictures]))
    name = name_of_picture(content)
    replace_file(folder / name, [content])
    return name
