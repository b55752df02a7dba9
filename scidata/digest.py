"""The digest: an algorithm and its value in hex. Reading files belongs to `scidata.hashing`."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self, TypeAlias

from scidata.errors import InvalidError

Block: TypeAlias = bytes | memoryview
"""A piece of a file; a view of bytes that arrived spares a copy of each."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True, slots=True)
class Digest:
    """A sha256 digest; one in hand is well formed. ``Digest.parse(str(d)) == d``.

    Examples
    --------
    >>> Digest.of(b"").short
    'sha256:e3b0c44298fc'
    """

    hex: str
    """64 lower-case hexadecimal digits."""

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.hex):
            raise InvalidError(
                f"{self.hex!r} is not a sha256 value",
                where="digest",
                fix="give 64 lower-case hexadecimal digits",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256:<64 hex digits>``.

        Raises
        ------
        InvalidError
            If the algorithm is another one or the value is malformed.
        """
        algorithm, _, value = text.partition(":")
        if algorithm != "sha256":
            raise InvalidError(
                f"{text!r} is not a digest that scidata knows",
                where="digest",
                fix="write it as sha256:<64 hexadecimal digits>",
            )
        return cls(value)

    @classmethod
    def of(cls, data: bytes | memoryview) -> Self:
        """Digest bytes that are in memory."""
        return cls(hashlib.sha256(data).hexdigest())

    @property
    def short(self) -> str:
        """Enough to recognise it in a table; never used to compare."""
        return f"sha256:{self.hex[:12]}"

    @property
    def multihash(self) -> str:
        """As STAC's ``file:checksum`` wants it: code 0x12, length 0x20, value."""
        return "1220" + self.hex

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
