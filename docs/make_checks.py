"""Writes a page for each check and their index, `checks/`, from the catalogue: `python docs/make_checks.py`.

What a page shows of a finding, in words and as a picture, is what comes of the case that `tests/corpus` plants of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from maskflow_convert import Issue, Report, build_dataset, check_dataset, convert
from maskflow_convert.catalogue import CATALOGUE, SUBJECTS, Rule, Severity
from maskflow_convert.illustrate import Illustration, illustrate
from maskflow_convert.repairs import REPAIRABLE
from maskflow_convert.validation import prepare_validation, validate, validate_data_set

FOLDER = Path(__file__).parent / "checks"
PICTURES = "pictures"

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from corpus import scene  # noqa: E402
from corpus.cases import ANNOTATION_CASES, SKIPPED, THE_OBJECT, Case  # noqa: E402
from corpus.scene import CONFIG, HEIGHT, PLUGIN, WIDTH  # noqa: E402
from corpus.written import DATASET_CASES, WRITTEN_CASES  # noqa: E402

INTRODUCTION = """\
# Checks

Each kind of finding has a code, which is stable, and a severity, which a YAML may change:

```yaml
issues:
  polygon-self-intersecting: error     # error | warning | ignore
  polygon-outside-image: fix           # where its page says that it can be fixed
```

An **error** stops a conversion, or drops the object or the image, as `on_error` says; `validate` exits with 1. A
**warning** is listed. What is to be *ignored* is not listed unless something is lost by it: a loss is always listed.
What is *fixed* is listed as a warning, and the object is written. A fix never changes the pixels that the format means.

