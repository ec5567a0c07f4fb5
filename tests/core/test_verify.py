"""Faults are planted in real records, by hand or by protobuf; TensorFlow says whether it can read the result."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import struct
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maskflow_convert import Report, Severity, load_config
from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.errors import ConfigError
from maskflow_convert.image import encode_png
from maskflow_convert.pipeline import convert
from maskflow_convert.record import Layout
from maskflow_convert.records import Records
from maskflow_convert.tfrecord import Compression, ShardWriter, masked_crc
from maskflow_convert.verify import verify
from shared_data import SHARED

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"

both_layouts = pytest.mark.parametrize("layout", list(Layout))


# Written by the product


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of the data set of configs/coco.yaml, of 10 + 2 images, converted with the overrides given."""

    @cache
    def write(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("coco")
        settings = (f"output.directory={folder}", "run.executor=serial", "output.shard_size=3 images")
        convert(load_config(CONFIG, [*settings, *overrides]))
        return folder

    return write


@pytest.fixture
def folder(written: Callable[..., Path], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(written(), tmp_path / "data"))


def check(*where: Path, **options: Any) -> Report:
    return verify(Records.find(where), workers=1, **options)


def codes(report: Report) -> dict[str, int]:
    return dict(sum((Counter({code: count}) for (code, _), count in report.counts.items()), Counter()))


def placed(report: Report) -> list[tuple[str, str, int | None]]:
    """Code, file and number of the record of all issues, which must be few."""
    assert report.counts.total() == len(report.flatten(["code"]))
    rows = []
    for code, path, message in report.flatten(["code", "path", "message"]):
        number = re.match(r"record (\d+)\b", str(message))
        rows.append((str(code), Path(str(path)).name, int(number[1]) if number else None))
    return rows


@both_layouts
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("channels", ["1", "3", "source"])
def test_what_convert_writes_is_clean(
    layout: Layout, compression: str, channels: str, written: Callable[..., Path]
) -> None:
    folder = written(f"output.layout={layout}", f"output.compression={compression}", f"image.channels={channels}")
    report = check(folder)
    assert report.counts == {}
    manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert report.classes == {each["name"]: each["id"] for each in manifest["classes"]}
    for split, counts in manifest["splits"].items():
        tally = report.splits[split]
        assert tally.adds_up
        assert tally.images_written == counts["images_written"] > 0
        assert tally.objects_written == counts["objects_written"]
        assert tally.objects_by_class == counts["objects_by_class"]
        assert tally.bytes == counts["bytes"]
    loose = folder / "loose"
    loose.mkdir(exist_ok=True)
    copies = [Path(shutil.copy(path, loose)) for path in folder.glob("*.tfrecord")]
    for said in (None, layout):
        report = check(*copies, layout=said)
        assert report.counts == {}
        assert report.total.objects_written == sum(counts["objects_written"] for counts in manifest["splits"].values())
        assert report.classes == {"id 1": 1, "id 2": 2, "id 3": 3}


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_clean(channels: int, tmp_path: Path) -> None:
    Image.fromarray(np.arange(15, dtype=np.uint16).reshape(3, 5) * 4000).save(tmp_path / "a.png")
    image = {"id": 7, "file_name": "a.png", "width": 5, "height": 3}
    document = {"images": [image], "annotations": [], "categories": [{"id": 0, "name": "nucleus"}]}
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "a.yaml").write_text("sources: [{adapter: coco, annotations: a.json}]\nimage: {depth: 16}\n")
    overrides = [f"output.directory={tmp_path / 'out'}", f"image.channels={channels}"]
    convert(load_config(tmp_path / "a.yaml", overrides))
    assert check(tmp_path / "out").counts == {}


REAL = {
    "coco": "{adapter: coco, annotations: coco-tiny/annotations/instances_val2017.json, images: coco-tiny/val2017}",
    "voc": "{adapter: voc, root: voc-segmentation}",
}


@pytest.mark.real_data
@both_layouts
@pytest.mark.parametrize("source", REAL.values(), ids=REAL)
def test_real_data_are_clean(source: str, layout: Layout, tmp_path: Path) -> None:
    source = re.sub(r"(annotations|images|root): ", rf"\1: {SHARED}/", source)
    (tmp_path / "a.yaml").write_text(f"sources: [{source}]\nimage: {{ids: sequential}}\nobjects: {{boxes: skip}}\n")
    overrides = [f"output.directory={tmp_path / 'out'}", f"output.layout={layout}"]
    convert(load_config(tmp_path / "a.yaml", overrides))
    report = check(tmp_path / "out")
    assert report.counts == {}
    assert report.total.objects_written > 100


def test_processes_find_the_same(folder: Path) -> None:
    paths = sorted(folder.glob("*.tfrecord"))
    content = bytearray(paths[0].read_bytes())
    content[200] ^= 1
    paths[0].write_bytes(content)
    paths[1].unlink()
    seen: list[tuple[int, int]] = []
    records = Records.find(folder)
    assert verify(records, workers=2, on_progress=lambda done, total: seen.append((done, total))) == check(folder)
    assert seen[-1] == (10, 12)


