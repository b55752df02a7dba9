"""What DataCite does with a DOI, as its double does it: states, rules, what it rewrites.

Written from the documented behaviour of DataCite's REST API, each point of which the contract
test states. Metadata are judged by the official XSD where a file of it is given, else by the
JSON schema of the package ``datacite``.
"""

import base64
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from scidata.identifiers import spdx_terms, vocabulary_terms

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge
Errors: TypeAlias = list[dict[str, str]]

LISTS = (
    "creators",
    "titles",
    "subjects",
    "contributors",
    "dates",
    "relatedIdentifiers",
    "relatedItems",
    "sizes",
    "formats",
    "rightsList",
    "descriptions",
    "geoLocations",
    "fundingReferences",
    "alternateIdentifiers",
)
SINGLE = (
    "publisher",
    "publicationYear",
    "language",
    "types",
    "version",
    "url",
    "contentUrl",
    "schemaVersion",
    "reason",
)
_BESIDE = {"reason"}
"""Attributes that are DataCite's own, and no part of the metadata."""
EVENTS: Mapping[tuple[str, str], str] = {
    ("draft", "register"): "registered",
    ("draft", "publish"): "findable",
    ("registered", "publish"): "findable",
    ("registered", "show"): "findable",
    ("findable", "hide"): "registered",
}
MAX_RIGHTS = 2000
_DOI = re.compile(r"10\.\d{4,5}/[-._;()/:a-zA-Z0-9*~$=]+")
_URL = re.compile(r"(ftp|http|https)://\S+")
_VALIDATED = re.compile(r"http://datacite\.org/schema/kernel-4(\.[0-3])?")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SINCE_45 = {
    "Award", "Coverage", "HasTranslation", "IsTranslationOf", "Other", "Poster",
    "Presentation", "Project",
}  # fmt: skip
"""Terms that the package's JSON schema is too old to know."""
_NAMESPACE = "{http://datacite.org/schema/kernel-4}"
_TYPES = {"schemaOrg": "Dataset", "citeproc": "dataset", "bibtex": "misc", "ris": "DATA"}
_FOS = "Fields of Science and Technology (FOS)"


@dataclass
class Entry:
    """One DOI."""

    doi: str
    client: str
    attributes: Attributes
    state: str = "draft"
    version: int = 0
    created: str = ""
    updated: str = ""
    registered: str | None = None
    minting: int = 0
    """How often it must still be asked for until the handle server answered."""
    history: list[str] = field(default_factory=list)
    """Every state it was in."""


