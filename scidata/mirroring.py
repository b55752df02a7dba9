"""Copying versions to another store: the same keys, the same bytes, the same digests.

Every byte is compared with its digest on its way, so that nothing damaged is ever mirrored as
sound. Immutable objects go first, then what was said of the version, and the commit record
after both: readers of the other store see nothing before the record, and never a withdrawn
version as if it were good. A run that was interrupted continues when it is started again.
Publishers there are kept out, and collectors, by a claim.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from scidata.correction import MAX_CORRECTION_BYTES, correction_key
from scidata.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    ScidataError,
    StorageError,
)
from scidata.formats import prefix_of
from scidata.hashing import Progress
from scidata.index import rebuild
from scidata.inventory import (
    existing_numbers,
    last_correction,
    names,
    read_history,
    version_numbers,
)
from scidata.locations import full_key, full_note, is_full, read_index
from scidata.publishing.claim import Claim, has_ended, renew, take
from scidata.reservation import findable_key, reservation_key
from scidata.resolve import commit_key, read_commit, read_manifest, resolve_any
from scidata.signing import copy_signatures
from scidata.status import MAX_STATUS_BYTES, History, status_key
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.transferring import Transfer, transfer
from scidata.version import MAX_COMMIT_BYTES, CommitRecord, Reference, VersionNumber


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
class Copy:
    """What must be done for one version to be in the other store."""

    commit: CommitRecord
    record: bytes
    """As it lies in the source, and will lie there."""
    objects: tuple[Transfer, ...]
    """Payload and tag files; none if the version is committed there already."""
    notes: tuple[tuple[str, bytes], ...]
    """Small objects beside the record that the readers of a version rely on."""
    statuses: tuple[tuple[str, bytes], ...]
    dois: tuple[tuple[str, bytes], ...]
    """Which DOI it has, and that it can be found."""
    history: History
    """In the source."""
    there: bool
    """The other store has this version, with the same digest."""

    @property
    def missing(self) -> tuple[Transfer, ...]:
        """The objects to send; the others lie there and are compared."""
        return tuple(item for item in self.objects if not item.present)

    @property
    def is_purged(self) -> bool:
        """Whether only the description is left of it."""
        return self.history.state == "purged"


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


def plan_copy(source: Store, target: Store, commit: CommitRecord) -> Copy:
    """Work out what one version needs; nothing is written.

    Raises
    ------
    ConflictError
        If the other store has this number with another digest.
    ScidataError
        As `mirror`.
    """
    key = commit_key(commit.dataset, commit.version)
    there = _is_there(target, commit)
    history = read_history(source, commit.dataset, commit.number)
    objects: tuple[Transfer, ...] = ()
    notes: tuple[tuple[str, bytes], ...] = ()
    if not there:
        is_purged = history.state == "purged"
        objects = tuple(_transfers(source, target, commit, payload=not is_purged))
        if len(commit.prefixes) > 1 and is_full(source, commit):
            notes = ((full_key(commit), full_note(commit)),)
    return Copy(
        commit=commit,
        record=source.read(key, limit=MAX_COMMIT_BYTES),
        objects=objects,
        notes=notes,
        statuses=tuple(_statuses(source, commit, history)),
        dois=tuple(_dois(source, commit)),
        history=history,
        there=there,
    )


def _is_there(target: Store, commit: CommitRecord) -> bool:
    try:
        found = read_commit(target, commit.dataset, commit.number)
    except NotFoundError:
        return False
    if found.digest != commit.digest:
        raise ConflictError(
            f"{commit.name} is in the other store with other data: {found.digest}, not "
            f"{commit.digest}",
            where=target.address,
            fix="find out which of the two was cited; versions are never overwritten",
        )
    return True


def _transfers(
    source: Store, target: Store, commit: CommitRecord, *, payload: bool
) -> Iterator[Transfer]:
    """Yield every object of a version; where each lies is the same in both stores."""
    sized: list[tuple[str, int, str]] = [
        (f"{commit.dataset}/{key}", tag.size, tag.sha256) for key, tag in commit.tags.items()
    ]
    if payload:
        manifest = read_manifest(source, commit)
        index = read_index(source, commit, manifest)
        sized += [
            (index.locations.of(path).key, index.sizes[path], digest.hex)
            for path, digest in manifest.items()
            if path not in index.locations.outside  # adopted: stays where it is
        ]
    # The catalog beside the folders is asked for when it is written: it is one object.
    folders = {key.split("/")[1] for key, _, _ in sized if key.count("/") > 1}
    present = {
        facts.key: facts.size
        for folder in folders
        for facts in target.list(f"{commit.dataset}/{folder}/")
    }
    vouched = tuple(_vouched(source, target, commit))
    for key, size, sha256 in sized:
        if present.get(key) != size or not key.startswith(vouched):
            yield Transfer(key=key, size=size, sha256=sha256, present=key in present)


def _vouched(source: Store, target: Store, commit: CommitRecord) -> Iterator[str]:
    """Yield the older prefixes that the other store has as versions of its own.

    What a version inherits from them was compared when they came; `scidata.verify` does again.
    """
    for prefix in commit.prefixes[:-1]:
        number = VersionNumber.parse(prefix.removeprefix("v"))
        try:
            older = read_commit(source, commit.dataset, number)
            if _is_there(target, older):
                yield f"{commit.dataset}/{prefix}/"
        except (NotFoundError, ConflictError):
            continue


def _statuses(
    source: Store, commit: CommitRecord, history: History
) -> Iterator[tuple[str, bytes]]:
    """Yield what was said of a version, damaged ones as they are: readers are told of them."""
    for entry in history.entries:
        key = status_key(commit.dataset, commit.version, entry.number)
        try:
            yield key, source.read(key, limit=MAX_STATUS_BYTES)
        except (NotFoundError, InvalidError):  # too large to be one
            return


def _dois(source: Store, commit: CommitRecord) -> Iterator[tuple[str, bytes]]:
    """Yield the notes of a version's DOI, and the corrections that go with it.

    Those of a test system stay where they are.
    """
    for key in (
        reservation_key(commit.dataset, commit.version),
        findable_key(commit.dataset, commit.version),
    ):
        if (data := _read(source, key)) is not None:
            yield key, data
    for number in range(1, last_correction(source, commit) + 1):
        key = correction_key(commit.dataset, commit.version, number)
        yield key, source.read(key, limit=MAX_CORRECTION_BYTES)


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
    commit, around = plan.commit, options.surroundings
    mine = Claim(
        tx=around.token(),
        host=around.host,
        user=around.user,
        pid=around.pid,
        started=around.time,
        parent=commit.parent,
    )
    is_dead = partial(has_ended, host=mine.host, user=mine.user, pid=mine.pid)
    place = (target, commit.dataset, commit.version, mine)
    take(*place, takeover=options.takeover, is_dead=is_dead)
    transfer(plan.objects, source, target, name=commit.name, progress=progress)
    renew(*place, now=around.now())
    _create_all(target, (*plan.notes, *plan.statuses))
    _commit(target, plan)
    _create_all(target, plan.dois)
    copy_signatures(commit, source, target)


def _commit(target: Store, plan: Copy) -> None:
    key = commit_key(plan.commit.dataset, plan.commit.version)
    try:
        if target.create(key, plan.record):
            return
    except StorageError:
        # The answer may have been lost on its way although the record arrived.
        if not _is_there(target, plan.commit):
            raise
        return
    if not _is_there(target, plan.commit):
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
            if _read(target, key) != data:
                raise


def _read(store: Store, key: str) -> bytes | None:
    try:
        return store.read(key, limit=MAX_STATUS_BYTES)
    except (NotFoundError, InvalidError):
        return None


def _say(plan: Copy, target: Store) -> Iterator[str]:
    """Say in words what a mirror cannot settle: it overwrites and removes nothing."""
    commit = plan.commit
    if any(_read(target, key) != data for key, data in plan.statuses):
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
