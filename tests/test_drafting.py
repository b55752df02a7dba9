"""``scidata init --from``: what others wrote of a dataset fills a record, as far as it can."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scidata.drafting import Draft, draft
from scidata.drafting.from_stac import read_stac
from scidata.drafting.settling import settle
from scidata.errors import InvalidError, NotFoundError
from scidata.formats import FORMS, stac
from scidata.record import Record, record_yaml
from scidata.record.safe_yaml import read_yaml
from scidata.testing.strategies import records
from tests.records import bare_record, facts_of, full_record, hostile_record, subject_of

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)

KEYS = [
    "titles",
    "creators",
    "contributors",
    "publisher",
    "descriptions",
    "subjects",
    "rightsList",
    "dates",
    "language",
    "relatedIdentifiers",
    "fundingReferences",
    "geoLocations",
    "name",
    "description",
    "creator",
    "license",
    "keywords",
    "isBasedOn",
    "recordSet",
    "spatialCoverage",
    "temporalCoverage",
    "extent",
    "links",
    "contacts",
    "providers",
]
KINDS: list[dict[str, Any]] = [  # Any: JSON
    {"titles": []},
    {"@type": "sc:Dataset", "name": "x"},
    {"type": "Collection", "stac_version": "1"},
]


def written(record: Record) -> dict[str, Any]:  # Any: YAML
    """The fields of a record, as its file holds them."""
    value, _ = read_yaml(record_yaml(record), where="")
    assert isinstance(value, dict)
    return value


def from_document(document: object, folder: Path, name: str = "tiny") -> Draft:
    file = folder / "document.json"
    file.write_text(json.dumps(document))
    return draft(name, file)


@FEW
@given(record=records())
def test_what_datacite_can_say_comes_back(
    record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    attributes = json.loads(FORMS["datacite"].write(subject_of(record)))
    answer = {"data": {"type": "dois", "attributes": attributes}}
    found = from_document(answer, tmp_path_factory.mktemp("draft"), record.id)
    said = written(record)
    kept = (
        "id", "title", "abstract", "methods", "creators", "contributors", "publisher",
        "license", "access", "keywords", "subjects", "spatial", "temporal", "created",
        "funding",
    )  # fmt: skip
    assert {k: found.fields.get(k) for k in kept} == {k: said.get(k) for k in kept}
    relations = [
        {k: v for k, v in r.items() if k != "note"}
        for r in said.get("relations", [])
        if (r["type"], r["kind"]) != ("IsCompiledBy", "Software")  # then it is software
    ]
    assert found.fields.get("relations", []) == relations
    assert found.fields["contact"] == {"name": record.contact.name, "email": "<name@domain>"}
    assert found.missing == ("contact.email",)


@FEW
@given(record=records())
def test_what_croissant_can_say_comes_back(
    record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = json.loads(FORMS["croissant"].write(subject_of(record)))
    found = from_document(document, tmp_path_factory.mktemp("draft"), record.id)
    said = written(record)
    kept = (
        "title", "abstract", "methods", "creators", "publisher", "keywords",
        "spatial", "temporal", "created", "funding",
    )  # fmt: skip
    assert {k: found.fields.get(k) for k in kept} == {k: said.get(k) for k in kept}
    if isinstance(record.license, str):
        assert found.fields["license"] == record.license
    if record.access == "open":
        assert found.fields["access"] == "open"


@FEW
@given(record=records())
def test_what_schema_org_can_say_comes_back(
    record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = json.loads(FORMS["schemaorg"].write(subject_of(record)))
    found = from_document(document, tmp_path_factory.mktemp("draft"), record.id)
    said = written(record)
    kept = (
        "title",
        "abstract",
        "creators",
        "publisher",
        "contact",
        "access",
        "keywords",
        "subjects",
    )
    assert {k: found.fields.get(k) for k in kept} == {k: said.get(k) for k in kept}


def test_the_producers_of_a_stac_collection_are_its_creators_where_nobody_is_named() -> None:
    document = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "providers": [
            {"name": "NSIDC", "roles": ["producer", "licensor"]},
            {"name": "CERN", "roles": ["host"]},
            "none",
        ],
    }
    fields = read_stac(document)
    assert fields["creators"] == [{"name": "NSIDC"}]
    assert fields["publisher"] == {"name": "CERN"}


@FEW
@given(record=records())
def test_what_a_stac_collection_can_say_comes_back(
    record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = stac.collection(record, [facts_of(record)])
    found = from_document(document, tmp_path_factory.mktemp("draft"), record.id)
    said = written(record)
    kept = ("title", "publisher", "license", "contact", "keywords", "language")
    assert {k: found.fields.get(k) for k in kept} == {k: said.get(k) for k in kept}
    assert found.fields["abstract"].startswith(record.abstract)
    # They come back vocabulary by vocabulary.
    subjects = sorted(said.get("subjects", []), key=str)
    assert sorted(found.fields.get("subjects", []), key=str) == subjects
    assert len(found.fields["creators"]) == len(record.creators)


@pytest.mark.parametrize("make", [bare_record, full_record, hostile_record])
@pytest.mark.parametrize("name", ["datacite", "croissant", "schemaorg"])
def test_hostile_metadata_make_a_record_that_says_the_same(
    make: Any,
    name: str,
    tmp_path: Path,  # Any: one of three functions
) -> None:
    record: Record = make()
    document = json.loads(FORMS[name].write(subject_of(record)))
    found = from_document(document, tmp_path)
    value, problems = read_yaml(found.text("record.yaml"), where="")
    assert problems == ()
    assert isinstance(value, dict)
    assert value["title"] == record.title
    assert value["abstract"] == record.abstract


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    document=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)),
    kind=st.sampled_from(KINDS),
)
@example(document={"contacts": [{"roles": [{}]}]}, kind=KINDS[2])
@example(document={"publisher": {"contactPoint": [1]}}, kind=KINDS[1])
def test_no_document_ends_in_anything_but_a_draft(
    document: dict[str, Any], kind: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:  # Any: JSON
    found = from_document({**kind, **document}, tmp_path_factory.mktemp("draft"))
    value, problems = read_yaml(found.text("record.yaml"), where="")
    assert (value, problems) == (found.fields, ())
    assert set(found.missing)  # no such document says who can be asked


def test_what_no_record_may_hold_is_left_out_and_named(tmp_path: Path) -> None:
    document = {
        "titles": [{"title": "Waves of one buoy"}],
        "creators": [
            {
                "name": "Carberry, Josiah",
                "nameType": "Personal",
                "nameIdentifiers": [
                    {"nameIdentifier": "0000-0002-1825-0098", "nameIdentifierScheme": "ORCID"}
                ],
            }
        ],
        "dates": [{"date": "yesterday", "dateType": "Created"}],
        "relatedIdentifiers": [{"relatedIdentifier": "ISBN 3", "relationType": "Cites"}],
    }
    found = from_document(document, tmp_path)
    assert found.fields["creators"] == [{"given": "Josiah", "family": "Carberry"}]
    assert {p.path: p.code for p in found.left_out} == {
        "creators[0].orcid": "orcid-check-digit",
        "created": "date-form",
        "relations[0].id": "url-form",
    }
    assert not {"created", "relations"} & set(found.fields)
    assert "abstract" in found.missing


def test_a_netcdf_file_says_what_its_attributes_say(tmp_path: Path) -> None:
    import h5netcdf

    with h5netcdf.File(tmp_path / "sst.nc", "w") as file:
        file.dimensions = {"time": 3}
        file.attrs.update(
            {
                "title": "Sea surface temperature",
                "summary": "Temperature of the sea's surface, daily, in three days of May.",
                "Conventions": "CF-1.10, ACDD-1.3",
                "creator_name": "Josiah Carberry",
                "creator_url": "https://orcid.org/0000-0002-1825-0097",
                "creator_email": "josiah@example.org",
                "institution": "CERN",
                "publisher_name": "CERN",
                "publisher_url": "https://ror.org/01ggx4157",
                "license": "https://spdx.org/licenses/CC-BY-4.0",
                "keywords": "sea, temperature",
                "geospatial_lon_min": -10.0,
                "geospatial_lon_max": 5.5,
                "geospatial_lat_min": 40.0,
                "geospatial_lat_max": 60.0,
                "time_coverage_start": "2024-05-01",
                "time_coverage_end": "2024-05-03",
                "odd": [1.0, 2.0],
            }
        )
        held = file.create_variable("sst", ("time",), "f4")
        held.attrs.update({"long_name": "Sea surface temperature", "units": "K"})
        held.attrs["standard_name"] = "sea_surface_temperature"
    found = draft("sst", tmp_path / "sst.nc")
    assert found.missing == ("access",)
    assert found.fields["creators"] == [
        {
            "given": "Josiah",
            "family": "Carberry",
            "orcid": "0000-0002-1825-0097",
            "affiliations": [{"name": "CERN"}],
        }
    ]
    assert found.fields["publisher"] == {"name": "CERN", "ror": "01ggx4157"}
    assert found.fields["spatial"] == {"west": -10.0, "east": 5.5, "south": 40.0, "north": 60.0}
    assert found.fields["license"] == "CC-BY-4.0"
    assert found.fields["variables"] == [
        {
            "name": "sst",
            "description": "Sea surface temperature",
            "units": "K",
            "standard_name": "sea_surface_temperature",
        }
    ]
    assert found.fields["conforms_to"][0] == "https://cfconventions.org"


def test_a_folder_says_its_variables_and_splits(staged: Path) -> None:
    found = draft("tiny", staged)
    assert {note["name"] for note in found.fields["variables"]} >= {"wave", "frequency"}
    (split,) = found.fields["splits"]
    assert [part["name"] for part in split["parts"]] == ["train", "validation"]
    assert "splits[0].rule" in found.missing
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no description of a dataset"),
        (b'{"a": 1}', "no description of a dataset"),
    ],
)
def test_what_is_no_description_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(data)
    with pytest.raises(InvalidError, match=said):
        draft("tiny", file)


def test_what_is_not_there_or_no_file_of_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing at"):
        draft("tiny", tmp_path / "none.json")
    with pytest.raises(NotFoundError, match="nothing at"):
        draft("tiny", tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("CDF")
    with pytest.raises(InvalidError, match="is no HDF5 or NetCDF-4 file"):
        draft("tiny", tmp_path / "text.nc")
    with pytest.raises(InvalidError, match="not a dataset id") as refused:
        draft("Tiny", tmp_path)
    assert (refused.value.where, refused.value.problems) == ("NAME", ())


def test_more_than_a_record_may_hold_is_refused() -> None:
    many = [{"given": "x" * 100, "family": f"y{n}"} for n in range(10_000)]
    with pytest.raises(InvalidError, match="more than 1048576"):
        settle("tiny", "a document", {"creators": many})


@pytest.mark.slow
def test_the_command_writes_the_draft_and_lists_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "datacite.json"
    file.write_bytes(FORMS["datacite"].write(subject_of(full_record())))
    program = "from scidata.cli import main; main()"
    command = [sys.executable, "-c", program, "init", "tiny", "--from", str(file)]

    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    dry = run("--dry-run")
    assert not (tmp_path / "tiny").exists()
    done = run()
    assert done.stdout == "wrote tiny/record.yaml\n"
    assert "1 value to fill in\n  contact.email\n" in done.stderr
    assert (tmp_path / "tiny/record.yaml").read_text() == dry.stdout
    assert run().returncode == 7
