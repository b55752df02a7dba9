"""Which version has which DOI, kept in the store: read and created, never rewritten."""

from dataclasses import dataclass

from scidata.errors import ConflictError, IntegrityError, ScidataError, StorageError
from scidata.inventory import read_findable, read_history, read_reservation, version_numbers
from scidata.parallel import each
from scidata.reservation import (
    MAX_RESERVATION_BYTES,
    FindableNote,
    Reservation,
    findable_key,
    kept_bytes,
    reservation_key,
)
from scidata.resolve import read_commit
from scidata.status import History
from scidata.storage.base import Store
from scidata.version import CommitRecord


@dataclass(frozen=True, kw_only=True)
class Line:
    """One version: its DOI if it has one, and whether that was seen findable."""

    commit: CommitRecord
    history: History
    reserved: Reservation | None
    findable: bool


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every version of a dataset, oldest first."""

    lines: tuple[Line, ...]

    def of(self, version: str) -> Line:
        """Return the line of a version."""
        return next(line for line in self.lines if line.commit.version == version)

    @property
    def concept(self) -> str | None:
        """The dataset's own DOI, as the first version that has one says."""
        return next((line.reserved.concept for line in self.lines if line.reserved), None)

    def predecessor(self, version: str) -> Line | None:
        """Return the version that one continues, if that has a findable DOI.

        It is the parent that was stated; else the next older one.
        """
        line = self.of(version)
        older = [x for x in self.lines if x.commit.number < line.commit.number and x.findable]
        if line.commit.parent is not None:
            stated = line.commit.parent.version
            older = [x for x in older if x.commit.version == stated] or older
        return older[-1] if older else None

    def following(self, version: str) -> tuple[str, ...]:
        """Return the findable DOIs of the versions that continue one."""
        return tuple(
            line.reserved.doi
            for line in self.lines
            if line.findable
            and line.reserved
            and (before := self.predecessor(line.commit.version)) is not None
            and before.commit.version == version
        )

    def offered(self) -> tuple[Line, ...]:
        """Return the findable versions that were not withdrawn."""
        return tuple(x for x in self.lines if x.findable and x.history.is_offered)

    def with_findable(self, version: str, reserved: Reservation) -> "Ledger":
        """Return the ledger as it will be once a version's DOI can be found."""
        return Ledger(
            lines=tuple(
                Line(commit=x.commit, history=x.history, reserved=reserved, findable=True)
                if x.commit.version == version
                else x
                for x in self.lines
            )
        )


def read_ledger(store: Store, dataset: str, *, test: bool, also: CommitRecord) -> Ledger:
    """Read what a store says of the DOIs of a dataset's versions.

    Parameters
    ----------
    also : CommitRecord
        A version that is part of it in any case, where a store cannot list.

    Raises
    ------
    IntegrityError
        If a note cannot be read: then nobody knows whether that version has a DOI.
    StorageError
        If the store cannot be reached.
    """
    others = [n for n in version_numbers(store, dataset) if n != also.number]
    commits = [also, *each(lambda number: read_commit(store, dataset, number), others)]
    lines = each(lambda commit: _line(store, commit, test=test), commits)
    return Ledger(lines=tuple(sorted(lines, key=lambda line: line.commit.number)))


def _line(store: Store, commit: CommitRecord, *, test: bool) -> Line:
    reserved = read_reservation(store, commit, test=test)
    seen = read_findable(store, commit, test=test) if reserved else None
    return Line(
        commit=commit,
        history=read_history(store, commit.dataset, commit.number),
        reserved=reserved,
        findable=seen is not None and reserved is not None and seen.doi == reserved.doi,
    )


def reserve(
    store: Store, reservation: Reservation, commit: CommitRecord, *, test: bool
) -> None:
    """Give a version its DOI, for ever.

    Raises
    ------
    ConflictError
        If it has another one already.
    StorageError
        If the store cannot be written.
    """
    key = reservation_key(commit.dataset, commit.version, test=test)
    if create_once(store, key, kept_bytes(reservation)):
        return
    there = read_reservation(store, commit, test=test)
    if there is None or there.doi != reservation.doi:
        raise ConflictError(
            f"{commit.name} was given another DOI meanwhile: {there.doi if there else '?'}",
            where=f"{key} in {store.address}",
            fix="run the same command again: it goes on with that one",
        )


def note_findable(store: Store, note: FindableNote, *, test: bool) -> None:
    """Write down that a DOI can be found; whoever was first may have said so already."""
    key = findable_key(note.dataset, note.version, test=test)
    if create_once(store, key, kept_bytes(note)):
        return
    try:
        data = store.read(key, limit=MAX_RESERVATION_BYTES)
        same = FindableNote.model_validate_json(data).doi == note.doi
    except (ScidataError, ValueError):
        same = False
    if not same:
        raise IntegrityError(
            "what lies in the place of the note that the DOI can be found is none",
            where=f"{key} in {store.address}",
            fix="remove this one file, then run the same command again",
        )


def create_once(store: Store, key: str, data: bytes) -> bool:
    """Create an object; an answer that was lost is settled by looking."""
    try:
        return store.create(key, data)
    except StorageError:
        try:
            held = store.read(key, limit=len(data))
        except ScidataError:
            held = b""
        if held != data:
            raise
        return True
