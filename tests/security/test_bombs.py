"""Attack: a few bytes that become many once they are read.

Promise: what is decompressed, repeated or merely claimed by a shape is refused before it fills
the memory; the bytes and seconds that are spent have a limit, whatever the file says.
"""

import bz2
import gzip
import io
import json
import lzma
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scidata
from scidata.catalog import open_catalog
from scidata.errors import InvalidError, ScidataError
from scidata.loaders.arrays import MAX_LABELS, check_index
from scidata.manifest_index import (
    ROWS_AT_ONCE,
    parse_index,
    parse_noted,
    read_recorded,
    read_rows,
)
from scidata.opening.netcdf import _check_group
from scidata.opening.tables import decompressed
from scidata.storage import open_store
from scidata.storage.memory import MemoryStore
from scidata.version import MAX_COMMIT_BYTES, parse_commit
from tests.security.attack import run
from tests.security.servers import answering
from tests.versions import write_version


@contextmanager
def frugal(limit: int, seconds: float = 20) -> Iterator[None]:
    """Fail if more than `limit` bytes of Python's or Arrow's memory, or seconds, are used."""
    before, began = pa.default_memory_pool(), time.monotonic()
    arrow = pa.proxy_memory_pool(before)  # which counts anew
    pa.set_memory_pool(arrow)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
        assert (arrow.max_memory() or 0) < limit
        assert time.monotonic() - began < seconds
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_table_is_not_unpacked_beyond_its_limit(suffix: str) -> None:
    bomb = PACKERS[suffix](bytes(2**27))
    assert len(bomb) < 2**18
    with frugal(2**25), pytest.raises(InvalidError, match="once decompressed"):
        decompressed(f"data/x.csv{suffix}", bomb, where="x", limit=2**20)


