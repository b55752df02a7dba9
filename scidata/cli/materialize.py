"""``scidata materialize``: make a version's own folder whole."""

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
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference", metavar="NAME@X.Y.Z")
@click.option("--dry-run", is_flag=True, help="Say what would be copied; write nothing.")
@store_options
@json_option
@quiet_option
def command(
    *,
    reference: str,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Copy the files that a version inherits from older ones into its own folder.

    The store copies them itself; nothing is downloaded. Version, digest and commit record stay
    as they are, and the folder alone can then be fetched by any tool. Run the same command
    again to continue after an interruption.
    """
    from scidata.materializing import materialize
    from scidata.storage import open_store

    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    with progress_bar(f"materialize {reference}", shown=not (quiet or as_json)) as progress:
        done = materialize(reference, store, dry_run=dry_run, progress=progress)
    commit = done.commit
    prefix = f"{commit.dataset}/v{commit.version}/"
    if as_json:
        fields = {
            "dataset": commit.dataset,
            "version": commit.version,
            "digest": commit.digest,
            "store": store.url,
            "prefix": prefix,
            "copied": done.copied,
            "bytes": done.bytes,
            "there": done.there,
            "already": done.already,
            "dry_run": dry_run,
        }
        print_json("scidata-materialize/1", fields)
        return
    if done.already:
        say(f"{commit.name} is whole already: {store.url}/{prefix}")
        return
    verb = "would copy" if dry_run else "copied"
    say(f"{verb} {counted(done.copied, 'file')}, {amount(done.bytes)}, into {prefix}")
    if done.there:
        say(f"{counted(done.there, 'file')} were there before")
    say(f"digest {commit.digest}")
