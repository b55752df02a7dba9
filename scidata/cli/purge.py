"""``scidata purge``: remove the bytes of a version for ever."""

import sys

import click

from scidata.cli.output import exits, json_option, print_json, say, store_options
from scidata.purging import Purged, PurgeOptions, purge
from scidata.storage import open_store
from scidata.warning import warn
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@click.option("--reason", required=True, metavar="TEXT", help="Why; whoever asks is shown it.")
@click.option("--yes", is_flag=True, help="Do not ask for the name to be typed again.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option(
    "--single-writer",
    is_flag=True,
    help="Use a store that ignores conditional writes; promise that nobody else writes to it.",
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Do not wait for an upload of another machine that may take files of this version; "
    "promise that it has ended.",
)
@store_options
@json_option
def command(
    *,
    reference: str,
    reason: str,
    yes: bool,
    dry_run: bool,
    single_writer: bool,
    takeover: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Remove the files of REFERENCE (name@1.0.0 or name@sha256:…) for ever.

    For what must not be kept by law; to warn readers of a mistake, scidata status is enough.
    The commit record, the manifest and the description stay, and tell whoever asks why the
    files are gone. A version to whose files others refer is refused, or may refer once their
    upload is done. Mirrors, copies and old object versions that a bucket keeps are not reached.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if not (yes or dry_run):
        _confirm(reference)
    options = PurgeOptions(dry_run=dry_run, single_writer=single_writer, takeover=takeover)
    done = purge(reference, reason, store, options=options)
    if as_json:
        print_json("scidata-purge/1", {**_fields(done), "dry_run": dry_run})
    else:
        verb = "would remove" if dry_run else "removed"
        count = counted(len(done.objects), "object")
        say(f"{verb} {count} of {done.commit.name}, {amount(done.bytes)}")
        if not dry_run:
            say(f"{done.commit.name} is purged: {done.status.reason}")
    for text in done.warnings:
        warn(text)


def _confirm(reference: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: add --yes to remove the files")
    typed = click.prompt(f"This cannot be undone. Type {reference} to go on", err=True)
    if typed != reference:
        raise click.UsageError("the names differ; nothing was removed")


def _fields(done: Purged) -> dict[str, object]:
    return {
        "name": done.commit.name,
        "digest": done.commit.digest,
        "reason": done.status.reason,
        "date": done.status.date,
        "objects": len(done.objects),
        "bytes": done.bytes,
        "already": done.already,
        "warnings": list(done.warnings),
    }
