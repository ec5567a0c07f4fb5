"""A user's own data set: each fault planted in one that training takes, with TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from maskflow_convert import Report, build_dataset, check_dataset, load_config
from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.errors import ConfigError
from maskflow_convert.pipeline import convert
from maskflow_convert.record import Layout

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"

Target = dict[str, Any]
Element = tuple[Any, Target]

SPEC = (
    tf.TensorSpec([None, None, None], tf.uint8),
    {
        "masks": tf.TensorSpec([None, None, None], tf.uint8),
        "class_ids": tf.TensorSpec([None], tf.int64),
        "image_id": tf.TensorSpec([], tf.int64),
    },
)
UNKNOWN = (tf.TensorSpec(None, tf.uint8), {key: tf.TensorSpec(None, spec.dtype) for key, spec in SPEC[1].items()})
"""The same types, and nothing known of the numbers of axes."""


def element(*, image_id: int = 1, image: Sequence[int] = (5, 4, 3), masks: Sequence[int] = (2, 5, 4)) -> Element:
    """One that training takes, unless it has other shapes; there are two objects."""
    target = {
        "masks": np.ones(masks, np.uint8),
        "class_ids": np.array([1, 2]),
        "image_id": np.array(image_id),
    }
    return np.full(image, 7, np.uint8), target


def dataset(*elements: Element, spec: Any = SPEC) -> tf.data.Dataset:
    def generate() -> Iterator[Element]:
        yield from elements

    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def numbered(count: int) -> tf.data.Dataset:
    return dataset(*(element(image_id=number) for number in range(count)))


def codes(report: Report) -> dict[str, int]:
    assert len(report.counts) == len(report.examples)
    return {code: count for (code, _), count in report.counts.items()}


def messages(report: Report) -> str:
    return "\n".join(str(message) for [message] in report.flatten(["message"]))


@pytest.mark.parametrize("layout", list(Layout))
def test_what_build_dataset_gives_is_clean(layout: Layout, tmp_path: Path) -> None:
    settings = (f"output.directory={tmp_path}", "run.executor=serial", f"output.layout={layout}")
    written = convert(load_config(CONFIG, settings)).total
    report = check_dataset(build_dataset(tmp_path), elements=100)
    assert report.counts == {}
    tally = report.splits["dataset"]
    assert tally.adds_up
    assert (tally.images_written, tally.objects_written) == (written.images_written, written.objects_written)
    names = {"id 1": "circle", "id 2": "square", "id 3": "triangle"}
    assert {names[name]: count for name, count in tally.objects_by_class.items()} == written.objects_by_class
    assert report.classes == {"id 1": 1, "id 2": 2, "id 3": 3}


TYPES = {
    "image": (["uint8", "uint16", "float16", "bfloat16", "float32", "float64"], ["int32", "bool", "complex64"]),
    "masks": (["bool", "uint8", "int32", "int64", "bfloat16", "float32"], ["complex64"]),
    "class_ids": (["uint8", "int32", "int64"], ["float32", "bool"]),
    "image_id": (["uint8", "int32", "int64"], ["float32", "bool"]),
}


def cast(key: str, name: str) -> tf.data.Dataset:
    def change(image: Any, target: Target) -> Element:
        if key == "image":
            return tf.cast(image, name), target
        return image, {**target, key: tf.cast(target[key], name)}

    return numbered(2).map(change)


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, (good, _) in TYPES.items() for name in good])
def test_types_that_are_taken(key: str, name: str) -> None:
    assert check_dataset(cast(key, name)).counts == {}


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, (_, bad) in TYPES.items() for name in bad])
def test_types_that_are_not(key: str, name: str) -> None:
    report = check_dataset(cast(key, name))
    assert codes(report) == {"dataset-type": 1}
    assert f"{key} is of {name}" in messages(report)


def with_target(**changes: Callable[[Target], Any]) -> tf.data.Dataset:
    return numbered(2).map(lambda image, target: (image, {**target, **{k: f(target) for k, f in changes.items()}}))


STRUCTURES: dict[str, tuple[Callable[[], tf.data.Dataset], str, str]] = {
    "image alone": (lambda: numbered(2).map(lambda image, _: image), "dataset-structure", "a Tensor"),
    "one dictionary": (lambda: numbered(2).map(lambda i, t: {"image": i, **t}), "dataset-structure", "'masks'"),
    "three parts": (lambda: numbered(2).map(lambda i, t: (i, t, t["image_id"])), "dataset-structure", "(a Tensor, {"),
    "flat": (lambda: numbered(2).map(lambda i, t: (i, t["masks"])), "dataset-structure", "(a Tensor, a Tensor)"),
    "key missing": (
        lambda: numbered(2).map(lambda i, t: (i, {"masks": t["masks"]})),
        "dataset-key-missing",
        "no class_ids, image_id among {'masks'}",
    ),
    "key too many": (lambda: with_target(boxes=lambda t: t["class_ids"]), "dataset-key-unknown", "'boxes'"),
    "ragged": (
        lambda: with_target(masks=lambda t: tf.RaggedTensor.from_tensor(t["masks"])),
        "dataset-not-dense",
        "masks is a RaggedTensor",
    ),
    "sparse": (
        lambda: with_target(masks=lambda t: tf.sparse.from_dense(t["masks"])),
        "dataset-not-dense",
        "masks is a SparseTensor",
    ),
    "nested": (lambda: with_target(masks=lambda t: {"dense": t["masks"]}), "dataset-not-dense", "masks is {'dense'}"),
    "string": (lambda: with_target(image_id=lambda t: tf.strings.as_string(t["image_id"])), "dataset-type", "string"),
    "batched": (lambda: numbered(4).padded_batch(2), "dataset-batched", "4 axes"),
    "image batched": (lambda: numbered(2).map(lambda i, t: (i[tf.newaxis], t)), "dataset-rank", "not 3: [W, H, C]"),
    "grey without axis": (lambda: numbered(2).map(lambda i, t: (i[..., 0], t)), "dataset-rank", "image has 2 axes"),
    "one mask": (lambda: with_target(masks=lambda t: t["masks"][0]), "dataset-rank", "masks has 2 axes"),
    "id of one": (lambda: with_target(image_id=lambda t: t["image_id"][tf.newaxis]), "dataset-rank", "not 0: []"),
    "one class": (lambda: with_target(class_ids=lambda t: t["class_ids"][0]), "dataset-rank", "not 1: [N]"),
    "empty": (lambda: numbered(0), "dataset-empty", "no element"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "code", "message"), STRUCTURES.values(), ids=STRUCTURES)
def test_structure(data: Callable[[], tf.data.Dataset], code: str, message: str) -> None:
    report = check_dataset(data())
    assert codes(report) == {code: 1}
    assert message in messages(report)


def test_a_key_too_many_hides_nothing() -> None:
    data = with_target(boxes=lambda t: t["class_ids"], class_ids=lambda t: t["class_ids"] - 1)
    assert codes(check_dataset(data)) == {"dataset-key-unknown": 1, "dataset-class-suspect": 2}


@pytest.mark.parametrize("keys", ["12", 12])
def test_keys_of_any_kind(keys: Any) -> None:
    """TensorFlow sorts keys, so that they are all of one kind; these are of no use."""
    data = tf.data.Dataset.from_tensors((np.zeros((2, 2, 3)), {keys: 1}))
    assert codes(check_dataset(data)) == {"dataset-key-missing": 1, "dataset-key-unknown": 1}


def replaced(key: str, value: NDArray[Any]) -> Element:
    image, target = element()
    return (value, target) if key == "image" else (image, {**target, key: value})


half, strange = np.ones((2, 5, 4), np.uint8), np.ones((2, 5, 4), np.uint8)
half[1], strange[0, :2] = 0, 255
strange[1, 3, 3] = 9

ELEMENTS: dict[str, tuple[Element, str, str]] = {
    "H and W exchanged": (element(masks=(2, 4, 5)), "dataset-axes-exchanged", "[5, 4, 3], masks are [2, 4, 5]"),
    "objects last": (element(masks=(5, 4, 2)), "dataset-axes-exchanged", "not the last"),
    "objects last, exchanged": (element(masks=(4, 5, 2)), "dataset-axes-exchanged", "not the last"),
    "another size": (element(masks=(2, 5, 5)), "dataset-sizes-differ", "image is [5, 4, 3], masks are [2, 5, 5]"),
    "more masks": (element(masks=(3, 5, 4)), "dataset-objects-differ", "3 masks and 2 class_ids"),
    "no masks": (element(masks=(0, 5, 4)), "dataset-objects-differ", "0 masks and 2 class_ids"),
    "no pixels": (element(image=(5, 4, 0)), "dataset-image-empty", "[5, 4, 0]"),
    "values": (replaced("masks", strange), "dataset-mask-values", "9 pixels of masks are neither 0 nor 1 but 9, 255"),
    "a mask empty": (replaced("masks", half), "dataset-mask-empty", "1 of 2 masks have no pixel: 1"),
    "background": (replaced("class_ids", np.array([0, -2])), "dataset-class-suspect", "class_ids hold -2, 0"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "code", "message"), ELEMENTS.values(), ids=ELEMENTS)
@pytest.mark.parametrize("spec", [SPEC, UNKNOWN], ids=["known", "unknown"])
def test_an_element_with_a_fault_is_named(wrong: Element, code: str, message: str, spec: Any) -> None:
    report = check_dataset(dataset(element(), element(), wrong, element(), spec=spec))
    assert codes(report) == {code: 1}
    assert messages(report).startswith("element 2: ")
    assert message in messages(report)
    assert report.splits["dataset"].images_written == 4


def test_numbers_of_axes_that_only_the_elements_tell() -> None:
    image, target = element()
    flat = replaced("masks", np.ones((5, 4), np.uint8))
    batched = image[np.newaxis], {key: value[np.newaxis] for key, value in target.items()}
    report = check_dataset(dataset(element(), flat, batched, spec=UNKNOWN))
    assert codes(report) == {"dataset-rank": 1, "dataset-batched": 1}
    assert messages(report).splitlines() == [
        "element 1: masks has 2 axes, not 3: [N, W, H]",
        "element 2: image has 4 axes, not 3, and so all of its parts one too many",
    ]


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_values_that_floating_numbers_alone_have(kind: str) -> None:
    def spoil(image: Any, target: Target) -> Element:
        image, masks = tf.cast(image, kind), tf.cast(target["masks"], kind)
        spoilt = tf.concat([image[:1] / 0, image[1:]], 0)
        return spoilt, {**target, "masks": masks * 0.5}

    report = check_dataset(numbered(1).map(spoil))
    assert codes(report) == {"dataset-image-not-finite": 1, "dataset-mask-values": 1}
    assert "12 of 60 values" in messages(report)
    assert "but 0.5" in messages(report)


def test_no_object_is_no_fault() -> None:
    image, target = element()
    nothing = {"masks": np.zeros((0, 5, 4), np.uint8), "class_ids": np.zeros(0, np.int64)}
    assert check_dataset(dataset((image, {**target, **nothing}))).counts == {}


def test_as_many_objects_as_columns_and_rows() -> None:
    """No axis is taken for another where all are of one length."""
    image, target = element(image=(5, 5, 3), masks=(5, 5, 5))
    assert check_dataset(dataset((image, {**target, "class_ids": np.arange(1, 6)}))).counts == {}


def test_one_axis_too_many_where_the_others_are_unknown_is_no_batch() -> None:
    spec = (tf.TensorSpec([None] * 4, tf.uint8), UNKNOWN[1])
    assert codes(check_dataset(dataset(element(image=(1, 5, 4, 3)), spec=spec))) == {"dataset-rank": 1}


def test_several_faults_of_one_element_are_all_found() -> None:
    wrong = element(masks=(3, 4, 5))
    wrong[1]["masks"][0] = 0
    wrong[1]["masks"][1] = 255
    wrong[1]["class_ids"][0] = 0
    assert codes(check_dataset(dataset(wrong))) == {
        "dataset-axes-exchanged": 1,
        "dataset-objects-differ": 1,
        "dataset-mask-values": 1,
        "dataset-mask-empty": 1,
        "dataset-class-suspect": 1,
    }


def test_an_endless_data_set() -> None:
    report = check_dataset(numbered(3).repeat(), elements=7)
    assert report.counts == {}
    assert report.splits["dataset"].images_written == 7


def test_no_more_elements_are_made_than_asked_for() -> None:
    data = dataset(element(), element(), element(masks=(9, 9, 9)))
    assert check_dataset(data, elements=2).counts == {}
    assert check_dataset(data, elements=3).counts != {}
    assert check_dataset(data, elements=0).counts == {}


def test_an_element_that_fails_is_an_issue() -> None:
    def generate() -> Iterator[Element]:
        yield element()
        raise KeyError("no such file: {{b}} .png")

    report = check_dataset(tf.data.Dataset.from_generator(generate, output_signature=SPEC))
    assert codes(report) == {"dataset-element-failed": 1}
    assert messages(report) == "element 1: UnknownError: KeyError: 'no such file: {{b}} .png'"


def test_the_elements_after_one_that_fails_are_looked_at() -> None:
    def decode(image: Any, target: Target) -> Element:
        tf.debugging.assert_none_equal(target["image_id"], tf.constant(1, tf.int64), message="the first is broken")
        return image, {**target, "class_ids": target["class_ids"] * 0}

    report = check_dataset(numbered(4).map(decode))
    assert codes(report) == {"dataset-element-failed": 1, "dataset-class-suspect": 3}
    assert "the first is broken" in messages(report)


def test_an_endless_data_set_that_always_fails() -> None:
    def fail(image: Any, target: Target) -> Element:
        return tf.io.decode_png("no PNG"), target

    assert codes(check_dataset(numbered(1).repeat().map(fail), elements=4)) == {"dataset-element-failed": 4}


@pytest.mark.parametrize("other", [[], [element()], None, "data.tfrecord"], ids=repr)
def test_something_else(other: Any) -> None:
    with pytest.raises(ConfigError, match=r"a tf\.data\.Dataset is wanted, and this is of the type \w+"):
        check_dataset(other)


def test_every_rule_is_planted() -> None:
    planted = {code for _, code, _ in (*STRUCTURES.values(), *ELEMENTS.values())}
    planted |= {"dataset-element-failed", "dataset-image-not-finite"}
    assert planted == {code for code in CATALOGUE if code.startswith("dataset-")}
