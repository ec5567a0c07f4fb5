"""The serial executor, and how many workers there are; the other executor is in `test_processes`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.plugins.tasks import double
from maskflow_convert import executors
from maskflow_convert.executors import processors, run_serially, worker_count


@pytest.mark.parametrize(
    ("workers", "tasks", "images", "available", "expected"),
    [
        (3, 10, 10, 8, 3),
        (3, 2, 10_000, 8, 2),
        (3, 0, 0, 8, 1),
        (12, 20, 10, 2, 12),
        ("auto", 100, 10_000, 8, 8),
        ("auto", 5, 10_000, 8, 5),
        ("auto", 100, 10, 8, 1),
        ("auto", 100, 0, 8, 1),
    ],
)
def test_worker_count(monkeypatch, workers, tasks, images, available, expected):
    monkeypatch.setattr(executors, "processors", lambda: available)
    assert worker_count(workers, tasks=tasks, images=images) == expected


def test_few_images_are_not_worth_a_process(monkeypatch):
    monkeypatch.setattr(executors, "processors", lambda: 64)
    counts = [worker_count("auto", tasks=64, images=images) for images in range(0, 5_000, 50)]
    assert counts == sorted(counts)
    assert counts[1] == 1
    assert counts[-1] > 8


class TestProcessors:
    def test_those_of_a_batch_job(self):
        """One that may run on one of the machine's."""
        first = min(os.sched_getaffinity(0))
        code = (
            f"import os; os.sched_setaffinity(0, {{{first}}}); "
            "from maskflow_convert.executors import processors; print(processors())"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "1\n"

    def test_where_the_system_does_not_tell_of_affinity(self, monkeypatch):
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 12)
        assert processors() == 12
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert processors() == 1


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
