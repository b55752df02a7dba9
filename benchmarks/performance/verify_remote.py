"""How fast `scidata verify` reads a version in S3, beside a client that only fetches it.

rclone serves 3 files of 256 MB and 8,000 of 50 KB from a folder on loopback. Each round
verifies them and fetches the same objects with the same client, as many at once, without a look
at them; the ratio is the median of each round's. Client and server share the processor, so
hashing takes from the server, too. Goal: at least 0.85 of the plain fetch.

Run it with ``python benchmarks/performance/verify_remote.py``; ``--size small`` takes seconds
and says only that everything works.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import obstore

from scidata.parallel import ONE_REQUEST, REQUESTS
from scidata.publishing import publish
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.verifying import verify

GOAL = 0.85
RECORD = """
id: speed
title: Random bytes
abstract: Random bytes in large and small files, to measure how fast they are verified.
creators: [{given: Josiah, family: Carberry}]
contact: {name: Josiah Carberry, email: josiah@example.org}
publisher: {name: CERN}
license: CC0-1.0
access: open
language: en
keywords: [random, speed]
synthetic: true
synthetic_note: Random bytes.
provenance: {steps: [{activity: Draw random bytes}]}
"""
SIZES = {"full": (3, 256_000_000, 8_000), "small": (1, 16_000_000, 200)}
"""Large files, bytes of each, and files of 50 KB."""


def make_staged(folder: Path, size: str) -> Path:
    """Write a staged dataset of large and small files; returns its folder."""
    large, each, small = SIZES[size]
    (folder / "data/small").mkdir(parents=True)
    (folder / "record.yaml").write_text(RECORD)
    block = os.urandom(1_000_000)
    for number in range(large):
        with (folder / f"data/large{number}.bin").open("wb") as file:
            for count in range(0, each, len(block)):
                file.write(count.to_bytes(8) + block[8:])
    for number in range(small):
        path = folder / f"data/small/{number:05d}.bin"
        path.write_bytes(number.to_bytes(8) + block[8:50_000])
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder as S3 on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rclone = Path(sys.executable).parent / "rclone"
    command = [str(rclone), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--etag-hash", ""]
    command += ["--auth-key", "test,test", "--config", os.devnull, str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - above
        try:
            for _ in range(100):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def fetch(store: Store, sizes: dict[str, int]) -> None:
    """Get every object and drop it."""
    view = store.objects()

    def get(key: str) -> None:
        answer = obstore.get(view, key)
        if sizes[key] <= ONE_REQUEST:
            answer.bytes()
        else:
            for _ in answer.stream(min_chunk_size=4 * 2**20):
                pass

    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(get, sizes))


def measure(store: Store, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant in each round."""
    sizes = {facts.key: facts.size for facts in store.list("speed/v1.0.0/")}
    seconds: dict[str, list[float]] = {"scidata": [], "plain fetch": []}
    for _ in range(rounds):
        begin = time.perf_counter()
        if not verify("speed@1.0.0", store=store).sound:
            raise SystemExit("scidata finds the version damaged")
        middle = time.perf_counter()
        fetch(store, sizes)
        seconds["scidata"].append(middle - begin)
        seconds["plain fetch"].append(time.perf_counter() - middle)
    return seconds


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--rounds", default=5, show_default=True, help="How often each runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, size: str, rounds: int, as_json: bool) -> None:
    """Measure and print; fail if the goal is missed."""
    with tempfile.TemporaryDirectory(prefix="scidata-remote-") as temporary:
        folder = Path(temporary)
        staged = make_staged(folder / "staged", size)
        publish(staged, folder / "served/bucket", version="1.0.0")
        with serving(folder / "served") as endpoint:
            os.environ |= {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
            }
            seconds = measure(open_store("s3://bucket"), rounds)
    pairs = zip(seconds["plain fetch"], seconds["scidata"], strict=True)
    ratios = [theirs / ours for theirs, ours in pairs]
    reached = statistics.median(ratios)
    if as_json:
        click.echo(json.dumps({"seconds": seconds, "ratios": ratios, "reached": reached}))
    else:
        for name, values in seconds.items():
            click.echo(f"{name:12} {statistics.median(values):8.2f} s")
        click.echo(f"ratio {reached:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    raise SystemExit(0 if reached >= GOAL else 1)


if __name__ == "__main__":
    main()
