"""A site on this machine alone, answered as ``_site.json`` says a host should.

What is no file of the site is looked for in the store: a host that serves both needs no second
address for the data. Nothing can be written; no other machine is let in.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from scidata.errors import InvalidError, NotFoundError, ScidataError, StorageError
from scidata.formats import media
from scidata.paths import path_fault
from scidata.site.hosting import FILE, SCHEMA
from scidata.storage.base import Store

MAX_SITE_BYTES = 256 * 2**20
LOOPBACK = "127.0.0.1"

_INTERNAL = (".scidata-", "_site.json")


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """What ``_site.json`` says, as far as answering needs it."""

    every: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    negotiate: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: str = "404.html"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a path is answered with."""

    status: HTTPStatus
    headers: Mapping[str, str]
    file: Path | None = None
    key: str | None = None
    """Of an object in the store."""


def read_hosted(folder: Path) -> Hosted:
    """Read ``_site.json`` of a site.

    Raises
    ------
    NotFoundError
        If the folder holds no site.
    InvalidError
        If it is not what a build writes.
    """
    path = folder / FILE
    if not path.is_file():
        raise NotFoundError(
            "there is no site here",
            where=str(folder),
            fix="build it: scidata site STORE --out DIR",
        )
    try:
        document: Any = json.loads(path.read_bytes()[:MAX_SITE_BYTES])  # Any: JSON
        hosted = Hosted(**{name: document[name] for name in Hosted.__dataclass_fields__})
        known = document["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError, RecursionError):
        known, hosted = False, Hosted()
    if not known:
        raise InvalidError(
            f"{FILE} is not one that this scidata writes",
            where=str(path),
            fix="build the site again: scidata site STORE --out DIR",
        )
    return hosted


def answer(
    folder: Path, hosted: Hosted, path: str, accept: str, size_of: Callable[[str], int | None]
) -> Answer:
    """Decide what a request is answered with.

    Parameters
    ----------
    path : str
        As it was asked for, without a query: it begins with a slash.
    accept : str
        The header of that name.
    size_of : callable
        Returns the size of an object of the store, or None if there is none.
    """
    every = dict(hosted.every)
    clean = unquote(path)
    choices = hosted.negotiate.get(clean, {})
    chosen = preferred(accept, choices)
    file = None if chosen is None else _inside(folder, choices[chosen])
    if chosen is not None and file is not None and file.is_file():
        at = choices[chosen]
        headers = {**every, **hosted.headers.get(f"/{at}", {}), "Content-Type": chosen}
        return Answer(status=HTTPStatus.OK, headers={**headers, "Vary": "Accept"}, file=file)
    name = clean.removeprefix("/")
    target = _inside(folder, f"{name}index.html" if clean.endswith("/") else name)
    if target is not None and target.is_dir() and (target / "index.html").is_file():
        headers = {**every, "Location": quote(f"{clean}/")}
        return Answer(status=HTTPStatus.MOVED_PERMANENTLY, headers=headers)
    if target is not None and target.is_file():
        headers = {**every, "Content-Type": type_of(target.name, hosted)}
        headers |= {"Vary": "Accept"} if choices else {}
        headers |= hosted.headers.get(clean, {})
        return Answer(status=HTTPStatus.OK, headers=headers, file=target)
    if path_fault(name) is None and (size := size_of(name)) is not None:
        headers = {**every, "Content-Type": media.media_type(name)}
        return Answer(
            status=HTTPStatus.OK, headers={**headers, "Content-Length": str(size)}, key=name
        )
    headers = {**every, "Content-Type": "text/html; charset=utf-8"}
    return Answer(
        status=HTTPStatus.NOT_FOUND, headers=headers, file=_inside(folder, hosted.missing)
    )


def preferred(accept: str, choices: Mapping[str, str]) -> str | None:
    """Return the media type that is asked for rather than a page; None for the page.

    Examples
    --------
    >>> preferred("text/html, application/ld+json;q=0.5", {"application/ld+json": "a"})
    >>> preferred("application/ld+json", {"application/ld+json": "a"})
    'application/ld+json'
    """
    weighed = []
    for order, part in enumerate(accept.split(",")):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weighed.append((-float(weight), order, kind.lower()))
        except ValueError:
            continue
    for _, _, kind in sorted(weighed):
        if kind in {"text/html", "*/*", "text/*", "application/xhtml+xml"}:
            return None
        if kind in choices:
            return kind
    return None


def type_of(name: str, hosted: Hosted) -> str:
    """Return the media type of a file, by its suffix."""
    return hosted.types.get(f".{name.rpartition('.')[2]}", media.media_type(name))


def _inside(folder: Path, name: str) -> Path | None:
    """Return a file of the site, unless the name leads out of it or is not for readers."""
    if "\0" in name or name.startswith(_INTERNAL):
        return None
    target = (folder / name).resolve()
    return target if target.is_relative_to(folder.resolve()) else None


def serve(
    folder: str | Path,
    store: Store,
    *,
    port: int = 8000,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a site, and its store, on loopback until interrupted.

    Parameters
    ----------
    port : int
        0 stands for any that is free.
    ready : callable
        Is told the address.

    Raises
    ------
    NotFoundError, InvalidError
        If the folder holds no site.
    StorageError
        If the port is taken.
    """
    with server(Path(folder), store, port=port) as running:
        ready(f"http://{LOOPBACK}:{running.server_address[1]}/")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return


def server(folder: Path, store: Store, *, port: int = 0) -> ThreadingHTTPServer:
    """Return the server, which does not run yet; raises as `serve`."""
    hosted = read_hosted(folder)

    class Handler(_Handler):
        pass

    Handler.folder, Handler.hosted, Handler.store = folder, hosted, store
    try:
        return ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        raise StorageError(
            f"port {port} cannot be used: {error.strerror}",
            where=LOOPBACK,
            fix="choose another one: --port 0 takes any that is free",
        ) from error


class _Handler(BaseHTTPRequestHandler):
    folder: ClassVar[Path]
    hosted: ClassVar[Hosted]
    store: ClassVar[Store]
    protocol_version = "HTTP/1.1"
    server_version = "scidata"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: standard error is for problems."""

    def _answer(self, *, body: bool) -> None:
        if not self._is_for_us():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = urlsplit(self.path).path
        found = answer(
            self.folder, self.hosted, path, self.headers.get("Accept", ""), self._size
        )
        size = found.file.stat().st_size if found.file else 0
        self.send_response(found.status)
        for name, value in {"Content-Length": str(size), **found.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(found)

    def _is_for_us(self) -> bool:
        # Other sites must not reach a private store through a name that leads to loopback.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return host in {LOOPBACK, "localhost"}

    def _size(self, key: str) -> int | None:
        try:
            return self.store.head(key).size
        except ScidataError:
            return None

    def _send(self, found: Answer) -> None:
        try:
            if found.file is not None:
                with found.file.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)
            elif found.key is not None:
                for block in self._blocks(found.key):
                    self.wfile.write(block)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _blocks(self, key: str) -> Iterator[bytes]:
        try:
            for block in self.store.stream(key):
                yield bytes(block)
        except ScidataError:
            self.close_connection = True  # the length that was announced tells the reader
