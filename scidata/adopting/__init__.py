"""Adopting: files that lie somewhere already become a version, where they lie.

Nothing is copied. The version's manifest has the sha256 of every file; its index, its
``fetch.txt`` and its commit record say where the files are. A version cannot be without
digests, so each file is read once, unless its server or a list tells its sha256.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scidata.adopting.digests import (
    State,
    address,
    known_digests,
    read_digests,
    refuse_changes,
    stored_digests,
)
from scidata.adopting.referring import refer, unreferred
from scidata.adopting.sources import (
    SourceFile,
    SourceOptions,
    list_source,
    read_list,
    read_list_file,
)
from scidata.check import check
from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.facts import Asset, Facts
from scidata.formats import Placed, references_of
from scidata.formats.manifest_table import Sourced
from scidata.formats.media import UNKNOWN, media_type
from scidata.hashing import Progress
from scidata.manifest import PAYLOAD, Manifest, path_problems
from scidata.measure import Measured, asset_key, measure
from scidata.measure.files import stamps
from scidata.publishing import (
    Prepared,
    Published,
    PublishOptions,
    held_version,
    parent_of,
    publish_prepared,
    published_numbers,
)
from scidata.record import Record, read_record_bytes
from scidata.references import Referenced
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import file_url_folder, local_folder, refuse_inside
from scidata.storage.base import Store
from scidata.storage.foreign import is_near
from scidata.version import OutsidePlace

__all__ = ["AdoptOptions", "AdoptPlan", "Adopted", "SourceOptions", "adopt", "plan_adopt"]

STATE = "adopting"


def _user_state() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("scidata", appauthor=False)) / STATE


@dataclass(frozen=True, kw_only=True)
class AdoptOptions:
    """How to adopt."""

    listed: bool = False
    """SOURCE is a file that lists addresses."""
    asset: str | None = None
    """What the asset is called; by default as the dataset."""
    along: str | None = None
    """A dimension along which files are joined, or a new one along which they are stacked."""
    references: bool = True
    """Make an index of references where the files are HDF5 or NetCDF."""
    read: bool = True
    """Read files whose sha256 nobody tells."""
    reached: SourceOptions = field(default_factory=SourceOptions)
    publishing: PublishOptions = field(default_factory=PublishOptions)
    state: Path = field(default_factory=_user_state)
    """Where it is noted which files were read."""


@dataclass(frozen=True, kw_only=True)
class AdoptPlan:
    """What `adopt` would do; nothing was written, and no file was read."""

    name: str
    """``dataset@version``."""
    places: tuple[str, ...]
    """Where the files lie."""
    files: int
    bytes: int
    to_read: int
    """Bytes of the files that would be read for their sha256."""
    references: bool
    """Whether an index of references would be made."""


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What `adopt` did."""

    published: Published
    places: tuple[str, ...]
    referenced: Referenced | None
    """What the index of references holds, if one was made."""


@dataclass(frozen=True)
class _Found:
    """What is adopted."""

    digests: Mapping[SourceFile, Digest]
    referred: tuple[bytes, Referenced] | None
    key: str
    """Of the asset."""


