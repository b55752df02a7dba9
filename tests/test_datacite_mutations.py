"""Without any official schema scidata's own rules pass what is right and find what is wrong.

Shown on the official examples of metadata schema 4.7, and on mutations of each.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scidata.catalog.founding import founding_records
from scidata.doi.answers import field_of
from scidata.doi.documents import Names, version_document
from scidata.doi.judging import judge
from scidata.schemas import SchemaCache
from tests.datacite_examples import examples
from tests.records import facts_of, full_record, hostile_record

Attributes = dict[str, Any]  # Any: JSON
Mutation = Callable[[Attributes], object]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> SchemaCache:
    """No package of DataCite's, no lxml, and no schema: scidata judges by itself."""
    for module in ("datacite", "lxml"):
        monkeypatch.setitem(sys.modules, module, None)
    return SchemaCache(folder=Path("/nonexistent"))


@pytest.fixture(scope="module")
def official(schemas: Path) -> dict[str, Attributes]:
    return examples(schemas)


def documents() -> list[Attributes]:
    """What scidata itself writes, which is there without any schema, too."""
    names = Names(doi="10.5072/scidata.x.v1.0.0", concept="10.5072/scidata.x")
    records = [full_record(), hostile_record(), *founding_records()]
    return [version_document(r, facts_of(r), names, "https://x.example.org/") for r in records]


def first(name: str, /, **changes: object) -> Mutation:
    return lambda document: document[name][0].update(changes)


def identifier(name: str, scheme: str, text: str) -> Mutation:
    given = {"nameIdentifier": text, "nameIdentifierScheme": scheme}
    return lambda document: document[name][0].update(nameIdentifiers=[given])


def everywhere(name: str, /, **made: object) -> Mutation:
    """Add one that is wrong, whatever there is."""
    return lambda document: document.setdefault(name, []).append(made)


# What is wrong, and the attribute of DataCite's that it is shown beside.
MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "no creator": (lambda d: d.pop("creators"), "creators"),
    "no title": (lambda d: d.pop("titles"), "titles"),
    "no publisher": (lambda d: d.pop("publisher"), "publisher"),
    "no year": (lambda d: d.pop("publicationYear"), "publicationYear"),
    "a year of two digits": (lambda d: d.update(publicationYear="24"), "publicationYear"),
    "no type": (lambda d: d.pop("types"), "types"),
    "an unknown type": (lambda d: d["types"].update(resourceTypeGeneral="Data"), "types"),
    "no doi": (lambda d: d.pop("doi"), "doi"),
    "a doi as an address": (lambda d: d.update(doi="https://doi.org/10.1/x"), "doi"),
    "an address that is none": (lambda d: d.update(url="example.org"), "url"),
    "a later schema": (
        lambda d: d.update(schemaVersion="http://datacite.org/schema/kernel-4.7"),
        "schemaVersion",
    ),
    "an empty title": (first("titles", title=" "), "titles"),
    "an unknown kind of title": (first("titles", titleType="Short"), "titles"),
    "an empty name": (first("creators", name=""), "creators"),
    "an unknown kind of name": (first("creators", nameType="Robot"), "creators"),
    "an ORCID iD that is none": (
        identifier("creators", "ORCID", "https://orcid.org/0000-0001-5727-2428"),
        "creators",
    ),
    "a ROR id that is none": (
        identifier("creators", "ROR", "https://ror.org/04wxnsj82"),
        "creators",
    ),
    "an affiliation's ROR id that is none": (
        first(
            "creators",
            affiliation=[
                {
                    "name": "x",
                    "affiliationIdentifier": "https://ror.org/04wxnsj82",
                    "affiliationIdentifierScheme": "ROR",
                }
            ],
        ),
        "creators",
    ),
    "a publisher's ROR id that is none": (
        lambda d: d.update(
            publisher={
                "name": "x",
                "publisherIdentifier": "https://ror.org/04wxnsj82",
                "publisherIdentifierScheme": "ROR",
            }
        ),
        "publisher",
    ),
    "a funder's ROR id that is none": (
        everywhere(
            "fundingReferences",
            funderName="x",
            funderIdentifier="https://ror.org/04wxnsj82",
            funderIdentifierType="ROR",
        ),
        "fundingReferences",
    ),
    "an unknown kind of funder id": (
        everywhere("fundingReferences", funderName="x", funderIdentifierType="Bank"),
        "fundingReferences",
    ),
    "an unknown role": (
        everywhere("contributors", name="x", contributorType="Funder"),
        "contributors",
    ),
    "a day that does not exist": (
        everywhere("dates", date="2024-02-30", dateType="Issued"),
        "dates",
    ),
    "a word for a date": (everywhere("dates", date="yesterday", dateType="Issued"), "dates"),
    "an unknown kind of date": (
        everywhere("dates", date="2024", dateType="Born"),
        "dates",
    ),
    "a date of no kind": (everywhere("dates", date="2024"), "dates"),
    "an unknown kind of description": (
        everywhere("descriptions", description="x", descriptionType="Summary"),
        "descriptions",
    ),
    "a relation in the wrong case": (
        everywhere(
            "relatedIdentifiers",
            relatedIdentifier="10.1234/x",
            relatedIdentifierType="DOI",
            relationType="isCitedBy",
        ),
        "relatedIdentifiers",
    ),
    "an unknown kind of identifier": (
        everywhere(
            "relatedIdentifiers",
            relatedIdentifier="x",
            relatedIdentifierType="Link",
            relationType="Cites",
        ),
        "relatedIdentifiers",
    ),
    "a licence that SPDX does not list": (
        everywhere(
            "rightsList",
            rights="x",
            rightsIdentifier="CC-BY-99",
            rightsIdentifierScheme="SPDX",
        ),
        "rightsList",
    ),
    "a licence too long": (everywhere("rightsList", rights="x" * 2001), "rightsList"),
    "a place beyond the pole": (
        everywhere("geoLocations", geoLocationPoint={"pointLatitude": 91, "pointLongitude": 0}),
        "geoLocations",
    ),
    "a place that is no number": (
        everywhere(
            "geoLocations", geoLocationPoint={"pointLatitude": "n", "pointLongitude": 0}
        ),
        "geoLocations",
    ),
    "a sign that XML cannot say": (first("titles", title="a\x0bb"), "metadata"),
}


def test_the_official_examples_have_no_fault(
    official: dict[str, Attributes], alone: SchemaCache
) -> None:
    assert len(official) == 17
    for name, document in official.items():
        verdict = judge(document, alone)
        faults = {problem.message for problem in verdict.problems}
        # One names an organisation that cannot be: no schema asks for check digits.
        made_up = {"'12abcde34' is not a ROR id in its bare form"}
        assert (name, faults) == (name, made_up if "award" in name else set())
        assert verdict.judges == ("scidata's own rules",)
        assert len(verdict.absent) == 2


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation_of_each_official_example_is_found(
    name: str, official: dict[str, Attributes], alone: SchemaCache
) -> None:
    mutate, attribute = MUTATIONS[name]
    field = field_of(attribute)
    for example, document in official.items():
        mutant = copy.deepcopy(document)
        mutate(mutant)
        fields = {problem.path for problem in judge(mutant, alone).problems}
        assert field in fields, (example, fields)


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation_of_what_scidata_writes_is_found(name: str, alone: SchemaCache) -> None:
    mutate, attribute = MUTATIONS[name]
    field = field_of(attribute)
    for document in documents():
        assert judge(document, alone).problems == ()
        mutant = copy.deepcopy(document)
        mutate(mutant)
        assert field in {problem.path for problem in judge(mutant, alone).problems}
