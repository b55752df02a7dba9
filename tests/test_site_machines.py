"""What machines read of a site: JSON-LD, signposts, linksets, metadata files, feeds."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from scidata.site.signposting import MAX_HEADER_BYTES, bounded, header, link
from scidata.storage.memory import MemoryStore
from tests.sites import (
    BASE,
    broken,
    built,
    head_links,
    json_ld,
    pages,
    parsed,
    site_options,
    site_store,
)
from tests.test_formats_linked import graph_of

# rdflib, and what is built on it, warns of its own older names.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PAGES = ["tiny", "tiny/v1.0.0", "tiny/v1.1.0", "tiny/v1.2.0", "bare", "bare/v1.0.0"]
PAGES += ["bare/v1.1.0", "gone", "gone/v1.0.0"]
SIGNPOSTS = {"cite-as", "describedby", "type", "author", "license", "item", "linkset"}
CHAIN = {"predecessor-version", "successor-version", "latest-version", "version-history"}
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    return site_store(tmp_path_factory.mktemp("site-store"))


@pytest.fixture(scope="module")
def site(store: MemoryStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    built(store, out)
    return out


def hosting(site: Path) -> Any:  # Any: JSON
    return json.loads((site / "_site.json").read_bytes())


def page_of(site: Path, page: str) -> bytes:
    return (site / page / "index.html").read_bytes()


def test_no_link_of_the_whole_site_is_broken(site: Path, store: MemoryStore) -> None:
    lost = {page: broken(site, store, page) for page in pages(site)}
    # What was purged is the one thing that a page may name and no host has.
    assert {page: urls for page, urls in lost.items() if urls} == {}


def test_every_page_is_valid_html(site: Path) -> None:
    for page in pages(site):
        tree = parsed((site / page).read_bytes())
        ids = [element.get("id") for element in tree.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), page
        headings = [str(e.tag)[-2:] for e in tree.iter() if str(e.tag)[-2:] in {"h1", "h2"}]
        assert headings.count("h1") == 1, page


@pytest.mark.parametrize("page", PAGES)
def test_rdflib_reads_the_title_out_of_every_page(site: Path, page: str) -> None:
    (document,) = json_ld(page_of(site, page))
    graph = graph_of(document)
    about = f"SELECT ?t WHERE {{ <{document['@id']}> <http://schema.org/name> ?t }}"
    assert [str(row[0]) for row in graph.query(about)] == [document["name"]]
    where = f"SELECT ?u WHERE {{ <{document['@id']}> <http://schema.org/url> ?u }}"
    assert [str(row[0]) for row in graph.query(where)] == [f"{BASE}/{page}/"]


def test_the_index_lists_every_dataset_in_json_ld(site: Path) -> None:
    (document,) = json_ld((site / "index.html").read_bytes())
    assert document["@type"] == "DataCatalog"
    assert [item["url"] for item in document["dataset"]] == [
        f"{BASE}/{name}/" for name in ("bare", "gone", "tiny")
    ]
    assert len(graph_of(document)) > 15


def test_every_metadata_file_that_is_json_ld_is_read_by_rdflib(
    site: Path, schemas_if_any: Path | None
) -> None:
    files = [*site.rglob("*.jsonld"), *site.rglob("croissant.json")]
    if schemas_if_any is not None:
        files += site.rglob("ro-crate-metadata.json")
    assert len(files) >= 18
    for file in files:
        assert len(graph_of(json.loads(file.read_bytes()), schemas_if_any)) > 15, file


def test_mlcroissant_reads_the_croissant_file_without_a_word(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import mlcroissant

    mlcroissant.Dataset(jsonld=str(site / "tiny/v1.1.0/metadata/croissant.json"))
    assert caplog.records == []


@pytest.mark.parametrize("page", PAGES)
def test_head_and_header_have_the_same_links_of_all_relations(site: Path, page: str) -> None:
    value = hosting(site)["headers"][f"/{page}/"]["Link"]
    found = head_links(page_of(site, page), SIGNPOSTS | CHAIN)
    assert [f'<{href}>; rel="{rel}"' for rel, href in found] == [
        ";".join(part.split(";")[:2]) for part in value.split(", ")
    ]
    assert len(value) <= MAX_HEADER_BYTES


def test_cite_as_is_the_doi_and_the_doi_leads_back(site: Path) -> None:
    targets = hosting(site)["doi"]
    for page in ("tiny", "tiny/v1.0.0", "tiny/v1.1.0"):
        ((_, doi),) = head_links(page_of(site, page), {"cite-as"})
        assert targets[doi.removeprefix("https://doi.org/")]["url"] == f"{BASE}/{page}/"


def test_what_answers_for_a_doi_is_there_and_names_it(site: Path) -> None:
    for doi, target in hosting(site)["doi"].items():
        assert json.loads((site / target["datacite"]).read_bytes())["doi"] == doi
        document = json.loads((site / target["schemaorg"]).read_bytes())
        assert document["@id"] == f"https://doi.org/{doi}"


def test_a_linkset_leads_from_metadata_and_items_back_to_the_page(site: Path) -> None:
    document = json.loads((site / "tiny/v1.1.0/linkset.json").read_bytes())
    page, *rest = document["linkset"]
    home = {"href": f"{BASE}/tiny/v1.1.0/", "type": "text/html"}
    back = {c["anchor"]: c.get("describes") or c.get("collection") for c in rest}
    linked = [*page["describedby"], *page["item"]]
    assert back == {target["href"]: [home] for target in linked}
    headers = hosting(site)["headers"]
    at = "/tiny/v1.1.0/metadata/schemaorg.jsonld"
    assert headers[at]["Link"] == f'<{home["href"]}>; rel="describes"; type="text/html"'


def test_a_tombstone_offers_no_items_and_no_download(site: Path) -> None:
    for page in ("tiny/v1.2.0", "bare/v1.0.0", "gone"):
        assert head_links(page_of(site, page), {"item"}) == []
        (document,) = json_ld(page_of(site, page))
        assert "distribution" not in document
        assert document["creativeWorkStatus"] in {"Withdrawn", "Purged"}


def test_the_first_download_is_the_manifest_on_https(site: Path) -> None:
    (document,) = json_ld(page_of(site, "tiny/v1.1.0"))
    first, *rest = document["distribution"]
    assert first["contentUrl"] == f"{BASE}/tiny/v1.1.0/manifest-sha256.txt"
    for download in (first, *rest):
        assert download["contentUrl"].startswith("https://")
        assert download["contentSize"]
        assert download["encodingFormat"]


def test_the_dataset_says_which_versions_there_are(site: Path) -> None:
    (document,) = json_ld(page_of(site, "tiny"))
    assert document["@id"] == document["sameAs"] == "https://doi.org/10.5072/scidata.tiny"
    assert [work["version"] for work in document["workExample"]] == ["1.2.0", "1.1.0", "1.0.0"]


def test_datacite_is_told_the_versions_of_a_dataset(site: Path) -> None:
    document = json.loads((site / "tiny/metadata/datacite.json").read_bytes())
    assert (document["doi"], document["url"]) == ("10.5072/scidata.tiny", f"{BASE}/tiny/")
    others = document["relatedIdentifiers"]
    related = {(item["relationType"], item["relatedIdentifier"]) for item in others}
    versions = {("HasVersion", f"10.5072/scidata.tiny.v{n}") for n in ("1.0.0", "1.1.0")}
    assert versions <= related


def test_datacite_is_told_the_chain_of_versions(site: Path) -> None:
    file = site / "tiny/v1.1.0/metadata/datacite.json"
    related = json.loads(file.read_bytes())["relatedIdentifiers"]
    kinds = {(item["relationType"], item["relatedIdentifier"]) for item in related}
    assert ("IsVersionOf", "10.5072/scidata.tiny") in kinds
    assert ("IsNewVersionOf", "10.5072/scidata.tiny.v1.0.0") in kinds


def test_the_hosting_file_names_only_what_is_there(site: Path) -> None:
    document = hosting(site)
    assert document["host"] == "data.example.org"
    for path in [*document["headers"], *document["negotiate"]]:
        name = path.removeprefix("/")
        assert (site / (f"{name}index.html" if path.endswith("/") else name)).is_file(), path
    for choices in document["negotiate"].values():
        assert all((site / file).is_file() for file in choices.values())
    for target in document["doi"].values():
        assert (site / target["datacite"]).is_file()
    suffixes = {file.suffix for file in site.rglob("*") if file.is_file()} - {""}
    assert suffixes <= document["types"].keys()


def test_every_type_that_a_link_names_is_the_one_that_a_host_answers(site: Path) -> None:
    document = hosting(site)
    for context in json.loads((site / "tiny/v1.1.0/linkset.json").read_bytes())["linkset"]:
        for target in context.get("describedby", []):
            path = target["href"].removeprefix(BASE)
            suffix = "." + path.rpartition(".")[2]
            told = document["headers"].get(path, {}).get("Content-Type")
            assert (told or document["types"][suffix]) == target["type"], path


def test_the_sitemap_lists_every_page_once(site: Path) -> None:
    root = ET.fromstring((site / "sitemap.xml").read_bytes())  # noqa: S314 - our own
    found = [str(url[0].text) for url in root]
    assert sorted(found) == sorted([f"{BASE}/", *(f"{BASE}/{page}/" for page in PAGES)])
    dates = {url[0].text: str(url[1].text) for url in root}
    # Withdrawn today, published in January: the pages of both changed today.
    assert dates[f"{BASE}/tiny/"] == dates[f"{BASE}/tiny/v1.2.0/"] > "2026-01-02"
    assert dates[f"{BASE}/tiny/v1.1.0/"] == "2026-01-02"
    assert f"Sitemap: {BASE}/sitemap.xml" in (site / "robots.txt").read_text()


def test_the_feed_tells_the_newest_first_withdrawals_included(site: Path) -> None:
    root = ET.fromstring((site / "feed.xml").read_bytes())  # noqa: S314 - our own
    entries = root.findall(f"{ATOM}entry")
    times = [str(entry.findtext(f"{ATOM}updated")) for entry in entries]
    assert len(entries) == 6
    assert times == sorted(times, reverse=True)
    assert times[-1] == "2026-01-02T03:04:05Z"
    assert root.findtext(f"{ATOM}updated") == times[0]
    said = {e.findtext(f"{ATOM}id"): e.findtext(f"{ATOM}summary") for e in entries}
    assert said[f"{BASE}/tiny/v1.2.0/"] == "Labels <swapped>."


def test_a_header_never_grows_beyond_what_servers_take() -> None:
    links = [link("cite-as", "https://doi.org/10.5072/x")]
    links += [link("author", f"https://orcid.org/{n:0100d}") for n in range(50)]
    links += [link("item", f"{BASE}/{'long' * 50}/{n},{n}") for n in range(50)]
    kept = bounded(links)
    assert len(header(kept)) <= MAX_HEADER_BYTES
    assert {found.rel for found in kept} == {"cite-as", "author", "item"}
    assert header(kept).count(",") == len(kept) - 1


def test_a_site_below_a_path_keeps_it_in_every_address(
    store: MemoryStore, tmp_path: Path
) -> None:
    built(store, tmp_path, **vars(site_options(base_url=f"{BASE}/lab")))
    page = page_of(tmp_path, "tiny/v1.1.0")
    absolute = head_links(page, {"describedby", "linkset", "item"})
    assert all(href.startswith(f"{BASE}/lab/tiny/v1.1.0/") for _, href in absolute)
    assert b'href="../../site.css"' in page
