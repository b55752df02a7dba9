"""Satellite scenes in the layout that CloudMask is published in, small and seeded."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.errors import InvalidError

HEIGHT, WIDTH = 48, 60
CHUNK = (16, 20)


def write_scenes(
    folder: Path, count: int, *, height: int = HEIGHT, width: int = WIDTH
) -> list[Path]:
    """Write scenes of HDF5, half of them compressed as the others: gzip and shuffle."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_scene(folder / scene_name(n), n, height, width) for n in range(count)]


def scene_name(number: int) -> str:
    """Return a name as Sentinel-3 gives them."""
    return (
        f"S3A_SL_1_RBT____20191001T{number:06d}_20191001T{number:06d}_20191002T000000_0179_"
        f"050_023_{number:04d}_LN2_O_NT_003.hdf"
    )


def write_scene(
    path: Path, number: int, height: int = HEIGHT, width: int = WIDTH, **changes: Any
) -> Path:
    """Write one scene: reflectances, brightness temperatures, and the Bayesian mask.

    `changes` are settings of ``refs``, such as ``compression=None`` or ``dtype="f8"``.
    """
    rng = np.random.default_rng(number)
    settings: dict[str, Any] = {"compression": "gzip", "shuffle": True}
    with h5py.File(path, "w") as file:
        refs = rng.random((height, width, 6), dtype=np.float32)
        bts = rng.normal(280, 15, (height, width, 3)).astype(np.float32)
        bayes = rng.integers(0, 4, (height, width, 1), dtype=np.uint8)
        file.create_dataset("refs", data=refs, **{**settings, "chunks": (*CHUNK, 6), **changes})
        file.create_dataset("bts", data=bts, chunks=(*CHUNK, 3), **settings)
        file.create_dataset("bayes", data=bayes, chunks=(*CHUNK, 1), **settings)
        file["bts"].attrs["units"] = "K"
    return path


def read_scene(path: Path, name: str) -> Any:  # Any: an array of the dataset's type
    """Read a variable of a scene as h5py does."""
    with h5py.File(path) as file:
        held: Any = file[name]
        return held[()]


NOW = datetime(2026, 11, 1, tzinfo=UTC)


def name_of(number: int, orbit: int | None = None) -> str:
    """Two frames an orbit, three minutes apart."""
    orbit = number // 2 if orbit is None else orbit
    time = f"20191001T{orbit:02d}{number % 2 * 3:02d}00"
    return (
        f"S3A_SL_1_RBT____{time}_{time}_20191002T000000_0179_050_{orbit:03d}_"
        f"{1980 + 180 * (number % 2):04d}_LN2_O_NT_003.hdf"
    )


def opened(path: Path, mode: str = "r") -> Any:  # Any: h5py has types of its own
    """Open a file of HDF5."""
    return h5py.File(path, mode)


def write_folder(folder: Path, training: int = 10, inference: int = 2) -> Path:
    """Write scenes as they are published: a folder of those that train, and one of others."""
    for role, numbers in (
        ("training", range(training)),
        ("inference", range(training, training + inference)),
    ):
        for n in numbers:
            (folder / role).mkdir(parents=True, exist_ok=True)
            write_scene(folder / role / name_of(n), n)
    return folder


def made(source: Path, out: Path, **options: str) -> xr.Dataset:
    """Build the dataset, which must be sound, and open its scenes."""
    build("cloudmask", source, out, options=options, now=NOW)
    assert check(out).errors == ()
    scenes: xr.Dataset = xr.open_zarr(out / "data/scenes.zarr", consolidated=True)
    return scenes


def codes(error: InvalidError) -> set[str]:
    """Return what is wrong, by code."""
    return {problem.code for problem in error.problems}