def test_progress_of_files_without_manifest_is_never_beyond_the_total(folder: Path) -> None:
    (folder / "dataset.json").unlink()
    seen: list[tuple[int, int]] = []
    check(*folder.glob("*.tfrecord"), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, done) for done in range(1, 13)]


# One record


def png(mode: str = "RGB", size: tuple[int, int] = (5, 3), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, format=options.pop("format", "PNG"), **options)
    return file.getvalue()


def rechunked(data: bytes, change: Callable[[list[tuple[bytes, bytes]]], Iterable[tuple[bytes, bytes]]]) -> bytes:
    """A PNG with other chunks, `(kind, content)`, and right checksums."""
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    packed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in change(chunks)
    )
    return data[:8] + b"".join(packed)


def with_rows(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A PNG with other filtered rows."""
    return rechunked(
        data,
        lambda chunks: [
            (kind, zlib.compress(change(zlib.decompress(content))) if kind == b"IDAT" else content)
            for kind, content in chunks
        ],
    )


def with_pixels(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A PNG with other compressed rows."""
    return rechunked(
        data, lambda chunks: [(kind, change(content) if kind == b"IDAT" else content) for kind, content in chunks]
    )


def with_header(data: bytes, at: int, value: int) -> bytes:
    """A PNG with another byte of IHDR: 8 is the depth, 9 the colour type, 12 whether it is interlaced."""
    return rechunked(
        data,
        lambda chunks: [
            (kind, content[:at] + bytes([value]) + content[at + 1 :] if kind == b"IHDR" else content)
            for kind, content in chunks
        ],
    )


INDICES = [0, 1, 0, 0, 4, 2, 1, 0, 0, 1, 0, 1, 1, 0, 2, 1, 1, 0]
GOOD: dict[str, Any] = {
    "image/id": [42],
    "image/basename": [b"a.png"],
    "image/width": [5],
    "image/height": [3],
    "image/channel": [3],
    "image/n_objects": [2],
    "image/image_bytes": [png()],
    "image/masks_indices": INDICES,
    "image/class_ids": [9, 4],
}


def example(features: dict[str, Any]) -> bytes:
    """Serialised by protobuf; the type of the first value says which list, None leaves a feature out."""

    def feature(values: list[Any]) -> tf.train.Feature:
        if not values or isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    given = {key: feature(values) for key, values in features.items() if values is not None}
    return tf.train.Example(features=tf.train.Features(feature=given)).SerializeToString(deterministic=True)


def good(**changes: Any) -> bytes:
    return example(GOOD | {f"image/{key}": value for key, value in changes.items()})


def shard(path: Path, records: Sequence[bytes]) -> Path:
    with ShardWriter(path, Compression.NONE) as writer:
        for record in records:
            writer.write(record)
    return path


PLANTED: dict[str, tuple[bytes, str]] = {
    **{f"no {key}": (example(GOOD | {key: None}), "record-feature-missing") for key in GOOD},
    "three missing": (good(id=None, width=None, class_ids=None), "record-feature-missing"),
    "nothing": (b"", "record-feature-missing"),
    "a tenth": (good(source=[1]), "record-feature-unknown"),
    "many more": (example(GOOD | {f"x{n}" * 100: [1] for n in range(50)}), "record-feature-unknown"),
    "float id": (good(id=[1.5]), "record-feature-kind"),
    "float class ids": (good(class_ids=[1.0, 2.0]), "record-feature-kind"),
    "bytes width": (good(width=[b"5"]), "record-feature-kind"),
    "int basename": (good(basename=[7]), "record-feature-kind"),
    "int image": (good(image_bytes=[1, 2]), "record-feature-kind"),
    "two ids": (good(id=[1, 2]), "record-feature-count"),
    "no number of objects": (good(n_objects=[]), "record-feature-count"),
    "two names": (good(basename=[b"a.png", b"b.png"]), "record-feature-count"),
    "cut off": (good()[:-1], "record-malformed"),
    "no Example": (b"\x89PNG\r\n\x1a\n", "record-malformed"),
    "empty name": (good(basename=[b""]), "record-basename-invalid"),
    "folder": (good(basename=[b"train/a.png"]), "record-basename-invalid"),
    "Latin-1": (good(basename=["grün.png".encode("latin-1")]), "record-basename-invalid"),
    "width 0": (good(width=[0]), "record-shape-invalid"),
    "height below 0": (good(height=[-3]), "record-shape-invalid"),
    "channel 0": (good(channel=[0]), "record-shape-invalid"),
    "objects below 0": (good(n_objects=[-1]), "record-shape-invalid"),
    "no image": (good(image_bytes=[b""]), "record-image-unreadable"),
    "JPEG": (good(image_bytes=[png(format="JPEG")]), "record-image-unreadable"),
    "half a PNG": (good(image_bytes=[png()[:50]]), "record-image-unreadable"),
    "PNG without its end": (good(image_bytes=[png()[:-12]]), "record-image-unreadable"),
    "PNG checksum": (good(image_bytes=[png()[:45] + b"\0" + png()[46:]]), "record-image-unreadable"),
    "a row short": (good(image_bytes=[with_rows(png(), lambda rows: rows[:-1])]), "record-image-unreadable"),
    "filter 5": (good(image_bytes=[with_rows(png(), lambda r: r[:32] + b"\5" + r[33:])]), "record-image-unreadable"),
    "pixels without checksum": (good(image_bytes=[with_pixels(png(), lambda d: d[:-4])]), "record-image-unreadable"),
    "a window of 64 KiB": (
        good(image_bytes=[with_pixels(png(), lambda d: b"\x88\x1c" + d[2:])]),
        "record-image-unreadable",
    ),
    "a header too long": (
        good(image_bytes=[rechunked(png(), lambda c: [(c[0][0], c[0][1] + b"\0"), *c[1:]])]),
        "record-image-unreadable",
    ),
    "a chunk without a name": (
        good(image_bytes=[rechunked(png(), lambda c: [c[0], (b"a  b", b""), *c[1:]])]),
        "record-image-unreadable",
    ),
    "a palette of half a colour": (
        good(image_bytes=[rechunked(png("P"), lambda c: [(k, d[:-1] if k == b"PLTE" else d) for k, d in c])]),
        "record-image-unreadable",
    ),
    "no pixels": (good(image_bytes=[rechunked(png(), lambda c: [c[0], c[-1]])]), "record-image-unreadable"),
    "two headers": (good(image_bytes=[rechunked(png(), lambda c: [c[0], *c])]), "record-image-unreadable"),
    "a strange chunk": (
        good(image_bytes=[rechunked(png(), lambda c: [c[0], (b"ABCD", b""), *c[1:]])]),
        "record-image-unreadable",
    ),
    "palette missing": (
        good(image_bytes=[rechunked(png("P"), lambda c: [each for each in c if each[0] != b"PLTE"])]),
        "record-image-unreadable",
    ),
    "4 bits RGB": (good(image_bytes=[with_header(png(), 8, 4)]), "record-image-unreadable"),
    "colour type 5": (good(image_bytes=[with_header(png(), 9, 5)]), "record-image-unreadable"),
    "interlace 2": (good(image_bytes=[with_header(png(), 12, 2)]), "record-image-unreadable"),
    "PNG of width 0": (good(image_bytes=[with_header(png(), 3, 0)]), "record-image-unreadable"),
    "PNG of 2 billion columns": (good(image_bytes=[with_header(png(), 0, 127)]), "record-image-unreadable"),
    "other size": (good(image_bytes=[png(size=(5, 4))]), "record-image-differs"),
    "on its side": (good(image_bytes=[png(size=(3, 5))]), "record-image-differs"),
    "grey": (good(image_bytes=[png("L")]), "record-image-differs"),
    "alpha": (good(image_bytes=[png("RGBA")]), "record-image-differs"),
    "grey and alpha": (good(image_bytes=[png("LA")]), "record-image-differs"),
    "palette with alpha": (good(image_bytes=[png("P", transparency=0)]), "record-image-differs"),
    "one number": (good(masks_indices=INDICES[:-2]), "record-indices-incomplete"),
    "two numbers": (good(masks_indices=INDICES[:-1]), "record-indices-incomplete"),
    "x too large": (good(masks_indices=[0, 1, 0, 0, 5, 2, *INDICES[6:]]), "record-index-outside"),
    "y too large": (good(masks_indices=[0, 1, 0, 0, 4, 3, *INDICES[6:]]), "record-index-outside"),
    "x below 0": (good(masks_indices=[0, -1, 0, 0, 4, 2, *INDICES[6:]]), "record-index-outside"),
    "y below 0": (good(masks_indices=[0, 1, -1, 0, 4, 2, *INDICES[6:]]), "record-index-outside"),
    "last index too large": (good(masks_indices=[*INDICES[:-2], 2**63 - 1, 0]), "record-index-outside"),
    "fewer objects": (good(n_objects=[1], class_ids=[9]), "record-objects-differ"),
    "no objects": (good(n_objects=[0], class_ids=[]), "record-objects-differ"),
    "object below 0": (good(masks_indices=[-1, 1, 0, *INDICES]), "record-objects-differ"),
    "x backwards": (good(masks_indices=[0, 4, 2, 0, 1, 0, *INDICES[6:]]), "record-indices-unordered"),
    "y backwards": (good(masks_indices=[*INDICES[:-9], 1, 0, 2, 1, 0, 1]), "record-indices-unordered"),
    "objects backwards": (good(masks_indices=[*INDICES[6:], *INDICES[:6]]), "record-indices-unordered"),
    "twice": (good(masks_indices=[*INDICES[:3], *INDICES]), "record-index-repeated"),
    "last twice": (good(masks_indices=[*INDICES, *INDICES[-3:]]), "record-index-repeated"),
    "more objects": (good(n_objects=[3], class_ids=[9, 4, 4]), "record-mask-empty"),
    "first object empty": (good(masks_indices=INDICES[6:]), "record-mask-empty"),
    "no index": (good(masks_indices=[]), "record-mask-empty"),
    "one class id": (good(class_ids=[9]), "record-classes-differ"),
    "three class ids": (good(class_ids=[9, 4, 4]), "record-classes-differ"),
    "no class id": (good(class_ids=[]), "record-classes-differ"),
    "background": (good(class_ids=[0, 4]), "record-class-suspect"),
}


@pytest.mark.parametrize(("record", "code"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found_where_it_is(record: bytes, code: str, tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [good(id=[1]), good(id=[2]), record, good(id=[3])])
    report = check(path, layout="documented")
    assert placed(report) == [(code, "a.tfrecord", 2)]
    assert report.total.images_found == 4
    assert report.total.adds_up


NOTHING_TO_TENSORFLOW = ("empty name", "folder", "JPEG", "no image/masks_indices")  # a list that is absent is empty


@pytest.mark.parametrize(("record", "code"), PLANTED.values(), ids=PLANTED)
def test_tensorflow_refuses_what_is_an_error(record: bytes, code: str, judge: Callable[..., Any]) -> None:
    if CATALOGUE[code].severity is Severity.WARNING or record in (PLANTED[name][0] for name in NOTHING_TO_TENSORFLOW):
        judge(record, "documented")
    else:
        with pytest.raises((tf.errors.InvalidArgumentError, AssertionError, ValueError)):
            judge(record, "documented")


def test_every_rule_of_a_record_is_planted() -> None:
    elsewhere = {
        *("record-broken", "record-too-large"),  # of conversion
        *("record-truncated", "record-length-damaged", "record-checksum-differs"),
        *("record-id-duplicate", "record-class-unknown"),
    }
    assert {code for _, code in PLANTED.values()} == {
        each for each in CATALOGUE if each.startswith("record-")
    } - elsewhere


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("P", 3), ("LA", 2), ("RGBA", 4), ("I;16", 1)]
)
@pytest.mark.parametrize("size", [(5, 3), (1, 1), (9, 17), (300, 200)], ids=str)
def test_pngs_of_all_kinds_have_the_channels_that_tensorflow_decodes(
    mode: str, channels: int, size: tuple[int, int], tmp_path: Path, judge: Callable[..., Any]
) -> None:
    record = picture(png(mode, size), size, channels)
    assert judge(record, "documented").image.shape == (*size, channels)
    assert check(shard(tmp_path / "a.tfrecord", [record])).counts == {}


def picture(data: bytes, size: tuple[int, int], channels: int) -> bytes:
    """A record of a PNG, without objects."""
    empty: dict[str, Any] = {"n_objects": [0], "masks_indices": [], "class_ids": []}
    return good(image_bytes=[data], width=[size[0]], height=[size[1]], channel=[channels], **empty)


TRANSPARENT = (b"tRNS", b"\0\1")
OPAQUE: dict[str, Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]] = {
    "before the palette": lambda chunks: [chunks[0], TRANSPARENT, *chunks[1:]],
    "after the pixels": lambda chunks: [*chunks[:-1], TRANSPARENT, chunks[-1]],
    "of more colours than there are": lambda chunks: [*chunks[:2], (b"tRNS", bytes(257)), *chunks[2:]],
    "of no colour": lambda chunks: [*chunks[:2], (b"tRNS", b""), *chunks[2:]],
}


