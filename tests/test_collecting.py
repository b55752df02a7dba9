"""Removing what uploads left behind: only what is old and surely of no version."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.collecting import Collected, collect
from scidata.errors import ConflictError, NotFoundError, StorageError
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.publishing.claim import Claim, claim_bytes
from scidata.storage import open_store
from scidata.storage.base import ObjectFacts
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.storage.s3 import S3Store
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from scidata.version import CommitRecord, TagFile, commit_bytes

START = datetime(2026, 1, 1, tzinfo=UTC)
COMMIT = "bare/versions/1.0.0.json"


@dataclass
class Clock:
    """A store's clock, which stands until somebody moves it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


def aged(clock: Clock, **fields: object) -> Surroundings:
    return replace(Surroundings(now=clock), **fields)  # type: ignore[arg-type]  # its own fields


def elsewhere(clock: Clock) -> PublishOptions:
    around = aged(clock, host="elsewhere", user="ada", pid=1)
    return PublishOptions(surroundings=around)


def keys(store: MemoryStore) -> list[str]:
    return [facts.key for facts in store.list()]


def killed(bare: Path, store: MemoryStore, clock: Clock, at: str = COMMIT) -> None:
    """Publish, and die just before a key is created."""
    faulty = FaultyStore(store, at=1, only=("create",), key=at)
    with pytest.raises(Crash):
        publish(bare, faulty, version="1.0.0", options=elsewhere(clock))


def gc(store: MemoryStore | FaultyStore, clock: Clock, *, apply: bool = True) -> Collected:
    return collect(store, apply=apply, surroundings=aged(clock))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(now=clock)


def test_a_killed_upload_is_removed_after_seven_days_and_not_before(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    killed(bare, store, clock)
    clock.pass_days(6.9)
    assert gc(store, clock).removed == ()
    clock.pass_days(0.2)
    before = keys(store)
    listed = gc(store, clock, apply=False)
    assert [item.name for item in listed.remains.abandoned] == ["bare@1.0.0"]
    assert keys(store) == before
    gc(store, clock)
    assert keys(store) == []


def test_a_committed_version_is_never_touched_however_old(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    publish(bare, store, version="1.0.0", options=elsewhere(clock))
    before = keys(store)
    clock.pass_days(1000)
    assert gc(store, clock).removed == ()
    assert keys(store) == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"x" * 100_000])
def test_a_damaged_commit_record_protects_its_version_and_the_whole_dataset(
    bare: Path, store: MemoryStore, clock: Clock, data: bytes
) -> None:
    publish(bare, store, version="0.9.0", options=elsewhere(clock))
    killed(bare, store, clock)
    store.replace("bare/versions/0.9.0.json", data)
    before = keys(store)
    clock.pass_days(1000)
    done = gc(store, clock)
    assert (done.removed, keys(store)) == ((), before)
    assert "cannot be read" in done.remains.kept[0].reason


