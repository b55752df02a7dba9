"""Bringing files into their places: the only part of a repair that writes."""

import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scidata.digest import Digest
from scidata.errors import NotFoundError
from scidata.hashing import Meter, Progress, hash_files, hash_stream
from scidata.parallel import each
from scidata.pulling.fetch import Fetch, fetch
from scidata.repairing.source import Source
from scidata.storage.base import Store

AT_ONCE = 4
"""Files on their way at the same time; into a store, each waits on the local disk."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """One file that is still wrong, and why."""

    path: str
    state: str
    """``bad``, ``missing`` or ``extra``."""
    reason: str


class Destination(Protocol):
    """Where repaired files go."""

    def put(self, source: Source, item: Fetch, meter: Meter, stop: threading.Event) -> str:
        """Bring one file into its place; returns why not, or nothing."""
        ...

    def digest(self, path: str) -> Digest | None:
        """Read back what lies in a file's place; None if nothing does."""
        ...


def bring(
    source: Source,
    into: Destination,
    fetches: Iterable[Fetch],
    *,
    progress: Progress | None,
) -> list[Left]:
    """Bring files and read them back; returns those that are not right after all."""
    items = tuple(fetches)
    meter = Meter(sum(item.size for item in items), progress)
    stop = threading.Event()

    def one(item: Fetch) -> Left | None:
        reason = into.put(source, item, meter, stop)
        found = into.digest(item.path)
        if found == item.digest:
            return None
        state = "missing" if found is None else "bad"
        return Left(path=item.path, state=state, reason=reason or "it was changed meanwhile")

    refused = [
        left for left in each(one, items, threads=AT_ONCE, stop=stop) if left is not None
    ]
    meter.tell()
    return refused


def receive(
    source: Source, item: Fetch, folder: Path, meter: Meter, stop: threading.Event
) -> str:
    """Bring one file into a folder under its own path; returns why not, or nothing."""
    damage = fetch(source.store, item, folder, meter, stop)
    if damage is None:
        return ""
    if damage.state == "missing":
        return "the source does not have it"
    return f"it is damaged in the source, too: expected {damage.expected}, found {damage.found}"


@dataclass(frozen=True)
class IntoFolder:
    """A copy of a version: ``NAME.part`` takes the name when its bytes are right."""

    folder: Path

    def put(self, source: Source, item: Fetch, meter: Meter, stop: threading.Event) -> str:
        """Bring one file."""
        return receive(source, item, self.folder, meter, stop)

    def digest(self, path: str) -> Digest | None:
        """Read one file."""
        try:
            return hash_files([(path, self.folder / path)], threads=1)[path][0]
        except NotFoundError:
            return None


@dataclass(frozen=True)
class IntoStore:
    """A version in a store: objects are created, never overwritten."""

    store: Store
    key: Callable[[str], str]
    replace: bool
    """Whether a damaged object may be deleted to make room."""

    def put(self, source: Source, item: Fetch, meter: Meter, stop: threading.Event) -> str:
        """Bring one object by way of the local disk, where it is compared first."""
        with tempfile.TemporaryDirectory(prefix="scidata-repair-") as temporary:
            folder = Path(temporary)
            if reason := receive(source, item, folder, meter, stop):
                return reason
            if stop.is_set():
                return "the repair was interrupted"
            file, key = folder / item.path, self.key(item.path)
            if self.store.create(key, file, digest=item.digest):
                return ""
            # A second look: what was damaged on its way to us is sound in the store, and
            # somebody else may be repairing the same.
            if self.digest(item.path) == item.digest:
                return ""
            if not self.replace:
                return "other bytes were written there meanwhile"
            self.store.delete(key)
            self.store.create(key, file, digest=item.digest)
        return ""

    def digest(self, path: str) -> Digest | None:
        """Read one object."""
        try:
            return hash_stream(self.store.stream(self.key(path)))[0]
        except NotFoundError:
            return None
