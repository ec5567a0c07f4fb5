"""Mutations that keep the outer form of an input, so that what is within it is reached.

Each takes bytes, a source of chance, and `scramble`, which changes bytes without knowing what they are, and gives other
bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from random import Random

from fuzz import bundles
from maskflow_convert.indices import varint
from maskflow_convert.tfrecord import masked_crc

Scramble = Callable[[bytes], bytes]
Mutation = Callable[[bytes, Random, Scramble], bytes]


def edited(data: bytes, chance: Random) -> bytes:
    """Bytes changed, put in, taken out or doubled."""
    begin = chance.randrange(len(data) + 1)
    end = min(begin + chance.choice((1, 1, 2, 4, 16, 256)), len(data))
    match chance.randrange(5):
        case 0:
            return data[:begin] + chance.randbytes(end - begin) + data[end:]
        case 1:
            return data[:begin] + chance.randbytes(end - begin) + data[begin:]
        case 2:
            return data[:begin] + data[end:]
        case 3:
            to = chance.randrange(len(data) + 1)
            return data[:to] + data[begin:end] + data[to:]
    return _with_edge(data, chance)


_NUMBERS = (
    *(b"0", b"-1", b"1", b"2", b"0.5", b"-0.0", b"255", b"256", b"65536", b"2147483647", b"2147483648", b"4294967296"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"1e6", b"1000001", b"1e8", b"1e19"),
    *(b"1e308", b"1e999", b"1e-320", b"NaN", b"Infinity", b"-Infinity", b"9" * 400, b"1" + b"0" * 5000, b"0x10"),
)
_WORDS = (
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\\u202e\\n"',
        b'"../../x.png"',
        b'"/etc/hosts"',
    ),
    *(
        b'"good.png"',
        b'"images/"',
        b'"/etc/hosts"',
        b'"."',
        b'"a\xff"',
        b'"\xf0\x9f\x92\xa9"',
        b"[" * 600,
        b'{"a":' * 600,
        b"<a>" * 300,
    ),
    *(
        b"&lt;",
        b"&a;",
        b"&#0;",
        b"<!--",
        b"<![CDATA[",
        b"<!DOCTYPE a>",
        b"\xef\xbb\xbf",
        b"\x00",
        b"*a",
        b"&a ",
        b"!!a/b",
    ),
    *(
        b"~",
        b"|\n",
        b"? ",
        b"- ",
        b": ",
        b"%YAML 1.1\n---\n",
        b"---\n",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"..",
        b"aW1n",
        b"0o17",
    ),
)
_TOKEN = re.compile(rb'-?\d[\w.+-]*|"(?:[^"\\]|\\.)*"|[\w-]+|[^\s\w]')
_OPENING, _CLOSING = b"[{<", b"]}>"


def mutate_text(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    """JSON, XML, YAML or a list, by its tokens, its brackets and its lines."""
    tokens = [match.span() for match in _TOKEN.finditer(data)]
    if not tokens or chance.random() < 0.15:
        return scramble(data)
    begin, end = chance.choice(tokens)
    match chance.randrange(6):
        case 0:
            return data[:begin] + chance.choice(_NUMBERS) + data[end:]
        case 1:
            return data[:begin] + chance.choice(_WORDS) + data[end:]
        case 2:
            other, until = chance.choice(tokens)
            return data[:begin] + data[other:until] + data[end:]
        case 3:
            return data[:begin] + scramble(data[begin:end]) + data[end:]
    begin, end = chance.choice((_bracketed, _line))(data, begin)
    match chance.randrange(4):
        case 0:
            return data[:begin] + data[end:]
        case 1:
            return data[:end] + b"," * (data[begin : begin + 1] in (b"[", b"{")) + data[begin:]
        case 2:
            return data[:begin] + chance.choice(_WORDS + _NUMBERS) + data[end:]
    to = chance.choice(tokens)[0]
    return data[:to] + data[begin:end] + data[to:]


def _bracketed(data: bytes, at: int) -> tuple[int, int]:
    """From the bracket before a place to the one that closes it, as far as can be told."""
    begin = max(data.rfind(each, 0, at + 1) for each in (b"[", b"{", b"<"))
    if begin < 0:
        return _line(data, at)
    depth = 0
    for end in range(begin, len(data)):
        depth += (data[end] in _OPENING) - (data[end] in _CLOSING)
        if depth == 0:
            return begin, end + 1
    return begin, len(data)


def _line(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"\n", at)
    return data.rfind(b"\n", 0, at) + 1, len(data) if end < 0 else end + 1


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"eXIf", b"gAMA", b"acTL", b"fdAT", b"iCCP", b"zTXt", b"IEND")
_EDGES = (0, 1, 2, 7, 8, 16, 255, 256, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutate_image(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    """A PNG by its chunks, whose checksums are right afterwards; anything else by its bytes."""
    if not data.startswith(_SIGNATURE) or chance.random() < 0.15:
        return scramble(data) if chance.random() < 0.6 else _with_edge(data, chance)
    chunks = list(_chunks(data))
    if not chunks:
        return scramble(data)
    at = chance.randrange(len(chunks))
    kind, content = chunks[at]
    match chance.randrange(8):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(chance.randrange(len(chunks) + 1), (kind, content))
        case 2:
            chunks[at] = chance.choice(_KINDS), content
        case 3:
            chunks.insert(at, (chance.choice(_KINDS), scramble(content)))
        case 4 if kind == b"IHDR":
            chunks[at] = kind, _with_edge(content, chance)
        case 5 | 6 if kind == b"IDAT":
            chunks[at] = kind, _recompressed(content, scramble)
        case _:
            chunks[at] = kind, scramble(content)
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each)) for kind, each in chunks
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _recompressed(content: bytes, scramble: Scramble) -> bytes:
    try:
        return zlib.compress(scramble(zlib.decompressobj().decompress(content, 1 << 16)))
    except zlib.error:
        return scramble(content)


def _with_edge(data: bytes, chance: Random) -> bytes:
    """A number of one to four bytes, from either end, put somewhere."""
    width, order = chance.choice((1, 2, 4)), chance.choice(("big", "little"))
    at = chance.randrange(max(len(data) - width, 1))
    number = chance.choice(_EDGES) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, "big" if order == "big" else "little") + data[at + width :]


_NUMBERS_IN_RECORDS = (0, 1, 2, 3, 7, 8, 127, 128, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -1, -(2**63))


def mutate_record(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    """An Example by its fields, whose lengths are right afterwards."""
    return scramble(data) if chance.random() < 0.1 else _message(data, chance, scramble, depth=0)


def _message(data: bytes, chance: Random, scramble: Scramble, depth: int) -> bytes:
    fields = list(_fields(data)) if depth < 5 else []
    if not fields:
        return _leaf(data, chance, scramble)
    at = chance.randrange(len(fields))
    tag, content = fields[at]
    match chance.randrange(16):
        case 0:
            del fields[at]
        case 1:
            fields.insert(chance.randrange(len(fields) + 1), (tag, content))
        case 2:
            fields[at] = chance.choice((2, 8, 10, 18, 26, 34)), content
        case 3:
            chance.shuffle(fields)
        case _:
            fields[at] = tag, _message(content, chance, scramble, depth + 1)
    return b"".join(varint(tag) + varint(len(content)) + content for tag, content in fields)


def _leaf(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    if data.startswith(_SIGNATURE):
        return mutate_image(data, chance, scramble)
    if chance.random() < 0.3:
        return scramble(data)
    at, number = chance.randrange(len(data) + 1), varint(chance.choice(_NUMBERS_IN_RECORDS))
    return data[:at] + number + data[at + chance.choice((0, 1, len(number))) :]


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; none if it is no such message."""
    at, fields = 0, []
    while at < len(data):
        tag, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        if tag & 7 != 2 or at + length > len(data):
            return
        fields.append((tag, data[at : at + length]))
        at += length
    yield from fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            break
    return value, at


