"""Whether DataCite may be told: judged here, because there a mistake cannot be taken back.

Three judges, all asked each time: scidata's own rules; the package ``datacite``, which knows
metadata schema 4.5 as JSON; and DataCite's official XSD (4.7) by ``lxml``, if the schema cache
has it. A judge that could not be asked is named, so that nobody takes silence for consent.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from scidata.doi.answers import field_of
from scidata.doi.documents import without_empties
from scidata.doi.rules import FIX, own_rules, problem
from scidata.errors import InvalidError, Problem, ScidataError
from scidata.schemas import SchemaCache, schema_file

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

SCHEMA = "datacite-4.7"
MAX_PROBLEMS = 50
_EXTRA = "pip install 'fair-scidata[doi]'"
_NAMESPACE = re.compile(r"\{http://datacite\.org/schema/kernel-4\}")
_NEWER_RELATIONS = {"HasTranslation", "IsTranslationOf", "Other"}
_NEWER_TYPES = {"Award", "Project", "Poster", "Presentation"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the judges say of a document."""

    problems: tuple[Problem, ...]
    judges: tuple[str, ...]
    """Who was asked."""
    absent: tuple[str, ...]
    """Who could not be asked, and why."""


def judge(document: Mapping[str, Any], cache: SchemaCache) -> Verdict:  # Any: JSON
    """Ask every judge that can be had about the attributes of a DOI."""
    stated = without_empties(document)
    problems = list(own_rules(stated))
    judges, absent = ["scidata's own rules"], []
    try:
        problems += _by_json_schema(stated)
        judges.append("DataCite's JSON schema 4.5")
    except ImportError:
        absent.append(f"DataCite's JSON schema (no package datacite: {_EXTRA})")
    try:
        schema = schema_file(SCHEMA, cache)
        problems += _by_xsd(stated, schema)
        judges.append("DataCite's XSD 4.7")
    except ImportError:
        absent.append(f"DataCite's XSD (no package lxml or datacite: {_EXTRA})")
    except ScidataError as error:
        absent.append(f"DataCite's XSD ({error.message})")
    distinct = {(p.path, p.message): p for p in problems}
    return Verdict(
        problems=tuple(distinct.values())[:MAX_PROBLEMS],
        judges=tuple(judges),
        absent=tuple(absent),
    )


def require(verdict: Verdict, *, where: str) -> None:
    """Raise `InvalidError` with every problem, if there is one."""
    if verdict.problems:
        raise InvalidError.listing(
            verdict.problems,
            where=where,
            fix="nothing was sent; correct the record, and publish the next version",
        )


def _by_json_schema(stated: Attributes) -> Iterator[Problem]:
    """Ask the package; the terms that came after its schema are put for older ones before."""
    from datacite import schema45

    older = copy.deepcopy(stated)
    for date in older.get("dates", ()):
        if date.get("dateType") == "Coverage":
            date["dateType"] = "Other"
    for item in older.get("relatedIdentifiers", ()):
        if item.get("relationType") in _NEWER_RELATIONS:
            item["relationType"] = "References"
        if item.get("resourceTypeGeneral") in _NEWER_TYPES:
            item["resourceTypeGeneral"] = "Other"
    return (
        Problem(
            code="datacite-json-schema",
            path=field_of(str(next(iter(error.path), "metadata"))),
            message=f"{'.'.join(map(str, error.path)) or 'all'}: {error.message[:200]}",
            fix=FIX,
        )
        for error in schema45.validator.iter_errors(older)
    )


def _by_xsd(stated: Attributes, schema: Path) -> Iterator[Problem]:
    from datacite import schema45
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    try:
        xml = etree.fromstring(schema45.tostring(stated).encode())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return iter([problem("metadata", f"it cannot be written as XML: {error}"[:200])])
    judged = _parsed(schema)
    judged.validate(xml)
    return iter([_of_xsd(xml, error) for error in judged.error_log])


@cache
def _parsed(schema: Path) -> Any:  # Any: lxml has no types
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    return etree.XMLSchema(file=str(schema))


def _of_xsd(xml: Any, error: Any) -> Problem:  # Any: lxml has no types
    words = _NAMESPACE.sub("", error.message)
    found = xml.xpath(error.path) if error.path else []
    names = []
    node = found[0] if found else None
    while node is not None and node.getparent() is not None:
        names.append(_NAMESPACE.sub("", str(node.tag)))
        node = node.getparent()
    top = names[-1] if names else "metadata"
    said = re.search(r"one of \( (\w+)", words) if not names else None
    path = field_of(said[1] if said else top)
    position = "/".join(reversed(names))
    return Problem(
        code="datacite-xsd",
        path=path,
        message=f"{position}: {words}" if position else words,
        fix=FIX,
    )
