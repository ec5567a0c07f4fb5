"""One map, two ways: results in order, progress counted, failures handed on."""

from __future__ import annotations

import os

import pytest

from core.plugins.tasks import double, perish, prepare, prepared, stumble
from maskflow_convert.errors import IssueError, OutputError
from maskflow_convert.executors import run_serially, worker_count
from maskflow_convert.processes import run_in_processes


@pytest.mark.parametrize(
    ("workers", "tasks", "images", "processors", "expected"),
    [
        (3, 10, 10, 8, 3),
        (3, 2, 10_000, 8, 2),
        (3, 0, 0, 8, 1),
        (12, 20, 10, 2, 12),
        ("auto", 100, 10_000, 8, 8),
        ("auto", 5, 10_000, 8, 5),
        ("auto", 100, 10, 8, 1),
        ("auto", 100, 0, 8, 1),
        ("auto", 100, 10_000, None, 1),
    ],
)
def test_worker_count(monkeypatch, workers, tasks, images, processors, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert worker_count(workers, tasks=tasks, images=images) == expected


def test_few_images_are_not_worth_a_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    counts = [worker_count("auto", tasks=64, images=images) for images in range(0, 5_000, 50)]
    assert counts == sorted(counts)
    assert counts[1] == 1
    assert counts[-1] > 8


class TestSerially:
    def test_results_and_progress(self):
        seen: list[int] = []
        results = list(run_serially(double, [3, 1, 2], seen.append))
        assert [result for result, *_ in results] == [6, 2, 4]
        assert {pid for _, pid, _ in results} == {os.getpid()}
        assert seen == [1, 2, 3, 4, 5, 6]

    def test_one_after_another(self):
        """A task is not begun before its result is wanted."""
        seen: list[int] = []
        results = run_serially(double, [3, 1], seen.append)
        next(results)
        assert seen == [1, 2, 3]

    def test_no_task(self):
        assert list(run_serially(double, [], print)) == []


class TestInProcesses:
    def test_results_and_progress(self):
        """Later tasks are quicker, and still come later."""
        seen: list[int] = []
        results = list(run_in_processes(double, [1, 4, 2, 6], seen.append, workers=2, prepare=prepare))
        assert [result for result, *_ in results] == [2, 8, 4, 12]
        assert os.getpid() not in {pid for _, pid, _ in results}
        assert all(processes == [pid] for _, pid, processes in results)
        assert prepared == []
        assert seen == sorted(seen)
        assert seen[-1] == 1 + 4 + 2 + 6

    def test_failure(self):
        results = run_in_processes(stumble, [0, 1, 2], lambda done: None, workers=2, prepare=prepare)
        assert next(results) == 0
        with pytest.raises(IssueError) as caught:
            next(results)
        assert str(caught.value).startswith("error: x/a.png: image a.png: gone [image-missing]")

    def test_death(self):
        results = run_in_processes(perish, [0, 1], lambda done: None, workers=2, prepare=prepare)
        with pytest.raises(OutputError, match="a worker process ended unexpectedly"):
            next(results)

    def test_progress_may_interrupt(self):
        def interrupt(done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(run_in_processes(double, [1, 2], interrupt, workers=2, prepare=prepare))
