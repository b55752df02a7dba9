"""`scidata list`: what a store holds."""

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    print_table,
    say,
    store_options,
)
from scidata.errors import IntegrityError
from scidata.listing import Listing, read_listing
from scidata.status import History
from scidata.storage import open_store
from scidata.version import CommitRecord
from scidata.warning import warn
from scidata.wording import amount


@click.command(epilog=exits(2, 3, 4, 5, 6))
@click.argument("dataset", required=False)
@store_options
@json_option
def command(
    *,
    dataset: str | None,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """List the datasets of a store, or the versions of DATASET, oldest first.

    Only what is published is listed: an upload that has not been committed is not. A version
    whose commit record is damaged is named on standard error; then the exit code is 5. A
    version that is deprecated, withdrawn or purged is listed as such, with the reason.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    found = read_listing(store, dataset)
    if as_json:
        print_json("scidata-list/1", _document(found, store.url))
    elif any(found.versions.values()):
        _print(found, one_dataset=dataset is not None)
    elif not found.damaged:
        say(f"no datasets in {store.url}", err=True)
    for text in found.cautions:
        warn(text)
    if found.damaged:
        first = next(iter(found.damaged.values()))
        raise IntegrityError(
            "not listed: " + "; ".join(f"{n}: {e.message}" for n, e in found.damaged.items()),
            where=", ".join(error.where for error in found.damaged.values()),
            fix=first.fix,
        )


def _document(found: Listing, url: str) -> dict[str, object]:
    return {
        "store": url,
        "datasets": {
            n: [_fields(v, found.history(v)) for v in commits]
            for n, commits in found.versions.items()
        },
        "damaged": [
            {"name": name, "kind": e.kind, "message": e.message, "where": e.where, "fix": e.fix}
            for name, e in found.damaged.items()
        ],
    }


def _print(found: Listing, *, one_dataset: bool) -> None:
    if one_dataset:
        shown = [c for commits in found.versions.values() for c in commits]
        rows = [[c.name, *_row(c, found.history(c))] for c in shown]
    else:
        shown = [c for c in map(found.newest, found.versions) if c is not None]
        rows = [[c.dataset, c.version, *_row(c, found.history(c))] for c in shown]
    head = ["VERSION"] if one_dataset else ["DATASET", "NEWEST"]
    head += ["FILES", "SIZE", "CREATED", "DIGEST"]
    states = [found.history(c).state for c in shown]
    if set(states) != {"active"}:  # a column that says "active" everywhere tells nothing
        head.insert(-1, "STATUS")
        rows = [[*r[:-1], s, r[-1]] for r, s in zip(rows, states, strict=True)]
    print_table(head, rows)


def _fields(commit: CommitRecord, history: History) -> dict[str, object]:
    status = history.status
    return {
        "name": commit.name,
        "version": commit.version,
        "digest": commit.digest,
        "files": commit.files,
        "bytes": commit.bytes,
        "created": commit.created,
        "state": history.state,
        "reason": status.reason if status else None,
        "replaced_by": status.replaced_by if status else None,
        "status_fault": history.fault or None,
    }


def _row(commit: CommitRecord, history: History) -> list[object]:
    size = "removed" if history.state == "purged" else amount(commit.bytes)
    return [f"{commit.files:,}", size, commit.created, commit.digest]
