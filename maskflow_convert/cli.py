"""The command line: arguments in, exit code out.

Results go to the standard output, everything else to the error one. What a command needs is imported when it runs, so
that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shlex
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from maskflow_convert import __version__
from maskflow_convert.amounts import count_text
from maskflow_convert.characters import visible
from maskflow_convert.errors import ConfigError, MaskflowError, OutputError, without_secrets
from maskflow_convert.interrupts import deferred, in_main_thread
from maskflow_convert.nodes import Node
from maskflow_convert.remote import RemotePath, path_of

if TYPE_CHECKING:
    from maskflow_convert.illustrate import Illustrations
    from maskflow_convert.report import Report

_BEGINNING = """\
to begin: `maskflow-convert init FOLDER` finds the data set in a folder and
writes a YAML file, and `maskflow-convert convert FILE` converts it
"""

_EXIT_CODES = """\
exit codes: 0 done, also if objects were dropped as configured; 1 stopped by an
issue, or issues found; 2 usage or configuration; 3 adapter; 4 source cannot be
read; 5 output; 130 interrupted"""

_LAYOUT = "of .tfrecord files without a dataset.json beside them; it is never guessed"

_SUBJECT = "a YAML file, an output directory, or .tfrecord files"

_SCHEMA_FILE = "maskflow.schema.json"
_LAST_STREAM = 2  # the standard error
_INTERRUPTED = 130
_FOUND = 1
_SHARDS_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _fill_closed_streams()
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _interruptible():
            exit_code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except MaskflowError as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        _tell(str(interrupt) or "interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
    except MemoryError:
        _tell("memory is used up; take fewer workers (`run.workers`), or a machine with more of it")
        return OutputError.exit_code
    except OSError as error:
        _discard_output()
        what = f"{error.filename}: cannot be used" if error.filename else "the standard output cannot be written"
        _tell(f"{what}: {error.strerror}")
        return OutputError.exit_code
    else:
        return exit_code
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM stop the work as Ctrl-C does, and end it as KeyboardInterrupt whatever libraries make of that."""
    told: list[str] = []

    def interrupt(number: int, _: object) -> None:
        told.append("interrupted" if number == signal.SIGINT else "terminated")
        raise KeyboardInterrupt

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = [each for each, handler in usual.items() if in_main_thread() and signal.getsignal(each) == handler]
    before = {each: signal.signal(each, interrupt) for each in ours}
    try:
        yield
    except BaseException as error:
        if told:
            raise KeyboardInterrupt(told[0]) from error
        raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _fill_closed_streams() -> None:
    """Open what is closed of the standard streams, or the next file would be one, and get what libraries say there."""
    while (stream := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(stream, True)  # noqa: FBT003
    os.close(stream)


def _discard_output() -> None:
    with suppress(OSError, AttributeError):  # as many files are open as may be; there is no output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str) -> None:
    shown = "\n".join(map(visible, without_secrets(message).split("\n")))
    with suppress(OSError, AttributeError):  # nobody listens
        sys.stderr.write(f"maskflow-convert: {shown}\n")


def _tell_warnings() -> None:
    """Have what is logged read as all other messages do."""
    import logging

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("maskflow-convert: %(message)s"))


