"""A new plugin from a template: a package that installs, converts and passes its tests as it is written."""

from __future__ import annotations

import importlib.util
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from maskflow_convert import __version__, registry
from maskflow_convert.errors import ConfigError, OutputError

_LONGEST_NAME = 24

_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "adapter.py": "${module}.py",
    "test_adapter.py": "tests/test_${module}.py",
}
"""Each template and the file that it becomes."""


def write_plugin(name: str, folder: Path | None = None) -> Path:
    """Write a plugin that offers an adapter of that name, and return its folder.

    Args:
        name: as in `adapter:` of a YAML.
        folder: where to write, empty or not there yet; None for `maskflow-NAME` in the working directory.

    Raises:
        ConfigError: the name is none for an adapter and a package, or is taken.
        OutputError: something is in the way, or the folder cannot be written.
    """
    words = _words(name)
    folder = folder or Path(words["distribution"])
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} is there already; choose another --output, or remove it")
        for template, file in _FILES.items():
            text = (files("maskflow_convert") / f"templates/adapter/{template}.template").read_text(encoding="utf-8")
            path = folder / Template(file).substitute(words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(words), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error
    return folder


def _words(name: str) -> dict[str, str]:
    """What the placeholders of the templates stand for."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*", name) or len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"{name!r} is not a name for an adapter: use letters and digits, with single '-' or '_' between them, "
            f"{_LONGEST_NAME} characters at most"
        )
    if offers := registry.installed().get(name):
        raise ConfigError(f"the name '{name}' is taken by {registry.offered_by(offers[0])}; choose another")
    parts = re.split("[_-]", name)
    module = "_".join(("maskflow", *parts)).lower()
    if importlib.util.find_spec(module) is not None:
        raise ConfigError(f"the name '{name}' would make a module {module}, which is installed already; choose another")
    return {
        "name": name,
        "distribution": "-".join(("maskflow", *parts)).lower(),
        "module": module,
        "class_name": "".join(part[0].upper() + part[1:] for part in parts),
        "version": __version__,
    }
