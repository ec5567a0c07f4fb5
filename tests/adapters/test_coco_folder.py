"""A folder of COCO files, one per image, against pycocotools and against the same data in one file."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from maskflow_adapters import coco_folder, json_file, listing
from maskflow_adapters.coco import CocoAdapter, CocoOptions
from maskflow_adapters.coco_image_file import CocoImageFile
from maskflow_convert import convert, load_config, validate
from maskflow_convert.errors import OutputError, RecordError, SourceError
from maskflow_convert.geometry import Rasteriser
from maskflow_convert.output import Existing
from maskflow_convert.report import Report

WIDTH, HEIGHT = 40, 30
TRIANGLE = [[1, 1, 7, 1, 7, 5]]


def a_mask(number: int) -> np.ndarray:
    """A square, one pixel larger for each number; the fourth has a hole."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[number : 2 * number + 3, 2 * number : 3 * number + 3] = 1
    mask[number + 1, 2 * number + 1] = number != 4
    return mask


def as_sa1b(mask: np.ndarray, number: int) -> dict[str, Any]:
    """An annotation as SA-1B has them: the box reaches to the last pixel, and not beyond; it has no category."""
    rle = coco_mask.encode(np.asfortranarray(mask))
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return {
        "bbox": [x, y, width - 1, height - 1],
        "area": int(coco_mask.area(rle)),
        "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
        "predicted_iou": 0.9382,
        "point_coords": [[x + 1.5, y + 1.0625]],
        "crop_box": [0.0, 0.0, WIDTH, HEIGHT],
        "id": number,
        "stability_score": 0.9957,
    }


def sa1b(number: int, annotations: list[dict[str, Any]], **image: Any) -> dict[str, Any]:
    entry = {"image_id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"sa_{number}.jpg", **image}
    return {"image": entry, "annotations": annotations}


def plain(number: int, name: str, annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A file as COCO has them, with a list of one image."""
    image = {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
    return {"images": [image], "annotations": annotations, "categories": [{"id": 1, "name": "cell"}], **more}


def an_annotation(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": number, "category_id": 1, "segmentation": TRIANGLE, **fields}


def draw_images(*paths: Path) -> None:
    """An image at each path, which its name decides."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        quality = sum(path.name.encode()) % 100 + 20
        Image.effect_mandelbrot((WIDTH, HEIGHT), (-2, -1.5, 1, 1.5), quality).convert("RGB").save(path)


def put(root: Path, files: Mapping[str, Any]) -> Path:
    """Files of this content, bytes as they are, all else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


def adapter_of(root: Path, files: Mapping[str, Any], **options: Any) -> CocoAdapter:
    return CocoAdapter(CocoOptions(annotations=put(root, files), **options))


def keys(adapter: CocoAdapter) -> list[str]:
    return [entry.key for entry in adapter.index().entries]


def config(folder: Path, text: str, *overrides: str) -> Any:
    (folder / "c.yaml").write_text(text)
    return load_config(folder / "c.yaml", ["run.executor=serial", *overrides])


def counted(report: Report) -> dict[str, int]:
    """How often each code was found."""
    return {code: count for (code, _), count in report.counts.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders as SA-1B's archives make them, five images, each with as many masks as its number says."""
    root = tmp_path / "sa1b"
    for number in range(5):
        home = root / f"sa_00000{number // 3}"
        draw_images(home / f"sa_{number}.jpg")
        content = sa1b(number, [as_sa1b(a_mask(n), 100 * number + n) for n in range(1, number + 1)])
        put(home, {f"sa_{number}.json": content})
    return root


# SA-1B


def test_the_masks_are_those_of_pycocotools(folder):
    adapter = CocoAdapter(CocoOptions(annotations=folder, label="object"))
    entries = adapter.index().entries
    assert [entry.key for entry in entries] == [f"sa_00000{n // 3}/sa_{n}.json" for n in range(5)]
    for number, entry in enumerate(entries):
        sample = adapter.read(entry.record)
        assert sample.image.path == folder / f"sa_00000{number // 3}/sa_{number}.jpg"
        assert sample.image.size == (WIDTH, HEIGHT)
        assert [(each.label, each.id) for each in sample.instances] == [
            ("object", str(100 * number + n)) for n in range(1, number + 1)
        ]
        for n, instance in enumerate(sample.instances, start=1):
            found = Rasteriser(WIDTH, HEIGHT).runs(instance.shape)
            counts = {"size": [HEIGHT, WIDTH], "counts": list(found.to_counts())}
            assert coco_mask.frPyObjects(counts, HEIGHT, WIDTH) == coco_mask.encode(np.asfortranarray(a_mask(n)))
            assert instance.stated_area == a_mask(n).sum()


def test_nothing_is_wrong_with_it(folder, tmp_path):
    """SA-1B's boxes end at the last pixel of the mask, COCO's behind it."""
    text = f"sources: [{{adapter: coco, annotations: '{folder}', label: object}}]"
    assert counted(validate(config(tmp_path, text))) == {"image-without-objects": 1}


def test_records_are_those_of_one_file(folder, tmp_path):
    """Byte for byte: COCO's own file, with the images in the order of their files, under the numbers of these."""
    images, annotations = [], []
    for number, path in enumerate(sorted(folder.rglob("*.json"))):
        content = json.loads(path.read_bytes())
        name = path.with_suffix(".jpg").relative_to(folder).as_posix()
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        annotations += [{**each, "image_id": number, "category_id": 7} for each in content["annotations"]]
    one = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "object"}]}
    put(tmp_path, {"one.json": one})
    written = []
    for name, source in (("one", "one.json, images: sa1b"), ("many", "sa1b, label: object")):
        text = f"sources: [{{adapter: coco, annotations: {source}}}]\noutput: {{directory: {name}, shuffle: null}}"
        assert convert(config(tmp_path, text)).total.objects_written == 10
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).glob("*.tfrecord")})
    assert written[0] == written[1]
    assert len(written[0]) == 1


