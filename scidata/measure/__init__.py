"""Facts of a staged dataset, computed from its bytes: digests, sizes, assets, variables.

Reads every byte once to hash it, and of array stores and tables only the metadata. Nothing is
written. Publishing belongs to `scidata.publish`, and what the facts look like outside to
`scidata.formats`.
"""

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError, Problem
from scidata.facts import STATISTICS, Asset, AssetKind, Facts, Variable
from scidata.formats.media import HDF5, NETCDF, PARQUET, TEXT, UNKNOWN, ZARR, media_type
from scidata.hashing import Hashed, Progress, hash_and_cut
from scidata.manifest import MAX_PROBLEMS, PAYLOAD, Manifest
from scidata.measure.files import Known, Stamp, Stamps, stamp_of, walk
from scidata.measure.hdf5 import file_variables
from scidata.measure.variables import parquet_variables, zarr_variables
from scidata.parts import Parts, Sizes
from scidata.paths import path_fault, path_problems
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
    parts: Mapping[str, Parts] = field(default_factory=dict)
    """Of the files that S3 takes in parts, by path: the sha256 of each part."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A top-level entry of ``data/``, before its bytes are known."""

    path: str
    files: tuple[str, ...]
    kind: AssetKind
    media_type: str
    variables: tuple[Variable, ...] = ()
    consolidated: bool = False


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What lies in a staged dataset, as far as names and metadata tell."""

    stamps: Stamps
    """Of every file, sorted by path."""
    entries: tuple[Entry, ...]
    """What can be read."""
    broken: frozenset[str]
    """Keys of the assets that could not be read."""
    problems: tuple[Problem, ...]
    """Everything for which `measure` would refuse to hash a byte."""

    @property
    def variables(self) -> Mapping[str, tuple[Variable, ...]]:
        """Of each array store and table, by the asset's key."""
        tables = (entry for entry in self.entries if entry.kind in {"zarr", "parquet"})
        return {_key(entry): entry.variables for entry in tables}

    @property
    def opaque(self) -> Mapping[str, str]:
        """Paths of the assets of other forms, by key: no record is compared with them."""
        files = (entry for entry in self.entries if entry.kind == "file")
        return {_key(entry): entry.path for entry in files if entry.path != STATISTICS}