def _parser() -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="maskflow-convert",
        description="Convert annotations for instance segmentation (COCO, Pascal VOC, LabelMe, or a\n"
        "format of your own) to the TFRecords that maskflow trains on.",
        epilog=f"{_BEGINNING}\n{_EXIT_CODES}",
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(run=lambda _: _usage(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, meaning: str) -> argparse.ArgumentParser:
        told = textwrap.fill(f"{meaning[0].upper()}{meaning[1:]}.", 79)
        return commands.add_parser(name, help=meaning, description=told, epilog=_EXIT_CODES, formatter_class=as_written)

    init = command("init", "find the data set in a folder, and write the YAML file that converts it")
    init.add_argument("folder", metavar="FOLDER", type=_local, help="where the images and annotations are")
    init.add_argument(
        "--output",
        metavar="FILE",
        type=_local,
        help="the YAML file to write; default: called after FOLDER",
    )
    init.add_argument("--overwrite", action="store_true", help="replace a YAML file that is there already")
    init.add_argument(
        "--format",
        metavar="NAME",
        action="append",
        default=[],
        help="of several data sets, take what this adapter reads; may be repeated",
    )
    init.add_argument(
        "--only",
        metavar="PATH",
        type=_local,
        action="append",
        default=[],
        help="of several data sets, take what is in this file or folder; may be repeated",
    )
    init.add_argument("--all", action="store_true", help="make one data set of all that is found")
    init.add_argument("--no-schema", action="store_true", help="write no JSON Schema for editors beside the YAML file")
    init.set_defaults(run=_init)

    convert = command("convert", "convert the data set that a YAML file describes")
    convert.add_argument("config", metavar="CONFIG", type=_path, help="the YAML file")
    convert.add_argument("--output", metavar="DIR", type=_path, help="where to write, instead of `output.directory`")
    convert.add_argument("--workers", metavar="N", type=_workers, help="how many processes do the work, or auto")
    convert.add_argument("--executor", choices=("serial", "processes", "ray"), help="what does the work")
    existing = convert.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="finish a data set that was begun")
    existing.add_argument("--overwrite", action="store_true", help="replace the data set that is there")
    convert.add_argument(
        "--node", metavar="I/N", type=_node, help="write the share of node I of N, as in 2/8; see merge"
    )
    convert.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be written; open no image whose size its annotation states",
    )
    convert.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a key of the YAML file, such as objects.crowd=keep or sources[0].split=val; may be repeated",
    )
    convert.set_defaults(run=_convert)

    merge = command("merge", "make one data set of the shares that nodes have written with `convert --node`")
    merge.add_argument(
        "directories",
        metavar="DIRECTORY",
        type=_path,
        nargs="+",
        help="what the nodes have written: one directory, or several",
    )
    merge.add_argument("--output", metavar="DIR", type=_path, help="where to write; needed for several directories")
    merge.set_defaults(run=_merge)

    validate = command("validate", "find what is wrong with annotations, images or written records")
    validate.add_argument(
        "subject",
        metavar="CONFIG|RECORDS",
        type=_path,
        nargs="*",
        help=_SUBJECT,
    )
    validate.add_argument("--format", choices=("text", "json", "html"), default="text", help="default: text")
    validate.add_argument("--output", metavar="FILE", type=_local, help="write the report to a file")
    validate.add_argument(
        "--issues", metavar="FILE", type=_local, help="write all issues to a file, each a line of JSON"
    )
    validate.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help="what to exit with 1 for; default: error",
    )
    validate.add_argument("--sample", metavar="N", type=_count, help="look at N images only, always the same ones")
    validate.add_argument("--no-images", action="store_true", help="open no image whose size its annotation states")
    validate.add_argument("--layout", choices=("documented", "rows_first"), help=_LAYOUT)
    validate.add_argument("--workers", metavar="N", type=_workers, help="how many processes do the work, or auto")
    validate.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for convert")
    validate.add_argument("--list-checks", action="store_true", help="list all checks, and do nothing else")
    validate.set_defaults(run=_validate)

    preview = command("preview", "draw masks on their images, from a YAML file or from written records")
    preview.add_argument(
        "subject",
        metavar="CONFIG|RECORDS",
        type=_path,
        nargs="+",
        help=_SUBJECT,
    )
    preview.add_argument(
        "--output", metavar="DIR", type=_local, default=Path("preview"), help="where to write; default: preview"
    )
    preview.add_argument("--limit", metavar="N", type=_count, default=24, help="at most N images; default: 24")
    preview.add_argument("--seed", metavar="N", type=int, default=0, help="another seed shows other images; default: 0")
    preview.add_argument(
        "--only", metavar="CLASS", action="append", default=[], help="show only objects of this class; may be repeated"
    )
    preview.add_argument("--issues", action="store_true", help="show only objects with issues")
    preview.add_argument("--layout", choices=("documented", "rows_first"), help=_LAYOUT)
    preview.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for convert")
    preview.set_defaults(run=_preview)

    inspect = command("inspect", "show what is in written records")
    inspect.add_argument(
        "records", metavar="RECORDS", type=_path, nargs="+", help="output directories or .tfrecord files"
    )
    inspect.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    inspect.set_defaults(run=_inspect)

    schema = command("schema", "print what is read and written, as JSON for editors and programs")
    subject = schema.add_subparsers(required=True, metavar="config|sample|record")
    schemas = {
        "config": "the JSON Schema of the YAML file, with the options of all installed adapters",
        "sample": "the JSON Schema of what adapters yield",
        "record": "the features of a written record",
    }
    for name, meaning in schemas.items():
        subject.add_parser(name, help=meaning, description=meaning).set_defaults(run=_schema, subject=name)

    adapters = command("adapters", "list, show or begin an adapter, which reads a format")
    what = adapters.add_subparsers(required=True, metavar="list|show|new")
    what.add_parser("list", help="list the installed adapters").set_defaults(run=_list_adapters)
    show = what.add_parser("show", help="show an adapter and its options")
    show.add_argument("name", metavar="NAME", help="as in `adapter:` of a YAML file")
    show.set_defaults(run=_show_adapter)
    new = what.add_parser("new", help="write a package with an adapter that works, for you to change")
    new.add_argument("name", metavar="NAME", help="as it will be in `adapter:` of a YAML file")
    new.add_argument("--output", metavar="DIR", type=_local, help="where to write; default: maskflow-NAME")
    new.set_defaults(run=_new_adapter)
    return parser


