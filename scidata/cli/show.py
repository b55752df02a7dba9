"""`scidata show`: one version at a glance."""

from collections.abc import Iterator

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_field,
    print_json,
    print_table,
    say,
    store_options,
)
from scidata.formats.stac_cube import describe
from scidata.formats.text import license_name, license_url
from scidata.show import Shown, show
from scidata.storage import open_store
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6))
@click.argument("reference")
@store_options
@json_option
def command(
    *,
    reference: str,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Show a version: licence, digest, assets, variables, splits, limits, how to cite.

    REFERENCE is name, name@1.0.0 or name@sha256:…; without a number the newest version.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    shown = show(reference, store)
    if as_json:
        print_json("scidata-show/1", _fields(shown))
        return
    for title, value in _head(shown):
        print_field(title, value)
    _print_assets(shown)
    _print_splits(shown)
    for known in shown.record.limitations:
        span = f" ({known.start} to {known.end or 'now'})" if known.start else ""
        print_field("limit", f"{known.description}{span}")
    say()
    print_field("cite", shown.citation)


def _fields(shown: Shown) -> dict[str, object]:
    status = shown.history.status
    return {
        "commit": shown.commit.model_dump(mode="json"),
        "record": shown.record.model_dump(mode="json", exclude_none=True),
        "facts": shown.facts.model_dump(mode="json"),
        "splits": shown.parts,
        "license": {"name": license_name(shown.record), "url": license_url(shown.record)},
        "citation": shown.citation,
        "doi": vars(shown.doi) | {"url": shown.doi.url} if shown.doi else None,
        "corrected": list(shown.corrected),
        "status": status.model_dump(mode="json") if status else None,
    }


def _head(shown: Shown) -> Iterator[tuple[str, str]]:
    commit, record = shown.commit, shown.record
    yield "name", f"{commit.name}: {record.title}"
    yield "digest", commit.digest
    if (status := shown.history.status) is not None:
        instead = f"; use {status.replaced_by}" if status.replaced_by else ""
        yield "status", f"{status.state} since {status.date}: {status.reason}{instead}"
    if shown.doi is not None:
        yield "doi", shown.doi.url if shown.doi.findable else f"{shown.doi.doi} (reserved)"
    if shown.corrected:
        yield "corrected", f"{', '.join(shown.corrected)} (of the record, after publishing)"
    yield "licence", f"{license_name(record)} {license_url(record)}"
    yield "access", record.access
    yield "created", commit.created
    yield "size", f"{counted(commit.files, 'file')}, {amount(commit.bytes)}"
    if record.synthetic_note is not None:
        yield "synthetic", record.synthetic_note
    if record.real_note is not None:
        yield "real", record.real_note
    for text in record.out_of_scope:
        yield "not for", text
    if commit.unsafe_store:
        yield "warning", "published to a store that ignores conditional writes"


def _print_assets(shown: Shown) -> None:
    say()
    rows = [
        (asset.key, asset.kind, f"{asset.files:,}", amount(asset.bytes), asset.path)
        for asset in shown.facts.assets
    ]
    print_table(["ASSET", "KIND", "FILES", "SIZE", "PATH"], rows)
    variables = [
        (
            asset.key,
            variable.name,
            variable.dtype,
            " x ".join(map(str, variable.shape)),
            describe(shown.record, asset, variable)[1] or "",
        )
        for asset in shown.facts.assets
        for variable in asset.variables
    ]
    if variables:
        say()
        print_table(["ASSET", "VARIABLE", "TYPE", "SHAPE", "UNIT"], variables)


def _print_splits(shown: Shown) -> None:
    say()
    for rule in shown.record.splits:
        counts = ", ".join(f"{part} {n:,}" for part, n in shown.parts[rule.name].items())
        default = " (default)" if rule.default else ""
        print_field("split", f"{rule.name}{default} of {rule.dimension}: {counts}")
        print_field("  leaks", rule.leaks or "none known")
