"""``scidata bench submit``, ``check`` and ``leaderboard``: results that others can check."""

from pathlib import Path

import click

from scidata.cli.output import exits, json_option, print_json, say, store_options


@click.command("submit", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--org", required=True, metavar="NAME", help="Who submits.")
@click.option("--system", required=True, metavar="NAME", help="The machine's name.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of all submissions; ORG/TASK/SYSTEM/DESCRIPTOR is made below it.",
)
@click.option(
    "--descriptor",
    metavar="NAME",
    help="Tells submissions of one system apart [default: profile and seed].",
)
@click.option("--doi", metavar="DOI", help="Of the version that was scored on [default: none].")
@click.option(
    "--by-reference",
    is_flag=True,
    help="Name the predictions by digest; leave them out of the folder.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@json_option
def submit(
    run: Path,
    *,
    org: str,
    system: str,
    out: Path,
    descriptor: str | None,
    doi: str | None,
    by_reference: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the folder of a submission of RUN, the --out of a finished scidata bench run."""
    from scidata.benchmarks import submit as make

    made = make(
        run,
        org=org,
        system=system,
        out=out,
        descriptor=descriptor,
        doi=doi,
        by_reference=by_reference,
        dry_run=dry_run,
    )
    if as_json:
        print_json("scidata-submitted/1", {**made, "dry_run": dry_run})
        return
    verb = "would write" if dry_run else "wrote"
    say(f"{verb} {len(made['files'])} files to {made['folder']}")


@click.command("check", epilog=exits(2, 3, 4, 5, 6))
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of predictions that are submitted by reference [default: ./predictions].",
)
@click.option("--rerun", is_flag=True, help="Train again, too, and compare the scores.")
@store_options
@json_option
def check(
    path: Path,
    *,
    predictions: Path | None,
    rerun: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Check the submission in the folder PATH against the version that it was scored on.

    Its files are compared with their digests, its log with the rules, and its scores, those of
    the baselines too, with what its predictions and the version's own bytes give.
    """
    from scidata.benchmarks import check_submission
    from scidata.storage import open_store

    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    found = check_submission(path, store=store, predictions=predictions, rerun=rerun)
    if as_json:
        print_json("scidata-submission-check/1", {"submission": found})
        return
    data = found["dataset"]
    say(f"{found['org']} on {found['system']}: {found['task']} {found['profile']}")
    say(f"sound: scored again on {data['name']} {data['digest']}")
    for part, scores in found["scores"].items():
        value = scores["model"][found["metric"]]
        say(f"{part} {found['metric']} {value}, within {found['tolerance']:g}")


@click.command("leaderboard", epilog=exits(2, 3, 4, 6))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for leaderboard.md, leaderboard.json and leaderboard/index.html, such as a "
    "site's [default: print only].",
)
@click.option("--check", "checked", is_flag=True, help="Check each submission first.")
@store_options
@json_option
def leaderboard(
    folder: Path,
    *,
    out: Path | None,
    checked: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """List the submissions below DIR, best first, beside their baselines.

    Without --check nothing vouches for a score, and each is marked as unchecked.
    """
    from scidata.benchmarks.leaderboard import collect, markdown, write
    from scidata.storage import open_store

    store = None
    if checked:
        store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    board = collect(folder, store)
    if out is not None:
        write(board, out)
    if as_json:
        print_json("scidata-leaderboard/1", board)
    else:
        say(*markdown(board).splitlines())
