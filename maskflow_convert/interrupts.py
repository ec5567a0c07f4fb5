"""Ctrl-C and SIGTERM, heeded where it does no harm.

Python raises KeyboardInterrupt wherever it happens to be, and libraries swallow or disguise what comes out of nowhere.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)

_SECONDS_TO_HEED = 0.5


def in_main_thread() -> bool:
    """Whether this is the thread that signals are handled in, and where alone Python lets handlers be set."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Hold signals back until the end of the block, or until what this gives is called; then the usual handlers run.

    One that comes later than a moment after the first is let through at once: somebody is losing patience.
    """
    held: list[int] = []
    since = 0.0

    def hold(number: int, _: object) -> None:
        nonlocal since
        if held and time.monotonic() - since > _SECONDS_TO_HEED:
            let_through()
        elif not held:
            since = time.monotonic()
            held.append(number)

    ours = [each for each in STOPPING if in_main_thread() and signal.getsignal(each) is not None]
    usual = {each: signal.signal(each, hold) for each in ours}

    def let_through() -> None:
        if held:
            restore()
            signal.raise_signal(held.pop())

    def restore() -> None:
        for each, handler in usual.items():
            signal.signal(each, handler)

    try:
        yield let_through
    finally:
        restore()
        let_through()
