"""Carrying out a plan: upload, look that everything is there, commit. No decisions."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from scidata.digest import Block, Digest
from scidata.errors import (
    ConflictError,
    Damage,
    IntegrityError,
    NotFoundError,
    StorageError,
)
from scidata.formats import prefix_of
from scidata.hashing import Progress, hash_parts, tell_files
from scidata.locations import Locations
from scidata.measure.files import Stamps
from scidata.parallel import each
from scidata.publishing.plan import Plan, Step, conflict, refuse_strangers
from scidata.resolve import commit_key, read_commit
from scidata.storage.addresses import options_of
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.checksums import KeepsChecksums
from scidata.version import CommitRecord, VersionNumber, commit_bytes

SMALL = 8 * 2**20
SMALL_AT_ONCE = 8
LARGE_AT_ONCE = 4
"""Files over `SMALL`; how much memory they take together is the store's to bound."""
LOOKS = 3
PAUSE_S = 0.5

Deed = Literal["sent", "copied", "found"]
"""How an object came to exist: uploaded, copied inside the store, or there already."""


def upload(store: Store, plan: Plan, *, progress: Progress | None) -> Counter[Deed]:
    """Make every object of the plan exist; returns how many came to exist in which way.

    Raises
    ------
    ConflictError
        If a key holds other bytes: somebody else's, which were not overwritten.
    IntegrityError
        If a staged file changed after it was measured.
    StorageError
        If the store fails.
    """
    total = sum(step.size for step in plan.steps)
    done, files = 0, 0
    deeds: Counter[Deed] = Counter()
    small = [step for step in plan.steps if step.size <= SMALL]
    large = [step for step in plan.steps if step.size > SMALL]
    for steps, threads in ((small, SMALL_AT_ONCE), (large, LARGE_AT_ONCE)):
        put = partial(_put, store, commit=plan.commit)
        for size, deed in each(put, steps, threads=threads):
            done, files = done + size, files + 1
            deeds[deed] += 1
            if progress is not None:
                progress(done, total)
                tell_files(progress, files, len(small) + len(large))
    return deeds


def check_listing(store: Store, plan: Plan) -> None:
    """Compare what lies under the version's prefix with the plan: names and sizes.

    Raises
    ------
    ConflictError
        If something else lies there, too.
    StorageError
        If an object is missing although its upload succeeded.
    """
    wanted = [step for step in plan.steps if step.key.startswith(plan.prefix)]
    missing: list[str] = []
    for _ in range(LOOKS):
        found = present(store, plan.prefix)
        refuse_strangers(wanted, found, commit=plan.commit)
        missing = [step.key for step in wanted if step.key not in found]
        if not missing:
            return
        time.sleep(PAUSE_S)  # a listing may lag behind
    raise StorageError(
        f"{len(missing)} objects were written but are not listed, first {missing[0]!r}",
        where=store.address,
        fix="run the same command again; nothing was published",
    )


def check_inherited(store: Store, plan: Plan) -> None:
    """Look whether the store still holds what the version relies on: names and sizes.

    Raises
    ------
    IntegrityError
        Naming each object that is missing or of another size.
    """
    prefixes = {"/".join(key.split("/")[:2]) + "/" for key in plan.inherited}
    damage: list[Damage] = []
    for _ in range(LOOKS):
        found: dict[str, int] = {}
        for prefix in sorted(prefixes):
            found |= present(store, prefix)
        damage = list(_lost(plan.inherited, found))
        if not damage:
            return
        time.sleep(PAUSE_S)  # a listing may lag behind
    raise IntegrityError(
        f"the store does not hold {len(damage)} of the {len(plan.inherited)} objects of older "
        f"versions on which {plan.commit.name} would rely, first {damage[0].path!r}",
        where=store.address,
        fix="bring them back from another copy of the store; or publish under the next number "
        "with --full, which relies on nothing",
        damage=damage,
    )


def check_held(
    store: Store, committed: CommitRecord, sizes: Mapping[str, int], locations: Locations
) -> None:
    """Look whether a store still holds every object of a committed version: names and sizes.

    Parameters
    ----------
    sizes : mapping of str to int
        Of the payload, in bytes, by path in the bag.
    locations : Locations
        Where the payload lies.

    Raises
    ------
    IntegrityError
        Naming each object that is missing or of another size.
    """
    base = prefix_of(committed.version)
    held = locations.roots(sizes)
    top = f"{committed.dataset}/"
    wanted = {locations.of(path).key.removeprefix(top): size for path, size in sizes.items()}
    wanted |= {key: tag.size for key, tag in committed.tags.items()}
    beside = [key for key in committed.tags if not key.startswith(base)]
    damage: list[Damage] = []
    for _ in range(LOOKS):
        found: dict[str, int] = {}
        for root in {*held, top + base.rstrip("/")}:
            listed = present(store, f"{root}/")
            found |= {key.removeprefix(top): n for key, n in listed.items()}
        found |= {key: size for key in beside if (size := _size(store, committed, key)) >= 0}
        damage = list(_lost(wanted, found))
        if not damage:
            return
        time.sleep(PAUSE_S)  # a listing may lag behind
    raise IntegrityError(
        f"{committed.name} is published, but the store does not hold {len(damage)} of its "
        f"{len(wanted)} objects as they were, first {damage[0].path!r}",
        where=store.address,
        fix="bring these objects back from another copy of the store; to compare every byte: "
        f"scidata verify {committed.name} {options_of(store)}",
        damage=damage,
    )