def _usage(parser: argparse.ArgumentParser) -> int:
    """Say what there is, to who gives no command."""
    parser.print_help(sys.stderr)
    return ConfigError.exit_code


@contextmanager
def _much_to_import() -> Iterator[None]:
    """Keep the garbage collector from going through modules and models, now and later, which are here to stay."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads for algebra that nothing here does
    gc.disable()
    try:
        with deferred():
            yield
    finally:
        gc.freeze()
        gc.enable()


def _path(text: str) -> Path:
    try:
        return path_of(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _local(text: str) -> Path:
    path = _path(text)
    if isinstance(path, RemotePath):
        raise argparse.ArgumentTypeError(f"{path} is not on this machine, and this has to be")
    return path


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of processes nor auto")
    return int(text)


def _node(text: str) -> Node:
    try:
        return Node.of(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of images")
    return int(text)


def _convert(options: argparse.Namespace) -> int:
    with _much_to_import():
        from maskflow_convert.config import load_config
        from maskflow_convert.output import Existing
        from maskflow_convert.pipeline import convert, rehearse
        from maskflow_convert.reporting import class_table, print_result, progress_bar, summary

    overrides = [*options.set]
    if options.output is not None:
        overrides.append(f"output.directory={json.dumps(str(options.output.absolute()))}")
    if options.workers is not None:
        overrides.append(f"run.workers={options.workers}")
    if options.executor is not None:
        overrides.append(f"run.executor={options.executor}")
    config = load_config(options.config, overrides)
    existing = Existing.RESUME if options.resume else Existing.OVERWRITE if options.overwrite else Existing.REFUSE
    _tell_warnings()
    begun = time.perf_counter()
    with progress_bar() as on_progress, redirect_stdout(sys.stderr):  # whatever libraries and adapters may say
        if options.dry_run:
            report = rehearse(config, node=options.node, on_progress=on_progress)
        else:
            report = convert(config, existing=existing, node=options.node, on_progress=on_progress)
    outcome = "Nothing was written; sizes are estimates."
    if not options.dry_run and config.output.directory is not None:
        outcome = _written(report, config.output.directory, time.perf_counter() - begun)
        if options.node is not None:
            outcome += "\nWhen all nodes are done, `maskflow-convert merge` makes a data set of their shares."
    if options.node is not None:
        outcome = f"{_share_of(options.node, report)}\n{outcome}"
    print_result(summary(report), "", class_table(report), "", outcome)
    return 0


def _share_of(node: Node, report: Report) -> str:
    """What to say of a share."""
    count, shown = len(report.shards), ", ".join(report.shards[:_SHARDS_SHOWN])
    more = " and so on" if count > _SHARDS_SHOWN else ""
    return f"Node {node} has {count_text(count, 'shard')}" + (f": {shown}{more}." if shown else ".")


def _merge(options: argparse.Namespace) -> int:
    with _much_to_import():
        from maskflow_convert.merging import merge
        from maskflow_convert.reporting import class_table, print_result, progress_bar, summary

    _tell_warnings()
    begun = time.perf_counter()
    with progress_bar() as on_progress:
        report = merge(options.directories, output=options.output, on_progress=on_progress)
    folder = (options.output or options.directories[0]).absolute()
    outcome = _written(report, folder, time.perf_counter() - begun)
    print_result(summary(report), "", class_table(report), "", outcome)
    return 0


def _written(report: Report, folder: Path, seconds: float) -> str:
    """What to say of an output directory."""
    from maskflow_convert.output import CARD, is_ours

    told = f"Wrote {folder} in {seconds:.1f} s, {report.total.images_written / seconds:,.0f} images/s."
    if not isinstance(folder, RemotePath) and is_ours(folder / "index.html", CARD):
        told += f"\nOpen {folder / 'index.html'} in a browser to see what is in it."
    return told


def _validate(options: argparse.Namespace) -> int:
    with _much_to_import():
        from maskflow_convert.catalogue import Severity
        from maskflow_convert.findings import checks_page, findings
        from maskflow_convert.reporting import print_result, render

    if options.list_checks:
        print_result(checks_page())
        return 0
    report, illustrate = _validated(options)
    match options.format:
        case "text" if options.output is None:
            print_result(findings(report))
        case "text":
            _write(render(findings(report)), options.output)
        case "json":
            _write(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n", options.output)
        case "html":
            from maskflow_convert.report_html import html_report

            _write(html_report(report, illustrate(), ", ".join(map(str, options.subject))), options.output)
    failing = {
        "error": report.found(Severity.ERROR),
        "warning": report.found(Severity.ERROR) + report.found(Severity.WARNING),
        "never": 0,
    }
    return _FOUND if failing[options.fail_on] else 0


def _validated(options: argparse.Namespace) -> tuple[Report, Callable[[], Illustrations]]:
    """The report on what the command line names, and what makes pictures for it.

    Raises:
        ConfigError: it names nothing, or a YAML file beside something else.
    """
    from maskflow_convert.config import load_config
    from maskflow_convert.illustrate import illustrate, illustrate_records
    from maskflow_convert.output import IssueList
    from maskflow_convert.records import Records
    from maskflow_convert.reporting import progress_bar
    from maskflow_convert.validation import Images, prepare_validation, validate_data_set
    from maskflow_convert.verify import verify

    config = _config_among(options.subject)
    _tell_warnings()
    with progress_bar() as on_progress, redirect_stdout(sys.stderr):  # as in `_convert`
        if config is None:
            if given := [flag for flag in ("sample", "no_images", "set", "issues") if getattr(options, flag)]:
                raise ConfigError(f"--{given[0].replace('_', '-')} is for annotations, and these are records")
            records = Records.find(options.subject)
            report = verify(records, layout=options.layout, workers=options.workers or "auto", on_progress=on_progress)
            return report, partial(illustrate_records, records, report, options.layout)
        overrides = [*options.set, *([f"run.workers={options.workers}"] if options.workers else [])]
        data_set = prepare_validation(load_config(config, overrides))
        images = Images.SKIP if options.no_images else Images.DECODE
        validate = partial(validate_data_set, data_set, images=images, sample=options.sample, on_progress=on_progress)
        if options.issues is None:
            report = validate()
        else:
            with IssueList(options.issues) as issues:
                report = validate(on_issue=lambda issue: issues.write([issue]))
    return report, (lambda: {}) if options.no_images else partial(illustrate, data_set, report)


def _write(text: str, path: Path | None) -> None:
    """Print a report, or write it to a file."""
    if path is None:
        sys.stdout.write(text)
        return
    from maskflow_convert.output import replace_text

    replace_text(path, text)


def _preview(options: argparse.Namespace) -> int:
    with _much_to_import():
        from maskflow_convert.amounts import count_text
        from maskflow_convert.config import load_config
        from maskflow_convert.gallery import PAGE, write_gallery
        from maskflow_convert.preview import Choice, preview_annotations, preview_records
        from maskflow_convert.records import Records
        from maskflow_convert.reporting import progress_bar

    config = _config_among(options.subject)
    choice = Choice(options.limit, options.seed, frozenset(options.only) or None, options.issues)
    with progress_bar() as on_progress:
        previews = (
            preview_records(Records.find(options.subject), choice, options.layout, on_progress)
            if config is None
            else preview_annotations(load_config(config, options.set), choice, on_progress)
        )
        count = write_gallery(previews, options.output, ", ".join(map(str, options.subject)))
    drawn = f"Drew {count_text(count, 'image')}; open {options.output / PAGE} in a browser."
    sys.stdout.write(f"{drawn if count else 'No image matches, so none was drawn.'}\n")
    return 0


def _config_among(subjects: Sequence[Path]) -> Path | None:
    """The YAML file that the command line names; None if it names records.

    Raises:
        ConfigError: it names nothing, or a YAML file beside something else.
    """
    from maskflow_convert.validation import is_config

    configs = list(filter(is_config, subjects))
    if not subjects or (configs and len(subjects) > 1):
        raise ConfigError("name one YAML file, or an output directory, or .tfrecord files")
    return configs[0] if configs else None


def _inspect(options: argparse.Namespace) -> int:
    from maskflow_convert.inspection import inspect
    from maskflow_convert.records import Records
    from maskflow_convert.reporting import inspection_tables, print_result

    inspection = inspect(Records.find(options.records))
    if options.format == "json":
        sys.stdout.write(inspection.model_dump_json(indent=2) + "\n")
    else:
        print_result(inspection_tables(inspection))
    return 0


def _init(options: argparse.Namespace) -> int:
    with _much_to_import():
        from maskflow_convert.output import replace_text
        from maskflow_convert.reporting import print_result
        from maskflow_convert.starter.choice import Wanted, choose
        from maskflow_convert.starter.draft import Draft, new_file
        from maskflow_convert.starter.look import look_at
        from maskflow_convert.starter.search import search
        from maskflow_convert.starter.telling import story, waiting

    path = new_file(options.folder, options.output, overwrite=options.overwrite)
    schema = path.with_name(_SCHEMA_FILE)
    with waiting(f"looking into {options.folder}"):
        found = search(options.folder)
    for fault in found.faults:
        _tell(f"left out: {fault}")
    chosen = choose(found, Wanted(options.format, options.only, options.all))
    with waiting("looking at some images"):
        look = look_at([source for candidate in chosen for source in candidate.sources])
    draft = Draft(path, found, chosen, look, None if options.no_schema else schema.name)
    replace_text(path, draft.text())
    writes_schema = draft.schema is not None and not schema.exists()
    if writes_schema:
        replace_text(schema, _config_schema())
    print_result(story(draft, writes_schema=writes_schema))
    return 0


def _config_schema() -> str:
    """The JSON Schema of a YAML; adapters that are not in it are told."""
    from maskflow_convert.schema import config_schema

    schema, faults = config_schema()
    for fault in faults:
        _tell(f"left out: {fault}")
    return _json(schema)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _schema(options: argparse.Namespace) -> int:
    from maskflow_convert.schema import record_schema, sample_schema

    match options.subject:
        case "config":
            text = _config_schema()
        case "sample":
            text = _json(sample_schema())
        case _:
            text = _json(record_schema())
    sys.stdout.write(text)
    return 0


def _list_adapters(options: argparse.Namespace) -> int:
    from maskflow_convert.reporting import adapter_list, print_result

    print_result(adapter_list())
    return 0


def _show_adapter(options: argparse.Namespace) -> int:
    from maskflow_convert.registry import absolute, load
    from maskflow_convert.reporting import adapter_page, print_result

    adapter = load(absolute(options.name, Path()))
    print_result(adapter_page(options.name, adapter))
    return 0


def _new_adapter(options: argparse.Namespace) -> int:
    from maskflow_convert.scaffold import write_plugin

    folder = write_plugin(options.name, options.output)
    sys.stdout.write(
        f"Wrote {folder}. Its README says how to make it yours; as it is, it installs and passes its tests:\n"
        f"  cd {shlex.quote(str(folder))} && pip install '.[test]' && pytest\n"
    )
    return 0