@pytest.mark.parametrize("change", OPAQUE.values(), ids=OPAQUE)
def test_transparency_that_a_decoder_passes_over(
    change: Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]], tmp_path: Path
) -> None:
    data = rechunked(png("P"), change)
    assert tf.io.decode_png(data).shape == (3, 5, 3)
    assert check(shard(tmp_path / "a.tfrecord", [picture(data, (5, 3), 3)])).counts == {}


INTERLACED = (0, 2, 4, 6, 10, 13, 16)  # where the rows of Adam7's passes over 5 x 3 grey pixels begin


@pytest.mark.parametrize("at", range(22))
def test_filters_of_interlaced_rows(at: int, tmp_path: Path) -> None:
    data = with_header(with_rows(png("L"), lambda _: bytes(at) + b"\5" + bytes(21 - at)), 12, 1)
    found = codes(check(shard(tmp_path / "a.tfrecord", [picture(data, (5, 3), 1)])))
    assert found == ({"record-image-unreadable": 1} if at in INTERLACED else {})
    if at in INTERLACED:
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.io.decode_png(data)
    else:
        assert tf.io.decode_png(data).shape == (3, 5, 1)


@pytest.mark.parametrize("row", [0, 500, 999])
@pytest.mark.parametrize("column", [0, 1, 2400])
def test_filters_of_an_image_of_several_megabytes(row: int, column: int, tmp_path: Path) -> None:
    size, at = (800, 1000), row * 2401 + column
    data = with_rows(png(size=size), lambda rows: rows[:at] + b"\5" + rows[at + 1 :])
    found = codes(check(shard(tmp_path / "a.tfrecord", [picture(data, size, 3)])))
    assert found == ({} if column else {"record-image-unreadable": 1})


