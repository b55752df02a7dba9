"""How fast `scidata verify` reads a local copy, beside the tools that people use today.

The tree holds 4 files of 256 MB and 20,000 of 50 KB (2 GB in all), as a BagIt bag. Each round
runs every contestant once, one after the other, so that a busy machine slows all of them;
figures are medians of the rounds, and ratios are medians of each round's ratio. Files come from
the page cache; with ``--cold`` they are dropped from it before each contestant, and come from
the disk. Beside the contestants stands the floor: sha256 of as many bytes that are in memory
already, and reading alone, each in two threads. Goals: 5 times ``sha256sum -c``, 2 times bagit,
0.95 of a loop by hand, less than 300 MB; cold, 0.9 of the plain read.

Run it with ``python benchmarks/performance/verify.py``; it ends with 1 if a goal is missed.
``--size small`` takes seconds and says only that everything works.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click

from scidata.benchmarks.performance.floor import GROUP, drop_cached, hashing, reading
from scidata.benchmarks.performance.goals import Goal, beneath, conclude, machine
from scidata.benchmarks.performance.tree import SIZES, Size, make_bag
from scidata.manifest import MANIFEST
from scidata.verifying import verify

COMMAND = [sys.executable, "-c", "from scidata.cli import main; main()", "verify", "--quiet"]
TIMES = {"sha256sum -c": 5.0, "bagit --processes 2": 2.0, "grouped loop": 0.95}
COLD_TIMES = {"plain read": 0.9}
MEMORY_MB = 300
FLOOR = ("sha256 in memory", "reading alone")
Seconds = dict[str, list[float]]


def scidata_library(folder: Path) -> None:
    """`scidata.verify`, full: every byte, names, extra files, tag files."""
    if not verify(folder).sound:
        raise SystemExit("scidata finds the tree damaged")


def scidata_command(folder: Path) -> None:
    """Do the same from the command line, with the start of Python."""
    run([*COMMAND, str(folder)], folder)


def sha256sum(folder: Path) -> None:
    """GNU coreutils."""
    run(["sha256sum", "--quiet", "-c", MANIFEST], folder)


def bagit(folder: Path) -> None:
    """bagit-python with two processes."""
    options = ["--validate", "--quiet", "--processes", "2"]
    run([sys.executable, "-m", "bagit", *options, str(folder)], folder)


def plain_read(folder: Path) -> None:
    """Read everything and look at nothing: the limit."""
    run(["sh", "-c", "find data -type f -print0 | xargs -0 cat"], folder)


def run(command: list[str], folder: Path) -> None:
    """Run a program to its end, unheard."""
    subprocess.run(  # noqa: S603 - the commands above
        command,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def grouped_loop(folder: Path) -> None:
    """Do it by hand: hashlib, two threads, 64 small files a task."""
    lines = [line.split("  ", 1) for line in (folder / MANIFEST).read_text().splitlines()]
    top = f"{folder}/"
    big = [[line] for line in lines if "/big/" in line[1]]
    small = [line for line in lines if "/big/" not in line[1]]
    groups = big + [small[i : i + GROUP] for i in range(0, len(small), GROUP)]

    def check(group: list[list[str]]) -> None:
        for expected, path in group:
            with open(top + path, "rb", buffering=0) as file:  # noqa: PTH123 - quicker
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise SystemExit(path)

    def check_small(group: list[list[str]]) -> None:
        for expected, path in group:
            with open(top + path, "rb", buffering=0) as file:  # noqa: PTH123 - quicker
                if hashlib.sha256(file.read()).hexdigest() != expected:
                    raise SystemExit(path)

    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(check if len(g) == 1 else check_small, g) for g in groups]
        for future in work:
            future.result()


CONTESTANTS: dict[str, Callable[[Path], None]] = {
    "scidata": scidata_library,
    "scidata command": scidata_command,
    "grouped loop": grouped_loop,
    "bagit --processes 2": bagit,
    "sha256sum -c": sha256sum,
    "plain read": plain_read,
}
COLD = ("scidata", "grouped loop", "plain read")
PEAK = """
import re
from pathlib import Path
from scidata.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def measure(folder: Path, size: Size, rounds: int, *, cold: bool) -> tuple[Seconds, Seconds]:
    """Return seconds and CPU seconds of each contestant in each round.

    On a machine that does other work, too, CPU seconds say more than the clock.
    """
    calls: dict[str, Callable[[], None]] = {
        name: partial(call, folder) for name, call in CONTESTANTS.items()
    }
    if cold:
        calls = {name: calls[name] for name in COLD}
    else:
        calls |= zip(FLOOR, (hashing(size), reading(folder)), strict=True)
        plain_read(folder)  # warms the page cache
    seconds: Seconds = {name: [] for name in calls}
    cpu: Seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if cold:
                drop_cached(folder)
            began, used = time.perf_counter(), sum(os.times()[:4])
            call()
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(sum(os.times()[:4]) - used)
    return seconds, cpu


