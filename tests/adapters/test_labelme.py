"""The LabelMe adapter against files written out by hand, and masks drawn out in full.

The drawings are those of `labelme.utils.shape_to_mask` in LabelMe 6.3.1; `tests/judges/labelme_masks.py` asks it anew.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from maskflow_adapters.labelme import LabelmeAdapter, LabelmeOptions
from maskflow_convert import Drawing, Frame, Loss, Polygons, Union
from maskflow_convert.checks import Objects, find
from maskflow_convert.config import Config
from maskflow_convert.errors import ImageError, RecordError, ShapeError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.pipeline import convert

WIDTH, HEIGHT = 9, 7
TRIANGLE = [[1, 1], [7, 1], [7, 5]]


def doubts(instance):
    mask = Rasteriser(WIDTH, HEIGHT).runs(instance.shape)
    return [issue for _, issue in find(Objects([instance], [mask], WIDTH, HEIGHT))]


def a_shape(label="cell", points=TRIANGLE, shape_type="polygon", **fields):
    return {"label": label, "points": points, "group_id": None, "shape_type": shape_type, "flags": {}, **fields}


def a_file(*shapes, **fields):
    return {
        "version": "5.7.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **fields,
    }


def write(path, content):
    """A file with that content: bytes as they are, all else as JSON, a line for each item of a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(one_each_line(content), encoding="utf-8")
    return path


def one_each_line(content):
    """The first line is the brace, the second begins the list of shapes, the third is the first shape."""
    shapes = ",\n".join(map(json.dumps, content["shapes"]))
    rest = json.dumps({key: value for key, value in content.items() if key != "shapes"})
    return '{\n"shapes": [\n' + shapes + "\n]" + (",\n" + rest[1:] if rest != "{}" else "}")


def adapter_of(folder, content, **options):
    return LabelmeAdapter(LabelmeOptions(annotations=write(folder / "a.json", content), **options))


def read_one(folder, *shapes, **options):
    return adapter_of(folder, a_file(*shapes), **options).read("a.json")


def rows(issues):
    return [[issue.code, issue.object, issue.line] for issue in issues]


def drawn(shape, width=WIDTH, height=HEIGHT):
    mask = Rasteriser(width, height).runs(shape).to_dense()
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def in_base64(data):
    return base64.b64encode(data).decode()


def a_mask(points, pixels, **fields):
    return a_shape(points=points, shape_type="mask", mask=in_base64(png(pixels)), **fields)


# what each type of shape covers

DRAWINGS = {
    "polygon": (
        a_shape(points=[[1.9, 1.9], [7.2, 1.2], [4.5, 5.9]]),
        """
        .........
        .#######.
        ..#####..
        ...###...
        ...###...
        ....#....
        .........""",
    ),
    "rectangle, corners in any order": (
        a_shape(points=[[6.9, 4.2], [2, 1]], shape_type="rectangle"),
        """
        .........
        ..#####..
        ..#####..
        ..#####..
        ..#####..
        .........
        .........""",
    ),
    "oriented_rectangle": (
        a_shape(points=[[4, 0], [7, 3], [4, 6], [1, 3]], shape_type="oriented_rectangle"),
        """
        ....#....
        ...###...
        ..#####..
        .#######.
        ..#####..
        ...###...
        ....#....""",
    ),
    "circle": (
        a_shape(points=[[4, 3], [6, 3]], shape_type="circle"),
        """
        .........
        ...###...
        ..#####..
        ..#####..
        ..#####..
        ...###...
        .........""",
    ),
    "circle of fractions": (
        a_shape(points=[[4.5, 3.5], [2.5, 2]], shape_type="circle"),
        """
        .........
        ....##...
        ...####..
        ..######.
        ..######.
        ...####..
        ....##...""",
    ),
    "circle over the corner": (
        a_shape(points=[[0, 0], [3, 0]], shape_type="circle"),
        """
        ####.....
        ####.....
        ###......
        ##.......
        .........
        .........
        .........""",
    ),
    "line": (
        a_shape(points=[[1, 1], [7, 5]], shape_type="line"),
        """
        ..#......
        .###.....
        ######...
        ..#####..
        ...######
        .....###.
        ......#..""",
    ),
    "linestrip": (
        a_shape(points=[[1, 1], [6, 1], [6, 5]], shape_type="linestrip"),
        """
        .######..
        .#######.
        .#######.
        .....###.
        .....###.
        .....###.
        .........""",
    ),
    "point": (
        a_shape(points=[[4, 3]], shape_type="point"),
        """
        .........
        ...##....
        ..####...
        ..####...
        ...##....
        .........
        .........""",
    ),
    "points": (
        a_shape(points=[[4, 3], [8, 6]], shape_type="points"),
        """
        .........
        ...##....
        ..####...
        ..####...
        ...##..##
        ......###
        ......###""",
    ),
    "mask": (
        a_mask([[3, 2], [5, 3]], [[0, 1, 1], [1, 0, 0]]),
        """
        .........
        .........
        ....##...
        ...#.....
        .........
        .........
        .........""",
    ),
}
STROKES = {"line_width": 3, "point_radius": 1.5}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_pixels_are_those_of_labelme(tmp_path, name):
    shape, expected = DRAWINGS[name]
    sample = read_one(tmp_path, shape, **STROKES)
    assert sample.issues == ()
    assert drawn(sample.instances[0].shape) == expected.split()


