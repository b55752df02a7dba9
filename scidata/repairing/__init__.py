"""Bring back what a copy or a version has lost, from another copy of the same version.

A replacement is read and compared with its digest before it takes any place. In a folder it
then takes the name by one rename. In a store it is created if the key is free. A damaged object
is in the way of that, as stores never overwrite; it is deleted only if that was asked for, and
after its replacement was compared and it was found damaged once more. Nothing else is ever
removed: extra files are reported.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scidata.bag import PARTIAL, Bag, read_bag
from scidata.compare import Verified
from scidata.digest import Digest
from scidata.errors import Damage, NotFoundError, StorageError
from scidata.hashing import Progress
from scidata.manifest import MANIFEST
from scidata.pulling.fetch import Fetch
from scidata.repairing.apply import Destination, IntoFolder, IntoStore, Left, bring
from scidata.repairing.source import Source, open_source, refuse_other, size_of
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.verifying.choice import Choice
from scidata.verifying.described import described
from scidata.verifying.folder import Vouched, verify_bag
from scidata.verifying.version import verify_version

__all__ = ["Left", "RepairPlan", "Repaired", "apply", "plan_repair", "repair"]

OVERWRITES = (
    "a store never overwrites; with --replace-damaged it is deleted once its replacement is "
    "here and sound, and created anew"
)
ADOPTED = (
    "it was adopted and lies outside the store: whoever runs its server must bring it back"
)


@dataclass(frozen=True, kw_only=True)
class RepairPlan:
    """What a repair will do; nothing has been written."""

    target: str
    name: str
    digest: str
    source: Source
    into: Destination
    fetches: tuple[Fetch, ...]
    """Files to bring; their keys are those of the source."""
    damaged: frozenset[str]
    """Which files are there with other bytes."""
    left: tuple[Left, ...]
    """What stays wrong, and why."""

    @property
    def bytes(self) -> int:
        """How much there is to bring."""
        return sum(item.size for item in self.fetches)


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What a repair did."""

    target: str
    name: str
    digest: str
    source: str
    repaired: tuple[str, ...]
    """Files that are sound now: each was read back from its place and compared."""
    bytes: int
    """Of these."""
    left: tuple[Left, ...]
    """What is still wrong, and why."""

    @property
    def sound(self) -> bool:
        """Whether nothing that is wrong was left."""
        return not self.left


def repair(
    target: Path | str,
    source: StoreLike,
    store: StoreLike | None = None,
    *,
    digest: Digest | str | None = None,
    name: str | None = None,
    replace_damaged: bool = False,
    progress: Progress | None = None,
) -> Repaired:
    """Bring missing and damaged files back from another copy of the same version.

    Parameters
    ----------
    target : Path or str
        A folder that holds a version, or a reference such as ``tevolop@1.0.0``.
    source : Store, str or Path
        A store or mirror that has the version, or a folder that holds a copy of it.
    store : Store, str, Path or None
        For a reference: the store to repair; None stands for the default store.
    digest : Digest or str, optional
        The version's digest as it was cited; the source must have it.
    name : str, optional
        For a folder: the version that it should hold, if its own word is not to be taken.
    replace_damaged : bool
        In a store: delete a damaged object so that a sound one can be created. Until that is
        there, readers find no object under its key.
    progress : Progress, optional
        Bytes read in the target, then bytes brought.

    Raises
    ------
    NotFoundError
        If the target or the source does not exist, or does not have the version.
    ConflictError
        If the source holds another version.
    InvalidError, IntegrityError, StorageError
        As `scidata.verify` and `scidata.pull` do.
    """
    plan = plan_repair(
        target,
        source,
        store,
        digest=digest,
        name=name,
        replace_damaged=replace_damaged,
        progress=progress,
    )
    return apply(plan, progress=progress)


def plan_repair(
    target: Path | str,
    source: StoreLike,
    store: StoreLike | None = None,
    *,
    digest: Digest | str | None = None,
    name: str | None = None,
    replace_damaged: bool = False,
    progress: Progress | None = None,
) -> RepairPlan:
    """Work out what `repair` would do: reads every byte of the target, and writes nothing."""
    pin = Digest.parse(digest) if isinstance(digest, str) else digest
    if Path(target).is_dir():
        return _plan_folder(Path(target), source, pin, name=name, progress=progress)
    if isinstance(target, Path) or "@" not in target:
        raise NotFoundError(
            f"there is no folder {str(target)!r}",
            where=str(target),
            fix="give an existing folder, or a version such as tevolop@1.0.0",
        )
    return _plan_store(
        target, source, open_store(store), pin, replace=replace_damaged, progress=progress
    )


