"""Writes the page of all that is checked, from the catalogue: `python docs/make_checks.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskflow_convert.catalogue import SUBJECTS, Rule, Severity
from maskflow_convert.repairs import REPAIRABLE

PAGE = Path(__file__).parent / "checks.md"

INTRODUCTION = """\
# What is checked

This page is made from the code by `python docs/make_checks.py`; `maskflow-convert validate --list-checks` prints the
same. Each kind of finding has a code, which is stable, and a severity, which a YAML may change:

```yaml
issues:
  polygon-self-intersecting: error     # error | warning | ignore
  polygon-outside-image: fix           # where the list below says that it can be fixed
```

An **error** stops a conversion, or drops the object or the image, as `on_error` says; `validate` exits with 1. A
**warning** is listed. What is to be *ignored* is not listed unless something is lost by it: a loss is always listed.
What is *fixed* is listed as a warning, and the object is written. A fix never changes the pixels that the format means.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(line for subject in SUBJECTS for line in section(subject))])


def section(subject: str) -> Iterator[str]:
    """The rules about one subject."""
    yield f"## {subject}\n"
    for rule in SUBJECTS[subject]:
        yield f"### `{rule.code}`\n\n{text(rule)}\n"


def text(rule: Rule) -> str:
    """What is said of one rule."""
    severity = "ignored" if rule.severity is Severity.IGNORE else rule.severity.value
    fixable = " Can be fixed." if rule.code in REPAIRABLE else ""
    return f"*{severity.capitalize()}.* {rule.meaning}{fixable}\n\n- For example: {rule.example}.\n- {rule.remedy}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
