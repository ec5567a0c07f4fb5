"""What holds for any file, any shape and any configuration: hypothesis looks for one for which it does not."""

from __future__ import annotations

import math
import string

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.config import load_config
from maskflow_convert.errors import ConfigError, PluginError, ShapeError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import encode_png
from maskflow_convert.indices import varint
from maskflow_convert.issues import Issue
from maskflow_convert.outlines import Outlines
from maskflow_convert.record import parse
from maskflow_convert.shape import Bitmap, Box, Drawing, Polygons, Region, Rle, Union
from maskflow_convert.tfrecord import Compression, ShardWriter, read_records, scan_records


@pytest.fixture(name="home", scope="module")
def home_fixture(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


def raised(kinds, call):
    """What a call raises of some kinds; None if nothing."""
    try:
        call()
    except kinds as error:
        return error
    return None


# framing

RECORDS = st.lists(st.binary(max_size=300), max_size=5)
MODES = {Compression.NONE: "", Compression.GZIP: "GZIP"}


@given(RECORDS, st.sampled_from(Compression))
@settings(max_examples=60)
def test_tensorflow_reads_what_is_written(home, records, compression):
    path = home / "ours.tfrecord"
    with ShardWriter(path, compression) as writer:
        for record in records:
            writer.write(record)
    assert [*tf.data.TFRecordDataset(str(path), MODES[compression]).as_numpy_iterator()] == records


@given(RECORDS, st.sampled_from(Compression))
@settings(max_examples=60)
def test_what_tensorflow_writes_is_read(home, records, compression):
    path = home / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(path), MODES[compression]) as writer:
        for record in records:
            writer.write(record)
    assert [*read_records(path)] == records


def framed(records, folder):
    path = folder / "whole.tfrecord"
    with ShardWriter(path, Compression.NONE) as writer:
        for record in records:
            writer.write(record)
    return path.read_bytes()


@given(st.data(), RECORDS)
def test_any_file_is_read_as_records_and_issues(home, data, records):
    """What is read as a record was written as one, in this order; nothing comes after what cannot be passed over."""
    whole = framed(records, home)
    cut = data.draw(st.integers(0, len(whole)))
    more = data.draw(st.binary(max_size=40))
    path = home / "damaged.tfrecord"
    path.write_bytes(data.draw(st.sampled_from([whole[:cut], whole[:cut] + more, more + whole, whole + more])))
    found = [*scan_records(path)]
    for content in found:
        assert isinstance(content, bytes) or content.code in CATALOGUE
    ended = [isinstance(each, Issue) and each.code != "record-checksum-differs" for each in found]
    assert not any(ended[:-1])
    remaining = iter(records)
    assert all(each in remaining for each in found if isinstance(each, bytes) and each)
    refusal = raised(SourceError, lambda: [*read_records(path)])
    assert (refusal is None) == all(isinstance(each, bytes) for each in found)
    assert refusal is None or refusal.path == path


# numbers

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)


