"""Real servers on a loopback port, as context managers: two that speak S3, one for http.

`moto` applies conditional writes; rclone accepts them and ignores them, so it stands for every
dishonest store. Neither rejects a wrong checksum: corrupt objects behind the API instead.
"""

import functools
import hashlib
import http.client
import http.server
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Literal

KEY = "loopback-key"  # rclone refuses keys of two letters
SECRET = "loopback-secret"  # noqa: S105 - of servers that live for one test session
REGION = "us-east-1"
START_TIMEOUT_S = 60.0
SLOW_S = 1.0
DRIP = 2**20


def aws_environment(endpoint: str) -> dict[str, str]:
    """Return what a client needs in its environment to talk to one of these servers."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def create_bucket(endpoint: str, name: str) -> None:
    """Create a bucket; the servers here ask for no signature to do so."""
    http_put(f"{endpoint}/{name}", b"")


def create_public_object(endpoint: str, bucket: str, key: str, data: bytes) -> None:
    """Write an object that anybody may read."""
    http_put(f"{endpoint}/{bucket}/{key}", data, {"x-amz-acl": "public-read"})


def http_put(url: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Send one unsigned PUT."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        url,
        data=data,
        headers={"Content-Type": "application/octet-stream", **(headers or {})},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - loopback
        pass


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's S3: conditional writes, checksums, ranges; objects in its memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rclone_server(folder: Path) -> Iterator[str]:
    """Run rclone's S3 over a folder, whose sub-folders are the buckets."""
    port = free_port()
    command = ["rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{KEY},{SECRET}", "--config", os.devnull, str(folder)]
    with _running(command, port):
        yield f"http://127.0.0.1:{port}"


Fault = Literal[
    "none",
    "busy",
    "broken",
    "forbidden",
    "denied",
    "lost",
    "lost-answer",
    "cut",
    "short",
    "flip",
    "flip-up",
    "reset",
    "silent",
    "slow",
    "stall",
    "drip",
]
_STATUS: Mapping[Fault, int] = {"busy": 503, "broken": 500, "forbidden": 403, "lost": 404}


@dataclass
class Proxy:
    """What a `faulty_proxy` does to the first request that matches; counts all requests."""

    url: str = ""
    method: str = ""
    path: str = ""
    fault: Fault = "none"
    times: int = 1
    seen: list[str] = field(default_factory=list)
    """Method and path of each request."""
    checks: bool = False
    """Whether to refuse what differs from its ``x-amz-checksum-sha256``, as AWS does."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the proxy ends: until then it stalls."""

    def due(self, method: str, path: str) -> bool:
        """Tell whether this request is to fail."""
        self.seen.append(f"{method} {path}")
        hit = method == self.method and self.path in path and self.times > 0
        self.times -= hit
        return hit


@contextmanager
def faulty_proxy(endpoint: str) -> Iterator[Proxy]:
    """Stand before an http server and spoil chosen answers on their way back."""
    proxy = Proxy()
    upstream = endpoint.removeprefix("http://")

    class Handler(_ProxyHandler):
        pass

    Handler.proxy, Handler.upstream = proxy, upstream
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield proxy
        finally:
            proxy.closing.set()
            server.shutdown()
            thread.join()


@contextmanager
def folder_server(folder: Path) -> Iterator[str]:
    """Serve a folder over http with ranges, as a web server or a public bucket does."""
    with listening(functools.partial(_RangeHandler, directory=str(folder))) as url:
        yield url


@contextmanager
def page_server() -> Iterator[str]:
    """Answer whatever is asked with a page and 200, as the servers of some web sites do."""
    with listening(_PageHandler) as url:
        yield url


@contextmanager
def listening(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer on a loopback port in threads, and yield its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            _wait(process, port)
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not listen on port {port}")


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: ClassVar[Proxy]
    upstream: ClassVar[str]

    def do_GET(self) -> None:
        fault = self.proxy.fault if self.proxy.due(self.command, self.path) else "none"
        length = int(self.headers.get("Content-Length", 0))
        if fault == "reset":
            self.rfile.read(length // 2)
            self._reset()
            return
        body = self.rfile.read(length)
        if fault == "flip-up":
            body = _flipped(body)
        if self._refused(fault, body):
            return
        status, headers, data = self._pass_on(body)
        if fault == "lost-answer":
            self.close_connection = True
            return
        if fault == "short":
            data = data[:-1]
        if fault == "flip":
            data = _flipped(data)
        cut, pause_s = fault in {"cut", "stall"}, 0.2 * (fault == "drip")
        self._answer(status, headers, data, cut=cut, pause_s=pause_s)
        if fault == "stall":
            self.proxy.closing.wait(START_TIMEOUT_S)

    def _refused(self, fault: Fault, body: bytes) -> bool:
        """Answer what is not passed on, or do not answer it."""
        if fault in {"silent", "slow"}:
            self.proxy.closing.wait(SLOW_S if fault == "slow" else START_TIMEOUT_S)
        if fault == "silent":
            self.close_connection = True
        elif fault == "denied":
            self._answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        elif fault in _STATUS:
            self._answer(_STATUS[fault], {}, b"")
        elif self.proxy.checks and not self._is_sound(body):
            self._answer(400, {}, b"<Error><Code>BadDigest</Code></Error>")
        else:
            return False
        return True

    def _pass_on(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        link = http.client.HTTPConnection(self.upstream, timeout=30)
        link.request(self.command, self.path, body, dict(self.headers))
        answer = link.getresponse()
        data, headers = answer.read(), dict(answer.getheaders())
        link.close()
        return answer.status, headers, data

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the base's names

    def _is_sound(self, body: bytes) -> bool:
        expected = self.headers.get("x-amz-checksum-sha256")
        return expected in {None, b64encode(hashlib.sha256(body).digest()).decode()}

    def _reset(self) -> None:
        """End the connection as a router does that forgot it."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.shutdown(socket.SHUT_RD)
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def _answer(
        self,
        status: int,
        headers: Mapping[str, str],
        data: bytes,
        *,
        cut: bool = False,
        pause_s: float = 0,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "date", "server"}:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            sent = data[: len(data) // 2] if cut else data
            for start in range(0, len(sent), DRIP):
                self.wfile.write(sent[start : start + DRIP])
                self.proxy.closing.wait(pause_s)
        self.close_connection = cut

    def log_message(self, format: str, *args: object) -> None:
        return


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class _RangeHandler(http.server.SimpleHTTPRequestHandler):
    """What `http.server` lacks: ``Range: bytes=a-b``, ``bytes=a-`` and ``bytes=-n``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            super().do_GET()
            return
        size = path.stat().st_size
        start, stop = _span(wanted, size)
        if start >= size or start >= stop:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.end_headers()
        with path.open("rb") as file:
            file.seek(start)
            self.wfile.write(file.read(stop - start))

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


def _span(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last = wanted.groups()
    if first:
        return int(first), min(int(last) + 1 if last else size, size)
    return max(size - int(last or 0), 0), size


class _PageHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    PAGE = b"<!doctype html><html><body>Welcome</body></html>"

    def do_GET(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.PAGE)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.PAGE)

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def log_message(self, format: str, *args: object) -> None:
        pass
