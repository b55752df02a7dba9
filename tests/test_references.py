"""References: many files as one Zarr store, opened by xarray and fsspec alone."""

import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from scidata.errors import InvalidError
from scidata.references import Along, Header, Referenced, read_header, write_references
from scidata.storage.stored_file import BLOCK, StoredFile
from tests.netcdf3 import netcdf3
from tests.scenes import read_scene, write_scene, write_scenes
from tests.servers import create_bucket, folder_server, http_put

# Zarr 3.1 warns of codecs that HDF5 has and the text of Zarr v3 has not; readers agree on them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
STACKED = Along(dimension="scene", kind="new")
JOINED = Along(dimension="time", kind="existing")


def header_of(path: Path, along: Along = STACKED) -> Header:
    with path.open("rb") as file:
        return read_header(file, along, where=path.name)


def headers(files: Iterable[Path], along: Along) -> Iterator[tuple[str, str, Header]]:
    for path in files:
        yield path.name, path.name, header_of(path, along)


def refer(
    files: list[Path], along: Along = STACKED, base: str | None = None
) -> tuple[str, Referenced]:
    """Write the index of some files beside them; returns where it is, and what it holds."""
    target = files[0].parent / "index.json"
    with target.open("w", encoding="utf-8") as out:
        found = write_references(
            out, headers(files, along), base=base or files[0].parent.as_uri(), along=along
        )
    return str(target), found


def plain(index: str, *, decode: bool = True, **options: Any) -> xr.Dataset:
    """Open an index as somebody does who has no scidata."""
    opened: xr.Dataset = xr.open_zarr(
        "reference://",
        storage_options={"fo": index, **options},
        consolidated=False,
        chunks=None,
        decode_cf=decode,
        decode_timedelta=False,
    )
    return opened


def test_a_folder_of_scenes_is_one_lazy_dataset_equal_to_what_h5py_reads(
    tmp_path: Path,
) -> None:
    files = write_scenes(tmp_path, 40)
    index, found = refer(files)
    opened = plain(index)
    assert opened.sizes["scene"] == 40
    assert opened.bts.attrs == {"units": "K"}
    for number in (0, 7, 39):
        for name in ("refs", "bts", "bayes"):
            there = opened[name][number].values
            assert there.dtype == read_scene(files[number], name).dtype
            assert np.array_equal(there, read_scene(files[number], name))
    assert opened.scene.values.tolist() == [f.stem for f in files]
    assert {v.name: v.shape for v in found.variables}["refs"] == (40, 48, 60, 6)
    assert found.omitted == {}


def test_one_scene_is_chosen_by_its_name_and_one_patch_reads_one_chunk(tmp_path: Path) -> None:
    files = write_scenes(tmp_path, 3)
    index, _ = refer(files)
    patch = plain(index).refs.sel(scene=files[1].stem)[16:32, 20:40]
    assert np.array_equal(patch.values, read_scene(files[1], "refs")[16:32, 20:40])


