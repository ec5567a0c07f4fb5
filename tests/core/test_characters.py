from __future__ import annotations

import pytest

from maskflow_convert.characters import visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Zelle 細胞 ä", "Zelle 細胞 ä"),
        ("two\nlines\ttab", r"two\nlines\ttab"),
        ("person\u202egpj.exe", r"person\u202egpj.exe"),
        ("ce\u200bll", r"ce\u200bll"),
        ("line\u2028end", r"line\u2028end"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("\x00\x1b[31m\x7f", r"\x00\x1b[31m\x7f"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text, seen):
    assert visible(text) == seen
    seen.encode("utf-8")
