"""What a store holds: the commit records that can be used, and what is wrong with others."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from scidata.errors import IntegrityError, InvalidError, ScidataError
from scidata.inventory import Existing, existing, names, read_history, required
from scidata.parallel import each
from scidata.resolve import read_commit
from scidata.status import History, caution
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
    histories: Mapping[str, History] = field(default_factory=dict)
    """What became of the listed versions that have a status, by ``tevolop@1.0.0``."""

    def history(self, commit: CommitRecord) -> History:
        """Return what became of a listed version."""
        return self.histories.get(commit.name, History())

    def newest(self, dataset: str) -> CommitRecord | None:
        """Return the version that a dataset's name means, or else the newest of any state."""
        commits = self.versions.get(dataset, ())
        offered = [commit for commit in commits if self.history(commit).is_offered]
        return next(iter((offered or list(commits))[::-1]), None)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What readers of the listed versions should know, in words."""
        said = (caution(name, history) for name, history in self.histories.items())
        return tuple(text for text in said if text)


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
        return _listing([_read_all(opened, Reference.parse(dataset).dataset, required)])
    read = partial(_read_all, opened, find=existing)
    return _listing(each(read, names(opened), threads=DATASETS_AT_ONCE))


def _read_all(store: Store, name: str, find: Callable[[Store, str], Existing]) -> Listing:
    try:
        found = find(store, name)
        read = partial(_read, store, name, found)
        return _listing(each(read, found.numbers))
    except InvalidError as error:  # the catalog that names the versions, where nothing lists
        return Listing(versions={}, damaged={name: error})


def _read(store: Store, name: str, found: Existing, number: VersionNumber) -> Listing:
    try:
        commit = read_commit(store, name, number)
    except (IntegrityError, InvalidError) as error:
        return Listing(versions={name: ()}, damaged={f"{name}@{number}": error})
    history = read_history(store, name, number, found.statuses)
    histories = {commit.name: history} if history.entries else {}
    return Listing(versions={name: (commit,)}, damaged={}, histories=histories)


def _listing(parts: Iterable[Listing]) -> Listing:
    """Join listings, in the order of names and numbers."""
    versions: dict[str, list[CommitRecord]] = {}
    damaged: dict[str, ScidataError] = {}
    histories: dict[str, History] = {}
    for part in parts:
        damaged |= part.damaged
        histories |= part.histories
        for name, commits in part.versions.items():
            versions.setdefault(name, []).extend(commits)
    return Listing(
        versions={
            name: tuple(sorted(versions[name], key=lambda commit: commit.number))
            for name in sorted(versions)
        },
        damaged=dict(sorted(damaged.items())),
        histories=dict(sorted(histories.items())),
    )
