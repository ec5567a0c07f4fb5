"""The command line: arguments in, exit code out.

Results go to the standard output, everything else to the error one. What a command needs is imported when it runs, so
that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from maskflow_convert import __version__
from maskflow_convert.errors import MaskflowError, OutputError

_EXIT_CODES = """\
exit codes: 0 done, also where objects were dropped by policy; 1 stopped by an issue; 2 usage or configuration;
3 adapter; 4 source unreadable; 5 output; 130 interrupted"""

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except MaskflowError as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        _tell(f"the standard output cannot be written: {error.strerror}")
        return OutputError.exit_code
    return 0


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str) -> None:
    sys.stderr.write(f"maskflow-convert: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="maskflow-convert",
        description="Convert instance-segmentation annotations to maskflow TFRecords.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    convert = commands.add_parser("convert", help="convert the data set that a YAML describes", epilog=_EXIT_CODES)
    convert.add_argument("config", metavar="CONFIG", type=Path, help="the YAML file")
    convert.add_argument("--output", metavar="DIR", type=Path, help="where to write, instead of `output.directory`")
    convert.add_argument("--workers", metavar="N", type=_workers, help="number of processes, or auto")
    convert.add_argument("--executor", choices=("serial", "processes"), help="how the work is done")
    convert.add_argument("--overwrite", action="store_true", help="replace a data set that is there already")
    convert.add_argument("--dry-run", action="store_true", help="tell what would be written, and open no image")
    convert.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a key of the YAML, as in objects.crowd=keep or sources[0].split=val; may be repeated",
    )
    convert.set_defaults(run=_convert)

    inspect = commands.add_parser("inspect", help="tell what is in written records")
    inspect.add_argument("records", metavar="RECORDS", type=Path, nargs="+", help="an output directory, or files")
    inspect.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    inspect.set_defaults(run=_inspect)

    adapters = commands.add_parser("adapters", help="the formats that can be read")
    what = adapters.add_subparsers(required=True, metavar="list|show")
    what.add_parser("list", help="the installed adapters").set_defaults(run=_list_adapters)
    show = what.add_parser("show", help="an adapter and its options")
    show.add_argument("name", metavar="NAME", help="as in `adapter:` of a YAML")
    show.set_defaults(run=_show_adapter)
    return parser


@contextmanager
def _much_to_import() -> Iterator[None]:
    """Keep the garbage collector from going through modules and models, now and later, which are here to stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _workers(text: str) -> str:
    if text != "auto" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of processes nor auto")
    return text


def _convert(options: argparse.Namespace) -> None:
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
    existing = Existing.OVERWRITE if options.overwrite else Existing.REFUSE
    begun = time.perf_counter()
    with progress_bar() as on_progress:
        if options.dry_run:
            report = rehearse(config, on_progress=on_progress)
        else:
            report = convert(config, existing=existing, on_progress=on_progress)
    seconds = time.perf_counter() - begun
    images = report.total.images_written
    outcome = (
        "Nothing was written; sizes are estimates."
        if options.dry_run
        else f"Wrote {config.output.directory} in {seconds:.1f} s, {images / seconds:,.0f} images/s."
    )
    print_result(summary(report), "", class_table(report), "", outcome)


def _inspect(options: argparse.Namespace) -> None:
    from maskflow_convert.inspection import inspect
    from maskflow_convert.records import Records
    from maskflow_convert.reporting import inspection_tables, print_result

    inspection = inspect(Records.find(options.records))
    if options.format == "json":
        sys.stdout.write(inspection.model_dump_json(indent=2) + "\n")
    else:
        print_result(inspection_tables(inspection))


def _list_adapters(options: argparse.Namespace) -> None:
    from maskflow_convert.reporting import adapter_list, print_result

    print_result(adapter_list())


def _show_adapter(options: argparse.Namespace) -> None:
    from maskflow_convert.registry import absolute, load
    from maskflow_convert.reporting import adapter_page, print_result

    adapter = load(absolute(options.name, Path()))
    print_result(adapter_page(options.name, adapter))
