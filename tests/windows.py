"""A small dataset of series and windows in the schema of tevolop, made of random numbers."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from scidata.digest import Digest
from scidata.manifest import Manifest
from tests.samples import record_fields

BACK = (2, 4, 7, 13, 26)
AHEAD = ("1", "2", "4", "7", "13", "26", "52", "104", "26 after 26", "52 after 52")
REACH = 104
QUANTITIES = ("magnitude", "depth", "multiplicity", "multiplicity_3p29")


def arrays(locations: int, times: int, *, seed: int = 0) -> xr.Dataset:
    """Return arrays with the names, dimensions and dtypes of the asset ``fortnights``."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {  # Any: what xarray accepts as a variable
        name: (("location", "time"), rng.gamma(2, 1, (locations, times)).astype(np.float32))
        for name in QUANTITIES
    }
    back = rng.gamma(2, 1, (locations, times, len(BACK))).astype(np.float32)
    ahead = rng.gamma(2, 1, (locations, times, len(AHEAD))).astype(np.float32)
    ahead[:, -1:] = np.nan
    fields["magnitude_back"] = (("location", "time", "back"), back)
    fields["magnitude_ahead"] = (("location", "time", "ahead"), ahead)
    fields["fault_label"] = (("location", "curve"), rng.integers(0, 36, (locations, 4)))
    start = np.datetime64("1950-01-04", "ns")
    return xr.Dataset(
        fields,
        coords={
            "location": np.arange(7, 7 + 3 * locations, 3),
            "time": start + np.arange(times) * np.timedelta64(14, "D"),
            "back": list(BACK),
        },
    )


def write_zarr(dataset: xr.Dataset, path: Path, *, chunk: int = 4, shard: int = 8) -> None:
    """Write a sharded Zarr v3 store whose shards hold `shard` series each."""
    encoding = {
        name: {
            "chunks": (chunk, *array.shape[1:]),
            "shards": (shard, *array.shape[1:]),
        }
        for name, array in dataset.data_vars.items()
    }
    with warnings.catch_warnings():
        # Zarr warns that consolidated metadata is not yet part of the v3 text.
        warnings.simplefilter("ignore", category=UserWarning)
        dataset.to_zarr(path, zarr_format=3, consolidated=True, encoding=encoding)


def manifest_of(folder: Path) -> Manifest:
    """Hash every file below a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return Manifest({str(p.relative_to(folder)): Digest.of(p.read_bytes()) for p in files})


def write_staged(
    path: Path, dataset: xr.Dataset, *, window: int, parts: dict[str, tuple[int, int]]
) -> Path:
    """Write a staged dataset split along time; parts give their first and last end."""
    write_zarr(dataset, path / "data" / "fortnights.zarr")
    dates = dataset["time"].values.astype("datetime64[D]").astype(str)
    for part, (first, last) in parts.items():
        file = path / "data" / "splits" / "time" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{d}\n" for d in dates[first : last + 1]))
    statistics = {"over": "time/train", "variables": _statistics(dataset, parts["train"])}
    document = {"schema": "scidata-statistics/1", "assets": {"fortnights": statistics}}
    (path / "data" / "statistics.json").write_text(json.dumps(document, indent=1) + "\n")
    fields = _record(dataset, window, parts)
    (path / "record.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def publish_quakes(folder: Path, *, locations: int = 6, times: int = 330) -> Path:
    """Publish ``quakes@1.0.0`` into a local store; returns the store's folder."""
    from scidata.publishing import publish

    parts = {"train": (25, 80), "validation": (240, 270), "test": (290, times - 2)}
    staged = write_staged(folder / "quakes", arrays(locations, times), window=26, parts=parts)
    publish(staged, folder / "store", version="1.0.0")
    return folder / "store"


def _statistics(dataset: xr.Dataset, train: tuple[int, int]) -> dict[str, Any]:
    seen = dataset.isel(time=slice(0, train[1] + 1))
    return {
        str(name): {
            "count": int(array.notnull().sum()),
            "mean": float(array.mean()),
            "std": float(array.std()),
            "min": float(array.min()),
            "max": float(array.max()),
        }
        for name, array in seen.data_vars.items()
    }


def _record(dataset: xr.Dataset, window: int, parts: dict[str, Any]) -> dict[str, Any]:
    split = {
        "name": "time",
        "default": True,
        "dimension": "time",
        "unit": "date of the last input fortnight",
        "rule": "Early windows train, late ones test.",
        "leaks": None,
        "parts": [{"name": name, "description": f"The {name} part."} for name in parts],
    }
    return {
        **record_fields(),
        "id": "quakes",
        "title": "Random earthquakes for tests",
        "variables": [
            {
                "name": str(name),
                "asset": "fortnights",
                "description": "Random numbers.",
                "units": "1",
            }
            for name in dataset.data_vars
        ],
        "splits": [split],
        "samples": {
            "asset": "fortnights",
            "each": ["location"],
            "windows": [{"dimension": "time", "size": window}],
            "inputs": [*QUANTITIES, "magnitude_back", "fault_label"],
            "targets": ["magnitude_ahead"],
            "targets_at": "last",
        },
    }
