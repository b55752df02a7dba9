"""Claims: who is uploading which version, since when.

A courtesy, not a lock: two publishers that both go on cannot harm a version, only stop each
other. The first claim also fixes what enters the files besides the data: its time, the parent
version, and what is inherited from it, so that whoever continues the upload writes the same.

Claims are also how those who remove and those who rely on what lies there learn of each other:
a collector takes the next claim of what it removes, a mirror claims the older prefixes that its
version relies on, and a purge waits for the uploads that may inherit from what it removes.
"""

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.publishing.inheritance import Layout
from scidata.resolve import commit_key
from scidata.storage.base import ObjectFacts, Store
from scidata.version import ParentVersion, VersionNumber

_CLAIM = re.compile(r"(\d+\.\d+\.\d+)(?:\.(\d{1,6}))?\.json")

MAX_CLAIM_BYTES = 4096
MAX_TRIES = 20
MAX_SERVED = 100
"""As many claims are looked through for the first one that is of an upload."""
COLLECTED_AFTER = timedelta(days=7)
"""What is older, claim and objects, may be removed by `scidata.collecting`."""
RENEWED_AFTER = timedelta(days=6)
"""Nobody commits on a claim that is older: there must be time before it may be collected."""


class Claim(BaseModel):
    """``claims/1.0.0.json``, and ``claims/1.0.0.2.json`` … of those who continued."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tx: str
    """Random; names the upload."""
    host: str
    user: str
    pid: int
    started: str
    """UTC, ISO 8601 with ``Z``."""
    parent: ParentVersion | None = None
    layout: Layout = "full"
    fetch_from: str = ""
    collecting: bool = False
    """Whoever holds it removes the remains of the upload."""
    serving: str = ""
    """The newer version whose mirror brings files into this prefix. It uploads no version of
    this number, and has ended once that one is committed."""

    @property
    def who(self) -> str:
        """For messages."""
        return f"{self.user}@{self.host}, process {self.pid}, since {self.started}"


def claim_key(dataset: str, version: str, number: int = 1) -> str:
    """Return the key of the n-th claim on a version."""
    return f"{dataset}/claims/{version}{'' if number == 1 else f'.{number}'}.json"


def take(
    store: Store,
    dataset: str,
    version: str,
    mine: Claim,
    *,
    takeover: bool,
    is_dead: Callable[[Claim], bool],
) -> Claim:
    """Claim a version, or continue what a dead publisher left.

    Continues, too, if `takeover` is set although the claim's owner may be alive. Returns the
    first claim on this version: its time and parent go into the files.

    Raises
    ------
    ConflictError
        If somebody else holds the claim.
    """
    created = store.create(claim_key(dataset, version), claim_bytes(mine))
    # Higher numbers without a first one: somebody is removing the remains of an upload.
    if created and newest_number(store, dataset, version) == 1:
        return mine
    victim: str | None = None
    for _ in range(MAX_TRIES):
        number = newest_number(store, dataset, version)
        holder = _read(store, claim_key(dataset, version, number))
        if holder.tx == mine.tx:
            return _first(store, dataset, version, number)
        victim = victim or holder.tx
        ended = is_dead(holder) or _has_served(store, dataset, holder)
        if not (ended or (takeover and holder.tx == victim)):
            raise _held(holder, dataset, version)
        # Won or lost, the next look tells who holds it now.
        store.create(claim_key(dataset, version, number + 1), claim_bytes(mine))
    raise _held(_read(store, claim_key(dataset, version)), dataset, version)


def first_claim(store: Store, dataset: str, version: str) -> Claim | None:
    """Return the claim of whoever began to upload a version; None if nobody did."""
    for number in range(1, MAX_SERVED + 1):
        found = read_claim(store, claim_key(dataset, version, number))
        if found is None or found.collecting:
            return None
        if not found.serving:
            return found
    return None


def claims_of(store: Store, dataset: str) -> dict[str, tuple[ObjectFacts, ...]]:
    """List the claims on each version number of a dataset, in the order of their numbers."""
    found: dict[str, list[tuple[int, ObjectFacts]]] = {}
    for facts in store.list(f"{dataset}/claims/"):
        match = _CLAIM.fullmatch(facts.key.removeprefix(f"{dataset}/claims/"))
        if match and is_number(match[1]):
            found.setdefault(match[1], []).append((int(match[2] or 1), facts))
    return {
        version: tuple(facts for _, facts in sorted(pairs, key=lambda pair: pair[0]))
        for version, pairs in sorted(found.items())
    }


def is_number(text: str) -> bool:
    """Tell whether a text is a version number."""
    try:
        VersionNumber.parse(text)
    except InvalidError:
        return False
    return True


def _first(store: Store, dataset: str, version: str, newest: int) -> Claim:
    for number in range(1, newest):
        found = _read(store, claim_key(dataset, version, number))
        if not found.serving:
            return found
    return _read(store, claim_key(dataset, version, newest))


def _has_served(store: Store, dataset: str, holder: Claim) -> bool:
    """Tell whether a claim was for the sake of a version that is committed by now."""
    if not is_number(holder.serving):
        return False
    try:
        store.head(commit_key(dataset, holder.serving))
    except NotFoundError:
        return False
    return True


def refuse_other_wishes(
    first: Claim | None, layout: Layout | None, parent: str | None, fetch_from: str
) -> None:
    """Refuse to continue an upload in another way than it was begun.

    What the first claim says may be in files that lie there, so it cannot be changed.

    Raises
    ------
    ConflictError
        If something else was asked for; None and an empty text ask for nothing.
    """
    if first is None:
        return
    version = first.parent.version if first.parent else "none"
    wishes = (
        (f"--{layout}", layout, first.layout, f"as --{first.layout}"),
        ("--parent", parent, version, f"with the parent {version}"),
        ("--fetch-from", fetch_from, first.fetch_from, "with another address, or none"),
    )
    for option, wanted, claimed, begun in wishes:
        if wanted and wanted != claimed:
            raise ConflictError(
                f"this upload was begun {begun} by {first.who}, so it cannot go on with "
                f"{option}",
                where=option,
                fix=f"leave out {option} to finish it as it was begun, or publish under the "
                "next version number",
            )


def renew(store: Store, dataset: str, version: str, mine: Claim, *, now: datetime) -> None:
    """Make sure, just before the commit, that nobody may be collecting what was uploaded.

    A claim that is younger than `RENEWED_AFTER` is safe. An older one is renewed by the next
    number, which a collector would take, too: one of the two gets it.

    Raises
    ------
    ConflictError
        If somebody else holds the claim now, or it was removed.
    """
    age = now - datetime.fromisoformat(mine.started)
    if timedelta(0) <= age < RENEWED_AFTER:
        return
    number = newest_number(store, dataset, version)
    try:
        holder = _read(store, claim_key(dataset, version, number))
    except StorageError as error:
        raise ConflictError(
            f"the claim on {dataset}@{version} is gone: what was uploaded may be, too",
            where=claim_key(dataset, version),
            fix="run the same command again: it uploads what is missing",
        ) from error
    if holder.tx != mine.tx:
        raise _held(holder, dataset, version)
    following = claim_key(dataset, version, number + 1)
    if not store.create(following, claim_bytes(mine)):
        holder = _read(store, following)
        if holder.tx != mine.tx:
            raise _held(holder, dataset, version)


def has_ended(claim: Claim, *, host: str, user: str, pid: int) -> bool:
    """Tell whether a claim's process has certainly ended, as far as this machine can know.

    A claim of the asking process itself is from an earlier attempt, which is over.
    """
    if (claim.host, claim.user) != (host, user):
        return False
    if claim.pid == pid:
        return True
    try:
        os.kill(claim.pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def newest_number(store: Store, dataset: str, version: str) -> int:
    """Return the number of the claim that holds; 1 if there is none."""
    pattern = re.compile(re.escape(f"{dataset}/claims/{version}") + r"(?:\.(\d{1,6}))?\.json")
    found = store.list(f"{dataset}/claims/{version}.")
    matches = (pattern.fullmatch(facts.key) for facts in found)
    return max((int(match[1] or 1) for match in matches if match), default=1)


def read_claim(store: Store, key: str) -> Claim | None:
    """Read a claim; None if it is absent or damaged."""
    try:
        return Claim.model_validate_json(store.read(key, limit=MAX_CLAIM_BYTES))
    except (ValidationError, NotFoundError, InvalidError):
        return None


def _read(store: Store, key: str) -> Claim:
    try:
        return Claim.model_validate_json(store.read(key, limit=MAX_CLAIM_BYTES))
    except (ValidationError, NotFoundError) as error:
        raise StorageError(
            "the claim cannot be read",
            where=key,
            fix="remove it if nobody is publishing this version, then run it again",
        ) from error


def claim_bytes(claim: Claim) -> bytes:
    """Write a claim."""
    return (claim.model_dump_json(indent=1) + "\n").encode()


def _held(holder: Claim, dataset: str, version: str) -> ConflictError:
    act = "removed as the remains of an upload" if holder.collecting else "published"
    if holder.serving:
        act = f"brought as a part of {dataset}@{holder.serving}"
    return ConflictError(
        f"{dataset}@{version} is being {act} by {holder.who}",
        where=claim_key(dataset, version),
        fix="wait for it; if that process has ended, run the same command with --takeover",
    )
