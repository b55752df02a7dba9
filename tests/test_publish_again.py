"""Staged files that were hashed before are not read again, unless they may have changed."""

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scidata.publishing import PublishOptions, Surroundings, plan_publish, publish
from scidata.storage.memory import MemoryStore


def settled() -> datetime:
    """A time at which whatever was written until now counts as written long ago."""
    return datetime.now(UTC) + timedelta(minutes=1)


def opened_by(
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    rehash: bool = False,
    now: Callable[[], datetime] = settled,
) -> set[str]:
    """Publish nothing, and say which staged files were hashed for it."""
    hashed: list[str] = []

    def hash_each(files, **rest):  # type: ignore[no-untyped-def]  # as the original
        for key, path in files:
            hashed.append(key)
            yield from original([(key, path)], **rest)

    from scidata import hashing

    original = hashing.hash_each
    options = PublishOptions(rehash=rehash, surroundings=Surroundings(now=now))
    with monkeypatch.context() as patch:
        patch.setattr(hashing, "hash_each", hash_each)
        plan_publish(staged, MemoryStore(), version="1.0.0", options=options)
    return set(hashed)


def test_files_that_did_not_change_are_not_read_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"data/one.txt", "data/deep/two.txt"}
    assert opened_by(bare, monkeypatch) == both
    assert opened_by(bare, monkeypatch) == set()
    assert opened_by(bare, monkeypatch, rehash=True) == both
    (bare / "data/one.txt").write_text("ONE a\n")  # of the same size
    assert opened_by(bare, monkeypatch) == {"data/one.txt"}
    (bare / "data/one.txt").replace(bare / "data/three.txt")
    assert opened_by(bare, monkeypatch) == {"data/three.txt"}


def test_a_file_that_was_written_just_now_is_read_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def just_now() -> datetime:
        return datetime.now(UTC)

    # Another write within the clock's resolution would leave no trace, whatever its mtime says.
    os.utime(bare / "data/one.txt", (1e9, 1e9))
    for _ in range(2):
        assert len(opened_by(bare, monkeypatch, now=just_now)) == 2


def test_a_file_that_was_exchanged_for_another_is_read(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(bare / "data/one.txt", (1e9, 1e9))
    opened_by(bare, monkeypatch)
    (bare / "other").write_text("ONE a\n")
    os.utime(bare / "other", (1e9, 1e9))
    (bare / "other").replace(bare / "data/one.txt")  # same size and time, another inode
    assert opened_by(bare, monkeypatch) == {"data/one.txt"}


def test_other_bytes_under_the_old_time_are_read_and_never_inherited(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = MemoryStore(), bare / "data/one.txt"
    os.utime(name, (1e9, 1e9))
    later = PublishOptions(layout="delta", surroundings=Surroundings(now=settled))
    publish(bare, store, version="1.0.0", options=replace(later, layout=None))
    assert opened_by(bare, monkeypatch) == set()
    with name.open("r+") as file:  # same file, same size
        file.write("ONE")
    os.utime(name, (1e9, 1e9))
    done = publish(bare, store, version="1.1.0", options=later)
    assert done.commit.new_files == 1
    assert store.read("bare/v1.1.0/data/one.txt") == b"ONE a\n"


@pytest.mark.parametrize("damage", [b"", b"x", b"cut", b"list"])
def test_a_damaged_memory_counts_as_none(
    bare: Path, isolated_user: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    opened_by(bare, monkeypatch)
    (memory,) = isolated_user.rglob("*.json.z")
    whole = memory.read_bytes()
    spoilt = {b"cut": whole[:-3], b"list": zlib.compress(b'{"files": [1]}')}
    memory.write_bytes(spoilt.get(damage, damage))
    assert len(opened_by(bare, monkeypatch)) == 2
    assert opened_by(bare, monkeypatch) == set()
