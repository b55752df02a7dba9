"""The life of a DOI, against a strict double of DataCite over http."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scidata.doi import DoiOptions, draft, hide, preview, publish, show, update
from scidata.doi.documents import differences
from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.exporting import export
from scidata.formats import FORMS
from scidata.inventory import known_doi
from scidata.marking import Mark, mark
from scidata.mirroring import mirror
from scidata.resolve import resolve
from scidata.show import show as show_version
from scidata.storage.memory import MemoryStore
from scidata.testing.datacite import Double
from scidata.testing.datacite_rules import metadata_errors
from scidata.warning import ScidataWarning
from tests import dois
from tests.dois import CONCEPT, DOI, SECOND, store_of
from tests.samples import write_bare
from tests.servers import page_server
from tests.versions import write_version


@pytest.fixture
def datacite(schemas_if_any: Path | None) -> Iterator[Double]:
    with dois.double(schemas_if_any) as double:
        yield double


@pytest.fixture
def options(datacite: Double, schemas_if_any: Path | None) -> DoiOptions:
    return dois.options(datacite, schemas_if_any)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return store_of(tmp_path, "1.0.0", "1.1.0")


def test_a_rehearsal_without_the_official_schema_allows_what_that_would(
    store: MemoryStore,
) -> None:
    with dois.double(None) as double:
        done = publish("bare@1.0.0", store, options=dois.options(double, None))
        newer = [{"date": "1950/2026", "dateType": "Coverage"}]
        stated = {**double.dois[DOI].attributes, "dates": newer}
    assert done.state == "findable"
    assert metadata_errors(DOI, stated, None) == []


def relations(double: Double, doi: str) -> set[tuple[str, str]]:
    return {
        (item["relationType"], item["relatedIdentifier"])
        for item in double.dois[doi].attributes["relatedIdentifiers"]
    }


def writes(double: Double) -> list[str]:
    return [request for request in double.requests if not request.startswith("GET")]


def with_dry_run(options: DoiOptions) -> DoiOptions:
    return DoiOptions(**{**vars(options), "dry_run": True})


def test_a_draft_becomes_findable_and_never_anything_else(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    drafted = draft("bare@1.0.0", store, options=options)
    assert (drafted.doi, drafted.state) == (DOI, "draft")
    done = publish("bare@1.0.0", store, options=options)
    assert (done.doi, done.state, done.concept) == (DOI, "findable", CONCEPT)
    assert datacite.dois[DOI].history == ["draft", "findable"]
    assert datacite.dois[DOI].attributes["url"] == "https://data.example.org/bare/v1.0.0/"
    assert sorted(datacite.dois) == [CONCEPT, DOI]


def test_versions_and_their_dataset_name_each_other(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    publish("bare@1.0.0", store, options=options)
    publish("bare@1.1.0", store, options=options)
    assert relations(datacite, DOI) == {
        ("IsVersionOf", CONCEPT),
        ("IsPreviousVersionOf", SECOND),
    }
    assert relations(datacite, SECOND) == {("IsVersionOf", CONCEPT), ("IsNewVersionOf", DOI)}
    assert relations(datacite, CONCEPT) == {("HasVersion", DOI), ("HasVersion", SECOND)}


def test_publishing_again_sends_nothing(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    for version in ("1.0.0", "1.1.0"):
        publish(f"bare@{version}", store, options=options)
    datacite.requests.clear()
    done = publish("bare@1.1.0", store, options=options)
    assert all(step.is_done for step in done.steps)
    assert writes(datacite) == []


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    keys = [facts.key for facts in store.list()]
    done = publish("bare@1.0.0", store, options=with_dry_run(options))
    assert [(s.subject, s.before, s.after) for s in done.steps] == [
        ("version", "absent", "findable"),
        ("dataset", "absent", "findable"),
    ]
    assert (datacite.dois, writes(datacite)) == ({}, [])
    assert [facts.key for facts in store.list()] == keys


def test_a_version_keeps_its_doi_when_the_prefix_changes(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    draft("bare@1.0.0", store, options=options)
    asked = DoiOptions(**{**vars(options), "prefix": "10.5073"})
    with pytest.raises(ConflictError, match=r"has the DOI .* already, and keeps it"):
        publish("bare@1.0.0", store, options=asked)
    environ = {**options.environ, "DATACITE_PREFIX": "10.5073"}
    other = DoiOptions(**{**vars(options), "environ": environ})
    kept = f"DATACITE_PREFIX is 10.5073, but bare@1.0.0 has the DOI {DOI} already, and keeps it"
    done = publish("bare@1.0.0", store, options=other)
    assert (done.doi, kept in done.warnings) == (DOI, True)
    assert preview("bare@1.0.0", store, options=other).warnings == (kept,)
    assert show("bare@1.0.0", store, options=other).warnings == (kept,)
    later = preview("bare@1.1.0", store, options=other)
    assert (later.doi, len(later.warnings)) == (SECOND, 1)
    assert later.warnings[0].endswith(f"{CONCEPT}: --prefix 10.5073 gives it another prefix")
    assert not preview("bare@1.1.0", store, options=options).warnings
    assert set(datacite.dois) == {DOI, CONCEPT}


def test_a_doi_of_other_data_is_left_alone(
    store: MemoryStore, options: DoiOptions, datacite: Double, tmp_path: Path
) -> None:
    publish("bare@1.0.0", store, options=options)
    changed = MemoryStore()
    write_version(changed, write_bare(tmp_path / "changed", text="otherwise"), "1.0.0")
    before = dict(datacite.dois[DOI].attributes)
    with pytest.raises(ConflictError, match="scidata digest is sha256:"):
        publish("bare@1.0.0", changed, options=options)
    assert datacite.dois[DOI].attributes == before


def test_a_withdrawn_version_is_hidden_with_its_reason_and_comes_back(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    publish("bare@1.0.0", store, options=options)
    with pytest.raises(InvalidError, match="is not withdrawn"):
        hide("bare@1.0.0", store, options=options)
    mark("bare@1.0.0", Mark(state="withdrawn", reason="labels were swapped"), store)
    with pytest.raises(ConflictError, match="is withdrawn"):
        publish("bare@1.0.0", store, options=options)
    assert hide("bare@1.0.0", store, options=options).state == "registered"
    entry = datacite.dois[DOI]
    assert (entry.state, entry.attributes["reason"]) == ("registered", "labels were swapped")
    assert "Withdrawn" in {date["dateType"] for date in entry.attributes["dates"]}
    assert hide("bare@1.0.0", store, options=options).steps[0].is_done
    mark("bare@1.0.0", Mark(state="active", reason="they were right"), store)
    assert publish("bare@1.0.0", store, options=options).state == "findable"
    assert "Withdrawn" not in {date["dateType"] for date in entry.attributes["dates"]}


def test_a_draft_is_not_hidden(store: MemoryStore, options: DoiOptions) -> None:
    draft("bare@1.0.0", store, options=options)
    mark("bare@1.0.0", Mark(state="withdrawn", reason="wrong"), store)
    with pytest.raises(InvalidError, match="is a draft, which nobody can find"):
        hide("bare@1.0.0", store, options=options)


def test_a_withdrawn_version_without_a_doi_is_not_sent_from_one_verb_to_the_other(
    store: MemoryStore, options: DoiOptions
) -> None:
    mark("bare@1.0.0", Mark(state="withdrawn", reason="wrong"), store)
    with pytest.raises(NotFoundError) as hidden:
        hide("bare@1.0.0", store, options=options)
    assert hidden.value.fix == "there is nothing to hide"
    with pytest.raises(ConflictError) as drafted:
        draft("bare@1.0.0", store, options=options)
    assert "doi hide" not in drafted.value.fix


def test_pages_that_moved_are_brought_up_to_date(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    with pytest.raises(NotFoundError, match="has no DOI"):
        update("bare@1.0.0", store, options=options)
    publish("bare@1.0.0", store, options=options)
    moved = DoiOptions(**{**vars(options), "base_url": "https://new.example.org"})
    assert show("bare@1.0.0", store, options=moved).differs == ("url",)
    done = update("bare@1.0.0", store, options=moved)
    assert [step.changes for step in done.steps] == [("url",), ("url",)]
    assert datacite.dois[DOI].attributes["url"] == "https://new.example.org/bare/v1.0.0/"
    assert datacite.dois[DOI].state == "findable"


def test_what_datacite_rewrites_is_no_difference(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    publish("bare@1.0.0", store, options=options)
    seen = show("bare@1.0.0", store, options=options)
    assert (seen.state, seen.differs, seen.noted_findable) == ("findable", (), True)
    assert datacite.dois[DOI].attributes["rightsList"][0]["rightsUri"].endswith("legalcode")


@pytest.mark.parametrize(
    ("wanted", "found", "named"),
    [
        ({"version": "1.0.0"}, {"version": "1.0.1"}, ("version",)),
        ({"sizes": []}, {"sizes": ["1 B"]}, ("sizes",)),
        ({"subjects": [{"subject": "a"}]}, {"subjects": [{"subject": "b"}]}, ("subjects",)),
        ({"geoLocations": [{"west": 1.0}]}, {"geoLocations": [{"west": "1"}]}, ()),
        ({"titles": [{"title": "a"}]}, {"titles": [{"title": "a", "x": 1}]}, ()),
        ({"creators": [{"name": "a"}]}, {"creators": [{"name": "a"}, {}]}, ("creators",)),
    ],
)
def test_differences_are_named_by_attribute(
    wanted: dict[str, Any], found: dict[str, Any], named: tuple[str, ...]
) -> None:
    assert differences(wanted, found) == named


def test_the_preview_is_what_is_sent_and_asks_nobody(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    seen = preview("bare@1.0.0", store, options=options)
    assert datacite.requests == []
    assert (seen.doi, seen.reserved, seen.verdict.problems) == (DOI, False, ())
    assert seen.document["schemaVersion"] == "http://datacite.org/schema/kernel-4"
    publish("bare@1.0.0", store, options=options)
    assert differences(seen.document, datacite.dois[DOI].attributes | {"doi": DOI}) == ()


def test_a_page_that_is_not_there_stops_before_the_event(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    checking = {**vars(options), "check_page": True}
    with pytest.raises(StorageError, match="landing page"):
        publish(
            "bare@1.0.0",
            store,
            options=DoiOptions(**{**checking, "base_url": f"{datacite.url}/absent"}),
        )
    assert datacite.dois[DOI].state == "draft"
    with page_server() as pages:
        done = publish(
            "bare@1.0.0", store, options=DoiOptions(**{**checking, "base_url": pages})
        )
    assert done.state == "findable"
    assert any("does not show the DOI" in text for text in done.warnings)


def test_readers_are_shown_a_doi_once_it_is_findable(
    store: MemoryStore, options: DoiOptions
) -> None:
    draft("bare@1.0.0", store, options=options)
    shown = show_version("bare@1.0.0", store)
    assert shown.doi is not None
    assert not shown.doi.findable
    assert "doi.org" not in shown.citation
    publish("bare@1.0.0", store, options=options)
    shown = show_version("bare@1.0.0", store)
    assert f"https://doi.org/{DOI}" in shown.citation


def test_catalogs_say_the_doi_and_versions_do_not_change(
    store: MemoryStore, options: DoiOptions
) -> None:
    import yaml

    before = {f.key: store.read(f.key) for f in store.list("bare/v1.0.0/")}
    publish("bare@1.0.0", store, options=options)
    assert {f.key: store.read(f.key) for f in store.list("bare/v1.0.0/")} == before
    catalog = yaml.safe_load(store.read("bare/catalog.yaml"))
    assert catalog["metadata"]["scidata"]["dois"] == {"1.0.0": DOI}
    collection = json.loads(store.read("bare/collection.json"))
    assert collection["scidata:dois"] == {"1.0.0": DOI}
    assert "sci:doi" not in collection  # that of the newest, which has none yet
    items = {e["title"]: e["href"] for e in collection["links"] if e["rel"] == "item"}
    assert items == {"1.0.0": "./item-1.0.0.json", "1.1.0": "./v1.1.0/meta/item.json"}
    item = json.loads(store.read("bare/item-1.0.0.json"))
    assert item["properties"]["sci:doi"] == DOI
    assert item["properties"]["sci:citation"].endswith(f". https://doi.org/{DOI}")
    assert {e["href"] for e in item["links"] if e["rel"] == "cite-as"} == {
        f"https://doi.org/{DOI}"
    }
    publish("bare@1.1.0", store, options=options)
    assert json.loads(store.read("bare/collection.json"))["sci:doi"] == SECOND
    catalog = yaml.safe_load(store.read("bare/catalog.yaml"))
    assert catalog["metadata"]["citation"].endswith(f"https://doi.org/{SECOND}")


@pytest.mark.parametrize("name", FORMS)
def test_every_form_that_is_exported_says_a_doi_that_can_be_found(
    name: str, store: MemoryStore, options: DoiOptions
) -> None:
    draft("bare@1.0.0", store, options=options)
    before = export("bare@1.0.0", name, store).data
    assert DOI.encode() not in before
    publish("bare@1.0.0", store, options=options)
    assert DOI.encode() in export("bare@1.0.0", name, store).data
    assert DOI.encode() not in export("bare@1.1.0", name, store).data
    path = FORMS[name].path
    key = f"bare/v1.0.0/{path}" if path else "bare/catalog-1.0.0.yaml"
    assert store.read(key) == before


def test_a_damaged_note_is_told_and_never_leads_to_another_doi(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    publish("bare@1.0.0", store, options=options)
    store.delete("bare/versions/1.0.0.doi.json")
    store.create("bare/versions/1.0.0.doi.json", b"{}")
    with pytest.warns(ScidataWarning, match=r"the DOI of bare@1\.0\.0 cannot be told"):
        assert known_doi(store, resolve("bare@1.0.0", store)) is None
    datacite.requests.clear()
    with pytest.raises(ValueError, match="the note of a DOI is damaged"):
        publish("bare@1.0.0", store, options=options)
    assert datacite.requests == []


def test_a_mirror_takes_the_doi_along(store: MemoryStore, options: DoiOptions) -> None:
    publish("bare@1.0.0", store, options=options)
    target = MemoryStore("mirror")
    mirror(["bare@1.0.0"], store, to=target)
    found = known_doi(target, resolve("bare@1.0.0", target))
    assert found is not None
    assert (found.doi, found.findable) == (DOI, True)
    publish("bare@1.1.0", store, options=options)
    mirror(["bare"], store, to=target)
    assert show_version("bare@1.1.0", target).doi is not None


def test_a_doi_of_the_test_system_is_none_for_readers(
    store: MemoryStore, options: DoiOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scidata.doi.session.is_test", lambda api: True)
    publish("bare@1.0.0", store, options=options)
    assert known_doi(store, resolve("bare@1.0.0", store)) is None
    assert store.read("bare/versions/1.0.0.doi-test.json")


def test_a_version_must_be_named_and_a_prefix_known(
    store: MemoryStore, options: DoiOptions
) -> None:
    with pytest.raises(InvalidError, match="does not say which version"):
        publish("bare", store, options=options)
    bare = DoiOptions(**{**vars(options), "environ": {}})
    with pytest.raises(InvalidError, match="with which prefix"):
        publish("bare@1.0.0", store, options=bare)
    with pytest.raises(InvalidError, match="is not a DOI prefix"):
        publish("bare@1.0.0", store, options=DoiOptions(**{**vars(bare), "prefix": "11.x"}))
