"""``scidata export``: the bytes that lie in a version, or that would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scidata.errors import InvalidError, NotFoundError
from scidata.exporting import export
from scidata.formats import FORMS
from scidata.publishing import publish
from scidata.storage import open_store
from tests.versions import write_delta, write_version

FORM_NAMES = pytest.mark.parametrize("name", FORMS)


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Path:
    write_version(open_store(tmp_path / "store"), staged)
    return tmp_path / "store"


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    program = "from scidata.cli import main; main()"
    command = [sys.executable, "-c", program, "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def stored(folder: Path, name: str, version: str = "1.0.0") -> bytes:
    path = FORMS[name].path
    return (folder / (f"v{version}/{path}" if path else f"catalog-{version}.yaml")).read_bytes()


@FORM_NAMES
def test_a_version_gives_the_bytes_that_lie_in_it(name: str, store: Path) -> None:
    assert export("tiny", name, store).data == stored(store / "tiny", name)


@FORM_NAMES
def test_a_version_that_inherits_files_gives_the_bytes_that_lie_in_it(
    name: str, staged: Path, tmp_path: Path
) -> None:
    opened = open_store(tmp_path / "store")
    parent = write_version(opened, staged)
    inherited = [p for p in (staged / "data").rglob("*") if p.is_file() and "zarr" in str(p)]
    since = {str(p.relative_to(staged)): "1.0.0" for p in inherited}
    write_delta(opened, staged, "1.1.0", parent, since)
    exported = export("tiny@1.1.0", name, opened)
    assert exported.data == stored(tmp_path / "store/tiny", name, "1.1.0")
    if name == "croissant":
        assert b"../../v1.0.0/data/array.zarr/" in exported.data


@FORM_NAMES
def test_a_staged_dataset_gives_what_publishing_it_stores(
    name: str, staged: Path, tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    from scidata.publishing import PublishOptions
    from scidata.surroundings import Surroundings

    around = Surroundings(now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    exported = export(staged, name, surroundings=around)
    options = PublishOptions(surroundings=around)
    publish(staged, tmp_path / "store", version="1.0.0", options=options)
    assert exported.data == stored(tmp_path / "store/tiny", name)


def test_what_cannot_be_exported_is_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="no form 'marc'"):
        export("tiny", "marc", store)
    with pytest.raises(NotFoundError):
        export("other", "dcat", store)
    with pytest.raises(NotFoundError, match="no record"):
        export(tmp_path, "dcat")
    with pytest.raises(InvalidError, match="is a file, not a staged dataset"):
        export(Path(__file__), "dcat")
    with pytest.raises(InvalidError, match="carries a credential"):
        export("tiny", "dcat", store, base_url="https://user:secret@example.org/")


@pytest.mark.slow
def test_the_command_prints_or_writes_a_form_and_never_over_a_file(
    store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "forms" / "crate.json"
    options = ("tiny@1.0.0", "--to", "rocrate", "--store", store)
    printed = run(*options)
    assert printed.stdout.encode() == stored(store / "tiny", "rocrate")
    dry = run(*options, "--out", out, "--dry-run")
    assert dry.stdout.startswith(f"would write {out}: RO-Crate metadata of tiny@1.0.0")
    assert not out.exists()
    assert run(*options, "--out", out).returncode == 0
    assert out.read_bytes() == stored(store / "tiny", "rocrate")
    again = run(*options, "--out", out)
    assert (again.returncode, "is not written over" in again.stderr) == (7, True)
    document = json.loads(run(*options, "--json").stdout)
    assert (document["schema"], document["written"]) == ("scidata-export/1", False)
    assert document["content"].encode() == out.read_bytes()
    assert run("tiny", "--to", "marc", "--store", store).returncode == 2