@pytest.mark.parametrize("shape_type", [None, "", "absent"])
def test_a_shape_of_an_old_file_is_a_polygon(tmp_path, shape_type):
    """LabelMe 3 had no types at first, colours, and no size."""
    shape = {"label": "cell", "line_color": None, "fill_color": None, "points": TRIANGLE, "shape_type": shape_type}
    if shape_type == "absent":
        del shape["shape_type"]
    content = {"version": "3.2.1", "flags": {}, "shapes": [shape], "lineColor": [0, 255, 0, 128], "imagePath": "a.png"}
    adapter = adapter_of(tmp_path, content)
    [entry] = adapter.index().entries
    sample = adapter.read(entry.record)
    assert (entry.pixels, sample.image.size) == (0, None)
    [instance] = sample.instances
    assert instance.shape == Polygons(parts=((1, 1, 7, 1, 7, 5),), rasteriser="labelme")
    assert instance.attributes == {}


coordinates = st.integers(-3, 12).map(float) | st.floats(-3, 12, width=16)


@given(x=st.tuples(coordinates, coordinates), y=st.tuples(coordinates, coordinates))
def test_a_rectangle_of_four_corners_has_the_pixels_of_one_of_two(tmp_path_factory, x, y):
    """X-AnyLabeling writes four."""
    two = [[x[0], y[0]], [x[1], y[1]]]
    four = [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]
    folder = tmp_path_factory.getbasetemp()
    shapes = [a_shape(points=points, shape_type="rectangle") for points in (two, four)]
    one, other = read_one(folder, *shapes).instances
    assert drawn(one.shape) == drawn(other.shape)


@pytest.mark.parametrize("shape_type", ["rectangle", "rotation", "quadrilateral"])
def test_four_corners_of_any_angle_are_those_of_an_oriented_rectangle(tmp_path, shape_type):
    shape, expected = DRAWINGS["oriented_rectangle"]
    [instance] = read_one(tmp_path, {**shape, "shape_type": shape_type, "direction": 0.7}).instances
    assert drawn(instance.shape) == expected.split()


@pytest.mark.parametrize(
    ("shape_type", "points", "option"),
    [
        ("point", [[4, 3]], "point_radius"),
        ("points", [[4, 3], [8, 6]], "point_radius"),
        ("line", [[1, 1], [7, 5]], "line_width"),
        ("linestrip", [[1, 1], [6, 1], [6, 5]], "line_width"),
    ],
)
def test_what_has_no_area_is_an_issue_unless_it_is_to_be_drawn(tmp_path, shape_type, points, option):
    shape = a_shape(points=points, shape_type=shape_type)
    other = {"point_radius": "line_width", "line_width": "point_radius"}[option]
    for options in ({}, {other: 3}):
        sample = read_one(tmp_path, a_shape(), shape, **options)
        assert rows(sample.issues) == [["object-without-area", "2", 4]]
        assert option in sample.issues[0].message
        assert sample.issues[0].loss is Loss.OBJECT
        assert [instance.id for instance in sample.instances] == ["1"]
    assert len(read_one(tmp_path, shape, **{option: 3}).instances) == 1


@pytest.mark.parametrize(
    "options",
    [{"line_width": 0}, {"line_width": 2.5}, {"point_radius": 0}, {"point_radius": -1}, {"point_radius": math.inf}],
)
def test_strokes_without_a_width_are_refused(tmp_path, options):
    with pytest.raises(ValidationError):
        LabelmeOptions(annotations=tmp_path, **options)


# masks

PATCH = [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("corners", "x", "y"),
    [
        ([[0, 0], [2, 1]], 0, 0),
        ([[6, 5], [8, 6]], 6, 5),
        ([[3.0, 2.0], [5.0, 3.0]], 3, 2),
        ([[2.6, 2.4], [4.6, 3.4]], 3, 2),
        ([[2.5, 3.5], [4.5, 4.5]], 2, 4),
        ([[3, 2], [5.4, 3.9]], 3, 2),
        ([[7, 6], [9, 7]], 7, 6),
        ([[-1, -1], [1, 0]], -1, -1),
    ],
)
def test_a_mask_lies_at_its_corner(tmp_path, corners, x, y):
    """Halves are rounded to even, as LabelMe rounds them since its pull request 2504."""
    [instance] = read_one(tmp_path, a_mask(corners, PATCH)).instances
    placed = {(x + column, y + row) for row, line in enumerate(PATCH) for column, one in enumerate(line) if one}
    expected = [["#" if (column, row) in placed else "." for column in range(WIDTH)] for row in range(HEIGHT)]
    assert drawn(instance.shape) == list(map("".join, expected))
    outside = x < 0 or y < 0 or x + 3 > WIDTH or y + 2 > HEIGHT
    found = [issue.code for issue in doubts(instance)]
    assert found == ["mask-outside-image"] * outside


