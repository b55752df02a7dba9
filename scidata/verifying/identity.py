"""Which version a folder really holds, all of it or in part, if not the one it should.

A copy that one version was synced over another may have the manifest of either and files of
both. What the files are, their digests tell, as long as the store with the other versions is at
hand. Only notes come of it: what is damaged was found before.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from scidata.bag import Bag
from scidata.digest import Digest
from scidata.errors import Damage, ScidataError
from scidata.resolve import read_commit, read_manifest, version_numbers
from scidata.storage.base import Store
from scidata.version import CommitRecord
from scidata.wording import counted

MAX_VERSIONS = 50
"""Other versions whose manifests are read, newest first."""

UNCHECKED = (
    "the manifest itself was compared with nothing outside this folder: give --digest sha256:… "
    "as it was cited, or --store URL where the version was published"
)


class Held(NamedTuple):
    """What of another version lies in a folder."""

    name: str
    digest: str
    files: int
    """Bad files that have the bytes of that version."""
    extra: int
    """Extra files that it has under the same path."""
    whole: bool
    """Whether everything that the folder should not hold fits it, and nothing is amiss."""


def identity(
    bag: Bag,
    digest: Digest | None,
    expected: Mapping[str, str],
    damage: Iterable[Damage],
    *,
    published: tuple[Store, CommitRecord] | None,
) -> Iterator[str]:
    """Say what a folder holds, if that is another version, or what was not checked.

    Parameters
    ----------
    digest : Digest or None
        Which the manifest should have; None if nothing outside the folder says so.
    expected : mapping of str to str
        Every payload file of the version with its sha256.
    damage : iterable of Damage
        What was found, with ``sha256:`` of files that were read.
    published : tuple of Store and CommitRecord, optional
        Where the other versions are, and the one that the folder should hold.
    """
    if digest is None:
        yield UNCHECKED
        return
    stale = bag.digest is not None and bag.digest != digest
    found = [item for item in damage if item.path in expected or item.state == "extra"]
    if published is None:
        if stale and bag.stated == str(bag.digest) and bag.name:
            short = _short(bag.stated)
            yield f"this folder says that it holds {bag.name} ({short}), not {digest}"
        return
    store, commit = published
    if stale or found:
        yield from _told(bag, commit, list(_others(store, commit, expected, found)))


def _told(bag: Bag, commit: CommitRecord, others: list[Held]) -> Iterator[str]:
    of_manifest = next((held for held in others if held.digest == str(bag.digest)), None)
    if of_manifest is not None and of_manifest.whole:
        yield (
            f"this folder holds {of_manifest.name} ({_short(of_manifest.digest)}), "
            f"not {commit.name}"
        )
        return
    if of_manifest is not None:
        yield f"its manifest is that of {of_manifest.name}, its files are not all of it"
    best = max(others, key=lambda held: held.files, default=None)
    if best is not None and best.files:
        extra = f", and so are {counted(best.extra, 'extra file')}" if best.extra else ""
        yield (
            f"{counted(best.files, 'bad file')} {'is' if best.files == 1 else 'are'} of "
            f"{best.name}{extra}: versions were mixed in one folder"
        )


def _others(
    store: Store, commit: CommitRecord, expected: Mapping[str, str], found: list[Damage]
) -> Iterator[Held]:
    bad = {
        item.path: item.found.removeprefix("sha256:") for item in found if item.state == "bad"
    }
    extra = {item.path for item in found if item.state == "extra"}
    missing = {item.path for item in found if item.state == "missing"}
    numbers = []
    # Only a note hangs on it: whatever is wrong beside this version must not hide what is bad.
    with suppress(ScidataError):
        numbers = list(reversed(version_numbers(store, commit.dataset)))
    for number in [n for n in numbers if n != commit.number][:MAX_VERSIONS]:
        with suppress(ScidataError):
            other = read_commit(store, commit.dataset, number)
            hexes = read_manifest(store, other).hexes
            files = sum(hexes.get(path) == value for path, value in bad.items())
            there = {path for path in hexes if path not in expected}
            changed = {p for p, value in expected.items() if hexes.get(p, value) != value}
            yield Held(
                name=other.name,
                digest=other.digest,
                files=files,
                extra=len(extra & hexes.keys()),
                whole=files == len(bad)
                and changed == bad.keys()
                and extra == there
                and missing == expected.keys() - hexes.keys(),
            )


def _short(digest: str) -> str:
    return f"{digest[:19]}…"
