"""JSON as bytes: lines against a count by hand, numbers against Python's own `json`."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

from maskflow_adapters import json_text

BLOCK = 1 << 14
"""Lines are counted by blocks of this size, so that is where an error by one would hide."""


def written(folder, content):
    path = folder / "text.json"
    path.write_bytes(content)
    return path


def lines_by_hand(content):
    """The line of every byte: each newline byte belongs to the line that it ends."""
    line, lines = 1, []
    for byte in content:
        lines.append(line)
        line += byte == ord("\n")
    return lines


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"\n",
        b"\n\n\n",
        b"a\nbc\n\nd",
        b"a\r\nbc\r\n\r\nd",
        b"\xef\xbb\xbf{\n}",
        b"a\rb\rc",
        b"\xe2\x82\xac\n\xe2\x82\xac",
    ],
    ids=["one line", "newline", "newlines", "unix", "windows", "byte order mark", "old mac", "utf-8"],
)
def test_the_line_of_every_byte(tmp_path, content):
    path = written(tmp_path, content)
    assert [json_text.line_of(path, at) for at in range(len(content))] == lines_by_hand(content)


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
@pytest.mark.parametrize("filling", [b"\n", b"x\n", b"ab\r\n", b"x"])
def test_the_line_across_blocks(tmp_path, size, filling):
    content = (filling * size)[:size]
    path = written(tmp_path, content)
    lines = lines_by_hand(content)
    asked = {0, 1, *(at + d for at in (BLOCK, 2 * BLOCK, size - 1) for d in (-2, -1, 0, 1))}
    for at in sorted(at for at in asked if 0 <= at < size):
        assert json_text.line_of(path, at) == lines[at], at


def test_the_line_of_the_end_of_a_file_that_ends_with_a_block(tmp_path):
    assert json_text.line_of(written(tmp_path, b"\n" * BLOCK), BLOCK) == BLOCK + 1


@pytest.mark.parametrize("offset", [BLOCK + 3, 2 * BLOCK, 9 * BLOCK + 1])
def test_a_place_behind_the_end_of_a_file_is_its_last_line(tmp_path, offset):
    """The file was longer when that was found."""
    assert json_text.line_of(written(tmp_path, b"\n" * BLOCK + b"a\nb"), offset) == BLOCK + 2


def test_lines_are_asked_for_in_any_order(tmp_path):
    content = b"x\n" * (2 * BLOCK)
    path = written(tmp_path, content)
    lines = lines_by_hand(content)
    for at in (3 * BLOCK, 5, 2 * BLOCK + 3, BLOCK - 1, 3 * BLOCK + 1, 0):
        assert json_text.line_of(path, at) == lines[at]


def test_a_file_that_has_grown_is_counted_anew(tmp_path):
    assert json_text.line_of(written(tmp_path, b"[\n1]"), 2) == 2
    assert json_text.line_of(written(tmp_path, b"[\n\n\n1]"), 4) == 4


def test_many_files_in_turn_are_read_through_once_each(tmp_path, monkeypatch):
    """Images of many sources lie in one shard, and so do their faults."""
    made = []

    class Counted(json_text.Lines):
        def __init__(self, path):
            made.append(path)
            super().__init__(path)

    monkeypatch.setattr(json_text, "Lines", Counted)
    paths = [tmp_path / f"{number}.json" for number in range(200)]
    for path in paths:
        path.write_bytes(b"[\n1]")
    for _ in range(3):
        assert [json_text.line_of(path, 2) for path in paths] == [2] * 200
    assert made == paths


class Point(msgspec.Struct):
    x: float
    name: str = ""


POINT = msgspec.json.Decoder(Point)


@pytest.mark.parametrize(
    "text",
    ['{"x": 1.5}', '{"x": NaN}', '{"x":NaN}', '{"x": Infinity}', '{"x": -Infinity }', '{"other": [NaN], "x": 2}'],
)
def test_decode_agrees_with_python(text):
    expected = json.loads(text)["x"]
    found = json_text.decode(text.encode(), POINT).x
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize("name", ["NaN", "a NaN b", "[NaN]", "x, -Infinity ]", 'quoted "NaN" word', "back\\slash NaN "])
@pytest.mark.parametrize("x", ["1", "NaN"])
def test_the_word_within_a_string_is_text(name, x):
    text = f'{{"name": {json.dumps(name)}, "x": {x}}}'
    assert json_text.decode(text.encode(), POINT).name == name


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"x": nan}',
        b'{"x": NaN',
        b'{"x": NaN}}',
        b'{"x": Inf}',
        b'{"x": 1NaN}',
        b'{"x": -NaN}',
        b'{"x": 1-Infinity}',
        b'{"x": 1 2}',
        b'{"x": "1"}',
        b'{"x": [NaN]}',
        b"{}",
        b"[NaN]",
        b'{"x": NaN, "name": 1}',
        b'{"x": 1e999}',
        b'{"x": ' + b"1" * 1_000_000 + b"}",
        b'{"x": 1, "name": "\xe9"}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"y": NaN, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"y": NaN, "x": ' + b"1" * 1_000_000 + b"}",
    ],
    ids=lambda text: text[:24].decode("ascii", "replace"),
)
def test_what_cannot_be_parsed_raises_what_callers_catch(text):
    with pytest.raises(json_text.UNPARSABLE):
        json_text.decode(text, POINT)


@pytest.mark.parametrize(
    ("text", "zeroed"),
    [
        (b"[NaN,Infinity, -Infinity]", b"[0.0,0.000000, 0.0000000]"),
        (b'{"x":NaN}', b'{"x":0.0}'),
        (b'["NaN", "a\\"NaN", NaN, "Infinity"]', b'["NaN", "a\\"NaN", 0.0, "Infinity"]'),
        (b'["\\\\", NaN]', b'["\\\\", 0.0]'),
        (b"[1.5, true, null]", b"[1.5, true, null]"),
        (b"[1NaN]", b"[1NaN]"),
        (b"[-NaN]", b"[-NaN]"),
        (b"[+Infinity]", b"[+Infinity]"),
        (b"[--Infinity]", b"[--Infinity]"),
        (b"[1-Infinity]", b"[1-Infinity]"),
        (b"[1.NaN]", b"[1.NaN]"),
        (b'["no end, NaN', b'["no end, NaN'),
    ],
)
def test_zeros_stand_for_literals_alone(text, zeroed):
    """Each as long as the literal; a piece of something else is left, and so is not JSON afterwards either."""
    assert json_text.zero_non_finite(text) == zeroed


@pytest.mark.parametrize("near", [0, 1, 3, 1000])
@pytest.mark.parametrize("at_once", [1, 8, 1000])
@pytest.mark.parametrize(
    "spans",
    [
        [],
        [(0, 5)],
        [(0, 2), (2, 2), (5, 3), (9, 0), (90, 10)],
        [(50, 10), (0, 3), (50, 10), (55, 10)],
        [(n, 1) for n in range(100)],
        [(0, 100), (0, 100)],
    ],
)
def test_spans_are_read_as_they_are(tmp_path, monkeypatch, spans, near, at_once):
    monkeypatch.setattr(json_text, "_NEAR", near)
    monkeypatch.setattr(json_text, "_READ_AT_ONCE", at_once)
    content = bytes(range(100))
    path = written(tmp_path, content)
    assert list(json_text.read_spans(path, spans)) == [content[at : at + length] for at, length in spans]


def test_spans_that_lie_close_together_are_read_in_one_go(tmp_path, monkeypatch):
    path = written(tmp_path, bytes(100_000))
    read = []
    monkeypatch.setattr(json_text, "_READ_AT_ONCE", 5000)
    groups = json_text._neighbours
    monkeypatch.setattr(json_text, "_neighbours", lambda spans: map(noted(read), groups(spans)))
    near = [(n, 90) for n in range(0, 10_000, 100)]
    assert list(map(len, json_text.read_spans(path, [*near, (50_000, 7)]))) == [90] * 100 + [7]
    assert read == [50, 50, 1]


def noted(lengths):
    def note(group):
        lengths.append(len(group))
        return group

    return note


@pytest.mark.parametrize(
    ("text", "x"),
    [
        (b'{"x": 1.5}', 1.5),
        (b'{"x": NaN}', 0),
        (b'{"x": -Infinity}', 0),
        (b'{"y": [NaN, {"z": Infinity}], "x": 2, "name": "NaN"}', 2),
    ],
)
def test_decode_with_zeros(text, x):
    assert json_text.decode_zeroed(text, POINT).x == x


@pytest.mark.parametrize("text", [b"", b"{", b'{"x": nan}', b'{"x": 1NaN}', b'{"x": "NaN"}', b'{"y": NaN}', b"[NaN]"])
def test_zeros_mend_nothing_else(text):
    with pytest.raises(json_text.UNPARSABLE):
        json_text.decode_zeroed(text, POINT)


@pytest.mark.parametrize("times", [1, 20_000])
def test_zeros_in_a_long_text(times):
    """In time that grows as the text does."""
    text = b'{"a": "NaN, \\" [NaN]", "b": [1, -2.5, null, NaN, -Infinity], "NaN": Infinity},' * times
    zeroed = b'{"a": "NaN, \\" [NaN]", "b": [1, -2.5, null, 0.0, 0.0000000], "NaN": 0.000000},' * times
    assert json_text.zero_non_finite(text) == zeroed
