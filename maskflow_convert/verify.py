"""Verification of written records: each file against the format and against its manifest, and the files together.

The unit of work is one file, read record by record, so that it runs in any number of processes; of a record nothing is
kept but its id. Findings name the file as `path`, the image as `record`, and in the message the record's number in its
file, counted from 0. No TensorFlow.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from io import UnsupportedOperation
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskflow_convert.copies import on_this_machine, temporary_folder
from maskflow_convert.executors import Tick, run_serially, worker_count
from maskflow_convert.issues import Issue, Loss
from maskflow_convert.manifest import FILE_NAME, Manifest, ShardFile
from maskflow_convert.record import Layout, Record, parse
from maskflow_convert.record_checks import Contract, check_record
from maskflow_convert.records import Records
from maskflow_convert.remote import RemotePath
from maskflow_convert.report import Report, Tally
from maskflow_convert.tfrecord import Compression, compression_of, scan_records

OnRecord = Callable[[int, int], None]
"""Gets the number of records done, and of all records, which is a guess where no manifest tells it."""

UNNAMED_SPLIT = "records"
"""What the split of files without a manifest is called in the report."""

_RECORD_BYTES = 500_000  # of a usual record, for a guess at how many there are
_AS_LONG = 4  # records are verified in the time that one image is converted
_LONGEST_NAME = 255  # characters of a name that an issue quotes


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A TFRecord file, what its manifest says of it, and the compression of the data set; None where there is none."""

    path: Path
    entry: ShardFile | None
    compression: Compression | None

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.path.name


@dataclass
class ShardVerdict:
    """What was found in one file.

    Attributes:
        shard: the file.
        tally: what it holds; what cannot be read is found and dropped. Classes are counted by name, or as `id 7`.
        findings: counts of the issues, the first of each kind, and areas; nothing else of the report is used.
        ids: `image/id` of the records that have one, in their order.
        without_id: numbers of the records that have none.
        whole: whether every record could be read.
        class_ids: those met, by their names.
    """

    shard: StoredShard
    tally: Tally = field(default_factory=Tally)
    findings: Report = field(default_factory=Report)
    ids: array[int] = field(default_factory=lambda: array("q"))
    without_id: array[int] = field(default_factory=lambda: array("q"))
    whole: bool = True
    class_ids: dict[str, int] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """The split of the file in the report."""
        return self.shard.entry.split if self.shard.entry else UNNAMED_SPLIT

    @property
    def as_listed(self) -> bool:
        """Whether every record could be read, and there are as many, with as many objects, as the manifest says."""
        return self.whole and not [*_counts_differ(self)]

    def find(self, *issues: Issue) -> None:
        """List issues of the file, and count what they cost."""
        for issue in issues:
            self.findings.list_issues([replace(issue, path=str(self.shard.path))])
            self.tally.lose(issue)

    @property
    def verified(self) -> Verified:
        """What is still needed when counts and findings are added to those of the other files."""
        return Verified(self.shard.path, self.ids, self.without_id, self.as_listed)


@dataclass(frozen=True, slots=True)
class Verified:
    """What is kept of a verdict to hold the files against each other: little, as there may be 100,000 files.

    The attributes are those of the verdict.
    """

    path: Path
    ids: array[int]
    without_id: array[int]
    as_listed: bool

    def number_of(self, position: int) -> int:
        """The number of the record that has the id at a position of `ids`."""
        without = np.asarray(self.without_id, dtype=np.int64)
        return position + int(np.searchsorted(without - np.arange(len(without)), position, side="right"))


def verify(
    records: Records,
    *,
    layout: Layout | str | None = None,
    workers: int | Literal["auto"] = "auto",
    on_progress: OnRecord | None = None,
) -> Report:
    """Find all that is wrong with written records: see `record-`, `shard-` and `manifest-` in the catalogue of issues.

    Args:
        records: the files. Of those of a data set that are not among them, only the names are compared with the
            manifest; what it says of a split is compared when all files of the split are among them.
        layout: of files that no manifest lies beside; None accepts images either way round.
        workers: number of processes.
        on_progress: called now and then.

    Returns:
        The issues, and by split what the files hold. Of images whose records cannot be read, only the number is known.

    Raises:
        ConfigError: the layout is another than the manifest's, or there is none of that name.
        OutputError: a worker process ended unexpectedly.
    """
    manifest = records.manifest
    contract = _contract(records, layout)
    entries = {entry.name: entry for entry in manifest.shards} if manifest else {}
    compression = manifest.compression if manifest else None
    shards = [StoredShard(path, entries.get(path.name), compression) for path in dict.fromkeys(records.paths)]
    report = Report(classes={each.name: each.id for each in manifest.classes} if manifest else {})
    files = []
    found: dict[str, int] = {}
    for verdict in _run(partial(verify_shard, contract), shards, workers, on_progress):
        report.add(verdict.split, verdict.tally, ())
        report.merge(verdict.findings)
        found |= verdict.class_ids
        files.append(verdict.verified)
    report.classes |= dict(sorted(found.items(), key=lambda each: each[1]))
    report.list_issues(_repeated_ids(files))
    if manifest is not None:
        report.list_issues(_unlisted(manifest, files))
        report.list_issues(_splits_differ(manifest, files, report))
    return report