def test_few_bits_a_sample_are_8_to_whoever_decodes(folder: Path) -> None:
    edit(folder, lambda m: m.update(channels=1))
    path = folder / "val-00000-of-00001.tfrecord"
    shard(path, [picture(png("1"), (5, 3), 1), picture(png("I;16"), (5, 3), 1)])
    report = verify(Records.find(path))
    assert ("record-image-differs", path.name, 1) in placed(report)
    assert codes(report)["record-image-differs"] == 1
    assert "16 bits a sample, the manifest says 8" in str(report.examples["record-image-differs"][0])


EDGE = SHARED / "edge"


@pytest.mark.real_data
def test_strange_pngs_are_judged_as_tensorflow_judges_them(tmp_path: Path) -> None:
    """Interlaced, of 1 to 16 bits, truncated, damaged: whatever is there."""
    readable = 0
    for number, path in enumerate(sorted(EDGE.rglob("*.png"))):
        data = path.read_bytes()
        try:
            height, width, channels = tf.io.decode_png(data).shape
        except tf.errors.InvalidArgumentError:
            height, width, channels = 0, 0, 0
        record = picture(data, (max(width, 1), max(height, 1)), max(channels, 1))
        found = codes(check(shard(tmp_path / f"{number}.tfrecord", [record])))
        assert found == ({} if height else {"record-image-unreadable": 1}), path
        readable += height > 0
    assert readable > 5


