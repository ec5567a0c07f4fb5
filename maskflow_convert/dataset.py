"""Data sets for training: from written records, or straight from annotations. Uses TensorFlow.

Every element is `(image, {"masks", "class_ids", "image_id"})`: `image` `[W, H, C]` uint8 or uint16, `masks` `[N, W, H]`
uint8 of 0 and 1, `class_ids` `[N]` int64, `image_id` `[]` int64. In the layout `documented` W counts columns; in
`rows_first` it counts rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.config import Config, load_config
from maskflow_convert.errors import ConfigError
from maskflow_convert.examine import Examiner, Size
from maskflow_convert.executors import processors
from maskflow_convert.image import ImageSettings, load_pixels, read_header
from maskflow_convert.issues import Issue
from maskflow_convert.plan import Shard
from maskflow_convert.prepare import DataSet, prepare
from maskflow_convert.read_ahead import reading_ahead
from maskflow_convert.record import Layout
from maskflow_convert.records import PathOrName, Records, read_file
from maskflow_convert.remote import RemotePath, path_of
from maskflow_convert.runs import to_masks
from maskflow_convert.sample import Image
from maskflow_convert.tfrecord import Compression, compression_of, read_records

try:
    import tensorflow as tf
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "reading data sets needs TensorFlow: pip install 'maskflow-convert[tensorflow]'", name=missing.name
    ) from missing

Element = tuple[NDArray[Any], dict[str, NDArray[Any]]]

_FILES_AT_ONCE = 16
_READ_AHEAD = 2  # elements or batches

_FEATURES = {
    "image/id": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/n_objects": tf.io.FixedLenFeature([], tf.int64),
    "image/image_bytes": tf.io.FixedLenFeature([], tf.string),
    "image/masks_indices": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    "image/class_ids": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}


def decode_example(
    serialized: tf.Tensor, *, layout: Layout | str = Layout.DOCUMENTED, channels: int = 0, depth: int = 8
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Parse one record; for use in `tf.data.Dataset.map`.

    Args:
        serialized: `[]` string, a `tf.train.Example`.
        layout: the layout that the record was written in; it cannot be told from the record.
        channels: of the image; 0 takes what the PNG has.
        depth: bits of a sample, 8 or 16.

    Returns:
        `(image, {"masks", "class_ids", "image_id"})`: `[W, H, C]` uint8 or uint16, `[N, W, H]` uint8, `[N]` int64, `[]`
        int64. An index outside `[N, W, H]` is an `InvalidArgumentError`.
    """
    features = tf.io.parse_single_example(serialized, _FEATURES)
    image = tf.io.decode_png(
        features["image/image_bytes"], channels=channels, dtype=tf.uint16 if depth == 16 else tf.uint8
    )
    if Layout(layout) is Layout.DOCUMENTED:
        image = tf.transpose(image, [1, 0, 2])
    shape = tf.stack([features["image/n_objects"], features["image/width"], features["image/height"]])
    indices = tf.reshape(features["image/masks_indices"], [-1, 3])
    positive = tf.SparseTensor(indices, tf.ones(tf.shape(indices)[:1], tf.uint8), shape)
    masks = tf.sparse.to_dense(positive, validate_indices=False)  # whether they are sorted: `validate` asks that
    masks = tf.ensure_shape(masks, [None, None, None])
    return image, {"masks": masks, "class_ids": features["image/class_ids"], "image_id": features["image/id"]}


def build_dataset(
    records: PathOrName | Sequence[PathOrName],
    *,
    split: str | None = None,
    layout: Layout | str | None = None,
    channels: int | None = None,
    shuffle: int | None = None,
    seed: int | None = None,
    repeat: int = 1,
    batch_size: int | None = None,
    deterministic: bool = True,
) -> tf.data.Dataset:
    """A data set of written records.

    It decodes as many records at once as there are processors. TensorFlow's autotuning is off in it, for the end of an
    iteration often waits for that, as long again as the iteration took; `with_options` turns it on again.

    Args:
        records: an output directory, a `.tfrecord` file, or several.
        split: of an output directory, only this split.
        layout: for files that no `dataset.json` lies beside; it is never guessed.
        channels: 1 or 3 to convert the images to that; None leaves them as they are stored.
        shuffle: size of the buffer that records are drawn from at random; None keeps their order. The buffer is filled
            from several files at once, and the files are shuffled too, all anew in every epoch.
        seed: of the shuffling.
        repeat: number of epochs, -1 for ever.
        batch_size: images and masks of a batch are padded to the largest of it with 0 at the far ends of their axes,
            and so are `class_ids`: 0 is background, and a padded object has no pixel.
        deterministic: the same seed, or none without shuffling, gives the same order every time. False gives that up:
            files are read several at once also without shuffling, and whatever is decoded first comes first.

    Raises:
        ConfigError: the layout is not known, the split does not exist, or the images do not make a batch.
        SourceError: the directory holds no data set, or there is no such file.
    """
    stored = _Stored.of(Records.find(records, split=split), layout)
    if batch_size is not None and channels is None and stored.channels == 0:
        raise ConfigError("the images have 1 or 3 channels, and a batch has one number of them: say channels=1 or 3")
    dataset = _serialized(stored, shuffle=shuffle, seed=seed, deterministic=deterministic)
    dataset = dataset.repeat(repeat).map(
        partial(decode_example, layout=stored.layout, channels=channels or stored.channels, depth=stored.depth),
        num_parallel_calls=processors(),
        deterministic=deterministic,
    )
    if batch_size is not None:
        dataset = dataset.padded_batch(batch_size)
    return dataset.prefetch(_READ_AHEAD).with_options(_without_autotuning())


