"""The VOC adapter against small data sets drawn here, with what Pillow and NumPy make of them."""

from __future__ import annotations

import json
import math
import os
import pickle
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from maskflow_adapters import voc_index, voc_masks, voc_match
from maskflow_adapters.voc import VocAdapter, VocOptions
from maskflow_adapters.voc_labels import VOC_CLASSES, number_of
from maskflow_adapters.voc_xml import MAX_BYTES, VocObject, read_annotation
from maskflow_convert import Box, convert, load_config, rehearse
from maskflow_convert.errors import IssueError, RecordError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.runs import Runs

WIDTH, HEIGHT = 8, 6

# Two objects: one of two parts, one with a hole; and void.
OBJECTS = """
    11....22
    11....22
    ..vvvvvv
    .1.222v.
    ...2.2v.
    ...222v.
"""
CAT, DOG, PERSON = 8, 12, 15
"""Numbers of Pascal VOC."""


def palette() -> np.ndarray:
    """`[256, 3]`, as VOCcolormap.m makes it."""
    colours = np.zeros((256, 3), np.uint8)
    for number in range(256):
        rest = number
        for bit in range(7, -1, -1):
            for band in range(3):
                colours[number, band] |= (rest >> band & 1) << bit
            rest >>= 3
    return colours


PALETTE = palette()


def drawn(drawing: str, **values: int) -> np.ndarray:
    """`[H, W]` numbers of a drawing: digits are themselves, `.` is 0 and `v` void, other letters are given."""
    known = {".": 0, "v": 255, **{str(digit): digit for digit in range(10)}, **values}
    return np.array([[known[sign] for sign in row] for row in drawing.split()], np.uint8)


def classes_of(objects: np.ndarray, *numbers: int) -> np.ndarray:
    """The class mask in which object 1 is of the first class, object 2 of the second, ..."""
    table = np.arange(256, dtype=np.uint8)
    table[1 : len(numbers) + 1] = numbers
    return table[objects]


def save_palette(path: Path, numbers: np.ndarray, colours: np.ndarray = PALETTE) -> None:
    image = Image.fromarray(numbers).convert("P")
    assert (np.asarray(image) == numbers).all()
    image.putpalette(colours.tobytes())
    image.save(path)


def save_colours(path: Path, numbers: np.ndarray, colours: np.ndarray = PALETTE) -> None:
    Image.fromarray(colours[numbers]).save(path)


def save_grey(path: Path, numbers: np.ndarray) -> None:
    Image.fromarray(numbers).save(path)


def an_object(name: str | None = "cat", box: tuple[object, ...] | None = (1, 1, 4, 3), **tags: object) -> str:
    """One line of XML."""
    named = "" if name is None else f"<name>{name}</name>"
    corners = "" if box is None else "".join(f"<{s}>{n}</{s}>" for s, n in zip(SIDES, box, strict=True))
    bounds = "" if box is None else f"<bndbox>{corners}</bndbox>"
    return f"<object>{named}{''.join(f'<{tag}>{text}</{tag}>' for tag, text in tags.items())}{bounds}</object>"


SIDES = ("xmin", "ymin", "xmax", "ymax")


def a_file(*objects: str, size: tuple[object, object] | None = (WIDTH, HEIGHT), filename: str | None = None) -> str:
    """An annotation file: its root in line 1, the first object in line 2, each of the others in the next."""
    named = "" if filename is None else f"<filename>{filename}</filename>"
    lengths = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return "\n".join([f"<annotation>{named}{lengths}", *objects, "</annotation>"])


def a_set(
    root: Path,
    xml: dict[str, str] | None = None,
    objects: dict[str, np.ndarray] | None = None,
    classes: dict[str, np.ndarray] | None = None,
    *,
    images: tuple[str, ...] | None = None,
    lists: dict[str, str] | None = None,
    save=save_palette,
) -> Path:
    """A data set in Pascal VOC's folders, each made if there is something in it."""
    for name, text in (xml or {}).items():
        write(root / "Annotations" / f"{name}.xml", text)
    for home, masks in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        for name, numbers in (masks or {}).items():
            path = root / home / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, numbers)
    for name in {**(xml or {}), **(objects or {})} if images is None else images:
        draw_image(root / "JPEGImages" / (name if "." in name else f"{name}.jpg"))
    for name, text in (lists or {}).items():
        write(root / "ImageSets" / f"{name}.txt", text)
    return root


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def draw_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), "teal").save(path)


def adapter_of(root: Path | None, **options: object) -> VocAdapter:
    return VocAdapter(VocOptions(root=root, **options))


def read_all(adapter):
    return [adapter.read(entry.record) for entry in adapter.index().entries]


def read_one(root, **options):
    [sample] = read_all(adapter_of(root, **options))
    return sample


def keys(adapter):
    return [entry.key for entry in adapter.index().entries]


def rows(issues):
    return [[issue.code, issue.object, issue.line] for issue in issues]


def labels(sample):
    return [(instance.id, instance.label) for instance in sample.instances]


def assert_masks(sample, numbers: np.ndarray, values=None) -> None:
    """The instances have the pixels where the mask has these values, in their order."""
    height, width = numbers.shape
    rasteriser = Rasteriser(width, height)
    found = [rasteriser.runs(instance.shape).to_dense() for instance in sample.instances]
    expected = [numbers == value for value in (values or [v for v in np.unique(numbers) if v not in (0, 255)])]
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(name="two")
def two_fixture(tmp_path):
    """A cat and a dog, in XML and in both masks, which agree."""
    numbers = drawn(OBJECTS)
    xml = a_file(an_object("cat", (1, 1, 2, 4)), an_object("dog", (4, 1, 8, 6)))
    return a_set(tmp_path, {"a": xml}, {"a": numbers}, {"a": classes_of(numbers, CAT, DOG)})


# masks


def test_number_k_is_the_object_of_that_place(two):
    sample = read_one(two)
    assert labels(sample) == [("1", "cat"), ("2", "dog")]
    assert (sample.issues, sample.doubts) == ((), ())
    assert_masks(sample, drawn(OBJECTS))
    assert (sample.image.path, sample.image.size) == (two / "JPEGImages" / "a.jpg", (WIDTH, HEIGHT))


@pytest.mark.parametrize("save", [save_palette, save_colours, save_grey])
@pytest.mark.parametrize("classes", [True, False], ids=["both masks", "instance mask alone"])
def test_masks_with_a_palette_with_colours_and_grey(tmp_path, save, classes):
    numbers = drawn(OBJECTS)
    xml = a_file(an_object("cat"), an_object("dog"))
    a_set(tmp_path, {"a": xml}, {"a": numbers}, {"a": classes_of(numbers, CAT, DOG)} if classes else None, save=save)
    sample = read_one(tmp_path)
    assert labels(sample) == [("1", "cat"), ("2", "dog")]
    assert_masks(sample, numbers)


def test_void_and_background_are_nobody(tmp_path):
    a_set(tmp_path, {"a": a_file()}, {"a": drawn("v..v v..v")}, {"a": drawn("v..v v..v")})
    sample = read_one(tmp_path)
    assert (sample.instances, sample.issues, sample.doubts) == ((), (), ())


def painted(*patches: tuple[int, int, int, int, int]) -> np.ndarray:
    """`[60, 80]` with rectangles one over the other: number, left, top, width, height."""
    numbers = np.zeros((60, 80), np.uint8)
    for number, x, y, width, height in patches:
        numbers[y : y + height, x : x + width] = number
    return numbers


