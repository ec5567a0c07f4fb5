"""Previews are taken of the repository's own data set, whose annotations are right, and of the records made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from PIL import Image

from core.plugins.scripted import script
from maskflow_convert import convert, load_config, reporting
from maskflow_convert.classes import ClassMap
from maskflow_convert.cli import main
from maskflow_convert.errors import ConfigError
from maskflow_convert.pipeline import OnProgress
from maskflow_convert.preview import GALLERY_SIDE, SIDE, Choice, Preview, preview_annotations, preview_records
from maskflow_convert.records import Records
from maskflow_convert.tfrecord import Compression, ShardWriter
from nasty import QUOTED, SCRIPT, write_nasty_set

CONFIG = Path(__file__).parents[2] / "configs" / "coco.yaml"
ALL = Choice()


@pytest.fixture(scope="module", params=["documented", "rows_first"])
def written(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written") / request.param
    convert(load_config(CONFIG, [f"output.directory={folder}", f"output.layout={request.param}"]))
    return folder


def by_name(previews: Iterable[Preview]) -> dict[str, Preview]:
    return {preview.name.rpartition("/")[2]: preview for preview in previews}


def annotated(choice: Choice = ALL, *overrides: str) -> dict[str, Preview]:
    return by_name(preview_annotations(load_config(CONFIG, overrides), choice))


class TestSameEitherWay:
    def test_masks_and_classes(self, written):
        before = annotated(ALL, "objects.crowd=keep")
        after = by_name(preview_records(Records.find(written), Choice()))
        assert after.keys() == before.keys()
        for name, preview in after.items():
            kept = [thing for thing in before[name].scene.things if thing.name != "34"]  # the crowd is not written
            assert [thing.label for thing in preview.scene.things] == [thing.label for thing in kept]
            for one, other in zip(preview.scene.things, kept, strict=True):
                assert (one.mask.to_dense() == other.mask.to_dense()).all()
            assert preview.split == before[name].split

    def test_pictures(self, written):
        before = annotated()
        for name, preview in by_name(preview_records(Records.find(written), Choice())).items():
            if name.endswith(".png") and name not in ("crowd-111.png", "grey-107.png"):
                assert (preview.drawn(300) == before[name].drawn(300)).all(), name

    def test_the_wrong_layout_is_seen(self, written, tmp_path):
        manifest = json.loads((written / "dataset.json").read_text())
        for path in written.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        other = {"documented": "rows_first", "rows_first": "documented"}[manifest["layout"]]
        (tmp_path / "dataset.json").write_text(json.dumps({**manifest, "layout": other}))
        [right], [wrong] = (
            [each for each in preview_records(Records.find(folder), Choice()) if each.name == "scene-102.jpg"]
            for folder in (written, tmp_path)
        )
        assert (right.bare(300) == wrong.bare(300)).all()
        assert (right.drawn(300) != wrong.drawn(300)).any()


class TestChoice:
    def test_limit(self):
        assert len(annotated(Choice(limit=3))) == 3

    def test_seed(self):
        first, again, other = (list(annotated(Choice(limit=4, seed=seed))) for seed in (0, 0, 1))
        assert first == again != other

    def test_seed_of_records(self, written):
        names = [
            [preview.name for preview in preview_records(Records.find(written), Choice(limit=4, seed=seed))]
            for seed in (0, 0, 1)
        ]
        assert names[0] == names[1] != names[2]

    def test_only_a_class(self, written):
        choice = Choice(only=frozenset({"square"}))
        for previews in (annotated(choice), by_name(preview_records(Records.find(written), choice))):
            assert previews
            assert {label for preview in previews.values() for label in preview.labels} == {"square"}

    def test_only_a_class_that_nothing_has(self):
        assert annotated(Choice(only=frozenset({"cone"})), "classes.names=[circle, square, triangle, cone]") == {}

    @pytest.mark.parametrize(
        ("name", "hint"), [("sqare", "did you mean 'square'"), ("x", "there are circle, square, triangle")]
    )
    def test_only_a_class_that_there_is_not(self, written, name, hint):
        choice = Choice(only=frozenset({name}))
        with pytest.raises(ConfigError, match=f"--only {name}: there is no such class; {hint}"):
            annotated(choice)
        with pytest.raises(ConfigError, match=hint):
            list(preview_records(Records.find(written), choice))

    def test_classes_are_called_as_they_will_be(self):
        [preview, *_] = annotated(Choice(only=frozenset({"box"})), "classes.rename={square: box}").values()
        assert set(preview.labels) == {"box"}

    def test_only_issues(self):
        previews = annotated(Choice(issues=True))
        assert set(previews) == {"crowd-111.png", "empty-108.png"}
        assert [issue.code for issue in previews["empty-108.png"].issues] == ["image-without-objects"]
        preview = previews["crowd-111.png"]
        assert [issue.code for issue in preview.issues] == ["object-crowd"]
        assert [thing.name for thing in preview.scene.things] == ["34"]

    def test_only_issues_of_records(self, written):
        assert by_name(preview_records(Records.find(written), Choice(issues=True))) == {}


class TestWhatCannotBeShown:
    @pytest.mark.parametrize("fault", ["raises", "wrong-type", "broken", "missing", "unreadable"])
    def test_images(self, tmp_path, fault):
        path = script(tmp_path, [{"key": "a.png", "fault": fault}, {"key": "b.png", "things": ["good"]}])
        assert list(by_name(preview_annotations(load_config(path), Choice()))) == ["b.png"]

    def test_records(self, tmp_path):
        path = tmp_path / "broken.tfrecord"
        with ShardWriter(path, Compression.NONE) as writer:
            writer.write(b"no record")
        assert list(preview_records(Records.find(path), Choice(), "documented")) == []

    def test_records_of_a_layout_that_nothing_tells(self, written, tmp_path):
        loose = shutil.copy(next(written.glob("train-*.tfrecord")), tmp_path)
        with pytest.raises(ConfigError, match="say layout documented or layout rows_first"):
            list(preview_records(Records.find(loose), Choice()))
        shown = by_name(preview_records(Records.find(loose), Choice(), "documented"))
        assert shown.keys() <= by_name(preview_records(Records.find(written), Choice())).keys()
        assert shown


class TestPictures:
    def test_sizes(self):
        preview = annotated()["scene-102.jpg"]
        with Image.open(BytesIO(preview.png())) as image:
            assert image.format == "PNG"
            assert max(image.size) <= SIDE
        bare, drawn = (np.asarray(Image.open(BytesIO(jpeg))) for jpeg in preview.jpegs())
        assert bare.shape == drawn.shape == (GALLERY_SIDE * 3 // 4, GALLERY_SIDE, 3)


class TestCommand:
    def test_files(self, tmp_path, capsys):
        assert main(["preview", str(CONFIG), "--output", str(tmp_path / "out"), "--limit", "2"]) == 0
        assert capsys.readouterr().out == f"Drew 2 images; open {tmp_path / 'out' / 'index.html'} in a browser.\n"
        first, second, page = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert (first[:5], second[:5], page) == ("0001-", "0002-", "index.html")

    def test_of_records(self, written, tmp_path):
        arguments = ["--output", str(tmp_path / "out"), "--only", "circle", "--only", "square", "--seed", "3"]
        assert main(["preview", str(written), *arguments]) == 0
        root = html.document_fromstring((tmp_path / "out" / "index.html").read_text(encoding="ascii"))
        assert root.xpath("//select[@name='class']/option/@value") == ["", "circle", "square"]

    def test_names_of_strangers(self, tmp_path, capsys):
        path = write_nasty_set(tmp_path)
        assert main(["preview", str(path), "--output", str(tmp_path / "out"), "--issues"]) == 0
        text = (tmp_path / "out" / "index.html").read_text(encoding="ascii")
        root = html.document_fromstring(text)
        assert len(root.xpath("//script")) == 1
        assert QUOTED in root.xpath("//p[@class='names']/bdi/text()")
        values = root.xpath("//select[@name='class']/option/@value")
        assert SCRIPT in values
        assert {label for each in root.xpath("//@data-classes") for label in json.loads(each)} == {*values} - {""}
        files = [each.name for each in (tmp_path / "out").glob("*.png")]
        assert len(files) == len(root.xpath("//li[@class='tile']"))
        assert all(name.replace("-", "").replace(".", "").isalnum() for name in files)

    def test_nothing(self, tmp_path, capsys):
        arguments = ["--only", "cone", "--set", "classes.names=[circle, square, triangle, cone]"]
        assert main(["preview", str(CONFIG), "--output", str(tmp_path), *arguments]) == 0
        assert capsys.readouterr().out == "No image matches, so none was drawn.\n"
        assert "0 objects in 0 images" in (tmp_path / "index.html").read_text(encoding="ascii")

    def test_an_earlier_preview_is_replaced(self, tmp_path):
        """A picture of it would be taken for one of these; what is somebody else's stays."""
        (tmp_path / "0001-mine.png").write_bytes(b"\x89PNG\r\n\x1a\n mine")
        Image.new("RGB", (4, 4)).save(tmp_path / "0002-mine.png")
        arguments = ["preview", str(CONFIG), "--output", str(tmp_path)]
        assert main([*arguments, "--limit", "5"]) == 0
        before = {path.name for path in tmp_path.iterdir()}
        assert len(before) == 5 + 1 + 2
        assert main([*arguments, "--limit", "2", "--seed", "3"]) == 0
        after = {path.name for path in tmp_path.iterdir()}
        assert len(after) == 2 + 1 + 2
        assert {"0001-mine.png", "0002-mine.png", "index.html"} == before & after
        assert (tmp_path / "index.html").read_text(encoding="ascii").count('<li class="tile"') == 2

    @pytest.mark.parametrize("kind", [".html", ".png"])
    def test_what_is_somebody_elses_is_not_replaced(self, tmp_path, capsys, kind):
        assert main(["preview", str(CONFIG), "--output", str(tmp_path / "first"), "--limit", "1"]) == 0
        [name] = (path.name for path in (tmp_path / "first").glob(f"*{kind}"))
        (tmp_path / name).write_bytes(b"mine")
        capsys.readouterr()
        assert main(["preview", str(CONFIG), "--output", str(tmp_path), "--limit", "1"]) == 5
        told = "was not drawn by a preview, or was changed since; choose another --output"
        assert capsys.readouterr().err == f"maskflow-convert: {tmp_path / name}: {told}\n"
        assert (tmp_path / name).read_bytes() == b"mine"

    def test_a_card_is_not_replaced(self, written, capsys):
        before = (written / "index.html").read_bytes()
        assert main(["preview", str(written), "--output", str(written)]) == 5
        assert (written / "index.html").read_bytes() == before
        assert not list(written.glob("0001-*"))

    def test_progress(self, written, tmp_path, monkeypatch):
        """On a terminal: of the images or records that are looked at, which are 12."""
        seen: list[tuple[int, int]] = []

        @contextmanager
        def bar() -> Iterator[OnProgress]:
            yield lambda done, total: seen.append((done, total))

        monkeypatch.setattr(reporting, "progress_bar", bar)
        for subject in (written, CONFIG):
            seen.clear()
            assert main(["preview", str(subject), "--output", str(tmp_path), "--only", "square"]) == 0
            assert seen == [(number, 12) for number in range(1, 13)]

    def test_names_that_the_font_cannot_write_have_a_legend(self, tmp_path):
        """The seventh class is called so, and one image has an object of it."""
        assert main(["preview", str(write_nasty_set(tmp_path)), "--output", str(tmp_path / "out")]) == 0
        root = html.document_fromstring((tmp_path / "out" / "index.html").read_text(encoding="ascii"))
        told = " ".join(root.xpath("//p[@class='quiet']/bdi/text()"))
        assert told.count("細胞 (id 7) 1") == 1
        assert "cell (" not in told

    def test_folder_that_cannot_be_made(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert main(["preview", str(CONFIG), "--output", str(tmp_path / "file" / "out")]) == 5
        assert "cannot be written" in capsys.readouterr().err

    def test_usage(self, tmp_path, capsys):
        assert main(["preview", str(CONFIG), str(CONFIG)]) == 2


class TestManyClasses:
    """The classes of a data set are put together once, not for each record or image."""

    def test_of_records(self, written):
        records = Records.find(written)

        class Watched(list[Any]):
            times = 0

            def __iter__(self):
                Watched.times += 1
                return super().__iter__()

        classes = Watched(records.manifest.classes)
        watched = replace(records, manifest=records.manifest.model_copy(update={"classes": classes}))
        assert len(list(preview_records(watched, Choice()))) == 12
        assert Watched.times == 1

    def test_of_images(self, monkeypatch):
        made = []
        numbered = ClassMap.numbered
        monkeypatch.setattr(ClassMap, "numbered", lambda classes: (made.append(1), numbered(classes))[1])

        def times(limit: int) -> int:
            made.clear()
            assert len(annotated(Choice(limit=limit))) == limit
            return len(made)

        assert times(9) == times(1)

    def test_issues_are_those_of_the_image(self):
        """One examiner looks at all images."""
        shown = preview_annotations(load_config(CONFIG, ["objects.crowd=skip"]), Choice(issues=True))
        assert {preview.name: {issue.record for issue in preview.issues} for preview in shown} == {
            "crowd-111.png": {"crowd-111.png"},
            "empty-108.png": {"empty-108.png"},
        }
