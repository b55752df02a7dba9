"""What became of a version after it was published: deprecated, withdrawn, purged, active again.

Each change is one small object beside the commit record, ``versions/1.0.0.status-0001.json``.
It is created, and never rewritten or removed: the highest number that can be read holds, and
the others are the history. A status that cannot be read hides nothing: it is reported, and the
version stays readable.

Pure. Reading them belongs to `scidata.inventory`, writing one to `scidata.marking`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scidata.errors import InvalidError, NotFoundError
from scidata.version import DATASET_ID, VersionNumber

State = Literal["active", "deprecated", "withdrawn", "purged"]
MAX_STATUS_BYTES = 16 * 1024
MAX_REASON = 2000
"""Characters."""
MAX_STATUSES = 9999

_KEY = re.compile(r"versions/([0-9.]+)\.status-(\d{4})\.json")


class Status(BaseModel):
    """``versions/1.0.0.status-0001.json``: one change of what a version is good for."""

    # A field that a later release adds must not make a withdrawal unreadable.
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["scidata-status/1"] = "scidata-status/1"
    dataset: str
    version: str
    state: State
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON)]
    replaced_by: Annotated[str, Field(pattern=rf"^{DATASET_ID}@[0-9.]{{5,32}}$")] | None = None
    """``name@1.1.0``: what to use instead."""
    by: Annotated[str, Field(max_length=200)]
    date: Annotated[str, Field(max_length=40)]
    """UTC, ISO 8601 with ``Z``."""

    def says_the_same(self, other: "Status") -> bool:
        """Tell whether two say the same of a version, whoever wrote them, and when."""
        fields = ("dataset", "version", "state", "reason", "replaced_by")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number in a version's history."""

    number: int
    status: Status | None
    fault: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Every status of a version, oldest first; a version that was never touched has none."""

    entries: tuple[Entry, ...] = ()

    @property
    def status(self) -> Status | None:
        """The one that holds: the highest number that can be read."""
        return next((e.status for e in reversed(self.entries) if e.status), None)

    @property
    def state(self) -> State:
        """``active`` unless a status says otherwise."""
        return self.status.state if self.status else "active"

    @property
    def last(self) -> int:
        """The highest number, readable or not; 0 if there is none."""
        return self.entries[-1].number if self.entries else 0

    @property
    def fault(self) -> str:
        """Why the newest status cannot be read; empty if it can."""
        return self.entries[-1].fault if self.entries else ""

    @property
    def is_offered(self) -> bool:
        """Whether a name without number may mean this version."""
        return self.state in {"active", "deprecated"}


def status_key(dataset: str, version: str, number: int) -> str:
    """Return the key of a version's n-th status.

    Examples
    --------
    >>> status_key("tevolop", "1.0.0", 2)
    'tevolop/versions/1.0.0.status-0002.json'
    """
    return f"{dataset}/versions/{version}.status-{number:04d}.json"


def status_bytes(status: Status) -> bytes:
    """Write a status: UTF-8 JSON with sorted keys. ``parse_status`` reads it back."""
    fields: dict[str, Any] = status.model_dump(mode="json")  # Any: JSON at the edge
    return (json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def parse_status(data: bytes, *, dataset: str, version: str) -> Status:
    """Read a status that is not trusted.

    Raises
    ------
    InvalidError
        If it is none, or that of another version.
    """
    try:
        status = Status.model_validate_json(data)
    except ValidationError as error:
        fields = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        what = f"it has no usable {', '.join(sorted(fields))}" if fields else "it is not JSON"
        raise _unreadable(what, dataset, version) from error
    if (status.dataset, status.version) != (dataset, version):
        raise _unreadable(f"it is that of {status.dataset}@{status.version}", dataset, version)
    return status


def statuses_among(keys: Iterable[str]) -> dict[VersionNumber, tuple[int, ...]]:
    """Sort out which of a dataset's keys, below its prefix, are statuses of which version."""
    found: dict[VersionNumber, list[int]] = {}
    for key in keys:
        if match := _KEY.fullmatch(key):
            try:
                version = VersionNumber.parse(match[1])
            except InvalidError:
                continue
            found.setdefault(version, []).append(int(match[2]))
    return {version: tuple(sorted(numbers)) for version, numbers in found.items()}


def caution(name: str, history: History) -> str:
    """Say in words what a reader of a version should know; empty if there is nothing."""
    status = history.status
    said = ""
    if status is not None and status.state != "active":
        said = f"{name} is {status.state} since {status.date}: {status.reason.rstrip('.')}"
        said += f"; use {status.replaced_by} instead" if status.replaced_by else ""
    if history.fault:
        rest = f"; the last that can be read: {said}" if said else ""
        return (
            f"the status of {name} cannot be read ({history.fault}), so it may be withdrawn"
            f"{rest}"
        )
    return said


def gone(name: str, status: Status, *, where: str) -> NotFoundError:
    """Say that the bytes of a purged version are no longer there."""
    instead = f"use {status.replaced_by} instead" if status.replaced_by else "use another one"
    return NotFoundError(
        f"{name} was purged on {status.date}: {status.reason.rstrip('.')}",
        where=where,
        fix=f"{instead}; its commit record and manifest stay, its bytes do not come back",
    )


def _unreadable(what: str, dataset: str, version: str) -> InvalidError:
    return InvalidError(
        f"the status is damaged: {what}",
        where=f"{dataset}@{version}",
        fix="write the next one: scidata status "
        f"{dataset}@{version} deprecated|withdrawn|active --reason TEXT",
    )
