"""Does a store keep its promise to create an object at most once? Ask it, before relying on it.

Some servers accept ``If-None-Match: *`` and ignore it; on such a store two publishers can
overwrite each other's objects without either noticing.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scidata.errors import NotFoundError, StorageError
from scidata.storage.base import Store

FOLDER = ".scidata-probe"
WRITERS = 8
TRUSTED_FOR = timedelta(days=30)
"""A server may be exchanged or upgraded, so that an answer is not believed for ever."""

_MAX_BYTES = 2**20


def fault_of(store: Store, token: str) -> str | None:
    """Say which promise a store breaks, or None if it keeps them.

    Parameters
    ----------
    store : Store
        Small objects are created in it, and removed if it allows that.
    token : str
        Makes the names of these objects new: random, each time another.
    """
    one, race = f"{FOLDER}/{token}-one", f"{FOLDER}/{token}-race"
    try:
        return _sequential_fault(store, one) or _race_fault(store, race)
    finally:
        for key in (one, race):
            # Writers need not be allowed to delete; some bytes then stay behind.
            with suppress(StorageError):
                store.delete(key)


def _sequential_fault(store: Store, key: str) -> str | None:
    if not store.create(key, b"first"):
        return "it says that a new object exists already"
    if store.create(key, b"second"):
        return "it overwrites an existing object when told to create"
    if _content(store, key) != b"first":
        return "it does not return what was written"
    return None


def _race_fault(store: Store, key: str) -> str | None:
    payloads = [f"writer {number}".encode() for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(lambda data: store.create(key, data), payloads))
    if won.count(True) != 1:
        return f"{won.count(True)} of {WRITERS} writers created the same object"
    if _content(store, key) != payloads[won.index(True)]:
        return "a writer that lost a race overwrote the winner"
    return None


def _content(store: Store, key: str) -> bytes | None:
    try:
        return store.read(key, limit=1000)
    except NotFoundError:
        return None


def is_remembered(memory: Path, address: str, *, now: datetime) -> bool:
    """Tell whether this store passed the probe lately; a damaged memory counts as none."""
    since = _remembered(memory).get(address)
    return since is not None and now - since < TRUSTED_FOR


def remember(memory: Path, address: str, *, now: datetime) -> None:
    """Note that a store passed. A note that cannot be kept costs the next run a second."""
    notes = {a: when.isoformat() for a, when in _remembered(memory).items()}
    notes[address] = now.isoformat()
    text = json.dumps({"schema": "scidata-probes/1", "passed": notes}, indent=1, sort_keys=True)
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside = memory.with_suffix(".new")
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(memory)


def _remembered(memory: Path) -> dict[str, datetime]:
    try:
        with memory.open("rb") as file:
            notes = json.loads(file.read(_MAX_BYTES))["passed"]
        return {address: _utc(when) for address, when in _texts(notes).items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _texts(notes: object) -> Mapping[str, str]:
    return {str(k): str(v) for k, v in notes.items()} if isinstance(notes, dict) else {}


def _utc(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