def test_ids_are_the_numbers_of_images_where_no_file_is_read_for_them(folder):
    entries = CocoAdapter(CocoOptions(annotations=folder, label="object")).index().entries
    assert [entry.id for entry in entries] == [None] * 5
    assert [entry.file_name for entry in entries] == [None] * 5


def test_a_label_is_asked_for(folder):
    with pytest.raises(SourceError, match="name no categories; the option `label` makes all objects one class"):
        CocoAdapter(CocoOptions(annotations=folder)).index()


@pytest.mark.parametrize("label", ["object", None])
def test_a_label_is_asked_for_before_all_files_are_read(tmp_path, monkeypatch, label):
    """With a label no more than the sample is read at all."""
    files = {f"{n:04}.json": sa1b(n, [an_annotation()]) for n in range(400)}
    adapter = adapter_of(tmp_path, files, label=label)
    read: list[Path] = []

    def reading(path: Path) -> CocoImageFile:
        read.append(path)
        return original(path)

    original = CocoImageFile.read
    monkeypatch.setattr(CocoImageFile, "read", reading)
    if label is None:
        with pytest.raises(SourceError):
            adapter.index()
    else:
        assert len(adapter.index().entries) == 400
        assert {read[0].name, read[-1].name} == {"0000.json", "0399.json"}
    assert len(read) == len(set(read)) == 64


