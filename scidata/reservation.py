"""Which DOI a version has: two small objects beside its commit record, each created once.

``versions/1.0.0.doi.json`` is written before anything is asked of DataCite: from then on the
version has this DOI and never another. ``versions/1.0.0.doi-findable.json`` is written after
DataCite said that the DOI can be found: from then on readers are shown it. DOIs of DataCite's
test system do not resolve; theirs are ``….doi-test.json`` and ``….doi-test-findable.json``,
which no reader looks at.

Pure. Reading them belongs to `scidata.inventory`, writing one to `scidata.doi`.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from scidata.errors import IntegrityError
from scidata.identifiers import check_doi
from scidata.version import CommitRecord

MAX_RESERVATION_BYTES = 16 * 1024

_Doi = Annotated[str, AfterValidator(check_doi), Field(max_length=300)]
_Short = Annotated[str, Field(max_length=200)]


class _Kept(BaseModel):
    # A field that a later release adds must not hide a DOI.
    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    version: str
    doi: _Doi
    date: Annotated[str, Field(max_length=40)]
    """UTC, ISO 8601 with ``Z``."""


class Reservation(_Kept):
    """``versions/1.0.0.doi.json``: the one DOI that a version may have."""

    format: Literal["scidata-doi/1"] = "scidata-doi/1"
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    concept: _Doi
    """The DOI of the dataset, whichever its version."""
    api: _Short
    """Which DataCite was asked, such as ``https://api.datacite.org``."""
    by: _Short


class FindableNote(_Kept):
    """``versions/1.0.0.doi-findable.json``: DataCite said so, at that time."""

    format: Literal["scidata-doi-findable/1"] = "scidata-doi-findable/1"


@dataclass(frozen=True, kw_only=True)
class KnownDoi:
    """What a store says of a version's DOI."""

    doi: str
    concept: str
    findable: bool
    """It was seen findable once; a DOI that was hidden since still resolves."""

    @property
    def url(self) -> str:
        """Where it resolves."""
        return f"https://doi.org/{self.doi}"


def reservation_key(dataset: str, version: str, *, test: bool = False) -> str:
    """Return the key of a version's reservation.

    Examples
    --------
    >>> reservation_key("tevolop", "1.0.0")
    'tevolop/versions/1.0.0.doi.json'
    """
    return f"{dataset}/versions/{version}.doi{'-test' * test}.json"


def findable_key(dataset: str, version: str, *, test: bool = False) -> str:
    """Return the key of the note that a version's DOI can be found."""
    return f"{dataset}/versions/{version}.doi{'-test' * test}-findable.json"


def kept_bytes(kept: Reservation | FindableNote) -> bytes:
    """Write either: UTF-8 JSON with sorted keys."""
    fields: dict[str, Any] = kept.model_dump(mode="json")  # Any: JSON at the edge
    return (json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def parse_reservation(data: bytes, commit: CommitRecord, *, where: str) -> Reservation:
    """Read a reservation that is not trusted.

    Raises
    ------
    IntegrityError
        If it is none, or that of another version or of other data.
    """
    found = _parse(Reservation, data, commit, where)
    if found.digest != commit.digest:
        raise _damaged(f"it is that of the digest {found.digest}", where)
    return found


def parse_findable(data: bytes, commit: CommitRecord, *, where: str) -> FindableNote:
    """Read a note that a DOI can be found; raises as `parse_reservation`."""
    return _parse(FindableNote, data, commit, where)


_K = TypeVar("_K", Reservation, FindableNote)


def _parse(kind: type[_K], data: bytes, commit: CommitRecord, where: str) -> _K:
    try:
        found = kind.model_validate_json(data)
    except ValidationError as error:
        fields = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        what = f"it has no usable {', '.join(sorted(fields))}" if fields else "it is not JSON"
        raise _damaged(what, where) from error
    if (found.dataset, found.version) != (commit.dataset, commit.version):
        raise _damaged(f"it is that of {found.dataset}@{found.version}", where)
    return found


def _damaged(what: str, where: str) -> IntegrityError:
    return IntegrityError(
        f"the note of a DOI is damaged: {what}",
        where=where,
        fix="bring this one file back from another copy of the store; the version itself, and "
        "its DOI at DataCite, are untouched",
    )