def test_the_index_opens_from_s3_and_https_by_another_base(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path, 3)
    create_bucket(s3_endpoint, "scenes")
    for path in files:
        http_put(f"{s3_endpoint}/scenes/in/{path.name}", path.read_bytes())
    index, _ = refer(files, base="s3://scenes/in")
    with folder_server(tmp_path) as url:
        web = plain(
            f"{url}/index.json",
            template_overrides={"base": url},
            remote_protocol="http",
            remote_options={"asynchronous": True},
        )
        assert np.array_equal(web.refs[2].values, read_scene(files[2], "refs"))
    bucket = plain(
        index,
        remote_protocol="s3",
        remote_options={"asynchronous": True, "endpoint_url": s3_endpoint},
    )
    assert np.array_equal(bucket.bts[1].values, read_scene(files[1], "bts"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dtype": "f8"}, "is of type <f8, not <f4"),
        ({"chunks": (24, 20, 6)}, r"has chunks of \(24, 20, 6\), not \(16, 20, 6\)"),
        ({"compression": None}, "is stored with"),
        ({"fillvalue": 7.0}, "was never written as"),
    ],
)
def test_a_file_of_another_layout_is_named_with_the_array_and_how(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    files = write_scenes(tmp_path, 2)
    write_scene(files[1], 1, **changes)
    with pytest.raises(InvalidError, match=named) as caught:
        refer(files)
    assert caught.value.where == files[1].name
    assert any(problem.path.endswith(": refs") for problem in caught.value.problems)


def test_every_array_that_differs_is_listed(tmp_path: Path) -> None:
    files = [*write_scenes(tmp_path, 1), tmp_path / "z.hdf"]
    write_scene(files[1], 1, 24, 60)
    with pytest.raises(
        InvalidError, match=r"bayes has the shape \(24, 60, 1\), not \(48, 60, 1\)"
    ) as e:
        refer(files)
    assert {p.path for p in e.value.problems} == {
        f"z.hdf: {n}" for n in ("refs", "bts", "bayes")
    }


def test_an_array_that_one_file_lacks_or_adds_is_named(tmp_path: Path) -> None:
    files = write_scenes(tmp_path, 2)
    with h5py.File(files[1], "a") as file:
        file.move("bayes", "mask")
    with pytest.raises(InvalidError) as caught:
        refer(files)
    assert {str(p).split(" (")[0].split(": ", 1)[1] for p in caught.value.problems} == {
        "bayes: is missing",
        "mask: is not in the first file",
    }


def test_a_scale_that_differs_is_refused_and_other_notes_that_differ_are_left_out(
    tmp_path: Path,
) -> None:
    files = write_scenes(tmp_path, 2)
    for number, path in enumerate(files):
        with h5py.File(path, "a") as file:
            file["refs"].attrs["history"] = f"scene {number}"
    assert plain(refer(files)[0]).refs.attrs == {}
    with h5py.File(files[1], "a") as file:
        file["refs"].attrs["scale_factor"] = 0.5
    with pytest.raises(InvalidError, match=r"has scale_factor .*0\.5.*, not None"):
        refer(files)


def test_filters_that_zarr_cannot_express_are_named_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    files = write_scenes(tmp_path, 2)
    for path in files:
        with h5py.File(path, "a") as file:
            file.create_dataset("odd", data=np.arange(64), compression="lzf")
            file.create_dataset("pair", data=np.zeros(3, [("a", "i4"), ("b", "f4")]))
            file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    index, found = refer(files)
    assert "lzf" in found.omitted["odd"]
    assert "type" in found.omitted["pair"]
    assert set(plain(index).data_vars) == {"refs", "bts", "bayes"}


def test_what_was_never_written_or_lies_in_the_header_is_read_as_h5py_reads_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("sparse", (40, 6), "i2", chunks=(10, 6), fillvalue=-7)[10:20] = 3
        file.create_dataset("empty", (5, 4), "f4", fillvalue=2.5)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3,))
        compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.NATIVE_INT32, space, plist)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([4, 5, 6], "i4"))
        file.create_dataset("none", (0, 3), "f8", chunks=(2, 3), maxshape=(None, 3))
        file["big"] = np.arange(12, dtype=">f8").reshape(3, 4)
        file["plain"] = np.arange(600_000, dtype="f4").reshape(600, 1000)
        file["name"] = "Müller"
        file.create_dataset("checked", data=np.arange(50), fletcher32=True, chunks=(10,))
    opened = plain(refer([path])[0], decode=False)
    with h5py.File(path) as opened_file:
        held: Any = opened_file
        for name in ("sparse", "empty", "compact", "none", "big", "plain", "checked"):
            assert np.array_equal(opened[name][0].values, held[name][()]), name
    assert opened["name"].values.tolist() == ["Müller"]
    # Numbers in one piece are divided, so that a patch does not read all of them.
    assert (
        json.loads(Path(tmp_path / "index.json").read_text())["refs"]["plain/c/0/1/0"][2]
        < 2**20
    )


