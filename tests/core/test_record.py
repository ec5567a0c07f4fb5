"""The record is judged by TensorFlow: by Examples built with its own classes, and by `judge` in conftest.py."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from maskflow_convert.errors import DataError
from maskflow_convert.image import StoredImage
from maskflow_convert.indices import varint
from maskflow_convert.record import MAX_BYTES, Layout, _read_varint, decode, encode, estimate_size
from maskflow_convert.runs import Runs, from_dense, from_positions, nothing

if TYPE_CHECKING:
    import tensorflow as tf

Mask = NDArray[np.bool_]
Features = dict[str, Any]

both_layouts = pytest.mark.parametrize("layout", list(Layout))

# 5 columns x 3 rows: red tells the column, green the row
PICTURE = np.array([[(10 * x, 100 * y, 7) for x in range(5)] for y in range(3)], dtype=np.uint8)
FIRST = from_positions(np.array([1 * 3 + 0, 4 * 3 + 2]), width=5, height=3)
SECOND = from_positions(np.array([0, 1, 2, 3]), width=5, height=3)


def png(pixels: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


IMAGE = StoredImage((png(PICTURE),), width=5, height=3, channels=3, depth=8)


def serialize(
    masks: Sequence[Runs],
    *,
    image: StoredImage = IMAGE,
    layout: Layout = Layout.DOCUMENTED,
    class_ids: Sequence[int] | None = None,
    image_id: int = 42,
    basename: str = "a.png",
) -> bytes:
    class_ids = range(1, len(masks) + 1) if class_ids is None else class_ids
    pieces = encode(image=image, image_id=image_id, basename=basename, masks=masks, class_ids=class_ids, layout=layout)
    return b"".join(pieces)


def example(features: Features) -> tf.train.Example:
    """An Example by TensorFlow; the type of a list's first value says which list. `[]` is an empty int64 list."""
    import tensorflow as tf

    def feature(values: list[Any]) -> tf.train.Feature:
        if not values or isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    return tf.train.Example(
        features=tf.train.Features(feature={key: feature(values) for key, values in features.items()})
    )


def parsed(serialized: bytes) -> Features:
    """Feature by feature, as protobuf reads it."""
    import tensorflow as tf

    message = tf.train.Example.FromString(serialized)
    return {
        key: list(getattr(feature, feature.WhichOneof("kind")).value)
        for key, feature in message.features.feature.items()
    }


def triples(serialized: bytes) -> list[tuple[int, ...]]:
    flat = parsed(serialized)["image/masks_indices"]
    return [tuple(flat[at : at + 3]) for at in range(0, len(flat), 3)]


# The record of PICTURE and its two objects, written down by hand in both layouts
BY_HAND: dict[Layout, Features] = {
    Layout.DOCUMENTED: {
        "image/id": [42],
        "image/basename": [b"a.png"],
        "image/width": [5],
        "image/height": [3],
        "image/channel": [3],
        "image/n_objects": [2],
        "image/image_bytes": [IMAGE.png],
        "image/masks_indices": [0, 1, 0, 0, 4, 2, 1, 0, 0, 1, 0, 1, 1, 0, 2, 1, 1, 0],
        "image/class_ids": [9, 4],
    },
    Layout.ROWS_FIRST: {
        "image/id": [42],
        "image/basename": [b"a.png"],
        "image/width": [3],
        "image/height": [5],
        "image/channel": [3],
        "image/n_objects": [2],
        "image/image_bytes": [IMAGE.png],
        "image/masks_indices": [0, 0, 1, 0, 2, 4, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 2, 0],
        "image/class_ids": [9, 4],
    },
}


@both_layouts
def test_a_record_is_the_example_written_by_hand(layout: Layout) -> None:
    import tensorflow as tf

    serialized = serialize([FIRST, SECOND], layout=layout, class_ids=[9, 4])
    assert parsed(serialized) == BY_HAND[layout]
    assert tf.train.Example.FromString(serialized) == example(BY_HAND[layout])


