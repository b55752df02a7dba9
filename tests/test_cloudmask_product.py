"""Sentinel-3 products as SAFE folders: radiance to reflectance, grids and flags; bad ones."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.datasets.cloudmask.product import SOLAR_IRRADIANCE, read_header, read_scene
from scidata.errors import InvalidError

HEIGHT, WIDTH, TIES = 24, 30, 5
NAME = (
    "S3A_SL_1_RBT____20191001T{0:02d}3221_20191001T{0:02d}3521_20191002T163334_0179_050_{0:03d}_"
    "1980_LN2_O_NT_003.SEN3"
)
FILL = -32768


def put(folder: Path, file: str, name: str, values: np.ndarray, **notes: Any) -> None:
    with h5py.File(folder / file, "a") as held:
        held[name] = values
        for key, value in notes.items():
            # As NetCDF writes them: arrays of one.
            held[name].attrs[key] = np.array([value])


def write_product(folder: Path, *, zenith: float = 60.0, irradiance: bool = True) -> Path:
    """Write the nadir variables of a product: radiance on the 0.5 km grid, the sun on ties."""
    folder.mkdir(parents=True)
    fine = (2 * HEIGHT, 2 * WIDTH)
    for n, channel in enumerate(SOLAR_IRRADIANCE, start=1):
        counts = np.full(fine, 100 * n, "i2")
        counts[0, 0] = FILL
        notes = {"scale_factor": 0.01, "add_offset": 0.0, "_FillValue": np.int16(FILL)}
        file = f"{channel}_radiance_an.nc"
        put(folder, file, f"{channel}_radiance_an", counts, **notes)
        if irradiance:
            levels = np.full(4, 500.0 + n, "f4")
            put(folder, f"{channel}_quality_an.nc", f"{channel}_solar_irradiance_an", levels)
    for n, channel in enumerate(("S7", "S8", "S9")):
        kelvin = np.full((HEIGHT, WIDTH), n * 100, "i2")
        kelvin[0, 0] = FILL
        notes = {"scale_factor": 0.01, "add_offset": 283.73, "_FillValue": np.int16(FILL)}
        put(folder, f"{channel}_BT_in.nc", f"{channel}_BT_in", kelvin, **notes)
    flags = np.zeros((HEIGHT, WIDTH), "u1")
    flags[:6], flags[6:8] = 3, 255
    put(folder, "flags_in.nc", "bayes_in", flags)
    put(folder, "flags_in.nc", "confidence_in", np.where(flags == 3, 1 << 14, 2).astype("u2"))
    ties = np.linspace(-8000, 8000, TIES)[None] + np.zeros((HEIGHT, 1))
    put(folder, "cartesian_tx.nc", "x_tx", ties)
    places = np.linspace(-4000, 4000, WIDTH)[None] + np.zeros((HEIGHT, 1))
    put(folder, "cartesian_in.nc", "x_in", places)
    # Grows by one degree in 8 km from the middle.
    put(folder, "geometry_tn.nc", "solar_zenith_tn", zenith + ties / 8000)
    return folder


def test_radiance_becomes_reflectance_on_the_1_km_grid(tmp_path: Path) -> None:
    path = write_product(tmp_path / NAME.format(11))
    header = read_header(path, path.name)
    assert (header.size, header.fine) == ((HEIGHT, WIDTH), True)
    scene = read_scene(path, path.name, {}, label="bayes")
    zenith = np.deg2rad(60 + np.linspace(-0.5, 0.5, WIDTH))
    expected = np.pi * 2.0 / (502 * np.cos(zenith))
    np.testing.assert_allclose(scene.refs[1, 7], expected, rtol=1e-4)
    # One of four fine pixels is missing; the others count.
    assert scene.refs[1, 0, 0] == pytest.approx(expected[0], rel=1e-4)
    assert np.isnan(scene.bts[1, 0, 0])
    assert scene.bts[1, 5, 5] == pytest.approx(284.73)
    assert scene.label[:6].min() == 3
    assert scene.label[6:].max() == 0  # flags that were not computed say nothing
    summary = read_scene(path, path.name, {}, label="summary")
    assert (summary.label == (scene.label != 0)).all()


def test_without_its_own_irradiance_a_product_takes_the_nominal_one(tmp_path: Path) -> None:
    path = write_product(tmp_path / NAME.format(11), irradiance=False)
    scene = read_scene(path, path.name, {}, label="bayes")
    expected = np.pi * 1.0 / (SOLAR_IRRADIANCE["S1"] * np.cos(np.deg2rad(60.0)))
    assert float(scene.refs[0].mean()) == pytest.approx(expected, rel=1e-3)


def test_when_the_sun_is_low_or_down_there_is_no_reflectance(tmp_path: Path) -> None:
    path = write_product(tmp_path / NAME.format(11), zenith=120.0)
    scene = read_scene(path, path.name, {}, label="bayes")
    assert not scene.is_day
    assert (scene.refs == 0).all()


def test_a_folder_of_products_becomes_one_array_store(tmp_path: Path) -> None:
    for hour in range(6):
        write_product(tmp_path / "in" / NAME.format(hour), zenith=60 + 10 * hour)
    built = build("cloudmask", tmp_path / "in", tmp_path / "out")
    assert (built.counts["scenes"], built.counts["night"]) == (6, 3)
    assert check(tmp_path / "out").errors == ()
    scenes = xr.open_zarr(tmp_path / "out/data/scenes.zarr", consolidated=True)
    assert scenes["orbit"].values.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        ("S3_radiance_an.nc", "variable-missing"),
        ("S8_BT_in.nc", "variable-missing"),
        ("flags_in.nc", "variable-missing"),
        ("cartesian_tx.nc", "shape"),
    ],
)
def test_what_a_product_lacks_is_named(lost: str, code: str, tmp_path: Path) -> None:
    path = write_product(tmp_path / NAME.format(11))
    (path / lost).unlink()
    with pytest.raises(InvalidError) as caught:
        build("cloudmask", path, tmp_path / "out")
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_damaged_file_of_a_product_is_named(tmp_path: Path) -> None:
    path = write_product(tmp_path / NAME.format(11))
    damaged = path / "S7_BT_in.nc"
    damaged.write_bytes(damaged.read_bytes()[:700])
    with pytest.raises(InvalidError, match=r"S7_BT_in\.nc"):
        build("cloudmask", path, tmp_path / "out")
