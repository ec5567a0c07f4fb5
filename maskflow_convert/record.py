"""The maskflow record: nine `FEATURES`, two layouts, to the bytes of a `tf.train.Example` and back. No TensorFlow.

An Example is a map of features, and protobuf writes a map as repeated key-value messages, so the whole of it is a few
nested lengths around the payload. The payload that matters is the list of indices: each is a varint, seven bits a byte,
lowest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import chain
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.errors import DataError
from maskflow_convert.image import StoredImage
from maskflow_convert.indices import encode_indices, varint
from maskflow_convert.issues import Issue
from maskflow_convert.runs import Runs

MAX_BYTES = 2**31 - 1
"""Largest message that protobuf serialises."""

_BYTES: Final = 1
_INT: Final = 3
"""Field numbers of bytes_list and int64_list in tf.train.Feature."""
_LENGTH_DELIMITED = 2
_TAGS = {field: varint(field << 3 | _LENGTH_DELIMITED) for field in (1, 2, 3)}
_VARINT = 10  # bytes of the longest number
_BLOCK = 1 << 16  # bytes of numbers that are decoded at a time: what that takes fits the processor's cache
_FRAME = 1024  # more than all keys, lengths and single numbers of an Example take together


class Layout(StrEnum):
    """Which of the two readings of the format's axes a data set is written in.

    `DOCUMENTED`: `image/width` counts columns and an index is `(n, x, y)`. `ROWS_FIRST`: `image/width` counts rows, as
    the original code stored `array.shape[0]` there, and an index is `(n, row, column)`.
    """

    DOCUMENTED = "documented"
    ROWS_FIRST = "rows_first"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the record.

    Attributes:
        name: its key in the Example.
        dtype: of its values.
        shape: of what a reader makes of it; `()` is a single value, a name is explained with another feature.
        meaning: what it holds.
        by_layout: what that is in each layout, where they differ.
        many: whether it is a list of any length.
    """

    name: str
    dtype: Literal["int64", "bytes"]
    shape: tuple[int | str, ...]
    meaning: str
    by_layout: Mapping[Layout, str] = field(default_factory=dict)
    many: bool = False


FEATURES = (
    Feature("image/id", "int64", (), "identifies the image: unique in the data set"),
    Feature("image/basename", "bytes", (), "UTF-8 name of the image file with its extension, no folder"),
    Feature("image/width", "int64", (), "W", {Layout.DOCUMENTED: "columns", Layout.ROWS_FIRST: "rows"}),
    Feature("image/height", "int64", (), "H", {Layout.DOCUMENTED: "rows", Layout.ROWS_FIRST: "columns"}),
    Feature("image/channel", "int64", (), "C, the channels of the PNG"),
    Feature("image/n_objects", "int64", (), "N, how many objects there are"),
    Feature("image/image_bytes", "bytes", (), "the image as PNG, upright in both layouts"),
    Feature(
        "image/masks_indices",
        "int64",
        (-1, 3),
        "stored flat: the positive pixels of the masks [N, W, H], in lexicographic order, none twice",
        {Layout.DOCUMENTED: "(n, x, y)", Layout.ROWS_FIRST: "(n, row, column)"},
        many=True,
    ),
    Feature("image/class_ids", "int64", ("N",), "the class of each object, in the order of the masks", many=True),
)
"""All features that a record has; there are no others."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is stored.

    Attributes:
        id: `image/id`.
        basename: `image/basename`.
        width: `image/width`, W of the layout.
        height: `image/height`, H of the layout.
        channels: `image/channel`.
        n_objects: `image/n_objects`.
        png: `image/image_bytes`.
        indices: `[P, 3]`, `image/masks_indices`.
        class_ids: `[N]`, `image/class_ids`.
    """

    id: int
    basename: str
    width: int
    height: int
    channels: int
    n_objects: int
    png: bytes
    indices: NDArray[np.int64]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Glance:
    """A record to be shown, of which the indices are not decoded yet: as numbers they take five times the room.

    Attributes:
        basename: `image/basename`.
        png: `image/image_bytes`.
        class_ids: `[N]`, `image/class_ids`.
        packed: the bytes of `image/masks_indices`, in pieces.
    """

    basename: str
    png: bytes
    class_ids: NDArray[np.int64]
    packed: Sequence[bytes | memoryview]

    def index_blocks(self) -> Iterator[NDArray[np.int64]]:
        """`image/masks_indices` in blocks of `[K, 3]`.

        Raises:
            DataError: as `decode`.
        """
        rest = np.empty(0, dtype=np.int64)
        for numbers in _blocks("image/masks_indices", self.packed):
            numbers = np.concatenate([rest, numbers])
            whole = len(numbers) - len(numbers) % 3
            yield numbers[:whole].reshape(-1, 3)
            rest = numbers[whole:]
        if len(rest):
            raise _incomplete("image/masks_indices", len(rest))


