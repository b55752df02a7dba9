"""``scidata export``: a version or a staged dataset in an outward form."""

from pathlib import Path

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    progress_bar,
    quiet_option,
    say,
    store_options,
    write,
)
from scidata.exporting import FIRST, export
from scidata.formats import FORMS
from scidata.record.scaffold import write_new
from scidata.storage import open_store
from scidata.wording import amount


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("target", metavar="NAME|DIR")
@click.option("--to", required=True, type=click.Choice(sorted(FORMS)), help="The form.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write; one that exists is not written over [default: standard output].",
)
@click.option("--dry-run", is_flag=True, help="Say what --out would write; write nothing.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Where the store is read from, for absolute addresses [default: addresses are "
    "relative to where the form lies in the version].",
)
@click.option(
    "--version",
    default=FIRST,
    metavar="X.Y.Z",
    help=f"Number that a staged dataset would get [default: {FIRST}].",
)
@store_options
@json_option
@quiet_option
def command(
    *,
    target: str,
    to: str,
    out: Path | None,
    dry_run: bool,
    base_url: str | None,
    version: str,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the metadata of a version, or of the staged dataset DIR, in an outward form.

    NAME is name, name@1.0.0 or name@sha256:…; DIR holds record.yaml and data/, all of which is
    read. A version has every form in its folder already, and gives the same bytes here. Of a
    staged dataset the time of publication is now.
    """
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    with progress_bar(f"export {target}", shown=not (quiet or as_json)) as progress:
        done = export(target, to, store, base_url=base_url, version=version, progress=progress)
    if out is not None and not dry_run:
        write_new(out, done.data)
    if as_json:
        fields = {
            "name": done.name,
            "digest": done.digest,
            "form": to,
            "media_type": done.form.media_type,
            "profile": done.form.profile,
            "path": out,
            "written": out is not None and not dry_run,
            "content": done.data.decode(),
        }
        print_json("scidata-export/1", fields)
    elif out is None:
        write(done.data)
    else:
        verb = "would write" if dry_run else "wrote"
        say(f"{verb} {out}: {done.form.title} of {done.name}, {amount(len(done.data))}")
