"""``scidata init``: a new record to fill in, empty or begun from what exists."""

from pathlib import Path

import click

from scidata.cli.output import capped, exits, json_option, print_json, say
from scidata.drafting import Draft, draft
from scidata.record.scaffold import scaffold, write_new
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 6, 7))
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write [default: NAME/record.yaml].",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Fill in what this says: a DataCite record, Croissant document or STAC collection in "
    "JSON; an HDF5 or NetCDF-4 file (.h5, .hdf5, .nc, .nc4); or a folder, of whose Zarr, "
    "Parquet, HDF5 and NetCDF-4 data names and notes are taken, and of other files nothing.",
)
@click.option("--dry-run", is_flag=True, help="Print the record instead of writing it.")
@json_option
def command(
    *, name: str, out: Path | None, source: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Write a new record for the dataset NAME, with a comment for every field.

    NAME is 2 to 63 lower-case letters, digits and hyphens. What is in angle brackets is to be
    filled in; scidata check lists it. A file that exists is not written over. With --from, what
    is missing is named, and so is what was read and has no place in a record.
    """
    path = out or Path(name) / "record.yaml"
    begun = draft(name, source) if source else None
    data = begun.text(path) if begun else scaffold(name, path=path)
    if not dry_run:
        write_new(path, data)
    if as_json:
        fields = {"dataset": name, "path": path, "written": not dry_run}
        print_json("scidata-init/1", fields | _found(begun))
        return
    if dry_run:
        say(*data.decode().splitlines())
    else:
        say(f"wrote {path}")
    if begun:
        _tell(begun)
    if not dry_run:
        say(f"fill it in, then run: scidata check {path}", err=True)


def _found(begun: Draft | None) -> dict[str, object]:
    if begun is None:
        return {}
    left_out = [vars(problem) for problem in begun.left_out]
    return {"source": begun.source, "missing": list(begun.missing), "left_out": left_out}


def _tell(begun: Draft) -> None:
    say(f"{counted(len(begun.missing), 'value')} to fill in", err=True)
    if begun.missing:
        say(*capped([f"  {path}" for path in begun.missing]), err=True)
    if begun.left_out:
        say(f"left out {counted(len(begun.left_out), 'value')} of {begun.source}", err=True)
        say(*capped([f"  {p.path}: {p.message}" for p in begun.left_out]), err=True)
