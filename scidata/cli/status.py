"""``scidata status``: what became of a version, or say it."""

from typing import cast

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_field,
    print_json,
    print_table,
    say,
    store_options,
)
from scidata.marking import Mark, Marked, MarkOptions, history_of, mark
from scidata.status import History, State
from scidata.storage import open_store
from scidata.warning import warn


@click.command(epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@click.argument(
    "state",
    required=False,
    type=click.Choice(["deprecated", "withdrawn", "active"]),
)
@click.option("--reason", metavar="TEXT", help="Why; every reader is shown it.")
@click.option(
    "--replaced-by",
    metavar="NAME@X.Y.Z",
    help="The version to use instead, in the same store [default: none].",
)
@click.option("--dry-run", is_flag=True, help="Check everything; write nothing.")
@click.option(
    "--single-writer",
    is_flag=True,
    help="Use a store that ignores conditional writes; promise that nobody else writes to it.",
)
@store_options
@json_option
def command(
    *,
    reference: str,
    state: str | None,
    reason: str | None,
    replaced_by: str | None,
    dry_run: bool,
    single_writer: bool,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Say that REFERENCE is deprecated, withdrawn or active again, or show its history.

    REFERENCE is name@1.0.0 or name@sha256:…. Readers of a deprecated or withdrawn version are
    warned. A name without number means the newest version that is not withdrawn; a withdrawn
    one can still be read by its number or digest. What was said is never removed: the next
    status goes on top.
    """
    if state is None and (reason or replaced_by or dry_run):
        raise click.UsageError("give a state: deprecated, withdrawn or active")
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if state is None:
        commit, history = history_of(reference, store)
        _print_history(commit.name, history, as_json=as_json)
        return
    if not reason:
        raise click.UsageError("say why: --reason TEXT")
    done = mark(
        reference,
        Mark(state=cast("State", state), reason=reason, replaced_by=replaced_by),
        store,
        options=MarkOptions(dry_run=dry_run, single_writer=single_writer),
    )
    _print(done, dry_run=dry_run, as_json=as_json)
    for text in done.warnings:
        warn(text)


def _print_history(name: str, history: History, *, as_json: bool) -> None:
    if as_json:
        fields = {
            "name": name,
            "state": history.state,
            "history": [
                {"number": e.number, "fault": e.fault or None}
                | (e.status.model_dump(mode="json") if e.status else {})
                for e in history.entries
            ],
        }
        print_json("scidata-status-history/1", fields)
        return
    if not history.entries:
        say(f"{name} is active; nothing was ever said of it")
        return
    print_field("status", f"{name} is {history.state}")
    rows = [
        (e.number, e.status.state, e.status.date, e.status.by, e.status.replaced_by or "-")
        if e.status
        else (e.number, "unreadable", "-", "-", "-")
        for e in history.entries
    ]
    print_table(["NUMBER", "STATE", "DATE", "BY", "REPLACED BY"], rows)
    for entry in history.entries:
        print_field(f"{entry.number}", entry.status.reason if entry.status else entry.fault)


def _print(done: Marked, *, dry_run: bool, as_json: bool) -> None:
    status = done.status
    if as_json:
        fields = {
            **status.model_dump(mode="json", exclude={"format"}),
            "name": done.commit.name,
            "number": done.number,
            "already": done.already,
            "dry_run": dry_run,
            "warnings": list(done.warnings),
        }
        print_json("scidata-status/1", fields)
        return
    would = "would be" if dry_run and not done.already else "is"
    instead = f"; use {status.replaced_by} instead" if status.replaced_by else ""
    already = " already" if done.already else ""
    say(f"{done.commit.name} {would} {status.state}{already}: {status.reason}{instead}")
