"""Files that a stranger made to do harm, each through the command line in a process of its own.

Each must end within `SECONDS` of processor time and `MEGABYTES` of memory, in an issue or an error with its place.
"""

# ruff: noqa: UP031  # JSON is full of braces

from __future__ import annotations

import base64
import io
import json
import os
import random
import struct
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fuzz.targets import TARGETS
from maskflow_convert.cli import main
from maskflow_convert.config import load_config
from maskflow_convert.errors import ConfigError, ImageError, PluginError
from maskflow_convert.image import ImageSettings, load_png
from maskflow_convert.prepare import prepare

SECONDS = 5
MEGABYTES = 1024
GOOD = Path(__file__).parent / "bad/images/good.png"
"""8 x 6 pixels."""

CHILD = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (8 << 30,) * 2)  # beyond that the machine would be in danger
from maskflow_convert.cli import main
begin = time.process_time()
try:
    code = main(sys.argv[2:])
finally:
    [peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    open(sys.argv[1], "w").write(f"{time.process_time() - begin} {int(peak) >> 10}")
sys.exit(code)
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its exit code, the messages of the issues by code, where they are, and the errors."""

    code: int
    messages: Mapping[str, str]
    paths: Mapping[str, str]
    stderr: str


def validate(folder: Path, source: Mapping[str, Any], *more: str) -> Outcome:
    (folder / "config.yaml").write_text(json.dumps({"sources": [source], "run": {"executor": "serial"}}))
    return outcome(folder, "validate", str(folder / "config.yaml"), *more)


def outcome(folder: Path, *arguments: str) -> Outcome:
    """Run the command line, and hold it to time and memory."""
    used = folder / "used.txt"
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(used), *arguments, "--format", "json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr[-2000:]
    seconds, megabytes = used.read_text().split()
    assert float(seconds) < SECONDS
    assert int(megabytes) < MEGABYTES
    assert len(run.stdout) + len(run.stderr) < 100_000  # nobody has to read a million digits
    issues = json.loads(run.stdout)["issues"] if run.stdout else []
    first = {issue["code"]: issue["examples"][0] for issue in issues}
    return Outcome(
        run.returncode,
        {code: issue["message"] for code, issue in first.items()},
        {code: issue["path"] for code, issue in first.items()},
        run.stderr,
    )


# what is put into the files

DEEP = 100_000
DIGITS = "9" * 10**6
POINTS = 10**7
POLYGON = [1, 1, 7, 1, 7, 5]


def nested(inner: str = "") -> str:
    return "[" * DEEP + inner + "]" * DEEP


def scribble(points: int) -> str:
    """Flat coordinates of points at random, in 8 x 6 pixels."""
    chance = random.Random(1)  # noqa: S311  # no secret
    return ",".join(f"{chance.random() * 8:.2f},{chance.random() * 6:.2f}" for _ in range(points))


def zigzag(points: int) -> str:
    """Flat coordinates of an outline of 6 pixels length and as many points as wanted."""
    return ",".join(f"{1 + at * 6 / points:.6f},{1 + at % 2 / 100}" for at in range(points))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A grey PNG that claims a size, and holds some rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def picture(kind: str, size: tuple[int, int] = (16, 8), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 20).save(file, kind, **options)
    return file.getvalue()


def patched(data: bytes, at: int, form: str, *numbers: int) -> bytes:
    new = struct.pack(form, *numbers)
    return data[:at] + new + data[at + len(new) :]


def claims(width: int, height: int) -> dict[str, bytes]:
    """Images of 16 x 8 pixels that claim another size, in each format."""
    jpeg, gif, bmp, tiff = (picture(kind) for kind in ("JPEG", "GIF", "BMP", "TIFF"))
    with_width = patched(tiff, tag_at(tiff, 256), "<HHII", 256, 4, 1, width)
    found = {
        "PNG": png(width, height, bytes(17 * 8)),
        "BMP": patched(bmp, 18, "<ii", width, height),
        "TIFF": patched(with_width, tag_at(tiff, 257), "<HHII", 257, 4, 1, height),
    }
    if max(width, height) < 2**16:
        found["JPEG"] = patched(jpeg, jpeg.index(b"\xff\xc0") + 5, ">HH", height, width)
        found["GIF"] = patched(patched(gif, 6, "<HH", width, height), gif.index(b",") + 5, "<HH", width, height)
    return found


def tag_at(tiff: bytes, tag: int) -> int:
    """Where a tag of a little-endian TIFF stands."""
    first = int.from_bytes(tiff[4:8], "little") + 2
    return next(at for at in range(first, len(tiff), 12) if tiff[at : at + 2] == struct.pack("<H", tag))


# COCO


def coco(
    annotation: str = "", image: str = '"width":8,"height":6,"file_name":"good.png"', category: str = '"name":"cell"'
) -> str:
    annotations = '{"id":1,"image_id":1,"category_id":1,%s}' % annotation if annotation else ""
    return '{"images":[{"id":1,%s}],"annotations":[%s],"categories":[{"id":1,%s}]}' % (image, annotations, category)


def coco_mask(text: str) -> str:
    return coco(f'"segmentation":{text}')


def coco_masks(masks: list[Any]) -> str:
    """Each in an annotation of its own, of one image."""
    tree = json.loads(coco())
    tree["annotations"] = [
        {"id": number, "image_id": 1, "category_id": 1, "segmentation": mask} for number, mask in enumerate(masks)
    ]
    return json.dumps(tree)


def alike(seed: int) -> dict[str, Any]:
    """A mask of half of the 8 x 6 pixels, at random but for two corners."""
    inner = [1] * 22 + [0] * 24
    random.Random(seed).shuffle(inner)  # noqa: S311
    return {"size": [6, 8], "counts": [0, *(len(list(run)) for _, run in groupby([1, *inner, 1]))]}


FAR = [0, 0, 300_000, 5, 10, 600_000]
HUGE = '{"size":[100000,100000],"counts":[0,10000000000]}'
HUGE_IMAGE = '"width":100000,"height":100000,"file_name":"good.png"'
LONG = "x" * 10**6
COCO: dict[str, tuple[Callable[[], str], str]] = {
    "digits for a coordinate": (lambda: coco_mask(f"[[1,1,7,1,7,{DIGITS}]]"), "annotation-broken"),
    "digits after the point": (lambda: coco_mask(f"[[1,1,7,1,7,5.{DIGITS}]]"), ""),
    "digits for an id": (lambda: coco(image=f'"id":{DIGITS},"file_name":"good.png"'), "image-entry-broken"),
    "digits for a width": (lambda: coco(image=f'"width":{DIGITS},"file_name":"good.png"'), "image-entry-broken"),
    "digits for a run": (lambda: coco_mask('{"size":[6,8],"counts":[0,%s]}' % DIGITS), "annotation-broken"),
    "digits for an area": (lambda: coco(f'"area":{DIGITS},"segmentation":[{POLYGON}]'), ""),
    "digits beside NaN": (lambda: coco(f'"area":{DIGITS},"segmentation":[[1,1,NaN,1,7,5]]'), "annotation-broken"),
    "NaN and infinities": (lambda: coco_mask("[[1,1,NaN,1,7,5],[Infinity,1,2,2,-Infinity,3]]"), "polygon-not-finite"),
    "NaN in a box": (lambda: coco('"bbox":[1,1,NaN,Infinity]'), "object-box-only"),
    "run lengths of 100,000 x 100,000": (lambda: coco_mask(HUGE), "mask-size-differs"),
    "as a string": (lambda: coco_mask('{"size":[100000,100000],"counts":"%s"}' % ("0" * 10**6)), "mask-size-differs"),
    "and the image claims it, too": (lambda: coco(f'"segmentation":{HUGE}', HUGE_IMAGE), "image-size-differs"),
    "a scribble": (lambda: coco_mask(f"[[{scribble(10_000)}]]"), "polygon-self-intersecting"),
    "a long scribble": (lambda: coco_mask(f"[[{scribble(10**6)}]]"), "polygon-too-far"),
    "a million points": (lambda: coco_mask(f"[[{zigzag(10**6)}]]"), "polygon-self-intersecting"),
    "two million points": (lambda: coco_mask(f"[[{zigzag(POINTS // 5)}]]"), "annotation-broken"),
    "ten million points": (lambda: coco_mask(f"[[{zigzag(POINTS)}]]"), "annotation-broken"),
    "objects without end": (lambda: coco('"iscrowd":1},{"image_id":1,' * 10**6 + '"bbox":[]'), "record-broken"),
    "3,000 parts": (
        lambda: coco_mask(str([[1, 1, 7, 1, 7, 2 + at / 1000] for at in range(3000)])),
        "mask-hole-lost",
    ),
    "points far outside": (lambda: coco_mask(str([FAR] * 1000)), "mask-too-laborious"),
    "objects far outside": (lambda: coco_masks([[FAR]] * 200), "mask-too-laborious"),
    "parts within parts, of many objects": (
        lambda: coco_masks([[[1, 1, 7, 1, 7, 2 + at / 100] for at in range(300)]] * 100),
        "mask-hole-lost",
    ),
    "masks of one box and one area": (lambda: coco_masks([alike(seed) for seed in range(1500)]), ""),
    "a long name in many messages": (
        lambda: coco('"iscrowd":1},{"image_id":1,"category_id":1,' * 300 + '"bbox":[]', category=f'"name":"{LONG}"'),
        "category-broken",
    ),
    "a long name of a file": (lambda: coco(image=f'"file_name":"{LONG}"'), "image-entry-broken"),
}  # fmt: skip


@pytest.mark.parametrize("more", [[], ["--no-images"]], ids=["images", "no images"])
@pytest.mark.parametrize(("text", "code"), COCO.values(), ids=COCO)
def test_coco(tmp_path, text, code, more):
    (tmp_path / "good.png").write_bytes(GOOD.read_bytes())
    (tmp_path / "a.json").write_text(text())
    found = validate(tmp_path, {"adapter": "coco", "annotations": "a.json"}, *more)
    if code == "image-size-differs" and more:
        code = "image-too-large"
    assert found.code == (1 if code and code != "polygon-self-intersecting" and code != "mask-hole-lost" else 0)
    assert code in found.messages or not code
    assert not code or found.paths[code] in {str(tmp_path / "a.json"), str(tmp_path / "good.png")}


NO_JSON = {
    "nested where nobody looks": lambda: coco(f'"segmentation":[{POLYGON}],"x":{nested()}'),
    "nested in a mask": lambda: coco_mask(nested()),
    "nested objects": lambda: '{"a":' * DEEP + "1" + "}" * DEEP,
}


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
def test_coco_that_is_nested_deep(tmp_path, text):
    (tmp_path / "a.json").write_text(text())
    found = validate(tmp_path, {"adapter": "coco", "annotations": "a.json"})
    assert found.code == 4
    assert f"{tmp_path / 'a.json'}: is not JSON: " in found.stderr


def test_coco_that_is_longer_than_memory(tmp_path):
    """And made up in another way than such files are, so that all of it is read at once."""
    (tmp_path / "a.json").write_text(coco())
    os.truncate(tmp_path / "a.json", 16 << 30)  # of which the disk holds but the beginning
    found = validate(tmp_path, {"adapter": "coco", "annotations": "a.json"})
    assert found.code == 4
    assert found.stderr == (
        f"maskflow-convert: {tmp_path / 'a.json'}: is not made up as COCO files are, so that it has to be read as a "
        "whole, and there is not enough memory for that; have a JSON library write it anew, or take a machine with "
        "more memory\n"
    )


# LabelMe


def labelme(points: str = "[[1,1],[7,1],[7,5]]", more: str = "", head: str = "", label: str = '"cell"') -> str:
    shape = '{"label":%s,"shape_type":"polygon","points":%s%s}' % (label, points, more)
    return '{"imagePath":"good.png","imageHeight":6%s,"shapes":[%s]}' % (head, shape)


def labelme_mask(data: bytes) -> str:
    return labelme("[[0,0],[7,5]]", ',"shape_type":"mask","mask":"%s"' % base64.b64encode(data).decode())


def labelme_group(shapes: int, flags: int) -> str:
    """One object of many shapes; no two have a flag in common."""
    shape = {"label": "cell", "group_id": 1, "points": [[1, 1], [7, 1], [7, 5]]}
    listed = [{**shape, "flags": {f"{at}-{flag}": True for flag in range(flags)}} for at in range(shapes)]
    return json.dumps({"imagePath": "good.png", "shapes": listed})


def pairs(flat: str) -> str:
    numbers = flat.split(",")
    return "[" + ",".join(f"[{x},{y}]" for x, y in zip(numbers[::2], numbers[1::2], strict=True)) + "]"


LABELME: dict[str, tuple[Callable[[], str], str]] = {
    "nested points": (lambda: labelme(nested()), "record-broken"),
    "nested where nobody looks": (lambda: labelme(head=f',"x":{nested()}'), "record-broken"),
    "nested attributes": (
        lambda: labelme(more=',"attributes":{"a":%s}' % ("[" * 900 + "]" * 900)),
        "annotation-broken",
    ),
    "digits for a coordinate": (lambda: labelme(f"[[1,1],[7,{DIGITS}],[7,5]]"), "annotation-broken"),
    "digits for a group": (lambda: labelme(more=f',"group_id":{DIGITS}'), "annotation-broken"),
    "digits for a width": (lambda: labelme(head=f',"imageWidth":{DIGITS}'), "record-broken"),
    "digits beside NaN": (lambda: labelme("[[NaN,1],[7,1],[7,5]]", f',"group_id":{DIGITS}'), "annotation-broken"),
    "NaN and infinities": (lambda: labelme("[[NaN,1],[Infinity,1],[7,-Infinity]]"), "polygon-not-finite"),
    "a scribble": (lambda: labelme(pairs(scribble(10_000))), "polygon-self-intersecting"),
    "two million points": (lambda: labelme(pairs(zigzag(POINTS // 5))), "annotation-broken"),
    "ten million points": (lambda: labelme(pairs(zigzag(POINTS))), "annotation-broken"),
    "shapes without end": (lambda: labelme(more="},{" * 10**6 + '"label":"cell","points":[]'), "record-broken"),
    "a group of 10,000 shapes, each with flags of its own": (lambda: labelme_group(10_000, 30), ""),
    "a label of a million letters": (lambda: labelme(label='"%s"' % ("x" * 10**6)), "annotation-broken"),
    "a mask that is a bomb": (lambda: labelme_mask(png(50_000, 50_000)), "mask-unreadable"),
    "a mask in one column": (lambda: labelme_mask(png(1, 2**29)), "mask-unreadable"),
}


@pytest.mark.parametrize(("text", "code"), LABELME.values(), ids=LABELME)
def test_labelme(tmp_path, text, code):
    (tmp_path / "good.png").write_bytes(GOOD.read_bytes())
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.json").write_text(text())
    found = validate(tmp_path, {"adapter": "labelme", "annotations": "set", "images": "."})
    assert found.code == (1 if code and code != "polygon-self-intersecting" else 0)
    assert code in found.messages or not code
    assert not code or found.paths[code] == str(tmp_path / "set/a.json")


# Pascal VOC

LAUGHS = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
BOMB = f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]>'


def voc(objects: str = "", head: str = "", before: str = "") -> str:
    return f"{before}<annotation><filename>good.png</filename>{head}{objects}</annotation>"


def an_object(name: str = "cell", xmin: str = "1") -> str:
    box = f"<xmin>{xmin}</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax>"
    return f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"


VOC: dict[str, tuple[Callable[[], str], str]] = {
    "a billion laughs": (lambda: voc(an_object("&l9;"), before=BOMB), "record-broken"),
    "a billion laughs in an attribute": (lambda: voc('<object name="&l9;"/>', before=BOMB), "record-broken"),
    "one long entity a thousand times": (
        lambda: voc(an_object("&a;" * 100_000), before=f'<!DOCTYPE a [<!ENTITY a "{"x" * 100_000}">]>'),
        "record-broken",
    ),
    "an entity that is a file": (
        lambda: voc(an_object("&a;"), before='<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]>'),
        "record-broken",
    ),
    "a document type from the network": (
        lambda: voc(before='<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'), "record-broken"
    ),
    "nested": (lambda: "<annotation>" + "<a>" * DEEP + "</a>" * DEEP + "</annotation>", "record-broken"),
    "digits for a corner": (lambda: voc(an_object(xmin=DIGITS)), "box-invalid"),
    "digits for a width": (lambda: voc(head=f"<size><width>{DIGITS}</width></size>"), "record-broken"),
    "NaN and infinities": (lambda: voc(an_object(xmin="nan") + an_object(xmin="-inf")), "box-invalid"),
    "a name of a million letters": (lambda: voc(an_object("x" * 10**6)), "annotation-broken"),
    "objects without end": (lambda: voc("<object/>" * 10**6), "record-broken"),
    "longer than anybody draws": (lambda: voc(" " * 2**24), "record-broken"),
}  # fmt: skip


def voc_folder(folder: Path, xml: str, **others: bytes) -> dict[str, Any]:
    files = {"Annotations/good.xml": xml.encode(), "JPEGImages/good.png": GOOD.read_bytes()}
    names = {"mask": "SegmentationObject/good.png", "list": "ImageSets/Main/train.txt", "names": "labelmap.txt"}
    for name, content in {**files, **{names[key]: content for key, content in others.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return {"adapter": "voc", "root": ".", **({"image_set": "Main/train"} if "list" in others else {})}


@pytest.mark.parametrize(("text", "code"), VOC.values(), ids=VOC)
def test_voc(tmp_path, text, code):
    source = voc_folder(tmp_path, text())
    (tmp_path / "config.yaml").write_text(
        json.dumps({"sources": [source], "objects": {"boxes": "rectangle"}, "run": {"executor": "serial"}})
    )
    found = outcome(tmp_path, "validate", str(tmp_path / "config.yaml"))
    assert found.code == 1
    assert found.paths[code] == str(tmp_path / "Annotations/good.xml")


@pytest.mark.parametrize("mask", [png(50_000, 50_000), png(1, 2**29)], ids=["a bomb", "one column"])
def test_masks_of_voc(tmp_path, mask):
    found = validate(tmp_path, voc_folder(tmp_path, voc(an_object()), mask=mask))
    assert (found.code, found.paths["mask-unreadable"]) == (1, str(tmp_path / "SegmentationObject/good.png"))


def test_a_list_file_of_one_line(tmp_path):
    found = validate(tmp_path, voc_folder(tmp_path, voc(an_object()), list=b"a b " * 10**6))
    assert (found.code, found.paths["image-missing"]) == (1, str(tmp_path / "ImageSets/Main/train.txt"))


def test_a_labelmap_of_spaces(tmp_path):
    found = validate(tmp_path, voc_folder(tmp_path, voc(an_object()), names=b"a" + b" " * 10**6 + b"b\n"))
    assert found.code == 4
    assert f"{tmp_path / 'labelmap.txt'}:1: has a line of 1,000,002 characters" in found.stderr


# images

CLAIMS = {(kind, size): data for size in ((60_000, 8_000), (8, 2**26)) for kind, data in claims(*size).items()}


@pytest.mark.parametrize("data", CLAIMS.values(), ids=[f"{kind} {size}" for kind, size in CLAIMS])
def test_an_image_that_claims_more_pixels_than_it_has(tmp_path, data):
    """Fewer than the most that is read, 2**29."""
    (tmp_path / "good.png").write_bytes(data)
    (tmp_path / "a.json").write_text(coco(f'"segmentation":[{POLYGON}]', image='"file_name":"good.png"'))
    found = validate(tmp_path, {"adapter": "coco", "annotations": "a.json"})
    assert found.code == 1
    assert found.paths["image-unreadable" if "image-unreadable" in found.paths else "image-too-large"] == str(
        tmp_path / "good.png"
    )


@pytest.mark.parametrize("text", [
    '{"label":"a","shape_type":"polygon","points":[[0,0],[20000,0],[20000,20000],[0,20000]]}',
    '{"label":"a","shape_type":"circle","points":[[10000,10000],[10000,20000]]}',
])  # fmt: skip
def test_a_mask_as_large_as_the_largest_image(tmp_path, text):
    (tmp_path / "a.json").write_text(
        f'{{"imagePath":"a.png","imageHeight":20000,"imageWidth":20000,"shapes":[{text}]}}'
    )
    found = validate(tmp_path, {"adapter": "labelme", "annotations": "a.json"}, "--no-images")
    assert found.paths.keys() >= {"record-too-large"}


def test_pipes_are_not_waited_for(tmp_path):
    for name in ("Annotations/a.xml", "JPEGImages/a.png", "set/a.json", "set/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / name)
    found = validate(tmp_path, {"adapter": "labelme", "annotations": "set"})
    assert found.messages["record-broken"] == "is a pipe, which would be waited for"
    (tmp_path / "set/a.json").unlink()
    (tmp_path / "set/a.json").write_text('{"imagePath":"b.png","shapes":[]}')
    found = validate(tmp_path, {"adapter": "labelme", "annotations": "set"})
    assert found.messages["image-unreadable"] == "the image file is a pipe or a device"
    found = validate(tmp_path, {"adapter": "voc", "root": "."})
    assert found.messages["record-broken"] == "is a pipe, which would be waited for"
    (tmp_path / "Annotations/a.xml").unlink()
    (tmp_path / "Annotations/a.xml").write_text(voc())
    found = validate(tmp_path, {"adapter": "voc", "root": "."})
    assert found.messages["image-unreadable"] == "the image file is a pipe or a device"


def test_a_jpeg_that_is_cut_off_and_closed():
    """Pillow makes the rest of it grey."""
    jpeg = picture("JPEG", (64, 48))
    assert load_png(jpeg, ImageSettings(), None)[0].height == 48
    with pytest.raises(ImageError) as caught:
        load_png(jpeg[:-120] + b"\xff\xd9", ImageSettings(), None)
    assert (caught.value.code, caught.value.message) == (
        "image-unreadable",
        "the JPEG's pixel data ends before its last row",
    )


def test_a_png_with_a_header_for_pillow_and_one_for_us():
    """Pillow takes the last one, and makes black what is missing."""
    small, large = png(8, 6, bytes(9 * 6)), png(8, 60)
    whole = small[:33] + large[8:33] + small[33:]
    with pytest.raises(ImageError, match="does not begin with its only header"):
        load_png(whole, ImageSettings(), None)


# wrong types anywhere

WRONG: tuple[Any, ...] = (None, True, -1, 1.5, 2**63, "x", "", [], [[]], {}, {"a": []}, [None], "\ud800")


def altered(tree: Any) -> list[Any]:
    """The tree with each of its values in turn replaced by each wrong one, or left out."""
    found: list[Any] = list(WRONG)
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += [{**tree, key: each} for each in altered(value)]
            found.append({name: each for name, each in tree.items() if name != key})
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            found += [[*tree[:at], each, *tree[at + 1 :]] for each in altered(value)]
    return found


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("coco", coco('"segmentation":[[1,1,7,1,7,5]],"bbox":[1,1,6,4],"area":12,"iscrowd":0')),
        ("coco", coco(f'"segmentation":{HUGE},"iscrowd":1')),
        ("labelme", labelme(more=',"group_id":1,"flags":{"a":true},"description":"","mask":null,"score":1')),
        ("labelme", labelme_mask(GOOD.read_bytes())),
        ("config", json.dumps({
            "sources": [{"adapter": "coco", "annotations": "a.json", "split": "train"}],
            "classes": {"names": ["a"], "rename": {"b": "a"}}, "image": {"exif": "auto", "channels": 3},
            "issues": {"mask-empty": "error"}, "output": {"directory": "out", "shard_size": "5 images", "shuffle": 1},
            "run": {"workers": 2},
        })),
    ],
    ids=["COCO", "COCO, run lengths", "LabelMe", "LabelMe, mask", "configuration"],
)  # fmt: skip
def test_wrong_types_anywhere(tmp_path, target, text):
    TARGETS[target].prepare(tmp_path)
    trees = altered(json.loads(text))
    assert len(trees) > 100
    for tree in trees:
        TARGETS[target].run(json.dumps(tree).encode(), tmp_path)


# what is shown to a person

UNSEEN = "\x1b[31mred\x1b[2J\u202e\x07\n\x9b1m<b>[bold]"


@pytest.mark.parametrize("command", ["validate", "convert"])
def test_a_name_with_control_characters_reaches_no_terminal(tmp_path, capsys, command):
    (tmp_path / "good.png").write_bytes(GOOD.read_bytes())
    name = json.dumps(UNSEEN)
    annotations = '"iscrowd":1,"segmentation":[]},{"id":2,"image_id":1,"category_id":1,"segmentation":[[1,1,7,1,7,5]]'
    (tmp_path / "a.json").write_text(
        coco(annotations, f'"file_name":"good.png"}},{{"id":2,"file_name":{name}', f'"name":{name}')
    )
    (tmp_path / "config.yaml").write_text(
        "sources: [{adapter: coco, annotations: a.json}]\non_error: skip-image\nrun: {executor: serial}\n"
    )
    output = ["--output", str(tmp_path / "out")] if command == "convert" else []
    main([command, str(tmp_path / "config.yaml"), *output])
    shown = "".join(capsys.readouterr())
    assert "red" in shown
    assert {each for each in shown if unicodedata.category(each) in ("Cc", "Cf")} == {"\n"}


# code that a YAML names

PLUGIN = """
from maskflow_convert import Adapter, Index

class Mine(Adapter):
    def index(self):
        return Index([], [WHERE])

    def read(self, record):
        raise NotImplementedError
"""


def test_code_is_taken_from_where_the_yaml_lies(tmp_path, monkeypatch):
    """Neither from the working directory, nor from where Python looks for modules."""
    for name in ("yaml", "working", "python"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(PLUGIN.replace("WHERE", repr(name)))
    monkeypatch.chdir(tmp_path / "working")
    monkeypatch.syspath_prepend(tmp_path / "python")
    (tmp_path / "yaml/c.yaml").write_text("sources: [{adapter: './mine.py:Mine'}]\n")
    assert prepare(load_config("../yaml/c.yaml")).classes.names == ("yaml",)
    (tmp_path / "yaml/mine.py").unlink()
    (tmp_path / "yaml/d.yaml").write_text("sources: [{adapter: './sub/mine.py:Mine'}]\n")
    with pytest.raises(PluginError, match="there is no such file"):
        load_config("../yaml/d.yaml")


@pytest.mark.parametrize(
    "reference", ["../mine.py:Mine", "{folder}/mine.py:Mine", "linked.py:Mine", "sub/../../mine.py:Mine"]
)
def test_code_from_elsewhere_is_refused(tmp_path, reference):
    """Above the YAML, by an absolute path, by a link; it is not run."""
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + PLUGIN)
    (tmp_path / "yaml/sub").mkdir(parents=True)
    (tmp_path / "yaml/linked.py").symlink_to("../mine.py")
    path = tmp_path / "yaml/c.yaml"
    path.write_text(f"sources:\n  - adapter: '{reference.format(folder=tmp_path)}'\n")
    with pytest.raises(
        ConfigError, match=r"c\.yaml:2: sources\[0\]: .*/mine\.py:Mine lies outside the folder of this YAML"
    ):
        load_config(path)
    assert not (tmp_path / "ran").exists()


YAML = {
    "a tag": "sources: !!python/object/apply:os.system [true]\n",
    "a tag of a word": "on_error: !!python/name:os.system ''\n",
    "aliases that multiply": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{new}: &{new} [{f'*{chr(ord(new) - 1)}, ' * 10}]\n" for new in "bcdefghi"),
    "an alias of itself": "sources: &a [*a]\n",
    "nested": "sources: " + "[" * DEEP,
    "a million digits": "on_error: " + "9" * 200_000,
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_yaml(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    found = outcome(tmp_path, "validate", str(tmp_path / "config.yaml"))
    assert found.code == 2
    assert found.stderr.startswith(f"maskflow-convert: {tmp_path / 'config.yaml'}:")