def index_of(paths: list[str], **options: Any) -> bytes:  # Any: of pyarrow
    count = len(paths)
    table = pa.table(
        {
            "path": paths,
            "size": pa.array([1] * count, pa.int64()),
            "since": ["1.0.0"] * count,
            "sha256": pa.array([bytes(32)] * count, pa.binary(32)),
            **{name: ["x"] * count for name in ("url", "etag", "modified")},
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", **options)
    return out.getvalue()


READERS: dict[str, Callable[[bytes], object]] = {
    "index": lambda data: parse_index(data, where="manifest.parquet"),
    "rows": lambda data: list(read_rows(data)),
    "recorded": read_recorded,
    "noted": lambda data: parse_noted(data, where="manifest.parquet"),
}


@pytest.mark.parametrize(
    "options",
    [
        {"use_dictionary": ["path"]},
        {"use_dictionary": False, "column_encoding": {"path": "DELTA_BYTE_ARRAY"}},
    ],
    ids=["a dictionary", "prefixes"],
)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_an_index_of_sizes_that_repeats_a_long_path_is_refused(
    read: Callable[[bytes], object], options: dict[str, object]
) -> None:
    length, count = 200_000, 4000  # 800 MB once it is read
    bomb = index_of(["x" * length] * count, **options)
    assert len(bomb) < 2**16
    pool = pa.system_memory_pool()
    with (
        frugal(4 * ROWS_AT_ONCE * length),
        pytest.raises((InvalidError, ValueError), match="too long"),
    ):
        read(bomb)
    assert pool.bytes_allocated() < 2**24


def repeating(name: str, value: pa.Array) -> bytes:
    """Return an index of thousands of rows that hold one value, which is there once."""
    count = 4000
    columns = {
        "path": pa.array([f"data/{n}" for n in range(count)]),
        "size": pa.array([10_000 * 2**24] * count, pa.int64()),
        "since": pa.array(["1.0.0"] * count),
        "sha256": pa.array([bytes(32)] * count, pa.binary(32)),
        "part_size": pa.array([2**24] * count, pa.int32()),
        "url": pa.array(["x"] * count),
        name: pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), value),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd", store_schema=False)
    return out.getvalue()


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_an_index_of_sizes_that_repeats_an_endless_path_is_refused(
    read: Callable[[bytes], object],
) -> None:
    """No more of it than one row would be too much already: 64 MiB."""
    bomb = repeating("path", pa.array(["x" * 2**26]))
    assert len(bomb) < 2**18
    with frugal(2**29), pytest.raises((InvalidError, ValueError), match="too long"):
        read(bomb)


@pytest.mark.parametrize("length", [32 * 10_002, 2**26], ids=["two too many", "64 MiB"])
def test_an_index_of_sizes_that_repeats_the_parts_of_a_file_is_refused(length: int) -> None:
    bomb = repeating("parts_sha256", pa.array([bytes(length)]))
    assert len(bomb) < 2**18
    with frugal(2**29), pytest.raises(ValueError, match="parts are too many"):
        read_recorded(bomb)


def test_an_index_of_sizes_with_columns_of_other_types_is_refused() -> None:
    table = pa.table(
        {"path": pa.array(["a"]).dictionary_encode(), "size": [1], "sha256": [b""]}
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    with pytest.raises(InvalidError, match="is not string"):
        parse_index(out.getvalue(), where="manifest.parquet")


def test_a_commit_record_has_a_limit_and_says_each_thing_once(staged: Path) -> None:
    store = MemoryStore()
    write_version(store, staged)
    text = store.read("tiny/versions/1.0.0.json")
    with pytest.raises(ScidataError, match="too many"):
        parse_commit(text + b" " * MAX_COMMIT_BYTES, where="x")
    with pytest.raises(ScidataError, match="'digest' twice"):
        parse_commit(text.replace(b"{", b'{"digest": "sha256:00",', 1), where="x")
    with pytest.raises(ScidataError):
        parse_commit(b"[" * MAX_COMMIT_BYTES, where="x")


def test_labels_of_an_absurd_shape_are_refused_before_zarr_makes_them(
    staged: Path, tmp_path: Path
) -> None:
    root = staged / "data/array.zarr"
    wave = json.loads((root / "wave/zarr.json").read_text())
    wave["dimension_names"][0] = "other"
    sample = json.loads((root / "sample/zarr.json").read_text())
    sample["shape"] = [10**11]  # 400 GB of fill values; not one chunk
    sample["chunk_grid"]["configuration"]["chunk_shape"] = [10**6]
    group = json.loads((root / "zarr.json").read_text())
    held = {"wave": wave, "sample": sample}
    group["consolidated_metadata"]["metadata"] |= held
    (root / "zarr.json").write_text(json.dumps(group))
    for name, metadata in held.items():
        (root / name / "zarr.json").write_text(json.dumps(metadata))
    write_version(open_store(tmp_path / "store"), staged)
    dataset = scidata.open("tiny@1.0.0", store=tmp_path / "store")
    with frugal(2**28), pytest.raises(InvalidError, match="labels its dimension"):
        dataset.to_xarray("array")


@pytest.mark.parametrize("shape", [[MAX_LABELS + 1], [-1], [2**70], [1, 1], "9"])
def test_labels_of_shapes_that_no_dimension_has_are_refused(shape: object) -> None:
    metadata = json.dumps({"shape": shape, "dimension_names": ["x"]}).encode()
    with pytest.raises(InvalidError):
        check_index("x", metadata, "here")
    check_index("y", metadata, "here")  # not its own labels: read when it is asked for


def test_labels_of_an_absurd_size_in_hdf5_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        labels = file.create_dataset("x", (10**11,), dtype="i8", chunks=(10**4,))
        labels.make_scale("x")
    assert (tmp_path / "bomb.h5").stat().st_size < 10_000
    with h5py.File(tmp_path / "bomb.h5") as file, pytest.raises(InvalidError, match="labels"):
        _check_group(file, "here")


def test_hdf5_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(2)
    makers: dict[str, Callable[[h5py.File], object]] = {
        "a link": lambda f: f.__setitem__("x", h5py.ExternalLink(tmp_path / "other.h5", "x")),
        "its data": lambda f: f.create_dataset(
            "x", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)]
        ),
        "takes": lambda f: f.create_virtual_dataset("x", layout()),
    }

    def layout() -> h5py.VirtualLayout:
        made = h5py.VirtualLayout((2,), "f8")
        made[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (2,))
        return made

    for said, make in makers.items():
        path = tmp_path / f"{said}.h5"
        with h5py.File(path, "w") as file:
            make(file)
        with h5py.File(path) as file, pytest.raises(InvalidError, match=said):
            _check_group(file, "here")


def test_an_http_server_cannot_have_a_catalog_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(2**28))
    assert len(bomb) < 2**19
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/yaml"}
    with (
        answering(200, headers, bomb) as url,
        frugal(2**26),
        pytest.raises(ScidataError),
    ):
        open_catalog(f"{url}/index.yaml")


if __name__ == "__main__":
    run(__file__)
