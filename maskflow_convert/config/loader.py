"""YAML 1.2 to `Config`; whatever is wrong is said with its file, its line, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from maskflow_convert import registry
from maskflow_convert.config.settings import Config, Source
from maskflow_convert.errors import ConfigError
from maskflow_convert.remote import path_of

Location = tuple[str | int, ...]

_MOST_BYTES = 2**20  # 10,000 names of classes of 100 characters each
_MOST_TOKENS = 100_000  # about two seconds
_MOST_NODES = 100_000
_MOST_PROBLEMS = 50
_DEEPEST = 50  # levels; what the parser takes grows with their square
_MOST = 2**64
_SHOWN = 60  # characters of a value that a message quotes
_INIT = "`maskflow-convert init FOLDER` writes one for the annotations in a folder."
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration, with paths in it taken from its own folder.

    Args:
        path: the YAML file.
        overrides: `KEY=VALUE` each, the key dotted (`objects.crowd`, `sources[0].split`), the value YAML; a relative
            path among them is also taken from the folder of the YAML.

    Raises:
        ConfigError: it cannot be read, or says something that it may not; with one line for each problem.
        PluginError: a source names an adapter that cannot be had.
    """
    path = path_of(path)
    tree, places = _read(path)
    for override in overrides:
        location = _apply(tree, override)
        places = {at: place for at, place in places.items() if at[: len(location)] != location}
        places[location] = f"--set {override}"
    return _Validation(path, places).config(tree)


def _read(path: Path) -> tuple[dict[str, Any], dict[Location, str]]:
    """What a file holds, and the place of each value."""
    text = _text(path)
    document = _Document(lambda node: f"{path}:{node.start_mark.line + 1}")
    try:
        tree = document.read(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}:{line}: is not YAML: #x{error.character:04x}: {error.reason}") from error
    except MarkedYAMLError as error:
        place = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else path
        raise ConfigError(f"{place}: is not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from error
    if not isinstance(tree, dict) or (path.suffix == ".json" and "sources" not in tree):
        raise ConfigError(f"{path}: holds no settings; it should begin with 'sources:'. {_INIT}")
    return tree, document.places


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path}: is longer than {_MOST_BYTES:,} bytes, too long for a configuration. {_INIT}")
        return content.decode("utf-8-sig")
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: is a folder, not a YAML file. {_INIT}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error}") from error


class _Scanner(Scanner):
    """Stops at what would take the parser long: it is written in Python."""

    def fetch_more_tokens(self) -> Any:
        super().fetch_more_tokens()
        if len(self.flow_context) + len(self.indents) > _DEEPEST:
            raise self._too_much(f"it is nested more than {_DEEPEST} deep")
        if self.tokens_taken > _MOST_TOKENS:
            raise self._too_much(f"it has more than {_MOST_TOKENS:,} words and signs")

    def _too_much(self, problem: str) -> ScannerError:
        return ScannerError(problem=problem, problem_mark=self.reader.get_mark())


