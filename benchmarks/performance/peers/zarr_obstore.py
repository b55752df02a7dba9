"""zarr-python through obstore, decoding by zarrs."""

from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job, library
from scidata.benchmarks.performance.peers.pools import TERMS
from scidata.benchmarks.performance.peers.threads import open_arrays

ENVIRONMENT = "arrays"
REQUIREMENTS = ("zarr==3.1.6", "obstore==0.12.1", "zarrs==0.2.3")
VARIANTS = TERMS
THREADS = 8


def prepare(job: Job) -> None:
    """Nothing: it reads the published Zarr."""


def open_epochs(job: Job) -> Epochs:
    """Open the published group with zarrs' codec pipeline."""
    zarr = library("zarr")
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    group = zarr.open_group(store=published_store(job), mode="r", zarr_format=3)
    return open_arrays(job, {name: group[name] for name in job.work.arrays}, THREADS)


def published_store(job: Job) -> Any:  # Any: zarr's
    """Return the published arrays as a store for zarr."""
    objects = library("obstore.store").S3Store(
        job.bucket,
        prefix=job.published,
        endpoint=job.endpoint,
        region="us-east-1",
        skip_signature=True,
        client_options={"allow_http": True},
    )
    return library("zarr.storage").ObjectStore(objects, read_only=True)
