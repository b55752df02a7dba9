"""What DataCite's API does, point by point: of the double, and of the test system if possible.

Only the API is used. The real test system is asked where ``DATACITE_TEST_REPOSITORY``,
``DATACITE_TEST_PASSWORD`` and ``DATACITE_TEST_PREFIX`` are set (``DATACITE_TEST_API_KEY`` for
the last point); what is made findable there stays.
"""

import base64
import gzip
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from scidata.doi.credentials import TEST
from scidata.schemas import SchemaCache, schema_file
from scidata.testing.datacite import API_KEY, PREFIX, REPOSITORY, SECRET, datacite_double
from scidata.testing.datacite_rules import metadata_errors

MEDIA_TYPE = "application/vnd.api+json"
VARIABLES = ("DATACITE_TEST_REPOSITORY", "DATACITE_TEST_PASSWORD", "DATACITE_TEST_PREFIX")
GIVEN = {name: os.environ.get(name, "") for name in VARIABLES}
GIVEN_KEY = os.environ.get("DATACITE_TEST_API_KEY", "")
WHOLE: dict[str, Any] = {
    "schemaVersion": "http://datacite.org/schema/kernel-4",
    "url": "https://example.org/x/",
    "creators": [{"name": "Carberry, Josiah", "nameType": "Personal"}],
    "titles": [{"title": "A test of scidata"}],
    "publisher": {"name": "The scidata tests"},
    "publicationYear": 2026,
    "types": {"resourceTypeGeneral": "Dataset"},
}


@dataclass
class Api:
    """A server under test, and how one repository talks to it."""

    url: str
    repository: str
    password: str
    prefix: str
    key: str
    pool: urllib3.PoolManager

    def ask(
        self,
        method: str,
        path: str,
        attributes: Any = None,  # Any: JSON
        *,
        auth: str | None = "own",
        document: Any = None,  # Any: JSON
        **headers: str,
    ) -> "Said":
        """Send one request: by the repository, by nobody (None), or with a header's value."""
        if auth == "own":
            auth = basic(self.repository, self.password)
        if attributes is not None:
            document = {"data": {"type": "dois", "attributes": attributes}}
        sent = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        sent |= {"Authorization": auth} if auth else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if document is None else json.dumps(document).encode()
        if sent.get("Content-Encoding") == "gzip" and body is not None:
            body = gzip.compress(body)
        answer = self.pool.request(method, self.url + path, body=body, headers=sent)
        return Said(answer.status, answer.headers, answer.data)

    def new(self) -> str:
        return f"{self.prefix}/scidata-test.{uuid.uuid4().hex[:12]}"

    def put(self, doi: str, attributes: Mapping[str, Any], **more: str) -> "Said":
        return self.ask("PUT", f"/dois/{doi}", dict(attributes), **more)

    def get(self, doi: str, flags: str = "", **more: Any) -> "Said":
        return self.ask("GET", f"/dois/{doi}{flags}", **more)

    def findable(self) -> str:
        doi = self.new()
        assert self.put(doi, {**WHOLE, "event": "publish"}).status == 201
        return doi


@dataclass
class Said:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["data"]["attributes"]
        return found

    @property
    def sources(self) -> set[str]:
        return {error["source"] for error in self.json["errors"]}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module", params=["double", "test system"])
def api(request: pytest.FixtureRequest, schemas_if_any: Path | None) -> Iterator[Api]:
    with urllib3.PoolManager(timeout=30, retries=False) as pool:
        if request.param == "test system":
            if not all(GIVEN.values()):
                pytest.skip(f"no account at DataCite's test system: set {', '.join(VARIABLES)}")
            repository, password, prefix = GIVEN.values()
            yield Api(TEST, repository, password, prefix, GIVEN_KEY, pool)
            return
        schema = schemas_if_any and schema_file(
            "datacite-4.7", SchemaCache(folder=schemas_if_any)
        )
        with datacite_double(schema) as double:
            yield Api(double.url, REPOSITORY, SECRET, PREFIX, API_KEY, pool)


def test_01_nobody_creates_without_credentials(api: Api) -> None:
    said = api.ask("POST", "/dois", {"doi": api.new()}, auth=None)
    assert (said.status, said.json["errors"][0]["title"]) == (401, "Bad credentials.")


