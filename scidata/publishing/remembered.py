"""Digests of staged files, and of their parts, kept between runs.

What did not change is not read again.

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

from scidata.measure import Measured
from scidata.measure.files import Known, Stamps
from scidata.parts import Parts

SCHEMA = "scidata-hashes/4"
SETTLED_NS = 2 * 10**9
MAX_BYTES = 2**30
_HEXES = re.compile(r"(?:[0-9a-f]{64})*+")


def memory_of(folder: Path, staged: Path) -> Path:
    """Return where the digests of a staged dataset are kept, in the user's state folder."""
    name = sha256(str(staged.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / "hashes" / f"{name[:32]}.json.z"


def recall(memory: Path) -> dict[str, Known]:
    """Return what was read of each file, by path; nothing if damaged."""
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
        return dict(_read(held))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
        return {}


def note(
    memory: Path,
    stamps: Stamps,
    measured: Measured,
    *,
    begun_ns: int,
    recalled: Mapping[str, Known],
) -> None:
    """Keep what was read by a run that looked at the files after `begun_ns`.

    Nothing is written if it is what was `recalled`; not being able to write harms nobody.
    """
    settled = begun_ns - SETTLED_NS
    hexes, parts = measured.manifest.hexes, measured.parts
    kept = {
        path: Known(stamp, hexes[path], parts.get(path))
        for path, stamp in stamps.items()
        if max(stamp[1], stamp[2]) < settled and path in hexes
    }
    if kept == recalled:
        return
    held = {
        "schema": SCHEMA,
        "paths": list(kept),
        # Columns, because a version may have a million files.
        "stamps": [list(c) for c in zip(*(one.stamp for one in kept.values()), strict=True)],
        "sha256": "".join(one.hex for one in kept.values()),
        "parts": {
            path: [one.parts.size, one.parts.sha256.hex()]
            for path, one in kept.items()
            if one.parts is not None
        },
    }
    # Level 0, for its checksum alone: packing takes longer than writing what it would spare.
    packed = zlib.compress(json.dumps(held, separators=(",", ":")).encode(), 0)
    beside = memory.with_suffix(".new")
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(packed)
        beside.replace(memory)


def _read(held: Any) -> Iterator[tuple[str, Known]]:  # Any: JSON
    """Yield the columns' rows; `ValueError` or `TypeError` if they are not what is written."""
    paths, parts = _texts(held["paths"]), _parts(held["parts"])
    hexes = held["sha256"]
    if not _HEXES.fullmatch(hexes):
        raise ValueError("sha256")
    columns = held["stamps"] or [[], [], [], []]
    if any(set(map(type, column)) - {int} for column in columns):
        raise TypeError("stamps")
    sizes, written, changed, inodes = columns
    digests = (hexes[at : at + 64] for at in range(0, len(hexes), 64))
    stamps = zip(sizes, written, changed, inodes, strict=True)
    for path, stamp, digest in zip(paths, stamps, digests, strict=True):
        cut = parts.get(path)
        if cut is not None and not cut.fits(stamp[0]):
            raise ValueError("parts")
        yield path, Known(stamp, digest, cut)


def _parts(held: Any) -> dict[str, Parts]:  # Any: JSON
    found: dict[str, Parts] = {}
    for path, (size, hexes) in held.items():
        if type(size) is not int or not _HEXES.fullmatch(hexes):
            raise TypeError("parts")
        found[path] = Parts(size, bytes.fromhex(hexes))
    return found


def _texts(paths: Any) -> list[str]:  # Any: JSON
    if not all(map(isinstance, paths, repeat(str))):
        raise TypeError("paths")
    return list(paths)
