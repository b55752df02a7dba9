"""Facts of a staged dataset, computed from its bytes: digests, sizes, assets, variables.

Reads every byte once to hash it, and of array stores and tables only the metadata. Nothing is
written. Publishing belongs to `scidata.publish`, and what the facts look like outside to
`scidata.formats`.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError, Problem, StorageError
from scidata.facts import STATISTICS, Asset, AssetKind, Facts, Variable
from scidata.formats.media import HDF5, NETCDF, PARQUET, TEXT, UNKNOWN, ZARR, media_type
from scidata.hashing import Progress, hash_files
from scidata.manifest import MAX_PROBLEMS, PAYLOAD, Manifest, path_fault, path_problems
from scidata.measure.hdf5 import file_variables
from scidata.measure.variables import parquet_variables, zarr_variables
from scidata.split import SPLITS

MAX_ASSETS = 100  # more would not fit into a commit record of 64 KiB

_COMPRESSED = {".bz2", ".gz", ".xz", ".zst"}
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What `measure` returns."""

    manifest: Manifest
    sizes: Mapping[str, int]
    """Bytes of every file, by the manifest's paths."""
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class _Stamp:
    """What changes when somebody writes to a file."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @property
    def as_tuple(self) -> tuple[int, int, int, int]:
        return self.size, self.modified_ns, self.changed_ns, self.inode

    def __str__(self) -> str:
        return f"{self.size} bytes, modified at {self.modified_ns} ns"


def measure(
    staged: Path,
    *,
    dataset: str,
    version: str,
    created: str,
    parent: str | None = None,
    known: Mapping[str, tuple[tuple[int, int, int, int], str]] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Measured:
    """Hash and describe what lies in ``data/`` of a staged dataset.

    Parameters
    ----------
    staged : Path
        The folder that holds ``data/``.
    dataset, version : str
        The name and number the facts are about.
    created : str
        UTC, ISO 8601 with ``Z``: when publishing began.
    parent : str, optional
        Version number that this one continues.
    known : mapping of str to (stamp, str), optional
        Sha256 of files that were read before, by path, with the size in bytes, times of writing
        and of change in ns and inode that they had then: while these are the same, it is
        believed.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Raises
    ------
    InvalidError
        Naming every path that may not be published: symlinks, devices, empty folders, names
        that some consumer cannot hold, two assets of one name; or an array store or table
        whose metadata cannot be read.
    IntegrityError
        Naming every file that changed, appeared or vanished while it was hashed.
    StorageError
        If a file or folder cannot be read.
    """
    before = _survey(staged)
    entries = _entries(staged, before)
    believed = {
        path: (Digest(known[path][1]), stamp.size)
        for path, stamp in before.items()
        if path in known and known[path][0] == stamp.as_tuple
    }
    fresh = ((path, staged / path) for path in before if path not in believed)
    hashed = believed | hash_files(fresh, progress=progress)
    _refuse_changes(before, _survey(staged), hashed, where=str(staged))
    manifest = Manifest({path: digest for path, (digest, _) in hashed.items()})
    sizes = {path: hashed[path][1] for path in manifest}
    facts = Facts(
        dataset=dataset,
        version=version,
        digest=str(manifest.digest),
        files=len(manifest),
        bytes=sum(sizes.values()),
        created=created,
        assets=tuple(_asset(entry, manifest, sizes) for entry in entries),
        parent=parent,
    )
    return Measured(manifest=manifest, sizes=sizes, facts=facts)


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What lies in a staged dataset, as far as names and metadata tell."""

    variables: Mapping[str, tuple[Variable, ...]]
    """Of each array store and table, by the asset's key."""
    opaque: Mapping[str, str]
    """Paths of the assets of other forms, by key: no record is compared with them."""
    broken: frozenset[str]
    """Keys of the assets that could not be read."""
    problems: tuple[Problem, ...]
    """Everything for which `measure` would refuse to hash a byte."""


