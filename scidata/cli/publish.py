"""``scidata publish``: a staged dataset becomes an immutable version in a store."""

from pathlib import Path

import click

from scidata.cli.output import (
    asker,
    capped,
    exits,
    json_option,
    print_json,
    progress_bar,
    quiet_option,
    say,
    signature_fields,
    store_options,
)
from scidata.publishing import Published, PublishOptions, plan_publish, publish
from scidata.publishing.plain import plain_commands
from scidata.publishing.plan import Plan
from scidata.signing import load_key
from scidata.storage import open_store
from scidata.version import CommitRecord
from scidata.wording import amount, counted

MAX_STEPS = 5
"""Largest objects that a dry run names."""


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("staged", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--version", required=True, metavar="X.Y.Z", help="Number of the new version, as 1.0.0."
)
@click.option(
    "--single-writer",
    is_flag=True,
    help="Use a store that ignores conditional writes; promise that nobody else publishes to "
    "it meanwhile. The commit record says so.",
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Continue an upload that somebody on another machine began and will not finish.",
)
@click.option(
    "--sign",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the version with this private key of OpenSSH, such as ~/.ssh/id_ed25519 "
    "[default: unsigned].",
)
@click.option(
    "--parent",
    metavar="X.Y.Z",
    help="Version that this one continues.  [default: the newest]",
)
@click.option(
    "--full",
    is_flag=True,
    help="All files lie in the version's own folder; those that older versions have are "
    "copied there inside the store.",
)
@click.option(
    "--delta",
    is_flag=True,
    help="Unchanged files stay in the folders of older versions.  [default: delta for a minor "
    "version or patch that would inherit 1 GiB or 10,000 files, else full]",
)
@click.option(
    "--rehash",
    is_flag=True,
    help="Read every staged file again. By default a file whose size, times and inode are "
    "those of an earlier run has the digest of that run.",
)
@click.option(
    "--fetch-from",
    metavar="URL",
    default="",
    help="Public address of the store, written into a delta for BagIt tools.  [default: the "
    "store's own]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be uploaded; write nothing.")
@store_options
@json_option
@quiet_option
def command(
    *,
    staged: Path,
    version: str,
    single_writer: bool,
    takeover: bool,
    key_file: Path | None,
    parent: str | None,
    full: bool,
    delta: bool,
    rehash: bool,
    fetch_from: str,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Publish the staged dataset DIR as an immutable version.

    DIR holds record.yaml and data/. Nobody sees the version before all its files are in the
    store and checked; from then on it never changes. Run the same command again to continue
    after an interruption. A store that ignores conditional writes is refused with exit code 6.
    """
    if full and delta:
        raise click.UsageError("say --full or --delta, not both")
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    # Before the upload, which may take hours: so that a passphrase is asked for now.
    key = load_key(key_file, asker(key_file)) if key_file else None
    options = PublishOptions(
        single_writer=single_writer,
        takeover=takeover,
        parent=parent,
        layout="full" if full else "delta" if delta else None,
        rehash=rehash,
        fetch_from=fetch_from,
        signing_key=key,
    )
    with progress_bar(f"publish {version}", shown=not (quiet or as_json)) as progress:
        if dry_run:
            planned = plan_publish(
                staged, store, version=version, options=options, progress=progress
            )
            _print_plan(planned, store.url, as_json=as_json)
            return
        done = publish(staged, store, version=version, options=options, progress=progress)
    commands = plain_commands(store.url, done.commit, endpoint_url=endpoint_url)
    _print(done, store.url, commands, as_json=as_json)
    for warning in done.warnings:
        say(f"warning: {warning}", err=True)


def _print_plan(planned: Plan | CommitRecord, url: str, *, as_json: bool) -> None:
    already = isinstance(planned, CommitRecord)
    commit = planned if isinstance(planned, CommitRecord) else planned.commit
    steps = () if isinstance(planned, CommitRecord) else planned.upload
    copied = () if isinstance(planned, CommitRecord) else planned.copied
    inherited = 0 if isinstance(planned, CommitRecord) else len(planned.inherited)
    if as_json:
        fields = {
            **_fields(commit, url),
            "already": already,
            "upload": [{"key": step.key, "size": step.size} for step in steps],
            "copy": [{"key": step.key, "size": step.size} for step in copied],
            "inherited": inherited,
        }
        print_json("scidata-publish-plan/1", fields)
        return
    if already:
        say(f"{commit.name} is published already; nothing would be uploaded")
        return
    if steps:
        largest = sorted(steps, key=lambda step: -step.size)
        say(*capped([f"would upload {s.key} ({amount(s.size)})" for s in largest], MAX_STEPS))
    total = amount(sum(step.size for step in steps))
    say(f"would upload {counted(len(steps), 'object')}, {total}, and commit {commit.name}")
    if copied:
        say(f"would copy {counted(len(copied), 'object')} inside the store")
    if inherited:
        older = ", ".join(commit.prefixes[:-1])
        say(f"would leave {counted(inherited, 'unchanged file')} in {older}")
    say(f"digest {commit.digest}")
    if commit.repeated:
        say(f"the data are those of {commit.repeated}: no file is new, changed or gone")


def _print(done: Published, url: str, commands: list[str], *, as_json: bool) -> None:
    commit = done.commit
    if as_json:
        fields = {
            **_fields(commit, url),
            "uploaded": done.uploaded,
            "copied": done.copied,
            "skipped": done.skipped,
            "already": done.already,
            "unsafe_store": commit.unsafe_store,
            "warnings": list(done.warnings),
            "plain_commands": commands,
            "signature": signature_fields(done.signed),
        }
        print_json("scidata-publish/1", fields)
        return
    say(f"{'already published' if done.already else 'published'} {commit.name}")
    say(f"digest    {commit.digest}")
    say(f"payload   {counted(commit.files, 'file')}, {amount(commit.bytes)}")
    copied = f", {done.copied:,} copied inside the store" if done.copied else ""
    say(f"uploaded  {counted(done.uploaded, 'object')}{copied}, {done.skipped:,} there before")
    if commit.prefixes[1:]:
        say(f"inherits  unchanged files of {', '.join(commit.prefixes[:-1])}")
    if commit.repeated:
        say(f"same as   {commit.repeated}: no file is new, changed or gone")
    say(f"where     {url}/{commit.dataset}/{commit.prefixes[-1]}/")
    if done.signed is not None:
        say(f"signed    by {done.signed.key}, {done.signed.path}")
    say("", "Without scidata, into a new folder, anybody checks it so:")
    for line in commands:
        say(f"  {line}")


def _fields(commit: CommitRecord, url: str) -> dict[str, object]:
    return {
        "dataset": commit.dataset,
        "version": commit.version,
        "digest": commit.digest,
        "files": commit.files,
        "bytes": commit.bytes,
        "store": url,
        "prefix": f"{commit.dataset}/{commit.prefixes[-1]}/",
        "prefixes": list(commit.prefixes),
        "new_files": commit.new_files,
        "new_bytes": commit.new_bytes,
        "same_as": commit.repeated,
    }
