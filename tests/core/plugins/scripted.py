"""An adapter whose source says outright what each image and object is, so that a test reads as its own table."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from pydantic import Field

from maskflow_convert import (
    Adapter,
    AdapterOptions,
    Box,
    Entry,
    Image,
    Index,
    InputPath,
    Instance,
    Issue,
    Loss,
    Polygons,
    RecordError,
    Rle,
    Sample,
)

WIDTH, HEIGHT = 8, 6

SCRIPTED = f"{Path(__file__).resolve()}:ScriptedAdapter"

SHAPES = {
    "good": Polygons(parts=((1, 1, 5, 1, 5, 4, 1, 4),)),
    "outside": Polygons(parts=((-3, 1, 5, 1, 5, 4),)),
    "far": Polygons(parts=((1, 1, 1e9, 1, 5, 4),)),
    "line": Polygons(parts=((1, 1, 5, 1),)),
    "empty": Rle(width=WIDTH, height=HEIGHT, counts=(WIDTH * HEIGHT,)),
    "box": Box(x0=2, y0=1, x1=6, y1=3),
}
"""Shapes by the name that a script calls them; others are good ones, `unexpressed` is none."""


class Picture(AdapterOptions):
    key: str
    fault: str | None = None
    things: tuple[str, ...] = ()
    id: int | None = None
    split: str | None = None


class ScriptedOptions(AdapterOptions):
    pictures: tuple[Picture, ...] = Field(description="What there is.")
    labels: tuple[str, ...] = ("disc",)
    folder: InputPath | None = Field(None, description="Where the images lie; omitted: drawn in memory.")
    issues: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The record: a class of this file, so that workers must import the file before they can unpickle it."""

    picture: Picture


class ScriptedAdapter(Adapter[ScriptedOptions, Page]):
    """Does as it is told.

    A second paragraph, which lists show nobody.
    """

    Options = ScriptedOptions

    def index(self) -> Index[Page]:
        entries = [Entry(p.key, Page(p), id=p.id, split=p.split, pixels=WIDTH * HEIGHT) for p in self.options.pictures]
        issues = [Issue(code, "told so", loss=Loss.OBJECT) for code in self.options.issues]
        return Index(entries, self.options.labels, issues)

    def read(self, record: Page) -> Sample:
        picture = record.picture
        match picture.fault:
            case "raises":
                raise ZeroDivisionError("as told")
            case "wrong-type":
                return {"key": picture.key}  # type: ignore[return-value]
            case "broken":
                raise RecordError("as told", Path("notes.txt"), 3)
        things = [(f"{picture.key}/{number}", thing) for number, thing in enumerate(picture.things)]
        return Sample(
            key=picture.key,
            image=self._image(picture),
            instances=tuple(self._instance(name, thing) for name, thing in things if thing != "unexpressed"),
            issues=tuple(Issue("annotation-broken", "as told", object=n) for n, t in things if t == "unexpressed"),
            doubts=(Issue("annotation-missing", "as told"),) if picture.fault == "doubtful" else (),
        )

    def _image(self, picture: Picture) -> Image:
        size = {"width": WIDTH + (picture.fault == "size"), "height": HEIGHT}
        if picture.fault == "missing":
            return Image(path=Path(picture.key).absolute(), **size)
        if self.options.folder is not None:
            return Image(path=self.options.folder / picture.key, **size)
        return Image(data=b"no image" if picture.fault == "unreadable" else png(picture.fault), **size)

    def _instance(self, name: str, thing: str) -> Instance:
        label = "stranger" if thing == "stranger" else self.options.labels[0]
        shape, attributes = SHAPES.get(thing, SHAPES["good"]), {"difficult": thing == "difficult"}
        return Instance(label=label, shape=shape, crowd=thing == "crowd", id=name, attributes=attributes)


def png(fault: str | None = None) -> bytes:
    """The image of every picture; `deep` has 16 bits a sample."""
    file = io.BytesIO()
    image = Pillow.new("I;16", (WIDTH, HEIGHT), 1000) if fault == "deep" else Pillow.new("RGB", (WIDTH, HEIGHT), "teal")
    image.save(file, "PNG")
    return file.getvalue()


def beside(folder: Path) -> str:
    """This file copied into `folder`, since a YAML names no code but what lies beside it; the adapter's name there."""
    copy = folder / "scripted.py"
    copy.write_bytes(Path(__file__).read_bytes())
    return f"{copy.name}:{ScriptedAdapter.__name__}"


def script(folder: Path, pictures: list[dict[str, Any]], *, source: Any = None, **sections: Any) -> Path:
    """A YAML file in `folder` that says `pictures`; it writes to `out` in there, by one process, without shuffling."""
    tree = {
        "sources": [{"adapter": f"./{beside(folder)}", "pictures": pictures, **(source or {})}],
        **sections,
        "output": {"directory": "out", "shuffle": None, **sections.get("output", {})},
        "run": {"executor": "serial", **sections.get("run", {})},
    }
    path = folder / "script.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def records(path: Path) -> list[dict[str, Any]]:
    """The features of each record of a TFRecord file, parsed by TensorFlow."""
    import tensorflow as tf

    return [
        {
            key: (feature.int64_list.value or feature.bytes_list.value)[:]
            for key, feature in tf.train.Example.FromString(raw.numpy()).features.feature.items()
        }
        for raw in tf.data.TFRecordDataset(str(path))
    ]
