"""What notebooks show of a sample, a report and a manifest: HTML that lxml parses, and a picture by Pillow."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from PIL import Image as Pillow

from core.plugins.scripted import HEIGHT, SHAPES, WIDTH, png, script
from maskflow_convert import Image, Instance, Issue, Loss, Report, Sample, convert, show, validate
from maskflow_convert.errors import ImageError
from maskflow_convert.image.overlay import LARGEST_ZOOM, PALETTE
from maskflow_convert.manifest import Manifest
from maskflow_convert.markup import MOST_ROWS
from nasty import SCRIPT, write_nasty_set

TEAL = (0, 128, 128)


def sample(*labels: str, key: str = "a.png", **fields: Any) -> Sample:
    instances = tuple(Instance(label=label, shape=SHAPES["good"], id=str(n)) for n, label in enumerate(labels))
    return Sample(**{"key": key, "image": Image(data=png(), name=key), "instances": instances, **fields})


def parsed(shown: Any) -> Any:
    return html.fragment_fromstring(shown._repr_html_(), create_parent=True)


def rows(shown: Any, table: int) -> list[list[str]]:
    found = parsed(shown).xpath(f"(//table)[{table}]/tbody/tr")
    return [[cell.text_content() for cell in row] for row in found]


class TestShow:
    def test_picture(self):
        picture = show(sample("disc"))
        assert isinstance(picture, Pillow.Image)
        assert (picture.mode, picture.size) == ("RGB", (WIDTH * LARGEST_ZOOM, HEIGHT * LARGEST_ZOOM))
        at = (np.array([[5, 4], [1, 1], [0, 5]]) * LARGEST_ZOOM) + [[-1, -1], [0, 0], [0, 0]]
        assert [picture.getpixel(tuple(map(int, xy))) for xy in at] == [PALETTE[0], PALETTE[0], TEAL]

    def test_as_large_as_wanted(self):
        assert show(sample(), side=16).size == (16, 12)
        assert show(sample(), side=4).size == (4, 3)

    def test_image_that_is_missing(self, tmp_path):
        with pytest.raises(ImageError, match="does not exist"):
            show(sample(image=Image(path=tmp_path / "gone.png")))


class TestSample:
    def test_objects(self):
        assert rows(sample("disc", "cell", "disc"), 1) == [
            ["0", "disc", "1", "polygons"],
            ["1", "cell", "2", "polygons"],
            ["2", "disc", "1", "polygons"],
        ]

    def test_picture(self):
        [source] = parsed(sample("disc")).xpath("//img/@src")
        with Pillow.open(BytesIO(b64decode(source.partition(",")[2]))) as image:
            assert image.size == (WIDTH * LARGEST_ZOOM, HEIGHT * LARGEST_ZOOM)

    @pytest.mark.parametrize(
        "image", [Image(path=Path("gone.png")), Image(data=b"no image"), Image(path=Path("gone.png"), root=Path("x"))]
    )
    def test_image_that_cannot_be_had(self, image):
        shown = sample("disc", image=image)
        assert parsed(shown).xpath("//img") == []
        assert parsed(shown).xpath("//p")[1].text_content().startswith("No picture: ")
        assert [row[1] for row in rows(shown, 1)] == ["disc"]

    def test_what_is_doubtful(self):
        issues = (Issue("annotation-broken", "as <told>", object="7", loss=Loss.OBJECT),)
        assert rows(sample("disc", issues=issues), 2) == [["annotation-broken", "object 7: as <told>"]]

    def test_nothing(self):
        assert "No object." in parsed(sample()).text_content()

    def test_text_of_strangers(self):
        root = parsed(sample(SCRIPT, key='"><script>\u202e'))
        assert root.xpath("//script") == []
        assert root.xpath("//bdi/text()")[0] == '"><script>\\u202e'


@pytest.fixture(scope="module", name="nasty")
def nasty_fixture(tmp_path_factory):
    return validate(write_nasty_set(tmp_path_factory.mktemp("nasty")))


class TestReport:
    def test_counts(self, tmp_path):
        report = convert(script(tmp_path, [{"key": "a.png", "things": ["good", "good", "crowd"]}]))
        size = (tmp_path / "out/train-00000-of-00001.tfrecord").stat().st_size - 16  # lengths and checksums
        counts = ["1", "0", "2", "1", f"{size} B"]
        assert rows(report, 1) == [["train", *counts], ["all", *counts]]
        assert [row[:3] for row in rows(report, 2)] == [["object-crowd", "warning", "1"]]
        assert rows(report, 3) == [["disc", "1", "2"]]

    def test_no_sizes_where_nothing_was_written(self, nasty):
        assert "size" not in parsed(nasty).xpath("//table[1]//th/text()")

    def test_nothing(self):
        assert parsed(Report()).xpath("string(p)") == "Nothing was found to be wrong in 0 objects of 0 images"
        assert len(parsed(Report()).xpath("//table")) == 1

    def test_text_of_strangers(self, nasty):
        root = parsed(nasty)
        assert root.xpath("//script | //b | //img") == []
        assert SCRIPT in root.xpath("//th/bdi/text()")

    def test_as_many_rows_as_one_reads(self):
        report = Report(classes={f"class {n}": n for n in range(200)})
        report.splits["train"] = Report().total
        report.splits["train"].objects_by_class.update(report.classes | {"class 0": 1})
        assert len(rows(report, 2)) == MOST_ROWS
        assert f"and {200 - MOST_ROWS} more" in parsed(report).text_content()


class TestManifest:
    @pytest.fixture
    def manifest(self, tmp_path):
        pictures = [{"key": f"{n}.png", "things": ["good", "crowd"]} for n in range(3)]
        convert(script(tmp_path, pictures, source={"labels": [SCRIPT, "other"]}))
        return Manifest.read(tmp_path / "out")

    def test_counts(self, manifest):
        assert [row[:5] for row in rows(manifest, 1)] == [[name, "3", "0", "3", "3"] for name in ("train", "all")]
        assert rows(manifest, 2) == [[SCRIPT, "1", "3"], ["other", "2", "0"]]

    def test_how_it_is_stored(self, manifest):
        told = parsed(manifest).xpath("string(p)")
        assert told.startswith("A maskflow data set: layout documented; images PNG of 8 bits, channels: 3; files 1 of ")


def test_nothing_of_it_is_imported_before_it_is_asked_for():
    code = (
        "import sys\nimport maskflow_convert\nfrom maskflow_convert import Sample, Report\n"
        "assert not {'maskflow_convert.scene', 'maskflow_convert.markup'} & sys.modules.keys()\n"
        "assert maskflow_convert.show.__module__ == 'maskflow_convert.scene'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
