"""What training sees, judged by the annotations themselves (pycocotools, Pillow) and by plain TensorFlow."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_adapters.coco import CocoAdapter, CocoOptions
from maskflow_convert import load_config
from maskflow_convert.config import Config
from maskflow_convert.dataset import build_dataset, dataset_from_config, decode_example
from maskflow_convert.errors import ConfigError, IssueError, SourceError
from maskflow_convert.pipeline import convert
from maskflow_convert.record import Layout

# pycocotools' decode, not ours, does so under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"
COCO = CONFIG.parent / "shapes-coco"
CLASS_IDS = {1: 1, 3: 2, 90: 3}  # category id: position among the categories, from 1

both_layouts = pytest.mark.parametrize("layout", list(Layout))

Array = NDArray[Any]
Element = tuple[Array, dict[str, Array]]


def configure(folder: Path, *overrides: str, path: Path = CONFIG) -> Config:
    return load_config(path, [f"output.directory={folder}", "run.executor=serial", *overrides])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of the data set of configs/coco.yaml, converted with the overrides given."""

    @functools.cache
    def write(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("coco")
        convert(configure(folder, *overrides))
        return folder

    return write


def arrays(dataset: Iterable[Any]) -> list[Element]:
    return [(image.numpy(), {key: value.numpy() for key, value in target.items()}) for image, target in dataset]


def ids(elements: Iterable[Element]) -> list[int]:
    return [int(target["image_id"]) for _, target in elements]


def assert_same(found: Sequence[Element], expected: Sequence[Element]) -> None:
    assert ids(found) == ids(expected)
    for (image, target), (wanted_image, wanted_target) in zip(found, expected, strict=True):
        assert image.dtype == wanted_image.dtype
        assert np.array_equal(image, wanted_image)
        assert target.keys() == wanted_target.keys() == {"masks", "class_ids", "image_id"}
        for key, value in target.items():
            assert value.dtype == wanted_target[key].dtype
            assert np.array_equal(value, wanted_target[key])


def annotated(layout: Layout) -> dict[int, Element]:
    """Each image as pycocotools and Pillow read it from the COCO files, without crowds and objects of no pixel."""
    document = json.loads((COCO / "instances.json").read_text(encoding="utf-8"))
    axes = (0, 2, 1) if layout is Layout.DOCUMENTED else (0, 1, 2)
    found = {}
    for entry in document["images"]:
        height, width = entry["height"], entry["width"]
        masks, class_ids = [], []
        for annotation in document["annotations"]:
            if annotation["image_id"] != entry["id"] or annotation["iscrowd"]:
                continue
            mask = decoded(annotation["segmentation"], height, width)
            if mask.any():
                masks.append(mask)
                class_ids.append(CLASS_IDS[annotation["category_id"]])
        with Image.open(COCO / "images" / entry["file_name"]) as file:
            image = np.asarray(file.convert("RGB"))
        found[entry["id"]] = (
            image.swapaxes(0, 1) if layout is Layout.DOCUMENTED else image,
            {
                "masks": np.array(masks, dtype=np.uint8).reshape(-1, height, width).transpose(axes),
                "class_ids": np.array(class_ids, dtype=np.int64),
                "image_id": np.array(entry["id"], dtype=np.int64),
            },
        )
    return found


def decoded(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """As `COCO.annToMask`."""
    if isinstance(segmentation, list):
        return coco_mask.decode(coco_mask.frPyObjects(segmentation, height, width)).any(axis=2)
    if isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, height, width)
    return coco_mask.decode(segmentation).astype(bool)


def files(folder: Path, split: str = "*") -> list[str]:
    return sorted(str(path) for path in folder.glob(f"{split}-*.tfrecord"))


@both_layouts
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_elements_are_what_was_annotated(layout: Layout, compression: str, written: Callable[..., Path]) -> None:
    folder = written(f"output.layout={layout}", f"output.compression={compression}")
    found = arrays(build_dataset(folder))
    expected = annotated(layout)
    assert sorted(ids(found)) == sorted(expected)
    assert_same(found, [expected[image_id] for image_id in ids(found)])


@both_layouts
def test_elements_are_what_tensorflows_plain_operations_read(
    layout: Layout, written: Callable[..., Path], judge: Callable[..., Any]
) -> None:
    folder = written(f"output.layout={layout}")
    records = [judge(record, layout) for record in tf.data.TFRecordDataset(files(folder))]
    found = arrays(build_dataset(folder))
    assert len(found) == len(records) == 12
    for (image, target), record in zip(found, records, strict=True):
        assert target["image_id"] == record.image_id
        assert np.array_equal(image, record.image)
        assert np.array_equal(target["masks"], record.masks)
        assert np.array_equal(target["class_ids"], record.class_ids)


SIGNATURE = (
    tf.TensorSpec([None, None, 3], tf.uint8),
    {
        "masks": tf.TensorSpec([None, None, None], tf.uint8),
        "class_ids": tf.TensorSpec([None], tf.int64),
        "image_id": tf.TensorSpec([], tf.int64),
    },
)


def test_the_signature_is_the_documented_one(written: Callable[..., Path], tmp_path: Path) -> None:
    assert build_dataset(written()).element_spec == SIGNATURE
    assert dataset_from_config(configure(tmp_path)).element_spec == SIGNATURE


@both_layouts
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("image.channels=1",),
        ("image.channels=source",),
        ("image.depth=16",),
        ("image.ids=sequential",),
        ("objects.crowd=keep",),
        ("classes.names=[triangle, circle]", "classes.unknown=skip", "on_error=skip-object"),
        ("output.shuffle=null", "output.shard_size=3 images"),
    ],
    ids=" ".join,
)
def test_without_files_the_elements_are_the_same(
    layout: Layout, overrides: tuple[str, ...], written: Callable[..., Path], tmp_path: Path
) -> None:
    overrides = (f"output.layout={layout}", *overrides)
    config = configure(tmp_path / "never written", *overrides)
    assert_same(arrays(dataset_from_config(config)), arrays(build_dataset(written(*overrides))))
    assert not (tmp_path / "never written").exists()


