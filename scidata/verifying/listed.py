"""Names and sizes of a version against listings of its store, in bounded memory.

Manifest, index and listings are in the same order, so that one pass over all of them tells what
is missing, of another size, or one too many; a million files need no million objects. What
stands in the way of that pass (a damaged manifest or index, a store that lists in another
order) is said by an exception: then whoever asked holds everything in memory, and says more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain, groupby, zip_longest
from typing import NamedTuple

from scidata import compare
from scidata.errors import Damage
from scidata.manifest import PAYLOAD, read_lines
from scidata.manifest_index import read_rows
from scidata.storage.base import Store


class OutOfOrderError(ValueError):
    """Rows that do not fit together: index and manifest, or keys of a listing."""


class Expected(NamedTuple):
    """One file as manifest and index describe it."""

    path: str
    hex: str
    size: int
    """Bytes."""
    version: str
    """In whose prefix it lies."""


class Found(NamedTuple):
    """One key of a listing."""

    path: str
    """Below the version's prefix."""
    version: str
    """Whose prefix that is."""
    size: int


@dataclass
class Compared:
    """What one pass over listings shows."""

    payload: int = 0
    """Files of the version."""
    chosen: int = 0
    """How many of them were asked for."""
    damage: list[Damage] = field(default_factory=list)


def expected(manifest: bytes, table: bytes, *, full: str = "") -> Iterator[Expected]:
    """Yield every file of a version in the manifest's order.

    Parameters
    ----------
    manifest, table : bytes
        Of ``manifest-sha256.txt`` and ``manifest.parquet``.
    full : str
        The version in whose prefix all files lie, whatever the table says; none by default.

    Raises
    ------
    OutOfOrderError
        If the two name different files.
    InvalidError, ValueError, LookupError, TypeError, OSError
        As `read_lines` and `read_rows`.
    """
    lines = chain.from_iterable(
        zip(paths, hexes, strict=True) for paths, hexes in read_lines(manifest)
    )
    for line, row in zip_longest(lines, read_rows(table)):
        if line is None or row is None or line[0] != row[0]:
            raise OutOfOrderError("the index of sizes lists other files than the manifest")
        yield Expected(line[0], line[1], row[1], full or row[2])


def listed(store: Store, dataset: str, versions: Iterable[str]) -> Iterator[Found]:
    """Yield what lies in the prefixes of versions, by path.

    Raises
    ------
    OutOfOrderError
        If the store lists in another order than that of the keys' bytes.
    """
    return merge(*(_listed(store, f"{dataset}/v{version}/", version) for version in versions))


def _listed(store: Store, prefix: str, version: str) -> Iterator[Found]:
    last = ""
    for facts in store.list(prefix):
        if facts.key <= last:
            raise OutOfOrderError("the store does not list keys in their order")
        last = facts.key
        yield Found(last.removeprefix(prefix), version, facts.size)


def join(
    files: Iterable[Expected],
    keys: Iterable[Found],
    *,
    own: str,
    tags: Iterable[str],
    globs: tuple[str, ...],
) -> Compared:
    """Compare what should lie somewhere with what does, both sorted by path.

    Parameters
    ----------
    own : str
        The version itself: in its prefix nothing else should lie. In older ones other files do.
    tags : iterable of str
        Paths of files there that are not payload.
    globs : tuple of str
        Payload to look at.
    """
    done = Compared()
    known = frozenset(tags)
    # Of equal paths, what is expected comes first.
    rows: Iterator[Expected | Found] = merge(files, keys, key=_path)
    for path, group in groupby(rows, key=_path):
        first, *others = group
        asked = not globs or any(compare.matching([path], globs))
        if isinstance(first, Expected):
            done.payload += 1
            done.chosen += asked
            done.damage += _differing(first, others) if asked else ()
        elif path not in known and (asked or not path.startswith(PAYLOAD)):
            done.damage += _strange([first, *others], own)
    return done


def _strange(keys: Iterable[Expected | Found], own: str) -> Iterator[Damage]:
    """Yield damage if one of the keys that nothing names lies in the version's own prefix."""
    for key in keys:
        if key.version == own:
            yield compare.unexpected(key.path)
            return


def _path(row: Expected | Found) -> str:
    return row.path


def _differing(file: Expected, keys: Iterable[Expected | Found]) -> Iterator[Damage]:
    for found in keys:
        if isinstance(found, Found) and found.version == file.version:
            yield from compare.resized({file.path: found.size}, {file.path: file.size})
            return
    yield from compare.missing([file.path], {file.path: file.hex})
