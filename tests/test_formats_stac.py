"""STAC: valid to pystac with the official schemas, true checksums, links that lead there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scidata.catalog.founding import founding_records
from scidata.formats import FORMS, Subject, stac
from scidata.index import rebuild
from scidata.manifest import Manifest
from scidata.record import Record
from scidata.storage import open_store
from tests.records import bare_record, facts_of, full_record, subject_of
from tests.versions import write_version

ANYTHING = {"$schema": "http://json-schema.org/draft-07/schema#"}
RECORDS = pytest.mark.parametrize(
    "record",
    [bare_record(), full_record(), *founding_records()],
    ids=lambda record: f"{record.id}-{len(record.relations)}",
)


@contextmanager
def validating_with(schemas: Path | None) -> Iterator[None]:
    """Make pystac validate with the official schemas of extensions, from files.

    Without them it validates with the schemas that it brings itself, those of STAC's own core,
    and believes what extensions say.
    """
    import pystac.validation
    from pystac.validation.stac_validator import JsonSchemaSTACValidator

    validator = JsonSchemaSTACValidator()
    if schemas is None:
        validator.schema_cache |= dict.fromkeys(stac.EXTENSIONS.values(), ANYTHING)
    else:
        # Two schemas are not kept beside a checkout; their fields have a test of their own.
        absent = ("language", "themes")
        validator.schema_cache |= {stac.EXTENSIONS[name]: ANYTHING for name in absent}
        for file in schemas.glob("stac-extensions.github.io/**/*.json"):
            address = "https://" + str(file.relative_to(schemas))
            validator.schema_cache[address] = json.loads(file.read_text())
    before = pystac.validation.RegisteredValidator.get_validator()
    pystac.validation.set_validator(validator)
    try:
        yield
    finally:
        pystac.validation.set_validator(before)


@pytest.fixture
def offline(schemas_if_any: Path | None) -> Iterator[None]:
    with validating_with(schemas_if_any):
        yield


@RECORDS
def test_the_core_of_stac_is_always_judged(record: Record) -> None:
    from pystac import STACValidationError
    from pystac.validation import validate_dict

    with validating_with(None):
        document = item_of(record)
        assert validate_dict(document)
        with pytest.raises(STACValidationError):
            validate_dict({**document, "geometry": "everywhere"})


def form(name: str, subject: Subject) -> dict[str, Any]:  # Any: JSON
    document: dict[str, Any] = json.loads(FORMS[name].write(subject))
    return document


def item_of(record: Record, parent: str | None = None) -> dict[str, Any]:  # Any: JSON
    return stac.item(record, facts_of(record, "1.1.0", parent), Manifest({}), {})


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Path:
    """A store with two versions and its catalogs."""
    opened = open_store(tmp_path / "store")
    write_version(opened, staged, "1.0.0")
    write_version(opened, staged, "1.1.0", parent="1.0.0")
    rebuild(opened)
    return tmp_path / "store"


@RECORDS
@pytest.mark.usefixtures("offline")
def test_an_item_is_valid(record: Record) -> None:
    from pystac.validation import validate_dict

    assert len(validate_dict(item_of(record, parent="1.0.0"))) >= 5


@RECORDS
@pytest.mark.usefixtures("offline")
def test_a_collection_is_valid(record: Record) -> None:
    from pystac.validation import validate_dict

    versions = [facts_of(record, number) for number in ("1.0.0", "1.1.0")]
    assert len(validate_dict(stac.collection(record, versions))) == 5 + bool(record.subjects)
    assert validate_dict(stac.collection(record, versions, dois={"1.1.0": "10.1234/waves.v1"}))


def test_the_language_and_the_terms_of_vocabularies_are_said_by_vocabulary() -> None:
    terms = [
        {"term": "height", "scheme": "CF", "uri": "https://example.org/height"},
        {"term": "Sea", "scheme": "MeSH", "uri": "https://example.org/sea"},
        {"term": "speed", "scheme": "CF", "uri": "https://example.org/speed"},
    ]
    record = full_record(subjects=terms, language="de")
    for said, extensions in (
        ((item := item_of(record))["properties"], item["stac_extensions"]),
        ((whole := stac.collection(record, [facts_of(record)])), whole["stac_extensions"]),
    ):
        assert said["language"] == {"code": "de"}
        assert [theme["scheme"] for theme in said["themes"]] == ["CF", "MeSH"]
        first, second = said["themes"][0]["concepts"]
        address = "https://example.org/height"
        assert first == {"id": address, "title": "height", "url": address}
        assert second["title"] == "speed"
        assert {stac.EXTENSIONS["language"], stac.EXTENSIONS["themes"]} <= set(extensions)
    assert stac.EXTENSIONS["themes"] not in item_of(bare_record())["stac_extensions"]


@RECORDS
@pytest.mark.usefixtures("offline")
def test_an_item_with_a_doi_says_it_thrice_and_is_valid(record: Record) -> None:
    from pystac.validation import validate_dict

    document = form("stac", subject_of(record, doi="10.1234/waves.v1"))
    assert validate_dict(document)
    assert document["properties"]["sci:doi"] == "10.1234/waves.v1"
    assert document["properties"]["sci:citation"].endswith(". https://doi.org/10.1234/waves.v1")
    (cite_as,) = [link["href"] for link in document["links"] if link["rel"] == "cite-as"]
    assert cite_as == "https://doi.org/10.1234/waves.v1"


@pytest.mark.usefixtures("offline", "schemas")
def test_the_judge_refuses_a_checksum_that_is_no_multihash() -> None:
    from pystac import STACValidationError
    from pystac.validation import validate_dict

    document = item_of(full_record())
    document["assets"]["manifest"]["file:checksum"] = "sha256:" + "0" * 64
    with pytest.raises(STACValidationError):
        validate_dict(document)


@pytest.mark.usefixtures("offline")
def test_a_whole_store_is_valid_from_its_root(store: Path) -> None:
    import pystac

    root = pystac.Catalog.from_file(str(store / "catalog.json"))
    assert root.validate_all() == 2  # items; what they lie in is validated, not counted
    (collection,) = root.get_children()
    assert sorted(item.id for item in collection.get_items()) == ["tiny-1.0.0", "tiny-1.1.0"]


def test_sizes_and_checksums_are_those_of_the_bytes(store: Path) -> None:
    import hashlib

    import pystac

    item = pystac.Item.from_file(str(store / "tiny/v1.1.0/meta/item.json"))
    checked = 0
    for asset in item.assets.values():
        path = Path(str(asset.get_absolute_href()))
        assert path.exists()
        if path.is_file() and "file:checksum" in asset.extra_fields:
            data = path.read_bytes()
            expected = "1220" + hashlib.sha256(data).hexdigest()
            assert asset.extra_fields["file:checksum"] == expected
            assert asset.extra_fields["file:size"] == len(data)
            checked += 1
    assert checked == 5  # manifest, statistics, table and two parts of a split


def test_every_link_of_every_document_leads_to_a_document(store: Path) -> None:
    followed = 0
    for file in [*store.rglob("catalog.json"), *store.rglob("collection.json")]:
        followed += _follow(file)
    for file in store.rglob("item.json"):
        followed += _follow(file)
    assert followed == 14


def test_version_links_point_back_in_items_and_to_the_newest_in_collections(
    store: Path,
) -> None:
    item = json.loads((store / "tiny/v1.1.0/meta/item.json").read_text())
    (back,) = [link for link in item["links"] if link["rel"] == "predecessor-version"]
    assert back["href"] == "../../v1.0.0/meta/item.json"
    first = json.loads((store / "tiny/v1.0.0/meta/item.json").read_text())
    rels = {link["rel"] for link in first["links"]}
    assert not rels & {"predecessor-version", "successor-version", "latest-version"}
    collection = json.loads((store / "tiny/collection.json").read_text())
    (newest,) = [link for link in collection["links"] if link["rel"] == "latest-version"]
    assert newest["href"] == "./v1.1.0/meta/item.json"


def test_it_opens_over_http(store: Path, http_folder: tuple[str, Path]) -> None:
    import pystac

    url, folder = http_folder
    store.rename(folder / "store")
    root = pystac.Catalog.from_file(f"{url}/store/catalog.json")
    items = {item.id: item for item in root.get_items(recursive=True)}
    href = items["tiny-1.1.0"].assets["table"].get_absolute_href()
    assert href == f"{url}/store/tiny/v1.1.0/data/table.parquet"


def test_an_item_links_to_what_the_data_are_derived_from() -> None:
    links = [link for link in item_of(full_record())["links"] if link["rel"] == "derived_from"]
    assert {link["href"]: link.get("title") for link in links} == {
        "https://example.org/raw": None,
        "https://doi.org/10.1234/raw": "Raw waves",
        "https://example.org/tides": "A tide gauge",
    }


def test_data_without_a_place_have_no_geometry_and_say_so() -> None:
    record = bare_record()
    item = item_of(record)
    assert item["geometry"] is None
    assert "bbox" not in item
    collection = stac.collection(record, [facts_of(record)])
    assert collection["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    assert "not geographic" in collection["description"]
    assert collection["extent"]["temporal"]["interval"] == [[None, None]]


def test_a_box_across_180_degrees_is_cut_in_two() -> None:
    item = item_of(full_record())
    assert item["bbox"] == [170.0, -20.5, -170.0, 10.0]
    assert item["geometry"]["type"] == "MultiPolygon"
    edges = [{x for x, _ in ring} for (ring,) in item["geometry"]["coordinates"]]
    assert edges == [{170.0, 180.0}, {-180.0, -170.0}]


def test_the_time_of_the_data_is_used_whole_and_publication_otherwise() -> None:
    whole = item_of(full_record())["properties"]
    assert whole["datetime"] is None
    assert whole["start_datetime"] == "1950-01-01T00:00:00Z"
    assert whole["end_datetime"] == "2026-12-31T23:59:59Z"
    half = item_of(full_record(temporal={"start": "1950"}))["properties"]
    assert half["datetime"] == half["published"] == "2026-01-02T03:04:05Z"
    assert "start_datetime" not in half


def test_variables_keep_their_dimensions_units_and_meaning() -> None:
    assets = item_of(full_record())["assets"]
    wave = assets["array"]["cube:variables"]["wave"]
    assert wave["dimensions"] == ["time", "x"]
    assert (wave["unit"], wave["description"]) == ("m", "A sine wave.")
    assert assets["array"]["cube:dimensions"]["time"]["type"] == "temporal"
    assert assets["array"]["cube:dimensions"]["x"]["extent"] == [0, 1]
    assert assets["table"]["table:columns"][0]["type"] == "float64"
    assert assets["table"]["table:row_count"] == 5
    assert assets["array"]["zarr:zarr_format"] == 3


def test_a_folder_has_no_checksum_that_would_be_taken_for_a_files() -> None:
    assets = item_of(full_record())["assets"]
    assert "file:checksum" not in assets["scenes"]
    assert "file:checksum" not in assets["array"]
    assert len(assets["array"]["scidata:sha256"]) == 64


@RECORDS
def test_no_extension_is_declared_without_one_of_its_fields(record: Record) -> None:
    item = item_of(record)
    text = json.dumps(item)
    prefixes = {
        "contacts": '"contacts"',
        "datacube": '"cube:',
        "file": '"file:',
        "language": '"language":',
        "processing": '"processing:',
        "scientific": '"sci:',
        "table": '"table:',
        "themes": '"themes":',
        "version": '"version"',
        "zarr": '"zarr:',
    }
    declared = {url.split("/")[3] for url in item["stac_extensions"]}
    assert declared == {name for name, prefix in prefixes.items() if prefix in text}


def _follow(file: Path) -> int:
    links = [
        link for link in json.loads(file.read_text())["links"] if "://" not in link["href"]
    ]
    for link in links:
        target = (file.parent / link["href"]).resolve()
        assert json.loads(target.read_text())["stac_version"] == "1.1.0"
    return len(links)


@RECORDS
def test_software_has_a_version_and_the_publisher_is_the_host(record: Record) -> None:
    properties = item_of(record)["properties"]
    known = {s.name: s.version for s in record.provenance.software if s.version}
    assert properties.get("processing:software", {}) == known
    assert "host" in properties["providers"][0]["roles"]
