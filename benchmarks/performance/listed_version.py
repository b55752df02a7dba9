"""A published version of many small files whose bytes nobody has: an S3 server that only lists.

The commit record and the tag files are answered to GET, and ListObjectsV2 in pages of 1,000;
payload is not. Run as ``python -m … FILES``: the first line says the port, and ``/-/requests``
tells how many requests there were.
"""

import hashlib
import sys
from bisect import bisect_left, bisect_right
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from scidata.benchmarks.performance.records import as_yaml, synthetic
from scidata.digest import Digest
from scidata.facts import Asset, Facts
from scidata.formats import tag_files
from scidata.manifest import Manifest
from scidata.publishing.plan import Version, plan
from scidata.record import parse_record
from scidata.version import commit_bytes

PAGE = 1000
BUCKET = "/bucket/"
REQUESTS = "/-/requests"
TIME = "2026-01-01T00:00:00Z"
SIZE = 1000
"""Bytes of each file, as far as the index and the listings say."""
RECORD = as_yaml(
    synthetic(
        "many",
        "Many files",
        "So many files that a listing of them takes many pages, to measure comparing them.",
        provenance={"steps": [{"activity": "Name files that are not there"}]},
    )
).encode()


def describe(count: int) -> tuple[dict[str, bytes], dict[str, int]]:
    """Return objects by key, and sizes in bytes of all keys, of a version of `count` files."""
    manifest = Manifest(
        {
            f"data/grid.zarr/temperature/c/{n // 1000:04d}/{n:07d}": Digest(
                hashlib.sha256(b"%d" % n).hexdigest()
            )
            for n in range(count)
        }
    )
    sizes = dict.fromkeys(manifest, SIZE)
    asset = Asset(
        key="grid",
        kind="zarr",
        media_type="application/vnd.zarr",
        path="data/grid.zarr",
        files=count,
        bytes=SIZE * count,
        sha256=manifest.under("data/grid.zarr").digest.hex,
    )
    facts = Facts(
        dataset="many",
        version="1.0.0",
        digest=str(manifest.digest),
        files=count,
        bytes=SIZE * count,
        created=TIME,
        assets=(asset,),
    )
    record = parse_record(RECORD, where="here")
    tags = tag_files(RECORD, record, manifest, sizes, facts)
    version = Version(
        staged=Path(), manifest=manifest, sizes=sizes, facts=facts, tags=tags, parent=None
    )
    commit = plan(version, {}, tool="scidata benchmarks", commit_id="0" * 36).commit
    objects = {f"many/{key}": data for key, data in tags.items()}
    objects["many/versions/1.0.0.json"] = commit_bytes(commit)
    keys = {f"many/v1.0.0/{path}": SIZE for path in manifest}
    return objects, keys | {key: len(data) for key, data in objects.items()}


class Listed(BaseHTTPRequestHandler):
    """Answers ListObjectsV2, and GET of what there is."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    sizes: dict[str, int]
    keys: list[str]
    requests = 0

    def do_GET(self) -> None:
        """Answer one page, or one object."""
        parts = urlsplit(self.path)
        if parts.path == REQUESTS:
            self._answer(HTTPStatus.OK, str(Listed.requests).encode())
            return
        Listed.requests += 1  # one thread at a time: CPython adds in one step of its own
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "list-type" in query:
            self._answer(HTTPStatus.OK, self._page(query).encode())
            return
        data = self.objects.get(unquote(parts.path).removeprefix(BUCKET))
        if data is None:
            self._answer(HTTPStatus.NOT_FOUND, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        span = self.headers.get("Range")
        if span is None:
            self._answer(HTTPStatus.OK, data)
            return
        start, _, end = span.removeprefix("bytes=").partition("-")
        part = data[int(start) : int(end) + 1]
        self._answer(
            HTTPStatus.PARTIAL_CONTENT,
            part,
            f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}",
        )

    def _page(self, query: dict[str, str]) -> str:
        prefix = query.get("prefix", "")
        start = bisect_left(self.keys, prefix)
        if after := query.get("continuation-token"):
            start = bisect_right(self.keys, after)
        page = self.keys[start : start + PAGE + 1]
        found = [key for key in page if key.startswith(prefix)]
        more = len(found) > PAGE
        found = found[:PAGE]
        last = escape(found[-1]) if found else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>"
        contents = (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{TIME}</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{self.sizes[key]}</Size></Contents>"
            for key in found
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token if more else ''}"
            f"{''.join(contents)}</ListBucketResult>"
        )

    def _answer(self, status: HTTPStatus, body: bytes, span: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"0"')
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Listed.objects, Listed.sizes = describe(int(sys.argv[1]))
    Listed.keys = sorted(Listed.sizes, key=str.encode)
    with ThreadingHTTPServer(("127.0.0.1", 0), Listed) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - whoever started it waits
        server.serve_forever()
