"""Publishing: a staged dataset becomes an immutable version in a store.

The protocol is described in ``docs/design/commit-protocol.md``. In short: measure, claim,
upload every object with create-if-absent, look that all are there and nothing else, and create
one small commit record. Readers see nothing before that and everything after it. A run that
was interrupted continues when it is started again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from scidata.about import TOOL
from scidata.digest import Digest
from scidata.errors import (
    ScidataError,
)
from scidata.formats import RECORD, prefix_of, tag_files
from scidata.hashing import Progress
from scidata.index import rebuild
from scidata.measure.files import stamps
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
    inherit,
    refuse_purged,
)
from scidata.publishing.plan import (
    Plan,
    Version,
    hrefs_of,
    plan,
)
from scidata.publishing.preparing import (
    Prepared,
    PublishOptions,
    held_of,
    held_version,
    parent_of,
    prepare,
    published_numbers,
)
from scidata.publishing.upload import (
    check_inherited,
    check_listing,
    check_unchanged,
    commit,
    present,
    upload,
)
from scidata.resolve import read_commit
from scidata.signing import Signed, sign_commit
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, ParentVersion, VersionNumber

__all__ = [
    "Plan",
    "Prepared",
    "PublishOptions",
    "Published",
    "Surroundings",
    "held_version",
    "parent_of",
    "plan_prepared",
    "plan_publish",
    "prepare",
    "publish",
    "publish_prepared",
    "published_numbers",
]


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


def publish(
    staged: Path | str,
    store: StoreLike | None = None,
    *,
    version: str,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Published:
    """Publish a staged dataset as an immutable version, or continue to do so.

    Parameters
    ----------
    staged : Path or str
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
    found = prepare(Path(staged), opened, version=version, options=options, progress=progress)
    return publish_prepared(found, opened, options=options, progress=progress)


def publish_prepared(
    found: Prepared,
    opened: Store,
    *,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Published:
    """Publish what was prepared; raises as `publish`."""
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
    found = prepare(staged, opened, version=version, options=options, progress=progress)
    return plan_prepared(found, opened, options=options)


def plan_prepared(
    found: Prepared, opened: Store, *, options: PublishOptions | None = None
) -> Plan | CommitRecord:
    """Say what `publish_prepared` would do; nothing is written."""
    options = options or PublishOptions()
    if found.existing is not None:
        return found.existing
    first = first_claim(opened, found.record.id, found.measured.facts.version)
    refuse_other_wishes(first, options.layout, options.parent, options.fetch_from)
    claim = first or _claim(found, options)
    return _plan(found, opened, claim, options.surroundings.token())


def _trusted(store: Store, options: PublishOptions) -> tuple[Store, bool]:
    return trusted(store, options.surroundings, single_writer=options.single_writer)


def _take(found: Prepared, store: Store, options: PublishOptions, mine: Claim) -> Claim:
    return take(
        store,
        found.record.id,
        found.measured.facts.version,
        mine,
        takeover=options.takeover,
        is_dead=partial(has_ended, host=mine.host, user=mine.user, pid=mine.pid),
    )


def _claim(found: Prepared, options: PublishOptions) -> Claim:
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


def _plan(found: Prepared, store: Store, claim: Claim, commit_id: str) -> Plan:
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
    tags = tag_files(
        found.record_bytes,
        found.record,
        manifest,
        sizes,
        facts,
        placed=placed,
        parts=found.measured.parts,
    )
    version = Version(
        staged=found.staged,
        manifest=manifest,
        sizes=sizes,
        facts=facts,
        tags=tags,
        parent=parent,
        inheritance=inheritance,
        placed=placed,
    )
    there = present(store, f"{facts.dataset}/{prefix_of(facts.version)}")
    return plan(version, there, tool=TOOL, commit_id=commit_id)


def _claimed(found: Prepared, store: Store, claim: Claim) -> tuple[Held, ...]:
    """Return what the parent of whoever began the upload holds; it may be older than ours."""
    if claim.parent is None:
        return ()
    if found.parent is not None and found.parent.version == claim.parent.version:
        return found.held
    number = VersionNumber.parse(claim.parent.version)
    return held_of(store, read_commit(store, found.record.id, number), claim.layout)


def _apply(
    planned: Plan,
    found: Prepared,
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


def _already(found: Prepared, store: Store, existing: CommitRecord) -> Published:
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
