"""DataCite attributes: what DataCite's own schema and a second client's say of them."""

from pathlib import Path
from typing import Any

import pytest

from scidata.catalog.founding import founding_records
from scidata.formats.datacite import attributes
from scidata.record import Record
from tests.records import bare_record, facts_of, full_record

RECORDS = pytest.mark.parametrize(
    "record",
    [bare_record(), full_record(), *founding_records()],
    ids=lambda record: f"{record.id}-{len(record.relations)}",
)


def of(record: Record) -> dict[str, Any]:  # Any: JSON
    return attributes(record, facts_of(record))


@RECORDS
def test_the_second_client_finds_them_valid(record: Record) -> None:
    from datacite import schema45

    document = of(record)
    # It knows metadata schema 4.5; dates of type Coverage came with 4.6.
    for date in document["dates"]:
        date["dateType"] = date["dateType"].replace("Coverage", "Other")
    assert [error.message for error in schema45.validator.iter_errors(document)] == []


@RECORDS
def test_they_are_valid_by_the_official_schema(record: Record, schemas: Path) -> None:
    from datacite import schema45
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    file = schemas / "schema.datacite.org/meta/kernel-4.7/metadata.xsd"
    schema = etree.XMLSchema(file=str(file))
    # The schema asks for a DOI, which a preview does not have.
    xml = schema45.tostring({**of(record), "doi": "10.5072/preview"})
    schema.assertValid(etree.fromstring(xml.encode()))


def test_the_official_schema_refuses_a_wrong_relation(schemas: Path) -> None:
    from datacite import schema45
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    file = schemas / "schema.datacite.org/meta/kernel-4.7/metadata.xsd"
    document = {**of(full_record()), "doi": "10.5072/preview"}
    document["relatedIdentifiers"][0]["relationType"] = "isdescribedby"
    xml = etree.fromstring(schema45.tostring(document).encode())
    assert not etree.XMLSchema(file=str(file)).validate(xml)


@RECORDS
def test_there_is_no_doi_and_no_address_before_one_is_registered(record: Record) -> None:
    assert not {"doi", "url", "prefix", "suffix", "event"} & set(of(record))
    assert attributes(record, facts_of(record), "10.5072/x")["doi"] == "10.5072/x"


@RECORDS
def test_the_schema_version_is_the_one_that_datacite_validates(record: Record) -> None:
    assert of(record)["schemaVersion"] == "http://datacite.org/schema/kernel-4"


@RECORDS
def test_what_is_unknown_is_left_out_and_never_empty(record: Record) -> None:
    assert [key for key, value in of(record).items() if value in ([], {}, "", None)] == []


def test_licence_and_access_stand_apart() -> None:
    licence, access = of(bare_record())["rightsList"]
    assert licence["rightsIdentifier"] == "cc-by-4.0"
    assert licence["rightsUri"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert access["rightsUri"].endswith("c_abf2")
    assert "rightsIdentifier" not in access


def test_people_and_organisations_are_told_apart_with_their_identifiers() -> None:
    document = of(full_record())
    (creator,) = document["creators"]
    assert creator["name"] == "Carberry, Josiah"
    assert creator["nameIdentifiers"][0]["nameIdentifier"].endswith("0000-0002-1825-0097")
    group, contact = document["contributors"]
    assert (group["nameType"], group["contributorType"]) == ("Organizational", "DataCollector")
    assert contact["contributorType"] == "ContactPerson"
    assert "example.org" not in str(contact)  # DataCite has no place for an address


def test_software_with_an_address_made_it_and_limits_are_told() -> None:
    software = [{"name": "waves", "url": "https://example.org/waves"}]
    document = of(full_record(provenance={"software": software}))
    assert document["relatedIdentifiers"][-1] == {
        "relatedIdentifier": "https://example.org/waves",
        "relatedIdentifierType": "URL",
        "relationType": "IsCompiledBy",
        "resourceTypeGeneral": "Software",
    }
    limit = {"description": "No waves in winter.", "descriptionType": "Other", "lang": "en"}
    assert limit in document["descriptions"]


def test_sources_are_related_once() -> None:
    related = [r["relatedIdentifier"] for r in of(full_record())["relatedIdentifiers"]]
    assert related[:3] == ["10.1234/paper", "https://example.org/raw", "10.1234/raw"]
    assert related[3:] == ["https://example.org/tides"]


def test_an_open_period_has_nothing_after_the_slash() -> None:
    record = full_record(temporal={"start": "1950-01-01"})
    assert {"date": "1950-01-01/", "dateType": "Coverage"} in of(record)["dates"]
