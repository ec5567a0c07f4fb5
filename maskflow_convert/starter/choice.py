"""Which of the data sets that were found is to be converted: asked on a terminal, and refused without one."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskflow_convert import registry
from maskflow_convert.amounts import count_text
from maskflow_convert.characters import visible
from maskflow_convert.discovery import Confidence, Tree
from maskflow_convert.errors import ConfigError, SourceError
from maskflow_convert.starter.search import Candidate, Search, left_out_lines
from maskflow_convert.starter.telling import choices


@dataclass(frozen=True)
class Wanted:
    """What the user says of it: only what these adapters find, only what lies below these paths, all as one."""

    formats: Collection[str] = ()
    paths: Collection[Path] = ()
    all: bool = False


def choose(found: Search, wanted: Wanted) -> Sequence[Candidate]:
    """The data sets to make one of: what is wanted; the surest, if that is one; else what the user says when asked.

    Raises:
        ConfigError: there are several, and nobody to ask; or there is no such adapter or path.
        SourceError: there is none.
    """
    left = _narrowed(found, wanted)
    if wanted.all:
        return [each for each in left if each.found.confidence > Confidence.GUESS] or left
    highest = max(each.found.confidence for each in left)
    surest = [each for each in left if each.found.confidence == highest]
    if len(surest) == 1:
        return surest
    several = "\n".join((f"there are {len(surest)} data sets in {visible(str(found.tree.root))}:", *choices(surest)))
    if sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty():
        return _asked(surest, several)
    how = f"Choose by --format NAME, or by --only PATH as in --only {shlex.quote(surest[0].name)}"
    raise ConfigError(several, f"{how}; --all makes one data set of all.")


def _narrowed(found: Search, wanted: Wanted) -> Sequence[Candidate]:
    installed = registry.installed()
    if unknown := [name for name in wanted.formats if name not in installed]:
        raise ConfigError(f"--format {unknown[0]}: there is no such adapter; installed are {', '.join(installed)}")
    below = [_within(found.tree, path) for path in wanted.paths]
    left = [
        each
        for each in found.candidates
        if (not wanted.formats or each.adapter in wanted.formats)
        and (not below or any(each.found.path.is_relative_to(path) for path in below))
    ]
    if not left:
        raise SourceError(_nothing(found), found.tree.root)
    return left


def _within(tree: Tree, path: Path) -> Path:
    """A path that is named from the folder on, or from the working directory."""
    for each in (tree.root / path, path.absolute()):
        if each.exists() and each.resolve().is_relative_to(tree.root):
            return each.resolve()
    raise ConfigError(f"--only {path}: there is nothing of that name in {tree.root}")


def _nothing(found: Search) -> str:
    """What to say where there is nothing to be converted."""
    if found.candidates:
        return "\n".join(("nothing of that kind is among what was found:", *choices(found.candidates)))
    files = count_text(found.tree.n_files, "file")
    lines = [f"holds no data set that an installed adapter recognises, among {files}"]
    if not found.tree.n_files:
        lines = ["holds no files"]
    lines += [f"  {line}" for line in (*left_out_lines(found), *found.tree.unseen)]
    lines.append(
        "`maskflow-convert adapters list` shows what can be read; `adapters new` begins an adapter of your own"
    )
    return "\n".join(lines)


def _asked(candidates: Sequence[Candidate], several: str) -> Sequence[Candidate]:
    sys.stderr.write(f"maskflow-convert: {several}\n")
    while True:
        sys.stderr.write(f"Which one? 1 to {len(candidates)}; several, as in 1,2, or all make one data set: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.strip():
            raise ConfigError("nothing was chosen, and nothing written")
        if answer.strip() == "all":
            return candidates
        numbers = re.split(r"[\s,]+", answer.strip().strip(","))
        if all(number.isdecimal() and 1 <= int(number) <= len(candidates) for number in numbers):
            return [candidates[number - 1] for number in sorted(set(map(int, numbers)))]
