"""Digests of staged files, kept between runs: what did not change is not read again.

A file counts as unchanged if its path, size, inode and both its times are those of the run that
read it: when its contents were written, which anybody can set back, and when anything of it was
changed, which the system alone sets. In the two seconds before that reading nothing of it may
have changed: within the resolution of a clock a write may leave no trace. A damaged memory
counts as none.
"""

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from scidata.digest import Digest

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size in bytes, time of writing and time of change (mtime, ctime) in ns, and inode."""

SCHEMA = "scidata-hashes/2"
SETTLED_NS = 2 * 10**9
MAX_BYTES = 2**30


def memory_of(folder: Path, staged: Path) -> Path:
    """Return where the digests of a staged dataset are kept, in the user's state folder."""
    name = sha256(str(staged.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / "hashes" / f"{name[:32]}.json.z"


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what changes when somebody writes to a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


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
        return {
            str(path): ((int(size), int(written), int(changed), int(inode)), Digest(value).hex)
            for path, (size, written, changed, inode, value) in held["files"].items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
        return {}


def note(
    memory: Path, stamps: Mapping[str, Stamp], hexes: Mapping[str, str], *, begun_ns: int
) -> None:
    """Keep what was read by a run that began at `begun_ns`; not being able to harms nobody."""
    files = {
        path: (*stamp, hexes[path])
        for path, stamp in stamps.items()
        if path in hexes and max(stamp[1], stamp[2]) < begun_ns - SETTLED_NS
    }
    packed = zlib.compress(json.dumps({"schema": SCHEMA, "files": files}).encode(), 1)
    beside = memory.with_suffix(".new")
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(packed)
        beside.replace(memory)
