"""From the labels of the sources to the classes of the data set and their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from maskflow_convert.config import Classes


@dataclass(frozen=True)
class ClassMap:
    """The classes of a data set.

    Attributes:
        names: in the order of their ids.
        first_id: id of the first of them.
        rename: label in a source: name of the class.
    """

    names: tuple[str, ...]
    first_id: int
    rename: Mapping[str, str]

    @classmethod
    def of(cls, settings: Classes, labels: Iterable[Sequence[str]]) -> ClassMap:
        """The classes that the settings name, or else all labels of the sources in their order, each once."""
        found = dict.fromkeys(settings.rename.get(label, label) for source in labels for label in source)
        names = tuple(found) if settings.names is None else settings.names
        return cls(names, settings.first_id, settings.rename)

    def numbered(self) -> dict[str, int]:
        """The id of each class by its name, in the order of the ids."""
        return {name: number for number, name in enumerate(self.names, start=self.first_id)}

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Every label that has a class, renamed ones under both names: the id of the class. Put together once."""
        ids = self.numbered()
        return {**ids, **{label: ids[name] for label, name in self.rename.items() if name in ids}}

    def name_of(self, class_id: int) -> str:
        """The name of the class with that id."""
        return self.names[class_id - self.first_id]
