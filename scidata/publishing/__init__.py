"""Publishing: a staged dataset becomes an immutable version in a store.

The protocol is described in ``docs/design/commit-protocol.md``. In short: measure, claim,
upload every object with create-if-absent, look that all are there and nothing else, and create
one small commit record. Readers see nothing before that and everything after it. A run that
was interrupted continues when it is started again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from scidata.about import TOOL
from scidata.check import check
from scidata.digest import Digest
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    ScidataError,
    StorageError,
)
from scidata.formats import RECORD, Placed, prefix_of, tag_files
from scidata.hashing import Progress
from scidata.index import rebuild
from scidata.inventory import read_history
from scidata.locations import read_locations
from scidata.measure import Measured, measure
from scidata.publishing.claim import (
    Claim,
    first_claim,
    has_ended,
    refuse_other_wishes,
    renew,
    take,
)
from scidata.publishing.inheritance import (
    Held,
    Layout,
    inherit,
    layout_of,
    read_held,
    refuse_purged,
)
from scidata.publishing.plan import (
    Plan,
    Version,
    check_number,
    check_same,
    hrefs_of,
    plan,
)
from scidata.publishing.remembered import memory_of, note, recall
from scidata.publishing.upload import (
    Stamps,
    check_held,
    check_inherited,
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
from scidata.signing import Signed, sign_commit
from scidata.sshsig import SigningKey
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
    signing_key: SigningKey | None = None
    """Sign the version as soon as it is published."""
    parent: str | None = None
    """Number of the version that this one continues; by default the newest."""
    layout: Layout | None = None
    """``full``: all files lie in the version's own prefix. ``delta``: those that the parent has
    stay where they are. By default a delta if that is worth much: `layout_of`."""
    rehash: bool = False
    """Read every staged file, also those that seem unchanged since an earlier run read them."""
    fetch_from: str = ""
    """Public address of the store, for BagIt tools that complete a delta."""
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` did."""

    commit: CommitRecord
    uploaded: int
    """Objects that were sent."""
    copied: int = 0
    """Objects that the store copied from older versions."""
    skipped: int
    """Objects that an earlier run had sent."""
    already: bool
    """The version existed before, with the same digest."""
    warnings: tuple[str, ...] = ()
    signed: Signed | None = None


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What publishing found out before it writes anything."""

    staged: Path
    record: Record
    record_bytes: bytes
    measured: Measured
    stamps: Stamps
    parent: CommitRecord | None
    held: tuple[Held, ...]
    """What the parent holds, and the older versions on which it relies; nothing if there is no
    parent."""
    layout: Layout
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
    options = options or PublishOptions()
    found = survey(staged, opened, version=version, options=options, progress=progress)
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
        return _signed(_already(found, opened, found.existing), opened, options)
    opened, unsafe = _trusted(opened, options)
    mine = _claim(found, options)
    wanted = options.layout, options.parent, options.fetch_from
    refuse_other_wishes(
        first_claim(opened, found.record.id, found.measured.facts.version), *wanted
    )
    first = _take(found, opened, options, mine)
    refuse_other_wishes(first, *wanted)  # somebody else may have been first just now
    planned = _plan(found, opened, first, options.surroundings.token())
    planned = replace(
        planned, commit=planned.commit.model_copy(update={"unsafe_store": unsafe})
    )
    facts = found.measured.facts

    def hold() -> None:
        renew(opened, facts.dataset, facts.version, mine, now=options.surroundings.now())

    return _signed(_apply(planned, found, opened, hold, progress), opened, options)


def _signed(done: Published, store: Store, options: PublishOptions) -> Published:
    """Sign what is published. Interrupted before, the same command finds it and signs it."""
    if options.signing_key is None:
        return done
    return replace(done, signed=sign_commit(store, done.commit, options.signing_key))


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
    options = options or PublishOptions()
    found = survey(staged, opened, version=version, options=options, progress=progress)
    return plan_surveyed(found, opened, options=options)


def plan_surveyed(
    found: Surveyed, opened: Store, *, options: PublishOptions | None = None
) -> Plan | CommitRecord:
    """Say what `publish_surveyed` would do; nothing is written."""
    options = options or PublishOptions()
    if found.existing is not None:
        return found.existing
    first = first_claim(opened, found.record.id, found.measured.facts.version)
    refuse_other_wishes(first, options.layout, options.parent, options.fetch_from)
    claim = first or _claim(found, options)
    return _plan(found, opened, claim, options.surroundings.token())


def survey(
    staged: Path,
    store: Store,
    *,
    version: str,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Surveyed:
    """Check and measure a staged dataset, and look what the store holds of it.

    Raises
    ------
    ScidataError
        As `publish`.
    """
    options = options or PublishOptions()
    number = VersionNumber.parse(version)
    record, record_bytes = _record(staged)
    # Before the bytes are read, which may take hours: can the store be reached at all?
    published = published_numbers(store, record.id, version)
    parent = parent_of(store, record.id, version, published, options)
    held = _held(store, parent, options.layout)
    noted = stamps(staged)
    measured = _measure(staged, record.id, version, options, noted=noted, progress=progress)
    return Surveyed(
        staged=staged,
        record=record,
        record_bytes=record_bytes,
        measured=measured,
        stamps=noted,
        parent=parent,
        held=held,
        layout=options.layout or layout_of(number, measured.manifest, measured.sizes, held),
        existing=held_version(store, measured, published),
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
    outside: Collection[str] = (),
) -> CommitRecord | None:
    """Return the version, if it is published already, with these very bytes.

    Parameters
    ----------
    outside : collection of str
        Adopted files, which the store itself does not hold.

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
        locations = read_locations(store, existing, measured.manifest)
        sizes = {p: n for p, n in measured.sizes.items() if p not in outside}
        check_held(store, existing, sizes, locations)
    return existing


