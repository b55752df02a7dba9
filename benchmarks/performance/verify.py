"""How fast `scidata verify` reads a local copy, beside the tools that people use today.

The tree holds 4 files of 256 MB and 20,000 of 50 KB (2 GB in all), from a fixed seed, as a
BagIt bag. Each round runs every contestant once, one after the other, so that a busy machine
slows all of them; figures are medians of the rounds, and ratios are medians of each round's
ratio. Files come from the page cache: nothing here measures a disk.

Run it with ``python benchmarks/performance/verify.py``; ``--size small`` takes seconds and says
only that everything works.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from scidata.hashing import hash_files
from scidata.manifest import MANIFEST, Manifest
from scidata.verifying import verify

SEED = 20
GROUP = 64
COMMAND = [sys.executable, "-c", "from scidata.cli import main; main()", "verify", "--quiet"]


@dataclass(frozen=True)
class Size:
    """How many files of how many bytes."""

    big: int
    big_bytes: int
    small: int
    small_bytes: int


SIZES = {
    "full": Size(4, 256_000_000, 20_000, 50_000),
    "small": Size(2, 4_000_000, 200, 50_000),
}


@dataclass(frozen=True)
class Goal:
    """scidata must be this many times as fast as a peer."""

    peer: str
    times: float


GOALS = (Goal("sha256sum -c", 5), Goal("bagit --processes 2", 2), Goal("grouped loop", 0.95))


def make_tree(folder: Path, size: Size) -> int:
    """Write the bag unless it is there; returns the payload's bytes."""
    total = size.big * size.big_bytes + size.small * size.small_bytes
    if (folder / "bagit.txt").exists():
        return total
    source = random.Random(SEED)  # noqa: S311 - not for secrets: the same bytes each time
    (folder / "data" / "big").mkdir(parents=True)
    for number in range(size.big):
        with (folder / f"data/big/{number}.bin").open("wb") as file:
            for _ in range(0, size.big_bytes, 1_000_000):
                file.write(source.randbytes(1_000_000))
    for number in range(size.small):
        path = folder / f"data/small/{number // 1000:02d}/{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(size.small_bytes))
    files = [(p.relative_to(folder).as_posix(), p) for p in (folder / "data").rglob("*.bin")]
    manifest = Manifest({key: digest for key, (digest, _) in hash_files(files).items()})
    facts = {"dataset": "speed", "version": "1.0.0", "digest": str(manifest.digest)}
    (folder / "meta").mkdir()
    (folder / "meta/facts.json").write_text(json.dumps({**facts, "bytes": total}))
    (folder / MANIFEST).write_bytes(manifest.text)
    declaration = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    (folder / "bagit.txt").write_text(declaration)
    tags = [MANIFEST, "bagit.txt", "meta/facts.json"]
    lines = [f"{hashlib.sha256((folder / t).read_bytes()).hexdigest()}  {t}\n" for t in tags]
    (folder / "tagmanifest-sha256.txt").write_text("".join(lines))
    return total


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


def measure(folder: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return seconds of each contestant in each round, and the median of its CPU seconds.

    One read beforehand warms the page cache. On a machine that does other work, too, CPU
    seconds say more than the clock.
    """
    plain_read(folder)
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    cpu: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            began, used = time.perf_counter(), sum(os.times()[:4])
            contestant(folder)
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(sum(os.times()[:4]) - used)
    return seconds, {name: statistics.median(values) for name, values in cpu.items()}


def peak_memory(folder: Path) -> int:
    """Return the peak resident memory of one ``scidata verify``, in bytes."""
    silent = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
    process = os.posix_spawn(
        sys.executable, [*COMMAND, str(folder)], os.environ, file_actions=silent
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit("scidata verify failed")
    return usage.ru_maxrss * 1024


def ratio(seconds: dict[str, list[float]], peer: str) -> float:
    """How many times as fast as the peer scidata is."""
    pairs = zip(seconds[peer], seconds["scidata"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def report(
    size: str,
    total: int,
    seconds: dict[str, list[float]],
    cpu: dict[str, float],
    memory: int,
) -> dict[str, object]:
    """Gather the figures as one document."""
    rows = {
        name: {
            "median_s": statistics.median(times),
            "min_s": min(times),
            "max_s": max(times),
            "cpu_s": cpu[name],
            "MB_per_s": total / statistics.median(times) / 1e6,
            "scidata_is_times_as_fast": ratio(seconds, name),
        }
        for name, times in seconds.items()
    }
    goals = [{**asdict(g), "reached": ratio(seconds, g.peer) >= g.times} for g in GOALS]
    return {
        "schema": "scidata-performance/1",
        "script": "verify",
        "size": size,
        "bytes": total,
        "rounds": len(seconds["scidata"]),
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "contestants": rows,
        "goals": goals,
        "peak_memory_bytes": memory,
    }


def print_table(document: dict[str, object]) -> None:
    """Print what a person wants to see of it."""
    rows = document["contestants"]
    assert isinstance(rows, dict)  # noqa: S101 - told to the type checker
    click.echo(
        f"{'contestant':<22}{'median s':>10}{'min':>8}{'max':>8}"
        f"{'CPU s':>8}{'MB/s':>8}{'ratio':>8}"
    )
    for name, row in rows.items():
        click.echo(
            f"{name:<22}{row['median_s']:>10.2f}{row['min_s']:>8.2f}{row['max_s']:>8.2f}"
            f"{row['cpu_s']:>8.2f}{row['MB_per_s']:>8.0f}{row['scidata_is_times_as_fast']:>8.2f}"
        )
    click.echo(f"peak memory {int(str(document['peak_memory_bytes'])) / 1e6:.0f} MB")


def main() -> None:
    """Make the tree, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--rounds", type=int, default=5, help="[default: 5]")
    parser.add_argument("--folder", type=Path, help="keep the tree here [default: temporary]")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scidata-verify-") as temporary:
        folder = options.folder or Path(temporary)
        total = make_tree(folder, SIZES[options.size])
        seconds, cpu = measure(folder, options.rounds)
        document = report(options.size, total, seconds, cpu, peak_memory(folder))
    if options.json:
        click.echo(json.dumps(document, indent=1))
    else:
        print_table(document)


if __name__ == "__main__":
    main()