def years(folder: Path, lengths: Iterable[int], **encoding: Any) -> list[Path]:
    files, start = [], 0
    for number, length in enumerate(lengths):
        time = np.arange(start, start + length)
        values = np.random.default_rng(number).integers(-999, 999, (length, 3, 4)) * 0.5
        held = xr.Dataset(
            {
                "sst": (("time", "lat", "lon"), values),
                "area": (("lat", "lon"), np.ones((3, 4))),
            },
            {
                "time": (
                    "time",
                    time,
                    {"units": "days since 2001-01-01", "calendar": "noleap"},
                ),
                "lat": ("lat", [1.0, 2.0, 3.0]),
            },
        )
        path = folder / f"y{number}.nc"
        held.to_netcdf(path, engine="h5netcdf", encoding={"sst": encoding})
        files.append(path)
        start += length
    return files


PACKED = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -32768, "chunksizes": (5, 3, 4)}


def test_years_are_joined_along_their_time_and_decoded_as_xarray_decodes_them(
    tmp_path: Path,
) -> None:
    files = years(tmp_path, (10, 5, 7), **PACKED)
    index, found = refer(files, JOINED)
    parts = [xr.open_dataset(f, engine="h5netcdf", decode_times=False) for f in files]
    expected = xr.concat(
        parts, "time", data_vars="minimal", coords="minimal", compat="override"
    )
    opened = xr.open_zarr(
        "reference://", storage_options={"fo": index}, consolidated=False, decode_times=False
    )
    xr.testing.assert_equal(opened.compute(), expected.compute())
    assert opened.sizes["time"] == 22
    assert found.not_compared == ()


def test_a_file_that_ends_within_a_chunk_can_only_be_the_last(tmp_path: Path) -> None:
    files = years(tmp_path, (7, 10), **PACKED)
    with pytest.raises(
        InvalidError, match=r"cannot follow 'y0\.nc', which ends within a chunk"
    ):
        refer(files, JOINED)


def test_times_counted_from_another_day_are_refused(tmp_path: Path) -> None:
    files = years(tmp_path, (5, 5), **PACKED)
    with h5py.File(files[1], "a") as file:
        file["time"].attrs["units"] = "days since 2002-01-01"
    with pytest.raises(InvalidError, match="has units 'days since 2002-01-01'"):
        refer(files, JOINED)


def test_files_on_another_grid_are_refused(tmp_path: Path) -> None:
    files = years(tmp_path, (5, 5), **PACKED)
    with h5py.File(files[1], "a") as file:
        lat: Any = file["lat"]
        lat[0] = 9
    with pytest.raises(InvalidError, match=r"lat holds other values than in 'y0\.nc'"):
        refer(files, JOINED)


def test_a_dimension_of_another_kind_than_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="has no dimension 'time'"):
        refer(write_scenes(tmp_path, 1), JOINED)
    with pytest.raises(InvalidError, match="has dimension 'time'"):
        refer(years(tmp_path, (5,), **PACKED), Along(dimension="time", kind="new"))


NUMBERS = st.sampled_from(["i1", "i2", "i4", "f4", "f8"])


@given(
    kind=st.sampled_from([1, 2, 5]),
    types=st.lists(NUMBERS, min_size=1, max_size=3),
    records=st.integers(0, 4),
    width=st.integers(1, 5),
)
def test_netcdf_3_of_every_kind_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    kind: int,
    types: list[str],
    records: int,
    width: int,
) -> None:
    rng = np.random.default_rng(records + width)
    dims: dict[str, int | None] = {"t": None, "x": width}
    written: dict[str, Any] = {}
    for n, dtype in enumerate(types):
        written[f"r{n}"] = ("t", "x"), rng.integers(-9, 9, (records, width)).astype(dtype)
        written[f"f{n}"] = ("x",), rng.integers(-9, 9, width).astype(dtype)
    data = netcdf3(dims, {k: (*v, {"units": "K"}) for k, v in written.items()}, kind=kind)
    path = tmp_path_factory.mktemp("nc3") / "a.nc"
    path.write_bytes(data)
    opened = plain(refer([path])[0], decode=False)
    for name, (_, values) in written.items():
        assert np.array_equal(opened[name][0].values, values), name
        assert opened[name].attrs == {"units": "K"}


