"""YAML 1.2 to `Config`; whatever is wrong is said with its file, its line, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from maskflow_convert import registry
from maskflow_convert.config.settings import Config, Source
from maskflow_convert.errors import ConfigError

Location = tuple[str | int, ...]

_MOST_NODES = 100_000
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
    path = Path(path)
    tree, places = _Document(path).read()
    for override in overrides:
        location = _apply(tree, override)
        places = {at: place for at, place in places.items() if at[: len(location)] != location}
        places[location] = f"--set {override}"
    return _Validation(path, places).config(tree)


class _Document:
    """One YAML file, as plain values and the place of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[Location, str] = {}
        self._yaml = YAML(typ="safe", pure=True)
        self._nodes = 0

    def read(self) -> tuple[dict[str, Any], dict[Location, str]]:
        try:
            root = self._yaml.compose(self.path.read_text(encoding="utf-8-sig"))
            tree = self._value(root, ()) if root is not None else None
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.path}: is not UTF-8 text: {error}") from error
        except MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigError(f"{self.path}{line}: is no YAML: {error.problem or error.context}") from error
        except (YAMLError, RecursionError, ValueError, LookupError) as error:
            raise ConfigError(f"{self.path}: is no YAML: {error}") from error
        if not isinstance(tree, dict):
            raise ConfigError(f"{self.path}: holds no settings; it should begin with 'sources:'")
        return tree, self.places

    def _value(self, node: Node, at: Location) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise ConfigError(f"{self._place(node)}: more than {_MOST_NODES} values, or aliases that multiply")
        self.places.setdefault(at, self._place(node))
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise ConfigError(f"{self._place(node)}: is no YAML: the tag {node.tag} has no meaning here")
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
        return self._yaml.constructor.construct_object(node)

    def _place(self, node: Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"


def _apply(tree: dict[str, Any], override: str) -> Location:
    """Set one `KEY=VALUE` in the tree, making the mappings on the way to it."""
    key, equals, text = override.partition("=")
    steps = re.findall(r"[^.\[\]]+", key)
    if not equals or not steps:
        raise ConfigError(f"--set {override}: write KEY=VALUE, as in objects.crowd=keep")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError, LookupError) as error:
        raise ConfigError(f"--set {override}: the value is no YAML") from error
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
            raise ConfigError(*self.problems)
        return config

    def _source(self, number: int, source: object) -> Source | object:
        at: Location = ("sources", number)
        if not isinstance(source, Mapping) or not isinstance(source.get("adapter"), str):
            self.problems.append(self._at(at) + f"sources[{number}]: name the format, as in 'adapter: coco'")
            return None
        reference = registry.absolute(source["adapter"], self.base)
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
                return self._at(location) + _prefix(location) + f"{detail['input']!r}: {message}"

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