def apply(plan: RepairPlan, *, progress: Progress | None = None) -> Repaired:
    """Do what the plan says, and read back what was written."""
    refused = bring(plan.source, plan.into, plan.fetches, progress=progress)
    failed = {item.path for item in refused}
    done = [item for item in plan.fetches if item.path not in failed]
    return Repaired(
        target=plan.target,
        name=plan.name,
        digest=plan.digest,
        source=plan.source.store.url,
        repaired=tuple(sorted(item.path for item in done)),
        bytes=sum(item.size for item in done),
        left=tuple(sorted([*plan.left, *refused], key=lambda item: item.path)),
    )


def _plan_folder(
    folder: Path,
    source: StoreLike,
    pin: Digest | None,
    *,
    name: str | None,
    progress: Progress | None,
) -> RepairPlan:
    bag = read_bag(folder)
    origin = open_source(source, name or bag.name)
    held = {str(bag.digest), bag.stated} | ({origin.digest} if name else set())
    refuse_other(origin, held, pin, where=str(folder))
    tags = _tags(bag, origin)
    vouched = Vouched(
        digest=Digest.parse(origin.digest),
        against=f"{origin.name} in {origin.store.url}",
        payload=origin.payload,
        tags=tags,
    )
    found = verify_bag(bag, vouched, choice=Choice(), progress=progress)
    fetches, left = _plan(found, origin, {**origin.payload, **tags})
    root = os.path.realpath(folder)
    outside = {
        item.path
        for item in fetches
        if not Path(os.path.realpath((folder / item.path).parent)).is_relative_to(root)
    }
    left += [
        Left(path=path, state="missing", reason="a link on its way leads out of the folder")
        for path in outside
    ]
    return RepairPlan(
        target=str(folder),
        name=origin.name,
        digest=origin.digest,
        source=origin,
        into=IntoFolder(folder),
        fetches=tuple(item for item in fetches if item.path not in outside),
        damaged=_bad(found),
        left=tuple(left),
    )


def _tags(bag: Bag, source: Source) -> Mapping[str, str]:
    """Choose whose word counts about tag files.

    Nothing vouches for those of a folder, so the folder to be repaired is believed as long as
    its tag manifest agrees with the version's digest.
    """
    manifest = source.tags[MANIFEST]
    if source.vouched or bag.bad_tag_lines or bag.tags.get(MANIFEST) != manifest:
        return source.tags
    return bag.tags


def _plan_store(
    reference: str,
    source: StoreLike,
    store: Store,
    pin: Digest | None,
    *,
    replace: bool,
    progress: Progress | None,
) -> RepairPlan:
    commit = resolve(reference, store)
    if not store.writable:
        raise StorageError(
            "this store can be read, but not written",
            where=store.url,
            fix="name it by an address at which it can be written, such as s3://bucket/prefix",
        )
    origin = open_source(source, commit.name)
    refuse_other(origin, {commit.digest}, pin, where=store.url)
    found = verify_version(commit.name, store, digest=None, choice=Choice(), progress=progress)
    version = described(store, commit)
    fetches, left = _plan(found, origin, {**origin.payload, **version.tags})
    adopted = version.locations.outside
    states = {item.path: item.state for item in found.damage}
    left += [
        Left(path=item.path, state=states[item.path], reason=ADOPTED)
        for item in fetches
        if item.path in adopted
    ]
    fetches = [item for item in fetches if item.path not in adopted]
    damaged = _bad(found)
    kept = damaged if not replace else frozenset()
    left += [
        Left(path=item.path, state="bad", reason=OVERWRITES)
        for item in fetches
        if item.path in kept
    ]
    return RepairPlan(
        target=store.url,
        name=commit.name,
        digest=commit.digest,
        source=origin,
        into=IntoStore(store, version.key, replace),
        fetches=tuple(item for item in fetches if item.path not in kept),
        damaged=damaged,
        left=tuple(left),
    )


def _plan(
    found: Verified, source: Source, digests: dict[str, str]
) -> tuple[list[Fetch], list[Left]]:
    """Divide what is wrong into what the source can bring back, and what it cannot."""
    fetches: list[Fetch] = []
    left: list[Left] = []
    for item in found.damage:
        size = None if _reason(item, digests) else size_of(source, item.path)
        if size is None:
            reason = _reason(item, digests) or "the source does not have it"
            left.append(Left(path=item.path, state=item.state, reason=reason))
        else:
            digest = Digest(digests[item.path])
            fetches.append(
                Fetch(path=item.path, key=source.key(item.path), digest=digest, size=size)
            )
    return fetches, left


def _reason(item: Damage, digests: dict[str, str]) -> str:
    """Say why a file cannot be repaired at all; nothing if it can."""
    if item.state == "extra":
        return "no manifest names it; remove it yourself if it is not needed"
    if item.path == PARTIAL:
        return "it says what a partial copy holds, which no other copy knows; pull it again"
    return "" if item.path in digests else "the source does not know what it should be"


def _bad(found: Verified) -> frozenset[str]:
    return frozenset(item.path for item in found.damage if item.state == "bad")
