"""Stores on servers: large files, credentials, and servers that cannot or will not."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import InvalidPathError

from scidata.errors import StorageError
from scidata.listing import read_listing
from scidata.publishing import publish
from scidata.resolve import resolve
from scidata.storage import open_store, s3
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.s3 import S3Store
from scidata.storage.s3_listing import Listing
from tests.servers import (
    Proxy,
    create_bucket,
    create_public_object,
    faulty_proxy,
    free_port,
    page_server,
)

# The store that ignores ranges and conditions


def test_a_server_that_ignores_ranges_is_still_streamed_rightly(rclone_url: str) -> None:
    store = open_store(rclone_url)
    data = bytes(range(256)) * 40_000
    store.create("big", data)
    for start in (0, 5, 4 * 2**20 + 1, len(data)):
        assert b"".join(store.stream("big", start=start)) == data[start:]


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


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_that_is_empty_means_aws(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    view: Any = open_store("s3://bucket/x", anonymous=True).objects()
    assert "https://s3.eu-west-1.amazonaws.com" in view.config.values()


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
        with pytest.raises(StorageError, match="the bucket does not exist") as caught:
            act()
        assert "--store" not in caught.value.fix, "it may be that of --to or --from"
        assert caught.value.where.startswith("s3://no-such-bucket-here"), "no key of ours"


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
    proxy.times = 1  # a store on the web is sent no credentials, so none can be wrong
    web = open_store(store.address.rpartition(" at ")[2])
    with pytest.raises(StorageError, match="refused access") as caught:
        web.read("x")
    assert "AWS" not in caught.value.fix


def test_a_web_server_in_the_place_of_an_s3_server_is_told_apart(
    http_folder: tuple[str, Path], s3_url: str
) -> None:
    url, _ = http_folder
    store = open_store(s3_url, endpoint_url=url)
    for act in (store.folders, lambda: list(store.list("tiny/"))):
        with pytest.raises(StorageError, match=r"not as a store does \(404 ") as caught:
            act()
        assert url in caught.value.where
        assert "--endpoint-url" in caught.value.fix


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers for a moment only; uploads keep their time."""
    monkeypatch.setitem(s3.CLIENT, "read_timeout", timedelta(seconds=0.3))


def test_a_server_that_answers_anything_with_a_page_is_no_empty_bucket(s3_url: str) -> None:
    with page_server() as url:
        store = open_store(s3_url, endpoint_url=url)
        for act in (
            store.folders,
            lambda: list(store.list("tiny/")),
            lambda: read_listing(store),
            lambda: resolve("tiny@1.0.0", store),
            lambda: resolve("tiny@1.0.0", f"{url}/store"),
        ):
            with pytest.raises(StorageError, match="not as a store does") as caught:
                act()
            assert url in caught.value.where


def test_an_empty_bucket_is_empty(s3_url: str) -> None:
    store = open_store(s3_url)
    assert store.folders() == ()
    assert list(store.list()) == []


def test_the_budget_for_a_server_that_never_answers_is_half_a_minute() -> None:
    asked = 1 + s3.RETRIES
    assert asked * s3.ANSWER_TIMEOUT_S <= 30
    assert asked * s3.CONNECT_TIMEOUT_S <= 30


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers_is_asked_thrice_and_named(
    s3_url: str, s3_endpoint: str
) -> None:
    with faulty_proxy(s3_endpoint) as proxy:
        proxy.method, proxy.fault, proxy.times = "GET", "silent", 1000
        bucket = open_store(s3_url, endpoint_url=proxy.url)
        web = open_store(f"{proxy.url}/bucket")
        acts: list[Callable[[], object]] = [
            lambda: list(bucket.list()),
            bucket.folders,
            lambda: bucket.read("x"),
            lambda: web.read("x"),
        ]
        for act in acts:
            before = len(proxy.seen)
            with pytest.raises(StorageError, match="does not answer") as caught:
                act()
            assert proxy.url in caught.value.where
            assert "--endpoint-url" in caught.value.fix
            assert len(proxy.seen) - before == 3


@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_amid_a_file_is_not_waited_for_again_and_again(
    s3_url: str, s3_endpoint: str
) -> None:
    with faulty_proxy(s3_endpoint) as proxy:
        store = open_store(s3_url, endpoint_url=proxy.url)
        store.create("x", bytes(2**20))
        proxy.method, proxy.fault, proxy.times = "GET", "stall", 1000
        with pytest.raises(StorageError, match="does not answer"):
            list(store.stream("x"))
        assert len([line for line in proxy.seen if line.startswith("GET")]) <= 6


def test_a_file_that_takes_longer_than_one_request_may_is_taken_up_where_it_broke(
    s3_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(s3.CLIENT, "timeout", timedelta(seconds=1))
    data = os.urandom(12 * 2**20)
    with faulty_proxy(s3_endpoint) as proxy:
        open_store(s3_url).create("x", data)
        store = open_store(s3_url, endpoint_url=proxy.url)
        proxy.method, proxy.fault, proxy.times = "GET", "drip", 1000
        assert b"".join(store.stream("x")) == data
        assert len([line for line in proxy.seen if line.startswith("GET")]) > 1


@pytest.mark.usefixtures("impatient")
def test_an_upload_over_a_slow_line_has_more_time_than_an_answer(
    s3_url: str, s3_endpoint: str
) -> None:
    with faulty_proxy(s3_endpoint) as proxy:
        store = open_store(s3_url, endpoint_url=proxy.url)
        proxy.method, proxy.fault = "PUT", "slow"
        assert store.create("x", bytes(2**20))
        proxy.times = 1
        store.replace("x", bytes(2**20 + 1))
    assert open_store(s3_url).head("x").size == 2**20 + 1


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


def test_a_listing_goes_on_where_a_key_that_is_no_path_begins_a_page(s3_url: str) -> None:
    store = open_store(s3_url)
    assert isinstance(store, S3Store)
    for key in ("a", "c", "d"):
        store.create(key, key.encode())
    bucket, _, below = s3_url.removeprefix("s3://").partition("/")
    store._call("put_object", Bucket=bucket, Key=f"{below}/b//x", Body=b"xx")

    def first_page() -> Iterator[ObjectFacts]:
        yield ObjectFacts(key="a", size=1)
        raise StorageError("no", where="", fix="") from InvalidPathError("b//x")

    listing = Listing(
        call=store._call, bucket=bucket, top=f"{below}/", prefix="", address=store.address
    )
    found = list(listing.complete(first_page()))
    assert [(facts.key, facts.size) for facts in found] == [
        ("a", 1),
        ("b//x", 2),
        ("c", 1),
        ("d", 1),
    ]
    assert found[2:] == list(store.list())[2:]
    with pytest.raises(StorageError, match="a key that is no path"):
        open_store(f"{s3_url}/b").folders()
