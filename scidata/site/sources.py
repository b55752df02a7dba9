"""What the pages of a dataset are made of, read from its store one version at a time.

Nothing is trusted: record, facts and manifest are the ones that were committed, or the version
is damaged. What merely adds to a page (counts of splits, statistics, a DOI) is left out, and
named, where it cannot be read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scidata.correction import Correction
from scidata.diff import MAX_STATISTICS_BYTES, Side, parse_statistics
from scidata.doi.ledger import Ledger, Line
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.exporting import published_subject
from scidata.facts import STATISTICS
from scidata.formats import Subject
from scidata.inventory import (
    last_correction,
    read_correction,
    read_findable,
    read_reservation,
)
from scidata.listing import Listing
from scidata.published import (
    Published,
    read_file,
    read_published,
    read_record,
    read_split,
)
from scidata.status import History
from scidata.storage.base import Store
from scidata.version import CommitRecord

Warn = Callable[[str], None]

_DAMAGE = (IntegrityError, InvalidError, NotFoundError)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version, with all that its page says."""

    subject: Subject
    commit: CommitRecord
    history: History
    ledger: Ledger
    """Of every version of the dataset."""
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Ids in each part of each split, as far as they can be counted."""
    correction: Correction | None = None
    """The newest of its record, which is the one shown."""
    statistics: Mapping[str, Any] = field(default_factory=dict)
    """By asset, as ``data/statistics.json`` has them. Any: JSON."""

    @property
    def is_gone(self) -> bool:
        """Whether its page is a tombstone: it was withdrawn or purged."""
        return not self.history.is_offered

    @property
    def side(self) -> Side:
        """The version as one of two that are compared."""
        return Side(
            name=self.commit.name,
            manifest=self.subject.manifest,
            sizes=self.subject.sizes,
            facts=self.subject.facts,
            statistics=self.statistics,
        )


def read_outline(store: Store, listing: Listing, dataset: str, warn: Warn) -> Ledger:
    """Read what became of every version of a dataset, and which DOI each has."""
    return Ledger(
        lines=tuple(
            _line(store, commit, listing.history(commit), warn)
            for commit in listing.versions[dataset]
        )
    )


def _line(store: Store, commit: CommitRecord, history: History, warn: Warn) -> Line:
    reserved, findable = None, False
    try:
        reserved = read_reservation(store, commit)
        seen = read_findable(store, commit) if reserved else None
        findable = seen is not None and reserved is not None and seen.doi == reserved.doi
    except IntegrityError as error:
        reserved = None
        warn(f"the page of {commit.name} shows no DOI: {error.message}")
    return Line(commit=commit, history=history, reserved=reserved, findable=findable)


def read_version(
    store: Store, ledger: Ledger, number: str, *, data_url: str, warn: Warn
) -> Version:
    """Read one version.

    Raises
    ------
    IntegrityError, InvalidError, NotFoundError
        If its record, facts or manifest is not the one that was committed.
    StorageError
        If the store cannot be reached.
    """
    line = ledger.of(number)
    commit, history = line.commit, line.history
    subject = published_subject(commit, store, base_url=data_url)
    facts, record = subject.facts, subject.record
    if (facts.name, facts.digest, record.id) != (commit.name, commit.digest, commit.dataset):
        raise IntegrityError(
            f"the record of {commit.name} describes {record.id!r}, and its facts {facts.name}",
            where=store.address,
            fix=f"check the whole version: scidata verify {commit.name}",
        )
    version = Version(
        subject=subject,
        commit=commit,
        history=history,
        ledger=ledger,
        correction=_correction(store, commit),
    )
    if history.state == "purged":
        return version
    try:
        published = read_published(store, commit)
    except _DAMAGE as error:
        warn(f"the page of {commit.name} lacks splits and statistics: {error.message}")
        return version
    return replace(
        version,
        parts=_parts(published, subject, warn),
        statistics=_statistics(published, warn),
    )


def _correction(store: Store, commit: CommitRecord) -> Correction | None:
    last = last_correction(store, commit)
    try:
        found = last and read_correction(store, commit, read_record(store, commit), last)
    except IntegrityError:
        return None  # whoever read the record has warned of it
    return found[0] if found else None


def _parts(published: Published, subject: Subject, warn: Warn) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for rule in subject.record.splits:
        for part in rule.parts:
            try:
                count = len(read_split(published, rule, part.name))
            except (*_DAMAGE, StorageError) as error:
                warn(
                    f"{rule.name}/{part.name} of {subject.facts.name} is not counted: "
                    f"{error.message}"
                )
                continue
            counted.setdefault(rule.name, {})[part.name] = count
    return counted


def _statistics(published: Published, warn: Warn) -> Mapping[str, Any]:  # Any: JSON
    if STATISTICS not in published.manifest:
        return {}
    try:
        return parse_statistics(read_file(published, STATISTICS, limit=MAX_STATISTICS_BYTES))
    except (*_DAMAGE, StorageError) as error:
        warn(f"the statistics of {published.commit.name} are left out: {error.message}")
        return {}


def continued(ledger: Ledger, number: str) -> str | None:
    """Return the version that one is compared with: its parent, else the next older one."""
    commit = ledger.of(number).commit
    known = [line.commit.version for line in ledger.lines]
    if commit.parent is not None and commit.parent.version in known:
        return commit.parent.version
    older: Sequence[str] = known[: known.index(number)]
    return older[-1] if older else None