FIRST, SECOND = (1, 5, 5, 40, 50), (2, 45, 5, 30, 50)
VOIDS: dict[str, tuple[list[tuple[int, int, int, int, int]], dict[str, int]]] = {
    "in one object": ([(255, 10, 10, 11, 11)], {"1": 121}),
    "in each": ([(255, 10, 10, 11, 11), (255, 50, 20, 15, 20)], {"1": 121, "2": 300}),
    "two in one object": ([(255, 10, 10, 12, 11), (255, 10, 30, 11, 12)], {"1": 264}),
    "two that touch by a corner": ([(255, 10, 10, 11, 11), (255, 21, 21, 2, 2)], {"1": 125}),
    "of a row less": ([(255, 10, 10, 30, 10)], {}),
    "of a column less": ([(255, 10, 10, 10, 30)], {}),
    "an L as narrow as that": ([(255, 10, 10, 30, 10), (255, 10, 10, 10, 30)], {}),
    "around an island of the same object": ([(255, 10, 10, 30, 30), (1, 21, 21, 8, 8)], {"1": 836}),
    "around another object": ([(255, 10, 10, 30, 30), (2, 23, 23, 1, 1)], {}),
    "around background": ([(255, 10, 10, 30, 30), (0, 23, 23, 1, 1)], {}),
    "beside background": ([(255, 10, 10, 15, 15), (0, 25, 15, 1, 1)], {}),
    "beside background at a corner": ([(255, 10, 10, 15, 15), (0, 25, 25, 1, 1)], {}),
    "between the two": ([(255, 30, 10, 16, 15)], {}),
    "with a way out": ([(255, 10, 10, 15, 15), (255, 0, 15, 10, 1)], {}),
    "at the edge of the image": ([(1, 0, 0, 40, 60), (255, 10, 0, 15, 15)], {}),
    "with another within": ([(255, 10, 10, 29, 29), (1, 15, 15, 19, 19), (255, 18, 18, 11, 11)], {"1": 121}),
}


@pytest.mark.parametrize("save", [save_palette, save_colours])
@pytest.mark.parametrize(("voids", "found"), VOIDS.values(), ids=VOIDS)
def test_wide_void_in_the_midst_of_an_object_is_told(tmp_path, voids, found, save):
    numbers = painted(FIRST, SECOND, *voids)
    a_set(tmp_path, objects={"a": numbers}, save=save)
    sample = read_one(tmp_path, labels=("cell",))
    assert {doubt.object: doubt.message for doubt in sample.doubts} == {
        name: f"{pixels} pixels of void lie within the object and touch nothing else" for name, pixels in found.items()
    }
    for doubt in sample.doubts:
        place = str(tmp_path / "SegmentationObject/a.png")
        assert (doubt.code, doubt.path, doubt.line) == ("void-inside-object", place, None)
    assert_masks(sample, numbers)


def test_the_grey_image_of_a_palette_is_not_what_is_read(tmp_path):
    """Pillow makes 38, 75 and 220 of 1, 2 and 255."""
    numbers = drawn("12v")
    a_set(tmp_path, objects={"a": numbers})
    assert np.asarray(Image.open(tmp_path / "SegmentationObject/a.png").convert("L")).tolist() == [[38, 75, 220]]
    assert_masks(read_one(tmp_path, labels=("cell",)), numbers)


def test_in_sixteen_bits_255_is_an_object(tmp_path):
    numbers = np.arange(300, dtype=np.uint16).reshape(15, 20)
    a_set(tmp_path, objects={"a": numbers}, save=save_grey)
    sample = read_one(tmp_path, labels=("nucleus",))
    assert [instance.id for instance in sample.instances] == [str(number) for number in range(1, 300)]
    assert_masks(sample, numbers, range(1, 300))


@pytest.mark.parametrize("alpha", [255, 254])
def test_colours_may_have_an_alpha_that_hides_nothing(tmp_path, alpha):
    a_set(tmp_path, objects={"a": drawn("1.2")})
    colours = np.dstack([PALETTE[drawn("1.2")], np.full((1, 3), alpha, np.uint8)])
    Image.fromarray(colours).save(tmp_path / "SegmentationObject/a.png")
    if alpha == 255:
        assert_masks(read_one(tmp_path, labels=("cell",)), drawn("1.2"))
    else:
        with pytest.raises(RecordError) as caught:
            read_one(tmp_path, labels=("cell",))
        assert (caught.value.code, caught.value.path) == ("mask-unreadable", tmp_path / "SegmentationObject/a.png")


