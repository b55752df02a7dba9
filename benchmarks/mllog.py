"""The log of a run in MLCommons' line format: written as it happens, and read back.

A line is ``:::MLLOG`` and a JSON object of namespace, time_ms, event_type, key, value and
metadata, in that order. `log_rules` says which lines a log must have.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from scidata.errors import InvalidError, NotFoundError, Problem, StorageError

NAME = "mllog.txt"
PREFIX = ":::MLLOG "
DIVISION = "open"
"""The only one that the rules have."""
UNNAMED = "unnamed"
"""Organisation or platform of a run that nobody has submitted yet."""
Kind: TypeAlias = Literal["INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"]
KINDS: tuple[str, ...] = get_args(Kind)

_FIELDS = ("namespace", "time_ms", "event_type", "key", "value", "metadata")
_MOST_BYTES = 256 * 2**20
_MOST_IN_LINE = 2**20
_MOST_PROBLEMS = 100


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line."""

    line: int
    """In its file, from 1."""
    time_ms: int
    kind: Kind
    key: str
    value: Any  # Any: JSON
    metadata: Mapping[str, Any]
    namespace: str = ""


class Log:
    """Writes a run's log; a run that goes on from a checkpoint cuts off what came after it.

    Parameters
    ----------
    path : Path, optional
        None writes nothing: only the first process of several has a log.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes so far: part of a checkpoint."""
        return self._path.stat().st_size if self._path and self._path.exists() else 0

    def restart(self, size: int) -> None:
        """Keep the first `size` bytes only."""
        if self._path is None:
            return
        with self._writing("r+b" if self._path.exists() else "wb") as file:
            file.truncate(size)

    def start(self, key: str, **metadata: object) -> None:
        """Begin an interval."""
        self._write("INTERVAL_START", key, None, metadata)

    def stop(self, key: str, **metadata: object) -> None:
        """End an interval."""
        self._write("INTERVAL_END", key, None, metadata)

    def point(self, key: str, value: object, **metadata: object) -> None:
        """Say something."""
        self._write("POINT_IN_TIME", key, value, metadata)

    def _write(self, kind: Kind, key: str, value: object, metadata: dict[str, object]) -> None:
        if self._path is None:
            return
        # The module, not the file: where somebody's home lies is nobody's business.
        caller = sys._getframe(2)
        place = str(caller.f_globals.get("__name__", "")).replace(".", "/") + ".py"
        event = {
            "namespace": "",
            "time_ms": time.time_ns() // 10**6,
            "event_type": kind,
            "key": key,
            "value": plain(value),
            "metadata": {"file": place, "lineno": caller.f_lineno, **metadata},
        }
        line = PREFIX + json.dumps(event, allow_nan=False, ensure_ascii=False)
        with self._writing("ab") as file:
            file.write(line.encode() + b"\n")

    def _writing(self, mode: str) -> Any:  # Any: a binary file
        assert self._path is not None  # noqa: S101 - of both callers
        try:
            return self._path.open(mode)
        except OSError as error:
            raise StorageError(
                f"cannot write {NAME}: {error.strerror}",
                where=str(self._path.parent),
                fix="make room or choose another --out, then run the same command again",
            ) from error


def plain(value: Any) -> Any:  # Any: JSON
    """Make JSON of a value: numbers that do not exist become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def read(path: Path) -> tuple[Event, ...]:
    """Read a log, scidata's or any other in the format; lines that are no events are skipped.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If it is too large, or events are damaged; the first hundred are listed.
    """
    try:
        size = path.stat().st_size
        text = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as error:
        raise NotFoundError(
            f"cannot read the log: {error.strerror}",
            where=str(path),
            fix=f"name the {NAME} of a run",
        ) from error
    if size > _MOST_BYTES:
        raise InvalidError(
            f"the log is {size:,} bytes long", where=str(path), fix="give one run's log"
        )
    events, problems = list[Event](), list[Problem]()
    for number, line in enumerate(text.split(b"\n"), start=1):
        # Launchers put the rank before it.
        _, found, rest = line.partition(PREFIX.strip().encode())
        if not found:
            continue
        event = _parse(rest, number)
        if isinstance(event, str):
            problems.append(
                Problem(
                    code="mllog-line",
                    path=f"line {number}",
                    message=event,
                    fix="write each event as one line of JSON",
                )
            )
            if len(problems) == _MOST_PROBLEMS:
                break
        else:
            events.append(event)
    if problems:
        raise InvalidError.listing(problems, where=str(path), fix="see each line")
    return tuple(events)


def _parse(text: bytes, line: int) -> Event | str:
    """Return an event, or what is wrong with its line."""
    if len(text) > _MOST_IN_LINE:
        return f"{len(text):,} bytes in a line"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    fault = next(_faults(found), None)
    if fault:
        return fault
    return Event(
        line=line,
        time_ms=int(found["time_ms"]),
        kind=found["event_type"],
        key=found["key"],
        value=found["value"],
        metadata=found["metadata"],
        namespace=found["namespace"],
    )


def _faults(found: object) -> Iterator[str]:
    if not isinstance(found, dict):
        yield "not a JSON object"
        return
    if absent := [name for name in _FIELDS if name not in found]:
        yield f"no {', '.join(absent)}"
        return
    if found["event_type"] not in KINDS:
        yield f"event_type {found['event_type']!r} is none of {', '.join(KINDS)}"
    if not isinstance(found["key"], str) or not isinstance(found["namespace"], str):
        yield "key or namespace is no text"
    stamp = found["time_ms"]
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not abs(stamp) < 2**53:
        yield f"time_ms {stamp!r} is no time"
    metadata = found["metadata"]
    if not isinstance(metadata, dict) or not {"file", "lineno"} <= metadata.keys():
        yield "metadata without file and lineno"