@pytest.mark.parametrize("values", [[[0, 1], [1, 0]], [[0, 255], [7, 0]]])
def test_whatever_is_not_0_belongs_to_the_mask(tmp_path, values):
    [instance] = read_one(tmp_path, a_mask([[0, 0], [1, 1]], values)).instances
    assert drawn(instance.shape, 2, 2) == [".#", "#."]


@pytest.mark.parametrize("corners", [[[0, 0], [2, 2]], [[0, 0], [3, 1]], [[0, 0], [1, 0]], [[2, 1], [0, 0]]])
def test_a_mask_and_its_corners_that_disagree(tmp_path, corners):
    [instance] = read_one(tmp_path, a_mask(corners, PATCH)).instances
    [issue] = [issue for issue in doubts(instance) if issue.code == "mask-patch-differs"]
    (x0, y0), (x1, y1) = corners
    assert f"3 x 2 pixels, its place in the image {x1 - x0 + 1} x {y1 - y0 + 1}" in issue.message


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mask": None}, "object-shape-missing"),
        ({"mask": ""}, "object-shape-missing"),
        ({"mask": "A"}, "mask-unreadable"),
        ({"mask": "Zürich"}, "mask-unreadable"),
        ({"mask": 5}, "annotation-broken"),
        ({"points": [[0, 0]]}, "annotation-broken"),
        ({"points": [[0, 0], [2, 1], [3, 3]]}, "annotation-broken"),
        ({"points": [[math.nan, 0], [2, 1]]}, "polygon-not-finite"),
        ({"points": [[0, math.inf], [2, 1]]}, "polygon-not-finite"),
    ],
)
def test_a_mask_that_cannot_be_used(tmp_path, fields, code):
    sample = read_one(tmp_path, a_shape(), {**a_mask([[0, 0], [2, 1]], PATCH), **fields})
    assert rows(sample.issues) == [[code, "2", 4]]
    assert len(sample.instances) == 1


@pytest.mark.parametrize("data", [b"", b"text", png(PATCH)[:-20], png(np.zeros((2, 3, 3)))])
def test_bytes_that_are_no_mask_are_refused_where_they_are_decoded(tmp_path, data):
    shape = a_shape(points=[[0, 0], [2, 1]], shape_type="mask", mask=in_base64(data) or "====")
    [instance] = read_one(tmp_path, shape).instances
    with pytest.raises(ShapeError) as caught:
        drawn(instance.shape)
    assert caught.value.code == "mask-unreadable"


def test_a_mask_beyond_all_measure_has_no_pixel(tmp_path):
    [instance] = read_one(tmp_path, a_mask([[1e300, -1e300], [1e300, -1e300]], PATCH)).instances
    assert set("".join(drawn(instance.shape))) == {"."}


# instances


def test_a_label_and_a_group_make_an_instance(tmp_path):
    square, dot, stroke = [[0, 0], [1, 0], [1, 1], [0, 1]], [[3, 3], [3, 3], [3, 3]], [[8, 0], [8, 6]]
    sample = read_one(
        tmp_path,
        a_shape("car", square, group_id=0),
        a_shape("car", dot),
        a_shape("bus", stroke, "rectangle", group_id=0),
        a_shape("car", dot, group_id=1),
        a_shape("car", stroke, "rectangle", group_id=0),
        a_mask([[4, 5], [6, 6]], PATCH, label="bus", group_id=0),
        a_shape("car", dot),
        a_shape("car", dot, group_id="0"),
    )
    assert sample.issues == ()
    assert [(i.label, i.id) for i in sample.instances] == [
        ("car", "1"),
        ("car", "2"),
        ("bus", "3"),
        ("car", "4"),
        ("car", "7"),
        ("car", "8"),
    ]
    assert drawn(sample.instances[0].shape) == ["##......#", "##......#", *["........#"] * 5]
    assert drawn(sample.instances[2].shape) == [*["........#"] * 5, ".....##.#", "....#...#"]
    assert all(drawn(sample.instances[at].shape)[3] == "...#....." for at in (1, 3, 4, 5))


def test_instances_may_overlap(tmp_path):
    first, second = read_one(tmp_path, a_shape("car"), a_shape("bus")).instances
    assert drawn(first.shape) == drawn(second.shape)


def test_a_broken_shape_costs_its_instance_and_no_other(tmp_path):
    sample = read_one(
        tmp_path,
        a_shape("car", group_id=7),
        a_shape("bus", group_id=7),
        a_shape("car", group_id=7, shape_type="cloud"),
        a_shape("car", group_id=7, shape_type="fog"),
        a_shape("car", group_id=[7]),
    )
    assert [(i.label, i.id) for i in sample.instances] == [("bus", "2")]
    assert rows(sample.issues) == [["annotation-broken", "1", 5], ["annotation-broken", "5", 7]]
    assert [issue.path for issue in sample.issues] == [str(tmp_path / "a.json")] * 2


