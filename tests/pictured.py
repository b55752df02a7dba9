"""A dataset with one asset for every kind of plot, small and seeded."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from tests.samples import record_fields

SIDE = 64
SCENES = 5
PATTERNS = 4
EVENTS = 3_000


def write_pictured(path: Path, **changes: Any) -> Path:  # Any: fields of a record
    """Write the dataset; `changes` replace fields of its record. Returns `path`."""
    (path / "data").mkdir(parents=True)
    fields = record_fields() | {
        "id": "pictured",
        "title": "Pictures of seven kinds",
        "keywords": ["plots"],
        "subjects": [
            {"term": "Optics", "scheme": "Fields", "uri": "https://example.org/optics"}
        ],
        "variables": [],
        "splits": [],
        **changes,
    }
    (path / "record.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    rng = np.random.default_rng(7)
    data = path / "data"
    _shocks(rng).to_parquet(data / "shocks.parquet")
    _stations(rng).to_csv(data / "stations.csv", index=False)
    _doses(rng).to_parquet(data / "doses.parquet")
    _fields(rng).to_netcdf(data / "weather.nc", engine="h5netcdf")
    _scenes(rng).to_zarr(data / "scenes.zarr", zarr_format=3, consolidated=False)
    _patterns(rng).to_zarr(data / "patterns.zarr", zarr_format=3, consolidated=False)
    return path


def _shocks(rng: np.random.Generator) -> pd.DataFrame:
    start = np.datetime64("1950-01-01", "s")
    return pd.DataFrame(
        {
            "shock_id": np.arange(EVENTS),
            "time": start + np.sort(rng.integers(0, 76 * 365 * 86_400, EVENTS)),
            "lon": rng.normal(-117, 1, EVENTS),
            "lat": rng.normal(34, 0.7, EVENTS),
            "magnitude": 1.2 + rng.exponential(0.4, EVENTS),
            "kind": rng.choice(["blast", "quake"], EVENTS),
        }
    )


def _stations(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "longitude": rng.uniform(5, 15, 40),
            "latitude": rng.uniform(47, 55, 40),
            "height": range(40),
        }
    )


def _doses(rng: np.random.Generator) -> pd.DataFrame:
    doses = np.geomspace(0.0025, 8, 8)
    rows = [
        {
            "cell": f"line {c}",
            "drug": f"drug {d}",
            "dose_uM": dose,
            "viability_pct": 100 / (1 + (dose / half)) + rng.normal(0, 3),
        }
        for c in range(3)
        for d, half in enumerate((0.02, 0.3, 4.0))
        for dose in doses
    ]
    return pd.DataFrame(rows)


def _fields(rng: np.random.Generator) -> xr.Dataset:
    lat, lon = np.linspace(-80, 80, 33), np.linspace(0, 350, 36)
    time = np.arange("2001-01", "2003-01", dtype="datetime64[M]").astype("datetime64[ns]")
    attributes = {"units": "K", "standard_name": "air_temperature"}
    warmth = 300 - 0.5 * np.abs(lat)[:, None] + rng.normal(0, 2, (len(time), 33, 36))
    return xr.Dataset(
        {"t2m": (("time", "lat", "lon"), warmth.astype("f4"), attributes)},
        coords={
            "time": time,
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )


def _scenes(rng: np.random.Generator) -> xr.Dataset:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    clouds = np.stack([np.sin(9 * x + n) * np.cos(7 * y - n) for n in range(SCENES)])
    bands = clouds[..., None] + rng.normal(0, 0.1, (SCENES, SIDE, SIDE, 3))
    return xr.Dataset(
        {
            "radiance": (
                ("scene", "y", "x", "band"),
                bands.astype("f4"),
                {"units": "W m-2 sr-1"},
            ),
            "cloud": (
                ("scene", "y", "x"),
                (clouds > 0.3).astype("u1"),
                {"flag_values": [0, 1], "flag_meanings": "clear cloud"},
            ),
        }
    )


def _patterns(rng: np.random.Generator) -> xr.Dataset:
    y, x = np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2
    stack = np.zeros((PATTERNS, 3, SIDE, SIDE), dtype="f4")
    for n in range(PATTERNS):
        for p in range(3):
            for i in range(-2, 3):
                for j in range(-2, 3):
                    disk = np.hypot(y - 11 * i - p * j, x - (11 + n) * j) < 4
                    stack[n, p] += disk * np.exp(-(i * i + j * j)) * 1e4
            stack[n, p] += rng.exponential(0.2, (SIDE, SIDE))
    return xr.Dataset(
        {
            "cbed_stack": (
                ("sample", "projection", "qy", "qx"),
                stack,
                {"long_name": "diffracted intensity", "units": "counts"},
            ),
            "space_group": ("sample", np.array([225, 194, 62, 14], dtype="i4")),
        }
    )
