"""What the machine can do at most: fetch the published bytes, decode them, copy them.

Each is measured in a process of its own, in the run whose loaders it judges. No loader can be
quicker than fetching each stored byte once, or than decoding each chunk once.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obstore
from obstore.store import S3Store

from scidata.benchmarks.performance.peers import Job, library
from scidata.benchmarks.performance.peers.pools import Values
from scidata.benchmarks.performance.workloads import Workload

RANGE = 4 * 2**20
IN_FLIGHT = 16
THREADS = 2
ROUNDS = 5
MEASURED_BYTES = 2**29


def raw_get(job: Job) -> float:
    """Bytes a second of ranges of 4 MiB of the published objects, 16 in flight."""
    store = S3Store(
        job.bucket,
        endpoint=job.endpoint,
        region="us-east-1",
        skip_signature=True,
        client_options={"allow_http": True},
    )
    bucket = job.root / job.bucket
    files = [p for p in sorted((bucket / job.published).rglob("*")) if p.is_file()]
    ranges = [
        (str(file.relative_to(bucket)), at, min(RANGE, size - at))
        for file in files
        if (size := file.stat().st_size) > RANGE // 4
        for at in range(0, size, RANGE)
    ]
    wanted = ranges[: MEASURED_BYTES // RANGE]

    async def fetch() -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(key: str, start: int, length: int) -> None:
            async with gate:
                await obstore.get_range_async(store, key, start=start, length=length)

        await asyncio.gather(*(one(*part) for part in wanted))

    total = sum(length for _, _, length in wanted)
    return total / _best(lambda: asyncio.run(fetch()))


def decode(work: Workload, codec: str) -> float:
    """Return decoded bytes a second of the large array's chunks, in memory, on two threads."""
    _, block = next(work.blocks())
    values = block[next(iter(work.arrays))]
    chunks = _chunks(values, work.main.chunks)[:256]
    numcodecs = library("numcodecs")
    coder = {
        "zstd": numcodecs.Zstd(1),
        "blosc-lz4": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE),
        "none": None,
    }[codec]
    encoded = [chunk.copy() if coder is None else coder.encode(chunk) for chunk in chunks]
    out = [np.empty_like(chunk) for chunk in chunks]
    repeats = max(1, MEASURED_BYTES // 4 // sum(chunk.nbytes for chunk in chunks))

    def one(number: int) -> None:
        if coder is None:
            np.copyto(out[number], encoded[number])
        else:
            coder.decode(encoded[number], out[number])

    with ThreadPoolExecutor(THREADS) as pool:
        seconds = _best(lambda: list(pool.map(one, list(range(len(chunks))) * repeats)))
    return repeats * sum(chunk.nbytes for chunk in chunks) / seconds


def memcpy() -> float:
    """Bytes a second of one thread that copies 256 MiB."""
    source = np.ones(2**28, np.uint8)
    out = np.empty_like(source)
    return source.nbytes / _best(lambda: np.copyto(out, source))


def _chunks(values: Values, shape: tuple[int, ...]) -> list[Values]:
    """Cut whole chunks; those at the border, which are shorter, are left out."""
    counts = [length // size for length, size in zip(values.shape, shape, strict=True)]
    return [
        np.ascontiguousarray(
            values[tuple(slice(i * s, (i + 1) * s) for i, s in zip(at, shape, strict=True))]
        )
        for at in np.ndindex(*counts)
    ]


def _best(act: Callable[[], object]) -> float:
    """Return the median seconds of a few rounds, after one to warm up."""
    act()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[ROUNDS // 2]


if __name__ == "__main__":
    fields = json.loads(Path(sys.argv[1]).read_text())["job"]
    told = Job(**{**fields, "root": Path(fields["root"]), "cache": Path(fields["cache"])})
    found = {
        "raw_get": raw_get(told),
        "decode": decode(told.work, told.codec),
        "memcpy": memcpy(),
    }
    Path(sys.argv[2]).write_text(json.dumps(found))
