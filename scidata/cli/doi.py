"""``scidata doi``: the DOI of a version at DataCite."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

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
from scidata.doi import DoiOptions, Done, draft, hide, preview, publish, register, show, update
from scidata.storage import open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.warning import warn

F = TypeVar("F", bound=Callable[..., Any])  # Any: click decorates functions of any signature


@click.group()
def command() -> None:
    """Give a version a DOI at DataCite, and keep what is known of it up to date.

    The test system is asked unless --api or $DATACITE_API says otherwise. Credentials come from
    the environment (DATACITE_REPOSITORY and DATACITE_PASSWORD, or DATACITE_API_KEY) or a
    keyring, and are never written anywhere.
    """


def _api(function: F) -> F:
    return click.option(
        "--api",
        metavar="API",
        help="test, production, or an address [default: $DATACITE_API, else test].",
    )(function)


def _pages(function: F) -> F:
    for option in (
        click.option(
            "--base-url",
            metavar="URL",
            help="Where the landing pages are: a version's is URL/NAME/v1.0.0/ "
            "[default: $SCIDATA_BASE_URL].",
        ),
        click.option(
            "--prefix",
            metavar="10.…",
            help="Of your repository, for a version that has no DOI yet "
            "[default: that of the dataset's DOI, else $DATACITE_PREFIX].",
        ),
    ):
        function = option(function)
    return _api(function)


def _writes(function: F) -> F:
    for option in (
        click.option(
            "--single-writer",
            is_flag=True,
            help="Use a store that ignores conditional writes; promise that nobody else "
            "writes to it.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Look and compare; change nothing, here or there."
        ),
    ):
        function = option(function)
    return _pages(function)


def _page_check(function: F) -> F:
    return click.option(
        "--no-page-check",
        "check_page",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Go on although the landing page is not there yet.",
    )(function)


def _options(**given: Any) -> tuple[Store, DoiOptions, bool]:  # Any: of click
    """Sort out what click read: the store, how to go about it, and whether JSON is wanted."""
    store = open_store(
        given.pop("store_url"),
        endpoint_url=given.pop("endpoint_url"),
        anonymous=given.pop("anonymous"),
    )
    as_json = given.pop("as_json")
    return store, DoiOptions(**given), as_json


@command.command("preview", epilog=exits(2, 3, 4, 5, 6))
@click.argument("reference")
@_pages
@store_options
@json_option
def preview_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Show what DataCite would be told of REFERENCE, and judge it; nothing is sent.

    REFERENCE is name@1.0.0 or name@sha256:…. Exit code 4 if a judge refuses it.
    """
    store, options, as_json = _options(**given)
    seen = preview(reference, store, options=options)
    if as_json:
        fields = {
            "name": seen.name,
            "doi": seen.doi,
            "concept": seen.concept,
            "reserved": seen.reserved,
            "attributes": seen.document,
            "judges": list(seen.verdict.judges),
            "absent": list(seen.verdict.absent),
            "problems": [vars(problem) for problem in seen.verdict.problems],
            "warnings": list(seen.warnings),
        }
        print_json("scidata-doi-preview/1", fields)
    else:
        say(*json.dumps(seen.document, indent=1, ensure_ascii=False).split("\n"))
        for problem in seen.verdict.problems:
            say(f"error: {problem.path}: {problem.message}", err=True)
        say(f"judged by {', '.join(seen.verdict.judges)}", err=True)
        for text in seen.verdict.absent:
            warn(f"not judged by {text}")
        for text in seen.warnings:
            warn(text)
    if seen.verdict.problems:
        click.get_current_context().exit(4)


@command.command("draft", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@_writes
@store_options
@json_option
def draft_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Reserve the DOI of REFERENCE, as a draft that only your repository sees.

    Do it to have the DOI before the landing page is made; `publish` does it, too.
    """
    _run(draft, reference, **given)


@command.command("register", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@_page_check
@_writes
@store_options
@json_option
def register_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Make the DOI of REFERENCE resolve, but not appear in searches: for reviewers, say.

    It stays for ever. `publish` makes it findable later; its dataset's DOI is made then.
    """
    _run(register, reference, **given)


@command.command("publish", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@_page_check
@_writes
@store_options
@json_option
def publish_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Make the DOI of REFERENCE findable, for ever, and tell its dataset's and predecessor's.

    Run it again after any failure: it finds out how far it came, and makes no second DOI.
    """
    _run(publish, reference, **given)


@command.command("update", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A corrected record, kept beside the version, which does not change, and told by the "
    "catalogs, `show` and `export`. Licence, access, variables, splits and samples stay.",
)
@_writes
@store_options
@json_option
def update_command(
    *, reference: str, record: Path | None, **given: Any
) -> None:  # Any: of click
    """Bring what DataCite has of REFERENCE up to date: moved landing pages, a corrected record.

    Without --record the correction that was made last is told again.
    """
    _run(partial(update, record=record), reference, **given)


@command.command("hide", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("reference")
@_writes
@store_options
@json_option
def hide_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Take the DOI of REFERENCE, a withdrawn version, out of DataCite's search.

    It still resolves: to its landing page, which says that and why it was withdrawn. The
    reason is that of `scidata status`. Once the version is active again, `publish` undoes it.
    """
    _run(hide, reference, **given)


@command.command("show", epilog=exits(2, 3, 4, 5, 6))
@click.argument("reference")
@_pages
@store_options
@json_option
def show_command(*, reference: str, **given: Any) -> None:  # Any: of click
    """Show the DOI of REFERENCE: its state at DataCite, and what differs there.

    Without credentials drafts are not seen.
    """
    store, options, as_json = _options(**given)
    seen = show(reference, store, options=options)
    if as_json:
        print_json("scidata-doi-show/1", vars(seen))
        return
    again = f"{seen.name} {options_of(store)}"
    reserved = "" if seen.reserved else " (not reserved yet)"
    print_field("doi", f"{seen.doi}{reserved}")
    print_field("dataset", seen.concept)
    print_field("state", f"{seen.state} at {seen.api}")
    if seen.state == "absent" and seen.reserved:
        print_field(
            "note",
            "the store has reserved it. What is not findable is shown to its own repository "
            "alone: check DATACITE_REPOSITORY and DATACITE_PASSWORD, or DATACITE_API_KEY",
        )
    if seen.url:
        print_field("page", seen.url)
    if seen.state == "findable" and not seen.noted_findable:
        print_field("note", f"the store does not say so yet: scidata doi publish {again}")
    if seen.differs:
        print_field("differs", f"{', '.join(seen.differs)}; scidata doi update {again}")
    for text in seen.warnings:
        warn(text)


def _run(verb: Callable[..., Done], reference: str, **given: Any) -> None:  # Any: of click
    store, options, as_json = _options(**given)
    done = verb(reference, store, options=options)
    if as_json:
        fields = {**vars(done), "steps": [vars(step) for step in done.steps]}
        print_json("scidata-doi/1", {**fields, "dry_run": options.dry_run})
        return
    rows = [
        (
            s.subject,
            s.doi,
            f"{s.before} -> {s.after}" if s.before != s.after else s.after,
            "nothing" if s.is_done else ", ".join(s.changes) or "state",
        )
        for s in done.steps
    ]
    print_table(["OF THE", "DOI", "STATE", "CHANGES" if not options.dry_run else "TO DO"], rows)
    would = "would be" if options.dry_run else "is"
    say(f"{done.name} {would} {done.state}: {done.url}")
    for text in done.warnings:
        warn(text)