def test_sizes_are_those_of_the_files_in_the_mean(tmp_path):
    """Two images of 40 x 30 and one of 80 x 30 pixels; masks of 10, 20, 60 pixels, and of more than there are."""
    areas = [[10], [20, 10**9], [60, -5, "many"]]
    widths = [40, 40, 80]
    files = {
        f"{n}.json": sa1b(n, [an_annotation(area=area) for area in areas[n]], width=widths[n], height=30)
        for n in range(3)
    }
    entries = adapter_of(tmp_path, files, label="object").index().entries
    assert {entry.pixels for entry in entries} == {(1200 + 1200 + 2400) // 3}
    assert {entry.positives for entry in entries} == {(10 + 20 + 1200 + 60) // 3}


def test_an_image_takes_its_path_and_eight_bytes(tmp_path, monkeypatch):
    """Of 100,000 that are listed, and need not be there."""
    names = [f"sa_{n}.json" for n in range(100_000)]
    monkeypatch.setattr(listing, "_local_names", lambda folder: iter(names))
    monkeypatch.setattr(CocoImageFile, "read", lambda path: (_ for _ in ()).throw(RecordError("is not there", path)))
    coco_folder.index_folder(tmp_path, "object")
    tracemalloc.start()
    try:
        index = coco_folder.index_folder(tmp_path, "object")
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert [entry.key for entry in index.entries][:2] == ["sa_0.json", "sa_1.json"]
    lengths = sum(map(len, names))
    assert kept < 1.13 * lengths + 8.1 * len(names) + 50_000


# files as COCO has them, one per image


def test_categories_are_those_of_the_files(tmp_path):
    files = {
        "b.json": plain(5, "b.png", [an_annotation(1, category_id=2)], categories=[{"id": 2, "name": "nucleus"}]),
        "a.json": plain(9, "a.png", [an_annotation(1, image_id=9), an_annotation(2, iscrowd=1)]),
    }
    adapter = adapter_of(tmp_path, files)
    index = adapter.index()
    assert list(index.labels) == ["cell", "nucleus"]
    assert [(each.key, each.id, each.file_name) for each in index.entries] == [
        ("a.json", 9, "a.png"),
        ("b.json", 5, "b.png"),
    ]
    a, b = (adapter.read(entry.record) for entry in index.entries)
    assert [(each.label, each.crowd) for each in a.instances] == [("cell", False), ("cell", True)]
    assert [each.label for each in b.instances] == ["nucleus"]
    assert a.image.path == tmp_path / "a.png"


def test_a_label_goes_before_categories(tmp_path):
    files = {"a.json": plain(1, "a.png", [an_annotation(), an_annotation(2, category_id=8), as_sa1b(a_mask(1), 3)])}
    adapter = adapter_of(tmp_path, files, label="thing")
    assert list(adapter.index().labels) == ["thing"]
    assert [each.label for each in adapter.read("a.json").instances] == ["thing"] * 3


def test_a_label_for_all_objects_of_one_file(tmp_path):
    content = plain(1, "a.png", [an_annotation(image_id=1), {**as_sa1b(a_mask(1), 3), "image_id": 1}])
    put(tmp_path, {"one.json": content})
    adapter = CocoAdapter(CocoOptions(annotations=tmp_path / "one.json", label="thing"))
    index = adapter.index()
    assert list(index.labels) == ["thing"]
    sample = adapter.read(index.entries[0].record)
    assert [each.label for each in sample.instances] == ["thing"] * 2
    [issue] = CocoAdapter(CocoOptions(annotations=tmp_path / "one.json")).read(index.entries[0].record).issues
    assert (issue.code, issue.object) == ("annotation-broken", "3")
    assert "`label`" in issue.message


def test_ids_are_used_if_all_files_have_integers(tmp_path):
    files = {"a.json": plain(1, "a.png", []), "b.json": plain("text", "b.png", [])}
    assert [entry.id for entry in adapter_of(tmp_path, files).index().entries] == [None, None]


def test_ids_that_repeat_are_told_of(tmp_path):
    draw_images(*(tmp_path / f"data/{n}.png" for n in range(2)))
    put(tmp_path / "data", {f"{n}.json": plain(1, f"{n}.png", [an_annotation()]) for n in range(2)})
    text = "sources: [{adapter: coco, annotations: data}]\noutput: {directory: out}"
    with pytest.raises(Exception, match=r"both have the image id 1; set `image\.ids: sequential`"):
        convert(config(tmp_path, text))
    assert convert(config(tmp_path, text, "image.ids=sequential")).total.images_written == 2


def test_two_files_of_one_image(tmp_path):
    """Both are converted; a validation finds that, by the names in the files or by the pixels."""
    draw_images(tmp_path / "data/x.png")
    put(tmp_path / "data", {f"{n}.json": plain(n, "x.png", [an_annotation()]) for n in "ab"})
    for options, code in (("", "basename-duplicate"), (", label: cell", "image-content-duplicate")):
        text = f"sources: [{{adapter: coco, annotations: data{options}}}]\noutput: {{directory: out}}"
        assert counted(validate(config(tmp_path, text)))[code] == 1
        assert convert(config(tmp_path, text), existing=Existing.OVERWRITE).total.images_written == 2


def test_what_an_annotation_says_of_its_image(tmp_path):
    annotations = [an_annotation(1, image_id=5), an_annotation(2, image_id=6), an_annotation(2), an_annotation(1)]
    sample = adapter_of(tmp_path, {"a.json": plain(5, "a.png", annotations)}).read("a.json")
    assert [each.id for each in sample.instances] == ["1", "2", "1"]
    assert [(each.code, each.object, each.loss) for each in sample.issues] == [("annotation-orphaned", "2", "object")]
    assert [(each.code, each.object) for each in sample.doubts] == [("annotation-id-duplicate", n) for n in "21"]
    del annotations[1]["id"]
    no_id = {"images": [{"file_name": "a.png"}], "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    sample = adapter_of(tmp_path, {"b.json": no_id}).read("b.json")
    assert len(sample.instances) == 4
    assert sample.issues == ()


def test_places_are_lines(tmp_path):
    lines = [
        '{"image": {"file_name": "a.png"},',
        '"annotations": [',
        '{"id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]},',
        '{"id": 2, "segmentation": 5},',
        *[""] * 20_000,
        '{"id": 3, "segmentation": [[0, 0, NaN, 0, 4, 4]]}',
        "]}",
    ]
    adapter = adapter_of(tmp_path, {"a.json": b"\xef\xbb\xbf" + "\n".join(lines).encode()}, label="object")
    sample = adapter.read("a.json")
    assert [adapter.where("a.json", each) for each in sample.instances] == [
        (tmp_path / "a.json", 3),
        (tmp_path / "a.json", 20_005),
    ]
    assert np.isnan(sample.instances[1].shape.parts[0][2])
    [issue] = sample.issues
    assert (issue.code, issue.object, issue.line) == ("annotation-broken", "2", 4)


# which files, and which images


def test_files_are_in_the_order_of_their_paths(tmp_path):
    names = ["a.json", "a/b.json", "a-b.json", "a/c/d.json", "a.b/e.JSON", "a0.json", "ä.json", "b/a.json", "B.json"]
    others = ["a.jpg", "a/json", "notjson", "x.json.txt"]
    adapter = adapter_of(tmp_path, {name: {} for name in [*names, *others]}, label="object")
    (tmp_path / "empty").mkdir()
    outside = put(tmp_path.parent / f"{tmp_path.name}-outside", {"z.json": {}})
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "linked.json").symlink_to(outside / "z.json")
    put(tmp_path, {"good.json": sa1b(1, [])})
    assert keys(adapter) == sorted([*names, "linked.json", "good.json"])


def test_records_are_no_annotations(folder):
    """What is written into the folder of the annotations is not read as these by the next run."""
    text = "sources: [{adapter: coco, annotations: ., label: object}]\noutput: {directory: OUT, shard_size: 1 images}"
    for out in ("records", "."):
        loaded = config(folder, text.replace("OUT", out))
        before = keys(CocoAdapter(loaded.sources[0].options))
        assert len(before) == 5
        convert(loaded)
        assert len(list((folder / out).glob("*-of-00005.json"))) == 5
        assert keys(CocoAdapter(loaded.sources[0].options)) == before
        (folder / out / "dataset.json").rename(folder / out / "unfinished.json")  # as a run that was stopped
        assert keys(CocoAdapter(loaded.sources[0].options)) == before
    alike = ["dataset.json", "part-00000-of-00002.json"]
    adapter = adapter_of(folder / "others", {name: sa1b(1, []) for name in alike}, label="object")
    assert keys(adapter) == alike


def test_names_that_are_no_text(tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.json"
    Path(os.fsdecode(raw)).write_text(json.dumps(sa1b(1, [], file_name="a.png")))
    adapter = CocoAdapter(CocoOptions(annotations=tmp_path, label="object"))
    [key] = keys(adapter)
    assert os.fsencode(key) == b"\xff\xfe.json"
    assert adapter.read(key).image.path == tmp_path / "a.png"


def test_folders_go_deep(tmp_path):
    """Deeper than functions may call each other."""
    depth = 1100
    home = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=home)
        inner = os.open("d", os.O_RDONLY, dir_fd=home)
        os.close(home)
        home = inner
    os.close(os.open("a.json", os.O_CREAT | os.O_WRONLY, dir_fd=home))
    os.close(home)
    [path] = listing.files_below(tmp_path, ".json")
    assert path == "d/" * depth + "a.json"
    (tmp_path / "kept").touch()
    (tmp_path / path).unlink()
    os.removedirs(tmp_path / path.removesuffix("/a.json"))


@pytest.mark.parametrize(
    ("images", "present", "record", "file_name", "expected"),
    [
        (None, [], "x/a.json", "a.png", "annotations/x/a.png"),
        (None, [], "x/a.json", "..\\b\\.\\a.png", "annotations/x/../b/a.png"),
        ("images", [], "a.json", "a.png", "images/a.png"),
        ("images", [], "x/a.json", "x/a.png", "images/x/a.png"),
        ("images", ["a.png"], "x/a.json", "a.png", "images/a.png"),
        ("images", ["x/a.png", "a.png"], "x/a.json", "a.png", "images/x/a.png"),
        ("images", ["a.png", "x/b.png"], "x/a.json", "../a.png", "images/../a.png"),
    ],
)
def test_where_the_image_is(tmp_path, images, present, record, file_name, expected):
    draw_images(*(tmp_path / "images" / name for name in present))
    options = {} if images is None else {"images": tmp_path / images}
    files = {record: sa1b(1, [], file_name=file_name)}
    sample = adapter_of(tmp_path / "annotations", files, label="object", **options).read(record)
    assert sample.image.path == tmp_path / expected
    assert sample.image.root == tmp_path / (images or "annotations")


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "a\0b.png", "a/" * 2000 + "b.png", "", ".", "x.json/b.png"])
@pytest.mark.parametrize("images", ["", ", images: images"])
def test_names_that_no_image_can_have(tmp_path, name, images):
    draw_images(tmp_path / "images/x/a.png")
    put(tmp_path / "data", {"x/x.json": sa1b(1, [an_annotation()], file_name=name)})
    text = f"sources: [{{adapter: coco, annotations: data, label: x{images}}}]\noutput: {{directory: out}}"
    report = convert(config(tmp_path, text, "on_error=skip-image"))
    assert report.total.images_dropped.keys() <= {"image-missing", "image-unreadable"}
    assert report.total.images_dropped.total() == 1


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "TMP/secret.png", "..\\..\\secret.png"])
@pytest.mark.parametrize("images", ["", ", images: images"])
def test_no_image_outside_the_folder(tmp_path, name, images):
    draw_images(tmp_path / "secret.png", tmp_path / "data/secret.png", tmp_path / "images/a/b.png")
    file_name = name.replace("TMP", str(tmp_path))
    put(tmp_path / "data", {"a.json": sa1b(1, [an_annotation()], file_name=file_name)})
    text = f"sources: [{{adapter: coco, annotations: data, label: x{images}}}]\noutput: {{directory: out}}"
    report = convert(config(tmp_path, text, "on_error=skip-image"))
    assert report.total.images_dropped.keys() <= {"image-outside-folder", "image-missing"}
    assert report.total.images_written == 0


