"""A store in a folder: its own dangers, and what is said of a folder that is no store."""

import errno
import os
from pathlib import Path

import obstore
import pytest

from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.index import rebuild
from scidata.publishing import publish
from scidata.resolve import list_datasets, list_versions, resolve
from scidata.storage import local, open_store
from scidata.storage.local import LocalStore
from tests.samples import write_bare


class Killed(BaseException):
    """Stands for ``kill -9``."""


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that knows neither hard links nor renames that refuse to overwrite."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    def unknown(*_: object) -> None:
        raise OSError(errno.EINVAL, "no such flag here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(local, "_rename_without_replacing", unknown)


@pytest.mark.usefixtures("without_links")
def test_a_kill_at_the_commit_leaves_no_name_behind_where_no_links_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "store")
    publish(write_bare(tmp_path / "a"), store, version="1.0.0")
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if "versions" in str(target):
            raise Killed
        return rename(self, target)

    staged = write_bare(tmp_path / "b", "b")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            publish(staged, store, version="1.1.0")
    assert [commit.version for commit in list_versions("bare", store)] == ["1.0.0"]
    assert not publish(staged, store, version="1.1.0").already
    assert resolve("bare", store).version == "1.1.0"


def test_a_disk_without_hard_links_never_shows_an_empty_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = LocalStore(tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(local, "_rename_without_replacing", killed)
        with pytest.raises(Killed):
            store.create("x", b"1")
    assert list(store.list()) == []
    assert store.create("x", b"1")
    assert not store.create("x", b"2")
    assert store.read("x") == b"1"


# Links


def test_the_view_for_arrays_refuses_a_folder_that_holds_a_link(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.create("d/v1.0.0/data/a.zarr/zarr.json", b"{}")
    store.create("d/v1.0.0/data/a.zarr/wave/c/1", b"1")
    (tmp_path / "secret").write_bytes(b"secret")
    assert obstore.list(store.objects("d/v1.0.0/data/a.zarr")).collect()
    shard = store.root / "d/v1.0.0/data/a.zarr/wave/c/0"
    shard.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidError, match=r"wave/c/0.* link") as caught:
        store.objects("d/v1.0.0/data/a.zarr")
    assert "remove" in caught.value.fix


def test_the_view_for_arrays_refuses_a_folder_that_is_a_link(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.create("d/x", b"1")
    (tmp_path / "else").mkdir()
    (store.root / "d" / "a.zarr").symlink_to(tmp_path / "else")
    with pytest.raises(InvalidError, match="link"):
        store.objects("d/a.zarr")


def test_a_dataset_behind_a_link_is_not_listed_and_harms_no_other(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    publish(write_bare(tmp_path / "a"), store, version="1.0.0")
    (tmp_path / "else").mkdir()
    (store.root / "bare").rename(tmp_path / "else" / "bare")
    publish(write_bare(tmp_path / "b"), store, version="1.0.0")
    (store.root / "bare2").symlink_to(tmp_path / "else" / "bare")
    (store.root / "dangling").symlink_to("/nonexistent")
    assert list_datasets(store) == ("bare",)
    assert [found.name for found in rebuild(store).datasets] == ["bare"]


# Folders that are no stores


def test_an_absent_folder_is_not_found_and_publishing_creates_it(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    for act in (
        lambda: list_datasets(absent),
        lambda: list_versions("bare", absent),
        lambda: resolve("bare", absent),
        lambda: resolve("bare@1.0.0", absent),
        lambda: rebuild(open_store(absent)),
        lambda: rebuild(open_store(absent), dry_run=True),
    ):
        with pytest.raises(NotFoundError, match="no store") as caught:
            act()
        assert str(absent) in caught.value.where
        assert "scidata publish" in caught.value.fix
    assert not absent.exists()
    publish(write_bare(tmp_path / "a"), absent, version="1.0.0")
    assert list_datasets(absent) == ("bare",)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.write_text("x")
    for act in (
        lambda: list_datasets(file),
        lambda: resolve("bare", file),
        lambda: resolve("bare@1.0.0", file),
        lambda: rebuild(open_store(file)),
    ):
        with pytest.raises(NotFoundError, match="is a file, not a store"):
            act()
    with pytest.raises(StorageError, match="is a file, not a folder"):
        publish(write_bare(tmp_path / "a"), file, version="1.0.0")


def test_an_empty_folder_holds_no_datasets(tmp_path: Path) -> None:
    assert list_datasets(tmp_path) == ()


# Disks that fail


@pytest.mark.parametrize("act", ["read", "stream"])
def test_a_disk_that_cannot_be_read_is_a_storage_error(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, descriptor: int, mode: str) -> None:
            self._descriptor = descriptor

        def __enter__(self) -> "Broken":
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self._descriptor)

        def fileno(self) -> int:
            return self._descriptor

        def seek(self, offset: int) -> None:
            return

        def read(self, size: int) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    store = LocalStore(tmp_path / "store")
    store.create("x", b"1")
    monkeypatch.setattr(os, "fdopen", Broken)
    with pytest.raises(StorageError, match="Input/output error") as caught:
        store.read("x") if act == "read" else list(store.stream("x"))
    assert str(store.root / "x") in caught.value.where


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///tmp/%00x",
        "/srv/\0x",
        "file:///tmp/%ff",
        "/srv/\udcff",
        "file://[::1/x",
        "http://[::1",
        "http://host:99999/x",
        "http://host:port/x",
        "s3://[x",
    ],
)
def test_an_address_that_cannot_be_read_is_invalid(url: str) -> None:
    with pytest.raises(InvalidError) as caught:
        open_store(url)
    assert caught.value.fix
    str(caught.value).encode()


@pytest.mark.parametrize("endpoint", ["http://[::1", "http://host:99999", "http://h:p"])
def test_an_endpoint_that_cannot_be_read_is_invalid(endpoint: str) -> None:
    with pytest.raises(InvalidError, match="endpoint"):
        open_store("s3://bucket/x", endpoint_url=endpoint)
