"""Stores: where versions live. A folder, a bucket, memory, or a web server to read from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from scidata.errors import InvalidError
from scidata.storage.addresses import file_url_folder, local_folder
from scidata.storage.base import Store

STARTED_IN = os.getpid()
"""Rust's threads do not survive a fork: in another process a read through them never ends."""

StoreLike: TypeAlias = Store | str | Path
"""A store, or where one is: a folder, ``s3://bucket/prefix``, ``https://host/path``."""


def open_store(
    url: StoreLike | None = None,
    *,
    endpoint_url: str | None = None,
    anonymous: bool = False,
) -> Store:
    """Return the store at an address; nothing is contacted yet.

    Parameters
    ----------
    url : Store, str, Path or None
        A store (returned as it is), a folder, ``file:///path``, ``s3://bucket/prefix`` or
        ``https://host/path``. None stands for `default_store_url`.
    endpoint_url : str, optional
        S3 server to talk to. Default: ``$AWS_ENDPOINT_URL_S3``, else ``$AWS_ENDPOINT_URL``,
        else AWS.
    anonymous : bool
        Read S3 without credentials.

    Raises
    ------
    InvalidError
        If the address is empty, malformed or of another kind, or carries credentials.
    StorageError
        If S3 needs credentials and none, or half of them, are found.
    """
    if url is None:
        url = default_store_url()
    if isinstance(url, str) and (scheme := _scheme(url)) != "":
        return _open_url(scheme, url, endpoint_url=endpoint_url, anonymous=anonymous)
    if isinstance(url, str | Path):
        from scidata.storage.local import LocalStore

        return LocalStore(local_folder(url))
    return url


def default_store_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return ``$SCIDATA_STORE``, else a folder among the user's application data."""
    if url := environ.get("SCIDATA_STORE"):
        return url
    import platformdirs

    return platformdirs.user_data_dir("scidata", appauthor=False)


def _open_url(scheme: str, url: str, *, endpoint_url: str | None, anonymous: bool) -> Store:
    if scheme == "file":
        from scidata.storage.local import LocalStore

        return LocalStore(file_url_folder(url))
    if scheme == "s3":
        from scidata.storage.s3 import S3Store
        from scidata.storage.s3_address import parse_address

        address = parse_address(
            url, endpoint_url=endpoint_url, anonymous=anonymous, environ=os.environ
        )
        return S3Store(address, environ=os.environ)
    if scheme in {"http", "https"}:
        from scidata.storage.http import HttpStore

        return HttpStore(url)
    raise InvalidError(
        f"{scheme}:// is not a kind of store that scidata knows",
        where="--store",
        fix="give a folder, s3://bucket/prefix or https://host/path",
    )


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""