def test_objects_of_any_colour_are_told_apart(tmp_path):
    numbers, colours = drawn("1.2 1v2"), PALETTE.copy()
    colours[1], colours[2] = (250, 50, 83), (3, 2, 1)
    a_set(tmp_path, objects={"a": numbers})
    save_colours(tmp_path / "SegmentationObject/a.png", numbers, colours)
    sample = read_one(tmp_path, labels=("cell",))
    assert {instance.id for instance in sample.instances} == {"250,50,83", "3,2,1"}
    found = {instance.id: Rasteriser(3, 2).runs(instance.shape).to_dense().tolist() for instance in sample.instances}
    assert found["250,50,83"] == (numbers == 1).tolist()
    assert found["3,2,1"] == (numbers == 2).tolist()


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=20))
def test_every_colour_belongs_to_one_number(numbers):
    colours = np.zeros((len(numbers), 3), np.uint8)
    for at, number in enumerate(numbers):
        for bit in range(24):
            colours[at, bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    assert number_of(colours).tolist() == numbers


def test_the_palette_of_pascal_voc_is_numbered_from_0_to_255():
    assert PALETTE[[1, 2, 255]].tolist() == [[128, 0, 0], [0, 128, 0], [224, 224, 192]]
    assert number_of(PALETTE).tolist() == list(range(256))


def test_each_mask_is_decoded_once(two, monkeypatch):
    decoded = []

    def counting(path):
        decoded.append(path.parent.name)
        return read_label_image(path)

    read_label_image = voc_masks.read_label_image
    monkeypatch.setattr(voc_masks, "read_label_image", counting)
    sample = read_one(two)
    assert_masks(sample, drawn(OBJECTS))
    assert decoded == ["SegmentationObject", "SegmentationClass"]


def test_254_objects_take_no_254_passes(tmp_path):
    """Twenty times the objects, in a larger image, must not take twenty times as long for each pixel."""
    numbers = np.kron((np.arange(256) % 255).reshape(16, 16), np.ones((64, 64))).astype(np.uint8)
    few = np.where(numbers < 13, numbers, 0).astype(np.uint8)
    a_set(tmp_path, objects={"few": few, "many": numbers}, classes={"few": few, "many": numbers})
    adapter = adapter_of(tmp_path, labels=tuple(f"c{number}" for number in range(1, 255)))
    seconds = []
    for entry in adapter.index().entries:
        begun = time.process_time()
        sample = adapter.read(entry.record)
        seconds.append(time.process_time() - begun)
    assert len(sample.instances) == 254
    assert seconds[1] < 10 * seconds[0] + 0.5


# classes


def swapped(two: Path) -> Path:
    """The objects of the XML in the other order."""
    write(two / "Annotations/a.xml", a_file(an_object("dog", (4, 1, 8, 6), pose="x"), an_object("cat", (1, 1, 2, 4))))
    return two


def test_where_the_order_is_contradicted_the_class_mask_counts(two):
    sample = read_one(swapped(two))
    assert labels(sample) == [("1", "cat"), ("2", "dog")]
    assert sample.issues == ()
    [doubt] = sample.doubts
    assert (doubt.code, doubt.path, doubt.line) == ("objects-masks-disagree", str(two / "Annotations/a.xml"), 2)
    assert doubt.message == "object 1 is listed as dog; the class mask has 8 (cat) there, and 1 more differ"


def test_attributes_then_go_by_the_place_of_the_box(two):
    adapter = adapter_of(swapped(two))
    [entry] = adapter.index().entries
    cat, dog = adapter.read(entry.record).instances
    assert (cat.attributes, dog.attributes) == ({}, {"pose": "x"})
    path = two / "Annotations/a.xml"
    assert [adapter.where(entry.record, each) for each in (cat, dog)] == [(path, 3), (path, 2)]


@pytest.mark.parametrize(
    ("objects", "listed", "told"),
    [
        ("1.2 1.2", ["cat"], "1 objects are listed, the instance mask has 2"),
        ("1.. 1..", ["cat", "dog"], "2 objects are listed, the instance mask has 1"),
        ("1.3 1.3", ["cat", "dog"], "2 objects are listed, the instance mask numbers as many, up to 3"),
    ],
)
def test_other_counts_are_told(tmp_path, objects, listed, told):
    numbers = drawn(objects)
    xml = a_file(*(an_object(name, (9, 9, 9, 9)) for name in listed))
    a_set(tmp_path, {"a": xml}, {"a": numbers}, {"a": classes_of(numbers, CAT, DOG, DOG)})
    sample = read_one(tmp_path, labels=VOC_CLASSES)
    assert [(doubt.code, doubt.message, doubt.line) for doubt in sample.doubts] == [("objects-masks-disagree", told, 1)]
    names = {1: "cat", 2: "dog", 3: "dog"}
    masked = [(i.id, i.label) for i in sample.instances if i.shape.kind == "rle"]
    assert masked == [(str(n), names[n]) for n in np.unique(numbers) if n]


@pytest.mark.parametrize(("labels", "written", "lost"), [(["cat"], ["cat"], []), (["cat", "dog"], [], ["1"])])
def test_a_mask_of_an_object_where_none_is_listed(tmp_path, labels, written, lost):
    """Without a class mask: it is of the only class there is, if there is but one."""
    a_set(tmp_path, {"a": a_file()}, {"a": drawn("1.. 1..")})
    sample = read_one(tmp_path, labels=labels)
    told = "0 objects are listed, the instance mask has 1"
    assert [(doubt.code, doubt.message) for doubt in sample.doubts] == [("objects-masks-disagree", told)]
    assert [instance.label for instance in sample.instances] == written
    assert [(issue.code, issue.object) for issue in sample.issues] == [("object-class-missing", each) for each in lost]


def test_an_object_without_mask_is_a_box_beside_those_with(tmp_path):
    """The mask of the second is void, as Pascal VOC paints difficult objects; so two boxes fit, and one is left."""
    numbers = drawn("1..vv..3 1..vv..3")
    boxes = [("cat", (1, 1, 1, 2)), ("cat", (4, 1, 5, 2)), ("cat", (8, 1, 8, 2))]
    xml = a_file(*(an_object(name, box, difficult=int(box[0] == 4)) for name, box in boxes), size=(8, 2))
    a_set(tmp_path, {"a": xml}, {"a": numbers}, {"a": classes_of(numbers, CAT, 0, CAT)})
    adapter = adapter_of(tmp_path)
    [entry] = adapter.index().entries
    sample = adapter.read(entry.record)
    assert [(i.id, i.shape.kind, i.attributes["difficult"], i.offset) for i in sample.instances] == [
        ("1", "rle", False, 2),
        ("3", "rle", False, 4),
        ("xml-2", "box", True, 3),
    ]
    assert sample.instances[2].shape == Box(x0=3, y0=0, x1=5, y1=2)


def test_a_listed_object_of_another_class_in_the_same_place_is_the_same(tmp_path):
    """So that it is not counted twice; far apart, it is another."""
    numbers = drawn("11.. 11..")
    a_set(tmp_path, objects={"a": numbers}, classes={"a": classes_of(numbers, DOG)})
    for box, count in (((1, 1, 2, 2), 1), ((3, 1, 4, 2), 2)):
        xml = a_file(an_object("cat", box), an_object("dog", None), an_object("dog", None))
        write(tmp_path / "Annotations/a.xml", xml)
        sample = read_one(tmp_path)
        assert len(sample.instances) == count
        assert sample.instances[0].label == "dog"


def test_of_several_in_one_place_the_best_fit_and_those_of_one_class_come_first(tmp_path):
    """Two cats of which one is within the other, and a dog whose box fits the third cat better than its own does."""
    numbers = drawn("1111.33. 1221.33. 1221.33. 1111.33.")
    boxes = [("cat", (2, 2, 3, 3)), ("cat", (1, 1, 4, 4)), ("dog", (6, 1, 7, 4)), ("cat", (6, 1, 8, 8)), ("ant", None)]
    xml = a_file(*(an_object(name, box) for name, box in boxes))
    a_set(tmp_path, {"a": xml}, {"a": numbers}, {"a": classes_of(numbers, CAT, CAT, CAT)})
    sample = read_one(tmp_path)
    assert [(i.id, i.offset) for i in sample.instances] == [("1", 3), ("2", 2), ("3", 5), ("xml-3", 4)]


names = st.sampled_from(["a", "b", None])
corners = st.tuples(*[st.integers(-2, 9) | st.sampled_from([math.nan, math.inf, 3.5])] * 4)


@given(
    masks=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 3), st.sampled_from(["a", "b", None]))
    ),
    listed=st.lists(st.tuples(corners | st.none(), st.sampled_from(["a", "b", None])), max_size=9),
)
def test_what_may_be_one_object_by_comparing_each_with_each(masks, listed):
    """A mask is a column of pixels here. Of one class they may overlap by any amount, else by more than half."""
    runs = {}
    objects = [
        voc_match.Listed(VocObject(name, 1, None, None, {}), box and Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3]))
        for box, name in listed
    ]
    expected = []
    for n, (x, y, rows, label) in enumerate(masks):
        rows = min(rows, 6 - y)
        runs[3 * n] = Runs(np.array([6 * x + y]), np.array([rows]), 8, 6)
        for position, (box, name) in enumerate(listed):
            if box and all(map(math.isfinite, box)):
                width, height = min(x + 1, box[2]) - max(x, box[0]), min(y + rows, box[3]) - max(y, box[1])
                shared = width * height if width > 0 and height > 0 else 0
                overlap = shared and shared / (rows + (box[2] - box[0]) * (box[3] - box[1]) - shared)
                same = label == name is not None
                if overlap > (0 if same else 0.5):
                    expected.append((same, overlap, 3 * n, position))
    labels = {3 * n: label for n, (*_, label) in enumerate(masks)}
    found = list(voc_match._in_one_place(runs, labels, objects))
    assert found == [(number, position) for *_, number, position in sorted(expected, reverse=True)]