def mutate_tfrecord(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    """A file of records by these, whose checksums are right afterwards; one in eight compressed, whole or broken."""
    records = list(_records(data))
    if not records or chance.random() < 0.15:
        return scramble(data)
    at = chance.randrange(len(records))
    match chance.randrange(8):
        case 0:
            del records[at]
        case 1:
            records.insert(chance.randrange(len(records) + 1), records[at])
        case 2:
            whole = zlib.compress(frame(records), wbits=31)
            return scramble(whole) if chance.random() < 0.5 else whole
        case _:
            records[at] = mutate_record(records[at], chance, scramble)
    return frame(records)


def frame(records: Sequence[bytes]) -> bytes:
    """Records as a file holds them."""
    pieces = []
    for record in records:
        length = struct.pack("<Q", len(record))
        pieces += [length, struct.pack("<I", masked_crc(length)), record, struct.pack("<I", masked_crc(record))]
    return b"".join(pieces)


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        if at + 16 + length > len(data):
            return
        yield data[at + 12 : at + 12 + length]
        at += 16 + length


def mutate_bundle(data: bytes, chance: Random, scramble: Scramble) -> bytes:
    """One of several files, by its name; or one left out."""
    files = bundles.split(data)
    if not files or chance.random() < 0.02:
        return scramble(data)
    name = chance.choice(sorted(files))
    if chance.random() < 0.03:
        del files[name]
    else:
        files[name] = _BY_SUFFIX.get(name.rpartition(".")[2], mutate_text)(files[name], chance, scramble)
    return bundles.join(files)


_BY_SUFFIX: dict[str, Mutation] = {"png": mutate_image, "tfrecord": mutate_tfrecord}

MUTATIONS: dict[str, Mutation] = {
    "coco": mutate_text,
    "coco_folder": mutate_text,
    "labelme": mutate_text,
    "voc": mutate_bundle,
    "image": mutate_image,
    "record": mutate_record,
    "tfrecord": mutate_tfrecord,
    "manifest": mutate_bundle,
    "config": mutate_text,
}
