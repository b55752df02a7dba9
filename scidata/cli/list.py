"""`scidata list`: what a store holds."""

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    print_table,
    store_options,
)
from scidata.resolve import list_datasets, list_versions
from scidata.storage import open_store
from scidata.version import CommitRecord
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

    Only what is published is listed: an upload that has not been committed is not.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if dataset is None:
        versions = {name: list_versions(name, store) for name in list_datasets(store)}
        rows = [found[-1] for found in versions.values()]
    else:
        versions = {dataset: list_versions(dataset, store)}
        rows = list(versions[dataset])
    if as_json:
        print_json(
            "scidata-list/1",
            {
                "store": store.url,
                "datasets": {n: [_fields(v) for v in found] for n, found in versions.items()},
            },
        )
    elif not rows:
        click.echo(f"no datasets in {store.url}", err=True)
    else:
        name = ["VERSION"] if dataset else ["DATASET", "NEWEST"]
        cells = ([c.name] if dataset else [c.dataset, c.version] for c in rows)
        print_table(
            [*name, "FILES", "SIZE", "CREATED", "DIGEST"],
            [[*cell, *_row(commit)] for cell, commit in zip(cells, rows, strict=True)],
        )


def _fields(commit: CommitRecord) -> dict[str, object]:
    return {
        "name": commit.name,
        "version": commit.version,
        "digest": commit.digest,
        "files": commit.files,
        "bytes": commit.bytes,
        "created": commit.created,
    }


def _row(commit: CommitRecord) -> list[object]:
    return [f"{commit.files:,}", amount(commit.bytes), commit.created, commit.digest]
