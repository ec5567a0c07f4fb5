"""The card in Markdown, as forges and hubs of data sets render it; no name of the data is markup in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import maskflow_convert
from maskflow_convert.amounts import count_text, size_text
from maskflow_convert.card.facts import Card, Kind
from maskflow_convert.card.loading import with_tensorflow_alone, with_this_package
from maskflow_convert.characters import visible
from maskflow_convert.distribution import Distribution

_CLASSES_SHOWN = 100
_BAR = 24  # characters of the longest bar


def readme(card: Card, picture: str | None) -> str:
    """The text; `picture` is the name of the file that shows a few images."""
    sections = (_about(card), _shown(card, picture), _loading(card), _contents(card), _dropped(card), _origin(card))
    version = maskflow_convert.__version__
    lines = [*(line for section in sections for line in section), f"Written by maskflow-convert {version}."]
    return "\n".join(lines) + "\n"


def _about(card: Card) -> Iterator[str]:
    yield from (f"# {card.title}", "")
    yield "Instance segmentation: images with the mask and the class of each object, as TFRecords that"
    yield from ("[maskflow](https://github.com/hadim/maskflow) trains on. One image is one record.", "")
    yield f"- {card.storage}"
    yield f"- Layout `{card.manifest.layout}`: {card.axes}"
    yield from ("- `dataset.json` has the classes with their ids, all counts, and the SHA-256 of each file", "")


def _shown(card: Card, picture: str | None) -> Iterator[str]:
    if picture is not None:
        told = f"{count_text(len(card.pictures), 'sample image')} with their masks, drawn from the records"
        yield from (f"![{told}]({picture})", "")


def _loading(card: Card) -> Iterator[str]:
    yield from ("## Load it", "", *_code(with_this_package(card.manifest)), "")
    yield from ("With TensorFlow alone:", "", *_code(with_tensorflow_alone(card.manifest)), "")


def _code(code: str) -> list[str]:
    return ["```python", code.rstrip(), "```"]


def _contents(card: Card) -> Iterator[str]:
    yield from ("## What is in it", "")
    numbers = ((s.images, s.objects, s.files, s.bytes) for s in card.splits)
    rows = [
        (_literal(split.name), *(f"{number:,}" for number in (images, objects, files)), size_text(size))
        for split, (images, objects, files, size) in zip(card.splits, numbers, strict=True)
    ]
    yield from (*_table(("split", "images", "objects", "files", "size"), rows), "")
    yield from (*_classes(card), "")
    yield from _spreads(card)


def _classes(card: Card) -> Iterator[str]:
    ids = {each.name: each.id for each in card.manifest.classes}
    total = card.report.total.objects_by_class
    order = sorted((name for name in ids if total[name]), key=lambda name: -total[name])
    if not order:
        yield "There is no object."
        return
    shown = order[:_CLASSES_SHOWN]
    bars = _bars([total[name] for name in shown])
    rows = [(_literal(name), str(ids[name]), f"{total[name]:,}", bar) for name, bar in zip(shown, bars, strict=True)]
    yield from _table(("class", "id", "objects", ""), rows)
    if rest := len(order) - len(shown):
        yield from ("", f"and {rest:,} more.")
    if card.unused:
        yield from ("", card.unused)


def _spreads(card: Card) -> Iterator[str]:
    octaves: Counter[int] = Counter()
    for each in card.report.areas.values():
        octaves.update(each)
    if octaves:
        span = range(min(octaves), max(octaves) + 1)
        areas = [(2**octave, 2 ** (octave + 1) - 1, octaves[octave]) for octave in span]
        yield from (*_histogram("area of the mask in pixels", "objects", areas), "")
    images = card.report.images
    if images.objects.counts:
        yield from (*_histogram("objects per image", "images", list(images.objects.bins())), "")
        yield f"Images are {_span(images.widths)} pixels wide and {_span(images.heights)} high."
        yield ""


def _span(lengths: Distribution) -> str:
    if lengths.smallest == lengths.largest:
        return f"{lengths.smallest:,}"
    return f"{lengths.smallest:,} to {lengths.largest:,} (half of them {lengths.middle():,} or more)"


def _histogram(what: str, counted: str, bins: Sequence[tuple[int, int, int]]) -> Iterator[str]:
    bars = _bars([count for _, _, count in bins])
    rows = [
        (f"{first:,}" if first == last else f"{first:,} to {last:,}", f"{count:,}", bar)
        for (first, last, count), bar in zip(bins, bars, strict=True)
    ]
    yield from _table((what, counted, ""), rows)


def _bars(counts: Sequence[int]) -> list[str]:
    """A bar for each number; where there is anything, something is seen of it."""
    most = max(counts, default=0)
    return ["█" * (count * _BAR // most) or ("▏" if count else "") for count in counts]


def _dropped(card: Card) -> Iterator[str]:
    yield from ("## What was dropped", "", card.verdict, "")
    if card.dropped:
        rows = [(_code_of(kind), f"{kind.images:,}", f"{kind.objects:,}", _cell(_why(kind))) for kind in card.dropped]
        yield from (*_table(("for", "images", "objects", "which means"), rows), "")
    if card.remarks:
        rows = [(_code_of(kind), f"{kind.times:,}", f"{kind.fixed:,}", _cell(_why(kind))) for kind in card.remarks]
        yield from ("Remarked upon, and kept:", "")
        yield from (*_table(("what", "times", "fixed", "which means"), rows), "")
    if card.dropped or card.remarks:
        yield from ("`issues.jsonl` lists each with its place.", "")


def _code_of(kind: Kind) -> str:
    return f"`{kind.rule.code}`"


def _why(kind: Kind) -> str:
    return kind.rule.meaning


def _origin(card: Card) -> Iterator[str]:
    yield from ("## What it was made from", "")
    for source in card.sources:
        yield f"- {_literal(source.adapter)}, {_literal(source.version)}, {count_text(source.images, 'image')}"
        yield from (f"  - {name}: {_literal(told)}" for name, told in source.options)
    yield from ("", "`config.yaml` is the whole configuration.", "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose columns of numbers stand to the right."""
    rows = list(rows)
    right = [all(re.fullmatch(r"[\d,]+( to [\d,]+)?", cell) for cell in column) for column in zip(*rows, strict=True)]
    yield _row(head)
    yield _row(["---:" if each else "---" for each in right])
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(words: str) -> str:
    """A text of ours in a table."""
    return words.replace("|", "\\|")


def _literal(name: str) -> str:
    """A text of unknown origin, in which nothing is markup; also in a table."""
    shown = visible(name)
    if shown == shown.strip() != "" and not set(shown) & set("`|\\<>&"):
        return f"`{shown}`"
    return "".join(each if each.isalnum() or each == " " else f"&#{ord(each)};" for each in shown)
