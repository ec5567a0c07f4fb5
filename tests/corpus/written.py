"""Every code of written records and of a `tf.data.Dataset`, each planted once in what the sound set is converted to.

The records stand in the order of the sources, three a file: `c1` to `c3`, then `v1`, `v2` and `l1`, then `l2`, `l3` and
`p1`; `v3` is alone in `val`. TensorFlow writes what is changed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from corpus.cases import Case, Place
from corpus.changes import Change, copied, file, removed, several

SECOND = "out/train-00001-of-00003.tfrecord"
PNG = b"\x89PNG\r\n\x1a\n"

IN_FILE = Place(path=SECOND)
UNREAD = Place(path=SECOND, says="record 1")
"""The second record of the second file, where its name cannot be told."""
IN_RECORD = Place(record="v2.jpg", path=SECOND, says="record 1")


def records(edit: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Change the records of the second file."""

    def change(folder: Path) -> None:
        path = str(folder / SECOND)
        edited = edit(list(tf.data.TFRecordDataset(path).as_numpy_iterator()))
        with tf.io.TFRecordWriter(path) as writer:
            for record in edited:
                writer.write(record)

    return change


def seal(folder: Path) -> None:
    """Make the manifest fit the second file, as whoever writes both would: its checksum, and the size of the split."""
    content = (folder / SECOND).read_bytes()
    size = sum(
        len(record)
        for path in sorted(folder.glob("out/train-*.tfrecord"))
        for record in tf.data.TFRecordDataset(
            str(path), "GZIP" if path.read_bytes()[:2] == b"\x1f\x8b" else ""
        ).as_numpy_iterator()
    )

    def fit(document: dict[str, Any]) -> None:
        document["shards"][1].update(sha256=hashlib.sha256(content).hexdigest())
        document["splits"]["train"].update(bytes=size)

    manifest(fit)(folder)


def manifest(edit: Callable[[dict[str, Any]], object]) -> Change:
    """Change the manifest."""

    def change(folder: Path) -> None:
        path = folder / "out/dataset.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        edit(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return change


def features(edit: Callable[[Any], object]) -> Change:
    """Change the features of the second record of the second file, and seal that."""

    def rewrite(listed: list[bytes]) -> list[bytes]:
        example = tf.train.Example.FromString(listed[1])
        edit(example.features.feature)
        return [listed[0], example.SerializeToString(), listed[2]]

    return several(records(rewrite), seal)


def numbers(key: str, edit: Callable[[list[int]], Sequence[int]]) -> Change:
    """Change the numbers of a feature."""

    def change(found: Any) -> None:
        values = found[f"image/{key}"].int64_list.value
        values[:] = edit(list(values))

    return features(change)


def png(edit: Callable[[Image.Image], tuple[Image.Image, str]]) -> Change:
    """Store another image: what it is, and in which format."""

    def change(found: Any) -> None:
        values = found["image/image_bytes"].bytes_list.value
        image, kind = edit(Image.open(io.BytesIO(values[0])))
        encoded = io.BytesIO()
        image.save(encoded, kind)
        values[:] = [encoded.getvalue()]

    return features(change)


