"""One small file, from a path or an address, through fsspec as Intake would read it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.storage.addresses import split_url
from scidata.storage.hosts import Reach, reach_of_url, resolved_reach

SMALL_FILE_S = 15.0
"""Seconds for one request for a catalog."""
_SCHEMES = ("file", "s3", "https", "http")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The bytes, and where they came from."""

    data: bytes
    url: str
    folder: str
    """What Intake calls ``CATALOG_DIR``: an address without a final slash."""
    reach: Reach
    """How far inside a network they came from."""


def fetch(
    url: str,
    options: Mapping[str, Any],  # Any: fsspec's own options
    *,
    limit: int,
) -> Fetched:
    """Read a file of at most `limit` bytes.

    Raises
    ------
    NotFoundError
        If it does not exist.
    InvalidError
        If it is larger, or the address is of another kind.
    StorageError
        If it cannot be reached or read.
    """
    import fsspec

    scheme, separator, _ = url.partition("://")
    # fsspec takes "data:" for a protocol, too, and "::" for a chain of them.
    if (separator and scheme not in _SCHEMES) or "::" in url or url.startswith("data:"):
        raise InvalidError(
            f"{shown(url)!r} is not an address of a kind that scidata reads",
            where=shown(url),
            fix="give a path, file://, s3://, https:// or http://",
        )
    try:
        system, path = fsspec.core.url_to_fs(url, **_careful(scheme, url, options))
        with system.open(path, "rb") as file:
            data: bytes = file.read(limit + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise _absent(url, error) from error
    except _unreachable(scheme if separator else "file") as error:
        raise _unread(url, error) from error
    if len(data) > limit:
        raise InvalidError(
            f"the catalog is larger than {limit} bytes",
            where=shown(url),
            fix="give the address of an Intake catalog, not of data",
        )
    folder = system.unstrip_protocol(system._parent(path))  # as Intake computes it
    return Fetched(data=data, url=url, folder=folder, reach=reach_of_url(url, options))


def _patience(scheme: str) -> Mapping[str, Any]:  # Any: fsspec's own options
    """Return options that wait for a silent server half a minute in all, not five."""
    if scheme == "s3":  # s3fs asks five times
        once = {"total_max_attempts": 1}
        return {"config_kwargs": {"read_timeout": SMALL_FILE_S / 3, "retries": once}}
    return {}


def _careful(
    scheme: str,
    url: str,
    options: Mapping[str, Any],  # Any: fsspec's own options
) -> Mapping[str, Any]:  # Any: fsspec's own options
    """Add to the options what keeps a server from making us wait, unpack, or ask elsewhere."""
    if scheme not in {"http", "https"}:
        return {**_patience(scheme), **options}
    from aiohttp import ClientTimeout, TraceConfig

    watch = TraceConfig()
    watch.on_request_redirect.append(_redirect_watch(url))
    careful = {
        "timeout": ClientTimeout(total=SMALL_FILE_S),  # for the head, then for the file
        "auto_decompress": False,  # what is compressed has no limit before it is unpacked
        "trace_configs": [watch],
    }
    given = options.get("client_kwargs") or {}
    return {**options, "client_kwargs": {**careful, **given}, "skip_instance_cache": True}


def _redirect_watch(url: str) -> Callable[..., Awaitable[None]]:
    """Return what refuses to be sent further inside a network, or from https to http."""
    allowed = reach_of_url(url, {})

    async def watch(session: object, context: object, told: Any) -> None:  # Any: aiohttp's
        target = urljoin(str(told.url), told.response.headers.get("Location", ""))
        parts = split_url(target)
        host = (parts.hostname if parts else None) or ""
        plain = parts is None or parts.scheme != "https"
        weaker = url.startswith("https:") and plain
        if weaker or await asyncio.to_thread(resolved_reach, host) > allowed:
            raise InvalidError(
                f"the server sends its readers to {shown(target)!r}",
                where=shown(url),
                fix="this address is refused: it lies further inside the network, or is not "
                "https as the first; if you trust both, give the second one",
            )

    return watch


def shown(url: str) -> str:
    """Return an address for a message: without query, user name or password, which are secrets.

    Examples
    --------
    >>> shown("https://me:secret@example.org/a.yaml?X-Amz-Signature=00ff")
    'https://example.org/a.yaml'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _absent(url: str, error: OSError) -> NotFoundError | StorageError | InvalidError:
    # fsspec calls every failure over http a missing file; the cause tells them apart.
    cause = error.__cause__
    if isinstance(cause, InvalidError):
        return cause
    if cause is not None and getattr(cause, "status", None) != HTTPStatus.NOT_FOUND:
        return _unread(url, cause)
    return NotFoundError(
        f"there is no catalog {shown(url)!r}",
        where=shown(url),
        fix="give the address of a YAML file, such as …/index.yaml",
    )


def _unread(url: str, error: BaseException) -> StorageError:
    return StorageError(
        f"the catalog cannot be read: {type(error).__name__}",
        where=shown(url),
        fix="check the address, the network, and your permission to read it",
    )


def _unreachable(scheme: str) -> tuple[type[Exception], ...]:
    """Return what the client of a scheme raises besides `OSError`."""
    if scheme == "s3":
        from botocore.exceptions import BotoCoreError, ClientError

        return (OSError, BotoCoreError, ClientError)
    if scheme in {"http", "https"}:
        from aiohttp import ClientError as HttpError

        return (OSError, HttpError)
    return (OSError,)
