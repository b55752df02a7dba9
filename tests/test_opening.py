"""Opening assets of every form: groups, NetCDF and HDF5, CSV and TSV, from anywhere."""

import bz2
import gzip
import lzma
import shutil
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import intake
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr

import scidata
from scidata.dataset import Dataset
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.opening.netcdf import open_netcdf
from scidata.opening.tables import decompressed
from scidata.published import find_asset
from scidata.publishing import publish
from scidata.storage import open_store
from scidata.storage.stored_file import BLOCK
from tests.samples import write_bare
from tests.servers import faulty_proxy, folder_server

VALUES = np.arange(12.0).reshape(3, 4)
TABLE = pd.DataFrame({"station": ["A", "B"], "depth": [1.5, 2.0]})
NESTED = ("coarse/daily", "fine")


def _arrays(scale: float = 1.0) -> xr.Dataset:
    measured = xr.DataArray(scale * VALUES, dims=("y", "x"), attrs={"units": "K"})
    return xr.Dataset({"temperature": measured}, {"x": [1, 2, 3, 4]})


def _write_groups(data: Path, name: str, groups: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        # Zarr warns that consolidated metadata is not yet part of the v3 text.
        warnings.simplefilter("ignore", category=UserWarning)
        for scale, group in enumerate(groups, start=1):
            arrays = _arrays(scale)
            arrays.to_zarr(data / f"{name}.zarr", mode="a", group=group, zarr_format=3)
            arrays.to_netcdf(data / f"{name}-file.nc", "a", group=group, engine="h5netcdf")
        zarr.consolidate_metadata(str(data / f"{name}.zarr"))


def _write_large(path: Path) -> None:
    """Write an HDF5 file of 24 MiB, in chunks, without names of dimensions."""
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "scan/counts",
            data=np.arange(6 * 2**20).reshape(24, -1),
            dtype="i4",
            chunks=(1, 2**18),
        )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one asset of each form, and some that cannot be read."""
    folder = tmp_path_factory.mktemp("forms")
    data = write_bare(folder / "bare") / "data"
    _write_groups(data, "nested", NESTED)
    _write_groups(data, "single", ("only/here",))
    _arrays().to_netcdf(data / "flat.nc", engine="h5netcdf")
    _write_large(data / "large.h5")
    (data / "old.nc").write_bytes(b"CDF\x01" + bytes(40))
    (data / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    csv = TABLE.to_csv(index=False).encode()
    (data / "plain.csv").write_bytes(csv)
    (data / "tabs.tsv").write_bytes(csv.replace(b",", b"\t"))
    (data / "packed.csv.gz").write_bytes(gzip.compress(csv))
    (data / "cut.csv.gz").write_bytes(gzip.compress(csv)[:-12])
    (data / "void.csv").write_bytes(b"\n")
    pq.write_table(
        pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]), data / "twice.parquet"
    )
    for number in range(2):
        for name, form in (("years", "csv"), ("scenes", "h5")):
            (data / name).mkdir(exist_ok=True)
            (data / name / f"{number}.{form}").write_bytes(csv)
    publish(folder / "bare", folder / "store", version="1.0.0")
    return folder / "store"


@pytest.fixture
def damaged(published: Path, tmp_path: Path) -> tuple[Dataset, Path]:
    """The version in a store that a test may damage, and the folder of its data."""
    shutil.copytree(published, tmp_path / "store")
    return scidata.open("bare", tmp_path / "store"), tmp_path / "store" / "bare/v1.0.0/data"


@pytest.fixture
def everywhere(published: Path, s3_url: str) -> Iterator[list[Dataset]]:
    """The version in a folder, in S3 and on a web server."""
    publish(published.parent / "bare", s3_url, version="1.0.0")
    with folder_server(published) as url:
        yield [scidata.open("bare@1.0.0", store) for store in (published, s3_url, url)]


def test_arrays_and_tables_open_alike_from_a_folder_from_s3_and_over_http(
    everywhere: list[Dataset],
) -> None:
    for dataset in everywhere:
        flat = dataset.to_xarray("flat")
        assert not flat["temperature"]._in_memory  # read when it is used
        assert flat.equals(_arrays())
        for asset in ("nested", "nested-file"):
            assert dataset.to_xarray(asset, group="fine").equals(_arrays(2))
        for table in ("plain", "tabs", "packed"):
            assert dataset.to_pandas(table).equals(TABLE)


def test_large_files_are_read_by_ranges_from_anywhere(everywhere: list[Dataset]) -> None:
    for dataset in everywhere:
        asset = find_asset(dataset.commit, "large")
        found = open_netcdf(dataset.published, asset, None, whole=2**20)
        assert int(found["counts"][7, 5]) == 7 * 2**18 + 5
        assert np.array_equal(found["counts"].values.ravel(), np.arange(6 * 2**20))


def test_one_value_of_a_large_file_costs_a_small_part_of_it(
    published: Path, s3_endpoint: str, s3_url: str
) -> None:
    publish(published.parent / "bare", s3_url, version="1.0.0")
    with faulty_proxy(s3_endpoint) as proxy:
        dataset = scidata.open("bare", open_store(s3_url, endpoint_url=proxy.url))
        asset = find_asset(dataset.commit, "large")
        found = open_netcdf(dataset.published, asset, None, whole=2**20)
        assert int(found["counts"][20, 0]) == 20 * 2**18
        asked = [request for request in proxy.seen if "large.h5" in request]
    assert len(asked) < 10 < asset.bytes / BLOCK


@pytest.mark.parametrize("asset", ["nested", "nested-file"])
def test_a_root_without_variables_names_the_groups_that_have_some(
    published: Path, asset: str
) -> None:
    dataset = scidata.open("bare", published)
    with pytest.raises(NotFoundError, match="the groups 'coarse/daily', 'fine' do") as caught:
        dataset.to_xarray(asset)
    assert "group='coarse/daily'" in caught.value.fix
    for wrong in ("medium", "fine/temperature"):
        with pytest.raises(NotFoundError, match=f"no group '{wrong}'; .*'coarse/daily'"):
            dataset.to_xarray(asset, group=wrong)
    assert dataset.to_xarray(asset, group="/coarse/daily/").equals(_arrays())
    assert not dataset.to_xarray(asset, group="/").variables


@pytest.mark.parametrize("asset", ["single", "single-file"])
def test_an_only_group_is_opened_without_its_name(published: Path, asset: str) -> None:
    assert scidata.open("bare", published).to_xarray(asset).equals(_arrays())


def test_groups_open_without_consolidated_metadata(tmp_path: Path) -> None:
    data = write_bare(tmp_path / "bare") / "data"
    for group in NESTED:
        _arrays().to_zarr(
            data / "nested.zarr", group=group, mode="a", zarr_format=3, consolidated=False
        )
    publish(tmp_path / "bare", tmp_path / "store", version="1.0.0")
    with folder_server(tmp_path / "store") as url:
        dataset = scidata.open("bare@1.0.0", url)
        assert dataset.to_xarray("nested", group="fine").equals(_arrays())
        with pytest.raises(NotFoundError, match="the groups 'coarse/daily', 'fine' do"):
            dataset.to_xarray("nested")


@pytest.mark.parametrize("opened_by", [intake.open_catalog, scidata.open_catalog])
def test_a_catalog_has_an_entry_for_each_group_with_variables(
    published: Path,
    opened_by: Callable[[str], Any],  # Any: intake ships no types
) -> None:
    catalog = opened_by(str(published / "bare" / "catalog-1.0.0.yaml"))
    names = {"nested/coarse/daily", "nested-file/fine", "single", "flat", "tabs"}
    assert names <= set(catalog)
    assert "nested" not in set(catalog)
    assert catalog["nested/fine"].read().equals(_arrays(2))
    assert catalog["nested-file/fine"].read().equals(_arrays(2))
    assert catalog["single"].read().equals(_arrays())
    assert catalog["single-file"].read().equals(_arrays())
    assert catalog["tabs"].read().equals(TABLE)
    assert catalog["nested/fine"].metadata["group"] == "fine"


def test_variables_of_a_file_are_facts_of_the_version(published: Path) -> None:
    facts = scidata.open("bare", published).facts
    held = {asset.key: asset.variables for asset in facts.assets}
    (labels, temperature) = sorted(held["flat"], key=lambda v: v.name, reverse=True)
    assert (labels.name, labels.coordinate) == ("x", True)
    assert (temperature.shape, temperature.dims, temperature.units) == ((3, 4), ("y", "x"), "K")
    assert held["broken"] == held["old"] == ()


def test_a_folder_of_tables_is_one_table(published: Path) -> None:
    found = scidata.open("bare", published).to_pandas("years")
    assert found.equals(pd.concat([TABLE, TABLE], ignore_index=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.to_xarray("scenes"), "a folder of 2 files, not one"),
        (lambda d: d.to_xarray("broken"), "cannot be read as NetCDF or HDF5"),
        (lambda d: d.to_xarray("broken", group="a"), "cannot be read as NetCDF or HDF5"),
        (lambda d: d.to_xarray("plain"), "'plain' is text/csv, not arrays"),
        (lambda d: d.to_pandas("flat"), "'flat' is application/x-netcdf, not a table"),
        (lambda d: d.to_pandas("cut"), "cannot be decompressed"),
        (lambda d: d.to_pandas("void"), "cannot be read as a table"),
        (lambda d: d.to_pandas("twice"), "cannot be read as a table: Multiple matches"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(
    published: Path,
    call: Callable[[Dataset], object],
    message: str,
) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        call(scidata.open("bare", published))
    assert caught.value.fix


@pytest.mark.skipif(find_spec("scipy") is not None, reason="scipy is installed")
def test_netcdf_3_without_scipy_says_what_to_install(published: Path) -> None:
    with pytest.raises(InvalidError, match="NetCDF 3") as caught:
        scidata.open("bare", published).to_xarray("old")
    assert caught.value.fix == "pip install scipy"


@pytest.mark.parametrize("whole", [0, 2**20])
def test_netcdf_3_opens_where_scipy_is_installed(tmp_path: Path, whole: int) -> None:
    pytest.importorskip("scipy")
    _arrays().to_netcdf(write_bare(tmp_path / "bare") / "data" / "old.nc", engine="scipy")
    publish(tmp_path / "bare", tmp_path / "store", version="1.0.0")
    dataset = scidata.open("bare", tmp_path / "store")
    asset = find_asset(dataset.commit, "old")
    assert open_netcdf(dataset.published, asset, None, whole=whole).equals(_arrays())


@pytest.mark.parametrize(
    ("file", "call"),
    [
        ("flat.nc", lambda d: d.to_xarray("flat")),
        ("plain.csv", lambda d: d.to_pandas("plain")),
        ("packed.csv.gz", lambda d: d.to_pandas("packed")),
    ],
)
def test_a_file_that_differs_from_its_digest_is_not_opened(
    damaged: tuple[Dataset, Path], file: str, call: Callable[[Dataset], object]
) -> None:
    dataset, data = damaged
    content = (data / file).read_bytes()
    (data / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=file):
        call(dataset)


def test_a_large_file_of_another_size_is_not_opened(damaged: tuple[Dataset, Path]) -> None:
    dataset, data = damaged
    asset = find_asset(dataset.commit, "large")
    with (data / "large.h5").open("ab") as file:
        file.write(b"more")
    with pytest.raises(IntegrityError, match=f"expected {asset.bytes} bytes"):
        open_netcdf(dataset.published, asset, None, whole=2**20)


def test_a_server_that_fails_half_way_is_named(
    published: Path, s3_endpoint: str, s3_url: str
) -> None:
    publish(published.parent / "bare", s3_url, version="1.0.0")
    with faulty_proxy(s3_endpoint) as proxy:
        dataset = scidata.open("bare", open_store(s3_url, endpoint_url=proxy.url))
        assert dataset.published
        proxy.method, proxy.path, proxy.fault, proxy.times = "GET", "large", "forbidden", 10
        with pytest.raises(StorageError, match="bytes 0 to 1048576 cannot be read"):
            open_netcdf(
                dataset.published, find_asset(dataset.commit, "large"), None, whole=2**20
            )


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.csv.gz", gzip.compress), ("a.csv.bz2", bz2.compress), ("a.csv.xz", lzma.compress)],
)
def test_text_is_decompressed_to_a_limit(name: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(b"a" * 1000)
    assert decompressed(name, packed, where="here", limit=1000) == b"a" * 1000
    with pytest.raises(InvalidError, match="more than 999 bytes once decompressed"):
        decompressed(name, packed, where="here", limit=999)


def test_real_files_with_groups_open(shared_data: Path, tmp_path: Path) -> None:
    data = write_bare(tmp_path / "bare") / "data"
    for name, key in {
        "S3A_SR_2_LAN_20210611T011438_standard_measurement.nc": "altimeter",
        "ostia_monthly.nc": "surface",
    }.items():
        shutil.copy(shared_data / "formats" / name, data / f"{key}.nc")
    publish(tmp_path / "bare", tmp_path / "store", version="1.0.0")
    dataset = scidata.open("bare", tmp_path / "store")
    assert dataset.to_xarray("surface").sizes["time"] == 54
    assert "time_20_ku" in dataset.to_xarray("altimeter").sizes