def test_what_a_run_is_made_from(tmp_path):
    """Images may lie in a folder of their own; where there is one file, all is as ever."""
    put(tmp_path, {"all/a.json": {}, "one.json": {}})
    (tmp_path / "images").mkdir()
    for home, images, expected in (
        ("all", None, {"all"}),
        ("all", "images", {"all", "images"}),
        ("one.json", "images", {"one.json", "images"}),
        ("one.json", None, {"one.json", "."}),
    ):
        chosen = {} if images is None else {"images": tmp_path / images}
        adapter = CocoAdapter(CocoOptions(annotations=tmp_path / home, **chosen))
        assert set(adapter.sources()) == {tmp_path / name for name in expected}


# what is broken


def of_one(**fields: Any) -> dict[str, Any]:
    return {**plain(1, "a.png", []), **fields}


FAULTS = {
    "nothing": (b"", "record-broken", "is not JSON", 1),
    "cut off": (json.dumps(sa1b(1, [an_annotation()])).encode()[:-20], "record-broken", "is not JSON", 1),
    "cut off in its third line": (b'{"image":\n{"file_name": "a.png"},\n"anno', "record-broken", "is not JSON", 3),
    "no text": (b"\x00\x01\xff" * 100, "record-broken", "is not JSON", 1),
    "nested deep": (b'{"annotations": [' + b"[" * 100_000, "record-broken", "is not JSON", None),
    "a list": ([], "file-foreign", "is not a COCO file", 1),
    "a number": (5, "file-foreign", "is not a COCO file", 1),
    "of something else": ({"version": "5.7.0", "shapes": []}, "file-foreign", "neither `image` nor `images`", 1),
    "no image": ({"annotations": [an_annotation()]}, "record-broken", "neither `image` nor `images`", 1),
    "an empty list of images": (of_one(images=[]), "file-foreign", "neither `image` nor `images`", 1),
    "two images": (of_one(images=[{"file_name": n} for n in "ab"]), "record-broken", "lists 2 images; a file in", 1),
    "images that are no list": (of_one(images={}), "record-broken", "Expected `array`, got `object`", 1),
    "annotations that are no list": (of_one(annotations={"a": 1}), "record-broken", "got `object`", 1),
    "annotations of null": (of_one(annotations=None), "record-broken", "got `null`", 1),
    "an image of null": ({"image": None, "annotations": []}, "image-entry-broken", "got `null`", 1),
    "an image that is a text": ({"image": "a.png"}, "image-entry-broken", "got `str`", 1),
    "no file name": ({"image": {"width": 3}}, "image-entry-broken", "missing required field `file_name`", 1),
    "a file name that is none": ({"image": {"file_name": 3}}, "image-entry-broken", "Expected `str`", 1),
    "an endless file name": ({"image": {"file_name": "a" * 5000}}, "image-entry-broken", "length <= 4096", 1),
    "a width of text": ({"image": {"file_name": "a", "width": "3"}}, "image-entry-broken", "Expected `int", 1),
    "a width of 0": ({"image": {"file_name": "a", "width": 0}}, "image-entry-broken", "image a has the width 0", 1),
    "a height of 2**31": ({"image": {"file_name": "a", "height": 2**31}}, "image-entry-broken", "has the height", 1),
    "an id of 64 bits and one": (sa1b(2**63, []), "image-entry-broken", "does not fit into the 64 bits", 1),
    "categories that are no list": (of_one(categories={"a": 1}), "category-broken", "Expected `array`", 1),
    "a category without a name": (of_one(categories=[{"id": 1}]), "category-broken", "missing required field", 1),
}


