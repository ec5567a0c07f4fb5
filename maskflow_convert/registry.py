"""From the name of an adapter to its class: installed plugins, `package.module:Class`, and `./file.py:Class`.

Built-in adapters come through the same entry-point group as everybody else's. Nothing is imported before it is asked
for.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from maskflow_convert.adapter import Adapter, AdapterOptions
from maskflow_convert.errors import PluginError

GROUP = "maskflow_convert.adapters"

_FILE_MODULE = "maskflow_plugin_"

AnyAdapter = Adapter[Any, Any]


def installed() -> Mapping[str, list[EntryPoint]]:
    """All offers of an adapter by name, sorted; a name with more than one offer cannot be used."""
    offers: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, offered_by(point))):
        offers.setdefault(point.name, []).append(point)
    return offers


def offered_by(point: EntryPoint) -> str:
    """The distribution behind an entry point, with its version; a failed uninstallation may have left neither."""
    dist = point.dist
    if dist is None or not any(dist.read_text(file) for file in ("METADATA", "PKG-INFO")):
        return "an unknown distribution"
    return f"{dist.name} {dist.version}"


def version_of(reference: str) -> str:
    """What tells one version of an adapter from another: its package, or a SHA-256 of the file that it stands in."""
    if offers := installed().get(reference):
        return offered_by(offers[0])
    file = sys.modules[load(reference).__module__].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "unknown"


@lru_cache(maxsize=64)
def describe(reference: str) -> str:
    """How messages name an adapter: with its package where it has its name from one."""
    offers = installed().get(reference, [])
    return f"adapter '{reference}' of {offered_by(offers[0])}" if offers else f"adapter {reference}"


def reference_to(adapter: type[AnyAdapter]) -> str:
    """The reference that `load` finds a class by, in this process and in others.

    Raises:
        PluginError: there is none: the class stands within a function, or in a module that cannot be imported by name.
    """
    module = sys.modules[adapter.__module__]
    home = module.__file__ if module.__name__.startswith(_FILE_MODULE) else module.__name__
    reference = f"{home}:{adapter.__qualname__}"
    if load(reference) is not adapter:
        raise PluginError(f"adapter {reference} is another class than the one that is asked for")
    return reference


def about(adapter: type[AnyAdapter]) -> str:
    """What an adapter reads: the first paragraph of its docstring, in one line."""
    return " ".join((adapter.__doc__ or "").strip().partition("\n\n")[0].split())


def absolute(reference: str, base: Path) -> str:
    """The reference with a file taken from `base`, the folder of the YAML; other references as they are."""
    file, separator, name = reference.rpartition(":")
    if not (separator and file.endswith(".py")):
        return reference
    try:
        return f"{(base / file).resolve()}:{name}"
    except (OSError, RuntimeError, ValueError) as error:
        raise PluginError(f"adapter {reference!r}: {error}") from error


def is_file_outside(reference: str, folder: Path) -> bool:
    """Whether a reference names a file, and that, links followed, does not lie in a folder or below it."""
    file, _, _ = reference.rpartition(":")
    return file.endswith(".py") and not Path(file).resolve().is_relative_to(folder.resolve())


def load_all(references: Iterable[str]) -> None:
    """Import the adapters of those names, so that what they define can be unpickled."""
    for reference in references:
        load(reference)


def sources_of(references: Iterable[str]) -> Mapping[str, bytes]:
    """What the files among those references hold, by their paths, for `take` on another machine."""
    files = {Path(file) for file, _, _ in (each.rpartition(":") for each in references) if file.endswith(".py")}
    return {str(path): path.read_bytes() for path in files}


def take(sources: Mapping[str, bytes]) -> None:
    """Have files of another machine be loaded from what they hold there.

    Raises:
        PluginError: one cannot be imported here.
    """
    for path, source in sources.items():
        if (name := _name_of(Path(path))) not in sys.modules:
            try:
                _execute(_Sent(name, path, source))
            except (Exception, SystemExit) as error:  # as in `load`
                raise PluginError(f"adapter {path} cannot be imported: {_told(error)}") from error


@lru_cache(maxsize=64)
def load(reference: str) -> type[AnyAdapter]:
    """The adapter class of that name, `package.module:Class` or `/folder/file.py:Class`.

    Raises:
        PluginError: it cannot be found, imported, or is no adapter; the message names who offers it and what to do.
    """
    module, separator, name = reference.rpartition(":")
    if not separator:
        return _load_installed(reference)
    try:
        home = _file_module(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:  # the plugin's own code runs here, and may raise anything
        raise PluginError(f"adapter {reference}: {module} cannot be imported: {_told(error)}") from error
    try:
        found = getattr(home, name)
    except AttributeError as error:
        raise PluginError(f"adapter {reference}: {module} has no class {name}") from error
    return _adapter_class(found, f"adapter {reference}")


def _load_installed(name: str) -> type[AnyAdapter]:
    offers = installed()
    if name not in offers:
        near = difflib.get_close_matches(name, offers, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise PluginError(
            f"there is no adapter '{name}'{hint} Installed: {', '.join(offers) or 'none'}. Install the package that "
            "offers it, or name a class as package.module:Class or ./file.py:Class."
        )
    if len(offers[name]) > 1:
        rivals = " and ".join(offered_by(point) for point in offers[name])
        raise PluginError(
            f"adapter '{name}' is offered by {rivals}; uninstall one, or name the class: {offers[name][0].value}"
        )
    return load_offer(offers[name][0])


def load_installed() -> tuple[dict[str, type[AnyAdapter]], list[PluginError]]:
    """The installed adapters by their names, and why others cannot be used."""
    adapters: dict[str, type[AnyAdapter]] = {}
    faults: list[PluginError] = []
    for name in installed():
        try:
            adapters[name] = load(name)
        except PluginError as error:
            faults.append(error)
    return adapters, faults


def load_offer(point: EntryPoint) -> type[AnyAdapter]:
    """The adapter class behind one offer, whoever else offers that name.

    Raises:
        PluginError: as `load`.
    """
    what = f"adapter '{point.name}' of {offered_by(point)}"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # the plugin's own code runs here, and may raise anything
        raise PluginError(f"{what} cannot be imported: {_told(error)}; mend or uninstall that package") from error
    return _adapter_class(found, what)


def _adapter_class(found: object, what: str) -> type[AnyAdapter]:
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        raise PluginError(f"{what} is not a subclass of maskflow_convert.Adapter")
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise PluginError(f"{what} does not define {' and '.join(missing)}")
    options = getattr(found, "Options", None)
    if not (isinstance(options, type) and issubclass(options, AdapterOptions)):
        raise PluginError(f"{what}: its Options are not a subclass of maskflow_convert.AdapterOptions")
    return found


def _file_module(path: Path) -> ModuleType:
    """Import a file under a name of its own, the same in every process, so that what it defines pickles."""
    if (name := _name_of(path)) in sys.modules:  # also where it came from another machine
        return sys.modules[name]
    path = path.resolve()
    if (name := _name_of(path)) in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise PluginError(f"adapter {path}: there is no such file; it is looked for beside the YAML")
    return _execute(SourceFileLoader(name, str(path)))


def _name_of(path: Path) -> str:
    return f"{_FILE_MODULE}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _execute(loader: SourceFileLoader) -> ModuleType:
    spec = ModuleSpec(loader.name, loader, origin=loader.path)
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[loader.name]
        raise
    return module


class _Sent(SourceFileLoader):
    """Loads a file of another machine from what it holds there."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def path_stats(self, path: str | bytes) -> NoReturn:
        raise OSError("it is no file of this machine")

    def get_data(self, path: str | bytes) -> bytes:
        return self._source


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
