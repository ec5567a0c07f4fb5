"""Charts for a page: bars by class, areas by octave, numbers by image; HTML and SVG that need no script."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from maskflow_convert.amounts import count_text, percent, short_text
from maskflow_convert.distribution import Distribution
from maskflow_convert.markup import text

SERIES = 4
"""Splits that are told apart by colours; the bars of more are of one colour."""

SHOWN = 12
"""Classes that are shown at once; the others can be unfolded."""

MOST = 1000
"""Classes that are shown at all."""

SMALL = 10
"""The octave that begins with 32 x 32 pixels: what COCO calls small lies below."""

_MULTIPLES = 6
_WIDTH, _HEIGHT = 420, 190
_MARGIN = 6
_WIDEST = 72  # a bar
_ROOM = 12  # that half of a label takes


def class_bars(classes: Sequence[str], by_split: Mapping[str, Counter[str]]) -> str:
    """A table of the objects of each class, most of them first, with a bar each; stacked by split if there are few."""
    total: Counter[str] = Counter()
    for counts in by_split.values():
        total.update(counts)
    order = sorted((name for name in {**dict.fromkeys(classes), **total} if total[name]), key=lambda name: -total[name])
    if not order:
        return "<p>There is no object of any class.</p>"
    splits = list(by_split) if 1 < len(by_split) <= SERIES else []
    longest = total[order[0]]

    def table(names: Sequence[str]) -> str:
        head = "".join(f'<th scope="col" class="number split">{text(split)}</th>' for split in splits)
        rows = "".join(
            _class_row(name, [by_split[split][name] for split in splits], total[name], longest) for name in names
        )
        return (
            f'<table class="bars"><thead><tr><th scope="col">class</th><td></td>{head}'
            f'<th scope="col" class="number">objects</th></tr></thead><tbody>{rows}</tbody></table>'
        )

    legend = "".join(f"<li>{_swatch(number)}<bdi>{text(split)}</bdi></li>" for number, split in enumerate(splits))
    return (f'<ul class="legend">{legend}</ul>' if legend else "") + _folded(order, SHOWN, table)


def _class_row(name: str, parts: Sequence[int], total: int, longest: int) -> str:
    numbers = "".join(f'<td class="number split">{part:,}</td>' for part in parts)
    return (
        f'<tr><th scope="row"><bdi>{text(name)}</bdi></th><td class="bar">{_bar(parts or [total], longest)}</td>'
        f'{numbers}<td class="number">{total:,}</td></tr>'
    )


def _folded(names: Sequence[str], shown: int, chart: Callable[[Sequence[str]], str]) -> str:
    """A chart of the first names, and one of the others that can be unfolded."""
    rest = names[shown:MOST]
    if not rest:
        return chart(names[:shown])
    beyond = f"<p>and {len(names) - MOST:,} more</p>" if len(names) > MOST else ""
    number = len(names) - shown
    summary = f"<summary>{number:,} more {'class' if number == 1 else 'classes'}</summary>"
    return f"{chart(names[:shown])}<details>{summary}{chart(rest)}{beyond}</details>"


def _bar(parts: Sequence[int], longest: int) -> str:
    """A bar of as many pieces, relative to the longest bar."""
    ends = list(accumulate(parts))
    pieces = "".join(
        f'<rect class="s{number}" x="{end - part}" width="{part}" height="1"/>'
        for number, (part, end) in enumerate(zip(parts, ends, strict=True))
        if part
    )
    return f'<svg viewBox="0 0 {longest} 1" preserveAspectRatio="none" aria-hidden="true">{pieces}</svg>'


def _swatch(number: int) -> str:
    square = f'<rect class="s{number}" width="1" height="1"/>'
    return f'<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">{square}</svg>'


def area_charts(areas: Mapping[str, Counter[int]]) -> str:
    """How large the masks are: all of them, and those of each of the largest classes, on the same axis."""
    total: Counter[int] = Counter()
    for octaves in areas.values():
        total.update(octaves)
    if not total.total():
        return "<p>There is no mask whose area was measured.</p>"
    first, last = min(total), max(total)
    small = sum(count for octave, count in total.items() if octave < SMALL)
    share = f"{small:,} of {total.total():,} objects ({percent(small, total.total())}) have fewer than 32 x 32 pixels."
    names = sorted(areas, key=lambda name: -areas[name].total())

    def multiples(names: Sequence[str]) -> str:
        items = (f"<li>{_small_histogram(areas[name], first, last, name)}</li>" for name in names)
        return f'<ul class="multiples">{"".join(items)}</ul>'

    by_class = f"<h3>By class</h3>{_folded(names, _MULTIPLES, multiples)}" if len(names) > 1 else ""
    return f"{_histogram(total, first, last, share)}<p>{share}</p>{by_class}"


def middle_octave(octaves: Counter[int]) -> int:
    """The octave of the median area."""
    half = (octaves.total() + 1) // 2
    ordered = sorted(octaves)
    upto = accumulate(octaves[octave] for octave in ordered)
    return next(octave for octave, count in zip(ordered, upto, strict=True) if count >= half)


def _histogram(octaves: Counter[int], first: int, last: int, summary: str) -> str:
    """Areas, and where what COCO calls small ends."""
    bars = [
        _Bar(octaves[octave], f"{octaves[octave]:,} objects of {2**octave:,} to {2 ** (octave + 1) - 1:,} pixels")
        for octave in range(first, last + 1)
    ]
    every = _every(len(bars) + 1)
    ticks: dict[float, str] = {octave - first: _power_of_two(octave) for octave in range(first, last + 2, every)}
    limit = _Limit(SMALL - first, "smaller", "than 32 x 32") if first < SMALL <= last else None
    return _columns(bars, ticks, "area of the mask in pixels", summary, limit)


def spread_chart(distribution: Distribution, unit: str, axis: str) -> str:
    """How many images have which number of something.

    Args:
        distribution: of the numbers, one an image.
        unit: what there is a number of: objects, pixels.
        axis: what to write below.
    """
    bins = list(distribution.bins())
    if not bins:
        return "<p>There is no image.</p>"
    if distribution.smallest == distribution.largest:
        return f"<p>{axis.capitalize()}: {distribution.smallest:,} in every image.</p>"
    summary = (
        f"From {distribution.smallest:,} to {distribution.largest:,} {unit}; "
        f"half of the images have {distribution.middle():,} or more."
    )
    bars = [_Bar(count, f"{count_text(count, 'image')} of {_range(first, last)} {unit}") for first, last, count in bins]
    places = {number + (first == last) / 2: first for number, (first, last, _) in enumerate(bins)}
    ticks = {at: short_text(first) for at, first in list(places.items())[:: _every(len(bins))]}
    return f"{_columns(bars, ticks, axis, summary)}<p>{summary}</p>"


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _every(ticks: int) -> int:
    """Of so many ticks each how-many-th there is room for."""
    return math.ceil(ticks / 9)


@dataclass(frozen=True, slots=True)
class _Bar:
    count: int
    title: str


@dataclass(frozen=True, slots=True)
class _Limit:
    """A line before the bar `at`, and what is written on either side of it."""

    at: int
    left: str
    right: str


def _columns(
    bars: Sequence[_Bar], ticks: Mapping[float, str], axis: str, summary: str, limit: _Limit | None = None
) -> str:
    """Bars side by side with their numbers above them and an axis below; ticks lie at so many bars from the left."""
    top, bottom = 38 if limit else 18, _HEIGHT - 34
    step = min((_WIDTH - 2 * _MARGIN) / len(bars), _WIDEST)
    left = (_WIDTH - step * len(bars)) / 2
    most = max(bar.count for bar in bars)
    parts = []
    if limit:
        x = left + limit.at * step
        parts.append(
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{bottom}"/>'
            f'<text class="quiet" x="{x - 4:.1f}" y="9" text-anchor="end">{limit.left}</text>'
            f'<text class="quiet" x="{x + 4:.1f}" y="9" text-anchor="start">{limit.right}</text>'
        )
    for number, bar in enumerate(bars):
        x, height = left + number * step, (bottom - top) * bar.count / most
        parts.append(
            f'<rect class="s0" x="{x + 1:.1f}" y="{bottom - height:.1f}" width="{max(step - 2, 1):.1f}" '
            f'height="{height:.1f}"><title>{text(bar.title)}</title></rect>'
        )
        if bar.count and step >= 24:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{bottom - height - 4:.1f}">{short_text(bar.count)}</text>')
    parts.append(f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{bottom}" y2="{bottom}"/>')
    for at, label in ticks.items():
        x = left + at * step
        anchor = ' text-anchor="start"' if x < _ROOM else ' text-anchor="end"' if x > _WIDTH - _ROOM else ""
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}"{anchor}>{label}</text>')
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(summary)}">'
        f'{"".join(parts)}<text class="quiet" x="{_WIDTH / 2}" y="{_HEIGHT - 4}">{text(axis)}</text></svg>'
    )


def _small_histogram(octaves: Counter[int], first: int, last: int, name: str) -> str:
    """The bars alone, and what half of the objects have."""
    most, count = max(octaves.values()), last - first + 1
    bars = "".join(
        f'<rect class="s0" x="{10 * (octave - first) + 0.5}" y="{40 - 40 * number / most:.1f}" width="9" '
        f'height="{40 * number / most:.1f}"/>'
        for octave, number in sorted(octaves.items())
    )
    label = (
        f"{name}: areas of {octaves.total():,} objects, from {2 ** min(octaves):,} to {2 ** (max(octaves) + 1) - 1:,}"
    )
    return (
        f"<h4><bdi>{text(name)}</bdi></h4>"
        f'<svg viewBox="0 0 {10 * count} 41" preserveAspectRatio="none" role="img" aria-label="{text(label)} pixels">'
        f'{bars}<line class="axis" x1="0" x2="{10 * count}" y1="40.5" y2="40.5"/></svg>'
        f"<p>half have {count_text(2 ** middle_octave(octaves), 'pixel')} or more</p>"
    )


def _power_of_two(octave: int) -> str:
    """The number with units of 1024: 512, 1k, 32k, 1M."""
    return f"{2 ** (octave % 10)}{('', 'k', 'M', 'G', 'T', 'P', 'E')[octave // 10]}"
