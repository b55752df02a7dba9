"""Adopting: files become a version where they lie, from a folder, S3, the web, or a list."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scidata
from scidata.adopting import AdoptOptions, SourceOptions, plan_adopt
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
)
from scidata.storage import open_store
from tests.adopted import adopt_scenes, adopted, flipped, write_record
from tests.scenes import read_scene, write_scene, write_scenes
from tests.servers import create_bucket, http_put

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def test_a_folder_becomes_a_version_and_no_byte_of_it_is_copied(tmp_path: Path) -> None:
    store, files = adopted(tmp_path)
    sizes = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
    assert sizes < sum(f.stat().st_size for f in files)
    assert not (store / "scenes" / "v1.0.0" / "data").exists()
    assert "3 files of this version" in (store / "scenes/v1.0.0/README.md").read_text()
    listed = (store / "scenes" / "v1.0.0" / "manifest-sha256.txt").read_text().splitlines()
    for line, path in zip(listed, files, strict=True):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert line == f"{digest}  data/scenes/{path.name}"
    assert scidata.verify("scenes@1.0.0", store).damage == ()
    assert scidata.verify("scenes@1.0.0", store, fast=True).damage == ()


def larger(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("change", [larger, flipped])
def test_a_source_that_changes_afterwards_is_named_by_every_check(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    store, files = adopted(tmp_path)
    change(files[1])
    for fast in (True, False):
        (damage,) = {
            d.path: d for d in scidata.verify("scenes", store, fast=fast).damage
        }.items()
        assert damage[0] == f"data/scenes/{files[1].name}"
        assert damage[1].state == "bad"
    fast_found = scidata.verify("scenes", store, fast=True).damage
    assert any("the source changed" in d.found for d in fast_found)
    with pytest.raises(IntegrityError) as caught:
        scidata.pull("scenes@1.0.0", tmp_path / "copy", store)
    assert [d.path for d in caught.value.damage] == [f"data/scenes/{files[1].name}"]


@pytest.mark.parametrize("fast", [True, False])
def test_a_source_that_vanishes_is_missing(tmp_path: Path, fast: bool) -> None:
    store, files = adopted(tmp_path)
    files[2].unlink()
    (damage,) = scidata.verify("scenes", store, fast=fast).damage
    assert (damage.state, damage.path) == ("missing", f"data/scenes/{files[2].name}")


def test_a_bucket_is_adopted_into_a_folder_and_noticed_when_it_changes(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 3)
    create_bucket(s3_endpoint, "public")
    for path in files:
        http_put(f"{s3_endpoint}/public/in/{path.name}", path.read_bytes())
    for name in ("twofold/a", "twofold/a/b", "odd/a%2520b"):
        http_put(f"{s3_endpoint}/public/{name}", b"")
    store, record = tmp_path / "store", write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="which is a file, too"):
        adopt_scenes("s3://public/twofold", store, record)
    with pytest.raises(InvalidError, match="contains '%'") as caught:
        adopt_scenes("s3://public/odd", store, record)
    assert "rename it there" in caught.value.fix
    done = adopt_scenes("s3://public/in", store, record)
    assert done.places == ("s3://public/in",)
    assert done.published.commit.outside[0].endpoint == s3_endpoint
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.bts[2].values, read_scene(files[2], "bts"))
    assert scidata.verify("scenes", store).damage == ()
    write_scene(files[0], 99)
    open_store("s3://public/in").replace(files[0].name, files[0].read_bytes())
    (damage,) = scidata.verify("scenes", store, fast=True).damage
    assert "the source changed" in damage.found


def test_a_bucket_is_adopted_into_a_bucket(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "origin")
    for path in files:
        http_put(f"{s3_endpoint}/origin/{path.name}", path.read_bytes())
    adopt_scenes("s3://origin", s3_url, write_record(tmp_path / "record"))
    assert scidata.verify("scenes", s3_url).damage == ()
    scidata.pull("scenes", tmp_path / "copy", s3_url)
    assert scidata.verify(tmp_path / "copy", s3_url).damage == ()


def sums(files: list[Path]) -> str:
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)


def test_a_web_folder_with_an_index_is_adopted(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    files = write_scenes(folder / "in", 3)
    (folder / "in" / "SHA256SUMS").write_text(sums(files))
    store = tmp_path / "store"
    adopt_scenes(
        f"{url}/in/",
        store,
        write_record(tmp_path / "record"),
        reached=SourceOptions(index="SHA256SUMS"),
        read=False,
    )
    assert scidata.verify("scenes", store).damage == ()
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.refs[1].values, read_scene(files[1], "refs"))
    scidata.pull("scenes", tmp_path / "copy", store)
    larger(files[0])
    (damage,) = scidata.verify("scenes", store, fast=True).damage
    assert damage.path.endswith(files[0].name)


def test_a_list_of_addresses_with_sizes_and_digests_is_adopted_without_reading(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    files = [*write_scenes(folder / "a", 2), write_scene(folder / "b.hdf", 7)]
    lines = ["# scenes of one orbit"]
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        place = path.relative_to(folder).as_posix()
        lines.append(f"{url}/{place} {path.stat().st_size} {digest}")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(lines))
    store = tmp_path / "store"
    record = write_record(tmp_path / "record")
    done = adopt_scenes(str(listed), store, record, listed=True, read=False)
    assert done.places == (url,)
    assert scidata.verify("scenes", store).damage == ()
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.refs[2].values, read_scene(files[2], "refs"))


def test_without_reading_a_version_without_digests_is_refused(tmp_path: Path) -> None:
    files = write_scenes(tmp_path / "source", 2)
    with pytest.raises(InvalidError, match="a version cannot be without digests") as caught:
        adopt_scenes(
            str(tmp_path / "source"),
            tmp_path / "store",
            write_record(tmp_path / "record"),
            read=False,
        )
    assert [p.path for p in caught.value.problems] == [f.name for f in files]
    assert not (tmp_path / "store" / "scenes" / "versions").exists()


def test_a_list_that_contradicts_the_bytes_is_refused(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    path = write_scene(folder / "a.hdf", 1)
    listed = tmp_path / "list.txt"
    record = write_record(tmp_path / "record")
    listed.write_text(f"{url}/a.hdf {path.stat().st_size} {'0' * 64}\n")
    with pytest.raises(IntegrityError, match="the source changed"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)
    listed.write_text(f"{url}/a.hdf 17\n")
    with pytest.raises(IntegrityError, match="the list says 17"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)
    listed.write_text(f"{url}/b.hdf\n")
    with pytest.raises(NotFoundError, match=r"'b\.hdf', which the list names, is not there"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)


def test_what_was_read_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scidata.adopting import digests
    from scidata.hashing import hash_stream

    files = write_scenes(tmp_path / "source", 4)
    record = write_record(tmp_path / "record")
    read: list[int] = []
    broken = [True]
    whole = hash_stream

    def counting(blocks: Any) -> Any:
        if broken and len(read) >= 2:
            raise KeyboardInterrupt
        found = whole(blocks)
        read.append(found[1])
        return found

    monkeypatch.setattr(digests, "hash_stream", counting)
    monkeypatch.setattr(digests, "AT_ONCE", 1)
    options = AdoptOptions(along="scene")
    with pytest.raises(KeyboardInterrupt):
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    noted = sum(f.stat().st_size for f in files[:2])
    planned = plan_adopt(
        str(tmp_path / "source"),
        tmp_path / "store",
        name="scenes",
        record=record,
        version="1.0.0",
        options=options,
    )
    assert planned.to_read == planned.bytes - noted
    broken.clear()
    read.clear()
    adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    assert sorted(read) == sorted(f.stat().st_size for f in files[2:])
    assert scidata.verify("scenes", tmp_path / "store").damage == ()


def test_adopting_again_says_so_and_other_bytes_are_a_conflict(tmp_path: Path) -> None:
    store, files = adopted(tmp_path)
    record = tmp_path / "record" / "record.yaml"
    assert adopt_scenes(str(tmp_path / "source"), store, record).published.already
    write_scene(files[0], 50)
    with pytest.raises(ConflictError, match="published with other data"):
        adopt_scenes(str(tmp_path / "source"), store, record)


def test_files_of_different_layouts_are_adopted_only_without_references(tmp_path: Path) -> None:
    files = write_scenes(tmp_path / "source", 2)
    write_scene(files[1], 1, 24, 60)
    record = write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="another layout") as caught:
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    assert "--no-references" in caught.value.fix
    done = adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record, references=False)
    assert done.referenced is None
    assert scidata.verify("scenes", tmp_path / "store").damage == ()


def test_a_dimension_is_not_forgotten_where_no_index_can_be_made(tmp_path: Path) -> None:
    write_scenes(tmp_path / "source", 1)
    (tmp_path / "source" / "SHA256SUMS").write_text("")
    record = write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="along 'scene': 'SHA256SUMS' is neither HDF5"):
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    done = adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record, along=None)
    assert done.referenced is None


def test_a_list_in_the_place_of_a_folder_is_told_apart_from_a_lost_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "list.txt").write_text("")
    record = write_record(tmp_path / "record")
    for source in ("list.txt", "archiv"):
        with pytest.raises(NotFoundError, match="is no folder") as caught:
            adopt_scenes(str(tmp_path / source), tmp_path / "store", record)
        assert "--list" in caught.value.fix
    with pytest.raises(InvalidError, match="the store lies in"):
        adopt_scenes(str(tmp_path), tmp_path / "store", record)


def put_checked(endpoint: str, bucket: str, files: list[Path]) -> None:
    """Upload files so that S3 keeps the sha256 of each."""
    import botocore.session

    client = botocore.session.Session().create_client("s3", endpoint_url=endpoint)
    for path in files:
        client.put_object(
            Bucket=bucket, Key=path.name, Body=path.read_bytes(), ChecksumAlgorithm="SHA256"
        )
    client.close()


def test_s3_s_own_checksums_of_whole_objects_stand_for_reading(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "kept")
    put_checked(s3_endpoint, "kept", files)
    store = tmp_path / "store"
    adopt_scenes("s3://kept", store, write_record(tmp_path / "record"), read=False)
    assert scidata.verify("scenes", store).damage == ()


def test_the_stored_checksums_of_a_source_are_asked_for_by_verify_remote(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "asked")
    put_checked(s3_endpoint, "asked", files)
    store = tmp_path / "store"
    adopt_scenes("s3://asked", store, write_record(tmp_path / "record"))
    found = scidata.verify("scenes", store, remote=True)
    assert found.damage == ()
    assert sum(found.checksums.values()) == 2