def test_several_faults_of_one_record_are_all_found(tmp_path: Path) -> None:
    record = good(
        basename=[b"x/a.png"], channel=[1], n_objects=[4], class_ids=[9, -4],
        masks_indices=[0, 4, 2, 0, 1, 0, 0, 1, 0, 7, 9, 0],
    )  # fmt: skip
    report = check(shard(tmp_path / "a.tfrecord", [record]))
    assert placed(report) == [
        (code, "a.tfrecord", 0)
        for code in (
            "record-basename-invalid",
            "record-image-differs",
            "record-index-outside",
            "record-objects-differ",
            "record-indices-unordered",
            "record-index-repeated",
            "record-mask-empty",
            "record-classes-differ",
            "record-class-suspect",
        )
    ]
    messages = {str(code): str(message) for code, message in report.flatten(["code", "message"])}
    assert "1 of 4 indices" in messages["record-index-outside"]
    assert "(7, 9, 0)" in messages["record-index-outside"]
    assert "0 to 7" in messages["record-objects-differ"]
    assert "1 times, first from (0, 4, 2) to (0, 1, 0)" in messages["record-indices-unordered"]
    assert "1 indices are repeated, first (0, 1, 0)" in messages["record-index-repeated"]
    assert "3 of 4 objects have no index, the first of them object 1" in messages["record-mask-empty"]
    assert "2 numbers, image/n_objects is 4" in messages["record-classes-differ"]
    assert "-4" in messages["record-class-suspect"]
    assert report.flatten(["record"]) == [["x/a.png"]] * 9


def test_the_size_of_numbers_costs_no_memory(tmp_path: Path) -> None:
    """A number of objects that no machine has room for."""
    path = shard(tmp_path / "a.tfrecord", [good(n_objects=[2**62])])
    tracemalloc.start()
    try:
        found = codes(check(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == {"record-mask-empty": 1, "record-classes-differ": 1}
    assert peak < 5_000_000


# Axes


@both_layouts
def test_the_layout_is_judged_when_it_is_known(layout: Layout, tmp_path: Path) -> None:
    stored = {"documented": good(), "rows_first": good(image_bytes=[png(size=(3, 5))])}
    for name, record in stored.items():
        path = shard(tmp_path / f"{name}.tfrecord", [record])
        assert check(path).counts == {}
        report = check(path, layout=layout)
        assert codes(report) == ({} if name == layout else {"record-image-differs": 1})
        assert name == layout or f"would fit the layout {name}" in str(report.flatten(["message"]))


def test_a_png_that_fits_neither_way_round_is_found_without_a_layout(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [good(image_bytes=[png(size=(3, 4))])])
    assert codes(check(path)) == {"record-image-differs": 1}


def test_a_layout_that_is_not_the_manifests(folder: Path) -> None:
    with pytest.raises(ConfigError, match="documented, not rows_first"):
        check(folder, layout="rows_first")
    with pytest.raises(ConfigError, match="no layout 'xy'"):
        check(folder, layout="xy")


# Files


def flipped(content: bytes, at: int) -> bytes:
    altered = bytearray(content)
    altered[at] ^= 0x10
    return bytes(altered)


FOUR = [good(id=[number]) for number in range(4)]
SECOND, THIRD = 16 + len(FOUR[0]), 2 * (16 + len(FOUR[0]))  # where records begin

DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str, int, int]] = {  # code, its record, records read nevertheless
    "length": (lambda content: flipped(content, SECOND), "record-length-damaged", 1, 1),
    "checksum of the length": (lambda content: flipped(content, SECOND + 9), "record-length-damaged", 1, 1),
    "first byte": (lambda content: flipped(content, SECOND + 12), "record-checksum-differs", 1, 3),
    "last byte": (lambda content: flipped(content, THIRD - 5), "record-checksum-differs", 1, 3),
    "checksum": (lambda content: flipped(content, THIRD - 1), "record-checksum-differs", 1, 3),
    "cut within the length": (lambda content: content[: SECOND + 5], "record-truncated", 1, 1),
    "cut before the bytes": (lambda content: content[: SECOND + 12], "record-truncated", 1, 1),
    "cut within the bytes": (lambda content: content[: SECOND + 50], "record-truncated", 1, 1),
    "last byte missing": (lambda content: content[:-1], "record-truncated", 3, 3),
    "bytes after the last": (lambda content: content + b"\0" * 12, "record-length-damaged", 4, 4),
    "no TFRecord": (lambda content: b"\x89PNG\r\n\x1a\n" + bytes(99), "record-length-damaged", 0, 0),
    "GZIP cut off": (lambda content: gzip.compress(content)[:-20], "shard-unreadable", 0, 0),
    "GZIP checksum": (lambda content: flipped(gzip.compress(content), -6), "shard-unreadable", 0, 0),
    "within GZIP": (lambda content: gzip.compress(flipped(content, SECOND + 12)), "record-checksum-differs", 1, 3),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "code", "number", "readable"), DAMAGE.values(), ids=DAMAGE)