def test_one_young_object_protects_the_whole_upload(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    killed(bare, store, clock)
    clock.pass_days(30)
    store.create("bare/v1.0.0/data/late.txt", b"just now")
    assert gc(store, clock).removed == ()


def test_a_renewed_claim_protects_an_upload(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    killed(bare, store, clock)
    clock.pass_days(30)
    store.create("bare/claims/1.0.0.2.json", store.read("bare/claims/1.0.0.json"))
    assert gc(store, clock).removed == ()


def test_a_prefix_that_nobody_claimed_is_somebodys_own(
    store: MemoryStore, clock: Clock
) -> None:
    store.create("bare/v1.0.0/data/mine.txt", b"by hand")
    clock.pass_days(1000)
    assert gc(store, clock).removed == ()


def test_objects_without_a_time_stay(bare: Path, store: MemoryStore, clock: Clock) -> None:
    class Timeless(FaultyStore):
        def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
            return (replace(facts, modified=None) for facts in super().list(prefix))

    killed(bare, store, clock)
    clock.pass_days(30)
    done = gc(Timeless(store), clock)
    assert done.removed == ()
    assert "does not say when" in done.remains.kept[0].reason


def test_a_listing_that_hides_the_commit_record_removes_nothing(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    class Lagging(FaultyStore):
        def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
            return (facts for facts in super().list(prefix) if "/versions/" not in facts.key)

    publish(bare, store, version="1.0.0", options=elsewhere(clock))
    clock.pass_days(30)
    assert gc(Lagging(store), clock).removed == ()
    assert verify("bare@1.0.0", store).damage == ()


def test_a_crash_at_any_operation_of_gc_can_be_followed_by_another(
    bare: Path, clock: Clock
) -> None:
    def prepared() -> MemoryStore:
        clock.now = START
        store = MemoryStore(now=clock)
        publish(bare, store, version="0.9.0", options=elsewhere(clock))
        killed(bare, store, clock)
        clock.pass_days(8)
        return store

    counting = FaultyStore(prepared())
    gc(counting, clock)
    left = keys(counting.store)  # type: ignore[arg-type]  # it was prepared above
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            store = prepared()
            with pytest.raises(Crash):
                gc(FaultyStore(store, at=at, fault=fault), clock)
            assert verify("bare@0.9.0", store).damage == (), (fault, at)
            gc(store, clock)
            found = [key for key in keys(store) if not key.startswith(".scidata-probe/")]
            assert found == left, (fault, at)


def test_publishing_again_after_a_crash_at_any_operation_of_gc_is_sound(
    bare: Path, clock: Clock
) -> None:
    def prepared() -> MemoryStore:
        clock.now = START
        store = MemoryStore(now=clock)
        killed(bare, store, clock)
        clock.pass_days(8)
        return store

    counting = FaultyStore(prepared())
    gc(counting, clock)
    for at in range(1, counting.count + 1):
        store = prepared()
        with pytest.raises(Crash):
            gc(FaultyStore(store, at=at, fault="crash-after"), clock)
        options = replace(elsewhere(clock), takeover=True)
        publish(bare, store, version="1.0.0", options=options)
        assert verify("bare@1.0.0", store).damage == (), at
        clock.pass_days(30)
        gc(store, clock)
        assert verify("bare@1.0.0", store).damage == (), at


def test_a_publisher_who_slept_for_days_meets_the_collector_and_commits_nothing_unsound(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    asked: list[datetime] = []

    def sleeping() -> datetime:
        """The time of the claim; and, once everything is uploaded, that of a week later."""
        if asked:
            clock.pass_days(8)
            gc(store, clock)
        asked.append(clock.now)
        return clock.now

    around = aged(clock, host="elsewhere", now=sleeping)
    with pytest.raises(ConflictError, match="is gone"):
        publish(bare, store, version="1.0.0", options=PublishOptions(surroundings=around))
    assert COMMIT not in keys(store)
    publish(bare, store, version="1.0.0", options=elsewhere(clock))
    assert verify("bare@1.0.0", store).damage == ()


def test_a_publisher_renews_a_claim_of_six_days_before_the_commit(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    class Slow(FaultyStore):
        def create(self, key: str, source: bytes | Path, **options: object) -> bool:
            done = super().create(key, source)
            if key.endswith("catalog-1.0.0.yaml"):
                clock.pass_days(6.5)
            return done

    publish(bare, Slow(store), version="1.0.0", options=elsewhere(clock))
    assert "bare/claims/1.0.0.2.json" in keys(store)


def test_a_publisher_whose_old_claim_was_taken_over_does_not_commit(
    bare: Path, store: MemoryStore, clock: Clock
) -> None:
    class Slow(FaultyStore):
        def create(self, key: str, source: bytes | Path, **options: object) -> bool:
            done = super().create(key, source)
            if key.endswith("catalog-1.0.0.yaml"):
                clock.pass_days(6.5)
                other = Claim(
                    tx="o", host="h", user="eve", pid=1, started="2026-01-07T00:00:00Z"
                )
                self.store.create("bare/claims/1.0.0.2.json", claim_bytes(other))
            return done

    with pytest.raises(ConflictError, match="eve@h"):
        publish(bare, Slow(store), version="1.0.0", options=elsewhere(clock))
    assert COMMIT not in keys(store)


def test_old_probes_and_files_of_killed_writers_are_removed_from_a_folder(
    bare: Path, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    publish(bare, root, version="1.0.0")
    (root / ".incoming").mkdir(exist_ok=True)
    (root / ".scidata-probe").mkdir(exist_ok=True)
    names = (".incoming/a", ".incoming/young", ".scidata-probe/b", ".scidata-probe/young")
    for name in names:
        (root / name).write_bytes(b"left")
        if "young" not in name:
            os.utime(root / name, (1, 1))
    before = {f.key for f in LocalStore(root).list()}
    done = collect(root, apply=True)
    assert [item.name for item in done.remains.unfinished] == ["a"]
    assert before - {f.key for f in LocalStore(root).list()} == {".scidata-probe/b"}
    assert sorted(p.name for p in (root / ".incoming").iterdir()) == ["young"]
    assert verify("bare@1.0.0", root).damage == ()


def test_a_folders_old_upload_is_removed_with_its_folders(bare: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    with pytest.raises(Crash):
        publish(bare, FaultyStore(store, at=1, key=COMMIT), version="1.0.0")
    assert collect(store, apply=True).removed == ()
    for path in store.root.rglob("*"):
        os.utime(path, (1, 1))
    assert collect(store, apply=True).removed
    assert list(store.list()) == []


def test_uploads_in_parts_that_nobody_completed_are_aborted(s3_url: str) -> None:
    store = open_store(s3_url)
    assert isinstance(store, S3Store)
    store.create("bare/x", b"1")
    bucket = s3_url.split("/")[2]
    for key in ("prefix/bare/v1.0.0/data/big.bin", "elsewhere/big.bin"):
        store._call("create_multipart_upload", Bucket=bucket, Key=key)
    (found,) = store.unfinished()
    assert found.name.endswith("prefix/bare/v1.0.0/data/big.bin")
    store.discard(found)
    store.discard(found)
    assert list(store.unfinished()) == []
    listed = store._call("list_multipart_uploads", Bucket=bucket)
    assert [upload["Key"] for upload in listed["Uploads"]] == ["elsewhere/big.bin"]


def test_gc_on_s3_tells_the_time_of_the_server_and_removes_nothing_young(
    bare: Path, s3_url: str
) -> None:
    store = open_store(s3_url)
    with pytest.raises(Crash):
        publish(bare, FaultyStore(store, at=1, key=COMMIT), version="1.0.0")
    assert collect(store, apply=True).removed == ()
    ahead = Surroundings(now=lambda: datetime.now(UTC) + timedelta(days=30))
    assert collect(store, surroundings=ahead).remains.abandoned
    assert collect(store, apply=True, surroundings=ahead).removed == ()


def test_a_store_that_can_only_be_read_and_one_that_is_not_there_are_told_apart(
    tmp_path: Path,
) -> None:
    with pytest.raises(StorageError, match="can only be read"):
        collect("https://example.org/store")
    with pytest.raises(NotFoundError):
        collect(tmp_path / "absent")


# The law: whatever lies in a store, no committed key is ever removed.

VERSIONS = ["0.1.0", "1.0.0", "1.0.01", "1.0.0.1", "2.0.0"]
NAMES = [
    *(f"v{v}/data/x" for v in VERSIONS),
    *(f"v{v}/bagit.txt" for v in VERSIONS),
    *(f"catalog-{v}.yaml" for v in VERSIONS),
    *(f"claims/{v}{n}.json" for v in VERSIONS for n in ("", ".2", ".3", ".x")),
    *(f"versions/{v}{s}" for v in VERSIONS for s in (".json", ".status-0001.json", ".sig")),
    "catalog.yaml",
    "notes/v1.0.0/data/x",
]
CONTENTS = ["damaged", "sound", "delta", "collecting", ""]


def content(name: str, kind: str, dataset: str) -> bytes:
    if kind in {"sound", "delta"} and name.startswith("versions/") and name.endswith(".json"):
        version = name.removeprefix("versions/").removesuffix(".json")
        return record(dataset, version, ("v0.1.0",) if kind == "delta" else ())
    if kind == "collecting":
        return claim_bytes(
            Claim(tx="t", host="h", user="u", pid=1, started="2026-01-01", collecting=True)
        )
    return kind.encode()


def record(dataset: str, version: str, older: tuple[str, ...]) -> bytes:
    commit = CommitRecord.model_construct(
        format="scidata-version/1",
        dataset=dataset,
        version=version,
        digest="sha256:" + "0" * 64,
        algorithm="sha256",
        files=1,
        bytes=1,
        parent=None,
        prefixes=(*older, f"v{version}"),
        tags={f"v{version}/manifest-sha256.txt": TagFile(sha256="0" * 64, size=1)},
        assets=(),
        created="2026-01-01T00:00:00Z",
        tool="t",
        commit_id="c",
        unsafe_store=False,
    )
    return commit_bytes(commit)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["bare", "other", "Not-A-Dataset"]),
            st.sampled_from(NAMES),
            st.sampled_from(CONTENTS),
            st.integers(0, 20),
        ),
        max_size=30,
    )
)
def test_gc_never_removes_a_committed_key_whatever_the_store_holds(
    objects: list[tuple[str, str, str, int]],
) -> None:
    clock = Clock()
    store = MemoryStore(now=clock)
    for dataset, name, kind, day in objects:
        clock.now = START + timedelta(days=day)
        store.create(f"{dataset}/{name}", content(name, kind, dataset))
    clock.now = START + timedelta(days=20)
    before = {facts.key: facts for facts in store.list()}
    gc(store, clock)
    removed = before.keys() - set(keys(store))
    for key in removed:
        dataset, _, name = key.partition("/")
        version = next(v for v in VERSIONS if version_of(name, v))
        assert f"{dataset}/versions/{version}.json" not in before, key
        assert not [k for k in before if k.startswith(f"{dataset}/versions/{version}.")], key
        age = clock.now - datetime.fromisoformat(before[key].modified or "")
        collecting = name.startswith("claims/")
        assert collecting or age > timedelta(days=7), key
        for valid in ("0.1.0", "1.0.0", "2.0.0"):
            committed = f"{dataset}/versions/{valid}.json"
            named = store.read(committed) if committed in before else b""
            assert f'"v{version}"'.encode() not in named, key


def version_of(name: str, version: str) -> bool:
    return (
        name.startswith((f"v{version}/", f"catalog-{version}.yaml"))
        or name == f"claims/{version}.json"
        or name in {f"claims/{version}.2.json", f"claims/{version}.3.json"}
    )
