"""The conformance kit: what every adapter must do, as tests that its author inherits.

    from maskflow_convert.testing import AdapterConformance


    class TestBlobs(AdapterConformance):
        @pytest.fixture
        def adapter(self, tmp_path):
            draw_blobs(tmp_path)
            return Blobs(BlobOptions(folder=tmp_path))

        @pytest.fixture
        def expected(self):
            return {"a.png": [("blob", ".##. .##. ....")], "b.png": []}

        @pytest.fixture
        def broken(self, tmp_path):
            (tmp_path / "c.blobs").write_text("no blobs at all")
            return Blobs(BlobOptions(folder=tmp_path))

`adapter` is an adapter over a few small images without a fault. `expected` is what they hold, from your pencil: for
each key, in the order of the index, the label and the mask of each instance. A mask is drawn row by row, `#` where the
object is and `.` elsewhere, rows parted by white space; or it is an array `[H, W]`, not 0 where the object is. `broken`
is an adapter over input with a fault; if there are several kinds, give the fixture parameters. A test that cannot apply
is set to None in the class: `test_a_fault_is_told_with_its_place = None` for an adapter that reads no file. An adapter
that has a `discover` must find the source of `adapter` by it, in the folder of that.

The class must be one that another process can import: from an installed package, or from a file that stands alone by
`maskflow_convert.registry.load("/folder/file.py:Blobs")`. The round trip is skipped where TensorFlow is not installed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from maskflow_convert import registry
from maskflow_convert.adapter import Adapter
from maskflow_convert.catalogue import Severity
from maskflow_convert.config import Config, Images, Objects, Output, Run, Source
from maskflow_convert.discovery import Found, Tree
from maskflow_convert.errors import DataError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.image import ImageSettings, load_pixels
from maskflow_convert.pipeline import convert
from maskflow_convert.record import Layout
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.runs import to_masks
from maskflow_convert.sample import Sample

try:
    import pytest
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("the conformance kit needs pytest: pip install pytest", name=missing.name) from missing

Mask = NDArray[np.bool_]
"""`[H, W]`."""

Drawn = Mapping[str, Sequence[tuple[str, str | NDArray[Any]]]]
"""The instances of each image by its key: label and mask, the mask as a drawing or as an array."""

Instances = dict[str, list[tuple[str, Mask]]]

_WIDEST_DRAWING = 100


class AdapterConformance:
    """Inherit from it, name your class `Test...`, and define its three fixtures."""

    @pytest.fixture
    def adapter(self) -> AnyAdapter:
        """An adapter over a few small images without a fault."""
        raise NotImplementedError(self._undefined("adapter", "an adapter over a few small images without a fault"))

    @pytest.fixture
    def expected(self) -> Drawn:
        """What these images hold: `{key: [(label, mask), ...]}`, in the order of the index."""
        raise NotImplementedError(self._undefined("expected", "what they hold: {key: [(label, mask), ...]}"))

    @pytest.fixture
    def broken(self) -> AnyAdapter:
        """An adapter over input with a fault."""
        raise NotImplementedError(self._undefined("broken", "an adapter over input with a fault"))

    def _undefined(self, fixture: str, meaning: str) -> str:
        return f"{type(self).__name__} must define a fixture `{fixture}` that returns {meaning}"

    def test_the_order_is_stable(self, adapter: AnyAdapter) -> None:
        """The index does not depend on the order in which an operating system lists a folder."""
        forwards, backwards = (_keys_with_folders_listed(adapter, backwards=each) for each in (False, True))
        assert forwards == backwards, "index() follows the order in which folders happen to be listed: sort the files"

    def test_keys_are_unique(self, adapter: AnyAdapter) -> None:
        """A key names one image of the source."""
        keys = _keys(adapter)
        assert keys, "the fixture `adapter` has no image"
        assert all(keys), f"a key is empty: {keys}"
        twice = sorted({key for key in keys if keys.count(key) > 1})
        assert not twice, f"index() lists keys more than once: {', '.join(twice)}"

    def test_samples_are_those_expected(self, adapter: AnyAdapter, expected: Drawn) -> None:
        """The keys, labels and masks are those that the author drew."""
        index = adapter.index()
        found: Instances = {}
        for entry in index.entries:
            sample = adapter.read(entry.record)
            assert isinstance(sample, Sample), f"read() returned {type(sample).__name__} instead of a Sample"
            assert sample.key == entry.key, f"the sample of {entry.key!r} has the key {sample.key!r}"
            found[sample.key] = _instances(sample)
        labels = dict.fromkeys(label for instances in found.values() for label, _ in instances)
        unlisted = sorted(labels.keys() - set(index.labels))
        assert not unlisted, f"index() does not list the labels {unlisted}, only {list(index.labels)}"
        _compare(found, expected)

    def test_an_unknown_option_is_refused(self, adapter: AnyAdapter) -> None:
        """A misspelt key of the YAML is told, and not ignored."""
        given = adapter.options.model_dump()
        type(adapter).Options.model_validate(given)
        with pytest.raises(ValidationError, match="no_such_option\n  Extra inputs are not permitted"):
            type(adapter).Options.model_validate({**given, "no_such_option": 1})

    def test_it_pickles(self, adapter: AnyAdapter) -> None:
        """Adapter, options and records survive the way to another process, and read the same after it."""
        records = [entry.record for entry in adapter.index().entries]
        again, its_records = pickle.loads(pickle.dumps((adapter, records)))  # noqa: S301 - pickled on this line
        assert type(again) is type(adapter)
        assert again.options == adapter.options, "the options are other ones once pickled"
        for record, its_record in zip(records, its_records, strict=True):
            assert again.read(its_record) == adapter.read(record), f"{record!r} reads otherwise once pickled"

    def test_a_spawned_process_reads_the_same(self, adapter: AnyAdapter) -> None:
        """A worker has nothing but the options and its records, in any order, and makes the same samples of them."""
        entries = adapter.index().entries
        here = [adapter.read(entry.record) for entry in entries]
        reference = registry.reference_to(type(adapter))
        packed = pickle.dumps((adapter.options, [entry.record for entry in entries]))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            keys, there = pool.submit(_read_elsewhere, reference, packed).result()
        assert keys == _keys(adapter), "index() lists other keys, or in another order, in another process"
        for entry, sample, other in zip(entries, here, there, strict=True):
            assert other == sample, f"{entry.key!r} is another sample in another process"

    def test_a_fault_is_told_with_its_place(self, broken: AnyAdapter) -> None:
        """Broken input is a RecordError, a SourceError or an issue, with the file to correct."""
        faults = list(_faults(broken))
        assert faults, "the input of the fixture `broken` was read without an error or an issue"
        for told, path in faults:
            assert path is not None, f"the fault does not say in which file it is: {told}"

    def test_it_discovers_its_own(self, adapter: AnyAdapter) -> None:
        """What an adapter with a `discover` finds in the folder of its source reads as that source does."""
        if type(adapter).discover.__func__ is Adapter.discover.__func__:  # type: ignore[attr-defined]
            return
        folders = [path if path.is_dir() else path.parent for path in adapter.sources()]
        discoveries = type(adapter).discover(Tree.of(Path(os.path.commonpath(folders))))
        found = [_keys_of(type(adapter), each) for each in discoveries if isinstance(each, Found)]
        assert found, f"discover() finds no data set in {os.path.commonpath(folders)}"
        assert sorted(_keys(adapter)) in found, f"what discover() finds has the images {found}"

    @pytest.mark.parametrize("layout", list(Layout))
    def test_records_hold_the_same(self, adapter: AnyAdapter, expected: Drawn, layout: Layout, tmp_path: Path) -> None:
        """What TensorFlow reads from the converted records is what was expected, in both layouts."""
        pytest.importorskip(
            "tensorflow", reason="TensorFlow is not installed: pip install 'maskflow-convert[tensorflow]'"
        )
        folder = tmp_path / "conformance-records"
        report = convert(_everything(adapter, folder, layout))
        labels = {number: name for name, number in report.classes.items()}
        keys = _keys(adapter)
        found: Instances = {}
        for path in folder.glob("*.tfrecord"):
            for image_id, masks, class_ids in _read_by_tensorflow(path, layout):
                found[keys[image_id]] = [(labels[n], mask) for n, mask in zip(class_ids, masks, strict=True)]
        _compare({key: found[key] for key in keys if key in found}, expected)


def _keys(adapter: AnyAdapter) -> list[str]:
    return [entry.key for entry in adapter.index().entries]


def _keys_of(adapter: type[AnyAdapter], found: Found) -> list[str]:
    """The keys of all sources of a data set that was found, sorted; its options are held to be options."""
    options = ({key: value for key, value in source.items() if key != "split"} for source in found.sources)
    return sorted(key for each in options for key in _keys(adapter(adapter.Options.model_validate(each))))


class _Listing(Iterator[Any]):
    """What `os.scandir` returns: an iterator that can be closed."""

    def __init__(self, entries: Sequence[Any]) -> None:
        self._entries = iter(entries)

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Listing:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to close."""


