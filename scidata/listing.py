"""What a store holds: the commit records that can be used, and what is wrong with others."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from scidata.errors import IntegrityError, InvalidError, ScidataError
from scidata.parallel import each
from scidata.resolve import existing_numbers, names, read_commit, version_numbers
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.version import CommitRecord, Reference, VersionNumber

DATASETS_AT_ONCE = 4
"""Each of them asks for several versions at once."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The versions of a store, or of one dataset."""

    versions: Mapping[str, tuple[CommitRecord, ...]]
    """By dataset in the order of names, oldest version first; without the damaged ones."""
    damaged: Mapping[str, ScidataError]
    """Why ``tevolop@1.0.0``, or all of ``tevolop``, could not be listed."""


def read_listing(store: StoreLike | None = None, dataset: str | None = None) -> Listing:
    """Read every commit record of a store; one that is damaged does not hide the others.

    Raises
    ------
    NotFoundError
        If there is no store, or the named dataset has no published version.
    StorageError
        If the store cannot be reached.
    """
    opened = open_store(store)
    if dataset is not None:
        return _listing([_read_all(opened, Reference.parse(dataset).dataset, existing_numbers)])
    read = partial(_read_all, opened, numbers=version_numbers)
    return _listing(each(read, names(opened), threads=DATASETS_AT_ONCE))


def _read_all(
    store: Store, name: str, numbers: Callable[[Store, str], Iterable[VersionNumber]]
) -> Listing:
    try:
        found = each(lambda number: _read(store, name, number), numbers(store, name))
        return _listing(found)
    except InvalidError as error:  # the catalog that names the versions, where nothing lists
        return Listing(versions={}, damaged={name: error})


def _read(store: Store, name: str, number: VersionNumber) -> Listing:
    try:
        commit = read_commit(store, name, number)
    except (IntegrityError, InvalidError) as error:
        return Listing(versions={name: ()}, damaged={f"{name}@{number}": error})
    return Listing(versions={name: (commit,)}, damaged={})


def _listing(parts: Iterable[Listing]) -> Listing:
    """Join listings, in the order of names and numbers."""
    versions: dict[str, list[CommitRecord]] = {}
    damaged: dict[str, ScidataError] = {}
    for part in parts:
        damaged |= part.damaged
        for name, commits in part.versions.items():
            versions.setdefault(name, []).extend(commits)
    return Listing(
        versions={
            name: tuple(sorted(versions[name], key=lambda commit: commit.number))
            for name in sorted(versions)
        },
        damaged=dict(sorted(damaged.items())),
    )
