"""What the scripts about earthquakes start from: a catalogue, and tables to print."""

import argparse
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scidata.datasets.tevolop.events import Catalogue, read_events
from scidata.datasets.tevolop.recipe import SHIPPED
from scidata.datasets.tevolop.sources import identify, list_files


def from_command_line(description: str | None) -> Catalogue:
    """Read the catalogue that ``--source`` names; else the earthquakes that are shipped."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--source",
        type=Path,
        default=SHIPPED,
        help="catalogue file or folder [default: the shipped earthquakes of 2.5 and above]",
    )
    return read(parser.parse_args().source)


def read(source: Path) -> Catalogue:
    """Read every event, as ``scidata build tevolop`` does."""
    files = identify(list_files(source), source)
    return read_events(files, now=datetime.now(UTC), where=str(source))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
