"""The loops that an array reader needs around it, with batches started ahead.

Two orders: ``global`` reads each sample of a random permutation by itself; ``pool`` reads a few
units that are stored together (scenes, shards, chunks of rows, series) and draws all their
samples in random order, which is what an expert writes by hand for these arrays.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scidata.benchmarks.performance.peers import Epochs, Terms, library
from scidata.benchmarks.performance.workloads import (
    CROP,
    CROPS_A_SCENE,
    STRIDE,
    WINDOW,
    Block,
    Workload,
)

AHEAD = 2
"""Batches, or pools, that are being read while one is used."""
UNIT = {"W1": 1, "W2": 256, "W3": 256, "W4": 1}
"""Entries of the first dimension that are read together."""
UNITS = {"W1": 2, "W2": 4, "W3": 64, "W4": 16}
"""Units in one pool."""

Selection = tuple[Any, ...]  # Any: an integer or a slice a dimension
Values = npt.NDArray[np.generic]
Start = Callable[[str, Sequence[Selection]], Callable[[], list[Values]]]
"""Start reading selections of an array; what is returned waits for them."""

TERMS = {
    "global": Terms(shuffle="global", workloads=("W1", "W2")),
    "pool": Terms(
        shuffle="pool of 2 scenes | pool of 1,024 | pool of 16,384 rows | pool of 16 series"
    ),
}


def open_pools(work: Workload, variant: str, start: Start, seed: int) -> Epochs:
    """Return the epochs of an array reader; small arrays are read once, whole."""
    small = {
        name: start(name, [(slice(None),)])()[0]
        for name, array in work.arrays.items()
        if array.shards is None
    }
    loop = _global if variant == "global" else _pools

    def epoch(number: int) -> Iterator[Any]:
        torch = library("torch")
        rng = np.random.default_rng([seed, number])
        for batch in loop(work, start, small, rng):
            yield {name: torch.from_numpy(values) for name, values in batch.items()}

    return epoch


def _global(
    work: Workload, start: Start, small: Block, rng: np.random.Generator
) -> Iterator[Block]:
    order = rng.permutation(work.samples)
    if work.name == "W1":
        order //= CROPS_A_SCENE
    groups = [order[at : at + work.batch] for at in range(0, len(order), work.batch)]
    large = [name for name in work.arrays if name not in small]

    def begin(group: npt.NDArray[np.int64]) -> Callable[[], Block]:
        places: list[tuple[int, ...]] = [(int(entry),) for entry in group]
        if work.name == "W1":
            places = [(entry, *_corner(work, rng)) for (entry,) in places]
        waiting = {name: start(name, [_at(name, p) for p in places]) for name in large}

        def finish() -> Block:
            batch = {name: np.stack(wait()) for name, wait in waiting.items()}
            return batch | {name: values[group] for name, values in small.items()}

        return finish

    yield from _ahead(map(begin, groups))


def _pools(
    work: Workload, start: Start, small: Block, rng: np.random.Generator
) -> Iterator[Block]:
    unit = UNIT[work.name]
    firsts = rng.permutation(np.arange(0, work.entries, unit))
    size = UNITS[work.name]
    groups = [firsts[at : at + size] for at in range(0, len(firsts), size)]
    large = [name for name in work.arrays if name not in small]

    def begin(group: npt.NDArray[np.int64]) -> Callable[[], Block]:
        parts = [slice(int(n), min(int(n) + unit, work.entries)) for n in group]
        waiting = {name: start(name, [(part,) for part in parts]) for name in large}

        def finish() -> Block:
            pool = {name: np.concatenate(wait()) for name, wait in waiting.items()}
            held = {name: np.concatenate([v[p] for p in parts]) for name, v in small.items()}
            return pool | held

        return finish

    left: Block = {}
    for pool in _ahead(map(begin, groups)):
        for batch in _drawn(work, pool, rng):
            whole = (
                batch if not left else {n: np.concatenate([left[n], batch[n]]) for n in batch}
            )
            left = {}
            for part in _cut(whole, work.batch):
                if len(next(iter(part.values()))) < work.batch:
                    left = part
                else:
                    yield part
    if left:
        yield left


def _cut(values: Block, size: int) -> Iterator[Block]:
    for at in range(0, len(next(iter(values.values()))), size):
        yield {name: array[at : at + size] for name, array in values.items()}


def _drawn(work: Workload, pool: Block, rng: np.random.Generator) -> Iterator[Block]:
    """Yield all samples of a pool in random order, a batch at a time."""
    entries = len(next(iter(pool.values())))
    a_pool = work.samples // work.entries * entries
    order = rng.permutation(a_pool)
    for at in range(0, a_pool, work.batch):
        chosen = order[at : at + work.batch]
        if work.name == "W1":
            places = [(int(n) // CROPS_A_SCENE, *_corner(work, rng)) for n in chosen]
            yield {n: np.stack([v[_at(n, p)] for p in places]) for n, v in pool.items()}
        elif work.name == "W4":
            count = a_pool // entries
            windows = np.lib.stride_tricks.sliding_window_view(pool["series"], WINDOW, axis=1)
            found = windows[:, ::STRIDE][chosen // count, chosen % count]
            yield {"series": np.ascontiguousarray(found.swapaxes(1, 2))}
        else:
            yield {name: values[chosen] for name, values in pool.items()}


def _corner(work: Workload, rng: np.random.Generator) -> tuple[int, int]:
    height, width = work.main.shape[-2:]
    return int(rng.integers(0, height - CROP + 1)), int(rng.integers(0, width - CROP + 1))


def _at(name: str, place: tuple[int, ...]) -> Selection:
    if len(place) == 1:
        return place
    entry, y, x = place
    window = (slice(y, y + CROP), slice(x, x + CROP))
    return (entry, *window) if name == "mask" else (entry, slice(None), *window)


def _ahead(started: Iterator[Callable[[], Block]]) -> Iterator[Block]:
    waiting = deque(itertools.islice(started, AHEAD))
    while waiting:
        finish = waiting.popleft()
        yield finish()
        waiting.extend(itertools.islice(started, 1))
