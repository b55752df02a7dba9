"""Make a version's own prefix whole: copy into it, inside the store, the files it inherits.

The version stays what it was: same manifest, same digest, and its commit record is not touched.
A note beside the commit record, written last, tells readers that they need no older prefix any
more; `scidata.locations` heeds it. Plain consumers then take the one folder for the version.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scidata.errors import ConflictError, IntegrityError, NotFoundError, StorageError
from scidata.hashing import Progress, hash_stream
from scidata.locations import full_key, full_note, is_full, read_index
from scidata.manifest import Manifest
from scidata.parallel import each
from scidata.resolve import read_manifest, resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.version import CommitRecord

AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Step:
    """One file to copy."""

    path: str
    source: str
    key: str
    size: int
    hex: str
    """Its sha256."""


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """What `materialize` did, or would do."""

    commit: CommitRecord
    copied: int
    """Files, of which none was in the prefix before."""
    bytes: int
    """Of these files."""
    there: int
    """Inherited files that an earlier run had copied."""
    already: bool
    """The prefix was whole before."""


def materialize(
    reference: str,
    store: StoreLike | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Materialized:
    """Copy what a version inherits into its own prefix, or continue to do so.

    Parameters
    ----------
    reference : str
        ``tevolop@1.1.0``; ``tevolop`` for the newest.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.
    dry_run : bool
        Say what would be copied, and write nothing.
    progress : Progress, optional
        Bytes done and in all.

    Raises
    ------
    NotFoundError
        If there is no such version.
    IntegrityError
        If the version is damaged: a file that it inherits is missing or of another size.
    ConflictError
        If other bytes lie in the prefix under the path of a file.
    StorageError
        If the store is read-only, cannot be reached, or cannot copy.
    """
    opened = open_store(store)
    commit = resolve(reference, opened)
    if is_full(opened, commit):
        return Materialized(commit=commit, copied=0, bytes=0, there=0, already=True)
    if not opened.writable and not dry_run:
        raise StorageError(
            "the store cannot be written",
            where=opened.address,
            fix="give the folder or bucket behind it as --store",
        )
    steps = plan(opened, commit)
    prefix = f"{commit.dataset}/v{commit.version}/"
    there = {facts.key: facts.size for facts in opened.list(prefix)}
    missing = [step for step in steps if step.key not in there]
    found = Materialized(
        commit=commit,
        copied=len(missing),
        bytes=sum(step.size for step in missing),
        there=len(steps) - len(missing),
        already=False,
    )
    if dry_run:
        return found
    done = 0
    for size in each(lambda step: _put(opened, step, commit), steps, threads=AT_ONCE):
        done += size
        if progress is not None:
            progress(done, sum(step.size for step in steps))
    _check(opened, steps, prefix, commit)
    opened.create(full_key(commit), full_note(commit))
    if not is_full(opened, commit):
        raise ConflictError(
            f"something else lies where it would be noted that {commit.name} is whole",
            where=f"{full_key(commit)} in {opened.address}",
            fix="remove it if nobody knows it, then run the same command again",
        )
    return found


def plan(store: Store, commit: CommitRecord) -> tuple[Step, ...]:
    """List the files that a version inherits; raises as `materialize`."""
    manifest = read_manifest(store, commit)
    index = read_index(store, commit, manifest, full=False)
    return tuple(_steps(commit, manifest, index.sizes, index.locations.since))


def _steps(
    commit: CommitRecord,
    manifest: Manifest,
    sizes: Mapping[str, int],
    since: Mapping[str, str],
) -> Iterator[Step]:
    for path, version in since.items():
        yield Step(
            path=path,
            source=f"{commit.dataset}/v{version}/{path}",
            key=f"{commit.dataset}/v{commit.version}/{path}",
            size=sizes[path],
            hex=manifest.hexes[path],
        )


def _put(store: Store, step: Step, commit: CommitRecord) -> int:
    try:
        facts = store.head(step.source)
        if facts.size != step.size or (facts.digest and facts.digest.hex != step.hex):
            raise _damaged(commit, step, store)
        if store.copy(step.source, step.key):
            return step.size
    except NotFoundError as error:
        raise _damaged(commit, step, store) from error
    # It is there: from an earlier run, or from this one, whose answer was lost.
    there = store.head(step.key)
    if there.size == step.size:
        found = there.digest or hash_stream(store.stream(step.key))[0]
        if found.hex == step.hex:
            return step.size
    raise ConflictError(
        f"the key {step.key!r} holds other bytes than {commit.name}",
        where=store.address,
        fix="remove this object, which no reader of the version looks at, and run the same "
        "command again",
    )


def _check(store: Store, steps: tuple[Step, ...], prefix: str, commit: CommitRecord) -> None:
    listed = {facts.key: facts.size for facts in store.list(prefix)}
    for step in steps:
        if listed.get(step.key) != step.size:
            raise _damaged(commit, step, store)


def _damaged(commit: CommitRecord, step: Step, store: Store) -> IntegrityError:
    return IntegrityError(
        f"{step.path!r} of {commit.name} is missing or damaged, so it cannot be copied",
        where=f"{step.source} in {store.address}",
        fix=f"see all that is damaged: scidata verify {commit.name} {options_of(store)}",
    )