def measure(
    staged: Path,
    *,
    dataset: str,
    version: str,
    created: str,
    parent: str | None = None,
    known: Mapping[str, Known] = MappingProxyType({}),
    surveyed: Surveyed | None = None,
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
    known : mapping of str to Known, optional
        What was read of files before, by path: while a file's stamp is what it was then, that
        is believed.
    surveyed : Surveyed, optional
        What `survey` found just now. Whoever gives it compares its stamps again at the end;
        here only the files are looked at again that were read.
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
    found = surveyed or survey(staged)
    if found.problems:
        raise _refusal(str(staged), list(found.problems))
    before = found.stamps
    # As S3 stores cut files by default, whatever this one does: a mirror may be in S3.
    cut = Sizes().cut
    same = {
        path: known[path]
        for path, stamp in before.items()
        if path in known and _is_same(known[path], stamp, cut(stamp[0]))
    }
    fresh = {path: staged / path for path in before if path not in same}
    hashed = hash_and_cut(fresh.items(), cut=cut, progress=progress)
    again = _stamps_of(fresh) if surveyed else _look(staged)[0]
    _refuse_changes(hashed if surveyed else before, before, again, hashed, where=str(staged))
    read: dict[str, Known | Hashed] = {**same, **hashed}
    manifest = Manifest.of_hexes({path: one.hex for path, one in read.items()})
    sizes = {path: before[path][0] for path in manifest}
    facts = Facts(
        dataset=dataset,
        version=version,
        digest=str(manifest.digest),
        files=len(manifest),
        bytes=sum(sizes.values()),
        created=created,
        assets=tuple(_asset(entry, manifest, sizes) for entry in found.entries),
        parent=parent,
    )
    parts = {path: read[path].parts for path in manifest}
    return Measured(
        manifest=manifest,
        sizes=sizes,
        facts=facts,
        parts={path: cut for path, cut in parts.items() if cut is not None},
    )


def _is_same(known: Known, stamp: Stamp, part: int) -> bool:
    """Tell whether all that is wanted of a file is known."""
    return known.stamp == stamp and (known.parts.size if known.parts else 0) == part


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
    entries: list[Entry] = []
    broken = {asset_key(top) for top in irregular}
    for top, paths in _tops(files).items():
        if top in irregular:
            continue
        try:
            entries.append(_entry(staged, top, paths))
        except InvalidError as refused:
            broken.add(asset_key(top))
            problems.append(_unreadable(PAYLOAD + top, refused))
    return Surveyed(
        stamps=files,
        entries=tuple(entries),
        broken=frozenset(broken),
        problems=tuple(problems),
    )


def _look(staged: Path) -> tuple[dict[str, Stamp], list[Problem], frozenset[str]]:
    """List every file, every problem, and the top-level names that hold more than files."""
    data = staged / PAYLOAD.rstrip("/")
    if data.is_symlink() or not data.is_dir():
        raise InvalidError(
            f"{str(staged)!r} holds no folder data/",
            where=str(staged),
            fix="make a staged dataset with `scidata build`, or put the files into data/",
        )
    files: dict[str, Stamp] = {}
    faults: dict[str, str] = {}
    for path, status in walk(staged):
        if status is not None and stat.S_ISREG(status.st_mode):
            files[path] = stamp_of(status)
        else:
            faults[path] = _fault(status.st_mode if status else None)
    files = {path: files[path] for path in sorted(files)}
    problems = [_problem(path, fault) for path, fault in sorted(faults.items())]
    problems += path_problems(files)
    problems += _asset_problems(files)
    return files, problems, frozenset(path.split("/")[1] for path in faults if "/" in path)


def _fault(mode: int | None) -> str:
    if mode is None:
        return "is an empty folder, which no object store can hold"
    if stat.S_ISLNK(mode):
        return "is a symbolic link; only the file it points to could be published"
    return "is no regular file"


def _stamps_of(files: Mapping[str, Path]) -> dict[str, Stamp]:
    """Look at some files again."""
    found: dict[str, Stamp] = {}
    for path, file in files.items():
        with suppress(FileNotFoundError, NotADirectoryError):
            found[path] = stamp_of(file.lstat())
    return found


def _refuse_changes(
    looked_at: Iterable[str],
    before: Stamps,
    after: Stamps,
    hashed: Mapping[str, Hashed],
    *,
    where: str,
) -> None:
    damage = [Damage(path=p, state="missing") for p in looked_at if p not in after]
    damage += [Damage(path=p, state="extra") for p in after if p not in before]
    for path in looked_at:
        stamp = before[path]
        now = after.get(path, stamp)
        if now != stamp or (path in hashed and hashed[path].size != stamp[0]):
            expected, found = (f"{s[0]} bytes, modified at {s[1]} ns" for s in (stamp, now))
            damage.append(Damage(path=path, state="bad", expected=expected, found=found))
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
                PAYLOAD + top,
                "names an asset: use A to Z, a to z, digits, hyphens, underscores, dots",
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


def _key(entry: Entry) -> str:
    return asset_key(entry.path.removeprefix(PAYLOAD))


def _tops(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group the files by their top-level name in ``data/``."""
    groups: dict[str, list[str]] = {}
    for path in files:
        groups.setdefault(path.split("/", 2)[1], []).append(path)
    return {top: tuple(paths) for top, paths in groups.items()}


def _entry(staged: Path, top: str, files: tuple[str, ...]) -> Entry:
    path = PAYLOAD + top
    folder = files != (path,)
    if folder and top.endswith(".zarr"):
        variables, consolidated = zarr_variables(staged / path)
        return Entry(
            path=path,
            files=files,
            kind="zarr",
            media_type=ZARR,
            variables=variables,
            consolidated=consolidated,
        )
    if top.endswith(".parquet") and all(name.endswith(".parquet") for name in files):
        variables = parquet_variables([staged / name for name in files])
        return Entry(
            path=path, files=files, kind="parquet", media_type=PARQUET, variables=variables
        )
    if folder and path == SPLITS.rstrip("/"):
        return Entry(path=path, files=files, kind="splits", media_type=TEXT)
    # A folder of one sort of files has that sort's media type.
    types = {media_type(name) for name in files}
    form = types.pop() if len(types) == 1 else UNKNOWN
    described = file_variables(staged / path) if form in {HDF5, NETCDF} and not folder else ()
    return Entry(path=path, files=files, kind="file", media_type=form, variables=described)


def _asset(entry: Entry, manifest: Manifest, sizes: Mapping[str, int]) -> Asset:
    return Asset(
        key=_key(entry),
        kind=entry.kind,
        path=entry.path,
        media_type=entry.media_type,
        files=len(entry.files),
        bytes=sum(sizes[p] for p in entry.files),
        sha256=_asset_digest(entry, manifest).hex,
        variables=entry.variables,
        consolidated=entry.consolidated,
    )


def _asset_digest(entry: Entry, manifest: Manifest) -> Digest:
    if entry.files == (entry.path,):
        return manifest[entry.path]
    return manifest.under(entry.path, entry.files).digest


def _problem(path: str, message: str) -> Problem:
    fix = "rename, replace or remove it" if "/" in path else "put the files into it"
    return Problem(code="staged-path", path=path, message=message, fix=fix)


def _unreadable(path: str, refused: InvalidError) -> Problem:
    return Problem(code="asset", path=path, message=refused.message, fix=refused.fix)


def _refusal(where: str, problems: list[Problem]) -> InvalidError:
    fix = problems[0].fix if len(problems) == 1 else "see each problem's remedy"
    listed = InvalidError.listing(problems, where=where, fix=fix)
    listed.problems = listed.problems[:MAX_PROBLEMS]
    return listed
