"""Reading and writing whole objects through obstore: what S3, http and memory share."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import obstore
import obstore.store
from obstore.exceptions import AlreadyExistsError, BaseError

from scidata.digest import Block, Digest
from scidata.errors import NotFoundError, StorageError
from scidata.storage import refusals
from scidata.storage.ahead import Ahead
from scidata.storage.base import ObjectFacts
from scidata.storage.keys import checked, checked_prefix

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

BLOCK = 2**20
RANGE = 4 * 2**20
"""Bytes of a range: more save no time, and fewer cost the client a third more a byte."""
RANGES_AT_ONCE = 16
"""Of all streams of a store, so that 64 MiB at most wait for their readers."""
QUICK_PUT = 64 * 2**10
"""Up to this many bytes are sent in no time, so that only the answer is waited for."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Between tries when a server says that it is busy; obstore itself has tried thrice by then."""
METADATA = "sha256"
_E_TAG_OF_PARTS = re.compile(r'"?[0-9a-f]{32}-([0-9]{1,5})"?')

T = TypeVar("T")


@dataclass
class Objects:
    """An obstore view of a store, with our keys, limits and errors."""

    view: obstore.store.ObjectStore
    address: str
    uploads: Callable[[], obstore.store.ObjectStore] | None = None
    """Opens a view for what takes long to send; by default `view` sends all."""
    knows_ranges: bool = True
    """Until the server turns out not to."""

    def read(self, key: str, limit: int) -> bytes:
        """Return an object of at most `limit` bytes."""
        key = checked(key)

        def get() -> bytes:
            answer = obstore.get(self.view, key)
            size = answer.meta["size"]
            if size > limit:
                raise refusals.too_large(size, limit, where=self._where(key))
            return bytes(answer.bytes())

        return self._patiently(get, key)

    def stream(self, key: str, start: int) -> Iterator[Block]:
        """Yield blocks from `start`: by ranges, of which several are on their way at once."""
        key = checked(key)
        data: Block = b""
        size = 0
        try:
            if self.knows_ranges:
                data, size = self._first(key, start)
        except (BaseError, FileNotFoundError) as error:
            if not refusals.refuses_ranges(error):
                raise self._translated(error, key) from error
            self.knows_ranges = False
        if not self.knows_ranges:
            yield from self._stream_whole(key, start)
            return
        start += len(data)
        if data:
            yield data
        del data  # one range less in memory while the others are waited for
        yield from self._ahead.read(partial(self._range, key), range(start, size, RANGE), size)

    def _first(self, key: str, start: int) -> tuple[Block, int]:
        """Return the first range from `start`, if there is one, and the object's size."""
        options: GetOptions = {"range": (start, start + RANGE)}
        try:
            answer = self._busily(lambda: obstore.get(self.view, key, options=options))
        except BaseError as error:
            if not refusals.is_past_the_end(error):
                raise
            return b"", 0
        size = answer.meta["size"]
        end = min(start + RANGE, size)
        data: Block = b""
        with suppress(BaseError):
            data = memoryview(answer.bytes())
        return data if len(data) == end - start else self._range(key, start, end, 1), size

    def _range(self, key: str, start: int, end: int, failures: int = 0) -> Block:
        """Read a part of an object that is there; what breaks off is asked for again."""
        while True:
            try:
                options: GetOptions = {"range": (start, end)}
                data = memoryview(obstore.get(self.view, key, options=options).bytes())
                if len(data) == end - start:
                    return data
                raise _cut_off(start + len(data), end, self._where(key))
            except (BaseError, FileNotFoundError, StorageError) as error:
                failures += 1
                # After some bytes it may have been the time for the request that ran out.
                silent = failures > 1 and refusals.is_silent(error)
                gone = isinstance(error, FileNotFoundError)
                if silent or gone or failures > len(PAUSES_S):
                    raise self._translated(error, key) from error
                time.sleep(PAUSES_S[failures - 1])

    def _stream_whole(self, key: str, start: int) -> Iterator[Block]:
        """Yield blocks from a server that knows no ranges, each time from the beginning."""
        first = self._patiently(lambda: obstore.get(self.view, key), key)
        size = first.meta["size"]
        failures = 0
        while start < size:
            try:
                answer = first if failures == 0 else obstore.get(self.view, key)
                for block in _blocks(answer, start):
                    start += len(block)
                    failures = 0
                    yield block
                if start < size:
                    raise _cut_off(start, size, self._where(key))
            except (BaseError, FileNotFoundError, StorageError) as error:
                failures += 1
                silent = failures > 1 and refusals.is_silent(error)
                if silent or failures > len(PAUSES_S) or isinstance(error, NotFoundError):
                    raise self._translated(error, key) from error
                time.sleep(PAUSES_S[failures - 1])

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and the digest that the writer left in the object's metadata."""
        key = checked(key)
        answer = self._patiently(
            lambda: obstore.get(self.view, key, options={"head": True}), key
        )
        parts = _parts(answer.meta["e_tag"])
        # Of an object in parts the server has compared no sha256 of the whole.
        recorded = None if parts else answer.attributes.get(METADATA)
        return ObjectFacts(
            key=key,
            size=answer.meta["size"],
            modified=answer.meta["last_modified"].isoformat().replace("+00:00", "Z"),
            etag=_etag(answer.meta["e_tag"]),
            digest=Digest(recorded) if recorded and _is_hex(recorded) else None,
            parts=parts,
        )

    def list(self, prefix: str) -> Iterator[ObjectFacts]:
        """Yield objects whose key starts with `prefix`, in the server's order."""
        folder = checked_prefix(prefix).rpartition("/")[0]
        try:
            for batch in obstore.list(self.view, folder or None, chunk_size=1000):
                for meta in batch:
                    if meta["path"].startswith(prefix):
                        yield ObjectFacts(
                            key=meta["path"],
                            size=meta["size"],
                            modified=meta["last_modified"].isoformat().replace("+00:00", "Z"),
                            etag=_etag(meta["e_tag"]),
                        )
        except (BaseError, FileNotFoundError) as error:
            raise self._translated(error, prefix) from error

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of keys that have several, sorted."""
        listed = self._patiently(lambda: obstore.list_with_delimiter(self.view), "")
        return tuple(sorted(prefix.rstrip("/") for prefix in listed["common_prefixes"]))

    def create(self, key: str, data: bytes, digest: Digest | None) -> bool:
        """Send one PUT that succeeds only if the key is free."""
        key = checked(key)
        found = Digest(hashlib.sha256(data).hexdigest())
        if digest is not None and digest != found:
            raise refusals.other_bytes(digest, found, where=self._where(key))

        def put() -> bool:
            try:
                obstore.put(
                    self._to(data),
                    key,
                    data,
                    mode="create",
                    attributes={METADATA: found.hex},
                    use_multipart=False,
                )
            except AlreadyExistsError:
                return False
            return True

        return self._writing(put, key)

    def replace(self, key: str, data: bytes) -> None:
        """Overwrite an object."""
        key = checked(key)
        self._writing(lambda: obstore.put(self._to(data), key, data, use_multipart=False), key)

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        key = checked(key)
        try:
            self._patiently(lambda: obstore.delete(self.view, key), key)
        except NotFoundError:
            return

    def _to(self, data: bytes) -> obstore.store.ObjectStore:
        return self.view if len(data) <= QUICK_PUT else self._patient_view

    @cached_property
    def _patient_view(self) -> obstore.store.ObjectStore:
        return self.uploads() if self.uploads is not None else self.view

    def _writing(self, call: Callable[[], T], key: str) -> T:
        try:
            return self._patiently(call, key)
        except NotFoundError as error:  # of the bucket: a key need not exist to be written
            raise refusals.no_bucket(self._where(key)) from error

    def _patiently(self, call: Callable[[], T], key: str) -> T:
        try:
            return self._busily(call)
        except (BaseError, FileNotFoundError) as error:
            raise self._translated(error, key) from error

    def _busily(self, call: Callable[[], T]) -> T:
        """Ask again as long as the server says that it is busy."""
        for pause in PAUSES_S:
            try:
                return call()
            except (BaseError, FileNotFoundError) as error:
                if not refusals.is_busy(error):
                    raise
                time.sleep(pause)
        return call()

    @cached_property
    def _ahead(self) -> Ahead:
        return Ahead(RANGES_AT_ONCE)

    def _translated(self, error: Exception, key: str) -> Exception:
        if isinstance(error, StorageError):
            return error
        return refusals.from_server(error, where=self._where(key))

    def _where(self, key: str) -> str:
        return f"{key or '(all keys)'} in {self.address}"


def _blocks(answer: "GetResult", skip: int) -> Iterator[Block]:
    if answer.meta["size"] <= BLOCK:  # one call instead of a stream: a third less work
        data = bytes(answer.bytes())
        yield data[skip:] if skip else data
        return
    for block in answer.stream(min_chunk_size=BLOCK):
        whole = bytes(block)
        yield from _pieces(whole[skip:])
        skip = max(skip - len(whole), 0)


def _pieces(data: bytes) -> Iterator[Block]:
    for start in range(0, len(data), BLOCK):
        yield data[start : start + BLOCK]


def _cut_off(start: int, size: int, where: str) -> StorageError:
    return StorageError(
        f"the server sent {start} of {size} bytes",
        where=where,
        fix="run the same command again",
    )


def _etag(text: str | None) -> str | None:
    return text.strip('"') if text else None


def _is_hex(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")  # noqa: PLR2004 - sha256


def _parts(e_tag: str | None) -> int:
    """Read in how many parts S3 took an object: its entity tag ends so."""
    match = _E_TAG_OF_PARTS.fullmatch(e_tag or "")
    return int(match[1]) if match else 0
