"""The cache of official schemas: pinned, fetched once, never trusted."""

import shutil
from pathlib import Path

import pytest

from scidata.errors import IntegrityError, NotFoundError, StorageError
from scidata.schemas import SchemaCache, pins, schema_file, users_cache

NAME = "datacite-4.7"


def test_a_cache_that_has_every_file_is_used_as_it_is(schemas: Path) -> None:
    file = schema_file(NAME, SchemaCache(folder=schemas))
    assert file.name == "metadata.xsd"


def test_a_file_that_differs_from_its_pin_is_refused(schemas: Path, tmp_path: Path) -> None:
    folder = tmp_path / "schema.datacite.org"
    shutil.copytree(schemas / "schema.datacite.org", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    (folder / "meta/kernel-4.7/include/xml.xsd").write_text("<schema/>")
    with pytest.raises(IntegrityError, match="is not the one that was pinned"):
        schema_file(NAME, SchemaCache(folder=tmp_path))


def test_a_missing_file_is_named_and_not_fetched_where_it_may_not(tmp_path: Path) -> None:
    given = users_cache({"SCIDATA_SCHEMAS": str(tmp_path)})
    assert given == SchemaCache(folder=tmp_path, may_fetch=False)
    with pytest.raises(NotFoundError, match=r"metadata\.xsd is not in the cache"):
        schema_file(NAME, given)
    assert not users_cache({}, offline=True).may_fetch
    assert users_cache({}).may_fetch


def test_files_are_fetched_once_and_kept(
    schemas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return (schemas / url.removeprefix("https://")).read_bytes()

    monkeypatch.setattr("scidata.schemas._fetch", fetch)
    cache = SchemaCache(folder=tmp_path / "cache", may_fetch=True)
    for _ in range(2):
        assert schema_file(NAME, cache).is_file()
    assert asked == list(pins(NAME))


def test_other_bytes_at_the_address_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scidata.schemas._fetch", lambda _: b"<html>")
    with pytest.raises(IntegrityError):
        schema_file(NAME, SchemaCache(folder=tmp_path, may_fetch=True))
    assert list(tmp_path.rglob("*.xsd")) == []


def test_an_address_that_cannot_be_reached_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "scidata.schemas.pins", lambda _: {"http://127.0.0.1:9/a.xsd": "0" * 64}
    )
    with pytest.raises(StorageError, match="could not be fetched"):
        schema_file(NAME, SchemaCache(folder=tmp_path, may_fetch=True))