def adopt(
    source: str,
    store: StoreLike | None = None,
    *,
    name: str,
    record: Path,
    version: str,
    options: AdoptOptions | None = None,
    progress: Progress | None = None,
) -> Adopted:
    """Catalogue files in place as a version; running it again continues.

    Parameters
    ----------
    source : str
        A folder, ``s3://bucket/prefix``, ``https://host/folder/`` with an index, or the path
        of a list of addresses.
    store : Store, str, Path or None
        Where the version is committed. By default ``$SCIDATA_STORE``, else the user's folder.
    name : str
        The dataset: the record's id.
    record : Path
        The record. If a folder ``data/`` lies beside it, its files (splits, statistics) are
        published as usual, in the store.
    version : str
        MAJOR.MINOR.PATCH, greater than every published one.
    options : AdoptOptions, optional
    progress : callable, optional
        Called with bytes read and in all.

    Raises
    ------
    NotFoundError
        If the source, or a file that a list names, is not there.
    InvalidError
        If the record or the version number is wrong; an address may not be asked; a path may
        not be published; a file's layout differs from the others'; or, without reading, the
        sha256 of a file is not known.
    IntegrityError
        If the source changes while it is read, or differs from the list.
    ConflictError
        If the version exists with other files.
    StorageError
        If the source cannot be read or the store not be written.
    """
    options = options or AdoptOptions()
    opened = open_store(store)
    parsed = _record(record, name)
    published_numbers(opened, name, version)  # before the bytes are read, which may take hours
    files = _files(source, opened, options)
    _wants_references(files, options)  # before the bytes are read, which may take hours
    state = State(_state_file(options, opened, name, version))
    if options.read:
        digests = read_digests(files, state, progress=progress)
        refuse_changes(files, _files(source, opened, options))
    else:
        digests = stored_digests(files)
    found = _Found(digests, _refer(files, options), options.asset or name)
    prepared = _prepare(opened, parsed, record, version, found)
    done = publish_prepared(prepared, opened, options=options.publishing)
    state.forget()
    return Adopted(
        published=done,
        places=tuple(place.url for place in prepared.placed.outside),
        referenced=found.referred[1] if found.referred else None,
    )


def plan_adopt(
    source: str,
    store: StoreLike | None = None,
    *,
    name: str,
    record: Path,
    version: str,
    options: AdoptOptions | None = None,
) -> AdoptPlan:
    """Say what `adopt` would do: list the source, read nothing, write nothing."""
    options = options or AdoptOptions()
    opened = open_store(store)
    _record(record, name)
    published_numbers(opened, name, version)
    files = _files(source, opened, options)
    known = known_digests(files, State(_state_file(options, opened, name, version)))
    rest = [file for file in files if file not in known]
    return AdoptPlan(
        name=f"{name}@{version}",
        places=tuple(dict.fromkeys(file.place.url for file in files)),
        files=len(files),
        bytes=sum(file.size for file in files),
        to_read=sum(file.size for file in rest) if options.read else 0,
        references=_wants_references(files, options),
    )


def _record(path: Path, name: str) -> Record:
    checked = check(path)
    if checked.record is None or checked.errors:
        raise InvalidError(
            f"the record cannot be used: {len(checked.errors)} problems",
            where=str(path),
            fix=f"correct what is listed, then see: scidata check {path}",
            problems=checked.errors,
        )
    if checked.record.id != name:
        raise InvalidError(
            f"the record describes {checked.record.id!r}, not {name!r}",
            where=str(path),
            fix="give the record of this dataset, or its name with --as",
        )
    return checked.record


def _state_file(options: AdoptOptions, store: Store, name: str, version: str) -> Path:
    token = Digest.of(f"{store.address} {name} {version}".encode()).hex[:16]
    return options.state / f"{name}-{version}-{token}.jsonl"


def _files(source: str, store: Store, options: AdoptOptions) -> tuple[SourceFile, ...]:
    near = is_near(store.address)
    if not options.listed:
        if source.startswith("file://"):
            refuse_inside(store, file_url_folder(source))
        elif "://" not in source:
            refuse_inside(store, local_folder(source))
        return list_source(source, options.reached, near=near)
    data = read_list_file(Path(source))
    return read_list(data, options.reached, where=source, near=near)


def _refer(
    files: Sequence[SourceFile], options: AdoptOptions
) -> tuple[bytes, Referenced] | None:
    return refer(files, options.along) if _wants_references(files, options) else None


def _wants_references(files: Sequence[SourceFile], options: AdoptOptions) -> bool:
    """Tell whether an index is made; whoever says along what must get one."""
    if not options.references:
        return False
    fault = unreferred(files)
    if fault and options.along:
        raise InvalidError(
            f"the files cannot be opened as one along {options.along!r}: {fault}",
            where=files[0].place.url,
            fix="adopt files of HDF5 or NetCDF alone, such as by --list; or leave out --along",
        )
    return not fault


