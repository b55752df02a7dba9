"""Start reads of a library that blocks, in threads."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job
from scidata.benchmarks.performance.peers.pools import Selection, Values, open_pools


def open_arrays(job: Job, arrays: Mapping[str, Any], threads: int) -> Epochs:
    """Return the epochs of arrays that are read as ``array[selection]``.

    Parameters
    ----------
    job : Job
    arrays : mapping from name to array
        Any: whatever the library has.
    threads : int
        Reads at a time.
    """
    pool = ThreadPoolExecutor(threads)

    def start(name: str, selections: Sequence[Selection]) -> Callable[[], list[Values]]:
        futures = [pool.submit(arrays[name].__getitem__, one) for one in selections]
        return lambda: [future.result() for future in futures]

    return open_pools(job.work, job.variant, start, job.seed)
