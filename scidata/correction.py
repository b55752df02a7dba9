"""A record corrected after publishing: one object beside the commit record each time.

``versions/1.0.0.correction-0001.json`` holds the whole corrected record. It is created, and
never rewritten or removed; the highest number holds. The record inside the version stays as it
was committed: what is corrected is what readers, catalogs, forms and DataCite are told.
Those of DataCite's test system are ``….correction-test-0001.json``, which no reader looks at.

Pure. Reading them belongs to `scidata.inventory`, writing one to `scidata.doi`.
"""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scidata.errors import IntegrityError, InvalidError, Problem
from scidata.record import Record, parse_record
from scidata.version import CommitRecord, VersionNumber

MAX_CORRECTION_BYTES = 4 * 2**20
MAX_CORRECTIONS = 9999
CORRECTABLE = (
    "title",
    "abstract",
    "methods",
    "creators",
    "contributors",
    "contact",
    "publisher",
    "language",
    "keywords",
    "subjects",
    "spatial",
    "temporal",
    "created",
    "relations",
    "funding",
    "provenance",
    "real_note",
    "out_of_scope",
    "limitations",
    "conforms_to",
    "citation",
)
"""What is said about the data. Terms of use, and what programs read (variables, splits,
samples), were relied on by whoever has the version: they change with the next one."""

_KEY = re.compile(r"versions/([0-9.]+)\.correction-(\d{4})\.json")


class Correction(BaseModel):
    """``versions/1.0.0.correction-0001.json``: what a version's record should have said."""

    # A field that a later release adds must not hide a correction.
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["scidata-correction/1"] = "scidata-correction/1"
    dataset: str
    version: str
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    changed: tuple[str, ...]
    """Fields that differ from what held before."""
    record: str
    """The whole corrected record, as a record's file."""
    by: Annotated[str, Field(max_length=200)]
    date: Annotated[str, Field(max_length=40)]
    """UTC, ISO 8601 with ``Z``."""


def correction_key(dataset: str, version: str, number: int, *, test: bool = False) -> str:
    """Return the key of a version's n-th correction.

    Examples
    --------
    >>> correction_key("tevolop", "1.0.0", 2)
    'tevolop/versions/1.0.0.correction-0002.json'
    """
    return f"{dataset}/versions/{version}.correction{'-test' * test}-{number:04d}.json"


def correction_bytes(correction: Correction) -> bytes:
    """Write a correction: UTF-8 JSON with sorted keys."""
    fields: dict[str, Any] = correction.model_dump(mode="json")  # Any: JSON at the edge
    return (json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def parse_correction(
    data: bytes, commit: CommitRecord, record: Record, *, where: str
) -> tuple[Correction, Record]:
    """Read a correction that is not trusted, and the record that it makes of one.

    Raises
    ------
    IntegrityError
        If it is none, that of another version or of other data, or corrects what may not be.
    """
    try:
        found = Correction.model_validate_json(data)
        corrected = parse_record(found.record.encode(), where=where)
    except (ValidationError, InvalidError) as error:
        raise _damaged("it cannot be read", where) from error
    if (found.dataset, found.version, found.digest) != (
        commit.dataset,
        commit.version,
        commit.digest,
    ):
        raise _damaged(f"it is that of {found.dataset}@{found.version} {found.digest}", where)
    if refused := sorted(set(changes(record, corrected)) - set(CORRECTABLE)):
        raise _damaged(f"it changes {', '.join(refused)}", where)
    return found, corrected


def changes(before: Record, after: Record) -> tuple[str, ...]:
    """Name the fields in which two records differ."""
    return tuple(
        name for name in Record.model_fields if getattr(before, name) != getattr(after, name)
    )


def check_changes(before: Record, after: Record, *, where: str) -> None:
    """Refuse a correction that changes more than it may.

    Raises
    ------
    InvalidError
        Naming every field that no correction may change.
    """
    problems = [
        Problem(
            code="not-correctable",
            path=name,
            message=f"{name!r} of a published version stays",
            fix="put it back here, and change it with the next version",
        )
        for name in changes(before, after)
        if name not in CORRECTABLE
    ]
    if problems:
        raise InvalidError.listing(
            problems,
            where=where,
            fix=f"correct only {', '.join(CORRECTABLE)}; publish the next version for the rest",
        )


def corrections_among(keys: Iterable[str]) -> dict[VersionNumber, int]:
    """Return the highest number of each version's corrections, of a dataset's keys."""
    found: dict[VersionNumber, int] = {}
    for key in keys:
        if match := _KEY.fullmatch(key):
            try:
                version = VersionNumber.parse(match[1])
            except InvalidError:
                continue
            found[version] = max(found.get(version, 0), int(match[2]))
    return found


def _damaged(what: str, where: str) -> IntegrityError:
    return IntegrityError(
        f"the correction of a record is damaged: {what}",
        where=where,
        fix="bring this one file back from another copy of the store; the version itself is "
        "untouched",
    )
