"""The chunks of a PNG: those that somebody else wrote, looked at more closely than decoders do, and one of our own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from isal import isal_zlib

from maskflow_convert.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR = 0, 2
"""The colour types of IHDR without palette and alpha channel."""

_HEADER_END = 33  # where the chunk behind IHDR begins
_INFLATED_BYTES = 1 << 20

_INFLATE_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub says instance

MAX_PIXELS = 2**29
"""More than a slide scanner's 20,000 x 20,000, and far less than what a header of a few bytes can claim."""

MAX_SIDE = 2**20
"""Pixels: Pillow takes 8 bytes for each row before it looks for any, 4 GiB for `MAX_PIXELS` in one column."""

_LAST_FILTER = 4  # Paeth's
_PALETTE = 3
_CHANNELS = {GREY: 1, COLOUR: 3, _PALETTE: 1, 4: 2, 6: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), COLOUR: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column, first row, and the steps between columns and rows, of each pass of an interlaced PNG."""


class Chunk(NamedTuple):
    """One chunk of a PNG: its four-letter kind, and where its content lies in the file."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What IHDR says: the size in pixels, the bits of a sample, the colour type, whether rows are interlaced.

    Colour types are 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
    """

    width: int
    height: int
    depth: int
    colour: int
    interlace: int

    @property
    def passes(self) -> list[tuple[int, int]]:
        """Rows, and bytes of a row with its filter byte: of the image, or of seven smaller ones, if interlaced."""
        bits = self.depth * _CHANNELS[self.colour]
        passes = _ADAM7 if self.interlace else ((0, 0, 1, 1),)
        sizes = ((-((x - self.width) // dx), -((y - self.height) // dy)) for x, y, dx, dy in passes)
        return [(rows, 1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0]

    @property
    def stream_bytes(self) -> int:
        """Length of the filtered rows, each with its filter byte."""
        return sum(rows * stride for rows, stride in self.passes)


def read_header(data: bytes) -> Header | None:
    """The header of a PNG; None if `data` does not begin as a PNG does."""
    if len(data) < _HEADER_END or not data.startswith(SIGNATURE) or data[12:16] != b"IHDR":
        return None
    return Header(*struct.unpack_from(">IIBBxxB", data, 16))


def read_chunks(data: bytes) -> tuple[Chunk, ...]:
    """The chunks of a PNG up to IEND, each held against its CRC, which many readers do not do for the pixels.

    Raises:
        ImageError: `image-unreadable` if a chunk is cut off or damaged.
    """
    chunks: list[Chunk] = []
    view = memoryview(data)
    at = len(SIGNATURE)
    while not chunks or chunks[-1].kind != b"IEND":
        if at + 12 > len(data):
            raise ImageError("image-unreadable", "the PNG is truncated")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise ImageError("image-unreadable", f"the PNG is truncated in its chunk {_printable(kind)}")
        if isal_zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ImageError("image-unreadable", f"the PNG's chunk {_printable(kind)} is damaged (wrong CRC)")
        chunks.append(Chunk(kind, at + 8, end))
        at = end + 4
    return tuple(chunks)


def check_length(data: bytes, header: Header, chunks: Iterable[Chunk]) -> None:
    """Refuse a PNG whose pixel data ends before the last row: Pillow would make the rest of it black.

    Raises:
        ImageError: `image-unreadable`.
    """
    missing = header.stream_bytes
    for piece in _inflated(data, isal_zlib.decompressobj(), chunks):
        missing -= len(piece)
        if missing <= 0:
            return
    raise ImageError("image-unreadable", "the PNG's pixel data ends before its last row")


def _inflated(data: bytes, inflater: Any, chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The filtered rows in pieces, and what comes after them."""
    view = memoryview(data)
    for chunk in chunks:
        compressed: bytes | memoryview = view[chunk.start : chunk.end] if chunk.kind == b"IDAT" else b""
        piece = b""
        while (compressed or len(piece) == _INFLATED_BYTES) and not inflater.eof:  # all may be in, and not yet out
            yield (piece := _inflate(inflater, compressed))
            compressed = inflater.unconsumed_tail


def _inflate(inflater: Any, compressed: bytes | memoryview) -> bytes:
    try:
        inflated: bytes = inflater.decompress(compressed, _INFLATED_BYTES)
    except _INFLATE_ERROR as error:
        raise ImageError("image-unreadable", f"the PNG's pixel data is damaged: {error}") from error
    return inflated


