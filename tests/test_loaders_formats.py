"""Streams from files in HDF5, NetCDF-4 and Parquet in place, and joins over them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import obstore.store
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import xarray as xr

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError
from scidata.loaders.engine import Batch
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.source import Asset, Source
from scidata.loaders.stream import Stream
from scidata.manifest import Manifest
from scidata.record import Join, Samples, Window
from tests.windows import manifest_of

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(37, 3, 16, 12)).astype(np.float32)
LABELS = RNG.integers(0, 5, 37).astype(np.int16)


def file_asset(path: Path, kind: str = "file", key: str = "a") -> Asset:
    return Asset(
        key=key,
        kind=kind,
        path=path.name,
        objects=obstore.store.LocalStore(path.parent),
        manifest=Manifest({path.name: Digest.of(path.read_bytes())}),
        where=f"x@1.0.0, asset {key!r}",
    )


def source_of(
    asset: Asset, samples: Samples, dimension: str, count: int, **more: Any
) -> Source:
    return Source(
        name="x@1.0.0",
        digest="sha256:" + "0" * 64,
        asset=asset,
        samples=samples,
        split="all/train",
        dimension=dimension,
        ids=tuple(map(str, range(count))),
        **more,
    )


def gathered(stream: Stream, dimension: str) -> Batch:
    """Return all samples of an epoch in the order of their numbers."""
    batches = list(stream)
    order = torch.argsort(torch.cat([b[dimension] for b in batches]))
    return {name: torch.cat([b[name] for b in batches])[order] for name in batches[0]}


def write_hdf5(path: Path, **how: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=IMAGES.astype(how.pop("dtype", "<f4")), **how)
        file.create_dataset("label", data=LABELS)
    return path


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize(
    "how",
    [
        {"chunks": (4, 3, 8, 12), "compression": "gzip", "shuffle": True},
        {"chunks": (5, 1, 16, 5), "compression": "gzip", "compression_opts": 1},
        {"chunks": (1, 3, 16, 12)},
        {"dtype": ">f4"},
        {},
    ],
)
def test_a_file_in_hdf5_streams_in_place(
    tmp_path: Path, how: dict[str, Any], shuffle: Shuffle
) -> None:
    asset = file_asset(write_hdf5(tmp_path / "images.h5", **dict(how)))
    samples = Samples(asset="a", each=("phony_dim_0",), inputs=("image",), targets=("label",))
    stream = Stream(
        source_of(asset, samples, "phony_dim_0", 37),
        Order(batch_size=5, shuffle=shuffle),
        memory=2**18,
    )
    found = gathered(stream, "phony_dim_0")
    assert np.array_equal(found["image"], IMAGES)
    assert np.array_equal(found["label"], LABELS)
    stream.close()


def test_a_file_in_netcdf_is_read_as_xarray_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "series.nc"
    times = np.datetime64("2001-01-01", "ns") + np.arange(50) * np.timedelta64(1, "D")
    values = RNG.normal(280, 10, (4, 50)).round(1)
    data = xr.Dataset(
        {"kelvin": (("station", "time"), values)}, {"time": times, "station": [3, 5, 8, 13]}
    )
    packing = {"dtype": "i2", "scale_factor": 0.1, "add_offset": 250.0, "_FillValue": -1}
    data["kelvin"][1, 7:9] = np.nan
    data.to_netcdf(path, engine="h5netcdf", encoding={"kelvin": packing})
    samples = Samples(
        asset="a",
        each=("station",),
        windows=(Window(dimension="time", size=5),),
        inputs=("kelvin",),
    )
    source = source_of(file_asset(path), samples, "time", 0)
    days = tuple(times[4:].astype("datetime64[D]").astype(str))
    stream = Stream(
        Source(**{**source.__dict__, "ids": days}), Order(batch_size=7, shuffle="window")
    )
    with xr.open_dataset(path, engine="h5netcdf") as read:
        expected = read["kelvin"].values.astype(np.float32)
    seen = 0
    for batch in stream:
        for kelvin, place, last in zip(
            batch["kelvin"], batch["station"].tolist(), batch["time"].tolist(), strict=True
        ):
            wanted = expected[place, last - 4 : last + 1]
            assert np.array_equal(kelvin, wanted, equal_nan=True)
            seen += 1
    assert seen == 4 * 46
    stream.close()


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    secret = write_hdf5(tmp_path / "secret.h5")
    path = tmp_path / "public.h5"
    with h5py.File(path, "w") as file:
        file["image"] = h5py.ExternalLink(str(secret), "image")
        file["label"] = LABELS
    samples = Samples(asset="a", each=("phony_dim_0",), inputs=("image",))
    with pytest.raises(InvalidError, match="'image' is absent"):
        Stream(source_of(file_asset(path), samples, "phony_dim_0", 37), Order(batch_size=1))


def test_a_damaged_file_in_hdf5_is_named(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "images.h5", chunks=(4, 3, 16, 12), compression="gzip")
    with h5py.File(path) as file:
        info = file["image"].id.get_chunk_info(2)
    raw = bytearray(path.read_bytes())
    raw[info.byte_offset + 40] ^= 0xFF
    path.write_bytes(raw)
    samples = Samples(asset="a", each=("phony_dim_0",), inputs=("image",))
    source = source_of(file_asset(path), samples, "phony_dim_0", 37)
    stream = Stream(source, Order(batch_size=5), memory=2**18)
    with pytest.raises(IntegrityError, match=r"bad images\.h5"):
        list(stream)
    stream.close()


def test_a_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.h5"
    path.write_bytes(b"\x89PNG" * 100)
    samples = Samples(asset="a", each=("phony_dim_0",), inputs=("image",))
    with pytest.raises(InvalidError, match="not a sound HDF5 file"):
        Stream(source_of(file_asset(path), samples, "phony_dim_0", 37), Order(batch_size=1))


def write_table(path: Path, rows: int = 1000, group: int = 128) -> pa.Table:
    features = RNG.normal(size=(rows, 8)).astype(np.float32)
    table = pa.table(
        {
            "features": pa.FixedSizeListArray.from_arrays(features.reshape(-1), 8),
            "target": RNG.normal(size=rows).astype(np.float32),
            "count": RNG.integers(0, 9, rows),
            "cell": np.array([f"c{n % 7}" for n in range(rows)]),
            "drug": RNG.integers(0, 5, rows),
        }
    )
    pq.write_table(table, path, row_group_size=group)
    return table


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("memory", [2**16, 2**28])
def test_a_table_streams_in_place(tmp_path: Path, shuffle: Shuffle, memory: int) -> None:
    table = write_table(tmp_path / "table.parquet", rows=300)
    samples = Samples(
        asset="a", each=("row",), inputs=("features",), targets=("target", "count")
    )
    source = source_of(file_asset(tmp_path / "table.parquet", "parquet"), samples, "row", 300)
    stream = Stream(source, Order(batch_size=33, shuffle=shuffle), memory=memory)
    found = gathered(stream, "row")
    wanted = np.stack(table["features"].to_numpy())
    assert np.array_equal(found["features"], wanted)
    assert np.array_equal(found["target"], table["target"])
    assert np.array_equal(found["count"], table["count"])
    stream.close()


def test_a_damaged_page_of_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path)
    column = pq.read_metadata(path).row_group(3).column(1)
    raw = bytearray(path.read_bytes())
    for n in range(4, 40):
        raw[column.data_page_offset + n] ^= 0xFF
    path.write_bytes(raw)
    samples = Samples(asset="a", each=("row",), inputs=("target",))
    source = source_of(file_asset(path, "parquet"), samples, "row", 1000)
    stream = Stream(source, Order(batch_size=33))
    with pytest.raises(IntegrityError, match=r"bad table\.parquet"):
        list(stream)
    stream.close()


def test_row_groups_of_many_sizes_are_refused(tmp_path: Path) -> None:
    table = pa.table({"target": np.arange(10.0)})
    with pq.ParquetWriter(tmp_path / "table.parquet", table.schema) as writer:
        for low, high in ((0, 3), (3, 8), (8, 10)):
            writer.write_table(table.slice(low, high - low))
    samples = Samples(asset="a", each=("row",), inputs=("target",))
    source = source_of(file_asset(tmp_path / "table.parquet", "parquet"), samples, "row", 10)
    with pytest.raises(InvalidError, match="between 2 and 5 rows"):
        Stream(source, Order(batch_size=3))


def joined_source(folder: Path, drugs: int = 5) -> tuple[pa.Table, xr.Dataset, Source]:
    table = write_table(folder / "responses.parquet")
    data = xr.Dataset(
        {"expression": (("cell", "gene"), RNG.normal(size=(7, 20)).astype(np.float32))},
        {"cell": [f"c{n}" for n in (3, 1, 0, 6, 5, 4, 2)]},
    )
    data.to_netcdf(folder / "cells.nc", engine="h5netcdf")
    descriptors = RNG.normal(size=(drugs, 6)).astype(np.float32)
    data["descriptors"] = (("drug", "descriptor"), descriptors)
    xr.Dataset({"descriptors": data["descriptors"]}).to_zarr(
        folder / "drugs.zarr", zarr_format=3
    )
    store = folder / "drugs.zarr"
    samples = Samples(
        asset="responses",
        each=("row",),
        inputs=("target",),
        joins=(
            Join(by="cell", asset="cells", variables=("expression",)),
            Join(by="drug", asset="drugs", variables=("descriptors",)),
        ),
    )
    drug_asset = Asset(
        key="drugs",
        objects=obstore.store.LocalStore(store),
        manifest=manifest_of(store),
        consolidated=True,
        where="x@1.0.0, asset 'drugs'",
    )
    source = source_of(
        file_asset(folder / "responses.parquet", "parquet", "responses"),
        samples,
        "row",
        1000,
        joined={"cells": file_asset(folder / "cells.nc", key="cells"), "drugs": drug_asset},
    )
    return table, data, source


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_row_gathers_the_rows_that_it_names(tmp_path: Path, shuffle: Shuffle) -> None:
    table, data, source = joined_source(tmp_path)
    stream = Stream(source, Order(batch_size=64, shuffle=shuffle))
    found = gathered(stream, "row")
    cells = data["expression"].sel(cell=table["cell"].to_pylist())
    assert np.array_equal(found["expression"], cells)
    drugs = data["descriptors"].values[table["drug"].to_numpy()]
    assert np.array_equal(found["descriptors"], drugs)
    assert np.array_equal(found["target"], table["target"])
    stream.close()


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_row_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    _, _, source = joined_source(tmp_path, drugs=3)
    with pytest.raises(NotFoundError, match="2 values of 'drug' name no row, such as 3"):
        Stream(source, Order(batch_size=64))


def test_a_file_whose_groups_go_round_in_circles_is_read_once(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "images.h5")
    with h5py.File(path, "a") as file:
        group = file.create_group("group")
        group["itself"] = group
        group["values"] = [1, 2]
    # The group's two values come first in the order of names.
    samples = Samples(asset="a", each=("phony_dim_1",), inputs=("label",))
    source = source_of(file_asset(path), samples, "phony_dim_1", 37)
    stream = Stream(source, Order(batch_size=2))
    assert stream.samples == 37
    stream.close()


def test_metadata_of_a_file_are_compared_before_they_are_believed(tmp_path: Path) -> None:
    asset = file_asset(write_hdf5(tmp_path / "images.h5"))
    with h5py.File(tmp_path / "images.h5", "a") as file:
        file["image"].attrs["scale_factor"] = 2.0
    samples = Samples(asset="a", each=("phony_dim_0",), inputs=("image",))
    checked = source_of(replace(asset, compared=True), samples, "phony_dim_0", 37, verify=True)
    with pytest.raises(IntegrityError, match=r"bad images\.h5"):
        Stream(checked, Order(batch_size=5))


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"target": np.empty(0, np.float32)}), tmp_path / "table.parquet")
    samples = Samples(asset="a", each=("row",), inputs=("target",))
    source = source_of(file_asset(tmp_path / "table.parquet", "parquet"), samples, "row", 0)
    with pytest.raises(InvalidError, match="the table has no rows"):
        Stream(source, Order(batch_size=3))


def test_times_are_refused_and_not_given_out_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "series.nc"
    times = np.datetime64("2001-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    xr.Dataset({"seen": (("station",), times)}).to_netcdf(path, engine="h5netcdf")
    samples = Samples(asset="a", each=("station",), inputs=("seen",))
    with pytest.raises(InvalidError, match="do not go into tensors"):
        Stream(source_of(file_asset(path), samples, "station", 5), Order(batch_size=2))
