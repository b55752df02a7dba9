"""Croissant, RO-Crate, schema.org and DCAT: sound to outside judges, true to the record."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scidata.catalog.founding import founding_records
from scidata.formats import FORMS, Subject
from scidata.record import Record
from scidata.storage import open_store
from scidata.testing.strategies import records
from tests.judges import judged
from tests.records import bare_record, full_record, hostile_record, subject_of
from tests.versions import write_version

# rdflib, and what is built on it, warns of its own older names.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BASE = "https://data.example.org/store/tiny/v1.0.0/meta/"
RECORDS = pytest.mark.parametrize(
    "record",
    [bare_record(), full_record(), hostile_record(), *founding_records()],
    ids=lambda record: f"{record.id}-{len(record.relations)}-{len(record.creators)}",
)

DOIS = pytest.mark.parametrize("doi", [None, "10.1234/waves.v1"], ids=["without", "with"])


def form(name: str, subject: Subject) -> dict[str, Any]:  # Any: JSON-LD
    document: dict[str, Any] = json.loads(FORMS[name].write(subject))
    return document


def graph_of(document: dict[str, Any], schemas: Path | None = None) -> Any:  # Any: rdflib
    """Parse JSON-LD without a network."""
    import rdflib

    context = document["@context"]
    if context == "https://schema.org/":
        document = {**document, "@context": {"@vocab": "http://schema.org/"}}
    elif isinstance(context, str) and schemas is not None:
        file = schemas / context.removeprefix("https://")
        document = {**document, "@context": json.loads(file.read_text())["@context"]}
    return rdflib.Graph().parse(data=json.dumps(document), format="json-ld", publicID=BASE)


def violations(graph: Any, shapes: Path) -> list[str]:  # Any: rdflib
    import pyshacl
    import rdflib

    found = pyshacl.validate(graph, shacl_graph=rdflib.Graph().parse(shapes))
    report: Any = found[1]  # Any: a graph of rdflib
    shacl = rdflib.Namespace("http://www.w3.org/ns/shacl#")
    results = report.subjects(shacl.resultSeverity, shacl.Violation)
    return [str(report.value(result, shacl.resultMessage)) for result in results]


@pytest.fixture
def version(staged: Path, tmp_path: Path) -> Path:
    write_version(open_store(tmp_path / "store"), staged)
    return tmp_path / "store" / "tiny" / "v1.0.0"


@RECORDS
@DOIS
def test_mlcroissant_finds_no_error_and_warns_of_nothing(
    record: Record, doi: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    import mlcroissant

    caplog.set_level(logging.WARNING)
    document = form("croissant", subject_of(record, doi=doi))
    issues = mlcroissant.Dataset(jsonld=document).metadata.issues
    assert (issues.errors, issues.warnings, caplog.messages) == (set(), set(), [])


def test_mlcroissant_refuses_a_field_without_a_source() -> None:
    import mlcroissant

    document = form("croissant", subject_of(full_record()))
    del document["distribution"][0]["sha256"]
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=document)


def test_mlcroissant_reads_every_record_set_of_a_version(version: Path) -> None:
    import mlcroissant

    found = mlcroissant.Dataset(jsonld=version / "meta/croissant.json")
    read = {s.uuid: list(found.records(s.uuid)) for s in found.metadata.record_sets}
    lines = (version / "manifest-sha256.txt").read_text().splitlines()
    assert [
        f"{row['manifest/sha256'].decode()}  {row['manifest/path'].decode()}"
        for row in read["manifest"]
    ] == lines
    assert len(read["table/table"]) == 24
    # Its reader of lines makes the number 7 of "0007", as pandas does.
    ids = [int(row["split/sample/train/id"]) for row in read["split/sample/train"]]
    assert ids == [
        int(i) for i in (version / "data/splits/sample/train.txt").read_text().split()
    ]
    uses = {row["splits/name"]: row["splits/url"] for row in read["splits"]}
    assert uses["sample/train"] == "cr:TrainingSplit"
    wave = next(row for row in read["variables"] if row["variables/name"] == "wave")
    assert wave["variables/shape"] == "24,3,64"
    assert wave["variables/dtype"] == "cr:Float32"


def test_croissant_says_what_the_record_says_of_responsible_use() -> None:
    document = form("croissant", subject_of(hostile_record()))
    record = hostile_record()
    assert document["rai:dataCollection"] == record.methods
    assert document["rai:dataLimitations"][0] == record.limitations[0].description
    assert len(document["rai:dataLimitations"]) == 3  # synthetic data and a leak, too
    assert document["rai:dataManipulationProtocol"] == record.provenance.steps[0].activity


@RECORDS
@pytest.mark.parametrize("name", ["croissant", "schemaorg", "dcat", "rocrate"])
def test_rdflib_reads_the_title_out_of_every_json_ld(
    record: Record, name: str, schemas_if_any: Path | None
) -> None:
    import rdflib

    if name == "rocrate" and schemas_if_any is None:
        pytest.skip("no official schemas: set SCIDATA_SCHEMAS to their folder")
    graph = graph_of(form(name, subject_of(record)), schemas_if_any)
    words = {str(node) for node in graph.objects() if isinstance(node, rdflib.Literal)}
    assert {record.title, record.abstract} <= words


@RECORDS
@DOIS
def test_dcat_is_valid_by_the_shapes_of_dcat_ap(
    record: Record, doi: str | None, schemas: Path
) -> None:
    graph = graph_of(form("dcat", subject_of(record, doi=doi)))
    assert violations(graph, schemas / "shapes/dcat-ap-3.0.1.ttl") == []


def test_the_shapes_of_dcat_ap_refuse_a_dataset_without_a_title(schemas: Path) -> None:
    document = form("dcat", subject_of(full_record()))
    del document["dct:title"]
    assert violations(graph_of(document), schemas / "shapes/dcat-ap-3.0.1.ttl")


@RECORDS
def test_schema_org_is_valid_by_the_shapes_of_soso(record: Record, schemas: Path) -> None:
    graph = graph_of(form("schemaorg", subject_of(record, doi="10.1234/waves.v1")))
    assert violations(graph, schemas / "shapes/soso-1.2.3.ttl") == []


@pytest.mark.slow
def test_a_version_is_an_ro_crate_as_recommended(
    version: Path, judges_python: Path, schemas: Path
) -> None:
    program = Path(__file__).with_name("judge_crate.py")
    assert judged(judges_python, program, version, schemas) == ""
    crate = version / "ro-crate-metadata.json"
    document = json.loads(crate.read_text())
    document["@graph"][1].pop("license")
    crate.write_text(json.dumps(document))
    assert "license" in judged(judges_python, program, version, schemas)


def test_every_entity_of_a_crate_stands_once_and_every_reference_leads_to_one() -> None:
    graph = form("rocrate", subject_of(full_record()))["@graph"]
    ids = [entity["@id"] for entity in graph]
    assert len(ids) == len(set(ids))
    text = json.dumps(graph)
    values = [value for entity in graph for value in entity.values()]
    flat = [
        inner for value in values for inner in (value if isinstance(value, list) else [value])
    ]
    refers = {value["@id"] for value in flat if isinstance(value, dict)}
    assert refers - set(ids) <= {"https://w3id.org/ro/crate/1.3"}
    assert text.count('"Terms of the waves"') == 1


def test_addresses_are_relative_to_the_form_and_lead_to_the_files(version: Path) -> None:
    for name in ("croissant", "schemaorg"):
        path = version / FORMS[name].path
        for file in json.loads(path.read_text())["distribution"]:
            if "contentUrl" in file:
                assert (path.parent / file["contentUrl"]).exists(), file
    parts = json.loads((version / "ro-crate-metadata.json").read_text())["@graph"][1]["hasPart"]
    assert parts
    assert all((version / part["@id"]).exists() for part in parts)


def test_with_the_address_of_a_store_every_address_is_absolute() -> None:
    subject = subject_of(full_record(), base_url="https://data.example.org/store/")
    place = "https://data.example.org/store/tiny"
    for name in FORMS:
        text = FORMS[name].write(subject).decode()
        assert "../" not in text.replace("https://", ""), name
        assert "{CATALOG_DIR}/" not in text, name
    (table,) = [
        d
        for d in form("dcat", subject)["dcat:distribution"]
        if d["dct:title"].endswith("parquet")
    ]
    assert table["dcat:downloadURL"]["@id"] == f"{place}/v1.0.0/data/table.parquet"


def test_a_file_that_an_older_version_holds_is_looked_for_there() -> None:
    from scidata.formats import Placed

    placed = Placed(
        since={"data/splits/place/train.txt": "0.9.0"}, hrefs={"table": "v0.9.0/data/t.parquet"}
    )
    subject = subject_of(hostile_record(), placed=placed)
    addresses = {
        file["name"]: file["contentUrl"]
        for file in form("croissant", subject)["distribution"]
        if "contentUrl" in file
    }
    assert addresses["data/table.parquet"] == "../../v0.9.0/data/t.parquet"
    assert addresses["data/splits/place/train.txt"].startswith("../../v0.9.0/data/splits")


def test_a_doi_is_the_name_of_the_version_in_every_graph() -> None:
    url = "https://doi.org/10.1234/waves.v1"
    subject = subject_of(full_record(), doi="10.1234/waves.v1")
    for name in ("croissant", "schemaorg", "dcat"):
        assert form(name, subject)["@id"] == url
    assert form("rocrate", subject)["@graph"][1]["cite-as"] == url


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(record=records())
def test_whatever_a_record_says_the_graphs_say_the_same_title_licence_and_people(
    record: Record,
) -> None:
    subject = subject_of(record)
    plain, dcat = form("schemaorg", subject), form("dcat", subject)
    assert plain["name"] == dcat["dct:title"]["@value"] == record.title
    assert plain["license"] == dcat["dct:license"]["@id"]
    names = [who.full_name for who in record.creators]
    assert [who["name"] for who in plain["creator"]] == names
    assert [who["foaf:name"] for who in dcat["dct:creator"]] == names
    assert FORMS["croissant"].write(subject) == FORMS["croissant"].write(subject)


def test_ten_thousand_creators_are_all_named() -> None:
    subject = subject_of(hostile_record(10_000))
    for name in ("croissant", "schemaorg"):
        assert len(form(name, subject)["creator"]) == 10_000
    assert len(form("dcat", subject)["dct:creator"]) == 10_000
