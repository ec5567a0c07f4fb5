"""The configuration: what a YAML may say (`settings`), and how it is read (`loader`)."""

from maskflow_convert.config.loader import load_config
from maskflow_convert.config.settings import (
    Answer,
    Classes,
    Config,
    Images,
    Objects,
    OnError,
    Output,
    Resources,
    Run,
    ShardSize,
    Source,
    Splits,
    is_split_name,
)

__all__ = [
    "Answer",
    "Classes",
    "Config",
    "Images",
    "Objects",
    "OnError",
    "Output",
    "Resources",
    "Run",
    "ShardSize",
    "Source",
    "Splits",
    "is_split_name",
    "load_config",
]