def test_netcdf_3_joins_along_its_records_and_names_are_joined_letters(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        values = np.arange(12, dtype="f4").reshape(4, 3) + 100 * number
        letters = np.array([list("ab "), list("cde")], "S1")
        data = netcdf3(
            {"time": None, "x": 3, "station": 2},
            {
                "v": (("time", "x"), values, {}),
                "time": (("time",), np.arange(4, dtype="f8") + 4 * number, {"units": "s"}),
                "code": (("station", "x"), letters, {}),
            },
        )
        files.append(tmp_path / f"{number}.nc")
        files[-1].write_bytes(data)
    opened = plain(refer(files, JOINED)[0], decode=False)
    assert opened.v[:, 0].values.tolist() == [
        0,
        3,
        6,
        9,
        100,
        103,
        106,
        109,
        200,
        203,
        206,
        209,
    ]
    assert opened.time.values.tolist() == list(range(12))
    assert opened.code.values.tolist() == ["ab", "cde"]


@pytest.mark.parametrize("cut", [5, 40, 90, 150])
def test_a_netcdf_3_file_that_is_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    whole = netcdf3({"x": 30}, {"v": (("x",), np.arange(30, dtype="f4"), {"units": "K"})})
    path = tmp_path / "cut.nc"
    path.write_bytes(whole[:cut])
    with pytest.raises(InvalidError, match="not a sound NetCDF-3 file"):
        header_of(path)


@given(data=st.binary(max_size=300), kind=st.sampled_from([1, 2, 5]))
def test_no_header_makes_the_reader_do_anything_but_refuse(data: bytes, kind: int) -> None:
    try:
        read_header(io.BytesIO(b"CDF" + bytes([kind]) + data), STACKED, where="x")
    except InvalidError:
        return


@pytest.mark.parametrize("text", [b"", b"GRIB....", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_what_is_neither_hdf5_nor_netcdf_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.hdf"
    path.write_bytes(text)
    with pytest.raises(InvalidError, match=r"neither HDF5 nor NetCDF|not a sound HDF5"):
        header_of(path)


def test_only_headers_of_remote_files_are_read(tmp_path: Path) -> None:
    import obstore.store

    path = tmp_path / "large.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("values", data=np.zeros((64, 2**19), "f4"), chunks=(1, 2**18))
    size = path.stat().st_size
    raw = StoredFile(obstore.store.LocalStore(tmp_path), path.name, size, "x")
    read_header(io.BufferedReader(raw), STACKED, where="x")
    assert size > 100 * 2**20
    fetched = raw._block.cache_info().misses * BLOCK
    assert fetched <= 4 * BLOCK


def test_real_files_give_the_numbers_that_h5py_reads(shared_data: Path, tmp_path: Path) -> None:
    files = [*shared_data.glob("cloudmask/*/*.nc"), *shared_data.glob("formats/*.nc")]
    assert files
    for path in files:
        with (tmp_path / "index.json").open("w", encoding="utf-8") as out:
            found = write_references(
                out, headers([path], STACKED), base=path.parent.as_uri(), along=STACKED
            )
        assert found.omitted == {}
        opened = plain(out.name, decode=False)
        if not h5py.is_hdf5(path):
            assert len(found.variables) > 100
            continue
        with h5py.File(path) as held_file:
            file: Any = held_file
            there = [n for n in opened.variables if n in file and file[n].dtype.kind in "biuf"]
            assert there
            for name in there:
                held, read = file[name][()], opened[name].values
                read = read if read.shape == held.shape else read[0]
                assert np.array_equal(read, held, equal_nan=held.dtype.kind == "f"), name


def test_the_index_is_the_same_whoever_writes_it(tmp_path: Path) -> None:
    files = write_scenes(tmp_path, 3)
    first, second = (Path(refer(files)[0]).read_bytes() for _ in range(2))
    assert first == second
    assert os.fsencode(tmp_path.name) in first
