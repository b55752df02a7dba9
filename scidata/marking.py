"""Saying what became of a version: each change is one create-only object beside its record.

Two who write at once cannot overwrite each other: a number is given once, and whoever loses it
takes the next. The catalogs are rebuilt afterwards, as caches.
"""

from dataclasses import dataclass, field

from scidata.errors import ConflictError, InvalidError, ScidataError, StorageError
from scidata.index import rebuild
from scidata.inventory import read_history
from scidata.resolve import read_commit, resolve_any
from scidata.status import (
    MAX_REASON,
    MAX_STATUS_BYTES,
    MAX_STATUSES,
    History,
    State,
    Status,
    status_bytes,
    status_key,
)
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, Reference

MAX_TRIES = 100
"""Writers that meet more often than this want something else than a status."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is to be said of a version."""

    state: State
    reason: str
    replaced_by: str | None = None
    """``name@1.1.0``, a version in the same store."""


@dataclass(frozen=True, kw_only=True)
class MarkOptions:
    """How to say it."""

    dry_run: bool = False
    """Check everything, and write nothing."""
    single_writer: bool = False
    """Use a store that ignores conditional writes; nobody else may write to it meanwhile."""
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What `mark` did."""

    commit: CommitRecord
    status: Status
    number: int
    already: bool
    """The version's status said the same before; nothing was written."""
    history: History
    """As it was before."""
    warnings: tuple[str, ...] = ()


def history_of(reference: str, store: StoreLike | None = None) -> tuple[CommitRecord, History]:
    """Read what became of a version; it may be purged.

    Raises
    ------
    NotFoundError
        If it does not exist.
    ScidataError
        As `scidata.resolve.resolve`.
    """
    opened = open_store(store)
    commit = resolve_any(reference, opened)
    return commit, read_history(opened, commit.dataset, commit.number)


def mark(
    reference: str,
    what: Mark,
    store: StoreLike | None = None,
    *,
    options: MarkOptions | None = None,
) -> Marked:
    """Deprecate or withdraw a version, or make it active again; running it again is safe.

    Parameters
    ----------
    reference : str
        ``tevolop@1.0.0`` or ``tevolop@sha256:…``: the version must be named.
    what : Mark
        ``purged`` is said by `scidata.purging.purge` alone.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If the version, or its successor, does not exist.
    InvalidError
        If no version is named, the reason is empty or too long, or the successor is of no use.
    ConflictError
        If the version was purged, which is final.
    StorageError
        If the store cannot be written, or ignores conditional writes.
    """
    options = options or MarkOptions()
    opened = open_store(store)
    commit = named(reference, opened)
    if what.replaced_by is not None:
        _check_successor(opened, commit, what.replaced_by)
    status = status_of(commit, what, options.surroundings)
    history = read_history(opened, commit.dataset, commit.number)
    if options.dry_run:
        return _told(commit, status, history)
    writable, _ = trusted(opened, options.surroundings, single_writer=options.single_writer)
    marked = append(writable, commit, status)
    return marked if marked.already else _indexed(writable, marked)


def append(store: Store, commit: CommitRecord, status: Status) -> Marked:
    """Create the next status of a version, unless the newest says the same.

    Raises
    ------
    ConflictError
        If the version was purged, or others write without end.
    StorageError
        If the store fails and it is not known whether the status was written.
    """
    for _ in range(MAX_TRIES):
        history = read_history(store, commit.dataset, commit.number)
        told = _told(commit, status, history)
        if told.already:
            return told
        if _create(store, told):
            return told
    raise ConflictError(
        f"others write the status of {commit.name} all the time",
        where=store.address,
        fix="see what they say: scidata status "
        f"{commit.name} {options_of(store)}; then run the same command again",
    )


def _told(commit: CommitRecord, status: Status, history: History) -> Marked:
    """Decide what saying it would do."""
    current = history.status
    # A status that cannot be read may have said anything: say it again on top.
    already = current is not None and not history.fault and current.says_the_same(status)
    if not already and history.state == "purged":
        raise ConflictError(
            f"{commit.name} was purged, which is final",
            where=status_key(commit.dataset, commit.version, history.last),
            fix="publish what is to be offered as another version",
        )
    if not already and history.last >= MAX_STATUSES:
        raise ConflictError(
            f"{commit.name} has {MAX_STATUSES} statuses already",
            where=status_key(commit.dataset, commit.version, history.last),
            fix="publish what is to be offered as another version",
        )
    return Marked(
        commit=commit,
        status=current if already and current else status,
        number=history.last if already else history.last + 1,
        already=already,
        history=history,
    )


def _create(store: Store, told: Marked) -> bool:
    """Write it; False if somebody else took the number."""
    key = status_key(told.commit.dataset, told.commit.version, told.number)
    data = status_bytes(told.status)
    try:
        if store.create(key, data):
            return True
    except StorageError:
        # The answer may have been lost on its way although the object arrived.
        if not _holds(store, key, data):
            raise
        return True
    return _holds(store, key, data)


def _holds(store: Store, key: str, data: bytes) -> bool:
    try:
        return store.read(key, limit=MAX_STATUS_BYTES) == data
    except ScidataError:
        return False


def _indexed(store: Store, marked: Marked) -> Marked:
    """Rebuild the catalogs. They are caches: failing to do so unsays nothing."""
    try:
        rebuild(store, [marked.commit.dataset])
    except ScidataError as error:
        again = f"scidata index {options_of(store)}"
        told = f"the catalogs are out of date ({error.message}); run: {again}"
        return Marked(**{**vars(marked), "warnings": (told,)})
    return marked


def status_of(commit: CommitRecord, what: Mark, around: Surroundings) -> Status:
    """Write down who says what of a version now; `InvalidError` if the reason says nothing."""
    reason = " ".join(what.reason.split())
    if not reason or len(reason) > MAX_REASON:
        raise InvalidError(
            f"the reason has {len(reason)} characters",
            where="--reason",
            fix=f"say in 1 to {MAX_REASON} characters why; readers are shown it",
        )
    return Status(
        dataset=commit.dataset,
        version=commit.version,
        state=what.state,
        reason=reason,
        replaced_by=what.replaced_by,
        by=around.user[:200],
        date=around.time,
    )


def named(reference: str, store: Store) -> CommitRecord:
    """Find a version that must be named: nothing is said of whichever is the newest today.

    Raises
    ------
    InvalidError
        If neither number nor digest is given.
    ScidataError
        As `scidata.resolve.resolve_any`.
    """
    wanted = Reference.parse(reference)
    if wanted.number is None and wanted.digest is None:
        raise InvalidError(
            f"{reference!r} does not say which version is meant",
            where="reference",
            fix=f"name it: {reference}@1.0.0",
        )
    return resolve_any(reference, store)


def _check_successor(store: Store, commit: CommitRecord, replaced_by: str) -> None:
    """Refuse a successor that readers could not use."""
    wanted = Reference.parse(replaced_by)
    if wanted.number is None or replaced_by == commit.name:
        raise InvalidError(
            f"{replaced_by!r} names no other version",
            where="--replaced-by",
            fix=f"write name@1.1.0, a version in the same store, other than {commit.name}",
        )
    read_commit(store, wanted.dataset, wanted.number)
    history = read_history(store, wanted.dataset, wanted.number)
    if not history.is_offered:
        raise InvalidError(
            f"{replaced_by} is {history.state} itself",
            where="--replaced-by",
            fix="name a version that can be used instead",
        )