def flipped(at: int) -> Callable[[bytes], bytes]:
    """Flip a bit of a byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def the_id_of_another(folder: Path) -> None:
    [first, *_] = tf.data.TFRecordDataset(str(folder / SECOND)).as_numpy_iterator()
    taken = tf.train.Example.FromString(first).features.feature["image/id"].int64_list.value[0]
    numbers("id", lambda _: [taken])(folder)


CHANGED = {"shard-changed": 1}

WRITTEN_CASES = (
    Case("record-malformed", several(records(lambda listed: [listed[0], PNG, listed[2]]), seal), UNREAD),
    Case("shard-missing", removed(SECOND), Place(path=SECOND, says="3 of 3 records are lost")),
    Case("shard-unlisted", copied(SECOND, "out/old.tfrecord"), Place(path="out/old.tfrecord")),
    Case(
        "shard-unreadable", file(SECOND, lambda data: data[:-20]), IN_FILE, CHANGED,
        settings={"output": {"compression": "gzip"}},
    ),
    Case("shard-changed", records(lambda listed: listed[::-1]), IN_FILE),
    Case("shard-compression-differs", several(file(SECOND, gzip.compress), seal), IN_FILE),
    Case(
        "shard-count-differs", manifest(lambda document: document["shards"][1].update(images=4)),
        Place(path=SECOND, says="the manifest says 4"),
    ),
    Case(
        "manifest-count-differs", manifest(lambda document: document["splits"]["val"].update(objects_written=22)),
        Place(path="out/dataset.json", says="the manifest says 22"),
    ),
    Case("record-truncated", file(SECOND, lambda data: data[:-9]), Place(path=SECOND, says="record 2"), CHANGED),
    Case("record-length-damaged", file(SECOND, flipped(0)), Place(path=SECOND, says="record 0"), CHANGED),
    Case("record-checksum-differs", file(SECOND, flipped(5000)), Place(path=SECOND, says="record 0"), CHANGED),
    Case("record-feature-missing", features(lambda found: found.pop("image/n_objects")), UNREAD),
    Case("record-feature-unknown", features(lambda found: found["image/source"].int64_list.value.append(1)), IN_RECORD),
    Case(
        "record-feature-kind", features(lambda found: found["image/class_ids"].float_list.value.append(1)), UNREAD,
    ),
    Case("record-feature-count", numbers("id", lambda ids: [*ids, 7]), UNREAD),
    Case(
        "record-basename-invalid",
        features(lambda found: found["image/basename"].bytes_list.value.__setitem__(0, b"train/v2.jpg")),
        Place(record="train/v2.jpg", path=SECOND, says="record 1"),
    ),
    Case("record-shape-invalid", numbers("width", lambda _: [0]), IN_RECORD),
    Case("record-image-unreadable", png(lambda image: (image, "JPEG")), IN_RECORD),
    Case("record-image-differs", png(lambda image: (image.transpose(Image.Transpose.ROTATE_90), "PNG")), IN_RECORD),
    Case("record-indices-incomplete", numbers("masks_indices", lambda found: found[:-1]), UNREAD),
    Case("record-index-outside", numbers("masks_indices", lambda found: [*found[:-2], 96, found[-1]]), IN_RECORD),
    Case("record-objects-differ", numbers("masks_indices", lambda found: [*found[:-3], 21, *found[-2:]]), IN_RECORD),
    Case("record-indices-unordered", numbers("masks_indices", lambda found: found[6:] + found[:6]), IN_RECORD),
    Case("record-index-repeated", numbers("masks_indices", lambda found: found[:3] + found), IN_RECORD),
    Case(
        "record-mask-empty",
        numbers("masks_indices", lambda found: np.reshape(found, (-1, 3))[np.array(found[::3]) != 7].ravel().tolist()),
        Place(record="v2.jpg", path=SECOND, says="the first of them object 7"),
    ),
    Case(
        "record-classes-differ", numbers("class_ids", lambda found: found[:-1]), IN_RECORD,
        consequences={"shard-count-differs": 1},
    ),
    Case(
        "record-class-unknown", numbers("class_ids", lambda found: [*found[:-1], 91]), IN_RECORD,
        consequences={"manifest-count-differs": 2},
    ),
    Case(
        "record-class-suspect",
        several(numbers("class_ids", lambda found: [0, *found[1:]]), removed("out/dataset.json")), IN_RECORD,
    ),
    Case("record-id-duplicate", the_id_of_another, UNREAD),
)  # fmt: skip


# A data set of your own

Target = Mapping[str, Any]
Element = tuple[Any, Target]


@dataclass(frozen=True)
class DataSetCase:
    """One code, planted once in the `tf.data.Dataset` of the sound set; `says` is a part of the message."""

    code: str
    change: Callable[[tf.data.Dataset], tf.data.Dataset]
    says: str
    consequences: Mapping[str, int] = field(default_factory=dict)


def mapped(edit: Callable[[Any, Target], Any]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Change all elements."""
    return lambda dataset: dataset.map(edit)