def survey(staged: Path) -> Surveyed:
    """Look at a staged dataset as `measure` does, and hash nothing.

    Raises
    ------
    InvalidError
        If there is no folder ``data/``.
    StorageError
        If a file or folder cannot be read.
    """
    files, problems, irregular = _look(staged)
    variables: dict[str, tuple[Variable, ...]] = {}
    opaque: dict[str, str] = {}
    broken = {asset_key(top) for top in irregular}
    for top, paths in _tops(files).items():
        key = asset_key(top)
        if top in irregular:
            continue
        try:
            entry = _entry(staged, top, paths)
        except InvalidError as refused:
            broken.add(key)
            problems.append(_unreadable(PAYLOAD + top, refused))
            continue
        if entry.kind in {"zarr", "parquet"}:
            variables[key] = entry.variables
        elif entry.kind == "file" and entry.path != STATISTICS:
            opaque[key] = entry.path
    return Surveyed(
        variables=variables,
        opaque=opaque,
        broken=frozenset(broken),
        problems=tuple(problems),
    )


def _survey(staged: Path) -> dict[str, _Stamp]:
    """List every file below ``data/``, or raise with every path that may not be published."""
    files, problems, _ = _look(staged)
    if problems:
        raise _refusal(str(staged), problems)
    return files


def _look(staged: Path) -> tuple[dict[str, _Stamp], list[Problem], frozenset[str]]:
    """List every file, every problem, and the top-level names that hold more than files."""
    data = staged / PAYLOAD.rstrip("/")
    if data.is_symlink() or not data.is_dir():
        raise InvalidError(
            f"{str(staged)!r} holds no folder data/",
            where=str(staged),
            fix="make a staged dataset with `scidata build`, or put the files into data/",
        )
    files: dict[str, _Stamp] = {}
    faults: dict[str, str] = {}
    try:
        for path, found in _walk(data, PAYLOAD.rstrip("/")):
            if isinstance(found, _Stamp):
                files[path] = found
            else:
                faults[path] = found
    except OSError as error:
        raise StorageError(
            f"{str(error.filename)!r} cannot be read: {error.strerror}",
            where=str(staged),
            fix="make it readable, then run the same command again",
        ) from error
    files = dict(sorted(files.items(), key=lambda item: item[0].encode("utf-8", "replace")))
    problems = [_problem(path, fault) for path, fault in sorted(faults.items())]
    problems += path_problems(files)
    problems += _asset_problems(files)
    return files, problems, frozenset(path.split("/")[1] for path in faults if "/" in path)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, _Stamp | str]]:
    """Yield each file's stamp, or what is wrong with an entry, without following a link."""
    empty = True
    with os.scandir(folder) as entries:
        for entry in entries:
            empty = False
            path = f"{prefix}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), path)
            else:
                yield path, _stamp(entry.stat(follow_symlinks=False))
    if empty:
        yield prefix, "is an empty folder, which no object store can hold"


def _stamp(status: os.stat_result) -> _Stamp | str:
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link; only the file it points to could be published"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    return _Stamp(
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        inode=status.st_ino,
    )


def _refuse_changes(
    before: Mapping[str, _Stamp],
    after: Mapping[str, _Stamp],
    hashed: Mapping[str, tuple[Digest, int]],
    *,
    where: str,
) -> None:
    damage = [Damage(path=p, state="missing") for p in before if p not in after]
    damage += [Damage(path=p, state="extra") for p in after if p not in before]
    for path, stamp in before.items():
        now = after.get(path, stamp)
        if now != stamp or hashed[path][1] != stamp.size:
            damage.append(Damage(path=path, state="bad", expected=str(stamp), found=str(now)))
    if damage:
        raise IntegrityError(
            f"{len(damage)} files changed while they were hashed, first {damage[0].path!r}",
            where=where,
            fix="stop whatever writes there, then run the same command again",
            damage=damage,
        )


