"""Removing the bytes of a version for ever, as a law or a person's right may demand.

The status comes first: from then on no reader is given the version. Then its payload goes, and
nothing else: commit record, manifest and description stay, so that whoever cites the version is
told what became of it. A version that others refer to is not purged, nor one that an upload
which has not ended may refer to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from scidata.errors import ConflictError, ScidataError, StorageError
from scidata.formats import prefix_of
from scidata.index import rebuild
from scidata.inventory import read_history, version_numbers
from scidata.locations import is_full
from scidata.marking import Mark, append, named, status_of
from scidata.parallel import each
from scidata.publishing.claim import (
    COLLECTED_AFTER,
    Claim,
    claims_of,
    has_ended,
    read_claim,
)
from scidata.resolve import read_commit
from scidata.status import Status
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.clock import store_time, time_of
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, VersionNumber
from scidata.wording import counted

MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PurgeOptions:
    """How to purge."""

    dry_run: bool = False
    """Say what would be removed; write and remove nothing."""
    single_writer: bool = False
    """Use a store that ignores conditional writes; nobody else may write to it meanwhile."""
    takeover: bool = False
    """Do not wait for uploads of other machines, which have ended although nothing tells so."""
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Purged:
    """What `purge` did, or would do."""

    commit: CommitRecord
    status: Status
    objects: tuple[ObjectFacts, ...]
    """What was removed: everything in the version's prefix but its description."""
    already: bool
    """The status was there before: an earlier run was interrupted, or nothing is left."""
    warnings: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """How much was removed."""
        return sum(facts.size for facts in self.objects)


def purge(
    reference: str,
    reason: str,
    store: StoreLike | None = None,
    *,
    options: PurgeOptions | None = None,
) -> Purged:
    """Remove the payload of a version for ever; running it again continues.

    Parameters
    ----------
    reference : str
        ``tevolop@1.0.0`` or ``tevolop@sha256:…``: the version must be named.
    reason : str
        Why; whoever asks for the version is shown it.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If the version does not exist.
    InvalidError
        If no version is named, or the reason is empty or too long.
    ConflictError
        If other versions refer to files of it, or may once their upload is done; they are
        named, and nothing is removed.
    IntegrityError
        If a commit record of the dataset is damaged, so that this cannot be told.
    StorageError
        If the store cannot be listed or written. Objects may be left: run it again.
    """
    options = options or PurgeOptions()
    opened = open_store(store)
    commit = named(reference, opened)
    history = read_history(opened, commit.dataset, commit.number)
    already = history.status is not None and history.state == "purged"
    status = history.status if already else None
    if status is None:
        what = Mark(state="purged", reason=reason)
        status = status_of(commit, what, options.surroundings)
    if not opened.lists:
        raise StorageError(
            "the store can only be read",
            where=opened.address,
            fix="give the folder or bucket behind it as --store",
        )
    around = options.surroundings
    _refuse_coming(opened, commit, options, now=around.now())
    _refuse_referenced(opened, commit)
    planned = Purged(
        commit=commit,
        status=status,
        objects=tuple(_payload(opened, commit)),
        already=already,
        warnings=_staying(opened, commit),
    )
    if options.dry_run:
        return planned
    writable, _ = trusted(opened, around, single_writer=options.single_writer)
    return _apply(writable, planned, options)


def _apply(store: Store, planned: Purged, options: PurgeOptions) -> Purged:
    commit = planned.commit
    if not planned.already:
        append(store, commit, planned.status)
    # Whoever commits a version that relies on this one has claimed its number, and looked at
    # the statuses after that. So now its claim is seen, or it will see the status. Claims are
    # looked at first: who commits between the two looks is seen by the second.
    _refuse_coming(store, commit, options, now=store_time(store, options.surroundings.token()))
    _refuse_referenced(store, commit)
    _remove(store, planned.objects)
    left = tuple(_payload(store, commit))
    if left:
        _remove(store, left)  # a listing may have lagged behind
    return replace(planned, warnings=(*planned.warnings, *_indexed(store, commit)))