def test_a_configuration_may_be_named_by_its_file(written: Callable[..., Path]) -> None:
    expected = arrays(build_dataset(written()))
    for path in (CONFIG, str(CONFIG)):
        assert_same(arrays(dataset_from_config(path)), expected)


def test_a_split_is_the_files_of_that_name(written: Callable[..., Path]) -> None:
    folder = written("output.shard_size=3 images")
    by_split = {split: arrays(build_dataset(folder, split=split)) for split in ("train", "val")}
    assert len(files(folder, "train")) > 1
    for split, found in by_split.items():
        expected = arrays(build_dataset(files(folder, split)))
        assert expected
        assert_same(found, expected)
    assert sorted(ids(by_split["train"]) + ids(by_split["val"])) == list(range(101, 113))


def test_a_split_of_a_configuration_is_that_of_its_data_set(written: Callable[..., Path]) -> None:
    for split in ("train", "val"):
        found = arrays(dataset_from_config(CONFIG, split=split))
        assert_same(found, arrays(build_dataset(written(), split=split)))


def test_an_unknown_split_is_refused_with_those_there_are(written: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="no split 'test'; there are train, val"):
        build_dataset(written(), split="test")
    with pytest.raises(ConfigError, match="no split 'test'; there are train, val"):
        dataset_from_config(CONFIG, split="test")


def test_a_split_cannot_be_chosen_of_a_file(written: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="not of a file"):
        build_dataset(files(written())[0], split="train")


def test_without_shuffling_the_order_is_that_of_the_records(written: Callable[..., Path]) -> None:
    assert ids(arrays(build_dataset(written()))) == ids(arrays(build_dataset(files(written()))))