def _contract(records: Records, layout: Layout | str | None) -> Contract:
    manifest, known = records.manifest, records.layout(layout)
    if manifest is None:
        return Contract(known)
    return Contract(
        layout=known,
        channels=None if manifest.channels == "source" else manifest.channels,
        depth=manifest.depth,
        classes={each.id: each.name for each in manifest.classes},
    )


def _run(
    work: Callable[[StoredShard, Tick], ShardVerdict],
    shards: Sequence[StoredShard],
    workers: int | Literal["auto"],
    on_progress: OnRecord | None,
) -> Iterator[ShardVerdict]:
    """The verdicts in the order of the files."""
    total = sum(map(_expected, shards))

    def progress(done: int) -> None:
        if on_progress is not None:
            on_progress(done, max(done, total))

    processes = worker_count(workers, tasks=len(shards), images=total // _AS_LONG)
    if processes == 1:
        return run_serially(work, shards, progress)
    from maskflow_convert.processes import run_in_processes

    if any(isinstance(shard.path, RemotePath) for shard in shards):
        temporary_folder()  # that of this process, which outlives its workers
    return run_in_processes(work, shards, progress, workers=processes, prepare=_start)


def _expected(shard: StoredShard) -> int:
    """How many records a file holds, by its manifest or its size."""
    if shard.entry is not None:
        return shard.entry.images
    return shard.path.stat().st_size // _RECORD_BYTES if shard.path.is_file() else 0


def _start() -> None:
    """A worker needs nothing but this module."""


def verify_shard(contract: Contract, shard: StoredShard, tick: Tick) -> ShardVerdict:
    """Verify one file, in this process; data of whatever kind raises nothing."""
    verdict = ShardVerdict(shard)
    if not shard.path.is_file():
        _lose_rest(verdict, Issue("shard-missing", "there is no such file"), 0)
        return verdict
    with on_this_machine(shard.path) as file:
        verdict.find(*_file_differs(shard, file))
        for number, content in enumerate(scan_records(file)):
            if isinstance(content, bytes):
                _judge(verdict, number, content, contract)
            elif content.code == "record-checksum-differs":
                _lose(verdict, number, _numbered(number, content))
            else:
                _lose_rest(verdict, _numbered(number, content), number)
            tick()
    if verdict.whole:
        verdict.find(*_counts_differ(verdict))
    return verdict


def _file_differs(shard: StoredShard, path: Path) -> Iterator[Issue]:
    """Hold the file as such, which is at `path`, against the manifest."""
    try:
        compression = compression_of(path)
        if shard.compression not in (None, compression):
            yield Issue(
                "shard-compression-differs",
                f"the compression of the file is {compression}, the manifest says {shard.compression}",
            )
        if shard.entry is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != shard.entry.sha256:
                yield Issue("shard-changed", f"its SHA-256 is {found}, the manifest says {shard.entry.sha256}")
    except OSError:
        return  # and then its records cannot be read either, which is listed


def _numbered(number: int, issue: Issue) -> Issue:
    return replace(issue, message=f"record {number} {issue.message}")


def _lose(verdict: ShardVerdict, number: int, issue: Issue) -> None:
    """List what makes a record unreadable."""
    verdict.find(replace(issue, loss=Loss.IMAGE))
    verdict.without_id.append(number)
    verdict.whole = False


def _lose_rest(verdict: ShardVerdict, issue: Issue, number: int) -> None:
    """List what makes a record and all after it unreadable, and count those that the manifest knows of."""
    verdict.whole = False
    entry = verdict.shard.entry
    if entry is None:
        verdict.find(issue)
        return
    lost = max(entry.images - number, 0)
    verdict.find(replace(issue, message=f"{issue.message}; {lost:,} of {entry.images:,} records are lost"))
    verdict.tally.images_found += lost
    verdict.tally.images_dropped[issue.code] += lost


def _judge(verdict: ShardVerdict, number: int, data: bytes, contract: Contract) -> None:
    """Judge one record, and count what it holds."""
    record, faults = parse(data)
    if record is None:
        *others, last = (replace(fault, message=f"record {number}: {fault.message}") for fault in faults)
        verdict.find(*others)
        _lose(verdict, number, last)
        return
    name = record.basename[:_LONGEST_NAME] or None
    for issue in (*faults, *check_record(record, contract)):
        verdict.find(replace(issue, message=f"record {number}: {issue.message}", record=name))
    verdict.ids.append(record.id)
    _count(verdict, Counter(record.class_ids.tolist()), len(data), contract.classes or {})
    _measure(verdict.findings, record, contract.classes or {})


def _count(verdict: ShardVerdict, by_id: Counter[int], size: int, classes: Mapping[int, str]) -> None:
    tally = verdict.tally
    tally.images_found += 1
    tally.images_written += 1
    tally.objects_found += by_id.total()
    tally.objects_written += by_id.total()
    tally.bytes += size
    for class_id, count in by_id.items():
        name = classes.get(class_id, f"id {class_id}")
        tally.objects_by_class[name] += count
        verdict.class_ids[name] = class_id


def _measure(report: Report, record: Record, classes: Mapping[int, str]) -> None:
    """Count the objects of a record by class and by octave of their area, as far as they have one."""
    n = record.indices[:, 0]
    of_objects = n[(n >= 0) & (n < len(record.class_ids))]
    areas = np.bincount(of_objects, minlength=len(record.class_ids)).tolist()
    for class_id, area in zip(record.class_ids.tolist(), areas, strict=True):
        if area:
            name = classes.get(class_id, f"id {class_id}")
            report.areas.setdefault(name, Counter())[area.bit_length() - 1] += 1


def _counts_differ(verdict: ShardVerdict) -> Iterator[Issue]:
    """Hold the numbers of records and objects in a file against the manifest."""
    entry, tally = verdict.shard.entry, verdict.tally
    if entry is not None:
        yield from _differences(
            "shard-count-differs",
            "in the file",
            found={"records": tally.images_written, "objects": tally.objects_written},
            stated={"records": entry.images, "objects": entry.objects},
        )


def _differences(code: str, where: str, *, found: Mapping[str, int], stated: Mapping[str, int]) -> Iterator[Issue]:
    """An issue for each number that is not as the manifest states it."""
    for noun in {**stated, **found}:
        here, there = found.get(noun, 0), stated.get(noun, 0)
        if here != there:
            yield Issue(code, f"{here:,} {noun} are {where}, the manifest says {there:,}")


def _repeated_ids(files: Sequence[Verified]) -> Iterator[Issue]:
    """Every record whose id another before it has, with the file and number of both."""
    ids = _all_ids(files)
    ids.sort()
    if not (ids[1:] == ids[:-1]).any():
        return
    ids = _all_ids(files)
    order = ids.argsort(kind="stable")
    new = np.append(True, np.diff(ids[order]) != 0)
    first = order[np.flatnonzero(new)[new.cumsum() - 1]]
    starts = np.cumsum([0, *(len(file.ids) for file in files)])

    def located(position: int) -> tuple[Verified, int]:
        at = int(np.searchsorted(starts, position, side="right")) - 1
        return files[at], files[at].number_of(position - int(starts[at]))

    for position, earlier in sorted(zip(order[~new].tolist(), first[~new].tolist(), strict=True)):
        (file, number), (other, other_number) = located(position), located(earlier)
        yield Issue(
            "record-id-duplicate",
            f"record {number} has the image/id {ids[position]}, as record {other_number} of {other.path.name}",
            path=str(file.path),
        )


def _all_ids(files: Sequence[Verified]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, dtype=np.int64), *(np.asarray(file.ids) for file in files)])


