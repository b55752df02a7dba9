"""A record corrected after publishing: compared, judged by the caller, written down once."""

from pathlib import Path

from scidata.correction import (
    MAX_CORRECTIONS,
    Correction,
    check_changes,
    correction_bytes,
    correction_key,
)
from scidata.doi.ledger import create_once
from scidata.errors import ConflictError
from scidata.record import Record, parse_record, read_record_bytes, record_yaml
from scidata.storage.base import Store
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord


def read_corrected(path: Path, before: Record) -> Record:
    """Read a corrected record of a version that was committed with another.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If it is no valid record, or changes what no correction may.
    """
    after = parse_record(read_record_bytes(path), where=str(path))
    check_changes(before, after, where=str(path))
    return after


def write_down(
    store: Store,
    commit: CommitRecord,
    after: Record,
    changed: tuple[str, ...],
    *,
    last: int,
    around: Surroundings,
    test: bool,
) -> None:
    """Create the next correction of a version.

    Raises
    ------
    ConflictError
        If somebody else corrected it meanwhile, or there are too many.
    StorageError
        If the store cannot be written.
    """
    correction = Correction(
        dataset=commit.dataset,
        version=commit.version,
        digest=commit.digest,
        changed=changed,
        record=record_yaml(after).decode(),
        by=around.user[:200],
        date=around.time,
    )
    key = correction_key(commit.dataset, commit.version, last + 1, test=test)
    if last >= MAX_CORRECTIONS or not create_once(store, key, correction_bytes(correction)):
        raise ConflictError(
            f"the record of {commit.name} was corrected by somebody else meanwhile",
            where=f"{key} in {store.address}",
            fix="compare with what holds now, then run the same command again",
        )
