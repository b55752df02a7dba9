"""Which versions this user saw in which store: notes, by which a roll-back is noticed.

A store that shows less than it did, or another digest under the same number, was put back to
an older state, or is another one. Nothing in the store can tell that; the reader's memory can.

One small file for each store and dataset, in the user's state folder. Whatever is wrong with it
counts as having seen nothing, and a note that cannot be kept is no error.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scidata.errors import InvalidError
from scidata.storage.base import Store
from scidata.surroundings import state_folder
from scidata.version import CommitRecord, VersionNumber
from scidata.warning import warn

FOLDER = "seen"
MAX_DIGESTS = 1000
"""Numbers of one dataset whose digests are remembered, the newest first."""

_SCHEMA = "scidata-seen/1"
_MAX_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What was seen of one dataset in one store."""

    newest: VersionNumber | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    """By number."""


def remember(
    store: Store,
    commit: CommitRecord,
    newest: VersionNumber | None = None,
    *,
    folder: Path | None = None,
) -> None:
    """Compare what a store shows with what it showed before; warn if it shows less or another.

    Parameters
    ----------
    newest : VersionNumber, optional
        The newest that the store shows, if it was asked.
    folder : Path, optional
        Where the notes are. Default: in the user's state folder.
    """
    path = _path(store, commit.dataset, folder)
    if path is None:
        return
    before = _recall(path)
    if newest is not None and before.newest is not None and newest < before.newest:
        _warn_of(
            f"the newest version of {commit.dataset!r} in {store.address} is {newest}, and "
            f"{before.newest} was seen there before",
            path,
        )
    digest = before.digests.get(commit.version, commit.digest)
    if digest != commit.digest:
        _warn_of(
            f"{commit.name} in {store.address} has the digest {commit.digest}, and {digest} "
            "was seen there before",
            path,
        )
    shown = [number for number in (before.newest, newest, commit.number) if number]
    after = Memory(newest=max(shown), digests={**before.digests, commit.version: digest})
    if after != before:
        _note(path, store.address, commit.dataset, after)


def miss(
    store: Store, dataset: str, number: VersionNumber, *, folder: Path | None = None
) -> None:
    """Warn if a version that a store does not show was seen there before."""
    path = _path(store, dataset, folder)
    digest = _recall(path).digests.get(str(number)) if path else None
    if path and digest:
        _warn_of(
            f"{dataset}@{number} was seen in {store.address} before, with the digest {digest}",
            path,
        )


def _warn_of(what: str, path: Path) -> None:
    warn(
        f"{what}: the store was put back to an older state, or is another one. Compare it with "
        f"another copy, or ask whoever runs it; if it was made anew on purpose, remove {path}"
    )


def _path(store: Store, dataset: str, folder: Path | None) -> Path | None:
    """Return where the note is; None where none is kept."""
    if store.url.startswith("memory:"):  # it ends with this process
        return None
    folder = folder or state_folder() / FOLDER
    if store.url.startswith("file:") and folder.absolute().is_relative_to(store.address):
        return None  # reading writes nothing into a store
    name = hashlib.sha256(f"{store.address}\n{dataset}".encode()).hexdigest()
    return folder / f"{name[:32]}.json"


def _recall(path: Path) -> Memory:
    try:
        with path.open("rb") as file:
            notes = json.loads(file.read(_MAX_BYTES))
        if notes["schema"] != _SCHEMA:
            return Memory()
        digests = {str(VersionNumber.parse(k)): str(v) for k, v in notes["digests"].items()}
        return Memory(newest=VersionNumber.parse(notes["newest"]), digests=digests)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InvalidError):
        return Memory()


def _note(path: Path, address: str, dataset: str, memory: Memory) -> None:
    kept = sorted(memory.digests, key=VersionNumber.parse)[-MAX_DIGESTS:]
    fields = {
        "schema": _SCHEMA,
        "store": address,
        "dataset": dataset,
        "newest": str(memory.newest),
        "digests": {number: memory.digests[number] for number in kept},
    }
    beside = path.with_suffix(f".{os.getpid()}.new")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
