"""What a store shows: names of datasets, numbers of versions, and what became of each.

Commit records are not read here. A version exists if and only if its commit record does, so
numbers come from a listing of the store, never from a catalog. Read-only https cannot list:
there `catalog.json` and `collection.json` tell the names.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scidata.correction import (
    MAX_CORRECTION_BYTES,
    MAX_CORRECTIONS,
    Correction,
    correction_key,
    corrections_among,
    parse_correction,
)
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.parallel import each
from scidata.record import Record
from scidata.reservation import (
    MAX_RESERVATION_BYTES,
    FindableNote,
    KnownDoi,
    Reservation,
    findable_key,
    parse_findable,
    parse_reservation,
    reservation_key,
)
from scidata.status import (
    MAX_STATUS_BYTES,
    MAX_STATUSES,
    Entry,
    History,
    parse_status,
    status_key,
    statuses_among,
)
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.refusals import hides_what_is_absent
from scidata.version import DATASET_ID, CommitRecord, VersionNumber
from scidata.warning import warn

_MAX_CATALOG_BYTES = 16 * 2**20
_COMMIT = re.compile(r"versions/([0-9.]+)\.json")
_FINDABLE = re.compile(r"versions/([0-9.]+)\.doi-findable\.json")
_CHILD = re.compile(rf"(?:.*/)?({DATASET_ID})/collection\.json")
_ITEM = re.compile(r"(?:.*/)?(?:v|item-)([0-9.]+)(?:/meta/item)?\.json")


@dataclass(frozen=True, kw_only=True)
class Existing:
    """What a store shows of one dataset."""

    numbers: tuple[VersionNumber, ...]
    """Of its versions, oldest first."""
    statuses: Mapping[VersionNumber, tuple[int, ...]] | None
    """Numbers of each version's statuses; None where the store cannot list."""
    dois: frozenset[VersionNumber] = frozenset()
    """Versions whose DOI was seen findable, where the store can list."""
    corrections: Mapping[VersionNumber, int] = field(default_factory=dict)
    """The highest number of each version's corrections, where the store can list."""


def list_datasets(store: StoreLike | None = None) -> tuple[str, ...]:
    """Name the datasets that have a published version, sorted.

    Raises
    ------
    NotFoundError
        If the store is a folder that does not exist, or a file.
    StorageError
        If the store cannot be reached.
    """
    return tuple(published(open_store(store)))


def published(store: Store) -> dict[str, Existing]:
    """List what exists of each dataset that has a version, in the order of names.

    Raises
    ------
    ScidataError
        As `list_datasets`.
    """
    found = dict(each(lambda name: (name, existing(store, name)), names(store)))
    return {name: found[name] for name in sorted(found) if found[name].numbers}


def names(store: Store) -> tuple[str, ...]:
    """List what may be datasets, sorted; a dataset without versions may be among them.

    Raises
    ------
    ScidataError
        As `list_datasets`; `NotFoundError` if https has no catalog to take names from.
    """
    if not store.lists:
        links = _links(store, "catalog.json", "child", required=True)
        return tuple(sorted(set(_matches(_CHILD, links))))
    return tuple(name for name in store.folders() if re.fullmatch(DATASET_ID, name))


def version_numbers(store: Store, dataset: str) -> tuple[VersionNumber, ...]:
    """List the numbers of a dataset's versions, oldest first; raises as `existing`."""
    return existing(store, dataset).numbers


def existing(store: Store, dataset: str) -> Existing:
    """List a dataset's versions and their statuses, by one request; there may be none.

    Files beside the commit records whose name is no version number are somebody's own.

    Raises
    ------
    StorageError
        If the store cannot be reached.
    """
    if store.lists:
        listed = store.list(f"{dataset}/versions/")
        keys = [facts.key.removeprefix(f"{dataset}/") for facts in listed]
        numbers = _sorted(_matches(_COMMIT, keys))
        return Existing(
            numbers=numbers,
            statuses=statuses_among(keys),
            dois=frozenset(_sorted(_matches(_FINDABLE, keys))),
            corrections=corrections_among(keys),
        )
    links = _links(store, f"{dataset}/collection.json", "item")
    return Existing(numbers=_sorted(_matches(_ITEM, links)), statuses=None)


def existing_numbers(store: Store, dataset: str) -> tuple[VersionNumber, ...]:
    """List the numbers of a dataset's versions, oldest first; raises as `required`."""
    return required(store, dataset).numbers


