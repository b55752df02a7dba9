"""The mutable catalogs of a store, rebuilt from commit records: caches that nobody must trust.

Losing or racing them harms nobody: run it again. A version is listed if and only if its commit
record exists and its record and facts are the ones that were committed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from scidata import formats
from scidata.digest import Digest
from scidata.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    Problem,
    ScidataError,
    StorageError,
)
from scidata.facts import Facts, parse_facts
from scidata.formats import intake, stac
from scidata.formats.stac_status import item_path, later_item
from scidata.formats.text import to_json, to_yaml
from scidata.inventory import Existing, corrected, known_doi, published, read_history
from scidata.manifest import FACTS
from scidata.record import Record, parse_record
from scidata.resolve import read_commit, read_tag
from scidata.status import History
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.version import CommitRecord, OutsidePlace, Reference, VersionNumber

ROOT_INTAKE = "index.yaml"
ROOT_STAC = "catalog.json"
DATASET_INTAKE = "catalog.yaml"
DATASET_STAC = "collection.json"

_AT_ONCE = 8
_ROUNDS = 5
"""Publishers that meet more often leave the last word to whoever comes after."""
_Committed: TypeAlias = Mapping[str, Existing]
"""Each dataset's versions and their statuses."""

_DAMAGE = (IntegrityError, InvalidError, NotFoundError)


@dataclass(frozen=True, kw_only=True)
class IndexedDataset:
    """A dataset as the catalogs list it."""

    name: str
    versions: tuple[str, ...]
    """Oldest first; damaged ones are left out."""


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What `rebuild` did, or would do."""

    datasets: tuple[IndexedDataset, ...]
    written: tuple[str, ...]
    """Keys of the catalogs that differed from what the commit records say."""
    unchanged: tuple[str, ...]
    damaged: tuple[Problem, ...]
    """Versions that are committed but not listed, each with the reason."""
    warnings: tuple[str, ...] = ()
    """Versions that are listed although their newest status cannot be read."""


@dataclass(frozen=True, kw_only=True)
class SoundVersion:
    """A committed version whose record and facts are the ones that were committed."""

    record: Record
    facts: Facts
    catalog: Digest
    history: History = field(default_factory=History)
    item: bytes | None = None
    """The STAC item for the dataset's folder, of a version that has a status or a DOI."""
    hrefs: Mapping[str, str] = field(default_factory=dict)
    """Where each asset lies below the dataset's prefix, by its key."""
    doi: str | None = None
    """Of a version whose DOI can be found."""
    outside: tuple[OutsidePlace, ...] = ()
    """Places of files that were adopted."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a store holds: sound versions by dataset, oldest first, and what is damaged."""

    versions: Mapping[str, tuple[SoundVersion, ...]] = field(default_factory=dict)
    damaged: tuple[Problem, ...] = ()


def rebuild(
    store: Store, datasets: Iterable[str] | None = None, *, dry_run: bool = False
) -> IndexReport:
    """Write ``index.yaml``, ``catalog.json`` and each dataset's two catalogs.

    Whoever writes looks again afterwards, and writes again if versions were committed
    meanwhile: of publishers that meet, the last one lists all.

    Parameters
    ----------
    datasets : iterable of str, optional
        Whose own catalogs to rebuild, by default all. The two roots always list every dataset.
    dry_run : bool
        Say what would be written, and write nothing.

    Raises
    ------
    NotFoundError
        If a named dataset has no published version, or there is no store.
    StorageError
        If the store cannot be reached or written.
    """
    if not store.writable and not dry_run:
        raise StorageError(
            "the store cannot be written",
            where=store.address,
            fix="give the folder or bucket behind it as --store",
        )
    asked = None if datasets is None else frozenset(datasets)
    committed = published(store)
    report = _write(store, committed, asked, dry_run=dry_run)
    written = set(report.written)
    for _ in range(_ROUNDS):
        if dry_run or not report.written or (seen := published(store)) == committed:
            break
        committed = seen
        report = _write(store, committed, asked, dry_run=False)
        written |= set(report.written)
    return replace(
        report,
        written=tuple(sorted(written, key=_order)),
        unchanged=tuple(key for key in report.unchanged if key not in written),
    )


def _write(
    store: Store, committed: _Committed, asked: frozenset[str] | None, *, dry_run: bool
) -> IndexReport:
    wanted = tuple(committed) if asked is None else tuple(sorted(asked))
    for name in wanted:
        _refuse_absent(name, tuple(committed), store)
    found = _find(store, committed, wanted)
    files = plan(found.versions, wanted)
    written = [key for key, data in files.items() if _current(store, key, len(data)) != data]
    if not dry_run:
        for key in written:
            store.replace(key, files[key])
    return IndexReport(
        datasets=tuple(
            IndexedDataset(name=name, versions=tuple(v.facts.version for v in versions))
            for name, versions in found.versions.items()
            if name in wanted
        ),
        written=tuple(written),
        unchanged=tuple(key for key in files if key not in written),
        damaged=found.damaged,
        warnings=tuple(
            f"the status of {v.facts.name} cannot be read: {v.history.fault}"
            for versions in found.versions.values()
            for v in versions
            if v.history.fault
        ),
    )


def _order(key: str) -> tuple[bool, bool, str]:
    """Sort as `plan` does: datasets by name, then the Intake root, then the STAC root."""
    return "/" not in key, key == ROOT_STAC, key


