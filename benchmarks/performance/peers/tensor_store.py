"""tensorstore: the futures of a batch at once, the next batch's started ahead."""

from collections.abc import Callable, Sequence

from scidata.benchmarks.performance.peers import Epochs, Job, library
from scidata.benchmarks.performance.peers.pools import TERMS, Selection, Values, open_pools

ENVIRONMENT = "arrays"
REQUIREMENTS = ("tensorstore==0.1.86",)
VARIANTS = TERMS
CACHE_BYTES = 128 * 2**20
"""Holds the shards' indexes, which are otherwise read again for every chunk."""


def prepare(job: Job) -> None:
    """Nothing: it reads the published Zarr."""


def open_epochs(job: Job) -> Epochs:
    """Open each array; decoded chunks and shard indexes stay in one bounded cache."""
    tensorstore = library("tensorstore")
    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE_BYTES}})
    arrays = {
        name: tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": {
                    "driver": "s3",
                    "bucket": job.bucket,
                    "path": f"{job.published}/{name}/",
                    "endpoint": job.endpoint,
                    "aws_region": "us-east-1",
                    "aws_credentials": {"type": "anonymous"},
                },
            },
            context=context,
            recheck_cached_data="open",
            read=True,
        )
        for name in job.work.arrays
    }
    opened = {name: future.result() for name, future in arrays.items()}

    def start(name: str, selections: Sequence[Selection]) -> Callable[[], list[Values]]:
        futures = [opened[name][selection].read() for selection in selections]
        return lambda: [future.result() for future in futures]

    return open_pools(job.work, job.variant, start, job.seed)
