"""`scidata verify`: compare a copy or a version with its manifest."""

import shlex
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
from scidata.compare import Verified
from scidata.errors import Damage, IntegrityError
from scidata.signing import load_trusted
from scidata.storage import open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.verifying import verify
from scidata.wording import amount, counted


@click.command(epilog=exits(2, 3, 4, 5, 6, 8))
@click.argument("target")
@click.option(
    "--digest",
    metavar="sha256:HEX",
    help="Digest of the version as it was cited; the manifest must have it [default: none].",
)
@click.option(
    "--name",
    metavar="DATASET@VERSION",
    help="Version of the store that a folder should hold [default: what the folder says].",
)
@click.option(
    "--fast", is_flag=True, help="Compare names and sizes only [default: read every byte]."
)
@click.option(
    "--glob",
    "globs",
    multiple=True,
    metavar="PATTERN",
    help="Look at files whose path in the manifest matches, such as 'data/grid.zarr/*'; may be "
    "repeated [default: all].",
)
@click.option(
    "--trusted",
    "trusted",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Public keys, one a line as in id_ed25519.pub, one of which must have signed the "
    "version in the store; may be repeated [default: no signature is asked for].",
)
@store_options
@json_option
@quiet_option
def command(
    *,
    target: str,
    digest: str | None,
    name: str | None,
    fast: bool,
    globs: tuple[str, ...],
    trusted: tuple[Path, ...],
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare every byte of TARGET with its manifest, and the manifest with its digest.

    TARGET is a folder that holds a version, or a version in a store such as tevolop@1.0.0.
    A folder is compared with nothing outside it unless --digest or --store is given. Every
    bad, missing and extra file is named; damage ends with exit code 5. With --trusted the
    signature is looked at first; without one by a trusted key the exit code is 8.
    """
    store = None
    elsewhere = store_url is not None or name is not None or bool(trusted)
    if elsewhere or not Path(target).is_dir():
        store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    keys = load_trusted(trusted)
    with progress_bar(f"verify {target}", shown=not (quiet or as_json)) as progress:
        found = verify(
            target,
            store,
            digest=digest,
            name=name,
            fast=fast,
            globs=globs,
            trusted=keys,
            progress=progress,
        )
    if as_json:
        print_json("scidata-verify/1", _fields(found))
    else:
        _print(found, _remedy(found, target, store))
    return 0 if found.sound else IntegrityError.exit_code


def _fields(found: Verified) -> dict[str, object]:
    return {
        **vars(found),
        "sound": found.sound,
        "verdict": _verdict(found),
        "digest": str(found.digest) if found.digest else None,
        "damage": [vars(item) for item in found.damage],
        "signer": key_fields(found.signer),
    }


def _print(found: Verified, remedy: str) -> None:
    for state in ("bad", "missing", "extra"):
        lines = [_line(item) for item in found.damage if item.state == state]
        if lines:
            say(*capped(lines, what=f" {state}"))
    how = "names and sizes" if found.fast else amount(found.bytes)
    counts = f"{counted(found.files - found.tags, 'file')}, {counted(found.tags, 'tag file')}"
    say(
        f"{_verdict(found)}  {found.name or found.target}  {found.digest or 'no manifest'}  "
        f"{counts}, {how}"
    )
    say(f"compared with {_compared(found)}")
    if found.signer is not None:
        say(f"signed by {found.signer}")
    for note in found.notes:
        say(f"note: {note}", err=True)
    if not found.sound:
        say(f"fix:  {remedy}", err=True)


def _line(item: Damage) -> str:
    return f"{item} ({item.found})" if item.state == "extra" and item.found else str(item)


def _remedy(found: Verified, target: str, store: Store | None) -> str:
    """Say where sound files come from: published bytes never change, so any copy will do."""
    commit = f"versions/{found.name.rpartition('@')[2]}.json"
    if not Path(target).is_dir() and {item.path for item in found.damage} == {commit}:
        return "find out which of the two digests was cited before trusting either"
    if not Path(target).is_dir():
        return (
            "bring these files back from another copy of the store, as they never change, or "
            "report it to whoever runs it"
        )
    if not found.name or store is None:
        name = found.name or "DATASET@VERSION"
        return (
            f"copy it again from where it came, or: scidata pull {name} --store URL --out DIR"
        )
    pull = f"scidata pull {found.name} {options_of(store)} --out"
    if any(item.state == "extra" for item in found.damage):
        return f"remove what is extra, then fetch the rest: {pull} {shlex.quote(target)}"
    return f"fetch them: {pull} {shlex.quote(target)}"


def _verdict(found: Verified) -> str:
    part = f"part ({found.held:,} of {counted(found.payload, 'file')})"
    if found.sound:
        return f"sound {part}" if found.partial else "sound"
    damaged = f"damaged: {counted(len(found.damage), 'file')}"
    return f"{damaged} of a {part}" if found.partial else damaged


def _compared(found: Verified) -> str:
    """Say what the files were compared with, and what that was compared with."""
    if found.published:
        return f"the manifest of {found.against}"
    return f"the manifest in {found.target}, and that with {found.against or 'nothing else'}"
