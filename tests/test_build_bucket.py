"""Building from a bucket: what it holds is fetched once, and gives the bytes of a folder."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from scidata import fetching
from scidata.building import build
from scidata.cli import main
from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.record import load_record
from scidata.storage import open_store
from tests.patterns import write_archive
from tests.samples import files_of
from tests.scenes import NOW, write_folder

SCENES = "cloudmask"
PATTERNS = "stemdl-classification"


def send(folder: Path, url: str) -> str:
    store = open_store(url)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        assert store.create(path.relative_to(folder).as_posix(), path)
    return url


def counted(monkeypatch: pytest.MonkeyPatch, *, fail_at: int = -1) -> list[str]:
    """Note each object that is fetched; let one of them fail."""
    kept, seen = fetching._one, list[str]()

    def one(store: Any, held: Any, files: Path, meter: Any) -> Any:
        if len(seen) == fail_at:
            raise StorageError("the line broke", where=store.url, fix="again")
        found = kept(store, held, files, meter)
        seen.append(held.key)
        return found

    monkeypatch.setattr(fetching, "_one", one)
    monkeypatch.setattr(fetching, "_AT_ONCE", 1)
    return seen


def test_scenes_in_a_bucket_give_the_bytes_of_a_folder_and_are_fetched_once(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = send(write_folder(tmp_path / "in", 4, 2), f"{s3_url}/scenes")
    build(SCENES, tmp_path / "in", tmp_path / "near", now=NOW)
    seen = counted(monkeypatch)
    built = build(SCENES, url, tmp_path / "far", now=NOW)
    assert (built.source, built.written) == (url, True)
    assert files_of(tmp_path / "near/data") == files_of(tmp_path / "far/data")
    steps = load_record(tmp_path / "far/record.yaml").provenance.steps
    assert any("Fetched 6 files, " in step.activity and url in step.activity for step in steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "in", "near"]
    assert build(SCENES, url, tmp_path / "far", now=NOW).already
    assert len(seen) == 6


def test_patterns_in_a_bucket_are_fetched_anew_only_where_they_are_others(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archive(tmp_path / "in")
    count = sum(path.is_file() for path in folder.rglob("*"))
    url = send(folder, f"{s3_url}/patterns")
    with monkeypatch.context() as patched:
        seen = counted(patched, fail_at=3)
        with pytest.raises(StorageError, match="the line broke"):
            build(PATTERNS, url, tmp_path / "far")
    assert len(seen) == 3
    store = open_store(url)
    store.replace(seen[0], (folder / seen[1]).read_bytes())
    shutil.copyfile(folder / seen[1], folder / seen[0])
    store.delete(seen[2])
    (folder / seen[2]).unlink()
    again = counted(monkeypatch)
    build(PATTERNS, url, tmp_path / "far")
    assert len(again) == count - 2
    assert seen[1] not in again
    build(PATTERNS, folder, tmp_path / "near")
    assert files_of(tmp_path / "near/data") == files_of(tmp_path / "far/data")


def test_an_object_that_is_another_by_now_makes_another_build(
    tmp_path: Path, s3_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "in", 4, 0)
    url = send(folder, f"{s3_url}/changing")
    out = tmp_path / "out"
    arguments = ["build", SCENES, "--source", url, "--out", str(out)]
    for code, said in ((0, "wrote"), (0, "is done already")):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert (stopped.value.code or 0) == code
        assert said in capsys.readouterr().out
    one, other = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.hdf"))[:2]
    open_store(url).replace(one, (folder / other).read_bytes())
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 7


def test_what_is_no_bucket_holds_nothing_or_leads_out_of_the_folder_is_refused(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidError, match="neither a folder nor a bucket"):
        build(SCENES, "https://example.org/scenes", tmp_path / "out")
    with pytest.raises(NotFoundError, match="nothing lies below"):
        build(SCENES, f"{s3_url}/nothing", tmp_path / "out")
    for name in ("a", "a/b"):
        open_store(f"{s3_url}/twofold").create(name, name.encode())
    with pytest.raises(InvalidError, match="a: its key is both a file and a folder"):
        build(SCENES, f"{s3_url}/twofold", tmp_path / "out")
    url = send(write_folder(tmp_path / "in", 1, 0), f"{s3_url}/hostile")
    monkeypatch.setattr(fetching, "path_fault", lambda key: "leaves its folder")
    with pytest.raises(InvalidError, match="leaves its folder"):
        build(SCENES, url, tmp_path / "out")
    monkeypatch.setattr(fetching, "MAX_FILES", 0)
    with pytest.raises(InvalidError, match="more than 0 objects"):
        build(SCENES, url, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_what_was_cut_off_is_fetched_again_and_what_changes_meanwhile_is_refused(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = send(write_folder(tmp_path / "in", 3, 0), f"{s3_url}/cut")
    bucket, seen = fetching.list_bucket(url), counted(monkeypatch)
    files = fetching.fetch(bucket, tmp_path / "kept")
    first, _, last = seen
    whole = files_of(files)
    (files / first).write_bytes(whole[first][:-1])
    notes = tmp_path / "kept/fetched.jsonl"
    notes.write_text(notes.read_text()[:-9])
    fetching.fetch(bucket, tmp_path / "kept")
    assert sorted(seen[3:]) == sorted([first, last])
    assert files_of(files) == whole
    open_store(url).replace(first, whole[first] + b"more")
    (files / first).unlink()
    with pytest.raises(StorageError, match="was listed with"):
        fetching.fetch(bucket, tmp_path / "kept")
    assert first not in files_of(files)


def test_two_builds_do_not_fetch_into_one_folder(tmp_path: Path, s3_url: str) -> None:
    url = send(write_folder(tmp_path / "in", 1, 0), f"{s3_url}/twice")
    (tmp_path / ".out.source").mkdir()
    held = os.open(tmp_path / ".out.source", os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConflictError):
            build(SCENES, url, tmp_path / "out", now=NOW)
    finally:
        os.close(held)