def test_damage_of_a_file(
    damage: Callable[[bytes], bytes], code: str, number: int, readable: int, tmp_path: Path
) -> None:
    path = shard(tmp_path / "a.tfrecord", FOUR)
    path.write_bytes(damage(path.read_bytes()))
    report = check(path)
    assert placed(report) == [(code, "a.tfrecord", number)]
    assert report.total.images_written == readable
    assert report.total.adds_up


def test_a_folder_or_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").mkdir()
    report = verify(Records((tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"), None))
    assert codes(report) == {"shard-missing": 2}


def test_a_record_that_is_claimed_to_be_longer_than_one_can_be(tmp_path: Path) -> None:
    length = struct.pack("<Q", 2**40)
    (tmp_path / "a.tfrecord").write_bytes(length + struct.pack("<I", masked_crc(length)) + b"few bytes")
    assert placed(check(tmp_path / "a.tfrecord")) == [("record-length-damaged", "a.tfrecord", 0)]


def test_an_empty_file_and_an_empty_list_are_clean(tmp_path: Path) -> None:
    assert check(shard(tmp_path / "a.tfrecord", [])).counts == {}
    assert verify(Records((), None)).counts == {}


def test_examples_are_few_and_counts_exact(tmp_path: Path) -> None:
    records = [good(id=[number], class_ids=[0]) for number in range(30)]
    paths = [shard(tmp_path / f"{name}.tfrecord", records[at : at + 15]) for at, name in ((0, "a"), (15, "b"))]
    report = check(*paths)
    assert codes(report) == {"record-classes-differ": 30, "record-class-suspect": 30}
    assert [len(kept) for kept in report.examples.values()] == [5, 5]
    report = check(*paths[:1], shard(tmp_path / "c.tfrecord", records[:2]))
    assert len(report.examples["record-classes-differ"]) == 5


def test_a_record_is_no_longer_kept_than_it_is_judged(tmp_path: Path) -> None:
    """However many there are, memory holds but one, and 8 bytes of each."""

    def peak(count: int) -> int:
        noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        image = {"image_bytes": [encode_png(noise)], "width": [300], "height": [300]}
        path = shard(tmp_path / "a.tfrecord", [good(id=[number], **image) for number in range(count)])
        tracemalloc.start()
        try:
            assert check(path).counts == {}
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(40) < peak(2) + 40 * 1000


# Ids


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    ids = {"a": [5, -3, 7], "b": [8, 7, 9], "c": [7, 5, 2**63 - 1, 2**63 - 1]}
    paths = [shard(tmp_path / f"{name}.tfrecord", [good(id=[each]) for each in listed]) for name, listed in ids.items()]
    report = check(*paths)
    assert codes(report) == {"record-id-duplicate": 4}
    assert [(Path(str(path)).name, message) for path, message in report.flatten(["path", "message"])] == [
        ("b.tfrecord", "record 1 has the image/id 7, as record 2 of a.tfrecord"),
        ("c.tfrecord", "record 0 has the image/id 7, as record 2 of a.tfrecord"),
        ("c.tfrecord", "record 1 has the image/id 5, as record 0 of a.tfrecord"),
        ("c.tfrecord", f"record 3 has the image/id {2**63 - 1}, as record 2 of c.tfrecord"),
    ]


def test_records_that_cannot_be_read_are_counted_all_the_same(tmp_path: Path) -> None:
    bad = good(id=None)
    path = shard(tmp_path / "a.tfrecord", [bad, good(), bad, bad, good(), bad, good(), bad])
    report = check(path)
    assert codes(report) == {"record-feature-missing": 5, "record-id-duplicate": 2}
    assert [str(issue.message) for issue in report.examples["record-id-duplicate"]] == [
        "record 4 has the image/id 42, as record 1 of a.tfrecord",
        "record 6 has the image/id 42, as record 1 of a.tfrecord",
    ]


def test_the_same_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", FOUR)
    report = check(path, path)
    assert report.counts == {}
    assert report.total.images_written == 4


# Against the manifest


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "dataset.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], list[tuple[str, str]]]] = {
    "checksum": (
        lambda m: m["shards"][1].update(sha256="0" * 64),
        [("shard-changed", "train-00001-of-00004.tfrecord")],
    ),
    "images of a file": (
        lambda m: m["shards"][1].update(images=4),
        [("shard-count-differs", "train-00001-of-00004.tfrecord")],
    ),
    "objects of a file": (
        lambda m: m["shards"][0].update(objects=1),
        [("shard-count-differs", "train-00000-of-00004.tfrecord")],
    ),
    "images of a split": (
        lambda m: m["splits"]["train"].update(images_written=8),
        [("manifest-count-differs", "dataset.json")],
    ),
    "objects of a split": (
        lambda m: m["splits"]["val"].update(objects_written=0),
        [("manifest-count-differs", "dataset.json")],
    ),
    "bytes of a split": (lambda m: m["splits"]["val"].update(bytes=5), [("manifest-count-differs", "dataset.json")]),
    "a class less": (
        lambda m: m["splits"]["train"]["objects_by_class"].pop("circle"),
        [("manifest-count-differs", "dataset.json")],
    ),
    "a class more": (
        lambda m: m["splits"]["train"]["objects_by_class"].update(hexagon=2),
        [("manifest-count-differs", "dataset.json")],
    ),
    "a class of no object": (lambda m: m["splits"]["train"]["objects_by_class"].update(hexagon=0), []),
    "another order": (lambda m: m["shards"].reverse(), []),
}


@pytest.mark.parametrize(("change", "expected"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_says_otherwise(
    change: Callable[[dict[str, Any]], object], expected: list[tuple[str, str]], folder: Path
) -> None:
    edit(folder, change)
    assert [row[:2] for row in placed(check(folder))] == expected


def test_a_file_that_the_manifest_forgot(folder: Path) -> None:
    edit(folder, lambda m: m["shards"].pop(2))
    report = check(folder)
    assert codes(report) == {"shard-unlisted": 1, "manifest-count-differs": 6}  # images, objects, bytes, 3 classes
    assert report.examples["shard-unlisted"][0].path == str(folder / "train-00002-of-00004.tfrecord")


def test_what_the_manifest_says_of_every_record(folder: Path) -> None:
    edit(folder, lambda m: m.update(classes=m["classes"][1:], channels=1, depth=16, compression="gzip"))
    report = check(folder)
    found = codes(report)
    assert found.pop("shard-compression-differs") == 5
    assert found.pop("record-image-differs") == 24
    circles = sum(1 in record.features.feature["image/class_ids"].int64_list.value for record in examples(folder))
    assert found.pop("record-class-unknown") == circles > 3
    assert found.pop("manifest-count-differs") == 4  # circle and id 1, in each split
    assert not found
    assert report.classes == {"square": 2, "triangle": 3, "id 1": 1}


def examples(folder: Path) -> Iterator[tf.train.Example]:
    for serialized in tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord")))):
        yield tf.train.Example.FromString(serialized.numpy())


def test_layout_of_the_manifest(folder: Path) -> None:
    edit(folder, lambda m: m.update(layout="rows_first"))
    found = codes(check(folder))
    assert set(found) == {"record-image-differs"}
    assert found["record-image-differs"] == sum(
        record.features.feature["image/width"] != record.features.feature["image/height"] for record in examples(folder)
    )


def test_a_file_that_is_not_there(folder: Path) -> None:
    (folder / "train-00001-of-00004.tfrecord").unlink()
    report = check(folder)
    assert placed(report) == [("shard-missing", "train-00001-of-00004.tfrecord", None)]
    assert (report.total.images_found, report.total.images_written) == (12, 10)
    assert report.total.images_dropped == {"shard-missing": 2}


def test_a_file_too_many(folder: Path) -> None:
    shard(folder / "train-00004-of-00005.tfrecord", FOUR)
    assert placed(check(folder)) == [("shard-unlisted", "train-00004-of-00005.tfrecord", None)]


def test_a_record_taken_out_of_a_file(folder: Path) -> None:
    path = folder / "val-00000-of-00001.tfrecord"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    shard(path, records[1:])
    assert codes(check(folder)) == {"shard-changed": 1, "shard-count-differs": 2}


def test_a_file_in_the_place_of_another(folder: Path) -> None:
    first, second = (folder / f"train-0000{number}-of-00004.tfrecord" for number in (0, 1))
    shutil.copy(first, second)
    found = codes(check(folder))
    assert found["record-id-duplicate"] == 3
    assert found["shard-changed"] == 1


def test_what_is_lost_is_counted(folder: Path) -> None:
    path = folder / "train-00002-of-00004.tfrecord"
    content = path.read_bytes()
    [length] = struct.unpack_from("<Q", content)
    path.write_bytes(flipped(content, 16 + length))
    report = check(folder)
    assert placed(report) == [("shard-changed", path.name, None), ("record-length-damaged", path.name, 1)]
    assert "2 of 3 records are lost" in str(report.examples["record-length-damaged"][0])
    assert report.total.images_dropped == {"record-length-damaged": 2}
    assert (report.total.images_found, report.total.images_written) == (12, 10)


def test_some_files_of_a_data_set(folder: Path) -> None:
    """What is said of the others, and of splits that are not all there, is not looked at."""
    edit(folder, lambda m: [split.update(bytes=0) for split in m["splits"].values()])
    (folder / "train-00001-of-00004.tfrecord").unlink()
    shard(folder / "stray.tfrecord", FOUR)
    names = ("train-00000-of-00004.tfrecord", "train-00002-of-00004.tfrecord")
    report = check(*(folder / name for name in names))
    assert report.counts == {}
    assert {name: tally.images_written for name, tally in report.splits.items()} == {"train": 6}
    assert placed(check(folder / "val-00000-of-00001.tfrecord")) == [("manifest-count-differs", "dataset.json", None)]
    assert codes(verify(Records.find(folder, split="val"))) == {"manifest-count-differs": 1}


# Anything at all


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


changes = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), min_size=1, max_size=4)


def changed(content: bytes, places: Iterable[tuple[int, int]]) -> bytes:
    altered = bytearray(content)
    for at, value in places:
        altered[at % len(altered)] = value
    return bytes(altered)


@given(changes, st.sampled_from([bytes, gzip.compress]), st.integers(0, 10**9))
@settings(deadline=None)
def test_no_damage_of_a_file_raises_or_passes(
    scratch: Path, places: list[tuple[int, int]], compress: Callable[[bytes], bytes], cut: int
) -> None:
    content = shard(scratch / "a.tfrecord", FOUR).read_bytes()
    altered = changed(compress(content), places)
    altered = altered[: cut % (3 * len(altered)) + 1]
    (scratch / "a.tfrecord").write_bytes(altered)
    report = check(scratch / "a.tfrecord")
    assert report.total.adds_up
    if not report.counts:
        opened = gzip.decompress(altered) if altered[:2] == b"\x1f\x8b" else altered
        assert content.startswith(opened)
        assert report.total.images_written * SECOND == len(opened)


@given(changes)
@settings(deadline=None, max_examples=300)
def test_what_passes_is_what_tensorflow_takes(
    scratch: Path, judge: Callable[..., Any], places: list[tuple[int, int]]
) -> None:
    """Bytes of a record are changed, and its checksum is right."""
    record = changed(good(), places)
    report = check(shard(scratch / "a.tfrecord", [record]), layout="documented")
    assert report.total.adds_up
    if not report.found(Severity.ERROR):
        judge(record, "documented")


@given(changes, st.sampled_from(["RGB", "L", "P", "LA", "1", "I;16"]))
@settings(deadline=None, max_examples=300)
def test_a_png_that_passes_is_one_that_tensorflow_decodes(
    scratch: Path, places: list[tuple[int, int]], mode: str
) -> None:
    """Bytes within its chunks, and of its rows, are changed, and all checksums are right."""
    whole = png(mode)
    for data in (
        rechunked(whole, lambda chunks: [(kind, changed(b"\0" + content, places)[1:]) for kind, content in chunks]),
        with_rows(whole, lambda rows: changed(rows, places)),
    ):
        found = codes(check(shard(scratch / "a.tfrecord", [good(image_bytes=[data])])))
        if "record-image-unreadable" not in found:
            tf.io.decode_png(data)


triples = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), st.integers(-1, 2)), max_size=5)


