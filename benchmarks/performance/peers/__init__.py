"""Streaming loaders, one file each, as somebody who knows them would use them.

Each file says its environment (`ENVIRONMENT`, `REQUIREMENTS`), its `VARIANTS` with the terms on
which they compare, and has two functions: ``prepare(job)`` writes what it reads, unless that is
the published Zarr, and ``open_epochs(job)`` returns a function from an epoch's number to its
batches. Only these two import the library: the files are read in every environment.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from scidata.benchmarks.performance.workloads import Block, Workload, samples, workload

PEERS = (
    "scidata_stream",
    "mosaic",
    "lit",
    "webdata",
    "hf",
    "tensor_store",
    "zarr_obstore",
    "zarr_s3fs",
    "h5py_s3fs",
    "x_batcher",
)
"""One line a loader: the name of its file. No file has the name of the library it imports."""

RECORD = 256
"""Rows of W3 in one record, where a format is given records of several rows."""

Epochs = Callable[[int], Iterable[Any]]  # Any: nested tensors, each loader's own
"""From an epoch's number to its batches."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms a variant compares with the others."""

    shuffle: str
    """How far the shuffle reaches; parts between bars are for one workload each."""
    crops: str = "random"
    """``random``, or ``frozen``: cut once, the same every epoch. Of W1."""
    form: str = ""
    """Name of its own format, which `prepare` writes; empty for the published Zarr."""
    codec: str = ""
    """Of its own format; the published Zarr's is an option."""
    later: str = "cold"
    """``cold`` if every epoch comes from the server, ``cache`` if later ones are local."""
    workloads: tuple[str, ...] = ("W1", "W2", "W3", "W4")

    def reach(self, workload: str) -> str:
        """Return how far the shuffle reaches on a workload."""
        parts = self.shuffle.split(" | ")
        return parts[self.workloads.index(workload)] if len(parts) > 1 else parts[0]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One loader on one workload: what is read, from where."""

    peer: str
    variant: str
    workload: str
    scale: float
    codec: str
    """Of the published Zarr."""
    form: str
    """Of the variant's terms."""
    root: Path
    """The folder whose sub-folders are buckets."""
    bucket: str = "bench"
    endpoint: str = ""
    cache: Path = Path()
    """A folder of this run alone."""
    workers: int = 0
    seed: int = 0
    memory: int | None = None

    @property
    def work(self) -> Workload:
        """The workload itself."""
        return workload(self.workload, self.scale)

    @property
    def published(self) -> str:
        """Path in the bucket of the published arrays."""
        return f"store/{self.dataset}/v1.0.0/data/arrays.zarr"

    @property
    def dataset(self) -> str:
        """Id of the published dataset."""
        return f"{self.workload.lower()}-{self.codec}"

    @property
    def private(self) -> str:
        """Path in the bucket of the loader's own format."""
        return f"{self.peer}/{self.workload.lower()}-{self.form}"

    @property
    def folder(self) -> Path:
        """Where the loader's own format is on the disk."""
        return self.root / self.bucket / self.private

    def s3(self, path: str) -> str:
        """Return the address of a path in the bucket for S3 clients."""
        return f"s3://{self.bucket}/{path}"

    def http(self, path: str) -> str:
        """Return the address of a path in the bucket for HTTP clients."""
        return f"{self.endpoint}/{self.bucket}/{path}"


def library(name: str) -> Any:  # Any: not installed where types are checked
    """Import a library that only one environment has."""
    return import_module(name)


def records(work: Workload) -> Iterator[Block]:
    """Yield what a format of whole samples stores: of W3, many rows at a time."""
    if work.name != "W3":
        yield from samples(work)
        return
    for _, block in work.blocks():
        for at in range(0, len(block["target"]), RECORD):
            yield {name: values[at : at + RECORD] for name, values in block.items()}


def joined(parts: list[Any]) -> Any:  # Any: dictionaries of tensors
    """Collate records of several rows into one batch."""
    torch = library("torch")
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