def test_many_masks_and_many_objects_do_not_take_long(tmp_path):
    """10,000 masks, and as many objects but one, in their places, each of a class of its own."""
    numbers = np.arange(1, 10_001, dtype=np.uint16).reshape(100, 100)
    objects = [an_object(f"c{n}", (n % 100 + 1, n // 100 + 1) * 2) for n in range(9_999)]
    a_set(tmp_path, {"a": a_file(*objects, size=None)}, {"a": numbers}, save=save_grey)
    begun = time.process_time()
    sample = read_one(tmp_path)
    assert time.process_time() - begun < 10
    assert (len(sample.instances), len(sample.issues)) == (0, 10_000)


def test_many_spots_of_void_do_not_take_long(tmp_path):
    """10,000 that are wide enough for holes, all in one object."""
    numbers = np.ones((1400, 1400), np.uint8)
    for row in range(11):
        numbers[row + 2 :: 14][:100] = np.where(np.arange(1400) % 14 < 11, 255, 1)
    numbers[:, 0] = 1
    a_set(tmp_path, {"a": a_file(an_object(), size=(1400, 1400))}, {"a": numbers})
    begun = time.process_time()
    sample = read_one(tmp_path)
    assert time.process_time() - begun < 20
    assert len(sample.instances) == 1


def test_as_many_objects_are_one_by_one_the_same_even_without_boxes(two):
    write(two / "Annotations/a.xml", a_file(an_object("dog", None, pose="x"), an_object("cat", None)))
    sample = read_one(two)
    assert [(i.id, i.label, i.attributes) for i in sample.instances] == [("1", "cat", {"pose": "x"}), ("2", "dog", {})]
    assert sample.issues == ()


def test_the_order_counts_where_there_is_no_class_mask(tmp_path):
    numbers = drawn(OBJECTS)
    a_set(tmp_path, {"a": a_file(an_object("zebra"), an_object("dog"))}, {"a": numbers})
    sample = read_one(tmp_path)
    assert (labels(sample), sample.doubts) == ([("1", "zebra"), ("2", "dog")], ())


def test_numbers_of_classes_are_learnt_from_the_order(tmp_path):
    """COCO's, for instance, without anybody saying so; as long as each class has one name."""
    numbers = drawn("12..3 12..3")
    a_set(tmp_path, {"a": a_file(*map(an_object, ("person", "cup", "person")))}, {"a": numbers})
    for classes, right in (((1, 42, 1), True), ((1, 1, 1), False), ((1, 42, 42), False), ((1, 42, 2), False)):
        a_set(tmp_path, classes={"a": classes_of(numbers, *classes)}, images=())
        sample = read_one(tmp_path)
        if right:
            assert (labels(sample), sample.doubts) == ([("1", "person"), ("2", "cup"), ("3", "person")], ())
        else:
            assert sample.instances == ()
            assert rows(sample.issues) == [["object-class-missing", str(n), n + 1] for n in (1, 2, 3)]
            assert [doubt.code for doubt in sample.doubts] == ["objects-masks-disagree"]


def test_pascal_vocs_own_numbers_are_believed_where_the_file_confirms_them(tmp_path):
    numbers = drawn("1..2 1..2")
    a_set(tmp_path, {"a": a_file(*map(an_object, ("cat", "dog", "dog")))}, {"a": numbers})
    for classes, found in (((CAT, DOG), ["cat", "dog"]), ((CAT, PERSON), []), ((1, 2), [])):
        a_set(tmp_path, classes={"a": classes_of(numbers, *classes)}, images=())
        assert [i.label for i in read_one(tmp_path).instances if i.shape.kind == "rle"] == found


def test_one_class_alone_needs_no_number(tmp_path):
    numbers = drawn("1..2 1..2")
    a_set(tmp_path, {"a": a_file(an_object("cell"))}, {"a": numbers})
    assert labels(read_one(tmp_path)) == [("1", "cell"), ("2", "cell")]
    a_set(tmp_path, classes={"a": classes_of(numbers, 77, 77)}, images=())
    assert labels(read_one(tmp_path)) == [("1", "cell"), ("2", "cell")]
    a_set(tmp_path, classes={"a": classes_of(numbers, 77, 78)}, images=())
    assert rows(read_one(tmp_path).issues)[1] == ["object-class-missing", "2", None]


def test_masks_without_xml_need_names(tmp_path):
    numbers = drawn(OBJECTS)
    a_set(tmp_path, objects={"a": numbers}, classes={"a": classes_of(numbers, 2, 1)})
    sample = read_one(tmp_path)
    assert (sample.instances, sample.doubts) == ((), ())
    assert rows(sample.issues) == [["object-class-missing", "1", None], ["object-class-missing", "2", None]]
    assert "the class mask has 2 there, and no name is known" in sample.issues[0].message
    sample = read_one(tmp_path, labels=("cell", "nucleus"))
    assert (labels(sample), sample.issues, sample.doubts) == ([("1", "nucleus"), ("2", "cell")], (), ())
    assert_masks(sample, numbers)


def test_a_sole_name_needs_no_class_mask_and_two_do(tmp_path):
    a_set(tmp_path, objects={"a": drawn("1.2")})
    assert labels(read_one(tmp_path, labels=("cell",))) == [("1", "cell"), ("2", "cell")]
    assert labels(read_one(tmp_path, labels=("background", "cell"))) == [("1", "cell"), ("2", "cell")]
    assert [issue.code for issue in read_one(tmp_path, labels=("a", "b")).issues] == ["object-class-missing"] * 2


def test_most_pixels_decide_and_void_and_background_are_no_class(tmp_path):
    """Of two classes that are as frequent, the lower."""
    objects = drawn("1111122222333334444")
    classes = drawn("66655...55vvvv54343")
    a_set(tmp_path, objects={"a": objects}, classes={"a": classes})
    sample = read_one(tmp_path, labels=tuple("12345678"))
    assert labels(sample) == [("1", "6"), ("4", "3")]
    told = "most of it is background or void in the class mask"
    assert [(issue.object, issue.message) for issue in sample.issues] == [("2", told), ("3", told)]


# what names the classes


LABELMAP = """# label:color_rgb:parts:actions
background:0,0,0::
road sign:250,50,83::
cell: 10 , 20 , 30 :head,hand:
ignored:224,224,192::
"""


def cvat(root: Path, save, **more: object) -> np.ndarray:
    """CVAT's export: colours in `labelmap.txt`, images as PNG, no XML, a split named `default`."""
    numbers, colours = drawn(OBJECTS), PALETTE.copy()
    a_set(root, objects={"a": numbers}, images=("a.png",), lists={"Segmentation/default": "a\n"}, save=save_colours)
    colours[1], colours[2] = (250, 50, 83), (10, 20, 30)
    (root / "SegmentationClass").mkdir()
    save(root / "SegmentationClass/a.png", numbers, colours)
    write(root / "labelmap.txt", LABELMAP)
    return numbers


@pytest.mark.parametrize("save", [save_colours, save_palette])
def test_cvats_export(tmp_path, save):
    numbers = cvat(tmp_path, save)
    adapter = adapter_of(tmp_path, image_set="Segmentation/default")
    index = adapter.index()
    assert (index.labels, list(index.issues)) == (("road sign", "cell"), [])
    [entry] = index.entries
    sample = adapter.read(entry.record)
    assert labels(sample) == [("1", "road sign"), ("2", "cell")]
    assert (sample.issues, sample.doubts) == ((), ())
    assert sample.image.path == tmp_path / "JPEGImages/a.png"
    assert_masks(sample, numbers)


def test_a_grey_class_mask_goes_by_the_lines_of_the_labelmap(tmp_path):
    numbers = cvat(tmp_path, save_colours)
    save_grey(tmp_path / "SegmentationClass/a.png", classes_of(numbers, 2, 1))
    assert labels(read_one(tmp_path)) == [("1", "cell"), ("2", "road sign")]


def test_a_colour_that_is_not_in_the_labelmap_is_told(tmp_path):
    cvat(tmp_path, save_colours)
    write(tmp_path / "labelmap.txt", "a:250,50,83::\n")
    sample = read_one(tmp_path)
    assert labels(sample) == [("1", "a")]
    assert sample.issues[0].message == "the class mask has 10,20,30 there, and no name is known for that"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", {1: "cat", 2: "dog"}),
        ("background\ncat\ndog", {1: "cat", 2: "dog"}),
        ("__ignore__\n_background_\ncat\r\n\r\ntv/monitor\n", {1: "cat", 2: "tv/monitor"}),
        ("\ufeff# comment\n cat  # the first\nC#\nratio 1:2", {1: "cat", 2: "C#", 3: "ratio 1:2"}),
        ("background:::\ncat:::\ndog:::", {1: "cat", 2: "dog"}),
        ("cat:0,128,0::\ndog:128,0,0::\nvoid:224,224,192::", {2: "cat", 1: "dog"}),
        ("cat:0,128,0::\nbackground:0,0,0::\na:b:128,0,0::", {2: "cat", 1: "a:b"}),
    ],
)
def test_files_of_names(tmp_path, text, names):
    numbers = drawn("1.2.3")
    a_set(tmp_path / "set", objects={"a": numbers}, classes={"a": numbers}, save=save_palette)
    path = write(tmp_path / "names.txt", text)
    adapter = adapter_of(tmp_path / "set", labels=path)
    index = adapter.index()
    assert sorted(index.labels) == sorted(names.values())
    assert {int(i.id): i.label for i in adapter.read(index.entries[0].record).instances} == names
    for name in ("labelmap.txt", "class_names.txt"):
        path.replace(path := tmp_path / "set" / name)
        assert adapter_of(tmp_path / "set").index().labels == index.labels


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", None, "lists no class"),
        ("# nothing\n\n", None, "lists no class"),
        ("a:0,0,0::\nb:1,2::", 2, "'1,2' where the colour"),
        ("a:256,0,0::", 1, "'256,0,0' where the colour"),
        ("a:-1,0,0::", 1, "'-1,0,0' where the colour"),
        ("a:red::", 1, "'red' where the colour"),
        ("a:1,2,3::\nb:1,2,3::", 2, "the colour of another class"),
        (b"\xff\xfe", None, "cannot be read"),
    ],
)
def test_a_file_of_names_that_is_none(tmp_path, text, line, told):
    a_set(tmp_path, objects={"a": drawn("1")})
    path = write(tmp_path / "labelmap.txt", text)
    with pytest.raises(SourceError, match=told) as caught:
        adapter_of(tmp_path).index()
    assert (caught.value.path, caught.value.line) == (path, line)
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        adapter_of(tmp_path, labels=tmp_path / "nowhere.txt").index()


def test_labels_are_those_stated_and_then_those_of_the_files_by_the_alphabet(tmp_path):
    xml = {"a": a_file(an_object("zebra"), an_object("dog")), "b": a_file(an_object("cat"), an_object(None))}
    a_set(tmp_path, xml)
    assert adapter_of(tmp_path).index().labels == ("cat", "dog", "zebra")
    assert adapter_of(tmp_path, labels=("dog", "ant")).index().labels == ("dog", "ant", "cat", "zebra")


