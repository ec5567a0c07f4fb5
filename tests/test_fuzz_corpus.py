"""The inputs that the fuzzer keeps, in `tests/fuzz/corpus`, each found something once: none finds anything any more."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from fuzz import bundles, mutation
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "fuzz/corpus"
INPUTS = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))
MAX_SECONDS = 5
MAX_BYTES = 100_000


@pytest.fixture(name="folder", scope="module", params=TARGETS)
def folder_fixture(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    TARGETS[request.param].prepare(folder)
    return request.param, folder


def test_every_reader_has_a_small_corpus():
    assert {path.parts[0] for path in INPUTS} == TARGETS.keys() == mutation.MUTATIONS.keys()
    assert sum((CORPUS / path).stat().st_size for path in INPUTS) < MAX_BYTES


def test_nothing_is_found(folder):
    target, home = folder
    for path in INPUTS:
        if path.parts[0] == target:
            begin = time.process_time()
            TARGETS[target].run((CORPUS / path).read_bytes(), home)
            assert time.process_time() - begin < MAX_SECONDS, path


def test_nothing_is_found_in_a_few_mutated_inputs(folder):
    """So that targets and mutations work where there is no fuzzer."""
    target, home = folder
    chance = Random(1)  # noqa: S311  # no secret
    inputs = [(CORPUS / path).read_bytes() for path in INPUTS if path.parts[0] == target]
    seen = set()
    for _ in range(100):
        data = mutation.MUTATIONS[target](chance.choice(inputs), chance, lambda piece: mutation.edited(piece, chance))
        TARGETS[target].run(data, home)
        seen.add(data)
    assert len(seen) > 50


def test_bundles():
    files = {"a/b.xml": b"<a>\n=== \n ===", "c.png": b"\x89PNG\n\n", "e": b""}
    assert bundles.split(bundles.join(files)) == files
    assert bundles.split(b"no bundle") == {}


@pytest.mark.parametrize("target", ["record", "tfrecord", "image"])
def test_a_mutation_keeps_the_outer_form(target):
    """Most of the mutated inputs still are a message, a file of records, a PNG."""
    inputs = [(CORPUS / path).read_bytes() for path in INPUTS if path.parts[0] == target]
    whole = {"record": mutation._fields, "tfrecord": mutation._records, "image": mutation._chunks}[target]
    chance = Random(2)  # noqa: S311
    kept = tried = 0
    for data in inputs:
        if list(whole(data)) and (target != "image" or data.startswith(b"\x89PNG")):
            for _ in range(20):
                tried += 1
                kept += bool([*whole(mutation.MUTATIONS[target](data, chance, bytes))])
    assert kept > tried / 2 > 0
