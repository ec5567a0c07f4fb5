"""What a configuration says, resolved once into frozen values with every default in place."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from maskflow_convert import registry
from maskflow_convert.adapter import AdapterOptions, InputPath
from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.image import ImageSettings
from maskflow_convert.record import Layout
from maskflow_convert.repairs import REPAIRABLE
from maskflow_convert.shape import Model
from maskflow_convert.tfrecord import Compression


class OnError(StrEnum):
    """What an issue of severity error does to the run."""

    STOP = "stop"
    SKIP_OBJECT = "skip-object"
    SKIP_IMAGE = "skip-image"


def is_split_name(name: object) -> bool:
    """Whether something may name a split: it becomes part of file names."""
    return isinstance(name, str) and re.fullmatch(_SPLIT_NAME, name) is not None


_SPLIT_NAME = "[A-Za-z0-9_.]+"


def _split_name(name: str) -> str:
    if not is_split_name(name):
        raise ValueError(f"{name!r} is not a name for a split: use letters, digits, '_' and '.'")
    return name


SplitName = Annotated[
    str, AfterValidator(_split_name), WithJsonSchema({"type": "string", "pattern": f"^{_SPLIT_NAME}$"})
]


class Source(Model):
    """One annotation source: which adapter reads it, and that adapter's own options."""

    adapter: str = Field(description="the format: an installed adapter, package.module:Class, or ./file.py:Class")
    split: SplitName | None = Field(
        None, description="the split that all images of the source go to; omitted: that of the source itself, or train"
    )
    options: SerializeAsAny[AdapterOptions]

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"adapter": self.adapter, "split": self.split, **self.options.model_dump(mode="json")}


class Classes(Model):
    """Which labels become classes, and with which ids."""

    names: tuple[str, ...] | None = Field(None, description="in the order of their ids; omitted: all labels")
    first_id: NonNegativeInt = Field(1, description="id of the first class; 0 is background by convention")
    rename: Mapping[str, str] = Field(default_factory=dict, description="label in a source: name of the class")
    unknown: Literal["error", "skip"] = Field("error", description="what to do with a label that is not a class")

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Classes:
        if twice := sorted(name for name, times in Counter(self.names or ()).items() if times > 1):
            raise ValueError(f"classes named twice: {', '.join(twice)}")
        return self


class Splits(Model):
    """Shares of the data set by name, drawn by a hash of each image's key: adding images moves no other image."""

    shares: Mapping[SplitName, float]
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _names_beside_seed(cls, value: object) -> object:
        if not isinstance(value, Mapping) or isinstance(value.get("shares"), Mapping):
            return value
        return {
            "shares": {name: share for name, share in value.items() if name != "seed"},
            "seed": value.get("seed", 0),
        }

    @model_validator(mode="after")
    def _shares_make_a_whole(self) -> Splits:
        shares = self.shares.values()
        if not shares or not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise ValueError(f"the shares must lie in 0..1 and add up to 1, not to {sum(shares):g}")
        return self

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {**self.shares, "seed": self.seed}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As a YAML has it, `{train: 0.9, val: 0.1, seed: 7}`."""
        seed = {"type": "integer", "default": 0, "description": "another seed draws other images"}
        share = {"type": "number", "minimum": 0, "maximum": 1, "description": "the share of the images in this split"}
        names = {"pattern": f"^{_SPLIT_NAME}$"}
        return {
            "type": "object",
            "description": cls.__doc__,
            "properties": {"seed": seed},
            "additionalProperties": share,
            "propertyNames": names,
            "minProperties": 1,
        }


class Images(ImageSettings):
    """How images are stored."""

    ids: Literal["source", "sequential"] = Field(
        "source", description="the source's own ids where it has them, or numbers in the data set's order"
    )


class Objects(Model):
    """What becomes of objects that not everybody trains on."""

    crowd: Literal["skip", "keep"] = Field("skip", description="regions of many objects that were not told apart")
    difficult: Literal["keep", "skip"] = Field("keep", description="objects that their source marks as difficult")
    empty: Literal["skip", "keep", "error"] = Field("skip", description="objects without a pixel")
    boxes: Literal["error", "skip", "rectangle"] = Field(
        "error", description="objects that have a box and no mask; `rectangle` takes the whole box for the object"
    )


class ShardSize(Model):
    """The size at which a shard is full: bytes (estimated before anything is read), or a number of images."""

    amount: PositiveInt
    unit: Literal["bytes", "images"]

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(_SHARD_SIZE, value)
        if not found:
            raise ValueError(f"{value!r} is not a shard size: write '64 MiB' or '500 images'")
        amount, unit = int(found[1]), found[2]
        if unit.startswith("image"):
            return {"amount": amount, "unit": "images"}
        return {"amount": amount * _BYTES_IN[unit], "unit": "bytes"}

    @model_serializer
    def _text(self) -> str:
        return f"{self.amount} {'B' if self.unit == 'bytes' else 'images'}"

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As a YAML has it, `64 MiB` or `500 images`."""
        return {"type": "string", "description": cls.__doc__, "pattern": f"^{_SHARD_SIZE}$"}