@pytest.mark.parametrize(("content", "code", "message", "line"), FAULTS.values(), ids=list(FAULTS))
def test_faults_cost_the_image_alone(tmp_path, content, code, message, line):
    """The same is told by the index, where that reads all files, and by the reading of the one."""
    files = {"a.json": content, "b.json": plain(2, "b.png", [an_annotation()])}
    adapter = adapter_of(tmp_path, files)
    index = adapter.index()
    assert [entry.key for entry in index.entries] == ["b.json"]
    [issue] = index.issues
    assert (issue.code, issue.record, issue.line) == (code, "a.json", line)
    assert issue.path == str(tmp_path / "a.json")
    assert issue.loss == (None if code == "file-foreign" else "image")
    assert message in issue.message
    with pytest.raises(RecordError) as caught:
        adapter.read("a.json")
    assert (caught.value.code, caught.value.path, caught.value.line) == (code, tmp_path / "a.json", line)


def test_lines_of_faults(tmp_path):
    broken = b'{\n"images": [\n{"file_name": "a", "width": 1.5}], "annotations": [], "categories":\n [3]}'
    files = {"a.json": broken, "b.json": broken.replace(b"1.5", b"1"), "c.json": b'{"image": {"file_name": "c"}}'}
    index = adapter_of(tmp_path, files).index()
    assert [(issue.code, issue.line) for issue in index.issues] == [("image-entry-broken", 3), ("category-broken", 3)]


