"""Files that were found against files that were expected, as a list of damage. Pure."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError
from scidata.hashing import Hashed, unreadable
from scidata.sshsig import PublicKey

MAX_LINES_TOLD = 5


MAX_NAMED = 3
"""Damaged files that a message names; the error holds all."""


Depth: TypeAlias = Literal["full", "fast", "remote"]
"""What is compared: every byte; names and sizes; or the checksums that a store keeps."""


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """One file that could not be compared, which is no damage and no proof either."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a verification found."""

    target: str
    """The folder, or the store's address."""
    name: str
    """Such as ``tevolop@1.0.0``; empty for a bag of another tool."""
    digest: Digest | None
    """Of the manifest that was found; None if there is none."""
    against: str
    """What vouches for the manifest; empty if nothing outside the folder does."""
    published: bool
    """The published manifest was read from a store, and the files compared with it."""
    files: int
    """Payload and tag files compared."""
    tags: int
    """How many of them were tag files, which say what the version is."""
    bytes: int
    """How many bytes of them were read."""
    fast: bool
    """Only names and sizes of the payload were compared."""
    depth: Depth = "full"
    """How the content of the payload was compared, if it was."""
    compared: int = 0
    """Payload files whose content was compared; of the others, names and sizes were."""
    drawn: str = ""
    """Which part was drawn by ``--sample`` or ``--subset``, and by which seed."""
    checksums: Mapping[str, int] = field(default_factory=dict)
    """With ``remote``: how many files agree by each kind of stored checksum."""
    unverifiable: tuple[Unchecked, ...] = ()
    """With ``remote``: files of which the store keeps no checksum that can be compared."""
    payload: int
    """Payload files that the manifest names."""
    held: int
    """How many of them the target says it holds: all of them, except in a partial copy."""
    damage: tuple[Damage, ...]
    """Every bad, missing and extra file, by path."""
    partial: bool = False
    """The folder lists what it holds of the version, and no more was compared."""
    signer: PublicKey | None = None
    """The trusted key that signed the version, if such a signature was asked for."""
    notes: tuple[str, ...] = ()
    """What else the reader should know, as sentences."""

    @property
    def sound(self) -> bool:
        """Whether no damage was found; of a partial copy this says nothing of the rest."""
        return not self.damage

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for could be compared."""
        return not self.unverifiable

    def require_sound(self) -> None:
        """Go no further with damaged data.

        Raises
        ------
        IntegrityError
            If there is damage; it holds all of it.
        """
        if self.damage:
            named = ", ".join(item.path for item in self.damage[:MAX_NAMED])
            more = f" and {len(self.damage) - MAX_NAMED} more" * (len(self.damage) > MAX_NAMED)
            raise IntegrityError(
                f"{self.name} is damaged: {named}{more}",
                where=self.target,
                fix="bring it from a sound copy, or use another one; scidata verify names all",
                damage=list(self.damage),
            )


def matching(paths: Iterable[str], globs: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths that any of the globs matches; all of them if there are no globs.

    ``*`` matches across ``/``, so ``data/grid.zarr/*`` is a whole array store.
    """
    return (p for p in paths if not globs or any(fnmatchcase(p, g) for g in globs))


def differing(items: Iterable[Hashed], expected: Mapping[str, str]) -> Iterator[Damage]:
    """Yield damage for each file whose sha256 is not the expected one.

    Raises
    ------
    StorageError
        If a file may not be read: then nothing can be said about it.
    """
    for item in items:
        if item.hex == expected[item.key]:
            continue
        wanted = f"sha256:{expected[item.key]}"
        if item.error is None:
            yield bad(item.key, wanted, f"sha256:{item.hex}")
        elif isinstance(item.error, FileNotFoundError):
            yield Damage(path=shown(item.key), state="missing", expected=wanted)
        elif item.error.errno == errno.EIO:
            yield bad(item.key, wanted, "unreadable: the disk reports an error")
        else:
            raise unreadable(item.error.filename or item.key, item.error) from item.error


def resized(found: Mapping[str, int], expected: Mapping[str, int]) -> Iterator[Damage]:
    """Yield damage for each file whose size in bytes is not the expected one."""
    for path, size in found.items():
        if size != expected.get(path, size):
            yield bad(path, f"{expected[path]} bytes", f"{size} bytes")


def missing(paths: Iterable[str], expected: Mapping[str, str]) -> Iterator[Damage]:
    """Yield damage for files that are not there."""
    for path in paths:
        yield Damage(path=shown(path), state="missing", expected=f"sha256:{expected[path]}")


def bad(path: str, expected: str, found: str) -> Damage:
    """Return damage of one file that is there but differs."""
    return Damage(path=shown(path), state="bad", expected=expected, found=found)


def unexpected(path: str, kind: str = "") -> Damage:
    """Return damage of something that no manifest names."""
    return Damage(path=shown(path), state="extra", found=kind)


def ordered(damage: Iterable[Damage]) -> tuple[Damage, ...]:
    """Sort by path; of several findings about one path the first stands."""
    first: dict[str, Damage] = {}
    for item in damage:
        first.setdefault(item.path, item)
    return tuple(sorted(first.values(), key=lambda item: item.path))


def several(reasons: Iterable[object]) -> str:
    """Write the first few reasons, and how many more there are."""
    told = list(map(str, reasons))
    rest = len(told) - MAX_LINES_TOLD
    more = f"; and {rest} more" if rest > 0 else ""
    return "; ".join(told[:MAX_LINES_TOLD]) + more


def shown(path: str) -> str:
    """Write a file name of any bytes as text that a terminal and JSON can hold."""
    text = path.encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else text.encode("unicode_escape").decode()