def check_png(data: bytes) -> tuple[Header, int]:
    """Make sure that a PNG decodes to its last pixel, in a fraction of the time that decoding takes.

    All that a decoder could stumble over is looked at: the header, the chunks, their order and checksums, the length
    and the checksum of the pixel data, and the filter of every row. What is left for the decoder is arithmetic.

    Returns:
        The header, and the number of channels of the decoded image: a palette has 3, or 4 with transparency.

    Raises:
        ImageError: `image-unreadable`.
    """
    header = read_header(data)
    if header is None:
        raise ImageError("image-unreadable", f"it is not a PNG: it begins with {data[:8]!r}")
    chunks = read_chunks(data)
    _check_header(header, chunks[0], methods=data[26:28])
    _check_order(header, chunks)
    _check_rows(data, header, chunks)
    return header, _palette_channels(chunks) if header.colour == _PALETTE else _CHANNELS[header.colour]


def _check_header(header: Header, chunk: Chunk, *, methods: bytes) -> None:
    wrong = header.depth not in _DEPTHS.get(header.colour, ()) or header.interlace > 1 or any(methods)
    if wrong or chunk.end - chunk.start != 13:
        raise ImageError("image-unreadable", f"the PNG's header is of no PNG: {header}")
    if not 0 < header.width * header.height <= MAX_PIXELS:
        raise ImageError(
            "image-unreadable",
            f"the PNG's header says {header.width} x {header.height} pixels; the most that is read is {MAX_PIXELS:,}",
        )


def _check_order(header: Header, chunks: Sequence[Chunk]) -> None:
    """The chunks that a decoder must understand, which have a capital: IHDR, a palette, the pixels in a row, IEND."""
    kinds = [chunk.kind for chunk in chunks]
    critical = [
        kind
        for before, kind in zip([b"", *kinds], kinds, strict=False)
        if not kind[:1].islower() and not before == kind == b"IDAT"
    ]
    palette = [chunk.end - chunk.start for chunk in chunks if chunk.kind == b"PLTE"]
    with_palette = header.colour == _PALETTE or palette
    if critical != [b"IHDR", *([b"PLTE"] if with_palette else []), b"IDAT", b"IEND"]:
        found = ", ".join(map(_printable, critical))
        raise ImageError("image-unreadable", f"the PNG's chunks are not those of an image: {found}")
    if not all(kind.isalpha() for kind in kinds):
        raise ImageError("image-unreadable", "the PNG has a chunk whose name is not of letters")
    if header.colour == _PALETTE and (palette[0] % 3 or not 0 < palette[0] <= 3 * 256):
        raise ImageError("image-unreadable", f"the PNG's palette has {palette[0]} bytes")


def _check_rows(data: bytes, header: Header, chunks: Sequence[Chunk]) -> None:
    first = next((data[chunk.start] for chunk in chunks if chunk.kind == b"IDAT" and chunk.start < chunk.end), 0)
    if first > 0x7F:
        raise ImageError("image-unreadable", "the PNG's pixel data need a window beyond 32 KiB")
    length = 0
    inflater = isal_zlib.decompressobj()
    for piece in _inflated(data, inflater, chunks):
        if any(max(filters, default=0) > _LAST_FILTER for filters in _filters_in(piece, length, header)):
            raise ImageError("image-unreadable", "a row of the PNG has a filter that does not exist")
        length += len(piece)
        if length >= header.stream_bytes + _INFLATED_BYTES:
            break
    if length < header.stream_bytes or not inflater.eof:
        raise ImageError("image-unreadable", "the PNG's pixel data ends before its last row, or does not end after it")


def _filters_in(piece: bytes, at: int, header: Header) -> Iterator[bytes]:
    """The filter bytes of the rows that begin within a piece of the stream, `at` bytes from its start."""
    start = 0
    for rows, stride in header.passes:
        first, end = max(start, at + (start - at) % stride), start + rows * stride
        yield piece[first - at : max(end - at, 0) : stride]
        start = end


def _palette_channels(chunks: Sequence[Chunk]) -> int:
    """4 if transparency is given where a decoder looks for it, and for no more colours than there are; else 3."""
    kinds = [chunk.kind for chunk in chunks]
    at = kinds.index(b"PLTE")
    colours = (chunks[at].end - chunks[at].start) // 3
    between = chunks[at : kinds.index(b"IDAT")]
    return 4 if any(each.kind == b"tRNS" and 0 < each.end - each.start <= colours for each in between) else 3


def _printable(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def write_chunk(kind: bytes, content: bytes) -> tuple[bytes, bytes, bytes]:
    """A chunk in three pieces, to be written one behind the other."""
    crc = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I4s", len(content), kind), content, struct.pack(">I", crc)


def signed_png(png: bytes, program: str) -> bytes:
    """A PNG that says which program made it."""
    return png[:_HEADER_END] + _signature_of(program) + png[_HEADER_END:]


def is_signed_png(start: bytes, program: str) -> bool:
    """Whether a PNG, of which the first kilobyte will do, was signed so."""
    return start.startswith(SIGNATURE) and start[_HEADER_END:].startswith(_signature_of(program))


def _signature_of(program: str) -> bytes:
    return b"".join(write_chunk(b"tEXt", b"Software\0" + program.encode("latin-1")))
