"""A record corrected after publishing: compared, judged by the caller, written down once."""

from pathlib import Path

from scidata.correction import (
    MAX_CORRECTION_BYTES,
    MAX_CORRECTIONS,
    Correction,
    check_changes,
    correction_bytes,
    correction_key,
)
from scidata.errors import ConflictError, ScidataError, StorageError
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
    if last >= MAX_CORRECTIONS or not _create(store, key, correction_bytes(correction)):
        raise ConflictError(
            f"the record of {commit.name} was corrected by somebody else meanwhile",
            where=f"{key} in {store.address}",
            fix="compare with what holds now, then run the same command again",
        )


def _create(store: Store, key: str, data: bytes) -> bool:
    """Create an object; an answer that was lost is settled by looking."""
    try:
        return store.create(key, data)
    except StorageError:
        try:
            held = store.read(key, limit=MAX_CORRECTION_BYTES)
        except ScidataError:
            held = b""
        if held != data:
            raise
        return True