class _Document:
    """One YAML text, as plain values and the place of each."""

    def __init__(self, place: Callable[[Node], str]) -> None:
        self.places: dict[Location, str] = {}
        self._place = place
        self._yaml = YAML(typ="safe", pure=True)
        self._yaml.Scanner = _Scanner
        self._yaml.composer.warn_double_anchors = False  # YAML allows them
        self._nodes = 0

    def read(self, text: str) -> Any:
        """The value of the text; raises `YAMLError` if it is none, `ConfigError` if it may not be."""
        root = self._composed(text)
        return None if root is None else self._value(root, ())

    def _composed(self, text: str) -> Node | None:
        try:
            root: Node | None = self._yaml.compose(text)
        except YAMLError:
            raise
        except Exception as error:  # what ruamel.yaml stumbles over and has no message for, as `%YAML 1.0`
            raise YAMLError(f"{type(error).__name__}: {error}") from error
        return root

    def _value(self, node: Node, at: Location) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise ConfigError(f"{self._place(node)}: more than {_MOST_NODES} values, or aliases that multiply")
        if len(at) > _DEEPEST:
            raise ConfigError(f"{self._place(node)}: is not YAML: it is nested more than {_DEEPEST} deep, or in itself")
        self.places.setdefault(at, self._place(node))
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise ConfigError(f"{self._place(node)}: is not YAML: the tag {node.tag} has no meaning here")
        match node:
            case MappingNode():
                return dict(self._entries(node, at))
            case SequenceNode():
                return [self._value(item, (*at, i)) for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _entries(self, node: MappingNode, at: Location) -> Iterator[tuple[str, Any]]:
        seen: dict[str, str] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            key = self._scalar(key_node) if isinstance(key_node, ScalarNode) else None
            if not isinstance(key, str):
                raise ConfigError(f"{place}: a key must be a word; put it in quotes if it is meant as one")
            if key in seen:
                raise ConfigError(f"{place}: key '{key}' stands here and at {seen[key]}")
            seen[key] = self.places[(*at, key)] = place
            yield key, self._value(value_node, (*at, key))

    def _scalar(self, node: Node) -> Any:
        try:
            value = self._yaml.constructor.construct_object(node)
        except (ValueError, LookupError) as error:  # a date that is none, a number of more digits than Python takes
            raise _no_value(node, str(error)) from error
        if isinstance(value, int) and abs(value) > _MOST:
            raise _no_value(node, "the number does not fit into 64 bits")
        if isinstance(value, str) and not _is_writable(value):
            raise _no_value(node, "it holds half a character, a lone surrogate")
        return value


def _no_value(node: Node, why: str) -> MarkedYAMLError:
    return MarkedYAMLError(problem=f"{_cut(node.value)!r}: {why}", problem_mark=node.start_mark)


def _cut(text: str) -> str:
    """The text as messages quote it."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _is_writable(text: str) -> bool:
    """Whether a text can be written to a file; the bytes in names of files that are no text can."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _apply(tree: dict[str, Any], override: str) -> Location:
    """Set one `KEY=VALUE` in the tree, making the mappings on the way to it."""
    key, equals, text = override.partition("=")
    steps = re.findall(r"[^.\[\]]+", key)
    if not equals or not steps:
        raise ConfigError(f"--set {override}: write KEY=VALUE, as in objects.crowd=keep")
    try:
        value = _Document(lambda node: f"--set {override}").read(text)
    except YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML") from error
    branch: Any = tree
    location: Location = ()
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        index: str | int = int(step) if isinstance(branch, list) and step.isdecimal() else step
        exists = isinstance(branch, dict) or (isinstance(index, int) and index < len(branch))
        if not exists:
            raise ConfigError(f"--set {override}: there is no {_dotted((*location, index))}")
        location = (*location, index)
        if following is None:
            branch[index] = value
        else:
            if isinstance(branch, dict) and branch.get(index) is None:
                branch[index] = {}
            branch = branch[index]
    return location


class _Validation:
    """Judges the values of one file; knows where each of them stands."""

    def __init__(self, path: Path, places: Mapping[Location, str]) -> None:
        self.path = path
        self.base = path.parent.resolve()
        self.places = places
        self.problems: list[str] = []

    def config(self, tree: Mapping[str, Any]) -> Config:
        listed = tree.get("sources")
        sources = [self._source(i, s) for i, s in enumerate(listed)] if isinstance(listed, list) else listed
        try:
            config = Config.model_validate(
                {**tree, **({"sources": sources} if "sources" in tree else {})}, context={"base": self.base}
            )
        except ValidationError as error:
            sources_told = bool(self.problems)
            self.problems += [
                self._told(detail, Config)
                for detail in error.errors()
                if not (sources_told and detail["loc"][:1] == ("sources",))
                and not (detail["type"] == "too_short" and detail["loc"] == ("sources",) and sources)
            ]
        if self.problems:
            untold = len(self.problems) - _MOST_PROBLEMS
            more = [f"{self.path}: {untold:,} more problems"] if untold > 0 else []
            raise ConfigError(*self.problems[:_MOST_PROBLEMS], *more)
        return config

    def _source(self, number: int, source: object) -> Source | object:
        at: Location = ("sources", number)
        if not isinstance(source, Mapping) or not isinstance(source.get("adapter"), str):
            self.problems.append(self._at(at) + f"sources[{number}]: name the format, as in 'adapter: coco'")
            return None
        reference = registry.absolute(source["adapter"], self.base)
        if registry.is_file_outside(reference, self.base):
            self.problems.append(
                self._at((*at, "adapter"))
                + f"sources[{number}]: {reference} lies outside the folder of this YAML, and "
                "code is loaded from there only; put the two into one folder, or make the adapter a package (see "
                "`maskflow-convert adapters new`)"
            )
            return None
        options_class = registry.load(reference).Options
        own = {key: value for key, value in source.items() if key not in ("adapter", "split")}
        try:
            options = options_class.model_validate(own, context={"base": self.base})
        except ValidationError as error:
            extra = ("adapter", "split")
            self.problems += [self._told(detail, options_class, at, extra) for detail in error.errors()]
            return None
        return {"adapter": reference, "split": source.get("split"), "options": options}

    def _told(
        self, detail: ErrorDetails, model: type[BaseModel], at: Location = (), more_keys: tuple[str, ...] = ()
    ) -> str:
        """One problem as a line of text: where, what, and what was probably meant."""
        within = tuple(step for step in detail["loc"] if step not in ("[key]", "shares"))
        location = (*at, *within)
        parent, key = location[:-1], location[-1] if location else ""
        match detail["type"]:
            case "extra_forbidden":
                known = [*_keys(model, within[:-1]), *more_keys]
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
                return self._at(location) + _prefix(parent) + f"unknown key '{key}'{hint}"
            case "missing":
                return self._at(location) + _prefix(parent) + f"key '{key}' is missing"
            case "value_error":
                return self._at(location) + _prefix(location) + detail["msg"].removeprefix("Value error, ")
            case _:
                message = detail["msg"][0].lower() + detail["msg"][1:]
                return self._at(location) + _prefix(location) + f"{_cut(repr(detail['input']))}: {message}"

    def _at(self, location: Location) -> str:
        while location and location not in self.places:
            location = location[:-1]
        return f"{self.places.get(location, self.path) if location else self.path}: "


def _keys(model: type[BaseModel], within: Location) -> list[str]:
    """The keys that the model inside `model` at that location may have."""
    for step in within:
        annotation = model.model_fields[str(step)].annotation if step in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _prefix(location: Location) -> str:
    return f"{_dotted(location)}: " if location else ""


def _dotted(location: Location) -> str:
    """`sources[0].annotations`."""
    return re.sub(r"\.\[", "[", ".".join(f"[{step}]" if isinstance(step, int) else step for step in location))