def test_02_a_wrong_password_is_401_and_not_403(api: Api) -> None:
    said = api.ask("POST", "/dois", {"doi": api.new()}, auth=basic(api.repository, "wrong"))
    assert said.status == 401


def test_03_a_broken_bearer_is_401_even_to_read(api: Api) -> None:
    assert api.get(api.findable(), auth="Bearer nonsense").status == 401


def test_04_a_draft_needs_only_a_doi_and_is_not_active(api: Api) -> None:
    said = api.ask("POST", "/dois", {"doi": api.new()})
    assert said.status == 201
    assert (said.attributes["state"], said.attributes["isActive"]) == ("draft", False)
    assert "Location" in said.headers


def test_05_a_prefix_alone_is_given_a_suffix(api: Api) -> None:
    said = api.ask("POST", "/dois", {"prefix": api.prefix})
    assert said.status == 201
    assert said.attributes["doi"].startswith(f"{api.prefix}/")
    api.ask("DELETE", f"/dois/{said.attributes['doi']}")


def test_06_suffixes_are_base_32_with_two_check_digits(api: Api) -> None:
    said = api.ask("GET", f"/dois/random?prefix={api.prefix}&number=122149076")
    assert said.json["dois"] == [f"{api.prefix}/3mfp-6m52"]


def test_07_a_foreign_prefix_is_403(api: Api) -> None:
    assert api.ask("POST", "/dois", {"doi": f"10.5438/{uuid.uuid4().hex}"}).status == 403


def test_08_a_plus_in_a_doi_is_invalid(api: Api) -> None:
    said = api.ask("POST", "/dois", {"doi": f"{api.prefix}/a+b"})
    assert said.status == 422
    assert {"source": "doi", "title": "Is invalid"}.items() <= said.json["errors"][0].items()


def test_09_a_doi_is_created_by_post_once(api: Api) -> None:
    doi = api.new()
    assert api.ask("POST", "/dois", {"doi": doi}).status == 201
    said = api.ask("POST", "/dois", {"doi": doi})
    assert said.status == 422
    assert "already been taken" in said.json["errors"][0]["title"]


def test_10_put_creates_and_then_changes(api: Api) -> None:
    doi = api.new()
    assert [api.put(doi, {}).status, api.put(doi, {}).status] == [201, 200]


def test_11_a_doi_in_the_body_of_a_change_is_ignored(api: Api) -> None:
    doi, other = api.new(), api.new()
    api.put(doi, {})
    assert api.put(doi, {"doi": other}).attributes["doi"] == doi
    assert api.get(other).status == 404


def test_12_what_is_left_out_is_kept_and_what_is_empty_empties(api: Api) -> None:
    doi = api.new()
    api.put(doi, {"sizes": ["1 B"], "formats": ["text/plain"], "version": "1"})
    held = api.put(doi, {"sizes": [], "version": None}).attributes
    assert (held["sizes"], held["formats"], held["version"]) == ([], ["text/plain"], None)


def test_13_no_data_is_400(api: Api) -> None:
    said = api.ask("PUT", f"/dois/{api.new()}", document={"type": "dois"})
    assert said.status == 400


@pytest.mark.parametrize("event", ["register", "publish"])
def test_14_no_event_without_a_url(api: Api, event: str) -> None:
    said = api.put(api.new(), {**WHOLE, "url": None, "event": event})
    assert (said.status, said.sources) == (422, {"url"})


def test_15_creators_alone_are_no_metadata(api: Api) -> None:
    given = {"url": WHOLE["url"], "creators": WHOLE["creators"], "event": "publish"}
    said = api.put(api.new(), given)
    assert (said.status, said.sources) == (422, {"metadata"})
    assert said.json["errors"][0]["title"] == "Is invalid"


@pytest.mark.usefixtures("schemas")
def test_16_without_creators_the_words_are_those_of_libxml2(api: Api) -> None:
    doi = api.new()
    said = api.put(doi.upper(), {**WHOLE, "creators": None, "event": "publish"})
    assert said.status == 422
    (error,) = (e for e in said.json["errors"] if e["source"] == "creators")
    assert error["title"].startswith("Missing child element(s). Expected is")
    assert error["uid"] == doi


def test_17_a_draft_may_lack_creators(api: Api) -> None:
    assert api.put(api.new(), {**WHOLE, "creators": None}).status == 201