def with_target(**edits: Callable[[Any], Any]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Change parts of the second part of all elements."""
    return mapped(lambda image, target: (image, {**target, **{key: edits[key](target[key]) for key in edits}}))


def fourth(**edits: Callable[[NDArray[Any]], Any]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Change parts of element 3, which may take another shape."""

    def change(dataset: tf.data.Dataset) -> tf.data.Dataset:
        image, target = dataset.element_spec
        specs = {"image": image, **target}
        elements = [{"image": image, **target} for image, target in dataset.as_numpy_iterator()]
        elements[3] |= {key: edit(elements[3][key]) for key, edit in edits.items()}

        def generate() -> Iterator[Element]:
            yield from ((each["image"], {key: each[key] for key in target}) for each in elements)

        loose = {key: tf.TensorSpec([None] * spec.shape.rank, spec.dtype) for key, spec in specs.items()}
        return tf.data.Dataset.from_generator(
            generate, output_signature=(loose["image"], {key: loose[key] for key in target})
        )

    return change


def scaled(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Divide the images by their range, which one of them has not."""
    floats = dataset.map(lambda image, target: (tf.cast(image, tf.float32), target))
    return fourth(image=lambda image: np.full_like(image, np.nan))(floats)


def first_empty(masks: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([0 * masks[:1], masks[1:]])


def refused(image: Any, target: Target) -> Element:
    """Fail at the element that has the id 3."""
    tf.debugging.assert_none_equal(target["image_id"], tf.constant(3, tf.int64), message="no such file")
    return image, target


DATASET_CASES = (
    DataSetCase("dataset-structure", mapped(lambda image, target: (image, target["masks"])), "(a Tensor, a Tensor)"),
    DataSetCase(
        "dataset-key-missing",
        mapped(lambda image, target: (image, {key: target[key] for key in ("masks", "class_ids")})), "no image_id",
    ),
    DataSetCase(
        "dataset-key-unknown", mapped(lambda image, target: (image, {**target, "boxes": target["masks"]})), "'boxes'",
    ),
    DataSetCase("dataset-not-dense", with_target(masks=tf.sparse.from_dense), "masks is a SparseTensor"),
    DataSetCase("dataset-batched", lambda dataset: dataset.batch(2), "image has 4 axes"),
    DataSetCase("dataset-rank", mapped(lambda image, target: (image[..., 0], target)), "image has 2 axes"),
    DataSetCase("dataset-type", with_target(class_ids=lambda ids: tf.cast(ids, tf.float32)), "class_ids is of float32"),
    DataSetCase("dataset-empty", lambda dataset: dataset.filter(lambda *_: False), "no element"),
    DataSetCase("dataset-element-failed", mapped(refused), "element 3: "),
    DataSetCase(
        "dataset-image-empty", fourth(image=lambda image: image[:0], masks=lambda masks: masks[:, :0]), "element 3: ",
        consequences={"dataset-mask-empty": 1},
    ),
    DataSetCase("dataset-image-not-finite", scaled, "element 3: "),
    DataSetCase("dataset-axes-exchanged", fourth(masks=lambda masks: masks.swapaxes(1, 2)), "element 3: "),
    DataSetCase("dataset-sizes-differ", fourth(masks=lambda masks: masks[:, 1:]), "element 3: "),
    DataSetCase("dataset-objects-differ", fourth(class_ids=lambda ids: ids[1:]), "element 3: "),
    DataSetCase("dataset-mask-values", fourth(masks=lambda masks: masks * 255), "element 3: "),
    DataSetCase("dataset-mask-empty", fourth(masks=first_empty), "element 3: "),
    DataSetCase("dataset-class-suspect", fourth(class_ids=lambda ids: ids - 1), "element 3: "),
)  # fmt: skip
