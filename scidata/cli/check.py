"""``scidata check``: every problem of a record or a staged dataset, at once."""

import json
from pathlib import Path

import click

from scidata.check import Checked, check
from scidata.cli.output import exits, json_option, print_json, say
from scidata.errors import InvalidError
from scidata.record import record_schema
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4))
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option(
    "--schema", is_flag=True, help="Print the JSON Schema of a record, for editors, and stop."
)
@json_option
def command(*, path: Path | None, strict: bool, schema: bool, as_json: bool) -> int:
    """Check a record file, or a staged dataset: a folder with record.yaml and data/.

    Nothing is asked of the network. In a staged dataset the variables, splits and samples that
    the record names must be in the data. Warnings name what is recommended and do not fail.
    """
    if schema:
        say(*json.dumps(record_schema(), indent=1, ensure_ascii=False).split("\n"))
        return 0
    if path is None:
        raise click.UsageError("Missing argument 'PATH'.")
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
