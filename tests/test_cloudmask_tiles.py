"""Single real scenes as small datasets: AATSR and Landsat 8, and the TIFF that holds bands."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.datasets.cloudmask.landsat8 import potential_cloud
from scidata.datasets.cloudmask.tiff import read_tiff
from scidata.errors import InvalidError, NotFoundError
from scidata.record import load_record

TILES = {"cloudmask-aatsr": (60, 16), "cloudmask-landsat8": (185, 32)}


def write_tiff(
    path: Path, values: np.ndarray, *, order: str = "<", deflate: bool = True
) -> Path:
    """Write an image by the specification: four rows a strip."""
    height, width = values.shape
    code = {"f": 3, "u": 1, "i": 2}[values.dtype.kind]
    strips = [
        values[n : n + 4].astype(f"{order}{values.dtype.str[1:]}") for n in range(0, height, 4)
    ]
    stored = [zlib.compress(s.tobytes()) if deflate else s.tobytes() for s in strips]
    count = len(stored)
    fixed = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 4, 1, 8 * values.itemsize),
        (259, 4, 1, 8 if deflate else 1), (277, 4, 1, 1), (278, 4, 1, 4), (339, 4, 1, code),
    ]  # fmt: skip
    lists = 8 + 2 + 12 * (len(fixed) + 2) + 4
    data = lists + 8 * count
    starts = [data + sum(map(len, stored[:n])) for n in range(count)]
    tags = sorted([*fixed, (273, 4, count, lists), (279, 4, count, lists + 4 * count)])
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    table = struct.pack(f"{order}H", len(tags))
    table += b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags) + b"\0\0\0\0"
    numbers = struct.pack(f"{order}{2 * count}I", *starts, *map(len, stored))
    path.write_bytes(head + table + numbers + b"".join(stored))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f4", "u2", "f8"])
@pytest.mark.parametrize("deflate", [True, False])
def test_a_plain_tiff_is_read_as_it_was_written(
    order: str, dtype: str, deflate: bool, tmp_path: Path
) -> None:
    values = (np.random.default_rng(0).random((18, 7)) * 1000).astype(dtype)
    path = write_tiff(tmp_path / "band.tif", values, order=order, deflate=deflate)
    assert (read_tiff(path, path.name) == values).all()


@pytest.mark.parametrize("cut", [0, 3, 40, 300])
def test_a_damaged_tiff_is_named(cut: int, tmp_path: Path) -> None:
    path = write_tiff(
        tmp_path / "band.tif", np.ones((16, 16), "f4") * np.arange(16, dtype="f4")
    )
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidError, match=r"band.tif: it is no sound TIFF"):
        read_tiff(path, path.name)


def test_what_is_not_read_of_tiff_is_named(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "band.tif", np.ones((16, 16), "f4"))
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHII", 259, 4, 1, 8))
    data[at + 8] = 5
    path.write_bytes(data)
    with pytest.raises(InvalidError, match="compression 5"):
        read_tiff(path, path.name)


def test_a_bright_white_cold_pixel_is_potential_cloud_and_a_green_one_is_not() -> None:
    cloud = [0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 0.3, 0.0]
    leaf = [0.1, 0.05, 0.08, 0.04, 0.45, 0.2, 0.1, 0.0]
    cirrus = [*leaf[:-1], 0.02]
    refs = np.array([cloud, leaf, cirrus], "f4").T[:, :, None]
    assert potential_cloud(refs, np.full((3, 1), 280, "f4"))[:, 0].tolist() == [
        True,
        False,
        True,
    ]
    warm = potential_cloud(refs, np.full((3, 1), 305, "f4"))
    assert warm[:, 0].tolist() == [False, False, True]


def record_of_part(staged: Path) -> str:
    return load_record(staged / "record.yaml").splits[0].parts[0].description


@pytest.mark.parametrize("name", TILES)
def test_a_real_scene_becomes_tiles_with_a_split_by_columns(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    count, size = TILES[name]
    source = shared_data / "cloudmask" / name.removeprefix("cloudmask-")
    assert build(name, source, tmp_path / "out").counts["tiles"] == count
    assert [p for p in check(tmp_path / "out").problems if p.code != "recommended"] == []
    tiles = xr.open_zarr(tmp_path / "out/data/tiles.zarr", consolidated=True)
    assert (tiles.sizes["tile"], tiles.sizes["y"]) == (count, size)
    ids = {
        part: (tmp_path / f"out/data/splits/blocks/{part}.txt").read_text().split()
        for part in ("train", "validation", "test")
    }
    columns = {part: {int(i.rsplit("-", 1)[1]) for i in held} for part, held in ids.items()}
    assert max(columns["train"]) + 1 < min(columns["validation"])
    assert max(columns["validation"]) + 1 < min(columns["test"])
    own = json.loads((tmp_path / "out/data/statistics.json").read_text())["assets"]["tiles"]
    assert own["over"] == "blocks/train"
    assert 250 < own["variables"]["bts"]["mean"] < 310
    trained = tiles["bts"].sel(tile=ids["train"]).values
    assert own["variables"]["bts"]["mean"] == pytest.approx(np.nanmean(trained, dtype="f8"))
    assert own["variables"]["bts"]["min"] > 200  # no code for a missing one is a temperature
    assert record_of_part(tmp_path / "out").endswith("tiles")
    record = load_record(tmp_path / "out/record.yaml")
    assert "may" in record.out_of_scope[0]
    assert record.real_note is not None
    assert not record.synthetic


def test_the_aatsr_label_is_the_operational_flag(shared_data: Path, tmp_path: Path) -> None:
    build("cloudmask-aatsr", shared_data / "cloudmask/aatsr", tmp_path / "out")
    tiles = xr.open_zarr(tmp_path / "out/data/tiles.zarr", consolidated=True)
    nadir = [str(i).startswith("nadir") for i in tiles["tile"].values]
    # 52.3 and 50.3 percent of the whole crop; the tiles leave out its edge.
    assert float(tiles["cloud"][nadir].mean()) == pytest.approx(0.523, abs=0.04)
    assert float(tiles["cloud"].mean()) == pytest.approx(0.513, abs=0.04)


def test_the_landsat_label_is_that_of_rio_cloudmask(shared_data: Path, tmp_path: Path) -> None:
    # Its potential_cloud_pixels, version 0.3.0, says 36.6 percent of the seen pixels.
    build("cloudmask-landsat8", shared_data / "cloudmask/landsat8", tmp_path / "out")
    tiles = xr.open_zarr(tmp_path / "out/data/tiles.zarr", consolidated=True)
    seen = np.isfinite(tiles["bts"][:, 0].values)
    assert tiles["cloud"].values[seen].mean() == pytest.approx(0.366, abs=0.02)


def test_missing_bands_and_sources_are_named(shared_data: Path, tmp_path: Path) -> None:
    for name in ("cloudmask-aatsr", "cloudmask-landsat8"):
        with pytest.raises(InvalidError, match="does not ship"):
            build(name, None, tmp_path / "out")
        with pytest.raises(NotFoundError, match="gone"):
            build(name, tmp_path / "gone", tmp_path / "out")
    source = Path(shutil.copytree(shared_data / "cloudmask/landsat8", tmp_path / "bands"))
    band = next(source.glob("*_B6_toa.tif"))
    band.chmod(0o644)
    source.chmod(0o755)
    band.unlink()
    with pytest.raises(InvalidError, match="it lacks the bands B6"):
        build("cloudmask-landsat8", source, tmp_path / "out")
    with pytest.raises(InvalidError, match="0 files are called"):
        build("cloudmask-aatsr", source, tmp_path / "out")
    slstr = next((shared_data / "cloudmask/slstr").glob("*.nc"))
    with pytest.raises(InvalidError, match="it lacks reflec_nadir_0550"):
        build("cloudmask-aatsr", slstr, tmp_path / "out")