def test_shuffling_keeps_every_element_and_its_seed_keeps_the_order(written: Callable[..., Path]) -> None:
    in_order = ids(arrays(build_dataset(written())))
    shuffled = [ids(arrays(build_dataset(written(), shuffle=12, seed=seed))) for seed in (1, 1, 2)]
    assert all(sorted(order) == sorted(in_order) for order in shuffled)
    assert shuffled[0] == shuffled[1]
    assert len({tuple(order) for order in (in_order, *shuffled)}) == 3


def test_shuffled_elements_stay_whole(written: Callable[..., Path]) -> None:
    expected = annotated(Layout.DOCUMENTED)
    found = arrays(build_dataset(written(), shuffle=5, seed=3))
    assert_same(found, [expected[image_id] for image_id in ids(found)])


SHARDED = "output.shard_size=3 images"


def stored_ids(path: str, compression: str = "none") -> list[int]:
    """The ids of a file's records, parsed by protobuf alone."""
    records = tf.data.TFRecordDataset(path, "" if compression == "none" else compression.upper())
    examples = [tf.train.Example.FromString(record.numpy()) for record in records]
    return [example.features.feature["image/id"].int64_list.value[0] for example in examples]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_without_shuffling_one_file_is_read_after_the_other(compression: str, written: Callable[..., Path]) -> None:
    folder = written(SHARDED, f"output.compression={compression}")
    by_file = [stored_ids(path, compression) for path in files(folder, "train")]
    assert len(by_file) > 2
    assert ids(arrays(build_dataset(folder, split="train", repeat=2))) == 2 * list(itertools.chain(*by_file))


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_shuffling_draws_from_several_files_at_once(compression: str, written: Callable[..., Path]) -> None:
    folder = written(SHARDED, f"output.compression={compression}")
    by_file = [stored_ids(path, compression) for path in files(folder, "train")]
    found = ids(arrays(build_dataset(folder, split="train", shuffle=1, seed=1)))
    assert sorted(found[: len(by_file)]) == sorted(file[0] for file in by_file)
    assert sorted(found) == sorted(itertools.chain(*by_file))


def test_the_files_are_shuffled_anew_in_each_epoch_and_their_seed_keeps_the_order(
    written: Callable[..., Path],
) -> None:
    folder = written(SHARDED)
    size = sum(len(stored_ids(path)) for path in files(folder, "train"))
    orders = [ids(arrays(build_dataset(folder, split="train", shuffle=1, seed=1, repeat=8))) for _ in range(2)]
    assert orders[0] == orders[1]
    assert len({orders[0][start] for start in range(0, 8 * size, size)}) > 1
    assert orders[0] != ids(arrays(build_dataset(folder, split="train", shuffle=1, seed=2, repeat=8)))


@pytest.mark.parametrize("shuffle", [None, 5])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_when_the_order_is_given_up_every_element_is_there_and_whole(
    shuffle: int | None, compression: str, written: Callable[..., Path]
) -> None:
    folder = written(SHARDED, f"output.compression={compression}")
    expected = annotated(Layout.DOCUMENTED)
    found = arrays(build_dataset(folder, shuffle=shuffle, deterministic=False))
    assert sorted(ids(found)) == sorted(expected)
    assert_same(found, [expected[image_id] for image_id in ids(found)])


def test_no_thread_that_tunes_holds_up_the_end_of_an_epoch(written: Callable[..., Path]) -> None:
    assert build_dataset(written()).options().autotune.enabled is False


def test_repeat_counts_epochs(written: Callable[..., Path]) -> None:
    once = ids(arrays(build_dataset(written(), split="train")))
    assert ids(arrays(build_dataset(written(), split="train", repeat=3))) == once * 3
    for_ever = build_dataset(written(), split="train", repeat=-1)
    assert ids(arrays(for_ever.take(4 * len(once)))) == once * 4


def test_each_epoch_is_shuffled_anew_and_whole(written: Callable[..., Path]) -> None:
    found = ids(arrays(build_dataset(written(), shuffle=12, seed=1, repeat=2)))
    assert sorted(found[:12]) == sorted(found[12:]) == list(range(101, 113))
    assert found[:12] != found[12:]


