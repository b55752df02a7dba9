"""How long a manifest of a million files takes, and how much memory.

One process writes a manifest from digests in hand, digests it, parses it and compares it with
one of another version, in which one file in a hundred differs. Seconds are of the clock; the
memory is the peak of the process, with everything loaded, the two manifests and the digests
that they came from included. Goal: less than 5 s and 1 GB for all of that.

Then it writes and reads the index of sizes (``manifest.parquet``), of which it states time and
peak memory apart, and parses a manifest whose names need a second look. Run it with
``python benchmarks/performance/manifest.py``; ``--files 10000`` says only that it works.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from scidata.digest import Digest
from scidata.facts import Asset, Facts
from scidata.formats.manifest_table import to_parquet
from scidata.manifest import Manifest
from scidata.manifest_index import parse_index

GOAL_S = 5
GOAL_BYTES = 10**9
CHANGED = 100
"""One file in so many differs between the two versions."""

T = TypeVar("T")


def digests(count: int, salt: bytes = b"") -> dict[str, Digest]:
    """Make paths and digests as a sharded array store has them, in no order of theirs."""
    return {
        f"data/grid.zarr/temperature/c/{n // 1000:04d}/{n:07d}": Digest(
            hashlib.sha256(b"%d" % n + (salt if n % CHANGED == 0 else b"")).hexdigest()
        )
        for n in reversed(range(count))
    }


def describe(count: int) -> Facts:
    """Return the facts of such a version, as far as the index needs them."""
    asset = Asset(
        key="grid",
        kind="zarr",
        media_type="application/vnd.zarr",
        path="data/grid.zarr",
        files=count,
        bytes=count,
        sha256="0" * 64,
    )
    return Facts(
        dataset="speed",
        version="1.1.0",
        digest="sha256:" + "0" * 64,
        files=count,
        bytes=count,
        created="2026-01-01T00:00:00Z",
        assets=(asset,),
    )


def changes(before: Manifest, after: Manifest) -> int:
    """Count the files that were added, removed or changed."""
    old, new = before.hexes, after.hexes
    changed = sum(old.get(path) != value for path, value in new.items())
    return changed + sum(path not in new for path in old)


def measure(count: int) -> dict[str, float]:
    """Return the seconds of each step with the manifest."""
    clock = Clock()
    before = Manifest.parse(Manifest(digests(count)).text)
    # Objects made for a call alone, so that nothing else keeps them: memory counts, too.
    written = clock.time("construct", Manifest, digests(count, b"changed"))
    text = clock.time("write", lambda manifest: manifest.text, written)
    digest = clock.time("digest", lambda manifest: manifest.digest, written)
    del written
    parsed = clock.time("parse", Manifest.parse, text)
    if digest != Digest.of(text) or parsed.digest != digest:
        raise SystemExit("the manifest does not survive the round trip")
    del text
    if clock.time("diff", changes, before, parsed) != -(-count // CHANGED):
        raise SystemExit("the comparison misses changes")
    return clock.seconds


def measure_apart(count: int) -> dict[str, float]:
    """Return the seconds of steps that the goal does not speak of."""
    clock = Clock()
    manifest = Manifest(digests(count))
    sizes = dict.fromkeys(manifest, 1)
    table = clock.time("write index", to_parquet, manifest, sizes, describe(count), {})
    index = clock.time("read index", lambda data: parse_index(data, where="here"), table)
    if index.hexes != manifest.hexes or index.sizes != sizes:
        raise SystemExit("the index says something else than the manifest")
    del index, table
    # Each block holds a name that takes a second look, and no path is without blanks.
    names = (f"data/a b/config/{n:07d}{'' if n % 1000 else '/THUMBS.DB'}" for n in range(count))
    text = "".join([f"{'0' * 64}  {name}\n" for name in names]).encode()
    clock.time("parse odd names", Manifest.parse, text)
    return clock.seconds


def peak() -> int:
    """Return the most memory that this process ever held, in bytes.

    Not `ru_maxrss`: that may count what held the memory before this program was started in it.
    """
    told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if told is None:
        raise SystemExit("this system does not say how much memory a process held")
    return int(told[1]) * 1024


class Clock:
    """Keeps the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, step: Callable[..., T], *arguments: object) -> T:
        """Take a step, and note how long it took."""
        began = time.perf_counter()
        result = step(*arguments)
        self.seconds[name] = time.perf_counter() - began
        return result


@click.command()
@click.option("--files", default=1_000_000, show_default=True, help="Lines of the manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, files: int, as_json: bool) -> None:
    """Measure and print; fail if the goal is missed."""
    seconds = measure(files)
    memory = peak()
    total = sum(seconds.values())
    apart = measure_apart(files)
    reached = total < GOAL_S and memory < GOAL_BYTES
    if as_json:
        document = {
            "schema": "scidata-performance/1",
            "script": "manifest",
            "files": files,
            "seconds": seconds,
            "total_s": total,
            "peak_memory_bytes": memory,
            "apart": {"seconds": apart, "peak_memory_bytes": peak()},
            "load": os.getloadavg(),
            "goal": {"seconds": GOAL_S, "bytes": GOAL_BYTES, "reached": reached},
        }
        click.echo(json.dumps(document, indent=1))
    else:
        for name, value in seconds.items():
            click.echo(f"{name:<16}{value:>8.2f} s")
        click.echo(f"{'all':<16}{total:>8.2f} s, peak {memory / 1e6:,.0f} MB, {files:,} files")
        for name, value in apart.items():
            click.echo(f"{name:<16}{value:>8.2f} s, apart")
        click.echo(f"{'with these':<16}{'':>10}  peak {peak() / 1e6:,.0f} MB")
    if not reached:
        raise SystemExit(f"missed: the goal is {GOAL_S} s and {GOAL_BYTES / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