def _staying(store: Store, commit: CommitRecord) -> tuple[str, ...]:
    """Say which files are not reached: what a delta inherits is the older versions'."""
    older = ", ".join(f"{commit.dataset}@{p.removeprefix('v')}" for p in commit.prefixes[:-1])
    if not older or is_full(store, commit):
        return ()
    return (
        f"files that {commit.name} inherits from {older} stay; purge these versions, too, if "
        "what they hold must go",
    )


def _remove(store: Store, objects: tuple[ObjectFacts, ...]) -> None:
    for _ in each(lambda facts: store.delete(facts.key), objects):
        pass


def _payload(store: Store, commit: CommitRecord) -> Iterator[ObjectFacts]:
    """Yield what lies in the version's own prefix and is no part of its description."""
    kept = {f"{commit.dataset}/{key}" for key in commit.tags}
    prefix = f"{commit.dataset}/{prefix_of(commit.version)}"
    return (facts for facts in store.list(prefix) if facts.key not in kept)


def referring(store: Store, commit: CommitRecord) -> tuple[str, ...]:
    """Name the versions, but purged ones, whose files lie in the prefix of another.

    Raises
    ------
    ScidataError
        If a commit record cannot be read: what it refers to cannot be told.
    """

    def name(other: CommitRecord) -> str | None:
        own = f"v{commit.version}"
        if other.version == commit.version or own not in other.prefixes:
            return None
        if read_history(store, other.dataset, other.number).state == "purged":
            return None
        return None if is_full(store, other) else other.name

    numbers = version_numbers(store, commit.dataset)
    commits = each(lambda number: read_commit(store, commit.dataset, number), numbers)
    found = sorted(commits, key=lambda other: other.number)
    return tuple(text for other in found if (text := name(other)))


def coming(
    store: Store, commit: CommitRecord, *, now: datetime, is_dead: Callable[[Claim], bool]
) -> tuple[tuple[str, Claim | None], ...]:
    """Name the uploads that may end as versions whose files lie in the prefix of another.

    Returns
    -------
    tuple of (str, Claim or None)
        Version and newest claim, None if that is damaged. Left out are uploads that certainly
        have ended, and those so old that their publishers would have to renew their claims.
    """
    claimed = claims_of(store, commit.dataset)
    committed = {str(number) for number in version_numbers(store, commit.dataset)}
    found: list[tuple[str, Claim | None]] = []
    for version, listed in claimed.items():
        if version in committed or VersionNumber.parse(version) <= commit.number:
            continue
        when = time_of(listed[-1])
        if when is not None and now - when > COLLECTED_AFTER:
            continue
        claims = [read_claim(store, facts.key) for facts in listed]
        mine = [claim for claim in claims if claim is None or not claim.serving]
        holder = mine[-1] if mine else None
        if not mine or (holder is not None and (holder.collecting or is_dead(holder))):
            continue
        if any(claim is None or claim.layout == "delta" for claim in mine):
            found.append((version, holder))
    return tuple(found)


def _refuse_coming(
    store: Store, commit: CommitRecord, options: PurgeOptions, *, now: datetime
) -> None:
    around = options.surroundings
    is_dead = partial(has_ended, host=around.host, user=around.user, pid=around.pid)
    found = coming(store, commit, now=now, is_dead=is_dead)
    if found and not options.takeover:
        version, holder = found[0]
        who = holder.who if holder is not None else "somebody"
        raise ConflictError(
            f"{commit.dataset}@{version} is being published by {who}, and may take files of "
            f"{commit.name}",
            where=store.address,
            fix="wait for it, then run the same command again; if that process has ended, add "
            "--takeover",
        )


def _refuse_referenced(store: Store, commit: CommitRecord) -> None:
    names = referring(store, commit)
    if names:
        shown = ", ".join(names[:MAX_NAMED]) + (", …" if names[MAX_NAMED:] else "")
        raise ConflictError(
            f"files of {commit.name} belong to {counted(len(names), 'other version')}, too: "
            f"{shown}",
            where=store.address,
            fix="give each of them files of its own first: scidata materialize "
            f"{names[0]} {options_of(store)}; or purge them before",
        )


def _indexed(store: Store, commit: CommitRecord) -> tuple[str, ...]:
    try:
        rebuild(store, [commit.dataset])
    except ScidataError as error:
        again = f"scidata index {options_of(store)}"
        return (f"the catalogs are out of date ({error.message}); run: {again}",)
    return ()
