"""The types that fields of a record have: text that was checked.

The fields themselves are in `parts`, `contents` and `model` beside it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, StrictInt

from scidata import identifiers
from scidata.identifiers import refusal

T = TypeVar("T")

CONTROL = re.compile(
    r"[^\t\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]"
)
"""What has no place in text: control characters and what is no character."""
_TO_FILL_IN = re.compile(r"<[^<>]*>")
_DERIVED_RELATIONS = (
    "IsVersionOf",
    "HasVersion",
    "IsNewVersionOf",
    "IsPreviousVersionOf",
    "HasMetadata",
)


def check_text(text: str) -> str:
    """Check lines of text: filled in, not empty, no control characters."""
    if _TO_FILL_IN.fullmatch(text.strip()):
        raise refusal(
            "to-fill-in",
            f"{text.strip()!r} is to be filled in",
            "write the value, or remove it if not mandatory",
        )
    if not text.strip():
        raise refusal("empty", f"{text!r} is empty", "write a value, or leave the field out")
    if found := CONTROL.search(text):
        message = f"the character {found.group()!r} has no place in text"
        raise refusal("control-character", message, "remove it")
    if text != text.strip():
        raise refusal("blank-ends", f"{text[:60]!r} starts or ends with blanks", "remove them")
    return text


def check_line(text: str) -> str:
    """Check one line of text."""
    check_text(text)
    if text.splitlines() != [text] or "\t" in text:
        raise refusal("one-line", f"{text[:60]!r} has more than one line", "write one line")
    return text


def check_title(text: str) -> str:
    """Check that a title does not end as a sentence."""
    if text.endswith("."):
        raise refusal("title-stop", f"{text!r} ends with a full stop", "remove the full stop")
    return text


def check_abstract(text: str) -> str:
    """Check the length that search engines take."""
    if not 50 <= len(text) <= 5000:  # noqa: PLR2004 - what dataset search engines take
        message = f"{len(text)} characters: {text[:40]!r}"
        raise refusal("abstract-length", message, "write 50 to 5000 characters")
    return text


def check_keyword(text: str) -> str:
    """Check that a keyword is one."""
    if "," in text:
        raise refusal("keyword-comma", f"{text!r} has a comma", "write several keywords")
    return text


def check_location(text: str) -> str:
    """Check a place where data lie: a URL, or S3 or Globus."""
    return identifiers.check_url(text, schemes=("https", "http", "s3", "ftp", "globus"))


def check_link(text: str) -> str:
    """Check a bare DOI or a URL."""
    if text.startswith("10."):
        return identifiers.check_doi(text)
    if re.match(r"(https?://(dx\.)?doi\.org/|doi:)", text, re.IGNORECASE):
        return identifiers.check_doi(text)
    return identifiers.check_url(text)


def check_relation_type(text: str) -> str:
    """Check a DataCite relationType that a person may write."""
    identifiers.check_term(text, "relation-types")
    if text in _DERIVED_RELATIONS:
        fix = "remove this relation: it follows from the versions"
        raise refusal("computed", f"{text!r} is computed, not typed", fix)
    return text


def check_unique(names: Iterable[str], what: str) -> None:
    """Refuse names that occur twice."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        message = (
            f"{what} {', '.join(map(repr, twice))} {'are' if twice[1:] else 'is'} there twice"
        )
        raise refusal("duplicate", message, "keep each once")


def check_filled(values: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse an empty list. Not ``min_length``: that also counts entries with a problem."""
    if not values:
        raise refusal("empty-list", "there is no entry", "write at least one")
    return values


def check_distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse entries that occur twice, whatever their case."""
    check_unique(
        (value.lower() for value in values), "the entries" if values[1:] else "the entry"
    )
    return values


Line = Annotated[str, AfterValidator(check_line)]
"""One line of text: not empty, no blanks at its ends, no control characters."""
Text = Annotated[str, AfterValidator(check_text)]
"""Lines of text."""
Date = Annotated[Line, AfterValidator(identifiers.check_date)]
DateOrRange = Annotated[Line, AfterValidator(identifiers.check_date_or_range)]
Url = Annotated[Line, AfterValidator(identifiers.check_url)]
Location = Annotated[Line, AfterValidator(check_location)]
Doi = Annotated[Line, AfterValidator(identifiers.check_doi)]
Orcid = Annotated[Line, AfterValidator(identifiers.check_orcid)]
Ror = Annotated[Line, AfterValidator(identifiers.check_ror)]
Spdx = Annotated[Line, AfterValidator(identifiers.check_spdx)]
DatasetId = Annotated[Line, AfterValidator(identifiers.check_dataset_id)]
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Name = Annotated[Line, Field(max_length=200)]
Count = Annotated[StrictInt, Field(ge=0)]
Filled: TypeAlias = Annotated[
    tuple[T, ...], AfterValidator(check_filled), Field(json_schema_extra={"minItems": 1})
]
"""A list with at least one entry."""
