"""Large files go to S3 in parts: checked, resumed inside the file, never over others' bytes."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.hashing import hash_parts
from scidata.parallel import Budget, Debt, each
from scidata.parts import MAX_PARTS, MIB, Sizes
from scidata.publishing import publish
from scidata.storage import open_store, refusals, s3
from scidata.storage.base import ObjectFacts
from scidata.storage.objects import Objects
from scidata.storage.parts import MAX_BYTES
from scidata.storage.s3 import PART_MIB, S3Store
from scidata.storage.s3_address import parse_address
from scidata.verifying import verify
from tests.damage import command
from tests.servers import KEY, REGION, SECRET, Fault, Proxy, faulty_proxy, free_port

PART = 5 * MIB
SIZES = Sizes(part=PART)
LENGTH = 4 * PART + 3 * MIB
PARTS = 5

Client = Any  # botocore makes its clients' methods as it runs


@pytest.fixture
def data() -> bytes:
    return os.urandom(LENGTH)


@pytest.fixture
def large(data: bytes, tmp_path: Path) -> Path:
    """A file of five parts."""
    (tmp_path / "large").write_bytes(data)
    return tmp_path / "large"


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    with faulty_proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def client(s3_endpoint: str) -> Iterator[Client]:
    made = botocore.session.Session().create_client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    yield made
    made.close()


def store_at(url: str, endpoint: str) -> S3Store:
    address = parse_address(url, endpoint_url=endpoint, anonymous=False, environ=os.environ)
    return S3Store(address, environ=os.environ, sizes=SIZES)


def sent(proxy: Proxy) -> list[int]:
    """The numbers of the parts that were sent, in order."""
    puts = [line for line in proxy.seen if line.startswith("PUT") and "partNumber=" in line]
    return sorted(int(line.split("partNumber=")[1].split("&")[0]) for line in puts)


def unfinished(client: Client, url: str) -> list[str]:
    listed = client.list_multipart_uploads(Bucket=url.split("/")[2])
    return [upload["UploadId"] for upload in listed.get("Uploads", ())]


def arrived(client: Client, url: str) -> set[int]:
    """The parts of the unfinished upload that the server has."""
    bucket = url.split("/")[2]
    listed = client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    parts = (
        client.list_parts(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
        for one in listed
    )
    return {part["PartNumber"] for answer in parts for part in answer.get("Parts", ())}


def break_off(
    store: S3Store, proxy: Proxy, source: Path, number: int, fault: Fault = "forbidden"
) -> None:
    """Send a file and fail at one of its parts."""
    proxy.method, proxy.path, proxy.fault = "PUT", f"partNumber={number}", fault
    proxy.times = 1000
    with pytest.raises(StorageError):
        store.create("large", source)
    proxy.times = 0
    proxy.seen.clear()


# How files are cut


@given(size=st.integers(1, MAX_BYTES), part=st.integers(5, 5120))
def test_a_file_of_any_size_that_s3_takes_has_ten_thousand_parts_at_most(
    size: int, part: int
) -> None:
    cut = Sizes(part=part * MIB).part_of(size)
    assert -(-size // cut) <= MAX_PARTS
    assert cut % MIB == 0
    assert cut >= part * MIB
    assert cut <= max(part * MIB, 525 * MIB)


def test_a_file_larger_than_s3_takes_is_refused_before_anything_is_sent(
    s3_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidError, match="takes as one object"):
        store_at(s3_url, proxy.url).create("large", tmp_path / "sparse")
    assert not any(line.startswith(("POST", "PUT")) for line in proxy.seen)


@pytest.mark.parametrize("text", ["4", "5121", "5.5", "²", "-5", "many"])
def test_a_part_size_that_s3_would_refuse_is_refused_by_name(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(PART_MIB, text)
    with pytest.raises(InvalidError, match="not the size of a part") as caught:
        open_store(s3_url)
    assert PART_MIB in caught.value.where


def test_memory_is_bounded_whatever_the_number_of_files(
    s3_url: str, s3_endpoint: str, large: Path
) -> None:
    store, most = store_at(s3_url, s3_endpoint), [0]
    budget = store._memory
    take = budget.take

    def noting(count: int) -> None:
        take(count)
        most[0] = max(most[0], budget._lent)

    budget.take = noting  # type: ignore[method-assign]  # to look at it
    assert all(each(lambda n: store.create(f"{n}", large), range(4), threads=4))
    assert PART < most[0] <= SIZES.memory == 8 * PART
    assert budget._lent == 0


def test_a_loan_larger_than_the_budget_waits_until_it_is_alone() -> None:
    budget, begun = Budget(10), threading.Event()
    budget.take(4)

    def borrow() -> None:
        budget.take(11)
        begun.set()

    other = threading.Thread(target=borrow)
    other.start()
    assert not begun.wait(0.05)
    budget.give(4)
    assert begun.wait(10)
    other.join()


def test_what_was_borrowed_for_calls_that_never_began_is_returned() -> None:
    budget = Budget(10)
    debt = Debt(budget)
    debt.take(3)
    debt.take(4)
    debt.give(3)
    debt.settle()
    with budget.loan(10):
        pass


# What arrives


@pytest.mark.parametrize("url_fixture", ["s3_url", "rclone_url"])
def test_a_large_file_goes_in_parts_and_is_never_overwritten(
    url_fixture: str, request: pytest.FixtureRequest, large: Path, data: bytes
) -> None:
    url = request.getfixturevalue(url_fixture)
    store = store_at(url, os.environ["AWS_ENDPOINT_URL"])
    assert store.create("large", large, digest=Digest.of(data))
    facts = store.head("large")
    assert facts.size == LENGTH
    assert facts.digest is None  # the server has compared the parts, not the whole
    assert b"".join(store.stream("large")) == data
    assert not store.create("large", large, digest=Digest.of(data))


def test_what_the_server_computed_of_the_parts_is_that_of_the_file(
    s3_url: str, s3_endpoint: str, large: Path, data: bytes
) -> None:
    store = store_at(s3_url, s3_endpoint)
    store.create("large", large)
    found = store.checksums("large")
    assert (found.parts, found.part_size, found.sha256) == (PARTS, PART, "")
    whole, cut = hash_parts(large, PART)
    assert (whole, cut.composite) == (Digest.of(data), found.parts_sha256)


def test_a_large_file_that_changed_after_it_was_measured_is_not_written(
    s3_url: str, s3_endpoint: str, large: Path, client: Client
) -> None:
    store = store_at(s3_url, s3_endpoint)
    with pytest.raises(IntegrityError, match="changed after it was measured"):
        store.create("large", large, digest=Digest.of(b"measured"))
    assert list(store.list()) == []
    assert unfinished(client, s3_url) == []


def test_a_file_that_shrinks_while_it_is_sent_is_not_written(
    s3_url: str, s3_endpoint: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(s3_url, s3_endpoint)
    read = os.pread

    def shrinking(descriptor: int, count: int, offset: int) -> bytes:
        os.truncate(large, LENGTH - 1)
        return read(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", shrinking)
    with pytest.raises(IntegrityError, match=f"found {LENGTH - 1} bytes"):
        store.create("large", large)
    assert list(store.list()) == []


def test_a_large_file_that_loses_a_race_is_not_put_together(
    s3_url: str,
    s3_endpoint: str,
    large: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_at(s3_url, s3_endpoint)
    store.create("large", b"the winner's")
    unseen(monkeypatch)
    assert not store.create("large", large)
    assert store.read("large") == b"the winner's"
    assert unfinished(client, s3_url) == []


def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the object came after the look."""

    def absent(self: Objects, key: str) -> ObjectFacts:
        raise NotFoundError("not yet", where=key, fix="")

    monkeypatch.setattr(Objects, "head", absent)


