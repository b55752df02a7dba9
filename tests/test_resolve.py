"""Which version a name means, and what is said when it means none."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scidata.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.index import rebuild
from scidata.resolve import (
    list_datasets,
    list_versions,
    read_manifest,
    read_tag,
    resolve,
    version_numbers,
)
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.version import CommitRecord, commit_bytes
from tests.versions import Counting, write_version


@pytest.fixture
def store(tmp_path: Path, staged: Path) -> Store:
    """A folder with tiny 1.9.0, 1.10.0 and 0.1.0, and a prefix that was never committed."""
    store = LocalStore(tmp_path / "store")
    for version in ("1.9.0", "1.10.0", "0.1.0"):
        write_version(store, staged, version)
    store.create("tiny/v2.0.0/bagit.txt", b"not committed")
    store.create("never-committed/v1.0.0/bagit.txt", b"not committed")
    return store


def rewritten(
    store: Store, version: str, change: Callable[[CommitRecord], CommitRecord]
) -> None:
    commit = change(resolve(f"tiny@{version}", store))
    store.replace(f"tiny/versions/{version}.json", commit_bytes(commit))


def test_versions_are_listed_by_number_not_by_letter(store: Store) -> None:
    assert [v.version for v in list_versions("tiny", store)] == ["0.1.0", "1.9.0", "1.10.0"]


def test_a_name_without_number_means_the_newest_version(store: Store) -> None:
    assert resolve("tiny", store).version == "1.10.0"


def test_a_digest_means_the_version_that_has_it(store: Store, staged: Path) -> None:
    (staged / "data" / "statistics.json").write_text("{}\n")
    other = write_version(store, staged, "1.9.1")
    assert resolve(f"tiny@{other.digest}", store).version == "1.9.1"


def test_what_was_never_committed_is_not_listed(store: Store) -> None:
    assert list_datasets(store) == ("tiny",)
    with pytest.raises(NotFoundError, match="never-commited") as caught:
        resolve("never-commited", store)
    assert "never-committed" not in caught.value.fix


def test_an_unknown_dataset_is_answered_with_similar_names(store: Store) -> None:
    with pytest.raises(NotFoundError, match="'tinny'") as caught:
        resolve("tinny", store)
    assert "did you mean tiny?" in caught.value.fix
    with pytest.raises(NotFoundError) as caught:
        resolve("zebrafish", store)
    assert caught.value.fix.startswith("it holds tiny; see what is there: ")


def test_an_unknown_version_is_answered_with_those_that_exist(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"tiny@7\.0\.0") as caught:
        resolve("tiny@7.0.0", store)
    assert "1.10.0, 1.9.0, 0.1.0" in caught.value.fix


def test_an_unknown_digest_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no version of 'tiny' has the digest"):
        resolve("tiny@sha256:" + "0" * 64, store)


@pytest.mark.parametrize(
    "name", ["", "Tiny", "tiny@", "tiny@1.0", "tiny@md5:00", "../tiny@1.0.0"]
)
def test_a_malformed_reference_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidError):
        resolve(name, store)


def test_a_commit_record_that_describes_another_version_is_refused(store: Store) -> None:
    data = store.read("tiny/versions/1.9.0.json")
    store.replace("tiny/versions/1.10.0.json", data)
    with pytest.raises(IntegrityError, match=r"it describes tiny@1\.9\.0"):
        resolve("tiny", store)


def test_a_commit_record_whose_manifest_has_another_digest_is_refused(store: Store) -> None:
    digest = "sha256:" + "1" * 64
    rewritten(store, "1.9.0", lambda commit: commit.model_copy(update={"digest": digest}))
    with pytest.raises(IntegrityError, match="its manifest has another digest"):
        resolve("tiny@1.9.0", store)


def test_a_commit_record_with_a_path_that_leaves_the_dataset_is_refused(store: Store) -> None:
    def change(commit: CommitRecord) -> CommitRecord:
        tags = {**commit.tags, "../../etc/passwd": next(iter(commit.tags.values()))}
        return commit.model_copy(update={"tags": tags})

    rewritten(store, "1.9.0", change)
    with pytest.raises(InvalidError, match="leaves its folder"):
        resolve("tiny@1.9.0", store)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"x" * 70_000])
def test_a_damaged_commit_record_is_refused(store: Store, data: bytes) -> None:
    store.replace("tiny/versions/1.9.0.json", data)
    with pytest.raises(IntegrityError, match="the commit record is damaged"):
        resolve("tiny@1.9.0", store)


def test_a_damaged_commit_record_does_not_hide_the_version_with_a_digest(
    store: Store, staged: Path
) -> None:
    (staged / "data" / "statistics.json").write_text("{}\n")
    wanted = write_version(store, staged, "1.9.1")
    store.replace("tiny/versions/1.10.0.json", b"{")
    assert resolve(f"tiny@{wanted.digest}", store).version == "1.9.1"
    with pytest.raises(IntegrityError):  # it might be the damaged one
        resolve("tiny@sha256:" + "0" * 64, store)


@pytest.mark.parametrize(
    "change", [lambda d: d + b" ", lambda d: d[:-1], lambda d: b"X" + d[1:]]
)
def test_a_tag_file_that_differs_is_refused(
    store: Store, change: Callable[[bytes], bytes]
) -> None:
    key = "v1.9.0/meta/record.yaml"
    store.replace(f"tiny/{key}", change(store.read(f"tiny/{key}")))
    with pytest.raises(IntegrityError) as caught:
        read_tag(store, resolve("tiny@1.9.0", store), key)
    assert [(d.path, d.state) for d in caught.value.damage] == [(key, "bad")]


def test_a_tag_file_that_is_missing_is_damage(store: Store) -> None:
    store.delete("tiny/v1.9.0/manifest-sha256.txt")
    with pytest.raises(IntegrityError, match="is missing"):
        read_manifest(store, resolve("tiny@1.9.0", store))


def test_a_tag_that_the_version_does_not_have_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no tag file"):
        read_tag(store, resolve("tiny", store), "v1.10.0/meta/none.json")


def test_a_memory_store_resolves_alike(staged: Path) -> None:
    store = MemoryStore()
    commit = write_version(store, staged)
    assert list_datasets(store) == ("tiny",)
    assert resolve("tiny", store) == commit


def test_https_names_come_from_the_catalogs(
    store: Store, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    rebuild(store)
    assert isinstance(store, LocalStore)
    folder.rmdir()
    store.root.rename(folder)
    assert list_datasets(url) == ("tiny",)
    assert [v.version for v in list_versions("tiny", url)] == ["0.1.0", "1.9.0", "1.10.0"]
    assert resolve("tiny", url).version == "1.10.0"


def test_https_without_catalogs_resolves_a_number(
    store: Store, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    assert isinstance(store, LocalStore)
    folder.rmdir()
    store.root.rename(folder)
    assert resolve("tiny@1.9.0", url).version == "1.9.0"
    with pytest.raises(NotFoundError, match=r"there is no 'catalog\.json'") as caught:
        list_datasets(url)  # it may well be the wrong address
    assert "check the address" in caught.value.fix


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_catalog_that_is_not_json_is_invalid(
    http_folder: tuple[str, Path], text: str
) -> None:
    url, folder = http_folder
    (folder / "catalog.json").write_text(text)
    with pytest.raises(InvalidError, match="is not JSON"):
        list_datasets(url)


@pytest.mark.parametrize("text", ["[]", '{"links": 3}', '{"links": [1, {}]}', "null"])
def test_a_catalog_of_another_shape_names_nothing(
    http_folder: tuple[str, Path], text: str
) -> None:
    url, folder = http_folder
    (folder / "catalog.json").write_text(text)
    assert list_datasets(url) == ()


def test_a_catalog_entry_cannot_name_a_path(http_folder: tuple[str, Path]) -> None:
    url, folder = http_folder
    links = [{"rel": "child", "href": "../../etc/collection.json"}]
    (folder / "catalog.json").write_text(json.dumps({"links": links}))
    assert list_datasets(url) == ()


def test_a_version_on_s3_opens_in_six_requests_and_a_second(s3_url: str, staged: Path) -> None:
    write_version(open_store(s3_url), staged)
    store = Counting(open_store(s3_url))
    began = time.monotonic()
    commit = resolve("tiny", store)
    for key in ("v1.0.0/meta/record.yaml", "v1.0.0/meta/facts.json"):
        read_tag(store, commit, key)
    read_manifest(store, commit)
    assert time.monotonic() - began < 1
    assert len(store.requests) <= 6, store.requests


def test_an_unreachable_server_is_a_storage_error(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ENDPOINT_URL", wrong)
    for call in (lambda: resolve("tiny", s3_url), lambda: list_datasets(s3_url)):
        with pytest.raises(StorageError, match="cannot be reached") as caught:
            call()
        assert wrong in caught.value.where


def test_a_bucket_lists_its_datasets_and_not_its_files(s3_url: str, staged: Path) -> None:
    store = open_store(s3_url)
    write_version(store, staged)
    rebuild(store)
    assert list(store.folders()) == ["tiny"]
    assert list_datasets(s3_url) == ("tiny",)


def test_a_stray_file_beside_the_commit_records_is_no_version(store: Store) -> None:
    for name in (
        "01.0.0.json",
        "1.0.json",
        "1.0.0.status-1.json",
        "notes.txt",
        "9999999999.0.0.json",
    ):
        store.create(f"tiny/versions/{name}", b"{}")
    store.create("tiny/versions/deep/7.0.0.json", b"{}")
    assert list(map(str, version_numbers(store, "tiny"))) == ["0.1.0", "1.9.0", "1.10.0"]
