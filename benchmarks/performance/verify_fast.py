"""How many requests, how much memory and how long it takes to compare a million listed names.

A server on loopback lists a version of a million files, in pages of 1,000 as S3
does. `scidata verify --fast` compares them with manifest and index, in one pass. The memory is
the peak of the process, with everything loaded; the server is another process.

Goals: fewer than ten requests beside one for each page, and 500 MB. Run it with
``python benchmarks/performance/verify_fast.py``; ``--keys 3000`` says only that it works.
"""

import json
import os
import re
import time
import urllib.request
from pathlib import Path

import click

from scidata.benchmarks.performance.goals import Goal, conclude, machine
from scidata.benchmarks.performance.listed_version import PAGE, REQUESTS
from scidata.benchmarks.performance.server import listing_version
from scidata.storage import open_store
from scidata.verifying import verify

BESIDE = 10
LIMIT_MB = 500
WHOLE = 1_000_000


def peak() -> int:
    """Return the most memory that this process ever held, in bytes.

    Not `ru_maxrss`: that may count what held the memory before this program was started in it.
    """
    told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if told is None:
        raise SystemExit("this system does not say how much memory a process held")
    return int(told[1]) * 1024


def requests(endpoint: str) -> int:
    """Return how many requests were answered."""
    with urllib.request.urlopen(endpoint + REQUESTS) as answer:  # noqa: S310 - our server
        return int(answer.read())


@click.command()
@click.option("--keys", default=WHOLE, show_default=True, help="Files of the version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, keys: int, as_json: bool) -> None:
    """Measure and print; fail if a goal is missed."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with listing_version(keys) as endpoint:
        store = open_store("s3://bucket", endpoint_url=endpoint)
        verify("many@1.0.0", store, fast=True, globs=["data/grid.zarr/*/0000000"])  # load all
        asked = requests(endpoint)
        began = time.perf_counter()
        found = verify("many@1.0.0", store, fast=True)
        seconds = time.perf_counter() - began
        asked = requests(endpoint) - asked
    if not found.sound or found.payload != keys:
        raise SystemExit(f"scidata finds {found.damage[:3]} in {found.payload} files")
    pages = -(-(keys + found.tags) // PAGE)
    goals = [
        Goal(
            name="requests",
            found=asked,
            sense="less than",
            limit=pages + BESIDE,
            unit="times",
            why="commit record, statuses and each tag file take a request",
        ),
        Goal(
            name="peak memory",
            found=peak() / 1e6,
            sense="less than",
            limit=LIMIT_MB,
            unit="MB",
            why="the manifest alone has 130 bytes a file",
        ),
    ]
    document = {
        "schema": "scidata-performance/2",
        "script": "verify_fast",
        "keys": keys,
        **machine(),
        "requests": asked,
        "pages": pages,
        "tags": found.tags,
        "seconds": seconds,
        "peak_memory_bytes": peak(),
        "goals": [goal.document() for goal in goals],
    }
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo(f"{document['cpu']}, {document['cpus']} CPUs")
        click.echo(
            f"{keys:,} keys, {asked:,} requests, {seconds:.1f} s, peak {peak() / 1e6:,.0f} MB"
        )
    conclude(goals, quiet=as_json, judged=keys >= WHOLE)


if __name__ == "__main__":
    main()
