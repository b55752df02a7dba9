"""What one version needs to be in another store; nothing is written.

The source is not listed, so that a web address will do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from scidata.correction import MAX_CORRECTION_BYTES, correction_key
from scidata.errors import ConflictError, InvalidError, NotFoundError
from scidata.inventory import last_correction, read_history
from scidata.locations import full_key, full_note, is_full, read_index
from scidata.reservation import findable_key, reservation_key
from scidata.resolve import commit_key, read_commit, read_manifest
from scidata.status import MAX_STATUS_BYTES, History, status_key
from scidata.storage.base import Store
from scidata.transferring import Transfer
from scidata.version import MAX_COMMIT_BYTES, CommitRecord, VersionNumber

_Sized: TypeAlias = tuple[str, int, str]
"""Key, size in bytes and sha256 of an object."""


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
    claimed: tuple[VersionNumber, ...] = ()
    """Older versions that the other store does not have, and in whose prefixes files lie."""
    relied: tuple[VersionNumber, ...] = ()
    """Older versions that the other store has, and in whose prefixes files lie."""

    @property
    def missing(self) -> tuple[Transfer, ...]:
        """The objects to send; the others lie there and are compared."""
        return tuple(item for item in self.objects if not item.present)

    @property
    def is_purged(self) -> bool:
        """Whether only the description is left of it."""
        return self.history.state == "purged"


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
    there = is_there(target, commit)
    history = read_history(source, commit.dataset, commit.number)
    objects: tuple[Transfer, ...] = ()
    notes: tuple[tuple[str, bytes], ...] = ()
    claimed: tuple[VersionNumber, ...] = ()
    relied: tuple[VersionNumber, ...] = ()
    if not there:
        sized = list(_tags(commit))
        if history.state != "purged":
            sized += _payload(source, commit)
        older = _older(sized, commit)
        relied = tuple(n for n in older if _has(source, target, commit, n))
        claimed = tuple(n for n in older if n not in relied)
        objects = tuple(_transfers(target, commit, sized, relied))
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
        claimed=claimed,
        relied=relied,
    )


def is_there(target: Store, commit: CommitRecord) -> bool:
    """Tell whether a store has a version; `ConflictError` if it has another of its number."""
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


def _tags(commit: CommitRecord) -> Iterator[_Sized]:
    for key, tag in commit.tags.items():
        yield f"{commit.dataset}/{key}", tag.size, tag.sha256


def _payload(source: Store, commit: CommitRecord) -> Iterator[_Sized]:
    manifest = read_manifest(source, commit)
    index = read_index(source, commit, manifest)
    for path, digest in manifest.items():
        if path not in index.locations.outside:  # adopted: stays where it is
            yield index.locations.of(path).key, index.sizes[path], digest.hex


def _older(sized: Iterable[_Sized], commit: CommitRecord) -> list[VersionNumber]:
    """Return the older versions in whose prefixes objects lie."""
    folders = {key.split("/")[1] for key, _, _ in sized}
    older = [prefix for prefix in commit.prefixes[:-1] if prefix in folders]
    return sorted(VersionNumber.parse(prefix.removeprefix("v")) for prefix in older)


def _has(source: Store, target: Store, commit: CommitRecord, number: VersionNumber) -> bool:
    """Tell whether the other store has an older version as one of its own.

    What a version inherits from it was compared when it came; `scidata.verify` does again.
    """
    try:
        return is_there(target, read_commit(source, commit.dataset, number))
    except (NotFoundError, ConflictError):
        return False


def _transfers(
    target: Store,
    commit: CommitRecord,
    sized: Iterable[_Sized],
    relied: Iterable[VersionNumber],
) -> Iterator[Transfer]:
    """Yield every object of a version; where each lies is the same in both stores."""
    sized = tuple(sized)
    # The catalog beside the folders is asked for when it is written: it is one object.
    folders = {key.split("/")[1] for key, _, _ in sized if key.count("/") > 1}
    present = {
        facts.key: facts.size
        for folder in folders
        for facts in target.list(f"{commit.dataset}/{folder}/")
    }
    vouched = tuple(f"{commit.dataset}/v{number}/" for number in relied)
    for key, size, sha256 in sized:
        if present.get(key) != size or not key.startswith(vouched):
            yield Transfer(key=key, size=size, sha256=sha256, present=key in present)


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
        if (data := read_small(source, key)) is not None:
            yield key, data
    for number in range(1, last_correction(source, commit) + 1):
        key = correction_key(commit.dataset, commit.version, number)
        yield key, source.read(key, limit=MAX_CORRECTION_BYTES)


def read_small(store: Store, key: str) -> bytes | None:
    """Read a small object; None if it is absent, or too large to be one."""
    try:
        return store.read(key, limit=MAX_STATUS_BYTES)
    except (NotFoundError, InvalidError):
        return None
