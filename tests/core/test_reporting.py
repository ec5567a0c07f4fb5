"""What a person reads, at the width of a terminal."""

from __future__ import annotations

from collections import Counter
from io import StringIO

from rich.console import Console
from rich.text import Text

from maskflow_convert import reporting
from maskflow_convert.report import Report, Tally
from maskflow_convert.reporting import Indented, class_table, render


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


class TestClasses:
    def rows(self, counts, classes):
        report = Report({f"c{number}": number for number in range(1, classes + 1)})
        report.add("train", Tally(objects_by_class=Counter(counts)), ())
        return render(class_table(report)).splitlines()

    def test_of_few_each_is_shown(self):
        first, *rows, last = self.rows({"c1": 2, "c3": 1_000}, classes=4)
        assert first.split() == ["class", "id", "train"]
        assert [row.split() for row in rows] == [["c1", "1", "2"], ["c3", "3", "1,000"]]
        assert last == "no object: c2, c4"

    def test_of_many_those_with_most_objects(self):
        """c1 has one object, c2 two, and so on: c1 to c20 have the fewest."""
        _, *rows, more, unused = self.rows({f"c{number}": number for number in range(1, 121)}, classes=230)
        assert [row.split()[0] for row in rows] == [f"c{number}" for number in range(21, 121)]
        assert more == "and 20 more, with fewer objects"
        assert unused.startswith("no object: c121, c122, ")
        assert unused.endswith(", c219, c220 and 10 more")


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