def check_unchanged(before: Stamps, after: Stamps, *, where: str) -> None:
    """Raise `IntegrityError` if a staged file changed while it was uploaded."""
    if before != after:
        changed = sorted(
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        )
        raise IntegrityError(
            f"{len(changed)} files changed while they were published, first {changed[0]!r}",
            where=where,
            fix="stop whatever writes there, then run the same command again; nothing was "
            "published",
        )


def commit(store: Store, record: CommitRecord) -> CommitRecord:
    """Create the commit record: from then on the version exists.

    Returns
    -------
    CommitRecord
        Ours, or one with the same digest that another publisher committed first.

    Raises
    ------
    ConflictError
        If somebody committed other data under this number.
    StorageError
        If the store fails and it is not known whether the version exists.
    """
    key = commit_key(record.dataset, record.version)
    try:
        if store.create(key, commit_bytes(record)):
            return record
    except StorageError:
        found = existing_commit(store, record.dataset, record.version)
        if found is None:
            raise
    else:
        found = existing_commit(store, record.dataset, record.version)
    if found is None:
        raise StorageError(
            "the store says that the commit record exists, but does not return it",
            where=f"{key} in {store.address}",
            fix="run the same command again",
        )
    if found.digest != record.digest:
        raise ConflictError(
            f"somebody else published {record.name} first, with other data: {found.digest}",
            where=f"{key} in {store.address}",
            fix="publish these data under the next version number",
        )
    return found


def existing_commit(store: Store, dataset: str, version: str) -> CommitRecord | None:
    """Return a version's commit record, or None if the version does not exist."""
    try:
        return read_commit(store, dataset, VersionNumber.parse(version))
    except NotFoundError:
        return None


def present(store: Store, prefix: str) -> dict[str, int]:
    """Return the size in bytes of every object under a prefix."""
    return {facts.key: facts.size for facts in store.list(prefix)}


def _size(store: Store, committed: CommitRecord, key: str) -> int:
    try:
        return store.head(f"{committed.dataset}/{key}").size
    except NotFoundError:
        return -1


def _lost(wanted: Mapping[str, int], found: Mapping[str, int]) -> Iterator[Damage]:
    lost = [key for key, size in wanted.items() if found.get(key) != size]
    for key in sorted(lost):
        size = wanted[key]
        if key not in found:
            yield Damage(path=key, state="missing", expected=f"{size} bytes")
        else:
            yield Damage(
                path=key, state="bad", expected=f"{size} bytes", found=f"{found[key]} bytes"
            )


def _put(store: Store, step: Step, *, commit: CommitRecord) -> tuple[int, Deed]:
    """Make one object exist; returns its size, and how it came to exist."""
    if not step.present and step.copy and _copy(store, step, step.copy):
        return step.size, "copied"
    if not step.present and _create(store, step):
        return step.size, "sent"
    there = _compare(store, step)
    if there == "absent" and _create(store, step):  # a condition that failed without cause
        return step.size, "sent"
    # Look twice, because a transfer can spoil bytes that are sound in the store.
    if there != "same" and _compare(store, step) != "same":
        raise conflict(f"the key {step.key!r} holds other bytes", commit)
    return step.size, "found"


def _copy(store: Store, step: Step, source: str) -> bool:
    """Let the store copy; False if it cannot, or did not: then the bytes are here to be sent.

    A copy of other bytes could never be corrected, so size and recorded digest are looked at.
    """
    try:
        facts = store.head(source)
        if facts.size != step.size or facts.digest not in {None, step.digest}:
            return False
        return store.copy(source, step.key)
    except (NotFoundError, StorageError):
        return False


def _create(store: Store, step: Step) -> bool:
    try:
        return store.create(step.key, step.source, digest=step.digest)
    except StorageError:
        # The answer may have been lost on its way although the object arrived.
        if _compare(store, step) != "same":
            raise
        return True


def _compare(store: Store, step: Step) -> Literal["same", "other", "absent"]:
    try:
        facts = store.head(step.key)
        if facts.size != step.size:
            return "other"
        found = facts.digest or _composed(store, step, facts) or _digest(store.stream(step.key))
    except NotFoundError:
        return "absent"
    return "same" if found == step.digest else "other"


def _composed(store: Store, step: Step, facts: ObjectFacts) -> Digest | None:
    """Compare a file with the sha256 of the parts that S3 keeps; None if they differ."""
    if not (
        facts.parts and isinstance(step.source, Path) and isinstance(store, KeepsChecksums)
    ):
        return None
    stored = store.checksums(step.key)
    if not stored.parts_sha256 or not stored.part_size:
        return None
    found, cut = hash_parts(step.source, stored.part_size)
    return found if cut.composite == stored.parts_sha256 else None


def _digest(blocks: Iterable[Block]) -> Digest:
    hasher = hashlib.sha256()
    for block in blocks:
        hasher.update(block)
    return Digest(hasher.hexdigest())
