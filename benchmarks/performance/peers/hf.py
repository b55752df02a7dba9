"""Hugging Face datasets: Parquet files, streamed."""

import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, library
from scidata.benchmarks.performance.workloads import Array

ENVIRONMENT = "hf"
REQUIREMENTS = ("datasets==5.2.0", "s3fs")
GROUP = {"W2": 64, "W3": 2048}
"""Samples in one row group."""
BUFFER = 1000
VARIANTS = {
    "rows": Terms(
        shuffle="files, buffer of 1,000", form="binary", codec="zstd", workloads=("W2", "W3")
    ),
    "files": Terms(shuffle="files only", form="lists", codec="zstd", workloads=("W2", "W3")),
}


def prepare(job: Job) -> None:
    """Write a Parquet file a shard: arrays as lists, or as bytes, which rows decode quicker."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    for start, block in job.work.blocks():
        columns = {name: _column(values, job.form) for name, values in block.items()}
        parquet.write_table(
            arrow.table(columns),
            job.folder / f"{start:08d}.parquet",
            row_group_size=GROUP[job.workload],
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
        )


def _column(values: Any, form: str) -> Any:  # Any: numpy's, Arrow's
    arrow = library("pyarrow")
    if values.ndim == 1:
        return arrow.array(values)
    if form == "binary":
        return arrow.array([row.tobytes() for row in values], arrow.binary())
    flat = arrow.array(np.ascontiguousarray(values).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def open_epochs(job: Job) -> Epochs:
    """Stream the files; with a buffer each row becomes Python's, without it stays Arrow's."""
    names = sorted(path.name for path in job.folder.glob("*.parquet"))
    work = job.work
    shapes = {name: array.shape[1:] for name, array in work.arrays.items()}

    def epoch(number: int) -> Iterator[Any]:
        order = np.random.default_rng([job.seed, number]).permutation(len(names))
        stream = library("datasets").load_dataset(
            "parquet",
            data_files=[job.http(f"{job.private}/{names[at]}") for at in order],
            split="train",
            streaming=True,
            cache_dir=str(job.cache / "hf"),
        )
        if job.variant == "files":
            for table in stream.with_format("arrow").iter(batch_size=work.batch):
                yield _tensors(table, shapes)
        else:
            shuffled = stream.shuffle(seed=job.seed + number, buffer_size=BUFFER)
            for batch in shuffled.iter(batch_size=work.batch):
                yield _stacked(batch, work.arrays)

    return epoch


def _tensors(table: Any, shapes: dict[str, tuple[int, ...]]) -> Any:  # Any: Arrow's, torch's
    torch = library("torch")
    batch = {}
    for name, shape in shapes.items():
        column = table.column(name).combine_chunks()
        flat = column.flatten() if shape else column
        values = flat.to_numpy(zero_copy_only=False).reshape(-1, *shape)
        batch[name] = torch.from_numpy(values.copy())
    return batch


def _stacked(batch: Any, arrays: Mapping[str, Array]) -> Any:  # Any: lists, torch's
    torch = library("torch")
    found = {}
    for name, array in arrays.items():
        shape = array.shape[1:]
        if shape:
            data = bytearray().join(batch[name])
            found[name] = torch.from_numpy(np.frombuffer(data, array.dtype).reshape(-1, *shape))
        else:
            found[name] = torch.from_numpy(np.asarray(batch[name], array.dtype))
    return found