def _unlisted(manifest: Manifest, files: Sequence[Verified]) -> Iterator[Issue]:
    """Files that lie beside a whole data set and do not belong to it."""
    listed = {entry.name for entry in manifest.shards}
    if listed <= {file.path.name for file in files}:
        for folder in sorted({file.path.parent for file in files}):
            for path in _shards_in(folder):
                if path.name not in listed:
                    yield Issue("shard-unlisted", f"{FILE_NAME} does not name this file", path=str(path))


def _shards_in(folder: Path) -> list[Path]:
    """The shards in a folder; none, as far as anybody can tell, if it cannot be listed."""
    try:
        return sorted(folder.glob("*.tfrecord"))
    except UnsupportedOperation:
        return []


def _splits_differ(manifest: Manifest, files: Sequence[Verified], report: Report) -> Iterator[Issue]:
    """Hold the counts of each split against the manifest, if each file of it agrees with its own entry there."""
    as_listed = {file.path.name for file in files if file.as_listed}
    others = {entry.split for entry in manifest.shards if entry.name not in as_listed}
    for name, counts in manifest.splits.items():
        if name not in others:
            tally = report.splits.get(name, Tally())
            issues = _differences(
                "manifest-count-differs",
                f"in the records of {name}",
                found=_named_counts(tally.images_written, tally.objects_written, tally.bytes, tally.objects_by_class),
                stated=_named_counts(
                    counts.images_written, counts.objects_written, counts.bytes, counts.objects_by_class
                ),
            )
            yield from (replace(issue, path=_manifest_path(files)) for issue in issues)


def _named_counts(images: int, objects: int, size: int, by_class: Mapping[str, int]) -> dict[str, int]:
    named = {f"objects of {name}": count for name, count in by_class.items()}
    return {"images": images, "objects": objects, "bytes": size, **named}


def _manifest_path(files: Sequence[Verified]) -> str:
    return str(files[0].path.with_name(FILE_NAME)) if files else FILE_NAME