def example_of(class_ids):
    """A record that protobuf wrote."""
    values = {"class_ids": class_ids, "masks_indices": []}
    values |= {key: [0] for key in ("id", "n_objects", "width", "height", "channel")}
    features = {key: tf.train.Feature(int64_list=tf.train.Int64List(value=each)) for key, each in values.items()}
    text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"]))
    features |= {"basename": text, "image_bytes": text}
    named = {f"image/{key}": feature for key, feature in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


@given(st.lists(NUMBERS, min_size=1, max_size=12), st.integers(1, 30_000))
@example([2**63 - 1, -1, 0], 21_000)
@settings(max_examples=40)
def test_numbers_are_read_as_protobuf_wrote_them(numbers, count):
    """They are read in blocks of 64 KiB, which end anywhere within a number."""
    many = (numbers * count)[:count]
    record, faults = parse(example_of(many))
    assert record is not None
    assert (faults, record.class_ids.tolist()) == ([], many)


@given(st.lists(NUMBERS, max_size=50))
def test_varints_are_protobufs(numbers):
    wire = tf.train.Int64List(value=numbers).SerializeToString()
    packed = b"".join(map(varint, numbers))
    assert wire == (b"\n" + varint(len(packed)) + packed if numbers else b"")


# geometry

WIDTH, HEIGHT = 9, 7
WILD = (math.nan, math.inf, -math.inf, 1e6, 1e6 + 1, -1e8, 1e300, -5e-324, 2.0**31, -0.0)
VALUES = st.integers(-20, 40).map(lambda n: n / 4) | st.floats() | st.sampled_from(WILD)
POINTS = st.lists(VALUES, max_size=14).map(tuple)
COUNTS = st.lists(st.integers(-1, 63) | st.integers(-(2**70), 2**70), max_size=8).map(tuple)
PICTURE = encode_png(np.arange(63, dtype=np.uint8).reshape(HEIGHT, WIDTH))
SOURCES = st.just(PICTURE) | st.binary(max_size=9) | st.integers(8, len(PICTURE)).map(lambda end: PICTURE[:end])
SIDES = st.sampled_from([WIDTH, HEIGHT, 1, 10**5, 2**40])
OFFSETS = st.integers(-12, 12) | st.integers(-(2**70), 2**70)
MASKS = st.one_of(
    st.builds(Polygons, parts=st.lists(POINTS, max_size=4).map(tuple), rasteriser=st.sampled_from(["coco", "labelme"])),
    st.builds(
        Drawing,
        figure=st.sampled_from(["rectangle", "ellipse", "line"]),
        points=POINTS,
        thickness=st.integers(1, 9) | st.integers(1, 2**70),
    ),
    st.builds(
        Rle, width=SIDES, height=SIDES, counts=COUNTS | st.text(st.characters(min_codepoint=47, max_codepoint=112))
    ),
    st.builds(Bitmap, source=SOURCES, x=OFFSETS, y=OFFSETS),
    st.builds(Region, source=SOURCES, value=st.integers(1, 2**70)),
)
SHAPES = (
    MASKS
    | st.builds(Box, x0=VALUES, y0=VALUES, x1=VALUES, y1=VALUES)
    | st.builds(Union, members=st.lists(MASKS, max_size=3).map(tuple))
)


@given(SHAPES)
@settings(max_examples=400)
def test_any_shape_gives_pixels_of_the_image_or_an_issue(shape):
    runs, refusal = None, None
    try:
        runs = Rasteriser(WIDTH, HEIGHT).runs(shape)
    except ShapeError as error:
        refusal = error
    if runs is None:
        assert refusal.code in CATALOGUE
        return
    assert (runs.width, runs.height) == (WIDTH, HEIGHT)
    ends = runs.starts + runs.lengths
    assert (runs.lengths > 0).all()
    assert (runs.starts[1:] >= ends[:-1]).all()
    assert not len(ends) or 0 <= runs.starts[0] < ends[-1] <= WIDTH * HEIGHT


FINITE = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9)


@given(st.lists(FINITE.map(lambda values: [*values, *values][: 2 * len(values)]), min_size=1, max_size=3))
def test_any_finite_outline_is_judged(parts):
    with np.errstate(over="ignore", invalid="ignore"):
        assert Outlines.of(parts).crossings().keys() <= set(range(len(parts)))


# configuration

KEYS = ("sources", "classes", "names", "splits", "image", "issues", "output", "run", "adapter", "annotations", "seed")
ATOMS = st.sampled_from(
    [
        *(f"{key}: " for key in KEYS),
        *(
            "coco",
            "shapes",
            "./x.py:A",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "\n",
            "\n  ",
            "&a ",
            "*a",
            "!!str ",
            "!x ",
            "? ",
        ),
        *("0x" + "f" * 5000, "9" * 5000, "1e999", ".nan", "2001-13-45", '"\\ud800"', "%YAML 1.0\n---\n", "<<: ", "? "),
        *("[" * 60, "- " * 60, "#", "'", '"', "\t", "\x00", "\x85", "\ufeff", "é", "\U0001f4a9", "~", "null", "true"),
    ]
)
TEXTS = st.lists(ATOMS | st.text(string.printable, max_size=3), max_size=14).map("".join)


@given(TEXTS.map(lambda text: text.encode()) | st.binary(max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_configuration_or_is_refused_with_its_place(home, text):
    path = home / "c.yaml"
    path.write_bytes(text)
    refusal = raised((ConfigError, PluginError), lambda: load_config(path))
    if isinstance(refusal, ConfigError):
        assert refusal.problems
        assert all(problem.startswith(f"{path}:") and "\n" not in problem for problem in refusal.problems)
    elif refusal is not None:
        assert "adapter" in str(refusal)


@given(st.sampled_from([*KEYS, "sources[0].count", "sources[0]", "classes.names[1]"]), TEXTS)
@settings(max_examples=200)
def test_any_override_is_taken_or_refused_with_its_name(home, key, text):
    path = home / "s.yaml"
    path.write_text("sources: [{adapter: shapes}]\nclasses: {names: [a, b]}\n", encoding="utf-8")
    override = f"{key}={text}"
    refusal = raised((ConfigError, PluginError), lambda: load_config(path, [override]))
    if isinstance(refusal, ConfigError):
        assert all(override in problem for problem in refusal.problems)
