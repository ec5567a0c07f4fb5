"""An adapter that keeps its contract but for the one fault that it is told to have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from maskflow_convert import Adapter, AdapterOptions, Entry, Image, Index, InputPath, Instance, Polygons, Sample
from maskflow_convert.errors import RecordError


class CarelessOptions(AdapterOptions):
    folder: InputPath
    fault: str = ""


class LaxOptions(CarelessOptions, extra="allow"):
    """Options that take whatever they are given."""


class Careless(Adapter[CarelessOptions, Any]):
    """Images of 6 x 4 pixels, each with a text file: the label of a rectangle in it, if there is one."""

    Options = CarelessOptions

    def index(self) -> Index[Any]:
        self.labels = ["cell", "nucleus"]
        self.reads = 0
        names = [name for name in self._listed() if name.endswith(".png")]
        match self.options.fault:
            case "unlisted label":
                self.labels = ["cell"]
            case "no image":
                names = []
            case "image left out":
                names = names[1:]
            case "same key":
                names = [names[0] for _ in names]
            case "keys in the order of a set":
                keys = {f"{name}-{n}" for name in names for n in range(20)}
                return Index([Entry(key, key.partition("-")[0]) for key in keys], self.labels)
            case "record that does not pickle":
                return Index([Entry(name, lambda: 1) for name in names], self.labels)
        return Index([Entry("" if self.options.fault == "empty key" else n, n) for n in names], self.labels)

    def _listed(self) -> list[str]:
        match self.options.fault:
            case "os.listdir":
                return os.listdir(self.options.folder)  # noqa: PTH208
            case "os.scandir":
                with os.scandir(self.options.folder) as entries:
                    return [entry.name for entry in entries]
            case "os.walk":
                return [name for _, _, names in os.walk(self.options.folder) for name in names]
            case "Path.glob":
                return [path.name for path in self.options.folder.glob("*.png")]
            case "Path.rglob":
                return [path.name for path in self.options.folder.rglob("*.png")]
            case "Path.iterdir":
                return [path.name for path in self.options.folder.iterdir()]
        return sorted(path.name for path in self.options.folder.iterdir())

    def read(self, record: str) -> Sample:
        fault = self.options.fault
        notes = (self.options.folder / record).with_suffix(".txt")
        label = notes.read_text().strip()
        if label == "?" and fault != "silent":
            raise RecordError("has no label", None if fault == "no place" else notes, 1)
        if fault == "state":
            label = self.labels[0] and label
        if fault == "what was read before":
            self.reads = getattr(self, "reads", 0) + 1
        if fault == "sample of another type":
            return {"key": record}  # type: ignore[return-value]
        return Sample(
            key="x" if fault == "key of the sample" else record,
            image=Image(path=self.options.folder / record),
            instances=self._instances(label) if label else (),
        )

    def _instances(self, label: str) -> tuple[Instance, ...]:
        x = 2 if self.options.fault == "shifted" else 1
        corners = (x, 1, x + 3, 1, x + 3, 3, x, 3)
        shape = Polygons(parts=(corners,))
        if self.options.fault == "other rasteriser":
            shape = Polygons(parts=(corners,), rasteriser="labelme")
        instance = Instance(
            label="cell" if self.options.fault == "label" else label, shape=shape, attributes={"n": self.reads_before()}
        )
        return (instance, instance) if self.options.fault == "twice" else (instance,)

    def reads_before(self) -> int:
        return getattr(self, "reads", 0) if self.options.fault == "what was read before" else 0


class Lax(Careless):
    """As the careless one, with options that refuse nothing."""

    Options = LaxOptions


def draw(folder: Path, **labels: str) -> Path:
    """Images, and a text file beside each that says its label."""
    for name, label in labels.items():
        Pillow.new("RGB", (6, 4)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(label)
    return folder
