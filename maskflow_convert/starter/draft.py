"""The text of a YAML for a data set that was found: it converts as it stands, and says why it is as it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from maskflow_convert import registry
from maskflow_convert.catalogue import CATALOGUE
from maskflow_convert.characters import visible
from maskflow_convert.config import Source
from maskflow_convert.errors import ConfigError, OutputError
from maskflow_convert.plan import DEFAULT_SPLIT
from maskflow_convert.remote import RemotePath
from maskflow_convert.starter.look import Look, Needs
from maskflow_convert.starter.search import Candidate, Search, left_out_lines

_WIDTH = 118
_COLUMN = 36  # that comments behind a line begin after
_MOST_CLASSES = 100  # that a comment lists
_WORTH_SPLITTING = 10  # images
_SHARES = "splits: {train: 0.8, val: 0.2, seed: 7}"
_PLAIN = re.compile(r"[\w./][\w./ +@=-]*", re.ASCII)
_NOT_EVERYWHERE_TEXT = ("yes", "no", "on", "off", "y", "n")  # for which older programs say true and false


def new_file(folder: Path, output: Path | None, *, overwrite: bool) -> Path:
    """Where the YAML of a folder goes, absolute: the output named, or the working directory, called after the folder.

    Raises:
        ConfigError: it would not be known as a YAML by its name.
        OutputError: there is such a file, and it is not to be replaced.
    """
    name = re.sub(r"[^\w.-]+", "-", Path(os.path.realpath(folder)).name).strip("-.") or "maskflow"
    path = (Path(f"{name}.yaml") if output is None else output).absolute()
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--output {output}: the name of a configuration ends in .yaml")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} is there already; choose another --output, or give --overwrite")
    return Path(os.path.realpath(path.parent)) / path.name


@dataclass(frozen=True)
class Draft:
    """All that the text is made of: the file that it is for, what is converted, and what was seen of it.

    `schema` is the file of the JSON Schema that editors are to use, beside that file.
    """

    path: Path
    found: Search
    chosen: Sequence[Candidate]
    look: Look | None
    schema: str | None

    @property
    def records(self) -> str:
        """The output directory, beside the YAML."""
        return f"{self.path.stem}-records"

    @property
    def sources(self) -> Sequence[Source]:
        """The sources of all that is converted."""
        return [source for candidate in self.chosen for source in candidate.sources]

    def text(self) -> str:
        """The YAML."""
        sections = (
            self._head(),
            self._sources(),
            self._classes(),
            self._splits(),
            self._image(),
            self._objects(),
            self._on_error(),
            self._output(),
            self._proposals(),
        )
        return "\n".join("".join(f"{line}\n" for line in lines) for section in sections if (lines := list(section)))

    def _head(self) -> Iterator[str]:
        if self.schema is not None:
            yield f"# yaml-language-server: $schema={self.schema}"
            yield "#"
        root = self.found.tree.root
        yield from _comment(f"{root.name or root} to TFRecords, as `maskflow-convert init` found it. Begin with:")
        yield "#"
        yield f"#     maskflow-convert convert {visible(shlex.quote(self.path.name))}"
        yield "#"
        for candidate in self.chosen:
            yield from _comment(f"{root.name if candidate.name == '.' else candidate.name}: {candidate.found.reason}.")
            for note in candidate.found.notes:
                yield from _comment(note)
        if self.look is not None and not self.look.needs.opens_images:
            yield from _comment(without_images(self.look))
        for line in left_out_lines(self.found):
            yield from _comment(f"Left out: {line}.")
        yield from _comment("Paths are relative to this file.")

    def _sources(self) -> Iterator[str]:
        yield "sources:"
        explained: set[tuple[str, str]] = set()
        for source in self.sources:
            yield f"  - adapter: {scalar(source.adapter)}"
            for key, text in _options(source, self.path.parent):
                meaning = None if (source.adapter, key) in explained else _meaning(source, key)
                explained.add((source.adapter, key))
                yield from _explained(f"    {scalar(key)}: {text}", meaning)

    def _classes(self) -> Iterator[str]:
        if self.look is None or not self.look.classes:
            return
        names = self.look.classes
        if any(list(labels) != list(names) for labels in self.look.labels):
            yield from _comment("The sources list different classes. These are all, and their ids are in this order.")
            yield "classes:"
            yield from _wrapped("  names: [", map(scalar, names), "]")
        else:
            shown = ", ".join([*map(scalar, names[:_MOST_CLASSES]), *(["..."] if len(names) > _MOST_CLASSES else [])])
            several = f"The {len(names)} classes are numbered from 1, as the source lists them: {shown}."
            yield from _comment(several if len(names) > 1 else f"The one class is number 1: {shown}.")
            yield from _comment("For others, or another order: `classes: {names: [...], unknown: skip}`.")
        if alike := _alike(names):
            renamed = ", ".join(f"{scalar(one)}: {scalar(other)}" for one, other in alike.items())
            yield from _comment(
                f"Some differ in case or spaces only. To make one of them: `classes: {{rename: {{{renamed}}}}}`."
            )

    def _splits(self) -> Iterator[str]:
        splits = {source.split for source in self.sources}
        if len(splits) > 1:
            if None in splits:
                yield from _comment("The images of a source without `split` go to `train`.")
        elif None not in splits:
            yield from _comment(
                f"All is in the split `{splits.pop()}`, as it is called so. To draw splits from it, delete `split` "
                f"above, and write `{_SHARES}`."
            )
        elif self.look is not None and list(self.look.images) != [DEFAULT_SPLIT]:
            yield from _comment(f"The source itself says which image is in which split: {', '.join(self.look.images)}.")
        elif self.look is not None and self.look.total < _WORTH_SPLITTING:
            yield from _comment(f"All images go to `{DEFAULT_SPLIT}`, as they are few. To split them: `{_SHARES}`.")
        else:
            yield from _comment("An image goes where a hash of its name says, so that adding images moves no other.")
            yield _SHARES

    def _image(self) -> Iterator[str]:
        needs = self.look.needs if self.look is not None else Needs()
        lines: list[str] = []
        if needs.ids == "sequential":
            lines += _explained("  ids: sequential", "sources use the same ids twice; dataset.json says which is which")
        if needs.depth == 16:
            lines += _explained("  depth: 16", "there are images of 16 bits a sample, of which 8 would be lost")
        yield from ["image:", *lines] if lines else []

    def _objects(self) -> Iterator[str]:
        if self.look is None or self.look.needs.boxes == "error":
            return
        yield "objects:"
        if self.look.needs.boxes == "rectangle":
            told = "there are boxes and no masks: each box is taken for the object; `skip` leaves them out"
        else:
            told = (
                f"{self.look.boxes:,} of {self.look.objects:,} objects have no mask; `rectangle` takes the box for it"
            )
        yield from _explained(f"  boxes: {self.look.needs.boxes}", told)

    def _on_error(self) -> Iterator[str]:
        if self.look is None:
            yield from _comment("It was not looked through, as that takes long: `maskflow-convert validate` does.")
        elif self.look.errors:
            yield from _comment(f"Errors that a conversion stops at, unless told otherwise; in {seen(self.look)}:")
            for code, count in self.look.errors.most_common():
                yield from _comment(f"{code}, {count:,}: {CATALOGUE[code].meaning}", indent="  ")
            yield from _comment(
                "What is faulty is left out and listed. `maskflow-convert validate` shows each with its place; once "
                "they are corrected, delete this line."
            )
            yield "on_error: skip-object"

    def _output(self) -> Iterator[str]:
        yield "output:"
        yield from _explained(f"  directory: {scalar(self.records)}", "relative to this file, as all paths are")

    def _proposals(self) -> Iterator[str]:
        yield "# Often wanted too:"
        if self.look is None or not self.look.errors:
            yield from _explained("#   on_error: skip-object", "go on without a faulty object, rather than stop at it")
        if self.look is None or self.look.needs.boxes == "error":
            yield from _explained("#   objects: {crowd: keep}", "what becomes of crowd regions")
        yield from _explained("#   run: {workers: 4}", "how many processes do the work")


def without_images(look: Look) -> str:
    """What can be done where not one image was found."""
    possible = "only `convert --dry-run` goes through" if look.written else "nothing can be converted"
    return f"Not one image was found: until they are there, {possible}."


def seen(look: Look) -> str:
    """How much was looked at."""
    if look.examined == look.total:
        return f"{look.total:,} image" if look.total == 1 else f"all {look.total:,} images"
    return f"{look.examined:,} of {look.total:,} images, drawn from all"


def _alike(names: Sequence[str]) -> Mapping[str, str]:
    """Names that an earlier one is like but for case and white space, and that one."""
    first: dict[str, str] = {}
    pairs = {name: first.setdefault("".join(name.split()).casefold(), name) for name in names}
    return {name: other for name, other in pairs.items() if name != other}


def scalar(text: str) -> str:
    """A text as YAML: plain where no program could take it for something else, else in quotes."""
    is_plain = _PLAIN.fullmatch(text) and not text.endswith(" ") and text.lower() not in _NOT_EVERYWHERE_TEXT
    if is_plain and YAML(typ="safe", pure=True).load(text) == text:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else f"\\U{ord(character):08x}"


def _options(source: Source, base: Path) -> Iterator[tuple[str, str]]:
    """What the YAML says of a source beside its adapter, as it is written there."""
    for key, value in source.options.model_dump(exclude_unset=True).items():
        yield key, _written(value, base)
    if source.split is not None:
        yield "split", scalar(source.split)


def _written(value: object, base: Path) -> str:
    match value:
        case RemotePath():
            return scalar(str(value))
        case Path():
            return scalar(_relative(value, base))
        case str():
            return scalar(value)
        case Mapping():
            return "{" + ", ".join(f"{scalar(str(key))}: {_written(each, base)}" for key, each in value.items()) + "}"
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_written(each, base) for each in value) + "]"
    return json.dumps(value, default=str)


def _relative(path: Path, base: Path) -> str:
    """A path as it is seen from a folder; as it is where the two have nothing in common."""
    try:
        if Path(os.path.commonpath([path, base])) == Path(path.anchor):
            return path.as_posix()
        text = Path(os.path.relpath(path, base)).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()
    return f"./{text}" if text.startswith("~") else text


def _meaning(source: Source, key: str) -> str | None:
    if key == "split":
        return "where all its images go"
    field = registry.load(source.adapter).Options.model_fields.get(key)
    return field.description.partition("; omitted")[0] if field and field.description else None


def _explained(line: str, meaning: str | None) -> Iterator[str]:
    """A line with a comment behind it, or before it where it is long."""
    if meaning is None:
        yield line
    elif len(behind := f"{line:<{_COLUMN}}  # {visible(meaning)}") <= _WIDTH:
        yield behind
    else:
        yield from _comment(meaning, indent=" " * (len(line) - len(line.lstrip())), within=False)
        yield line


def _comment(text: str, indent: str = "", *, within: bool = True) -> Iterator[str]:
    """A comment of as many lines as it takes; the indent stands within it or before it."""
    before = f"# {indent}" if within else f"{indent}# "
    for line in textwrap.wrap(visible(text), _WIDTH - len(before), break_long_words=False, break_on_hyphens=False):
        yield before + line


def _wrapped(before: str, words: Iterable[str], after: str) -> Iterator[str]:
    """A list in as many lines as it takes."""
    lines = [before]
    for number, word in enumerate(words):
        comma = ", " if number else ""
        if len(lines[-1]) + len(comma) + len(word) >= _WIDTH and number:
            lines[-1] += ","
            lines.append(" " * (len(before) - len(before.lstrip()) + 2))
            comma = ""
        lines[-1] += comma + word
    lines[-1] += after
    yield from lines
