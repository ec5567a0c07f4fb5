"""The end of a conversion: from what came of the shards to the files that a data set has beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from pydantic import JsonValue
from ruamel.yaml import YAML

from maskflow_convert.errors import MaskflowError
from maskflow_convert.issues import Issue
from maskflow_convert.manifest import Manifest, NumberedImage, ShardFile, SplitCounts
from maskflow_convert.output import IssueList, replace_text
from maskflow_convert.outset import Outset
from maskflow_convert.plan import PlannedSplit
from maskflow_convert.provenance import SourceFacts
from maskflow_convert.report import Report, Tally
from maskflow_convert.shard import ShardResult

_LOG = logging.getLogger(__name__)

_NEVER_FOLDED = 2**31  # characters of a line: of several spaces in a path, a fold would leave one


def complete(
    folder: Path,
    outset: Outset,
    *,
    issues: Iterable[Issue],
    results: Iterable[ShardResult],
    numbered: Iterable[NumberedImage],
) -> tuple[Manifest, Report]:
    """Write what belongs to the shards in an output directory, the manifest last.

    Args:
        folder: the output directory.
        outset: what is known of the data set.
        issues: what is wrong with its sources as a whole.
        results: what came of each shard, in the order of the plan.
        numbered: what the manifest lists as such.

    Raises:
        IssueError: something is wrong with the data set as a whole, and the configuration makes it an error.
        OutputError: a file cannot be written.
        MaskflowError: the books do not add up.
    """
    report, whole = outset.report(), outset.judge()
    report.shards = [name for split in outset.plan for name in split.names()]
    files: list[ShardFile] = []
    with IssueList(folder / "issues.jsonl") as listed:
        for issue in issues:
            listed.write([issue])
            report.add_unplaced(issue)
        for result in results:
            listed.write(result.issues)
            report.add(result.split, result.tally, result.issues)
            whole.add(report, result.split, result.census)
            files += [result.file] if result.file else []
        whole.conclude(report)
    check_balance(report, outset.plan)
    replace_text(folder / "config.yaml", yaml_of(outset.configuration))
    counts = {name: SplitCounts(**tally.to_dict()) for name, tally in report.splits.items()}
    unplaced = SplitCounts(**report.unplaced.to_dict())
    manifest = outset.manifest.model_copy(update={"splits": counts, "unplaced": unplaced, "shards": files})
    manifest.write(folder, numbered)
    return manifest, report


def check_balance(report: Report, plan: Iterable[PlannedSplit]) -> None:
    """Check the books of each split against the plan.

    Raises:
        MaskflowError: the counts do not add up, which no input may bring about.
    """
    planned = {each.split: each.images for each in plan}
    for split in planned.keys() | report.splits.keys():
        tally = report.splits.get(split, Tally())
        if not tally.adds_up or tally.images_found != planned.get(split, 0):
            raise MaskflowError(f"{split}: the counts do not add up, which is a fault of this program: {tally}")


def yaml_of(configuration: Mapping[str, JsonValue]) -> str:
    """A configuration as YAML, every default in place and every path absolute."""
    text = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.width = _NEVER_FOLDED
    yaml.dump(configuration, text)
    return text.getvalue()


def describe(folder: Path, manifest: Manifest, report: Report, sources: Callable[[], Sequence[SourceFacts]]) -> None:
    """Write the card of a data set that is whole without it; whatever goes wrong is told, and no more."""
    try:
        from maskflow_convert.card import write_card

        kept = write_card(folder, sources(), manifest, report)
    except Exception as error:  # pictures of data of any kind, and by libraries of others
        _LOG.warning("%s: the data set is whole, but its card could not be made: %s", folder, told(error))
    else:
        for name in kept:
            _LOG.warning(
                "%s: is somebody else's, or was changed: it is kept, and not replaced by a card", folder / name
            )


def told(error: Exception) -> str:
    """What to say of an error that may be anybody's."""
    return str(error) if isinstance(error, MaskflowError) else f"{type(error).__name__}: {error}"
