"""Whether what a loader yields is the workload: its samples, bit for bit.

Formats give samples no ids that outlive a shuffle, so a sample is known by its own bytes: those
of an epoch that come from the workload's first block are looked up there. Needs numpy alone.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from scidata.benchmarks.performance.workloads import CROP, STRIDE, WINDOW, Block, Workload

ENOUGH = 3
"""Samples of the first block that are found before an epoch is left."""
KEY_BYTES = 64
"""Of the large array: by these a sample is looked up, before all of it is compared."""
Known = Callable[[Block], bool]


def differing(work: Workload, batches: Iterable[Any], *, limit_s: float) -> str:
    """Say that samples of the workload's first block did not come; empty if they did.

    Parameters
    ----------
    work : Workload
    batches : iterable of dictionaries of tensors or arrays
        Of one epoch; left as soon as `ENOUGH` samples were found.
    limit_s : float
        Seconds after which the epoch is left all the same.
    """
    _, block = next(iter(work.blocks()))
    known = _in_crops(block) if work.name == "W1" else _in_rows(work, block)
    deadline, found = time.perf_counter() + limit_s, 0
    for batch in batches:
        if lacking := [name for name in work.arrays if name not in batch]:
            return f"its batches lack {', '.join(lacking)}"
        for sample in _samples(work, batch):
            found += known(sample)
            if found == ENOUGH:
                return ""
        if time.perf_counter() > deadline:
            break
    return f"{found} samples are those of the first block, bit for bit, instead of {ENOUGH}"


def _samples(work: Workload, batch: Any) -> Iterator[Block]:  # Any: each loader's own
    arrays = {name: np.asarray(batch[name]) for name in work.arrays}
    for n in range(len(next(iter(arrays.values())))):
        yield {name: values[n] for name, values in arrays.items()}


def _in_rows(work: Workload, block: Block) -> Known:
    """Know samples that are entries, or windows of entries."""
    held: dict[bytes, list[Block]] = {}
    large = next(iter(work.arrays))
    for sample in _windows(block) if work.name == "W4" else _entries(block):
        held.setdefault(_key(sample[large]), []).append(sample)

    def known(sample: Block) -> bool:
        return any(_same(sample, other) for other in held.get(_key(sample[large]), ()))

    return known


def _entries(block: Block) -> Iterator[Block]:
    for values in zip(*block.values(), strict=True):
        yield dict(zip(block, values, strict=True))


def _windows(block: Block) -> Iterator[Block]:
    for series in block["series"]:
        for at in range(0, len(series) - WINDOW + 1, STRIDE):
            yield {"series": series[at : at + WINDOW]}


def _in_crops(block: Block) -> Known:
    """Know samples that are a piece of a scene, wherever it was cut."""
    scenes, masks = block["radiance"], block["mask"]

    def known(sample: Block) -> bool:
        first = sample["radiance"][0, 0, :2]
        plane = scenes[:, 0, : 1 - CROP, : 1 - CROP]
        right = scenes[:, 0, : 1 - CROP, 1 : 2 - CROP]
        for n, y, x in np.argwhere((plane == first[0]) & (right == first[1])):
            at = np.s_[y : y + CROP, x : x + CROP]
            piece = {"radiance": scenes[n][:, *at], "mask": masks[n][at]}
            if _same(sample, piece):
                return True
        return False

    return known


def _key(values: Any) -> bytes:  # Any: numpy's
    return np.ascontiguousarray(values).reshape(-1)[:KEY_BYTES].tobytes()[:KEY_BYTES]


def _same(one: Block, other: Block) -> bool:
    return all(np.asarray(one[name]).tobytes() == other[name].tobytes() for name in other)
