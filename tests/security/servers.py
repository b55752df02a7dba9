"""A server that answers every request in the same, hostile way."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def answering(
    status: int,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    seen: list[tuple[str, dict[str, str]]] | None = None,
) -> Iterator[str]:
    """Run the server; yields its address. `seen` gets the path and headers of each request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if seen is not None:
                seen.append((self.path, dict(self.headers)))
            self.send_response(status)
            said = body.replace(b"%HEADERS%", str(self.headers).encode())
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the names of http.server

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
