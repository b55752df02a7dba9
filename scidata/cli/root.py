"""The list of verbs, and the one place where errors become messages and exit codes.

Not in the package itself: there, a verb's module such as ``list`` would hide the builtin.
"""

import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TextIO

import click

from scidata.cli.output import EXIT_CODES, capped, print_json, say
from scidata.errors import (
    IntegrityError,
    InvalidError,
    ScidataError,
    SignatureError,
    StorageError,
)
from scidata.warning import ScidataWarning

# One line per verb; its module is imported only when the verb is used, so that --help is quick.
VERBS = {
    "demo": "Run the whole way on real earthquakes, offline, in under three minutes.",
    "list": "List the datasets of a store, or the versions of one dataset.",
    "show": "Show one version: record, assets, splits, sizes, licence, digest.",
    "export": "Write the metadata of a version or a staged dataset in an outward form.",
    "init": "Write a new record to fill in.",
    "check": "Check a record, or a staged dataset, and report every problem at once.",
    "build": "Turn source files into a staged dataset.",
    "publish": "Publish a staged dataset as an immutable version in a store.",
    "adopt": "Catalogue files where they lie as a version; nothing is copied.",
    "pull": "Fetch a version into a new folder, checking every byte.",
    "sign": "Sign a published version, so that others know whose it is.",
    "verify": "Compare a local copy or a version in a store with its manifest.",
    "diff": "Say what changed between two versions, or two folders.",
    "materialize": "Copy what a delta version inherits into its own folder.",
    "repair": "Bring missing and damaged files back from another copy.",
    "status": "Deprecate or withdraw a version, or show what became of it.",
    "doi": "Give a version a DOI at DataCite: preview, draft, publish, update, hide, show.",
    "site": "Write landing pages of all datasets as a static site, or serve it here.",
    "mirror": "Copy versions to another store, checking every byte on its way.",
    "gc": "Remove what uploads left behind that never became a version.",
    "purge": "Remove the bytes of a version for ever, leaving its commit record and manifest.",
    "index": "Rebuild the catalogs of a store from its commit records.",
    "bench": "List and run benchmarks.",
}


READER_GONE = 141
"""128 + SIGPIPE: what a shell says of cat, too."""


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"scidata.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Click would import every verb to read its help; the table above already has it.
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog=EXIT_CODES,
)
@click.version_option(package_name="fair-scidata", prog_name="scidata")
@click.option("--debug", is_flag=True, help="Show the traceback of an expected error, too.")
def cli(*, debug: bool) -> None:
    """Publish, verify, cite and stream machine-learning datasets.

    Results go to standard output, everything else to standard error. With --json, standard
    output is one JSON document, or empty if there is no result; then the error is one JSON
    document, scidata-error/1, on standard error.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of style section 6."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _warnings_in_words(held="--json" in arguments) as held:
            code = _run(arguments, held)
    except SystemExit:  # so click ends when the reader went away (`| head`), as is its right
        _silence(sys.__stdout__, sys.__stderr__)
        code = READER_GONE
    except Exception as error:  # noqa: BLE001 - a bug; its traceback may hold a credential
        if isinstance(error, OSError) and _is_of_printing(error):
            code = _end_without_output(error, as_json="--json" in arguments)
        else:
            say(*traceback.format_exc().removesuffix("\n").split("\n"), err=True)
            code = ScidataError.exit_code
    sys.exit(code)


@contextmanager
def _warnings_in_words(*, held: bool) -> Iterator[list[str]]:
    """Print what scidata warns of as one line on standard error, each text once.

    If they are `held`, it is up to who gets the list: an error as JSON is one document.
    """
    told: list[str] = []
    before = warnings.showwarning

    def show(  # noqa: PLR0917 - as Python calls it
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, ScidataWarning):
            before(message, category, filename, lineno, file, line)
        elif str(message) not in told:
            told.append(str(message))
            if not held:
                say(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", ScidataWarning)
        warnings.showwarning = show
        yield told


def _run(arguments: list[str], held: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        code = cli.main(arguments, prog_name="scidata", standalone_mode=False)
    except click.exceptions.Abort:
        fix = "run the same command again to continue"
        if as_json:
            _print_error(kind="interrupted", message="interrupted", where="scidata", fix=fix)
        else:
            say(f"interrupted; {fix}", err=True)
        return 130
    except click.ClickException as error:
        _report_usage(error, as_json=as_json)
        return error.exit_code
    except ScidataError as error:
        _report(error, as_json=as_json, debug="--debug" in arguments, warned=held)
        return error.exit_code
    if as_json and held:
        say(*(f"warning: {text}" for text in held), err=True)
    return code if isinstance(code, int) else 0


def _report_usage(error: click.ClickException, *, as_json: bool) -> None:
    if not as_json:
        text = io.StringIO()
        error.show(text)
        said = text.getvalue().removesuffix("\n").replace("\n\t", " ")  # click's lists
        say(*said.split("\n"), err=True)
        return
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "scidata"
    _print_error(
        kind="usage", message=error.format_message(), where=path, fix=f"see: {path} --help"
    )


def _report(
    error: ScidataError, *, as_json: bool, debug: bool, warned: Sequence[str] = ()
) -> None:
    trace = "".join(traceback.format_exception(error)) if debug else ""
    if as_json:
        more: dict[str, object] = {"traceback": trace} if debug else {}
        if warned:
            more["warnings"] = list(warned)
        _print_error(
            kind=error.kind,
            message=error.message,
            where=error.where,
            fix=error.fix,
            details=_details(error),
            **more,
        )
        return
    lines = (f"error: {error.message}", f"  where: {error.where}", f"  fix:   {error.fix}")
    say(*lines, err=True)
    details = [f"  - {_sentence(detail)}" for detail in _details(error)]
    if details:
        say(*capped(details), err=True)
    if trace:
        say(*trace.removesuffix("\n").split("\n"), err=True)


def _print_error(**fields: object) -> None:
    print_json("scidata-error/1", {"details": [], **fields}, err=True)


def _is_of_printing(error: OSError) -> bool:
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code is click.echo.__code__ for frame, _ in frames)


def _end_without_output(failure: OSError, *, as_json: bool) -> int:
    """Say that a stream takes no more; of standard error nobody can be told."""
    reported = failure.__context__
    if isinstance(reported, ScidataError | click.ClickException):
        _silence(sys.__stderr__)
        return reported.exit_code
    _silence(sys.__stdout__)
    error = StorageError(
        f"the result could not be written: {failure.strerror}",
        where="standard output",
        fix="make room or send the output elsewhere, then run the same command again",
    )
    try:
        _report(error, as_json=as_json, debug=False)
    except OSError:
        _silence(sys.__stderr__)
    return error.exit_code


def _silence(*streams: TextIO | None) -> None:
    """Send to nowhere what a stream still holds: Python would complain of it at its end."""
    for stream in filter(None, streams):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _details(error: ScidataError) -> list[dict[str, str]]:
    if isinstance(error, InvalidError | SignatureError):
        return [vars(problem) for problem in error.problems]
    if isinstance(error, IntegrityError):
        return [vars(damage) for damage in error.damage]
    return []


def _sentence(detail: dict[str, str]) -> str:
    if "message" in detail:
        return f"{detail['path']}: {detail['message']}; {detail['fix']}"
    return f"{detail['state']} {detail['path']}"
