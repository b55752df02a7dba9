"""One version at a glance: its commit record, record, facts and split sizes, all checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from scidata import split
from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, NotFoundError
from scidata.facts import Facts, parse_facts
from scidata.formats import RECORD
from scidata.formats.text import citation
from scidata.manifest import FACTS, Manifest
from scidata.record import Record, parse_record
from scidata.resolve import read_manifest, read_tag, resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
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
    prefix = f"v{commit.version}/"
    record_key = f"{commit.dataset}/{prefix}{RECORD}"
    record = parse_record(read_tag(opened, commit, prefix + RECORD), where=record_key)
    facts_key = f"{commit.dataset}/{prefix}{FACTS}"
    facts = parse_facts(read_tag(opened, commit, prefix + FACTS), where=facts_key)
    return Shown(
        commit=commit,
        record=record,
        facts=facts,
        citation=citation(record, facts),
        parts=_parts(opened, commit, record) if record.splits else {},
    )


def _parts(store: Store, commit: CommitRecord, record: Record) -> dict[str, dict[str, int]]:
    manifest = read_manifest(store, commit)
    return {
        rule.name: {
            part.name: _count(store, commit, manifest, split.split_path(rule.name, part.name))
            for part in rule.parts
        }
        for rule in record.splits
    }


def _count(store: Store, commit: CommitRecord, manifest: Manifest, path: str) -> int:
    """Count the ids of a split part, whose bytes are checked like any other file's."""
    key = f"{commit.dataset}/v{commit.version}/{path}"
    if path not in manifest:
        raise NotFoundError(
            f"{commit.name} names the split file {path!r} but has none",
            where=store.url,
            fix="report it to whoever published the version",
        )
    data = store.read(key, limit=split.MAX_PART_BYTES)
    found = Digest.of(data)
    if found != manifest[path]:
        raise IntegrityError(
            f"{path}: expected {manifest[path]}, found {found}",
            where=f"{key} at {store.url}",
            fix=f"check the whole version: scidata verify {commit.name}",
            damage=[
                Damage(path=path, state="bad", expected=str(manifest[path]), found=str(found))
            ],
        )
    return len(split.parse(data, where=key))
