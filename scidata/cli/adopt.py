"""``scidata adopt``: files that lie somewhere already become a version, where they lie."""

from pathlib import Path

import click

from scidata.adopting import (
    Adopted,
    AdoptOptions,
    AdoptPlan,
    SourceOptions,
    adopt,
    plan_adopt,
)
from scidata.adopting.sources import INDEX
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
from scidata.publishing import PublishOptions
from scidata.storage import open_store
from scidata.wording import amount, counted

MAX_NAMED = 5


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("source", metavar="SOURCE")
@click.option("--as", "name", required=True, metavar="NAME", help="The dataset's name.")
@click.option(
    "--record",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The record. Files in a folder data/ beside it, such as splits, are published in "
    "the store.",
)
@click.option(
    "--version", required=True, metavar="X.Y.Z", help="Number of the new version, as 1.0.0."
)
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="SOURCE is a file with an address on each line, and possibly a size in bytes and a "
    "sha256.",
)
@click.option(
    "--index",
    default=INDEX,
    show_default=True,
    metavar="NAME",
    help="The file in a web folder that lists its files.",
)
@click.option(
    "--asset", metavar="KEY", help="What the files are called together [default: NAME]."
)
@click.option(
    "--along",
    metavar="DIM",
    help="Dimension of the files to join them along, or a new one to stack them along "
    "[default: a new one, file].",
)
@click.option(
    "--no-references", is_flag=True, help="Make no index that opens HDF5 and NetCDF as one."
)
@click.option(
    "--no-read",
    is_flag=True,
    help="Take every sha256 from the list or from S3; refuse if one is not known.",
)
@click.option(
    "--source-endpoint-url",
    metavar="URL",
    help="S3 server of SOURCE [default: $AWS_ENDPOINT_URL, else AWS].",
)
@click.option(
    "--source-no-sign-request",
    is_flag=True,
    help="Read SOURCE without credentials, as readers of the version will.",
)
@click.option(
    "--single-writer",
    is_flag=True,
    help="Use a store that ignores conditional writes; promise that nobody else publishes to "
    "it meanwhile.",
)
@click.option("--takeover", is_flag=True, help="Continue what somebody elsewhere began.")
@click.option("--dry-run", is_flag=True, help="Say what would be read; read and write nothing.")
@store_options
@json_option
@quiet_option
def command(
    *,
    source: str,
    name: str,
    record: Path,
    version: str,
    listed: bool,
    index: str,
    asset: str | None,
    along: str | None,
    no_references: bool,
    no_read: bool,
    source_endpoint_url: str | None,
    source_no_sign_request: bool,
    single_writer: bool,
    takeover: bool,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Catalogue the files at SOURCE, where they lie, as an immutable version.

    SOURCE is a folder, s3://bucket/prefix, https://host/folder/ with an index, or with --list
    a list of addresses. Nothing is copied. Each file is read once for its sha256; run the same
    command again to continue. Folders of HDF5 or NetCDF get an index of references, by which
    they open as one dataset.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    options = AdoptOptions(
        listed=listed,
        asset=asset,
        along=along,
        references=not no_references,
        read=not no_read,
        reached=SourceOptions(
            endpoint_url=source_endpoint_url, anonymous=source_no_sign_request, index=index
        ),
        publishing=PublishOptions(single_writer=single_writer, takeover=takeover),
    )
    if dry_run:
        planned = plan_adopt(
            source, store, name=name, record=record, version=version, options=options
        )
        _print_plan(planned, as_json=as_json)
        return
    with progress_bar(f"adopt {name}@{version}", shown=not (quiet or as_json)) as progress:
        done = adopt(
            source,
            store,
            name=name,
            record=record,
            version=version,
            options=options,
            progress=progress,
        )
    _print(done, store.url, as_json=as_json)
    for warning in done.published.warnings:
        say(f"warning: {warning}", err=True)


def _print_plan(plan: AdoptPlan, *, as_json: bool) -> None:
    if as_json:
        print_json("scidata-adopt-plan/1", vars(plan))
        return
    say(f"would adopt {counted(plan.files, 'file')}, {amount(plan.bytes)}, as {plan.name}")
    say(*capped([f"from      {place}" for place in plan.places], MAX_NAMED))
    say(f"would read {amount(plan.to_read)} for the sha256 of each file")
    if plan.references:
        say("would make an index of references, by which they open as one dataset")


def _print(done: Adopted, url: str, *, as_json: bool) -> None:
    commit, referenced = done.published.commit, done.referenced
    omitted = dict(referenced.omitted) if referenced else {}
    if as_json:
        fields = {
            "dataset": commit.dataset,
            "version": commit.version,
            "digest": commit.digest,
            "files": commit.files,
            "bytes": commit.bytes,
            "store": url,
            "places": list(done.places),
            "already": done.published.already,
            "references": referenced is not None,
            "variables": [v.name for v in referenced.variables] if referenced else [],
            "omitted": omitted,
            "not_compared": list(referenced.not_compared) if referenced else [],
            "warnings": list(done.published.warnings),
        }
        print_json("scidata-adopt/1", fields)
        return
    say(f"{'already adopted' if done.published.already else 'adopted'} {commit.name}")
    say(f"digest    {commit.digest}")
    outside = sum(place.files for place in commit.outside)
    say(f"payload   {counted(commit.files, 'file')}, {amount(commit.bytes)}")
    say(f"outside   {counted(outside, 'file')}, which stay where they are")
    say(*capped([f"from      {place}" for place in done.places], MAX_NAMED))
    if referenced is not None:
        shapes = [f"{v.name} {v.shape}" for v in referenced.variables if not v.coordinate]
        say("opens as  one dataset of", *capped([f"  {s}" for s in shapes], MAX_NAMED))
    for path, why in omitted.items():
        say(f"warning: {path} is left out of that dataset: {why}", err=True)
    for path in referenced.not_compared if referenced else ():
        say(f"warning: {path} is the first file's; the others were not compared", err=True)
