"""What may go wrong between here and DataCite: never a second DOI, never a lost one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from scidata.doi import DoiOptions, Patience, preview, publish
from scidata.doi.session import check_page
from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.formats.datacite import SCHEMA_VERSION
from scidata.storage.memory import MemoryStore
from scidata.testing.datacite import SECRET, Double, Fault
from scidata.testing.faults import Crash, FaultyStore
from tests import dois
from tests.dois import CONCEPT, DOI, SECOND, Counted, store_of
from tests.servers import free_port

SENT_AGAIN = [
    Fault("status", 429, retry_after="7"),
    Fault("status", 500),
    Fault("status", 502),
    Fault("status", 503),
    Fault("status", 504),
    Fault("status", 409, body=b'{"errors":[{"status":"409","title":"taken"}]}'),
    Fault("page"),
    Fault("truncated"),
    Fault("cut"),
    Fault("reset"),
    Fault("reset-after"),
]


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


def changed(options: DoiOptions, **changes: Any) -> DoiOptions:
    return DoiOptions(**{**vars(options), **changes})


def assert_published(double: Double, *wanted: str) -> None:
    assert set(double.dois) == set(wanted)
    for doi in wanted:
        assert double.dois[doi].state == "findable"
        assert double.dois[doi].history in (["draft", "findable"], ["findable"])


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("fault", SENT_AGAIN, ids=lambda f: f"{f.kind}-{f.status}")
def test_what_can_pass_is_asked_again(
    store: MemoryStore, options: DoiOptions, datacite: Double, fault: Fault, method: str
) -> None:
    datacite.faults = [Fault(**{**vars(fault), "method": method, "times": 2})]
    assert publish("bare@1.0.0", store, options=options).state == "findable"
    assert datacite.faults[0].times == 0
    assert_published(datacite, DOI, CONCEPT)


def test_a_silent_or_dripping_server_is_not_waited_for(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    short = Patience(sleep=lambda _: None, answer_s=0.3, tries=2)
    for kind in ("hang", "drip"):
        datacite.faults = [Fault(kind, times=9)]
        began = time.monotonic()
        with pytest.raises(StorageError, match="did not answer 2 times: it is silent"):
            publish("bare@1.0.0", store, options=changed(options, patience=short))
        assert time.monotonic() - began < 5
    datacite.faults = []
    assert publish("bare@1.0.0", store, options=options).doi == DOI


def test_who_does_not_listen_is_told_from_who_is_silent(
    store: MemoryStore, options: DoiOptions
) -> None:
    nobody = changed(options, api=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageError, match="did not answer 3 times: it cannot be reached"):
        publish("bare@1.0.0", store, options=nobody)
    with pytest.raises(StorageError, match="page does not answer: it cannot be reached"):
        check_page(f"{nobody.api}/bare/", DOI, options.patience)


def test_the_pause_is_the_one_that_the_server_asks_for(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    pauses: list[float] = []
    patience = Patience(sleep=pauses.append, tries=3, chance=lambda: 1.0)
    datacite.faults = [Fault("status", 429, retry_after="7"), Fault("status", 503)]
    publish("bare@1.0.0", store, options=changed(options, patience=patience))
    assert pauses == [7.0, 2.0]
    datacite.faults = [Fault("status", 429, retry_after="3600")]
    with pytest.raises(StorageError, match="asks to wait 3600 seconds"):
        publish("bare@1.0.0", store, options=changed(options, patience=patience))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, (InvalidError, "refuses the request")),
        (401, (StorageError, "does not know this repository")),
        (403, (StorageError, "may not use the prefix 10.5072")),
        (404, (StorageError, "there is no such API")),
        (409, (ConflictError, "somebody else changes")),
        (412, (ConflictError, "somebody else changes")),
        (422, (InvalidError, "refuses the request")),
        (429, (StorageError, "asks for fewer requests")),
        (500, (StorageError, "DataCite failed")),
        (302, (StorageError, "sends elsewhere")),
    ],
)
def test_each_refusal_is_explained_and_leaves_no_doi_behind(
    store: MemoryStore,
    options: DoiOptions,
    datacite: Double,
    status: int,
    said: tuple[type[Exception], str],
) -> None:
    datacite.faults = [Fault("status", status, method="PUT", times=99)]
    error, words = said
    with pytest.raises(error, match=words) as caught:
        publish("bare@1.0.0", store, options=options)
    assert "<html>" not in str(caught.value)
    assert datacite.dois == {}
    datacite.faults = []
    publish("bare@1.0.0", store, options=options)
    assert_published(datacite, DOI, CONCEPT)


def test_a_refusal_names_the_fields_of_the_record(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    body = b"""{"errors":[{"source":"rights_list","title":"Rights are too long"},
        {"source":"creators","title":"Missing child element(s)."}]}"""
    datacite.faults = [Fault("status", 422, method="PUT", body=body)]
    with pytest.raises(InvalidError) as caught:
        publish("bare@1.0.0", store, options=options)
    assert [problem.path for problem in caught.value.problems] == [
        "license, access",
        "creators",
    ]
    assert "Missing child element(s)." in caught.value.problems[1].message


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_request_leads_to_one_doi_when_it_is_run_again(
    tmp_path: Path,
    schemas_if_any: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    crashed = 0
    for at in range(1, 99):
        store = store_of(tmp_path / f"{at}", "1.0.0", "1.1.0")
        with dois.double(schemas_if_any) as double:
            options = dois.options(double, schemas_if_any)
            publish("bare@1.0.0", store, options=options)
            counted = Counted(at, after=after)
            with monkeypatch.context() as patch:
                patch.setattr(
                    urllib3.PoolManager, "request", lambda *a, c=counted, **k: c(*a, **k)
                )
                try:
                    publish("bare@1.1.0", store, options=options)
                except Crash:
                    crashed += 1
            # Whoever continues may have another prefix in mind.
            again = changed(options, environ={**options.environ, "DATACITE_PREFIX": "10.5073"})
            done = publish("bare@1.1.0", store, options=again)
            assert (done.doi, done.state) == (SECOND, "findable")
            assert_published(double, DOI, SECOND, CONCEPT)
            assert all(s.is_done for s in publish("bare@1.1.0", store, options=again).steps)
        if counted.count < at:
            break
    assert crashed >= 9


@pytest.mark.parametrize("fault", ["crash-before", "crash-after", "lost-response"])
def test_a_crash_at_any_write_of_the_store_leads_to_one_doi(
    tmp_path: Path, schemas_if_any: Path | None, fault: Any
) -> None:
    counts = []
    for at in range(1, 99):
        store = store_of(tmp_path / f"{at}", "1.0.0")
        with dois.double(schemas_if_any) as double:
            options = dois.options(double, schemas_if_any)
            faulty = FaultyStore(store, at, fault, only=("create",), key="bare/versions/")
            try:
                publish("bare@1.0.0", faulty, options=options)
            except Crash:
                assert fault != "lost-response"
            publish("bare@1.0.0", store, options=options)
            assert_published(double, DOI, CONCEPT)
        counts.append(faulty.count)
        if faulty.count < at:
            break
    assert len(counts) == 3


def test_an_event_that_is_ignored_is_noticed(
    store: MemoryStore,
    options: DoiOptions,
    datacite: Double,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scidata.testing.datacite_answers.next_state", lambda state, _: state)
    with pytest.raises(StorageError, match="is draft, not findable, although DataCite took"):
        publish("bare@1.0.0", store, options=options)
    assert not [f for f in store.list("bare/versions/") if "findable" in f.key]


def test_a_doi_that_resolves_late_is_waited_for_and_then_told(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    datacite.minting = 4
    late = "does not resolve yet"
    done = publish("bare@1.0.0", store, options=options)
    assert not any(late in text for text in done.warnings)
    datacite.minting = 999
    done = publish("bare@1.1.0", store, options=options)
    assert any(late in text for text in done.warnings)
    assert done.state == "findable"


def test_what_a_judge_refuses_is_never_sent(
    store: MemoryStore,
    options: DoiOptions,
    datacite: Double,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from scidata.formats import datacite as form

    def broken(record: Any, facts: Any) -> dict[str, Any]:
        return {**form.attributes(record, facts), "titles": [{"title": " "}]}

    monkeypatch.setattr("scidata.doi.documents.attributes", broken)
    with pytest.raises(InvalidError) as caught:
        publish("bare@1.0.0", store, options=options)
    assert "title" in {problem.path for problem in caught.value.problems}
    assert datacite.requests == []
    assert not [f for f in store.list("bare/versions/") if ".doi" in f.key]


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"creators": []}, "creators"),
        ({"publicationYear": "26"}, "version"),
        ({"dates": [{"date": "2026", "dateType": "Birthday"}]}, "created, available, temporal"),
        ({"types": {"resourceType": "x", "resourceTypeGeneral": "Data"}}, "data"),
        ({"schemaVersion": "http://datacite.org/schema/kernel-4.7"}, "record"),
        ({"descriptions": [{"description": "a", "descriptionType": "b"}]}, "abstract, methods"),
    ],
)
def test_the_judges_name_the_field(
    store: MemoryStore,
    options: DoiOptions,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    path: str,
) -> None:
    from scidata.formats import datacite as form

    monkeypatch.setattr(
        "scidata.doi.documents.attributes", lambda r, f: {**form.attributes(r, f), **change}
    )
    verdict = preview("bare@1.0.0", store, options=options).verdict
    assert any(problem.path.startswith(path) for problem in verdict.problems)
    assert "DataCite's XSD 4.7" in verdict.judges


def test_without_the_schema_the_other_judges_speak_and_it_is_said(
    store: MemoryStore, options: DoiOptions, tmp_path: Path
) -> None:
    empty = {**options.environ, "SCIDATA_SCHEMAS": str(tmp_path)}
    done = publish("bare@1.0.0", store, options=changed(options, environ=empty))
    assert done.judges == ("scidata's own rules", "DataCite's JSON schema 4.5")
    assert any("not judged by DataCite's XSD" in text for text in done.warnings)


def test_every_document_names_the_one_schema_that_is_validated(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    publish("bare@1.0.0", store, options=options)
    assert {e.attributes["schemaVersion"] for e in datacite.dois.values()} == {SCHEMA_VERSION}


def test_no_secret_is_in_any_message(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    datacite.faults = [Fault("status", 401, body=SECRET.encode(), times=9)]
    with pytest.raises(StorageError) as caught:
        publish("bare@1.0.0", store, options=options)
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)
    anonymous = {k: v for k, v in options.environ.items() if k != "DATACITE_PASSWORD"}
    with pytest.raises(NotFoundError, match="no credentials") as nobody:
        publish("bare@1.0.0", store, options=changed(options, environ=anonymous))
    assert "DATACITE_PASSWORD" in nobody.value.fix
    everything = b"".join(store.read(facts.key) for facts in store.list())
    assert SECRET.encode() not in everything


def test_a_password_is_not_sent_unencrypted(store: MemoryStore, options: DoiOptions) -> None:
    plain = changed(options, api="http://datacite.example.org")
    with pytest.raises(InvalidError, match="would send the password unencrypted"):
        publish("bare@1.0.0", store, options=plain)
