"""Delta versions where something breaks: crashes, listings that lag, versions that vanish."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scidata.errors import ConflictError, IntegrityError, ScidataError
from scidata.publishing import PublishOptions, plan_publish, publish
from scidata.publishing.plan import Plan
from scidata.purging import purge
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.samples import write_bare
from tests.versions import DELTA


def test_a_damaged_parent_stops_a_delta_and_no_full_version(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    store.delete("bare/v1.0.0/manifest.parquet")
    with pytest.raises(IntegrityError, match=r"manifest\.parquet"):
        publish(bare, store, version="1.1.0", options=DELTA)
    assert publish(bare, store, version="1.1.0").copied == 0
    assert verify("bare@1.1.0", store).damage == ()


def test_a_delta_is_not_committed_on_files_that_the_store_has_lost(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data" / "one.txt").write_text("changed\n")
    store.delete("bare/v1.0.0/data/deep/two.txt")
    with pytest.raises(IntegrityError, match=r"on which bare@1\.1\.0 would rely") as caught:
        publish(bare, store, version="1.1.0", options=DELTA)
    assert [d.path for d in caught.value.damage] == ["bare/v1.0.0/data/deep/two.txt"]
    with pytest.raises(IntegrityError, match="does not hold"):
        publish(write_bare(bare.parent / "again"), store, version="1.0.0")


def test_a_crash_at_any_operation_of_a_delta_is_resumed_to_identical_bytes(
    bare: Path, tmp_path: Path
) -> None:
    (bare / "data" / "moved.txt").write_text("moved\n")
    after = tmp_path / "after"
    shutil.copytree(bare, after)
    (after / "data" / "moved.txt").rename(after / "data" / "deep" / "here.txt")
    (after / "data" / "one.txt").write_text("other\n")

    def begun() -> MemoryStore:
        store = MemoryStore()
        publish(bare, store, version="1.0.0")
        return store

    def contents(store: MemoryStore) -> dict[str, bytes]:
        keys = [facts.key for facts in store.list("bare/v")]
        steady = [k for k in keys if "/meta/" not in k and not k.endswith((".md", ".json"))]
        # What holds the time of the claim differs, and with it the list of tag files.
        mutable = ("bag-info.txt", "tagmanifest-sha256.txt")
        return {k: store.read(k) for k in steady if not k.endswith(mutable)}

    undisturbed, counting = begun(), FaultyStore(begun())
    digest = publish(after, undisturbed, version="1.1.0", options=DELTA).commit.digest
    publish(after, counting, version="1.1.0", options=DELTA)
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            store = begun()
            faulty = FaultyStore(store, at=at, fault=fault)
            with pytest.raises(Crash):
                publish(after, faulty, version="1.1.0", options=DELTA)
            resumed = publish(after, store, version="1.1.0", options=DELTA)
            assert resumed.commit.digest == digest, (fault, at)
            assert contents(store) == contents(undisturbed), (fault, at)
            assert verify("bare@1.1.0", store).damage == (), (fault, at)


def test_whoever_continues_a_delta_inherits_what_the_first_claim_said(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    at_commit = FaultyStore(store, at=1, only=("create",), key="versions/1.2.0.json")
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.2.0", options=DELTA)
    publish(bare, store, version="1.1.0")
    resumed = publish(bare, store, version="1.2.0")
    assert resumed.commit.prefixes == ("v1.0.0", "v1.2.0")
    assert verify("bare@1.2.0", store).damage == ()


@pytest.mark.parametrize(
    "other",
    [
        PublishOptions(layout="full"),
        PublishOptions(parent="1.0.0"),
        PublishOptions(fetch_from="https://example.org/mirror"),
    ],
    ids=["layout", "parent", "address"],
)
def test_an_upload_goes_on_as_it_was_begun_or_not_at_all(
    bare: Path, other: PublishOptions
) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    publish(bare, store, version="1.1.0")
    at_commit = FaultyStore(store, at=1, only=("create",), key="versions/1.2.0.json")
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.2.0", options=DELTA)
    before = [facts.key for facts in store.list()]
    for act in (publish, plan_publish):
        with pytest.raises(ConflictError, match="so it cannot go on with --") as caught:
            act(bare, store, version="1.2.0", options=other)
        assert "leave out --" in caught.value.fix
    assert [facts.key for facts in store.list()] == before
    planned = plan_publish(bare, store, version="1.2.0")
    assert isinstance(planned, Plan)
    done = publish(bare, store, version="1.2.0")
    assert done.commit.model_copy(update={"commit_id": ""}) == planned.commit.model_copy(
        update={"commit_id": ""}
    )
    assert publish(bare, store, version="1.2.0", options=other).already


def test_nothing_is_committed_that_relies_on_a_version_purged_meanwhile(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    with pytest.raises(Crash):
        publish(
            bare,
            FaultyStore(store, at=1, only=("create",), key="/claims/", fault="crash-after"),
            version="1.1.0",
            options=DELTA,
        )
    # Killed between its status and its first deletion: every file is still there.
    with pytest.raises(Crash):
        purge("bare@1.0.0", "r", FaultyStore(store, at=1, only=("delete",), key="/data/"))
    with pytest.raises(ConflictError, match=r"bare@1\.0\.0, on which bare@1\.1\.0 would rely"):
        publish(bare, store, version="1.1.0")
    assert "bare/versions/1.1.0.json" not in {facts.key for facts in store.list()}
    assert publish(bare, store, version="1.2.0").commit.parent is None


def test_what_a_store_cannot_copy_is_sent(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    refusing = FaultyStore(store, at=1, fault="refused", only=("copy",))
    done = publish(bare, refusing, version="2.0.0")
    assert done.copied == 1
    assert verify("bare@2.0.0", store).damage == ()


def test_a_copy_whose_answer_is_lost_is_no_conflict(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    lossy = FaultyStore(store, at=1, fault="lost-response", only=("copy",))
    publish(bare, lossy, version="2.0.0")
    assert verify("bare@2.0.0", store).damage == ()


class Lagging(FaultyStore):
    """Whose listings do not show some keys for a while."""

    hidden: str
    looks: int

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        shown = list(super().list(prefix))
        if any(self.hidden in facts.key for facts in shown) and self.looks > 0:
            self.looks -= 1
            shown = [facts for facts in shown if self.hidden not in facts.key]
        return iter(shown)


def lagging(store: Store, hidden: str, looks: int) -> Lagging:
    found = Lagging(store)
    found.hidden, found.looks = hidden, looks
    return found


@pytest.mark.parametrize("hidden", ["v1.0.0/data/deep/two.txt", "v1.1.0/data/one.txt"])
def test_a_listing_that_lags_behind_is_looked_at_again(bare: Path, hidden: str) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    slow = lagging(store, hidden, 1)
    publish(bare, slow, version="1.1.0", options=DELTA)
    assert slow.looks == 0
    assert verify("bare@1.1.0", store).damage == ()


def test_what_a_listing_hides_for_long_is_never_committed_on(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    hiding = lagging(store, "v1.0.0/data/deep/two.txt", 99)
    with pytest.raises(IntegrityError, match="does not hold 1 of the 1 objects"):
        publish(bare, hiding, version="1.1.0", options=DELTA)
    assert publish(bare, store, version="1.1.0").commit.prefixes == ("v1.0.0", "v1.1.0")


def test_a_version_that_a_listing_hides_is_not_published_over(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    publish(bare, store, version="1.1.0", options=DELTA)
    before = {facts.key: store.read(facts.key) for facts in store.list("bare/v")}
    (bare / "data/one.txt").write_text("other\n")
    with pytest.raises(ScidataError):
        publish(bare, lagging(store, "versions/1.1.0", 99), version="1.1.0")
    assert {facts.key: store.read(facts.key) for facts in store.list("bare/v")} == before
    # A parent that is not seen yet is not inherited from; the version is sound all the same.
    done = publish(bare, lagging(store, "versions/1.1.0", 1), version="1.2.0", options=DELTA)
    assert done.commit.parent is not None
    assert done.commit.parent.version == "1.0.0"
    assert verify("bare@1.2.0", store).damage == ()
