"""How fast `scidata verify` reads a version in S3, beside a client that only fetches it.

nginx serves the tree of ``verify.py`` (4 files of 256 MB, 20,000 of 50 KB) as a bucket on
loopback. Each round verifies it, and fetches the same objects without a look at them: with the
same client, as many at once, and with as many threads that know nothing but http. Goal: at
least 0.85 of each; ratios are medians of each round's. Client and server share the processor,
so hashing takes from the server, too: beside them stands sha256 of as many bytes that are in
memory already, in two threads.

Run it with ``python benchmarks/performance/verify_remote.py``; it ends with 1 if a goal is
missed. ``--size small`` takes seconds and says only that everything works.
"""

import http.client
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import local
from urllib.parse import urlsplit

import click
import obstore

from scidata.benchmarks.performance.floor import hashing
from scidata.benchmarks.performance.goals import Goal, beneath, conclude, machine
from scidata.benchmarks.performance.records import RANDOM_BYTES
from scidata.benchmarks.performance.server import serving
from scidata.benchmarks.performance.tree import SIZES, Size, make_payload
from scidata.parallel import ONE_REQUEST, REQUESTS
from scidata.publishing import publish
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.verifying import verify

GOAL = 0.85
SAME, PLAIN, HASHING = "fetch, same client", "fetch, plain http", "sha256 in memory"
PREFIX = "speed/v1.0.0/"
BLOCK = 2**20
Sizes = dict[str, int]
Call = Callable[[], None]


def make_store(folder: Path, size: Size) -> None:
    """Publish the tree in a folder that is a store, unless that was done."""
    if (folder / "bucket/speed/versions/1.0.0.json").exists():
        return
    staged = folder / "staged"
    make_payload(staged, size)
    (staged / "record.yaml").write_text(RANDOM_BYTES)
    publish(staged, folder / "bucket", version="1.0.0")
    shutil.rmtree(staged)


def check(store: Store) -> None:
    """`scidata.verify`, every byte."""
    if not verify("speed@1.0.0", store=store).sound:
        raise SystemExit("scidata finds the version damaged")


def fetch(store: Store, sizes: Sizes) -> None:
    """Get every object with scidata's client and drop it."""
    view = store.objects()

    def get(key: str) -> None:
        answer = obstore.get(view, key)
        if sizes[key] <= ONE_REQUEST:
            answer.bytes()
        else:
            for _ in answer.stream(min_chunk_size=4 * BLOCK):
                pass

    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(get, sizes))


def raw_get(endpoint: str, sizes: Sizes) -> None:
    """Get every object with plain http, a connection for each thread, and drop it."""
    mine = local()
    block = bytearray(BLOCK)

    def get(key: str) -> None:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection(urlsplit(endpoint).netloc)
        mine.connection.request("GET", f"/bucket/{key}")
        with mine.connection.getresponse() as answer:
            while answer.readinto(block):
                pass

    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(get, sizes))


def measure(endpoint: str, size: Size, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant in each round."""
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    store = open_store("s3://bucket")
    sizes = {facts.key: facts.size for facts in store.list(PREFIX)}
    calls: dict[str, Call] = {
        "scidata": partial(check, store),
        SAME: partial(fetch, store, sizes),
        PLAIN: partial(raw_get, endpoint, sizes),
        HASHING: hashing(size),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--rounds", default=5, show_default=True, help="How often each runs.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the store here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, size: str, rounds: int, folder: Path | None, as_json: bool) -> None:
    """Measure and print; fail if a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="scidata-remote-") as temporary:
        served = (folder or Path(temporary)).absolute()
        make_store(served, SIZES[size])
        with serving(served, lists=True) as server:
            seconds = measure(server.endpoint, SIZES[size], rounds)
    ratios = {
        name: statistics.median(
            theirs / ours for theirs, ours in zip(times, seconds["scidata"], strict=True)
        )
        for name, times in seconds.items()
    }
    floor = sum(statistics.median(seconds[name]) for name in (SAME, HASHING))
    goals = [
        Goal(
            name=f"as fast as {name}",
            found=ratios[name],
            sense="at least",
            limit=GOAL,
            unit="times",
            why=beneath(statistics.median(seconds[name]) / GOAL, floor, "fetching and hashing"),
        )
        for name in (PLAIN, SAME)
    ]
    document = {
        "schema": "scidata-performance/2",
        "script": "verify_remote",
        "size": size,
        **machine(),
        "seconds": seconds,
        "ratios": ratios,
        "goals": [goal.document() for goal in goals],
    }
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo(f"{document['cpu']}, {document['cpus']} CPUs")
        for name, values in seconds.items():
            speed = SIZES[size].total / statistics.median(values) / 1e6
            click.echo(
                f"{name:20} {statistics.median(values):8.2f} s {speed:6.0f} MB/s "
                f"{ratios[name]:6.2f}"
            )
    conclude(goals, quiet=as_json, judged=size == "full")


if __name__ == "__main__":
    main()
