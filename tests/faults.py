"""Single faults of a version, wherever it lies: what is done, and what must be named."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from scidata.storage.s3 import S3Store
from tests.damage import MANIFEST, flip

ONE, DEEP = "data/pair/a.bin", "data/deep/caf\u00e9.txt"
SAME_SIZE, OTHER_SIZE = "data/pair/b.bin", "data/pair/c.bin"
TAGS, TABLE = "tagmanifest-sha256.txt", "manifest.parquet"

FILES = {
    ONE: b"first of a pair\n",
    SAME_SIZE: b"other of a pair\n",
    OTHER_SIZE: b"longer than both of the pair\n",
    DEEP: b"deep\n",
    "data/own.txt": b"as in 1.0.0\n",
}
"""Of both versions; the second has other bytes in the last and inherits all else."""


class Objects(Protocol):
    """Bytes by key, below whatever checks keys."""

    def read(self, key: str) -> bytes | None: ...
    def write(self, key: str, data: bytes) -> None: ...
    def remove(self, key: str) -> None: ...


@dataclass(frozen=True)
class InFolder:
    root: Path

    def read(self, key: str) -> bytes | None:
        path = self.root / key
        return path.read_bytes() if path.is_file() else None

    def write(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # another name of it may be another version's
        path.write_bytes(data)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


@dataclass(frozen=True)
class InBucket:
    store: S3Store

    def _named(self, key: str) -> dict[str, str]:
        bucket, _, below = self.store.url.removeprefix("s3://").partition("/")
        return {"Bucket": bucket, "Key": f"{below}/{key}"}

    def read(self, key: str) -> bytes | None:
        client = self.store._botocore
        try:
            return bytes(client.get_object(**self._named(key))["Body"].read())
        except client.exceptions.NoSuchKey:
            return None

    def write(self, key: str, data: bytes) -> None:
        self.store._botocore.put_object(Body=data, **self._named(key))

    def remove(self, key: str) -> None:
        self.store._botocore.delete_object(**self._named(key))


@dataclass
class Bag:
    """A version's files by their paths in the bag, each where it lies."""

    objects: Objects
    own: str
    """What keys of the bag begin with."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """What the key of a file begins with that is inherited."""
    _before: dict[str, bytes | None] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        found = self.objects.read(self._key(path))
        assert found is not None, path
        return found

    def write(self, path: str, data: bytes) -> None:
        self._note(path)
        self.objects.write(self._key(path), data)

    def remove(self, path: str) -> None:
        self._note(path)
        self.objects.remove(self._key(path))

    def edit(self, path: str, change: Callable[[bytes], bytes]) -> None:
        before = self.read(path)
        after = change(before)
        assert after != before, path
        self.write(path, after)

    @contextmanager
    def restored(self) -> Iterator["Bag"]:
        """Undo everything at the end."""
        try:
            yield self
        finally:
            for key, data in self._before.items():
                if data is not None:
                    self.objects.write(key, data)
                elif self.objects.read(key) is not None:
                    self.objects.remove(key)
            self._before.clear()

    def _key(self, path: str) -> str:
        return self.elsewhere.get(path, self.own) + path

    def _note(self, path: str) -> None:
        key = self._key(path)
        self._before.setdefault(key, self.objects.read(key))


class Fault(NamedTuple):
    """One edit of a version."""

    do: Callable[[Bag], None]
    named: set[tuple[str, str]]
    """State and path of what must be named, and nothing else."""
    fast: bool
    """Whether names, sizes and tag files are enough to see it."""


def edited(path: str, change: Callable[[bytes], bytes], *, fast: bool) -> Fault:
    return Fault(lambda bag: bag.edit(path, change), {("bad", path)}, fast)


def added(path: str) -> Fault:
    return Fault(lambda bag: bag.write(path, b"x"), {("extra", path)}, fast=True)


def removed(path: str) -> Fault:
    return Fault(lambda bag: bag.remove(path), {("missing", path)}, fast=True)


def renamed(path: str, other: str) -> Fault:
    def rename(bag: Bag) -> None:
        data = bag.read(path)
        bag.remove(path)
        bag.write(other, data)

    return Fault(rename, {("missing", path), ("extra", other)}, fast=True)


def swapped(first: str, second: str, *, fast: bool) -> Fault:
    def swap(bag: Bag) -> None:
        one, other = bag.read(first), bag.read(second)
        bag.write(first, other)
        bag.write(second, one)

    return Fault(swap, {("bad", first), ("bad", second)}, fast)


def manifest(change: Callable[[bytes], bytes]) -> Fault:
    return edited(MANIFEST, change, fast=True)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


def decomposed(path: str) -> str:
    return unicodedata.normalize("NFD", path)


FAULTS = {
    "a bit flipped": edited(ONE, flip, fast=False),
    "other bytes of the same size": edited(DEEP, lambda data: bytes(len(data)), fast=False),
    "truncated": edited(OTHER_SIZE, lambda data: data[:-1], fast=True),
    "emptied": edited(OTHER_SIZE, lambda data: b"", fast=True),
    "extended": edited(DEEP, lambda data: data + b"\0", fast=True),
    "a file of its own extended": edited("data/own.txt", lambda d: d + b"\n", fast=True),
    "two files of one size swapped": swapped(ONE, SAME_SIZE, fast=False),
    "two files of two sizes swapped": swapped(ONE, OTHER_SIZE, fast=True),
    "one file over another of its size": Fault(
        lambda bag: bag.write(ONE, bag.read(SAME_SIZE)), {("bad", ONE)}, fast=False
    ),
    "removed": removed(DEEP),
    "added": added("data/pair/new.bin"),
    "added beside the payload": added("notes.txt"),
    "renamed": renamed(ONE, "data/pair/z.bin"),
    "a twin by case": added("data/pair/A.bin"),
    "renamed by case": renamed(ONE, "data/pair/A.bin"),
    "a twin by Unicode (NFD)": added(decomposed(DEEP)),
    "renamed from NFC to NFD": renamed(DEEP, decomposed(DEEP)),
    "a line twice": manifest(lines(lambda text: [text[0], *text])),
    "a line twice, with two digests": manifest(
        lines(lambda text: [text[0], b"0" * 64 + text[0][64:], *text[1:]])
    ),
    "a line less": manifest(lines(lambda text: text[1:])),
    "unsorted": manifest(lines(lambda text: text[::-1])),
    "a byte order mark": manifest(lambda text: b"\xef\xbb\xbf" + text),
    "CRLF": manifest(lambda text: text.replace(b"\n", b"\r\n")),
    "no last line feed": manifest(lambda text: text[:-1]),
    "a digest in upper case": manifest(lines(lambda text: [text[0].upper(), *text[1:]])),
    "`../`": manifest(lambda text: text.replace(b"data/pair/a", b"data/../../a")),
    "an absolute path": manifest(lambda text: text.replace(b"  data/pair/a", b"  /data/a")),
    "an NFD path": manifest(
        lambda text: text.replace(DEEP.encode(), decomposed(DEEP).encode())
    ),
    "an empty manifest": manifest(lambda text: b""),
    "no manifest": removed(MANIFEST),
    "an edited tag manifest": edited(TAGS, lines(lambda text: text[1:]), fast=True),
    "a damaged index": edited(TABLE, flip, fast=True),
    "no index": removed(TABLE),
    "an edited record": edited("meta/record.yaml", lambda text: text + b"\n", fast=True),
    "an edited declaration": edited(
        "bagit.txt", lambda d: d.replace(b"1.0", b"0.9"), fast=True
    ),
    "no README": removed("README.md"),
}
