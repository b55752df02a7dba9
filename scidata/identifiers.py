"""Identifiers and terms, checked offline: check digits, syntax, membership of a list.

Each check returns its text or raises `InvalidError` with exactly one `Problem`. A sound check
digit proves typing, not existence; nothing here asks a server. Pure but for vocabularies, which
are read from the package on first use.
"""

import calendar
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from scidata.errors import InvalidError, Problem

Vocabulary = Literal[
    "relation-types",
    "contributor-types",
    "resource-types",
    "languages",
    "licenses-unknown-to-cff",
]

MANY = 50  # more terms than a remedy should list

_DATASET_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}", re.ASCII)
_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", re.ASCII)
_ROR = re.compile(r"0[0-9a-hjkmnp-tv-z]{6}\d{2}", re.ASCII)
_ROR_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Any registered DOI in lower case: prefix, then printable characters but capital letters.
_DOI = re.compile(r"10\.\d{4,9}(\.\d+)*/[!-@\[-~]+", re.ASCII)
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}",
    re.ASCII,
)
_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(?P<time>T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)
_SECRET = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|sig|signature|key|api_?key|(access_)?token|password|secret",
    re.IGNORECASE,
)


def check_orcid(text: str) -> str:
    """Check an ORCID iD in its bare form, such as ``0000-0002-1825-0097``.

    Raises
    ------
    InvalidError
        If the form or the check character is wrong (ISO 7064 MOD 11-2).
    """
    if not _ORCID.fullmatch(text):
        bare = re.sub(r"^https?://orcid\.org/", "", text)
        fix = f"write {bare}" if _ORCID.fullmatch(bare) else "write 0000-0000-0000-0000 digits"
        raise refusal("orcid-form", f"{text!r} is not an ORCID iD in its bare form", fix)
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    expected = (12 - total % 11) % 11
    if text[-1] != ("X" if expected == 10 else str(expected)):  # noqa: PLR2004 - X stands for 10
        raise refusal(
            "orcid-check-digit",
            f"{text!r} is not an ORCID iD: its check character is wrong",
            "copy it again from the person's page at orcid.org",
        )
    return text


def check_ror(text: str) -> str:
    """Check a ROR id in its bare form, such as ``03gq8fr08``.

    Raises
    ------
    InvalidError
        If the form or the two check digits are wrong (base 32, ISO 7064 MOD 97-10).
    """
    if not _ROR.fullmatch(text):
        bare = re.sub(r"^(https?://)?ror\.org/", "", text)
        fix = (
            f"write {bare}" if _ROR.fullmatch(bare) else "copy it from ror.org: 0, then 8 more"
        )
        raise refusal("ror-form", f"{text!r} is not a ROR id in its bare form", fix)
    value = 0
    for character in text[1:7]:
        value = value * 32 + _ROR_ALPHABET.index(character)
    if int(text[7:]) != 98 - value * 100 % 97:
        raise refusal(
            "ror-check-digit",
            f"{text!r} is not a ROR id: its check digits are wrong",
            "copy it again from ror.org",
        )
    return text


def check_spdx(text: str) -> str:
    """Check a licence identifier of the SPDX License List: spelling, case, not deprecated.

    Raises
    ------
    InvalidError
        With the nearest identifiers in its remedy.
    """
    terms = spdx_terms()
    if text not in terms:
        by_lower = {term.lower(): term for term in terms}
        near = _nearest(text, by_lower)
        fix = "write an id of spdx.org/licenses, or name: and url: of the licence"
        if near:
            fix = f"write {_alternatives(near)}, or {fix[6:]}"
        raise refusal("spdx-unknown", f"{text!r} is not an SPDX licence id", fix)
    name, deprecated = terms[text]
    if deprecated:
        current = [t for t in (f"{text}-only", f"{text.rstrip('+')}-or-later") if t in terms]
        fix = f"write {_alternatives(current)}" if current else "choose a current id instead"
        raise refusal("spdx-deprecated", f"{text!r} ({name}) is deprecated by SPDX", fix)
    return text


def spdx_terms() -> Mapping[str, tuple[str, bool]]:
    """Return every SPDX licence id with its full name and whether it is deprecated."""
    return _spdx()


def check_dataset_id(text: str) -> str:
    """Check a dataset's id, such as ``tevolop``.

    Raises
    ------
    InvalidError
        If it is not 2 to 63 lower-case letters, digits and hyphens.
    """
    if not _DATASET_ID.fullmatch(text):
        raise refusal(
            "id-form",
            f"{text!r} is not a dataset id",
            "write 2 to 63 lower-case letters, digits and hyphens, a letter or digit first",
        )
    return text


def check_doi(text: str) -> str:
    """Check a DOI in its bare lower-case form, such as ``10.7909/c3wd3xh1``.

    Raises
    ------
    InvalidError
        If it is a URL, or has upper-case letters or blanks.
    """
    if _DOI.fullmatch(text):
        return text
    bare = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", text.strip().lower())
    fix = f"write {bare}" if _DOI.fullmatch(bare) else "write it as 10.1234/suffix"
    raise refusal("doi-form", f"{text!r} is not a DOI in bare, lower-case form", fix)


def check_email(text: str) -> str:
    """Check the syntax of an e-mail address.

    Raises
    ------
    InvalidError
        If it is not name@domain.
    """
    if len(text) > 254 or not _EMAIL.fullmatch(text):  # noqa: PLR2004 - RFC 5321, 4.5.3.1.3
        raise refusal("email-form", f"{text!r} is not an e-mail address", "write name@domain")
    return text


