"""Copying versions to another store: the same keys, the same bytes, the same digests.

Every byte is compared with its digest on its way, so that nothing damaged is ever mirrored as
sound. Immutable objects go first, then what was said of the version, and the commit record
after both: readers of the other store see nothing before the record, and never a withdrawn
version as if it were good. A run that was interrupted continues when it is started again.
Publishers there are kept out, and collectors, by a claim.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from scidata.errors import InvalidError, ScidataError, StorageError
from scidata.formats import prefix_of
from scidata.hashing import Progress
from scidata.index import rebuild
from scidata.inventory import existing_numbers, names, read_history, version_numbers
from scidata.mirroring.planning import Copy, is_there, plan_copy, read_small
from scidata.publishing.claim import Claim, has_ended, renew, take
from scidata.publishing.inheritance import refuse_purged
from scidata.resolve import commit_key, read_commit, resolve_any
from scidata.signing import copy_signatures
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.transferring import transfer
from scidata.version import CommitRecord, Reference, VersionNumber

_PURGED = (
    "give the version files of its own in the store that it comes from, and mirror that: "
    "scidata materialize {}"
)


@dataclass(frozen=True, kw_only=True)
class MirrorOptions:
    """How to mirror."""

    dry_run: bool = False
    """Say what would be copied; write nothing."""
    single_writer: bool = False
    """Write to a store that ignores conditional writes; nobody else may write meanwhile."""
    takeover: bool = False
    """Continue what another machine began and will not finish."""
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What became of one version."""

    name: str
    digest: str
    there: bool
    """It was in the other store before."""
    objects: int
    """How many were sent, or would be."""
    bytes: int
    compared: int
    """How many lay there already, from an earlier run, and were compared."""


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What `mirror` did, or would do."""

    versions: tuple[Copied, ...]
    warnings: tuple[str, ...]


def mirror(
    references: Iterable[str],
    store: StoreLike | None = None,
    *,
    to: StoreLike,
    options: MirrorOptions | None = None,
    progress: Progress | None = None,
) -> Mirrored:
    """Copy versions from one store to another; running it again continues.

    Parameters
    ----------
    references : iterable of str
        ``tevolop`` for every version, ``tevolop@1.0.0`` or ``tevolop@sha256:…`` for one. None
        at all: everything in the store.
    store : Store, str, Path or None
        Where from: a folder, S3 or https. By default ``$SCIDATA_STORE``, else the user's.
    to : Store, str or Path
        Where to: a folder or S3. It may hold other versions.
    progress : Progress, optional
        Bytes done of the version being copied, and its bytes in all.

    Raises
    ------
    NotFoundError
        If a dataset or version does not exist, or there is no store to copy from.
    IntegrityError
        If an object of the source is damaged or missing, naming each. Its version was not
        committed there; the versions before it were.
    ConflictError
        If the other store has the same number with another digest, or somebody writes it.
    InvalidError
        If both stores are the same, or a record in the source is malformed.
    StorageError
        If one of the stores fails; what was copied by then is kept.
    """
    options = options or MirrorOptions()
    source, target = open_store(store), open_store(to)
    if source.address == target.address:
        raise InvalidError(
            f"the store {source.address} cannot be mirrored to itself",
            where="--to",
            fix="give another folder or bucket",
        )
    chosen = choose(source, references)
    around = options.surroundings
    if not options.dry_run:
        target, _ = trusted(target, around, single_writer=options.single_writer)
    done: list[Copied] = []
    warnings: list[str] = []
    for commit in chosen:
        plan = plan_copy(source, target, commit)
        compared = len(plan.objects) - len(plan.missing)
        if not options.dry_run:
            _apply(plan, source, target, options, progress)
            warnings += _say(plan, target)
        done.append(
            Copied(
                name=commit.name,
                digest=commit.digest,
                there=plan.there,
                objects=len(plan.missing),
                bytes=sum(item.size for item in plan.missing),
                compared=compared,
            )
        )
    if not options.dry_run and chosen:
        warnings += _index(target, sorted({commit.dataset for commit in chosen}))
    return Mirrored(versions=tuple(done), warnings=tuple(warnings))


def choose(source: Store, references: Iterable[str]) -> tuple[CommitRecord, ...]:
    """Read the commit records of what is to be copied, older versions first.

    Raises
    ------
    ScidataError
        As `mirror`.
    """
    wanted = list(references)
    chosen: dict[str, CommitRecord] = {}
    for text in wanted or names(source):
        reference = Reference.parse(text)
        if reference.number is None and reference.digest is None:
            # Not every folder of a store is a dataset: only a name that was given must be.
            find = existing_numbers if wanted else version_numbers
            numbers = find(source, reference.dataset)
            found = [read_commit(source, reference.dataset, number) for number in numbers]
        else:
            found = [resolve_any(text, source)]
        chosen |= {commit.name: commit for commit in found}
    return tuple(sorted(chosen.values(), key=lambda c: (c.dataset, c.number)))


def _apply(
    plan: Copy,
    source: Store,
    target: Store,
    options: MirrorOptions,
    progress: Progress | None,
) -> None:
    """Copy one version; its commit record makes it visible, after everything else."""
    if plan.there:
        _create_all(target, plan.statuses)
        _create_all(target, plan.dois)
        copy_signatures(plan.commit, source, target)
        return
    commit = plan.commit
    holds = [_take(plan, target, options, number) for number in (commit.number, *plan.claimed)]
    refuse_purged(target, commit, plan.relied, fix=_PURGED.format(commit.name))
    transfer(plan.objects, source, target, name=commit.name, progress=progress)
    for hold in holds:
        hold()
    refuse_purged(target, commit, plan.relied, fix=_PURGED.format(commit.name))
    _create_all(target, (*plan.notes, *plan.statuses))
    _commit(target, plan)
    _create_all(target, plan.dois)
    copy_signatures(commit, source, target)


def _take(
    plan: Copy, target: Store, options: MirrorOptions, number: VersionNumber
) -> Callable[[], None]:
    """Claim a version number; returns what makes sure, before the commit, that it is held.

    Of a version that the other store does not have, the prefix is claimed as well if files lie
    in it: otherwise a collector could take it for the remains of an upload of its own.
    """
    commit, around = plan.commit, options.surroundings
    mine = Claim(
        tx=around.token(),
        host=around.host,
        user=around.user,
        pid=around.pid,
        started=around.time,
        parent=commit.parent,
        layout="delta" if plan.relied or plan.claimed else "full",
    )
    if number != commit.number:
        mine = mine.model_copy(update={"serving": commit.version, "parent": None})
    is_dead = partial(has_ended, host=mine.host, user=mine.user, pid=mine.pid)
    place = (target, commit.dataset, str(number), mine)
    take(*place, takeover=options.takeover, is_dead=is_dead)
    return lambda: renew(*place, now=around.now())


def _commit(target: Store, plan: Copy) -> None:
    key = commit_key(plan.commit.dataset, plan.commit.version)
    try:
        if target.create(key, plan.record):
            return
    except StorageError:
        # The answer may have been lost on its way although the record arrived.
        if not is_there(target, plan.commit):
            raise
        return
    if not is_there(target, plan.commit):
        raise StorageError(
            "the store says that the commit record exists, but does not return it",
            where=f"{key} in {target.address}",
            fix="run the same command again",
        )


def _create_all(target: Store, objects: Iterable[tuple[str, bytes]]) -> None:
    """Create small objects; what lies there stays, and `_say` tells of what differs."""
    for key, data in objects:
        try:
            target.create(key, data)
        except StorageError:
            if read_small(target, key) != data:
                raise


def _say(plan: Copy, target: Store) -> Iterator[str]:
    """Say in words what a mirror cannot settle: it overwrites and removes nothing."""
    commit = plan.commit
    if any(read_small(target, key) != data for key, data in plan.statuses):
        there = read_history(target, commit.dataset, commit.number)
        yield (
            f"{commit.name} is {plan.history.state} in the one store and {there.state} in the "
            "other, which has statuses of its own; to say the same there: scidata status "
            f"{commit.name} {options_of(target)}"
        )
    if plan.is_purged and plan.there and _has_payload(target, commit):
        yield (
            f"{commit.name} is purged, and its files still lie in the mirror; remove them: "
            f"scidata purge {commit.name} {options_of(target)}"
        )


def _has_payload(target: Store, commit: CommitRecord) -> bool:
    kept = {f"{commit.dataset}/{key}" for key in commit.tags}
    below = target.list(f"{commit.dataset}/{prefix_of(commit.version)}")
    return any(facts.key not in kept for facts in below)


def _index(target: Store, datasets: list[str]) -> tuple[str, ...]:
    """Rebuild the catalogs. They are caches: failing to do so takes no version back."""
    try:
        report = rebuild(target, datasets)
    except ScidataError as error:
        again = f"scidata index {options_of(target)}"
        return (f"the catalogs are out of date ({error.message}); run: {again}",)
    return tuple(f"{problem.path}: {problem.message}" for problem in report.damaged)
