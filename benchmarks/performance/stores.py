"""Write a workload as Zarr, and publish it: what scidata and the array readers stream."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

import scidata
from scidata.benchmarks.performance.peers import Job
from scidata.benchmarks.performance.records import synthetic
from scidata.benchmarks.performance.workloads import (
    CROP,
    CROPS_A_SCENE,
    SEED,
    STRIDE,
    WINDOW,
    Array,
    Workload,
)

Codec = Literal["zstd", "blosc-lz4", "none"]
CODECS: tuple[Codec, ...] = ("zstd", "blosc-lz4", "none")


def record(job: Job) -> dict[str, Any]:  # Any: YAML at the edge
    """Return the record of a workload; what a sample is stands in its section `samples`."""
    work = job.work
    dimension = work.main.dims[0]
    windows = {
        "W1": [{"dimension": dim, "size": CROP} for dim in ("y", "x")],
        "W4": [{"dimension": "time", "size": WINDOW, "stride": STRIDE}],
    }
    return synthetic(
        job.dataset,
        f"Workload {work.name} of the loaders' measurements",
        "Smooth fields with noise from a fixed seed: how fast do they stream?",
        variables=[
            {"name": name, "asset": "arrays", "description": "Random numbers.", "units": "1"}
            for name in work.arrays
        ],
        splits=[
            {
                "name": dimension,
                "default": True,
                "dimension": dimension,
                "unit": f"one {dimension}",
                "rule": "Everything trains.",
                "parts": [{"name": "train", "description": "All there is."}],
            }
        ],
        samples={
            "asset": "arrays",
            "each": [dimension],
            "windows": windows.get(work.name, []),
            "crops": CROPS_A_SCENE if work.name == "W1" else None,
            "inputs": list(work.arrays),
        },
    )


def publish_workload(job: Job) -> bool:
    """Publish the workload unless it is there; returns whether anything was written.

    Arrays that are there stay if only the record is another one.
    """
    stamps = job.root / "stamps"
    arrays, version = stamps / f"{job.dataset}.arrays.json", stamps / f"{job.dataset}.json"
    text = yaml.safe_dump(record(job), sort_keys=False, allow_unicode=True)
    layout = {"seed": SEED, "arrays": {n: vars(a) for n, a in job.work.arrays.items()}}
    wanted = {**layout, "record": hashlib.sha256(text.encode()).hexdigest()}
    if is_stamped(version, wanted):
        return False
    staged = job.root / "staged" / job.dataset
    published = job.root / job.bucket / "store" / job.dataset
    version.unlink(missing_ok=True)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    held = published / "v1.0.0/data/arrays.zarr"
    if is_stamped(arrays, layout) and held.is_dir():
        (staged / "data").mkdir()
        held.rename(staged / "data/arrays.zarr")
    else:
        write_arrays(staged / "data/arrays.zarr", job.work, job.codec)
    shutil.rmtree(published, ignore_errors=True)
    (staged / "record.yaml").write_text(text, encoding="utf-8")
    _write_split(staged, job.work)
    scidata.publish(staged, published.parent, version="1.0.0")
    stamp(arrays, layout)
    stamp(version, wanted)
    shutil.rmtree(staged)
    return True


def write_arrays(path: Path, work: Workload, codec: str) -> None:
    """Write the arrays shard by shard, with consolidated metadata."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    made = {name: _create(group, name, array, codec) for name, array in work.arrays.items()}
    small: dict[str, list[Any]] = {n: [] for n, a in work.arrays.items() if a.shards is None}
    for start, block in work.blocks():
        for name, values in block.items():
            if name in small:
                small[name].append(values)
            else:
                made[name][start : start + len(values)] = values
    for name, parts in small.items():
        made[name][:] = _concatenated(parts)
    with warnings.catch_warnings():
        # Zarr warns that consolidated metadata is not yet part of the v3 text.
        warnings.simplefilter("ignore", category=UserWarning)
        zarr.consolidate_metadata(group.store)


def is_stamped(path: Path, wanted: dict[str, Any]) -> bool:  # Any: JSON
    """Whether what the stamp stands for was made with these parameters."""
    return path.exists() and json.loads(path.read_text()) == _plain(wanted)


def stamp(path: Path, values: dict[str, Any]) -> None:  # Any: JSON
    """Note with which parameters something was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_plain(values), indent=1))


def _create(group: zarr.Group, name: str, array: Array, codec: str) -> Any:  # Any: zarr's
    size = _itemsize(array.dtype)
    compressor = {
        "zstd": ZstdCodec(level=1),
        "blosc-lz4": BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=size),
        "none": None,
    }[codec]
    return group.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=array.chunks,
        shards=array.shards,
        compressors=compressor,
        dimension_names=array.dims,
        attributes={"units": "1"},
    )


def _write_split(staged: Path, work: Workload) -> None:
    file = staged / f"data/splits/{work.main.dims[0]}/train.txt"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"{number:06d}\n" for number in range(work.entries)))


def _concatenated(parts: Iterable[Any]) -> Any:  # Any: arrays
    import numpy as np

    return np.concatenate(list(parts))


def _itemsize(dtype: str) -> int:
    import numpy as np

    return np.dtype(dtype).itemsize


def _plain(values: dict[str, Any]) -> Any:  # Any: JSON
    return json.loads(json.dumps(values))
