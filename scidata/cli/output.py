"""What every verb shares: its options, its progress bar, and how a result is printed."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click

from scidata.hashing import Progress
from scidata.signing import Signed
from scidata.sshsig import PublicKey
from scidata.wording import discreet, printable

EXIT_CODES = (
    "Exit codes: 0 done, 1 bug, 2 usage, 3 not found, 4 invalid, 5 integrity, 6 storage, "
    "7 conflict, 8 no trusted signature, 130 interrupted, 141 the reader of the output went "
    "away."
)

MAX_LINES = 20
TITLE_WIDTH = 10
PLAIN_WIDTH = 96
"""Columns of a line where standard output is no terminal."""

F = TypeVar("F", bound=Callable[..., Any])  # Any: click decorates functions of any signature


def exits(*codes: int) -> str:
    """Write the epilog that names a verb's own exit codes."""
    meaning = {
        2: "usage",
        3: "not found",
        4: "invalid",
        5: "integrity",
        6: "storage",
        7: "conflict",
        8: "no trusted signature",
    }
    return "Exit codes: 0 done, " + ", ".join(f"{c} {meaning[c]}" for c in codes) + "."


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
    )(function)


def quiet_option(function: F) -> F:
    """Add ``--quiet``."""
    return click.option("--quiet", "-q", is_flag=True, help="Show no progress.")(function)


def store_options(function: F) -> F:
    """Add ``--store``, and two options that are named as in the AWS CLI."""
    for option in (
        click.option(
            "--no-sign-request",
            "anonymous",
            is_flag=True,
            help="Read S3 without credentials.",
        ),
        click.option(
            "--endpoint-url",
            metavar="URL",
            help="S3 server to talk to [default: $AWS_ENDPOINT_URL, else AWS].",
        ),
        click.option(
            "--store",
            "store_url",
            metavar="URL",
            help="Folder, s3://bucket/prefix or https:// [default: $SCIDATA_STORE, else the "
            "user's data folder].",
        ),
    ):
        function = option(function)
    return function


def progress_bar(
    title: str, *, shown: bool, unit: str = "B"
) -> AbstractContextManager[Progress]:
    """Return a context with a `Progress`, silent unless stderr is a terminal."""
    if not shown or not sys.stderr.isatty():
        return nullcontext(lambda done, total: None)
    from scidata.cli.progress import Bar

    return Bar(printable(title), unit=unit)


def asker(path: Path) -> Callable[[], str] | None:
    """Return what asks for a key's passphrase, unseen; None where there is nobody to ask."""
    if not sys.stdin.isatty():
        return None
    prompt = f"Passphrase of {printable(str(path))}"
    return lambda: str(click.prompt(prompt, hide_input=True, err=True))


def key_fields(key: PublicKey | None) -> dict[str, str] | None:
    """Return a public key as JSON has it."""
    if key is None:
        return None
    return {"fingerprint": key.fingerprint, "kind": key.kind, "comment": key.comment}


def signature_fields(signed: Signed | None) -> dict[str, object] | None:
    """Return a signature as JSON has it."""
    if signed is None:
        return None
    return {"path": signed.path, "already": signed.already, "key": key_fields(signed.key)}


def say(*lines: str, err: bool = False) -> None:
    """Print lines, or an empty one. Names out of a store can neither add any nor do more harm.

    Whatever the verbs print is printed here or in `print_json`.
    """
    text = "\n".join(map(printable, lines))
    # What a server answers may hold what it was sent.
    click.echo(discreet(text, os.environ) if err else text, err=err)


def write(data: bytes) -> None:
    """Print a document as it is, byte for byte."""
    click.echo(data, nl=False)


def capped(lines: Sequence[str], most: int = MAX_LINES, *, what: str = "") -> list[str]:
    """Leave out all lines but the first few, and say how many there are more."""
    rest = len(lines) - most
    if rest <= 0:
        return list(lines)
    return [*lines[:most], f"... and {rest:,} more{what}; --json lists all"]


def print_json(schema: str, fields: Mapping[str, object], *, err: bool = False) -> None:
    """Print one document with a ``schema`` field; fields are only ever added."""
    document = {"schema": schema, **fields}
    text = json.dumps(document, indent=1, ensure_ascii=False, default=str)
    # JSON itself escapes but the first 32; all others that printable() knows are in strings.
    lines = (line if line == printable(line) else _escaped(line) for line in text.split("\n"))
    text = "\n".join(lines)
    click.echo(discreet(text, os.environ) if err else text, err=err)


def print_field(title: str, value: str) -> None:
    """Print a line ``title     value``, wrapped to the terminal below the value's beginning."""
    wrapped = textwrap.wrap(
        printable(" ".join(value.split())),
        width=shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns,
        initial_indent=f"{title:<{TITLE_WIDTH}}",
        subsequent_indent=" " * TITLE_WIDTH,
        break_long_words=False,  # such as digests and addresses, which people copy
        break_on_hyphens=False,
    )
    say(*wrapped)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns, numbers to the right."""
    cells = [[printable(str(value)) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    numeric = [all(_is_number(c) for c in column) for column in zip(*cells, strict=True)]
    for line in [list(headers), *cells]:
        padded = [
            c.rjust(w) if n else c.ljust(w)
            for c, w, n in zip(line, widths, numeric or [False] * len(widths), strict=True)
        ]
        say("  ".join(padded).rstrip())


def _escaped(line: str) -> str:
    return "".join(c if printable(c) == c else f"\\u{ord(c):04x}" for c in line)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).replace(",", "").isdigit()
