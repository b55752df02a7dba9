"""`scidata sign`: say whose a version is, after it was published."""

from pathlib import Path

import click

from scidata.cli.output import (
    asker,
    exits,
    json_option,
    print_json,
    say,
    signature_fields,
    store_options,
)
from scidata.signing import Signed, attach, load_key, plan_sign, read_signature, sign
from scidata.storage import open_store


@click.command(epilog=exits(2, 3, 4, 5, 6, 7, 8))
@click.argument("reference")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Private key of OpenSSH, such as ~/.ssh/id_ed25519. A passphrase is asked for on the "
    "terminal [default: none].",
)
@click.option(
    "--signature",
    "signature_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Signature that ssh-keygen -Y sign -n scidata-version made of the commit record, with "
    "a key that an agent holds [default: none].",
)
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@store_options
@json_option
def command(
    *,
    reference: str,
    key_file: Path | None,
    signature_file: Path | None,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Sign the commit record of a version, which names the digest of every file.

    REFERENCE is name, name@1.0.0 or, so that it can be no other one, name@sha256:…. A version
    may have several signatures; none is ever replaced. Verify the version before signing it.
    """
    if (key_file is None) == (signature_file is None):
        raise click.UsageError("give either --key or --signature")
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if signature_file is not None:
        signed = attach(reference, read_signature(signature_file), store, dry_run=dry_run)
    else:
        assert key_file is not None  # noqa: S101 - one of the two, as was just looked
        key = load_key(key_file, asker(key_file))
        signed = (plan_sign if dry_run else sign)(reference, key, store)
    _print(signed, dry_run=dry_run, as_json=as_json)


def _print(signed: Signed, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        fields = {
            "name": signed.name,
            "digest": signed.digest,
            "signature": signature_fields(signed),
            "dry_run": dry_run,
        }
        print_json("scidata-sign/1", fields)
        return
    verb = "was signed before" if signed.already else "is signed"
    if dry_run and not signed.already:
        verb = "would be signed"
    say(f"{signed.name} {verb} by {signed.key}", f"digest     {signed.digest}")
    say(f"signature  {signed.path}")