@both_layouts
def test_decode_reads_our_bytes_and_protobufs_alike(layout: Layout) -> None:
    ours = decode(serialize([FIRST, SECOND], layout=layout, class_ids=[9, 4]))
    theirs = decode(example(BY_HAND[layout]).SerializeToString())
    expected = BY_HAND[layout]
    for record in (ours, theirs):
        assert record.id == 42
        assert record.basename == "a.png"
        assert [record.width] == expected["image/width"]
        assert [record.height] == expected["image/height"]
        assert (record.channels, record.n_objects) == (3, 2)
        assert record.png == IMAGE.png
        assert record.indices.shape == (6, 3)
        assert record.indices.ravel().tolist() == expected["image/masks_indices"]
        assert record.class_ids.tolist() == [9, 4]


def test_documented_axes_land_pixel_for_pixel(judge: Callable[..., Any]) -> None:
    found = judge(serialize([FIRST, SECOND]), "documented")
    assert found.image.shape == (5, 3, 3)
    assert all(found.image[x, y].tolist() == [10 * x, 100 * y, 7] for x in range(5) for y in range(3))
    assert found.masks.tolist() == [
        [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]],
        [[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]


def test_rows_first_axes_land_pixel_for_pixel(judge: Callable[..., Any]) -> None:
    found = judge(serialize([FIRST, SECOND], layout=Layout.ROWS_FIRST), "rows_first")
    assert found.image.shape == (3, 5, 3)
    assert all(found.image[y, x].tolist() == [10 * x, 100 * y, 7] for x in range(5) for y in range(3))
    assert found.masks.tolist() == [
        [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]],
        [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]],
    ]


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda hw: st.lists(arrays.arrays(np.bool_, hw), max_size=4)
    ),
    st.sampled_from(Layout),
)
@settings(deadline=None)
def test_indices_are_those_of_the_dense_array_in_lexicographic_order(masks: list[Mask], layout: Layout) -> None:
    height, width = masks[0].shape if masks else (3, 5)
    image = StoredImage((), width, height, 3, 8)
    found = triples(serialize([from_dense(mask) for mask in masks], image=image, layout=layout))
    dense = np.array(masks, dtype=bool).reshape(-1, height, width)
    in_order = dense.transpose(0, 2, 1) if layout is Layout.DOCUMENTED else dense
    assert found == [tuple(triple) for triple in np.argwhere(in_order).tolist()]
    assert found == sorted(set(found))


@both_layouts
def test_tensorflow_accepts_random_masks_and_gives_them_back(layout: Layout, judge: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (17, 31, 3), dtype=np.uint8)
    masks = rng.random((6, 17, 31)) < 0.4
    image = StoredImage((png(pixels),), 31, 17, 3, 8)
    found = judge(serialize([from_dense(mask) for mask in masks], image=image, layout=layout), layout)
    if layout is Layout.DOCUMENTED:
        pixels, masks = pixels.transpose(1, 0, 2), masks.transpose(0, 2, 1)
    assert np.array_equal(found.image, pixels)
    assert np.array_equal(found.masks, masks)
    assert found.class_ids.tolist() == [1, 2, 3, 4, 5, 6]


@both_layouts
def test_an_image_without_objects_has_masks_of_no_object(layout: Layout, judge: Callable[..., Any]) -> None:
    serialized = serialize([], layout=layout)
    assert parsed(serialized)["image/masks_indices"] == parsed(serialized)["image/class_ids"] == []
    assert judge(serialized, layout).masks.shape == ((0, 5, 3) if layout is Layout.DOCUMENTED else (0, 3, 5))
    record = decode(serialized)
    assert (record.n_objects, record.indices.shape, record.class_ids.shape) == (0, (0, 3), (0,))


@both_layouts
def test_an_object_without_a_pixel_keeps_its_place(layout: Layout, judge: Callable[..., Any]) -> None:
    found = judge(serialize([FIRST, nothing(5, 3), SECOND], layout=layout, class_ids=[9, 8, 4]), layout)
    assert found.masks.sum(axis=(1, 2)).tolist() == [2, 0, 4]
    assert found.class_ids.tolist() == [9, 8, 4]


EDGES = [0, 1, 127, 128, 129, 16_383, 16_384, 16_385, 19_999]


@both_layouts
def test_coordinates_beyond_one_and_two_bytes(layout: Layout) -> None:
    positions = np.array([x * 20_000 + y for x in EDGES for y in EDGES])
    mask = from_positions(positions, width=20_000, height=20_000)
    serialized = serialize([mask], image=StoredImage((), 20_000, 20_000, 3, 8), layout=layout)
    expected = [(0, a, b) for a in EDGES for b in EDGES]
    assert triples(serialized) == expected
    assert list(map(tuple, decode(serialized).indices.tolist())) == expected


