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
from scidata.errors import Damage, IntegrityError, InvalidError, StorageError
from scidata.signing import load_trusted
from scidata.storage import open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.verifying import verify
from scidata.verifying.choice import choose
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
@click.option("--full", is_flag=True, help="Read every byte; this is the default.")
@click.option(
    "--remote",
    is_flag=True,
    help="Compare the checksums that S3 keeps, without reading the data [default: read it].",
)
@click.option(
    "--sample",
    metavar="1%|300|50G",
    help="Look into a share, a number or an amount of the files only, drawn by the version's "
    "digest; of the others compare names and sizes [default: all].",
)
@click.option(
    "--subset",
    metavar="K/N",
    help="Look into the K-th of N parts only; N runs cover every file [default: all].",
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    metavar="KEY",
    help="Look at the files of this asset; may be repeated [default: all].",
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
    full: bool,
    remote: bool,
    sample: str | None,
    subset: str | None,
    assets: tuple[str, ...],
    globs: tuple[str, ...],
    trusted: tuple[Path, ...],
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare TARGET with its manifest, byte by byte, and the manifest with its digest.

    TARGET is a folder that holds a version, or a version in a store such as tevolop@1.0.0.
    A folder is compared with nothing outside it unless --digest or --store is given. Every
    bad, missing and extra file is named; damage ends with exit code 5. With --trusted the
    signature is looked at first; without one by a trusted key the exit code is 8.

    How deep to look is one of --full, --fast and --remote. Which files to look at, --asset and
    --glob say, together if both are given. Which of these to look into, one of --sample and
    --subset says, with --full or --remote. --remote is for versions in S3; a file of which S3
    keeps no checksum that the version knows is named as unverifiable, and ends with exit code
    6 unless there is damage.
    """
    refuse_contradictions(fast=fast, full=full, remote=remote, sample=sample, subset=subset)
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
            remote=remote,
            sample=sample,
            subset=subset,
            globs=globs,
            assets=assets,
            trusted=keys,
            progress=progress,
        )
    if as_json:
        print_json("scidata-verify/1", _fields(found))
    else:
        _print(found, _remedy(found, target, store))
    if not found.sound:
        return IntegrityError.exit_code
    return 0 if found.complete else StorageError.exit_code


def refuse_contradictions(
    *, fast: bool, full: bool, remote: bool, sample: str | None, subset: str | None
) -> None:
    """Raise click's usage error for options that are malformed or cannot be combined."""
    try:
        choose(fast=fast, full=full, remote=remote, sample=sample, subset=subset)
    except InvalidError as error:
        raise click.UsageError(f"{error.message}; {error.fix}") from error


def _fields(found: Verified) -> dict[str, object]:
    return {
        **vars(found),
        "sound": found.sound,
        "verdict": _verdict(found),
        "digest": str(found.digest) if found.digest else None,
        "complete": found.complete,
        "damage": [vars(item) for item in found.damage],
        "signer": key_fields(found.signer),
        "unverifiable": [vars(item) for item in found.unverifiable],
    }


def _print(found: Verified, remedy: str) -> None:
    for state in ("bad", "missing", "extra"):
        lines = [_line(item) for item in found.damage if item.state == state]
        if lines:
            say(*capped(lines, what=f" {state}"))
    for reason, paths in _unverifiable(found).items():
        more = f" and {len(paths) - 1:,} more (--json lists all)" if paths[1:] else ""
        say(f"unverifiable {paths[0]}{more}: {reason}")
    counts = f"{counted(found.files - found.tags, 'file')}, {counted(found.tags, 'tag file')}"
    digest = found.digest or "no sha256 manifest"
    say(f"{_verdict(found)}  {found.name or found.target}  {digest}  {counts}, {_how(found)}")
    if found.drawn:
        say(f"looked into {found.drawn}; of the others names and sizes were compared")
    signed = f", signed by {found.signer}" if found.signer else ""
    say(f"compared with {_compared(found)}{signed}")
    for note in found.notes:
        say(f"note: {note}", err=True)
    if not found.sound:
        say(f"fix:  {remedy}", err=True)
    elif not found.complete:
        fix = "read these: the same command without --remote, with --glob to choose them"
        say(f"fix:  {fix}", err=True)


def _unverifiable(found: Verified) -> dict[str, list[str]]:
    """Sort files by why they could not be compared: it is one server, so reasons are few."""
    by_reason: dict[str, list[str]] = {}
    for item in found.unverifiable:
        by_reason.setdefault(item.reason, []).append(item.path)
    return by_reason


def _how(found: Verified) -> str:
    if found.depth == "fast":
        return "names and sizes"
    if found.depth == "full":
        return amount(found.bytes)
    kinds = [f"{count:,} by {kind}" for kind, count in sorted(found.checksums.items())]
    return f"stored checksums ({', '.join(kinds) or 'none'})"


def _line(item: Damage) -> str:
    return f"{item} ({item.found})" if item.state == "extra" and item.found else str(item)


def _remedy(found: Verified, target: str, store: Store | None) -> str:
    """Say where sound files come from: published bytes never change, so any copy will do."""
    commit = f"versions/{found.name.rpartition('@')[2]}.json"
    if not Path(target).is_dir() and {item.path for item in found.damage} == {commit}:
        return "find out which of the two digests was cited before trusting either"
    if not Path(target).is_dir():
        return (
            "report it to whoever runs the store, who brings these files back from another "
            f"copy, as they never change: scidata repair {found.name} --from URL"
            + (f" {options_of(store)}" if store is not None else "")
        )
    if not found.name:
        return "copy it again from where it came"
    if store is None:
        mend = f"scidata repair {shlex.quote(target)} --from URL"
        return f"bring these files back from a store or another copy: {mend}"
    pull = f"scidata pull {found.name} {options_of(store)} --out"
    if any(item.state == "extra" for item in found.damage):
        return f"remove what is extra, then fetch the rest: {pull} {shlex.quote(target)}"
    return f"fetch them: {pull} {shlex.quote(target)}"


def _verdict(found: Verified) -> str:
    part = f"part ({found.held:,} of {counted(found.payload, 'file')})"
    if found.sound and found.unverifiable:
        return f"no damage seen, {counted(len(found.unverifiable), 'file')} unverifiable"
    if found.sound:
        return f"sound {part}" if found.partial else "sound"
    damaged = f"damaged: {counted(len(found.damage), 'file')}"
    return f"{damaged} of a {part}" if found.partial else damaged


def _compared(found: Verified) -> str:
    """Say what the files were compared with, and what that was compared with."""
    if found.published:
        return f"the manifest of {found.against}"
    return f"the manifest in {found.target}, and that with {found.against or 'nothing else'}"
