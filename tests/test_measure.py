"""What is measured of a staged dataset, and what is refused before a byte is published."""

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata import measure as measuring
from scidata.errors import IntegrityError, InvalidError, StorageError
from scidata.facts import Asset
from scidata.hashing import Cut, Hashed, Progress, hash_and_cut
from scidata.measure import Measured, asset_key, measure
from scidata.measure.variables import MAX_METADATA_BYTES, parquet_variables, zarr_variables
from tests.samples import CHANNELS, SAMPLES


def measured(staged: Path) -> Measured:
    return measure(staged, dataset="tiny", version="1.0.0", created="2026-01-02T03:04:05Z")


def asset(staged: Path, key: str) -> Asset:
    return next(a for a in measured(staged).facts.assets if a.key == key)


def refused(staged: Path) -> dict[str, str]:
    """Measure what must be refused, and return the problems' messages by path."""
    with pytest.raises(InvalidError) as caught:
        measured(staged)
    messages: dict[str, str] = {}
    for problem in caught.value.problems:
        messages[problem.path] = messages.get(problem.path, "") + problem.message
    return messages


def test_the_digest_is_the_one_that_coreutils_print(staged: Path) -> None:
    command = "find data -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(
        ["bash", "-c", command], cwd=staged, capture_output=True, text=True, check=True
    )
    assert measured(staged).facts.digest == f"sha256:{printed.stdout.split()[0]}"


