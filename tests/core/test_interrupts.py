"""Signals that wait until they do no harm, and what the command line makes of them."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Thread

import pytest

from maskflow_convert import interrupts
from maskflow_convert.cli import main
from maskflow_convert.errors import PluginError
from maskflow_convert.executors import run_serially
from maskflow_convert.interrupts import deferred

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers_are_as_before():
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    assert {each: signal.getsignal(each) for each in SIGNALS} == before


@pytest.fixture
def _sigterm_interrupts():
    def terminate(*_: object) -> None:
        raise KeyboardInterrupt("terminated")

    before = signal.signal(signal.SIGTERM, terminate)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_sigterm_interrupts")
class TestDeferred:
    @pytest.mark.parametrize("number", SIGNALS)
    def test_until_the_end(self, number):
        def work() -> None:
            with deferred():
                signal.raise_signal(number)
                done.append("in the block")

        done: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["in the block"]

    @pytest.mark.parametrize("number", SIGNALS)
    def test_until_it_is_let_through(self, number):
        def work() -> None:
            with deferred() as let_through:
                let_through()
                signal.raise_signal(number)
                done.append("before")
                let_through()
                done.append("after")

        done: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["before"]

    def test_nothing_happens(self):
        with deferred() as let_through:
            let_through()

    def test_what_comes_twice_is_told_once(self):
        """A terminal and a parent may both send it."""

        def work() -> None:
            with deferred():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                done.append("twice")

        done: list[str] = []
        with pytest.raises(KeyboardInterrupt) as caught:
            work()
        assert (done, str(caught.value)) == (["twice"], "")

    def test_patience_ends(self, monkeypatch):
        def work() -> None:
            with deferred():
                signal.raise_signal(signal.SIGINT)
                done.append("once")
                signal.raise_signal(signal.SIGINT)
                done.append("twice")

        monkeypatch.setattr(interrupts, "_SECONDS_TO_HEED", 0.0)
        done: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["once"]

    def test_what_is_ignored_stays_so(self):
        """As by a shell's job in the background."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with deferred() as let_through:
                signal.raise_signal(signal.SIGINT)
                let_through()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, before)

    def test_elsewhere_nothing_is_touched(self):
        """Only the main thread may handle signals."""
        done = []

        def work() -> None:
            with deferred() as let_through:
                let_through()
                done.append(signal.getsignal(signal.SIGINT))

        thread = Thread(target=work)
        thread.start()
        thread.join()
        assert done == [signal.default_int_handler]


class TestSerially:
    def test_between_images(self):
        """The image is counted, and the next one is not begun; a library that swallows exceptions changes nothing."""
        done: list[str] = []

        def work(task, tick):
            for image in ("a", "b", "c"):
                try:
                    if image == "b":
                        signal.raise_signal(signal.SIGINT)
                except BaseException:
                    done.append("swallowed")
                done.append(image)
                tick()

        counts: list[int] = []
        with pytest.raises(KeyboardInterrupt):
            list(run_serially(work, [1], counts.append))
        assert done == ["a", "b"]
        assert counts == [1, 2]


class TestCommandLine:
    @pytest.fixture
    def yaml(self, tmp_path) -> str:
        (tmp_path / "c.yaml").write_text("sources: [{adapter: shapes, count: 6}]\n")
        return str(tmp_path / "c.yaml")

    @pytest.mark.parametrize(("number", "told"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
    @pytest.mark.parametrize("disguise", [None, PluginError("cannot be imported: KeyboardInterrupt"), ValueError("no")])
    def test_whatever_libraries_make_of_it(self, yaml, tmp_path, monkeypatch, capsys, number, told, disguise):
        def interrupt(*_: object) -> None:
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                if disguise:
                    raise disguise from None
                raise

        monkeypatch.setattr("maskflow_convert.pipeline.prepare", interrupt)
        assert main(["convert", yaml, "--output", str(tmp_path / "o")]) == 130
        assert capsys.readouterr() == ("", f"maskflow-convert: {told}\n")

    def test_in_a_thread(self, yaml, tmp_path):
        codes = []
        thread = Thread(target=lambda: codes.append(main(["convert", yaml, "--output", str(tmp_path / "o")])))
        thread.start()
        thread.join()
        assert codes == [0]
        assert (Path(tmp_path) / "o/dataset.json").is_file()