def _serialized(stored: _Stored, *, shuffle: int | None, seed: int | None, deterministic: bool) -> tf.data.Dataset:
    """The records as they are stored: one file after the other, unless their order is drawn or given up."""
    files = tf.data.Dataset.from_tensor_slices(tf.constant([str(path) for path in stored.paths], tf.string))
    compression = "GZIP" if stored.compression is Compression.GZIP else ""
    is_remote = any(isinstance(path, RemotePath) for path in stored.paths)
    read = _streamed if is_remote else partial(tf.data.TFRecordDataset, compression_type=compression)
    if deterministic and shuffle is None:
        return files.flat_map(read)
    if shuffle is not None:
        files = files.shuffle(len(stored.paths) or 1, seed=seed)
    records = files.interleave(
        read, cycle_length=_FILES_AT_ONCE, num_parallel_calls=_FILES_AT_ONCE, deterministic=deterministic
    )
    return records if shuffle is None else records.shuffle(shuffle, seed=seed)


def _streamed(path: tf.Tensor) -> tf.data.Dataset:
    """The records of a file, in the place of TFRecordDataset, to which object stores mean nothing."""
    return tf.data.Dataset.from_generator(_records_of, output_signature=tf.TensorSpec([], tf.string), args=(path,))


def _records_of(path: bytes) -> Iterator[bytes]:
    return read_records(path_of(path.decode()))


def _without_autotuning() -> tf.data.Options:
    """The thread that tunes sleeps longer and longer, often through the end of the iteration, which waits for it."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def dataset_from_config(config: Config | PathOrName, *, split: str | None = None) -> tf.data.Dataset:
    """A data set straight from annotations: what `convert` would write and `build_dataset` would read, without files.

    Images and objects that a conversion would drop are left out. The elements come in the order of the records.

    Args:
        config: a configuration, or the path of its YAML file.
        split: only this split.

    Raises:
        ConfigError: the split does not exist, or the configuration is wrong.
        PluginError, SourceError: see `maskflow_convert.errors`. An issue that stops the run is raised by the iteration.
    """
    config = config if isinstance(config, Config) else load_config(path_of(config))
    data_set = prepare(config)
    splits = {piece.split for piece in data_set.shards.pieces}
    if split is not None and split not in splits:
        raise ConfigError(f"there is no split '{split}'; there are {', '.join(sorted(splits))}")

    def elements() -> Iterator[Element]:
        for shard in data_set.shards:
            if split in (None, shard.split):
                yield from _elements_of(data_set, shard)

    channels = config.image.channels if config.image.channels != "source" else None
    signature = (
        tf.TensorSpec([None, None, channels], tf.uint16 if config.image.depth == 16 else tf.uint8),
        {
            "masks": tf.TensorSpec([None, None, None], tf.uint8),
            "class_ids": tf.TensorSpec([None], tf.int64),
            "image_id": tf.TensorSpec([], tf.int64),
        },
    )
    return tf.data.Dataset.from_generator(elements, output_signature=signature)


def _elements_of(data_set: DataSet, shard: Shard) -> Iterator[Element]:
    config = data_set.config
    with reading_ahead(data_set.adapters, shard.items) as adapters:
        examiner = Examiner(config, data_set.classes, adapters)
        for item in shard.items:
            examined = examiner.examine(item, partial(_open, config.image))
            if examined is None:
                continue
            pixels = examined.picture
            masks = to_masks(examined.masks, width=pixels.shape[1], height=pixels.shape[0])
            if config.output.layout is Layout.DOCUMENTED:
                pixels = pixels.transpose(1, 0, 2)
            else:
                masks = masks.transpose(0, 2, 1)
            class_ids = np.array(examined.class_ids, dtype=np.int64)
            yield pixels, {"masks": masks, "class_ids": class_ids, "image_id": np.array(item.image_id, dtype=np.int64)}


@dataclass(frozen=True, slots=True)
class _Stored:
    """How the records of a data set are stored; `channels` 0 takes what each PNG has."""

    paths: tuple[Path, ...]
    layout: Layout
    compression: Compression
    channels: int
    depth: int

    @classmethod
    def of(cls, records: Records, layout: Layout | str | None) -> _Stored:
        """As the manifest says; where there is none, the caller says the layout, and the first record its depth."""
        manifest, known = records.manifest, records.known_layout(layout)
        if manifest is not None:
            channels = 0 if manifest.channels == "source" else manifest.channels
            return cls(records.paths, known, manifest.compression, channels, manifest.depth)
        compressions = {compression_of(path) for path in records.paths}
        if len(compressions) > 1:
            raise ConfigError("some of the files named are compressed and some are not; read them one by one")
        first = next(read_file(records.paths[0]), None)
        header = read_header(first.png) if first else None
        return cls(records.paths, known, compressions.pop(), channels=0, depth=header.depth if header else 8)


def _open(settings: ImageSettings, image: Image) -> tuple[NDArray[Any], Size, Sequence[Issue]]:
    pixels, issues = load_pixels(image.origin(), settings, image.size, image.frame)
    return pixels, (pixels.shape[1], pixels.shape[0]), issues