def test_a_store_of_arrays_keeps_its_digest_wherever_it_lies(staged: Path) -> None:
    before = asset(staged, "array").sha256
    (staged / "data" / "another.txt").write_text("more\n")
    assert asset(staged, "array").sha256 == before
    command = (
        "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    )
    printed = subprocess.run(
        ["bash", "-c", command],
        cwd=staged / "data/array.zarr",
        capture_output=True,
        check=True,
    )
    assert printed.stdout.split()[0].decode() == before


def test_assets_sizes_and_counts_are_those_of_the_files(staged: Path) -> None:
    result = measured(staged)
    files = [p for p in staged.joinpath("data").rglob("*") if p.is_file()]
    assert result.facts.files == len(files) == len(result.manifest)
    assert result.facts.bytes == sum(p.stat().st_size for p in files)
    assert result.sizes == {str(p.relative_to(staged)): p.stat().st_size for p in files}
    kinds = {a.key: a.kind for a in result.facts.assets}
    assert kinds == {
        "array": "zarr",
        "splits": "splits",
        "statistics": "file",
        "table": "parquet",
    }
    single = asset(staged, "statistics")
    data = (staged / "data/statistics.json").read_bytes()
    assert single.sha256 == hashlib.sha256(data).hexdigest()
    assert single.media_type == "application/json"


@pytest.mark.parametrize("consolidated", [True, False])
def test_variables_of_an_array_store_are_read_without_a_chunk(
    staged: Path, *, consolidated: bool
) -> None:
    store = staged / "data" / "array.zarr"
    if not consolidated:
        root = json.loads((store / "zarr.json").read_bytes())
        del root["consolidated_metadata"]
        (store / "zarr.json").write_text(json.dumps(root))
    for chunk in store.rglob("c"):
        for file in [p for p in chunk.rglob("*") if p.is_file()]:
            file.write_bytes(b"not a chunk")
    found = asset(staged, "array")
    assert found.consolidated is consolidated
    sample, wave = found.variables
    assert (wave.name, wave.dtype, wave.shape) == ("wave", "float32", (SAMPLES, CHANNELS, 64))
    assert wave.dims == ("sample", "channel", "time")
    assert (wave.units, wave.description, wave.coordinate) == ("1", "sine wave", False)
    assert (sample.name, sample.coordinate) == ("sample", True)


def test_coordinates_named_by_an_attribute_are_coordinates(staged: Path) -> None:
    import numpy as np
    import xarray as xr

    notes = {"standard_name": "air_temperature", "grid_mapping": "crs"}
    variables = {"t": (("y", "x"), np.zeros((2, 3), "f4"), notes), "crs": ((), 0)}
    place = {"latitude": ("y", [1.0, 2.0]), "area": (("y", "x"), np.ones((2, 3)))}
    folder = staged / "data" / "scene.zarr"
    xr.Dataset(variables, coords=place).to_zarr(folder, zarr_format=3, consolidated=False)
    found = {v.name: v for v in asset(staged, "scene").variables}
    assert {n for n, v in found.items() if v.coordinate} == {"latitude", "area", "crs"}
    assert found["t"].standard_name == "air_temperature"


def test_columns_of_a_table_are_read_from_its_footer(staged: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    notes = {"units": "km", "description": "Below sea level."}
    field = pa.field("depth", pa.float32(), metadata=notes)
    pq.write_table(
        pa.table({"depth": [1.0, 2.0]}, schema=pa.schema([field])),
        staged / "data" / "events.parquet",
    )
    (depth,) = asset(staged, "events").variables
    assert (depth.dims, depth.shape, depth.dtype) == (("row",), (2,), "float")
    assert (depth.units, depth.description) == ("km", "Below sea level.")


def test_a_folder_of_tables_is_one_asset_with_the_rows_of_all(staged: Path) -> None:
    folder = staged / "data" / "parts.parquet"
    folder.mkdir()
    table = (staged / "data" / "table.parquet").read_bytes()
    for name in ("a.parquet", "b.parquet"):
        (folder / name).write_bytes(table)
    parts = asset(staged, "parts")
    assert (parts.kind, parts.files) == ("parquet", 2)
    assert parts.variables[0].shape == (2 * SAMPLES,)


def test_every_path_that_cannot_be_published_is_named_at_once(staged: Path) -> None:
    data = staged / "data"
    (data / "link.txt").symlink_to("/etc/passwd")
    (data / "empty").mkdir()
    os.mkfifo(data / "pipe")
    (data / "con.txt").write_text("")
    (data / "Statistics.json").write_text("{}")
    (data / "a b:c").write_text("")
    problems = refused(staged)
    assert "symbolic link" in problems["data/link.txt"]
    assert "empty folder" in problems["data/empty"]
    assert "regular file" in problems["data/pipe"]
    assert "Windows" in problems["data/con.txt"]
    assert "case only" in problems["data/statistics.json"]
    assert "':'" in problems["data/a b:c"]


def test_a_linked_folder_is_refused_and_never_followed(staged: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (staged / "data" / "linked").symlink_to(outside)
    assert list(refused(staged)) == ["data/linked"]


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_a_dataset_without_a_folder_of_data_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "data").write_text("")
    if kind == "link":
        (tmp_path / "data").symlink_to("/tmp")  # noqa: S108 - never opened
    with pytest.raises(InvalidError, match="no folder data/") as caught:
        measured(tmp_path)
    assert "scidata build" in caught.value.fix


def test_empty_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "empty folder" in refused(tmp_path)["data"]


def test_two_entries_that_would_be_one_asset_are_refused(staged: Path) -> None:
    (staged / "data" / "table.csv").write_text("a\n1\n")
    assert "'table'" in refused(staged)["data/table.parquet"]


def test_more_top_level_files_than_a_commit_record_can_list_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(measuring.MAX_ASSETS + 1):
        (tmp_path / "data" / f"{number}.bin").write_bytes(b"x")
    assert "put files of one sort into one folder" in refused(tmp_path)["data/"]


@pytest.mark.parametrize("change", ["grow", "same size", "vanish", "appear"])
def test_files_that_change_while_they_are_hashed_stop_it(
    staged: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    target = staged / "data" / "statistics.json"

    def change_after(
        files: Iterable[tuple[str, Path]], *, cut: Cut, progress: Progress | None = None
    ) -> dict[str, Hashed]:
        result = hash_and_cut(files, cut=cut, progress=progress)
        if change == "grow":
            target.write_bytes(target.read_bytes() + b" ")
        if change == "same size":
            target.write_bytes(b" " * target.stat().st_size)
        if change == "vanish":
            target.unlink()
        if change == "appear":
            target.with_name("late.json").write_text("{}")
        return result

    monkeypatch.setattr(measuring, "hash_and_cut", change_after)
    with pytest.raises(IntegrityError, match="changed while they were hashed") as caught:
        measured(staged)
    state = {"vanish": "missing", "appear": "extra"}.get(change, "bad")
    name = "late.json" if change == "appear" else "statistics.json"
    assert [(d.state, d.path) for d in caught.value.damage] == [(state, f"data/{name}")]


BAD_METADATA = {
    "version 2": '{"zarr_format": 2}',
    "not JSON": "{",
    "a list": "[]",
    "deep": "[" * 100_000,
    "attributes": '{"zarr_format": 3, "node_type": "group", "attributes": []}',
    "consolidated": '{"zarr_format": 3, "node_type": "group", "consolidated_metadata": 7}',
    "shape": '{"zarr_format": 3, "node_type": "group", "consolidated_metadata": {"metadata": '
    '{"a": {"zarr_format": 3, "node_type": "array", "shape": [-1], "data_type": "int8"}}}}',
    "names": '{"zarr_format": 3, "node_type": "group", "consolidated_metadata": {"metadata": '
    '{"a": {"zarr_format": 3, "node_type": "array", "shape": [1], "data_type": "int8", '
    '"dimension_names": ["x", "y"]}}}}',
    "path": '{"zarr_format": 3, "node_type": "group", "consolidated_metadata": {"metadata": '
    '{"a": 7}}}',
}


@pytest.mark.parametrize("text", BAD_METADATA.values(), ids=BAD_METADATA)
def test_malformed_array_metadata_are_refused_before_anything_is_hashed(
    staged: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "hash_and_cut", None)
    (staged / "data" / "array.zarr" / "zarr.json").write_text(text)
    with pytest.raises(InvalidError) as caught:
        measured(staged)
    assert "Zarr" in caught.value.fix


def test_huge_array_metadata_are_refused_unread(staged: Path) -> None:
    with (staged / "data" / "array.zarr" / "zarr.json").open("r+b") as file:
        file.truncate(MAX_METADATA_BYTES + 1)
    with pytest.raises(InvalidError, match="more than"):
        measured(staged)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", b"PAR1xxxx\x04\0\0\0PAR1"]
)
def test_a_damaged_table_is_refused(staged: Path, data: bytes) -> None:
    (staged / "data" / "table.parquet").write_bytes(data)
    with pytest.raises(InvalidError, match=r"'table\.parquet'"):
        measured(staged)


@given(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), st.sampled_from(["", ".gz"]))
def test_the_key_is_the_name_without_suffix(stem: str, compressed: str) -> None:
    assert asset_key(f"{stem}.csv{compressed}") == stem
    assert asset_key(f"{stem}.zarr") == stem


def test_a_folder_that_cannot_be_read_is_named(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = staged / "data" / "array.zarr" / "wave"
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    with pytest.raises(StorageError, match="cannot be read: Permission denied"):
        measured(staged)


def test_a_type_without_configuration_keeps_its_name(staged: Path) -> None:
    path = staged / "data" / "array.zarr" / "zarr.json"
    root = json.loads(path.read_text())
    node = root["consolidated_metadata"]["metadata"]["wave"]
    node["data_type"] = {"name": "numpy.datetime64", "configuration": None}
    path.write_text(json.dumps(root))
    variables, _ = zarr_variables(path.parent)
    assert {v.name: v.dtype for v in variables}["wave"] == "numpy.datetime64"


def test_a_column_whose_notes_are_no_text_has_none(tmp_path: Path) -> None:
    field = pa.field("a", pa.int64(), metadata={b"units": b"\xff", b"\xfe": b"x"})
    table = pa.table([[1]], schema=pa.schema([field]))
    pq.write_table(table, tmp_path / "table.parquet")
    (variable,) = parquet_variables([tmp_path / "table.parquet"])
    assert variable.units is None