_BYTES = "B|[KMG]i?B"
_SHARD_SIZE = f"([0-9]+) *(images?|{_BYTES})"
_BYTES_IN: Mapping[str, int] = {
    "B": 1,
    **{f"{prefix}B": 1000 ** (i + 1) for i, prefix in enumerate("KMG")},
    **{f"{prefix}iB": 1024 ** (i + 1) for i, prefix in enumerate("KMG")},
}


class Output(Model):
    """Where the records go, and in what form."""

    directory: InputPath | None = Field(
        None, description="the folder to write to, relative to this file; or `--output` on the command line"
    )
    layout: Layout = Field(Layout.DOCUMENTED, description="what W and H count, and the order of an index")
    shard_size: ShardSize = Field(
        ShardSize(amount=64 * 2**20, unit="bytes"),
        description="small enough that workers have something to do to the end, and a killed run loses little",
        json_schema_extra={"default": "64 MiB", "examples": ["256 MiB", "500 images"]},
    )
    compression: Compression = Field(Compression.NONE, description="of each file as a whole")
    shuffle: int | None = Field(7, description="seed of the order of records; null keeps the order of the sources")
    card: bool = Field(default=True, description="describe the data set in README.md and index.html beside the records")


def _bytes(value: object) -> int:
    found = re.fullmatch(f"([0-9]+) *({_BYTES})", str(value))
    if found is None:
        raise ValueError(f"{value!r} is not an amount of memory: write '2 GiB'")
    amount, unit = found.groups()
    return int(amount) * _BYTES_IN[unit]


Bytes = Annotated[
    PositiveInt,
    BeforeValidator(_bytes),
    PlainSerializer(lambda amount: f"{amount} B"),
    WithJsonSchema({"type": "string", "pattern": f"^[0-9]+ *({_BYTES})$", "examples": ["2 GiB"]}),
]


def _as_ray_counts(amount: float) -> float:
    if not math.isclose(amount * _PARTS, round(amount * _PARTS)):
        raise ValueError(f"{amount:g} is too fine: Ray counts in steps of {1 / _PARTS:g}")
    return amount


_PARTS = 10_000
Amount = Annotated[PositiveFloat, Field(allow_inf_nan=False), AfterValidator(_as_ray_counts)]


class Resources(Model):
    """What Ray sets aside for each shard while it is worked on."""

    cpus: Amount = Field(1, description="processors")
    memory: Bytes | None = Field(None, description="as in `2 GiB`; omitted: whatever there is")
    custom: Mapping[str, Amount] = Field(
        default_factory=dict, description="what the nodes of a cluster were given under names of its own"
    )


