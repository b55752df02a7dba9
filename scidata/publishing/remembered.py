"""Digests of staged files, kept between runs: what did not change is not read again.

A file counts as unchanged if its path, size, inode and both its times are those of the run that
read it: when its contents were written, which anybody can set back, and when anything of it was
changed, which the system alone sets. In the two seconds before that reading nothing of it may
have changed: within the resolution of a clock a write may leave no trace. A damaged memory
counts as none.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import Any

from scidata.measure.files import Stamp, Stamps

SCHEMA = "scidata-hashes/3"
SETTLED_NS = 2 * 10**9
MAX_BYTES = 2**30
_HEXES = re.compile(r"(?:[0-9a-f]{64})*+")


def memory_of(folder: Path, staged: Path) -> Path:
    """Return where the digests of a staged dataset are kept, in the user's state folder."""
    name = sha256(str(staged.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / "hashes" / f"{name[:32]}.json.z"


def recall(memory: Path) -> dict[str, tuple[Stamp, str]]:
    """Return stamp and sha256 of each file that was read, by path; nothing if damaged."""
    try:
        with memory.open("rb") as file:
            packed = file.read(MAX_BYTES)
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(packed, MAX_BYTES)
        if not unpacking.eof:
            return {}
        held = json.loads(text)
        if held["schema"] != SCHEMA:
            return {}
        return dict(zip(_texts(held["paths"]), _read(held), strict=True))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
        return {}


def note(
    memory: Path,
    stamps: Stamps,
    hexes: Mapping[str, str],
    *,
    begun_ns: int,
    recalled: Mapping[str, tuple[Stamp, str]],
) -> None:
    """Keep what was read by a run that looked at the files after `begun_ns`.

    Nothing is written if it is what was `recalled`; not being able to write harms nobody.
    """
    settled = begun_ns - SETTLED_NS
    kept = {
        path: (stamp, hexes[path])
        for path, stamp in stamps.items()
        if max(stamp[1], stamp[2]) < settled and path in hexes
    }
    if kept == recalled:
        return
    held = {
        "schema": SCHEMA,
        "paths": list(kept),
        # Columns, because a version may have a million files.
        "stamps": [list(column) for column in zip(*(s for s, _ in kept.values()), strict=True)],
        "sha256": "".join(value for _, value in kept.values()),
    }
    packed = zlib.compress(json.dumps(held, separators=(",", ":")).encode(), 1)
    beside = memory.with_suffix(".new")
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(packed)
        beside.replace(memory)


def _read(held: Any) -> Iterator[tuple[Stamp, str]]:  # Any: JSON
    """Yield the columns' rows; `ValueError` or `TypeError` if they are not what is written."""
    hexes = held["sha256"]
    if not _HEXES.fullmatch(hexes):
        raise ValueError("sha256")
    columns = held["stamps"] or [[], [], [], []]
    if any(set(map(type, column)) - {int} for column in columns):
        raise TypeError("stamps")
    sizes, written, changed, inodes = columns
    digests = (hexes[at : at + 64] for at in range(0, len(hexes), 64))
    return zip(zip(sizes, written, changed, inodes, strict=True), digests, strict=True)


def _texts(paths: Any) -> list[str]:  # Any: JSON
    if not all(map(isinstance, paths, repeat(str))):
        raise TypeError("paths")
    return list(paths)
