"""``scidata mirror``: copy versions to another store."""

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    progress_bar,
    quiet_option,
    say,
    store_options,
)
from scidata.mirroring import Mirrored, MirrorOptions, mirror
from scidata.storage import open_store
from scidata.warning import warn
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("references", metavar="[NAME[@X.Y.Z]]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Copy every version of every dataset.")
@click.option(
    "--to", "target", required=True, metavar="URL", help="Where to: a folder or s3://…"
)
@click.option(
    "--to-endpoint-url",
    metavar="URL",
    help="S3 server of --to [default: $AWS_ENDPOINT_URL, else AWS].",
)
@click.option("--dry-run", is_flag=True, help="Say how much would be copied; write nothing.")
@click.option(
    "--single-writer",
    is_flag=True,
    help="Write to a store that ignores conditional writes; promise that nobody else does.",
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Continue what somebody on another machine began and will not finish.",
)
@store_options
@json_option
@quiet_option
def command(
    *,
    references: tuple[str, ...],
    everything: bool,
    target: str,
    to_endpoint_url: str | None,
    dry_run: bool,
    single_writer: bool,
    takeover: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Copy versions from --store to the store --to, comparing every byte on its way.

    A NAME alone means all of its versions. Digests, keys and bytes are the same there. Run the
    same command again to continue after an interruption, or to bring what was published since.
    A damaged object stops it with exit code 5; nothing of its version is visible there.
    """
    if bool(references) == everything:
        raise click.UsageError("name datasets or versions, or give --all")
    source = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    options = MirrorOptions(dry_run=dry_run, single_writer=single_writer, takeover=takeover)
    with progress_bar("mirror", shown=not (quiet or as_json)) as progress:
        done = mirror(
            references,
            source,
            to=open_store(target, endpoint_url=to_endpoint_url),
            options=options,
            progress=progress,
        )
    _print(done, dry_run=dry_run, as_json=as_json)
    for text in done.warnings:
        warn(text)


def _print(done: Mirrored, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        fields = {
            "versions": [vars(item) for item in done.versions],
            "warnings": list(done.warnings),
            "dry_run": dry_run,
        }
        print_json("scidata-mirror/1", fields)
        return
    verb = "would copy" if dry_run else "copied"
    for item in done.versions:
        if item.there:
            say(f"{item.name} is there already, {item.digest}")
        else:
            count = counted(item.objects, "object")
            rest = f", {item.compared:,} there before" if item.compared else ""
            say(f"{verb} {item.name} {item.digest}: {count}, {amount(item.bytes)}{rest}")
    if not done.versions:
        say("nothing is published there", err=True)
