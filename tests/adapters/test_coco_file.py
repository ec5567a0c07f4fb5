"""Two ways through a COCO file, which must not be told apart by what they find."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from io import FileIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskflow_adapters import coco_file, coco_index, coco_lists, json_objects
from maskflow_adapters.coco_index import index_file
from maskflow_convert.errors import SourceError

TEXT = st.text(alphabet='{}[],:"\\ \né細y|', max_size=6) | st.sampled_from(["}, {", "{", "}", '"}', "\\", '\\"'])
ID = st.integers(0, 3) | st.sampled_from(["1", "", 2**63, -(2**63), -(2**63) + 1, -(2**62) - 1, 2**70, None, 1.5, True])
SIZE = st.sampled_from([None, 1, 8, 0, -1, 2**31, 2**70, "8", math.nan])
JUNK = st.sampled_from([{}, {"id": 1}, {"image_id": [1]}])
NO_OBJECT = st.sampled_from([None, 5, "{", [], [{}]])
IMAGE = st.fixed_dictionaries({"id": ID, "file_name": TEXT}, optional={"width": SIZE, "height": SIZE})
ANNOTATION = st.fixed_dictionaries(
    {"image_id": ID},
    optional={
        "id": ID | TEXT,
        "note": TEXT,
        "area": st.sampled_from([5, 7.5, math.nan, "5", None]),
        "segmentation": st.sampled_from([[], [[1, 2, 3]], {}, {"size": [1, 2], "counts": '\\"'}, {"a": [{"b": {}}]}]),
    },
)
CATEGORY = st.fixed_dictionaries({"id": ID, "name": TEXT})
FILE = st.fixed_dictionaries(
    {
        "images": st.lists(IMAGE, max_size=4) | st.lists(IMAGE | JUNK, max_size=4),
        "annotations": st.lists(ANNOTATION, max_size=9) | st.lists(ANNOTATION | JUNK | NO_OBJECT, max_size=9),
        "categories": st.lists(CATEGORY | JUNK, max_size=2),
    },
    optional={
        "info": st.sampled_from([{"by": "{"}, {"by": math.nan}, [math.inf], [1, {}, {}]]),
        "licenses": st.lists(st.just({"url": ""}), max_size=2),
        "{": TEXT,
    },
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", ":\r\n")])


def found_in(path):
    """All that an index says, and the places of its annotations; nothing but the file tells how it was read."""
    index = index_file(path)
    return list(index.entries), list(index.labels), list(index.issues)


def parsed(path):
    with path.open("rb", buffering=0) as file:
        return coco_file._parse(file)


@given(
    content=FILE,
    separators=SEPARATORS,
    indent=st.sampled_from([None, 1, "\t"]),
    order=st.randoms(use_true_random=False),
    piece=st.integers(1, 99) | st.just(1 << 19),
)
def test_portions_tell_the_same_as_the_whole(tmp_path_factory, content, separators, indent, order, piece):
    members = list(content.items())
    order.shuffle(members)
    text = json.dumps(dict(members), separators=separators, indent=indent, ensure_ascii=False)
    path = tmp_path_factory.mktemp("coco") / "file.json"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_objects, "_AT_ONCE", piece)
        in_portions = found_in(path)
        patch.setattr(coco_file, "_parse", lambda file: None)
        as_a_whole = found_in(path)
    assert in_portions == as_a_whole


def a_file(**changes):
    return {
        "info": {"about": "} and {"},
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(5)],
        "annotations": [{"id": n, "image_id": n % 5, "note": note} for n, note in enumerate(['"', "\\", "{", "}, {"])],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "{"}],
        **changes,
    }


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (json.dumps(a_file()), 4),
        (json.dumps(a_file(), separators=(",", ":")), 4),
        (json.dumps(a_file(), indent=2), 4),
        (json.dumps(a_file(), indent=2).replace("\n", "\r\n"), 4),
        ("\ufeff" + json.dumps(a_file()), 4),
        (json.dumps(dict(reversed(a_file().items()))), 4),
        (json.dumps(a_file(annotations=[])), 0),
        (json.dumps({"images": []}), 0),
        (json.dumps(a_file(licenses=[{"id": 1}, {"id": 2}])), 4),
        (json.dumps(a_file(info=[1, {"a": {}}, 2], other={"a": [{}]})), 4),
        (json.dumps(a_file()).replace('"categories"', '"annotations": [{"image_id": 2}], "categories"'), 1),
        (json.dumps(a_file(annotations=[{"image_id": 0, "a": {"counts": "\\" * n}} for n in range(4)])), 4),
        (json.dumps(a_file()).replace('{"id": 2, "image_id"', '\n\n\n  {"id": 2, "image_id"'), 4),
        (json.dumps(a_file(annotations=[{"image_id": 0, "score": math.nan}], info=math.inf)), 1),
        (json.dumps(a_file(annotations=[{"id": 1}, {"image_id": None}])), 2),
        (json.dumps(a_file(images=[{"id": 1, "file_name": None}])), 4),
    ],
)
@pytest.mark.parametrize("piece", [1, 10, 1 << 19])
def test_a_file_that_is_made_up_as_usual_is_read_in_portions(tmp_path, monkeypatch, text, count, piece):
    """Whatever stands in its elements."""
    monkeypatch.setattr(json_objects, "_AT_ONCE", piece)
    (tmp_path / "file.json").write_text(text, encoding="utf-8", newline="")
    file = parsed(tmp_path / "file.json")
    assert file is not None
    assert file.annotations.count == count


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(a_file(annotations=["{}"])),
        json.dumps(a_file(annotations=[{"image_id": 0}, None, {"image_id": 0}])),
        json.dumps(a_file(annotations=[None, {"image_id": 0}])),
        json.dumps(a_file(annotations=[{"image_id": 0}, "x", {"image_id": 0}])),
        json.dumps(a_file(annotations=[[{"image_id": 0}]])),
        json.dumps(a_file(annotations={"image_id": 0})),
        json.dumps(a_file()).replace('"annotations"', '"annotati\\u006fns"'),
        json.dumps(a_file()).replace('"note"', "note"),
        json.dumps(a_file()).replace('}, {"id": 2', '} {"id": 2'),
        json.dumps(a_file()).replace('}, {"id": 2', '}, , {"id": 2'),
        json.dumps(a_file()).replace('"image_id": 1', '"image_id": 1NaN'),
        json.dumps(a_file()).replace('"images"', '{}, {}, "images"'),
        json.dumps(a_file()).replace('"about"', '{}, "about"'),
        json.dumps(a_file()).replace('"info": {', '"info": {}, {'),
        json.dumps(a_file())[:-1],
        json.dumps(a_file())[:-90],
        json.dumps(a_file()) + "{}",
        json.dumps([a_file(), a_file()]),
        '{"annotations": []}',
        "[]",
        "{",
        "{{",
        "}{",
        "",
    ],
)
@pytest.mark.parametrize("piece", [1, 10, 1 << 19])
def test_a_file_out_of_the_ordinary_is_not(tmp_path, monkeypatch, text, piece):
    monkeypatch.setattr(json_objects, "_AT_ONCE", piece)
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    assert parsed(tmp_path / "file.json") is None


@pytest.mark.parametrize("annotations", [a_file()["annotations"], [None, *a_file()["annotations"], 5, math.nan]])
def test_places_are_those_of_the_file_itself_behind_a_byte_order_mark(tmp_path, annotations):
    text = ("\ufeff" + json.dumps(a_file(annotations=annotations))).encode()
    path = tmp_path / "file.json"
    path.write_bytes(text)
    spans = list(coco_file.read_file(path).annotations.take_spans())
    told = [text[offset : offset + length].decode() for offset, length in spans]
    assert list(map(repr, map(json.loads, told))) == list(map(repr, annotations))


def test_zeros_for_nan_are_not_written_to_the_file(tmp_path):
    """Also where the file is read as a whole, as it is with an element that is no object."""
    text = json.dumps(a_file(annotations=[None, {"image_id": 0, "score": math.nan}]))
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    assert coco_file.read_file(path).annotations.count == 2
    assert path.read_text(encoding="utf-8") == text


NO_OBJECT_AMONG_THEM = json.dumps(a_file(annotations=[None, {"image_id": 0}]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (NO_OBJECT_AMONG_THEM, ": has changed while it was read; begin anew"),
        (json.dumps(a_file())[:-1], ":1048577: is not JSON: Input data was truncated"),
    ],
    ids=["an element", "no JSON"],
)
@pytest.mark.parametrize("function", ["_take_apart", "_split", "_decode_pieces"])
def test_a_faulty_file_is_cut_short_while_it_is_indexed(tmp_path, monkeypatch, text, told, function):
    """The process goes on, and says so; of a file of a megabyte, pages are gone that have not been read yet."""
    path = tmp_path / "file.json"
    path.write_text(text[:-1] + "\n" * 2**20 + text[-1:], encoding="utf-8")
    original = getattr(coco_file, function)

    def when_it_is_cut(path, text):
        os.truncate(path, 10)
        return original(path, text)

    monkeypatch.setattr(coco_file, function, when_it_is_cut)
    with pytest.raises(SourceError) as caught:
        index_file(path)
    assert str(caught.value) == f"{path}{told}"


class Cut(FileIO):
    """A file that is cut short when its length is known and nothing of it is read yet."""

    def seek(self, *place: int) -> int:
        os.truncate(self.name, 10)
        return super().seek(*place)


def test_of_a_file_that_is_cut_short_while_it_is_read_there_is_what_is_left(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{"images": []}', encoding="utf-8")
    with Cut(path) as file:
        assert coco_file._whole(file) == b'{"images":'


def test_a_file_as_usual_is_cut_short_while_it_is_indexed(tmp_path, monkeypatch):
    """What was found in it stands no more where it was found."""
    path = tmp_path / "file.json"
    broken = [{"id": 1}, {"id": 1, "image_id": 99}]
    path.write_text(json.dumps(a_file(annotations=broken, categories=[{"id": 1}])) + "\n" * 2**20, encoding="utf-8")
    original = coco_index.read_file

    def cut_afterwards(path):
        found = original(path)
        os.truncate(path, 10)
        return found

    monkeypatch.setattr(coco_index, "read_file", cut_afterwards)
    with pytest.raises(SourceError, match=r"file\.json: has changed while it was read; begin anew"):
        index_file(path)


def test_a_file_is_cut_short_before_it_is_read_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_text(NO_OBJECT_AMONG_THEM, encoding="utf-8")

    def cut(file):
        os.truncate(path, 10)

    monkeypatch.setattr(coco_file, "_parse", cut)
    with pytest.raises(SourceError, match=r"file\.json:1: is not JSON: Input data was truncated"):
        index_file(path)


# what is kept


IDS = [5, "5", 2**70, "a", -(2**63), -(2**63) + 2, -(2**62) - 1, -(2**62), 2**63 - 1, 0, ""]


def test_the_numbers_of_ids_differ_as_the_ids_do():
    ids = coco_lists.ImageIds()
    numbers = [int(ids.numbers([each])[0]) for each in IDS]
    assert len(set(numbers)) == len(IDS)
    assert ids.numbers(IDS).tolist() == numbers
    assert numbers[0] == 5
    assert ids.integers() == {numbers[at]: IDS[at] for at in (2, 4, 5, 6)}


@pytest.mark.parametrize("collide", [False, True])
def test_ids_of_annotations_are_told_apart_by_themselves_and_not_by_their_hash(tmp_path, monkeypatch, collide):
    """Annotations without an id have keys of their own, from -2**63 on, which some have as their ids."""
    if collide:
        monkeypatch.setattr(coco_lists, "_hash_of", lambda each: 7)
    ids = [None, None, *IDS, "a", None, 2**70, 6, 5.5, 7, -(2**63) + 1, "5", 0]
    annotations = [{"id": each, "image_id": 0} for each in ids]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(a_file(annotations=annotations)), encoding="utf-8")
    issues = list(index_file(path).issues)
    assert [issue.object for issue in issues if issue.code == "annotation-id-duplicate"] == ["a", str(2**70), "5", "0"]
    assert [issue.code for issue in issues if issue.code != "annotation-id-duplicate"] == ["annotation-broken"]


def test_annotations_without_an_id_have_different_keys():
    """So that they need not be looked at again."""
    keys = np.concatenate([coco_lists._id_keys([None, 5, None], 0), coco_lists._id_keys([None, "a", None], 3)])
    assert len(np.unique(keys)) == 6


def test_names_of_images_are_told_apart_by_themselves_and_not_by_their_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_lists, "hash", lambda text: 7, raising=False)
    names = ["a.png", "b.png", "./a.png", "é.png", "b.png", "c.png"]
    images = [{"id": n, "file_name": name} for n, name in enumerate(names)]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(a_file(images=images)), encoding="utf-8")
    index = index_file(path)
    assert [entry.key for entry in index.entries] == ["a.png", "b.png", "é.png", "c.png"]
    assert [(issue.code, issue.record) for issue in index.issues if issue.record] == [
        ("image-key-duplicate", "a.png"),
        ("image-key-duplicate", "b.png"),
    ]


def test_images_are_found_by_ids_of_any_kind(tmp_path):
    ids = [each for each in IDS if each != 2**70]
    images = [{"id": each, "file_name": f"{n}.png"} for n, each in enumerate(ids)]
    annotations = [{"id": n, "image_id": each} for n, each in enumerate([*reversed(ids), 6, "6", -(2**63) + 1, 2**70])]
    path = tmp_path / "file.json"
    for order in (1, -1):
        members = list(a_file(images=images, annotations=annotations).items())
        path.write_text(json.dumps(dict(members[::order])), encoding="utf-8")
        index = index_file(path)
        assert [entry.id for entry in index.entries] == [each if isinstance(each, int) else None for each in ids]
        text = path.read_bytes()
        told = [[json.loads(text[at : at + n]) for at, n in entry.record.spans] for entry in index.entries]
        assert told == [[{"id": len(ids) - 1 - n, "image_id": each}] for n, each in enumerate(ids)]
        assert [issue.object for issue in index.issues] == [str(len(ids) + n) for n in range(4)]
        assert {issue.code for issue in index.issues} == {"annotation-orphaned"}


# memory


def a_large_file(path, n_images, corners):
    """Images of eight annotations each, in an order that is not that of the images."""
    numbers = np.random.default_rng(7).permutation(8 * n_images).tolist()
    content = {
        "images": [{"id": n, "file_name": f"{n:012}.png", "width": 640, "height": 480} for n in range(n_images)],
        "annotations": [
            {"id": n, "image_id": n % n_images, "segmentation": [[123.45] * (2 * corners)]} for n in numbers
        ],
        "categories": [{"id": 1, "name": "cell"}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def traced(path):
    """Bytes that indexing takes at most, and that the index keeps."""
    index_file(path)  # what is made once is made
    tracemalloc.start()
    index = index_file(path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.entries) > 0
    return peak, kept


def test_memory_does_not_grow_with_geometry(tmp_path, monkeypatch):
    monkeypatch.setattr(json_objects, "_AT_ONCE", 1 << 16)
    small, large = (traced(a_large_file(tmp_path / f"{n}.json", 500, n))[0] for n in (20, 200))
    assert large < 1.1 * small


def test_an_index_holds_a_few_numbers_of_each_image_and_annotation(tmp_path, monkeypatch):
    """Images have eight annotations each, and names of 16 bytes.

    In the end, 6 numbers of 32 bits are kept of an image and 2 of an annotation. On the way there it is another 4 of an
    image, one of them of 64 bits, and 4 of an annotation, two of them of 64 bits.
    """
    monkeypatch.setattr(json_objects, "_AT_ONCE", 1 << 14)
    few, many = (traced(a_large_file(tmp_path / f"{n}.json", n, 4)) for n in (4000, 12000))
    peak, kept = ((b - a) / 8000 for a, b in zip(few, many, strict=True))
    assert kept < 1.1 * (6 * 4 + 16 + 8 * 2 * 4)
    assert peak < 1.1 * (11 * 4 + 16 + 8 * 8 * 4)
