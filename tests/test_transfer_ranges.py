"""Large objects are read by several ranges at once: in order, in bounded memory, resumed."""

import os
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from scidata.errors import IntegrityError, StorageError
from scidata.pulling import pull
from scidata.storage import open_store
from scidata.storage.ahead import Ahead
from scidata.storage.base import Store
from scidata.storage.objects import RANGE, RANGES_AT_ONCE
from scidata.storage.s3 import S3Store
from scidata.verifying import verify
from tests.damage import BIG, BIG_BYTES, with_big_file
from tests.servers import Fault, Proxy, faulty_proxy

KEY = f"tiny/v1.1.0/{BIG}"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.1.0, in which one file is 24 MiB: six ranges."""
    return with_big_file(tmp_path_factory.mktemp("published"))


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    with faulty_proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(s3_url: str, proxy: Proxy, published: Path) -> Store:
    """The same versions on S3, behind a proxy."""
    whole = open_store(s3_url)
    for facts in open_store(published).list():
        whole.create(facts.key, published / facts.key)
    return open_store(s3_url, endpoint_url=proxy.url)


def asked(proxy: Proxy) -> int:
    return len([line for line in proxy.seen if line.startswith("GET") and BIG in line])


def test_a_large_object_is_asked_for_in_ranges_of_which_none_is_asked_for_twice(
    store: Store, proxy: Proxy, published: Path
) -> None:
    assert b"".join(store.stream(KEY)) == (published / KEY).read_bytes()
    assert asked(proxy) == BIG_BYTES // RANGE


def test_ranges_are_on_their_way_at_once(store: Store, proxy: Proxy) -> None:
    proxy.method, proxy.path, proxy.fault, proxy.times = "GET", BIG, "slow", 1000
    began = time.monotonic()
    assert sum(map(len, store.stream(KEY))) == BIG_BYTES
    # Each answer takes a second; one after another they would take six.
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("fault", ["busy", "broken", "reset", "cut", "short"])
def test_a_range_that_a_server_or_the_line_loses_is_asked_for_again(
    store: Store, proxy: Proxy, published: Path, fault: Fault
) -> None:
    proxy.method, proxy.path, proxy.fault, proxy.times = "GET", BIG, fault, 2
    assert b"".join(store.stream(KEY)) == (published / KEY).read_bytes()
    assert proxy.times == 0
    assert asked(proxy) <= BIG_BYTES // RANGE + 2


def test_a_byte_flipped_on_its_way_down_is_fetched_again(
    store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.method, proxy.path, proxy.fault = "GET", BIG, "flip"
    pull("tiny@1.1.0", tmp_path / "out", store)
    assert proxy.times == 0
    assert asked(proxy) == 2 * (BIG_BYTES // RANGE)
    assert verify(tmp_path / "out", store).sound


def test_bytes_that_stay_wrong_are_named_after_two_tries(
    store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.method, proxy.path, proxy.fault, proxy.times = "GET", BIG, "flip", 1000
    with pytest.raises(IntegrityError, match=r"big\.bin"):
        pull("tiny@1.1.0", tmp_path / "out", store)
    assert asked(proxy) == 2 * (BIG_BYTES // RANGE)
    assert not (tmp_path / "out" / BIG).exists()


def test_a_pull_that_fails_inside_a_file_continues_there(
    store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    proxy.method, proxy.path = "GET", BIG
    head = b"".join(islice(store.stream(KEY), 2))
    (out / "data").mkdir(parents=True)
    (out / "manifest-sha256.txt").write_bytes(store.read("tiny/v1.1.0/manifest-sha256.txt"))
    (out / (BIG + ".part")).write_bytes(head)
    time.sleep(0.5)  # what was on its way for nobody has arrived
    proxy.seen.clear()
    pull("tiny@1.1.0", out, store)
    assert asked(proxy) == BIG_BYTES // RANGE - 2
    assert verify(out, store).sound


def test_an_object_that_vanishes_while_it_is_read_is_told(store: Store, proxy: Proxy) -> None:
    blocks = store.stream(KEY)
    next(blocks)
    proxy.method, proxy.path, proxy.fault, proxy.times = "GET", BIG, "lost", 1000
    with pytest.raises((StorageError, LookupError)):
        list(blocks)


def test_a_server_that_refuses_ranges_is_asked_for_one_once(
    rclone_url: str, published: Path
) -> None:
    with faulty_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        store = open_store(rclone_url, endpoint_url=proxy.url)
        assert isinstance(store, S3Store)
        for name in "ab":
            store.create(name, (published / KEY).read_bytes())
            assert b"".join(store.stream(name)) == (published / KEY).read_bytes()
        gets = [line[-2:] for line in proxy.seen if line.startswith("GET")]
        assert gets == ["/a", "/a", "/b"]


def test_ranges_ahead_of_all_readers_together_are_bounded() -> None:
    ahead, begun, lock = Ahead(4), [0], threading.Lock()

    def get(start: int, end: int) -> bytes:
        with lock:
            begun[0] += 1
        return bytes(end - start)

    readers = [ahead.read(get, range(0, 100, 2), 99) for _ in range(3)]
    for reader in readers:
        next(reader)
    time.sleep(0.1)
    assert begun[0] <= 3 + 3 + 4  # one that each holds, one that each may have, four more
    sizes = [len(block) for block in readers[0]]
    assert sizes == [2] * 48 + [1]
    for reader in readers[1:]:
        reader.close()  # type: ignore[attr-defined]  # a generator
    assert [len(block) for block in ahead.read(get, range(0, 4, 2), 4)] == [2, 2]
    assert all(ahead._free.acquire(blocking=False) for _ in range(4))


def test_a_range_that_fails_is_raised_in_its_place() -> None:
    def get(start: int, end: int) -> bytes:
        if start == 4:
            raise StorageError("gone", where="here", fix="wait")
        return bytes(end - start)

    blocks = Ahead(RANGES_AT_ONCE).read(get, range(0, 10, 2), 10)
    assert [len(next(blocks)), len(next(blocks))] == [2, 2]
    with pytest.raises(StorageError, match="gone"):
        next(blocks)
