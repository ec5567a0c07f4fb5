"""The card as a page that is whole: with charts, and each picture for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maskflow_convert.amounts import count_text, size_text
from maskflow_convert.card.facts import Card, Kind, Picture
from maskflow_convert.card.loading import with_tensorflow_alone, with_this_package
from maskflow_convert.charts import area_charts, class_bars, spread_chart
from maskflow_convert.image.overlay import encode_jpeg
from maskflow_convert.markup import code, isolated, jpeg_source, prose, text
from maskflow_convert.page import page
from maskflow_convert.provenance import SourceFacts


def webpage(card: Card) -> str:
    """The page, HTML in ASCII."""
    images = card.report.images
    return page(
        "card",
        title=text(card.title),
        storage=text(card.storage),
        layout=text(card.manifest.layout),
        axes=prose(card.axes),
        unless_pictures="" if card.pictures else " hidden",
        pictures="".join(map(_picture, card.pictures)),
        ours=code(with_this_package(card.manifest)),
        plain=code(with_tensorflow_alone(card.manifest)),
        splits=_splits(card),
        classes=_classes(card),
        areas=area_charts(card.report.areas),
        objects=spread_chart(images.objects, "objects", "objects per image"),
        widths=spread_chart(images.widths, "pixels", "width in pixels"),
        heights=spread_chart(images.heights, "pixels", "height in pixels"),
        verdict=text(card.verdict),
        dropped=_kinds(card.dropped, _loss),
        unless_issues="" if card.dropped or card.remarks else " hidden",
        unless_remarks="" if card.remarks else " hidden",
        remarks=_kinds(card.remarks, _frequency),
        sources="".join(map(_source, card.sources)),
    )


def _picture(picture: Picture) -> str:
    rows, columns = picture.pixels.shape[:2]
    source = jpeg_source(encode_jpeg(picture.pixels))
    alternative = text(f"{picture.name}: {picture.legend}")
    facts = f"{picture.split}, {count_text(picture.objects, 'object')}"
    return (
        f'<li><img src="{source}" width="{columns}" height="{rows}" decoding="async" alt="{alternative}">'
        f'<p class="names">{isolated(picture.name)}</p>'
        f'<p class="quiet">{isolated(facts)}</p>'
        f'<p class="quiet">{isolated(picture.legend)}</p></li>'
    )


def _splits(card: Card) -> str:
    columns = ("images", "objects", "files", "size")
    head = "".join(f'<th scope="col" class="number">{column}</th>' for column in columns)
    body = "".join(
        _row(split.name, [f"{n:,}" for n in (split.images, split.objects, split.files)] + [size_text(split.bytes)])
        for split in card.splits
    )
    return f'<table><thead><tr><th scope="col">split</th>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(name: str, cells: Sequence[str]) -> str:
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row">{isolated(name)}</th>{numbers}</tr>'


def _classes(card: Card) -> str:
    names = [each.name for each in card.manifest.classes]
    chart = class_bars(names, {name: tally.objects_by_class for name, tally in card.report.splits.items()})
    return chart + (f'<p class="quiet">{card.unused}</p>' if card.unused else "")


def _kinds(kinds: Sequence[Kind], facts: Callable[[Kind], str]) -> str:
    return "".join(
        f"<li><p><code>{kind.rule.code}</code> <b>{facts(kind)}</b></p>"
        f'<p class="quiet">{prose(kind.rule.meaning)}</p></li>'
        for kind in kinds
    )


def _loss(kind: Kind) -> str:
    lost = [(kind.images, "image"), (kind.objects, "object")]
    return " and ".join(count_text(number, noun) for number, noun in lost if number)


def _frequency(kind: Kind) -> str:
    return count_text(kind.times, "time") + (f", {kind.fixed:,} fixed" if kind.fixed else "")


def _source(source: SourceFacts) -> str:
    options = "".join(f"<dt>{isolated(name)}</dt><dd>{isolated(told)}</dd>" for name, told in source.options)
    facts = f"{source.version}, {count_text(source.images, 'image')}"
    return (
        f'<li><p><code>{isolated(source.adapter)}</code></p><p class="quiet">{isolated(facts)}</p>'
        f"<dl>{options}</dl></li>"
    )
