"""What publishing finds out before it writes anything: the data, the parent, what is there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scidata.check import check
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.formats import Placed
from scidata.hashing import Progress
from scidata.identifiers import check_address
from scidata.inventory import read_history
from scidata.locations import read_locations
from scidata.manifest import PAYLOAD
from scidata.measure import Measured, Surveyed, measure
from scidata.measure.files import Stamps
from scidata.publishing.inheritance import (
    Held,
    Layout,
    layout_of,
    read_held,
)
from scidata.publishing.plan import (
    check_number,
    check_same,
)
from scidata.publishing.remembered import memory_of, note, recall
from scidata.publishing.upload import (
    check_held,
    existing_commit,
)
from scidata.record import Record, read_record_bytes
from scidata.resolve import read_commit, version_numbers
from scidata.sshsig import SigningKey
from scidata.storage.addresses import refuse_inside
from scidata.storage.base import Store
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, VersionNumber
from scidata.wording import counted

_FETCHED = ("https", "http", "s3", "file")
"""Schemes of the address from which BagIt tools complete a delta."""


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
class Prepared:
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


def prepare(
    staged: Path,
    store: Store,
    *,
    version: str,
    options: PublishOptions | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Check and measure a staged dataset, and look what the store holds of it.

    Raises
    ------
    ScidataError
        As `publish`.
    """
    options = options or PublishOptions()
    number = VersionNumber.parse(version)
    if options.fetch_from:  # goes into the version, for ever
        check_address(options.fetch_from, where="--fetch-from", schemes=_FETCHED)
    refuse_inside(store, staged / PAYLOAD)
    begun_ns = int(options.surroundings.now().timestamp() * 10**9)
    record, record_bytes, data = _record(staged)
    # Before the bytes are read, which may take hours: can the store be reached at all?
    published = published_numbers(store, record.id, version)
    parent = parent_of(store, record.id, version, published, options)
    held = held_of(store, parent, options.layout)
    measured = _measure(
        staged, record.id, version, options, data=data, begun_ns=begun_ns, progress=progress
    )
    return Prepared(
        staged=staged,
        record=record,
        record_bytes=record_bytes,
        measured=measured,
        stamps=data.stamps,
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
    data: Surveyed,
    begun_ns: int,
    progress: Progress | None,
) -> Measured:
    """Hash and describe what is staged, but for what an earlier run hashed and is the same."""
    around = options.surroundings
    memory = memory_of(around.memory.parent, staged)
    recalled = recall(memory)
    measured = measure(
        staged,
        dataset=dataset,
        version=version,
        created="",
        known={} if options.rehash else recalled,
        surveyed=data,
        progress=progress,
    )
    note(memory, data.stamps, measured, begun_ns=begun_ns, recalled=recalled)
    return measured


def _record(staged: Path) -> tuple[Record, bytes, Surveyed]:
    checked = check(staged)
    if not checked.staged:
        raise InvalidError(
            f"{str(staged)!r} is a file, not a staged dataset",
            where=str(staged),
            fix="give the folder that holds record.yaml and data/",
        )
    if checked.record is None or checked.surveyed is None or checked.errors:
        count = counted(len(checked.errors), "problem")
        raise InvalidError(
            f"the staged dataset cannot be published: {count}",
            where=str(staged),
            fix=f"correct what is listed, then see: scidata check {staged}",
            problems=checked.errors,
        )
    return checked.record, read_record_bytes(staged / "record.yaml"), checked.surveyed


def held_of(
    store: Store, parent: CommitRecord | None, layout: Layout | None
) -> tuple[Held, ...]:
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