def _measure(
    staged: Path,
    dataset: str,
    version: str,
    options: PublishOptions,
    *,
    noted: Stamps,
    progress: Progress | None,
) -> Measured:
    """Hash and describe what is staged, but for what an earlier run hashed and is the same."""
    around = options.surroundings
    memory = memory_of(around.memory.parent, staged)
    begun_ns = int(around.now().timestamp() * 10**9)
    measured = measure(
        staged,
        dataset=dataset,
        version=version,
        created="",
        known={} if options.rehash else recall(memory),
        progress=progress,
    )
    note(memory, noted, measured.manifest.hexes, begun_ns=begun_ns)
    return measured


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


def _held(store: Store, parent: CommitRecord | None, layout: Layout | None) -> tuple[Held, ...]:
    """Read what a parent holds. What is damaged is no reason not to publish a full version."""
    if parent is None:
        return ()
    try:
        return read_held(store, parent)
    except (IntegrityError, InvalidError, NotFoundError):
        if layout == "delta":
            raise
        return ()


def parent_of(
    store: Store,
    dataset: str,
    version: str,
    published: Sequence[VersionNumber],
    options: PublishOptions,
) -> CommitRecord | None:
    """Find the version that the new one continues: the one asked for, or the newest.

    Raises
    ------
    InvalidError
        If the one asked for is none of the older ones.
    """
    number = VersionNumber.parse(version)
    if number in published:
        return None
    older = [n for n in published if n < number]
    wanted = older if options.parent is None else [VersionNumber.parse(options.parent)]
    for number in reversed(wanted):
        if number in older and read_history(store, dataset, number).state != "purged":
            return read_commit(store, dataset, number)
    if options.parent is not None:
        named = ", ".join(map(str, reversed(older))) or "there is none yet"
        raise InvalidError(
            f"version {options.parent} is not an older version of {dataset}, or was purged",
            where="--parent",
            fix=f"choose one that is published: {named}",
        )
    if options.layout == "delta":
        raise InvalidError(
            f"{dataset} has no version yet, so there is nothing to inherit",
            where="--delta",
            fix="leave out --delta",
        )
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


def _claim(found: Surveyed, options: PublishOptions) -> Claim:
    around = options.surroundings
    parent = found.parent
    return Claim(
        tx=around.token(),
        host=around.host,
        user=around.user,
        pid=around.pid,
        started=around.time,
        parent=None
        if parent is None
        else ParentVersion(version=parent.version, digest=parent.digest),
        layout=found.layout,
        fetch_from=options.fetch_from,
    )


def _plan(found: Surveyed, store: Store, claim: Claim, commit_id: str) -> Plan:
    """Gather the version: its time and what it inherits are those of the first claim."""
    parent = claim.parent
    held = _claimed(found, store, claim)
    facts = found.measured.facts.model_copy(
        update={"created": claim.started, "parent": parent.version if parent else None}
    )
    manifest, sizes = found.measured.manifest, found.measured.sizes
    inheritance = inherit(manifest, sizes, facts.assets, held, layout=claim.layout)
    placed = replace(
        found.placed,
        since=inheritance.since,
        hrefs=hrefs_of(facts, manifest, inheritance),
        prefixes=inheritance.prefixes(facts.version),
        removed=inheritance.removed,
        url=store.url,
        fetch_from=claim.fetch_from,
    )
    version = Version(
        staged=found.staged,
        manifest=manifest,
        sizes=sizes,
        facts=facts,
        tags=tag_files(found.record_bytes, found.record, manifest, sizes, facts, placed=placed),
        parent=parent,
        inheritance=inheritance,
        placed=placed,
    )
    there = present(store, f"{facts.dataset}/{prefix_of(facts.version)}")
    return plan(version, there, tool=TOOL, commit_id=commit_id)


def _claimed(found: Surveyed, store: Store, claim: Claim) -> tuple[Held, ...]:
    """Return what the parent of whoever began the upload holds; it may be older than ours."""
    if claim.parent is None:
        return ()
    if found.parent is not None and found.parent.version == claim.parent.version:
        return found.held
    number = VersionNumber.parse(claim.parent.version)
    return _held(store, read_commit(store, found.record.id, number), claim.layout)


def _apply(
    planned: Plan,
    found: Surveyed,
    store: Store,
    hold: Callable[[], None],
    progress: Progress | None,
) -> Published:
    deeds = upload(store, planned, progress=progress)
    check_unchanged(found.stamps, stamps(found.staged), where=str(found.staged))
    hold()
    check_listing(store, planned)
    refuse_purged(store, planned.commit)
    check_inherited(store, planned)
    committed = commit(store, planned.commit)
    return Published(
        commit=committed,
        uploaded=deeds["sent"],
        copied=deeds["copied"],
        skipped=deeds["found"],
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
