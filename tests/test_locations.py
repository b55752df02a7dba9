"""A version whose files lie in several prefixes: located, and read as any other."""

import copy
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import intake
import numpy as np
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

import scidata
from scidata.dataset import Dataset
from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError
from scidata.index import rebuild
from scidata.loaders.places import Spread
from scidata.loaders.stream import Stream
from scidata.locations import full_key, full_note, overlay, read_index, read_locations
from scidata.manifest import MANIFEST_TABLE
from scidata.pulling import pull
from scidata.record import Samples
from scidata.resolve import read_manifest, resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.memory import MemoryStore
from scidata.verifying import verify
from scidata.version import CommitRecord, commit_bytes
from tests.servers import folder_server
from tests.versions import Counting, write_delta, write_version

CHANGED = "data/array.zarr/wave/c/0/0/0"
PART = "data/splits/sample/train.txt"
SAMPLES = Samples(asset="array", each=("sample",), inputs=("wave",), targets=("wave",))
NAME = "tiny@1.1.0"


def change(staged: Path, changed: Path) -> Path:
    """Copy a staged dataset and change one shard, one split part and one file's place."""
    shutil.copytree(staged, changed)
    wave = zarr.open_group(str(changed / "data/array.zarr"), mode="r+")["wave"]
    assert isinstance(wave, zarr.Array)
    wave[:8] = np.float32(7)
    (changed / PART).write_text("0001\n0002\n0003\n")
    return changed


def write_both(store: StoreLike, staged: Path, changed: Path) -> CommitRecord:
    """Put a version into a store, and the changed one as its delta."""
    opened = open_store(store)
    first = write_version(opened, staged)
    held = read_manifest(opened, first)
    same = {
        path: "1.0.0"
        for path in held
        if (changed / path).exists() and Digest.of((changed / path).read_bytes()) == held[path]
    }
    assert CHANGED not in same
    return write_delta(opened, changed, "1.1.0", first, same)


@pytest.fixture
def changed(staged: Path, tmp_path: Path) -> Path:
    return change(staged, tmp_path / "changed")


