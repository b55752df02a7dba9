"""A thin client of DataCite's REST API: read, create or change, with patience and no more.

Only GET and PUT are sent. Both may be sent again after any fault, because a PUT names the DOI:
whether the lost one arrived or not, there is one DOI in the end. POST is never used.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import quote

import urllib3

from scidata.about import __version__
from scidata.doi.answers import is_passing, meaning
from scidata.doi.credentials import Credentials
from scidata.errors import StorageError

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

MAX_ANSWER_BYTES = 8 * 2**20
_MEDIA_TYPE = "application/vnd.api+json"
_BLOCK = 64 * 1024
_OK, _MULTIPLE, _NOT_FOUND = 200, 300, 404


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, in seconds, and how often to ask."""

    answer_s: float = 30.0
    """For one answer, as a whole."""
    tries: int = 5
    pause_s: float = 1.0
    """Before the second try; it doubles each time."""
    longest_s: float = 120.0
    """A server that asks for a longer pause is not waited for."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, read in full."""

    status: int
    body: bytes
    retry_after: str | None = None

    @property
    def document(self) -> dict[str, Any] | None:  # Any: JSON
        """The body as a JSON object; None if it is anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def attributes(self) -> Attributes | None:
        """The attributes of a DOI, if that is what came."""
        data = (self.document or {}).get("data")
        found = data.get("attributes") if isinstance(data, dict) else None
        return found if isinstance(found, dict) and isinstance(found.get("doi"), str) else None


@dataclass(frozen=True, kw_only=True)
class Registry:
    """DataCite, as one repository sees it."""

    api: str
    credentials: Credentials | None
    """None sees what anybody sees."""
    patience: Patience = field(default_factory=Patience)
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False)
    )

    def get(self, doi: str) -> Attributes | None:
        """Read a DOI; None if there is none, or it is somebody else's draft.

        Raises
        ------
        StorageError
            If DataCite cannot be reached, refuses, or answers with something else.
        """
        answer = self._ask("GET", f"{_path(doi)}?publisher=true&affiliation=true", doi)
        return None if answer.status == _NOT_FOUND else answer.attributes

    def put(self, doi: str, attributes: Attributes) -> Attributes:
        """Create a DOI, or change what is given of it; `event` among them changes its state.

        Raises
        ------
        InvalidError
            If DataCite refuses the metadata; `problems` names the fields of the record.
        ConflictError
            If others change the DOI at the same time.
        StorageError
            If DataCite cannot be reached, refuses the repository, or answers with something
            else.
        """
        document = {"data": {"type": "dois", "attributes": attributes}}
        body = json.dumps(document, ensure_ascii=False).encode()
        answer = self._ask("PUT", f"{_path(doi)}?publisher=true&affiliation=true", doi, body)
        return answer.attributes or {}

    def _ask(self, method: str, path: str, doi: str, body: bytes | None = None) -> Answer:
        """Ask until there is an answer that will not pass; raise what it means if it is bad."""
        answer: Answer | Exception = TimeoutError("nothing was asked")
        for attempt in range(1, self.patience.tries + 1):
            answer = self._once(method, path, body)
            if isinstance(answer, Answer):
                if method == "GET" and answer.status == _NOT_FOUND:
                    return answer
                if _OK <= answer.status < _MULTIPLE and answer.attributes is not None:
                    return answer
                if not is_passing(answer.status):
                    raise meaning(answer.status, answer.document, doi=doi, api=self.api)
            if attempt < self.patience.tries:
                self._pause(attempt, answer)
        if isinstance(answer, Answer):
            raise meaning(answer.status, answer.document, doi=doi, api=self.api)
        raise StorageError(
            f"DataCite did not answer {self.patience.tries} times: {shortly(answer)}",
            where=f"{method} {doi} at {self.api}",
            fix="run the same command again: it finds out how far this one came",
        ) from answer

    def _once(self, method: str, path: str, body: bytes | None) -> Answer | Exception:
        headers = {
            "Accept": _MEDIA_TYPE,
            "Accept-Encoding": "identity",
            "User-Agent": f"scidata/{__version__}",
        }
        if self.credentials is not None:
            headers["Authorization"] = self.credentials.authorization
        if body is not None:
            headers["Content-Type"] = _MEDIA_TYPE
        wait = self.patience.answer_s
        try:
            answer = self.pool.request(
                method,
                f"{self.api}{path}",
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(wait, 10.0), read=wait),
                redirect=False,
                preload_content=False,
            )
            return self._read(answer)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return error

    def _read(self, answer: urllib3.BaseHTTPResponse) -> Answer:
        """Read an answer of any kind, within limits of size and time."""
        try:
            body = self._body(answer)
        except BaseException:
            answer.close()  # the rest of it must not be taken for the next answer
            raise
        answer.release_conn()
        retry_after = answer.headers.get("Retry-After")
        return Answer(status=answer.status, body=body, retry_after=retry_after)

    def _body(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        until = self.patience.clock() + self.patience.answer_s
        body = bytearray()
        while block := answer.read1(_BLOCK, decode_content=False):
            body += block
            if len(body) > MAX_ANSWER_BYTES:
                raise urllib3.exceptions.HTTPError("the answer is too large")
            if self.patience.clock() > until:
                raise TimeoutError("the answer does not end")
        return bytes(body)

    def _pause(self, attempt: int, answer: Answer | Exception) -> None:
        asked = _seconds(answer.retry_after) if isinstance(answer, Answer) else None
        if asked is not None and asked > self.patience.longest_s:
            raise StorageError(
                f"DataCite asks to wait {asked:.0f} seconds",
                where=self.api,
                fix="run the same command again then",
            )
        growing = (
            self.patience.pause_s * 2 ** (attempt - 1) * (0.5 + self.patience.chance() / 2)
        )
        self.patience.sleep(growing if asked is None else asked)


def _path(doi: str) -> str:
    return f"/dois/{quote(doi, safe='/')}"


def _seconds(retry_after: str | None) -> float | None:
    """Read ``Retry-After``: seconds, or a date."""
    if not retry_after:
        return None
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def shortly(error: Exception) -> str:
    """Say what kind of failure it was; an error's own words may repeat what was sent."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        return shortly(error.reason)
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # to urllib3 a timeout, too
        return "it cannot be reached"
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "it is silent"
    if isinstance(error, urllib3.exceptions.SSLError):
        return "its certificate is not trusted"
    return "the connection ended before the answer"


def seen_state(found: Mapping[str, Any] | None) -> str:  # Any: JSON
    """Return a DOI's state as DataCite says it: draft, registered, findable; or absent."""
    return str(found.get("state", "unknown")) if found else "absent"
