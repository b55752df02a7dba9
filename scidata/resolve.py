"""Which version a name means: reading commit records from a store. Nothing is written here.

Which versions there are is told by `scidata.inventory`; each commit record is read and checked
all the same.
"""

from itertools import chain
from typing import Literal

from scidata import seen
from scidata.digest import Digest
from scidata.errors import (
    Damage,
    IntegrityError,
    InvalidError,
    NotFoundError,
    ScidataError,
)
from scidata.inventory import (
    Existing,
    existing_numbers,
    list_datasets,
    names,
    published,
    read_history,
    required,
    version_numbers,
)
from scidata.manifest import MANIFEST, Manifest
from scidata.parallel import each
from scidata.paths import path_fault
from scidata.status import History, caution, gone
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.foreign import is_near, place_fault
from scidata.storage.refusals import web_page
from scidata.version import (
    MAX_COMMIT_BYTES,
    CommitRecord,
    Reference,
    VersionNumber,
    damaged_commit,
    parse_commit,
)
from scidata.warning import warn

__all__ = [
    "check_commit",
    "commit_key",
    "existing_numbers",
    "list_datasets",
    "list_versions",
    "names",
    "published",
    "read_commit",
    "read_manifest",
    "read_tag",
    "resolve",
    "resolve_any",
    "version_numbers",
]

MAX_TAG_BYTES = 256 * 2**20
"""Largest tag file that is read: a manifest of 2.7 million files."""


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
        If the store cannot be reached, or is a web server that answers with a page.
    """
    return read_commit_object(store, dataset, number)[0]


def read_commit_object(
    store: Store, dataset: str, number: VersionNumber
) -> tuple[CommitRecord, bytes]:
    """Read a commit record, and the bytes that it was read from.

    Raises
    ------
    ScidataError
        As `read_commit`.
    """
    key = commit_key(dataset, str(number))
    where = f"{key} at {store.address}"
    try:
        data = store.read(key, limit=MAX_COMMIT_BYTES)
    except InvalidError as error:  # too large, or not a file of the store's own
        raise damaged_commit(error.message, where=where) from error
    if data.lstrip().startswith(b"<"):  # some web servers answer anything with a page
        raise web_page(where)
    commit = parse_commit(data, where=where)
    check_commit(commit, dataset, number, where)
    _refuse_places(commit, store, where)
    return commit, data


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

    Warns (`scidata.warning.ScidataWarning`) if the version is deprecated or withdrawn, if its
    status cannot be read, and if the store shows less than this user saw in it before.

    Parameters
    ----------
    reference : str
        ``tevolop`` for the newest version that is not withdrawn, ``tevolop@1.0.0``, or
        ``tevolop@sha256:…``; the last two mean withdrawn ones, too.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If the dataset or the version does not exist (the remedy names what does), was purged,
        or if every version is withdrawn and none is pinned.
    IntegrityError, InvalidError
        If the reference or the commit record is malformed, or the record describes another
        version than its name says.
    StorageError
        If the store cannot be reached.
    """
    opened = open_store(store)
    commit, history, newest = _find(Reference.parse(reference), opened)
    if history.status is not None and history.state == "purged":
        raise gone(commit.name, history.status, where=opened.address)
    if said := caution(commit.name, history):
        warn(said)
    seen.remember(opened, commit, newest)
    return commit


def resolve_or_folder(reference: str, store: StoreLike | None = None) -> CommitRecord:
    """Find a version where a folder could have been meant, too, and was not there."""
    try:
        return resolve(reference, store)
    except (NotFoundError, InvalidError) as error:
        if "@" in reference:
            raise
        raise type(error)(
            f"{reference!r} is no folder here, and {error.message}",
            where=error.where,
            fix=f"give an existing folder; if a version is meant: {error.fix}",
        ) from error


def resolve_any(reference: str, store: StoreLike | None = None) -> CommitRecord:
    """Find the version that a name means without a word: a purged one, too, if it is named.

    For what looks after versions; readers use `resolve`, and raise what it raises.
    """
    commit, _, _ = _find(Reference.parse(reference), open_store(store))
    return commit


def _find(
    wanted: Reference, store: Store
) -> tuple[CommitRecord, History, VersionNumber | None]:
    """Return a version, what became of it, and the newest number if the store was asked."""
    if wanted.number is not None:
        commit = _numbered(store, wanted.dataset, wanted.number)
        return commit, read_history(store, wanted.dataset, wanted.number), None
    found = required(store, wanted.dataset)
    if wanted.digest is None:
        commit, history = _newest(store, wanted.dataset, found)
    else:
        commit, history = _pinned(store, wanted.dataset, wanted.digest, found)
    return commit, history, found.numbers[-1]


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
        seen.miss(store, dataset, number)
        there = ", ".join(map(str, reversed(existing_numbers(store, dataset))))
        raise NotFoundError(
            f"{dataset}@{number} does not exist",
            where=store.address,
            fix=f"choose a version that exists: {there}",
        ) from error


def _newest(store: Store, dataset: str, found: Existing) -> tuple[CommitRecord, History]:
    """Return the newest version that is neither withdrawn nor purged."""
    first: History | None = None
    held = ""
    for number in reversed(found.numbers):
        history = read_history(store, dataset, number, found.statuses)
        if history.is_offered:
            return read_commit(store, dataset, number), history
        first = first or history
        held = held or f"{dataset}@{number}" * (history.state != "purged")
    name = f"{dataset}@{found.numbers[-1]}"
    on = f"to read a withdrawn version all the same, name it, such as {held}"
    successor = first.status.replaced_by if first and first.status else None
    raise NotFoundError(
        f"every version of {dataset!r} is withdrawn or purged: "
        f"{caution(name, first) if first else name}",
        where=store.address,
        fix=f"use {successor}"
        if successor
        else f"no successor is named; {on if held else 'none is left'}",
    )


def _pinned(
    store: Store, dataset: str, digest: Digest, found: Existing
) -> tuple[CommitRecord, History]:
    """Return the newest version with a digest; one that is offered goes before others."""
    damage: ScidataError | None = None
    matches: list[tuple[CommitRecord, History]] = []
    for number in reversed(found.numbers):
        try:
            commit = read_commit(store, dataset, number)
        except (IntegrityError, InvalidError) as error:
            damage = damage or error
            continue
        if commit.digest == str(digest):
            history = read_history(store, dataset, number, found.statuses)
            if history.is_offered:
                return commit, history
            matches.append((commit, history))
    if matches:
        return min(matches, key=lambda match: match[1].state == "purged")
    if damage is not None:  # it may be the one
        raise damage
    raise NotFoundError(
        f"no version of {dataset!r} has the digest {digest}",
        where=store.address,
        fix=f"see the versions and their digests: scidata list {dataset} {options_of(store)}",
    )


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