# boxes


@pytest.mark.parametrize(
    ("origin", "box"),
    [(1, (1, 2, 5, 6)), (0, (2, 3, 6, 7)), ("edges", (2, 3, 5, 6))],
)
def test_what_a_box_counts(tmp_path, origin, box):
    a_set(tmp_path, {"a": a_file(an_object("cat", (2, 3, 5, 6)))})
    sample = read_one(tmp_path, origin=origin)
    [instance] = sample.instances
    assert instance.shape == Box(**dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))
    assert (instance.id, instance.offset, sample.doubts) == ("1", 2, ())


def test_a_box_of_one_pixel_and_of_all(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("a", (1, 1, 1, 1)), an_object("b", (1, 1, WIDTH, HEIGHT)))})
    areas = [Rasteriser(WIDTH, HEIGHT).runs(i.shape).area for i in read_one(tmp_path).instances]
    assert areas == [1, WIDTH * HEIGHT]


def test_fractions_and_spaces_are_numbers(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("cat", (" 45.70000076293945 ", "\n2\n", "1e2", "6.0")))})
    assert read_one(tmp_path).instances[0].shape == Box(x0=44.70000076293945, y0=1, x1=100, y1=6)


def test_a_0_makes_the_origin_suspect(tmp_path):
    boxes = [(1, 1, 2, 2), (0, 1, 2, 2), (1, 0.5, 2, 2), (-3, 1, 2, 2)]
    a_set(tmp_path, {"a": a_file(*(an_object("cat", box) for box in boxes))})
    [doubt] = read_one(tmp_path).doubts
    assert (doubt.code, doubt.line, doubt.path) == ("origin-suspect", 3, str(tmp_path / "Annotations/a.xml"))
    assert "2 of 4 boxes" in doubt.message
    for origin in (0, "edges"):
        assert read_one(tmp_path, origin=origin).doubts == ()


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (an_object("cat", None), "object-shape-missing", "cat has no mask and no <bndbox>"),
        (an_object(None), "annotation-broken", "no <name>"),
        (an_object("  "), "annotation-broken", "no <name>"),
        (an_object("cat", ("one", 1, 1, 1)), "annotation-broken", "<xmin> is not a number: 'one'"),
        (an_object("cat", (1, 1, 1, "")), "annotation-broken", "no <ymax>"),
        ("<object><name>cat</name><bndbox/></object>", "annotation-broken", "no <xmin>"),
    ],
)
def test_an_object_that_says_nothing_costs_itself_alone(tmp_path, text, code, told):
    a_set(tmp_path, {"a": a_file(an_object("dog"), text, an_object("cat"))})
    sample = read_one(tmp_path)
    [issue] = sample.issues
    assert (issue.code, issue.object, issue.line, issue.loss) == (code, "2", 3, "object")
    assert issue.path == str(tmp_path / "Annotations/a.xml")
    assert told in issue.message
    assert labels(sample) == [("1", "dog"), ("3", "cat")]


def test_boxes_are_not_needed_beside_masks(two):
    write(two / "Annotations/a.xml", a_file(an_object("cat", ("x",) * 4), an_object("dog", None)))
    sample = read_one(two)
    assert (labels(sample), sample.issues, sample.doubts) == ([("1", "cat"), ("2", "dog")], (), ())


def test_parts_of_objects_are_no_objects(tmp_path):
    inside = "<part><name>head</name><bndbox/></part><object><name>nested</name></object>"
    a_set(tmp_path, {"a": a_file(f"<object><name>person</name>{inside}</object>")})
    sample = read_one(tmp_path)
    assert rows(sample.issues) == [["object-shape-missing", "1", 2]]
    assert adapter_of(tmp_path).index().labels == ("person",)


@pytest.mark.parametrize(
    ("tags", "attributes"),
    [
        ({}, {}),
        (
            {"difficult": "1", "truncated": "0", "occluded": 1},
            {"difficult": True, "truncated": False, "occluded": True},
        ),
        ({"difficult": " Yes ", "truncated": "no"}, {"difficult": True, "truncated": False}),
        ({"difficult": "TRUE", "truncated": "false"}, {"difficult": True, "truncated": False}),
        ({"difficult": "", "truncated": "Unspecified", "pose": ""}, {}),
        ({"pose": "Left"}, {"pose": "Left"}),
    ],
)
def test_attributes(tmp_path, tags, attributes):
    a_set(tmp_path, {"a": a_file(an_object("cat", **tags))})
    assert read_one(tmp_path).instances[0].attributes == attributes


# XML


@pytest.mark.parametrize(
    ("size", "found"),
    [
        (None, None),
        ((0, 0), None),
        (("", ""), None),
        ((8, 0), None),
        (("8.0", " 6 "), (8, 6)),
    ],
)
def test_a_size_may_be_missing(tmp_path, size, found):
    a_set(tmp_path, {"a": a_file(an_object(), size=size)})
    assert read_one(tmp_path).image.size == found


BOMB = (
    '<!DOCTYPE a [<!ENTITY x0 "x">'
    + "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 12))
    + "]>\n<annotation><object><name>&x11;</name></object></annotation>"
)
BROKEN = {
    "empty": ("", 1, "is not readable XML"),
    "text": ("size: 3\n", 1, "is not readable XML"),
    "truncated": (a_file(an_object(), an_object())[:-60], 3, "is not readable XML"),
    "other root": ("\n\n<annotations/>", 3, "its root is <annotations>"),
    "namespace": ("<annotation xmlns='x'/>", 1, "its root is <{x}annotation>"),
    "deep": ("<annotation>\n" + "<a>" * 300 + "</a>" * 300 + "</annotation>", 2, "depth"),
    "bomb": (BOMB, 1, ""),
    "dtd": ("<?xml version='1.0'?>\n<!DOCTYPE annotation SYSTEM 'voc.dtd'>\n<annotation/>", 2, "document type"),
    "internal": ("<!DOCTYPE annotation [<!ELEMENT annotation ANY>]>\n<annotation/>", 1, "document type"),
    "utf-16": ("<!DOCTYPE a>\n<annotation/>".encode("utf-16"), 1, "document type"),
    "undefined entity": ("<annotation>\n<object>&nbsp;</object></annotation>", 2, "'nbsp' not defined"),
    "nul": ("<annotation>\n\0</annotation>", 2, "is not readable XML"),
    "encoding": ("<?xml version='1.0' encoding='no-such'?><annotation/>", 1, "no-such"),
    "negative size": (a_file(size=(-8, 6)), 1, "the width of the image is '-8'"),
    "size of text": (a_file(size=(8, "six")), 1, "the height of the image is 'six'"),
    "size of nan": (a_file(size=("nan", 6)), 1, "the width of the image is 'nan'"),
    "broken size": (a_file(size=(8, 6.5)), 1, "the height of the image is '6.5'"),
    "infinite size": (a_file(size=("inf", 6)), 1, "'inf'"),
    "huge size": (a_file(size=(2**31, 6)), 1, "'2147483648'"),
    "huge": ("<annotation>" + " " * MAX_BYTES + "</annotation>", 1, "is longer than 16,777,216 bytes"),
}


