"""Mirrors: the same bytes under the same keys, or nothing; and never damaged ones."""

import tracemalloc
from pathlib import Path

import pytest

from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.index import rebuild
from scidata.listing import read_listing
from scidata.marking import Mark, mark
from scidata.materializing import materialize
from scidata.mirroring import Mirrored, MirrorOptions, mirror
from scidata.purging import purge
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.surroundings import Surroundings
from scidata.testing.faults import OPERATIONS, Crash, Fault, FaultyStore
from scidata.transferring import Transfer, transfer
from scidata.verifying import verify
from tests.versions import write_delta, write_version

COMMIT = "bare/versions/1.0.0.json"

# The mirrored version is deprecated, of which every reader is warned.
pytestmark = pytest.mark.filterwarnings("ignore::scidata.warning.ScidataWarning")


@pytest.fixture
def source(bare: Path) -> MemoryStore:
    """A store with bare 1.0.0, which is deprecated, and 1.1.0 with other data."""
    store = MemoryStore("source")
    write_version(store, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_version(store, bare, "1.1.0", parent="1.0.0")
    mark("bare@1.0.0", Mark(state="deprecated", reason="old"), store)
    return store


def immutable(store: Store) -> dict[str, bytes]:
    mutable = {"index.yaml", "catalog.json", "bare/catalog.yaml", "bare/collection.json"}
    return {
        f.key: store.read(f.key)
        for f in store.list()
        if f.key not in mutable and "/claims/" not in f.key and not f.key.startswith(".scidata")
    }


def everything(store: Store, to: Store | Path | str) -> Mirrored:
    return mirror([], store, to=to)


@pytest.fixture(params=["memory", "folder", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore("target")
    if request.param == "folder":
        return LocalStore(tmp_path / "mirror")
    return open_store(request.getfixturevalue("s3_url"))


def test_a_mirror_holds_the_same_bytes_statuses_and_catalogs(
    source: MemoryStore, target: Store
) -> None:
    done = everything(source, target)
    assert [item.name for item in done.versions] == ["bare@1.0.0", "bare@1.1.0"]
    assert done.warnings == ()
    assert immutable(target) == immutable(source)
    assert target.read("bare/catalog.yaml") == source.read("bare/catalog.yaml")
    assert verify("bare@1.1.0", target).damage == ()
    assert resolve("bare", target).digest == resolve("bare", source).digest


def test_mirroring_again_sends_nothing_but_what_is_new(
    source: MemoryStore, target: Store, bare: Path
) -> None:
    everything(source, target)
    assert all(item.there for item in everything(source, target).versions)
    write_version(source, bare, "1.2.0")
    mark("bare@1.1.0", Mark(state="withdrawn", reason="bad"), source)
    done = everything(source, target)
    assert [item.there for item in done.versions] == [True, True, False]
    assert immutable(target) == immutable(source)
    assert read_listing(target).versions["bare"][1].version == "1.1.0"


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_went_out_comes_back(
    source: MemoryStore, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there: str | Path = tmp_path / "a"
    if kind == "s3":
        there = str(request.getfixturevalue("s3_url"))
    everything(source, there)
    mirror(["bare"], there, to=tmp_path / "b")
    assert immutable(LocalStore(tmp_path / "b")) == immutable(source)


def test_a_store_on_the_web_can_be_mirrored(
    source: MemoryStore, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    everything(source, folder)
    copy = MemoryStore("copy")
    everything(open_store(url), copy)
    assert immutable(copy) == immutable(source)


def test_one_version_alone_can_be_mirrored_into_a_store_with_others(
    source: MemoryStore, bare: Path
) -> None:
    target = MemoryStore("target")
    write_version(target, bare, "7.0.0")
    mirror(["bare@1.1.0"], source, to=target)
    assert [c.version for c in read_listing(target).versions["bare"]] == ["1.1.0", "7.0.0"]
    assert verify("bare@1.1.0", target).damage == ()


def test_a_delta_alone_brings_what_it_inherits(bare: Path) -> None:
    source, target = MemoryStore("source"), MemoryStore("target")
    first = write_version(source, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_delta(source, bare, "1.1.0", first, {"data/deep/two.txt": "1.0.0"})
    mirror(["bare@1.1.0"], source, to=target)
    assert verify("bare@1.1.0", target).damage == ()
    with pytest.raises(NotFoundError):
        resolve("bare@1.0.0", target)
    mirror(["bare"], source, to=target)
    assert verify("bare@1.0.0", target).damage == ()
    assert immutable(target) == immutable(source)


def test_a_delta_alone_and_then_its_older_version_may_come_from_two_machines(
    bare: Path,
) -> None:
    source, target = MemoryStore("source"), MemoryStore("target")
    first = write_version(source, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_delta(source, bare, "1.1.0", first, {"data/deep/two.txt": "1.0.0"})
    for name, host in (("bare@1.1.0", "here"), ("bare@1.0.0", "there")):
        options = MirrorOptions(surroundings=Surroundings(host=host))
        mirror([name], source, to=target, options=options)
    assert verify("bare@1.0.0", target).damage == ()
    assert immutable(target) == immutable(source)


def test_a_delta_on_a_version_that_was_purged_there_is_refused(bare: Path) -> None:
    source, target = MemoryStore("source"), MemoryStore("target")
    first = write_version(source, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_delta(source, bare, "1.1.0", first, {"data/deep/two.txt": "1.0.0"})
    mirror(["bare@1.0.0"], source, to=target)
    purge("bare@1.0.0", "a court's order", target)
    with pytest.raises(ConflictError, match="a court's order") as caught:
        mirror(["bare@1.1.0"], source, to=target)
    assert "scidata materialize bare@1.1.0" in caught.value.fix
    assert list(target.list("bare/v1.0.0/data/")) == []
    materialize("bare@1.1.0", source)
    mirror(["bare@1.1.0"], source, to=target)
    assert verify("bare@1.1.0", target).damage == ()
    assert list(target.list("bare/v1.0.0/data/")) == []


def test_a_dry_run_tells_how_much_and_writes_nothing(source: MemoryStore) -> None:
    target = MemoryStore("target")
    done = mirror(["bare"], source, to=target, options=MirrorOptions(dry_run=True))
    assert list(target.list()) == []
    real = mirror(["bare"], source, to=target)
    assert [(i.objects, i.bytes) for i in done.versions] == [
        (i.objects, i.bytes) for i in real.versions
    ]
    assert sum(item.bytes for item in real.versions) > 0


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
@pytest.mark.parametrize("key", ["bare/v1.0.0/data/one.txt", "bare/v1.0.0/README.md"])
def test_a_damaged_object_is_named_and_its_version_never_mirrored(
    source: MemoryStore, damage: str, key: str
) -> None:
    data = source.read(key)
    spoilt = {"flip": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "grow": data + b"x"}
    source.delete(key)
    if damage != "remove":
        source.create(key, spoilt[damage])
    target = MemoryStore("target")
    with pytest.raises(IntegrityError) as caught:
        everything(source, target)
    assert key.removeprefix("bare/") in str(caught.value)
    assert not [f for f in target.list() if "/versions/" in f.key]
    with pytest.raises(NotFoundError):
        resolve("bare@1.0.0", target)


def test_bytes_spoilt_once_on_their_way_are_asked_for_again(source: MemoryStore) -> None:
    for fault in ("cut", "flipped"):
        target = MemoryStore("target")
        spoiling = FaultyStore(source, at=2, fault=fault, only=("read",), key="/v1.0.0/data/")
        mirror(["bare@1.0.0"], spoiling, to=target)
        assert spoiling.count > 2
        assert verify("bare@1.0.0", target).damage == ()


def test_a_crash_at_any_operation_of_the_mirror_is_resumed(source: MemoryStore) -> None:
    counting = FaultyStore(MemoryStore("target"))
    mirror(["bare@1.0.0"], source, to=counting)
    writing = ("create", "replace", "delete", "list", "head", "read")
    assert set(OPERATIONS) - set(writing) == {"stream", "copy"}
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            target = MemoryStore("target")
            with pytest.raises(Crash):
                mirror(["bare@1.0.0"], source, to=FaultyStore(target, at=at, fault=fault))
            if COMMIT in {f.key for f in target.list()}:
                assert verify("bare@1.0.0", target).damage == (), (fault, at)
            mirror(["bare@1.0.0"], source, to=target)
            assert immutable(target) == immutable(counting.store), (fault, at)


def test_a_crash_on_a_folder_is_resumed(source: MemoryStore, tmp_path: Path) -> None:
    counting = FaultyStore(LocalStore(tmp_path / "whole"))
    mirror(["bare@1.0.0"], source, to=counting)
    for at in range(1, counting.count + 1, 7):
        target = LocalStore(tmp_path / f"mirror-{at}")
        with pytest.raises(Crash):
            mirror(["bare@1.0.0"], source, to=FaultyStore(target, at=at, fault="crash-after"))
        mirror(["bare@1.0.0"], source, to=target)
        assert immutable(target) == immutable(counting.store), at


@pytest.mark.parametrize("fault", ["lost-response", "precondition"])
def test_no_lost_answer_or_groundless_refusal_stops_a_mirror(
    source: MemoryStore, fault: Fault
) -> None:
    for at in range(1, 13):
        target = MemoryStore("target")
        faulty = FaultyStore(target, at=at, fault=fault, only=("create",), key="/v1.0.0/")
        mirror(["bare@1.0.0"], source, to=faulty)
        assert faulty.count >= at
        assert verify("bare@1.0.0", target).damage == (), at


def test_an_answer_to_the_commit_that_is_lost_is_looked_up(source: MemoryStore) -> None:
    target = MemoryStore("target")
    lossy = FaultyStore(target, at=1, fault="lost-response", only=("create",), key=COMMIT)
    mirror(["bare@1.0.0"], source, to=lossy)
    assert immutable(target).keys() <= immutable(source).keys()
    other = MemoryStore("other")
    wrong = FaultyStore(other, at=1, fault="precondition", only=("create",), key=COMMIT)
    with pytest.raises(StorageError, match="does not return it"):
        mirror(["bare@1.0.0"], source, to=wrong)
    mirror(["bare@1.0.0"], source, to=other)
    assert verify("bare@1.0.0", other).damage == ()


def test_the_same_number_with_other_data_is_a_conflict_and_nothing_is_written(
    source: MemoryStore, bare: Path
) -> None:
    target = MemoryStore("target")
    (bare / "data" / "one.txt").write_text("of another curator\n")
    write_version(target, bare, "1.0.0")
    rebuild(target)
    before = {f.key: target.read(f.key) for f in target.list()}
    with pytest.raises(ConflictError, match="with other data"):
        mirror(["bare@1.0.0"], source, to=target)
    assert {f.key: target.read(f.key) for f in target.list()} == before


def test_an_object_of_somebody_else_is_a_conflict_that_names_it(source: MemoryStore) -> None:
    target = MemoryStore("target")
    target.create("bare/v1.0.0/data/one.txt", b"of somebody else")
    with pytest.raises(ConflictError, match=r"data/one\.txt"):
        mirror(["bare@1.0.0"], source, to=target)
    assert COMMIT not in {f.key for f in target.list()}


def test_statuses_that_differ_are_told_and_not_overwritten(source: MemoryStore) -> None:
    target = MemoryStore("target")
    mirror(["bare@1.1.0"], source, to=target)
    mark("bare@1.1.0", Mark(state="deprecated", reason="theirs"), target)
    mark("bare@1.1.0", Mark(state="withdrawn", reason="ours"), source)
    done = mirror(["bare@1.1.0"], source, to=target)
    assert "withdrawn in the one store and deprecated in the other" in done.warnings[0]


def test_a_purged_version_is_mirrored_as_its_description_alone(source: MemoryStore) -> None:
    before = MemoryStore("before")
    everything(source, before)
    purge("bare@1.0.0", "a person asked", source)
    target = MemoryStore("target")
    everything(source, target)
    assert immutable(target) == immutable(source)
    with pytest.raises(NotFoundError, match="a person asked"):
        resolve("bare@1.0.0", target)
    done = everything(source, before)
    assert any("scidata purge bare@1.0.0" in text for text in done.warnings)


def test_a_store_is_not_mirrored_to_itself_nor_to_the_web(
    source: MemoryStore, tmp_path: Path
) -> None:
    with pytest.raises(InvalidError, match="to itself"):
        everything(source, MemoryStore("source"))
    with pytest.raises(StorageError, match="read-only"):
        everything(source, "https://example.org/store")
    with pytest.raises(NotFoundError):
        mirror(["bare"], tmp_path / "absent", to=MemoryStore("target"))


def test_a_large_object_passes_in_bounded_memory(tmp_path: Path) -> None:
    source, target = LocalStore(tmp_path / "a"), LocalStore(tmp_path / "b")
    size = 64 * 2**20
    (tmp_path / "big").write_bytes(bytes(size))
    source.create("d/v1.0.0/data/big", tmp_path / "big")
    import hashlib

    sha256 = hashlib.sha256(bytes(size)).hexdigest()
    item = Transfer(key="d/v1.0.0/data/big", size=size, sha256=sha256)
    tracemalloc.start()
    transfer([item], source, target, name="d@1.0.0")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert target.head("d/v1.0.0/data/big").size == size


def test_a_large_object_that_is_damaged_is_not_written(tmp_path: Path) -> None:
    source, target = LocalStore(tmp_path / "a"), MemoryStore("target")
    source.create("x", bytes(9 * 2**20))
    item = Transfer(key="x", size=9 * 2**20, sha256="0" * 64)
    with pytest.raises(IntegrityError, match=r"d@1\.0\.0: x"):
        transfer([item], source, target, name="d@1.0.0")
    assert list(target.list()) == []
