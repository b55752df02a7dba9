"""`scidata repair`: bring missing and damaged files back from another copy."""

from pathlib import Path

import click

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
from scidata.errors import IntegrityError
from scidata.repairing import Left, Repaired, RepairPlan, apply, plan_repair
from scidata.repairing.source import is_copy
from scidata.storage import StoreLike, open_store
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("target")
@click.option(
    "--from",
    "source",
    required=True,
    metavar="URL|DIR",
    help="Where sound files are: a store or mirror that has the version, or a folder that "
    "holds a copy of it.",
)
@click.option(
    "--from-endpoint-url",
    metavar="URL",
    help="S3 server of --from [default: $AWS_ENDPOINT_URL, else AWS].",
)
@click.option(
    "--from-no-sign-request", is_flag=True, help="Read --from in S3 without credentials."
)
@click.option(
    "--digest",
    metavar="sha256:HEX",
    help="Digest of the version as it was cited; the source must have it [default: none].",
)
@click.option(
    "--name",
    metavar="DATASET@VERSION",
    help="Version that a folder should hold [default: what the folder says].",
)
@click.option(
    "--replace-damaged",
    is_flag=True,
    help="Of a version in a store, replace damaged objects, too. No store overwrites: the "
    "sound object is fetched and compared, the damaged one deleted, and for a moment readers "
    "find none. In a folder damaged files are always replaced [default: create missing "
    "objects only].",
)
@click.option("--dry-run", is_flag=True, help="Say what would be brought; write nothing.")
@store_options
@json_option
@quiet_option
def command(
    *,
    target: str,
    source: str,
    from_endpoint_url: str | None,
    from_no_sign_request: bool,
    digest: str | None,
    name: str | None,
    replace_damaged: bool,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Bring what TARGET has lost back from another copy of the same version.

    TARGET is a folder that holds a version, or a version in a store such as tevolop@1.0.0.
    Every byte of it is compared first. A replacement is compared with its digest before it
    takes its place, and read back there. Extra files are reported and stay. Exit code 5 says
    that something is still wrong.
    """
    store = None
    if not Path(target).is_dir():
        store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    origin: StoreLike = source
    if not is_copy(source):
        origin = open_store(
            source, endpoint_url=from_endpoint_url, anonymous=from_no_sign_request
        )
    with progress_bar(f"repair {target}", shown=not (quiet or as_json)) as progress:
        plan = plan_repair(
            target,
            origin,
            store,
            digest=digest,
            name=name,
            replace_damaged=replace_damaged,
            progress=progress,
        )
        done = None if dry_run else apply(plan, progress=progress)
    if done is None:
        _print_plan(plan, as_json=as_json)
        return 0
    _print(done, as_json=as_json)
    return 0 if done.sound else IntegrityError.exit_code


def _print_plan(plan: RepairPlan, *, as_json: bool) -> None:
    if as_json:
        fields = {
            "target": plan.target,
            "name": plan.name,
            "digest": plan.digest,
            "source": plan.source.store.url,
            "repaired": sorted(item.path for item in plan.fetches),
            "bytes": plan.bytes,
            "left": [vars(item) for item in plan.left],
            "sound": not plan.left,
            "dry_run": True,
        }
        print_json("scidata-repair/1", fields)
        return
    say(
        f"would bring {counted(len(plan.fetches), 'file')} ({amount(plan.bytes)}) of "
        f"{plan.name} from {plan.source.store.url}"
    )
    lines = [
        f"would {'replace' if item.path in plan.damaged else 'bring'} {item.path}"
        for item in plan.fetches
    ]
    _print_lines(lines)
    _print_lines([_line(item) for item in plan.left])


def _print(done: Repaired, *, as_json: bool) -> None:
    if as_json:
        left = [vars(item) for item in done.left]
        fields = {**vars(done), "left": left, "sound": done.sound, "dry_run": False}
        print_json("scidata-repair/1", fields)
        return
    _print_lines([f"repaired {path}" for path in done.repaired])
    _print_lines([_line(item) for item in done.left])
    verdict = "sound" if done.sound else f"still damaged: {counted(len(done.left), 'file')}"
    say(
        f"{verdict}  {done.name}  {done.digest}  {counted(len(done.repaired), 'file')} "
        f"repaired ({amount(done.bytes)})"
    )


def _print_lines(lines: list[str]) -> None:
    if lines:
        say(*capped(lines))


def _line(item: Left) -> str:
    return f"left {item.state} {item.path}: {item.reason}"
