"""Removing what uploads left behind that never became a version.

What is removed: the objects of a version number that somebody claimed and nobody committed, if
the newest claim and the newest object are older than `COLLECTED_AFTER` by the store's clock;
what killed writers left outside of any key; and the objects of old probes. Committed keys are
never touched, and whatever is not sure stays: a version number beside which anything lies in
``versions/``, a prefix that a commit record names, a dataset of which one commit record cannot
be read, an object without a time.

A collector takes the next claim before it removes anything, as a publisher does who renews his,
and a mirror whose version relies on that prefix: one of them gets the number, and the others
stop. It removes for `COLLECTS_FOR` at most, and nobody follows a collector who may be alive, so
that none wakes up after others removed its claim and began anew.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from scidata.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.formats import catalog_of, prefix_of
from scidata.inventory import version_numbers
from scidata.parallel import each
from scidata.publishing.claim import (
    COLLECTED_AFTER,
    Claim,
    claim_bytes,
    claim_key,
    claims_of,
    has_ended,
    newest_number,
    read_claim,
)
from scidata.resolve import commit_key, read_commit
from scidata.storage import StoreLike, open_store
from scidata.storage.base import KeepsUnfinished, ObjectFacts, Store, Unfinished
from scidata.storage.clock import parsed, store_time, time_of
from scidata.storage.probe import FOLDER as PROBES
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.version import DATASET_ID

COLLECTS_FOR = timedelta(days=1)
"""A collector stops then. Those who may be alive are followed after `COLLECTED_AFTER`."""


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """An upload that ended without a version."""

    dataset: str
    version: str
    objects: tuple[ObjectFacts, ...]
    """Payload, tag files and pinned catalog."""
    claims: tuple[str, ...]
    """Keys, in the order of their numbers."""
    newest: str
    """When anything of it was last written, by the store's clock."""

    @property
    def name(self) -> str:
        """``dataset@version``."""
        return f"{self.dataset}@{self.version}"

    @property
    def bytes(self) -> int:
        """How much there is to remove, claims aside."""
        return sum(facts.size for facts in self.objects)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is not committed, and stays all the same."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What a store holds that belongs to no version."""

    abandoned: tuple[Abandoned, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    """Parts and files of killed writers, which are no objects yet."""
    probes: tuple[ObjectFacts, ...] = ()
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What `collect` removed, or would remove."""

    remains: Remains
    removed: tuple[str, ...]
    """Keys; none if it was only asked."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a listing shows of one version number that was claimed."""

    dataset: str
    version: str
    claims: tuple[ObjectFacts, ...] = field(default=())


def collect(
    store: StoreLike | None = None,
    *,
    apply: bool = False,
    single_writer: bool = False,
    surroundings: Surroundings | None = None,
) -> Collected:
    """Find what uploads left behind, and remove it if `apply` is set.

    Parameters
    ----------
    apply : bool
        Remove it. What is old is then said by the store's own clock, for which one small object
        is written and removed; without, by this machine's, and nothing is written.
    single_writer : bool
        Clean a store that ignores conditional writes; nobody else may write to it meanwhile.

    Raises
    ------
    NotFoundError
        If there is no store.
    StorageError
        If the store cannot be listed or written, or ignores conditional writes. What was
        removed by then was not committed.
    """
    around = surroundings or Surroundings()
    opened = open_store(store)
    if not opened.lists or (apply and not opened.writable):
        raise StorageError(
            "the store can only be read",
            where=opened.address,
            fix="give the folder or bucket behind it as --store",
        )
    opened.folders()  # is there a store at all?
    if not apply:
        return Collected(remains=find_remains(opened, around.now(), around), removed=())
    # Claims decide between a collector and a publisher, so the store must heed conditions.
    trusted(opened, around, single_writer=single_writer)
    now = store_time(opened, around.token())
    remains = find_remains(opened, now, around)
    removed: list[str] = []
    kept = list(remains.kept)
    for item in remains.abandoned:
        keys = _remove(opened, item, around, now)
        if keys:
            removed += keys
        else:
            kept.append(Kept(name=item.name, reason="somebody took it up meanwhile"))
    removed += _delete(opened, (facts.key for facts in remains.probes))
    if isinstance(opened, KeepsUnfinished):
        for unfinished in remains.unfinished:
            opened.discard(unfinished)
    done = Remains(
        abandoned=remains.abandoned,
        unfinished=remains.unfinished,
        probes=remains.probes,
        kept=tuple(kept),
    )
    return Collected(remains=done, removed=tuple(sorted(removed)))


def find_remains(store: Store, now: datetime, around: Surroundings) -> Remains:
    """List what belongs to no version and is old enough; nothing is written."""
    is_dead = partial(has_ended, host=around.host, user=around.user, pid=around.pid)
    abandoned: list[Abandoned] = []
    kept: list[Kept] = []
    for dataset in store.folders():
        if re.fullmatch(DATASET_ID, dataset):
            for item in _of_dataset(store, dataset, now, is_dead):
                (abandoned if isinstance(item, Abandoned) else kept).append(item)  # type: ignore[arg-type]  # each list has its type
    unfinished, fault = _unfinished(store, now)
    probes = tuple(f for f in store.list(f"{PROBES}/") if _is_old(time_of(f), now))
    return Remains(
        abandoned=tuple(abandoned),
        unfinished=unfinished,
        probes=probes,
        kept=(*kept, *fault),
    )


def _of_dataset(
    store: Store, dataset: str, now: datetime, is_dead: Callable[[Claim], bool]
) -> Iterator[Abandoned | Kept]:
    claimed = _claimed(store, dataset)
    if not claimed:
        return
    below = [f.key.removeprefix(f"{dataset}/") for f in store.list(f"{dataset}/versions/")]
    candidates = [found for found in claimed if not _is_protected(found.version, below)]
    if not candidates:
        return
    try:
        named = _named_prefixes(store, dataset)
    except (IntegrityError, InvalidError, NotFoundError) as error:
        # What it says of other prefixes cannot be read, so none of them is surely free.
        for found in candidates:
            reason = f"a commit record of {dataset} cannot be read: {error.message}"
            yield Kept(name=f"{dataset}@{found.version}", reason=reason)
        return
    for found in candidates:
        if prefix_of(found.version) in named:
            reason = "a version refers to files in it"
            yield Kept(name=f"{dataset}@{found.version}", reason=reason)
        else:
            yield _judged(store, found, now, is_dead)


def _claimed(store: Store, dataset: str) -> list[_Found]:
    """List the version numbers that somebody claimed, with their claims in order."""
    return [
        _Found(dataset=dataset, version=version, claims=claims)
        for version, claims in claims_of(store, dataset).items()
    ]


def _is_protected(version: str, below: Iterable[str]) -> bool:
    """Tell whether anything in ``versions/`` speaks of a version number, however damaged."""
    return any(key.startswith(f"versions/{version}.") for key in below)


def _named_prefixes(store: Store, dataset: str) -> set[str]:
    """Return every prefix that a committed version names; raises if one cannot be read."""
    named: set[str] = set()
    read = partial(read_commit, store, dataset)
    for commit in each(read, version_numbers(store, dataset)):
        named |= {f"{prefix.rstrip('/')}/" for prefix in commit.prefixes}
        named |= {f"{key.partition('/')[0]}/" for key in commit.tags}
        named |= {f"{asset.href.partition('/')[0]}/" for asset in commit.assets}
    return named


def _judged(
    store: Store, found: _Found, now: datetime, is_dead: Callable[[Claim], bool]
) -> Abandoned | Kept:
    """Decide by the times of everything that belongs to an upload."""
    name = f"{found.dataset}@{found.version}"
    objects = tuple(_objects(store, found.dataset, found.version))
    claims = _not_of_dead_collectors(store, found.claims, is_dead)
    times = [time_of(facts) for facts in (*objects, *claims)]
    if any(when is None for when in times):
        return Kept(name=name, reason="the store does not say when all of it was written")
    # Of an upload that was removed, all but the last claim, nothing tells a time.
    newest = max((when for when in times if when is not None), default=None)
    if newest is not None and not _is_old(newest, now):
        return Kept(name=name, reason=f"somebody worked on it at {_text(newest)}")
    return Abandoned(
        dataset=found.dataset,
        version=found.version,
        objects=objects,
        claims=tuple(facts.key for facts in found.claims),
        newest=_text(newest) if newest else "",
    )


def _not_of_dead_collectors(
    store: Store, claims: tuple[ObjectFacts, ...], is_dead: Callable[[Claim], bool]
) -> tuple[ObjectFacts, ...]:
    """Leave out the newest claims if collectors that were killed made them."""
    while claims:
        holder = read_claim(store, claims[-1].key)
        if holder is None or not holder.collecting or not is_dead(holder):
            break
        claims = claims[:-1]
    return claims


def _objects(store: Store, dataset: str, version: str) -> Iterator[ObjectFacts]:
    yield from store.list(f"{dataset}/{prefix_of(version)}")
    with suppress(NotFoundError):  # asked by its name: a listing would be that of the dataset
        yield store.head(f"{dataset}/{catalog_of(version)}")


def _remove(store: Store, item: Abandoned, around: Surroundings, now: datetime) -> list[str]:
    """Remove one upload: its claims last, so that whoever is killed can be followed."""
    number = newest_number(store, item.dataset, item.version)
    if item.claims[-1] != claim_key(item.dataset, item.version, number):
        return []
    until = around.now() + COLLECTS_FOR
    mine = Claim(
        tx=around.token(),
        host=around.host,
        user=around.user,
        pid=around.pid,
        started=around.time,
        collecting=True,
    )
    own = claim_key(item.dataset, item.version, number + 1)
    if not store.create(own, claim_bytes(mine)):
        return []
    # From here on no publisher can renew an older claim. Has one committed, or begun again?
    if _is_committed(store, item) or not _still_old(store, item, now):
        return []
    objects = (facts.key for facts in _objects(store, item.dataset, item.version))

    def check() -> None:
        if around.now() > until:
            raise StorageError(
                f"removing the remains of {item.name} took longer than a day, in which "
                "somebody may have begun anew",
                where=store.address,
                fix="run the same command again: it looks again at what may be removed",
            )

    removed = _delete(store, objects, check)
    for key in (*item.claims, own):
        removed += _delete(store, (key,), check)
    return removed


def _is_committed(store: Store, item: Abandoned) -> bool:
    """Ask twice, by listing and by reading: a listing may lag behind."""
    below = (f.key for f in store.list(f"{item.dataset}/versions/{item.version}."))
    if next(iter(below), None) is not None:
        return True
    try:
        store.head(commit_key(item.dataset, item.version))
    except NotFoundError:
        return False
    return True


def _still_old(store: Store, item: Abandoned, now: datetime) -> bool:
    found = _objects(store, item.dataset, item.version)
    return all(_is_old(time_of(facts), now) for facts in found)


def _delete(
    store: Store, keys: Iterable[str], check: Callable[[], None] = lambda: None
) -> list[str]:
    def delete(key: str) -> str:
        check()
        store.delete(key)
        return key

    return list(each(delete, list(keys)))


def _unfinished(store: Store, now: datetime) -> tuple[tuple[Unfinished, ...], tuple[Kept, ...]]:
    if not isinstance(store, KeepsUnfinished):
        return (), ()
    try:
        found = [item for item in store.unfinished() if _is_old(parsed(item.modified), now)]
    except StorageError as error:  # servers need not tell of uploads that nobody completed
        kept = Kept(name="unfinished uploads", reason=f"not listed: {error.message}")
        return (), (kept,)
    return tuple(found), ()


def _text(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _is_old(when: datetime | None, now: datetime) -> bool:
    return when is not None and now - when > COLLECTED_AFTER