def test_labels_that_differ_within_a_group_are_told(tmp_path):
    sample = read_one(
        tmp_path,
        a_shape("nose", [[2, 2]], "point", group_id=7),
        a_shape("spine", [[2, 2], [3, 3]], "line", group_id=7),
        a_shape("__ignore__", group_id=7),
        a_shape("cat", group_id=7),
        a_shape("cat", group_id=7),
        a_shape("dog", group_id="7"),
        a_shape("dog", [[2, 2]], "point", group_id=7),
        a_shape("dog", group_id=7, shape_type=7),
        a_shape("cow", group_id=7),
        a_shape("cow"),
        point_radius=1,
        line_width=1,
    )
    assert rows(sample.doubts) == [["group-labels-differ", "7", 10], ["group-labels-differ", "9", 11]]
    assert [doubt.message for doubt in sample.doubts] == [
        "group 7 is 'dog' here, and 'cat' in object 4",
        "group 7 is 'cow' here, and 'cat' in object 4",
    ]
    assert {doubt.path for doubt in sample.doubts} == {str(tmp_path / "a.json")}


def test_a_shape_of_a_group_that_cannot_be_drawn_is_named(tmp_path):
    shapes = [a_shape(group_id=1), a_shape(group_id=1, points=[[0, 0], [1, 1]])]
    [instance] = read_one(tmp_path, *shapes).instances
    with pytest.raises(ShapeError, match="member 1 of 2") as caught:
        drawn(instance.shape)
    assert caught.value.code == "polygon-too-few-points"


@pytest.mark.parametrize(
    "broken",
    [
        5,
        [],
        None,
        {},
        {"label": "cell"},
        {"points": TRIANGLE},
        a_shape(label=None),
        a_shape(label=5),
        a_shape(points=None),
        a_shape(points="polygon"),
        a_shape(points=[1, 1, 7, 1, 7, 5]),
        a_shape(points=[[1, 1, 0], [7, 1, 0], [7, 5, 0]]),
        a_shape(points=[["1", "1"], ["7", "1"], ["7", "5"]]),
        a_shape(points=[[1, 1], [7, None], [7, 5]]),
        a_shape(points=[[True, 1], [7, 1], [7, 5]]),
        a_shape(group_id=1.5),
        a_shape(group_id={}),
        a_shape(shape_type=5),
        a_shape(shape_type="cuboid"),
        a_shape(shape_type="circle"),
        a_shape(shape_type="rectangle"),
        a_shape(shape_type="rotation"),
        a_shape(shape_type="line"),
        a_shape(shape_type="point"),
        a_shape(shape_type="points", points=[]),
        a_shape(flags=[]),
        a_shape(flags={"occluded": "yes"}),
        a_shape(description=["a"]),
        a_shape(difficult="no"),
        a_shape(score="high"),
        a_shape(attributes=["a"]),
    ],
    ids=lambda shape: json.dumps(shape)[:60],
)
def test_wrong_types_cost_the_shape_alone(tmp_path, broken):
    sample = read_one(tmp_path, a_shape(), broken, a_shape(), **STROKES)
    assert rows(sample.issues) == [["annotation-broken", "2", 4]]
    assert [instance.id for instance in sample.instances] == ["1", "3"]


def nested(depth):
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("field", ["points", "flags", "attributes"])
def test_deep_nesting_costs_the_shape_alone(tmp_path, field):
    content = a_file(a_shape(), a_shape(**{field: {"a": "DEEP"}}))
    adapter = adapter_of(tmp_path, one_each_line(content).encode().replace(b'"DEEP"', nested(500)))
    assert rows(adapter.read("a.json").issues) == [["annotation-broken", "2", 4]]


@pytest.mark.parametrize("field", ["points", "flags", "attributes", "kie_linking"])
def test_nesting_too_deep_to_be_passed_over_costs_the_file(tmp_path, field):
    content = a_file(a_shape(), a_shape(**{field: {"a": "DEEP"}}))
    adapter = adapter_of(tmp_path, one_each_line(content).encode().replace(b'"DEEP"', nested(1_000_000)))
    with pytest.raises(RecordError) as caught:
        adapter.read("a.json")
    assert caught.value.code == "record-broken"


@pytest.mark.parametrize(
    ("points", "shape_type", "code"),
    [
        ([[0, 0], [1, math.nan], [2, 2]], "polygon", "polygon-not-finite"),
        ([[0, 0], [1, -math.inf], [2, 2]], "polygon", "polygon-not-finite"),
        ([[0, 0], [1, 1e9], [2, 2]], "polygon", "polygon-too-far"),
        ([[0, 0], [1, 1]], "polygon", "polygon-too-few-points"),
        ([], "polygon", "polygon-too-few-points"),
        ([[math.nan, 0], [1, 1]], "rectangle", "polygon-not-finite"),
        ([[0, 0], [1, 1e9]], "rectangle", "polygon-too-far"),
        ([[0, 0], [1e9, 0]], "circle", "polygon-too-far"),
        ([[0, 0], [math.inf, 0]], "circle", "polygon-not-finite"),
        ([[0, 0], [1e5, 0]], "circle", "polygon-too-far"),
        ([[0, 0], [1, math.nan]], "line", "polygon-not-finite"),
        ([[0, 0], [1, 1e9]], "linestrip", "polygon-too-far"),
        ([[0, 0]], "linestrip", "polygon-too-few-points"),
        ([[0, math.nan]], "point", "polygon-not-finite"),
        ([[0, 1e9]], "point", "polygon-too-far"),
        ([[0, 0], [0, 1e9]], "points", "polygon-too-far"),
    ],
)
def test_coordinates_without_a_meaning_are_refused_before_they_are_drawn(tmp_path, points, shape_type, code):
    sample = read_one(tmp_path, a_shape(points=points, shape_type=shape_type), a_shape(), **STROKES)
    assert sample.issues == ()
    with pytest.raises(ShapeError) as caught:
        drawn(sample.instances[0].shape)
    assert caught.value.code == code
    assert drawn(sample.instances[1].shape)[1] == ".#######."


