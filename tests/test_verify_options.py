"""What verify can be asked: fast, part, bags of other tools; and how the verb answers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.storage import open_store
from scidata.storage.local import LocalStore
from scidata.verifying import verify
from tests.damage import (
    CHUNK,
    MANIFEST,
    STATISTICS,
    TABLE,
    flip,
    in_folder,
    named,
    two_versions,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0, which differ in two files."""
    return two_versions(tmp_path_factory.mktemp("published"))


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of tiny@1.0.0 that a test may damage."""
    return Path(shutil.copytree(published / "tiny" / "v1.0.0", tmp_path / "copy"))


def test_fast_compares_names_and_sizes(copy: Path, published: Path) -> None:
    (copy / CHUNK).write_bytes(flip((copy / CHUNK).read_bytes()))
    assert verify(copy, fast=True).sound  # the same size: only reading would tell
    (copy / TABLE).write_bytes(b"short")
    (copy / STATISTICS).unlink()
    (copy / "data/new").write_text("")
    expected = {("bad", TABLE), ("missing", STATISTICS), ("extra", "data/new")}
    for found in (verify(copy, fast=True), verify(copy, published, fast=True)):
        assert named(found) == expected
    size = (published / "tiny/v1.0.0" / TABLE).stat().st_size
    told = {item.path: (item.expected, item.found) for item in found.damage}
    assert told[TABLE] == (f"{size} bytes", "5 bytes")


def test_fast_compares_names_and_sizes_in_a_store(published: Path, tmp_path: Path) -> None:
    store = in_folder(published, tmp_path)
    store.replace(f"tiny/v1.0.0/{TABLE}", b"short")
    store.delete(f"tiny/v1.0.0/{STATISTICS}")
    store.create("tiny/v1.0.0/data/new", b"")
    found = verify("tiny@1.0.0", store, fast=True)
    assert named(found) == {
        ("bad", TABLE),
        ("missing", STATISTICS),
        ("extra", "data/new"),
    }


def test_fast_does_not_trust_an_index_of_sizes_that_was_edited(copy: Path) -> None:
    (copy / "manifest.parquet").write_bytes(b"PAR1 no table PAR1")
    found = verify(copy, fast=True)
    assert named(found) == {("bad", "manifest.parquet")}
    assert any("no sizes" in note for note in found.notes)


def test_fast_does_not_trust_an_index_of_sizes_of_another_version(
    copy: Path, published: Path
) -> None:
    shutil.copy(published / "tiny/v1.1.0/manifest.parquet", copy)
    found = verify(copy, fast=True)
    assert named(found) == {("bad", "manifest.parquet")}
    assert any("nothing vouches for the index" in note for note in found.notes)


def test_globs_narrow_what_is_read(copy: Path, published: Path) -> None:
    (copy / TABLE).write_bytes(b"bad")
    (copy / "data/new").write_text("")
    whole, part = verify(copy), verify(copy, globs=["data/array.zarr/*"])
    assert part.sound
    assert part.bytes < whole.bytes
    assert named(verify(copy, globs=["data/t*", "data/n*"])) == {
        ("bad", TABLE),
        ("extra", "data/new"),
    }
    assert verify("tiny@1.0.0", published, globs=["data/array.zarr/*"]).sound


@pytest.mark.parametrize("fast", [False, True])
def test_a_glob_that_matches_nothing_is_an_error(
    copy: Path, published: Path, fast: bool
) -> None:
    for target in (copy, "tiny@1.0.0"):
        with pytest.raises(NotFoundError, match="nothing/"):
            verify(target, published, globs=["nothing/*"], fast=fast)


def test_a_bag_of_another_tool_is_verified(tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/file.txt").write_text("hello")
    (folder / "100% sure.txt").write_text("percent")
    bagit.make_bag(str(folder), checksums=["sha256"])
    (folder / "notes-beside-the-bag.txt").write_text("BagIt allows this")
    found = verify(folder)
    assert found.sound
    assert found.name == ""
    (folder / "data/sub/file.txt").write_text("hullo")
    (folder / "data/new").write_text("")
    assert named(verify(folder)) == {("bad", "data/sub/file.txt"), ("extra", "data/new")}


DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


@pytest.mark.parametrize(
    "write",
    [
        lambda digest: f"{digest}  data/a.txt\n",
        lambda digest: f"{digest.upper()}\tdata/a.txt\n",
        lambda digest: f"{digest} *data/a.txt\r\n",
        lambda digest: f"{digest}  ./data/a.txt\r",
        lambda digest: f"{digest}    data/a.txt",
    ],
)
def test_manifests_of_other_tools_may_be_written_otherwise(
    tmp_path: Path, write: Callable[[str], str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("a")
    (tmp_path / "bagit.txt").write_text(DECLARATION)
    text = write(Digest.of(b"a").hex)
    (tmp_path / MANIFEST).write_bytes(text.encode())
    assert verify(tmp_path).sound
    (tmp_path / "data/a.txt").write_text("b")
    assert named(verify(tmp_path)) == {("bad", "data/a.txt")}


@pytest.mark.parametrize(
    "path",
    ["../a", "data/../../a", "/etc/passwd", "~/a", "a", "data\\..\\..\\a", "data//a", "data/"],
)
def test_a_foreign_manifest_never_leads_out_of_its_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "bag"
    (folder / "data").mkdir(parents=True)
    (tmp_path / "a").write_text("a")
    (folder / "bagit.txt").write_text(DECLARATION)
    (folder / MANIFEST).write_text(f"{Digest.of(b'a').hex}  {path}\n")
    found = verify(folder)
    assert named(found) == {("bad", MANIFEST)}
    assert "line 1" in found.damage[0].found


def test_a_folder_without_a_sha256_manifest_is_no_version(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is no copy of a version"):
        verify(tmp_path)
    (tmp_path / "file").write_text("")
    bagit.make_bag(str(tmp_path), checksums=["md5"])
    with pytest.raises(InvalidError, match="has only manifest-md5"):
        verify(tmp_path, digest=Digest.of(b""))
    assert verify(tmp_path).name == ""


def test_a_path_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    for target in (tmp_path / "absent", str(tmp_path / "absent"), "./absent"):
        with pytest.raises(NotFoundError, match="no folder"):
            verify(target)
    with pytest.raises(
        NotFoundError, match="'absent' is no folder here, and there is no store"
    ):
        verify("absent", tmp_path / "store")


def test_a_manifest_larger_than_the_limit_is_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scidata.bag.MAX_MANIFEST_BYTES", 100)
    with pytest.raises(InvalidError, match="larger than 100 bytes"):
        verify(copy)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_no_verdict(copy: Path) -> None:
    (copy / TABLE).chmod(0)
    with pytest.raises(StorageError, match=r"table\.parquet"):
        verify(copy)


def test_progress_ends_at_the_total(copy: Path, published: Path) -> None:
    told: list[tuple[int, int]] = []
    for target in (copy, "tiny@1.0.0"):
        found = verify(
            target, published, progress=lambda done, total: told.append((done, total))
        )
        assert told[-1] == (found.bytes, found.bytes)


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from scidata.cli import main; main()"]
    command += map(str, arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_verb_exits_with_5_and_names_each_file(copy: Path, published: Path) -> None:
    done = run("verify", copy, "--store", published)
    assert (done.returncode, done.stdout.split()[0]) == (0, "sound")
    (copy / CHUNK).unlink()
    (copy / "data/new").symlink_to("/etc")
    done = run("verify", copy, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 5
    assert document["schema"] == "scidata-verify/1"
    assert not document["sound"]
    assert {(d["state"], d["path"]) for d in document["damage"]} == {
        ("missing", CHUNK),
        ("extra", "data/new"),
    }
    done = run("verify", copy, "--digest", document["digest"])
    assert done.returncode == 5
    assert f"missing {CHUNK}\n" in done.stdout


def test_the_verb_exits_with_6_if_the_store_cannot_be_reached(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = run("verify", "tiny@1.0.0", "--store", s3_url)
    assert done.returncode == 6
    assert "cannot be reached" in done.stderr


def test_the_verb_exits_with_3_for_an_unknown_version(published: Path) -> None:
    done = run("verify", "tiny@9.9.9", "--store", published, "--json")
    assert done.returncode == 3
    assert json.loads(done.stderr)["kind"] == "not-found"


def test_a_copy_made_by_aws_s3_sync_verifies(
    published: Path, s3_url: str, tmp_path: Path
) -> None:
    store = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        store.create(facts.key, published / facts.key)
    source, target = f"{s3_url}/tiny/v1.0.0/", tmp_path / "synced"
    subprocess.run(["aws", "s3", "sync", "--quiet", source, str(target)], check=True)
    found = verify(target, s3_url)
    assert found.sound
    subprocess.run(
        ["sha256sum", "--quiet", "-c", MANIFEST], cwd=target, check=True, capture_output=True
    )
