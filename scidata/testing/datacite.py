"""A double of DataCite's REST API over real HTTP, on loopback: strict, and faulty on demand.

For tests, and to rehearse without an account: ``python -m scidata.testing.datacite``. What is
answered stands in `datacite_answers`, what is decided about a DOI in `datacite_rules`.
"""

import base64
import gzip
import http.server
import json
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from scidata.errors import ScidataError
from scidata.schemas import schema_file, users_cache
from scidata.testing.datacite_answers import (
    API_KEY,
    MEDIA_TYPE,
    PREFIX,
    REPOSITORY,
    SECRET,
    Call,
    Double,
    Fault,
    Reply,
    answer,
    bad_credentials,
    problem,
)

__all__ = ["API_KEY", "PREFIX", "REPOSITORY", "SECRET", "Double", "Fault", "datacite_double"]

_ACCEPTED = {MEDIA_TYPE, "application/json", "*/*", ""}
_HANG_S = 60.0


@contextmanager
def datacite_double(
    schema: Path | None = None, *, port: int = 0, minting: int = 0
) -> Iterator[Double]:
    """Run the double on a loopback port."""
    double = Double(schema=schema, minting=minting)

    class Handler(_Handler):
        pass

    Handler.double = double
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        double.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield double
        finally:
            double.closing.set()
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets: the second must not wait
    double: ClassVar[Double]

    def _serve(self) -> None:
        fault = self.double.due(self.command, self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault is not None and self._failed_before(fault):
            return
        with self.double.lock:
            reply, client = self._reply(data)
        document = reply.document
        body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        if fault is not None:
            self._fail_after(fault, reply, body, client)
            return
        self._send(reply.status, body, dict(reply.headers), client)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base's names

    def _reply(self, data: bytes) -> tuple[Reply, str | None]:
        client, broken = self._client()
        if broken:
            return bad_credentials(), None
        if self.headers.get("Accept", "").split(";")[0].strip() not in _ACCEPTED:
            return problem(406, "The content type is not recognized."), client
        document = None
        if data:
            try:
                plain = gzip.decompress(data) if self._is_zipped() else data
                document = json.loads(plain)
            except (ValueError, OSError, EOFError):
                return problem(400, "You need to provide a valid JSON document"), client
        url = urlsplit(self.path)
        call = Call(client=client, query=parse_qs(url.query), document=document)
        return answer(self.double, self.command, url.path, call), client

    def _is_zipped(self) -> bool:
        return self.headers.get("Content-Encoding") == "gzip"

    def _client(self) -> tuple[str | None, bool]:
        """Return who asks, None for anybody; and whether a bearer's token is of no use."""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return self.double.keys.get(value), value not in self.double.keys
        if scheme != "Basic":
            return None, False
        with suppress(ValueError):
            user, _, secret = base64.b64decode(value).decode().partition(":")
            for key, client in self.double.keys.items():
                if key in (user, secret):
                    return client, False
            known = self.double.repositories.get(user.upper())
            if secret and known is not None and known[0] == secret:
                return user.upper(), False
        return None, False

    def _failed_before(self, fault: Fault) -> bool:
        if fault.kind == "status":
            headers = {"Content-Type": "text/html"}
            if fault.retry_after is not None:
                headers["Retry-After"] = fault.retry_after
            if fault.body.startswith(b"{"):
                headers["Content-Type"] = MEDIA_TYPE
            self._send(fault.status, fault.body, headers, None)
        elif fault.kind == "hang":
            self.double.closing.wait(_HANG_S)
            self.close_connection = True
        elif fault.kind == "reset":
            self._reset()
        else:
            return False
        return True

    def _fail_after(self, fault: Fault, reply: Reply, body: bytes, client: str | None) -> None:
        if fault.kind == "page":
            self._send(200, fault.body, {"Content-Type": "text/html"}, client)
        elif fault.kind == "truncated":
            self._send(reply.status, body[: len(body) // 2], dict(reply.headers), client)
        elif fault.kind == "cut":
            self._head(reply.status, len(body), dict(reply.headers), client)
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault.kind == "drip":
            self._head(reply.status, len(body), dict(reply.headers), client)
            with suppress(OSError):
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if self.double.closing.wait(0.05):
                        break
            self.close_connection = True
        else:
            self._reset()

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], client: str | None
    ) -> None:
        self._head(status, len(body), headers, client)
        self.wfile.write(body)

    def _head(
        self, status: int, length: int, headers: dict[str, str], client: str | None
    ) -> None:
        self.send_response(status)
        who = {"X-Credential-Username": client.lower()} if client else {}
        known = {"X-Anonymous-Consumer": "true"} if client is None else who
        content = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8"}
        for name, value in {**content, **known, **headers}.items():
            self.send_header(name, value)
        if status != 204:  # noqa: PLR2004 - no content
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _reset(self) -> None:
        """End the connection as a router does that forgot it."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.shutdown(socket.SHUT_RD)
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Run the double until it is interrupted, and say how to reach it."""
    port = int(sys.argv[1]) if re.fullmatch(r"\d{1,5}", "".join(sys.argv[1:2])) else 0
    try:
        schema: Path | None = schema_file("datacite-4.7", users_cache(os.environ))
    except ScidataError:
        schema = None
    with datacite_double(schema, port=port) as double:
        for name, value in double.environment().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
