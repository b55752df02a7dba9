"""Official schemas, kept in a cache: fetched once from their own addresses, and pinned.

None is copied into the package. ``metadata/vocabularies/schemas.json`` names each file with its
sha256; in the cache it lies under the host and path of its address. The cache is
``$SCIDATA_SCHEMAS``, which is used as it is and never added to, else a folder of the user's.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from scidata.errors import IntegrityError, NotFoundError, StorageError

MAX_SCHEMA_BYTES = 4 * 2**20
PATIENCE_S = 15.0
VARIABLE = "SCIDATA_SCHEMAS"


@dataclass(frozen=True, kw_only=True)
class SchemaCache:
    """A folder of schemas; `may_fetch` allows to add to it what is missing."""

    folder: Path
    may_fetch: bool = False


def users_cache(environ: Mapping[str, str], *, offline: bool = False) -> SchemaCache:
    """Return the cache of an environment."""
    if given := environ.get(VARIABLE):
        return SchemaCache(folder=Path(given))
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("scidata", appauthor=False)) / "schemas"
    return SchemaCache(folder=folder, may_fetch=not offline)


def pins(name: str) -> dict[str, str]:
    """Return the files of a schema by their addresses, each with its sha256."""
    text = (files("scidata") / "metadata" / "vocabularies" / "schemas.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)[name]
    return found


def schema_file(name: str, cache: SchemaCache) -> Path:
    """Return where a schema lies, every file of it compared with its pin.

    Parameters
    ----------
    name : str
        Such as ``datacite-4.7``.

    Raises
    ------
    NotFoundError
        If a file of it is not in the cache and may not be fetched.
    IntegrityError
        If a file is another one than was pinned, in the cache or at its address.
    StorageError
        If it cannot be fetched or kept.
    """
    wanted = pins(name)
    for url, sha256 in wanted.items():
        _ensure(url, sha256, cache)
    return _place(next(iter(wanted)), cache)


def _place(url: str, cache: SchemaCache) -> Path:
    parts = urlsplit(url)
    return cache.folder / parts.netloc / parts.path.removeprefix("/")


def _ensure(url: str, sha256: str, cache: SchemaCache) -> None:
    place = _place(url, cache)
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        data = None
    except OSError as error:
        raise _unkept(place, error) from error
    if data is not None:
        _compare(data, sha256, where=str(place), fix=f"remove {place}, then run it again")
        return
    if not cache.may_fetch:
        raise NotFoundError(
            f"the schema {url} is not in the cache",
            where=str(cache.folder),
            fix=f"unset {VARIABLE} to have it fetched into your own cache, or add the file",
        )
    data = _fetch(url)
    _compare(data, sha256, where=url, fix="upgrade scidata, which may know a newer schema")
    _keep(place, data)


def _compare(data: bytes, sha256: str, *, where: str, fix: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise IntegrityError(
            f"this schema is not the one that was pinned: sha256 {found}, not {sha256}",
            where=where,
            fix=fix,
        )


def _fetch(url: str) -> bytes:
    import urllib3

    try:
        with urllib3.PoolManager(timeout=PATIENCE_S, retries=False) as pool:
            answer = pool.request("GET", url, redirect=False, preload_content=False)
            data = answer.read(MAX_SCHEMA_BYTES + 1, decode_content=False)
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StorageError(
            f"the schema could not be fetched: {type(error).__name__}",
            where=url,
            fix="check the network; without the schema scidata judges by its own rules",
        ) from error
    if answer.status != 200 or len(data) > MAX_SCHEMA_BYTES:  # noqa: PLR2004 - OK
        raise StorageError(
            f"the schema could not be fetched: the answer is {answer.status}",
            where=url,
            fix="try again later; without the schema scidata judges by its own rules",
        )
    return bytes(data)


def _keep(place: Path, data: bytes) -> None:
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(place)
    except OSError as error:
        raise _unkept(place, error) from error


def _unkept(place: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the schema cache cannot be used: {error.strerror}",
        where=str(place),
        fix=f"make it readable and writable, or set {VARIABLE} to another folder",
    )
