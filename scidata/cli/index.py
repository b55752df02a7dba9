"""``scidata index``: rebuild the catalogs of a store."""

from collections.abc import Iterable
from dataclasses import asdict

import click

from scidata.cli.output import capped, exits, json_option, print_json, say, store_options
from scidata.errors import IntegrityError
from scidata.warning import warn
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 5, 6))
@click.argument("datasets", metavar="[DATASET]...", nargs=-1)
@store_options
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@json_option
def command(
    *,
    datasets: tuple[str, ...],
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Rebuild the catalogs of a store from its commit records.

    Writes index.yaml and catalog.json, and catalog.yaml and collection.json of each DATASET
    [default: all]. They are caches: losing one harms nobody, and running this again is safe.
    A damaged version is named and left out; then the exit code is 5.
    """
    from scidata.index import rebuild
    from scidata.storage import open_store

    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    report = rebuild(store, datasets or None, dry_run=dry_run)
    if as_json:
        print_json(
            "scidata-index/1", {"store": store.url, "dry_run": dry_run, **asdict(report)}
        )
    else:
        verb = "would write" if dry_run else "wrote"
        for key in report.written:
            say(f"{verb} {key}")
        say(
            f"{len(report.unchanged):,} up to date, "
            f"{counted(len(report.datasets), 'dataset')} listed"
        )
    for text in report.warnings:
        warn(text)
    if damaged := report.damaged:
        raise IntegrityError(
            f"not listed, because damaged: {_some(f'{p.path}: {p.message}' for p in damaged)}",
            where=store.url,
            fix=_some(dict.fromkeys(p.fix for p in damaged)),
        )


def _some(texts: Iterable[str]) -> str:
    (*lines,) = texts
    return "; ".join(capped(lines, most=5))
