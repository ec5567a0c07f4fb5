"""TFRecord files: framing, checksums, optional GZIP, and the atomic rename of a finished file. No TensorFlow.

Each record is `uint64 length | uint32 masked crc32c of the length | bytes | uint32 masked crc32c of the bytes`, all
little-endian (tensorflow/core/lib/io/record_writer.h). GZIP, where wanted, is over the whole file.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import google_crc32c
from isal import igzip, isal_zlib

from maskflow_convert.errors import OutputError, SourceError
from maskflow_convert.issues import Issue
from maskflow_convert.remote import RemotePath
from maskflow_convert.whole_files import partial_of, publish

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_BUFFER = 1 << 16
_LARGE = 1 << 24  # bytes of a record that is not joined before it is written
_STRETCH = 1 << 22  # bytes that the system is told to take to the disk at a time
_LONGEST = 2**31 - 1  # bytes of a message that protobuf parses
_GZIP_CONTAINER = 16 + zlib.MAX_WBITS
_ISAL_ERROR = cast(type[Exception], isal_zlib.error)  # no subclass of zlib.error; the stubs call it an instance
_UNREADABLE = (OSError, EOFError, zlib.error, _ISAL_ERROR)


class Compression(StrEnum):
    """Compression of a whole TFRecord file."""

    NONE = "none"
    GZIP = "gzip"


def masked_crc(*pieces: bytes) -> int:
    """CRC-32C of bytes, rotated and offset so that a checksum stored beside its data does not look like data."""
    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class ShardWriter:
    """Writes records to `path` + `.partial`, and renames it to `path` when the `with` block ends well.

    After that `sha256` and `size` (bytes) describe the file. When the block raises, the partial file is removed.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, compression: Compression) -> None:
        self.path = path
        self.size = 0
        self._on_its_way = 0
        self._partial = partial_of(path)
        self._digest = hashlib.sha256()
        self._deflate = (
            isal_zlib.compressobj(level=1, wbits=_GZIP_CONTAINER) if compression is Compression.GZIP else None
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes written, as a hexadecimal string."""
        return self._digest.hexdigest()

    def __enter__(self) -> ShardWriter:
        try:
            self._file = self._partial.open("wb", buffering=_BUFFER)
        except OSError as error:
            raise self._failed(error) from error
        return self

    def write(self, *record: bytes) -> None:
        """Append one record, which may come in pieces."""
        size = sum(map(len, record))
        pieces = record if size > _LARGE else (b"".join(record),)
        self._put(_HEADER.pack(size, masked_crc(struct.pack("<Q", size))))
        for piece in pieces:
            self._put(piece)
        self._put(_FOOTER.pack(masked_crc(*pieces)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            with suppress(OSError):  # what a full disk refused is refused again when the file is closed
                self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._deflate is not None:
            self._store(self._deflate.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        publish(self._partial, self.path)

    def _put(self, data: bytes) -> None:
        self._store(data if self._deflate is None else self._deflate.compress(data))

    def _store(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self._digest.update(data)
        self.size += len(data)
        if self.size - self._on_its_way >= _STRETCH:
            self._send_on()

    def _send_on(self) -> None:
        """Have the system take what there is to the disk while the next images are made; then fsync waits for little.

        Linux begins to write pages that it is told are not needed, and keeps them until they are written.
        """
        if hasattr(os, "posix_fadvise"):  # not on macOS or Windows
            stretch = self._on_its_way, self.size - self._on_its_way
            with suppress(OSError):  # it is advice: a file system need not take it
                os.posix_fadvise(self._file.fileno(), *stretch, os.POSIX_FADV_DONTNEED)
        self._on_its_way = self.size

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{error.filename or self._partial}: cannot be written: {error.strerror or error}")


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file, GZIP or not, both checksums of each verified.

    Raises:
        SourceError: the file cannot be read, or a record is damaged; the message says which, counted from 0.
    """
    for number, record in enumerate(scan_records(path)):
        if isinstance(record, Issue):
            raise SourceError(f"record {number} {record.message}", path)
        yield record


def scan_records(path: Path) -> Iterator[bytes | Issue]:
    """The records of a TFRecord file, and in the place of one that is damaged, what is wrong with it.

    Nothing comes after an issue, unless that is `record-checksum-differs`: where a record ends is known from its length
    alone. The others are `record-length-damaged`, `record-truncated` and `shard-unreadable`. Their messages read on
    from a record's name.
    """
    try:
        with _open(path) as file:
            while header := file.read(_HEADER.size):
                record = _read_record(file, header)
                yield record
                if isinstance(record, Issue) and record.code != "record-checksum-differs":
                    return
    except _UNREADABLE as error:
        yield Issue("shard-unreadable", f"cannot be read: {error}")


def first_records(path: Path, count: int, longest: int) -> Iterator[bytes]:
    """Of the first `count` records of a file, those of at most `longest` bytes, as far as they are sound.

    None is held while it is not asked for the next.
    """
    with suppress(*_UNREADABLE), _open(path) as file:
        for header in islice(iter(partial(file.read, _HEADER.size), b""), count):
            if (length := int.from_bytes(header[:8], "little")) > longest:
                file.seek(length + _FOOTER.size, os.SEEK_CUR)
                continue
            sound = [record for record in (_read_record(file, header),) if isinstance(record, bytes)]
            if not sound:
                return
            yield sound.pop()


def compression_of(path: Path) -> Compression:
    """How a file is compressed: not at all if it begins with the length of a record and the length's checksum.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _compression_by(file.read(_HEADER.size))


def _compression_by(start: bytes) -> Compression:
    """As `compression_of`, by the first bytes of the file."""
    framed = len(start) == _HEADER.size and masked_crc(start[:8]) == _HEADER.unpack(start)[1]
    return Compression.GZIP if start.startswith(b"\x1f\x8b") and not framed else Compression.NONE


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    with path.stream() if isinstance(path, RemotePath) else path.open("rb", buffering=_BUFFER) as file:
        compression = _compression_by(file.read(_HEADER.size))
        file.seek(0)
        if compression is Compression.GZIP:
            with igzip.open(file, "rb") as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def _read_record(file: BinaryIO, header: bytes) -> bytes | Issue:
    if len(header) < _HEADER.size:
        return Issue("record-truncated", "is cut off within its length")
    length, crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        return Issue(
            "record-length-damaged",
            "has a length that does not match its checksum; this is not a TFRecord file, or it is damaged",
        )
    if length > _LONGEST:
        return Issue("record-length-damaged", f"claims to be of {length:,} bytes, more than a record may have")
    data = file.read(length)
    footer = file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size:
        return Issue("record-truncated", f"is cut off: of its {length:,} bytes there are {len(data):,}")
    if masked_crc(data) != _FOOTER.unpack(footer)[0]:
        return Issue("record-checksum-differs", "does not match its checksum")
    return data
