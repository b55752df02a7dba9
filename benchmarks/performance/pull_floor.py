"""What a pull of few large files is made of: the same bytes, with less done to them.

Eight files of 250 MB lie in a version that nginx serves as a bucket on loopback. One after the
other: `scidata pull`; s5cmd, which neither compares nor flushes; and eight threads of plain
Python that read ranges by obstore and write them, with and without sha256. The threads start no
program, find no version and flush nothing, so nobody who compares can be faster. Seconds, and
CPU seconds of the program and of the kernel for it, are medians of the rounds.

Needs nginx, rclone and s5cmd. Run it with ``python benchmarks/performance/pull_floor.py``;
``--size small`` takes seconds and says only that everything works. No goal: that of the pull is
in ``transfer.py``.
"""

import hashlib
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click
import obstore
import obstore.store

from scidata.benchmarks.performance.transfer import (
    SIZES,
    commands,
    memory_at_hand,
    seconds,
    serving,
    write_staged,
)
from scidata.publishing import publish

BUCKET = "scidata"
PREFIX = "speed/v1.0.0/data"
RANGE = 4 * 2**20
PIECE = 64 << 10
"""Bytes of a range, and of what is written and hashed in turns: as `scidata pull` has them."""
THREADS = 8
Took = tuple[float, float, float]
"""Seconds, CPU seconds of the program, and of the kernel."""
Act = Callable[[], Took]


def bare(endpoint: str, out: Path, names: list[str], each: int, *, hashed: bool) -> Took:
    """Read files by ranges and write them, in threads of this process."""
    store = obstore.store.S3Store(
        BUCKET,
        prefix=PREFIX,
        config={"aws_endpoint_url_s3": endpoint, "region": "us-east-1", "skip_signature": True},
        client_options={"allow_http": True},
    )
    out.mkdir()

    def bring(name: str) -> None:
        value = hashlib.sha256()
        with (out / name).open("wb", buffering=0) as file:
            for start in range(0, each, RANGE):
                end = min(start + RANGE, each)
                data = memoryview(obstore.get_range(store, name, start=start, end=end))
                for at in range(0, len(data), PIECE):
                    piece = data[at : at + PIECE]
                    file.write(piece)
                    if hashed:
                        value.update(piece)

    os.sync()
    with memory_at_hand(), ThreadPoolExecutor(THREADS) as pool:
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        list(pool.map(bring, names))
        took = time.perf_counter() - began
    return took, *_cpu(resource.RUSAGE_SELF, before)


def program(command: list[str], endpoint: str) -> Took:
    """Run a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds(command, endpoint), *_cpu(resource.RUSAGE_CHILDREN, before)


def _cpu(whose: int, before: resource.struct_rusage) -> tuple[float, float]:
    after = resource.getrusage(whose)
    return after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="How often each runs.")
def main(*, size: str, rounds: int) -> None:
    """Measure and print."""
    large, each, _ = SIZES[size]
    found: dict[str, list[Took]] = {}
    with tempfile.TemporaryDirectory(prefix="scidata-pull-") as temporary:
        folder = Path(temporary)
        staged, out = folder / "staged", folder / "out"
        write_staged(staged, large=large, each=each, small=0)
        publish(staged, folder / "served" / BUCKET, version="1.0.0")
        names = sorted(path.name for path in (staged / "data").iterdir())
        shutil.rmtree(staged)
        with serving(folder / "served") as (_writer, endpoint):
            pulls = {n: c["pull"] for n, c in commands(endpoint, staged, BUCKET, out).items()}
            peer = [*pulls["s5cmd"][:-2], f"s3://{BUCKET}/{PREFIX}/*", f"{out}/"]
            acts: dict[str, Act] = {
                "scidata pull": partial(program, pulls["scidata"], endpoint),
                "s5cmd": partial(program, peer, endpoint),
                "threads": partial(bare, endpoint, out, names, each, hashed=False),
                "and sha256": partial(bare, endpoint, out, names, each, hashed=True),
            }
            for _ in range(rounds):
                for title, act in acts.items():
                    found.setdefault(title, []).append(act())
                    shutil.rmtree(out)
    for title, took in found.items():
        wall, user, kernel = (statistics.median(column) for column in zip(*took, strict=True))
        all_of_them = ", ".join(f"{one[0]:.2f}" for one in took)
        click.echo(
            f"{title:12} {wall:5.2f} s ({all_of_them})  CPU: {user:.2f} and {kernel:.2f} s"
        )


if __name__ == "__main__":
    main()
