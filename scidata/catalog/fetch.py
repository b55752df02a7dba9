"""One small file, from a path or an address, through fsspec as Intake would read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from scidata.errors import InvalidError, NotFoundError, StorageError

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
    if (separator and scheme not in _SCHEMES) or "::" in url:
        raise InvalidError(
            f"{shown(url)!r} is not an address of a kind that scidata reads",
            where=shown(url),
            fix="give a path, file://, s3://, https:// or http://",
        )
    try:
        system, path = fsspec.core.url_to_fs(url, **{**_patience(scheme), **options})
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
    return Fetched(data=data, url=url, folder=folder)


def _patience(scheme: str) -> Mapping[str, Any]:  # Any: fsspec's own options
    """Return options that wait for a silent server half a minute in all, not five."""
    if scheme == "s3":  # s3fs asks five times
        once = {"total_max_attempts": 1}
        return {"config_kwargs": {"read_timeout": SMALL_FILE_S / 3, "retries": once}}
    if scheme in {"http", "https"}:  # for the head, then for the file
        from aiohttp import ClientTimeout

        return {"client_kwargs": {"timeout": ClientTimeout(total=SMALL_FILE_S)}}
    return {}


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


def _absent(url: str, error: OSError) -> NotFoundError | StorageError:
    # fsspec calls every failure over http a missing file; the cause tells them apart.
    cause = error.__cause__
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
