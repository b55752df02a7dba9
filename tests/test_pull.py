"""A pull brings the version, all or part of it, into a folder of its own."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import bagit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidata.errors import (
    ConflictError,
    NotFoundError,
)
from scidata.publishing import publish
from scidata.pulling import plan_pull, pull
from scidata.pulling.fetch import PART
from scidata.storage import open_store
from scidata.storage.local import LocalStore
from scidata.verifying import verify
from tests.damage import CHUNK, MANIFEST, TABLE, command, files, with_big_file


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0; in the latter one file is 24 MiB."""
    return with_big_file(tmp_path_factory.mktemp("published"))


def test_a_pulled_version_is_the_published_bag_byte_for_byte(
    published: Path, tmp_path: Path
) -> None:
    pulled = pull("tiny@1.0.0", tmp_path / "out", published)
    assert files(tmp_path / "out") == files(published / "tiny/v1.0.0")
    assert (pulled.fetched, pulled.partial, pulled.name) == (11, False, "tiny@1.0.0")
    bagit.Bag(str(tmp_path / "out")).validate()
    assert verify(tmp_path / "out", published).sound


def test_pulling_again_fetches_nothing(published: Path, tmp_path: Path) -> None:
    first = pull("tiny@1.0.0", tmp_path / "out", published)
    again = pull("tiny@1.0.0", tmp_path / "out", published)
    assert (again.fetched, again.files, again.bytes) == (0, first.files, first.bytes)