def check_date(text: str) -> str:
    """Check a W3CDTF date: ``2019``, ``2019-10``, ``2019-10-15`` or ``2019-10-15T07:06Z``.

    Raises
    ------
    InvalidError
        If the form is another one or the day does not exist.
    """
    instants(text)
    return text


def check_date_or_range(text: str) -> str:
    """Check a date as `check_date`, or two of them as ``start/end`` in order.

    Raises
    ------
    InvalidError
        If either date is wrong or the range runs backwards.
    """
    start, slash, end = text.partition("/")
    if slash and instants(start)[0] > instants(end)[1]:
        raise refusal("date-order", f"{text!r} ends before it starts", "swap the two dates")
    instants(start)
    return text


def instants(text: str) -> tuple[datetime, datetime]:
    """Return the first and the last instant, UTC, that a W3CDTF date may mean.

    Raises
    ------
    InvalidError
        As `check_date`.
    """
    match = _DATE.fullmatch(text)
    try:
        if match and match["time"]:
            moment = datetime.fromisoformat(text).astimezone(UTC)
            return moment, moment
        if match:
            return _day_bounds(*(int(match[part] or 0) for part in ("year", "month", "day")))
    except (ValueError, OverflowError):
        pass  # a day or an hour that does not exist: refused as any other text
    raise refusal(
        "date-form",
        f"{text!r} is not a date",
        "write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
    )


def _day_bounds(year: int, month: int, day: int) -> tuple[datetime, datetime]:
    last_day = day or calendar.monthrange(year, month or 12)[1]
    first = datetime(year, month or 1, day or 1, tzinfo=UTC)
    last = datetime(year, month or 12, last_day, 23, 59, 59, 999_999, tzinfo=UTC)
    return first, last


def check_url(text: str, *, schemes: Sequence[str] = ("https", "http", "ftp")) -> str:
    """Check an absolute URL that carries no credential.

    Raises
    ------
    InvalidError
        If the scheme is another one, the host is missing, there are blanks, or a user name,
        password or signature is part of it.
    """
    fix = f"write an absolute URL: {_alternatives([s + '://…' for s in schemes])}"
    try:
        parts = urlsplit(text)
        host, user = parts.hostname, parts.username
    except ValueError as error:
        raise refusal("url-form", f"{text!r} is not a URL", fix) from error
    if parts.scheme not in schemes or not host or re.search(r"[\s\x00-\x1f\x7f<>\"]", text):
        raise refusal("url-form", f"{text!r} is not an absolute URL", fix)
    keys = [key for key, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if user is not None or any(_SECRET.fullmatch(key) for key in keys):
        # The value itself is the secret: it is not repeated in the message.
        shown = f"{parts.scheme}://{host}{parts.path}"
        raise refusal(
            "url-credential",
            f"the URL of {shown!r} carries a credential",
            f"write {shown} and keep credentials in the environment",
        )
    return text


def check_address(text: str, *, where: str, schemes: Sequence[str] = ("https", "http")) -> str:
    """Check a URL to which paths are added, as `check_url` does; `where` names its option."""
    try:
        check_url(text, schemes=schemes)
    except InvalidError as error:  # its problems repeat it
        raise InvalidError(error.message, where=where, fix=error.fix) from error
    if "?" in text or "#" in text:  # what stands behind them may be secret: it is not repeated
        raise InvalidError(
            "the address has a query or a fragment, and paths are added to it",
            where=where,
            fix="leave out what begins with ? or #",
        )
    return text


def check_term(text: str, vocabulary: Vocabulary) -> str:
    """Check that a term is one of a vocabulary's, in its spelling and case.

    Raises
    ------
    InvalidError
        With the nearest terms in its remedy.
    """
    terms = vocabulary_terms(vocabulary)
    if text in terms:
        return text
    by_lower = {term.lower(): term for term in terms}
    near = _nearest(text, by_lower)
    choice = near or sorted(terms)
    if len(choice) > MANY:
        choice = [f"a term such as {', '.join(choice[:5])}"]
    raise refusal(
        f"{vocabulary[:-1]}-unknown",
        f"{text!r} is not one of the {vocabulary.replace('-', ' ')}",
        f"write {_alternatives(choice)}",
    )


def vocabulary_terms(vocabulary: Vocabulary) -> frozenset[str]:
    """Return the terms of a vocabulary in ``metadata/vocabularies``."""
    return frozenset(_read_vocabulary(vocabulary)["terms"])


def refusal(code: str, message: str, fix: str) -> InvalidError:
    """Make the error for one problem; its path is filled in by whoever knows the place."""
    problem = Problem(code=code, path="", message=message, fix=fix)
    return InvalidError(message, where="value", fix=fix, problems=[problem])


@cache
def _spdx() -> dict[str, tuple[str, bool]]:
    terms = _read_vocabulary("spdx")["terms"]
    return {term: (name, deprecated) for term, (name, deprecated) in terms.items()}


@cache
def _read_vocabulary(name: str) -> dict[str, Any]:  # Any: JSON of our own package
    text = (files("scidata") / "metadata" / "vocabularies" / f"{name}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _nearest(text: str, by_lower: Mapping[str, str]) -> list[str]:
    if exact := by_lower.get(text.lower()):
        return [exact]
    near = difflib.get_close_matches(text.lower(), by_lower, n=3, cutoff=0.5)
    return [by_lower[term] for term in near]


def _alternatives(choices: Sequence[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)
