"""Draws docs/terminal.svg: a terminal on which a data set with faults was validated.

    python docs/make_terminal.py

The data set is `configs/shapes-labelme` as a hasty person might leave it. Needs a system that has pseudo-terminals.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parent
PICTURE = DOCS / "terminal.svg"

COMMAND = ("validate", "my.yaml")
COLUMNS = 110
YAML = """\
sources:
  - adapter: labelme
    annotations: pictures
issues: {class-few-objects: ignore}
output: {directory: records}
"""


def prepare(folder: Path) -> None:
    """Write the data set: an image got lost, and a polygon looks like an hourglass."""
    shutil.copytree(DOCS.parent / "configs/shapes-labelme", folder / "pictures")
    (folder / "pictures/labelme_304.jpg").unlink()
    file = folder / "pictures/labelme_301.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    [polygon] = [shape for shape in document["shapes"] if shape["shape_type"] == "polygon"]
    polygon["points"] = [[110, 60], [140, 15], [110, 15], [140, 60]]
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    (folder / "my.yaml").write_text(YAML, encoding="utf-8")


def printed() -> str:
    """What the command prints on a terminal, colours and all."""
    with TemporaryDirectory() as name:
        prepare(Path(name))
        ours, theirs = pty.openpty()
        surroundings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        command = [sys.executable, "-m", "maskflow_convert", *COMMAND]
        process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=name, env=surroundings)  # noqa: S603
        os.close(theirs)
        text = io.BytesIO()
        while chunk := _read(ours):
            text.write(chunk)
        process.wait()
        os.close(ours)
    return text.getvalue().decode().replace("\r\n", "\n").strip()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way of saying that the other end is closed
        return b""


def shown(output: str) -> Text:
    """The output below the command."""
    return Text.assemble(("$ ", "green"), f"maskflow-convert {' '.join(COMMAND)}\n\n", Text.from_ansi(output))


def picture(text: Text) -> str:
    """The terminal; what it says is also there as a text, for whoever cannot see it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(text)
    drawn = console.export_svg(title="maskflow-convert", unique_id="terminal")
    fetching_nothing = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    head, end, rest = fetching_nothing.partition(">")
    return f"{head}{end}\n<desc>{escape(text.plain)}</desc>{rest}"


if __name__ == "__main__":
    PICTURE.write_text(picture(shown(printed())), encoding="utf-8")
