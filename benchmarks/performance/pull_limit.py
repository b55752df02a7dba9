"""What plain requests allow whoever pulls a few large files, beside `scidata pull` and s5cmd.

``curl`` fetches to nowhere. Two loops of plain Python, eight threads each, fetch ranges and
write them, the second one with a sha256 of each file: no program starts, nothing is flushed.
The server and the files are those of ``transfer.py``; one bucket, published once, is read by
all. Figures are medians of the clock, and of the CPU seconds of the program and of the kernel
on its behalf; the server, which shares the machine, is not counted.

Needs nginx, rclone, s5cmd and curl. Run it with ``python
benchmarks/performance/pull_limit.py``; ``--size small`` takes seconds and says only that
everything works.
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
from pathlib import Path

import click
import obstore
from obstore.store import S3Store

from scidata.benchmarks.performance.transfer import (
    KEY,
    SIZES,
    commands,
    memory_at_hand,
    seconds,
    serving,
    tool,
    write_staged,
)

BUCKET = "scidata"
PREFIX = "speed/v1.0.0/data/"
THREADS = 8
RANGE = 8 * 2**20
Figures = tuple[float, float, float]
"""Seconds by the clock, and of CPU: the program's, the kernel's."""


def fetch(store: S3Store, name: str, size: int, out: Path, *, hashed: bool) -> None:
    """Fetch a file range by range, and write each."""
    digest = hashlib.sha256()
    with (out / name).open("wb") as file:
        for start in range(0, size, RANGE):
            length = min(RANGE, size - start)
            block = obstore.get_range(store, PREFIX + name, start=start, length=length)
            file.write(block)
            if hashed:
                digest.update(block)


def loop(endpoint: str, sizes: dict[str, int], out: Path, *, hashed: bool) -> Figures:
    """Fetch all files in threads of this process."""
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=KEY,
        secret_access_key=KEY,
        region="us-east-1",
        client_options={"allow_http": True},
    )

    def call() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda n: fetch(store, n, sizes[n], out, hashed=hashed), sizes))
        return time.perf_counter() - began

    os.sync()
    with memory_at_hand():
        return _figures(resource.RUSAGE_SELF, call)


def _figures(whose: int, call: Callable[[], float]) -> Figures:
    before = resource.getrusage(whose)
    clock = call()
    after = resource.getrusage(whose)
    return clock, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


def contestants(
    endpoint: str, sizes: dict[str, int], staged: Path, out: Path
) -> dict[str, Callable[[], Figures]]:
    """Return what is measured, by name."""

    def program(command: list[str]) -> Callable[[], Figures]:
        return lambda: _figures(resource.RUSAGE_CHILDREN, lambda: seconds(command, endpoint))

    urls = [f"{endpoint}/{BUCKET}/{PREFIX}{name}" for name in sizes]
    nowhere = [piece for url in urls for piece in ("-o", os.devnull, url)]
    s5cmd = [tool("s5cmd"), "--log", "error", "--endpoint-url", endpoint, "cp"]
    return {
        "curl -Z, to nowhere": program([tool("curl"), "-sfZ", *nowhere]),
        "s5cmd": program([*s5cmd, f"s3://{BUCKET}/{PREFIX}*", f"{out}/"]),
        "a loop of Python, written": lambda: loop(endpoint, sizes, out, hashed=False),
        "the same, and hashed": lambda: loop(endpoint, sizes, out, hashed=True),
        "scidata pull": program(commands(endpoint, staged, BUCKET, out)["scidata"]["pull"]),
    }


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="How often each runs.")
def main(*, size: str, rounds: int) -> None:
    """Measure and print."""
    large, each, _ = SIZES[size]
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="scidata-limit-") as temporary:
        folder = Path(temporary)
        out = folder / "out"
        staged = write_staged(folder / "staged", large=large, each=each, small=0)
        sizes = {path.name: path.stat().st_size for path in (staged / "data").iterdir()}
        (folder / "served" / BUCKET).mkdir(parents=True)
        with serving(folder / "served") as (write, read):
            seconds(commands(write, staged, BUCKET, out)["scidata"]["publish"], write)
            for _ in range(rounds):
                for name, measure in contestants(read, sizes, staged, out).items():
                    if name != "scidata pull":  # it makes its folder itself
                        out.mkdir()
                    found.setdefault(name, []).append(measure())
                    shutil.rmtree(out)
    click.echo(f"{'':28}{'clock':>8}{'program':>9}{'kernel':>8}")
    for name, figures in found.items():
        clock, program, kernel = (
            statistics.median(column) for column in zip(*figures, strict=True)
        )
        click.echo(f"{name:28}{clock:8.2f}{program:9.2f}{kernel:8.2f}")


if __name__ == "__main__":
    main()
