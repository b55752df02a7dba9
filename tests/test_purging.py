"""Purging: the bytes go, for ever and completely; why they went stays."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from scidata.cli.list import command as list_command
from scidata.cli.purge import command
from scidata.errors import ConflictError, IntegrityError, InvalidError, NotFoundError
from scidata.index import rebuild
from scidata.listing import read_listing
from scidata.marking import Mark, mark
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.purging import PurgeOptions, purge
from scidata.resolve import read_manifest, resolve, resolve_any
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.versions import write_delta, write_version


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, bare: Path, tmp_path: Path) -> Store:
    """A store with bare 1.0.0 and 1.1.0 with other data."""
    if request.param == "memory":
        return filled(MemoryStore(), bare)
    if request.param == "folder":
        return filled(open_store(tmp_path / "store"), bare)
    return filled(open_store(request.getfixturevalue("s3_url")), bare)


def filled(store: Store, bare: Path) -> Store:
    write_version(store, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_version(store, bare, "1.1.0", parent="1.0.0")
    rebuild(store)
    return store


def payload(store: Store, version: str = "1.0.0") -> list[str]:
    return [facts.key for facts in store.list(f"bare/v{version}/data/")]


def test_a_purged_version_has_no_bytes_and_says_why(store: Store) -> None:
    done = purge("bare@1.0.0", "a person withdrew their consent", store)
    assert len(done.objects) == 2
    assert payload(store) == []
    with pytest.raises(NotFoundError, match="a person withdrew their consent") as caught:
        resolve("bare@1.0.0", store)
    assert caught.value.exit_code == 3
    commit = resolve_any("bare@1.0.0", store)
    assert len(read_manifest(store, commit)) == 2
    assert verify("bare@1.1.0", store).damage == ()


def test_a_purged_version_is_listed_as_such_and_no_catalog_offers_its_bytes(
    store: Store,
) -> None:
    purge("bare@1.0.0", "r", store)
    listed = read_listing(store)
    first = listed.versions["bare"][0]
    assert listed.history(first).state == "purged"
    catalog = store.read("bare/catalog.yaml").decode()
    assert "v1.1.0" in catalog
    assert "catalog-1.0.0" not in catalog
    assert b"data/one.txt" not in store.read("bare/item-1.0.0.json")


def test_a_list_shows_no_size_of_a_purged_version(bare: Path, tmp_path: Path) -> None:
    purge("bare@1.0.0", "r", filled(open_store(tmp_path / "store"), bare))
    shown = CliRunner().invoke(list_command, ["bare", "--store", str(tmp_path / "store")])
    _, first, second = shown.stdout.splitlines()
    assert (" removed " in first, " removed " in second) == (True, False)


def test_purging_all_versions_leaves_a_store_that_says_so_and_proposes_none(
    bare: Path,
) -> None:
    store = filled(MemoryStore(), bare)
    mark("bare@1.0.0", Mark(state="withdrawn", reason="r"), store)
    purge("bare@1.1.0", "r", store)
    with pytest.raises(NotFoundError, match="withdrawn or purged") as caught:
        resolve("bare", store)
    assert caught.value.fix.endswith("name it, such as bare@1.0.0")
    purge("bare@1.0.0", "r", store)
    with pytest.raises(NotFoundError, match="withdrawn or purged") as caught:
        resolve("bare", store)
    assert caught.value.fix == "no successor is named; none is left"
    assert b"bare" not in store.read("index.yaml")


def test_what_a_delta_refers_to_is_not_purged(bare: Path) -> None:
    store = MemoryStore()
    first = write_version(store, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_delta(store, bare, "1.1.0", first, {"data/deep/two.txt": "1.0.0"})
    before = {f.key for f in store.list()}
    with pytest.raises(ConflictError, match=r"bare@1\.1\.0") as caught:
        purge("bare@1.0.0", "r", store)
    assert "scidata materialize bare@1.1.0" in caught.value.fix
    assert {f.key for f in store.list()} == before
    (told,) = purge("bare@1.1.0", "r", store).warnings
    assert "files that bare@1.1.0 inherits from bare@1.0.0 stay" in told
    assert verify("bare@1.0.0", store).damage == ()
    assert purge("bare@1.0.0", "r", store).warnings == ()
    assert payload(store) == payload(store, "1.1.0") == []


def test_a_damaged_record_beside_it_stops_the_purge(store: Store) -> None:
    store.replace("bare/versions/1.1.0.json", b"{")
    with pytest.raises(IntegrityError):
        purge("bare@1.0.0", "r", store)
    assert len(payload(store)) == 2


def test_a_dry_run_removes_nothing(store: Store) -> None:
    before = {f.key for f in store.list()}
    assert len(purge("bare@1.0.0", "r", store, options=PurgeOptions(dry_run=True)).objects) == 2
    assert {f.key for f in store.list()} == before


@pytest.mark.parametrize(("name", "reason"), [("bare", "r"), ("bare@1.0.0", " ")])
def test_a_purge_needs_a_version_and_a_reason(bare: Path, name: str, reason: str) -> None:
    store = filled(MemoryStore(), bare)
    with pytest.raises(InvalidError):
        purge(name, reason, store)
    assert len(payload(store)) == 2


def test_a_crash_at_any_operation_of_a_purge_is_resumed(bare: Path) -> None:
    def prepared() -> MemoryStore:
        store = MemoryStore()
        filled(store, bare)
        return store

    counting = FaultyStore(prepared())
    purge("bare@1.0.0", "r", counting)
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            store = prepared()
            with pytest.raises(Crash):
                purge("bare@1.0.0", "r", FaultyStore(store, at=at, fault=fault))
            if len(payload(store)) < 2:  # whoever misses a file is told why
                with pytest.raises(NotFoundError, match="was purged"):
                    resolve("bare@1.0.0", store)
            purge("bare@1.0.0", "r", store)
            assert payload(store) == [], (fault, at)
            assert verify("bare@1.1.0", store).damage == (), (fault, at)
            statuses = [f.key for f in store.list("bare/versions/1.0.0.status-")]
            assert len(statuses) == 1, (fault, at)


def test_a_purged_number_is_not_published_again(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    purge("bare@1.0.0", "a court's order", store)
    with pytest.raises(ConflictError, match=r"was purged on .*: a court's order"):
        publish(bare, store, version="1.0.0")
    assert publish(bare, store, version="1.1.0").commit.parent is None


ELSEWHERE = PublishOptions(layout="delta", surroundings=Surroundings(host="elsewhere"))


def begun(bare: Path, folder: Path) -> Store:
    """A store with bare 1.0.0, and an upload of 1.1.0 from another machine that has stopped."""
    store = open_store(folder)
    publish(bare, store, version="1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    dying = FaultyStore(store, at=1, only=("create",), key="versions/1.1.0.json")
    with pytest.raises(Crash):
        publish(bare, dying, version="1.1.0", options=ELSEWHERE)
    return store


def test_a_purge_waits_for_whoever_left_a_claim_that_cannot_be_read(
    bare: Path, tmp_path: Path
) -> None:
    store = begun(bare, tmp_path / "store")
    claims = [facts.key for facts in store.list("bare/") if "/claims/" in facts.key]
    assert claims
    for key in claims:
        store.replace(key, b"{")
    with pytest.raises(ConflictError, match="is being published by somebody"):
        purge("bare@1.0.0", "r", store)


def test_a_purge_waits_for_an_upload_that_may_take_its_files_unless_told_that_it_ended(
    bare: Path, tmp_path: Path
) -> None:
    store = begun(bare, tmp_path / "store")
    words = ["bare@1.0.0", "--reason", "r", "--yes", "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(command, words)
    assert isinstance(done.exception, ConflictError)
    assert "bare@1.1.0 is being published by" in str(done.exception)
    assert len(payload(store)) == 2
    assert resolve("bare@1.0.0", store)  # nothing says that it was purged
    done = CliRunner().invoke(command, [*words, "--takeover"])
    assert done.exit_code == 0, done.output
    assert payload(store) == []
    again = replace(ELSEWHERE, layout=None, takeover=True)
    with pytest.raises(ConflictError, match="was purged"):
        publish(bare, store, version="1.1.0", options=again)


@pytest.mark.parametrize("why", ["of an older number", "of long ago"])
def test_a_purge_does_not_wait_for_an_upload_that_cannot_take_its_files(
    bare: Path, tmp_path: Path, why: str
) -> None:
    store, version = begun(bare, tmp_path / "store"), "1.0.0"
    if why == "of an older number":
        version = "1.2.0"
        publish(bare, store, version=version)
    else:
        long_ago = time.time() - 8 * 86_400
        for path in (tmp_path / "store").rglob("*"):
            os.utime(path, (long_ago, long_ago))
    purge(f"bare@{version}", "r", store)
    assert payload(store, version) == []


def test_nobody_is_asked_where_nobody_can_answer(bare: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    filled(open_store(store), bare)
    words = ["bare@1.0.0", "--reason", "r", "--store", str(store)]
    done = CliRunner().invoke(command, words)
    assert (done.exit_code, "add --yes" in done.output) == (2, True)
    assert len(payload(open_store(store))) == 2
    done = CliRunner().invoke(command, [*words, "--yes"])
    assert done.exit_code == 0, done.output
    assert payload(open_store(store)) == []
