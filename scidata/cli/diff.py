"""``scidata diff``: what changed between two versions or folders."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from scidata.cli.output import (
    capped,
    exits,
    json_option,
    print_json,
    progress_bar,
    quiet_option,
    say,
    store_options,
)
from scidata.wording import amount, counted

if TYPE_CHECKING:
    from scidata.diff import Changed, Difference

MAX_LINES = 20
"""Files and changes of each sort that are named; --json names all."""


@click.command(epilog=exits(2, 3, 4, 5, 6))
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@store_options
@json_option
@quiet_option
def command(
    *,
    before: str,
    after: str,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what changed from A to B: files, variables, shapes, rows, statistics.

    A and B are versions, such as tevolop@1.0.0, or folders with data/. Files of a folder are
    hashed; of a version nothing is read but what describes it.
    """
    from scidata.diff import diff
    from scidata.storage import open_store

    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    with progress_bar("diff", shown=not (quiet or as_json)) as progress:
        found = diff(before, after, store, progress=progress)
    if as_json:
        print_json("scidata-diff/1", {**asdict(found), "same": found.same})
        return
    for title, lines in _sections(found):
        if lines:
            say(title, *capped([f"  {line}" for line in lines], MAX_LINES))
    say(
        f"{counted(found.unchanged, 'file')} unchanged, {amount(found.new_bytes)} new, "
        f"{amount(found.gone_bytes)} gone"
    )


def _sections(found: "Difference") -> Iterator[tuple[str, list[str]]]:
    yield f"added    {counted(len(found.added), 'file')}", list(found.added)
    yield f"removed  {counted(len(found.removed), 'file')}", list(found.removed)
    yield f"changed  {counted(len(found.changed), 'file')}", list(found.changed)
    renamed = [f"{item.before} -> {item.after}" for item in found.renamed]
    yield f"renamed  {counted(len(renamed), 'file')}", renamed
    yield "assets", [_line(item) for item in found.assets]


def _line(item: "Changed") -> str:
    name = item.asset if item.variable is None else f"{item.asset} {item.variable}"
    before, after = ("none" if v is None else v for v in (item.before, item.after))
    return f"{name}: {item.what} {before} -> {after}"