class Run(Model):
    """How the work is done. It never changes what is written."""

    executor: Literal["serial", "processes", "ray"] = Field(
        "processes",
        description="one image after the other in this process; shards in processes of this machine; shards on Ray",
    )
    workers: PositiveInt | Literal["auto"] = Field(
        "auto",
        description="how many shards are worked on at a time; auto: one for each processor of the machine or cluster",
    )
    retries: NonNegativeInt = Field(
        1, description="how often a shard is tried again when its worker, or the machine that it is on, dies"
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="with `executor: ray`, where the cluster is: `auto`, `host:6379` or `ray://host:10001`; omitted: "
        "`RAY_ADDRESS`, or else Ray is started on this machine, and ended after the run",
    )
    resources: Resources = Field(
        Resources(),
        description="with `executor: ray`, what is set aside for each shard: `cpus`, `memory` as in `2 GiB`, and in "
        "`custom` what nodes were given under names of the cluster's own",
    )


def _known_code(code: str) -> str:
    if code not in CATALOGUE:
        near = difflib.get_close_matches(code, CATALOGUE, n=1)
        raise ValueError(f"there is no issue '{code}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    return code


IssueCode = Annotated[str, AfterValidator(_known_code)]


class Answer(StrEnum):
    """What is done about the issues of one code: they are of this severity, or they are repaired."""

    ERROR = Severity.ERROR
    WARNING = Severity.WARNING
    IGNORE = Severity.IGNORE
    FIX = "fix"


def _repairable(answers: Mapping[str, Answer]) -> Mapping[str, Answer]:
    told = f"there is no fix for it, but for {', '.join(REPAIRABLE)}"
    details = [
        InitErrorDetails(type=PydanticCustomError("value_error", told), loc=(code,), input=answer)
        for code, answer in answers.items()
        if answer is Answer.FIX and code not in REPAIRABLE
    ]
    if details:
        raise ValidationError.from_exception_data("issues", details)
    return answers


def _answers_schema() -> dict[str, Any]:
    """Every code with its meaning, what may be said of it, and what goes without saying."""
    answers = [answer.value for answer in Answer]
    codes = {
        rule.code: {
            "enum": [answer for answer in answers if answer != Answer.FIX or rule.code in REPAIRABLE],
            "default": rule.severity.value,
            "description": rule.meaning,
        }
        for rule in CATALOGUE.values()
    }
    return {"type": "object", "properties": codes, "additionalProperties": False}


Answers = Annotated[Mapping[IssueCode, Answer], AfterValidator(_repairable), WithJsonSchema(_answers_schema())]


class Config(Model):
    """A whole configuration. `maskflow_convert.load_config` reads one from a YAML file."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)] = Field(
        description="what is converted; several sources, of one format or of several, make one data set"
    )
    classes: Classes = Field(Classes(), description="which labels become classes, and with which ids")
    splits: Splits | None = Field(
        None, description="shares by name, as in `{train: 0.9, val: 0.1, seed: 7}`; or a source has `split`, not both"
    )
    image: Images = Field(Images(), description="how images are stored")
    objects: Objects = Field(Objects(), description="what becomes of objects that not everybody trains on")
    issues: Answers = Field(default_factory=dict, description="how bad each kind of finding is, or `fix`, by its code")
    on_error: OnError = Field(OnError.STOP, description="what an error in the data does to the run")
    output: Output = Field(Output(), description="where the records go, and in what form")
    run: Run = Field(Run(), description="how the work is done; it never changes what is written")

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Config:
        if self.splits is not None and any(source.split for source in self.sources):
            raise ValueError("a source has `split:` and the data set has `splits:`; keep one of them")
        return self

    @property
    def of_the_records(self) -> dict[str, Any]:
        """The settings that decide what is in the records, as JSON has them."""
        return self.model_dump(mode="json", exclude={"run": True, "output": {"directory", "card"}})

    def source_name(self, number: int) -> str:
        """How messages refer to a source."""
        return f"sources[{number}] ({self.sources[number].adapter})"

    def adapter_name(self, number: int) -> str:
        """How messages about the adapter of a source name it."""
        return f"sources[{number}]: {registry.describe(self.sources[number].adapter)}"