@pytest.fixture
def store(staged: Path, changed: Path, tmp_path: Path) -> Path:
    """A folder with a version and a delta of it."""
    write_both(tmp_path / "store", staged, changed)
    rebuild(open_store(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def memory(staged: Path, changed: Path) -> MemoryStore:
    found = MemoryStore()
    write_both(found, staged, changed)
    return found


@pytest.fixture
def everywhere(
    store: Path, s3_url: str, staged: Path, changed: Path
) -> Iterator[list[StoreLike]]:
    """The same store in a folder, in S3 and on a web server."""
    write_both(s3_url, staged, changed)
    with folder_server(store) as url:
        yield [store, s3_url, url]


def with_table(memory: MemoryStore, change: Callable[[bytes], bytes]) -> None:
    """Exchange the index of the delta, and let the commit record vouch for the new one."""
    key, commit = f"v1.1.0/{MANIFEST_TABLE}", resolve(NAME, memory)
    data = change(memory.read(f"tiny/{key}"))
    memory.replace(f"tiny/{key}", data)
    tag = commit.tags[key].model_copy(update={"sha256": Digest.of(data).hex, "size": len(data)})
    changed = commit.model_copy(update={"tags": {**commit.tags, key: tag}})
    memory.replace("tiny/versions/1.1.0.json", commit_bytes(changed))


def saying(since: str) -> Callable[[bytes], bytes]:
    """Let an index say that its first file lies in some version."""

    def change(data: bytes) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(pa.BufferReader(data))
        words = [since, *table["since"].to_pylist()[1:]]
        column = pa.array(words, pa.string()).dictionary_encode()
        sink = pa.BufferOutputStream()
        pq.write_table(table.set_column(3, "since", column), sink)
        return bytes(sink.getvalue())

    return change


def test_files_lie_where_the_index_says_and_the_others_in_the_own_prefix(
    memory: MemoryStore,
) -> None:
    commit = resolve(NAME, memory)
    locations = read_locations(memory, commit, read_manifest(memory, commit))
    assert locations.of(CHANGED).key == f"tiny/v1.1.0/{CHANGED}"
    assert locations.of("data/table.parquet").key == "tiny/v1.0.0/data/table.parquet"
    roots = locations.roots(["data/table.parquet", CHANGED, PART])
    assert roots == {"tiny/v1.0.0": ["data/table.parquet"], "tiny/v1.1.0": [CHANGED, PART]}


def test_locating_the_files_of_one_prefix_costs_no_request(memory: MemoryStore) -> None:
    commit = resolve("tiny@1.0.0", memory)
    manifest = read_manifest(memory, commit)
    counting = Counting(memory)
    assert read_locations(counting, commit, manifest).of(PART).key == f"tiny/v1.0.0/{PART}"
    assert counting.requests == []


def test_every_reader_takes_a_delta_for_what_it_is_from_anywhere(
    everywhere: list[StoreLike], changed: Path, tmp_path: Path
) -> None:
    for number, where in enumerate(everywhere):
        found = scidata.open(NAME, where)
        assert (found.to_xarray("array")["wave"][:8] == 7).all()
        assert not (found.to_xarray("array")["wave"][8:] == 7).all()
        assert len(found.to_pandas("table")) == 24
        assert found.split("train") == ("0001", "0002", "0003")
        assert len(found.split("validation")) == 8
        assert verify(NAME, where).damage == ()
        assert verify(NAME, where, fast=True).damage == ()
        out = tmp_path / f"out-{number}"
        pull(NAME, out, where)
        assert verify(out, where).sound
        files = [p for p in (changed / "data").rglob("*") if p.is_file()]
        for file in files:
            path = file.relative_to(changed)
            assert (out / path).read_bytes() == file.read_bytes()


def streamed(found: Dataset, **options: object) -> Stream:
    return found.stream("validation", batch_size=4, samples=SAMPLES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("verified", [False, True])
def test_samples_stream_from_several_prefixes(
    everywhere: list[StoreLike], changed: Path, tmp_path: Path, verified: bool
) -> None:
    write_version(open_store(tmp_path / "full"), changed, "1.1.0")
    wanted = list(streamed(scidata.open(NAME, tmp_path / "full")))
    assert wanted
    for where in everywhere:
        stream = streamed(scidata.open(NAME, where), verify=verified)
        assert isinstance(stream.source.asset.objects, Spread)
        for batch, other in zip(wanted, stream, strict=True):
            assert torch.equal(batch["wave"], other["wave"])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_stream_from_several_prefixes(
    s3_url: str, staged: Path, changed: Path, context: str
) -> None:
    write_both(s3_url, staged, changed)
    stream = streamed(scidata.open(NAME, s3_url))
    loader: DataLoader[dict[str, torch.Tensor]] = DataLoader(
        stream, batch_size=None, num_workers=1, multiprocessing_context=context
    )
    for batch, other in zip(loader, stream, strict=True):
        assert torch.equal(batch["wave"], other["wave"])


def test_no_credential_travels_with_objects_in_several_places(
    s3_url: str, staged: Path, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-others")
    write_both(s3_url, staged, changed)
    source = streamed(scidata.open(NAME, s3_url)).source
    assert b"not-for-others" not in pickle.dumps(source.asset)
    again = copy.deepcopy(source.asset)  # by the same way as a pickle
    assert again.read("zarr.json") == source.asset.read("zarr.json")


def test_plain_intake_opens_what_lies_whole_in_an_older_prefix(
    everywhere: list[StoreLike],
) -> None:
    for name in ("catalog-1.1.0.yaml", "catalog.yaml"):
        catalog: Any = intake.open_catalog(f"{everywhere[0]}/tiny/{name}")  # Any: untyped
        assert len(catalog["table"].read()) == 24
        assert len(catalog["split-sample-train"].read()) == 3


@pytest.mark.parametrize("since", ["0.9.0", "../../other/v1.0.0", "", "1.1.0/x"])
def test_an_index_that_points_out_of_the_recorded_prefixes_is_refused(
    memory: MemoryStore, since: str, tmp_path: Path
) -> None:
    with_table(memory, saying(since))
    with pytest.raises(InvalidError, match="says that files lie in version"):
        pull(NAME, tmp_path / "out", memory)
    with pytest.raises(InvalidError, match="says that files lie in version"):
        scidata.open(NAME, memory).to_pandas("table")
    assert not (tmp_path / "out").exists()


def test_an_index_is_not_trusted_before_its_digest_was_compared(memory: MemoryStore) -> None:
    memory.replace(f"tiny/v1.1.0/{MANIFEST_TABLE}", b"PAR1")
    with pytest.raises(IntegrityError, match=r"manifest\.parquet"):
        scidata.open(NAME, memory).to_pandas("table")


@pytest.mark.parametrize(
    "prefixes",
    [(), ("v1.0.0",), ("v1.1.0", "v1.0.0"), ("v1.0.0", "v1.0.0", "v1.1.0"), ("../x", "v1.1.0")],
)
def test_a_commit_record_with_senseless_prefixes_is_refused(
    memory: MemoryStore, prefixes: tuple[str, ...]
) -> None:
    commit = resolve(NAME, memory).model_copy(update={"prefixes": prefixes})
    memory.replace("tiny/versions/1.1.0.json", commit_bytes(commit))
    with pytest.raises(InvalidError, match="has the prefixes"):
        resolve(NAME, memory)


def test_an_asset_outside_of_the_prefixes_is_refused(memory: MemoryStore) -> None:
    commit = resolve(NAME, memory)
    assets = (commit.assets[0].model_copy(update={"href": "v0.1.0/data/array.zarr"}),)
    changed = commit.model_copy(update={"assets": assets})
    memory.replace("tiny/versions/1.1.0.json", commit_bytes(changed))
    with pytest.raises(InvalidError, match="says that an asset lies at"):
        resolve(NAME, memory)


def test_verify_names_what_is_lost_bad_or_too_much_in_any_prefix(memory: MemoryStore) -> None:
    memory.delete("tiny/v1.0.0/data/table.parquet")
    memory.replace(f"tiny/v1.1.0/{PART}", b"0009\n")
    memory.replace("tiny/v1.1.0/data/more.txt", b"")
    memory.replace("tiny/v1.0.0/data/of-the-older-one.txt", b"")
    found = {(item.path, item.state) for item in verify(NAME, memory).damage}
    assert found == {
        ("data/table.parquet", "missing"),
        (PART, "bad"),
        ("data/more.txt", "extra"),
    }


def test_verify_finds_inherited_files_though_the_index_is_lost(memory: MemoryStore) -> None:
    memory.delete(f"tiny/v1.1.0/{MANIFEST_TABLE}")
    found = verify(NAME, memory)
    assert [(item.path, item.state) for item in found.damage] == [(MANIFEST_TABLE, "missing")]
    assert "looked for in older prefixes" in found.notes[0]


def test_prefixes_laid_over_each_other_give_what_the_index_says(memory: MemoryStore) -> None:
    commit = resolve(NAME, memory)
    manifest = read_manifest(memory, commit)
    assert overlay(memory, commit, manifest) == read_locations(memory, commit, manifest)


def test_a_note_that_the_prefix_was_filled_up_moves_every_reader_there(
    memory: MemoryStore, tmp_path: Path
) -> None:
    commit = resolve(NAME, memory)
    manifest = read_manifest(memory, commit)
    for path, since in read_locations(memory, commit, manifest).since.items():
        assert since == "1.0.0"
        memory.create(f"tiny/v1.1.0/{path}", memory.read(f"tiny/v1.0.0/{path}"))
    assert verify(NAME, memory).damage == ()
    memory.create(full_key(commit), full_note(commit))
    for key in [facts.key for facts in memory.list("tiny/v1.0.0/")]:
        memory.delete(key)
    assert read_locations(memory, commit, manifest).since == {}
    assert read_index(memory, commit, manifest).locations.since == {}
    assert verify(NAME, memory).damage == ()
    pull(NAME, tmp_path / "out", memory)
    assert (scidata.open(NAME, memory).to_xarray("array")["wave"][:8] == 7).all()


def test_a_note_about_another_digest_moves_nobody(memory: MemoryStore) -> None:
    commit = resolve(NAME, memory)
    other = replace_digest(commit)
    memory.create(full_key(commit), full_note(other))
    assert read_locations(memory, commit, read_manifest(memory, commit)).since


def replace_digest(commit: CommitRecord) -> CommitRecord:
    return commit.model_copy(update={"digest": f"sha256:{'0' * 64}"})