@both_layouts
@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_a_batch_is_padded_with_zeros_at_the_far_ends(
    layout: Layout, batch_size: int, written: Callable[..., Path]
) -> None:
    folder = written(f"output.layout={layout}")
    single = arrays(build_dataset(folder))
    batches = arrays(build_dataset(folder, batch_size=batch_size))
    assert [len(image) for image, _ in batches] == [min(batch_size, 12 - start) for start in range(0, 12, batch_size)]
    for number, (images, targets) in enumerate(batches):
        members = single[number * batch_size :][: len(images)]
        assert targets["image_id"].tolist() == ids(members)
        for stacked, alone in (
            (images, [image for image, _ in members]),
            *((targets[key], [target[key] for _, target in members]) for key in ("masks", "class_ids")),
        ):
            assert stacked.shape == (len(members), *np.max([member.shape for member in alone], axis=0))
            assert stacked.dtype == alone[0].dtype
            for padded, member in zip(stacked, alone, strict=True):
                expected = np.zeros_like(padded)
                expected[tuple(map(slice, member.shape))] = member
                assert np.array_equal(padded, expected)


def test_an_image_without_objects_alone_and_within_a_batch(written: Callable[..., Path]) -> None:
    alone = {int(target["image_id"]): target for _, target in arrays(build_dataset(written()))}[108]
    assert (alone["masks"].shape, alone["class_ids"].shape) == ((0, 160, 120), (0,))
    [(_, batch)] = arrays(build_dataset(written(), batch_size=12))
    place = batch["image_id"].tolist().index(108)
    assert not batch["masks"][place].any()
    assert batch["class_ids"][place].tolist() == [0] * batch["class_ids"].shape[1]


# Files that no manifest lies beside


@pytest.fixture
def loose(written: Callable[..., Path], tmp_path: Path) -> Callable[..., list[Path]]:
    """Copies of the record files of a data set, in a folder of their own."""

    def copy(*overrides: str) -> list[Path]:
        return [Path(shutil.copy(file, tmp_path)) for file in files(written(*overrides))]

    return copy


@both_layouts
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_loose_files_are_read_in_the_layout_that_is_said(
    layout: Layout, compression: str, loose: Callable[..., list[Path]]
) -> None:
    paths = loose(f"output.layout={layout}", f"output.compression={compression}")
    expected = annotated(layout)
    for said in (layout, str(layout)):
        found = arrays(build_dataset(paths, layout=said))
        assert len(found) == 12
        assert_same(found, [expected[image_id] for image_id in ids(found)])


def test_the_layout_of_loose_files_is_never_guessed(loose: Callable[..., list[Path]]) -> None:
    with pytest.raises(ConfigError, match="say layout documented or layout rows_first"):
        build_dataset(loose())


def test_a_file_that_the_manifest_does_not_list_is_loose(written: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written(), tmp_path / "data"))
    stray = Path(shutil.copy(files(folder)[0], folder / "stray.tfrecord"))
    with pytest.raises(ConfigError, match="layout"):
        build_dataset(stray)
    assert arrays(build_dataset(stray, layout="documented"))


@both_layouts
def test_a_layout_against_the_manifest_is_refused(layout: Layout, written: Callable[..., Path]) -> None:
    folder = written(f"output.layout={layout}")
    [other] = set(Layout) - {layout}
    for records in (folder, files(folder)[0], files(folder)):
        assert arrays(build_dataset(records, layout=layout))
        with pytest.raises(ConfigError, match=f"layout {layout}, not {other}"):
            build_dataset(records, layout=other)


def test_files_of_different_data_sets_are_not_mixed(written: Callable[..., Path]) -> None:
    one, other = written("output.layout=documented"), written("output.layout=rows_first")
    with pytest.raises(ConfigError, match="different data sets"):
        build_dataset([files(one)[0], files(other)[0]])


