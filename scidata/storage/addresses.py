"""Addresses as users type them: read without a traceback, and written to be typed again."""

import os
import shlex
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from scidata.errors import InvalidError
from scidata.storage.base import Store


def options_of(store: Store) -> str:
    """Write the options that lead a command to a store, for a remedy to be typed as it stands.

    Examples
    --------
    >>> from scidata.storage.memory import MemoryStore
    >>> options_of(MemoryStore())
    '--store memory://memory'
    """
    words = ["--store", store.url]
    if endpoint := store.address.removeprefix(store.url).removeprefix(" at "):
        # A folder's address is its path, which needs no further word.
        words += ["--endpoint-url", endpoint] if store.url.startswith("s3://") else []
    if store.url.startswith("s3://") and not store.writable:
        words.append("--no-sign-request")
    return shlex.join(words)


def refuse_inside(store: Store, folder: Path) -> None:
    """Refuse a store that lies in the folder whose files it is to hold.

    Raises
    ------
    InvalidError
        If it does.
    """
    if store.url.startswith("file://"):
        place = file_url_folder(store.url).resolve()
        if place.is_relative_to(folder.resolve()):
            raise InvalidError(
                f"the store lies in {str(folder)!r}, the files of which it is to hold",
                where=store.address,
                fix="choose a store outside that folder (--store)",
            )


def split_url(url: str) -> SplitResult | None:
    """Take a URL apart; None if its host or port is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read on demand, and only then refused
    except ValueError:
        return None
    return parts


def local_folder(path: str | Path) -> Path:
    """Return the absolute folder that a path names.

    Raises
    ------
    InvalidError
        If the path is empty, names no user's home, or holds what no URL or message can.
    """
    if not str(path).strip():
        raise _no_folder(str(path), "give a folder, such as . for the current one")
    try:
        folder = Path(path).expanduser().absolute()
        str(folder).encode()
    except (RuntimeError, UnicodeEncodeError) as error:
        raise _no_folder(str(path), "write a path in UTF-8, and an existing ~user") from error
    if "\0" in str(folder):
        raise _no_folder(str(path), "leave out the byte 0, which no path may hold")
    return folder


def file_url_folder(url: str) -> Path:
    """Return the folder that a ``file://`` URL names.

    Raises
    ------
    InvalidError
        If it lies on another machine, or is not a path.
    """
    parts = split_url(url)
    fix = "write file:///absolute/path or just the path"
    if parts is None or parts.netloc not in {"", "localhost"} or not parts.path:
        raise _no_folder(url, fix)
    try:
        return local_folder(unquote(parts.path, errors="strict"))
    except UnicodeDecodeError as error:
        raise _no_folder(url, fix) from error


def _no_folder(path: str, fix: str) -> InvalidError:
    shown = ascii(os.fspath(path))  # it may hold what a terminal cannot show
    return InvalidError(f"{shown} is not a folder on this machine", where="--store", fix=fix)