def _prepare(store: Store, parsed: Record, path: Path, version: str, found: _Found) -> Prepared:
    """Put together what is adopted and what lies beside the record."""
    staged = path.parent
    noted = stamps(staged)
    beside = _beside(staged, parsed.id, version)
    key, digests, folder = found.key, found.digests, f"{PAYLOAD}{found.key}"
    outside = {f"{folder}/{file.path}": file for file in digests}
    _refuse_collisions([*beside.manifest, *outside], [a.key for a in beside.facts.assets], key)
    manifest = Manifest(
        {**beside.manifest, **{p: digests[file] for p, file in outside.items()}}
    )
    sizes = {**beside.sizes, **{p: file.size for p, file in outside.items()}}
    sizes = {p: sizes[p] for p in manifest}
    asset = _asset(found, folder, manifest, sizes)
    facts = Facts(
        dataset=parsed.id,
        version=version,
        digest=str(manifest.digest),
        files=len(manifest),
        bytes=sum(sizes.values()),
        created="",
        assets=tuple(sorted((*beside.facts.assets, asset), key=lambda a: a.path.encode())),
    )
    measured = Measured(manifest=manifest, sizes=sizes, facts=facts)
    published = published_numbers(store, parsed.id, version)
    return Prepared(
        staged=staged,
        record=parsed,
        record_bytes=read_record_bytes(path),
        measured=measured,
        stamps=noted,
        parent=parent_of(store, parsed.id, version, published, PublishOptions()),
        held=(),
        layout="full",
        existing=held_version(store, measured, published, outside),
        placed=Placed(
            outside=tuple(_places(folder, digests)),
            sources={p: _sourced(file) for p, file in outside.items()},
            references={references_of(key): found.referred[0]} if found.referred else {},
        ),
    )


def _beside(staged: Path, dataset: str, version: str) -> Measured:
    """Measure the files beside the record, if there are any."""
    if (staged / PAYLOAD).is_dir():
        return measure(staged, dataset=dataset, version=version, created="")
    empty = Manifest({})
    facts = Facts(
        dataset=dataset,
        version=version,
        digest=str(empty.digest),
        files=0,
        bytes=0,
        created="",
        assets=(),
    )
    return Measured(manifest=empty, sizes={}, facts=facts)


def _refuse_collisions(paths: Sequence[str], keys: Sequence[str], key: str) -> None:
    problems = [*path_problems(paths)]
    if problems:
        raise InvalidError.listing(problems, where=key, fix="rename or leave out the files")
    if key in keys or asset_key(key) != key:
        raise InvalidError(
            f"the adopted files cannot be the asset {key!r}",
            where="--asset",
            fix="choose a name without a dot that nothing beside the record has",
        )


def _asset(found: _Found, folder: str, manifest: Manifest, sizes: Mapping[str, int]) -> Asset:
    held = [path for path in manifest if path.startswith(f"{folder}/")]
    kinds = {media_type(path) for path in held}
    return Asset(
        key=found.key,
        kind="file",
        path=folder,
        media_type=kinds.pop() if len(kinds) == 1 else UNKNOWN,
        files=len(held),
        bytes=sum(sizes[path] for path in held),
        sha256=manifest.under(folder).digest.hex,
        variables=found.referred[1].variables if found.referred else (),
        references=references_of(found.key) if found.referred else None,
    )


def _places(folder: str, digests: Mapping[SourceFile, Digest]) -> list[OutsidePlace]:
    groups: dict[str, list[SourceFile]] = {}
    for file in digests:
        groups.setdefault(file.place.url, []).append(file)
    return [
        OutsidePlace(
            path=folder,
            url=url,
            endpoint=held[0].place.endpoint,
            anonymous=held[0].place.anonymous,
            files=len(held),
            bytes=sum(file.size for file in held),
        )
        for url, held in groups.items()
    ]


def _sourced(file: SourceFile) -> Sourced:
    return Sourced(url=address(file), etag=file.etag, modified=file.modified)
