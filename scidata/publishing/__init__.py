"""Publishing: a staged dataset becomes an immutable version in a store.

The protocol is described in ``docs/design/commit-protocol.md``. In short: measure, claim,
upload every object with create-if-absent, look that all are there and nothing else, and create
one small commit record. Readers see nothing before that and everything after it. A run that
was interrupted continues when it is started again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from scidata.about import TOOL
from scidata.check import check
from scidata.digest import Digest
from scidata.errors import ConflictError, InvalidError, ScidataError, StorageError
from scidata.formats import RECORD, Placed, prefix_of, tag_files
from scidata.hashing import Progress
from scidata.index import rebuild
from scidata.inventory import read_history
from scidata.measure import Measured, measure
from scidata.publishing.claim import Claim, has_ended, renew, take
from scidata.publishing.plan import Plan, Version, check_number, check_same, plan
from scidata.publishing.upload import (
    Stamps,
    check_held,
    check_listing,
    check_unchanged,
    commit,
    existing_commit,
    present,
    stamps,
    upload,
)
from scidata.record import Record, read_record_bytes
from scidata.resolve import read_commit, version_numbers
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, ParentVersion, VersionNumber
from scidata.wording import counted

__all__ = [
    "Plan",
    "PublishOptions",
    "Published",
    "Surroundings",
    "Surveyed",
    "held_version",
    "parent_of",
    "plan_publish",
    "plan_surveyed",
    "publish",
    "publish_surveyed",
    "published_numbers",
    "survey",
]


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """How to publish."""

    single_writer: bool = False
    """Use a store that ignores conditional writes; nobody else may publish to it meanwhile."""
    takeover: bool = False
    """Continue an upload whose publisher may still be alive."""
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` did."""

    commit: CommitRecord
    uploaded: int
    """Objects that were sent."""
    skipped: int
    """Objects that an earlier run had sent."""
    already: bool
    """The version existed before, with the same digest."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What publishing found out before it writes anything."""

    staged: Path
    record: Record
    record_bytes: bytes
    measured: Measured
    stamps: Stamps
    parent: ParentVersion | None
    existing: CommitRecord | None
    """The version, if it is published; then its digest is that of the staged dataset."""
    placed: Placed = field(default_factory=Placed)
    """What of it lies elsewhere."""