def _asset_problems(files: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for every top-level name that cannot name an asset."""
    seen: dict[str, str] = {}
    tops = sorted({path.split("/")[1] for path in files})
    for top in tops[: MAX_ASSETS + 1]:
        key = asset_key(top)
        twin = seen.setdefault(key, top)
        if path_fault(PAYLOAD + top):
            continue  # said of its files already
        if not _KEY.fullmatch(key):
            yield _problem(
                PAYLOAD + top, "names an asset: use letters, digits, hyphens, underscores, dots"
            )
        elif twin != top:
            yield _problem(PAYLOAD + top, f"would be asset {key!r}, as {twin!r} is")
    if len(tops) > MAX_ASSETS:
        yield _problem(
            PAYLOAD,
            f"holds {len(tops)} entries, and each would be an asset of at most {MAX_ASSETS}: "
            "put files of one sort into one folder",
        )


def asset_key(name: str) -> str:
    """Return the key of a top-level entry of ``data/``: its name without suffix.

    Examples
    --------
    >>> asset_key("grid.zarr"), asset_key("events.csv.gz"), asset_key("splits")
    ('grid', 'events', 'splits')
    """
    path = PurePosixPath(name)
    if path.suffix in _COMPRESSED:
        path = path.with_suffix("")
    return path.stem


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A top-level entry of ``data/``, before its bytes are known."""

    path: str
    files: tuple[str, ...]
    kind: AssetKind
    media_type: str
    variables: tuple[Variable, ...] = ()
    consolidated: bool = False


def _entries(staged: Path, files: Iterable[str]) -> list[_Entry]:
    """Read metadata first: a store that cannot be read is refused before hours of hashing."""
    return [_entry(staged, top, paths) for top, paths in _tops(files).items()]


def _tops(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group the files by their top-level name in ``data/``."""
    groups: dict[str, list[str]] = {}
    for path in files:
        groups.setdefault(path.split("/")[1], []).append(path)
    return {top: tuple(paths) for top, paths in groups.items()}


def _entry(staged: Path, top: str, files: tuple[str, ...]) -> _Entry:
    path = PAYLOAD + top
    folder = files != (path,)
    if folder and top.endswith(".zarr"):
        variables, consolidated = zarr_variables(staged / path)
        return _Entry(
            path=path,
            files=files,
            kind="zarr",
            media_type=ZARR,
            variables=variables,
            consolidated=consolidated,
        )
    if top.endswith(".parquet") and all(name.endswith(".parquet") for name in files):
        variables = parquet_variables([staged / name for name in files])
        return _Entry(
            path=path, files=files, kind="parquet", media_type=PARQUET, variables=variables
        )
    if folder and path == SPLITS.rstrip("/"):
        return _Entry(path=path, files=files, kind="splits", media_type=TEXT)
    # A folder of one sort of files has that sort's media type.
    types = {media_type(name) for name in files}
    form = types.pop() if len(types) == 1 else UNKNOWN
    described = file_variables(staged / path) if form in {HDF5, NETCDF} and not folder else ()
    return _Entry(path=path, files=files, kind="file", media_type=form, variables=described)


def _asset(entry: _Entry, manifest: Manifest, sizes: Mapping[str, int]) -> Asset:
    return Asset(
        key=asset_key(entry.path.removeprefix(PAYLOAD)),
        kind=entry.kind,
        path=entry.path,
        media_type=entry.media_type,
        files=len(entry.files),
        bytes=sum(sizes[p] for p in entry.files),
        sha256=_asset_digest(entry, manifest).hex,
        variables=entry.variables,
        consolidated=entry.consolidated,
    )


def _asset_digest(entry: _Entry, manifest: Manifest) -> Digest:
    if entry.files == (entry.path,):
        return manifest[entry.path]
    base = entry.path + "/"
    return Manifest({p.removeprefix(base): manifest[p] for p in entry.files}).digest


def _problem(path: str, message: str) -> Problem:
    return Problem(
        code="staged-path", path=path, message=message, fix="rename, replace or remove it"
    )


def _unreadable(path: str, refused: InvalidError) -> Problem:
    return Problem(code="asset", path=path, message=refused.message, fix=refused.fix)


def _refusal(where: str, problems: list[Problem]) -> InvalidError:
    listed = InvalidError.listing(problems, where=where, fix="see each problem's remedy")
    listed.problems = listed.problems[:MAX_PROBLEMS]
    return listed