def test_a_circle_beyond_what_floats_hold(tmp_path):
    sample = read_one(tmp_path, a_shape(points=[[0, 0], [1e200, 0]], shape_type="circle"))
    assert rows(sample.issues) == [["polygon-too-far", "1", 3]]


@pytest.mark.parametrize("label", ["__ignore__", "_background_"])
def test_labels_that_are_no_classes(tmp_path, label):
    adapter = adapter_of(tmp_path, a_file(a_shape(label), a_shape(), a_shape(label, group_id=1)))
    assert adapter.index().labels == ["cell"]
    sample = adapter.read("a.json")
    assert [instance.label for instance in sample.instances] == ["cell"]
    assert rows(sample.issues) == [["object-ignored", "1", 3], ["object-ignored", "3", 5]]
    assert {issue.loss for issue in sample.issues} == {Loss.OBJECT}


def test_flags_and_what_else_is_said_are_attributes(tmp_path):
    shape = a_shape(flags={"occluded": True, "blurred": False}, description="on the left")
    [instance] = read_one(tmp_path, shape).instances
    assert instance.attributes == {"occluded": True, "blurred": False, "description": "on the left"}


def test_what_x_anylabeling_says_is_kept_or_passed_over(tmp_path):
    shape = a_shape(
        difficult=True, score=0.75, attributes={"colour": "red"}, kie_linking=[[1, 2]], description="", flags=None
    )
    [instance] = read_one(tmp_path, shape).instances
    assert instance.attributes == {"difficult": True, "score": 0.75, "attributes": {"colour": "red"}}
    [instance] = read_one(tmp_path, a_shape(difficult=False, score=None, attributes={})).instances
    assert instance.attributes == {"difficult": False}


def test_the_first_shape_of_a_group_has_the_say(tmp_path):
    flags = [{"a": True}, {"a": False, "b": True}, {"b": False, "c": False}]
    [instance] = read_one(tmp_path, *(a_shape(flags=each, group_id=1) for each in flags)).instances
    assert instance.attributes == {"a": True, "b": True, "c": False}
    assert isinstance(instance.shape, Union)


def test_where_an_instance_stands(tmp_path):
    shapes = [a_shape(), a_shape(group_id=1), a_shape("näïve 細胞"), a_shape(group_id=1), a_shape()]
    adapter = adapter_of(tmp_path, a_file(*shapes))
    instances = adapter.read("a.json").instances
    places = [adapter.where("a.json", instance) for instance in instances]
    assert places == [(tmp_path / "a.json", line) for line in (3, 4, 5, 7)]


@pytest.mark.parametrize("name", ["a byte order mark", "NaN"])
def test_places_hold_whatever_stands_before_them(tmp_path, name):
    text = one_each_line(a_file(a_shape(), a_shape(points=[[0, 0], [1, math.nan], [2, 2]]), a_shape("bus"), 5))
    data = b"\xef\xbb\xbf" + text.encode() if name == "a byte order mark" else text.encode()
    adapter = adapter_of(tmp_path, data)
    sample = adapter.read("a.json")
    assert [adapter.where("a.json", instance)[1] for instance in sample.instances] == [3, 4, 5]
    assert [instance.label for instance in sample.instances] == ["cell", "cell", "bus"]
    assert math.isnan(sample.instances[1].shape.parts[0][3])
    assert rows(sample.issues) == [["annotation-broken", "4", 6]]


# the index


def test_a_folder_is_read_with_its_sub_folders_in_a_stable_order(tmp_path):
    for key in ("b.json", "a/2.json", "a/10.json", "B.JSON", "a/deep/er.json"):
        write(tmp_path / key, a_file())
    for name in ("a.png", "a/notes.txt", "json"):
        write(tmp_path / name, b"x")
    (tmp_path / "folder.json").mkdir()
    adapter = LabelmeAdapter(LabelmeOptions(annotations=tmp_path))
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["B.JSON", "a/10.json", "a/2.json", "a/deep/er.json", "b.json"]
    assert list(index.issues) == []
    assert {entry.pixels for entry in index.entries} == {WIDTH * HEIGHT}
    for entry in index.entries:
        assert adapter.read(pickle.loads(pickle.dumps(entry.record))).key == entry.key  # noqa: S301


def test_labels_are_sorted(tmp_path):
    write(tmp_path / "1.json", a_file(a_shape("b"), a_shape("c"), {"label": 5}, {"label": "z"}))
    write(tmp_path / "2.json", a_file(a_shape("a"), a_shape("b")))
    assert LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).index().labels == ["a", "b", "c", "z"]


