"""A store in a folder.

Every object appears under its name at once and whole: it is written to ``.incoming`` in the
store's root, flushed to the disk, and then given its name by a hard link, which fails if the
name is taken. Where a disk knows no hard links it is renamed, by a rename that fails if the
name is taken; and where that is unknown, too, after a look, by one writer at a time.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote

import obstore.store

from scidata.digest import Block, Digest
from scidata.errors import InvalidError, ScidataError
from scidata.storage import refusals
from scidata.storage.base import ObjectFacts, Unfinished
from scidata.storage.keys import checked, checked_prefix

T = TypeVar("T")

BLOCK = 2**20
INCOMING = ".incoming"
# Never through a link, and never waiting for whoever should write to a pipe.
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_LINKS = {
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EMLINK,
    errno.EXDEV,
    errno.ENOSYS,
}
_NO_FLAGS = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


class LocalStore:
    """A folder whose relative paths are the keys; links that leave it are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = "file://" + quote(str(self.root))
        self.address = str(self.root)
        self._real_root = Path(os.path.realpath(self.root))
        self.writable = True
        self.lists = True

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        with self._opened(key) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise refusals.too_large(size, limit, where=str(self.root / key))
            return file.read(limit + 1)

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from `start`."""
        with self._opened(key) as file:
            file.seek(start)
            while block := file.read(BLOCK):
                yield block

    def head(self, key: str) -> ObjectFacts:
        """Return size and time; a folder keeps no digests."""
        with self._opened(key) as file:
            return _facts(key, os.fstat(file.fileno()))

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield regular files in the order of their keys, without reading all names first."""
        folder = checked_prefix(prefix).rpartition("/")[0]
        start = self._target(f"{folder}/x").parent if folder else self.root
        try:
            for facts in self._walk(start, f"{folder}/" if folder else ""):
                if facts.key.startswith(prefix):
                    yield facts
        except OSError as error:
            raise refusals.from_disk(error, where=str(self.root)) from error

    def folders(self) -> tuple[str, ...]:
        """Return the names of the folders in the root; links are none."""
        try:
            with os.scandir(self.root) as entries:
                found = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError) as error:
            is_file = isinstance(error, NotADirectoryError)
            raise refusals.no_store(str(self.root), is_file=is_file) from error
        except OSError as error:
            raise refusals.from_disk(error, where=str(self.root)) from error
        return tuple(sorted(name for name in found if name != INCOMING))

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists."""
        target = self._target(key)
        if os.path.lexists(target):
            return False
        with self._incoming(source, digest, where=str(target)) as written:
            return self._name(written, target)

    def copy(self, source: str, key: str) -> bool:
        """Give an object a second name; where a disk knows no hard links, a second copy."""
        origin, target = self._target(source), self._target(key)
        with self._opened(source):  # it is there, and a regular file
            if os.path.lexists(target):
                return False
        with _disk_errors(target):
            try:
                named = _in_folder(target.parent, lambda: _second_name(origin, target))
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            else:
                _flush_folder(target.parent)
                return named
        with self._incoming(origin, None, where=str(target)) as written:
            return self._name(written, target)

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object; readers see the old one or the new one, never a mixture."""
        target = self._target(key)
        with self._incoming(data, None, where=str(target)) as written, _disk_errors(target):
            _in_folder(target.parent, lambda: written.replace(target))
            _flush_folder(target.parent)

    def delete(self, key: str) -> None:
        """Remove an object if it is there, and folders that it leaves empty."""
        target = self._target(key)
        with _disk_errors(target):
            target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or another writer just removed it
                return

    def unfinished(self) -> Iterator[Unfinished]:
        """Yield what killed writers left in ``.incoming``."""
        try:
            for facts in self._walk(self.root / INCOMING, ""):
                yield Unfinished(name=facts.key, size=facts.size, modified=facts.modified)
        except OSError as error:
            raise refusals.from_disk(error, where=str(self.root / INCOMING)) from error

    def discard(self, item: Unfinished) -> None:
        """Remove one of these."""
        path = self.root / INCOMING / checked(item.name)
        with _disk_errors(path):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # fails while a writer uses it, and that is fine

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view of a folder; `NotFoundError` if it does not exist."""
        folder = self._target(prefix.rstrip("/")) if prefix else self.root
        if prefix and folder.is_symlink():
            raise refusals.linked(prefix, where=str(self.root))
        if not folder.is_dir():
            raise refusals.absent(str(folder))
        with _disk_errors(folder):  # the view itself would follow links
            for link in _links(folder):
                key = link.relative_to(self.root).as_posix()
                raise refusals.linked(key, where=str(self.root))
        return obstore.store.LocalStore(folder)

    def _target(self, key: str) -> Path:
        """Where a key lies. The folder must be inside the root even if links are on the way."""
        target = self.root / checked(key)
        if not Path(os.path.realpath(target.parent)).is_relative_to(self._real_root):
            raise InvalidError(
                f"the key {key!r} leaves the store through a link",
                where=str(self.root),
                fix="remove the link",
            )
        return target

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        target = self._target(key)
        with _disk_errors(target):
            try:
                descriptor = os.open(target, _READING)
            except NotADirectoryError as error:  # what the key begins with is an object
                raise FileNotFoundError(errno.ENOENT, "not a regular file") from error
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise FileNotFoundError(errno.ENOENT, "not a regular file")
            with os.fdopen(descriptor, "rb") as file:
                yield file

    @contextmanager
    def _incoming(
        self, source: bytes | Path, digest: Digest | None, *, where: str
    ) -> Iterator[Path]:
        """Write the whole object under a name of its own, and remove that name after."""
        path = self.root / INCOMING / uuid.uuid4().hex
        try:
            opened = partial(_in_folder, path.parent, lambda: path.open("xb"))
            with _disk_errors(Path(where)), opened() as out:
                found = _copy(source, out)
            if digest is not None and digest != found:
                raise refusals.other_bytes(digest, found, where=where)
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()  # fails while another writer uses it, and that is fine

    def _name(self, written: Path, target: Path) -> bool:
        with _disk_errors(target):
            created = _in_folder(target.parent, lambda: _link(written, target))
            _flush_folder(target.parent)
        return created

    def _walk(self, folder: Path, prefix: str) -> Iterator[ObjectFacts]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder sorts as its name with a slash, which is how its keys compare with others.
        named = [(e.name + "/" * e.is_dir(follow_symlinks=False), e) for e in entries]
        for name, entry in sorted(named, key=lambda pair: os.fsencode(pair[0])):
            if not prefix and entry.name == INCOMING:
                continue
            if name.endswith("/"):
                yield from self._walk(folder / entry.name, prefix + name)
            elif entry.is_file(follow_symlinks=False):
                yield _facts(prefix + name, entry.stat(follow_symlinks=False))


def _in_folder(folder: Path, act: Callable[[], T]) -> T:
    """Act in a new folder, which another writer may be removing because it is empty."""
    for _ in range(1000):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return act()
        except FileNotFoundError:
            continue
        except FileExistsError:  # of mkdir: a file is there, or the folder went just now
            # One look: between two, others may remove the folder and make it anew.
            with suppress(FileNotFoundError):
                if not stat.S_ISDIR(folder.stat().st_mode):
                    raise
    # Not "absent": nobody asked for what is there.
    raise refusals.no_folder(str(folder))


def _copy(source: bytes | Path, out: BinaryIO) -> Digest:
    """Write to the disk, flushed; returns the digest of what was written."""
    hasher = hashlib.sha256()
    for block in (source,) if isinstance(source, bytes) else _file_blocks(source):
        hasher.update(block)
        out.write(block)
    out.flush()
    os.fsync(out.fileno())
    return Digest(hasher.hexdigest())


def _file_blocks(path: Path) -> Iterator[bytes]:
    with _disk_errors(path), path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _second_name(origin: Path, target: Path) -> bool:
    try:
        target.hardlink_to(origin)
    except FileExistsError:
        return False
    return True


def _link(written: Path, target: Path) -> bool:
    try:
        target.hardlink_to(written)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename(written, target)
    return True


def _rename(written: Path, target: Path) -> bool:
    try:
        _rename_without_replacing(written, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_FLAGS:
            raise
        return _rename_alone(written, target)
    return True


def _rename_without_replacing(written: Path, target: Path) -> None:
    """Rename as Linux can since 3.15; `FileExistsError` if the name is taken."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    paths = os.fsencode(written), os.fsencode(target)
    if rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def _rename_alone(written: Path, target: Path) -> bool:
    """Look, then rename, while no other writer does; a lock ends with its process.

    The lock is on ``.incoming``, which nobody removes while a written file lies in it.
    """
    folder = os.open(written.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.lexists(target):
            return False
        written.replace(target)
    finally:
        os.close(folder)
    return True


def _links(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from _links(Path(entry.path))


def _flush_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # whoever deleted the object removed its folder, too
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ScidataError:  # some are an OSError, too, and are translated already
        raise
    except OSError as error:
        raise refusals.from_disk(error, where=str(path)) from error


def _facts(key: str, status: os.stat_result) -> ObjectFacts:
    return ObjectFacts(key=key, size=status.st_size, modified=_moment(int(status.st_mtime)))


@lru_cache(maxsize=64)  # files that are listed together were often written together
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
