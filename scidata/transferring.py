"""Bringing objects from one store to another, every byte compared with its digest on its way.

Small objects pass through memory, large ones through a temporary file (``$TMPDIR``), because
nothing may be written before all of it was compared.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from scidata.digest import Block, Digest
from scidata.errors import (
    ConflictError,
    Damage,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.hashing import Progress
from scidata.parallel import ONE_REQUEST, each
from scidata.storage.addresses import options_of
from scidata.storage.base import Store

SMALL_AT_ONCE = 8
LARGE_AT_ONCE = 2
LOOKS = 2
"""A transfer can spoil bytes that are sound in the store."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One object that must be in the other store, under the same key."""

    key: str
    size: int
    sha256: str
    present: bool = False
    """An object lies there already: compare it instead of sending it."""

    @property
    def digest(self) -> Digest:
        """Of its bytes."""
        return Digest(self.sha256)


def transfer(
    objects: Iterable[Transfer],
    source: Store,
    target: Store,
    *,
    name: str,
    progress: Progress | None = None,
) -> None:
    """Make every object exist in the other store, with its right bytes.

    Parameters
    ----------
    name : str
        Of the version, for messages.
    progress : Progress, optional
        Bytes done and in all.

    Raises
    ------
    IntegrityError
        Naming each object that is damaged or missing in the source; the others have arrived.
    ConflictError
        If a key of the other store holds other bytes.
    StorageError
        If one of the stores fails, or the disk with temporary files is full.
    """
    items = tuple(objects)
    total, done = sum(item.size for item in items), 0
    damage: list[Damage] = []
    small = [item for item in items if item.size <= ONE_REQUEST]
    large = [item for item in items if item.size > ONE_REQUEST]
    for group, threads in ((small, SMALL_AT_ONCE), (large, LARGE_AT_ONCE)):
        bring = partial(_bring, source, target, name)
        for size, found in each(bring, group, threads=threads):
            done += size
            damage += [found] if found else []
            if progress is not None:
                progress(done, total)
    if damage:
        shown = ", ".join(str(item.path) for item in damage[:3])
        raise IntegrityError(
            f"the store to copy from holds other bytes than {name}: {shown}",
            where=source.address,
            fix="find every bad file with: scidata verify "
            f"{name} {options_of(source)}; bring it back from another copy, or mirror from one",
            damage=sorted(damage, key=lambda item: item.path),
        )


def _bring(
    source: Store, target: Store, name: str, item: Transfer
) -> tuple[int, Damage | None]:
    if item.present and (there := _compare(target, item)) != "absent":
        # Look twice, because a transfer can spoil bytes that are sound in the store.
        if there == "other" and _compare(target, item) == "other":
            raise _conflict(target, name, item)
        return item.size, None
    if item.size <= ONE_REQUEST:
        return item.size, _bring_small(source, target, name, item)
    return item.size, _bring_large(source, target, name, item)


def _bring_small(source: Store, target: Store, name: str, item: Transfer) -> Damage | None:
    found = ""
    for _ in range(LOOKS):
        try:
            data = source.read(item.key, limit=max(item.size, 1))
        except NotFoundError:
            return _missing(item)
        except InvalidError:
            found = f"more than {item.size} bytes"
            continue
        if Digest.of(data) == item.digest:
            _create(target, name, item, data)
            return None
        found = str(Digest.of(data))
    return _bad(item, found)


def _bring_large(source: Store, target: Store, name: str, item: Transfer) -> Damage | None:
    found = ""
    for _ in range(LOOKS):
        with tempfile.NamedTemporaryFile(prefix="scidata-mirror-") as file:
            try:
                found = _fill(Path(file.name), file.write, source, item)
                file.flush()
            except NotFoundError:
                return _missing(item)
            if found == str(item.digest):
                _create(target, name, item, Path(file.name))
                return None
    return _bad(item, found)


def _fill(path: Path, write: Callable[[Block], int], source: Store, item: Transfer) -> str:
    """Write an object to the disk; returns what was found of it."""
    hasher, size = hashlib.sha256(), 0
    for block in source.stream(item.key):
        size += len(block)
        if size > item.size:
            return f"more than {item.size} bytes"
        hasher.update(block)
        try:
            write(block)
        except OSError as error:
            raise StorageError(
                f"a temporary file cannot be written: {error.strerror}",
                where=str(path.parent),
                fix="set TMPDIR to a folder with room for the largest file, then run it again",
            ) from error
    return f"sha256:{hasher.hexdigest()}"


def _create(target: Store, name: str, item: Transfer, data: bytes | Path) -> None:
    try:
        if target.create(item.key, data, digest=item.digest):
            return
    except StorageError:
        # The answer may have been lost on its way although the object arrived.
        if _compare(target, item) != "same":
            raise
        return
    there = _compare(target, item)
    if there == "absent" and target.create(item.key, data, digest=item.digest):
        return  # a condition that failed without cause
    if there != "same" and _compare(target, item) != "same":
        raise _conflict(target, name, item)


def _compare(store: Store, item: Transfer) -> Literal["same", "other", "absent"]:
    try:
        facts = store.head(item.key)
        if facts.size != item.size:
            return "other"
        found = facts.digest or _digest(store, item)
    except NotFoundError:
        return "absent"
    return "same" if found == item.digest else "other"


def _digest(store: Store, item: Transfer) -> Digest:
    hasher = hashlib.sha256()
    for block in store.stream(item.key):
        hasher.update(block)
    return Digest(hasher.hexdigest())


def _missing(item: Transfer) -> Damage:
    return Damage(path=item.key, state="missing", expected=str(item.digest))


def _bad(item: Transfer, found: str) -> Damage:
    return Damage(path=item.key, state="bad", expected=str(item.digest), found=found)


def _conflict(target: Store, name: str, item: Transfer) -> ConflictError:
    return ConflictError(
        f"the key {item.key!r} holds other bytes than {name}",
        where=target.address,
        fix="another upload of this version began there and was never finished: remove that "
        "key if nobody works on it (scidata gc does after 7 days), then run it again",
    )
