"""How fast a stream is here, and where its time goes: what ``scidata bench loader`` runs.

Nothing is trained: the loop takes batches as fast as they come, so it waits most of the time,
and the figures say what a training loop could have at best.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from scidata.loaders.stream import Stream

# ru_maxrss counts KiB, but bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over a split part took."""

    samples: int
    batches: int
    seconds: float
    samples_per_s: float
    mb_per_s: float
    """Of tensors, 10^6 bytes."""
    first_batch_s: float
    fetch: float
    """Requests under way, on average."""
    decode: float
    """Threads that decode, on average."""
    assemble: float
    """Share of the time in which batches were put together."""
    wait: float
    """Share of the time in which the loop waited."""
    requests: int
    fetched_bytes: int
    peak_memory_bytes: int
    """Of the process since it began, resident."""


def run_epoch(
    stream: Stream,
    number: int,
    *,
    batches: int | None = None,
    progress: Callable[[int, int], None],
) -> Epoch:
    """Take all batches of an epoch, or the first `batches` of them.

    Parameters
    ----------
    stream : Stream
    number : int
        Of the epoch.
    batches : int, optional
    progress : callable
        Called after every batch with how many there were, and how many there will be.
    """
    stream.set_epoch(number)
    stream.gauge.reset()
    total = min(len(stream), batches or len(stream))
    begin = time.perf_counter()
    samples, count, held = 0, 0, 0
    for batch in islice(stream, total):
        samples += len(next(iter(batch.values())))
        held += sum(tensor.nbytes for tensor in batch.values())
        count += 1
        progress(count, total)
    seconds = max(time.perf_counter() - begin, 1e-9)
    meter = stream.meter
    return Epoch(
        samples=samples,
        batches=count,
        seconds=seconds,
        samples_per_s=samples / seconds,
        mb_per_s=held / seconds / 1e6,
        first_batch_s=meter.first_batch_s,
        fetch=meter.fetch_s / seconds,
        decode=meter.decode_s / seconds,
        assemble=meter.assemble_s / seconds,
        wait=meter.wait_s / seconds,
        requests=meter.requests,
        fetched_bytes=meter.fetched,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
    )
