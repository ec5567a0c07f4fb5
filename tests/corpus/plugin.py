"""An adapter as somebody might write it in ten minutes: it believes that every file is sound."""

from __future__ import annotations

from maskflow_convert import Adapter, AdapterOptions, Entry, Image, Index, InputPath, Instance, Polygons, Sample


class BoxesOptions(AdapterOptions):
    """Where the images lie, each with a text file beside it."""

    folder: InputPath


class Boxes(Adapter[BoxesOptions, str]):
    """Rectangles, a line each: label, left, top, right, bottom."""

    Options = BoxesOptions

    def index(self) -> Index[str]:
        """The images by name."""
        names = sorted(path.name for path in self.options.folder.glob("*.png"))
        return Index([Entry(name, name) for name in names], labels=["cell", "nucleus", "mitosis"])

    def read(self, record: str) -> Sample:
        """One image and its rectangles."""
        image = self.options.folder / record
        lines = image.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        instances = [_instance(str(number), *line.split()) for number, line in enumerate(lines, start=1)]
        return Sample(key=record, image=Image(path=image), instances=tuple(instances))


def _instance(name: str, label: str, *sides: str) -> Instance:
    left, top, right, bottom = map(float, sides)
    return Instance(label=label, shape=Polygons(parts=((left, top, right, top, right, bottom, left, bottom),)), id=name)
