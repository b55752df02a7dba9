"""Files of a bucket that a build reads: listed, and brought into a folder, each of them once.

Readers of HDF5 and LMDB want files, and read them several times; so they are fetched first.
What was fetched is kept until the build is done: an interrupted one asks only for the rest.
"""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from scidata.errors import InvalidError, NotFoundError, Problem, StorageError
from scidata.hashing import Meter, Progress
from scidata.manifest import MAX_PROBLEMS, folders_of, path_fault
from scidata.parallel import each
from scidata.storage import open_store
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.refusals import out_of_room
from scidata.wording import amount, counted

MAX_FILES = 1_000_000
_AT_ONCE = 8
_FILES, _NOTES = "files", "fetched.jsonl"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """What a prefix of a bucket holds."""

    store: Store
    objects: tuple[ObjectFacts, ...]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(held.size for held in self.objects)

    @property
    def activity(self) -> str:
        """What a record says of it: another one as soon as an object is another."""
        listing = "".join(f"{held.key}\n{_mark(held)}\n" for held in self.objects)
        return (
            f"Fetched {counted(len(self.objects), 'file')}, {amount(self.size)}, from "
            f"{self.store.url}; sha256 of the listing "
            f"{hashlib.sha256(listing.encode()).hexdigest()}."
        )


def list_bucket(
    url: str, *, endpoint_url: str | None = None, anonymous: bool = False
) -> Bucket:
    """List what lies below an address.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    endpoint_url : str, optional
        S3 server; by default the AWS environment's.
    anonymous : bool
        Read without credentials.

    Raises
    ------
    InvalidError
        If it is no address of a bucket, or a key would leave the folder that it is fetched to.
    NotFoundError
        If nothing is there.
    StorageError
        If the bucket cannot be reached.
    """
    if not url.startswith("s3://"):
        raise InvalidError(
            f"{url!r} is neither a folder nor a bucket",
            where="--source",
            fix="give a file, a folder or s3://bucket/prefix",
        )
    store = open_store(url, endpoint_url=endpoint_url, anonymous=anonymous)
    listed = (held for held in store.list() if not held.key.endswith("/"))
    objects = tuple(islice(listed, MAX_FILES + 1))
    if not objects:
        raise NotFoundError(
            f"nothing lies below {store.url}",
            where=store.url,
            fix="give the prefix of the files, without the name of one: s3://bucket/folder",
        )
    if len(objects) > MAX_FILES:
        raise InvalidError(
            f"more than {MAX_FILES:,} objects lie there",
            where=store.url,
            fix="give a longer prefix",
        )
    folders = folders_of(held.key for held in objects)
    faults = [
        Problem(code="path", path=held.key, message=f"its key {fault}", fix="rename it")
        for held in objects
        if (fault := path_fault(held.key) or _twofold(held.key, folders))
    ]
    if faults:
        raise InvalidError.listing(
            faults[:MAX_PROBLEMS], where=store.url, fix="rename what is listed"
        )
    return Bucket(store=store, objects=objects)


def _twofold(key: str, folders: Container[str]) -> str | None:
    return "is both a file and a folder, which no disk can hold" if key in folders else None


def fetch(bucket: Bucket, folder: Path, *, progress: Progress | None = None) -> Path:
    """Bring every object into a folder; those that are there already stay.

    Parameters
    ----------
    bucket : Bucket
    folder : Path
        Which this alone writes into.
    progress : Progress, optional
        Bytes done and in all, of those that were not there.

    Returns
    -------
    Path
        The folder in which the files are, by their keys; nothing else is in it.

    Raises
    ------
    StorageError
        If the bucket fails, an object changes meanwhile, or the disk is full.
    """
    files, notes = folder / _FILES, folder / _NOTES
    try:
        files.mkdir(parents=True, exist_ok=True)
        wanted = {held.key: held for held in bucket.objects}
        there = _kept(files, wanted, _noted(notes))
        missing = [held for key, held in wanted.items() if key not in there]
        meter = Meter(sum(held.size for held in missing), progress)
        with notes.open("a", encoding="utf-8") as file:
            for held in each(
                lambda one: _one(bucket.store, one, files, meter), missing, threads=_AT_ONCE
            ):
                file.write(json.dumps([held.key, _mark(held)]) + "\n")
                file.flush()
    except OSError as error:
        fix = "free some space" if out_of_room(error) else "make the folder writable"
        raise StorageError(
            f"files cannot be fetched to {str(folder)!r}: {error.strerror or error}",
            where=bucket.store.url,
            fix=f"{fix}; the same command continues",
        ) from error
    return files


def _one(store: Store, held: ObjectFacts, files: Path, meter: Meter) -> ObjectFacts:
    path = files / held.key
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        for block in meter.metered(store.stream(held.key)):
            file.write(block)
        size = file.tell()
    if size != held.size:
        raise StorageError(
            f"{held.key} has {size:,} bytes, and was listed with {held.size:,}",
            where=store.url,
            fix="wait until nobody writes there, and run the same command again",
        )
    part.replace(path)
    return held


def _kept(files: Path, wanted: Mapping[str, ObjectFacts], noted: Mapping[str, str]) -> set[str]:
    """Return the keys whose files are whole; remove every other file."""
    kept: set[str] = set()
    for path in sorted(files.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        key = path.relative_to(files).as_posix()
        held = wanted.get(key)
        if held and noted.get(key) == _mark(held) and path.stat().st_size == held.size:
            kept.add(key)
        else:
            path.unlink()
    return kept


def _noted(notes: Path) -> dict[str, str]:
    """Read which object each file was; a line that was cut off is left out."""
    found: dict[str, str] = {}
    if notes.exists():
        for line in notes.read_text(encoding="utf-8").splitlines():
            try:
                key, mark = json.loads(line)
            except ValueError:
                continue
            found[key] = mark
    return found


def _mark(held: ObjectFacts) -> str:
    return f"{held.size} {held.etag or held.modified}"
