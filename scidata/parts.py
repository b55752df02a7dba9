"""How large files are cut into parts, and the sha256 of each of them. Pure.

S3 takes large files in parts and keeps the sha256 of these, not that of the whole. Whoever cuts
a file as it does can tell without reading the object whether it arrived. Sending parts belongs
to `scidata.storage.parts`.
"""

import hashlib
from dataclasses import dataclass

MIB = 2**20
PART = 16 * MIB
"""Bytes of a part, unless it is said otherwise or there would be more than `MAX_PARTS`."""
MAX_PARTS = 10_000
SHA256_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How a store cuts files, and how much memory it takes to send them."""

    part: int = PART
    """Bytes of a part, unless the file would have more than `MAX_PARTS` of these."""

    @property
    def one_put(self) -> int:
        """Up to this many bytes go in one request, which the server checks against sha256."""
        return 4 * self.part

    @property
    def memory(self) -> int:
        """Bytes of files in memory at once, whatever their number and size.

        Only a part that is larger, of a file over 1.25 TiB, is held alone: 525 MiB at most.
        """
        return 8 * self.part

    def part_of(self, size: int) -> int:
        """Return the bytes of each part, but the last, of a file of `size` bytes."""
        fewest = -(-size // MAX_PARTS)
        return max(self.part, -(-fewest // MIB) * MIB)

    def cut(self, size: int) -> int:
        """Return the same, or 0 for a file that goes in one request."""
        return self.part_of(size) if size > self.one_put else 0


@dataclass(frozen=True, slots=True)
class Parts:
    """The sha256 of each part of a file.

    Examples
    --------
    >>> cutting = Cutting(2)
    >>> cutting.update(b"abc")
    >>> cutting.parts().fits(3)
    True
    """

    size: int
    """Bytes of each part but the last, which may have fewer."""
    sha256: bytes
    """32 bytes for each part, in their order."""

    @property
    def composite(self) -> str:
        """The sha256 over the sha256 of each part, in hex: what S3 keeps of such an object."""
        return hashlib.sha256(self.sha256).hexdigest()

    def fits(self, size: int) -> bool:
        """Tell whether a file of `size` bytes has as many parts as these."""
        if not 0 < self.size < size or self.size * MAX_PARTS < size:
            return False
        return len(self.sha256) == -(-size // self.size) * SHA256_BYTES


class Cutting:
    """Takes a file's bytes in their order, and cuts them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._one = hashlib.sha256()
        self._done = bytearray()

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes."""
        while len(block) >= self._left:
            self._one.update(block[: self._left])
            block = block[self._left :]
            self._close()
        self._one.update(block)
        self._left -= len(block)

    def parts(self) -> Parts:
        """Return the parts; no byte follows."""
        if self._left < self._size:
            self._close()
        return Parts(self._size, bytes(self._done))

    def _close(self) -> None:
        self._done += self._one.digest()
        self._one, self._left = hashlib.sha256(), self._size
