"""An S3 server for reading on loopback: nginx, whose folders are buckets.

Objects are answered to GET and HEAD, whole or in ranges, without signatures. PUT is not: data
are prepared straight on the disk. LIST is answered on demand, by a process beside it. With a
latency, nginx asks another process before each request, and that answers late.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

STARTS_WITHIN_S = 10
STATUS = "/-/status"
# tcp_nopush: 64 KiB ranges come twelve times as fast without it. open_file_cache: beyond the
# limit of descriptors nginx would answer 404 for objects that are there.
CONFIG = """
daemon off; pid {work}/nginx.pid; error_log {work}/error.log warn; {user}
worker_processes auto; worker_rlimit_nofile 8192;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nopush off; tcp_nodelay on;
  keepalive_timeout 600s; keepalive_requests 100000000; default_type application/octet-stream;
  open_file_cache max=4000 inactive=600s; open_file_cache_valid 600s; etag on;
  client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {root};
    location = /-/status {{ stub_status; }}
    {waiting}
    location / {{ {list} {wait} limit_except GET {{ deny all; }} }}
  }}
}}
"""


UPSTREAM = "upstream late {{ server 127.0.0.1:{late}; keepalive 256; }}"
WAITING = """location = /-/wait {
      internal; proxy_pass http://late; proxy_http_version 1.1; proxy_method GET;
      proxy_pass_request_headers off; proxy_pass_request_body off;
      proxy_set_header Connection ""; proxy_set_header Host late;
    }"""
LIST = 'if ($args ~ "list-type=2") {{ proxy_pass http://127.0.0.1:{lister}; }}'


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where it answers, and which processes' CPU is its own."""

    endpoint: str
    status_url: str
    sessions: tuple[int, ...]


@contextmanager
def serving(root: Path, *, latency_ms: float = 0, lists: bool = False) -> Iterator[Server]:
    """Serve the folders below `root` as buckets on a free port of loopback.

    With `lists`, what lies there when it starts is listed.
    """
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")
    if nginx is None:
        raise click.ClickException(
            "nginx is not installed, and serves the objects here: apt-get install nginx-light"
        )
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scidata-nginx-")))
        port, config, log = free_port(), work / "nginx.conf", work / "error.log"
        sessions: list[int] = []
        extra = {"upstream": "", "waiting": "", "wait": "", "list": ""}
        if lists:
            lister = free_port()
            program = [sys.executable, "-P", "-m", "scidata.benchmarks.performance.lister"]
            sessions.append(stack.enter_context(_running([*program, str(lister), str(root)])))
            extra["list"] = LIST.format(lister=lister)
            _await(lister, "", log)
        if latency_ms:
            late = free_port()
            program = [sys.executable, "-P", "-m", "scidata.benchmarks.performance.latency"]
            sessions.append(
                stack.enter_context(_running([*program, str(late), str(latency_ms)]))
            )
            wait = "auth_request /-/wait;"
            extra |= {"upstream": UPSTREAM.format(late=late), "waiting": WAITING, "wait": wait}
            _await(late, "", log)
        # Workers read as whoever runs this; only root can name a user, and must.
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        values = {"work": work, "port": port, "root": root.resolve(), "user": user, **extra}
        config.write_text(CONFIG.format(**values))
        command = [nginx, "-e", str(log), "-c", str(config)]
        sessions.append(stack.enter_context(_running(command)))
        _await(port, STATUS, log)
        endpoint = f"http://127.0.0.1:{port}"
        yield Server(endpoint=endpoint, status_url=endpoint + STATUS, sessions=tuple(sessions))


@contextmanager
def listing_version(files: int) -> Iterator[str]:
    """Serve a version of so many files that are listed, and not there; yields its endpoint."""
    program = [sys.executable, "-P", "-m", "scidata.benchmarks.performance.listed_version"]
    with subprocess.Popen(  # noqa: S603 - ours
        [*program, str(files)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise click.ClickException("the server does not start: see what it says above")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - ours
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=STARTS_WITHIN_S)


def _await(port: int, path: str, log: Path, within_s: float = STARTS_WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}"):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                said = log.read_text() if log.exists() else error
                raise click.ClickException(f"the server does not start: {said}") from error
            time.sleep(0.05)