def required(store: Store, dataset: str) -> Existing:
    """List a dataset's versions and their statuses; there must be one version.

    Raises
    ------
    NotFoundError
        If the dataset has no version; the remedy names datasets with similar names.
    StorageError
        If the store cannot be reached.
    """
    found = existing(store, dataset)
    if not found.numbers:
        there = [n for n in names(store) if n != dataset]
        near = difflib.get_close_matches(dataset, there, n=3, cutoff=0.5)
        shown = ", ".join(n for n in near or there[:5] if existing(store, n).numbers)
        known = (f"did you mean {shown}? " if near else f"it holds {shown}; ") if shown else ""
        raise NotFoundError(
            f"the store holds no dataset {dataset!r}",
            where=store.address,
            fix=f"{known}see what is there: scidata list {options_of(store)}",
        )
    return found


def _links(store: Store, key: str, relation: str, *, required: bool = False) -> Iterator[str]:
    """Yield the targets of a STAC file's links of one kind; the file is not trusted."""
    try:
        document = json.loads(store.read(key, limit=_MAX_CATALOG_BYTES))
    except NotFoundError as error:
        if required:
            raise NotFoundError(
                f"there is no {key!r}, which names the datasets of a store on the web",
                where=store.address,
                fix="check the address; if it is right, name a version (dataset@1.0.0), or ask "
                "whoever runs the store to run: scidata index",
            ) from error
        return
    except (ValueError, RecursionError) as error:
        raise InvalidError(
            f"{key!r} is not JSON",
            where=store.address,
            fix="ask whoever runs the store to run: scidata index",
        ) from error
    links = document.get("links") if isinstance(document, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == relation:
            yield str(link.get("href"))


def _matches(pattern: re.Pattern[str], texts: Iterable[str]) -> Iterator[str]:
    return (match[1] for match in map(pattern.fullmatch, texts) if match)


def _sorted(texts: Iterable[str]) -> tuple[VersionNumber, ...]:
    numbers = set()
    for text in texts:
        try:
            numbers.add(VersionNumber.parse(text))
        except InvalidError:
            continue  # not a version number, so not a commit record: somebody's own file
    return tuple(sorted(numbers))


def read_history(
    store: Store,
    dataset: str,
    version: VersionNumber,
    known: Mapping[VersionNumber, tuple[int, ...]] | None = None,
) -> History:
    """Read every status of a version; what cannot be read is part of the result.

    Parameters
    ----------
    known : mapping, optional
        What `statuses_among` found in a listing, for those who have one.
    """
    if known is not None:
        numbers: Iterable[int] = known.get(version, ())
        return History(entries=tuple(_read(store, dataset, version, n) for n in numbers))
    if store.lists:
        try:
            # The commit record is among them: an empty listing would cost a second question.
            prefix = f"{dataset}/versions/{version}."
            keys = [f.key.removeprefix(f"{dataset}/") for f in store.list(prefix)]
        except StorageError as error:
            if not hides_what_is_absent(error):
                return History(entries=(_not_told(error),))
        else:
            return read_history(store, dataset, version, statuses_among(keys))
    return _probed(store, dataset, version)


def _probed(store: Store, dataset: str, version: VersionNumber) -> History:
    """Ask for one number after the other, where nothing lists: they have no gaps."""
    entries: list[Entry] = []
    for number in range(1, MAX_STATUSES + 1):
        try:
            data = store.read(status_key(dataset, str(version), number), limit=MAX_STATUS_BYTES)
        except NotFoundError:
            break
        except StorageError as error:
            if not hides_what_is_absent(error):
                entries.append(_not_told(error, number))
            break
        except InvalidError as error:
            entries.append(Entry(number=number, status=None, fault=error.message))
            continue
        entries.append(_parsed(data, dataset, version, number))
    return History(entries=tuple(entries))


def _read(store: Store, dataset: str, version: VersionNumber, number: int) -> Entry:
    try:
        data = store.read(status_key(dataset, str(version), number), limit=MAX_STATUS_BYTES)
    except (NotFoundError, InvalidError, StorageError) as error:
        return Entry(number=number, status=None, fault=error.message)
    return _parsed(data, dataset, version, number)


def _parsed(data: bytes, dataset: str, version: VersionNumber, number: int) -> Entry:
    try:
        status = parse_status(data, dataset=dataset, version=str(version))
    except InvalidError as error:
        return Entry(number=number, status=None, fault=error.message)
    return Entry(number=number, status=status)


def _not_told(error: StorageError, number: int = 1) -> Entry:
    return Entry(number=number, status=None, fault=error.message)


def read_reservation(
    store: Store, commit: CommitRecord, *, test: bool = False
) -> Reservation | None:
    """Read which DOI a version has, or will have; None if none was ever reserved.

    Raises
    ------
    IntegrityError
        If it cannot be read, or is that of another version or of other data.
    StorageError
        If the store cannot be reached.
    """
    key = reservation_key(commit.dataset, commit.version, test=test)
    data = _small(store, key)
    if not data:
        return None
    return parse_reservation(data, commit, where=f"{key} at {store.address}")


def read_findable(
    store: Store, commit: CommitRecord, *, test: bool = False
) -> FindableNote | None:
    """Read whether a version's DOI was seen findable; raises as `read_reservation`."""
    key = findable_key(commit.dataset, commit.version, test=test)
    data = _small(store, key)
    if not data:
        return None
    return parse_findable(data, commit, where=f"{key} at {store.address}")


def known_doi(store: Store, commit: CommitRecord) -> KnownDoi | None:
    """Tell a reader which DOI a version has; warns, and tells none, if the note is damaged."""
    try:
        reserved = read_reservation(store, commit)
        if reserved is None:
            return None
        seen = read_findable(store, commit)
    except IntegrityError as error:
        warn(f"the DOI of {commit.name} cannot be told: {error.message} ({error.where})")
        return None
    findable = seen is not None and seen.doi == reserved.doi
    return KnownDoi(doi=reserved.doi, concept=reserved.concept, findable=findable)


def corrected(
    store: Store, commit: CommitRecord, record: Record, last: int | None = None
) -> Record:
    """Return what holds of a version's record; warns, and keeps it, if a correction is damaged.

    Parameters
    ----------
    record : Record
        As it was committed.
    last : int, optional
        The highest number of its corrections, for those who have a listing.
    """
    try:
        found = read_correction(store, commit, record, last)
    except IntegrityError as error:
        warn(f"a correction of {commit.name} is not told: {error.message} ({error.where})")
        return record
    return found[1] if found else record


def read_correction(
    store: Store,
    commit: CommitRecord,
    record: Record,
    last: int | None = None,
    *,
    test: bool = False,
) -> tuple[Correction, Record] | None:
    """Read the correction that holds of a version, and the record that it makes; None if none.

    Raises
    ------
    IntegrityError
        If it cannot be read, or is that of another version or of other data.
    StorageError
        If the store cannot be reached.
    """
    if last is None:
        last = last_correction(store, commit, test=test)
    if not last:
        return None
    key = correction_key(commit.dataset, commit.version, last, test=test)
    if (data := _small(store, key, MAX_CORRECTION_BYTES)) is None:
        return None
    return parse_correction(data, commit, record, where=f"{key} at {store.address}")


def last_correction(store: Store, commit: CommitRecord, *, test: bool = False) -> int:
    """Return the highest number of a version's corrections; 0 if there is none."""
    if store.lists and not test:
        prefix = f"{commit.dataset}/versions/{commit.version}.correction-"
        try:
            keys = [f.key.removeprefix(f"{commit.dataset}/") for f in store.list(prefix)]
        except StorageError as error:
            if not hides_what_is_absent(error):
                raise
        else:
            return corrections_among(keys).get(commit.number, 0)
    for number in range(1, MAX_CORRECTIONS + 1):
        key = correction_key(commit.dataset, commit.version, number, test=test)
        if _small(store, key, MAX_CORRECTION_BYTES) is None:
            return number - 1
    return MAX_CORRECTIONS


def _small(store: Store, key: str, limit: int = MAX_RESERVATION_BYTES) -> bytes | None:
    try:
        data = store.read(key, limit=limit)
    except NotFoundError:
        return None
    except InvalidError as error:
        raise IntegrityError(
            f"a note beside a version is damaged: {error.message}",
            where=f"{key} at {store.address}",
            fix="bring this one file back from another copy of the store",
        ) from error
    except StorageError as error:
        if hides_what_is_absent(error):
            return None
        raise
    # Some web servers answer anything with a page.
    return None if data.lstrip().startswith(b"<") else data
