"""The toy Shapes data set of the maskflow documentation: circles, squares and triangles, drawn when read.

It needs no file, so it is the data set to try a pipeline on, and the adapter to read first when writing one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from maskflow_convert import runs
from maskflow_convert.adapter import Adapter, AdapterOptions, Entry, Index
from maskflow_convert.image import encode_png
from maskflow_convert.sample import Image, Instance, Sample
from maskflow_convert.shape import Rle

Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]
Coordinates = NDArray[np.floating]

INSIDE: Mapping[str, Callable[[Coordinates, Coordinates], Mask]] = {
    "circle": lambda u, v: u**2 + v**2 < 1,
    "square": lambda u, v: (u >= -1) & (u < 1) & (v >= -1) & (v < 1),
    "triangle": lambda u, v: (2 * u >= -v - 1) & (2 * u < v + 1) & (v < 1),
}
"""Where each figure is in its own frame: -1 to 1, half-open, `u` to the right and `v` down."""

LABELS = tuple(INSIDE)
PAPER: Colour = (244, 241, 234)
INKS: Sequence[Colour] = (
    (204, 78, 70),
    (228, 154, 58),
    (96, 154, 88),
    (66, 134, 172),
    (122, 92, 158),
    (84, 90, 104),
)
GRAIN = 3
"""How far the grain takes a pixel from its colour, up or down; all colours leave it that much room."""

EMPTY_EVERY = 7
"""Pictures number 6, 13, 20, ... show nothing but paper: images without an object are part of real data."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A circle, square or triangle that fills a box of side `2 * radius` around (`x`, `y`), in pixels."""

    label: str
    x: float
    y: float
    radius: float
    colour: Colour

    def mask(self, width: int, height: int) -> Mask:
        """`[height, width]`: the pixels whose centre lies in the figure, whatever lies on top of it."""
        u = (np.arange(width) + 0.5 - self.x) / self.radius
        v = (np.arange(height) + 0.5 - self.y) / self.radius
        return INSIDE[self.label](u[np.newaxis, :], v[:, np.newaxis])


def compose(rng: np.random.Generator, width: int, height: int) -> list[Figure]:
    """Three to five figures from back to front, wholly within the image, no two of one colour."""
    inks = rng.permutation(len(INKS))[: rng.integers(3, 6)]
    figures = []
    for ink in inks:
        radius = rng.uniform(0.1, 0.27) * min(width, height)
        x = rng.uniform(radius, width - radius)
        y = rng.uniform(radius, height - radius)
        figures.append(Figure(LABELS[rng.integers(len(LABELS))], x, y, radius, INKS[ink]))
    return figures


def topmost(masks: Sequence[Mask], width: int, height: int) -> NDArray[np.intp]:
    """`[height, width]`: the number of the last mask that covers each pixel, -1 where none does."""
    top = np.full((height, width), -1, dtype=np.intp)
    for number, mask in enumerate(masks):
        top[mask] = number
    return top


def paint(top: NDArray[np.intp], colours: Sequence[Colour], rng: np.random.Generator) -> NDArray[np.uint8]:
    """`[height, width, 3]`: at each pixel the colour that `top` numbers, paper for -1, with some grain."""
    palette = np.array([*colours, PAPER], dtype=np.int16)
    grain = rng.integers(-GRAIN, GRAIN + 1, size=(*top.shape, 1), dtype=np.int16)
    return (palette[top] + grain).astype(np.uint8)


def visible_instances(figures: Sequence[Figure], masks: Sequence[Mask], top: NDArray[np.intp]) -> Iterator[Instance]:
    """What can be seen of each figure, from back to front; one that is wholly hidden is no instance."""
    height, width = top.shape
    for number, (figure, mask) in enumerate(zip(figures, masks, strict=True)):
        visible = runs.from_dense(top == number)
        if visible.area:
            yield Instance(
                label=figure.label,
                shape=Rle(height=height, width=width, counts=visible.to_counts()),
                attributes={"occluded": visible.area < int(mask.sum())},
            )


Side = Annotated[int, Field(ge=32)]


class ShapesOptions(AdapterOptions):
    """How many pictures to draw, and which."""

    count: PositiveInt = Field(20, description="how many images")
    seed: NonNegativeInt = Field(0, description="another seed draws other images")
    size: tuple[Side, Side] = Field((160, 120), description="width and height in pixels, at least 32 each")


class ShapesAdapter(Adapter[ShapesOptions, int]):
    """Draws the Shapes data set.

    A record is the number of a picture. With the seed and the size it decides all that is drawn, so that a
    picture stays what it is however many there are, and whichever process draws it.
    """

    Options = ShapesOptions

    def index(self) -> Index[int]:
        """List the pictures; none is drawn yet."""
        width, height = self.options.size
        numbers = range(self.options.count)
        return Index([Entry(_name(n), n, pixels=width * height) for n in numbers], labels=LABELS)

    def read(self, record: int) -> Sample:
        """Draw one picture."""
        width, height = self.options.size
        rng = np.random.default_rng((self.options.seed, record))
        figures = [] if record % EMPTY_EVERY == EMPTY_EVERY - 1 else compose(rng, width, height)
        masks = [figure.mask(width, height) for figure in figures]
        top = topmost(masks, width, height)
        pixels = paint(top, [figure.colour for figure in figures], rng)
        return Sample(
            key=_name(record),
            image=Image(data=encode_png(pixels), width=width, height=height),
            instances=tuple(visible_instances(figures, masks, top)),
        )


def _name(number: int) -> str:
    return f"shapes-{number:06}.png"
