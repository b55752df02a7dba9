"""Objects that are compared before they are decoded, and those that stay on the local disk."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, StorageError
from scidata.loaders.cache import Cache
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from tests.streams import asset_of, small_tiles, source_of

ROWS, WIDTH, SHARD = 64, 32, 8
OBJECT = SHARD * WIDTH * 4
"""Bytes of the numbers in a shard; its index comes on top."""
VALUES = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)


@pytest.fixture(autouse=True)
def tiled() -> Iterator[None]:
    with small_tiles():
        yield


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Rows in shards whose numbers are neither compressed nor checksummed."""
    folder = tmp_path / "rows.zarr"
    group = zarr.create_group(folder, zarr_format=3)
    array = group.create_array(
        "values",
        shape=VALUES.shape,
        dtype="f4",
        chunks=(2, WIDTH),
        shards=(SHARD, WIDTH),
        compressors=None,
        dimension_names=("row", "column"),
    )
    array[:] = VALUES
    samples = Samples(asset="rows", each=("row",), inputs=("values",))
    asset = asset_of(folder, consolidated=False)
    return source_of(asset, samples, dimension="row", ids=tuple(map(str, range(ROWS))))


def rows(stream: Stream) -> list[int]:
    """Return the rows of an epoch, each compared with what was written."""
    seen = []
    for batch in stream:
        for row, values in zip(batch["row"].tolist(), batch["values"], strict=True):
            assert np.array_equal(values, VALUES[row])
            seen.append(row)
    stream.close()
    return seen


def flip(folder: Path) -> str:
    """Flip a bit in the middle of a shard's numbers; return the object's path."""
    path = folder / "values" / "c" / "3" / "0"
    data = bytearray(path.read_bytes())
    data[OBJECT // 2] ^= 1
    path.write_bytes(data)
    return "values/c/3/0"


def folder_of(source: Source) -> Path:
    return Path(str(source.asset.objects.prefix))  # type: ignore[union-attr]  # local


def held(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if len(path.name) == 64]


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_the_second_epoch_comes_from_the_disk(
    source: Source, tmp_path: Path, shuffle: Shuffle
) -> None:
    cached = replace(source, cache=Cache(tmp_path / "cache"))
    order = Order(batch_size=5, shuffle=shuffle)
    first = rows(Stream(cached, order))
    assert len(held(tmp_path / "cache")) == ROWS // SHARD
    shutil.rmtree(folder_of(source) / "values" / "c")
    assert rows(Stream(cached, order)) == first
    assert sorted(first) == list(range(ROWS))


def test_a_flipped_bit_is_named_and_does_not_enter_the_cache(
    source: Source, tmp_path: Path
) -> None:
    path = flip(folder_of(source))
    cached = replace(source, cache=Cache(tmp_path / "cache"))
    with pytest.raises(IntegrityError, match=f"bad {path}: expected sha256:"):
        rows(Stream(cached, Order(batch_size=5)))
    damaged = source.asset.manifest[path].hex
    assert damaged not in {entry.name for entry in held(tmp_path / "cache")}


def test_a_flipped_bit_of_bare_numbers_is_found_with_verify_only(source: Source) -> None:
    path = flip(folder_of(source))
    with pytest.raises(AssertionError):
        rows(Stream(source, Order(batch_size=5)))
    with pytest.raises(IntegrityError, match=f"bad {path}"):
        rows(Stream(replace(source, verify=True), Order(batch_size=5)))


@pytest.mark.parametrize("shuffle", ["none", "window"])
def test_what_is_sound_streams_with_verify(source: Source, shuffle: Shuffle) -> None:
    stream = Stream(replace(source, verify=True), Order(batch_size=5, shuffle=shuffle))
    assert sorted(rows(stream)) == list(range(ROWS))


def test_verify_with_exact_needs_a_cache(source: Source, tmp_path: Path) -> None:
    checked = replace(source, verify=True)
    with pytest.raises(InvalidError, match="every object would be fetched whole"):
        Stream(checked, Order(batch_size=5, shuffle="exact"))
    cached = replace(checked, cache=Cache(tmp_path / "cache"))
    assert len(rows(Stream(cached, Order(batch_size=5, shuffle="exact")))) == ROWS


def test_an_object_that_does_not_fit_into_memory_is_refused(source: Source) -> None:
    stream = Stream(replace(source, verify=True), Order(batch_size=1), memory=3 * 1024)
    with pytest.raises(InvalidError, match="is needed whole"):
        rows(stream)
    stream.close()


def test_the_oldest_objects_go_when_the_cache_is_full(source: Source, tmp_path: Path) -> None:
    limit = 3 * (OBJECT + 200)
    cached = replace(source, cache=Cache(tmp_path / "cache", limit))
    assert len(rows(Stream(cached, Order(batch_size=5)))) == ROWS
    assert sum(path.stat().st_size for path in held(tmp_path / "cache")) <= limit


def test_an_object_larger_than_the_cache_streams_and_does_not_stay(
    source: Source, tmp_path: Path
) -> None:
    cached = replace(source, cache=Cache(tmp_path / "cache", OBJECT // 2))
    assert len(rows(Stream(cached, Order(batch_size=5)))) == ROWS
    assert held(tmp_path / "cache") == []


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 250)
    data = [bytes([n]) * 100 for n in range(3)]
    digests = [Digest.of(d) for d in data]
    for n in range(2):
        cache.put(digests[n], data[n])
        os.utime(tmp_path / digests[n].hex[:2] / digests[n].hex, (n, n))
    assert cache.get(digests[0]) is not None
    cache.put(digests[2], data[2])
    assert {path.name for path in held(tmp_path)} == {digests[0].hex, digests[2].hex}


def test_several_processes_keep_to_one_limit(tmp_path: Path) -> None:
    caches = [Cache(tmp_path, 1000) for _ in range(4)]
    for n in range(60):
        data = n.to_bytes(2, "little") * 20
        caches[n % 4].put(Digest.of(data), data)
    assert sum(path.stat().st_size for path in held(tmp_path)) <= 1000


def test_an_object_is_read_on_after_it_was_evicted(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 150)
    first, second = b"a" * 100, b"b" * 100
    kept = cache.put(Digest.of(first), first)
    cache.put(Digest.of(second), second)
    assert kept is not None
    assert kept.read(0, 200) == first
    assert cache.get(Digest.of(first)) is None


@pytest.mark.parametrize("lost", [0, 1])
def test_an_object_from_before_the_machine_began_is_compared_once_more(
    tmp_path: Path, lost: int
) -> None:
    cache, data = Cache(tmp_path), bytes(range(100))
    assert cache.put(Digest.of(data), data)
    (path,) = held(tmp_path)
    path.write_bytes(data[: len(data) - lost] + b"\0" * lost)
    os.utime(path, (0, 0))
    found = cache.get(Digest.of(data))
    assert (found is None) == bool(lost)
    assert path.exists() == (not lost)


def test_the_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "lock").symlink_to(victim)
    with pytest.raises(StorageError, match="the cache cannot be used"):
        Cache(tmp_path / "cache").put(Digest.of(b"data"), b"data")
    assert victim.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_clear_error(source: Source, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cached = replace(source, cache=Cache(tmp_path / "cache"))
    with pytest.raises(StorageError, match="the cache cannot be used"):
        rows(Stream(cached, Order(batch_size=5)))


def test_closing_lets_go_of_the_files_of_the_cache(source: Source, tmp_path: Path) -> None:
    stream = Stream(replace(source, cache=Cache(tmp_path / "cache")), Order(batch_size=5))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        list(stream)
        stream.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