@both_layouts
def test_a_run_that_passes_the_widths_of_a_varint(layout: Layout) -> None:
    run = Runs(np.array([130 * 20_000 + 120]), np.array([16_384]), 300, 20_000)
    serialized = serialize([run], image=StoredImage((), 300, 20_000, 3, 8), layout=layout)
    along_y = [(130, y) for y in range(120, 16_504)]
    expected = [(0, x, y) if layout is Layout.DOCUMENTED else (0, y, x) for x, y in along_y]
    assert triples(serialized) == expected


@both_layouts
def test_objects_beyond_one_and_two_bytes(layout: Layout) -> None:
    count = 16_400
    masks = [from_positions(np.array([n % 15]), width=5, height=3) for n in range(count)]
    serialized = serialize(masks, layout=layout, class_ids=[n % 300 for n in range(count)])
    where = [divmod(n % 15, 3) for n in range(count)]
    expected = [(n, x, y) if layout is Layout.DOCUMENTED else (n, y, x) for n, (x, y) in enumerate(where)]
    assert triples(serialized) == expected
    record = decode(serialized)
    assert record.n_objects == count
    assert list(map(tuple, record.indices.tolist())) == expected
    assert record.class_ids.tolist() == [n % 300 for n in range(count)]


@both_layouts
def test_triples_of_nine_bytes(layout: Layout) -> None:
    """More than 16,384 objects in an image of more than 16,384 columns and rows: nuclei on a slide, for instance."""
    places = {0: (3, 5), 127: (128, 16_384), 16_383: (16_384, 127), 16_384: (16_390, 19_999)}
    masks = [
        from_positions(np.array([places[n][0] * 20_000 + places[n][1]]), width=20_000, height=20_000)
        if n in places
        else nothing(20_000, 20_000)
        for n in range(16_385)
    ]
    serialized = serialize(masks, image=StoredImage((), 20_000, 20_000, 3, 8), layout=layout)
    expected = [(n, x, y) if layout is Layout.DOCUMENTED else (n, y, x) for n, (x, y) in places.items()]
    assert triples(serialized) == expected


LIMITS = [0, 1, 127, 128, 2**14, 2**31, 2**32, 2**63 - 1, -1, -2, -(2**31), -(2**63)]


@pytest.mark.parametrize("number", LIMITS)
def test_numbers_of_64_bits_with_their_sign(number: int) -> None:
    serialized = serialize([FIRST], image_id=number, class_ids=[number])
    assert parsed(serialized)["image/id"] == parsed(serialized)["image/class_ids"] == [number]
    record = decode(serialized)
    assert record.id == number
    assert record.class_ids.tolist() == [number]


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_varint_is_protobufs(number: int) -> None:
    wire = example({"n": [number]}).features.feature["n"].int64_list.SerializeToString()
    assert wire.endswith(varint(number))
    assert len(wire) == 2 + len(varint(number))


@pytest.mark.parametrize(
    "basename", ["a.png", "", "grün 図.jpg", "a b\n.png", "\N{MATHEMATICAL ITALIC SMALL ALPHA}.tif", "x" * 300 + ".png"]
)
def test_a_basename_is_utf_8(basename: str, judge: Callable[..., Any]) -> None:
    serialized = serialize([FIRST], basename=basename)
    assert parsed(serialized)["image/basename"] == [basename.encode("utf-8")]
    assert judge(serialized, "documented").basename == decode(serialized).basename == basename


@pytest.mark.parametrize(
    ("pixels", "channels", "depth"),
    [
        (PICTURE[..., 0], 1, 8),
        (PICTURE, 3, 8),
        (PICTURE[..., 0].astype(np.uint16) * 1000 + 1, 1, 16),
    ],
    ids=["grey", "RGB", "16 bits"],
)
def test_channels_and_depth_are_those_of_the_png(
    pixels: NDArray[np.generic], channels: int, depth: int, judge: Callable[..., Any]
) -> None:
    image = StoredImage((png(pixels),), 5, 3, channels, depth)
    found = judge(serialize([FIRST], image=image), "documented", depth=depth)
    assert np.array_equal(found.image, pixels.reshape(3, 5, channels).swapaxes(0, 1))


