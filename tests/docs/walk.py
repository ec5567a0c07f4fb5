"""Runs a page of the documentation: every block of it, in order, in the working directory.

A page is Markdown that a person reads, and this is what its blocks are to the test:

- `sh`: commands. Each must end with 0, or as a comment behind it says: `# exits with 1`.
- `python`: run in one namespace for the whole page.
- any of `yaml`, `python`, `json`, `text` with a `title="name"`: a file, which is written.
- `yaml` without a title: sections that replace those of the last YAML of the page; what that says is validated.
- `text`: what the block before it printed. A line `...` stands for any lines; times, rates, sizes and the folders
  before a file are not compared, nor how wide the columns of a table are.

There is also what a reader does not see: `<!-- run: COMMAND -->`, and `<!-- not run: REASON -->` before a block.

    python tests/docs/walk.py docs/tutorial.md

does all that the page says, installations included, in the environment at hand, as a newcomer would.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PIECES = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$"
    r"|^<!-- (?P<note>run|not run)[:\n](?P<text>.*?)-->$"
    r"|^(?P<odd>(?:```| +```|~~~).*)$",
    re.MULTILINE | re.DOTALL,
)
_EXIT_CODE = re.compile(r" +# exits with (\d+)$")
_MASKED = (
    (re.compile(r"\b\d+\.\d s, [\d,]+ images/s"), "TIME"),
    (re.compile(r"\b\d[\d.]* [KMG]?B\b"), "SIZE"),
    (re.compile(r"\bWrote \S+ in"), "Wrote FOLDER in"),
    (re.compile(r"(?<![\w.])/\S+/"), ""),
)

Shell = Callable[[str], tuple[int, str]]
"""Runs a command; returns its exit code and what it printed."""


@dataclass(frozen=True)
class Block:
    """A block of a page, fenced or hidden; `line` is where what is in it begins."""

    line: int
    language: str
    body: str
    title: str | None = None


class PageError(AssertionError):
    """A page says one thing, and another happened."""


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page; one that is not to be run has the language `not run`."""
    text, skip = page.read_text(encoding="utf-8"), False
    for found in _PIECES.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["odd"]:
            raise PageError(f"{page.name}:{line}: no fence of three backticks at the left edge: {found['odd']}")
        if found["note"] == "not run":
            skip = True
        elif found["note"]:
            yield Block(line, "sh", found["text"].strip())
        else:
            yield Block(line + 1, "not run" if skip else found["language"], found["body"], found["title"])
            skip = False


@dataclass
class Walk:
    """One page, run in the working directory."""

    page: Path
    shell: Shell
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str | None = None
    config: Path | None = None
    run: list[Block] = field(default_factory=list)

    def go(self) -> None:
        """Run the page from its beginning to its end; what it writes can be imported."""
        sys.path.insert(0, str(Path.cwd()))
        try:
            for block in blocks(self.page):
                self._walk(block)
        finally:
            sys.path.pop(0)

    def _walk(self, block: Block) -> None:
        try:
            self._step(block)
        except PageError as error:
            raise PageError(f"{self.page.name}:{block.line}: {error}") from None
        self.run.append(block)

    def _step(self, block: Block) -> None:
        match block:
            case Block(language="not run"):
                pass
            case Block(title=str(name)):
                self._write(name, block.body)
            case Block(language="sh"):
                self.printed = "".join(map(self._command, _commands(block.body)))
            case Block(language="python"):
                self._execute(block)
            case Block(language="yaml"):
                self._replace(block.body)
            case Block(language="text" | ""):
                self._compare(block.body)
            case _:
                raise PageError(f"nobody knows how to run a block of {block.language!r}")

    def _write(self, name: str, text: str) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".yaml":
            self.config = path

    def _command(self, line: str) -> str:
        told = _EXIT_CODE.search(line)
        code, printed = self.shell(_EXIT_CODE.sub("", line))
        if code != (int(told[1]) if told else 0):
            raise PageError(f"{line}\nended with {code}:\n{printed}")
        return printed

    def _execute(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.body, str(self.page), "exec")
        with redirect_stdout(io.StringIO()) as printed:
            exec(code, self.names)  # noqa: S102 - the page's own lines
        self.printed = printed.getvalue()

    def _replace(self, text: str) -> None:
        """Validate what the last YAML of the page says with these sections in the place of its own."""
        from ruamel.yaml import YAML

        yaml = YAML(typ="safe", pure=True)
        base = yaml.load(self.config) if self.config else {"sources": [{"adapter": "shapes"}]}
        name = "with-these-sections.yaml"
        with Path(name).open("w", encoding="utf-8") as file:
            yaml.dump({**base, **yaml.load(text)}, file)
        self._command(f"maskflow-convert validate {name} --no-images --fail-on never")

    def _compare(self, shown: str) -> None:
        if self.printed is None:
            raise PageError("this shows what was printed, and nothing was since the last that is shown")
        wanted, found = _lines(shown), _lines(self.printed)
        pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in wanted)
        if not re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
            raise PageError("the page shows\n" + "\n".join(wanted) + "\nand what was printed is\n" + "\n".join(found))
        self.printed = None


def _commands(text: str) -> list[str]:
    """The commands of a block, those parted by `&&` apart, without comments of a line of their own."""
    lines = text.replace("\\\n", " ").splitlines()
    return [each for line in lines if line.strip() and not line.startswith("#") for each in line.split(" && ")]


def _lines(text: str) -> list[str]:
    """What is compared of an output."""
    for mask, name in _MASKED:
        text = mask.sub(name, text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def bash(command: str) -> tuple[int, str]:
    """Run a command as a person does."""
    done = subprocess.run(
        ["/usr/bin/env", "bash", "-c", command],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    importlib.invalidate_caches()  # it may have been `pip install`
    return done.returncode, done.stdout


def in_this_process(command: str) -> tuple[int, str]:
    """Run `maskflow-convert` without a process of its own, anything else by `bash`, and `pip` not at all."""
    program, *arguments = shlex.split(command, comments=True)
    if program in ("pip", "pytest"):
        return 0, ""
    if program != "maskflow-convert":
        return bash(command)
    return _main(arguments)


def _main(arguments: Sequence[str]) -> tuple[int, str]:
    from maskflow_convert.cli import main

    with io.StringIO() as text, redirect_stdout(text), redirect_stderr(text):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse
            code = end.code if isinstance(end.code, int) else 1
        return code, text.getvalue()


if __name__ == "__main__":
    Walk(Path(sys.argv[1]), bash).go()
