"""How Ray is had: the one that somebody runs, or one of our own, which ends with the run."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maskflow_convert.config import Run
from maskflow_convert.errors import ConfigError
from maskflow_convert.executors import processors
from maskflow_convert.interrupts import deferred

_OBJECT_STORE = 100_000_000  # bytes; what is sent is small
_PLENTY = 1_000_000.0
_SECONDS_TO_ANSWER = 10


def require(run: Run) -> None:
    """Make sure that Ray is installed, if it is asked for.

    Unless the environment says otherwise, it tells its makers nothing, and one of our own is for this machine alone.

    Raises:
        ConfigError: it is not, and what to install.
    """
    if run.executor != "ray":
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address_of(run) is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on Linux, too, it means: 127.0.0.1
    try:
        import ray.exceptions  # noqa: F401 - of a folder that happens to be called so there is none
    except ImportError as error:
        raise ConfigError(f"run.executor: ray needs: pip install 'maskflow-convert[ray]' ({error})") from error


def address_of(run: Run) -> str | None:
    """Where the cluster is that somebody runs; None if there is to be a Ray of our own."""
    return run.address or os.environ.get("RAY_ADDRESS") or None


@contextmanager
def connected(run: Run) -> Iterator[None]:
    """Have Ray for the length of the block; a connection that the caller has made already is used, and kept.

    Raises:
        ConfigError: there is no cluster at the address, or none that can be used.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        with deferred():  # after which signals are handled as before, whatever Ray makes of them
            _connect(run)
        yield
    finally:
        ray.shutdown()


def _connect(run: Run) -> None:
    import ray

    address = address_of(run)
    if address is not None:
        _reach(address)
    options = _of_our_own(run) if address is None else {}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray has no errors of its own for this, and its client many
        raise _unusable(address or "a Ray of this machine", error) from error


def _of_our_own(run: Run) -> dict[str, Any]:
    """What a Ray of this machine is to have: room for as many shards as are wanted at the same time."""
    cpus = processors() if run.workers == "auto" else math.ceil(run.workers * run.resources.cpus)
    return {
        "num_cpus": cpus,
        "resources": dict.fromkeys(run.resources.custom, _PLENTY),
        "object_store_memory": _OBJECT_STORE,
        "include_dashboard": False,
    }


def _reach(address: str) -> None:
    """Ask whether anybody listens there at all, as Ray itself asks for minutes, and aloud.

    Raises:
        ConfigError: nobody does.
    """
    if found := re.fullmatch(r"(?:ray://)?(?P<host>[^/:]+|\[.+\]):(?P<port>\d+)", address):
        try:
            socket.create_connection((found["host"].strip("[]"), int(found["port"])), _SECONDS_TO_ANSWER).close()
        except (OSError, OverflowError) as error:
            raise _unusable(address, error) from error


def _unusable(address: str, error: Exception) -> ConfigError:
    return ConfigError(f"run.address: {address} cannot be used: {error}")