@given(triples | triples.map(sorted) | triples.map(lambda each: sorted(set(each))), st.integers(0, 4))
@settings(deadline=None, max_examples=400)
def test_indices_are_judged_as_lists_of_triples_are(
    scratch: Path, judge: Callable[..., Any], indices: list[tuple[int, int, int]], n_objects: int
) -> None:
    record = good(
        image_bytes=[png(size=(3, 2))], width=[3], height=[2], n_objects=[n_objects], class_ids=[1] * n_objects,
        masks_indices=[number for triple in indices for number in triple],
    )  # fmt: skip
    expected = {
        "record-index-outside": any(not (0 <= x < 3 and 0 <= y < 2) for _, x, y in indices),
        "record-objects-differ": any(not 0 <= n < n_objects for n, _, _ in indices),
        "record-indices-unordered": indices != sorted(indices),
        "record-index-repeated": len(indices) != len(set(indices)),
        "record-mask-empty": not {n for n, _, _ in indices} >= set(range(n_objects)),
    }
    report = check(shard(scratch / "a.tfrecord", [record]), layout="documented")
    assert codes(report) == {code: 1 for code, is_so in expected.items() if is_so}
    if report.found(Severity.ERROR):
        with pytest.raises(tf.errors.InvalidArgumentError):
            judge(record, "documented")
    else:
        judge(record, "documented")