SMALL = serialize([FIRST])
GOOD: Features = BY_HAND[Layout.DOCUMENTED]
KEYS = sorted(GOOD)


def malformed(serialized: bytes) -> str:
    with pytest.raises(DataError) as caught:
        decode(serialized)
    assert caught.value.code == "record-malformed"
    return caught.value.message


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_feature_is_named(key: str) -> None:
    assert key in malformed(example({k: v for k, v in GOOD.items() if k != key}).SerializeToString())


@pytest.mark.parametrize("key", ["image/source", "", "image/ID", "image/idé"])
def test_a_tenth_feature_is_named(key: str) -> None:
    assert key in malformed(example({**GOOD, key: [1]}).SerializeToString())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("wrong", [[1.5], [1.0, 2.0, 3.0], [b"\x01"], [b"\x01", b"\x02\x03"], [1], [1, 2, 3]], ids=repr)
def test_a_feature_of_the_wrong_kind_is_named(key: str, wrong: list[Any]) -> None:
    if type(wrong[0]) is type(GOOD[key][0]):
        wrong = [1.5] * len(wrong)
    assert key in malformed(example({**GOOD, key: wrong}).SerializeToString())


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"image/masks_indices", "image/class_ids"}))
@pytest.mark.parametrize("count", [0, 2])
def test_a_single_value_is_neither_missing_nor_two(key: str, count: int) -> None:
    assert key in malformed(example({**GOOD, key: GOOD[key] * count}).SerializeToString())


@pytest.mark.parametrize("count", [1, 2, 4, 17])
def test_indices_come_in_threes(count: int) -> None:
    assert "three" in malformed(example({**GOOD, "image/masks_indices": [0] * count}).SerializeToString())


def test_lists_without_a_kind_are_empty_as_they_are_to_tensorflow(judge: Callable[..., Any]) -> None:
    message = example({**GOOD, "image/n_objects": [0], "image/masks_indices": [], "image/class_ids": []})
    for key in ("image/masks_indices", "image/class_ids"):
        message.features.feature[key].Clear()
    serialized = message.SerializeToString()
    assert judge(serialized, "documented").masks.shape == (0, 5, 3)
    assert (decode(serialized).indices.shape, decode(serialized).class_ids.shape) == ((0, 3), (0,))


def test_every_truncation_of_a_record_is_malformed() -> None:
    for length in range(len(SMALL)):
        malformed(SMALL[:length])


@pytest.mark.parametrize("after", [b"\x00", b"\x0a", b"\x0a\x05", b"\x0a\x05abc", b"\xff" * 12], ids=repr)
def test_bytes_after_a_record_are_malformed(after: bytes) -> None:
    malformed(SMALL + after)


def nested(field: int, *parts: bytes) -> bytes:
    """A length-delimited field of less than 128 bytes."""
    content = b"".join(parts)
    return bytes([field << 3 | 2, len(content)]) + content


ONE = nested(3, nested(1, b"\x01"))


@pytest.mark.parametrize(
    "serialized",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(nested(1), id="no feature"),
        pytest.param(nested(1, nested(1)), id="an entry of nothing"),
        pytest.param(nested(1, nested(1, nested(2, ONE))), id="an entry without a key"),
        pytest.param(nested(1, nested(1, nested(1, b"image/id"))), id="an entry without a value"),
        pytest.param(nested(1, nested(1, nested(1, b"\xff\xfe"), nested(2, ONE))), id="a key that is not UTF-8"),
        pytest.param(b"\x80" * 11, id="a number without an end"),
        pytest.param(b"\x0a" + b"\x80" * 10 + b"\x00", id="a length of more than 64 bits"),
        pytest.param(nested(1, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), id="a length of 64 bits"),
        pytest.param(nested(1, b"\x0b\x0c"), id="a group"),
    ],
)
def test_bytes_that_are_no_record_are_malformed(serialized: bytes) -> None:
    malformed(serialized)


def test_a_number_is_read_no_further_than_64_bits_go() -> None:
    """Of one that goes on for a megabyte, the work would grow with the square."""
    read = []

    class Watched(bytes):
        def __getitem__(self, at: Any) -> Any:
            read.append(at)
            return super().__getitem__(at)

    with pytest.raises(ValueError, match="does not end within 64 bits"):
        _read_varint(cast(memoryview, Watched(b"\xff" * 1000)), 0)
    assert max(read) == 9


