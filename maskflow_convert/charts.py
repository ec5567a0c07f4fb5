"""Charts for a page: bars by class and areas by octave, as HTML and SVG that load nothing and need no script."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from maskflow_convert.amounts import percent, short_text
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
    summary = f"<summary>{len(names) - shown:,} more classes</summary>"
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
    """Bars with an axis of pixels below and the numbers of objects above them."""
    left, top, bottom = 6, 38, _HEIGHT - 34
    step = (_WIDTH - 2 * left) / (last - first + 1)
    most = max(octaves.values())
    bars, labels, ticks = [], [], []
    every = math.ceil((last - first + 2) / 9)
    for octave in range(first, last + 1):
        x, height = left + (octave - first) * step, (bottom - top) * octaves[octave] / most
        bars.append(
            f'<rect class="s0" x="{x + 1:.1f}" y="{bottom - height:.1f}" width="{step - 2:.1f}" height="{height:.1f}">'
            f"<title>{octaves[octave]:,} objects of {2**octave:,} to {2 ** (octave + 1) - 1:,} pixels</title></rect>"
        )
        if octaves[octave] and step >= 24:
            labels.append(
                f'<text x="{x + step / 2:.1f}" y="{bottom - height - 4:.1f}">{short_text(octaves[octave])}</text>'
            )
    for octave in range(first, last + 2, every):
        x = left + (octave - first) * step
        anchor = ' text-anchor="start"' if octave == first else ""
        ticks.append(f'<text x="{max(x, 1):.1f}" y="{bottom + 15}"{anchor}>{_power_of_two(octave)}</text>')
    limit = ""
    if first < SMALL <= last:
        x = left + (SMALL - first) * step
        limit = (
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{bottom}"/>'
            f'<text class="quiet" x="{x - 4:.1f}" y="9" text-anchor="end">smaller</text>'
            f'<text class="quiet" x="{x + 4:.1f}" y="9" text-anchor="start">than 32 x 32</text>'
        )
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(summary)}">'
        f'{limit}{"".join(bars)}{"".join(labels)}<line class="axis" x1="0" x2="{_WIDTH}" y1="{bottom}" y2="{bottom}"/>'
        f"{''.join(ticks)}"
        f'<text class="quiet" x="{_WIDTH / 2}" y="{_HEIGHT - 4}">area of the mask in pixels</text></svg>'
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
        f"<p>half have {2 ** middle_octave(octaves):,} pixels or more</p>"
    )


def _power_of_two(octave: int) -> str:
    """The number with units of 1024: 512, 1k, 32k, 1M."""
    return f"{2 ** (octave % 10)}{('', 'k', 'M', 'G', 'T', 'P', 'E')[octave // 10]}"
