"""Bring a version, or a part of it, into a folder: every byte checked, and resumable.

The plan says what is to be fetched; applying it decides nothing. A complete copy is a BagIt
bag; a partial one is not, and lists what it holds in ``partial-sha256.txt``.
"""

import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scidata.bag import PARTIAL, read_bag, read_file, walk
from scidata.compare import matching
from scidata.digest import Digest
from scidata.errors import (
    ConflictError,
    Damage,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.hashing import Meter, Progress, hash_each, tell_files
from scidata.locations import read_index
from scidata.manifest import DECLARATION, MANIFEST, PAYLOAD, Manifest
from scidata.outside import reaching
from scidata.parallel import each
from scidata.pulling.durable import Durable
from scidata.pulling.fetch import PART, Fetch, disk_errors, fetch, write_whole
from scidata.resolve import read_manifest, read_tag, resolve
from scidata.signing import require_signature
from scidata.sshsig import PublicKey
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.version import CommitRecord


@dataclass(frozen=True, kw_only=True)
class PullPlan:
    """What a pull will do; nothing has been written."""

    destination: Path
    commit: CommitRecord
    manifest: Manifest
    kept: Mapping[str, int]
    """Files that are there already, every byte checked; their sizes."""
    fetches: tuple[Fetch, ...]
    """Files to bring, larger ones first."""
    replaced: tuple[str, ...]
    """Files that are there with other bytes; they are among the fetches."""
    holds: frozenset[str]
    """Payload that the folder will hold in the end."""
    begun: frozenset[str]
    """What interrupted runs left, as ``NAME.part``; none of it stays."""
    signer: PublicKey | None = None
    """The trusted key that signed the version; None if none was asked for."""

    @property
    def partial(self) -> bool:
        """Whether the folder will hold less than the version."""
        return len(self.holds) < len(self.manifest)

    @property
    def bytes(self) -> int:
        """How much there is to fetch."""
        return sum(item.size for item in self.fetches)


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a pull did."""

    name: str
    digest: Digest
    destination: Path
    files: int
    """Payload files asked for; all of them have their right bytes now."""
    bytes: int
    fetched: int
    """How many of them were brought by this run."""
    fetched_bytes: int
    replaced: tuple[str, ...]
    """Files that lay there with other bytes."""
    partial: bool
    """Whether the folder holds less than the version; then it is not a bag."""
    signer: PublicKey | None = None
    """The trusted key that signed the version; None if none was asked for."""


def pull(
    reference: str,
    destination: Path | str,
    store: StoreLike | None = None,
    *,
    assets: Iterable[str] = (),
    globs: Iterable[str] = (),
    trusted: Iterable[PublicKey] | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Bring a version into a folder of its own; running it again continues or repairs.

    Parameters
    ----------
    reference : str
        ``tevolop`` for the newest version, ``tevolop@1.0.0``, or ``tevolop@sha256:…``.
    destination : Path or str
        A new folder, or one that holds a copy of this version.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.
    assets : iterable of str
        Keys of assets to bring, such as ``events``. Everything if neither these nor globs.
    globs : iterable of str
        Further files to bring, by paths as in the manifest; ``*`` matches across ``/``.
    trusted : iterable of PublicKey, optional
        Keys (see `scidata.signing.load_trusted`), one of which must have signed the version. By
        default no signature is asked for.
    progress : Progress, optional
        Bytes done and in all.

    Raises
    ------
    NotFoundError
        If the version, an asset or a file that matches a glob does not exist.
    InvalidError
        If the reference or the version's manifest is malformed.
    IntegrityError
        If the store holds other bytes than the version's, naming every such file.
    StorageError
        If the store cannot be read or the disk is full; what has arrived is kept.
    ConflictError
        If the folder holds anything but a copy of this version.
    SignatureError
        If `trusted` is given and none of these keys signed the version; nothing was fetched.
    """
    opened = open_store(store)
    plan = plan_pull(
        reference,
        Path(destination),
        opened,
        assets=assets,
        globs=globs,
        trusted=trusted,
        progress=progress,
    )
    return apply(plan, opened, progress=progress)


def plan_pull(
    reference: str,
    destination: Path,
    store: StoreLike | None = None,
    *,
    assets: Iterable[str] = (),
    globs: Iterable[str] = (),
    trusted: Iterable[PublicKey] | None = None,
    progress: Progress | None = None,
) -> PullPlan:
    """Work out what `pull` would do; raises what it raises, and writes nothing.

    The files that are there already are read; `progress` is told of their bytes.
    """
    opened = open_store(store)
    commit = resolve(reference, opened)
    signer = None if trusted is None else require_signature(opened, commit, trusted).key
    manifest = read_manifest(opened, commit)
    index = read_index(opened, commit, manifest)
    sizes = index.sizes
    wanted = select(manifest, commit, tuple(assets), tuple(globs))
    folder = destination.expanduser()
    names = _refuse_foreign(folder, commit, manifest)
    present = [(path, folder / path) for path in wanted if path in names]
    total = sum(sizes[path] for path in wanted)
    found = {item.key: item.hex for item in hash_each(present, progress=progress, total=total)}
    kept = {p: sizes[p] for p, value in found.items() if value == manifest[p].hex}
    fetches = [
        Fetch(
            path=path,
            key=index.locations.of(path).key,
            digest=manifest[path],
            size=sizes[path],
        )
        for path in wanted
        if path not in kept
    ]
    return PullPlan(
        destination=folder,
        commit=commit,
        manifest=manifest,
        kept=kept,
        fetches=tuple(sorted(fetches, key=lambda item: -item.size)),
        replaced=tuple(path for path in found if path not in kept),
        holds=frozenset(wanted) | (names & manifest.keys()),
        begun=_begun(names, commit, manifest),
        signer=signer,
    )


def select(
    manifest: Manifest, commit: CommitRecord, assets: tuple[str, ...], globs: tuple[str, ...]
) -> tuple[str, ...]:
    """Choose files by asset and by glob, in the manifest's order; all of them if neither.

    Raises
    ------
    NotFoundError
        If an asset does not exist or a glob matches nothing.
    """
    if not assets and not globs:
        return tuple(manifest)
    paths = {asset.key: asset.path for asset in commit.assets}
    chosen: set[str] = set()
    for key in assets:
        if key not in paths:
            raise NotFoundError(
                f"{commit.name} has no asset {key!r}",
                where=commit.name,
                fix=f"choose among: {', '.join(paths)}",
            )
        chosen |= {p for p in manifest if p == paths[key] or p.startswith(paths[key] + "/")}
    for glob in globs:
        matched = set(matching(manifest, (glob,)))
        if not matched:
            raise NotFoundError(
                f"no file of {commit.name} matches {glob!r}",
                where=commit.name,
                fix="write it as in the manifest, such as 'data/grid.zarr/*'",
            )
        chosen |= matched
    return tuple(path for path in manifest if path in chosen)


def apply(plan: PullPlan, store: Store, *, progress: Progress | None = None) -> Pulled:
    """Do what the plan says. The file that makes the folder a bag comes last.

    By then all others are on the disk: a folder that is a bag, or says which part of one it
    holds, outlives a power failure. What had arrived before one is read by the next pull.
    """
    store = reaching(store, plan.commit)
    _refuse_full_disk(plan)
    kept = sum(plan.kept.values())
    meter = Meter(plan.bytes + kept, progress)
    meter.add(kept)
    write_whole(plan.destination / MANIFEST, plan.manifest.text)
    with disk_errors(plan.destination), closing(Durable(plan.destination)) as disk:
        _fetch_all(plan, store, meter, progress)
        disk.settle(plan.destination / item.path for item in plan.fetches)
    if plan.partial:
        _remove(plan.destination, [DECLARATION])
    _write_tags(plan, store)
    _remove(plan.destination, plan.begun if plan.partial else {*plan.begun, PARTIAL})
    meter.tell()
    return Pulled(
        name=plan.commit.name,
        digest=plan.manifest.digest,
        destination=plan.destination,
        files=len(plan.fetches) + len(plan.kept),
        bytes=plan.bytes + kept,
        fetched=len(plan.fetches),
        fetched_bytes=plan.bytes,
        replaced=plan.replaced,
        partial=plan.partial,
        signer=plan.signer,
    )


def _fetch_all(plan: PullPlan, store: Store, meter: Meter, progress: Progress | None) -> None:
    stop = threading.Event()
    files = len(plan.kept) + len(plan.fetches)

    def bring(item: Fetch) -> Damage | None:
        return fetch(store, item, plan.destination, meter, stop)

    damage: list[Damage] = []
    for number, found in enumerate(each(bring, plan.fetches, stop=stop), len(plan.kept) + 1):
        tell_files(progress, number, files)
        damage += [found] if found else []
    if damage:
        names = ", ".join(item.path for item in damage[:3])
        raise IntegrityError(
            f"the store holds other bytes than {plan.commit.name}: {names}",
            where=store.url,
            fix="report it to whoever runs the store, with what this finds: scidata verify "
            f"{plan.commit.name} {options_of(store)}; all other files have arrived",
            damage=sorted(damage, key=lambda item: item.path),
        )


def _write_tags(plan: PullPlan, store: Store) -> None:
    for path, data in _tags(plan, store).items():
        if read_file(plan.destination, path, len(data)) != data:
            write_whole(plan.destination / path, data)


def _remove(folder: Path, paths: Iterable[str]) -> None:
    for path in paths:
        with disk_errors(folder / path):
            (folder / path).unlink(missing_ok=True)


def _tags(plan: PullPlan, store: Store) -> dict[str, bytes]:
    """Read the tag files; what completes the copy, or says that it is partial, comes last."""
    prefix = f"v{plan.commit.version}/"
    paths = [k.removeprefix(prefix) for k in plan.commit.tags if k.startswith(prefix)]
    last = {DECLARATION, MANIFEST}
    tags = {p: read_tag(store, plan.commit, prefix + p) for p in paths if p not in last}
    if plan.partial:
        held = {path: plan.manifest[path] for path in plan.holds}
        return tags | {PARTIAL: Manifest(held).text}
    return tags | {DECLARATION: read_tag(store, plan.commit, prefix + DECLARATION)}


def _begun(names: Iterable[str], commit: CommitRecord, manifest: Manifest) -> frozenset[str]:
    """Choose what interrupted runs left of this version; somebody's own files stay."""
    tags = {key.removeprefix(f"v{commit.version}/") for key in commit.tags} | {PARTIAL}
    parts = (name for name in names if name.endswith(PART))
    return frozenset(p for p in parts if p[: -len(PART)] in tags or p[: -len(PART)] in manifest)


def _refuse_foreign(folder: Path, commit: CommitRecord, manifest: Manifest) -> frozenset[str]:
    """Name the files of a destination: a new folder, or a copy of this very version."""
    if folder.exists() and not folder.is_dir():
        raise _occupied(folder, "is not a folder")
    entries = list(walk(folder)) if folder.is_dir() else []
    for entry in entries:
        if entry.kind != "file":
            raise _occupied(folder, f"holds the {entry.kind} {entry.path!r}")
    names = frozenset(entry.path for entry in entries)
    if not names - {MANIFEST + PART}:
        return names
    _refuse_other_version(folder, commit)
    strange = {
        n for n in names if n.startswith(PAYLOAD) and n.removesuffix(PART) not in manifest
    }
    if strange:
        raise _occupied(folder, f"holds {min(strange)!r}, which {commit.name} does not have")
    return names


def _refuse_other_version(folder: Path, commit: CommitRecord) -> None:
    try:
        bag = read_bag(folder)
    except InvalidError as error:
        raise _occupied(folder, f"is not empty and no copy of {commit.name}") from error
    if commit.digest in {str(bag.digest), bag.stated}:
        return
    held = bag.name or f"a bag with the digest {bag.digest}"
    raise _occupied(folder, f"holds {held}, not {commit.name}")


def _occupied(folder: Path, reason: str) -> ConflictError:
    return ConflictError(
        f"{str(folder)!r} {reason}",
        where=str(folder),
        fix="choose a new folder with --out: one folder for each version",
    )


def _refuse_full_disk(plan: PullPlan) -> None:
    there = next(
        p for p in [plan.destination, *plan.destination.absolute().parents] if p.exists()
    )
    begun = sum(
        part.stat().st_size
        for item in plan.fetches
        if (part := plan.destination / (item.path + PART)).exists()
    )
    free = shutil.disk_usage(there).free
    if plan.bytes - begun > free:
        raise StorageError(
            f"{plan.commit.name} needs {plan.bytes - begun} bytes, the disk has {free} left",
            where=str(there),
            fix="free some space, choose another disk with --out, or pull some assets only",
        )
