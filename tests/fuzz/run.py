"""Fuzzes one reader, guided by the lines that an input reaches: `python tests/fuzz/run.py coco --seconds 30`.

It needs atheris. It begins with `corpus/TARGET`, and with more folders of inputs if they are named; new inputs of
interest are kept in `--found`. At the first finding it stops with an exit code that is not 0, and leaves the input.
"""

from __future__ import annotations

import argparse
import operator
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import NoReturn

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(include=["maskflow_convert", "maskflow_adapters"]):
    from fuzz.targets import TARGETS, Finding
    from maskflow_convert.image import decode, png

from fuzz.mutation import MUTATIONS, Mutation, edited

CORPUS = Path(__file__).with_name("corpus")
MAX_SECONDS = 5
MAX_MEGABYTES = 1024
MAX_PIXELS = 1 << 22
"""Of an image, in place of what is read otherwise, so that what takes much memory is a finding."""

LONGEST = 1 << 14  # bytes of an input
_COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  # its folders have names of their own
_SHORT = 256  # bytes
_HANG = 30  # seconds after which an input is given up that does nothing


class Bounded:
    """A target, held to its time and memory."""

    def __init__(self, name: str, folder: Path) -> None:
        for module in (png, decode):
            module.MAX_PIXELS = MAX_PIXELS
        self._run = TARGETS[name].run
        self._folder = folder
        self._compare = self._traced
        TARGETS[name].prepare(folder)

    def __call__(self, data: bytes) -> None:
        if atheris._trace_cmp is not self._compare:  # atheris sets it when the fuzzing begins
            self._trace, atheris._trace_cmp = atheris._trace_cmp, self._compare
        begin = time.process_time()
        self._run(data, self._folder)
        seconds = time.process_time() - begin
        if seconds > MAX_SECONDS:
            raise Finding(f"took {seconds:.1f} s")
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        if megabytes > MAX_MEGABYTES:
            raise Finding(f"took {megabytes} MB")

    def _traced(self, left: object, right: object, number: int, *place: object) -> object:
        """atheris never lets go of what a comparison gives, which is a lot of memory where arrays are compared."""
        if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
            return _COMPARISONS[number](left, right)
        return self._trace(left, right, number, *place)


class Mutator:
    """As libFuzzer wants it, whose own mutations know which bytes were compared with what."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def __call__(self, data: bytes, longest: int, seed: int) -> bytes:
        chance = Random(seed)  # noqa: S311  # no secret

        def scramble(piece: bytes) -> bytes:
            return edited(piece, chance) if len(piece) > _SHORT else bytes(atheris.Mutate(piece, len(piece) + 32))

        for _ in range(chance.choice((1, 1, 2, 3, 5))):
            data = self._mutation(data, chance, scramble)
        return data[:longest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0: another one each time")
    parser.add_argument("seeds", type=Path, nargs="*", help="folders of inputs to begin with")
    parser.add_argument("--seconds", type=int, default=0, help="of the run; 0 does not end it")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs")
    parser.add_argument("--found", type=Path, help="a folder for inputs that reach something new")
    parser.add_argument("--artifacts", type=Path, default=Path(), help="a folder for inputs that are findings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as scratch:
        child = os.fork()  # libFuzzer ends its process by itself, and nothing is tidied up there
        if child == 0:
            fuzz(options, Path(scratch))
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)


def fuzz(options: argparse.Namespace, scratch: Path) -> NoReturn:
    """Ends the process: with 0 if nothing was found."""
    (folder := scratch / "files").mkdir()
    (found := options.found or scratch / "found").mkdir(exist_ok=True)
    corpus = CORPUS / options.target
    limits = {"max_total_time": options.seconds, "runs": options.runs, "max_len": LONGEST, "timeout": _HANG}
    limits["seed"] = options.seed
    others = {"rss_limit_mb": 2 * MAX_MEGABYTES, "artifact_prefix": f"{options.artifacts}/{options.target}-"}
    flags = {**limits, **others, "print_final_stats": 1, "len_control": 0}
    arguments = [*(f"-{name}={value}" for name, value in flags.items()), *map(str, (found, corpus, *options.seeds))]
    bounded, mutator = Bounded(options.target, folder), Mutator(MUTATIONS[options.target])
    atheris.Setup([sys.argv[0], *arguments], bounded, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
