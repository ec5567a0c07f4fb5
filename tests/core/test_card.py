"""Cards are held against the annotations themselves, their code is run, and markdown-it and lxml parse them."""

from __future__ import annotations

import functools
import json
import logging
import re
import shutil
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from markdown_it import MarkdownIt
from PIL import Image
from pycocotools import mask as coco_mask

from core.plugins.scripted import script
from maskflow_convert import build_dataset, card, convert, load_config, pipeline, preview, registry
from maskflow_convert.card.facts import Card
from maskflow_convert.image.overlay import LARGEST_ZOOM, PALETTE
from maskflow_convert.manifest import Manifest, ShardFile, SplitCounts
from maskflow_convert.output import Existing
from maskflow_convert.prepare import prepare
from maskflow_convert.provenance import sources_of
from maskflow_convert.report import Report, Tally
from nasty import QUOTED, SCRIPT, write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"
COCO = json.loads((CONFIG.parent / "shapes-coco/instances.json").read_text(encoding="utf-8"))
SIZES = {image["id"]: (image["width"], image["height"]) for image in COCO["images"]}
WRITTEN = [each for each in COCO["annotations"] if not each["iscrowd"]]
NAMES = {each["id"]: each["name"] for each in COCO["categories"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Callable[..., Path]:
    """The folder of the data set of configs/coco.yaml, converted with the overrides given."""

    @functools.cache
    def write(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("written") / "out"
        convert(load_config(CONFIG, [f"output.directory={folder}", "run.executor=serial", *overrides]))
        return folder

    return write


@pytest.fixture(scope="module")
def nasty(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    convert(load_config(write_nasty_set(folder), [f"output.directory={folder}/out", "on_error=skip-object"]))
    return folder / "out"


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def tokens(text: str) -> list[Any]:
    """The Markdown as forges parse it, all levels in one list."""
    top = MarkdownIt("commonmark").enable("table").parse(text)
    return [each for token in top for each in (token, *(token.children or ()))]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of the tables, without their heads, as text."""
    root = html.fragment_fromstring(MarkdownIt("commonmark").enable("table").render(text), create_parent=True)
    return [
        [[cell.text_content() for cell in row.xpath("./td")] for row in table.xpath(".//tbody/tr")]
        for table in root.xpath("//table")
    ]


def page(folder: Path) -> Any:
    return html.document_fromstring((folder / "index.html").read_text(encoding="ascii"))


def pictures(folder: Path) -> list[np.ndarray]:
    sources = page(folder).xpath("//ul[@class='pictures']//img/@src")
    return [np.asarray(Image.open(BytesIO(b64decode(source.partition(",")[2])))) for source in sources]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def encoded(segmentation: Any, height: int, width: int) -> Any:
    """As pycocotools' `COCO.annToRLE` does."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def bar(count: int, most: int) -> str:
    return "█" * (24 * count // most) or "▏" * bool(count)


class TestReadme:
    def test_title(self, written):
        assert readme(written()).startswith("# 12 images, 40 objects, 3 classes\n")

    def test_splits(self, written):
        counts = json.loads((written() / "dataset.json").read_text())["splits"]
        [splits, *_] = tables(readme(written()))
        assert [row[:4] for row in splits] == [
            [name, str(split["images_written"]), str(split["objects_written"]), "1"] for name, split in counts.items()
        ]

    def test_classes(self, written):
        by_class = Counter(NAMES[each["category_id"]] for each in WRITTEN).most_common()
        ids = {name: str(number) for number, name in enumerate(NAMES.values(), start=1)}
        assert tables(readme(written()))[1] == [
            [name, ids[name], str(count), bar(count, by_class[0][1])] for name, count in by_class
        ]

    def test_areas(self, written):
        octaves = Counter()
        for each in WRITTEN:
            width, height = SIZES[each["image_id"]]
            octaves[int(coco_mask.area(encoded(each["segmentation"], height, width))).bit_length() - 1] += 1
        found = {row[0]: int(row[1]) for row in tables(readme(written()))[2]}
        assert found == {f"{2**n:,} to {2 ** (n + 1) - 1:,}": count for n, count in octaves.items()}

    def test_objects_of_an_image(self, written):
        of_images = Counter(each["image_id"] for each in WRITTEN)
        counts = Counter(of_images[image] for image in SIZES)
        found = {int(row[0]): int(row[1]) for row in tables(readme(written()))[3]}
        assert {number: count for number, count in found.items() if count} == counts

    def test_sizes_of_images(self, written):
        for which, word in enumerate(("wide", "high")):
            lengths = [size[which] for size in SIZES.values()]
            sentence = rf"{min(lengths)} to {max(lengths)} \(half of them \d+ or more\)( pixels)? {word}"
            assert re.search(sentence, readme(written())), word

    def test_what_was_dropped(self, written):
        assert "12 images and 41 objects were found; dropped: 1 object." in readme(written())
        [dropped] = [table for table in tables(readme(written())) if table[0][0] == "object-crowd"]
        assert [row[:3] for row in dropped] == [["object-crowd", "0", "1"]]

    def test_what_it_was_made_from(self, written):
        text = readme(written())
        assert "- `coco`, `maskflow-convert 0.1.0`, 12 images\n  - annotations: `instances.json (" in text
        assert "\n  - images: `images`\n" in text
        assert str(CONFIG.parent) not in text

    def test_picture(self, written):
        [name] = [each.attrs["src"] for each in tokens(readme(written())) if each.type == "image"]
        with Image.open(written() / name) as image:
            assert image.size == (4 * 248 + 8, 3 * 248 + 8)


class TestPage:
    def test_numbers(self, written):
        root = page(written())
        assert root.xpath("string(//h1)") == "12 images, 40 objects, 3 classes"
        cells = [row.xpath("string(th)") + row.xpath("string(td[1])") for row in root.xpath("//table[1]/tbody/tr")]
        assert cells[:2] == ["train10", "val2"]

    def test_sources(self, written):
        root = page(written())
        assert root.xpath("//dt//text()") == ["annotations", "images"]
        assert [each.partition(" (")[0] for each in root.xpath("//dd//text()")] == ["instances.json", "images"]

    def test_no_script(self, written):
        root = page(written())
        assert root.xpath("//script | //@onclick | //link[not(@rel='icon')]") == []
        assert root.xpath("//a/@href") == ["https://github.com/hadim/maskflow"]

    def test_its_code_is_that_of_the_readme(self, written):
        code = [each.content for each in tokens(readme(written())) if each.type == "fence"]
        assert page(written()).xpath("//pre/code/text()") == code


@pytest.mark.parametrize(
    "overrides",
    [
        ("output.layout=documented",),
        ("output.layout=rows_first",),
        ("output.compression=gzip", "image.channels=source", "image.depth=16"),
    ],
    ids=["documented", "rows_first", "gzip, as they are, 16 bits"],
)
class TestCode:
    def run(self, folder: Path, number: int, monkeypatch) -> dict[str, Any]:
        """What a code block of the card defines, run where the card lies."""
        code = [each.content for each in tokens(readme(folder)) if each.type == "fence"][number]
        monkeypatch.chdir(folder)
        scope: dict[str, Any] = {}
        exec(compile(code, "README.md", "exec"), scope)  # noqa: S102
        return scope

    def test_with_this_package(self, written, overrides, monkeypatch, capsys):
        folder = written(*overrides)
        scope = self.run(folder, 0, monkeypatch)
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert len(list(scope["dataset"])) == 10

    def test_with_tensorflow_alone(self, written, overrides, monkeypatch):
        folder = written(*overrides)
        found = list(self.run(folder, 1, monkeypatch)["dataset"].as_numpy_iterator())
        expected = list(build_dataset(folder, split="train").as_numpy_iterator())
        assert len(found) == len(expected) == 10
        for (image, target), (expected_image, expected_target) in zip(found, expected, strict=True):
            assert image.dtype == expected_image.dtype
            assert (image == expected_image).all()
            assert target.keys() == expected_target.keys()
            assert all((target[name] == expected_target[name]).all() for name in target)


@pytest.mark.parametrize("layout", ["documented", "rows_first"])
def test_pictures_are_drawn_from_the_records(tmp_path, layout):
    """The mask is [1, 5) x [1, 4) in 8 x 6 pixels, whose picture is as large as pictures get; its label lies above."""
    convert(script(tmp_path, [{"key": "a.png", "things": ["good"]}], output={"layout": layout}))
    [picture] = pictures(tmp_path / "out")
    assert picture.shape == (6 * LARGEST_ZOOM, 8 * LARGEST_ZOOM, 3)
    seen = (np.abs(picture.astype(int) - PALETTE[0]) < 24).all(axis=-1)
    seen[: LARGEST_ZOOM - 2] = False
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert box == pytest.approx([1 * LARGEST_ZOOM, 1 * LARGEST_ZOOM, 5 * LARGEST_ZOOM, 4 * LARGEST_ZOOM], abs=2)


class TestChoiceOfPictures:
    def names(self, folder: Path) -> list[str]:
        return page(folder).xpath("//ul[@class='pictures']//p[@class='names']/bdi/text()")

    def test_a_dozen_with_objects(self, tmp_path):
        pictures = [{"key": f"{n:03}.png", "things": ["good"] if n % 2 else []} for n in range(60)]
        convert(script(tmp_path, pictures, output={"shard_size": "2 images"}))
        assert len(self.names(tmp_path / "out")) == card.facts.PICTURES == 12
        assert all(int(name[:3]) % 2 for name in self.names(tmp_path / "out"))

    def test_of_every_split(self, tmp_path):
        pictures = [
            {"key": f"{n:03}.png", "things": ["good"], "split": "val" if n == 77 else "train"} for n in range(100)
        ]
        convert(script(tmp_path, pictures, output={"shard_size": "2 images"}))
        assert "077.png" in self.names(tmp_path / "out")

    def test_none_of_what_is_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(preview, "_LONGEST", 100)
        convert(script(tmp_path, [{"key": "a.png", "things": ["good"]}]))
        assert self.names(tmp_path / "out") == []
        assert page(tmp_path / "out").xpath("//section[@hidden]//h2[@id='images']")
        assert "![" not in readme(tmp_path / "out")

    def test_none_of_too_many_pixels(self, tmp_path, monkeypatch):
        monkeypatch.setattr(preview, "_MOST_PIXELS", 8 * 6 - 1)
        convert(script(tmp_path, [{"key": "a.png", "things": ["good"]}]))
        assert self.names(tmp_path / "out") == []


class TestLittle:
    def test_no_image(self, tmp_path):
        convert(script(tmp_path, []))
        assert readme(tmp_path / "out").startswith("# 0 images, 0 objects, 0 classes\n")
        assert "There is no object." in readme(tmp_path / "out")
        assert "There is no image." in page(tmp_path / "out").text_content()

    def test_no_object(self, tmp_path):
        convert(script(tmp_path, [{"key": "a.png"}]))
        assert readme(tmp_path / "out").startswith("# 1 image, 0 objects, 0 classes\n")
        assert "Images are 8 pixels wide and 6 high." in readme(tmp_path / "out")
        assert "1 image and 0 objects were found, and all of them are here." in readme(tmp_path / "out")

    def test_what_was_found_and_kept(self, tmp_path):
        pictures = [{"key": "a.png", "things": ["outside", "outside"]}]
        convert(script(tmp_path, pictures, issues={"polygon-outside-image": "warning"}))
        [remarks] = [table for table in tables(readme(tmp_path / "out")) if table[0][0].startswith("polygon")]
        assert [row[:3] for row in remarks] == [["polygon-outside-image", "2", "0"]]
        assert "polygon-outside-image 2 times" in page(tmp_path / "out").text_content()


class TestStrangers:
    """Names are markup, turn text around, or cannot be seen."""

    def test_in_markdown(self, nasty):
        found = tokens(readme(nasty))
        markup = [each.content for each in found if each.type in ("html_inline", "html_block")]
        assert [each[:21] for each in markup] == ["<!-- maskflow-convert"]
        assert [each.attrs["href"] for each in found if each.type == "link_open"] == [
            "https://github.com/hadim/maskflow"
        ]
        names = [row[0] for row in tables(readme(nasty))[1]]
        assert {SCRIPT, "quo\"te's & <b>", "person\\u202egpj.exe", "two\\nlines", "細胞"} <= set(names)

    @pytest.mark.parametrize(
        "name", ["a|b", "a\\|<img src=x>", "``", "*a* _b_ [c](d)", "# a", "http://a.b", " a ", "&lt;", "`|`", "$a$"]
    )
    def test_is_one_cell(self, tmp_path, name):
        pictures = [{"key": "a.png", "things": ["good"]}]
        convert(script(tmp_path, pictures, source={"labels": [name]}))
        assert tables(readme(tmp_path / "out"))[1] == [[name.strip(), "1", "1", bar(1, 1)]]
        kinds = {each.type for each in tokens(readme(tmp_path / "out").partition("## What is in it")[2])}
        assert not kinds & {"html_inline", "link_open", "em_open", "image"}

    def test_in_html(self, nasty):
        root = page(nasty)
        assert root.xpath("//script | //b[not(ancestor::li)] | //img[not(starts-with(@src, 'data:'))]") == []
        assert {SCRIPT, "細胞"} <= set(root.xpath("//table[@class='bars']//th/bdi/text()"))
        assert QUOTED in root.xpath("//p[@class='names']/bdi/text()")

    def test_legend_of_what_the_font_cannot_write(self, nasty):
        legends = page(nasty).xpath("//ul[@class='pictures']//p[@class='quiet']/bdi/text()")
        assert any("細胞 (id 7) 1" in legend for legend in legends)


class TestSameBytes:
    def test_wherever_it_lies_and_is_written(self, written, tmp_path):
        shutil.copytree(CONFIG.parent, tmp_path / "elsewhere")
        convert(load_config(tmp_path / "elsewhere/coco.yaml", [f"output.directory={tmp_path}/new", "run.workers=2"]))
        expected, found = contents(written()), contents(tmp_path / "new")
        names = {"README.md", "index.html", *(name for name in expected if name.startswith("samples-"))}
        assert len(names) == 3
        assert {name: found[name] for name in names} == {name: expected[name] for name in names}

    def test_the_records_do_not_hang_on_it(self, written):
        with_card, without = contents(written()), contents(written("output.card=false"))
        assert without.keys() == {name for name in with_card if not re.match("README|index|samples", name)}
        assert all(without[name] == with_card[name] for name in without if name != "config.yaml")

    def test_it_can_be_had_afterwards(self, written, tmp_path):
        shutil.copytree(written("output.card=false"), tmp_path / "out")
        convert(load_config(CONFIG, [f"output.directory={tmp_path}/out"]), existing=Existing.RESUME)
        assert contents(tmp_path / "out").keys() == contents(written()).keys()
        assert readme(tmp_path / "out") == readme(written())


class TestFaults:
    """Whatever goes wrong, the data set is whole."""

    @pytest.fixture
    def path(self, tmp_path, caplog):
        caplog.set_level(logging.WARNING)
        return script(tmp_path, [{"key": "a.png", "things": ["good"]}])

    @pytest.mark.parametrize("error", [ZeroDivisionError("oops"), MemoryError(), RecursionError(), OSError(28, "full")])
    def test_is_told_and_no_more(self, path, tmp_path, monkeypatch, caplog, error):
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(card, "write_card", fail)
        assert convert(path).total.images_written == 1
        assert {"dataset.json", "train-00000-of-00001.tfrecord"} <= contents(tmp_path / "out").keys()
        assert "unfinished.json" not in contents(tmp_path / "out")
        [message] = caplog.messages
        assert message.startswith(f"{tmp_path / 'out'}: the data set is whole, but its card could not be made: ")
        assert type(error).__name__ in message

    def test_a_file_that_cannot_be_written(self, path, tmp_path, monkeypatch, caplog):
        """A folder stands where its partial file would be."""
        monkeypatch.setattr(pipeline, "clear", lambda folder, _: (folder / "index.html.partial").mkdir())
        convert(path)
        assert f"{tmp_path / 'out/index.html'}: cannot be written: Is a directory" in caplog.text
        assert (tmp_path / "out/dataset.json").exists()

    def test_no_card_is_asked_for(self, tmp_path):
        convert(script(tmp_path, [{"key": "a.png", "things": ["good"]}], output={"card": False}))
        assert not {"README.md", "index.html"} & contents(tmp_path / "out").keys()


class TestSomebodyElses:
    """README.md and index.html are names that everybody uses."""

    PICTURES = ({"key": "a.png", "things": ["good"]},)

    @pytest.fixture
    def path(self, tmp_path):
        (tmp_path / "out").mkdir()
        return script(tmp_path, list(self.PICTURES))

    @pytest.mark.parametrize("name", ["README.md", "index.html"])
    def test_is_kept(self, path, tmp_path, caplog, name):
        (tmp_path / "out" / name).write_text("mine")
        convert(path)
        convert(path, existing=Existing.OVERWRITE)
        convert(path, existing=Existing.RESUME)
        assert (tmp_path / "out" / name).read_text() == "mine"
        assert {"README.md", "index.html", "dataset.json"} <= contents(tmp_path / "out").keys()
        told = "is somebody else's, or was changed: it is kept, and not replaced by a card"
        assert caplog.messages == [f"{tmp_path / 'out' / name}: {told}"] * 3

    @pytest.mark.parametrize("change", [lambda text: text + "\n", lambda text: text.replace("1 image", "My image")])
    def test_so_is_what_was_ours(self, path, tmp_path, caplog, change):
        convert(path)
        changed = change(readme(tmp_path / "out"))
        (tmp_path / "out/README.md").write_text(changed, encoding="utf-8")
        convert(script(tmp_path, []), existing=Existing.OVERWRITE)
        assert readme(tmp_path / "out") == changed
        assert page(tmp_path / "out").xpath("string(//h1)") == "0 images, 0 objects, 0 classes"
        assert [message.partition(": is")[0] for message in caplog.messages] == [str(tmp_path / "out/README.md")]

    def test_links_and_folders(self, path, tmp_path, caplog):
        (tmp_path / "out/README.md").symlink_to("nowhere")
        (tmp_path / "out/index.html").mkdir()
        convert(path)
        assert (tmp_path / "out/README.md").is_symlink()
        assert (tmp_path / "out/index.html").is_dir()
        assert len(caplog.messages) == 2

    def test_ours_goes_with_its_data_set(self, path, tmp_path):
        """Its picture has another name where the images are others."""
        convert(path)
        before = contents(tmp_path / "out").keys()
        several = [{"key": f"{n}.png", "things": ["good"]} for n in range(2)]
        convert(script(tmp_path, several), existing=Existing.OVERWRITE)
        after = contents(tmp_path / "out").keys()
        [old], [new] = before - after, after - before
        assert re.fullmatch(r"samples-[0-9a-f]{12}\.jpg", old)
        assert re.fullmatch(r"samples-[0-9a-f]{12}\.jpg", new)
        convert(script(tmp_path, several, output={"card": False}), existing=Existing.OVERWRITE)
        assert not {"README.md", "index.html", new} & contents(tmp_path / "out").keys()

    def test_a_picture_that_is_called_so_is_not_ours(self, path, tmp_path):
        picture = tmp_path / "out/samples-0123456789ab.jpg"
        picture.write_bytes(b"mine")
        convert(path)
        convert(path, existing=Existing.OVERWRITE)
        assert picture.read_bytes() == b"mine"

    def test_a_card_alone_is_no_data_set(self, path, tmp_path):
        """Somebody has removed the records by hand."""
        convert(path)
        for file in (tmp_path / "out").iterdir():
            if file.suffix not in (".md", ".html", ".jpg"):
                file.unlink()
        convert(script(tmp_path, []))
        assert readme(tmp_path / "out").startswith("# 0 images")
        assert not list((tmp_path / "out").glob("samples-*"))


def test_the_package_of_an_adapter_is_looked_up_once_for_all_its_sources(tmp_path, monkeypatch):
    """For each of 200 sources would take a second: all that is installed is looked through."""
    looked_up = []
    version_of = registry.version_of
    monkeypatch.setattr(registry, "version_of", lambda name: (looked_up.append(name), version_of(name))[1])
    sources = [{"adapter": "coco", "annotations": str(tmp_path / f"{n}.json")} for n in range(5)]
    for n in range(5):
        image = {"id": n, "file_name": f"{n}.png"}
        (tmp_path / f"{n}.json").write_text(json.dumps({"images": [image], "categories": [], "annotations": []}))
    (tmp_path / "c.yaml").write_text(json.dumps({"sources": sources}))
    facts = list(sources_of(prepare(load_config(tmp_path / "c.yaml"))))
    assert looked_up == ["coco"]
    assert len(facts) == 5
    assert {each.version for each in facts} == {version_of("coco")}


def test_the_files_are_gone_through_once_for_all_splits():
    """200 splits of 100,000 files in all."""

    class Watched(list[ShardFile]):
        times = 0

        def __iter__(self):
            Watched.times += 1
            return super().__iter__()

    counts = SplitCounts(**Tally().to_dict())
    shards = Watched(
        ShardFile.model_construct(name=f"{n}.tfrecord", split=f"s{n % 20}", bytes=10 + n) for n in range(39)
    )
    manifest = Manifest.model_construct(splits={f"s{n}": counts for n in range(21)}, shards=shards)
    found = Card(manifest, Report(), [], []).splits
    assert Watched.times == 1
    assert [(each.name, each.files, each.bytes) for each in found[17:]] == [
        ("s17", 2, 27 + 47),
        ("s18", 2, 28 + 48),
        ("s19", 1, 29),
        ("s20", 0, 0),
    ]
