"""What is written and read, for programs: JSON Schemas of the configuration and of a sample, and the record's features.

Editors complete and explain a YAML by the schema of the configuration. It holds the options of all adapters that are
installed, so it is another one where others are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from maskflow_convert import registry
from maskflow_convert.config import Config
from maskflow_convert.errors import PluginError
from maskflow_convert.record import FEATURES, Layout
from maskflow_convert.registry import AnyAdapter
from maskflow_convert.sample import Sample

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_BY_REFERENCE = "^.+:.+$"
"""`package.module:Class` or `./file.py:Class`."""


def config_schema() -> tuple[dict[str, Any], list[PluginError]]:
    """The JSON Schema of a YAML with the options of the installed adapters, and why some are left out."""
    adapters, faults = registry.load_installed()
    sources: dict[str, dict[str, Any]] = {}
    for name, adapter in adapters.items():
        try:
            sources[name] = _source_schema(name, adapter)
        except PluginError as error:
            faults.append(error)
    return _with_sources(sources), faults


def sample_schema() -> dict[str, Any]:
    """The JSON Schema of what adapters yield."""
    return {"$schema": DIALECT, **Sample.model_json_schema(schema_generator=_Schema)}


def record_schema() -> dict[str, Any]:
    """The features of a record, and how to read them in each layout."""
    return {
        "format": "maskflow record",
        "message": "tf.train.Example, one an image, in a TFRecord file",
        "layouts": {layout.value: _AXES[layout] for layout in Layout},
        "features": [
            {
                "name": feature.name,
                "kind": "VarLen" if feature.many else "FixedLen",
                "dtype": feature.dtype,
                "shape": list(feature.shape),
                "meaning": feature.meaning,
                **({"by_layout": dict(feature.by_layout)} if feature.by_layout else {}),
            }
            for feature in FEATURES
        ],
    }


_AXES = {
    Layout.DOCUMENTED: "W counts columns: transpose the decoded PNG to [W, H, C]",
    Layout.ROWS_FIRST: "W counts rows: the decoded PNG is [W, H, C] as it is",
}


class _Schema(GenerateJsonSchema):
    """Without what editors would insert or show to no purpose.

    That are titles that repeat a key, defaults of sections, whose keys have their own, and null, which says no more
    than that a key may be omitted.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if default is None or isinstance(default, BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _with_sources(sources: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of the configuration, in which a source is one of these by its `adapter`, or names a class."""
    whole = Config.model_json_schema(schema_generator=_Schema)
    definitions = whole.pop("$defs")
    source = definitions["Source"]["properties"]
    del definitions["AdapterOptions"], source["options"]
    for definition in definitions.values():
        definition.pop("title", None)
    for name, schema in sources.items():
        definitions |= schema.pop("$defs", {})
        about = {"adapter": {"const": name, "description": schema["description"]}, "split": source["split"]}
        definitions[_key(name)] = {
            **schema,
            "properties": {**about, **schema.get("properties", {})},
            "required": ["adapter", *schema.get("required", ())],
        }
    definitions["by-reference"] = {
        "type": "object",
        "title": "class",
        "description": "A class of your own, `package.module:Class` or `./file.py:Class`, with its options.",
        "properties": {"adapter": {**source["adapter"], "pattern": _BY_REFERENCE}, "split": source["split"]},
        "required": ["adapter"],
    }
    names = [*map(_key, sources), "by-reference"]
    definitions["Source"] = {"anyOf": [{"$ref": f"#/$defs/{quote(name)}"} for name in names]}
    whole["title"] = "maskflow-convert"
    whole["description"] = "What maskflow-convert converts, and to what. Paths are relative to this file."
    return {"$schema": DIALECT, **whole, "$defs": dict(sorted(definitions.items()))}


def _source_schema(name: str, adapter: type[AnyAdapter]) -> dict[str, Any]:
    """The JSON Schema of an adapter's options; what it defines beside it bears the name of the adapter.

    Raises:
        PluginError: its options have none.
    """
    template = f"#/$defs/{quote(_key(name))}.{{model}}"
    try:
        schema = adapter.Options.model_json_schema(schema_generator=_Schema, ref_template=template)
    except PydanticUserError as error:
        raise PluginError(f"{registry.describe(name)}: its options have no JSON Schema: {error}") from error
    definitions = {f"{_key(name)}.{model}": each for model, each in schema.pop("$defs", {}).items()}
    return {**schema, "title": name, "description": registry.about(adapter), "$defs": definitions}


def _key(name: str) -> str:
    """What an adapter's options are defined under: its name, but for two signs that a JSON Pointer has a use for."""
    return f"source-{name}".replace("~", "-").replace("/", "-")
