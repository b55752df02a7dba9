"""A record corrected after publishing, and a DOI that resolves before it can be found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from scidata.correction import (
    CORRECTABLE,
    Correction,
    correction_bytes,
    correction_key,
    parse_correction,
)
from scidata.doi import DoiOptions, draft, publish, register, show, update
from scidata.doi.correcting import write_down
from scidata.doi.ledger import create_once
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.exporting import export
from scidata.inventory import corrected, known_doi
from scidata.marking import Mark, mark
from scidata.mirroring import mirror
from scidata.published import read_record
from scidata.record import Record, parse_record, record_yaml
from scidata.resolve import resolve
from scidata.show import show as show_version
from scidata.storage.memory import MemoryStore
from scidata.surroundings import Surroundings
from scidata.testing.datacite import Double
from scidata.testing.faults import Crash
from scidata.warning import ScidataWarning
from tests import dois
from tests.dois import CONCEPT, DOI, Counted, store_of

KEY = correction_key("bare", "1.0.0", 1)
TITLE = "Tiny waves, their title put right"


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


def own(store: MemoryStore) -> Record:
    return read_record(store, resolve("bare@1.0.0", store))


def write(folder: Path, store: MemoryStore, **changes: Any) -> Path:  # Any: YAML at the edge
    fields = yaml.safe_load(record_yaml(own(store)))
    path = folder / "corrected.yaml"
    path.write_text(yaml.safe_dump({**fields, **changes}))
    return path


def keys(store: MemoryStore) -> list[str]:
    return [f.key for f in store.list("bare/versions/") if ".correction" in f.key]


def test_a_registered_doi_resolves_and_nobody_finds_it_until_it_is_published(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    done = register("bare@1.0.0", store, options=options)
    assert (done.doi, done.state, datacite.dois[DOI].state) == (DOI, "registered", "registered")
    assert CONCEPT not in datacite.dois
    known = known_doi(store, resolve("bare@1.0.0", store))
    assert known is not None
    assert not known.findable
    assert register("bare@1.0.0", store, options=options).steps[0].is_done
    assert publish("bare@1.0.0", store, options=options).state == "findable"
    again = register("bare@1.0.0", store, options=options)
    assert (again.state, again.steps[0].is_done) == ("findable", True)
    assert datacite.dois[DOI].history == ["draft", "registered", "findable"]


def test_a_withdrawn_version_is_not_registered(
    store: MemoryStore, options: DoiOptions, datacite: Double
) -> None:
    draft("bare@1.0.0", store, options=options)
    mark("bare@1.0.0", Mark(state="withdrawn", reason="wrong"), store)
    with pytest.raises(ConflictError, match="is withdrawn"):
        register("bare@1.0.0", store, options=options)
    assert datacite.dois[DOI].state == "draft"


def test_a_correction_is_told_to_everybody_and_the_version_stays(
    store: MemoryStore, options: DoiOptions, datacite: Double, tmp_path: Path
) -> None:
    publish("bare@1.0.0", store, options=options)
    before = {f.key: store.read(f.key) for f in store.list("bare/v1.0.0/")}
    path = write(tmp_path, store, title=TITLE)
    done = update("bare@1.0.0", store, record=path, options=options)
    assert done.steps[0].changes == ("titles",)
    assert datacite.dois[DOI].attributes["titles"][0]["title"] == TITLE
    assert datacite.dois[CONCEPT].attributes["titles"][0]["title"] == TITLE
    assert {f.key: store.read(f.key) for f in store.list("bare/v1.0.0/")} == before
    shown = show_version("bare@1.0.0", store)
    assert (shown.record.title, shown.corrected) == (TITLE, ("title",))
    assert TITLE in shown.citation
    assert TITLE.encode() in export("bare@1.0.0", "bibtex", store).data
    written = Correction.model_validate_json(store.read(KEY))
    assert (written.changed, written.version) == (("title",), "1.0.0")
    assert own(store).title != TITLE


def test_the_catalogs_say_what_was_corrected_of_the_newest_version(
    store: MemoryStore, options: DoiOptions, tmp_path: Path
) -> None:
    publish("bare@1.1.0", store, options=options)
    update(
        "bare@1.1.0", store, record=write(tmp_path, store, keywords=["surf"]), options=options
    )
    assert json.loads(store.read("bare/collection.json"))["keywords"] == ["surf"]
    catalog = yaml.safe_load(store.read("bare/catalog.yaml"))
    assert catalog["metadata"]["keywords"] == ["surf"]


def test_a_correction_that_was_made_is_not_made_again(
    store: MemoryStore, options: DoiOptions, datacite: Double, tmp_path: Path
) -> None:
    publish("bare@1.0.0", store, options=options)
    path = write(tmp_path, store, title=TITLE)
    update("bare@1.0.0", store, record=path, options=options)
    datacite.requests.clear()
    again = update("bare@1.0.0", store, record=path, options=options)
    assert all(step.is_done for step in again.steps)
    assert [r for r in datacite.requests if not r.startswith("GET")] == []
    assert all(s.is_done for s in update("bare@1.0.0", store, options=options).steps)
    assert show("bare@1.0.0", store, options=options).differs == ()
    assert keys(store) == [KEY]
    back = tmp_path / "back.yaml"
    back.write_bytes(record_yaml(own(store)))
    update("bare@1.0.0", store, record=back, options=options)
    assert show_version("bare@1.0.0", store).corrected == ()
    assert len(keys(store)) == 2


def test_what_programs_and_users_relied_on_is_not_corrected(
    store: MemoryStore, options: DoiOptions, datacite: Double, tmp_path: Path
) -> None:
    publish("bare@1.0.0", store, options=options)
    changed = {"license": "CC0-1.0", "access": "restricted", "title": TITLE, "id": "other"}
    path = write(tmp_path, store, **changed)
    with pytest.raises(InvalidError, match="of a published version stays") as refused:
        update("bare@1.0.0", store, record=path, options=options)
    assert [p.path for p in refused.value.problems] == ["id", "license", "access"]
    assert keys(store) == []
    assert datacite.dois[DOI].attributes["titles"][0]["title"] != TITLE
    kept = set(Record.model_fields) - set(CORRECTABLE)
    assert {"format", "id", "license", "access", "variables", "splits", "samples"} <= kept


def test_nothing_is_written_down_in_a_dry_run_or_where_a_judge_refuses(
    store: MemoryStore, options: DoiOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, store, title=TITLE)
    with pytest.raises(NotFoundError, match="has no DOI"):
        update("bare@1.0.0", store, record=path, options=options)
    publish("bare@1.0.0", store, options=options)
    dry = DoiOptions(**{**vars(options), "dry_run": True})
    assert update("bare@1.0.0", store, record=path, options=dry).steps[0].changes == ("titles",)

    def refuse(*_: object, **__: object) -> None:
        raise InvalidError("no", where="judge", fix="none")

    monkeypatch.setattr("scidata.doi.life.require", refuse)
    with pytest.raises(InvalidError):
        update("bare@1.0.0", store, record=path, options=options)
    assert keys(store) == []


@pytest.mark.parametrize("at", range(1, 8))
def test_a_correction_that_is_killed_is_one_correction_in_the_end(
    at: int, schemas_if_any: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for after in (False, True):
        store = store_of(tmp_path / str(after), "1.0.0")
        path = write(tmp_path, store, title=TITLE)
        with dois.double(schemas_if_any) as double:
            options = dois.options(double, schemas_if_any)
            publish("bare@1.0.0", store, options=options)
            counted = Counted(at, after=after)
            with monkeypatch.context() as patch:
                patch.setattr(
                    urllib3.PoolManager, "request", lambda *a, c=counted, **k: c(*a, **k)
                )
                try:
                    update("bare@1.0.0", store, record=path, options=options)
                except Crash:
                    assert counted.count == at
            update("bare@1.0.0", store, record=path, options=options)
            titles = {d.attributes["titles"][0]["title"] for d in double.dois.values()}
        assert keys(store) == [KEY]
        assert titles == {TITLE}
        assert show_version("bare@1.0.0", store).record.title == TITLE


def correction_of(store: MemoryStore, **changes: Any) -> bytes:  # Any: YAML at the edge
    commit = resolve("bare@1.0.0", store)
    text = record_yaml(own(store)).decode()
    fields = {
        "dataset": "bare",
        "version": "1.0.0",
        "digest": commit.digest,
        "changed": ["title"],
        "record": text,
        "by": "somebody",
        "date": "2026-01-02T03:04:05Z",
    }
    return correction_bytes(Correction.model_validate({**fields, **changes}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "1.1.0"}, "it is that of bare@1.1.0"),
        ({"digest": f"sha256:{'0' * 64}"}, "it is that of bare@1.0.0 sha256:000"),
        ({"record": "format: scidata-record/1"}, "it cannot be read"),
        (None, "it cannot be read"),
    ],
)
def test_a_damaged_correction_is_told_and_nothing_is_built_on_it(
    changes: dict[str, str] | None,
    words: str,
    store: MemoryStore,
    options: DoiOptions,
    tmp_path: Path,
) -> None:
    publish("bare@1.0.0", store, options=options)
    data = b"{}" if changes is None else correction_of(store, **changes)
    store.create(KEY, data)
    with pytest.warns(ScidataWarning, match=words):
        assert show_version("bare@1.0.0", store).corrected == ()
    with pytest.raises(IntegrityError, match=words):
        update("bare@1.0.0", store, options=options)


def test_a_correction_of_what_may_not_be_is_damage_however_it_came(store: MemoryStore) -> None:
    text = record_yaml(own(store)).decode().replace("CC-BY-4.0", "CC0-1.0")
    commit = resolve("bare@1.0.0", store)
    with pytest.raises(IntegrityError, match="it changes license"):
        parse_correction(correction_of(store, record=text), commit, own(store), where=KEY)
    again = correction_of(store)
    assert parse_correction(again, commit, own(store), where=KEY)[1] == own(store)


def test_of_two_who_correct_at_once_one_is_told(store: MemoryStore) -> None:
    commit = resolve("bare@1.0.0", store)
    around = Surroundings()
    other = parse_record(
        record_yaml(own(store)).replace(b"Tiny waves", b"Small waves"), where=""
    )
    write_down(store, commit, own(store), (), last=0, around=around, test=False)
    with pytest.raises(ConflictError, match="by somebody else meanwhile"):
        write_down(store, commit, other, ("title",), last=0, around=around, test=False)


def test_a_mirror_takes_corrections_along(
    store: MemoryStore, options: DoiOptions, tmp_path: Path
) -> None:
    publish("bare@1.0.0", store, options=options)
    path = write(tmp_path, store, title=TITLE)
    update("bare@1.0.0", store, record=path, options=options)
    target = MemoryStore("mirror")
    mirror(["bare@1.0.0"], store, to=target)
    assert show_version("bare@1.0.0", target).record.title == TITLE


def test_a_rehearsal_corrects_nothing_for_readers(
    store: MemoryStore, options: DoiOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scidata.doi.session.is_test", lambda api: True)
    publish("bare@1.0.0", store, options=options)
    path = write(tmp_path, store, title=TITLE)
    update("bare@1.0.0", store, record=path, options=options)
    assert keys(store) == ["bare/versions/1.0.0.correction-test-0001.json"]
    assert all(s.is_done for s in update("bare@1.0.0", store, options=options).steps)
    commit = resolve("bare@1.0.0", store)
    assert corrected(store, commit, own(store)) == own(store)


class Losing(MemoryStore):
    """What is created lies there, but no answer comes."""

    def create(self, *given: Any, **named: Any) -> bool:
        super().create(*given, **named)
        raise StorageError("the answer was lost", where="note.json", fix="run again")


def test_a_lost_answer_is_settled_by_what_lies_there() -> None:
    store = Losing()
    assert create_once(store, "note.json", b"one")
    with pytest.raises(StorageError):
        create_once(store, "note.json", b"another")