# What an earlier run left


@pytest.mark.parametrize("number", [1, 3, 5])
def test_parts_that_arrived_are_not_sent_again(
    s3_url: str, proxy: Proxy, large: Path, client: Client, number: int
) -> None:
    store, data = store_at(s3_url, proxy.url), large.read_bytes()
    break_off(store, proxy, large, number)
    there = arrived(client, s3_url)
    assert number not in there
    assert store.create("large", large, digest=Digest.of(data))
    if there:
        assert sent(proxy) == sorted(set(range(1, PARTS + 1)) - there)
        assert not any(line.startswith("POST") and "uploads" in line for line in proxy.seen)
    assert store.read("large") == data


def test_an_upload_of_other_content_is_left_alone(
    s3_url: str, proxy: Proxy, large: Path, data: bytes, client: Client
) -> None:
    store = store_at(s3_url, proxy.url)
    break_off(store, proxy, large, 4)
    old = unfinished(client, s3_url)
    large.write_bytes(b"other" + data[5:])
    assert store.create("large", large)
    assert sent(proxy) == list(range(1, PARTS + 1))
    assert store.read("large") == b"other" + data[5:]
    assert unfinished(client, s3_url) == old


def test_a_part_of_other_content_further_on_is_sent_again(
    s3_url: str, proxy: Proxy, large: Path, data: bytes
) -> None:
    store = store_at(s3_url, proxy.url)
    break_off(store, proxy, large, 5)
    changed = data[: 2 * PART] + b"other" + data[2 * PART + 5 :]
    large.write_bytes(changed)
    assert store.create("large", large, digest=Digest.of(changed))
    assert set(sent(proxy)) >= {3, 5}
    assert 1 not in sent(proxy)
    assert store.read("large") == changed