def encode(
    *,
    image: StoredImage,
    image_id: int,
    basename: str,
    masks: Sequence[Runs],
    class_ids: Sequence[int],
    layout: Layout,
) -> list[bytes]:
    """Serialise one image and its objects; `masks` and `class_ids` are of the same order and length N.

    Returns:
        The bytes of the record, in pieces to be written one behind the other: an image may be large.

    Raises:
        DataError: `record-too-large`, before anything large is built.
    """
    check_size(basename, sum(map(len, image.pieces)), masks)
    if layout is Layout.ROWS_FIRST:
        width, height = image.height, image.width
        masks = [mask.transposed() for mask in masks]
    else:
        width, height = image.width, image.height
    features = (
        _int_feature("image/id", varint(image_id)),
        _bytes_feature("image/basename", basename.encode("utf-8", "backslashreplace")),
        _int_feature("image/width", varint(width)),
        _int_feature("image/height", varint(height)),
        _int_feature("image/channel", varint(image.channels)),
        _int_feature("image/n_objects", varint(len(masks))),
        _bytes_feature("image/image_bytes", *image.pieces),
        _int_feature("image/masks_indices", *encode_indices(masks)),
        _int_feature("image/class_ids", b"".join(map(varint, class_ids))),
    )
    return _message(1, *chain.from_iterable(features))


def check_size(basename: str, png_bytes: int, masks: Sequence[Runs]) -> None:
    """Refuse an image whose record protobuf could not hold.

    Raises:
        DataError: `record-too-large`.
    """
    estimate = estimate_size(png_bytes, masks)
    if estimate > MAX_BYTES:
        raise DataError(
            "record-too-large",
            f"{basename} would make a record of about {estimate / 2**30:.1f} GiB "
            f"({len(masks)} objects of {sum(mask.area for mask in masks):,} pixels)",
        )


def estimate_size(png_bytes: int, masks: Sequence[Runs]) -> int:
    """Bytes that a record takes at the most."""
    return _FRAME + png_bytes + sum(_VARINT + mask.area * _index_bytes(n, mask) for n, mask in enumerate(masks))


def _index_bytes(n: int, mask: Runs) -> int:
    return len(varint(n)) + len(varint(mask.width - 1)) + len(varint(mask.height - 1))


def _int_feature(key: str, *packed: bytes) -> list[bytes]:
    return _feature(key, _message(_INT, *_message(1, *packed)))


def _bytes_feature(key: str, *pieces: bytes) -> list[bytes]:
    return _feature(key, _message(_BYTES, *_message(1, *pieces)))


def _feature(key: str, feature: list[bytes]) -> list[bytes]:
    """One entry of the map `Features.feature`."""
    return _message(1, _map_key(key), *_message(2, *feature))


@cache
def _map_key(key: str) -> bytes:
    """The field of an entry that holds its key."""
    return b"".join(_message(1, key.encode()))


def _message(field: Literal[1, 2, 3], *parts: bytes) -> list[bytes]:
    """`parts` as the length-delimited field of that number, not joined."""
    return [_TAGS[field], varint(sum(map(len, parts))), *parts]


def decode(data: bytes) -> Record:
    """Parse a serialised record.

    Raises:
        DataError: `record-malformed`: a feature is missing, unknown or of the wrong kind, or the bytes are no Example.
    """
    record, faults = parse(data)
    if record is None or faults:
        raise DataError("record-malformed", faults[0].message)
    return record


def parse(data: bytes) -> tuple[Record | None, list[Issue]]:
    """Parse a serialised record as far as it goes.

    Returns:
        The record, or None if it cannot be had; and all that is wrong with its features: `record-malformed` (the bytes
        are no Example), `record-feature-missing`, `record-feature-unknown`, `record-feature-kind`,
        `record-feature-count`, `record-indices-incomplete`, `record-basename-invalid`.
    """
    try:
        features = dict(_features(memoryview(data)))
    except (ValueError, IndexError) as error:
        return None, [Issue("record-malformed", f"the bytes are not a tf.train.Example: {error}")]
    faults = [*_odd_features(features.keys())]
    numbers: dict[str, NDArray[np.int64]] = {}
    texts: dict[str, bytes] = {}
    for key in (each for each in _KINDS if each in features):
        try:
            if _KINDS[key] == _INT:
                numbers[key] = _numbers(key, *features[key])
            else:
                texts[key] = _single_bytes(key, *features[key])
        except DataError as error:
            faults.append(Issue(error.code, error.message))
    if len(numbers) + len(texts) < len(_KINDS):
        return None, faults
    try:
        texts["image/basename"].decode()
    except UnicodeDecodeError as error:
        faults.append(Issue("record-basename-invalid", f"image/basename is not UTF-8: {error.reason}"))
    record = Record(
        id=int(numbers["image/id"][0]),
        basename=texts["image/basename"].decode(errors="backslashreplace"),
        width=int(numbers["image/width"][0]),
        height=int(numbers["image/height"][0]),
        channels=int(numbers["image/channel"][0]),
        n_objects=int(numbers["image/n_objects"][0]),
        png=texts["image/image_bytes"],
        indices=numbers["image/masks_indices"].reshape(-1, 3),
        class_ids=numbers["image/class_ids"],
    )
    return record, faults


