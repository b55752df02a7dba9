"""`scidata pull`: bring a version into a folder."""

from pathlib import Path

import click

from scidata.cli.output import (
    capped,
    exits,
    json_option,
    key_fields,
    print_json,
    progress_bar,
    quiet_option,
    say,
    store_options,
)
from scidata.pulling import Pulled, PullPlan, apply, plan_pull
from scidata.resolve import resolve
from scidata.signing import load_trusted
from scidata.storage import open_store
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 7, 8))
@click.argument("reference")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New folder, or an earlier copy of the same version [default: ./DATASET-VERSION].",
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    metavar="KEY",
    help="Bring this asset only; may be repeated [default: all].",
)
@click.option(
    "--glob",
    "globs",
    multiple=True,
    metavar="PATTERN",
    help="Bring files whose path in the manifest matches, such as 'data/grid.zarr/*'; may be "
    "repeated [default: all].",
)
@click.option(
    "--trusted",
    "trusted",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Public keys, one a line as in id_ed25519.pub, one of which must have signed the "
    "version; may be repeated [default: no signature is asked for].",
)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched; write nothing.")
@store_options
@json_option
@quiet_option
def command(
    *,
    reference: str,
    out: Path | None,
    assets: tuple[str, ...],
    globs: tuple[str, ...],
    trusted: tuple[Path, ...],
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring a version into a folder, checking every byte.

    REFERENCE is name, name@1.0.0 or name@sha256:…; without a number the newest version. The
    folder becomes a BagIt bag. Run the same command again to continue after an interruption,
    to repair a damaged copy, or to complete a partial one. With --trusted the signature is
    looked at first; without one by a trusted key nothing is fetched, and the exit code is 8.
    """
    keys = load_trusted(trusted) if trusted else None
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if out is None:
        commit = resolve(reference, store)
        reference, out = commit.name, Path(f"{commit.dataset}-{commit.version}")
    with progress_bar(f"pull {reference}", shown=not (quiet or as_json)) as progress:
        plan = plan_pull(
            reference,
            out,
            store,
            assets=assets,
            globs=globs,
            trusted=keys,
            progress=progress,
        )
        pulled = None if dry_run else apply(plan, store, progress=progress)
    if pulled is None:
        _print_plan(plan, as_json=as_json)
    else:
        _print(pulled, as_json=as_json)


def _print_plan(plan: PullPlan, *, as_json: bool) -> None:
    fields = {
        "name": plan.commit.name,
        "digest": plan.commit.digest,
        "destination": str(plan.destination),
        "files": len(plan.fetches) + len(plan.kept),
        "fetched": len(plan.fetches),
        "fetched_bytes": plan.bytes,
        "replaced": plan.replaced,
        "partial": plan.partial,
        "signer": key_fields(plan.signer),
        "dry_run": True,
    }
    if as_json:
        print_json("scidata-pull/1", fields)
        return
    say(
        f"would fetch {counted(len(plan.fetches), 'file')} ({amount(plan.bytes)}) of "
        f"{plan.commit.name} into {plan.destination}; {len(plan.kept):,} there already"
    )
    if plan.replaced:
        say(*capped([f"would replace {path}: its bytes differ" for path in plan.replaced]))


def _print(pulled: Pulled, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "scidata-pull/1",
            {**vars(pulled), "signer": key_fields(pulled.signer), "dry_run": False},
        )
        return
    kind = "part of " if pulled.partial else ""
    signed = f", signed by {pulled.signer}" if pulled.signer else ""
    say(
        f"{pulled.destination} holds {kind}{pulled.name} {pulled.digest}: "
        f"{counted(pulled.files, 'file')} checked, {pulled.fetched:,} fetched "
        f"({amount(pulled.fetched_bytes)}){signed}"
    )
    if pulled.replaced:
        say(*capped([f"replaced {path}: its bytes differed" for path in pulled.replaced]))
