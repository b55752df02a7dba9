"""What DataCite's answers mean to a curator: each refusal in words, by field of the record."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scidata.errors import ConflictError, InvalidError, Problem, ScidataError, StorageError

_OK, _ELSEWHERE = 200, 300
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 400, 401, 403, 404, 409
_PRECONDITION, _UNPROCESSABLE, _TOO_MANY, _SERVER = 412, 422, 429, 500
MAX_PROBLEMS = 50
_AGAIN = "run the same command again: it finds out how far this one came"
MAX_WORDS = 300
"""Characters of DataCite's own words that are repeated."""

FIELDS: Mapping[str, str] = {
    "affiliation": "creators[].affiliations",
    "alternateidentifiers": "id",
    "contributors": "contributors, contact",
    "contributor": "contributors, contact",
    "creators": "creators",
    "creator": "creators",
    "dates": "created, available, temporal",
    "descriptions": "abstract, methods, provenance.steps, synthetic_note, real_note",
    "doi": "--prefix",
    "formats": "data",
    "fundingreferences": "funding",
    "geolocations": "spatial",
    "identifier": "--prefix",
    "language": "language",
    "lang": "language",
    "prefix": "--prefix",
    "publicationyear": "version",
    "publisher": "publisher",
    "reason": "--reason",
    "relatedidentifiers": "relations, provenance.sources",
    "rightslist": "license, access",
    "rights": "license, access",
    "sizes": "data",
    "subjects": "keywords, subjects",
    "titles": "title",
    "title": "title",
    "types": "data",
    "url": "--base-url",
    "version": "version",
}
"""Where in a record, or on the command line, what DataCite calls otherwise was written."""


def is_passing(status: int) -> bool:
    """Tell whether asking again can help: also after a success without what it promised."""
    return status in {_CONFLICT, _TOO_MANY} or status >= _SERVER or _OK <= status < _ELSEWHERE


def field_of(source: str) -> str:
    """Name the field of the record that one of DataCite's comes from.

    Examples
    --------
    >>> field_of("rightsList"), field_of("rights_list"), field_of("metadata")
    ('license, access', 'license, access', 'record')
    """
    return FIELDS.get(re.sub(r"[^a-z]", "", source.lower()), "record")


def meaning(
    status: int,
    document: Mapping[str, Any] | None,  # Any: JSON
    *,
    doi: str,
    api: str,
) -> ScidataError:
    """Return the error that an answer means; DataCite's words are cut, no page is shown."""
    where = f"{doi} at {api}"
    if status in {_BAD_REQUEST, _UNPROCESSABLE}:
        return _refused(status, document, where)
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return _not_allowed(status, doi, api)
    if status in {_CONFLICT, _PRECONDITION}:
        return ConflictError(
            "somebody else changes this DOI at the same time", where=where, fix=_AGAIN
        )
    said, fix = f"DataCite failed ({status})", _AGAIN
    if status == _NOT_FOUND:
        said, fix = "there is no such API", "check --api"
    elif status == _TOO_MANY:
        said = "DataCite asks for fewer requests"
    elif status < _BAD_REQUEST:
        is_moved = status >= _ELSEWHERE
        said = "sends elsewhere" if is_moved else "answers with something that is no DOI"
        said, fix = f"this server {said} ({status})", f"check --api; {_AGAIN}"
    return StorageError(said, where=where, fix=fix)


def _not_allowed(status: int, doi: str, api: str) -> StorageError:
    if status == _UNAUTHORIZED:
        return StorageError(
            "DataCite does not know this repository, or not with this password",
            where=api,
            fix="check DATACITE_REPOSITORY and DATACITE_PASSWORD, or DATACITE_API_KEY; the "
            "test system has accounts of its own",
        )
    return StorageError(
        f"this repository may not use the prefix {doi.partition('/')[0]}, or {doi} belongs to "
        "another one",
        where=f"{doi} at {api}",
        fix="check DATACITE_PREFIX against the prefixes of your repository; the test system "
        "has prefixes of its own",
    )


def _refused(
    status: int,
    document: Mapping[str, Any] | None,  # Any: JSON
    where: str,
) -> InvalidError:
    problems = list(_problems(document))[:MAX_PROBLEMS]
    fix = "correct these fields; a version that is published is corrected by the next one"
    if problems:
        return InvalidError.listing(problems, where=where, fix=fix)
    return InvalidError(f"DataCite refuses the request ({status})", where=where, fix=fix)


def _problems(document: Mapping[str, Any] | None) -> Iterator[Problem]:  # Any: JSON
    errors = (document or {}).get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            source = str(error.get("source") or "metadata")[:MAX_WORDS]
            words = " ".join(str(error.get("title") or "is refused").split())[:MAX_WORDS]
            yield Problem(
                code="datacite-refused",
                path=field_of(source),
                message=f"DataCite says of {source}: {words}",
                fix="see what is sent: scidata doi preview",
            )
