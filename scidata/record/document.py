"""Records as files: read from bytes that nobody trusts, written in one canonical form.

Here is also what is recommended: warnings, for what a record may lack.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.record.model import Record
from scidata.record.problems import problems_of
from scidata.record.safe_yaml import MAX_BYTES, read_yaml, write_yaml


def load_record(path: Path) -> Record:
    """Read a record from a file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        With every problem that is an error.
    """
    return parse_record(read_record_bytes(path), where=str(path))


def read_record_bytes(path: Path) -> bytes:
    """Read at most one byte more than a record may have.

    Raises
    ------
    NotFoundError
        If there is no such file.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFoundError(
            f"there is no record {str(path)!r}",
            where=str(path),
            fix="write one with: scidata init NAME",
        ) from error


def parse_record(data: bytes, *, where: str) -> Record:
    """Read a record that is not trusted.

    Raises
    ------
    InvalidError
        With every problem that is an error.
    """
    record, problems = check_record(data, where=where)
    errors = [p for p in problems if p.severity == "error"]
    if record is None or errors:
        count = f"{len(errors)} problem{'s' if errors[1:] else ''}"
        raise InvalidError(
            f"the record has {count}",
            where=where,
            fix="correct what is listed, then run scidata check again",
            problems=errors,
        )
    return record


def check_record(data: bytes, *, where: str) -> tuple[Record | None, tuple[Problem, ...]]:
    """Read a record and list everything that is wrong or recommended, at once.

    Returns
    -------
    tuple
        The record, or None if a problem is an error; and all problems, the warnings last.
    """
    try:
        value, unread = read_yaml(data, where=where)
    except InvalidError as error:
        return None, error.problems
    if not isinstance(value, dict):
        message = "the file does not hold the fields of a record"
        fix = "start from: scidata init NAME"
        return None, (
            *unread,
            Problem(code="not-a-record", path="(whole)", message=message, fix=fix),
        )
    advice = tuple(_missing_recommended(value))
    try:
        record = Record.model_validate(value)
    except ValidationError as error:
        # What could not be read is no value to complain of a second time.
        places = {problem.path for problem in unread}
        found = (p for p in problems_of(error, Record) if p.path not in places)
        return None, (*unread, *found, *advice)
    advice += tuple(_unidentified(record))
    return (None if unread else record), unread + advice


def record_yaml(record: Record) -> bytes:
    """Write a record as canonical YAML; ``parse_record(record_yaml(r), where="") == r``.

    Fields are in the model's order; what is empty is left out.
    """
    fields = _without_empty(record.model_dump(mode="json", exclude_none=True))
    assert isinstance(fields, dict)  # noqa: S101 - a record is a mapping
    return write_yaml(fields)


def _without_empty(value: object) -> object:
    if isinstance(value, dict):
        kept = {name: _without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ([], {})}
    if isinstance(value, list):
        return [_without_empty(inner) for inner in value]
    return value


def record_schema() -> dict[str, object]:
    """Return the JSON Schema of a record, for editors. It knows no check digits."""
    schema = Record.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _missing_recommended(value: Mapping[str, object]) -> Iterator[Problem]:
    for name, fix in _RECOMMENDED.items():
        if not value.get(name):
            yield _advice(name, f"{name!r} is recommended and missing", fix)


def _unidentified(record: Record) -> Iterator[Problem]:
    for n, creator in enumerate(record.creators):
        if creator.family and not creator.orcid:
            message = f"{creator.full_name!r} has no ORCID iD"
            fix = "add orcid: so that the person can be found"
            yield _advice(f"creators[{n}].orcid", message, fix)
    if not record.publisher.ror:
        message = f"{record.publisher.name!r} has no ROR id"
        yield _advice("publisher.ror", message, "add ror: from ror.org")


_RECOMMENDED = {
    "methods": "say how the data were made",
    "created": "say when the data were made",
    "subjects": "add terms of a vocabulary, each with its URI",
    "variables": "describe each variable",
    "relations": "add the papers, software and datasets it belongs with",
    "funding": "name the funder and award, if there is one",
    "provenance": "name the sources, instruments, software and steps",
    "limitations": "name known gaps and changes of quality",
    "conforms_to": "add the URL of each standard that the files follow",
}


def _advice(path: str, message: str, fix: str) -> Problem:
    return Problem(code="recommended", path=path, message=message, fix=fix, severity="warning")
