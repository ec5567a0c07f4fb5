"""What a person reads, at the width of a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.text import Text

from maskflow_convert import reporting
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


def test_progress_is_worked_out_when_it_is_shown_only(monkeypatch):
    """Not for each of a million images."""

    class Terminal(StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    clock = [0.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: clock[0])
    updates = []
    monkeypatch.setattr(reporting.Progress, "update", lambda *_, **facts: updates.append(facts["completed"]))
    with reporting.progress_bar() as show:
        for done in range(1, 41):
            clock[0] = done / 64
            show(done, 40)
    assert updates == [7, 14, 21, 28, 35, 40]  # more than a tenth of a second lies between them; and the end