def test_labels_of_a_file_are_in_its_order(tmp_path):
    text = "\ufeff__ignore__\n_background_\ndog\n cat \r\n\n細胞\ndog\n"
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8", newline="")
    adapter = adapter_of(tmp_path, a_file(a_shape("cow")), labels=tmp_path / "labels.txt")
    assert adapter.index().labels == ["dog", "cat", "細胞"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_labels_that_cannot_be_read(tmp_path, content):
    if content:
        (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(SourceError, match=r"labels\.txt: cannot be read"):
        adapter_of(tmp_path, a_file(), labels=tmp_path / "labels.txt").index()


BROKEN_FILES = {
    "cut": (one_each_line(a_file(a_shape(), a_shape())).encode()[:-150], "record-broken", 4),
    "empty": (b"", "record-broken", 1),
    "text": (b"shapes:\n- polygon\n", "record-broken", 1),
    "a comma": (b'{\n"shapes": [],\n}', "record-broken", 3),
    "UTF-16": (json.dumps(a_file()).encode("utf-16"), "record-broken", 1),
    "a list": (b'\n[{"shapes": []}]', "file-foreign", 1),
    "a number": (b"3", "file-foreign", 1),
    "null": (b"null", "file-foreign", 1),
    "no shapes": (b'{"images": [], "annotations": []}', "file-foreign", 1),
    "shapes of null": (b'{\n"version": "5",\n"shapes": null}', "record-broken", 3),
    "shapes of text": (b'{\n"shapes": "polygon"}', "record-broken", 2),
    "shapes of keys": (b'{\n\n"shapes": {}}', "record-broken", 3),
    "no height": (b'{"shapes": [],\n"imageHeight": 0}', "record-broken", 2),
    "a negative height": (b'{"shapes": [],\n"imageHeight": -5}', "record-broken", 2),
    "a negative width": (b'{"shapes": [],\n"imageWidth": -5}', "record-broken", 2),
    "a width of text": (b'{"shapes": [],\n"imageWidth": "5"}', "record-broken", 2),
    "a width of NaN": (b'{"shapes": [],\n"imageWidth": NaN}', "record-broken", 2),
    "a huge width": (b'{"shapes": [],\n"imageWidth": 1e30}', "record-broken", 2),
    "a path of numbers": (b'{"shapes": [],\n\n"imagePath": 5}', "record-broken", 3),
    "deep nesting": (b'{"shapes": [], "a": ' + nested(1_000_000) + b"}", "record-broken", None),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file_is_an_issue_and_the_others_go_on(tmp_path, name):
    content, code, line = BROKEN_FILES[name]
    write(tmp_path / "b.json", content)
    for key in ("a.json", "c.json"):
        write(tmp_path / key, a_file(a_shape()))
    index = LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).index()
    assert [entry.key for entry in index.entries] == ["a.json", "c.json"]
    [issue] = index.issues
    loss = None if code == "file-foreign" else Loss.IMAGE
    assert [issue.code, issue.record, issue.path, issue.line, issue.loss] == [
        code,
        "b.json",
        str(tmp_path / "b.json"),
        line,
        loss,
    ]


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file_alone_is_no_source(tmp_path, name):
    content, _, line = BROKEN_FILES[name]
    with pytest.raises(SourceError) as caught:
        adapter_of(tmp_path, content).index()
    assert (caught.value.path, caught.value.line) == (tmp_path / "a.json", line)


def test_a_folder_without_a_labelme_file_is_no_source(tmp_path):
    for content in (None, b'{"images": []}'):
        if content:
            write(tmp_path / "a.json", content)
        with pytest.raises(SourceError, match="holds no LabelMe file"):
            LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).index()


def test_a_folder_of_broken_files_is_one(tmp_path):
    write(tmp_path / "a.json", b"{")
    index = LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).index()
    assert (list(index.entries), [issue.code for issue in index.issues]) == ([], ["record-broken"])


def test_no_such_folder(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        LabelmeAdapter(LabelmeOptions(annotations=tmp_path / "none")).index()


def test_a_file_that_is_gone_when_it_is_read(tmp_path):
    adapter = adapter_of(tmp_path, a_file())
    adapter.index()
    (tmp_path / "a.json").unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        LabelmeAdapter(LabelmeOptions(annotations=tmp_path)).read("a.json")


# the image

PICTURE = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)


def image_of(folder, *, key="a.json", annotations=None, images=None, **fields):
    write(folder / key, a_file(**fields))
    options = LabelmeOptions(annotations=folder / (annotations or ""), images=images)
    return LabelmeAdapter(options).read(Path(key).relative_to(annotations or "").as_posix()).image


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("a.png", "sub/a.png"),
        ("./a.png", "sub/a.png"),
        ("pictures/a.png", "sub/pictures/a.png"),
        ("pictures\\a.png", "sub/pictures/a.png"),
        (".\\pictures\\..\\a.png", "sub/a.png"),
        ("../images/a.png", "images/a.png"),
        ("..\\images\\a.png", "images/a.png"),
        ("C:\\Users\\me\\a.png", "sub/a.png"),
        ("\\\\server\\share\\a.png", "sub/a.png"),
        ("/home/me/a.png", "sub/a.png"),
        ("../../../a.png", "sub/a.png"),
        ("images/moved/a.png", "sub/a.png"),
        ("Bild ä 細胞.png", "sub/Bild ä 細胞.png"),
    ],
)
def test_the_image_is_found_where_the_file_says_or_beside_it(tmp_path, named, there):
    write(tmp_path / there, png(PICTURE))
    image = image_of(tmp_path, key="sub/a.json", imagePath=named)
    assert (image.path, image.root, image.data) == (tmp_path / there, tmp_path, None)
    assert (image.size, image.frame) == ((WIDTH, HEIGHT), Frame.SHOWN)
    assert image.origin() == tmp_path / there


