"""Convert instance-segmentation annotations of any format to maskflow TFRecords.

The public names below are imported when they are first used, so that `import maskflow_convert` is quick and needs
none of TensorFlow, pycocotools and Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskflow_convert.adapter import Adapter, AdapterOptions, Entry, Index, InputPath
    from maskflow_convert.catalogue import Severity
    from maskflow_convert.config import Config, load_config
    from maskflow_convert.dataset import build_dataset, dataset_from_config, decode_example
    from maskflow_convert.discovery import Confidence, Found, LeftOut, Tree
    from maskflow_convert.errors import MaskflowError, RecordError, SourceError
    from maskflow_convert.image import Frame, read_labels
    from maskflow_convert.issues import Issue, Loss
    from maskflow_convert.merging import merge
    from maskflow_convert.pipeline import convert, rehearse
    from maskflow_convert.report import Report
    from maskflow_convert.sample import Image, Instance, Sample
    from maskflow_convert.scene import show
    from maskflow_convert.shape import Bitmap, Box, Drawing, Polygons, Region, Rle, Union
    from maskflow_convert.signature import check_dataset
    from maskflow_convert.validation import validate

__version__ = "0.1.0"

_HOMES = {
    "maskflow_convert.adapter": ("Adapter", "AdapterOptions", "Entry", "Index", "InputPath"),
    "maskflow_convert.config": ("Config", "load_config"),
    "maskflow_convert.catalogue": ("Severity",),
    "maskflow_convert.dataset": ("build_dataset", "dataset_from_config", "decode_example"),
    "maskflow_convert.discovery": ("Confidence", "Found", "LeftOut", "Tree"),
    "maskflow_convert.errors": ("MaskflowError", "RecordError", "SourceError"),
    "maskflow_convert.image": ("Frame", "read_labels"),
    "maskflow_convert.issues": ("Issue", "Loss"),
    "maskflow_convert.merging": ("merge",),
    "maskflow_convert.pipeline": ("convert", "rehearse"),
    "maskflow_convert.report": ("Report",),
    "maskflow_convert.sample": ("Image", "Instance", "Sample"),
    "maskflow_convert.scene": ("show",),
    "maskflow_convert.shape": ("Bitmap", "Box", "Drawing", "Polygons", "Region", "Rle", "Union"),
    "maskflow_convert.signature": ("check_dataset",),
    "maskflow_convert.validation": ("validate",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Adapter",
    "AdapterOptions",
    "Bitmap",
    "Box",
    "Confidence",
    "Config",
    "Drawing",
    "Entry",
    "Found",
    "Frame",
    "Image",
    "Index",
    "InputPath",
    "Instance",
    "Issue",
    "LeftOut",
    "Loss",
    "MaskflowError",
    "Polygons",
    "RecordError",
    "Region",
    "Report",
    "Rle",
    "Sample",
    "Severity",
    "SourceError",
    "Tree",
    "Union",
    "build_dataset",
    "check_dataset",
    "convert",
    "dataset_from_config",
    "decode_example",
    "load_config",
    "merge",
    "read_labels",
    "rehearse",
    "show",
    "validate",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