def now() -> str:
    """Return the time as DataCite writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def suffix_of(number: int) -> str:
    """Encode a number as DataCite's own suffixes are: base 32 and two check digits.

    Examples
    --------
    >>> suffix_of(122149076)
    '3mfp-6m52'
    """
    digits, rest = "", number
    while rest:
        rest, digit = divmod(rest, 32)
        digits = _ALPHABET[digit] + digits
    text = f"{digits:0>6}{98 - number * 100 % 97:02d}"
    return f"{text[:4]}-{text[4:]}"


def merged(held: Attributes, given: Attributes) -> Attributes:
    """Return what a request makes of attributes: left out is kept, null and [] empty."""
    result = copy.deepcopy(held)
    if "identifiers" in given and "alternateIdentifiers" not in given:
        given = given | {"alternateIdentifiers": _alternate(given["identifiers"])}
    for name in (*LISTS, *SINGLE):
        if name in given:
            value = copy.deepcopy(given[name])
            result[name] = ([] if name in LISTS else None) if value in (None, []) else value
    return _rewritten(result)


def model_errors(doi: str, attributes: Attributes) -> Errors:
    """Check what is checked of drafts, too."""
    return [
        {"source": source, "title": title, "uid": doi}
        for source, title in _model_faults(doi, attributes)
    ]


def _model_faults(doi: str, attributes: Attributes) -> Iterator[tuple[str, str]]:
    if not _DOI.fullmatch(doi):
        yield "doi", "Is invalid"
    url = attributes.get("url")
    if url and not _URL.fullmatch(str(url)):
        yield "url", "Is invalid"
    titles = attributes.get("titles") or []
    if not isinstance(titles, list) or any(not isinstance(t, dict) for t in titles):
        yield "titles", f"Title '{titles}' should be an object instead of a string."
    for contributor in attributes.get("contributors") or ():
        kind = contributor.get("contributorType")
        if kind not in vocabulary_terms("contributor-types"):
            yield "contributors", f"Contributor type {kind or ''} is not supported in schema 4."
    for rights in attributes.get("rightsList") or ():
        if len(str(rights.get("rights") or "")) > MAX_RIGHTS:
            yield "rights_list", f"Rights should not have more than {MAX_RIGHTS} characters."


def metadata_errors(doi: str, attributes: Attributes, schema: Path | None) -> Errors:
    """Check what is checked once a DOI is to be more than a draft."""
    if not attributes.get("url"):
        return [{"source": "url", "title": "Can't be blank", "uid": doi}]
    # Any other value names no schema, and then nothing is validated.
    if not _VALIDATED.fullmatch(str(attributes.get("schemaVersion") or "") or _VALID):
        return []
    parts = ("titles", "publisher", "publicationYear", "types")
    if not all(attributes.get(name) for name in parts):
        return [{"source": "metadata", "title": "Is invalid", "uid": doi}]
    return list(_by_xsd(doi, attributes, schema))


_VALID = "http://datacite.org/schema/kernel-4"


def xml_of(doi: str, attributes: Attributes) -> str:
    """Write the metadata as DataCite's XML."""
    from datacite import schema45

    stated = {k: v for k, v in attributes.items() if v not in (None, [], "", {})}
    if isinstance(stated.get("publisher"), str):
        stated["publisher"] = {"name": stated["publisher"]}
    if "publicationYear" in stated:
        stated["publicationYear"] = str(stated["publicationYear"])
    return str(schema45.tostring({"creators": [], **stated, "doi": doi}))


def _by_xsd(doi: str, attributes: Attributes, schema: Path | None) -> Iterator[dict[str, str]]:
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    try:
        xml = etree.fromstring(xml_of(doi, attributes).encode())
    except (ValueError, KeyError, TypeError, AttributeError):
        yield {"source": "metadata", "title": "Is invalid", "uid": doi}
        return
    if xml.find(f"{_NAMESPACE}creators") is None:  # an empty one is part of DataCite's own XML
        xml.insert(1, etree.Element(f"{_NAMESPACE}creators"))
    if schema is None:
        yield from _by_package(doi, attributes)
        return
    judge = _parsed(schema)
    judge.validate(xml)
    seen = set()
    for error in judge.error_log:
        element, _, words = error.message.partition(": ")
        source = element.rsplit("}", 1)[-1].strip("'")
        if source not in seen:
            seen.add(source)
            yield {"source": source, "title": words.replace(_NAMESPACE, ""), "uid": doi}


def _by_package(doi: str, attributes: Attributes) -> Iterator[dict[str, str]]:
    """Judge by the package's JSON schema, which is older than DataCite's XSD."""
    from datacite import schema45

    stated = {k: v for k, v in attributes.items() if v not in (None, "") and k not in _BESIDE}
    if "publicationYear" in stated:  # the server takes numbers as well
        stated["publicationYear"] = str(stated["publicationYear"])
    stated["types"] = {k: v for k, v in stated["types"].items() if k not in _TYPES}
    for error in schema45.validator.iter_errors({**stated, "doi": doi}):
        if error.validator == "enum" and error.instance in _SINCE_45:
            continue
        source = str(next(iter(error.path), "metadata"))
        yield {"source": source, "title": error.message, "uid": doi}


@cache
def _parsed(schema: Path) -> Any:  # Any: lxml has no types
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    return etree.XMLSchema(file=str(schema))


