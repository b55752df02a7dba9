"""What an upload that never ended left behind, and that the remedies for it work."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from scidata.errors import ConflictError, IntegrityError, StorageError
from scidata.publishing import PublishOptions, Surroundings, plan_publish, publish
from scidata.publishing.upload import stamps
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.versions import Counting


def follow(fix: str, store: Store) -> Iterator[str]:
    """Remove what a remedy names, as its reader would with a shell's patterns."""
    for pattern in re.findall(r"bare/[^\s,]+", fix):
        for key in [facts.key for facts in store.list() if fnmatchcase(facts.key, pattern)]:
            store.delete(key)
            yield key


@pytest.mark.parametrize("text", ["one c\n", "of another size\n"])
def test_following_the_remedy_for_an_upload_of_other_data_publishes(
    bare: Path, text: str
) -> None:
    memory = MemoryStore()
    publish(bare, memory, version="0.9.0")
    commit = "bare/versions/1.0.0.json"
    with pytest.raises(Crash):
        publish(bare, FaultyStore(memory, at=1, only=("create",), key=commit), version="1.0.0")
    (bare / "data" / "one.txt").write_text(text)
    with pytest.raises(ConflictError) as caught:
        publish(bare, memory, version="1.0.0")
    removed = set(follow(caught.value.fix, memory))
    assert {"bare/catalog-1.0.0.yaml", "bare/claims/1.0.0.json"} < removed
    assert not any("0.9.0" in key for key in removed)
    assert not publish(bare, memory, version="1.0.0").already
    assert verify("bare@1.0.0", memory).damage == ()


def test_a_stray_file_beside_the_commit_records_does_not_stop_publishing(bare: Path) -> None:
    memory = MemoryStore()
    memory.create("bare/versions/01.0.0.json", b"{}")
    publish(bare, memory, version="1.0.0")
    assert publish(bare, memory, version="1.0.0").already


def test_a_staged_file_that_vanishes_or_cannot_be_looked_at_is_no_traceback(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(error: OSError) -> None:
        def lstat(self: Path) -> os.stat_result:
            if self.name == "one.txt":
                raise error
            return os.lstat(self)

        monkeypatch.setattr(Path, "lstat", lstat)

    failing(FileNotFoundError(2, "gone"))
    assert list(stamps(bare)) == ["data/deep/two.txt"]
    failing(PermissionError(13, "Permission denied"))
    with pytest.raises(StorageError, match="Permission denied") as caught:
        stamps(bare)
    assert str(bare / "data" / "one.txt") in caught.value.message


def test_a_user_without_a_name_can_publish(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr("getpass.getuser", nameless)
    memory = MemoryStore()
    publish(bare, memory, version="1.0.0", options=PublishOptions(surroundings=Surroundings()))
    assert f'"uid-{os.getuid()}"'.encode() in memory.read("bare/claims/1.0.0.json")


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("v1.0.0/data/one.txt", "missing"),
        ("v1.0.0/meta/record.yaml", "missing"),
        ("catalog-1.0.0.yaml", "missing"),
        ("v1.0.0/data/deep/two.txt", "bad"),
    ],
)
def test_publishing_again_notices_what_the_store_lost_of_a_committed_version(
    bare: Path, key: str, state: str
) -> None:
    memory = MemoryStore()
    publish(bare, memory, version="1.0.0")
    memory.delete(f"bare/{key}")
    if state == "bad":
        memory.create(f"bare/{key}", b"")
    for act in (publish, plan_publish):
        with pytest.raises(IntegrityError, match="is published, but the store") as caught:
            act(bare, memory, version="1.0.0")
        assert [(d.path, d.state) for d in caught.value.damage] == [(key, state)]
        assert "scidata verify bare@1.0.0 --store memory://" in caught.value.fix


def test_publishing_again_reads_no_object_of_a_version_that_is_all_there(bare: Path) -> None:
    memory = MemoryStore()
    publish(bare, memory, version="1.0.0")
    counting = Counting(memory)
    assert publish(bare, counting, version="1.0.0").already
    read = {r for r in counting.requests if "/data/" in r or r.startswith("stream")}
    assert read == set()
