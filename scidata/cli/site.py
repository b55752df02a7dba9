"""``scidata site``: the landing pages of a store."""

from pathlib import Path

import click

from scidata.cli.output import capped, exits, json_option, print_json, say, store_options
from scidata.errors import IntegrityError
from scidata.site import BASE_URL, SiteOptions, build
from scidata.site.drawn import draw_nothing
from scidata.storage import open_store
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("address", metavar="[STORE]", required=False)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the site; files in it that no build wrote are left alone.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help=f"Where the site will be [default: ${BASE_URL}, else http://127.0.0.1:8000].",
)
@click.option(
    "--data-url",
    metavar="URL",
    help="Where readers find the store [default: its own address, if everybody can read it; "
    "else the site's: the host serves both].",
)
@click.option(
    "--plots/--no-plots",
    default=True,
    help="Whether pages show plots of the data; they are drawn once a version and kept.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@click.option(
    "--serve", is_flag=True, help="Afterwards serve it, and the store, on this machine only."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    help="Port to serve on, 0 for any that is free [default: 8000].",
)
@store_options
@json_option
def command(
    *,
    address: str | None,
    out: Path,
    base_url: str | None,
    data_url: str | None,
    plots: bool,
    dry_run: bool,
    serve: bool,
    port: int,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Write a static site of the store STORE: a page for each dataset and each version.

    The same store gives the same bytes: what did not change is not written again, and pages
    of what is gone are removed.
    """
    if address and store_url:
        raise click.UsageError("give the store once: as STORE or with --store")
    store = open_store(address or store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    options = SiteOptions(
        base_url=base_url,
        data_url=data_url,
        dry_run=dry_run,
        draw=None if plots else draw_nothing,
    )
    report = build(store, out, options)
    if as_json:
        damaged = [vars(problem) for problem in report.damaged]
        print_json("scidata-site-report/1", {**vars(report), "damaged": damaged})
    else:
        verb = ("would write", "would remove") if dry_run else ("wrote", "removed")
        pages = f"{counted(report.datasets, 'dataset')}, {counted(report.versions, 'version')}"
        say(f"{pages}, for {report.base_url}/ with data at {report.data_url}/")
        files = counted(len(report.written), "file")
        if report.undrawn:
            files += f" and the plots of {counted(len(report.undrawn), 'version')}"
        say(
            f"{verb[0]} {files}, {report.unchanged:,} up to date, {verb[1]} "
            f"{len(report.removed):,}"
        )
        for line in capped([f"warning: {text}" for text in report.warnings]):
            say(line, err=True)
    if report.damaged:
        raise IntegrityError(
            f"no page for {counted(len(report.damaged), 'version')}, because damaged: "
            f"{report.damaged[0].path}: {report.damaged[0].message}",
            where=store.address,
            fix=report.damaged[0].fix,
        )
    if serve and not dry_run:
        from scidata.site.serving import serve as run

        run(out, store, port=port, ready=lambda url: say(f"serving {url} until Ctrl-C"))
