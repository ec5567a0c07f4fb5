"""Two ways through a COCO file, which must not be told apart by what they find."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskflow_adapters import coco_file

TEXT = st.text(alphabet='{}[],:"\\ \né細y|', max_size=6) | st.sampled_from(["}, {", "{", "}", '"}', "\\", '\\"'])
ANNOTATION = st.fixed_dictionaries(
    {"image_id": st.integers(0, 3)},
    optional={
        "id": st.integers(0, 99) | TEXT,
        "note": TEXT,
        "segmentation": st.sampled_from([[], [[1, 2, 3]], {}, {"size": [1, 2], "counts": '\\"'}, {"a": [{"b": {}}]}]),
    },
)
FILE = st.fixed_dictionaries(
    {
        "images": st.lists(st.fixed_dictionaries({"id": st.integers(0, 9), "file_name": TEXT}), max_size=4),
        "annotations": st.lists(ANNOTATION, max_size=9),
        "categories": st.lists(st.fixed_dictionaries({"id": st.integers(0, 9), "name": TEXT}), max_size=2),
    },
    optional={
        "info": st.just({"by": "{"}),
        "licenses": st.lists(st.just({"url": ""}), max_size=2),
        "{": TEXT,
    },
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", ":\r\n")])


def places(elements: coco_file.Elements) -> list[tuple[int, int]]:
    return list(zip(elements.spans.offsets.tolist(), elements.spans.lengths.tolist(), strict=True))


def lists_of(file: coco_file.CocoFile):
    return [file.images, file.annotations, file.categories]


@given(
    content=FILE,
    separators=SEPARATORS,
    indent=st.sampled_from([None, 1, "\t"]),
    order=st.randoms(use_true_random=False),
    piece=st.integers(1, 99),
)
def test_braces_tell_the_same_places_as_pieces(tmp_path_factory, content, separators, indent, order, piece):
    members = list(content.items())
    order.shuffle(members)
    text = json.dumps(dict(members), separators=separators, indent=indent, ensure_ascii=False).encode()
    path = tmp_path_factory.mktemp("coco") / "file.json"
    path.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_file, "_SEARCHED_AT_ONCE", piece)
        at_once = coco_file._parse(memoryview(text))
    apart = coco_file._take_apart(path, memoryview(text))
    for name, elements in zip(("images", "annotations", "categories"), lists_of(apart), strict=True):
        assert [json.loads(text[at : at + length]) for at, length in places(elements)] == content[name]
    if at_once is not None:
        assert list(map(places, lists_of(at_once))) == list(map(places, lists_of(apart)))
        assert [each.values for each in lists_of(at_once)] == [each.values for each in lists_of(apart)]


def a_file(**changes):
    return {
        "info": {"about": "} and {"},
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(5)],
        "annotations": [{"id": n, "image_id": n % 5, "note": note} for n, note in enumerate(['"', "\\", "{", "}, {"])],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "{"}],
        **changes,
    }


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(a_file()),
        json.dumps(a_file(), separators=(",", ":")),
        json.dumps(a_file(), indent=2),
        json.dumps(a_file(), indent=2).replace("\n", "\r\n"),
        "\ufeff" + json.dumps(a_file()),
        json.dumps(dict(reversed(a_file().items()))),
        json.dumps(a_file(annotations=[])),
        json.dumps(a_file(licenses=[{"id": 1}, {"id": 2}])),
        json.dumps(a_file()).replace('"categories"', '"annotations": [{"image_id": 2}], "categories"'),
        json.dumps(a_file(annotations=[{"image_id": 0, "segmentation": {"counts": "\\" * n}} for n in range(4)])),
    ],
)
def test_a_file_that_is_in_order_is_parsed_in_one_go(text):
    file = coco_file._parse(memoryview(text.encode()))
    assert file is not None
    assert len(file.annotations.values) == len(json.loads(text.removeprefix("\ufeff"))["annotations"])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(a_file(annotations=[{"image_id": 0, "score": float("nan")}])),
        json.dumps(a_file(annotations=[{"id": 1}])),
        json.dumps(a_file(annotations=["{}"])),
        json.dumps(a_file(images=[{"id": 1, "file_name": None}])),
        json.dumps(a_file()).replace('"annotations"', '"annotati\\u006fns"'),
        json.dumps(a_file()).replace('{"id": 2, "image_id"', '\n\n\n  {"id": 2, "image_id"'),
        "[]",
        "{",
        "",
    ],
)
def test_a_file_out_of_the_ordinary_is_not(text):
    assert coco_file._parse(memoryview(text.encode())) is None


def test_places_are_those_of_the_file_itself_behind_a_byte_order_mark():
    text = ("\ufeff" + json.dumps(a_file())).encode()
    file = coco_file._parse(memoryview(text))
    assert file is not None
    assert [json.loads(file.annotation(n)) for n in range(4)] == a_file()["annotations"]
    np.testing.assert_array_equal(file.annotations.spans.offsets[:1], [text.index(b'{"id": 0, "image_id"')])