def test_a_bucket_that_lets_nobody_look_at_uploads_is_sent_all_parts(
    s3_url: str, proxy: Proxy, large: Path, data: bytes
) -> None:
    store = store_at(s3_url, proxy.url)
    proxy.method, proxy.path, proxy.fault, proxy.times = "GET", "uploads", "denied", 1000
    assert store.create("large", large, digest=Digest.of(data))
    assert sent(proxy) == list(range(1, PARTS + 1))


def test_an_upload_that_another_publisher_completed_is_no_failure() -> None:
    gone = ClientError({"Error": {"Code": "NoSuchUpload"}}, "UploadPart")
    taken = ClientError({"Error": {"Code": "PreconditionFailed"}}, "Complete")
    assert refusals.is_gone(gone)
    assert refusals.is_taken(taken)
    assert not refusals.is_taken(gone)


@pytest.mark.slow
def test_a_killed_publisher_sends_only_what_had_not_arrived(
    s3_url: str, s3_endpoint: str, bare: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PART_MIB, "5")
    (bare / "data/big.bin").write_bytes(os.urandom(LENGTH))
    words = ("publish", bare, "--version", "1.0.0", "--store", s3_url, "--endpoint-url")
    with faulty_proxy(s3_endpoint) as proxy:
        proxy.method, proxy.path, proxy.fault = "PUT", "partNumber=3", "silent"
        with subprocess.Popen(command(*words, proxy.url), stdout=subprocess.DEVNULL) as process:
            await_(lambda: arrived(client, s3_url) == {1, 2, 4, 5})
            process.send_signal(signal.SIGKILL)
    with faulty_proxy(s3_endpoint) as again:  # which the killed one cannot have asked
        subprocess.run(command(*words, again.url), check=True, stdout=subprocess.DEVNULL)
    assert sent(again) == [3]
    assert verify("bare@1.0.0", s3_url).sound


