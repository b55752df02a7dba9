"""How long it takes to publish a delta, beside the full version that it continues.

20,000 files of 5 KB in 100 folders; one of a hundred changes. Three rounds into a folder, each
with a new store: the full version is published, then the delta. Requests are what the store is
asked for; bytes are payload that is sent. Goal: less than 5 % of the time of the full version.

Run it with ``python benchmarks/performance/delta.py``; ``--size small`` takes seconds and says
only that everything works.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from scidata.benchmarks.performance.records import RANDOM_BYTES
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.publishing.remembered import SETTLED_NS
from scidata.storage import open_store

GOAL = 0.05
BYTES = 5_000
FOLDERS = 100
ROUNDS = 3
SIZES = {"full": 20_000, "small": 400}
CHANGED = 100
"""One of so many files changes."""


class Counted:
    """A store that counts what it is asked for, and the payload that it is sent."""

    def __init__(self, url: str) -> None:
        self._store = open_store(url)
        self.requests: Counter[str] = Counter()
        self.bytes: list[int] = []

    def __getattr__(self, name: str) -> Any:  # Any: whatever the store has
        found = getattr(self._store, name)
        if not callable(found) or name == "objects":
            return found

        def call(*arguments: Any, **options: Any) -> Any:  # Any: passed on
            self.requests[name] += 1
            if name == "create" and isinstance(arguments[1], Path):
                self.bytes.append(arguments[1].stat().st_size)
            return found(*arguments, **options)

        return call


def write(folder: Path, count: int) -> None:
    """Stage the files, written long enough ago to be remembered."""
    for number in range(count):
        path = folder / "data/many" / f"{number % FOLDERS:03d}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(BYTES))
    (folder / "record.yaml").write_text(RANDOM_BYTES)
    time.sleep(2 * SETTLED_NS / 10**9)


def timed(staged: Path, url: str, version: str, options: PublishOptions) -> dict[str, Any]:
    """Publish and say how long it took."""
    store: Any = Counted(url)  # Any: a store by its methods
    begun = time.perf_counter()
    done = publish(staged, store, version=version, options=options)
    return {
        "seconds": round(time.perf_counter() - begun, 3),
        "requests": dict(sorted(store.requests.items())),
        "bytes": sum(store.bytes),
        "uploaded": done.uploaded,
        "new_bytes": done.commit.new_bytes,
    }


@click.command()
@click.option("--size", type=click.Choice(sorted(SIZES)), default="full")
@click.option("--rounds", default=ROUNDS, show_default=True)
def main(*, size: str, rounds: int) -> None:
    """Publish full versions and deltas of them, and compare."""
    count = SIZES[size]
    found = []
    with tempfile.TemporaryDirectory(prefix="delta-") as name:
        folder = Path(name)
        around = Surroundings(memory=folder / "state/stores.json")
        write(folder / "staged", count)
        for number in range(rounds):
            url = str(folder / f"store-{number}")
            options = PublishOptions(layout="full", rehash=True, surroundings=around)
            full = timed(folder / "staged", url, "1.0.0", options)
            for changed in range(0, count, CHANGED):
                path = folder / f"staged/data/many/{changed % FOLDERS:03d}/{changed}.bin"
                path.write_bytes(os.urandom(BYTES))
            options = PublishOptions(layout="delta", surroundings=around)
            delta = timed(folder / "staged", url, "1.0.1", options)
            found.append({"full": full, "delta": delta})
            shutil.rmtree(url)
    ratio = statistics.median(f["delta"]["seconds"] / f["full"]["seconds"] for f in found)
    report = {"files": count, "ratio": round(ratio, 4), "goal": GOAL, "rounds": found}
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    if size == "full" and ratio > GOAL:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
