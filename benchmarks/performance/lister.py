"""What nginx cannot do of S3: list a bucket, from what lay in the folder when this started.

Run as ``python -m … PORT FOLDER``; the folders in FOLDER are the buckets.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000
Listed = list[tuple[str, int, str]]


def listed(bucket: Path) -> Listed:
    """Return key, size and time of each file, sorted by key."""
    return sorted(
        (
            path.relative_to(bucket).as_posix(),
            path.stat().st_size,
            datetime.fromtimestamp(int(path.stat().st_mtime), UTC).isoformat()[:19] + "Z",
        )
        for path in bucket.rglob("*")
        if path.is_file()
    )


def answer(objects: Listed, *, prefix: str, after: str, delimiter: str) -> str:
    """Return one page of keys that begin with the prefix and come after a key."""
    keys = [key for key, _, _ in objects]
    start = max(bisect_left(keys, prefix), bisect_right(keys, after) if after else 0)
    contents: list[str] = []
    folders: dict[str, None] = {}
    last = ""
    for key, size, modified in objects[start:]:
        if not key.startswith(prefix) or len(contents) == PAGE:
            break
        last = key
        below = key.removeprefix(prefix)
        if delimiter and delimiter in below:
            folders[prefix + below.partition(delimiter)[0] + delimiter] = None
        else:
            contents.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
                f"<ETag>&quot;{size:x}&quot;</ETag><Size>{size}</Size></Contents>"
            )
    more = len(contents) == PAGE
    token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
    common = (f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        f"{''.join(contents)}{''.join(common)}</ListBucketResult>"
    )


class Lister(BaseHTTPRequestHandler):
    """Answers ListObjectsV2, and nothing else."""

    protocol_version = "HTTP/1.1"
    buckets: dict[str, Listed]

    def do_GET(self) -> None:
        """Answer one page."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        text = answer(
            self.buckets.get(parts.path.strip("/"), []),
            prefix=query.get("prefix", ""),
            after=query.get("continuation-token", query.get("start-after", "")),
            delimiter=query.get("delimiter", ""),
        ).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def folders(root: Path) -> Iterator[Path]:
    """Yield the folders that are buckets."""
    return (path for path in root.iterdir() if path.is_dir())


if __name__ == "__main__":
    Lister.buckets = {bucket.name: listed(bucket) for bucket in folders(Path(sys.argv[2]))}
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Lister).serve_forever()