@pytest.mark.parametrize(("text", "line", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_costs_its_image_alone(tmp_path, text, line, told):
    a_set(tmp_path, {"a": a_file(an_object("cat")), "b": "", "c": a_file(an_object("dog"))})
    path = write(tmp_path / "Annotations/b.xml", text)
    begun = time.process_time()
    adapter = adapter_of(tmp_path)
    index = adapter.index()
    assert (index.labels, len(index.entries), list(index.issues)) == (("cat", "dog"), 3, [])
    with pytest.raises(RecordError) as caught:
        adapter.read(index.entries[1].record)
    assert (caught.value.code, caught.value.path, caught.value.line) == ("record-broken", path, line)
    assert told in caught.value.message
    assert len(caught.value.message) < 200
    assert [len(adapter.read(index.entries[n].record).instances) for n in (0, 2)] == [1, 1]
    assert time.process_time() - begun < 5


def test_nothing_is_read_from_outside(tmp_path):
    """Neither a file nor a server, whether by an entity, a parameter entity or the document type itself."""
    secret = write(tmp_path / "secret.txt", "the secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.dtd"
        for declared in (
            f'[<!ENTITY e SYSTEM "{secret.as_uri()}">]',
            f'[<!ENTITY e SYSTEM "{(tmp_path / "gone").as_uri()}">]',
            f'[<!ENTITY e SYSTEM "{url}">]',
            f'[<!ENTITY % p SYSTEM "{url}"> %p; <!ENTITY e "x">]',
            f'SYSTEM "{url}"',
            f'PUBLIC "-//x//y" "{url}"',
        ):
            path = write(tmp_path / "a.xml", f"<!DOCTYPE annotation {declared}>\n<annotation>&e;</annotation>")
            with pytest.raises(RecordError) as caught:
                read_annotation(path)
            assert "has a document type" in caught.value.message
            assert caught.value.line in (1, 2)
        included = '<annotation xmlns:i="http://www.w3.org/2001/XInclude"><object><name>{}</name></object></annotation>'
        write(path, included.format(f'<i:include href="{secret.as_uri()}" parse="text"/>'))
        assert read_annotation(path).objects[0].name is None
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, code):
    text = a_file(an_object("naïve 細胞"))
    a_set(tmp_path, {"a": ""})
    write(tmp_path / "Annotations/a.xml", text.encode(code))
    assert labels(read_one(tmp_path)) == [("1", "naïve 細胞")]
    write(
        tmp_path / "Annotations/a.xml",
        b"<?xml version='1.0' encoding='iso-8859-1'?>" + a_file(an_object("né")).encode("latin-1"),
    )
    assert labels(read_one(tmp_path)) == [("1", "né")]


def test_comments_and_instructions_are_passed_over(tmp_path):
    a_set(tmp_path, {"a": a_file("<!-- <!DOCTYPE no> --><?no no?>", an_object("c<!-- no -->at"))})
    assert labels(read_one(tmp_path)) == [("1", "cat")]


def test_a_file_that_is_gone_costs_its_image(tmp_path):
    adapter = adapter_of(a_set(tmp_path, {"a": a_file(), "b": a_file()}))
    entries = adapter.index().entries
    (tmp_path / "Annotations/a.xml").unlink()
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        adapter.read(entries[0].record)
    assert adapter.read(entries[1].record).key == "b"


# folders


def test_the_only_year_below_the_root_is_found(two, tmp_path_factory):
    for below in ("VOC2012", "VOCdevkit/VOC2007"):
        root = tmp_path_factory.mktemp("root")
        (root / below).parent.mkdir(exist_ok=True)
        (root / below).symlink_to(two)
        assert labels(read_one(root)) == [("1", "cat"), ("2", "dog")]
    (root / "VOC2012").symlink_to(two)
    with pytest.raises(SourceError, match="holds VOC2012, VOC2007: name one of them as `root`"):
        adapter_of(root).index()


def test_loose_folders_with_the_xml_beside_the_images(tmp_path):
    for name in ("b", "a", "sub/c"):
        draw_image(tmp_path / f"{name}.png")
        write(tmp_path / f"{name}.xml", a_file(an_object("cat")))
    write(tmp_path / "notes.txt", "nothing")
    adapter = adapter_of(tmp_path)
    assert keys(adapter) == ["a", "b", "sub/c"]
    assert [sample.image.path for sample in read_all(adapter)] == [tmp_path / f"{n}.png" for n in ("a", "b", "sub/c")]
    assert keys(adapter_of(None, annotations=tmp_path)) == ["a", "b", "sub/c"]


def test_masks_and_images_in_folders_of_any_name(tmp_path):
    numbers = drawn(OBJECTS)
    draw_image(tmp_path / "pictures/a.jpg")
    (tmp_path / "m").mkdir()
    save_palette(tmp_path / "m/a.png", numbers)
    for options in ({}, {"root": tmp_path}):
        adapter = VocAdapter(
            VocOptions(images=tmp_path / "pictures", object_masks=tmp_path / "m", labels=("cell",), **options)
        )
        assert keys(adapter) == ["a"]
        assert_masks(read_all(adapter)[0], numbers)


def test_each_folder_can_be_named_apart(two):
    for kind, usual in (
        ("annotations", "Annotations"),
        ("images", "JPEGImages"),
        ("object_masks", "SegmentationObject"),
        ("class_masks", "SegmentationClass"),
    ):
        (two / usual).rename(two / f"my {kind}")
        [sample] = read_all(adapter_of(two, **{kind: two / f"my {kind}"}))
        assert labels(sample) == [("1", "cat"), ("2", "dog")]
        assert sample.image.path.parent == two / ("my images" if kind == "images" else "JPEGImages")
        (two / f"my {kind}").rename(two / usual)


def test_masks_beside_the_images_are_no_images(tmp_path):
    """A folder of `a.jpg` with the mask `a.png`; other folders below that of the images are passed over, too."""
    draw_image(tmp_path / "a.jpg")
    save_palette(tmp_path / "a.png", drawn("1"))
    (tmp_path / "classes").mkdir()
    save_palette(tmp_path / "classes/a.png", drawn("3"))
    adapter = adapter_of(tmp_path, object_masks=tmp_path, class_masks=tmp_path / "classes", labels=("x", "y", "z"))
    index = adapter.index()
    assert [(entry.key, entry.record.image) for entry in index.entries] == [("a", "a.jpg")]
    assert index.issues == []
    assert labels(read_all(adapter)[0]) == [("1", "z")]


def test_labelmes_names_of_folders(tmp_path):
    numbers = drawn("1.2")
    a_set(tmp_path, objects={"a": numbers}, classes={"a": numbers})
    for home in ("SegmentationObject", "SegmentationClass"):
        (tmp_path / home).rename(tmp_path / f"{home}PNG")
    assert labels(read_one(tmp_path, labels=("cat", "dog"))) == [("1", "cat"), ("2", "dog")]


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ((), "there is no annotation file and no instance mask"),
        (("JPEGImages", "Annotations"), "there is no annotation file and no instance mask"),
        (("VOC2012",), "there is no annotation file"),
    ],
)
def test_a_source_with_nothing_in_it(tmp_path, folders, told):
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(SourceError, match=told) as caught:
        adapter_of(tmp_path).index()
    assert "`annotations`" in caught.value.message


def test_class_masks_alone_are_not_enough(tmp_path):
    a_set(tmp_path, classes={"a": drawn("1")}, images=("a",))
    with pytest.raises(SourceError, match="class masks alone do not tell objects apart"):
        adapter_of(tmp_path).index()


def test_folders_that_are_not_there(tmp_path):
    for options in ({"root": tmp_path / "no"}, {"root": tmp_path, "images": tmp_path / "no"}):
        with pytest.raises(SourceError, match="there is no such folder") as caught:
            VocAdapter(VocOptions(**options)).index()
        assert caught.value.path == tmp_path / "no"
    with pytest.raises(SourceError, match="no folder is named: give `root`"):
        VocAdapter(VocOptions()).index()


def test_a_folder_that_cannot_be_listed(two, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", os.fspath(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match="cannot be listed: Permission denied") as caught:
        adapter_of(two).index()
    assert caught.value.path == str(two / "Annotations")


def test_suffixes_in_capitals(two):
    (two / "Annotations/a.xml").rename(two / "Annotations/a.XML")
    (two / "JPEGImages/a.jpg").rename(two / "JPEGImages/a.JPG")
    (two / "SegmentationObject/a.png").rename(two / "SegmentationObject/a.PNG")
    sample = read_one(two)
    assert (labels(sample), sample.image.path.name) == ([("1", "cat"), ("2", "dog")], "a.JPG")


# which files belong together


def test_xml_without_masks_and_masks_without_xml(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("cat"))}, {"b": drawn(OBJECTS)})
    boxed, masked = read_all(adapter_of(tmp_path, labels=("cell",)))
    assert [instance.shape.kind for instance in boxed.instances] == ["box"]
    assert [instance.shape.kind for instance in masked.instances] == ["rle", "rle"]
    assert masked.image.size is None
    assert boxed.doubts == masked.doubts == ()