@pytest.mark.parametrize("packed", [b"\x80", b"\x01\x80", b"\xff" * 10, b"\x80" * 10 + b"\x01"], ids=repr)
def test_numbers_that_do_not_end_within_64_bits_are_malformed(packed: bytes) -> None:
    message = example({**GOOD, "image/class_ids": []})
    entry = nested(1, nested(1, b"image/class_ids"), nested(2, nested(3, nested(1, packed))))
    malformed(message.SerializeToString() + nested(1, entry))


@pytest.mark.parametrize("level", ["Example.features", "Features.feature", "Int64List.value"])
def test_fields_of_other_numbers_are_not_taken_for_the_record(level: str) -> None:
    """To protobuf they are unknown fields, and the record has no image/id."""
    import tensorflow as tf

    rest = example({key: values for key, values in GOOD.items() if key != "image/id"}).SerializeToString()
    numbers = [2 if level == each else 1 for each in ("Example.features", "Features.feature", "Int64List.value")]
    value = nested(2, nested(3, nested(numbers[2], b"\x2a")))
    serialized = rest + nested(numbers[0], nested(numbers[1], nested(1, b"image/id"), value))
    assert not tf.train.Example.FromString(serialized).features.feature["image/id"].int64_list.value
    malformed(serialized)


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda data: nested(1, nested(1, data))))
def test_random_bytes_are_malformed(serialized: bytes) -> None:
    malformed(serialized)


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=500, deadline=None)
def test_altered_bytes_are_malformed_or_what_protobuf_makes_of_them(changes: list[tuple[int, int]]) -> None:
    altered = bytearray(SMALL)
    for at, value in changes:
        altered[at] = value
    code = None
    try:
        record = decode(bytes(altered))
    except DataError as error:
        code = error.code
    else:
        assert parsed(bytes(altered)) == {
            "image/id": [record.id],
            "image/basename": [record.basename.encode("utf-8", "surrogateescape")],
            "image/width": [record.width],
            "image/height": [record.height],
            "image/channel": [record.channels],
            "image/n_objects": [record.n_objects],
            "image/image_bytes": [record.png],
            "image/masks_indices": record.indices.ravel().tolist(),
            "image/class_ids": record.class_ids.tolist(),
        }
    assert code in (None, "record-malformed")


@both_layouts
def test_a_record_beyond_2_gb_is_refused_before_it_is_built(layout: Layout) -> None:
    side = 2_000_000
    giant = Runs(np.array([0]), np.array([side * side]), side, side)
    image = StoredImage((), side, side, 3, 8)
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            serialize([FIRST, giant], image=image, layout=layout, basename="giant.tif")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "record-too-large"
    assert "giant.tif" in caught.value.message
    assert f"{side * side + 2:,}" in caught.value.message
    assert peak < 1_000_000


def test_the_png_counts_towards_the_limit() -> None:
    assert estimate_size(MAX_BYTES, []) > MAX_BYTES == 2**31 - 1
    assert estimate_size(MAX_BYTES // 2, []) < MAX_BYTES


@pytest.mark.parametrize(
    "serialized_and_estimate",
    [
        pytest.param((SMALL, estimate_size(len(IMAGE.png), [FIRST])), id="a small record"),
        pytest.param(
            (serialize([FIRST] * 3000, class_ids=[300] * 3000), estimate_size(len(IMAGE.png), [FIRST] * 3000)),
            id="many objects",
        ),
        pytest.param(
            (serialize([nothing(5, 3)] * 3000), estimate_size(len(IMAGE.png), [nothing(5, 3)] * 3000)),
            id="many objects without a pixel",
        ),
    ],
)
def test_the_estimate_is_never_too_small(serialized_and_estimate: tuple[bytes, int]) -> None:
    serialized, estimate = serialized_and_estimate
    assert len(serialized) <= estimate


def test_the_estimate_is_no_gross_exaggeration() -> None:
    full = Runs(np.array([0]), np.array([400 * 300]), 400, 300)
    serialized = serialize([full] * 3, image=StoredImage((), 400, 300, 3, 8))
    assert len(serialized) <= estimate_size(0, [full] * 3) < 1.5 * len(serialized)