def test_an_absolute_path_within_the_folder_is_taken(tmp_path):
    write(tmp_path / "pictures/a.png", png(PICTURE))
    assert image_of(tmp_path, imagePath=str(tmp_path / "pictures/a.png")).path == tmp_path / "pictures/a.png"


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("a.png", "images/sub/a.png"),
        ("a.png", "images/a.png"),
        ("../../images/a.png", "images/a.png"),
        ("deep\\a.png", "images/deep/a.png"),
        ("C:\\a.png", "images/sub/a.png"),
        ("/home/me/a.png", "images/a.png"),
    ],
)
def test_a_folder_of_images_may_be_named(tmp_path, named, there):
    write(tmp_path / there, png(PICTURE))
    write(tmp_path / "annotations/sub/a.png", b"not this one")
    image = image_of(
        tmp_path, key="annotations/sub/a.json", annotations="annotations", images=tmp_path / "images", imagePath=named
    )
    assert (image.path, image.root) == (tmp_path / there, tmp_path / "images")


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("none.png", "image-missing"),
        ("no/such/folder.png", "image-missing"),
        ("C:\\Users\\me\\none.png", "image-missing"),
        ("/etc/hostname.png", "image-missing"),
        ("../secret.png", "image-outside-folder"),
        ("..\\secret.png", "image-outside-folder"),
        ("sub/../../secret.png", "image-outside-folder"),
        ("x" * 5000, "image-unreadable"),
        ("a\0.png", "image-unreadable"),
        ("sub", "image-unreadable"),
        ("..", "image-outside-folder"),
        ("a.json", "image-unreadable"),
    ],
)
def test_an_image_that_is_not_there(tmp_path, named, code):
    write(tmp_path / "secret.png", png(PICTURE))
    (tmp_path / "set/sub").mkdir(parents=True)
    image = image_of(tmp_path, key="set/a.json", annotations="set", imagePath=named)
    sample = LabelmeAdapter(LabelmeOptions(annotations=tmp_path / "set")).read("a.json")
    assert sample.image == image
    with pytest.raises(ImageError) as caught:
        sample.to_numpy()
    assert caught.value.code == code


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    write(tmp_path / "secret.png", png(PICTURE))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").symlink_to(tmp_path / "secret.png")
    image = image_of(tmp_path, key="set/a.json", annotations="set")
    with pytest.raises(ImageError) as caught:
        image.origin()
    assert caught.value.code == "image-outside-folder"


@pytest.mark.parametrize("named", ["a.png", "../elsewhere/a.png", "C:\\Bilder\\a.png"])
def test_what_is_embedded_stands_in_for_a_file(tmp_path, named):
    image = image_of(tmp_path, imagePath=named, imageData=in_base64(png(PICTURE)))
    assert (image.path, image.data, image.name) == (None, png(PICTURE), "a.png")
    assert image.source == tmp_path / "a.json"
    assert (image.size, image.frame) == ((WIDTH, HEIGHT), Frame.STORED)


def test_a_file_goes_before_what_is_embedded(tmp_path):
    write(tmp_path / "a.png", png(PICTURE))
    image = image_of(tmp_path, imageData=in_base64(png(PICTURE[::-1])))
    assert (image.path, image.data) == (tmp_path / "a.png", None)


def test_a_file_may_name_itself(tmp_path):
    """As one of LabelMe's own examples does."""
    image = image_of(tmp_path, imagePath="a.json", imageData=in_base64(png(PICTURE)))
    assert image.data == png(PICTURE)


@pytest.mark.parametrize("named", [None, "", "absent"])
def test_an_image_may_be_embedded_without_a_name(tmp_path, named):
    content = a_file(imagePath=named, imageData=in_base64(png(PICTURE)))
    if named == "absent":
        del content["imagePath"]
    image = adapter_of(tmp_path, content).read("a.json").image
    assert (image.data, image.name) == (png(PICTURE), None)


@pytest.mark.parametrize(
    ("fields", "code", "line"),
    [
        ({"imagePath": None}, "record-broken", 3),
        ({"imagePath": ""}, "record-broken", 3),
        ({"imagePath": "", "imageData": ""}, "record-broken", 3),
        ({"imageData": 5}, "record-broken", 4),
        ({"imageData": {}}, "record-broken", 4),
        ({"imageData": "A"}, "image-unreadable", 4),
        ({"imageData": "ä"}, "image-unreadable", 4),
    ],
)
def test_a_file_without_an_image(tmp_path, fields, code, line):
    rest = json.dumps({key: value for key, value in a_file(**fields).items() if key not in ("shapes", "imageData")})
    data = json.dumps(fields.get("imageData"))
    text = '{\n"shapes": [],\n' + rest[1:-1] + f',\n"imageData": {data}' + "\n}"
    with pytest.raises(RecordError) as caught:
        adapter_of(tmp_path, text.encode()).read("a.json")
    assert (caught.value.code, caught.value.path, caught.value.line) == (code, tmp_path / "a.json", line)


