"""Several files in one input: each is its path, in a line that begins with `=== `, and then its content.

Any bytes are a bundle; what stands before the first such line belongs to no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_HEAD = re.compile(rb"^=== (\S+)\n", re.MULTILINE)


def join(files: Mapping[str, bytes]) -> bytes:
    """One input of all files."""
    return b"".join(b"=== " + name.encode() + b"\n" + content + b"\n" for name, content in files.items())


def split(data: bytes) -> dict[str, bytes]:
    """The files of an input; of two with one path, the last."""
    _, *parts = _HEAD.split(data)
    return {
        name.decode("utf-8", "replace"): content.removesuffix(b"\n")
        for name, content in zip(parts[::2], parts[1::2], strict=True)
    }
