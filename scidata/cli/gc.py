"""``scidata gc``: remove what uploads left behind that never became a version."""

import click

from scidata.cli.output import capped, exits, json_option, print_json, say, store_options
from scidata.collecting import Collected, collect
from scidata.storage import open_store
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 6))
@click.option("--apply", is_flag=True, help="Remove it [default: only list it].")
@click.option(
    "--single-writer",
    is_flag=True,
    help="Clean a store that ignores conditional writes; promise that nobody writes to it.",
)
@store_options
@json_option
def command(
    *,
    apply: bool,
    single_writer: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """List what uploads left behind that never became a version, and remove it with --apply.

    That is: objects of a version number that was claimed and never committed, if nobody worked
    on it for 7 days by the store's clock; files and uploads in parts of killed writers; objects
    of old probes. What is committed is never touched, and whatever is not sure stays, with the
    reason. Without --apply nothing is written, and this machine's clock says what is old.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    done = collect(store, apply=apply, single_writer=single_writer)
    if as_json:
        print_json("scidata-gc/1", {"store": store.url, **_fields(done), "applied": apply})
        return
    remains = done.remains
    kept = {item.name for item in remains.kept}
    verb = "removed" if apply else "would remove"
    for item in remains.abandoned:
        if item.name not in kept:
            count = counted(len(item.objects), "object")
            say(
                f"{verb} {item.name}: {count}, {amount(item.bytes)}, last written {item.newest}"
            )
    if remains.unfinished:
        say(f"{verb} {counted(len(remains.unfinished), 'unfinished upload')} of killed writers")
    if remains.probes:
        say(f"{verb} {counted(len(remains.probes), 'object')} of old probes")
    if remains.kept:
        say(*capped([f"kept {item.name}: {item.reason}" for item in remains.kept]))
    if not (remains.abandoned or remains.unfinished or remains.probes):
        say(f"nothing to remove in {store.url}")


def _fields(done: Collected) -> dict[str, object]:
    remains = done.remains
    return {
        "abandoned": [
            {
                "name": item.name,
                "objects": [facts.key for facts in item.objects],
                "claims": list(item.claims),
                "bytes": item.bytes,
                "newest": item.newest,
            }
            for item in remains.abandoned
        ],
        "unfinished": [vars(item) for item in remains.unfinished],
        "probes": [facts.key for facts in remains.probes],
        "kept": [vars(item) for item in remains.kept],
        "removed": list(done.removed),
    }
