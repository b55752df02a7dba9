"""Objects outside a store: which addresses may be asked, and a client that stays there.

Addresses come from lists and commit records, which are not trusted: they must not lead a
reader's machine to its own disk, its own network, or to whoever a server points to.
"""

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import obstore.store

from scidata.errors import InvalidError, NotFoundError, ScidataError, StorageError
from scidata.paths import path_fault
from scidata.storage import refusals
from scidata.storage.addresses import split_url
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.hosts import Reach, reach_of
from scidata.storage.http import HttpStore
from scidata.storage.keys import checked

SCHEMES = ("s3", "https", "http")
BLOCK = 2**20
TIMEOUT_S = 20.0
PAUSES_S = (0.5, 1.0, 2.0)
_BUSY = {429, 500, 502, 503, 504}


def place_fault(url: str, *, near: bool) -> str | None:
    """Say why objects may not be read from an address, or None if they may.

    Parameters
    ----------
    near : bool
        Whether whoever names the address is on this machine, as a folder is: only then may it
        be a folder, or a host of this machine or of a private network.

    Examples
    --------
    >>> place_fault("https://example.org/scenes", near=False) is None
    True
    >>> place_fault("http://169.254.169.254/latest", near=True)
    "is link-local, or no server's address"
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in (*SCHEMES, "file"):
        return "is none of s3://, https:// and http://"
    below = urllib.parse.unquote(parts.path).strip("/")
    whole = parts.netloc if parts.scheme != "file" else parts.path and not parts.netloc
    faults = {
        "holds a user or a password": "@" in parts.netloc,
        "has a query or a fragment": bool(parts.query or parts.fragment),
        "names no host": not whole,
        "is a folder of whoever reads it": parts.scheme == "file" and not near,
    }
    found = next((fault for fault, holds in faults.items() if holds), None)
    found = found or (path_fault(below) if below else None)
    if found is None and parts.scheme in {"http", "https"}:
        found = _host_fault(parts.hostname or "", near=near)
    return found


def _host_fault(host: str, *, near: bool) -> str | None:
    reach = reach_of(host)
    if reach is Reach.NEVER:
        return "is link-local, or no server's address"
    return "lies in a private network" if reach is not Reach.PUBLIC and not near else None


def is_near(address: str) -> bool:
    """Tell whether a store, by its `address`, is of this machine or of a private network.

    Examples
    --------
    >>> is_near("/data/store"), is_near("s3://bucket at http://127.0.0.1:9000")
    (True, True)
    >>> is_near("s3://bucket"), is_near("https://example.org/store")
    (False, False)
    """
    place, _, server = address.partition(" at ")
    parts = split_url(server or place)
    if parts is None or parts.scheme not in {"http", "https", "s3"}:
        return True
    host = parts.hostname or ""
    return parts.scheme != "s3" and _host_fault(host, near=False) is not None


def check_resolved(url: str, *, near: bool) -> None:
    """Look up a host of http, and refuse it if its name stands for a private address.

    Raises
    ------
    InvalidError
        If it does.
    StorageError
        If nobody knows the name.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StorageError(
            f"the host {parts.hostname!r} is not known",
            where=url,
            fix="check the network and the address",
        ) from error
    for *_, address in found:
        if fault := _host_fault(str(address[0]).partition("%")[0], near=near):
            raise InvalidError(
                f"the host {parts.hostname!r} {fault}",
                where=url,
                fix="do not trust what names this address",
            )


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within a host, and none to another."""

    max_redirections = 3

    def redirect_request(  # noqa: PLR0917 - as the base has it
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:  # Any: the base's types
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise StorageError(
                f"the server sends readers to another host, {new.hostname!r}",
                where=req.full_url,
                fix="adopt the files from where they lie",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class ForeignHttp(HttpStore):
    """A web server that files were adopted from: it is asked, and nobody it points to."""

    def __init__(self, url: str, *, near: bool) -> None:
        super().__init__(url, stays=True)
        self._near = near

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            _SameHost(),
        )

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        data = bytearray()
        for block in self.stream(key):
            data += block
            if len(data) > limit:
                raise refusals.too_large(len(data), limit, where=self._where(key))
        return bytes(data)

    def stream(self, key: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from `start`; what breaks off is asked for again."""
        failures, size = 0, None
        while size is None or start < size:
            try:
                with self._ask(key, "GET", start) as answer:
                    size, at = _extent(answer, start)
                    while block := answer.read(BLOCK):
                        kept = block[max(start - at, 0) :]
                        at += len(block)
                        if kept:
                            start, failures = start + len(kept), 0
                            yield kept
                if start < size:
                    raise http.client.IncompleteRead(b"")
            except _PastEndError:
                return
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if failures > len(PAUSES_S) or isinstance(error, ScidataError):
                    raise self._translated(error, key) from error
                time.sleep(PAUSES_S[failures - 1])

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and ETag."""
        headers = self._headers(key)
        length = headers.get("Content-Length", "")
        if not length.isdigit():
            raise StorageError(
                "the server does not say how large the file is",
                where=self._where(key),
                fix="serve it with its Content-Length",
            )
        etag = headers.get("ETag", "").removeprefix("W/").strip('"')
        return ObjectFacts(
            key=key,
            size=int(length),
            modified=_instant(headers.get("Last-Modified")),
            etag=etag or None,
        )

    def _headers(self, key: str) -> Any:  # Any: of an answer of urllib
        for pause in PAUSES_S:
            try:
                with self._ask(key, "HEAD", 0) as answer:
                    return answer.headers
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ScidataError):
                    raise
                time.sleep(pause)
        try:
            with self._ask(key, "HEAD", 0) as answer:
                return answer.headers
        except (OSError, http.client.HTTPException) as error:
            raise self._translated(error, key) from error

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below a prefix."""
        check_resolved(self.url, near=self._near)
        return super().objects(prefix)

    def _ask(self, key: str, method: str, start: int) -> Any:  # Any: an answer of urllib
        check_resolved(self.url, near=self._near)
        request = urllib.request.Request(  # noqa: S310 - https or http, by the constructor
            f"{self.url}/{urllib.parse.quote(checked(key))}",
            method=method,
            headers={"Range": f"bytes={start}-"} if start else {},
        )
        try:
            return self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            status, reason = error.code, error.reason
            error.close()
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _PastEndError from error
            if status in _BUSY:
                raise OSError(f"{status} {reason}") from error
            if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
                raise refusals.absent(self._where(key)) from error
            raise StorageError(
                f"the server refused the file ({status} {reason})",
                where=self._where(key),
                fix="check that it can be read by everybody",
            ) from error

    def _translated(self, error: Exception, key: str) -> Exception:
        if isinstance(error, ScidataError):
            return error
        return StorageError(
            f"the file cannot be read: {getattr(error, 'reason', None) or error}",
            where=self._where(key),
            fix="check that the server can be reached, then run the same command again",
        )

    def _where(self, key: str) -> str:
        return f"{key} in {self.url}"