def test_a_file_of_the_right_size_and_time_is_not_taken_for_right(
    published: Path, tmp_path: Path
) -> None:
    pull("tiny@1.0.0", str(tmp_path / "out"), published)
    there = tmp_path / "out" / CHUNK
    stamp = there.stat()
    there.write_bytes(bytes(stamp.st_size))
    os.utime(there, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    again = pull("tiny@1.0.0", tmp_path / "out", published)
    assert again.replaced == (CHUNK,)
    assert verify(tmp_path / "out", published).sound


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pull_repairs_any_damage_of_a_copy(
    published: Path, tmp_path: Path, data: st.DataObject
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    for file in sorted(p for p in out.rglob("*") if p.is_file()):
        act = data.draw(st.sampled_from(["keep", "keep", "delete", "flip", "truncate"]))
        if act == "delete" and file.name != MANIFEST:
            file.unlink()
        elif act == "flip" and file.name != MANIFEST:
            whole = file.read_bytes()
            file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        elif act == "truncate" and file.name != MANIFEST:
            file.write_bytes(file.read_bytes()[:3])
    pull("tiny@1.0.0", out, published)
    assert files(out) == files(published / "tiny/v1.0.0")


def test_a_damaged_manifest_is_repaired_too(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    (out / MANIFEST).write_bytes((out / MANIFEST).read_bytes()[:-1])
    pull("tiny@1.0.0", out, published)
    assert verify(out, published).sound


def test_a_partial_copy_is_no_bag_and_lists_what_it_holds(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pulled = pull("tiny@1.0.0", out, published, assets=["table"], globs=["data/splits/*"])
    assert pulled.partial
    assert pulled.files == 3
    with pytest.raises(bagit.BagError):
        bagit.Bag(str(out))
    listed = [
        line.split("  ")[1]
        for line in (out / "partial-sha256.txt").read_text().split("\n")[:-1]
    ]
    assert listed == sorted(
        [TABLE, "data/splits/sample/train.txt", "data/splits/sample/validation.txt"]
    )
    check = ["sha256sum", "--quiet", "-c", "partial-sha256.txt"]
    subprocess.run(check, cwd=out, check=True)
    found = verify(out, published)
    assert found.sound
    assert (found.partial, found.held, found.payload) == (True, 3, 11)
    (out / TABLE).unlink()
    assert [d.path for d in verify(out).damage] == [TABLE]


def test_a_partial_copy_grows_until_it_is_whole(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published, assets=["table"])
    grown = pull("tiny@1.0.0", out, published, assets=["array"])
    assert grown.partial
    assert verify(out).sound
    whole = pull("tiny@1.0.0", out, published)
    assert (whole.partial, whole.fetched) == (False, 3)
    assert files(out) == files(published / "tiny/v1.0.0")


def test_a_whole_copy_stays_whole_when_part_of_it_is_pulled_again(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    assert not pull("tiny@1.0.0", out, published, assets=["table"]).partial
    assert files(out) == files(published / "tiny/v1.0.0")


def test_part_of_a_copy_that_was_interrupted_is_a_sound_part(
    published: Path, tmp_path: Path
) -> None:
    whole, out = published / "tiny/v1.0.0", tmp_path / "out"
    shutil.copytree(whole, out)
    for path in ("bagit.txt", CHUNK):
        (out / path).unlink()
    begun = out / (CHUNK + PART)
    begun.write_bytes((whole / CHUNK).read_bytes()[:10])
    (out / ("README.md" + PART)).write_bytes(b"")
    pulled = pull("tiny@1.0.0", out, published, assets=["table"])
    assert pulled.partial
    assert not begun.exists()
    found = verify(out, published)
    assert (found.sound, found.damage) == (True, ())
    assert pull("tiny@1.0.0", out, published).fetched == 1
    assert files(out) == files(whole)


def test_a_whole_copy_that_lost_a_file_becomes_a_part_when_part_is_pulled(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    (out / CHUNK).unlink()
    assert pull("tiny@1.0.0", out, published, assets=["table"]).partial
    assert not (out / "bagit.txt").exists()
    assert verify(out, published).sound


def test_what_is_there_already_is_read_with_progress(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = pull("tiny@1.1.0", out, published)
    told: list[tuple[int, int]] = []
    plan_pull(
        "tiny@1.1.0", out, published, progress=lambda done, total: told.append((done, total))
    )
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (first.bytes, first.bytes)


def test_an_unknown_asset_is_answered_with_those_that_exist(
    published: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no asset 'tables'") as caught:
        pull("tiny@1.0.0", tmp_path / "out", published, assets=["tables"])
    assert "table" in caught.value.fix
    with pytest.raises(NotFoundError, match="matches"):
        pull("tiny@1.0.0", tmp_path / "out", published, globs=["*.nc"])
    assert not (tmp_path / "out").exists()


def test_the_plan_writes_nothing_and_says_what_the_pull_then_does(
    published: Path, tmp_path: Path
) -> None:
    plan = plan_pull("tiny@1.0.0", tmp_path / "out", published, assets=["array"])
    assert not (tmp_path / "out").exists()
    pulled = pull("tiny@1.0.0", tmp_path / "out", published, assets=["array"])
    assert (len(plan.fetches), plan.bytes) == (pulled.fetched, pulled.fetched_bytes)


def test_a_folder_that_holds_another_version_is_refused_by_name(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    before = files(out)
    with pytest.raises(ConflictError, match=r"holds tiny@1\.0\.0, not tiny@1\.1\.0"):
        pull("tiny@1.1.0", out, published)
    assert files(out) == before


def test_a_folder_with_other_files_is_refused(published: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="is not empty"):
        pull("tiny@1.0.0", tmp_path, published)
    with pytest.raises(ConflictError, match="is not a folder"):
        pull("tiny@1.0.0", tmp_path / "thesis.txt", published)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    (out / "data/mine.txt").write_text("mine")
    with pytest.raises(ConflictError, match=r"data/mine\.txt"):
        pull("tiny@1.0.0", out, published)


@pytest.mark.parametrize("link", ["data", "data/array.zarr", TABLE, "meta", TABLE + PART])
def test_a_link_in_the_destination_is_never_followed(
    published: Path, tmp_path: Path, link: str
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    shutil.copytree(published / "tiny/v1.0.0", out)
    outside.mkdir()
    if (out / link).is_dir():
        shutil.rmtree(out / link)
    else:
        (out / link).unlink(missing_ok=True)
    (out / link).symlink_to(outside)
    with pytest.raises(ConflictError, match=re.escape(repr(link))):
        pull("tiny@1.0.0", out, published)
    assert list(outside.iterdir()) == []


def test_a_version_on_s3_is_pulled_and_its_progress_told(
    published: Path, s3_url: str, tmp_path: Path
) -> None:
    store = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        store.create(facts.key, published / facts.key)
    told: list[tuple[int, int]] = []
    pulled = pull(
        "tiny",
        tmp_path / "out",
        s3_url,
        progress=lambda done, total: told.append((done, total)),
    )
    assert pulled.name == "tiny@1.1.0"
    assert told[-1] == (pulled.bytes, pulled.bytes)
    assert files(tmp_path / "out") == files(published / "tiny/v1.1.0")


def test_the_verb_names_the_folder_after_the_version(published: Path, tmp_path: Path) -> None:
    arguments = ("pull", "tiny@1.0.0", "--store", published, "--json")
    dry = subprocess.run(
        command(*arguments, "--dry-run"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(dry.stdout)["fetched"] == 11
    assert list(tmp_path.iterdir()) == []
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert document["schema"] == "scidata-pull/1"
    assert document["destination"] == "tiny-1.0.0"
    assert verify(tmp_path / "tiny-1.0.0", published).sound


def test_the_verb_exits_with_7_for_a_folder_of_another_version(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    arguments = command("pull", "tiny", "--store", published, "--out", out)
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "one folder for each version" in done.stderr


def test_what_publish_wrote_is_what_pull_brings(staged: Path, tmp_path: Path) -> None:
    published = publish(staged, tmp_path / "store", version="1.0.0")
    pulled = pull("tiny", tmp_path / "out", tmp_path / "store")
    assert str(pulled.digest) == published.commit.digest
    assert verify(tmp_path / "out", tmp_path / "store").sound
    assert verify("tiny@1.0.0", tmp_path / "store", digest=pulled.digest).sound
