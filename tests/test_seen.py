"""A store that was put back to an older state is noticed by who saw the newer one."""

import json
import shutil
import warnings
from pathlib import Path

import pytest

from scidata.errors import NotFoundError
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.surroundings import state_folder
from scidata.warning import ScidataWarning
from tests.versions import write_version


@pytest.fixture
def store(bare: Path, tmp_path: Path) -> Store:
    """A folder with bare 1.0.0 and 1.1.0, of which the newest was seen."""
    store = open_store(tmp_path / "store")
    write_version(store, bare, "1.0.0")
    (bare / "data" / "one.txt").write_text("another one\n")
    write_version(store, bare, "1.1.0")
    resolve("bare", store)
    return store


def notes() -> list[Path]:
    return list(state_folder().rglob("*.json"))


def silent(reference: str, store: Store | str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(reference, store)


def test_a_store_that_stays_as_it_is_is_read_silently(store: Store, bare: Path) -> None:
    silent("bare", store)
    silent("bare@1.0.0", store)
    write_version(store, bare, "1.2.0")
    silent("bare", store)
    assert len(notes()) == 1


def test_a_store_that_shows_less_is_warned_of_each_time(store: Store) -> None:
    store.delete("bare/versions/1.1.0.json")
    for _ in range(2):
        with pytest.warns(ScidataWarning, match=r"is 1\.0\.0, and 1\.1\.0 was seen") as told:
            assert resolve("bare", store).version == "1.0.0"
        assert str(notes()[0]) in str(told[0].message)
    notes()[0].unlink()
    silent("bare", store)


def test_a_version_that_was_seen_and_is_gone_is_told_apart_from_one_that_never_was(
    store: Store,
) -> None:
    store.delete("bare/versions/1.1.0.json")
    with (
        pytest.warns(ScidataWarning, match=r"bare@1\.1\.0 was seen"),
        pytest.raises(NotFoundError),
    ):
        resolve("bare@1.1.0", store)
    with pytest.raises(NotFoundError):
        silent("bare@7.0.0", store)


def test_another_digest_under_the_same_number_is_warned_of(
    store: Store, bare: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "store")
    (bare / "data" / "one.txt").write_text("of somebody else\n")
    write_version(store, bare, "1.1.0")
    for reference in ("bare", "bare@1.1.0"):
        with pytest.warns(ScidataWarning, match=r"has the digest .* was seen there before"):
            resolve(reference, store)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"schema": "scidata-seen/1"}',
        b'{"schema": "scidata-seen/1", "newest": "x", "digests": {}}',
        b'{"schema": "scidata-seen/1", "newest": 3, "digests": []}',
        b"\xff",
    ],
)
def test_a_damaged_memory_counts_as_none(store: Store, data: bytes) -> None:
    notes()[0].write_bytes(data)
    store.delete("bare/versions/1.1.0.json")
    silent("bare", store)


def test_a_home_that_cannot_be_written_is_no_error(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "store")
    write_version(store, bare, "1.0.0")
    (tmp_path / "home").write_text("a file, where nothing can be created")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    silent("bare", store)


def test_reading_writes_nothing_into_a_store_even_if_the_home_lies_in_it(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "store")
    write_version(store, bare, "1.0.0")
    monkeypatch.setenv("HOME", str(tmp_path / "store"))
    before = sorted((tmp_path / "store").rglob("*"))
    silent("bare", store)
    assert sorted((tmp_path / "store").rglob("*")) == before


def test_two_stores_are_remembered_apart(store: Store, bare: Path, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other")
    write_version(other, bare, "1.0.0")
    silent("bare", other)
    assert len(notes()) == 2
    held = {json.loads(path.read_text())["store"] for path in notes()}
    assert held == {store.address, other.address}
