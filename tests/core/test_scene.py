"""Records are shown however faulty they are; what is written in a picture can be read."""

from __future__ import annotations

import struct
from itertools import chain

import numpy as np
import pytest

from core.plugins.scripted import HEIGHT, WIDTH, png
from maskflow_convert.errors import DataError
from maskflow_convert.image import StoredImage
from maskflow_convert.indices import varint
from maskflow_convert.record import Glance, Layout, encode, glance, parse
from maskflow_convert.runs import from_dense
from maskflow_convert.scene import Thing, stored

FIRST = [(0, x, y) for x in range(1, 4) for y in range(2, 5)]
SECOND = [(1, x, y) for x in range(3, 8) for y in range(0, 3)]


def packed(*triples: tuple[int, int, int]) -> Glance:
    """A record of two objects with these indices, in one piece."""
    content = b"".join(varint(value % 2**64) for value in chain.from_iterable(triples))
    return Glance("a.png", png(), np.array([4, 5]), [content])


def pixels(record: Glance, layout: Layout = Layout.DOCUMENTED) -> list[set[tuple[int, int]]]:
    """`(x, y)` of the pixels of each mask."""
    masks = [thing.mask for thing in stored(record, layout, {4: "disc"}).things]
    return [{(int(x), int(y)) for y, x in zip(*np.nonzero(mask.to_dense()), strict=True)} for mask in masks]


def dense(triples: list[tuple[int, int, int]]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for _, x, y in triples:
        mask[y, x] = True
    return mask


class TestStored:
    def test_masks(self):
        assert pixels(packed(*FIRST, *SECOND)) == [{each[1:] for each in FIRST}, {each[1:] for each in SECOND}]

    def test_rows_first(self):
        turned = sorted((n, y, x) for n, x, y in [*FIRST, *SECOND])
        found = pixels(packed(*turned), Layout.ROWS_FIRST)
        assert found == [{each[1:] for each in FIRST}, {each[1:] for each in SECOND}]

    def test_the_other_layout_is_another_picture(self):
        assert pixels(packed(*FIRST), Layout.ROWS_FIRST)[0] == {(y, x) for _, x, y in FIRST}

    def test_in_any_order_and_twice(self):
        shuffled = [*SECOND[::-1], *FIRST, *SECOND[:4], FIRST[2]]
        assert pixels(packed(*shuffled)) == pixels(packed(*FIRST, *SECOND))

    @pytest.mark.parametrize(
        "outside", [(2, 1, 1), (0, WIDTH, 1), (0, 1, HEIGHT), (-1, 1, 1), (0, -1, 1), (0, 1, -1), (2**62, 2**62, 2**62)]
    )
    def test_what_lies_outside_is_not_seen(self, outside):
        assert pixels(packed(*FIRST, outside, *SECOND)) == pixels(packed(*FIRST, *SECOND))

    def test_masks_that_meet_at_the_end_of_the_image(self):
        """The last pixel of the first mask, and the first of the second, follow each other in the list."""
        assert pixels(packed((0, WIDTH - 1, HEIGHT - 1), (1, 0, 0))) == [{(WIDTH - 1, HEIGHT - 1)}, {(0, 0)}]

    def test_many_blocks(self):
        """More numbers than are decoded at a time, of several bytes each, so that triples are cut."""
        image = StoredImage((png_of(400, 300),), 400, 300, channels=3, depth=8)
        masks = [np.zeros((300, 400), bool) for _ in range(3)]
        masks[0][10:290, 5:390], masks[1][::2, ::2], masks[2][299, 399] = True, True, True
        record = encode(
            image=image,
            image_id=1,
            basename="a",
            masks=[from_dense(mask) for mask in masks],
            class_ids=[1, 1, 1],
            layout=Layout.DOCUMENTED,
        )
        things = stored(glance(b"".join(record)), Layout.DOCUMENTED, {}).things
        assert all((thing.mask.to_dense() == mask).all() for thing, mask in zip(things, masks, strict=True))

    @pytest.mark.parametrize("content", [b"\x00\x01", b"\x00\x01\x80", b"\x80" * 11])
    def test_what_are_no_triples(self, content):
        with pytest.raises(DataError):
            stored(Glance("a", png(), np.array([4, 5]), [content]), Layout.DOCUMENTED, {})

    def test_no_object(self):
        assert stored(Glance("a", png(), np.empty(0, np.int64), []), Layout.DOCUMENTED, {}).things == ()


def png_of(width: int, height: int) -> bytes:
    from maskflow_convert.image import encode_png

    return encode_png(np.zeros((height, width, 3), np.uint8))


class TestGlance:
    def test_is_what_a_parser_finds(self):
        record = encode(
            image=StoredImage((png(),), WIDTH, HEIGHT, channels=3, depth=8),
            image_id=7,
            basename="ä.png",
            masks=[from_dense(dense(FIRST)), from_dense(dense(SECOND))],
            class_ids=[3, 200],
            layout=Layout.DOCUMENTED,
        )
        data = b"".join(record)
        parsed, _ = parse(data)
        seen = glance(data)
        assert (seen.basename, seen.png, seen.class_ids.tolist()) == (parsed.basename, parsed.png, [3, 200])
        assert np.concatenate(list(seen.index_blocks())).tolist() == parsed.indices.tolist()

    @pytest.mark.parametrize("data", [b"", b"no record", struct.pack("<Q", 5), b"\x0a\x03abc"])
    def test_of_what_is_no_record(self, data):
        assert glance(data) is None


class TestSigns:
    """Pillow's font has the letters of ASCII and no others, and draws a box for each of the others."""

    @pytest.mark.parametrize(
        ("label", "sign"),
        [
            ("cell", "cell"),
            ("traffic light (2)", "traffic light (2)"),
            ("épithélium", "epithelium"),
            ("größe", "id 7"),
            ("細胞", "id 7"),
            ("細胞 b", "id 7"),
            ("клетка", "id 7"),
            ("a\u202eb", "a\\u202eb"),
        ],
    )
    def test_of_a_label(self, label, sign):
        assert Thing("1", label, 7, None).sign == sign

    def test_of_what_is_no_class(self):
        assert Thing("1", "細胞", None, None).sign == "?"
