"""What a person reads, at the width of a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.text import Text

from maskflow_convert.reporting import Indented, render


class TestIndented:
    text = Text("The first line goes on below itself.\nThe second does not.")

    def test_on_a_narrow_terminal(self):
        seen = StringIO()
        Console(width=24, file=seen).print(Indented(self.text, 4))
        assert seen.getvalue().splitlines() == [
            "    The first line goes",
            "    on below itself.",
            "    The second does not.",
        ]

    def test_without_a_terminal(self):
        assert render(Indented(self.text, 2)) == "  The first line goes on below itself.\n  The second does not.\n"