def test_a_file_of_many_images_among_them(tmp_path):
    """Its size keeps it from being read; what is read says what to do."""
    many = {"images": [{"id": n, "file_name": f"{n}.png"} for n in range(3000)], "annotations": []}
    adapter = adapter_of(tmp_path, {"a.json": many}, label="object")
    with pytest.raises(RecordError, match="lists 3,000 images; a file in a folder has one: name the file itself"):
        adapter.read("a.json")


def test_a_huge_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_file, "MAX_BYTES", 1000)
    adapter = adapter_of(tmp_path, {"a.json": sa1b(1, [an_annotation()] * 100)}, label="object")
    assert keys(adapter) == ["a.json"]
    with pytest.raises(RecordError, match="is longer than 1,000 bytes, the most that is read of a COCO file"):
        adapter.read("a.json")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    adapter = adapter_of(tmp_path, {"b.json": sa1b(1, [])}, label="object")
    assert keys(adapter) == ["a.json", "b.json"]
    with pytest.raises(RecordError, match="is a pipe"):
        adapter.read("a.json")


@pytest.mark.parametrize("options", ["", ", label: cell"])
def test_faulty_files_are_skipped_and_told(tmp_path, options):
    draw_images(tmp_path / "data/b.png")
    put(tmp_path / "data", {name: content for name, content in SOME_FAULTY.items() if content is not None})
    (tmp_path / "data/gone.json").symlink_to("nowhere")
    text = f"sources: [{{adapter: coco, annotations: data{options}}}]\noutput: {{directory: out}}"
    report = convert(config(tmp_path, text, "on_error=skip-image"))
    dropped = dict(report.total.images_dropped)
    foreign = dropped.pop("file-foreign", 0)
    assert dropped == {"record-broken": 2, "image-missing": 1}
    assert foreign == (1 if options else 0)  # it is known to be no image only where all files are read
    assert counted(report)["file-foreign"] == 1
    assert report.total.images_written == 1


