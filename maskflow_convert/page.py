"""HTML pages that are whole: one file that loads nothing, from wherever it is opened.

Every text in them comes from somebody's data; it is escaped, and characters that cannot be seen are spelt out. A
browser runs the one script and the one style sheet that were put in, by their hashes, and no other.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from importlib.resources import files
from string import Template

import maskflow_convert
from maskflow_convert.characters import visible


def text(content: str) -> str:
    """A text of unknown origin, for the content of an element or the value of an attribute in quotes."""
    return escape(visible(content))


def jpeg_source(jpeg: bytes) -> str:
    """A picture as the value of an `src`."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"


def page(name: str, **parts: str) -> str:
    """A page from the template of that name, with its style and script.

    Args:
        name: of the template.
        parts: HTML for its places.

    Returns:
        HTML in ASCII, whatever the data holds.
    """
    style, script = _read("base.css") + _read(f"{name}.css"), _read(f"{name}.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    version = text(maskflow_convert.__version__)
    filled = Template(_read(f"{name}.html")).substitute(
        parts, policy=policy, style=style, script=script, version=version
    )
    return filled.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _read(name: str) -> str:
    return files("maskflow_convert").joinpath("templates", name).read_text(encoding="ascii")


def _hash(content: str) -> str:
    """What a Content Security Policy names an inline script or style by."""
    return f"'sha256-{b64encode(hashlib.sha256(content.encode('ascii')).digest()).decode('ascii')}'"
