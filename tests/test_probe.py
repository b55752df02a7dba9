"""The probe: honest stores pass, dishonest ones are told apart, and nothing is left behind."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scidata.digest import Digest
from scidata.errors import NotFoundError, StorageError
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.storage import open_store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.storage.probe import TRUSTED_FOR, fault_of, is_remembered, remember
from scidata.testing.faults import FaultyStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Overwriting(FaultyStore):
    """Ignores the condition, as some S3 servers do."""

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        self.store.replace(key, source if isinstance(source, bytes) else source.read_bytes())
        return True


class CheckingFirst(FaultyStore):
    """Looks and then writes: right for one writer, wrong for two at once."""

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        import time

        try:
            self.store.head(key)
        except NotFoundError:
            time.sleep(0.02)
            self.store.replace(key, source if isinstance(source, bytes) else b"")
            return True
        return False


def test_a_folder_and_memory_pass_and_keep_nothing_of_the_probe(tmp_path: Path) -> None:
    for store in (MemoryStore(), LocalStore(tmp_path / "store")):
        assert fault_of(store, "t") is None
        assert list(store.list()) == []


def test_s3_passes_and_keeps_nothing_of_the_probe(s3_url: str) -> None:
    store = open_store(s3_url)
    assert fault_of(store, "t") is None
    assert list(store.list()) == []


def test_a_server_that_ignores_conditions_is_found_out(rclone_url: str) -> None:
    store = open_store(rclone_url)
    assert "overwrites an existing object" in str(fault_of(store, "t"))
    assert list(store.list()) == []


def test_a_store_that_ignores_conditions_is_found_out() -> None:
    assert "overwrites" in str(fault_of(Overwriting(MemoryStore()), "t"))


def test_a_store_that_looks_before_it_writes_is_found_out() -> None:
    fault = str(fault_of(CheckingFirst(MemoryStore()), "t"))
    assert "writers created the same object" in fault


def test_a_dishonest_store_is_refused_with_the_option_that_accepts_it(bare: Path) -> None:
    memory = MemoryStore()
    with pytest.raises(StorageError, match="overwrites an existing object") as caught:
        publish(bare, Overwriting(memory), version="1.0.0")
    assert "--single-writer" in caught.value.fix
    assert list(memory.list()) == []


def test_a_single_writer_may_use_it_and_the_commit_record_says_so(bare: Path) -> None:
    memory = MemoryStore()
    options = PublishOptions(single_writer=True)
    published = publish(bare, Overwriting(memory), version="1.0.0", options=options)
    assert published.commit.unsafe_store
    before = {f.key: memory.read(f.key) for f in memory.list()}
    assert publish(bare, Overwriting(memory), version="1.0.0", options=options).already
    assert {f.key: memory.read(f.key) for f in memory.list()} == before


def test_a_single_writer_of_an_honest_store_leaves_no_mark(bare: Path) -> None:
    options = PublishOptions(single_writer=True)
    commit = publish(bare, MemoryStore(), version="1.0.0", options=options).commit
    assert commit.unsafe_store is False


# What is remembered


def test_a_store_that_passed_is_not_asked_again_for_a_month(tmp_path: Path) -> None:
    memory = tmp_path / "state" / "stores.json"
    assert not is_remembered(memory, "s3://b", now=NOW)
    remember(memory, "s3://b", now=NOW)
    remember(memory, "s3://c", now=NOW + timedelta(days=1))
    assert is_remembered(memory, "s3://b", now=NOW + timedelta(days=29))
    assert not is_remembered(memory, "s3://b", now=NOW + TRUSTED_FOR)
    assert not is_remembered(memory, "s3://d", now=NOW)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"passed": 7}', '{"passed": {"s3://b": 5}}'])
def test_a_damaged_memory_counts_as_none_and_is_replaced(tmp_path: Path, text: str) -> None:
    memory = tmp_path / "stores.json"
    memory.write_text(text)
    assert not is_remembered(memory, "s3://b", now=NOW)
    remember(memory, "s3://b", now=NOW)
    assert is_remembered(memory, "s3://b", now=NOW)


def test_a_memory_that_cannot_be_written_stops_nothing(bare: Path, s3_url: str) -> None:
    around = Surroundings(memory=bare / "record.yaml" / "stores.json")
    options = PublishOptions(surroundings=around)
    assert publish(bare, s3_url, version="1.0.0", options=options).commit.files == 2


def test_publishing_remembers_a_bucket_with_its_server(
    bare: Path, s3_url: str, s3_endpoint: str, tmp_path: Path
) -> None:
    around = Surroundings(memory=tmp_path / "stores.json")
    publish(bare, s3_url, version="1.0.0", options=PublishOptions(surroundings=around))
    assert is_remembered(around.memory, f"{s3_url} at {s3_endpoint}", now=around.now())
