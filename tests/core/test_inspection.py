"""Counts are held against those that TensorFlow alone makes of the same files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from maskflow_convert import load_config
from maskflow_convert.errors import SourceError
from maskflow_convert.inspection import Inspection, SizeRange, inspect
from maskflow_convert.manifest import Manifest
from maskflow_convert.pipeline import convert
from maskflow_convert.records import Records
from maskflow_convert.tfrecord import Compression, ShardWriter

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"


def written(folder: Path, *overrides: str) -> Path:
    convert(load_config(CONFIG, [f"output.directory={folder}", "run.executor=serial", *overrides]))
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tfrecord"))


def counted(paths: Sequence[Path], compression: str) -> dict[str, Any]:
    """The same sums by TensorFlow, record by record."""
    rows = []
    classes: Counter[int] = Counter()
    widths, heights, channels, empty = [], [], set(), 0
    for path in paths:
        row = {"path": path, "bytes": path.stat().st_size, "records": 0, "objects": 0, "positive_pixels": 0}
        for serialized in tf.data.TFRecordDataset(str(path), compression_type=compression):
            feature = tf.train.Example.FromString(serialized.numpy()).features.feature
            image = tf.io.decode_png(feature["image/image_bytes"].bytes_list.value[0])
            ids = feature["image/class_ids"].int64_list.value
            row["records"] += 1
            row["objects"] += len(ids)
            row["positive_pixels"] += len(feature["image/masks_indices"].int64_list.value) // 3
            classes.update(ids)
            empty += len(ids) == 0
            heights.append(image.shape[0])
            widths.append(image.shape[1])
            channels.add(image.shape[2])
        rows.append(row)
    return {
        "files": rows,
        "columns": {"smallest": min(widths), "largest": max(widths)},
        "rows": {"smallest": min(heights), "largest": max(heights)},
        "channels": sorted(channels),
        "records_without_objects": empty,
        "objects_by_class": dict(sorted(classes.items())),
    }


def told(inspection: Inspection, *, rows_first: bool) -> dict[str, Any]:
    """The inspection in the terms of `counted`."""
    found = inspection.model_dump()
    w, h = found.pop("image_width"), found.pop("image_height")
    del found["layout"], found["class_names"]
    return {**found, "files": list(found["files"]), "columns": h if rows_first else w, "rows": w if rows_first else h}


@pytest.mark.parametrize("layout", ["documented", "rows_first"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_counts_are_tensorflows(layout: str, compression: str, tmp_path: Path) -> None:
    overrides = ("output.shard_size=3 images", "image.channels=source", "objects.crowd=keep")
    folder = written(tmp_path, f"output.layout={layout}", f"output.compression={compression}", *overrides)
    records = Records.find(folder)
    found = inspect(records)
    assert len(found.files) > 2
    expected = counted(records.paths, "GZIP" if compression == "gzip" else "")
    assert told(found, rows_first=layout == "rows_first") == expected
    assert sum(file.records for file in found.files) == 12
    assert found.channels == [1, 3]
    assert found.records_without_objects == 1
    assert found.layout == layout
    assert found.class_names == {1: "circle", 2: "square", 3: "triangle"}


def test_one_split_is_inspected_alone(tmp_path: Path) -> None:
    found = inspect(Records.find(written(tmp_path), split="val"))
    assert [file.path.name for file in found.files] == ["val-00000-of-00001.tfrecord"]
    assert told(found, rows_first=False) == counted([file.path for file in found.files], "")


def test_what_only_a_manifest_knows_is_left_open_without_one(tmp_path: Path) -> None:
    folder = written(tmp_path / "data")
    (tmp_path / "loose").mkdir()
    loose = [Path(shutil.copy(path, tmp_path / "loose")) for path in files(folder)]
    found = inspect(Records.find(loose))
    assert (found.layout, found.class_names) == (None, {})
    assert told(found, rows_first=False) == counted(loose, "")


def test_a_file_without_records(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "none.tfrecord", Compression.NONE):
        pass
    found = inspect(Records.find(tmp_path / "none.tfrecord"))
    assert (found.image_width, found.image_height, found.channels) == (None, None, [])
    assert (found.files[0].records, found.files[0].bytes, found.records_without_objects) == (0, 0, 0)


def test_ranges_are_of_the_smallest_and_the_largest(tmp_path: Path) -> None:
    found = inspect(Records.find(written(tmp_path)))
    document = json.loads((CONFIG.parent / "shapes-coco" / "instances.json").read_text(encoding="utf-8"))
    widths, heights = ([image[key] for image in document["images"]] for key in ("width", "height"))
    assert found.image_width == SizeRange(smallest=min(widths), largest=max(widths))
    assert found.image_height == SizeRange(smallest=min(heights), largest=max(heights))


@pytest.mark.parametrize("damage", ["checksum", "content"])
def test_damage_is_named_with_its_file_and_record(damage: str, tmp_path: Path) -> None:
    [path, *_] = files(written(tmp_path))
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    if damage == "checksum":
        content = bytearray(path.read_bytes())
        content[16 + len(records[0]) + 20] ^= 1
        path.write_bytes(content)
    else:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in (records[0], tf.train.Example().SerializeToString()):
                writer.write(record)
    with pytest.raises(SourceError, match=rf"{path.name}: record 1\b"):
        inspect(Records.find(tmp_path))


def test_a_manifest_is_read_once_however_many_of_its_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell names them, `out/*.tfrecord`: a manifest may list 100,000 files and a million images."""
    folder = written(tmp_path / "out", "output.shard_size=1 images")
    named = [*files(folder), *files(folder)]
    read: list[Path] = []
    original = Manifest.read
    monkeypatch.setattr(Manifest, "read", lambda path: (read.append(path), original(path))[1])
    records = Records.find(named)
    assert read == [folder]
    assert len(named) == 24
    assert (records.paths, records.manifest) == (tuple(named), original(folder))
