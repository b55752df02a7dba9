"""Stores: the contract, on every backend, and what only one of them can get wrong."""

import errno
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.storage import default_store_url, local, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.storage.refusals import from_server
from scidata.testing.contracts import StoreContract
from tests.servers import free_port


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestLocalStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "store")


class TestLocalStoreWithoutHardLinks(StoreContract):
    """As on FAT, exFAT and some network disks."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
        def refuse(self: Path, target: Path) -> None:
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        return LocalStore(tmp_path / "store")


class TestLocalStoreWithNothingButLocks(TestLocalStoreWithoutHardLinks):
    """Where a rename cannot refuse to overwrite, either."""

    @pytest.fixture(autouse=True)
    def _no_flags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(written: Path, target: Path) -> None:
            raise OSError(errno.EINVAL, "no such flag here")

        monkeypatch.setattr(local, "_rename_without_replacing", refuse)


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, s3_url: str) -> Store:
        return open_store(s3_url)


class TestS3StoreAtTheRootOfABucket(StoreContract):
    @pytest.fixture
    def store(self, s3_url: str) -> Store:
        return open_store(s3_url.removesuffix("/prefix"))


# Reading from http


@pytest.fixture
def http_store(http_folder: tuple[str, Path]) -> Store:
    base_url, folder = http_folder
    written = LocalStore(folder / "mirror")
    written.create("a/b c.txt", b"0123456789")
    return open_store(f"{base_url}/mirror")


def test_http_reads_streams_and_heads(http_store: Store) -> None:
    assert http_store.read("a/b c.txt") == b"0123456789"
    assert b"".join(http_store.stream("a/b c.txt", start=7)) == b"789"
    assert http_store.head("a/b c.txt").size == 10
    with pytest.raises(NotFoundError):
        http_store.read("a/none")


def test_http_explains_that_it_can_neither_list_nor_write(http_store: Store) -> None:
    with pytest.raises(StorageError, match="http offers no listing"):
        http_store.list("a/")
    with pytest.raises(StorageError, match="read-only"):
        http_store.create("x", b"")
    assert not http_store.writable


# A folder's own dangers


def test_a_local_store_follows_no_link_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x").write_bytes(b"secret")
    store = LocalStore(tmp_path / "store")
    store.create("a", b"1")
    (store.root / "folder").symlink_to(tmp_path / "secret")
    (store.root / "file").symlink_to(tmp_path / "secret" / "x")
    with pytest.raises(InvalidError, match="leaves the store through a link"):
        store.read("folder/x")
    with pytest.raises(InvalidError, match="leaves the store through a link"):
        store.create("folder/y", b"")
    with pytest.raises(StorageError, match="the path is a link"):
        store.read("file")
    assert [facts.key for facts in store.list()] == ["a"]
    assert sorted(p.name for p in (tmp_path / "secret").iterdir()) == ["x"]


def test_a_local_store_leaves_nothing_beside_the_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.create("a/b", b"1")
    store.replace("c", b"2")
    assert sorted(p.name for p in store.root.iterdir()) == ["a", "c"]


def test_writers_that_remove_empty_folders_do_not_disturb_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")

    def come_and_go(writer: int) -> None:
        for n in range(100):
            assert store.create(f"shared/deep/{writer}-{n}", b"x")
            store.delete(f"shared/deep/{writer}-{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert list(store.list()) == []


def test_a_full_disk_is_a_storage_error_and_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = LocalStore(tmp_path / "store")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        store.create("a/b", bytes(1000))
    assert "free some space" in caught.value.fix
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_folder_where_the_path_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        LocalStore(tmp_path / "store").create("a", b"")


# Addresses


def test_open_store_understands_paths_urls_and_stores(tmp_path: Path) -> None:
    by_path, by_text = open_store(tmp_path / "a b"), open_store(str(tmp_path / "a b"))
    by_url = open_store(by_path.url)
    assert by_path.url == by_text.url == by_url.url == f"file://{tmp_path}/a%20b"
    assert open_store(by_path) is by_path


def test_the_default_store_is_the_users_data_folder_unless_the_environment_names_one(
    isolated_user: Path,
) -> None:
    assert default_store_url({"SCIDATA_STORE": "s3://b/p"}) == "s3://b/p"
    assert Path(default_store_url({})).is_relative_to(isolated_user)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "s3:///prefix",
        "s3://key:hunter2@bucket/x",
        "https://user:hunter2@host/x",
        "https://host/x?X-Amz-Signature=hunter2",
        "file://other-host/x",
    ],
)
def test_an_address_that_cannot_be_right_is_invalid_and_its_secret_not_repeated(
    url: str,
) -> None:
    with pytest.raises(InvalidError) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidError) as caught:
        open_store("s3://bucket/x", endpoint_url="http://u:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_options_go_before_the_environment(s3_url: str, s3_endpoint: str) -> None:
    other = f"http://127.0.0.1:{free_port()}"
    assert other in open_store(s3_url, endpoint_url=other).address
    assert s3_endpoint in open_store(s3_url).address


def test_the_options_that_lead_to_a_store_open_the_same_store_again(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    folder = open_store(tmp_path / "a store")
    bucket = open_store(s3_url)
    public = open_store(s3_url, endpoint_url=s3_endpoint, anonymous=True)
    web = open_store("https://example.org/store")
    assert options_of(folder) == f"--store {folder.url}"
    assert open_store(options_of(folder).split()[1]).address == folder.address
    assert options_of(bucket) == f"--store {s3_url} --endpoint-url {s3_endpoint}"
    assert options_of(public) == f"{options_of(bucket)} --no-sign-request"
    assert options_of(web) == "--store https://example.org/store"


@pytest.mark.parametrize(
    ("url", "options"),
    [("{folder}", {}), ("https://data.example.org/store", {}),
     ("s3://bucket/prefix", {"endpoint_url": "http://127.0.0.1:9", "anonymous": True})],
    ids=["folder", "https", "s3"],
)  # fmt: skip
def test_a_store_travels_to_another_process_of_ours(
    tmp_path: Path, url: str, options: dict[str, Any]
) -> None:
    store = open_store(url.format(folder=tmp_path), **options)
    there: Store = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own, as spawn has it
    assert (type(there), there.address, there.url) == (type(store), store.address, store.url)
    assert there.writable == store.writable


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_a_wrong_key_is_told_as_such_whatever_status_the_server_answers(code: str) -> None:
    error = RuntimeError(f"status 400: <Error><Code>{code}</Code></Error>")
    said = from_server(error, where="k in s3://bucket")
    assert "run the same command again" not in said.fix
    assert code in said.message
