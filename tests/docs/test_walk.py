"""What runs the pages: it stops where a page says something else than what happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from docs.walk import PageError, Walk, blocks, in_this_process

Run = Callable[[str], Walk]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(text: str) -> Walk:
        page = tmp_path / "page.md"
        page.write_text(text)
        walk = Walk(page, in_this_process)
        walk.go()
        return walk

    return run


def fenced(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


SAYS = fenced("sh", "echo one; echo two 2 MB; echo three")


@pytest.mark.parametrize(
    "page",
    [
        SAYS + fenced("text", "one", "two 999.9 KB", "three"),
        SAYS + fenced("text", "one", "...", "three"),
        SAYS + fenced("text", "one", "..."),
        SAYS + fenced("text", "...", "three"),
        fenced("python", "a = 1") + fenced("python", "print(a)") + fenced("text", "1"),
        fenced("sh", "exit 3  # exits with 3"),
        '<!-- run: echo "print(2)" > a.py -->\n' + fenced("sh", "python a.py") + fenced("text", "2"),
        fenced('python title="b.py"', "b = 3") + fenced("python", "from b import b", "print(b)") + fenced("text", "3"),
        "<!-- not run: no such thing -->\n" + fenced("sh", "no-such-thing"),
        fenced("yaml", "objects: {crowd: keep}"),
        fenced("sh", "maskflow-convert adapters show shapes && pip install no-such-thing"),
    ],
)
def test_what_is_right_passes(run: Run, page: str):
    assert run(page).run


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (SAYS + fenced("text", "one", "three"), "page.md:5: the page shows"),
        (SAYS + fenced("text", "one", "two 2 MB", "...", "four"), "the page shows"),
        (SAYS + fenced("text", "...") + fenced("text", "three"), "nothing was since"),
        (fenced("text", "one"), "nothing was since"),
        (fenced("sh", "true", "exit 3"), "ended with 3"),
        (fenced("sh", "true  # exits with 3"), "ended with 0"),
        (fenced("sh", "no-such-thing"), "ended with 127"),
        (fenced("sh", "maskflow-convert adapters show no-such-format"), "ended with 3"),
        (fenced("ruby", "puts 1"), "nobody knows how to run a block of 'ruby'"),
        (fenced("yaml", "objects: {crowd: maybe}"), "ended with 2"),
        ("- In a list:\n\n  ```sh\n  true\n  ```\n", "no fence of three backticks at the left edge"),
        ("~~~sh\ntrue\n~~~\n", "no fence of three backticks at the left edge"),
    ],
)
def test_what_is_wrong_does_not(run: Run, page: str, told: str):
    with pytest.raises(PageError, match=told):
        run(page)


def test_what_python_raises_is_raised_with_its_line(run: Run):
    with pytest.raises(ZeroDivisionError) as raised:
        run("One.\n\n" + fenced("python", "1 / 0"))
    assert raised.traceback[-1].lineno == 3


def test_blocks_have_the_line_that_they_begin_in(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- run\ntrue\n-->\n\n" + fenced("sh", "true"))
    assert [(block.line, block.language, block.body.strip()) for block in blocks(page)] == [
        (3, "sh", "true"),
        (8, "sh", "true"),
    ]
