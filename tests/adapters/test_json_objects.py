"""Objects found by their braces against Python's own `json`, however the file comes in."""

from __future__ import annotations

import io
import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskflow_adapters import json_objects
from maskflow_adapters.json_objects import IrregularError, Objects

TEXT = st.text(alphabet='{}[],:"\\ \né|~\x7fx', max_size=6)
SCALAR = st.none() | st.booleans() | st.integers(-9, 99) | TEXT
OBJECT = st.dictionaries(TEXT, st.recursive(SCALAR, lambda v: st.lists(v, max_size=2) | st.dictionaries(TEXT, v)))
LIST = st.lists(OBJECT, max_size=5)
FILE = st.dictionaries(
    TEXT, LIST | OBJECT | SCALAR | st.lists(SCALAR | OBJECT, max_size=3) | st.lists(LIST), max_size=4
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", ":\r\n")])


class Slow(io.BytesIO):
    """Gives so many bytes at once."""

    def __init__(self, content: bytes, at_once: int) -> None:
        super().__init__(content)
        self._at_once = at_once

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[: self._at_once])


def objects_of(content: bytes, at_once: int = 1 << 19):
    """The objects by run, the names of the runs, and the outline."""
    objects = Objects(Slow(content, at_once))
    runs: dict[int, list[object]] = {}
    names: dict[int, str | None] = {}
    for portion in objects:
        told = [json.loads(text) for text in portion.texts()]
        assert json.loads(portion.as_list()) == told
        for text, begin, end in zip(portion.texts(), portion.begins.tolist(), portion.ends.tolist(), strict=True):
            assert content[portion.offset + begin : portion.offset + end] == text
        assert names.setdefault(portion.run, portion.name) == portion.name
        runs.setdefault(portion.run, []).extend(told)
    return runs, names, bytes(objects.outline)


def put_back(value, runs):
    """The value with the objects of each run in their places."""
    if isinstance(value, list):
        lists = (runs[item["run"]] if isinstance(item, dict) else [put_back(item, runs)] for item in value)
        return list(chain.from_iterable(lists))
    [only] = runs[value["run"]] if isinstance(value, dict) else [value]
    return only


@given(
    content=FILE,
    separators=SEPARATORS,
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    at_once=st.integers(1, 40) | st.just(1 << 19),
)
def test_outline_and_runs_together_are_the_file(content, separators, indent, ascii_only, at_once):
    text = json.dumps(content, separators=separators, indent=indent, ensure_ascii=ascii_only)
    try:
        runs, _, outline = objects_of(text.encode(), at_once)
    except IrregularError:
        return
    assert {name: put_back(value, runs) for name, value in json.loads(outline).items()} == content


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 8, 1000])
def test_runs_of_a_usual_file(at_once):
    text = '{"info": {"a": [{}]}, "images":\n[ {"id": 1} ,\n{"id": "}, {"}], "none": [], "\\\\": [{"x": "\\\\\\""}]}'
    runs, names, outline = objects_of(text.encode(), at_once)
    assert runs == {0: [{"a": [{}]}], 1: [{"id": 1}, {"id": "}, {"}], 2: [{"x": '\\"'}]}
    assert names == {0: None, 1: "images", 2: None}
    assert outline == b'{"info": {"run":0}, "images":\n[ {"run":1}], "none": [], "\\\\": [{"run":2}]}'


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {}, {}}',
        '{"a": [1, {}, {}]}',
        '{"a": [{} {}]}',
        '{"a": [{}, , {}]}',
        '{"a": [{}],[{}]}',
        '{"a": [{}, 5, {}]}',
        '{"a": [[{}], [{}]]}',
    ],
)
@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_what_is_no_list_of_objects_is_refused(text, at_once):
    """Between brackets as well: the objects may come in one portion or in several."""
    with pytest.raises(IrregularError):
        objects_of(text.encode(), at_once)


@pytest.mark.parametrize("text", ["", "{", "}{", "{{", '{"a": [{', '{"a', '{"a": [{"b": "}]}', "5"])
@pytest.mark.parametrize("at_once", [1, 1000])
def test_what_is_no_json_has_no_objects(text, at_once):
    assert objects_of(text.encode(), at_once) == ({}, {}, text.encode())


def test_an_object_may_be_longer_than_what_is_read_at_once(monkeypatch):
    monkeypatch.setattr(json_objects, "_AT_ONCE", 16)
    objects = [{"text": "x" * n} for n in (1, 1000, 2, 300)]
    assert objects_of(json.dumps({"a": objects}).encode())[0] == {0: objects}


@pytest.mark.parametrize("content", [{"a": [{"b": "x" * 3000}]}, {"a": "x" * 3000}, {str(n): {} for n in range(300)}])
def test_what_is_too_long_to_be_held_is_refused(monkeypatch, content):
    monkeypatch.setattr(json_objects, "_AT_ONCE", 16)
    text = json.dumps(content).encode()
    monkeypatch.setattr(json_objects, "_LONGEST", 20_000)
    objects_of(text)
    monkeypatch.setattr(json_objects, "_LONGEST", 2000)
    with pytest.raises(IrregularError):
        objects_of(text)
