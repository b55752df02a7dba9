"""Claims: who may continue an upload, and who is told to wait."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from scidata.digest import Digest
from scidata.errors import ConflictError, StorageError
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.publishing.claim import Claim, claim_key, has_ended
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import FaultyStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def keys(store: MemoryStore, prefix: str = "") -> list[str]:
    return [facts.key for facts in store.list(prefix)]


def elsewhere(pid: int = 1) -> PublishOptions:
    return PublishOptions(surroundings=Surroundings(host="elsewhere", user="ada", pid=pid))


def claim(store: MemoryStore, **fields: object) -> None:
    base = {"tx": "t1", "host": "elsewhere", "user": "bob", "pid": 7}
    text = json.dumps(base | {"started": "2026-01-01T00:00:00Z"} | fields)
    store.create("bare/claims/1.0.0.json", text.encode())


def test_a_version_that_somebody_else_uploads_is_a_conflict_that_names_them(
    bare: Path, store: MemoryStore
) -> None:
    claim(store)
    with pytest.raises(ConflictError, match=r"bob@elsewhere, process 7, since 2026") as caught:
        publish(bare, store, version="1.0.0")
    assert "--takeover" in caught.value.fix
    assert keys(store, "bare/v1.0.0/") == []


def test_takeover_continues_it_with_the_first_claims_time(
    bare: Path, store: MemoryStore
) -> None:
    claim(store)
    commit = publish(bare, store, version="1.0.0", options=PublishOptions(takeover=True)).commit
    assert commit.created == "2026-01-01T00:00:00Z"
    assert keys(store, "bare/claims/") == [
        "bare/claims/1.0.0.2.json",
        "bare/claims/1.0.0.json",
    ]


def test_a_claim_of_a_process_that_ended_here_is_continued(
    bare: Path, store: MemoryStore
) -> None:
    around = Surroundings()
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    claim(store, host=around.host, user=around.user, pid=dead)
    assert publish(bare, store, version="1.0.0").commit.created == "2026-01-01T00:00:00Z"


def test_a_claim_of_a_living_process_here_is_not(bare: Path, store: MemoryStore) -> None:
    around = Surroundings()
    claim(store, host=around.host, user=around.user, pid=os.getppid())
    with pytest.raises(ConflictError, match="is being published"):
        publish(bare, store, version="1.0.0")


def test_who_took_over_holds_the_claim_from_then_on(bare: Path, store: MemoryStore) -> None:
    claim(store)
    after_claim = FaultyStore(store, at=1, fault="refused", only=("create",), key="/v1.0.0/")
    options = replace(elsewhere(pid=9), takeover=True)
    with pytest.raises(StorageError):
        publish(bare, after_claim, version="1.0.0", options=options)
    with pytest.raises(ConflictError, match="ada@elsewhere, process 9"):
        publish(bare, store, version="1.0.0")


def test_of_two_that_take_over_the_later_one_is_told_of_the_first(
    bare: Path, store: MemoryStore
) -> None:
    class Overtaken(FaultyStore):
        def create(
            self, key: str, source: bytes | Path, *, digest: Digest | None = None
        ) -> bool:
            if key == "bare/claims/1.0.0.2.json":
                mine = Claim(
                    tx="t2", host="h", user="eve", pid=3, started="2026-02-02T00:00:00Z"
                )
                self.store.create(key, mine.model_dump_json().encode())
            return super().create(key, source, digest=digest)

    claim(store)
    with pytest.raises(ConflictError, match="eve@h, process 3"):
        publish(bare, Overtaken(store), version="1.0.0", options=PublishOptions(takeover=True))
    assert keys(store, "bare/v1.0.0/") == []


def test_a_claim_on_another_machine_is_never_taken_for_dead() -> None:
    theirs = Claim(tx="t", host="a", user="u", pid=2**22 + 1, started="2026-01-01T00:00:00Z")
    assert not has_ended(theirs, host="b", user="u", pid=1)
    assert has_ended(theirs, host="a", user="u", pid=1)


def test_a_claim_that_cannot_be_read_is_a_storage_error(bare: Path, store: MemoryStore) -> None:
    store.create(claim_key("bare", "1.0.0"), b"{")
    with pytest.raises(StorageError, match="claim cannot be read"):
        publish(bare, store, version="1.0.0")
