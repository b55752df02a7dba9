"""Which version a name means: reading commit records from a store. Nothing is written here.

A version exists if and only if its commit record does, so names come from a listing of the
store, never from a catalog. Read-only https cannot list: there `catalog.json` and
`collection.json` tell the names, and each commit record is read and checked all the same.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from scidata.digest import Digest
from scidata.errors import (
    Damage,
    IntegrityError,
    InvalidError,
    NotFoundError,
    ScidataError,
)
from scidata.manifest import MANIFEST, Manifest, path_fault
from scidata.parallel import each
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.foreign import is_near, place_fault
from scidata.version import (
    DATASET_ID,
    MAX_COMMIT_BYTES,
    CommitRecord,
    Reference,
    VersionNumber,
    damaged_commit,
    parse_commit,
)

MAX_TAG_BYTES = 256 * 2**20
"""Largest tag file that is read: a manifest of 2.7 million files."""

_MAX_CATALOG_BYTES = 16 * 2**20
_COMMIT = re.compile(r"versions/([0-9.]+)\.json")
_CHILD = re.compile(rf"(?:.*/)?({DATASET_ID})/collection\.json")
_ITEM = re.compile(r"(?:.*/)?v([0-9.]+)/meta/item\.json")


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


def published(store: Store) -> dict[str, tuple[VersionNumber, ...]]:
    """List the numbers of the versions that exist, oldest first, of each dataset in order.

    Raises
    ------
    ScidataError
        As `list_datasets`.
    """
    found = each(lambda name: (name, version_numbers(store, name)), names(store))
    return dict(sorted((name, numbers) for name, numbers in found if numbers))


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
    """List the numbers of a dataset's versions, oldest first; none if it has no version.

    Files beside the commit records whose name is no version number are somebody's own.

    Raises
    ------
    StorageError
        If the store cannot be reached.
    """
    if store.lists:
        below = (facts.key for facts in store.list(f"{dataset}/versions/"))
        return _sorted(_matches(_COMMIT, (k.removeprefix(f"{dataset}/") for k in below)))
    links = _links(store, f"{dataset}/collection.json", "item")
    return _sorted(_matches(_ITEM, links))


def existing_numbers(store: Store, dataset: str) -> tuple[VersionNumber, ...]:
    """List the numbers of a dataset's versions, oldest first; there must be one.

    Raises
    ------
    NotFoundError
        If the dataset has no version; the remedy names datasets with similar names.
    StorageError
        If the store cannot be reached.
    """
    numbers = version_numbers(store, dataset)
    if not numbers:
        there = names(store)
        near = difflib.get_close_matches(dataset, there, n=3, cutoff=0.5) or there[:5]
        known = f"did you mean {', '.join(near)}? " if near else ""
        raise NotFoundError(
            f"the store holds no dataset {dataset!r}",
            where=store.address,
            fix=f"{known}see what is there: scidata list {options_of(store)}",
        )
    return numbers


def commit_key(dataset: str, version: str) -> str:
    """Return the key of a version's commit record."""
    return f"{dataset}/versions/{version}.json"


def read_commit(store: Store, dataset: str, number: VersionNumber) -> CommitRecord:
    """Read a commit record and check that it is what its name says.

    Raises
    ------
    NotFoundError
        If the version does not exist.
    IntegrityError
        If the commit record is damaged or describes another version.
    InvalidError
        If a key in it could leave its folder, or a newer scidata wrote it.
    StorageError
        If the store cannot be reached.
    """
    key = commit_key(dataset, str(number))
    where = f"{key} at {store.address}"
    try:
        data = store.read(key, limit=MAX_COMMIT_BYTES)
    except InvalidError as error:  # too large, or not a file of the store's own
        raise damaged_commit(error.message, where=where) from error
    commit = parse_commit(data, where=where)
    check_commit(commit, dataset, number, where)
    _refuse_places(commit, store, where)
    return commit


def list_versions(dataset: str, store: StoreLike | None = None) -> tuple[CommitRecord, ...]:
    """Read the commit records of a dataset, oldest version first.

    Raises
    ------
    NotFoundError
        If the dataset has no published version, or there is no store; the remedy names
        datasets with similar names.
    IntegrityError, InvalidError
        If a commit record cannot be used; `scidata.listing` reads the others all the same.
    StorageError
        If the store cannot be reached.
    """
    name = Reference.parse(dataset).dataset
    opened = open_store(store)
    commits = each(
        lambda number: read_commit(opened, name, number), existing_numbers(opened, name)
    )
    return tuple(sorted(commits, key=lambda commit: commit.number))


def resolve(reference: str, store: StoreLike | None = None) -> CommitRecord:
    """Find the one version that a name means.

    Parameters
    ----------
    reference : str
        ``tevolop`` for the newest version, ``tevolop@1.0.0``, or ``tevolop@sha256:…``.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If the dataset or the version does not exist; the remedy names what does.
    IntegrityError, InvalidError
        If the reference or the commit record is malformed, or the record describes another
        version than its name says.
    StorageError
        If the store cannot be reached.
    """
    wanted = Reference.parse(reference)
    opened = open_store(store)
    if wanted.number is not None:
        return _numbered(opened, wanted.dataset, wanted.number)
    numbers = existing_numbers(opened, wanted.dataset)
    if wanted.digest is None:
        return read_commit(opened, wanted.dataset, numbers[-1])
    return _pinned(opened, wanted.dataset, wanted.digest, numbers)


