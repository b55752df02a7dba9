"""What a copy or a version has lost comes back from another copy, compared before."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.repairing import plan_repair, repair
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.verifying import verify
from tests.damage import (
    CHUNK,
    MANIFEST,
    STATISTICS,
    TABLE,
    command,
    files,
    flip,
    in_folder,
    in_memory,
    named,
    two_versions,
)
from tests.servers import folder_server
from tests.versions import Counting

TAGS = "tagmanifest-sha256.txt"
CATALOG = "catalog-1.0.0.yaml"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0, which differ in two files."""
    return two_versions(tmp_path_factory.mktemp("published"))


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of tiny@1.0.0 that a test may damage."""
    return Path(shutil.copytree(published / "tiny" / "v1.0.0", tmp_path / "copy"))


def spoil(folder: Path) -> None:
    (folder / CHUNK).write_bytes(flip((folder / CHUNK).read_bytes()))
    (folder / TABLE).unlink()
    shutil.rmtree(folder / "data/splits")
    (folder / "README.md").write_text("edited")


@pytest.mark.parametrize("source", ["store", "copy", "web"])
def test_a_copy_is_repaired_byte_by_byte(copy: Path, published: Path, source: str) -> None:
    whole = files(copy)
    spoil(copy)
    with folder_server(published) as web:
        places: dict[str, str | Path] = {
            "store": published,
            "copy": published / "tiny/v1.0.0",
            "web": web,
        }
        where = places[source]
        done = repair(copy, where)
    assert done.sound
    assert set(done.repaired) == {
        CHUNK,
        TABLE,
        "README.md",
        "data/splits/sample/train.txt",
        "data/splits/sample/validation.txt",
    }
    assert files(copy) == whole
    assert repair(copy, published).repaired == ()


@pytest.mark.parametrize("path", [MANIFEST, TAGS, "bagit.txt", "meta/facts.json"])
@pytest.mark.parametrize("source", ["store", "copy"])
@pytest.mark.parametrize("edit", ["remove", "spoil"])
def test_a_copy_without_a_sound_manifest_is_repaired(
    copy: Path, published: Path, path: str, source: str, edit: str
) -> None:
    whole = files(copy)
    if edit == "remove":
        (copy / path).unlink()
    else:
        (copy / path).write_bytes((copy / path).read_bytes()[70:])
    (copy / TABLE).unlink()
    where = published if source == "store" else published / "tiny/v1.0.0"
    assert repair(copy, where, name="tiny@1.0.0").sound
    assert files(copy) == whole


def test_extra_files_are_reported_and_stay(copy: Path, published: Path) -> None:
    (copy / "data/new").write_text("mine")
    done = repair(copy, published)
    assert [(item.state, item.path) for item in done.left] == [("extra", "data/new")]
    assert (copy / "data/new").read_text() == "mine"


def test_a_source_that_is_damaged_too_replaces_nothing(
    copy: Path, published: Path, tmp_path: Path
) -> None:
    store = in_folder(published, tmp_path)
    store.replace(f"tiny/v1.0.0/{TABLE}", b"rotten")
    store.delete(f"tiny/v1.0.0/{STATISTICS}")
    (copy / TABLE).write_bytes(b"bad")
    (copy / STATISTICS).unlink()
    (copy / CHUNK).unlink()
    done = repair(copy, store)
    reasons = {item.path: item.reason for item in done.left}
    assert "damaged in the source" in reasons[TABLE]
    assert "does not have it" in reasons[STATISTICS]
    assert done.repaired == (CHUNK,)
    assert (copy / TABLE).read_bytes() == b"bad"


def test_a_source_of_another_version_is_refused(copy: Path, published: Path) -> None:
    with pytest.raises(ConflictError, match=r"holds tiny@1\.1\.0"):
        repair(copy, published / "tiny/v1.1.0")
    with pytest.raises(ConflictError, match="has the digest"):
        repair(copy, published, digest="sha256:" + "0" * 64)
    with pytest.raises(ConflictError, match=r"holds tiny@1\.1\.0"):
        repair("tiny@1.0.0", published / "tiny/v1.1.0", published)


def test_a_stale_copy_becomes_the_version_that_was_named(copy: Path, published: Path) -> None:
    assert repair(copy, published, name="tiny@1.1.0").sound
    assert files(copy) == files(published / "tiny/v1.1.0")


def test_nothing_is_written_through_a_link(copy: Path, published: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(copy / "data/splits")
    (copy / "data/splits").symlink_to(outside)
    done = repair(copy, published)
    assert not list(outside.iterdir())
    assert any("leads out of the folder" in item.reason for item in done.left)


@pytest.mark.parametrize("build", [in_folder, in_memory])
@pytest.mark.parametrize("source", ["store", "copy"])
def test_missing_objects_of_a_version_are_created(
    published: Path, tmp_path: Path, build: Callable[[Path, Path], Store], source: str
) -> None:
    store = build(published, tmp_path)
    for path in (TABLE, CHUNK, MANIFEST):
        store.delete(f"tiny/v1.0.0/{path}")
    where = published if source == "store" else published / "tiny/v1.0.0"
    done = repair("tiny@1.0.0", where, store)
    assert done.sound
    assert verify("tiny@1.0.0", store).sound


def test_a_pinned_catalog_comes_back_from_a_store_only(published: Path, tmp_path: Path) -> None:
    store = in_folder(published, tmp_path)
    store.delete(f"tiny/{CATALOG}")
    done = repair("tiny@1.0.0", published / "tiny/v1.0.0", store)
    assert [(item.path, item.state) for item in done.left] == [(CATALOG, "missing")]
    assert repair("tiny@1.0.0", published, store).repaired == (CATALOG,)


@pytest.mark.parametrize("build", [in_folder, in_memory])
def test_a_damaged_object_is_replaced_only_if_that_is_asked_for(
    published: Path, tmp_path: Path, build: Callable[[Path, Path], Store]
) -> None:
    store = Counting(build(published, tmp_path))
    key = f"tiny/v1.0.0/{TABLE}"
    store.replace(key, b"rotten")
    store.requests.clear()
    done = repair("tiny@1.0.0", published, store)
    assert [(item.path, item.state) for item in done.left] == [(TABLE, "bad")]
    assert "--replace-damaged" in done.left[0].reason
    assert not [r for r in store.requests if r.startswith(("delete", "create", "replace"))]
    assert repair("tiny@1.0.0", published, store, replace_damaged=True).sound
    assert verify("tiny@1.0.0", store).sound
    assert [r for r in store.requests if r.startswith("delete")] == [f"delete {key}"]


def test_a_damaged_object_stays_if_its_replacement_is_damaged_too(
    published: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    store, source = in_folder(published, tmp_path / "a"), in_folder(published, tmp_path / "b")
    for each in (store, source):
        each.replace(f"tiny/v1.0.0/{TABLE}", f"rotten {each.url}".encode())
    done = repair("tiny@1.0.0", source, store, replace_damaged=True)
    assert "damaged in the source" in done.left[0].reason
    assert store.read(f"tiny/v1.0.0/{TABLE}") == f"rotten {store.url}".encode()


class _FlipsOnce(Counting):
    """A store whose first answer about one object is spoilt on its way."""

    spoilt = 0

    def stream(self, key: str, *, start: int = 0):  # type: ignore[no-untyped-def] # as the base
        for block in super().stream(key, start=start):
            if key.endswith(TABLE) and not self.spoilt:
                self.spoilt = 1
                yield flip(bytes(block))
            else:
                yield block

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        return b"".join(self.stream(key))[:limit]


def test_an_object_that_was_only_damaged_on_its_way_is_not_deleted(
    published: Path, tmp_path: Path
) -> None:
    store = _FlipsOnce(in_folder(published, tmp_path))
    done = repair("tiny@1.0.0", published, store, replace_damaged=True)
    assert store.spoilt
    assert done.sound
    assert not [r for r in store.requests if r.startswith("delete")]


def test_a_repair_that_dies_between_deleting_and_creating_is_continued(
    published: Path, tmp_path: Path
) -> None:
    class Dies(Counting):
        def create(self, key, source, *, digest=None):  # type: ignore[no-untyped-def] # as the base
            if any(r.startswith("delete") for r in self.requests):
                raise StorageError("the line is cut", where=key, fix="try again")
            return super().create(key, source, digest=digest)

    inner = in_folder(published, tmp_path)
    inner.replace(f"tiny/v1.0.0/{TABLE}", b"rotten")
    with pytest.raises(StorageError, match="cut"):
        repair("tiny@1.0.0", published, Dies(inner), replace_damaged=True)
    assert named(verify("tiny@1.0.0", inner)) == {("missing", TABLE)}
    assert repair("tiny@1.0.0", published, inner).repaired == (TABLE,)


def test_a_version_in_s3_is_repaired_from_a_folder(published: Path, s3_url: str) -> None:
    store = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        if not facts.key.endswith(CHUNK):
            store.create(facts.key, published / facts.key)
    store.replace(f"tiny/v1.0.0/{TABLE}", b"rotten")
    assert repair("tiny@1.0.0", published, s3_url, replace_damaged=True).sound
    assert verify("tiny@1.0.0", s3_url).sound


def test_what_cannot_be_repaired_is_refused(
    copy: Path, published: Path, tmp_path: Path
) -> None:
    with folder_server(published) as web, pytest.raises(StorageError, match="not written"):
        repair("tiny@1.0.0", published, web)
    with pytest.raises(NotFoundError):
        repair(tmp_path / "absent", published)
    with pytest.raises(NotFoundError, match="no store"):
        repair(copy, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidError, match="no copy of a version"):
        repair(tmp_path / "empty", published)


def test_a_plan_writes_nothing(copy: Path, published: Path) -> None:
    spoil(copy)
    before = files(copy)
    plan = plan_repair(copy, published)
    assert len(plan.fetches) == 5
    assert files(copy) == before


def test_the_verb_repairs_and_exits_with_5_while_something_is_wrong(
    copy: Path, published: Path
) -> None:
    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        line = command("repair", copy, "--from", published, *arguments)
        return subprocess.run(line, capture_output=True, text=True, check=False)

    spoil(copy)
    (copy / "data/new").write_text("")
    tried = run("--dry-run")
    assert (tried.returncode, tried.stdout.split()[:4]) == (0, ["would", "bring", "5", "files"])
    assert "would replace README.md" in tried.stdout
    done = run("--json")
    document = json.loads(done.stdout)
    assert done.returncode == 5
    assert document["schema"] == "scidata-repair/1"
    assert TABLE in document["repaired"]
    assert [item["path"] for item in document["left"]] == ["data/new"]
    (copy / "data/new").unlink()
    done = run()
    assert done.returncode == 0
    assert done.stdout.startswith("sound  tiny@1.0.0  sha256:")
