"""Which keys a store accepts, and the name of an object in messages."""

from scidata.errors import InvalidError
from scidata.paths import path_fault


def checked(key: str) -> str:
    """Return the key, or raise `InvalidError` if it could leave the store."""
    if fault := path_fault(key):
        raise InvalidError(
            f"the key {key!r} {fault}", where="store", fix="do not trust what names this key"
        )
    return key


def checked_prefix(prefix: str) -> str:
    """Return a prefix of keys: empty, a folder and its slash, or the beginning of a key."""
    checked(f"{prefix}x")  # whatever may follow, the folders before it must stay in the store
    return prefix