def test_what_is_embedded_is_not_looked_at_where_there_is_a_file(tmp_path):
    write(tmp_path / "a.png", png(PICTURE))
    assert image_of(tmp_path, imageData=5).path == tmp_path / "a.png"


# orientation


def jpeg(pixels, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


BRIGHT_CORNER = np.kron(np.array([[255, 0, 0], [0, 0, 0]], np.uint8), np.ones((16, 16), np.uint8))
"""32 rows, 48 columns, bright at the top left."""
SHOWN = {1: (0, 0), 2: (-1, 0), 3: (-1, -1), 4: (0, -1), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)}
"""The column and the row of the bright corner as viewers show it, by EXIF 2.32."""


@pytest.mark.parametrize("tag", SHOWN)
def test_points_are_those_of_the_image_as_it_is_shown(tmp_path, tag):
    width, height = (32, 48) if tag >= 5 else (48, 32)
    write(tmp_path / "a.png", jpeg(BRIGHT_CORNER, tag))
    x, y = (0 if at == 0 else size - 16 for at, size in zip(SHOWN[tag], (width, height), strict=True))
    shape = a_shape(points=[[x, y], [x + 15, y + 15]], shape_type="rectangle")
    for size in ((width, height), (None, None)):
        adapter = adapter_of(tmp_path, a_file(shape, imageWidth=size[0], imageHeight=size[1]))
        image, target = adapter.read("a.json").to_numpy()
        assert image.shape == (width, height, 3)
        assert np.array_equal(image[..., 0] > 128, target["masks"][0])


def test_what_is_embedded_is_taken_as_it_is(tmp_path):
    """LabelMe has turned it before it embedded it, and shows it without a look at the tag."""
    shape = a_shape(points=[[0, 0], [15, 15]], shape_type="rectangle")
    content = a_file(shape, imageWidth=48, imageHeight=32, imageData=in_base64(jpeg(BRIGHT_CORNER, 6)))
    image, target = adapter_of(tmp_path, content).read("a.json").to_numpy()
    assert np.array_equal(image[..., 0] > 128, target["masks"][0])


# through the whole pipe


def test_a_data_set_is_converted(tmp_path):
    """Whole numbers all through: every instance found is written or dropped, and each issue names its line."""
    write(tmp_path / "in/a.json", a_file(a_shape("cat"), a_shape("dog", [[0, 0]], "point"), a_shape("__ignore__")))
    write(tmp_path / "in/a.png", png(PICTURE))
    patch = a_mask([[7, 6], [9, 8]], np.ones((3, 3)), label="cat")
    moved = a_mask([[0, 0], [5, 5]], PATCH, label="cat")
    write(tmp_path / "in/b.json", a_file(patch, moved, imageData=in_base64(png(PICTURE)), imagePath="b.png"))
    write(tmp_path / "in/c.json", b"{")
    write(tmp_path / "in/d.json", b"{}")
    config = {
        "sources": [{"adapter": "labelme", "options": LabelmeOptions(annotations=tmp_path / "in")}],
        "on_error": "skip-object",
        "output": {"directory": tmp_path / "out", "shuffle": None},
        "run": {"executor": "serial"},
    }
    report = convert(Config.model_validate(config))
    listed = [json.loads(line) for line in (tmp_path / "out/issues.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [[i["code"], i["record"], i["object"], i["line"], i["loss"]] for i in listed] == [
        ["record-broken", "c.json", None, 1, "image"],
        ["file-foreign", "d.json", None, 1, None],
        ["object-without-area", "a.json", "2", 4, "object"],
        ["object-ignored", "a.json", "3", 5, "object"],
        ["mask-outside-image", "b.json", "1", 3, None],
        ["mask-patch-differs", "b.json", "2", 4, "object"],
    ]
    assert {os.path.relpath(i["path"], tmp_path) for i in listed} == {f"in/{name}.json" for name in "abcd"}
    total = report.total
    assert (total.images_found, total.images_written) == (3, 2)
    assert (total.objects_found, total.objects_written) == (5, 2)
    assert report.classes == {"cat": 1, "dog": 2}
    names = json.loads((tmp_path / "out/train-00000-of-00001.json").read_text(encoding="utf-8"))["records"]
    assert [(each["key"], each["objects"]) for each in names] == [("a.json", 1), ("b.json", 1)]
    record = (tmp_path / "out/train-00000-of-00001.tfrecord").read_bytes()
    assert (b"a.png" in record, b"b.png" in record, b".json" in record) == (True, True, False)


def test_a_drawing_over_the_edge_is_said_and_kept(tmp_path):
    [instance] = read_one(tmp_path, a_shape(points=[[0, 0], [3, 0]], shape_type="circle")).instances
    assert isinstance(instance.shape, Drawing)
    [issue] = doubts(instance)
    assert (issue.code, issue.message) == (
        "polygon-outside-image",
        "a point lies 3 pixels beyond the left edge of 9 x 7",
    )
