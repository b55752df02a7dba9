"""Addresses as users type them, read so that none of them ends in a traceback."""

import os
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from scidata.errors import InvalidError


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
