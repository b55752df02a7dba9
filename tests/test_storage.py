"""Stores: the contract, on every backend, and what only one of them can get wrong."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.publishing import publish
from scidata.storage import default_store_url, local, open_store, refusals
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.storage.objects import Objects
from scidata.storage.s3 import ONE_PUT, S3Store
from scidata.testing.contracts import StoreContract
from tests.servers import Proxy, create_bucket, create_public_object, faulty_proxy, free_port


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


# The store that ignores ranges and conditions


def test_a_server_that_ignores_ranges_is_still_streamed_rightly(rclone_url: str) -> None:
    store = open_store(rclone_url)
    data = bytes(range(256)) * 40_000
    store.create("big", data)
    for start in (0, 5, 4 * 2**20 + 1, len(data)):
        assert b"".join(store.stream("big", start=start)) == data[start:]


# Large files


@pytest.mark.parametrize("url_fixture", ["s3_url", "rclone_url"])
def test_a_file_too_large_for_one_request_goes_in_parts_and_is_never_overwritten(
    url_fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = open_store(request.getfixturevalue(url_fixture))
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(ONE_PUT + 1)
    digest = Digest(hashlib.sha256(bytes(ONE_PUT + 1)).hexdigest())
    assert store.create("large", source, digest=digest)
    assert store.head("large").size == ONE_PUT + 1
    assert store.head("large").digest is None  # the server has not compared it
    assert not store.create("large", source, digest=digest)


def test_a_large_file_that_changes_on_its_way_names_the_object_to_remove(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(ONE_PUT + 1)
    put = S3Store._put_parts

    def meddle(self: S3Store, key: str, path: Path, size: int, digest: Digest | None) -> bool:
        sent = put(self, key, path, size, digest)
        os.utime(path, ns=(0, 0))
        return sent

    monkeypatch.setattr(S3Store, "_put_parts", meddle)
    with pytest.raises(IntegrityError, match="changed while it was uploaded") as caught:
        open_store(s3_url).create("a/large", source)
    assert f"remove {s3_url}/a/large" in caught.value.fix


def test_a_large_file_that_loses_a_race_is_not_put_together(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(self: Objects, key: str) -> ObjectFacts:
        raise NotFoundError("not yet", where=key, fix="")

    store = open_store(s3_url)
    store.create("large", b"the winner's")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(ONE_PUT + 1)
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "head", unseen)
        assert not store.create("large", tmp_path / "large")
    assert store.read("large") == b"the winner's"


def test_a_lost_race_is_recognised_even_if_the_server_does_not_name_the_condition() -> None:
    from botocore.exceptions import ClientError

    error = OSError(errno.EINVAL, "At least one of the pre-conditions did not hold")
    assert not refusals.is_taken(error)
    error.__cause__ = ClientError({"Error": {"Code": "PreconditionFailed"}}, "Complete")
    assert refusals.is_taken(error)
    assert refusals.is_taken(FileExistsError())


def test_a_large_file_for_a_server_that_is_gone_is_a_storage_error(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(self: Objects, key: str) -> ObjectFacts:
        raise NotFoundError("not yet", where=key, fix="")

    with (tmp_path / "large").open("wb") as file:
        file.truncate(ONE_PUT + 1)
    monkeypatch.setattr(Objects, "head", unseen)
    gone = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        open_store(s3_url, endpoint_url=gone).create("large", tmp_path / "large")
    assert gone in str(caught.value)


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


# Servers that cannot or will not


def test_a_wrong_endpoint_fails_within_ten_seconds_and_is_named(s3_url: str) -> None:
    wrong = f"http://127.0.0.1:{free_port()}"
    store = open_store(s3_url, endpoint_url=wrong)
    begun = time.monotonic()
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        store.create("x", b"")
    with pytest.raises(StorageError, match="cannot be reached"):
        list(store.list())
    assert time.monotonic() - begun < 10
    assert wrong in str(caught.value)
    assert "--endpoint-url" in caught.value.fix


def test_wrong_credentials_are_a_storage_error_that_does_not_repeat_them(
    rclone_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONG")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    with pytest.raises(StorageError, match="refused access") as caught:
        open_store(rclone_url).read("x")
    assert "AKIAWRONGWRONG" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_credentials_at_all_are_a_storage_error_with_a_remedy(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="no AWS credentials") as caught:
        open_store(s3_url)
    assert "--no-sign-request" in caught.value.fix


def test_a_profile_that_does_not_exist_is_named(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "typo")
    with pytest.raises(StorageError, match="typo") as caught:
        open_store(s3_url)
    assert "AWS_PROFILE" in caught.value.fix


def test_half_of_a_key_is_a_storage_error_with_a_remedy(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="AWS_SECRET_ACCESS_KEY") as caught:
        open_store(s3_url)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.fix
    assert "loopback" not in str(caught.value)


def test_a_profile_in_the_users_settings_is_found(
    s3_url: str, isolated_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (isolated_user / ".aws").mkdir()
    (isolated_user / ".aws" / "credentials").write_text(
        "[lab]\naws_access_key_id = loopback-key\naws_secret_access_key = loopback-secret\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lab")
    store = open_store(s3_url)
    assert store.create("x", b"1")
    assert store.read("x") == b"1"


def test_anonymous_access_reads_without_credentials(
    s3_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_public_object(s3_endpoint, s3_url.split("/")[2], "prefix/x", b"1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert open_store(s3_url, anonymous=True).read("x") == b"1"


def test_a_bucket_that_does_not_exist_is_a_storage_error(s3_url: str) -> None:
    store = open_store("s3://no-such-bucket-here/x")
    for act in (lambda: store.create("x", b""), lambda: list(store.list())):
        with pytest.raises(StorageError, match="the bucket does not exist"):
            act()


@pytest.fixture
def proxied(s3_url: str, s3_endpoint: str) -> Iterator[tuple[Store, Proxy]]:
    with faulty_proxy(s3_endpoint) as proxy:
        yield open_store(s3_url, endpoint_url=proxy.url), proxy


def test_a_busy_server_is_asked_again(proxied: tuple[Store, Proxy]) -> None:
    store, proxy = proxied
    for method, act in (
        ("PUT", lambda: store.create("x", b"1")),
        ("GET", lambda: store.read("x")),
        ("HEAD", lambda: store.head("x")),
    ):
        proxy.method, proxy.fault, proxy.times = method, "busy", 4
        assert act()
        assert proxy.times == 0


def test_a_lost_answer_to_a_create_writes_the_object_once(
    proxied: tuple[Store, Proxy],
) -> None:
    store, proxy = proxied
    proxy.method, proxy.fault = "PUT", "lost-answer"
    with suppress(StorageError):  # a server may be asked again or not; never overwritten
        store.create("x", b"first")
    assert not store.create("x", b"second")
    assert store.read("x") == b"first"


def test_a_stream_that_breaks_is_taken_up_where_it_broke(proxied: tuple[Store, Proxy]) -> None:
    store, proxy = proxied
    data = bytes(range(256)) * 50_000
    store.create("big", data)
    proxy.method, proxy.fault = "GET", "cut"
    assert b"".join(store.stream("big")) == data
    assert proxy.times == 0


def test_a_refusal_is_not_asked_again(proxied: tuple[Store, Proxy]) -> None:
    store, proxy = proxied
    proxy.method, proxy.fault = "GET", "forbidden"
    with pytest.raises(StorageError, match="refused access"):
        store.read("x")
    assert len(proxy.seen) == 1


def test_publishing_needs_neither_delete_nor_any_request_but_put_get_head_and_list(
    s3_url: str, s3_endpoint: str, bare: Path
) -> None:
    with faulty_proxy(s3_endpoint) as proxy:
        proxy.method, proxy.fault, proxy.times = "POST", "forbidden", 1000
        store = open_store(s3_url, endpoint_url=proxy.url)
        assert publish(bare, store, version="1.0.0").warnings == ()
    refused = [line for line in proxy.seen if line.startswith("POST")]
    assert refused  # the probe tried to remove its objects
    assert all("?delete" in line for line in refused)
    assert {line.split()[0] for line in proxy.seen} <= {"PUT", "GET", "HEAD", "POST"}


def test_two_servers_with_the_same_bucket_have_different_addresses(s3_endpoint: str) -> None:
    create_bucket(s3_endpoint, "twin-bucket")
    first = open_store("s3://twin-bucket", endpoint_url=s3_endpoint, anonymous=True)
    second = open_store("s3://twin-bucket", anonymous=True)
    assert (first.url, first.address) != (second.url, second.address)