def await_(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What goes wrong on the way


@pytest.mark.parametrize(
    "failure", [("busy", 3), ("broken", 3), ("reset", 1), ("lost-answer", 1)]
)
def test_a_part_that_a_server_or_the_line_loses_is_sent_again(
    s3_url: str, proxy: Proxy, large: Path, data: bytes, failure: tuple[Fault, int]
) -> None:
    proxy.method, proxy.path, (proxy.fault, proxy.times) = "PUT", "partNumber=2", failure
    store = store_at(s3_url, proxy.url)
    assert store.create("large", large, digest=Digest.of(data))
    assert proxy.times == 0
    assert len(sent(proxy)) == PARTS + failure[1]
    assert store.read("large") == data


def test_a_server_that_falls_silent_at_a_part_is_asked_again(
    s3_url: str, proxy: Proxy, large: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_TIMEOUT_S", 1)
    proxy.method, proxy.path, proxy.fault = "PUT", "partNumber=2", "silent"
    store = store_at(s3_url, proxy.url)
    assert store.create("large", large, digest=Digest.of(data))
    assert store.read("large") == data


@pytest.mark.parametrize("path", ["partNumber=2", "prefix/small"])
def test_a_byte_flipped_on_its_way_up_is_refused_and_sent_again(
    s3_url: str, proxy: Proxy, large: Path, data: bytes, path: str
) -> None:
    """By a server that checks, as AWS does."""
    proxy.checks = True
    proxy.method, proxy.path, proxy.fault = "PUT", path, "flip-up"
    store = store_at(s3_url, proxy.url)
    assert store.create("large", large, digest=Digest.of(data))
    assert store.create("small", data[:1000], digest=Digest.of(data[:1000]))
    assert proxy.times == 0
    assert store.read("large") == data
    assert store.read("small") == data[:1000]


def test_bytes_that_never_arrive_whole_are_a_storage_error(
    s3_url: str, proxy: Proxy, large: Path
) -> None:
    proxy.checks = True
    proxy.method, proxy.path, proxy.fault, proxy.times = "PUT", "partNumber=", "flip-up", 1000
    with pytest.raises(StorageError, match="BadDigest"):
        store_at(s3_url, proxy.url).create("large", large)


def test_a_lost_answer_to_the_last_step_is_settled_without_reading_the_object_back(
    s3_url: str, proxy: Proxy, bare: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PART_MIB, "5")
    (bare / "data/big.bin").write_bytes(data)
    proxy.method, proxy.path, proxy.fault = "POST", "big.bin?uploadId=", "lost-answer"
    store = open_store(s3_url, endpoint_url=proxy.url)
    assert publish(bare, store, version="1.0.0").commit.version == "1.0.0"
    assert proxy.times == 0
    assert not [line for line in proxy.seen if line.startswith("GET") and "v1.0.0/data" in line]
    assert verify("bare@1.0.0", s3_url).sound


def test_a_large_object_that_is_there_is_compared_without_reading_it_back(
    s3_url: str, proxy: Proxy, bare: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PART_MIB, "5")
    (bare / "data/big.bin").write_bytes(data)
    store = open_store(s3_url, endpoint_url=proxy.url)
    assert store.create("bare/v1.0.0/data/big.bin", bare / "data/big.bin")
    proxy.seen.clear()
    assert publish(bare, store, version="1.0.0").skipped == 1
    assert not [line for line in proxy.seen if line.startswith("GET") and "big.bin" in line]
    assert sent(proxy) == []


def test_a_large_file_for_a_server_that_is_gone_is_a_storage_error(
    s3_url: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen(monkeypatch)
    gone = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        store_at(s3_url, gone).create("large", large)
    assert gone in str(caught.value)


def test_wrong_credentials_for_a_large_file_are_named_and_not_repeated(
    rclone_url: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONG")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    unseen(monkeypatch)
    with pytest.raises(StorageError, match="refused access") as caught:
        store_at(rclone_url, os.environ["AWS_ENDPOINT_URL"]).create("large", large)
    assert "AKIAWRONGWRONG" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
