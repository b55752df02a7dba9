"""``scidata check``: every problem of a record or a staged dataset, or how FAIR it is."""

import json
from pathlib import Path

import click

from scidata.check import Checked, check
from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    print_table,
    say,
    store_options,
)
from scidata.errors import InvalidError
from scidata.fair import Fairness, assess
from scidata.fair.rules import PRINCIPLES
from scidata.record import record_schema
from scidata.storage import open_store
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 5, 6))
@click.argument("target", required=False, metavar="PATH|NAME")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option(
    "--schema", is_flag=True, help="Print the JSON Schema of a record, for editors, and stop."
)
@click.option(
    "--fair",
    is_flag=True,
    help="Score it by the FAIR principles, with the remedy for each point lost. Then NAME may "
    "also be name, name@1.0.0 or name@sha256:… of a store.",
)
@click.option(
    "--at-least",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="With --fair, fail below this score [default: 0].",
)
@store_options
@json_option
def command(
    *,
    target: str | None,
    strict: bool,
    schema: bool,
    fair: bool,
    at_least: int | None,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
) -> int:
    """Check a record file, or a staged dataset: a folder with record.yaml and data/.

    Nothing is asked of the network. In a staged dataset the variables, splits and samples that
    the record names must be in the data. Warnings name what is recommended and do not fail.

    With --fair, points are counted instead: of what can be known here, and what only a
    published site can show is named. A low score is no failure unless --at-least says so.
    """
    if schema:
        say(*json.dumps(record_schema(), indent=1, ensure_ascii=False).split("\n"))
        return 0
    if target is None:
        raise click.UsageError("Missing argument 'PATH|NAME'.")
    if fair:
        store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
        return _score(assess(target, store), at_least or 0, as_json=as_json)
    if at_least is not None or store_url is not None:
        raise click.UsageError("--at-least and --store go with --fair.")
    path = Path(target)
    checked = check(path)
    failed = bool(checked.problems if strict else checked.errors)
    if as_json:
        print_json("scidata-check/1", _document(path, checked, failed=failed))
    else:
        _print(path, checked)
    return InvalidError.exit_code if failed else 0


def _document(path: Path, checked: Checked, *, failed: bool) -> dict[str, object]:
    return {
        "path": path,
        "dataset": checked.record.id if checked.record else None,
        "staged": checked.staged,
        "passed": not failed,
        "errors": len(checked.errors),
        "warnings": len(checked.warnings),
        "problems": [vars(problem) for problem in checked.problems],
    }


def _print(path: Path, checked: Checked) -> None:
    for problem in checked.problems:
        head = f"{problem.severity} {problem.path}: {problem.message} [{problem.code}]"
        say(head, f"    {problem.fix}")
    errors, warnings = len(checked.errors), len(checked.warnings)
    counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    say(f"{path}: {'ok, ' if not errors else ''}{counts}")


def _score(found: Fairness, at_least: int, *, as_json: bool) -> int:
    failed = found.score < at_least
    if as_json:
        print_json("scidata-check-fair/1", _fair_document(found, at_least, failed=failed))
    else:
        _print_fair(found)
    if failed:
        say(f"the score is below {at_least} %", err=True)
    return InvalidError.exit_code if failed else 0


def _fair_document(found: Fairness, at_least: int, *, failed: bool) -> dict[str, object]:
    return {
        "name": found.name,
        "score": found.score,
        "at_least": at_least,
        "passed": not failed,
        "met": found.points("met"),
        "lost": found.points("lost"),
        "unknown": found.points("unknown"),
        "rules": [
            {
                "key": outcome.rule.key,
                "principle": outcome.rule.principle,
                "asks": outcome.rule.asks,
                "metric": outcome.rule.metric,
                "points": outcome.rule.points,
                "state": outcome.state,
                "finding": outcome.finding or None,
                "field": outcome.rule.field or None,
                "remedy": outcome.remedy or None,
            }
            for outcome in found.outcomes
        ],
    }


def _print_fair(found: Fairness) -> None:
    rows = [
        (
            principle,
            found.points("met", principle=principle),
            found.points("met", "lost", principle=principle),
            found.points("unknown", principle=principle),
            words,
        )
        for principle, words in PRINCIPLES.items()
    ]
    print_table(["", "POINTS", "OF", "UNKNOWN", "PRINCIPLE"], rows)
    for outcome in found.lost:
        rule = outcome.rule
        say(f"-{rule.points} {rule.key}: {outcome.finding}", f"    {outcome.remedy}")
    for finding, keys in _unknown(found).items():
        say(f"?  {finding}: {', '.join(keys)}")
    met, known = found.points("met"), found.points("met", "lost")
    say(f"{found.name}: {found.score:g} %, {met} of the {known} points that are known here")


def _unknown(found: Fairness) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for outcome in found.unknown:
        reasons.setdefault(outcome.finding, []).append(outcome.rule.key)
    return reasons
