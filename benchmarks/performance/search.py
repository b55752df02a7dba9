"""How long the search of a site's index takes at each letter, in Chromium.

Entries of made-up datasets, with 20 keywords and 40 variables each, are served on loopback with
the page's own script. Figures are milliseconds from a letter to the results in the page, median
and largest over the letters of a few queries; the goal is that nobody waits: below 100 ms.

Run it with ``python benchmarks/performance/search.py``; it needs Chromium and the [test] extra.
"""

import functools
import http.server
import json
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from scidata.site import rendering, searching
from scidata.site.addresses import Addresses
from scidata.site.pages import Card, index_page

LIMIT_MS = 100
QUERIES = ("measurements topic17", "column42 lovelace", "nothing of it")
_TYPE = """async (text) => {
  const field = document.getElementById("q"), took = [];
  for (let n = 1; n <= text.length; n++) {
    const begin = performance.now();
    field.value = text.slice(0, n);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.offsetHeight; // the results are laid out
    took.push(performance.now() - begin);
  }
  return took;
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def entry(number: int) -> searching.Entry:
    """Return a dataset as the search knows it."""
    return searching.Entry(
        name=f"set-{number}",
        title=f"Measurements {number}",
        abstract="Values that somebody measured somewhere, for some years. " * 4,
        language="en",
        version="1.0.0",
        date="2026-01-02",
        size="5 MB",
        bytes=5_000_000 + number,
        licence="CC-BY-4.0",
        domains=("Physics",),
        keywords=tuple(f"topic{(number + n) % 500}" for n in range(20)),
        creators=("Ada Lovelace", "Carl Friedrich Gauß"),
        variables=tuple(f"column{(number + n) % 900}" for n in range(40)),
        simulated=False,
        state="active",
        href=f"set-{number}/",
    )


def write(folder: Path, count: int) -> int:
    """Write the index of so many datasets; return the bytes of ``search.json``."""
    entries = [entry(n) for n in range(count)]
    cards = [_card(found) for found in entries]
    local = "http://127.0.0.1"
    page = index_page(cards, Addresses(base_url=local, data_url=local))
    (folder / "index.html").write_bytes(page)
    for name in rendering.ASSETS:
        (folder / name).write_bytes(rendering.asset(name))
    data = searching.search_file(entries)
    (folder / searching.FILE).write_bytes(data)
    return len(data)


def _card(found: searching.Entry) -> Card:
    shared: dict[str, Any] = {
        k: v for k, v in asdict(found).items() if k not in ("creators", "variables")
    }
    others: dict[str, Any] = {
        "files": "1 file",
        "versions": 1,
        "publisher": "Nobody",
        "license_url": "",
    }
    return Card(**shared, **others, url=f"http://127.0.0.1/{found.href}")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def typed(url: str, chromium: str) -> list[float]:
    """Type the queries; return what each letter took, ms."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url, wait_until="networkidle")
        page.wait_for_selector("#search:not([hidden])")
        took = [ms for text in QUERIES for ms in page.evaluate(_TYPE, text)]
        browser.close()
    return took


@click.command()
@click.option("--datasets", default=5_000, help="How many there are [default: 5000].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(datasets: int, *, as_json: bool) -> None:
    """Measure the search of a site's index."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise click.UsageError("no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        size = write(Path(name), datasets)
        with served(Path(name)) as url:
            took = typed(url, chromium)
    figures: dict[str, Any] = {
        "datasets": datasets,
        "search_json_bytes": size,
        "letters": len(took),
        "median_ms": statistics.median(took),
        "largest_ms": max(took),
        "reached": max(took) < LIMIT_MS,
    }
    if as_json:
        click.echo(json.dumps({"schema": "scidata-performance-search/1", **figures}))
    else:
        click.echo("\n".join(f"{key:<18} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
