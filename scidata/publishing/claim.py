"""Claims: who is uploading which version, since when.

A courtesy, not a lock: two publishers that both go on cannot harm a version, only stop each
other. The first claim also fixes what enters the files besides the data: its time, the parent
version, and what is inherited from it, so that whoever continues the upload writes the same.
"""

import os
import re
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, ValidationError

from scidata.errors import ConflictError, NotFoundError, StorageError
from scidata.publishing.inheritance import Layout
from scidata.storage.base import Store
from scidata.version import ParentVersion

MAX_CLAIM_BYTES = 4096
MAX_TRIES = 20


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
    if store.create(claim_key(dataset, version), _bytes(mine)):
        return mine
    first = _read(store, claim_key(dataset, version))
    victim: str | None = None
    for _ in range(MAX_TRIES):
        number = _newest_number(store, dataset, version)
        holder = _read(store, claim_key(dataset, version, number))
        if holder.tx == mine.tx:
            return first
        victim = victim or holder.tx
        if not (is_dead(holder) or (takeover and holder.tx == victim)):
            raise _held(holder, dataset, version)
        # Won or lost, the next look tells who holds it now.
        store.create(claim_key(dataset, version, number + 1), _bytes(mine))
    raise _held(first, dataset, version)


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


def _newest_number(store: Store, dataset: str, version: str) -> int:
    pattern = re.compile(re.escape(f"{dataset}/claims/{version}") + r"(?:\.(\d{1,6}))?\.json")
    found = store.list(f"{dataset}/claims/{version}.")
    matches = (pattern.fullmatch(facts.key) for facts in found)
    return max((int(match[1] or 1) for match in matches if match), default=1)


def _read(store: Store, key: str) -> Claim:
    try:
        return Claim.model_validate_json(store.read(key, limit=MAX_CLAIM_BYTES))
    except (ValidationError, NotFoundError) as error:
        raise StorageError(
            "the claim cannot be read",
            where=key,
            fix="remove it if nobody is publishing this version, then run it again",
        ) from error


def _bytes(claim: Claim) -> bytes:
    return (claim.model_dump_json(indent=1) + "\n").encode()


def _held(holder: Claim, dataset: str, version: str) -> ConflictError:
    return ConflictError(
        f"{dataset}@{version} is being published by {holder.who}",
        where=claim_key(dataset, version),
        fix="wait for it; if that process has ended, run the same command with --takeover",
    )