def publish(
    staged: Path,
    store: StoreLike | None = None,
    *,
    version: str,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Published:
    """Publish a staged dataset as an immutable version, or continue to do so.

    Parameters
    ----------
    staged : Path
        A folder with ``record.yaml`` and ``data/``; it is only read.
    store : Store, str or Path, optional
        Where to. Default: `scidata.storage.default_store_url`.
    version : str
        MAJOR.MINOR.PATCH, greater than every published one.
    options : PublishOptions, optional
    progress : callable, optional
        Called with bytes done and bytes in all: first while hashing, then while uploading.

    Raises
    ------
    InvalidError
        With every problem of the record, the data or the paths; or for a version number that
        is malformed or too small. No object of the version was written.
    ConflictError
        If the version exists with other data, or somebody else is publishing it.
    IntegrityError
        If a staged file changed meanwhile; then nothing was published. Or if the version is
        published and the store has lost objects of it, or its commit record is damaged.
    StorageError
        If the store fails, is read-only, or ignores conditional writes. Nothing was published
        unless the message says that this is not known; running it again tells.
    """
    opened = open_store(store)
    found = survey(staged, opened, version=version, progress=progress)
    return publish_surveyed(found, opened, options=options, progress=progress)


def publish_surveyed(
    found: Surveyed,
    opened: Store,
    *,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Published:
    """Publish what was surveyed; raises as `publish`."""
    options = options or PublishOptions()
    if found.existing is not None:
        return _already(found, opened, found.existing)
    opened, unsafe = _trusted(opened, options)
    mine = _claim(options.surroundings, found.parent)
    first = _take(found, opened, options, mine)
    planned = _plan(found, opened, first, options.surroundings.token())
    planned = replace(
        planned, commit=planned.commit.model_copy(update={"unsafe_store": unsafe})
    )
    facts = found.measured.facts

    def hold() -> None:
        renew(opened, facts.dataset, facts.version, mine, now=options.surroundings.now())

    return _apply(planned, found, opened, hold, progress)


def plan_publish(
    staged: Path,
    store: StoreLike | None = None,
    *,
    version: str,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Plan | CommitRecord:
    """Say what `publish` would do; nothing is written.

    Returns
    -------
    Plan or CommitRecord
        The commit record if the version is published already with the same digest.

    Raises
    ------
    ScidataError
        As `publish`, but neither the probe nor the claim is made.
    """
    opened = open_store(store)
    found = survey(staged, opened, version=version, progress=progress)
    return plan_surveyed(found, opened, options=options)


def plan_surveyed(
    found: Surveyed, opened: Store, *, options: PublishOptions | None = None
) -> Plan | CommitRecord:
    """Say what `publish_surveyed` would do; nothing is written."""
    options = options or PublishOptions()
    if found.existing is not None:
        return found.existing
    claim = _claim(options.surroundings, found.parent)
    return _plan(found, opened, claim, options.surroundings.token())


def survey(
    staged: Path, store: Store, *, version: str, progress: Progress | None = None
) -> Surveyed:
    """Check and measure a staged dataset, and look what the store holds of it.

    Raises
    ------
    ScidataError
        As `publish`.
    """
    record, record_bytes = _record(staged)
    # Before the bytes are read, which may take hours: can the store be reached at all?
    published = published_numbers(store, record.id, version)
    noted = stamps(staged)
    measured = measure(
        staged, dataset=record.id, version=version, created="", progress=progress
    )
    return Surveyed(
        staged=staged,
        record=record,
        record_bytes=record_bytes,
        measured=measured,
        stamps=noted,
        parent=parent_of(store, record.id, version, published),
        existing=held_version(store, measured, published, measured.sizes),
    )


def published_numbers(store: Store, dataset: str, version: str) -> tuple[VersionNumber, ...]:
    """List what is published of a dataset, if a version may be published beside it.

    Raises
    ------
    InvalidError
        If its number is malformed or too small.
    StorageError
        If the store is read-only or cannot be reached.
    """
    number = VersionNumber.parse(version)
    if not store.writable:
        raise StorageError(
            "the store is read-only",
            where=store.address,
            fix="give a folder or s3://bucket/prefix, with credentials",
        )
    published = version_numbers(store, dataset)
    if number not in published:
        check_number(number, published)
    return published


def held_version(
    store: Store,
    measured: Measured,
    published: Sequence[VersionNumber],
    sizes: Mapping[str, int],
) -> CommitRecord | None:
    """Return the version, if it is published already, with these very bytes.

    Parameters
    ----------
    sizes : mapping of str to int
        Of the payload that the store itself must hold.

    Raises
    ------
    ConflictError
        If it is published with other bytes.
    IntegrityError
        If the store has lost objects of it.
    """
    facts = measured.facts
    if VersionNumber.parse(facts.version) not in published:
        return None
    existing = existing_commit(store, facts.dataset, facts.version)
    if existing is not None:
        _refuse_purged(store, existing)
        check_same(existing, measured.manifest.digest)
        check_held(store, existing, sizes)
    return existing


def _record(staged: Path) -> tuple[Record, bytes]:
    checked = check(staged)
    if not checked.staged:
        raise InvalidError(
            f"{str(staged)!r} is a file, not a staged dataset",
            where=str(staged),
            fix="give the folder that holds record.yaml and data/",
        )
    if checked.record is None or checked.errors:
        count = counted(len(checked.errors), "problem")
        raise InvalidError(
            f"the staged dataset cannot be published: {count}",
            where=str(staged),
            fix=f"correct what is listed, then see: scidata check {staged}",
            problems=checked.errors,
        )
    return checked.record, read_record_bytes(staged / "record.yaml")


def parent_of(
    store: Store, dataset: str, version: str, published: Sequence[VersionNumber]
) -> ParentVersion | None:
    """Return the newest version before this one that was not purged."""
    number = VersionNumber.parse(version)
    for older in sorted((n for n in published if n < number), reverse=True):
        if read_history(store, dataset, older).state != "purged":
            commit = read_commit(store, dataset, older)
            return ParentVersion(version=commit.version, digest=commit.digest)
    return None


def _refuse_purged(store: Store, existing: CommitRecord) -> None:
    status = read_history(store, existing.dataset, existing.number).status
    if status is not None and status.state == "purged":
        raise ConflictError(
            f"{existing.name} was purged on {status.date}: {status.reason}",
            where=store.address,
            fix="a number is given once: publish under the next one what may be published",
        )


def _trusted(store: Store, options: PublishOptions) -> tuple[Store, bool]:
    return trusted(store, options.surroundings, single_writer=options.single_writer)


def _take(found: Surveyed, store: Store, options: PublishOptions, mine: Claim) -> Claim:
    return take(
        store,
        found.record.id,
        found.measured.facts.version,
        mine,
        takeover=options.takeover,
        is_dead=partial(has_ended, host=mine.host, user=mine.user, pid=mine.pid),
    )


def _claim(around: Surroundings, parent: ParentVersion | None) -> Claim:
    return Claim(
        tx=around.token(),
        host=around.host,
        user=around.user,
        pid=around.pid,
        started=around.time,
        parent=parent,
    )


def _plan(found: Surveyed, store: Store, claim: Claim, commit_id: str) -> Plan:
    """Gather the version: its time and parent are those of the first claim."""
    parent = claim.parent
    facts = found.measured.facts.model_copy(
        update={"created": claim.started, "parent": parent.version if parent else None}
    )
    manifest, sizes = found.measured.manifest, found.measured.sizes
    version = Version(
        staged=found.staged,
        manifest=manifest,
        sizes=sizes,
        facts=facts,
        tags=tag_files(
            found.record_bytes, found.record, manifest, sizes, facts, placed=found.placed
        ),
        placed=found.placed,
        parent=parent,
    )
    held = present(store, f"{facts.dataset}/{prefix_of(facts.version)}")
    return plan(version, held, tool=TOOL, commit_id=commit_id)


def _apply(
    planned: Plan,
    found: Surveyed,
    store: Store,
    hold: Callable[[], None],
    progress: Progress | None,
) -> Published:
    sent = upload(store, planned, progress=progress)
    check_unchanged(found.stamps, stamps(found.staged), where=str(found.staged))
    hold()
    check_listing(store, planned)
    committed = commit(store, planned.commit)
    return Published(
        commit=committed,
        uploaded=sent,
        skipped=len(planned.steps) - sent,
        already=committed.commit_id != planned.commit.commit_id,
        warnings=_index(store, committed.dataset),
    )


def _already(found: Surveyed, store: Store, existing: CommitRecord) -> Published:
    warnings = _index(store, existing.dataset)
    committed = existing.tags.get(prefix_of(existing.version) + RECORD)
    if committed is not None and committed.sha256 != Digest.of(found.record_bytes).hex:
        warnings += (
            f"record.yaml differs from the one that {existing.name} was published with, which "
            "stays as it is; publish the next version to change it",
        )
    return Published(
        commit=existing,
        uploaded=0,
        skipped=len(found.measured.manifest) + len(existing.tags),
        already=True,
        warnings=warnings,
    )


def _index(store: Store, dataset: str) -> tuple[str, ...]:
    """Rebuild the catalogs. They are caches: failing to do so does not unpublish anything."""
    try:
        report = rebuild(store, [dataset])
    except ScidataError as error:
        again = f"scidata index {options_of(store)}"
        return (f"the catalogs are out of date ({error.message}); run: {again}",)
    return tuple(f"{problem.path}: {problem.message}" for problem in report.damaged)