def _keys_with_folders_listed(adapter: AnyAdapter, *, backwards: bool) -> list[str]:
    """The keys of the index, made while all folders are listed in the order of their names, or against it."""
    with pytest.MonkeyPatch.context() as patch:
        for home, name in ((os, "listdir"), (os, "scandir"), (Path, "glob"), (Path, "rglob")):
            original = getattr(home, name)

            def listed(*where: Any, _original: Any = original, **how: Any) -> _Listing | list[Any]:
                entries = sorted(_original(*where, **how), key=os.fspath, reverse=backwards)
                return entries if _original is os.listdir else _Listing(entries)

            patch.setattr(home, name, listed)
        return _keys(adapter)


def _instances(sample: Sample) -> list[tuple[str, Mask]]:
    """The label and the mask `[H, W]` of each instance, by the core's own rasterisers."""
    settings = ImageSettings(channels="source", depth=8)
    height, width = load_pixels(sample.image.origin(), settings, sample.image.size, sample.image.frame)[0].shape[:2]
    rasteriser = Rasteriser(width, height)
    masks = to_masks([rasteriser.runs(instance.shape) for instance in sample.instances], width=width, height=height)
    return [(each.label, mask.T != 0) for each, mask in zip(sample.instances, masks, strict=True)]


def _read_elsewhere(reference: str, packed: bytes) -> tuple[list[str], list[Sample]]:
    """In another process: the keys, and the samples of the packed records, read from the last to the first."""
    adapter_class = registry.load(reference)
    options, records = pickle.loads(packed)  # noqa: S301 - pickled by the process that started this one
    adapter = adapter_class(options)
    samples = [adapter.read(record) for record in reversed(records)]
    return _keys(adapter), samples[::-1]


