"""How long it takes to open a published version by name from S3, and in how many requests.

A moto server on loopback holds one version; a thread in this process serves it and counts. Each
round opens the version anew: by name, then an array with its labels, then the first batch.
Figures are medians of the rounds. The server shares the processor, so a request costs more here
than a client alone would spend.

Run it with ``python benchmarks/performance/open.py STAGED``, where STAGED is what ``scidata
build tevolop --out STAGED`` wrote.
"""

import json
import logging
import os
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import scidata
from scidata.publishing import publish

LIMIT_S = 1.0
WITHOUT_LABELS = 3
"""Requests: the commit record, the manifest, and the metadata of all arrays."""
ASSET = "fortnights"


@dataclass
class Counter:
    """A WSGI application that counts what passes through."""

    inner: Callable[..., Iterable[bytes]]
    requests: int = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:  # Any: WSGI
        """Count and pass on."""
        self.requests += 1
        return self.inner(environ, start)


@dataclass
class Figures:
    """What each round measured, by step."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    requests: dict[str, list[int]] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, counter: Counter) -> Iterator[None]:
        """Measure one step."""
        begin, before = time.perf_counter(), counter.requests
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - begin)
        self.requests.setdefault(name, []).append(counter.requests - before)

    def medians(self) -> dict[str, dict[str, float]]:
        """Median of each step."""
        return {
            name: {
                "seconds": round(statistics.median(values), 4),
                "requests": statistics.median(self.requests[name]),
            }
            for name, values in self.seconds.items()
        }


@contextmanager
def serving(counter: Counter) -> Iterator[str]:
    """Serve on a free port of loopback."""
    server = make_server("127.0.0.1", 0, counter, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def measure(staged: Path, rounds: int) -> Figures:
    """Publish a staged dataset to the server and open it `rounds` times."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    counter = Counter(DomainDispatcherApplication(create_backend_app))
    figures = Figures()
    with serving(counter) as endpoint:
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
        bucket = urllib.request.Request(f"{endpoint}/bucket", method="PUT")  # noqa: S310  # loopback
        urllib.request.urlopen(bucket).close()  # noqa: S310  # loopback
        published = publish(staged, "s3://bucket/store", version="1.0.0")
        for _ in range(rounds):
            _round(published.commit.name, figures, counter)
    return figures


def _round(name: str, figures: Figures, counter: Counter) -> None:
    with figures.step("open by name", counter):
        dataset = scidata.open(name, "s3://bucket/store")
    with figures.step("and an array with its labels", counter):
        arrays = dataset.to_xarray(ASSET)
    with figures.step("and one value of it", counter):
        float(arrays["magnitude"][0, 0])
    with figures.step("and a first batch", counter):
        next(iter(dataset.stream("train", batch_size=256, shuffle=True)))


@click.command()
@click.argument("staged", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--rounds", default=5, show_default=True, help="How often it is opened.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, staged: Path, rounds: int, as_json: bool) -> None:
    """Measure, print, and fail if opening misses its goal."""
    medians = measure(staged, rounds).medians()
    opening = [medians["open by name"], medians["and an array with its labels"]]
    seconds = sum(step["seconds"] for step in opening)
    requests = sum(step["requests"] for step in opening)
    labels = _labels(staged)
    goals = {
        f"opened in less than {LIMIT_S} s": seconds < LIMIT_S,
        f"in {WITHOUT_LABELS} requests and one for each of {labels} labels": requests
        <= WITHOUT_LABELS + labels,
    }
    if as_json:
        click.echo(json.dumps({"steps": medians, "goals": goals}, indent=1))
    else:
        for name, step in medians.items():
            click.echo(f"{name:32} {step['seconds']:8.3f} s {step['requests']:6.0f} requests")
        for goal, met in goals.items():
            click.echo(f"{'met ' if met else 'MISSED '}{goal}")
    raise SystemExit(0 if all(goals.values()) else 1)


def _labels(staged: Path) -> int:
    """How many dimensions have labels, which xarray reads when it opens."""
    import xarray as xr

    return len(xr.open_zarr(staged / "data" / f"{ASSET}.zarr", chunks=None).indexes)


if __name__ == "__main__":
    main()
