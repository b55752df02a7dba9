"""``scidata build``: source files to a staged dataset."""

from pathlib import Path

import click

from scidata.building import Built, build
from scidata.cli.output import exits, json_option, print_json, progress_bar, quiet_option, say
from scidata.datasets import RECIPES
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 6, 7))
@click.argument("name", metavar="DATASET", type=click.Choice(sorted(RECIPES)))
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="File or folder to read: SCEDC yearly catalogues, a USGS ComCat CSV, an extract as "
    "CSV, or the benchmark's own EarthquakeDec2020/ [default: the real earthquakes of "
    "magnitude 2.5 and above that ship with scidata].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to make; nothing is there before everything is [default: staged/DATASET].",
)
@click.option(
    "--quirks",
    type=click.Choice(["both", "none", "published"]),
    default="both",
    show_default=True,
    help="Fortnights by the physical rule (none), as the benchmark published them, or both.",
)
@click.option("--dry-run", is_flag=True, help="Read and check the source, write nothing.")
@json_option
@quiet_option
def command(
    *,
    name: str,
    source: Path | None,
    out: Path | None,
    quirks: str,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn source files into a staged dataset, ready for `scidata publish`.

    The form of each file is told by its content. Every bad row is named, and then nothing is
    written. Running it again says that it is done.
    """
    place = out or Path("staged") / name
    with progress_bar("build", shown=not (as_json or quiet), unit="") as progress:
        built = build(
            name,
            source,
            place,
            options={"quirks": quirks},
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        print_json("scidata-build/1", vars(built))
    else:
        _print(built, shipped=source is None)


def _print(built: Built, *, shipped: bool) -> None:
    if built.already:
        say(f"{built.staged} is done already: the same source and options")
        return
    origin = " (ships with scidata)" if shipped else ""
    files = counted(len(built.files), "file")
    say(f"source   {built.source}{origin}, {built.form}, {files}")
    for name, count in built.counts.items():
        if count or name == "magnitude_floor":
            say(f"  {name.replace('_', ' '):24}{count:>10,}")
    verb = "wrote" if built.written else "would write"
    say(f"{verb} {built.staged}: {', '.join(built.assets)}")
