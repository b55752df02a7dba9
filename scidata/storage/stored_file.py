"""A large object as a file: only the ranges that are read are fetched."""

import io
from functools import lru_cache

import obstore
import obstore.store
from obstore.exceptions import BaseError

from scidata.errors import StorageError
from scidata.storage.refusals import refuses_ranges

BLOCK = 2**20
BLOCKS = 32
"""Kept once fetched, 1 MiB each: the metadata of a file lie scattered over it."""


class StoredFile(io.RawIOBase):
    """Reads ranges of an object; small reads through blocks, of which the last are kept."""

    def __init__(
        self, objects: obstore.store.ObjectStore, key: str, size: int, where: str
    ) -> None:
        self._objects = objects
        self._key = key
        self._size = size
        self._where = where
        self._at = 0
        self._block = lru_cache(maxsize=BLOCKS)(self._fetch_block)
        self.failure: StorageError | None = None
        """Why the last read failed: h5py tells nothing of it."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; nothing is fetched."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        """Return the offset."""
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # one thread
        """Fill a buffer, or less of it; 0 at the end."""
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        if wanted >= BLOCK:
            data = self._fetch(self._at, self._at + wanted)
        else:
            number, offset = divmod(self._at, BLOCK)
            data = self._block(number)[offset : offset + wanted]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _fetch_block(self, number: int) -> bytes:
        start = number * BLOCK
        return self._fetch(start, min(start + BLOCK, self._size))

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            return self._range(start, end)
        except (BaseError, OSError) as error:
            self.failure = StorageError(
                f"bytes {start} to {end} cannot be read: {type(error).__name__}",
                where=self._where,
                fix="check that the store can be reached, then run the same again",
            )
            raise self.failure from error

    def _range(self, start: int, end: int) -> bytes:
        try:
            return bytes(obstore.get_range(self._objects, self._key, start=start, end=end))
        except BaseError as error:
            if not refuses_ranges(error):
                raise
            return bytes(obstore.get(self._objects, self._key).bytes())[start:end]