def glance(data: bytes) -> Glance | None:
    """A record to be shown; None if there is nothing to show."""
    try:
        features = dict(_features(memoryview(data)))
        return Glance(
            basename=_single_bytes("image/basename", *features["image/basename"]).decode(errors="backslashreplace"),
            png=_single_bytes("image/image_bytes", *features["image/image_bytes"]),
            class_ids=_integers("image/class_ids", *features["image/class_ids"]),
            packed=features["image/masks_indices"][1],
        )
    except (ValueError, LookupError, DataError):
        return None


def _odd_features(keys: Set[str]) -> Iterator[Issue]:
    missing, unknown = [key for key in _KINDS if key not in keys], sorted(keys - _KINDS.keys())
    if missing:
        yield Issue("record-feature-missing", f"there is no {', '.join(missing)}")
    if unknown:
        first = ", ".join(repr(key[:_SHOWN]) for key in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        yield Issue("record-feature-unknown", f"the format has no feature {first}{more}")


_KINDS = {feature.name: _INT if feature.dtype == "int64" else _BYTES for feature in FEATURES}
_LISTS = tuple(feature.name for feature in FEATURES if feature.many)
_KIND_NAMES = {_BYTES: "bytes", 2: "float", _INT: "int64"}
_NOTHING = memoryview(b"")
_SHOWN = 60  # characters of a name that a message quotes


def _features(data: memoryview) -> Iterator[tuple[str, tuple[int, list[memoryview]]]]:
    """`(key, (kind, values))` of each feature: the kind is a field number, the values are the fields of its list.

    The values are views of the data, which are not copied.
    """
    for _, features in _fields(data, highest=1):
        for _, entry in _fields(features, highest=1):
            parts = dict(_fields(entry, highest=2))
            kinds = dict(_fields(parts.get(2, _NOTHING), highest=3)) or {_INT: _NOTHING}
            if len(kinds) > 1:
                raise ValueError("a feature is of two kinds")
            [(kind, values)] = kinds.items()
            yield bytes(parts.get(1, _NOTHING)).decode(), (kind, [value for _, value in _fields(values, highest=1)])


def _fields(data: memoryview, *, highest: int) -> Iterator[tuple[int, memoryview]]:
    """Number, from 1 to `highest`, and content of each field of a message; those of an Example are length-delimited."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        if tag & 7 != _LENGTH_DELIMITED or not 1 <= tag >> 3 <= highest or at + length > len(data):
            raise ValueError(f"field {tag >> 3} is unknown, cut off, or of another kind")
        yield tag >> 3, data[at : at + length]
        at += length


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if shift == 7 * _VARINT:
            raise ValueError("a number does not end within 64 bits")
    return value | data[at] << shift, at + 1


def _numbers(key: str, kind: int, packed: Sequence[memoryview]) -> NDArray[np.int64]:
    """The numbers of a feature, as many as the format has there."""
    numbers = _integers(key, kind, packed)
    if key not in _LISTS and len(numbers) != 1:
        raise DataError("record-feature-count", f"{key} holds {len(numbers):,} numbers instead of one")
    if key == "image/masks_indices" and len(numbers) % 3:
        raise _incomplete(key, len(numbers))
    return numbers


def _incomplete(key: str, count: int) -> DataError:
    return DataError("record-indices-incomplete", f"{key} holds {count:,} numbers, no multiple of three")


def _integers(key: str, kind: int, packed: Sequence[memoryview]) -> NDArray[np.int64]:
    """The numbers of a packed int64 list."""
    if kind != _INT:
        raise _wrong_kind(key, kind)
    return np.concatenate([np.empty(0, dtype=np.int64), *_blocks(key, packed)])


def _blocks(key: str, packed: Sequence[bytes | memoryview]) -> Iterator[NDArray[np.int64]]:
    """The numbers of a packed int64 list, as many at a time as fit the processor's cache."""
    groups = np.frombuffer(packed[0] if len(packed) == 1 else b"".join(packed), dtype=np.uint8)
    while len(groups):
        ends = np.flatnonzero(groups[:_BLOCK] < 128)
        lengths = np.diff(ends, prepend=-1)
        if not len(ends) or lengths.max() > _VARINT:
            raise DataError("record-malformed", f"{key} holds a number that does not end within 64 bits")
        numbers = groups[ends].astype(np.uint64)
        for earlier in range(1, int(lengths.max())):
            longer = np.flatnonzero(lengths > earlier)
            numbers[longer] = numbers[longer] << np.uint64(7) | (groups[ends[longer] - earlier] & 127)
        yield numbers.view(np.int64)
        groups = groups[ends[-1] + 1 :]


def _single_bytes(key: str, kind: int, values: Sequence[memoryview]) -> bytes:
    if kind != _BYTES:
        raise _wrong_kind(key, kind)
    if len(values) != 1:
        raise DataError("record-feature-count", f"{key} holds {len(values):,} byte strings instead of one")
    return bytes(values[0])


def _wrong_kind(key: str, kind: int) -> DataError:
    names = _KIND_NAMES[kind], _KIND_NAMES[_KINDS[key]]
    return DataError("record-feature-kind", "{} is a list of {}, not of {}".format(key, *names))