def next_state(state: str, event: object) -> str:
    """Return the state after an event; one that does not apply changes nothing."""
    return EVENTS.get((state, str(event)), state)


def shown(entry: Entry, *, full: bool, publisher: bool, affiliation: bool) -> Attributes:
    """Return the attributes as an answer has them."""
    held = copy.deepcopy(entry.attributes)
    named = [held.get("creators"), held.get("contributors")]
    for who in (person for group in named for person in group or ()):
        who.setdefault("nameIdentifiers", [])
        given = who.setdefault("affiliation", [])
        if not affiliation:
            who["affiliation"] = [a["name"] if isinstance(a, dict) else a for a in given]
    by = held.get("publisher")
    if publisher and isinstance(by, str):
        held["publisher"] = {"name": by}
    elif not publisher and isinstance(by, dict):
        held["publisher"] = by.get("name")
    prefix, _, suffix = entry.doi.partition("/")
    answer = {
        **{name: [] for name in LISTS},
        **dict.fromkeys(SINGLE),
        **held,
        "doi": entry.doi,
        "prefix": prefix,
        "suffix": suffix,
        "container": {},
        "identifiers": [
            {
                "identifier": item.get("alternateIdentifier"),
                "identifierType": item.get("alternateIdentifierType"),
            }
            for item in held.get("alternateIdentifiers") or ()
        ],
        "state": entry.state,
        "isActive": entry.state == "findable",
        "metadataVersion": entry.version,
        "created": entry.created,
        "updated": entry.updated,
        "registered": entry.registered,
    }
    if full:
        answer["xml"] = _xml(entry)
    return answer


def _xml(entry: Entry) -> str | None:
    try:
        return base64.b64encode(xml_of(entry.doi, entry.attributes).encode()).decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _alternate(identifiers: Any) -> list[Attributes]:  # Any: JSON
    return [
        {
            "alternateIdentifier": item.get("identifier"),
            "alternateIdentifierType": item.get("identifierType"),
        }
        for item in identifiers or ()
    ]


def _rewritten(attributes: Attributes) -> Attributes:
    """Change what DataCite changes on its own."""
    if attributes.get("version") is not None:
        attributes["version"] = str(attributes["version"])
    types = attributes.get("types")
    if isinstance(types, dict) and types.get("resourceTypeGeneral") == "Dataset":
        attributes["types"] = {**_TYPES, **types}
    language = attributes.get("language")
    if isinstance(language, str) and language[:2] in vocabulary_terms("languages"):
        attributes["language"] = language[:2] if language[2:3] in ("", "-") else language
    if isinstance(attributes.get("rightsList"), list):
        attributes["rightsList"] = [_rights(item) for item in attributes["rightsList"]]
    subjects = attributes.get("subjects")
    if isinstance(subjects, list):
        known = {item.get("subject") for item in subjects if isinstance(item, dict)}
        attributes["subjects"] = subjects + [
            {"subject": f"FOS: {item['subject']}", "subjectScheme": _FOS}
            for item in subjects
            if isinstance(item, dict)
            and item.get("subjectScheme") == _FOS
            and not str(item["subject"]).startswith("FOS: ")
            and f"FOS: {item['subject']}" not in known
        ]
    return attributes


def _rights(item: Any) -> Any:  # Any: JSON
    if not isinstance(item, dict) or not item.get("rightsIdentifier"):
        return item
    lower = str(item["rightsIdentifier"]).lower()
    name = next(
        (name for spdx, (name, _) in spdx_terms().items() if spdx.lower() == lower), None
    )
    if name is None:
        return item
    url = item.get("rightsUri")
    if creative := re.fullmatch(r"cc-(by[a-z-]*)-(\d\.\d)", lower):
        url = f"https://creativecommons.org/licenses/{creative[1]}/{creative[2]}/legalcode"
    return {
        "rights": name,
        "rightsUri": url,
        "rightsIdentifier": lower,
        "rightsIdentifierScheme": "SPDX",
        "schemeUri": "https://spdx.org/licenses/",
    }
