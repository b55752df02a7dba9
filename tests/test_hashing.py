"""Many files to digests: the same as hashlib's, in order, whatever their sizes."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidata import hashing
from scidata.digest import Digest
from scidata.errors import NotFoundError, ScidataError, StorageError
from scidata.hashing import GROUP, hash_each, hash_files, hash_stream


def write(folder: Path, sizes: list[int]) -> list[tuple[str, Path]]:
    files = []
    for number, size in enumerate(sizes):
        path = folder / f"{number:04d}.bin"
        path.write_bytes(bytes([number % 251]) * size)
        files.append((path.name, path))
    return files


def expected(files: list[tuple[str, Path]]) -> dict[str, tuple[Digest, int]]:
    contents = {key: path.read_bytes() for key, path in files}
    return {key: (Digest.of(data), len(data)) for key, data in contents.items()}


def test_hash_files_agrees_with_hashlib_around_the_block_size(tmp_path: Path) -> None:
    block = hashing.BLOCK
    sizes = [0, 1, block - 1, block, block + 1, 2 * block, 3 * block + 7] + [10] * (2 * GROUP)
    files = write(tmp_path, sizes)
    found = hash_files(files)
    assert found == expected(files)
    assert list(found) == [key for key, _ in files]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 64), max_size=40),
    threads=st.integers(1, 5),
    big=st.integers(1, 32),
)
def test_hash_files_does_not_depend_on_how_work_is_shared_out(
    tmp_path: Path, sizes: list[int], threads: int, big: int
) -> None:
    files = write(tmp_path, sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "BLOCK", big)  # so that tiny files count as big ones
        patch.setattr(hashing, "GROUP", 4)
        assert hash_files(files, threads=threads) == expected(files)


@given(st.lists(st.binary(max_size=50)))
def test_hash_stream_equals_the_hash_of_the_whole(blocks: list[bytes]) -> None:
    whole = b"".join(blocks)
    assert hash_stream(blocks) == (Digest(hashlib.sha256(whole).hexdigest()), len(whole))


def test_hash_files_names_the_file_that_is_missing(tmp_path: Path) -> None:
    files = [*write(tmp_path, [1, 2]), ("gone", tmp_path / "gone")]
    with pytest.raises(NotFoundError, match="gone") as caught:
        hash_files(files)
    assert str(tmp_path / "gone") in caught.value.where


def test_hash_files_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        hash_files([("folder", tmp_path / "folder")])


def test_hash_each_reports_a_read_error_and_goes_on(tmp_path: Path) -> None:
    files: list[tuple[str, Path]] = [("gone", tmp_path / "gone"), *write(tmp_path, [3])]
    found = {item.key: item for item in hash_each(files)}
    assert isinstance(found["gone"].error, FileNotFoundError)
    assert found["0000.bin"].size == 3


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    files = write(tmp_path, [5, 3 * hashing.BLOCK, 0])
    hash_files(files, progress=lambda done, total: told.append((done, total)))
    size = 5 + 3 * hashing.BLOCK
    assert told[-1] == (size, size)


def test_a_big_file_does_not_keep_the_rest_of_its_group_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(hashing, "BLOCK", 16)
    real = hashing.Meter.add

    def add(self: hashing.Meter, count: int) -> None:
        # Passes only if a second thread is inside a file, too: one after the other would hang.
        if count == 16 and both.n_waiting < 2:
            both.wait()
        real(self, count)

    monkeypatch.setattr(hashing.Meter, "add", add)
    assert len(hash_files(write(tmp_path, [16, 16]), threads=2)) == 2


def test_files_are_taken_only_as_far_as_they_are_needed(tmp_path: Path) -> None:
    path = write(tmp_path, [1])[0][1]
    taken = 0

    def endless() -> Iterator[tuple[str, Path]]:
        nonlocal taken
        while True:
            taken += 1
            yield str(taken), path

    items = hash_each(endless(), threads=1)
    next(items)
    items.close()  # type: ignore[attr-defined] # it is a generator
    after = taken
    time.sleep(0.05)
    assert taken == after


def test_an_error_while_walking_reaches_the_caller(tmp_path: Path) -> None:
    def walk() -> Iterator[tuple[str, Path]]:
        yield from write(tmp_path, [1])
        raise StorageError("the folder is gone", where="here", fix="bring it back")

    with pytest.raises(ScidataError, match="the folder is gone"):
        list(hash_each(walk()))


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    hash_files(write(tmp_path, [1, 2, 3]))
    assert not [t for t in threading.enumerate() if t.name.startswith("sha256")]