def test_18_titles_are_objects(api: Api) -> None:
    said = api.put(api.new(), {**WHOLE, "titles": ["A title"]})
    assert (said.status, said.sources) == (422, {"titles"})


@pytest.mark.parametrize("kind", ["Funder", None])
def test_19_contributors_have_a_type_of_the_list(api: Api, kind: str | None) -> None:
    who = [{"name": "A Fund", "contributorType": kind}]
    said = api.put(api.new(), {**WHOLE, "contributors": who, "event": "publish"})
    assert said.status == 422


@pytest.mark.parametrize(("kind", "status"), [("isderivedfrom", 422), ("IsDerivedFrom", 201)])
def test_20_relation_types_have_their_own_case(api: Api, kind: str, status: int) -> None:
    relation = {
        "relatedIdentifier": "10.5438/0012",
        "relatedIdentifierType": "DOI",
        "relationType": kind,
    }
    given = {**WHOLE, "relatedIdentifiers": [relation], "event": "publish"}
    assert api.put(api.new(), given).status == status


def test_21_register_then_publish(api: Api) -> None:
    doi = api.new()
    assert api.put(doi, {**WHOLE, "event": "register"}).attributes["state"] == "registered"
    assert api.put(doi, {"event": "publish"}).attributes["state"] == "findable"


def test_22_hide_keeps_the_reason(api: Api) -> None:
    said = api.put(api.findable(), {"event": "hide", "reason": "withdrawn"})
    assert (said.attributes["state"], said.attributes["reason"]) == ("registered", "withdrawn")


def test_a_reason_is_no_metadata_where_only_the_json_schema_judges() -> None:
    stated = {**WHOLE, "publicationYear": "2026"}
    assert metadata_errors("10.5072/a", {**stated, "reason": "withdrawn"}, None) == []
    assert metadata_errors("10.5072/a", {**stated, "reasons": "withdrawn"}, None) != []


@pytest.mark.parametrize("event", ["hide", "show", "unknown"])
def test_23_an_event_that_does_not_apply_changes_nothing_and_says_nothing(
    api: Api, event: str
) -> None:
    doi = api.new()
    api.put(doi, WHOLE)
    said = api.put(doi, {"event": event})
    if event != "show":
        assert (said.status, said.attributes["state"]) == (200, "draft")


def test_24_the_state_cannot_be_written_and_nothing_becomes_a_draft_again(api: Api) -> None:
    doi = api.findable()
    assert api.put(doi, {"state": "draft"}).attributes["state"] == "findable"


def test_25_only_drafts_are_deleted(api: Api) -> None:
    draft = api.new()
    api.put(draft, {})
    assert api.ask("DELETE", f"/dois/{draft}").status == 204
    assert api.get(draft).status == 404
    said = api.ask("DELETE", f"/dois/{api.findable()}")
    assert said.status == 405
    assert "GET" in said.headers["Allow"]


def test_26_drafts_are_seen_by_their_owner_alone(api: Api) -> None:
    draft = api.new()
    api.put(draft, {})
    seen = [api.get(draft).status, api.get(draft, auth=None).status, api.get(api.new()).status]
    assert seen == [200, 404, 404]


def test_27_an_unknown_kind_of_answer_is_406(api: Api) -> None:
    assert api.get(api.findable(), Accept="application/x-nonsense").status == 406


def test_28_dois_have_no_case_and_are_answered_in_lower_case(api: Api) -> None:
    doi = api.new()
    assert api.put(doi.upper(), {}).attributes["doi"] == doi
    assert api.get(doi.upper()).attributes["doi"] == doi


def test_29_publisher_and_affiliation_are_words_unless_asked_for(api: Api) -> None:
    doi = api.new()
    who = {**WHOLE["creators"][0], "affiliation": [{"name": "CERN"}]}
    api.put(doi, {**WHOLE, "creators": [who]})
    plain = api.get(doi).attributes
    assert plain["publisher"] == WHOLE["publisher"]["name"]
    assert plain["creators"][0]["affiliation"] == ["CERN"]
    full = api.get(doi, "?publisher=true&affiliation=true").attributes
    assert full["publisher"]["name"] == WHOLE["publisher"]["name"]
    assert full["creators"][0]["affiliation"][0]["name"] == "CERN"


