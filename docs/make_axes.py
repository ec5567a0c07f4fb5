"""Draws docs/axes.svg, one image in both layouts, with the numbers of its records: `python docs/make_axes.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from maskflow_convert import convert
from maskflow_convert.record import Layout, Record
from maskflow_convert.records import Records, read_file

PICTURE = Path(__file__).with_name("axes.svg")

DRAWN = (".#...", ".###.", ".....")
ROWS, COLUMNS = len(DRAWN), len(DRAWN[0])
CELL = 64
TOP, LEFT = 128, 84
PANEL = LEFT + COLUMNS * CELL + 36
HEIGHT = TOP + ROWS * CELL + 132

STYLE = """\
text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 15px; fill: #1c2b2d }
.name { font-size: 20px; font-weight: 600 }
.code, .fact, .triple { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.triple { font-size: 13px; text-anchor: middle; font-weight: 600 }
.fact { font-size: 13px }
.axis { fill: none; stroke: #00796b; stroke-width: 2 }
.of { fill: #00796b; font-weight: 600 }
.pixel { fill: #ffffff; stroke: #b7c4c2 }
.object { fill: #ffca5c; stroke: #8a6d1f }
"""

AXES = {Layout.DOCUMENTED: ("x", "W", "y", "H"), Layout.ROWS_FIRST: ("column", "H", "row", "W")}
"""What the horizontal axis is called, and its length; then the vertical one's."""


def record_of(layout: Layout) -> Record:
    """The record of the image, written in a layout."""
    mask = np.array([[pixel == "#" for pixel in row] for row in DRAWN])
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=False))
    counts = np.diff(changes, prepend=0, append=mask.size).tolist()
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [ROWS, COLUMNS], "counts": counts}}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": COLUMNS, "height": ROWS}],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [annotation],
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(np.where(mask, 60, 230).astype(np.uint8)).save(folder / "a.png")
        (folder / "a.json").write_text(json.dumps(document), encoding="utf-8")
        source = {"adapter": "coco", "annotations": "a.json"}
        config = {"sources": [source], "output": {"directory": "out", "layout": layout}}
        (folder / "a.yaml").write_text(json.dumps(config), encoding="utf-8")
        convert(folder / "a.yaml")
        [path] = Records.find(folder / "out").paths
        [record] = read_file(path)
        return record


def picture() -> str:
    """Both layouts side by side."""
    panels = "".join(panel(layout, number * PANEL) for number, layout in enumerate(AXES))
    size = f'width="{2 * PANEL}" height="{HEIGHT}" viewBox="0 0 {2 * PANEL} {HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>\n{STYLE}</style>\n'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#00796b"/></marker></defs>\n'
        f'<rect width="100%" height="100%" rx="8" fill="#f6f8f7"/>\n{panels}</svg>\n'
    )


def panel(layout: Layout, x: int) -> str:
    """One layout: its axes, the pixels of the image, and the record's numbers."""
    record = record_of(layout)
    return f'<g transform="translate({x} 0)">\n' + "".join(f"{line}\n" for line in elements(layout, record)) + "</g>\n"


def elements(layout: Layout, record: Record) -> Iterator[str]:
    """The parts of a panel."""
    across, width, down, height = AXES[layout]
    right, bottom = LEFT + COLUMNS * CELL, TOP + ROWS * CELL
    yield f'<text class="name" x="{LEFT}" y="40">{layout}</text>'
    yield f'<text x="{LEFT}" y="64">an index is <tspan class="code">{index_of(layout)}</tspan></text>'
    yield f'<path class="axis" marker-end="url(#tip)" d="M{LEFT},{TOP - 14} H{right}"/>'
    yield f'<text class="of" x="{LEFT}" y="{TOP - 24}">{across}, {width} = {COLUMNS}</text>'
    yield f'<path class="axis" marker-end="url(#tip)" d="M{LEFT - 14},{TOP} V{bottom}"/>'
    vertical = f"translate({LEFT - 26} {TOP}) rotate(-90)"
    yield f'<text class="of" text-anchor="end" transform="{vertical}">{down}, {height} = {ROWS}</text>'
    triples = {place(layout, triple): triple for triple in record.indices.tolist()}
    for row in range(ROWS):
        for column in range(COLUMNS):
            left, top, triple = LEFT + column * CELL, TOP + row * CELL, triples.get((row, column))
            kind = "pixel" if triple is None else "object"
            yield f'<rect class="{kind}" x="{left}" y="{top}" width="{CELL}" height="{CELL}"/>'
            if triple is not None:
                told = ", ".join(map(str, triple))
                yield f'<text class="triple" x="{left + CELL // 2}" y="{top + CELL // 2 + 5}">{told}</text>'
    listed = "  ".join(" ".join(map(str, triple)) for triple in record.indices.tolist())
    shape = f"[{record.n_objects}, {record.width}, {record.height}]"
    facts = (
        f"width {record.width}   height {record.height}",
        f"masks_indices {listed}",
        f"masks [N, W, H] = {shape}",
    )
    for number, fact in enumerate(facts):
        yield f'<text class="fact" xml:space="preserve" x="{LEFT}" y="{bottom + 38 + 26 * number}">{fact}</text>'


def index_of(layout: Layout) -> str:
    """How an index is written."""
    return "(n, x, y)" if layout is Layout.DOCUMENTED else "(n, row, column)"


def place(layout: Layout, triple: list[int]) -> tuple[int, int]:
    """The row and the column that an index means."""
    _, first, second = triple
    return (second, first) if layout is Layout.DOCUMENTED else (first, second)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
