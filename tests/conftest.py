"""The record as RECORD.md states it, read with TensorFlow's operations alone; how tests run, wherever that may be."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from shared_data import SHARED

settings.register_profile("untimed", deadline=None)  # a slow machine is no fault of the code
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Heed Ctrl-C, also where the tests were started in the background: there a shell has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without real data there is nothing to run of what is marked `real_data`; that is not skipped but left out."""
    if not SHARED.is_dir():
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("real_data")])
        items[:] = [item for item in items if not item.get_closest_marker("real_data")]


SINGLE_NUMBERS = ("image/id", "image/width", "image/height", "image/channel", "image/n_objects")
SINGLE_STRINGS = ("image/basename", "image/image_bytes")
LISTS = ("image/masks_indices", "image/class_ids")


@dataclass(frozen=True)
class Judged:
    """What TensorFlow makes of one record: `image` `[W, H, C]`, `masks` `[N, W, H]`, `class_ids` `[N]`."""

    image: NDArray[np.generic]
    masks: NDArray[np.generic]
    class_ids: NDArray[np.int64]
    image_id: int
    basename: str


def judge(serialized: bytes, layout: str, *, depth: int = 8) -> Judged:
    import tensorflow as tf

    features = tf.io.parse_single_example(
        serialized,
        {key: tf.io.FixedLenFeature([], tf.int64) for key in SINGLE_NUMBERS}
        | {key: tf.io.FixedLenFeature([], tf.string) for key in SINGLE_STRINGS}
        | {key: tf.io.VarLenFeature(tf.int64) for key in LISTS},
    )
    n, width, height, channel = (features[f"image/{key}"] for key in ("n_objects", "width", "height", "channel"))
    image = tf.io.decode_png(features["image/image_bytes"], dtype=tf.uint16 if depth == 16 else tf.uint8)
    if layout == "documented":
        image = tf.transpose(image, [1, 0, 2])
    assert image.shape == (width, height, channel)
    indices = tf.reshape(features["image/masks_indices"].values, [-1, 3])
    masks = tf.compat.v1.sparse_to_dense(indices, tf.stack([n, width, height]), 1, validate_indices=True)
    class_ids = features["image/class_ids"].values
    assert class_ids.shape == (n,)
    return Judged(
        image=image.numpy(),
        masks=masks.numpy(),
        class_ids=class_ids.numpy(),
        image_id=int(features["image/id"]),
        basename=features["image/basename"].numpy().decode("utf-8"),
    )


@pytest.fixture(scope="session", name="judge")
def judge_fixture() -> Callable[..., Judged]:
    return judge
