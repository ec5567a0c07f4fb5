"""What is fetched ahead: in order, in time, bounded, and no more than once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from maskflow_convert import fetching
from maskflow_convert.fetching import AHEAD, THREADS, Fetched, fetched_ahead, in_order
from maskflow_convert.remote import AT_HAND, path_of
from stores import Store, a_store

SECONDS = 0.02


@pytest.fixture
def store() -> Iterator[type[Store]]:
    with a_store() as made:
        for number in range(40):
            made.put(f"bucket/{number:02}", b"%d" % number * 10)
        yield made


def names(store: type[Store], count: int = 40):
    return [path_of(f"s3://bucket/{number:02}") for number in range(count)]


def test_in_order_whatever_arrives_first(store):
    def late(verb: str, key: str) -> None:
        time.sleep(SECONDS * (int(key[-1]) % 3))

    store.event = staticmethod(late)
    found = [(path, path.read_bytes()) for path in fetched_ahead(names(store))]
    assert [path for path, _ in found] == names(store)
    assert [content for _, content in found] == [b"%d" % number * 10 for number in range(40)]
    assert sorted(store.asked("GET")) == [f"bucket/{number:02}" for number in range(40)]
    assert len(store.requests) == 40


def test_several_at_once(store):
    at_once, most, lock = 0, 0, threading.Lock()

    def count(verb: str, key: str) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(SECONDS)
        with lock:
            at_once -= 1

    store.event = staticmethod(count)
    for path in fetched_ahead(names(store)):
        path.read_bytes()
    assert 1 < most <= THREADS


def test_no_more_than_a_few_ahead(store):
    ahead = fetched_ahead(names(store))
    next(ahead)
    limit = time.monotonic() + 10
    while len(store.requests) < AHEAD and time.monotonic() < limit:
        time.sleep(SECONDS)
    time.sleep(5 * SECONDS)
    assert len(store.requests) == AHEAD
    ahead.close()


def test_nothing_more_while_much_waits(store, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_BYTES", 30)
    ahead = fetched_ahead(names(store))
    next(ahead)
    limit = time.monotonic() + 10
    while len(store.requests) < AHEAD and time.monotonic() < limit:
        time.sleep(SECONDS)
    for _ in range(9):  # six wait then, of ten bytes and more each
        time.sleep(SECONDS)
        next(ahead)
    assert len(store.requests) == AHEAD
    assert len(list(ahead)) == 30
    assert len(store.requests) == 40


def test_an_error_comes_in_its_turn(store):
    del store.store["/bucket/07"]
    found = []
    for path in fetched_ahead(names(store, 12)):
        try:
            found.append(path.read_bytes())
        except FileNotFoundError:
            found.append(None)
    assert [number for number, content in enumerate(found) if content is None] == [7]
    assert len(store.requests) == 12


def test_what_the_work_raises(store):
    def work(task: int) -> Fetched[int]:
        if task == 5:
            raise SystemExit("no more")
        return Fetched(task, {})

    done = list(in_order(work, range(10)))
    with pytest.raises(SystemExit):
        done.pop(5).result()
    assert [future.result().subject for future in done] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_nothing_is_kept(store):
    for path in fetched_ahead(names(store, 3)):
        assert set(AT_HAND.files) == {path}
    assert not AT_HAND.files
    before = threading.active_count()
    ahead = fetched_ahead(names(store))
    next(ahead)
    ahead.close()
    assert not AT_HAND.files
    limit = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < limit:
        time.sleep(SECONDS)
    assert threading.active_count() <= before


def test_local_paths_pass(store, tmp_path):
    before = threading.active_count()
    paths = [tmp_path / "a", tmp_path / "b"]
    assert list(fetched_ahead(paths)) == paths
    assert threading.active_count() == before
    assert list(fetched_ahead([paths[0], *names(store, 2)])) == [paths[0], *names(store, 2)]
