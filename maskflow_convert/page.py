"""HTML pages that are whole: one file that loads nothing, from wherever it is opened.

Every text in them comes from somebody's data; it is escaped, and characters that cannot be seen are spelt out. A
browser runs the one script and the one style sheet that were put in, by their hashes, and no other.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from importlib.resources import files
from string import Template

import maskflow_convert
from maskflow_convert.markup import text


def page(name: str, **parts: str) -> str:
    """A page from the template of that name, with its style and, if it has one, its script.

    Args:
        name: of the template.
        parts: HTML for its places.

    Returns:
        HTML in ASCII, whatever the data holds.
    """
    style = "".join(map(_read, ("base.css", "figures.css", f"{name}.css")))
    script = _read(f"{name}.js")
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
    """A file of the templates; nothing where there is none."""
    file = files("maskflow_convert").joinpath("templates", name)
    return file.read_text(encoding="ascii") if file.is_file() else ""


def _hash(content: str) -> str:
    """What a Content Security Policy names an inline script or style by."""
    return f"'sha256-{b64encode(hashlib.sha256(content.encode('ascii')).digest()).decode('ascii')}'"
