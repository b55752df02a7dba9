"""scidata: streams the published version."""

from collections.abc import Iterator
from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, library

ENVIRONMENT = ""
"""The one that runs the script."""
REQUIREMENTS = ()
VARIANTS = {
    "window": Terms(shuffle="window, bounded by memory"),
    "exact": Terms(shuffle="global", workloads=("W1", "W2")),
    "cached": Terms(shuffle="window, bounded by memory", later="cache"),
    "verified": Terms(shuffle="window, bounded by memory", workloads=("W1", "W2")),
}


def prepare(job: Job) -> None:
    """Nothing: it reads the published version."""


def open_epochs(job: Job) -> Epochs:
    """Open the version by name and stream its default split."""
    scidata, storage = library("scidata"), library("scidata.storage")
    store = storage.open_store(job.s3("store"), endpoint_url=job.endpoint, anonymous=True)
    stream = scidata.open(f"{job.dataset}@1.0.0", store).stream(
        "train",
        batch_size=job.work.batch,
        shuffle="exact" if job.variant == "exact" else "window",
        seed=job.seed,
        memory=job.memory,
        cache=job.cache if job.variant == "cached" else None,
        verify=job.variant == "verified",
    )

    def epoch(number: int) -> Iterator[Any]:
        stream.set_epoch(number)
        return iter(stream)

    return epoch
