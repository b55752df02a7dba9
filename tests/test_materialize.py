"""Making a delta whole: copies inside the store, the same version, resumable."""

import json
import shutil
import subprocess
from pathlib import Path

import bagit
import pytest

import scidata
from scidata.errors import ConflictError, IntegrityError
from scidata.materializing import materialize
from scidata.publishing import PublishOptions, publish
from scidata.pulling import pull
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.damage import command
from tests.samples import write_bare

NAME = "bare@1.1.0"


def deltas(store: StoreLike, folder: Path) -> StoreLike:
    """Publish a version, a delta of it and a delta of that."""
    for number in range(3):
        staged = write_bare(folder / f"staged-{number}", str(number))
        (staged / "data/deep/two.txt").write_text("kept\n")
        layout = PublishOptions(layout="delta") if number else None
        publish(staged, store, version=f"1.{number}.0", options=layout)
    return store


@pytest.fixture
def memory(tmp_path: Path) -> MemoryStore:
    store = MemoryStore()
    deltas(store, tmp_path)
    return store


def test_a_version_made_whole_is_the_same_version_in_one_folder(
    s3_url: str, tmp_path: Path
) -> None:
    for where in (deltas(tmp_path / "store", tmp_path / "a"), deltas(s3_url, tmp_path / "b")):
        store = open_store(where)
        record = store.read("bare/versions/1.1.0.json")
        done = materialize(NAME, where)
        assert (done.copied, done.bytes, done.already) == (1, 5, False)
        assert store.read("bare/versions/1.1.0.json") == record
        assert materialize(NAME, where).already
        for name in (NAME, "bare@1.2.0"):
            assert verify(name, where).damage == ()
        # Nothing of it depends on the older prefix any more.
        for key in [facts.key for facts in store.list("bare/v1.0.0/")]:
            store.delete(key)
        assert verify(NAME, where).damage == ()
        out = tmp_path / f"out-{len(str(where))}"
        pull(NAME, out, where)
        assert (out / "data/deep/two.txt").read_text() == "kept\n"
    shutil.copytree(tmp_path / "store/bare/v1.1.0", tmp_path / "plain")
    assert bagit.Bag(str(tmp_path / "plain")).is_valid()


def test_a_crash_at_any_operation_is_continued(tmp_path: Path) -> None:
    counting = FaultyStore(deltas(MemoryStore(), tmp_path / "a"))  # type: ignore[arg-type]  # a store
    materialize(NAME, counting)
    for number, at in enumerate(range(1, counting.count + 1)):
        store = MemoryStore()
        deltas(store, tmp_path / f"b{number}")
        with pytest.raises(Crash):
            materialize(NAME, FaultyStore(store, at=at, fault="crash-after"))
        assert verify(NAME, store).damage == ()
        materialize(NAME, store)
        assert materialize(NAME, store).already
        assert verify(NAME, store).damage == ()


def test_a_dry_run_writes_nothing(memory: MemoryStore) -> None:
    before = [facts.key for facts in memory.list()]
    assert materialize(NAME, memory, dry_run=True).copied == 1
    assert [facts.key for facts in memory.list()] == before


def test_a_lost_or_damaged_source_is_named(memory: MemoryStore) -> None:
    memory.delete("bare/v1.0.0/data/deep/two.txt")
    with pytest.raises(IntegrityError, match=r"'data/deep/two\.txt' of bare@1\.1\.0"):
        materialize(NAME, memory)
    memory.replace("bare/v1.0.0/data/deep/two.txt", b"rot!\n")
    with pytest.raises(IntegrityError, match="cannot be copied"):
        materialize(NAME, memory)


def test_other_bytes_in_the_prefix_are_a_conflict_and_stay(memory: MemoryStore) -> None:
    memory.create("bare/v1.1.0/data/deep/two.txt", b"mine\n")
    with pytest.raises(ConflictError, match="holds other bytes"):
        materialize(NAME, memory)
    assert memory.read("bare/v1.1.0/data/deep/two.txt") == b"mine\n"
    assert len(scidata.open(NAME, memory).published.locations.since) == 1


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    deltas(tmp_path / "store", tmp_path)
    arguments = ["materialize", NAME, "--store", str(tmp_path / "store")]
    dry = subprocess.run(
        command(*arguments, "--dry-run"), capture_output=True, text=True, check=True
    )
    assert "would copy 1 file" in dry.stdout
    done = subprocess.run(
        command(*arguments, "--json"), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert (found["copied"], found["already"]) == (1, False)
    assert found["digest"] == resolve(NAME, tmp_path / "store").digest
    again = subprocess.run(command(*arguments), capture_output=True, text=True, check=True)
    assert "whole already" in again.stdout