def test_an_image_without_either_is_kept_and_told(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("cat"))}, images=("a", "b"))
    sample = read_all(adapter_of(tmp_path))[1]
    assert (sample.key, sample.instances, sample.issues) == ("b", (), ())
    assert [doubt.code for doubt in sample.doubts] == ["annotation-missing"]


def test_an_annotation_without_an_image_is_a_missing_image(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("cat"), filename="x.PNG"), "b": a_file(filename="b")}, images=())
    samples = read_all(adapter_of(tmp_path))
    assert [sample.image.path for sample in samples] == [tmp_path / "JPEGImages" / n for n in ("x.png", "b.jpg")]


def test_a_filename_that_differs_from_the_name_of_the_file(tmp_path):
    """It is followed only where no image has the name of the file, and to an image that is nobody else's."""
    xml = {
        "a": a_file(filename="b.jpg"),
        "c": a_file(filename="C:\\pictures\\photo.png"),
        "d": a_file(filename="a.jpg"),
        "e": a_file(filename="../../photo.png"),
    }
    a_set(tmp_path, xml, images=("a.jpg", "b.jpg", "photo.png"))
    adapter = adapter_of(tmp_path)
    index = adapter.index()
    found = {entry.key: entry.record.image for entry in index.entries}
    assert found == {"a": "a.jpg", "b": "b.jpg", "c": "photo.png", "d": "d.jpg"}
    assert [(i.code, i.record, i.loss) for i in index.issues] == [("image-key-duplicate", "e", "image")]
    assert index.issues[0].path == str(tmp_path / "Annotations/e.xml")


def test_two_images_of_one_name(tmp_path):
    a_set(tmp_path, {"a": a_file()}, images=("a.png", "a.jpg", "a.jpeg"))
    index = adapter_of(tmp_path).index()
    assert [entry.record.image for entry in index.entries] == ["a.jpg"]
    assert [(i.code, i.record, Path(i.path).name, i.loss) for i in index.issues] == [
        ("image-name-ambiguous", "a", "a.jpeg", "image"),
        ("image-name-ambiguous", "a", "a.png", "image"),
    ]


def test_names_with_points_and_spaces(tmp_path):
    names = ("a.b.c", "a weird name.asdf", "sub/x y")
    a_set(tmp_path, {name: a_file(an_object("cat")) for name in names}, images=tuple(f"{n}.jpg" for n in names))
    samples = read_all(adapter_of(tmp_path))
    assert [sample.key for sample in samples] == ["a weird name.asdf", "a.b.c", "sub/x y"]
    assert all(sample.image.path.is_file() for sample in samples)


def test_sub_folders(tmp_path):
    numbers = drawn("1.2")
    a_set(tmp_path, {"x/a": a_file(an_object("cat"), an_object("dog"))}, {"x/a": numbers}, {"x/a": numbers})
    sample = read_one(tmp_path)
    assert (sample.key, labels(sample)) == ("x/a", [("1", "cat"), ("2", "dog")])


# lists of images


def test_a_list_has_its_own_order(tmp_path):
    a_set(tmp_path, {name: a_file() for name in "abcd"}, lists={"Main/some": "c\n\n  a\r\nd"})
    assert keys(adapter_of(tmp_path, image_set="Main/some")) == ["c", "a", "d"]
    assert keys(adapter_of(tmp_path)) == ["a", "b", "c", "d"]
    write(tmp_path / "mine.txt", "\ufeffb\n")
    assert keys(adapter_of(tmp_path, image_set=tmp_path / "mine.txt")) == ["b"]
    assert keys(adapter_of(tmp_path, image_set=str(tmp_path / "mine.txt"))) == ["b"]


def test_lists_of_one_class_and_quoted_names(tmp_path):
    a_set(tmp_path, {name: a_file() for name in ("2007_000001", "a b", "c", "x 1", "sub/d")})
    write(tmp_path / "l.txt", '2007_000001 -1\n"a b"  1\nc\t0\n"x 1"\nsub\\d 1\n')
    assert keys(adapter_of(tmp_path, image_set=tmp_path / "l.txt")) == ["2007_000001", "a b", "c", "x 1", "sub/d"]


def test_a_list_may_say_suffixes(tmp_path):
    a_set(tmp_path, {"a": a_file(), "b.jpg": a_file()}, images=("a.jpg", "b.jpg.png"))
    write(tmp_path / "l.txt", "./a.jpg\nb.jpg\n")
    assert keys(adapter_of(tmp_path, image_set=tmp_path / "l.txt")) == ["a", "b.jpg"]


def test_what_a_list_names_in_vain(tmp_path):
    a_set(tmp_path / "set", {"a": a_file()})
    write(tmp_path / "set/a.xml", a_file())
    write(tmp_path / "outside.xml", a_file())
    names = ["a", "gone", "../../outside", "/etc/hostname", "sub/../a", "a", "..\\a"]
    path = write(tmp_path / "l.txt", "\n".join(names))
    index = adapter_of(tmp_path / "set", image_set=path).index()
    assert [entry.key for entry in index.entries] == ["a"]
    assert [(i.code, i.record, i.line, i.loss) for i in index.issues] == [
        ("image-missing", "gone", 2, "image"),
        ("image-outside-folder", "../../outside", 3, "image"),
        ("image-outside-folder", "/etc/hostname", 4, "image"),
        ("image-outside-folder", "sub/../a", 5, "image"),
        ("image-key-duplicate", "a", 6, None),
        ("image-outside-folder", "../a", 7, "image"),
    ]
    assert {issue.path for issue in index.issues} == {str(path)}
    assert index.issues[4].severity == "warning"


def test_links_do_not_lead_outside_either(tmp_path):
    """A link to a folder is not followed, one to an image is refused by the core."""
    draw_image(tmp_path / "outside/a.jpg")
    write(tmp_path / "set/Annotations/b.xml", a_file())
    (tmp_path / "set/JPEGImages").mkdir()
    (tmp_path / "set/JPEGImages/sub").symlink_to(tmp_path / "outside")
    (tmp_path / "set/JPEGImages/b.jpg").symlink_to(tmp_path / "outside/a.jpg")
    [sample] = read_all(adapter_of(tmp_path / "set"))
    with pytest.raises(Exception, match="leads out of"):
        sample.to_numpy()


@pytest.mark.parametrize(
    ("image_set", "told"),
    [
        ("Segmentation/trainva", "has no list 'Segmentation/trainva'; did you mean 'Segmentation/trainval'?"),
        ("Segmentation/empty", "lists no image"),
        ("nowhere.txt", "cannot be read: No such file"),
    ],
)
def test_lists_that_are_not_there(tmp_path, image_set, told):
    a_set(tmp_path, {"a": a_file()}, lists={"Segmentation/trainval": "a", "Segmentation/empty": "\n \n"})
    with pytest.raises(SourceError, match=told.replace("?", r"\?")):
        adapter_of(tmp_path, image_set=image_set).index()


def test_a_list_that_is_no_text_or_has_no_folder(tmp_path):
    a_set(tmp_path, {"a": a_file()})
    with pytest.raises(SourceError, match="has no `ImageSets`"):
        adapter_of(tmp_path, image_set="Main/train").index()
    path = write(tmp_path / "l.txt", b"\xff\xff")
    with pytest.raises(SourceError, match="cannot be read"):
        adapter_of(tmp_path, image_set=path).index()


LISTS = {
    "Main/train": "a\nb",
    "Main/val": "c\nd",
    "Main/trainval": "a\nb\nc\nd",
    "Main/cat_train": "a 1\nb -1",
    "Segmentation/val": "a\nc",
    "Segmentation/train": "b\nc",
    "Segmentation/test": "e.jpg",
}


@pytest.mark.parametrize(
    ("image_set", "splits", "twice"),
    [
        (None, {"a": "val", "b": "train", "c": "train", "d": None, "e": "test"}, ["c"]),
        ("Main/trainval", {"a": "train", "b": "train", "c": "val", "d": "val"}, []),
        ("Main/cat_train", {"a": "train", "b": "train"}, []),
        ("Main/val", {"c": "val", "d": "val"}, []),
        ("Segmentation/val", {"a": "val", "c": "val"}, []),
    ],
)
def test_splits_are_those_of_the_lists(tmp_path, image_set, splits, twice):
    a_set(tmp_path, {name: a_file() for name in "abcde"}, lists=LISTS)
    index = adapter_of(tmp_path, image_set=image_set).index()
    assert {entry.key: entry.split for entry in index.entries} == splits
    assert [(i.code, i.record, i.line, i.loss) for i in index.issues] == [
        ("split-ambiguous", n, 2, None) for n in twice
    ]


