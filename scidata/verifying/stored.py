"""What a version says of a file against the checksums that a store keeps of it. Pure."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scidata import compare
from scidata.compare import Unchecked
from scidata.errors import Damage
from scidata.manifest_index import Recorded
from scidata.storage.checksums import Stored

WHOLE, CRC, MD5 = "SHA256", "CRC64NVME", "MD5"
ONE_PART, PARTS = "SHA256 of one part", "SHA256 of parts"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the stored checksums say of one file; exactly one of the three is set."""

    path: str
    by: str = ""
    """The checksum that agrees."""
    damage: Damage | None = None
    unchecked: Unchecked | None = None


def judge(path: str, sha256: str, recorded: Recorded, stored: Stored) -> Judged:
    """Compare by the strongest checksum that both sides have.

    Parameters
    ----------
    path, sha256 : str
        As in the manifest.
    recorded : Recorded
        What the index of sizes holds beyond that.
    stored : Stored
        What the store keeps.
    """
    if recorded.size is not None and recorded.size != stored.size:
        return Judged(
            path=path,
            damage=compare.bad(path, f"{recorded.size} bytes", f"{stored.size} bytes"),
        )
    for by, kind, expected, found in _pairs(sha256, recorded, stored):
        if expected == found:
            return Judged(path=path, by=by)
        damage = compare.bad(path, f"{kind}:{expected}", f"{kind}:{found}")
        return Judged(path=path, damage=damage)
    reason = _reason(sha256, recorded, stored)
    return Judged(path=path, unchecked=Unchecked(path=path, reason=reason))


def _pairs(
    sha256: str, recorded: Recorded, stored: Stored
) -> Iterator[tuple[str, str, str, str]]:
    """Yield what both sides know, the strongest first: its name, its prefix and two values."""
    if stored.sha256:
        yield WHOLE, "sha256", sha256, stored.sha256
    if stored.crc64nvme and recorded.crc64nvme:
        yield CRC, "crc64nvme", recorded.crc64nvme, stored.crc64nvme
    if stored.parts_sha256 and (parts := _parts(sha256, recorded, stored)):
        by = ONE_PART if stored.parts == 1 else PARTS
        yield by, "sha256-of-parts", parts, stored.parts_sha256
    if stored.md5 and recorded.md5:
        yield MD5, "md5", recorded.md5, stored.md5


def _parts(sha256: str, recorded: Recorded, stored: Stored) -> str:
    """Work out the checksum of parts, if the version knows parts as the store has them."""
    if stored.parts == 1:
        return hashlib.sha256(bytes.fromhex(sha256)).hexdigest()
    cut = recorded.parts
    # The index says of which bytes it has the parts: others prove nothing of these.
    if cut is None or recorded.cut != sha256:
        return ""
    # Other parts give another checksum of the same bytes: that would be no damage.
    same = cut.size == stored.part_size and stored.parts == math.ceil(stored.size / cut.size)
    return cut.composite if same else ""


def _reason(sha256: str, recorded: Recorded, stored: Stored) -> str:
    if stored.parts_sha256 and recorded.parts is not None:
        if recorded.cut != sha256:
            return "the version's index has the parts of other bytes than the manifest"
        return (
            f"the store has it in parts of {stored.part_size} bytes, and the version records "
            f"the SHA256 of parts of {recorded.parts.size} bytes"
        )
    named: tuple[tuple[str, Callable[[Stored], object]], ...] = (
        ("CRC64NVME", lambda it: it.crc64nvme),
        ("the SHA256 of parts", lambda it: it.parts_sha256),
        ("an MD5", lambda it: it.md5),
    )
    kept = [name for name, has in named if has(stored)]
    if not kept:
        return "the store keeps no checksum of it"
    return f"the store keeps {' and '.join(kept)}, which the version does not record"
