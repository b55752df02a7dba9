"""``scidata init``: a new record to fill in."""

from pathlib import Path

import click

from scidata.cli.output import exits, json_option, print_json, say
from scidata.record.scaffold import scaffold, write_scaffold


@click.command(epilog=exits(2, 4, 6, 7))
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write [default: NAME/record.yaml].",
)
@click.option("--dry-run", is_flag=True, help="Print the record instead of writing it.")
@json_option
def command(*, name: str, out: Path | None, dry_run: bool, as_json: bool) -> None:
    """Write a new record for the dataset NAME, with a comment for every field.

    NAME is 2 to 63 lower-case letters, digits and hyphens. What is in angle brackets is to be
    filled in; scidata check lists it. A file that exists is not written over.
    """
    path = out or Path(name) / "record.yaml"
    if dry_run and not as_json:
        say(*scaffold(name, path=path).decode().splitlines())
        return
    if dry_run:
        scaffold(name, path=path)
    else:
        write_scaffold(name, path)
    if as_json:
        print_json("scidata-init/1", {"dataset": name, "path": path, "written": not dry_run})
        return
    say(f"wrote {path}")
    say(f"fill it in, then run: scidata check {path}", err=True)