def read_tag(store: Store, commit: CommitRecord, key: str) -> bytes:
    """Read a file that the commit record vouches for, such as ``v1.0.0/meta/record.yaml``.

    Parameters
    ----------
    key : str
        Below the dataset's prefix, as in ``commit.tags``.

    Raises
    ------
    NotFoundError
        If the version has no such tag file.
    IntegrityError
        If the file is missing or its bytes differ from the commit record.
    """
    tag = commit.tags.get(key)
    if tag is None:
        raise NotFoundError(
            f"{commit.name} has no tag file {key!r}",
            where=store.address,
            fix=f"choose one of: {', '.join(sorted(commit.tags))}",
        )
    try:
        data = store.read(f"{commit.dataset}/{key}", limit=min(tag.size, MAX_TAG_BYTES))
    except NotFoundError as error:
        raise _damaged_tag(store, commit, key, found="") from error
    except InvalidError as error:
        raise _damaged_tag(store, commit, key, found=f"more than {tag.size} bytes") from error
    found = Digest.of(data)
    if found.hex != tag.sha256:
        raise _damaged_tag(store, commit, key, found=str(found))
    return data


def read_manifest(store: Store, commit: CommitRecord) -> Manifest:
    """Read a version's manifest, checked against the version's digest.

    Raises
    ------
    IntegrityError
        If its bytes differ.
    InvalidError
        Naming every line with a path that leaves its folder or breaks another rule.
    """
    key = f"v{commit.version}/{MANIFEST}"
    return Manifest.parse(read_tag(store, commit, key), where=f"{commit.dataset}/{key}")


def check_commit(commit: CommitRecord, dataset: str, number: VersionNumber, where: str) -> None:
    """Refuse a commit record that lies under another name, or points out of its dataset.

    Raises
    ------
    IntegrityError
        If it describes another dataset, version or manifest.
    InvalidError
        If a key in it could leave the dataset's folder.
    """
    manifest = commit.tags.get(f"v{commit.version}/{MANIFEST}")
    claims = {
        f"it describes {commit.name}": commit.name != f"{dataset}@{number}",
        "its manifest has another digest than the version": manifest is not None
        and f"sha256:{manifest.sha256}" != commit.digest,
        "it names no manifest": manifest is None,
    }
    for claim, wrong in claims.items():
        if wrong:
            raise IntegrityError(
                f"the commit record of {dataset}@{number} is wrong: {claim}",
                where=where,
                fix="report it to whoever runs the store, or read from another copy",
            )
    if fault := _prefix_fault(commit):
        raise InvalidError(
            f"the commit record of {dataset}@{number} {fault}",
            where=where,
            fix="do not trust this store; read from another copy",
        )
    paths = chain(
        commit.tags,
        *((a.path, a.href) for a in commit.assets),
        (place.path for place in commit.outside),
    )
    for path in paths:
        if fault := path_fault(path):
            raise InvalidError(
                f"the commit record of {dataset}@{number} names {path!r}, which {fault}",
                where=where,
                fix="do not trust this store; read from another copy",
            )


def _refuse_places(commit: CommitRecord, store: Store, where: str) -> None:
    """Refuse a version whose files lie where a store has no business to send its readers."""
    near = is_near(store.address)
    for place in commit.outside:
        fault = place_fault(place.url, near=near)
        if fault is None and place.endpoint is not None:
            fault = place_fault(place.endpoint, near=near)
        if fault is not None:
            raise InvalidError(
                f"files of {commit.name} would be read from an address that {fault}",
                where=where,
                fix="do not trust this store; read from another copy",
            )


def _prefix_fault(commit: CommitRecord) -> str | None:
    """Say what is wrong with where a version claims to lie; None if nothing is."""
    try:
        numbers = [VersionNumber.parse(prefix.removeprefix("v")) for prefix in commit.prefixes]
    except InvalidError:
        numbers = []
    if (
        not numbers
        or tuple(f"v{number}" for number in numbers) != commit.prefixes
        or numbers != sorted(set(numbers))
        or numbers[-1] != commit.number
    ):
        return f"has the prefixes {', '.join(commit.prefixes) or 'none'}"
    roots = tuple(f"{prefix}/" for prefix in commit.prefixes)
    outside = next((a.href for a in commit.assets if not a.href.startswith(roots)), None)
    return None if outside is None else f"says that an asset lies at {outside!r}"


def _numbered(store: Store, dataset: str, number: VersionNumber) -> CommitRecord:
    try:
        return read_commit(store, dataset, number)
    except NotFoundError as error:
        existing = ", ".join(map(str, reversed(existing_numbers(store, dataset))))
        raise NotFoundError(
            f"{dataset}@{number} does not exist",
            where=store.address,
            fix=f"choose a version that exists: {existing}",
        ) from error


def _pinned(
    store: Store, dataset: str, digest: Digest, numbers: tuple[VersionNumber, ...]
) -> CommitRecord:
    damage: ScidataError | None = None
    for number in reversed(numbers):
        try:
            commit = read_commit(store, dataset, number)
        except (IntegrityError, InvalidError) as error:
            damage = damage or error
            continue
        if commit.digest == str(digest):
            return commit
    if damage is not None:  # it may be the one
        raise damage
    raise NotFoundError(
        f"no version of {dataset!r} has the digest {digest}",
        where=store.address,
        fix=f"see the versions and their digests: scidata list {dataset} {options_of(store)}",
    )


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


def _damaged_tag(store: Store, commit: CommitRecord, key: str, *, found: str) -> IntegrityError:
    expected = f"sha256:{commit.tags[key].sha256}"
    what = f"differs: expected {expected}, found {found}" if found else "is missing"
    state: Literal["bad", "missing"] = "bad" if found else "missing"
    return IntegrityError(
        f"the tag file {key!r} of {commit.name} {what}",
        where=f"{commit.dataset}/{key} at {store.address}",
        fix=f"check the whole version: scidata verify {commit.name} {options_of(store)}",
        damage=[Damage(path=key, state=state, expected=expected, found=found)],
    )