`maskflow-convert validate --list-checks` prints this list on a terminal.
"""

WRITTEN, OWN_DATA_SET = "Written records", "A `tf.data.Dataset` of your own"
"""Subjects that no YAML speaks of."""


@dataclass(frozen=True)
class Planted:
    """What is found where a code was planted: how it is told, its picture, and whether `convert` finds it, too."""

    told: str
    picture: Illustration | None = None
    converting: bool = False


def pages(planted: Mapping[str, Planted]) -> dict[str, str]:
    """All pages by their file names."""
    texts = {
        f"{rule.code}.md": page(subject, rule, planted[rule.code]) for subject in SUBJECTS for rule in SUBJECTS[subject]
    }
    return {"index.md": "\n".join([INTRODUCTION, *index()]), **texts}


def index() -> Iterator[str]:
    """The codes by subject."""
    for subject, rules in SUBJECTS.items():
        yield f"## {subject}\n\n| code | severity | what it means |\n|---|---|---|"
        yield from (f"| [`{rule.code}`]({rule.code}.md) | {shown(rule)} | {rule.meaning} |" for rule in rules)
        yield ""


def page(subject: str, rule: Rule, planted: Planted) -> str:
    """All that is to be said of one rule."""
    drawn = planted.picture
    picture = f"\n![{drawn.caption}]({PICTURES}/{rule.code}.jpg)\n" if drawn else ""
    return (
        f"# {rule.code}\n\n{rule.meaning}\n\n*{shown(rule).capitalize()}. {found_by(subject, rule, planted)}*\n\n"
        f"## For example\n\n{rule.example[0].upper()}{rule.example[1:]}. It is reported like this:\n\n"
        f"<!-- not run: from a data set that is made for this -->\n```text\n{planted.told}\n```\n{picture}\n"
        f"## What to do\n\n{rule.remedy}\n{setting(subject, rule)}"
    )


def shown(rule: Rule) -> str:
    """The severity as a person says it."""
    return "ignored" if rule.severity is Severity.IGNORE else rule.severity.value


def found_by(subject: str, rule: Rule, planted: Planted) -> str:
    """Which command looks for it."""
    if rule.code == SKIPPED.code:
        return "Found by `convert`."
    if subject == WRITTEN:
        return "Found by `validate` of records."
    if subject == OWN_DATA_SET:
        return "Found by `check_dataset`."
    if planted.converting:
        return "Found by `validate` and `convert`."
    fixed = " or fixed" if rule.code in REPAIRABLE else ""
    return f"Found by `validate`; `convert` looks for it only if it is an error{fixed}."


def setting(subject: str, rule: Rule) -> str:
    """How to change that."""
    if subject in (WRITTEN, OWN_DATA_SET):
        return ""
    answers = [severity.value for severity in Severity if severity is not rule.severity]
    first, *others = ["fix", *answers] if rule.code in REPAIRABLE else answers
    return f"\nTo change that:\n\n```yaml\nissues: {{{rule.code}: {first}}}     # or {', '.join(others)}\n```\n"


def plant() -> dict[str, Planted]:
    """What is found of each code of the corpus."""
    found = {case.code: in_a_scene(planted_annotation, case) for case in ANNOTATION_CASES}
    found[SKIPPED.code] = in_a_scene(planted_skip, SKIPPED)
    found |= {case.code: in_a_scene(planted_record, case) for case in WRITTEN_CASES}
    with TemporaryDirectory() as folder, chdir(folder):
        convert(write_sound(CONFIG))
        sound = build_dataset("out")
        found |= {case.code: Planted(told(check_dataset(case.change(sound)), case.code)) for case in DATASET_CASES}
    return {code: found[code] for code in CATALOGUE}


def in_a_scene(find: Any, case: Case) -> Planted:
    """What is found of a case that is written out for it, in a folder of its own."""
    settings = {name: {**CONFIG.get(name, {}), **section} for name, section in case.settings.items()}
    with TemporaryDirectory() as folder, chdir(folder):
        config = write_sound({**CONFIG, **settings}, scale=case.scale)
        result: Planted = find(case, config)
        return result


def write_sound(config: Mapping[str, Any], *, scale: int = 1) -> Path:
    """The sound set in the working directory, and the configuration of it."""
    with patch.object(scene, "noise", paper):
        scene.write_scene(Path(), scale=scale)
    shutil.copy(Path(scene.__file__).with_name("plugin.py"), "plugin.py")
    path = Path("corpus.yaml")
    path.write_text(json.dumps(config).replace(str(PLUGIN), "./plugin.py"), encoding="utf-8")
    return path


def paper(name: str, scale: int = 1) -> NDArray[np.uint8]:
    """`[H, W, 3]`: what objects are easily seen on, with a grain that no other name has."""
    grain = np.random.default_rng(list(name.encode())).integers(-5, 6, (HEIGHT * scale, WIDTH * scale, 1))
    return (np.array((228, 224, 214)) + grain).astype(np.uint8)


def planted_annotation(case: Case, config: Path) -> Planted:
    """A fault in annotations or images."""
    case.change(Path())
    data_set = prepare_validation(config)
    report = validate_data_set(data_set)
    picture = illustrate(data_set, report).get(the_issue(report, case.code)) if case in THE_OBJECT else None
    if picture is not None and (picture.jpeg is None or "cannot be drawn" in picture.caption):
        picture = None
    lenient = json.loads(config.read_text(encoding="utf-8")) | {"on_error": "skip-object"}
    config.write_text(json.dumps(lenient), encoding="utf-8")
    return Planted(told(report, case.code), picture, case.code in convert(config).examples)


def planted_skip(case: Case, config: Path) -> Planted:
    """An image that goes for one of its objects."""
    case.change(Path())
    config.write_text(json.dumps(json.loads(config.read_text()) | {"on_error": "skip-image"}), encoding="utf-8")
    return Planted(told(convert(config), case.code))


def planted_record(case: Case, config: Path) -> Planted:
    """A fault in written records."""
    convert(config)
    case.change(Path())
    is_whole = Path("out/dataset.json").exists()
    return Planted(told(validate("out" if is_whole else sorted(Path("out").glob("*.tfrecord"))), case.code))


def the_issue(report: Report, code: str) -> Issue:
    """The only issue of a code."""
    [issue] = report.examples[code]
    return issue


def told(report: Report, code: str) -> str:
    """The only issue of a code, as the terminal tells it, without what differs from run to run."""
    text = str(the_issue(report, code)).replace(f"{Path.cwd()}{os.sep}", "")
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1...", re.sub(r"(?<=Dataset:)\d+", "1", text))


def main() -> None:
    """Write the pages and pictures anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / PICTURES).mkdir(parents=True)
    planted = plant()
    for name, text in pages(planted).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for code, each in planted.items():
        if each.picture and each.picture.jpeg:
            (FOLDER / PICTURES / f"{code}.jpg").write_bytes(each.picture.jpeg)


if __name__ == "__main__":
    main()