def test_30_a_version_becomes_text(api: Api) -> None:
    assert api.put(api.new(), {"version": 45}).attributes["version"] == "45"


def test_31_types_are_completed(api: Api) -> None:
    types = api.put(api.new(), WHOLE).attributes["types"]
    assert {"schemaOrg": "Dataset", "bibtex": "misc"}.items() <= types.items()


def test_32_identifiers_and_alternate_identifiers_are_one(api: Api) -> None:
    given = [{"alternateIdentifier": "a", "alternateIdentifierType": "b"}]
    held = api.put(api.new(), {"alternateIdentifiers": given}).attributes
    assert held["identifiers"] == [{"identifier": "a", "identifierType": "b"}]
    again = api.put(api.new(), {"identifiers": held["identifiers"]}).attributes
    assert again["alternateIdentifiers"] == given


def test_33_the_xml_comes_with_one_doi_and_not_with_many(api: Api) -> None:
    xml = base64.b64decode(api.get(api.findable()).attributes["xml"])
    assert b"http://datacite.org/schema/kernel-4" in xml
    listed = api.ask("GET", "/dois?page[size]=1").json["data"][0]["attributes"]
    assert not listed.get("xml")


def test_34_drafts_are_listed_to_their_owner_and_an_empty_password_is_nobody(api: Api) -> None:
    api.put(api.new(), {})
    states = [
        {d["attributes"]["state"] for d in api.ask("GET", "/dois", auth=a).json["data"]}
        for a in (None, basic(api.repository, ""))
    ]
    assert all("draft" not in seen for seen in states)


def test_35_lists_have_pages(api: Api) -> None:
    for _ in range(2):
        api.findable()
    first = api.ask("GET", "/dois?page[number]=1&page[size]=1").json
    assert len(first["data"]) == 1
    assert first["meta"]["total"] >= 2
    assert "next" in first["links"]


def test_36_validate_is_always_200_and_keeps_nothing(api: Api) -> None:
    doi = api.new()
    sound = api.ask("POST", "/dois/validate", {**WHOLE, "doi": doi})
    broken = api.ask("POST", "/dois/validate", {**WHOLE, "doi": doi, "titles": None})
    assert (sound.status, broken.status) == (200, 200)
    assert "data" in sound.json
    assert broken.json["errors"]
    assert api.get(doi).status == 404


def test_37_licences_are_written_out_from_spdx(api: Api) -> None:
    (held,) = api.put(
        api.new(), {"rightsList": [{"rightsIdentifier": "CC-BY-4.0"}]}
    ).attributes["rightsList"]
    assert held["rightsIdentifier"] == "cc-by-4.0"
    assert held["rights"] == "Creative Commons Attribution 4.0 International"
    assert held["rightsUri"].endswith("/legalcode")


@pytest.mark.parametrize(("given", "held"), [("en-US", "en"), ("en", "en"), ("xx-yy", "xx-yy")])
def test_38_languages_are_shortened_if_they_are_known(api: Api, given: str, held: str) -> None:
    assert api.put(api.new(), {"language": given}).attributes["language"] == held


def test_39_the_same_put_twice_changes_times_and_counts_alone(api: Api) -> None:
    doi = api.new()
    first, second = (api.put(doi, WHOLE).attributes for _ in range(2))
    assert second["metadataVersion"] > first["metadataVersion"]
    changing = {"updated", "metadataVersion", "created", "xml"}
    kept = [{k: v for k, v in a.items() if k not in changing} for a in (first, second)]
    assert kept[0] == kept[1]


def test_40_a_body_may_be_compressed(api: Api) -> None:
    assert api.put(api.new(), WHOLE, Content_Encoding="gzip").status == 201


def test_41_headers_say_who_asked(api: Api) -> None:
    doi = api.findable()
    assert api.get(doi).headers["X-Credential-Username"] == api.repository.lower()
    assert api.get(doi, auth=None).headers["X-Anonymous-Consumer"] == "true"


def test_42_an_api_key_is_a_bearer(api: Api) -> None:
    if not api.key:
        pytest.skip("no API key for the test system: set DATACITE_TEST_API_KEY")
    assert api.ask("POST", "/dois", {"doi": api.new()}, auth=f"Bearer {api.key}").status == 201