def test_a_list_that_is_no_split_gives_none(tmp_path):
    a_set(tmp_path, {"a": a_file()}, lists={"Segmentation/default": "a"})
    assert [entry.split for entry in adapter_of(tmp_path).index().entries] == [None]


# the index


ENDLESS = [("nan", 1, 2, 2), (1, 1, "inf", 2), (5, 1, 1, "inf"), ("-inf", "-inf", "inf", "inf")]


def test_entries_state_what_the_files_say(tmp_path):
    xml = {
        "a": a_file(an_object("cat", (1, 1, 5, 4)), an_object("dog", (1, 1, 1001, 1001)), size=(20, 10)),
        "b": a_file(*(an_object("cat", box) for box in (None, *ENDLESS, (5, 5, 1, 1), (1, 1, 1e200, 1e200)))),
        "c": a_file(an_object("cat"), size=None),
        "d": "broken",
    }
    entries = adapter_of(a_set(tmp_path, xml, {"e": drawn("1")})).index().entries
    found = [(entry.key, entry.pixels, entry.positives, entry.id) for entry in entries]
    assert found[0] == ("a", 200, (4 * 3 + 200) // 2, None)
    assert found[1] == ("b", 48, 24, None)
    assert found[2:] == [("c", 0, 0, None), ("d", 0, 0, None), ("e", 0, 0, None)]


def test_records_are_small_and_pickle(two):
    adapter = adapter_of(two)
    [entry] = adapter.index().entries
    packed = pickle.dumps((adapter, entry.record))
    assert len(packed) < 2000
    again, record = pickle.loads(packed)  # noqa: S301 - pickled above
    assert again.read(record) == adapter.read(entry.record)
    assert vars(again) == {"options": adapter.options}


def test_the_files_are_read_once_by_the_index(two, monkeypatch):
    read = []
    monkeypatch.setattr(voc_index, "read_annotation", lambda path: read.append(path) or read_annotation(path))
    adapter_of(two).index()
    assert read == [two / "Annotations/a.xml"]


def test_the_order_is_not_that_of_the_file_system(tmp_path, monkeypatch):
    a_set(tmp_path, {name: a_file() for name in ("b", "a", "B", "10", "2")})
    for name in ("b", "10"):
        draw_image(tmp_path / "JPEGImages" / f"{name}.png")
    walk = os.walk

    def backwards(folder, **options):
        for home, folders, files in walk(folder, **options):
            yield home, folders, sorted(files, reverse=True)

    before = adapter_of(tmp_path).index()
    monkeypatch.setattr(os, "walk", backwards)
    assert adapter_of(tmp_path).index() == before
    assert [entry.key for entry in before.entries] == ["10", "2", "B", "a", "b"]
    assert [issue.record for issue in before.issues] == ["10", "b"]


# masks that are broken


@pytest.mark.parametrize("home", ["SegmentationObject", "SegmentationClass"])
@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "cut"])
def test_a_broken_mask_costs_its_image(two, home, content):
    path = two / home / "a.png"
    write(path, path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(RecordError) as caught:
        read_one(two)
    assert (caught.value.code, caught.value.path) == ("mask-unreadable", path)


def test_masks_of_two_sizes(two):
    save_palette(two / "SegmentationClass/a.png", drawn("111 111"))
    with pytest.raises(RecordError, match="the class mask has 3 x 2 pixels, the instance mask 8 x 6") as caught:
        read_one(two)
    assert (caught.value.code, caught.value.path) == ("mask-size-differs", two / "SegmentationClass/a.png")


# options


@pytest.mark.parametrize(
    "options",
    [{"origin": 2}, {"origin": "0"}, {"labels": []}, {"labels": 3}, {"rot": "x"}, {"image_set": 3}, {"image_set": []}],
    ids=str,
)
def test_options_that_are_none(options):
    with pytest.raises(ValidationError):
        VocOptions.model_validate({"root": "x", **options})


def test_paths_are_taken_from_the_folder_of_the_yaml(tmp_path):
    given = {"root": "r", "images": "i", "image_set": "lists/a.txt", "labels": "l.txt", "origin": "edges"}
    options = VocOptions.model_validate(given, context={"base": tmp_path})
    assert (options.root, options.images) == (tmp_path / "r", tmp_path / "i")
    assert (options.image_set, options.labels) == (tmp_path / "lists/a.txt", tmp_path / "l.txt")
    assert VocOptions.model_validate(options.model_dump(mode="json")) == options
    options = VocOptions.model_validate({"image_set": "Main/train", "labels": ["a", "b"]}, context={"base": tmp_path})
    assert (options.image_set, options.labels) == ("Main/train", ("a", "b"))
    assert VocOptions.model_validate(options.model_dump(mode="json")) == options


def test_every_option_is_described():
    assert [name for name, field in VocOptions.model_fields.items() if not field.description] == []


# through the core


def config_of(root: Path, **sections: object):
    source = {"adapter": "voc", "root": str(root), **sections.pop("source", {})}
    tree = {"sources": [source], "output": {"directory": "out"}, "run": {"executor": "serial"}, **sections}
    return load_config(write(root / "config.yaml", json.dumps(tree)))


def test_boxes_by_policy(tmp_path):
    a_set(tmp_path, {"a": a_file(an_object("cat", (1, 1, 4, 3)), an_object("cat", (5, 5, 4, 4)))})
    with pytest.raises(IssueError) as caught:
        rehearse(config_of(tmp_path))
    issue = caught.value.issue
    assert (issue.code, issue.path, issue.line) == ("object-box-only", str(tmp_path / "Annotations/a.xml"), 2)
    report = rehearse(config_of(tmp_path, objects={"boxes": "skip"}))
    assert report.total.objects_dropped == {"object-box-only": 2}
    report = rehearse(config_of(tmp_path, objects={"boxes": "rectangle"}))
    assert (report.total.objects_written, report.total.objects_dropped) == (1, {"mask-empty": 1})


def test_difficult_by_policy(two):
    write(two / "Annotations/a.xml", a_file(an_object("cat", difficult=1), an_object("dog", difficult=0)))
    assert rehearse(config_of(two)).total.objects_written == 2
    report = rehearse(config_of(two, objects={"difficult": "skip"}))
    assert (report.total.objects_by_class, report.total.objects_dropped) == ({"dog": 1}, {"object-difficult": 1})
    [[line]] = report.flatten(["line"])
    assert line == 2


def test_a_disagreement_may_cost_the_image(two):
    swapped(two)
    assert rehearse(config_of(two)).total.images_written == 1
    severity = {"issues": {"objects-masks-disagree": "error"}}
    report = rehearse(config_of(two, on_error="skip-object", **severity))
    assert report.total.images_dropped == {"objects-masks-disagree": 1}
    assert report.total.objects_dropped == {"object-lost-with-image": 2}
    with pytest.raises(IssueError):
        rehearse(config_of(two, **severity))


def test_a_mask_of_another_size_than_the_image_costs_its_objects(two):
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(two / "JPEGImages/a.jpg")
    write(two / "Annotations/a.xml", a_file(an_object("cat"), an_object("dog"), size=None))
    report = convert(config_of(two, on_error="skip-object"))
    assert report.total.objects_dropped == {"mask-size-differs": 2}
    assert report.total.adds_up


def test_workers_find_the_same(two):
    for number in range(6):
        for home, suffix in (("Annotations", "xml"), ("SegmentationObject", "png"), ("SegmentationClass", "png")):
            write(two / home / f"{number}.{suffix}", (two / home / f"a.{suffix}").read_bytes())
        draw_image(two / "JPEGImages" / f"{number}.jpg")
    written = []
    for executor in ("serial", "processes"):
        run = {"executor": executor, "workers": 2}
        output = {"directory": executor, "shard_size": "2 images"}
        convert(config_of(two, run=run, output=output))
        written.append({path.name: path.read_bytes() for path in (two / executor).glob("*.tfrecord")})
    assert written[0] == written[1]
    assert len(written[0]) == 4