def plan(
    versions: Mapping[str, Sequence[SoundVersion]], wanted: Iterable[str]
) -> dict[str, bytes]:
    """Decide what every catalog says; datasets before the roots that point to them."""
    files: dict[str, bytes] = {}
    for name in wanted:
        if listed := versions.get(name):
            files |= _dataset_files(name, listed)
    newest = [_newest(v) for _, v in sorted(versions.items()) if v]
    # Who opens a dataset by its name alone is given nothing that was withdrawn.
    offered = [(v.record, v.facts) for v in newest if v.history.is_offered]
    files[ROOT_INTAKE] = to_yaml(intake.root_catalog(offered))
    files[ROOT_STAC] = to_json(stac.root((v.record, v.facts) for v in newest))
    return files


def _newest(versions: Sequence[SoundVersion]) -> SoundVersion:
    """Return the newest version that is offered, else the newest of all."""
    offered = [version for version in versions if version.history.is_offered]
    return (offered or versions)[-1]


def _dataset_files(name: str, versions: Sequence[SoundVersion]) -> dict[str, bytes]:
    newest = _newest(versions)
    record = newest.record
    facts = [version.facts for version in versions]
    pins = {version.facts.version: version.catalog for version in versions}
    known = {v.facts.version: s for v in versions if (s := v.history.status) is not None}
    items = {
        f"{name}/{item_path(v.facts.version, v.history.status, v.doi)}": v.item
        for v in versions
        if v.item is not None
    }
    dois = {v.facts.version: v.doi for v in versions if v.doi is not None}
    catalog = intake.dataset_catalog(
        record, facts, pins, newest.hrefs, newest.outside, statuses=known, dois=dois
    )
    return {
        **items,
        f"{name}/{DATASET_INTAKE}": to_yaml(catalog),
        f"{name}/{DATASET_STAC}": to_json(stac.collection(record, facts, known, dois)),
    }


def _find(store: Store, committed: _Committed, wanted: Iterable[str]) -> _Found:
    """Read what the catalogs are made of.

    Of a dataset that only the roots list, the newest sound version is enough.
    """
    whole = set(wanted)

    def outcomes(name: str) -> list[SoundVersion | Problem]:
        read = _read_all if name in whole else _read_newest
        return list(read(store, name, committed[name]))

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="index") as pool:
        read = dict(zip(committed, pool.map(outcomes, committed), strict=True))
    sound = {n: tuple(v for v in o if isinstance(v, SoundVersion)) for n, o in read.items()}
    return _Found(
        versions={name: versions for name, versions in sound.items() if versions},
        damaged=tuple(p for o in read.values() for p in o if isinstance(p, Problem)),
    )


def _read_all(store: Store, name: str, found: Existing) -> Iterator[SoundVersion | Problem]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="index") as pool:
        yield from pool.map(lambda number: _read(store, name, found, number), found.numbers)


def _read_newest(store: Store, name: str, found: Existing) -> Iterator[SoundVersion | Problem]:
    for number in reversed(found.numbers):
        outcome = _read(store, name, found, number)
        yield outcome
        if isinstance(outcome, SoundVersion) and outcome.history.is_offered:
            return


def _read(
    store: Store, name: str, found: Existing, number: VersionNumber
) -> SoundVersion | Problem:
    """Read one version, or say why it cannot be listed; an unreachable store still raises."""
    try:
        return _read_sound(store, name, found, number)
    except _DAMAGE as error:
        return _damage(store, f"{name}@{number}", error)


def _read_sound(
    store: Store, name: str, found: Existing, number: VersionNumber
) -> SoundVersion:
    commit = read_commit(store, name, number)
    prefix = formats.prefix_of(commit.version)
    record_key = prefix + formats.RECORD
    record = parse_record(read_tag(store, commit, record_key), where=f"{name}/{record_key}")
    facts_key = prefix + FACTS
    facts = parse_facts(read_tag(store, commit, facts_key), where=f"{name}/{facts_key}")
    if (facts.name, facts.digest, record.id) != (commit.name, commit.digest, name):
        raise IntegrityError(
            f"the record of {commit.name} describes {record.id!r}, and its facts {facts.name} "
            f"with the digest {facts.digest}",
            where=store.address,
            fix=f"check the whole version: scidata verify {commit.name} {options_of(store)}",
        )
    record = corrected(store, commit, record, found.corrections.get(number, 0))
    catalog = read_tag(store, commit, formats.catalog_of(commit.version))
    history = read_history(store, name, number, found.statuses)
    known = known_doi(store, commit) if number in found.dois else None
    doi = known.doi if known and known.findable else None
    return SoundVersion(
        record=record,
        facts=facts,
        catalog=Digest.of(catalog),
        history=history,
        hrefs={asset.key: asset.href for asset in commit.assets},
        outside=commit.outside,
        item=_item(store, commit, facts, history, doi),
        doi=doi,
    )


def _item(
    store: Store, commit: CommitRecord, facts: Facts, history: History, doi: str | None
) -> bytes | None:
    if history.status is None and doi is None:
        return None
    own = read_tag(store, commit, formats.prefix_of(commit.version) + formats.ITEM)
    return to_json(later_item(own, facts, history.status, doi))


def _damage(store: Store, version: str, error: ScidataError) -> Problem:
    fix = f"see every bad file with: scidata verify {version} {options_of(store)}"
    if isinstance(error, IntegrityError) and not error.damage:
        fix = error.fix  # of the commit record, without which nothing can be verified
    return Problem(
        code=f"unlisted-{error.kind}",
        path=version,
        message=error.message,
        fix=fix,
    )


def _current(store: Store, key: str, size: int) -> bytes | None:
    try:
        return store.read(key, limit=max(size, 1))
    except (NotFoundError, InvalidError):
        return None  # absent, or of another size: either way not what it should be


def _refuse_absent(name: str, names: Sequence[str], store: Store) -> None:
    Reference.parse(name)
    if name not in names:
        raise NotFoundError(
            f"the store holds no dataset {name!r}",
            where=store.address,
            fix=f"choose one of: {', '.join(names) or 'none is published yet'}",
        )