# Many files


def test_of_a_file_little_is_kept_until_all_are_verified(tmp_path: Path) -> None:
    """What it counts by class is added to that of the others: there may be 100,000 files, and 10,000 classes."""

    def peak(count: int) -> int:
        record = good(n_objects=[300], masks_indices=[0, 0, 0], class_ids=list(range(1, 301)))
        paths = [shard(tmp_path / f"{number}.tfrecord", [record]) for number in range(count)]
        tracemalloc.start()
        try:
            assert check(*paths).total.objects_written == 300 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(60) < peak(10) + 50 * 2000


def test_the_manifest_is_gone_through_once_for_all_splits(folder: Path) -> None:
    """200 splits of 100,000 files in all."""

    def times(splits: int) -> int:
        class Watched(list[Any]):
            times = 0

            def __iter__(self) -> Iterator[Any]:
                Watched.times += 1
                return super().__iter__()

        records = Records.find(folder)
        assert records.manifest is not None
        counts = {f"s{number}": records.manifest.unplaced for number in range(splits)}
        manifest = records.manifest.model_copy(
            update={"shards": Watched(records.manifest.shards), "splits": {**records.manifest.splits, **counts}}
        )
        assert codes(verify(replace(records, manifest=manifest), workers=1)) == {}
        return Watched.times

    assert times(20) == times(0)