def test_records_that_are_not_there_are_a_source_error(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "missing", tmp_path / "missing.tfrecord"):
        with pytest.raises(SourceError):
            build_dataset(missing)
    with pytest.raises(ConfigError, match="no records were named"):
        build_dataset([])


# decode_example


@both_layouts
@pytest.mark.parametrize("spelled", [str, Layout])
def test_decode_example_maps_a_tfrecord_dataset(
    layout: Layout, spelled: Callable[[str], str], written: Callable[..., Path]
) -> None:
    folder = written(f"output.layout={layout}")
    records = tf.data.TFRecordDataset(files(folder))
    found = arrays(records.map(functools.partial(decode_example, layout=spelled(layout))))
    assert_same(found, arrays(build_dataset(folder)))


def test_decode_example_takes_the_documented_layout_and_the_channels_of_the_png(written: Callable[..., Path]) -> None:
    folder = written("image.channels=source")
    found = arrays(tf.data.TFRecordDataset(files(folder)).map(decode_example))
    channels = {int(target["image_id"]): image.shape[2] for image, target in found}
    assert channels == {image_id: 1 if image_id == 107 else 3 for image_id in range(101, 113)}


def serialize(indices: Sequence[tuple[int, int, int]]) -> bytes:
    """A record of a black image, 4 columns wide and 3 rows high, with two objects."""
    ints = {"id": [1], "width": [4], "height": [3], "channel": [1], "n_objects": [2], "class_ids": [1, 1]}
    ints["masks_indices"] = [number for index in indices for number in index]
    feature = {
        f"image/{key}": tf.train.Feature(int64_list=tf.train.Int64List(value=value)) for key, value in ints.items()
    }
    png = tf.io.encode_png(np.zeros((3, 4, 1), np.uint8)).numpy()
    feature["image/image_bytes"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    return serialized


def test_an_index_that_comes_twice_is_a_positive_pixel_like_any_other() -> None:
    _, target = decode_example(serialize([(0, 3, 2), (1, 0, 0), (1, 0, 0)]))
    assert target["masks"].dtype == tf.uint8
    assert target["masks"].numpy().sum(axis=(1, 2)).tolist() == [1, 1]
    assert target["masks"].numpy()[(0, 1), (3, 0), (2, 0)].tolist() == [1, 1]


@pytest.mark.parametrize("index", [(2, 0, 0), (0, 4, 0), (0, 0, 3), (-1, 0, 0), (0, -1, 0), (0, 0, -1)], ids=str)
def test_an_index_outside_the_masks_is_an_error(index: tuple[int, int, int]) -> None:
    records = tf.data.Dataset.from_tensors(serialize([(0, 1, 1), index]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(records.map(decode_example))


def test_there_is_no_third_layout(written: Callable[..., Path]) -> None:
    records = tf.data.TFRecordDataset(files(written()))
    with pytest.raises(ValueError, match="sideways"):
        records.map(functools.partial(decode_example, layout="sideways"))


# Data sets made here


def make(folder: Path, images: dict[str, Array], annotations: Sequence[dict[str, Any]]) -> Path:
    """A COCO data set of PNGs, numbered from 1, and the YAML that names it."""
    folder.mkdir(exist_ok=True)
    entries = []
    for number, (name, pixels) in enumerate(images.items(), start=1):
        Image.fromarray(pixels).save(folder / name)
        entries.append({"id": number, "file_name": name, "width": pixels.shape[1], "height": pixels.shape[0]})
    document = {"images": entries, "annotations": annotations, "categories": [{"id": 0, "name": "nucleus"}]}
    (folder / "instances.json").write_text(json.dumps(document), encoding="utf-8")
    yaml = folder / "data.yaml"
    yaml.write_text("sources: [{adapter: coco, annotations: instances.json}]\n", encoding="utf-8")
    return yaml


MICROGRAPH = np.array([[1000 * x + 10_007 * y + 1 for x in range(5)] for y in range(3)], dtype=np.uint16)
NUCLEUS = {
    "id": 1,
    "image_id": 1,
    "category_id": 0,
    "iscrowd": 0,
    "segmentation": {"size": [3, 5], "counts": [3, 1, 10, 1]},  # (x, y) = (1, 0) and (4, 2)
}


@both_layouts
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_kept_from_file_to_training(layout: Layout, channels: int, tmp_path: Path) -> None:
    yaml = make(tmp_path / "data", {"cells.png": MICROGRAPH}, [NUCLEUS])
    overrides = ("image.depth=16", f"image.channels={channels}", f"output.layout={layout}")
    config = configure(tmp_path / "records", *overrides, path=yaml)
    convert(config)
    for dataset in (build_dataset(tmp_path / "records"), dataset_from_config(config)):
        assert dataset.element_spec[0] == tf.TensorSpec([None, None, channels], tf.uint16)
        [(image, target)] = arrays(dataset)
        axes = "xy" if layout is Layout.DOCUMENTED else "yx"
        assert image.shape == (*((5, 3) if axes == "xy" else (3, 5)), channels)
        for x in range(5):
            for y in range(3):
                at = (x, y) if axes == "xy" else (y, x)
                assert image[at].tolist() == [1000 * x + 10_007 * y + 1] * channels
        positive = [[0, 1, 0], [0, 4, 2]] if axes == "xy" else [[0, 0, 1], [0, 2, 4]]
        assert np.argwhere(target["masks"]).tolist() == positive
        assert target["class_ids"].tolist() == [1]


def test_16_bits_are_not_cut_to_8_in_silence(tmp_path: Path) -> None:
    yaml = make(tmp_path / "data", {"cells.png": MICROGRAPH}, [NUCLEUS])
    config = configure(tmp_path / "records", path=yaml)
    with pytest.raises(IssueError, match="image-depth-loss"):
        convert(config)
    with pytest.raises(tf.errors.UnknownError, match="image-depth-loss"):
        list(dataset_from_config(config))


@both_layouts
def test_a_batch_of_images_without_objects(layout: Layout, tmp_path: Path) -> None:
    sizes = {"wide.png": (3, 5), "high.png": (4, 2)}
    images = {name: np.full((*size, 3), 9, dtype=np.uint8) for name, size in sizes.items()}
    yaml = make(tmp_path / "data", images, [])
    config = configure(tmp_path / "records", f"output.layout={layout}", path=yaml)
    convert(config)
    [(image, target)] = arrays(build_dataset(tmp_path / "records", batch_size=2))
    largest = (5, 4) if layout is Layout.DOCUMENTED else (4, 5)
    assert image.shape == (2, *largest, 3)
    assert target["masks"].shape == (2, 0, *largest)
    assert target["class_ids"].shape == (2, 0)
    assert sorted(image.sum(axis=(1, 2, 3)).tolist()) == [4 * 2 * 27, 3 * 5 * 27]


def test_a_data_set_without_images_has_no_element(tmp_path: Path) -> None:
    convert(configure(tmp_path / "records", path=make(tmp_path / "data", {}, [])))
    for arguments in ({}, {"shuffle": 5}, {"deterministic": False}, {"batch_size": 2}):
        assert arrays(build_dataset(tmp_path / "records", **arguments)) == []


# Sample.to_numpy, for inference


def test_a_sample_in_numpy_is_what_training_sees(written: Callable[..., Path]) -> None:
    adapter = CocoAdapter(CocoOptions(annotations=COCO / "instances.json", images=COCO / "images"))
    classes = {"circle": 1, "square": 2, "triangle": 3}
    entries = adapter.index().entries
    found = {
        entry.id: adapter.read(entry.record).to_numpy(classes, image_id=entry.id)
        for entry in entries
        if entry.id != 111
    }
    trained = {int(target["image_id"]): (image, target) for image, target in arrays(build_dataset(written()))}
    del trained[111]  # has a crowd, which training leaves out
    assert len(found) == 11
    assert_same([found[image_id] for image_id in trained], list(trained.values()))