def peak_memory(folder: Path) -> int:
    """Return the peak resident memory of one ``scidata verify``, in bytes.

    The kernel's own mark of that process: what ``wait4`` tells is at least its parent's.
    """
    command = [sys.executable, "-c", PEAK, "verify", "--quiet", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return int(done.stdout.split()[-1]) * 1024


def ratio(seconds: Seconds, peer: str) -> float:
    """How many times as fast as the peer scidata is."""
    pairs = zip(seconds[peer], seconds["scidata"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def goals(seconds: Seconds, memory: int, *, cold: bool) -> list[Goal]:
    """Judge the figures."""
    floor = sum(statistics.median(seconds[name]) for name in FLOOR if name in seconds)
    found = [
        Goal(
            name=f"as fast as {peer}",
            found=ratio(seconds, peer),
            sense="at least",
            limit=times,
            unit="times",
            why=beneath(statistics.median(seconds[peer]) / times, floor, "reading and hashing"),
        )
        for peer, times in (COLD_TIMES if cold else TIMES).items()
    ]
    memory_goal = Goal(
        name="peak memory", found=memory / 1e6, sense="less than", limit=MEMORY_MB, unit="MB"
    )
    return [*found, memory_goal]


def rows(total: int, seconds: Seconds, cpu: Seconds) -> dict[str, Any]:  # Any: JSON
    """Gather the figures of each contestant and of the floor."""
    return {
        name: {
            "median_s": statistics.median(times),
            "min_s": min(times),
            "max_s": max(times),
            "cpu_s": statistics.median(cpu[name]),
            "MB_per_s": total / statistics.median(times) / 1e6,
            "scidata_is_times_as_fast": ratio(seconds, name),
        }
        for name, times in seconds.items()
    }


def print_table(document: dict[str, Any]) -> None:  # Any: JSON
    """Print what a person wants to see of it."""
    click.echo(
        f"{'':<22}{'median s':>10}{'min':>8}{'max':>8}{'CPU s':>8}{'MB/s':>8}{'ratio':>8}"
    )
    for name, row in document["contestants"].items():
        click.echo(
            f"{name:<22}{row['median_s']:>10.2f}{row['min_s']:>8.2f}{row['max_s']:>8.2f}"
            f"{row['cpu_s']:>8.2f}{row['MB_per_s']:>8.0f}{row['scidata_is_times_as_fast']:>8.2f}"
        )


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--rounds", default=5, show_default=True, help="How often each runs.")
@click.option("--cold", is_flag=True, help="Drop the files from the page cache each time.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the tree here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, size: str, rounds: int, cold: bool, folder: Path | None, as_json: bool) -> None:
    """Make the tree, measure, print, and fail if a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="scidata-verify-") as temporary:
        tree = (folder or Path(temporary)).absolute()
        make_bag(tree, SIZES[size])
        seconds, cpu = measure(tree, SIZES[size], rounds, cold=cold)
        memory = peak_memory(tree)
    judged = goals(seconds, memory, cold=cold)
    document = {
        "schema": "scidata-performance/2",
        "script": "verify",
        "size": size,
        "cold": cold,
        "bytes": SIZES[size].total,
        "rounds": rounds,
        **machine(),
        "contestants": rows(SIZES[size].total, seconds, cpu),
        "goals": [goal.document() for goal in judged],
        "peak_memory_bytes": memory,
    }
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo(f"{document['cpu']}, {document['cpus']} CPUs")
        print_table(document)
    conclude(judged, quiet=as_json, judged=size == "full")


if __name__ == "__main__":
    main()
