"""Measure one loader on one workload, in a fresh process of the loader's own environment.

Run as ``python -m … ORDER.json OUT.jsonl``; a line is added after each epoch, so that a process
that is ended leaves what it measured. Needs torch and numpy, and what the loader needs.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from scidata.benchmarks.performance.meters import peak_bytes, read
from scidata.benchmarks.performance.peers import Epochs, Job
from scidata.benchmarks.performance.sameness import differing


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do: prepare the loader's own format, or measure."""

    job: Job
    prepare: bool
    epochs: int
    epoch_s: float
    """An epoch that takes longer is left; its figures are those of its part."""
    servers: tuple[int, ...] = ()
    status_url: str | None = None

    def to_json(self) -> str:
        """Write it for the process."""
        return json.dumps(asdict(self), default=str)


def read_order(text: str) -> Order:
    """Read what `Order.to_json` wrote."""
    fields = json.loads(text)
    job = fields.pop("job")
    paths = {name: Path(job[name]) for name in ("root", "cache")}
    return Order(job=Job(**{**job, **paths}), **fields)


def measure(order: Order, peer: Any, out: Path) -> None:  # Any: a module of `peers`
    """Run the epochs and add a line for each. Opening is part of the first one.

    Raises
    ------
    ValueError
        If one more epoch, which is not measured, has not the workload's own samples.
    """
    import_module("torch")
    epochs: Epochs | None = None
    for number in range(order.epochs):
        before, began = read(order.servers, order.status_url), time.perf_counter()
        if epochs is None:
            epochs = peer.open_epochs(order.job)
        line = _epoch(epochs, number, began, began + order.epoch_s)
        spent = read(order.servers, order.status_url).since(before)
        work = order.job.work
        wanted = {"wanted": work.samples, "wanted_bytes": work.samples * work.sample_bytes}
        row = {"epoch": number, **wanted, **line, **spent}
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
    if epochs is not None:
        said = differing(order.job.work, epochs(order.epochs), limit_s=order.epoch_s)
        if said:
            raise ValueError(said)


def _epoch(
    epochs: Epochs, number: int, began: float, deadline: float
) -> dict[str, float | int | bool]:
    first_s, samples, size, whole = 0.0, 0, 0, True
    for batch in epochs(number):
        now = time.perf_counter()
        first_s = first_s or now - began
        tensors = list(leaves(batch))
        samples += len(tensors[0])
        size += sum(tensor.nbytes for tensor in tensors)
        if now > deadline:
            whole = False
            break
    return {
        "seconds": time.perf_counter() - began,
        "first_batch_s": first_s,
        "samples": samples,
        "bytes": size,
        "whole": whole,
        "peak_bytes": peak_bytes(),
    }


def leaves(batch: Any) -> Iterator[Any]:  # Any: nested tensors, each loader's own
    """Yield the tensors and arrays of a batch."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, list | tuple):
        for part in batch:
            yield from leaves(part)
    elif hasattr(batch, "nbytes"):
        yield batch


def main() -> None:
    """Do what the order says."""
    order = read_order(Path(sys.argv[1]).read_text())
    peer = import_module(f"scidata.benchmarks.performance.peers.{order.job.peer}")
    if order.prepare:
        peer.prepare(order.job)
    else:
        measure(order, peer, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