def _faults(broken: AnyAdapter) -> Iterator[tuple[str, object]]:
    """Each fault that is raised or listed, and the file that it names."""
    try:
        index = broken.index()
    except (DataError, SourceError) as error:
        yield str(error), error.path
        return
    yield from ((str(issue), issue.path) for issue in index.issues)
    for entry in index.entries:
        try:
            sample = broken.read(entry.record)
            yield from ((str(issue), issue.path) for issue in (*sample.issues, *sample.doubts))
        except (DataError, SourceError) as error:
            yield str(error), error.path


def _everything(adapter: AnyAdapter, folder: Path, layout: Layout) -> Config:
    """A configuration that writes every instance, crowd regions and boxes too, into `folder`."""
    return Config(
        sources=(Source(adapter=registry.reference_to(type(adapter)), options=adapter.options),),
        image=Images(ids="sequential", channels="source"),
        objects=Objects(crowd="keep", empty="keep", boxes="rectangle"),
        issues={"image-depth-loss": Severity.WARNING},
        output=Output(directory=folder, layout=layout),
        run=Run(executor="serial"),
    )


def _read_by_tensorflow(path: Path, layout: Layout) -> Iterator[tuple[int, list[Mask], list[int]]]:
    """The image id, the masks `[H, W]` and the class ids of each record, parsed by TensorFlow's own operations."""
    import tensorflow as tf

    numbers = ("image/id", "image/width", "image/height", "image/n_objects")
    lists = ("image/masks_indices", "image/class_ids")
    schema = {name: tf.io.FixedLenFeature([], tf.int64) for name in numbers}
    schema |= {name: tf.io.VarLenFeature(tf.int64) for name in lists}
    schema["image/image_bytes"] = tf.io.FixedLenFeature([], tf.string)
    for serialized in tf.data.TFRecordDataset(str(path)):
        features = tf.io.parse_single_example(serialized, schema)
        shape = [features[f"image/{name}"] for name in ("n_objects", "width", "height")]
        indices = tf.reshape(features["image/masks_indices"].values, [-1, 3])
        ones = tf.ones(len(indices), tf.uint8)
        masks = tf.sparse.to_dense(tf.SparseTensor(indices, ones, tf.stack(shape))).numpy() != 0
        image = tf.io.decode_png(features["image/image_bytes"])
        upright = masks if layout is Layout.ROWS_FIRST else masks.transpose(0, 2, 1)
        assert upright.shape[1:] == image.shape[:2], f"masks of {upright.shape[1:]}, an image of {image.shape[:2]}"
        yield int(features["image/id"]), list(upright), features["image/class_ids"].values.numpy().tolist()


def _compare(found: Instances, expected: Drawn) -> None:
    """Hold what was found against what the author drew, image by image."""
    assert list(found) == list(expected), f"the keys are {list(found)}, and not {list(expected)} as expected"
    for key, drawn in expected.items():
        labels = [label for label, _ in found[key]]
        assert labels == [label for label, _ in drawn], f"{key}: the labels are {labels}"
        for number, ((label, mask), (_, drawing)) in enumerate(zip(found[key], drawn, strict=True)):
            _compare_masks(f"{key}: instance {number}, {label}", mask, _parsed(drawing))


def _compare_masks(what: str, found: Mask, expected: Mask) -> None:
    shapes = f"the image is {found.shape[1]} x {found.shape[0]}, the mask expected {expected.shape[::-1]}"
    assert found.shape == expected.shape, f"{what}: {shapes}"
    differing = np.argwhere(found != expected)
    if len(differing):
        row, column = differing[0]
        told = f"{what}: {len(differing)} pixels differ, the first in row {row}, column {column}"
        if max(found.shape) <= _WIDEST_DRAWING:
            told += f"\nfound:\n{_drawing(found)}\nexpected:\n{_drawing(expected)}"
        pytest.fail(told)


def _parsed(drawing: str | NDArray[Any]) -> Mask:
    """The mask `[H, W]` that the author drew."""
    if not isinstance(drawing, str):
        return np.asarray(drawing, dtype=bool)
    rows = drawing.split()
    if len({len(row) for row in rows}) != 1 or set("".join(rows)) - set("#."):
        pytest.fail(f"a mask is drawn in rows of one length, of '#' and '.', and not so:\n{drawing}")
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def _drawing(mask: Mask) -> str:
    return "\n".join("".join(row) for row in np.where(mask, "#", "."))
