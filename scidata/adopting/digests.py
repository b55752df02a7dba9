"""The sha256 of every file to adopt: read once, in parallel, and not again after a break.

What was read is kept beside the client, never in the store. It counts only for a file whose
address, size, ETag and time are still the same.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scidata.adopting.sources import SourceFile
from scidata.digest import Digest
from scidata.errors import (
    Damage,
    IntegrityError,
    InvalidError,
    Problem,
    StorageError,
)
from scidata.hashing import Meter, Progress, hash_stream
from scidata.manifest import MAX_PROBLEMS
from scidata.outside import address_of
from scidata.parallel import each
from scidata.storage.checksums import KeepsChecksums
from scidata.version import OutsidePlace

AT_ONCE = 8
MAX_STATE_BYTES = 512 * 2**20


def address(file: SourceFile) -> str:
    """Return the absolute address of a file."""
    place = OutsidePlace(path="data/x", url=file.place.url, files=0, bytes=0)
    return address_of(place, file.path)


class State:
    """Which files were read before, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = dict(_lines(path))
        self._lock = threading.Lock()

    def find(self, file: SourceFile) -> Digest | None:
        """Return the digest of a file that is as it was when it was read."""
        if file.etag is None and file.modified is None:
            return None  # nothing would tell that it has changed
        return self._known.get(_stamp(file))

    def note(self, file: SourceFile, digest: Digest) -> None:
        """Remember a file that was read."""
        line = json.dumps({"stamp": _stamp(file), "sha256": digest.hex})
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as out:
                    out.write(line + "\n")
            except OSError as error:
                raise StorageError(
                    f"what was read cannot be noted: {error.strerror}",
                    where=str(self._path),
                    fix="make room there, or set $XDG_STATE_HOME to another folder",
                ) from error

    def forget(self) -> None:
        """Remove the notes: the version is committed."""
        self._path.unlink(missing_ok=True)


def known_digests(files: Iterable[SourceFile], state: State) -> dict[SourceFile, Digest]:
    """Return the digests of those files that were read before."""
    found = ((file, state.find(file)) for file in files)
    return {file: digest for file, digest in found if digest is not None}


def read_digests(
    files: Iterable[SourceFile], state: State, *, progress: Progress | None
) -> dict[SourceFile, Digest]:
    """Read every file that was not read before.

    Raises
    ------
    NotFoundError, StorageError
        If a file cannot be read; those that were stay noted.
    IntegrityError
        If a file is not as long as its server says, or its sha256 not what the list says.
    """
    wanted = list(files)
    known = known_digests(wanted, state)
    meter = Meter(sum(file.size for file in wanted), progress)
    meter.add(sum(file.size for file in known))

    def read(file: SourceFile) -> tuple[SourceFile, Digest]:
        digest, size = hash_stream(meter.metered(file.place.store.stream(file.path)))
        if size != file.size:
            raise _changed([file], f"{file.size} bytes", f"{size} bytes")
        state.note(file, digest)
        return file, digest

    rest = [file for file in wanted if file not in known]
    found = known | dict(each(read, rest, threads=AT_ONCE))
    meter.tell()
    for file in wanted:
        if file.sha256 is not None and file.sha256 != found[file].hex:
            raise _changed([file], f"sha256:{file.sha256}", str(found[file]))
    return {file: found[file] for file in wanted}


def stored_digests(files: Iterable[SourceFile]) -> dict[SourceFile, Digest]:
    """Take the digests that a list gives or that S3 keeps of whole objects; read nothing.

    Raises
    ------
    InvalidError
        Naming the files of which there is none: a version cannot be without digests.
    """
    wanted = list(files)

    def ask(file: SourceFile) -> tuple[SourceFile, str]:
        store = file.place.store
        if file.sha256 is None and isinstance(store, KeepsChecksums):
            return file, store.checksums(file.path).sha256
        return file, file.sha256 or ""

    found = dict(each(ask, wanted))
    missing = [file for file in wanted if not found[file]]
    if missing:
        problems = [
            Problem(
                code="no-digest",
                path=file.path,
                message="neither a list nor its server tells its sha256",
                fix="leave out --no-read, so that it is read once",
            )
            for file in missing[:MAX_PROBLEMS]
        ]
        raise InvalidError(
            f"the sha256 of {len(missing)} of {len(wanted)} files is not known without reading "
            f"them, first {missing[0].path!r}; a version cannot be without digests",
            where=missing[0].place.url,
            fix="leave out --no-read, so that each file is read once",
            problems=problems,
        )
    return {file: Digest(found[file]) for file in wanted}


def refuse_changes(before: Iterable[SourceFile], after: Iterable[SourceFile]) -> None:
    """Raise `IntegrityError` if a file changed while the source was read."""
    now = {file.path: _stamp(file) for file in after}
    changed = [file for file in before if now.get(file.path, "") != _stamp(file)]
    if changed:
        raise _changed(changed, "what was listed", "something else")


def _changed(files: list[SourceFile], expected: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"the source changed: {len(files)} files are not what was listed, first "
        f"{files[0].path!r}: expected {expected}, found {found}",
        where=files[0].place.url,
        fix="wait until nobody writes there, then run the same command again",
        damage=[
            Damage(path=file.path, state="bad", expected=expected, found=found)
            for file in files
        ],
    )


def _stamp(file: SourceFile) -> str:
    return json.dumps([address(file), file.size, file.etag, file.modified])


def _lines(path: Path) -> Iterator[tuple[str, Digest]]:
    """Read the notes; a line that an interrupted run left half written is skipped."""
    try:
        if path.stat().st_size > MAX_STATE_BYTES:
            return
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            noted: Mapping[str, str] = json.loads(line)
            yield noted["stamp"], Digest(noted["sha256"])
        except (ValueError, KeyError, TypeError):
            continue
