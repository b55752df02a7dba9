"""What time it is by a store's own clock, which says how old its objects are."""

from datetime import datetime

from scidata.errors import StorageError
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.probe import FOLDER


def store_time(store: Store, token: str) -> datetime:
    """Ask a store what time it is: write a small object, look, remove it.

    Raises
    ------
    StorageError
        If the store does not say when an object was written.
    """
    key = f"{FOLDER}/{token}-clock"
    store.create(key, b"what time is it?")
    try:
        when = time_of(store.head(key))
    finally:
        store.delete(key)
    if when is None:
        raise StorageError(
            "the store does not say when an object was written",
            where=store.address,
            fix="remove what is not needed by hand",
        )
    return when


def time_of(facts: ObjectFacts) -> datetime | None:
    """Return when an object was written; None if the store does not say."""
    return parsed(facts.modified)


def parsed(text: str | None) -> datetime | None:
    """Read a time with its zone; None if it is none."""
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return when if when.tzinfo else None
