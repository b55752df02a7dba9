"""zarr-python through s3fs: today's habit."""

from scidata.benchmarks.performance.peers import Epochs, Job, library
from scidata.benchmarks.performance.peers.pools import TERMS
from scidata.benchmarks.performance.peers.threads import open_arrays

ENVIRONMENT = "arrays"
REQUIREMENTS = ("zarr==3.1.6", "s3fs==2026.9.0")
VARIANTS = TERMS
THREADS = 8


def prepare(job: Job) -> None:
    """Nothing: it reads the published Zarr."""


def open_epochs(job: Job) -> Epochs:
    """Open the published group with zarr's own codec pipeline."""
    options = {"anon": True, "client_kwargs": {"endpoint_url": job.endpoint}}
    store = library("zarr.storage").FsspecStore.from_url(
        job.s3(job.published), storage_options=options, read_only=True
    )
    group = library("zarr").open_group(store=store, mode="r", zarr_format=3)
    return open_arrays(job, {name: group[name] for name in job.work.arrays}, THREADS)