SOME_FAULTY = {
    "a.json": b"{",
    "b.json": plain(2, "b.png", [an_annotation()]),
    "missing.json": plain(3, "missing.png", []),
    "settings.json": {"theme": "dark"},
}


def test_a_file_that_vanishes(tmp_path):
    adapter = adapter_of(tmp_path, {"a.json": sa1b(1, []), "b.json": sa1b(2, [])}, label="object")
    index = adapter.index()
    (tmp_path / "a.json").unlink()
    with pytest.raises(RecordError, match=r"a\.json: cannot be read: No such file"):
        adapter.read(index.entries[0].record)
    assert adapter.read(index.entries[1].record).key == "b.json"


@pytest.mark.parametrize("label", ["object", None])
def test_folders_that_are_no_source(tmp_path, label):
    empty, foreign = tmp_path / "empty", put(tmp_path / "foreign", {"a.json": {"shapes": []}, "b.json": []})
    empty.mkdir()
    with pytest.raises(SourceError, match="holds no JSON file"):
        CocoAdapter(CocoOptions(annotations=empty, label=label)).index()
    with pytest.raises(SourceError, match="holds no COCO file of an image"):
        CocoAdapter(CocoOptions(annotations=foreign, label=label)).index()
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        CocoAdapter(CocoOptions(annotations=tmp_path / "none", label=label)).index()


def test_a_folder_that_is_closed(tmp_path, monkeypatch):
    adapter = adapter_of(tmp_path, {"x/a.json": sa1b(1, [])}, label="object")
    original = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "x":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match=r"x: cannot be read: Permission denied"):
        adapter.index()


def test_an_empty_label_is_none(tmp_path):
    with pytest.raises(ValueError, match="label"):
        CocoOptions(annotations=tmp_path, label="")


# going on


def test_a_run_does_not_go_on_with_other_files(folder, tmp_path, monkeypatch):
    text = f"sources: [{{adapter: coco, annotations: '{folder}', label: object}}]\noutput: {{directory: out}}"
    image = next(folder.rglob("sa_3.jpg"))
    content = image.read_bytes()
    image.write_bytes(b"no image")
    with pytest.raises(Exception, match=r"sa_3\.jpg"):
        convert(config(tmp_path, text, "output.shard_size=1 images"))
    image.write_bytes(content)
    with pytest.raises(OutputError, match=r"cannot be gone on with: .*sa1b"):
        convert(config(tmp_path, text, "output.shard_size=1 images"), existing=Existing.RESUME)
