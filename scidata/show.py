"""One version at a glance: its commit record, record, facts and split sizes, all checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from scidata.correction import changes
from scidata.facts import Facts
from scidata.formats.text import citation
from scidata.inventory import corrected, known_doi, read_history
from scidata.published import Published, read_facts, read_published, read_record, read_split
from scidata.record import Record
from scidata.reservation import KnownDoi
from scidata.resolve import resolve
from scidata.status import History
from scidata.storage import StoreLike, open_store
from scidata.version import CommitRecord


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is known of a version."""

    commit: CommitRecord
    record: Record
    facts: Facts
    citation: str
    parts: Mapping[str, Mapping[str, int]]
    """How many ids each part of each split has."""
    history: History
    """Whether it was deprecated or withdrawn, and why."""
    doi: KnownDoi | None = None
    """Given to it after it was published; None if it has none."""
    corrected: tuple[str, ...] = ()
    """Fields of `record` that were corrected after it was published."""


def show(reference: str, store: StoreLike | None = None) -> Shown:
    """Read what a version says of itself.

    Parameters
    ----------
    reference : str
        ``tevolop`` for the newest version, ``tevolop@1.0.0``, or ``tevolop@sha256:…``.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If the version does not exist.
    InvalidError, IntegrityError
        If one of the files read is not the one that was committed, or malformed.
    StorageError
        If the store cannot be read.
    """
    opened = open_store(store)
    commit = resolve(reference, opened)
    own, facts = read_record(opened, commit), read_facts(opened, commit)
    record = corrected(opened, commit, own)
    doi = known_doi(opened, commit)
    return Shown(
        commit=commit,
        record=record,
        facts=facts,
        citation=citation(record, facts, doi.doi if doi and doi.findable else None),
        parts=_parts(read_published(opened, commit), record) if record.splits else {},
        history=read_history(opened, commit.dataset, commit.number),
        doi=doi,
        corrected=changes(own, record),
    )


def _parts(opened: Published, record: Record) -> dict[str, dict[str, int]]:
    return {
        rule.name: {part.name: len(read_split(opened, rule, part.name)) for part in rule.parts}
        for rule in record.splits
    }
