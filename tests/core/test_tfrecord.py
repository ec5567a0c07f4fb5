"""Files are judged by TensorFlow's own reader and writer, by hashlib and zlib, and by what is on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskflow_convert.errors import OutputError, SourceError
from maskflow_convert.tfrecord import (
    Compression,
    ShardWriter,
    compression_of,
    first_records,
    masked_crc,
    read_records,
)

RECORDS = [
    b"",
    b"a",
    bytes(range(256)),
    bytes(70_000),
    np.random.default_rng(5).bytes(2_500_000),
    b"the end",
]

both_compressions = pytest.mark.parametrize("compression", list(Compression))


def tensorflow_name(compression: Compression) -> str:
    return {"none": "", "gzip": "GZIP"}[compression]


def write(path: Path, records: Iterable[bytes], compression: Compression = Compression.NONE) -> ShardWriter:
    with ShardWriter(path, compression) as writer:
        for record in records:
            writer.write(record)
    return writer


def read_with_tensorflow(path: Path, compression: Compression) -> list[bytes]:
    import tensorflow as tf

    dataset = tf.data.TFRecordDataset(str(path), compression_type=tensorflow_name(compression))
    return [record.numpy() for record in dataset]


def write_with_tensorflow(path: Path, records: Iterable[bytes], compression: Compression) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), options=tensorflow_name(compression)) as writer:
        for record in records:
            writer.write(record)


@both_compressions
@pytest.mark.parametrize("records", [RECORDS, [], [b""]], ids=["many", "none", "one of no bytes"])
def test_tensorflow_reads_what_we_write(records: list[bytes], compression: Compression, tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", records, compression)
    assert read_with_tensorflow(tmp_path / "a.tfrecord", compression) == records


@both_compressions
@pytest.mark.parametrize("records", [RECORDS, [], [b""]], ids=["many", "none", "one of no bytes"])
def test_we_read_what_tensorflow_writes(records: list[bytes], compression: Compression, tmp_path: Path) -> None:
    write_with_tensorflow(tmp_path / "a.tfrecord", records, compression)
    assert list(read_records(tmp_path / "a.tfrecord")) == records


def test_an_uncompressed_file_is_tensorflows_byte_for_byte(tmp_path: Path) -> None:
    write(tmp_path / "ours", RECORDS)
    write_with_tensorflow(tmp_path / "theirs", RECORDS, Compression.NONE)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@both_compressions
def test_we_read_what_we_write(compression: Compression, tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", RECORDS, compression)
    assert list(read_records(tmp_path / "a.tfrecord")) == RECORDS


def test_a_checksum_worked_out_by_hand() -> None:
    crc = 0xE3069283  # the check value that CRC-32C is published with
    assert masked_crc(b"123456789") == ((crc >> 15) + (crc << 17) % 2**32 + 0xA282EAD8) % 2**32


@both_compressions
def test_sha256_and_size_are_those_of_the_file(compression: Compression, tmp_path: Path) -> None:
    writer = write(tmp_path / "a.tfrecord", RECORDS, compression)
    content = (tmp_path / "a.tfrecord").read_bytes()
    assert writer.sha256 == hashlib.sha256(content).hexdigest()
    assert writer.size == len(content)
    framed = content if compression is Compression.NONE else gzip.decompress(content)
    assert len(framed) == sum(16 + len(record) for record in RECORDS)


@both_compressions
def test_the_same_records_give_the_same_bytes(compression: Compression, tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, RECORDS, compression) for name in ("a.tfrecord", "b.tfrecord"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_gzip_holds_neither_time_nor_name(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", RECORDS, Compression.GZIP)
    magic, method, flags, time = struct.unpack_from("<2sBBI", (tmp_path / "a.tfrecord").read_bytes())
    assert (magic, method, flags, time) == (b"\x1f\x8b", 8, 0, 0)


# Written whole or not at all


@both_compressions
def test_the_file_has_its_name_only_when_it_is_whole(compression: Compression, tmp_path: Path) -> None:
    path, partial = tmp_path / "a.tfrecord", tmp_path / "a.tfrecord.partial"
    with ShardWriter(path, compression) as writer:
        for record in RECORDS:
            writer.write(record)
        assert partial.exists()
        assert not path.exists()
    assert path.exists()
    assert not partial.exists()


@pytest.mark.parametrize("fault", [None, OSError(22, "Invalid argument")])
def test_what_is_written_is_sent_to_the_disk_piece_by_piece(
    fault: OSError | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def advise(file: int, begin: int, length: int, advice: int) -> None:
        sent.append((begin, length))
        if fault is not None:
            raise fault

    monkeypatch.setattr("os.posix_fadvise", advise, raising=False)
    records = [bytes(3 << 20)] * 5  # of which each has 16 bytes around it
    write(tmp_path / "a.tfrecord", records)
    six = 2 * (3 * 2**20 + 16)
    assert [begin for begin, _ in sent] == [0, sent[0][1]]
    assert all(six - 16 <= length <= six for _, length in sent)
    assert list(read_records(tmp_path / "a.tfrecord")) == records


def test_a_file_of_that_name_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    write(path, [b"old"])
    old = path.read_bytes()
    with ShardWriter(path, Compression.NONE) as writer:
        writer.write(b"new")
        assert path.read_bytes() == old
    assert list(read_records(path)) == [b"new"]


@both_compressions
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OutputError])
def test_nothing_is_left_when_the_block_raises(
    failure: type[BaseException], compression: Compression, tmp_path: Path
) -> None:
    path = tmp_path / "a.tfrecord"
    write(path, [b"old"])

    def records() -> Iterator[bytes]:
        yield b"new"
        raise failure("stop")

    with pytest.raises(failure):
        write(path, records(), compression)
    assert list(tmp_path.iterdir()) == [path]
    assert list(read_records(path)) == [b"old"]


def test_a_folder_that_cannot_be_written_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(OutputError, match=r"a\.tfrecord\.partial: cannot be written: \w"):
            write(folder / "a.tfrecord", [])


def test_a_name_that_is_taken_by_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "a.tfrecord", [b"a"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.tfrecord"]


class FullDisk(io.FileIO):
    """A file on a disk without room."""

    def write(self, data: Any) -> int:
        raise OSError(ENOSPC, "No space left on device")


@both_compressions
@pytest.mark.parametrize("sizes", [[10], [3_000_000], [10, 3_000_000, 10]], ids=["small", "large", "mixed"])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(
    sizes: list[int], compression: Compression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_full(path: Path, mode: str, buffering: int) -> io.BufferedWriter:
        return io.BufferedWriter(FullDisk(path, mode), buffering)

    monkeypatch.setattr(Path, "open", open_full)
    rng = np.random.default_rng(6)
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path / "a.tfrecord", map(rng.bytes, sizes), compression)
    assert list(tmp_path.iterdir()) == []


# Damage


THREE = [b"first" * 3, b"second" * 30, b"third" * 3]
SECOND = 16 + len(THREE[0])  # where the second record begins
THIRD = SECOND + 16 + len(THREE[1])


def flipped(content: bytes, at: int) -> bytes:
    altered = bytearray(content)
    altered[at] ^= 0x10
    return bytes(altered)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "length": (lambda content: flipped(content, SECOND), 1),
    "highest byte of the length": (lambda content: flipped(content, SECOND + 7), 1),
    "checksum of the length": (lambda content: flipped(content, SECOND + 9), 1),
    "first byte": (lambda content: flipped(content, SECOND + 12), 1),
    "last byte": (lambda content: flipped(content, THIRD - 5), 1),
    "checksum": (lambda content: flipped(content, THIRD - 1), 1),
    "first record": (lambda content: flipped(content, 13), 0),
    "cut within the length": (lambda content: content[: SECOND + 5], 1),
    "cut after the length": (lambda content: content[: SECOND + 8], 1),
    "cut before the bytes": (lambda content: content[: SECOND + 12], 1),
    "cut within the bytes": (lambda content: content[: SECOND + 50], 1),
    "cut before the checksum": (lambda content: content[: THIRD - 4], 1),
    "cut within the checksum": (lambda content: content[: THIRD - 1], 1),
    "last byte of the file missing": (lambda content: content[:-1], 2),
    "a byte inserted": (lambda content: content[:THIRD] + b"\0" + content[THIRD:], 2),
    "more bytes after the last": (lambda content: content + b"\0\0\0", 3),
    "a record missing within": (lambda content: content[: SECOND + 20] + content[THIRD:], 1),
}


@pytest.mark.parametrize(("damage", "number"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_the_record_is_named(damage: Callable[[bytes], bytes], number: int, tmp_path: Path) -> None:
    path = tmp_path / "damaged.tfrecord"
    write(path, THREE)
    path.write_bytes(damage(path.read_bytes()))
    records = read_records(path)
    assert [next(records) for _ in range(number)] == THREE[:number]
    with pytest.raises(SourceError, match=rf"damaged\.tfrecord: record {number}\b") as caught:
        next(records)
    assert caught.value.path == path


@both_compressions
@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, 2**63, 2**64 - 1])
def test_a_length_that_no_memory_holds_is_damage_even_if_its_checksum_is_right(
    length: int, compression: Compression, tmp_path: Path
) -> None:
    packed = struct.pack("<Q", length)
    content = packed + struct.pack("<I", masked_crc(packed)) + b"few bytes"
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(content if compression is Compression.NONE else gzip.compress(content))
    with pytest.raises(SourceError, match="record 0"):
        list(read_records(path))


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(40), b"{}", b"\x1f\x8b" + bytes(60), b"\x1f\x8b"])
def test_what_is_no_tfrecord_file_is_a_source_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(SourceError, match="record 0"):
        list(read_records(tmp_path / "a.tfrecord"))


def test_a_file_that_is_not_there_is_a_source_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tfrecord", tmp_path):
        with pytest.raises(SourceError, match="record 0 cannot be read"):
            list(read_records(path))


def test_no_damaged_byte_of_a_gzip_file_changes_a_record(tmp_path: Path) -> None:
    """Some bits say nothing of the content (the time in the header); any other is found out."""
    path = tmp_path / "damaged.tfrecord"
    records = [np.random.default_rng(7).bytes(300), b"a" * 5000, b"b"]
    write(path, records, Compression.GZIP)
    content = path.read_bytes()
    found_out = 0
    for at in range(len(content)):
        path.write_bytes(flipped(content, at))
        try:
            found = list(read_records(path))
        except SourceError as error:
            named = re.search(r"damaged\.tfrecord: record \d", str(error))
            found_out += 1
        else:
            named = found == records
        assert named
    assert found_out > 0.9 * len(content)


def test_no_truncation_of_a_gzip_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tfrecord"
    write(path, THREE, Compression.GZIP)
    content = path.read_bytes()
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(SourceError, match=r"damaged\.tfrecord: record \d"):
            list(read_records(path))


def test_damage_within_gzip_names_the_record(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tfrecord"
    write(path, THREE)
    path.write_bytes(gzip.compress(flipped(path.read_bytes(), THIRD + 13)))
    with pytest.raises(SourceError, match=r"damaged\.tfrecord: record 2 does not match its checksum"):
        list(read_records(path))


# Compressed or not


def test_a_first_length_that_looks_like_gzip_is_no_gzip(tmp_path: Path) -> None:
    records = [bytes(0x8B1F), b"second"]
    path = tmp_path / "a.tfrecord"
    write(path, records)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert compression_of(path) is Compression.NONE
    assert list(read_records(path)) == records == read_with_tensorflow(path, Compression.NONE)


@both_compressions
@pytest.mark.parametrize("records", [RECORDS, [], [b""]], ids=["many", "none", "one of no bytes"])
@pytest.mark.parametrize("by", [write, write_with_tensorflow])
def test_compression_is_told_by_the_content(
    by: Callable[..., Any], records: list[bytes], compression: Compression, tmp_path: Path
) -> None:
    by(tmp_path / "a.tfrecord", records, compression)
    assert compression_of(tmp_path / "a.tfrecord") is compression


@pytest.mark.parametrize("content", [b"", b"\x1f", b"\x8b\x1f" * 20, b"short"])
def test_anything_else_is_not_compressed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert compression_of(tmp_path / "a") is Compression.NONE


def test_gzip_by_other_tools_is_read(tmp_path: Path) -> None:
    write(tmp_path / "plain", THREE)
    content = (tmp_path / "plain").read_bytes()
    stored = zlib.compressobj(level=0, wbits=31)
    for name, packed in (
        ("best", gzip.compress(content, 9)),
        ("stored", stored.compress(content) + stored.flush()),
        ("members", gzip.compress(content[:40]) + gzip.compress(content[40:])),
    ):
        (tmp_path / name).write_bytes(packed)
        assert list(read_records(tmp_path / name)) == THREE


class TestFirstRecords:
    @both_compressions
    def test_those_that_are_not_too_long(self, tmp_path: Path, compression: Compression) -> None:
        write(tmp_path / "a.tfrecord", RECORDS, compression)
        assert list(first_records(tmp_path / "a.tfrecord", 6, 70_000)) == [*RECORDS[:4], RECORDS[5]]
        assert list(first_records(tmp_path / "a.tfrecord", 5, 256)) == RECORDS[:3]

    def test_reads_no_further(self, tmp_path: Path) -> None:
        write(tmp_path / "a.tfrecord", RECORDS)
        with (tmp_path / "a.tfrecord").open("r+b") as file:
            file.truncate(60)  # within the third record
        assert list(first_records(tmp_path / "a.tfrecord", 2, 10**9)) == RECORDS[:2]
        assert list(first_records(tmp_path / "a.tfrecord", 9, 10**9)) == RECORDS[:2]

    @pytest.mark.parametrize("content", [b"", b"no records at all, but some text", b"\x1f\x8bno GZIP", b"short"])
    def test_of_what_are_no_records(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.tfrecord").write_bytes(content)
        assert list(first_records(tmp_path / "a.tfrecord", 5, 100)) == []

    def test_no_file(self, tmp_path: Path) -> None:
        assert list(first_records(tmp_path / "gone.tfrecord", 5, 100)) == []
