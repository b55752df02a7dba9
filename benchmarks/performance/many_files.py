"""How many requests and how much memory `scidata publish` needs for many small files.

moto serves S3 and notes every request. The files are published twice, a tenth of them first, so
that what each file costs in memory is told apart from what the program takes anyway. Goals: at
most 1.05 requests a file, and at most 4 KB of memory: names, sizes, digests, and no contents.

Run it with ``python benchmarks/performance/many_files.py``; ``--files 2000`` takes seconds and
says only that everything works.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection

import click

from scidata.benchmarks.performance.records import RANDOM_BYTES
from scidata.benchmarks.performance.server import free_port

REQUESTS_GOAL = 1.05
MEMORY_GOAL = 4_096
FILE_BYTES = 200
STARTS_WITHIN_S = 60
CHILD = """
import json, resource, sys
from pathlib import Path
from scidata.publishing import publish
publish(Path(sys.argv[1]), sys.argv[2], version="1.0.0")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def write_staged(folder: Path, count: int) -> Path:
    """Write a staged dataset of small files; returns its folder."""
    folder.mkdir()
    (folder / "record.yaml").write_text(RANDOM_BYTES)
    for number in range(count):
        path = folder / f"data/small/{number // 1000:03d}/{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8) + bytes(FILE_BYTES - 8))
    return folder


@contextmanager
def moto(log: Path) -> Iterator[str]:
    """Run moto's S3, which writes a line into `log` for each request."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:  # noqa: S603 - ours
        try:
            deadline = time.monotonic() + STARTS_WITHIN_S
            while time.monotonic() < deadline:
                with suppress(OSError), create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def requests_in(log: Path) -> int:
    """Count the requests that moto has noted."""
    with log.open() as lines:
        return sum(' HTTP/1.1" ' in line for line in lines)


def publish(folder: Path, count: int) -> dict[str, float]:
    """Publish so many files; returns requests, seconds, and the process's peak of memory."""
    staged, log = write_staged(folder / f"staged-{count}", count), folder / f"log-{count}"
    with moto(log) as endpoint:
        bucket = urllib.request.Request(f"{endpoint}/bucket", method="PUT")  # noqa: S310 - ours
        urllib.request.urlopen(bucket).close()  # noqa: S310 - ours
        environ = {
            **os.environ,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "loopback-key",
            "AWS_SECRET_ACCESS_KEY": "loopback-key",
            "AWS_REGION": "us-east-1",
            "XDG_STATE_HOME": str(folder / "state"),
        }
        before, began = requests_in(log), time.perf_counter()
        command = [sys.executable, "-P", "-c", CHILD, str(staged), "s3://bucket"]
        done = subprocess.run(  # noqa: S603 - ours
            command, env=environ, check=True, capture_output=True, text=True
        )
        return {
            "files": count,
            "seconds": time.perf_counter() - began,
            "requests": requests_in(log) - before,
            "peak_bytes": int(done.stdout),
        }


@click.command()
@click.option("--files", default=100_000, show_default=True, help="How many files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, files: int, as_json: bool) -> None:
    """Measure and print; fail if a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="scidata-many-") as temporary:
        few, many = (publish(Path(temporary), count) for count in (files // 10, files))
    requests = many["requests"] / many["files"]
    growth = (many["peak_bytes"] - few["peak_bytes"]) / (many["files"] - few["files"])
    if as_json:
        found = {"few": few, "many": many, "requests_a_file": requests, "bytes_a_file": growth}
        click.echo(json.dumps(found))
    else:
        peak = many["peak_bytes"] / 1e6
        click.echo(f"{files:,} files in {many['seconds']:.0f} s, peak {peak:.0f} MB")
        for title, value, goal in (
            ("requests a file", requests, REQUESTS_GOAL),
            ("bytes a file", growth, MEMORY_GOAL),
        ):
            verdict = "met" if value <= goal else "MISSED"
            click.echo(f"{title:16} {value:9.2f}, goal at most {goal}: {verdict}")
    raise SystemExit(0 if requests <= REQUESTS_GOAL and growth <= MEMORY_GOAL else 1)


if __name__ == "__main__":
    main()