class _PastEndError(Exception):
    """Nothing is left from this offset on."""


def _extent(answer: Any, start: int) -> tuple[int, int]:  # Any: an answer of urllib
    """Return the size of an object, and the offset at which an answer begins."""
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        return int(answer.headers["Content-Range"].rpartition("/")[2]), start
    length = answer.headers.get("Content-Length")
    if length is None:
        raise StorageError(
            "the server does not say how large the file is",
            where=answer.url,
            fix="serve it with its Content-Length",
        )
    return int(length), 0


def _instant(text: str | None) -> str | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def open_place(url: str, *, endpoint: str | None, anonymous: bool, near: bool) -> Store:
    """Open the store that stands for an address outside.

    Raises
    ------
    InvalidError
        If the address may not be asked.
    NotFoundError
        If it is a folder that is not there.
    StorageError
        If it needs credentials that are not there.
    """
    from scidata.storage import open_store

    if fault := place_fault(url, near=near):
        raise InvalidError(
            f"an address outside the store {fault}",
            where="outside",
            fix="do not trust what names it",
        )
    if url.startswith(("http://", "https://")):
        return ForeignHttp(url, near=near)
    if url.startswith("file://") and not Path(urllib.parse.unquote(url[7:])).is_dir():
        raise NotFoundError(
            f"there is no folder {url!r}", where=url, fix="bring it back, or adopt it anew"
        )
    return open_store(url, endpoint_url=endpoint, anonymous=anonymous)
